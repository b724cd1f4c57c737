//! How long rows live and why they end, through the whole pipeline: the packets' time alone decides.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/capture_bytes.rs"]
mod capture_bytes;
#[path = "common/engine.rs"]
mod engine;
#[path = "common/talk.rs"]
mod talk;

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use capture_bytes::{Order, PcapNg};
use engine::{Run, config};
use rustnet::{
    base::time::{Nanos, Stamp},
    capture::{
        source::Source,
        synthetic::{Frames, MemorySource},
        up_to::UpTo,
    },
    config::input,
    flow::{
        entry::FlowRecord,
        state::{EndReason, FlowState},
    },
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::tcp_flag::{ACK, FIN, PSH, RST, SYN},
        key::proto,
    },
    pipeline::{launch::EngineConfig, worker::Publish},
    snapshot::{
        tap::{Ended, Tap},
        view::Snapshot,
    },
};
use talk::{QUIC_ACK, QUIC_CLOSE, QUIC_CLOSE_APP, dns_answer, dns_query, initial, quic_hello, quic_short};

const START: Stamp = Stamp(1_700_000_000_000_000_000);
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Who sends on while all others are silent.
const METRONOME: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// What is sent: by the client or the server, when.
#[derive(Clone, Copy)]
struct Sent {
    ms: u64,
    from_client: bool,
    body: Body,
    payload: &'static [u8],
}

const fn segment(ms: u64, from_client: bool, flags: u8, seq_number: u32, ack_number: u32) -> Sent {
    let (src_port, dst_port) = if from_client { (40_000, 443) } else { (443, 40_000) };
    let tcp = Tcp { src_port, dst_port, seq_number, ack_number, flags, window: 1000, window_scale: None };
    Sent { ms, from_client, body: Body::Tcp(tcp), payload: b"" }
}

const fn to_server(ms: u64, body: Body) -> Sent {
    Sent { ms, from_client: true, body, payload: b"" }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

const OPEN: [Sent; 3] =
    [segment(0, true, SYN, 99, 0), segment(10, false, SYN | ACK, 499, 100), segment(20, true, ACK, 100, 500)];

/// A payload that lives as long as the test.
fn kept(payload: Vec<u8>) -> &'static [u8] {
    payload.leak()
}

/// A datagram between the client and a port of the server.
fn datagram(ms: u64, from_client: bool, port: u16, payload: Vec<u8>) -> Sent {
    let ports = if from_client { (40_000, port) } else { (port, 40_000) };
    Sent { ms, from_client, body: Body::Udp(ports.0, ports.1), payload: kept(payload) }
}

/// Data of the connection that [`OPEN`] opens.
fn data(ms: u64, from_client: bool, payload: &'static [u8]) -> Sent {
    let (seq, ack) = if from_client { (100, 500) } else { (500, 100) };
    Sent { payload, ..segment(ms, from_client, PSH | ACK, seq, ack) }
}

/// A ClientHello over TCP that offers a protocol.
fn hello(protocol: &str) -> &'static [u8] {
    /// What stands before the message in a CRYPTO frame.
    const FRAME: usize = 4;
    let message = &quic_hello(protocol)[FRAME..];
    kept([&[22, 3, 1, 0, message.len() as u8][..], message].concat())
}

/// A connection of QUIC: what client and server have sent up to the client's first short header.
fn quic(protocol: &str, packets: usize) -> Vec<Sent> {
    let sent = [
        datagram(0, true, 4433, initial(0, 0, &quic_hello(protocol))),
        datagram(10, false, 4433, initial(1, 0, QUIC_ACK)),
        datagram(20, true, 4433, quic_short(1)),
    ];
    sent[..packets].to_vec()
}

fn opened_and(more: &[Sent]) -> Vec<Sent> {
    OPEN.iter().chain(more).copied().collect()
}

