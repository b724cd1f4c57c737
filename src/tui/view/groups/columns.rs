//! The columns of tables of sums: what they say of a group and of its rows, and which have room.

use crate::{
    query::{
        format,
        group::{Group, GroupLine, GroupSort, GroupView, Top},
        text,
        whose::Whose,
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

/// The column of process ids, which are never cut.
pub const PIDS: &str = "Pids";

/// Those of Hosts.
pub const HOSTS: &[Column] = &[
    column("Remote Address", 40, 0, false, |g, _, _| head::group_name(&g.name), None),
    column("Name", 100, 18, false, |g, _, _| escaped(g.known_as.as_deref()), None).up_to(64),
    column("Conns", 40, 7, true, |g, _, _| format::grouped(g.flows as u64), None),
    column("New/s", 80, 6, true, |g, _, _| if g.new == 0 { "-".into() } else { g.new.to_string() }, None),
    column("Down", 40, 5, true, |g, app, _| compact(g.down, app), Some(down)),
    column("Up", 40, 5, true, |g, app, _| compact(g.up, app), Some(up)),
    column("Total", 60, 7, true, |g, _, _| format::bytes(g.bytes), Some(total)),
    column("RTT", 80, 8, true, |g, _, _| g.rtt().map_or("-".into(), format::span), Some(round_trip)),
    column("Retr", 120, 6, true, |g, _, _| retransmits(g.retransmits, g.data_packets), Some(retransmits_of)),
    column("Top process", 120, 14, false, |g, _, _| top(g), Some(process)).up_to(32),
    column("Share", 140, 12, false, share, None),
];

/// Those of Processes.
pub const PROCESSES: &[Column] = &[
    column("Process", 40, 0, false, |g, _, _| head::group_name(&g.name), None),
    column(PIDS, 80, 7, false, |g, _, _| pids(g, 28), None).up_to(28),
    column("User", 100, 8, false, |g, _, _| escaped(g.user.as_deref()), None).up_to(16),
    column("Container", 120, 11, false, |g, _, _| escaped(g.container.as_deref()), None).up_to(32),
    column("Conns", 40, 7, true, |g, _, _| format::grouped(g.flows as u64), None),
    column("Listens", 100, 8, false, |g, app, _| ports(app, g), None).up_to(16),
    column("Down", 40, 5, true, |g, app, _| compact(g.down, app), Some(down)),
    column("Up", 40, 5, true, |g, app, _| compact(g.up, app), Some(up)),
    column("Total", 60, 7, true, |g, _, _| format::bytes(g.bytes), Some(total)),
    column("Share", 80, 12, false, share, None),
    column("Top remote", 120, 15, false, |g, _, _| top(g), None).up_to(39),
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

/// Returns the cells that a column of texts needs for what is there; `None` for one of numbers.
fn needed(column: &Column, app: &App, groups: Option<&GroupView>) -> Option<u16> {
    if column.most == column.width || column.header == "Listens" {
        return None;
    }
    let heads = groups.iter().flat_map(|groups| groups.lines.iter().map(move |line| (*groups, line)));
    let cells = heads.map(|(groups, line)| match line {
        GroupLine::Group { group, .. } => text::width(&(column.cell)(group, app, groups)),
        _ => 0,
    });
    Some(cells.max().unwrap_or(0).min(column.most.into()) as u16)
}

/// Returns what a column's header says rows can be sorted by.
pub fn sort_of(header: &str) -> &'static [GroupSort] {
    use GroupSort::*;
    match header {
        "Down" => &[Rate, Down],
        "Up" => &[Rate, Up],
        "Share" => &[Rate],
        "Total" => &[Total],
        "Conns" => &[Connections],
        "Remote Address" | "Process" => &[Name],
        "Name" => &[KnownAs],
        "New/s" => &[New],
        "RTT" => &[Rtt],
        "Retr" => &[Retransmits],
        PIDS => &[Pids],
        "User" => &[User],
        "Container" => &[Container],
        "Listens" => &[Listens],
        "Top process" | "Top remote" => &[Top],
        _ => &[],
    }
}

/// A column, its first cell and its width.
pub type Placed = (&'static Column, u16, u16);

/// Returns the columns for a width.
pub fn places(columns: &'static [Column], width: u16, app: &App) -> Vec<Placed> {
    let groups = app.groups();
    let longest = groups.map_or(0, longest_name);
    let mut shown: Vec<_> = columns.iter().filter(|c| c.shown_from <= width).collect();
    let sort = app.group_sort().0;
    // What is sorted by has the sign of the order behind its header.
    let header_cells =
        |c: &Column| c.header.len() as u16 + if sort_of(c.header).contains(&sort) { 2 } else { 0 };
    let least = |c: &Column| if c.width == 0 { 0 } else { c.width.max(header_cells(c)) };
    let taken = |shown: &[&Column]| shown.iter().map(|c| least(c) + 1).sum::<u16>();
    // What a wider screen would show goes before names are cut.
    while width.saturating_sub(taken(&shown) + 1) < NAME_CELLS {
        let last = shown.iter().enumerate().filter(|(_, c)| c.shown_from > 60);
        let Some(n) = last.max_by_key(|(n, c)| (c.shown_from, *n)).map(|(n, _)| n) else { break };
        shown.remove(n);
    }
    let needs: Vec<Option<u16>> = shown.iter().map(|c| needed(c, app, groups)).collect();
    // A column with nothing in it leaves its room to the others.
    let mut widths: Vec<u16> = shown
        .iter()
        .zip(&needs)
        .map(|(c, need)| if *need == Some(0) { least(c).min(header_cells(c)) } else { least(c) })
        .collect();
    let taken = widths.iter().map(|cells| cells + 1).sum::<u16>();
    let rest = width.saturating_sub(taken + 1).max(8);
    let enough = longest.clamp(NAME_CELLS, NAME_ENOUGH);
    let mut spare = rest.saturating_sub(enough);
    // Process ids first, then cell by cell to all that need them, then to all that could.
    let wants = |at: usize, round: usize| match (round, needs[at]) {
        (0, Some(need)) if shown[at].header == PIDS => need,
        (1, Some(need)) => need,
        (2, Some(1..)) | (2, None) => shown[at].most,
        _ => 0,
    };
    for round in 0..3 {
        while spare > 0 && (0..widths.len()).any(|at| widths[at] < wants(at, round)) {
            for at in (0..widths.len()).filter(|at| shown[*at].width > 0) {
                let more = u16::from(spare > 0 && widths[at] < wants(at, round));
                widths[at] += more;
                spare -= more;
            }
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

/// Returns the other side that moves most; with a sign where it is not certain who it is.
pub fn top(group: &Group) -> String {
    let doubt = |top: &Top| if top.is_doubtful { "?" } else { "" };
    group.top.as_ref().map_or(String::new(), |top| format!("{}{}", text::escape(&top.name), doubt(top)))
}

/// Returns the share of packets that were sent again, of those of the directions that carry data.
pub fn retransmits(count: u64, packets: u64) -> String {
    if count == 0 { "-".into() } else { format::percent(count, packets) }
}

fn retransmits_of(row: &Row, _: &App) -> String {
    let (count, packets) = row.retransmits_of();
    retransmits(count, packets)
}

fn process(row: &Row, _: &App) -> String {
    let Some(owner) = row.owner.as_deref() else { return String::new() };
    match owner.is_kernel {
        true => Whose::KERNEL.into(),
        false if owner.name.is_empty() || owner.quality.is_certain() => escaped(Some(&owner.name)),
        false => format!("{}?", text::escape(&owner.name)),
    }
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

/// Returns the first few pids, three at most, and how many more there are, in so many cells: none is cut.
pub fn pids(group: &Group, room: usize) -> String {
    let some = |count: usize| {
        let text = group.pids.iter().take(count).map(u32::to_string).collect::<Vec<_>>().join(" ");
        match group.pids.len().saturating_sub(count) {
            0 => text,
            more => format!("{text} +{more}"),
        }
    };
    let fits = (1..=3).rev().map(some).find(|text| text.len() <= room);
    // One of several without the rest would look like all: the blank goes first, then the number.
    fits.unwrap_or_else(|| match group.pids[..] {
        [] => String::new(),
        [only] => only.to_string(),
        [first, ..] => {
            let tight = format!("{first}+{}", group.pids.len() - 1);
            if tight.len() <= room { tight } else { format!("{} pids", group.pids.len()) }
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::group::GroupName;

    #[test]
    fn v9_one_pid_of_several_never_looks_like_all() {
        let mut group = Group::new(GroupName::NotLooked);
        group.pids = vec![19095, 26420, 27337];
        for (room, want) in
            [(40, "19095 26420 27337"), (16, "19095 26420 +1"), (8, "19095 +2"), (7, "19095+2")]
        {
            assert_eq!(pids(&group, room), want, "{room}");
        }
        group.pids = vec![4_194_301, 4_194_302, 4_194_303];
        for (room, want) in [(10, "4194301 +2"), (9, "4194301+2"), (8, "3 pids"), (7, "3 pids")] {
            assert_eq!(pids(&group, room), want, "{room}");
        }
        group.pids = vec![4_194_304];
        assert_eq!(pids(&group, 7), "4194304");
    }
}
