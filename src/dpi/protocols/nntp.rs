//! NNTP (RFC 3977), with STARTTLS (RFC 4642).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, Lines, Ruling, Sign, Start, either_way, find, is_text, reply_code, start, weigh},
    notes::Notes,
    protocols::{mail::client_sign, starttls},
    recogniser::Verdict,
    talk::Streams,
};

/// Lines of a client after which no TLS is expected any more.
const MOST_LINES: usize = 8;

/// Knows NNTP.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, judge)
}

fn judge(dialog: &Dialog<'_>, notes: &mut Notes<'_>) -> Verdict {
    const OWN: &[&[u8]] = &[
        b"MODE READER",
        b"AUTHINFO USER",
        b"AUTHINFO SASL",
        b"MODE STREAM",
        b"CAPABILITIES",
        b"XOVER",
        b"NEWGROUPS",
        b"LIST ACTIVE",
        b"LIST NEWSGROUPS",
    ];
    const SHARED: &[&[u8]] = &[
        b"GROUP",
        b"ARTICLE",
        b"LIST",
        b"HEAD",
        b"BODY",
        b"STAT",
        b"OVER",
        b"NEWNEWS",
        b"IHAVE",
        b"CHECK",
        b"TAKETHIS",
        b"POST",
        b"DATE",
        b"HELP",
        b"QUIT",
        b"STARTTLS",
        b"LISTGROUP",
        b"XHDR",
        b"XFEATURE",
    ];
    let client = client_sign(dialog.client, OWN, SHARED);
    if let Ruling::Unknown(verdict) = weigh(dialog, client, server(dialog.server)) {
        return verdict;
    }
    let greeting = Lines::new(dialog.server).next();
    if let Some(greeting) = greeting {
        notes.text(Fact::Detail, greeting);
    }
    let mut lines = Lines::new(dialog.client);
    for _ in 0..MOST_LINES {
        if lines.at() > 0 && start(lines.rest(), &[22, 3]) == Start::Full {
            return starttls::go_on(dialog, lines.at(), b'\n', notes);
        }
        if lines.next().is_none() {
            return dialog.done_when_ended();
        }
    }
    if greeting.is_some() { Verdict::Done } else { dialog.done_when_ended() }
}

/// A greeting: 200 or 201 (RFC 3977 section 5.1).
fn server(bytes: &[u8]) -> Sign {
    match start(bytes, b"20") {
        Start::Full => {}
        Start::Part => return Sign::Part,
        Start::No => return Sign::No,
    }
    let Some(line) = Lines::new(bytes).next() else {
        let short = bytes.len() < 600 && is_text(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        return if short { Sign::Part } else { Sign::No };
    };
    match reply_code(line) {
        Some(200 | 201) if is_text(line) => {
            match [&b"NNTP"[..], b"InterNetNews", b"NNRP"].iter().any(|name| find(line, name).is_some()) {
                true => Sign::Full,
                false => Sign::Weak,
            }
        }
        _ => Sign::No,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    #[test]
    fn signs() {
        for (client, server, verdict) in [
            (&b""[..], &b"200 news.example InterNetNews NNRP server\r\n"[..], Verdict::Is),
            (b"", b"200 hello\r\n", Verdict::More),
            (b"GROUP a.b\r\n", b"201 hello\r\n", Verdict::Is),
            (b"MODE READER\r\n", b"", Verdict::Is),
            (b"GET / HTTP/1.1\r\n", b"", Verdict::No),
            (b"EHLO x\r\n", b"220 x\r\n", Verdict::No),
            (b"\x16\x03\x01", b"", Verdict::No),
        ] {
            assert_eq!(
                testing::streams(streams, client, server, 119).verdict,
                Some(verdict),
                "{client:?} {server:?}"
            );
        }
        every_cut(streams, b"GROUP a\r\nQUIT\r\n", b"200 hi\r\n211 1 1 1 a\r\n", 119);
    }

    #[test]
    fn tls_within_is_flagged() {
        let client = [&b"STARTTLS\r\n"[..], &[22, 3, 1, 0, 4, 1, 0, 0, 0]].concat();
        let heard = testing::streams(streams, &client, b"200 x\r\n382 go\r\n", 119);
        assert_eq!(heard.first(Fact::StartTls), "true");
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            testing::streams(streams, &bytes, &bytes, 119);
            testing::streams(streams, &[b"GROUP ", &bytes[..]].concat(), &[b"200 ", &bytes[..]].concat(), 119);
        }
    }
}
