//! What a parser makes of whole frames: keys, lengths, fragments, tunnels, super-frames.

use std::net::IpAddr;

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;
use crate::packet::{
    build::{Body, Frame, Tcp, insert_fragment_header},
    descriptor::tcp_flag,
    ipv4,
    key::proto,
};

const SYN: Tcp = Tcp {
    src_port: 50_000,
    dst_port: 443,
    seq_number: 1000,
    ack_number: 0,
    flags: tcp_flag::SYN,
    window: 64_240,
    window_scale: Some(7),
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn meta(frame: &[u8]) -> FrameMeta {
    FrameMeta {
        wall: Stamp(1_000),
        wire_len: frame.len() as u32,
        iface: IfaceId(3),
        link: LinkType::ETHERNET,
        gso_size: 0,
        stripped_vlan: None,
        outgoing: false,
        loopback: false,
    }
}

fn parser(config: ParseConfig) -> Parser {
    Parser::new(config, Seed::new(1))
}

fn built(frame: Frame) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let len = frame.write(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

fn run_with(parser: &mut Parser, frame: &[u8], meta: &FrameMeta) -> (Verdict, Descriptor, WideKey) {
    let (mut out, mut wide) = (Descriptor::default(), WideKey::default());
    let verdict = parser.parse(frame, meta, &mut out, &mut wide);
    (verdict, out, wide)
}

fn run(frame: &[u8]) -> (Descriptor, WideKey) {
    let (verdict, out, wide) = run_with(&mut parser(ParseConfig::default()), frame, &meta(frame));
    assert_eq!(verdict, Verdict::Flow);
    (out, wide)
}

#[test]
fn tcp_over_ipv4_fills_every_field() {
    let frame = built(Frame::new(ip("192.0.2.9"), ip("192.0.2.1"), Body::Tcp(SYN)).payload(b"hello"));
    let (out, _) = run(&frame);
    assert_eq!(out.key.ends, 0xc000_0201_c000_0209);
    assert_eq!((out.key.ports, out.key.proto, out.key.kind), ([443, 50_000], 6, kind::LIVE));
    assert_eq!(out.hash, Seed::new(1).hash(&out.key));
    assert_eq!((out.seq_number, out.ack_number, out.window), (1000, 0, 64_240));
    assert_eq!((out.tcp_flags, out.window_scale, out.flags), (tcp_flag::SYN, 8, flag::FROM_HIGH));
    assert_eq!((out.wire_len, out.payload_len, out.segments), (63, 5, 1));
    assert_eq!((out.wall, out.iface, out.vlan), (Stamp(1_000), IfaceId(3), 0));
}

#[test]
fn both_directions_have_one_key_and_one_hash() {
    for (a, b) in [("192.0.2.9", "192.0.2.1"), ("2001:db8::9", "2001:db8::1"), ("fe80::1", "fe80::2")] {
        let there = run(&built(Frame::new(ip(a), ip(b), Body::Udp(5, 53))));
        let back = run(&built(Frame::new(ip(b), ip(a), Body::Udp(53, 5))));
        assert_eq!((there.0.key, there.0.hash, there.1), (back.0.key, back.0.hash, back.1));
        assert_ne!(there.0.from(), back.0.from());
        assert_eq!(there.0.key.addresses(&there.1), [ip(a).min(ip(b)), ip(a).max(ip(b))]);
    }
}

#[test]
fn padding_is_no_payload() {
    let frame = built(Frame::new(ip("192.0.2.1"), ip("192.0.2.2"), Body::Udp(5, 53)).payload(b"abc"));
    assert_eq!((frame.len(), run(&frame).0.payload_len, run(&frame).0.wire_len), (60, 3, 60));
    let frame = built(Frame::new(ip("::1"), ip("::2"), Body::Tcp(Tcp { flags: 16, ..Tcp::default() })));
    assert_eq!(run(&frame).0.payload_len, 0);
}

#[test]
fn ipv6_is_wide_and_link_local_keeps_its_interface() {
    let (out, wide) = run(&built(Frame::new(ip("2001:db8::2"), ip("2001:db8::1"), Body::Udp(5, 53))));
    assert_eq!(out.key.kind, kind::LIVE | kind::V6);
    assert_eq!((out.key.ends, wide.extension), (Seed::new(1).digest(&wide), Extension::default()));
    let echo = Body::Icmp(128, 0, 0x1234_0001);
    let (out, wide) = run(&built(Frame::new(ip("fe80::1"), ip("ff02::1"), echo)));
    assert_eq!(out.key.kind, kind::LIVE | kind::V6 | kind::EXTENDED);
    assert_eq!((wide.extension.iface, out.key.proto), (4, proto::ICMPV6));
    assert_eq!((out.ack_number, out.seq_number), (128 << 8, 0x1234));
}

#[test]
fn arp_is_a_flow_of_its_addresses() {
    let (out, _) = run(&built(Frame::new(ip("192.0.2.2"), ip("192.0.2.1"), Body::Arp(1))));
    assert_eq!((out.key.kind, out.key.proto), (kind::LIVE | kind::ARP, 0));
    assert_eq!((out.key.ends, out.key.ports), (0xc000_0201_c000_0202, [0, 0]));
    assert_eq!((out.seq_number, out.payload_len, out.flags), (1, 0, flag::FROM_HIGH));
}

#[test]
fn vlan_is_a_fact_and_part_of_the_key_only_on_request() {
    let frame = built(Frame::new(ip("192.0.2.1"), ip("192.0.2.2"), Body::Udp(5, 53)).vlans(&[7, 9]));
    let plain = built(Frame::new(ip("192.0.2.1"), ip("192.0.2.2"), Body::Udp(5, 53)));
    let (out, _) = run(&frame);
    assert_eq!((out.vlan, out.key), (8 | encap::TAGS, run(&plain).0.key));
    let mut by_vlan = parser(ParseConfig { vlan_in_key: true, ..ParseConfig::default() });
    let (_, out, wide) = run_with(&mut by_vlan, &frame, &meta(&frame));
    assert_eq!((out.key.kind, wide.extension.vlan), (kind::LIVE | kind::EXTENDED, 8));
    assert_eq!(out.key.addresses(&wide), [ip("192.0.2.1"), ip("192.0.2.2")]);
    // Without a tag there is nothing to add; the kernel's tag counts as one in the frame.
    let (_, out, _) = run_with(&mut by_vlan, &plain, &meta(&plain));
    assert_eq!(out.key.kind, kind::LIVE);
    let stripped = FrameMeta { stripped_vlan: Some((0x8100, 0xe007)), ..meta(&plain) };
    let (_, out, wide) = run_with(&mut by_vlan, &plain, &stripped);
    assert_eq!((out.vlan, wide.extension.vlan, out.wire_len), (8, 8, 64));
}

#[test]
fn own_frames_are_marked() {
    for vlans in [&[][..], &[5]] {
        let frame = built(Frame::new(ip("192.0.2.1"), ip("192.0.2.2"), Body::Udp(5, 53)).vlans(vlans));
        let meta = FrameMeta { outgoing: true, ..meta(&frame) };
        let (_, out, _) = run_with(&mut parser(ParseConfig::default()), &frame, &meta);
        assert_eq!(out.flags, flag::OUTGOING);
    }
}

/// First, second and last fragment of a UDP datagram over IPv4 or IPv6.
fn fragments(src: &str, dst: &str, id: u16) -> [Vec<u8>; 3] {
    let first = Frame::new(ip(src), ip(dst), Body::Udp(5000, 53)).payload(&[1; 64]);
    let later = Frame::new(ip(src), ip(dst), Body::Other(proto::UDP)).payload(&[2; 72]);
    [(first, 0, true), (later, 72, true), (later, 144, false)].map(|(mut frame, offset, more)| {
        frame.fragment = (id, (offset / 8) | if more { ipv4::MORE } else { 0 });
        let mut bytes = built(frame);
        if frame.src.is_ipv6() {
            let len = bytes.len();
            bytes.resize(len + 8, 0);
            insert_fragment_header(&mut bytes, len, u32::from(id), offset, more).unwrap();
        }
        bytes
    })
}

#[test]
fn later_fragments_follow_their_first() {
    for (src, dst) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
        let mut parser = parser(ParseConfig::default());
        let [first, second, last] = fragments(src, dst, 77);
        let mut parse = |frame: &[u8], wall| {
            run_with(&mut parser, frame, &FrameMeta { wall: Stamp(wall), ..meta(frame) }).1
        };
        let before = parse(&last, 0);
        assert_eq!((before.key.ports, before.key.proto), ([0, 0], proto::UDP), "no first yet");
        assert_eq!(before.flags, flag::FRAGMENT | flag::NO_TRANSPORT | flag::MORE_HEADERS);
        let flow = parse(&first, 1);
        assert_eq!((flow.key.ports, flow.flags, flow.payload_len), ([5000, 53], flag::MORE_HEADERS, 64));
        for later in [&second, &last] {
            let out = parse(later, 2);
            assert_eq!((out.key, out.hash), (flow.key, flow.hash));
            let flags = flag::FRAGMENT | flag::NO_TRANSPORT | flag::MORE_HEADERS;
            assert_eq!((out.flags, out.payload_len), (flags, 72));
        }
        let other = parse(&fragments(src, dst, 78)[1], 2);
        assert_eq!(other.key.ports, [0, 0], "another datagram");
        let late = parse(&last, THIRTY_SECONDS + 2);
        assert_eq!(late.key.ports, [0, 0], "too long ago");
    }
}

const THIRTY_SECONDS: u64 = 30_000_000_000;

#[test]
fn super_frames_count_segments_and_their_headers() {
    let tcp = Body::Tcp(Tcp { window_scale: None, ..SYN });
    let frame = built(Frame::new(ip("192.0.2.1"), ip("192.0.2.2"), tcp).payload(&[0; 3001]));
    let gso = FrameMeta { gso_size: 1000, ..meta(&frame) };
    let mut parser = parser(ParseConfig::default());
    let (_, out, _) = run_with(&mut parser, &frame, &gso);
    assert_eq!((out.segments, out.payload_len, out.wire_len), (4, 3001, 3055 + 3 * 54));
    // Each segment had the tag that the kernel took off.
    let tagged = FrameMeta { stripped_vlan: Some((0x8100, 5)), ..gso };
    let (_, out, _) = run_with(&mut parser, &frame, &tagged);
    assert_eq!((out.segments, out.wire_len, out.vlan), (4, 3055 + 4 + 3 * 58, 6));
    // Payload that fits into one segment.
    let (_, out, _) = run_with(&mut parser, &frame, &FrameMeta { gso_size: 9000, ..gso });
    assert_eq!((out.segments, out.wire_len), (1, 3055));
    let quic = built(Frame::new(ip("::1"), ip("::2"), Body::Udp(5, 443)).payload(&[0; 2500]));
    let (_, out, _) = run_with(&mut parser, &quic, &FrameMeta { gso_size: 1250, ..meta(&quic) });
    assert_eq!((out.segments, out.wire_len, out.window), (2, 2562 + 62, 1250));
    // Lies do not overflow.
    let lie = FrameMeta { gso_size: 1, wire_len: u32::MAX, ..meta(&frame) };
    assert_eq!(run_with(&mut parser, &frame, &lie).1.wire_len, u32::MAX);
}

#[test]
fn super_frames_without_lengths_take_the_frames() {
    for (dst, src) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
        let mut frame = built(Frame::new(ip(src), ip(dst), Body::Tcp(SYN)).payload(&[0; 2000]));
        let at = if ip(src).is_ipv4() { 16 } else { 18 };
        frame[at..at + 2].fill(0);
        let (out, _) = run(&frame);
        assert_eq!((out.payload_len, out.segments), (2000, 1));
        assert_ne!(out.flags & flag::SEGMENTS_UNKNOWN, 0);
        let gso = FrameMeta { gso_size: 1000, ..meta(&frame) };
        let (_, out, _) = run_with(&mut parser(ParseConfig::default()), &frame, &gso);
        assert_eq!((out.segments, out.flags & flag::SEGMENTS_UNKNOWN), (2, 0));
    }
}

