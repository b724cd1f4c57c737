//! FTP's control connection (RFC 959), with AUTH TLS (RFC 4217).
//!
//! It greets with 220 as SMTP does; so the greeting has to name FTP, or commands and codes have to be FTP's own.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{
        Dialog, Lines, Ruling, Sign, Start, begins, either_way, is_text, reply_code, start, weigh, word,
    },
    notes::Notes,
    protocols::{
        mail::{begins_with_any, client_sign, names_smtp},
        starttls,
    },
    recogniser::Verdict,
    talk::Streams,
};

/// Commands that are noted; then the session is known well enough.
const MOST_COMMANDS: usize = 16;

/// Commands of FTP that no protocol with the same greeting has.
const OWN: &[&[u8]] = &[
    b"SYST", b"FEAT", b"PASV", b"EPSV", b"PORT", b"EPRT", b"CWD", b"PWD", b"XPWD", b"MKD", b"RMD", b"TYPE",
    b"OPTS", b"PBSZ", b"PROT", b"CLNT", b"SITE", b"STOR", b"NLST", b"MLSD", b"SIZE", b"MDTM", b"ACCT",
    b"REIN", b"CDUP",
];
/// Commands that others have too.
const SHARED: &[&[u8]] = &[
    b"USER", b"PASS", b"AUTH", b"HOST", b"LIST", b"RETR", b"STAT", b"HELP", b"NOOP", b"QUIT", b"DELE",
    b"ABOR",
];

/// Knows FTP.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, judge)
}

fn judge(dialog: &Dialog<'_>, notes: &mut Notes<'_>) -> Verdict {
    if let Ruling::Unknown(verdict) =
        weigh(dialog, client(dialog.client), server(dialog.server, dialog.ended[1]))
    {
        return verdict;
    }
    let mut lines = Lines::new(dialog.client);
    for _ in 0..MOST_COMMANDS {
        if lines.at() > 0 && start(lines.rest(), &[22, 3]) == Start::Full {
            return starttls::go_on(dialog, lines.at(), b'\n', notes);
        }
        let Some(line) = lines.next() else { return dialog.done_when_ended() };
        let (command, argument) = word(line);
        if (3..=4).contains(&command.len()) && command.iter().all(u8::is_ascii_alphabetic) {
            let mut upper = [0; 4];
            upper[..command.len()].copy_from_slice(command);
            upper.make_ascii_uppercase();
            notes.text(Fact::FtpCommand, &upper[..command.len()]);
            if &upper == b"USER" && !argument.is_empty() && is_text(argument) {
                notes.text(Fact::FtpUser, argument);
            }
            if &upper == b"QUIT" {
                break;
            }
        }
    }
    Verdict::Done
}

fn client(bytes: &[u8]) -> Sign {
    match client_sign(bytes, OWN, SHARED) {
        // The first line alone would be a short sign: a second one has to fit too.
        sign @ (Sign::Full | Sign::Weak) => {
            let mut own = 0;
            for (nth, line) in Lines::new(bytes).take(8).enumerate() {
                if nth > 0 && start(line, &[22, 3]) == Start::Full {
                    break;
                }
                let command = word(line).0;
                let among = |list: &[&[u8]]| list.iter().any(|known| command.eq_ignore_ascii_case(known));
                if among(OWN) {
                    own += 1;
                } else if !among(SHARED) {
                    return if sign == Sign::Full || own > 0 { Sign::Weak } else { sign };
                }
                if nth > 0 && own > 0 {
                    return Sign::Full;
                }
            }
            Sign::Weak
        }
        sign => sign,
    }
}

