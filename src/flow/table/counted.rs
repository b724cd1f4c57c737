//! Lines that say what a source counted of a settled flow, without its frames.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::counters::{DropReason, Volume},
    flow::{
        entry::{Hot, Roles, note},
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
            let begun = self.index.find(line.hash, |slot| self.is_flow(slot, line, wide));
            slot = begun.expect("what has just begun is in the index");
        } else if self.config.home_interfaces
            && self.hot.get(slot).iface != line.iface
            && !move_home(self.hot.get_mut(slot), line)
        {
            self.counts.drops[DropReason::SeenElsewhere] += rest.frames;
            return;
        } else if has_segment(line) {
            self.run(slot, line, rest.frames);
        }
        if self.origins.get(slot).notes & note::SAMPLED == 0 {
            self.origins.get_mut(slot).notes |= note::SAMPLED;
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
            self.tallies.get_mut(slot).extra_packets[from] += rest.packets - rest.frames;
        }
        *volume += rest;
        if rest.frames > 0 && !has_segment(line) && !self.hot.get(slot).roles.is_answered() {
            // It has more than one frame, though none came up: it is no flow to be evicted first.
            let hot = self.hot.get(slot);
            let (state, roles) = (hot.state, hot.roles);
            self.enter(slot, line.tick, state, roles);
        }
        if self.hot.get(slot).roles.is_inspected() && ended.wants_settled() {
            // It began with this line, or a while ago and rx had no room to hear of it: the flow that was settled has
            // been evicted, and what this one speaks is not known.
            let settled = Settled { is_revoked: true, ..self.settled_flow(slot, line, wide) };
            ended.settled(&settled);
        }
    }

    /// Follows the segments of a line, of which there were so many.
    fn run(&mut self, slot: u32, line: &Descriptor, segments: u64) {
        let (from, len) = (line.from(), line.payload_len);
        let front = self.tcp[slot as usize].front(from);
        let behind = front.wrapping_sub(line.seq_number);
        if len != 0 && behind as i32 > 0 && len <= behind {
            // All of it was seen before.
            let tally = self.tallies.get_mut(slot);
            tally.retransmits[from] = tally.retransmits[from].saturating_add(segments as u32);
            self.counts.retransmits += segments;
        }
        // Late: what it says of time is of its last segment only.
        self.unusual_segment(slot, line, true);
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
        if Settled::is_simple(&self.hot.get(slot).key) {
            ended.settled(&self.settled_flow(slot, frame, wide));
        }
    }

    fn settled_flow(&self, slot: u32, frame: &Descriptor, wide: &WideKey) -> Settled {
        let (hot, track) = (self.hot.get(slot), &self.tcp[slot as usize]);
        Settled {
            key: hot.key,
            ends: wide.ends,
            hash: frame.hash,
            iface: hot.iface,
            fronts: [track.front(0), track.front(1)],
            is_revoked: false,
        }
    }
}

