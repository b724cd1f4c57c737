//! A slab of records in chunks, copied on write, so that an epoch can be handed out in O(1) and
//! read without locks while the owner goes on.
//!
//! ```text
//!   owner   slot ──▶ map[slot / 64] = (chunk, epoch) ──▶ region: 64 records a chunk
//!   reader  slot ──▶ blocks[slot / 32768] ──▶ 512 places of the map ──▶ the same region
//!
//!   freeze   copies the blocks' numbers for the reader; every block and chunk is now shared
//!   write    to a shared chunk first copies it to a spare one and redirects the map; the place in
//!            the reader's list is changed too, in a copy of its block if that is shared
//!   release  gives what was replaced since the last freeze back to the spares
//! ```
//!
//! The owner has a list of its own, in one piece, because every packet looks there. Readers get
//! theirs in blocks, because a million flows have 16,000 chunks in each of four slabs, and copying
//! so long a list at once would stop the owner for 150 us.
//!
//! A reader holds a [`Frozen`], whose chunks nobody writes to until the owner is told, by
//! [`Slab::release`], that the reader let go of it. That a freeze never runs out of spares is
//! ensured by asking [`Slab::can_freeze`] first. One `Frozen` is out at a time.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "chunks are shared with readers without a lock; see the protocol below")]

use std::marker::PhantomData;

use super::pool::{self, Pool};
pub use crate::base::memory::{Advise, OutOfMemory, Record, no_advice};
use crate::base::{
    call::Caller,
    memory::{Array, Region},
    sync::Arc,
};

/// Records in a chunk.
pub const CHUNK: usize = 64;
/// Places of chunks in a block of a reader's list: 4 KB.
const BLOCK: usize = 512;

/// Where something shared lies, and the epoch in which it was last written to.
#[derive(Clone, Copy, Default)]
struct Place {
    chunk: u32,
    epoch: u32,
}

// SAFETY: integers only.
unsafe impl Record for Place {}

/// The owner's side: records by slot, copied on write after a freeze.
#[allow(clippy::disallowed_types, reason = "start-up: capacities are fixed then")]
pub struct Slab<T: Record> {
    records: Pool<T, CHUNK>,
    map: Array<Place>,
    /// The readers' list: what `map` holds, in blocks.
    lists: Pool<Place, BLOCK>,
    blocks: Box<[Place]>,
    /// Chunks of the map in use, from the front.
    used: usize,
    epoch: u32,
    copied: u64,
}

impl<T: Record> Slab<T> {
    /// Returns a slab for `capacity` records, with as many spare chunks as it has chunks.
    ///
    /// # Errors
    /// When the system does not give the address space.
    #[allow(clippy::disallowed_macros, reason = "start-up")]
    pub fn new(capacity: usize, advise: Advise) -> Result<Self, OutOfMemory> {
        let chunks = capacity.div_ceil(CHUNK).max(1);
        let blocks = chunks.div_ceil(BLOCK);
        Ok(Self {
            records: Pool::new(chunks, advise)?,
            // Small: no large pages.
            map: Array::new(chunks, no_advice)?,
            lists: Pool::new(blocks, no_advice)?,
            blocks: vec![Place::default(); blocks].into_boxed_slice(),
            used: 0,
            epoch: 1,
            copied: 0,
        })
    }

    /// Calls `ahead` from now on when more of the memory is in use, and returns that memory.
    pub fn call(&mut self, ahead: Caller) -> Arc<Region> {
        self.records.call(ahead);
        Arc::clone(self.records.region())
    }

    /// Returns the number of records there is room for.
    pub fn capacity(&self) -> usize {
        self.map.len() * CHUNK
    }

    /// Makes all slots below `slots` usable; new ones read as zeros.
    #[inline]
    pub fn extend_to(&mut self, slots: usize) {
        while self.used * CHUNK < slots {
            self.add_chunk();
        }
    }

