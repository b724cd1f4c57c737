//! Domain names of DNS messages (RFC 1035 sections 3.1 and 4.1.4), as in zone files.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::ops::Range;

use crate::dpi::fact::LONGEST_VALUE;

/// Labels of the longest name (255 bytes), and so the most pointers that one can need.
const MOST_HOPS: usize = 128;
/// Bytes of a name in a message at most (RFC 1035 section 3.1).
const LONGEST_NAME: usize = 255;

/// The root as text.
const ROOT: &[u8] = b"<Root>";

/// A name as text: labels with dots between them and none after the last, letters as they came, dots and
/// backslashes within a label as `\.` and `\\`, control characters as `\DDD` (RFC 1035 section 5.1). The root is `<Root>`: a
/// single dot would be overlooked, and found in every name.
pub struct Name {
    text: [u8; LONGEST_VALUE],
    len: usize,
}

impl Name {
    /// Returns the name before one was read.
    pub const fn new() -> Self {
        Self { text: [0; LONGEST_VALUE], len: 0 }
    }

    /// Returns the text, cut at [`LONGEST_VALUE`] bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// Reads the name at `at`, following pointers, which must lead backwards. Returns where the next field begins.
    pub fn read(&mut self, message: &[u8], at: usize) -> Option<usize> {
        self.len = 0;
        let (mut run, mut at, mut next, mut wire_len) = (at, at, None, 0);
        // Each run of labels begins before the one that led to it, so this ends; the bound is for the worst case.
        for _ in 0..2 * MOST_HOPS {
            let length = usize::from(*message.get(at)?);
            match length >> 6 {
                0 if length == 0 => {
                    if self.len == 0 {
                        ROOT.iter().for_each(|byte| self.push_byte(*byte));
                    }
                    return Some(next.unwrap_or(at + 1));
                }
                0 => {
                    let label = at + 1..at + 1 + length;
                    if label.end > message.len() {
                        return None;
                    }
                    wire_len += 1 + length;
                    if wire_len >= LONGEST_NAME {
                        return None;
                    }
                    if self.len != 0 {
                        self.push_byte(b'.');
                    }
                    self.label(message, label);
                    at += 1 + length;
                }
                3 => {
                    let target = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                    if target >= run || target < super::message::HEADER_LEN {
                        return None;
                    }
                    next = next.or(Some(at + 2));
                    (run, at) = (target, target);
                }
                _ => return None,
            }
        }
        None
    }

    /// Adds a label: eight bytes at a time where there are so many in message and text and none is escaped.
    fn label(&mut self, message: &[u8], label: Range<usize>) {
        let mut at = label.start;
        while at < label.end
            && let Some(word) = message.get(at..).and_then(<[u8]>::first_chunk::<8>)
            && let Some(place) = self.text.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut::<8>)
        {
            let len = (label.end - at).min(8);
            // What is behind the label is written too, and then written over.
            let behind = u64::MAX.checked_shl(8 * len as u32).unwrap_or(0);
            if has_escaped(u64::from_le_bytes(*word) & !behind | PLAIN & behind) {
                break;
            }
            *place = *word;
            self.len += len;
            at += len;
        }
        self.bytes(message.get(at..label.end).unwrap_or_default());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match *byte {
                b'.' | b'\\' => [b'\\', *byte].into_iter().for_each(|byte| self.push_byte(byte)),
                0..=0x1f | 0x7f => {
                    self.push_byte(b'\\');
                    [byte / 100, byte / 10 % 10, byte % 10]
                        .into_iter()
                        .for_each(|n| self.push_byte(b'0' + n));
                }
                byte => self.push_byte(byte),
            }
        }
    }

    /// Adds a byte, if there is room. Names are short: adding them byte by byte takes less than to copy them.
    #[inline(always)]
    fn push_byte(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    /// Returns whether the name is under this domain, whose letters are small.
    pub fn is_under(&self, domain: &[u8]) -> bool {
        let Some(start) = self.len.checked_sub(domain.len()) else { return false };
        self.text[start..self.len].eq_ignore_ascii_case(domain)
            && (start == 0 || self.text[start - 1] == b'.')
    }

    /// Makes all letters small.
    pub fn make_lower_case(&mut self) {
        self.text[..self.len].make_ascii_lowercase();
    }
}

/// The same byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Eight letters that are not escaped.
const PLAIN: u64 = eight(b'a');

