//! The page Overview: head, table, and two lines on the selected row.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    base::time::{Nanos, Stamp},
    query::{
        format,
        layout::{self, Place},
        text,
    },
    tui::{
        app::App,
        theme::Role,
        view::{detail_lines, empty, head, table},
        widget::{bars, strip::Strip},
    },
};

/// Where things are on the page; what has no room has no height.
#[derive(Clone, Copy, Debug)]
pub struct Areas {
    /// Program, page, interfaces.
    pub tabs: Rect,
    /// Totals: one to three lines.
    pub head: Rect,
    /// The rule with the title.
    pub title: Rect,
    /// Headers of columns.
    pub header: Rect,
    /// Rows.
    pub table: Rect,
    /// The rule with the place.
    pub place: Rect,
    /// The selected row in full.
    pub detail: Rect,
    /// Keys.
    pub bottom: Rect,
}

impl Areas {
    /// Divides a screen: below 20 lines the selected row's lines go first, then the rule above
    /// them and the second line of the head.
    pub fn of(area: Rect) -> Self {
        let roomy = area.height >= 14;
        let mut y = area.y;
        let mut take = |height: u16| {
            let part = Rect { y, height, ..area };
            y += height;
            part
        };
        let detail_height = if area.height >= 20 { 2 } else { 0 };
        let wide = area.width >= 100 && area.height >= 20;
        let [tabs, head, title, header] =
            [take(1), take(1 + u16::from(roomy) + u16::from(wide)), take(1), take(1)];
        let below = u16::from(roomy) + detail_height + 1;
        let used = tabs.height + head.height + title.height + header.height + below;
        let table = take(area.height.saturating_sub(used));
        let [place, detail, bottom] = [take(u16::from(roomy)), take(detail_height), take(1)];
        Self { tabs, head, title, header, table, place, detail, bottom }
    }

    /// Returns everything between the first and the last line.
    pub fn below_tabs(&self) -> Rect {
        Rect { height: self.bottom.y - self.head.y, ..self.head }
    }
}

/// Draws the page.
pub fn draw(buf: &mut Buffer, areas: &Areas, app: &mut App) {
    let sorted = app.sort.by.row().column.filter(|_| app.is_sorted());
    let places = app.wishes.places(areas.header.width, &app.columns, sorted);
    app.hits.header_y = areas.header.y;
    app.hits.columns = places.iter().map(|p| (p.x, p.x + p.width, p.column.id)).collect();
    let app = &*app;
    head::draw_totals(buf, areas.head, app);
    draw_title(buf, areas, app, &places);
    table::draw_header(buf, areas.header, app, &places);
    match &app.view {
        Some(view) if view.places() > 0 => table::draw_rows(buf, areas.table, app, view, &places),
        _ => empty::draw(buf, areas.table, app),
    }
    draw_place(buf, areas.place, app);
    detail_lines::draw(buf, areas.detail, app);
}

/// Returns an empty rule.
pub fn rule(app: &App) -> Strip {
    let signs = &app.setup.signs;
    Strip::rule(signs.ellipsis, signs.rule, app.setup.theme.style(Role::Dim))
}

fn draw_title(buf: &mut Buffer, areas: &Areas, app: &App, places: &[Place]) {
    let mut strip = rule(app);
    let title = match app.is_sorted() {
        true => {
            let arrow = if app.sort.descending { app.setup.signs.down } else { app.setup.signs.up };
            format!("Active Connections (Sort: {} {arrow})", app.sort.by.row().title)
        }
        false => "Active Connections".to_owned(),
    };
    strip.left(9, [app.run(Role::Strong, title)]);
    let dot = app.setup.signs.dot;
    add_filter(&mut strip, app, areas.title.width);
    if app.only_marked {
        strip.left(6, [app.run(Role::Accent, "marked only (M)")]);
    }
    if let Some(view) = &app.view {
        let all = view.all + view.hidden;
        let mut counts = format::grouped(view.len as u64);
        if view.hidden > 0 || view.len < view.all {
            counts += &format!(" of {}", format::grouped(all as u64));
        }
        // The selected one has a place, too, until one moves.
        if view.gone.is_some() {
            counts += " + 1 ended";
        }
        if view.hidden_matched > 0 {
            let hidden = format::grouped(view.hidden_matched as u64);
            let hidden = format!("{dot} {hidden} localhost hidden (L)");
            strip.right(6, [app.run(Role::Plain, counts)]);
            strip.right(5, [app.run(Role::Dim, hidden)]);
        } else {
            strip.right(6, [app.run(Role::Plain, counts)]);
        }
    }
    if areas.place.height == 0 {
        strip.right(7, [app.run(Role::Dim, place_text(app))]);
    }
    let narrow: Vec<_> = layout::left_out(places).map(|c| c.short).collect();
    if !narrow.is_empty() && areas.title.width >= 80 {
        strip.right(3, [app.run(Role::Dim, format!("{dot} {}: wider", narrow.join(", ")))]);
    }
    strip.draw(buf, areas.title);
}

