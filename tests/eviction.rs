//! A full table gives up half-open and one-packet flows, oldest first, and keeps connections.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/engine.rs"]
mod engine;

use std::{net::Ipv4Addr, sync::Arc};

use engine::config;
use rustnet::{
    base::time::{Nanos, Stamp},
    capture::synthetic::{Frames, MemorySource},
    flow::{
        entry::FlowRecord,
        state::{EndReason, FlowState},
    },
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::tcp_flag::{ACK, PSH, SYN},
    },
    pipeline::launch::EngineConfig,
};

const START: Stamp = Stamp(1_700_000_000_000_000_000);
const ESTABLISHED: u32 = 1000;
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Frames in order, one every 10 us.
#[derive(Default)]
struct Script(Frames);

impl Script {
    /// Adds a segment between the server's port 443 and a client's port 4000.
    fn segment(&mut self, client: u32, from_client: bool, flags: u8, numbers: [u32; 2], payload: &[u8]) {
        let mut ends = [(Ipv4Addr::from(client), 4000), (SERVER, 443)];
        if !from_client {
            ends.reverse();
        }
        let [(src, src_port), (dst, dst_port)] = ends;
        let [seq_number, ack_number] = numbers;
        let tcp = Tcp { src_port, dst_port, seq_number, ack_number, flags, window: 1000, ..Tcp::default() };
        let mut buffer = [0; 256];
        let frame = Frame::new(src.into(), dst.into(), Body::Tcp(tcp)).payload(payload);
        let len = frame.write(&mut buffer).unwrap();
        let wall = Stamp(START.0 + 10_000 * self.0.len() as u64);
        self.0.push_ethernet(wall, &buffer[..len]);
    }

    fn connect(&mut self, client: u32) {
        self.segment(client, true, SYN, [99, 0], b"");
        self.segment(client, false, SYN | ACK, [499, 100], b"");
        self.segment(client, true, ACK, [100, 500], b"");
    }
}

fn client(number: u32) -> u32 {
    u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number
}

fn attacker(number: u32) -> u32 {
    u32::from(Ipv4Addr::new(172, 16, 0, 0)) + number
}

/// 1,000 connections, then a flood with a data segment of a connection here and there, and a
/// second one for each at the end.
fn flood(syns: u32) -> Script {
    let mut script = Script::default();
    for n in 0..ESTABLISHED {
        script.connect(client(n));
    }
    for n in 0..syns {
        script.segment(attacker(n), true, SYN, [n, 0], b"");
        if n % (syns / ESTABLISHED) == 0 && n / (syns / ESTABLISHED) < ESTABLISHED {
            script.segment(client(n / (syns / ESTABLISHED)), true, PSH | ACK, [100, 500], b"hello");
        }
    }
    for n in 0..ESTABLISHED {
        script.segment(client(n), false, PSH | ACK, [500, 105], b"world, good evening");
    }
    script
}

fn is_client(record: &FlowRecord) -> bool {
    (record.hot.key.ends >> 56) as u8 == 10
}

#[test]
fn a_flood_pushes_out_no_connection() {
    const SYNS: u32 = 100_000;
    let script = flood(SYNS);
    let frames = Arc::new(script.0);
    for (fused, workers) in [(true, 1), (false, 2), (false, 4)] {
        let config = EngineConfig { fused, workers, max_flows: 8000, ..config() };
        let run = engine::run(config, vec![MemorySource::new(Arc::clone(&frames))]);
        let what = format!("{workers} workers");
        let connections = run.flows_where(is_client);
        assert_eq!(connections.len() as u32, ESTABLISHED, "{what}: no row was split");
        for record in &connections {
            assert_eq!(record.end, Some(EndReason::Eof), "{what}");
            assert_eq!(record.hot.state, FlowState::Established);
            // The client has the lower address.
            assert_eq!(record.hot.frames, [3, 2]);
            assert_eq!(record.hot.bytes, [60 + 60 + 60, 60 + 14 + 40 + 19]);
            assert_eq!(record.facts.retransmits, [0, 0]);
        }
        let last = run.last();
        assert!(last.accounts.conserved());
        assert_eq!(last.accounts.taken.frames, frames.len() as u64);
        assert_eq!(last.totals.opened, u64::from(ESTABLISHED + SYNS), "{what}");
        assert_eq!(last.totals.flows, 8000, "{what}: the table is full");
        assert_eq!(last.totals.evicted, u64::from(ESTABLISHED + SYNS) - 8000, "{what}");
        assert_eq!(last.totals.half_open, 7000, "{what}");
        let evicted = run.flows_where(|r| r.end == Some(EndReason::Evicted));
        assert_eq!(evicted.len() as u64, last.totals.evicted);
        assert!(evicted.iter().all(|r| r.hot.state == FlowState::SynSent));
    }
}

#[test]
fn the_oldest_half_open_flow_goes_first() {
    const SYNS: u32 = 20_000;
    let frames = Arc::new(flood(SYNS).0);
    let config = EngineConfig { fused: true, max_flows: 2000, ..config() };
    let run = engine::run(config, vec![MemorySource::new(frames)]);
    let mut left: Vec<u32> = run
        .flows_where(|r| !is_client(r) && r.end == Some(EndReason::Eof))
        .iter()
        .map(|r| (r.hot.key.ends >> 32) as u32)
        .collect();
    left.sort_unstable();
    let want: Vec<u32> = (SYNS - 1000..SYNS).map(attacker).collect();
    assert_eq!(left, want, "the newest are still there");
}

#[test]
fn without_embryos_something_silent_goes() {
    let mut script = Script::default();
    for n in 0..300 {
        script.connect(client(n));
    }
    let frames = Arc::new(script.0);
    let config = EngineConfig { fused: true, max_flows: 64, cut_interval: Nanos::from_millis(1), ..config() };
    let run = engine::run(config, vec![MemorySource::new(frames)]);
    let last = run.last();
    assert_eq!((last.totals.flows, last.totals.evicted), (64, 300 - 64));
    assert_eq!(run.flows.len(), 300, "every connection is told of once");
    assert!(run.flows.iter().all(|r| r.hot.frames == [2, 1]));
    // The newest one is never the one to go.
    assert!(
        run.flows
            .iter()
            .any(|r| r.end == Some(EndReason::Eof) && r.hot.key.ends >> 32 == u64::from(client(299)))
    );
}
