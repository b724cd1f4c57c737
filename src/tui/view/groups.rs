//! The tabs Hosts and Processes: rows summed up.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    query::{
        application, column as column_of, format,
        group::{Group, GroupBy, GroupLine, GroupName, GroupView},
        text,
    },
    snapshot::row::Row,
    tui::{
        app::App,
        theme::Role,
        view::{
            head,
            overview::{self, Areas},
            table,
        },
        widget::bars,
    },
};

/// A column: header, from which width, cells (0: what is left over), cells at most where there is more room,
/// whether its text is on the right, and its cell.
struct Column {
    header: &'static str,
    shown_from: u16,
    width: u16,
    most: u16,
    right: bool,
    cell: fn(&Group, &App, &GroupView) -> String,
    /// The same of one row of an open group; `None` where the row itself has that room.
    of_row: Option<fn(&Row, &App) -> String>,
}

const fn column(
    header: &'static str,
    shown_from: u16,
    width: u16,
    right: bool,
    cell: fn(&Group, &App, &GroupView) -> String,
    of_row: Option<fn(&Row, &App) -> String>,
) -> Column {
    Column { header, shown_from, width, most: width, right, cell, of_row }
}

impl Column {
    const fn up_to(self, most: u16) -> Self {
        Self { most, ..self }
    }
}

fn compact(rate: f64, app: &App) -> String {
    format::compact(if app.bits { rate * 8.0 } else { rate }, format::Digits::Three)
}

const HOSTS: &[Column] = &[
    column("Remote Address", 40, 0, false, |g, _, _| head::group_name(&g.name), None),
    column("Name", 100, 20, false, |g, _, _| escaped(g.known_as.as_deref()), None).up_to(64),
    column("Conns", 40, 7, true, |g, _, _| format::grouped(g.flows as u64), None),
    column("New/s", 80, 6, true, |g, _, _| if g.new == 0 { "-".into() } else { g.new.to_string() }, None),
    column("Down", 40, 5, true, |g, app, _| compact(g.down, app), Some(down)),
    column("Up", 40, 5, true, |g, app, _| compact(g.up, app), Some(up)),
    column("Total", 60, 7, true, |g, _, _| format::bytes(g.bytes), Some(total)),
    column("RTT", 80, 8, true, |g, _, _| g.rtt().map_or("-".into(), format::span), Some(round_trip)),
    column("Retr", 120, 6, true, |g, _, _| retransmits(g.retransmits, g.packets), Some(retransmits_of)),
    column("Top process", 120, 14, false, |g, _, _| escaped(g.top.as_deref()), Some(process)).up_to(32),
    column("Share", 140, 12, false, share, None),
];

const PROCESSES: &[Column] = &[
    column("Process", 40, 0, false, |g, _, _| head::group_name(&g.name), None),
    column("Pids", 80, 10, false, |g, _, _| pids(g), None).up_to(28),
    column("User", 100, 8, false, |g, _, _| escaped(g.user.as_deref()), None).up_to(16),
    column("Container", 160, 16, false, |g, _, _| escaped(g.container.as_deref()), None).up_to(32),
    column("Conns", 40, 7, true, |g, _, _| format::grouped(g.flows as u64), None),
    column("Listens", 100, 11, false, |g, app, _| ports(app, g), None),
    column("Down", 40, 5, true, |g, app, _| compact(g.down, app), Some(down)),
    column("Up", 40, 5, true, |g, app, _| compact(g.up, app), Some(up)),
    column("Total", 60, 7, true, |g, _, _| format::bytes(g.bytes), Some(total)),
    column("Share", 80, 12, false, share, None),
    column("Top remote", 120, 18, false, |g, _, _| g.top.clone().unwrap_or_default(), None).up_to(39),
];

/// A row of an open group: both ends, state, and what it speaks.
fn member(row: &Row, app: &App) -> String {
    let [local, remote] =
        [row.local(), row.remote()].map(|end| text::endpoint(row.addresses[end], column_of::port(row, end)));
    let sign = app.setup.signs.direction(row.direction());
    let speaks = row
        .app
        .as_ref()
        .map_or(String::new(), |app| application::application(app, row.ports, 1 - row.roles.initiator()));
    let ends = format!("{:<5}{local} {sign} {remote}", column_of::protocol(row));
    let ended = table::end_of(row)
        .map_or(String::new(), |at| format!("  ended {}", format::clock(at, (app.setup.utc_offset)(at))));
    format!("    {ends}  {}{ended}  {speaks}", row.state_text())
}

fn down(row: &Row, app: &App) -> String {
    compact(row.down_up().0.into(), app)
}

