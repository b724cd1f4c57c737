//! Classic pcap files (draft-ietf-opsawg-pcap): a header of 24 bytes, then records.
//!
//! | magic | byte order | fraction | record header | who |
//! |---|---|---|---|---|
//! | `a1b2c3d4` | either | us | 16 | everybody |
//! | `a1b23c4d` | either | ns | 16 | everybody |
//! | `a1b2cd34` | either | us | 24 (interface, protocol, direction) | Kuznetzov's patched tcpdump |
//! | `1c0001ac` | either | ns | 16; 4 more bytes in the file header | Ixia, hardware stamps |
//! | `1c0001ab` | either | us | 16; 4 more bytes in the file header | Ixia, software stamps |
//!
//! Versions before 2.3 have the two lengths the other way round, 2.3 has them either way, and so
//! has DG/UX's "543.0". AIX writes version 2.2 with interface types (RFC 1573) for link types and
//! nanoseconds. The time zone field is ignored, as everybody does.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::sync::atomic::AtomicBool;

use crate::{
    base::{ids::IfaceId, time::Stamp},
    capture::capture_file::{
        MAX_FRAME, Record, Stop,
        cut::Why,
        input::Input,
        map::{intact, prefetch},
    },
    packet::{link::LinkType, parse::FrameMeta},
};

/// Bytes of the file header that every variant has.
pub const FILE_HEADER: usize = 24;

/// Bytes of the record header that every variant has.
const RECORD_HEADER: usize = 16;

/// How far ahead of a record memory is asked for, in bytes.
const AHEAD: usize = 2048;

/// How the records of one file are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcap {
    /// Bytes of the file header.
    pub file_header: usize,
    record_header: usize,
    swapped: bool,
    nanos_per_fraction: u64,
    lengths: Lengths,
    link: LinkType,
}

/// In which order a record has its two lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    WireFirst,
    SmallerIsCaptured,
}

/// What the first bytes of a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Not a pcap.
    Other,
    /// A pcap whose header is not there in full: bytes needed.
    Short(usize),
    /// A pcap of an unknown version.
    Version(u16, u16),
    /// A pcap.
    Pcap(Pcap),
}

impl Pcap {
    /// Reads the file header.
    pub fn open(head: &[u8]) -> Opening {
        let Some(&magic) = head.first_chunk::<4>() else { return Opening::Other };
        let little = variant(u32::from_le_bytes(magic));
        let Some((fraction, file_header, record_header)) = little.or(variant(u32::from_be_bytes(magic)))
        else {
            return Opening::Other;
        };
        let swapped = little.is_none() != cfg!(target_endian = "big");
        if head.len() < file_header {
            return Opening::Short(file_header);
        }
        let half = |at: usize| {
            let raw = u16::from_ne_bytes([head[at], head[at + 1]]);
            if swapped { raw.swap_bytes() } else { raw }
        };
        let (major, minor) = (half(4), half(6));
        let lengths = match (major, minor) {
            (2, 0..=2) | (543, 0) => Lengths::WireFirst,
            (2, 3) => Lengths::SmallerIsCaptured,
            (2, 4) => Lengths::CapturedFirst,
            _ => return Opening::Version(major, minor),
        };
        // The link type has 16 bits; above it are FCS length and reserved bits (section 4).
        let number = half(if swapped == cfg!(target_endian = "big") { 20 } else { 22 });
        let aix = if minor == 2 { aix_link(number) } else { None };
        Opening::Pcap(Self {
            file_header,
            record_header,
            swapped,
            nanos_per_fraction: if aix.is_some() { 1 } else { fraction },
            lengths,
            link: aix.unwrap_or_else(|| link(number)),
        })
    }

    /// Returns whether it is what nearly every file is: little-endian on a little-endian machine, or big
    /// on big, record headers of 16 bytes, and the captured length first.
    pub fn is_usual(&self) -> bool {
        !self.swapped && self.lengths == Lengths::CapturedFirst && self.record_header == RECORD_HEADER
    }

    /// Returns what is known of every frame beside its time and length.
    pub const fn meta(&self) -> FrameMeta {
        FrameMeta {
            wall: Stamp(0),
            wire_len: 0,
            iface: IfaceId(0),
            link: self.link,
            gso_size: 0,
            stripped_vlan: None,
            outgoing: false,
            loopback: false,
        }
    }

