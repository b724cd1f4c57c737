//! Syslog: RFC 5424 and RFC 3164 messages over UDP (RFC 5426) and TCP (RFC 6587).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Sign, is_text, number, word},
    notes::Notes,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

/// Bytes of a message that decide.
const HEAD: usize = 128;

/// Knows a message by its priority and the time after it; on port 514 by its priority and text.
pub fn datagram(datagram: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    match sign(datagram.bytes, datagram.has_port(514), true) {
        Sign::Full => {
            note(datagram.bytes, notes);
            Verdict::Done
        }
        _ => Verdict::No,
    }
}

/// Knows a stream of messages, with their lengths in front (RFC 6587 section 3.4.1) or without.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    // One side speaks, the other is silent.
    let mut answer = Verdict::No;
    for side in 0..2 {
        let bytes = talk.bytes[side];
        let (Some(first), true) = (bytes.first(), talk.bytes[1 - side].is_empty()) else { continue };
        let digits = bytes.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
        let message = match (first, bytes.get(digits)) {
            (b'<', _) => bytes,
            (b'1'..=b'9', Some(b' ')) if number(&bytes[..digits]).is_some() => &bytes[digits + 1..],
            (b'1'..=b'9', None) if digits < 6 => &[],
            _ => continue,
        };
        match sign(message, talk.has_port(514), talk.ended[side]) {
            Sign::Full => {
                note(message, notes);
                notes.client(side);
                return Verdict::Done;
            }
            Sign::Part => answer = Verdict::More,
            _ => {}
        }
    }
    answer
}

/// Splits `<PRI>` off: 0 to 191, without needless zeros (RFC 5424 section 6.2.1).
fn after_priority(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(b"<")?;
    let end = memchr::memchr(b'>', &rest[..rest.len().min(4)])?;
    let digits = &rest[..end];
    let valid = number(digits).is_some_and(|priority| priority < 192) && (end == 1 || digits[0] != b'0');
    valid.then(|| &rest[end + 1..])
}

fn sign(bytes: &[u8], port: bool, whole: bool) -> Sign {
    let head = &bytes[..bytes.len().min(HEAD)];
    let Some(text) = after_priority(head) else {
        // `<191` and less.
        let open =
            head.is_empty() || head[0] == b'<' && head.len() < 5 && head[1..].iter().all(u8::is_ascii_digit);
        return if open && !whole { Sign::Part } else { Sign::No };
    };
    if has_version(text) || has_time(text) {
        return Sign::Full;
    }
    let ends = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
    let line = text.iter().position(ends).map_or(text, |end| &text[..end]);
    // UTF-8 is welcome, other bytes are not.
    if !is_text(line) {
        return Sign::No;
    }
    match line.len() < 40 && line.len() == text.len() && !whole {
        true => Sign::Part,
        false if port && line.len() >= 4 => Sign::Full,
        false => Sign::No,
    }
}

/// RFC 5424: `1 2003-10-11T22:14:15.003Z host app ...`, the time may be `-`.
fn has_version(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"1 ") else { return false };
    let time = word(rest).0;
    match time {
        b"-" => word(word(rest).1).1.len() > 4 && is_text(rest),
        [y0, y1, _, _, b'-', m, _, b'-', _, _, b'T', ..] => {
            y0.is_ascii_digit() && y1.is_ascii_digit() && matches!(m, b'0' | b'1')
        }
        _ => false,
    }
}

/// RFC 3164: `Oct 11 22:14:15`, or what is common: behind a sequence number, `*`, a year or a host, or an ISO date.
fn has_time(text: &[u8]) -> bool {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    text.windows(12).take(48).any(|window| {
        let month = MONTHS.chunks_exact(3).any(|month| month == &window[..3]);
        let day = matches!(window[4], b' ' | b'0'..=b'3') && window[5].is_ascii_digit();
        // With a year between day and time (`Oct 11 2003 22:14:15`), or without.
        let time = window[9] == b':' || window[7..11].iter().all(u8::is_ascii_digit);
        let spaced = window[3] == b' ' && window[6] == b' ';
        month && spaced && day && time
    }) || matches!(text, [b'2', b'0', a, b, b'-', _, _, b'-', _, _, b'T' | b' ', ..] if a.is_ascii_digit() && b.is_ascii_digit())
}

