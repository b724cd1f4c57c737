//! Joins owners to flows at cuts, in the collector's thread.
//!
//! A flow is asked about when it is new, again at growing intervals while its owner is not certain, and
//! when what knows owners says that the answer may be another now. New flows are found by the versions
//! of the table's chunks: a cut costs what has changed since the last one.

use std::sync::Arc;

use crate::{
    base::{ids::FlowId, time::Nanos},
    flow::{
        entry::FlowRecord,
        slab::CHUNK,
        table::{Beside, FrozenFlows},
    },
    packet::key::proto,
    process::{
        lookup::{Asked, OwnerStatus, Owners},
        owner::{Owner, Quality},
    },
    snapshot::side::{SideTable, SideView},
};

/// Flows that are asked about again, at most; a flood of unknown ones is not worth more.
const MOST_RETRIES: usize = 1 << 16;
/// Seconds until a flow without a certain owner is asked about again, by the number of tries; 0: at
/// the next cut.
const PAUSES: [u64; 12] = [0, 0, 0, 1, 1, 2, 4, 8, 15, 30, 60, 120];

/// Tries without an answer after which a flow counts as one without owner.
const SURE: u8 = 3;

/// Owners of all flows of all workers.
pub struct Attribution {
    owners: Box<dyn Owners>,
    workers: Vec<Table>,
    retries: Vec<Retry>,
    changed: Vec<FlowId>,
    unknown: u64,
}

/// What is known of one worker's flows.
#[derive(Default)]
struct Table {
    owners: SideTable<Owner>,
    /// By slot: the generation of the flow that was asked about; 0 none.
    asked: Vec<u32>,
    /// By chunk: the version at the last join, plus 1.
    versions: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Retry {
    id: FlowId,
    tries: u8,
    due: Nanos,
}

impl Attribution {
    /// Returns one for tables of so many workers.
    pub fn new(owners: Box<dyn Owners>, workers: usize) -> Self {
        Self {
            owners,
            workers: (0..workers).map(|_| Table::default()).collect(),
            retries: Vec::new(),
            changed: Vec::new(),
            unknown: 0,
        }
    }

    /// Takes in what happened up to now.
    pub fn drain(&mut self) {
        self.owners.drain();
    }

    /// Joins owners to the flows of all workers at a cut; at the last one it waits for a last look at
    /// all sockets if some flow needs it.
    pub fn join(&mut self, tables: &[&FrozenFlows], now: Nanos, last: bool) {
        for (w, flows) in tables.iter().enumerate() {
            self.join_new(w, flows, now);
        }
        self.owners.changed(&mut self.changed);
        for id in std::mem::take(&mut self.changed) {
            self.ask_again(tables, id);
        }
        self.retry(tables, now, false);
        if last && !self.retries.is_empty() {
            self.owners.look_again(true);
            self.retry(tables, now, true);
        } else if self.retries.iter().any(|r| r.due <= now || usize::from(r.tries) < PAUSES.len() / 2) {
            self.owners.look_again(false);
        }
        let without = |r: &&Retry| {
            r.tries > SURE && self.workers[usize::from(r.id.worker())].owners.get(r.id).is_none()
        };
        self.unknown = self.retries.iter().filter(without).count() as u64;
    }

    /// Returns the owner of a flow that has ended, and forgets it.
    pub fn take(&mut self, record: &FlowRecord) -> Option<Arc<Owner>> {
        let known = self.workers.get_mut(usize::from(record.id.worker()))?.owners.take(record.id);
        // What was uncertain while it lived may be certain now.
        if known.as_ref().is_some_and(|owner| owner.quality.is_certain()) {
            return known;
        }
        let found = self.owners.find(&Asked::about(record));
        match (found, known) {
            (Some(found), Some(known)) if found.quality < known.quality => Some(known),
            (found, known) => found.or(known),
        }
    }

    /// Returns whether a flow that has ended without an owner may get one by another look.
    pub fn may_learn(record: &FlowRecord) -> bool {
        needs_more(None, &Asked::about(record))
    }

