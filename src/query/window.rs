//! The rows that a screen shows, and some around them, out of all rows of an epoch.
//!
//! The order is that of creation: first packet, then key. Nothing is sorted but the window: one
//! pass over the records collects stamps, quickselect (Hoare) brings the rows of the window to
//! their places, and only those are put together. So a million rows cost some milliseconds, once
//! an epoch and when somebody scrolls out of the window, and the snapshot is let go right after.

use std::cmp::Ordering;

use crate::{
    base::{
        counters::Accounts,
        ids::{Epoch, FlowId},
        time::{Nanos, Stamp},
    },
    capture::source::SourceStatus,
    flow::{
        entry::{Facts, Hot},
        state::{EndReason, FlowState},
    },
    packet::key::kind,
    process::lookup::OwnerStatus,
    snapshot::{
        row::Row,
        view::{RowRef, Snapshot, Totals},
    },
};

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
}

/// A row that stays in sight although it has ended.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its last state.
    pub row: Row,
    /// Since when it is gone, and why if that is known; `None` while it lives.
    pub ended: Option<(Stamp, Option<EndReason>)>,
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

/// Finds windows; keeps its memory (16 bytes a row) between queries.
#[derive(Default)]
pub struct Finder {
    entries: Vec<Entry>,
}

/// A row in the making: when it began, and where it stands (`None`: the kept row).
#[derive(Clone, Copy)]
struct Entry(Stamp, Option<RowRef>);

impl Finder {
    /// Answers a request. Costs one pass over all records; holds the snapshot no longer.
    pub fn find(&mut self, snapshot: &Snapshot, request: &Request) -> View {
        let gone = request.keep.as_ref().filter(|k| snapshot.find(k.row.id).is_none()).map(|k| {
            let ended = k.ended.unwrap_or_else(|| match end_reason(&k.row, snapshot.wall) {
                // The packet that closed it, not the moment its row went.
                reason @ Some(EndReason::Fin | EndReason::Rst) => (k.row.last, reason),
                reason => (snapshot.wall, reason),
            });
            Kept { row: Row { rate: [0.0; 2], ..k.row.clone() }, ended: Some(ended) }
        });
        let hidden = self.collect(snapshot, request.localhost);
        let len = self.entries.len();
        if let Some(kept) = &gone {
            self.entries.push(Entry(kept.row.first, None));
        }
        let order = Order { snapshot, kept: gone.as_ref().map(|k| &k.row) };
        let selected = self.select(&order, request, gone.as_ref());
        let (first, rows) = match selected {
            Some(place) => self.window(&order, place, request.around),
            None => (0, Vec::new()),
        };
        View {
            epoch: snapshot.epoch,
            cursor: request.cursor,
            now: snapshot.now,
            wall: snapshot.wall,
            accounts: snapshot.accounts,
            totals: snapshot.totals,
            lost: snapshot.lost(),
            kernel_drops: snapshot.kernel_drops(),
            seen: snapshot.seen(),
            sources: snapshot.sources.clone(),
            owner_method: snapshot.owner_method.clone(),
            ended: snapshot.ended,
            len,
            hidden,
            first,
            rows,
            selected,
            gone,
        }
    }

    /// Fills the entries with all rows that are not hidden; returns how many are.
    fn collect(&mut self, snapshot: &Snapshot, localhost: Localhost) -> usize {
        let entries = &mut self.entries;
        entries.clear();
        entries.reserve(snapshot.len() + 1);
        let mut hidden = 0;
        let show_all = localhost == Localhost::Show;
        snapshot.scan(|at, hot: &Hot, facts: &Facts| {
            if show_all || !is_localhost(snapshot, at, hot) {
                entries.push(Entry(facts.first, Some(at)));
            } else {
                hidden += 1;
            }
        });
        hidden
    }

