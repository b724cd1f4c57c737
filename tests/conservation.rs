//! Every frame that was taken is accounted for exactly once, at every epoch, whatever is too small
//! or too slow.
#![allow(clippy::unwrap_used, reason = "tests")]
#![expect(unsafe_code, reason = "sources promise how long frames stay where they are")]

#[path = "common/engine.rs"]
mod engine;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engine::{Run, config};
use rustnet::{
    base::{
        counters::{DropReason, Volume},
        ids::{CoreId, Epoch, IfaceId},
        time::{Nanos, Stamp},
    },
    capture::{
        source::{Clock, Progress, Sink, Source, SourceStatus},
        synthetic::{Frames, MemorySource, Mix, Traffic},
    },
    packet::{
        build::{Body, Frame},
        link::LinkType,
        parse::FrameMeta,
    },
    pipeline::{
        launch::{EngineConfig, Host},
        worker::Publish,
    },
    snapshot::{
        tap::{Ended, Tap},
        view::Snapshot,
    },
};

/// Checks every epoch that a tap saw.
fn assert_conserved(run: &Run, what: &str) {
    let mut before = Volume::default();
    for seen in &run.epochs {
        let accounts = &seen.accounts;
        assert!(accounts.conserved(), "{what}: {seen:?}");
        assert!(accounts.taken.frames >= before.frames, "{what}: counts never fall");
        before = accounts.taken;
        let mut told = seen.open;
        told += seen.ended;
        if seen.totals.ended_unreported == 0 {
            assert_eq!(accounts.flows, told, "{what}: rows and ended flows add up: {seen:?}");
        }
        assert!(told.frames <= accounts.flows.frames, "{what}: nothing is told twice: {seen:?}");
        assert_eq!(seen.totals.opened - seen.totals.closed, seen.totals.flows, "{what}: {seen:?}");
    }
    let last = run.last();
    assert_eq!(
        run.flows.len() as u64 + last.totals.ended_unreported,
        last.totals.opened,
        "{what}: every flow is told of once"
    );
}

/// Frames of all kinds, with some of none: over several seconds.
fn traffic(flows: usize, packets: usize, seed: u64) -> Arc<Frames> {
    let mut traffic = Traffic::new(flows, packets, seed);
    traffic.gap = Nanos::from_millis(1);
    let mut frames = Frames::default();
    for (n, (bytes, meta)) in traffic.frames().iter().enumerate() {
        frames.push(bytes, *meta);
        if n % 50 == 0 {
            // LLDP: no flow.
            let mut lldp = [0; 60];
            lldp[12..14].copy_from_slice(&0x88cc_u16.to_be_bytes());
            frames.push(&lldp, FrameMeta { wire_len: 60, ..*meta });
        }
        if n % 70 == 0 {
            // Cut off in the middle of the IP header.
            frames.push(&bytes[..20], *meta);
        }
    }
    Arc::new(frames)
}

#[test]
fn small_rings_tables_and_queues_lose_nothing_of_a_file() {
    let frames = traffic(3000, 20_000, 1);
    for (fused, workers, ring, max_flows, ended_queue) in [
        (false, 1, 4, 64, 1),
        (false, 2, 4, 128, 1),
        (false, 3, 5, 200, 2),
        (false, 2, 4096, 1 << 16, 4096),
        (true, 1, 4, 64, 1),
        (true, 1, 4, 1, 1),
        (true, 1, 4, 1 << 16, 1),
    ] {
        for publish in [Publish::AtEnd, Publish::Always] {
            let config = EngineConfig {
                fused,
                workers,
                ring,
                max_flows,
                ended_queue,
                file_epochs: publish,
                ..config()
            };
            let what =
                format!("fused {fused}, {workers} workers, ring {ring}, {max_flows} flows, {publish:?}");
            let run = engine::run(config, vec![MemorySource::new(Arc::clone(&frames))]);
            assert_conserved(&run, &what);
            let last = run.last();
            assert_eq!(last.accounts.taken.frames, frames.len() as u64, "{what}");
            assert_eq!(last.accounts.taken.bytes, frames.wire_bytes(), "{what}");
            assert_eq!(last.accounts.drops[DropReason::RingFull], 0, "{what}: a file waits");
            assert!(last.accounts.drops[DropReason::Snapped] > 0, "{what}");
            assert!(last.accounts.not_flow.frames > 0, "{what}");
            assert_eq!(last.totals.ended_unreported, 0, "{what}: a file waits for its reader");
            assert_eq!(last.totals.evicted > 0, max_flows < 3000, "{what}");
            let epochs = if publish == Publish::AtEnd { 1..2 } else { 15..1000 };
            assert!(epochs.contains(&run.epochs.len()), "{what}: {} epochs", run.epochs.len());
        }
    }
}

/// Takes its time.
struct Slow;

