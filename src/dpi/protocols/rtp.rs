//! RTP and RTCP (RFC 3550), also encrypted (RFC 3711).
//!
//! RTP has no sign of its own: two datagrams of one side must belong together. Of RTCP one is enough when its
//! packets fill it. Neither needs to have been announced.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said, until_ended},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    service::Service,
    talk::{Datagram, Streams},
};

/// Bytes of a header without contributing sources.
const HEADER_LEN: usize = 12;
/// Packets that two of one side may be apart.
const MOST_APART: u16 = 64;
/// Datagrams of a flow that are read for further sources and types.
const MOST_DATAGRAMS: u32 = 32;
/// Types of RTCP packets (RFC 3550 section 12.1, RFC 4585, RFC 3611).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const LAST_REPORT: u8 = 207;

/// Judges a datagram, beside the one that its sender sent before.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    if talk.bytes.first().is_none_or(|first| first >> 6 != 2) {
        // Other things share the ports: STUN, DTLS, nothing at all to keep an address.
        return if talk.memory[0] == 1 { more(talk) } else { Verdict::No };
    }
    if is_control(talk.bytes, talk.wire_len) {
        if talk.memory[0] == 0 {
            notes.service(Service::Rtcp);
        }
        talk.memory[0] = 1;
        return more(talk);
    }
    let Some(header) = Header::read(talk.bytes) else {
        return if talk.memory[0] == 1 { more(talk) } else { Verdict::No };
    };
    let before = talk.before.get(talk.from).copied().unwrap_or_default();
    if talk.memory[0] == 0 {
        if before.is_empty() {
            return Verdict::More;
        }
        match Header::read(before) {
            Some(before) if header.follows(&before) => {}
            // Captured twice.
            Some(before) if header.is_again(&before) => return Verdict::More,
            _ => return Verdict::No,
        }
    }
    talk.memory[0] = 1;
    notes.service(Service::Rtp);
    notes.number(Fact::RtpPayloadType, u64::from(header.payload_type));
    note_source(header.source, notes);
    more(talk)
}

/// Judges a connection: packets with their lengths before them (RFC 4571), of which two of one side belong together.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |bytes| pair(bytes).map(|_| ())).map(|known| {
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            if let Ok(header) = pair(Cursor::of(talk, side)) {
                notes.number(Fact::RtpPayloadType, u64::from(header.payload_type));
                note_source(header.source, notes);
            }
        }
        if known == [true; 2] { Verdict::Done } else { until_ended(talk) }
    }))
}

/// Reads the first two packets of a side, the second of which follows the first.
fn pair(mut bytes: Cursor<'_>) -> Read<Header> {
    let first = framed(&mut bytes)?;
    let second = framed(&mut bytes)?;
    ensure(second.seq_number.wrapping_sub(first.seq_number) == 1 && second.follows(&first))?;
    Ok(first)
}

fn framed(bytes: &mut Cursor<'_>) -> Read<Header> {
    let length = usize::from(bytes.u16()?);
    ensure((HEADER_LEN + 1..=2048).contains(&length))?;
    ensure(bytes.rest().first().is_none_or(|first| first >> 6 == 2))?;
    Header::parse(bytes.take(length)?).ok_or(Verdict::No)
}

fn more(talk: &Datagram<'_>) -> Verdict {
    if talk.nth < MOST_DATAGRAMS { Verdict::Is } else { Verdict::Done }
}

struct Header {
    payload_type: u8,
    seq_number: u16,
    timestamp: u32,
    source: [u8; 4],
}

impl Header {
    /// Reads a header as [`Self::parse`], of a source other than 0.
    fn read(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes).filter(|header| header.source != [0; 4])
    }

    /// Reads a header (RFC 3550 section 5.1), but for payload types that would be RTCP (RFC 5761 section 4).
    fn parse(bytes: &[u8]) -> Option<Self> {
        let &[first, second, a, b, t0, t1, t2, t3, source @ ..] = bytes.first_chunk::<HEADER_LEN>()?;
        let payload_type = second & 0x7f;
        let known = matches!(payload_type, 0..=34 | 96..=127) || matches!(payload_type, 35..=63);
        (first >> 6 == 2 && known).then_some(Self {
            payload_type,
            seq_number: u16::from_be_bytes([a, b]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            source,
        })
    }

    /// Returns whether the two are one.
    fn is_again(&self, before: &Self) -> bool {
        (self.seq_number, self.timestamp, self.source) == (before.seq_number, before.timestamp, before.source)
    }

    /// Returns whether it comes soon after the other one in the same stream, perhaps with another type.
    fn follows(&self, before: &Self) -> bool {
        let apart = self.seq_number.wrapping_sub(before.seq_number);
        let elapsed = self.timestamp.wrapping_sub(before.timestamp);
        self.source == before.source && (1..=MOST_APART).contains(&apart) && elapsed < 1 << 24
    }
}

