//! Parsers meet arbitrary bytes on every link: no panic, and a verdict that makes sense.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;

use proptest::{prelude::*, test_runner::RngSeed};
use rustnet::{
    base::{counters::DropReason, ids::IfaceId, time::Stamp},
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::{Descriptor, flag},
        hash::Seed,
        key::{WideKey, kind},
        link::LinkType,
        parse::{FrameMeta, Layer, ParseConfig, Parser, Verdict},
    },
};

/// Every link that is decoded, and one that is not.
const LINKS: &[u16] =
    &[0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 117, 127, 204, 228, 229, 239, 253, 258, 276, 7777];

/// What may stand before IP in Ethernet frames, and behind UDP or IP: seeds from which arbitrary
/// bytes reach deep.
const BEGINNINGS: &[&[u8]] = &[
    &[],
    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, 0x45],
    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, 0x46],
    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd, 0x60],
    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x06, 0, 1, 8, 0, 6, 4],
    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0x00],
    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x47, 0, 0, 1, 64],
    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x64, 0x11, 0],
    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 0xaa, 0xaa, 3, 0, 0, 0],
    &[0x45],
    &[0x60],
    &[2, 0, 0, 0, 0x45],
    &[0x08, 0x00],
    &[0, 0, 8, 0, 2, 0, 0, 0],
];

fn parsers() -> [Parser; 2] {
    [Layer::Outer, Layer::Inner]
        .map(|layer| Parser::new(ParseConfig { layer, vlan_in_key: layer == Layer::Inner }, Seed::new(7)))
}

/// Parses and checks what must hold for every frame.
fn check(parser: &mut Parser, frame: &[u8], meta: &FrameMeta) -> Verdict {
    let (mut out, mut wide) = (Descriptor::default(), WideKey::default());
    let verdict = parser.parse(frame, meta, &mut out, &mut wide);
    match verdict {
        Verdict::Flow => {
            assert_ne!(out.key.kind & kind::LIVE, 0);
            assert_eq!(out.flags & flag::MARKER, 0);
            assert!(out.segments >= 1);
            assert!(out.wire_len >= meta.wire_len);
            assert!(out.payload_len <= meta.wire_len.max(frame.len() as u32));
            let [low, high] = out.key.addresses(&wide);
            assert!(low <= high, "{low} {high}");
            assert!(low < high || out.key.ports[0] <= out.key.ports[1]);
            assert!(out.key.is_wide() || wide == WideKey::default());
            if out.key.is_wide() {
                assert_eq!(out.key.kind & kind::EXTENDED != 0, wide.extension != Default::default());
                assert_eq!(out.key.ends, Seed::new(7).digest(&wide));
            }
            if out.flags & flag::NO_TRANSPORT != 0 {
                assert_eq!((out.tcp_flags, out.seq_number, out.window), (0, 0, 0));
            }
        }
        Verdict::NotFlow => {}
        Verdict::Drop(reason) => {
            let snapped = frame.len() < meta.wire_len as usize;
            assert!(reason != DropReason::Snapped || snapped);
            assert!(matches!(
                reason,
                DropReason::Snapped | DropReason::Malformed | DropReason::UnknownLink | DropReason::TooDeep
            ));
            assert!(reason != DropReason::UnknownLink || [7777, 258].contains(&meta.link.0));
        }
    }
    verdict
}

