//! Whole connections, protected packet by packet as endpoints do it.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]

use proptest::prelude::*;

use super::{MOST_DATAGRAMS, datagram, gquic, header::Kind, protect, version::Version};
use crate::base::{ids::FlowId, memory::no_advice, time::Stamp};
use crate::dpi::{
    fact::Fact,
    inspector::{Flow, Inspector, Subject},
    notes::{Learn, Learned, Phase},
    protocols::{
        quic::{protect::Keys, version::Layout},
        tls::{
            Transport,
            testing::{Hello, message},
            version::Version as TlsVersion,
        },
    },
    recogniser::Verdict,
    service::Service,
    testing::{Heard, datagrams},
};

/// The client's first destination, its source, and the server's source connection id.
const ORIGIN: &[u8] = &[0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7];
const CLIENT: &[u8] = &[0xc0, 0xc1, 0xc2, 0xc3];
const SERVER: &[u8] = &[0x50, 0x51, 0x52, 0x53, 0x54];
const CLIENT_SIDE: usize = 1;
const SERVER_SIDE: usize = 0;

/// What packets of a connection are made with.
#[derive(Clone, Copy)]
struct Wire<'a> {
    version: Version,
    origin: &'a [u8],
    token: &'a [u8],
}

const V1: Wire<'_> = Wire { version: Version::V1, origin: ORIGIN, token: &[] };

impl Wire<'_> {
    fn first_byte(self, kind: Kind) -> u8 {
        let code = match kind {
            Kind::Initial => 0,
            Kind::ZeroRtt => 1,
            Kind::Handshake => 2,
            _ => 3,
        };
        let code = if self.version.layout() == Layout::V2 { (code + 1) % 4 } else { code };
        0xc0 | code << 4
    }

    fn long(self, kind: Kind, dcid: &[u8], scid: &[u8]) -> Vec<u8> {
        let mut header = vec![self.first_byte(kind)];
        header.extend(self.version.0.to_be_bytes());
        for id in [dcid, scid] {
            header.push(id.len() as u8);
            header.extend(id);
        }
        header
    }

    /// An Initial packet with a packet number of 2 bytes.
    fn initial(self, role: usize, dcid: &[u8], scid: &[u8], number: u16, frames: &[u8]) -> Vec<u8> {
        // Header protection takes a sample behind the packet number and 2 more bytes.
        let frames = &[frames, &[0; 2]].concat();
        let mut header = self.long(Kind::Initial, dcid, scid);
        header[0] |= 1;
        header.push(self.token.len() as u8);
        header.extend(self.token);
        header.extend((0x4000 | (2 + frames.len() as u16 + 16)).to_be_bytes());
        header.extend(number.to_be_bytes());
        let keys = Keys::derive(&self.version.suites()[0], self.origin, role == 0);
        protect::tests::seal(&keys, &header, 2, number.into(), frames)
    }

    /// The client's, padded to 1200 bytes.
    fn of_client(self, number: u16, frames: &[u8]) -> Vec<u8> {
        self.to(self.origin, number, frames)
    }

    fn to(self, dcid: &[u8], number: u16, frames: &[u8]) -> Vec<u8> {
        let bare = self.initial(0, dcid, CLIENT, number, frames).len();
        let padding = vec![0; 1200_usize.saturating_sub(bare)];
        self.initial(0, dcid, CLIENT, number, &[frames, &padding].concat())
    }

    fn of_server(self, number: u16, frames: &[u8]) -> Vec<u8> {
        self.initial(1, CLIENT, SERVER, number, frames)
    }

    /// A packet that only the peers can open.
    fn sealed(self, kind: Kind, dcid: &[u8], scid: &[u8]) -> Vec<u8> {
        let mut packet = self.long(kind, dcid, scid);
        packet.extend([0x40, 200]);
        packet.extend([0x77; 200]);
        packet
    }
}

fn short(dcid: &[u8]) -> Vec<u8> {
    [&[0x41][..], dcid, &[0x99; 60]].concat()
}

fn crypto(offset: u16, data: &[u8]) -> Vec<u8> {
    let numbers = [(0x4000 | offset).to_be_bytes(), (0x4000 | data.len() as u16).to_be_bytes()];
    [&[6][..], &numbers.concat(), data].concat()
}

