//! Small things that views are made of.

pub mod bars;
pub mod strip;
