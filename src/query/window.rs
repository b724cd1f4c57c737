//! The rows that a screen shows, and some around them, out of all rows of an epoch.
//!
//! What is shown and what it sorts by is kept from epoch to epoch ([`crate::query::scan`]), and
//! nothing is sorted but the window ([`crate::query::select`]). So a million rows cost some
//! milliseconds, once an epoch and when somebody scrolls out of the window, and the snapshot is
//! let go right after.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    base::{
        counters::Accounts,
        ids::{Epoch, FlowId},
        time::{Nanos, Stamp},
    },
    capture::source::SourceStatus,
    process::{listening::Listening, lookup::OwnerStatus},
    query::{
        census::{Census, Spread},
        column::ServiceName,
        damping::Damper,
        filter::{
            eval::{Filter, Surroundings},
            plan::Scratch,
        },
        group::{GroupName, GroupRequest, GroupView, Members, Sums, process_of},
        kept::ended_spot,
        rest::Rest,
        scan::{Question, Scan, Spot},
        select::{self, Entry, Target},
        sort::{Sort, SortBy},
        watch::{Counted, Firing, Watch, Watcher},
    },
    snapshot::{
        ended::{EndedFlow, EndedFlows, EndedList},
        flow_view::FlowView,
        history::History,
        row::Row,
        view::{Snapshot, StageStatus, Totals},
    },
};

pub use crate::query::kept::Kept;

/// Which row is the selected one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    /// Whichever is first: nobody has chosen yet.
    #[default]
    First,
    /// Whichever is last: the newest.
    Last,
    /// The one at this place, from 0.
    At(usize),
    /// This one, wherever it stands.
    On(FlowId),
}

/// Whether connections of this host with itself are rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Localhost {
    /// They are.
    #[default]
    Show,
    /// They are counted only.
    Hide,
}

/// What a screen wants to see.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The selected row.
    pub cursor: Cursor,
    /// Rows wanted on either side of it.
    pub around: usize,
    /// Connections of this host with itself.
    pub localhost: Localhost,
    /// The selected row as last seen: it keeps its place if it has ended.
    pub keep: Option<Kept>,
    /// Which flows; `None` for all.
    pub filter: Option<Arc<Filter>>,
    /// In which order.
    pub sort: Sort,
    /// Only these flows.
    pub only: Option<Arc<HashSet<FlowId>>>,
    /// Ended flows are rows too, from this number on.
    pub ended: Option<u64>,
    /// All is looked at as of the epoch in which this was first asked.
    pub frozen: bool,
    /// The order must be exact, although it is one of rates.
    pub exact: bool,
    /// The order must be exact at every epoch.
    pub undamped: bool,
    /// Names of services, which rows may be sorted and found by.
    pub services: Option<ServiceName>,
    /// Sums by host or process that are wanted.
    pub group: Option<GroupRequest>,
    /// Counts of states, protocols and round trips are wanted.
    pub census: bool,
    /// What is watched for.
    pub watches: Arc<Vec<Watch>>,
    /// Changes whenever the set of rows or their order does: with `localhost`, `filter`, `sort`,
    /// `only`, `ended` and `services`.
    pub serial: u64,
}

/// A part of the traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Whose it is; escape it where it is shown.
    pub name: GroupName,
    /// Bytes per second, both ways.
    pub rate: f64,
}

/// An epoch that was frozen.
#[derive(Clone, Copy, Debug)]
pub struct FrozenAt {
    /// Its wall time.
    pub wall: Stamp,
    /// Flows that began since.
    pub new: u64,
}

/// What a screen draws from; owns everything and holds no snapshot.
#[derive(Clone, Debug)]
pub struct View {
    /// The epoch it shows.
    pub epoch: Epoch,
    /// The cursor that was asked for.
    pub cursor: Cursor,
    /// Engine time of its cut.
    pub now: Nanos,
    /// Wall time of its cut.
    pub wall: Stamp,
    /// Where every frame went.
    pub accounts: Accounts,
    /// Totals over all rows, hidden ones included.
    pub totals: Totals,
    /// The totals of the last hour.
    pub history: Arc<History>,
    /// Frames lost, and lost to the kernel alone.
    pub lost: u64,
    /// See `lost`.
    pub kernel_drops: u64,
    /// All frames that came by.
    pub seen: u64,
    /// Every capture source.
    pub sources: Vec<SourceStatus>,
    /// How owners are found.
    pub owner_method: OwnerStatus,
    /// The source has no more frames.
    pub ended: bool,
    /// Every pinned stage.
    pub stages: Vec<StageStatus>,
    /// Epochs that were skipped because a reader held on to one.
    pub epochs_skipped: u64,
    /// The epoch that the rows are of, if it is not the newest.
    pub frozen: Option<FrozenAt>,
    /// What the answer is to: see [`Request::serial`].
    pub serial: u64,
    /// Who moves most, largest first.
    pub top: Vec<Share>,
    /// How round trips are spread, of many connections by a sample.
    pub round_trips: Spread,
    /// Sums by host or process.
    pub groups: Option<GroupView>,
    /// Counts of states, protocols and round trips.
    pub census: Option<Census>,
    /// Which watches fire, in their order.
    pub firing: Vec<Option<Firing>>,
    /// Rows of the window that a watch looks for.
    pub watched: HashSet<FlowId>,
    /// Sockets that wait for others; whoever asks for groups fills it in.
    pub listening: Arc<Vec<Listening>>,
    /// Number of the next flow that ends.
    pub ended_end: u64,
    /// Rows without a filter.
    pub all: usize,
    /// Rows that this order holds, a kept one that has ended not counted.
    pub len: usize,
    /// Rows that are hidden as localhost.
    pub hidden: usize,
    /// The place of the first of `rows`.
    pub first: usize,
    /// Rows in order.
    pub rows: Vec<Row>,
    /// The place of the selected row, which is among `rows`; `None` without rows.
    pub selected: Option<usize>,
    /// The kept row, if it has ended: it is the selected one.
    pub gone: Option<Kept>,
}

