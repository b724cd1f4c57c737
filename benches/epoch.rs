//! What a cut costs: nothing stops for it, but the packets after it copy what they first touch.
//!
//! Beside criterion's figures this prints, over 1 M flows touched at random with a cut every second
//! of 1 Mpps: the longest freeze, the longest burst of 32 frames, and the lowest rate over any 5 ms.
//! Every cut is followed by the same frames, so that each burst is timed several times; what the
//! machine does besides shows in some of them, and the shortest of them is the burst's own.
#![allow(missing_docs, reason = "criterion's macros")]

mod common;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use common::{BURST, Ended, cut, open_all, random_frames, table};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustnet::{
    base::time::Nanos,
    flow::{
        slab::CHUNK,
        table::{FlowTable, FrozenFlows},
    },
    packet::line::Line,
    pipeline::rates::{DownUp, Rates, Span},
    snapshot::view::RateList,
};

const FLOWS: usize = 1_000_000;
/// Frames between two cuts.
const FRAMES: usize = 1 << 20;
/// Cuts that are timed burst by burst.
const CUTS: usize = 12;
/// The stretch over which the lowest rate is looked for.
const STRETCH: Duration = Duration::from_millis(5);
/// No burst should take longer.
const LONG: Duration = Duration::from_micros(50);

fn freeze(table: &mut FlowTable, into: &mut FrozenFlows) {
    table.release();
    assert!(table.freeze(into), "what was released is there for the copies");
}

fn run(table: &mut FlowTable, lines: &[Line]) {
    for burst in lines.chunks(BURST) {
        table.process(burst, &rustnet::packet::payload::Behind, &mut Ended::default());
    }
}

/// Returns how long each burst took. On a machine that others use too, some were interrupted: compare
/// with the figures without cuts.
fn timed(table: &mut FlowTable, lines: &[Line]) -> Vec<Duration> {
    let mut before = Instant::now();
    let lap = |burst| {
        table.process(burst, &rustnet::packet::payload::Behind, &mut Ended::default());
        let now = Instant::now();
        let took = now - before;
        before = now;
        took
    };
    lines.chunks_exact(BURST).map(lap).collect()
}

/// Returns the fewest frames that any stretch of 5 ms saw, in frames a second.
fn lowest_rate(bursts: &[Duration]) -> f64 {
    let (mut first, mut sum, mut lowest) = (0, Duration::ZERO, f64::INFINITY);
    for (last, took) in bursts.iter().enumerate() {
        sum += *took;
        while sum - bursts[first] >= STRETCH {
            sum -= bursts[first];
            first += 1;
        }
        if sum >= STRETCH {
            lowest = lowest.min(((last - first + 1) * BURST) as f64 / sum.as_secs_f64());
        }
    }
    lowest
}

fn percentile(sorted: &[Duration], of_1000: usize) -> f64 {
    sorted[(sorted.len() - 1) * of_1000 / 1000].as_secs_f64() * 1e6
}

/// The figures of a run of bursts.
fn figures(bursts: &[Duration]) -> String {
    let mut sorted = bursts.to_vec();
    sorted.sort_unstable();
    let mut firsts = bursts[..1000].to_vec();
    firsts.sort_unstable();
    format!(
        "longest burst of {BURST} {:.1} us (99.9 % {:.1}, median {:.2}; the first 1000: longest {:.1}, median {:.2}), \
         above 50 us {}, lowest rate over 5 ms {:.2} Mpps",
        percentile(&sorted, 1000),
        percentile(&sorted, 999),
        percentile(&sorted, 500),
        percentile(&firsts, 1000),
        percentile(&firsts, 500),
        sorted.iter().filter(|took| **took > LONG).count(),
        lowest_rate(bursts) / 1e6,
    )
}

/// Times every burst with and without cuts.
fn pauses(table: &mut FlowTable, into: &mut FrozenFlows, lines: &[Line]) {
    for cuts in [false, true] {
        let mut own = vec![Duration::MAX; lines.len() / BURST];
        let (mut worst, mut freezes) = (Vec::new(), Vec::new());
        let copied = table.chunks_copied();
        for _ in 0..CUTS {
            if cuts {
                let start = Instant::now();
                freeze(table, into);
                freezes.push(start.elapsed());
            }
            let bursts = timed(table, lines);
            own.iter_mut().zip(&bursts).for_each(|(own, took)| *own = (*own).min(*took));
            if worst.iter().max() < bursts.iter().max() {
                worst = bursts;
            }
        }
        println!("epoch/pauses {}:", if cuts { "with cuts" } else { "without cuts" });
        println!("  shortest of {CUTS} times each: {}", figures(&own));
        println!("  the worst time: {}", figures(&worst));
        if let (Some(shortest), Some(longest)) = (freezes.iter().min(), freezes.iter().max()) {
            println!(
                "  freeze: longest {:.1} us, shortest {:.1}; chunks copied a cut {}",
                longest.as_secs_f64() * 1e6,
                shortest.as_secs_f64() * 1e6,
                (table.chunks_copied() - copied) / CUTS as u64
            );
        }
    }
}

fn epoch(c: &mut Criterion) {
    let mut table = table(FLOWS);
    open_all(&mut table, FLOWS);
    let lines = random_frames(FLOWS, FRAMES);
    let mut frozen = FrozenFlows::with_capacity(FLOWS);
    freeze(&mut table, &mut frozen);
    run(&mut table, &lines);
    pauses(&mut table, &mut frozen, &lines);

    let mut group = c.benchmark_group("epoch");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(FRAMES as u64));
    group.bench_function("no_cut", |b| b.iter(|| run(&mut table, &lines)));
    group.bench_function("cut_and_copies", |b| {
        b.iter(|| {
            freeze(&mut table, &mut frozen);
            let before = table.chunks_copied();
            run(&mut table, &lines);
            let copied = (table.chunks_copied() - before) as usize;
            assert!(copied > FLOWS / CHUNK * 9 / 10, "nearly every chunk is touched again: {copied}");
        });
    });

    group.throughput(Throughput::Elements(FLOWS as u64));
    let (mut rates, mut list, mut number) = (Rates::default(), RateList::default(), FRAMES as u64);
    let mut reckon = |flows: &FrozenFlows, list: &mut RateList| {
        number += FRAMES as u64;
        let passed = Nanos(FRAMES as u64 * 100);
        let span = Span { passed, heard: passed, window: passed, rest: Nanos(0) };
        rates.reckon(flows, &cut(1, number), &span, list).0
    };
    freeze(&mut table, &mut frozen);
    reckon(&frozen, &mut list);
    let mut shortest = Duration::MAX;
    group.bench_function("merge/moving", |b| {
        b.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                run(&mut table, &lines);
                freeze(&mut table, &mut frozen);
                let start = Instant::now();
                let sum = reckon(&frozen, &mut list);
                let took = start.elapsed();
                spent += took;
                shortest = shortest.min(took);
                assert!(sum.down + sum.up >= 60 * FRAMES as u64, "every byte moved");
            }
            spent
        });
    });
    println!("epoch/merge/moving: shortest {:.1} ms", shortest.as_secs_f64() * 1e3);
    // Until the last rate has fallen to 0.
    while list.shown.iter().any(|rate| *rate != [0.0; 2]) {
        reckon(&frozen, &mut list);
    }
    group.bench_function("publish/idle", |b| {
        b.iter(|| {
            freeze(&mut table, &mut frozen);
            assert_eq!(black_box(reckon(&frozen, &mut list)), DownUp::default());
        });
    });
    group.finish();
}

criterion_group!(benches, epoch);
criterion_main!(benches);
