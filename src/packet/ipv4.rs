//! IPv4 (RFC 791).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    ip::{Ends, Fragment, Ip, skip_authentication},
    walk::{Stop, Walk, be16, be32},
};

/// The header without options.
pub(crate) const HEADER: usize = 20;
/// Bits of the fragment field: more fragments, and the offset in units of 8 bytes.
pub(crate) const MORE: u16 = 0x2000;
pub(crate) const OFFSET: u16 = 0x1fff;

/// Reads a header with its options, and authentication headers behind it.
///
/// # Errors
/// If the addresses are not there, or version or header length are wrong. What else may be wrong
/// comes behind the addresses: then there is a flow, perhaps without ports.
#[inline]
pub(crate) fn read(walk: &mut Walk) -> Result<Ip, Stop> {
    let start = walk.at;
    let header = walk.peek::<HEADER>()?;
    let header_len = usize::from(header[0] & 0xf) * 4;
    if header[0] >> 4 != 4 || header_len < HEADER {
        return Err(Stop::Malformed);
    }
    let total_len = usize::from(be16(header, 2));
    if total_len != 0 {
        walk.limit(total_len);
    }
    walk.at = start + header_len;
    let field = be16(header, 6);
    let fragment = (field & (MORE | OFFSET) != 0).then(|| Fragment {
        id: u32::from(be16(header, 4)),
        proto: header[9],
        later: field & OFFSET != 0,
    });
    let later = fragment.is_some_and(|f| f.later);
    let proto = if later { header[9] } else { skip_authentication(walk, header[9]) };
    let ends = Ends::V4([be32(header, 12), be32(header, 16)]);
    Ok(Ip { ends, proto, fragment, has_more_headers: proto != header[9], oversize: total_len == 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_BYTES: [u8; 20] = [
        0x45, 0x00, 0x00, 0x1c, // version, header length, service, total length 28
        0x12, 0x34, 0x00, 0x00, // identification, fragment
        0x40, 0x11, 0x00, 0x00, // TTL, UDP, checksum
        192, 0, 2, 1, // source
        192, 0, 2, 2, // destination
    ];

    /// The header with some bytes changed, then zeros up to 60 bytes.
    fn packet(changes: &[(usize, u8)]) -> [u8; 60] {
        let mut bytes = [0; 60];
        bytes[..20].copy_from_slice(&HEADER_BYTES);
        for &(at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    }

    #[test]
    fn fields_are_where_the_rfc_says() {
        let bytes = packet(&[]);
        let mut walk = Walk::new(&bytes, 60, 0);
        let ip = read(&mut walk).unwrap();
        assert_eq!(ip.ends, Ends::V4([0xc000_0201, 0xc000_0202]));
        assert_eq!((ip.proto, ip.fragment, ip.oversize), (17, None, false));
        // 32 bytes of padding are no longer seen.
        assert_eq!((walk.at, walk.end, walk.bytes.len()), (20, 28, 28));
    }

    #[test]
    fn options_are_skipped() {
        let bytes = packet(&[(0, 0x48), (3, 60)]);
        let mut walk = Walk::new(&bytes, 60, 0);
        read(&mut walk).unwrap();
        assert_eq!((walk.at, walk.left()), (32, 28));
    }

    #[test]
    fn fragments_are_told_apart() {
        for (field, fragment) in [
            ([0x40, 0], None),
            ([0x20, 0], Some(Fragment { id: 0x1234, proto: 17, later: false })),
            ([0x20, 9], Some(Fragment { id: 0x1234, proto: 17, later: true })),
            ([0x00, 1], Some(Fragment { id: 0x1234, proto: 17, later: true })),
        ] {
            let bytes = packet(&[(6, field[0]), (7, field[1])]);
            assert_eq!(read(&mut Walk::new(&bytes, 60, 0)).unwrap().fragment, fragment, "{field:?}");
        }
    }

    #[test]
    fn length_zero_means_all_of_the_frame() {
        let bytes = packet(&[(3, 0)]);
        let mut walk = Walk::new(&bytes, 70_000, 0);
        assert!(read(&mut walk).unwrap().oversize);
        assert_eq!(walk.left(), 70_000 - 20);
    }

    #[test]
    fn lying_lengths_never_reach_behind_the_frame() {
        let bytes = packet(&[(2, 0xff)]);
        let mut walk = Walk::new(&bytes, 60, 0);
        read(&mut walk).unwrap();
        assert_eq!(walk.left(), 40);
        // Shorter than the header: addresses, and nothing behind them.
        let bytes = packet(&[(3, 8)]);
        let mut walk = Walk::new(&bytes, 60, 0);
        read(&mut walk).unwrap();
        assert_eq!((walk.left(), walk.rest().len()), (0, 0));
    }

    #[test]
    fn wrong_version_and_header_length_are_malformed() {
        for first in [0x44, 0x40, 0x65, 0x05] {
            assert_eq!(read(&mut Walk::new(&packet(&[(0, first)]), 60, 0)), Err(Stop::Malformed));
        }
        assert_eq!(read(&mut Walk::new(&HEADER_BYTES[..19], 60, 0)), Err(Stop::Cut));
    }
}
