//! Lines a second of the jsonl export: the budget is 400 ns a line.

use std::{hint::black_box, io, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustnet::{
    base::{ids::IfaceId, time::Stamp},
    export::{Origin, json::Json, jsonl::Jsonl},
    flow::{
        entry::{Evidence, Facts, FlowRecord, Hot, Roles},
        state::{EndReason, FlowState},
    },
    packet::key::{FlowKey, WideKey, kind, proto},
    snapshot::tap::{Ended, Tap},
};

const FLOWS: u64 = 4096;

fn export(c: &mut Criterion) {
    let origin = Origin::File { path: "bench.pcap".into() };
    let mut group = c.benchmark_group("export");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(FLOWS));
    for (name, wide) in [("ipv4", false), ("ipv6", true)] {
        let flows: Vec<Ended> = (0..FLOWS).map(|n| flow(n, wide).into()).collect();
        let mut jsonl = Jsonl::new(io::sink(), &origin, false);
        group.bench_function(format!("jsonl/{name}"), |b| {
            b.iter(|| jsonl.ended(black_box(&flows)).expect("a sink takes everything"));
        });
        let mut json = Json::new(io::sink(), &origin);
        group.bench_function(format!("json/{name}"), |b| {
            b.iter(|| json.ended(black_box(&flows)).expect("a sink takes everything"));
        });
    }
    group.finish();
}

/// A TCP connection with the longest numbers that are common.
fn flow(n: u64, wide: bool) -> FlowRecord {
    // splitmix64: repeatable numbers of all lengths.
    let mix = |salt: u64| {
        let z = (n + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 31)
    };
    let last = 1_700_000_000_000_000_000 + mix(1) % 1_000_000_000_000;
    let mut record = FlowRecord {
        hot: Hot {
            key: FlowKey {
                ends: mix(2),
                ports: [443, mix(3) as u16],
                proto: proto::TCP,
                kind: kind::LIVE,
                zero: 0,
            },
            bytes: [mix(4) % 1_000_000_000, mix(5) % 1_000_000],
            frames: [mix(6) % 1_000_000, mix(7) % 10_000],
            last: Stamp(last),
            state: FlowState::TimeWait,
            roles: Roles::new(1, Evidence::Handshake, [false, false]),
            iface: IfaceId(1),
            ..Hot::default()
        },
        facts: Facts {
            first: Stamp(last - mix(8) % 60_000_000_000),
            retransmits: [12, 3],
            rtt_handshake_us: 11_804,
            rtt_data_us: 12_377,
            vlan: 101,
            ..Facts::default()
        },
        end: Some(EndReason::Fin),
        ..FlowRecord::default()
    };
    if wide {
        record.hot.key.kind |= kind::V6;
        let end = |salt| (0x2001_0db8 << 96 | u128::from(mix(salt))).to_be_bytes();
        record.wide = WideKey { ends: [end(9), end(10)], ..WideKey::default() };
    }
    record
}

criterion_group!(benches, export);
criterion_main!(benches);