const ACK: &[u8] = &[2, 0, 0, 0, 0];
const CLOSE: &[u8] = &[0x1c, 0x19, 0x06, 4, b'i', b'd', b'l', b'e'];
const CLOSE_APP: &[u8] = &[0x1d, 0x41, 0x00, 0];

fn client_hello(alpn: &[&str]) -> Vec<u8> {
    let mut hello = Hello::old(TlsVersion::TLS12);
    hello.server_name(b"www.example.org");
    hello.alpn(alpn);
    hello.extension(43, &[2, 3, 4]);
    message(1, &hello.ech().body(Transport::Quic))
}

fn server_hello() -> Vec<u8> {
    let mut hello = Hello::old(TlsVersion::TLS12);
    hello.extension(43, &[3, 4]);
    message(2, &hello.answer())
}

fn hello_frames() -> Vec<u8> {
    crypto(0, &client_hello(&["h3"]))
}

fn answer_frames() -> Vec<u8> {
    [ACK, &crypto(0, &server_hello())].concat()
}

fn heard(sent: &[(usize, Vec<u8>)]) -> Heard {
    let sent: Vec<_> = sent.iter().map(|(from, bytes)| (*from, &bytes[..])).collect();
    datagrams(datagram, &sent, [443, 50_000])
}

/// From the client and from the server.
fn c(bytes: Vec<u8>) -> (usize, Vec<u8>) {
    (CLIENT_SIDE, bytes)
}

fn s(bytes: Vec<u8>) -> (usize, Vec<u8>) {
    (SERVER_SIDE, bytes)
}

/// The four datagrams of a handshake.
fn handshake(wire: Wire<'_>) -> Vec<(usize, Vec<u8>)> {
    let answer = [wire.of_server(0, &answer_frames()), wire.sealed(Kind::Handshake, CLIENT, SERVER)].concat();
    let finished = [wire.to(SERVER, 1, ACK), wire.sealed(Kind::Handshake, SERVER, CLIENT)].concat();
    vec![c(wire.of_client(0, &hello_frames())), s(answer), c(finished), c(short(SERVER))]
}

#[test]
fn a_handshake_is_followed_in_every_version() {
    for (number, name, web) in [
        (1, "v1", true),
        (0x6b33_43cf, "v2", true),
        (0x709a_50c4, "v2-draft00", true),
        (0xff00_0017, "draft-23", true),
        (0xff00_001c, "draft-28", true),
        (0xff00_001d, "draft-29", true),
        (0xff00_0022, "draft-34", true),
        (0xface_b001, "0xfaceb001", true),
        (0xface_b002, "0xfaceb002", true),
        (0x5430_3531, "T051", true),
        (0x1a2a_3a4a, "grease", true),
        (0x5043_5131, "0x50435131", true),
    ] {
        let sent = handshake(Wire { version: Version(number), ..V1 });
        for (count, phase) in [Phase::QuicInitial, Phase::QuicHandshake, Phase::QuicHandshake]
            .into_iter()
            .chain([if web { Phase::QuicConnectedWeb } else { Phase::QuicConnected }])
            .enumerate()
        {
            let heard = heard(&sent[..=count]);
            let wanted = if count == 3 { Verdict::Done } else { Verdict::Is };
            assert_eq!((heard.verdict, heard.phase), (Some(wanted), Some(phase)), "{name} {count}");
            assert_eq!(heard.client, Some(CLIENT_SIDE));
            assert_eq!(heard.values(Fact::QuicVersion), [name]);
            assert_eq!(heard.first(Fact::Sni), "www.example.org");
            assert_eq!(heard.values(Fact::Alpn), ["h3"]);
            assert_eq!(heard.first(Fact::Ech), "true");
            assert_eq!(heard.first(Fact::TlsClientVersion), "TLS1.3");
            assert_eq!(heard.first(Fact::QuicDcid), "d0d1d2d3d4d5d6d7");
            assert!(heard.first(Fact::Ja4).starts_with("q13d0204h3"), "{}", heard.first(Fact::Ja4));
            let ids = heard.values(Fact::QuicScid);
            assert_eq!(ids, ["c0c1c2c3", "5051525354"][..ids.len()]);
            assert_eq!(ids.len(), if count == 0 { 1 } else { 2 });
        }
    }
}

