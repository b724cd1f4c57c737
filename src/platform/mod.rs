//! The operating system. The only file that names one.
//!
//! Every system offers the same few functions; what it lacks, `portable` answers with less.
//!
//! | part | what |
//! |---|---|
//! | [`live`] | the live capture source, whichever way it captures |
//! | [`filter`] | which frames are captured |
//! | [`interface`] | interfaces, and the one to watch when none is named |
//! | [`interfaces()`], [`addresses`], [`check_capture`] | which there are; whether we may capture on them |
//! | [`allowed_cores`], [`check_cores`], [`host`], [`use_realtime`] | where threads run |
//! | [`placement_of`] | where cores and cards stand to each other |
//! | [`nic_counters`], [`neighbour`] | what cards lost; hardware addresses of neighbours |
//! | [`name_of`] | the name of an address, by the system's resolver |
//! | [`held_privileges`] | what this process may do |
//! | [`Lookout`], [`AddressWatch`] | what happens outside: a signal, a reader that goes, other addresses |
//! | [`standard_output`], [`reader_gone`], [`reader_keeps_up`] | where exports go; whether somebody reads them |
//! | [`private_file`], [`private_folder`] | files for their owner only |
//! | [`checks`] | what works here, and what helps where something does not |
//! | [`terminal_background`] | whether the terminal is a light one |
//! | [`owners()`], [`listening`] | who owns sockets; which of them wait for others |
//! | [`listening_ports`], [`ephemeral_ports`] | where connections are taken, and where those that we open come from |
//! | [`map_large_memory`], [`usable_memory`] | how memory is had, how much may be used |
//! | [`self_usage`], [`ThreadTimes`] | what is used |

pub mod check;
pub mod clipboard;
pub mod filter;
pub mod interface;
pub mod live;
#[cfg(feature = "pcap")]
pub mod pcap_source;
pub mod placement;

#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(target_os = "linux")]
use linux as system;

#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as system;

pub use system::{
    AddressWatch, Lookout, ThreadTimes, addresses, allowed_cores, check_capture, check_cores, check_realtime,
    come_first, ephemeral_ports, give_way, held_privileges, interfaces, listening, listening_ports,
    map_large_memory, name_of, neighbour, neighbours, nic_counters, placement_of, reader_gone,
    reader_keeps_up, self_usage, terminal_background, usable_memory, utc_offset,
};

use crate::{
    base::ids::CoreId, capture::capture_file::MapGuard, pipeline::launch::Host, process::lookup::Owners,
};

/// How often one looks for what nothing tells: how soon a signal, or a reader that is gone, is seen at the latest.
pub const GLANCE: std::time::Duration = std::time::Duration::from_millis(100);

/// Returns what watches over mapped capture files; without one, files are read in pieces.
pub fn map_guard() -> &'static dyn MapGuard {
    #[cfg(target_os = "linux")]
    return &linux::sigbus::SigBus;
    #[cfg(not(target_os = "linux"))]
    return &crate::capture::capture_file::NoMaps;
}

/// Returns standard output without a buffer. Unlike [`std::io::stdout`], which takes a descriptor that
/// cannot be written to for one that swallows everything, its writes fail when nothing is written.
///
/// # Errors
/// When the system gives no second handle to it.
pub fn standard_output() -> std::io::Result<std::fs::File> {
    #[cfg(unix)]
    let handle = std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned()?;
    #[cfg(windows)]
    let handle = std::os::windows::io::AsHandle::as_handle(&std::io::stdout()).try_clone_to_owned()?;
    Ok(handle.into())
}

/// Makes a file that was not there, which only its owner can read and write.
///
/// # Errors
/// When there is such a file, or it cannot be made.
pub fn private_file(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a folder that only its owner can enter.
///
/// # Errors
/// When it is there already, or cannot be made.
pub fn private_folder(path: &std::path::Path) -> std::io::Result<()> {
    #[allow(unused_mut, reason = "systems without modes")]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Returns what works on this system and what does not, in the order in which it matters.
pub fn checks() -> Vec<check::Check> {
    system::checks()
}

/// Which way owners of sockets are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnerMethod {
    /// The best that works.
    #[default]
    Auto,
    /// From the kernel's events; without them as `Proc`.
    Bpf,
    /// From the system's tables of sockets and processes.
    Proc,
}

/// Starts to look for owners of sockets; those that are there already are known when it returns. `None`
/// where the system has no way.
pub fn owners(method: OwnerMethod) -> Option<Box<dyn Owners>> {
    system::owners(method)
}

/// What this process has used so far, and uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SelfUsage {
    /// CPU time of all threads, in seconds.
    pub cpu_seconds: f64,
    /// Memory that is resident, in bytes.
    pub rss_bytes: u64,
}

/// Why a core cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// There is no such core.
    #[error("core {} does not exist: the last one is {}", .core.0, .last.0)]
    OutOfRange {
        /// The core that was asked for.
        core: CoreId,
        /// The last one there is.
        last: CoreId,
    },
    /// It is switched off.
    #[error("core {} is offline", .0.0)]
    Offline(CoreId),
    /// The process is confined to others.
    #[error("core {} is not in the set that this process may use: {}", .core.0, ranges(.allowed))]
    NotAllowed {
        /// The core that was asked for.
        core: CoreId,
        /// Those that may be used.
        allowed: Vec<CoreId>,
    },
    /// The system does not say.
    #[error("cannot find out which cores may be used")]
    Unknown(#[source] std::io::Error),
}

/// Returns what the pipeline needs of this system, for threads on these cores.
pub fn host(cores: Vec<CoreId>) -> Host {
    Host {
        enter_thread: system::enter_thread,
        cores,
        advise: system::advise,
        populate: system::populate(),
        monotonic: system::monotonic,
        wall: system::wall,
    }
}

/// Gives the pipeline's pinned threads a real-time priority, which [`check_realtime`] has found possible.
pub fn use_realtime(host: &mut Host) {
    host.enter_thread = system::enter_thread_realtime;
}

/// Writes `0-3,8`.
fn ranges(cores: &[CoreId]) -> String {
    let mut parts: Vec<(u16, u16)> = Vec::new();
    for CoreId(core) in cores {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *core => *last = *core,
            _ => parts.push((*core, *core)),
        }
    }
    let part = |(a, b): &(u16, u16)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_written_as_ranges() {
        for (cores, text) in [(&[0, 1, 2, 5][..], "0-2,5"), (&[7], "7"), (&[], "")] {
            assert_eq!(ranges(&cores.iter().map(|c| CoreId(*c)).collect::<Vec<_>>()), text);
        }
    }
}
