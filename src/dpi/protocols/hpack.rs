//! HPACK (RFC 7541): header blocks of HTTP/2, for the few fields that are shown.
//!
//! The dynamic table keeps references into the stream and decodes a value only when it is noted, so it
//! fits the stack. Blocks that need a larger table than [`ENTRIES`], or take more work than any that is sent in
//! earnest ([`MOST_FIELDS`], [`MOST_SYMBOLS`]), are given up, not guessed.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

/// Entries of the dynamic table. The default size of 4096 bytes holds 128, as each costs 32 at least.
const ENTRIES: usize = 128;
/// Fields of one direction that are read: a browser's request has 25, an answer 40.
const MOST_FIELDS: u32 = 128;
/// Bytes of one direction that are decoded: 30 us of work.
const MOST_SYMBOLS: usize = 6000;

/// The fields that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields' own names")]
pub enum Name {
    Authority,
    Method,
    Path,
    Status,
    UserAgent,
    Server,
    ContentType,
    Other,
}

/// Bytes of a table at most, as its entries count: what both sides begin with (RFC 9113 section 6.5.2).
const LARGEST_TABLE: u32 = 4096;

/// A field's value where it stands in the stream, or in the static table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// As it was sent.
    pub bytes: &'a [u8],
    /// It is Huffman coded.
    pub huffman: bool,
}

impl<'a> Value<'a> {
    /// Returns the text, decoded into `room` where that is needed. What does not fit is cut.
    pub fn text<'b>(&self, room: &'b mut [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        if !self.huffman {
            return self.bytes;
        }
        let mut len = 0;
        if !room.is_empty() {
            decode(self.bytes, |byte| {
                room[len] = byte;
                len += 1;
                len < room.len()
            });
        }
        &room[..len]
    }

    /// Returns the length of the text in bytes; of one that fits into no table, some length that does not either.
    fn len(&self) -> usize {
        if !self.huffman {
            return self.bytes.len();
        }
        let mut len = 0;
        decode(self.bytes, |_| {
            len += 1;
            len <= LARGEST_TABLE as usize
        });
        len
    }
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    name: Name,
    name_len: u32,
    value: Value<'a>,
    /// As RFC 7541 section 4.1 counts it; 0 outside the table.
    size: u32,
}

/// The header fields' decoder of one direction.
pub struct Decoder<'a> {
    /// A ring; the newest entry is at `newest`.
    entries: [Entry<'a>; ENTRIES],
    newest: usize,
    len: usize,
    size: u32,
    most: u32,
    /// Fields that may still be read, and bytes decoded.
    fields_left: u32,
    symbols_left: usize,
}

impl<'a> Decoder<'a> {
    /// Returns a decoder with an empty table of the default size.
    pub fn new() -> Self {
        let nothing =
            Entry { name: Name::Other, name_len: 0, value: Value { bytes: &[], huffman: false }, size: 0 };
        Self {
            entries: [nothing; ENTRIES],
            newest: 0,
            len: 0,
            size: 0,
            most: LARGEST_TABLE,
            fields_left: MOST_FIELDS,
            symbols_left: MOST_SYMBOLS,
        }
    }

    /// Reads a block and gives each field to `field`. Returns `None` when the block is not whole, is
    /// wrong, or needs more than this decoder has; the decoder is of no use then.
    pub fn block(&mut self, block: &'a [u8], mut field: impl FnMut(Name, Value<'a>)) -> Option<()> {
        let mut rest = block;
        while let Some(first) = rest.first() {
            self.fields_left = self.fields_left.checked_sub(1)?;
            match first {
                // Indexed field (section 6.1).
                0x80.. => {
                    let index = integer(&mut rest, 7)?;
                    let entry = self.entry(index)?;
                    field(entry.name, entry.value);
                }
                // Literal that enters the table (section 6.2.1).
                0x40.. => {
                    let mut entry = self.literal(&mut rest, 6)?;
                    field(entry.name, entry.value);
                    entry.size = entry.name_len + self.len_of(entry.value)? as u32 + 32;
                    self.insert(entry)?;
                }
                // Size update (section 6.3). More than the default needs a larger table than ours.
                0x20.. => {
                    self.most = integer(&mut rest, 5)?.min(LARGEST_TABLE);
                    self.evict(self.most);
                }
                // Literals that do not enter it (sections 6.2.2, 6.2.3).
                _ => {
                    let entry = self.literal(&mut rest, 4)?;
                    field(entry.name, entry.value);
                }
            }
        }
        Some(())
    }

    /// Returns the length of a value's text, unless that takes too much work.
    fn len_of(&mut self, value: Value<'_>) -> Option<usize> {
        let len = value.len();
        self.symbols_left = self.symbols_left.checked_sub(if value.huffman { len } else { 0 })?;
        Some(len)
    }

    fn literal(&mut self, rest: &mut &'a [u8], prefix: u32) -> Option<Entry<'a>> {
        let (name, name_len) = match integer(rest, prefix)? {
            0 => {
                let name = string(rest)?;
                let mut room = [0; 16];
                let len = self.len_of(name)?;
                (if len <= room.len() { name_of(name.text(&mut room)) } else { Name::Other }, len as u32)
            }
            index => {
                let entry = self.entry(index)?;
                (entry.name, entry.name_len)
            }
        };
        let value = string(rest)?;
        Some(Entry { name, name_len, value, size: 0 })
    }

    fn entry(&self, index: u32) -> Option<Entry<'a>> {
        let index = index.checked_sub(1)? as usize;
        if let Some((name, value)) = STATIC.get(index) {
            let value = Value { bytes: value.as_bytes(), huffman: false };
            return Some(Entry {
                name: name_of(name.as_bytes()),
                name_len: name.len() as u32,
                value,
                size: 0,
            });
        }
        let back = index - STATIC.len();
        (back < self.len).then(|| self.entries[(self.newest + ENTRIES - back) % ENTRIES])
    }

    fn insert(&mut self, entry: Entry<'a>) -> Option<()> {
        if entry.size > self.most {
            self.evict(0);
            return Some(());
        }
        self.evict(self.most - entry.size);
        if self.len == ENTRIES {
            return None;
        }
        self.newest = (self.newest + 1) % ENTRIES;
        self.entries[self.newest] = entry;
        self.len += 1;
        self.size += entry.size;
        Some(())
    }

    /// Removes the oldest entries until `size` is left at most (section 4.3).
    fn evict(&mut self, size: u32) {
        while self.size > size && self.len > 0 {
            self.len -= 1;
            self.size -= self.entries[(self.newest + ENTRIES - self.len) % ENTRIES].size;
        }
    }
}