#[test]
fn other_applications_are_not_web() {
    let mut sent = handshake(V1);
    sent[0].1 = V1.of_client(0, &crypto(0, &client_hello(&["doq"])));
    assert_eq!(heard(&sent).phase, Some(Phase::QuicConnected));
    sent[0].1 = V1.of_client(0, &crypto(0, &client_hello(&["hq-interop", "h3-29"])));
    assert_eq!(heard(&sent).phase, Some(Phase::QuicConnectedWeb));
}

#[test]
fn a_hello_in_pieces_is_put_together() {
    let hello = client_hello(&["h3"]);
    let piece = |from: usize, to: usize| crypto(from as u16, &hello[from..to.min(hello.len())]);
    let third = hello.len() / 3;
    // Chaos: many frames out of order with PING and PADDING between them, the beginning in the second packet.
    let mut late: Vec<u8> = vec![];
    for at in (third..hello.len()).step_by(7).collect::<Vec<_>>().into_iter().rev() {
        late.extend([1, 0, 0]);
        late.extend(piece(at, at + 7));
    }
    let first = V1.of_client(0, &late);
    let second = V1.of_client(1, &[piece(5, third), vec![1], piece(0, 5)].concat());
    let part = heard(&[c(first.clone())]);
    assert_eq!((part.verdict, part.first(Fact::Sni)), (Some(Verdict::Is), ""));
    for sent in [
        vec![c(first.clone()), c(second.clone())],
        vec![c(second.clone()), c(first.clone())],
        vec![c(first.clone()), c(first.clone()), c(second.clone())],
        vec![c([first.clone(), second.clone()].concat())],
        // The second one goes to the id that the server chose meanwhile.
        vec![
            c(first),
            s(V1.of_server(0, ACK)),
            c(V1.to(SERVER, 1, &[piece(5, third), piece(0, 5)].concat())),
        ],
    ] {
        let heard = heard(&sent);
        assert_eq!(heard.first(Fact::Sni), "www.example.org");
        assert!(heard.first(Fact::Ja4).starts_with("q13d"));
    }
}

/// Counts, flow by flow, how many names of servers were learned.
#[derive(Default)]
struct Names(std::collections::HashMap<u32, u32>);

impl Learn for Names {
    fn learned(&mut self, id: FlowId, what: Learned<'_>) {
        if what == Learned::Fact(Fact::Sni, b"www.example.org") {
            *self.0.entry(id.slot()).or_default() += 1;
        }
    }
}

#[test]
fn only_hellos_in_pieces_take_large_memory() {
    // 16 flows at once have a large memory in an inspector of this size.
    const FLOWS: u32 = 500;
    let hello = client_hello(&["h3"]);
    let (front, back) = hello.split_at(100);
    let whole = V1.of_client(0, &hello_frames());
    let pieces = [V1.of_client(0, &crypto(0, front)), V1.of_client(1, &crypto(front.len() as u16, back))];
    let mut inspector = Inspector::new(FLOWS as usize, no_advice).unwrap();
    let mut names = Names::default();
    let mut show = |slot: u32, (from, payload): &(usize, Vec<u8>)| {
        let subject = Subject {
            flow: Flow { worker: 0, slot, generation: &1 },
            from: *from,
            client: CLIENT_SIDE,
            opened: false,
            starts: [None; 2],
            acknowledged: [None; 2],
            seq_number: 0,
            closes: false,
            ports: [443, 50_000],
            wall: Stamp(1_700_000_000_000_000_000),
            payload,
            wire_len: payload.len(),
        };
        inspector.datagram(&subject, &mut names)
    };
    let flows: Vec<Vec<_>> = (0..FLOWS)
        .map(|slot| {
            let rest = handshake(V1).into_iter().skip(1);
            let first = if slot % 50 == 0 { pieces.to_vec() } else { vec![whole.clone()] };
            first.into_iter().map(c).chain(rest).collect()
        })
        .collect();
    for nth in 0..5 {
        for (slot, flow) in flows.iter().enumerate() {
            let Some(datagram) = flow.get(nth) else { continue };
            let judgement = show(slot as u32, datagram);
            let is_last = nth + 1 == flow.len();
            assert_eq!(judgement.settled, is_last, "flow {slot}, datagram {nth}");
            let phases = [Phase::QuicInitial, Phase::QuicHandshake, Phase::QuicConnectedWeb];
            assert!(judgement.phase.is_some_and(|phase| phases.contains(&phase)));
            assert_eq!(is_last, judgement.phase == Some(Phase::QuicConnectedWeb));
        }
    }
    assert_eq!(inspector.counts().displaced, 0);
    assert!((0..FLOWS).all(|slot| names.0.get(&slot) == Some(&1)), "{:?}", names.0);
}

