//! DTLS, from OpenSSL's first to 1.3 (RFC 6347, RFC 9147): what its hellos say.
//!
//! ```text
//! | type | version | epoch | sequence number | length | fragment ............................... | next record
//!                                                    | type | len24 | seq | offset24 | part24 | ...
//! ```
//! Handshake messages come in parts, in any order; one of each side is put together in the flow's memory.
//! Records of DTLS 1.3 and those with a connection id (RFC 9146) cannot be told from random bytes and are only
//! passed over. Nothing is decrypted.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    notes::Notes,
    protocols::tls::{
        Transport, certificate,
        client_hello::{self, Reading},
        reader::Reader,
        server_hello,
        version::Version,
    },
    recogniser::Verdict,
    talk::{Datagram, MEMORY},
};

/// Content types (RFC 6347 section 4.1); the first bytes of ciphertexts of DTLS 1.3 and with a connection id.
const HANDSHAKE: u8 = 22;
const CONTENTS: std::ops::RangeInclusive<u8> = 20..=24;
const CONNECTION_ID: u8 = 25;
const UNIFIED: std::ops::RangeInclusive<u8> = 0x20..=0x3f;
/// Handshake types.
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_HELLO_DONE: u8 = 14;
/// Datagrams after which a handshake that never completes is no longer followed.
const PATIENCE: u8 = 40;

/// Recognises DTLS by a datagram that its records fill exactly, and follows the handshake.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let mut flow = Flow::new(talk.memory);
    if !flow.progress.has(KNOWN) && !is_dtls(talk.bytes, talk.wire_len) {
        return Verdict::No;
    }
    flow.progress.set(KNOWN);
    flow.read(talk.bytes, talk.from, notes);
    if flow.progress.is_settled() { Verdict::Done } else { Verdict::Is }
}

/// Reads a datagram that [`is_dtls`] for a protocol that shares its flow with DTLS (STUN: RFC 7983), and keeps nothing:
/// messages that come in parts are passed over. Returns whether the hellos lie behind.
pub fn glance(talk: &Datagram<'_>, notes: &mut Notes<'_>) -> bool {
    let mut memory = [0; MEMORY];
    let mut flow = Flow::new(&mut memory);
    flow.read(talk.bytes, talk.from, notes);
    flow.progress.has(OVER)
}

/// Returns whether a datagram that [`is_dtls`] may begin with this byte.
pub fn leads(first: u8) -> bool {
    matches!(first, 20..=26)
}

/// Returns whether a datagram is DTLS, on its own evidence: at least 36 bits, those of the first record's type, version
/// and length. `wire_len`: its length before it was cut by the capture.
pub fn is_dtls(bytes: &[u8], wire_len: usize) -> bool {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..) {
        if at > 0 && (at == wire_len || is_opaque(rest)) {
            return true;
        }
        let cut = bytes.len() < wire_len;
        let Some(header) = rest.first_chunk::<RECORD_HEADER>() else { return at > 0 && cut };
        at += RECORD_HEADER + length(header);
        if !is_header(header) || at > wire_len {
            return false;
        }
        // A record that was cut: small epochs take the place of the length.
        if at > bytes.len() {
            return header[3] == 0;
        }
    }
    false
}

/// A record.
enum Record<'a> {
    /// One that is not encrypted.
    Plain { kind: u8, fragment: &'a [u8] },
    /// An encrypted one.
    Encrypted,
}

/// Length of a record's header.
const RECORD_HEADER: usize = 13;

/// The records of a datagram. Ends before one that is cut.
struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    fn next(&mut self) -> Option<Record<'a>> {
        if is_opaque(self.rest) {
            // Its length cannot be known without the connection's state.
            self.rest = &[];
            return Some(Record::Encrypted);
        }
        let (header, after) = self.rest.split_first_chunk::<RECORD_HEADER>()?;
        if !is_header(header) {
            return None;
        }
        let (fragment, rest) = after.split_at_checked(length(header))?;
        self.rest = rest;
        let encrypted = header[3..5] != [0, 0];
        Some(if encrypted { Record::Encrypted } else { Record::Plain { kind: header[0], fragment } })
    }
}

/// Returns whether a record begins here that shows no length.
fn is_opaque(bytes: &[u8]) -> bool {
    matches!(bytes, [CONNECTION_ID, 0xfe, 0xfd, ..])
        || bytes.first().is_some_and(|first| UNIFIED.contains(first)) && bytes.len() > 16
}

