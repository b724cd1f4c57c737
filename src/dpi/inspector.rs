//! Asks recognisers about flows, and keeps what a flow needs until it is classified or given up.
//!
//! Most flows are classified by the first bytes of one side and never get a place in the pool. Those
//! that need more bytes, or an answer, have one until then; when all places are taken, the flow
//! that waits for nothing is given up, else one that has been there for a while.
//!
//! Memory: [`BYTES_PER_FLOW`] bytes for each flow under inspection, and what it needs of the worker's
//! blocks: 17 KB at most, of its stream's beginnings or of its recogniser's memory.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "places in the pool promise that zeros are a value")]

mod places;

pub use crate::dpi::subject::{Flow, InspectorCounts, Judgement, Subject};
use crate::{
    base::{
        bits::Bits,
        ids::FlowId,
        memory::{Advise, Array, OutOfMemory, Record, no_advice, prefetch},
        time::Stamp,
    },
    dpi::{
        asking::{Answer, Asked, Asking, Heads},
        echoes::{Echo, Echoes},
        fact::Fact,
        notes::{Learn, Learned, Phase},
        openings::{Opener, Openings, of_connection},
        pieces::Chain,
        recogniser::{RECOGNISERS, Recogniser, Verdict},
        room::{Kept, Room},
        said::{Memo, Passer, Said},
        service::Service,
        standing::{FOLLOWED, FROM_HIGH, OVER, Place, Standing, TRIED, TRIES},
        stream::{Gaps, Side, Written},
        talk::{MEMORY, STREAM_BUDGET, Streams},
    },
    packet::key::proto,
};

/// Flows of one worker that can be under inspection at once: one in 64, within these bounds.
const PLACES: std::ops::RangeInclusive<usize> = 1024..=16_384;
/// Blocks for each place.
const BLOCKS: usize = 4;
/// Places for each large memory.
const MEMORIES: usize = 32;
/// What a flow under inspection takes in bytes, beside blocks.
pub const BYTES_PER_FLOW: usize = size_of::<Conversation>();
/// Datagrams after which a flow that nobody knows is given up.
pub const MOST_DATAGRAMS: u32 = 12;
/// Segments with payload after which a flow that nobody knows is given up.
pub const MOST_SEGMENTS: u32 = 64;
/// Segments and datagrams after which a flow that is known is settled, whatever its recogniser hopes for.
const MOST_OF_KNOWN: u32 = 512;
/// Beginnings that are tried of a flow whose own was not seen.
const MOST_TRIES: u32 = 4;
/// Segments of a connection that are looked at for such beginnings: behind [`MOST_TRIES`] of them those alone that follow
/// one of the other side, as a request does that comes behind a long answer.
const MOST_PASSED: u32 = 24;
/// Bytes of several segments of such a flow after which the last of them is tried as a beginning, if nobody knows it.
const MOST_OF_A_TRY: usize = 512;
/// Datagrams after which a flow that rests is only followed.
const FACTS_OF_DATAGRAMS: u32 = 8;
/// A flow under inspection. What most payloads touch lies in three cache lines: what was said of the flow crosses into
/// the second one, the sides of a connection are the third.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Conversation {
    /// Recognisers that have not said no; once one knows the flow, see [`Conversation::waits_since`].
    candidates: u128,
    /// The flow; its slot's word points back here while it has this place.
    id: FlowId,
    /// The memory of its recogniser.
    kept: Kept,
    /// The recogniser that knows it, plus 1.
    chosen: u8,
    /// The label that was passed on, plus 1.
    label: u8,
    tries: u8,
    /// It is a connection: of other flows `sides` is never touched, a line that each would have to wait for.
    is_connection: bool,
    /// Payloads seen.
    seen: u32,
    said: Said,
    sides: Line<([Side; 2], [Chain; 2])>,
    apart: Apart,
}