#[test]
fn a_retry_changes_the_keys() {
    const RETRIED: &[u8] = &[0xee; 9];
    let retry = [V1.long(Kind::Retry, CLIENT, RETRIED), b"token".to_vec(), vec![0x33; 16]].concat();
    let after = Wire { origin: RETRIED, token: b"token", ..V1 };
    let answered = [after.of_server(0, &answer_frames())].concat();
    let mut sent =
        vec![c(V1.of_client(0, &[1])), s(retry), c(after.of_client(1, &hello_frames())), s(answered)];
    sent.extend([c(after.sealed(Kind::Handshake, SERVER, CLIENT)), c(short(SERVER))]);
    let all = heard(&sent);
    assert_eq!((all.first(Fact::QuicRetry), all.first(Fact::Sni)), ("true", "www.example.org"));
    assert_eq!(all.phase, Some(Phase::QuicConnectedWeb));
    assert_eq!(all.first(Fact::QuicDcid), "d0d1d2d3d4d5d6d7");
    // The Retry was not captured.
    sent.remove(1);
    let all = heard(&sent);
    assert_eq!((all.first(Fact::Sni), all.phase), ("www.example.org", Some(Phase::QuicConnectedWeb)));
    assert_eq!(all.values(Fact::QuicScid).len(), 2);
}

#[test]
fn a_negotiation_leads_to_another_version() {
    let grease = Wire { version: Version(0x2a3a_4a5a), ..V1 };
    let list = |scid| {
        let mut packet = Wire { version: Version::NEGOTIATION, ..V1 }.long(Kind::Initial, CLIENT, scid);
        packet.extend([0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]);
        packet
    };
    let mut sent = vec![c(grease.of_client(0, &[1])), s(list(ORIGIN))];
    sent.extend(handshake(V1));
    let all = heard(&sent);
    assert_eq!(all.values(Fact::QuicVersion), ["grease", "v1"]);
    assert_eq!(all.first(Fact::QuicVersionNegotiation), "true");
    assert_eq!((all.first(Fact::Sni), all.phase), ("www.example.org", Some(Phase::QuicConnectedWeb)));
    // The list alone, and lists that are none.
    let alone = heard(&[s(list(ORIGIN))]);
    assert_eq!((alone.verdict, alone.client), (Some(Verdict::Is), Some(CLIENT_SIDE)));
    assert_eq!(heard(&[s(list(&ORIGIN[..7]))]).verdict, Some(Verdict::No));
    let mut odd = list(ORIGIN);
    odd.pop();
    assert_eq!(heard(&[s(odd)]).verdict, Some(Verdict::No));
    let mut unknown = list(ORIGIN);
    let len = unknown.len();
    unknown[len - 8..].fill(0x11);
    assert_eq!(heard(&[s(unknown)]).verdict, Some(Verdict::No));
}

#[test]
fn a_server_may_change_the_version_by_itself() {
    // RFC 9368 section 2.3: it answers version 1 with version 2, whose keys follow from the same id.
    let v2 = Wire { version: Version::V2, ..V1 };
    let mut sent = handshake(v2);
    sent[0] = c(V1.of_client(0, &hello_frames()));
    let all = heard(&sent);
    assert_eq!(all.values(Fact::QuicVersion), ["v1", "v2"]);
    assert_eq!(all.phase, Some(Phase::QuicConnectedWeb));
    assert_eq!(all.first(Fact::TlsVersion), "TLS1.3");
}

#[test]
fn the_servers_hello_is_read() {
    let hello = server_hello();
    let (head, tail) = hello.split_at(20);
    let whole = handshake(V1);
    let split = [
        whole[0].clone(),
        s(V1.of_server(1, &crypto(20, tail))),
        s(V1.of_server(0, &[ACK, &crypto(0, head)].concat())),
    ];
    for sent in [&whole[..2], &split] {
        let heard = heard(sent);
        assert_eq!(heard.first(Fact::TlsVersion), "TLS1.3");
        assert_eq!(heard.first(Fact::TlsCipher), "TLS_AES_128_GCM_SHA256");
        assert_eq!(heard.phase, Some(Phase::QuicHandshake));
    }
}

