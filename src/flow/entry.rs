//! The records of a flow: hot (every packet), origin (its first), round trip (some packets of TCP, the first of ICMP),
//! tally (few packets of few flows), wide keys.
//!
//! Index 0 of every pair is the key's low end as sender, index 1 the high end.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "records promise that zeros are a value")]

use std::cmp::Ordering;

use crate::{
    base::{
        ids::IfaceId,
        time::{Nanos, Stamp, Tick},
    },
    flow::{
        health::Health,
        slab::Record,
        state::{EndReason, FlowState},
    },
    packet::{
        descriptor::encap,
        key::{Extension, FlowKey, WideKey},
    },
};

/// What every packet of a flow touches: one cache line. A free slot has an all-zero key.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub struct Hot {
    /// Ends, ports, protocol.
    pub key: FlowKey,
    /// Wire bytes by sender.
    pub bytes: [u64; 2],
    /// Frames by sender.
    pub frames: [u64; 2],
    /// The largest stamp.
    pub last: Stamp,
    /// What the lifetime runs from: the last packet, or the moment a final state was entered.
    pub tick: Tick,
    /// The state, from the subject's end.
    pub state: FlowState,
    /// Who opened it, and which ends are ours.
    pub roles: Roles,
    /// The home interface.
    pub iface: IfaceId,
}

const _: () = assert!(size_of::<Hot>() == 64);

impl Hot {
    /// Returns whether the slot holds a flow.
    #[inline]
    pub const fn is_live(&self) -> bool {
        self.key.kind != 0
    }

    /// Returns how long the row has been silent, or in its final state, at `now`.
    pub const fn silence(&self, now: Tick) -> Nanos {
        Tick::nanos(now.since(self.tick))
    }
}

/// Roles of the two ends, in one byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(pub u8);

/// Why an end counts as initiator; a stronger reason may correct a weaker one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Evidence {
    /// It sent the first packet.
    FirstPacket = 0,
    /// Ports say so: the other end's is where this host takes connections, or alone a registered one; or its own is one
    /// that the system chose.
    Port = 1,
    /// What it sent is what a client sends.
    Application = 2,
    /// It sent a SYN, or received a SYN-ACK.
    Handshake = 3,
}

impl Roles {
    const INITIATOR_HIGH: u8 = 1;
    const LOCAL: [u8; 2] = [2, 4];
    const EVIDENCE: u8 = 8 | 16;
    const EVIDENCE_SHIFT: u32 = 3;
    /// Bit n: the subject for the lower three bits n.
    const SUBJECTS: u8 = 0b1011_0010;
    const ANSWERED: u8 = 32;
    const SEGMENTS_UNKNOWN: u8 = 64;
    const INSPECTED: u8 = 128;

    /// Returns roles without evidence; `local` says which ends are addresses of this host.
    pub const fn new(initiator: usize, evidence: Evidence, local: [bool; 2]) -> Self {
        let mut bits = initiator as u8 | (evidence as u8) << Self::EVIDENCE_SHIFT;
        if local[0] {
            bits |= Self::LOCAL[0];
        }
        if local[1] {
            bits |= Self::LOCAL[1];
        }
        Self(bits)
    }

    /// Returns the initiator: 0 the low end, 1 the high end.
    pub const fn initiator(self) -> usize {
        (self.0 & Self::INITIATOR_HIGH) as usize
    }

    /// Returns how sure the initiator is, as the number of an [`Evidence`].
    pub const fn evidence(self) -> u8 {
        (self.0 & Self::EVIDENCE) >> Self::EVIDENCE_SHIFT
    }

    /// Corrects the initiator if the evidence is stronger than what there was.
    pub const fn learn(&mut self, initiator: usize, evidence: Evidence) {
        if evidence as u8 > self.evidence() {
            self.0 = self.0 & !(Self::INITIATOR_HIGH | Self::EVIDENCE)
                | initiator as u8
                | (evidence as u8) << Self::EVIDENCE_SHIFT;
        }
    }

    /// Returns whether the end is an address of this host.
    pub const fn is_local(self, end: usize) -> bool {
        self.0 & Self::LOCAL[end] != 0
    }