    /// Reads the record at the front of `rest`, a part of the window of `input`: returns its length and
    /// the frame, and writes time and wire length. For a file that is usual. `gone` is the flag of `input`.
    ///
    /// # Errors
    /// Why there is no whole record.
    #[inline(always)]
    pub fn next<'a>(
        &self,
        input: &Input,
        gone: &AtomicBool,
        rest: &'a [u8],
        meta: &mut FrameMeta,
    ) -> Result<Record<'a>, Stop> {
        self.record::<false, true>(input, gone, rest, meta)
    }

    /// As [`Pcap::next`], for any file.
    ///
    /// # Errors
    /// See there.
    #[inline(never)]
    pub fn next_rare<'a>(
        &self,
        input: &Input,
        gone: &AtomicBool,
        rest: &'a [u8],
        meta: &mut FrameMeta,
    ) -> Result<Record<'a>, Stop> {
        match (self.swapped, self.lengths) {
            (true, Lengths::CapturedFirst) => self.record::<true, true>(input, gone, rest, meta),
            (true, _) => self.record::<true, false>(input, gone, rest, meta),
            (false, _) => self.record::<false, false>(input, gone, rest, meta),
        }
    }

    #[inline(always)]
    fn record<'a, const SWAPPED: bool, const USUAL: bool>(
        &self,
        input: &Input,
        gone: &AtomicBool,
        rest: &'a [u8],
        meta: &mut FrameMeta,
    ) -> Result<Record<'a>, Stop> {
        let Some(header) = rest.first_chunk::<RECORD_HEADER>() else {
            return Err(Stop::Need(self.record_header));
        };
        let [secs, fraction, first, second] = words::<SWAPPED>(header);
        let (captured, wire) = if USUAL { (first, second) } else { self.lengths.sort(first, second) };
        if captured > MAX_FRAME {
            return Err(Stop::Cut(too_long(input, captured)));
        }
        let header_len = if USUAL && !SWAPPED { RECORD_HEADER } else { self.record_header };
        let len = header_len + captured as usize;
        let Some(record) = rest.get(..len) else { return Err(Stop::Need(len)) };
        // Of long frames, where the next but one begins if they are all as long.
        prefetch(rest, AHEAD.max(2 * len));
        // What was cut reads as zeros, the end of a header across the cut too.
        let zeros = captured | wire == 0;
        if !intact(record, gone) || (zeros && input.shortened()) {
            return Err(Stop::Cut(Why::Shortened));
        }
        // Fits: 2^32 seconds are below 2^62 ns. A fraction beyond a second carries over.
        meta.wall = Stamp(u64::from(secs) * 1_000_000_000 + u64::from(fraction) * self.nanos_per_fraction);
        meta.wire_len = wire;
        Ok((len, &record[header_len..]))
    }
}

#[cold]
fn too_long(input: &Input, captured: u32) -> Why {
    if input.shortened() { Why::Shortened } else { Why::FrameLength(captured) }
}

impl Lengths {
    /// Returns captured and wire length.
    const fn sort(self, first: u32, second: u32) -> (u32, u32) {
        match self {
            Self::WireFirst => (second, first),
            Self::SmallerIsCaptured if first > second => (second, first),
            _ => (first, second),
        }
    }
}

#[inline]
fn words<const SWAPPED: bool>(header: &[u8; RECORD_HEADER]) -> [u32; 4] {
    let word = |at: usize| {
        let raw = u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if SWAPPED { raw.swap_bytes() } else { raw }
    };
    [word(0), word(4), word(8), word(12)]
}

/// Returns nanoseconds a fraction, file header and record header of a magic number's variant.
const fn variant(magic: u32) -> Option<(u64, usize, usize)> {
    match magic {
        0xa1b2_c3d4 => Some((1000, FILE_HEADER, RECORD_HEADER)),
        0xa1b2_3c4d => Some((1, FILE_HEADER, RECORD_HEADER)),
        0xa1b2_cd34 => Some((1000, FILE_HEADER, RECORD_HEADER + 8)),
        0x1c00_01ac => Some((1, FILE_HEADER + 4, RECORD_HEADER)),
        0x1c00_01ab => Some((1000, FILE_HEADER + 4, RECORD_HEADER)),
        _ => None,
    }
}

