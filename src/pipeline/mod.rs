//! From frames to epochs: rx, rings, workers, and the collector that merges them.

pub mod ahead;
pub mod clock;
pub mod collector;
pub mod handover;
pub mod launch;
pub mod learned;
pub mod naming;
pub mod owners;
pub mod part;
pub mod quiet;
pub mod rates;
pub mod report;
pub mod ring;
pub mod rx;
pub mod steer;
pub mod taps;
pub mod tempo;
pub mod wake;
pub mod worker;
