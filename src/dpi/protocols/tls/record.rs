//! The record layer of TLS over a stream: records, and the handshake messages that lie across them
//! (RFC 8446 section 5.1, RFC 5246 section 6.2).
//!
//! ```text
//! | 22 | 3 3 | len | fragment ............ | 22 | 3 3 | len | fragment ... | 20 | ...
//!                  | type | len24 | body .................. | type | ...
//! ```
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::talk::STREAM_BUDGET;

/// Length of a record's header.
pub const HEADER: usize = 5;
/// Length of a handshake message's header.
pub const MESSAGE_HEADER: usize = 4;
/// Longest fragment of a record: 2^14 bytes and what old ciphers may add (RFC 5246 section 6.2.3).
const LONGEST: usize = 16384 + 2048;

/// Content types.
pub mod content {
    /// change_cipher_spec.
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    /// alert.
    pub const ALERT: u8 = 21;
    /// handshake.
    pub const HANDSHAKE: u8 = 22;
    /// application_data.
    pub const APPLICATION_DATA: u8 = 23;
    /// heartbeat (RFC 6520).
    pub const HEARTBEAT: u8 = 24;
}

/// A record, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Content type.
    pub kind: u8,
    /// legacy_record_version.
    pub version: u16,
    /// Declared length of the fragment.
    pub len: usize,
    /// What has come of the fragment.
    pub fragment: &'a [u8],
}

impl Record<'_> {
    /// Returns whether all of it has come.
    pub const fn is_whole(&self) -> bool {
        self.fragment.len() == self.len
    }
}

/// Returns whether bytes begin like a record: as many of its header's fields as there are make sense.
pub const fn may_begin(bytes: &[u8]) -> bool {
    let kind = match bytes {
        [] => return true,
        [kind, ..] => *kind,
    };
    let version = match bytes {
        [_] => true,
        [_, 3] => true,
        [_, 3, minor, ..] => *minor <= 4,
        _ => false,
    };
    let len = match bytes {
        [_, _, _, high] => (*high as usize) << 8 <= LONGEST,
        [_, _, _, high, low, ..] => {
            let len = (*high as usize) << 8 | *low as usize;
            // Only application data may be empty (RFC 8446 section 5.1).
            len <= LONGEST && (len > 0 || kind == content::APPLICATION_DATA)
        }
        _ => true,
    };
    matches!(kind, content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT) && version && len
}

/// The records at the beginning of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Returns the records of a stream.
    pub const fn new(stream: &'a [u8]) -> Self {
        Self { rest: stream }
    }

    /// Returns what follows the records read so far: the beginning of the next, or no record.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if !may_begin(self.rest) {
            return None;
        }
        let (&[kind, major, minor, high, low], after) = self.rest.split_first_chunk::<HEADER>()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let (fragment, rest) = after.split_at(len.min(after.len()));
        self.rest = rest;
        Some(Record { kind, version: u16::from_be_bytes([major, minor]), len, fragment })
    }
}

/// A handshake message, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Handshake type.
    pub kind: u8,
    /// Declared length of the body.
    pub len: usize,
    /// What has come of the body.
    pub body: &'a [u8],
}

impl Message<'_> {
    /// Returns whether all of it has come.
    pub const fn is_whole(&self) -> bool {
        self.body.len() == self.len
    }
}

/// Why no more handshake messages can be read of a stream, whatever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A record of another content.
    Content(u8),
    /// What is no record.
    NoRecord,
}

/// The handshake messages that can be read at the beginning of a stream: those before the first record of another
/// content, warnings aside. A message across records is copied together.
pub struct Messages<'a> {
    records: Records<'a>,
    fragment: &'a [u8],
    end: Option<End>,
    copy: Option<[u8; STREAM_BUDGET]>,
}

impl<'a> Messages<'a> {
    /// Returns the messages of a stream.
    pub const fn new(stream: &'a [u8]) -> Self {
        Self { records: Records::new(stream), fragment: &[], end: None, copy: None }
    }

