//! How fast everything goes: the totals of each second, exact, and the history of them.
//!
//! A second's rates are what came between two reckonings over the time between them. Live that is about
//! a second by the clock; of a file it is a second of its packets. Where less has passed, at the end of
//! a file or when records were lost on the way, the second is made full with its share of the one before.
//! Where it is known before when a file ends, there is a cut a second before that, and nothing is made full:
//!
//! ```text
//!   history     28           29           30
//!   frames    ... |  .  .  .  |  .  .  .  |
//!   cuts          |        X  |        T        the rate at T: what came from X to 29, and from 29 to T
//! ```
//!
//! The reckonings at X and at 29 are parts of the one at T, and no epoch is shown or told between 28 and T.

use std::sync::Arc;

use crate::{
    base::{
        counters::Accounts,
        time::{Nanos, Stamp},
    },
    capture::source::Clock,
    packet::descriptor::Cut,
    pipeline::rates::{DownUp, Span},
    snapshot::{history::History, view::Totals},
};

/// Rates are reckoned over a second.
const RATE_INTERVAL: Nanos = Nanos::from_millis(950);
const SECOND: Nanos = Nanos::from_secs(1);
/// What the first live reckoning is over, at least and at most: frames wait from when the capture was opened.
const SHORTEST: Nanos = Nanos::from_millis(100);
const LONGEST: Nanos = Nanos::from_secs(10);

/// Reckons totals a second.
pub struct Tempo {
    clock: Clock,
    /// Of a file: what usually lies between two reckonings.
    usual: Nanos,
    last: Option<Reckoned>,
    /// Of a file whose last second has begun.
    last_second: Option<LastSecond>,
    /// What came in parts of a second that the history has not got yet, and how long these are.
    waiting: Option<(Nanos, [f64; 3])>,
    /// The program has stood still since the last reckoning.
    stood: bool,
    /// The totals of the last hour.
    pub history: Arc<History>,
}

/// The last second of a file, which is cut where the history's seconds end.
#[derive(Clone, Copy)]
struct LastSecond {
    begins: Nanos,
    /// Something of it has been reckoned.
    has_part: bool,
}

#[derive(Clone, Copy)]
struct Reckoned {
    now: Nanos,
    packets: u64,
    opened: u64,
    closed: u64,
}

impl Tempo {
    /// Returns one at engine time 0; cuts come about `interval` apart.
    pub fn new(clock: Clock, interval: Nanos) -> Self {
        let usual = Nanos(RATE_INTERVAL.0.next_multiple_of(interval.0.max(1)));
        Self {
            clock,
            usual,
            last: None,
            last_second: None,
            waiting: None,
            stood: false,
            history: Arc::default(),
        }
    }

    /// Says that the whole program has stood still for longer than a second: what came in the seconds since the last
    /// reckoning is known as a sum only, without what found no room meanwhile. The history has a gap there.
    pub fn stood_still(&mut self) {
        self.stood = true;
    }

    /// Returns whether the next reckoning is the first of a live capture: what it hears of has come since that was
    /// opened, some time before the engine.
    pub fn begins_live(&self) -> bool {
        self.clock == Clock::Live && self.last.is_none()
    }

    /// Returns the time that is to be reckoned at a cut, if it is due; `now` is whether it must be. `since` is when the
    /// first frame of all came, where the first live reckoning is to begin.
    pub fn due(&self, cut: &Cut, now: bool, since: Option<Stamp>) -> Option<Span> {
        let passed = cut.now.since(self.last.map_or(Nanos(0), |last| last.now));
        if self.last.is_some() && passed < RATE_INTERVAL && !cut.last && !now && !self.in_parts(cut) {
            return None;
        }
        if let Some(since) = since {
            let heard = cut.wall.since(since).min(LONGEST).max(passed).max(SHORTEST);
            return Some(Span { passed, heard, window: heard, rest: Nanos(0) });
        }
        // A file without a frame for long has no cut then, so that all came at the end of it.
        let heard = match self.clock {
            Clock::Live => passed,
            Clock::Frames => passed.min(self.usual),
        };
        let window = if heard >= RATE_INTERVAL { heard } else { SECOND };
        if self.in_parts(cut) {
            // What came in the parts of the last second is added up; what came before it does not count.
            let is_later = !cut.last_second && self.last_second.is_some_and(|last| last.has_part);
            let window = if cut.last_second { window } else { SECOND };
            let rest = if is_later { SECOND } else { Nanos(0) };
            return Some(Span { passed, heard, window, rest });
        }
        Some(Span { passed, heard, window, rest: window - heard })
    }

