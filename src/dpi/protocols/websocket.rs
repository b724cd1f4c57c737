//! WebSocket (RFC 6455) that was joined late: its frames, without the upgrade that [`crate::dpi::protocols::http`] knows it by.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{lines::either_way, notes::Notes, recogniser::Verdict, talk::Streams};

/// Frames that are walked.
const MOST_FRAMES: usize = 8;

/// Knows WebSocket by text that the client masks and by text that the server does not mask, in frames whose
/// lengths lead from one to the next. Only a connection whose beginning was missed is looked at.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    if talk.opened {
        return Verdict::No;
    }
    either_way(talk, notes, |dialog, _| {
        let (client, server) = (frames(dialog.client, true), frames(dialog.server, false));
        match (client, server) {
            (Some(client), Some(server)) if client.text > 0 && server.text > 0 => Verdict::Done,
            (Some(_), Some(_)) if dialog.ended != [true; 2] => Verdict::More,
            _ => Verdict::No,
        }
    })
}

/// What the start of a side holds.
struct Frames {
    /// Whole frames of text, at least four bytes of it.
    text: usize,
}

/// Walks frames (section 5.2); `None` when one is wrong.
fn frames(bytes: &[u8], masked: bool) -> Option<Frames> {
    let mut found = Frames { text: 0 };
    let mut rest = bytes;
    for _ in 0..MOST_FRAMES {
        let Some(&first) = rest.first() else { break };
        // FIN with text, binary, close, ping or pong.
        if !matches!(first, 0x81 | 0x82 | 0x88 | 0x89 | 0x8A) {
            return None;
        }
        let Some(&second) = rest.get(1) else { break };
        if (second & 0x80 != 0) != masked {
            return None;
        }
        let (len, at) = match second & 0x7F {
            126 => match rest.get(2..4) {
                Some(&[high, low]) => (usize::from(u16::from_be_bytes([high, low])), 4),
                _ => break,
            },
            // Longer than the budget.
            127 => break,
            len => (usize::from(len), 2),
        };
        if at == 4 && len < 126 || first >= 0x88 && len > 125 {
            return None;
        }
        let mask_len = if masked { 4 } else { 0 };
        let Some(payload) = rest.get(at + mask_len..at + mask_len + len) else { break };
        if first == 0x81 {
            let mask = if masked { &rest[at..at + 4] } else { &[0; 4] };
            let text = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            if text.clone().any(|byte| byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n') || byte >= 0xF8)
            {
                return None;
            }
            found.text += usize::from(len >= 4);
        }
        rest = &rest[at + mask_len + len..];
    }
    Some(found)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::testing;

    /// `hello` under a mask.
    const CLIENT: &[u8] = &[0x81, 0x85, 1, 2, 3, 4, b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1];
    const SERVER: &[u8] = b"\x89\x00\x81\x04well";

    fn late(client: &[u8], server: &[u8]) -> Verdict {
        let mut heard = testing::Heard::default();
        let talk = Streams {
            bytes: [client, server],
            ended: [false; 2],
            total: [0; 2],
            client: 0,
            opened: false,
            ports: [1, 2],
        };
        streams(&talk, &mut Notes::new(&mut heard))
    }

    #[test]
    fn frames_of_both_sides() {
        assert_eq!(late(CLIENT, SERVER), Verdict::Done);
        assert_eq!(late(SERVER, CLIENT), Verdict::Done, "either side may be the client");
        for end in 0..CLIENT.len() {
            assert_eq!(late(&CLIENT[..end], SERVER), Verdict::More);
        }
        assert_eq!(late(CLIENT, b"\x81\x84well"), Verdict::No, "both masked");
        assert_eq!(late(CLIENT, b"\x81\x04\x01ell"), Verdict::No);
        assert_eq!(late(b"GET /", b""), Verdict::No);
        assert_eq!(
            testing::streams(streams, CLIENT, SERVER, 80).verdict,
            Some(Verdict::No),
            "it has an upgrade"
        );
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(prop_oneof![Just(0x81_u8), Just(0x85), Just(126), any::<u8>()], 0..200)) {
            late(&bytes, &bytes);
            late(CLIENT, &bytes);
        }
    }
}