/// Runs what is sent, then one packet of another flow at each of `ticks` ms.
fn run(sent: &[Sent], ticks: &[u64]) -> Run {
    let config = EngineConfig { fused: true, ..config() };
    engine::run(config, vec![MemorySource::new(frames(sent, ticks))])
}

fn frames(sent: &[Sent], ticks: &[u64]) -> Arc<Frames> {
    let mut frames = Frames::default();
    let mut buffer = [0; 2048];
    let mut all: Vec<(u64, Frame)> = Vec::new();
    for s in sent {
        let v6 = matches!(s.body, Body::Icmp(kind, ..) if kind >= 128);
        let ends =
            if v6 { ["2001:db8::1", "2001:db8::2"].map(|a| a.parse().unwrap()) } else { [CLIENT, SERVER] };
        let [src, dst] = if s.from_client { ends } else { [ends[1], ends[0]] };
        all.push((s.ms, Frame::new(src, dst, s.body).payload(s.payload)));
    }
    for ms in ticks {
        all.push((*ms, Frame::new(METRONOME, SERVER, Body::Udp(5000, 6000))));
    }
    all.sort_by_key(|(ms, _)| *ms);
    for (ms, frame) in all {
        let len = frame.write(&mut buffer).unwrap();
        frames.push_ethernet(Stamp(START.0 + ms * 1_000_000), &buffer[..len]);
    }
    Arc::new(frames)
}

/// The rows in question, in the order of their first packets.
fn rows(run: &Run) -> Vec<FlowRecord> {
    let metronome = u32::from(Ipv4Addr::new(198, 51, 100, 1));
    let mut rows = run.flows_where(|r| r.hot.key.ends as u32 != metronome);
    rows.sort_by_key(|r| r.facts.first);
    rows
}

/// One row of the table of lifetimes.
struct Case {
    name: &'static str,
    sent: Vec<Sent>,
    state: FlowState,
    /// The lifetime runs from here, ms.
    from: u64,
    seconds: u64,
    end: EndReason,
}

