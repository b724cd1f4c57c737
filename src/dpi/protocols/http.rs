//! HTTP/1.0 and 1.1 (RFC 9112), HTTP/0.9, and what an upgrade or CONNECT makes of them.
//!
//! What is learned is the first exchange: the first request, and the responses up to the first final one.
//! Later requests of the same connection are not looked at: their cost would grow with the traffic.
//! Requests alone and responses alone are recognised too.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Lines, Start, begins, find, header, inside, is_text, lists, number, start_of_any, trim},
    notes::{Notes, Phase},
    protocols::{http2, tls},
    recogniser::Verdict,
    service::Service,
    talk::Streams,
};

/// Bytes of a request target that are kept: as many as anybody reads.
const LONGEST_PATH: usize = 300;
/// Interim responses (1xx) that are passed over before the final one.
const MOST_INTERIM: usize = 8;

/// Request methods: RFC 9110, WebDAV and its extensions (RFC 4918, 3253, 3744, 5323, 5842, 4791), PATCH,
/// UPnP eventing, and those of well-known proxies. PRI belongs to HTTP/2.
#[rustfmt::skip]
const METHODS: &[&[u8]] = &[
    b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"TRACE",
    b"PROPFIND", b"PROPPATCH", b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"REPORT", b"SEARCH", b"ACL",
    b"BIND", b"REBIND", b"UNBIND", b"LINK", b"UNLINK", b"MKCALENDAR", b"MKREDIRECTREF", b"UPDATEREDIRECTREF",
    b"VERSION-CONTROL", b"CHECKOUT", b"UNCHECKOUT", b"CHECKIN", b"UPDATE", b"LABEL", b"MERGE", b"MKACTIVITY",
    b"MKWORKSPACE", b"BASELINE-CONTROL", b"ORDERPATCH", b"SUBSCRIBE", b"UNSUBSCRIBE", b"NOTIFY", b"POLL",
    b"BMOVE", b"BCOPY", b"BDELETE", b"BPROPFIND", b"BPROPPATCH", b"M-SEARCH", b"QUERY", b"PURGE", b"SOURCE",
    b"RPC_IN_DATA", b"RPC_OUT_DATA", b"RPC_CONNECT", b"SSTP_DUPLEX_POST", b"CCM_POST", b"DEBUG", b"TRACK",
];

/// Knows HTTP/1.x by a request line or a status line.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let mut answer = Verdict::No;
    for client in [talk.client, 1 - talk.client] {
        // The opener is the client; a role reversed shows only when both have spoken.
        if talk.opened && client != talk.client && talk.bytes.iter().any(|bytes| bytes.is_empty()) {
            break;
        }
        match exchange(talk, client, notes) {
            Verdict::No => {}
            Verdict::More => answer = Verdict::More,
            known => return known,
        }
    }
    answer
}

/// A side's first line as far as it has come.
#[derive(Clone, Copy)]
enum Line<T> {
    No,
    /// It may become one.
    Part,
    /// It is one; what follows it begins at this index.
    Whole(T, usize),
}

/// A request line (RFC 9112 section 3).
#[derive(Clone, Copy)]
struct Request<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// Empty when the budget ended before it.
    version: &'a [u8],
}

