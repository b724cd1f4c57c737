//! Reads a ClientHello, whatever carries it: TLS, DTLS or QUIC (RFC 8446 section 4.1.2, RFC 9147 section 5.3).
//!
//! The message may be cut anywhere: what has come is read, each extension as soon as it is complete.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    notes::Notes,
    protocols::tls::{
        Transport,
        ja4::{self, Features},
        reader::{Reader, is_grease, numbers},
        version::Version,
    },
};

/// What bytes are, taken for the body of a ClientHello.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'a> {
    /// No ClientHello.
    Bad,
    /// The beginning of one, or nothing that contradicts it: less than what stands before the extensions.
    Short,
    /// One with at least everything that stands before the extensions.
    Hello(ClientHello<'a>),
}

/// A ClientHello, as far as it has come.
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    /// What carries it.
    pub over: Transport,
    /// legacy_version.
    pub legacy_version: Version,
    /// The session that the client would like to resume, or the compatibility value of TLS 1.3.
    pub session_id: &'a [u8],
    /// Cipher suites, 2 bytes each.
    pub ciphers: &'a [u8],
    /// All extensions are there.
    pub whole: bool,
    extensions: &'a [u8],
    server_name: Option<&'a [u8]>,
    alpn: Option<&'a [u8]>,
    supported_versions: Option<&'a [u8]>,
    signature_algorithms: Option<&'a [u8]>,
    pre_shared_key: bool,
    encrypted_client_hello: bool,
}

/// Extension types (IANA "TLS ExtensionType Values").
pub mod extension {
    /// server_name (RFC 6066 section 3).
    pub const SERVER_NAME: u16 = 0;
    /// signature_algorithms (RFC 8446 section 4.2.3).
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    /// application_layer_protocol_negotiation (RFC 7301).
    pub const ALPN: u16 = 16;
    /// pre_shared_key (RFC 8446 section 4.2.11).
    pub const PRE_SHARED_KEY: u16 = 41;
    /// supported_versions (RFC 8446 section 4.2.1).
    pub const SUPPORTED_VERSIONS: u16 = 43;
    /// encrypted_client_hello (RFC 9849). Its drafts' other numbers, and the encrypted_server_name (0xffce)
    /// before them, are no longer sent.
    pub const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}

/// Reads a ClientHello and notes what it says: server name, ALPN, newest version, ECH, JA4.
///
/// `body` begins behind the handshake header and may stop anywhere; `whole` says that it is the entire
/// message. Values are noted as soon as they cannot change any more, so that calls with longer bodies note the same
/// and more. Nothing is noted for [`Reading::Bad`] and [`Reading::Short`]. Costs about a microsecond.
pub fn read<'a>(body: &'a [u8], whole: bool, over: Transport, notes: &mut Notes<'_>) -> Reading<'a> {
    let reading = parse(body, whole, over);
    if let Reading::Hello(hello) = &reading {
        hello.note(notes);
    }
    reading
}

/// As [`read`], but notes nothing.
pub fn parse(body: &[u8], whole: bool, over: Transport) -> Reading<'_> {
    let mut reader = Reader::new(body);
    match fixed(&mut reader, over) {
        Err(Stop::Bad) => Reading::Bad,
        Err(Stop::Short) if whole => Reading::Bad,
        Err(Stop::Short) => Reading::Short,
        Ok(hello) => Reading::Hello(hello.with_extensions(reader, whole)),
    }
}

/// Why reading stopped before the extensions.
enum Stop {
    Bad,
    Short,
}

/// Reads what stands before the extensions.
fn fixed<'a>(reader: &mut Reader<'a>, over: Transport) -> Result<ClientHello<'a>, Stop> {
    const RANDOM: usize = 32;
    let legacy_version = Version(reader.u16().ok_or(Stop::Short)?);
    let known = match over {
        Transport::Tls => legacy_version.is_legacy_tls(),
        Transport::Quic => legacy_version == Version::TLS12,
        Transport::Dtls => legacy_version.is_dtls(),
    };
    good(known)?;
    reader.take(RANDOM).ok_or(Stop::Short)?;
    good(reader.rest().first().is_none_or(|len| *len <= 32))?;
    let session_id = reader.vector8().ok_or(Stop::Short)?;
    if over == Transport::Dtls {
        reader.vector8().ok_or(Stop::Short)?;
    }
    if let [high, low, ..] = reader.rest() {
        let len = u16::from_be_bytes([*high, *low]);
        good(len >= 2 && len % 2 == 0)?;
    }
    let ciphers = reader.vector16().ok_or(Stop::Short)?;
    good(reader.rest().first().is_none_or(|len| *len >= 1))?;
    let compression = reader.vector8().ok_or(Stop::Short)?;
    good(compression.contains(&0))?;
    Ok(ClientHello {
        over,
        legacy_version,
        session_id,
        ciphers,
        whole: false,
        extensions: &[],
        server_name: None,
        alpn: None,
        supported_versions: None,
        signature_algorithms: None,
        pre_shared_key: false,
        encrypted_client_hello: false,
    })
}