fn server(bytes: &[u8], ended: bool) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if !matches!(first, b'1'..=b'5') {
        return Sign::No;
    }
    let mut sign = Sign::Part;
    for line in Lines::until(bytes, ended).take(16) {
        match reply_code(line) {
            Some(220 | 230 | 421) if names_smtp(line) => return Sign::No,
            Some(220 | 421 | 530) if names_ftp(line) => return Sign::Full,
            Some(227) if begins(&line[3..], b" Entering Passive Mode (") => return Sign::Full,
            Some(229) if begins(&line[3..], b" Entering Extended Passive Mode (") => return Sign::Full,
            Some(215) if begins_with_any(&line[3..], &[b" UNIX Type:", b" Windows_NT"]) => return Sign::Full,
            Some(331) if begins_with_any(&line[3..], PASSWORD) => return Sign::Full,
            // Of the protocols that greet so, this one alone has a code for encryption that begins (RFC 4217).
            Some(234) if sign == Sign::Weak && is_text(line) => return Sign::Full,
            Some(220 | 230 | 331 | 332 | 421 | 530 | 234) if is_text(line) => sign = Sign::Weak,
            // Within a greeting of several lines (RFC 959 section 4.2) anything may stand.
            _ if sign == Sign::Weak => {}
            _ => return Sign::No,
        }
    }
    match sign {
        Sign::Part if bytes.len() >= 600 || !bytes.iter().take(3).all(u8::is_ascii_digit) => Sign::No,
        sign => sign,
    }
}

const PASSWORD: &[&[u8]] =
    &[b" Please specify the password", b" Password required", b" Guest login ok", b" Anonymous"];

/// Returns whether a greeting has `ftp` in it, letters of any case.
fn names_ftp(line: &[u8]) -> bool {
    line.windows(3).any(|part| part.eq_ignore_ascii_case(b"ftp")) && is_text(line)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const CLIENT: &[u8] = b"USER anonymous\r\nPASS x@y\r\nSYST\r\nPASV\r\nQUIT\r\n";
    const SERVER: &[u8] = b"220-Welcome\r\n to this host\r\n220 (vsFTPd 3.0.3)\r\n331 go on\r\n";

    #[test]
    fn session_is_read() {
        let heard = testing::streams(streams, CLIENT, SERVER, 2121);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!(heard.values(Fact::FtpCommand), ["USER", "PASS", "SYST", "PASV", "QUIT"]);
        assert_eq!(heard.first(Fact::FtpUser), "anonymous");
        every_cut(streams, CLIENT, SERVER, 21);
    }

    #[test]
    fn a_server_that_turns_to_tls() {
        let server = b"220 \"Authorized users only\"\r\n234 Proceed with negotiation.\r\n";
        assert_eq!(testing::streams(streams, b"", server, 21).verdict, Some(Verdict::Is));
    }

    #[test]
    fn signs() {
        for (client, server, verdict) in [
            (&b""[..], &b"220 Microsoft FTP Service\r\n"[..], Verdict::Is),
            (b"", b"220 hello\r\n", Verdict::More),
            (b"USER a\r\n", b"220 hello\r\n", Verdict::Is),
            (b"AUTH TLS\r\n", b"220 hello\r\n", Verdict::Is),
            (b"EHLO a\r\n", b"220 hello\r\n", Verdict::No),
            (b"EHLO a\r\n", b"220 ftp.example ESMTP\r\n", Verdict::No),
            (b"USER a\r\nPASS b\r\n", b"+OK\r\n", Verdict::No),
            (b"USER a\r\nPASS b\r\n", b"", Verdict::More),
            (b"USER a\r\nPASS b\r\nSYST\r\n", b"", Verdict::Is),
            (b"USER a b c :d\r\nNICK x\r\n", b":x NOTICE y\r\n", Verdict::No),
            (b"GET / HTTP/1.1\r\n", b"", Verdict::No),
            (b"\x16\x03\x01", b"", Verdict::No),
            (b"", b"200 nntp\r\n", Verdict::No),
        ] {
            assert_eq!(
                testing::streams(streams, client, server, 21).verdict,
                Some(verdict),
                "{client:?} {server:?}"
            );
        }
    }

    #[test]
    fn tls_within_is_flagged() {
        let client = [&b"AUTH TLS\r\n"[..], &[22, 3, 1, 0, 4, 1, 0, 0, 0]].concat();
        let heard = testing::streams(streams, &client, b"220 x\r\n234 go\r\n", 21);
        assert_eq!(heard.first(Fact::StartTls), "true");
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..40_usize, value: u8) {
            testing::streams(streams, &bytes, &bytes, 21);
            let (mut client, mut server) = (CLIENT.to_vec(), SERVER.to_vec());
            client[at] = value;
            server[at] = value;
            testing::streams(streams, &client, SERVER, 21);
            testing::streams(streams, CLIENT, &server, 21);
        }
    }
}
