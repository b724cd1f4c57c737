//! Kerberos 5 (RFC 4120) over UDP and TCP.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said, until_ended},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

/// Judges a datagram: nested lengths, version 5, and a message type that is also its tag.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let bytes = Cursor::whole(talk.bytes);
    said(head(bytes, Some(talk.wire_len)).map(|message| {
        note(&message, talk.from, notes);
        Verdict::Is
    }))
}

/// Judges a connection: messages with their lengths before them (RFC 4120 section 7.2.2).
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |mut bytes| framed(&mut bytes).map(|_| ())).map(|known| {
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            let mut bytes = Cursor::of(talk, side);
            while let Ok(message) = framed(&mut bytes) {
                note(&message, side, notes);
            }
        }
        until_ended(talk)
    }))
}

/// A message's type, and its fields behind that.
struct Message<'a> {
    kind: u8,
    fields: Cursor<'a>,
}

fn framed<'a>(bytes: &mut Cursor<'a>) -> Read<Message<'a>> {
    let length = bytes.u32()? as usize;
    ensure((16..1 << 24).contains(&length))?;
    let message = head(*bytes, None)?;
    // What is noted stands at the front; a message that outgrows the budget is the last.
    if bytes.take(length).is_err() {
        *bytes = Cursor::whole(&[]);
    }
    Ok(message)
}

/// Reads a message's head. Of a datagram the lengths must be exact.
fn head(mut bytes: Cursor<'_>, wire_len: Option<usize>) -> Read<Message<'_>> {
    let all = bytes.len();
    let (tag, length) = bytes.ber_head()?;
    let kind = tag & 0x1f;
    ensure(tag & 0xe0 == 0x60 && matches!(kind, 10..=16 | 20..=22 | 30))?;
    ensure(wire_len.is_none_or(|wire_len| all - bytes.len() + length == wire_len))?;
    let (sequence, _) = bytes.ber_head()?;
    ensure(sequence == 0x30)?;
    // pvno [0] or [1], msg-type the next.
    let requests = matches!(kind, 10 | 12);
    let first = if requests { 0xa1 } else { 0xa0 };
    bytes.expect(&[first, 3, 2, 1, 5, first + 1, 3, 2, 1, kind])?;
    Ok(Message { kind, fields: bytes })
}

/// Notes type, realm and client.
fn note(message: &Message<'_>, from: usize, notes: &mut Notes<'_>) {
    notes.number(Fact::KerberosType, u64::from(message.kind));
    notes.client(if matches!(message.kind, 10 | 12 | 14) { from } else { 1 - from });
    let mut fields = message.fields;
    let (realm, name) = match message.kind {
        // The body of a request: options [0], client [1], realm [2].
        10 | 12 => {
            while let Ok((tag, value)) = fields.ber() {
                if tag == 0xa4 {
                    fields = Cursor::whole(value).ber_of(0x30).unwrap_or(Cursor::whole(&[]));
                    break;
                }
            }
            (0xa2, 0xa1)
        }
        11 | 13 => (0xa3, 0xa4),
        30 => (0xa9, 0xa8),
        _ => return,
    };
    for _ in 0..16 {
        let Ok((tag, value)) = fields.ber() else { return };
        let mut value = Cursor::whole(value);
        if tag == realm {
            if let Ok((0x1b, realm)) = value.ber() {
                notes.text(Fact::KerberosRealm, realm);
            }
        } else if tag == name
            && let Ok(name) = first_name(value)
        {
            notes.text(Fact::KerberosName, name);
        }
    }
}

/// Reads the first string of a PrincipalName: name-type [0], name-string [1].
fn first_name(mut bytes: Cursor<'_>) -> Read<&[u8]> {
    let mut name = bytes.ber_of(0x30)?;
    name.ber_of(0xa0)?;
    Ok(name.ber_of(0xa1)?.ber_of(0x30)?.ber_of(0x1b)?.rest())
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        [&[tag, value.len() as u8], &value[..]].concat()
    }

    fn request() -> Vec<u8> {
        let name = tlv(0x30, &[&[0xa0, 3, 2, 1, 1], &tlv(0xa1, &[&tlv(0x30, &[&tlv(0x1b, &[b"jane"])])])]);
        let body = tlv(
            0x30,
            &[b"\xa0\x03\x03\x01\0", &tlv(0xa1, &[&name]), &tlv(0xa2, &[&tlv(0x1b, &[b"EXAMPLE.ORG"])])],
        );
        tlv(0x6a, &[&tlv(0x30, &[&[0xa1, 3, 2, 1, 5, 0xa2, 3, 2, 1, 10], &tlv(0xa4, &[&body])])])
    }

    fn error() -> Vec<u8> {
        let realm = tlv(0xa9, &[&tlv(0x1b, &[b"EXAMPLE.ORG"])]);
        tlv(0x7e, &[&tlv(0x30, &[&[0xa0, 3, 2, 1, 5, 0xa1, 3, 2, 1, 30], &realm])])
    }

    #[test]
    fn type_realm_and_client() {
        let heard = trial::of_datagrams(datagram, &[(0, &request()), (1, &error())], [50_000, 88]);
        assert_eq!(heard.values(Fact::KerberosType), ["10", "30"]);
        assert_eq!(heard.values(Fact::KerberosRealm), ["EXAMPLE.ORG"]);
        assert_eq!((heard.first(Fact::KerberosName), heard.client), ("jane", Some(0)));
        let framed = |message: &[u8]| [&(message.len() as u32).to_be_bytes(), message].concat();
        let heard = trial::of_streams(streams, &framed(&request()), &framed(&error()), 88);
        assert_eq!((heard.first(Fact::KerberosName), heard.client), ("jane", Some(0)));
    }

    #[test]
    fn type_and_tag_must_agree() {
        let mut bytes = request();
        bytes[13] = 12;
        assert_eq!(datagrams(datagram, &[(0, &bytes)], [1, 88]).verdict, Some(Verdict::No));
        let bytes = request();
        assert_eq!(
            datagrams(datagram, &[(0, &bytes[..bytes.len() - 1])], [1, 88]).verdict,
            Some(Verdict::No)
        );
    }
}