/// Reads both sides with this side as the client.
fn exchange(talk: &Streams<'_>, client: usize, notes: &mut Notes<'_>) -> Verdict {
    let server = 1 - client;
    let request = request_line(talk.bytes[client], talk.ended[client]);
    let response = status_line(talk.bytes[server], talk.ended[server]);
    match (request, response) {
        (Line::No, Line::No) => return Verdict::No,
        (Line::Whole(..), _) | (_, Line::Whole(..)) => {}
        // An empty side that has ended will never tell.
        (Line::No, Line::Part) if talk.ended[server] => return Verdict::No,
        (Line::Part, Line::No) if talk.ended[client] => return Verdict::No,
        (Line::Part, Line::Part) if talk.ended == [true; 2] => return Verdict::No,
        // A server may answer bad text with 400; what a binary protocol gets as answer is not waited for.
        (Line::No, Line::Part) if talk.opened && !may_be_answered(talk.bytes[client]) => return Verdict::No,
        _ => return Verdict::More,
    }

    // A bare line `GET /path` of HTTP/0.9 could be another protocol's: the answer has to fit.
    if let Line::Whole(Request { version: b"HTTP/0.9", .. }, _) = request
        && !matches!(response, Line::Whole(..))
    {
        return match talk.bytes[server].first() {
            None if !talk.ended[server] => Verdict::More,
            Some(b'+' | b'-' | b'$' | b':' | b'*') => Verdict::No,
            _ => {
                notes.client(client);
                notes.phase(Phase::Web);
                notes.text(Fact::HttpVersion, b"HTTP/0.9");
                // RFC 1945 section 4.1: Simple-Request = "GET" SP Request-URI CRLF.
                if let Line::Whole(line, at) = request
                    && talk.bytes[client][..at].ends_with(b"\r\n")
                {
                    notes.text(Fact::HttpMethod, line.method);
                    notes.text(Fact::HttpPath, &line.target[..line.target.len().min(LONGEST_PATH)]);
                }
                Verdict::Done
            }
        };
    }

    notes.client(client);
    notes.phase(Phase::Web);
    let asked = match request {
        Line::Whole(line, at) => Some(note_request(line, &talk.bytes[client][at..], at, notes)),
        _ => None,
    };
    let answered = match response {
        Line::Whole((), _) => note_responses(talk.bytes[server], talk.ended[server], notes),
        _ => Answer::Waiting,
    };
    let request_read = match asked {
        Some(Asked { body, .. }) => body.is_some() || talk.ended[client],
        None => !talk.opened || talk.ended[client] || matches!(request, Line::No),
    };
    match answered {
        Answer::Final { status, upgrade, body } => {
            let tunnel = |asked: Asked| Some([asked.body?, body]);
            match (asked, upgrade) {
                (_, Upgrade::WebSocket) => notes.service(Service::WebSocket),
                (Some(asked), Upgrade::Http2) => {
                    if let Some(offsets) = tunnel(asked) {
                        return http2::after_upgrade(&tunnelled(talk, client, offsets), client, notes);
                    }
                }
                (Some(asked), _) if asked.connect && (200..300).contains(&status) => {
                    if let Some(offsets) = tunnel(asked) {
                        return match tls::streams_at(talk, by_side(client, offsets), notes) {
                            Verdict::No | Verdict::Done => Verdict::Done,
                            _ if talk.ended == [true; 2] => Verdict::Done,
                            _ => Verdict::Is,
                        };
                    }
                }
                _ => {}
            }
            if request_read { Verdict::Done } else { Verdict::Is }
        }
        Answer::Waiting if talk.ended[server] && request_read => Verdict::Done,
        Answer::Waiting => Verdict::Is,
    }
}

/// Returns whether what is no request may still get an answer of HTTP.
fn may_be_answered(bytes: &[u8]) -> bool {
    bytes.iter().take(4).all(|byte| (0x20..0x7F).contains(byte) || matches!(byte, b'\r' | b'\n'))
}

/// Returns the connection behind the heads of request and response; offsets are the client's and the server's.
fn tunnelled<'a>(talk: &Streams<'a>, client: usize, offsets: [usize; 2]) -> Streams<'a> {
    inside(talk, by_side(client, offsets))
}

/// Returns the client's and the server's value in the order of the sides.
fn by_side(client: usize, [of_client, of_server]: [usize; 2]) -> [usize; 2] {
    if client == 0 { [of_client, of_server] } else { [of_server, of_client] }
}