impl View {
    /// Returns the row at a place, if it is in the window.
    pub fn at(&self, place: usize) -> Option<&Row> {
        self.rows.get(place.checked_sub(self.first)?)
    }

    /// Returns the place of a row, if it is in the window.
    pub fn place_of(&self, id: FlowId) -> Option<usize> {
        self.rows.iter().position(|row| row.id == id).map(|n| n + self.first)
    }

    /// Returns the number of places: rows, and the one that has ended.
    pub fn places(&self) -> usize {
        self.len + usize::from(self.gone.is_some())
    }

    /// Returns whether the frames come from a file or a stream of one.
    pub fn is_file(&self) -> bool {
        self.sources.iter().any(|s| s.read.is_some())
    }
}

/// Finds windows; keeps what it found out between queries (some 20 bytes a row).
#[derive(Default)]
pub struct Finder {
    scan: Scan,
    damper: Damper,
    ended: Option<Arc<EndedFlows>>,
    frozen: Option<(Box<Snapshot>, EndedList)>,
    top: (Epoch, Vec<Share>, Spread),
    around: Surroundings,
    watcher: Watcher,
    firing: (Epoch, Arc<Vec<Watch>>, Vec<Option<Firing>>),
    scratch: Scratch,
}

/// Parts of the traffic that are told.
const MOST_SHARES: usize = 8;
/// Of more rows than these hosts are not summed up for the head.
const MOST_FOR_HOSTS: usize = 20_000;

impl Finder {
    /// Returns one that knows the ended flows, too.
    pub fn with_ended(ended: Arc<EndedFlows>) -> Self {
        Self { ended: Some(ended), ..Self::default() }
    }

    /// Answers a request. Costs a look at what has changed and one pass over the keys of all rows;
    /// another set or order of rows costs a look at all records. Holds the snapshot no longer.
    pub fn find(&mut self, live: &Snapshot, request: &Request) -> View {
        self.freeze(live, request.frozen);
        if self.top.0 != live.epoch {
            self.top = (live.epoch, shares(live), Spread::sampled(live));
        }
        let ended_now = self.ended.as_ref().map(|ended| ended.list()).unwrap_or_default();
        let frozen = self.frozen.take();
        let (snapshot, list) = match &frozen {
            Some((snapshot, list)) => (&**snapshot, list),
            None => (live, &ended_now),
        };
        let mut around = std::mem::take(&mut self.around);
        around.services = request.services;
        (around.wall, around.now) = (snapshot.wall, snapshot.now.tick());
        around.interfaces.clear();
        let interfaces = snapshot.sources.first().map_or(&[][..], |s| &s.interfaces);
        around.interfaces.extend(interfaces.iter().map(|i| i.name.clone()));
        let question = Question {
            serial: request.serial << 1 | u64::from(request.frozen),
            filter: request.filter.as_deref(),
            localhost: request.localhost,
            only: request.only.as_ref(),
            sort: request.sort,
            ended: request.ended.map(|from| (list, from)),
            around: &around,
        };
        let mut view = self.answer(live, snapshot, list, request, &question);
        view.frozen = frozen.as_ref().map(|(frozen, _)| FrozenAt {
            wall: frozen.wall,
            new: live.totals.opened.saturating_sub(frozen.totals.opened),
        });
        view.ended_end = list.end();
        view.groups = request.group.as_ref().map(|group| self.groups(snapshot, group));
        view.top.clone_from(&self.top.1);
        view.round_trips = self.top.2;
        view.census = request.census.then(|| Census::of(snapshot));
        if self.firing.0 != live.epoch || !Arc::ptr_eq(&self.firing.1, &request.watches) {
            // Watches look at what is, also while the rows are frozen.
            let now = Surroundings { wall: live.wall, now: live.now.tick(), ..around.clone() };
            let firing = self.watcher.look(live, &request.watches, &now);
            self.firing = (live.epoch, Arc::clone(&request.watches), firing);
        }
        view.firing.clone_from(&self.firing.2);
        view.watched = self.watched(&view.rows, &request.watches, &around);
        self.frozen = frozen;
        self.around = around;
        view
    }