#[test]
fn zero_rtt_is_noted_wherever_it_stands() {
    let early = V1.sealed(Kind::ZeroRtt, ORIGIN, CLIENT);
    let first = V1.of_client(0, &hello_frames());
    for sent in [
        vec![c([first.clone(), early.clone()].concat())],
        vec![c(early.clone()), c(first.clone())],
        vec![c(first), c(early)],
    ] {
        let heard = heard(&sent);
        assert_eq!((heard.first(Fact::QuicZeroRtt), heard.first(Fact::Sni)), ("true", "www.example.org"));
        assert_eq!((heard.verdict, heard.client), (Some(Verdict::Is), Some(CLIENT_SIDE)));
    }
}

#[test]
fn closes_are_read_on_both_sides() {
    let first = || c(V1.of_client(0, &hello_frames()));
    let by_client = || c(V1.to(SERVER, 2, CLOSE));
    let by_server = || s(V1.of_server(3, &[ACK, CLOSE_APP].concat()));
    for (sent, verdict, phase, closes) in [
        (vec![first(), by_client()], Verdict::Is, Phase::QuicDraining, &["transport:25"][..]),
        (vec![first(), by_server()], Verdict::Is, Phase::QuicDrainingApp, &["app:256"]),
        (
            vec![first(), by_server(), by_client()],
            // Another connection may follow on the same ends.
            Verdict::Is,
            Phase::QuicClosed,
            &["app:256", "transport:25"],
        ),
        (vec![first(), by_client(), by_client()], Verdict::Is, Phase::QuicDraining, &["transport:25"]),
    ] {
        let heard = heard(&sent);
        assert_eq!((heard.verdict, heard.phase), (Some(verdict), Some(phase)));
        assert_eq!(heard.values(Fact::QuicClose), closes);
        let reason = if closes.contains(&"transport:25") { "idle" } else { "" };
        assert_eq!(heard.first(Fact::QuicCloseReason), reason);
    }
}

#[test]
fn only_the_clients_short_header_connects() {
    let mut sent = handshake(V1);
    sent.pop();
    for (last, wanted) in [
        (s(short(CLIENT)), Phase::QuicHandshake),
        (c(short(CLIENT)), Phase::QuicHandshake),
        (c([&[0x01][..], SERVER, &[0x99; 10]].concat()), Phase::QuicHandshake),
        (c([V1.sealed(Kind::Handshake, SERVER, CLIENT), short(SERVER)].concat()), Phase::QuicConnectedWeb),
    ] {
        assert_eq!(heard(&[&sent[..], &[last]].concat()).phase, Some(wanted));
    }
    // Before the server's answer it is none; an id of no bytes needs the fixed bit.
    assert_eq!(heard(&[sent[0].clone(), c(short(SERVER))]).phase, Some(Phase::QuicInitial));
    let answer = V1.initial(1, CLIENT, &[], 0, &answer_frames());
    for (first, wanted) in [(0x41, Phase::QuicConnectedWeb), (0x01, Phase::QuicHandshake)] {
        let mut last = short(&[]);
        last[0] = first;
        assert_eq!(heard(&[sent[0].clone(), s(answer.clone()), c(last)]).phase, Some(wanted));
    }
}

#[test]
fn one_side_alone_is_followed() {
    // The server was not seen: its id stands in the client's Handshake packets.
    let client = [
        c(V1.of_client(0, &hello_frames())),
        c(V1.sealed(Kind::Handshake, SERVER, CLIENT)),
        c(short(SERVER)),
    ];
    assert_eq!(heard(&client).phase, Some(Phase::QuicConnectedWeb));
    // The client was not seen: nothing opens, but what the headers say.
    let answer = [V1.of_server(0, &answer_frames()), V1.sealed(Kind::Handshake, CLIENT, SERVER)].concat();
    assert_eq!(heard(&[s(answer)]).verdict, Some(Verdict::Is));
    let answer = [V1.of_server(0, &[answer_frames(), vec![0; 1000]].concat()), short(CLIENT)].concat();
    let handshake = V1.sealed(Kind::Handshake, CLIENT, SERVER);
    let padded = [s(answer), s(handshake)];
    let heard = heard(&padded);
    assert_eq!((heard.verdict, heard.phase), (Some(Verdict::Is), Some(Phase::QuicHandshake)));
    assert_eq!(heard.values(Fact::QuicVersion), ["v1"]);
}

