//! TLS, from SSL 2.0 to TLS 1.3: what its hellos say, and the names of certificates that are not encrypted.
//!
//! Other protocols turn to TLS after some words of their own (STARTTLS, CONNECT): [`streams_at`] is for them.
//! QUIC and DTLS carry the same hellos: [`client_hello`] and [`server_hello`] serve them too. Nothing is decrypted.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

pub mod certificate;
pub mod cipher;
pub mod client_hello;
pub mod ja4;
pub mod reader;
pub mod record;
pub mod server_hello;
pub mod ssl2;
pub mod start;
#[cfg(test)]
pub(crate) mod testing;
pub mod version;

use crate::dpi::{
    fact::Fact,
    notes::{Notes, Phase},
    protocols::tls::{
        client_hello::{Reading, is_web},
        record::{End, Message, Messages, content},
        start::{Start, judge_start},
        version::Version,
    },
    recogniser::Verdict,
    talk::{STREAM_BUDGET, Streams},
};

/// What carries a handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TLS over a stream.
    Tls,
    /// CRYPTO frames of QUIC (RFC 9001 section 4).
    Quic,
    /// DTLS (RFC 9147).
    Dtls,
}

/// Recognises TLS. It is HTTPS, for the flow's state, with an ALPN of HTTP, or without one on its ports.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let [low, high] = talk.bytes.map(|bytes| judge_start(bytes, talk.opened));
    // The common case of another protocol, and the fastest way out.
    if talk.opened && (low == Start::No && !high.is_tls() || high == Start::No && !low.is_tls()) {
        return Verdict::No;
    }
    let seen = inspect(talk, talk.bytes, [low, high], notes);
    if matches!(seen.verdict, Verdict::Is | Verdict::Done) {
        if let Some(client) = seen.client.filter(|_| !talk.opened) {
            notes.client(client);
        }
        if seen.web == Some(true) {
            notes.phase(Phase::Web);
        }
    }
    seen.verdict
}

/// Reads TLS that begins at these offsets of the two sides' bytes, in a connection whose label
/// another recogniser gives: it notes the facts, but neither phase nor client.
///
/// [`Verdict::More`]: too little has come. [`Verdict::No`]: something else is there. [`Verdict::Is`] and
/// [`Verdict::Done`]: it is TLS, and of the hellos more is to come, or nothing.
pub fn streams_at(talk: &Streams<'_>, offsets: [usize; 2], notes: &mut Notes<'_>) -> Verdict {
    let tail = |side: usize| talk.bytes[side].get(offsets[side]..).unwrap_or_default();
    let bytes = [tail(0), tail(1)];
    inspect(talk, bytes, bytes.map(|bytes| judge_start(bytes, true)), notes).verdict
}

/// What was seen of a connection.
struct Seen {
    verdict: Verdict,
    /// The side that sent a ClientHello, or got a ServerHello.
    client: Option<usize>,
    /// HTTP is inside, as far as hellos and ports tell.
    web: Option<bool>,
}

fn inspect(talk: &Streams<'_>, bytes: [&[u8]; 2], starts: [Start; 2], notes: &mut Notes<'_>) -> Seen {
    if !starts.iter().any(|s| s.is_tls()) {
        let silent = |side: usize| starts[side] == Start::No || talk.ended[side];
        let wrong = talk.opened && starts.contains(&Start::No) || silent(0) && silent(1);
        let verdict = if wrong { Verdict::No } else { Verdict::More };
        return Seen { verdict, client: None, web: None };
    }
    // The client's hello is read first: whether a session is resumed shows in the answer.
    let mut hellos = Hellos::default();
    let first = usize::from(bytes[1].get(record::HEADER) == Some(&CLIENT_HELLO));
    let mut settled = [false; 2];
    for side in [first, 1 - first] {
        settled[side] = match starts[side] {
            Start::Wait => false,
            Start::No | Start::Middle => true,
            Start::Handshake => hellos.read(bytes[side], side, notes),
            Start::Ssl2Client(version) => {
                version.note(Fact::TlsClientVersion, notes);
                hellos.client.get_or_insert(side);
                true
            }
            Start::Ssl2Server => {
                Version::SSL2.note(Fact::TlsVersion, notes);
                hellos.client.get_or_insert(1 - side);
                true
            }
        } || talk.ended[side];
    }
    // A side of which nothing comes while the other says more than the longest hello was not captured.
    const MUCH: u64 = 16 * STREAM_BUDGET as u64;
    let alone = |side: usize| {
        starts[1 - side] == Start::Wait
            && (starts[side] == Start::Middle || settled[side] && talk.total[side] >= MUCH)
    };
    let done = settled[0] && settled[1] || alone(0) || alone(1);
    let by_port = || talk.has_port(443) || talk.has_port(8443);
    let web = match (hellos.selected, hellos.offered) {
        (Some(web), _) | (None, Offer::Protocols { web }) => Some(web),
        (None, Offer::Nothing) => Some(by_port()),
        (None, Offer::Unknown) => done.then(by_port),
    };
    Seen { verdict: if done { Verdict::Done } else { Verdict::Is }, client: hellos.client, web }
}

