//! One source's settled flows: put where the programs count them, read at every cut, taken away when they are silent.
//!
//! ```text
//!   settle ──▶ free ──▶ BEGINS ──note "began"──▶ COUNTS ──note "stopped"──▶ OFF ──silence──▶ resting ──▶ free
//!              (UDP counts at once)                 ▲                        │
//!                                                   └──────── settle ────────┘
//! ```
//!
//! A tally is read by exchanging its count for 0, which is exact while programs go on counting. A flow that is off,
//! or that no program can find any more, may still be counted to by a program that had found it before; so a tally
//! rests for [`REST`] where nobody finds it before another flow gets it. What such a program counts comes with a
//! note, at which it is handed out.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![allow(clippy::disallowed_types, reason = "lists with room for all from the start")]

use std::sync::atomic::Ordering;

use super::{
    record::Note,
    tallies::{FRAME_BITS, Spot, TallyMaps, Way, state},
};
use crate::{
    base::{counters::Volume, time::Stamp},
    capture::source::Counting,
    packet::{
        key::proto,
        settled::{Counted, Run, Settled},
    },
};

/// A flow that is silent for so long makes room, ns.
const SILENCE: u64 = 10_000_000_000;
/// A tally rests for so long before another flow gets it, ns.
const REST: u64 = 2_000_000_000;
/// A TCP flow that moves comes up again so often until its worker has seen some of it, so that round trips go on being
/// measured: ns. One with many frames at every cut, of which those that come up are few.
const SAMPLE_EVERY: u64 = 1_000_000_000;
const MANY_FRAMES: u64 = 1024;
/// Where more flows move than these, they take turns: what comes up, some 30 frames of a direction each time, stays a
/// few thousand frames a second whatever their number.
const SAMPLES_A_SECOND: u64 = 256;
/// A look at all flows for silent ones takes so many cuts.
const CUTS_A_ROUND: usize = 8;
/// A place for a flow.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    flow: Settled,
    /// By sender: where its tally is found.
    spots: [Spot; 2],
    /// TCP: the number up to which it was handed out.
    bases: [u32; 2],
    /// When something of it was handed out or it was told settled, monotonic ns.
    used: u64,
    /// Since when it rests; 0 before.
    rests: u64,
    /// When it was told settled or came up last to be sampled, monotonic ns.
    sampled: u64,
    is_live: bool,
    /// By direction: the reader knows from where on it counts.
    began: [bool; 2],
    /// By direction: it is among those to be looked at at the next cut.
    is_listed: [bool; 2],
}

/// See the module.
pub struct Books {
    maps: TallyMaps,
    places: Box<[Place]>,
    free: Vec<u32>,
    /// Tallies with something to be handed out: at the next cut, before the next frame.
    touched: Vec<u32>,
    urgent: Vec<u32>,
    hand: usize,
    /// Notes that had found no room when all tallies were looked at.
    untold: u64,
    counting: Counting,
}

impl Books {
    /// Returns blank books.
    #[allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "start-up")]
    pub fn new(maps: TallyMaps) -> Self {
        let places = maps.places();
        Self {
            places: vec![Place::default(); places].into_boxed_slice(),
            free: (0..places as u32).rev().collect(),
            touched: Vec::with_capacity(2 * places),
            urgent: Vec::with_capacity(2 * places),
            hand: 0,
            untold: 0,
            counting: Counting::default(),
            maps,
        }
    }

    /// Returns what there is to say of it.
    pub fn counting(&self) -> Counting {
        Counting { flows: (self.places.len() - self.free.len()) as u64, ..self.counting }
    }

    /// Has a flow counted on an interface, or not any more. `now` is monotonic, in ns.
    pub fn settle(&mut self, flow: &Settled, ifindex: u32, now: u64) {
        let ways = [0, 1].map(|from| self.maps.way_of(flow, from));
        if ways[0] == ways[1] {
            return;
        }
        if flow.is_revoked {
            return self.unsettle(flow, &ways[0]);
        }
        if let Some(found) = self.maps.find(&ways[0]) {
            let number = found / 2;
            let place = &mut self.places[number as usize];
            if place.flow.key == flow.key && place.flow.ends == flow.ends {
                place.used = now;
                return Self::resume(&self.maps, number, place, flow, ifindex);
            }
        }
        // A full set, or one with an equal tag, leaves it on the ring, as does a full map.
        if self.begin(flow, &ways, ifindex, now).is_none() {
            self.counting.refused += 1;
        }
    }

