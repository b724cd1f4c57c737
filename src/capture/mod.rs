//! Where frames come from: the trait, capture files, and synthetic traffic for tests and benches.

pub mod source;
