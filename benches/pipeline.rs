//! Frames a second through the whole pipeline, from memory to the last epoch, threads and tables
//! made and ended included.
#![allow(missing_docs, reason = "criterion's macros")]

use std::{sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustnet::{
    base::time::Nanos,
    capture::synthetic::{Frames, MemorySource, Mix, Traffic},
    flow::locals::Locals,
    packet::parse::ParseConfig,
    pipeline::{
        launch::{Engine, EngineConfig},
        worker::Publish,
    },
    platform,
};

const FRAMES: usize = 4_000_000;

fn config(workers: usize, fused: bool) -> EngineConfig {
    EngineConfig {
        workers,
        fused,
        burst: 32,
        ring: 4096,
        ended_queue: 16_384,
        max_flows: 1 << 20,
        seed: 1,
        cut_interval: Nanos::from_secs(1),
        file_epochs: Publish::AtEnd,
        reckons_rates: true,
        parse: ParseConfig::default(),
        locals: Locals::new([]),
        inspects: true,
        resolver: None,
        names_late: false,
        busy_poll: false,
        host: platform::host(Vec::new()),
    }
}

/// Runs all frames through an engine; every one must be accounted to a flow.
fn run(frames: &Arc<Frames>, config: EngineConfig) {
    let engine = Engine::launch(config, vec![MemorySource::new(Arc::clone(frames))], Vec::new())
        .expect("threads can be started");
    let publication = Arc::clone(engine.publication());
    engine.join().expect("no stage panics");
    let last = publication.latest().expect("the last epoch stays");
    assert!(last.accounts.conserved());
    assert_eq!(last.accounts.flows.frames, frames.len() as u64);
    assert_eq!(last.totals.evicted, 0);
}

fn pipeline(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipeline");
    group.sample_size(10).measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(FRAMES as u64));
    for (size, flows) in [("1k", 1000), ("1M", 1_000_000)] {
        let mix = Mix { tcp: 7, udp: 3, ..Mix::TCP };
        let frames = Arc::new(Traffic::new(flows, FRAMES, 1).mix(mix).payload(0).frames());
        for (name, fused) in [("fused", true), ("staged", false)] {
            group.bench_function(format!("{name}/{size}"), |b| b.iter(|| run(&frames, config(1, fused))));
        }
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
