//! A capture source that stalls holds up neither the others nor the screen, and nothing is lost when
//! it comes back.
#![allow(clippy::unwrap_used, reason = "tests")]
#![expect(unsafe_code, reason = "sources promise how long frames stay where they are")]

#[path = "common/engine.rs"]
mod engine;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engine::config;
use rustnet::{
    base::{ids::Epoch, time::Nanos},
    capture::{
        source::{Clock, Progress, Sink, Source, SourceStatus},
        synthetic::{Frames, MemorySource, Traffic},
    },
    pipeline::{
        launch::{Engine, EngineConfig},
        worker::Publish,
    },
    snapshot::view::Snapshot,
};

/// Live frames from memory and then silence. After a number of frames it does not come back from a
/// call until the gate opens.
struct Stalling {
    frames: MemorySource,
    until_stall: usize,
    gate: Arc<AtomicBool>,
    stopped: bool,
}

// SAFETY: it hands out what the memory source hands out.
unsafe impl Source for Stalling {
    fn clock(&self) -> Clock {
        Clock::Live
    }
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        while self.until_stall == 0 && !self.gate.load(Ordering::Acquire) {
            thread::park_timeout(Duration::from_millis(1));
        }
        let max = if self.until_stall == 0 { max } else { max.min(self.until_stall) };
        self.until_stall = self.until_stall.saturating_sub(max);
        match self.frames.burst_into(max, sink) {
            Progress::End if !self.stopped => Progress::Idle,
            progress => progress,
        }
    }
    fn wait(&mut self, timeout: Nanos) {
        thread::park_timeout(Duration::from_nanos(timeout.0));
    }
    fn stop(&mut self) {
        self.stopped = true;
    }
    fn status(&mut self, out: &mut SourceStatus) {
        self.frames.status(out);
    }
}

const FLOWS: usize = 500;

fn sources(frames: &Arc<Frames>, count: usize, stalls_after: usize, gate: &Arc<AtomicBool>) -> Vec<Stalling> {
    let all = MemorySource::new(Arc::clone(frames)).live().deal(count, 7);
    let source = |(n, frames)| Stalling {
        frames,
        until_stall: if n + 1 == count { stalls_after } else { usize::MAX },
        gate: Arc::clone(gate),
        stopped: false,
    };
    all.into_iter().enumerate().map(source).collect()
}

fn stalled(snapshot: &Snapshot) -> Vec<String> {
    snapshot.stages.iter().filter(|stage| stage.stalled).map(|stage| stage.name.clone()).collect()
}

/// Reads epochs until `wanted` holds of one.
fn read_until(engine: &Engine, mut wanted: impl FnMut(&Snapshot) -> bool) {
    let (start, mut seen) = (Instant::now(), Epoch(0));
    loop {
        assert!(start.elapsed() < Duration::from_secs(30), "it never comes to that");
        let next = engine.publication().wait_after(seen, Duration::from_millis(20));
        let Some(snapshot) = next else { continue };
        seen = snapshot.epoch;
        assert!(snapshot.accounts.conserved(), "{:?}", snapshot.accounts);
        if wanted(&snapshot) {
            return;
        }
    }
}

/// A file's frames in two parts with a short silence between them, and then a long one.
struct Trickle {
    frames: MemorySource,
    left: usize,
    silences: usize,
    stopped: Arc<AtomicBool>,
}

// SAFETY: it hands out what the memory source hands out.
unsafe impl Source for Trickle {
    fn clock(&self) -> Clock {
        Clock::Frames
    }
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        if self.left == 0 {
            return if self.stopped.load(Ordering::Acquire) { Progress::End } else { Progress::Idle };
        }
        let take = max.min(self.left);
        self.left -= take;
        self.frames.burst_into(take, sink)
    }
    fn wait(&mut self, timeout: Nanos) {
        self.silences += 1;
        if self.silences == 1 {
            thread::sleep(Duration::from_millis(5));
            self.left = 47;
        } else {
            thread::sleep(Duration::from_nanos(timeout.0));
        }
    }
    fn status(&mut self, out: &mut SourceStatus) {
        self.frames.status(out);
    }
}