/// Returns whether this is the header of a record of DTLS: a hello of 1.3 says 1.2 there.
fn is_header(header: &[u8; RECORD_HEADER]) -> bool {
    const LONGEST: usize = 16384 + 2048;
    let version = Version(u16::from_be_bytes([header[1], header[2]]));
    CONTENTS.contains(&header[0]) && version.is_dtls() && (1..=LONGEST).contains(&length(header))
}

fn length(header: &[u8; RECORD_HEADER]) -> usize {
    usize::from(u16::from_be_bytes([header[11], header[12]]))
}

/// What is remembered of a flow, in its memory.
struct Flow<'a> {
    progress: Progress<'a>,
    /// A message of each side of which only parts have come.
    messages: [Assembly<'a>; 2],
}

impl<'a> Flow<'a> {
    fn new(memory: &'a mut [u8; MEMORY]) -> Self {
        let (progress, rest) = memory.split_at_mut(PROGRESS);
        let (low, high) = rest.split_at_mut(ASSEMBLY);
        Self { progress: Progress { bytes: progress }, messages: [low, high].map(Assembly::new) }
    }

    /// Reads a datagram's records.
    fn read(&mut self, bytes: &[u8], from: usize, notes: &mut Notes<'_>) {
        // Of each type one message is read, and few parts: more are not sent, but by those who would keep us busy.
        const MOST_PARTS: usize = 32;
        let mut read: u32 = 0;
        let mut parts = 0;
        let mut records = Records { rest: bytes };
        while let Some(record) = records.next() {
            let mut fragment = match record {
                Record::Plain { kind: HANDSHAKE, fragment } => Reader::new(fragment),
                Record::Plain { .. } => continue,
                Record::Encrypted => {
                    self.progress.encrypted(from);
                    continue;
                }
            };
            while parts < MOST_PARTS
                && let Some(part) = Part::read(&mut fragment)
            {
                parts += 1;
                let bit = 1 << (part.kind & 31);
                if part.bytes.len() < part.len {
                    self.messages[from].add(&part);
                } else if read & bit == 0 {
                    read |= bit;
                    self.progress.message(part.kind, part.bytes, true, from, notes);
                }
            }
        }
        if let Some((kind, body, whole)) = self.messages[from].grown() {
            self.progress.message(kind, body, whole, from, notes);
        }
    }
}

/// A handshake message, or a part of one.
struct Part<'a> {
    kind: u8,
    seq: u16,
    /// Length of the whole message.
    len: usize,
    offset: usize,
    bytes: &'a [u8],
}

impl<'a> Part<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let kind = reader.u8()?;
        let len = reader.u24()? as usize;
        let seq = reader.u16()?;
        let offset = reader.u24()? as usize;
        let bytes = reader.vector24()?;
        (offset + bytes.len() <= len).then_some(Self { kind, seq, len, offset, bytes })
    }
}

/// How far the handshake is: flags, a count of datagrams, the session id that the client offered.
struct Progress<'a> {
    bytes: &'a mut [u8],
}

/// Bytes for [`Progress`].
const PROGRESS: usize = 64;
/// Flags.
const KNOWN: u8 = 1;
const CLIENT_READ: u8 = 2;
const SERVER_READ: u8 = 4;
const OVER: u8 = 8;
const SERVER_HELLO_READ: u8 = 16;
/// The side that sent a ClientHello, or got a ServerHello.
const CLIENT_IS: [u8; 2] = [32, 64];