fn up(row: &Row, app: &App) -> String {
    compact(row.down_up().1.into(), app)
}

fn total(row: &Row, _: &App) -> String {
    format::bytes(row.bytes[0].saturating_add(row.bytes[1]))
}

fn round_trip(row: &Row, _: &App) -> String {
    row.rtt_data.or(row.rtt_handshake).map_or("-".into(), format::span)
}

fn retransmits(count: u64, packets: u64) -> String {
    if count == 0 { "-".into() } else { format::percent(count, packets) }
}

fn retransmits_of(row: &Row, _: &App) -> String {
    let count = row.retransmits.iter().map(|n| u64::from(*n)).sum();
    retransmits(count, row.packets.iter().fold(0, |sum, n| sum.saturating_add(*n)))
}

fn process(row: &Row, _: &App) -> String {
    escaped(row.owner.as_ref().map(|owner| &*owner.name))
}

/// The ports that the processes of a group wait at.
fn ports(app: &App, group: &Group) -> String {
    let pids = &group.pids;
    let listening = app.view.iter().flat_map(|view| view.listening.iter());
    let own = listening.filter(|l| l.pid.is_some_and(|pid| pids.contains(&pid)));
    let mut ports: Vec<u16> = own.map(|l| l.port).collect();
    ports.dedup();
    let shown: Vec<_> = ports.iter().take(2).map(u16::to_string).collect();
    let more = if ports.len() > 2 { format!(" +{}", ports.len() - 2) } else { String::new() };
    format!("{}{more}", shown.join(" "))
}

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
    let signs = &app.setup.signs;
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
                GroupLine::Group { group, .. } => (column.cell)(group, app, groups),
                GroupLine::Row { row, .. } => column.of_row.map_or(String::new(), |cell| cell(row, app)),
                GroupLine::More { .. } => String::new(),
            };
            let cell: Cow<str> = text::clip(&cell, (*width).into(), signs.ellipsis);
            put(buf, area, *x, *width, column.right, &cell, style);
        }
        let below = match line_of {
            GroupLine::Group { .. } => String::new(),
            GroupLine::Row { row, .. } => member(row, app),
            GroupLine::More { count, .. } => {
                format!("    {} more; Enter shows all", format::grouped(*count as u64))
            }
        };
        // It has the room of all columns that rows have nothing for.
        let end =
            places.iter().find(|(column, ..)| column.of_row.is_some()).map_or(area.width, |(_, x, _)| *x);
        let room = end.saturating_sub(2);
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
        rule.right(7, [app.run(Role::Plain, format::grouped(groups.groups as u64))]);
        let (down, up) = groups.sum;
        rule.right(5, [app.run(Role::Dim, format!("Down {} Up {}", app.rate(down), app.rate(up)))]);
    }
    rule.draw(buf, areas.title);
}

/// Cells that a group's name has before other columns go, and before they get more: any address.
const NAME_CELLS: u16 = 24;
const NAME_ENOUGH: u16 = 42;

/// Returns the columns for a width with their first cells and widths.
fn places(columns: &'static [Column], width: u16) -> Vec<(&'static Column, u16, u16)> {
    let mut shown: Vec<_> = columns.iter().filter(|c| c.shown_from <= width).collect();
    let taken = |shown: &[&Column]| shown.iter().map(|c| c.width + 1).sum::<u16>();
    // What a wider screen would show goes before names are cut.
    while width.saturating_sub(taken(&shown) + 1) < NAME_CELLS {
        let last = shown.iter().enumerate().filter(|(_, c)| c.shown_from > 60);
        let Some(n) = last.max_by_key(|(n, c)| (c.shown_from, *n)).map(|(n, _)| n) else { break };
        shown.remove(n);
    }
    let rest = width.saturating_sub(taken(&shown) + 1).max(8);
    let mut spare = rest.saturating_sub(NAME_ENOUGH);
    let mut widths: Vec<u16> = shown.iter().map(|c| c.width).collect();
    // Cell by cell to all that can use them.
    while spare > 0 && shown.iter().zip(&widths).any(|(c, cells)| *cells < c.most) {
        for (_, cells) in shown.iter().zip(&mut widths).filter(|(c, cells)| **cells < c.most) {
            let more = spare.min(1);
            *cells += more;
            spare -= more;
        }
    }
    let name = rest.min(NAME_ENOUGH) + spare;
    let mut x = 1;
    let place = |(column, cells): (&&'static Column, u16)| {
        let cells = if column.width == 0 { name } else { cells };
        let at = x;
        x += cells + 1;
        (*column, at, cells)
    };
    shown.iter().zip(widths).map(place).collect()
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
