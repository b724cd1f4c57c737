//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929), and HTTP or TLS that goes through.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6},
};

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, either_way, inside, is_text},
    notes::Notes,
    protocols::{http, tls},
    recogniser::Verdict,
    talk::Streams,
};

/// Bytes of a SOCKS 4 user name or domain at most.
const LONGEST_NAME: usize = 255;

/// Knows SOCKS by a request, and an answer where the request alone would be a weak sign.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, |dialog, notes| match dialog.client.first() {
        Some(4) => version_4(dialog, notes),
        Some(5) => version_5(dialog, notes),
        Some(_) => Verdict::No,
        None if dialog.ended[0]
            || !matches!(dialog.server, [] | [0] | [5] | [0, 0x5A..=0x5D, ..] | [5, 0 | 2 | 255, ..]) =>
        {
            Verdict::No
        }
        None => Verdict::More,
    })
}

/// How far a message reaches.
enum Reach {
    No,
    Part,
    /// It ends here.
    To(usize),
}

/// Request: 4, CONNECT or BIND, port, address, user, 0; of 4a a domain and 0. Answer: 0, code, port, address.
fn version_4(dialog: &Dialog<'_>, notes: &mut Notes<'_>) -> Verdict {
    let bytes = dialog.client;
    let name_end = |from: usize| match bytes.get(from..).map(|rest| &rest[..rest.len().min(LONGEST_NAME + 1)])
    {
        Some(rest) => match memchr::memchr(0, rest) {
            Some(len) if is_text(&rest[..len]) => Reach::To(from + len),
            None if is_text(rest) && rest.len() <= LONGEST_NAME => Reach::Part,
            _ => Reach::No,
        },
        None => Reach::Part,
    };
    if !matches!(bytes.get(1), None | Some(1 | 2)) {
        return Verdict::No;
    }
    let Some(&[_, _, p0, p1, a, b, c, d]) = bytes.first_chunk::<8>() else { return more(dialog) };
    let port = u16::from_be_bytes([p0, p1]);
    let user_end = match name_end(8) {
        Reach::No => return Verdict::No,
        Reach::Part => return more(dialog),
        Reach::To(end) => end,
    };
    // 0.0.0.x, x not 0: a domain follows (SOCKS 4a).
    let (domain, end) = match [a, b, c, d] {
        [0, 0, 0, 0] => return Verdict::No,
        [0, 0, 0, _] => match name_end(user_end + 1) {
            Reach::No => return Verdict::No,
            Reach::Part => return more(dialog),
            Reach::To(end) if end > user_end + 1 => (Some(&bytes[user_end + 1..end]), end + 1),
            Reach::To(_) => return Verdict::No,
        },
        _ => (None, user_end + 1),
    };
    if port == 0 {
        return Verdict::No;
    }
    match dialog.server {
        [0, 0x5A..=0x5D, _, _, _, _, _, _, ..] => {}
        [] | [0] | [0, 0x5A..=0x5D, ..] => return more(dialog),
        _ => return Verdict::No,
    }
    let mut target = Target::default();
    match domain {
        Some(domain) => target.name(domain, port),
        None => target.write(format_args!("{}", SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port))),
    }
    notes.text(Fact::SocksTarget, target.text());
    match dialog.server[1] {
        0x5A => through(dialog, end, 8, notes),
        _ => Verdict::Done,
    }
}

/// Greeting: 5, count, methods. Choice: 5, method. Request: 5, command, 0, address, port. Answer: the same.
fn version_5(dialog: &Dialog<'_>, notes: &mut Notes<'_>) -> Verdict {
    let bytes = dialog.client;
    let Some(&count) = bytes.get(1) else { return more(dialog) };
    let greeting = 2 + usize::from(count);
    if !(1..=10).contains(&count)
        || bytes.iter().take(greeting).skip(2).any(|method| !matches!(method, 0..=9 | 0x80..=0xFE))
    {
        return Verdict::No;
    }
    if bytes.len() < greeting {
        return more(dialog);
    }
    let method = match *dialog.server {
        [] | [5] => return more(dialog),
        [5, method, ..] if method == 255 || bytes[2..greeting].contains(&method) => method,
        _ => return Verdict::No,
    };
    // From here on it is SOCKS: 5, a count that fits, and a choice out of those offered.
    let waits = || dialog.done_when_ended();
    let (client_at, server_at) = match method {
        0 => (greeting, 2),
        // RFC 1929: version 1, name, password; version 1, status.
        2 => {
            let login = bytes.get(greeting..).unwrap_or_default();
            let Some(name_len) = login.get(1) else { return waits() };
            let password_at = 2 + usize::from(*name_len);
            let Some(password_len) = login.get(password_at) else { return waits() };
            (greeting + password_at + 1 + usize::from(*password_len), 4)
        }
        _ => return Verdict::Done,
    };
    let Some(request) = bytes.get(client_at..).filter(|rest| !rest.is_empty()) else { return waits() };
    let mut target = Target::default();
    let asked = match address(request, Some(&mut target)) {
        Reach::No => return Verdict::Done,
        Reach::Part => return waits(),
        Reach::To(len) => len,
    };
    notes.text(Fact::SocksTarget, target.text());
    let Some(answer) = dialog.server.get(server_at..).filter(|rest| !rest.is_empty()) else { return waits() };
    match (address(answer, None), answer.get(1)) {
        (Reach::To(answered), Some(0)) => through(dialog, client_at + asked, server_at + answered, notes),
        (Reach::Part, _) => waits(),
        _ => Verdict::Done,
    }
}

