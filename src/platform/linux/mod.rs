//! Linux.

pub mod af_packet;
pub mod affinity;
mod check;
pub mod clock;
pub mod interfaces;
mod link;
pub mod output;
pub mod owners;
pub mod privileges;
pub mod resources;
pub mod sigbus;
pub mod terminal;

pub use af_packet::AfPacketSource as NativeSource;
pub use affinity::{allowed_cores, check_cores, enter_thread};
pub use check::checks;
pub use clock::{monotonic, utc_offset, wall};
pub use interfaces::{addresses, interfaces};
pub use output::{reader_gone, reader_keeps_up};
pub use owners::listening::listening;
pub use privileges::check_capture;
pub use resources::{advise_huge_pages as advise, self_usage, thread_times, usable_memory};
pub use terminal::terminal_background;

use super::{
    OwnerMethod,
    live::{LiveConfig, Native, OpenError},
};
use crate::process::lookup::Owners;

/// Opens the system's own way of capture for `threads` rx threads.
///
/// # Errors
/// See [`OpenError`].
pub fn open_native(config: &LiveConfig, threads: usize) -> Result<Native, OpenError> {
    af_packet::open(config, threads)
}

/// Starts to look for owners of sockets.
pub fn owners(method: OwnerMethod) -> Option<Box<dyn Owners>> {
    Some(owners::open(method))
}