    /// Returns where a record lies until the next freeze, ready for writing: its chunk is copied now
    /// if a reader may hold it.
    ///
    /// # Safety
    /// The slot must be usable.
    #[inline(always)]
    pub unsafe fn spot(&mut self, slot: u32) -> Spot<T> {
        let index = slot as usize / CHUNK;
        debug_assert!(index < self.used);
        // SAFETY: the map holds a place for every usable slot.
        let mut place = unsafe { *self.map.get_unchecked(index) };
        if place.epoch != self.epoch {
            place = self.copy_on_write(index);
        }
        Spot(self.records.start(place.chunk).wrapping_add(slot as usize % CHUNK))
    }

    /// Returns the record at a spot for writing, without finding it again.
    ///
    /// # Safety
    /// The spot must have come from this slab, and nothing have been frozen since.
    #[inline(always)]
    pub unsafe fn at(&mut self, spot: Spot<T>) -> &mut T {
        // SAFETY: the spot was that of a usable slot in a chunk of this epoch, which stays in place
        // and unshared until the next freeze; `&mut self` is exclusive.
        unsafe { &mut *spot.0 }
    }

    /// Returns the address of a record, to prefetch it. The slot must be usable.
    #[inline]
    pub fn address(&self, slot: u32) -> *const T {
        let place = self.map[slot as usize / CHUNK];
        // SAFETY: `map` holds chunks of the region only, and the remainder is below CHUNK.
        unsafe { self.records.start(place.chunk).add(slot as usize % CHUNK) }
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
        unsafe { &mut *self.records.start(place.chunk).add(slot as usize % CHUNK) }
    }

    /// Returns whether there are spare chunks for every chunk that could be written to after a
    /// freeze now.
    pub fn can_freeze(&self) -> bool {
        self.records.can_take(self.map.len()) && self.lists.can_take(self.blocks.len())
    }

    /// Hands out the records as they are now, into `out`, whose list is reused.
    ///
    /// The `Frozen` given out before must have been released.
    pub fn freeze(&mut self, out: &mut Frozen<T>) {
        debug_assert!(
            self.records.is_released() && self.lists.is_released(),
            "release comes before the next freeze"
        );
        if !out.regions.as_ref().is_some_and(|r| Arc::ptr_eq(&r.records, self.records.region())) {
            out.regions = Some(Regions {
                records: Arc::clone(self.records.region()),
                lists: Arc::clone(self.lists.region()),
            });
        }
        out.chunks = self.used;
        out.blocks.clear();
        out.blocks.extend(self.blocks[..self.used.div_ceil(BLOCK)].iter().map(|block| block.chunk));
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Takes note that the last `Frozen` is read no more: the chunks it kept alive are spares.
    pub fn release(&mut self) {
        self.records.release();
        self.lists.release();
    }

    /// Returns how many chunks were copied since the start.
    pub fn copied(&self) -> u64 {
        self.copied
    }

    #[inline(never)]
    fn add_chunk(&mut self) {
        let chunk = self.records.take_zeroed();
        if self.used.is_multiple_of(BLOCK) {
            self.blocks[self.used / BLOCK] = Place { chunk: self.lists.take(), epoch: self.epoch };
        }
        self.used += 1;
        self.put(self.used - 1, Place { chunk, epoch: self.epoch });
    }

    #[cold]
    #[inline(never)]
    fn copy_on_write(&mut self, index: usize) -> Place {
        // SAFETY: the chunk is shared, so its owner, borrowed here, does not write to it, and
        // nobody else ever does.
        let chunk = unsafe { self.records.copy(self.map[index].chunk) };
        let place = Place { chunk, epoch: self.epoch };
        self.put(index, place);
        self.copied += 1;
        place
    }

    /// Changes a place, for the owner and for the readers of later epochs.
    fn put(&mut self, index: usize, place: Place) {
        self.map[index] = place;
        let block = &mut self.blocks[index / BLOCK];
        if block.epoch != self.epoch {
            // SAFETY: as in `copy_on_write`.
            *block = Place { chunk: unsafe { self.lists.copy(block.chunk) }, epoch: self.epoch };
        }
        // SAFETY: the block is of this epoch, so no `Frozen` lists it; the remainder is below BLOCK.
        unsafe { self.lists.start(block.chunk).add(index % BLOCK).write(place) };
    }
}

/// Where a record of a slab lies until the next freeze.
#[derive(Debug)]
pub struct Spot<T>(*mut T);

impl<T> Spot<T> {
    /// A place where nothing lies.
    pub const NOWHERE: Self = Self(std::ptr::null_mut());

