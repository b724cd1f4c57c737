//! Pieces of memory of one size, and chains of them that hold the beginnings of streams.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "records promise that zeros are a value")]

use std::ops::Range;

use crate::{
    base::memory::{Advise, Array, OutOfMemory, Record, no_advice, prefetch},
    dpi::talk::{MEMORY, STREAM_BUDGET},
};

/// Bytes of a block, which with its link takes four cache lines: most first messages, and most memories, fit into one.
pub const BLOCK: usize = 252;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Piece<const N: usize> {
    bytes: [u8; N],
    /// Of a block in a chain, the number of the next one.
    next: u32,
}

// SAFETY: bytes and an integer.
unsafe impl<const N: usize> Record for Piece<N> {}

/// The blocks that hold one direction's beginning, each linked to the next.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Chain {
    /// The first one's number, if there is one.
    first: u32,
    /// How many there are.
    blocks: u32,
}

impl Chain {
    /// Returns the first block's number, 0 without one.
    #[inline]
    pub const fn first(&self) -> u32 {
        self.first
    }
}

/// Pieces of memory of one size, each as whoever had it last left it: zeros at first.
pub struct Pieces<const N: usize> {
    pool: Array<Piece<N>>,
    /// Those that were given back, as far as `free_len`: the last one is taken first.
    free: Array<u32>,
    free_len: usize,
    /// Pieces ever taken, from the front.
    used: u32,
}

/// See [`BLOCK`].
pub type Blocks = Pieces<BLOCK>;
/// See [`MEMORY`].
pub type Memories = Pieces<MEMORY>;

impl<const N: usize> Pieces<N> {
    /// Returns `count` pieces. Address space is reserved; memory comes with use.
    ///
    /// # Errors
    /// When the system does not give the address space.
    pub fn new(count: usize, advise: Advise) -> Result<Self, OutOfMemory> {
        let (pool, free) = (Array::new(count, advise)?, Array::new(count, no_advice)?);
        Ok(Self { pool, free, free_len: 0, used: 0 })
    }

    /// Starts loading the first `len` bytes of a piece, if there is one: at most what the processor does not foresee.
    #[inline]
    pub fn approach(&self, number: u32, len: usize) {
        /// Cache lines of a block.
        const MOST: usize = 4;
        if let Some(at) = number.checked_sub(1) {
            let first = self.pool.address(at as usize).cast::<[u8; 64]>();
            for line in 0..len.div_ceil(64).min(MOST) {
                prefetch(first.wrapping_add(line));
            }
        }
    }

    /// Takes a piece; returns its number plus 1, or `None` if there is none left.
    #[inline]
    pub fn take(&mut self) -> Option<u32> {
        if let Some(last) = self.free_len.checked_sub(1) {
            self.free_len = last;
            return Some(self.free[last]);
        }
        let is_left = (self.used as usize) < self.pool.len();
        self.used += u32::from(is_left);
        is_left.then_some(self.used)
    }

    /// Gives a piece back.
    #[inline]
    pub fn give_back(&mut self, number: u32) {
        self.free[self.free_len] = number;
        self.free_len += 1;
    }

    /// Returns the bytes of a piece that is taken.
    #[inline]
    pub fn bytes(&self, number: u32) -> &[u8; N] {
        &self.pool[number as usize - 1].bytes
    }

    /// Returns the bytes of a piece that is taken, to be written.
    #[inline]
    pub fn bytes_mut(&mut self, number: u32) -> &mut [u8; N] {
        &mut self.pool[number as usize - 1].bytes
    }
}

impl Blocks {
    /// Writes bytes at an offset of a chain; `false`, with some of them written, if there is no block
    /// left for them.
    pub fn write(&mut self, chain: &mut Chain, at: usize, bytes: &[u8]) -> bool {
        let (mut at, mut bytes) = (at, bytes);
        let (mut nth, mut number) = (0, 0);
        while !bytes.is_empty() {
            while number == 0 || nth < at / BLOCK {
                let Some(next) = self.next_of(chain, nth, number) else { return false };
                nth += usize::from(number != 0);
                number = next;
            }
            let room = &mut self.bytes_mut(number)[at % BLOCK..];
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            at += now.len();
            bytes = later;
        }
        true
    }

    /// Returns the block behind the one with this place and number, or the first one without a number: a new one
    /// at the end.
    fn next_of(&mut self, chain: &mut Chain, nth: usize, number: u32) -> Option<u32> {
        let place = if number == 0 { 0 } else { nth + 1 };
        if place < chain.blocks as usize {
            return Some(if number == 0 { chain.first } else { self.pool[number as usize - 1].next });
        }
        let new = self.take()?;
        match number {
            0 => chain.first = new,
            last => self.pool[last as usize - 1].next = new,
        }
        chain.blocks += 1;
        Some(new)
    }

    /// Returns these bytes of a chain, which were all written: where they lie if all before their end is one
    /// block, else put together in `scratch`.
    pub fn read<'a>(
        &'a self,
        chain: &Chain,
        range: Range<usize>,
        scratch: &'a mut [u8; STREAM_BUDGET],
    ) -> &'a [u8] {
        if range.is_empty() {
            return &[];
        }
        if range.end <= BLOCK {
            return &self.bytes(chain.first)[range];
        }
        let mut number = chain.first;
        for part in scratch[..range.end].chunks_mut(BLOCK) {
            let piece = &self.pool[number as usize - 1];
            part.copy_from_slice(&piece.bytes[..part.len()]);
            number = piece.next;
        }
        &scratch[range]
    }

    /// Gives all blocks of a chain back.
    pub fn release(&mut self, chain: &mut Chain) {
        let Chain { first, blocks } = std::mem::take(chain);
        let mut number = first;
        for _ in 0..blocks {
            let next = self.pool[number as usize - 1].next;
            self.give_back(number);
            number = next;
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::base::memory::no_advice;

    /// Blocks of one direction of a stream at most.
    const LINKS: usize = STREAM_BUDGET.div_ceil(BLOCK);

    #[test]
    fn a_chain_gives_back_what_was_written_in_any_pieces() {
        let all: Vec<u8> = (0..STREAM_BUDGET).map(|i| (i * 7 + i / 256) as u8).collect();
        for piece in [1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 4000] {
            let mut blocks = Blocks::new(LINKS, no_advice).unwrap();
            let (mut chain, mut scratch) = (Chain::default(), [0; STREAM_BUDGET]);
            for at in (0..all.len()).step_by(piece).rev() {
                assert!(blocks.write(&mut chain, at, &all[at..(at + piece).min(all.len())]));
            }
            for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5000, STREAM_BUDGET] {
                assert_eq!(blocks.read(&chain, 0..len, &mut scratch), &all[..len], "{piece} {len}");
                assert_eq!(blocks.read(&chain, len / 2..len, &mut scratch), &all[len / 2..len]);
            }
            assert_eq!(blocks.take(), None);
            blocks.release(&mut chain);
            assert_eq!((0..LINKS).filter(|_| blocks.take().is_some()).count(), LINKS);
        }
    }

    #[test]
    fn a_chain_without_room_says_so() {
        let mut blocks = Blocks::new(1, no_advice).unwrap();
        let mut chain = Chain::default();
        assert!(!blocks.write(&mut chain, 0, &[1; BLOCK + 1]));
        blocks.release(&mut chain);
        assert!(blocks.write(&mut chain, 0, &[1; BLOCK]));
    }
}
