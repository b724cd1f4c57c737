//! Bytes by slot and sender at the last reckoning, in 8 bytes a flow: those of flows that moved more than 4 GB lie apart.

use std::collections::HashMap;

use crate::flow::slab::CHUNK;

/// Bytes by slot and sender.
#[derive(Default)]
pub struct Counted {
    low: Vec<[u32; 2]>,
    high: HashMap<u32, [u64; 2]>,
}

impl Counted {
    /// What stands in `low` for bytes that lie apart.
    pub const APART: [u32; 2] = [u32::MAX; 2];

    /// Makes room for so many slots.
    pub fn resize(&mut self, slots: usize) {
        self.low.resize(slots, [0; 2]);
    }

    /// Returns what stands in a chunk's places: bytes, or [`Counted::APART`]. `None` beyond what it was resized to.
    pub fn chunk_mut(&mut self, chunk: usize) -> Option<&mut [[u32; 2]; CHUNK]> {
        self.low.get_mut(chunk * CHUNK..)?.first_chunk_mut()
    }

    /// Returns a slot's bytes.
    #[inline]
    pub fn get(&self, slot: usize) -> [u64; 2] {
        match self.low.get(slot) {
            Some(&Self::APART) => self.high.get(&(slot as u32)).copied().unwrap_or_default(),
            Some(bytes) => bytes.map(u64::from),
            None => [0; 2],
        }
    }

    /// Returns whether bytes fit into a chunk's place.
    #[inline(always)]
    pub const fn fits([low, high]: [u64; 2]) -> bool {
        (low | high) >> 32 == 0 && low & high != u32::MAX as u64
    }

    /// `slot` must be below what it was resized to.
    #[inline]
    pub fn put(&mut self, slot: usize, bytes: [u64; 2]) {
        let before = self.low[slot];
        let fits = Self::fits(bytes);
        if !fits || before == Self::APART {
            self.put_apart(slot as u32, bytes, fits);
        }
        self.low[slot] = if fits { bytes.map(|b| b as u32) } else { Self::APART };
    }

    #[cold]
    fn put_apart(&mut self, slot: u32, bytes: [u64; 2], fits: bool) {
        if fits {
            self.high.remove(&slot);
        } else {
            self.high.insert(slot, bytes);
        }
    }

    /// Returns a slot's bytes, which are 0 from then on.
    pub fn take(&mut self, slot: usize) -> [u64; 2] {
        let bytes = self.get(slot);
        if bytes != [0; 2] {
            self.put(slot, [0; 2]);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_whatever_their_number() {
        let mut counted = Counted::default();
        counted.resize(3);
        let most = u64::from(u32::MAX);
        let cases =
            [[0, 0], [1, 2], [most, 0], [most, most], [most + 1, 0], [5, u64::MAX], [7, 7], [most - 1, most]];
        for bytes in cases {
            counted.put(1, bytes);
            assert_eq!([0, 1, 2, 9].map(|slot| counted.get(slot)), [[0; 2], bytes, [0; 2], [0; 2]]);
        }
        counted.put(1, [most + 1, 0]);
        assert_eq!((counted.take(1), counted.get(1), counted.high.len()), ([most + 1, 0], [0; 2], 0));
    }
}
