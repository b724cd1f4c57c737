//! Hellos for tests, made field by field.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]

use crate::dpi::protocols::tls::{Transport, client_hello::extension, version::Version};

/// A ClientHello or ServerHello in the making.
#[derive(Clone, Debug)]
pub struct Hello {
    pub legacy_version: Version,
    pub session_id: Vec<u8>,
    pub ciphers: Vec<u16>,
    pub extensions: Vec<u8>,
}

impl Hello {
    /// Returns a hello without extensions and with two ciphers.
    pub fn old(legacy_version: Version) -> Self {
        Self { legacy_version, session_id: vec![], ciphers: vec![0x1301, 0xc02f], extensions: vec![] }
    }

    /// Returns a hello of TLS 1.3 for a name, which offers h2 and http/1.1.
    pub fn modern(name: &str) -> Self {
        let mut hello = Self::old(Version::TLS12);
        hello.session_id = vec![0x5e; 32];
        hello.server_name(name.as_bytes());
        hello.alpn(&["h2", "http/1.1"]);
        hello.extension(extension::SIGNATURE_ALGORITHMS, &[0, 4, 4, 3, 8, 4]);
        // supported_groups: x25519; key_share: one of 32 bytes.
        hello.extension(10, &[0, 2, 0, 29]);
        hello.extension(51, &[&[0, 36, 0, 29, 0, 32][..], &[0x77; 32]].concat());
        hello.extension(extension::SUPPORTED_VERSIONS, &[4, 3, 4, 3, 3]);
        hello
    }

    /// Adds an extension.
    pub fn extension(&mut self, kind: u16, content: &[u8]) {
        self.extensions.extend(kind.to_be_bytes());
        self.extensions.extend((content.len() as u16).to_be_bytes());
        self.extensions.extend(content);
    }

    /// Adds a server name.
    pub fn server_name(&mut self, name: &[u8]) {
        let len = name.len() as u16;
        let content = [&(len + 3).to_be_bytes()[..], &[0], &len.to_be_bytes(), name].concat();
        self.extension(extension::SERVER_NAME, &content);
    }

    /// Adds protocols.
    pub fn alpn(&mut self, names: &[&str]) {
        let list: Vec<u8> =
            names.iter().flat_map(|n| [&[n.len() as u8][..], n.as_bytes()].concat()).collect();
        self.extension(extension::ALPN, &[&(list.len() as u16).to_be_bytes()[..], &list].concat());
    }

    /// Adds an outer ECH.
    pub fn ech(mut self) -> Self {
        let content = [&[0, 0, 1, 0, 1, 7, 0, 2, 1, 2, 0, 3][..], &[9; 3]].concat();
        self.extension(extension::ENCRYPTED_CLIENT_HELLO, &content);
        self
    }

    /// Returns the body of the ClientHello.
    pub fn body(&self, over: Transport) -> Vec<u8> {
        let version = match over {
            Transport::Dtls => Version(0xfefd),
            _ => self.legacy_version,
        };
        let mut body = version.0.to_be_bytes().to_vec();
        body.extend([0xaa; 32]);
        body.push(self.session_id.len() as u8);
        body.extend(&self.session_id);
        if over == Transport::Dtls {
            body.push(0);
        }
        body.extend((2 * self.ciphers.len() as u16).to_be_bytes());
        body.extend(self.ciphers.iter().flat_map(|c| c.to_be_bytes()));
        body.extend([1, 0]);
        self.finish(body)
    }

    /// Returns the body of a ServerHello that chooses the first of the ciphers.
    pub fn answer(&self) -> Vec<u8> {
        let mut body = self.legacy_version.0.to_be_bytes().to_vec();
        body.extend([0xbb; 32]);
        body.push(self.session_id.len() as u8);
        body.extend(&self.session_id);
        body.extend(self.ciphers[0].to_be_bytes());
        body.push(0);
        self.finish(body)
    }

    fn finish(&self, mut body: Vec<u8>) -> Vec<u8> {
        if !self.extensions.is_empty() {
            body.extend((self.extensions.len() as u16).to_be_bytes());
            body.extend(&self.extensions);
        }
        body
    }
}

/// Returns a handshake message of TLS (RFC 8446 section 4): type, length, body.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// Returns a record (RFC 8446 section 5.1).
pub fn record(kind: u8, version: u16, fragment: &[u8]) -> Vec<u8> {
    [&[kind][..], &version.to_be_bytes(), &(fragment.len() as u16).to_be_bytes(), fragment].concat()
}

/// Returns records with the hellos of a client that asks for `name` and of a server that takes TLS 1.2.
pub fn hellos(name: &str) -> [Vec<u8>; 2] {
    let client = message(1, &Hello::modern(name).body(Transport::Tls));
    let server = message(2, &Hello::old(Version::TLS12).answer());
    [record(22, 0x0301, &client), record(22, 0x0303, &server)]
}
