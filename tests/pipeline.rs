//! However the pipeline is built, the same frames give the same export, byte for byte.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/engine.rs"]
mod engine;
#[path = "common/shared.rs"]
mod shared;

use std::{collections::BTreeMap, fs::File, path::PathBuf, sync::Arc};

use rustnet::{
    base::time::{Nanos, Stamp},
    capture::{
        capture_file::CaptureFile,
        synthetic::{Frames, MemorySource, Mix, Traffic},
    },
    flow::state::EndReason,
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::tcp_flag::SYN,
    },
    pipeline::launch::EngineConfig,
};

/// How a pipeline is built.
#[derive(Clone, Copy, Debug)]
struct Shape {
    sources: usize,
    /// 0: fused.
    workers: usize,
    burst: usize,
    ring: usize,
}

const fn shape(sources: usize, workers: usize, burst: usize, ring: usize) -> Shape {
    Shape { sources, workers, burst, ring }
}

/// What every other shape is compared with.
const PLAIN: Shape = shape(1, 1, 32, 4096);

const SHAPES: &[Shape] = &[
    shape(1, 2, 32, 4096),
    shape(1, 4, 32, 4096),
    shape(1, 8, 32, 4096),
    shape(2, 1, 32, 4096),
    shape(2, 2, 32, 4096),
    shape(2, 8, 7, 256),
    shape(1, 0, 32, 0),
    shape(2, 0, 32, 0),
    shape(1, 0, 1, 0),
    shape(1, 0, 256, 0),
    shape(1, 2, 1, 4096),
    shape(1, 2, 3, 64),
    shape(1, 2, 64, 4096),
    shape(1, 2, 256, 16_384),
    shape(1, 2, 32, 4),
    shape(2, 4, 32, 5),
    shape(1, 3, 256, 7),
];

fn jsonl(frames: &Arc<Frames>, shape: Shape) -> Vec<u8> {
    let config = EngineConfig {
        workers: shape.workers,
        fused: shape.workers == 0,
        burst: shape.burst,
        ring: shape.ring,
        ..engine::config()
    };
    let source = MemorySource::new(Arc::clone(frames));
    let sources = if shape.sources == 1 { vec![source] } else { source.deal(shape.sources, config.seed) };
    let run = engine::run(config, sources);
    let last = run.last();
    assert_eq!(last.accounts.taken.frames, frames.len() as u64, "{shape:?}");
    assert_eq!(last.accounts.drops.total(), 0, "{shape:?}");
    assert_eq!(last.totals.evicted, 0, "{shape:?}: this many flows fit");
    run.jsonl
}

#[test]
fn days_of_silence_need_no_cut_a_second_in_any_shape() {
    let mut frames = Frames::default();
    for part in 0..20 {
        let gap = if part % 2 == 0 { 3 * 86_400 } else { 90 };
        append(&mut frames, &Traffic::new(40, 400, part).frames(), Nanos::from_secs(gap));
    }
    let frames = Arc::new(frames);
    let want = jsonl(&frames, PLAIN);
    for shape in [shape(1, 0, 32, 0), shape(1, 2, 32, 4096), shape(1, 5, 7, 64), shape(2, 2, 32, 4096)] {
        assert_same(&jsonl(&frames, shape), &want, &format!("{shape:?}"));
    }
    for workers in [0, 1, 3] {
        let config = EngineConfig { workers, fused: workers == 0, ..engine::config() };
        let run = engine::run(config, vec![MemorySource::new(Arc::clone(&frames))]);
        // A gap counts for 31 minutes at most: 10 of them are 18,600 seconds.
        let epochs = run.last().epoch;
        assert!(epochs < 4000, "{workers} workers: {epochs} cuts");
    }
}

/// Fails with the first line that differs.
fn assert_same(got: &[u8], want: &[u8], what: &str) {
    if got == want {
        return;
    }
    let (got, want) = (String::from_utf8_lossy(got), String::from_utf8_lossy(want));
    for (n, (a, b)) in got.lines().zip(want.lines()).enumerate() {
        assert_eq!(a, b, "{what}: line {}", n + 1);
    }
    panic!("{what}: {} lines instead of {}", got.lines().count(), want.lines().count());
}

/// Adds the frames of `more`, later by `gap` than the last one.
fn append(frames: &mut Frames, more: &Frames, gap: Nanos) {
    let end = frames.iter().last().map_or(0, |(_, meta)| meta.wall.0);
    let start = more.iter().next().map_or(0, |(_, meta)| meta.wall.0);
    for (bytes, meta) in more.iter() {
        let wall = Stamp(meta.wall.0 - start + end + gap.0);
        frames.push(bytes, rustnet::packet::parse::FrameMeta { wall, ..*meta });
    }
}

/// All kinds of frames, the same tuples again and again, with silences between in which flows of
/// every kind expire, and a SYN into TIME_WAIT.
fn everything() -> Frames {
    let mut frames = Frames::default();
    let gaps = [0, 4, 9, 29, 31, 59, 61, 100, 299, 301, 2];
    for (round, gap) in gaps.into_iter().enumerate() {
        // The seed decides the tuples: every third time they come back.
        let mut traffic = Traffic::new(400, 3000, round as u64 % 3);
        traffic.gap = Nanos::from_millis(2);
        append(&mut frames, &traffic.frames(), Nanos::from_secs(gap));
        append(&mut frames, &reconnects(), Nanos::from_millis(1));
    }
    frames
}

