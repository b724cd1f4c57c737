//! The tabs Hosts and Processes: rows summed up.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    query::{
        format,
        group::{Group, GroupBy, GroupName, GroupView},
        text,
    },
    tui::{
        app::App,
        theme::Role,
        view::{
            head,
            overview::{self, Areas},
        },
        widget::bars,
    },
};

/// A column: header, from which width, cells (0: what is left over), whether its text is on the
/// right, and its cell.
struct Column {
    header: &'static str,
    shown_from: u16,
    width: u16,
    right: bool,
    cell: fn(&Group, &App, &GroupView) -> String,
}

const fn column(
    header: &'static str,
    shown_from: u16,
    width: u16,
    right: bool,
    cell: fn(&Group, &App, &GroupView) -> String,
) -> Column {
    Column { header, shown_from, width, right, cell }
}

fn compact(rate: f64, app: &App) -> String {
    format::compact(if app.bits { rate * 8.0 } else { rate }, format::Digits::Three)
}

const HOSTS: &[Column] = &[
    column("Remote Address", 40, 0, false, |g, _, _| head::group_name(&g.name)),
    column("Name", 100, 24, false, |g, _, _| escaped(g.known_as.as_deref())),
    column("Conns", 40, 7, true, |g, _, _| format::grouped(g.flows as u64)),
    column("New/s", 80, 6, true, |g, _, _| if g.new == 0 { "-".into() } else { g.new.to_string() }),
    column("Down", 40, 5, true, |g, app, _| compact(g.down, app)),
    column("Up", 40, 5, true, |g, app, _| compact(g.up, app)),
    column("Total", 60, 7, true, |g, _, _| format::bytes(g.bytes)),
    column("RTT", 80, 8, true, |g, _, _| g.rtt().map_or("-".into(), format::span)),
    column("Retr", 120, 6, true, |g, _, _| match g.retransmits {
        0 => "-".into(),
        n => format::percent(n, g.packets),
    }),
    column("Top process", 120, 18, false, |g, _, _| escaped(g.top.as_deref())),
    column("Share", 80, 12, false, share),
];

const PROCESSES: &[Column] = &[
    column("Process", 40, 0, false, |g, _, _| head::group_name(&g.name)),
    column("Pids", 80, 12, false, |g, _, _| pids(g)),
    column("User", 100, 10, false, |g, _, _| escaped(g.user.as_deref())),
    column("Container", 160, 16, false, |g, _, _| escaped(g.container.as_deref())),
    column("Conns", 40, 7, true, |g, _, _| format::grouped(g.flows as u64)),
    column("Down", 40, 5, true, |g, app, _| compact(g.down, app)),
    column("Up", 40, 5, true, |g, app, _| compact(g.up, app)),
    column("Total", 60, 7, true, |g, _, _| format::bytes(g.bytes)),
    column("Share", 80, 12, false, share),
    column("Top remote", 120, 24, false, |g, _, _| g.top.clone().unwrap_or_default()),
];

fn escaped(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| text::escape(name).into_owned())
}

fn pids(group: &Group) -> String {
    let mut text = group.pids.iter().take(3).map(u32::to_string).collect::<Vec<_>>().join(" ");
    if group.pids.len() > 3 {
        text += &format!(" +{}", group.pids.len() - 3);
    }
    text
}

/// The part of all that moves, and its bar.
fn share(group: &Group, app: &App, all: &GroupView) -> String {
    let sum = all.sum.0 + all.sum.1;
    if group.rate() < 1.0 || sum < 1.0 {
        return "-".into();
    }
    let percent = format::percent((group.rate() * 1000.0) as u64, (sum * 1000.0) as u64);
    let bar =
        bars::progress((group.rate() * 1000.0) as u64, (all.largest * 1000.0) as u64, 6, &app.setup.signs);
    format!("{percent:>5} {}", bar.trim_end_matches(app.setup.signs.empty))
}