    /// Returns the address, to prefetch it.
    #[inline(always)]
    pub const fn address(self) -> *const T {
        self.0
    }
}

impl<T> Clone for Spot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Spot<T> {}

/// A reader's side: the records as they were at a freeze.
#[allow(clippy::disallowed_types, reason = "the list is made once and reused")]
pub struct Frozen<T: Record> {
    regions: Option<Regions>,
    /// Blocks of the list of chunks.
    blocks: Vec<u32>,
    chunks: usize,
    record: PhantomData<T>,
}

struct Regions {
    records: Arc<Region>,
    lists: Arc<Region>,
}

impl<T: Record> Frozen<T> {
    /// Returns an empty one, whose list has room for a slab of `capacity` records.
    #[allow(clippy::disallowed_types, reason = "start-up")]
    pub fn with_capacity(capacity: usize) -> Self {
        let blocks = Vec::with_capacity(capacity.div_ceil(CHUNK * BLOCK).max(1));
        Self { regions: None, blocks, chunks: 0, record: PhantomData }
    }

    /// Returns the number of slots, free ones included.
    pub fn slots(&self) -> usize {
        self.chunks * CHUNK
    }

    /// Returns the number of chunks.
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// Returns the records of one chunk.
    ///
    /// # Panics
    /// If there is no such chunk.
    pub fn chunk(&self, index: usize) -> &[T; CHUNK] {
        let (regions, place) = self.place(index).expect("a chunk below `chunks`");
        // SAFETY: the chunk number came from the region's own slab, which does not write to it
        // until this `Frozen`, borrowed here, was released.
        unsafe { &*pool::start::<T, CHUNK>(&regions.records, place.chunk).cast() }
    }

    /// Returns a number that changes whenever the chunk's records do, from one freeze to any later
    /// one: the epoch in which the chunk was last written to.
    pub fn version(&self, index: usize) -> Option<u32> {
        self.place(index).map(|(_, place)| place.epoch)
    }

    /// Returns a record.
    ///
    /// # Panics
    /// If the slot lies beyond the slab.
    pub fn get(&self, slot: u32) -> &T {
        &self.chunk(slot as usize / CHUNK)[slot as usize % CHUNK]
    }

    #[inline]
    fn place(&self, index: usize) -> Option<(&Regions, Place)> {
        if index >= self.chunks {
            return None;
        }
        let regions = self.regions.as_ref()?;
        let block = pool::start::<Place, BLOCK>(&regions.lists, self.blocks[index / BLOCK]);
        // SAFETY: the block's number came from the slab that the region belongs to, which does not
        // write to it until this `Frozen` was released; places below `chunks` were written before.
        Some((regions, unsafe { *block.add(index % BLOCK) }))
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
        let mut slab = Slab::<Cell>::new(1000, no_advice).unwrap();
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
    fn a_list_of_several_blocks_is_that_of_its_epoch() {
        // Chunks come while a reader holds an epoch, also the first ones of a block.
        let step = CHUNK * 200;
        let mut slab = Slab::<Cell>::new(step * 9, no_advice).unwrap();
        let mut frozen = Frozen::with_capacity(step * 9);
        for round in 1..=9u64 {
            slab.freeze(&mut frozen);
            let held = step * (round as usize - 1);
            slab.extend_to(step * round as usize);
            for chunk in 0..200 * round as u32 {
                slab.get_mut(chunk * CHUNK as u32).0 += round << (chunk % 7);
            }
            assert_eq!(frozen.slots(), held);
            let told: u64 = (0..frozen.chunks()).map(|c| frozen.chunk(c)[0].0 >> (c % 7)).sum();
            let want: u64 = (1..round).map(|r| 200 * r * r).sum();
            assert_eq!(told, want, "round {round}");
            slab.release();
        }
    }

    #[test]
    fn untouched_chunks_keep_their_version() {
        let mut slab = Slab::<Cell>::new(256, no_advice).unwrap();
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
        let mut slab = Slab::<Cell>::new(64, no_advice).unwrap();
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
        let mut slab = Slab::<Cell>::new(192, no_advice).unwrap();
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
