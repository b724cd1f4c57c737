//! IRC (RFC 1459, RFC 2812, IRCv3 capabilities).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, Lines, Ruling, Sign, begins, either_way, is_text, number, weigh, word},
    notes::Notes,
    protocols::mail::begins_with_any,
    recogniser::Verdict,
    talk::Streams,
};

/// Lines of a client that are looked through for its nick.
const MOST_LINES: usize = 8;
/// Bytes of a line at most: 512, and as many of IRCv3 tags.
const LONGEST_LINE: usize = 1024;

/// Knows IRC.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, judge)
}

fn judge(dialog: &Dialog<'_>, notes: &mut Notes<'_>) -> Verdict {
    if let Ruling::Unknown(verdict) =
        weigh(dialog, client(dialog.client, dialog.ended[0]), server(dialog.server, dialog.ended[1]))
    {
        return verdict;
    }
    let mut lines = Lines::new(dialog.client);
    for _ in 0..MOST_LINES {
        let Some(line) = lines.next() else { return dialog.done_when_ended() };
        if begins(line, b"NICK ") && is_text(line) {
            notes.text(Fact::IrcNick, word(line).1.strip_prefix(b":").unwrap_or(word(line).1));
            return Verdict::Done;
        }
    }
    Verdict::Done
}

fn client(bytes: &[u8], ended: bool) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if !matches!(first.to_ascii_uppercase(), b'A' | b'C' | b'J' | b'M' | b'N' | b'P' | b'Q' | b'U' | b'W') {
        return Sign::No;
    }
    let mut weak = 0;
    for line in Lines::until(bytes, ended).take(MOST_LINES) {
        if !is_text(line) {
            return Sign::No;
        }
        if begins_with_any(
            line,
            &[b"CAP LS", b"CAP REQ ", b"CAP END", b"JOIN #", b"JOIN &", b"PRIVMSG ", b"WHOIS "],
        ) || is_user(line)
        {
            return Sign::Full;
        }
        if !begins_with_any(
            line,
            &[b"NICK ", b"PASS ", b"PING ", b"PONG ", b"MODE ", b"AUTHENTICATE ", b"QUIT"],
        ) {
            return Sign::No;
        }
        weak += 1;
    }
    match weak {
        0 if bytes.len() > LONGEST_LINE => Sign::No,
        0 => Sign::Part,
        _ => Sign::Weak,
    }
}

/// `USER name mode unused :real name` (RFC 2812 section 3.1.3): four parameters, as nobody else has them.
fn is_user(line: &[u8]) -> bool {
    begins(line, b"USER ")
        && line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).nth(4).is_some()
}

fn server(bytes: &[u8], ended: bool) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if !matches!(first, b':' | b'N' | b'P' | b'E') {
        return Sign::No;
    }
    let Some(line) = Lines::until(bytes, ended).next() else {
        let short = bytes.len() < LONGEST_LINE && is_text(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        return if short { Sign::Part } else { Sign::No };
    };
    if !is_text(line) {
        return Sign::No;
    }
    if begins_with_any(line, &[b"NOTICE AUTH :", b"NOTICE * :", b"ERROR :Closing Link"]) {
        return Sign::Full;
    }
    if begins(line, b"PING :") {
        return Sign::Weak;
    }
    // `:irc.example.org 001 nick :Welcome` or `:nick!user@host PRIVMSG #channel :text`
    let Some(prefixed) = line.strip_prefix(b":") else { return Sign::No };
    let (prefix, rest) = word(prefixed);
    let (command, parameters) = word(rest);
    let numeric = command.len() == 3 && number(command).is_some();
    const COMMANDS: &[&[u8]] = &[
        b"NOTICE", b"PRIVMSG", b"JOIN", b"MODE", b"NICK", b"QUIT", b"PART", b"CAP", b"PONG", b"KICK",
        b"TOPIC",
    ];
    match !prefix.is_empty() && !parameters.is_empty() && (numeric || COMMANDS.contains(&command)) {
        true => Sign::Full,
        false => Sign::No,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const CLIENT: &[u8] = b"PASS x\r\nNICK me\r\nUSER me 0 * :Me Too\r\n";
    const SERVER: &[u8] = b":irc.example NOTICE * :*** Looking up\r\n:irc.example 001 me :Welcome\r\n";

    #[test]
    fn session_is_read() {
        let heard = testing::streams(streams, CLIENT, SERVER, 6667);
        assert_eq!((heard.verdict, heard.first(Fact::IrcNick)), (Some(Verdict::Done), "me"));
        every_cut(streams, CLIENT, SERVER, 6667);
    }

    #[test]
    fn signs() {
        for (client, server, verdict) in [
            (&b"NICK a\r\n"[..], &b""[..], Verdict::More),
            (b"NICK a\r\nUSER a b c :d\r\n", b"", Verdict::Done),
            (b"CAP LS 302\r\n", b"", Verdict::Is),
            (b"", b":a!b@c PRIVMSG #d :e\r\n", Verdict::Is),
            (b"", b"PING :1\r\n", Verdict::More),
            (b"USER anonymous\r\nPASS x\r\n", b"220 ready\r\n", Verdict::No),
            (b"POST / HTTP/1.1\r\n", b"", Verdict::No),
            (b"", b":\r\n", Verdict::No),
            (b"\x16\x03", b"", Verdict::No),
        ] {
            assert_eq!(
                testing::streams(streams, client, server, 21).verdict,
                Some(verdict),
                "{client:?} {server:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            testing::streams(streams, &bytes, &bytes, 6667);
            testing::streams(streams, &[b"NICK ", &bytes[..]].concat(), &[b":a ", &bytes[..]].concat(), 6667);
        }
    }

    #[test]
    fn a_line_that_was_cut() {
        let heard = testing::cut(streams, b"USER a 0 * :so", 100, 6667);
        assert_eq!(heard.verdict, Some(Verdict::Is));
        assert_eq!(testing::cut(streams, b"USER a", 100, 6667).verdict, Some(Verdict::No));
    }
}
