//! The frames of a burst whose cache misses overlap.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "room for a batch is not written before it is used")]

use std::mem::MaybeUninit;

use crate::{
    flow::{entry::Hot, slab::Spot},
    packet::descriptor::Descriptor,
};

/// Frames in a batch at most.
const MOST: usize = 32;

/// A frame of a batch, and where its flow most likely is.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub frame: &'a Descriptor,
    pub spot: Spot<Hot>,
    /// [`super::NONE`] without a candidate.
    pub slot: u32,
    /// The frame's line.
    pub at: u32,
}

/// Candidates, in the order of their frames.
pub(super) struct Batch<'a> {
    candidates: [MaybeUninit<Candidate<'a>>; MOST],
    len: usize,
}

impl<'a> Batch<'a> {
    /// Returns an empty batch.
    #[inline(always)]
    pub const fn new() -> Self {
        Self { candidates: [const { MaybeUninit::uninit() }; MOST], len: 0 }
    }

    #[inline(always)]
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    #[inline(always)]
    pub const fn is_full(&self) -> bool {
        self.len == MOST
    }

    /// Adds a candidate. The batch must not be full.
    #[inline(always)]
    pub fn push(&mut self, candidate: Candidate<'a>) {
        self.candidates[self.len].write(candidate);
        self.len += 1;
    }

    #[inline(always)]
    pub fn as_slice(&self) -> &[Candidate<'a>] {
        let pushed = &self.candidates[..self.len];
        // SAFETY: `push` wrote all of them, and `MaybeUninit<T>` has the layout of `T`.
        unsafe { &*(std::ptr::from_ref(pushed) as *const [Candidate<'a>]) }
    }
}