/// What only one kind of flow has; any bytes are a value of both.
#[derive(Clone, Copy)]
#[repr(C)]
union Apart {
    /// Of a connection.
    gaps: [Gaps; 2],
    /// Of datagrams.
    heads: Heads,
    /// Of ICMP.
    echoes: Echoes,
}

impl Apart {
    fn gaps(&mut self) -> &mut [Gaps; 2] {
        // SAFETY: integers, all of them initialised since the pool was made of zeros: any bytes are a value.
        unsafe { &mut self.gaps }
    }

    fn heads(&mut self) -> &mut Heads {
        // SAFETY: bytes; see `gaps`.
        unsafe { &mut self.heads }
    }

    fn echoes(&mut self) -> &mut Echoes {
        // SAFETY: integers; see `gaps`.
        unsafe { &mut self.echoes }
    }
}

impl Conversation {
    /// Returns when its recogniser began to wait. That lies where candidates do: who knows the flow is asked alone.
    fn waits_since(&self) -> Option<Stamp> {
        (self.chosen != 0 && self.candidates != 0).then_some(Stamp(self.candidates as u64))
    }

    /// Takes note that its recogniser waits, unless it does already.
    fn wait(&mut self, now: Stamp) {
        if self.chosen != 0 && self.candidates == 0 {
            self.candidates = u128::from(now.0);
        }
    }
}

/// What lies in one cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line<T>(T);

const _: () = assert!(size_of::<Line<([Side; 2], [Chain; 2])>>() == 64);
const _: () = assert!(size_of::<Conversation>() == 256);
const _: () = assert!(RECOGNISERS.len() < 255);

// SAFETY: integers, booleans (0 is false), a newtype of an integer, arrays of them, and a union of such arrays.
unsafe impl Record for Conversation {}

/// The inspections of one worker.
pub struct Inspector {
    pool: Array<Conversation>,
    /// Places that were given back, as far as `free_len`: the last one is taken first.
    free: Array<u32>,
    free_len: usize,
    /// Places ever taken, from the front.
    used: usize,
    /// Places of flows that wait for nothing: the first to make room.
    resting: Bits,
    /// Where the search for a flow to give up goes on.
    hand: u32,
    standing: Standing,
    room: Room,
    /// Where a stream's bytes are put together, by side.
    scratch: Box<[[u8; STREAM_BUDGET]; 2]>,
    counts: InspectorCounts,
    masks: Masks,
    openings: Box<Openings>,
    /// What was said of a flow by its first payload, before it has a place.
    fresh: Box<Said>,
    memo: Memo,
}

/// Which recognisers look at TCP, which at UDP.
#[derive(Clone, Copy)]
struct Masks {
    streams: u128,
    datagrams: u128,
}

impl Inspector {
    /// Returns one for a table of `capacity` flows. Address space is reserved; memory comes with use.
    ///
    /// # Errors
    /// When the system does not give the address space.
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new(capacity: usize, advise: Advise) -> Result<Self, OutOfMemory> {
        let places = (capacity / 64).clamp(*PLACES.start(), *PLACES.end()).min(capacity.max(1));
        let bits = |has: fn(&Recogniser) -> bool| {
            RECOGNISERS.iter().enumerate().filter(|(_, r)| has(r)).fold(0u128, |mask, (n, _)| mask | 1 << n)
        };
        Ok(Self {
            pool: Array::new(places, advise)?,
            free: Array::new(places, no_advice)?,
            free_len: 0,
            used: 0,
            resting: Bits::new(places),
            hand: 0,
            standing: Standing::new(capacity)?,
            room: Room::new(BLOCKS * places, places.div_ceil(MEMORIES), advise)?,
            scratch: Box::new([[0; STREAM_BUDGET]; 2]),
            counts: InspectorCounts::default(),
            openings: Openings::new(),
            fresh: Box::new(Said::NOTHING),
            memo: Memo::new(),
            masks: Masks {
                streams: bits(|r| r.streams.is_some()),
                datagrams: bits(|r| r.datagram.is_some()),
            },
        })
    }