#[test]
fn another_connection_on_the_same_addresses_begins_anew() {
    const OTHER: &[u8] = &[0xab; 8];
    let other = Wire { origin: OTHER, ..V1 };
    let again = other.initial(0, OTHER, &[9; 4], 0, &[hello_frames(), vec![0; 1000]].concat());
    let sent = [c(V1.of_client(0, &hello_frames())), s(V1.of_server(0, CLOSE)), c(again)];
    assert_eq!(heard(&sent[..2]).phase, Some(Phase::QuicDraining));
    let all = heard(&sent);
    assert_eq!((all.verdict, all.phase), (Some(Verdict::Is), Some(Phase::QuicInitial)));
    assert_eq!(all.values(Fact::QuicScid), ["c0c1c2c3", "5051525354", "09090909"]);
}

#[test]
fn googles_crypto_in_initials_is_read() {
    for version in [b"Q050", b"T050"] {
        let wire = Wire { version: Version(u32::from_be_bytes(*version)), ..V1 };
        let hello = match version {
            b"Q050" => gquic::tests::chlo(&[(b"SNI\0", b"www.example.org"), (b"UAID", b"Chrome/80")]),
            _ => client_hello(&["h3-T050"]),
        };
        // CRYPTO is frame type 8 there.
        let mut frames = crypto(0, &hello);
        frames[0] = 8;
        let heard = heard(&[c(wire.of_client(1, &frames))]);
        assert_eq!(heard.first(Fact::Sni), "www.example.org");
        assert_eq!(heard.service, (version == b"Q050").then_some(Service::Gquic));
    }
}

#[test]
fn packets_that_do_not_open_need_more_evidence() {
    let spoiled = |wire: Wire<'_>| {
        let mut packet = wire.of_client(0, &hello_frames());
        let len = packet.len();
        packet[len - 1] ^= 1;
        packet
    };
    let unknown = Wire { version: Version(0x1234_5678), ..V1 };
    let short_id = Wire { origin: &ORIGIN[..7], ..unknown };
    let small = |wire: Wire<'_>| wire.initial(1, ORIGIN, CLIENT, 0, ACK);
    // A short header whose fixed bit is cleared.
    let unmarked = [&[0x01][..], ORIGIN, &[0xee; 30]].concat();
    for (what, packet, verdict) in [
        ("known version, 1200 bytes", spoiled(V1), Verdict::Is),
        ("unknown version, lengths that fit", spoiled(unknown), Verdict::Is),
        ("unknown version, id too short", spoiled(short_id), Verdict::No),
        ("known version, but small", small(V1), Verdict::Is),
        ("known version, small, no id of its own", V1.initial(1, ORIGIN, &[], 0, ACK), Verdict::More),
        ("unknown version, small", small(unknown), Verdict::No),
        ("bytes behind the packet", [spoiled(V1), vec![1; 9]].concat(), Verdict::More),
        ("zeros behind the packet", [spoiled(V1), vec![0; 9]].concat(), Verdict::Is),
        ("its connection's short packet behind it", [spoiled(V1), unmarked].concat(), Verdict::Is),
        ("a Handshake packet", V1.sealed(Kind::Handshake, CLIENT, SERVER), Verdict::Is),
        ("a Retry", [V1.long(Kind::Retry, CLIENT, SERVER), vec![1; 17]].concat(), Verdict::Is),
        (
            "a Retry without a token",
            [V1.long(Kind::Retry, CLIENT, SERVER), vec![1; 16]].concat(),
            Verdict::More,
        ),
        ("a short header", short(SERVER), Verdict::No),
        ("nothing", vec![], Verdict::More),
        (
            "an Initial that opens, whatever follows",
            [V1.of_client(0, &[1]), vec![1; 9]].concat(),
            Verdict::Is,
        ),
    ] {
        assert_eq!(heard(&[c(packet)]).verdict, Some(verdict), "{what}");
    }
    // Fixed bit cleared (RFC 9287): enough when the packet opens. The bit is authenticated.
    let mut header = V1.long(Kind::Initial, ORIGIN, CLIENT);
    header[0] = 0x81;
    let frames = [hello_frames(), vec![0; 1000]].concat();
    header.extend([0]);
    header.extend((0x4000 | (18 + frames.len() as u16)).to_be_bytes());
    header.extend([0, 0]);
    let keys = Keys::derive(&Version::V1.suites()[0], ORIGIN, true);
    let packet = protect::tests::seal(&keys, &header, 2, 0, &frames);
    assert_eq!(heard(&[c(packet)]).first(Fact::Sni), "www.example.org");
}

