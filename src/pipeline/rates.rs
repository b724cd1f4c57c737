//! Bytes per second of every flow, from the difference between two epochs.
//!
//! A rate is that of the last second; while a flow slows down, it falls with a half-life of a
//! second at most, and it is 0 ten seconds after the last packet. A flow that began within the
//! second counts for the time since its first frame.

use crate::{
    base::time::{Nanos, Stamp},
    flow::{
        entry::{FlowRecord, Hot},
        slab::CHUNK,
        table::FrozenFlows,
    },
    packet::descriptor::Cut,
};

/// The shortest time over which a new flow's rate is reckoned.
const SHORTEST: Nanos = Nanos::from_millis(100);
/// Silence after which a rate is 0.
const SILENT: Nanos = Nanos::from_secs(10);
/// Below this, bytes per second are none.
const LEAST: f32 = 1.0;

/// The rates of one worker's flows.
#[derive(Default)]
pub struct Rates {
    /// Bytes by slot and sender at the last reckoning; 0 since the flow there ended.
    bytes: Vec<[u64; 2]>,
    chunks: Vec<Chunk>,
    /// Slots whose flows ended since a list was cleared of them.
    vacated: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
struct Chunk {
    /// The chunk's version at the last reckoning, plus 1.
    version: u64,
    /// Some rate in it is not 0.
    moving: bool,
}

/// Bytes towards the Local and the Remote end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DownUp {
    /// Towards Local.
    pub down: u64,
    /// Towards Remote.
    pub up: u64,
}

impl Rates {
    /// Takes the last bytes of a flow that ended, and forgets it.
    pub fn ended(&mut self, record: &FlowRecord, sum: &mut DownUp) {
        let slot = record.id.slot() as usize;
        let before = self.bytes.get_mut(slot).map(std::mem::take).unwrap_or_default();
        // Each slot stands here once at most until the next reckoning.
        if before != [0; 2] {
            self.vacated.push(slot as u32);
        }
        add(&record.hot, before, sum);
    }

    /// Takes the rates of flows that ended out of a list: their slots' next flows have nothing in
    /// common with them.
    pub fn forget_ended(&mut self, rates: &mut [[f32; 2]]) {
        for slot in self.vacated.drain(..) {
            if let Some(rate) = rates.get_mut(slot as usize) {
                *rate = [0.0; 2];
            }
        }
    }

    /// Reckons the rates at a cut, `elapsed` after the last reckoning, into `rates`.
    pub fn reckon(
        &mut self,
        flows: &FrozenFlows,
        cut: &Cut,
        elapsed: Nanos,
        rates: &mut Vec<[f32; 2]>,
        sum: &mut DownUp,
    ) {
        let slots = flows.hot.slots();
        self.bytes.resize(slots, [0; 2]);
        self.chunks.resize(flows.hot.chunks(), Chunk::default());
        rates.resize(slots, [0.0; 2]);
        let seconds = elapsed.as_secs_f64().max(1e-3);
        let fall = (-seconds).exp2() as f32;
        for (c, chunk) in self.chunks.iter_mut().enumerate() {
            let version = flows.hot.version(c).map_or(0, |v| u64::from(v) + 1);
            if version == chunk.version && !chunk.moving {
                continue;
            }
            chunk.version = version;
            chunk.moving = false;
            let facts = flows.facts.chunk(c);
            for (i, hot) in flows.hot.chunk(c).iter().enumerate() {
                let slot = c * CHUNK + i;
                let (rate, bytes) = (&mut rates[slot], &mut self.bytes[slot]);
                if !hot.is_live() {
                    *rate = [0.0; 2];
                    *bytes = [0; 2];
                    continue;
                }
                if hot.bytes == *bytes && *rate == [0.0; 2] {
                    continue;
                }
                let over = time_of(facts[i].first, cut.wall, elapsed);
                let silent = cut.wall.since(hot.last) >= SILENT;
                for side in 0..2 {
                    // A slot that has a new flow although no end was told counts from 0.
                    let moved = hot.bytes[side].checked_sub(bytes[side]).unwrap_or(hot.bytes[side]);
                    let now = (moved as f64 / over) as f32;
                    rate[side] = now.max(rate[side] * fall);
                    if silent || rate[side] < LEAST {
                        rate[side] = 0.0;
                    }
                }
                add(hot, *bytes, sum);
                *bytes = hot.bytes;
                chunk.moving |= *rate != [0.0; 2];
            }
        }
    }
}

/// Returns the seconds over which a flow's bytes are spread.
fn time_of(first: Stamp, cut: Stamp, elapsed: Nanos) -> f64 {
    let age = cut.since(first).max(SHORTEST);
    age.min(elapsed.max(SHORTEST)).as_secs_f64()
}

fn add(hot: &Hot, before: [u64; 2], sum: &mut DownUp) {
    let moved = [0, 1].map(|i| hot.bytes[i].checked_sub(before[i]).unwrap_or(hot.bytes[i]));
    let local = hot.roles.subject();
    sum.down += moved[1 - local];
    sum.up += moved[local];
}
