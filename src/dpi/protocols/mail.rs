//! Mail: SMTP (RFC 5321) and LMTP, IMAP (RFC 9051), POP3 (RFC 1939), each with the TLS that it may turn to.
//!
//! The server speaks first. Its greeting tells, or the first commands do.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{
        Dialog, Lines, Ruling, Sign, Start, begins, either_way, find, is_text, number, reply_code, start,
        weigh, word,
    },
    notes::Notes,
    protocols::starttls,
    recogniser::Verdict,
    talk::Streams,
};

/// Commands of a session that are noted; then it is known well enough.
const MOST_COMMANDS: usize = 16;

/// Knows SMTP.
pub fn smtp(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, |dialog, notes| {
        let session = Session { tagged: false, last: &[b"DATA", b"BDAT", b"QUIT"] };
        session.judge(dialog, smtp_client(dialog.client), smtp_server(dialog.server, dialog.ended[1]), notes)
    })
}

/// Knows IMAP.
pub fn imap(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, |dialog, notes| {
        let session = Session { tagged: true, last: &[b"LOGOUT", b"IDLE", b"AUTHENTICATE"] };
        session.judge(dialog, imap_client(dialog.client), imap_server(dialog.server, dialog.ended[1]), notes)
    })
}

/// Knows POP3.
pub fn pop3(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, |dialog, notes| {
        let session = Session { tagged: false, last: &[b"QUIT"] };
        session.judge(dialog, pop3_client(dialog.client), pop3_server(dialog.server, dialog.ended[1]), notes)
    })
}

/// How a session is read once it is known.
struct Session {
    /// The client puts a tag before each command.
    tagged: bool,
    /// Nothing is worth reading behind these commands.
    last: &'static [&'static [u8]],
}

impl Session {
    fn judge(&self, dialog: &Dialog<'_>, client: Sign, server: Sign, notes: &mut Notes<'_>) -> Verdict {
        if let Ruling::Unknown(verdict) = weigh(dialog, client, server) {
            return verdict;
        }
        let greeting = Lines::until(dialog.server, dialog.ended[1]).next();
        if let Some(greeting) = greeting.filter(|line| is_text(line)) {
            notes.text(Fact::MailServer, greeting);
        }
        let mut lines = Lines::new(dialog.client);
        for _ in 0..MOST_COMMANDS {
            let rest = lines.rest();
            if lines.at() > 0 && start(rest, &[22, 3]) == Start::Full {
                return starttls::go_on(dialog, lines.at(), b'\n', notes);
            }
            let Some(line) = lines.next() else { return dialog.done_when_ended() };
            let command = word(if self.tagged { word(line).1 } else { line }).0;
            if (3..=16).contains(&command.len()) && command.iter().all(u8::is_ascii_alphabetic) {
                let mut upper = [0; 16];
                upper[..command.len()].copy_from_slice(command);
                let upper = &mut upper[..command.len()];
                upper.make_ascii_uppercase();
                notes.text(Fact::MailCommand, upper);
                if self.last.contains(&&*upper) {
                    break;
                }
            }
        }
        if greeting.is_some() { Verdict::Done } else { dialog.done_when_ended() }
    }
}

/// Returns whether a line begins with one of these words, letters of any case.
pub(crate) fn begins_with_any(line: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|word| begins(line, word))
}

/// Judges a client by its first line: it is one of `full`, one of `weak`, or not of the protocol.
pub(crate) fn client_sign(bytes: &[u8], full: &[&[u8]], weak: &[&[u8]]) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if !first.is_ascii_alphabetic() {
        return Sign::No;
    }
    let Some(line) = Lines::new(bytes).next() else {
        let possible = |word: &&[u8]| {
            let common = bytes.len().min(word.len());
            bytes[..common].eq_ignore_ascii_case(&word[..common])
        };
        return match full.iter().chain(weak).any(possible) && bytes.len() < 600 {
            true => Sign::Part,
            false => Sign::No,
        };
    };
    let fits = |word: &&[u8]| {
        begins(line, word) && matches!(line.get(word.len()), None | Some(b' '))
            || word.ends_with(b":") && begins(line, word)
    };
    if !is_text(line) {
        Sign::No
    } else if full.iter().any(fits) {
        Sign::Full
    } else if weak.iter().any(fits) {
        Sign::Weak
    } else {
        Sign::No
    }
}

/// Returns whether a line holds this word, letters of any case, between anything but letters and digits.
fn has_word(line: &[u8], wanted: &[u8]) -> bool {
    line.split(|byte| !byte.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case(wanted))
}