/// Judges a compound packet: reports that fill the datagram, the first one with its blocks; or an encrypted one, whose
/// first packet is all that can be read.
fn is_control(bytes: &[u8], wire_len: usize) -> bool {
    let mut rest = bytes;
    let mut nth = 0;
    while let Some(&[first, kind, high, low]) = rest.first_chunk() {
        let length = 4 * (1 + usize::from(u16::from_be_bytes([high, low])));
        let known = first >> 6 == 2 && (SENDER_REPORT..=LAST_REPORT).contains(&kind);
        if !known || nth == 0 && !is_report(first, kind, length) {
            return false;
        }
        let Some(after) = rest.get(length..) else { return bytes.len() < wire_len };
        rest = after;
        nth += 1;
    }
    nth > 0 && rest.is_empty()
}

/// Judges the length of a first packet by its number of blocks.
fn is_report(first: u8, kind: u8, length: usize) -> bool {
    let blocks = 24 * usize::from(first & 0x1f);
    match kind {
        SENDER_REPORT => length >= 28 + blocks,
        RECEIVER_REPORT => length >= 8 + blocks,
        // Feedback of reduced size (RFC 5506): a kind of message, two sources.
        205 | 206 => matches!(first & 0x1f, 1..=15) && length >= 12,
        _ => false,
    }
}

/// Notes a source as `0x1234abcd`.
fn note_source(source: [u8; 4], notes: &mut Notes<'_>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = *b"0x00000000";
    for (pair, byte) in text[2..].chunks_exact_mut(2).zip(source) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    notes.text(Fact::RtpSsrc, &text);
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    fn packet(payload_type: u8, seq_number: u16, timestamp: u32, source: u8) -> Vec<u8> {
        let head =
            [&[0x80, payload_type][..], &seq_number.to_be_bytes(), &timestamp.to_be_bytes(), &[source; 4]]
                .concat();
        [head, vec![0x55; 160]].concat()
    }

    #[test]
    fn two_packets_of_one_stream() {
        let (one, two) = (packet(8, 0xffff, 160, 7), packet(8, 0, 320, 7));
        let heard = trial::of_datagrams(datagram, &[(0, &one), (0, &two)], [16_384, 20_000]);
        assert_eq!(heard.service, Some(Service::Rtp));
        assert_eq!((heard.first(Fact::RtpPayloadType), heard.first(Fact::RtpSsrc)), ("8", "0x07070707"));
        assert_eq!(datagrams(datagram, &[(0, &one)], [1, 2]).verdict, Some(Verdict::More));
    }

    #[test]
    fn packets_that_do_not_belong_together() {
        let one = packet(8, 10, 160, 7);
        for two in [packet(8, 11, 160, 8), packet(8, 500, 160, 7), packet(8, 11, 0x8000_0000, 7)] {
            assert_eq!(datagrams(datagram, &[(0, &one), (0, &two)], [1, 2]).verdict, Some(Verdict::No));
        }
        // Those of the other side are another stream.
        let heard = datagrams(datagram, &[(0, &one), (1, &packet(8, 11, 320, 7))], [1, 2]);
        assert_eq!(heard.verdict, Some(Verdict::More));
    }

    #[test]
    fn a_packet_that_was_captured_twice_is_one() {
        let (one, two) = (packet(8, 10, 160, 7), packet(8, 11, 320, 7));
        let again = [(0, &one[..]), (0, &one), (0, &two), (0, &two)];
        assert_eq!(datagrams(datagram, &again[..2], [1, 2]).verdict, Some(Verdict::More));
        let heard = datagrams(datagram, &again, [1, 2]);
        assert_eq!((heard.verdict, heard.service), (Some(Verdict::Is), Some(Service::Rtp)));
    }

    #[test]
    fn reports_fill_their_datagram() {
        let report =
            [&[0x80, 200, 0, 6][..], &[9; 24], &[0x81, 202, 0, 2, 1, 2, 3, 4, 1, 1, b'a', 0]].concat();
        let heard = trial::of_datagrams(datagram, &[(0, &report)], [16_385, 20_001]);
        assert_eq!(heard.service, Some(Service::Rtcp));
        assert_eq!(datagrams(datagram, &[(0, &report[..39])], [1, 2]).verdict, Some(Verdict::No));
    }

    #[test]
    fn packets_with_their_lengths_in_a_connection() {
        let framed = |bytes: Vec<u8>| [&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat();
        let says = |numbers: [u16; 2], source: u8| {
            numbers.map(|number| framed(packet(8, number, 160 * u32::from(number), source))).concat()
        };
        for source in [7, 0] {
            let heard = trial::of_streams(streams, &says([9, 10], source), &says([70, 71], 3), 5000);
            assert_eq!(heard.first(Fact::RtpPayloadType), "8");
        }
        let heard = crate::dpi::testing::streams(streams, &says([9, 11], 7), b"", 5000);
        assert_eq!(heard.verdict, Some(Verdict::No));
    }
}