fn cases() -> Vec<Case> {
    use EndReason::{Fin, Rst, Timeout};
    use FlowState::*;
    let case = |name, sent: &[Sent], state, from, seconds, end| Case {
        name,
        sent: sent.to_vec(),
        state,
        from,
        seconds,
        end,
    };
    let fin1 = segment(100, true, FIN | ACK, 100, 500);
    let fin1_acked = segment(110, false, ACK, 500, 101);
    let fin2 = segment(120, false, FIN | ACK, 500, 101);
    let fin2_acked = segment(130, true, ACK, 101, 501);
    let server_fin = segment(100, false, FIN | ACK, 500, 100);
    let server_fin_acked = segment(110, true, ACK, 100, 501);
    vec![
        case("L3, L4 established", &OPEN, Established, 20, 300, Timeout),
        case(
            "L3 data keeps it",
            &opened_and(&[segment(299_000, true, PSH | ACK, 100, 500)]),
            Established,
            299_000,
            300,
            Timeout,
        ),
        case("L5 TIME_WAIT", &opened_and(&[fin1, fin1_acked, fin2, fin2_acked]), TimeWait, 130, 30, Fin),
        case(
            "L5 counts from entry",
            &opened_and(&[
                fin1,
                fin1_acked,
                fin2,
                fin2_acked,
                segment(20_000, false, FIN | ACK, 500, 101),
                segment(20_010, true, ACK, 101, 501),
            ]),
            TimeWait,
            130,
            30,
            Fin,
        ),
        case("L6 CLOSED by RST", &opened_and(&[segment(100, true, RST | ACK, 100, 500)]), Reset, 100, 5, Rst),
        case(
            "L6 counts from entry",
            &opened_and(&[segment(100, true, RST | ACK, 100, 500), segment(4_000, false, ACK, 500, 100)]),
            Reset,
            100,
            5,
            Rst,
        ),
        case(
            "L6 CLOSED by FIN",
            &opened_and(&[
                server_fin,
                server_fin_acked,
                segment(120, true, FIN | ACK, 100, 501),
                segment(130, false, ACK, 501, 101),
            ]),
            Closed,
            130,
            5,
            Fin,
        ),
        case("L7 SYN_SENT", &OPEN[..1], SynSent, 0, 60, Timeout),
        case(
            "L7 a repeated SYN keeps it",
            &[OPEN[0], segment(3_000, true, SYN, 99, 0)],
            SynSent,
            3_000,
            60,
            Timeout,
        ),
        case("L7 FIN_WAIT1", &opened_and(&[fin1]), FinWait1, 100, 60, Timeout),
        case("L7 FIN_WAIT2", &opened_and(&[fin1, fin1_acked]), FinWait2, 110, 60, Timeout),
        case("L7 CLOSE_WAIT", &opened_and(&[server_fin, server_fin_acked]), CloseWait, 110, 60, Timeout),
        case(
            "L7 LAST_ACK",
            &opened_and(&[server_fin, server_fin_acked, segment(120, true, FIN | ACK, 100, 501)]),
            LastAck,
            120,
            60,
            Timeout,
        ),
        case(
            "L7 CLOSING",
            &opened_and(&[fin1, server_fin, segment(110, true, ACK, 101, 501)]),
            Closing,
            110,
            30,
            Timeout,
        ),
        case(
            "L9 UDP",
            &[to_server(0, Body::Udp(40_000, 9)), to_server(1_000, Body::Udp(40_000, 9))],
            Udp,
            1_000,
            60,
            Timeout,
        ),
        case("L1 HTTP", &opened_and(&[data(100, true, REQUEST)]), EstablishedWeb, 100, 600, Timeout),
        case("L1 HTTPS", &opened_and(&[data(100, true, hello("h2"))]), EstablishedWeb, 100, 600, Timeout),
        case(
            "L3, L4 other TLS",
            &opened_and(&[data(100, true, hello("dot"))]),
            Established,
            100,
            300,
            Timeout,
        ),
        case("L2 SSH", &opened_and(&[data(100, false, b"SSH-2.0-x\r\n")]), SshBanner, 100, 1800, Timeout),
        case("L8 DNS query", &[datagram(0, true, 53, dns_query(1, "a.b"))], DnsQuery, 0, 30, Timeout),
        case(
            "L8 DNS answer",
            &[
                datagram(0, true, 53, dns_query(1, "a.b")),
                datagram(50, false, 53, dns_answer(1, "a.b", &[], SERVER)),
            ],
            DnsResponse,
            50,
            30,
            Timeout,
        ),
        case("L10 HTTP/3", &quic("h3", 3), QuicConnectedWeb, 20, 600, Timeout),
        case("L11 QUIC", &quic("doq", 3), QuicConnected, 20, 300, Timeout),
        case("L13 QUIC Initial", &quic("h3", 1), QuicInitial, 0, 60, Timeout),
        case("L13 QUIC handshake", &quic("h3", 2), QuicHandshake, 10, 60, Timeout),
        case(
            "L12 closed by the transport, whatever still arrives",
            &[
                quic("h3", 2),
                vec![
                    datagram(100, false, 4433, initial(1, 1, QUIC_CLOSE)),
                    datagram(5_000, false, 4433, initial(1, 2, QUIC_CLOSE)),
                    datagram(9_000, false, 4433, initial(1, 3, QUIC_ACK)),
                ],
            ]
            .concat(),
            QuicDraining,
            100,
            10,
            Timeout,
        ),
        case(
            "L12 closed by the application",
            &[quic("h3", 2), vec![datagram(100, false, 4433, initial(1, 1, QUIC_CLOSE_APP))]].concat(),
            QuicDrainingApp,
            100,
            1,
            Timeout,
        ),
        case(
            "L14 closed by both",
            &[
                quic("h3", 2),
                vec![
                    datagram(100, false, 4433, initial(1, 1, QUIC_CLOSE)),
                    datagram(5_000, true, 4433, initial(0, 1, QUIC_CLOSE)),
                ],
            ]
            .concat(),
            QuicClosed,
            5_000,
            1,
            Timeout,
        ),
        case("L15 ICMP", &[to_server(0, Body::Icmp(8, 0, 1))], EchoRequest, 0, 10, Timeout),
        case("L15 ICMPv6", &[to_server(0, Body::Icmp(135, 0, 1))], NdSolicit, 0, 10, Timeout),
        case("L15 IGMP", &[to_server(0, Body::Other(proto::IGMP))], Icmp, 0, 10, Timeout),
        case("L16 ARP", &[to_server(0, Body::Arp(1))], ArpRequest, 0, 30, Timeout),
        case(
            "L16 SCTP",
            &[Sent {
                payload: &[0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0],
                ..to_server(0, Body::Other(proto::SCTP))
            }],
            Sctp,
            0,
            300,
            Timeout,
        ),
        case(
            "L16 ESP",
            &[Sent { payload: &[1; 16], ..to_server(0, Body::Other(proto::ESP)) }],
            Active,
            0,
            60,
            Timeout,
        ),
    ]
}

