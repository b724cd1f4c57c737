//! Rows summed up by remote host or by process, for the tabs Hosts and Processes and for the head.

use std::{cmp::Ordering, collections::HashMap, net::IpAddr};

use crate::{
    base::time::{Nanos, Stamp},
    process::owner::Owner,
    snapshot::flow_view::FlowView,
};

/// What rows are summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupBy {
    /// The address in the Remote column.
    Host,
    /// The name of the process.
    Process,
}

/// What groups are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as their columns")]
pub enum GroupSort {
    /// Both rates together, then bytes.
    #[default]
    Rate,
    Down,
    Up,
    Total,
    Connections,
    Name,
}

impl GroupSort {
    /// All, in the order of the key `s`.
    pub const ALL: [Self; 6] = [Self::Rate, Self::Down, Self::Up, Self::Total, Self::Connections, Self::Name];

    /// Returns what comes after it.
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|s| *s == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// Returns its name in the title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rate => "Rate",
            Self::Down => "Down",
            Self::Up => "Up",
            Self::Total => "Total",
            Self::Connections => "Connections",
            Self::Name => "Name",
        }
    }
}

/// Names a group for as long as it lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupName {
    /// A remote address.
    Host(IpAddr),
    /// A process, by name.
    Process(Box<str>),
    /// The kernel itself.
    Kernel,
    /// Flows that neither end of is ours.
    Forwarded,
    /// Flows whose owner is not known.
    Unknown,
}

/// One group. Names are as they came: escape them where they are shown.
#[derive(Clone, Debug)]
pub struct Group {
    /// What its rows have in common.
    pub name: GroupName,
    /// Its rows.
    pub flows: usize,
    /// Rows that began in the last second.
    pub new: usize,
    /// Bytes per second towards Local and towards Remote.
    pub down: f64,
    /// See `down`.
    pub up: f64,
    /// Bytes both ways.
    pub bytes: u64,
    /// Packets both ways.
    pub packets: u64,
    /// TCP segments sent again.
    pub retransmits: u64,
    /// Some of the round trips, in us.
    rtts: Vec<u32>,
    /// Process ids, the first few.
    pub pids: Vec<u32>,
    /// User of the first owner.
    pub user: Option<Box<str>>,
    /// Container of the first owner.
    pub container: Option<Box<str>>,
    /// The other side of its largest row: the process of a host, the remote address of a process.
    pub top: Option<String>,
    largest: (f64, u64),
    /// A name of the host in the traffic.
    pub known_as: Option<String>,
}

/// Round trips kept of a group.
const MOST_RTTS: usize = 31;
/// Process ids kept of a group.
const MOST_PIDS: usize = 16;

impl Group {
    fn new(name: GroupName) -> Self {
        Self {
            name,
            flows: 0,
            new: 0,
            down: 0.0,
            up: 0.0,
            bytes: 0,
            packets: 0,
            retransmits: 0,
            rtts: Vec::new(),
            pids: Vec::new(),
            user: None,
            container: None,
            top: None,
            largest: (-1.0, 0),
            known_as: None,
        }
    }

    /// Returns the middle one of its round trips.
    pub fn rtt(&self) -> Option<Nanos> {
        let mut all = self.rtts.clone();
        all.sort_unstable();
        all.get(all.len() / 2).map(|us| Nanos(u64::from(*us) * 1000))
    }

    /// Returns both rates together.
    pub fn rate(&self) -> f64 {
        self.down + self.up
    }
}

/// Returns whose flow it is.
pub fn process_of(flow: &FlowView) -> GroupName {
    match flow.owner {
        Some(Owner { is_kernel: true, .. }) => GroupName::Kernel,
        Some(owner) if !owner.name.is_empty() => GroupName::Process(owner.name.clone()),
        _ if !flow.hot.roles.is_local(0) && !flow.hot.roles.is_local(1) => GroupName::Forwarded,
        _ => GroupName::Unknown,
    }
}

/// Sums up.
pub struct Sums {
    by: GroupBy,
    wall: Stamp,
    groups: HashMap<GroupName, Group>,
}

impl Sums {
    /// Returns no groups, of rows as of `wall`.
    pub fn new(by: GroupBy, wall: Stamp) -> Self {
        Self { by, wall, groups: HashMap::new() }
    }

