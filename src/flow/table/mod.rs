//! The flow table of one worker: finds, begins, updates, expires, evicts and publishes flows.
//!
//! Frames come in bursts. A burst goes through three passes, so that its cache misses overlap:
//! prefetch the index, compare tags and prefetch the records, then update.
//!
//! Time enters only with cuts ([`FlowTable::set_cutoff`]): a flow whose lifetime had passed at the
//! last cut is over, whether the sweep has reached it or a packet for its tuple comes first.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

mod batch;
mod counted;
mod ends;
mod frozen;
mod payloads;
mod settled;

pub use self::frozen::{Beside, FrozenFlows};
use self::{
    batch::{Batch, Candidate},
    counted::is_time_to_tell,
    ends::{ChunkState, SHORTEST_LIFE, is_over, lives_for},
    settled::{Settled, Straight},
};
use crate::{
    base::{
        bits::Bits,
        call::Caller,
        counters::{DropReason, Drops, Volume},
        memory::{Advise, Array, OutOfMemory, Region, no_advice, prefetch},
        sync::Arc,
        time::{Nanos, Tick},
    },
    dpi::{
        inspector::{Inspector, InspectorCounts},
        notes::Learn,
    },
    flow::{
        classify,
        entry::{Evidence, FlowRecord, Hot, Origin, Roles, RoundTrip, Tally, WideEnds, note},
        index::Index,
        locals::Locals,
        slab::{CHUNK, Slab},
        state::{EndReason, FlowState},
        tcp::{Outcome, Segment, TcpTrack},
    },
    packet::{
        descriptor::{Descriptor, flag, tcp_flag},
        hash::Seed,
        key::{Extension, WideKey, kind, proto},
        line::Line,
        payload::Payloads,
        settled::Settled as SettledFlow,
    },
};

/// No slot.
const NONE: u32 = u32::MAX;
/// A flow's home interface moves when it was silent there for so long.
const HOME_MOVES_AFTER: Nanos = Nanos::from_secs(2);
/// How far a frame may lie behind its flow's last one and still count as delivered late by another
/// queue or interface, not as sent late.
const LATE: Nanos = Nanos::from_millis(5);
/// In tables of more flows than this, facts are far away: 1 MB of them.
const FAR_FLOWS: usize = 1 << 14;

/// How a table is made.
#[derive(Clone)]
pub struct TableConfig {
    /// Flows at most; up to 2^24.
    pub capacity: usize,
    /// The run's seed.
    pub seed: Seed,
    /// Which addresses are ours.
    pub locals: Locals,
    /// Whether a flow counts only on its home interface: live capture on several interfaces.
    pub home_interfaces: bool,
    /// Asks for large pages.
    pub advise: Advise,
    /// The worker's number, part of every id.
    pub worker: u8,
    /// Whether payloads are looked at.
    pub inspects: bool,
}

/// Where ended flows and what flows speak go. Returns once it is taken or accounted for.
pub trait EndedFlows: Learn {
    /// Takes a flow that ended.
    fn ended(&mut self, record: &FlowRecord);

    /// Returns whether anybody wants to know which flows are settled.
    #[inline]
    fn wants_settled(&self) -> bool {
        false
    }

    /// Takes a flow whose frames, from now on, most likely change no more than counts.
    fn settled(&mut self, _flow: &SettledFlow) {}
}

/// What a table counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableCounts {
    /// Frames accounted to flows.
    pub volume: Volume,
    /// Frames accounted to none.
    pub drops: Drops,
    /// Flows begun.
    pub opened: u64,
    /// Flows ended, evicted ones included.
    pub closed: u64,
    /// Flows evicted.
    pub evicted: u64,
    /// TCP segments without anything new.
    pub retransmits: u64,
    /// Flows in the table.
    pub live: u64,
    /// Flows in SYN_SENT or SYN_RECV.
    pub half_open: u64,
}

