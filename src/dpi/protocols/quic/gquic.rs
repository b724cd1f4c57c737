//! Google's QUIC before the IETF's: versions Q024 to Q049, whose first packets are readable as they are.
//!
//! Sources: "QUIC Wire Layout Specification" and "QUIC Crypto" (Google, 2013 to 2016), Chromium
//! `quic/core/quic_framer.cc`. What follows the handshake's first messages is encrypted.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    notes::Notes,
    protocols::quic::{header::Cid, state::Connection, version::Version},
    recogniser::Verdict,
    service::Service,
    talk::Datagram,
};

/// The first version with a long header.
const FIRST_LONG: u8 = 44;
/// The first version whose connection ids have lengths of a byte each.
const FIRST_WIDE: u8 = 49;
/// Bytes of the connection ids that clients choose.
const CID: usize = 8;
/// Public flags (Wire Layout, "Public Packet Header").
const HAS_VERSION: u8 = 0x01;
const HAS_CID: u8 = 0x08;
const RESET_OR_RESERVED: u8 = 0xc2;

/// A packet that names its version.
#[derive(Debug, PartialEq, Eq)]
struct Opening<'a> {
    /// The client sent it; a server does so from [`FIRST_LONG`] on.
    is_client: bool,
    version: Version,
    cid: Cid,
    /// Packet number, hash, frames.
    rest: &'a [u8],
}

/// Returns whether a public header with these flags may be a client's first: with a version and a connection id.
pub fn leads(flags: u8) -> bool {
    flags & (HAS_VERSION | HAS_CID | RESET_OR_RESERVED) == HAS_VERSION | HAS_CID
}

/// Returns whether a datagram may be the first one of such a connection; cheap.
pub fn may_begin(bytes: &[u8]) -> bool {
    opening(bytes).is_some()
}

/// Judges a datagram of a flow of which nothing is known yet.
pub fn begin(datagram: &mut Datagram<'_>, connection: &mut Connection, notes: &mut Notes<'_>) -> Verdict {
    let Some(opening) = opening(datagram.bytes) else { return Verdict::No };
    let is_client = opening.is_client;
    *connection = Connection {
        begun: true,
        client: if is_client { datagram.from } else { 1 - datagram.from },
        version: opening.version.0,
        origin: Some(opening.cid),
        initial: [is_client, !is_client],
        web: true,
        ..Connection::default()
    };
    opening.version.note(notes);
    notes.client(connection.client);
    notes.hex(Fact::QuicDcid, opening.cid.as_bytes());
    connection.read[0] = is_client && find_chlo(opening.rest, notes);
    verdict(connection, notes)
}

/// Follows a flow that [`begin`] knew.
pub fn follow(datagram: &mut Datagram<'_>, connection: &mut Connection, notes: &mut Notes<'_>) -> Verdict {
    connection.datagrams += 1;
    if connection.role(datagram.from) == 1 {
        connection.initial[1] = true;
        if is_negotiation(datagram.bytes) {
            notes.flag(Fact::QuicVersionNegotiation);
        }
    } else if let Some(opening) = opening(datagram.bytes).filter(|opening| opening.is_client) {
        if opening.version.0 != connection.version {
            connection.version = opening.version.0;
            opening.version.note(notes);
        }
        connection.read[0] = connection.read[0] || find_chlo(opening.rest, notes);
    } else if connection.initial[1] && is_settled(datagram.bytes, connection) {
        // The client names its version no more once it knows that the server took it.
        connection.connected = true;
    }
    verdict(connection, notes)
}

fn verdict(connection: &Connection, notes: &mut Notes<'_>) -> Verdict {
    notes.service(Service::Gquic);
    notes.phase(connection.phase());
    let over = connection.connected || connection.datagrams >= super::MOST_DATAGRAMS;
    if over { Verdict::Done } else { Verdict::Is }
}

