//! Segments per second through the TCP machine: bulk transfer, small requests, reordered data.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rustnet::{
    base::time::Stamp,
    flow::{
        state::FlowState,
        tcp::{Outcome, Segment, TcpTrack},
    },
    packet::descriptor::tcp_flag::{ACK, SYN},
};
use std::{hint::black_box, time::Duration};

const SEGMENTS: usize = 4096;

/// A connection after its handshake, and the next numbers of both ends.
fn opened() -> (TcpTrack, [u32; 2]) {
    let mut track = TcpTrack::default();
    let seg = |from, flags, seq_number, ack_number| Segment {
        from,
        flags,
        seq_number,
        ack_number,
        window: 65535,
        ..Segment::default()
    };
    for seg in [seg(0, SYN, 999, 0), seg(1, SYN | ACK, 8999, 1000), seg(0, ACK, 1000, 9000)] {
        track.segment(&seg, 0);
    }
    assert_eq!(track.state(0), FlowState::Established);
    (track, [1000, 9000])
}

/// A connection's segments: of every `period`, the last comes from the client, who acknowledges all but
/// the last `flying` bytes.
fn traffic(mut next: [u32; 2], period: usize, payload: [u32; 2], flying: u32) -> Vec<Segment> {
    let first = next;
    (0..SEGMENTS)
        .map(|n| {
            let from = usize::from(n % period != period - 1);
            let seg = Segment {
                from,
                flags: ACK,
                seq_number: next[from],
                ack_number: next[from ^ 1].saturating_sub([flying, 0][from]).max(first[from ^ 1]),
                window: 65535,
                payload_len: payload[from],
                wall: Stamp(1_700_000_000_000_000_000 + n as u64 * 1200),
                ..Segment::default()
            };
            next[from] = next[from].wrapping_add(payload[from]);
            seg
        })
        .collect()
}

/// Runs all segments; returns how many were sent twice and overtaken.
fn run(track: &mut TcpTrack, segments: &[Segment]) -> (usize, usize) {
    let mut counts = (0, 0);
    for seg in segments {
        let out: Outcome = track.segment(black_box(seg), 0);
        counts.0 += usize::from(out.retransmit);
        counts.1 += usize::from(out.out_of_order);
    }
    counts
}

fn tcp(c: &mut Criterion) {
    let (track, next) = opened();
    let bulk = traffic(next, 3, [0, 1448], 30 * 1448);
    let lockstep = traffic(next, 3, [0, 1448], 0);
    let requests = traffic(next, 2, [300, 900], 0);
    let mut swapped = lockstep.clone();
    for pair in swapped.chunks_exact_mut(3) {
        pair.swap(0, 1);
    }
    let again: Vec<_> = lockstep.iter().flat_map(|seg| [*seg, *seg]).take(SEGMENTS).collect();
    let cases = [
        ("bulk", &bulk, (0, 0)),
        // Every acknowledgement is a round trip.
        ("lockstep", &lockstep, (0, 0)),
        ("requests", &requests, (0, 0)),
        ("reordered", &swapped, (0, SEGMENTS / 3)),
        ("repeated", &again, (SEGMENTS / 3, 0)),
    ];
    let mut group = c.benchmark_group("tcp");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(SEGMENTS as u64));
    for (name, segments, want) in cases {
        let got = run(&mut track.clone(), segments);
        assert!(got.0.abs_diff(want.0) <= 1 && got.1.abs_diff(want.1) <= 1, "{name}: {got:?}");
        group.bench_function(name, |b| {
            b.iter_batched(|| track, |mut track| run(&mut track, segments), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, tcp);
criterion_main!(benches);