#[test]
fn a_server_that_was_heard_first_is_the_server() {
    let sent = handshake(V1);
    let small = V1.initial(1, CLIENT, SERVER, 0, ACK);
    let heard = heard(&[(0, small), (1, sent[0].1.clone()), (0, sent[1].1.clone())]);
    assert_eq!(heard.client, Some(1));
    assert_eq!(heard.first(Fact::Sni), "www.example.org");
    assert_eq!(heard.first(Fact::TlsVersion), "TLS1.3");
}

#[test]
fn every_cut_is_quiet() {
    let sent = handshake(V1);
    for len in 1..sent[0].1.len() {
        let heard = heard(&[c(sent[0].1[..len].to_vec())]);
        assert_ne!(heard.verdict, Some(Verdict::Is), "{len}");
        assert_eq!(heard.facts, []);
    }
    for (of, len) in (1..3).flat_map(|of| (1..sent[of].1.len()).step_by(3).map(move |len| (of, len))) {
        let mut cut = sent.clone();
        cut[of].1.truncate(len);
        let heard = heard(&cut);
        assert_eq!(heard.first(Fact::Sni), "www.example.org", "{of} {len}");
    }
}

#[test]
fn inspection_ends() {
    let mut sent = vec![c(V1.of_client(0, &hello_frames()))];
    sent.resize(1000, s(vec![0x40; 100]));
    assert_eq!(heard(&sent[..MOST_DATAGRAMS as usize - 1]).verdict, Some(Verdict::Is));
    assert_eq!(heard(&sent[..MOST_DATAGRAMS as usize]).verdict, Some(Verdict::Done));
    // A hundred packets that do not open, in each of many datagrams.
    let bad = V1.initial(1, ORIGIN, CLIENT, 0, ACK);
    let flood = bad.repeat(60);
    sent[1..].fill(c(flood));
    assert_eq!(heard(&sent).verdict, Some(Verdict::Done));
}

/// All kinds of datagrams, to be damaged.
fn samples() -> Vec<(usize, Vec<u8>)> {
    let retry = [V1.long(Kind::Retry, CLIENT, &[0xee; 9]), vec![0x33; 21]].concat();
    let mut list = Wire { version: Version::NEGOTIATION, ..V1 }.long(Kind::Initial, CLIENT, ORIGIN);
    list.extend([0, 0, 0, 1]);
    let mut samples = handshake(V1);
    samples.extend([
        s(retry),
        s(list),
        s(V1.of_server(9, CLOSE)),
        c(V1.sealed(Kind::ZeroRtt, ORIGIN, CLIENT)),
    ]);
    samples.extend(handshake(Wire { version: Version::V2, ..V1 }));
    samples
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_datagrams_do_no_harm(
        sent in prop::collection::vec((0..2_usize, prop::collection::vec(any::<u8>(), 0..1500)), 0..4),
    ) {
        prop_assert_ne!(heard(&sent).verdict, Some(Verdict::Done));
    }

    #[test]
    fn damaged_datagrams_do_no_harm(
        order in prop::collection::vec(0..12_usize, 1..8),
        damage in prop::collection::vec((0..8_usize, 0..1300_usize, any::<u8>()), 0..6),
        cut in 0..1300_usize,
    ) {
        let samples = samples();
        let mut sent: Vec<_> = order.iter().map(|n| samples[*n].clone()).collect();
        for (of, at, byte) in damage {
            let count = sent.len();
            let bytes = &mut sent[of % count].1;
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        if let Some(last) = sent.last_mut() {
            last.1.truncate(cut.max(1));
        }
        let heard = heard(&sent);
        prop_assert!(heard.values(Fact::Sni).len() <= 1);
    }

    #[test]
    fn no_random_flow_is_quic(seed: u64) {
        // Long headers are half of all random bytes; here all are, with a version that is known.
        let mut state = seed | 1;
        for _ in 0..200 {
            let mut bytes = vec![0; 64 + (state % 1300) as usize];
            for byte in &mut bytes {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
            bytes[0] |= 0xc0;
            prop_assert_ne!(heard(&[c(bytes)]).verdict, Some(Verdict::Is));
        }
    }
}