/// The flows of one worker.
pub struct FlowTable {
    index: Index,
    hot: Slab<Hot>,
    origins: Slab<Origin>,
    /// Zeros in slots without a flow.
    round_trips: Slab<RoundTrip>,
    /// Zeros in slots without a flow.
    tallies: Slab<Tally>,
    ends: Slab<WideEnds>,
    extensions: Slab<Extension>,
    tcp: Array<TcpTrack>,
    chunks: Box<[ChunkState]>,
    free: Array<u32>,
    free_len: usize,
    /// Slots ever used, from the front.
    used: usize,
    /// One-packet and half-open flows: evicted first.
    embryos: Bits,
    hand: u32,
    cutoff: Tick,
    sweep: usize,
    counts: TableCounts,
    inspector: Option<Inspector>,
    /// Payloads of the last burst were looked at, so some of the next one will be.
    looks: bool,
    config: TableConfig,
}

impl FlowTable {
    /// Returns an empty table. Address space is reserved here; memory comes as flows come.
    #[allow(clippy::disallowed_macros, reason = "start-up")]
    ///
    /// # Errors
    /// When the system does not give the address space.
    pub fn new(config: TableConfig) -> Result<Self, OutOfMemory> {
        let capacity = config.capacity.clamp(1, 1 << 24);
        let advise = config.advise;
        let inspector = match config.inspects {
            true => Some(Inspector::new(capacity, advise)?),
            false => None,
        };
        Ok(Self {
            index: Index::new(capacity, advise)?,
            hot: Slab::new(capacity, advise)?,
            origins: Slab::new(capacity, advise)?,
            round_trips: Slab::new(capacity, advise)?,
            tallies: Slab::new(capacity, advise)?,
            ends: Slab::new(capacity, advise)?,
            extensions: Slab::new(capacity, advise)?,
            tcp: Array::new(capacity, advise)?,
            chunks: vec![ChunkState::default(); capacity.div_ceil(CHUNK)].into_boxed_slice(),
            free: Array::new(capacity, no_advice)?,
            free_len: 0,
            used: 0,
            embryos: Bits::new(capacity),
            hand: 0,
            cutoff: Tick(0),
            sweep: usize::MAX,
            counts: TableCounts::default(),
            inspector,
            looks: false,
            config: TableConfig { capacity, ..config },
        })
    }

    /// Calls `ahead` from now on when more memory is in use, and returns the memory that another thread may touch ahead:
    /// that of what every flow has. Of what few flows have most pages are never touched, and the index is in use in no
    /// order, all of it after a few hundred flows.
    pub fn call(&mut self, ahead: &Caller) -> [Arc<Region>; 2] {
        [self.hot.call(ahead.clone()), self.origins.call(ahead.clone())]
    }

    /// Accounts the frames of `lines` up to the first marker, and returns how many lines that were.
    /// A frame whose key or payload lies beyond the end is left.
    pub fn process(
        &mut self,
        lines: &[Line],
        payloads: &impl Payloads,
        ended: &mut impl EndedFlows,
    ) -> usize {
        let mut at = 0;
        while at < lines.len() {
            let line = &lines[at];
            self.prefetch(line.frame().hash);
            at += 1 + line.frame().lines_after();
        }
        self.process_prefetched(lines, payloads, ended)
    }

    /// Does what [`FlowTable::process`] does, for lines whose buckets are on their way: of at most a
    /// few bursts, [`FlowTable::prefetch`] was called for every hash.
    #[inline]
    pub fn process_prefetched(
        &mut self,
        lines: &[Line],
        payloads: &impl Payloads,
        ended: &mut impl EndedFlows,
    ) -> usize {
        match self.config.home_interfaces {
            true => self.process_batches::<true>(lines, payloads, ended),
            false => self.process_batches::<false>(lines, payloads, ended),
        }
    }

    /// Starts loading what is needed first for a frame with this hash.
    #[inline(always)]
    pub fn prefetch(&self, hash: u32) {
        self.index.prefetch(hash);
    }