fn meta(link: u16, wire_len: u32) -> FrameMeta {
    FrameMeta {
        wall: Stamp(0),
        wire_len,
        iface: IfaceId(1),
        link: LinkType(link),
        gso_size: 0,
        stripped_vlan: None,
        outgoing: false,
        loopback: false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

    #[test]
    fn arbitrary_bytes_never_panic(
        beginning in prop::sample::select(BEGINNINGS),
        rest in prop::collection::vec(
            prop_oneof![3 => any::<u8>(), 2 => prop::sample::select(&[0, 4, 6, 17, 41, 43, 44, 47, 51, 60, 0x45, 0x60][..])],
            0..200,
        ),
        more in prop_oneof![Just(0_u32), 0_u32..100, any::<u32>()],
        gso_size in prop_oneof![3 => Just(0_u16), 1 => any::<u16>()],
        tag in prop::option::of(any::<(u16, u16)>()),
    ) {
        let frame = [beginning, &rest].concat();
        let mut parsers = parsers();
        for &link in LINKS {
            let wire_len = (frame.len() as u32).saturating_add(more);
            let meta = FrameMeta { gso_size, stripped_vlan: tag, ..meta(link, wire_len) };
            for parser in &mut parsers {
                check(parser, &frame, &meta);
            }
        }
    }
}

/// Valid frames of many kinds.
fn corpus() -> Vec<Vec<u8>> {
    let tcp = Body::Tcp(Tcp { src_port: 5, dst_port: 80, flags: 2, window_scale: Some(3), ..Tcp::default() });
    let mut frames = Vec::new();
    for (src, dst) in [("192.0.2.1", "192.0.2.2"), ("fe80::1", "2001:db8::2")] {
        let [src, dst]: [IpAddr; 2] = [src, dst].map(|text| text.parse().unwrap());
        let mut inside = vec![8, 0, 0, 0, 0, 0, 42, 0];
        inside.extend(built(&Frame::new(src, dst, tcp)));
        let mut packet = vec![0; 200];
        let len = Frame::new(src, dst, tcp).vlans(&[]).write_packet(&mut packet).unwrap();
        packet.truncate(len);
        let ip_in_ip = Body::Other(if src.is_ipv4() { 4 } else { 41 });
        let gre = [
            &[
                0x20,
                0,
                if src.is_ipv4() { 0x08 } else { 0x86 },
                if src.is_ipv4() { 0 } else { 0xdd },
                0,
                0,
                0,
                1,
            ],
            &packet[..],
        ]
        .concat();
        for frame in [
            Frame::new(src, dst, tcp).payload(b"hello"),
            Frame::new(src, dst, tcp).vlans(&[1, 2, 3]),
            Frame::new(src, dst, Body::Udp(5, 53)).payload(&[0; 20]),
            Frame::new(src, dst, Body::Udp(5, 4789)).payload(&inside),
            Frame::new(src, dst, Body::Icmp(8, 0, 1)),
            Frame::new(src, dst, ip_in_ip).payload(&packet),
            Frame::new(src, dst, Body::Other(47)).payload(&gre),
            Frame::new(src, dst, Body::Other(132)).payload(&[0; 12]),
        ] {
            frames.push(built(&frame));
        }
        if src.is_ipv4() {
            frames.push(built(&Frame::new(src, dst, Body::Arp(2))));
        }
    }
    frames
}

fn built(frame: &Frame) -> Vec<u8> {
    let mut buffer = vec![0; 2000];
    let len = frame.write(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

#[test]
fn every_truncation_has_a_sane_verdict() {
    for frame in corpus() {
        let mut flow_at = None;
        for parser in &mut parsers() {
            for len in 0..=frame.len() {
                let snapped = check(parser, &frame[..len], &meta(1, frame.len() as u32));
                let short = check(parser, &frame[..len], &meta(1, len as u32));
                assert_eq!(snapped == Verdict::Flow, short == Verdict::Flow, "{len}");
                match snapped {
                    Verdict::Flow => flow_at = flow_at.or(Some(len)),
                    // Once the addresses are there, more bytes never take them away.
                    _ => assert!(flow_at.is_none_or(|at| len < at), "{len}"),
                }
            }
        }
        assert!(flow_at.is_some());
    }
}

#[test]
fn every_changed_byte_has_a_sane_verdict() {
    for frame in corpus() {
        let mut parsers = parsers();
        for at in 0..frame.len() {
            for byte in [0, 1, 4, 0x0f, 0x45, 0x60, 0x7f, 0x80, 0xff, frame[at] ^ 1] {
                let mut changed = frame.clone();
                changed[at] = byte;
                for parser in &mut parsers {
                    check(parser, &changed, &meta(1, changed.len() as u32));
                }
            }
        }
    }
}

#[test]
fn parsing_is_the_same_again() {
    for frame in corpus() {
        let mut parsers = parsers();
        for parser in &mut parsers {
            let mut outs = [Descriptor::default(); 2];
            let mut wides = [WideKey::default(); 2];
            for (out, wide) in outs.iter_mut().zip(&mut wides) {
                parser.parse(&frame, &meta(1, frame.len() as u32), out, wide);
            }
            assert_eq!(format!("{:?}", outs[0]), format!("{:?}", outs[1]));
            assert_eq!(wides[0], wides[1]);
        }
    }
}
