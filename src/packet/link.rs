//! Link types, by the numbers of pcap files (<https://www.tcpdump.org/linktypes.html>).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

/// A link type (`LINKTYPE_*`) as in the header of a capture file.
///
/// Sources that number them otherwise (`DLT_*`, `ARPHRD_*`) translate before they hand out frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: 4 bytes of address family in the host order of the capturing machine.
    pub const NULL: Self = Self(0);
    /// Ethernet II, 802.3.
    pub const ETHERNET: Self = Self(1);
    /// IPv4 or IPv6, told apart by the version nibble.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: 4 bytes of address family in network order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture.
    pub const LINUX_SLL: Self = Self(113);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
    /// IPv4 without a link header.
    pub const IPV4: Self = Self(228);
    /// IPv6 without a link header.
    pub const IPV6: Self = Self(229);
}
