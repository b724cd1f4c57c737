//! The filter while it is typed: what it says, whether it can be read, what is in force.

use std::sync::Arc;

use crate::{
    query::{
        column::ServiceName,
        filter::{Problem, eval::Filter, field::Keyword, parse},
    },
    tui::{
        completion::{self, Completion, Sought},
        field::Field,
    },
};

/// Filters that are remembered.
const MOST_REMEMBERED: usize = 200;

/// The filter's line.
#[derive(Debug, Default)]
pub struct FilterBar {
    /// What is being typed; `None` while the line is closed.
    pub editing: Option<Field>,
    /// Why what is typed is no filter.
    pub problem: Option<Problem>,
    /// From where on the text is not part of the filter yet.
    pub incomplete: Option<usize>,
    /// What was entered, oldest first.
    pub history: Vec<String>,
    recalled: Option<usize>,
    completion: Option<Completion>,
    in_force: Option<Arc<Filter>>,
    /// The text of the filter in force.
    text: String,
}

impl FilterBar {
    /// Returns a closed line that knows what was entered before, oldest first.
    pub fn with_history(history: Vec<String>) -> Self {
        Self { history, ..Self::default() }
    }

    /// Opens the line with the filter that is in force.
    pub fn open(&mut self) {
        self.editing = Some(Field::new(self.text.clone()));
        (self.recalled, self.completion) = (None, None);
    }

    /// Closes the line, keeps the filter and remembers it; returns whether it did. A text that is
    /// no filter, or not all of one, is not entered: the line stays and says why, and the last good
    /// filter stays in force.
    pub fn keep(&mut self) -> bool {
        if let Some((field, start)) = self.editing.as_ref().zip(self.incomplete.take()) {
            self.problem = Some(unfinished(field.text(), start));
        }
        if self.editing.is_some() && self.problem.is_some() {
            return false;
        }
        self.editing = None;
        self.problem = None;
        if !self.text.is_empty() {
            self.history.retain(|known| *known != self.text);
            self.history.push(self.text.clone());
            let extra = self.history.len().saturating_sub(MOST_REMEMBERED);
            self.history.drain(..extra);
        }
        true
    }

    /// Closes the line and shows everything.
    pub fn clear(&mut self) {
        *self = Self { history: std::mem::take(&mut self.history), ..Self::default() };
    }

    /// Takes another text; what cannot be read leaves the last good one in force. Returns whether
    /// that has changed.
    pub fn set(&mut self, text: &str, services: Option<ServiceName>) -> bool {
        match parse(text) {
            Err(problem) => {
                self.problem = Some(problem);
                self.incomplete = None;
                false
            }
            Ok(parsed) => {
                self.problem = None;
                self.incomplete = parsed.incomplete;
                let changed = self.text != text;
                self.text = text.to_owned();
                self.in_force = parsed.expr.map(|expr| Arc::new(Filter::new(expr, services)));
                changed
            }
        }
    }

    /// Reads what is being typed; returns whether the filter in force has changed.
    pub fn typed(&mut self, services: Option<ServiceName>) -> bool {
        let Some(text) = self.editing.as_ref().map(|field| field.text().to_owned()) else { return false };
        self.set(&text, services)
    }

    /// Puts an older or a newer filter into the line.
    pub fn recall(&mut self, older: bool) {
        let last = self.history.len();
        let at = self.recalled.unwrap_or(last);
        let at = if older { at.checked_sub(1) } else { Some(at + 1).filter(|at| *at <= last) };
        if let Some(at) = at {
            self.recalled = Some(at);
            self.editing = Some(Field::new(self.history.get(at).cloned().unwrap_or_default()));
        }
    }

    /// Completes the keyword or value before the cursor as far as it is certain; where that is not far enough,
    /// puts one candidate after the other there. `values` tells values of a keyword among the rows.
    pub fn complete(&mut self, values: impl FnOnce(&'static Keyword, Sought) -> Vec<String>, back: bool) {
        let Some(line) = &mut self.editing else { return };
        match &mut self.completion {
            Some(open) if open.is_of(line) => open.step(line, back),
            completion => *completion = completion::complete(line, values),
        }
    }

    /// Returns what the word before the cursor can become, while Tab asks for that.
    pub fn candidates(&self) -> Option<&Completion> {
        let line = self.editing.as_ref()?;
        self.completion.as_ref().filter(|open| open.is_of(line))
    }

    /// Returns the filter in force.
    pub fn in_force(&self) -> Option<&Arc<Filter>> {
        self.in_force.as_ref()
    }

    /// Returns its text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Says what the term at `start`, the last one, lacks.
fn unfinished(text: &str, start: usize) -> Problem {
    let term = &text[start..];
    let is_regex = term.starts_with('/') || term.contains(":/");
    let reason = match is_regex {
        true => "/ is not closed; in quotes it is text",
        false if term.starts_with('(') && term.matches('(').count() > term.matches(')').count() => {
            ") is missing"
        }
        false if term.starts_with('(') => "nothing stands between ( and )",
        false => "something is missing behind this",
    };
    Problem { start, end: text.len(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> FilterBar {
        let mut bar = FilterBar { editing: Some(Field::new(text)), ..FilterBar::default() };
        bar.typed(None);
        bar
    }

    #[test]
    fn f14_the_last_good_filter_stays_in_force() {
        let mut bar = typed("port:443");
        assert!(bar.in_force().is_some() && bar.problem.is_none());
        assert!(!bar.set("port:443 )", None));
        assert_eq!(bar.text(), "port:443");
        assert!(bar.problem.is_some() && bar.in_force().is_some());
        assert!(bar.set("", None) && bar.in_force().is_none());
    }

    #[test]
    fn f14_what_is_no_filter_is_neither_entered_nor_remembered() {
        for text in [
            "tcp prot:x",
            "tcp rate>",
            "tcp (",
            "tcp proto:",
            "tcp or",
            "tcp /^ab",
            "sni:/ab",
            "tcp \"a b",
            "tcp not",
            "tcp and",
            "tcp ()",
            "and",
        ] {
            let mut bar = typed("tcp");
            bar.editing = Some(Field::new(text));
            bar.typed(None);
            assert!(!bar.keep() && !bar.keep(), "{text}");
            assert!(bar.editing.is_some() && bar.problem.is_some() && bar.history.is_empty(), "{text}");
            assert!(text.starts_with("sni") || bar.in_force().is_some(), "{text}");
            bar.editing = Some(Field::new("tcp"));
            bar.typed(None);
            assert!(bar.keep() && bar.editing.is_none() && bar.history == ["tcp"], "{text}");
        }
    }

    #[test]
    fn f1_what_was_entered_comes_back() {
        let mut bar = FilterBar::default();
        for text in ["a", "b", "a"] {
            bar.set(text, None);
            bar.keep();
        }
        assert_eq!(bar.history, ["b", "a"]);
        bar.clear();
        bar.open();
        let text = |bar: &FilterBar| bar.editing.as_ref().unwrap().text().to_owned();
        bar.recall(true);
        assert_eq!(text(&bar), "a");
        bar.recall(true);
        bar.recall(true);
        assert_eq!(text(&bar), "b");
        bar.recall(false);
        bar.recall(false);
        assert_eq!(text(&bar), "");
    }
}
