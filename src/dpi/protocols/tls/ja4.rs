//! JA4, FoxIO's fingerprint of a ClientHello (its TLS client part, which is under the 3-clause BSD licence).
//!
//! `t13d1516h2_8daaf6152771_b186095e22b6` is: transport (`t` TLS, `q` QUIC, `d` DTLS), version, `d` with
//! a server name or `i` without, number of ciphers, number of extensions, first and last character of the first
//! ALPN value; then SHA-256, cut to 12 digits, of the sorted ciphers, and of the sorted extensions with the
//! signature algorithms in their order. GREASE values are ignored everywhere.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use ring::digest::{SHA256, digest};

use crate::dpi::protocols::tls::{
    Transport,
    reader::numbers,
    version::{Version, hex4},
};

/// Ciphers, extensions or signature algorithms of a hello that is fingerprinted, at most. The longest
/// lists known have about 200; more is no client's habit, and sorting it would take the packet's time.
const MOST: usize = 256;
/// Length of a fingerprint.
pub const LEN: usize = 36;

/// What a fingerprint is made from.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    /// What carries the hello.
    pub over: Transport,
    /// The newest version offered.
    pub version: Version,
    /// Whether there is a server_name extension.
    pub named: bool,
    /// Cipher suites as on the wire.
    pub ciphers: &'a [u8],
    /// The first ALPN value.
    pub alpn: Option<&'a [u8]>,
    /// Signature algorithms as on the wire, empty without that extension.
    pub signatures: &'a [u8],
}

/// Returns the fingerprint of a hello with these features and these extension types, or `None` when a list is
/// longer than any client's. `hash` does what [`hash_of`] does, and may remember.
pub fn fingerprint(
    features: &Features<'_>,
    extension_types: impl Iterator<Item = u16>,
    mut hash: impl FnMut(&[u16], &[u16]) -> Hash,
) -> Option<[u8; LEN]> {
    const SERVER_NAME: u16 = 0;
    const ALPN: u16 = 16;
    let [mut ciphers, mut extensions, mut signatures] = [const { Numbers::NONE }; 3];
    ciphers.fill(numbers(features.ciphers))?;
    extensions.fill(extension_types)?;
    ciphers.sort();
    extensions.sort();
    let extension_count = extensions.len;
    extensions.retain(|e| e != SERVER_NAME && e != ALPN);

    let mut text = [b'_'; LEN];
    text[0] = match features.over {
        Transport::Tls => b't',
        Transport::Quic => b'q',
        Transport::Dtls => b'd',
    };
    text[1..3].copy_from_slice(version(features.version));
    text[3] = if features.named { b'd' } else { b'i' };
    text[4..6].copy_from_slice(&two_digits(ciphers.len));
    text[6..8].copy_from_slice(&two_digits(extension_count));
    text[8..10].copy_from_slice(&ends(features.alpn));

    signatures.fill(numbers(features.signatures))?;
    text[11..23].copy_from_slice(&hash(ciphers.values(), &[]));
    text[24..36].copy_from_slice(&hash(extensions.values(), signatures.values()));
    Some(text)
}

/// Returns the two characters of a version.
const fn version(version: Version) -> &'static [u8; 2] {
    match version.0 {
        0x0304 => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        0xfeff => b"d1",
        0xfefd => b"d2",
        0xfefc => b"d3",
        _ => b"00",
    }
}

/// Returns a count as two digits, 99 at most.
fn two_digits(count: usize) -> [u8; 2] {
    let count = count.min(99) as u8;
    [b'0' + count / 10, b'0' + count % 10]
}

/// Returns the first and the last character of the first ALPN value; of its hexadecimal form, when one of
/// the two is no letter and no digit; `00` without one.
fn ends(alpn: Option<&[u8]>) -> [u8; 2] {
    let Some((&first, &last)) = alpn.and_then(|a| a.first().zip(a.last())) else { return *b"00" };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [first, last];
    }
    [hex4(u16::from(first))[2], hex4(u16::from(last))[3]]
}

/// A short list of numbers.
struct Numbers {
    values: [u16; MOST],
    len: usize,
}

impl Numbers {
    const NONE: Self = Self { values: [0; MOST], len: 0 };

    /// Adds numbers; `None` when there are too many.
    fn fill(&mut self, numbers: impl Iterator<Item = u16>) -> Option<()> {
        for number in numbers {
            *self.values.get_mut(self.len)? = number;
            self.len += 1;
        }
        Some(())
    }

    fn sort(&mut self) {
        self.values[..self.len].sort_unstable();
    }

    fn retain(&mut self, keep: impl Fn(u16) -> bool) {
        let mut kept = 0;
        for at in 0..self.len {
            if keep(self.values[at]) {
                self.values[kept] = self.values[at];
                kept += 1;
            }
        }
        self.len = kept;
    }

    fn values(&self) -> &[u16] {
        &self.values[..self.len]
    }
}

/// The first 12 digits of a hash.
pub type Hash = [u8; 12];

/// Hashes that are remembered.
const REMEMBERED: usize = 64;
/// Numbers of a list whose hash is remembered, at most.
const MOST_REMEMBERED: usize = 88;

/// Hashes of the lists seen last. A host speaks with few kinds of clients, and hashing is half the cost of a hello.
pub struct Hashes([Remembered; REMEMBERED]);

#[derive(Clone, Copy)]
struct Remembered {
    numbers: [u16; MOST_REMEMBERED],
    /// How many there are, and how many of them are signature algorithms.
    lens: [u8; 2],
    digits: Hash,
}

