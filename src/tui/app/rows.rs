//! Which rows are wanted, in which order.

use super::*;
use crate::{
    query::sort::SORTS,
    tui::{terms, view::groups},
};

impl App {
    /// Sorts so.
    pub fn set_sort(&mut self, sort: Sort) {
        if self.sort != sort {
            // In another order nothing is the newest: the selection stays on its connection.
            if let (Cursor::Last, Some(row)) = (self.cursor, self.selected_row()) {
                self.cursor = Cursor::On(row.id);
            }
            self.sort = sort;
            self.changed();
        }
    }

    pub(super) fn sort_next(&mut self) {
        let Some(by) = self.group_by() else { return self.set_sort(self.sort.next()) };
        let next = self.group_sort().0.next(&groups::sorts(self, by));
        self.sort_sums(next);
        if let Some(panel) = self.panel() {
            panel.flipped = false;
        }
    }

    pub(super) fn sort_sums(&mut self, by: GroupSort) {
        if let Some(panel) = self.panel() {
            (panel.sort, panel.flipped) = (by, panel.sort == by && !panel.flipped);
        }
    }

    pub(super) fn sort_column(&mut self, column: ColumnId) {
        let mut of_column = SORTS.iter().filter(|row| row.column == Some(column));
        let Some(first) = of_column.next() else { return };
        // The header of both rates goes through both.
        let next = match (self.sort.by == first.by, of_column.next()) {
            (true, Some(second)) if self.sort.descending != first.descending => Sort::by(second.by),
            (true, _) => self.sort.flipped(),
            (false, Some(second))
                if self.sort.by == second.by && self.sort.descending == second.descending =>
            {
                self.sort.flipped()
            }
            (false, _) => Sort::by(first.by),
        };
        self.set_sort(next);
    }

    /// Makes the sort column wider, or narrower: as far as its header with the arrow, and its ports.
    pub(super) fn widen(&mut self, by: i16) {
        let Some(column) = self.sort.by.row().column else { return };
        let before = self.width_of(column);
        let columns = self.columns.clone();
        self.columns.widen(column, by);
        let is_narrower = self.columns.wider(column) < 0;
        if by < 0 && is_narrower && before.is_some() && self.width_of(column) == before {
            self.columns = columns;
            return self.say("this column cannot be narrower", Role::Warn);
        }
        // What others need is never cut for it.
        if by > 0 && !is_narrower && self.width_of(column) == before {
            self.columns = columns;
            return self.say("this column cannot be wider here", Role::Warn);
        }
        self.effects.push(Effect::KeepColumns(self.columns.clone()));
    }

    /// Shows the usual columns, each as wide as usual; the config keeps no others any more.
    pub(super) fn reset_columns(&mut self) {
        let columns = Choice::default();
        if self.columns != columns {
            self.columns = columns.clone();
            self.effects.push(Effect::KeepColumns(columns));
        }
    }

    /// Returns the cells that a column has, if it is shown.
    fn width_of(&self, column: ColumnId) -> Option<u16> {
        let sorted = self.sort.by.row().column.filter(|_| self.is_sorted());
        let places = self.wishes.places(self.screen_width, &self.columns, sorted);
        places.iter().find(|place| place.column.id == column).map(|place| place.width)
    }

    /// Puts a filter in force, as if it had been typed.
    pub fn set_filter(&mut self, text: &str) {
        if self.filter.set(text, self.setup.services) {
            self.changed();
        }
        if let Some(problem) = &self.filter.problem {
            let reason = problem.reason.clone();
            self.say(reason, Role::Bad);
        }
    }

    /// Takes note of what was typed into the filter's line.
    pub fn filter_typed(&mut self) {
        if self.filter.typed(self.setup.services) {
            self.changed();
        }
    }

    /// Closes the filter's line and keeps the filter, if what is typed is one.
    pub fn filter_kept(&mut self) {
        if self.filter.keep() {
            self.effects.push(Effect::Remember(self.filter.history.clone()));
        }
    }

    /// Closes the filter's line and shows everything.
    pub fn filter_cleared(&mut self) {
        self.filter.clear();
        self.changed();
    }

    pub(super) fn like_this(&mut self, exclude: bool) {
        let Some(row) = self.selected_row() else { return };
        let term = terms::of_row(row, self.sort.by, &self.look(u16::MAX));
        let term = if exclude { format!("!{term}") } else { term };
        let filter = terms::joined(self.filter.text(), &term);
        self.set_filter(&filter);
        self.filter.keep();
    }
}
