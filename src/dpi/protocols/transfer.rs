//! rsync's daemon protocol and Git's own: both begin with an unmistakable line.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, Lines, Ruling, Sign, Start, either_way, is_text, start, weigh},
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

/// Knows rsync: each side begins with `@RSYNCD: 31.0`.
pub fn rsync(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let sign = |bytes: &[u8]| match start(bytes, b"@RSYNCD: ") {
        Start::No => Sign::No,
        Start::Part => Sign::Part,
        Start::Full => Sign::Full,
    };
    if talk.bytes.iter().all(|bytes| !bytes.is_empty() && sign(bytes) == Sign::No) {
        return Verdict::No;
    }
    match [sign(talk.bytes[0]), sign(talk.bytes[1])] {
        [Sign::Full, _] | [_, Sign::Full] => {}
        [Sign::Part, Sign::Part] if talk.ended != [true; 2] => return Verdict::More,
        _ => return Verdict::No,
    }
    // The client's second line is the module that it asks for.
    let mut lines = Lines::new(talk.of_client());
    match (lines.next(), lines.next()) {
        (Some(_), Some(module)) => {
            if is_text(module) && !module.is_empty() {
                notes.text(Fact::Detail, module);
            }
            Verdict::Done
        }
        _ if talk.ended[talk.client] => Verdict::Done,
        _ => Verdict::Is,
    }
}

/// Knows Git: a packet line (gitprotocol-pack, "git transport") that asks for a service.
pub fn git(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, |dialog: &Dialog<'_>, notes| {
        let (sign, path) = git_request(dialog.client);
        let server = if dialog.server.is_empty() { Sign::Part } else { git_line(dialog.server) };
        if let Ruling::Unknown(verdict) = weigh(dialog, sign, server) {
            return verdict;
        }
        if let Some(path) = path {
            notes.text(Fact::Detail, path);
        }
        Verdict::Done
    })
}

/// Returns the length that begins a packet line: four hexadecimal digits.
fn git_len(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.first_chunk::<4>()?;
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    usize::from_str_radix(text, 16).ok()
}

/// `0033git-upload-pack /project.git\0host=myserver.com\0`
fn git_request(bytes: &[u8]) -> (Sign, Option<&[u8]>) {
    const SERVICES: [&[u8]; 3] = [b"git-upload-pack ", b"git-receive-pack ", b"git-upload-archive "];
    const NO: (Sign, Option<&[u8]>) = (Sign::No, None);
    let digits = &bytes[..bytes.len().min(4)];
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return NO;
    }
    let (Some(len), Some(text)) = (git_len(bytes), bytes.get(4..)) else { return (Sign::Part, None) };
    let fits = SERVICES.iter().find(|service| start(text, service) != Start::No);
    let (Some(service), true) = (fits, (20..=0x1000).contains(&len)) else { return NO };
    match text.get(service.len()..len - 4) {
        None => (Sign::Part, None),
        Some(path) => {
            let path = &path[..memchr::memchr(0, path).unwrap_or(path.len())];
            (Sign::Full, Some(path))
        }
    }
}

/// The first line of a server: an object's id and the first reference, or `version 1`, or an error.
fn git_line(bytes: &[u8]) -> Sign {
    let Some(len) = git_len(bytes) else {
        let digits = bytes.len() < 4 && bytes.iter().all(u8::is_ascii_hexdigit);
        return if digits { Sign::Part } else { Sign::No };
    };
    let text = &bytes[4..];
    let id = text.len() >= 41 && text[..40].iter().all(u8::is_ascii_hexdigit) && text[40] == b' ';
    match (46..=0x1000).contains(&len) && id {
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

    const GIT: &[u8] = b"0033git-upload-pack /project.git\0host=example.org\0\0";

    #[test]
    fn git_is_known_by_its_request_or_its_references() {
        let len = format!("{:04x}", GIT.len());
        let request = [len.as_bytes(), &GIT[4..]].concat();
        let heard = testing::streams(git, &request, b"", 9418);
        assert_eq!((heard.verdict, heard.first(Fact::Detail)), (Some(Verdict::Done), "/project.git"));
        let references = [&b"003f"[..], &[b'a'; 40], b" refs/heads/main\n"].concat();
        assert_eq!(testing::streams(git, b"", &references, 9418).verdict, Some(Verdict::Done));
        for end in 0..request.len() {
            assert_eq!(testing::streams(git, &request[..end], b"", 9418).verdict, Some(Verdict::More));
        }
        for bytes in [&b"0033git-upload-pony /"[..], b"zzzz", b"0005git-upload-pack /", b"GET /"] {
            assert_eq!(testing::streams(git, bytes, b"x", 9418).verdict, Some(Verdict::No));
        }
    }

    #[test]
    fn rsync_is_known_by_its_greeting() {
        let (client, server) = (b"@RSYNCD: 31.0\nmodule\n", b"@RSYNCD: 30.0\nmotd\n");
        let heard = testing::streams(rsync, client, server, 873);
        assert_eq!((heard.verdict, heard.first(Fact::Detail)), (Some(Verdict::Done), "module"));
        every_cut(rsync, client, server, 873);
        assert_eq!(testing::streams(rsync, b"@RSYNC ", b"x", 873).verdict, Some(Verdict::No));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..40_usize, value: u8) {
            let mut changed = GIT.to_vec();
            changed[at] = value;
            for sent in [&bytes, &changed] {
                testing::streams(git, sent, sent, 9418);
                testing::streams(rsync, sent, sent, 873);
            }
        }
    }
}
