//! From frames to epochs: rx, rings, workers, and the collector that merges them.

pub mod launch;