    /// Calls `each` with every row that the request shows, in its order.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn export<E>(
        &mut self,
        live: &Snapshot,
        request: &Request,
        mut each: impl FnMut(&Row) -> Result<(), E>,
    ) -> Result<usize, E> {
        let all = Request {
            cursor: Cursor::First,
            around: usize::MAX / 2,
            keep: None,
            exact: true,
            group: None,
            ..request.clone()
        };
        let view = self.find(live, &all);
        for row in &view.rows {
            each(row)?;
        }
        Ok(view.rows.len())
    }

    fn freeze(&mut self, live: &Snapshot, frozen: bool) {
        if !frozen {
            self.frozen = None;
        } else if self.frozen.is_none() {
            let ended = self.ended.as_ref().map(|ended| ended.list()).unwrap_or_default();
            // Without memory for a copy it goes on live.
            self.frozen = live.detached().map(|copy| (Box::new(copy), ended));
        }
    }

    fn answer(
        &mut self,
        live: &Snapshot,
        snapshot: &Snapshot,
        list: &EndedList,
        request: &Request,
        question: &Question,
    ) -> View {
        let counts = self.scan.update(snapshot, question);
        let first_ended = self.scan.ended_first();
        let wanted = match request.cursor {
            Cursor::On(id) if snapshot.find(id).is_none() => {
                request.ended.and_then(|_| ended_spot(list, first_ended, id))
            }
            _ => None,
        };
        let gone = request.keep.as_ref().filter(|k| snapshot.find(k.row.id).is_none() && wanted.is_none());
        let gone = gone.map(|kept| kept.as_gone(snapshot.wall));
        let kept_flow = gone.as_ref().map(|kept| of_row(&kept.row));
        let extra = kept_flow
            .as_ref()
            .map(|flow| Entry { key: self.scan.key_of(&flow.view(), question), spot: Spot::Kept });
        let places = counts.matched + usize::from(extra.is_some());
        let target = match request.cursor {
            Cursor::First => Target::Place(0),
            Cursor::Last => Target::Place(places),
            Cursor::At(place) => Target::Place(place),
            Cursor::On(id) => match (snapshot.find(id), wanted, extra) {
                (Some(at), ..) => Target::Row(Entry {
                    key: self.scan.key_of(&snapshot.flow(at), question),
                    spot: Spot::Live(at),
                }),
                (None, Some((spot, flow)), _) => {
                    Target::Row(Entry { key: self.scan.key_of(&flow.view(), question), spot })
                }
                (None, None, Some(entry)) if gone.as_ref().is_some_and(|k| k.row.id == id) => {
                    Target::Row(entry)
                }
                _ => Target::Place(0),
            },
        };
        let record = |spot: Spot| match spot {
            Spot::Live(at) => snapshot.record(at),
            Spot::Ended(n) => list.get(first_ended + u64::from(n)).map(|f| f.record).unwrap_or_default(),
            Spot::Kept => kept_flow.as_ref().map(|f| f.record).unwrap_or_default(),
        };
        let found = select::window(&self.scan, extra, places, target, request.around, |a, b| {
            let rank = |spot| {
                let r = record(spot);
                (
                    r.hot.key.addresses(&r.wide),
                    r.hot.key.ports,
                    r.hot.key.proto,
                    r.wide.extension.tunnel_id,
                    r.id,
                )
            };
            rank(a).cmp(&rank(b))
        });
        let mut rows: Vec<Row> = found
            .rows
            .iter()
            .filter_map(|entry| match entry.spot {
                Spot::Live(at) => Some(snapshot.row(at)),
                Spot::Ended(n) => list.get(first_ended + u64::from(n)).map(EndedFlow::row),
                Spot::Kept => gone.as_ref().map(|kept| kept.row.clone()),
            })
            .collect();
        let mut selected = (places > 0).then_some(found.place.min(places.saturating_sub(1)));
        self.damp(&mut rows, found.first, &mut selected, request, snapshot.now);
        View {
            epoch: live.epoch,
            cursor: request.cursor,
            now: live.now,
            wall: live.wall,
            accounts: live.accounts,
            totals: live.totals,
            history: Arc::clone(&live.history),
            lost: live.lost(),
            kernel_drops: live.kernel_drops(),
            seen: live.seen(),
            sources: live.sources.clone(),
            stages: live.stages.clone(),
            epochs_skipped: live.epochs_skipped,
            owner_method: live.owner_method.clone(),
            ended: live.ended,
            frozen: None,
            serial: request.serial,
            top: Vec::new(),
            round_trips: Spread::default(),
            groups: None,
            census: None,
            firing: Vec::new(),
            watched: HashSet::new(),
            listening: Arc::default(),
            ended_end: 0,
            all: counts.all,
            len: counts.matched,
            hidden: counts.hidden,
            first: found.first,
            rows,
            selected,
            gone,
        }
    }

    /// Keeps rows that are sorted by a rate in their places for a moment.
    fn damp(
        &mut self,
        rows: &mut [Row],
        first: usize,
        selected: &mut Option<usize>,
        request: &Request,
        now: Nanos,
    ) {
        let by = request.sort.by;
        if !by.is_rate() {
            return;
        }
        if request.exact || request.undamped || request.frozen {
            return self.damper.reset(rows.iter().map(|row| row.id), now);
        }
        let rate = |row: &Row| match by {
            SortBy::Down => f64::from(row.down_up().0),
            _ => f64::from(row.down_up().1),
        };
        let rates: Vec<_> = rows.iter().map(|row| (row.id, rate(row))).collect();
        let order = self.damper.settle(&rates, request.sort.descending, now);
        let chosen = selected.and_then(|place| place.checked_sub(first));
        if let Some(place) = chosen.and_then(|chosen| order.iter().position(|n| *n == chosen)) {
            // A cursor at a place stays there, one on a row goes with it.
            if matches!(request.cursor, Cursor::On(_)) {
                *selected = Some(place + first);
            }
        }
        let sorted: Vec<Row> = order.iter().map(|n| rows[*n].clone()).collect();
        rows.clone_from_slice(&sorted);
    }

    /// Returns which rows a watch looks for.
    fn watched(&mut self, rows: &[Row], watches: &[Watch], around: &Surroundings) -> HashSet<FlowId> {
        let filters: Vec<_> = watches
            .iter()
            .filter_map(|watch| match &watch.counts {
                Counted::Rows(filter) if watch.on => Some(filter),
                _ => None,
            })
            .collect();
        if filters.is_empty() {
            return HashSet::new();
        }
        let flows: Vec<_> =
            rows.iter().filter(|row| row.end.is_none()).map(|row| (row, of_row(row))).collect();
        let mut watched = HashSet::new();
        for filter in filters {
            // Answers are those of one filter.
            self.scratch.forget();
            watched.extend(flows.iter().filter_map(|(row, flow)| {
                let flow = FlowView { rate: row.rate, silence: row.silence, ..flow.view() };
                filter.holds(&flow, around, &mut self.scratch).then_some(row.id)
            }));
        }
        watched
    }

    fn groups(&self, snapshot: &Snapshot, request: &GroupRequest) -> GroupView {
        let looked = snapshot.looks_for_owners();
        let mut sums = Sums::new(request.by, looked, snapshot.wall);
        let mut members = Members::new(request.by, looked, &request.open);
        let (mut rest, mut turn) = (Rest::default(), 0_u32);
        self.scan.each(|_, spot| {
            let Spot::Live(at) = spot else { return };
            turn = turn.wrapping_add(1);
            if turn.is_multiple_of(256) {
                rest.now_and_then();
            }
            let flow = snapshot.flow(at);
            sums.add(&flow);
            members.add(at, &flow);
        });
        GroupView::of(&sums, members, snapshot, request)
    }
}

