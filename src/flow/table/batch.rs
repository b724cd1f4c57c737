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
// Sets of places in a batch are bits of a word.
const _: () = assert!(MOST <= u32::BITS as usize);

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

/// Room for candidates.
pub(super) struct Batch<'a>([MaybeUninit<Candidate<'a>>; MOST]);

impl<'a> Batch<'a> {
    /// Returns room with nothing in it.
    #[inline(always)]
    pub const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; MOST])
    }

    /// Takes what `next` returns until that is nothing, or there is no more room; returns all of it.
    #[inline(always)]
    pub fn fill(&mut self, mut next: impl FnMut() -> Option<Candidate<'a>>) -> &[Candidate<'a>] {
        let mut len = 0;
        while len < MOST {
            let Some(candidate) = next() else { break };
            self.0[len].write(candidate);
            len += 1;
        }
        let written = &self.0[..len];
        // SAFETY: all of them were just written, and `MaybeUninit<T>` has the layout of `T`.
        unsafe { &*(std::ptr::from_ref(written) as *const [Candidate<'a>]) }
    }
}
