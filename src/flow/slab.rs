//! A slab of records in chunks, copied on write, so that an epoch can be handed out in O(1) work
//! per chunk and read without locks while the owner goes on.
//!
//! ```text
//!   slot ──▶ map[slot / 64] = (physical chunk, epoch) ──▶ region: 64 records a chunk
//!
//!   freeze   copies the map's chunk numbers for the reader; every chunk is now shared
//!   write    to a shared chunk first copies it to a spare one and redirects the map
//!   release  gives the chunks that were replaced since the last freeze back to the spares
//! ```
//!
//! A reader holds a [`Frozen`], whose chunks nobody writes to until the owner is told, by
//! [`Slab::release`], that the reader let go of it. That a freeze never runs out of spares is
//! ensured by asking [`Slab::can_freeze`] first. One `Frozen` is out at a time.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "chunks are shared with readers without a lock; see the protocol below")]

use std::{marker::PhantomData, mem::size_of};

pub use crate::base::memory::{Advise, Record, no_advice};
use crate::base::{memory::Region, sync::Arc};

/// Records in a chunk.
pub const CHUNK: usize = 64;

#[derive(Clone, Copy, Default)]
struct Place {
    chunk: u32,
    epoch: u32,
}

/// The owner's side: records by slot, copied on write after a freeze.
#[allow(clippy::disallowed_types, reason = "start-up: capacities are fixed then")]
pub struct Slab<T: Record> {
    region: Arc<Region>,
    map: Box<[Place]>,
    /// Chunks of the map in use, from the front.
    used: usize,
    epoch: u32,
    fresh: u32,
    chunks: u32,
    spare: Vec<u32>,
    retired: Vec<u32>,
    copied: u64,
    record: PhantomData<T>,
}

impl<T: Record> Slab<T> {
    /// Returns a slab for `capacity` records, with as many spare chunks as it has chunks.
    #[allow(clippy::disallowed_types, clippy::disallowed_macros, reason = "start-up")]
    pub fn new(capacity: usize, advise: Advise) -> Self {
        let chunks = capacity.div_ceil(CHUNK).max(1);
        let region = Region::new(2 * chunks * CHUNK * size_of::<T>(), advise);
        Self {
            region: Arc::new(region),
            map: vec![Place::default(); chunks].into_boxed_slice(),
            used: 0,
            epoch: 1,
            fresh: 0,
            chunks: 2 * chunks as u32,
            spare: Vec::with_capacity(2 * chunks),
            retired: Vec::with_capacity(chunks),
            copied: 0,
            record: PhantomData,
        }
    }

    /// Returns the number of records there is room for.
    pub fn capacity(&self) -> usize {
        self.map.len() * CHUNK
    }

    /// Makes all slots below `slots` usable; new ones read as zeros.
    #[inline]
    pub fn extend_to(&mut self, slots: usize) {
        while self.used * CHUNK < slots {
            self.map[self.used] = Place { chunk: self.take(), epoch: self.epoch };
            // A recycled chunk holds old records.
            let start = self.chunk_ptr(self.map[self.used].chunk);
            // SAFETY: `take` gave a chunk that nobody else uses; it has CHUNK records.
            unsafe { std::ptr::write_bytes(start, 0, CHUNK) };
            self.used += 1;
        }
    }

    /// Returns the address of a record, to prefetch it. The slot must be usable.
    #[inline]
    pub fn address(&self, slot: u32) -> *const T {
        let place = self.map[slot as usize / CHUNK];
        // SAFETY: `map` holds chunks of the region only, and the remainder is below CHUNK.
        unsafe { self.chunk_ptr(place.chunk).add(slot as usize % CHUNK) }
    }

    /// Returns a record.
    #[inline]
    pub fn get(&self, slot: u32) -> &T {
        debug_assert!((slot as usize) < self.used * CHUNK);
        // SAFETY: the record is zeroed or written; only the owner, borrowed here, could write it.
        unsafe { &*self.address(slot) }
    }

    /// Returns a record for writing; copies its chunk first if a reader may hold it.
    #[inline]
    pub fn get_mut(&mut self, slot: u32) -> &mut T {
        debug_assert!((slot as usize) < self.used * CHUNK);
        let index = slot as usize / CHUNK;
        let mut place = self.map[index];
        if place.epoch != self.epoch {
            place = self.copy_on_write(index);
        }
        // SAFETY: the chunk is of this epoch, so no `Frozen` lists it; `&mut self` is exclusive.
        unsafe { &mut *self.chunk_ptr(place.chunk).add(slot as usize % CHUNK) }
    }

    /// Returns whether there are spare chunks for every chunk that could be written to after a
    /// freeze now.
    pub fn can_freeze(&self) -> bool {
        self.spare.len() + (self.chunks - self.fresh) as usize >= self.map.len()
    }

