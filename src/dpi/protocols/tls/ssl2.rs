//! SSL 2.0's hellos, and the one of later clients that still spoke to SSL 2.0 servers (RFC 5246 appendix E.2,
//! draft-hickman-netscape-ssl-00).
//!
//! ```text
//! client: | 8L LL | 1 | version 2 | ciphers 2 | session id 2 | challenge 2 | ...
//! server: | 8L LL | 4 | hit 1 | certificate type 1 | version 2 | certificate 2 | ciphers 2 | connection id 2 | ...
//! ```
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::protocols::tls::{reader::Reader, version::Version};

/// What bytes are, taken for a hello of SSL 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ssl2 {
    /// None.
    No,
    /// Perhaps one: too short to tell.
    Short,
    /// A client's hello, with the newest version that it offers.
    Client(Version),
    /// A server's hello.
    Server,
}

/// Judges the beginning of a stream.
pub fn judge(bytes: &[u8]) -> Ssl2 {
    match bytes {
        [] => Ssl2::Short,
        [0x80..=0xbf] | [0x80..=0xbf, _] => Ssl2::Short,
        [0x80..=0xbf, _, 1, ..] => client(bytes).unwrap_or(Ssl2::Short),
        [0x80..=0xbf, _, 4, ..] => server(bytes).unwrap_or(Ssl2::Short),
        _ => Ssl2::No,
    }
}

/// Judges a client's hello: `None` when it is too short.
fn client(bytes: &[u8]) -> Option<Ssl2> {
    const FIXED: usize = 9;
    let mut reader = Reader::new(bytes);
    let record = usize::from(reader.u16()? & 0x7fff);
    reader.u8()?;
    let version = Version(reader.u16()?);
    let [ciphers, session_id, challenge] = [reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
    let right = (version == Version::SSL2 || version.is_legacy_tls())
        && ciphers > 0
        && ciphers % 3 == 0
        && matches!(session_id, 0 | 16)
        && (16..=32).contains(&challenge)
        && record == FIXED + ciphers + session_id + challenge;
    Some(if right { Ssl2::Client(version) } else { Ssl2::No })
}

/// Judges a server's hello: `None` when it is too short.
fn server(bytes: &[u8]) -> Option<Ssl2> {
    const FIXED: usize = 11;
    let mut reader = Reader::new(bytes);
    let record = usize::from(reader.u16()? & 0x7fff);
    reader.u8()?;
    let [session_hit, certificate_type] = [reader.u8()?, reader.u8()?];
    let version = Version(reader.u16()?);
    let [certificate, ciphers, connection_id] =
        [reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
    let right = session_hit <= 1
        && certificate_type <= 1
        && version == Version::SSL2
        && ciphers % 3 == 0
        && connection_id <= 32
        && record == FIXED + certificate + ciphers + connection_id;
    Some(if right { Ssl2::Server } else { Ssl2::No })
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    /// A hello with one cipher and a challenge of 16 bytes.
    const CLIENT: &[u8] = &[0x80, 28, 1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 0x0a];
    const SERVER: &[u8] = &[0x80, 33, 4, 0, 1, 0, 2, 0, 3, 0, 3, 0, 16, 0x30, 1, 2];

    #[test]
    fn hellos_and_their_cuts() {
        for (hello, wanted, needs) in
            [(CLIENT, Ssl2::Client(Version(0x0301)), 11), (SERVER, Ssl2::Server, 13)]
        {
            for cut in 0..hello.len() {
                assert_eq!(judge(&hello[..cut]), if cut < needs { Ssl2::Short } else { wanted }, "{cut}");
            }
        }
    }

    #[test]
    fn every_field_counts() {
        for (hello, at, byte) in [
            (CLIENT, 0, 0x16),
            (CLIENT, 1, 29),
            (CLIENT, 2, 2),
            (CLIENT, 3, 4),
            (CLIENT, 6, 4),
            (CLIENT, 8, 1),
            (CLIENT, 10, 15),
            (SERVER, 1, 34),
            (SERVER, 3, 2),
            (SERVER, 6, 3),
            (SERVER, 10, 2),
        ] {
            let mut hello = hello.to_vec();
            hello[at] = byte;
            assert_eq!(judge(&hello), Ssl2::No, "byte {at}");
        }
    }
}