/// UDP inside VXLAN (VNI 42): the inner frame goes from 10.0.0.1:5 to 10.0.0.2:6.
fn vxlan(payload: &[u8]) -> Vec<u8> {
    let mut inside = vec![8, 0, 0, 0, 0, 0, 42, 0];
    inside.extend(built(Frame::new(ip("10.0.0.1"), ip("10.0.0.2"), Body::Udp(5, 6)).payload(payload)));
    built(Frame::new(ip("192.0.2.9"), ip("192.0.2.1"), Body::Udp(40_000, 4789)).payload(&inside))
}

#[test]
fn tunnels_are_one_row_or_the_rows_they_carry() {
    let frame = vxlan(&[0; 100]);
    let (out, _) = run(&frame);
    assert_eq!((out.key.ports, out.payload_len), ([4789, 40_000], 8 + 142));
    let mut inner = parser(ParseConfig { layer: Layer::Inner, ..ParseConfig::default() });
    let (_, out, wide) = run_with(&mut inner, &frame, &meta(&frame));
    assert_eq!((out.key.ports, out.key.kind), ([5, 6], kind::LIVE | kind::EXTENDED));
    assert_eq!(out.key.addresses(&wide), [ip("10.0.0.1"), ip("10.0.0.2")]);
    assert_eq!((out.payload_len, out.wire_len, out.flags), (100, frame.len() as u32, 0));
    let want = Extension {
        outer: [0xc000_0201, 0xc000_0209],
        tunnel_id: 42,
        tunnel: 1 + crate::packet::key::Tunnel::Vxlan as u8,
        depth: 1,
        ..Extension::default()
    };
    assert_eq!(wide.extension, want);
}

