//! The lines of the page: rules, and the items between them, which the cursor goes to and Enter explains.

use ratatui::style::Style;

use crate::{
    query::text,
    tui::{app::App, theme::Role},
};

/// Texts of a line with their styles.
pub type Runs = Vec<(String, Style)>;

/// What is said of an item when somebody asks: names with texts.
pub type About = Vec<(String, String)>;

/// Cells before the values of a field.
const LABEL: usize = 16;

/// The page in the making.
pub struct Page {
    /// Cells of a line.
    pub width: u16,
    /// What it consists of, from top to bottom.
    pub parts: Vec<Part>,
}

/// A part of the page.
pub enum Part {
    /// A rule with a title, and what stands at its end.
    Rule(&'static str, String),
    /// One or more lines.
    Item(Item),
}

/// Lines that belong together.
pub struct Item {
    /// What it is.
    pub about: About,
    /// At least one.
    pub lines: Vec<Runs>,
}

impl Page {
    /// Returns an empty page.
    pub fn new(width: u16) -> Self {
        Self { width, parts: Vec::new() }
    }

    /// Adds a rule.
    pub fn rule(&mut self, title: &'static str, right: impl Into<String>) {
        self.parts.push(Part::Rule(title, right.into()));
    }

    /// Adds an item of these lines.
    pub fn item(&mut self, about: About, lines: Vec<Runs>) {
        self.parts.push(Part::Item(Item { about, lines }));
    }

    /// Adds a name with its value, on as many lines as that needs.
    pub fn field(&mut self, app: &App, (name, meaning): (&str, &str), value: &str, role: Role) {
        let label = [format!("  {name:<14}"), " ".repeat(LABEL)];
        let lines = self.beside(LABEL, value).into_iter().enumerate();
        let lines =
            lines.map(|(n, line)| vec![app.run(Role::Dim, label[n.min(1)].as_str()), app.run(role, line)]);
        self.item(about(name, meaning), lines.collect());
    }

    /// Returns a text on lines that have so many cells before it.
    pub fn beside(&self, cells: usize, text: &str) -> Vec<String> {
        // A margin on either side; on the narrowest lines words are broken.
        text::wrap(text, usize::from(self.width).saturating_sub(cells + 2).max(8))
    }

    /// Returns its items.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.parts.iter().filter_map(|part| match part {
            Part::Rule(..) => None,
            Part::Item(item) => Some(item),
        })
    }
}

/// Returns what one name means.
pub fn about(name: &str, meaning: &str) -> About {
    vec![(name.to_owned(), meaning.to_owned())]
}
