//! What lies over the page: palette, chooser of columns, forms to copy.

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use crate::{
    query::{column::COLUMNS, text},
    tui::{
        app::App,
        overlay::{Overlay, entries},
        theme::Role,
    },
};

type Line = Vec<(String, ratatui::style::Style)>;

/// Draws the overlay into the middle of the page.
pub fn draw(buf: &mut Buffer, area: Rect, app: &App) {
    let Some(overlay) = &app.overlay else { return };
    let (title, lines, selected): (Line, Vec<Line>, usize) = match overlay {
        Overlay::Palette { field, selected } => {
            let typed = [app.run(Role::Accent, ":"), app.run(Role::Plain, field.text())];
            let (name, style) = app.run(Role::Plain, " ");
            let cursor = (name, style.add_modifier(Modifier::REVERSED));
            let all = entries(app, field.text());
            let line = |e: &crate::tui::overlay::Entry| {
                let role = if e.refusal.is_some() { Role::Dim } else { Role::Plain };
                let why = e.refusal.as_ref().map_or(String::new(), |why| format!("  ({why})"));
                vec![
                    app.run(Role::Accent, format!(" {:<12}", e.key)),
                    app.run(role, format!("{}{why}", e.text)),
                ]
            };
            (typed.into_iter().chain([cursor]).collect(), all.iter().map(line).collect(), *selected)
        }
        Overlay::Columns { selected } => {
            let width = app.screen_width;
            let line = |c: &crate::query::column::Column| {
                let sign = if app.columns.shows(c, width, None) { app.setup.signs.selected } else { ' ' };
                vec![app.run(Role::Accent, format!(" {sign} ")), app.run(Role::Plain, c.header)]
            };
            let title = vec![
                app.run(Role::Strong, "Columns"),
                app.run(Role::Dim, "  Enter shows or hides, Esc closes"),
            ];
            (title, COLUMNS.iter().map(line).collect(), *selected)
        }
        Overlay::List(list) => {
            let name_width = list.lines.iter().map(|l| text::width(&l.name)).max().unwrap_or(0).min(24);
            let line = |line: &crate::tui::overlay::Line| {
                let name = text::escape(&line.name);
                let name = text::clip(&name, name_width, app.setup.signs.ellipsis);
                let blanks = " ".repeat(name_width.saturating_sub(text::width(&name)));
                vec![
                    app.run(Role::Accent, format!(" {name}{blanks}  ")),
                    app.run(Role::Plain, text::escape(&line.text).into_owned()),
                ]
            };
            let title =
                vec![app.run(Role::Strong, list.title), app.run(Role::Dim, format!("  {}", list.hint))];
            (title, list.lines.iter().map(line).collect(), list.selected)
        }
    };
    let (x, width) = (area.x, area.width);
    let height = (lines.len() as u16 + 2).min(area.height);
    let frame = Rect { x, width, height, ..area };
    let rule = app.setup.signs.rule.to_string().repeat(width.into());
    for y in frame.y..frame.bottom() {
        buf.set_stringn(x, y, " ".repeat(width.into()), width.into(), ratatui::style::Style::reset());
    }
    put(buf, app, Rect { height: 1, ..frame }, &title);
    buf.set_stringn(x, frame.bottom() - 1, rule, width.into(), app.setup.theme.style(Role::Dim));
    let room = usize::from(height.saturating_sub(2));
    let top = selected.saturating_sub(room.saturating_sub(1));
    for (n, line) in lines.iter().enumerate().skip(top).take(room) {
        let area = Rect { y: frame.y + 1 + (n - top) as u16, height: 1, ..frame };
        put(buf, app, area, line);
        if n == selected {
            buf.set_style(area, app.setup.theme.band());
        }
    }
}

fn put(buf: &mut Buffer, app: &App, area: Rect, line: &Line) {
    let mut x = area.x + 1;
    for (run, style) in line {
        let room = usize::from(area.right().saturating_sub(x + 1));
        let run = text::clip(run, room, app.setup.signs.ellipsis);
        buf.set_stringn(x, area.y, &*run, room, *style);
        x += text::width(&run) as u16;
    }
}
