//! RADIUS (RFC 2865, RFC 2866, RFC 5176).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Datagram,
};

const PORTS: [u16; 5] = [1812, 1813, 1645, 1646, 3799];
const USER_NAME: u8 = 1;

/// Judges a datagram: code, exact length, and attributes that fill it.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(read(talk, notes))
}

fn read(talk: &Datagram<'_>, notes: &mut Notes<'_>) -> Read<Verdict> {
    let mut bytes = Cursor::whole(talk.bytes);
    let code = bytes.u8()?;
    ensure(matches!(code, 1..=5 | 11..=13 | 40..=45))?;
    bytes.u8()?;
    let length = usize::from(bytes.u16()?);
    let on_port = PORTS.iter().any(|port| talk.has_port(*port));
    ensure(length == talk.wire_len && (length > 20 || length == 20 && on_port))?;
    bytes.take(16)?;
    let mut user = None;
    let is_cut = talk.bytes.len() < talk.wire_len && on_port;
    while !bytes.is_empty() {
        // What was not captured of the last one is not missed.
        if is_cut && bytes.rest().get(1).is_none_or(|length| usize::from(*length) > bytes.len()) {
            break;
        }
        let (name, length) = (bytes.u8()?, usize::from(bytes.u8()?));
        ensure(name != 0 && length >= 2)?;
        let value = bytes.take(length - 2)?;
        if name == USER_NAME {
            user = Some(value);
        }
    }
    if let Some(user) = user {
        notes.text(Fact::RadiusUser, user);
    }
    notes.client(if matches!(code, 1 | 4 | 12 | 40 | 43) { talk.from } else { 1 - talk.from });
    Ok(Verdict::Done)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{
        testing::{cut_datagram, datagrams},
        trial,
    };

    fn message(code: u8, length: u16, attributes: &[u8]) -> Vec<u8> {
        [&[code, 7][..], &length.to_be_bytes(), &[0xa5; 16], attributes].concat()
    }

    #[test]
    fn requests_name_their_user() {
        let bytes = message(1, 32, b"\x01\x06jane\x04\x06\x0a\0\0\x01");
        let heard = trial::of_datagrams(datagram, &[(0, &bytes)], [50_000, 1812]);
        assert_eq!((heard.first(Fact::RadiusUser), heard.client), ("jane", Some(0)));
        assert_eq!(datagrams(datagram, &[(0, &message(2, 26, b"\x12\x06Okay"))], [1812, 9]).client, Some(1));
    }

    #[test]
    fn attributes_must_fill_the_message() {
        for bytes in [
            message(1, 32, b""),
            message(1, 24, b"\x01\x06ja"),
            message(1, 24, b"\x01\x00ja"),
            message(9, 20, b""),
        ] {
            assert_eq!(
                datagrams(datagram, &[(0, &bytes)], [50_000, 1812]).verdict,
                Some(Verdict::No),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn attributes_that_were_cut_count_on_the_ports() {
        let bytes = message(1, 60, b"\x01\x06jane\x02\x12\x01\x02");
        let heard = cut_datagram(datagram, &bytes, 60, [50_000, 1812]);
        assert_eq!((heard.verdict, heard.first(Fact::RadiusUser)), (Some(Verdict::Done), "jane"));
        assert_eq!(cut_datagram(datagram, &bytes, 60, [50_000, 9]).verdict, Some(Verdict::No));
        assert_eq!(cut_datagram(datagram, &bytes, 61, [50_000, 1812]).verdict, Some(Verdict::No));
    }
}
