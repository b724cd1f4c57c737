//! Chunks of records in one region, and a queue of those that are free.
//!
//! ```text
//!            head            ready            tail
//!   queue  ───▶ spare  spare  ──▶ retired retired ──▶ (room)
//! ```
//!
//! A chunk that was replaced is retired: a reader may still look at it. Once the reader is known to
//! be gone, all that are retired become spares at once, which takes no longer for a million.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "chunks lie in one region that readers share")]

use std::{marker::PhantomData, mem::size_of};

use crate::base::{
    call::Caller,
    memory::{Advise, Array, OutOfMemory, Record, Region, no_advice},
    sync::Arc,
};

/// `2 n` chunks of `N` records each: `n` in use, and as many for copies.
pub(super) struct Pool<T: Record, const N: usize> {
    region: Arc<Region>,
    /// Chunks in all.
    chunks: u32,
    /// Chunks that were taken at least once.
    fresh: u32,
    /// Numbers of free chunks, one place more than there are chunks.
    queue: Array<u32>,
    head: usize,
    ready: usize,
    tail: usize,
    /// Who touches memory ahead, and how many chunks are fresh when they are called next.
    ahead: Option<Caller>,
    call_at: u32,
    record: PhantomData<T>,
}

/// Bytes of chunks after which those are called who touch memory ahead.
const CALL_EVERY: usize = 256 << 10;

impl<T: Record, const N: usize> Pool<T, N> {
    /// Returns a pool of `2 * n` chunks.
    pub fn new(n: usize, advise: Advise) -> Result<Self, OutOfMemory> {
        let chunks = 2 * n;
        let region = Region::new(chunks * N * size_of::<T>(), advise)?;
        Ok(Self {
            region: Arc::new(region),
            chunks: chunks as u32,
            fresh: 0,
            queue: Array::new(chunks + 1, no_advice)?,
            head: 0,
            ready: 0,
            tail: 0,
            ahead: None,
            call_at: u32::MAX,
            record: PhantomData,
        })
    }

    /// Calls `ahead` from now on whenever some more of the region is in use, which is told there.
    pub fn call(&mut self, ahead: Caller) {
        self.ahead = Some(ahead);
        self.call_at = self.fresh + 1;
    }

    /// Returns the region that the chunks lie in.
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Returns a chunk that nobody else uses; one that was used before holds old records.
    ///
    /// # Panics
    /// When there is none; the owner asks [`Pool::can_copy`] before every freeze.
    #[inline]
    pub fn take(&mut self) -> u32 {
        if self.head != self.ready {
            let chunk = self.queue[self.head];
            self.head = self.after(self.head);
            return chunk;
        }
        assert!(self.fresh < self.chunks, "can_copy left a spare for every chunk");
        self.fresh += 1;
        if self.fresh >= self.call_at {
            self.call_ahead();
        }
        self.fresh - 1
    }

    #[cold]
    #[inline(never)]
    fn call_ahead(&mut self) {
        let size = N * size_of::<T>();
        self.call_at = self.fresh + (CALL_EVERY / size).max(1) as u32;
        self.region.set_used(self.fresh as usize * size);
        self.ahead.iter().for_each(Caller::call);
    }

    /// Returns a chunk of zeros that nobody else uses. Memory that was never used is zeros, and is left untouched:
    /// it may be of a kind of record that few flows have.
    pub fn take_zeroed(&mut self) -> u32 {
        let fresh = self.fresh;
        let chunk = self.take();
        if self.fresh == fresh {
            // SAFETY: `take` gave a chunk that nobody else uses, with N records; zeros are a value.
            unsafe { std::ptr::write_bytes(self.start(chunk), 0, N) };
        }
        chunk
    }

    /// Takes a chunk back that a reader may still look at.
    #[inline]
    pub fn retire(&mut self, chunk: u32) {
        self.queue[self.tail] = chunk;
        self.tail = self.after(self.tail);
    }

    /// Makes spares of all chunks that were retired.
    pub fn release(&mut self) {
        self.ready = self.tail;
    }

