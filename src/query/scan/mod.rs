//! Which rows are shown and what each sorts by, kept from epoch to epoch.
//!
//! Tables come in chunks of 64 slots, and each chunk says by its version whether it has changed.
//! So for the same question at the next epoch only chunks that changed, and those whose time has
//! come, are looked at; the rest is one bit and one key a row, 17 bytes.
//!
//! Each chunk also says between which keys its rows lie, so that a window passes by most of them. How a
//! large table is looked at: [`look`].

mod look;

use std::{
    collections::{HashSet, VecDeque},
    ops::AddAssign,
    sync::Arc,
};

use look::MOST_THREADS;

use crate::{
    base::{
        ids::FlowId,
        time::{Stamp, Tick},
    },
    flow::entry::Hot,
    query::{
        filter::{
            eval::{Filter, Surroundings},
            plan::Scratch,
        },
        sort::{Key, Keyer, Namer, Sort, SortBy},
        window::Localhost,
    },
    snapshot::{
        ended::EndedList,
        flow_view::FlowView,
        view::{ROWS_A_CHUNK, RowRef, Snapshot},
    },
};

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// In the snapshot.
    Live(RowRef),
    /// Among the ended flows, by number after the first that is kept.
    Ended(u32),
    /// It is the one that is kept although it has ended.
    Kept,
}

/// What rows are wanted.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Changes with everything below but the surroundings.
    pub serial: u64,
    /// Which flows.
    pub filter: Option<&'a Filter>,
    /// Connections of this host with itself.
    pub localhost: Localhost,
    /// Only these.
    pub only: Option<&'a Arc<HashSet<FlowId>>>,
    /// In which order.
    pub sort: Sort,
    /// Ended flows, from this number on.
    pub ended: Option<(&'a EndedList, u64)>,
    /// Time and names.
    pub around: &'a Surroundings,
    /// The snapshot is one that does not change.
    pub is_frozen: bool,
    /// Somebody waits for the answer.
    pub is_urgent: bool,
}

impl Question<'_> {
    /// Returns whether all rows are asked for, but for those that are hidden by where they are.
    fn is_open(&self) -> bool {
        self.filter.is_none() && self.only.is_none()
    }
}

/// Says whether nobody waits for an answer any more, as another question has been asked.
pub type GivenUp<'a> = &'a (dyn Fn() -> bool + Sync);

/// How many rows there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that are shown.
    pub matched: usize,
    /// Rows that are shown without a filter.
    pub all: usize,
    /// Rows that are hidden as localhost, and those of them that the filter would show.
    pub hidden: [usize; 2],
    /// Live rows, all of them.
    pub live: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.matched += more.matched;
        self.all += more.all;
        self.hidden = [0, 1].map(|n| self.hidden[n] + more.hidden[n]);
        self.live += more.live;
    }
}

/// The answers so far.
#[derive(Default)]
pub struct Scan {
    keyer: Keyer,
    /// What each thread needs.
    hands: Vec<Hand>,
    asked: Option<Asked>,
    /// How many questions there were.
    questions: u32,
    workers: Vec<Worker>,
    ended: Ended,
}

/// What answers and keys depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Asked {
    serial: u64,
    /// Of the numbers that texts have in keys.
    generation: u64,
    sort: Sort,
    localhost: Localhost,
    is_frozen: bool,
    /// Rows are shown by where they are, not by a filter.
    is_open: bool,
}

impl Asked {
    fn of(question: &Question, generation: u64) -> Self {
        Self {
            serial: question.serial,
            generation,
            sort: question.sort,
            localhost: question.localhost,
            is_frozen: question.is_frozen,
            is_open: question.is_open(),
        }
    }

    /// Returns whether what another question's look found out of all rows holds for this one too.
    fn agrees_with(&self, other: &Self) -> bool {
        let Self { serial, is_open, .. } = *other;
        Self { serial, is_open, ..*self } == *other && self.sort.by.has_plain_keys()
    }
}

/// What one thread knows and writes into while it looks.
#[derive(Default)]
struct Hand {
    scratch: Scratch,
    namer: Namer,
}

#[derive(Default)]
struct Worker {
    chunks: Vec<Chunk>,
    keys: Vec<Key>,
}