/// Returns whether one of eight bytes is a dot, a backslash or a control character. (The tests for bytes below a number
/// and for zeros are those of S. E. Anderson, "Bit Twiddling Hacks".)
const fn has_escaped(word: u64) -> bool {
    const fn below(word: u64, bound: u8) -> u64 {
        word.wrapping_sub(eight(bound)) & !word
    }
    let found = below(word, 0x20)
        | below(word ^ eight(0x7f), 1)
        | below(word ^ eight(b'.'), 1)
        | below(word ^ eight(b'\\'), 1);
    found & eight(0x80) != 0
}

/// Returns where the field after the name at `at` begins. A pointer must lead backwards, but is not followed.
#[inline]
pub fn skip(message: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    for _ in 0..MOST_HOPS {
        let length = usize::from(*message.get(at)?);
        match length >> 6 {
            0 if length == 0 => return Some(at + 1),
            0 => at += 1 + length,
            3 => {
                let target = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                return (target < start && target >= super::message::HEADER_LEN).then_some(at + 2);
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    fn read(fields: &[u8], at: usize) -> Option<(String, usize)> {
        let message = [&[0; 12], fields].concat();
        let mut name = Name::new();
        let next = name.read(&message, 12 + at)?;
        assert_eq!(skip(&message, 12 + at), Some(next), "skipping ends where reading does");
        Some((String::from_utf8_lossy(name.as_bytes()).into_owned(), next - 12))
    }

    #[test]
    fn labels_pointers_and_the_root() {
        assert_eq!(read(b"\x03wWw\x02ab\0", 0), Some(("wWw.ab".into(), 8)));
        assert_eq!(read(b"\0", 0), Some(("<Root>".into(), 1)));
        assert_eq!(read(b"\x02ab\0\x01c\xc0\x0c", 4), Some(("c.ab".into(), 8)));
        assert_eq!(read(b"\x05a.b\\\x07\0", 0), Some((r"a\.b\\\007".into(), 7)));
        assert_eq!(read("\x06\u{5c0f}\u{4f5b}\0".as_bytes(), 0), Some(("\u{5c0f}\u{4f5b}".into(), 8)));
    }

    #[test]
    fn labels_of_any_length_are_escaped_byte_for_byte() {
        let escaped = |label: &[u8]| {
            let mut text = String::new();
            for byte in label {
                match byte {
                    b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                    0..=0x1f | 0x7f => text.push_str(&format!("\\{byte:03}")),
                    byte => text.push(char::from(*byte)),
                }
            }
            text
        };
        for len in 1..=24 {
            for odd in [b'.', b'\\', 0, 0x1f, 0x7f, b' ', b'~', b'a'] {
                for at in 0..len {
                    let mut label = vec![b'x'; len];
                    label[at] = odd;
                    // The root behind it, or so much more that the last step may read beyond the name.
                    for behind in [&[0][..], &[0; 9], b"\0........", b"\x02.y\0"] {
                        let fields = [&[len as u8][..], &label, behind].concat();
                        let mut wanted = escaped(&label);
                        if behind.len() == 4 {
                            wanted.push_str(".\\.y");
                        }
                        assert_eq!(read(&fields, 0).unwrap().0, wanted, "{fields:x?}");
                    }
                }
            }
        }
    }

    #[test]
    fn loops_forward_pointers_and_cut_names_are_none() {
        for (bytes, at) in [
            (&b"\xc0\x0c"[..], 0),       // to itself
            (b"\xc0\x10\0\0\x01a\0", 0), // forwards
            (b"\x01a\xc0\x0c", 2),       // backwards to a name that ends in this pointer
            (b"\xc0\x00", 0),            // into the header
            (b"\x03ab", 0),              // cut
            (b"\x43abc\0", 0),           // reserved kind of label
            (b"", 0),
        ] {
            let message = [&[0; 12], bytes].concat();
            assert_eq!(Name::new().read(&message, 12 + at), None, "{bytes:x?}");
        }
    }

    #[test]
    fn a_name_of_more_than_255_bytes_is_none() {
        let label = [&[63][..], &[b'a'; 63]].concat();
        let name = |labels: usize, last: usize| {
            [label.repeat(labels), [&[last as u8][..], &vec![b'a'; last]].concat(), vec![0]].concat()
        };
        assert!(read(&name(3, 61), 0).is_some());
        assert!(Name::new().read(&[vec![0; 12], name(3, 62)].concat(), 12).is_none());
    }

    #[test]
    fn domains_end_at_labels() {
        let mut name = Name::new();
        let message = [&[0; 12][..], b"\x04host\x05LOCAL\0"].concat();
        name.read(&message, 12).unwrap();
        assert!(name.is_under(b"local") && name.is_under(b"host.local"));
        assert!(!name.is_under(b"ocal") && !name.is_under(b"x.host.local"));
    }
}