#[test]
fn every_row_of_the_table_of_lifetimes_holds() {
    for Case { name, sent, state, from, seconds, end } in cases() {
        let over = from + seconds * 1000;
        let early = rows(&run(&sent, &[over - 20]));
        assert_eq!(early.len(), 1, "{name}");
        assert_eq!((early[0].hot.state, early[0].end), (state, Some(EndReason::Eof)), "{name} lives");
        let late = rows(&run(&sent, &[over + 20]));
        assert_eq!(late.len(), 1, "{name}");
        assert_eq!((late[0].hot.state, late[0].end), (state, Some(end)), "{name} is over");
        assert_eq!(late[0].hot.frames, early[0].hot.frames, "{name}");
    }
}

#[test]
fn the_state_of_an_unanswered_side_of_the_handshake() {
    // The subject is the server's end if its address is ours.
    let mut frames = Frames::default();
    let mut buffer = [0; 128];
    for s in &OPEN[..2] {
        let (src, dst) = if s.from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let len = Frame::new(src, dst, s.body).write(&mut buffer).unwrap();
        frames.push_ethernet(Stamp(START.0 + s.ms * 1_000_000), &buffer[..len]);
    }
    let locals = rustnet::flow::locals::Locals::new([(SERVER, 32)]);
    let run = engine::run(EngineConfig { locals, ..config() }, vec![MemorySource::new(Arc::new(frames))]);
    assert_eq!(run.flows[0].hot.state, FlowState::SynRecv);
    assert_eq!(run.last().totals.half_open, 1);
}

#[test]
fn a_packet_after_the_lifetime_begins_a_new_row() {
    for Case { name, sent, from, seconds, end, .. } in cases() {
        let over = from + seconds * 1000;
        // The cut lies between; nobody else sends anything.
        let again = Sent { ms: over + 1_100, ..sent[0] };
        let both: Vec<Sent> = sent.iter().copied().chain([again]).collect();
        let rows = rows(&run(&both, &[]));
        let ends: Vec<_> = rows.iter().map(|r| r.end).collect();
        assert_eq!(ends, [Some(end), Some(EndReason::Eof)], "{name}");
        assert_eq!(rows[1].hot.frames[0] + rows[1].hot.frames[1], 1, "{name}");
        assert_ne!(rows[0].id, rows[1].id, "{name}");
    }
}

