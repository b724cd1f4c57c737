//! From hash to slot: open addressing over buckets of one cache line.
//!
//! ```text
//!  bucket   12 tags (0 = free) │ overflow │ 12 slots        64 bytes
//! ```
//!
//! A flow goes to the bucket of its hash, or to the next one with room; each bucket passed over
//! counts it in `overflow`, so that a search ends at the first bucket that nobody overflowed from.
//! Deletion needs no tombstones: it takes the flow out of the counts again. (The scheme is that of
//! F14, N. Bronson and X. Shi, "Open-sourcing F14 for faster, more memory-efficient hash tables",
//! 2019.) All tags are compared at once.
//!
//! A table with room for a million flows mostly has few. Their buckets lie in a small array, which a core's cache
//! and its table of pages hold: over an array for all flows they would be strewn, a page for each (5 ns a packet
//! at 1,000 and at 20,000 flows). Once it has its fill, flows move to the large one, some with every burst.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "buckets promise that zeros are a value; a masked index needs no check")]

use crate::base::memory::{Advise, Array, OutOfMemory, Record, prefetch};

/// Slots in a bucket.
const LANES: usize = 12;
/// Slots that a bucket holds on average when the table is full.
const FILL: usize = 9;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u8; LANES],
    /// Flows of this bucket or an earlier one that went past it; sticks at the maximum.
    overflow: u32,
    slots: [u32; LANES],
}

const _: () = assert!(size_of::<Bucket>() == 64);

// SAFETY: integers only.
unsafe impl Record for Bucket {}

/// Buckets of the array that few flows lie in.
const FEW: usize = 8192;
/// Flows beyond which they move to the larger array.
const MOST_OF_FEW: usize = 8 * FEW;
/// Buckets whose flows move at once: some 20 flows.
const STEP: usize = 2;

/// The index of one flow table.
pub struct Index {
    /// Where flows are added.
    level: Level,
    /// Where flows were added before, and are until they are moved.
    before: Level,
    /// Buckets of `before` whose flows have moved: all but while they are moving.
    moved: usize,
    /// Where flows will be added once there are many.
    larger: Option<Level>,
    len: usize,
}

impl Index {
    /// Returns an index with room for `flows` flows.
    ///
    /// # Errors
    /// When the system does not give the address space.
    pub fn new(flows: usize, advise: Advise) -> Result<Self, OutOfMemory> {
        let buckets = flows.div_ceil(FILL).next_power_of_two();
        Ok(Self {
            level: Level::new(buckets.min(FEW), advise)?,
            before: Level::new(1, advise)?,
            moved: 1,
            larger: if buckets > FEW { Some(Level::new(buckets, advise)?) } else { None },
            len: 0,
        })
    }

    /// Starts loading the bucket of a hash.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        self.level.prefetch(hash);
    }

    /// Returns the first slot that may be the flow's, without looking further than the bucket behind the hash's own
    /// one: what to prefetch. Calls `another` with each other one, which are few: tags have 8 bits.
    #[inline]
    pub fn candidate(&self, hash: u32, another: impl FnMut(u32)) -> Option<u32> {
        self.level.candidate(hash, another).or_else(|| match self.is_moving() {
            true => self.before.candidate(hash, |_| {}),
            false => None,
        })
    }

    /// Returns the slot of the flow with this hash for which `is_it` holds.
    #[inline]
    pub fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.level.find(hash, &mut is_it).or_else(|| match self.is_moving() {
            true => self.before.find(hash, is_it),
            false => None,
        })
    }

    /// Adds a slot. The caller keeps the number of flows within what the index was made for.
    #[inline]
    pub fn insert(&mut self, hash: u32, slot: u32) {
        if self.len == MOST_OF_FEW && self.larger.is_some() {
            self.begin_to_move();
        }
        self.len += 1;
        self.level.insert(hash, slot);
    }

    /// Removes a slot that was added with this hash.
    pub fn remove(&mut self, hash: u32, slot: u32) {
        self.len -= 1;
        let has_moved = !self.is_moving() || self.level.find(hash, |other| other == slot).is_some();
        let level = if has_moved { &mut self.level } else { &mut self.before };
        level.remove(hash, slot);
    }

    /// Returns whether [`Index::go_on`] is to be called.
    #[inline(always)]
    pub const fn is_moving(&self) -> bool {
        self.moved <= self.before.mask
    }

    /// Moves some flows to the larger array. `hash_of` tells the hash that a slot was added with; `ahead` is called
    /// for slots of which that will be asked next.
    #[cold]
    pub fn go_on(&mut self, hash_of: impl Fn(u32) -> u32, ahead: impl Fn(u32)) {
        let end = (self.moved + STEP).min(self.before.mask + 1);
        for at in self.moved..end {
            for slot in self.before.buckets[at].slots() {
                let hash = hash_of(slot);
                self.before.remove(hash, slot);
                self.level.insert(hash, slot);
            }
        }
        self.moved = end;
        for at in end..(end + STEP).min(self.before.mask + 1) {
            self.before.buckets[at].slots().for_each(&ahead);
        }
    }

    #[cold]
    fn begin_to_move(&mut self) {
        if let Some(larger) = self.larger.take() {
            self.before = std::mem::replace(&mut self.level, larger);
            self.moved = 0;
        }
    }
}