/// Returns whether the lines of a greeting name SMTP.
pub(crate) fn names_smtp(line: &[u8]) -> bool {
    [&b"ESMTP"[..], b"SMTP", b"LMTP", b"ESMTPS"].iter().any(|name| has_word(line, name))
        && find(line, b"FTP").is_none()
}

fn smtp_client(bytes: &[u8]) -> Sign {
    client_sign(bytes, &[b"EHLO", b"HELO", b"LHLO", b"MAIL FROM:", b"RCPT TO:"], &[b"VRFY", b"EXPN", b"RSET"])
}

fn smtp_server(bytes: &[u8], ended: bool) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if !matches!(first, b'2'..=b'5') {
        return Sign::No;
    }
    let mut sign = Sign::Part;
    for line in Lines::until(bytes, ended).take(8) {
        match reply_code(line) {
            Some(220 | 421 | 554) if names_smtp(line) => return Sign::Full,
            // Keywords of the answer to EHLO.
            Some(250) if begins_with_any(&line[3..], SMTP_KEYWORDS) => return Sign::Full,
            Some(220 | 250 | 421 | 554) if is_text(line) => sign = Sign::Weak,
            Some(354) if line.starts_with(b"354 ") && is_text(line) => sign = Sign::Weak,
            _ if sign == Sign::Weak => break,
            _ => return Sign::No,
        }
    }
    match sign {
        Sign::Part if bytes.len() >= 600 || !bytes.iter().take(3).all(u8::is_ascii_digit) => Sign::No,
        sign => sign,
    }
}

const SMTP_KEYWORDS: &[&[u8]] = &[
    b"-PIPELINING",
    b"-8BITMIME",
    b"-SIZE",
    b"-STARTTLS",
    b"-ENHANCEDSTATUSCODES",
    b"-CHUNKING",
    b"-SMTPUTF8",
    b"-AUTH ",
    b" 8BITMIME",
    b" STARTTLS",
    b" SMTPUTF8",
    b" CHUNKING",
    b" DSN",
];

fn imap_server(bytes: &[u8], ended: bool) -> Sign {
    match start(bytes, b"* ") {
        Start::Full => {}
        Start::Part => return Sign::Part,
        Start::No => return Sign::No,
    }
    let Some(line) = Lines::until(bytes, ended).next() else {
        return if bytes.len() < 1500 && bytes[2..].first().is_none_or(u8::is_ascii_alphanumeric) {
            Sign::Part
        } else {
            Sign::No
        };
    };
    let told = &line[2..];
    match told {
        _ if !is_text(line) => Sign::No,
        _ if begins_with_any(told, &[b"OK ", b"PREAUTH ", b"BYE ", b"CAPABILITY IMAP4"]) => Sign::Full,
        _ if begins_with_any(told, &[b"LIST (", b"LSUB (", b"FLAGS (", b"STATUS ", b"SEARCH"]) => Sign::Weak,
        // `* 23 EXISTS`
        _ => match word(told) {
            (count, what) if number(count).is_some() => {
                match begins_with_any(what, &[b"EXISTS", b"RECENT", b"EXPUNGE", b"FETCH ("]) {
                    true => Sign::Full,
                    false => Sign::No,
                }
            }
            _ => Sign::No,
        },
    }
}

fn imap_client(bytes: &[u8]) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if !first.is_ascii_alphanumeric() {
        return Sign::No;
    }
    let head = &bytes[..bytes.len().min(24)];
    let Some(blank) = memchr::memchr(b' ', head) else {
        let tag = bytes.len() < 20 && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.');
        return if tag { Sign::Part } else { Sign::No };
    };
    if !bytes[..blank].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.') {
        return Sign::No;
    }
    const FULL: &[&[u8]] = &[
        b"CAPABILITY",
        b"AUTHENTICATE",
        b"LOGIN",
        b"STARTTLS",
        b"NAMESPACE",
        b"SELECT",
        b"EXAMINE",
        b"LOGOUT",
    ];
    const WEAK: &[&[u8]] = &[
        b"ID",
        b"NOOP",
        b"LIST",
        b"LSUB",
        b"UID",
        b"FETCH",
        b"STATUS",
        b"IDLE",
        b"ENABLE",
        b"XLIST",
        b"CLOSE",
        b"CREATE",
        b"SEARCH",
        b"STORE",
        b"APPEND",
        b"EXPUNGE",
        b"CHECK",
        b"COPY",
        b"GETQUOTAROOT",
        b"COMPRESS",
    ];
    match bytes[blank + 1..].first() {
        None => Sign::Part,
        // `AUTH LOGIN` of SMTP is no tag with a command.
        Some(_) if bytes[..blank].eq_ignore_ascii_case(b"AUTH") => Sign::No,
        Some(_) => client_sign(&bytes[blank + 1..], FULL, WEAK),
    }
}