impl Default for Decoder<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads an integer with a prefix of `bits` bits (section 5.1).
fn integer(rest: &mut &[u8], bits: u32) -> Option<u32> {
    let (first, mut after) = rest.split_first()?;
    let most = (1_u32 << bits) - 1;
    let mut value = u32::from(*first) & most;
    if value == most {
        for shift in [0, 7, 14, 21] {
            let (byte, tail) = after.split_first()?;
            after = tail;
            value += u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                *rest = after;
                return Some(value);
            }
        }
        return None;
    }
    *rest = after;
    Some(value)
}

/// Reads a string literal (section 5.2).
fn string<'a>(rest: &mut &'a [u8]) -> Option<Value<'a>> {
    let huffman = rest.first()? & 0x80 != 0;
    let len = integer(rest, 7)? as usize;
    let bytes = rest.get(..len)?;
    *rest = &rest[len..];
    Some(Value { bytes, huffman })
}

fn name_of(name: &[u8]) -> Name {
    match name {
        b":authority" => Name::Authority,
        b":method" => Name::Method,
        b":path" => Name::Path,
        b":status" => Name::Status,
        b"user-agent" => Name::UserAgent,
        b"server" => Name::Server,
        b"content-type" => Name::ContentType,
        _ => Name::Other,
    }
}

/// Decodes a Huffman coded string (section 5.2, appendix B). Stops at padding and at wrong codes.
///
/// The code is canonical: within a length, codes grow with the symbol. So a length's codes are a range, and
/// a window of 30 bits is compared with each length's upper end in turn. Codes of up to 8 bits, which nearly all are,
/// are looked up. Ends when `put` says that it wants no more.
fn decode(bytes: &[u8], mut put: impl FnMut(u8) -> bool) {
    let mut window = 0_u64;
    let mut have = 0_u32;
    let mut next = bytes.iter();
    loop {
        while have <= 32 {
            let Some(byte) = next.next() else { break };
            window = window << 8 | u64::from(*byte);
            have += 8;
        }
        // The next 30 bits; ones after the end, as padding is.
        let ahead = match have >= 30 {
            true => (window >> (have - 30)) as u32,
            false => ((window << (30 - have)) as u32) | ((1 << (30 - have)) - 1),
        } & 0x3FFF_FFFF;
        let quick = SHORT[(ahead >> 22) as usize];
        if quick.bits != 0 {
            if quick.bits > have || !put(quick.symbol) {
                return;
            }
            have -= quick.bits;
            window &= (1_u64 << have) - 1;
            continue;
        }
        let Some(row) = CODE.iter().find(|row| ahead < row.end) else { return };
        if row.bits > have {
            return;
        }
        let place = row.first_symbol + ((ahead - row.start) >> (30 - row.bits));
        // Only the end of string (256) is not a byte.
        let Some(&symbol) = SYMBOLS.get(place as usize) else { return };
        let Ok(symbol) = u8::try_from(symbol) else { return };
        if !put(symbol) {
            return;
        }
        have -= row.bits;
        window &= (1_u64 << have) - 1;
    }
}

/// The codes of one length.
#[derive(Clone, Copy)]
struct Codes {
    bits: u32,
    /// The first one, and the end of the last one, as 30 bits.
    start: u32,
    end: u32,
    /// Where its symbols begin in [`SYMBOLS`].
    first_symbol: u32,
}

/// Lengths of the codes in use.
const CODE_LENGTHS: [u8; 21] =
    [5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30];

