//! The flow table of one worker. Owned by one thread, read by others only as frozen epochs.

pub mod entry;
pub mod locals;
pub mod slab;
pub mod state;
pub mod tcp;
