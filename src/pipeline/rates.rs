//! Bytes per second of every flow, from the difference between two epochs.
//!
//! A rate is that of the last second; while a flow slows down, it falls with a half-life of a
//! second at most, and it is 0 ten seconds after the last packet. A flow that began within the
//! second counts for the time since its first frame. A connection that was closed counts as what the last second
//! brought and does not fall slowly, so that short connections add up to what the wire carried.
//!
//! The sum of the rows' rates, falling ones included, is the total that a screen shows at its head:
//! the two never disagree.

use std::ops::AddAssign;

use crate::{
    base::time::Nanos,
    flow::{
        entry::{FlowRecord, Hot, Roles},
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
    /// Slots whose flows ended since a list was cleared of them, and which of their ends was whose.
    vacated: Vec<(u32, Roles)>,
}

#[derive(Clone, Copy, Default)]
struct Chunk {
    /// The chunk's version at the last reckoning, plus 1.
    version: u64,
    /// Some rate in it is not 0.
    moving: bool,
}

/// What moves towards the Local and the Remote end: bytes (`u64`), or bytes per second (`f64`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DownUp<T> {
    /// Towards Local.
    pub down: T,
    /// Towards Remote.
    pub up: T,
}

impl<T: AddAssign> AddAssign for DownUp<T> {
    fn add_assign(&mut self, rhs: Self) {
        self.down += rhs.down;
        self.up += rhs.up;
    }
}

impl Rates {
    /// Takes note that a flow ended, and returns the bytes that it moved since the last reckoning.
    pub fn ended(&mut self, record: &FlowRecord) -> DownUp<u64> {
        let slot = record.id.slot() as usize;
        let before = self.bytes.get_mut(slot).map(std::mem::take).unwrap_or_default();
        // Each slot stands here once at most until the next reckoning.
        if before != [0; 2] {
            self.vacated.push((slot as u32, record.hot.roles));
        }
        let moved = moved(&record.hot, before);
        let local = record.hot.roles.subject();
        DownUp { down: moved[1 - local], up: moved[local] }
    }

    /// Takes the rates of flows that ended out of a list, because their slots' next flows have
    /// nothing in common with them; returns the sum of what was taken out.
    pub fn forget_ended(&mut self, rates: &mut [[f32; 2]]) -> DownUp<f64> {
        let mut sum = DownUp::default();
        for (slot, roles) in self.vacated.drain(..) {
            if let Some(rate) = rates.get_mut(slot as usize) {
                sum += down_up(std::mem::take(rate), roles);
            }
        }
        sum
    }

    /// Reckons the rates at a cut, `elapsed` after the last reckoning, into `rates`, and returns
    /// the sum over all rows.
    pub fn reckon(
        &mut self,
        flows: &FrozenFlows,
        cut: &Cut,
        elapsed: Nanos,
        rates: &mut Vec<[f32; 2]>,
    ) -> DownUp<f64> {
        let slots = flows.hot.slots();
        self.bytes.resize(slots, [0; 2]);
        self.chunks.resize(flows.hot.chunks(), Chunk::default());
        rates.resize(slots, [0.0; 2]);
        let second = elapsed.max(SHORTEST);
        let per_second = 1.0 / second.as_secs_f64();
        let fall = (-elapsed.as_secs_f64().max(1e-3)).exp2() as f32;
        let mut sum = DownUp::default();
        for (c, chunk) in self.chunks.iter_mut().enumerate() {
            let version = flows.hot.version(c).map_or(0, |v| u64::from(v) + 1);
            if version == chunk.version && !chunk.moving {
                continue;
            }
            chunk.version = version;
            let slots = c * CHUNK..(c + 1) * CHUNK;
            let records = flows.hot.chunk(c).iter().zip(0u32..);
            let mut of_chunk = DownUp::default();
            for ((hot, i), (rate, bytes)) in
                records.zip(rates[slots.clone()].iter_mut().zip(&mut self.bytes[slots]))
            {
                if !hot.is_live() {
                    *rate = [0.0; 2];
                    *bytes = [0; 2];
                    continue;
                }
                if hot.bytes == *bytes && *rate == [0.0; 2] {
                    continue;
                }
                let is_over = hot.state.is_over();
                // Only a flow without bytes at the last reckoning can be younger than that.
                let per_second = match *bytes == [0; 2] {
                    true => {
                        let first = flows.facts.get((c * CHUNK) as u32 + i).first;
                        match is_over {
                            true => per_second,
                            false => 1.0 / cut.wall.since(first).max(SHORTEST).min(second).as_secs_f64(),
                        }
                    }
                    false => per_second,
                };
                let silent = cut.wall.since(hot.last) >= SILENT;
                let moved = moved(hot, *bytes);
                for side in 0..2 {
                    let now = (moved[side] as f64 * per_second) as f32;
                    let falling = if is_over { now } else { now.max(rate[side] * fall) };
                    rate[side] = if silent || falling < LEAST { 0.0 } else { falling };
                }
                of_chunk += down_up(*rate, hot.roles);
                *bytes = hot.bytes;
            }
            chunk.moving = of_chunk != DownUp::default();
            sum += of_chunk;
        }
        sum
    }
}

