//! IPv6 (RFC 8200) and its extension headers.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    ip::{Ends, Fragment, Ip, authentication},
    key::proto,
    walk::{Stop, Walk, be16, be32},
};

/// The header without extension headers.
pub(crate) const HEADER: usize = 40;
/// Extension headers that are followed; what lies behind more of them is not looked at.
const MAX_EXTENSIONS: usize = 24;

/// Reads a header and the extension headers behind it.
///
/// The ends are the header's, also with a routing header. Mobility, HIP and Shim6 (which say that
/// nothing follows) count as protocols.
///
/// # Errors
/// If the addresses are not there or the version is wrong.
#[inline]
pub(crate) fn read(walk: &mut Walk) -> Result<Ip, Stop> {
    let header = walk.take::<HEADER>()?;
    if header[0] >> 4 != 6 {
        return Err(Stop::Malformed);
    }
    let payload_len = usize::from(be16(header, 4));
    if payload_len != 0 {
        walk.limit(payload_len);
    }
    let ends = Ends::V6(ends(header));
    let has_more_headers = is_extension(header[6]);
    let oversize = payload_len == 0;
    let mut ip = Ip { ends, proto: header[6], fragment: None, has_more_headers, oversize };
    if has_more_headers {
        extensions(walk, &mut ip);
    }
    Ok(ip)
}

/// Returns source and destination.
#[inline]
pub(crate) fn ends(header: &[u8; HEADER]) -> [[u8; 16]; 2] {
    let mut ends = [[0; 16]; 2];
    ends[0].copy_from_slice(&header[8..24]);
    ends[1].copy_from_slice(&header[24..]);
    ends
}

#[inline]
const fn is_extension(number: u8) -> bool {
    matches!(number, proto::HOPOPT | proto::ROUTING | proto::DSTOPTS | proto::FRAGMENT | proto::AH)
}

/// Goes along the chain; stops at a protocol, a later fragment, or where bytes are missing.
#[cold]
fn extensions(walk: &mut Walk, ip: &mut Ip) {
    for _ in 0..MAX_EXTENSIONS {
        let next = match ip.proto {
            proto::FRAGMENT => fragment(walk, ip),
            proto::AH => authentication(walk),
            proto::HOPOPT | proto::ROUTING | proto::DSTOPTS => options(walk, ip),
            _ => return,
        };
        let Ok(next) = next else { return };
        ip.proto = next;
        if ip.fragment.is_some_and(|f| f.later) {
            return;
        }
    }
}

/// Reads next header and length in units of 8 bytes minus 1 (RFC 8200 section 4.3).
fn options(walk: &mut Walk, ip: &mut Ip) -> Result<u8, Stop> {
    let [next, len] = *walk.peek::<2>()?;
    let len = (usize::from(len) + 1) * 8;
    if ip.oversize
        && ip.proto == proto::HOPOPT
        && let Some(jumbo) = walk.rest().get(2..len).and_then(jumbo_len)
    {
        walk.limit(jumbo);
    }
    walk.at += len;
    Ok(next)
}

/// Finds the jumbo payload option (RFC 2675 section 2): what the payload's length really is.
fn jumbo_len(mut options: &[u8]) -> Option<usize> {
    const PAD1: u8 = 0;
    const JUMBO: u8 = 0xc2;
    loop {
        match *options {
            [PAD1, ref rest @ ..] => options = rest,
            [JUMBO, 4, a, b, c, d, ..] => return Some(u32::from_be_bytes([a, b, c, d]) as usize),
            [_, len, ref rest @ ..] => options = rest.get(usize::from(len)..)?,
            _ => return None,
        }
    }
}

/// Reads a fragment header (RFC 8200 section 4.5); a datagram in one fragment is whole (RFC 6946).
fn fragment(walk: &mut Walk, ip: &mut Ip) -> Result<u8, Stop> {
    const MORE: u16 = 1;
    const OFFSET: u16 = !7;
    let header = walk.take::<8>()?;
    let field = be16(header, 2);
    if field & (MORE | OFFSET) != 0 {
        ip.fragment = Some(Fragment { id: be32(header, 4), proto: 0, later: field & OFFSET != 0 });
    }
    Ok(header[0])
}

#[cfg(test)]
#[allow(clippy::disallowed_macros, reason = "tests are off the packet path")]
mod tests {
    use super::*;

