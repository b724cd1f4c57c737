//! The flow table of one worker. Owned by one thread, read by others only as frozen epochs.

pub mod classify;
pub mod entry;
pub mod health;
pub mod index;
pub mod locals;
mod pool;
pub mod services;
pub mod slab;
pub mod state;
pub mod table;
pub mod tcp;