#[derive(Clone, Copy)]
struct Chunk {
    /// Versions when it was looked at.
    seen: Option<[u64; 3]>,
    /// The number of the question that it answers.
    asked: u32,
    /// The tick from which the answers no longer hold.
    until: Tick,
    /// The rows that are shown.
    shown: Rows,
    /// The rows that are shown without a filter.
    all: Rows,
    /// Whether all of those have their keys.
    has_all_keys: bool,
    /// Rows that are hidden by where they are, and those of them that the filter would show: one bit each.
    hidden: [u64; 2],
}

/// Some rows of a chunk.
#[derive(Clone, Copy)]
struct Rows {
    /// One bit each.
    bits: u64,
    /// The least and the greatest of their keys.
    bounds: [Key; 2],
}

impl Rows {
    const NONE: Self = Self { bits: 0, bounds: [(u64::MAX, u64::MAX), (0, 0)] };

    #[inline]
    fn add(&mut self, bit: u32, key: Key) {
        self.bits |= 1 << bit;
        self.bounds = [self.bounds[0].min(key), self.bounds[1].max(key)];
    }

    fn count(&self) -> usize {
        self.bits.count_ones() as usize
    }
}

impl Chunk {
    const UNSEEN: Self = Self {
        seen: None,
        asked: 0,
        until: Tick(0),
        shown: Rows::NONE,
        all: Rows::NONE,
        has_all_keys: false,
        hidden: [0; 2],
    };
}

#[derive(Default)]
struct Ended {
    first: u64,
    rows: VecDeque<EndedRow>,
    /// When their keys were made, where those depend on it.
    at: Option<Stamp>,
}

/// How a flow that has ended stands to the question.
#[derive(Clone, Copy)]
enum EndedRow {
    /// It is shown.
    Shown(Key),
    /// The filter does not show it, or it is no more.
    Unasked,
    /// It is hidden by where it is; the filter would show it, or would not.
    Hidden { is_asked_for: bool },
}

impl EndedRow {
    fn key(&self) -> Option<&Key> {
        if let Self::Shown(key) = self { Some(key) } else { None }
    }

    fn counts(self) -> Counts {
        let [matched, all, hidden, asked] = match self {
            Self::Shown(_) => [1, 1, 0, 0],
            Self::Unasked => [0, 1, 0, 0],
            Self::Hidden { is_asked_for } => [0, 0, 1, usize::from(is_asked_for)],
        };
        Counts { matched, all, hidden: [hidden, asked], live: 0 }
    }
}

impl Scan {
    /// Brings the answers up to this epoch; `None` if it was given up, as nobody waits for it any more. What was
    /// found out by then is kept.
    pub fn update(&mut self, snapshot: &Snapshot, question: &Question, over: GivenUp) -> Option<Counts> {
        self.keyer.make_room();
        let mut counts = Counts::default();
        // New labels make all keys void; that happens once in a while. Another look meets the same texts,
        // so it is the last one.
        for _ in 0..2 {
            let asked = Asked::of(question, self.keyer.generation());
            if self.asked != Some(asked) {
                self.turn_to(asked, snapshot);
            }
            counts = self.look(snapshot, question, over)?;
            self.keyer.settle();
            if asked.generation == self.keyer.generation() {
                break;
            }
        }
        Some(counts)
    }

    /// Returns the key of a flow under the question that was asked last.
    pub fn key_of(&mut self, flow: &FlowView, question: &Question) -> Key {
        let Self { keyer, hands, .. } = self;
        if hands.is_empty() {
            hands.push(Hand::default());
        }
        key(keyer, &mut hands[0], flow, question)
    }