    /// Returns what was counted since the start.
    pub fn counts(&self) -> InspectorCounts {
        self.counts
    }

    /// Starts loading where the inspection of the flow in a slot stands.
    #[inline(always)]
    pub fn prefetch(&self, slot: u32) {
        self.standing.prefetch(slot);
    }

    /// Returns whether the flow in a slot may be looked at, or there is no such slot.
    #[inline(always)]
    pub fn may_look(&self, slot: u32) -> bool {
        self.standing.may_look(slot)
    }

    /// Starts loading a flow's inspection.
    #[inline]
    pub fn approach(&self, slot: u32, transport: u8) -> Approach {
        let place = match self.standing.place(slot) {
            Place::At(place) => self.pool.address(place).cast::<Line<u8>>(),
            Place::Followed(_) => return Approach::Followed,
            Place::None | Place::Over => return Approach::Begins,
        };
        prefetch(place);
        prefetch(place.wrapping_add(1));
        // The rest is touched where segments come out of order, or nobody knows the datagrams yet.
        match transport {
            proto::TCP => prefetch(place.wrapping_add(2)),
            proto::UDP => {}
            _ => prefetch(place.wrapping_add(3)),
        }
        Approach::Goes
    }

    /// Starts loading the memory of a flow's inspection that goes on, which should be on its way itself.
    #[inline]
    pub fn approach_memory(&self, slot: u32, transport: u8) {
        if let Place::At(place) = self.standing.place(slot) {
            let talk = &self.pool[place];
            match transport {
                proto::TCP => self.room.approach_streams(&talk.sides.0.1),
                proto::UDP => self.room.approach_memory(talk.kept),
                _ => return,
            }
            self.room.approach_said(&talk.said);
        }
    }

    /// Looks at a TCP segment with payload or FIN.
    pub fn segment(&mut self, subject: &Subject<'_>, learn: &mut impl Learn) -> Judgement {
        self.counts.payloads += 1;
        // Of a flow that was tried before, what comes now lies in the middle.
        let in_the_middle;
        let subject = match subject.opened && self.was_tried(subject.flow.slot) {
            true => {
                in_the_middle = Subject { opened: false, starts: [None; 2], ..*subject };
                &in_the_middle
            }
            false => subject,
        };
        let place = match self.standing.place(subject.flow.slot) {
            Place::At(place) => place,
            Place::Over | Place::Followed(_) => return SETTLED,
            Place::None if subject.payload.is_empty() => return Judgement::default(),
            Place::None => {
                if let Some(judgement) = self.pass_over(subject) {
                    return judgement;
                }
                match self.first_segment(subject, learn) {
                    Ok(judgement) => return judgement,
                    Err(candidates) => {
                        let place = self.enter_connection(subject.flow);
                        self.pool[place].candidates = candidates;
                        place
                    }
                }
            }
        };
        let news = self.keep(place, subject);
        let Self { pool, room, scratch, memo, .. } = self;
        let talk = &mut pool[place];
        // A recogniser that knows the flow is told of bytes beyond the budget too: it may count them.
        if !news && talk.chosen == 0 && talk.seen < MOST_SEGMENTS {
            return Judgement::default();
        }
        let [low, high] = &mut **scratch;
        let (sides, chains) = &talk.sides.0;
        let opened = subject.opened && !sides.iter().any(Side::is_late);
        let view = Streams {
            bytes: [
                room.blocks.read(&chains[0], sides[0].shown(), low),
                room.blocks.read(&chains[1], sides[1].shown(), high),
            ],
            ended: [sides[0].has_ended(), sides[1].has_ended()],
            total: [sides[0].shown_total(), sides[1].shown_total()],
            client: subject.client,
            opened,
            ports: subject.ports,
        };
        let asking = Asking { candidates: talk.candidates, chosen: u32::from(talk.chosen) };
        let waited = talk.waits_since().map(|since| subject.wall.since(since));
        room.load_said(&talk.said, memo);
        let generation = talk.id.generation();
        let flow = Flow { generation: &generation, ..subject.flow };
        let mut passer = Passer::new((flow, subject.wall), learn, &mut talk.said, memo);
        let Answer { asked, phase, client, label, waits, .. } = asking.streams(&view, waited, &mut passer);
        let over = view.ended == [true; 2] || talk.seen >= MOST_SEGMENTS;
        // What waits for the rest of something long is the middle of something else, more often than not.
        let is_much = !opened && talk.seen > 1 && view.bytes[0].len() + view.bytes[1].len() > MOST_OF_A_TRY;
        room.save_said(&mut talk.said, memo);
        let settled = self.conclude(place, asked, label, over || is_much, learn);
        if waits {
            self.pool[place].wait(subject.wall);
        }
        if settled && self.pool[place].chosen == 0 && !opened {
            let is_first = self.pool[place].seen == 1;
            let judgement = self.try_again((place, subject.from), over, MOST_PASSED);
            if is_first || judgement.settled {
                return judgement;
            }
            // What came before was the middle of something: perhaps something begins here.
            self.counts.payloads -= 1;
            return self.segment(subject, learn);
        }
        self.counts.given_up += u64::from(settled && self.pool[place].chosen == 0);
        self.leave_if(settled, place);
        Judgement { settled, phase, client }
    }

