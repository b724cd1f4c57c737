//! The rings of an AF_XDP socket, and the memory that frames lie in.
//!
//! A ring is an array of entries with two counters, which only grow: one side puts entries in and counts
//! them (producer), the other takes them out (consumer).
//!
//! | ring | we | entries |
//! |---|---|---|
//! | fill | put in | chunks that the kernel may write frames to |
//! | rx | take out | frames: where they lie, how long they are |
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

/// A piece of mapped memory.
pub struct Map {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: memory that this value alone owns; who accesses it says how.
unsafe impl Send for Map {}

impl Map {
    /// Maps a ring of the socket at an offset that stands for it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn ring(socket: BorrowedFd<'_>, offset: i64, len: usize) -> io::Result<Self> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        Self::new(len, flags, socket.as_raw_fd(), offset)
    }

    /// Maps memory for frames, in huge pages where there are some. Returns whether there were.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn memory(len: usize) -> io::Result<(Self, bool)> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        const HUGE: usize = 2 << 20;
        if let Ok(map) = Self::new(len.next_multiple_of(HUGE), flags | libc::MAP_HUGETLB, -1, 0) {
            return Ok((map, true));
        }
        Ok((Self::new(len, flags, -1, 0)?, false))
    }

    fn new(len: usize, flags: i32, fd: i32, offset: i64) -> io::Result<Self> {
        // SAFETY: a new map, at an address that the kernel picks.
        let base = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), len, access, flags, fd, offset as libc::off_t)
        };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { base, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Returns the address of a range in it.
    ///
    /// # Panics
    /// When the range does not lie in it.
    #[inline]
    pub fn at(&self, offset: usize, len: usize) -> NonNull<u8> {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "within the map");
        // SAFETY: in the map, as just checked.
        unsafe { self.base.add(offset) }
    }

    /// Returns its length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` got, and nothing borrows it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Our side of a ring. `T` is its entry: plain numbers.
pub struct Ring<T> {
    _map: Map,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    mask: u32,
    /// What we count: what was put in, or taken out.
    ours: u32,
}

// SAFETY: the map belongs to this value alone; the kernel's side is ordered by the two counters.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    /// Returns the ring of `entries` (a power of two) that `map` holds, laid out as `offsets` say.
    pub fn new(map: Map, offsets: &libc::xdp_ring_offset, entries: u32) -> Self {
        assert!(entries.is_power_of_two());
        let counter = |at: u64| map.at(at as usize, 4).cast();
        Self {
            producer: counter(offsets.producer),
            consumer: counter(offsets.consumer),
            flags: counter(offsets.flags),
            entries: map.at(offsets.desc as usize, entries as usize * size_of::<T>()).cast(),
            mask: entries - 1,
            ours: 0,
            _map: map,
        }
    }

    /// Puts in an entry, which the kernel sees after [`Ring::publish`]. There must be room.
    #[inline]
    pub fn put(&mut self, entry: T) {
        // SAFETY: the index is masked; the entry is ours until it is published.
        unsafe { self.entries.add((self.ours & self.mask) as usize).write(entry) };
        self.ours = self.ours.wrapping_add(1);
    }

    /// Lets the kernel see what was put in.
    #[inline]
    pub fn publish(&self) {
        // Release: the entries come before the count. SAFETY: in the map.
        unsafe { self.producer.as_ref() }.store(self.ours, Ordering::Release);
    }

    /// Returns how many entries can be taken out.
    #[inline]
    pub fn ready(&self) -> u32 {
        // Acquire: pairs with the kernel's release. SAFETY: in the map.
        unsafe { self.producer.as_ref() }.load(Ordering::Acquire).wrapping_sub(self.ours)
    }

    /// Takes out the next entry, of those that are [`Ring::ready`].
    #[inline]
    pub fn take(&mut self) -> T {
        // SAFETY: the index is masked; the kernel does not write to it before it is given back.
        let entry = unsafe { self.entries.add((self.ours & self.mask) as usize).read() };
        self.ours = self.ours.wrapping_add(1);
        entry
    }

    /// Gives the room of what was taken out back.
    #[inline]
    pub fn give_back(&self) {
        // Release: our reads come before the kernel's writes. SAFETY: in the map.
        unsafe { self.consumer.as_ref() }.store(self.ours, Ordering::Release);
    }

    /// Returns whether the kernel wants to be woken before it goes on.
    #[inline]
    pub fn wants_wakeup(&self) -> bool {
        // SAFETY: in the map.
        unsafe { self.flags.as_ref() }.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_as_they_were_put_in_over_the_turn_of_the_counters() {
        let (map, _) = Map::memory(4096).unwrap();
        let base = map.base;
        let offsets = libc::xdp_ring_offset { producer: 0, consumer: 64, desc: 192, flags: 128 };
        let mut ring = Ring::<u64>::new(map, &offsets, 4);
        let word = |at: usize| {
            // SAFETY: in the map, which the ring holds.
            unsafe { AtomicU32::from_ptr(base.add(at).cast().as_ptr()) }
        };
        // Near the turn.
        ring.ours = u32::MAX - 1;
        for n in 0..4 {
            ring.put(n * 4096);
        }
        ring.publish();
        assert_eq!(word(0).load(Ordering::Relaxed), 2);
        ring.ours = u32::MAX - 1;
        assert_eq!(ring.ready(), 4);
        assert_eq!([ring.take(), ring.take(), ring.take(), ring.take()], [0, 4096, 8192, 12288]);
        assert_eq!(ring.ready(), 0);
        ring.give_back();
        assert_eq!(word(64).load(Ordering::Relaxed), 2);
        assert!(!ring.wants_wakeup());
        word(128).store(1, Ordering::Relaxed);
        assert!(ring.wants_wakeup());
    }

    #[test]
    #[should_panic(expected = "within the map")]
    fn nothing_outside_of_a_map_is_had() {
        let (map, _) = Map::memory(4096).unwrap();
        map.at(map.len() - 3, 4);
    }
}