    /// Has a flow's frames go up again, behind what was counted so far.
    fn unsettle(&mut self, flow: &Settled, way: &Way) {
        let Some(number) = self.maps.find(way).map(|found| found / 2) else { return };
        let place = &self.places[number as usize];
        if place.flow.key == flow.key && place.flow.ends == flow.ends {
            for tally in tallies_of(number) {
                self.maps.stop_counting(tally);
                self.urgent.push(tally);
            }
        }
    }

    fn begin(&mut self, flow: &Settled, ways: &[Way; 2], ifindex: u32, now: u64) -> Option<()> {
        let number = *self.free.last()?;
        let low = self.maps.write(2 * number, &ways[0], ifindex, flow.fronts[0])?;
        let Some(high) = self.maps.write(2 * number + 1, &ways[1], ifindex, flow.fronts[1]) else {
            self.maps.clear(low);
            return None;
        };
        self.free.pop();
        let place = &mut self.places[number as usize];
        *place = Place {
            flow: *flow,
            spots: [low, high],
            used: now,
            sampled: now,
            is_live: true,
            ..Place::default()
        };
        Self::resume(&self.maps, number, place, flow, ifindex);
        Some(())
    }

    /// Makes the programs count a flow that is off, if everything counted before was handed out.
    fn resume(maps: &TallyMaps, number: u32, place: &mut Place, flow: &Settled, ifindex: u32) {
        let numbers = tallies_of(number);
        let tallies = numbers.map(|n| maps.tally(n));
        if tallies[0].ifindex.load(Ordering::Relaxed) != ifindex {
            // It has moved. What was counted before counts where it was.
            numbers.iter().for_each(|n| maps.stop_counting(*n));
        }
        let is_off = tallies
            .iter()
            .all(|t| t.state.load(Ordering::Acquire) == state::OFF && t.count.load(Ordering::Acquire) == 0);
        if !is_off {
            return;
        }
        place.flow = *flow;
        let is_tcp = place.flow.key.proto == proto::TCP;
        place.began = [!is_tcp; 2];
        for tally in tallies {
            tally.ifindex.store(ifindex, Ordering::Relaxed);
            // Release: whoever sees it sees the interface.
            tally.state.store(if is_tcp { state::BEGINS } else { state::COUNTS }, Ordering::Release);
        }
    }

    /// Takes note of what a program says of a tally.
    pub fn note(&mut self, note: Note) {
        let (Note::Began { tally, .. } | Note::Touched { tally } | Note::Stopped { tally }) = note;
        let Some(tally) = self.maps.local(tally) else { return };
        let (place, from) = (&mut self.places[tally as usize / 2], tally as usize % 2);
        match note {
            Note::Began { next, .. } => {
                place.bases[from] = next;
                place.began[from] = true;
                // Another core may have counted to it, and its note have come first.
                if self.maps.tally(tally).count.load(Ordering::Acquire) != 0 {
                    self.list(tally);
                }
            }
            Note::Touched { .. } => self.list(tally),
            Note::Stopped { .. } => self.urgent.extend(tallies_of(tally / 2)),
        }
    }

    /// Has what a tally counted handed out: at the next cut, or if it is off before the next frame.
    fn list(&mut self, tally: u32) {
        let place = &mut self.places[tally as usize / 2];
        if self.maps.tally(tally).state.load(Ordering::Relaxed) == state::OFF {
            self.urgent.push(tally);
        }
        if !std::mem::replace(&mut place.is_listed[tally as usize % 2], true) {
            self.touched.push(tally);
        }
    }

