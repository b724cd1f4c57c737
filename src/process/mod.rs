//! Whose socket it is.

pub mod owner;
