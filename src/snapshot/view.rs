//! One epoch: every flow of every worker as of one cut, with totals that add up exactly.

use std::sync::Arc;

use crate::{
    base::{
        counters::Accounts,
        ids::{CoreId, Epoch, FlowId},
        time::{Nanos, Stamp},
    },
    capture::source::SourceStatus,
    dpi::inspector::InspectorCounts,
    flow::{
        entry::{Facts, FlowRecord, Hot},
        slab::CHUNK,
        table::FrozenFlows,
    },
    process::{lookup::OwnerStatus, owner::Owner},
    snapshot::{app::App, row::Row, side::SideView},
};

/// Where a row stands in a [`Snapshot`]; valid for that snapshot only. Ordered by worker and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowRef(u32);

impl RowRef {
    fn new(worker: usize, slot: u32) -> Self {
        Self((worker as u32) << 24 | slot)
    }

    fn worker(self) -> usize {
        (self.0 >> 24) as usize
    }

    fn slot(self) -> u32 {
        self.0 & 0xff_ffff
    }
}

/// The flows of one worker, frozen.
pub struct WorkerView {
    pub(crate) flows: Box<FrozenFlows>,
    /// Bytes per second by slot and sender.
    pub(crate) rates: Vec<[f32; 2]>,
    /// What flows speak.
    pub(crate) apps: SideView<App>,
    /// Who owns them.
    pub(crate) owners: SideView<Owner>,
}

/// One epoch.
pub struct Snapshot {
    /// Its number.
    pub epoch: Epoch,
    /// Engine time of the cut.
    pub now: Nanos,
    /// Wall time of the cut: the last packet's, live the clock's.
    pub wall: Stamp,
    /// Where every frame before the cut went. `accounts.conserved()` always.
    pub accounts: Accounts,
    /// Totals over rows and ended flows.
    pub totals: Totals,
    /// Every capture source, in the order of rx threads.
    pub sources: Vec<SourceStatus>,
    /// Every pinned stage.
    pub stages: Vec<StageStatus>,
    /// How owners are found.
    pub owner_method: OwnerStatus,
    /// Epochs asked for that could not be taken because a reader still held the last one.
    pub epochs_skipped: u64,
    /// What became of payloads.
    pub inspections: InspectorCounts,
    /// Facts of services that found no room on their way here.
    pub facts_lost: u64,
    /// The source has no more frames.
    pub ended: bool,
    pub(crate) workers: Vec<WorkerView>,
}

/// Totals over all flows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Rows.
    pub flows: u64,
    /// Flows that began since the start.
    pub opened: u64,
    /// Flows that ended since the start.
    pub closed: u64,
    /// Flows that were evicted since the start, full table.
    pub evicted: u64,
    /// Ended flows that did not fit into the queue to the readers.
    pub ended_unreported: u64,
    /// TCP segments without anything new, and all TCP segments with payload.
    pub retransmits: u64,
    /// Bytes per second towards Local and towards Remote: the sum of all rows' rates, and what moved
    /// in flows that were evicted or replaced within the last second and have no row.
    pub down: f64,
    /// See `down`.
    pub up: f64,
    /// Packets per second over the last second.
    pub packets_per_second: f64,
    /// Rows opened and closed per second over the last second.
    pub opened_per_second: f64,
    /// See `opened_per_second`.
    pub closed_per_second: f64,
    /// TCP rows in SYN_SENT or SYN_RECV.
    pub half_open: u64,
}

/// One thread of the pipeline.
#[derive(Clone, Debug, Default)]
pub struct StageStatus {
    /// `rx/0`, `worker/3`, `shard/1` (fused).
    pub name: String,
    /// The core it is pinned to.
    pub core: Option<CoreId>,
    /// Frames it handled since the start.
    pub frames: u64,
    /// Flows in its table; 0 for rx.
    pub flows: u64,
    /// It did not answer when this epoch was asked for. An rx, whose frames since its last answer
    /// count from the workers that got them; or a shard, whose rows are those of its last answer.
    pub stalled: bool,
}

