//! Frames made here instead of captured: for tests, benches and measurements.
//!
//! [`Traffic`] makes conversations from a seed, [`Frames`] keeps frames in memory, and
//! [`MemorySource`] hands them out at full speed, alone or dealt out over several.

mod ethernet;
mod memory;
mod traffic;

pub use memory::{Frames, MemorySource};
pub use traffic::{Mix, Traffic};
