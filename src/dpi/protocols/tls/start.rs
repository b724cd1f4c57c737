//! How a side of a connection begins: whether that is TLS, told from its first bytes.
//!
//! A hello is known by its record header, its message header and its version: more than 50 bits must be right,
//! wherever records cut them. In the middle of a connection nothing but record headers can be read:
//! there one header counts if its record ends where the next one begins, or where the bytes end.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::protocols::tls::{
    record::{HEADER, Record, Records, content, may_begin},
    ssl2::{Ssl2, judge},
    version::Version,
};

/// How a side begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Too short to tell.
    Wait,
    /// Not TLS.
    No,
    /// With a handshake: a ClientHello, a ServerHello, or an alert before it.
    Handshake,
    /// With a hello of SSL 2.0 that offers at most this version.
    Ssl2Client(Version),
    /// With the answer of an SSL 2.0 server.
    Ssl2Server,
    /// With records in which nothing can be read: the connection's beginning was missed.
    Middle,
}

impl Start {
    /// Returns whether this alone shows that it is TLS.
    pub const fn is_tls(self) -> bool {
        !matches!(self, Self::Wait | Self::No)
    }
}

/// Length of ClientHello and ServerHello at least and at most (RFC 8446 sections 4.1.2 and 4.1.3).
const HELLO_LENGTHS: std::ops::RangeInclusive<u32> = 38..=2 * 0xffff + 2 * 0xff + 64;
/// Bytes of a handshake that are enough to know a hello: its header and its version.
const SIGN: usize = 6;

/// Judges the beginning of a side's bytes. `opened`: they are those from the connection's beginning.
pub fn judge_start(bytes: &[u8], opened: bool) -> Start {
    let Some(first) = bytes.first() else { return Start::Wait };
    let start = match *first {
        content::HANDSHAKE => handshake(bytes, opened),
        content::ALERT => alert(bytes, opened),
        content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT if !opened => middle(bytes),
        0x80..=0xbf => match judge(bytes) {
            Ssl2::No => Start::No,
            Ssl2::Short => Start::Wait,
            Ssl2::Client(version) => Start::Ssl2Client(version),
            Ssl2::Server => Start::Ssl2Server,
        },
        _ => Start::No,
    };
    if start == Start::No && !opened { later(bytes) } else { start }
}

/// Judges bytes that begin like a handshake record.
fn handshake(bytes: &[u8], opened: bool) -> Start {
    let mut sign = [0; SIGN];
    let mut have = 0;
    let mut records = Records::new(bytes);
    while have < SIGN {
        match records.next() {
            Some(record) if record.kind == content::HANDSHAKE => {
                let more = record.fragment.len().min(SIGN - have);
                sign[have..have + more].copy_from_slice(&record.fragment[..more]);
                have += more;
            }
            Some(_) => return if opened { Start::No } else { middle(bytes) },
            None if may_begin(records.rest()) && (opened || records.rest().len() == bytes.len()) => {
                return Start::Wait;
            }
            None => return if opened { Start::No } else { middle(bytes) },
        }
    }
    let [kind, a, b, c, major, minor] = sign;
    let len = u32::from_be_bytes([0, a, b, c]);
    let hello = HELLO_LENGTHS.contains(&len) && Version(u16::from_be_bytes([major, minor])).is_legacy_tls();
    match kind {
        1 | 2 if hello => Start::Handshake,
        _ if opened => Start::No,
        // Of an answer's later records: NewSessionTicket, Certificate, ServerKeyExchange, CertificateRequest,
        // ServerHelloDone, CertificateVerify, ClientKeyExchange, Finished, CertificateStatus.
        4 | 11..=16 | 20 | 22 if a == 0 && (len > 0 || kind == 14) => Start::Middle,
        _ => middle(bytes),
    }
}

/// Judges bytes that begin like an alert.
fn alert(bytes: &[u8], opened: bool) -> Start {
    match Records::new(bytes).next() {
        None if may_begin(bytes) => Start::Wait,
        // Level and description (RFC 8446 section 6).
        Some(Record { len: 2, fragment: [] | [1 | 2], .. }) => Start::Wait,
        Some(Record { len: 2, fragment: [1 | 2, 0..=121], .. }) => Start::Handshake,
        _ if opened => Start::No,
        _ => middle(bytes),
    }
}