/// Draws the page.
pub fn draw(buf: &mut Buffer, areas: &Areas, app: &App) {
    head::draw_totals(buf, areas.head, app);
    let by = app.group_by().unwrap_or(GroupBy::Host);
    let groups = app.view.as_ref().and_then(|v| v.groups.as_ref()).filter(|g| g.by == by);
    draw_title(buf, areas, app, by, groups);
    let columns = if by == GroupBy::Host { HOSTS } else { PROCESSES };
    let places = places(columns, areas.table.width);
    for (column, x, width) in &places {
        let header = text::clip(column.header, (*width).into(), app.setup.signs.ellipsis);
        put(buf, areas.header, *x, *width, column.right, &header, app.setup.theme.style(Role::Header));
    }
    let Some(groups) = groups.filter(|g| g.len > 0) else {
        let words = match app.view.as_ref().map(|v| v.all) {
            Some(0) | None => "Nothing to sum up yet",
            Some(_) => "0 rows match the filter; Esc on Overview shows all",
        };
        let y = areas.table.y + areas.table.height / 3;
        let x = areas.table.x + areas.table.width.saturating_sub(words.len() as u16) / 2;
        buf.set_stringn(x, y, words, areas.table.width.into(), app.setup.theme.style(Role::Strong));
        return;
    };
    let (top, selected) = app.group_places();
    for line in 0..areas.table.height {
        let place = top + usize::from(line);
        let Some(group) = groups.at(place) else { continue };
        let area = Rect { y: areas.table.y + line, height: 1, ..areas.table };
        let unknown = matches!(group.name, GroupName::Unknown | GroupName::Forwarded);
        let style = app.setup.theme.style(if unknown { Role::Dim } else { Role::Plain });
        for (column, x, width) in &places {
            let cell = (column.cell)(group, app, groups);
            let cell: Cow<str> = text::clip(&cell, (*width).into(), app.setup.signs.ellipsis);
            put(buf, area, *x, *width, column.right, &cell, style);
        }
        if place == selected {
            buf.set_stringn(area.x, area.y, app.setup.signs.selected.to_string(), 1, style);
            buf.set_style(area, app.setup.theme.band());
        }
    }
    let mut rule = overview::rule(app);
    rule.left(
        9,
        [app.run(
            Role::Plain,
            format!("{}/{}", format::grouped(selected as u64 + 1), format::grouped(groups.len as u64)),
        )],
    );
    rule.right(5, [app.run(Role::Dim, "Enter shows its connections, Esc comes back")]);
    rule.draw(buf, areas.place);
}

fn draw_title(buf: &mut Buffer, areas: &Areas, app: &App, by: GroupBy, groups: Option<&GroupView>) {
    let (sort, flipped) = app.group_sort();
    let arrow = match (sort == crate::query::group::GroupSort::Name) != flipped {
        true => app.setup.signs.up,
        false => app.setup.signs.down,
    };
    let name = if by == GroupBy::Host { "Hosts" } else { "Processes" };
    let mut rule = overview::rule(app);
    rule.left(9, [app.run(Role::Strong, format!("{name} (Sort: {} {arrow})", sort.title()))]);
    overview::add_filter(&mut rule, app, areas.title.width);
    if let Some(groups) = groups {
        rule.right(7, [app.run(Role::Plain, format::grouped(groups.len as u64))]);
        let (down, up) = groups.sum;
        rule.right(5, [app.run(Role::Dim, format!("Down {} Up {}", app.rate(down), app.rate(up)))]);
    }
    rule.draw(buf, areas.title);
}

/// Returns the columns for a width with their first cells and widths.
fn places(columns: &'static [Column], width: u16) -> Vec<(&'static Column, u16, u16)> {
    let shown: Vec<_> = columns.iter().filter(|c| c.shown_from <= width).collect();
    let fixed: u16 = shown.iter().map(|c| c.width + 1).sum();
    let rest = width.saturating_sub(fixed + 1).max(8);
    let mut x = 1;
    let place = |column: &&'static Column| {
        let cells = if column.width == 0 { rest } else { column.width };
        let at = x;
        x += cells + 1;
        (*column, at, cells)
    };
    shown.iter().map(place).collect()
}

fn put(
    buf: &mut Buffer,
    area: Rect,
    x: u16,
    width: u16,
    right: bool,
    text: &str,
    style: ratatui::style::Style,
) {
    let free = usize::from(width).saturating_sub(text::width(text)) as u16;
    let indent = if right { free } else { 0 };
    if x + indent < area.width {
        let room = width.saturating_sub(indent).min(area.width - x - indent);
        buf.set_stringn(area.x + x + indent, area.y, text, room.into(), style);
    }
}