    /// A header with this next header and payload, from 2001:db8::1 to 2001:db8::2.
    fn packet<'a>(bytes: &'a mut [u8; 200], next: u8, payload_len: u16, payload: &[u8]) -> &'a [u8] {
        bytes[0] = 0x60;
        bytes[4..6].copy_from_slice(&payload_len.to_be_bytes());
        bytes[6] = next;
        bytes[8..12].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        bytes[23] = 1;
        bytes[24..28].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        bytes[39] = 2;
        bytes[40..40 + payload.len()].copy_from_slice(payload);
        &bytes[..40 + payload.len()]
    }

    fn run(next: u8, payload: &[u8]) -> (Ip, usize) {
        let mut buffer = [0; 200];
        let bytes = packet(&mut buffer, next, payload.len() as u16, payload);
        let mut walk = Walk::new(bytes, 200, 0);
        (read(&mut walk).unwrap(), walk.at)
    }

    #[test]
    fn fields_are_where_the_rfc_says() {
        let (ip, at) = run(proto::TCP, &[0; 20]);
        let Ends::V6([from, to]) = ip.ends else { panic!("{ip:?}") };
        assert_eq!((from[..4].to_owned(), from[15], to[15]), (vec![0x20, 1, 0x0d, 0xb8], 1, 2));
        assert_eq!((ip.proto, ip.fragment, at), (proto::TCP, None, 40));
    }

    #[test]
    fn chain_of_extension_headers_is_followed() {
        // Hop-by-hop (router alert), routing (16 bytes), destination options, AH, then UDP.
        let mut chain = [0; 8 + 16 + 8 + 16];
        chain[..8].copy_from_slice(&[43, 0, 5, 2, 0, 0, 1, 0]);
        chain[8..10].copy_from_slice(&[60, 1]);
        chain[24..26].copy_from_slice(&[51, 0]);
        chain[32..34].copy_from_slice(&[17, 2]);
        let (ip, at) = run(proto::HOPOPT, &chain);
        assert_eq!((ip.proto, at), (proto::UDP, 40 + 48));
    }

    #[test]
    fn fragments_are_told_apart() {
        let id = 0xdead_beef;
        for (field, next, want) in [
            ([0, 1], 17, Some(Fragment { id, proto: 0, later: false })),
            ([0, 9], 17, Some(Fragment { id, proto: 0, later: true })),
            ([5, 0xa8], 60, Some(Fragment { id, proto: 0, later: true })),
            ([0, 0], 17, None),
        ] {
            let header = [next, 0, field[0], field[1], 0xde, 0xad, 0xbe, 0xef];
            let (ip, at) = run(proto::FRAGMENT, &header);
            assert_eq!((ip.proto, ip.fragment, at), (next, want, 48), "{field:?}");
        }
    }

    #[test]
    fn jumbo_option_gives_the_length() {
        // Hop-by-hop: next TCP, 8 bytes; jumbo payload of 65,600 bytes.
        let chain = [6, 0, 0xc2, 4, 0, 1, 0, 0x40];
        let mut buffer = [0; 200];
        let bytes = packet(&mut buffer, proto::HOPOPT, 0, &chain);
        let mut walk = Walk::new(bytes, 70_000, 0);
        assert!(read(&mut walk).unwrap().oversize);
        assert_eq!((walk.at, walk.end), (48, 40 + 65_600));
        assert_eq!(jumbo_len(&[0, 1, 1, 0, 0xc2, 4, 0, 0, 0, 9]), Some(9));
        assert_eq!(jumbo_len(&[1, 200, 0]), None);
        assert_eq!(jumbo_len(&[0xc2, 4, 0]), None);
    }

    #[test]
    fn chain_that_is_cut_or_endless_stops_at_its_last_header() {
        assert_eq!(run(proto::HOPOPT, &[]).0.proto, proto::HOPOPT);
        assert_eq!(run(proto::HOPOPT, &[60, 0, 0, 0, 0, 0, 0, 0]).0.proto, proto::DSTOPTS);
        assert_eq!(run(proto::FRAGMENT, &[17, 0, 0, 0]).0.proto, proto::FRAGMENT);
        assert_eq!(run(proto::NONE, &[]).0.proto, proto::NONE);
        let endless = [60, 0, 0, 0, 0, 0, 0, 0].repeat(20);
        assert_eq!(run(proto::DSTOPTS, &endless).0.proto, proto::DSTOPTS);
        // AH with length 0 is 8 bytes long, so even that goes on.
        assert_eq!(run(proto::AH, &[51, 0, 0, 0, 0, 0, 0, 0].repeat(20)).0.proto, proto::AH);
    }

    #[test]
    fn wrong_version_is_malformed() {
        assert_eq!(read(&mut Walk::new(&[0x45; 60], 60, 0)), Err(Stop::Malformed));
        assert_eq!(read(&mut Walk::new(&[0x60; 39], 60, 0)), Err(Stop::Cut));
    }
}