/// What came shortly after an epoch is shown as well, though nothing comes any more that would close the next one.
#[test]
fn the_last_frames_before_a_silence_are_shown() {
    let frames = Arc::new(Traffic::new(20, 100, 5).frames());
    let stopped = Arc::new(AtomicBool::new(false));
    let silent = Arc::clone(&stopped);
    let source = Trickle { frames: MemorySource::new(frames), left: 53, silences: 0, stopped: silent };
    let config = EngineConfig { fused: true, workers: 1, file_epochs: Publish::Always, ..config() };
    engine::run_with(config, vec![source], |engine| {
        read_until(engine, |snapshot| snapshot.accounts.taken.frames == 100);
        stopped.store(true, Ordering::Release);
    });
}

#[test]
fn an_rx_that_stalls_is_left_out_named_and_comes_back() {
    let frames = Arc::new(Traffic::new(FLOWS, 20_000, 5).frames());
    for (fused, count, name) in [
        (false, 2, "rx/1"),
        (true, 2, "shard/1"),
        (false, 1, "rx/0"),
        (true, 1, "shard/0"),
        (false, 3, "rx/2"),
    ] {
        let what = format!("fused {fused}, {count} sources");
        let config = EngineConfig {
            fused,
            workers: 2,
            ring: 1 << 16,
            cut_interval: Nanos::from_millis(30),
            ..config()
        };
        let gate = Arc::new(AtomicBool::new(false));
        // In the middle of a burst, so that workers have got frames of no report.
        let sources = sources(&frames, count, 1000, &gate);
        let run = engine::run_with(config, sources, |engine| {
            let (mut epochs, mut last) = (0, Nanos(0));
            read_until(engine, |snapshot| {
                assert!(snapshot.now >= last, "time goes on");
                last = snapshot.now;
                let named = stalled(snapshot).iter().any(|stage| stage == name);
                epochs = if named { epochs + 1 } else { 0 };
                epochs >= 4
            });
            gate.store(true, Ordering::Release);
            let all = frames.len() as u64;
            read_until(engine, |snapshot| {
                stalled(snapshot).is_empty() && snapshot.accounts.taken.frames == all
            });
            engine.stop();
        });
        for seen in &run.epochs {
            let mut told = seen.open;
            told += seen.ended;
            assert!(seen.accounts.conserved(), "{what}: {seen:?}");
            assert_eq!(seen.accounts.flows, told, "{what}: rows and ended flows add up: {seen:?}");
        }
        let last = run.last();
        assert_eq!(last.accounts.taken.frames, frames.len() as u64, "{what}");
        assert_eq!(last.accounts.taken.bytes, frames.wire_bytes(), "{what}");
        assert_eq!(last.accounts.drops.total(), 0, "{what}");
        assert_eq!(run.flows.len() as u64, last.totals.opened, "{what}: every flow once");
    }
}

#[test]
fn a_stop_while_a_source_stalls_ends_when_it_comes_back() {
    let frames = Arc::new(Traffic::new(FLOWS, 5000, 6).frames());
    for fused in [false, true] {
        let gate = Arc::new(AtomicBool::new(false));
        let config = EngineConfig { fused, ring: 1 << 16, cut_interval: Nanos::from_millis(10), ..config() };
        let run = engine::run_with(config, sources(&frames, 2, 500, &gate), |engine| {
            read_until(engine, |snapshot| !stalled(snapshot).is_empty());
            engine.stop();
            gate.store(true, Ordering::Release);
        });
        let last = run.last();
        assert!(last.accounts.conserved(), "{last:?}");
        assert_eq!(last.accounts.taken.frames, frames.len() as u64, "fused {fused}");
    }
}

#[test]
fn after_a_long_stall_a_stop_takes_all_that_is_left() {
    let frames = Arc::new(Traffic::new(FLOWS, 5000, 7).frames());
    // Longer than the drain after a stop may take, which begins when the source is back.
    let long = Nanos::from_millis(2_200);
    for fused in [false, true] {
        let gate = Arc::new(AtomicBool::new(false));
        let config = EngineConfig { fused, ring: 1 << 16, cut_interval: Nanos::from_millis(10), ..config() };
        let run = engine::run_with(config, sources(&frames, 2, 500, &gate), |engine| {
            let mut since = None;
            read_until(engine, |snapshot| {
                let is_stalled = !stalled(snapshot).is_empty();
                is_stalled && snapshot.now.since(*since.get_or_insert(snapshot.now)) >= long
            });
            engine.stop();
            gate.store(true, Ordering::Release);
        });
        assert_eq!(run.last().accounts.taken.frames, frames.len() as u64, "fused {fused}");
    }
}
