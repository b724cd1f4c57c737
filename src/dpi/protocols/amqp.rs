//! AMQP 0-9, 0-9-1 and 1.0 (OASIS).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

/// Judges a connection by the header with which it begins, or else by the frame with which it goes on.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let sign = |bytes: Cursor<'_>| match version(bytes) {
        Err(_) if !talk.opened => frame(bytes),
        read => read.map(|_| ()),
    };
    said(either_side(talk, sign).map(|known| {
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

/// Judges the first frame of a side whose beginning was missed.
fn frame(mut bytes: Cursor<'_>) -> Read<()> {
    let mut new = bytes;
    let kind = bytes.u8()?;
    if kind == 0 {
        // 1.0 (section 2.3): a length, where the body begins, and a performative's descriptor; or nothing, to keep alive.
        new.expect(&[0, 0])?;
        let length = new.u16()?;
        ensure(length >= 8)?;
        new.expect(&[2, 0])?;
        return match length {
            8 => new.expect(&[0, 0]),
            _ => {
                new.u16()?;
                new.expect(&[0, 0x53])?;
                ensure((0x10..=0x18).contains(&new.u8()?))
            }
        };
    }
    // 0-9-1 (section 2.3.5): a method, a heartbeat; each ends with the same byte.
    ensure(matches!(kind, 1 | 8))?;
    let channel = bytes.u16()?;
    let length = bytes.u32()?;
    ensure(if kind == 8 { length == 0 && channel == 0 } else { (4..=1 << 17).contains(&length) })?;
    if kind == 1 {
        let mut method = bytes;
        let (class, number) = (method.u16()?, method.u16()?);
        ensure(matches!(class, 10 | 20 | 30 | 40 | 50 | 60 | 85 | 90) && (10..=120).contains(&number))?;
    }
    bytes.take(length as usize)?;
    bytes.expect(&[0xce])
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

    #[test]
    fn frames_of_a_connection_that_was_joined_late() {
        use crate::dpi::testing::late;
        let method = b"\x01\0\x01\0\0\0\x05\0\x3c\0\x28\0\xce";
        let heartbeat = b"\x08\0\0\0\0\0\0\xce";
        let transfer = b"\0\0\0\x20\x02\0\0\x01\0\x53\x14\xc0";
        let empty = b"\0\0\0\x08\x02\0\0\0";
        for frame in [&method[..], heartbeat, transfer, empty] {
            for len in 1..frame.len() {
                assert_ne!(late(streams, &frame[..len], b"", 5672).verdict, Some(Verdict::No), "{len}");
            }
            assert_eq!(late(streams, frame, b"", 5672).verdict, Some(Verdict::Done));
            assert_eq!(crate::dpi::testing::streams(streams, frame, b"", 5672).verdict, Some(Verdict::No));
        }
        let unended = [&method[..method.len() - 1], &[0]].concat();
        assert_eq!(late(streams, &unended, &unended, 5672).verdict, Some(Verdict::No));
    }
}
