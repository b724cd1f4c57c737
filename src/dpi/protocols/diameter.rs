//! Diameter over TCP (RFC 6733).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

const ORIGIN_HOST: u32 = 264;

/// Judges a connection by a message's header and its first value.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |bytes| message(bytes).map(|_| ())).map(|known| {
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            if let Ok((requests, host)) = message(Cursor::of(talk, side)) {
                notes.client(if requests { side } else { 1 - side });
                if !host.is_empty() {
                    notes.text(Fact::Detail, host);
                }
                break;
            }
        }
        Verdict::Done
    }))
}

/// Reads a message: whether it is a request, and its sender if that stands first.
fn message(mut bytes: Cursor<'_>) -> Read<(bool, &[u8])> {
    bytes.expect(&[1])?;
    let length = bytes.u24()?;
    let flags = bytes.u8()?;
    let requests = flags & 0x80 != 0;
    ensure(length % 4 == 0 && (28..1 << 20).contains(&length) && flags & 0x0f == 0)?;
    let command = bytes.u24()?;
    ensure(matches!(command, 257..=330 | 8_388_608..=8_388_750))?;
    bytes.take(4 + 4 + 4)?;
    let name = bytes.u32()?;
    let (flags, value_len) = (bytes.u8()?, bytes.u24()?);
    ensure(name < 2000 && flags & 0x1f == 0 && (8..=length - 20).contains(&value_len))?;
    let value = bytes.take((value_len - 8).min(255))?;
    Ok((requests, if name == ORIGIN_HOST { value } else { &[] }))
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::trial;

    #[test]
    fn an_exchange_of_capabilities() {
        let request =
            b"\x01\0\0\x24\x80\0\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\x01\x08\x40\0\0\x0fa.shop1\0";
        let heard = trial::of_streams(streams, request, b"", 3868);
        assert_eq!((heard.first(Fact::Detail), heard.client), ("a.shop1", Some(0)));
    }
}
