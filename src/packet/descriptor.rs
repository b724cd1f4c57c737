//! What crosses from rx to a worker: one cache line for a frame, a second one for a wide key.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "a descriptor is written as eight words")]

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
    /// Other headers stand between that of IP and the transport (extension headers, AH), or it is a fragment: filters
    /// of pcap do not find the transport where they look for it.
    pub const MORE_HEADERS: u8 = 32;
    /// The line is not a frame but counts of many, see [`crate::packet::settled`].
    pub const COUNTED: u8 = 64;
    /// The line is not a frame but what a file says of the one before it, as its payload. Both bits: counts have no
    /// headers.
    pub const COMMENT: u8 = COUNTED | MORE_HEADERS;
    /// The line is not a frame but the marker of a cut.
    pub const MARKER: u8 = 128;
}

/// Parts of [`Descriptor::vlan`]: what stands before the packet.
pub mod encap {
    /// The bits of the VLAN id plus 1.
    pub const VLAN: u16 = 0x1fff;
    /// More than one tag.
    pub const TAGS: u16 = 0x2000;
    /// A PPPoE session.
    pub const PPPOE: u16 = 0x4000;
    /// MPLS labels.
    pub const MPLS: u16 = 0x8000;
    /// What tells what stands before a packet beside tags. Both: LLC in an Ethernet frame (IEEE 802.2), or labels in
    /// a PPPoE session, which filters of pcap do not look behind.
    pub const BENEATH: u16 = PPPOE | MPLS;
}

/// What [`Descriptor::looks`] says of frames that may change no more than counts.
pub mod ordinary {
    /// A datagram, or whatever has no flags of TCP.
    pub const DATAGRAM: u32 = 1;
    /// A segment that only carries data or acknowledges: an ACK without SYN, FIN and RST.
    pub const SEGMENT: u32 = 1 | (super::tcp_flag::ACK as u32) << 16;
    /// No frame looks like this.
    pub const NONE: u32 = u32::MAX;
}

/// Bits of [`Descriptor::last_word`] that are 1 for one packet with a transport header of its own: the number of
/// segments, and those of `flags` that other lines have.
const WHOLE: u64 = {
    const FLAGS: u8 =
        flag::FRAGMENT | flag::NO_TRANSPORT | flag::SEGMENTS_UNKNOWN | flag::COUNTED | flag::MARKER;
    u16::MAX as u64 | (FLAGS as u64) << 32
};

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
    /// TCP: acknowledgement number. ICMP(v6): `type << 8 | code`. ARP: the first four bytes of the sender's hardware
    /// address, zeros unless it has six.
    pub ack_number: u32,
    /// TCP: sequence number. ICMP(v6): identifier (echo) or 0. ARP: operation.
    pub seq_number: u32,
    /// TCP: the window field as it stands in the header; with SYN, see `window_scale`. UDP: bytes of payload of
    /// a super-frame's datagrams, all but the last one's; 0 of others. ICMP(v6): sequence number (echo) or 0. ARP: the last
    /// two bytes of the sender's hardware address.
    pub window: u16,
    /// The interface.
    pub iface: IfaceId,
    /// Outermost VLAN id plus 1, 0 without a tag; and bits of [`encap`].
    pub vlan: u16,
    /// Where the payload begins in the frame; in a ring, how many bytes of it follow.
    pub payload_at: u16,
    /// Packets on the wire: segments of a super-frame, else 1.
    pub segments: u16,
    /// TCP: the flags byte (CWR ECE URG ACK PSH RST SYN FIN).
    pub tcp_flags: u8,
    /// TCP with SYN: the window scale option plus 1; 0 without the option.
    pub window_scale: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Lines of payload that follow in a ring.
    pub payload_lines: u8,
    /// 0 but for lines of counts: leaves no padding.
    pub zero: u16,
}

const _: () = assert!(size_of::<Descriptor>() == 64);

