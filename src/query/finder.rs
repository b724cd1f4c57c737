//! Finds the rows of a window.
//!
//! What is shown and what it sorts by is kept from epoch to epoch ([`crate::query::scan`]), and
//! nothing is sorted but the window ([`crate::query::select`]). So a million rows cost some
//! milliseconds, once an epoch and when somebody scrolls out of the window, and the snapshot is
//! let go right after.

use std::{collections::HashSet, sync::Arc};

use crate::{
    base::{
        ids::{Epoch, FlowId},
        time::Nanos,
    },
    query::{
        census::{Census, Spread},
        damping::Damper,
        filter::{eval::Surroundings, plan::Scratch},
        group::{Group, GroupLine, GroupRequest, GroupView, Members, Rows, Sums},
        kept::{ended_spot, of_row},
        rest::Rest,
        scan::{GivenUp, Question, Scan, Spot},
        select::{self, Entry, Target},
        shares::{Share, shares},
        sort::SortBy,
        watch::{Counted, Firing, Watch, Watcher},
        window::{Between, Cursor, FrozenAt, Request, View},
    },
    snapshot::{
        ended::{EndedFlow, EndedFlows, EndedList},
        flow_view::FlowView,
        row::Row,
        view::Snapshot,
    },
};

/// Finds windows; keeps what it found out between queries (some 45 bytes a row, of what flows
/// say at most 64 MB, and of texts that were sorted by at most 16 MB a thread).
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

impl Finder {
    /// Returns one that knows the ended flows, too.
    pub fn with_ended(ended: Arc<EndedFlows>) -> Self {
        Self { ended: Some(ended), ..Self::default() }
    }

    /// Answers a request. Costs a look at what has changed and one pass over the keys of all rows;
    /// another set or order of rows costs a look at all records. Holds the snapshot no longer.
    pub fn find(&mut self, live: &Snapshot, request: &Request) -> View {
        loop {
            if let Some(view) = self.find_unless(live, request, &|| false) {
                return view;
            }
        }
    }

    /// Returns whether the head's sums, or what watches say, are those of an epoch before: rows that were asked for
    /// came first.
    pub fn is_behind(&self, live: &Snapshot) -> bool {
        self.top.0 != live.epoch || self.firing.0 != live.epoch
    }

    /// As [`Finder::find`]; `None` if it was given up.
    pub fn find_unless(&mut self, live: &Snapshot, request: &Request, over: GivenUp) -> Option<View> {
        self.freeze(live, request.frozen);
        // Who waits for rows is not kept waiting for the head, which follows.
        if self.top.0 != live.epoch && !may_wait(request, self.top.0, live.epoch) {
            self.top = (live.epoch, shares(live), Spread::sampled(live));
        }
        let ended_now = self.ended.as_ref().map(|ended| ended.list()).unwrap_or_default();
        let frozen = self.frozen.take();
        let (snapshot, list) = match &frozen {
            Some((snapshot, list)) => (&**snapshot, list),
            None => (live, &ended_now),
        };
        let around = look_around(std::mem::take(&mut self.around), snapshot, request);
        let question = question(request, list, &around);
        let Some(mut view) = self.answer(live, snapshot, list, request, &question, over) else {
            (self.frozen, self.around) = (frozen, around);
            return None;
        };
        view.frozen = frozen.as_ref().map(|(frozen, _)| FrozenAt {
            wall: frozen.wall,
            new: live.totals.opened.saturating_sub(frozen.totals.opened),
        });
        view.ended_end = list.end();
        // Sums over all rows are those of the head.
        let is_all = request.filter.is_none() && request.only.is_none();
        let gone = if is_all { snapshot.totals.gone } else { [0.0; 2] };
        view.groups = request.group.as_ref().map(|group| self.groups(snapshot, list, group, gone));
        view.top.clone_from(&self.top.1);
        view.round_trips = self.top.2;
        view.census = request.census.then(|| Census::of(snapshot));
        let others = !Arc::ptr_eq(&self.firing.1, &request.watches);
        if others || self.firing.0 != live.epoch && !may_wait(request, self.firing.0, live.epoch) {
            // Watches look at what is, also while the rows are frozen.
            let now = Surroundings { wall: live.wall, now: live.now.tick(), ..around.clone() };
            self.watch(live, request, &now);
        }
        view.firing.clone_from(&self.firing.2);
        view.watched = self.watched(&view.rows, &request.watches, &around);
        (self.frozen, self.around) = (frozen, around);
        Some(view)
    }

    /// Looks at an epoch whose rows are not shown: what is watched for, and what one row moves.
    pub fn look_between(&mut self, live: &Snapshot, request: &Request, row: Option<FlowId>) -> Between {
        let around = look_around(std::mem::take(&mut self.around), live, request);
        self.watch(live, request, &around);
        self.around = around;
        let moved = row.and_then(|id| {
            let (down, up) = live.flow(live.find(id)?).seen_down_up();
            Some((id, [down, up]))
        });
        Between { now: live.now, firing: self.firing.2.clone(), moved }
    }

    fn watch(&mut self, live: &Snapshot, request: &Request, around: &Surroundings) {
        let firing = self.watcher.look(live, &request.watches, around);
        self.firing = (live.epoch, Arc::clone(&request.watches), firing);
    }

