//! Which states rows go through: frames in, the State column of each epoch's snapshot out.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/engine.rs"]
mod engine;
#[path = "common/talk.rs"]
mod talk;

use std::{
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use engine::config;
use rustnet::{
    flow::locals::Locals,
    packet::{
        build::{Body, Tcp},
        descriptor::tcp_flag::{ACK, FIN, RST, SYN},
    },
    pipeline::{launch::EngineConfig, worker::Publish},
    snapshot::{
        tap::{Ended, Tap},
        view::Snapshot,
    },
};
use talk::{
    QUIC_ACK, QUIC_CLOSE, QUIC_CLOSE_APP, Talk, dns_answer, dns_query, initial, quic_hello, quic_short,
    ssh_kexinit, ssh_packet, ssh_sealed,
};

const CLIENT: &str = "10.0.0.1";
const SERVER: &str = "192.0.2.1";
/// Who sends on while all others are silent.
const METRONOME: [(&str, u16); 2] = [("198.51.100.1", 5000), ("198.51.100.2", 6000)];

/// Keeps the states of the rows, at each cut where they are others than at the last one.
#[derive(Clone, Default)]
struct States(Arc<Mutex<Vec<Vec<&'static str>>>>);

impl Tap for States {
    fn ended(&mut self, _: &[Ended]) -> io::Result<()> {
        Ok(())
    }

    fn epoch(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let metronome: IpAddr = METRONOME[0].0.parse().unwrap();
        let mut rows = Vec::new();
        snapshot.scan(|at, _, _| rows.push(snapshot.row(at)));
        rows.retain(|row| !row.addresses.contains(&metronome));
        rows.sort_by_key(|row| row.first);
        let now: Vec<_> = rows.iter().map(|row| row.state_text()).collect();
        let mut seen = self.0.lock().unwrap();
        if seen.last() != Some(&now) && (!now.is_empty() || !seen.is_empty()) {
            seen.push(now);
        }
        Ok(())
    }
}

/// Returns the states at all cuts where they changed; a cut comes each second, up to `seconds`.
fn states(talk: Talk, seconds: u64, local: Option<&str>) -> Vec<Vec<&'static str>> {
    states_among(talk, seconds, local.as_slice())
}

/// As [`states`] where these addresses are local.
fn states_among(mut talk: Talk, seconds: u64, local: &[&str]) -> Vec<Vec<&'static str>> {
    for second in 0..=seconds {
        talk.datagrams(METRONOME, &[(second * 1000 + 500, true, b"tick")]);
    }
    let locals = Locals::new(local.iter().map(|address| (address.parse::<IpAddr>().unwrap(), 32)));
    let config = EngineConfig { fused: true, workers: 1, file_epochs: Publish::Always, locals, ..config() };
    let seen = States::default();
    engine::run_with_taps(config, vec![talk.source()], vec![Box::new(seen.clone())], |_| ());
    std::mem::take(&mut *seen.0.lock().unwrap())
}

