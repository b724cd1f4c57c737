//! VNC, whose protocol is RFB (RFC 6143).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

/// Judges a connection by the version with which both sides begin.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |bytes| version(bytes).map(|_| ())).map(|_| {
        for side in [0, 1] {
            if let Ok(version) = version(Cursor::of(talk, side)) {
                notes.text(Fact::Detail, version);
                break;
            }
        }
        Verdict::Done
    }))
}

/// Reads a version: `RFB 003.008` and a line feed.
fn version(mut bytes: Cursor<'_>) -> Read<&[u8]> {
    bytes.expect(b"RFB ")?;
    let version = bytes.take(7)?;
    let sound = version
        .iter()
        .enumerate()
        .all(|(nth, byte)| if nth == 3 { *byte == b'.' } else { byte.is_ascii_digit() });
    ensure(sound)?;
    bytes.expect(b"\n")?;
    Ok(version)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::trial;

    #[test]
    fn the_first_version_is_noted() {
        let heard = trial::of_streams(streams, b"", b"RFB 003.008\n", 5900);
        assert_eq!(heard.first(Fact::Detail), "003.008");
        assert_eq!(
            crate::dpi::testing::streams(streams, b"RFB 0x3.008\n", b"", 5900).verdict,
            Some(Verdict::No)
        );
    }
}