    /// Calls `each` with every flow that the request shows, in no order, and with what makes a row of it. Costs a look
    /// at what has changed since the last call, and one at each of these flows.
    pub fn each_shown(
        &mut self,
        snapshot: &Snapshot,
        request: &Request,
        mut each: impl FnMut(&FlowView, &dyn Fn() -> Row),
    ) -> u64 {
        let list = self.ended.as_ref().map(|ended| ended.list()).unwrap_or_default();
        let around = look_around(std::mem::take(&mut self.around), snapshot, request);
        let question = question(request, &list, &around);
        while self.scan.update(snapshot, &question, &|| false).is_none() {}
        let first_ended = self.scan.ended_first();
        self.scan.each(|_, spot| match spot {
            Spot::Live(at) => each(&snapshot.flow(at), &|| snapshot.row(at)),
            Spot::Ended(n) => {
                if let Some(flow) = list.get(first_ended + u64::from(n)) {
                    each(&flow.view(), &|| flow.row());
                }
            }
            Spot::Kept => {}
        });
        self.around = around;
        list.end()
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
            margin: usize::MAX / 2,
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

    /// Calls `each` with every sum that the request asks for, in its order; without such a wish with none.
    pub fn export_sums(&mut self, live: &Snapshot, request: &Request, mut each: impl FnMut(&Group)) -> usize {
        let all = Request {
            margin: 0,
            keep: None,
            exact: true,
            group: request.group.as_ref().map(|group| GroupRequest {
                open: Vec::new(),
                name: None,
                place: 0,
                margin: usize::MAX / 2,
                ..group.clone()
            }),
            ..request.clone()
        };
        let Some(groups) = self.find(live, &all).groups else { return 0 };
        for line in &groups.lines {
            if let GroupLine::Group { group, .. } = line {
                each(group);
            }
        }
        groups.groups
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
        over: GivenUp,
    ) -> Option<View> {
        let counts = self.scan.update(snapshot, question, over)?;
        let first_ended = self.scan.ended_first();
        let wanted = match request.cursor {
            Cursor::On(id) if snapshot.find(id).is_none() => {
                request.ended.and_then(|_| ended_spot(list, first_ended, id))
            }
            _ => None,
        };
        let gone = request.keep.as_ref().filter(|k| snapshot.find(k.row.id).is_none() && wanted.is_none());
        let gone = gone.map(|kept| {
            let is_new = kept.ended.is_none() && kept.row.end.is_none();
            let found = if is_new { ended_spot(list, list.first(), kept.row.id) } else { None };
            kept.as_gone(snapshot.wall, found.map(|(_, flow)| flow))
        });
        let kept_flow = gone.as_ref().map(|kept| kept.as_ended());
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
        let found = select::window(&self.scan, extra, places, target, request.margin, |a, b| {
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
        Some(View {
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
            resolver: live.resolver,
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
            took: Nanos(0),
            ended_end: 0,
            all: counts.all,
            len: counts.matched,
            hidden: counts.hidden[0],
            hidden_matched: counts.hidden[1],
            first: found.first,
            rows,
            selected,
            gone,
        })
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

    fn groups(
        &self,
        snapshot: &Snapshot,
        list: &EndedList,
        request: &GroupRequest,
        gone: [f64; 2],
    ) -> GroupView {
        let looked = snapshot.looks_for_owners();
        let mut sums = Sums::new(request.by, looked, snapshot.wall);
        let mut members = Members::new(request.by, looked, &request.open);
        let (mut rest, mut turn) = (Rest::default(), 0_u32);
        let rows = Rows { snapshot, ended: list, first_ended: self.scan.ended_first() };
        let flow_of = |spot| match spot {
            Spot::Live(at) => Some(snapshot.flow(at)),
            // Rows that have ended are rows, where they are shown.
            Spot::Ended(n) => rows.ended(n).map(EndedFlow::view),
            Spot::Kept => None,
        };
        self.scan.each(|_, spot| {
            turn = turn.wrapping_add(1);
            if turn.is_multiple_of(256) {
                rest.now_and_then();
            }
            if let Some(flow) = flow_of(spot) {
                sums.add(&flow);
                members.add(spot, &flow);
            }
        });
        // What is hidden is no row, but moves all the same.
        self.scan.each_hidden(|spot| {
            if let Some(flow) = flow_of(spot) {
                sums.add(&flow);
                members.add_hidden(&flow);
            }
        });
        sums.settle();
        sums.add_gone(gone);
        GroupView::of(&sums, members, &rows, request)
    }
}

/// Returns what answers to a request depend on beside the flows; what was known of an epoch before is brought up to this
/// one.
fn look_around(mut around: Surroundings, snapshot: &Snapshot, request: &Request) -> Surroundings {
    around.services = request.services;
    (around.wall, around.now) = (snapshot.wall, snapshot.now.tick());
    around.no_owners = !snapshot.looks_for_owners();
    Arc::make_mut(&mut around.catalog).update(snapshot);
    around.interfaces.clear();
    let interfaces = snapshot.sources.first().map_or(&[][..], |s| &s.interfaces);
    around.interfaces.extend(interfaces.iter().map(|i| i.name.clone()));
    around.neighbours = Arc::clone(&request.neighbours);
    around
}

fn question<'a>(request: &'a Request, list: &'a EndedList, around: &'a Surroundings) -> Question<'a> {
    Question {
        serial: request.serial << 1 | u64::from(request.frozen),
        filter: request.filter.as_deref(),
        localhost: request.localhost,
        only: request.only.as_ref(),
        sort: request.sort,
        ended: request.ended.map(|from| (list, from)),
        around,
        is_frozen: request.frozen,
        is_urgent: request.exact,
    }
}

/// Returns whether sums of an epoch before are to be shown with rows that somebody waits for: of one that was before
/// the last, they would grow old while somebody keeps a key down.
fn may_wait(request: &Request, of: Epoch, now: Epoch) -> bool {
    request.exact && of != Epoch::default() && of.next() == now
}

#[cfg(test)]
#[path = "finder_tests.rs"]
mod tests;