const fn good(so: bool) -> Result<(), Stop> {
    if so { Ok(()) } else { Err(Stop::Bad) }
}

impl<'a> ClientHello<'a> {
    fn with_extensions(mut self, mut reader: Reader<'a>, whole: bool) -> Self {
        let declared = reader.u16();
        let rest = reader.rest();
        let len = declared.map_or(0, usize::from);
        self.extensions = &rest[..len.min(rest.len())];
        self.whole = whole || declared.is_some_and(|_| rest.len() >= len);
        for (kind, content) in self.extensions() {
            match kind {
                extension::SERVER_NAME => keep_first(&mut self.server_name, content),
                extension::ALPN => keep_first(&mut self.alpn, content),
                extension::SUPPORTED_VERSIONS => keep_first(&mut self.supported_versions, content),
                extension::SIGNATURE_ALGORITHMS => keep_first(&mut self.signature_algorithms, content),
                extension::PRE_SHARED_KEY => self.pre_shared_key = true,
                extension::ENCRYPTED_CLIENT_HELLO => self.encrypted_client_hello = true,
                _ => {}
            }
        }
        self
    }

    /// Returns the extensions that are complete: type and content.
    pub fn extensions(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.extensions);
        std::iter::from_fn(move || reader.u16().zip(reader.vector16()))
    }

    /// Returns the server name as it was sent: nobody has checked that it is one.
    pub fn server_name(&self) -> Option<&'a [u8]> {
        const HOST_NAME: u8 = 0;
        let mut list = Reader::new(Reader::new(self.server_name?).vector16()?);
        std::iter::from_fn(|| list.u8().zip(list.vector16()))
            .find(|(kind, name)| *kind == HOST_NAME && !name.is_empty())
            .map(|(_, name)| name)
    }

    /// Returns the application protocols that the client offers, without GREASE values.
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let list = self.alpn.and_then(|content| Reader::new(content).vector16());
        protocols(list.unwrap_or_default())
    }

    /// Returns whether one of the protocols offered is HTTP over TLS: `h2` or HTTP/1.x; `None` when
    /// none is offered, or the extension has not come.
    pub fn offers_web(&self) -> Option<bool> {
        self.alpn().next()?;
        Some(self.alpn().any(is_web))
    }

    /// Returns the newest version offered, once it cannot change any more.
    pub fn newest_version(&self) -> Option<Version> {
        let listed = self
            .supported_versions
            .and_then(|content| Reader::new(content).vector8())
            .and_then(|list| numbers(list).map(Version).max_by_key(|v| v.rank()));
        listed.or(if self.whole { Some(self.legacy_version) } else { None })
    }

    /// Returns whether the client would resume a session by a pre-shared key of TLS 1.3.
    pub const fn offers_psk(&self) -> bool {
        self.pre_shared_key
    }

    /// Returns whether the client sent an encrypted ClientHello, or pretends to (GREASE ECH looks the same).
    pub const fn has_ech(&self) -> bool {
        self.encrypted_client_hello
    }

    /// Returns the JA4 fingerprint of a whole hello; `hash` is [`ja4::hash_of`], or remembers what that returns.
    fn ja4(&self, hash: impl FnMut(&[u16], &[u16]) -> ja4::Hash) -> Option<[u8; ja4::LEN]> {
        if !self.whole {
            return None;
        }
        let signatures = self.signature_algorithms.and_then(|content| Reader::new(content).vector16());
        let features = Features {
            over: self.over,
            version: self.newest_version()?,
            named: self.server_name.is_some(),
            ciphers: self.ciphers,
            alpn: self.alpn().next(),
            signatures: signatures.unwrap_or_default(),
        };
        let kinds = self.extensions().map(|(kind, _)| kind).filter(|kind| !is_grease(*kind));
        ja4::fingerprint(&features, kinds, hash)
    }

    fn note(&self, notes: &mut Notes<'_>) {
        // The fingerprint of a whole hello is noted last. A second hello, which a HelloRetryRequest asks for, says
        // nothing new, and is not the client's habit any more.
        if self.whole && notes.has(Fact::Ja4) {
            return;
        }
        if let Some(name) = self.server_name() {
            notes.text(Fact::Sni, name);
        }
        self.alpn().for_each(|protocol| notes.text(Fact::Alpn, protocol));
        if let Some(version) = self.newest_version() {
            version.note(Fact::TlsClientVersion, notes);
        }
        if self.has_ech() {
            notes.flag(Fact::Ech);
        }
        if let Some(ja4) = self.ja4(|list, more| notes.short_hash(list, more)) {
            notes.text(Fact::Ja4, &ja4);
        }
    }
}

/// Keeps the first of several extensions of one type; more than one is forbidden (RFC 8446 section 4.2).
fn keep_first<'a>(slot: &mut Option<&'a [u8]>, content: &'a [u8]) {
    slot.get_or_insert(content);
}

/// Returns the protocols of an ALPN list without GREASE values (RFC 8701 section 2).
pub fn protocols(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(list);
    std::iter::from_fn(move || reader.vector8())
        .filter(|name| !name.is_empty() && !matches!(name, [a, b] if a == b && a & 15 == 10))
}

