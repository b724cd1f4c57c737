//! Link types, by the numbers of pcap files (<https://www.tcpdump.org/linktypes.html>).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    envelope,
    ethernet::ethertype,
    ieee80211, ppp, sll,
    walk::{Next, Stop, Walk},
};

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
    /// PPP, with or without address and control.
    pub const PPP: Self = Self(9);
    /// Raw IP as FreeBSD and macOS number it.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IP as OpenBSD numbers it.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPP in HDLC framing, or Cisco HDLC.
    pub const PPP_SERIAL: Self = Self(50);
    /// PPP behind a PPPoE session header.
    pub const PPP_ETHER: Self = Self(51);
    /// Cisco HDLC.
    pub const CISCO_HDLC: Self = Self(104);
    /// IEEE 802.11 without radio header.
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD firewall log.
    pub const PFLOG: Self = Self(117);
    /// IEEE 802.11 behind a radiotap header.
    pub const RADIOTAP: Self = Self(127);
    /// PPP behind one byte of direction.
    pub const PPP_WITH_DIRECTION: Self = Self(204);
    /// Linux netfilter log.
    pub const NFLOG: Self = Self(239);
    /// Linux netlink messages: never IP.
    pub const NETLINK: Self = Self(253);
    /// Darwin packet tap.
    pub const PKTAP: Self = Self(258);
}

/// Reads the header that is the link's own; says what stands behind it.
#[inline]
pub(crate) fn first(walk: &mut Walk, link: LinkType) -> Result<Next, Stop> {
    match link {
        LinkType::ETHERNET => Ok(Next::Mac),
        LinkType::LINUX_SLL => sll::v1(walk),
        LinkType::LINUX_SLL2 => sll::v2(walk),
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => Ok(Next::Ip),
        LinkType::IPV4 => Ok(Next::Ipv4),
        LinkType::IPV6 => Ok(Next::Ipv6),
        other => rare(walk, other),
    }
}

#[cold]
fn rare(walk: &mut Walk, link: LinkType) -> Result<Next, Stop> {
    match link {
        LinkType::NULL | LinkType::LOOP => envelope::loopback(walk),
        LinkType::PPP => Ok(Next::Ppp),
        LinkType::PPP_SERIAL => ppp::serial(walk),
        LinkType::PPP_ETHER => Ok(Next::EtherType(ethertype::PPPOE_SESSION)),
        LinkType::PPP_WITH_DIRECTION => walk.take::<1>().map(|_| Next::Ppp),
        LinkType::CISCO_HDLC => ppp::cisco(walk),
        LinkType::IEEE802_11 => ieee80211::plain(walk),
        LinkType::RADIOTAP => ieee80211::radiotap(walk),
        LinkType::PFLOG => envelope::pflog(walk),
        LinkType::NFLOG => envelope::nflog(walk),
        LinkType::PKTAP => envelope::pktap(walk),
        LinkType::NETLINK => Err(Stop::NotFlow),
        _ => Err(Stop::UnknownLink),
    }
}