impl Remembered {
    const NOTHING: Self = Self { numbers: [0; MOST_REMEMBERED], lens: [0; 2], digits: [0; 12] };
}

impl Hashes {
    /// Returns a memory of none.
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new() -> Box<Self> {
        Box::new(Self([Remembered::NOTHING; REMEMBERED]))
    }

    /// Returns what [`hash_of`] returns.
    pub fn hash(&mut self, list: &[u16], signatures: &[u16]) -> Hash {
        let len = list.len() + signatures.len();
        if list.is_empty() || len > MOST_REMEMBERED {
            return hash_of(list, signatures);
        }
        let lens = [len as u8, signatures.len() as u8];
        // FNV-1a's prime; neighbours in the table do not matter.
        let mix = |sum: u32, number: &u16| (sum ^ u32::from(*number)).wrapping_mul(0x0100_0193);
        let place = list.iter().chain(signatures).fold(len as u32, mix) >> 8;
        let known = &mut self.0[place as usize % REMEMBERED];
        let (front, back) = known.numbers[..len].split_at_mut(list.len());
        if known.lens != lens || front != list || back != signatures {
            front.copy_from_slice(list);
            back.copy_from_slice(signatures);
            (known.lens, known.digits) = (lens, hash_of(list, signatures));
        }
        known.digits
    }
}

/// Returns the first 12 digits of the SHA-256 of a list with the signature algorithms behind it; zeros for an
/// empty one.
pub fn hash_of(list: &[u16], signatures: &[u16]) -> Hash {
    if list.is_empty() {
        return [b'0'; 12];
    }
    let mut text = List::new();
    list.iter().for_each(|number| text.number(*number));
    if !signatures.is_empty() {
        text.push(b"_");
        text.comma = false;
        signatures.iter().for_each(|number| text.number(*number));
    }
    let hash = digest(&SHA256, &text.text[..text.len]);
    let mut digits = [b'0'; 12];
    for (digits, pair) in digits.chunks_exact_mut(4).zip(hash.as_ref().chunks_exact(2)) {
        digits.copy_from_slice(&hex4(u16::from_be_bytes([pair[0], pair[1]])));
    }
    digits
}

/// The text that is hashed: numbers in hexadecimal with commas.
struct List {
    text: [u8; 2 * 5 * MOST],
    len: usize,
    comma: bool,
}

impl List {
    const fn new() -> Self {
        Self { text: [0; 2 * 5 * MOST], len: 0, comma: false }
    }

    /// Appends; there is room for twice [`MOST`] numbers, and no more are ever given.
    fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.text.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    fn number(&mut self, number: u16) {
        if self.comma {
            self.push(b",");
        }
        self.push(&hex4(number));
        self.comma = true;
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    fn bytes(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    #[test]
    fn what_is_remembered_is_what_was_hashed() {
        let mut memo = Hashes::new();
        // Many more lists than places, of all lengths, twice each: those of one length differ in one number or in
        // where the signature algorithms begin.
        for round in 0..2u16 {
            for n in 0..2000u16 {
                let numbers: Vec<u16> = (0..1 + n % 100).map(|i| if i == 3 { n } else { i * 7 }).collect();
                let (list, signatures) = numbers.split_at(1 + usize::from(n / 100) % numbers.len());
                let digits = memo.hash(list, signatures);
                assert_eq!(digits, hash_of(list, signatures), "{round} {n}");
                assert_eq!(digits, memo.hash(list, signatures));
            }
        }
        assert_eq!(memo.hash(&[], &[1]), *b"000000000000");
    }

    /// The example of FoxIO's description, with its lists shuffled and GREASE values thrown in.
    #[test]
    fn the_published_example() {
        let ciphers = bytes(&[
            0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
            0x009c, 0x009d, 0x002f, 0x0035,
        ]);
        let signatures = bytes(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]);
        let extensions = [
            0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
            0xff01, 0x000b, 0x000a, 0x0015,
        ];
        let features = Features {
            over: Transport::Tls,
            version: Version::TLS13,
            named: true,
            ciphers: &ciphers,
            alpn: Some(b"h2"),
            signatures: &signatures,
        };
        let wanted = b"t13d1516h2_8daaf6152771_e5627efa2ab1";
        assert_eq!(fingerprint(&features, extensions.into_iter(), hash_of).as_ref(), Some(wanted));
    }

    #[test]
    fn empty_lists_are_zeros_and_long_ones_nothing() {
        let ciphers = vec![0; 2 * MOST];
        let mut features = Features {
            over: Transport::Dtls,
            version: Version(0xfefd),
            named: false,
            ciphers: &ciphers,
            alpn: None,
            signatures: &[],
        };
        let text = fingerprint(&features, std::iter::empty(), hash_of).unwrap();
        assert_eq!(&text[..10], b"dd2i990000");
        assert_eq!(&text[23..], b"_000000000000");
        let ciphers = vec![0; 2 * MOST + 2];
        features.ciphers = &ciphers;
        assert_eq!(fingerprint(&features, std::iter::empty(), hash_of), None);
    }

    #[test]
    fn the_ends_of_alpn() {
        for (alpn, wanted) in [
            (&b"h2"[..], b"h2"),
            (b"http/1.1", b"h1"),
            (b"x", b"xx"),
            (b"", b"00"),
            (b"\xab", b"ab"),
            (b"\xab\xcd", b"ad"),
            (b"0\xab", b"3b"),
            (b"01\xab\xcd", b"3d"),
            (b"0\xab\xcd1", b"01"),
        ] {
            assert_eq!(&ends(Some(alpn)), wanted, "{alpn:?}");
        }
        assert_eq!(&ends(None), b"00");
    }
}