/// Judges bytes that may begin with any record.
fn middle(bytes: &[u8]) -> Start {
    let mut records = Records::new(bytes);
    let Some(record) = records.next() else {
        return if may_begin(bytes) { Start::Wait } else { Start::No };
    };
    let next = records.rest();
    if !may_begin(next) {
        return Start::No;
    }
    // Application data of a version that is in use: 26 bits are enough for a record that is not yet complete.
    let data = record.kind == content::APPLICATION_DATA && matches!(record.version, 0x0301..=0x0303);
    let filled = record.is_whole() && (next.is_empty() || next.len() >= 3);
    if data || filled { Start::Middle } else { Start::Wait }
}

/// Looks for two records in a row behind the bytes' beginning, which may lie in the middle of a record.
fn later(bytes: &[u8]) -> Start {
    let two = |at: usize| {
        let mut records = Records::new(&bytes[at..]);
        let data =
            |r: &Record<'_>| r.kind == content::APPLICATION_DATA && (0x0301..=0x0303).contains(&r.version);
        records.next().filter(data).is_some_and(|r| r.is_whole())
            && records.rest().len() >= HEADER
            && may_begin(records.rest())
    };
    let mut at = 1;
    while let Some(found) =
        bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == content::APPLICATION_DATA))
    {
        if two(at + found) {
            return Start::Middle;
        }
        at += found + 1;
    }
    Start::No
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::protocols::tls::{
        Transport,
        testing::{Hello, message, record},
    };

    fn client_hello() -> Vec<u8> {
        message(1, &Hello::modern("www.example.org").body(Transport::Tls))
    }

    #[test]
    fn a_hello_is_known_by_eleven_bytes_however_records_cut_it() {
        let hello = client_hello();
        for size in 1..hello.len() {
            let stream: Vec<u8> = hello.chunks(size).flat_map(|c| record(22, 0x0301, c)).collect();
            let needs = SIGN + HEADER * SIGN.div_ceil(size);
            for cut in 0..stream.len() {
                let wanted = if cut < needs { Start::Wait } else { Start::Handshake };
                assert_eq!(judge_start(&stream[..cut], true), wanted, "records of {size}, {cut} bytes");
            }
        }
    }

    #[test]
    fn no_handshake() {
        let hello = record(22, 0x0301, &client_hello());
        for (what, at, byte) in [
            ("content", 0, 25),
            ("record version", 1, 2),
            ("record version", 2, 5),
            ("record length", 3, 0x50),
            ("message type", 5, 3),
            ("message length", 6, 4),
            ("version", 9, 2),
            ("version", 10, 5),
        ] {
            let mut stream = hello.clone();
            stream[at] = byte;
            assert_eq!(judge_start(&stream, true), Start::No, "{what}");
        }
        for stream in ["GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "220 mail\r\n"] {
            assert_eq!(judge_start(stream.as_bytes(), true), Start::No, "{stream}");
        }
        // Data before a hello.
        assert_eq!(judge_start(&record(23, 0x0303, &[0; 40]), true), Start::No);
    }

    #[test]
    fn records_of_a_connection_that_was_joined_late() {
        let data = record(23, 0x0303, &[0; 40]);
        let finished = record(22, 0x0303, &[0xc5; 40]);
        let alert = record(21, 0x0303, &[0xc5; 26]);
        let mut odd = finished.clone();
        odd.extend(b"GET / ");
        for (what, stream, wanted) in [
            ("data", &data[..], Start::Middle),
            ("data that goes on", &data[..5], Start::Middle),
            ("half a header", &data[..4], Start::Wait),
            ("data, then no record", &[&data[..], b"GET"].concat(), Start::No),
            ("an encrypted handshake", &finished, Start::Middle),
            ("part of one", &finished[..30], Start::Wait),
            ("two", &[&finished[..], &data[..3]].concat(), Start::Middle),
            ("one and half a header", &[&finished[..], &data[..2]].concat(), Start::Wait),
            ("one, then no record", &odd, Start::No),
            ("an encrypted alert", &alert, Start::Middle),
            ("a change of ciphers", &record(20, 0x0303, &[1]), Start::Middle),
            ("a certificate", &record(22, 0x0303, &message(11, &[0; 3000]))[..100], Start::Middle),
            ("an alert", &record(21, 0x0303, &[1, 0]), Start::Handshake),
            ("the middle of a record", &[&[0x99; 77][..], &data, &data].concat(), Start::Middle),
            ("no record", &[0x17; 4000], Start::No),
        ] {
            assert_eq!(judge_start(stream, false), wanted, "{what}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(bytes: Vec<u8>, opened: bool) {
            judge_start(&bytes, opened);
        }
    }
}