/// Handshake types (RFC 8446 section 4, RFC 5246 section 7.4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const NEW_SESSION_TICKET: u8 = 4;
const HELLO_REQUEST: u8 = 0;

/// What the hellos said.
#[derive(Default)]
struct Hellos {
    client: Option<usize>,
    offered: Offer,
    /// The protocol that the server chose is HTTP.
    selected: Option<bool>,
    /// The session id that the client offered, and its length.
    session_id: ([u8; 32], usize),
}

/// What a client offers by ALPN.
#[derive(Clone, Copy, Default)]
enum Offer {
    /// Its hello was not seen as a whole.
    #[default]
    Unknown,
    /// No protocol.
    Nothing,
    /// Some, among them HTTP or not.
    Protocols { web: bool },
}

impl Hellos {
    /// Reads the hello of a side, and a server's certificate. Returns whether more bytes tell nothing more.
    fn read(&mut self, stream: &[u8], side: usize, notes: &mut Notes<'_>) -> bool {
        let mut messages = Messages::new(stream);
        // A server that shows no certificate where one is due takes up a session (RFC 5246 section 7.3).
        let mut certificate_due = false;
        while let Some(message) = messages.next_message() {
            let next = match message.kind {
                CLIENT_HELLO => {
                    self.client.get_or_insert(side);
                    self.client_hello(&message, notes)
                }
                SERVER_HELLO => {
                    self.client.get_or_insert(1 - side);
                    let next = self.server_hello(&message, notes);
                    certificate_due = next == Next::Certificate;
                    next
                }
                CERTIFICATE if certificate::read(message.body, notes) || message.is_whole() => Next::Nothing,
                CERTIFICATE => Next::Rest,
                NEW_SESSION_TICKET if certificate_due => {
                    notes.flag(Fact::TlsResumed);
                    Next::Nothing
                }
                HELLO_REQUEST => Next::Certificate,
                _ => Next::Nothing,
            };
            match next {
                Next::Nothing => return true,
                Next::Rest => certificate_due = false,
                Next::Certificate => {}
            }
        }
        if certificate_due && messages.end() == Some(End::Content(content::CHANGE_CIPHER_SPEC)) {
            notes.flag(Fact::TlsResumed);
        }
        messages.end().is_some()
    }

    fn client_hello(&mut self, message: &Message<'_>, notes: &mut Notes<'_>) -> Next {
        match client_hello::read(message.body, message.is_whole(), Transport::Tls, notes) {
            Reading::Bad => Next::Nothing,
            Reading::Short => Next::Rest,
            Reading::Hello(hello) => {
                self.offered = match hello.offers_web() {
                    Some(web) => Offer::Protocols { web },
                    None if hello.whole => Offer::Nothing,
                    None => Offer::Unknown,
                };
                if let Some(room) = self.session_id.0.get_mut(..hello.session_id.len()) {
                    room.copy_from_slice(hello.session_id);
                    self.session_id.1 = hello.session_id.len();
                }
                if hello.whole { Next::Nothing } else { Next::Rest }
            }
        }
    }

    fn server_hello(&mut self, message: &Message<'_>, notes: &mut Notes<'_>) -> Next {
        if !message.is_whole() {
            return Next::Rest;
        }
        let Some(hello) = server_hello::read(message.body, Transport::Tls, notes) else {
            return Next::Nothing;
        };
        self.selected = hello.alpn.map(is_web);
        let resumed = hello.resumes(&self.session_id.0[..self.session_id.1]);
        if resumed {
            notes.flag(Fact::TlsResumed);
        }
        if resumed || hello.version.is_tls13() { Next::Nothing } else { Next::Certificate }
    }
}

