//! The straight line: what nearly every frame is, read without a walk.
//!
//! Ethernet with at most two VLAN tags, a whole IPv4 packet without options or an IPv6 packet
//! without extension headers, TCP, UDP or ICMP. Anything else is left to the walk of
//! [`crate::packet::parse`], which gives the same answer for these too (a property test holds it).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::Tick;
use crate::packet::{
    descriptor::{Descriptor, Plain, encap, flag, tcp_flag},
    ethernet::{ethertype, vlan_key},
    hash::Seed,
    icmp, ipv4, ipv6,
    key::{Extension, FlowKey, WideKey, kind, proto},
    link::LinkType,
    order::{is_link_local, narrow, wide_ends},
    parse::{FrameMeta, Layer, ParseConfig},
    tcp,
    transport::Transport,
    udp,
    walk::{be16, be32, be64},
};

/// TCP and UDP.
static HEADERS: [u8; 256] = headers(true);
/// TCP alone.
static HEADERS_OF_TCP: [u8; 256] = headers(false);

const fn headers(with_udp: bool) -> [u8; 256] {
    let mut headers = [0; 256];
    headers[proto::TCP as usize] = tcp::HEADER as u8;
    if with_udp {
        headers[proto::UDP as usize] = udp::HEADER as u8;
    }
    headers
}

/// Bytes of one VLAN tag.
const TAG: usize = 4;
const ETHERNET: usize = 14;

/// Reads frames of the usual kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Straight {
    /// UDP may be a tunnel whose inside is wanted.
    inner: bool,
    /// By protocol: bytes of the shortest header, 0 for what needs a walk.
    headers: &'static [u8; 256],
    vlan_in_key: bool,
    seed: Seed,
}

/// What was read, before it is written.
struct Packet {
    key: FlowKey,
    from_high: u8,
    transport: Transport,
    payload_at: usize,
    payload_len: usize,
}

impl Straight {
    pub fn new(config: ParseConfig, seed: Seed) -> Self {
        let inner = config.layer == Layer::Inner;
        let headers = if inner { &HEADERS_OF_TCP } else { &HEADERS };
        Self { inner, headers, vlan_in_key: config.vlan_in_key, seed }
    }

    /// Reads what most frames are, and writes the descriptor: Ethernet without a tag, IPv4 without
    /// options, TCP or UDP, and as many bytes captured as TCP's header needs. TCP's fields are read of
    /// UDP too and then masked: a branch on what any two frames may differ in costs more.
    #[inline(always)]
    pub fn plain(&self, frame: &[u8], meta: &FrameMeta, tick: Tick, out: &mut Descriptor) -> bool {
        const IP: usize = ETHERNET;
        const TRANSPORT: usize = IP + ipv4::HEADER;
        if meta.link != LinkType::ETHERNET || meta.gso_size != 0 || meta.stripped_vlan.is_some() {
            return false;
        }
        let Some(head) = frame.first_chunk::<{ TRANSPORT + tcp::HEADER }>() else { return false };
        let kind = be32(head, IP - 2) >> 8;
        let fragment = be16(head, IP + 6) & (ipv4::MORE | ipv4::OFFSET);
        let number = head[IP + 9];
        let least = self.headers[usize::from(number)];
        if kind != u32::from(ethertype::IPV4) << 8 | 0x45 || fragment != 0 || least == 0 {
            return false;
        }
        // All ones for TCP, whose header has bit 4 in its length, and none for UDP.
        let of_tcp = (i64::from(least) << 59) >> 63;
        let options = (i64::from(head[TRANSPORT + 12] >> 4) * 4 - tcp::HEADER as i64) & of_tcp;
        let payload_at = TRANSPORT as i64 + i64::from(least) + options;
        let end = IP as i64 + i64::from(be16(head, IP + 2));
        let seen = (frame.len() as i64).max(i64::from(meta.wire_len));
        // Below 0: a data offset that points into the header, a header that is longer than the packet, or
        // a packet that is longer than the frame.
        if options | (end - payload_at) | (seen - end) < 0 {
            return false;
        }
        let of_tcp = of_tcp as u64;
        let tcp_flags = head[TRANSPORT + 13] & of_tcp as u8;
        let (key, from_high) = plain_key(head, number);
        out.write(&Plain {
            wall: meta.wall,
            key,
            hash: self.seed.hash(&key),
            wire_len: meta.wire_len,
            tick,
            payload_len: (end - payload_at) as u32,
            numbers: be64(head, TRANSPORT + 4) & of_tcp,
            window: be16(head, TRANSPORT + 14) & of_tcp as u16,
            iface: meta.iface,
            vlan: 0,
            payload_at: payload_at as u16,
            tcp_flags,
            window_scale: 0,
            flags: from_high | if meta.outgoing { flag::OUTGOING } else { 0 },
        });
        if tcp_flags & tcp_flag::SYN != 0 {
            out.window_scale = tcp::window_scale(&frame[TRANSPORT..]);
        }
        true
    }

