//! STUN and TURN (RFC 8489, RFC 8656) over UDP and TCP, and the classic one without a cookie (RFC 3489).
//!
//! What else goes over the same ports afterwards (media, ChannelData) stays part of the session; DTLS, which
//! begins there once a path was found (RFC 7983), gives it its label.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said, until_ended},
    fact::Fact,
    notes::Notes,
    protocols::dtls,
    recogniser::Verdict,
    service::Service,
    talk::{Datagram, Streams},
};

const COOKIE: u32 = 0x2112_a442;
/// Bytes of a message before its attributes.
const HEADER_LEN: usize = 20;
/// Datagrams of a flow that are read for further types of messages.
const MOST_DATAGRAMS: u32 = 32;
/// Messages of a side of a connection that are read.
const MOST_MESSAGES: usize = 32;

/// Judges a datagram by cookie and length, or by attributes that are in order.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let Some(header) = Header::read(talk.bytes) else { return otherwise(talk, notes) };
    let exact = HEADER_LEN + usize::from(header.length) == talk.wire_len;
    let sound = exact && (header.cookie == COOKIE || is_classic(header.kind, talk.bytes));
    if !sound {
        return otherwise(talk, notes);
    }
    talk.memory[0] = 1;
    note_kind(header.kind, notes);
    match header.class() {
        0 => notes.client(talk.from),
        2 | 3 => notes.client(1 - talk.from),
        _ => {}
    }
    Verdict::Is
}

/// What a datagram that is no message says: nothing of a flow that is known, if it is not DTLS.
fn otherwise(talk: &Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    if talk.nth == 0 || talk.memory[0] != 1 {
        return Verdict::No;
    }
    if dtls::is_dtls(talk.bytes, talk.wire_len) {
        notes.service(Service::Dtls);
        let over = dtls::glance(talk, notes);
        return if over { Verdict::Done } else { Verdict::Is };
    }
    if talk.nth < MOST_DATAGRAMS { Verdict::Is } else { Verdict::Done }
}

/// Judges a connection: messages follow one another, with ChannelData between them.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |mut bytes| message(&mut bytes).map(|_| ())).map(|known| {
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            let mut bytes = Cursor::of(talk, side);
            for _ in 0..MOST_MESSAGES {
                let Ok(kind) = message(&mut bytes) else { break };
                note_kind(kind, notes);
                match kind & 0x0110 {
                    0 => notes.client(side),
                    0x0100 | 0x0110 => notes.client(1 - side),
                    _ => {}
                }
            }
        }
        until_ended(talk)
    }))
}

/// Reads a message with a cookie and returns its type. Between peers its length stands before it (RFC 4571).
fn message(bytes: &mut Cursor<'_>) -> Read<u16> {
    let (mut kind, mut length) = (bytes.u16()?, bytes.u16()?);
    if usize::from(kind) >= HEADER_LEN && length < 0x4000 {
        let mut peek = *bytes;
        let cookie: [u8; 4] = peek.array()?;
        if cookie != COOKIE.to_be_bytes() {
            let framed = usize::from(kind);
            (kind, length) = (length, bytes.u16()?);
            ensure(framed == HEADER_LEN + usize::from(length))?;
        }
    }
    ensure(kind < 0x4000 && length % 4 == 0)?;
    bytes.expect(&COOKIE.to_be_bytes())?;
    bytes.take_shown(HEADER_LEN - 8 + usize::from(length))?;
    Ok(kind)
}

struct Header {
    kind: u16,
    length: u16,
    cookie: u32,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, d, e, f, g, h, ..] = bytes else { return None };
        (a < 0x40 && d & 3 == 0 && bytes.len() >= HEADER_LEN).then_some(Self {
            kind: u16::from_be_bytes([a, b]),
            length: u16::from_be_bytes([c, d]),
            cookie: u32::from_be_bytes([e, f, g, h]),
        })
    }

    /// 0 request, 1 indication, 2 success, 3 error (RFC 8489 section 5).
    fn class(&self) -> u16 {
        self.kind >> 7 & 2 | self.kind >> 4 & 1
    }
}