    #[inline(always)]
    fn process_batches<const HOME: bool>(
        &mut self,
        lines: &[Line],
        payloads: &impl Payloads,
        ended: &mut impl EndedFlows,
    ) -> usize {
        let mut batch = Batch::new();
        let mut done = 0;
        let mut volume = Volume::default();
        let mut settled = Settled::default();
        let is_large = self.used > FAR_FLOWS;
        if self.index.is_moving() {
            let Self { index, hot, config, .. } = self;
            index.go_on(|slot| config.seed.hash(&hot.get(slot).key), |slot| prefetch(hot.address(slot)));
        }
        let looks = std::mem::take(&mut self.looks);
        while done < lines.len() {
            let mut next = done;
            // By place in the batch, one bit: the frame's payload may be looked at.
            let (mut looked_at, mut bit) = (0, 1_u32);
            let batch = batch.fill(|| {
                let frame = lines.get(next)?.frame();
                let at = next as u32;
                next += 1 + frame.lines_after();
                if frame.flags & flag::MARKER != 0 || next > lines.len() {
                    next = at as usize;
                    return None;
                }
                let (slot, spot) = self.approach(frame, is_large);
                if looks {
                    looked_at |= bit * u32::from(self.may_look(slot, frame));
                    bit <<= 1;
                }
                Some(Candidate { frame, spot, slot, at })
            });
            if batch.is_empty() {
                break;
            }
            if looked_at != 0 {
                self.approach_conversations(batch, looked_at, lines, payloads);
            }
            for candidate in batch {
                match self.straight::<HOME>(candidate, lines, &mut settled, ended) {
                    Straight::Done => {}
                    Straight::Looks => {
                        self.looks = true;
                        let payload = payloads.of(lines, candidate.at as usize);
                        self.inspect(candidate.slot, candidate.frame, payload, ended);
                    }
                    Straight::Other => self.winding(candidate, lines, payloads, &mut volume, ended),
                }
            }
            done = next;
        }
        volume += Volume { frames: settled.frames, packets: settled.frames, bytes: settled.bytes };
        self.counts.volume += volume;
        done
    }

    /// Accounts a frame for which there is no straight way, and has its payload looked at.
    #[inline(never)]
    fn winding(
        &mut self,
        candidate: &Candidate<'_>,
        lines: &[Line],
        payloads: &impl Payloads,
        volume: &mut Volume,
        ended: &mut impl EndedFlows,
    ) {
        let &Candidate { frame, slot, at, .. } = candidate;
        let wide = wide_of(lines, candidate);
        if frame.flags & flag::COMMENT == flag::COMMENT {
            return self.comment(frame, wide, payloads.of(lines, at as usize), ended);
        }
        self.make_way(candidate, wide, || payloads.of(lines, at as usize), ended);
        let slot = self.frame(frame, wide, slot, volume, ended);
        if slot != NONE {
            self.looks = true;
            self.inspect(slot, frame, payloads.of(lines, at as usize), ended);
        }
    }

    /// Changes which addresses are ours, for flows that begin from now on; gives the old set back.
    pub fn set_locals(&mut self, locals: &mut Locals) {
        std::mem::swap(&mut self.config.locals, locals);
    }

    /// Returns all frames that were given to the table since the start; dropped ones have no bytes.
    #[inline]
    pub fn taken(&self) -> Volume {
        let dropped = self.counts.drops.total();
        let Volume { frames, packets, bytes } = self.counts.volume;
        Volume { frames: frames + dropped, packets: packets + dropped, bytes }
    }

    /// Returns what was counted since the start.
    pub fn counts(&self) -> TableCounts {
        self.counts
    }

    /// Returns what became of the payloads; zeros if none is looked at.
    pub fn inspections(&self) -> InspectorCounts {
        self.inspector.as_ref().map(Inspector::counts).unwrap_or_default()
    }

