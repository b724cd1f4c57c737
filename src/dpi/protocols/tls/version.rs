//! Names of protocol versions.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{fact::Fact, notes::Notes};

/// A version as it stands on the wire. TLS counts up from 0x0300 (SSL 3.0), DTLS down from 0xfeff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u16);

impl Version {
    /// SSL 2.0, as its own hello spells it.
    pub const SSL2: Self = Self(0x0002);
    /// SSL 3.0 (RFC 6101).
    pub const SSL3: Self = Self(0x0300);
    /// TLS 1.2 (RFC 5246).
    pub const TLS12: Self = Self(0x0303);
    /// TLS 1.3 (RFC 8446).
    pub const TLS13: Self = Self(0x0304);

    /// Returns the name, if it is a published version.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x0002 | 0x0200 => "SSL2.0",
            0x0300 => "SSL3.0",
            0x0301 => "TLS1.0",
            0x0302 => "TLS1.1",
            0x0303 => "TLS1.2",
            0x0304 => "TLS1.3",
            // OpenSSL before 0.9.8f, still spoken by Cisco AnyConnect.
            0x0100 => "DTLS1.0-pre",
            0xfeff => "DTLS1.0",
            0xfefd => "DTLS1.2",
            0xfefc => "DTLS1.3",
            _ => return None,
        })
    }

    /// Returns its place among the versions: the higher, the newer. Drafts of TLS 1.3 come just before it.
    pub const fn rank(self) -> u32 {
        match self.0 {
            0x0304 | 0xfefc => 0x1_0000,
            0x7f00..=0x7fff | 0xfb00..=0xfbff => 0xff00 + (self.0 & 0xff) as u32,
            dtls @ 0xfe00..=0xfeff => 0xff - (dtls & 0xff) as u32,
            other => other as u32,
        }
    }

    /// Returns whether keys are agreed on as in TLS 1.3: a draft of it counts.
    pub const fn is_tls13(self) -> bool {
        matches!(self.0, 0x0304 | 0xfefc | 0x7f00..=0x7fff | 0xfb00..=0xfbff)
    }

    /// Returns whether a ClientHello or ServerHello of TLS may give this in its first field.
    pub const fn is_legacy_tls(self) -> bool {
        matches!(self.0, 0x0300..=0x0304 | 0x7f00..=0x7fff)
    }

    /// Returns whether a hello or record of DTLS may give this.
    pub const fn is_dtls(self) -> bool {
        matches!(self.0, 0x0100 | 0xfeff | 0xfefd | 0xfefc)
    }

    /// Notes the version under `fact`: `TLS1.2`, `TLS1.3-draft28`, Facebook's `TLS1.3-fb23`, or the number.
    pub fn note(self, fact: Fact, notes: &mut Notes<'_>) {
        if let Some(name) = self.name() {
            return notes.text(fact, name.as_bytes());
        }
        let mut text = [0; 16];
        let len = match self.0 >> 8 {
            0x7f => numbered(&mut text, b"TLS1.3-draft", self.0 & 0xff),
            0xfb => numbered(&mut text, b"TLS1.3-fb", self.0 & 0xff),
            _ => {
                text[..2].copy_from_slice(b"0x");
                text[2..6].copy_from_slice(&hex4(self.0));
                6
            }
        };
        notes.text(fact, &text[..len]);
    }
}

/// Writes `head` and a number of at most 3 digits; returns the length.
fn numbered(text: &mut [u8; 16], head: &[u8], number: u16) -> usize {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number).as_bytes();
    let len = head.len() + digits.len();
    text[..head.len()].copy_from_slice(head);
    text[head.len()..len].copy_from_slice(digits);
    len
}

/// Returns a number as 4 hexadecimal digits.
pub const fn hex4(number: u16) -> [u8; 4] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [
        DIGITS[(number >> 12) as usize],
        DIGITS[(number >> 8 & 15) as usize],
        DIGITS[(number >> 4 & 15) as usize],
        DIGITS[(number & 15) as usize],
    ]
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::testing::Heard;

    #[test]
    fn versions_have_names() {
        for (number, wanted) in [
            (0x0304, "TLS1.3"),
            (0x7f1c, "TLS1.3-draft28"),
            (0x7fff, "TLS1.3-draft255"),
            (0xfb17, "TLS1.3-fb23"),
            (0xfefd, "DTLS1.2"),
            (0x0305, "0x0305"),
        ] {
            let mut heard = Heard::default();
            Version(number).note(Fact::TlsVersion, &mut Notes::new(&mut heard));
            assert_eq!(heard.first(Fact::TlsVersion), wanted);
        }
    }

    #[test]
    fn newer_versions_rank_higher() {
        for order in
            [&[0x0002, 0x0300, 0x0301, 0x0303, 0x7f12, 0x7f1c, 0x0304][..], &[0xfeff, 0xfefd, 0xfefc]]
        {
            assert!(order.is_sorted_by_key(|v| Version(*v).rank()), "{order:x?}");
        }
    }
}
