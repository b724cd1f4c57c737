//! The walk over a frame's headers: where it stands, what comes next, why it stops.
//!
//! Each link protocol is a function from a [`Walk`] to the [`Next`] header. [`network`] calls them
//! in turn until an IP or ARP header stands at [`Walk::at`]; a budget bounds how many it reads.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::counters::DropReason,
    packet::{ethernet, mpls, parse::Verdict, ppp},
};

/// Link headers read before IP or ARP must come: far more than any network stacks.
const MAX_LINK_HEADERS: u8 = 32;

/// How far a frame has been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<'a> {
    /// What was captured, without what lies behind the end of the innermost IP packet.
    pub bytes: &'a [u8],
    /// Offset of the next header; may lie behind the captured bytes.
    pub at: usize,
    /// Offset at which the innermost IP packet, or else the frame, ends on the wire.
    pub end: usize,
    /// Outermost VLAN id plus 1, 0 without a tag so far; and bits of [`encap`](crate::packet::descriptor::encap).
    pub vlan: u16,
    budget: u8,
}

/// What stands at [`Walk::at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An Ethernet header.
    Mac,
    /// What the EtherType says.
    EtherType(u16),
    /// An LLC header (IEEE 802.2).
    Llc,
    /// The top of an MPLS label stack.
    Mpls,
    /// A PPP protocol field, perhaps behind address and control.
    Ppp,
    /// IP; the version nibble says which.
    Ip,
    /// An IPv4 header.
    Ipv4,
    /// An IPv6 header.
    Ipv6,
    /// An ARP or RARP packet.
    Arp,
}

/// Why the walk ended before it came to addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The bytes ended.
    Cut,
    /// A header contradicts itself.
    Malformed,
    /// Something else than IP or ARP.
    NotFlow,
    /// The link type is not known.
    UnknownLink,
    /// The budget of link headers was used up.
    TooDeep,
}

impl Stop {
    /// Returns what becomes of the frame; `snapped`: fewer bytes were captured than sent.
    #[cold]
    pub fn verdict(self, snapped: bool) -> Verdict {
        Verdict::Drop(match self {
            Self::Cut if snapped => DropReason::Snapped,
            Self::Cut | Self::Malformed => DropReason::Malformed,
            Self::UnknownLink => DropReason::UnknownLink,
            Self::TooDeep => DropReason::TooDeep,
            Self::NotFlow => return Verdict::NotFlow,
        })
    }
}

impl<'a> Walk<'a> {
    /// Starts at the first byte of a frame of `wire_len` bytes; `vlan` is the id plus 1 of a tag
    /// that is no longer in the bytes, else 0.
    #[inline]
    pub fn new(bytes: &'a [u8], wire_len: u32, vlan: u16) -> Self {
        Self { bytes, at: 0, end: bytes.len().max(wire_len as usize), vlan, budget: MAX_LINK_HEADERS }
    }

    /// Returns the captured bytes from here on.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Returns the next `N` bytes and stays.
    #[inline]
    pub fn peek<const N: usize>(&self) -> Result<&'a [u8; N], Stop> {
        self.rest().first_chunk().ok_or(Stop::Cut)
    }

    /// Returns the next `N` bytes and goes behind them.
    #[inline]
    pub fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Stop> {
        let bytes = self.peek()?;
        self.at += N;
        Ok(bytes)
    }

    /// Ends the walk's view `len` bytes from here, or where it ended before.
    #[inline]
    pub fn limit(&mut self, len: usize) {
        self.end = self.end.min(self.at.saturating_add(len));
        self.bytes = &self.bytes[..self.bytes.len().min(self.end)];
    }

    /// Returns the bytes on the wire between here and the end.
    #[inline]
    pub fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }
}

/// Goes on to the first IP or ARP header; returns [`Next::Ipv4`], [`Next::Ipv6`] or [`Next::Arp`].
///
/// # Errors
/// Why there is none.
#[inline]
pub(crate) fn network(walk: &mut Walk, mut next: Next) -> Result<Next, Stop> {
    loop {
        next = match next {
            Next::Ipv4 | Next::Ipv6 | Next::Arp => return Ok(next),
            Next::Mac => ethernet::mac(walk)?,
            Next::EtherType(number) => ethernet::ethertype(walk, number)?,
            Next::Llc => ethernet::llc(walk)?,
            Next::Mpls => mpls::stack(walk)?,
            Next::Ppp => ppp::protocol(walk)?,
            Next::Ip => by_version(walk)?,
        };
        walk.budget = walk.budget.checked_sub(1).ok_or(Stop::TooDeep)?;
    }
}

fn by_version(walk: &Walk) -> Result<Next, Stop> {
    match walk.peek::<1>()?[0] >> 4 {
        4 => Ok(Next::Ipv4),
        6 => Ok(Next::Ipv6),
        _ => Err(Stop::Malformed),
    }
}

/// Returns the big-endian number at `at`; the array's length makes the bounds check go away.
#[inline]
pub(crate) const fn be16<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// As [`be16`], for four bytes.
#[inline]
pub(crate) const fn be32<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// As [`be16`], for eight bytes.
#[inline]
pub(crate) const fn be64<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    u64::from_be_bytes([
        bytes[at],
        bytes[at + 1],
        bytes[at + 2],
        bytes[at + 3],
        bytes[at + 4],
        bytes[at + 5],
        bytes[at + 6],
        bytes[at + 7],
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_never_widens() {
        let mut walk = Walk::new(&[0; 60], 60, 0);
        walk.at = 14;
        walk.limit(28);
        assert_eq!((walk.end, walk.bytes.len(), walk.left()), (42, 42, 28));
        walk.limit(usize::MAX);
        assert_eq!((walk.end, walk.bytes.len()), (42, 42));
        walk.at = 50;
        assert_eq!((walk.left(), walk.rest().len()), (0, 0));
        assert_eq!(walk.peek::<1>(), Err(Stop::Cut));
    }

    #[test]
    fn what_stops_the_walk_has_a_name() {
        for (stop, snapped, verdict) in [
            (Stop::Cut, true, Verdict::Drop(DropReason::Snapped)),
            (Stop::Cut, false, Verdict::Drop(DropReason::Malformed)),
            (Stop::Malformed, true, Verdict::Drop(DropReason::Malformed)),
            (Stop::TooDeep, false, Verdict::Drop(DropReason::TooDeep)),
            (Stop::UnknownLink, false, Verdict::Drop(DropReason::UnknownLink)),
            (Stop::NotFlow, true, Verdict::NotFlow),
        ] {
            assert_eq!(stop.verdict(snapped), verdict, "{stop:?}");
        }
    }
}
