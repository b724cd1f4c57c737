//! The straight way of frames whose flow is settled, which nearly all are.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "a batch finds its records once and touches them twice")]

use crate::{
    base::memory::prefetch,
    flow::{
        entry::{Hot, Roles},
        slab::Spot,
        state::FlowState,
        table::{
            EndedFlows, FlowTable, NONE, batch::Candidate, counted::is_time_to_tell, ends::SHORTEST_LIFE,
            is_wide_flow, segment_of, wide_of,
        },
    },
    packet::{
        descriptor::{Descriptor, ordinary},
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
    /// Adds an ordinary frame to its flow's counters, and to these.
    #[inline(always)]
    pub fn count(&mut self, hot: &mut Hot, frame: &Descriptor) {
        let from = frame.from();
        hot.bytes[from] += u64::from(frame.wire_len);
        hot.frames[from] += 1;
        hot.last = frame.wall;
        hot.tick = frame.tick;
        self.frames += 1;
        self.bytes += u64::from(frame.wire_len);
    }
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
            if is_tcp {
                // Of a flow with few packets, most give a round trip.
                prefetch(self.round_trips.address(slot));
            } else if frame.key.proto != proto::UDP {
                // ICMP's codes are read with every message.
                prefetch(self.tallies.address(slot));
            }
        }
        if frame.key.is_wide() {
            prefetch(self.ends.address(slot));
        }
        (slot, spot)
    }

    /// Accounts an ordinary frame of a settled flow, which nearly all are: adds to its counters, and
    /// moves TCP's numbers on. Returns `false`, having done nothing, if it is anything else.
    #[inline(always)]
    pub(super) fn settled<const HOME: bool>(
        &mut self,
        candidate: &Candidate<'_>,
        lines: &[Line],
        sums: &mut Settled,
        ended: &mut impl EndedFlows,
    ) -> bool {
        let &Candidate { frame, spot, slot, .. } = candidate;
        if slot == NONE {
            return false;
        }
        // SAFETY: the spot is of this batch, within which nothing is frozen.
        let hot = unsafe { self.hot.at(spot) };
        let ordinary = ORDINARY[usize::from(hot.state as u8)];
        if !hot.key.matches(&frame.key)
            || frame.looks() != u64::from(ordinary)
            || !hot.roles.is_settled()
            || frame.wall < hot.last
            // A tick after the cutoff is silence of less than none.
            || self.cutoff.0.wrapping_sub(hot.tick.0) as i32 >= SHORTEST_LIFE as i32
            || HOME && hot.iface != frame.iface
        {
            return false;
        }
        if frame.key.is_wide() {
            let wide = wide_of(lines, candidate);
            if !is_wide_flow(frame.key.kind, slot, wide, &self.ends, &self.extensions) {
                return false;
            }
        }
        sums.count(hot, frame);
        let tells = HOME && is_time_to_tell(hot, frame, hot.roles) && ended.wants_settled();
        if ordinary == ordinary::SEGMENT {
            // SAFETY: there is a track for every slot.
            let track = unsafe { self.tcp.get_unchecked_mut(slot as usize) };
            if !track.advance(&segment_of(frame, false, Roles::default())) {
                self.segment(slot, frame, false);
            }
        }
        if tells {
            self.tell_settled(slot, frame, wide_of(lines, candidate), ended);
        }
        true
    }
}
