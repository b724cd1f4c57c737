//! Frames a second through the whole pipeline, as at a port: frames of 64 bytes in huge pages that come round
//! again and again, rx and worker fused, payloads inspected, live cuts. And the loads whose instructions are
//! counted (`perf/guard.sh`).
//!
//! ```text
//!   cargo bench --bench line_rate                     the table: Mpps and ns a frame
//!   cargo bench --bench line_rate -- 4M               one row of it, beside that of 1,000 flows
//!   line_rate guard LOAD FRAMES                       one run of a load, nothing printed
//! ```
//!
//! Starting, opening flows and ending are left out: they are in a short run and in a long one, and the
//! difference counts.
#![expect(unsafe_code, reason = "a source promises how long frames stay where they are")]
#![allow(clippy::unwrap_used, reason = "a bench ends where it fails")]

use std::{sync::Arc, time::Instant};

use rustnet::{
    base::{
        ids::IfaceId,
        time::{Nanos, Stamp},
    },
    capture::{
        source::{Clock, Progress, Sink, Source, SourceStatus},
        synthetic::{MemorySource, Mix, Traffic},
    },
    flow::locals::Locals,
    packet::{
        link::LinkType,
        parse::{FrameMeta, ParseConfig},
    },
    pipeline::{
        launch::{Engine, EngineConfig},
        worker::Publish,
    },
    platform,
};

/// A frame on the wire without its checksum, and the room that it has.
const FRAME: usize = 60;
const SLOT: usize = 64;
/// Nanoseconds between two frames at 10 Gb/s.
const GAP: u64 = 67;

/// Frames that come round for as long as it takes.
struct Port {
    memory: Arc<Vec<u8>>,
    at: usize,
    left: usize,
    meta: FrameMeta,
    clock: Clock,
}

// SAFETY: the memory is shared, never changed, and held by the source.
unsafe impl Source for Port {
    fn clock(&self) -> Clock {
        self.clock
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        if self.left == 0 {
            return Progress::End;
        }
        let take = max.min(self.left);
        self.left -= take;
        for _ in 0..take {
            if self.at == self.memory.len() {
                self.at = 0;
            }
            self.meta.wall.0 += GAP;
            sink.take(&self.memory[self.at..self.at + FRAME], &self.meta);
            self.at += SLOT;
        }
        Progress::Frames
    }

    fn wait(&mut self, _: Nanos) {}

    fn status(&mut self, out: &mut SourceStatus) {
        out.method = "memory";
    }
}

/// Returns UDP frames of 64 bytes, one for each of `flows` flows, in an order that no prefetcher foresees;
/// `share` tells the flows of several ports apart.
fn udp(flows: usize, share: u8) -> Arc<Vec<u8>> {
    let mut memory = vec![0u8; flows * SLOT];
    (platform::host(Vec::new()).advise)(memory.as_mut_ptr(), memory.len());
    // Odd, and so prime to a power of two: every flow once.
    let order = |n: usize| n.wrapping_mul(0x9e37_79b1) % flows.next_power_of_two();
    let flow_numbers = (0..flows.next_power_of_two()).map(order).filter(|n| *n < flows);
    for (slot, flow) in memory.chunks_exact_mut(SLOT).zip(flow_numbers) {
        slot[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        slot[12..14].copy_from_slice(&[8, 0]);
        slot[14..26].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0]);
        let client = (10u32 << 24 | u32::from(share) << 23 | flow as u32).to_be_bytes();
        slot[26..30].copy_from_slice(&client);
        slot[30..34].copy_from_slice(&[192, 0, 2, 1]);
        slot[34..42].copy_from_slice(&[0x9c, 0x40, 0x27, 0x0f, 0, 26, 0, 0]);
    }
    Arc::new(memory)
}

fn port(memory: &Arc<Vec<u8>>, frames: usize, clock: Clock) -> Port {
    let meta = FrameMeta {
        wall: Stamp(1_700_000_000_000_000_000),
        wire_len: FRAME as u32,
        iface: IfaceId(0),
        link: LinkType::ETHERNET,
        gso_size: 0,
        stripped_vlan: None,
        outgoing: false,
        loopback: false,
    };
    Port { memory: Arc::clone(memory), at: 0, left: frames, meta, clock }
}

fn config(max_flows: usize, busy_poll: bool) -> EngineConfig {
    EngineConfig {
        workers: 1,
        fused: true,
        burst: 32,
        ring: 4096,
        ended_queue: 16_384,
        max_flows,
        seed: 1,
        cut_interval: Nanos::from_secs(1),
        file_epochs: Publish::AtEnd,
        reckons_rates: true,
        parse: ParseConfig::default(),
        locals: Locals::new([]),
        inspects: true,
        resolver: None,
        names_late: false,
        busy_poll,
        host: platform::host(Vec::new()),
    }
}

/// Runs all frames through an engine with a shard for each source; returns the seconds it took.
fn run<S: Source + 'static>(
    sources: Vec<S>,
    frames: usize,
    flows: usize,
    max_flows: usize,
    busy_poll: bool,
) -> f64 {
    let start = Instant::now();
    let engine = Engine::launch(config(max_flows, busy_poll), sources, Vec::new()).unwrap();
    let publication = Arc::clone(engine.publication());
    engine.join().unwrap();
    let last = publication.latest().unwrap();
    assert!(last.accounts.conserved());
    assert_eq!((last.accounts.taken.frames, last.totals.evicted), (frames as u64, 0));
    assert!(flows == 0 || last.totals.opened == flows as u64, "{} of {flows} flows", last.totals.opened);
    start.elapsed().as_secs_f64()
}

