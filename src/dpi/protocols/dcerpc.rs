//! DCE/RPC (C706): version 5 over TCP, version 4 over UDP.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    notes::Notes,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

/// Bytes of a datagram's header (C706 section 12.5.1).
const DATAGRAM_HEAD: usize = 80;

/// Judges a connection by a header: version, type, byte order, lengths (C706 section 12.6.3.1).
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |bytes| header(bytes).map(|_| ())).map(|known| {
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            if let Ok(asks) = header(Cursor::of(talk, side)) {
                notes.client(if asks { side } else { 1 - side });
            }
        }
        Verdict::Done
    }))
}

/// Reads a header and returns whether a client sends such a one.
fn header(mut bytes: Cursor<'_>) -> Read<bool> {
    bytes.expect(&[5])?;
    ensure(bytes.u8()? <= 1)?;
    let kind = bytes.u8()?;
    ensure(matches!(kind, 0 | 2 | 3 | 11..=19))?;
    let flags = bytes.u8()?;
    let order = bytes.array::<4>()?;
    ensure(matches!(order, [0 | 0x10, 0, 0, 0]) && flags & 0x08 == 0)?;
    let mut number = || if order[0] == 0 { bytes.u16() } else { bytes.le16() };
    let (length, secret) = (number()?, number()?);
    ensure((16..=16_384).contains(&length) && secret < length)?;
    Ok(matches!(kind, 0 | 11 | 14 | 16 | 18 | 19))
}

/// Judges a datagram: the same fields, and an exact length.
pub fn datagram(talk: &mut Datagram<'_>, _: &mut Notes<'_>) -> Verdict {
    let bytes = talk.bytes;
    if bytes.len() < DATAGRAM_HEAD {
        return Verdict::No;
    }
    let length = if bytes[4] == 0 { [bytes[74], bytes[75]] } else { [bytes[75], bytes[74]] };
    let length = usize::from(u16::from_be_bytes(length));
    let head = bytes[0] == 4 && bytes[1] <= 10 && matches!(bytes[4], 0 | 0x10) && bytes[5] == 0;
    if head && DATAGRAM_HEAD + length == talk.wire_len { Verdict::Done } else { Verdict::No }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::trial;

    #[test]
    fn binds_and_datagrams() {
        let bind = [5, 0, 11, 3, 0x10, 0, 0, 0, 72, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(trial::of_streams(streams, &bind, b"", 135).client, Some(0));
        let mut request = vec![0; 90];
        (request[0], request[4], request[74]) = (4, 0x10, 10);
        trial::of_datagrams(datagram, &[(0, &request)], [50_000, 135]);
    }
}
