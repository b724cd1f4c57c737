//! Versions of QUIC: how they are told apart, spelled, and protected.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{fact::Fact, notes::Notes};

/// The version field of a long header (RFC 8999 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

/// How packets of a version are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// RFC 9000 section 17.2, since draft-22.
    V1,
    /// The same with the type codes of RFC 9369 section 3.2.
    V2,
    /// Google's versions Q044 to Q049: a long header of an earlier draft, then an unprotected CHLO.
    Google,
}

/// What Initial packets of a version are protected with (RFC 9001 section 5.2).
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    /// Salt of the first secret.
    pub salt: [u8; 20],
    /// Labels of key, IV and header protection.
    pub labels: [&'static [u8]; 3],
}

const LABELS: [&[u8]; 3] = [b"tls13 quic key", b"tls13 quic iv", b"tls13 quic hp"];
const LABELS_V2: [&[u8]; 3] = [b"tls13 quicv2 key", b"tls13 quicv2 iv", b"tls13 quicv2 hp"];

/// draft-ietf-quic-tls-22 section 5.2.
const DRAFT_22: Suite =
    Suite { salt: salt(0x7fbc_db0e, 0x7c66_bbe9_193a_96cd, 0x2151_9ebd_7a02_644a), labels: LABELS };
/// draft-ietf-quic-tls-23 section 5.2.
const DRAFT_23: Suite =
    Suite { salt: salt(0xc3ee_f712, 0xc72e_bb5a_11a7_d243, 0x2bb4_6365_bef9_f502), labels: LABELS };
/// draft-ietf-quic-tls-29 section 5.2.
const DRAFT_29: Suite =
    Suite { salt: salt(0xafbf_ec28, 0x9993_d24c_9e97_86f1, 0x9c61_11e0_4390_a899), labels: LABELS };
/// RFC 9001 section 5.2, since draft-33.
const V1: Suite =
    Suite { salt: salt(0x3876_2cf7, 0xf559_34b3_4d17_9ae6, 0xa4c8_0cad_ccbb_7f0a), labels: LABELS };
/// draft-ietf-quic-v2-01 section 3.3.1.
const V2_DRAFT: Suite =
    Suite { salt: salt(0xa707_c203, 0xa59b_4718_4a1d_62ca, 0x5704_06ea_7ae3_e5d3), labels: LABELS_V2 };
/// RFC 9369 section 3.3.1.
const V2: Suite =
    Suite { salt: salt(0x0ded_e3de, 0xf700_a6db_8193_81be, 0x6e26_9dcb_f9bd_2ed9), labels: LABELS_V2 };
/// Chromium, `quic/core/crypto/crypto_utils.cc`: versions Q050, T050 and T051.
const Q050: Suite =
    Suite { salt: salt(0x5045_74ef, 0xd066_fe2f_9d94_5cfc, 0xdbd3_a7f0_d3b5_6b45), labels: LABELS };
const T050: Suite =
    Suite { salt: salt(0x7ff5_79e5, 0xacd0_7291_5580_304c, 0x43a2_367c_6048_8310), labels: LABELS };
const T051: Suite =
    Suite { salt: salt(0x7a4e_def4, 0xe7cc_ee5f_a450_6c19, 0x124f_c8cc_da6e_033d), labels: LABELS };

impl Version {
    /// The version field of Version Negotiation packets.
    pub const NEGOTIATION: Self = Self(0);
    /// RFC 9000.
    pub const V1: Self = Self(1);
    /// RFC 9369.
    pub const V2: Self = Self(0x6b33_43cf);
    /// draft-ietf-quic-v2-01.
    const V2_DRAFT: Self = Self(0x709a_50c4);

    /// Returns whether the number itself is evidence of QUIC: a published version or a deployed one.
    pub fn is_known(self) -> bool {
        match self.0 {
            // Drafts from 22 on have the layout of RFC 9000.
            0xff00_0016..=0xff00_0022 => true,
            // mvfst (Meta), and its aliases.
            0xface_b000..=0xface_b01f => true,
            _ => matches!(self, Self::V1 | Self::V2 | Self::V2_DRAFT) || self.is_google(),
        }
    }

    /// Returns whether the number is one of those that force a negotiation (RFC 9000 section 15).
    pub const fn is_grease(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// Returns whether it is one of Google's own: `Q024` to `Q05x`, `T05x`.
    pub fn is_google(self) -> bool {
        match self.0.to_be_bytes() {
            [b'Q', b'0', tens @ b'2'..=b'5', ones] => tens.is_ascii_digit() && ones.is_ascii_digit(),
            [b'T', b'0', b'5', ones] => ones.is_ascii_digit(),
            _ => false,
        }
    }

    /// Returns the number of one of Google's versions with QUIC Crypto, `43` of `Q043`.
    pub fn gquic(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [b'Q', _, tens, ones] if self.is_google() => Some(10 * (tens - b'0') + (ones - b'0')),
            _ => None,
        }
    }

    /// Returns whether frames are those of Google's own transport: CRYPTO is type 8, and so on.
    pub const fn has_google_frames(self) -> bool {
        matches!(&self.0.to_be_bytes(), b"Q050" | b"T050")
    }