/// Reads the header of a packet that names a version of these.
fn opening(bytes: &[u8]) -> Option<Opening<'_>> {
    let first = *bytes.first()?;
    let opening = if first & 0x80 == 0 { public_header(bytes, first) } else { long_header(bytes) };
    opening.filter(|opening| opening.version.gquic().is_some())
}

/// Reads a public header, up to Q043: flags, connection id, version, then the packet number.
fn public_header(bytes: &[u8], flags: u8) -> Option<Opening<'_>> {
    let number_len = [1, 2, 4, 6][usize::from(flags >> 4 & 3)];
    let (cid, rest) = bytes.get(1..)?.split_first_chunk::<CID>()?;
    let (version, rest) = rest.split_first_chunk()?;
    let version = Version(u32::from_be_bytes(*version));
    let is_old = version.gquic().is_some_and(|n| n < FIRST_LONG);
    (leads(flags) && is_old && rest.len() > number_len).then_some(Opening {
        is_client: true,
        version,
        cid: Cid::new(cid)?,
        rest,
    })
}

/// Reads a long header of Q044 to Q049: type, version, lengths of the connection ids in 4 bits each, ids.
fn long_header(bytes: &[u8]) -> Option<Opening<'_>> {
    let version = Version(u32::from_be_bytes(*bytes.get(1..)?.first_chunk()?));
    let number = version.gquic()?;
    let lengths = *bytes.get(5)?;
    let (is_client, at) = match (number, lengths) {
        (FIRST_LONG..FIRST_WIDE, 0x50) => (true, 6),
        (FIRST_LONG..FIRST_WIDE, 0x05) => (false, 6),
        (FIRST_WIDE, 8) if bytes.get(6 + CID) == Some(&0) => (true, 6),
        (FIRST_WIDE, 0) if bytes.get(6) == Some(&8) => (false, 7),
        _ => return None,
    };
    let cid = Cid::new(bytes.get(at..at + CID)?)?;
    let rest = &bytes[at + CID..];
    (rest.len() > 4).then_some(Opening { is_client, version, cid, rest })
}

/// Returns whether a server's packet is a list of versions.
fn is_negotiation(bytes: &[u8]) -> bool {
    match bytes {
        [first, 0, 0, 0, 0, ..] if first & 0x80 != 0 => true,
        [flags, rest @ ..] => {
            let is_list = |list: &[u8]| list.len().is_multiple_of(4) && list.first() == Some(&b'Q');
            flags & 0x80 == 0 && flags & HAS_VERSION != 0 && rest.get(CID..).is_some_and(is_list)
        }
        [] => false,
    }
}

/// Returns whether a client's packet is of this connection and names no version.
fn is_settled(bytes: &[u8], connection: &Connection) -> bool {
    let Some((first, rest)) = bytes.split_first() else { return false };
    let is_long = connection.version().gquic().is_some_and(|n| n >= FIRST_LONG);
    let names_version = if is_long { first & 0x80 != 0 } else { first & HAS_VERSION != 0 };
    let is_ours = connection.origin.is_some_and(|id| rest.starts_with(id.as_bytes()));
    !names_version && is_ours
}

/// Reads the CHLO that a client's first packet carries behind packet number, hash and the head of a STREAM
/// frame, the lengths of which depend on the version; `false` if there is none.
fn find_chlo(rest: &[u8], notes: &mut Notes<'_>) -> bool {
    /// Packet number, hash, frame head, and something before it, have 41 bytes at most.
    const FURTHEST: usize = 64;
    let window = &rest[..rest.len().min(FURTHEST)];
    let at = window.windows(4).position(|tag| tag == b"CHLO");
    at.is_some_and(|at| read_chlo(&rest[at..], notes))
}