impl Tap for Slow {
    fn ended(&mut self, _: &[Ended]) -> io::Result<()> {
        thread::sleep(Duration::from_millis(2));
        Ok(())
    }
    fn epoch(&mut self, _: &Snapshot) -> io::Result<()> {
        thread::sleep(Duration::from_millis(10));
        Ok(())
    }
}

#[test]
fn a_slow_tap_and_a_reader_that_holds_on_lose_nothing_of_a_file() {
    let frames = traffic(2000, 20_000, 2);
    for fused in [true, false] {
        let config = EngineConfig {
            fused,
            ring: 16,
            max_flows: 256,
            ended_queue: 2,
            file_epochs: Publish::Always,
            ..config()
        };
        let source = MemorySource::new(Arc::clone(&frames));
        let run = engine::run_with_taps(config, vec![source], vec![Box::new(Slow)], |engine| {
            let mut seen = Epoch(0);
            while !engine.publication().is_over() {
                let Some(snapshot) = engine.publication().wait_after(seen, Duration::from_millis(20)) else {
                    continue;
                };
                let sum = |snapshot: &Snapshot| {
                    let mut sum = Volume::default();
                    snapshot.scan(|at, _, _| sum += engine::volume(&snapshot.record(at)));
                    sum
                };
                let first = sum(&snapshot);
                thread::sleep(Duration::from_millis(30));
                assert_eq!(sum(&snapshot), first, "what a reader holds does not change");
                assert!(snapshot.accounts.conserved());
                seen = snapshot.epoch;
            }
            assert!(seen > Epoch(0));
        });
        assert_conserved(&run, &format!("fused {fused}"));
    }
}

/// Frames from memory as if live, one at a time and then silence, until told to stop.
struct Live {
    frames: MemorySource,
    stopped: bool,
}

// SAFETY: it hands out what the memory source hands out.
unsafe impl Source for Live {
    fn clock(&self) -> Clock {
        Clock::Live
    }
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        match self.frames.burst_into(max, sink) {
            Progress::End if !self.stopped => Progress::Idle,
            progress => progress,
        }
    }
    fn wait(&mut self, timeout: Nanos) {
        thread::sleep(Duration::from_nanos(timeout.0.min(1_000_000)));
    }
    fn stop(&mut self) {
        self.stopped = true;
    }
    fn status(&mut self, out: &mut SourceStatus) {
        self.frames.status(out);
    }
}

#[test]
fn live_epochs_conserve_while_a_reader_holds_on() {
    let frames = traffic(2000, 50_000, 3);
    for (fused, sources, max_flows, ended_queue) in
        [(true, 1, 64, 1), (false, 1, 256, 1), (false, 2, 1 << 16, 4096), (true, 2, 256, 64)]
    {
        let what = format!("fused {fused}, {sources} sources, {max_flows} flows");
        let config = EngineConfig {
            fused,
            workers: 2,
            max_flows,
            ended_queue,
            cut_interval: Nanos::from_millis(5),
            ..config()
        };
        let live = MemorySource::new(Arc::clone(&frames))
            .live()
            .deal(sources, 7)
            .into_iter()
            .map(|frames| Live { frames, stopped: false })
            .collect();
        let run = engine::run_with(config, live, |engine| {
            let start = Instant::now();
            let mut seen = Epoch(0);
            let mut held = 0;
            while start.elapsed() < Duration::from_millis(400) {
                let Some(snapshot) = engine.publication().wait_after(seen, Duration::from_millis(20)) else {
                    continue;
                };
                seen = snapshot.epoch;
                held += 1;
                assert!(snapshot.accounts.conserved(), "{:?}", snapshot.accounts);
                // Longer than a cut's patience: epochs are skipped, not waited for.
                thread::sleep(Duration::from_millis(if held % 3 == 0 { 40 } else { 1 }));
            }
            assert!(held > 3, "{held} epochs");
            engine.stop();
        });
        assert_conserved(&run, &what);
        let last = run.last();
        assert_eq!(last.accounts.taken.frames, frames.len() as u64, "{what}");
        assert_eq!(last.totals.evicted > 0, max_flows < 1000, "{what}");
    }
}

static GATE: AtomicBool = AtomicBool::new(false);

/// Opens the gate behind its last frame.
struct OpensGate(MemorySource, Arc<AtomicU64>);

// SAFETY: it hands out what the memory source hands out.
unsafe impl Source for OpensGate {
    fn clock(&self) -> Clock {
        Clock::Live
    }
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        let progress = self.0.burst(max, |bytes, meta| {
            self.1.fetch_add(1, Ordering::Relaxed);
            sink.take(bytes, meta);
        });
        if progress == Progress::End {
            GATE.store(true, Ordering::Release);
        }
        progress
    }
    fn wait(&mut self, _: Nanos) {}
    fn status(&mut self, out: &mut SourceStatus) {
        self.0.status(out);
    }
}