/// Returns who moves most: by process where owners are known, else by host.
fn shares(snapshot: &Snapshot) -> Vec<Share> {
    let knows_owners = snapshot.looks_for_owners() && snapshot.knows_owners();
    if !knows_owners && snapshot.len() > MOST_FOR_HOSTS {
        return Vec::new();
    }
    let mut rates: HashMap<GroupName, f64> = HashMap::new();
    // Flows of one process mostly share what is known of it.
    let mut by_owner: HashMap<usize, (GroupName, f64)> = HashMap::new();
    let mut rest = Rest::default();
    for worker in 0..snapshot.workers() {
        for chunk in (0..snapshot.chunks(worker)).filter(|c| snapshot.moves(worker, *c)) {
            rest.now_and_then();
            snapshot.look_at(worker, chunk, |_, flow| {
                let (down, up) = flow.seen_down_up();
                let rate = down + up;
                match flow.owner {
                    _ if rate <= 0.0 => {}
                    Some(owner) => {
                        let key = std::ptr::from_ref(owner).addr();
                        by_owner.entry(key).or_insert_with(|| (process_of(&flow, true), 0.0)).1 += rate;
                    }
                    None if knows_owners => *rates.entry(process_of(&flow, true)).or_default() += rate,
                    None => {
                        let name = GroupName::Host(flow.addresses()[flow.remote()]);
                        *rates.entry(name).or_default() += rate;
                    }
                }
            });
        }
    }
    for (name, rate) in by_owner.into_values() {
        *rates.entry(name).or_default() += rate;
    }
    let mut shares: Vec<Share> = rates.into_iter().map(|(name, rate)| Share { name, rate }).collect();
    shares.sort_unstable_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.name.cmp(&b.name)));
    shares.truncate(MOST_SHARES);
    shares
}

