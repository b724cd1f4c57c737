//! Where the selection goes, and what lies under the mouse.

use super::*;
use ratatui::layout::Rect;

impl App {
    pub(super) fn go(&mut self, action: Action) {
        let half = (self.height / 2).max(1) as i32;
        let by = match action {
            Action::Move(rows) => rows,
            Action::HalfScreens(2) => self.height.max(1) as i32,
            Action::HalfScreens(-2) => -(self.height.max(1) as i32),
            Action::HalfScreens(n) => n * half,
            _ => 0,
        };
        let to = |place: usize| match action {
            Action::First => 0,
            Action::Last => usize::MAX,
            _ => place.saturating_add_signed(by as isize),
        };
        if self.group_by().is_some() {
            return self.move_in_groups(action, to);
        }
        if self.tab != Tab::Overview {
            if !matches!(action, Action::Line(_)) {
                let scroll = &mut self.scroll[self.tab.place()];
                *scroll = to(*scroll);
            }
            return;
        }
        match action {
            Action::First => self.select(0),
            Action::Last => {
                self.select(usize::MAX);
                if self.sort == Sort::default() {
                    self.cursor = Cursor::Last;
                }
            }
            Action::Line(line) => {
                let twice = self
                    .last_click
                    .is_some_and(|(at, when)| at == line && self.uptime.since(when) < DOUBLE_CLICK);
                self.last_click = Some((line, self.uptime));
                self.select(self.shown.0 + usize::from(line));
                if twice {
                    self.enter();
                }
            }
            _ => self.select(self.selected.saturating_add_signed(by as isize)),
        }
    }

    /// Moves the selection to a place; the table scrolls only if it must.
    pub(super) fn select(&mut self, place: usize) {
        let Some(view) = &self.view else { return };
        let Some(last) = view.places().checked_sub(1) else { return };
        let place = place.min(last);
        self.cursor = match view.at(place) {
            Some(row) => Cursor::On(row.id),
            None => Cursor::At(place),
        };
        let top = self.selected.saturating_sub(self.line);
        self.line = place.saturating_sub(top).min(self.height.saturating_sub(1));
        self.selected = place;
    }

    /// Settles what the table shows in this part of a screen.
    pub fn settle(&mut self, table: Rect) {
        let (width, height) = (table.width, usize::from(table.height));
        (self.height, self.table_y) = (height, table.y);
        if let Some(panel) = self.panel() {
            panel.top = panel.top.clamp(panel.place.saturating_sub(height.saturating_sub(1)), panel.place);
        }
        let look = self.look(width);
        let Some(view) = &self.view else { return };
        let places = view.places();
        self.line = self.line.min(height.saturating_sub(1));
        let top = self.selected.saturating_sub(self.line).min(places.saturating_sub(height));
        self.line = self.selected.saturating_sub(top);
        let end = (top + height).min(places);
        let there = |place| view.at(place).is_some();
        if end > top && there(top) && there(end - 1) || places == 0 {
            self.shown = (top, self.selected);
        }
        let rows = (self.shown.0..self.shown.0 + height).filter_map(|place| view.at(place));
        self.wishes.learn(rows, &look, self.uptime);
    }

    /// Returns what a click on a cell of the screen asks for.
    pub fn clicked(&self, x: u16, y: u16) -> Option<Action> {
        if y == 0 {
            return hit(&self.hits.tabs, x).map(Action::Go);
        }
        if self.overlay.is_some() || !matches!(self.tab, Tab::Overview | Tab::Hosts | Tab::Processes) {
            return None;
        }
        if y == self.hits.header_y {
            return match self.group_by() {
                None => hit(&self.hits.columns, x).map(Action::SortColumn),
                Some(_) => hit(&self.hits.sums, x).map(Action::SortSums),
            };
        }
        let line = y.checked_sub(self.table_y).filter(|line| usize::from(*line) < self.height)?;
        let is_there = match self.group_by() {
            Some(_) => {
                let place = self.group_places().0 + usize::from(line);
                self.groups().is_some_and(|g| g.at(place).is_some())
            }
            None => self.view.as_ref()?.at(self.shown.0 + usize::from(line)).is_some(),
        };
        is_there.then_some(Action::Line(line))
    }
}

/// Returns what has this cell between its first and its last one.
fn hit<T: Copy>(all: &[(u16, u16, T)], x: u16) -> Option<T> {
    all.iter().find(|(from, to, _)| (*from..=*to).contains(&x)).map(|(.., what)| *what)
}
