//! A BPF array in this process's memory.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

/// The values of a map, mapped; unmapped when dropped.
pub struct Mapped {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory is shared with the kernel anyway; who may access which part of it, and how, is the
// business of the types above.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps the first `bytes` bytes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        // SAFETY: a new shared map, at an address that the kernel picks.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { base, bytes }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Returns where byte `at` lies, of which there are at least `len` from there on.
    #[inline]
    pub fn at(&self, at: usize, len: usize) -> NonNull<u8> {
        assert!(at <= self.bytes && len <= self.bytes - at, "beyond the map");
        // SAFETY: within the map, as just checked.
        unsafe { self.base.add(at) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` got; whoever has a pointer into it also has this.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}
