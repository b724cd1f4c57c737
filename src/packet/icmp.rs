//! ICMP (RFC 792) and ICMPv6 (RFC 4443): type, code, identifier and sequence number of echoes.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    descriptor::flag,
    key::proto,
    transport::{self, Transport},
    walk::{Walk, be16},
};

/// Type, code, checksum, and four bytes that depend on the type.
pub(crate) const HEADER: usize = 8;

/// Reads a header. `type << 8 | code` goes where TCP has its acknowledgement number, an echo's
/// identifier where it has its sequence number, and an echo's sequence number where it has its window.
pub(crate) fn read(walk: &mut Walk, number: u8) -> Transport {
    let Ok(&[kind, code]) = walk.peek::<2>() else { return transport::cut() };
    match walk.take::<HEADER>() {
        Ok(header) => fields(header, number),
        Err(_) => Transport {
            ack_number: u32::from(kind) << 8 | u32::from(code),
            flags: flag::NO_TRANSPORT,
            ..Transport::default()
        },
    }
}

/// Returns what a whole header says, see [`read`].
#[inline]
pub(crate) fn fields(header: &[u8; HEADER], number: u8) -> Transport {
    let [kind, code, ..] = *header;
    let echo = if is_echo(number, kind) { (be16(header, 4), be16(header, 6)) } else { (0, 0) };
    Transport {
        ack_number: u32::from(kind) << 8 | u32::from(code),
        seq_number: u32::from(echo.0),
        window: echo.1,
        ..Transport::default()
    }
}

const fn is_echo(number: u8, kind: u8) -> bool {
    match number {
        proto::ICMP => matches!(kind, 0 | 8),
        _ => matches!(kind, 128 | 129),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: &[u8], number: u8) -> Transport {
        read(&mut Walk::new(bytes, 64, 0), number)
    }

    #[test]
    fn type_code_and_identifier_are_told() {
        // Echo request, code 0, checksum, identifier, sequence number.
        let mut bytes = [8, 0, 0xff, 0xff, 0x12, 0x34, 0, 1];
        let echo = run(&bytes, proto::ICMP);
        assert_eq!((echo.ack_number, echo.seq_number, echo.ports), (8 << 8, 0x1234, [0, 0]));
        assert_eq!(echo.window, 1);
        // Unreachable, port: no identifier.
        bytes[..2].copy_from_slice(&[3, 3]);
        let unreachable = run(&bytes, proto::ICMP);
        assert_eq!((unreachable.ack_number, unreachable.seq_number, unreachable.window), (3 << 8 | 3, 0, 0));
        // 8 is no echo in ICMPv6, 129 is.
        bytes[..2].copy_from_slice(&[8, 0]);
        assert_eq!(run(&bytes, proto::ICMPV6).seq_number, 0);
        bytes[0] = 129;
        assert_eq!(run(&bytes, proto::ICMPV6).seq_number, 0x1234);
    }

    #[test]
    fn cut_header_is_flagged() {
        let cut = run(&[8, 0, 0, 0], proto::ICMP);
        assert_eq!((cut.ack_number, cut.seq_number, cut.flags), (8 << 8, 0, flag::NO_TRANSPORT));
        assert_eq!(run(&[8], proto::ICMP), transport::cut());
    }
}