#[test]
fn segments_of_a_tunnelled_super_frame_have_all_headers() {
    let frame = vxlan(&[0; 2000]);
    for layer in [Layer::Outer, Layer::Inner] {
        let mut parser = parser(ParseConfig { layer, ..ParseConfig::default() });
        let gso = FrameMeta { gso_size: 1000, ..meta(&frame) };
        let (_, out, _) = run_with(&mut parser, &frame, &gso);
        assert_eq!((out.segments, out.wire_len), (2, frame.len() as u32 + 42 + 8 + 42));
    }
}

#[test]
fn tunnels_nest_to_a_bound_and_no_further() {
    let mut inner = parser(ParseConfig { layer: Layer::Inner, ..ParseConfig::default() });
    for (nested, want) in [(1, 1), (3, 3), (20, MAX_TUNNELS)] {
        let mut packet = vec![0; 60];
        let len = Frame::new(ip("10.0.0.1"), ip("10.0.0.2"), Body::Udp(5, 6)).write_packet(&mut packet);
        packet.truncate(len.unwrap());
        for _ in 1..nested {
            let mut around = vec![0; packet.len() + 20];
            let ipip = Frame::new(ip("192.0.2.1"), ip("192.0.2.2"), Body::Other(proto::IPIP));
            ipip.payload(&packet).write_packet(&mut around).unwrap();
            packet = around;
        }
        let ipip = Frame::new(ip("192.0.2.1"), ip("192.0.2.2"), Body::Other(proto::IPIP));
        let frame = built(ipip.payload(&packet));
        let (verdict, out, wide) = run_with(&mut inner, &frame, &meta(&frame));
        assert_eq!((verdict, wide.extension.depth), (Verdict::Flow, want));
        assert_eq!(out.key.proto, if want == nested { proto::UDP } else { proto::IPIP });
    }
}

