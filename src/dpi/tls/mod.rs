//! TLS, from SSL 2.0 to TLS 1.3: what its hellos say.
//!
//! QUIC and DTLS carry the same hellos: [`client_hello`] and [`server_hello`] serve them too. Nothing is decrypted.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

pub mod client_hello;
pub mod ja4;
pub mod reader;
#[cfg(test)]
pub(crate) mod testing;
pub mod version;

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
