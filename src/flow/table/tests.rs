//! The table against a plain map: random frames, cuts, sweeps, freezes, evictions.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use super::*;
use crate::{
    base::{
        ids::FlowId,
        memory::no_advice,
        time::{Nanos, Stamp, Tick},
    },
    packet::key::FlowKey,
};

const SEED: Seed = Seed::new(5);

/// Splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

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

/// What the model knows of a flow.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plain {
    id: FlowId,
    frames: [u64; 2],
    bytes: [u64; 2],
    first: Stamp,
    last: Stamp,
    tick: Tick,
}

/// Flow `n`: UDP, ICMP or TCP from the middle, every third over IPv6.
fn key(n: u64) -> (FlowKey, WideKey) {
    let proto = [proto::UDP, proto::ICMP, proto::TCP, proto::UDP][n as usize % 4];
    let ports = if proto == proto::ICMP { [0; 2] } else { [1000 + n as u16, 443] };
    let mut key = FlowKey { proto, ports, kind: kind::LIVE, ends: n << 32 | 0xffff, ..FlowKey::default() };
    let mut wide = WideKey::default();
    if n.is_multiple_of(3) {
        wide.ends = [u128::from(n).to_be_bytes(), u128::MAX.to_be_bytes()];
        key.kind |= kind::V6;
        key.ends = SEED.digest(&wide);
    }
    (key, wide)
}

/// How long flow `n` lives in silence.
fn life(n: u64) -> Nanos {
    Nanos::from_secs([60, 10, 300, 60][n as usize % 4])
}

fn lines(n: u64, from: usize, now: Nanos, len: u32) -> Vec<Line> {
    let (key, wide) = key(n);
    let frame = Descriptor {
        key,
        hash: SEED.hash(&key),
        wall: Stamp(1_000_000_000 + now.0),
        tick: now.tick(),
        wire_len: len,
        segments: 1,
        flags: from as u8,
        tcp_flags: tcp_flag::ACK,
        ack_number: 0x0800,
        ..Descriptor::default()
    };
    let mut lines = vec![Line::of(frame)];
    if key.is_wide() {
        lines.push(Line::of_wide(wide));
    }
    lines
}

fn table(capacity: usize) -> FlowTable {
    FlowTable::new(TableConfig {
        capacity,
        seed: SEED,
        locals: Locals::default(),
        home_interfaces: false,
        advise: no_advice,
        worker: 3,
        inspects: false,
    })
    .unwrap()
}

/// The number of the flow that a record is of.
fn number(record: &FlowRecord) -> u64 {
    let n = u64::from(record.hot.key.ports[0].wrapping_sub(1000));
    if record.hot.key.proto != proto::ICMP {
        return n;
    }
    let ends = record.hot.key.addresses(&record.wide);
    match ends[0] {
        IpAddr::V4(a) => u64::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a) as u64,
    }
}

fn plain(record: &FlowRecord) -> Plain {
    Plain {
        id: record.id,
        frames: record.hot.frames,
        bytes: record.hot.bytes,
        first: record.facts.first,
        last: record.hot.last,
        tick: record.hot.tick,
    }
}

/// Returns all flows of a frozen table.
fn frozen_rows(frozen: &FrozenFlows) -> HashMap<u64, Plain> {
    let mut rows = HashMap::new();
    for slot in 0..frozen.hot.slots() as u32 {
        let (hot, facts) = (*frozen.hot.get(slot), frozen.facts(slot));
        if hot.is_live() {
            let id = FlowId::new(3, slot, facts.generation);
            let record = FlowRecord { hot, facts, wide: frozen.wide_key(slot), id, ..FlowRecord::default() };
            assert!(rows.insert(number(&record), plain(&record)).is_none(), "one row a flow");
        }
    }
    rows
}

struct Model {
    table: FlowTable,
    flows: HashMap<u64, Plain>,
    ended: Ended,
    ids: HashSet<FlowId>,
    now: Nanos,
    cutoff: Nanos,
    told: [u64; 2],
}

