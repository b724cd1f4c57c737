//! Keys per second of the seeded hash, narrow and wide.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustnet::packet::{
    hash::Seed,
    key::{FlowKey, WideKey, kind},
};

const KEYS: usize = 1024;

fn hash(c: &mut Criterion) {
    let seed = Seed::new(1);
    let mut group = c.benchmark_group("hash");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(KEYS as u64));
    let narrow: Vec<FlowKey> = (0..KEYS as u64)
        .map(|n| FlowKey {
            ends: 0x0a00_0000_c000_0201 + (n << 32),
            ports: [50_000, 443],
            proto: 6,
            kind: kind::LIVE,
            zero: 0,
        })
        .collect();
    group.bench_function("narrow", |b| {
        b.iter(|| black_box(&narrow).iter().fold(0, |all, key| all ^ seed.hash(key)));
    });
    let wide: Vec<WideKey> = (0..KEYS as u128)
        .map(|n| WideKey { ends: [n.to_be_bytes(), (n << 64 | 1).to_be_bytes()], ..WideKey::default() })
        .collect();
    group.bench_function("wide", |b| {
        b.iter(|| black_box(&wide).iter().fold(0, |all, key| all ^ seed.digest(key)));
    });
    group.finish();

    // The answer: different keys spread over buckets, whatever the seed.
    let mut buckets = [0_u32; 64];
    for key in &narrow {
        buckets[seed.hash(key) as usize % 64] += 1;
    }
    assert!(buckets.iter().all(|n| (1..=40).contains(n)), "{buckets:?}");
}

criterion_group!(benches, hash);
criterion_main!(benches);