#[test]
fn tunnel_without_ip_inside_counts_as_itself() {
    let mut inner = parser(ParseConfig { layer: Layer::Inner, ..ParseConfig::default() });
    let mut arp = vec![8, 0, 0, 0, 0, 0, 42, 0];
    arp.extend(built(Frame::new(ip("10.0.0.1"), ip("10.0.0.2"), Body::Arp(1))));
    for inside in [&arp[..], &arp[..20], &[0; 40]] {
        let frame =
            built(Frame::new(ip("192.0.2.9"), ip("192.0.2.1"), Body::Udp(40_000, 4789)).payload(inside));
        let (_, out, _) = run_with(&mut inner, &frame, &meta(&frame));
        assert_eq!((out.key.ports, out.key.kind), ([4789, 40_000], kind::LIVE));
    }
}

#[test]
fn cut_frames_count_as_long_as_the_addresses_are_there() {
    for (src, dst, addresses) in [("192.0.2.1", "192.0.2.2", 34), ("2001:db8::1", "2001:db8::2", 54)] {
        let whole = built(Frame::new(ip(src), ip(dst), Body::Tcp(SYN)).payload(&[0; 50]));
        let mut parser = parser(ParseConfig::default());
        for len in 0..=whole.len() {
            let snapped = meta(&whole);
            let (verdict, out, _) = run_with(&mut parser, &whole[..len], &snapped);
            if len < addresses {
                assert_eq!(verdict, Verdict::Drop(DropReason::Snapped), "{len}");
                let short = FrameMeta { wire_len: len as u32, ..snapped };
                let (verdict, ..) = run_with(&mut parser, &whole[..len], &short);
                assert_eq!(verdict, Verdict::Drop(DropReason::Malformed), "{len}");
                continue;
            }
            assert_eq!((verdict, out.wire_len), (Verdict::Flow, whole.len() as u32), "{len}");
            let ports = if len < addresses + 4 { [0, 0] } else { [50_000, 443] };
            let full = len >= addresses + 20;
            assert_eq!(out.key.ports, ports, "{len}");
            assert_eq!(out.tcp_flags, if full { tcp_flag::SYN } else { 0 }, "{len}");
            assert_eq!(out.flags & flag::NO_TRANSPORT == 0, full, "{len}");
            if full {
                assert_eq!(out.payload_len, 50, "{len}");
            }
        }
    }
}

#[test]
fn unknown_links_are_named() {
    let (verdict, ..) = run_with(
        &mut parser(ParseConfig::default()),
        &[0; 60],
        &FrameMeta { link: LinkType(65_000), ..meta(&[0; 60]) },
    );
    assert_eq!(verdict, Verdict::Drop(DropReason::UnknownLink));
}

