//! AMQP 0-9, 0-9-1 and 1.0 (OASIS).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

/// Judges a connection by the header with which it begins.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |bytes| version(bytes).map(|_| ())).map(|known| {
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            if let Ok(version) = version(Cursor::of(talk, side)) {
                notes.text(Fact::Detail, version);
            }
        }
        Verdict::Done
    }))
}

fn version(mut bytes: Cursor<'_>) -> Read<&'static [u8]> {
    bytes.expect(b"AMQP")?;
    match bytes.array()? {
        // 1.0 with its layers: plain, TLS, SASL.
        [0 | 2 | 3, 1, 0, 0] => Ok(b"1.0"),
        [0, 0, 9, 1] => Ok(b"0-9-1"),
        [1, 1, 0, 9] | [0, 0, 9, 0] => Ok(b"0-9"),
        [1, 1, 0, 10] => Ok(b"0-10"),
        [1, 1, 8, 0] => Ok(b"0-8"),
        _ => Err(Verdict::No),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::trial;

    #[test]
    fn versions() {
        for (header, want) in [(b"AMQP\0\0\x09\x01", "0-9-1"), (b"AMQP\x03\x01\0\0", "1.0")] {
            assert_eq!(trial::of_streams(streams, header, b"", 5672).first(Fact::Detail), want);
        }
    }
}
