//! Bytes per second of every flow, from the difference between two epochs: what came within the last
//! second, and what a row shows.
//!
//! What came is exact. The rows' sum, with what flows moved that have no row any more, is the total that
//! a screen shows at its head, and that is what the wire carried.
//!
//! What a row shows is that of the last second, too; while a flow slows down, it falls with a
//! half-life of a second at most, and it is 0 ten seconds after the last packet. A flow that began within
//! the second and has sent all through it counts for the time since its first frame; a burst does not,
//! nor does a packet alone. So a row never shows more than came, taken over the time since. A
//! connection that was closed counts as what the last second brought.

mod counted;
mod reckoning;

use std::ops::AddAssign;

use crate::{
    base::time::Nanos,
    flow::{
        entry::{FlowRecord, Hot, Roles},
        slab::CHUNK,
        table::FrozenFlows,
    },
    packet::descriptor::Cut,
    pipeline::rates::{
        counted::Counted,
        reckoning::{Places, Reckoning, Rows, Sums},
    },
    snapshot::view::RateList,
};

/// The rates of one worker's flows.
#[derive(Default)]
pub struct Rates {
    /// Bytes by slot and sender at the last reckoning; 0 since the flow there ended.
    bytes: Counted,
    chunks: Vec<Chunk>,
    /// Slots whose flows ended since a list was cleared of them, and which of their ends was whose.
    vacated: Vec<(u32, Roles)>,
}

#[derive(Clone, Copy, Default)]
struct Chunk {
    /// The chunk's version at the last reckoning, plus 1.
    version: u64,
    /// Flows whose first second counted at its real length then.
    young: Places,
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

/// The time that rates are reckoned over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Time since the last reckoning.
    pub passed: Nanos,
    /// The end of it in which frames may have come.
    pub heard: Nanos,
    /// What is divided by: `heard`, or where that is short a second, which the last reckoning's rates
    /// make full.
    pub window: Nanos,
    /// For how long the last reckoning's rates count: what the window lacks, or all of it where what they stand for lies in
    /// the same second.
    pub rest: Nanos,
}

impl Span {
    /// Returns whether what the last reckoning said is of the same second.
    fn joins(&self) -> bool {
        self.rest == self.window
    }

    /// Returns a rate over the window: of what came, and of what the last reckoning said of its rest.
    pub fn rate(&self, came: f64, before: f64) -> f64 {
        (came + before * self.rest.as_secs_f64()) / self.window.as_secs_f64()
    }
}

impl Rates {
    /// Takes note that a flow ended, and returns the bytes that it moved since the last reckoning.
    pub fn ended(&mut self, record: &FlowRecord) -> DownUp<u64> {
        let slot = record.id.slot() as usize;
        let before = self.bytes.take(slot);
        // Each slot stands here once at most until the next reckoning.
        if before != [0; 2] {
            self.vacated.push((slot as u32, record.hot.roles));
        }
        down_up(moved(&record.hot, before), record.hot.roles)
    }

    /// Takes the rates of flows that ended out of a list, because their slots' next flows have
    /// nothing in common with them; returns the sum of what they had moved within the second.
    pub fn forget_ended(&mut self, rates: &mut RateList) -> DownUp<f64> {
        let mut sum = DownUp::default();
        for (slot, roles) in self.vacated.drain(..) {
            let slot = slot as usize;
            if let (Some(shown), Some(seen)) = (rates.shown.get_mut(slot), rates.seen.get_mut(slot)) {
                *shown = [0.0; 2];
                rates.versions[slot / CHUNK] = rates.versions[slot / CHUNK].wrapping_add(1);
                sum += down_up(std::mem::take(seen).map(f64::from), roles);
            }
        }
        sum
    }

