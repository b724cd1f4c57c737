//! Where frames come from: the trait, capture files, and synthetic traffic for tests and benches.

pub mod capture_file;
pub mod source;
pub mod synthetic;
pub mod until;
pub mod up_to;
