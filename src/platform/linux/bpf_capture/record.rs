//! Reads the records that the program writes. Only bytes: no system call, no map.
//!
//! Layout: `struct record` in `bpf/capture.h`; the frame's captured bytes follow.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::Stamp;
use crate::platform::linux::af_packet::block::Frame;

/// Bytes of the header.
pub const HEADER: usize = 32;
/// Records are multiples of this, in bytes, and so begin at them.
pub const ALIGN: usize = 16;

/// `ARPHRD_NONE`: frames begin with the network header.
pub const NONE: u16 = 0xfffe;

/// What a program says of a tally, in the place of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// It counts from here on: behind the segment that came before, which ends at the number `next`.
    Began { tally: u32, next: u32 },
    /// A first frame was counted since it was read.
    Touched { tally: u32 },
    /// Both directions go up again, from the next frame on.
    Stopped { tally: u32 },
}

/// A frame where it lies in its ring.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When the program saw it: monotonic, ns.
    pub at: u64,
    header: &'a [u8; HEADER],
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a record, which is all of `record`; `None` if that cannot be one.
    #[inline]
    pub fn read(record: &'a [u8]) -> Option<Self> {
        let (header, rest) = record.split_first_chunk::<HEADER>()?;
        let bytes = rest.get(..word(header, 4) as usize)?;
        Some(Self { at: u64::from(word(header, 8)) | u64::from(word(header, 12)) << 32, header, bytes })
    }

    /// Returns the frame, whose wall time is `wall_offset` after its monotonic one, in ns.
    #[inline]
    pub fn frame(&self, wall_offset: u64) -> Frame<'a> {
        let h = self.header;
        let link_len = usize::from(h[31]);
        let tag_type = half(h, 26);
        Frame {
            next: 0,
            bytes: self.bytes,
            link_len,
            wire_len: word(h, 16),
            wall: Stamp(self.at.wrapping_add(wall_offset)),
            stripped_vlan: (tag_type != 0).then(|| (tag_type, half(h, 28))),
            gso_size: half(h, 24),
            ifindex: self.ifindex(),
            // The programs know two kinds of interfaces: with an Ethernet header, and with none.
            hatype: if link_len == 0 { NONE } else { libc::ARPHRD_ETHER },
            pkttype: h[30],
        }
    }

    /// Returns the note that stands in the place of a frame.
    #[inline]
    pub fn note(&self) -> Option<Note> {
        const NOTE: u8 = 0xff;
        let h = self.header;
        if h[31] != NOTE {
            return None;
        }
        let tally = word(h, 16);
        match word(h, 20) {
            1 => Some(Note::Began { tally, next: word(h, 24) }),
            2 => Some(Note::Touched { tally }),
            _ => Some(Note::Stopped { tally }),
        }
    }

    /// Returns the system's index of the interface.
    #[inline]
    pub fn ifindex(&self) -> u32 {
        word(self.header, 20)
    }
}

/// The programs are compiled for little-endian machines, and so write as these do.
#[inline]
fn word(b: &[u8; HEADER], at: usize) -> u32 {
    u32::from_ne_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

#[inline]
fn half(b: &[u8; HEADER], at: usize) -> u16 {
    u16::from_ne_bytes([b[at], b[at + 1]])
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    fn record(tag: (u16, u16)) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [96u32, 60, 0xd, 0xc, 1514, 7] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        for half in [1448, tag.0, tag.1] {
            bytes.extend_from_slice(&half.to_ne_bytes());
        }
        bytes.extend_from_slice(&[4, 14]);
        bytes.resize(96, 9);
        bytes
    }

    #[test]
    fn every_field_is_read_from_its_place() {
        let bytes = record((0x8100, 5));
        let r = Record::read(&bytes).unwrap();
        assert_eq!((r.at, r.ifindex()), (0xc_0000_000d, 7));
        let f = r.frame(1 << 40);
        assert_eq!((f.bytes, f.wire_len, f.link_len), (&[9u8; 60][..], 1514, 14));
        assert_eq!(f.wall, Stamp(0xc_0000_000d + (1 << 40)));
        assert_eq!((f.ifindex, f.hatype, f.pkttype), (7, 1, 4));
        assert_eq!((f.stripped_vlan, f.gso_size), (Some((0x8100, 5)), 1448));
        let bytes = record((0, 5));
        assert_eq!(Record::read(&bytes).unwrap().frame(0).stripped_vlan, None);
    }

    #[test]
    fn bytes_that_are_no_record_are_none() {
        let bytes = record((0, 0));
        for cut in 0..HEADER + 60 {
            assert!(Record::read(&bytes[..cut]).is_none(), "{cut}");
        }
    }
}