    /// Reckons the rates at a cut into `rates`, and returns the bytes of all rows since the last reckoning
    /// and the sum of what they moved within the second.
    pub fn reckon(
        &mut self,
        flows: &FrozenFlows,
        cut: &Cut,
        span: &Span,
        rates: &mut RateList,
    ) -> (DownUp<u64>, DownUp<f64>) {
        let slots = flows.hot.slots();
        self.bytes.resize(slots);
        self.chunks.resize(flows.hot.chunks(), Chunk::default());
        rates.shown.resize(slots, [0.0; 2]);
        rates.seen.resize(slots, [0.0; 2]);
        rates.versions.resize(flows.hot.chunks(), 0);
        let reckoning = Reckoning::new(flows, cut, span);
        let (mut rows, mut sums) = (Rows::default(), Sums::default());
        for (c, chunk) in self.chunks.iter_mut().enumerate() {
            let version = flows.hot.version(c).map_or(0, |v| u64::from(v) + 1);
            if version == chunk.version && !chunk.moving {
                continue;
            }
            rates.versions[c] = rates.versions[c].wrapping_add(1);
            let lists = [&mut rates.shown, &mut rates.seen].map(|list| list[c * CHUNK..].first_chunk_mut());
            let [Some(shown), Some(seen)] = lists else { continue };
            let place = (c, &mut chunk.young);
            chunk.moving = reckoning.chunk(place, &mut self.bytes, [shown, seen], (&mut rows, &mut sums));
            chunk.version = version;
        }
        (down_up_of_rows(sums.came), down_up_of_rows(sums.seen))
    }
}

/// Returns sums by which end is the Local one and by sender as sums by direction.
fn down_up_of_rows<T: Copy + AddAssign>(sums: [[T; 2]; 2]) -> DownUp<T> {
    let [low, high] = sums;
    let mut sum = DownUp { down: low[1], up: low[0] };
    sum += DownUp { down: high[0], up: high[1] };
    sum
}

/// Returns a flow's bytes by sender since it had `before`. A slot that has a new flow although no
/// end was told counts from 0.
#[inline]
fn moved(hot: &Hot, before: [u64; 2]) -> [u64; 2] {
    [0, 1].map(|side| hot.bytes[side].checked_sub(before[side]).unwrap_or(hot.bytes[side]))
}

