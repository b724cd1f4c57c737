//! What both versions of IP tell: two ends, a protocol, perhaps a fragment.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    key::proto,
    walk::{Stop, Walk},
};

/// Sender and receiver, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// IPv4 (and ARP), in host order.
    V4([u32; 2]),
    /// IPv6.
    V6([[u8; 16]; 2]),
}

/// An IP header that was read; the walk stands behind it and ends where the packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ip {
    /// The addresses in the header; of a source route, the next hop.
    pub ends: Ends,
    /// The protocol behind all extension headers that were read.
    pub proto: u8,
    /// Set unless the packet is a whole datagram.
    pub fragment: Option<Fragment>,
    /// Others stand between this header and the protocol's: extension headers (IPv6), AH.
    pub has_more_headers: bool,
    /// The length field is 0: a super-frame too long for it.
    pub oversize: bool,
}

/// A piece of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The datagram's identification; 16 bits with IPv4.
    pub id: u32,
    /// The protocol by which fragments of one datagram are told from others; 0 with IPv6.
    pub proto: u8,
    /// Not the first: no transport header.
    pub later: bool,
}

/// Goes behind authentication headers (RFC 4302); returns the protocol that follows.
#[inline]
pub(crate) fn skip_authentication(walk: &mut Walk, mut number: u8) -> u8 {
    const MAX: usize = 4;
    for _ in 0..MAX {
        if number != proto::AH {
            break;
        }
        let Ok(next) = authentication(walk) else { break };
        number = next;
    }
    number
}

/// Reads one authentication header: next, length in words of 4 bytes minus 2.
pub(crate) fn authentication(walk: &mut Walk) -> Result<u8, Stop> {
    let [next, len] = *walk.peek::<2>()?;
    walk.at += (usize::from(len) + 2) * 4;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authentication_headers_are_looked_through() {
        // Next: ICMP, 4 + 2 words, reserved, SPI, sequence number, check value.
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&[1, 4]);
        let mut walk = Walk::new(&bytes, 32, 0);
        assert_eq!((skip_authentication(&mut walk, proto::AH), walk.at), (proto::ICMP, 24));
        assert_eq!((skip_authentication(&mut walk, proto::ICMP), walk.at), (proto::ICMP, 24));
    }

    #[test]
    fn authentication_headers_without_end_are_left_as_they_are() {
        let bytes = [proto::AH, 0, 0, 0, 0, 0, 0, 0].repeat(8);
        let mut walk = Walk::new(&bytes, 64, 0);
        assert_eq!((skip_authentication(&mut walk, proto::AH), walk.at), (proto::AH, 32));
        assert_eq!(skip_authentication(&mut Walk::new(&[6], 60, 0), proto::AH), proto::AH);
    }
}
