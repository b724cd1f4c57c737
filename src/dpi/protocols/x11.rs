//! X11 ("X Window System Protocol", version 11, appendix B).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

/// Judges a connection by the client's setup.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let sides = if talk.opened { [talk.client; 2] } else { [talk.client, 1 - talk.client] };
    let mut missing = Verdict::No;
    for client in sides {
        let verdict =
            if talk.bytes[client].is_empty() { Verdict::More } else { said(setup(Cursor::of(talk, client))) };
        match verdict {
            Verdict::No => {}
            Verdict::More => missing = Verdict::More,
            known => {
                notes.client(client);
                return known;
            }
        }
    }
    if missing == Verdict::More && talk.ended == [true; 2] { Verdict::No } else { missing }
}

/// Judges byte order, version 11.0, and the name of how to be let in.
fn setup(mut bytes: Cursor<'_>) -> Read<Verdict> {
    let order = bytes.u8()?;
    ensure(matches!(order, b'B' | b'l'))?;
    bytes.u8()?;
    let mut number = || if order == b'B' { bytes.u16() } else { bytes.le16() };
    ensure(number()? == 11 && number()? == 0)?;
    let (name, data) = (usize::from(number()?), usize::from(number()?));
    ensure(name <= 64 && data <= 256)?;
    bytes.take(2)?;
    let name = bytes.take(name)?;
    ensure(name.iter().all(|byte| matches!(byte, b'!'..=b'~')))?;
    Ok(Verdict::Done)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::streams as ask, trial};

    #[test]
    fn setups_of_both_byte_orders() {
        trial::of_streams(streams, b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\0", b"", 6000);
        trial::of_streams(streams, b"B\0\0\x0b\0\0\0\0\0\0\0\0", b"", 6010);
        assert_eq!(ask(streams, b"l\0\x0c\0\0\0\0\0\0\0\0\0", b"", 6000).verdict, Some(Verdict::No));
    }
}
