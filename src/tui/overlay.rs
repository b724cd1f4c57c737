//! What lies over the page: the palette, the chooser of columns, the forms to copy.

use crate::{
    query::{column::COLUMNS, filter::matching, sort::SORTS, window::of_row},
    tui::{
        action::Action,
        app::{App, Effect, Next},
        field::Field,
        keys::KEYS,
        terms,
        theme::ThemeName,
    },
};

/// An overlay.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// Every action by name.
    Palette {
        /// What is typed.
        field: Field,
        /// The selected entry.
        selected: usize,
    },
    /// Which columns are shown.
    Columns {
        /// The selected column.
        selected: usize,
    },
    /// What can be copied of a row: names and texts.
    CopyAs {
        /// The forms.
        forms: Vec<(&'static str, String)>,
        /// The selected one.
        selected: usize,
    },
}

/// An entry of the palette.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key, if it has one.
    pub key: &'static str,
    /// What it does.
    pub text: String,
    /// Why it cannot be done now.
    pub refusal: Option<&'static str>,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Act(Action),
    Sort(usize),
    Theme(ThemeName),
    Refresh(u32),
    Filter(String),
}

impl Overlay {
    /// Returns the palette.
    pub fn palette() -> Self {
        Self::Palette { field: Field::default(), selected: 0 }
    }

    /// Returns the chooser of columns.
    pub fn columns() -> Self {
        Self::Columns { selected: 0 }
    }

    /// Returns the forms in which the selected row can be copied.
    pub fn copy_as(app: &App) -> Self {
        let forms = app.selected_row().map(|row| {
            let line = app.setup.row_line.map(|line| line(&of_row(row)));
            terms::copies(row, line)
        });
        Self::CopyAs { forms: forms.unwrap_or_default(), selected: 0 }
    }

    /// Moves the selection.
    pub fn step(&mut self, by: i32, app_entries: usize) {
        let (selected, len) = match self {
            Self::Palette { selected, .. } => (selected, app_entries),
            Self::Columns { selected } => (selected, COLUMNS.len()),
            Self::CopyAs { forms, selected } => (selected, forms.len()),
        };
        *selected = selected.saturating_add_signed(by as isize).min(len.saturating_sub(1));
    }
}

/// Returns the entries of the palette that fit what is typed, best first.
pub fn entries(app: &App, typed: &str) -> Vec<Entry> {
    let entry = |key, text: String, what| Entry { key, text, refusal: None, what };
    let mut all: Vec<Entry> = KEYS
        .iter()
        .filter(|k| k.action != Action::Palette)
        .map(|k| Entry { refusal: (k.works)(app).err(), ..entry(k.name, k.text.into(), What::Act(k.action)) })
        .collect();
    for (n, row) in SORTS.iter().enumerate() {
        all.push(entry("", format!("sort by {}", row.name), What::Sort(n)));
    }
    for (theme, name) in ThemeName::ALL {
        all.push(entry("", format!("theme {name}"), What::Theme(theme)));
    }
    for ms in [100, 250, 500, 1000, 2000, 5000] {
        all.push(entry("", format!("refresh {ms}"), What::Refresh(ms)));
    }
    let typed = typed.trim();
    if let Some(ms) = typed.strip_prefix("refresh ").and_then(|ms| ms.trim().parse::<u32>().ok()) {
        let refusal = (!(50..=60_000).contains(&ms)).then_some("50 to 60000 milliseconds");
        return vec![Entry { refusal, ..entry("", format!("refresh {ms}"), What::Refresh(ms)) }];
    }
    if let Some(filter) = typed.strip_prefix("filter ") {
        return vec![entry("", format!("filter {filter}"), What::Filter(filter.into()))];
    }
    if typed.is_empty() {
        return all;
    }
    let letters = typed.to_lowercase().replace(' ', "");
    let score = |e: &Entry| {
        let key = e.key == typed;
        let text = matching::fuzzy(e.text.as_bytes(), &letters);
        if key { Some(0) } else { text.map(|s| s + 1) }
    };
    let mut fitting: Vec<(u32, Entry)> = all.into_iter().filter_map(|e| score(&e).map(|s| (s, e))).collect();
    fitting.sort_by_key(|(score, entry)| (entry.refusal.is_some(), *score));
    fitting.into_iter().map(|(_, entry)| entry).collect()
}

impl App {
    /// Does what is selected in the overlay.
    pub fn choose(&mut self) -> Next {
        match self.overlay.clone() {
            Some(Overlay::Palette { field, selected }) => {
                let Some(entry) = entries(self, field.text()).get(selected).cloned() else {
                    return Next::Draw;
                };
                if let Some(refusal) = entry.refusal {
                    self.say(refusal, crate::tui::theme::Role::Warn);
                    return Next::Draw;
                }
                self.overlay = None;
                match entry.what {
                    What::Act(action) => return self.act(action),
                    What::Sort(n) => self.set_sort(crate::query::sort::Sort::by(SORTS[n].by)),
                    What::Theme(theme) => self.setup.theme.name = theme,
                    What::Filter(filter) => self.set_filter(&filter),
                    What::Refresh(ms) => {
                        self.say(format!("refreshed every {ms} ms"), crate::tui::theme::Role::Plain);
                        self.effects.push(Effect::Refresh(ms));
                    }
                }
            }
            Some(Overlay::Columns { selected }) => {
                let width = self.screen_width;
                self.columns.switch(&COLUMNS[selected.min(COLUMNS.len() - 1)], width);
            }
            Some(Overlay::CopyAs { forms, selected }) => {
                self.overlay = None;
                if let Some((_, text)) = forms.into_iter().nth(selected) {
                    self.copy(text);
                }
            }
            None => {}
        }
        Next::Draw
    }
}