#[test]
fn a_live_ring_that_is_full_drops_and_counts() {
    fn enter(name: &str, _: Option<CoreId>) {
        while name.starts_with("worker") && !GATE.load(Ordering::Acquire) {
            thread::yield_now();
        }
    }
    let frames = traffic(100, 1500, 4);
    let config = EngineConfig {
        workers: 2,
        ring: 64,
        host: Host { enter_thread: enter, ..engine::host() },
        ..config()
    };
    let taken = Arc::new(AtomicU64::new(0));
    let source = OpensGate(MemorySource::new(Arc::clone(&frames)), Arc::clone(&taken));
    let run = engine::run(config, vec![source]);
    assert_conserved(&run, "gate");
    let accounts = run.last().accounts;
    assert_eq!(accounts.taken.frames, frames.len() as u64);
    assert_eq!(accounts.taken.frames, taken.load(Ordering::Relaxed));
    // Two rings of 64 lines, one of each kept for the marker, are all that got through.
    let through = accounts.flows.frames;
    assert!((32..=126).contains(&through), "{through}");
    let others = accounts.not_flow.frames + accounts.drops[DropReason::Snapped];
    assert_eq!(accounts.drops[DropReason::RingFull], accounts.taken.frames - through - others);
}

#[test]
fn every_drop_reason_is_met_and_counted_once() {
    let wall = Stamp(1_700_000_000_000_000_000);
    let mut buffer = [0; 256];
    let udp = Frame::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), Body::Udp(4000, 53)).payload(b"hello");
    let len = udp.write(&mut buffer).unwrap();
    let good = buffer[..len].to_vec();
    let meta = FrameMeta {
        wall,
        wire_len: len as u32,
        iface: IfaceId(0),
        link: LinkType::ETHERNET,
        gso_size: 0,
        stripped_vlan: None,
        outgoing: false,
        loopback: false,
    };
    let mut malformed = good.clone();
    malformed[14] = 0x42;
    let mut deep = good[..12].to_vec();
    for _ in 0..64 {
        deep.extend([0x81, 0x00, 0x00, 0x01]);
    }
    deep.extend(&good[12..]);
    let mut not_flow = good.clone();
    not_flow[12..14].copy_from_slice(&0x88cc_u16.to_be_bytes());
    let cases: [(&str, &[u8], FrameMeta); 9] = [
        ("flow", &good, meta),
        ("flow", &good, FrameMeta { wall: Stamp(wall.0 + 1), ..meta }),
        ("not_flow", &not_flow, meta),
        ("snapped", &good[..30], meta),
        ("malformed", &malformed, meta),
        ("unknown_link", &good, FrameMeta { link: LinkType(147), ..meta }),
        ("too_deep", &deep, FrameMeta { wire_len: deep.len() as u32, ..meta }),
        ("seen_elsewhere", &good, FrameMeta { iface: IfaceId(1), ..meta }),
        ("loopback_copy", &good, FrameMeta { outgoing: true, loopback: true, ..meta }),
    ];
    let times = 3;
    let mut frames = Frames::default();
    for _ in 0..times {
        for (_, bytes, meta) in &cases {
            frames.push(bytes, *meta);
        }
    }
    let frames = Arc::new(frames);
    for fused in [true, false] {
        let run = engine::run(
            EngineConfig { fused, ..config() },
            vec![MemorySource::new(Arc::clone(&frames)).live()],
        );
        assert_conserved(&run, "cases");
        let accounts = run.last().accounts;
        assert_eq!(accounts.taken.frames, times * cases.len() as u64);
        assert_eq!(accounts.flows.frames, times * 2);
        assert_eq!(accounts.not_flow.frames, times);
        for &reason in DropReason::ALL {
            let want = if reason == DropReason::RingFull { 0 } else { times };
            assert_eq!(accounts.drops[reason], want, "{}", reason.key());
            let met = cases.iter().any(|(name, ..)| *name == reason.key());
            assert!(met || reason == DropReason::RingFull, "{}: a case for every reason", reason.key());
        }
    }
}

/// The same frames with and without room for all flows count the same in all.
#[test]
fn eviction_moves_frames_but_loses_none() {
    let frames = Arc::new(Traffic::new(5000, 40_000, 6).mix(Mix::UDP).frames());
    let totals: Vec<Volume> = [64, 1000, 1 << 16]
        .into_iter()
        .map(|max_flows| {
            let source = MemorySource::new(Arc::clone(&frames));
            let run = engine::run(EngineConfig { max_flows, ..config() }, vec![source]);
            assert_conserved(&run, "eviction");
            let mut sum = Volume::default();
            run.flows.iter().for_each(|record| sum += engine::volume(record));
            sum
        })
        .collect();
    assert_eq!(totals[0], totals[2]);
    assert_eq!(totals[1], totals[2]);
    assert_eq!(totals[0].frames, frames.len() as u64);
}
