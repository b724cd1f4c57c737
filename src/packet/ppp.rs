//! PPP (RFC 1661, RFC 1662) and Cisco HDLC.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::walk::{Next, Stop, Walk, be16};

/// Reads address and control if they are there, and a protocol field of one or two bytes
/// (RFC 1661 section 6.5: compressed, its last byte is the odd one).
pub(crate) fn protocol(walk: &mut Walk) -> Result<Next, Stop> {
    const ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];
    if walk.peek::<2>() == Ok(&ADDRESS_CONTROL) {
        walk.at += 2;
    }
    let first = u16::from(walk.take::<1>()?[0]);
    let number = if first & 1 == 1 { first } else { first << 8 | u16::from(walk.take::<1>()?[0]) };
    match number {
        0x0021 => Ok(Next::Ipv4),
        0x0057 => Ok(Next::Ipv6),
        0x0281 | 0x0283 => Ok(Next::Mpls),
        // Bridged frames (RFC 3518): flags, MAC type 1 (Ethernet), the frame.
        0x0031 if walk.take::<2>()?[1] == 1 => Ok(Next::Mac),
        _ => Err(Stop::NotFlow),
    }
}

/// Reads a frame of a synchronous line, PPP in HDLC framing or Cisco's: the address tells.
pub(crate) fn serial(walk: &mut Walk) -> Result<Next, Stop> {
    match walk.peek::<1>()?[0] {
        CISCO_UNICAST | CISCO_MULTICAST => cisco(walk),
        _ => Ok(Next::Ppp),
    }
}

const CISCO_UNICAST: u8 = 0x0f;
const CISCO_MULTICAST: u8 = 0x8f;

/// Reads a Cisco HDLC header: address, control, EtherType.
pub(crate) fn cisco(walk: &mut Walk) -> Result<Next, Stop> {
    /// Cisco's keep-alive has the number that RARP has on Ethernet.
    const SLARP: u16 = 0x8035;
    match be16(walk.take::<4>()?, 2) {
        SLARP => Err(Stop::NotFlow),
        number => Ok(Next::EtherType(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(read: fn(&mut Walk) -> Result<Next, Stop>, bytes: &[u8]) -> (Result<Next, Stop>, usize) {
        let mut walk = Walk::new(bytes, 64, 0);
        (read(&mut walk), walk.at)
    }

    #[test]
    fn protocol_field_may_be_compressed() {
        assert_eq!(run(protocol, &[0xff, 3, 0, 0x21]), (Ok(Next::Ipv4), 4));
        assert_eq!(run(protocol, &[0, 0x57]), (Ok(Next::Ipv6), 2));
        assert_eq!(run(protocol, &[0x21, 0x45]), (Ok(Next::Ipv4), 1));
        assert_eq!(run(protocol, &[0xff, 3, 0x21]), (Ok(Next::Ipv4), 3));
        assert_eq!(run(protocol, &[2, 0x81]), (Ok(Next::Mpls), 2));
        assert_eq!(run(protocol, &[0, 0x31, 0, 1]), (Ok(Next::Mac), 4));
        assert_eq!(run(protocol, &[0xc0, 0x21]).0, Err(Stop::NotFlow));
        assert_eq!(run(protocol, &[0]).0, Err(Stop::Cut));
    }

    #[test]
    fn serial_lines_speak_ppp_or_cisco_hdlc() {
        assert_eq!(run(serial, &[0xff, 3, 0, 0x21]), (Ok(Next::Ppp), 0));
        assert_eq!(run(serial, &[0x0f, 0, 0x08, 0]), (Ok(Next::EtherType(0x0800)), 4));
        assert_eq!(run(cisco, &[0x8f, 0, 0x80, 0x35]).0, Err(Stop::NotFlow));
        assert_eq!(run(cisco, &[0x8f, 0, 0x20]).0, Err(Stop::Cut));
    }
}