/// Returns whether rx is to be told now that a flow is settled.
#[inline(always)]
pub(super) const fn is_time_to_tell(hot: &Hot, frame: &Descriptor, roles: Roles) -> bool {
    hot.frames[frame.from()].is_multiple_of(TELL_EVERY) && roles.is_settled()
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::{
        base::{
            ids::IfaceId,
            memory::no_advice,
            time::{Nanos, Stamp},
        },
        flow::{entry::FlowRecord, locals::Locals, state::FlowState, table::TableConfig},
        packet::{
            descriptor::tcp_flag::{ACK, FIN, SYN},
            hash::Seed,
            key::{FlowKey, kind, proto},
            line::Line,
            payload::Behind,
            settled::Run,
        },
    };

    const SEED: Seed = Seed::new(9);

    #[derive(Default)]
    struct Sink {
        ended: Vec<FlowRecord>,
        settled: Vec<Settled>,
    }

    impl crate::dpi::notes::Learn for Sink {
        fn learned(&mut self, _: crate::base::ids::FlowId, _: crate::dpi::notes::Learned<'_>) {}
    }

    impl EndedFlows for Sink {
        fn ended(&mut self, record: &FlowRecord) {
            self.ended.push(*record);
        }
        fn wants_settled(&self) -> bool {
            true
        }
        fn settled(&mut self, flow: &Settled) {
            self.settled.push(*flow);
        }
    }

    fn table() -> FlowTable {
        table_that(false)
    }

    fn table_that(inspects: bool) -> FlowTable {
        FlowTable::new(TableConfig {
            capacity: 64,
            seed: SEED,
            locals: Locals::default(),
            home_interfaces: true,
            advise: no_advice,
            worker: 0,
            inspects,
        })
        .unwrap()
    }

    fn key(proto: u8) -> FlowKey {
        FlowKey { ends: 1 << 32 | 2, ports: [1000, 443], proto, kind: kind::LIVE, zero: 0 }
    }

    fn frame(proto: u8, from: usize, ms: u64) -> Descriptor {
        let now = Nanos::from_millis(ms);
        Descriptor {
            key: key(proto),
            hash: SEED.hash(&key(proto)),
            wall: Stamp(1 << 40 | now.0),
            tick: now.tick(),
            wire_len: 100,
            segments: 1,
            flags: from as u8,
            ..Descriptor::default()
        }
    }

    fn segment(from: usize, ms: u64, flags: u8, seq: u32, ack: u32, len: u32) -> Descriptor {
        Descriptor {
            tcp_flags: flags,
            seq_number: seq,
            ack_number: ack,
            payload_len: len,
            window: 60000,
            ..frame(proto::TCP, from, ms)
        }
    }

    fn counted(proto: u8, from: usize, ms: u64, frames: u64, run: Run) -> Descriptor {
        let flow = Settled { key: key(proto), hash: SEED.hash(&key(proto)), ..Settled::default() };
        let volume = Volume { frames, packets: 2 * frames, bytes: 3000 * frames };
        let now = Nanos::from_millis(ms);
        Counted { flow, from, volume, last: Stamp(1 << 40 | now.0), run }.line(now.tick())
    }

    fn feed(table: &mut FlowTable, sink: &mut Sink, frames: &[Descriptor]) {
        let lines: Vec<Line> = frames.iter().map(|f| Line::of(*f)).collect();
        assert_eq!(table.process(&lines, &Behind, sink), lines.len());
    }

    #[test]
    fn counts_are_added_to_the_flow_and_to_what_was_taken() {
        let (mut table, mut sink) = (table(), Sink::default());
        let udp = |from, ms| frame(proto::UDP, from, ms);
        feed(&mut table, &mut sink, &[udp(0, 1), udp(1, 2), counted(proto::UDP, 1, 5000, 7, Run::default())]);
        let record = table.record(0, None);
        assert_eq!((record.hot.frames, record.hot.bytes), ([1, 8], [100, 100 + 21_000]));
        assert_eq!((record.facts.extra_packets, record.hot.last), ([0, 7], Stamp(1 << 40 | 5_000_000_000)));
        assert_eq!(record.hot.tick, Nanos::from_millis(5000).tick());
        assert_eq!(table.taken(), Volume { frames: 9, packets: 16, bytes: 21_200 });
        // Counted before a frame that came up meanwhile: times stand.
        feed(&mut table, &mut sink, &[udp(0, 6000), counted(proto::UDP, 0, 5500, 1, Run::default())]);
        let record = table.record(0, None);
        assert_eq!((record.hot.tick, record.hot.last), (udp(0, 6000).tick, udp(0, 6000).wall));
        assert_eq!(table.taken().frames, 11);
    }

    #[test]
    fn counts_of_a_flow_that_has_ended_begin_another_one() {
        let (mut table, mut sink) = (table(), Sink::default());
        feed(&mut table, &mut sink, &[frame(proto::UDP, 0, 1), frame(proto::UDP, 1, 2)]);
        table.set_cutoff(Nanos::from_secs(100).tick());
        feed(&mut table, &mut sink, &[counted(proto::UDP, 1, 100_000, 5, Run::default())]);
        assert_eq!((sink.ended.len(), sink.ended[0].hot.frames), (1, [1, 1]));
        let record = table.record(0, None);
        assert_eq!((record.hot.frames, record.hot.bytes), ([0, 5], [0, 15_000]));
        assert_eq!((record.facts.extra_packets, record.facts.first), ([0, 5], record.hot.last));
        assert_eq!(table.taken(), Volume { frames: 7, packets: 12, bytes: 15_200 });
        assert_eq!(table.counts().live, 1);
        assert!(record.hot.roles.is_answered() && table.embryos.next(0).is_none(), "it is not evicted first");
    }

    #[test]
    fn the_frames_of_a_flow_that_begins_with_counts_are_wanted_until_it_is_known_what_it_speaks() {
        for inspects in [true, false] {
            let (mut table, mut sink) = (table_that(inspects), Sink::default());
            let line = counted(proto::UDP, 1, 1, 5, Run::default());
            feed(&mut table, &mut sink, &[line, line]);
            let wanted: Vec<bool> = sink.settled.iter().map(|flow| flow.is_revoked).collect();
            assert_eq!(wanted, if inspects { vec![true; 2] } else { vec![] });
            assert!(sink.settled.iter().all(|flow| flow.key == key(proto::UDP)));
            assert!(table.record(0, None).facts.is_sampled);
        }
        let (mut table, mut sink) = (table(), Sink::default());
        feed(&mut table, &mut sink, &[frame(proto::UDP, 0, 1)]);
        assert!(!table.record(0, None).facts.is_sampled);
    }

    #[test]
    fn counts_from_elsewhere_are_seen_elsewhere_each_frame() {
        let (mut table, mut sink) = (table(), Sink::default());
        let mut elsewhere = counted(proto::UDP, 1, 3, 5, Run::default());
        elsewhere.iface = IfaceId(1);
        feed(&mut table, &mut sink, &[frame(proto::UDP, 0, 1), frame(proto::UDP, 1, 2), elsewhere]);
        assert_eq!(table.counts().drops[DropReason::SeenElsewhere], 5);
        assert_eq!(table.taken().frames, 7);
    }

    fn opened(table: &mut FlowTable, sink: &mut Sink) {
        feed(
            table,
            sink,
            &[
                segment(0, 1, SYN, 99, 0, 0),
                segment(1, 2, SYN | ACK, 499, 100, 0),
                segment(0, 3, ACK, 100, 500, 0),
                segment(0, 4, ACK, 100, 500, 1000),
                segment(1, 5, ACK, 500, 1100, 0),
            ],
        );
    }

    #[test]
    fn a_run_of_segments_moves_the_numbers_on_so_that_the_end_is_taken() {
        let (mut table, mut sink) = (table(), Sink::default());
        opened(&mut table, &mut sink);
        let sent = Run { seq_number: 1100, len: 400_000_000, ack_number: 500, window: 60000 };
        let acknowledged = Run { seq_number: 500, len: 0, ack_number: 400_001_100, window: 60000 };
        let lines = [counted(proto::TCP, 0, 900, 9, sent), counted(proto::TCP, 1, 901, 4, acknowledged)];
        feed(&mut table, &mut sink, &lines);
        assert_eq!(table.record(0, None).hot.state, FlowState::Established);
        feed(&mut table, &mut sink, &[segment(0, 910, FIN | ACK, 400_001_100, 500, 0)]);
        assert_eq!(table.record(0, None).hot.state, FlowState::FinWait1);
        feed(&mut table, &mut sink, &[segment(1, 911, FIN | ACK, 500, 400_001_101, 0)]);
        feed(&mut table, &mut sink, &[segment(0, 912, ACK, 400_001_101, 501, 0)]);
        let record = table.record(0, None);
        assert_eq!(record.hot.state, FlowState::TimeWait);
        assert_eq!((record.facts.retransmits, record.facts.out_of_order), ([0; 2], [0; 2]));
        assert_eq!(record.hot.frames, [3 + 9 + 2, 2 + 4 + 1]);
    }

    #[test]
    fn a_run_that_was_seen_before_is_sent_again_segment_by_segment() {
        let (mut table, mut sink) = (table(), Sink::default());
        opened(&mut table, &mut sink);
        let again = Run { seq_number: 100, len: 1000, ack_number: 500, window: 60000 };
        feed(&mut table, &mut sink, &[counted(proto::TCP, 0, 9, 4, again)]);
        assert_eq!(table.record(0, None).facts.retransmits, [4, 0]);
        assert_eq!(table.counts().retransmits, 4);
    }

    #[test]
    fn a_flow_is_told_settled_every_32_frames_of_an_end_with_its_numbers() {
        let (mut table, mut sink) = (table(), Sink::default());
        opened(&mut table, &mut sink);
        for n in 0..64 {
            feed(&mut table, &mut sink, &[segment(0, 10 + n, ACK, 1100 + 10 * n as u32, 500, 10)]);
        }
        let flow = Settled { key: key(proto::TCP), hash: SEED.hash(&key(proto::TCP)), ..Settled::default() };
        let fronts = |n: u32| [1100 + 10 * n, 500];
        let told = [29, 61].map(|n| Settled { fronts: fronts(n), ..flow });
        assert_eq!(sink.settled, told);
        // What is closing is not.
        sink.settled.clear();
        feed(&mut table, &mut sink, &[segment(0, 80, FIN | ACK, 1740, 500, 0)]);
        for n in 0..64 {
            feed(&mut table, &mut sink, &[segment(1, 90 + n, ACK, 500 + 10 * n as u32, 1741, 10)]);
        }
        assert_eq!(sink.settled, []);
    }
}