    /// Asks for a look at all sockets: a flow that has ended waits for it.
    pub fn look_again(&mut self, wait: bool) {
        self.owners.look_again(wait);
    }

    /// Notes that the ends up to a cut were read; see [`SideTable::cut`].
    pub fn cut(&mut self) {
        self.workers.iter_mut().for_each(|table| table.owners.cut());
    }

    /// Returns the owners of a worker's flows as they are known now.
    pub fn view(&self, w: usize) -> SideView<Owner> {
        self.workers[w].owners.view()
    }

    /// Returns how owners are found.
    pub fn status(&self) -> OwnerStatus {
        OwnerStatus { unknown: self.unknown, ..self.owners.status() }
    }

    fn join_new(&mut self, w: usize, flows: &FrozenFlows, now: Nanos) {
        let table = &mut self.workers[w];
        table.asked.resize(flows.hot.slots(), 0);
        table.versions.resize(flows.hot.chunks(), 0);
        for c in 0..flows.hot.chunks() {
            // A new flow writes its origin.
            let version = flows.origins.version(c).map_or(0, |v| u64::from(v) + 1);
            if version == table.versions[c] {
                continue;
            }
            table.versions[c] = version;
            let facts = flows.facts_of_chunk(c, Beside::All);
            for (i, hot) in flows.hot.chunk(c).iter().enumerate() {
                let slot = c * CHUNK + i;
                let facts = facts(i);
                if !hot.is_live() || table.asked[slot] == facts.generation {
                    continue;
                }
                table.asked[slot] = facts.generation;
                let id = FlowId::new(w as u8, slot as u32, facts.generation);
                let asked = Asked::new(id, hot, &facts, &flows.wide_key(slot as u32));
                let value = self.owners.find(&asked);
                if needs_more(value.as_ref(), &asked) && self.retries.len() < MOST_RETRIES {
                    self.retries.push(Retry { id, tries: 0, due: now });
                }
                if let Some(owner) = value {
                    table.owners.set(id, owner);
                }
            }
        }
    }

    /// Asks again about the flows that are due, or all, and forgets those that are settled or gone.
    fn retry(&mut self, tables: &[&FrozenFlows], now: Nanos, all: bool) {
        let mut retries = std::mem::take(&mut self.retries);
        retries.retain_mut(|retry| {
            if !lives(tables, retry.id) {
                return false;
            }
            if retry.due > now && !all {
                return true;
            }
            let is_first = retry.tries == 0;
            let Some(pause) = PAUSES.get(usize::from(retry.tries)) else { return false };
            retry.tries += 1;
            retry.due = now + Nanos::from_secs(*pause);
            // It was asked about at this very cut.
            is_first && !all || self.ask_again(tables, retry.id)
        });
        self.retries = retries;
    }

