//! The straight way of frames whose flow is known, which nearly all are.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "a batch finds its records once and touches them twice")]

use crate::{
    base::memory::prefetch,
    flow::{
        entry::Hot,
        slab::Spot,
        state::FlowState,
        table::{
            EndedFlows, FlowTable, NONE, batch::Candidate, counted::is_time_to_tell, ends::SHORTEST_LIFE,
            is_wide_flow, says_something, segment_of, wide_of,
        },
        tcp::Advance,
    },
    packet::{
        descriptor::{Descriptor, ordinary, tcp_flag},
        key::proto,
        line::Line,
    },
};

/// States of TCP flows in which data and acknowledgements change numbers only.
const SETTLED_TCP: u64 = bits_of_established();

/// States of UDP flows that no packet changes.
const SETTLED_UDP: u64 = bits_of_udp();

/// By state: how a frame looks ([`Descriptor::looks`]) that changes no more than counts. One look
/// says both whether the flow is settled and whether the frame is ordinary.
static ORDINARY: [u32; 256] = ordinary_frames();

const fn ordinary_frames() -> [u32; 256] {
    let (mut frames, mut i) = ([ordinary::NONE; 256], 0);
    while i < FlowState::ALL.len() {
        let state = FlowState::ALL[i];
        frames[state as usize] = match (state.bit() & SETTLED_TCP != 0, state.bit() & SETTLED_UDP != 0) {
            (true, _) => ordinary::SEGMENT,
            (_, true) => ordinary::DATAGRAM,
            _ => ordinary::NONE,
        };
        i += 1;
    }
    frames
}

const fn bits_of_established() -> u64 {
    let (mut bits, mut i) = (0, 0);
    while i < FlowState::ALL.len() {
        if FlowState::ALL[i].is_established() {
            bits |= FlowState::ALL[i].bit();
        }
        i += 1;
    }
    bits
}

const fn bits_of_udp() -> u64 {
    let (mut bits, mut i) = (0, 0);
    while i < FlowState::ALL.len() {
        let state = FlowState::ALL[i];
        if state.is_udp() && !state.counts_from_entry() {
            bits |= state.bit();
        }
        i += 1;
    }
    bits
}

/// Returns whether frames that only carry data change no more than counts in this state.
pub(super) const fn is_settled_state(state: FlowState) -> bool {
    state.bit() & (SETTLED_TCP | SETTLED_UDP) != 0
}

/// What was accounted the straight way.
#[derive(Default)]
pub(super) struct Settled {
    pub frames: u64,
    pub bytes: u64,
}

impl Settled {
    /// Adds one packet that is not older than its flow's last to the flow's counters, and to these.
    #[inline(always)]
    fn count(&mut self, hot: &mut Hot, frame: &Descriptor) {
        let from = frame.from();
        hot.bytes[from] += u64::from(frame.wire_len);
        hot.frames[from] += 1;
        hot.last = frame.wall;
        self.frames += 1;
        self.bytes += u64::from(frame.wire_len);
    }
}

/// What became of a frame on the straight way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Straight {
    /// It is accounted.
    Done,
    /// It is accounted, and its payload is to be looked at.
    Looks,
    /// Nothing was done: it takes [`FlowTable::frame`].
    Other,
}

impl FlowTable {
    /// Finds the flow that the frame is most likely of, and starts loading what accounting it there
    /// takes.
    #[inline(always)]
    pub(super) fn approach(&mut self, frame: &Descriptor, is_large: bool) -> (u32, Spot<Hot>) {
        let hot = &self.hot;
        let candidate = self.index.candidate(frame.hash, |other| prefetch(hot.address(other)));
        let Some(slot) = candidate else { return (NONE, Spot::NOWHERE) };
        // SAFETY: the index holds usable slots only.
        let spot = unsafe { self.hot.spot(slot) };
        prefetch(spot.address());
        let is_tcp = frame.key.proto == proto::TCP;
        // Without a branch, which any two frames may differ in.
        let (record, track) = (spot.address().cast::<u8>(), self.tcp.address(slot as usize).cast());
        prefetch(std::hint::select_unpredictable(is_tcp, track, record));
        if is_large {
            if is_tcp && frame.tcp_flags & tcp_flag::SYN == 0 {
                // Of a flow with few packets, most give a round trip.
                prefetch(self.round_trips.address(slot));
            } else if !is_tcp && frame.key.proto != proto::UDP {
                // ICMP's codes are read with every message, and where its echoes stand.
                prefetch(self.round_trips.address(slot));
                prefetch(self.tallies.address(slot));
                self.approach_inspection(slot);
            }
        }
        if frame.key.is_wide() {
            prefetch(self.ends.address(slot));
        }
        (slot, spot)
    }

