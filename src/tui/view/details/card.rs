//! A titled list of fields.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    query::text,
    tui::{app::App, theme::Role, view::overview, widget::strip::Strip},
};

/// A titled list of fields.
pub struct Card {
    /// What its fields are about.
    pub title: &'static str,
    /// In fixed order.
    pub fields: Vec<Field>,
}

/// A label with its value.
pub type Field = (Cow<'static, str>, String);

/// Cells of the labels of most cards, and of the longest ones: names of facts.
const LABEL: u16 = 15;
const LONG_LABEL: u16 = 20;

impl Card {
    /// Returns a card.
    pub fn new(title: &'static str, fields: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self { title, fields: fields.into_iter().map(|(label, value)| (label.into(), value)).collect() }
    }

    /// Returns its lines, with its title.
    pub fn lines(&self) -> u16 {
        self.fields.len() as u16 + 1
    }

    /// Returns the cells of its labels, a blank behind them.
    fn label_cells(&self) -> u16 {
        let longest = self.fields.iter().map(|(label, _)| text::width(label)).max().unwrap_or(0);
        (longest as u16 + 1).clamp(LABEL, LONG_LABEL)
    }
}

/// Draws a field.
pub fn draw_field(
    buf: &mut Buffer,
    area: Rect,
    app: &App,
    card: &Card,
    (label, value): &Field,
    selected: bool,
) {
    let theme = &app.setup.theme;
    let behind = card.label_cells();
    let label = text::clip(label, usize::from(behind) - 1, app.setup.signs.ellipsis);
    buf.set_stringn(area.x + 1, area.y, &*label, behind.into(), theme.style(Role::Dim));
    let room = usize::from(area.width.saturating_sub(behind + 2));
    let value = text::clip(value, room, app.setup.signs.ellipsis);
    buf.set_stringn(area.x + 1 + behind, area.y, &*value, room, theme.style(Role::Plain));
    if selected {
        buf.set_style(area, theme.band());
    }
}

/// Returns the line above a card.
pub fn title(app: &App, title: &'static str) -> Strip {
    let mut rule = overview::rule(app);
    rule.left(9, [app.run(Role::Strong, title)]);
    rule
}
