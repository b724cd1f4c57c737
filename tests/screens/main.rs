//! Whole screens: rows in a snapshot, through the query, onto a test terminal, compared with
//! stored text; and what keys do to them.
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is the answer")]

mod filters;
mod head;
mod hostile;
mod keys;
mod looks;
mod moves;
mod sizes;
mod sorting;
mod stage;
mod work;
