//! PPTP (RFC 2637): the control connection.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

const COOKIE: u32 = 0x1a2b_3c4d;
const START_REQUEST: u16 = 1;

/// Judges a connection by length, type and magic cookie of a message.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |bytes| message(bytes).map(|_| ())).map(|_| {
        for side in [0, 1] {
            if let Ok((kind, host)) = message(Cursor::of(talk, side)) {
                notes.client(if kind == START_REQUEST { side } else { 1 - side });
                if !host.is_empty() {
                    notes.text(Fact::Detail, host);
                }
                break;
            }
        }
        Verdict::Done
    }))
}

/// Reads a message: its type, and the host's name at a start (RFC 2637 sections 2.1 and 2.2).
fn message(mut bytes: Cursor<'_>) -> Read<(u16, &[u8])> {
    let length = usize::from(bytes.u16()?);
    ensure((16..=220).contains(&length) && bytes.u16()? == 1 && bytes.u32()? == COOKIE)?;
    let kind = bytes.u16()?;
    ensure((1..=15).contains(&kind) && bytes.u16()? == 0)?;
    if !matches!(kind, 1 | 2) {
        return Ok((kind, &[]));
    }
    ensure(length == 156)?;
    bytes.take_shown(16)?;
    let host = bytes.take_shown(64)?;
    Ok((kind, host.split(|byte| *byte == 0).next().unwrap_or_default()))
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::trial;

    #[test]
    fn a_start_names_its_host() {
        let mut start = [&[0, 156, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0][..], &[0; 144]].concat();
        start[28..32].copy_from_slice(b"host");
        let heard = trial::of_streams(streams, &start, b"", 1723);
        assert_eq!((heard.first(Fact::Detail), heard.client), ("host", Some(0)));
    }

    #[test]
    fn a_start_that_was_cut() {
        let start = [0, 156, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 1, 0];
        assert_eq!(crate::dpi::testing::cut(streams, &start, 156, 1723).verdict, Some(Verdict::Done));
    }
}
