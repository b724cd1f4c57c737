//! What a pcapng says beside its frames: names of addresses, and what was written to it. Its bounds are here.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::net::IpAddr;

use crate::capture::source::FileNotes;

/// Names of a file that are kept, the first ones.
const MOST_NAMES: usize = 16_384;
/// Bytes of a name; longer ones are none of DNS (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 255;
/// Comments on sections and interfaces that are kept, the first ones.
const MOST_COMMENTS: usize = 16;
/// Bytes of a comment that are kept.
const LONGEST_COMMENT: usize = 512;

/// Kinds of records in a name resolution block (section 4.5).
mod record {
    pub const IPV4: u16 = 1;
    pub const IPV6: u16 = 2;
}

/// Returns what was written, cut between characters to what is kept; some writers count a closing zero in.
pub fn comment(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut len = end.min(LONGEST_COMMENT);
    // A byte that goes on with a character.
    while len < end && len > 0 && value[len] & 0xc0 == 0x80 {
        len -= 1;
    }
    &value[..len]
}

impl FileNotes {
    /// Takes a record of a name resolution block: an address, and its names with a zero behind each.
    pub(super) fn record(&mut self, kind: u16, value: &[u8]) {
        let (address, names) = match kind {
            record::IPV4 => match value.split_first_chunk::<4>() {
                Some((address, names)) => (IpAddr::from(*address), names),
                None => return,
            },
            record::IPV6 => match value.split_first_chunk::<16>() {
                Some((address, names)) => (IpAddr::from(*address), names),
                None => return,
            },
            _ => return,
        };
        for name in names.split(|byte| *byte == 0) {
            if !name.is_empty() && name.len() <= LONGEST_NAME && self.names.len() < MOST_NAMES {
                self.names.push((address, name.to_ascii_lowercase().into()));
            }
        }
    }

    /// Takes a comment on `whom`.
    #[allow(clippy::disallowed_macros, clippy::disallowed_types, reason = "a few times a file")]
    pub(super) fn comment(&mut self, whom: &str, value: &[u8]) {
        let text = comment(value);
        if !text.is_empty() && self.comments.len() < MOST_COMMENTS {
            self.comments.push(format!("{whom}: {}", String::from_utf8_lossy(text)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c8_names_and_comments_of_a_file_are_bounded() {
        let mut notes = FileNotes::default();
        let long = [&[192, 0, 2, 1][..], &[b'x'; 256], b"\0", &[b'Y'; 255], b"\0\0"].concat();
        notes.record(record::IPV4, &long);
        assert_eq!(notes.names, [(IpAddr::from([192, 0, 2, 1]), [b'y'; 255][..].into())]);
        for short in [0, 3] {
            notes.record(record::IPV4, &long[..short]);
            notes.record(record::IPV6, &long[..short]);
        }
        notes.record(3, &long);
        assert_eq!(notes.names.len(), 1);
        for _ in 0..MOST_NAMES {
            notes.record(record::IPV6, &[0x61; 20]);
        }
        assert_eq!(notes.names.len(), MOST_NAMES);
        for _ in 0..100 {
            notes.comment("eth0", b"by hand\0");
            notes.comment("eth1", b"\0");
        }
        assert_eq!(notes.comments, ["eth0: by hand"; MOST_COMMENTS]);
        // Between characters.
        let wide = "a".to_owned() + &"é".repeat(300);
        assert_eq!(comment(wide.as_bytes()), &wide.as_bytes()[..LONGEST_COMMENT - 1]);
    }
}