    /// Hands out the records as they are now, into `out`, whose list is reused.
    ///
    /// The `Frozen` given out before must have been released.
    pub fn freeze(&mut self, out: &mut Frozen<T>) {
        debug_assert!(self.retired.is_empty(), "release comes before the next freeze");
        if !out.region.as_ref().is_some_and(|r| Arc::ptr_eq(r, &self.region)) {
            out.region = Some(Arc::clone(&self.region));
        }
        out.chunks.clear();
        out.chunks.extend_from_slice(&self.map[..self.used]);
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Takes note that the last `Frozen` is read no more: the chunks it kept alive are spares.
    pub fn release(&mut self) {
        self.spare.append(&mut self.retired);
    }

    /// Returns how many chunks were copied since the start.
    pub fn copied(&self) -> u64 {
        self.copied
    }

    #[cold]
    #[inline(never)]
    fn copy_on_write(&mut self, index: usize) -> Place {
        let old = self.map[index].chunk;
        let new = Place { chunk: self.take(), epoch: self.epoch };
        // SAFETY: both chunks lie in the region and differ; the new one is a spare that nobody
        // reads, the old one is not written to by anybody.
        unsafe { std::ptr::copy_nonoverlapping(self.chunk_ptr(old), self.chunk_ptr(new.chunk), CHUNK) };
        self.map[index] = new;
        self.retired.push(old);
        self.copied += 1;
        new
    }

    fn take(&mut self) -> u32 {
        if let Some(chunk) = self.spare.pop() {
            return chunk;
        }
        assert!(self.fresh < self.chunks, "can_freeze left a spare for every chunk");
        self.fresh += 1;
        self.fresh - 1
    }

    #[inline]
    fn chunk_ptr(&self, chunk: u32) -> *mut T {
        // SAFETY: chunk numbers are below `self.chunks`, which the region has room for.
        unsafe { self.region.start().cast::<T>().add(chunk as usize * CHUNK) }
    }
}

/// A reader's side: the records as they were at a freeze.
#[allow(clippy::disallowed_types, reason = "the list is made once and reused")]
pub struct Frozen<T: Record> {
    region: Option<Arc<Region>>,
    chunks: Vec<Place>,
    record: PhantomData<T>,
}

impl<T: Record> Frozen<T> {
    /// Returns an empty one, whose list has room for a slab of `capacity` records.
    #[allow(clippy::disallowed_types, reason = "start-up")]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            region: None,
            chunks: Vec::with_capacity(capacity.div_ceil(CHUNK).max(1)),
            record: PhantomData,
        }
    }

    /// Returns the number of slots, free ones included.
    pub fn slots(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// Returns the number of chunks.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Returns the records of one chunk.
    ///
    /// # Panics
    /// If there is no such chunk.
    pub fn chunk(&self, index: usize) -> &[T; CHUNK] {
        let region = self.region.as_ref().expect("a Frozen with chunks has a region");
        // SAFETY: the chunk number came from the region's own slab, which does not write to it
        // until this `Frozen`, borrowed here, was released.
        unsafe { &*region.start().cast::<T>().add(self.chunks[index].chunk as usize * CHUNK).cast() }
    }

    /// Returns a number that changes whenever the chunk's records do, from one freeze to any later
    /// one: the epoch in which the chunk was last written to.
    pub fn version(&self, index: usize) -> Option<u32> {
        self.chunks.get(index).map(|place| place.epoch)
    }

    /// Returns a record.
    ///
    /// # Panics
    /// If the slot lies beyond the slab.
    pub fn get(&self, slot: u32) -> &T {
        &self.chunk(slot as usize / CHUNK)[slot as usize % CHUNK]
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Cell(u64);
    // SAFETY: a u64 of zeros is 0.
    unsafe impl Record for Cell {}

    #[test]
    fn a_frozen_epoch_does_not_see_later_writes() {
        let mut slab = Slab::<Cell>::new(1000, no_advice);
        slab.extend_to(1000);
        for slot in 0..1000u32 {
            slab.get_mut(slot).0 = u64::from(slot);
        }
        let mut frozen = Frozen::with_capacity(1000);
        for round in 1..50u64 {
            assert!(slab.can_freeze());
            slab.freeze(&mut frozen);
            let before = slab.copied();
            for slot in (0..1000).step_by(3) {
                slab.get_mut(slot).0 += round;
            }
            assert_eq!(slab.copied() - before, 16, "one copy a chunk");
            let past: u64 = (1..round).sum();
            for slot in 0..1000u32 {
                let moved = if slot % 3 == 0 { past } else { 0 };
                assert_eq!(frozen.get(slot).0, u64::from(slot) + moved);
            }
            assert!(!slab.can_freeze());
            slab.release();
        }
    }

    #[test]
    fn untouched_chunks_keep_their_version() {
        let mut slab = Slab::<Cell>::new(256, no_advice);
        slab.extend_to(256);
        let mut a = Frozen::with_capacity(256);
        let mut b = Frozen::with_capacity(256);
        slab.freeze(&mut a);
        slab.get_mut(70).0 = 1;
        slab.release();
        slab.freeze(&mut b);
        let changed = |c: usize| a.version(c) != b.version(c);
        assert_eq!([changed(0), changed(1), changed(2), changed(3)], [false, true, false, false]);
    }

    #[test]
    fn a_chunk_that_moved_to_and_fro_has_another_version() {
        let mut slab = Slab::<Cell>::new(64, no_advice);
        slab.extend_to(64);
        let mut frozen = Frozen::with_capacity(64);
        let mut versions = Vec::new();
        for n in 0..6 {
            slab.get_mut(3).0 = n;
            slab.release();
            slab.freeze(&mut frozen);
            versions.push(frozen.version(0));
        }
        // Two chunks take turns; a reader may skip any epochs in between.
        versions.dedup();
        assert_eq!(versions.len(), 6);
        assert!((0..6).all(|i| !versions[..i].contains(&versions[i])));
    }

    #[test]
    fn new_slots_of_recycled_chunks_are_zero() {
        let mut slab = Slab::<Cell>::new(192, no_advice);
        slab.extend_to(64);
        let mut frozen = Frozen::with_capacity(192);
        slab.get_mut(0).0 = 7;
        slab.freeze(&mut frozen);
        slab.get_mut(0).0 = 8;
        slab.release();
        slab.extend_to(128);
        assert_eq!(slab.get(64).0, 0);
    }
}
