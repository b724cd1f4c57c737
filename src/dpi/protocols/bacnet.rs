//! BACnet over UDP (ANSI/ASHRAE 135 annex J).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    notes::Notes,
    recogniser::Verdict,
    talk::Datagram,
};

/// Judges a datagram: the link's type, a function, the exact length, and the network layer's version.
pub fn datagram(talk: &mut Datagram<'_>, _: &mut Notes<'_>) -> Verdict {
    said(read(talk))
}

fn read(talk: &Datagram<'_>) -> Read<Verdict> {
    let mut bytes = Cursor::whole(talk.bytes);
    bytes.expect(&[0x81])?;
    let function = bytes.u8()?;
    ensure(usize::from(bytes.u16()?) == talk.wire_len)?;
    match function {
        // A result, and what foreign devices and broadcast tables need: few bytes, told by their length.
        0 => ensure(talk.wire_len == 6)?,
        2 | 6 => ensure(talk.wire_len == 4)?,
        5 => ensure(talk.wire_len == 6)?,
        8 => ensure(talk.wire_len == 10)?,
        1 | 3 | 7 => ensure(talk.wire_len % 10 == 4)?,
        // Forwarded ones name who sent them first.
        4 => {
            bytes.take(6)?;
            bytes.expect(&[1])?;
        }
        9..=11 => bytes.expect(&[1])?,
        _ => return Err(Verdict::No),
    }
    Ok(Verdict::Done)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    #[test]
    fn who_is_there() {
        trial::of_datagrams(
            datagram,
            &[(0, b"\x81\x0b\0\x0c\x01\x20\xff\xff\0\xff\x10\x08")],
            [47_808, 47_808],
        );
        trial::of_datagrams(
            datagram,
            &[(0, b"\x81\x04\0\x0e\x0a\0\0\x01\xba\xc0\x01\x20\x10\x08")],
            [47_808, 47_808],
        );
        assert_eq!(
            datagrams(datagram, &[(0, b"\x81\x0b\0\x0d\x01\x20\xff\xff\0\xff\x10\x08")], [1, 47_808]).verdict,
            Some(Verdict::No)
        );
    }
}
