//! LDAP (RFC 4511) over TCP, and its searches over UDP (CLDAP, MS-ADTS section 6.3.3).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said, until_ended},
    fact::Fact,
    notes::Notes,
    protocols::starttls,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

/// Messages of a side that are read.
const MOST_MESSAGES: usize = 64;

/// Judges a datagram: nested lengths, a message id, an operation.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let mut bytes = Cursor::whole(talk.bytes);
    let mut inner = bytes;
    let whole = inner.ber_head().is_ok_and(|(_, length)| bytes.len() - inner.len() + length == talk.wire_len);
    if !whole {
        return Verdict::No;
    }
    said(message(&mut bytes).map(|operation| {
        note(operation, talk.from, notes);
        Verdict::Done
    }))
}

/// Judges a connection: messages one after the other.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |mut bytes| message(&mut bytes).map(|_| ())).map(|known| {
        let mut offsets = talk.bytes.map(<[u8]>::len);
        let mut is_tls = false;
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            let mut bytes = Cursor::of(talk, side);
            for _ in 0..MOST_MESSAGES {
                let Ok(operation) = message(&mut bytes) else { break };
                note(operation, side, notes);
            }
            // After StartTLS (RFC 4511 section 4.14) a record of TLS stands where the next message would.
            offsets[side] -= bytes.len();
            is_tls |= bytes.rest().starts_with(&[22, 3]);
        }
        if is_tls { starttls::within(talk, offsets, notes) } else { until_ended(talk) }
    }))
}

/// Reads a message and returns its operation's tag (RFC 4511 section 4.2 and after).
fn message(bytes: &mut Cursor<'_>) -> Read<u8> {
    let mut inner = *bytes;
    let (sequence, length) = inner.ber_head()?;
    ensure(sequence == 0x30 && (5..1 << 24).contains(&length))?;
    let before = inner.len();
    let total = bytes.len() - before + length;
    inner.expect(&[2])?;
    let digits = usize::from(inner.u8()?);
    ensure((1..=4).contains(&digits))?;
    inner.take(digits)?;
    let (operation, operation_len) = inner.ber_head()?;
    ensure(
        matches!(operation, 0x42 | 0x4a | 0x50 | 0x60 | 0x61 | 0x63..=0x69 | 0x6b..=0x6f | 0x73 | 0x77..=0x79),
    )?;
    // The operation fills the message, but for controls [0].
    let head = before - inner.len();
    let rest = length.checked_sub(head + operation_len).ok_or(Verdict::No)?;
    match operation {
        0x42 => ensure(operation_len == 0)?,
        0x60 => {
            inner.expect(&[2, 1])?;
            ensure(matches!(inner.u8()?, 2 | 3) && inner.u8()? == 4)?;
        }
        // A result begins with an ENUMERATED of one byte, a search with its base, an extension with its name.
        0x61 | 0x65 | 0x67 | 0x69 | 0x6b | 0x6d | 0x6f | 0x78 => inner.expect(&[0x0a, 1])?,
        0x63 | 0x64 | 0x66 | 0x68 | 0x6c | 0x6e => inner.expect(&[4])?,
        0x77 => inner.expect(&[0x80])?,
        _ => {}
    }
    ensure(rest == 0 || rest >= 2)?;
    // The head is enough of a long message, which is then the last that is seen.
    if bytes.take(total).is_err() {
        *bytes = Cursor::whole(&[]);
    }
    Ok(operation)
}

/// Notes an operation by the number of its tag, and who asks for it.
fn note(operation: u8, from: usize, notes: &mut Notes<'_>) {
    notes.number(Fact::LdapOp, u64::from(operation & 0x1f));
    let answers =
        matches!(operation, 0x61 | 0x64 | 0x65 | 0x67 | 0x69 | 0x6b | 0x6d | 0x6f | 0x73 | 0x78 | 0x79);
    notes.client(if answers { 1 - from } else { from });
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    const BIND: &[u8] = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0";
    const BOUND: &[u8] = b"\x30\x84\0\0\0\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\0\x04\0";
    const SEARCH: &[u8] = b"\x30\x25\x02\x02\x02\x02\x63\x1f\x04\0\x0a\x01\0\x0a\x01\0\x02\x01\0\x02\x01\0\x01\x01\0\x87\x0bobjectClass";

    #[test]
    fn operations_of_both_sides() {
        let search = [SEARCH, b"\x30\0"].concat();
        let client = [BIND, &search].concat();
        let heard = trial::of_streams(streams, &client, BOUND, 389);
        assert_eq!(heard.values(Fact::LdapOp), ["0", "3", "1"]);
        assert_eq!(heard.client, Some(0));
        let heard = trial::of_datagrams(datagram, &[(0, BIND)], [50_000, 389]);
        assert_eq!(heard.values(Fact::LdapOp), ["0"]);
    }

    #[test]
    fn lengths_must_agree() {
        for bytes in [
            &BIND[..10],
            &[BIND, b"\0"].concat(),
            b"\x30\x0b\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80",
            b"\x30\x05\x02\x01\x01\x42\x01",
        ] {
            assert_eq!(
                datagrams(datagram, &[(0, bytes)], [50_000, 389]).verdict,
                Some(Verdict::No),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn hellos_behind_start_tls() {
        let [asks, answers] = crate::dpi::protocols::tls::testing::hellos("ldap.example");
        let ask = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
        let say = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0";
        let (client, server) = ([&ask[..], &asks].concat(), [&say[..], &answers].concat());
        let heard = trial::of_streams(streams, &client, &server, 389);
        assert_eq!((heard.first(Fact::Sni), heard.first(Fact::TlsVersion)), ("ldap.example", "TLS1.2"));
    }
}