impl Progress<'_> {
    const FLAGS: usize = 0;
    const COUNT: usize = 1;
    /// Its length, and then the id.
    const SESSION_ID: usize = 2;

    fn has(&self, flag: u8) -> bool {
        self.bytes[Self::FLAGS] & flag != 0
    }

    fn set(&mut self, flag: u8) {
        self.bytes[Self::FLAGS] |= flag;
    }

    fn client_is(&mut self, side: usize, notes: &mut Notes<'_>) {
        self.set(CLIENT_IS[side]);
        notes.client(side);
    }

    /// Returns whether nothing more is to be learned, after one more datagram.
    fn is_settled(&mut self) -> bool {
        let count = &mut self.bytes[Self::COUNT];
        *count = count.saturating_add(1);
        *count >= PATIENCE || self.has(OVER) || self.has(CLIENT_READ) && self.has(SERVER_READ)
    }

    /// A side has keys: of a client, or without hellos, it means that the hellos lie behind.
    fn encrypted(&mut self, from: usize) {
        let hello_seen = self.has(CLIENT_IS[0] | CLIENT_IS[1]);
        if self.has(CLIENT_IS[from]) || !hello_seen {
            self.set(OVER);
        } else if self.has(SERVER_HELLO_READ) {
            self.set(SERVER_READ);
        }
    }

    /// Reads a message as far as it has come.
    fn message(&mut self, kind: u8, body: &[u8], whole: bool, from: usize, notes: &mut Notes<'_>) {
        match kind {
            CLIENT_HELLO => match client_hello::read(body, whole, Transport::Dtls, notes) {
                Reading::Bad => self.set(CLIENT_READ),
                Reading::Short => {}
                Reading::Hello(hello) => {
                    self.client_is(from, notes);
                    self.keep_session_id(hello.session_id);
                    if hello.whole {
                        self.set(CLIENT_READ);
                    }
                }
            },
            SERVER_HELLO if whole => {
                self.client_is(1 - from, notes);
                self.set(SERVER_HELLO_READ);
                let hello = server_hello::read(body, Transport::Dtls, notes);
                let resumed = hello.is_some_and(|h| h.resumes(self.session_id()));
                if resumed {
                    notes.flag(Fact::TlsResumed);
                }
                if resumed || hello.is_none_or(|h| h.version.is_tls13()) {
                    self.set(SERVER_READ);
                }
            }
            CERTIFICATE if !self.has(CLIENT_IS[from]) && (certificate::read(body, notes) || whole) => {
                self.set(SERVER_READ);
            }
            SERVER_HELLO_DONE => self.set(SERVER_READ),
            _ => {}
        }
    }

    fn keep_session_id(&mut self, id: &[u8]) {
        let (len, room) = (id.len(), &mut self.bytes[Self::SESSION_ID..]);
        if let Some(room) = room.get_mut(1..1 + len) {
            room.copy_from_slice(id);
            self.bytes[Self::SESSION_ID] = len as u8;
        }
    }

    fn session_id(&self) -> &[u8] {
        let len = usize::from(self.bytes[Self::SESSION_ID]);
        self.bytes[Self::SESSION_ID + 1..].get(..len).unwrap_or_default()
    }
}

/// A message that is put together from its parts: which one, a bit for each byte that has come, the bytes.
struct Assembly<'a> {
    head: &'a mut [u8],
    come: &'a mut [u8],
    bytes: &'a mut [u8],
    changed: bool,
}

/// Bytes for an [`Assembly`].
const ASSEMBLY: usize = (MEMORY - PROGRESS) / 2;
const ASSEMBLY_HEAD: usize = 8;
/// Bytes of a message that are kept.
const KEPT: usize = (ASSEMBLY - ASSEMBLY_HEAD) * 8 / 9 / 8 * 8;

impl<'a> Assembly<'a> {
    fn new(memory: &'a mut [u8]) -> Self {
        let (head, rest) = memory.split_at_mut(ASSEMBLY_HEAD);
        let (come, bytes) = rest.split_at_mut(KEPT / 8);
        Self { head, come, bytes: &mut bytes[..KEPT], changed: false }
    }

    /// Adds a part. A part of another message than before begins anew.
    fn add(&mut self, part: &Part<'_>) {
        if !matches!(part.kind, CLIENT_HELLO | SERVER_HELLO | CERTIFICATE) {
            return;
        }
        let [_, a, b, c] = (part.len as u32).to_be_bytes();
        let [high, low] = part.seq.to_be_bytes();
        let head = [1, part.kind, high, low, a, b, c, 0];
        if self.head != head {
            self.head.copy_from_slice(&head);
            self.come.fill(0);
        }
        let end = (part.offset + part.bytes.len()).min(KEPT);
        let Some(room) = self.bytes.get_mut(part.offset..end) else { return };
        room.copy_from_slice(&part.bytes[..room.len()]);
        (part.offset..end).for_each(|at| self.come[at / 8] |= 1 << (at % 8));
        self.changed = true;
    }

