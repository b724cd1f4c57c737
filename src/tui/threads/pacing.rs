//! When new epochs are shown.

use std::time::{Duration, Instant};

use crate::snapshot::publication::LONGEST_EPOCH;

/// What a screen begins with comes as it is known.
const BEGINNING: Duration = Duration::from_secs(2);
/// By so much an epoch may come before its time and still be shown.
const SLACK: Duration = Duration::from_millis(100);

/// When new epochs are shown. Cuts follow the refresh up to once a second; what is slower is kept here.
pub struct Pacing {
    /// New epochs are shown no more often.
    pub refresh: Duration,
    /// Until then every epoch is shown, so that there is something to see.
    begin: Instant,
    /// When rows were found last.
    shown: Option<Instant>,
    /// When an epoch is shown that came too early.
    pub later: Option<Instant>,
}

impl Pacing {
    /// Returns what begins at `now`.
    pub fn new(refresh: Duration, now: Instant) -> Self {
        Self { refresh, begin: now + BEGINNING, shown: None, later: None }
    }

    /// Returns whether an epoch, or one that was put off, is to be shown at `now`.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let next = self
            .shown
            .filter(|_| self.refresh > Duration::from_nanos(LONGEST_EPOCH.0))
            .map(|at| at + self.refresh);
        self.later = next.filter(|at| now + SLACK < *at);
        self.later.is_none()
    }

    /// Returns whether an epoch waits until its time has come.
    pub fn is_put_off(&self) -> bool {
        self.later.is_some()
    }

    /// Takes note that rows were found.
    pub fn show(&mut self, now: Instant) {
        (self.shown, self.later) = (Some(now).filter(|now| *now > self.begin), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_shown_no_more_often_than_asked_for_and_none_is_forgotten() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pacing = Pacing::new(Duration::from_secs(5), start);
        let mut shown = Vec::new();
        let mut seen = |pacing: &mut Pacing, ms| {
            if pacing.is_due(at(ms)) {
                pacing.show(at(ms));
                shown.push(ms);
            }
        };
        (1..=15).for_each(|second| seen(&mut pacing, second * 1000));
        // Nothing follows: what was put off is shown when its time has come.
        assert_eq!(pacing.later, Some(at(18_000)));
        seen(&mut pacing, 17_950);
        assert_eq!(pacing.later, None);
        pacing.refresh = Duration::from_millis(500);
        seen(&mut pacing, 18_000);
        assert_eq!(shown, [1000, 2000, 3000, 8000, 13_000, 17_950, 18_000]);
    }
}