#[test]
fn a_new_syn_begins_a_new_row_only_where_the_old_one_is_over() {
    let finished = opened_and(&[
        segment(100, true, FIN | ACK, 100, 500),
        segment(110, false, ACK, 500, 101),
        segment(120, false, FIN | ACK, 500, 101),
        segment(130, true, ACK, 101, 501),
    ]);
    let reset = opened_and(&[segment(100, false, RST | ACK, 500, 100)]);
    let new = segment(1_000, true, SYN, 70_000, 0);
    let same = segment(1_000, true, SYN, 99, 0);
    let cases = [
        ("TIME_WAIT", &finished, new, 2),
        ("CLOSED", &reset, new, 2),
        ("the same SYN again", &finished, same, 1),
        ("established", &OPEN.to_vec(), new, 1),
        ("SYN_SENT", &OPEN[..1].to_vec(), new, 1),
    ];
    for (name, before, syn, want) in cases {
        let sent: Vec<Sent> = before.iter().copied().chain([syn]).collect();
        let rows = rows(&run(&sent, &[]));
        assert_eq!(rows.len(), want, "{name}");
        if want == 2 {
            assert_eq!(rows[0].end, Some(EndReason::Replaced), "{name}");
            assert_eq!(rows[1].hot.state, FlowState::SynSent, "{name}");
            assert_ne!(rows[0].id, rows[1].id, "{name}");
        }
        assert_eq!(rows.last().unwrap().end, Some(EndReason::Eof), "{name}");
    }
}

#[test]
fn a_full_table_ends_rows_by_eviction() {
    let sent: Vec<Sent> = (0..80).map(|n| to_server(u64::from(n), Body::Udp(20_000 + n, 9))).collect();
    let mut frames = Frames::default();
    let mut buffer = [0; 128];
    for s in &sent {
        let len = Frame::new(CLIENT, SERVER, s.body).write(&mut buffer).unwrap();
        frames.push_ethernet(Stamp(START.0 + s.ms * 1_000_000), &buffer[..len]);
    }
    let config = EngineConfig { fused: true, max_flows: 64, ..config() };
    let run = engine::run(config, vec![MemorySource::new(Arc::new(frames))]);
    assert_eq!(run.flows_where(|r| r.end == Some(EndReason::Evicted)).len(), 16);
    assert_eq!(run.flows_where(|r| r.end == Some(EndReason::Eof)).len(), 64);
}

#[test]
fn c8_where_one_stands_in_a_silence_rows_have_gone_that_would_have_gone() {
    // A connection that was closed at 10 s, a datagram at 5 s, one at 100 s.
    let sent: Vec<Sent> = OPEN
        .into_iter()
        .chain([to_server(5_000, Body::Udp(20_000, 9)), segment(10_000, false, RST | ACK, 500, 100)])
        .chain([to_server(100_000, Body::Udp(20_001, 9))])
        .collect();
    let frames = frames(&sent, &[]);
    let run = |seconds: u64| {
        let until =
            UpTo::new(MemorySource::new(Arc::clone(&frames)), Some(Stamp(START.0 + seconds * 1_000_000_000)));
        engine::run(config(), vec![until])
    };
    let open = |run: &Run| {
        let open = run.flows_where(|r| r.end == Some(EndReason::Eof));
        open.iter().map(|r| r.hot.key.proto).collect::<Vec<_>>()
    };
    for (seconds, want) in
        [(14, vec![proto::TCP, proto::UDP]), (40, vec![proto::UDP]), (64, vec![proto::UDP]), (66, vec![])]
    {
        let run = run(seconds);
        assert_eq!(open(&run), want, "at {seconds} s");
        assert_eq!(run.last().now, Nanos::from_secs(seconds), "that is the time, too");
    }
}

/// Bytes and packets a second as the screen has them at the end of a file.
fn at_the_end<S: Source + 'static>(source: S) -> (f64, f64, f64) {
    let run = engine::run(EngineConfig { file_epochs: Publish::Always, ..config() }, vec![source]);
    let totals = run.last().totals;
    (totals.up, totals.packets_per_second, totals.opened_per_second)
}

