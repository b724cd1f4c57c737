//! What every floor needs: time, ids, counters. Knows nothing of packets.

pub mod bits;
pub mod call;
pub mod counters;
pub mod ids;
pub mod keyed;
pub mod memory;
pub mod shown;
pub mod stop;
pub mod sync;
pub mod time;