/// Returns a row as a flow on its own.
pub fn of_row(row: &Row) -> EndedFlow {
    EndedFlow { record: row.to_record(), app: row.app.clone(), owner: row.owner.clone(), rate: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dpi::{fact::Fact, service::Service},
        flow::{
            entry::{Evidence, FlowRecord, Roles},
            state::{EndReason, FlowState},
        },
        process::owner::Owner,
        query::{
            column::{self, Look},
            filter::parse,
            group::{GroupBy, GroupSort},
            sort::SORTS,
        },
        snapshot::{app::App, sample},
    };
    use std::net::Ipv4Addr;

    /// `count` rows whose order of creation is a permutation of their slots; every eighth stamp
    /// is shared by two.
    fn records(count: u32) -> Vec<(FlowRecord, [f32; 2])> {
        (0..count)
            .map(|n| {
                let low = Ipv4Addr::from(0x0a00_0000 + n);
                let high = Ipv4Addr::from(0xc000_0200_u32);
                let mut r = sample::record([(low.into(), 1000), (high.into(), 443)], 6);
                let turn = (u64::from(n) * 7919) % u64::from(count);
                r.facts.first = Stamp((turn - u64::from(turn % 8 == 1)) * 1000);
                r.facts.generation = n;
                r.hot.state = FlowState::Established;
                (r, [0.0; 2])
            })
            .collect()
    }

    fn snapshot(records: &[(FlowRecord, [f32; 2])]) -> Snapshot {
        sample::of_rows(records, Nanos(0), Stamp(1_000_000_000))
    }

    fn in_order(records: &[(FlowRecord, [f32; 2])]) -> Vec<FlowId> {
        let mut all: Vec<_> = records
            .iter()
            .enumerate()
            .filter(|(_, r)| r.0.hot.is_live())
            .map(|(n, (r, _))| (r.facts.first, r.hot.key.ends, sample::id_of(n, &r.facts)))
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, _, id)| id).collect()
    }

    fn ids(view: &View) -> Vec<FlowId> {
        view.rows.iter().map(|r| r.id).collect()
    }

    #[test]
    fn a_window_is_a_piece_of_the_whole_order() {
        let records = records(1009);
        let snapshot = snapshot(&records);
        let all = in_order(&records);
        let mut finder = Finder::default();
        for (cursor, first, end, selected) in [
            (Cursor::First, 0, 21, 0),
            (Cursor::Last, 988, 1009, 1008),
            (Cursor::At(500), 480, 521, 500),
            (Cursor::At(5000), 988, 1009, 1008),
            (Cursor::On(all[77]), 57, 98, 77),
        ] {
            let view = finder.find(&snapshot, &Request { cursor, around: 20, ..Request::default() });
            assert_eq!((view.first, view.selected), (first, Some(selected)), "{cursor:?}");
            assert_eq!(ids(&view), all[first..end], "{cursor:?}");
            assert_eq!(view.len, 1009);
        }
    }

    #[test]
    fn a_selected_row_that_ends_keeps_its_place() {
        let mut records = records(101);
        let all = in_order(&records);
        let before = snapshot(&records);
        let cursor = Cursor::On(all[50]);
        let row = before.row(before.find(all[50]).unwrap());
        records[all[50].slot() as usize].0 = FlowRecord::default();
        let mut after = snapshot(&records);
        after.wall = Stamp(601_000_000_000);
        let keep = Some(Kept { row, ended: None });
        let mut request = Request { cursor, around: 3, keep, ..Request::default() };
        let mut finder = Finder::default();
        let view = finder.find(&after, &request);
        assert_eq!((view.len, view.places(), view.selected), (100, 101, Some(50)));
        assert_eq!(ids(&view), all[47..54]);
        let gone = view.gone.unwrap();
        assert_eq!(gone.ended, Some((after.wall, Some(EndReason::Timeout))));

        // The time of the end is that of the first epoch without it.
        request.keep = Some(gone.clone());
        let mut later = snapshot(&records);
        later.wall = Stamp(700_000_000_000);
        assert_eq!(finder.find(&later, &request).gone.unwrap().ended, gone.ended);

        // Without a row to keep, a lost selection starts over.
        request.keep = None;
        assert_eq!(finder.find(&later, &request).selected, Some(0));
    }

    #[test]
    fn connections_with_itself_can_be_hidden() {
        let end = |s: &str| (s.parse().unwrap(), 80);
        let ours = Roles::new(0, Evidence::Handshake, [true, true]);
        let rows: Vec<_> = [
            (["127.0.0.1", "127.0.0.53"], Roles::default(), true),
            (["10.0.0.1", "10.0.0.1"], ours, true),
            (["10.0.0.1", "10.0.0.1"], Roles::default(), false),
            (["10.0.0.1", "10.0.0.2"], ours, false),
            (["127.0.0.1", "128.0.0.1"], ours, false),
            (["::1", "::1"], ours, true),
            (["2001:db8::1", "2001:db8::1"], ours, true),
            (["2001:db8::1", "2001:db8::2"], ours, false),
        ]
        .into_iter()
        .map(|(ends, roles, hidden)| {
            let mut r = sample::record(ends.map(end), 6);
            r.hot.roles = roles;
            r.facts.vlan = u16::from(hidden);
            (r, [0.0; 2])
        })
        .collect();
        let snapshot = snapshot(&rows);
        let request = Request { around: 10, localhost: Localhost::Hide, ..Request::default() };
        let view = Finder::default().find(&snapshot, &request);
        assert_eq!((view.len, view.hidden), (4, 4));
        assert!(view.rows.iter().all(|r| r.vlan.is_none()));
        let shown = Finder::default().find(&snapshot, &Request { around: 10, ..Request::default() });
        assert_eq!((shown.len, shown.hidden), (8, 0));
    }

    /// Rows with all kinds of states, ports, rates and owners, some addresses twice.
    fn mixed(count: u32) -> Snapshot {
        let rows: Vec<_> = records(count)
            .into_iter()
            .enumerate()
            .map(|(n, (mut r, _))| {
                let n = n as u64;
                let mix = |salt: u64| (n + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                r.hot.state = FlowState::ALL[(mix(1) % 23) as usize];
                r.hot.key.proto = [6, 17, 1][(mix(2) % 3) as usize];
                r.hot.key.ports = [1000 + (mix(3) % 7) as u16, [443, 80, 22][(mix(4) % 3) as usize]];
                r.hot.bytes = [mix(5) % 50, mix(6)];
                r.facts.rtt_data_us = (mix(7) % 9) as u32;
                r.facts.retransmits = [(mix(8) % 4) as u32, 0];
                (r, [(mix(9) % 5) as f32, mix(10) as f32])
            })
            .collect();
        let mut snapshot = snapshot(&rows);
        snapshot.owner_method.method = "bpf";
        for n in 0..count as usize {
            if n % 3 == 0 {
                let mut app = App::of(Service::ALL[n % 50]);
                app.learn(Fact::Sni, format!("host{}.example", n % 17).as_bytes());
                sample::set_app(&mut snapshot, n, app);
            }
            if n % 4 == 0 {
                let name = ["nginx", "firefox", "Sshd"][n % 3].into();
                sample::set_owner(
                    &mut snapshot,
                    n,
                    Owner { name, pid: Some(n as u32 % 9), ..Owner::default() },
                );
            }
        }
        snapshot
    }

    fn name(_: u8, port: u16) -> Option<&'static str> {
        [(443, "https"), (22, "ssh")].into_iter().find(|(p, _)| *p == port).map(|(_, n)| n)
    }

    /// What a column shows, in a form that sorts as the column must.
    fn shown(by: SortBy, row: &Row) -> (u64, String) {
        let look = Look {
            signs: crate::query::signs::Signs::UNICODE,
            digits: crate::query::format::Digits::Three,
            services: Some(name),
            no_owners: false,
            wall: Stamp(0),
            bits: false,
        };
        let text = |t: String| (u64::from(t.is_empty()), t.to_lowercase());
        let end = |end: usize| match row.addresses[end] {
            std::net::IpAddr::V4(a) => {
                (u64::from(u32::from(a)) << 16 | u64::from(row.ports[end]), String::new())
            }
            std::net::IpAddr::V6(_) => (u64::MAX, String::new()),
        };
        match by {
            SortBy::Created => (row.first.0, String::new()),
            SortBy::Protocol => text(column::protocol(row).into_owned()),
            SortBy::Local => end(row.local()),
            SortBy::Remote => end(row.remote()),
            SortBy::State => text(row.state_text().into()),
            SortBy::Service => {
                let service = column::service(row, &look).into_owned();
                let rank = match service.parse::<u64>() {
                    Ok(port) => 1000 + port,
                    Err(_) if service.is_empty() => u64::MAX,
                    Err(_) => 0,
                };
                (rank, service)
            }
            SortBy::Application => text(row.app.as_ref().map_or(String::new(), |a| {
                crate::query::application::application(a, row.ports, 1 - row.roles.initiator())
            })),
            SortBy::Process => match &row.owner {
                Some(o) => (0, format!("{} ({:>10})", o.name.to_lowercase(), o.pid.unwrap_or(0))),
                None => (1, String::new()),
            },
            SortBy::Down => (row.down_up().0 as u64, String::new()),
            SortBy::Up => (row.down_up().1 as u64, String::new()),
            SortBy::Rtt => (row.rtt_data.map_or(0, |r| r.0), String::new()),
            SortBy::Age => (u64::MAX - row.first.0, String::new()),
            SortBy::Total => (row.bytes[0] + row.bytes[1], String::new()),
            SortBy::Retransmits => (row.retransmits.iter().map(|n| u64::from(*n)).sum(), String::new()),
            SortBy::Left => (row.left().0 >> 20, String::new()),
        }
    }

    #[test]
    fn so1_every_sort_orders_by_what_its_column_shows() {
        let snapshot = mixed(3000);
        for (n, sort) in SORTS.iter().enumerate() {
            for descending in [false, true] {
                let request = Request {
                    around: 5000,
                    sort: Sort { by: sort.by, descending },
                    services: Some(name),
                    exact: true,
                    serial: 2 * n as u64 + u64::from(descending),
                    ..Request::default()
                };
                let mut finder = Finder::default();
                let view = finder.find(&snapshot, &request);
                assert_eq!(view.rows.len(), 3000);
                for pair in view.rows.windows(2) {
                    let [a, b] = [&pair[0], &pair[1]].map(|row| (shown(sort.by, row), row.first));
                    let right = match descending {
                        false => a.0 <= b.0,
                        true => a.0 >= b.0,
                    };
                    assert!(right, "{} descending: {descending}: {a:?} before {b:?}", sort.name);
                    assert!(
                        a.0 != b.0 || a.1 <= b.1 || sort.by == SortBy::Created,
                        "{}: {a:?} {b:?}",
                        sort.name
                    );
                }
                // Any window is a piece of it.
                for at in [0, 1, 17, 1500, 2990, 2999] {
                    let request = Request { cursor: Cursor::At(at), around: 20, ..request.clone() };
                    let piece = finder.find(&snapshot, &request);
                    let all = &view.rows[piece.first..piece.first + piece.rows.len()];
                    assert!(piece.rows.iter().zip(all).all(|(a, b)| a.id == b.id), "{} at {at}", sort.name);
                    let on = Request { cursor: Cursor::On(view.rows[at].id), ..request };
                    assert_eq!(finder.find(&snapshot, &on).selected, Some(at), "{}", sort.name);
                }
            }
        }
    }

    #[test]
    fn filters_keep_the_order_and_count_what_they_hide() {
        let snapshot = mixed(1000);
        let filtered = |text: &str, serial| {
            let filter = Filter::new(parse(text).unwrap().expr.unwrap(), Some(name));
            let request =
                Request { around: 5000, filter: Some(Arc::new(filter)), serial, ..Request::default() };
            Finder::default().find(&snapshot, &request)
        };
        let all = Finder::default().find(&snapshot, &Request { around: 5000, ..Request::default() });
        let nginx = filtered("process:nginx", 1);
        assert!(nginx.len > 0 && nginx.all == 1000);
        assert!(nginx.rows.iter().all(|r| r.owner.as_ref().is_some_and(|o| &*o.name == "nginx")));
        let rest = filtered("!process:nginx", 2);
        assert_eq!(nginx.len + rest.len, all.len);
        let left: Vec<_> =
            all.rows.iter().filter(|r| rest.rows.iter().any(|o| o.id == r.id)).map(|r| r.id).collect();
        assert_eq!(ids(&rest), left);
        assert_eq!(filtered("process:nothing", 3).selected, None);
    }

    #[test]
    fn the_same_question_at_the_next_epoch_gives_what_a_new_one_would() {
        let mut rows = records(2000);
        let filter =
            || Some(Arc::new(Filter::new(parse("port:443 !10.0.0.7 up>=0").unwrap().expr.unwrap(), None)));
        let mut kept: [Finder; 4] = Default::default();
        let mut before = rows.clone();
        for round in 0..20_u32 {
            for n in (round..2000).step_by(97) {
                let row = &mut rows[n as usize];
                match (n + round) % 4 {
                    0 => row.0 = FlowRecord::default(),
                    1 => row.1 = [round as f32 * 10.0, n as f32],
                    2 => row.0.hot.bytes[0] += 1000,
                    _ => row.0.hot.state = FlowState::TimeWait,
                }
            }
            // Every other epoch only the last rows change.
            let changed = if round % 2 == 0 { 0 } else { 1900 };
            if changed > 0 {
                rows[..changed as usize].clone_from_slice(&before[..changed as usize]);
            }
            before.clone_from(&rows);
            let mut snapshot =
                sample::of_rows_changed(&rows, changed as usize, Nanos(0), Stamp(1_000_000_000));
            snapshot.now = Nanos::from_secs(u64::from(round));
            if changed == 0 {
                kept = Default::default();
            }
            let sorts = [SortBy::Created, SortBy::Up, SortBy::Total, SortBy::State];
            for (kept, sort) in kept.iter_mut().zip(sorts) {
                let request = Request {
                    around: 3000,
                    filter: filter(),
                    sort: Sort::by(sort),
                    exact: true,
                    ..Request::default()
                };
                let fresh = Finder::default().find(&snapshot, &request);
                assert_eq!(ids(&kept.find(&snapshot, &request)), ids(&fresh), "{round}");
            }
        }
    }

    #[test]
    fn ended_flows_are_rows_when_asked_for() {
        let records = records(100);
        let all = in_order(&records);
        let snapshot = snapshot(&records);
        let ended = Arc::new(EndedFlows::new(1 << 20));
        for n in 0..50_u32 {
            let mut record = records[n as usize].0;
            record.facts.first = Stamp(u64::from(n) * 2000 + 500);
            record.facts.generation = 1000 + n;
            record.id = FlowId::new(0, n, 1000 + n);
            record.end = Some(EndReason::Fin);
            ended.push(record.into());
        }
        let mut finder = Finder::with_ended(ended);
        let request = Request { around: 500, ..Request::default() };
        assert_eq!(ids(&finder.find(&snapshot, &request)), all);
        let request = Request { ended: Some(0), serial: 1, ..request };
        let view = finder.find(&snapshot, &request);
        assert_eq!((view.len, view.rows.len(), view.ended_end), (150, 150, 50));
        assert!(view.rows.windows(2).all(|w| w[0].first <= w[1].first));
        let id = FlowId::new(0, 30, 1030);
        let on = finder.find(&snapshot, &Request { cursor: Cursor::On(id), ..request.clone() });
        assert_eq!(on.rows[on.selected.unwrap()].id, id);
        // Those that were cleared away are gone.
        let view = finder.find(&snapshot, &Request { ended: Some(40), serial: 2, ..request });
        assert_eq!(view.len, 110);
    }

    #[test]
    fn a_frozen_view_stays_while_the_head_goes_on() {
        let mut records = records(100);
        let before = snapshot(&records);
        let mut finder = Finder::default();
        let request = Request { around: 500, frozen: true, ..Request::default() };
        let first = finder.find(&before, &request);
        records.truncate(50);
        let mut after = snapshot(&records);
        after.totals.opened = 107;
        after.wall = Stamp(9_000_000_000);
        let second = finder.find(&after, &request);
        assert_eq!(ids(&second), ids(&first));
        assert_eq!(
            (second.wall, second.frozen.unwrap().wall, second.frozen.unwrap().new),
            (after.wall, before.wall, 7)
        );
        let live = finder.find(&after, &Request { frozen: false, ..request });
        assert_eq!((live.len, live.frozen.is_none()), (50, true));
    }

    fn heads(groups: &GroupView) -> impl Iterator<Item = &crate::query::group::Group> {
        groups.lines.iter().filter_map(|line| match line {
            crate::query::group::GroupLine::Group { group, .. } => Some(&**group),
            _ => None,
        })
    }

    #[test]
    fn open_groups_show_the_rows_that_move_most() {
        let snapshot = mixed(3000);
        let group = GroupRequest {
            by: GroupBy::Process,
            sort: GroupSort::Connections,
            flipped: false,
            open: vec![GroupName::Forwarded],
            name: None,
            place: 0,
            around: 5000,
        };
        let view = Finder::default().find(&snapshot, &Request { group: Some(group), ..Request::default() });
        let groups = view.groups.unwrap();
        let rows: Vec<_> = groups.lines.iter().filter(|l| l.name().flow.is_some()).collect();
        assert_eq!(rows.len(), 200);
        let forwarded = heads(&groups).find(|g| g.name == GroupName::Forwarded).unwrap();
        let more = groups.lines.iter().find_map(|line| match line {
            crate::query::group::GroupLine::More { count, .. } => Some(*count),
            _ => None,
        });
        assert_eq!(more, Some(forwarded.flows - 200));
        assert_eq!(groups.len, groups.groups + 201);
    }

    #[test]
    fn groups_sum_up_to_the_whole() {
        let snapshot = mixed(500);
        let group = GroupRequest {
            by: GroupBy::Process,
            sort: GroupSort::Rate,
            flipped: false,
            open: Vec::new(),
            name: None,
            place: 0,
            around: 100,
        };
        for by in [GroupBy::Process, GroupBy::Host] {
            let group = Some(GroupRequest { by, ..group.clone() });
            let view = Finder::default().find(&snapshot, &Request { group, ..Request::default() });
            let groups = view.groups.unwrap();
            assert_eq!(heads(&groups).map(|g| g.flows).sum::<usize>(), 500);
            let all = snapshot.totals.down + snapshot.totals.up;
            assert!((groups.sum.0 + groups.sum.1 - all).abs() < 1e-6 * all);
            assert!(heads(&groups).collect::<Vec<_>>().windows(2).all(|w| w[0].rate() >= w[1].rate()));
            assert!(!view.top.is_empty() && view.top.windows(2).all(|w| w[0].rate >= w[1].rate));
        }
    }

    #[test]
    fn no_rows_give_an_empty_window() {
        let snapshot = snapshot(&[]);
        for cursor in [Cursor::First, Cursor::Last, Cursor::At(3), Cursor::On(FlowId::new(3, 9, 1))] {
            let view = Finder::default().find(&snapshot, &Request { cursor, ..Request::default() });
            assert_eq!((view.selected, view.places()), (None, 0));
        }
    }
}
