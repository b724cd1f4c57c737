//! What crosses from rx to a worker: one cache line for a frame, a second one for a wide key.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::{
        ids::{Epoch, IfaceId},
        time::{Nanos, Stamp, Tick},
    },
    packet::key::FlowKey,
};

/// Bits of [`Descriptor::flags`].
pub mod flag {
    /// The frame went from the high end of the key to the low end.
    pub const FROM_HIGH: u8 = 1;
    /// This host sent the frame.
    pub const OUTGOING: u8 = 2;
    /// A fragment other than the first: it has no transport header of its own.
    pub const FRAGMENT: u8 = 4;
    /// The transport header was not there in full: flags and numbers are not to be used, ports are
    /// 0 unless they could be read. Set on fragments too.
    pub const NO_TRANSPORT: u8 = 8;
    /// The source could not tell the number of segments of a super-frame.
    pub const SEGMENTS_UNKNOWN: u8 = 16;
    /// The line is not a frame but the marker of a cut.
    pub const MARKER: u8 = 128;
}

/// One frame, as the worker needs it: 64 bytes, `Copy`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Descriptor {
    /// The frame's own time.
    pub wall: Stamp,
    /// Ends, ports, protocol.
    pub key: FlowKey,
    /// The key's hash under the run's seed.
    pub hash: u32,
    /// Bytes on the wire: (segments - 1) headers and the tags that the kernel took off included.
    pub wire_len: u32,
    /// Engine time.
    pub tick: Tick,
    /// Bytes of transport payload on the wire, from the lengths in the headers.
    pub payload_len: u32,
    /// TCP: sequence number. ICMP(v6): identifier (echo) or 0. ARP: operation.
    pub seq_number: u32,
    /// TCP: acknowledgement number. ICMP(v6): `type << 8 | code`.
    pub ack_number: u32,
    /// TCP: the window field as it stands in the header; with SYN, see `window_scale`.
    pub window: u16,
    /// Packets on the wire: segments of a super-frame, else 1.
    pub segments: u16,
    /// The interface.
    pub iface: IfaceId,
    /// Outermost VLAN id plus 1; 0 without a tag.
    pub vlan: u16,
    /// TCP: the flags byte (CWR ECE URG ACK PSH RST SYN FIN).
    pub tcp_flags: u8,
    /// TCP with SYN: the window scale option plus 1; 0 without the option.
    pub window_scale: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Lines of payload that follow in a ring.
    pub payload_lines: u8,
    /// Where the payload begins in the frame; in a ring, how many bytes of it follow.
    pub payload_at: u16,
    /// Always 0: leaves no padding.
    pub zero: u16,
}

const _: () = assert!(size_of::<Descriptor>() == 64);

impl Descriptor {
    /// Returns the marker of a cut.
    pub fn marker(cut: Cut) -> Self {
        let Cut { epoch, now, wall, last } = cut;
        Self {
            wall,
            segments: u16::from(last),
            tick: now.tick(),
            key: FlowKey { ends: epoch.0, ..FlowKey::default() },
            seq_number: (now.0 >> 32) as u32,
            ack_number: now.0 as u32,
            flags: flag::MARKER,
            ..Self::default()
        }
    }

    /// Returns the cut of a marker, `None` for a frame.
    #[inline]
    pub const fn as_marker(&self) -> Option<Cut> {
        if self.flags & flag::MARKER == 0 {
            return None;
        }
        let now = Nanos((self.seq_number as u64) << 32 | self.ack_number as u64);
        Some(Cut { epoch: Epoch(self.key.ends), now, wall: self.wall, last: self.segments != 0 })
    }

    /// Returns the lines that belong to this one: the wide key's and the payload's.
    #[inline]
    pub const fn lines_after(&self) -> usize {
        self.key.is_wide() as usize + self.payload_lines as usize
    }

    /// Returns 0 for a frame from the low end, 1 for one from the high end.
    #[inline]
    pub const fn from(&self) -> usize {
        (self.flags & flag::FROM_HIGH) as usize
    }
}

/// A cut through the stream, as its markers carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The epoch that it closes.
    pub epoch: Epoch,
    /// Engine time of the cut.
    pub now: Nanos,
    /// Wall time of the cut.
    pub wall: Stamp,
    /// No frame follows.
    pub last: bool,
}

impl Cut {
    /// Returns the cut that two rx threads' markers make together: the later one, and the last one
    /// only if it is for both.
    pub fn merge(self, other: Self) -> Self {
        Self {
            epoch: self.epoch.max(other.epoch),
            now: self.now.max(other.now),
            wall: self.wall.max(other.wall),
            last: self.last && other.last,
        }
    }
}

/// Bits of the TCP flags byte (RFC 9293 section 3.1).
pub mod tcp_flag {
    #![allow(missing_docs, reason = "the RFC's own names")]
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const PSH: u8 = 8;
    pub const ACK: u8 = 16;
    pub const URG: u8 = 32;
}
