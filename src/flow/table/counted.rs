//! Lines that say what a source counted of a settled flow, without its frames.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::counters::{DropReason, Volume},
    flow::{
        entry::{Hot, Roles},
        table::{EndedFlows, FlowTable, NONE, ends::SHORTEST_LIFE, has_segment, is_over, move_home},
    },
    packet::{
        descriptor::{Descriptor, flag},
        key::WideKey,
        settled::{Counted, Settled},
    },
};

/// A settled flow is told to rx again every so many frames of an end that still came up: it may not
/// have been taken before. Flows with fewer frames are not worth it.
pub(super) const TELL_EVERY: u64 = 32;

impl FlowTable {
    /// Accounts what a line says: to its flow, or to a new one if that has ended meanwhile.
    #[inline(never)]
    pub(super) fn counted(
        &mut self,
        line: &Descriptor,
        wide: &WideKey,
        volume: &mut Volume,
        ended: &mut impl EndedFlows,
    ) {
        let mut rest = Counted::volume_of(line);
        if rest.frames == 0 {
            return;
        }
        let mut slot = self.index.find(line.hash, |slot| self.is_flow(slot, line, wide)).unwrap_or(NONE);
        if slot != NONE {
            let hot = self.hot.get(slot);
            if self.cutoff.since(hot.tick) >= SHORTEST_LIFE && is_over(hot, self.cutoff) {
                let reason = hot.state.end_reason();
                self.end(slot, reason, ended);
                slot = NONE;
            }
        }
        if slot == NONE {
            // One of the frames begins the flow, and takes all bytes with it.
            let first = Descriptor {
                wire_len: 0,
                vlan: 0,
                payload_at: 0,
                segments: 1,
                window_scale: 0,
                flags: line.flags & flag::FROM_HIGH,
                zero: 0,
                ..*line
            };
            self.begin(&first, wide, volume, ended);
            rest.frames -= 1;
            rest.packets -= 1;
            match self.index.find(line.hash, |slot| self.is_flow(slot, line, wide)) {
                Some(begun) => slot = begun,
                None => return,
            }
        } else if self.config.home_interfaces
            && self.hot.get(slot).iface != line.iface
            && !move_home(self.hot.get_mut(slot), line)
        {
            self.counts.drops[DropReason::SeenElsewhere] += rest.frames;
            return;
        } else if has_segment(line) {
            self.run(slot, line, rest.frames);
        }
        let from = line.from();
        let hot = self.hot.get_mut(slot);
        hot.bytes[from] += rest.bytes;
        hot.frames[from] += rest.frames;
        hot.last = hot.last.max(line.wall);
        if !hot.state.counts_from_entry() && line.tick.since(hot.tick) > 0 {
            hot.tick = line.tick;
        }
        if rest.packets > rest.frames {
            self.facts.get_mut(slot).extra_packets[from] += rest.packets - rest.frames;
        }
        *volume += rest;
    }

    /// Follows the segments of a line, of which there were so many.
    fn run(&mut self, slot: u32, line: &Descriptor, segments: u64) {
        let (from, len) = (line.from(), line.payload_len);
        let front = self.tcp[slot as usize].front(from);
        let behind = front.wrapping_sub(line.seq_number);
        if len != 0 && behind as i32 > 0 && len <= behind {
            // All of it was seen before.
            let facts = self.facts.get_mut(slot);
            facts.retransmits[from] = facts.retransmits[from].saturating_add(segments as u32);
            self.counts.retransmits += segments;
        }
        // Late: what it says of time is of its last segment only.
        self.segment(slot, line, true);
    }

    /// Tells rx that no more than counts are needed of a flow.
    #[cold]
    pub(super) fn tell_settled(
        &self,
        slot: u32,
        frame: &Descriptor,
        wide: &WideKey,
        ended: &mut impl EndedFlows,
    ) {
        let hot = self.hot.get(slot);
        if Settled::is_simple(&hot.key) {
            let track = &self.tcp[slot as usize];
            let fronts = [track.front(0), track.front(1)];
            ended.settled(&Settled {
                key: hot.key,
                ends: wide.ends,
                hash: frame.hash,
                iface: hot.iface,
                fronts,
            });
        }
    }
}

/// Returns whether rx is to be told now that a flow is settled.
#[inline(always)]
pub(super) const fn is_time_to_tell(hot: &Hot, frame: &Descriptor, roles: Roles) -> bool {
    hot.frames[frame.from()].is_multiple_of(TELL_EVERY) && roles.is_settled()
}