/// Buckets, a power of two of them.
struct Level {
    buckets: Array<Bucket>,
    mask: usize,
}

impl Level {
    fn new(buckets: usize, advise: Advise) -> Result<Self, OutOfMemory> {
        Ok(Self { buckets: Array::new(buckets, advise)?, mask: buckets - 1 })
    }

    /// Starts loading the bucket of a hash.
    #[inline]
    fn prefetch(&self, hash: u32) {
        prefetch(self.buckets.address(hash as usize & self.mask));
    }

    /// Returns the first slot that may be the flow's, without looking further than the bucket behind the hash's own
    /// one: what to prefetch. Calls `another` with each other one, which are few: tags have 8 bits.
    #[inline]
    fn candidate(&self, hash: u32, mut another: impl FnMut(u32)) -> Option<u32> {
        // SAFETY: there are `mask + 1` buckets.
        let bucket = unsafe { self.buckets.get_unchecked(hash as usize & self.mask) };
        let lanes = bucket.matching(tag(hash));
        if lanes == 0 {
            return if bucket.overflow == 0 { None } else { self.candidate_behind(hash) };
        }
        let mut others = lanes & (lanes - 1);
        while others != 0 {
            another(bucket.slots[others.trailing_zeros() as usize]);
            others &= others - 1;
        }
        Some(bucket.slots[lanes.trailing_zeros() as usize])
    }

    /// Returns the first slot that may be the flow's in the bucket behind the hash's own one. Few lie there; loads for it
    /// overlap with those of other frames only if they begin now.
    #[inline(never)]
    fn candidate_behind(&self, hash: u32) -> Option<u32> {
        let bucket = &self.buckets[(hash as usize + 1) & self.mask];
        let lanes = bucket.matching(tag(hash));
        (lanes != 0).then(|| bucket.slots[lanes.trailing_zeros() as usize])
    }

    /// Returns the slot of the flow with this hash for which `is_it` holds.
    #[inline]
    fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize & self.mask;
        loop {
            let bucket = &self.buckets[at];
            let mut lanes = bucket.matching(tag(hash));
            while lanes != 0 {
                let slot = bucket.slots[lanes.trailing_zeros() as usize];
                if is_it(slot) {
                    return Some(slot);
                }
                lanes &= lanes - 1;
            }
            if bucket.overflow == 0 {
                return None;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds a slot. The caller keeps the number of flows within what the index was made for.
    #[inline]
    fn insert(&mut self, hash: u32, slot: u32) {
        let mut at = hash as usize & self.mask;
        loop {
            let bucket = &mut self.buckets[at];
            let free = bucket.matching(0);
            if free != 0 {
                let lane = free.trailing_zeros() as usize;
                bucket.tags[lane] = tag(hash);
                bucket.slots[lane] = slot;
                return;
            }
            bucket.overflow = bucket.overflow.saturating_add(1);
            at = (at + 1) & self.mask;
        }
    }

    /// Removes a slot that was added with this hash.
    fn remove(&mut self, hash: u32, slot: u32) {
        let mut at = hash as usize & self.mask;
        loop {
            let bucket = &mut self.buckets[at];
            let mut lanes = bucket.matching(tag(hash));
            while lanes != 0 {
                let lane = lanes.trailing_zeros() as usize;
                if bucket.slots[lane] == slot {
                    bucket.tags[lane] = 0;
                    return;
                }
                lanes &= lanes - 1;
            }
            debug_assert!(bucket.overflow != 0, "a slot to remove is in the index");
            if bucket.overflow == 0 {
                return;
            }
            if bucket.overflow != u32::MAX {
                bucket.overflow -= 1;
            }
            at = (at + 1) & self.mask;
        }
    }
}

impl Bucket {
    /// Returns the slots that are in it now.
    fn slots(&self) -> impl Iterator<Item = u32> + use<> {
        let bucket = *self;
        (0..LANES).filter(move |&lane| bucket.tags[lane] != 0).map(move |lane| bucket.slots[lane])
    }

    /// Returns the lanes whose tag is this one, as bits.
    #[inline]
    fn matching(&self, tag: u8) -> u32 {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_load_si128, _mm_movemask_epi8, _mm_set1_epi32};
            let tags = i32::from(tag).wrapping_mul(0x0101_0101);
            // SAFETY: SSE2 is part of x86-64; a bucket is aligned to 64 bytes and begins with the tags,
            // so that its first 16 bytes can be loaded, those of `overflow` among them.
            let bits = unsafe {
                let first = _mm_load_si128((&raw const *self).cast());
                _mm_movemask_epi8(_mm_cmpeq_epi8(first, _mm_set1_epi32(tags)))
            };
            bits as u32 & ((1 << LANES) - 1)
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let mut bits = 0;
            for (lane, t) in self.tags.iter().enumerate() {
                bits |= u32::from(*t == tag) << lane;
            }
            bits
        }
    }
}

