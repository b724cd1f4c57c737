//! Reads the frames of one block of a TPACKET_V3 ring. Only bytes: no system call, no map.
//!
//! ```text
//!  block ┌──────────────┬───────────────────────────┬─────────────────────────┬──
//!        │ descriptor   │ frame                     │ frame                   │
//!        │ status, num, │ tpacket3_hdr  sockaddr_ll │                         │
//!        │ first offset │ 0..48         48..68      │                         │
//!        └──────────────┴───────────────────────────┴─────────────────────────┴──
//!  frame: header + sockaddr_ll + pad + [virtio header] + link header (tp_mac) + rest (tp_net)
//! ```
//!
//! Layout: `linux/if_packet.h`; filled by `tpacket_rcv` in `net/packet/af_packet.c`.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::Stamp;

/// Bytes of `tpacket3_hdr` and the `sockaddr_ll` after it.
const HEADER: usize = 68;
/// Bytes of `struct virtio_net_hdr` (virtio 1.2 section 5.1.6), which ends at `tp_mac`.
const VNET: usize = 10;

/// `TP_STATUS_USER`: the kernel has finished the block, or the frame.
pub const STATUS_USER: u32 = 1;
/// `TP_STATUS_VLAN_VALID`: a tag was taken off.
const STATUS_VLAN: u32 = 1 << 4;
/// `TP_STATUS_VLAN_TPID_VALID`: and its TPID is told (kernel 3.14).
const STATUS_TPID: u32 = 1 << 6;

/// What a block's descriptor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Frames in the block, unfinished ones included.
    pub frames: u32,
    /// Offset of the first one.
    pub first: u32,
}

impl BlockHeader {
    /// Offset of the status word, which hands the block to and fro.
    pub const STATUS: usize = 8;

    /// Reads the descriptor; an absurdly short block has no frames.
    pub fn read(block: &[u8]) -> Self {
        match block.first_chunk::<48>() {
            Some(b) => Self { frames: word(b, 12), first: word(b, 16) },
            None => Self { frames: 0, first: 0 },
        }
    }
}

/// One frame where it lies in its block.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Offset of the next frame from this one.
    pub next: u32,
    /// Captured bytes, from the link header on.
    pub bytes: &'a [u8],
    /// Bytes of link header at the start of `bytes`.
    pub link_len: usize,
    /// Length that the frame had in the kernel.
    pub wire_len: u32,
    /// When the kernel saw it.
    pub wall: Stamp,
    /// TPID and TCI of the tag that was taken off.
    pub stripped_vlan: Option<(u16, u16)>,
    /// Segment size of a super-frame, from the virtio header; else 0.
    pub gso_size: u16,
    /// Index of the interface.
    pub ifindex: u32,
    /// `ARPHRD_*` of the interface.
    pub hatype: u16,
    /// `PACKET_HOST`, `PACKET_OUTGOING`, ...
    pub pkttype: u8,
}

/// What stands at an offset of a block.
#[derive(Clone, Copy, Debug)]
pub enum Slot<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Room that the kernel took for a frame and then gave up (it counts it as a drop); the
    /// number is the offset of the next slot from this one.
    Abandoned(u32),
    /// Bytes that cannot be a frame: the rest of the block is unreadable.
    Broken,
}

impl<'a> Slot<'a> {
    /// Reads the slot at `offset` of `block`. `vnet`: the ring has virtio headers.
    #[inline]
    pub fn read(block: &'a [u8], offset: usize, vnet: bool) -> Self {
        let Some(slot) = block.get(offset..) else { return Self::Broken };
        let Some(h) = slot.first_chunk::<HEADER>() else { return Self::Broken };
        let next = word(h, 0);
        let status = word(h, 20);
        // NB: a super-frame that has no virtio form is given up after its slot was made, and the
        // slot then holds what an earlier round left there. `tp_status` tells: it was reset.
        if status & STATUS_USER == 0 {
            return Self::Abandoned(next);
        }
        let (mac, net) = (half(h, 24) as usize, half(h, 26) as usize);
        let Some(bytes) = slot.get(mac..).and_then(|s| s.get(..word(h, 12) as usize)) else {
            return Self::Broken;
        };
        let stripped_vlan = (status & STATUS_VLAN != 0).then(|| {
            let tpid = if status & STATUS_TPID != 0 { half(h, 36) } else { 0x8100 };
            (tpid, word(h, 32) as u16)
        });
        Self::Frame(Frame {
            next,
            bytes,
            link_len: net.saturating_sub(mac),
            wire_len: word(h, 16),
            wall: Stamp(u64::from(word(h, 4)) * 1_000_000_000 + u64::from(word(h, 8))),
            stripped_vlan,
            gso_size: if vnet { gso_size(slot, mac) } else { 0 },
            ifindex: word(h, 52),
            hatype: half(h, 56),
            pkttype: h[58],
        })
    }
}