/// Returns a flow's bytes by sender since it had `before`. A slot that has a new flow although no
/// end was told counts from 0.
#[inline]
fn moved(hot: &Hot, before: [u64; 2]) -> [u64; 2] {
    [0, 1].map(|side| hot.bytes[side].checked_sub(before[side]).unwrap_or(hot.bytes[side]))
}

#[inline]
fn down_up(rate: [f32; 2], roles: Roles) -> DownUp<f64> {
    let local = roles.subject();
    DownUp { down: f64::from(rate[1 - local]), up: f64::from(rate[local]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{ids::Epoch, memory::no_advice, time::Stamp},
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
        /// Bytes of flows that ended since the last reckoning.
        sum: DownUp<u64>,
        /// The sum of all rows' rates.
        total: DownUp<f64>,
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
            })
            .unwrap();
            let frozen = FrozenFlows::with_capacity(capacity);
            let (ended, rates) = (Ended::default(), Rates::default());
            let (sum, total) = (DownUp::default(), DownUp::default());
            Self { table, frozen, ended, rates, list: Vec::new(), sum, total, reckoned: Nanos(0) }
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

        /// A cut; `due` is whether rates are reckoned at it. Returns the bytes of flows that ended.
        fn cut(&mut self, ms: u64, due: bool) -> DownUp<u64> {
            let now = Nanos::from_millis(ms);
            self.table.set_cutoff(now.tick());
            assert!(self.table.sweep(usize::MAX, &mut self.ended));
            for record in self.ended.0.drain(..) {
                self.sum += self.rates.ended(&record);
            }
            self.table.release();
            assert!(self.table.freeze(&mut self.frozen));
            let gone = self.rates.forget_ended(&mut self.list);
            self.total.down -= gone.down;
            self.total.up -= gone.up;
            let mut ended = DownUp::default();
            if due {
                let cut = Cut { epoch: Epoch(1), now, wall: Stamp(now.0 + 1), last: false };
                let elapsed = now.since(self.reckoned);
                self.total = self.rates.reckon(&self.frozen, &cut, elapsed, &mut self.list);
                self.reckoned = now;
                ended = std::mem::take(&mut self.sum);
            }
            self.rows_make_the_total();
            ended
        }

        fn rows_make_the_total(&self) {
            let mut rows = DownUp::default();
            for slot in 0..self.frozen.hot.slots().min(self.list.len()) {
                let hot = self.frozen.hot.get(slot as u32);
                if hot.is_live() {
                    rows += down_up(self.list[slot], hot.roles);
                } else {
                    assert_eq!(self.list[slot], [0.0; 2], "a free slot has no rate");
                }
            }
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(1.0);
            assert!(
                close(rows.down, self.total.down) && close(rows.up, self.total.up),
                "{rows:?} {:?}",
                self.total
            );
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
            bench.cut((second + 1) * 1000, true);
            assert_eq!(bench.rate(0), 5000.0, "second {second}");
            assert_eq!(bench.total, DownUp { down: 0.0, up: 5000.0 });
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
        bench.cut(2000, true);
        assert_eq!(bench.rate(0), 200.0);
        assert_eq!(bench.total, DownUp { down: 0.0, up: 200.0 });
    }

    #[test]
    fn ended_flows_and_rows_have_every_byte_once() {
        // Every flow is new in its round and gone before the next one, 4 of them by eviction.
        let mut bench = Bench::new(4);
        for round in 0..100u64 {
            let (mut sent, flows) = (0, 1 + round % 7);
            for n in 0..flows {
                let bytes = 100 + (n + round) as u32;
                bench.frame(round * 10 + n, round * 1_000_000 + 999_000, bytes);
                sent += u64::from(bytes);
            }
            let ended = bench.cut(round * 1_000_000 + 1_000_000, true).up;
            let rows = bench.total.up;
            assert_eq!(ended as f64 + rows, sent as f64, "round {round}, a second old");
            bench.cut(round * 1_000_000 + 1_900_000, true);
            assert_eq!(bench.total, DownUp::default());
        }
    }
}