    /// Returns how its packets are laid out; unknown ones most likely as in version 1.
    pub fn layout(self) -> Layout {
        match self {
            Self::V2 | Self::V2_DRAFT => Layout::V2,
            _ if self.gquic().is_some_and(|n| n < 50) => Layout::Google,
            _ => Layout::V1,
        }
    }

    /// Returns what Initial packets may be protected with, the likeliest first. Clients protect packets of a
    /// reserved version with the keys of version 1, as they know no others.
    pub const fn suites(self) -> &'static [Suite] {
        match self.0 {
            0xff00_0016 => &[DRAFT_22],
            // mvfst took over draft-24 with the salt before it.
            0xface_b001 => &[DRAFT_22, DRAFT_23],
            0xff00_0017..=0xff00_001c => &[DRAFT_23],
            0xff00_001d..=0xff00_0020 => &[DRAFT_29],
            // An alias of version 1.
            0xface_b003 => &[V1, DRAFT_23],
            0xface_b000..=0xface_b01f => &[DRAFT_23, V1],
            0x6b33_43cf => &[V2],
            0x709a_50c4 => &[V2_DRAFT],
            other => match &other.to_be_bytes() {
                b"Q050" => &[Q050],
                b"T050" => &[T050],
                b"T051" => &[T051],
                _ => &[V1],
            },
        }
    }

    /// Notes the version: `v1`, `draft-29`, `Q046`, `grease`, or the number.
    pub fn note(self, notes: &mut Notes<'_>) {
        let fact = Fact::QuicVersion;
        match self {
            Self::V1 => notes.text(fact, b"v1"),
            Self::V2 => notes.text(fact, b"v2"),
            Self::V2_DRAFT => notes.text(fact, b"v2-draft00"),
            _ if self.is_grease() => notes.text(fact, b"grease"),
            _ if self.is_google() => notes.text(fact, &self.0.to_be_bytes()),
            Self(number @ 0xff00_0000..=0xff00_00ff) => {
                let mut text = *b"draft-   ";
                let mut digits = itoa::Buffer::new();
                let digits = digits.format(number & 0xff).as_bytes();
                text[6..6 + digits.len()].copy_from_slice(digits);
                notes.text(fact, &text[..6 + digits.len()]);
            }
            Self(number) => {
                let mut text = *b"0x--------";
                for (i, digit) in text[2..].iter_mut().enumerate() {
                    let nibble = number >> (28 - 4 * i) & 15;
                    *digit = b"0123456789abcdef"[nibble as usize];
                }
                notes.text(fact, &text);
            }
        }
    }
}

/// Puts a salt together from its 4, 8 and 8 bytes.
const fn salt(head: u32, middle: u64, tail: u64) -> [u8; 20] {
    let (head, middle, tail) = (head.to_be_bytes(), middle.to_be_bytes(), tail.to_be_bytes());
    let mut salt = [0; 20];
    let mut i = 0;
    while i < 20 {
        salt[i] = match i {
            0..4 => head[i],
            4..12 => middle[i - 4],
            _ => tail[i - 12],
        };
        i += 1;
    }
    salt
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::testing::Heard;

    #[test]
    fn versions_are_spelled_and_known() {
        for (number, text, known, layout) in [
            (0x0000_0001, "v1", true, Layout::V1),
            (0x6b33_43cf, "v2", true, Layout::V2),
            (0x709a_50c4, "v2-draft00", true, Layout::V2),
            (0xff00_001d, "draft-29", true, Layout::V1),
            (0xff00_0022, "draft-34", true, Layout::V1),
            (0xff00_0013, "draft-19", false, Layout::V1),
            (0xff00_0064, "draft-100", false, Layout::V1),
            (0xface_b002, "0xfaceb002", true, Layout::V1),
            (0x5130_3436, "Q046", true, Layout::Google),
            (0x5130_3234, "Q024", true, Layout::Google),
            (0x5130_3530, "Q050", true, Layout::V1),
            (0x5430_3531, "T051", true, Layout::V1),
            (0x5130_3132, "0x51303132", false, Layout::V1),
            (0x1a2a_3a4a, "grease", false, Layout::V1),
            (0x5043_5131, "0x50435131", false, Layout::V1),
        ] {
            let mut heard = Heard::default();
            Version(number).note(&mut Notes::new(&mut heard));
            assert_eq!(heard.first(Fact::QuicVersion), text);
            assert_eq!((Version(number).is_known(), Version(number).layout()), (known, layout), "{text}");
        }
    }

    #[test]
    fn salts_change_with_drafts() {
        for (number, suite) in [
            (1, &V1),
            (0xff00_0021, &V1),
            (0xff00_0020, &DRAFT_29),
            (0xff00_001d, &DRAFT_29),
            (0xff00_001c, &DRAFT_23),
            (0xff00_0017, &DRAFT_23),
            (0xface_b001, &DRAFT_22),
            (0x6b33_43cf, &V2),
            (0x0a0a_0a0a, &V1),
        ] {
            assert_eq!(&Version(number).suites()[0], suite, "{number:x}");
        }
        assert_eq!(V1.salt[..5], [0x38, 0x76, 0x2c, 0xf7, 0xf5]);
        assert_eq!(V1.salt[18..], [0x7f, 0x0a]);
    }
}