    /// Returns whether counts wait that come before the next frame.
    #[inline]
    pub fn is_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// Hands out what comes before the next frame.
    pub fn hand_out_urgent(&mut self, wall_offset: u64, each: &mut impl FnMut(&Counted, u8)) {
        while let Some(tally) = self.urgent.pop() {
            self.hand_out(tally, wall_offset, each);
        }
    }

    /// Takes note of how many notes found no room so far. Which flows they were of is not known: all counts are handed
    /// out ahead of the next frame.
    #[inline]
    pub fn found_no_room(&mut self, untold: u64) {
        if untold != self.untold {
            self.untold = untold;
            self.urgent.clear();
            let live = (0u32..).zip(&self.places).filter(|(_, place)| place.is_live);
            self.urgent.extend(live.flat_map(|(number, _)| tallies_of(number)));
        }
    }

    /// Hands out everything, and takes silent flows away. `untold` is how many notes found no room so far; `last`:
    /// no program runs any more. `now` is monotonic, in ns.
    pub fn hand_out_all(
        &mut self,
        wall_offset: u64,
        now: u64,
        untold: u64,
        last: bool,
        each: &mut impl FnMut(&Counted, u8),
    ) {
        self.hand_out_urgent(wall_offset, each);
        let turn = SAMPLE_EVERY * (self.touched.len() as u64 / 2).div_ceil(SAMPLES_A_SECOND).max(1);
        let mut samples = 0;
        while let Some(tally) = self.touched.pop() {
            let frames = self.hand_out(tally, wall_offset, each);
            let place = &mut self.places[tally as usize / 2];
            place.is_listed[tally as usize % 2] = false;
            let is_its_turn = now.saturating_sub(place.sampled) >= turn && samples < SAMPLES_A_SECOND;
            if place.flow.key.proto == proto::TCP && frames > 0 && (frames >= MANY_FRAMES || is_its_turn) {
                samples += 1;
                place.sampled = now;
                for number in tallies_of(tally / 2) {
                    self.maps.stop_counting(number);
                }
            }
        }
        if untold != self.untold || last {
            self.untold = untold;
            for number in 0..self.places.len() as u32 {
                if self.places[number as usize].is_live {
                    for tally in tallies_of(number) {
                        self.hand_out(tally, wall_offset, each);
                    }
                }
            }
        }
        self.retire(now);
    }

    /// Hands out what a tally has counted; returns how many frames.
    fn hand_out(&mut self, number: u32, wall_offset: u64, each: &mut impl FnMut(&Counted, u8)) -> u64 {
        let Self { maps, places, counting, .. } = self;
        let (place, from) = (&mut places[number as usize / 2], number as usize % 2);
        if !place.began[from] {
            return 0;
        }
        let tally = maps.tally(number);
        // AcqRel: pairs with the program's addition, before which it wrote the rest.
        let count = tally.count.swap(0, Ordering::AcqRel);
        if count == 0 {
            return 0;
        }
        let extra = tally.extra.swap(0, Ordering::AcqRel);
        let frames = count & ((1 << FRAME_BITS) - 1);
        let mut run = Run::default();
        if place.flow.key.proto == proto::TCP {
            let next = tally.next.load(Ordering::Acquire);
            run = Run {
                seq_number: place.bases[from],
                len: next.wrapping_sub(place.bases[from]),
                ack_number: tally.acked.load(Ordering::Relaxed),
                window: tally.window.load(Ordering::Relaxed),
            };
            place.bases[from] = next;
        }
        let last = tally.last_ns.load(Ordering::Relaxed);
        place.used = place.used.max(last);
        let counted = Counted {
            flow: place.flow,
            from,
            volume: Volume { frames, packets: frames + extra, bytes: count >> FRAME_BITS },
            last: Stamp(last.wrapping_add(wall_offset)),
            run,
        };
        counting.frames += frames;
        each(&counted, tally.packet_type.load(Ordering::Relaxed));
        frames
    }