    /// Puts a segment's bytes to those of its direction; returns whether more are in order than
    /// before, or none will come any more.
    fn keep(&mut self, place: usize, subject: &Subject<'_>) -> bool {
        let talk = &mut self.pool[place];
        let (sides, chains) = &mut talk.sides.0;
        for (side, start) in sides.iter_mut().zip(subject.starts) {
            if let Some(start) = start {
                side.begin(start);
            }
        }
        let from = subject.from & 1;
        let side = &mut sides[from];
        let before = (side.ready, side.has_ended());
        if let Some(Written { at, skip, len }) = side.take(
            &mut talk.apart.gaps()[from],
            subject.seq_number,
            subject.payload.len(),
            subject.wire_len,
        ) {
            let bytes = &subject.payload[skip..skip + len];
            if !self.room.blocks.write(&mut chains[from], at, bytes) {
                side.stop(before.0);
            }
        }
        if subject.closes {
            side.close(subject.seq_number.wrapping_add(subject.wire_len as u32));
        }
        talk.seen += 1;
        let news = (side.ready, side.has_ended()) != before;
        let is_unknown = talk.chosen == 0;
        news | (is_unknown && self.skip_gaps(place, subject.acknowledged))
    }

    /// Goes on behind gaps that stay open, in a connection that nobody knew by what came before them: its recognisers
    /// are asked anew. Returns whether there are such gaps.
    #[inline]
    fn skip_gaps(&mut self, place: usize, acknowledged: [Option<u32>; 2]) -> bool {
        let talk = &mut self.pool[place];
        let (sides, _) = &mut talk.sides.0;
        for (side, number) in sides.iter_mut().zip(acknowledged) {
            if let Some(number) = number {
                side.acknowledge(number);
            }
        }
        let is_lost = sides.iter().any(Side::has_lost);
        if is_lost {
            for (n, side) in sides.iter_mut().enumerate() {
                side.skip_gap(&mut talk.apart.gaps()[n], acknowledged[n]);
            }
            talk.candidates = self.masks.streams;
        }
        is_lost
    }

    /// Returns whether recognisers gave up a flow by the beginning that it had, and were asked about another one since.
    #[inline]
    fn was_tried(&self, slot: u32) -> bool {
        match self.standing.place(slot) {
            Place::At(place) => self.pool[place].tries > 0,
            Place::None => self.standing.get(slot) != 0,
            Place::Over | Place::Followed(_) => false,
        }
    }

