//! The tabs Hosts and Processes: rows summed up.

mod columns;

use std::borrow::Cow;

use columns::{HOSTS, PIDS, PROCESSES, Placed, escaped, pids, places, ports, retransmits, sort_of, top};
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    query::{
        application, column as column_of, format,
        group::{Group, GroupBy, GroupLine, GroupName, GroupSort, GroupView},
        text,
    },
    snapshot::row::Row,
    tui::{
        app::App,
        theme::Role,
        view::{
            detail_lines, head,
            overview::{self, Areas},
            table,
        },
        widget::strip::Strip,
    },
};

/// Returns what the columns that are shown sort by, in their order.
pub fn sorts(app: &App, by: GroupBy) -> Vec<GroupSort> {
    let shown = places(columns_of(by), app.screen_width, app);
    shown.iter().filter_map(|(column, ..)| sort_of(column.header).last().copied()).collect()
}

fn columns_of(by: GroupBy) -> &'static [columns::Column] {
    match by {
        GroupBy::Host => HOSTS,
        GroupBy::Process => PROCESSES,
    }
}

/// Draws the page.
pub fn draw(buf: &mut Buffer, areas: &Areas, app: &mut App) {
    let by = app.group_by().unwrap_or(GroupBy::Host);
    let places = places(columns_of(by), areas.table.width, app);
    app.hits.header_y = areas.header.y;
    app.hits.sums = draw_header(buf, areas.header, app, &places);
    let app = &*app;
    head::draw_totals(buf, areas.head, app);
    let groups = app.view.as_ref().and_then(|v| v.groups.as_ref()).filter(|g| g.by == by);
    draw_title(buf, areas, app, by, groups);
    let signs = &app.setup.signs;
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
        let Some(line_of) = groups.at(place) else { continue };
        let area = Rect { y: areas.table.y + line, height: 1, ..areas.table };
        use GroupName::{Forwarded, Gone, LinkLocal, NotLooked, Unknown};
        let unknown = matches!(line_of.name().group, Unknown | Forwarded | LinkLocal | NotLooked | Gone);
        let is_over = matches!(line_of, GroupLine::Row { row, .. } if row.end.is_some());
        let style = app.setup.theme.style(if unknown || is_over { Role::Dim } else { Role::Plain });
        for (column, x, width) in &places {
            let cell = match line_of {
                GroupLine::Group { group, open } if column.width == 0 => {
                    let sign = if *open { signs.open } else { signs.closed };
                    let name = match group.name {
                        // As in the table, it is cut in the middle.
                        GroupName::Host(address) => {
                            let room = usize::from(*width).saturating_sub(2);
                            text::endpoint_within(address, None, room, signs.ellipsis)
                        }
                        _ => (column.cell)(group, app, groups),
                    };
                    format!("{sign} {name}")
                }
                GroupLine::Group { group, .. } if column.header == PIDS => pids(group, (*width).into()),
                GroupLine::Group { group, .. } => (column.cell)(group, app, groups),
                GroupLine::Row { row, .. } => column.of_row.map_or(String::new(), |cell| cell(row, app)),
                GroupLine::More { .. } => String::new(),
            };
            let cell: Cow<str> = text::shorten(&cell, (*width).into(), signs.ellipsis);
            put(buf, area, *x, *width, column.right, &cell, style);
        }
        // It has the room of all columns that rows have nothing for.
        let end =
            places.iter().find(|(column, ..)| column.of_row.is_some()).map_or(area.width, |(_, x, _)| *x);
        let room = end.saturating_sub(2);
        let below = match line_of {
            GroupLine::Group { .. } => String::new(),
            GroupLine::Row { row, .. } => member(row, app, room.into()),
            GroupLine::More { count, .. } => {
                format!("    {} more; Enter shows all", format::grouped(*count as u64))
            }
        };
        let below = text::clip(&below, room.into(), signs.ellipsis);
        put(buf, area, 1, room, false, &below, style);
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
    rule.right(5, [app.run(Role::Dim, "Enter shows its connections alone, Esc comes back")]);
    rule.draw(buf, areas.place);
    match app.selected_line() {
        Some(GroupLine::Group { group, .. }) => draw_selected(buf, areas.detail, app, by, group),
        Some(GroupLine::Row { row, .. }) => detail_lines::draw_row(buf, areas.detail, app, row),
        _ => {}
    }
}

/// Cells that both ends have at least; with less, the remote one stands alone. Those that this has at least, before the
/// state goes.
const ENDS: usize = 40;
const END: usize = 14;

/// Cells of what is spoken that say anything.
const FACTS: usize = 8;

