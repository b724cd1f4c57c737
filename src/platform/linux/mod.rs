//! Linux.

pub mod sigbus;