    /// Returns the end in the Local column: the one that is ours, else the initiator.
    #[inline]
    pub const fn subject(self) -> usize {
        (Self::SUBJECTS >> (self.0 & 7) & 1) as usize
    }

    /// Returns whether both ends, or a second packet of one end, were seen.
    pub const fn is_answered(self) -> bool {
        self.0 & Self::ANSWERED != 0
    }

    /// Notes that the flow has more than one packet.
    pub const fn set_answered(&mut self) {
        self.0 |= Self::ANSWERED;
    }

    /// Returns whether the payload is still looked at.
    #[inline]
    pub const fn is_inspected(self) -> bool {
        self.0 & Self::INSPECTED != 0
    }

    /// Returns whether the flow is answered and its payload no longer looked at.
    #[inline(always)]
    pub const fn is_settled(self) -> bool {
        self.0 & (Self::ANSWERED | Self::INSPECTED) == Self::ANSWERED
    }

    /// Says whether the payload is to be looked at.
    pub const fn set_inspected(&mut self, inspected: bool) {
        self.0 = self.0 & !Self::INSPECTED | if inspected { Self::INSPECTED } else { 0 };
    }

    /// Returns whether packets are counted as frames because the source could not tell segments.
    pub const fn segments_unknown(self) -> bool {
        self.0 & Self::SEGMENTS_UNKNOWN != 0
    }

    /// Notes that the source could not tell segments.
    pub const fn set_segments_unknown(&mut self) {
        self.0 |= Self::SEGMENTS_UNKNOWN;
    }
}

/// What is written when a flow begins: 16 bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Origin {
    /// The smallest stamp.
    pub first: Stamp,
    /// Generation of the slot.
    pub generation: u32,
    /// See [`Facts::vlan`].
    pub vlan: u16,
    /// Bits of [`note`].
    pub notes: u16,
}

/// Bits of [`Origin::notes`].
pub mod note {
    use crate::packet::descriptor::flag;

    /// See [`Facts::is_sampled`](super::Facts::is_sampled).
    pub const SAMPLED: u16 = 1;
    /// See [`Facts::has_more_headers`](super::Facts::has_more_headers).
    pub const MORE_HEADERS: u16 = flag::MORE_HEADERS as u16;
}

const _: () = assert!(size_of::<Origin>() == 16);

/// What only few flows have, written by some of their packets: 32 bytes. Where none of a chunk's flows has
/// any of it, it is never touched, and takes no memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tally {
    /// See [`Facts::extra_packets`].
    pub extra_packets: [u64; 2],
    /// See [`Facts::retransmits`].
    pub retransmits: [u32; 2],
    /// See [`Facts::out_of_order`].
    pub out_of_order: [u32; 2],
}

const _: () = assert!(size_of::<Tally>() == 32);

impl Tally {
    /// Notes the codes behind the first two.
    pub const fn set_codes(&mut self, codes: Codes) {
        let [_, second, third, fourth] = codes.0;
        (self.retransmits, self.out_of_order) = ([0, second], [third, fourth]);
    }
}

/// The round trips of a TCP flow, or the first two codes of an ICMP or ARP flow: 8 bytes, apart because a short flow
/// writes nothing else beside its hot record. Most ICMP flows have no further codes, and so no [`Tally`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RoundTrip {
    /// Of the handshake in us; 0 unknown, [`RoundTrip::CODES`] that codes stand here.
    handshake_us: u32,
    /// Of data in us; 0 unknown. Or the first word of [`Codes`].
    data_us: u32,
}

const _: () = assert!(size_of::<RoundTrip>() == 8);

impl RoundTrip {
    const CODES: u32 = u32::MAX;

    /// Notes the round trip of the handshake, in us.
    #[inline(always)]
    pub fn set_handshake(&mut self, us: u32) {
        self.handshake_us = us.min(Self::CODES - 1);
    }

    /// Notes the round trip of data, in us.
    #[inline(always)]
    pub const fn set_data(&mut self, us: u32) {
        self.data_us = us;
    }

    /// Returns whether a code is one of the first two.
    #[inline(always)]
    pub const fn has_code(self, code: u16) -> bool {
        let stored = code.wrapping_add(1);
        let is_one = self.data_us as u16 == stored || (self.data_us >> 16) as u16 == stored;
        self.handshake_us == Self::CODES && is_one
    }