impl Model {
    fn is_over(&self, n: u64) -> bool {
        self.cutoff.tick().since(self.flows[&n].tick) >= Tick::span(life(n))
    }

    fn frame(&mut self, n: u64, from: usize, len: u32) {
        let full = self.flows.len() == self.table.config.capacity;
        let was_over = self.flows.contains_key(&n) && self.is_over(n);
        let had_embryos = self.flows.values().any(|f| f.frames[0] + f.frames[1] == 1);
        let new = was_over || !self.flows.contains_key(&n);
        self.table.process(&lines(n, from, self.now, len), &crate::packet::payload::Behind, &mut self.ended);
        let ended = std::mem::take(&mut self.ended.0);
        for record in &ended {
            let is_victim = record.end == Some(EndReason::Evicted);
            assert!(is_victim != was_over, "{:?}", record.end);
            if is_victim {
                assert!(full && new, "evicted without need");
                assert!(!had_embryos || record.hot.frames.iter().sum::<u64>() == 1);
            } else {
                assert_eq!((record.end, number(record)), (Some(EndReason::Timeout), n));
            }
            self.gone(record);
        }
        assert_eq!(ended.len(), usize::from(was_over || full && new));
        let embryos: Vec<u32> =
            (0..self.table.used as u32).filter(|&slot| self.table.embryos.next(slot) == Some(slot)).collect();
        let (hot, slots) = (&self.table.hot, 0..self.table.used as u32);
        assert!(slots.filter(|&slot| super::is_embryo(hot.get(slot))).eq(embryos), "who is evicted first");
        let wall = Stamp(1_000_000_000 + self.now.0);
        let slot = self.slot(n).expect("a flow that was just touched is in the index");
        let id = self.table.record(slot, None).id;
        let flow = self.flows.entry(n).or_insert_with(|| {
            assert!(self.ids.insert(id), "ids are used once");
            Plain { id, frames: [0; 2], bytes: [0; 2], first: wall, last: wall, tick: self.now.tick() }
        });
        flow.frames[from] += 1;
        flow.bytes[from] += u64::from(len);
        (flow.last, flow.tick) = (wall, self.now.tick());
        self.told = [self.told[0] + 1, self.told[1] + u64::from(len)];
    }

    fn gone(&mut self, record: &FlowRecord) {
        let want = self.flows.remove(&number(record)).expect("only a flow that was there ends");
        assert_eq!(plain(record), want);
    }

    fn sweep(&mut self, chunks: usize) {
        let through = self.table.sweep(chunks, &mut self.ended);
        for record in std::mem::take(&mut self.ended.0) {
            assert!(self.is_over(number(&record)));
            assert_eq!(record.end, Some(EndReason::Timeout));
            self.gone(&record);
        }
        if through {
            let flows: Vec<u64> = self.flows.keys().copied().collect();
            assert!(flows.iter().all(|&n| !self.is_over(n)), "the sweep left one");
        }
    }

    fn slot(&self, n: u64) -> Option<u32> {
        let (key, wide) = key(n);
        let frame = Descriptor { key, ..Descriptor::default() };
        self.table.index.find(SEED.hash(&key), |slot| self.table.is_flow(slot, &frame, &wide))
    }

    fn check(&self, tuples: u64) {
        let counts = self.table.counts();
        assert_eq!(counts.live, self.flows.len() as u64);
        assert_eq!(counts.opened - counts.closed, counts.live);
        assert_eq!([counts.volume.frames, counts.volume.bytes], self.told);
        for n in 0..tuples {
            let row = self.slot(n).map(|slot| plain(&self.table.record(slot, None)));
            assert_eq!(row, self.flows.get(&n).copied(), "flow {n}");
        }
    }
}