/// Reads a request line, after empty lines if there are some (RFC 9112 section 2.2).
fn request_line(bytes: &[u8], ended: bool) -> Line<Request<'_>> {
    let skipped = bytes.iter().take(4).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let text = &bytes[skipped..];
    let Some(first) = text.first() else { return Line::Part };
    if !first.is_ascii_uppercase() {
        return Line::No;
    }
    let head = &text[..text.len().min(20)];
    let Some(blank) = memchr::memchr(b' ', head) else {
        return match METHODS.iter().any(|method| method.starts_with(head)) && !ended {
            true => Line::Part,
            false => Line::No,
        };
    };
    let method = &text[..blank];
    if !METHODS.contains(&method) {
        return Line::No;
    }
    let Some(end) = memchr::memchr(b'\n', text) else {
        let rest = &text[blank + 1..];
        let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        // It ends within the version, or just behind it.
        if let Some(at) = memchr::memrchr(b' ', rest).filter(|at| *at > 0 && ended)
            && begins_version(&rest[at + 1..])
            && is_text(rest)
        {
            return Line::Whole(Request { method, target: trim(&rest[..at]), version: b"" }, bytes.len());
        }
        let target = rest;
        return match is_text(target) {
            // The budget ends within the target.
            true if ended && (target.starts_with(b"/") || begins(target, b"http")) && target.len() > 8 => {
                Line::Whole(Request { method, target, version: b"" }, bytes.len())
            }
            true if !ended => Line::Part,
            _ => Line::No,
        };
    };
    let line = text[blank + 1..end].strip_suffix(b"\r").unwrap_or(&text[blank + 1..end]);
    let (target, version) = match memchr::memrchr(b' ', line) {
        Some(at) => (trim(&line[..at]), &line[at + 1..]),
        None => (line, b"HTTP/0.9".as_slice()),
    };
    let known = match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] => minor.is_ascii_digit() && !target.is_empty(),
        b"HTTP/0.9" => method == b"GET" && target.starts_with(b"/"),
        _ => false,
    };
    match known && is_text(target) {
        true => Line::Whole(Request { method, target, version }, skipped + end + 1),
        false => Line::No,
    }
}

/// Returns whether this is the beginning of a version, or one.
fn begins_version(bytes: &[u8]) -> bool {
    const VERSION: &[u8] = b"HTTP/1.";
    let common = bytes.len().min(VERSION.len());
    (1..=VERSION.len() + 1).contains(&bytes.len()) && bytes[..common] == VERSION[..common]
}

/// Reads a status line (RFC 9112 section 4): `HTTP/1.1 200 OK`. The index is that of its own start.
fn status_line(bytes: &[u8], ended: bool) -> Line<()> {
    if start_of_any(bytes, &[b"HTTP/1.", ICY]) == Start::No {
        return Line::No;
    }
    let shortest = if bytes.starts_with(ICY) { 8 } else { 13 };
    match parse_status(bytes) {
        Some(_) if ended || memchr::memchr(b'\n', bytes).is_some() => Line::Whole((), 0),
        _ if bytes.len() < shortest || (memchr::memchr(b'\n', bytes).is_none() && !ended) => Line::Part,
        _ => Line::No,
    }
}

/// How servers of SHOUTcast begin their status line, in place of a version.
const ICY: &[u8] = b"ICY ";

/// Returns version, empty of SHOUTcast, and code of the status line at the start of `bytes`.
fn parse_status(bytes: &[u8]) -> Option<(&[u8], u32)> {
    if let Some(rest) = bytes.strip_prefix(ICY) {
        let code = number(rest.get(..3)?)?;
        return ((200..600).contains(&code) && rest.get(3) == Some(&b' ')).then_some((&[], code));
    }
    let head = bytes.get(..12)?;
    let code = number(&head[9..])?;
    let valid = head.starts_with(b"HTTP/1.")
        && head[7].is_ascii_digit()
        && head[8] == b' '
        && (100..1000).contains(&code)
        && matches!(bytes.get(12), None | Some(b' ' | b'\r' | b'\n'));
    valid.then_some((&head[..8], code))
}

/// What of a request matters to the rest.
#[derive(Clone, Copy)]
struct Asked {
    /// Where the client's stream goes on after the head, once that is whole.
    body: Option<usize>,
    connect: bool,
}

fn note_request(request: Request<'_>, head: &[u8], head_at: usize, notes: &mut Notes<'_>) -> Asked {
    notes.text(Fact::HttpMethod, request.method);
    notes.text(Fact::HttpPath, &request.target[..request.target.len().min(LONGEST_PATH)]);
    if !request.version.is_empty() {
        notes.text(Fact::HttpVersion, request.version);
    }
    let connect = request.method == b"CONNECT";
    let mut asked = Asked { body: None, connect };
    let mut host_seen = false;
    let mut lines = Lines::new(head);
    while let Some(line) = lines.next() {
        match line.first() {
            None => {
                asked.body = Some(head_at + lines.at());
                break;
            }
            Some(b'H' | b'h' | b'U' | b'u') => {}
            Some(_) => continue,
        }
        let Some((name, value)) = header(line) else { continue };
        let fact = match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                host_seen = true;
                Fact::HttpHost
            }
            10 if name.eq_ignore_ascii_case(b"user-agent") => Fact::HttpUserAgent,
            _ => continue,
        };
        if !value.is_empty() {
            notes.text(fact, value);
        }
    }
    // Only a whole head shows that there is no Host; then the target names it (RFC 9112 section 3.2).
    if !host_seen && asked.body.is_some() {
        let authority = if connect { request.target } else { authority_of(request.target) };
        if !authority.is_empty() {
            notes.text(Fact::HttpHost, authority);
        }
    }
    asked
}