    /// Accounts one frame of any kind: to the candidate if that is its flow. Returns the flow's slot if
    /// the frame's payload is to be looked at, else [`NONE`].
    #[inline(always)]
    fn frame(
        &mut self,
        frame: &Descriptor,
        wide: &WideKey,
        candidate: u32,
        volume: &mut Volume,
        ended: &mut impl EndedFlows,
    ) -> u32 {
        if frame.flags & flag::COUNTED != 0 {
            self.counted(frame, wide, volume, ended);
            return NONE;
        }
        let is_candidate = candidate != NONE
            && self.hot.get(candidate).key.matches(&frame.key)
            && (!frame.key.is_wide() || self.is_flow(candidate, frame, wide));
        let slot = match is_candidate {
            true => candidate,
            false => match self.index.find(frame.hash, |slot| self.is_flow(slot, frame, wide)) {
                Some(slot) => slot,
                None => return self.begin(frame, wide, volume, ended),
            },
        };
        let hot = self.hot.get_mut(slot);
        if self.cutoff.since(hot.tick) >= SHORTEST_LIFE && is_over(hot, self.cutoff) {
            let reason = hot.state.end_reason();
            self.end(slot, reason, ended);
            return self.begin(frame, wide, volume, ended);
        }
        let mut late = false;
        if self.config.home_interfaces {
            if hot.iface != frame.iface && !move_home(hot, frame) {
                self.counts.drops[DropReason::SeenElsewhere] += 1;
                return NONE;
            }
            // Another queue or interface delivered it late. A file's order is what was captured.
            let behind = hot.last.since(frame.wall);
            late = behind.0 > 0 && behind <= LATE;
        }
        let has_segment = has_segment(frame);
        if frame.tcp_flags & tcp_flag::SYN != 0
            && has_segment
            && hot.state.is_over()
            && self.tcp[slot as usize].begins_anew(hot.state, &segment_of(frame, false, hot.roles))
        {
            self.end(slot, EndReason::Replaced, ended);
            return self.begin(frame, wide, volume, ended);
        }
        let irregular = count(hot, frame, volume);
        let inspected = hot.roles.is_inspected();
        if has_segment {
            self.unusual_segment(slot, frame, late);
        } else if !is_settled(hot, frame) {
            self.other(slot, frame, ended);
        }
        if irregular {
            self.count_irregular(slot, frame);
        }
        if self.config.home_interfaces && ended.wants_settled() {
            let hot = self.hot.get(slot);
            if is_time_to_tell(hot, frame, hot.roles) && settled::is_settled_state(hot.state) {
                self.tell_settled(slot, frame, wide, ended);
            }
        }
        if inspected && says_something(frame) { slot } else { NONE }
    }

    /// Counts what an ordinary frame does not have: a stamp before the flow's last, several
    /// segments, or an unknown number of them.
    #[cold]
    fn count_irregular(&mut self, slot: u32, frame: &Descriptor) {
        if frame.wall < self.origins.get(slot).first {
            self.origins.get_mut(slot).first = frame.wall;
        }
        if frame.segments > 1 {
            self.tallies.get_mut(slot).extra_packets[frame.from()] += u64::from(frame.segments) - 1;
        }
        if frame.flags & flag::SEGMENTS_UNKNOWN != 0 {
            self.hot.get_mut(slot).roles.set_segments_unknown();
        }
    }

    /// Does what [`FlowTable::segment`] does, in a place of its own: for callers that seldom need it.
    #[inline(never)]
    fn unusual_segment(&mut self, slot: u32, frame: &Descriptor, late: bool) {
        self.segment(slot, frame, late);
    }

    /// Follows a TCP segment that may change more than numbers.
    #[inline(always)]
    fn segment(&mut self, slot: u32, frame: &Descriptor, late: bool) {
        let hot = self.hot.get(slot);
        let (before, known) = (hot.state, hot.roles);
        let mut roles = known;
        let track = &mut self.tcp[slot as usize];
        let outcome = track.segment(&segment_of(frame, late, roles), roles.subject());
        let mut state = outcome.state;
        if let Some((end, evidence)) = outcome.initiator {
            let subject = roles.subject();
            roles.learn(usize::from(end), evidence);
            if roles.subject() != subject {
                state = track.state(roles.subject());
            }
        }
        if outcome.retransmit || outcome.out_of_order {
            self.tally(slot, frame, outcome);
        }
        // NB: nothing is read, which would have to wait for memory; writing alone need not.
        if outcome.rtt_handshake_us != 0 {
            self.round_trips.get_mut(slot).set_handshake(outcome.rtt_handshake_us);
        }
        if outcome.rtt_data_us != 0 {
            self.round_trips.get_mut(slot).set_data(outcome.rtt_data_us);
        }
        if state == FlowState::Established && before.is_established() {
            // What the payload told refines it.
            state = before;
        }
        if state != before || roles != known || !roles.is_answered() {
            self.enter(slot, frame.tick, state, roles);
        }
    }