    /// Reads any frame that needs no walk: writes the descriptor (and the wide key of IPv6) and returns true, or writes
    /// nothing. The tick stays.
    #[inline(never)]
    pub fn any(&self, frame: &[u8], meta: &FrameMeta, out: &mut Descriptor, wide: &mut WideKey) -> bool {
        if meta.link != LinkType::ETHERNET || meta.gso_size != 0 {
            return false;
        }
        let mut vlan = meta.stripped_vlan.map_or(0, |(_, tci)| vlan_key(tci));
        let mut at = ETHERNET;
        let mut number = match frame.first_chunk::<ETHERNET>() {
            Some(header) => be16(header, 12),
            None => return false,
        };
        for _ in 0..2 {
            if number != ethertype::VLAN && number != ethertype::SERVICE_VLAN {
                break;
            }
            let Some(tag) = frame[at..].first_chunk::<TAG>() else { return false };
            vlan = if vlan == 0 { vlan_key(be16(tag, 0)) } else { vlan | encap::TAGS };
            number = be16(tag, 2);
            at += TAG;
        }
        if self.vlan_in_key && vlan != 0 {
            return false;
        }
        let packet = match number {
            ethertype::IPV4 => self.v4(frame, meta, at),
            ethertype::IPV6 => self.v6(frame, meta, at, wide),
            _ => None,
        };
        let Some(packet) = packet else { return false };
        self.write(&packet, meta, vlan, out);
        true
    }

    /// Reads the IPv4 packet at `at`, if it is a usual one.
    #[inline(always)]
    fn v4(&self, frame: &[u8], meta: &FrameMeta, at: usize) -> Option<Packet> {
        let bytes = &frame[at..];
        let header = bytes.first_chunk::<{ ipv4::HEADER }>()?;
        let fragment = be16(header, 6) & (ipv4::MORE | ipv4::OFFSET);
        if header[0] != 0x45 || fragment != 0 {
            return None;
        }
        let len = usize::from(be16(header, 2));
        if len < ipv4::HEADER || at + len > frame.len().max(meta.wire_len as usize) {
            return None;
        }
        let (transport, header_len, payload_len) =
            self.transport(header[9], &bytes[ipv4::HEADER..], len - ipv4::HEADER)?;
        let (mut key, from_high) = narrow([be32(header, 12), be32(header, 16)], transport.ports);
        key.proto = header[9];
        key.kind = kind::LIVE;
        let payload_at = at + ipv4::HEADER + header_len;
        Some(Packet { key, from_high, transport, payload_at, payload_len })
    }