/// Reads the segment size out of the virtio header before `mac`; 0 for an ordinary frame.
#[inline]
fn gso_size(slot: &[u8], mac: usize) -> u16 {
    let Some(header) = mac.checked_sub(VNET).and_then(|at| slot.get(at..)) else { return 0 };
    let Some(header) = header.first_chunk::<VNET>() else { return 0 };
    // gso_type NONE is 0; its bit 7 is ECN.
    if header[1] & 0x7f == 0 { 0 } else { half(header, 4) }
}

#[inline]
fn word<const N: usize>(b: &[u8; N], at: usize) -> u32 {
    u32::from_ne_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

#[inline]
fn half<const N: usize>(b: &[u8; N], at: usize) -> u16 {
    u16::from_ne_bytes([b[at], b[at + 1]])
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    /// Writes a slot as the kernel does. `tag`: TPID and TCI; `gso`: type and size.
    fn slot(payload: &[u8], next: u32, status: u32, tag: (u16, u16), gso: (u8, u16)) -> Vec<u8> {
        let (mac, net) = (96u16, 110u16);
        let mut s = vec![0u8; usize::from(mac)];
        s[0..4].copy_from_slice(&next.to_ne_bytes());
        s[4..8].copy_from_slice(&1_700_000_000u32.to_ne_bytes());
        s[8..12].copy_from_slice(&999_999_999u32.to_ne_bytes());
        s[12..16].copy_from_slice(&(payload.len() as u32).to_ne_bytes());
        s[16..20].copy_from_slice(&1514u32.to_ne_bytes());
        s[20..24].copy_from_slice(&status.to_ne_bytes());
        s[24..26].copy_from_slice(&mac.to_ne_bytes());
        s[26..28].copy_from_slice(&net.to_ne_bytes());
        s[32..36].copy_from_slice(&u32::from(tag.1).to_ne_bytes());
        s[36..38].copy_from_slice(&tag.0.to_ne_bytes());
        s[48..50].copy_from_slice(&17u16.to_ne_bytes()); // AF_PACKET
        s[52..56].copy_from_slice(&7u32.to_ne_bytes());
        s[56..58].copy_from_slice(&1u16.to_ne_bytes());
        s[58] = 4; // PACKET_OUTGOING
        s[87] = gso.0;
        s[90..92].copy_from_slice(&gso.1.to_ne_bytes());
        s.extend_from_slice(payload);
        s
    }

    fn frame(bytes: &[u8], vnet: bool) -> Frame<'_> {
        match Slot::read(bytes, 0, vnet) {
            Slot::Frame(f) => f,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_field_is_read_from_its_place() {
        let bytes = slot(&[9; 60], 160, STATUS_USER, (0, 0), (0, 0));
        let f = frame(&bytes, false);
        assert_eq!((f.next, f.wire_len, f.bytes, f.link_len), (160, 1514, &[9u8; 60][..], 14));
        assert_eq!(f.wall, Stamp(1_700_000_000_999_999_999));
        assert_eq!((f.ifindex, f.hatype, f.pkttype), (7, 1, 4));
        assert_eq!((f.stripped_vlan, f.gso_size), (None, 0));
    }

    #[test]
    fn stripped_tags_come_with_their_tpid_where_the_kernel_tells_it() {
        for (status, tag, expected) in [
            (STATUS_VLAN | STATUS_TPID, (0x88a8, 0x2005), Some((0x88a8, 0x2005))),
            (STATUS_VLAN, (0, 5), Some((0x8100, 5))),
            (STATUS_VLAN | STATUS_TPID, (0x8100, 0), Some((0x8100, 0))), // a priority tag
            (0, (0x8100, 5), None),
        ] {
            let bytes = slot(&[0; 60], 0, STATUS_USER | status, tag, (0, 0));
            assert_eq!(frame(&bytes, false).stripped_vlan, expected);
        }
    }

    #[test]
    fn segment_size_is_that_of_a_super_frame_only() {
        for (gso, vnet, expected) in [
            ((1, 1448), true, 1448),    // TCPv4
            ((0x84, 1428), true, 1428), // TCPv6 with ECN
            ((5, 1200), true, 1200),    // UDP
            ((0, 1448), true, 0),
            ((0x80, 1448), true, 0),
            ((1, 1448), false, 0),
        ] {
            let bytes = slot(&[0; 60], 0, STATUS_USER, (0, 0), gso);
            assert_eq!(frame(&bytes, vnet).gso_size, expected);
        }
    }

    #[test]
    fn abandoned_slots_are_told_from_frames() {
        let bytes = slot(&[0; 60], 160, STATUS_VLAN, (0x8100, 5), (0, 0));
        assert!(matches!(Slot::read(&bytes, 0, true), Slot::Abandoned(160)));
    }

    #[test]
    fn bytes_that_are_no_frame_end_the_block_without_a_panic() {
        let bytes = slot(&[0; 60], 0, STATUS_USER, (0, 0), (0, 0));
        for cut in 0..bytes.len() {
            assert!(matches!(Slot::read(&bytes[..cut], 0, true), Slot::Broken), "{cut}");
        }
        assert!(matches!(Slot::read(&bytes, usize::MAX, true), Slot::Broken));
        assert_eq!(BlockHeader::read(&[0; 20]), BlockHeader { frames: 0, first: 0 });
    }
}