    /// Returns the place of the selected row; the nearest one if it is not among the rows.
    fn select(&self, order: &Order, request: &Request, gone: Option<&Kept>) -> Option<usize> {
        let last = self.entries.len().checked_sub(1)?;
        let target = match request.cursor {
            Cursor::First => return Some(0),
            Cursor::Last => return Some(last),
            Cursor::At(place) => return Some(place.min(last)),
            Cursor::On(id) => match (order.snapshot.find(id), gone) {
                (Some(at), _) => Entry(order.row(Some(at)).first, Some(at)),
                (None, Some(kept)) if kept.row.id == id => Entry(kept.row.first, None),
                (None, _) => return Some(0),
            },
        };
        let before = self.entries.iter().filter(|e| order.compare(e, &target) == Ordering::Less).count();
        Some(before.min(last))
    }

    /// Returns the rows around a place and the place of the first of them.
    fn window(&mut self, order: &Order, place: usize, around: usize) -> (usize, Vec<Row>) {
        let first = place.saturating_sub(around);
        let end = place.saturating_add(around + 1).min(self.entries.len());
        if end < self.entries.len() {
            self.entries.select_nth_unstable_by(end, |a, b| order.compare(a, b));
        }
        let front = &mut self.entries[..end];
        if first > 0 {
            front.select_nth_unstable_by(first, |a, b| order.compare(a, b));
        }
        let window = &mut front[first..];
        window.sort_unstable_by(|a, b| order.compare(a, b));
        (first, window.iter().map(|e| order.row(e.1)).collect())
    }
}

/// The order of creation.
struct Order<'a> {
    snapshot: &'a Snapshot,
    kept: Option<&'a Row>,
}

impl Order<'_> {
    #[inline]
    fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        a.0.cmp(&b.0).then_with(|| self.break_tie(a, b))
    }

    #[cold]
    fn break_tie(&self, a: &Entry, b: &Entry) -> Ordering {
        let key = |e: &Entry| {
            let row = self.row(e.1);
            (row.addresses, row.ports, row.key.proto, row.wide.extension.tunnel_id, row.id)
        };
        key(a).cmp(&key(b))
    }

    fn row(&self, at: Option<RowRef>) -> Row {
        match at {
            Some(at) => self.snapshot.row(at),
            None => self.kept.expect("an entry without a place is pushed for the kept row only").clone(),
        }
    }
}

/// Returns whether a connection is one of this host with itself: both ends are loopback
/// addresses, or the same one of ours.
fn is_localhost(snapshot: &Snapshot, at: RowRef, hot: &Hot) -> bool {
    if hot.key.kind & kind::WIDE != 0 {
        // Only an address of ours can be ::1, so the wide key is looked up for few.
        let ours = hot.roles.is_local(0) && hot.roles.is_local(1);
        let [low, high] = if ours { snapshot.row(at).addresses } else { return false };
        return low == high || low.is_loopback() && high.is_loopback();
    }
    let [low, high] = [(hot.key.ends >> 32) as u32, hot.key.ends as u32];
    low >> 24 == 127 && high >> 24 == 127 || low == high && hot.roles.is_local(0)
}

/// Returns why a row is gone at `wall`, if its last state says so; it may also have been evicted
/// or replaced.
fn end_reason(row: &Row, wall: Stamp) -> Option<EndReason> {
    let reason = row.state.end_reason();
    let slack = Nanos::from_secs(2);
    let expired = wall.since(row.last) + slack >= row.state.expires_after();
    (row.state.is_over() || expired || row.state == FlowState::Reset).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flow::entry::{Evidence, FlowRecord, Roles},
        snapshot::sample,
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

    #[test]
    fn no_rows_give_an_empty_window() {
        let snapshot = snapshot(&[]);
        for cursor in [Cursor::First, Cursor::Last, Cursor::At(3), Cursor::On(FlowId::new(3, 9, 1))] {
            let view = Finder::default().find(&snapshot, &Request { cursor, ..Request::default() });
            assert_eq!((view.selected, view.places()), (None, 0));
        }
    }
}