    /// Accounts a frame that a flow is known for and that is one whole packet, in order of time: of an ordinary one,
    /// which nearly all are, adds to the flow's counters and moves TCP's numbers on; has any other TCP segment followed.
    #[inline(always)]
    pub(super) fn straight<const HOME: bool>(
        &mut self,
        candidate: &Candidate<'_>,
        lines: &[Line],
        sums: &mut Settled,
        ended: &mut impl EndedFlows,
    ) -> Straight {
        let &Candidate { frame, spot, slot, .. } = candidate;
        if slot == NONE {
            return Straight::Other;
        }
        // SAFETY: the spot is of this batch, within which nothing is frozen.
        let hot = unsafe { self.hot.at(spot) };
        if !hot.key.matches(&frame.key)
            || frame.wall < hot.last
            // A tick after the cutoff is silence of less than none.
            || self.cutoff.0.wrapping_sub(hot.tick.0) as i32 >= SHORTEST_LIFE as i32
            || HOME && hot.iface != frame.iface
        {
            return Straight::Other;
        }
        if frame.key.is_wide() {
            let wide = wide_of(lines, candidate);
            if !is_wide_flow(frame.key.kind, slot, wide, &self.ends, &self.extensions) {
                return Straight::Other;
            }
        }
        let (ordinary, roles) = (ORDINARY[usize::from(hot.state as u8)], hot.roles);
        if frame.looks() != u64::from(ordinary) || !roles.is_answered() {
            let is_segment = frame.key.proto == proto::TCP && frame.is_whole_segment();
            if !is_segment || frame.tcp_flags & tcp_flag::SYN != 0 && hot.state.is_over() {
                return Straight::Other;
            }
            sums.count(hot, frame);
            return self.strange_segment::<HOME>(candidate, lines, ended);
        }
        sums.count(hot, frame);
        hot.tick = frame.tick;
        let tells = HOME && is_time_to_tell(hot, frame, roles) && ended.wants_settled();
        if ordinary == ordinary::SEGMENT {
            // SAFETY: there is a track for every slot.
            let track = unsafe { self.tcp.get_unchecked_mut(slot as usize) };
            match track.advance(&segment_of(frame, false, roles)) {
                Advance::Done => {}
                Advance::Timed => self.time(slot, frame, roles),
                Advance::Unusual => self.unusual_segment(slot, frame, false),
            }
        }
        if tells {
            self.tell_settled(slot, frame, wide_of(lines, candidate), ended);
        }
        if roles.is_inspected() && says_something(frame) { Straight::Looks } else { Straight::Done }
    }

    /// Follows a TCP segment that is not ordinary and has been counted. Kept apart, so that the way of ordinary ones
    /// keeps its values in registers.
    #[inline(never)]
    fn strange_segment<const HOME: bool>(
        &mut self,
        candidate: &Candidate<'_>,
        lines: &[Line],
        ended: &mut impl EndedFlows,
    ) -> Straight {
        let &Candidate { frame, spot, slot, .. } = candidate;
        // SAFETY: as in `straight`.
        let hot = unsafe { self.hot.at(spot) };
        let inspected = hot.roles.is_inspected();
        // A final state's lifetime runs from its beginning.
        if !hot.state.counts_from_entry() {
            hot.tick = frame.tick;
        }
        self.segment(slot, frame, false);
        if HOME && ended.wants_settled() {
            // SAFETY: as in `straight`.
            let hot = unsafe { self.hot.at(spot) };
            if is_time_to_tell(hot, frame, hot.roles) && is_settled_state(hot.state) {
                self.tell_settled(slot, frame, wide_of(lines, candidate), ended);
            }
        }
        if inspected && says_something(frame) { Straight::Looks } else { Straight::Done }
    }
}
