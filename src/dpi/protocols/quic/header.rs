//! Packet headers of QUIC, as far as they stand in the clear (RFC 8999, RFC 9000 section 17).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::protocols::quic::version::{Layout, Version};

/// Bytes of a connection id at most (RFC 9000 section 17.2).
pub const LONGEST_CID: usize = 20;

/// What a client's first datagram has at least (RFC 9000 section 14.1).
pub const SMALLEST_FIRST: usize = 1200;

/// A connection id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cid {
    /// Bytes in use, in `0..=LONGEST_CID`.
    pub len: u8,
    /// The bytes; zeros behind `len`.
    pub bytes: [u8; LONGEST_CID],
}

impl Cid {
    /// Returns the id with these bytes, if they are not too many.
    pub fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; LONGEST_CID];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { len: id.len() as u8, bytes })
    }

    /// Returns the bytes in use.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len).min(LONGEST_CID)]
    }

    /// Returns whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What a long header is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 9000 section 17.2.2.
    Initial,
    /// RFC 9000 section 17.2.3.
    ZeroRtt,
    /// RFC 9000 section 17.2.4.
    Handshake,
    /// RFC 9000 section 17.2.5: the rest of the datagram is its token and tag.
    Retry,
    /// RFC 9000 section 17.2.1: the rest of the datagram is a list of versions.
    Negotiation,
}

/// A packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long {
    /// Its version.
    pub version: Version,
    /// What it is for.
    pub kind: Kind,
    /// Destination connection id.
    pub dcid: Cid,
    /// Source connection id.
    pub scid: Cid,
    /// Whether the bit that other protocols leave zero is set (RFC 9000 section 17.2; RFC 9287 lets
    /// resumed connections clear it).
    pub fixed_bit: bool,
    /// An Initial that carries a token: clients alone send it.
    pub has_token: bool,
    /// Where the packet number stands, from the packet's beginning; of a Retry or Version
    /// Negotiation packet, where the rest begins.
    pub number_at: usize,
    /// Length of the packet; it may exceed what was captured, not what was sent.
    pub len: usize,
}

impl Long {
    /// Reads the packet at the beginning of `bytes`, of which `wire_len` bytes were sent. `None` if it is none
    /// of a layout that is known, or its lengths do not fit.
    pub fn read(bytes: &[u8], wire_len: usize) -> Option<Self> {
        let first = *bytes.first()?;
        if first & 0x80 == 0 {
            return None;
        }
        let version = Version(u32::from_be_bytes(*bytes.get(1..)?.first_chunk()?));
        let mut at = 5;
        let dcid = take_cid(bytes, &mut at)?;
        let scid = take_cid(bytes, &mut at)?;
        let kind = match (version, version.layout(), first >> 4 & 3) {
            (Version::NEGOTIATION, _, _) => Kind::Negotiation,
            (_, Layout::Google, _) => return None,
            (_, Layout::V1, 0) | (_, Layout::V2, 1) => Kind::Initial,
            (_, Layout::V1, 1) | (_, Layout::V2, 2) => Kind::ZeroRtt,
            (_, Layout::V1, 2) | (_, Layout::V2, 3) => Kind::Handshake,
            _ => Kind::Retry,
        };
        let mut has_token = false;
        if kind == Kind::Initial {
            let len = take_varint(bytes, &mut at)?;
            has_token = len > 0;
            at = at.checked_add(usize::try_from(len).ok()?)?;
        }
        let len = match kind {
            Kind::Retry | Kind::Negotiation => wire_len,
            // A token that was not captured to its end hides the length of a packet that mostly fills its datagram.
            Kind::Initial if at > bytes.len() && version.is_known() && wire_len >= SMALLEST_FIRST => wire_len,
            _ => {
                let len = take_varint(bytes, &mut at)?;
                at.checked_add(usize::try_from(len).ok()?)?
            }
        };
        let fixed_bit = first & 0x40 != 0;
        (len <= wire_len && at <= len).then_some(Self {
            version,
            kind,
            dcid,
            scid,
            fixed_bit,
            has_token,
            number_at: at,
            len,
        })
    }
}

/// Returns whether the bytes can be a packet with a short header for this connection id (RFC 9000 section 17.3).
pub fn is_short_for(bytes: &[u8], dcid: &Cid) -> bool {
    /// Packet number and sample of the shortest packet (RFC 9001 section 5.4.2).
    const SHORTEST: usize = 20;
    let Some((&first, rest)) = bytes.split_first() else { return false };
    // Peers may agree to clear the fixed bit (RFC 9287): a connection id is sign enough.
    let is_marked = first & 0x40 != 0 || !dcid.is_empty();
    first & 0x80 == 0
        && is_marked
        && rest.starts_with(dcid.as_bytes())
        && rest.len() >= dcid.as_bytes().len() + SHORTEST
}

