//! BitTorrent: peers over TCP (BEP 3) and uTP (BEP 29), the DHT (BEP 5), UDP trackers (BEP 15), local peers (BEP 14).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

const HANDSHAKE: &[u8] = b"\x13BitTorrent protocol";
/// The number that a tracker's clients begin with.
const TRACKER: [u8; 8] = [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80];

/// Judges a connection by the peers' handshake.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    fn hash(mut bytes: Cursor<'_>) -> Read<&[u8]> {
        bytes.expect(HANDSHAKE)?;
        bytes.take_shown(8)?;
        bytes.take_shown(20)
    }
    said(either_side(talk, |bytes| hash(bytes).map(|_| ())).map(|_| {
        for side in [0, 1] {
            if let Ok(hash) = hash(Cursor::of(talk, side))
                && hash.len() == 20
            {
                notes.hex(Fact::BtInfoHash, hash);
            }
        }
        Verdict::Done
    }))
}

/// Judges a datagram by its first bytes.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let known = match talk.bytes {
        [b'd', rest @ ..] => is_dht(rest, notes),
        [b'B', ..] => talk.bytes.starts_with(b"BT-SEARCH * HTTP/1.1\r\n"),
        [0, ..] => {
            talk.wire_len == 16 && talk.bytes.starts_with(&TRACKER) && talk.bytes[8..].starts_with(&[0; 4])
        }
        [0x41, ..] => is_utp_syn(talk.bytes, talk.wire_len),
        _ => false,
    };
    if known { Verdict::Done } else { Verdict::No }
}

/// Judges the rest of a message of the DHT: its first keys, in their order.
fn is_dht(rest: &[u8], notes: &mut Notes<'_>) -> bool {
    // An answer may tell the asker's address first (BEP 42).
    let rest = match rest {
        [b'2', b':', b'i', b'p', b'6', b':', _, _, _, _, _, _, rest @ ..] => rest,
        [b'2', b':', b'i', b'p', b'1', b'8', b':', rest @ ..] => rest.get(18..).unwrap_or_default(),
        rest => rest,
    };
    if rest.starts_with(b"1:ad2:id20:") || rest.starts_with(b"1:rd2:id20:") {
        const KEY: &[u8] = b"9:info_hash20:";
        // The key comes soon after the id of 20 bytes; what is searched is bounded.
        let searched = &rest[..rest.len().min(128)];
        if let Some(at) = searched.windows(KEY.len()).position(|window| window == KEY)
            && let Some(hash) = rest.get(at + KEY.len()..at + KEY.len() + 20)
        {
            notes.hex(Fact::BtInfoHash, hash);
        }
        return true;
    }
    rest.starts_with(b"1:eli2")
}

/// Judges a connection's opening: no delay measured yet, nothing acknowledged, extensions that end where it does.
fn is_utp_syn(bytes: &[u8], wire_len: usize) -> bool {
    let Some((header, mut rest)) = bytes.split_first_chunk::<20>() else { return false };
    let [_, mut extension, ..] = *header;
    if header[8..12] != [0; 4]
        || header[18..20] != [0; 2] && header[16..18] != [0, 1]
        || bytes.len() != wire_len
    {
        return false;
    }
    for _ in 0..4 {
        match (extension, rest) {
            (0, []) => return true,
            (1..=3, [next, length, after @ ..]) if after.len() >= usize::from(*length) => {
                extension = *next;
                rest = &after[usize::from(*length)..];
            }
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    #[test]
    fn peers_shake_hands() {
        let hello = [HANDSHAKE, &[0; 8], &[0xab; 20], b"-XX0001-123456789012"].concat();
        let heard = trial::of_streams(streams, &hello, &hello, 6881);
        assert_eq!(heard.values(Fact::BtInfoHash), ["ab".repeat(20)]);
    }

    #[test]
    fn messages_over_udp() {
        let tracker = [&TRACKER[..], &[0, 0, 0, 0, 1, 2, 3, 4]].concat();
        let mut syn = [0x41, 2, 0x12, 0x34, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0].to_vec();
        syn.extend([0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        for bytes in [
            b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa9:info_hash20:bbbbbbbbbbbbbbbbbbbbe1:q9:get_peers1:t2:aa1:y1:qe".to_vec(),
            b"d2:ip6:abcdef1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t2:aa1:y1:re".to_vec(),
            b"d1:eli201e5:Erroree".to_vec(),
            b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n".to_vec(),
            tracker,
            syn,
        ] {
            let heard = trial::of_datagrams(datagram, &[(0, &bytes)], [50_000, 6881]);
            let hash = if bytes.windows(9).any(|window| window == b"info_hash") { "62".repeat(20) } else { String::new() };
            assert_eq!(heard.first(Fact::BtInfoHash), hash);
        }
        for bytes in [&b"d8:announce"[..], b"d1:ad", &TRACKER, &[0x41; 20], &[0x41; 26]] {
            assert_eq!(
                datagrams(datagram, &[(0, bytes)], [1, 6881]).verdict,
                Some(Verdict::No),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn a_handshake_that_was_cut() {
        let heard = crate::dpi::testing::cut(streams, &[HANDSHAKE, &[0; 8], b"ab"].concat(), 68, 6881);
        assert_eq!((heard.verdict, heard.first(Fact::BtInfoHash)), (Some(Verdict::Done), ""));
    }
}
