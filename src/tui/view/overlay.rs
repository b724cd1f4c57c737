//! What lies over the page: palette, chooser of columns, forms to copy.

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use crate::{
    query::{column::COLUMNS, text},
    tui::{
        app::App,
        overlay::{List, Overlay, Pick, entries},
        theme::Role,
    },
};

type Line = Vec<(String, ratatui::style::Style)>;

/// What is drawn: title, entries of one or more lines each, and the selected one.
struct Shown {
    title: Line,
    entries: Vec<Vec<Line>>,
    selected: usize,
}

/// Draws the overlay over the upper part of the page; notes where its entries are.
pub fn draw(buf: &mut Buffer, area: Rect, app: &mut App) {
    (app.hits.entries, app.hits.entries_top) = draw_entries(buf, area, app);
}

/// Returns lines with the entries that are drawn on them, and which line is the first.
fn draw_entries(buf: &mut Buffer, area: Rect, app: &App) -> (Vec<(u16, usize)>, usize) {
    let Some(overlay) = &app.overlay else { return (Vec::new(), 0) };
    let shown = match overlay {
        Overlay::Palette { field, selected } => palette(app, field.text(), *selected, area.width),
        Overlay::Columns { selected } => columns(app, *selected),
        Overlay::List(list) => of_list(app, list, area.width),
    };
    let lines: Vec<(usize, &Line)> = shown
        .entries
        .iter()
        .enumerate()
        .flat_map(|(n, lines)| lines.iter().map(move |line| (n, line)))
        .collect();
    let height = (lines.len() as u16 + 2).min(area.height);
    let frame = Rect { height, ..area };
    let rule = app.setup.signs.rule.to_string().repeat(area.width.into());
    for y in frame.y..frame.bottom() {
        let blanks = " ".repeat(area.width.into());
        buf.set_stringn(area.x, y, blanks, area.width.into(), ratatui::style::Style::reset());
    }
    put(buf, app, Rect { height: 1, ..frame }, &shown.title);
    buf.set_stringn(area.x, frame.bottom() - 1, rule, area.width.into(), app.setup.theme.style(Role::Dim));
    let room = usize::from(height.saturating_sub(2));
    let last = lines.iter().rposition(|(n, _)| *n == shown.selected).unwrap_or(0);
    // It moves no further than it must: a click finds what it was made on.
    let first = lines.iter().position(|(n, _)| *n == shown.selected).unwrap_or(0);
    let top = app.hits.entries_top.min(first).max((last + 1).saturating_sub(room));
    let top = top.min(lines.len().saturating_sub(room));
    let mut drawn = Vec::new();
    for (y, (n, line)) in (frame.y + 1..).zip(lines.into_iter().skip(top).take(room)) {
        let area = Rect { y, height: 1, ..frame };
        put(buf, app, area, line);
        drawn.push((y, n));
        if n == shown.selected {
            buf.set_style(area, app.setup.theme.band());
        }
    }
    (drawn, top)
}

fn palette(app: &App, typed: &str, selected: usize, width: u16) -> Shown {
    let (name, style) = app.run(Role::Plain, " ");
    let cursor = (name, style.add_modifier(Modifier::REVERSED));
    let line = |e: crate::tui::overlay::Entry| {
        let role = if e.refusal.is_some() { Role::Dim } else { Role::Plain };
        let why = e.refusal.map_or(String::new(), |why| format!("  ({why})"));
        let keys = [format!(" {:<12}", e.key), " ".repeat(13)];
        let room = usize::from(width).saturating_sub(keys[1].len() + 2).max(10);
        let texts = text::wrap(&format!("{}{why}", e.text), room).into_iter().enumerate();
        let line = |(n, text): (usize, String)| {
            vec![app.run(Role::Accent, keys[n.min(1)].as_str()), app.run(role, text)]
        };
        texts.map(line).collect()
    };
    let mut entries: Vec<_> = entries(app, typed).into_iter().map(line).collect();
    if entries.is_empty() {
        entries.push(vec![vec![app.run(Role::Dim, "              nothing by this name")]]);
    }
    Shown { title: vec![app.run(Role::Accent, ":"), app.run(Role::Plain, typed), cursor], entries, selected }
}

fn columns(app: &App, selected: usize) -> Shown {
    let width = app.screen_width;
    let line = |c: &crate::query::column::Column| {
        let sign = if app.columns.shows(c, width, None) { "x" } else { " " };
        vec![vec![app.run(Role::Accent, format!("[{sign}] ")), app.run(Role::Plain, c.header)]]
    };
    Shown {
        title: vec![
            app.run(Role::Strong, "Columns"),
            app.run(Role::Dim, "  Enter shows or hides, Esc closes"),
        ],
        entries: COLUMNS.iter().map(line).collect(),
        selected,
    }
}

/// Cells that names of a list have at most.
const NAME_CELLS: usize = 30;

/// What is to be read is on as many lines as it needs; what is to be chosen on one.
fn of_list(app: &App, list: &List, width: u16) -> Shown {
    let ellipsis = app.setup.signs.ellipsis;
    let longest = list.lines.iter().map(|l| text::width(&l.name)).max().unwrap_or(0);
    let name_width = longest.min(NAME_CELLS).min(usize::from(width) / 3);
    let room = usize::from(width).saturating_sub(name_width + 5).max(10);
    let entry = |line: &crate::tui::overlay::Line| {
        let (name, text) = (text::escape(&line.name), text::escape(&line.text));
        let (names, texts) = match line.pick {
            Pick::Read => (text::wrap(&name, name_width), text::wrap(&text, room)),
            _ => (vec![text::clip(&name, name_width, ellipsis).into_owned()], vec![text.into_owned()]),
        };
        let part = |parts: &[String], n: usize| parts.get(n).cloned().unwrap_or_default();
        let line = |n| {
            let name = part(&names, n);
            let blanks = " ".repeat(name_width.saturating_sub(text::width(&name)));
            vec![app.run(Role::Accent, format!(" {name}{blanks}  ")), app.run(Role::Plain, part(&texts, n))]
        };
        (0..names.len().max(texts.len())).map(line).collect()
    };
    let (role, hint) = list.question().map_or((Role::Dim, list.hint), |question| (Role::Warn, question));
    Shown {
        title: vec![app.run(Role::Strong, list.title), app.run(role, format!("  {hint}"))],
        entries: list.lines.iter().map(entry).collect(),
        selected: list.selected,
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
