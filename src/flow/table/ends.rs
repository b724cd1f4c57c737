//! Ends of flows: lifetimes that have passed, a table that is full.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::{
        ids::FlowId,
        memory::prefetch,
        time::{Nanos, Tick},
    },
    flow::{
        entry::{Facts, FlowRecord, Hot, RoundTrip, Tally},
        health::Health,
        slab::CHUNK,
        state::{EndReason, FlowState},
        table::{EndedFlows, FlowTable, frozen::wide_key, is_embryo, is_half_open},
    },
    packet::key::proto,
};

/// No flow ends sooner than this after its last packet or its final state.
pub(super) const SHORTEST_LIFE: u32 = Tick::span(Nanos::from_secs(1));
/// Later than any flow ends: 12 days in ticks.
const FAR: u32 = 1_000_000_000;
/// Records looked at to find the one to evict when no flow is half-open.
const EVICTION_WINDOW: u32 = 64;
/// How many slots ahead of an eviction records are loaded, and buckets.
const RECORDS_AHEAD: u32 = 16;
const BUCKETS_AHEAD: u32 = 8;

/// What expiry knows of a chunk of flows.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct ChunkState {
    /// No flow of the chunk ends before.
    pub deadline: Tick,
    pub live: u32,
}

impl FlowTable {
    /// Moves time on: flows whose lifetime has passed at `now` are over, and a sweep begins.
    pub fn set_cutoff(&mut self, now: Tick) {
        self.cutoff = now;
        self.sweep = 0;
    }

    /// Ends flows that are over, looking at `chunks` chunks of 64 at most; returns whether the
    /// sweep of this cut is through.
    pub fn sweep(&mut self, chunks: usize, ended: &mut impl EndedFlows) -> bool {
        let mut budget = chunks;
        let all = self.used.div_ceil(CHUNK);
        while self.sweep < all {
            let chunk = self.chunks[self.sweep];
            if chunk.live > 0 && !is_before(self.cutoff, chunk.deadline) {
                if budget == 0 {
                    return false;
                }
                budget -= 1;
                self.sweep_chunk(self.sweep, ended);
            }
            self.sweep += 1;
        }
        true
    }

    /// Returns the tick before which no flow ends by itself; far ahead if there are none.
    pub fn quiet_until(&self) -> Tick {
        let far = Tick(self.cutoff.0.wrapping_add(FAR));
        let live = self.chunks[..self.used.div_ceil(CHUNK)].iter().filter(|chunk| chunk.live > 0);
        live.map(|chunk| chunk.deadline).fold(far, |a, b| if is_before(b, a) { b } else { a })
    }

    pub(super) fn sweep_chunk(&mut self, chunk: usize, ended: &mut impl EndedFlows) {
        let mut deadline: Option<Tick> = None;
        for slot in (chunk * CHUNK) as u32..((chunk + 1) * CHUNK).min(self.used) as u32 {
            let hot = self.hot.get(slot);
            if !hot.is_live() {
                continue;
            }
            if is_over(hot, self.cutoff) {
                let reason = hot.state.end_reason();
                self.end(slot, reason, ended);
                continue;
            }
            let end = end_of(hot.tick, hot.state);
            if deadline.is_none_or(|d| is_before(end, d)) {
                deadline = Some(end);
            }
        }
        self.chunks[chunk].deadline = deadline.unwrap_or_default();
    }

    pub(super) fn expect_end(&mut self, slot: u32, from: Tick, state: FlowState) {
        let end = end_of(from, state);
        let chunk = &mut self.chunks[slot as usize / CHUNK];
        // With one flow alone, the deadline may be that of an earlier tenant.
        if chunk.live <= 1 || is_before(end, chunk.deadline) {
            chunk.deadline = end;
        }
    }

    /// Ends one flow to make room: a half-open or one-packet one, in the order of the slots (which
    /// a flood fills oldest first); without any, the one that is silent for longest among some.
    #[cold]
    pub(super) fn evict(&mut self, ended: &mut impl EndedFlows) {
        let mut embryo = self.embryos.next(self.hand);
        while let Some(slot) = embryo.filter(|&slot| !is_embryo(self.hot.get(slot))) {
            debug_assert!(false, "flow {slot} is none that is evicted first");
            self.embryos.put(slot, false);
            embryo = self.embryos.next(self.hand);
        }
        let victim = embryo.unwrap_or_else(|| {
            let capacity = self.config.capacity as u32;
            (0..EVICTION_WINDOW.min(capacity))
                .map(|i| (self.hand + i) % capacity)
                .max_by_key(|&slot| self.cutoff.0.wrapping_sub(self.hot.get(slot).tick.0) as i32)
                .expect("a full table has a slot")
        });
        self.hand = (victim + 1) % self.config.capacity as u32;
        self.prepare_eviction(victim);
        self.counts.evicted += 1;
        self.end(victim, EndReason::Evicted, ended);
    }