impl Descriptor {
    /// Returns the marker of a cut.
    pub fn marker(cut: Cut) -> Self {
        let Cut { epoch, now, wall, last, last_second } = cut;
        Self {
            wall,
            segments: u16::from(last) | u16::from(last_second) << 1,
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
        let (last, last_second) = (self.segments & 1 != 0, self.segments & 2 != 0);
        Some(Cut { epoch: Epoch(self.key.ends), now, wall: self.wall, last, last_second })
    }

    /// Returns what kind of frame it is, as far as its flow may care: one of [`ordinary`] for one packet with
    /// a transport header of its own that begins and ends nothing, anything else for all others.
    #[inline(always)]
    pub const fn looks(&self) -> u64 {
        const TCP: u8 = tcp_flag::ACK | tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST;
        self.last_word() & (WHOLE | (TCP as u64) << 16)
    }

    /// Returns whether it is one packet with a transport header of its own, whatever its flags of TCP.
    #[inline(always)]
    pub const fn is_whole_segment(&self) -> bool {
        self.last_word() & WHOLE == 1
    }

    /// Returns everything from `segments` on as it is written by [`Descriptor::write`]. All eight bytes, though
    /// few matter to anybody: so it is one load.
    #[inline(always)]
    const fn last_word(&self) -> u64 {
        if cfg!(target_endian = "little") {
            // SAFETY: a descriptor is 64 bytes of integers without padding, aligned as eight words.
            return unsafe { std::mem::transmute::<Self, [u64; 8]>(*self) }[7];
        }
        self.segments as u64
            | (self.tcp_flags as u64) << 16
            | (self.window_scale as u64) << 24
            | (self.flags as u64) << 32
            | (self.payload_lines as u64) << 40
            | (self.zero as u64) << 48
    }

    /// Returns the lines that belong to this one: the wide key's and the payload's.
    #[inline(always)]
    pub const fn lines_after(&self) -> usize {
        self.key.is_wide() as usize + self.payload_lines as usize
    }

    /// Returns 0 for a frame from the low end, 1 for one from the high end.
    #[inline]
    pub const fn from(&self) -> usize {
        (self.flags & flag::FROM_HIGH) as usize
    }
}

/// The fields of a descriptor for one packet that is read without a walk, as far as they are not 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    pub wall: Stamp,
    pub key: FlowKey,
    pub hash: u32,
    pub wire_len: u32,
    pub tick: Tick,
    pub payload_len: u32,
    /// Sequence number in the upper half, acknowledgement number in the lower one.
    pub numbers: u64,
    pub window: u16,
    pub iface: IfaceId,
    pub vlan: u16,
    pub payload_at: u16,
    pub tcp_flags: u8,
    pub window_scale: u8,
    pub flags: u8,
}

impl Descriptor {
    /// Writes a descriptor in eight stores; field by field it would be twice as many, and a store a
    /// cycle is all that a core does.
    #[inline(always)]
    pub(crate) fn write(&mut self, plain: &Plain) {
        let words = [
            plain.wall.0,
            plain.key.ends,
            plain.key.word(),
            u64::from(plain.hash) | u64::from(plain.wire_len) << 32,
            u64::from(plain.tick.0) | u64::from(plain.payload_len) << 32,
            plain.numbers,
            u64::from(plain.window)
                | u64::from(plain.iface.0) << 16
                | u64::from(plain.vlan) << 32
                | u64::from(plain.payload_at) << 48,
            1 | u64::from(plain.tcp_flags) << 16
                | u64::from(plain.window_scale) << 24
                | u64::from(plain.flags) << 32,
        ];
        *self = Self::of_words(words);
    }

    /// Returns the descriptor whose memory, on a little-endian machine, these words are.
    #[inline(always)]
    const fn of_words(words: [u64; 8]) -> Self {
        if cfg!(target_endian = "little") {
            // SAFETY: a descriptor is 64 bytes of integers without padding (`repr(C)`), so that any
            // 64 bytes are one.
            return unsafe { std::mem::transmute::<[u64; 8], Self>(words) };
        }
        let [wall, ends, key, hash, tick, numbers, window, segments] = words;
        Self {
            wall: Stamp(wall),
            key: FlowKey {
                ends,
                ports: [key as u16, (key >> 16) as u16],
                proto: (key >> 32) as u8,
                kind: (key >> 40) as u8,
                zero: (key >> 48) as u16,
            },
            hash: hash as u32,
            wire_len: (hash >> 32) as u32,
            tick: Tick(tick as u32),
            payload_len: (tick >> 32) as u32,
            ack_number: numbers as u32,
            seq_number: (numbers >> 32) as u32,
            window: window as u16,
            iface: IfaceId((window >> 16) as u16),
            vlan: (window >> 32) as u16,
            payload_at: (window >> 48) as u16,
            segments: segments as u16,
            tcp_flags: (segments >> 16) as u8,
            window_scale: (segments >> 24) as u8,
            flags: (segments >> 32) as u8,
            payload_lines: (segments >> 40) as u8,
            zero: (segments >> 48) as u16,
        }
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
    /// Behind it lies the last second of a file, and no more.
    pub last_second: bool,
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
            last_second: self.last_second || other.last_second,
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