/// Judges a message without a cookie: the methods of RFC 3489 and early TURN, and attributes that fill it.
fn is_classic(kind: u16, bytes: &[u8]) -> bool {
    if !matches!(kind & !0x0110, 1..=9) || matches!(kind, 0x0011..=0x0019) {
        return false;
    }
    let mut attributes = Cursor::whole(&bytes[HEADER_LEN..]);
    while !attributes.is_empty() {
        let (Ok(name), Ok(length)) = (attributes.u16(), attributes.u16()) else { return false };
        let known = matches!(name, 0x0001..=0x0030 | 0x8000..=0x80ff | 0xc000..=0xc0ff);
        if !known || attributes.take(usize::from(length).next_multiple_of(4)).is_err() {
            return false;
        }
    }
    true
}

/// Notes a type as `0x0101`.
fn note_kind(kind: u16, notes: &mut Notes<'_>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |shift: u16| DIGITS[usize::from(kind >> shift & 15)];
    notes.text(Fact::StunType, &[b'0', b'x', digit(12), digit(8), digit(4), digit(0)]);
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    fn bytes(kind: u16, cookie: [u8; 4], attributes: &[u8]) -> Vec<u8> {
        let length = (attributes.len() as u16).to_be_bytes();
        [&kind.to_be_bytes(), &length, &cookie[..], &[7; 12], attributes].concat()
    }

    #[test]
    fn requests_and_what_follows() {
        let ask = bytes(1, COOKIE.to_be_bytes(), b"\x80\x22\0\x04test");
        let say = bytes(0x0101, COOKIE.to_be_bytes(), b"\0\x20\0\x08\0\x01\x11\x22\x33\x44\x55\x66");
        let heard =
            trial::of_datagrams(datagram, &[(0, &ask), (1, &say), (0, &[0x80; 40])], [50_000, 19_302]);
        assert_eq!(heard.values(Fact::StunType), ["0x0001", "0x0101"]);
        assert_eq!((heard.verdict, heard.client), (Some(Verdict::Is), Some(0)));
        let heard = trial::of_streams(streams, &ask, &say, 3478);
        assert_eq!(heard.values(Fact::StunType), ["0x0001", "0x0101"]);
        let framed = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        let heard = trial::of_streams(streams, &framed(&ask), &framed(&say), 50_001);
        assert_eq!(heard.values(Fact::StunType), ["0x0001", "0x0101"]);
    }

    #[test]
    fn dtls_on_a_path_that_was_found() {
        let ask = bytes(1, COOKIE.to_be_bytes(), b"");
        // A record with an alert, and one of data.
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40];
        let data = [23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 2, 9, 9];
        let heard = trial::of_datagrams(datagram, &[(0, &ask), (1, &alert), (1, &ask)], [50_000, 50_002]);
        assert_eq!((heard.verdict, heard.service), (Some(Verdict::Is), Some(Service::Dtls)));
        let heard = trial::of_datagrams(datagram, &[(0, &ask), (1, &data)], [50_000, 50_002]);
        assert_eq!((heard.verdict, heard.service), (Some(Verdict::Done), Some(Service::Dtls)));
        let heard = datagrams(datagram, &[(1, &alert)], [50_000, 50_002]);
        assert_eq!(heard.verdict, Some(Verdict::No));
    }

    #[test]
    fn classic_messages_by_their_attributes() {
        for (bytes, want) in [
            (bytes(1, [9; 4], b""), Some(Verdict::Is)),
            (bytes(1, [9; 4], b"\0\x03\0\x04\0\0\0\x06"), Some(Verdict::Is)),
            (bytes(1, [9; 4], b"\0\x03\0\x08\0\0\0\x06"), Some(Verdict::No)),
            (bytes(1, [9; 4], b"\x10\x03\0\x04\0\0\0\x06"), Some(Verdict::No)),
            (bytes(0x30, [9; 4], b""), Some(Verdict::No)),
        ] {
            assert_eq!(datagrams(datagram, &[(0, &bytes)], [50_000, 3478]).verdict, want, "{bytes:x?}");
        }
    }

    #[test]
    fn a_message_in_a_connection_that_was_cut() {
        use crate::dpi::testing::cut;
        let message = [&[0, 1, 0, 80][..], &COOKIE.to_be_bytes(), &[7; 12], &[0, 6]].concat();
        assert_eq!(cut(streams, &message, 100, 3478).verdict, Some(Verdict::Is));
        assert_eq!(cut(streams, &message, 99, 3478).verdict, Some(Verdict::No));
        let framed = [&[0, 100][..], &message].concat();
        assert_eq!(cut(streams, &framed, 102, 9).verdict, Some(Verdict::Is));
    }
}
