//! The names in a server's certificate, which TLS up to 1.2 shows (RFC 5246 section 7.4.2, RFC 5280 section 4).
//!
//! Only what leads to the names is read, and nothing is verified.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{
    io::{Cursor, Write},
    net::IpAddr,
};

use crate::dpi::{fact::Fact, notes::Notes, protocols::tls::reader::Reader};

/// Names of one certificate that are noted; some have hundreds.
const MOST_NAMES: usize = 16;

/// Tags of DER (ITU-T X.690 section 8.1.2).
mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    pub const BMP_STRING: u8 = 0x1e;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    /// version of TBSCertificate.
    pub const VERSION: u8 = 0xa0;
    /// extensions of TBSCertificate.
    pub const EXTENSIONS: u8 = 0xa3;
    /// dNSName of GeneralName.
    pub const DNS_NAME: u8 = 0x82;
    /// iPAddress of GeneralName.
    pub const IP_ADDRESS: u8 = 0x87;
}

/// id-at-commonName.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// id-ce-subjectAltName.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Notes the names of the first certificate of a Certificate message: its alternative names, or without any
/// its common name (RFC 6125 section 6.4.4).
///
/// `body` follows the handshake header and may be cut. Returns whether the certificate was there as a whole: more bytes
/// then tell nothing more.
pub fn read(body: &[u8], notes: &mut Notes<'_>) -> bool {
    let mut list = Reader::new(body);
    if list.u24().is_none() {
        return false;
    }
    let Some(certificate) = list.vector24() else { return false };
    // What the certificate lies about stays unsaid.
    let _ = names(certificate, notes);
    true
}

/// Reads a certificate up to its names.
fn names(certificate: &[u8], notes: &mut Notes<'_>) -> Option<()> {
    let mut reader = Reader::new(certificate);
    let mut reader = Reader::new(expect(&mut reader, tag::SEQUENCE)?);
    let mut fields = Reader::new(expect(&mut reader, tag::SEQUENCE)?);
    if fields.rest().first() == Some(&tag::VERSION) {
        value(&mut fields)?;
    }
    expect(&mut fields, tag::INTEGER)?;
    // signature, issuer, validity
    for _ in 0..3 {
        expect(&mut fields, tag::SEQUENCE)?;
    }
    let subject = expect(&mut fields, tag::SEQUENCE)?;
    let mut named = false;
    while let Some((kind, content)) = value(&mut fields) {
        if kind == tag::EXTENSIONS {
            named = alternative_names(content, notes).unwrap_or(false);
        }
    }
    if !named && let Some(name) = common_name(subject) {
        notes.text(Fact::CertName, name);
    }
    Some(())
}

/// Notes the names of subjectAltName; returns whether there are any.
fn alternative_names(extensions: &[u8], notes: &mut Notes<'_>) -> Option<bool> {
    let mut reader = Reader::new(extensions);
    let mut extensions = Reader::new(expect(&mut reader, tag::SEQUENCE)?);
    while let Some(extension) = expect(&mut extensions, tag::SEQUENCE) {
        let mut extension = Reader::new(extension);
        if expect(&mut extension, tag::OBJECT_IDENTIFIER)? != SUBJECT_ALT_NAME {
            continue;
        }
        // Past `critical`, if it is there.
        let (mut kind, mut content) = value(&mut extension)?;
        if kind != tag::OCTET_STRING {
            (kind, content) = value(&mut extension)?;
        }
        if kind != tag::OCTET_STRING {
            return None;
        }
        let mut content = Reader::new(content);
        let mut general = Reader::new(expect(&mut content, tag::SEQUENCE)?);
        let mut noted = 0;
        while noted < MOST_NAMES
            && let Some((kind, name)) = value(&mut general)
        {
            noted += usize::from(match kind {
                tag::DNS_NAME if !name.is_empty() => {
                    notes.text(Fact::CertName, name);
                    true
                }
                tag::IP_ADDRESS => address(name, notes).is_some(),
                _ => false,
            });
        }
        return Some(noted > 0);
    }
    Some(false)
}

/// Notes an address as text.
fn address(bytes: &[u8], notes: &mut Notes<'_>) -> Option<()> {
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    let mut text = Cursor::new([0; 48]);
    write!(text, "{address}").ok()?;
    let len = text.position() as usize;
    notes.text(Fact::CertName, text.get_ref().get(..len)?);
    Some(())
}

/// Returns the last commonName of a subject, the most specific one.
fn common_name(subject: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    let mut sets = Reader::new(subject);
    while let Some(set) = expect(&mut sets, tag::SET) {
        let mut set = Reader::new(set);
        while let Some(pair) = expect(&mut set, tag::SEQUENCE) {
            let mut pair = Reader::new(pair);
            if expect(&mut pair, tag::OBJECT_IDENTIFIER) == Some(COMMON_NAME) {
                // UTF-16 is for certificates of another age.
                found = value(&mut pair)
                    .filter(|(kind, _)| *kind != tag::BMP_STRING)
                    .map(|(_, name)| name)
                    .or(found);
            }
        }
    }
    found.filter(|name| !name.is_empty())
}

