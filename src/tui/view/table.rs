//! The table of connections.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    base::time::Stamp,
    flow::state::EndReason,
    query::{
        column::{self, Align, ColumnId, Look},
        filter::matching,
        format,
        layout::Place,
        sort::SortBy,
        text,
        window::View,
    },
    snapshot::row::Row,
    tui::{app::App, theme::Role},
};

/// Draws the headers; that of the sort column with its arrow.
pub fn draw_header(buf: &mut Buffer, area: Rect, app: &App, places: &[Place]) {
    let sorted = app.sort.by.row().column.filter(|_| app.is_sorted());
    for place in places {
        let column = place.column;
        let is_sorted = sorted == Some(column.id);
        let role = if is_sorted { Role::Sorted } else { Role::Header };
        let room = usize::from(place.width);
        let behind = if is_sorted { 2 } else { 0 };
        let fits = text::width(column.header) + behind <= room;
        let header = if fits { column.header } else { column.short };
        let header = match is_sorted {
            true => sorted_header(app, header, room),
            false => text::clip(header, room, app.setup.signs.ellipsis).into_owned(),
        };
        put(buf, area, place, &header, app.setup.theme.style(role));
    }
}

/// `Remote Address ↑`, `Down↓/Up`: the arrow is the direction, down is largest first.
fn sorted_header(app: &App, header: &str, room: usize) -> String {
    let arrow = if app.sort.descending { app.setup.signs.down } else { app.setup.signs.up };
    match app.sort.by {
        SortBy::Down => format!("Down{arrow}/Up"),
        SortBy::Up => format!("Down/Up{arrow}"),
        _ => text::with_sign(header, arrow, room, app.setup.signs.ellipsis),
    }
}

/// Draws the rows that are shown.
pub fn draw_rows(buf: &mut Buffer, area: Rect, app: &App, view: &View, places: &[Place]) {
    let look = app.look(area.width);
    let (top, selected) = app.shown();
    for line in 0..area.height {
        let place = top + usize::from(line);
        let Some(row) = view.at(place) else { continue };
        let kept = kept(view, row);
        // Time stands still for what is gone.
        let look = if kept.is_some() { Look { wall: row.last, ..look } } else { look };
        let line = Line { app, look: &look, row, selected: place == selected, kept };
        line.draw(buf, Rect { y: area.y + line_y(place, top), height: 1, ..area }, places);
    }
}

fn line_y(place: usize, top: usize) -> u16 {
    (place - top) as u16
}

/// Since when and why a row is gone that stays because it is selected.
fn kept(view: &View, row: &Row) -> Option<(Stamp, Option<EndReason>)> {
    view.gone.as_ref().filter(|k| k.row.id == row.id).and_then(|k| k.ended)
}

/// Returns why a row ended, to stand behind the time: ` (FIN)`; nothing if that is not known.
pub fn why(reason: Option<EndReason>) -> String {
    match reason {
        Some(EndReason::Fin) => " (FIN)".into(),
        Some(EndReason::Rst) => " (RST)".into(),
        Some(reason) => format!(" ({})", reason.key()),
        None => String::new(),
    }
}

/// Returns when a row of an ended flow ended.
pub fn end_of(row: &Row) -> Option<Stamp> {
    row.ended()
}

/// Cells of a column below which nothing stands in what another one has left of it.
const LEAST_REST: u16 = 4;

struct Line<'a> {
    app: &'a App,
    look: &'a Look,
    row: &'a Row,
    selected: bool,
    kept: Option<(Stamp, Option<EndReason>)>,
}

