//! CoAP over UDP (RFC 7252).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Datagram,
};

const PORT: u16 = 5683;
const URI_HOST: u16 = 3;
const URI_PATH: u16 = 11;
const URI_QUERY: u16 = 15;

/// Judges a datagram: code and options. Off its port, there must be text in the options.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(read(talk, notes))
}

fn read(talk: &Datagram<'_>, notes: &mut Notes<'_>) -> Read<Verdict> {
    let mut bytes = Cursor::whole(talk.bytes);
    let first = bytes.u8()?;
    let token = usize::from(first & 15);
    let code = bytes.u8()?;
    bytes.u16()?;
    ensure(first >> 6 == 1 && token <= 8 && talk.bytes.len() == talk.wire_len)?;
    let request = matches!(code, 1..=7);
    ensure(request || matches!(code, 0x41..=0x45 | 0x5f | 0x80..=0x8d | 0x8f | 0x96 | 0x9d | 0xa0..=0xa5))?;
    bytes.take(token)?;
    let (mut number, mut text_len, mut path) = (0u16, 0, None);
    while let Some((first, _)) = bytes.rest().split_first() {
        if *first == 0xff {
            ensure(bytes.len() > 1)?;
            break;
        }
        bytes.u8()?;
        let delta = extended(first >> 4, &mut bytes)?;
        let length = extended(first & 15, &mut bytes)?;
        number = number.checked_add(delta).ok_or(Verdict::No)?;
        let value = bytes.take(usize::from(length))?;
        // The registry of RFC 7252 section 12.2 and what was added.
        ensure(
            matches!(number, 1 | 3..=9 | 11 | 12 | 14..=17 | 19..=21 | 23 | 27 | 28 | 31 | 35 | 39 | 60 | 252 | 258 | 292),
        )?;
        if matches!(number, URI_HOST | URI_PATH | URI_QUERY) {
            ensure(!value.is_empty() && value.iter().all(|byte| matches!(byte, b'!'..=b'~')))?;
            text_len += value.len();
            path = path.or((number == URI_PATH).then_some(value));
        }
    }
    ensure(talk.has_port(PORT) || request && text_len >= 4)?;
    if let Some(path) = path {
        notes.text(Fact::Detail, path);
    }
    notes.client(if request { talk.from } else { 1 - talk.from });
    Ok(Verdict::Done)
}

/// Reads the rest of a delta or a length (RFC 7252 section 3.1).
fn extended(nibble: u8, bytes: &mut Cursor<'_>) -> Read<u16> {
    match nibble {
        13 => Ok(13 + u16::from(bytes.u8()?)),
        14 => bytes.u16()?.checked_add(269).ok_or(Verdict::No),
        15 => Err(Verdict::No),
        value => Ok(u16::from(value)),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    #[test]
    fn requests_and_answers() {
        let get = b"\x42\x01\x12\x34ab\xbbtemperature\x04room";
        let heard = trial::of_datagrams(datagram, &[(0, get)], [50_000, 7000]);
        assert_eq!((heard.first(Fact::Detail), heard.client), ("temperature", Some(0)));
        let content = b"\x62\x45\x12\x34ab\xff21.5";
        assert_eq!(datagrams(datagram, &[(0, content)], [PORT, 50_000]).client, Some(1));
        assert_eq!(datagrams(datagram, &[(0, content)], [50_001, 50_000]).verdict, Some(Verdict::No));
    }
}
