//! Connects as the programs tell them: in rings, one for each CPU, in memory that both have mapped. Layout:
//! `struct connect_ring` in `bpf/connects.h`.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    io,
    os::fd::BorrowedFd,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use super::events::{self, Event, SOCKET_BYTES};
use crate::platform::linux::mapped::Mapped;

/// Unread events of one CPU, a power of two.
const SLOTS: u64 = 512;
const SLOT_BYTES: usize = 128;
/// The two lines before the slots, and where their words stand.
const LINES: usize = 128;
const HEAD: usize = 0;
const TAIL: usize = 64;
/// Bytes of a ring.
pub const RING_BYTES: usize = LINES + SLOTS as usize * SLOT_BYTES;

/// The one reader of all rings.
pub struct Connects {
    map: Mapped,
    rings: usize,
}

impl Connects {
    /// Maps the array that holds them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn map(array: BorrowedFd<'_>, rings: usize) -> io::Result<Self> {
        Ok(Self { map: Mapped::new(array, rings * RING_BYTES)?, rings })
    }

    /// Moves what they hold into `into`, ring after ring.
    pub fn drain(&mut self, into: &mut Vec<Event>) {
        for ring in 0..self.rings {
            let at = ring * RING_BYTES;
            let tail = self.word(at + TAIL).load(Ordering::Relaxed);
            // Acquire: pairs with the program's store of `head`, after which the slots before it are whole.
            let head = self.word(at + HEAD).load(Ordering::Acquire);
            // No more than there are, whatever stands there.
            let unread = head.wrapping_sub(tail).min(SLOTS);
            for number in (0..unread).map(|n| head.wrapping_sub(unread - n)) {
                let slot = at + LINES + (number % SLOTS) as usize * SLOT_BYTES;
                into.extend(events::read(&self.slot(slot)).map(|(event, _)| event));
            }
            if unread > 0 {
                // Release: the program writes these slots again only after it has seen this.
                self.word(at + TAIL).store(head, Ordering::Release);
            }
        }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        let word: NonNull<u8> = self.map.at(at, size_of::<AtomicU64>());
        // SAFETY: within the map, which lives as long as `self`; rings begin on lines, and the program writes
        // whole words.
        unsafe { word.cast::<AtomicU64>().as_ref() }
    }

    fn slot(&self, at: usize) -> [u8; SOCKET_BYTES] {
        let slot = self.map.at(at, SOCKET_BYTES);
        // SAFETY: within the map; the program leaves slots between `tail` and `head` as they are.
        unsafe { slot.cast::<[u8; SOCKET_BYTES]>().read_volatile() }
    }
}
