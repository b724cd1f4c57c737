//! Watches: what somebody wants to be told of, and whether it is so now.
//!
//! A watch counts: the connections that its filter finds, frames lost, half-open connections, or the
//! share of segments that were sent again. It fires when that has been above its limit for as long as
//! it says, and stops when it no longer is.

use std::sync::Arc;

use crate::{
    base::time::{Nanos, Stamp},
    query::filter::{
        eval::{Filter, Surroundings},
        plan::Scratch,
    },
    snapshot::view::Snapshot,
};

/// One watch.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Its name on screen; escape it where it is shown.
    pub name: String,
    /// What it counts.
    pub counts: Counted,
    /// It fires above this.
    pub above: f64,
    /// How long the count must be above that.
    pub lasting: Nanos,
    /// Whether it is looked at.
    pub on: bool,
}

impl Watch {
    /// Returns whether it is to be looked at in every epoch of a file: it may cease to fire before the last.
    pub fn wants_epochs(&self) -> bool {
        self.on && !matches!(self.counts, Counted::Lost)
    }
}

/// What a watch counts.
#[derive(Clone, Debug)]
pub enum Counted {
    /// Open connections in a filter; its rows are marked.
    Rows(Arc<Filter>),
    /// Frames lost since the start.
    Lost,
    /// Half-open connections.
    HalfOpen,
    /// Of a hundred packets since the last look, those that were TCP segments sent again.
    Retransmits,
}

/// A watch that fires.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Firing {
    /// Since when.
    pub since: Stamp,
    /// What it counts now.
    pub value: f64,
}

/// The watches that there are without any config; only the first one is on.
pub fn built_in() -> Vec<Watch> {
    let watch =
        |name: &str, counts, above, on| Watch { name: name.into(), counts, above, lasting: Nanos(0), on };
    vec![
        watch("lost > 0", Counted::Lost, 0.0, true),
        watch("half-open > 1,000", Counted::HalfOpen, 1000.0, false),
        watch("retransmits > 2 %", Counted::Retransmits, 2.0, false),
    ]
}

/// Looks at watches from epoch to epoch.
#[derive(Default)]
pub struct Watcher {
    states: Vec<State>,
    /// Engine time, segments sent again and packets at the last look; the share between that and the
    /// one before.
    sent_again: (Nanos, u64, u64),
    share: f64,
    scratch: Scratch,
}

#[derive(Clone, Default)]
struct State {
    name: String,
    /// Since when the count is above the limit, in engine time and on the wall.
    above: Option<(Nanos, Stamp)>,
}

impl Watcher {
    /// Returns which watches fire at this epoch, in their order. A watch with a filter costs a look
    /// at every connection.
    pub fn look(
        &mut self,
        snapshot: &Snapshot,
        watches: &[Watch],
        around: &Surroundings,
    ) -> Vec<Option<Firing>> {
        self.states.resize(watches.len(), State::default());
        self.measure_retransmits(snapshot);
        let mut out = Vec::with_capacity(watches.len());
        for (n, watch) in watches.iter().enumerate() {
            if self.states[n].name != watch.name {
                self.states[n] = State { name: watch.name.clone(), above: None };
            }
            let value = if watch.on { self.count(snapshot, &watch.counts, around) } else { 0.0 };
            let state = &mut self.states[n];
            if !watch.on || value <= watch.above {
                state.above = None;
            } else {
                state.above.get_or_insert((snapshot.now, snapshot.wall));
            }
            let lasted = state.above.filter(|(at, _)| snapshot.now.since(*at) >= watch.lasting);
            out.push(lasted.map(|(_, since)| Firing { since, value }));
        }
        out
    }

    fn count(&mut self, snapshot: &Snapshot, counts: &Counted, around: &Surroundings) -> f64 {
        match counts {
            Counted::Lost => snapshot.lost() as f64,
            Counted::HalfOpen => snapshot.totals.half_open as f64,
            Counted::Retransmits => self.share,
            Counted::Rows(filter) => {
                // Answers are those of one filter.
                self.scratch.forget();
                let mut found = 0_u64;
                for worker in 0..snapshot.workers() {
                    for chunk in 0..snapshot.chunks(worker) {
                        snapshot.look_at(worker, chunk, |_, flow| {
                            found += u64::from(filter.holds(&flow, around, &mut self.scratch));
                        });
                    }
                }
                found as f64
            }
        }
    }

    fn measure_retransmits(&mut self, snapshot: &Snapshot) {
        let (at, again, packets) = self.sent_again;
        if snapshot.now.since(at) < Nanos::from_millis(900) && snapshot.now >= at {
            return;
        }
        let now = (snapshot.now, snapshot.totals.retransmits, snapshot.accounts.packets());
        let packets = now.2.saturating_sub(packets);
        self.share = now.1.saturating_sub(again) as f64 * 100.0 / packets.max(1) as f64;
        self.sent_again = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{query::filter::parse, snapshot::sample};

    #[test]
    fn v15_a_watch_fires_when_its_count_was_above_the_limit_for_long_enough() {
        let end = |text: &str| -> (std::net::IpAddr, u16) { (text.parse().unwrap(), 443) };
        let rows: Vec<_> = (1..=3)
            .map(|n| (sample::record([end("10.0.0.1"), end(&format!("10.0.1.{n}"))], 6), [0.0; 2]))
            .collect();
        let expr = parse("10.0.1").unwrap().expr.unwrap();
        let counts = Counted::Rows(Arc::new(Filter::new(expr, None)));
        let watch = Watch { name: "many".into(), counts, above: 2.0, lasting: Nanos::from_secs(5), on: true };
        let mut watches = built_in();
        watches.push(watch);
        let mut watcher = Watcher::default();
        let mut look = |second: u64, rows: &[_], watches: &[Watch]| {
            let snapshot = sample::of_rows(rows, Nanos::from_secs(second), Stamp(second * 1_000_000_000));
            watcher.look(&snapshot, watches, &Surroundings::default())
        };
        assert_eq!(look(10, &rows, &watches), [None; 4]);
        assert_eq!(look(14, &rows, &watches), [None; 4]);
        let firing = Some(Firing { since: Stamp(10_000_000_000), value: 3.0 });
        assert_eq!(look(15, &rows, &watches), [None, None, None, firing]);
        assert_eq!(look(16, &rows[..2], &watches), [None; 4], "2 are not above 2");
        watches[3].on = false;
        assert_eq!(look(30, &rows, &watches), [None; 4]);
    }
}