    /// Returns type and body of the message, without what has not come, and whether all of it has;
    /// `None` if no part of it was added.
    fn grown(&self) -> Option<(u8, &[u8], bool)> {
        let &[_, kind, _, _, a, b, c, _] = &*self.head else { return None };
        if !self.changed {
            return None;
        }
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        let full = self.come.iter().take_while(|byte| **byte == 0xff).count();
        let have = 8 * full + self.come.get(full).map_or(0, |byte| byte.trailing_ones() as usize);
        Some((kind, &self.bytes[..have.min(len)], have >= len))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{
        protocols::tls::{client_hello::extension, testing::Hello},
        testing::{Heard, datagrams},
    };

    fn record(kind: u8, epoch: u8, fragment: &[u8]) -> Vec<u8> {
        let len = (fragment.len() as u16).to_be_bytes();
        [&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9][..], &len, fragment].concat()
    }

    fn part(kind: u8, seq: u16, body: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
        let u24 = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
        let head =
            [vec![kind], u24(body.len()), seq.to_be_bytes().to_vec(), u24(range.start), u24(range.len())];
        [&head.concat()[..], &body[range]].concat()
    }

    fn message(kind: u8, seq: u16, body: &[u8]) -> Vec<u8> {
        record(HANDSHAKE, 0, &part(kind, seq, body, 0..body.len()))
    }

    fn client_hello() -> Vec<u8> {
        let mut hello = Hello::old(Version(0xfefd));
        hello.server_name(b"turn.example.org");
        hello.alpn(&["webrtc"]);
        hello.body(Transport::Dtls)
    }

    fn server_hello() -> Vec<u8> {
        Hello::old(Version(0xfefd)).answer()
    }

    /// A list of one certificate that names nothing.
    fn certificate() -> Vec<u8> {
        [&[0, 0, 203, 0, 0, 200][..], &[0x30; 200]].concat()
    }

    fn heard(sent: &[(usize, Vec<u8>)]) -> Heard {
        let sent: Vec<(usize, &[u8])> = sent.iter().map(|(from, bytes)| (*from, &bytes[..])).collect();
        datagrams(datagram, &sent, [40_000, 40_001])
    }

    #[test]
    fn a_handshake_with_a_cookie() {
        let verify = message(3, 0, &[0xfe, 0xff, 2, 1, 2]);
        let answer =
            [message(SERVER_HELLO, 1, &server_hello()), message(CERTIFICATE, 2, &certificate())].concat();
        let hello = client_hello();
        let heard = heard(&[
            (1, message(CLIENT_HELLO, 0, &hello)),
            (0, verify),
            (1, message(CLIENT_HELLO, 1, &hello)),
            (0, answer),
        ]);
        assert_eq!((heard.verdict, heard.client), (Some(Verdict::Done), Some(1)));
        assert_eq!(heard.first(Fact::Sni), "turn.example.org");
        assert_eq!(heard.values(Fact::Alpn), ["webrtc"]);
        assert_eq!(heard.first(Fact::DtlsVersion), "DTLS1.2");
        assert_eq!(heard.first(Fact::TlsClientVersion), "DTLS1.2");
        assert_eq!(&heard.first(Fact::Ja4)[..10], "dd2d0202wc");
    }

    #[test]
    fn parts_in_any_order() {
        let hello = client_hello();
        for size in [1, 5, 20, 60] {
            let mut parts: Vec<_> = (0..hello.len())
                .step_by(size)
                .map(|at| {
                    (
                        0,
                        record(
                            HANDSHAKE,
                            0,
                            &part(CLIENT_HELLO, 0, &hello, at..(at + size).min(hello.len())),
                        ),
                    )
                })
                .collect();
            if parts.len() >= usize::from(PATIENCE) {
                // Several in a datagram.
                parts =
                    parts.chunks(4).map(|p| (0, p.iter().flat_map(|(_, b)| b.clone()).collect())).collect();
            }
            for turn in 0..parts.len() {
                let mut sent = parts.clone();
                sent.rotate_left(turn);
                sent.insert(sent.len() / 2, sent[0].clone());
                sent.push((1, message(SERVER_HELLO, 0, &server_hello())));
                sent.push((1, message(SERVER_HELLO_DONE, 1, &[])));
                let heard = heard(&sent);
                assert_eq!(heard.verdict, Some(Verdict::Done));
                assert_eq!(heard.first(Fact::Sni), "turn.example.org", "parts of {size}, turned by {turn}");
                assert_eq!(heard.first(Fact::DtlsVersion), "DTLS1.2");
            }
        }
    }

