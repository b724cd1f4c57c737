//! What leaves the program as JSON: `jsonl`, one line per ended connection, and `json`, one
//! document at the stop. Both are taps of the collector; neither is on the packet path.
//!
//! Text is written by hand into a reused buffer: a million flows end when a large file does, and
//! stamps keep their nanoseconds because no number passes through a float.

pub mod chosen;
pub mod counted;
pub mod csv;
pub mod journal;
pub mod json;
pub mod jsonl;
pub mod links;
pub mod pcapng;
pub mod reread;
pub mod selection;
pub mod sums;

mod alarms;
mod app;
mod fields;
mod owner;
mod text;
mod waiting;

pub use fields::{Origin, SCHEMA};

/// Appends the line of a flow, as `jsonl` has it.
pub fn line(out: &mut Vec<u8>, flow: &crate::snapshot::tap::Ended) {
    fields::flow(out, flow);
    out.push(b'\n');
}