    /// Follows the round trips that the next segment of an established connection is part of.
    #[inline(never)]
    fn time(&mut self, slot: u32, frame: &Descriptor, roles: Roles) {
        let track = &mut self.tcp[slot as usize];
        let round_trip_us = track.time(&segment_of(frame, false, roles), roles.subject());
        if round_trip_us != 0 {
            self.round_trips.get_mut(slot).set_data(round_trip_us);
        }
    }

    /// Counts what was sent again or overtaken: all segments of a super-frame.
    #[cold]
    fn tally(&mut self, slot: u32, frame: &Descriptor, outcome: Outcome) {
        let (from, segments) = (frame.from(), u32::from(frame.segments));
        let tally = self.tallies.get_mut(slot);
        if outcome.retransmit {
            tally.retransmits[from] += segments;
            self.counts.retransmits += u64::from(segments);
        }
        if outcome.out_of_order {
            tally.out_of_order[from] += segments;
        }
    }

    /// Follows a frame without a TCP segment that may change the state.
    #[cold]
    fn other(&mut self, slot: u32, frame: &Descriptor, ended: &mut impl EndedFlows) {
        let hot = self.hot.get(slot);
        let state = if keeps_state(frame) { hot.state } else { classify::state_after(hot.state, frame) };
        let mut roles = hot.roles;
        if let Some(asks) = classify::asks_for_echo(frame) {
            roles.learn(asks, Evidence::Application);
        }
        self.enter(slot, frame.tick, state, roles);
        if let Some(code) = code_of(frame).filter(|code| !self.round_trips.get(slot).has_code(*code)) {
            self.add_code(slot, code);
        }
        self.inspect_header(slot, frame, ended);
    }

    /// Notes what a message of ICMP or ARP was.
    fn add_code(&mut self, slot: u32, code: u16) {
        let mut codes = self.facts(slot).codes();
        match codes.add(code) {
            Some(0) => self.round_trips.get_mut(slot).set_codes(codes),
            Some(_) => self.tallies.get_mut(slot).set_codes(codes),
            None => {}
        }
    }

    /// Puts a flow into a state after its first packet.
    #[inline]
    fn enter(&mut self, slot: u32, now: Tick, state: FlowState, roles: Roles) {
        let hot = self.hot.get_mut(slot);
        let (before, was_embryo) = (hot.state, is_embryo(hot));
        hot.roles = roles;
        hot.roles.set_answered();
        if state != before {
            // A final state's lifetime runs from here.
            hot.tick = now;
            hot.state = state;
            self.counts.half_open -= u64::from(is_half_open(before));
            self.counts.half_open += u64::from(is_half_open(state));
            // NB: a deadline may be too early, never too late: one that only moves back need not be told.
            if lives_for(state) < lives_for(before) {
                self.expect_end(slot, now, state);
            }
        }
        if was_embryo != is_half_open(state) {
            self.embryos.put(slot, !was_embryo);
        }
    }