    #[test]
    fn dtls13_and_what_follows_in_the_datagram() {
        let mut hello = Hello::old(Version(0xfefd));
        hello.extension(extension::SUPPORTED_VERSIONS, &[0xfe, 0xfc]);
        let ciphertext = [&[0x2f][..], &[0x99; 60]].concat();
        let answer = [message(SERVER_HELLO, 0, &hello.answer()), ciphertext].concat();
        let heard = heard(&[(0, message(CLIENT_HELLO, 0, &client_hello())), (1, answer)]);
        assert_eq!((heard.verdict, heard.first(Fact::DtlsVersion)), (Some(Verdict::Done), "DTLS1.3"));
    }

    #[test]
    fn one_datagram_is_enough_to_know_it() {
        let hello = message(CLIENT_HELLO, 0, &client_hello());
        let mut old = hello.clone();
        old[1..3].copy_from_slice(&[1, 0]);
        let mut unknown = hello.clone();
        unknown[1] = 0xfd;
        let mut stun = hello.clone();
        stun[0] = 1;
        for (what, bytes, verdict) in [
            ("a hello", &hello[..], Verdict::Is),
            ("a hello of the first OpenSSL", &old, Verdict::Is),
            ("data", &record(23, 1, &[0; 50]), Verdict::Done),
            ("an alert", &record(21, 0, &[2, 40]), Verdict::Is),
            ("an unknown version", &unknown, Verdict::No),
            ("another content", &stun, Verdict::No),
            ("a byte less", &hello[..hello.len() - 1], Verdict::No),
            ("a byte more", &[&hello[..], &[0]].concat(), Verdict::No),
            ("nothing", &[], Verdict::No),
            ("a ciphertext of 1.3", &[0x2f; 60], Verdict::No),
        ] {
            assert_eq!(heard(&[(0, bytes.to_vec())]).verdict, Some(verdict), "{what}");
        }
    }

    #[test]
    fn a_capture_may_cut_it() {
        let hello = message(CLIENT_HELLO, 0, &client_hello());
        for cut in 0..hello.len() {
            assert_eq!(is_dtls(&hello[..cut], hello.len()), cut >= RECORD_HEADER, "{cut}");
            assert!(!is_dtls(&hello[..cut], hello.len() - 1));
        }
    }

    #[test]
    fn it_ends_when_no_hello_can_follow() {
        let hello = (0, message(CLIENT_HELLO, 0, &client_hello()));
        let data = |from| (from, record(23, 1, &[0; 50]));
        assert_eq!(heard(&[hello.clone(), data(1)]).verdict, Some(Verdict::Is));
        assert_eq!(heard(&[hello.clone(), data(1), data(0)]).verdict, Some(Verdict::Done));
        let again = vec![hello; usize::from(PATIENCE)];
        assert_eq!(heard(&again[1..]).verdict, Some(Verdict::Is));
        assert_eq!(heard(&again).verdict, Some(Verdict::Done));
    }

    #[test]
    fn others_in_the_flow_are_passed_over() {
        let heard = heard(&[
            (0, message(CLIENT_HELLO, 0, &client_hello())),
            (1, vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]),
            (1, vec![]),
            (1, message(SERVER_HELLO, 0, &server_hello())),
            (1, message(SERVER_HELLO_DONE, 3, &[])),
        ]);
        assert_eq!((heard.verdict, heard.first(Fact::DtlsVersion)), (Some(Verdict::Done), "DTLS1.2"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(sent: Vec<(bool, Vec<u8>)>) {
            let sent: Vec<_> = sent.into_iter().map(|(from, bytes)| (usize::from(from), bytes)).collect();
            heard(&sent);
            // As if the first one had been right.
            let hello = (0, message(CLIENT_HELLO, 0, &client_hello()));
            heard(&[&[hello][..], &sent].concat());
        }

        #[test]
        fn no_change_is_too_bad(changes: Vec<(u16, u8)>, split in 1usize..150) {
            let hello = client_hello();
            let mut sent: Vec<_> = [0..split.min(hello.len()), split.min(hello.len())..hello.len()]
                .map(|range| (0, record(HANDSHAKE, 0, &part(CLIENT_HELLO, 0, &hello, range))))
                .to_vec();
            sent.push((1, message(CERTIFICATE, 1, &certificate())));
            for (at, byte) in changes {
                let place = usize::from(at) % sent.len();
                let bytes = &mut sent[place].1;
                let at = usize::from(at) / 3 % bytes.len();
                bytes[at] = byte;
            }
            heard(&sent);
        }
    }
}
