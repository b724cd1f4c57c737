//! WireGuard (Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", section 5.4).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{fact::Fact, notes::Notes, recogniser::Verdict, talk::Datagram};

/// Judges a datagram by type, reserved zeros and the length that goes with the type.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let &[kind @ 1..=4, 0, 0, 0, ..] = talk.bytes else { return Verdict::No };
    let sound = match kind {
        1 => talk.wire_len == 148,
        2 => talk.wire_len == 92,
        3 => talk.wire_len == 64,
        // Data: an index, a counter that is far below 2^32, whole blocks and a tag.
        _ => {
            talk.wire_len >= 32
                && talk.wire_len.is_multiple_of(16)
                && talk.bytes.get(12..16).is_some_and(|high| high == [0; 4])
                && talk.bytes[4..8] != [0; 4]
        }
    };
    if !sound {
        return Verdict::No;
    }
    notes.number(Fact::WireGuardType, u64::from(kind));
    match kind {
        1 => notes.client(talk.from),
        2 => notes.client(1 - talk.from),
        _ => {}
    }
    if kind == 4 { Verdict::Done } else { Verdict::Is }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    fn message(kind: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0x5a; length];
        bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_handshake_and_data() {
        let mut data = message(4, 128);
        data[8..16].copy_from_slice(&[0; 8]);
        let sent = [(0, &message(1, 148)[..]), (1, &message(2, 92)), (0, &data)];
        let heard = trial::of_datagrams(datagram, &sent, [50_000, 51_820]);
        assert_eq!(
            (heard.verdict, heard.values(Fact::WireGuardType)),
            (Some(Verdict::Done), vec!["1", "2", "4"])
        );
        assert_eq!(heard.client, Some(0));
        trial::of_datagrams(datagram, &[(0, &message(3, 64))], [50_000, 51_820]);
        for (kind, length) in [(1, 147), (2, 148), (3, 65), (4, 128), (4, 33), (5, 64)] {
            assert_eq!(
                datagrams(datagram, &[(0, &message(kind, length))], [1, 51_820]).verdict,
                Some(Verdict::No)
            );
        }
    }
}
