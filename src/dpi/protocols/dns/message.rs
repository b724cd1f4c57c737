//! The fixed parts of DNS messages, and how they tell one.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use super::name;

/// Bytes of a message's header (RFC 1035 section 4.1.1).
pub const HEADER_LEN: usize = 12;
/// Bytes of a question at least: the root, type, class.
const LEAST_QUESTION: usize = 5;
/// Bytes of a record at least: the root, type, class, time to live, length.
const LEAST_RECORD: usize = 11;

/// Bits of [`Header::flags`] (RFC 1035 section 4.1.1, RFC 2535 section 6.1).
pub mod header {
    /// QR: an answer.
    pub const RESPONSE: u16 = 0x8000;
    /// RD.
    pub const RECURSION_DESIRED: u16 = 0x0100;
    /// RA.
    pub const RECURSION_AVAILABLE: u16 = 0x0080;
    /// Z: zero.
    pub const RESERVED: u16 = 0x0040;
}

/// Types of records that are read (RFC 1035 section 3.2.2, RFC 3596).
pub mod rtype {
    pub const A: u16 = 1;
    pub const CNAME: u16 = 5;
    pub const AAAA: u16 = 28;
    pub const OPT: u16 = 41;
}

/// Classes (RFC 1035 section 3.2.4).
pub mod class {
    pub const IN: u16 = 1;
    /// A flag of mDNS beside the class (RFC 6762 sections 5.4 and 10.2).
    pub const FLUSH: u16 = 0x8000;
}

/// A message's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The query's id, which its answer repeats.
    pub id: u16,
    /// See [`header`].
    pub flags: u16,
    /// Questions, answers, authorities, additional records.
    pub counts: [u16; 4],
}

impl Header {
    /// Reads it.
    pub fn read(message: &[u8]) -> Option<Self> {
        let fields: &[u8; HEADER_LEN] = message.first_chunk()?;
        let number = |at: usize| u16::from_be_bytes([fields[at], fields[at + 1]]);
        Some(Self { id: number(0), flags: number(2), counts: [number(4), number(6), number(8), number(10)] })
    }

    /// Returns whether it is an answer.
    pub fn is_response(&self) -> bool {
        self.flags & header::RESPONSE != 0
    }

    /// Returns the response code.
    pub fn rcode(&self) -> u16 {
        self.flags & 15
    }

    fn opcode(&self) -> u16 {
        self.flags >> 11 & 15
    }

    /// Returns whether flags and counts can stand together in a message of this length.
    fn is_sound(&self, length: usize) -> bool {
        let [questions, answers, authorities, additional] = self.counts;
        let questions = usize::from(questions);
        let records = usize::from(answers) + usize::from(authorities) + usize::from(additional);
        let fits = HEADER_LEN + questions * LEAST_QUESTION + records * LEAST_RECORD <= length;
        // QUERY, IQUERY, STATUS, NOTIFY, UPDATE (RFC 6895 section 2.2).
        let known = matches!(self.opcode(), 0..=2 | 4 | 5);
        let asks = self.is_response()
            || (questions > 0 && self.flags & header::RECURSION_AVAILABLE == 0 && self.rcode() == 0);
        fits && known && asks
    }
}

/// Returns the header of a message that is known by it and by its first question or record. What lies beyond the bytes that
/// were captured, `wire_len` being all there were, is taken as well formed.
// Always inlined: handed over in memory, a header that was just written field by field is waited for (9 ns).
#[inline(always)]
pub fn sign(bytes: &[u8], wire_len: usize) -> Option<Header> {
    let header = Header::read(bytes).filter(|header| header.is_sound(wire_len))?;
    let cut = bytes.len() < wire_len;
    let [questions, answers, authorities, additional] = header.counts;
    let sound = if questions > 0 {
        question(bytes).unwrap_or(cut)
    } else if answers | authorities | additional > 0 {
        Record::read(bytes, HEADER_LEN).map_or(cut, |record| record.is_sound())
    } else {
        // Servers that cannot or will not read a query send back its header alone.
        header.rcode() != 0 && wire_len == HEADER_LEN
    };
    sound.then_some(header)
}

/// Returns whether the first question is well formed, nothing if bytes are missing.
fn question(bytes: &[u8]) -> Option<bool> {
    let at = name::skip(bytes, HEADER_LEN)?;
    let fields = bytes.get(at..at + 4)?;
    let rtype = u16::from_be_bytes([fields[0], fields[1]]);
    let class = u16::from_be_bytes([fields[2], fields[3]]);
    Some(rtype != 0 && is_class(class & !class::FLUSH))
}

/// IN, CH, HS, NONE, ANY (RFC 6895 section 3.2).
fn is_class(class: u16) -> bool {
    matches!(class, 1 | 3 | 4 | 254 | 255)
}

/// A record's place and fixed fields (RFC 1035 section 4.1.3).
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Where its owner's name begins.
    pub owner: usize,
    /// Its type.
    pub rtype: u16,
    /// Its class.
    pub class: u16,
    /// Where its data begin.
    pub data: usize,
    /// Where they end.
    pub end: usize,
}

impl Record {
    /// Reads the record at `at`, if all of it is there.
    pub fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let fields_at = name::skip(bytes, at)?;
        let fields: &[u8; 10] = bytes.get(fields_at..)?.first_chunk()?;
        let data = fields_at + fields.len();
        let end = data + usize::from(u16::from_be_bytes([fields[8], fields[9]]));
        (end <= bytes.len()).then_some(Self {
            owner: at,
            rtype: u16::from_be_bytes([fields[0], fields[1]]),
            class: u16::from_be_bytes([fields[2], fields[3]]),
            data,
            end,
        })
    }

    /// Returns its data in the message that it was read from.
    pub fn data<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.data..self.end).unwrap_or_default()
    }

    fn is_sound(&self) -> bool {
        self.rtype == rtype::OPT || (self.rtype != 0 && is_class(self.class & !class::FLUSH))
    }
}
