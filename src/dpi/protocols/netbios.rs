//! NetBIOS over UDP (RFC 1002): the name service and the datagram service.
//!
//! The sign is a name in their encoding: 32 letters from A to P. Sessions are in [`crate::dpi::protocols::smb`].
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Datagram,
};

/// Bytes of an encoded name without its length.
const ENCODED: usize = 32;

/// Judges a datagram of the name service (RFC 1002 section 4.2): it looks like one of DNS.
pub fn name_service(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    const COUNTS: [u8; 8] = [0, 1, 0, 1, 0, 1, 0, 1];
    let bytes = talk.bytes;
    if bytes.len() < 16 || bytes[12] != ENCODED as u8 {
        return Verdict::No;
    }
    // Each count is 0 or 1, and there is a question or an answer to bear the name.
    let counts = &bytes[4..12];
    if counts.iter().zip(COUNTS).any(|(count, most)| *count > most) || counts[1] | counts[3] == 0 {
        return Verdict::No;
    }
    // QUERY, REGISTRATION, RELEASE, WACK, REFRESH.
    if !matches!(bytes[2] >> 3 & 15, 0 | 5..=9) {
        return Verdict::No;
    }
    let name = &bytes[13..bytes.len().min(13 + ENCODED)];
    if name.len() < ENCODED && bytes.len() == talk.wire_len || !is_encoded(name) {
        return Verdict::No;
    }
    if let Ok(name) = <&[u8; ENCODED]>::try_from(name) {
        note_name(Fact::NbnsName, name, notes);
    }
    notes.client(if bytes[2] & 0x80 == 0 { talk.from } else { 1 - talk.from });
    Verdict::Is
}

/// Judges a datagram of the datagram service (RFC 1002 section 4.4), and tells its sender's name.
pub fn datagram_service(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let cut = talk.bytes.len() < talk.wire_len;
    said(datagram(Cursor::whole(talk.bytes), cut, notes))
}

fn datagram(mut bytes: Cursor<'_>, cut: bool, notes: &mut Notes<'_>) -> Read<Verdict> {
    let kind = bytes.u8()?;
    ensure(matches!(kind, 0x10..=0x16))?;
    // Flags, of which old systems set reserved ones; id, address, port.
    bytes.take(1 + 2 + 4 + 2)?;
    // Direct and broadcast datagrams have length and offset, queries the name at once.
    if kind < 0x13 {
        let length = usize::from(bytes.u16()?);
        ensure(bytes.u16()? == 0 && (length <= bytes.len() || cut))?;
    } else {
        ensure(kind != 0x13)?;
    }
    ensure(bytes.u8()? == ENCODED as u8)?;
    let name = bytes.array::<ENCODED>()?;
    ensure(is_encoded(&name))?;
    note_name(Fact::Detail, &name, notes);
    Ok(Verdict::Done)
}

/// Returns whether all letters are those of the encoding (RFC 1001 section 14.1).
pub fn is_encoded(name: &[u8]) -> bool {
    name.iter().all(|letter| matches!(letter, b'A'..=b'P'))
}

/// Notes a name decoded: its text without the blanks that fill it up, its last byte, which is its kind, as
/// `<20>`, and so other bytes that are no text.
pub fn note_name(fact: Fact, name: &[u8; ENCODED], notes: &mut Notes<'_>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut decoded = [0; ENCODED / 2];
    for (byte, pair) in decoded.iter_mut().zip(name.chunks_exact(2)) {
        *byte = pair[0].wrapping_sub(b'A') << 4 | pair[1].wrapping_sub(b'A') & 15;
    }
    let [text @ .., kind] = &decoded;
    let text = &text[..text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1)];
    let (mut shown, mut len) = ([0; 4 * ENCODED / 2], 0);
    for (nth, byte) in text.iter().chain([kind]).enumerate() {
        if nth < text.len() && matches!(byte, b' '..=b'~' | 0x80..) {
            shown[len] = *byte;
            len += 1;
        } else {
            let digit = |value: u8| DIGITS[usize::from(value)];
            shown[len..len + 4].copy_from_slice(&[b'<', digit(byte >> 4), digit(byte & 15), b'>']);
            len += 4;
        }
    }
    notes.text(fact, &shown[..len]);
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
pub(super) mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    /// A name of 15 bytes and its kind, encoded with its length and without a scope.
    pub fn encoded(name: &str, kind: u8) -> Vec<u8> {
        let padded = format!("{name:15}");
        let letters = padded.bytes().chain([kind]).flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)]);
        [vec![32], letters.collect(), vec![0]].concat()
    }

    #[test]
    fn names_that_are_asked_for() {
        for (flags, counts) in [(0x0110u16, [0, 1, 0, 0, 0, 0, 0, 0]), (0x8500, [0, 0, 0, 1, 0, 0, 0, 0])] {
            let header = [&[0, 7][..], &flags.to_be_bytes(), &counts].concat();
            let bytes = [header, encoded("HOST", 0), vec![0, 0x20, 0, 1]].concat();
            for port in [137, 7000] {
                let heard = trial::of_datagrams(name_service, &[(0, &bytes)], [50_000, port]);
                assert_eq!(heard.values(Fact::NbnsName), ["HOST<00>"]);
                assert_eq!(heard.client, Some(usize::from(flags & 0x8000 != 0)));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_numbers() {
        let any =
            [&[0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 32][..], b"CK", &[b'A'; 30], &[0, 0, 0x21, 0, 1]].concat();
        let heard = datagrams(name_service, &[(0, &any)], [137, 137]);
        assert_eq!(heard.first(Fact::NbnsName), format!("*{}", "<00>".repeat(15)));
    }

    #[test]
    fn datagrams_name_their_sender() {
        let names = [encoded("HOST", 0), encoded("GROUP", 0x1d), b"\xffSMB".to_vec()].concat();
        let header =
            [&[0x11, 2, 0, 9, 10, 0, 0, 1, 0, 138][..], &(names.len() as u16).to_be_bytes(), &[0, 0]]
                .concat();
        let heard = trial::of_datagrams(datagram_service, &[(0, &[header, names].concat())], [138, 138]);
        assert_eq!((heard.verdict, heard.first(Fact::Detail)), (Some(Verdict::Done), "HOST<00>"));
    }

    #[test]
    fn dns_is_something_else() {
        let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x20aaaabbbbccccddddeeeeffffgggghhhh\0\0\x01\0\x01";
        assert_eq!(datagrams(name_service, &[(0, query)], [50_000, 53]).verdict, Some(Verdict::No));
    }
}