    /// Asks about a flow that lives; a worse answer than the last one changes nothing, unless it is
    /// certain: who listens at a port may do so for others; or somebody else has joined in where ends have no ports.
    /// Returns whether it should be asked about again.
    fn ask_again(&mut self, tables: &[&FrozenFlows], id: FlowId) -> bool {
        if !lives(tables, id) {
            return false;
        }
        let (w, slot) = (usize::from(id.worker()), id.slot());
        let flows = tables[w];
        let (hot, facts) = (flows.hot.get(slot), flows.facts(slot));
        let asked = Asked::new(id, hot, &facts, &flows.wide_key(slot));
        let answer = self.owners.find(&asked);
        let owners = &mut self.workers[w].owners;
        if let Some(owner) = answer
            && owners.get(id).is_none_or(|known| {
                let is_joined = !proto::has_ports(asked.proto) && owner.pid == known.pid;
                // Neighbours look for each other while somebody pings.
                let is_between = asked.is_kernels() && known.pid.is_some();
                let is_better = owner.quality >= known.quality || owner.quality.is_certain() || is_joined;
                is_better && !is_between && *known != owner
            })
        {
            owners.set(id, owner);
        }
        needs_more(owners.get(id), &asked)
    }
}

/// Returns whether a flow is in its table.
fn lives(tables: &[&FrozenFlows], id: FlowId) -> bool {
    let slot = id.slot();
    let table = tables.get(usize::from(id.worker())).filter(|flows| (slot as usize) < flows.hot.slots());
    table.is_some_and(|flows| {
        flows.hot.get(slot).is_live() && flows.origins.get(slot).generation == id.generation()
    })
}

/// Returns whether another look may give a better answer. Flows of others have none, as a rule.
fn needs_more(owner: Option<&Arc<Owner>>, asked: &Asked) -> bool {
    match owner {
        // Who pings a neighbour looks for it first; an echo may follow an error.
        Some(owner) if asked.is_kernels() => owner.is_kernel,
        Some(owner) => !owner.quality.is_certain() && owner.quality != Quality::LinkLocal,
        None => asked.has_local_end() && !asked.is_inner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{memory::no_advice, time::Stamp},
        flow::{
            locals::Locals,
            table::{EndedFlows, FlowTable, TableConfig},
        },
        packet::{
            descriptor::Descriptor,
            hash::Seed,
            key::{FlowKey, kind, proto},
            line::Line,
        },
    };
    use std::{
        collections::HashMap,
        sync::{Mutex, MutexGuard},
    };

    /// Knows owners by the low end's port, and counts questions.
    #[derive(Clone, Default)]
    struct Known(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        by_port: HashMap<u16, (u32, Quality)>,
        asked: usize,
        looks: usize,
        changed: Vec<FlowId>,
    }

    impl Known {
        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().unwrap()
        }
    }

    impl Owners for Known {
        fn drain(&mut self) {}
        fn find(&mut self, flow: &Asked) -> Option<Arc<Owner>> {
            let mut state = self.state();
            state.asked += 1;
            let (pid, quality) = *state.by_port.get(&flow.ports[0])?;
            Some(Arc::new(Owner { pid: Some(pid), quality, ..Owner::default() }))
        }
        fn look_again(&mut self, _wait: bool) {
            self.state().looks += 1;
        }
        fn changed(&mut self, into: &mut Vec<FlowId>) {
            into.append(&mut self.state().changed);
        }
        fn status(&self) -> OwnerStatus {
            OwnerStatus::default()
        }
    }

    struct Nobody;
    impl crate::dpi::notes::Learn for Nobody {
        fn learned(&mut self, _: FlowId, _: crate::dpi::notes::Learned<'_>) {}
    }
    impl EndedFlows for Nobody {
        fn ended(&mut self, _record: &FlowRecord) {}
    }

    struct Bench {
        table: FlowTable,
        frozen: FrozenFlows,
        known: Known,
        attribution: Attribution,
    }

    impl Bench {
        fn new() -> Self {
            let table = FlowTable::new(TableConfig {
                capacity: 4096,
                seed: Seed::new(1),
                locals: Locals::new([("10.0.0.0".parse().unwrap(), 8)]),
                home_interfaces: false,
                advise: no_advice,
                worker: 0,
                inspects: false,
            })
            .unwrap();
            let known = Known::default();
            let attribution = Attribution::new(Box::new(known.clone()), 1);
            Self { table, frozen: FrozenFlows::with_capacity(4096), known, attribution }
        }

        fn frame(&mut self, port: u16, ms: u64) {
            let key = FlowKey {
                ends: 0x0a00_0001_c000_0201,
                ports: [port, 443],
                proto: proto::UDP,
                kind: kind::LIVE,
                zero: 0,
            };
            let now = Nanos::from_millis(ms);
            let frame = Descriptor {
                key,
                hash: Seed::new(1).hash(&key),
                wall: Stamp(now.0 + 1),
                tick: now.tick(),
                wire_len: 100,
                segments: 1,
                ..Descriptor::default()
            };
            self.table.process(&[Line::of(frame)], &crate::packet::payload::Behind, &mut Nobody);
        }

