//! What changes of the selected row while one looks at it, and what this host knows of its other end.

use std::collections::VecDeque;

use super::{answers::is_on_its_way, *};
use crate::{query::application, snapshot::row::Direction};

/// What changed of one row, in the order in which it was noticed.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    of: Option<FlowId>,
    seen: Seen,
    changes: VecDeque<(Stamp, String)>,
}

/// What of a row is compared with what it was.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    state: &'static str,
    owner: Option<String>,
    speaks: Option<&'static str>,
}

/// Changes of a row that are kept.
const MOST_CHANGES: usize = 50;
/// How long the hardware address of a neighbour is believed.
const FRESH: Nanos = Nanos::from_secs(5);

impl Seen {
    fn of(row: &Row) -> Self {
        let owner = row.owner.as_ref().filter(|owner| !owner.name.is_empty());
        Self {
            state: row.state_text(),
            owner: owner.map(|owner| match owner.pid {
                Some(pid) => format!("{} ({pid})", owner.name),
                None => owner.name.to_string(),
            }),
            speaks: row.app.as_ref().and_then(|app| application::label(app, row.ports)),
        }
    }

    /// Returns what is new against what was before, and since when: the state by the packets, anything else `now`.
    fn since(&self, before: &Self, row: &Row, now: Stamp) -> Vec<(Stamp, String)> {
        let mut news = Vec::new();
        if self.state != before.state {
            news.push((row.in_state_since(now), format!("{} after {}", self.state, before.state)));
        }
        if let Some(owner) = self.owner.as_ref().filter(|_| self.owner != before.owner) {
            news.push((now, format!("owner found: {owner}")));
        }
        if let Some(speaks) = self.speaks.filter(|_| self.speaks != before.speaks) {
            news.push((now, format!("speaks {speaks}")));
        }
        news
    }
}

impl App {
    /// Takes note of what the newest epoch tells of the selected row.
    pub(super) fn note_changes(&mut self) {
        let Some((row, view)) = self.selected_row().zip(self.view.as_ref()) else { return };
        // How often it is drawn while a file is read says nothing of the file.
        if view.frozen.is_some() || is_on_its_way(view) {
            return;
        }
        let (id, seen) = (row.id, Seen::of(row));
        if self.story.of != Some(id) {
            self.story = Story { of: Some(id), seen, changes: VecDeque::new() };
            return;
        }
        let news = seen.since(&self.story.seen, row, view.wall);
        self.story.seen = seen;
        self.story.changes.extend(news);
        let extra = self.story.changes.len().saturating_sub(MOST_CHANGES);
        self.story.changes.drain(..extra);
    }

    /// Returns what changed of a row while it was the selected one, in the order in which it was noticed. Names are as they
    /// came.
    pub fn changes_of(&self, id: FlowId) -> impl Iterator<Item = &(Stamp, String)> {
        self.story.changes.iter().filter(move |_| self.story.of == Some(id))
    }

    /// Finds out the hardware address of the selected row's other end, if that is a neighbour; returns whether that
    /// is another one than is shown.
    pub fn look_up_neighbour(&mut self) -> bool {
        let Some(row) = self.selected_row() else { return false };
        let address = row.addresses[row.remote()];
        let is_known = |(of, at, _): &(_, Nanos, _)| *of == address && self.uptime.since(*at) < FRESH;
        if row.direction() == Direction::Forwarded || self.neighbour.as_ref().is_some_and(is_known) {
            return false;
        }
        let shown = self.neighbour_of(address);
        let found = self.setup.neighbour.filter(|_| !self.is_file()).and_then(|find| find(address));
        let is_news = found != shown;
        self.neighbour = Some((address, self.uptime, found));
        is_news
    }

    /// Returns the hardware address of a neighbour, once it was found out.
    pub fn neighbour_of(&self, address: IpAddr) -> Option<String> {
        self.neighbour.as_ref().filter(|(of, ..)| *of == address)?.2.clone()
    }
}
