//! The look at all chunks: which rows are shown, with which keys.
//!
//! A large table is looked at in pieces by a few threads at once, which live as long as the look.

use std::{
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

use super::{
    Chunk, Counts, GivenUp, Hand, Question, Rows, Scan, Worker, is_localhost, is_shown, key, may_be_localhost,
};
use crate::{
    base::time::{Nanos, Tick},
    query::{
        filter::eval::{Filter, next_state},
        rest::Rest,
        sort::{Key, Keyer, SortBy},
        window::Localhost,
    },
    snapshot::{
        chunk_rows::ChunkRows,
        view::{Beside, ROWS_A_CHUNK, RowRef, Snapshot, Wanted},
    },
};

/// Chunks in a piece: 32,768 rows.
const PIECE: usize = 512;
/// So many pieces are worth a further thread.
const MANY_PIECES: usize = 4;
/// Threads that look at once; beyond, memory is what they wait for.
pub(super) const MOST_THREADS: usize = 4;

impl Scan {
    /// Looks at all chunks, in several threads if they are many.
    pub(super) fn look_in_pieces(
        &mut self,
        snapshot: &Snapshot,
        question: &Question,
        over: GivenUp,
    ) -> Option<Counts> {
        let Self { keyer, workers, hands, questions, .. } = self;
        let chunks: usize = workers.iter().map(|worker| worker.chunks.len()).sum();
        let look = Look::new(snapshot, question, *questions, keyer);
        let mut pieces: Vec<Piece> = Vec::with_capacity(chunks / PIECE + workers.len());
        for (worker, Worker { chunks, keys }) in workers.iter_mut().enumerate() {
            let parts = chunks.chunks_mut(PIECE).zip(keys.chunks_mut(PIECE * ROWS_A_CHUNK));
            pieces.extend(parts.enumerate().map(|(n, (chunks, keys))| Piece {
                worker,
                first: n * PIECE,
                chunks,
                keys,
            }));
        }
        let helpers = match pieces.len() {
            0..MANY_PIECES => 0,
            _ => thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS) - 1,
        };
        let pieces = Mutex::new(pieces);
        // NB: the lock ends with this expression.
        let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let work = |hand: &mut Hand| {
            let mut counts = Counts::default();
            let mut rest = Rest::default();
            while !over() {
                let Some(piece) = next() else { break };
                counts += look.at(piece, hand);
                rest.now_and_then();
            }
            counts
        };
        let (mine, others) = hands.split_first_mut()?;
        let mut counts = Counts::default();
        thread::scope(|scope| {
            let spawn = |hand| thread::Builder::new().name("query".into()).spawn_scoped(scope, || work(hand));
            // Without a further thread this one does it all.
            let helpers: Vec<_> =
                others.iter_mut().take(helpers).filter_map(|hand| spawn(hand).ok()).collect();
            counts += work(mine);
            for helper in helpers {
                counts += helper.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
        // Whatever was over in time: what is left tells whether all was looked at.
        next().is_none().then_some(counts)
    }
}

/// Some chunks of a worker's table.
struct Piece<'a> {
    worker: usize,
    first: usize,
    chunks: &'a mut [Chunk],
    keys: &'a mut [Key],
}

/// What a look is for.
struct Look<'a> {
    snapshot: &'a Snapshot,
    question: &'a Question<'a>,
    asked: u32,
    keyer: &'a Keyer,
    /// Keys that another question's look made hold for this one too.
    has_plain_keys: bool,
    /// Rows that are not shown get their keys, too: whoever clears the filter has all rows at once. That is done when
    /// nobody waits.
    all_keys: bool,
    /// All rows are asked for.
    is_open: bool,
    /// What the filter cannot hold for is no more than counted: its answers stay, whatever time does.
    sieves: bool,
    /// All rows get their keys, and most are told by hot records.
    keys_of_hot: bool,
    /// Keys are rates.
    by_rate: bool,
    rates: bool,
    tenants: bool,
    /// What is looked at beside all hot records: on what answers, or keys of all rows, depend.
    beside: Beside,
    /// On what keys depend.
    beside_keys: Beside,
    /// Answers may change with time alone.
    ages: bool,
    now: Tick,
    far: Tick,
}

impl<'a> Look<'a> {
    fn new(snapshot: &'a Snapshot, question: &'a Question<'a>, asked: u32, keyer: &'a Keyer) -> Self {
        let needs = question.filter.map(Filter::needs).unwrap_or_default();
        let by = question.sort.by;
        let now = snapshot.now.tick();
        let has_plain_keys = by.has_plain_keys() && question.filter.is_none_or(|f| f.fuzzy().is_none());
        let is_open = question.is_open();
        let beside_keys = if by.needs_facts() { Beside::All } else { Beside::Origins };
        let all_keys = has_plain_keys && (is_open || !question.is_urgent);
        Self {
            snapshot,
            question,
            asked,
            keyer,
            has_plain_keys,
            all_keys,
            is_open,
            sieves: question.filter.is_some_and(|f| !f.ages()) && by != SortBy::State,
            keys_of_hot: (is_open || all_keys) && by.has_hot_keys(),
            by_rate: by.is_rate(),
            rates: needs.rates || by.is_rate(),
            tenants: needs.tenants || matches!(by, SortBy::Application | SortBy::Process),
            beside: match () {
                () if needs.facts => Beside::All,
                () if all_keys || is_open => beside_keys,
                () if question.only.is_some() => Beside::Origins,
                () => Beside::Nothing,
            },
            beside_keys,
            ages: question.filter.is_some_and(Filter::ages),
            now,
            far: Tick(now.0.wrapping_add(Tick::span(Nanos::from_secs(86_400)))),
        }
    }

    /// Brings the answers for a piece up to date.
    fn at(&self, piece: Piece, hand: &mut Hand) -> Counts {
        let Piece { worker, first, chunks, keys } = piece;
        let mut counts = Counts::default();
        for (n, (chunk, keys)) in chunks.iter_mut().zip(keys.chunks_mut(ROWS_A_CHUNK)).enumerate() {
            let place = (worker, first + n);
            let seen = self.version(place);
            let is_asked_anew = chunk.asked != self.asked;
            let knows_keys = is_asked_anew && self.has_keys(chunk, seen);
            let (asked, until) = (self.asked, self.far);
            if knows_keys && self.is_open {
                let (shown, hidden) = (chunk.all, [chunk.hidden[0]; 2]);
                *chunk = Chunk { seen: Some(seen), asked, until, shown, hidden, ..*chunk };
            } else if is_asked_anew || chunk.seen != Some(seen) || chunk.until.since(self.now) == 0 {
                let all = if knows_keys { chunk.all } else { Rows::NONE };
                *chunk = Chunk { seen: Some(seen), asked, until, all, ..Chunk::UNSEEN };
                self.renew(place, chunk, (keys, knows_keys), hand);
            }
            counts.matched += chunk.shown.count();
            counts.all += chunk.all.count();
            (0..2).for_each(|n| counts.hidden[n] += chunk.hidden[n].count_ones() as usize);
        }
        counts
    }

    /// Returns whether what was found out for another question tells the keys of all rows.
    fn has_keys(&self, chunk: &Chunk, [records, rates, _]: [u64; 3]) -> bool {
        self.has_plain_keys
            && chunk.has_all_keys
            && chunk.seen.is_some_and(|[r, s, _]| r == records && (!self.by_rate || s == rates))
    }

    /// Returns numbers that change with what answers for a chunk depend on.
    fn version(&self, (worker, chunk): (usize, usize)) -> [u64; 3] {
        let rates = || self.snapshot.rates_version(worker, chunk);
        let tenants = || self.snapshot.tenants_version(worker, chunk);
        [
            self.snapshot.records_version(worker, chunk),
            if self.rates { rates() } else { 0 },
            if self.tenants { tenants() } else { 0 },
        ]
    }

    /// Gives rows the keys that hot records tell; returns those rows.
    fn tell(&self, rows: &ChunkRows, keys: &mut [Key]) -> Rows {
        let hides = self.question.localhost == Localhost::Hide;
        let (mut live, mut told) = (rows.live, Rows::NONE);
        while live != 0 {
            let bit = live.trailing_zeros();
            live &= live - 1;
            let (hot, origin) = (&rows.hot[bit as usize], &rows.origins[bit as usize]);
            let key = self.keyer.key_of_hot(self.question.sort, hot, origin.first);
            if let Some(key) = key.filter(|_| !hides || !may_be_localhost(hot)) {
                keys[bit as usize] = key;
                told.add(bit, key);
            }
        }
        told
    }

    fn renew(
        &self,
        (worker, at): (usize, usize),
        chunk: &mut Chunk,
        (keys, knows_keys): (&mut [Key], bool),
        hand: &mut Hand,
    ) {
        let Self { question, keyer, .. } = self;
        let mut wanted =
            Wanted { tenants: self.tenants, rates: self.rates, beside: self.beside, slots: u64::MAX };
        let tells_keys = self.keys_of_hot && !knows_keys;
        let sieves = self.sieves && (knows_keys || tells_keys || !self.all_keys);
        // Rows that have their keys.
        let mut told = if knows_keys { u64::MAX } else { 0 };
        if tells_keys || sieves {
            let rows = self.snapshot.chunk_rows(worker, at, wanted);
            if tells_keys {
                chunk.all = self.tell(&rows, keys);
                told = chunk.all.bits;
            }
            wanted.slots = match question.filter {
                Some(filter) if sieves => {
                    let hidden = match question.localhost {
                        Localhost::Hide => rows.pick(may_be_localhost),
                        Localhost::Show => 0,
                    };
                    let untold = if tells_keys { rows.live & !told } else { 0 };
                    filter.sieve(&rows, question.around) | hidden | untold
                }
                _ if self.is_open => {
                    chunk.shown = chunk.all;
                    rows.live & !told
                }
                _ => rows.live,
            };
            if !knows_keys {
                chunk.all.bits |= rows.live & !wanted.slots;
            }
        }
        let catalog = &question.around.catalog;
        self.snapshot.look_at_some(worker, at, wanted, |bit, mut flow| {
            if flow.app.is_some() || flow.owner.is_some() {
                let slot = at * ROWS_A_CHUNK + bit as usize;
                flow.numbers = catalog.numbers(worker, slot, flow.facts.generation);
            }
            if question.localhost == Localhost::Hide && is_localhost(&flow) {
                // It is no row, but counts in sums.
                let is_asked_for = is_shown(&flow, question, &mut hand.scratch);
                chunk.hidden[0] |= 1 << bit;
                chunk.hidden[1] |= u64::from(is_asked_for) << bit;
                if let Some(filter) = question.filter.filter(|_| self.ages) {
                    chunk.until = filter.valid_until(&flow, question.around, chunk.until);
                }
                return;
            }
            let is_told = told >> bit & 1 == 1;
            match self.all_keys {
                _ if is_told => {}
                true => {
                    let key = keyer.key(question.sort, &flow, &mut hand.namer);
                    keys[bit as usize] = key;
                    chunk.all.add(bit, key);
                }
                false => chunk.all.bits |= 1 << bit,
            }
            if let Some(filter) = question.filter.filter(|_| self.ages) {
                chunk.until = filter.valid_until(&flow, question.around, chunk.until);
            }
            if question.sort.by == SortBy::State {
                chunk.until = next_state(&flow, self.now, chunk.until);
            }
            if !is_shown(&flow, question, &mut hand.scratch) {
                return;
            }
            if !self.all_keys && !is_told {
                if self.beside < self.beside_keys {
                    let row = RowRef::in_chunk(worker, at, bit);
                    flow.facts = self.snapshot.facts(row, self.beside_keys);
                }
                keys[bit as usize] = key(keyer, hand, &flow, question);
            }
            chunk.shown.add(bit, keys[bit as usize]);
        });
        chunk.has_all_keys = self.all_keys || knows_keys;
    }
}
