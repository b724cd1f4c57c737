//! The key of a flow: two ends and a protocol, without direction.
//!
//! Canonical order: the end with the smaller address comes first ("low"); the same address, the
//! smaller port. Both directions of a connection thus have one key and one hash.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of [`FlowKey::kind`].
pub mod kind {
    /// The ends are IPv6 addresses; they stand in the wide key.
    pub const V6: u8 = 1;
    /// An ARP exchange: sender and target protocol address.
    pub const ARP: u8 = 2;
    /// The key holds more than ends and protocol (tunnel, VLAN, interface): see the wide key.
    pub const EXTENDED: u8 = 4;
    /// The bits of a key that need a wide key to be complete.
    pub const WIDE: u8 = V6 | EXTENDED;
    /// Set in every key, so that a record of zeros is no flow.
    pub const LIVE: u8 = 0x80;
}

/// What every flow's record holds of its key: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey {
    /// IPv4: low address in the upper half, high address in the lower half (host order).
    /// Wide keys: a seeded 64-bit digest of the [`WideKey`], which decides.
    pub ends: u64,
    /// Ports of the low and the high end; 0 without ports.
    pub ports: [u16; 2],
    /// IP protocol number; 0 for ARP.
    pub proto: u8,
    /// Bits of [`kind`].
    pub kind: u8,
    /// Always 0: keeps the record's second word comparable as one integer.
    pub zero: u16,
}

const _: () = assert!(size_of::<FlowKey>() == 16);

impl FlowKey {
    /// Returns ports, protocol and kind as one word: the second half of the key, in one load.
    #[inline]
    pub const fn word(&self) -> u64 {
        self.ports[0] as u64
            | (self.ports[1] as u64) << 16
            | (self.proto as u64) << 32
            | (self.kind as u64) << 40
            | (self.zero as u64) << 48
    }

    /// Returns the key of two IPv4 ends and of a word as [`FlowKey::word`] gives it.
    #[inline(always)]
    pub(crate) const fn of_words(ends: u64, word: u64) -> Self {
        Self {
            ends,
            ports: [word as u16, (word >> 16) as u16],
            proto: (word >> 32) as u8,
            kind: (word >> 40) as u8,
            zero: (word >> 48) as u16,
        }
    }

    /// Returns whether both keys are the same as far as they stand here.
    #[inline]
    pub const fn matches(&self, other: &Self) -> bool {
        self.ends == other.ends && self.word() == other.word()
    }

    /// Returns whether the key needs a [`WideKey`].
    #[inline]
    pub const fn is_wide(&self) -> bool {
        self.kind & kind::WIDE != 0
    }

    /// Returns the port of one end, `None` where the protocol has none or none was seen.
    #[inline]
    pub const fn port(&self, end: usize) -> Option<u16> {
        let has_ports = self.kind & kind::ARP == 0 && proto::has_ports(self.proto);
        let [low, high] = self.ports;
        if has_ports && (low != 0 || high != 0) { Some(self.ports[end]) } else { None }
    }

    /// Returns the addresses of the low and the high end.
    pub fn addresses(&self, wide: &WideKey) -> [IpAddr; 2] {
        if self.kind & kind::V6 != 0 {
            return wide.ends.map(|a| IpAddr::V6(Ipv6Addr::from(a)));
        }
        let ends = if self.is_wide() { wide.ends_v4() } else { self.ends };
        [(ends >> 32) as u32, ends as u32].map(|a| IpAddr::V4(Ipv4Addr::from(a)))
    }
}

/// The rest of the key of an IPv6 flow or an extended one: 64 bytes, the line after a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C, align(64))]
pub struct WideKey {
    /// The low and the high end; an IPv4 address of an extended key stands in the last 4 bytes.
    pub ends: [[u8; 16]; 2],
    /// What else tells flows apart; all zeros unless [`kind::EXTENDED`].
    pub extension: Extension,
}

const _: () = assert!(size_of::<WideKey>() == 64);

