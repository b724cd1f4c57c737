//! SIP (RFC 3261), over UDP and TCP.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, Lines, Sign, Start, begins, either_way, find, header, is_text, number, start, word},
    notes::Notes,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

/// Methods of RFC 3261 and its extensions.
const METHODS: &[&[u8]] = &[
    b"INVITE",
    b"ACK",
    b"BYE",
    b"CANCEL",
    b"REGISTER",
    b"OPTIONS",
    b"PRACK",
    b"SUBSCRIBE",
    b"NOTIFY",
    b"PUBLISH",
    b"INFO",
    b"REFER",
    b"MESSAGE",
    b"UPDATE",
];
/// Datagrams of a flow that are read: a call is set up by then.
const MOST_DATAGRAMS: u32 = 24;
/// Header lines of a message that are looked through.
const MOST_HEADERS: usize = 40;

/// Knows SIP over TCP by a whole first line.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, |dialog: &Dialog<'_>, notes| {
        // Either side may send requests; the one that opened the connection usually does.
        let signs = [dialog.client, dialog.server].map(|bytes| judge(keep_alive_off(bytes)));
        match signs {
            [Sign::Full, _] | [_, Sign::Full] => {}
            [Sign::No, Sign::No] => return Verdict::No,
            [Sign::No, _] | [_, Sign::No] if dialog.talk.opened => return Verdict::No,
            _ if dialog.ended == [true; 2] => return Verdict::No,
            _ => return Verdict::More,
        }
        for (bytes, sign) in [dialog.client, dialog.server].into_iter().zip(signs) {
            if sign == Sign::Full {
                note(keep_alive_off(bytes), notes);
            }
        }
        // The first message of each side.
        match signs == [Sign::Full; 2]
            && [dialog.client, dialog.server].iter().all(|b| find(b, b"\r\n\r\n").is_some())
        {
            true => Verdict::Done,
            false => dialog.done_when_ended(),
        }
    })
}

/// Knows SIP over UDP. A keep-alive (RFC 5626 section 4.4.1, and what phones send) may come first.
pub fn datagram(datagram: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let bytes = datagram.bytes;
    if bytes.len() <= 4 && bytes.iter().all(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Verdict::More;
    }
    if judge(bytes) != Sign::Full {
        return if datagram.nth > 0 && start(bytes, b"SIP") == Start::Full {
            Verdict::Is
        } else {
            Verdict::No
        };
    }
    let status = note(bytes, notes);
    match status >= 200 || datagram.nth >= MOST_DATAGRAMS {
        true => Verdict::Done,
        false => Verdict::Is,
    }
}

fn keep_alive_off(bytes: &[u8]) -> &[u8] {
    let skipped = bytes.iter().take(8).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    &bytes[skipped..]
}

/// Judges the first line: `INVITE sip:bob@example.org SIP/2.0` or `SIP/2.0 200 OK`.
fn judge(bytes: &[u8]) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if !first.is_ascii_uppercase() {
        return Sign::No;
    }
    let head = &bytes[..bytes.len().min(12)];
    let could = start(bytes, b"SIP/2.0 ") != Start::No
        || METHODS.iter().any(|method| match head.len() > method.len() {
            true => head.starts_with(method) && head[method.len()] == b' ',
            false => method.starts_with(head),
        });
    if !could {
        return Sign::No;
    }
    let Some(line) = Lines::new(bytes).next() else {
        let text = is_text(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        return if text && bytes.len() < 2048 { Sign::Part } else { Sign::No };
    };
    let known = match line.strip_prefix(b"SIP/2.0 ") {
        Some(status) => number(word(status).0).is_some_and(|code| (100..700).contains(&code)),
        None => line.ends_with(b" SIP/2.0"),
    };
    if known && is_text(line) { Sign::Full } else { Sign::No }
}