    /// Adds a row.
    pub fn add(&mut self, flow: &FlowView) {
        let name = match self.by {
            GroupBy::Host => GroupName::Host(flow.addresses()[flow.remote()]),
            GroupBy::Process => process_of(flow),
        };
        let group = self.groups.entry(name).or_insert_with_key(|name| Group::new(name.clone()));
        let (down, up) = flow.down_up();
        let (down, up) = (f64::from(down), f64::from(up));
        group.flows += 1;
        group.new += usize::from(self.wall.since(flow.facts.first) < Nanos::from_secs(1));
        group.down += down;
        group.up += up;
        group.bytes = group.bytes.saturating_add(flow.bytes());
        let frames = flow.hot.frames[0].saturating_add(flow.hot.frames[1]);
        let extra = flow.facts.extra_packets[0].saturating_add(flow.facts.extra_packets[1]);
        group.packets = group.packets.saturating_add(frames).saturating_add(extra);
        group.retransmits += flow.retransmits();
        if let Some(rtt) = flow.rtt().filter(|_| group.rtts.len() < MOST_RTTS) {
            group.rtts.push((rtt.0 / 1000) as u32);
        }
        if let Some(owner) = flow.owner {
            if let Some(pid) = owner.pid.filter(|p| group.pids.len() < MOST_PIDS && !group.pids.contains(p)) {
                group.pids.push(pid);
            }
            if group.user.is_none() {
                group.user.clone_from(&owner.user);
            }
            if group.container.is_none() {
                group.container.clone_from(&owner.container);
            }
        }
        let size = (down + up, flow.bytes());
        if size.partial_cmp(&group.largest) == Some(Ordering::Greater) {
            group.largest = size;
            group.top = match self.by {
                GroupBy::Host => flow.owner.map(|o| o.name.to_string()).filter(|name| !name.is_empty()),
                GroupBy::Process => Some(flow.addresses()[flow.remote()].to_string()),
            };
        }
        if group.known_as.is_none() && self.by == GroupBy::Host {
            use crate::dpi::fact::Fact;
            let name = flow.app.and_then(|app| app.first(Fact::Sni).or(app.first(Fact::HttpHost)));
            let name = name.or_else(|| {
                // It belongs to the remote end, whoever opened the connection.
                flow.app.and_then(|app| app.names.of(flow.remote()).first()).map(|known| &*known.name)
            });
            group.known_as = name.map(|name| String::from_utf8_lossy(name).into_owned());
        }
    }

    /// Returns the groups in order.
    pub fn sorted(self, sort: GroupSort, flipped: bool) -> Vec<Group> {
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        let largest = |a: f64, b: f64| b.total_cmp(&a);
        groups.sort_unstable_by(|a, b| {
            let order = match sort {
                GroupSort::Rate => largest(a.rate(), b.rate()).then(b.bytes.cmp(&a.bytes)),
                GroupSort::Down => largest(a.down, b.down),
                GroupSort::Up => largest(a.up, b.up),
                GroupSort::Total => b.bytes.cmp(&a.bytes),
                GroupSort::Connections => b.flows.cmp(&a.flows),
                GroupSort::Name => Ordering::Equal,
            };
            let order = if flipped { order.reverse() } else { order };
            let by_name =
                if sort == GroupSort::Name && flipped { b.name.cmp(&a.name) } else { a.name.cmp(&b.name) };
            order.then(by_name)
        });
        groups
    }
}

/// What a screen wants to see of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRequest {
    /// What they are.
    pub by: GroupBy,
    /// In which order.
    pub sort: GroupSort,
    /// The other way round.
    pub flipped: bool,
    /// The selected one; where it is gone, or `None`, the one at `place`.
    pub name: Option<GroupName>,
    /// See `name`.
    pub place: usize,
    /// Groups wanted on either side of it.
    pub around: usize,
}

/// The groups that a screen draws from.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// What they are.
    pub by: GroupBy,
    /// How many there are.
    pub len: usize,
    /// The place of the first of `rows`.
    pub first: usize,
    /// Groups in order.
    pub rows: Vec<Group>,
    /// The place of the selected one.
    pub selected: usize,
    /// The largest rate of all, which bars are measured by.
    pub largest: f64,
    /// Rates of all groups.
    pub sum: (f64, f64),
}

impl GroupView {
    /// Returns the window of sorted groups that was asked for.
    pub fn of(groups: Vec<Group>, request: &GroupRequest) -> Self {
        let len = groups.len();
        let known = request.name.as_ref().and_then(|name| groups.iter().position(|g| g.name == *name));
        let selected = known.unwrap_or(request.place).min(len.saturating_sub(1));
        let first = selected.saturating_sub(request.around);
        let largest = groups.iter().map(Group::rate).fold(0.0, f64::max);
        let sum = groups.iter().fold((0.0, 0.0), |sum, g| (sum.0 + g.down, sum.1 + g.up));
        let rows = groups.into_iter().skip(first).take(2 * request.around + 1).collect();
        Self { by: request.by, len, first, rows, selected, largest, sum }
    }

    /// Returns the group at a place, if it is in the window.
    pub fn at(&self, place: usize) -> Option<&Group> {
        self.rows.get(place.checked_sub(self.first)?)
    }
}