#[test]
fn l18_the_rate_where_a_file_stands_is_that_of_the_second_before() {
    // Ten frames of 100 bytes a second, evenly or at once.
    let spread = |n: u64| n * 100;
    let at_once = |n: u64| n / 10 * 1000;
    let odd = |n: u64| n * 100 + n / 10 % 7;
    for times in [&spread as &dyn Fn(u64) -> u64, &at_once, &odd] {
        let mut all = Frames::default();
        let mut buffer = [0; 128];
        for n in 0..300 {
            let frame = Frame::new(CLIENT, SERVER, Body::Udp(40_000, 9)).payload(&[b'x'; 58]);
            let len = frame.write(&mut buffer).unwrap();
            all.push_ethernet(Stamp(START.0 + times(n) * 1_000_000), &buffer[..len]);
        }
        let last = Stamp(START.0 + times(299) * 1_000_000);
        let mut whole = MemorySource::new(Arc::new(all));
        assert_eq!(at_the_end(UpTo::whole(whole.clone(), Some(last))), (1000.0, 10.0, 0.0));
        let mut all = Frames::default();
        all.extend_from(&mut whole);
        all.push_ethernet(Stamp(START.0 + 100_000_000_000), &buffer[..100]);
        let frames = Arc::new(all);
        let source = || MemorySource::new(Arc::clone(&frames));
        // In a silence behind all frames, too.
        for ms in [30_400, 35_000, 29_500, 12_345, 12_000, 3_999, 1_001] {
            let until = UpTo::new(source(), Some(Stamp(START.0 + ms * 1_000_000)));
            let (up, packets, _) = at_the_end(until);
            let want = (0..300).filter(|n| (ms - 999..=ms).contains(&times(*n))).count() as f64;
            assert_eq!((up, packets), (want * 100.0, want), "at {ms} ms");
        }
    }
}

