//! Joins names of addresses to flows at cuts, in the collector's thread.
//!
//! A flow is looked at once, at the first cut that it is part of or when it ended before one: what was answered
//! later than its first packet does not name it. What a capture file names holds for all of its flows: when it names
//! more, those that are open are looked at once more. New flows are found by the versions of the table's chunks. Where the
//! user has the system's resolver asked, those whose remote end the traffic did not name wait for what that says.

use std::{collections::VecDeque, net::IpAddr, sync::Arc, time::Instant};

use crate::{
    base::{ids::FlowId, time::Stamp},
    dpi::notes::Resolved,
    flow::{
        entry::{FlowRecord, Origin},
        slab::CHUNK,
        table::FrozenFlows,
    },
    names::{
        file_names::FileNames,
        known::EndNames,
        passive_dns::PassiveDns,
        reverse_dns::{Reply, ResolverCounts, ReverseDns},
    },
    snapshot::{app::App, side::SideTable, tap::Ended},
};

/// Flows without a name that wait for one and are looked at in one cut, at most: some ms. Under a flood of others those
/// beyond stay without.
const MOST_A_CUT: usize = 65_536;

/// Names of addresses, and which flows were looked at.
#[derive(Default)]
pub struct Naming {
    passive: PassiveDns,
    file: FileNames,
    /// The file has named more since the last join.
    file_told: bool,
    workers: Vec<Asked>,
    /// Whom the user has asked.
    resolver: Option<Arc<ReverseDns>>,
    /// Open flows whose remote end may get a name by the resolver.
    unnamed: VecDeque<Unnamed>,
}

/// Which of one worker's flows were looked at.
#[derive(Default)]
struct Asked {
    /// By slot: the generation of the flow; 0 none.
    generations: Vec<u32>,
    /// By chunk: the version at the last join, plus 1.
    versions: Vec<u64>,
}

/// A flow that waits for the name of its remote end.
struct Unnamed {
    id: FlowId,
    end: usize,
    address: IpAddr,
}

impl Naming {
    /// Returns one for tables of so many workers, and who is asked beside the traffic.
    pub fn new(workers: usize, resolver: Option<Arc<ReverseDns>>) -> Self {
        let workers = (0..workers).map(|_| Asked::default()).collect();
        Self { workers, resolver, ..Self::default() }
    }

    /// Notes an answer.
    pub fn learn(&mut self, answer: Resolved<'_>) {
        self.passive.learn(answer.name, answer.address, answer.service, answer.at);
    }

    /// Takes the names that a file has given so far.
    pub fn read(&mut self, names: &[(IpAddr, Arc<[u8]>)]) {
        self.file_told |= self.file.read(names);
    }

    /// Gives names to the new flows of all workers at a cut, and those that came since to older ones.
    pub fn join(&mut self, tables: &[&FrozenFlows], apps: &mut [SideTable<App>]) {
        if self.knows_nothing() {
            return;
        }
        for (w, (flows, apps)) in tables.iter().zip(&mut *apps).enumerate() {
            self.join_new(w, flows, apps);
        }
        if std::mem::take(&mut self.file_told) {
            self.join_file(tables, apps);
        }
        self.join_late(tables, apps);
    }

    /// Gives the file's names to all open flows.
    fn join_file(&self, tables: &[&FrozenFlows], apps: &mut [SideTable<App>]) {
        for (w, (flows, apps)) in tables.iter().zip(apps).enumerate() {
            for c in 0..flows.hot.chunks() {
                for (i, (hot, origin)) in flows.hot.chunk(c).iter().zip(flows.origins.chunk(c)).enumerate() {
                    if !hot.is_live() {
                        continue;
                    }
                    let slot = (c * CHUNK + i) as u32;
                    let id = FlowId::new(w as u8, slot, origin.generation);
                    for (end, address) in hot.key.addresses(&flows.wide_key(slot)).into_iter().enumerate() {
                        let names = self.file.names(address);
                        if !names.is_empty() {
                            apps.get_mut(id).names.add_from_file(end, names);
                        }
                    }
                }
            }
        }
    }