/// Connections that end, and begin again on the same tuple at once.
fn reconnects() -> Frames {
    let plain = Mix { reset: 50, ..Mix::TCP };
    let mut frames = Traffic::new(50, 1000, 11).mix(plain).frames();
    let mut buffer = [0; 128];
    let connections: BTreeMap<_, _> = frames
        .iter()
        .filter(|(frame, _)| frame[14 + 20 + 13] == SYN)
        .map(|(frame, meta)| (frame[26..38].to_vec(), meta.wall))
        .collect();
    let end = frames.iter().last().unwrap().1.wall;
    for (n, tuple) in connections.keys().enumerate() {
        let address =
            |at: usize| std::net::IpAddr::from([tuple[at], tuple[at + 1], tuple[at + 2], tuple[at + 3]]);
        let port = |at: usize| u16::from_be_bytes([tuple[at], tuple[at + 1]]);
        let tcp = Tcp { src_port: port(8), dst_port: port(10), seq_number: 77, flags: SYN, ..Tcp::default() };
        let frame = Frame::new(address(0), address(4), Body::Tcp(tcp));
        let len = frame.write(&mut buffer).unwrap();
        frames.push_ethernet(Stamp(end.0 + 1000 * n as u64), &buffer[..len]);
    }
    frames
}

#[test]
fn every_shape_gives_the_same_export() {
    let frames = Arc::new(everything());
    let want = jsonl(&frames, PLAIN);
    let text = String::from_utf8(want.clone()).unwrap();
    for reason in [EndReason::Fin, EndReason::Rst, EndReason::Timeout, EndReason::Replaced, EndReason::Eof] {
        assert!(text.contains(&format!("\"end\":\"{}\"", reason.key())), "some flow ends by {reason:?}");
    }
    for what in ["\"ARP\"", "\"ICMP\"", "\"ICMPV6\"", "\"UDP\"", "\"vlan\":", "2001:db8::"] {
        assert!(text.contains(what), "the traffic has {what}");
    }
    for shape in SHAPES {
        assert_same(&jsonl(&frames, *shape), &want, &format!("{shape:?}"));
    }
}

/// What is decided by races between threads shows only sometimes.
#[test]
fn many_runs_give_the_same_export() {
    let mut frames = Frames::default();
    for round in 0..8 {
        append(&mut frames, &reconnects(), Nanos::from_millis(700 * (round % 3)));
    }
    let frames = Arc::new(frames);
    let want = jsonl(&frames, PLAIN);
    for round in 0..40 {
        let shape = shape(1 + round % 2, 1 + round % 3, 1 + round, 64);
        assert_same(&jsonl(&frames, shape), &want, &format!("round {round}"));
    }
}

/// A cut after so many frames, where time does not pass, must not depend on bursts.
#[test]
fn cuts_by_frames_stand_behind_the_same_frame() {
    let mut frames = Frames::with_capacity(1_200_000, 1_200_000 * 64);
    let syns = reconnects();
    let few = Traffic::new(3, 1000, 9).mix(Mix::UDP).payload(0).frames();
    let wall = few.iter().next().unwrap().1.wall;
    for round in 0..1200u32 {
        let source = if (1045..1055).contains(&round) { &syns } else { &few };
        for (bytes, meta) in source.iter().take(1000) {
            frames.push(bytes, rustnet::packet::parse::FrameMeta { wall, ..*meta });
        }
    }
    let frames = Arc::new(frames);
    let want = jsonl(&frames, PLAIN);
    for shape in [shape(1, 0, 33, 0), shape(1, 2, 7, 64)] {
        assert_same(&jsonl(&frames, shape), &want, &format!("{shape:?}"));
    }
}

#[test]
fn later_fragments_are_dealt_to_the_source_of_the_first() {
    let mix = Mix { fragment: 100, ipv6: 50, ..Mix::UDP };
    let frames = Arc::new(Traffic::new(200, 4000, 3).mix(mix).frames());
    for sources in 1..=4 {
        let run = engine::run(
            engine::config(),
            MemorySource::new(Arc::clone(&frames)).deal(sources, engine::config().seed),
        );
        assert_eq!(run.flows.len(), 200, "{sources}: a fragment is no flow of its own");
    }
}

/// Captures of real traffic, where they are there.
#[test]
fn every_shape_gives_the_same_export_of_captures() {
    let Some(dir) = shared::captures() else { return };
    let mut names: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng"))
        .filter(|path| path.metadata().unwrap().len() < 1 << 20)
        .collect();
    names.sort();
    assert!(!names.is_empty());
    for path in names {
        let Ok(mut file) = CaptureFile::from_reader(Box::new(File::open(&path).unwrap())) else { continue };
        let mut frames = Frames::default();
        frames.extend_from(&mut file);
        let frames = Arc::new(frames);
        let want = export_of(&frames, PLAIN);
        for shape in [shape(1, 0, 3, 0), shape(1, 3, 32, 4), shape(1, 8, 64, 4096)] {
            assert_same(&export_of(&frames, shape), &want, &format!("{} {shape:?}", path.display()));
        }
    }
}

/// As [`jsonl`], for frames that may be broken.
fn export_of(frames: &Arc<Frames>, shape: Shape) -> Vec<u8> {
    let config = EngineConfig {
        workers: shape.workers,
        fused: shape.workers == 0,
        burst: shape.burst,
        ring: shape.ring,
        ..engine::config()
    };
    let run = engine::run(config, vec![MemorySource::new(Arc::clone(frames))]);
    assert!(run.last().accounts.conserved());
    run.jsonl
}