    /// Looks at a UDP datagram.
    pub fn datagram(&mut self, subject: &Subject<'_>, learn: &mut impl Learn) -> Judgement {
        self.counts.payloads += 1;
        if subject.payload.is_empty() {
            return Judgement::default();
        }
        let place = match self.standing.place(subject.flow.slot) {
            Place::At(place) => place,
            Place::Over => return SETTLED,
            Place::Followed(n) => {
                let phase = RECOGNISERS[n].follow.and_then(|phase| phase(subject.payload));
                return Judgement { phase, ..Judgement::default() };
            }
            Place::None => return self.first_datagram(subject, learn),
        };
        let Self { pool, room, memo, .. } = self;
        let talk = &mut pool[place];
        let asking = Asking { candidates: talk.candidates, chosen: u32::from(talk.chosen) };
        room.load_said(&talk.said, memo);
        let generation = talk.id.generation();
        let flow = Flow { generation: &generation, ..subject.flow };
        let mut passer = Passer::new((flow, subject.wall), learn, &mut talk.said, memo);
        passer.is_stream = false;
        // Who knows the flow does not compare datagrams any more.
        let heads = if talk.chosen == 0 { talk.apart.heads().get() } else { [&[][..]; 2] };
        let answer = asking.datagram(subject, (talk.seen, heads), room.open(talk.kept), &mut passer);
        room.save_said(&mut talk.said, memo);
        self.answered(place, subject, answer, learn)
    }

    /// Returns whether only the phase of the flow in a slot is followed, and the one that this datagram makes.
    #[inline]
    pub fn followed(&self, slot: u32, payload: &[u8]) -> Option<Option<Phase>> {
        match self.standing.place(slot) {
            Place::Followed(n) => Some(RECOGNISERS[n].follow.and_then(|phase| phase(payload))),
            _ => None,
        }
    }

    /// The first datagram of a flow is judged before it has a place: most need none.
    fn first_datagram(&mut self, subject: &Subject<'_>, learn: &mut impl Learn) -> Judgement {
        let slot = subject.flow.slot;
        let candidates = self.openings.of_datagram(subject.payload);
        debug_assert!(self.others_deny(candidates, subject), "who is not asked would know it");
        if candidates == 0 {
            return self.nobody_knows(slot);
        }
        let asking = Asking { candidates, chosen: 0 };
        let mut kept = Kept::default();
        let Self { room, memo, fresh, .. } = self;
        fresh.clear();
        let mut passer = Passer::new((subject.flow, subject.wall), learn, fresh, memo);
        passer.is_stream = false;
        let answer = asking.datagram(subject, (0, [&[]; 2]), room.open(kept), &mut passer);
        let Answer { phase, client, keeps, label, .. } = answer;
        match answer.asked {
            Asked::Chosen(n, Verdict::Done) => {
                self.room.discard(&mut kept, keeps);
                self.settle_known(subject.flow, label.unwrap_or(RECOGNISERS[n].service), learn);
                Judgement { settled: true, phase, client }
            }
            Asked::Open(0) => self.nobody_knows(slot),
            Asked::Chosen(..) | Asked::Open(_) => {
                let place = self.enter(subject.flow);
                self.said_before(place);
                self.pool[place].apart.heads().clear();
                self.answered(place, subject, answer, learn)
            }
        }
    }

    /// Takes note that a flow without a place is unknown by its datagram.
    fn nobody_knows(&mut self, slot: u32) -> Judgement {
        let settled = !self.may_try(slot, MOST_TRIES);
        self.counts.given_up += u64::from(settled);
        Judgement { settled, ..Judgement::default() }
    }

    /// Returns whether all recognisers but `asked` deny a flow's first datagram.
    fn others_deny(&mut self, asked: u128, subject: &Subject<'_>) -> bool {
        let mut memory = [0; MEMORY];
        let (mut said, mut nobody) = (Said::NOTHING, Nobody);
        let asking = Asking { candidates: self.masks.datagrams & !asked, chosen: 0 };
        let mut passer = Passer::new((subject.flow, subject.wall), &mut nobody, &mut said, &mut self.memo);
        let answer = asking.datagram(subject, (0, [&[]; 2]), &mut memory, &mut passer);
        matches!(answer.asked, Asked::Open(0))
    }