    /// Notes the first codes, where a flow has any.
    pub const fn set_codes(&mut self, codes: Codes) {
        *self = Self { handshake_us: Self::CODES, data_us: codes.0[0] };
    }

    /// Returns the round trip of data, or of the handshake as long as there is none, in us; 0 unknown.
    pub const fn best_us(self) -> u32 {
        let [handshake_us, data_us, _] = self.parts();
        if data_us != 0 { data_us } else { handshake_us }
    }

    /// Returns the two round trips in us and the first word of codes; 0 where there is none.
    #[inline(always)]
    const fn parts(self) -> [u32; 3] {
        match self.handshake_us {
            Self::CODES => [0, 0, self.data_us],
            handshake_us => [handshake_us, self.data_us, 0],
        }
    }
}

/// What the messages of an ICMP or ARP flow were: at most 8 codes, each once and plus 1, in the order of their first
/// frames. Of ICMP type in the upper byte, code in the lower; of ARP the operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codes([u32; 4]);

impl Codes {
    /// Returns the codes.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        let halves = self.0.into_iter().flat_map(|word| [word as u16, (word >> 16) as u16]);
        halves.take_while(|&stored| stored != 0).map(|stored| stored - 1)
    }

    /// Adds a code, if it is new and there is room; 0xffff is none. Returns the number of the word that it changed.
    pub fn add(&mut self, code: u16) -> Option<usize> {
        let stored = code.checked_add(1)?;
        let count = self.iter().count();
        if self.iter().any(|known| known == code) {
            return None;
        }
        let word = self.0.get_mut(count / 2)?;
        *word |= u32::from(stored) << (16 * (count % 2));
        Some(count / 2)
    }
}

/// What readers want beside the hot record: [`Origin`], [`RoundTrip`] and [`Tally`] in one piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// The smallest stamp.
    pub first: Stamp,
    /// Packets beyond one a frame, by sender: segments of super-frames.
    pub extra_packets: [u64; 2],
    /// TCP segments with nothing new in them, by sender. For ICMP and ARP see [`Facts::codes`].
    pub retransmits: [u32; 2],
    /// TCP segments that came after a later one, by sender. For ICMP and ARP see [`Facts::codes`].
    pub out_of_order: [u32; 2],
    /// Round trip of the TCP handshake in us; 0 unknown.
    pub rtt_handshake_us: u32,
    /// Smoothed round trip of TCP data in us; 0 unknown.
    pub rtt_data_us: u32,
    /// Generation of the slot.
    pub generation: u32,
    /// Outermost VLAN id of the first packet plus 1, 0 without a tag; and bits of [`encap`].
    pub vlan: u16,
    /// Some of its frames were counted where they passed, so that round trips are those of the others.
    pub is_sampled: bool,
    /// What [`flag::MORE_HEADERS`](crate::packet::descriptor::flag::MORE_HEADERS) says held for its first frame.
    pub has_more_headers: bool,
}

impl Facts {
    /// Returns the parts in one piece.
    #[inline(always)]
    pub const fn new(origin: &Origin, round_trip: RoundTrip, tally: &Tally) -> Self {
        let [rtt_handshake_us, rtt_data_us, first_codes] = round_trip.parts();
        let [low, high] = tally.retransmits;
        Self {
            first: origin.first,
            extra_packets: tally.extra_packets,
            retransmits: [low | first_codes, high],
            out_of_order: tally.out_of_order,
            rtt_handshake_us,
            rtt_data_us,
            generation: origin.generation,
            vlan: origin.vlan,
            is_sampled: origin.notes & note::SAMPLED != 0,
            has_more_headers: origin.notes & note::MORE_HEADERS != 0,
        }
    }

    /// Returns the outermost VLAN id of the first packet.
    pub const fn vlan_id(&self) -> Option<u16> {
        (self.vlan & encap::VLAN).checked_sub(1)
    }

    /// Returns what was written when the flow began.
    pub const fn origin(&self) -> Origin {
        Origin {
            first: self.first,
            generation: self.generation,
            vlan: self.vlan,
            notes: (self.is_sampled as u16 * note::SAMPLED)
                | (self.has_more_headers as u16 * note::MORE_HEADERS),
        }
    }