/// Notes the program: RFC 5424's APP-NAME, or RFC 3164's tag before `[pid]` or `:`.
fn note(bytes: &[u8], notes: &mut Notes<'_>) {
    let head = &bytes[..bytes.len().min(2 * HEAD)];
    let Some(text) = after_priority(head) else { return };
    let tag = if has_version(text) {
        // Version, time, host, then it.
        word(word(word(word(text).1).1).1).0
    } else {
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or(text);
        let end = line.windows(2).position(|pair| pair == b": ").unwrap_or(line.len());
        let before = &line[..end];
        let tag = before.rsplit(|byte| *byte == b' ').next().unwrap_or(before);
        &tag[..memchr::memchr(b'[', tag).unwrap_or(tag.len())]
    };
    let valid = (1..=48).contains(&tag.len()) && tag.iter().all(u8::is_ascii_graphic) && tag != b"-";
    if valid && !tag.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.')) {
        notes.text(Fact::SyslogTag, tag);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::testing;

    const OLD: &[u8] = b"<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed";
    const NEW: &[u8] = b"<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 - text";

    #[test]
    fn messages_are_read() {
        for (bytes, port, tag) in [
            (OLD, 9000, "su"),
            (NEW, 9000, "evntslog"),
            (b"<189>29: *Mar  1 00:00:12.345: %SYS-5-CONFIG_I: x", 9000, "%SYS-5-CONFIG_I"),
            (b"<13>Oct 11 2003 22:14:15 host: x", 9000, "host"),
            (b"<0>1 - host app - - - x", 9000, "app"),
            (b"<6>kernel: something", 514, "kernel"),
        ] {
            let heard = testing::datagrams(datagram, &[(0, bytes)], [40_000, port]);
            assert_eq!(heard.verdict, Some(Verdict::Done), "{bytes:?}");
            if tag != "%SYS-5-CONFIG_I" {
                assert_eq!(heard.first(Fact::SyslogTag), tag, "{bytes:?}");
            }
        }
    }

    #[test]
    fn others_are_not_it() {
        for (bytes, port) in [
            (&b"<6>kernel: something"[..], 9000),
            (b"<192>Oct 11 22:14:15 x", 514),
            (b"<034>Oct 11 22:14:15 x", 514),
            (b"<34>\x00\x01\x02\x03\x04", 514),
            (b"<html>", 514),
            (b"<34>ab", 514),
            (b"", 514),
        ] {
            assert_eq!(
                testing::datagrams(datagram, &[(0, bytes)], [1, port]).verdict,
                Some(Verdict::No),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn streams_are_read_at_every_cut() {
        let framed = [b"58 ", NEW].concat();
        for bytes in [OLD, NEW, &framed] {
            for end in 1..bytes.len() {
                let part = testing::streams(streams, &bytes[..end], b"", 6514).verdict;
                assert!(matches!(part, Some(Verdict::More | Verdict::Done)), "{end}");
            }
            assert_eq!(testing::streams(streams, bytes, b"", 6514).verdict, Some(Verdict::Done));
        }
        assert_eq!(testing::streams(streams, b"<34>", b"220 x", 514).verdict, Some(Verdict::No));
        assert_eq!(testing::streams(streams, b"<stream:stream", b"", 514).verdict, Some(Verdict::No));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..50_usize, value: u8) {
            for original in [OLD, NEW] {
                let mut changed = original.to_vec();
                changed[at] = value;
                for sent in [&bytes, &changed] {
                    testing::datagrams(datagram, &[(0, sent)], [1, 514]);
                    testing::streams(streams, sent, b"", 514);
                }
            }
        }
    }
}
