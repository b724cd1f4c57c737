//! RTMP ("Adobe's Real Time Messaging Protocol", section 5.2).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

const VERSION: u8 = 3;
/// Bytes of each of the handshake's two longer parts.
const PART: usize = 1536;

/// Judges a connection by both sides' handshake: a version and a time with zeros, or with a player's version that the
/// other side answers in kind.
pub fn streams(talk: &Streams<'_>, _: &mut Notes<'_>) -> Verdict {
    match either_side(talk, plain) {
        Ok(_) => Verdict::Done,
        Err(Verdict::No) => both(talk),
        Err(verdict) => verdict,
    }
}

/// Judges a handshake with zeros behind its time. Its first part must have come, for its length is a sign too.
fn plain(mut bytes: Cursor<'_>) -> Read<()> {
    bytes.expect(&[VERSION])?;
    bytes.take(4)?;
    bytes.expect(&[0; 4])?;
    bytes.take(PART - 8).map(|_| ())
}

/// Judges a handshake with the versions of player and server behind its times.
fn both(talk: &Streams<'_>) -> Verdict {
    let side = |side: usize| -> Read<()> {
        let mut bytes = Cursor::of(talk, side);
        bytes.expect(&[VERSION])?;
        bytes.take(4)?;
        let [major, _, _, _] = bytes.array::<4>()?;
        ensure(matches!(major, 0..=0x0d | 0x80))?;
        bytes.take(PART - 8)?;
        if side == talk.client { Ok(()) } else { bytes.take(PART).map(|_| ()) }
    };
    match (side(0), side(1)) {
        (Ok(()), Ok(())) => connects(talk),
        (Err(Verdict::No), _) | (_, Err(Verdict::No)) => Verdict::No,
        _ => Verdict::More,
    }
}

/// Judges the client's first message behind its handshake: a command, `connect`.
fn connects(talk: &Streams<'_>) -> Verdict {
    let mut bytes = Cursor::of(talk, talk.client);
    said(bytes.take(1 + 2 * PART).and_then(|_| {
        bytes.take(12)?;
        bytes.expect(b"\x02\0\x07connect")?;
        Ok(Verdict::Done)
    }))
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::testing::streams as ask;

    #[test]
    fn handshakes_plain_and_with_versions() {
        let plain = [&[3, 0, 1, 2, 3, 0, 0, 0, 0][..], &[7; PART - 8]].concat();
        assert_eq!(ask(streams, &plain, b"", 1935).verdict, Some(Verdict::Done));
        assert_eq!(ask(streams, &plain[..1000], b"", 1935).verdict, Some(Verdict::More));
        let hello = [&[3, 0, 1, 2, 3, 0x80, 0, 7, 2][..], &[7; PART - 8]].concat();
        let client =
            [&hello[..], &[9; PART], &[3, 0, 0, 0, 0, 0, 80, 20, 0, 0, 0, 0], b"\x02\0\x07connect"].concat();
        let server = [&[3, 0, 1, 2, 4, 4, 5, 0, 1][..], &[8; PART - 8], &[9; PART]].concat();
        assert_eq!(ask(streams, &client, &server, 1935).verdict, Some(Verdict::Done));
        assert_eq!(ask(streams, &client[..2000], &server, 1935).verdict, Some(Verdict::More));
        assert_eq!(
            ask(streams, b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0", b"\x03\0\0\x13", 3389).verdict,
            Some(Verdict::No)
        );
    }
}