    /// Returns what was counted since.
    pub const fn tally(&self) -> Tally {
        Tally {
            extra_packets: self.extra_packets,
            retransmits: self.retransmits,
            out_of_order: self.out_of_order,
        }
    }

    /// Returns the round trips.
    pub const fn round_trip(&self) -> RoundTrip {
        RoundTrip { handshake_us: self.rtt_handshake_us, data_us: self.rtt_data_us }
    }

    /// Returns the codes of an ICMP or ARP flow. They stand where a TCP flow has its counts.
    pub const fn codes(&self) -> Codes {
        Codes([self.retransmits[0], self.retransmits[1], self.out_of_order[0], self.out_of_order[1]])
    }
}

/// The ends of an IPv6 flow or of an extended key: 32 bytes beside the record.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct WideEnds(pub [[u8; 16]; 2]);

// SAFETY: integers and arrays of them, `FlowState::Active` (0), and newtypes; zeros are values.
unsafe impl Record for Hot {}
// SAFETY: integers only.
unsafe impl Record for Origin {}
// SAFETY: integers only.
unsafe impl Record for RoundTrip {}
// SAFETY: integers only.
unsafe impl Record for Tally {}
// SAFETY: bytes only.
unsafe impl Record for WideEnds {}
// SAFETY: integers only.
unsafe impl Record for Extension {}

/// All of a flow in one piece, as it leaves a worker when the flow ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowRecord {
    /// Counters, times, state.
    pub hot: Hot,
    /// The rest of the key; zeros for plain IPv4.
    pub wide: WideKey,
    /// First stamp, TCP facts.
    pub facts: Facts,
    /// Slot and worker.
    pub id: crate::base::ids::FlowId,
    /// Why it ended; `None` while it lives.
    pub end: Option<EndReason>,
    /// TCP's windows and legs, where they are at hand, see [`crate::flow::health`].
    pub health: Option<Health>,
}

impl FlowRecord {
    /// Returns the order of exports: first packet, then key, whichever worker had the flow.
    pub fn in_order(&self, other: &Self) -> Ordering {
        let rank = |r: &Self| {
            let key = &r.hot.key;
            let addresses = key.addresses(&r.wide);
            (key.kind, key.proto, addresses, key.ports, r.wide.extension, r.hot.last, r.hot.frames)
        };
        self.facts.first.cmp(&other.facts.first).then_with(|| rank(self).cmp(&rank(other)))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn eight_codes_are_kept_each_once_and_the_first_two_apart() {
        let origin = Origin::default();
        let (mut round_trip, mut tally) = (RoundTrip::default(), Tally::default());
        assert_eq!(Facts::new(&origin, round_trip, &tally).codes().iter().count(), 0);
        // Echo reply is type 0, code 0.
        for (n, code) in
            [0x0800, 0, 0x0800, 0x0301, 0, 0xffff, 0xfffe, 5, 6, 7, 8, 9, 10].into_iter().enumerate()
        {
            let mut codes = Facts::new(&origin, round_trip, &tally).codes();
            match codes.add(code) {
                Some(0) => round_trip.set_codes(codes),
                Some(_) => tally.set_codes(codes),
                None => {}
            }
            assert_eq!(tally == Tally::default(), n < 3, "{n}");
        }
        let facts = Facts::new(&origin, round_trip, &tally);
        let codes: Vec<_> = facts.codes().iter().collect();
        assert_eq!(codes, [0x0800, 0, 0x0301, 0xfffe, 5, 6, 7, 8]);
        assert_eq!([round_trip.best_us(), facts.rtt_handshake_us, facts.rtt_data_us], [0; 3]);
        assert!(
            [0x0800, 0].into_iter().all(|code| round_trip.has_code(code)) && !round_trip.has_code(0x0301)
        );
        assert!(!RoundTrip::default().has_code(0));
    }

    #[test]
    fn the_longest_round_trip_is_none_of_codes() {
        let mut round_trip = RoundTrip::default();
        round_trip.set_handshake(u32::MAX);
        assert_eq!(round_trip.best_us(), u32::MAX - 1);
    }
}