    /// Calls `each` for every row that is shown whose key is neither below nor above; returns how many
    /// are below.
    pub fn between(&self, [from, to]: [Key; 2], mut each: impl FnMut(&Key, Spot)) -> usize {
        let mut below = 0;
        for (w, worker) in self.workers.iter().enumerate() {
            for (c, chunk) in worker.chunks.iter().enumerate() {
                let [least, greatest] = chunk.shown.bounds;
                if greatest < from {
                    below += chunk.shown.count();
                    continue;
                }
                if least > to {
                    continue;
                }
                let keys = &worker.keys[c * ROWS_A_CHUNK..][..ROWS_A_CHUNK];
                let mut shown = chunk.shown.bits;
                while shown != 0 {
                    let bit = shown.trailing_zeros();
                    let key = &keys[bit as usize];
                    if *key < from {
                        below += 1;
                    } else if *key <= to {
                        each(key, Spot::Live(RowRef::in_chunk(w, c, bit)));
                    }
                    shown &= shown - 1;
                }
            }
        }
        for (n, row) in self.ended.rows.iter().enumerate() {
            match row.key() {
                Some(key) if *key < from => below += 1,
                Some(key) if *key <= to => each(key, Spot::Ended(n as u32)),
                _ => {}
            }
        }
        below
    }

    /// Calls `each` for every row that is shown.
    pub fn each(&self, mut each: impl FnMut(&Key, Spot)) {
        for (w, worker) in self.workers.iter().enumerate() {
            for (c, chunk) in worker.chunks.iter().enumerate() {
                let keys = &worker.keys[c * ROWS_A_CHUNK..];
                let mut shown = chunk.shown.bits;
                while shown != 0 {
                    let bit = shown.trailing_zeros();
                    each(&keys[bit as usize], Spot::Live(RowRef::in_chunk(w, c, bit)));
                    shown &= shown - 1;
                }
            }
        }
        for (n, row) in self.ended.rows.iter().enumerate() {
            if let Some(key) = row.key() {
                each(key, Spot::Ended(n as u32));
            }
        }
    }

    /// Calls `each` for every row that is asked for and hidden by where it is alone.
    pub fn each_hidden(&self, mut each: impl FnMut(Spot)) {
        for (w, worker) in self.workers.iter().enumerate() {
            for (c, chunk) in worker.chunks.iter().enumerate() {
                let mut hidden = chunk.hidden[1];
                while hidden != 0 {
                    each(Spot::Live(RowRef::in_chunk(w, c, hidden.trailing_zeros())));
                    hidden &= hidden - 1;
                }
            }
        }
        for (n, row) in self.ended.rows.iter().enumerate() {
            if let EndedRow::Hidden { is_asked_for: true } = row {
                each(Spot::Ended(n as u32));
            }
        }
    }

    /// Returns about `size` keys of rows that are shown, evenly over the tables, in order.
    pub fn sample(&self, matched: usize, size: usize) -> Vec<Key> {
        let step = (matched / size.max(1)).max(1);
        let mut out = Vec::with_capacity(size + 2);
        let mut skip = step / 2;
        for worker in &self.workers {
            for (c, chunk) in worker.chunks.iter().enumerate() {
                let count = chunk.shown.count();
                if skip >= count {
                    skip -= count;
                    continue;
                }
                let mut shown = chunk.shown.bits;
                for n in 0..count {
                    if n == skip {
                        out.push(worker.keys[c * ROWS_A_CHUNK + shown.trailing_zeros() as usize]);
                        skip += step;
                    }
                    shown &= shown - 1;
                }
                skip -= count;
            }
        }
        for key in self.ended.rows.iter().filter_map(EndedRow::key) {
            if skip == 0 {
                out.push(*key);
                skip = step;
            }
            skip -= 1;
        }
        out.sort_unstable();
        out
    }

    /// Forgets the answers to the question before, but for what answers this one too.
    fn turn_to(&mut self, asked: Asked, snapshot: &Snapshot) {
        self.keyer.set_base(snapshot.now.tick());
        self.questions = self.questions.wrapping_add(1);
        if !self.asked.is_some_and(|before| asked.agrees_with(&before)) {
            self.workers.iter_mut().for_each(|worker| worker.chunks.fill(Chunk::UNSEEN));
        }
        self.ended = Ended::default();
        self.asked = Some(asked);
    }

