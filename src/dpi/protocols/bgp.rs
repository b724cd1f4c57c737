//! BGP 4 (RFC 4271), with the autonomous systems that its OPEN messages name.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said, until_ended},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

const OPEN: u8 = 1;
/// Messages of a side that are read.
const MOST_MESSAGES: usize = 16;

/// Judges a connection by a message's marker, length and type, from either side.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |mut bytes| message(&mut bytes).map(|_| ())).map(|known| {
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            let mut bytes = Cursor::of(talk, side);
            for _ in 0..MOST_MESSAGES {
                let Ok((kind, body)) = message(&mut bytes) else { break };
                if kind == OPEN
                    && let Ok(system) = autonomous_system(Cursor::whole(body))
                {
                    notes.number(Fact::BgpAs, u64::from(system));
                }
            }
        }
        if known == [true; 2] { Verdict::Done } else { until_ended(talk) }
    }))
}

/// Reads a message: its type and its body.
fn message<'a>(bytes: &mut Cursor<'a>) -> Read<(u8, &'a [u8])> {
    bytes.expect(&[0xff; 16])?;
    let length = usize::from(bytes.u16()?);
    let kind = bytes.u8()?;
    let least = match kind {
        OPEN => 29,
        2 => 23,
        3 => 21,
        4 => 19,
        5 => 23,
        _ => return Err(Verdict::No),
    };
    ensure((least..=4096).contains(&length) && (kind != 4 || length == 19))?;
    Ok((kind, bytes.take_shown(length - 19)?))
}

/// Reads the sender's system: the one of four bytes among the capabilities (RFC 6793) before the one of two.
fn autonomous_system(mut body: Cursor<'_>) -> Read<u32> {
    ensure(body.u8()? == 4)?;
    let system = u32::from(body.u16()?);
    body.take(2 + 4 + 1)?;
    while let (Ok(2), Ok(length)) = (body.u8(), body.u8()) {
        let mut capabilities = Cursor::whole(body.take(usize::from(length))?);
        while let (Ok(code), Ok(length)) = (capabilities.u8(), capabilities.u8()) {
            let mut value = Cursor::whole(capabilities.take(usize::from(length))?);
            if (code, length) == (65, 4) {
                return value.u32();
            }
        }
    }
    Ok(system)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{
        testing::{cut, streams as ask},
        trial,
    };

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[0xff; 16][..], &(19 + body.len() as u16).to_be_bytes(), &[kind], body].concat()
    }

    #[test]
    fn systems_of_both_sides() {
        let two = message(OPEN, &[4, 0xfd, 0xe8, 0, 180, 10, 0, 0, 1, 0]);
        let four = message(OPEN, &[4, 0x5b, 0xa0, 0, 180, 10, 0, 0, 2, 8, 2, 6, 65, 4, 0, 1, 0, 1]);
        let heard = trial::of_streams(streams, &[two, message(4, &[])].concat(), &four, 179);
        assert_eq!((heard.verdict, heard.values(Fact::BgpAs)), (Some(Verdict::Done), vec!["65000", "65537"]));
        assert_eq!(ask(streams, &message(4, &[]), b"", 1).verdict, Some(Verdict::Is));
        assert_eq!(ask(streams, &[0xff; 40], b"", 179).verdict, Some(Verdict::No));
    }

    #[test]
    fn what_was_captured_of_a_message_is_enough() {
        let open = message(OPEN, &[4, 0xfd, 0xe8, 0, 180, 10, 0, 0, 1, 0]);
        for (sent, wanted) in [(open.len(), Verdict::Is), (open.len() - 1, Verdict::No)] {
            let heard = cut(streams, &open[..20], sent, 179);
            assert_eq!((heard.verdict, heard.values(Fact::BgpAs).len()), (Some(wanted), 0));
        }
    }
}
