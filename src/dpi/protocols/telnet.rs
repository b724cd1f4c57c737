//! Telnet: option negotiation (RFC 854, RFC 855).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{notes::Notes, recogniser::Verdict, talk::Streams};

const IAC: u8 = 255;
const SB: u8 = 250;
const SE: u8 = 240;
/// Options in use: 0 to 49, 138 to 140 and 255 (IANA), and COMPRESS, MXP and the like of games.
const fn is_option(option: u8) -> bool {
    matches!(option, 0..=49 | 69 | 70 | 85..=93 | 138..=140 | 200 | 201 | 255)
}

/// Knows Telnet by two negotiations at the start, of one side or of both; on port 23 by one.
pub fn streams(talk: &Streams<'_>, _notes: &mut Notes<'_>) -> Verdict {
    let sides = [negotiations(talk.bytes[0]), negotiations(talk.bytes[1])];
    let count = sides.iter().map(|side| side.count).sum::<u32>();
    // Each costs random bytes some 16 bits.
    let whole = sides.iter().any(|side| side.count > 0 && side.clean);
    if count >= 2 || count == 1 && whole && talk.has_port(23) {
        return Verdict::Done;
    }
    let possible = |side: usize| sides[side].count > 0 || sides[side].open && !talk.ended[side];
    match possible(0) && possible(1) {
        true => Verdict::More,
        false => Verdict::No,
    }
}

/// The start of a side.
struct Negotiations {
    count: u32,
    /// All bytes so far are negotiation; there may be none.
    open: bool,
    /// After them nothing else stands, or text.
    clean: bool,
}

fn negotiations(bytes: &[u8]) -> Negotiations {
    let mut side = Negotiations { count: 0, open: true, clean: true };
    let mut rest = bytes;
    while side.count < 8 {
        match rest {
            [] | [IAC] | [IAC, SB..=254] => return side,
            [IAC, SB, option, after @ ..] if is_option(*option) => {
                let Some(end) = after.windows(2).take(256).position(|pair| pair == [IAC, SE]) else {
                    side.open = after.len() < 256;
                    return side;
                };
                rest = &after[end + 2..];
            }
            // WILL, WONT, DO, DONT.
            [IAC, 251..=254, option, after @ ..] if is_option(*option) => rest = after,
            _ => {
                side.open = false;
                side.clean = rest[0] < 0x80;
                return side;
            }
        }
        side.count += 1;
    }
    side
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    #[test]
    fn signs() {
        for (client, server, port, verdict) in [
            (&[255, 253, 3, 255, 251, 24][..], &[][..], 2323, Verdict::Done),
            (&[255, 251, 31], &[255, 253, 31, b'l'], 2323, Verdict::Done),
            (&[255, 250, 24, 1, 255, 240, 255, 251, 1], &[], 2323, Verdict::Done),
            (&[], &[255, 253, 3], 2323, Verdict::More),
            (&[], &[255, 253, 3, b'\r', b'\n'], 23, Verdict::Done),
            (&[255], &[], 23, Verdict::More),
            (&[255, 253, 99], &[], 23, Verdict::No),
            (&[255, 249, 1], &[], 23, Verdict::No),
            (b"GET", &[], 23, Verdict::No),
        ] {
            assert_eq!(
                testing::streams(streams, client, server, port).verdict,
                Some(verdict),
                "{client:?} {server:?}"
            );
        }
        every_cut(streams, &[255, 250, 24, 1, 255, 240, 255, 251, 1, b'a'], &[255, 253, 3], 23);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(prop_oneof![Just(255_u8), Just(250), any::<u8>()], 0..400)) {
            testing::streams(streams, &bytes, &bytes, 23);
        }
    }
}
