//! Rows summed up by remote host or by process, for the tabs Hosts and Processes and for the head.

mod lines;
mod tops;

use std::{
    cmp::Ordering,
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

pub use lines::{GroupLine, GroupRequest, GroupView, LineName, Rows};
pub use tops::Top;
use tops::Tops;

use crate::{
    base::time::{Nanos, Stamp},
    dpi::fact::Fact,
    process::{
        listening::Listening,
        owner::{Owner, Quality},
    },
    query::{
        rest::Rest,
        scan::Spot,
        texts::{Places, Seeded},
    },
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
    /// The address or the process.
    Name,
    /// What the traffic calls a host.
    KnownAs,
    New,
    Rtt,
    Retransmits,
    Pids,
    User,
    Container,
    Listens,
    /// The other side that moves most.
    Top,
}

impl GroupSort {
    /// Returns what comes after it among those that are shown, in their order, with the key `s`. Without a column of
    /// their own, both rates together stand before the first; what is not shown is followed by the first.
    pub fn next(self, shown: &[Self]) -> Self {
        let at = shown.iter().position(|sort| *sort == self);
        match shown.get(at.map_or(0, |at| at + 1)) {
            Some(next) => *next,
            None if shown.contains(&Self::Rate) => shown[0],
            None => Self::Rate,
        }
    }

    /// Returns its name in the title.
    pub fn title(self, by: GroupBy) -> &'static str {
        match (self, by) {
            (Self::Rate, _) => "Rate",
            (Self::Down, _) => "Down",
            (Self::Up, _) => "Up",
            (Self::Total, _) => "Total",
            (Self::Connections, _) => "Connections",
            (Self::Name, GroupBy::Host) => "Remote Addr",
            (Self::Name, GroupBy::Process) => "Process",
            (Self::KnownAs, _) => "Name",
            (Self::New, _) => "New/s",
            (Self::Rtt, _) => "RTT",
            (Self::Retransmits, _) => "Retransmits",
            (Self::Pids, _) => "Pids",
            (Self::User, _) => "User",
            (Self::Container, _) => "Container",
            (Self::Listens, _) => "Listens",
            (Self::Top, GroupBy::Host) => "Top process",
            (Self::Top, GroupBy::Process) => "Top remote",
        }
    }

    /// Returns whether the smallest come first at first: texts, and numbers that are names.
    pub fn is_ascending(self) -> bool {
        use GroupSort::{Container, KnownAs, Listens, Name, Pids, Top, User};
        matches!(self, Name | KnownAs | Pids | User | Container | Listens | Top)
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
    /// Flows that neither end of is ours, or that are translated for another host.
    Forwarded,
    /// Flows of other hosts that no router passes on.
    LinkLocal,
    /// Flows whose owner is not known.
    Unknown,
    /// Flows whose owners nobody looks for, as those of a file.
    NotLooked,
    /// Flows that ended within the last second: they have no rows any more, but the total has their bytes.
    Gone,
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
    /// The packets that these are a share of; see [`FlowView::data_packets`].
    pub data_packets: u64,
    /// Some of the round trips, in us.
    rtts: Vec<u32>,
    /// Process ids, the first few.
    pub pids: Vec<u32>,
    /// User of the first owner.
    pub user: Option<Box<str>>,
    /// Container of the first owner.
    pub container: Option<Box<str>>,
    /// The other side that moves most: a process of a host, a remote address of a process.
    pub top: Option<Top>,
    /// A name of the host in the traffic.
    pub known_as: Option<String>,
}

/// Round trips kept of a group.
const MOST_RTTS: usize = 31;
/// Process ids kept of a group.
const MOST_PIDS: usize = 16;

impl Group {
    /// Returns one without anything in it.
    pub fn new(name: GroupName) -> Self {
        Self {
            name,
            flows: 0,
            new: 0,
            down: 0.0,
            up: 0.0,
            bytes: 0,
            packets: 0,
            retransmits: 0,
            data_packets: 0,
            rtts: Vec::new(),
            pids: Vec::new(),
            user: None,
            container: None,
            top: None,
            known_as: None,
        }
    }

    /// Returns the middle one of its round trips.
    pub fn rtt(&self) -> Option<Nanos> {
        let mut all = self.rtts.clone();
        all.sort_unstable();
        all.get(all.len() / 2).map(|us| Nanos(u64::from(*us) * 1000))
    }

    /// Returns the ports that its processes wait at, in order, each once.
    pub fn listening_ports(&self, all: &[Listening]) -> Vec<u16> {
        let own = all.iter().filter(|l| l.pid.is_some_and(|pid| self.pids.contains(&pid)));
        let mut ports: Vec<u16> = own.map(|l| l.port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Returns both rates together.
    pub fn rate(&self) -> f64 {
        self.down + self.up
    }
}

/// Returns what the traffic calls the remote end, if that is a name.
fn remote_name<'a>(flow: &FlowView<'a>) -> Option<&'a [u8]> {
    let (app, remote) = (flow.app?, flow.remote());
    let said = || app.first(Fact::Sni).or(app.first(Fact::HttpHost));
    // Whoever calls names the end that is called.
    let said = if flow.hot.roles.initiator() == remote { None } else { said() };
    let is_name = |name: &&[u8]| {
        let text = std::str::from_utf8(name).unwrap_or_default();
        text.parse::<IpAddr>().is_err() && text.parse::<SocketAddr>().is_err()
    };
    // An answer's name belongs to its address, whoever opened the connection.
    said.filter(is_name).or_else(|| app.names.of(remote).first().map(|known| &*known.name))
}

/// Returns whose flow it is; `looked` is whether anybody looks for owners.
pub fn process_of(flow: &FlowView, looked: bool) -> GroupName {
    match flow.owner {
        Some(Owner { is_kernel: true, .. }) => GroupName::Kernel,
        Some(Owner { quality: Quality::Forwarded, .. }) => GroupName::Forwarded,
        Some(Owner { quality: Quality::LinkLocal, .. }) => GroupName::LinkLocal,
        Some(owner) if !owner.name.is_empty() => GroupName::Process(owner.name.clone()),
        _ if !looked => GroupName::NotLooked,
        _ if !flow.hot.roles.is_local(0) && !flow.hot.roles.is_local(1) => GroupName::Forwarded,
        _ => GroupName::Unknown,
    }
}

/// Returns the group that a flow is in.
pub fn name_of(by: GroupBy, flow: &FlowView, looked: bool) -> GroupName {
    match by {
        GroupBy::Host => GroupName::Host(flow.addresses()[flow.remote()]),
        GroupBy::Process => process_of(flow, looked),
    }
}

/// Rows that an open group shows at most: those that move most.
const MOST_MEMBERS: usize = 200;

/// The rows of groups that are open.
pub struct Members {
    by: GroupBy,
    looked: bool,
    open: Vec<(GroupName, usize, Vec<Member>)>,
}

/// What a row is ordered by within its group, and where it stands.
type Member = (f64, u64, Spot);

impl Members {
    /// Returns the groups of these names, without any rows yet.
    pub fn new(by: GroupBy, looked: bool, open: &[GroupName]) -> Self {
        Self { by, looked, open: open.iter().map(|name| (name.clone(), 0, Vec::new())).collect() }
    }

    /// Counts a row that is not shown if its group is open.
    pub fn add_hidden(&mut self, flow: &FlowView) {
        if !self.open.is_empty() {
            let name = name_of(self.by, flow, self.looked);
            let group = self.open.iter_mut().find(|(open, ..)| *open == name);
            group.into_iter().for_each(|(_, count, _)| *count += 1);
        }
    }

    /// Adds a row if its group is open.
    pub fn add(&mut self, at: Spot, flow: &FlowView) {
        if self.open.is_empty() {
            return;
        }
        let name = name_of(self.by, flow, self.looked);
        let Some((_, count, rows)) = self.open.iter_mut().find(|(open, ..)| *open == name) else { return };
        let (down, up) = flow.seen_down_up();
        *count += 1;
        rows.push((down + up, flow.bytes(), at));
        if rows.len() >= 4 * MOST_MEMBERS {
            shorten(rows);
        }
    }

    /// Returns the lines that the rows of all open groups take.
    fn rows(&self) -> usize {
        let lines = |count: usize, rows: usize| {
            let shown = rows.min(MOST_MEMBERS);
            shown + usize::from(count > shown)
        };
        self.open.iter().map(|(_, count, rows)| lines(*count, rows.len())).sum()
    }

    /// Returns the rows of a group, those that move most first, and how many more it has; `None` if it
    /// is closed.
    fn of(&mut self, name: &GroupName) -> Option<(usize, &[Member])> {
        let (_, count, rows) = self.open.iter_mut().find(|(open, ..)| open == name)?;
        shorten(rows);
        Some((*count - rows.len(), rows))
    }
}

fn shorten(rows: &mut Vec<Member>) {
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
    rows.truncate(MOST_MEMBERS);
}

/// Sums up.
pub struct Sums {
    by: GroupBy,
    /// Somebody looks for owners.
    looked: bool,
    wall: Stamp,
    groups: Vec<Group>,
    /// Their places among `groups`, by name.
    by_name: HashMap<GroupName, usize, Seeded>,
    /// The same by the place in memory of what is known of an owner: flows of one process mostly share that.
    by_owner: HashMap<usize, usize, Places>,
    tops: Tops,
}

impl Sums {
    /// Returns no groups, of rows as of `wall`.
    pub fn new(by: GroupBy, looked: bool, wall: Stamp) -> Self {
        let (by_name, by_owner, tops) = Default::default();
        Self { by, looked, wall, groups: Vec::new(), by_name, by_owner, tops }
    }

    /// Returns the place of a row's group.
    fn place_of(&mut self, flow: &FlowView) -> usize {
        let Self { by, looked, groups, by_name, by_owner, .. } = self;
        let mut named = || {
            let name = name_of(*by, flow, *looked);
            *by_name.entry(name).or_insert_with_key(|name| {
                groups.push(Group::new(name.clone()));
                groups.len() - 1
            })
        };
        // The group of an owner without a name depends on the flow.
        let is_named = |owner: &&Owner| !owner.name.is_empty() || owner.is_kernel;
        match flow.owner.filter(|owner| *by == GroupBy::Process && is_named(owner)) {
            Some(owner) => *by_owner.entry(std::ptr::from_ref(owner).addr()).or_insert_with(named),
            None => named(),
        }
    }

    /// Adds a row.
    pub fn add(&mut self, flow: &FlowView) {
        let (by, wall) = (self.by, self.wall);
        let place = self.place_of(flow);
        self.tops.add(place, by, flow);
        let group = &mut self.groups[place];
        let (down, up) = flow.seen_down_up();
        group.flows += 1;
        group.new += usize::from(wall.since(flow.facts.first) < Nanos::from_secs(1));
        group.down += down;
        group.up += up;
        group.bytes = group.bytes.saturating_add(flow.bytes());
        let frames = flow.hot.frames[0].saturating_add(flow.hot.frames[1]);
        let extra = flow.facts.extra_packets[0].saturating_add(flow.facts.extra_packets[1]);
        group.packets = group.packets.saturating_add(frames).saturating_add(extra);
        group.retransmits += flow.retransmits();
        group.data_packets = group.data_packets.saturating_add(flow.data_packets());
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
        if group.known_as.is_none() && by == GroupBy::Host {
            group.known_as = remote_name(flow).map(|name| String::from_utf8_lossy(name).into_owned());
        }
    }

    /// Adds what moved within the last second in flows that have no row any more, towards Local and towards Remote.
    pub fn add_gone(&mut self, [down, up]: [f64; 2]) {
        if down + up >= 1.0 {
            self.groups.push(Group { down, up, ..Group::new(GroupName::Gone) });
        }
    }

    /// Says what moves most in each group, once all rows are there.
    pub fn settle(&mut self) {
        let mut rest = Rest::default();
        for (n, group) in self.groups.iter_mut().enumerate() {
            if n % 4096 == 0 {
                rest.now_and_then();
            }
            group.top = self.tops.of(n);
        }
    }

    /// Returns all groups, each with what it is ordered by.
    fn keyed(&self, sort: GroupSort, flipped: bool, listening: &[Listening]) -> Vec<Keyed<'_>> {
        let mut rest = Rest::default();
        let mut all = Vec::with_capacity(self.groups.len());
        for (n, group) in self.groups.iter().enumerate() {
            if n % 4096 == 0 {
                rest.now_and_then();
            }
            // The smallest number first, and last what has none.
            let ascending = |number: Option<u64>| number.map_or((-1.0, 0), |number| (0.0, !number));
            let (first, second) = match sort {
                GroupSort::Rate => (group.rate(), group.bytes),
                GroupSort::Down => (group.down, 0),
                GroupSort::Up => (group.up, 0),
                GroupSort::Total => (0.0, group.bytes),
                GroupSort::Connections => (0.0, group.flows as u64),
                GroupSort::New => (0.0, group.new as u64),
                GroupSort::Rtt => (0.0, group.rtt().map_or(0, |rtt| rtt.0)),
                GroupSort::Retransmits => {
                    (group.retransmits as f64 / group.data_packets.max(1) as f64, group.retransmits)
                }
                GroupSort::Pids => ascending(group.pids.first().map(|pid| (*pid).into())),
                GroupSort::Listens => {
                    ascending(group.listening_ports(listening).first().map(|port| (*port).into()))
                }
                GroupSort::Name
                | GroupSort::KnownAs
                | GroupSort::User
                | GroupSort::Container
                | GroupSort::Top => (0.0, 0),
            };
            let text = match sort {
                GroupSort::KnownAs => group.known_as.as_deref(),
                GroupSort::User => group.user.as_deref(),
                GroupSort::Container => group.container.as_deref(),
                GroupSort::Top => group.top.as_ref().map(|top| &*top.name),
                _ => None,
            };
            all.push(Keyed { first, second, text, group, flipped, by_name: sort == GroupSort::Name });
        }
        all
    }
}

/// A group with what it is ordered by, the largest first; its name decides where that is the same.
#[derive(Clone, Copy)]
struct Keyed<'a> {
    first: f64,
    second: u64,
    /// In its order; what has none comes last, either way round.
    text: Option<&'a str>,
    group: &'a Group,
    flipped: bool,
    by_name: bool,
}

impl Keyed<'_> {
    fn order(&self, other: &Self) -> Ordering {
        let largest = other.first.total_cmp(&self.first).then(other.second.cmp(&self.second));
        let texts = match (self.text, other.text) {
            (Some(own), Some(other)) if self.flipped => other.cmp(own),
            (Some(own), Some(other)) => own.cmp(other),
            (own, other) => other.is_some().cmp(&own.is_some()),
        };
        let order = if self.flipped { largest.reverse() } else { largest }.then(texts);
        let by_name = || self.group.name.cmp(&other.group.name);
        order.then_with(|| if self.by_name && self.flipped { by_name().reverse() } else { by_name() })
    }
}