/// What may still be learned from a side, behind a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing.
    Nothing,
    /// The rest of this message.
    Rest,
    /// A certificate, in one of the next messages.
    Certificate,
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::{
        client_hello::extension,
        testing::{Hello, message, record},
        *,
    };
    use crate::dpi::testing::{Heard, streams as ask};

    fn client_hello(hello: &Hello) -> Vec<u8> {
        record(22, 0x0301, &message(CLIENT_HELLO, &hello.body(Transport::Tls)))
    }

    fn server_hello(hello: &Hello) -> Vec<u8> {
        record(22, 0x0303, &message(SERVER_HELLO, &hello.answer()))
    }

    /// An answer of TLS 1.3: hello, the compatibility value, encrypted records.
    fn answer13() -> Vec<u8> {
        let mut hello = Hello::old(Version::TLS12);
        hello.session_id = vec![0x5e; 32];
        hello.extension(extension::SUPPORTED_VERSIONS, &[3, 4]);
        [server_hello(&hello), record(20, 0x0303, &[1]), record(23, 0x0303, &[0x99; 300])].concat()
    }

    /// An answer of TLS 1.2 with a certificate that names nothing.
    fn answer12() -> Vec<u8> {
        let certificate = message(CERTIFICATE, &[&[0, 0, 103, 0, 0, 100][..], &[0x30; 100]].concat());
        [server_hello(&Hello::old(Version::TLS12)), record(22, 0x0303, &certificate)].concat()
    }

    /// A connection of which the beginning was not seen, side 0 guessed to be the client.
    fn late(low: &[u8], high: &[u8], ended: bool) -> Heard {
        let mut heard = Heard::default();
        let talk = Streams {
            bytes: [low, high],
            ended: [ended; 2],
            total: [low.len() as u64, high.len() as u64],
            client: 0,
            opened: false,
            ports: [50_000, 443],
        };
        let mut notes = Notes::new(&mut heard);
        let verdict = streams(&talk, &mut notes);
        let (phase, client) = (notes.phase, notes.client);
        Heard { verdict: Some(verdict), phase, client, ..heard }
    }

    #[test]
    fn both_hellos() {
        let heard = ask(streams, &client_hello(&Hello::modern("www.example.org")), &answer13(), 4433);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!(heard.first(Fact::Sni), "www.example.org");
        assert_eq!(heard.first(Fact::TlsVersion), "TLS1.3");
        assert_eq!(heard.first(Fact::TlsCipher), "TLS_AES_128_GCM_SHA256");
        assert_eq!(heard.first(Fact::TlsResumed), "");
        assert_eq!((heard.phase, heard.client), (Some(Phase::Web), None));
    }

    #[test]
    fn every_cut_says_less_of_the_same() {
        let hello = message(CLIENT_HELLO, &Hello::modern("www.example.org").body(Transport::Tls));
        for size in [1, 2, 9, 50, 100, 1000] {
            let client: Vec<u8> = hello.chunks(size).flat_map(|c| record(22, 0x0301, c)).collect();
            for server in [answer12(), answer13()] {
                let all = ask(streams, &client, &server, 443);
                assert_eq!(all.verdict, Some(Verdict::Done));
                let cuts =
                    (0..client.len()).map(|c| (c, 0)).chain((0..server.len()).map(|s| (client.len(), s)));
                let mut before = Verdict::More;
                for (c, s) in cuts {
                    let part = ask(streams, &client[..c], &server[..s], 443);
                    assert!(part.facts.iter().all(|fact| all.facts.contains(fact)));
                    let verdict = part.verdict.unwrap();
                    assert!(matches!(
                        (before, verdict),
                        (Verdict::More, Verdict::More | Verdict::Is)
                            | (Verdict::Is, Verdict::Is | Verdict::Done)
                            | (Verdict::Done, Verdict::Done)
                    ));
                    assert!(verdict != Verdict::More || part.facts.is_empty());
                    assert!(verdict != Verdict::Done || part.facts.len() == all.facts.len());
                    before = verdict;
                }
            }
        }
    }

    #[test]
    fn what_inside_is_http() {
        let plain = Hello::old(Version::TLS12);
        let mut dns = plain.clone();
        dns.alpn(&["dot"]);
        let mut web = plain.clone();
        web.alpn(&["dot", "http/1.0"]);
        for (what, client, server, port, wanted) in [
            ("no ALPN on 443", &plain, answer13(), 443, true),
            ("no ALPN on 8443", &plain, answer13(), 8443, true),
            ("no ALPN elsewhere", &plain, answer13(), 993, false),
            ("another ALPN on 443", &dns, answer13(), 443, false),
            ("ALPN of HTTP elsewhere", &web, answer13(), 993, true),
            ("another one was chosen", &web, server_hello(&dns), 443, false),
            ("only the client's side", &web, vec![], 993, true),
            ("the client's side without ALPN", &plain, vec![], 443, true),
        ] {
            let heard = ask(streams, &client_hello(client), &server, port);
            assert_eq!(heard.phase == Some(Phase::Web), wanted, "{what}");
        }
    }

    #[test]
    fn sessions_taken_up_again() {
        let mut plain = Hello::old(Version::TLS12);
        let mut with_id = plain.clone();
        with_id.session_id = vec![7; 32];
        let ciphers = record(20, 0x0303, &[1]);
        let ticket = record(22, 0x0303, &message(NEW_SESSION_TICKET, &[0; 20]));
        let done = record(22, 0x0303, &message(14, &[]));
        let hello = server_hello(&plain);
        for (what, client, server, resumed) in [
            ("the id comes back", &with_id, server_hello(&with_id), true),
            ("another id", &with_id, [&hello[..], &done].concat(), false),
            ("no certificate, and ciphers change", &plain, [&hello[..], &ciphers].concat(), true),
            ("no certificate, and a ticket", &plain, [&hello[..], &ticket].concat(), true),
            ("a certificate", &plain, [&answer12()[..], &ciphers].concat(), false),
            ("none is needed", &plain, [&hello[..], &done, &ciphers].concat(), false),
        ] {
            let heard = ask(streams, &client_hello(client), &server, 443);
            assert_eq!(heard.first(Fact::TlsResumed) == "true", resumed, "{what}");
            assert_eq!(heard.verdict, Some(Verdict::Done), "{what}");
        }
        plain.extension(extension::SUPPORTED_VERSIONS, &[3, 4]);
        plain.extension(extension::PRE_SHARED_KEY, &[0, 0]);
        let heard = ask(streams, &client_hello(&plain), &server_hello(&plain), 443);
        assert_eq!(heard.first(Fact::TlsResumed), "true");
    }

    #[test]
    fn answers_that_are_no_hello() {
        let hello = client_hello(&Hello::modern("www.example.org"));
        for (what, server, verdict) in [
            ("a fatal alert", record(21, 0x0301, &[2, 70]), Verdict::Done),
            ("a warning", record(21, 0x0301, &[1, 112]), Verdict::Is),
            ("a warning, then a hello", [record(21, 0x0301, &[1, 112]), answer13()].concat(), Verdict::Done),
            ("plain HTTP", b"HTTP/1.1 400 Bad Request\r\n".to_vec(), Verdict::Done),
        ] {
            let heard = ask(streams, &hello, &server, 443);
            assert_eq!((heard.verdict, heard.first(Fact::Sni)), (Some(verdict), "www.example.org"), "{what}");
        }
    }

    #[test]
    fn other_protocols() {
        for (client, server) in [("GET / HTTP/1.1\r\n", ""), ("", "SSH-2.0-x\r\n"), ("", "220 mail\r\n")] {
            let heard = ask(streams, client.as_bytes(), server.as_bytes(), 443);
            assert_eq!((heard.verdict, heard.facts.len()), (Some(Verdict::No), 0));
        }
        assert_eq!(ask(streams, &[], &[], 443).verdict, Some(Verdict::More));
    }

    #[test]
    fn ssl2() {
        let client = [0x80, 28, 1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 0x80];
        let server = [0x80, 14, 4, 0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 1, 0, 0x80];
        let heard = ask(streams, &client, &server, 443);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!(heard.first(Fact::TlsClientVersion), "SSL2.0");
        assert_eq!(heard.first(Fact::TlsVersion), "SSL2.0");
        // A client that could do better, and a server that does.
        let mut client = client;
        client[3..5].copy_from_slice(&[3, 1]);
        let heard = ask(streams, &client, &answer12(), 443);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!(
            (heard.first(Fact::TlsClientVersion), heard.first(Fact::TlsVersion)),
            ("TLS1.0", "TLS1.2")
        );
    }

    #[test]
    fn joined_late() {
        let data = record(23, 0x0303, &[0; 40]);
        let hello = client_hello(&Hello::modern("www.example.org"));
        for (what, low, high, verdict, client) in [
            ("the client's data", &data[..], &[][..], Verdict::Done, None),
            ("the server's data", &[], &data, Verdict::Done, None),
            ("one side begins within a record", &[0x55; 90], &data, Verdict::Done, None),
            ("roles as guessed", &hello, &answer13(), Verdict::Done, Some(0)),
            ("roles the other way round", &answer13(), &hello, Verdict::Done, Some(1)),
            ("only a ServerHello", &answer13(), &[], Verdict::Is, Some(1)),
            ("nothing yet", &[], &[], Verdict::More, None),
            ("no TLS so far", b"GET / HTTP/1.1\r\n", &[], Verdict::More, None),
        ] {
            let heard = late(low, high, false);
            assert_eq!((heard.verdict, heard.client), (Some(verdict), client), "{what}");
        }
        let heard = late(&answer13(), &[], true);
        assert_eq!((heard.verdict, heard.phase), (Some(Verdict::Done), Some(Phase::Web)));
        assert_eq!(late(b"GET / HTTP/1.1\r\n", &[], true).verdict, Some(Verdict::No));
    }

    #[test]
    fn a_hello_longer_than_what_is_shown() {
        let mut hello = Hello::modern("www.example.org");
        hello.extension(0x4242, &[0; STREAM_BUDGET]);
        let hello = &client_hello(&hello)[..STREAM_BUDGET];
        for (what, server, total, verdict) in [
            ("the answer is waited for", &[][..], 3 * STREAM_BUDGET as u64, Verdict::Is),
            ("and read", &answer13(), 3 * STREAM_BUDGET as u64, Verdict::Done),
            ("but not for ever", &[], 16 * STREAM_BUDGET as u64, Verdict::Done),
        ] {
            let mut heard = Heard::default();
            let talk = Streams {
                bytes: [hello, server],
                ended: [true, false],
                total: [total, server.len() as u64],
                client: 0,
                opened: true,
                ports: [50_000, 443],
            };
            assert_eq!(streams(&talk, &mut Notes::new(&mut heard)), verdict, "{what}");
            assert_eq!(heard.first(Fact::Sni), "www.example.org");
        }
    }

    #[test]
    fn behind_another_protocol() {
        let client =
            [b"EHLO x\r\nSTARTTLS\r\n", &client_hello(&Hello::modern("mx.example.org"))[..]].concat();
        let server = [b"220 a\r\n220 go\r\n", &answer13()[..]].concat();
        for (offsets, end, verdict, name) in [
            ([18, 15], usize::MAX, Verdict::Done, "mx.example.org"),
            ([18, 15], 18, Verdict::More, ""),
            ([99_999, 99_999], usize::MAX, Verdict::More, ""),
            ([0, 0], usize::MAX, Verdict::No, ""),
        ] {
            let client = &client[..end.min(client.len())];
            let server = &server[..end.min(server.len()).min(if end == 18 { 15 } else { end })];
            let mut heard = Heard::default();
            let talk = Streams {
                bytes: [client, server],
                ended: [false; 2],
                total: [0; 2],
                client: 0,
                opened: true,
                ports: [50_000, 25],
            };
            let mut notes = Notes::new(&mut heard);
            assert_eq!(streams_at(&talk, offsets, &mut notes), verdict);
            assert_eq!(notes.phase, None);
            assert_eq!(heard.first(Fact::Sni), name);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(low: Vec<u8>, high: Vec<u8>, ended: bool) {
            late(&low, &high, ended);
            ask(streams, &low, &high, 443);
        }

        #[test]
        fn no_change_is_too_bad(at in 0usize..800, byte: u8, size in 1usize..300) {
            let hello = message(CLIENT_HELLO, &Hello::modern("www.example.org").body(Transport::Tls));
            let mut client: Vec<u8> = hello.chunks(size).flat_map(|c| record(22, 0x0301, c)).collect();
            let mut server = answer12();
            let at = at % (client.len() + server.len());
            match client.get_mut(at) {
                Some(place) => *place = byte,
                None => server[at - client.len()] = byte,
            }
            ask(streams, &client, &server, 443);
            late(&server, &client, true);
        }
    }
}