/// Adds the filter in force, while it is not on the last line anyway.
pub fn add_filter(strip: &mut Strip, app: &App, width: u16) {
    if !app.filter.text().is_empty() && app.filter.editing.is_none() {
        let filter = text::escape(app.filter.text()).into_owned();
        let filter = text::clip(&filter, usize::from(width) / 3, app.setup.signs.ellipsis).into_owned();
        strip.left(8, [app.run(Role::Accent, format!("/{filter}"))]);
    }
}

fn place_text(app: &App) -> String {
    let places = app.view.as_ref().map_or(0, |v| v.places());
    let place = if places == 0 { 0 } else { app.place() + 1 };
    format!("{}/{}", format::grouped(place as u64), format::grouped(places as u64))
}

fn draw_place(buf: &mut Buffer, area: Rect, app: &App) {
    let mut strip = rule(app);
    strip.left(9, [app.run(Role::Plain, place_text(app))]);
    if app.follows() {
        strip.left(5, [app.run(Role::Accent, if app.is_file() { "last row" } else { "follows the newest" })]);
    }
    if let Some(frozen) = app.view.as_ref().and_then(|v| v.frozen) {
        let age = format::whole_span(app.frozen_for().unwrap_or_default());
        let new = format::grouped(frozen.new);
        let dot = app.setup.signs.dot;
        strip.right(8, [app.run(Role::Warn, format!("FROZEN {age} {dot} {new} new since freeze"))]);
    } else if app.is_file() {
        add_file(&mut strip, app, area.width);
    } else if !app.is_sorted() {
        let order = match app.fuzzy() {
            Some(_) => "best match first",
            None if app.sort.descending => "newest first",
            None => "oldest first",
        };
        strip.right(4, [app.run(Role::Dim, order)]);
        if area.width >= 100 {
            let dot = app.setup.signs.dot;
            strip.right(3, [app.run(Role::Dim, format!("{dot} G follows the newest {dot} C columns"))]);
        }
    }
    if let Some(recording) = &app.recording {
        let told = format!("recording {}", recording.tally.told(&app.setup.signs));
        strip.left(8, [app.run(Role::Warn, told)]);
        strip.left(5, [app.run(Role::Plain, format!("to {}", recording.name))]);
    }
    if !app.marks.is_empty() {
        strip.left(6, [app.run(Role::Accent, format!("{} marked", app.marks.len()))]);
    }
    strip.draw(buf, area);
}

/// Adds how far the file is read; then its size, flows and the time it took.
fn add_file(strip: &mut Strip, app: &App, width: u16) {
    let Some(view) = &app.view else { return };
    let read = view.sources.iter().filter_map(|s| s.read).fold((0, Some(0)), |sum, (read, size)| {
        (sum.0 + read, sum.1.zip(size).map(|(a, b): (u64, u64)| a + b))
    });
    let name = text::escape(app.setup.file.as_deref().unwrap_or("file")).into_owned();
    let dot = app.setup.signs.dot;
    let is_cut = view.sources.iter().any(|s| s.truncated.is_some());
    if is_cut {
        strip.right(8, [app.run(Role::Warn, format!("cut short {dot}"))]);
    }
    if view.ended {
        if let Some(at) = app.stands_at() {
            let at = format::date_time(at, (app.setup.utc_offset)(at));
            let what = if app.plays() { "plays" } else { "stands" };
            strip.right(7, [app.run(Role::Warn, format!("{what} at {at}"))]);
            return strip.right(3, [app.run(Role::Dim, format!("{dot} , back . on ; play"))]);
        }
        let flows = if view.totals.opened == 1 { "flow" } else { "flows" };
        let opened = format!("{} {flows}", format::grouped(view.totals.opened));
        strip.right(5, [app.run(Role::Plain, format!("{} {dot} {opened}", format::bytes(read.0)))]);
        let took = app.read_in.unwrap_or_default();
        strip.right(4, [app.run(Role::Plain, format!("{dot} read in {}", seconds(took)))]);
        // A packet may have the time 0.
        if view.wall == Stamp(0) && view.totals.opened == 0 && view.accounts.taken.frames == 0 {
            return strip.right(3, [app.run(Role::Dim, format!("{dot} no packets"))]);
        }
        let last = format::date_time(view.wall, (app.setup.utc_offset)(view.wall));
        let stands = if width >= 100 {
            format!("{dot} at the last packet, {last}")
        } else {
            format!("{dot} at the last packet")
        };
        return strip.right(3, [app.run(Role::Dim, stands)]);
    }
    strip.right(
        3,
        [app.run(Role::Plain, format!("reading {}", text::clip_start(&name, 30, app.setup.signs.ellipsis)))],
    );
    match read {
        // The source has not told yet.
        (0, _) => {}
        (part, Some(size)) => {
            let bar = bars::progress(part, size, 16, &app.setup.signs);
            strip.right(
                7,
                [
                    app.run(Role::Accent, bar),
                    app.run(Role::Plain, format!(" {:>4}", format::percent(part, size))),
                ],
            );
            let sizes = format!("{} of {}", format::bytes(part), format::bytes(size));
            strip.right(4, [app.run(Role::Dim, sizes)]);
        }
        (part, None) => strip.right(7, [app.run(Role::Plain, format::bytes(part))]),
    }
}

fn seconds(span: Nanos) -> String {
    if span < Nanos::from_secs(60) {
        format!("{:.1} s", span.as_secs_f64())
    } else {
        format::whole_span(span)
    }
}
