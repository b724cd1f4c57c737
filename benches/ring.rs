//! Lines a second over the ring from an rx to a worker, in bursts of 32: within one thread, which
//! is the instructions alone, and across two, which adds the way between their caches.
#![allow(missing_docs, reason = "criterion's macros")]

mod common;

use std::{
    hint::black_box,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use common::{BURST, random_frames};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustnet::{
    packet::line::Line,
    pipeline::{
        ring::{LineReceiver, LineSender, lines},
        wake::Bell,
    },
};

/// Lines of the ring, as the program makes it.
const RING: usize = 4096;
/// Lines that go over it in one round.
const LINES: usize = 1 << 20;
/// Lines that a worker takes at once.
const TAKE: usize = 64;

/// Sends all lines, burst by burst.
fn send(tx: &mut LineSender, burst: &[Line]) {
    let mut sent = 0;
    while sent < LINES {
        if tx.room(BURST) < BURST {
            thread::yield_now();
            continue;
        }
        tx.send(burst);
        sent += BURST;
    }
}

/// Takes up to `most` lines; looks at one field of each, as a worker would.
fn take(rx: &mut LineReceiver, most: usize, sum: &mut u64) -> usize {
    let waiting = rx.len().min(most);
    if waiting > 0 {
        rx.take(waiting, |lines| {
            *sum += lines.iter().map(|line| u64::from(line.frame().wire_len)).sum::<u64>();
            lines.len()
        });
    }
    waiting
}

fn across(burst: &[Line]) -> Duration {
    let (mut tx, mut rx) = lines(RING, Arc::new(Bell::default()));
    let start = Instant::now();
    let sum = thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let (mut taken, mut sum) = (0, 0);
            while taken < LINES {
                match take(&mut rx, TAKE, &mut sum) {
                    0 => std::hint::spin_loop(),
                    n => taken += n,
                }
            }
            sum
        });
        send(&mut tx, burst);
        worker.join().expect("the worker does not panic")
    });
    assert_eq!(sum, 60 * LINES as u64, "every line arrived once");
    start.elapsed()
}

fn ring(c: &mut Criterion) {
    let burst = random_frames(1000, BURST);
    let mut group = c.benchmark_group("ring");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(BURST as u64));
    let (mut tx, mut rx) = lines(RING, Arc::new(Bell::default()));
    group.bench_function("one_thread", |b| {
        b.iter(|| {
            let mut sum = 0;
            assert_eq!(tx.room(BURST), BURST);
            tx.send(&burst);
            assert_eq!(take(&mut rx, TAKE, &mut sum), BURST);
            assert_eq!(black_box(sum), 60 * BURST as u64);
        });
    });
    group.throughput(Throughput::Elements(LINES as u64));
    group.bench_function("two_threads", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| across(&burst)).sum());
    });
    group.finish();
}

criterion_group!(benches, ring);
criterion_main!(benches);
