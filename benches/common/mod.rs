//! What several benches share: seeded lines of many flows, and a place where ended flows go.
#![allow(dead_code, reason = "every bench takes a part of it")]

use rustnet::{
    base::{
        ids::{Epoch, IfaceId},
        time::{Nanos, Stamp},
    },
    flow::{
        entry::FlowRecord,
        locals::Locals,
        table::{EndedFlows, FlowTable, TableConfig},
    },
    packet::{
        descriptor::{Cut, Descriptor, flag, tcp_flag},
        hash::Seed,
        key::{FlowKey, kind, proto},
        line::Line,
    },
    platform,
};

/// The run's seed, for hash and numbers.
pub const SEED: u64 = 1;

/// Frames in a burst.
pub const BURST: usize = 32;

/// splitmix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) as u128 * bound as u128) >> 64) as usize
    }
}

/// Returns a frame of 64 bytes of a flow: 7 of 10 flows are established TCP connections, the others
/// UDP. All have one stamp, so that frames given again and again are never behind their flow's last.
pub fn frame(seed: &Seed, flow: usize, from_high: bool) -> Line {
    let tcp = flow % 10 < 7;
    let key = FlowKey {
        ends: (0x0a00_0000 + flow as u64) << 32 | 0xc612_0001,
        ports: [32_768 + (flow >> 20) as u16, 443],
        proto: if tcp { proto::TCP } else { proto::UDP },
        kind: kind::LIVE,
        zero: 0,
    };
    Line::of(Descriptor {
        wall: Stamp(1_700_000_000_000_000_000),
        hash: seed.hash(&key),
        key,
        wire_len: 60,
        tick: Nanos(0).tick(),
        // Acknowledgements: sent again and again they stay plain segments.
        seq_number: if tcp { 1000 } else { 0 },
        ack_number: if tcp { 1000 } else { 0 },
        window: 500,
        segments: 1,
        iface: IfaceId(0),
        tcp_flags: if tcp { tcp_flag::ACK } else { 0 },
        flags: if from_high { flag::FROM_HIGH } else { 0 },
        ..Descriptor::default()
    })
}

/// Returns `count` frames of flows chosen at random among `flows`.
pub fn random_frames(flows: usize, count: usize) -> Vec<Line> {
    let (seed, mut random) = (Seed::new(SEED), Random(SEED));
    (0..count).map(|_| frame(&seed, random.below(flows), random.below(2) == 1)).collect()
}

/// Returns an empty table for `flows` flows, in large pages if the system has them.
pub fn table(flows: usize) -> FlowTable {
    FlowTable::new(TableConfig {
        capacity: flows,
        seed: Seed::new(SEED),
        locals: Locals::new([]),
        home_interfaces: false,
        advise: platform::host(Vec::new()).advise,
        worker: 0,
        inspects: false,
    })
    .expect("memory for the table")
}

/// Returns two frames of each flow, one from either end, in pieces of a burst.
pub fn opening(flows: usize) -> impl Iterator<Item = Vec<Line>> {
    let seed = Seed::new(SEED);
    (0..flows).step_by(BURST).map(move |first| {
        let burst = first..(first + BURST).min(flows);
        burst.flat_map(|flow| [false, true].map(|high| frame(&seed, flow, high))).collect()
    })
}

/// Opens all flows of a table.
pub fn open_all(table: &mut FlowTable, flows: usize) {
    for burst in opening(flows) {
        assert_eq!(
            table.process(&burst, &rustnet::packet::payload::Behind, &mut Ended::default()),
            burst.len()
        );
    }
    assert_eq!(table.counts().live, flows as u64);
}

/// Returns the cut that closes an epoch, at the time of the `number`th frame.
pub fn cut(epoch: u64, number: u64) -> Cut {
    Cut {
        epoch: Epoch(epoch),
        now: Nanos(number * 100),
        wall: Stamp(1_700_000_000_000_000_000 + number * 100),
        ..Cut::default()
    }
}

/// Counts flows that end.
#[derive(Default)]
pub struct Ended(pub u64);

impl rustnet::dpi::notes::Learn for Ended {
    fn learned(&mut self, _: rustnet::base::ids::FlowId, _: rustnet::dpi::notes::Learned<'_>) {}
}

impl EndedFlows for Ended {
    fn ended(&mut self, _record: &FlowRecord) {
        self.0 += 1;
    }
}