    /// Returns whether no chunk is retired and not released.
    pub fn is_released(&self) -> bool {
        self.ready == self.tail
    }

    /// Returns whether `n` chunks can be taken.
    pub fn can_take(&self, n: usize) -> bool {
        let spare = (self.ready + self.queue.len() - self.head) % self.queue.len();
        spare + (self.chunks - self.fresh) as usize >= n
    }

    /// Returns a copy of a chunk, which is retired.
    ///
    /// # Safety
    /// Nobody writes to the chunk, which came from [`Pool::take`].
    #[inline]
    pub unsafe fn copy(&mut self, old: u32) -> u32 {
        let new = self.take();
        // SAFETY: both lie in the region and differ; the new one is a spare that nobody reads, and
        // the old one is written to by nobody, says the caller.
        unsafe { std::ptr::copy_nonoverlapping(self.start(old), self.start(new), N) };
        self.retire(old);
        new
    }

    /// Returns the address of a chunk's first record.
    #[inline]
    pub fn start(&self, chunk: u32) -> *mut T {
        debug_assert!(chunk < self.chunks);
        start::<T, N>(&self.region, chunk)
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        if place + 1 == self.queue.len() { 0 } else { place + 1 }
    }
}

/// Returns the address of a chunk's first record. The chunk's number must come from the pool that
/// the region belongs to.
#[inline]
pub(super) fn start<T: Record, const N: usize>(region: &Region, chunk: u32) -> *mut T {
    // Numbers are below `Pool::chunks`, which the region has room for, so this stays within it;
    // the arithmetic itself needs no promise.
    region.start().cast::<T>().wrapping_add(chunk as usize * N)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests are off the packet path")]
mod tests {
    use super::*;
    use crate::base::memory::no_advice;

    #[derive(Clone, Copy)]
    struct Cell(u64);
    // SAFETY: a u64 of zeros is 0.
    unsafe impl Record for Cell {}

    #[test]
    fn zeros_are_asked_for_and_given() {
        let mut pool = Pool::<Cell, 4>::new(2, no_advice).unwrap();
        for round in 0..20 {
            let chunk = pool.take_zeroed();
            for at in 0..4 {
                // SAFETY: the chunk was taken and has four records.
                let cell = unsafe { &mut *pool.start(chunk).add(at) };
                assert_eq!(cell.0, 0, "round {round}");
                cell.0 = 7;
            }
            pool.retire(chunk);
            pool.release();
        }
    }

    #[test]
    fn fresh_memory_is_told_ahead_of_its_use() {
        use crate::base::sync::atomic::{AtomicUsize, Ordering};
        let mut pool = Pool::<Cell, 512>::new(2048, no_advice).unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        pool.call(Caller::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        // A chunk is a page of 4 KB.
        for taken in 1..=1000 {
            pool.take();
            assert_eq!(calls.load(Ordering::Relaxed), (taken - 1) / 64 + 1);
            // Half a large page, and every large page behind it.
            let wants = taken > 256 && (taken - 1) / 64 * 64 + 1 > 256;
            assert_eq!(pool.region().wants_more(), wants, "{taken}");
        }
        // What is used again is there.
        let before = calls.load(Ordering::Relaxed);
        for _ in 0..1000 {
            pool.retire(0);
            pool.release();
            pool.take();
        }
        assert_eq!(calls.load(Ordering::Relaxed), before);
    }

    #[test]
    fn no_chunk_is_given_twice_and_none_is_lost() {
        let mut pool = Pool::<Cell, 4>::new(50, no_advice).unwrap();
        let mut held: Vec<u32> = (0..50).map(|_| pool.take()).collect();
        let mut random = 7u64;
        for round in 0..1000 {
            assert!(pool.is_released() && pool.can_take(50) && !pool.can_take(51), "round {round}");
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            for place in 0..(random >> 33) as usize % 51 {
                let new = pool.take();
                assert!(!held.contains(&new));
                pool.retire(std::mem::replace(&mut held[place], new));
            }
            pool.release();
        }
    }
}
