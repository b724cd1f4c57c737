//! RTSP (RFC 2326, RFC 7826).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, Lines, Sign, begins, either_way, is_text, number, start, word},
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

const METHODS: &[&[u8]] = &[
    b"OPTIONS",
    b"DESCRIBE",
    b"ANNOUNCE",
    b"SETUP",
    b"PLAY",
    b"PAUSE",
    b"TEARDOWN",
    b"GET_PARAMETER",
    b"SET_PARAMETER",
    b"REDIRECT",
    b"RECORD",
    b"PLAY_NOTIFY",
];
/// Lines of the client's messages that are looked through for requests.
const MOST_LINES: usize = 100;

/// Knows RTSP by a request line or status line.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, judge)
}

fn judge(dialog: &Dialog<'_>, notes: &mut Notes<'_>) -> Verdict {
    match (request(dialog.client, dialog.ended[0]), response(dialog.server, dialog.ended[1])) {
        (Sign::Full, _) | (_, Sign::Full) => {}
        (Sign::No, _) | (_, Sign::No) => return Verdict::No,
        _ if dialog.ended == [true; 2] => return Verdict::No,
        _ => return Verdict::More,
    }
    // Bodies are small and of text; a request line stands out among their lines.
    for line in Lines::new(dialog.client).take(MOST_LINES) {
        if !is_request_line(line) {
            continue;
        }
        let (method, rest) = word(line);
        let target = word(rest).0;
        notes.text(Fact::RtspMethod, method);
        if begins(target, b"rtsp") {
            notes.text(Fact::RtspUrl, target);
        }
        if method == b"PLAY" || method == b"RECORD" {
            return Verdict::Done;
        }
    }
    dialog.done_when_ended()
}

fn is_request_line(line: &[u8]) -> bool {
    let version = line.ends_with(b" RTSP/1.0") || line.ends_with(b" RTSP/2.0");
    version && METHODS.contains(&word(line).0) && is_text(line)
}

fn request(bytes: &[u8], ended: bool) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if !first.is_ascii_uppercase() {
        return Sign::No;
    }
    let head = &bytes[..bytes.len().min(14)];
    let could = |method: &&[u8]| match head.len() > method.len() {
        true => head.starts_with(method) && head[method.len()] == b' ',
        false => method.starts_with(head),
    };
    if !METHODS.iter().any(could) {
        return Sign::No;
    }
    match Lines::new(bytes).next() {
        Some(line) if is_request_line(line) => Sign::Full,
        Some(_) => Sign::No,
        // It ends within the target.
        None if ended && begins(word(bytes).1, b"rtsp://") && is_text(bytes) => Sign::Full,
        None if bytes.len() < 2048 && is_text(bytes.strip_suffix(b"\r").unwrap_or(bytes)) => Sign::Part,
        None => Sign::No,
    }
}

fn response(bytes: &[u8], ended: bool) -> Sign {
    match start(bytes, b"RTSP/") {
        crate::dpi::lines::Start::No => Sign::No,
        crate::dpi::lines::Start::Part => Sign::Part,
        crate::dpi::lines::Start::Full => match Lines::until(bytes, ended).next() {
            Some(line) => {
                let (version, rest) = word(line);
                let code = number(word(rest).0).is_some_and(|code| (100..600).contains(&code));
                if matches!(version, b"RTSP/1.0" | b"RTSP/2.0") && code { Sign::Full } else { Sign::No }
            }
            None if bytes.len() < 600 => Sign::Part,
            None => Sign::No,
        },
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const CLIENT: &[u8] =
        b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\nPLAY rtsp://h:554/x RTSP/1.0\r\nCSeq: 2\r\n\r\n";
    const SERVER: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n";

    #[test]
    fn session_is_read() {
        let heard = testing::streams(streams, CLIENT, SERVER, 8554);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!(heard.values(Fact::RtspMethod), ["OPTIONS", "PLAY"]);
        assert_eq!(heard.first(Fact::RtspUrl), "rtsp://h:554/x");
        every_cut(streams, CLIENT, SERVER, 554);
        assert_eq!(testing::streams(streams, b"", SERVER, 554).verdict, Some(Verdict::Is));
    }

    #[test]
    fn others_are_not_it() {
        for bytes in [&b"OPTIONS * HTTP/1.1\r\n\r\n"[..], b"OPTIONS sip:a SIP/2.0\r\n", b"PLAYS", b"\x16\x03"]
        {
            assert_eq!(testing::streams(streams, bytes, b"", 554).verdict, Some(Verdict::No), "{bytes:?}");
        }
        assert_eq!(testing::streams(streams, b"", b"RTSP/1.0 2 OK\r\n", 554).verdict, Some(Verdict::No));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..70_usize, value: u8) {
            testing::streams(streams, &bytes, &bytes, 554);
            let mut changed = CLIENT.to_vec();
            changed[at] = value;
            testing::streams(streams, &changed, SERVER, 554);
        }
    }

    #[test]
    fn a_request_that_was_cut() {
        let heard = testing::cut(streams, b"DESCRIBE rtsp://h/a/lo", 100, 554);
        assert_eq!((heard.verdict, heard.facts.len()), (Some(Verdict::Is), 0));
        assert_eq!(testing::cut(streams, b"DESCRIBE the", 100, 554).verdict, Some(Verdict::More));
    }
}
