//! Linux.

pub mod af_packet;
#[cfg(feature = "bpf")]
pub mod af_xdp;
pub mod affinity;
mod alarm;
#[cfg(feature = "bpf")]
pub mod bpf_capture;
#[cfg(all(test, feature = "bpf"))]
mod bpf_exits;
mod check;
pub mod clock;
pub mod interfaces;
mod link;
mod lookout;
#[cfg(feature = "bpf")]
mod mapped;
pub mod native;
mod nic;
pub mod output;
pub mod owners;
#[cfg(feature = "pcap")]
mod pcap_wait;
pub mod placement;
pub mod privileges;
mod resolver;
pub mod resources;
pub mod sigbus;
pub mod terminal;

pub use affinity::{allowed_cores, check_cores, check_realtime, enter_thread, enter_thread_realtime};
pub use check::checks;
pub use clock::{monotonic, utc_offset, wall};
pub use interfaces::{addresses, interfaces};
pub use lookout::{AddressWatch, Lookout};
pub use native::{NativeSource, open as open_native};
pub use nic::{neighbour, neighbours, nic_counters};
pub use output::{reader_gone, reader_keeps_up};
pub use owners::listening::{ephemeral_ports, listening, listening_ports};
#[cfg(feature = "pcap")]
pub use pcap_wait::PcapWait;
pub use placement::placement_of;
pub use privileges::{check_capture, held_privileges};
pub use resolver::name_of;
pub use resources::{
    ThreadTimes, advise_huge_pages as advise, come_first, give_way, map_large_memory, populate, self_usage,
    usable_memory,
};
pub use terminal::terminal_background;

use super::OwnerMethod;
use crate::process::lookup::Owners;

/// Starts to look for owners of sockets.
pub fn owners(method: OwnerMethod) -> Option<Box<dyn Owners>> {
    Some(owners::open(method))
}
