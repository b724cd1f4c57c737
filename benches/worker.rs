//! Frames a second through a worker: bursts into its table, and now and then a cut, with the sweep
//! for flows that are over and a report to a collector that gives the table back at once.
#![allow(missing_docs, reason = "criterion's macros")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{BURST, cut, opening, random_frames, table};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustnet::packet::payload::Behind;
use rustnet::{
    base::counters::Volume,
    flow::table::FrozenFlows,
    packet::line::Line,
    pipeline::{
        handover::Handover,
        report::{EndedQueue, Message, WorkerReport},
        wake::Bell,
        worker::{Publish, Worker, WorkerParts},
    },
};

/// Frames between two cuts: a second of 1 Mpps.
const FRAMES: usize = 1 << 20;

/// A worker and the collector's ends of its queues.
struct Rig {
    worker: Worker,
    reports: rtrb::Consumer<Message>,
    tables: Arc<Handover<FrozenFlows>>,
    epoch: u64,
}

impl Rig {
    fn new(flows: usize, publish: Publish, spread_sweep: bool) -> Self {
        let (to_collector, reports) = rtrb::RingBuffer::new(4);
        let tables = Arc::<Handover<_>>::default();
        let (ended, _) = rtrb::RingBuffer::new(1024);
        tables.put(Box::new(FrozenFlows::with_capacity(flows)));
        let collector = Arc::new(Bell::default());
        let mut worker = Worker::new(WorkerParts {
            table: table(flows),
            ended: EndedQueue::new(
                ended,
                rustnet::pipeline::learned::ring(0, Arc::clone(&collector), false).0,
                Arc::clone(&collector),
                false,
            ),
            to_collector,
            tables: Arc::clone(&tables),
            locals: Arc::default(),
            wish: Arc::default(),
            collector,
            publish,
            spread_sweep,
        });
        for burst in opening(flows) {
            assert_eq!(worker.process(&burst, &Behind), burst.len());
        }
        Self { worker, reports, tables, epoch: 0 }
    }

    /// A second of a worker's life.
    fn epoch(&mut self, lines: &[Line]) -> WorkerReport {
        for burst in lines.chunks(BURST) {
            self.worker.process(burst, &Behind);
        }
        self.epoch += 1;
        self.worker.close(cut(self.epoch, FRAMES as u64), Volume::default());
        let Ok(Message::Worker(mut report)) = self.reports.pop() else { panic!("a cut sends a report") };
        if let Some(flows) = report.flows.take() {
            assert!(self.tables.put(flows).is_none(), "there is one table");
        }
        report
    }
}

fn worker(c: &mut Criterion) {
    let mut group = c.benchmark_group("worker");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(FRAMES as u64));
    for (flows, size) in [(1000, "1k"), (65_536, "64k"), (1_000_000, "1M")] {
        let lines = random_frames(flows, FRAMES);
        for (name, publish, spread) in
            [("live", Publish::WhenReturned, true), ("file", Publish::AtEnd, false)]
        {
            let mut rig = Rig::new(flows, publish, spread);
            let mut frames = 2 * flows as u64;
            group.bench_function(format!("{name}/{size}"), |b| {
                b.iter(|| {
                    let report = rig.epoch(&lines);
                    frames += FRAMES as u64;
                    assert_eq!(report.counts.volume.frames, frames);
                    assert_eq!(report.counts.live, flows as u64);
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, worker);
criterion_main!(benches);
