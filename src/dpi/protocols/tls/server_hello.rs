//! Reads a ServerHello, whatever carries it (RFC 8446 section 4.1.3, RFC 5246 section 7.4.1.3).
//!
//! A HelloRetryRequest is one too: it tells version and cipher suite.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    notes::Notes,
    protocols::tls::{
        Transport, cipher,
        client_hello::{extension, protocols},
        reader::Reader,
        version::Version,
    },
};

/// A ServerHello.
#[derive(Clone, Copy, Debug)]
pub struct ServerHello<'a> {
    /// The version that was negotiated.
    pub version: Version,
    /// The session's id, or the client's compatibility value.
    pub session_id: &'a [u8],
    /// The cipher suite that was chosen.
    pub cipher: u16,
    /// The application protocol that was chosen; TLS 1.3 encrypts it.
    pub alpn: Option<&'a [u8]>,
    /// It takes up a pre-shared key of TLS 1.3.
    pub psk: bool,
}

/// Reads a whole ServerHello and notes what it says: version, cipher suite, ALPN.
///
/// `body` is all that follows the handshake header. `None`, and nothing noted, when it is no ServerHello.
pub fn read<'a>(body: &'a [u8], over: Transport, notes: &mut Notes<'_>) -> Option<ServerHello<'a>> {
    let hello = parse(body, over)?;
    let fact = match over {
        Transport::Dtls => Fact::DtlsVersion,
        Transport::Tls | Transport::Quic => Fact::TlsVersion,
    };
    hello.version.note(fact, notes);
    cipher::note(hello.cipher, notes);
    if let Some(alpn) = hello.alpn {
        notes.text(Fact::AlpnSelected, alpn);
    }
    Some(hello)
}

/// As [`read`], but notes nothing.
pub fn parse(body: &[u8], over: Transport) -> Option<ServerHello<'_>> {
    const RANDOM: usize = 32;
    let mut reader = Reader::new(body);
    let legacy_version = Version(reader.u16()?);
    let known = match over {
        Transport::Tls | Transport::Quic => legacy_version.is_legacy_tls(),
        Transport::Dtls => legacy_version.is_dtls(),
    };
    if !known {
        return None;
    }
    reader.take(RANDOM)?;
    let mut hello =
        ServerHello { version: legacy_version, session_id: &[], cipher: 0, alpn: None, psk: false };
    // The drafts of TLS 1.3 before the 22nd left session id and compression out (section 4.1.3 there).
    let early_draft = matches!(legacy_version.0, 0x7f00..=0x7f15);
    if !early_draft {
        hello.session_id = reader.vector8().filter(|id| id.len() <= 32)?;
    }
    hello.cipher = reader.u16()?;
    if !early_draft {
        reader.u8()?;
    }
    let mut extensions = Reader::new(reader.vector16().unwrap_or(reader.rest()));
    while let Some((kind, content)) = extensions.u16().zip(extensions.vector16()) {
        match kind {
            extension::SUPPORTED_VERSIONS => {
                hello.version = Reader::new(content).u16().map_or(hello.version, Version);
            }
            extension::ALPN => {
                hello.alpn = Reader::new(content).vector16().and_then(|list| protocols(list).next());
            }
            extension::PRE_SHARED_KEY => hello.psk = true,
            _ => {}
        }
    }
    Some(hello)
}

impl ServerHello<'_> {
    /// Returns whether a session is taken up again, given the session id that the client offered.
    pub fn resumes(&self, offered: &[u8]) -> bool {
        if self.version.is_tls13() { self.psk } else { !offered.is_empty() && self.session_id == offered }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::{protocols::tls::testing::Hello, testing::Heard};

    fn heard(body: &[u8], over: Transport) -> (Heard, bool) {
        let mut heard = Heard::default();
        let known = read(body, over, &mut Notes::new(&mut heard)).is_some();
        (heard, known)
    }

    #[test]
    fn the_extension_tells_the_version() {
        let mut hello = Hello::old(Version::TLS12);
        assert_eq!(heard(&hello.answer(), Transport::Tls).0.first(Fact::TlsVersion), "TLS1.2");
        hello.extension(extension::SUPPORTED_VERSIONS, &[3, 4]);
        let (heard, _) = heard(&hello.answer(), Transport::Tls);
        assert_eq!(heard.first(Fact::TlsVersion), "TLS1.3");
        assert_eq!(heard.first(Fact::TlsCipher), "TLS_AES_128_GCM_SHA256");
        assert_eq!(heard.first(Fact::TlsCipherStrength), "secure");
    }

    #[test]
    fn drafts_and_dtls() {
        let mut hello = Hello::old(Version::TLS12);
        hello.extension(extension::SUPPORTED_VERSIONS, &[0x7f, 0x1c]);
        assert_eq!(heard(&hello.answer(), Transport::Tls).0.first(Fact::TlsVersion), "TLS1.3-draft28");

        let early = [&[0x7f, 18][..], &[1; 32], &[0x13, 1], &[0, 4, 0, 51, 0, 0]].concat();
        let (early, _) = heard(&early, Transport::Tls);
        assert_eq!(early.first(Fact::TlsVersion), "TLS1.3-draft18");
        assert_eq!(early.first(Fact::TlsCipher), "TLS_AES_128_GCM_SHA256");

        let (dtls, _) = heard(&Hello::old(Version(0xfefd)).answer(), Transport::Dtls);
        assert_eq!((dtls.first(Fact::DtlsVersion), dtls.first(Fact::TlsVersion)), ("DTLS1.2", ""));
    }

    #[test]
    fn alpn_and_resumption() {
        let mut hello = Hello::old(Version::TLS12);
        hello.alpn(&["http/1.1"]);
        hello.session_id = vec![4; 32];
        let body = hello.answer();
        assert_eq!(heard(&body, Transport::Tls).0.first(Fact::AlpnSelected), "http/1.1");
        let read = parse(&body, Transport::Tls).unwrap();
        assert!(read.resumes(&[4; 32]) && !read.resumes(&[5; 32]) && !read.resumes(&[]));

        hello.extension(extension::SUPPORTED_VERSIONS, &[3, 4]);
        assert!(!parse(&hello.answer(), Transport::Tls).unwrap().resumes(&[4; 32]), "a compatibility value");
        hello.extension(extension::PRE_SHARED_KEY, &[0, 0]);
        assert!(parse(&hello.answer(), Transport::Tls).unwrap().resumes(&[4; 32]));
    }

    #[test]
    fn what_is_no_server_hello() {
        let body = Hello::old(Version::TLS12).answer();
        for cut in 0..body.len() {
            assert!(!heard(&body[..cut], Transport::Tls).1, "{cut}");
        }
        assert!(!heard(&body, Transport::Dtls).1);
        let mut long_id = body.clone();
        long_id[34] = 33;
        assert!(!heard(&[&long_id[..], &[0; 99]].concat(), Transport::Tls).1);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(bytes: Vec<u8>) {
            heard(&bytes, Transport::Tls);
            heard(&bytes, Transport::Dtls);
        }

        #[test]
        fn no_change_is_too_bad(at in 0usize..99, byte: u8) {
            let mut hello = Hello::old(Version::TLS12);
            hello.alpn(&["h2"]);
            let mut body = hello.answer();
            let at = at % body.len();
            body[at] = byte;
            heard(&body, Transport::Tls);
        }
    }
}