/// Reads a CHLO (QUIC Crypto, "Handshake messages"): tag, number of entries, then for each its tag and the end of
/// its value, then the values. Returns whether it is whole.
pub fn read_chlo(message: &[u8], notes: &mut Notes<'_>) -> bool {
    const HEAD: usize = 8;
    const ENTRY: usize = 8;
    /// QUIC Crypto allows no more.
    const MOST: usize = 128;
    let Some((head, rest)) = message.split_at_checked(HEAD) else { return false };
    let count = usize::from(u16::from_le_bytes([head[4], head[5]]));
    if !head.starts_with(b"CHLO") || count > MOST {
        return false;
    }
    let Some((table, values)) = rest.split_at_checked(count * ENTRY) else { return false };
    let mut start = 0;
    for entry in table.chunks_exact(ENTRY) {
        let (tag, end) = entry.split_at(4);
        let end = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
        let Some(value) = values.get(start..end) else { return false };
        start = end;
        match tag {
            b"SNI\0" if !value.is_empty() => notes.text(Fact::Sni, value),
            b"UAID" if !value.is_empty() => notes.text(Fact::QuicUserAgent, value),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
pub(crate) mod tests {
    use super::*;
    use crate::dpi::{
        notes::Phase,
        protocols::quic,
        testing::{Heard, datagrams},
    };

    /// A CHLO with these values, padded as clients do.
    pub fn chlo(values: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut message = b"CHLO".to_vec();
        message.extend((values.len() as u32).to_le_bytes());
        let mut end = 0;
        for (tag, value) in values {
            end += value.len() as u32;
            message.extend(*tag);
            message.extend(end.to_le_bytes());
        }
        values.iter().for_each(|(_, value)| message.extend(*value));
        message
    }

    fn hello() -> Vec<u8> {
        chlo(&[
            (b"PAD\0", &[b'-'; 400]),
            (b"SNI\0", b"www.example.org"),
            (b"VER\0", b"Q043"),
            (b"UAID", b"Chrome/74"),
        ])
    }

    /// A client's first packet of a version with a public header.
    fn public(version: &[u8; 4]) -> Vec<u8> {
        let head = [&[0x0d, 1, 2, 3, 4, 5, 6, 7, 8][..], version, &[1], &[0x9a; 12]].concat();
        // STREAM frame of stream 1 with a length.
        [&head[..], &[0xa0, 1, 0x04, 0], &hello()].concat()
    }

    /// The same with a long header.
    fn long(version: &[u8; 4], lengths: &[u8]) -> Vec<u8> {
        let head = [&[0xc3][..], version, &lengths[..1], &[1, 2, 3, 4, 5, 6, 7, 8], &lengths[1..]].concat();
        [&head[..], &[0, 0, 0, 1], &[0x9a; 12], &[0xa0, 1, 0x04, 0], &hello()].concat()
    }

    fn heard(sent: &[(usize, &[u8])]) -> Heard {
        datagrams(quic::datagram, sent, [50_000, 443])
    }

    #[test]
    fn a_hello_is_read() {
        for (version, packet) in [
            ("Q024", public(b"Q024")),
            ("Q035", public(b"Q035")),
            ("Q043", public(b"Q043")),
            ("Q044", long(b"Q044", &[0x50])),
            ("Q046", long(b"Q046", &[0x50])),
            ("Q049", long(b"Q049", &[8, 0, 0, 0x44, 0x00])),
        ] {
            let heard = heard(&[(0, &packet)]);
            assert_eq!(heard.verdict, Some(Verdict::Is), "{version}");
            assert_eq!(heard.service, Some(Service::Gquic));
            assert_eq!(heard.phase, Some(Phase::QuicInitial));
            assert_eq!(heard.values(Fact::QuicVersion), [version]);
            assert_eq!(heard.first(Fact::Sni), "www.example.org");
            assert_eq!(heard.first(Fact::QuicUserAgent), "Chrome/74");
            assert_eq!(heard.first(Fact::QuicDcid), "0102030405060708");
        }
    }

    #[test]
    fn a_connection_goes_on() {
        let settled = [&[0x0c, 1, 2, 3, 4, 5, 6, 7, 8, 5][..], &[0xee; 30]].concat();
        let others = [&[0x0c, 9, 2, 3, 4, 5, 6, 7, 8, 5][..], &[0xee; 30]].concat();
        let answer = [&[0x08, 1, 2, 3, 4, 5, 6, 7, 8, 1][..], &[0xee; 30]].concat();
        let packet = public(b"Q043");
        for (sent, verdict, phase) in [
            (&[(0, &packet), (1, &answer)][..], Verdict::Is, Phase::QuicHandshake),
            (&[(0, &packet), (0, &settled)], Verdict::Is, Phase::QuicInitial),
            (&[(0, &packet), (1, &answer), (0, &packet)], Verdict::Is, Phase::QuicHandshake),
            (&[(0, &packet), (1, &answer), (0, &others)], Verdict::Is, Phase::QuicHandshake),
            (&[(0, &packet), (1, &answer), (0, &settled)], Verdict::Done, Phase::QuicConnectedWeb),
        ] {
            let sent: Vec<_> = sent.iter().map(|(from, bytes)| (*from, &bytes[..])).collect();
            let heard = heard(&sent);
            assert_eq!((heard.verdict, heard.phase), (Some(verdict), Some(phase)));
            assert_eq!(heard.client, Some(0));
        }
        let short = [&[0x40, 1, 2, 3, 4, 5, 6, 7, 8, 5][..], &[0xee; 30]].concat();
        let done = heard(&[(1, &long(b"Q046", &[0x50])), (0, &answer), (1, &short)]);
        assert_eq!((done.phase, done.client), (Some(Phase::QuicConnectedWeb), Some(1)));
    }

    #[test]
    fn a_server_alone_is_known_by_its_long_header() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        for head in [&b"\xc3Q046\x05"[..], b"\xc3Q049\x00\x08"] {
            let packet = [head, &id, &[0xee; 30]].concat();
            let heard = heard(&[(0, &packet)]);
            assert_eq!((heard.service, heard.client), (Some(Service::Gquic), Some(1)));
            assert_eq!(heard.values(Fact::QuicVersion), [&packet[1..5].escape_ascii().to_string()]);
        }
    }

    #[test]
    fn a_list_of_versions_is_a_negotiation() {
        let list = b"\x09\x01\x02\x03\x04\x05\x06\x07\x08Q043Q046";
        let heard = heard(&[(0, &public(b"Q035")), (1, list), (0, &public(b"Q043"))]);
        assert_eq!(heard.first(Fact::QuicVersionNegotiation), "true");
        assert_eq!(heard.values(Fact::QuicVersion), ["Q035", "Q043"]);
    }

    #[test]
    fn every_cut_is_quiet_and_lies_end_the_table() {
        let packet = public(b"Q043");
        for len in 0..packet.len() {
            let heard = heard(&[(0, &packet[..len])]);
            let wanted = if len > 14 { Verdict::Is } else { Verdict::No };
            assert!(len == 0 || heard.verdict == Some(wanted), "{len} {:?}", heard.verdict);
        }
        let mut lying = hello();
        lying[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut heard = Heard::default();
        assert!(!read_chlo(&lying, &mut Notes::new(&mut heard)));
        assert_eq!(heard.facts, []);
        lying[4] = 200;
        assert!(!read_chlo(&lying, &mut Notes::new(&mut heard)));
    }

    #[test]
    fn other_protocols_are_not_it() {
        for bytes in [
            &b"\x0d\x01\x02\x03\x04\x05\x06\x07\x08Q099\x01rest"[..],
            b"\x0f\x01\x02\x03\x04\x05\x06\x07\x08Q043\x01rest",
            b"\x05\x01\x02\x03\x04\x05\x06\x07\x08Q043\x01rest",
            b"\x0d\x01\x02\x03\x04\x05\x06\x07\x08Q046\x01rest",
            b"\xc3Q046\x55abcdefghabcdefghrest",
            b"\xc3Q043\x50abcdefghrest....",
        ] {
            assert_eq!(heard(&[(0, bytes)]).verdict, Some(Verdict::No), "{bytes:x?}");
        }
    }
}
