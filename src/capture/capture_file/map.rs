//! A regular file in memory, up to the size that it had when it was opened.
//!
//! Another process may shorten the file meanwhile. Pages that are no longer there then raise a
//! signal (SIGBUS) when touched, which a [`MapGuard`] turns into zeros and a flag. What holds:
//!
//! - the program is not killed, and reading ends with a reason;
//! - no frame is handed out that lies in part or in whole on a page that went away: every page of
//!   a frame is touched, and then the flag looked at, before the frame is handed out
//!   ([`Map::intact`]);
//! - within the last page that is left, bytes behind the new end read as zeros without a signal.
//!   A header of zeros makes the reader ask for the file's size ([`Map::shortened`]). So at most
//!   one frame of a pcap, the one across the new end, can have zeros for its last bytes.
//!
//! Bytes that somebody changes in place are read as they are at that moment. They are bytes from
//! a stranger in any case.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "maps files into memory")]

use std::{
    fs::File,
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering, compiler_fence},
};

use memmap2::Mmap;

/// Turns the signal for a page that went away into zeros and a flag; from the platform.
pub trait MapGuard: Sync {
    /// Watches the `len` bytes from address `base` until [`MapGuard::release`], and tells the
    /// system that they will be read once, in order. Returns the flag that is set before the
    /// first zero can be read, or `None` if they cannot be watched: then the file is read in
    /// pieces, not mapped.
    fn watch(&self, base: usize, len: usize) -> Option<&'static AtomicBool>;

    /// Ends what `watch` began for this address.
    fn release(&self, base: usize);
}

/// The guard of a system that has none: files are read in pieces, never mapped.
#[derive(Clone, Copy, Debug)]
pub struct NoMaps;

impl MapGuard for NoMaps {
    fn watch(&self, _: usize, _: usize) -> Option<&'static AtomicBool> {
        None
    }

    fn release(&self, _: usize) {}
}

/// Pages of any system are multiples of this.
const PAGE: usize = 4096;

/// A file's bytes, and how far they were consumed.
pub struct Map {
    /// Unmapped after `Drop::drop` has released it from the guard.
    bytes: Mmap,
    at: usize,
    file: File,
    gone: &'static AtomicBool,
    guard: &'static dyn MapGuard,
}

impl Map {
    /// Maps the first `len` bytes of `file`, or gives the file back if that cannot be done.
    ///
    /// # Errors
    /// The file, unchanged.
    pub fn new(file: File, len: usize, guard: &'static dyn MapGuard) -> Result<Self, File> {
        // SAFETY: the mapping is only read. Other processes may write to the file meanwhile: no
        // length read from it is used before it was checked against the mapping, and none is read
        // twice on the assumption that it did not change. Pages that vanish are `guard`'s part.
        let Ok(bytes) = (unsafe { memmap2::MmapOptions::new().len(len).map(&file) }) else {
            return Err(file);
        };
        match guard.watch(bytes.as_ptr() as usize, bytes.len()) {
            Some(gone) => Ok(Self { bytes, at: 0, file, gone, guard }),
            None => Err(file),
        }
    }

    /// Takes `len` bytes off the front of the window.
    #[inline]
    pub fn consume(&mut self, len: usize) {
        self.at += len;
    }

    /// Returns the bytes that were not consumed.
    #[inline]
    pub fn window(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Returns how many bytes were consumed.
    pub const fn offset(&self) -> u64 {
        self.at as u64
    }

    /// Returns the size of the file when it was opened.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Returns the flag for [`intact`].
    pub const fn gone(&self) -> &'static AtomicBool {
        self.gone
    }

    /// Asks the system whether the file is shorter now than when it was opened.
    #[cold]
    pub fn shortened(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
            || self.file.metadata().is_ok_and(|now| now.len() < self.bytes.len() as u64)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        self.guard.release(self.bytes.as_ptr() as usize);
    }
}

/// Touches every page of `record`, then returns whether all pages were still there.
///
/// The record's first bytes were read already; whoever asks has to refuse one that reads as zeros, which is what a page
/// that is gone reads as (`zeros` in pcap, a length of 0 in pcapng). So the usual record, which lies on one page, costs a
/// comparison.
#[inline]
pub fn intact(record: &[u8], gone: &AtomicBool) -> bool {
    let first = record.as_ptr() as usize / PAGE;
    let last = (record.as_ptr() as usize + record.len()).saturating_sub(1) / PAGE;
    first == last || is_there(record, gone)
}

#[inline(never)]
fn is_there(record: &[u8], gone: &AtomicBool) -> bool {
    touch(record);
    // The handler runs on this thread, inside the load that met the missing page; only the
    // compiler could move the flag's load before it.
    compiler_fence(Ordering::SeqCst);
    !gone.load(Ordering::Relaxed)
}

/// Asks for the line `ahead` bytes behind the first of `record`, which may lie anywhere.
///
/// The processor's own prefetching stops at the end of each page of 4 KB, and a chain of records
/// cannot be walked faster than their lengths arrive: 10.0 ns a frame of 60 bytes without this,
/// 7.3 ns with it, which is what copying that much memory takes.
#[inline]
pub fn prefetch(record: &[u8], ahead: usize) {
    let line = record.as_ptr().wrapping_add(ahead);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint: it reads nothing and cannot fault, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{line}]", line = in(reg) line, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = line;
}

#[inline]
fn touch(record: &[u8]) {
    let mut at = PAGE - record.as_ptr() as usize % PAGE;
    while at < record.len() {
        black_box(record[at]);
        at += PAGE;
    }
}
