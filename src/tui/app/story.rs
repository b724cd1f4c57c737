//! What changes of the selected row while one looks at it.

use std::collections::VecDeque;

use super::{answers::is_on_its_way, *};
use crate::query::application;

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
}