    /// Takes note of what recognisers said about a datagram of the flow at `place`.
    fn answered(
        &mut self,
        place: usize,
        subject: &Subject<'_>,
        answer: Answer,
        learn: &mut impl Learn,
    ) -> Judgement {
        let Answer { asked, phase, client, keeps, label, .. } = answer;
        let talk = &mut self.pool[place];
        if let Asked::Open(_) = asked {
            talk.apart.heads().put(subject.from & 1, subject.payload);
        }
        talk.seen += 1;
        let seen = talk.seen;
        let keeping = matches!(asked, Asked::Chosen(_, Verdict::Is | Verdict::More));
        let has_memory = !keeping || self.room.close(&mut talk.kept, keeps);
        if !keeping {
            self.room.discard(&mut talk.kept, keeps);
        }
        self.counts.displaced += u64::from(!has_memory);
        let rests = matches!(asked, Asked::Chosen(_, Verdict::Rest));
        self.resting.put(place as u32, rests);
        let over = seen >= MOST_DATAGRAMS;
        let settled = self.conclude(place, asked, label, over, learn) || !has_memory;
        let chosen = self.pool[place].chosen;
        if settled && chosen == 0 {
            return self.try_again((place, subject.from), over, MOST_TRIES);
        }
        let can_follow = || RECOGNISERS[usize::from(chosen) - 1].follow.is_some();
        let is_followed = !settled && rests && seen >= FACTS_OF_DATAGRAMS && can_follow();
        self.leave_if(settled || is_followed, place);
        if is_followed {
            self.standing.set(subject.flow.slot, FOLLOWED | u32::from(chosen - 1));
        }
        Judgement { settled, phase, client }
    }

    /// Looks at an ICMP echo. The first one's identifier is learned, and how long a reply with it takes: until then the
    /// flow has a place, if one is free. A sweep of pings takes none from others.
    pub fn echo(&mut self, flow: Flow<'_>, echo: Echo, wall: Stamp, learn: &mut impl Learn) {
        let mut tell = |fact, value: u64| {
            let mut digits = itoa::Buffer::new();
            learn.learned(flow.id(), Learned::Fact(fact, digits.format(value).as_bytes()));
        };
        let place = match self.standing.place(flow.slot) {
            Place::At(place) => place,
            Place::None => {
                tell(Fact::IcmpId, echo.id.into());
                if !self.has_room() {
                    self.standing.set(flow.slot, OVER);
                    return;
                }
                let place = self.enter(flow);
                *self.pool[place].apart.echoes() = Echoes::of(echo.id);
                self.resting.put(place as u32, true);
                place
            }
            Place::Over | Place::Followed(_) => return,
        };
        if let Some(time) = self.pool[place].apart.echoes().see(echo, wall) {
            tell(Fact::IcmpRtt, time.0 / 1000);
            self.leave_if(true, place);
        }
    }