    /// Returns whether a cut is one of those by which a file's last second is reckoned: where it begins, and all within it.
    fn in_parts(&self, cut: &Cut) -> bool {
        cut.last_second || self.last_second.is_some_and(|last| cut.now.since(last.begins) <= SECOND)
    }

    /// Returns whether what is reckoned at a cut is a part of the last second, or of what came before it: that is no rate,
    /// and nobody is to see it.
    pub fn is_in_part(&self, cut: &Cut) -> bool {
        self.in_parts(cut) && !cut.last
    }

    /// Sets the totals of the second before a cut, in which `came` bytes came.
    pub fn reckon(
        &mut self,
        cut: &Cut,
        span: &Span,
        came: DownUp<u64>,
        accounts: &Accounts,
        totals: &mut Totals,
    ) {
        let before = self.last.unwrap_or(Reckoned { now: Nanos(0), packets: 0, opened: 0, closed: 0 });
        let now = Reckoned {
            now: cut.now,
            packets: accounts.packets(),
            opened: totals.opened,
            closed: totals.closed,
        };
        let packets = now.packets.saturating_sub(before.packets) as f64;
        totals.down = span.rate(came.down as f64, totals.down);
        totals.up = span.rate(came.up as f64, totals.up);
        totals.packets_per_second = span.rate(packets, totals.packets_per_second);
        // What is heard of first was mostly there before.
        let opened = if self.begins_live() { 0 } else { now.opened - before.opened };
        totals.opened_per_second = span.rate(opened as f64, totals.opened_per_second);
        totals.closed_per_second = span.rate((now.closed - before.closed) as f64, totals.closed_per_second);
        let in_parts = self.in_parts(cut);
        let history = Arc::make_mut(&mut self.history);
        if span.passed > span.heard {
            history.push_silence(before.now, Nanos(cut.now.0 - span.heard.0));
        }
        let mut came = [came.down as f64, came.up as f64, packets];
        let (waited, waiting) = self.waiting.take().unwrap_or_default();
        came.iter_mut().zip(waiting).for_each(|(sum, n)| *sum += n);
        let over = span.heard + waited;
        // Where a file's last second begins, one of the history does not end.
        if std::mem::take(&mut self.stood) {
            // What it said would be a mean over seconds of which nobody knows.
        } else if in_parts && !cut.last && over < RATE_INTERVAL {
            self.waiting = Some((over, came));
        } else {
            // The first frames have waited for longer, and a file's last second was not all of one.
            let is_whole = self.last.is_none() || cut.last;
            history.push(cut.now, if is_whole { over.max(span.window) } else { over }, came);
        }
        self.last_second = match self.last_second {
            _ if cut.last_second => Some(LastSecond { begins: cut.now, has_part: false }),
            last => last.map(|last| LastSecond { has_part: true, ..last }),
        };
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{counters::DropReason, ids::Epoch};

    fn cut(ms: u64, last: bool) -> Cut {
        Cut { epoch: Epoch(1), now: Nanos::from_millis(ms), wall: Stamp(ms), last, ..Cut::default() }
    }

    /// Cuts at these times, in ms, with the bytes that came before each; returns down at each that was due.
    fn down(clock: Clock, cuts: &[(u64, u64)]) -> (Vec<f64>, Tempo) {
        let mut tempo = Tempo::new(clock, SECOND);
        let (mut totals, mut accounts) = (Totals::default(), Accounts::default());
        let mut came = DownUp::default();
        let mut all = Vec::new();
        for (n, (ms, bytes)) in cuts.iter().enumerate() {
            came.down += bytes;
            accounts.flows.packets += bytes / 1000;
            // Seen a second time elsewhere: no packets of their own.
            accounts.taken.packets += bytes / 500;
            accounts.drops[DropReason::SeenElsewhere] += bytes / 1000;
            let cut = cut(*ms, clock == Clock::Frames && n + 1 == cuts.len());
            let Some(span) = tempo.due(&cut, false, None) else { continue };
            tempo.reckon(&cut, &span, std::mem::take(&mut came), &accounts, &mut totals);
            assert_eq!(totals.packets_per_second * 1000.0, totals.down);
            all.push(totals.down);
        }
        (all, tempo)
    }

    #[test]
    fn a_constant_rate_is_what_it_is_from_the_first_second_to_the_last() {
        let cuts = [(100, 100_000), (1_100, 1_000_000), (1_600, 500_000), (2_100, 500_000), (3_090, 990_000)];
        // The first cut comes before a second is over.
        assert_eq!(down(Clock::Live, &cuts).0, [1e5, 1e6, 1e6, 1e6]);
        // The last tenth of a second of a file stands behind nine of the one before.
        let cuts = [(1000, 1_000_000), (2000, 1_000_000), (2100, 100_000)];
        let (rates, tempo) = down(Clock::Frames, &cuts);
        assert_eq!(rates, [1e6; 3]);
        assert_eq!(
            tempo.history.parts(0, 60)[57..],
            [Some(1e6), Some(1e6), Some(1e5)],
            "by the packets' second"
        );
    }

    #[test]
    fn where_the_program_stood_still_the_history_has_a_gap_and_the_next_second_is_exact() {
        let mut tempo = Tempo::new(Clock::Live, SECOND);
        let (mut totals, mut accounts) = (Totals::default(), Accounts::default());
        let mut tell = |ms: u64, bytes: u64, stood: bool| {
            if stood {
                tempo.stood_still();
            }
            accounts.flows.packets += bytes / 1000;
            let cut = cut(ms, false);
            let span = tempo.due(&cut, false, None).unwrap();
            let came = DownUp { down: bytes, up: 0 };
            tempo.reckon(&cut, &span, came, &accounts, &mut totals);
            totals.down
        };
        for second in 1..=5 {
            assert_eq!(tell(second * 1000, 1_000_000, false), 1e6);
        }
        tell(15_300, 4_000_000, true);
        assert_eq!(tell(16_300, 2_000_000, false), 2e6);
        assert_eq!(tell(17_300, 3_000_000, false), 3e6);
        let parts = tempo.history.parts(0, 60);
        let known: Vec<_> = parts.iter().map(|part| part.map(|rate| rate as u64)).collect();
        assert_eq!(known[42..47], [Some(1_000_000); 5]);
        assert_eq!(known[47..58], [None; 11]);
        assert_eq!(known[58..], [Some(2_000_000), Some(3_000_000)]);
    }

    #[test]
    fn a_burst_counts_once() {
        let (rates, tempo) = down(Clock::Live, &[(100, 0), (1_090, 0), (2_090, 5_000_000), (3_090, 0)]);
        assert_eq!(rates, [0.0, 0.0, 5e6, 0.0]);
        assert_eq!(tempo.history.mean_and_peak(0, 60).1, 5e6);
    }

    #[test]
    fn a_packet_alone_is_no_more_than_itself() {
        assert_eq!(down(Clock::Frames, &[(0, 1000)]).0, [1000.0]);
        assert_eq!(down(Clock::Live, &[(100, 0), (1_100, 1000), (2_100, 0)]).0, [0.0, 1000.0, 0.0]);
    }

    #[test]
    fn v10_silence_in_a_file_is_no_gap_and_makes_nothing_slower() {
        let (rates, tempo) = down(Clock::Frames, &[(1000, 8000), (31_000, 8000), (31_500, 2000)]);
        assert_eq!(rates, [8000.0, 8000.0, 6000.0]);
        let parts = tempo.history.parts(0, 60);
        assert_eq!(parts.iter().flatten().count(), 32);
        assert_eq!(parts.iter().flatten().sum::<f64>(), 18_000.0, "every byte once");
    }

    #[test]
    fn the_first_live_reckoning_is_over_the_time_that_was_heard() {
        let tempo = Tempo::new(Clock::Live, SECOND);
        assert!(tempo.begins_live() && !Tempo::new(Clock::Frames, SECOND).begins_live());
        let at = Cut { wall: Stamp(5_000_000_000), now: Nanos::from_millis(100), ..cut(100, false) };
        let window = |ago_ms: u64| {
            let since = Stamp(at.wall.0 - ago_ms * 1_000_000);
            let span = tempo.due(&at, false, Some(since)).unwrap();
            assert_eq!((span.heard, span.passed), (span.window, at.now));
            span.window.0 / 1_000_000
        };
        assert_eq!([3, 250, 1500].map(window), [100, 250, 1500]);
        let long_ago = tempo.due(&at, false, Some(Stamp(0))).unwrap();
        assert_eq!(long_ago.window, Nanos::from_secs(5));
    }
}
