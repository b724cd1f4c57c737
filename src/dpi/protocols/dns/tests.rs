//! Messages of every kind, whole, cut, and lying about their lengths.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]

use super::*;
use crate::dpi::{
    testing::{Heard, datagrams, streams as ask},
    trial,
};

/// A message with these flags and counts.
fn message(id: u16, flags: u16, counts: [u16; 4], body: &[&[u8]]) -> Vec<u8> {
    let mut bytes = [id.to_be_bytes(), flags.to_be_bytes()].concat();
    bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    bytes.extend(body.concat());
    bytes
}

/// `example.org`, type, IN.
fn question(number: u16) -> Vec<u8> {
    [&b"\x07Example\x03org\0"[..], &number.to_be_bytes(), &[0, 1]].concat()
}

/// A record: owner, type, IN, 60 s, data.
fn record(owner: &[u8], number: u16, data: &[u8]) -> Vec<u8> {
    [owner, &number.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &(data.len() as u16).to_be_bytes(), data].concat()
}

fn query(id: u16, number: u16) -> Vec<u8> {
    message(id, 0x0100, [1, 0, 0, 0], &[&question(number)])
}

/// `example.org` is an alias of `a.example.org`, which has two addresses.
fn answer(id: u16) -> Vec<u8> {
    message(
        id,
        0x8180,
        [1, 3, 0, 1],
        &[
            &question(1),
            &record(b"\xc0\x0c", 5, b"\x01a\xc0\x0c"),
            &record(b"\xc0\x29", 1, &[192, 0, 2, 1]),
            &record(b"\xc0\x29", 28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            &record(b"\0", 41, b""), // EDNS
        ],
    )
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

fn one(bytes: &[u8], ports: [u16; 2]) -> Heard {
    datagrams(datagram, &[(0, bytes)], ports)
}

#[test]
fn a_query_and_its_answer_on_any_port() {
    for port in [53, 40_001, 443, 5353, 5355, 137] {
        let heard = trial::of_datagrams(datagram, &[(0, &query(7, 1)), (1, &answer(7))], [50_000, port]);
        assert_eq!(heard.service, Some(Service::Dns), "{port}");
        assert_eq!(heard.verdict, Some(Verdict::Rest));
        assert_eq!(heard.values(Fact::DnsQuery), ["Example.org"]);
        assert_eq!(heard.values(Fact::DnsType), ["A"]);
        assert_eq!(heard.values(Fact::DnsRcode), ["0"]);
        assert_eq!(heard.values(Fact::DnsCname), ["a.Example.org"]);
        assert_eq!(heard.values(Fact::DnsAddress), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(heard.values(Fact::DnsAnswered), ["true"]);
        assert_eq!(heard.values(Fact::DnsTime), ["1000"]);
        assert_eq!((heard.phase, heard.client), (Some(Phase::DnsResponse), Some(0)));
        let names: Vec<_> = heard.resolved.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["example.org"; 2], "the name that was asked for, in small letters");
    }
}

#[test]
fn the_phase_follows_the_last_query() {
    let (a, aaaa) = (query(1, 1), query(2, 28));
    let (first, second) = (answer(1), answer(2));
    let phase = |sent: &[(usize, &[u8])]| datagrams(datagram, sent, [50_000, 53]).phase;
    assert_eq!(phase(&[(0, &a)]), Some(Phase::DnsQuery));
    assert_eq!(phase(&[(0, &a), (0, &aaaa), (1, &first)]), Some(Phase::DnsQuery));
    assert_eq!(phase(&[(0, &a), (0, &aaaa), (1, &first), (1, &second)]), Some(Phase::DnsResponse));
    assert_eq!(phase(&[(0, &a), (1, &first), (0, &aaaa)]), Some(Phase::DnsQuery));
    assert_eq!(phase(&[(1, &first)]), Some(Phase::DnsResponse));
}

#[test]
fn whoever_asks_is_the_client() {
    assert_eq!(one(&answer(1), [53, 50_000]).client, Some(1));
    assert_eq!(one(&query(1, 1), [53, 50_000]).client, Some(0));
}

#[test]
fn kinds_of_messages() {
    for (bytes, want) in [
        (query(1, 65), vec!["HTTPS"]),
        (query(1, 18), vec!["TYPE18"]),
        (query(1, 65_280), vec!["TYPE65280"]),
        // NOTIFY and UPDATE
        (message(1, 0x2400, [1, 0, 0, 0], &[&question(6)]), vec!["SOA"]),
        (
            message(1, 0x2800, [1, 0, 1, 0], &[&question(6), &record(b"\xc0\x0c", 1, &[1, 2, 3, 4])]),
            vec!["SOA"],
        ),
        // a query with EDNS, one with the root
        (message(1, 0x0120, [1, 0, 0, 1], &[&question(1), &record(b"\0", 41, b"")]), vec!["A"]),
        (message(1, 0, [1, 0, 0, 0], &[b"\0\0\x02\0\x01"]), vec!["NS"]),
        // an answer whose records are broken, a header that refuses
        (message(1, 0x8180, [1, 9, 0, 0], &[&question(1), &[0xff; 120]]), vec!["A"]),
        (message(1, 0x8105, [0; 4], &[]), vec![]),
    ] {
        let heard = trial::of_datagrams(datagram, &[(0, &bytes)], [50_000, 9_999]);
        assert_eq!(heard.values(Fact::DnsType), want, "{bytes:x?}");
        assert_eq!(heard.service, Some(Service::Dns));
    }
}

#[test]
fn what_is_no_message() {
    let query = query(1, 1);
    for bytes in [
        vec![0; 12],
        vec![0; 100],
        vec![0xff; 100],
        query[..11].to_vec(),
        query[..20].to_vec(),
        message(1, 0x0100, [2000, 0, 0, 0], &[&question(1)]), // more questions than bytes
        message(1, 0x0100, [1, 0, 90, 0], &[&question(1)]),   // more records than bytes
        message(1, 0x7900, [1, 0, 0, 0], &[&question(1)]),    // opcode 15
        message(1, 0x0103, [1, 0, 0, 0], &[&question(1)]),    // a query with a response code
        message(1, 0x0100, [1, 0, 0, 0], &[b"\x03org\0\0\x01\0\x09"]), // class 9
        message(1, 0x0100, [1, 0, 0, 0], &[b"\xc0\x0c\0\x01\0\x01"]), // a name that is its own
        message(1, 0x0100, [1, 0, 0, 0], &[b"\x43org\0\0\x01\0\x01"]), // a kind of label that is not
    ] {
        assert_eq!(one(&bytes, [50_000, 53]).verdict, Some(Verdict::No), "{bytes:x?}");
    }
}

#[test]
fn a_flow_goes_on_after_a_broken_message() {
    let (query, answer) = (query(7, 1), answer(7));
    let heard = datagrams(datagram, &[(0, &query), (1, b"?"), (1, &answer)], [50_000, 53]);
    assert_eq!(heard.verdict, Some(Verdict::Rest));
    assert_eq!(heard.values(Fact::DnsTime), ["2000"]);
}

#[test]
fn multicast_dns_by_port_and_flags() {
    let service = b"\x04_ipp\x04_tcp\x05local\0\0\x0c\0\x01";
    let asks = message(0, 0, [1, 0, 0, 0], &[service]);
    let host = b"\x04host\x05local\0";
    let says =
        message(0, 0x8400, [0, 1, 0, 1], &[&record(host, 16, b"\0"), &record(host, 1, &[10, 0, 0, 1])]);
    for (bytes, ports) in
        [(&asks, [5353, 5353]), (&asks, [50_000, 5353]), (&says, [5353, 5353]), (&says, [5353, 40_000])]
    {
        let heard = trial::of_datagrams(datagram, &[(0, bytes)], ports);
        assert_eq!(heard.service, Some(Service::Mdns), "{ports:?} {bytes:x?}");
        assert!(heard.values(Fact::DnsRcode).is_empty());
    }
    assert_eq!(one(&says, [5353, 5353]).resolved, [("host.local".into(), "10.0.0.1".parse().unwrap())]);
    assert_eq!(one(&asks, [5353, 53]).service, Some(Service::Dns));
    assert_eq!(one(&asks, [1000, 2000]).service, Some(Service::Dns));
    // A legacy query (RFC 6762 section 6.7) has an id and may want recursion, its name is the sign.
    let legacy = message(9, 0x0100, [1, 0, 0, 0], &[service]);
    assert_eq!(one(&legacy, [50_000, 5353]).service, Some(Service::Mdns));
}

#[test]
fn link_local_names_by_port_and_flags() {
    let asks = message(9, 0, [1, 0, 0, 0], &[b"\x04host\0\0\xff\0\x01"]);
    let heard = trial::of_datagrams(datagram, &[(0, &asks)], [50_000, 5355]);
    assert_eq!(heard.service, Some(Service::Llmnr));
    assert_eq!((heard.first(Fact::DnsQuery), heard.first(Fact::DnsType)), ("host", "ANY"));
}

#[test]
fn over_tcp_messages_follow_one_another() {
    let client = [framed(&query(1, 1)), framed(&query(2, 28))].concat();
    let server = [framed(&answer(1)), framed(&answer(2))].concat();
    let heard = trial::of_streams(streams, &client, &server, 8053);
    assert_eq!(heard.verdict, Some(Verdict::Is));
    assert_eq!(heard.values(Fact::DnsType), ["A", "AAAA"]);
    assert_eq!(heard.client, Some(0));
    // Whoever began, the side that asks is the client; and an answer alone is enough.
    assert_eq!(ask(streams, &server, &client, 53).client, Some(1));
    assert_eq!(ask(streams, &[], &server, 53).client, Some(0));
}

#[test]
fn over_tcp_what_is_no_message() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03aaaaaaa",
        &[0; 40],
        b"\0\x04abcd",
    ] {
        assert_eq!(ask(streams, bytes, &[], 53).verdict, Some(Verdict::No), "{bytes:x?}");
    }
}

