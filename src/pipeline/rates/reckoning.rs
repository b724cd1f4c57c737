//! The arithmetic of one reckoning: a chunk's flows together, and those that are not like others each by itself.
//!
//! Nearly every row of a busy table changes at each reckoning: it moved something, or falls. Which of
//! these it is nothing foresees, so that all rows go through the same operations, without a branch that any two of
//! them may differ in:
//!
//! ```text
//!   seen  = what came, as a rate
//!   shown = the greater of seen and what was shown, fallen     (over: seen; silent, or less than a byte: 0)
//! ```

use crate::{
    base::{
        memory::prefetch,
        time::{Nanos, Stamp},
    },
    flow::{entry::Hot, slab::CHUNK, table::FrozenFlows},
    packet::descriptor::Cut,
    pipeline::rates::{Span, counted::Counted, moved},
};

/// A flow must be that old for its age to count in place of a whole second.
const SHORTEST: Nanos = Nanos::from_millis(100);
/// Silence after which a rate is 0.
const SILENT: Nanos = Nanos::from_secs(10);
/// Below this, bytes per second are none.
const LEAST: f32 = 1.0;

/// Rates of a chunk's flows, by sender.
pub type ChunkRates = [[f32; 2]; CHUNK];

/// What the arithmetic of one reckoning needs.
pub struct Reckoning<'a> {
    flows: &'a FrozenFlows,
    cut: &'a Cut,
    span: &'a Span,
    mix: Mix,
    /// What is left of a rate that falls.
    fall: f32,
    /// A flow whose last packet is older is silent.
    heard_from: Stamp,
}

/// Some rows of a chunk, one bit each.
pub type Places = u64;

/// What is found out of a chunk's rows at once, by place; room that all chunks share.
pub struct Rows {
    /// Bytes that came, by sender; none where a row is apart.
    came: [[u32; 2]; CHUNK],
    /// What is left of what was shown: nothing of a flow that is over, or silent.
    fall: ChunkRates,
    /// 1 where the high end is the Local one, else 0.
    high: ChunkRates,
}

impl Default for Rows {
    fn default() -> Self {
        Self { came: [[0; 2]; CHUNK], fall: [[0.0; 2]; CHUNK], high: [[0.0; 2]; CHUNK] }
    }
}

/// Sums over rows, by which end is the Local one, and by sender.
#[derive(Default)]
pub struct Sums {
    /// Bytes that came.
    pub came: [[u64; 2]; 2],
    /// Rates of what came.
    pub seen: [[f64; 2]; 2],
}

impl<'a> Reckoning<'a> {
    /// Returns what a reckoning at `cut` needs.
    pub fn new(flows: &'a FrozenFlows, cut: &'a Cut, span: &'a Span) -> Self {
        Self {
            flows,
            cut,
            span,
            mix: Mix::of(span),
            fall: (-span.passed.as_secs_f64().max(1e-3)).exp2() as f32,
            heard_from: Stamp(cut.wall.0.checked_sub(SILENT.0).map_or(0, |since| since + 1)),
        }
    }

    /// Reckons the rates of a chunk, what is shown and what came; returns whether any of them is not 0. `young` are
    /// the flows whose first second counted at its real length: of the last reckoning, then of this one.
    pub fn chunk(
        &self,
        (chunk, young): (usize, &mut Places),
        counted: &mut Counted,
        [shown, seen]: [&mut ChunkRates; 2],
        (rows, sums): (&mut Rows, &mut Sums),
    ) -> bool {
        let Some(places) = counted.chunk_mut(chunk) else { return false };
        let were_young = std::mem::take(young);
        let mut apart = self.gather(chunk, were_young, places, seen, (rows, sums));
        let before = if apart == 0 { None } else { Some((*shown, *seen)) };
        self.blend(rows, [shown, seen]);
        if let Some((shown_before, seen_before)) = before {
            while apart != 0 {
                let i = apart.trailing_zeros() as usize;
                apart &= apart - 1;
                (shown[i], seen[i]) = (shown_before[i], seen_before[i]);
                let was_young = were_young >> i & 1 != 0;
                let rates = [&mut shown[i], &mut seen[i]];
                *young |= u64::from(self.one((chunk * CHUNK + i, was_young), counted, rates, sums)) << i;
            }
        }
        sums.add_seen(seen, &rows.high);
        let bits = |rates: &ChunkRates| rates.as_flattened().iter().fold(0, |bits, r| bits | r.to_bits());
        bits(shown) | bits(seen) != 0
    }

    /// Looks at the records of a chunk: what came, and what else a rate depends on. Returns the rows that have to be
    /// reckoned by themselves.
    #[inline]
    fn gather(
        &self,
        chunk: usize,
        were_young: Places,
        places: &mut [[u32; 2]; CHUNK],
        seen: &ChunkRates,
        (rows, sums): (&mut Rows, &mut Sums),
    ) -> Places {
        let falls = [[self.fall; 2], [0.0; 2]];
        let hot = &self.flows.hot;
        // Chunks lie in no order, so that nothing foresees where the next one is.
        let next = hot.chunk((chunk + 1).min(hot.chunks() - 1));
        let (mut apart, mut all, mut high) = (were_young, [0; 2], [0; 2]);
        for (i, (hot, place)) in hot.chunk(chunk).iter().zip(places).enumerate() {
            prefetch(&raw const next[i]);
            let before = place.map(u64::from);
            let came = [0, 1].map(|side| hot.bytes[side].wrapping_sub(before[side]));
            let goes_on = Counted::fits(hot.bytes)
                & ((came[0] | came[1]) >> 32 == 0)
                & (before[0] | before[1] != 0)
                & hot.is_live();
            // Nothing came from a silent one, as a rule, so that it falls to 0.
            let is_silent = hot.last < self.heard_from;
            let moved = came[0] | came[1] | u64::from(seen[i][0].to_bits() | seen[i][1].to_bits());
            let is_apart = !goes_on | (is_silent & (moved != 0)) | (apart >> i & 1 != 0);
            apart |= u64::from(is_apart) << i;
            // All bits, or none.
            let counts = u64::from(is_apart).wrapping_sub(1);
            let local = hot.roles.subject();
            let is_high = (local as u64).wrapping_neg();
            for side in 0..2 {
                let came = came[side] & counts;
                all[side] += came;
                high[side] += came & is_high;
                rows.came[i][side] = came as u32;
                place[side] += came as u32;
            }
            rows.fall[i] = falls[usize::from(hot.state.is_over() | is_silent)];
            rows.high[i] = [[0.0; 2], [1.0; 2]][local];
        }
        for side in 0..2 {
            sums.came[0][side] += all[side] - high[side];
            sums.came[1][side] += high[side];
        }
        apart
    }

