//! The memory of a TPACKET_V3 ring: blocks that go to and fro between the kernel and one reader.
//!
//! ```text
//!   kernel fills ──▶ [ ][ ][x][x][x][ ][ ]     x: finished, ours to read
//!                           ▲ current           the kernel goes on behind us, round and round
//! ```
//!
//! A block is the reader's while its status has `TP_STATUS_USER`; storing 0 gives it back. The
//! kernel closes a block when it is full or when its timer finds frames in it.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    io,
    os::fd::AsRawFd,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{
    block::{BlockHeader, STATUS_USER},
    socket::PacketSocket,
};
use crate::platform::live::RingConfig;

/// A mapped ring and the place where its reader is.
pub struct Ring {
    base: NonNull<u8>,
    block_size: usize,
    blocks: usize,
    current: usize,
}

// SAFETY: the map belongs to this value alone; the kernel's side is ordered by the status words.
unsafe impl Send for Ring {}

impl Ring {
    /// Asks the kernel for a ring on `socket` and maps it, with half the blocks as often as memory
    /// is refused.
    ///
    /// # Errors
    /// When the kernel refuses for another reason, or refuses two blocks.
    pub fn map(socket: &PacketSocket, config: &RingConfig) -> io::Result<Self> {
        with_fewer(config.blocks, |blocks| Self::map_exactly(socket, config, blocks))
    }

    fn map_exactly(socket: &PacketSocket, config: &RingConfig, blocks: usize) -> io::Result<Self> {
        socket.allocate_ring(config.block_size, blocks, config.retire_ms)?;
        // SAFETY: a new shared map of the ring's whole length, at an address that the kernel picks.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                config.block_size * blocks,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => {
                Ok(Self { base, block_size: config.block_size, blocks, current: 0 })
            }
            _ => {
                let error = io::Error::last_os_error();
                socket.free_ring()?;
                Err(error)
            }
        }
    }

    /// Returns the number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Returns whether the current block is ours.
    #[inline]
    pub fn is_ready(&self) -> bool {
        // Acquire: pairs with the kernel's barrier before it stores the status (`prb_flush_block`).
        self.status().load(Ordering::Acquire) & STATUS_USER != 0
    }

    /// Returns the current block. What it holds means something only while it is ours.
    #[inline]
    pub fn block(&self) -> &[u8] {
        // SAFETY: `current < blocks`, so the range lies in the map, which lives as long as `self`.
        // The kernel does not write to a block that is ours, and `release` takes `&mut self`.
        unsafe {
            std::slice::from_raw_parts(
                self.base.as_ptr().add(self.current * self.block_size),
                self.block_size,
            )
        }
    }

    /// Gives the current block back to the kernel and goes on to the next one.
    #[inline]
    pub fn release(&mut self) {
        // Release: our reads of the block come before the kernel's next writes to it.
        self.status().store(0, Ordering::Release);
        self.current = if self.current + 1 == self.blocks { 0 } else { self.current + 1 };
    }

    #[inline]
    fn status(&self) -> &AtomicU32 {
        // SAFETY: in the map, aligned (blocks are page-aligned), and only ever accessed atomically
        // by us while the kernel may write it.
        unsafe {
            AtomicU32::from_ptr(
                self.base.as_ptr().add(self.current * self.block_size + BlockHeader::STATUS).cast(),
            )
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `map_exactly` got; nothing borrows it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.blocks * self.block_size) };
    }
}

/// Tries with `blocks`, then with half as many as long as memory is refused, at least with 2.
fn with_fewer<T>(blocks: usize, mut attempt: impl FnMut(usize) -> io::Result<T>) -> io::Result<T> {
    let mut blocks = blocks.max(2);
    loop {
        match attempt(blocks) {
            Err(e) if is_memory(&e) && blocks > 2 => blocks = (blocks / 2).max(2),
            done => return done,
        }
    }
}

fn is_memory(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EAGAIN | libc::EPERM | libc::ENOBUFS))
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn refused_memory_halves_the_ring_and_other_errors_do_not() {
        let attempts = |blocks, fits, code| {
            let mut tried = Vec::new();
            let done = with_fewer(blocks, |n| {
                tried.push(n);
                if n <= fits { Ok(n) } else { Err(io::Error::from_raw_os_error(code)) }
            });
            (tried, done.ok())
        };
        assert_eq!(attempts(64, 20, libc::ENOMEM), (vec![64, 32, 16], Some(16)));
        assert_eq!(attempts(5, 0, libc::EAGAIN), (vec![5, 2], None));
        assert_eq!(attempts(0, 9, libc::ENOMEM), (vec![2], Some(2)));
        assert_eq!(attempts(64, 20, libc::EINVAL), (vec![64], None));
    }
}
