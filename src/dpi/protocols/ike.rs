//! IKE 1 and 2 (RFC 2408, RFC 7296), and on the port for NAT traversal (RFC 3948) the ESP beside it.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Datagram,
};

const NAT_TRAVERSAL: u16 = 4500;

/// Judges a datagram by its header: version, kind of exchange, exact length.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let bytes = talk.bytes.strip_prefix(&[0; 4]).unwrap_or(talk.bytes);
    let before = talk.bytes.len() - bytes.len();
    // A header with four zeros before it is one of NAT traversal, unless its own cookie begins with them.
    let known = header(bytes, talk.wire_len - before.min(talk.wire_len), notes);
    if known.is_ok() || !talk.has_port(NAT_TRAVERSAL) {
        return said(known);
    }
    match (talk.bytes, talk.wire_len) {
        // A keepalive says too little alone.
        ([0xff], 1) => Verdict::More,
        // ESP: an index that may be used (RFC 4303 section 2.1), a young sequence number, whole words.
        (&[a, b, c, _, 0, 0, _, _, ..], 28..) if a | b | c != 0 && talk.wire_len.is_multiple_of(2) => {
            Verdict::Done
        }
        _ => Verdict::No,
    }
}

fn header(bytes: &[u8], wire_len: usize, notes: &mut Notes<'_>) -> Read<Verdict> {
    let mut bytes = Cursor::whole(bytes);
    let initiator = bytes.u64()?;
    bytes.u64()?;
    let payload = bytes.u8()?;
    let version: &[u8] = match (bytes.u8()?, bytes.u8()?, payload) {
        (0x10, 1..=6 | 32..=34, 0..=16 | 20 | 21 | 130..=132) => b"1",
        (0x20, 34..=44, 0 | 33..=54) => b"2",
        _ => return Err(Verdict::No),
    };
    bytes.u8()?;
    bytes.u32()?;
    ensure(initiator != 0 && bytes.u32()? as usize == wire_len)?;
    notes.text(Fact::IkeVersion, version);
    Ok(Verdict::Done)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    fn message(version: u8, exchange: u8, payload: u8) -> Vec<u8> {
        [&[0xc1; 8][..], &[0; 8], &[payload, version, exchange, 8, 0, 0, 0, 0, 0, 0, 0, 40], &[5; 12]]
            .concat()
    }

    #[test]
    fn versions_with_and_without_nat_traversal() {
        for (bytes, want) in [(message(0x10, 2, 1), "1"), (message(0x20, 34, 33), "2")] {
            for port in [500, 4000] {
                let heard = trial::of_datagrams(datagram, &[(0, &bytes)], [50_000, port]);
                assert_eq!(heard.first(Fact::IkeVersion), want);
            }
            let heard = datagrams(datagram, &[(0, &[&[0; 4], &bytes[..]].concat())], [50_000, 4500]);
            assert_eq!(heard.first(Fact::IkeVersion), want);
        }
        assert_eq!(
            datagrams(datagram, &[(0, &message(0x30, 34, 33))], [500, 500]).verdict,
            Some(Verdict::No)
        );
        assert_eq!(
            datagrams(datagram, &[(0, &message(0x20, 34, 33)[..39])], [500, 500]).verdict,
            Some(Verdict::No)
        );
    }

    #[test]
    fn esp_after_a_keepalive() {
        let esp = [&[0xc0, 1, 2, 3, 0, 0, 0, 1][..], &[7; 40]].concat();
        let heard = datagrams(datagram, &[(0, &[0xff]), (0, &esp)], [4500, 4500]);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!(datagrams(datagram, &[(0, &esp)], [4501, 4502]).verdict, Some(Verdict::No));
    }
}