#[inline]
fn down_up<T: Copy>(by_sender: [T; 2], roles: Roles) -> DownUp<T> {
    let local = roles.subject();
    DownUp { down: by_sender[1 - local], up: by_sender[local] }
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

    fn assert_close(a: DownUp<f64>, b: DownUp<f64>) {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(1.0);
        assert!(close(a.down, b.down) && close(a.up, b.up), "{a:?} {b:?}");
    }

    /// One worker's table and the collector's side of it.
    struct Bench {
        table: FlowTable,
        frozen: FrozenFlows,
        ended: Ended,
        rates: Rates,
        list: RateList,
        /// Bytes of flows that ended since the last reckoning.
        sum: DownUp<u64>,
        /// Bytes of all rows at the last reckoning.
        rows: DownUp<u64>,
        /// What rows moved within the last second, less that of those that ended since.
        total: DownUp<f64>,
        reckoned: Option<Nanos>,
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
            Self {
                table,
                frozen,
                ended,
                rates,
                list: RateList::default(),
                sum: DownUp::default(),
                rows: DownUp::default(),
                total: DownUp::default(),
                reckoned: None,
            }
        }

        /// A frame of `bytes` bytes of UDP flow `n` from its initiator: the low end, of odd flows the high one.
        fn frame(&mut self, n: u64, ms: u64, bytes: u32) {
            let is_high = n % 2 == 1;
            let key = FlowKey {
                ends: n << 32 | u64::from(u32::MAX),
                ports: if is_high { [9, 40_000] } else { [40_000, 9] },
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
                flags: u8::from(is_high),
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
                let cut = Cut { epoch: Epoch(1), now, wall: Stamp(now.0 + 1), ..Cut::default() };
                let passed = now.since(self.reckoned.unwrap_or_default());
                let second = Nanos::from_millis(950);
                let window = if passed >= second { passed } else { Nanos::from_secs(1) };
                let span = Span { passed, heard: passed, window, rest: window - passed };
                let before = self.total;
                let of_rows;
                (self.rows, of_rows) = self.rates.reckon(&self.frozen, &cut, &span, &mut self.list);
                assert_close(of_rows, self.seen_by_all());
                self.total = DownUp {
                    down: span.rate(self.rows.down as f64, before.down),
                    up: span.rate(self.rows.up as f64, before.up),
                };
                self.reckoned = Some(now);
                ended = std::mem::take(&mut self.sum);
            }
            self.rows_make_the_total();
            ended
        }

        /// What all rows moved within the last second.
        fn seen_by_all(&self) -> DownUp<f64> {
            let mut rows = DownUp::default();
            for slot in 0..self.frozen.hot.slots().min(self.list.seen.len()) {
                let hot = self.frozen.hot.get(slot as u32);
                if hot.is_live() {
                    rows += down_up(self.list.seen[slot].map(f64::from), hot.roles);
                } else {
                    assert_eq!(self.list.seen[slot], [0.0; 2], "a free slot has no rate");
                    assert_eq!(self.list.shown[slot], [0.0; 2], "a free slot has no rate");
                }
            }
            rows
        }

        fn rows_make_the_total(&self) {
            assert_close(self.seen_by_all(), self.total);
        }

        fn rate(&self, slot: usize) -> f32 {
            self.list.shown[slot].iter().sum()
        }

        fn seen(&self, slot: usize) -> f32 {
            self.list.seen[slot].iter().sum()
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
        assert_eq!(bench.rate(0), 3.0);
        bench.cut(2000, true);
        assert_eq!(bench.rate(0), 1.5);
        bench.cut(3000, true);
        assert_eq!(bench.rate(0), 0.0);
    }

    #[test]
    fn l18_the_first_second_of_a_steady_flow_counts_at_its_real_length() {
        let mut bench = Bench::new(64);
        bench.frame(1, 0, 60);
        bench.cut(1000, true);
        for ms in (1750..3000).step_by(25) {
            if ms == 2000 {
                bench.cut(2000, true);
                assert_eq!(bench.rate(1), 4000.0, "a quarter of a second old");
                assert_eq!(bench.seen(1), 1000.0, "what came is another thing");
            }
            bench.frame(2, ms, 100);
        }
        bench.cut(3000, true);
        assert_eq!((bench.rate(1), bench.seen(1)), (4000.0, 4000.0));
        bench.cut(4000, true);
        assert_eq!((bench.rate(1), bench.seen(1)), (2000.0, 0.0));
    }

    #[test]
    fn l18_a_packet_and_a_burst_count_as_what_came() {
        for (packets, at) in [(1, 1750), (1, 1999), (100, 1750), (100, 1990)] {
            let mut bench = Bench::new(64);
            bench.frame(1, 0, 60);
            bench.cut(1000, true);
            for n in 0..packets {
                // All within 10 ms.
                bench.frame(2, at + n / 10, 1000);
            }
            let bytes = packets as f32 * 1000.0;
            for (second, part) in [(2, 1.0), (3, 0.5), (4, 0.25), (5, 0.125)] {
                bench.cut(second * 1000, true);
                let what = format!("{packets} packets at {at} ms, second {second}");
                assert_eq!(bench.rate(1), bytes * part, "{what}");
                assert_eq!(bench.total.up, if second == 2 { f64::from(bytes) } else { 0.0 }, "{what}");
            }
        }
    }

    #[test]
    fn l18_no_row_ever_shows_more_than_came_in_the_time_since() {
        // Bursts, gaps and steady stretches at random; what a row shows times the time since some moment
        // is at most what came since then, for the moment where that is largest.
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for _ in 0..200 {
            let mut bench = Bench::new(64);
            bench.frame(1, 0, 60);
            bench.cut(1000, true);
            // Milliseconds and bytes.
            let mut sent: Vec<(u64, u32)> = Vec::new();
            for second in 1..8 {
                let kind = next(4);
                let (from, step) = (second * 1000 + next(900), [1000, 1, 30, 100][kind as usize]);
                let most = if kind == 1 { 10 } else { 1000 };
                for ms in (from..(second + 1) * 1000).step_by(step as usize).take(most) {
                    let bytes = 100 + next(1400) as u32;
                    bench.frame(2, ms, bytes);
                    sent.push((ms, bytes));
                }
                let cut = (second + 1) * 1000;
                bench.cut(cut, true);
                let since = |ms: u64| {
                    sent.iter().filter(|(at, _)| *at >= ms).map(|(_, b)| u64::from(*b)).sum::<u64>()
                };
                let most = sent.iter().map(|(ms, _)| since(*ms) as f64 / ((cut - ms).max(1) as f64 / 1000.0));
                let most = most.fold(0.0, f64::max);
                assert!(
                    f64::from(bench.rate(1)) <= most * 1.000_001,
                    "{} of {most}: {sent:?}",
                    bench.rate(1)
                );
                assert_eq!(bench.total.up, since(second * 1000) as f64, "the head is exact");
            }
        }
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
        assert_eq!(bench.rate(0), 6_000_000.0);
        // The table has one slot.
        bench.frame(2, 1500, 100);
        bench.cut(1600, false);
        assert_eq!(bench.rate(0), 0.0, "not the last tenant's, not even until the next reckoning");
        bench.cut(2000, true);
        assert_eq!(bench.rate(0), 100.0);
        assert_eq!(bench.total, DownUp { down: 0.0, up: 100.0 });
    }

    #[test]
    fn rows_that_are_reckoned_together_are_as_each_by_itself() {
        /// What is known of a row, and what it shows.
        #[derive(Clone, Copy, Default)]
        struct Known {
            bytes: u64,
            first: u64,
            last: u64,
            shown: f32,
            seen: f32,
            was_young: bool,
        }
        let mut random = 11_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut bench = Bench::new(256);
        let mut rows = [Known::default(); 200];
        let mut sent = rows.map(|row| row.bytes);
        let (mut young, mut fallen) = (0, 0);
        for second in 0..40_u64 {
            for (n, row) in rows.iter_mut().enumerate() {
                // Some once a minute, some much, some all through their first second.
                let packets = if next(1 + n as u64 / 8) == 0 { 1 + next(5) } else { 0 };
                let from = second * 1000 + next(700);
                for packet in 0..packets {
                    let (at, bytes) =
                        (from + packet * (999 - from % 1000) / packets, 1 + next(3_000_000_000));
                    bench.frame(n as u64, at, bytes as u32);
                    row.first = if sent[n] == 0 { at } else { row.first };
                    (row.last, sent[n]) = (at, sent[n] + bytes);
                }
            }
            let cut = (second + 1) * 1000;
            bench.cut(cut, true);
            for slot in 0..bench.frozen.hot.slots() {
                let hot = bench.frozen.hot.get(slot as u32);
                let n = (hot.key.ends >> 32) as usize;
                if !hot.is_live() {
                    continue;
                }
                let row = &mut rows[n];
                let came = (sent[n] - row.bytes) as f32;
                let age = cut - row.first;
                let frames = hot.frames[0] + hot.frames[1];
                let is_young = row.bytes == 0 && (100..1000).contains(&age) && frames > 2;
                let is_steady = is_young && cut - row.last <= age / 4;
                let now = if is_steady { (f64::from(came) / (age as f64 / 1000.0)) as f32 } else { came };
                let from = if row.was_young { row.seen } else { row.shown };
                let shown = if now < row.shown / 2.0 { now.max(from / 2.0) } else { now };
                let shown = if cut - row.last >= 10_000 || shown < 1.0 { 0.0 } else { shown };
                let close = |a: f32, b: f32| (a - b).abs() <= 1e-6 * a.max(b);
                let told = (bench.rate(slot), bench.seen(slot));
                assert!(close(told.0, shown) && close(told.1, came), "{n} at {cut}: {told:?} {shown} {came}");
                young += u32::from(row.was_young);
                fallen += u32::from(now < row.shown / 2.0);
                *row = Known { bytes: sent[n], shown, seen: came, was_young: is_steady, ..*row };
            }
        }
        assert!(young > 5 && fallen > 500, "{young} {fallen}");
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
            assert_eq!(ended + bench.rows.up, sent, "round {round}");
            bench.cut(round * 1_000_000 + 1_900_000, true);
            assert_eq!(bench.rows, DownUp::default());
        }
    }
}
