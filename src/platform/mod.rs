//! The operating system: what the floors below need of it, and the only file that names it.

use crate::capture::capture_file::MapGuard;

#[cfg(target_os = "linux")]
pub mod linux;

/// Returns what watches over mapped capture files; without one, files are read in pieces.
pub fn map_guard() -> &'static dyn MapGuard {
    #[cfg(target_os = "linux")]
    return &linux::sigbus::SigBus;
    #[cfg(not(target_os = "linux"))]
    return &crate::capture::capture_file::NoMaps;
}
