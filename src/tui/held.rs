//! Keys that came before the rows that they are meant for: whoever types `5` and Right, or a filter and `=`, in one go
//! means what is about to be shown, not what was.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crossterm::event::Event;

use crate::tui::{app::App, input};

/// Longer than rows take to come; a key that waited so long does what it can.
const LONGEST: Duration = Duration::from_millis(300);
/// Keys that wait at most: more are no hands.
const MOST: usize = 64;

/// The keys that wait, in order, each with the time at which it came.
#[derive(Default)]
pub struct Held(VecDeque<(Event, Instant)>);

impl Held {
    /// Returns an event, which came now, if it can be taken now; one that cannot is kept, and so is what comes behind
    /// it.
    pub fn pass(&mut self, app: &App, event: Event, now: Instant) -> Option<Event> {
        let is_behind = !self.0.is_empty() && !input::never_waits(&event);
        if !is_behind && !input::waits(app, &event) || self.0.len() >= MOST {
            return Some(event);
        }
        self.0.push_back((event, now));
        None
    }

    /// Returns the next event that waits no longer, and when it came.
    pub fn next(&mut self, app: &App, now: Instant) -> Option<(Event, Instant)> {
        let (first, _) = self.0.front()?;
        if input::waits(app, first) && self.left(now).is_some_and(|left| !left.is_zero()) {
            return None;
        }
        self.0.pop_front()
    }

    /// Returns how long the first event goes on waiting at most.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.0.front().map(|(_, came)| LONGEST.saturating_sub(now.duration_since(*came)))
    }
}
