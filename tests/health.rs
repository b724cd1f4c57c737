//! Windows and legs of TCP: a reader that asks for a row gets them with the next cut, and of all rows with the last one.
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is the answer")]
#![expect(unsafe_code, reason = "a source promises where frames lie")]

#[path = "common/engine.rs"]
mod engine;
#[path = "common/talk.rs"]
mod talk;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustnet::{
    base::{ids::Epoch, time::Nanos},
    capture::{
        source::{Clock, Progress, Sink, Source, SourceStatus},
        synthetic::MemorySource,
    },
    flow::health::{Health, Window},
    pipeline::launch::{Engine, EngineConfig},
    snapshot::{
        row::Row,
        tap::{Ended, Tap},
        view::Snapshot,
    },
};
use talk::{Talk, ack, slow_reader};

/// A live source of as many frames as `allowed` says, until it is stopped.
struct Gated {
    frames: MemorySource,
    allowed: Arc<AtomicUsize>,
    handed_out: usize,
    stopped: bool,
}

// SAFETY: it hands out what the memory source hands out.
unsafe impl Source for Gated {
    fn clock(&self) -> Clock {
        Clock::Live
    }
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        let take = max.min(self.allowed.load(Ordering::Acquire) - self.handed_out);
        if take == 0 {
            return if self.stopped { Progress::End } else { Progress::Idle };
        }
        self.handed_out += take;
        self.frames.burst_into(take, sink)
    }
    fn wait(&mut self, _: Nanos) {
        std::thread::sleep(Duration::from_millis(1));
    }
    fn stop(&mut self) {
        self.stopped = true;
    }
    fn status(&mut self, out: &mut SourceStatus) {
        self.frames.status(out);
    }
}

/// A slow reader, which is host 2 and asleep from the fifth frame on; a connection of which only the middle is seen; and a
/// conversation of another protocol.
fn talk() -> Talk {
    let mut talk = Talk::default();
    talk.segments([("10.0.0.1", 40_000), ("10.0.0.2", 80)], &slow_reader());
    let middle = [(100, true, ack(502, 100)), (140, false, ack(229, 0))];
    talk.segments([("10.0.0.1", 40_001), ("10.0.0.3", 80)], &middle);
    talk.datagrams([("10.0.0.1", 40_002), ("10.0.0.4", 9)], &[(5, true, b"x"), (6, false, b"y")]);
    talk
}

/// Frames of the talk up to the first closed window.
const UNTIL_ASLEEP: usize = 9;
const ALL: usize = 13;

const ASLEEP: Health = Health {
    windows: [Window::Bytes(1_500_032), Window::Bytes(0)],
    zero_windows: [0, 1],
    legs_us: [20_000, 0],
};
const ASLEEP_AGAIN: Health = Health { zero_windows: [0, 2], ..ASLEEP };
const MIDDLE: Health = Health {
    windows: [Window::AtLeast(502), Window::AtLeast(229)],
    zero_windows: [0, 0],
    // What is seen first of an end may have been sent before.
    legs_us: [0, 0],
};

fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let mut rows = Vec::new();
    snapshot.scan(|at, _, _| rows.push(snapshot.row(at)));
    rows
}

fn row_of(snapshot: &Snapshot, port: u16) -> Row {
    rows(snapshot).into_iter().find(|row| row.ports[0] == port).unwrap()
}

/// Reads epochs until `wanted` holds of one.
fn read_until(engine: &Engine, mut wanted: impl FnMut(&Snapshot) -> bool) {
    let (start, mut seen) = (Instant::now(), Epoch(0));
    loop {
        let next = engine.publication().wait_after(seen, Duration::from_millis(20));
        let Some(snapshot) = next else { continue };
        let known = || rows(&snapshot).iter().map(|row| row.health).collect::<Vec<_>>();
        assert!(start.elapsed() < Duration::from_secs(30), "it never comes to that: {:?}", known());
        seen = snapshot.epoch;
        if wanted(&snapshot) {
            return;
        }
    }
}

/// Times of legs are kept in units of half a microsecond.
fn about(health: Option<Health>, want: Health) -> bool {
    health.is_some_and(|health| {
        let near = |end: usize| health.legs_us[end].abs_diff(want.legs_us[end]) <= 1;
        near(0) && near(1) && Health { legs_us: want.legs_us, ..health } == want
    })
}

/// Keeps the last epoch.
#[derive(Clone, Default)]
struct Last(Arc<Mutex<Option<Snapshot>>>);

impl Tap for Last {
    fn ended(&mut self, _: &[Ended]) -> std::io::Result<()> {
        Ok(())
    }
    fn epoch(&mut self, snapshot: &Snapshot) -> std::io::Result<()> {
        *self.0.lock().unwrap() = snapshot.detached();
        Ok(())
    }
}

#[test]
fn the_row_that_is_asked_for_has_its_windows_and_at_the_end_all_have() {
    for (fused, workers) in [(true, 1), (false, 1), (false, 3)] {
        let what = format!("fused {fused}, {workers} workers");
        let allowed = Arc::new(AtomicUsize::new(UNTIL_ASLEEP));
        let source =
            Gated { frames: talk().source(), allowed: Arc::clone(&allowed), handed_out: 0, stopped: false };
        let cut_interval = Nanos::from_millis(10);
        let config = EngineConfig { fused, workers, cut_interval, ..engine::config() };
        let last = Last::default();
        let run = engine::run_with_taps(config, vec![source], vec![Box::new(last.clone())], |engine| {
            let is_there = |snapshot: &Snapshot| snapshot.accounts.taken.frames == UNTIL_ASLEEP as u64;
            let (mut slow, mut other) = (None, None);
            read_until(engine, |snapshot| {
                // Nobody has asked.
                assert!(rows(snapshot).iter().all(|row| row.health.is_none()), "{what}");
                if is_there(snapshot) {
                    (slow, other) = (Some(row_of(snapshot, 40_000).id), Some(row_of(snapshot, 40_001).id));
                }
                slow.is_some()
            });
            let wish = &engine.publication().wish;
            wish.set(slow);
            read_until(engine, |snapshot| about(row_of(snapshot, 40_000).health, ASLEEP));
            allowed.store(ALL, Ordering::Release);
            read_until(engine, |snapshot| {
                assert!(row_of(snapshot, 40_001).health.is_none(), "{what}: it was not asked for");
                about(row_of(snapshot, 40_000).health, ASLEEP_AGAIN)
            });
            wish.set(other);
            read_until(engine, |snapshot| {
                about(row_of(snapshot, 40_001).health, MIDDLE) && row_of(snapshot, 40_000).health.is_none()
            });
            wish.set(None);
            read_until(engine, |snapshot| row_of(snapshot, 40_001).health.is_none());
            engine.stop();
        });
        let snapshot = last.0.lock().unwrap().take().unwrap();
        for (port, want) in [(40_000, ASLEEP_AGAIN), (40_001, MIDDLE)] {
            let health = row_of(&snapshot, port).health;
            assert!(about(health, want), "{what}: {health:?}");
            let ended = run.flows.iter().find(|record| record.hot.key.ports[0] == port).unwrap();
            assert!(about(ended.health, want), "{what}: {:?}", ended.health);
        }
        assert!(row_of(&snapshot, 40_002).health.is_none(), "{what}");
        let lines = String::from_utf8(run.jsonl).unwrap();
        let told: Vec<&str> = lines.lines().filter(|line| line.contains("window")).collect();
        assert!(told.len() == 1 && told[0].contains(r#","zero_windows":[0,2],"#), "{what}: {told:?}");
    }
}
