//! The columns of tables of sums: what they say of a group and of its rows, and which have room.

use crate::{
    query::{
        format,
        group::{Group, GroupLine, GroupSort, GroupView},
        text,
    },
    snapshot::row::Row,
    tui::{app::App, view::head, widget::bars},
};

/// A column: header, from which width, cells (0: what is left over), cells at most where there is more room,
/// whether its text is on the right, and its cell.
pub struct Column {
    pub header: &'static str,
    shown_from: u16,
    pub width: u16,
    most: u16,
    pub right: bool,
    pub cell: fn(&Group, &App, &GroupView) -> String,
    /// The same of one row of an open group; `None` where the row itself has that room.
    pub of_row: Option<fn(&Row, &App) -> String>,
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

/// Those of Hosts.
pub const HOSTS: &[Column] = &[
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

/// Those of Processes.
pub const PROCESSES: &[Column] = &[
    column("Process", 40, 0, false, |g, _, _| head::group_name(&g.name), None),
    column("Pids", 80, 7, false, |g, _, _| pids(g), None).up_to(28),
    column("User", 100, 8, false, |g, _, _| escaped(g.user.as_deref()), None).up_to(16),
    column("Container", 120, 11, false, |g, _, _| escaped(g.container.as_deref()), None).up_to(32),
    column("Conns", 40, 7, true, |g, _, _| format::grouped(g.flows as u64), None),
    column("Listens", 100, 8, false, |g, app, _| ports(app, g), None).up_to(16),
    column("Down", 40, 5, true, |g, app, _| compact(g.down, app), Some(down)),
    column("Up", 40, 5, true, |g, app, _| compact(g.up, app), Some(up)),
    column("Total", 60, 7, true, |g, _, _| format::bytes(g.bytes), Some(total)),
    column("Share", 80, 12, false, share, None),
    column("Top remote", 120, 15, false, |g, _, _| g.top.clone().unwrap_or_default(), None).up_to(39),
];
/// Cells that a group's name has before other columns go, and those it gets before they get more, if it needs them:
/// any address.
const NAME_CELLS: u16 = 22;
const NAME_ENOUGH: u16 = 42;

/// Returns the cells of the longest name of those that are there, with the sign before it.
pub fn longest_name(groups: &GroupView) -> u16 {
    let names = groups.lines.iter().map(|line| match line {
        GroupLine::Group { group, .. } => text::width(&head::group_name(&group.name)),
        _ => 0,
    });
    names.max().map_or(0, |cells| cells.min(usize::from(NAME_ENOUGH)) as u16 + 2)
}

/// Returns what a column's header says rows can be sorted by.
pub fn sort_of(header: &str) -> &'static [GroupSort] {
    use GroupSort::{Connections, Down, Name, Rate, Total, Up};
    match header {
        "Down" => &[Rate, Down],
        "Up" => &[Rate, Up],
        "Total" => &[Total],
        "Conns" => &[Connections],
        "Remote Address" | "Process" => &[Name],
        _ => &[],
    }
}

/// A column, its first cell and its width.
pub type Placed = (&'static Column, u16, u16);

/// Returns the columns for a width.
pub fn places(columns: &'static [Column], width: u16, longest: u16) -> Vec<Placed> {
    let mut shown: Vec<_> = columns.iter().filter(|c| c.shown_from <= width).collect();
    let taken = |shown: &[&Column]| shown.iter().map(|c| c.width + 1).sum::<u16>();
    // What a wider screen would show goes before names are cut.
    while width.saturating_sub(taken(&shown) + 1) < NAME_CELLS {
        let last = shown.iter().enumerate().filter(|(_, c)| c.shown_from > 60);
        let Some(n) = last.max_by_key(|(n, c)| (c.shown_from, *n)).map(|(n, _)| n) else { break };
        shown.remove(n);
    }
    let rest = width.saturating_sub(taken(&shown) + 1).max(8);
    let enough = longest.clamp(NAME_CELLS, NAME_ENOUGH);
    let mut spare = rest.saturating_sub(enough);
    let mut widths: Vec<u16> = shown.iter().map(|c| c.width).collect();
    // Cell by cell to all that can use them.
    while spare > 0 && shown.iter().zip(&widths).any(|(c, cells)| *cells < c.most) {
        for (_, cells) in shown.iter().zip(&mut widths).filter(|(c, cells)| **cells < c.most) {
            let more = spare.min(1);
            *cells += more;
            spare -= more;
        }
    }
    let name = rest.min(enough) + spare;
    let mut x = 1;
    let place = |(column, cells): (&&'static Column, u16)| {
        let cells = if column.width == 0 { name } else { cells };
        let at = x;
        x += cells + 1;
        (*column, at, cells)
    };
    shown.iter().zip(widths).map(place).collect()
}

/// As in the sum above it, what came within the last second: the rows of a group add up to it.
fn down(row: &Row, app: &App) -> String {
    compact(row.seen_down_up().0.into(), app)
}

fn up(row: &Row, app: &App) -> String {
    compact(row.seen_down_up().1.into(), app)
}

fn total(row: &Row, _: &App) -> String {
    format::bytes(row.bytes[0].saturating_add(row.bytes[1]))
}

fn round_trip(row: &Row, _: &App) -> String {
    row.rtt_data.or(row.rtt_handshake).map_or("-".into(), format::span)
}

/// Returns the share of segments that were sent again.
pub fn retransmits(count: u64, packets: u64) -> String {
    if count == 0 { "-".into() } else { format::percent(count, packets) }
}

fn retransmits_of(row: &Row, _: &App) -> String {
    let count = row.retransmits.iter().map(|n| u64::from(*n)).sum();
    retransmits(count, row.packets.iter().fold(0, |sum, n| sum.saturating_add(*n)))
}

fn process(row: &Row, _: &App) -> String {
    escaped(row.owner.as_ref().map(|owner| &*owner.name))
}

/// Returns the ports that the processes of a group wait at.
pub fn ports(app: &App, group: &Group) -> String {
    let ports = app.view.as_ref().map_or_else(Vec::new, |view| group.listening_ports(&view.listening));
    let shown: Vec<_> = ports.iter().take(2).map(u16::to_string).collect();
    let more = if ports.len() > 2 { format!(" +{}", ports.len() - 2) } else { String::new() };
    format!("{}{more}", shown.join(" "))
}

/// Returns a name made harmless; nothing where there is none.
pub fn escaped(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| text::escape(name).into_owned())
}

/// Returns the first few pids, and how many more there are.
pub fn pids(group: &Group) -> String {
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
    format!("{percent:>5} {}", bars::share(group.rate() / all.largest, 6, &app.setup.signs))
}
