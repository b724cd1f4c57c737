//! The lines that a screen shows of groups: each group, and the rows of those that are open.

use std::{cmp::Ordering, sync::Arc};

use super::{Group, GroupBy, GroupName, GroupSort, Keyed, Members, Sums};
use crate::{
    base::ids::FlowId,
    process::listening::Listening,
    query::scan::Spot,
    snapshot::{
        ended::{EndedFlow, EndedList},
        row::Row,
        view::Snapshot,
    },
};

/// What a screen wants to see of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRequest {
    /// What they are.
    pub by: GroupBy,
    /// In which order.
    pub sort: GroupSort,
    /// The other way round.
    pub flipped: bool,
    /// Groups whose rows are shown below them.
    pub open: Vec<GroupName>,
    /// The selected line; where it is gone, or `None`, the one at `place`.
    pub name: Option<LineName>,
    /// See `name`.
    pub place: usize,
    /// Lines wanted on either side of it.
    pub margin: usize,
    /// The sockets that wait for others, for who sorts by their ports.
    pub listening: Arc<Vec<Listening>>,
}

/// Names a line for as long as it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineName {
    /// Its group.
    pub group: GroupName,
    /// Its row; `None` for the group itself.
    pub flow: Option<FlowId>,
}

/// One line of a table of groups.
#[derive(Clone, Debug)]
pub enum GroupLine {
    /// A group.
    Group {
        /// Its sums.
        group: Box<Group>,
        /// Whether its rows follow.
        open: bool,
    },
    /// A row of an open group.
    Row {
        /// The group.
        of: GroupName,
        /// The row.
        row: Box<Row>,
    },
    /// Rows of an open group that are not shown.
    More {
        /// The group.
        of: GroupName,
        /// How many they are.
        count: usize,
    },
}

impl GroupLine {
    /// Returns its name.
    pub fn name(&self) -> LineName {
        match self {
            Self::Group { group, .. } => LineName { group: group.name.clone(), flow: None },
            Self::Row { of, row } => LineName { group: of.clone(), flow: Some(row.id) },
            Self::More { of, .. } => LineName { group: of.clone(), flow: None },
        }
    }
}

/// The groups that a screen draws from.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// What they are.
    pub by: GroupBy,
    /// How many groups there are.
    pub groups: usize,
    /// How many lines.
    pub len: usize,
    /// The place of the first of `lines`.
    pub first: usize,
    /// Lines in order.
    pub lines: Vec<GroupLine>,
    /// The place of the selected one.
    pub selected: usize,
    /// The largest rate of all, which bars are measured by.
    pub largest: f64,
    /// Rates of all groups.
    pub sum: (f64, f64),
}

/// A line before it is made: of which group, by place, and what of it.
type Line = (u32, Part);

#[derive(Clone, Copy)]
enum Part {
    Head { open: bool },
    Row(Spot),
    More(usize),
}

/// Where the rows of groups lie: in an epoch, or among those that ended, from the first that is looked at.
pub struct Rows<'a> {
    /// The epoch.
    pub snapshot: &'a Snapshot,
    /// The ended flows.
    pub ended: &'a EndedList,
    /// The number of the first of them.
    pub first_ended: u64,
}

impl Rows<'_> {
    /// Returns the ended flow with this number after the first.
    pub fn ended(&self, number: u32) -> Option<&EndedFlow> {
        self.ended.get(self.first_ended + u64::from(number))
    }

    fn id(&self, at: Spot) -> Option<FlowId> {
        match at {
            Spot::Live(at) => Some(self.snapshot.id(at)),
            Spot::Ended(number) => self.ended(number).map(|flow| flow.record.id),
            Spot::Kept => None,
        }
    }

    fn row(&self, at: Spot) -> Option<Row> {
        match at {
            Spot::Live(at) => Some(self.snapshot.row(at)),
            Spot::Ended(number) => self.ended(number).map(EndedFlow::row),
            Spot::Kept => None,
        }
    }
}

impl GroupView {
    /// Returns the window of groups that was asked for, with the rows of those that are open. Only
    /// groups up to its end are sorted.
    pub fn of(sums: &Sums, mut members: Members, rows_of: &Rows, request: &GroupRequest) -> Self {
        let mut groups = sums.keyed(request.sort, request.flipped, &request.listening);
        let count = groups.len();
        let largest = groups.iter().map(|g| g.group.rate()).fold(0.0, f64::max);
        let sum = groups.iter().fold((0.0, 0.0), |sum, g| (sum.0 + g.group.down, sum.1 + g.group.up));
        // A line stands behind the groups before its own, and behind rows of those that are open.
        let wanted = request.name.as_ref().and_then(|n| groups.iter().find(|g| g.group.name == n.group));
        let place = match wanted.copied() {
            Some(wanted) => groups.iter().filter(|g| g.order(&wanted) == Ordering::Less).count(),
            None => request.place,
        };
        let end = place.saturating_add(request.margin).saturating_add(1 + members.rows());
        if end < count {
            groups.select_nth_unstable_by(end, Keyed::order);
            groups.truncate(end);
        }
        groups.sort_unstable_by(Keyed::order);
        let mut spots: Vec<Line> = Vec::with_capacity(groups.len());
        for (n, keyed) in (0..).zip(&groups) {
            let rows = members.of(&keyed.group.name);
            spots.push((n, Part::Head { open: rows.is_some() }));
            if let Some((more, rows)) = rows {
                spots.extend(rows.iter().map(|(.., at)| (n, Part::Row(*at))));
                spots.extend((more > 0).then_some((n, Part::More(more))));
            }
        }
        let is = |(n, part): &Line, name: &LineName| {
            groups[*n as usize].group.name == name.group
                && match part {
                    Part::Head { .. } => name.flow.is_none(),
                    Part::Row(at) => name.flow.is_some() && name.flow == rows_of.id(*at),
                    Part::More(_) => false,
                }
        };
        let len = count + members.rows();
        let known = request.name.as_ref().and_then(|name| spots.iter().position(|spot| is(spot, name)));
        let selected = known.unwrap_or(request.place).min(len.saturating_sub(1));
        let first = selected.saturating_sub(request.margin);
        let line = |(n, part): &Line| {
            let group = groups[*n as usize].group;
            Some(match part {
                Part::Head { open } => GroupLine::Group { group: Box::new(group.clone()), open: *open },
                Part::Row(at) => GroupLine::Row { of: group.name.clone(), row: Box::new(rows_of.row(*at)?) },
                Part::More(count) => GroupLine::More { of: group.name.clone(), count: *count },
            })
        };
        let lines = spots.iter().skip(first).take(2 * request.margin + 1).filter_map(line).collect();
        Self { by: request.by, groups: count, len, first, lines, selected, largest, sum }
    }

    /// Returns the line at a place, if it is in the window.
    pub fn at(&self, place: usize) -> Option<&GroupLine> {
        self.lines.get(place.checked_sub(self.first)?)
    }
}
