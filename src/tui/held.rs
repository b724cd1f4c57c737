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

/// The keys that wait, in order.
#[derive(Default)]
pub struct Held {
    events: VecDeque<Event>,
    /// Since when the first of them waits.
    since: Option<Instant>,
}

impl Held {
    /// Returns an event that can be taken now; one that cannot is kept, and so is what comes behind it.
    pub fn pass(&mut self, app: &App, event: Event, now: Instant) -> Option<Event> {
        let is_behind = !self.events.is_empty() && !input::is_pressing(&event);
        if !is_behind && !input::waits(app, &event) {
            return Some(event);
        }
        self.since.get_or_insert(now);
        self.events.push_back(event);
        None
    }

    /// Returns the next event that waits no longer.
    pub fn next(&mut self, app: &App, now: Instant) -> Option<Event> {
        let first = self.events.front()?;
        if input::waits(app, first) && self.left(now).is_some_and(|left| !left.is_zero()) {
            return None;
        }
        let first = self.events.pop_front();
        self.since = (!self.events.is_empty()).then_some(now);
        first
    }

    /// Returns how long the first event goes on waiting at most.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.since.map(|since| LONGEST.saturating_sub(now.duration_since(since)))
    }
}
