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
pub const SHORTEST: Nanos = Nanos::from_millis(100);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{ids::Epoch, memory::no_advice},
        flow::{
            locals::Locals,
            table::{EndedFlows, FlowTable, TableConfig},
        },
        packet::{
            descriptor::Descriptor,
            hash::Seed,
            key::{FlowKey, kind, proto},
            line::Line,
        },
    };

    /// Tells the rates of flows that end.
    #[derive(Default)]
    struct Ended(Vec<FlowRecord>);

    impl crate::dpi::notes::Learn for Ended {
        fn learned(&mut self, _: crate::base::ids::FlowId, _: crate::dpi::notes::Learned<'_>) {}
    }

    impl EndedFlows for Ended {
        fn ended(&mut self, record: &FlowRecord) {
            self.0.push(*record);
        }
    }

    /// One worker's table and the collector's side of it.
    struct Bench {
        table: FlowTable,
        frozen: FrozenFlows,
        ended: Ended,
        rates: Rates,
        list: Vec<[f32; 2]>,
        sum: DownUp,
        reckoned: Nanos,
    }

    impl Bench {
        fn new(capacity: usize) -> Self {
            let table = FlowTable::new(TableConfig {
                capacity,
                seed: Seed::new(1),
                locals: Locals::default(),
                home_interfaces: false,
                advise: no_advice,
                worker: 0,
                inspects: false,
            });
            let frozen = FrozenFlows::with_capacity(capacity);
            let (ended, rates, sum) = (Ended::default(), Rates::default(), DownUp::default());
            Self { table, frozen, ended, rates, list: Vec::new(), sum, reckoned: Nanos(0) }
        }

        /// A frame of `bytes` bytes of UDP flow `n`, from the low end, which is the initiator.
        fn frame(&mut self, n: u64, ms: u64, bytes: u32) {
            let key = FlowKey {
                ends: n << 32 | u64::from(u32::MAX),
                ports: [40_000, 9],
                proto: proto::UDP,
                kind: kind::LIVE,
                zero: 0,
            };
            let now = Nanos::from_millis(ms);
            let frame = Descriptor {
                key,
                hash: Seed::new(1).hash(&key),
                wall: Stamp(now.0 + 1),
                tick: now.tick(),
                wire_len: bytes,
                segments: 1,
                ..Descriptor::default()
            };
            self.table.process(&[Line::of(frame)], &crate::packet::payload::Behind, &mut self.ended);
        }

        /// A cut; `due` is whether rates are reckoned at it.
        fn cut(&mut self, ms: u64, due: bool) -> DownUp {
            let now = Nanos::from_millis(ms);
            self.table.set_cutoff(now.tick());
            assert!(self.table.sweep(usize::MAX, &mut self.ended));
            for record in self.ended.0.drain(..) {
                self.rates.ended(&record, &mut self.sum);
            }
            self.table.release();
            assert!(self.table.freeze(&mut self.frozen));
            self.rates.forget_ended(&mut self.list);
            if !due {
                return DownUp::default();
            }
            let cut = Cut { epoch: Epoch(1), now, wall: Stamp(now.0 + 1), last: false };
            let mut sum = std::mem::take(&mut self.sum);
            self.rates.reckon(&self.frozen, &cut, now.since(self.reckoned), &mut self.list, &mut sum);
            self.reckoned = now;
            sum
        }

        fn rate(&self, slot: usize) -> f32 {
            self.list[slot][0]
        }
    }

    #[test]
    fn a_steady_flow_has_the_rate_of_the_last_second() {
        let mut bench = Bench::new(64);
        for second in 0..5 {
            for tenth in 0..10 {
                bench.frame(1, second * 1000 + tenth * 100, 500);
            }
            let sum = bench.cut((second + 1) * 1000, true);
            assert_eq!(bench.rate(0), 5000.0, "second {second}");
            assert_eq!(sum, DownUp { down: 0, up: 5000 });
        }
    }

    #[test]
    fn it_rises_at_once_and_falls_with_a_half_life_of_a_second() {
        let mut bench = Bench::new(64);
        bench.frame(1, 0, 1000);
        bench.cut(1000, true);
        for _ in 0..8 {
            bench.frame(1, 1500, 8000);
        }
        bench.cut(2000, true);
        assert_eq!(bench.rate(0), 64_000.0, "no half-life upwards");
        // Slower, then silent.
        bench.frame(1, 2500, 100);
        for (second, want) in [(3, 32_000.0), (4, 16_000.0), (5, 8_000.0)] {
            bench.cut(second * 1000, true);
            assert!((bench.rate(0) - want).abs() < 1.0, "{second}: {}", bench.rate(0));
        }
        // A cut later than a second falls as far as the time says.
        bench.cut(7000, true);
        assert!((bench.rate(0) - 2_000.0).abs() < 1.0, "{}", bench.rate(0));
    }

    #[test]
    fn ten_seconds_after_the_last_packet_it_is_0() {
        let mut bench = Bench::new(64);
        for _ in 0..100 {
            bench.frame(1, 500, 60_000);
        }
        for second in 1..=10 {
            bench.cut(second * 1000, true);
            assert!(bench.rate(0) > 1000.0, "second {second}");
        }
        bench.cut(10_500, true);
        assert_eq!(bench.rate(0), 0.0);
        bench.cut(11_500, true);
        assert_eq!(bench.rate(0), 0.0);
        bench.frame(1, 12_000, 60);
        bench.cut(12_500, true);
        assert!(bench.rate(0) > 0.0, "it can move again");
    }

    #[test]
    fn below_a_byte_a_second_is_none() {
        let mut bench = Bench::new(64);
        bench.frame(1, 500, 3);
        bench.cut(1000, true);
        bench.cut(2000, true);
        assert_eq!(bench.rate(0), 3.0);
        bench.cut(4000, true);
        assert_eq!(bench.rate(0), 0.0);
    }

    #[test]
    fn a_first_second_counts_at_its_real_length() {
        let mut bench = Bench::new(64);
        bench.frame(1, 0, 60);
        bench.cut(1000, true);
        bench.frame(2, 1750, 1000);
        bench.frame(3, 1999, 1000);
        bench.cut(2000, true);
        assert_eq!(bench.rate(1), 4000.0, "a quarter of a second old");
        assert_eq!(bench.rate(2), 10_000.0, "very young ones count as a tenth");
    }

    #[test]
    fn a_flow_that_moves_is_never_0() {
        let mut bench = Bench::new(256);
        let mut previous = 0;
        // Cuts four times a second, reckoned once: chunks are copied to and fro in between.
        for cut in 1..200 {
            let ms = cut * 250;
            for n in 0..3 {
                // One per second, per 2 s, per 5 s.
                let every = [1000, 2000, 5000][n as usize];
                if ms / every != previous / every {
                    bench.frame(n, ms - 10, 1500);
                }
            }
            previous = ms;
            bench.cut(ms, cut % 4 == 0);
            if cut > 24 && cut % 4 == 0 {
                for slot in 0..3 {
                    assert!(bench.rate(slot) > 0.0, "flow {slot} at {ms} ms");
                }
            }
        }
    }

    #[test]
    fn an_idle_flow_that_wakes_between_two_reckonings_is_seen() {
        for cuts in 1..6 {
            let mut bench = Bench::new(64);
            bench.frame(1, 0, 60);
            let mut ms = 20_000;
            bench.cut(ms, true);
            assert_eq!(bench.rate(0), 0.0);
            for _ in 0..cuts {
                ms += 100;
                bench.frame(1, ms - 1, 1000);
                bench.cut(ms, false);
            }
            bench.cut(21_000, true);
            assert_eq!(bench.rate(0), (cuts * 1000) as f32, "{cuts} cuts");
        }
    }

    #[test]
    fn a_new_flow_inherits_nothing_from_its_slot() {
        let mut bench = Bench::new(1);
        for _ in 0..100 {
            bench.frame(1, 500, 60_000);
        }
        bench.cut(1000, true);
        assert_eq!(bench.rate(0), 12_000_000.0, "half a second old");
        // The table has one slot.
        bench.frame(2, 1500, 100);
        bench.cut(1600, false);
        assert_eq!(bench.rate(0), 0.0, "not the last tenant's, not even until the next reckoning");
        let sum = bench.cut(2000, true);
        assert_eq!(bench.rate(0), 200.0);
        assert_eq!(sum, DownUp { down: 0, up: 100 });
    }

    #[test]
    fn the_sum_has_every_byte_once() {
        let mut bench = Bench::new(4);
        let (mut sent, mut told) = (0, 0);
        for round in 0..100u64 {
            for n in 0..1 + round % 7 {
                bench.frame(n, round * 1000 + 1, 100 + n as u32);
                sent += 100 + n;
            }
            told += bench.cut(round * 1000 + 1000, round % 3 == 0).up;
        }
        told += bench.cut(200_000, true).up;
        assert_eq!(told, sent);
    }
}
