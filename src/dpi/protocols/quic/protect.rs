//! Protection of Initial packets (RFC 9001 section 5). Their keys follow from the client's first destination
//! connection id, so that everybody on the path can read them; what comes later nobody can.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::ops::Range;

use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic},
    hkdf::{self, HKDF_SHA256, Prk, Salt},
};

use crate::dpi::protocols::quic::version::Suite;

/// Bytes of [`Keys`] when kept.
pub const KEYS: usize = KEY + IV + KEY;
const KEY: usize = 16;
const IV: usize = 12;
/// Length of the sample that header protection takes (RFC 9001 section 5.4.2).
const SAMPLE: usize = 16;

/// What one side protects its Initial packets with: AEAD key, IV, header protection key. Deriving costs about
/// four times as much as setting the ciphers up, so these bytes are what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys(pub [u8; KEYS]);

/// An Initial packet that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its packet number.
    pub number: u64,
    /// Where its frames stand in the packet.
    pub payload: Range<usize>,
}

impl Keys {
    /// Returns the keys of the client's or the server's Initial packets on the connection that began with
    /// this destination connection id.
    pub fn derive(suite: &Suite, dcid: &[u8], of_client: bool) -> Self {
        let label: &[u8] = if of_client { b"tls13 client in" } else { b"tls13 server in" };
        let initial = Salt::new(HKDF_SHA256, &suite.salt).extract(dcid);
        let mut secret = [0; 32];
        expand(&initial, label, &mut secret);
        let secret = Prk::new_less_safe(HKDF_SHA256, &secret);
        let mut keys = [0; KEYS];
        let (key, rest) = keys.split_at_mut(KEY);
        let (iv, hp) = rest.split_at_mut(IV);
        for (label, out) in suite.labels.into_iter().zip([key, iv, hp]) {
            expand(&secret, label, out);
        }
        Self(keys)
    }

    /// Opens in place a packet whose number stands at `number_at`, after packets up to number `largest`. `None`
    /// if these are not its keys; then its bytes are spoiled.
    pub fn open(&self, packet: &mut [u8], number_at: usize, largest: u64) -> Option<Opened> {
        let (key, rest) = self.0.split_at(KEY);
        let (iv, hp) = rest.split_at(IV);
        // RFC 9001 section 5.4: the sample lies where it would with a packet number of 4 bytes.
        let sample = packet.get(number_at + 4..number_at + 4 + SAMPLE)?;
        let mask = quic::HeaderProtectionKey::new(&quic::AES_128, hp).ok()?.new_mask(sample).ok()?;
        packet[0] ^= mask[0] & 0x0f;
        let number_len = usize::from(packet[0] & 3) + 1;
        let mut short = 0;
        for (byte, mask) in packet[number_at..number_at + number_len].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
            short = short << 8 | u64::from(*byte);
        }
        let number = whole_number(short, number_len, largest);

        let mut nonce: [u8; IV] = iv.try_into().ok()?;
        for (byte, n) in nonce[IV - 8..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= n;
        }
        let start = number_at + number_len;
        let (header, sealed) = packet.split_at_mut(start);
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).ok()?);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let len = cipher.open_in_place(nonce, Aad::from(&*header), sealed).ok()?.len();
        Some(Opened { number, payload: start..start + len })
    }
}

/// Fills `out` by HKDF-Expand-Label with an empty context (RFC 8446 section 7.1); `label` with its prefix.
fn expand(secret: &Prk, label: &[u8], out: &mut [u8]) {
    struct Len(usize);
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let head = [0, out.len() as u8, label.len() as u8];
    let info: [&[u8]; 3] = [&head, label, &[0]];
    let filled = secret.expand(&info, Len(out.len())).and_then(|okm| okm.fill(out));
    filled.expect("no key is longer than 255 hashes");
}

