//! Whole screens: rows in a snapshot, through the query, onto a test terminal, compared with
//! stored text; and what keys do to them.
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is the answer")]

mod copies;
mod details;
#[path = "../common/engine.rs"]
mod engine;
mod filters;
mod frames;
mod frozen;
mod groups;
mod head;
mod hostile;
mod keys;
mod looks;
mod moves;
mod pipeline;
mod promises;
mod sizes;
mod sorting;
mod stage;
mod tabs;
#[path = "../common/talk.rs"]
mod talk;
mod typing;
mod work;
