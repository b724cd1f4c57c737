//! TCP headers (RFC 9293 section 3.1).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    descriptor::{flag, tcp_flag},
    transport::{self, Transport},
    walk::{Walk, be16, be32},
};

/// The header without options.
pub(crate) const HEADER: usize = 20;

/// Reads a header.
///
/// A data offset that points into the header, or behind a packet that is no fragment, makes the
/// segment one that no end would accept: its numbers are not used.
#[inline]
pub(crate) fn read(walk: &mut Walk, fragmented: bool) -> Transport {
    let Ok(header) = walk.peek::<HEADER>() else { return transport::with_ports(walk, HEADER) };
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < HEADER || (header_len > walk.left() && !fragmented) {
        return Transport { flags: flag::NO_TRANSPORT, ..transport::with_ports(walk, HEADER) };
    }
    let transport = fields(header, walk.rest());
    walk.at += header_len;
    transport
}

/// Returns the fields of a header; `segment` begins with it and may hold its options.
#[inline(always)]
pub(crate) fn fields(header: &[u8; HEADER], segment: &[u8]) -> Transport {
    let tcp_flags = header[13];
    let window_scale = if tcp_flags & tcp_flag::SYN != 0 { window_scale(segment) } else { 0 };
    Transport {
        ports: [be16(header, 0), be16(header, 2)],
        seq_number: be32(header, 4),
        ack_number: be32(header, 8),
        window: be16(header, 14),
        tcp_flags,
        window_scale,
        flags: 0,
    }
}

/// Returns the shift of the window scale option plus 1, at most 15 (RFC 7323 section 2.3), else 0.
#[cold]
pub(crate) fn window_scale(segment: &[u8]) -> u8 {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const WINDOW_SCALE: u8 = 3;
    const MAX_SHIFT: u8 = 14;
    let header_len = usize::from(segment[12] >> 4) * 4;
    let mut options = segment.get(HEADER..header_len.min(segment.len())).unwrap_or_default();
    loop {
        match *options {
            [NO_OPERATION, ref rest @ ..] => options = rest,
            [END, ..] => return 0,
            [WINDOW_SCALE, 3, shift, ..] => return shift.min(MAX_SHIFT) + 1,
            [_, len, ..] if len >= 2 => options = options.get(usize::from(len)..).unwrap_or_default(),
            _ => return 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: [u8; 28] = [
        0xc3, 0x50, 0x01, 0xbb, // ports 50000, 443
        0x01, 0x02, 0x03, 0x04, // sequence number
        0x05, 0x06, 0x07, 0x08, // acknowledgement number
        0x70, 0x02, 0xfa, 0xf0, // header length 28, SYN, window
        0x00, 0x00, 0x00, 0x00, // checksum, urgent pointer
        0x02, 0x04, 0x05, 0xb4, // maximum segment size 1460
        0x01, 0x03, 0x03, 0x07, // no operation, window scale 7
    ];

    fn run(bytes: &[u8], wire_len: usize, fragmented: bool) -> (Transport, usize) {
        let mut walk = Walk::new(bytes, wire_len as u32, 0);
        (read(&mut walk, fragmented), walk.at)
    }

    #[test]
    fn fields_are_where_the_rfc_says() {
        let (tcp, at) = run(&SYN, 28, false);
        assert_eq!(tcp.ports, [50000, 443]);
        assert_eq!((tcp.seq_number, tcp.ack_number), (0x0102_0304, 0x0506_0708));
        assert_eq!((tcp.tcp_flags, tcp.window, tcp.window_scale, tcp.flags), (2, 64240, 8, 0));
        assert_eq!(at, 28);
    }

    #[test]
    fn window_scale_belongs_to_syns_and_is_bounded() {
        let mut bytes = SYN;
        bytes[27] = 200;
        assert_eq!(run(&bytes, 28, false).0.window_scale, 15);
        bytes[13] = tcp_flag::ACK;
        assert_eq!(run(&bytes, 28, false).0.window_scale, 0);
        // An option of length 0 ends the search, the end of options too.
        for option in [[8, 0], [0, 3]] {
            let mut bytes = SYN;
            bytes[20..22].copy_from_slice(&option);
            assert_eq!(run(&bytes, 28, false).0.window_scale, 0);
        }
    }

    #[test]
    fn cut_header_keeps_ports_and_nothing_else() {
        for len in 4..20 {
            let (tcp, _) = run(&SYN[..len], 28, false);
            let want = Transport { ports: [50000, 443], flags: flag::NO_TRANSPORT, ..Transport::default() };
            assert_eq!(tcp, want, "{len}");
        }
        assert_eq!(run(&SYN[..3], 28, false).0, transport::cut());
        // Only the options were not captured.
        assert_eq!(run(&SYN[..20], 28, false).0.tcp_flags, tcp_flag::SYN);
    }

    #[test]
    fn impossible_data_offset_is_not_believed() {
        let mut bytes = SYN;
        bytes[12] = 0x40;
        assert_eq!(run(&bytes, 28, false).0.flags, flag::NO_TRANSPORT);
        bytes[12] = 0xf0;
        assert_eq!(run(&bytes, 28, false).0.flags, flag::NO_TRANSPORT);
        // The rest of the options may come with the next fragment.
        assert_eq!(run(&bytes, 28, true).0.tcp_flags, tcp_flag::SYN);
    }
}