#[test]
fn l19_stamps_from_one_end_of_time_to_the_other_and_a_span_of_them() {
    let mut buffer = [0; 128];
    let len = Frame::new(CLIENT, SERVER, Body::Udp(40_000, 9)).write(&mut buffer).unwrap();
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 0, &[(9, &[9])]);
    for stamp in [0, 1_500_000_000, 2_900_000_000, u64::MAX] {
        file.enhanced(0, stamp, &buffer[..len], len as u32);
    }
    let path = std::env::temp_dir().join(format!("rustnet-stamps-{}.pcapng", std::process::id()));
    std::fs::write(&path, &file.bytes).unwrap();
    for (span, frames, last) in [
        (None, 4, u64::MAX),
        (Some(Duration::from_secs(3)), 3, 2_900_000_000),
        (Some(Duration::from_secs(1)), 1, 0),
    ] {
        // What a screen reads: the end of what is wanted is known before.
        let end = input::last_stamp(&path, span);
        assert_eq!(end, Some(Stamp(last)), "{span:?}");
        let config = EngineConfig { file_epochs: Publish::Always, ..config() };
        let run = engine::run(config, vec![UpTo::whole(input::open(&path, span).unwrap(), end)]);
        assert_eq!(run.last().accounts.taken.frames, frames, "{span:?}");
        if span.is_some() {
            assert_eq!(run.last().now.0, last, "{span:?}");
        }
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn l18_no_epoch_has_a_rate_of_a_part_of_a_second() {
    let mut all = Frames::default();
    let mut buffer = [0; 128];
    for n in 0..300_u64 {
        let frame = Frame::new(CLIENT, SERVER, Body::Udp(40_000, 9)).payload(&[b'x'; 58]);
        let len = frame.write(&mut buffer).unwrap();
        all.push_ethernet(Stamp(START.0 + n * 100_000_000), &buffer[..len]);
    }
    let frames = Arc::new(all);
    for ms in [29_400, 29_900, 12_345, 12_000, 1_500, 700] {
        let until = UpTo::new(MemorySource::new(Arc::clone(&frames)), Some(Stamp(START.0 + ms * 1_000_000)));
        let config = EngineConfig { file_epochs: Publish::Always, ..config() };
        let run = engine::run(config, vec![until]);
        assert_eq!(run.last().now.0, ms * 1_000_000);
        let (last, before) = run.epochs.split_last().unwrap();
        // Of less than a second all is told.
        let want = if ms < 1000 { 800.0 } else { 1000.0 };
        assert_eq!(last.totals.up, want, "up to {ms} ms");
        for epoch in before {
            assert_eq!(epoch.totals.up, 1000.0, "up to {ms} ms, at {:?}", epoch.now);
            assert_eq!(epoch.now.0 % 1_000_000_000, 0, "up to {ms} ms: seconds of the file");
        }
    }
}

/// What a row shows, and what came, at each cut.
#[derive(Clone, Default)]
struct Rates(Arc<Mutex<Vec<(f32, f64)>>>);

impl Tap for Rates {
    fn ended(&mut self, _: &[Ended]) -> io::Result<()> {
        Ok(())
    }

    fn epoch(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let mut sum = (0.0, 0.0);
        snapshot.scan(|at, hot, _| {
            if hot.key.ports.contains(&9) {
                let (shown, seen) = (snapshot.flow(at).down_up(), snapshot.flow(at).seen_down_up());
                sum = (shown.0 + shown.1, seen.0 + seen.1);
            }
        });
        self.0.lock().unwrap().push(sum);
        Ok(())
    }
}

/// 100 bytes each 25 ms in the second and third second, then nothing for 15; cuts each second.
fn rates_of(config: EngineConfig, start: Stamp) -> Vec<(f32, f64)> {
    let mut frames = Frames::default();
    let mut buffer = [0; 256];
    for ms in (0..18_000_u64).step_by(5) {
        let mut push = |src, body, payload: &[u8]| {
            let len = Frame::new(src, SERVER, body).payload(payload).write(&mut buffer).unwrap();
            frames.push_ethernet(Stamp(start.0 + ms * 1_000_000), &buffer[..len]);
        };
        if ms % 100 == 0 {
            push(METRONOME, Body::Udp(5000, 6000), &[]);
        }
        if (1000..3000).contains(&ms) && ms % 25 == 5 {
            push(CLIENT, Body::Udp(40_000, 9), &[b'x'; 58]);
        }
    }
    let rates = Rates::default();
    let config = EngineConfig { file_epochs: Publish::Always, ..config };
    engine::run_with_taps(
        config,
        vec![MemorySource::new(Arc::new(frames))],
        vec![Box::new(rates.clone())],
        |_| (),
    );
    std::mem::take(&mut *rates.0.lock().unwrap())
}

#[test]
fn l18_l19_frames_make_the_rate_of_the_last_second_and_of_their_own_time_alone() {
    let rates = rates_of(EngineConfig { fused: true, ..config() }, START);
    let shown: Vec<f32> = rates.iter().map(|(shown, _)| *shown).collect();
    let near = |got: f32, want: f32| (got - want).abs() <= want * 0.02;
    let first = shown.iter().position(|rate| *rate > 0.0).expect("it moves bytes");
    assert!(near(shown[first], 4000.0) && near(shown[first + 1], 4000.0), "{shown:?}");
    // Half of it in each second without a packet, and nothing ten seconds after the last one.
    for second in 1..=9 {
        assert!(near(shown[first + 1 + second], 4000.0 / (1 << second) as f32), "{second}: {shown:?}");
    }
    assert_eq!(shown[first + 11], 0.0, "{shown:?}");
    let seen: Vec<f64> = rates[first..first + 4].iter().map(|(_, seen)| *seen).collect();
    assert_eq!(seen, [4000.0, 4000.0, 0.0, 0.0]);
    // Whenever the frames were captured, and whoever reads them how.
    let later = Stamp(START.0 + 100_000_000_000_000_000);
    assert_eq!(rates_of(EngineConfig { fused: true, ..config() }, later), rates);
    assert_eq!(rates_of(EngineConfig { workers: 3, ..config() }, START), rates);
}