#[test]
fn behaves_like_a_map_under_random_frames_cuts_and_evictions() {
    const TUPLES: u64 = 300;
    for (seed, capacity) in [(1, 100), (2, 400), (3, 64), (4, 1), (5, 130)] {
        let mut random = Random(seed);
        let mut model = Model {
            table: table(capacity),
            flows: HashMap::new(),
            ended: Ended::default(),
            ids: HashSet::new(),
            now: Nanos(0),
            cutoff: Nanos(0),
            told: [0; 2],
        };
        let mut frozen = FrozenFlows::with_capacity(capacity);
        let mut held: Option<HashMap<u64, Plain>> = None;
        for _ in 0..30_000 {
            match random.below(100) {
                0 => {
                    model.cutoff = model.now;
                    model.table.set_cutoff(model.now.tick());
                }
                1 => model.sweep(random.below(4) as usize),
                2 => model.sweep(usize::MAX),
                3 if held.is_none() => {
                    model.table.release();
                    assert!(model.table.freeze(&mut frozen), "all chunks are back");
                    held = Some(model.flows.clone());
                }
                4 => {
                    if let Some(rows) = held.take() {
                        assert_eq!(frozen_rows(&frozen), rows, "what is held does not change");
                    }
                }
                5 => model.now = model.now + Nanos::from_secs(random.below(40)),
                _ => {
                    model.now = model.now + Nanos(random.below(20_000_000));
                    // Some flows more often than others.
                    let n = random.below(TUPLES).min(random.below(TUPLES));
                    model.frame(n, random.below(2) as usize, 60 + random.below(1000) as u32);
                }
            }
            if random.below(200) == 0 {
                model.check(TUPLES);
            }
        }
        model.check(TUPLES);
        assert_eq!(model.table.counts().evicted > 0, capacity < 300, "capacity {capacity}");
        // Everything goes in the end, and leaves nothing behind.
        model.now = model.now + Nanos::from_secs(1000);
        model.cutoff = model.now;
        model.table.set_cutoff(model.now.tick());
        model.sweep(usize::MAX);
        assert!(model.flows.is_empty());
        model.check(TUPLES);
    }
}

#[test]
fn a_frame_between_cut_and_sweep_begins_a_new_row() {
    let mut table = table(64);
    let mut ended = Ended::default();
    table.process(&lines(4, 0, Nanos(0), 60), &crate::packet::payload::Behind, &mut ended);
    table.process(&lines(4, 1, Nanos::from_secs(59), 60), &crate::packet::payload::Behind, &mut ended);
    table.set_cutoff(Nanos::from_secs(118).tick());
    table.process(&lines(4, 0, Nanos::from_secs(118), 60), &crate::packet::payload::Behind, &mut ended);
    assert!(ended.0.is_empty(), "59 s of silence are not 60");
    table.set_cutoff(Nanos::from_secs(179).tick());
    // No sweep here: the frame comes first.
    table.process(&lines(4, 0, Nanos::from_secs(179), 60), &crate::packet::payload::Behind, &mut ended);
    assert_eq!(ended.0.len(), 1);
    assert_eq!((ended.0[0].end, ended.0[0].hot.frames), (Some(EndReason::Timeout), [2, 1]));
    assert!(table.sweep(usize::MAX, &mut ended));
    assert_eq!((ended.0.len(), table.counts().live, table.counts().opened), (1, 1, 2));
}

/// The lifetime runs on when ticks wrap, after 52 days.
#[test]
fn who_opened_a_connection_seen_from_the_middle_is_told_by_our_ports() {
    let ours = Locals::new([("0.0.0.2".parse().unwrap(), 32)]).with_ports([22], Some(32_768..=60_999));
    // The low end is 0.0.0.2, the high end not ours.
    for (ports, flags, initiator) in [
        ([42_084, 8124], tcp_flag::ACK, 0),
        ([22, 50_000], tcp_flag::ACK, 1),
        ([22, 50_000], tcp_flag::SYN, 0),
        // Neither a port where we take connections nor one that the system chose.
        ([8124, 42_084], tcp_flag::ACK, 1),
    ] {
        let mut table = table(64);
        table.set_locals(&mut ours.clone());
        let key = FlowKey { ends: 2 << 32 | 0xffff, ports, ..key(2).0 };
        let from = if flags == tcp_flag::SYN { 0 } else { 1 };
        let frame = Descriptor {
            key,
            hash: SEED.hash(&key),
            tcp_flags: flags,
            flags: from as u8,
            ..*lines(2, from, Nanos(0), 60)[0].frame()
        };
        table.process(&[Line::of(frame)], &crate::packet::payload::Behind, &mut Ended::default());
        assert_eq!(table.hot.get(0).roles.initiator(), initiator, "{ports:?}");
    }
}