    /// Returns why no message follows those read so far; `None` when more may come.
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// Returns the next message. The last one may be incomplete.
    pub fn next_message(&mut self) -> Option<Message<'_>> {
        if self.fragment.is_empty() {
            self.fragment = self.next_fragment()?;
        }
        if let Some((kind, len, body)) = split(self.fragment) {
            if body.len() >= len {
                let (body, rest) = body.split_at(len);
                self.fragment = rest;
                return Some(Message { kind, len, body });
            }
            if self.records.rest().is_empty() {
                self.fragment = &[];
                return Some(Message { kind, len, body });
            }
        }
        self.copied()
    }

    /// Copies the next message together from several records.
    #[cold]
    fn copied(&mut self) -> Option<Message<'_>> {
        let mut copy = [0; STREAM_BUDGET];
        let mut have = 0;
        loop {
            let wanted = match split(&copy[..have]) {
                Some((_, len, body)) if body.len() >= len => break,
                Some((_, len, _)) => MESSAGE_HEADER + len,
                None => MESSAGE_HEADER,
            };
            if self.fragment.is_empty() {
                let Some(fragment) = self.next_fragment() else { break };
                self.fragment = fragment;
            }
            let more = (wanted - have).min(self.fragment.len()).min(STREAM_BUDGET - have);
            if more == 0 {
                break;
            }
            let (taken, rest) = self.fragment.split_at(more);
            copy[have..have + more].copy_from_slice(taken);
            self.fragment = rest;
            have += more;
        }
        let (kind, len, body) = split(self.copy.insert(copy).get(..have)?)?;
        Some(Message { kind, len, body: &body[..len.min(body.len())] })
    }

    /// Returns the fragment of the next handshake record.
    fn next_fragment(&mut self) -> Option<&'a [u8]> {
        if self.end.is_some() {
            return None;
        }
        loop {
            let Some(record) = self.records.next() else {
                self.end = (!may_begin(self.records.rest())).then_some(End::NoRecord);
                return None;
            };
            match record.kind {
                content::HANDSHAKE if record.fragment.is_empty() => {}
                content::HANDSHAKE => return Some(record.fragment),
                content::ALERT if record.len == 2 && is_warning(record.fragment) => {}
                other => {
                    self.end = Some(End::Content(other));
                    return None;
                }
            }
        }
    }
}

/// Returns whether an alert, as far as it has come, is one after which the handshake goes on.
const fn is_warning(alert: &[u8]) -> bool {
    matches!(alert, [] | [1, ..])
}

/// Splits a handshake message into type, declared length and what follows.
fn split(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (&[kind, a, b, c], rest) = bytes.split_first_chunk::<MESSAGE_HEADER>()?;
    Some((kind, u32::from_be_bytes([0, a, b, c]) as usize, rest))
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::protocols::tls::testing::{message, record};

    /// Three messages, the first of 5, the second of 300, the third of 0 bytes.
    fn handshake() -> Vec<u8> {
        [message(2, b"hello"), message(11, &[7; 300]), message(14, &[])].concat()
    }

    fn read(stream: &[u8]) -> (Vec<(u8, usize, Vec<u8>)>, bool) {
        let mut messages = Messages::new(stream);
        let mut all = vec![];
        while let Some(m) = messages.next_message() {
            all.push((m.kind, m.len, m.body.to_vec()));
        }
        (all, messages.end().is_some())
    }

    #[test]
    fn messages_are_the_same_however_records_cut_them() {
        let bytes = handshake();
        let whole = read(&record(22, 0x0303, &bytes));
        assert_eq!(whole.0.iter().map(|m| (m.0, m.1)).collect::<Vec<_>>(), [(2, 5), (11, 300), (14, 0)]);
        for size in 1..bytes.len() {
            let stream: Vec<u8> = bytes.chunks(size).flat_map(|c| record(22, 0x0303, c)).collect();
            assert_eq!(read(&stream), whole, "records of {size}");
        }
    }

    #[test]
    fn a_message_that_has_not_come_is_cut() {
        for size in [1, 3, 7, 100, 400] {
            let stream: Vec<u8> = handshake().chunks(size).flat_map(|c| record(22, 0x0303, c)).collect();
            let (all, _) = read(&stream);
            for cut in 0..stream.len() {
                let (part, over) = read(&stream[..cut]);
                assert!(!over);
                let last = part.len().max(1) - 1;
                for (at, (kind, len, body)) in part.iter().enumerate() {
                    assert!((*kind, *len) == (all[at].0, all[at].1) && all[at].2.starts_with(body));
                    assert!(at == last || body.len() == *len, "only the last one is cut");
                }
            }
        }
    }

    #[test]
    fn other_content_ends_them_and_warnings_do_not() {
        let hello = record(22, 0x0301, &message(1, b"x"));
        let warning = record(21, 0x0303, &[1, 112]);
        for (what, stream, messages, over) in [
            ("a warning before", [warning.clone(), hello.clone()].concat(), 1, false),
            ("a fatal alert", [record(21, 0x0303, &[2, 40]), hello.clone()].concat(), 0, true),
            ("change of ciphers", [hello.clone(), record(20, 0x0303, &[1]), hello.clone()].concat(), 1, true),
            ("an encrypted alert", [record(21, 0x0303, &[0; 26]), hello.clone()].concat(), 0, true),
            ("no record", [&hello[..], b"GET / HTTP/1.1"].concat(), 1, true),
            ("a record without end", [&hello[..], &[22, 3, 3, 0xff, 0xff]].concat(), 1, true),
            ("half a header", [&hello[..], &[22, 3, 3]].concat(), 1, false),
        ] {
            let (all, is_over) = read(&stream);
            assert_eq!((all.len(), is_over), (messages, over), "{what}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(stream: Vec<u8>) {
            read(&stream);
        }

        #[test]
        fn no_change_is_too_bad(at in 0usize..400, byte: u8, size in 1usize..200) {
            let mut stream: Vec<u8> = handshake().chunks(size).flat_map(|c| record(22, 0x0303, c)).collect();
            let at = at % stream.len();
            stream[at] = byte;
            read(&stream);
        }
    }
}