    /// Reckons all rows of a chunk as if none were apart.
    #[inline]
    fn blend(&self, rows: &Rows, [shown, seen]: [&mut ChunkRates; 2]) {
        let (came, fall) = (rows.came.as_flattened(), rows.fall.as_flattened());
        let (shown, seen) = (shown.as_flattened_mut(), seen.as_flattened_mut());
        for n in 0..2 * CHUNK {
            let now = self.mix.rate(came[n].into(), seen[n]);
            let fallen = shown[n] * fall[n];
            let rate = if now > fallen { now } else { fallen };
            seen[n] = now;
            shown[n] = if rate < LEAST { 0.0 } else { rate };
        }
    }

    /// Reckons one row: of a free slot, a new flow, one that was young, or one with many bytes. Returns whether its first
    /// second counted at its real length.
    fn one(
        &self,
        (slot, was_young): (usize, bool),
        counted: &mut Counted,
        [shown, seen]: [&mut [f32; 2]; 2],
        sums: &mut Sums,
    ) -> bool {
        let Self { flows, mix, fall, .. } = self;
        let hot = flows.hot.get(slot as u32);
        let bytes = counted.get(slot);
        if !hot.is_live() {
            (*shown, *seen) = ([0.0; 2], [0.0; 2]);
            counted.take(slot);
            return false;
        }
        if hot.bytes == bytes && *shown == [0.0; 2] && *seen == [0.0; 2] {
            return false;
        }
        let came = moved(hot, bytes);
        let before = *seen;
        *seen = [0, 1].map(|side| mix.rate(came[side], before[side]));
        let is_over = hot.state.is_over();
        // Only a flow without bytes at the last reckoning can be younger than that, or one that was in the same second.
        let may_be_young = bytes == [0; 2] || was_young && self.span.joins();
        let steady = if may_be_young && !is_over { self.steady_since(slot, hot) } else { None };
        let now =
            steady.map_or(*seen, |age| hot.bytes.map(|bytes| (bytes as f64 / age.as_secs_f64()) as f32));
        for side in 0..2 {
            // A first second that counted at its real length falls from what really came.
            let from = if was_young { before[side] } else { shown[side] };
            let falls = !is_over && now[side] < shown[side] * fall;
            let rate = if falls { now[side].max(from * fall) } else { now[side] };
            shown[side] = if hot.last < self.heard_from || rate < LEAST { 0.0 } else { rate };
        }
        let of_local = &mut sums.came[hot.roles.subject()];
        of_local.iter_mut().zip(came).for_each(|(sum, came)| *sum += came);
        counted.put(slot, hot.bytes);
        steady.is_some()
    }

    /// Returns the age of a flow that is not older than the reckoning's time and has sent all through it; `None` of
    /// others.
    fn steady_since(&self, slot: usize, hot: &Hot) -> Option<Nanos> {
        let Self { flows, cut, span, .. } = self;
        if hot.frames[0] + hot.frames[1] <= 2 {
            return None;
        }
        let age = cut.wall.since(flows.origins.get(slot as u32).first);
        let silence = cut.wall.since(hot.last);
        let most = if span.joins() { span.window } else { span.heard };
        (age >= SHORTEST && age < most && silence.0 <= age.0 / 4).then_some(age)
    }
}

impl Sums {
    /// Adds the rates of a chunk; `high` is 1 where the high end is the Local one.
    #[inline]
    fn add_seen(&mut self, seen: &ChunkRates, high: &ChunkRates) {
        /// Sums that do not wait for each other.
        const LANES: usize = 8;
        let (mut all, mut of_high) = ([0.0; LANES], [0.0; LANES]);
        let (seen, high) = (seen.as_flattened().as_chunks().0, high.as_flattened().as_chunks().0);
        for (seen, high) in seen.iter().zip(high) {
            let (seen, high): (&[f32; LANES], &[f32; LANES]) = (seen, high);
            for lane in 0..LANES {
                all[lane] += f64::from(seen[lane]);
                of_high[lane] += f64::from(seen[lane] * high[lane]);
            }
        }
        for lane in 0..LANES {
            self.seen[0][lane % 2] += all[lane] - of_high[lane];
            self.seen[1][lane % 2] += of_high[lane];
        }
    }
}

/// [`Span::rate`] for many flows, without a division for each.
#[derive(Clone, Copy)]
struct Mix {
    came: f64,
    before: f64,
}

impl Mix {
    fn of(span: &Span) -> Self {
        let window = span.window.as_secs_f64();
        Self { came: window.recip(), before: span.rest.as_secs_f64() / window }
    }

    #[inline]
    fn rate(self, came: u64, before: f32) -> f32 {
        (came as f64 * self.came + f64::from(before) * self.before) as f32
    }
}