/// Prints what a number of flows costs over a number of shards; returns ns a frame, of all shards together.
fn measure(name: &str, shards: usize, flows: usize, max_flows: usize) -> f64 {
    let memory: Vec<_> = (0..shards).map(|n| udp(flows / shards, n as u8)).collect();
    let go = |frames: usize| {
        let ports = memory.iter().map(|m| port(m, frames / shards, Clock::Live)).collect();
        run(ports, frames / shards * shards, flows / shards * shards, max_flows, true)
    };
    let (short, long) = (flows.max(4_000_000), flows.max(4_000_000) * 4);
    // What else the machine does only adds: the shortest of each is nearest to the truth.
    let rounds = if flows > 1_000_000 { 3 } else { 5 };
    let best = |frames: usize| (0..rounds).map(|_| go(frames)).fold(f64::INFINITY, f64::min);
    let nanos = (best(long) - best(short)) * 1e9 / (long - short) as f64;
    println!("line_rate/{name:<24} {:6.2} Mpps   {nanos:5.1} ns a frame", 1e3 / nanos);
    nanos
}

/// A flow of the bare loop: one line, as a table's record.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bare {
    key: [u64; 2],
    packets: u64,
    bytes: u64,
    last: u64,
}

/// Returns ns a frame of a loop over the same frames that does nothing but what any table must: reads the ends,
/// finds the flow's line by a hash, and counts there. As in the pipeline, 32 lines are loaded at once.
fn bare(flows: usize) -> f64 {
    const BATCH: usize = 32;
    let memory = udp(flows, 0);
    let mask = (2 * flows).next_power_of_two() - 1;
    let mut table = vec![Bare { key: [0; 2], packets: 0, bytes: 0, last: 0 }; mask + 1];
    (platform::host(Vec::new()).advise)(table.as_mut_ptr().cast(), size_of_val(&*table));
    let mut rounds = |rounds: usize| {
        let start = Instant::now();
        for round in 0..rounds {
            for frames in memory.chunks(BATCH * SLOT) {
                let mut found = [([0u64; 2], 0usize); BATCH];
                for (frame, found) in frames.chunks_exact(SLOT).zip(&mut found) {
                    let part = |at: usize| u64::from_le_bytes(frame[at..at + 8].try_into().unwrap());
                    let key = [part(26), part(30) | 1];
                    let mixed = (key[0] ^ key[1].rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let at = (mixed >> 32) as usize & mask;
                    rustnet::base::memory::prefetch(&raw const table[at]);
                    *found = (key, at);
                }
                for (key, mut at) in found.into_iter().take(frames.len() / SLOT) {
                    while table[at].key != key {
                        if table[at].packets == 0 {
                            table[at].key = key;
                            break;
                        }
                        at = (at + 1) & mask;
                    }
                    let flow = &mut table[at];
                    flow.packets += 1;
                    flow.bytes += FRAME as u64;
                    flow.last = round as u64;
                }
            }
        }
        start.elapsed().as_secs_f64()
    };
    rounds(1);
    let best = |passes: &mut dyn FnMut() -> f64| (0..3).map(|_| passes()).fold(f64::INFINITY, f64::min);
    let nanos = best(&mut || rounds(3)) * 1e9 / (3 * flows) as f64;
    assert_eq!(table.iter().filter(|flow| flow.packets > 0).count(), flows);
    nanos
}

/// The first frames of another source.
struct First {
    source: MemorySource,
    left: usize,
}

// SAFETY: as the source's.
unsafe impl Source for First {
    fn clock(&self) -> Clock {
        Clock::Frames
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        if self.left == 0 {
            return Progress::End;
        }
        let take = max.min(self.left);
        self.left -= take;
        self.source.burst_into(take, sink)
    }

    fn wait(&mut self, _: Nanos) {}

    fn status(&mut self, out: &mut SourceStatus) {
        self.source.status(out);
    }
}

/// The loads of `perf/guard.sh`: `frames` of those that are made, always as many.
fn guard(load: &str, frames: usize) {
    const MADE: usize = 100_000;
    let traffic = |mix, payload| {
        let made = Traffic::new(1000, MADE, 1).mix(mix).payload(payload).frames();
        assert!(frames <= made.len());
        let source = First { source: MemorySource::new(Arc::new(made)), left: frames };
        run(vec![source], frames, 0, 1 << 14, false)
    };
    match load {
        "udp" => run(vec![port(&udp(1000, 0), frames, Clock::Frames)], frames, 1000, 1 << 14, false),
        "tcp" => traffic(Mix::TCP, 0),
        "mix" => traffic(Mix { arp: 0, ..Mix::ALL }, 300),
        other => panic!("no load {other:?}: udp, tcp or mix"),
    };
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["guard", load, frames] => return guard(load, frames.parse().unwrap()),
        // `cargo test --benches` only asks whether it runs.
        ["--test", ..] => return guard("udp", 10_000),
        _ => {}
    }
    let one = measure("1k flows, one core", 1, 1000, 1 << 20);
    for (name, shards, flows, max_flows) in [
        ("1M flows, one core", 1, 1_000_000, 2 << 20),
        ("1M flows, two cores", 2, 1_000_000, 2 << 20),
        ("4M flows, one core", 1, 4_000_000, 8 << 20),
    ] {
        if arguments.iter().all(|part| part.starts_with('-') || name.contains(part)) {
            let nanos = measure(name, shards, flows, max_flows);
            println!("line_rate/{name:<24} {:.1} times 1k flows, one core", nanos / one);
            if shards == 1 {
                let bare = bare(flows);
                println!("line_rate/{name:<24} {:.2} times a bare loop ({bare:.1} ns)", nanos / bare);
            }
        }
    }
}
