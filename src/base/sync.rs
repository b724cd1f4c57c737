//! Atomics and threads from std, or from loom when a model is checked (`--cfg loom`).

#[cfg(not(loom))]
pub use std::sync::{Arc, atomic};

#[cfg(loom)]
pub use loom::sync::{Arc, atomic};