/// Returns the tag of a hash: the bits that choose no bucket, never 0.
#[inline]
const fn tag(hash: u32) -> u8 {
    let high = (hash >> 24) as u8;
    high + (high == 0) as u8
}

#[cfg(test)]
#[allow(clippy::disallowed_types, reason = "tests are off the packet path")]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::base::memory::no_advice;

    #[test]
    fn finds_what_was_added_and_not_removed() {
        // Few distinct hashes, so that buckets overflow and tags collide.
        let mut index = Index::new(3000, no_advice).unwrap();
        let mut model: HashMap<u32, u32> = HashMap::new();
        let mut random = 1u64;
        let mut next = || {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) as u32
        };
        let hash_of = |slot: u32| (slot % 97).wrapping_mul(0x9e37_79b9);
        for _ in 0..200_000 {
            let slot = next() % 3000;
            if model.remove(&slot).is_some() {
                index.remove(hash_of(slot), slot);
            } else {
                index.insert(hash_of(slot), slot);
                model.insert(slot, 0);
            }
            let asked = next() % 3000;
            assert_eq!(index.find(hash_of(asked), |s| s == asked).is_some(), model.contains_key(&asked));
        }
        for slot in model.keys() {
            index.remove(hash_of(*slot), *slot);
        }
        assert_empty(&index.level);
    }

    fn assert_empty(level: &Level) {
        for at in 0..level.buckets.len() {
            assert_eq!((level.buckets[at].tags, level.buckets[at].overflow), ([0; LANES], 0));
        }
    }

    #[test]
    fn flows_are_found_while_they_move() {
        let flows = 2 * MOST_OF_FEW as u32;
        let mut index = Index::new(flows as usize, no_advice).unwrap();
        // Every 64th hash is that of 63 others too.
        let hash_of = |slot: u32| if slot.is_multiple_of(64) { 5 } else { slot.wrapping_mul(0x9e37_79b9) };
        let has = |index: &Index, slot| index.find(hash_of(slot), |s| s == slot).is_some();
        let (mut steps, mut ended) = (0, 0);
        for slot in (0..flows).filter(|slot| !slot.is_multiple_of(64) || *slot < 4096) {
            index.insert(hash_of(slot), slot);
            if !index.is_moving() {
                continue;
            }
            // Some end meanwhile, from either array.
            if slot.is_multiple_of(8) {
                index.remove(hash_of(ended), ended);
                ended += 1;
            }
            for other in [ended, slot / 2, slot - 1, slot] {
                let is_there = !other.is_multiple_of(64) || other < 4096;
                assert_eq!(has(&index, other), is_there && other >= ended, "{other} of {slot}");
            }
            if slot.is_multiple_of(4) {
                index.go_on(hash_of, |soon| assert!(soon <= slot));
                steps += 1;
            }
        }
        assert_eq!(steps, FEW / STEP);
        assert!(!index.is_moving());
        assert_empty(&index.before);
        for slot in (ended..flows).filter(|slot| !slot.is_multiple_of(64) || *slot < 4096) {
            assert!(has(&index, slot));
            index.remove(hash_of(slot), slot);
        }
        assert_empty(&index.level);
        assert_eq!(index.len, 0);
    }

    #[test]
    fn a_flow_behind_a_full_bucket_is_a_candidate() {
        let mut index = Index::new(1000, no_advice).unwrap();
        // A bucket's flows and one more, with a tag each.
        let hash_of = |slot: u32| (slot + 1) << 24 | 5;
        let slots = 0..=LANES as u32;
        slots.clone().for_each(|slot| index.insert(hash_of(slot), slot));
        for slot in slots {
            assert_eq!(index.candidate(hash_of(slot), |_| {}), Some(slot));
        }
        assert_eq!(index.candidate(hash_of(40), |_| {}), None);
    }

    #[test]
    fn a_full_index_ends_every_search() {
        let mut index = Index::new(1000, no_advice).unwrap();
        for slot in 0..1000u32 {
            index.insert(slot.wrapping_mul(0x9e37_79b9), slot);
        }
        assert_eq!(index.find(77, |_| false), None);
    }
}
