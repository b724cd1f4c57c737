//! From the bytes of a frame to a descriptor of one cache line, in one pass; offsets, not copies.

pub mod descriptor;
pub mod hash;
pub mod key;
pub mod line;
pub mod link;
pub mod parse;
