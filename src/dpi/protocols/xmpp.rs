//! XMPP (RFC 6120): the stream header, or stanzas of a stream that was joined late; with STARTTLS.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, Ruling, Sign, either_way, find, weigh},
    notes::Notes,
    protocols::starttls,
    recogniser::Verdict,
    talk::Streams,
};

/// Bytes within which the stream's header must show.
const HEAD: usize = 512;
/// Bytes of the client within which TLS begins, if it does.
const BEFORE_TLS: usize = 2048;

/// Knows XMPP.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    either_way(talk, notes, judge)
}

fn judge(dialog: &Dialog<'_>, notes: &mut Notes<'_>) -> Verdict {
    if let Ruling::Unknown(verdict) = weigh(dialog, sign(dialog.client), sign(dialog.server)) {
        return verdict;
    }
    let early = &dialog.client[..dialog.client.len().min(BEFORE_TLS)];
    if let Some(domain) = to(early) {
        notes.text(Fact::XmppTo, domain);
    }
    match starttls::begin(early, b'>') {
        Some(at) => starttls::go_on(dialog, at, b'>', notes),
        None if early.len() == BEFORE_TLS => Verdict::Done,
        None => dialog.done_when_ended(),
    }
}

fn sign(bytes: &[u8]) -> Sign {
    let Some(first) = bytes.first() else { return Sign::Part };
    if *first != b'<' && !first.is_ascii_whitespace() {
        return Sign::No;
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    let Some(begin) = head.iter().position(|byte| !byte.is_ascii_whitespace()) else {
        return if head.len() > 8 { Sign::No } else { Sign::Part };
    };
    let text = &head[begin..];
    const OPENINGS: &[&[u8]] = &[b"<stream:", b"</stream:stream>"];
    if OPENINGS.iter().any(|opening| text.starts_with(opening)) {
        return Sign::Full;
    }
    const STANZAS: &[&[u8]] = &[
        b"<?xml ",
        b"<iq ",
        b"<presence",
        b"<message ",
        b"<auth ",
        b"<challenge ",
        b"<response ",
        b"<success ",
    ];
    if STANZAS.iter().any(|stanza| text.starts_with(stanza)) {
        let named =
            [&b"<stream:"[..], b"jabber:", b"jabber.org/", b"urn:ietf:params:xml:ns:xmpp", b"urn:xmpp:"];
        return match named.iter().any(|name| find(text, name).is_some()) {
            true => Sign::Full,
            false if head.len() == HEAD => Sign::No,
            false => Sign::Part,
        };
    }
    let possible = OPENINGS.iter().chain(STANZAS).any(|sign| sign.starts_with(text));
    if possible { Sign::Part } else { Sign::No }
}

/// Returns the `to` of the stream's header.
fn to(bytes: &[u8]) -> Option<&[u8]> {
    let at = find(bytes, b"<stream:stream")?;
    let header = &bytes[at..at + memchr::memchr(b'>', &bytes[at..])?];
    let value = &header[find(header, b" to=")? + 4..];
    let (quote, value) = value.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    value.get(..memchr::memchr(*quote, value)?).filter(|value| !value.is_empty())
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{lines::proof::every_cut, testing};

    const CLIENT: &[u8] =
        b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='example.org' version='1.0'>";
    const SERVER: &[u8] = b"<?xml version='1.0'?><stream:stream from='example.org' id='1'>";

    #[test]
    fn stream_header_is_read() {
        let heard = testing::streams(streams, CLIENT, SERVER, 5222);
        assert_eq!((heard.verdict, heard.first(Fact::XmppTo)), (Some(Verdict::Is), "example.org"));
        every_cut(streams, CLIENT, SERVER, 5222);
        let tls = [CLIENT, b"<starttls/>", &[22, 3, 1, 0, 4, 1, 0, 0, 0]].concat();
        assert_eq!(testing::streams(streams, &tls, SERVER, 5222).first(Fact::StartTls), "true");
    }

    #[test]
    fn signs() {
        for (client, server, verdict) in [
            (&b"</stream:stream>"[..], &b""[..], Verdict::Is),
            (b" <iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", b"", Verdict::Is),
            (b"<?xml version='1.0'?><soap:Envelope>", b"HTTP", Verdict::No),
            (b"<html>", b"", Verdict::No),
            (b"\x16\x03", b"", Verdict::No),
        ] {
            assert_eq!(testing::streams(streams, client, server, 80).verdict, Some(verdict), "{client:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..80_usize, value: u8) {
            testing::streams(streams, &bytes, &bytes, 80);
            let mut changed = CLIENT.to_vec();
            changed[at] = value;
            testing::streams(streams, &changed, SERVER, 80);
        }
    }

    #[test]
    fn stanzas_of_a_login_tell_it() {
        let auth = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>";
        assert_eq!(testing::late(streams, auth, b"", 5222).verdict, Some(Verdict::Is));
        let other = [&b"<auth xmlns='urn:other'>"[..], &[b'x'; HEAD]].concat();
        assert_eq!(testing::late(streams, &other, b"", 5222).verdict, Some(Verdict::No));
    }
}
