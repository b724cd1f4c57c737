//! Counts since the start, or since somebody reset them: the engine goes on counting, the screen leaves out
//! what had been counted by then.

use super::*;
use crate::{base::counters::Accounts, query::watch::Counted};

/// What had been counted at an epoch.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Engine time of its cut.
    pub at: Nanos,
    /// See [`View::accounts`].
    pub accounts: Accounts,
    /// Frames that each stage had handled.
    pub stages: Vec<u64>,
    lost: u64,
    kernel_drops: u64,
    seen: u64,
    closed: u64,
    evicted: u64,
    ended_unreported: u64,
    retransmits: u64,
}

impl Counts {
    fn of(view: &View) -> Self {
        Self {
            at: view.now,
            accounts: view.accounts,
            stages: view.stages.iter().map(|stage| stage.frames).collect(),
            lost: view.lost,
            kernel_drops: view.kernel_drops,
            seen: view.seen,
            closed: view.totals.closed,
            evicted: view.totals.evicted,
            ended_unreported: view.totals.ended_unreported,
            retransmits: view.totals.retransmits,
        }
    }

    /// Leaves them out of a view.
    fn leave(&self, view: &mut View) {
        view.accounts = view.accounts.since(&self.accounts);
        for (stage, before) in view.stages.iter_mut().zip(&self.stages) {
            stage.frames = stage.frames.saturating_sub(*before);
        }
        let totals = &mut view.totals;
        for (count, before) in [
            (&mut view.lost, self.lost),
            (&mut view.kernel_drops, self.kernel_drops),
            (&mut view.seen, self.seen),
            (&mut totals.closed, self.closed),
            (&mut totals.evicted, self.evicted),
            (&mut totals.ended_unreported, self.ended_unreported),
            (&mut totals.retransmits, self.retransmits),
        ] {
            *count = count.saturating_sub(before);
        }
    }
}

impl App {
    /// Counts from 0 again: what has been counted so far is left out from now on.
    pub(super) fn reset_counts(&mut self) {
        self.readings.counted_before = self.counted.clone();
        if let Some(mut view) = self.view.take() {
            Counts::of(&view).leave(&mut view);
            self.recount_losses(&mut view);
            self.view = Some(view);
        }
    }

    /// Leaves out of a new view what was counted before the counts were reset.
    pub(super) fn recount(&mut self, view: &mut View) {
        self.counted = Counts::of(view);
        // Another engine, or a file that is read again from an earlier place, counts anew.
        if view.now < self.readings.counted_before.at || view.seen < self.readings.counted_before.seen {
            self.readings.counted_before = Counts::default();
        }
        if self.readings.has_reset_counts() {
            self.readings.counted_before.leave(view);
            self.recount_losses(view);
        }
    }

    /// A watch for losses fires at those that are shown.
    fn recount_losses(&self, view: &mut View) {
        let lost = view.lost as f64;
        for (watch, firing) in self.watches.iter().zip(&mut view.firing) {
            if let (Counted::Lost, Some(told)) = (&watch.counts, &mut *firing) {
                told.value = lost;
                *firing = firing.filter(|_| lost > watch.above);
            }
        }
    }

    /// Returns whether any frame has come by since the start.
    pub fn has_heard(&self) -> bool {
        self.counted.seen > 0
    }
}