    /// Looks at the hardware address that an ARP reply names. Of a flow whose replies go on naming another one than the
    /// last, so many are learned as are counted beside the digest of the last one.
    pub fn hardware(&mut self, flow: Flow<'_>, address: [u8; 6], learn: &mut impl Learn) {
        const DIGEST: u32 = (1 << 27) - 1;
        const MOST: u32 = 7;
        let word = self.standing.get(flow.slot);
        let (told, times) = if word & TRIES == 0 { (0, 0) } else { (word & DIGEST, word >> 27 & MOST) };
        let [a, b, c, d, e, f] = address.map(u64::from);
        let number = a << 40 | b << 32 | c << 24 | d << 16 | e << 8 | f;
        let digest = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 37) as u32;
        // The same one again is no news.
        if number == 0 || times == MOST || (times > 0 && digest == told) {
            return;
        }
        self.standing.set(flow.slot, TRIES | (times + 1) << 27 | digest);
        let mut text = *b"00:00:00:00:00:00";
        for (pair, byte) in text.chunks_mut(3).zip(address) {
            pair[..2].copy_from_slice(&hex2(byte));
        }
        learn.learned(flow.id(), Learned::Fact(Fact::ArpMac, &text));
    }

    /// Returns whether a datagram begins another connection on the ends of a flow that was closed.
    pub fn renews(&self, slot: u32, payload: &[u8], wire_len: usize) -> bool {
        let Place::At(place) = self.standing.place(slot) else { return false };
        let talk = &self.pool[place];
        let renews = talk.chosen.checked_sub(1).and_then(|n| RECOGNISERS[usize::from(n)].renews);
        renews.is_some_and(|ask| self.room.look(talk.kept).is_some_and(|kept| ask(payload, wire_len, kept)))
    }

    /// Forgets a flow: it ended.
    #[inline]
    pub fn forget(&mut self, slot: u32) {
        let word = self.standing.get(slot);
        if word == 0 {
            // NB: not written to, either: that would take a page that nobody has touched.
            return;
        }
        self.standing.set(slot, 0);
        if word & (TRIES | FOLLOWED) == 0 {
            self.give_back(word as usize - 1);
        }
    }

    /// The first payload of a connection, if it is in order, is judged where it lies.
    /// `Err`: it takes more; these recognisers have not said no.
    fn first_segment(&mut self, subject: &Subject<'_>, learn: &mut impl Learn) -> Result<Judgement, u128> {
        let from = subject.from & 1;
        let in_order = subject.starts[from].is_none_or(|start| start == subject.seq_number);
        let whole = subject.payload.len() == subject.wire_len && subject.wire_len < STREAM_BUDGET;
        if !in_order || !whole || subject.closes {
            return Err(self.masks.streams);
        }
        let candidates = self.masks.streams & of_connection(subject.payload, opener(subject));
        let (mut bytes, mut total): ([&[u8]; 2], _) = ([&[]; 2], [0; 2]);
        (bytes[from], total[from]) = (subject.payload, subject.payload.len() as u64);
        let view = Streams {
            bytes,
            ended: [false; 2],
            total,
            client: subject.client,
            opened: subject.opened,
            ports: subject.ports,
        };
        let Self { fresh, memo, .. } = self;
        fresh.clear();
        let mut passer = Passer::new((subject.flow, subject.wall), learn, fresh, memo);
        let answer = Asking { candidates, chosen: 0 }.streams(&view, None, &mut passer);
        let Answer { asked, phase, client, label, waits, .. } = answer;
        let slot = subject.flow.slot;
        match asked {
            Asked::Chosen(n, Verdict::Done) => {
                self.settle_known(subject.flow, label.unwrap_or(RECOGNISERS[n].service), learn);
                Ok(Judgement { settled: true, phase, client })
            }
            Asked::Chosen(..) => {
                let place = self.enter_connection(subject.flow);
                self.said_before(place);
                self.keep(place, subject);
                self.conclude(place, asked, label, false, learn);
                if waits {
                    self.pool[place].wait(subject.wall);
                }
                Ok(Judgement { settled: false, phase, client })
            }
            Asked::Open(0) if subject.opened || !self.may_try(slot, MOST_PASSED) => {
                self.standing.set(slot, OVER);
                self.counts.given_up += 1;
                Ok(Judgement { settled: true, ..Judgement::default() })
            }
            Asked::Open(0) => Ok(Judgement::default()),
            Asked::Open(candidates) => Err(candidates),
        }
    }

    /// Takes note of a flow that is known and settled by its first payload.
    fn settle_known(&mut self, flow: Flow<'_>, label: Service, learn: &mut impl Learn) {
        learn.learned(flow.id(), Learned::Service(label));
        self.counts.labelled += 1;
        self.standing.set(flow.slot, OVER);
    }

    /// Remembers what was said of a flow before it had this place.
    fn said_before(&mut self, place: usize) {
        let said = &mut self.pool[place].said;
        *said = *self.fresh;
        self.room.save_said(said, &self.memo);
    }

    /// Counts a try of a flow without a place; returns whether it may be tried again.
    fn may_try(&mut self, slot: u32, most: u32) -> bool {
        let word = self.standing.get(slot) | TRIES;
        let may = (word & TRIED) + 1 < most;
        self.standing.set(slot, if may { word + 1 } else { OVER });
        may
    }

    /// Passes over a segment of a connection that was tried as often as all are, unless the other side sent the last one.
    #[inline]
    fn pass_over(&mut self, subject: &Subject<'_>) -> Option<Judgement> {
        let slot = subject.flow.slot;
        let word = self.standing.get(slot);
        if word & TRIES == 0 {
            return None;
        }
        let from = side(subject.from);
        self.standing.set(slot, word & !FROM_HIGH | from);
        let passes = word & TRIED >= MOST_TRIES && word & FROM_HIGH == from;
        passes.then(|| {
            let settled = !self.may_try(slot, MOST_PASSED);
            self.counts.given_up += u64::from(settled);
            Judgement { settled, ..Judgement::default() }
        })
    }

    /// Takes note of what recognisers said; returns whether the flow is settled.
    fn conclude(
        &mut self,
        place: usize,
        asked: Asked,
        label: Option<Service>,
        over: bool,
        learn: &mut impl Learn,
    ) -> bool {
        let talk = &mut self.pool[place];
        match asked {
            Asked::Chosen(n, verdict) => {
                if talk.chosen == 0 {
                    self.counts.labelled += 1;
                    talk.candidates = 0;
                }
                talk.chosen = n as u8 + 1;
                let known = talk.label.checked_sub(1).and_then(Service::from_number);
                let label = label.or(known).unwrap_or(RECOGNISERS[n].service);
                if known != Some(label) {
                    talk.label = label as u8 + 1;
                    learn.learned(talk.id, Learned::Service(label));
                }
                verdict == Verdict::Done
                    || talk.seen >= MOST_OF_KNOWN
                        && talk.is_connection
                        && talk.sides.0.0.iter().any(|side| side.total > 0)
            }
            // Who has known the flow and denies it now has said what there is to say.
            Asked::Open(_) if talk.chosen != 0 => true,
            Asked::Open(candidates) => {
                talk.candidates = candidates;
                candidates == 0 || over
            }
        }
    }

    /// Begins anew with the next payload of a flow that nobody knew by its first ones, of which end `from` sent the last.
    fn try_again(&mut self, (place, from): (usize, usize), over: bool, most: u32) -> Judgement {
        let talk = &mut self.pool[place];
        let (id, tries) = (talk.id, u32::from(talk.tries) + 1);
        self.leave_if(true, place);
        let settled = over || tries >= most;
        if settled {
            self.counts.given_up += 1;
        } else {
            self.standing.set(id.slot(), TRIES | tries | side(from));
        }
        Judgement { settled, ..Judgement::default() }
    }
}

/// Returns the bit that stands for the end that sent something.
const fn side(from: usize) -> u32 {
    if from & 1 == 0 { 0 } else { FROM_HIGH }
}

const fn hex2(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]]
}

/// What is said of a flow that is settled already.
const SETTLED: Judgement = Judgement { settled: true, phase: None, client: None };

/// Returns who sends the first payload of a connection.
fn opener(subject: &Subject<'_>) -> Opener {
    match subject.from & 1 == subject.client {
        _ if !subject.opened => Opener::Unknown,
        true => Opener::Client,
        false => Opener::Server,
    }
}

/// Learns nothing.
struct Nobody;

impl Learn for Nobody {
    fn learned(&mut self, _: FlowId, _: Learned<'_>) {}
}

/// What the inspection of a flow needs, see [`Inspector::approach`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approach {
    /// Nothing but the front of the payload.
    Followed,
    /// The payload; there is no memory yet.
    Begins,
    /// Its memory, too.
    Goes,
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests;