/// Returns the link type for what stands in a header, where some systems write their own `DLT_*`
/// number for it. Raw IP (12, 14) stays as it is: the parser takes all its numbers.
const fn link(number: u16) -> LinkType {
    LinkType(match number {
        11 => 100, // DLT_ATM_RFC1483 everywhere
        13 => 102, // DLT_SLIP_BSDOS of FreeBSD and NetBSD
        18 => 246, // DLT_PFSYNC of OpenBSD and NetBSD
        other => other,
    })
}

/// Returns the link type for an interface type in a file of AIX.
const fn aix_link(if_type: u16) -> Option<LinkType> {
    match if_type {
        6 => Some(LinkType::ETHERNET),
        9 => Some(LinkType(6)),   // token ring
        15 => Some(LinkType(10)), // FDDI
        24 => Some(LinkType::NULL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(magic: u32, version: (u16, u16), link: u32) -> [u8; 28] {
        let mut head = [0; 28];
        head[..4].copy_from_slice(&magic.to_le_bytes());
        head[4..6].copy_from_slice(&version.0.to_le_bytes());
        head[6..8].copy_from_slice(&version.1.to_le_bytes());
        head[20..24].copy_from_slice(&link.to_le_bytes());
        head
    }

    fn opened(head: &[u8]) -> Pcap {
        let Opening::Pcap(pcap) = Pcap::open(head) else { panic!("{:?}", Pcap::open(head)) };
        pcap
    }

    #[test]
    fn reserved_bits_of_the_link_type_are_ignored() {
        for (field, link) in [(1, 1), (0x4400_0001, 1), (0xfc30_0071, 113), (0x0030_0000, 0), (12, 12)] {
            assert_eq!(opened(&header(0xa1b2_c3d4, (2, 4), field)).link, LinkType(link), "{field:#x}");
            let mut head = header(0xa1b2_c3d4, (2, 4), field);
            for word in [0..4, 4..6, 6..8, 20..24] {
                head[word].reverse();
            }
            assert_eq!(opened(&head).link, LinkType(link), "{field:#x} swapped");
        }
    }

    #[test]
    fn versions_order_the_lengths() {
        let order = |version| opened(&header(0xa1b2_c3d4, version, 1)).lengths;
        assert_eq!(order((2, 4)), Lengths::CapturedFirst);
        assert_eq!(order((2, 3)).sort(60, 50), (50, 60));
        assert_eq!(order((2, 3)).sort(50, 60), (50, 60));
        assert_eq!(order((2, 2)).sort(60, 50), (50, 60));
        assert_eq!(order((543, 0)).sort(60, 50), (50, 60));
        for version in [(1, 4), (2, 5), (3, 0), (0, 0), (0x0200, 0x0400)] {
            let opening = Pcap::open(&header(0xa1b2_c3d4, version, 1));
            assert_eq!(opening, Opening::Version(version.0, version.1));
        }
    }

    #[test]
    fn aix_files_have_interface_types_and_nanoseconds() {
        let aix = opened(&header(0xa1b2_c3d4, (2, 2), 6));
        assert_eq!((aix.link, aix.nanos_per_fraction), (LinkType::ETHERNET, 1));
        let other = opened(&header(0xa1b2_c3d4, (2, 2), 1));
        assert_eq!((other.link, other.nanos_per_fraction), (LinkType::ETHERNET, 1000));
    }

    #[test]
    fn longer_headers_are_known() {
        assert_eq!(opened(&header(0x1c00_01ac, (2, 4), 1)).file_header, 28);
        assert_eq!(Pcap::open(&header(0x1c00_01ab, (2, 4), 1)[..24]), Opening::Short(28));
        assert_eq!(opened(&header(0xa1b2_cd34, (2, 4), 1)).record_header, 24);
        assert_eq!(Pcap::open(&header(0xa1b2_c3d4, (2, 4), 1)[..23]), Opening::Short(24));
        assert_eq!(Pcap::open(b"\xd4\xc3\xb2"), Opening::Other);
    }
}