/// Notes a message and returns its status code, 0 of a request.
fn note(bytes: &[u8], notes: &mut Notes<'_>) -> u32 {
    let mut lines = Lines::new(bytes);
    let Some(line) = lines.next() else { return 0 };
    let status = line.strip_prefix(b"SIP/2.0 ").and_then(|rest| number(word(rest).0)).unwrap_or(0);
    match status {
        0 => notes.text(Fact::SipMethod, word(line).0),
        code => notes.number(Fact::SipStatus, u64::from(code)),
    }
    for line in lines.take(MOST_HEADERS).take_while(|line| !line.is_empty()) {
        let Some((name, value)) = header(line) else { continue };
        let fact = match name {
            _ if name.eq_ignore_ascii_case(b"from") || name == b"f" => Fact::SipFrom,
            _ if name.eq_ignore_ascii_case(b"to") || name == b"t" => Fact::SipTo,
            _ => continue,
        };
        let uri = uri(value);
        if !uri.is_empty() {
            notes.text(fact, uri);
        }
    }
    status
}

/// Returns the URI of `"Name" <sip:a@b>;tag=c` or `sip:a@b;tag=c` (RFC 3261 section 20.10).
fn uri(value: &[u8]) -> &[u8] {
    let (inside, end): (&[u8], &[u8]) = match memchr::memchr(b'<', value) {
        Some(open) => (&value[open + 1..], b">"),
        None => (value, b";"),
    };
    let end = memchr::memchr(end[0], inside).unwrap_or(inside.len());
    let uri = &inside[..end];
    // Parameters of the URI are no part of who it is.
    let uri = &uri[..memchr::memchr(b';', uri).unwrap_or(uri.len())];
    if begins(uri, b"sip") || begins(uri, b"tel:") { uri } else { &[] }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const INVITE: &[u8] = b"INVITE sip:bob@b.example SIP/2.0\r\nf: \"A\" <sip:alice@a.example;x=y>;tag=1\r\nTo: sip:bob@b.example;tag=2\r\n\r\n";
    const RINGING: &[u8] = b"SIP/2.0 180 Ringing\r\nFrom: <sip:alice@a.example>\r\n\r\n";
    const OK: &[u8] = b"SIP/2.0 200 OK\r\n\r\n";

    #[test]
    fn call_over_udp() {
        let sent = [(0, &b"\r\n\r\n"[..]), (0, INVITE), (1, RINGING), (1, OK)];
        let heard = testing::datagrams(datagram, &sent, [5062, 5060]);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!(heard.values(Fact::SipMethod), ["INVITE"]);
        assert_eq!(heard.values(Fact::SipStatus), ["180", "200"]);
        assert_eq!(heard.first(Fact::SipFrom), "sip:alice@a.example");
        assert_eq!(heard.first(Fact::SipTo), "sip:bob@b.example");
    }

    #[test]
    fn call_over_tcp() {
        every_cut(streams, INVITE, RINGING, 5060);
        let heard = testing::streams(streams, INVITE, OK, 5060);
        assert_eq!((heard.verdict, heard.first(Fact::SipStatus)), (Some(Verdict::Done), "200"));
    }

    #[test]
    fn others_are_not_it() {
        for bytes in [
            &b"OPTIONS * HTTP/1.1\r\n\r\n"[..],
            b"NOTIFY * HTTP/1.1\r\n\r\n",
            b"OPTIONS rtsp://a RTSP/1.0\r\n",
            b"SIP/2.0 20 OK\r\n",
            b"INVITED x SIP/2.0\r\n",
            b"\x16\x03",
        ] {
            assert_eq!(testing::streams(streams, bytes, bytes, 5060).verdict, Some(Verdict::No));
            assert_eq!(testing::datagrams(datagram, &[(0, bytes)], [5060, 5060]).verdict, Some(Verdict::No));
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..100_usize, value: u8) {
            testing::streams(streams, &bytes, &bytes, 5060);
            testing::datagrams(datagram, &[(0, &bytes)], [5060, 5060]);
            let mut changed = INVITE.to_vec();
            changed[at] = value;
            testing::datagrams(datagram, &[(0, &changed)], [5060, 5060]);
        }
    }
}
