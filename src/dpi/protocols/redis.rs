//! Redis: RESP2 and RESP3.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, Lines, Ruling, Sign, either_way, is_text, number, weigh, word},
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

/// Commands that are looked for when a client does not frame them.
const INLINE: &[&[u8]] = &[
    b"PING",
    b"INFO",
    b"AUTH",
    b"GET",
    b"SET",
    b"SELECT",
    b"KEYS",
    b"CONFIG",
    b"COMMAND",
    b"HELLO",
    b"CLIENT",
    b"MONITOR",
    b"FLUSHALL",
    b"SAVE",
    b"SLAVEOF",
    b"REPLICAOF",
    b"PSYNC",
    b"SYNC",
    b"DEL",
    b"EXISTS",
    b"INCR",
    b"DBSIZE",
    b"SUBSCRIBE",
    b"PUBLISH",
    b"ECHO",
    b"EVAL",
    b"TIME",
    b"ROLE",
    b"QUIT",
    b"MODULE",
];

/// Knows Redis by an array of commands from the client, or by a bare command and an answer that fits.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, judge)
}

fn judge(dialog: &Dialog<'_>, notes: &mut Notes<'_>) -> Verdict {
    let (client, command) = client(dialog.client);
    if let Ruling::Unknown(verdict) = weigh(dialog, client, server(dialog.server)) {
        return verdict;
    }
    match command {
        Some(command) => {
            let mut upper = [0; 24];
            let upper = &mut upper[..command.len().min(24)];
            upper.copy_from_slice(&command[..command.len().min(24)]);
            upper.make_ascii_uppercase();
            notes.text(Fact::Detail, upper);
            Verdict::Done
        }
        None => dialog.done_when_ended(),
    }
}

/// `*2\r\n$3\r\nGET\r\n...`: lengths that fit and a word, or a line with a known word.
fn client(bytes: &[u8]) -> (Sign, Option<&[u8]>) {
    const NO: (Sign, Option<&[u8]>) = (Sign::No, None);
    const PART: (Sign, Option<&[u8]>) = (Sign::Part, None);
    let Some(first) = bytes.first() else { return PART };
    let mut lines = Lines::new(bytes);
    if *first != b'*' {
        if !first.is_ascii_alphabetic() {
            return NO;
        }
        let fits = |line: &[u8]| INLINE.iter().any(|name| name.eq_ignore_ascii_case(word(line).0));
        return match lines.next() {
            Some(line) if fits(line) && is_text(line) => (Sign::Weak, Some(word(line).0)),
            None => match bytes.strip_suffix(b"\r").unwrap_or(bytes) {
                name if name.len() < 12 && name.iter().all(u8::is_ascii_alphabetic) => PART,
                line if fits(line) && line.len() < 1024 => PART,
                _ => NO,
            },
            _ => NO,
        };
    }
    let Some(count) = lines.next() else {
        let digits = bytes[1..].strip_suffix(b"\r").unwrap_or(&bytes[1..]);
        return if digits.len() <= 6 && digits.iter().all(u8::is_ascii_digit) { PART } else { NO };
    };
    if number(&count[1..]).is_none_or(|count| count == 0) {
        return NO;
    }
    let rest = lines.rest();
    let Some(len) = lines.next() else {
        let digits = rest.strip_suffix(b"\r").unwrap_or(rest);
        let fits = digits.is_empty()
            || digits[0] == b'$' && digits.len() <= 4 && digits[1..].iter().all(u8::is_ascii_digit);
        return if fits { PART } else { NO };
    };
    let Some(len) =
        len.strip_prefix(b"$").and_then(number).map(|len| len as usize).filter(|len| (1..=24).contains(len))
    else {
        return NO;
    };
    let rest = lines.rest();
    let name = &rest[..rest.len().min(len)];
    let shaped = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    match rest.get(len..len + 2) {
        _ if !shaped => NO,
        Some(b"\r\n") => (Sign::Full, Some(name)),
        Some(_) => NO,
        None => PART,
    }
}

/// An answer: its first line has a type and what belongs to it.
fn server(bytes: &[u8]) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if !matches!(first, b'+' | b'-' | b':' | b'$' | b'*' | b'%' | b'_' | b'#' | b',' | b'~' | b'>') {
        return Sign::No;
    }
    let Some(line) = Lines::new(bytes).next() else {
        let text = is_text(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        return if bytes.len() < 600 && text { Sign::Part } else { Sign::No };
    };
    let rest = &line[1..];
    let count = rest == b"-1" || number(rest).is_some();
    match first {
        b'+' if rest == b"PONG" => Sign::Full,
        b'-' if [
            &b"NOAUTH "[..],
            b"WRONGTYPE ",
            b"MOVED ",
            b"DENIED Redis",
            b"ERR unknown command",
            b"LOADING Redis",
            b"WRONGPASS ",
        ]
        .iter()
        .any(|error| rest.starts_with(error)) =>
        {
            Sign::Full
        }
        b'+' | b'-' | b',' if !rest.is_empty() && is_text(rest) => Sign::Weak,
        b':' | b'$' | b'*' | b'%' | b'~' | b'>' if count => Sign::Weak,
        b'_' if rest.is_empty() => Sign::Weak,
        b'#' if matches!(rest, b"t" | b"f") => Sign::Weak,
        _ => Sign::No,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const SET: &[u8] = b"*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\nb\r\n";

    #[test]
    fn signs() {
        for (client, server, verdict) in [
            (SET, &b""[..], Verdict::Done),
            (b"PING\r\n", b"", Verdict::More),
            (b"PING\r\n", b"+PONG\r\n", Verdict::Done),
            (b"GET a\r\n", b"$-1\r\n", Verdict::Done),
            (b"GET /x\r\n", b"<html>\r\n", Verdict::No),
            (b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", Verdict::No),
            (b"USER x\r\n", b"+OK\r\n", Verdict::No),
            (b"*x\r\n", b"", Verdict::No),
            (b"*1\r\n$3\r\nGE\x01\r\n", b"", Verdict::No),
            (b"*1\r\n$3\r\nGETX\r\n", b"", Verdict::No),
            (b"\x16\x03", b"", Verdict::No),
        ] {
            assert_eq!(
                testing::streams(streams, client, server, 6379).verdict,
                Some(verdict),
                "{client:?} {server:?}"
            );
        }
        assert_eq!(testing::streams(streams, SET, b"+OK\r\n", 1).first(Fact::Detail), "SET");
        every_cut(streams, SET, b"+OK\r\n", 6379);
        every_cut(streams, b"PING\r\n", b"+PONG\r\n", 6379);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..25_usize, value: u8) {
            testing::streams(streams, &bytes, &bytes, 6379);
            let mut changed = SET.to_vec();
            changed[at] = value;
            testing::streams(streams, &changed, &changed, 6379);
        }
    }
}
