//! The records of all flows as readers see them.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::{
        ids::FlowId,
        memory::{Array, no_advice, prefetch},
        sync::Arc,
        time::Stamp,
    },
    flow::{
        entry::{Facts, Hot, Origin, RoundTrip, Tally, WideEnds},
        health::Health,
        slab::{CHUNK, Frozen},
        table::{FlowTable, NO_WIDE_KEY},
        tcp::TcpTrack,
    },
    packet::key::{Extension, WideKey, kind, proto},
};

/// The records of all flows as of one cut.
pub struct FrozenFlows {
    /// By slot.
    pub hot: Frozen<Hot>,
    /// By slot.
    pub origins: Frozen<Origin>,
    /// By slot.
    pub round_trips: Frozen<RoundTrip>,
    /// By slot.
    pub tallies: Frozen<Tally>,
    /// By slot; those of IPv6 and extended keys.
    pub ends: Frozen<WideEnds>,
    /// By slot; those of extended keys.
    pub extensions: Frozen<Extension>,
    /// By slot; with the last cut only, after which they change no more.
    pub tracks: Option<Arc<Array<TcpTrack>>>,
}

/// How much of what stands beside the hot records is looked at: each part is memory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    /// Hot records only.
    Nothing,
    /// What was written when flows began.
    Origins,
    /// Round trips and tallies, too.
    All,
}

impl FrozenFlows {
    /// Returns an empty one for a table of `capacity` flows.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            hot: Frozen::with_capacity(capacity),
            origins: Frozen::with_capacity(capacity),
            round_trips: Frozen::with_capacity(capacity),
            tallies: Frozen::with_capacity(capacity),
            ends: Frozen::with_capacity(capacity),
            extensions: Frozen::with_capacity(capacity),
            tracks: None,
        }
    }

    /// Returns what is known of the flow in a slot beside its hot record.
    #[inline]
    pub fn facts(&self, slot: u32) -> Facts {
        Facts::new(self.origins.get(slot), *self.round_trips.get(slot), self.tallies.get(slot))
    }

    /// Returns the facts of a chunk's flows, slot by slot; zeros for what is not to be looked at.
    ///
    /// # Panics
    /// If there is no such chunk.
    #[inline]
    pub fn facts_of_chunk(&self, chunk: usize, beside: Beside) -> impl Fn(usize) -> Facts {
        let (origins, tallies): (&[_; CHUNK], &[_; CHUNK]) =
            (self.origins.chunk(chunk), self.tallies.chunk(chunk));
        let round_trips: &[_; CHUNK] = self.round_trips.chunk(chunk);
        move |i| match beside {
            Beside::Nothing => Facts::default(),
            Beside::Origins => Facts::new(&origins[i], RoundTrip::default(), &Tally::default()),
            Beside::All => Facts::new(&origins[i], round_trips[i], &tallies[i]),
        }
    }

    /// Returns what starts loading a row of a chunk, by its number in the chunk. Chunks lie in no order, so that nothing
    /// foresees where the next one is.
    ///
    /// # Panics
    /// If there is no such chunk.
    #[inline]
    pub fn approach_chunk(&self, chunk: usize, beside: Beside) -> impl Fn(usize) {
        let (hot, origins): (&[_; CHUNK], &[_; CHUNK]) = (self.hot.chunk(chunk), self.origins.chunk(chunk));
        let (round_trips, tallies): (&[_; CHUNK], &[_; CHUNK]) =
            (self.round_trips.chunk(chunk), self.tallies.chunk(chunk));
        move |i| {
            prefetch(&raw const hot[i]);
            if beside != Beside::Nothing {
                prefetch(&raw const origins[i]);
            }
            if beside == Beside::All {
                prefetch(&raw const round_trips[i]);
                prefetch(&raw const tallies[i]);
            }
        }
    }

    /// Returns when the first frame of any flow came.
    pub fn earliest(&self) -> Option<Stamp> {
        let chunks = 0..self.hot.chunks();
        let firsts = chunks.flat_map(|c| self.hot.chunk(c).iter().zip(self.origins.chunk(c)));
        firsts.filter(|(hot, _)| hot.is_live()).map(|(_, origin)| origin.first).min()
    }

    /// Returns the windows and legs of the flow in a slot, if this is the last cut and it is one of TCP.
    pub fn health(&self, slot: u32) -> Option<Health> {
        let tracks = self.tracks.as_ref().filter(|_| self.hot.get(slot).key.proto == proto::TCP)?;
        Some(tracks[slot as usize].health())
    }

    /// Returns the rest of the key of the flow in a slot.
    pub fn wide_key(&self, slot: u32) -> WideKey {
        wide_key(self.hot.get(slot).key.kind, slot, |s| *self.ends.get(s), |s| *self.extensions.get(s))
    }
}

impl FlowTable {
    /// Hands out all records as they are now. Returns `false`, and does nothing, if spare memory
    /// could not serve the copies that may follow.
    pub fn freeze(&mut self, into: &mut FrozenFlows) -> bool {
        let able = self.hot.can_freeze()
            && self.origins.can_freeze()
            && self.round_trips.can_freeze()
            && self.tallies.can_freeze()
            && self.ends.can_freeze()
            && self.extensions.can_freeze();
        if able {
            self.hot.freeze(&mut into.hot);
            self.origins.freeze(&mut into.origins);
            self.round_trips.freeze(&mut into.round_trips);
            self.tallies.freeze(&mut into.tallies);
            self.ends.freeze(&mut into.ends);
            self.extensions.freeze(&mut into.extensions);
        }
        able
    }

    /// Hands out, behind the last cut, what only the table has known: it knows nothing of connections any more. Without
    /// address space for others in their place it keeps them.
    pub fn part_with_tracks(&mut self, into: &mut FrozenFlows) {
        let Ok(none) = Array::new(self.tcp.len(), no_advice) else { return };
        into.tracks = Some(Arc::new(std::mem::replace(&mut self.tcp, none)));
    }

    /// Returns the windows and legs of a flow, if it is one of TCP and here.
    pub fn health(&self, id: FlowId) -> Option<Health> {
        let slot = id.slot();
        if id.worker() != self.config.worker || slot as usize >= self.used {
            return None;
        }
        let hot = self.hot.get(slot);
        let is_here = hot.is_live() && self.origins.get(slot).generation == id.generation();
        (is_here && hot.key.proto == proto::TCP).then(|| self.tcp[slot as usize].health())
    }

    /// Takes note that what was frozen last is read no more.
    pub fn release(&mut self) {
        self.hot.release();
        self.origins.release();
        self.round_trips.release();
        self.tallies.release();
        self.ends.release();
        self.extensions.release();
    }

    /// Returns how many chunks of hot records were copied for readers since the start.
    pub fn chunks_copied(&self) -> u64 {
        self.hot.copied()
    }
}

pub(super) fn wide_key(
    bits: u8,
    slot: u32,
    ends: impl Fn(u32) -> WideEnds,
    extension: impl Fn(u32) -> Extension,
) -> WideKey {
    let mut wide = NO_WIDE_KEY;
    if bits & kind::WIDE != 0 {
        wide.ends = ends(slot).0;
    }
    if bits & kind::EXTENDED != 0 {
        wide.extension = extension(slot);
    }
    wide
}
