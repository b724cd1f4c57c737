//! Modbus over TCP ("Modbus Messaging on TCP/IP Implementation Guide").
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said, until_ended},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

/// Messages of a side that are read.
const MOST_MESSAGES: usize = 32;

/// Judges a connection by a message's header, and the length that goes with its function.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |mut bytes| message(&mut bytes).map(|_| ())).map(|known| {
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            let mut bytes = Cursor::of(talk, side);
            for _ in 0..MOST_MESSAGES {
                let Ok(function) = message(&mut bytes) else { break };
                notes.number(Fact::ModbusFunction, u64::from(function & 0x7f));
            }
        }
        until_ended(talk)
    }))
}

/// Reads a message and returns its function, the highest bit set in an error.
fn message(bytes: &mut Cursor<'_>) -> Read<u8> {
    bytes.u16()?;
    bytes.expect(&[0, 0])?;
    let length = usize::from(bytes.u16()?);
    ensure((3..=254).contains(&length))?;
    bytes.u8()?;
    let function = bytes.u8()?;
    let body = bytes.take(length - 2)?;
    let counted = |at: usize| body.get(at).is_some_and(|count| usize::from(*count) + at + 1 == body.len());
    let sound = match function {
        // Requests and answers about coils and registers.
        1..=4 => body.len() == 4 || counted(0),
        5 | 6 => body.len() == 4,
        7 => body.len() <= 1,
        8 => body.len() >= 4 && body[0] == 0,
        15 | 16 => body.len() == 4 || counted(4),
        17 => counted(0),
        20 | 21 => counted(0),
        22 => body.len() == 6,
        23 => counted(0) || counted(8),
        43 => body.first().is_some_and(|kind| matches!(kind, 13 | 14)),
        0x81..=0xab => body.len() == 1 && matches!(body[0], 1..=11),
        _ => false,
    };
    ensure(sound)?;
    Ok(function)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::streams as ask, trial};

    #[test]
    fn functions_of_requests_and_answers() {
        let client = b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x02\0\x02\0\0\0\x06\x01\x05\0\x01\xff\0";
        let server = b"\0\x01\0\0\0\x07\x01\x03\x04\0\x01\0\x02\0\x02\0\0\0\x03\x01\x85\x02";
        let heard = trial::of_streams(streams, client, server, 502);
        assert_eq!(heard.values(Fact::ModbusFunction), ["3", "5"]);
        assert_eq!(ask(streams, b"\0\x01\0\0\0\x06\x01\x09\0\0\0\x02", b"", 502).verdict, Some(Verdict::No));
    }
}