#[test]
fn lifetimes_hold_across_the_wrap_of_ticks() {
    let mut table = table(64);
    let mut ended = Ended::default();
    let wrap = Nanos(u64::from(u32::MAX) << Tick::SHIFT);
    let start = Nanos(wrap.0 - 5_000_000_000);
    table.set_cutoff(start.tick());
    assert!(table.sweep(usize::MAX, &mut ended));
    table.process(&lines(4, 0, start, 60), &crate::packet::payload::Behind, &mut ended);
    for (seconds, live) in [(30, 1), (59, 1), (61, 0)] {
        table.set_cutoff((start + Nanos::from_secs(seconds)).tick());
        assert!(table.sweep(usize::MAX, &mut ended));
        assert_eq!(table.counts().live, live, "after {seconds} s");
    }
}

/// Frames on another interface than the flow's home are counted apart; the home moves in silence.
#[test]
fn a_flow_counts_on_its_home_interface_only() {
    let mut table = table(64);
    table.config.home_interfaces = true;
    let mut ended = Ended::default();
    let mut on = |iface: u16, ms: u64| {
        let mut burst = lines(4, 0, Nanos::from_millis(ms), 60);
        let mut frame = *burst[0].frame();
        frame.iface = crate::base::ids::IfaceId(iface);
        burst[0] = Line::of(frame);
        table.process(&burst, &crate::packet::payload::Behind, &mut ended);
        (table.counts().volume.frames, table.counts().drops[DropReason::SeenElsewhere])
    };
    assert_eq!(on(1, 0), (1, 0));
    assert_eq!(on(2, 1), (1, 1));
    assert_eq!(on(1, 10), (2, 1));
    assert_eq!(on(2, 1_500), (2, 2));
    assert_eq!(on(2, 2_500), (3, 2), "silent at home for 2 s");
    assert_eq!(on(1, 2_501), (3, 3));
    assert_eq!(on(2, 2_502), (4, 3));
}

/// What is sent again counts in segments, as packets do: a host with segmentation offload sends many at once.
#[test]
fn a_super_frame_that_is_sent_again_counts_as_its_segments() {
    let mut table = table(64);
    let mut ended = Ended::default();
    let mut send = |ms: u64, flags: u8, seq_number: u32, segments: u16| {
        let mut burst = lines(2, 0, Nanos::from_millis(ms), 60);
        let payload_len = u32::from(segments - 1) * 1000;
        let numbers = Descriptor { seq_number, ack_number: 1, tcp_flags: flags, ..*burst[0].frame() };
        burst[0] = Line::of(Descriptor { payload_len, segments, ..numbers });
        table.process(&burst, &crate::packet::payload::Behind, &mut ended);
        (
            table.tallies.get(0).retransmits[0] + table.tallies.get(0).retransmits[1],
            table.counts().retransmits,
        )
    };
    assert_eq!(send(0, tcp_flag::SYN, 99, 1), (0, 0));
    assert_eq!(send(1, tcp_flag::ACK, 100, 18), (0, 0));
    assert_eq!(send(2, tcp_flag::ACK, 17_100, 2), (0, 0));
    assert_eq!(send(400, tcp_flag::ACK, 100, 18), (18, 18));
    assert_eq!(send(401, tcp_flag::ACK, 17_100, 2), (20, 20));
}