/// Checks the states that the only row goes through; at the end it is there or not.
#[track_caller]
fn goes_through(talk: Talk, seconds: u64, local: Option<&str>, want: &[&'static str]) {
    let got: Vec<_> = states(talk, seconds, local).into_iter().filter(|rows| !rows.is_empty()).collect();
    let want: Vec<Vec<_>> = want.iter().map(|state| vec![*state]).collect();
    assert_eq!(got, want);
}

/// A segment of the connection between the two: when, by whom, flags and numbers.
type Segment = (u64, bool, u8, u32, u32);

fn segments(list: &[Segment]) -> Talk {
    let mut talk = Talk::default();
    for &(ms, from_client, flags, seq_number, ack_number) in list {
        let (src, dst) = if from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let ports = if from_client { (40_000, 443) } else { (443, 40_000) };
        let tcp = Tcp {
            src_port: ports.0,
            dst_port: ports.1,
            seq_number,
            ack_number,
            flags,
            window: 1000,
            window_scale: None,
        };
        talk.frame(ms, [src, dst].map(|a| a.parse().unwrap()), Body::Tcp(tcp), &[]);
    }
    talk
}

const SYN_0: Segment = (0, true, SYN, 99, 0);
const SYN_ACK_2: Segment = (2000, false, SYN | ACK, 499, 100);
const ACK_4: Segment = (4000, true, ACK, 100, 500);

#[test]
fn st1_an_active_close_ends_in_time_wait() {
    let list = [
        SYN_0,
        SYN_ACK_2,
        ACK_4,
        (6000, true, FIN | ACK, 100, 500),
        (8000, false, ACK, 500, 101),
        (10_000, false, FIN | ACK, 500, 101),
        (10_000, true, ACK, 101, 501),
    ];
    let want = ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"];
    let got = states(segments(&list), 15, None);
    let got: Vec<_> = got.iter().map(|rows| rows[0]).filter(|state| *state != "SYN_RECV").collect();
    assert_eq!(got, want);
}

#[test]
fn st1_a_passive_close_ends_in_closed() {
    let list = [
        SYN_0,
        SYN_ACK_2,
        ACK_4,
        (6000, false, FIN | ACK, 500, 100),
        (8000, true, ACK, 100, 501),
        (10_000, true, FIN | ACK, 100, 501),
        (12_000, false, ACK, 501, 101),
    ];
    let got = states(segments(&list), 15, Some(CLIENT));
    let got: Vec<_> = got.iter().map(|rows| rows[0]).collect();
    assert_eq!(got[got.len() - 3..], ["CLOSE_WAIT", "LAST_ACK", "CLOSED"]);
}

#[test]
fn st1_both_ends_may_close_at_once() {
    let list = [
        SYN_0,
        SYN_ACK_2,
        ACK_4,
        (6000, true, FIN | ACK, 100, 500),
        (8000, false, FIN | ACK, 500, 100),
        (10_000, true, ACK, 101, 501),
    ];
    let got = states(segments(&list), 12, None);
    let got: Vec<_> = got.iter().map(|rows| rows[0]).collect();
    assert_eq!(got[got.len() - 2..], ["FIN_WAIT1", "CLOSING"], "{got:?}");
}

#[test]
fn st2_the_state_is_that_of_the_local_end() {
    let half = [SYN_0, SYN_ACK_2];
    assert_eq!(states(segments(&half), 4, Some(SERVER)).last().unwrap(), &["SYN_RECV"]);
    let closing = [SYN_0, SYN_ACK_2, ACK_4, (6000, true, FIN | ACK, 100, 500), (6100, false, ACK, 500, 101)];
    assert_eq!(states(segments(&closing), 8, Some(SERVER)).last().unwrap(), &["CLOSE_WAIT"]);
    assert_eq!(states(segments(&closing), 8, Some(CLIENT)).last().unwrap(), &["FIN_WAIT2"]);
}

#[test]
fn st2_the_state_is_the_initiators_where_both_ends_are_local_or_none_is() {
    let by_client =
        [SYN_0, SYN_ACK_2, ACK_4, (6000, true, FIN | ACK, 100, 500), (6100, false, ACK, 500, 101)];
    let by_server =
        [SYN_0, SYN_ACK_2, ACK_4, (6000, false, FIN | ACK, 500, 100), (6100, true, ACK, 100, 501)];
    for local in [&[][..], &[CLIENT, SERVER]] {
        for (list, state) in
            [(&by_client[..2], "SYN_SENT"), (&by_client[..], "FIN_WAIT2"), (&by_server[..], "CLOSE_WAIT")]
        {
            assert_eq!(states_among(segments(list), 8, local).last().unwrap(), &[state], "{local:?}");
        }
    }
}

#[test]
fn st2_a_reset_counts_only_within_the_window() {
    let open = [SYN_0, SYN_ACK_2, ACK_4];
    for (seq, state) in [(500, "CLOSED"), (500 + 900_000_000, "ESTABLISHED")] {
        let list: Vec<Segment> = open.into_iter().chain([(6000, false, RST | ACK, seq, 100)]).collect();
        assert_eq!(states(segments(&list), 8, None).last().unwrap(), &[state], "{seq}");
    }
    let middle = [(0, true, ACK, 1000, 5000), (1000, false, ACK, 5000, 1100)];
    assert_eq!(states(segments(&middle), 3, None), [["ESTABLISHED"]]);
}

const QUIC: [(&str, u16); 2] = [(CLIENT, 40_000), (SERVER, 4433)];

fn quic(sent: &[(u64, bool, &[u8])]) -> Talk {
    let mut talk = Talk::default();
    talk.datagrams(QUIC, sent);
    talk
}

#[test]
fn st3_quic_connects_and_the_last_states_follow_from_what_can_be_read() {
    let first = initial(0, 0, &quic_hello("h3"));
    let reply = initial(1, 0, QUIC_ACK);
    let connecting: [(u64, bool, &[u8]); 3] =
        [(0, true, &first), (2000, false, &reply), (4000, true, &quic_short(1))];
    goes_through(quic(&connecting), 6, None, &["QUIC_INITIAL", "QUIC_HANDSHAKE", "QUIC_CONNECTED"]);
    for close in [QUIC_CLOSE, QUIC_CLOSE_APP] {
        let server = initial(1, 1, close);
        let client = initial(0, 1, close);
        let closing: [(u64, bool, &[u8]); 4] =
            [(0, true, &first), (2000, false, &reply), (4500, false, &server), (4600, true, &client)];
        let states: Vec<_> = states(quic(&closing), 8, None).concat();
        assert_eq!(states[..2], ["QUIC_INITIAL", "QUIC_HANDSHAKE"]);
        let draining: [(u64, bool, &[u8]); 3] = [closing[0], closing[1], closing[2]];
        let want = ["QUIC_INITIAL", "QUIC_HANDSHAKE", "QUIC_DRAINING"];
        goes_through(quic(&draining), 5, None, &want);
    }
}

#[test]
fn st3_both_sides_closes_make_it_closed() {
    let first = initial(0, 0, &quic_hello("h3"));
    let (server, client) = (initial(1, 0, QUIC_CLOSE), initial(0, 1, QUIC_CLOSE));
    let sent: [(u64, bool, &[u8]); 3] = [(0, true, &first), (2000, false, &server), (4400, true, &client)];
    goes_through(quic(&sent), 8, None, &["QUIC_INITIAL", "QUIC_DRAINING", "QUIC_CLOSED"]);
}

#[test]
fn l16_a_new_initial_on_closed_ends_is_a_new_row() {
    let first = initial(0, 0, &quic_hello("h3"));
    let close = initial(1, 0, QUIC_CLOSE);
    // Other connection ids; nobody can open it with the keys of the old one.
    let mut other = initial(0, 0, &quic_hello("h3"));
    other[6] ^= 0xff;
    other[15] ^= 0xff;
    let again: [(u64, bool, &[u8]); 3] = [(0, true, &first), (2000, false, &close), (4400, true, &other)];
    let run = engine::run(config(), vec![quic(&again).source()]);
    let mut ends: Vec<_> = run.flows.iter().map(|flow| (flow.facts.first, flow.end.unwrap().key())).collect();
    ends.sort();
    let ends: Vec<_> = ends.into_iter().map(|(_, end)| end).collect();
    assert_eq!(ends, ["replaced", "eof"]);
    assert_eq!(run.flows.iter().map(|flow| flow.hot.frames.iter().sum::<u64>()).sum::<u64>(), 3);
    // A copy of the old one that comes late is no new connection.
    let late: [(u64, bool, &[u8]); 3] = [(0, true, &first), (2000, false, &close), (4400, true, &first)];
    assert_eq!(engine::run(config(), vec![quic(&late).source()]).flows.len(), 1);
}

#[test]
fn st4_dns_waits_is_answered_and_asks_again() {
    let [one, two] = [dns_query(1, "a.example"), dns_query(2, "b.example")];
    let answer = dns_answer(1, "a.example", &[], "192.0.2.7".parse().unwrap());
    for port in [53, 5353, 5355, 9953] {
        let mut talk = Talk::default();
        let ends = [(CLIENT, 40_000), (SERVER, port)];
        talk.datagrams(ends, &[(0, true, &one), (2000, false, &answer), (4000, true, &two)]);
        goes_through(talk, 6, None, &["DNS_QUERY", "DNS_RESPONSE", "DNS_QUERY"]);
    }
    let mut talk = Talk::default();
    let framed = [&(one.len() as u16).to_be_bytes()[..], &one].concat();
    talk.connection(0, [(CLIENT, 40_000), (SERVER, 53)], &[(1000, true, &framed)]);
    goes_through(talk, 3, None, &["ESTABLISHED"]);
}

#[test]
fn st5_ssh_shows_how_far_it_is() {
    let newkeys = ssh_packet(21, &[]);
    let keys = ssh_packet(30, &[5; 36]);
    let reply = ssh_packet(31, &[6; 200]);
    let sent: [(u64, bool, &[u8]); 11] = [
        (100, false, b"SSH-2.0-server\r\n"),
        (200, true, b"SSH-2.0-client\r\n"),
        (2000, true, &ssh_kexinit()),
        (2100, false, &ssh_kexinit()),
        (2200, true, &keys),
        (2300, false, &reply),
        (4000, false, &newkeys),
        (4100, true, &newkeys),
        (4200, true, &ssh_sealed(32)),
        (4300, false, &ssh_sealed(32)),
        (6000, false, &ssh_sealed(16)),
    ];
    let mut talk = Talk::default();
    talk.connection(0, [(CLIENT, 40_000), (SERVER, 2222)], &sent);
    goes_through(talk, 8, None, &["BANNER", "KEYEXCHANGE", "AUTHENTICATION", "ESTABLISHED"]);
}

#[test]
fn st6_udp_is_named_by_its_silence() {
    let mut talk = Talk::default();
    talk.datagrams([(CLIENT, 40_000), (SERVER, 9)], &[(0, true, b"?")]);
    let got = states(talk, 70, None);
    assert_eq!(got, [vec!["UDP_ACTIVE"], vec!["UDP_IDLE"], vec!["UDP_STALE"], vec![]]);
}

#[test]
fn st7_messages_have_states_of_their_own() {
    let v6 = ["2001:db8::1", "2001:db8::2"];
    for (body, want) in [
        (Body::Icmp(8, 0, 1), "ECHO_REQUEST"),
        (Body::Icmp(0, 0, 1), "ECHO_REPLY"),
        (Body::Icmp(3, 1, 0), "DEST_UNREACH"),
        (Body::Icmp(11, 0, 0), "TIME_EXCEEDED"),
        (Body::Icmp(128, 0, 1), "ECHO_REQUEST"),
        (Body::Icmp(129, 0, 1), "ECHO_REPLY"),
        (Body::Icmp(135, 0, 0), "ND_SOLICIT"),
        (Body::Icmp(136, 0, 0), "ND_ADVERT"),
        (Body::Arp(1), "ARP_REQUEST"),
        (Body::Arp(2), "ARP_REPLY"),
    ] {
        let is_v6 = matches!(body, Body::Icmp(kind, ..) if kind >= 128);
        let ends = if is_v6 { v6 } else { [CLIENT, SERVER] };
        let mut talk = Talk::default();
        talk.frame(0, ends.map(|a| a.parse().unwrap()), body, &[]);
        assert_eq!(states(talk, 2, None), [[want]], "{body:?}");
    }
    let mut talk = Talk::default();
    let ends = [CLIENT, SERVER].map(|a| a.parse().unwrap());
    talk.frame(0, ends, Body::Icmp(8, 0, 1), &[]);
    talk.frame(2000, [ends[1], ends[0]], Body::Icmp(0, 0, 1), &[]);
    goes_through(talk, 4, None, &["ECHO_REQUEST", "ECHO_REPLY"]);
}

#[test]
fn st8_other_protocols_are_active_up_to_15_s_and_then_idle() {
    use rustnet::packet::key::proto;
    for (number, payload, want) in [
        (proto::IGMP, &[0x16, 0, 0, 0][..], &["ACTIVE"][..]),
        (proto::ESP, &[1; 16], &["ACTIVE", "IDLE"]),
        (proto::GRE, &[0, 0, 0x88, 0xbe], &["ACTIVE", "IDLE"]),
        (89, &[2; 24], &["ACTIVE", "IDLE"]),
        (proto::SCTP, &[0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0], &["ACTIVE", "IDLE"]),
    ] {
        let mut talk = Talk::default();
        talk.frame(0, [CLIENT, SERVER].map(|a| a.parse().unwrap()), Body::Other(number), payload);
        goes_through(talk, 50, None, want);
    }
}
