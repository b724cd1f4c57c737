//! The table of connections.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    query::{
        column::{self, Align, ColumnId, Look},
        format,
        layout::Place,
        text,
        window::View,
    },
    snapshot::row::Row,
    tui::{app::App, theme::Role},
};

/// Draws the headers.
pub fn draw_header(buf: &mut Buffer, area: Rect, app: &App, places: &[Place]) {
    let style = app.setup.theme.style(Role::Header);
    for place in places {
        let column = place.column;
        let fits = column.header.len() <= place.width.into();
        put(buf, area, place, if fits { column.header } else { column.short }, style);
    }
}

/// Draws the rows that are shown.
pub fn draw_rows(buf: &mut Buffer, area: Rect, app: &App, view: &View, places: &[Place]) {
    let look = app.look(area.width);
    let (top, selected) = app.shown();
    for line in 0..area.height {
        let place = top + usize::from(line);
        let Some(row) = view.at(place) else { continue };
        let area = Rect { y: area.y + line, height: 1, ..area };
        let gone = view.gone.as_ref().filter(|k| k.row.id == row.id).and_then(|k| k.ended);
        let ended = gone.map(|(at, _)| format!("ended {}", format::clock(at, (app.setup.utc_offset)(at))));
        draw_row(buf, area, app, &look, row, ended.as_deref(), place == selected, places);
    }
}

#[expect(clippy::too_many_arguments, reason = "one cell depends on all of it, once a row")]
fn draw_row(
    buf: &mut Buffer,
    area: Rect,
    app: &App,
    look: &Look,
    row: &Row,
    ended: Option<&str>,
    selected: bool,
    places: &[Place],
) {
    let theme = &app.setup.theme;
    let (role, mark) = age(row, ended.is_some(), app);
    let style = theme.style(role);
    for place in places {
        let cell = match (place.column.id, ended) {
            (ColumnId::State, Some(ended)) => ended.into(),
            _ => (place.column.cell)(row, look, place.width.into()),
        };
        let fading = place.column.id == ColumnId::Bandwidth && ended.is_none() && column::is_fading(row);
        let style = if fading && role == Role::Plain { theme.style(Role::Warn) } else { style };
        if fading && !theme.color {
            buf.set_stringn(area.x + place.x - 1, area.y, app.setup.signs.fading.to_string(), 1, style);
        }
        let cell = text::clip(&cell, place.width.into(), app.setup.signs.ellipsis);
        put(buf, area, place, &cell, style);
    }
    let sign = if selected && mark == ' ' { app.setup.signs.selected } else { mark };
    buf.set_stringn(area.x, area.y, sign.to_string(), 1, style);
    if selected {
        buf.set_style(area, theme.band());
    }
}

/// Returns the role of a row and the sign in its first cell, by the share of its life that it has
/// been silent.
fn age(row: &Row, ended: bool, app: &App) -> (Role, char) {
    match row.staleness() {
        _ if ended => (Role::Dim, ' '),
        s if s > 0.90 => (Role::Bad, app.setup.signs.dying),
        s if s >= 0.75 => (Role::Warn, app.setup.signs.aging),
        _ => (Role::Plain, ' '),
    }
}

fn put(buf: &mut Buffer, area: Rect, place: &Place, text: &str, style: ratatui::style::Style) {
    let free = usize::from(place.width).saturating_sub(text::width(text)) as u16;
    let indent = if place.column.align == Align::Right { free } else { 0 };
    buf.set_stringn(area.x + place.x + indent, area.y, text, (place.width - indent).into(), style);
}