impl Line<'_> {
    fn draw(&self, buf: &mut Buffer, area: Rect, places: &[Place]) {
        let (app, row) = (self.app, self.row);
        let theme = &app.setup.theme;
        let (role, mark) = self.age();
        let style = theme.style(role);
        // The band over the selected row is of one colour, between cells, too.
        buf.set_style(area, style);
        // Up to where a long text goes on over columns behind its own, with a blank.
        let mut until = 0;
        let has_sign = !theme.has_color() && !self.is_over() && column::is_fading(row);
        let is_before_rate = |next: Option<&Place>| next.is_some_and(|n| n.column.id == ColumnId::Bandwidth);
        for (n, place) in places.iter().enumerate() {
            let taken = u16::saturating_sub(until, place.x);
            let (x, width) = (place.x + taken, place.width.saturating_sub(taken));
            // A blank stays before the sign of a rate that fades.
            let width = width - u16::from(has_sign && width > 1 && is_before_rate(places.get(n + 1)));
            let place = &Place { x, width, ..*place };
            // The rest of a cell has room for a sign that something is missing, and that is not said of it.
            if taken > 0 && width < LEAST_REST {
                continue;
            }
            let is_rate = place.column.id == ColumnId::Bandwidth;
            let clock = |at: Stamp| format::clock(at, (app.setup.utc_offset)(at));
            let cell = match (place.column.id, self.kept, end_of(row)) {
                (ColumnId::State, Some((at, reason)), _) => {
                    let text = format!("ended {}{}", clock(at), why(reason));
                    let room = Place { width: place.width.max(text::width(&text) as u16), ..*place };
                    until = place.x + room.width + 1;
                    put(buf, area, &room, &text, style);
                    continue;
                }
                // What has ended moves nothing: its end stands there.
                (ColumnId::Bandwidth, None, Some(at)) => clock(at).into(),
                _ => (place.column.cell)(row, self.look, place.width.into()),
            };
            let fading = is_rate && !self.is_over() && column::is_fading(row);
            let style = if fading && role == Role::Plain { theme.style(Role::Warn) } else { style };
            if fading && !theme.has_color() {
                let sign = app.setup.signs.fading.to_string();
                buf.set_stringn(area.x + place.x - 1, area.y, sign, 1, style);
            }
            let cell = text::clip(&cell, place.width.into(), app.setup.signs.ellipsis);
            let x = put(buf, area, place, &cell, style);
            self.underline(buf, x, area.y, &cell);
        }
        let sign = if self.selected && mark == ' ' { app.setup.signs.selected } else { mark };
        buf.set_stringn(area.x, area.y, sign.to_string(), 1, style);
        if self.selected {
            buf.set_style(area, theme.band());
        }
    }

    /// Underlines the letters that a fuzzy search found.
    fn underline(&self, buf: &mut Buffer, x: u16, y: u16, cell: &str) {
        let Some(letters) = self.app.fuzzy() else { return };
        for at in matching::fuzzy_places(cell, letters).into_iter().filter(|at| cell.is_char_boundary(*at)) {
            let x = x + text::width(&cell[..at]) as u16;
            buf.set_style(Rect { x, y, width: 1, height: 1 }, self.app.setup.theme.style(Role::Found));
        }
    }

    fn is_over(&self) -> bool {
        self.kept.is_some() || self.row.end.is_some()
    }

    /// Returns the role of a row and the sign in its first cell, by the share of its life that it
    /// has been silent.
    fn age(&self) -> (Role, char) {
        let signs = &self.app.setup.signs;
        let is_watched = || self.app.view.as_ref().is_some_and(|view| view.watched.contains(&self.row.id));
        let marked = match () {
            () if self.app.marks.contains(&self.row.id) => '*',
            () if is_watched() => signs.watched,
            () => ' ',
        };
        match self.row.staleness() {
            _ if self.is_over() => (Role::Dim, marked),
            s if s > 0.90 => (Role::Bad, signs.dying),
            s if s >= 0.75 => (Role::Warn, signs.aging),
            _ => (Role::Plain, marked),
        }
    }
}

/// Draws a cell; returns where its text begins.
fn put(buf: &mut Buffer, area: Rect, place: &Place, text: &str, style: Style) -> u16 {
    let free = usize::from(place.width).saturating_sub(text::width(text)) as u16;
    let indent = if place.column.align == Align::Right { free } else { 0 };
    let x = area.x + place.x + indent;
    buf.set_stringn(x, area.y, text, (place.width - indent).into(), style);
    x
}