/// One row for each length.
const CODE: [Codes; CODE_LENGTHS.len()] = {
    let mut table = [Codes { bits: 0, start: 0, end: 0, first_symbol: 0 }; CODE_LENGTHS.len()];
    let (mut row, mut start, mut symbols) = (0, 0, 0);
    while row < table.len() {
        let bits = CODE_LENGTHS[row];
        let mut count = 0;
        let mut symbol = 0;
        while symbol < BITS.len() {
            if BITS[symbol] == bits {
                count += 1;
            }
            symbol += 1;
        }
        let end = start + (count << (30 - bits as u32));
        table[row] = Codes { bits: bits as u32, start, end, first_symbol: symbols };
        start = end;
        symbols += count;
        row += 1;
    }
    // A complete code: no window is left over.
    assert!(start == 1 << 30 && symbols == 257);
    table
};

/// Symbols by length, then by value.
const SYMBOLS: [u16; 257] = {
    let mut table = [0; 257];
    let (mut row, mut place) = (0, 0);
    while row < CODE_LENGTHS.len() {
        let mut symbol = 0;
        while symbol < BITS.len() {
            if BITS[symbol] == CODE_LENGTHS[row] {
                table[place] = symbol as u16;
                place += 1;
            }
            symbol += 1;
        }
        row += 1;
    }
    table
};

/// A code of 8 bits at most.
#[derive(Clone, Copy)]
struct Short {
    /// Its length; 0 where a longer one begins.
    bits: u32,
    symbol: u8,
}

/// What the next 8 bits begin with.
const SHORT: [Short; 256] = {
    let mut table = [Short { bits: 0, symbol: 0 }; 256];
    let mut next = 0;
    while next < table.len() {
        let ahead = (next as u32) << 22;
        let mut row = 0;
        while ahead >= CODE[row].end {
            row += 1;
        }
        let Codes { bits, start, first_symbol, .. } = CODE[row];
        if bits <= 8 {
            let symbol = SYMBOLS[(first_symbol + ((ahead - start) >> (30 - bits))) as usize];
            table[next] = Short { bits, symbol: symbol as u8 };
        }
        next += 1;
    }
    table
};

/// Length of each symbol's code (RFC 7541 appendix B); the last one is the end of string.
#[rustfmt::skip]
const BITS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The static table (RFC 7541 appendix A).
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""),
    ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""),
    ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""),
    ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""),
    ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""),
    ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
    ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn fields(decoder: &mut Decoder<'static>, block: &str) -> Option<Vec<(Name, String)>> {
        let block: &'static [u8] = unhex(block).leak();
        let mut fields = vec![];
        decoder.block(block, |name, value| {
            let mut room = [0; 300];
            fields.push((name, String::from_utf8_lossy(value.text(&mut room)).into_owned()));
        })?;
        Some(fields)
    }

    #[test]
    fn huffman_strings_of_the_rfc() {
        for (coded, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("aec3771a4b", "private"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
        ] {
            let coded = unhex(coded);
            let value = Value { bytes: &coded, huffman: true };
            let mut room = [0; 100];
            assert_eq!(value.text(&mut room), text.as_bytes(), "{text}");
            assert_eq!(value.len(), text.len());
        }
    }

    #[test]
    fn requests_of_the_rfc_with_the_dynamic_table() {
        // RFC 7541 appendix C.4.
        let mut decoder = Decoder::new();
        let get = || (Name::Method, "GET".to_owned());
        let first = fields(&mut decoder, "828684418cf1e3c2e5f23a6ba0ab90f4ff").unwrap();
        assert_eq!(first[0], get());
        assert_eq!(first[3], (Name::Authority, "www.example.com".to_owned()));
        let second = fields(&mut decoder, "828684be5886a8eb10649cbf").unwrap();
        assert_eq!(second[3], (Name::Authority, "www.example.com".to_owned()));
        let third = fields(&mut decoder, "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf").unwrap();
        assert_eq!(third[2], (Name::Path, "/index.html".to_owned()));
        assert_eq!(third[3], (Name::Authority, "www.example.com".to_owned()));
        assert_eq!((decoder.len, decoder.size), (3, 164));
    }

    #[test]
    fn size_update_evicts() {
        let mut decoder = Decoder::new();
        fields(&mut decoder, "418cf1e3c2e5f23a6ba0ab90f4ff").unwrap();
        assert_eq!(decoder.len, 1);
        fields(&mut decoder, "20").unwrap();
        assert_eq!((decoder.len, decoder.size), (0, 0));
        assert!(fields(&mut decoder, "be").is_none(), "an entry that went");
    }

    #[test]
    fn wrong_blocks_end() {
        for block in ["80", "ff", "ffffffffffff", "41", "418c", "7f", "00", "0081"] {
            assert!(fields(&mut Decoder::new(), block).is_none(), "{block}");
        }
    }

    proptest! {
        #[test]
        fn any_block(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut decoder = Decoder::new();
            for part in bytes.chunks(200) {
                let _ = decoder.block(part, |_, value| {
                    let mut room = [0; 64];
                    let _ = value.text(&mut room);
                });
                prop_assert!(decoder.size <= 4096);
            }
        }
    }
}
