//! DHCPv6 (RFC 8415), relayed messages too.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Datagram,
};

const RELAY_FORW: u8 = 12;
const RELAY_REPL: u8 = 13;
/// Relays that a message went through at most (RFC 8415 section 7.6).
const MOST_HOPS: usize = 8;
/// The option that carries a relayed message.
const RELAY_MESSAGE: u16 = 9;

/// Judges a datagram: a known type, and options that fill it to its last byte.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(read(talk, notes))
}

fn read(talk: &Datagram<'_>, notes: &mut Notes<'_>) -> Read<Verdict> {
    let mut kinds = [0; MOST_HOPS];
    let mut message = Cursor::whole(talk.bytes);
    let mut depth = 0;
    let mut cut = talk.bytes.len() < talk.wire_len;
    loop {
        let kind = message.u8()?;
        ensure((1..=36).contains(&kind))?;
        *kinds.get_mut(depth).ok_or(Verdict::No)? = kind;
        depth += 1;
        let relayed = matches!(kind, RELAY_FORW | RELAY_REPL);
        if relayed {
            ensure(message.u8()? <= 32)?;
            message.take(16 + 16)?;
        } else {
            message.take(3)?;
        }
        let options = Options::read(message, cut)?;
        match options.relayed {
            // What is passed on is there as a whole.
            Some(inner) if relayed => (message, cut) = (Cursor::whole(inner), false),
            _ => {
                let on_port = talk.has_port(546) || talk.has_port(547);
                ensure(!relayed && (options.identified || on_port))?;
                break;
            }
        }
    }
    for kind in &kinds[..depth] {
        notes.number(Fact::DhcpType, u64::from(*kind));
    }
    let from_server = matches!(kinds[depth - 1], 2 | 7 | 10) || kinds[0] == RELAY_REPL;
    notes.client(if from_server { 1 - talk.from } else { talk.from });
    Ok(Verdict::Is)
}

/// What the options say.
struct Options<'a> {
    /// There is a client's or a server's identifier: almost every message has one.
    identified: bool,
    relayed: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads them; of a message that was captured in part (`cut`) those that are there.
    fn read(mut bytes: Cursor<'a>, cut: bool) -> Read<Self> {
        let mut options = Self { identified: false, relayed: None };
        ensure(!bytes.is_empty())?;
        while !bytes.is_empty() {
            let (Ok(code), Ok(length)) = (bytes.u16(), bytes.u16()) else {
                ensure(cut)?;
                break;
            };
            ensure((1..256).contains(&code))?;
            let Ok(value) = bytes.take(usize::from(length)) else {
                ensure(cut)?;
                break;
            };
            // A DUID has a type from 1 to 4 (RFC 8415 section 11).
            options.identified |= matches!(code, 1 | 2) && matches!(value, [0, 1..=4, _, _, ..]);
            if code == RELAY_MESSAGE {
                options.relayed = Some(value);
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    /// SOLICIT with a client's identifier and an elapsed time.
    const SOLICIT: &[u8] = b"\x01abc\0\x01\0\x0a\0\x03\0\x01\x02\0\0\0\0\x01\0\x08\0\x02\0\0";

    #[test]
    fn messages_and_relayed_ones() {
        let heard = trial::of_datagrams(datagram, &[(0, SOLICIT)], [546, 547]);
        assert_eq!((heard.values(Fact::DhcpType), heard.client), (vec!["1"], Some(0)));
        let option = [&[0, 9][..], &(SOLICIT.len() as u16).to_be_bytes(), SOLICIT].concat();
        let relayed = [&[12, 0][..], &[0x20; 32], &option].concat();
        let heard = trial::of_datagrams(datagram, &[(0, &relayed)], [547, 547]);
        assert_eq!(heard.values(Fact::DhcpType), ["12", "1"]);
    }

    #[test]
    fn a_message_captured_in_part_is_known_by_what_is_there() {
        let ask = |bytes: &[u8], wire_len| {
            let mut heard = crate::dpi::testing::Heard::default();
            let mut talk = Datagram {
                bytes,
                wire_len,
                from: 0,
                client: 0,
                ports: [546, 547],
                wall: crate::base::time::Stamp(1),
                nth: 0,
                before: [&[]; 2],
                memory: &mut [0; crate::dpi::talk::MEMORY],
                keeps: 0,
            };
            datagram(&mut talk, &mut Notes::new(&mut heard))
        };
        for len in [18, 20, 23] {
            assert_eq!(ask(&SOLICIT[..len], SOLICIT.len()), Verdict::Is, "{len}");
        }
        assert_eq!(ask(&SOLICIT[..20], 20), Verdict::No);
    }

    #[test]
    fn options_must_fill_the_message() {
        for bytes in
            [&SOLICIT[..SOLICIT.len() - 1], b"\x01abc", b"\x0c\0", &[SOLICIT, b"\0"].concat(), &[12; 200]]
        {
            assert_eq!(
                datagrams(datagram, &[(0, bytes)], [546, 547]).verdict,
                Some(Verdict::No),
                "{bytes:x?}"
            );
        }
    }
}