/// A row of an open group in so many cells: ends, state, and what it speaks.
fn member(row: &Row, app: &App, room: usize) -> String {
    let look = app.look(app.screen_width);
    let start = format!("    {:<5}", column_of::protocol(row));
    let state = format!("  {}", row.state_text());
    let behind = room.saturating_sub(text::width(&start));
    let ends = match behind.saturating_sub(text::width(&state)) {
        room @ ENDS.. => column_of::ends(row, &look, room),
        room => {
            let room = if room < END { behind } else { room };
            let remote = column_of::end(row, row.remote(), &look, room.saturating_sub(2));
            format!("{} {remote}", look.signs.direction(row.direction()))
        }
    };
    let ended =
        table::end_of(row).map(|at| format!("  ended {}", format::clock(at, (app.setup.utc_offset)(at))));
    let speaks = row
        .app
        .as_ref()
        .map(|app| format!("  {}", application::application(app, row.ports, 1 - row.roles.initiator())));
    let mut line = start + &ends;
    // What has no room goes, so that no sign of a cut stands in what is before it.
    for (more, least) in [(Some(state), usize::MAX), (ended, usize::MAX), (speaks, FACTS)] {
        let more = more.unwrap_or_default();
        if text::width(&line) + text::width(&more).min(least) <= room {
            line += &more;
        }
    }
    line
}

/// Draws the headers; those of what is sorted by with its arrow. Returns where those are that can be sorted by.
fn draw_header(buf: &mut Buffer, area: Rect, app: &App, places: &[Placed]) -> Vec<(u16, u16, GroupSort)> {
    let mut hits = Vec::new();
    for (column, x, width) in places {
        let sorts = sort_of(column.header);
        let (room, ellipsis) = (usize::from(*width), app.setup.signs.ellipsis);
        let (role, header) = match sorts.contains(&app.group_sort().0) {
            true => (Role::Sorted, text::with_sign(column.header, arrow(app), room, ellipsis)),
            false => (Role::Header, text::clip(column.header, room, ellipsis).into_owned()),
        };
        put(buf, area, *x, *width, column.right, &header, app.setup.theme.style(role));
        hits.extend(sorts.last().map(|by| (*x, x + width, *by)));
    }
    hits
}

/// Returns the sign of the order: down is largest first.
fn arrow(app: &App) -> char {
    let (sort, flipped) = app.group_sort();
    match sort.is_ascending() != flipped {
        true => app.setup.signs.up,
        false => app.setup.signs.down,
    }
}

fn draw_title(buf: &mut Buffer, areas: &Areas, app: &App, by: GroupBy, groups: Option<&GroupView>) {
    let (sort, arrow) = (app.group_sort().0, arrow(app));
    let name = if by == GroupBy::Host { "Hosts" } else { "Processes" };
    let mut rule = overview::rule(app);
    rule.left(9, [app.run(Role::Strong, format!("{name} (Sort: {} {arrow})", sort.title(by)))]);
    overview::add_filter(&mut rule, app, areas.title.width);
    if let Some(groups) = groups {
        rule.right(7, [app.run(Role::Plain, format::grouped(groups.groups as u64))]);
        let (down, up) = groups.sum;
        rule.right(5, [app.run(Role::Dim, format!("Down {} Up {}", app.rate(down), app.rate(up)))]);
        if let Some(hidden) = app.view.as_ref().map(|v| v.hidden_matched).filter(|hidden| *hidden > 0) {
            let dot = app.setup.signs.dot;
            let words = format!("{dot} {} localhost hidden (L), counted", format::grouped(hidden as u64));
            rule.right(4, [app.run(Role::Dim, words)]);
        }
    }
    rule.draw(buf, areas.title);
}

/// Draws the selected group in full: what its columns cut, or have no room for.
fn draw_selected(buf: &mut Buffer, area: Rect, app: &App, by: GroupBy, group: &Group) {
    if area.height < 2 {
        return;
    }
    let signs = &app.setup.signs;
    let [mut first, mut second] = [Strip::new(signs.ellipsis), Strip::new(signs.ellipsis)];
    first.left(9, [app.run(Role::Strong, head::group_name(&group.name))]);
    let labelled = |label: &str, text: String| [app.run(Role::Dim, label), app.run(Role::Plain, text)];
    let add = |strip: &mut Strip, weight, label: &str, text: String| {
        if !text.is_empty() {
            strip.left(weight, labelled(label, text));
        }
    };
    add(&mut first, 8, "", escaped(group.known_as.as_deref()));
    if by == GroupBy::Process {
        add(&mut first, 6, "pids ", pids(group, usize::MAX));
        add(&mut first, 7, "user ", escaped(group.user.as_deref()));
        add(&mut first, 7, "container ", escaped(group.container.as_deref()));
        add(&mut first, 5, "listens ", ports(app, group));
    }
    let label = if by == GroupBy::Host { "top process " } else { "top remote " };
    if group.top.is_some() {
        let strip = if by == GroupBy::Host { &mut first } else { &mut second };
        strip.right(5, labelled(label, top(group)));
    }
    for (sign, rate, weight) in [(signs.down, group.down, 9), (signs.up, group.up, 8)] {
        second.left(weight, [app.run(Role::Plain, format!("{sign} {}", app.rate(rate)))]);
    }
    add(&mut second, 7, "total ", format::bytes(group.bytes));
    let new = if group.new == 0 { String::new() } else { format!(" +{}/s", group.new) };
    add(&mut second, 6, "conns ", format!("{}{new}", format::grouped(group.flows as u64)));
    add(&mut second, 4, "RTT ", group.rtt().map_or(String::new(), format::span));
    if group.retransmits > 0 {
        add(&mut second, 4, "retrans ", retransmits(group.retransmits, group.data_packets));
    }
    first.draw(buf, Rect { height: 1, ..area });
    second.draw(buf, Rect { y: area.y + 1, height: 1, ..area });
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