/// Reads `5, command or status, 0, type, address, port` and writes the address down.
fn address(bytes: &[u8], target: Option<&mut Target>) -> Reach {
    let head = &bytes[..bytes.len().min(3)];
    if head[0] != 5 || head.get(1).is_some_and(|code| *code > 9) || head.get(2).is_some_and(|zero| *zero != 0)
    {
        return Reach::No;
    }
    let (len, kind) = match bytes.get(3..5) {
        None => return Reach::Part,
        Some([1, _]) => (4, 1),
        Some([3, len]) => (usize::from(*len) + 1, 3),
        Some([4, _]) => (16, 4),
        Some(_) => return Reach::No,
    };
    let Some([address @ .., p0, p1]) = bytes.get(4..4 + len + 2) else { return Reach::Part };
    let port = u16::from_be_bytes([*p0, *p1]);
    if let Some(target) = target {
        match (kind, <[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
            (1, Ok(v4), _) => target.write(format_args!("{}", SocketAddrV4::new(Ipv4Addr::from(v4), port))),
            (4, _, Ok(v6)) => {
                target.write(format_args!("{}", SocketAddrV6::new(Ipv6Addr::from(v6), port, 0, 0)))
            }
            _ => target.name(&address[1..], port),
        }
    }
    Reach::To(4 + len + 2)
}

/// Reads what goes through: HTTP or TLS, whose facts are the flow's too.
fn through(dialog: &Dialog<'_>, client_at: usize, server_at: usize, notes: &mut Notes<'_>) -> Verdict {
    let inner = inside(dialog.talk, dialog.by_side(client_at, server_at));
    if inner.bytes[dialog.side].is_empty() && !dialog.ended[0] {
        return dialog.done_when_ended();
    }
    let seen = match tls::streams_at(dialog.talk, dialog.by_side(client_at, server_at), notes) {
        Verdict::No => http::streams(&inner, notes),
        seen => seen,
    };
    match seen {
        Verdict::No | Verdict::Done => Verdict::Done,
        _ => dialog.done_when_ended(),
    }
}

/// `name:port` as text.
struct Target {
    text: [u8; LONGEST_NAME + 8],
    len: usize,
}

impl Default for Target {
    fn default() -> Self {
        Self { text: [0; LONGEST_NAME + 8], len: 0 }
    }
}

impl Target {
    fn name(&mut self, name: &[u8], port: u16) {
        self.push(name);
        self.write(format_args!(":{port}"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // What does not fit is cut.
        let _ = self.write_fmt(text);
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = &mut self.text[self.len..];
        let len = bytes.len().min(room.len());
        room[..len].copy_from_slice(&bytes[..len]);
        self.len += len;
    }

    fn text(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

impl std::fmt::Write for Target {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

fn more(dialog: &Dialog<'_>) -> Verdict {
    if dialog.ended == [true; 2] { Verdict::No } else { Verdict::More }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    const RESPONSE: &[u8] = b"HTTP/1.1 204 No\r\n\r\n";

    /// Version 5 with a password, to `a.example:80`.
    fn five() -> [Vec<u8>; 2] {
        let client =
            [&b"\x05\x02\x00\x02\x01\x01u\x01p\x05\x01\x00\x03\x09a.example\x00\x50"[..], REQUEST].concat();
        let server = [&b"\x05\x02\x01\x00\x05\x00\x00\x01\x0a\x00\x00\x01\x04\x38"[..], RESPONSE].concat();
        [client, server]
    }

    #[test]
    fn version_5_and_what_goes_through() {
        let [client, server] = five();
        let heard = testing::streams(streams, &client, &server, 1080);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!(heard.first(Fact::SocksTarget), "a.example:80");
        assert_eq!((heard.first(Fact::HttpHost), heard.first(Fact::HttpStatus)), ("h", "204"));
        every_cut(streams, &client, &server, 1080);
        let v6 = [&b"\x05\x01\x00\x05\x01\x00\x04"[..], &[0; 15], b"\x01\x01\xbb"].concat();
        assert_eq!(testing::streams(streams, &v6, b"\x05\x00", 1080).first(Fact::SocksTarget), "[::1]:443");
    }

    #[test]
    fn version_4_and_4a() {
        let client = [&b"\x04\x01\x00\x50\x0a\x00\x00\x01me\0"[..], REQUEST].concat();
        let server = [&b"\0\x5a\0\0\0\0\0\0"[..], RESPONSE].concat();
        let heard = testing::streams(streams, &client, &server, 1080);
        assert_eq!((heard.first(Fact::SocksTarget), heard.first(Fact::HttpHost)), ("10.0.0.1:80", "h"));
        every_cut(streams, &client, &server, 1080);
        let named = b"\x04\x01\x01\xbb\0\0\0\x01me\0a.example\0";
        assert_eq!(testing::streams(streams, named, &server, 1080).first(Fact::SocksTarget), "a.example:443");
    }

    #[test]
    fn others_are_not_it() {
        for (client, server) in [
            (&b"\x05\x01\x00"[..], &b"\x05\x01"[..]),
            (b"\x05\x0b\x00", b""),
            (b"\x05\x01\x20", b""),
            (b"\x04\x03", b""),
            (b"\x04\x01\x00\x00\x0a\0\0\x01\0", b""),
            (b"\x04\x01\x00\x50\x0a\0\0\x01\0", b"\0\x5e"),
            (b"\x16\x03", b""),
            (b"", b"220 x"),
        ] {
            assert_eq!(
                testing::streams(streams, client, server, 1080).verdict,
                Some(Verdict::No),
                "{client:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..25_usize, value: u8) {
            let [mut client, mut server] = five();
            for version in [4, 5] {
                let odd = [&[version][..], &bytes].concat();
                testing::streams(streams, &odd, &server, 1080);
            }
            client[at] = value;
            testing::streams(streams, &client, &server, 1080);
            server[at] = value;
            testing::streams(streams, &five()[0], &server, 1080);
        }
    }
}