    #[inline(never)]
    fn begin(
        &mut self,
        frame: &Descriptor,
        wide: &WideKey,
        volume: &mut Volume,
        ended: &mut impl EndedFlows,
    ) -> u32 {
        let slot = self.take_slot(ended);
        let local = self.locals_among(frame, wide);
        let (initiator, evidence) = self.initiator_of(frame, local);
        let mut hot = Hot {
            key: frame.key,
            last: frame.wall,
            tick: frame.tick,
            roles: Roles::new(initiator, evidence, local),
            iface: frame.iface,
            ..Hot::default()
        };
        let origin = self.origins.get_mut(slot);
        let generation = origin.generation.wrapping_add(1);
        let notes = u16::from(frame.flags) & note::MORE_HEADERS;
        *origin = Origin { first: frame.wall, generation, vlan: frame.vlan, notes };
        if let Some(code) = code_of(frame) {
            self.add_code(slot, code);
        }
        if frame.key.is_wide() {
            *self.ends.get_mut(slot) = WideEnds(wide.ends);
            if frame.key.kind & kind::EXTENDED != 0 {
                *self.extensions.get_mut(slot) = wide.extension;
            }
        }
        if has_segment(frame) {
            let track = &mut self.tcp[slot as usize];
            *track = TcpTrack::default();
            let outcome = track.segment(&segment_of(frame, false, hot.roles), hot.roles.subject());
            hot.state = outcome.state;
            if let Some((end, evidence)) = outcome.initiator {
                hot.roles.learn(usize::from(end), evidence);
                hot.state = track.state(hot.roles.subject());
            }
        } else {
            hot.state = classify::state_after(FlowState::Active, frame);
            if frame.key.proto == proto::TCP {
                self.tcp[slot as usize] = TcpTrack::default();
            }
        }
        let irregular = count(&mut hot, frame, volume);
        let inspected = self.inspector.is_some() && matches!(frame.key.proto, proto::TCP | proto::UDP);
        hot.roles.set_inspected(inspected);
        *self.hot.get_mut(slot) = hot;
        self.counts.half_open += u64::from(is_half_open(hot.state));
        self.index.insert(frame.hash, slot);
        self.embryos.put(slot, true);
        self.chunks[slot as usize / CHUNK].live += 1;
        self.expect_end(slot, frame.tick, hot.state);
        self.counts.opened += 1;
        self.counts.live += 1;
        if irregular {
            self.count_irregular(slot, frame);
        }
        if !inspected {
            self.inspect_header(slot, frame, ended);
        }
        if inspected && says_something(frame) { slot } else { NONE }
    }

    /// Returns which end began a flow, judged by its first frame and, of TCP that had begun before, by our ports.
    #[inline]
    fn initiator_of(&self, frame: &Descriptor, local: [bool; 2]) -> (usize, Evidence) {
        let judged = classify::initiator_of(frame);
        if local == [false; 2] || judged.1 > Evidence::Port || !has_segment(frame) {
            return judged;
        }
        let opener = self.config.locals.opener(local, frame.key.ports);
        opener.map_or(judged, |end| (end, Evidence::Port))
    }

    fn take_slot(&mut self, ended: &mut impl EndedFlows) -> u32 {
        if self.free_len == 0 && self.used == self.config.capacity {
            self.evict(ended);
        }
        if self.free_len > 0 {
            self.free_len -= 1;
            return self.free[self.free_len];
        }
        let slot = self.used;
        self.used += 1;
        self.approach_fresh(slot);
        if slot.is_multiple_of(CHUNK) {
            self.hot.extend_to(self.used);
            self.origins.extend_to(self.used);
            self.round_trips.extend_to(self.used);
            self.tallies.extend_to(self.used);
            self.ends.extend_to(self.used);
            self.extensions.extend_to(self.used);
        }
        slot as u32
    }

    /// Starts loading the records that flows soon begin in, if they were never used: memory fresh from the system.
    #[inline]
    fn approach_fresh(&self, slot: usize) {
        const SOON: usize = 4;
        if slot.is_multiple_of(CHUNK) {
            return;
        }
        prefetch(self.hot.address(slot as u32).wrapping_add(SOON));
        prefetch(self.tcp.address(slot + SOON));
    }

    #[inline]
    fn is_flow(&self, slot: u32, frame: &Descriptor, wide: &WideKey) -> bool {
        let key = &self.hot.get(slot).key;
        if !key.matches(&frame.key) {
            return false;
        }
        !key.is_wide() || is_wide_flow(key.kind, slot, wide, &self.ends, &self.extensions)
    }

    /// Returns which ends of a frame's key are ours.
    #[inline]
    fn locals_among(&self, frame: &Descriptor, wide: &WideKey) -> [bool; 2] {
        let locals = &self.config.locals;
        if locals.is_empty() {
            return [false; 2];
        }
        frame.key.addresses(wide).map(|address| locals.contains(address))
    }
}

/// Counts a frame to a flow; returns whether there is more to count.
#[inline(always)]
fn count(hot: &mut Hot, frame: &Descriptor, volume: &mut Volume) -> bool {
    let from = frame.from();
    hot.bytes[from] += u64::from(frame.wire_len);
    hot.frames[from] += 1;
    // A final state's lifetime runs from its beginning.
    if !hot.state.counts_from_entry() {
        hot.tick = frame.tick;
    }
    let earlier = frame.wall < hot.last;
    if !earlier {
        hot.last = frame.wall;
    }
    volume.add_frame(u64::from(frame.segments), u64::from(frame.wire_len));
    earlier || frame.segments != 1 || frame.flags & flag::SEGMENTS_UNKNOWN != 0
}

