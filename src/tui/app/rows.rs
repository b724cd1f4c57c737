//! Which rows are wanted, in which order.

use super::*;
use crate::{
    query::{
        column::{COLUMNS, Column},
        layout,
        sort::SORTS,
    },
    tui::terms,
};

impl App {
    /// Sorts so.
    pub fn set_sort(&mut self, sort: Sort) {
        if self.sort != sort {
            self.sort = sort;
            self.changed();
        }
    }

    pub(super) fn sort_next(&mut self) {
        match self.panel() {
            Some(panel) => (panel.sort, panel.flipped) = (panel.sort.next(), false),
            None => self.set_sort(self.sort.next()),
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

    /// Returns the cells of a column, as last drawn.
    pub(super) fn width_of(&self, column: ColumnId) -> Option<u16> {
        self.hits.columns.iter().find(|(.., id)| *id == column).map(|(from, to, _)| to - from)
    }

    /// Returns the cells that the sort column has at least: for its header with the arrow, and its ports.
    pub(super) fn narrowest(&self, column: ColumnId) -> u16 {
        let least = |c: &Column| c.least.max(layout::with_arrow(c, c.short));
        COLUMNS.iter().find(|c| c.id == column).map_or(0, least)
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
