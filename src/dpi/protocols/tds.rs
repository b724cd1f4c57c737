//! TDS, the protocol of SQL Server (MS-TDS).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    fact::Fact,
    notes::Notes,
    protocols::starttls,
    recogniser::Verdict,
    talk::Streams,
};

/// Bytes of a packet before its body.
const HEADER_LEN: usize = 8;
const ANSWER: u8 = 4;
const LOGIN7: u8 = 0x10;
const PRELOGIN: u8 = 0x12;

/// Judges a connection by its first packet: options of a prelogin, or a login.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |bytes| packet(bytes).map(|_| ())).map(|_| {
        for side in [0, 1] {
            if let Ok(packet) = packet(Cursor::of(talk, side)) {
                notes.client(if packet.kind == ANSWER { 1 - side } else { side });
                if let Some([major, minor, build @ ..]) = packet.version.filter(|_| packet.kind == ANSWER) {
                    let mut text = [0; 16];
                    let mut left = &mut text[..];
                    let build = u16::from_be_bytes(build);
                    if std::io::Write::write_fmt(&mut left, format_args!("{major}.{minor}.{build}")).is_ok() {
                        let unused = left.len();
                        notes.text(Fact::SqlVersion, &text[..text.len() - unused]);
                    }
                }
            }
        }
        // TLS goes on in packets of the same kind: the hello stands behind the head of the second one.
        let tls_at = [0, 1].map(|side| match packet(Cursor::of(talk, side)) {
            Ok(packet) if packet.kind != LOGIN7 => Some(packet.length + HEADER_LEN),
            Ok(_) => None,
            Err(_) => Some(talk.bytes[side].len()),
        });
        match tls_at {
            [Some(low), Some(high)] => starttls::within(talk, [low, high], notes),
            _ => Verdict::Done,
        }
    }))
}

struct Packet {
    kind: u8,
    /// Of all of it, head and body.
    length: usize,
    version: Option<[u8; 4]>,
}

fn packet(mut bytes: Cursor<'_>) -> Read<Packet> {
    let kind = bytes.u8()?;
    ensure(matches!(kind, ANSWER | LOGIN7 | PRELOGIN))?;
    ensure(bytes.u8()? <= 1)?;
    let length = usize::from(bytes.u16()?);
    ensure((21..=4096).contains(&length))?;
    bytes.take(2 + 1)?;
    bytes.expect(&[0])?;
    if kind == LOGIN7 {
        // Its own length and the version, 7.0 to 8.0.
        ensure(bytes.le32()? as usize >= length - HEADER_LEN)?;
        ensure(matches!(bytes.array::<4>()?, [.., 0x70..=0x74] | [0, 0, 0, 8]))?;
        return Ok(Packet { kind, length, version: None });
    }
    // Options in a table: number, place, length; the version is the first and stands right behind the table.
    let body = length - HEADER_LEN;
    let all = bytes.take(body)?;
    let mut table = Cursor::whole(all);
    let mut version = None;
    for nth in 0..12 {
        let option = table.u8()?;
        if option == 0xff {
            ensure(nth > 0)?;
            return Ok(Packet { kind, length, version });
        }
        let (at, size) = (usize::from(table.u16()?), usize::from(table.u16()?));
        ensure(option < 12 && at + size <= body && (nth > 0 || option == 0 && size == 6))?;
        if nth == 0 {
            version = all.get(at..).and_then(|data| data.first_chunk()).copied();
        }
    }
    Err(Verdict::No)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::trial;

    fn prelogin(kind: u8) -> Vec<u8> {
        let body = b"\0\0\x0b\0\x06\x01\0\x11\0\x01\xff\x0f\0\x07\xd0\0\0\x02";
        [&[kind, 1, 0, 8 + body.len() as u8, 0, 0, 1, 0], &body[..]].concat()
    }

    #[test]
    fn a_prelogin_and_its_answer() {
        let heard = trial::of_streams(streams, &prelogin(PRELOGIN), &prelogin(ANSWER), 1433);
        assert_eq!((heard.first(Fact::SqlVersion), heard.client), ("15.0.2000", Some(0)));
        let login = [&[LOGIN7, 1, 0, 100, 0, 0, 1, 0][..], &[92, 0, 0, 0, 4, 0, 0, 0x74], &[0; 84]].concat();
        trial::of_streams(streams, &login, b"", 1433);
    }

    #[test]
    fn hellos_in_a_packet_behind_the_prelogin() {
        let [asks, answers] = crate::dpi::protocols::tls::testing::hellos("db.example");
        let wrap = |bytes: &[u8]| {
            [&[PRELOGIN, 1][..], &(8 + bytes.len() as u16).to_be_bytes(), &[0, 0, 1, 0], bytes].concat()
        };
        let client = [prelogin(PRELOGIN), wrap(&asks)].concat();
        let server = [prelogin(ANSWER), wrap(&answers)].concat();
        let heard = trial::of_streams(streams, &client, &server, 1433);
        assert_eq!((heard.first(Fact::Sni), heard.first(Fact::TlsVersion)), ("db.example", "TLS1.2"));
    }
}