/// Returns a connection id with a length of 1 byte before it, and passes it.
fn take_cid(bytes: &[u8], at: &mut usize) -> Option<Cid> {
    let len = usize::from(*bytes.get(*at)?);
    let id = bytes.get(*at + 1..*at + 1 + len)?;
    *at += 1 + len;
    Cid::new(id)
}

/// Returns a variable-length integer (RFC 9000 section 16), and passes it.
pub fn take_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let rest = bytes.get(*at..)?;
    let first = *rest.first()?;
    let len = 1 << (first >> 6);
    let value = rest.get(1..len)?.iter().fold(u64::from(first & 0x3f), |n, b| n << 8 | u64::from(*b));
    *at += len;
    Some(value)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    /// `c0`, version 1, ids, token `ab`, length 5, packet number and payload.
    const INITIAL: &[u8] = &[0xc0, 0, 0, 0, 1, 2, 0xd1, 0xd2, 1, 0x51, 1, 0xab, 0x40, 5, 1, 2, 3, 4, 5, 0xee];

    #[test]
    fn a_long_header_is_read() {
        let long = Long::read(INITIAL, INITIAL.len()).unwrap();
        assert_eq!((long.kind, long.number_at, long.len), (Kind::Initial, 14, 19));
        assert_eq!((long.dcid.as_bytes(), long.scid.as_bytes()), (&[0xd1, 0xd2][..], &[0x51][..]));
        assert!(long.has_token && long.fixed_bit);
        for len in 0..14 {
            assert_eq!(Long::read(&INITIAL[..len], INITIAL.len()), None, "{len}");
        }
        assert!(Long::read(&INITIAL[..14], 19).is_some(), "the rest was not captured");
        assert_eq!(Long::read(INITIAL, 18), None, "longer than the datagram");
    }

    #[test]
    fn type_codes_depend_on_the_version() {
        for (version, kinds) in [
            (Version::V1, [Kind::Initial, Kind::ZeroRtt, Kind::Handshake, Kind::Retry]),
            (Version::V2, [Kind::Retry, Kind::Initial, Kind::ZeroRtt, Kind::Handshake]),
            (Version::NEGOTIATION, [Kind::Negotiation; 4]),
        ] {
            for (code, kind) in kinds.into_iter().enumerate() {
                let mut bytes = [0; 30];
                bytes[0] = 0xc0 | (code as u8) << 4;
                bytes[1..5].copy_from_slice(&version.0.to_be_bytes());
                assert_eq!(Long::read(&bytes, 30).unwrap().kind, kind);
            }
        }
        assert_eq!(Long::read(b"\xc0Q046\x50aaaaaaaa\0\0\0\0\0\0\0\0\0\0", 24), None);
    }

    #[test]
    fn a_token_that_was_cut_leaves_a_client_s_first_packet() {
        let head = [&[0xc0, 0, 0, 0, 1, 8][..], &[7; 8], &[0, 0x40, 200], &[9; 20]].concat();
        let long = Long::read(&head, 1200).unwrap();
        assert_eq!((long.kind, long.has_token, long.len), (Kind::Initial, true, 1200));
        assert_eq!(Long::read(&head, 1199), None);
        let other = [&[0xc0, 0x5a, 0, 0, 1][..], &head[5..]].concat();
        assert_eq!(Long::read(&other, 1200), None, "of a version that nobody has");
    }

    #[test]
    fn lying_lengths_are_none() {
        for (at, value) in [(5, 21), (5, 255), (8, 200), (10, 0xff), (12, 0xc0)] {
            let mut bytes = INITIAL.to_vec();
            bytes[at] = value;
            assert_eq!(Long::read(&bytes, bytes.len()), None, "{at}");
        }
    }

    #[test]
    fn numbers_have_four_lengths() {
        // RFC 9000 appendix A.1.
        for (bytes, wanted) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], Some(151_288_809_941_952_652)),
            (&[0x9d, 0x7f, 0x3e, 0x7d], Some(494_878_333)),
            (&[0x7b, 0xbd], Some(15_293)),
            (&[0x25], Some(37)),
            (&[0x40, 0x25], Some(37)),
            (&[0x40], None),
            (&[], None),
        ] {
            assert_eq!(take_varint(bytes, &mut 0), wanted);
        }
    }

    #[test]
    fn a_short_header_names_the_connection() {
        let id = Cid::new(&[7; 8]).unwrap();
        let mut bytes = [7; 40];
        for (first, id, wanted) in [
            (0x40, id, true),
            (0x00, id, true),
            (0xc0, id, false),
            (0x40, Cid::new(&[8; 8]).unwrap(), false),
            (0x40, Cid::default(), true),
            (0x00, Cid::default(), false),
        ] {
            bytes[0] = first;
            assert_eq!(is_short_for(&bytes, &id), wanted, "{first:x} {id:?}");
        }
        bytes[0] = 0x40;
        assert!(!is_short_for(&bytes[..28], &id) && is_short_for(&bytes[..29], &id));
        assert!(!is_short_for(&[], &id));
    }
}