/// Returns the packet number whose last `len` bytes are `short` and that is nearest to the next one expected
/// (RFC 9000 appendix A.3).
fn whole_number(short: u64, len: usize, largest: u64) -> u64 {
    let window = 1 << (8 * len);
    let expected = largest + 1;
    let candidate = expected & !(window - 1) | short;
    if candidate + window / 2 <= expected {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
pub(crate) mod tests {
    use super::*;
    use crate::dpi::protocols::quic::version::Version;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
    }

    /// Protects a packet: `header` ends with its packet number of `number_len` bytes (RFC 9001 section 5).
    pub fn seal(keys: &Keys, header: &[u8], number_len: usize, number: u64, payload: &[u8]) -> Vec<u8> {
        let mut nonce: [u8; IV] = keys.0[KEY..KEY + IV].try_into().unwrap();
        for (byte, n) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= n;
        }
        let mut sealed = payload.to_vec();
        LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &keys.0[..KEY]).unwrap())
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header), &mut sealed)
            .unwrap();
        let mut packet = [header, &sealed].concat();
        let number_at = header.len() - number_len;
        let hp = quic::HeaderProtectionKey::new(&quic::AES_128, &keys.0[KEY + IV..]).unwrap();
        let mask = hp.new_mask(&packet[number_at + 4..number_at + 4 + SAMPLE]).unwrap();
        packet[0] ^= mask[0] & 0x0f;
        for (byte, mask) in packet[number_at..number_at + number_len].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
        packet
    }

    #[test]
    fn keys_are_those_of_the_standard() {
        // RFC 9001 appendix A.1, RFC 9369 appendix A.1: published test vectors.
        let dcid = hex("8394c8f03e515708");
        for (version, of_client, wanted) in [
            (
                Version::V1,
                true,
                "1f369613dd76d5467730efcbe3b1a22d fa044b2f42a3fd3b46fb255c 9f50449e04a0e810283a1e9933adedd2",
            ),
            (
                Version::V1,
                false,
                "cf3a5331653c364c88f0f379b6067e37 0ac1493ca1905853b0bba03e c206b8d9b9f0f37644430b490eeaa314",
            ),
            (
                Version::V2,
                true,
                "8b1a0bc121284290a29e0971b5cd045d 91f73e2351d8fa91660e909f 45b95e15235d6f45a6b19cbcb0294ba9",
            ),
            (
                Version::V2,
                false,
                "82db637861d55e1d011f19ea71d5d2a7 dd13c276499c0249d3310652 edf6d05c83121201b436e16877593c3a",
            ),
        ] {
            let keys = Keys::derive(&version.suites()[0], &dcid, of_client);
            assert_eq!(keys.0[..], hex(wanted), "{version:?} {of_client}");
        }
    }

    #[test]
    fn a_servers_initial_of_the_standard_opens() {
        // RFC 9001 appendix A.3: a published test vector.
        let mut packet = hex(
            "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69\
             797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb\
             19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee",
        );
        let keys = Keys::derive(&Version::V1.suites()[0], &hex("8394c8f03e515708"), false);
        let opened = keys.open(&mut packet, 18, 0).unwrap();
        assert_eq!(opened.number, 1);
        // ACK of packet 0, then CRYPTO at offset 0 of 0x5a bytes: a ServerHello.
        assert_eq!(packet[opened.payload][..11], hex("02000000000600405a0200"));
    }

    #[test]
    fn a_clients_initial_of_the_standard_is_sealed_and_opened() {
        // RFC 9001 appendix A.2: a published test vector, with a CRYPTO frame padded to 1162 bytes.
        let header = hex("c300000001088394c8f03e5157080000449e00000002");
        let mut payload = hex(
            "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c\
             00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018001000\
             07000504616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce1\
             5d43e994ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c0002400100390032\
             0408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff",
        );
        payload.resize(1162, 0);
        let keys = Keys::derive(&Version::V1.suites()[0], &hex("8394c8f03e515708"), true);
        let mut packet = seal(&keys, &header, 4, 2, &payload);
        assert_eq!(packet.len(), 1200);
        assert_eq!(packet[..32], hex("c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11"));
        assert_eq!(packet[1184..], hex("e221af44860018ab0856972e194cd934"));
        let opened = keys.open(&mut packet, 18, 0).unwrap();
        assert_eq!((opened.number, &packet[opened.payload]), (2, &payload[..]));
    }

    #[test]
    fn other_keys_do_not_open() {
        let keys = Keys::derive(&Version::V1.suites()[0], &[1; 8], true);
        let header = [0xc1, 0, 0, 0, 1, 0, 0, 0, 0x40, 60, 2, 1];
        let sealed = seal(&keys, &header, 2, 0x201, &[0; 42]);
        let open = |keys: &Keys, packet: &[u8], at| {
            keys.open(&mut packet.to_vec(), at, 0x200).map(|o| (o.number, o.payload.len()))
        };
        assert_eq!(open(&keys, &sealed, 10), Some((0x201, 42)));
        let others = Keys::derive(&Version::V1.suites()[0], &[1; 8], false);
        assert_eq!(open(&others, &sealed, 10), None);
        assert_eq!(open(&keys, &sealed, 11), None);
        for len in 0..sealed.len() {
            assert_eq!(open(&keys, &sealed[..len], 10), None, "{len}");
        }
        for at in 0..sealed.len() {
            let mut spoiled = sealed.clone();
            spoiled[at] ^= 0x10;
            assert_eq!(open(&keys, &spoiled, 10), None, "{at}");
        }
    }

    #[test]
    fn packet_numbers_are_completed() {
        // RFC 9000 appendix A.3.
        for (largest, short, len, wanted) in [
            (0xa82f_30ea, 0x9b32, 2, 0xa82f_9b32),
            (0, 0, 1, 0),
            (0, 5, 4, 5),
            (300, 45, 1, 301),
            (254, 0, 1, 256),
            (256, 0xff, 1, 255),
        ] {
            assert_eq!(whole_number(short, len, largest), wanted);
        }
    }
}