/// Returns whether an ALPN value is HTTP over TLS.
pub fn is_web(protocol: &[u8]) -> bool {
    protocol == b"h2" || protocol.starts_with(b"http/1.")
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{protocols::tls::testing::Hello, testing::Heard};

    fn heard(body: &[u8], whole: bool, over: Transport) -> (Heard, char) {
        let mut heard = Heard::default();
        let reading = match read(body, whole, over, &mut Notes::new(&mut heard)) {
            Reading::Bad => 'b',
            Reading::Short => 's',
            Reading::Hello(_) => 'h',
        };
        (heard, reading)
    }

    #[test]
    fn a_whole_hello() {
        let body = Hello::modern("www.example.org").ech().body(Transport::Tls);
        let (heard, _) = heard(&body, true, Transport::Tls);
        assert_eq!(heard.first(Fact::Sni), "www.example.org");
        assert_eq!(heard.values(Fact::Alpn), ["h2", "http/1.1"]);
        assert_eq!(heard.first(Fact::TlsClientVersion), "TLS1.3");
        assert_eq!(heard.first(Fact::Ech), "true");
        assert_eq!(&heard.first(Fact::Ja4)[..10], "t13d0207h2");
    }

    #[test]
    fn every_cut_notes_the_same_or_less() {
        for over in [Transport::Tls, Transport::Quic, Transport::Dtls] {
            let body = Hello::modern("www.example.org").body(over);
            let (all, _) = heard(&body, true, over);
            let mut before = 0;
            for cut in 0..=body.len() {
                let (part, said) = heard(&body[..cut], false, over);
                assert_ne!(said, 'b', "{over:?} {cut}");
                assert!(part.facts.len() >= before && part.facts.iter().all(|f| all.facts.contains(f)));
                before = part.facts.len();
            }
            assert_eq!(before, all.facts.len(), "complete by its own lengths");
        }
    }

    #[test]
    fn a_hello_without_extensions_is_whole_when_the_message_is() {
        let body = Hello::old(Version(0x0301)).body(Transport::Tls);
        assert_eq!(heard(&body, false, Transport::Tls).0.facts.len(), 0);
        let (heard, _) = heard(&body, true, Transport::Tls);
        assert_eq!(heard.first(Fact::TlsClientVersion), "TLS1.0");
        assert_eq!(heard.first(Fact::Ja4), "t10i020000_c1929292aa6b_000000000000");
    }

    #[test]
    fn what_is_no_hello() {
        let body = Hello::old(Version(0x0301)).body(Transport::Tls);
        for (what, at, byte) in [
            ("version", 0, 0x04),
            ("session id of 33 bytes", 34, 33),
            ("odd ciphers", 36, 3),
            ("no compression method", 41, 0),
            ("only a compression that does not exist", 42, 7),
        ] {
            let mut body = body.clone();
            body[at] = byte;
            assert_eq!(heard(&body, true, Transport::Tls).1, 'b', "{what}");
        }
        for cut in 0..body.len() {
            assert_eq!(heard(&body[..cut], true, Transport::Tls).1, 'b', "{cut}");
        }
    }

    #[test]
    fn lists_that_lie_end_where_they_lie() {
        let mut hello = Hello::old(Version::TLS12);
        hello.extension(extension::ALPN, &[0, 9, 2, b'h', b'2', 9, b'x']);
        hello.extension(extension::SERVER_NAME, &[0, 9, 0, 0, 200, b'a']);
        hello.extension(extension::SUPPORTED_VERSIONS, &[9, 3, 4]);
        let (heard, _) = heard(&hello.body(Transport::Tls), true, Transport::Tls);
        assert!(heard.values(Fact::Alpn).is_empty() && heard.values(Fact::Sni).is_empty());
        assert_eq!(heard.first(Fact::TlsClientVersion), "TLS1.2");
    }

    #[test]
    fn grease_is_ignored() {
        let mut hello = Hello::old(Version::TLS12);
        hello.extension(0x3a3a, &[0]);
        hello.extension(extension::ALPN, &[0, 6, 2, 0x5a, 0x5a, 2, b'h', b'2']);
        hello.extension(extension::SUPPORTED_VERSIONS, &[6, 0xfa, 0xfa, 3, 4, 3, 3]);
        let (heard, _) = heard(&hello.body(Transport::Tls), true, Transport::Tls);
        assert_eq!(heard.values(Fact::Alpn), ["h2"]);
        assert_eq!(heard.first(Fact::TlsClientVersion), "TLS1.3");
        assert_eq!(&heard.first(Fact::Ja4)[..10], "t13i0202h2");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(bytes: Vec<u8>, whole: bool) {
            for over in [Transport::Tls, Transport::Quic, Transport::Dtls] {
                heard(&bytes, whole, over);
            }
        }

        #[test]
        fn no_change_is_too_bad(at in 0usize..300, byte: u8, cut in 0usize..300, whole: bool) {
            let mut body = Hello::modern("www.example.org").ech().body(Transport::Tls);
            let at = at % body.len();
            body[at] = byte;
            heard(&body[..cut.min(body.len())], whole, Transport::Tls);
        }
    }
}
