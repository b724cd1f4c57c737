//! The straight line: what nearly every frame is, read without a walk.
//!
//! Ethernet with at most two VLAN tags, a whole IPv4 packet without options or an IPv6 packet
//! without extension headers, TCP or UDP. Anything else is left to the walk of
//! [`crate::packet::parse`], which gives the same answer for these too (a property test holds it).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    descriptor::{Descriptor, flag},
    ethernet::{ethertype, vlan_key},
    hash::Seed,
    ipv4, ipv6,
    key::{Extension, FlowKey, WideKey, kind, proto},
    link::LinkType,
    order::{is_link_local, narrow, wide_ends},
    parse::{FrameMeta, Layer, ParseConfig},
    tcp,
    transport::Transport,
    udp,
    walk::{be16, be32},
};

/// Bytes of one VLAN tag.
const TAG: usize = 4;
const ETHERNET: usize = 14;

/// Reads frames of the usual kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Straight {
    /// UDP may be a tunnel whose inside is wanted.
    inner: bool,
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
        Self { inner: config.layer == Layer::Inner, vlan_in_key: config.vlan_in_key, seed }
    }

    /// Writes the descriptor (and the wide key of IPv6) and returns true, or writes nothing.
    #[inline(always)]
    pub fn read(&self, frame: &[u8], meta: &FrameMeta, out: &mut Descriptor, wide: &mut WideKey) -> bool {
        if meta.link != LinkType::ETHERNET || meta.gso_size != 0 {
            return false;
        }
        let Some(head) = frame.first_chunk::<{ ETHERNET + TAG }>() else { return false };
        let number = be16(head, 12);
        if number == ethertype::IPV4 && meta.stripped_vlan.is_none() {
            let Some(packet) = self.v4(frame, meta, ETHERNET) else { return false };
            self.write(&packet, meta, 0, out);
            return true;
        }
        self.tagged_or_v6(frame, meta, out, wide)
    }

    #[inline(never)]
    fn tagged_or_v6(&self, frame: &[u8], meta: &FrameMeta, out: &mut Descriptor, wide: &mut WideKey) -> bool {
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
            if vlan == 0 {
                vlan = vlan_key(be16(tag, 0));
            }
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

    /// Reads a whole TCP or UDP header; `len` is what IP says of its payload's length. Returns the
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
            proto::UDP if !self.inner => {
                let header = bytes.first_chunk::<{ udp::HEADER }>()?;
                let ports = [be16(header, 0), be16(header, 2)];
                Some((
                    Transport { ports, ..Transport::default() },
                    udp::HEADER,
                    len.checked_sub(udp::HEADER)?,
                ))
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn write(&self, packet: &Packet, meta: &FrameMeta, vlan: u16, out: &mut Descriptor) {
        let tag = if meta.stripped_vlan.is_some() { TAG as u32 } else { 0 };
        let transport = &packet.transport;
        *out = Descriptor {
            wall: meta.wall,
            key: packet.key,
            hash: self.seed.hash(&packet.key),
            wire_len: meta.wire_len.saturating_add(tag),
            tick: out.tick,
            payload_len: packet.payload_len as u32,
            seq_number: transport.seq_number,
            ack_number: transport.ack_number,
            window: transport.window,
            segments: 1,
            iface: meta.iface,
            vlan,
            tcp_flags: transport.tcp_flags,
            window_scale: transport.window_scale,
            flags: packet.from_high | if meta.outgoing { flag::OUTGOING } else { 0 },
            payload_lines: 0,
            payload_at: packet.payload_at as u16,
            zero: 0,
        };
    }
}
