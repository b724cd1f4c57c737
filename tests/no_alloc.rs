//! The packet path allocates nothing once started.
#![allow(clippy::unwrap_used, reason = "tests")]
#![expect(unsafe_code, reason = "a counting allocator must implement `GlobalAlloc`")]

#[path = "common/engine.rs"]
mod engine;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use engine::config;
use rustnet::{
    base::{ids::CoreId, time::Nanos},
    capture::{
        source::{Clock, Progress, Sink, Source, SourceStatus},
        synthetic::{Frames, MemorySource, Traffic},
    },
    pipeline::{
        launch::{EngineConfig, Host},
        worker::Publish,
    },
};

struct Counting;

thread_local! {
    /// This thread is an rx, a worker or both.
    static ON_THE_PATH: Cell<bool> = const { Cell::new(false) };
}
/// Start is over.
static COUNTING: AtomicBool = AtomicBool::new(false);
/// What threads on the path took from and gave back to the allocator.
static CALLS: AtomicU64 = AtomicU64::new(0);
/// Threads that named themselves.
static THREADS: AtomicU64 = AtomicU64::new(0);
/// The counts are of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn count() {
    if ON_THE_PATH.get() && COUNTING.load(Ordering::Relaxed) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on unchanged to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract of `alloc`, which is that of `System.alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as in `alloc`. Passed on, so that tables stay untouched pages.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count();
        // SAFETY: `ptr` came from `System` with this layout, as `alloc` passes on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOC: Counting = Counting;

/// Frames from memory, again and again; counting begins behind the first `warm` frames and ends
/// before the source does.
struct Counted {
    frames: MemorySource,
    clock: Clock,
    warm: u64,
    rounds: u64,
    handed_out: u64,
    /// Added to the frames' time in each round, so that time goes on.
    round: Nanos,
    behind: u64,
}

// SAFETY: it hands out what the memory source hands out.
unsafe impl Source for Counted {
    fn clock(&self) -> Clock {
        self.clock
    }
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        let behind = self.behind;
        let mut n = 0;
        let progress = self.frames.burst(max, |bytes, meta| {
            n += 1;
            let mut meta = *meta;
            meta.wall.0 += behind;
            sink.take(bytes, &meta);
        });
        self.handed_out += n;
        if self.handed_out >= self.warm {
            COUNTING.store(true, Ordering::Relaxed);
        }
        if progress == Progress::End && self.rounds > 1 {
            self.rounds -= 1;
            self.behind += self.round.0;
            self.frames.rewind();
            return Progress::Frames;
        }
        if progress == Progress::End {
            COUNTING.store(false, Ordering::Relaxed);
        }
        progress
    }
    fn wait(&mut self, _: Nanos) {}
    fn status(&mut self, out: &mut SourceStatus) {
        // What a source says of its interfaces is its own, once a cut; here it says nothing.
        out.method = "memory";
    }
}

/// Returns calls of the allocator over a million frames of all kinds.
fn calls(config: EngineConfig, clock: Clock) -> u64 {
    fn enter(name: &str, _: Option<CoreId>) {
        if name != "collector" {
            ON_THE_PATH.set(true);
            THREADS.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut traffic = Traffic::new(5000, 100_000, 1);
    traffic.gap = Nanos::from_millis(1);
    let frames: Arc<Frames> = Arc::new(traffic.frames());
    let source = Counted {
        frames: MemorySource::new(frames),
        clock,
        warm: 300_000,
        rounds: 13,
        handed_out: 0,
        round: Nanos::from_secs(105),
        behind: 0,
    };
    CALLS.store(0, Ordering::Relaxed);
    THREADS.store(0, Ordering::Relaxed);
    let threads = if config.fused { 1 } else { 1 + config.workers as u64 };
    let config = EngineConfig { host: Host { enter_thread: enter, ..engine::host() }, ..config };
    let run = engine::run(config, vec![source]);
    assert_eq!(THREADS.load(Ordering::Relaxed), threads);
    assert_eq!(run.last().accounts.taken.frames, 1_300_000);
    assert!(run.last().totals.opened > 10_000, "flows begin and end while counted");
    CALLS.load(Ordering::Relaxed)
}

#[test]
fn the_counter_counts() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    CALLS.store(0, Ordering::Relaxed);
    ON_THE_PATH.set(true);
    COUNTING.store(true, Ordering::Relaxed);
    drop(std::hint::black_box(Box::new(7)));
    COUNTING.store(false, Ordering::Relaxed);
    ON_THE_PATH.set(false);
    assert_eq!(CALLS.load(Ordering::Relaxed), 2);
}

#[test]
fn a_fused_shard_allocates_nothing() {
    let config = EngineConfig { fused: true, file_epochs: Publish::Always, ..config() };
    assert_eq!(calls(config, Clock::Frames), 0);
}

#[test]
fn a_fused_shard_that_evicts_allocates_nothing() {
    let config = EngineConfig { fused: true, max_flows: 1000, ended_queue: 64, ..config() };
    assert_eq!(calls(config, Clock::Frames), 0);
}

#[test]
fn rx_and_workers_allocate_nothing() {
    let config = EngineConfig { ring: 256, file_epochs: Publish::Always, ..config() };
    assert_eq!(calls(config, Clock::Frames), 0);
}

#[test]
fn live_cuts_allocate_nothing() {
    for fused in [true, false] {
        let config = EngineConfig { fused, ring: 4096, cut_interval: Nanos::from_millis(5), ..config() };
        assert_eq!(calls(config, Clock::Live), 0, "fused {fused}");
    }
}