/// Returns the authority of a target in absolute form, else nothing.
fn authority_of(target: &[u8]) -> &[u8] {
    let Some(scheme_end) = find(&target[..target.len().min(16)], b"://") else { return &[] };
    let rest = &target[scheme_end + 3..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    &rest[..end]
}

/// What a connection becomes after `101 Switching Protocols`.
#[derive(Clone, Copy)]
enum Upgrade {
    None,
    WebSocket,
    Http2,
}

/// How far the responses have come.
enum Answer {
    /// The head of the final one is not whole.
    Waiting,
    Final {
        status: u32,
        upgrade: Upgrade,
        body: usize,
    },
}

/// Notes status codes up to the first final response, whose other facts it notes too.
fn note_responses(bytes: &[u8], ended: bool, notes: &mut Notes<'_>) -> Answer {
    let mut at = 0;
    for _ in 0..MOST_INTERIM {
        let head = &bytes[at..];
        let Some((version, status)) = parse_status(head) else { break };
        let mut lines = Lines::new(head);
        if lines.next().is_none() && !ended {
            break;
        }
        if !version.is_empty() {
            notes.text(Fact::HttpVersion, version);
        }
        notes.number(Fact::HttpStatus, u64::from(status));
        let last = status >= 200 || status == 101;
        let mut upgrade = Upgrade::None;
        let mut whole = false;
        for line in lines.by_ref() {
            if line.is_empty() {
                whole = true;
                break;
            }
            if !last || !matches!(line[0], b'S' | b's' | b'C' | b'c' | b'U' | b'u') {
                continue;
            }
            let Some((name, value)) = header(line) else { continue };
            match name.len() {
                6 if name.eq_ignore_ascii_case(b"server") && !value.is_empty() => {
                    notes.text(Fact::HttpServer, value);
                }
                12 if name.eq_ignore_ascii_case(b"content-type") && !value.is_empty() => {
                    notes.text(Fact::HttpContentType, value);
                }
                7 if status == 101 && name.eq_ignore_ascii_case(b"upgrade") => {
                    if lists(value, b"websocket") {
                        upgrade = Upgrade::WebSocket;
                    } else if lists(value, b"h2c") {
                        upgrade = Upgrade::Http2;
                    }
                }
                _ => {}
            }
        }
        if !whole {
            break;
        }
        at += lines.at();
        if last {
            return Answer::Final { status, upgrade, body: at };
        }
    }
    Answer::Waiting
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const REQUEST: &[u8] =
        b"GET /a?b=c HTTP/1.1\r\nhOsT:  example.org:8080 \r\nAccept: */*\r\nUser-Agent: ua/1 (x)\r\n\r\n";
    const RESPONSE: &[u8] = b"HTTP/1.1 404 Not Found\r\nServer: s/2\r\nContent-Type: text/html\r\n\r\n<html>";

    /// Verdict, method, target, host and status of an exchange.
    fn read(client: &[u8], server: &[u8]) -> (Option<Verdict>, String, String, String, String) {
        let heard = testing::streams(streams, client, server, 80);
        let first = |fact| heard.first(fact).to_owned();
        (
            heard.verdict,
            first(Fact::HttpMethod),
            first(Fact::HttpPath),
            first(Fact::HttpHost),
            first(Fact::HttpStatus),
        )
    }

    #[test]
    fn exchange_is_read() {
        let heard = testing::streams(streams, REQUEST, RESPONSE, 8080);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!((heard.phase, heard.client, heard.service), (Some(Phase::Web), Some(0), None));
        for (fact, value) in [
            (Fact::HttpMethod, "GET"),
            (Fact::HttpPath, "/a?b=c"),
            (Fact::HttpVersion, "HTTP/1.1"),
            (Fact::HttpHost, "example.org:8080"),
            (Fact::HttpUserAgent, "ua/1 (x)"),
            (Fact::HttpStatus, "404"),
            (Fact::HttpServer, "s/2"),
            (Fact::HttpContentType, "text/html"),
        ] {
            assert_eq!(heard.values(fact), [value]);
        }
    }

    #[test]
    fn cuts_change_nothing() {
        every_cut(streams, REQUEST, RESPONSE, 80);
        every_cut(
            streams,
            b"\r\nPROPFIND /x HTTP/1.0\n\n",
            b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 207 M\r\n\r\n",
            80,
        );
    }

    #[test]
    fn request_forms() {
        for (request, method, target, host) in [
            (&b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"[..], "OPTIONS", "*", "h"),
            (b"GET http://a.b:81/c HTTP/1.1\r\n\r\n", "GET", "http://a.b:81/c", "a.b:81"),
            (b"GET http://a.b/c HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "http://a.b/c", "h"),
            (b"CONNECT c.d:443 HTTP/1.0\r\n\r\n", "CONNECT", "c.d:443", "c.d:443"),
            (b"VERSION-CONTROL /v HTTP/1.1\n\n", "VERSION-CONTROL", "/v", ""),
            (b"\r\n\r\nPOST / HTTP/1.1\r\nX: a\r\n b: folded\r\nHost: h\r\n\r\nbody", "POST", "/", "h"),
            (b"GET /with blank HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/with blank", ""),
        ] {
            let (verdict, m, t, h, _) = read(request, b"");
            assert_eq!((verdict, &*m, &*t, &*h), (Some(Verdict::Is), method, target, host));
        }
    }

    #[test]
    fn other_protocols_are_not_it() {
        for client in [
            &b"OPTIONS sip:a@b SIP/2.0\r\n"[..],
            b"DESCRIBE rtsp://x RTSP/1.0\r\n",
            b"OPTIONS * RTSP/1.0\r\n",
            b"PRI * HTTP/2.0\r\n\r\n",
            b"GETX / HTTP/1.1\r\n",
            b"GET /\x01 HTTP/1.1\r\n",
            b"\x16\x03\x01",
            b"get / HTTP/1.1\r\n",
            b"GET key\r\n",
        ] {
            assert_eq!(read(client, b"SSH-2.0-x\r\n").0, Some(Verdict::No), "{client:?}");
        }
        assert_eq!(read(b"\x16\x03", b"HTTP/2 200").0, Some(Verdict::No));
        assert_eq!(read(b"\x16\x03", b"HTTP/1.1 2x0 OK\r\n").0, Some(Verdict::No));
    }

    #[test]
    fn answer_to_garbage_counts() {
        let bad_request = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        let (verdict, method, _, _, status) = read(b"\x01\x02", bad_request);
        assert_eq!((verdict, &*method, &*status), (Some(Verdict::Done), "", "400"));
        assert_eq!(read(b"hello", b"").0, Some(Verdict::More));
        assert_eq!(read(b"\x01\x02", b"").0, Some(Verdict::No), "nobody waits for it");
    }

    #[test]
    fn either_side_may_be_the_client() {
        let heard = testing::streams(streams, RESPONSE, REQUEST, 80);
        assert_eq!((heard.verdict, heard.client), (Some(Verdict::Done), Some(1)));
        assert_eq!(heard.first(Fact::HttpHost), "example.org:8080");
    }

    #[test]
    fn interim_responses_are_passed() {
        let server =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nServer: no\r\n\r\nHTTP/1.1 200\r\n\r\n";
        let heard = testing::streams(streams, REQUEST, server, 80);
        assert_eq!(heard.values(Fact::HttpStatus), ["100", "103", "200"]);
        assert_eq!(heard.first(Fact::HttpServer), "");
        assert_eq!(heard.verdict, Some(Verdict::Done));
    }

    #[test]
    fn first_exchange_only() {
        let twice = [REQUEST, b"GET /second HTTP/1.1\r\n\r\n"].concat();
        let heard = testing::streams(streams, &twice, &[RESPONSE, RESPONSE].concat(), 80);
        assert_eq!(heard.values(Fact::HttpPath), ["/a?b=c"]);
    }

    #[test]
    fn websocket_after_101() {
        let server = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo, WebSocket\r\n\r\n\x81\x00";
        let heard = testing::streams(streams, REQUEST, server, 80);
        assert_eq!((heard.verdict, heard.service), (Some(Verdict::Done), Some(Service::WebSocket)));
        every_cut(streams, REQUEST, server, 80);
    }

    #[test]
    fn h2c_after_101() {
        let mut client = b"GET /u HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n".to_vec();
        client.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        let mut server = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n".to_vec();
        // HEADERS of stream 1: indexed `:status: 204`.
        server.extend(b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x89");
        let heard = testing::streams(streams, &client, &server, 80);
        assert_eq!(heard.values(Fact::HttpStatus), ["101", "204"]);
        assert_eq!(heard.values(Fact::HttpPath), ["/u"]);
        every_cut(streams, &client, &server, 80);
    }

    #[test]
    fn version_0_9_needs_a_fitting_answer() {
        assert_eq!(read(b"GET /x\n", b"").0, Some(Verdict::More));
        assert_eq!(read(b"GET /x\n", b"<html>").0, Some(Verdict::Done));
        assert_eq!(read(b"GET /x\r\n\r\n", b"<html>").2, "/x");
        assert_eq!(read(b"GET /x\r\n", b"$-1\r\n").0, Some(Verdict::No));
    }

    #[test]
    fn a_request_cut_by_the_budget_still_tells() {
        let cut = |bytes: &[u8]| {
            let mut heard = testing::Heard::default();
            let bytes = [bytes, &[]];
            let talk = Streams {
                bytes,
                ended: [true, false],
                total: [0; 2],
                client: 0,
                opened: true,
                ports: [1, 2],
            };
            let verdict = streams(&talk, &mut Notes::new(&mut heard));
            (verdict, heard.first(Fact::HttpPath).len())
        };
        let mut long = b"GET /".to_vec();
        long.resize(8192, b'a');
        assert_eq!(cut(&long), (Verdict::Is, LONGEST_PATH));
        assert_eq!(cut(b"GET /a HTTP/1.1\r\nHost: h\r\nCook"), (Verdict::Is, 2));
        assert_eq!(cut(b"GET /a HTT"), (Verdict::Is, 2));
        assert_eq!(cut(b"GET /ab HTTP/1.1\r"), (Verdict::Is, 3));
        assert_eq!(cut(b"GET /a X").0, Verdict::More, "the answer may tell");
    }

    proptest! {
        #[test]
        fn any_bytes(client in prop::collection::vec(any::<u8>(), 0..200), at in 0..60_usize, value: u8) {
            testing::streams(streams, &client, &client, 80);
            for original in [REQUEST, RESPONSE] {
                let mut changed = original.to_vec();
                changed[at] = value;
                testing::streams(streams, &changed, RESPONSE, 80);
                testing::streams(streams, REQUEST, &changed, 80);
            }
        }
    }

    #[test]
    fn stations_of_shoutcast_are_http() {
        let answer = b"ICY 200 OK\r\nicy-name: a\r\nContent-Type: audio/mpeg\r\n\r\n";
        let heard = testing::streams(streams, b"GET / HTTP/1.0\r\n\r\n", answer, 8000);
        assert_eq!(
            (heard.first(Fact::HttpStatus), heard.first(Fact::HttpContentType)),
            ("200", "audio/mpeg")
        );
        assert_eq!(heard.values(Fact::HttpVersion), ["HTTP/1.0"]);
        let heard = testing::streams(streams, b"", answer, 8000);
        assert_eq!((heard.verdict, heard.values(Fact::HttpVersion).len()), (Some(Verdict::Is), 0));
        for answer in [&b"ICY day\r\n"[..], b"ICY 20 0\r\n", b"ICY 700 x\r\n"] {
            let heard = testing::late(streams, answer, answer, 80);
            assert_eq!(heard.verdict, Some(Verdict::No));
        }
        every_cut(streams, b"GET / HTTP/1.0\r\n\r\n", answer, 8000);
    }
}