    /// Looks at some of the flows, and takes away those that were silent; frees those that have rested.
    fn retire(&mut self, now: u64) {
        let Self { maps, places, free, hand, .. } = self;
        for _ in 0..places.len().div_ceil(CUTS_A_ROUND) {
            *hand = (*hand + 1) % places.len();
            let place = &mut places[*hand];
            if !place.is_live || now.saturating_sub(place.used) < SILENCE {
                continue;
            }
            let numbers = tallies_of(*hand as u32);
            // Else a note is on the way.
            let is_blank = numbers.iter().all(|n| maps.tally(*n).count.load(Ordering::Acquire) == 0);
            if place.rests == 0 {
                if is_blank {
                    place.rests = now;
                    numbers.iter().for_each(|n| maps.stop_counting(*n));
                    place.spots.iter().for_each(|spot| maps.clear(*spot));
                }
            } else if is_blank && now.saturating_sub(place.rests) >= REST {
                place.is_live = false;
                free.push(*hand as u32);
            }
        }
    }
}

/// Returns the tallies of a place: from the low end, from the high end.
const fn tallies_of(place: u32) -> [u32; 2] {
    [2 * place, 2 * place + 1]
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::{
        base::ids::IfaceId,
        packet::key::{FlowKey, kind},
        platform::linux::bpf_capture::tallies::{SET, TALLY, WIDE},
    };

    const SECOND: u64 = 1_000_000_000;

    fn books(places: usize) -> Books {
        let maps = TallyMaps::in_memory([places * SET, places * 2 * TALLY, places * 2 * WIDE], places);
        Books::new(maps)
    }

    fn flow(n: u16, proto: u8) -> Settled {
        let key = FlowKey { ends: 1 << 32 | 2, ports: [n, 443], proto, kind: kind::LIVE, zero: 0 };
        Settled { key, hash: u32::from(n), fronts: [100, 500], ..Settled::default() }
    }

    /// Counts as the program does; the note that it would write, if any.
    fn count(books: &Books, tally: u32, bytes: u64) -> Option<Note> {
        let t = books.maps.tally(tally);
        assert_eq!(t.state.load(Ordering::Relaxed), state::COUNTS);
        let before = t.count.fetch_add(bytes << FRAME_BITS | 1, Ordering::Relaxed);
        t.last_ns.store(SECOND, Ordering::Relaxed);
        (before == 0).then_some(Note::Touched { tally })
    }

    fn all(books: &mut Books, now: u64, untold: u64) -> Vec<Counted> {
        let mut out = Vec::new();
        books.hand_out_all(0, now, untold, false, &mut |c, _| out.push(*c));
        out
    }

    fn urgent(books: &mut Books) -> Vec<Counted> {
        let mut out = Vec::new();
        books.hand_out_urgent(0, &mut |c, _| out.push(*c));
        out
    }

    #[test]
    fn each_count_is_handed_out_once() {
        let mut books = books(8);
        books.settle(&flow(7, proto::UDP), 3, SECOND);
        let note = count(&books, 1, 60).unwrap();
        books.note(note);
        assert_eq!(count(&books, 1, 100), None);
        let out = all(&mut books, SECOND, 0);
        assert_eq!((out.len(), out[0].from, out[0].flow.hash), (1, 1, 7));
        assert_eq!(out[0].volume, Volume { frames: 2, packets: 2, bytes: 160 });
        assert_eq!(all(&mut books, SECOND, 0), []);
        // One whose note found no room is found by a look at all.
        assert!(count(&books, 0, 60).is_some());
        assert_eq!(all(&mut books, SECOND, 0), []);
        assert_eq!(all(&mut books, SECOND, 1).len(), 1);
        assert_eq!((books.counting().frames, books.counting().flows), (3, 1));
    }

    #[test]
    fn where_a_note_found_no_room_all_counts_go_ahead_of_the_next_frame() {
        let mut books = books(8);
        for n in [7, 8] {
            books.settle(&flow(n, proto::UDP), 3, SECOND);
        }
        for tally in [0, 1, 3] {
            count(&books, tally, 60).unwrap();
        }
        books.found_no_room(0);
        assert!(!books.is_urgent());
        books.found_no_room(2);
        assert_eq!((books.is_urgent(), urgent(&mut books).len()), (true, 3));
        books.found_no_room(2);
        assert!(!books.is_urgent());
    }

    #[test]
    fn a_place_that_is_used_again_begins_off() {
        let mut books = books(8);
        books.settle(&flow(7, proto::UDP), 3, SECOND);
        let Place { spots, .. } = books.places[0];
        spots.iter().for_each(|spot| books.maps.clear(*spot));
        assert!(!books.maps.has_any(), "no set has anything in it");
        let way = &books.maps.way_of(&flow(9, proto::TCP), 0);
        books.maps.write(0, way, 3, 77).unwrap();
        let tally = books.maps.tally(0);
        let numbers = [&tally.front, &tally.next].map(|n| n.load(Ordering::Relaxed));
        assert_eq!((tally.state.load(Ordering::Relaxed), numbers), (state::OFF, [77, 77]));
    }

    #[test]
    fn tcp_is_handed_out_as_one_run_from_where_it_began() {
        let mut books = books(8);
        books.settle(&flow(7, proto::TCP), 3, SECOND);
        let begin = |books: &Books| {
            let t = books.maps.tally(0);
            assert_eq!(t.state.load(Ordering::Relaxed), state::BEGINS);
            t.state.store(state::COUNTS, Ordering::Relaxed);
        };
        assert_eq!(books.maps.tally(0).front.load(Ordering::Relaxed), 100);
        begin(&books);
        books.note(Note::Began { tally: 0, next: 150 });
        books.maps.tally(0).next.store(400, Ordering::Relaxed);
        let note = count(&books, 0, 250).unwrap();
        books.note(note);
        books.note(Note::Stopped { tally: 0 });
        assert!(books.is_urgent());
        let out = urgent(&mut books);
        assert_eq!((out.len(), out[0].run.seq_number, out[0].run.len), (1, 150, 250));
        assert!(!books.is_urgent());
        // Told again, it resumes in the same place, and counts only from a new beginning on.
        [0, 1].iter().for_each(|n| books.maps.stop_counting(*n));
        books.settle(&flow(7, proto::TCP), 3, SECOND);
        assert_eq!(books.counting().flows, 1);
        begin(&books);
        assert!(count(&books, 0, 9).is_some());
        books.note(Note::Stopped { tally: 0 });
        assert_eq!(urgent(&mut books), [], "the note that says where it began was not read");
        books.note(Note::Began { tally: 0, next: 500 });
        assert_eq!(all(&mut books, SECOND, 0).len(), 1);
    }

    #[test]
    fn tcp_comes_up_again_in_turn_so_that_round_trips_are_measured() {
        const FLOWS: u16 = 600;
        let mut books = books(4096);
        let count_all = |books: &mut Books, at: u64| -> usize {
            for n in 0..FLOWS {
                books.settle(&flow(n, proto::TCP), 3, at);
                let numbers =
                    [0, 1].map(|from| books.maps.find(&books.maps.way_of(&flow(n, proto::TCP), from)));
                let Some(low) = numbers[0] else { continue };
                let t = books.maps.tally(low);
                if t.state.load(Ordering::Relaxed) == state::BEGINS {
                    t.state.store(state::COUNTS, Ordering::Relaxed);
                    books.note(Note::Began { tally: low, next: 100 });
                }
                if let Some(note) = count(books, low, 60) {
                    books.note(note);
                }
            }
            let before = all(books, at, 0).len();
            assert!(before > 500, "{before}: most find room, and all that do are handed out");
            (0..books.places.len() as u32)
                .filter(|n| books.places[*n as usize].is_live)
                .filter(|n| books.maps.tally(2 * n).state.load(Ordering::Relaxed) == state::OFF)
                .count()
        };
        let ups: Vec<usize> = (1..=6).map(|second| count_all(&mut books, second * SECOND)).collect();
        assert_eq!(ups[0], 0, "they were just told settled");
        assert!(ups.iter().all(|up| *up as u64 <= SAMPLES_A_SECOND), "{ups:?}");
        let flows = books.counting().flows as usize;
        assert!(ups.iter().sum::<usize>() >= flows, "each had its turn: {ups:?} of {flows}");
    }

    #[test]
    fn a_flow_whose_frames_are_wanted_again_goes_up_behind_what_was_counted_of_it() {
        let mut books = books(8);
        books.settle(&flow(7, proto::UDP), 3, SECOND);
        let note = count(&books, 1, 60).unwrap();
        books.note(note);
        for other in [8, 7] {
            books.settle(&Settled { is_revoked: true, ..flow(other, proto::UDP) }, 3, SECOND);
            assert_eq!(books.is_urgent(), other == 7);
        }
        assert!([0, 1].iter().all(|n| books.maps.tally(*n).state.load(Ordering::Relaxed) == state::OFF));
        assert_eq!(urgent(&mut books).iter().map(|c| c.volume.frames).sum::<u64>(), 1);
        assert_eq!(all(&mut books, SECOND, 0), []);
        // Known at last, it is counted again.
        books.settle(&flow(7, proto::UDP), 3, SECOND);
        assert!(count(&books, 0, 60).is_some());
    }

    #[test]
    fn what_is_counted_to_a_flow_that_rests_is_its_own() {
        let mut books = books(8);
        books.settle(&flow(7, proto::UDP), 3, SECOND);
        let silent = 2 * SECOND + SILENCE;
        for _ in 0..CUTS_A_ROUND {
            assert_eq!(all(&mut books, silent, 0), []);
        }
        assert!(books.maps.find(&books.maps.way_of(&flow(7, proto::UDP), 0)).is_none());
        // By a program that had found it before.
        books.maps.tally(0).count.fetch_add(60 << FRAME_BITS | 1, Ordering::Relaxed);
        for _ in 0..2 * CUTS_A_ROUND {
            assert_eq!(all(&mut books, silent + 2 * REST, 0), []);
        }
        assert_eq!(books.counting().flows, 1, "not free while its note is on the way");
        books.note(Note::Touched { tally: 0 });
        assert_eq!(urgent(&mut books)[0].flow.key.ports[0], 7);
        for _ in 0..2 * CUTS_A_ROUND {
            all(&mut books, silent + 4 * REST, 0);
        }
        assert_eq!(books.counting().flows, 0);
    }

    #[test]
    fn a_flow_that_is_off_does_not_resume_before_it_was_handed_out_nor_elsewhere_at_once() {
        let mut books = books(8);
        books.settle(&flow(7, proto::UDP), 3, SECOND);
        count(&books, 0, 60).unwrap();
        // It has moved: off at first, and what was counted counts where it was.
        books.settle(&Settled { iface: IfaceId(4), ..flow(7, proto::UDP) }, 9, SECOND);
        assert_eq!(books.maps.tally(0).state.load(Ordering::Relaxed), state::OFF);
        books.note(Note::Touched { tally: 0 });
        assert_eq!(urgent(&mut books)[0].flow.iface, IfaceId(0));
        books.settle(&Settled { iface: IfaceId(4), ..flow(7, proto::UDP) }, 9, SECOND);
        count(&books, 0, 60).unwrap();
        assert_eq!(all(&mut books, SECOND, 1)[0].flow.iface, IfaceId(4));
    }

    #[test]
    fn silent_flows_make_room_after_a_rest_and_a_full_map_refuses() {
        let mut books = books(8);
        for n in 0..64 {
            books.settle(&flow(n, proto::UDP), 3, SECOND);
        }
        let Counting { flows, refused, .. } = books.counting();
        assert!((4..=8).contains(&flows) && refused == 64 - flows, "{flows} {refused}");
        let busy = books.places[0].flow;
        let mut at = SECOND;
        for _ in 0..4 * CUTS_A_ROUND {
            at += SECOND;
            let t = books.maps.tally(0);
            t.count.fetch_add(1, Ordering::Relaxed);
            t.last_ns.store(at, Ordering::Relaxed);
            books.note(Note::Touched { tally: 0 });
            assert_eq!(all(&mut books, at, 0).len(), 1);
        }
        assert_eq!(books.counting().flows, 1, "all but the busy one");
        books.settle(&busy, 3, at);
        assert_eq!(books.counting().flows, 1, "it is there");
        books.settle(&flow(100, proto::UDP), 3, at);
        assert_eq!(books.counting().flows, 2);
    }
}