/// Returns the content of the next value, which must have this tag.
fn expect<'a>(reader: &mut Reader<'a>, tag: u8) -> Option<&'a [u8]> {
    value(reader).filter(|(kind, _)| *kind == tag).map(|(_, content)| content)
}

/// Returns tag and content of the next value (ITU-T X.690 section 8.1, definite lengths below 2^24).
fn value<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let kind = reader.u8()?;
    let content = match reader.u8()? {
        short @ ..=0x7f => reader.take(usize::from(short)),
        0x81 => reader.vector8(),
        0x82 => reader.vector16(),
        0x83 => reader.vector24(),
        _ => None,
    };
    Some((kind, content?))
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::testing::Heard;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let len = content.len() as u16;
        let head =
            if len < 128 { vec![tag, len as u8] } else { [&[tag, 0x82], &len.to_be_bytes()[..]].concat() };
        [head, content].concat()
    }

    /// A certificate for a common name, with these general names.
    fn certificate(common_name: &str, general: &[(u8, &[u8])], critical: bool) -> Vec<u8> {
        let name = |text: &str| {
            let pair = der(0x30, &[&der(0x06, &[COMMON_NAME]), &der(0x0c, &[text.as_bytes()])]);
            der(0x30, &[&der(0x31, &[&pair])])
        };
        let general: Vec<u8> = general.iter().flat_map(|(tag, name)| der(*tag, &[name])).collect();
        let basic = der(0x30, &[&der(0x06, &[&[0x55, 0x1d, 0x13]]), &der(0x04, &[&[0x30, 0]])]);
        let critical = if critical { der(0x01, &[&[0xff]]) } else { vec![] };
        let san =
            der(0x30, &[&der(0x06, &[SUBJECT_ALT_NAME]), &critical, &der(0x04, &[&der(0x30, &[&general])])]);
        let extensions = if general.is_empty() { vec![] } else { der(0xa3, &[&der(0x30, &[&basic, &san])]) };
        let tbs = der(
            0x30,
            &[
                &der(0xa0, &[&der(0x02, &[&[2]])]),
                &der(0x02, &[&[1, 2, 3]]),
                &der(0x30, &[]),
                &name("An issuer"),
                &der(0x30, &[]),
                &name(common_name),
                &der(0x30, &[&[0; 200]]),
                &extensions,
            ],
        );
        der(0x30, &[&tbs, &der(0x30, &[]), &der(0x03, &[&[0; 64]])])
    }

    fn message(certificates: &[Vec<u8>]) -> Vec<u8> {
        let vector24 = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[1..], bytes].concat();
        vector24(&certificates.iter().flat_map(|c| vector24(c)).collect::<Vec<_>>())
    }

    fn heard(body: &[u8]) -> (Vec<String>, bool) {
        let mut heard = Heard::default();
        let whole = read(body, &mut Notes::new(&mut heard));
        (heard.values(Fact::CertName).into_iter().map(String::from).collect(), whole)
    }

    #[test]
    fn names_of_the_first_certificate() {
        let many: Vec<_> = (0..40u8).map(|n| [b'a' + n % 26, b'0' + n / 26, b'.', b'x']).collect();
        let many: Vec<(u8, &[u8])> = many.iter().map(|name| (tag::DNS_NAME, &name[..])).collect();
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let dns: &[(u8, &[u8])] = &[
            (tag::DNS_NAME, b"*.example.org"),
            (0x81, b"a@b"),
            (7 | 0x80, &[192, 0, 2, 7]),
            (7 | 0x80, &v6),
        ];
        for (what, general, critical, wanted) in [
            ("common name", &[][..], false, vec!["www.example.org"]),
            ("alternative names", dns, false, vec!["*.example.org", "192.0.2.7", "2001:db8::1"]),
            ("critical ones", dns, true, vec!["*.example.org", "192.0.2.7", "2001:db8::1"]),
            ("only a mail address", &[(0x81, &b"a@b"[..])], false, vec!["www.example.org"]),
            (
                "an address of 5 bytes",
                &[(tag::IP_ADDRESS, &[1, 2, 3, 4, 5][..])],
                false,
                vec!["www.example.org"],
            ),
        ] {
            let body =
                message(&[certificate("www.example.org", general, critical), certificate("CA", &[], false)]);
            assert_eq!(heard(&body), (wanted.iter().map(|w| w.to_string()).collect(), true), "{what}");
        }
        assert_eq!(heard(&message(&[certificate("x", &many, false)])).0.len(), MOST_NAMES);
    }

    #[test]
    fn every_cut_says_nothing_or_all() {
        let leaf = certificate("www.example.org", &[], false);
        let leaf_end = 6 + leaf.len();
        let body = message(&[leaf, certificate("CA", &[], false)]);
        for cut in 0..body.len() {
            let (names, whole) = heard(&body[..cut]);
            assert_eq!((names.len(), whole), (usize::from(cut >= leaf_end), cut >= leaf_end), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(bytes: Vec<u8>) {
            heard(&bytes);
        }

        #[test]
        fn no_change_is_too_bad(at in 0usize..600, byte: u8) {
            let mut body = message(&[certificate("a", &[(tag::DNS_NAME, b"b"), (tag::IP_ADDRESS, &[1; 4])], true)]);
            let at = at % body.len();
            body[at] = byte;
            heard(&body);
        }
    }
}