fn pop3_server(bytes: &[u8], ended: bool) -> Sign {
    match crate::dpi::lines::start_of_any(bytes, &[b"+OK", b"-ERR"]) {
        Start::Full => {}
        Start::Part => return Sign::Part,
        Start::No => return Sign::No,
    }
    let Some(line) = Lines::until(bytes, ended).next() else {
        return if bytes.len() < 600 { Sign::Part } else { Sign::No };
    };
    // Redis says a bare `+OK` too, and errors with `-ERR`; only here a text follows `+OK`.
    match line {
        _ if !is_text(line) => Sign::No,
        [b'+', _, _, b' ', ..] if line.len() > 4 => Sign::Full,
        b"+OK" | b"-ERR" | [b'-', _, _, _, b' ', ..] => Sign::Weak,
        [b'+', _, _, b' '] => Sign::Weak,
        _ => Sign::No,
    }
}

fn pop3_client(bytes: &[u8]) -> Sign {
    const WEAK: &[&[u8]] = &[
        b"USER", b"APOP", b"CAPA", b"AUTH", b"STLS", b"QUIT", b"NOOP", b"PASS", b"STAT", b"LIST", b"UIDL",
        b"RETR", b"TOP", b"DELE",
    ];
    match client_sign(bytes, &[], WEAK) {
        // Alone, a login counts when commands follow that FTP does not have.
        Sign::Weak => {
            let own = |line: &[u8]| begins_with_any(line, &[b"UIDL", b"CAPA", b"STLS", b"APOP ", b"TOP "]);
            let signs = Lines::new(bytes).take(6).filter(|line| own(line)).count();
            let all = Lines::new(bytes).take(6).all(|line| begins_with_any(line, WEAK));
            if signs > 0 && all && Lines::new(bytes).nth(1).is_some() { Sign::Full } else { Sign::Weak }
        }
        sign => sign,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, recogniser::OfStreams, testing};

    const SMTP_CLIENT: &[u8] = b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n";
    const SMTP_SERVER: &[u8] = b"220 mx.example ESMTP\r\n250-mx\r\n250 SIZE 1\r\n250 ok\r\n";
    const IMAP_CLIENT: &[u8] = b"a1 CAPABILITY\r\na2 login u p\r\na3 LOGOUT\r\n";
    const IMAP_SERVER: &[u8] = b"* OK [CAPABILITY IMAP4rev1] ready\r\na1 OK\r\n";
    const POP3_CLIENT: &[u8] = b"CAPA\r\nUSER u\r\nPASS p\r\nQUIT\r\n";
    const POP3_SERVER: &[u8] = b"+OK ready <1@x>\r\n+OK\r\n";
    const ALL: [(OfStreams, &[u8], &[u8]); 3] = [
        (smtp, SMTP_CLIENT, SMTP_SERVER),
        (imap, IMAP_CLIENT, IMAP_SERVER),
        (pop3, POP3_CLIENT, POP3_SERVER),
    ];

    #[test]
    fn sessions_are_read() {
        for ((ask, client, server), commands) in ALL.into_iter().zip([
            &["EHLO", "MAIL", "RCPT", "DATA"][..],
            &["CAPABILITY", "LOGIN", "LOGOUT"],
            &["CAPA", "USER", "PASS", "QUIT"],
        ]) {
            let heard = testing::streams(ask, client, server, 99);
            assert_eq!(heard.verdict, Some(Verdict::Done));
            assert_eq!(heard.values(Fact::MailCommand), commands);
            assert_eq!(heard.first(Fact::MailServer).as_bytes(), Lines::new(server).next().unwrap());
            every_cut(ask, client, server, 99);
        }
    }

    #[test]
    fn each_is_only_itself() {
        for (mine, (ask, ..)) in ALL.into_iter().enumerate() {
            for (other, (_, client, server)) in ALL.into_iter().enumerate() {
                let known = matches!(
                    testing::streams(ask, client, server, 25).verdict,
                    Some(Verdict::Is | Verdict::Done)
                );
                assert_eq!(known, mine == other, "{mine} {other}");
            }
        }
    }

    #[test]
    fn others_are_not_mail() {
        for (client, server) in [
            (&b"USER anonymous\r\nPASS x\r\n"[..], &b"220 ready\r\n331 password\r\n"[..]),
            (b"USER u\r\n", b"220 x FTP server\r\n"),
            (b"SET a b\r\n", b"+OK\r\n"),
            (b"*1\r\n$4\r\nPING\r\n", b"+OK\r\n-ERR x\r\n"),
            (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
            (b"NICK a\r\nUSER a b c :d\r\n", b":x 001 a :hi\r\n"),
            (b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x03\x00\x10\x02"),
        ] {
            for (ask, ..) in ALL {
                assert_eq!(
                    testing::streams(ask, client, server, 25).verdict,
                    Some(Verdict::No),
                    "{server:?}"
                );
            }
        }
    }

    #[test]
    fn a_bare_greeting_waits_for_the_client() {
        let verdict = |client: &[u8]| testing::streams(smtp, client, b"220 welcome\r\n", 25).verdict;
        assert_eq!(verdict(b""), Some(Verdict::More));
        assert_eq!(verdict(b"EHLO x\r\n"), Some(Verdict::Is));
        assert_eq!(verdict(b"USER x\r\n"), Some(Verdict::No));
    }

    #[test]
    fn seen_from_the_middle_either_side_may_be_the_client() {
        let mut heard = testing::Heard::default();
        let talk = Streams {
            bytes: [SMTP_SERVER, b""],
            ended: [false; 2],
            total: [50, 0],
            client: 0,
            opened: false,
            ports: [25, 40_000],
        };
        let mut notes = Notes::new(&mut heard);
        assert_eq!((smtp(&talk, &mut notes), notes.client), (Verdict::Is, Some(1)));
    }

    #[test]
    fn a_greeting_captured_in_part_is_read_as_far_as_it_goes() {
        let ask = |ask: OfStreams, client: &[u8], server: &[u8]| {
            let mut heard = testing::Heard::default();
            let talk = Streams {
                bytes: [client, server],
                ended: [false, true],
                total: [client.len() as u64, 200],
                client: 0,
                opened: true,
                ports: [50_000, 25],
            };
            ask(&talk, &mut Notes::new(&mut heard))
        };
        assert_eq!(ask(smtp, b"", b"220 mx.example ESMTP Pos"), Verdict::Is);
        assert_eq!(ask(smtp, b"", b"220 mail.of.a.long.na"), Verdict::More);
        assert_eq!(ask(smtp, b"EHLO me\r\n", b"220 mail.of.a.long.na"), Verdict::Is);
        assert_eq!(ask(smtp, b"USER me\r\n", b"220 mail.of.a.long.na"), Verdict::No);
        assert_eq!(ask(imap, b"", b"* OK [CAPABILITY IM"), Verdict::Is);
        assert_eq!(ask(pop3, b"", b"+OK ready at mail.exa"), Verdict::Is);
        let ftp = crate::dpi::protocols::ftp::streams;
        assert_eq!(ask(ftp, b"USER me\r\n", b"220---------- Welco"), Verdict::Is);
    }

    #[test]
    fn tls_within_is_flagged() {
        for (ask, client, server) in [
            (smtp as OfStreams, &b"EHLO a\r\nSTARTTLS\r\n"[..], SMTP_SERVER),
            (imap, b"1 STARTTLS\r\n", IMAP_SERVER),
            (pop3, b"STLS\r\n", POP3_SERVER),
        ] {
            let record = [22, 3, 1, 0, 4, 1, 0, 0, 0];
            let heard = testing::streams(ask, &[client, &record].concat(), server, 25);
            assert_eq!(heard.first(Fact::StartTls), "true");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..40_usize, value: u8) {
            for (ask, client, server) in ALL {
                testing::streams(ask, &bytes, &bytes, 25);
                for original in [client, server] {
                    let mut changed = original.to_vec();
                    if let Some(byte) = changed.get_mut(at) {
                        *byte = value;
                    }
                    testing::streams(ask, &changed, server, 25);
                    testing::streams(ask, client, &changed, 25);
                }
            }
        }
    }

    #[test]
    fn a_login_of_smtp_is_not_one_of_imap() {
        let late = |ask| testing::late(ask, b"AUTH LOGIN\r\n", b"334 VXNlcm5hbWU6\r\n", 25).verdict;
        assert_eq!(late(imap), Some(Verdict::No));
    }
}
