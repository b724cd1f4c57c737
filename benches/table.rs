//! Frames a second through one flow table in its steady state: all flows are there, each frame is
//! of one chosen at random.
//!
//! The frames themselves come out of memory one after the other; the last two sizes are beyond any
//! cache, so what they cost is the latency of memory divided by what a burst overlaps.
#![allow(missing_docs, reason = "criterion's macros")]

mod common;

use std::time::Duration;

use common::{Ended, open_all, random_frames, table};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Lines given at once, as rx stages them.
const LINES: usize = 32;

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("table");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    for (name, flows, frames) in
        [("1k", 1000, 4096), ("64k", 65_536, 1 << 18), ("1M", 1_000_000, 1 << 20), ("4M", 4_000_000, 1 << 20)]
    {
        let mut table = table(flows);
        open_all(&mut table, flows);
        let lines = random_frames(flows, frames);
        group.throughput(Throughput::Elements(frames as u64));
        let before = table.counts().volume.frames;
        let mut rounds = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                for burst in lines.chunks(LINES) {
                    table.process(burst, &rustnet::packet::payload::Behind, &mut Ended::default());
                }
                rounds += 1;
            });
        });
        let counts = table.counts();
        assert_eq!(counts.volume.frames - before, rounds * frames as u64, "every frame is counted");
        assert_eq!((counts.live, counts.closed), (flows as u64, 0));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
