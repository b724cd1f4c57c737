//! A live capture of which nothing comes: its threads sleep, and all that can happen wakes them at once.
#![allow(clippy::unwrap_used, reason = "tests")]
#![expect(unsafe_code, reason = "a source promises how long frames stay where they are")]

#[path = "common/engine.rs"]
mod engine;

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engine::{config, within};
use rustnet::{
    base::{call::Caller, ids::Epoch, time::Nanos},
    capture::{
        source::{Clock, Progress, Sink, Source, SourceStatus},
        synthetic::{Frames, MemorySource, Traffic},
    },
    pipeline::launch::{Engine, EngineConfig},
};

const FRAMES: usize = 100;
const LONG: Duration = Duration::from_secs(30);

/// What a source that is silent shares with its test.
#[derive(Default)]
struct Line {
    called: Mutex<bool>,
    changed: Condvar,
    /// Frames may come.
    open: AtomicBool,
    waits: AtomicUsize,
    taken: Mutex<Option<Instant>>,
}

impl Line {
    fn call(&self) {
        *self.called.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// Gives frames once its line is open, and waits for nothing but a call: no time ends it before it was stopped.
struct Silent {
    frames: MemorySource,
    line: Arc<Line>,
    stopped: bool,
}

// SAFETY: it hands out what the memory source hands out.
unsafe impl Source for Silent {
    fn clock(&self) -> Clock {
        Clock::Live
    }
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        let progress = match self.line.open.load(Ordering::Acquire) {
            true => self.frames.burst_into(max, sink),
            false => Progress::Idle,
        };
        match progress {
            _ if self.stopped => Progress::End,
            Progress::End => Progress::Idle,
            Progress::Frames => {
                self.line.taken.lock().unwrap().get_or_insert_with(Instant::now);
                progress
            }
            Progress::Idle => progress,
        }
    }
    fn wait(&mut self, timeout: Nanos) {
        if self.stopped {
            return thread::sleep(Duration::from_nanos(timeout.0));
        }
        self.line.waits.fetch_add(1, Ordering::Relaxed);
        let called = self.line.called.lock().unwrap();
        let (mut called, timed) = self.line.changed.wait_timeout_while(called, LONG, |c| !*c).unwrap();
        assert!(!timed.timed_out(), "nobody has called for {LONG:?}");
        *called = false;
    }
    fn caller(&self) -> Option<Caller> {
        let line = Arc::clone(&self.line);
        Some(Caller::new(move || line.call()))
    }
    fn stop(&mut self) {
        self.stopped = true;
    }
    fn status(&mut self, out: &mut SourceStatus) {
        self.frames.status(out);
    }
}

fn launch(interval: Nanos, fused: bool, lines: &[Arc<Line>]) -> Engine {
    let frames = Arc::new(Traffic::new(5, FRAMES, 1).frames());
    let all = MemorySource::new(frames).live().deal(lines.len(), 7);
    let source = |(frames, line): (_, &Arc<Line>)| Silent { frames, line: Arc::clone(line), stopped: false };
    let sources = all.into_iter().zip(lines).map(source).collect();
    let config = EngineConfig { cut_interval: interval, fused, ..config() };
    Engine::launch(config, sources, Vec::new()).unwrap()
}

fn lines() -> Vec<Arc<Line>> {
    vec![Arc::default(), Arc::default()]
}

#[test]
fn an_idle_rx_wakes_for_cuts_and_nothing_else() {
    const EPOCHS: u64 = 20;
    for fused in [true, false] {
        let lines = lines();
        let engine = launch(Nanos::from_millis(20), fused, &lines);
        let begun = Instant::now();
        while engine.publication().epoch() < Epoch(EPOCHS) {
            assert!(begun.elapsed() < LONG, "cuts come without a frame");
            let _ = engine.publication().wait_after(Epoch(EPOCHS - 1), Duration::from_millis(50));
        }
        let (epochs, skipped) = (engine.publication().epoch().0, engine.publication().latest());
        let asked = epochs + skipped.map_or(0, |s| s.epochs_skipped);
        for line in &lines {
            let waits = line.waits.load(Ordering::Relaxed) as u64;
            // One more before the first cut, one behind the last; a call may come when it is just awake.
            assert!(waits <= asked + asked / 4 + 2, "{waits} waits for {asked} cuts");
        }
        engine.stop();
        within(LONG, move || engine.join()).unwrap();
    }
}

#[test]
fn a_frame_after_silence_is_taken_at_once_and_so_is_a_stop() {
    for fused in [true, false] {
        let lines = lines();
        let engine = launch(Nanos::from_secs(1), fused, &lines);
        // Not just before a cut, which would wake it as well.
        while engine.publication().epoch() < Epoch(1) {
            let _ = engine.publication().wait_after(Epoch(0), LONG);
        }
        thread::sleep(Duration::from_millis(50));
        let sent = Instant::now();
        for line in &lines {
            line.open.store(true, Ordering::Release);
            line.call();
        }
        let took = || lines.iter().all(|line| line.taken.lock().unwrap().is_some());
        while !took() {
            assert!(sent.elapsed() < LONG);
            thread::yield_now();
        }
        assert!(sent.elapsed() < Duration::from_millis(400), "{:?}", sent.elapsed());
        thread::sleep(Duration::from_millis(20));
        let stopped = Instant::now();
        engine.stop();
        let publication = Arc::clone(engine.publication());
        let (ended, is_told) = std::sync::mpsc::channel();
        publication.call_at_end(Caller::new(move || {
            let _ = ended.send(());
        }));
        within(LONG, move || engine.join()).unwrap();
        assert!(stopped.elapsed() < Duration::from_millis(400), "{:?}", stopped.elapsed());
        is_told.recv_timeout(LONG).unwrap();
        let last = publication.latest().unwrap();
        assert_eq!(last.accounts.taken.frames, FRAMES as u64);
        assert!(last.ended && last.accounts.conserved());
        // Whoever comes later is called at once.
        let late = Arc::new(AtomicBool::new(false));
        let is_called = Arc::clone(&late);
        publication.call_at_end(Caller::new(move || late.store(true, Ordering::Relaxed)));
        assert!(is_called.load(Ordering::Relaxed));
    }
}

/// Frames of no flow at all, for a source whose rx ends by a panic.
struct Broken(Arc<Line>, Arc<AtomicBool>);

// SAFETY: it hands out nothing.
unsafe impl Source for Broken {
    fn clock(&self) -> Clock {
        Clock::Live
    }
    fn burst_into(&mut self, _: usize, _: &mut impl Sink) -> Progress {
        assert!(!self.1.load(Ordering::Relaxed), "told to break");
        Progress::Idle
    }
    fn wait(&mut self, _: Nanos) {
        let called = self.0.called.lock().unwrap();
        let (mut called, timed) = self.0.changed.wait_timeout_while(called, LONG, |c| !*c).unwrap();
        assert!(!timed.timed_out(), "nobody has called");
        *called = false;
    }
    fn caller(&self) -> Option<Caller> {
        let line = Arc::clone(&self.0);
        Some(Caller::new(move || line.call()))
    }
    fn status(&mut self, out: &mut SourceStatus) {
        MemorySource::new(Arc::new(Frames::with_capacity(1, 64))).status(out);
    }
}

#[test]
fn the_death_of_one_wakes_the_others() {
    let (lines, breaks) = (lines(), [true, false].map(|_| Arc::new(AtomicBool::new(false))));
    let sources = lines.iter().zip(&breaks).map(|(l, b)| Broken(Arc::clone(l), Arc::clone(b))).collect();
    let config = EngineConfig { cut_interval: Nanos::from_secs(1), fused: true, ..config() };
    let engine = Engine::launch(config, sources, Vec::new()).unwrap();
    let _ = engine.publication().wait_after(Epoch(0), LONG);
    breaks[0].store(true, Ordering::Relaxed);
    lines[0].call();
    let begun = Instant::now();
    assert!(within(LONG, move || engine.join()).is_err());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
