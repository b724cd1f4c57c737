//! Joins names of addresses to flows at cuts, in the collector's thread.
//!
//! A flow is looked at once, at the first cut that it is part of or when it ended before one: what was answered
//! later than its first packet does not name it. New flows are found by the versions of the table's chunks.

use std::{net::IpAddr, sync::Arc};

use crate::{
    base::{ids::FlowId, time::Stamp},
    dpi::notes::Resolved,
    flow::{
        entry::{FlowRecord, Origin},
        slab::CHUNK,
        table::FrozenFlows,
    },
    names::{known::EndNames, passive_dns::PassiveDns},
    snapshot::{app::App, side::SideTable, tap::Ended},
};

/// Names of addresses, and which flows were looked at.
#[derive(Default)]
pub struct Naming {
    passive: PassiveDns,
    workers: Vec<Asked>,
}

/// Which of one worker's flows were looked at.
#[derive(Default)]
struct Asked {
    /// By slot: the generation of the flow; 0 none.
    generations: Vec<u32>,
    /// By chunk: the version at the last join, plus 1.
    versions: Vec<u64>,
}

impl Naming {
    /// Returns one for tables of so many workers.
    pub fn new(workers: usize) -> Self {
        Self { passive: PassiveDns::default(), workers: (0..workers).map(|_| Asked::default()).collect() }
    }

    /// Notes an answer.
    pub fn learn(&mut self, answer: Resolved<'_>) {
        self.passive.learn(answer.name, answer.address, answer.service, answer.at);
    }

    /// Gives names to the new flows of all workers at a cut.
    pub fn join(&mut self, tables: &[Box<FrozenFlows>], apps: &mut [SideTable<App>]) {
        if self.passive.is_empty() {
            return;
        }
        for (w, (flows, apps)) in tables.iter().zip(apps).enumerate() {
            self.join_new(w, flows, apps);
        }
    }

    /// Gives names to flows that have ended, where they have none yet.
    pub fn name_ended(&self, ended: &mut [Ended]) {
        if self.passive.is_empty() {
            return;
        }
        for flow in ended {
            if flow.app.as_ref().is_some_and(|app| !app.names.is_empty()) {
                continue;
            }
            let FlowRecord { hot, facts, wide, .. } = &flow.record;
            let names = self.names(hot.key.addresses(wide), facts.first);
            if !names.is_empty() {
                Arc::make_mut(flow.app.get_or_insert_default()).names = names;
            }
        }
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
                if !names.is_empty() {
                    apps.get_mut(FlowId::new(w as u8, slot as u32, generation)).names = names;
                }
            }
        }
    }

    fn names(&self, ends: [IpAddr; 2], began: Stamp) -> EndNames {
        EndNames::new(ends.map(|address| self.passive.names(address, began)))
    }
}