        fn cut(&mut self, secs: u64) {
            let now = Nanos::from_secs(secs);
            self.table.set_cutoff(now.tick());
            assert!(self.table.sweep(usize::MAX, &mut Nobody));
            self.table.release();
            assert!(self.table.freeze(&mut self.frozen));
            self.attribution.join(&[&self.frozen], now, false);
        }

        fn pid(&self, slot: usize) -> Option<u32> {
            let flows = &self.frozen;
            let id = FlowId::new(0, slot as u32, flows.origins.get(slot as u32).generation);
            self.attribution.workers[0].owners.get(id).and_then(|o| o.pid)
        }
    }

    #[test]
    fn only_new_flows_are_asked_about() {
        let mut bench = Bench::new();
        for port in 1000..1500 {
            bench.known.state().by_port.insert(port, (port.into(), Quality::Exact));
            bench.frame(port, 1);
        }
        bench.cut(1);
        assert_eq!(bench.known.state().asked, 500);
        for port in 1000..1500 {
            bench.frame(port, 1500);
        }
        bench.known.state().by_port.insert(7, (7, Quality::Exact));
        bench.frame(7, 1600);
        bench.cut(2);
        assert_eq!(bench.known.state().asked, 501);
        assert_eq!((bench.pid(0), bench.pid(500)), (Some(1000), Some(7)));
        assert_eq!(bench.known.state().looks, 0);
    }

    #[test]
    fn an_unknown_owner_is_asked_about_ever_less_often() {
        let mut bench = Bench::new();
        bench.frame(7, 1);
        for secs in 1..50 {
            // The flow stays alive.
            bench.frame(7, secs * 1000);
            bench.cut(secs);
        }
        let asked = bench.known.state().asked;
        assert!((5..=12).contains(&asked), "{asked}");
        assert!(bench.known.state().looks >= 3);
        bench.known.state().by_port.insert(7, (70, Quality::Listener));
        for secs in 50..200 {
            bench.frame(7, secs * 1000);
            bench.cut(secs);
        }
        assert_eq!(bench.pid(0), Some(70));
    }

    #[test]
    fn pr9_unknown_are_those_that_live() {
        let mut bench = Bench::new();
        for port in 1000..1010 {
            bench.frame(port, 1);
        }
        for secs in 1..20 {
            bench.cut(secs);
        }
        assert_eq!(bench.attribution.status().unknown, 10);
        // All of them leave the table.
        for secs in 20..100 {
            bench.cut(secs);
            let live = (0..10).filter(|slot| bench.frozen.hot.get(*slot).is_live()).count() as u64;
            assert!(bench.attribution.status().unknown <= live, "{secs} s: {live} live");
        }
        assert_eq!(bench.attribution.status().unknown, 0);
    }

    #[test]
    fn a_better_answer_replaces_a_worse_one_and_never_the_other_way() {
        let mut bench = Bench::new();
        bench.known.state().by_port.insert(7, (1, Quality::Listener));
        bench.frame(7, 1);
        bench.cut(1);
        assert_eq!(bench.pid(0), Some(1));
        bench.known.state().by_port.insert(7, (2, Quality::Exact));
        bench.cut(2);
        bench.cut(3);
        assert_eq!(bench.pid(0), Some(2));
        bench.known.state().by_port.insert(7, (3, Quality::UserOnly));
        bench.known.state().changed.push(FlowId::new(0, 0, 1));
        bench.cut(4);
        assert_eq!(bench.pid(0), Some(2));
        // It was passed on.
        bench.known.state().by_port.insert(7, (4, Quality::Exact));
        bench.known.state().changed.push(FlowId::new(0, 0, 1));
        bench.cut(5);
        assert_eq!(bench.pid(0), Some(4));
    }

    #[test]
    fn a_slots_next_flow_has_an_owner_of_its_own() {
        let mut bench = Bench::new();
        bench.known.state().by_port.insert(7, (1, Quality::Exact));
        bench.frame(7, 1);
        bench.cut(1);
        bench.cut(100);
        bench.known.state().by_port.insert(8, (2, Quality::Exact));
        bench.frame(8, 100_500);
        bench.cut(101);
        assert_eq!(bench.pid(0), Some(2));
    }
}
