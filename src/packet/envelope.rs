//! Links that exist in captures only: the capturing system's own header before the packet.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    link::{self, LinkType},
    walk::{Next, Stop, Walk, be32},
};

/// Tells the network protocol of an address family, as Linux and the BSDs number them.
fn family(number: u32) -> Result<Next, Stop> {
    match number {
        2 => Ok(Next::Ipv4),
        // Linux; NetBSD and OpenBSD; FreeBSD; Darwin.
        10 | 24 | 28 | 30 => Ok(Next::Ipv6),
        _ => Err(Stop::NotFlow),
    }
}

/// Reads the family of a BSD loopback, in the byte order of whoever captured it.
pub(crate) fn loopback(walk: &mut Walk) -> Result<Next, Stop> {
    let number = be32(walk.take::<4>()?, 0);
    family(if number > 0xffff { number.swap_bytes() } else { number })
}

/// Reads an OpenBSD firewall log header: its length without padding, the family, more.
pub(crate) fn pflog(walk: &mut Walk) -> Result<Next, Stop> {
    let [len, number] = *walk.peek::<2>()?;
    walk.at += usize::from(len).next_multiple_of(4);
    family(u32::from(number))
}

/// Reads a Linux netfilter log: family, version, group, then attributes up to the packet.
///
/// An attribute is length (its four bytes included), type, data, padding to 4 bytes, in the byte
/// order of whoever captured it. Types are small, so the zero byte of the type tells which.
pub(crate) fn nflog(walk: &mut Walk) -> Result<Next, Stop> {
    const PAYLOAD: u16 = 9;
    let [number, version, ..] = *walk.take::<4>()?;
    if version != 0 {
        return Err(Stop::Malformed);
    }
    loop {
        let [len @ .., a, b] = *walk.peek::<4>()?;
        let (len, kind) = if b == 0 {
            (u16::from_le_bytes(len), u16::from(a))
        } else {
            (u16::from_be_bytes(len), u16::from(b))
        };
        if len < 4 {
            return Err(Stop::Malformed);
        }
        if kind == PAYLOAD {
            walk.at += 4;
            return family(u32::from(number));
        }
        walk.at += usize::from(len).next_multiple_of(4);
    }
}

/// Reads a Darwin packet tap header: length, record type, link type of the packet, more.
///
/// # Errors
/// Among others, if the packet inside claims to be a packet tap again.
pub(crate) fn pktap(walk: &mut Walk) -> Result<Next, Stop> {
    const PACKET: u32 = 1;
    let header = walk.peek::<12>()?;
    let word = |at| be32(header, at).swap_bytes();
    let (len, kind, inner) = (word(0), word(4), word(8));
    if kind != PACKET {
        return Err(Stop::NotFlow);
    }
    if len < 12 {
        return Err(Stop::Malformed);
    }
    walk.at += len as usize;
    match u16::try_from(inner) {
        Ok(inner) if LinkType(inner) != LinkType::PKTAP => link::first(walk, LinkType(inner)),
        _ => Err(Stop::UnknownLink),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(read: fn(&mut Walk) -> Result<Next, Stop>, bytes: &[u8]) -> (Result<Next, Stop>, usize) {
        let mut walk = Walk::new(bytes, 200, 0);
        (read(&mut walk), walk.at)
    }

    #[test]
    fn loopback_family_is_read_in_both_orders() {
        assert_eq!(run(loopback, &[2, 0, 0, 0]), (Ok(Next::Ipv4), 4));
        assert_eq!(run(loopback, &[0, 0, 0, 2]), (Ok(Next::Ipv4), 4));
        for v6 in [10, 24, 28, 30] {
            assert_eq!(run(loopback, &[v6, 0, 0, 0]).0, Ok(Next::Ipv6));
            assert_eq!(run(loopback, &[0, 0, 0, v6]).0, Ok(Next::Ipv6));
        }
        assert_eq!(run(loopback, &[7, 0, 0, 0]).0, Err(Stop::NotFlow));
    }

    #[test]
    fn firewall_log_header_is_padded() {
        let mut bytes = [0; 64];
        bytes[..2].copy_from_slice(&[61, 2]);
        assert_eq!(run(pflog, &bytes), (Ok(Next::Ipv4), 64));
    }

    #[test]
    fn netfilter_log_attributes_are_skipped_up_to_the_packet() {
        // IPv4, version 0, group 5; mark (6 bytes and padding); packet.
        let little = [2, 0, 0, 5, 6, 0, 2, 0, 1, 2, 0, 0, 24, 0, 9, 0, 0x45];
        assert_eq!(run(nflog, &little), (Ok(Next::Ipv4), 16));
        let big = [10, 0, 0, 5, 0, 6, 0, 2, 1, 2, 0, 0, 0, 44, 0, 9, 0x60];
        assert_eq!(run(nflog, &big), (Ok(Next::Ipv6), 16));
        assert_eq!(run(nflog, &[2, 0, 0, 5, 0, 0, 0, 0]).0, Err(Stop::Malformed));
        assert_eq!(run(nflog, &little[..12]).0, Err(Stop::Cut));
    }

    #[test]
    fn packet_tap_names_the_link_inside() {
        let mut bytes = [0; 140];
        bytes[..12].copy_from_slice(&[108, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(run(pktap, &bytes), (Ok(Next::Mac), 108));
        bytes[8..10].copy_from_slice(&[2, 1]);
        assert_eq!(run(pktap, &bytes).0, Err(Stop::UnknownLink));
        bytes[..4].copy_from_slice(&[0xff; 4]);
        bytes[8..10].copy_from_slice(&[1, 0]);
        assert_eq!(run(pktap, &bytes), (Ok(Next::Mac), 0xffff_ffff));
    }
}