    /// Starts loading what it takes to evict the flows that are next in the order of the slots: their
    /// records, and a little later their buckets. A flood evicts one a packet, and each would have to
    /// wait for its bucket (a third of all time) and its records.
    pub(super) fn prepare_eviction(&self, victim: u32) {
        let (soon, later) = (victim + BUCKETS_AHEAD, victim + RECORDS_AHEAD);
        if (later as usize) < self.used {
            prefetch(self.hot.address(later));
            prefetch(self.origins.address(later));
            prefetch(self.round_trips.address(later));
            prefetch(self.tallies.address(later));
            prefetch(self.tcp.address(later as usize));
        }
        if (soon as usize) < self.used {
            self.index.prefetch(self.config.seed.hash(&self.hot.get(soon).key));
        }
    }

    pub(super) fn end(&mut self, slot: u32, reason: EndReason, ended: &mut impl EndedFlows) {
        let record = self.record(slot, Some(reason));
        self.index.remove(self.config.seed.hash(&record.hot.key), slot);
        if let Some(inspector) = &mut self.inspector {
            inspector.forget(slot);
        }
        *self.hot.get_mut(slot) = Hot::default();
        if *self.round_trips.get(slot) != RoundTrip::default() {
            *self.round_trips.get_mut(slot) = RoundTrip::default();
        }
        if *self.tallies.get(slot) != Tally::default() {
            *self.tallies.get_mut(slot) = Tally::default();
        }
        self.free[self.free_len] = slot;
        self.free_len += 1;
        if is_embryo(&record.hot) {
            self.embryos.put(slot, false);
        }
        self.chunks[slot as usize / CHUNK].live -= 1;
        self.counts.closed += 1;
        self.counts.live -= 1;
        self.counts.half_open -= u64::from(is_half_open(record.hot.state));
        ended.ended(&record);
    }

    /// Returns what is known of a flow beside its hot record.
    #[inline(always)]
    pub(super) fn facts(&self, slot: u32) -> Facts {
        Facts::new(self.origins.get(slot), *self.round_trips.get(slot), self.tallies.get(slot))
    }

    /// Returns the windows and legs of a flow whose windows were closed at times: of others they are not worth the time.
    #[inline(always)]
    fn closed_windows(&self, slot: u32, hot: &Hot) -> Option<Health> {
        let track = (hot.key.proto == proto::TCP).then(|| &self.tcp[slot as usize])?;
        track.has_zero_windows().then(|| track.health())
    }

    pub(super) fn record(&self, slot: u32, end: Option<EndReason>) -> FlowRecord {
        let hot = *self.hot.get(slot);
        let facts = self.facts(slot);
        FlowRecord {
            hot,
            facts,
            wide: wide_key(hot.key.kind, slot, |s| *self.ends.get(s), |s| *self.extensions.get(s)),
            id: FlowId::new(self.config.worker, slot, facts.generation),
            end,
            health: self.closed_windows(slot, &hot),
        }
    }
}

pub(super) fn is_over(hot: &Hot, cutoff: Tick) -> bool {
    cutoff.since(hot.tick) >= lives_for(hot.state)
}

fn end_of(from: Tick, state: FlowState) -> Tick {
    Tick(from.0.wrapping_add(lives_for(state)))
}

/// Returns how long a row lives in a state, in ticks.
#[inline]
pub(super) fn lives_for(state: FlowState) -> u32 {
    LIVES[usize::from(state as u8)]
}

/// By state; read instead of computed, since states change with every other packet of a short flow.
static LIVES: [u32; 256] = {
    let (mut lives, mut i) = ([0; 256], 0);
    while i < FlowState::ALL.len() {
        let state = FlowState::ALL[i];
        lives[state as usize] = Tick::span(state.expires_after());
        i += 1;
    }
    lives
};

/// Returns whether `a` is earlier than `b`, both within 26 days.
fn is_before(a: Tick, b: Tick) -> bool {
    (a.0.wrapping_sub(b.0) as i32) < 0
}
