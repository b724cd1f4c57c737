//! Flows of which a worker needs no more than counts: what it tells rx of one, and what comes back
//! from a source that counts their frames where they pass.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::{
        counters::Volume,
        ids::IfaceId,
        time::{Stamp, Tick},
    },
    packet::{
        descriptor::{Descriptor, flag, tcp_flag},
        key::{FlowKey, kind, proto},
        tunnel,
    },
};

/// A flow whose frames only change counters (and TCP's numbers), until something else comes; or one that was, and is to
/// be looked at again. Goes from a worker to the rx that gets the flow's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Its key; never an extended one.
    pub key: FlowKey,
    /// IPv6: its ends.
    pub ends: [[u8; 16]; 2],
    /// The key's hash.
    pub hash: u32,
    /// The interface on which its frames count.
    pub iface: IfaceId,
    /// TCP, by sender: the number behind all that was seen.
    pub fronts: [u32; 2],
    /// Its frames are wanted again.
    pub is_revoked: bool,
}

impl Settled {
    /// Returns whether a key is one that can be read off a frame without a walk, so that a source can
    /// count the flow.
    pub const fn is_simple(key: &FlowKey) -> bool {
        let walks = key.proto == proto::UDP && tunnel::may_carry(key.ports);
        matches!(key.proto, proto::TCP | proto::UDP) && key.kind & (kind::EXTENDED | kind::ARP) == 0 && !walks
    }
}

/// What one direction of a settled flow came to since it was asked last. Goes from a source to its rx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The flow.
    pub flow: Settled,
    /// The end that sent it: 0 the low end, 1 the high end.
    pub from: usize,
    /// Frames, packets, wire bytes: fewer than 2^24, 2^32 and 2^40.
    pub volume: Volume,
    /// Of the last frame.
    pub last: Stamp,
    /// TCP: what the segments were together, as if they had been one.
    pub run: Run,
}

/// Segments without a gap between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Sequence number of the first byte.
    pub seq_number: u32,
    /// Bytes.
    pub len: u32,
    /// The last acknowledgement.
    pub ack_number: u32,
    /// Its window field.
    pub window: u16,
}

impl Counted {
    /// Returns the line that tells a worker; `tick` is the engine time of `last`, or up to a cut later.
    /// A wide key follows it where the flow has one.
    pub fn line(&self, tick: Tick) -> Descriptor {
        let Self { flow, from, volume, last, run } = self;
        let extra = volume.packets - volume.frames;
        let is_tcp = flow.key.proto == proto::TCP;
        Descriptor {
            wall: *last,
            key: flow.key,
            hash: flow.hash,
            wire_len: volume.bytes as u32,
            tick,
            payload_len: run.len,
            ack_number: run.ack_number,
            seq_number: run.seq_number,
            window: run.window,
            iface: flow.iface,
            vlan: volume.frames as u16,
            payload_at: extra as u16,
            segments: (extra >> 16) as u16,
            tcp_flags: if is_tcp { tcp_flag::ACK } else { 0 },
            window_scale: (volume.bytes >> 32) as u8,
            flags: flag::COUNTED | if *from == 0 { 0 } else { flag::FROM_HIGH },
            payload_lines: 0,
            zero: (volume.frames >> 16) as u16,
        }
    }

    /// Returns what a line made by [`Counted::line`] counts.
    pub fn volume_of(line: &Descriptor) -> Volume {
        let frames = u64::from(line.vlan) | u64::from(line.zero) << 16;
        let extra = u64::from(line.payload_at) | u64::from(line.segments) << 16;
        let bytes = u64::from(line.wire_len) | u64::from(line.window_scale) << 32;
        Volume { frames, packets: frames + extra, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::descriptor::ordinary;

    #[test]
    fn the_largest_counts_survive_a_line() {
        for (frames, extra, bytes) in [
            (1, 0, 60),
            ((1 << 24) - 1, (1 << 32) - 1, (1 << 40) - 1),
            (0x89_abcd, 0x8765_4321, 0x12_3456_789a),
        ] {
            let volume = Volume { frames, packets: frames + extra, bytes };
            let line = Counted { volume, from: 1, ..Counted::default() }.line(Tick(5));
            assert_eq!(Counted::volume_of(&line), volume);
            assert_eq!((line.from(), line.lines_after()), (1, 0));
            assert_ne!(line.looks(), u64::from(ordinary::DATAGRAM));
        }
    }

    #[test]
    fn flows_that_need_a_walk_are_not_simple() {
        let key =
            |proto, ports, kind| FlowKey { proto, ports, kind: kind::LIVE | kind, ..FlowKey::default() };
        for (key, simple) in [
            (key(proto::UDP, [40000, 443], 0), true),
            (key(proto::TCP, [40000, 4789], kind::V6), true),
            (key(proto::UDP, [40000, 4789], 0), false),
            (key(proto::UDP, [2152, 9], kind::V6), false),
            (key(proto::TCP, [1, 2], kind::EXTENDED), false),
            (key(proto::ICMP, [0, 0], 0), false),
            (key(0, [0, 0], kind::ARP), false),
        ] {
            assert_eq!(Settled::is_simple(&key), simple, "{key:?}");
        }
    }
}