    fn look(&mut self, snapshot: &Snapshot, question: &Question, over: GivenUp) -> Option<Counts> {
        self.workers.resize_with(snapshot.workers(), Worker::default);
        for (w, worker) in self.workers.iter_mut().enumerate() {
            let chunks = snapshot.chunks(w);
            worker.chunks.resize(chunks, Chunk::UNSEEN);
            worker.keys.resize(chunks * ROWS_A_CHUNK, (0, 0));
        }
        self.keyer.prepare(question.sort, question.around);
        self.hands.resize_with(MOST_THREADS, Hand::default);
        for hand in &mut self.hands {
            hand.scratch.prepare((question.serial, question.around.catalog.generation()));
            hand.namer.prepare(&self.keyer);
        }
        let mut counts = self.look_in_pieces(snapshot, question, over)?;
        counts.live = counts.all + counts.hidden[0];
        self.look_at_ended(question, &mut counts);
        Some(counts)
    }

    fn look_at_ended(&mut self, question: &Question, counts: &mut Counts) {
        let Self { keyer, hands, ended, .. } = self;
        let Some(hand) = hands.first_mut() else { return };
        let Some((list, from)) = question.ended else {
            *ended = Ended::default();
            return;
        };
        let first = list.first().max(from);
        while ended.first < first && !ended.rows.is_empty() {
            ended.rows.pop_front();
            ended.first += 1;
        }
        if ended.rows.is_empty() {
            ended.first = first;
        }
        for number in ended.first + ended.rows.len() as u64..list.end() {
            let row = list.get(number).map(|flow| flow.view()).map_or(EndedRow::Unasked, |flow| {
                let is_asked_for = is_shown(&flow, question, &mut hand.scratch);
                match question.localhost == Localhost::Hide && is_localhost(&flow) {
                    true => EndedRow::Hidden { is_asked_for },
                    false if is_asked_for => EndedRow::Shown(key(keyer, hand, &flow, question)),
                    false => EndedRow::Unasked,
                }
            });
            ended.rows.push_back(row);
        }
        if question.sort.by == SortBy::Age && ended.at != Some(question.around.wall) {
            // Others grow older, they do not.
            let flows = (ended.first..).map(|number| list.get(number));
            for (row, flow) in ended.rows.iter_mut().zip(flows) {
                if let (EndedRow::Shown(shown), Some(flow)) = (row, flow) {
                    *shown = key(keyer, hand, &flow.view(), question);
                }
            }
            ended.at = Some(question.around.wall);
        }
        ended.rows.iter().for_each(|row| *counts += row.counts());
    }

    /// Returns the number of the first ended flow that is looked at.
    pub fn ended_first(&self) -> u64 {
        self.ended.first
    }
}

fn is_shown(flow: &FlowView, question: &Question, scratch: &mut Scratch) -> bool {
    question.only.is_none_or(|only| only.contains(&flow.id))
        && question.filter.is_none_or(|filter| filter.holds(flow, question.around, scratch))
}

fn key(keyer: &Keyer, hand: &mut Hand, flow: &FlowView, question: &Question) -> Key {
    let Hand { scratch, namer } = hand;
    fitness(flow, question, scratch).unwrap_or_else(|| keyer.key(question.sort, flow, namer))
}

/// Returns the key of a flow that is looked for by letters and not sorted otherwise.
fn fitness(flow: &FlowView, question: &Question, scratch: &mut Scratch) -> Option<Key> {
    let filter = question.filter.filter(|f| f.fuzzy().is_some() && question.sort.by == SortBy::Created)?;
    let misfit = u64::from(filter.misfit(flow, question.around, scratch));
    Some((if question.sort.descending { !misfit } else { misfit }, flow.facts.first.0))
}

/// Returns whether a connection is one of this host with itself: both ends are loopback
/// addresses, or the same one of ours.
fn is_localhost(flow: &FlowView) -> bool {
    if !may_be_localhost(flow.hot) {
        return false;
    }
    if flow.hot.key.is_wide() {
        let [low, high] = flow.addresses();
        return low == high || low.is_loopback() && high.is_loopback();
    }
    true
}

/// The same as far as the hot record tells: of a wide key, that it cannot be.
fn may_be_localhost(hot: &Hot) -> bool {
    if hot.key.is_wide() {
        // Only an address of ours can be ::1, so the wide key is looked up for few.
        return hot.roles.is_local(0) && hot.roles.is_local(1);
    }
    let [low, high] = [(hot.key.ends >> 32) as u32, hot.key.ends as u32];
    low >> 24 == 127 && high >> 24 == 127 || low == high && hot.roles.is_local(0)
}