#[test]
fn a_long_transfer_is_read_as_far_as_it_is_shown() {
    let transfer = framed(&message(1, 0x8400, [1, 1000, 0, 0], &[&question(252), &vec![0; 30_000]]));
    let talk = Streams {
        bytes: [&[], &transfer[..8192]],
        ended: [false, true],
        total: [0, 30_000],
        client: 0,
        opened: true,
        ports: [50_000, 53],
    };
    let mut heard = Heard::default();
    assert_eq!(streams(&talk, &mut Notes::new(&mut heard)), Verdict::Is);
    assert_eq!(heard.values(Fact::DnsType), ["AXFR"]);
}

#[test]
fn a_datagram_that_was_cut_is_known_by_its_header() {
    let query = query(1, 1);
    let mut memory = [0; crate::dpi::talk::MEMORY];
    for captured in HEADER_LEN..query.len() {
        let mut heard = Heard::default();
        let mut talk = Datagram {
            bytes: &query[..captured],
            wire_len: query.len(),
            from: 0,
            client: 0,
            ports: [50_000, 53],
            wall: crate::base::time::Stamp(1),
            nth: 0,
            keeps: KEEPS,
            before: [&[]; 2],
            memory: &mut memory,
        };
        assert_eq!(datagram(&mut talk, &mut Notes::new(&mut heard)), Verdict::Is);
    }
}
