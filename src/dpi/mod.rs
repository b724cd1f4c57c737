//! Deep packet inspection: what a flow speaks, told from its first bytes.
//!
//! Recognisers are one table ([`recogniser::RECOGNISERS`]). Each is a pure function over the bytes that both
//! sides have sent so far ([`talk`]), so that it cannot matter how they were cut into segments.
//! What it learns leaves through [`notes::Notes`] as facts; the worker keeps none of them.
//!
//! A label rests on the bytes, never on the port alone. A flow is inspected until it is classified
//! or given up, and then never again.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

mod asking;
pub mod cursor;
pub mod echoes;
pub mod fact;
pub mod inspector;
pub mod lines;
pub mod notes;
mod openings;
mod pieces;
pub mod protocols;
pub mod recogniser;
mod room;
mod said;
pub mod service;
mod standing;
mod stream;
pub mod subject;
pub mod talk;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod trial;
