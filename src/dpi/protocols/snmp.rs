//! SNMP versions 1 (RFC 1157), 2c (RFC 1901) and 3 (RFC 3412), over UDP and TCP (RFC 3430).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

/// Judges a datagram: nested lengths, a version, and what that version has next.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let mut bytes = Cursor::whole(talk.bytes);
    let Ok((0x30, length)) = bytes.ber_head() else { return Verdict::No };
    let head = talk.bytes.len() - bytes.len();
    if head + length != talk.wire_len {
        return Verdict::No;
    }
    said(message(bytes, talk.from, notes))
}

/// Judges a connection by the first message of who opened it.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let mut bytes = Cursor::of(talk, talk.client);
    said(bytes.ber_head().and_then(|(tag, length)| {
        ensure(tag == 0x30 && length < 65_536)?;
        message(bytes, talk.client, notes)
    }))
}

fn message(mut bytes: Cursor<'_>, from: usize, notes: &mut Notes<'_>) -> Read<Verdict> {
    bytes.expect(&[2, 1])?;
    let version: &[u8] = match bytes.u8()? {
        0 => b"1",
        1 => b"2c",
        3 => b"3",
        _ => return Err(Verdict::No),
    };
    if version == b"3" {
        let mut global = bytes.ber_of(0x30)?;
        global.ber_number()?;
        global.ber_number()?;
        let (tag, flags) = global.ber()?;
        ensure(tag == 4 && flags.len() == 1)?;
        global.ber_number()?;
        let (tag, _) = bytes.ber_head()?;
        ensure(tag == 4 && global.is_empty())?;
    } else {
        let community = bytes.ber_of(4)?.rest();
        let (pdu, _) = bytes.ber_head()?;
        ensure(matches!(pdu, 0xa0..=0xa8))?;
        notes.text(Fact::SnmpCommunity, community);
        notes.client(if pdu == 0xa2 { 1 - from } else { from });
    }
    notes.text(Fact::SnmpVersion, version);
    Ok(Verdict::Done)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    const GET: &[u8] = b"\x30\x1f\x02\x01\x01\x04\x06public\xa0\x12\x02\x01\x07\x02\x01\0\x02\x01\0\x30\x07\x30\x05\x06\x01\x2b\x05\0";
    const VERSION_3: &[u8] = b"\x30\x1a\x02\x01\x03\x30\x0d\x02\x01\x07\x02\x02\x10\0\x04\x01\x04\x02\x01\x03\x04\x02\x30\0\x30\x02\x30\0";

    #[test]
    fn versions_and_communities() {
        let heard = trial::of_datagrams(datagram, &[(0, GET)], [50_000, 161]);
        assert_eq!((heard.first(Fact::SnmpVersion), heard.first(Fact::SnmpCommunity)), ("2c", "public"));
        assert_eq!(heard.client, Some(0));
        let heard = trial::of_datagrams(datagram, &[(0, VERSION_3)], [50_000, 9000]);
        assert_eq!(heard.facts, [(Fact::SnmpVersion, "3".into())]);
        assert_eq!(trial::of_streams(streams, GET, &[], 161).first(Fact::SnmpVersion), "2c");
    }

    #[test]
    fn lengths_must_agree() {
        for bytes in [&GET[..20], &[GET, b"\0"].concat(), b"\x30\x03\x02\x01\x02", b"\x30\x82"] {
            assert_eq!(datagrams(datagram, &[(0, bytes)], [50_000, 161]).verdict, Some(Verdict::No));
        }
    }
}