/// VLAN tags; the walk alone reads the last.
const TAGS: &[&[u16]] = &[&[], &[0], &[5], &[5, 6], &[5, 6, 7]];

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    /// Whatever the straight line reads, the walk reads in the same way.
    #[test]
    fn straight_line_and_walk_agree(
        protocol in prop_oneof![Just(6_u8), Just(17_u8), Just(1_u8), Just(58_u8)],
        payload in 0_usize..40,
        changes in prop::collection::vec((12_usize..110, any::<u8>()), 0..4),
        cut in 0_usize..130,
        more_wire in 0_u32..3,
        v4 in any::<([u8; 4], [u8; 4])>(),
        v6 in prop::option::of(any::<([u8; 16], [u8; 16])>()),
        ports in any::<(u16, u16)>(),
        vlans in prop::sample::select(TAGS),
        stripped in prop::option::of(any::<(u16, u16)>()),
        flags in any::<(bool, bool, bool)>(),
    ) {
        let (src, dst): (IpAddr, IpAddr) = match v6 {
            Some((src, dst)) => (src.into(), dst.into()),
            None => (v4.0.into(), v4.1.into()),
        };
        let body = match protocol {
            6 => Body::Tcp(Tcp { src_port: ports.0, dst_port: ports.1, ..SYN }),
            17 => Body::Udp(ports.0, ports.1),
            // Of both versions: echoes and other messages.
            1 => Body::Icmp([0, 8, 3][usize::from(ports.0 % 3)], ports.0 as u8, u32::from(ports.1) * 0x10003),
            _ => Body::Icmp([128, 129, 1][usize::from(ports.0 % 3)], ports.0 as u8, u32::from(ports.1) * 0x10003),
        };
        let mut bytes = built(Frame::new(src, dst, body).payload(&[0; 40][..payload]).vlans(vlans));
        for (at, byte) in changes {
            if let Some(b) = bytes.get_mut(at) {
                *b = byte;
            }
        }
        let frame = &bytes[..cut.max(10).min(bytes.len())];
        let (outgoing, inner, vlan_in_key) = flags;
        let wire_len = bytes.len() as u32 + more_wire;
        let meta = FrameMeta { wire_len, stripped_vlan: stripped, outgoing, ..meta(frame) };
        let layer = if inner { Layer::Inner } else { Layer::Outer };
        let mut parser = parser(ParseConfig { layer, vlan_in_key });
        let mut straight = (Descriptor::default(), WideKey::default());
        let mut walked = (Descriptor::default(), WideKey::default());
        let mut plain = Descriptor::default();
        if parser.straight.plain(frame, &meta, plain.tick, &mut plain) {
            prop_assert_eq!(parser.walk(frame, &meta, &mut walked.0, &mut walked.1), Verdict::Flow);
            prop_assert_eq!(format!("{plain:?}"), format!("{:?}", walked.0));
        } else {
            prop_assert_eq!(format!("{plain:?}"), format!("{:?}", Descriptor::default()));
        }
        if parser.straight.any(frame, &meta, &mut straight.0, &mut straight.1) {
            prop_assert_eq!(parser.walk(frame, &meta, &mut walked.0, &mut walked.1), Verdict::Flow);
            prop_assert_eq!(format!("{straight:?}"), format!("{walked:?}"));
        } else {
            let untouched = (Descriptor::default(), WideKey::default());
            prop_assert_eq!(format!("{straight:?}"), format!("{untouched:?}"));
        }
    }

    /// The usual frames do take the straight line.
    #[test]
    fn usual_frames_need_no_walk(
        v4 in any::<([u8; 4], [u8; 4])>(),
        v6 in prop::option::of(any::<([u8; 15], [u8; 15])>()),
        vlans in prop::sample::select(&TAGS[..4]),
        body in prop_oneof![Just(Body::Udp(5, 53)), Just(Body::Tcp(SYN)), Just(Body::Icmp(8, 0, 7))],
    ) {
        let global = |tail: [u8; 15]| IpAddr::from(std::array::from_fn::<u8, 16, _>(|i| if i == 0 { 0x20 } else { tail[i - 1] }));
        let (src, dst) = match v6 {
            Some((src, dst)) => (global(src), global(dst)),
            None => (v4.0.into(), v4.1.into()),
        };
        let frame = built(Frame::new(src, dst, body).vlans(vlans));
        let straight = parser(ParseConfig::default()).straight;
        prop_assert!(straight.any(&frame, &meta(&frame), &mut Descriptor::default(), &mut WideKey::default()));
    }
}