impl WideKey {
    /// Returns two IPv4 ends in the form of [`FlowKey::ends`].
    pub fn ends_v4(&self) -> u64 {
        let part = |a: &[u8; 16]| u64::from(u32::from_be_bytes([a[12], a[13], a[14], a[15]]));
        part(&self.ends[0]) << 32 | part(&self.ends[1])
    }
}

/// Key fields beyond ends and protocol: 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Extension {
    /// The outer ends of the tunnel in canonical order: two IPv4 addresses, or a 128-bit digest
    /// of two IPv6 addresses.
    pub outer: [u64; 2],
    /// VNI, GRE key, ERSPAN session; 0 for numbers that differ by direction (TEID, call id).
    pub tunnel_id: u32,
    /// Tunnel kind: 0 none, else 1 + the number of [`Tunnel`].
    pub tunnel: u8,
    /// How many tunnels lie around the flow.
    pub depth: u8,
    /// Outer VLAN id plus 1 when VLANs are part of the key (`--key vlan`), else 0.
    pub vlan: u16,
    /// Interface plus 1 where the addresses are link-local, else 0.
    pub iface: u16,
    /// Always 0.
    pub zero: [u8; 6],
}

const _: () = assert!(size_of::<Extension>() == 32);

/// What encloses an inner flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tunnel {
    /// IPv4 in IPv4 (RFC 2003).
    IpIp,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// IPv4 in IPv6 (RFC 2473).
    FourInSix,
    /// IPv6 in IPv6 (RFC 2473).
    SixInSix,
    /// GRE (RFC 2784, RFC 2890), ERSPAN included.
    Gre,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// GTP-U (3GPP TS 29.281).
    Gtp,
    /// Teredo (RFC 4380).
    Teredo,
    /// L2TP (RFC 2661) or PPTP's PPP.
    L2tp,
}

impl Tunnel {
    /// All, by number.
    pub const ALL: [Self; 10] = [
        Self::IpIp,
        Self::SixInFour,
        Self::FourInSix,
        Self::SixInSix,
        Self::Gre,
        Self::Vxlan,
        Self::Geneve,
        Self::Gtp,
        Self::Teredo,
        Self::L2tp,
    ];

    /// Returns its name in exports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IpIp => "ipip",
            Self::SixInFour => "6in4",
            Self::FourInSix => "4in6",
            Self::SixInSix => "6in6",
            Self::Gre => "gre",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::Gtp => "gtp",
            Self::Teredo => "teredo",
            Self::L2tp => "l2tp",
        }
    }
}

const _: () = {
    let mut n = 0;
    while n < Tunnel::ALL.len() {
        assert!(Tunnel::ALL[n] as usize == n);
        n += 1;
    }
};

/// Protocol numbers that the program names (IANA "Protocol Numbers").
pub mod proto {
    #![allow(missing_docs, reason = "the registry's own names")]
    pub const HOPOPT: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IPIP: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const NONE: u8 = 59;
    pub const DSTOPTS: u8 = 60;
    pub const MOBILITY: u8 = 135;
    pub const HIP: u8 = 139;
    pub const SHIM6: u8 = 140;
    pub const SCTP: u8 = 132;
    pub const UDPLITE: u8 = 136;

    /// Returns whether the protocol's header starts with two ports.
    #[inline]
    pub const fn has_ports(number: u8) -> bool {
        matches!(number, TCP | UDP | DCCP | SCTP | UDPLITE)
    }
}

/// Returns the name of a protocol in exports, `None` for one that has only its number.
pub fn export_name(key: &FlowKey) -> Option<&'static str> {
    if key.kind & kind::ARP != 0 {
        return Some("ARP");
    }
    Some(match key.proto {
        1 => "ICMP",
        2 => "IGMP",
        4 => "IPIP",
        6 => "TCP",
        8 => "EGP",
        9 => "IGRP",
        17 => "UDP",
        33 => "DCCP",
        41 => "IPV6",
        46 => "RSVP",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "ICMPV6",
        88 => "EIGRP",
        89 => "OSPF",
        97 => "ETHERIP",
        103 => "PIM",
        108 => "IPCOMP",
        112 => "VRRP",
        132 => "SCTP",
        136 => "UDPLITE",
        _ => return None,
    })
}