    /// Reads the IPv6 packet at `at`, if it is a usual one; then writes the wide key.
    #[inline(always)]
    fn v6(&self, frame: &[u8], meta: &FrameMeta, at: usize, wide: &mut WideKey) -> Option<Packet> {
        let bytes = &frame[at..];
        let header = bytes.first_chunk::<{ ipv6::HEADER }>()?;
        let len = usize::from(be16(header, 4));
        let fits = at + ipv6::HEADER + len <= frame.len().max(meta.wire_len as usize);
        if header[0] >> 4 != 6 || len == 0 || !fits {
            return None;
        }
        let ends = ipv6::ends(header);
        if is_link_local(&ends[0]) || is_link_local(&ends[1]) {
            return None;
        }
        let (transport, header_len, payload_len) = self.transport(header[6], &bytes[ipv6::HEADER..], len)?;
        let (ends, ports, from_high) = wide_ends(ends, transport.ports);
        *wide = WideKey { ends, extension: Extension::default() };
        let key = FlowKey {
            ends: self.seed.digest(wide),
            ports,
            proto: header[6],
            kind: kind::LIVE | kind::V6,
            zero: 0,
        };
        let payload_at = at + ipv6::HEADER + header_len;
        Some(Packet { key, from_high, transport, payload_at, payload_len })
    }

    /// Reads a whole TCP, UDP or ICMP header; `len` is what IP says of its payload's length. Returns the
    /// header's length and that of its payload, too.
    #[inline(always)]
    fn transport(&self, number: u8, bytes: &[u8], len: usize) -> Option<(Transport, usize, usize)> {
        match number {
            proto::TCP => {
                let header = bytes.first_chunk::<{ tcp::HEADER }>()?;
                let header_len = usize::from(header[12] >> 4) * 4;
                if header_len < tcp::HEADER || header_len > len {
                    return None;
                }
                Some((tcp::fields(header, bytes), header_len, len - header_len))
            }
            proto::ICMP | proto::ICMPV6 => {
                let header = bytes.first_chunk::<{ icmp::HEADER }>()?;
                let payload_len = len.checked_sub(icmp::HEADER)?;
                Some((icmp::fields(header, number), icmp::HEADER, payload_len))
            }
            proto::UDP if !self.inner => {
                let header = bytes.first_chunk::<{ udp::HEADER }>()?;
                let ports = [be16(header, 0), be16(header, 2)];
                let payload_len = len.checked_sub(udp::HEADER)?;
                Some((Transport { ports, ..Transport::default() }, udp::HEADER, payload_len))
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn write(&self, packet: &Packet, meta: &FrameMeta, vlan: u16, out: &mut Descriptor) {
        let tag = if meta.stripped_vlan.is_some() { TAG as u32 } else { 0 };
        let transport = &packet.transport;
        out.write(&Plain {
            wall: meta.wall,
            key: packet.key,
            hash: self.seed.hash(&packet.key),
            wire_len: meta.wire_len.saturating_add(tag),
            tick: out.tick,
            payload_len: packet.payload_len as u32,
            numbers: u64::from(transport.seq_number) << 32 | u64::from(transport.ack_number),
            window: transport.window,
            iface: meta.iface,
            vlan,
            payload_at: packet.payload_at as u16,
            tcp_flags: transport.tcp_flags,
            window_scale: transport.window_scale,
            flags: packet.from_high | if meta.outgoing { flag::OUTGOING } else { 0 },
        });
    }
}

/// Returns the key of an IPv4 packet without options in a frame without tags, and
/// [`flag::FROM_HIGH`] or 0. The same as [`narrow`], from two loads.
#[inline(always)]
fn plain_key(head: &[u8; ETHERNET + ipv4::HEADER + tcp::HEADER], number: u8) -> (FlowKey, u8) {
    let there = be64(head, ETHERNET + 12);
    let back = there.rotate_left(32);
    let there_ports = be32(head, ETHERNET + ipv4::HEADER);
    let back_ports = there_ports.rotate_left(16);
    let mut from_high = there > back;
    if there == back {
        from_high = there_ports > back_ports;
    }
    // The low end's port stands in the lower half.
    let ports = if from_high { there_ports } else { back_ports };
    let word = u64::from(ports) | (u64::from(number) | u64::from(kind::LIVE) << 8) << 32;
    (FlowKey::of_words(there.min(back), word), u8::from(from_high) * flag::FROM_HIGH)
}