impl Snapshot {
    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.totals.flows as usize
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `each` for every row's hot record, in the order of worker and slot: the fast way to
    /// scan. There are [`Snapshot::len`] of them: what a worker holds at a cut is a row.
    pub fn scan(&self, mut each: impl FnMut(RowRef, &Hot, &Facts)) {
        for (w, view) in self.workers.iter().enumerate() {
            for c in 0..view.flows.hot.chunks() {
                let facts = view.flows.facts.chunk(c);
                for (i, hot) in view.flows.hot.chunk(c).iter().enumerate() {
                    if hot.is_live() {
                        each(RowRef::new(w, (c * CHUNK + i) as u32), hot, &facts[i]);
                    }
                }
            }
        }
    }

    /// Returns a row.
    ///
    /// # Panics
    /// If `at` comes from another snapshot and there is no such slot here.
    pub fn row(&self, at: RowRef) -> Row {
        let (w, slot) = (at.worker(), at.slot());
        let view = &self.workers[w];
        let (hot, facts) = (view.flows.hot.get(slot), view.flows.facts.get(slot));
        let wide = view.flows.wide_key(slot);
        let id = FlowId::new(w as u8, slot, facts.generation);
        let rate = view.rates.get(slot as usize).copied().unwrap_or_default();
        let mut row = Row::new(id, hot, facts, &wide, rate, self.now.tick());
        row.app = self.app(at).cloned();
        row.owner = self.owner(at).cloned();
        row
    }

    /// Returns all of a flow in one piece.
    ///
    /// # Panics
    /// As [`Snapshot::row`].
    pub fn record(&self, at: RowRef) -> FlowRecord {
        let slot = at.slot();
        let flows = &self.workers[at.worker()].flows;
        let facts = *flows.facts.get(slot);
        FlowRecord {
            hot: *flows.hot.get(slot),
            facts,
            wide: flows.wide_key(slot),
            id: FlowId::new(at.worker() as u8, slot, facts.generation),
            end: None,
        }
    }

    /// Returns the id of a row.
    ///
    /// # Panics
    /// As [`Snapshot::row`].
    pub fn id(&self, at: RowRef) -> FlowId {
        let facts = self.workers[at.worker()].flows.facts.get(at.slot());
        FlowId::new(at.worker() as u8, at.slot(), facts.generation)
    }

    /// Returns where the row with this id stands, if it lives.
    pub fn find(&self, id: FlowId) -> Option<RowRef> {
        let view = self.workers.get(usize::from(id.worker()))?;
        if id.slot() as usize >= view.flows.hot.slots() {
            return None;
        }
        let hot = view.flows.hot.get(id.slot());
        let same = hot.is_live() && view.flows.facts.get(id.slot()).generation == id.generation();
        same.then(|| RowRef::new(usize::from(id.worker()), id.slot()))
    }

    /// Returns the bytes per second of a row, by sender.
    pub fn rate(&self, at: RowRef) -> [f32; 2] {
        self.workers[at.worker()].rates.get(at.slot() as usize).copied().unwrap_or_default()
    }

    /// Returns what a row speaks, if that is known.
    pub fn app(&self, at: RowRef) -> Option<&Arc<App>> {
        let view = &self.workers[at.worker()];
        view.apps.get(at.slot(), view.flows.facts.get(at.slot()).generation)
    }

    /// Returns who owns a row, if that is known.
    pub fn owner(&self, at: RowRef) -> Option<&Arc<Owner>> {
        let view = &self.workers[at.worker()];
        view.owners.get(at.slot(), view.flows.facts.get(at.slot()).generation)
    }

    /// Returns frames lost to the kernel, over all sources.
    pub fn kernel_drops(&self) -> u64 {
        self.sources.iter().map(|s| s.kernel_drops).sum()
    }

    /// Returns frames lost: the kernel's and every drop reason that loses data.
    pub fn lost(&self) -> u64 {
        self.kernel_drops() + self.accounts.drops.lost()
    }

    /// Returns all frames that came by: taken and lost to the kernel.
    pub fn seen(&self) -> u64 {
        self.accounts.taken.frames + self.kernel_drops()
    }
}