    /// Gives names to flows that wait for the resolver's.
    pub fn join_late(&mut self, tables: &[&FrozenFlows], apps: &mut [SideTable<App>]) {
        let Some(resolver) = &self.resolver else { return };
        let now = Instant::now();
        for _ in 0..self.unnamed.len().min(MOST_A_CUT) {
            let Some(flow) = self.unnamed.pop_front() else { break };
            let worker = usize::from(flow.id.worker());
            if !is_open(tables[worker], flow.id) {
                continue;
            }
            match resolver.name(flow.address, now) {
                Reply::Name(name) => apps[worker].get_mut(flow.id).names.add_resolved(flow.end, name),
                Reply::Nameless => {}
                Reply::Later => self.unnamed.push_back(flow),
            }
        }
    }

    /// Gives names to flows that have ended, where they have none yet: nobody waits for what is not known.
    pub fn name_ended(&self, ended: &mut [Ended]) {
        if self.knows_nothing() {
            return;
        }
        for flow in ended {
            if flow.app.as_ref().is_some_and(|app| !app.names.is_empty()) {
                continue;
            }
            let FlowRecord { hot, facts, wide, .. } = &flow.record;
            let addresses = hot.key.addresses(wide);
            let mut names = self.names(addresses, facts.first);
            let remote = 1 - hot.roles.subject();
            if let Some(resolver) = &self.resolver
                && names.of(remote).is_empty()
                && let Reply::Name(name) = resolver.name(addresses[remote], Instant::now())
            {
                names.add_resolved(remote, name);
            }
            if !names.is_empty() {
                Arc::make_mut(flow.app.get_or_insert_default()).names = names;
            }
        }
    }

    /// Returns whether flows wait for the resolver.
    pub fn waits(&self) -> bool {
        !self.unnamed.is_empty()
    }

    /// Returns what the resolver was asked, if it is.
    pub fn resolver(&self) -> Option<ResolverCounts> {
        self.resolver.as_ref().map(|resolver| resolver.counts())
    }

    fn knows_nothing(&self) -> bool {
        self.passive.is_empty() && self.file.is_empty() && self.resolver.is_none()
    }

    fn join_new(&mut self, w: usize, flows: &FrozenFlows, apps: &mut SideTable<App>) {
        let asked = &mut self.workers[w];
        asked.generations.resize(flows.hot.slots(), 0);
        asked.versions.resize(flows.hot.chunks(), 0);
        for c in 0..flows.hot.chunks() {
            // A new flow writes its origin.
            let version = flows.origins.version(c).map_or(0, |v| u64::from(v) + 1);
            if std::mem::replace(&mut self.workers[w].versions[c], version) == version {
                continue;
            }
            for (i, (hot, origin)) in flows.hot.chunk(c).iter().zip(flows.origins.chunk(c)).enumerate() {
                let slot = c * CHUNK + i;
                let Origin { first, generation, .. } = *origin;
                let known = &mut self.workers[w].generations[slot];
                if !hot.is_live() || std::mem::replace(known, generation) == generation {
                    continue;
                }
                let addresses = hot.key.addresses(&flows.wide_key(slot as u32));
                let names = self.names(addresses, first);
                let id = FlowId::new(w as u8, slot as u32, generation);
                let end = 1 - hot.roles.subject();
                let is_asked = self.resolver.is_some() && self.unnamed.len() < MOST_A_CUT;
                if is_asked && names.of(end).is_empty() {
                    self.unnamed.push_back(Unnamed { id, end, address: addresses[end] });
                }
                if !names.is_empty() {
                    apps.get_mut(id).names = names;
                }
            }
        }
    }

    fn names(&self, ends: [IpAddr; 2], began: Stamp) -> EndNames {
        let mut names = EndNames::new(ends.map(|address| self.passive.names(address, began)));
        if !self.file.is_empty() {
            for (end, address) in ends.into_iter().enumerate() {
                names.add_from_file(end, self.file.names(address));
            }
        }
        names
    }
}

/// Returns whether a table has a flow.
fn is_open(flows: &FrozenFlows, id: FlowId) -> bool {
    let (c, i) = (id.slot() as usize / CHUNK, id.slot() as usize % CHUNK);
    c < flows.hot.chunks()
        && flows.hot.chunk(c)[i].is_live()
        && flows.origins.chunk(c)[i].generation == id.generation()
}