/// Moves a flow's home to the frame's interface if it was silent at home; says whether it did.
#[cold]
fn move_home(hot: &mut Hot, frame: &Descriptor) -> bool {
    let silent = frame.wall.since(hot.last) >= HOME_MOVES_AFTER;
    if silent {
        hot.iface = frame.iface;
    }
    silent
}

static NO_WIDE_KEY: WideKey = WideKey {
    ends: [[0; 16]; 2],
    extension: Extension {
        outer: [0; 2],
        tunnel_id: 0,
        tunnel: 0,
        depth: 0,
        vlan: 0,
        iface: 0,
        zero: [0; 6],
    },
};

/// Returns the rest of a frame's key.
#[inline(always)]
fn wide_of<'a>(lines: &'a [Line], candidate: &Candidate<'_>) -> &'a WideKey {
    match lines.get(candidate.at as usize + 1) {
        Some(line) if candidate.frame.key.is_wide() => line.wide(),
        _ => &NO_WIDE_KEY,
    }
}

/// Returns whether the flow in a slot has this wide key; its `FlowKey` is the frame's.
fn is_wide_flow(
    bits: u8,
    slot: u32,
    wide: &WideKey,
    ends: &Slab<WideEnds>,
    extensions: &Slab<Extension>,
) -> bool {
    let same_extension = bits & kind::EXTENDED == 0 || *extensions.get(slot) == wide.extension;
    ends.get(slot).0 == wide.ends && same_extension
}

/// Returns whether the frame has a TCP header of its own that could be read.
#[inline]
fn has_segment(frame: &Descriptor) -> bool {
    frame.key.proto == proto::TCP && !keeps_state(frame)
}

/// Returns the type and code of an ICMP message, or the operation of an ARP one.
#[inline]
fn code_of(frame: &Descriptor) -> Option<u16> {
    if frame.key.kind & kind::ARP != 0 {
        return Some(frame.seq_number as u16);
    }
    let is_icmp = matches!(frame.key.proto, proto::ICMP | proto::ICMPV6);
    (is_icmp && !keeps_state(frame)).then_some(frame.ack_number as u16)
}

/// Returns whether the frame says nothing about its flow's state.
#[inline]
fn keeps_state(frame: &Descriptor) -> bool {
    frame.flags & (flag::FRAGMENT | flag::NO_TRANSPORT) != 0
}

/// Returns whether the frame has something to inspect: payload, or the end of a direction.
#[inline]
fn says_something(frame: &Descriptor) -> bool {
    let closes = frame.tcp_flags & (tcp_flag::FIN | tcp_flag::RST) != 0;
    // Without a branch, which any two frames may differ in.
    ((frame.payload_len != 0) | closes) & !keeps_state(frame)
}

/// Returns whether another frame like this one cannot change the state of its flow.
#[inline]
fn is_settled(hot: &Hot, frame: &Descriptor) -> bool {
    hot.roles.is_answered() && (frame.key.proto == proto::UDP || keeps_state(frame))
}

#[inline]
fn segment_of(frame: &Descriptor, late: bool, roles: Roles) -> Segment {
    Segment {
        from: frame.from(),
        seq_number: frame.seq_number,
        ack_number: frame.ack_number,
        window: frame.window,
        window_scale: frame.window_scale,
        flags: frame.tcp_flags,
        payload_len: frame.payload_len,
        wall: frame.wall,
        late,
        subject_is_local: roles.is_local(roles.subject()),
    }
}

/// Returns whether the flow is among those that are evicted first.
fn is_embryo(hot: &Hot) -> bool {
    hot.is_live() && (!hot.roles.is_answered() || is_half_open(hot.state))
}

fn is_half_open(state: FlowState) -> bool {
    matches!(state, FlowState::SynSent | FlowState::SynRecv)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests;
