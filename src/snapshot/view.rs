//! One epoch: every flow of every worker as of one cut, with totals that add up exactly.

use std::sync::Arc;

/// What of a flow's facts a reader asks for.
pub use crate::flow::table::Beside;
use crate::{
    base::{
        counters::Accounts,
        ids::{CoreId, Epoch, FlowId},
        memory::prefetch,
        time::{Nanos, Stamp},
    },
    capture::source::SourceStatus,
    dpi::inspector::InspectorCounts,
    flow::{
        entry::{Facts, FlowRecord, Hot},
        health::Health,
        slab::{CHUNK, Frozen, Record, Slab, no_advice},
        table::FrozenFlows,
    },
    names::reverse_dns::ResolverCounts,
    packet::key::WideKey,
    process::{lookup::OwnerStatus, owner::Owner},
    snapshot::{
        app::App,
        chunk_rows::{self, ChunkRows},
        flow_view::{FlowView, Numbers},
        history::History,
        row::Row,
        side::{SideView, Tenant},
    },
};

/// Where a row stands in a [`Snapshot`]; valid for that snapshot only. Ordered by worker and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowRef(u32);

impl RowRef {
    fn new(worker: usize, slot: u32) -> Self {
        Self((worker as u32) << 24 | slot)
    }

    /// Returns the worker.
    pub fn worker(self) -> usize {
        (self.0 >> 24) as usize
    }

    /// Returns the slot in the worker's table.
    pub fn slot(self) -> u32 {
        self.0 & 0xff_ffff
    }

    /// Returns the row in place `bit` of a chunk.
    pub fn in_chunk(worker: usize, chunk: usize, bit: u32) -> Self {
        Self::new(worker, (chunk * CHUNK) as u32 + bit)
    }
}

/// The flows of one worker, frozen.
pub struct WorkerView {
    pub(crate) flows: Box<FrozenFlows>,
    /// Bytes per second.
    pub(crate) rates: RateList,
    /// What flows speak.
    pub(crate) apps: SideView<App>,
    /// Who owns them.
    pub(crate) owners: SideView<Owner>,
}

/// Bytes per second of one worker's flows, by slot and sender.
#[derive(Clone, Debug, Default)]
pub struct RateList {
    /// What a row shows: it falls slowly.
    pub shown: Vec<[f32; 2]>,
    /// What came within the last second: these add up to the totals.
    pub seen: Vec<[f32; 2]>,
    /// How often what is shown has changed, by chunk.
    pub versions: Vec<u32>,
}

/// What of flows is wanted beside their records: each is memory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What they speak and who owns them.
    pub tenants: bool,
    /// Their rates.
    pub rates: bool,
    /// Their facts. With nothing of these the generation in a flow's id is 0, too, unless tenants are wanted and there
    /// are any.
    pub beside: Beside,
    /// Of which slots of the chunk, one bit each.
    pub slots: u64,
}

impl Wanted {
    /// All of it, of all rows.
    pub const ALL: Self = Self { tenants: true, rates: true, beside: Beside::All, slots: u64::MAX };
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
    /// The totals of the last hour, by the packets' seconds.
    pub history: Arc<History>,
    /// Every capture source, in the order of rx threads.
    pub sources: Vec<SourceStatus>,
    /// Every pinned stage.
    pub stages: Vec<StageStatus>,
    /// How owners are found.
    pub owner_method: OwnerStatus,
    /// What the system's resolver was asked, if the user has it asked for names.
    pub resolver: Option<ResolverCounts>,
    /// Epochs asked for that could not be taken because a reader still held the last one.
    pub epochs_skipped: u64,
    /// What became of payloads.
    pub inspections: InspectorCounts,
    /// Facts of services that found no room on their way here.
    pub facts_lost: u64,
    /// The source has no more frames.
    pub ended: bool,
    /// What only a worker knows of the row that was asked for, see [`crate::snapshot::wish`].
    pub(crate) asked: Option<(FlowId, Health)>,
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
    /// Bytes per second towards Local and towards Remote over the last second: every byte of every
    /// flow, once. The sum over all rows of what came ([`FlowView::seen`]), and `gone`.
    pub down: f64,
    /// See `down`.
    pub up: f64,
    /// The part of `down` and of `up` that moved in flows which have no row any more.
    pub gone: [f64; 2],
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
    /// How full the rings to it are; `None` for those without any, an rx or a shard.
    pub ring: Option<RingFill>,
    /// It did not answer when this epoch was asked for. An rx, whose frames since its last answer
    /// count from the workers that got them; or a shard, whose rows are those of its last answer.
    pub stalled: bool,
}

/// How full the rings to a worker are, all of them together, in lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingFill {
    /// What waited when the epoch was closed.
    pub now: u32,
    /// The most that waited at any look since the start.
    pub peak: u32,
    /// What there is room for.
    pub size: u32,
}

/// Slots in a chunk, the grain of the versions that tell what has changed.
pub const ROWS_A_CHUNK: usize = CHUNK;

/// Stands for the ends of flows whose key holds them itself.
static NO_ENDS: [[u8; 16]; 2] = [[0; 16]; 2];

/// Copies frozen records into a slab of their own.
fn copy<T: Record>(from: &Frozen<T>) -> Option<Frozen<T>> {
    let slots = from.slots();
    let mut slab = Slab::<T>::new(slots, no_advice).ok()?;
    slab.extend_to(slots);
    for chunk in 0..from.chunks() {
        for (i, record) in from.chunk(chunk).iter().enumerate() {
            *slab.get_mut((chunk * CHUNK + i) as u32) = *record;
        }
    }
    let mut frozen = Frozen::with_capacity(slots);
    slab.freeze(&mut frozen);
    Some(frozen)
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
                let facts = view.flows.facts_of_chunk(c, Beside::All);
                for (i, hot) in view.flows.hot.chunk(c).iter().enumerate() {
                    if hot.is_live() {
                        each(RowRef::new(w, (c * CHUNK + i) as u32), hot, &facts(i));
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
        let (hot, facts) = (view.flows.hot.get(slot), view.flows.facts(slot));
        let wide = view.flows.wide_key(slot);
        let id = FlowId::new(w as u8, slot, facts.generation);
        let rate = view.rates.shown.get(slot as usize).copied().unwrap_or_default();
        let mut row = Row::new(id, hot, &facts, &wide, rate, self.now.tick());
        row.seen = view.rates.seen.get(slot as usize).copied().unwrap_or_default();
        let asked = self.asked.filter(|(asked, _)| *asked == id).map(|(_, health)| health);
        row.health = view.flows.health(slot).or(asked);
        row.app = self.app(at).cloned();
        row.owner = self.owner(at).cloned();
        row
    }

    /// Returns the number of workers.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Returns the number of chunks of [`ROWS_A_CHUNK`] slots that a worker's table has.
    pub fn chunks(&self, worker: usize) -> usize {
        self.workers[worker].flows.hot.chunks()
    }

    /// Returns a number that changes whenever the records of a chunk do.
    pub fn records_version(&self, worker: usize, chunk: usize) -> u64 {
        let flows = &self.workers[worker].flows;
        let part = |version: Option<u32>| u64::from(version.unwrap_or(0));
        // Each is the number of the epoch that wrote last, so that the latest one changes with any.
        let beside =
            [flows.origins.version(chunk), flows.round_trips.version(chunk), flows.tallies.version(chunk)];
        let beside = beside.map(part).into_iter().max().unwrap_or(0);
        part(flows.hot.version(chunk)) << 32 | beside
    }

    /// Returns a number that changes with the rates that a chunk's rows show.
    pub fn rates_version(&self, worker: usize, chunk: usize) -> u64 {
        self.workers[worker].rates.versions.get(chunk).copied().unwrap_or(0).into()
    }

    /// Returns a number that changes with what is known of a chunk's flows beside their records:
    /// what they speak and who owns them.
    pub fn tenants_version(&self, worker: usize, chunk: usize) -> u64 {
        let view = &self.workers[worker];
        let [apps, owners] = [view.apps.version(chunk * CHUNK), view.owners.version(chunk * CHUNK)];
        u64::from(apps) << 32 | u64::from(owners)
    }

    /// Starts loading what a chunk's flows speak.
    pub fn prefetch_apps(&self, worker: usize, chunk: usize) {
        let apps = || self.app_tenants(worker, chunk).iter().filter_map(|tenant| tenant.value.as_deref());
        apps().for_each(|app| prefetch(app));
        apps().for_each(|app| prefetch(app.in_one_piece().as_ptr()));
    }

    /// Returns what the flows of a chunk's slots speak, or spoke, slot by slot; nothing where that was
    /// never known of any.
    pub fn app_tenants(&self, worker: usize, chunk: usize) -> &[Tenant<App>] {
        self.workers[worker].apps.near(chunk * CHUNK, CHUNK)
    }

    /// Returns who owns, or owned, the flows of a chunk's slots; see [`Snapshot::app_tenants`].
    pub fn owner_tenants(&self, worker: usize, chunk: usize) -> &[Tenant<Owner>] {
        self.workers[worker].owners.near(chunk * CHUNK, CHUNK)
    }

    /// Returns whether some row of a chunk moved bytes within the last second.
    pub fn moves(&self, worker: usize, chunk: usize) -> bool {
        let rates = &self.workers[worker].rates.seen;
        let start = (chunk * CHUNK).min(rates.len());
        rates[start..(start + CHUNK).min(rates.len())].iter().any(|rate| *rate != [0.0; 2])
    }

    /// Returns the round trips of a chunk's rows, those of data rather than of handshakes.
    pub fn round_trips(&self, worker: usize, chunk: usize) -> impl Iterator<Item = Nanos> + '_ {
        let flows = &self.workers[worker].flows;
        let rows = flows.hot.chunk(chunk).iter().zip(flows.round_trips.chunk(chunk));
        rows.filter(|(hot, _)| hot.is_live()).filter_map(|(_, round_trip)| {
            let us = round_trip.best_us();
            (us != 0).then_some(Nanos(u64::from(us) * 1000))
        })
    }

    /// Returns whether owners are looked for: some row has, or had, one.
    pub fn knows_owners(&self) -> bool {
        self.workers.iter().any(|view| view.owners.is_some())
    }

    /// Returns whether anybody looks for owners: nobody does in a file, or where that is off.
    pub fn looks_for_owners(&self) -> bool {
        !self.owner_method.is_off() && self.sources.iter().all(|source| source.read.is_none())
    }

    /// Calls `each` with the place and the view of every row of a chunk.
    pub fn look_at(&self, worker: usize, chunk: usize, each: impl FnMut(u32, FlowView)) {
        self.look_at_some(worker, chunk, Wanted::ALL, each);
    }

    /// Returns the rows of a chunk, and starts loading what is wanted of the next one.
    #[inline]
    pub fn chunk_rows(&self, worker: usize, chunk: usize, wanted: Wanted) -> ChunkRows<'_> {
        let WorkerView { flows, rates, apps, owners } = &self.workers[worker];
        if chunk + 1 < flows.hot.chunks() {
            let approach = flows.approach_chunk(chunk + 1, wanted.beside);
            (0..CHUNK).for_each(approach);
        }
        let (hot, start) = (flows.hot.chunk(chunk), chunk * CHUNK);
        let (apps, owners) = match wanted.tenants {
            true => {
                (chunk_rows::known(apps.near(start, CHUNK)), chunk_rows::known(owners.near(start, CHUNK)))
            }
            false => (0, 0),
        };
        ChunkRows {
            hot,
            origins: flows.origins.chunk(chunk),
            live: chunk_rows::pick(hot, Hot::is_live),
            apps,
            owners,
            rates: match wanted.rates {
                true => &rates.shown[start.min(rates.shown.len())..(start + CHUNK).min(rates.shown.len())],
                false => &[],
            },
        }
    }

    /// As [`Snapshot::look_at`]; what is not wanted is looked up for none, and absent or zero.
    #[inline]
    pub fn look_at_some(
        &self,
        worker: usize,
        chunk: usize,
        wanted: Wanted,
        mut each: impl FnMut(u32, FlowView),
    ) {
        let WorkerView { flows, rates, apps, owners } = &self.workers[worker];
        let now = self.now.tick();
        let start = chunk * CHUNK;
        let of = |list: &[[f32; 2]], i: usize| match wanted.rates {
            true => list.get(start + i).copied().unwrap_or_default(),
            false => [0.0; 2],
        };
        let (apps, owners) = match wanted.tenants {
            true => (apps.near(start, CHUNK), owners.near(start, CHUNK)),
            false => (&[][..], &[][..]),
        };
        // Whose tenants they are the generation tells.
        let has_tenants = !apps.is_empty() || !owners.is_empty();
        let beside = if has_tenants { wanted.beside.max(Beside::Origins) } else { wanted.beside };
        let facts = flows.facts_of_chunk(chunk, beside);
        // Where few are wanted, the next chunk's may be others.
        let goes_on = wanted.slots == u64::MAX && chunk + 1 < flows.hot.chunks();
        let approach = goes_on.then(|| flows.approach_chunk(chunk + 1, beside));
        let hots = flows.hot.chunk(chunk);
        let mut slots = wanted.slots;
        while slots != 0 {
            let i = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            let hot = &hots[i];
            if !hot.is_live() {
                continue;
            }
            if let Some(approach) = &approach {
                approach(i);
            }
            let facts = facts(i);
            let (slot, generation) = ((start + i) as u32, facts.generation);
            let flow = FlowView {
                hot,
                facts,
                ends: if hot.key.is_wide() { &flows.ends.get(slot).0 } else { &NO_ENDS },
                id: FlowId::new(worker as u8, slot, generation),
                rate: of(&rates.shown, i),
                seen: of(&rates.seen, i),
                app: apps.get(i).and_then(|tenant| tenant.of(generation)),
                owner: owners.get(i).and_then(|tenant| tenant.of(generation)),
                silence: hot.silence(now),
                end: None,
                numbers: Numbers::default(),
            };
            each(i as u32, flow);
        }
    }

    /// Returns what is known of a row beside its hot record; zeros for what is not to be looked at.
    ///
    /// # Panics
    /// As [`Snapshot::row`].
    pub fn facts(&self, at: RowRef, beside: Beside) -> Facts {
        let slot = at.slot() as usize;
        self.workers[at.worker()].flows.facts_of_chunk(slot / CHUNK, beside)(slot % CHUNK)
    }

    /// Returns a row where it lies.
    ///
    /// # Panics
    /// As [`Snapshot::row`].
    pub fn flow(&self, at: RowRef) -> FlowView<'_> {
        let slot = at.slot();
        let view = &self.workers[at.worker()];
        let (hot, facts) = (view.flows.hot.get(slot), view.flows.facts(slot));
        let ends = if hot.key.is_wide() { &view.flows.ends.get(slot).0 } else { &NO_ENDS };
        FlowView {
            hot,
            facts,
            ends,
            id: FlowId::new(at.worker() as u8, slot, facts.generation),
            rate: view.rates.shown.get(slot as usize).copied().unwrap_or_default(),
            seen: view.rates.seen.get(slot as usize).copied().unwrap_or_default(),
            app: view.apps.get(slot, facts.generation).map(|app| &**app),
            owner: view.owners.get(slot, facts.generation).map(|owner| &**owner),
            silence: hot.silence(self.now.tick()),
            end: None,
            numbers: Numbers::default(),
        }
    }

    /// Returns a copy that lives on its own, as long as one likes: for a frozen screen. Costs
    /// some 200 bytes and 0.1 us for each slot ever used. `None` if there is no memory for it.
    pub fn detached(&self) -> Option<Self> {
        let copied = |view: &WorkerView| {
            let flows = FrozenFlows {
                hot: copy(&view.flows.hot)?,
                origins: copy(&view.flows.origins)?,
                round_trips: copy(&view.flows.round_trips)?,
                tallies: copy(&view.flows.tallies)?,
                ends: copy(&view.flows.ends)?,
                extensions: copy(&view.flows.extensions)?,
                tracks: view.flows.tracks.clone(),
            };
            Some(WorkerView {
                flows: Box::new(flows),
                rates: view.rates.clone(),
                apps: view.apps.clone(),
                owners: view.owners.clone(),
            })
        };
        Some(Self {
            history: Arc::clone(&self.history),
            sources: self.sources.clone(),
            stages: self.stages.clone(),
            owner_method: self.owner_method.clone(),
            workers: self.workers.iter().map(copied).collect::<Option<_>>()?,
            ..*self
        })
    }

    /// Returns all of a flow in one piece.
    ///
    /// # Panics
    /// As [`Snapshot::row`].
    pub fn record(&self, at: RowRef) -> FlowRecord {
        let slot = at.slot();
        let flows = &self.workers[at.worker()].flows;
        let facts = flows.facts(slot);
        FlowRecord {
            hot: *flows.hot.get(slot),
            facts,
            wide: flows.wide_key(slot),
            id: FlowId::new(at.worker() as u8, slot, facts.generation),
            end: None,
            health: flows.health(slot),
        }
    }

    /// Calls `each` with what is known of every row, in the order of worker and slot: what costs less than one
    /// after the other. Of health, see [`Snapshot::health`], nothing.
    pub fn each_record(&self, mut each: impl FnMut(FlowRecord, Option<&Arc<App>>, Option<&Arc<Owner>>)) {
        for (w, view) in self.workers.iter().enumerate() {
            for c in 0..self.chunks(w) {
                self.prefetch_apps(w, c);
                let (apps, owners) = (self.app_tenants(w, c), self.owner_tenants(w, c));
                let facts = view.flows.facts_of_chunk(c, Beside::All);
                for (i, hot) in view.flows.hot.chunk(c).iter().enumerate() {
                    if !hot.is_live() {
                        continue;
                    }
                    let (slot, facts) = ((c * CHUNK + i) as u32, facts(i));
                    let wide = if hot.key.is_wide() { view.flows.wide_key(slot) } else { WideKey::default() };
                    let id = FlowId::new(w as u8, slot, facts.generation);
                    let app = apps.get(i).and_then(|tenant| tenant.shared(facts.generation));
                    let owner = owners.get(i).and_then(|tenant| tenant.shared(facts.generation));
                    each(FlowRecord { hot: *hot, facts, wide, id, end: None, health: None }, app, owner);
                }
            }
        }
    }

    /// Returns the windows and legs of a row that ended with this epoch, the last one.
    pub fn health(&self, at: RowRef) -> Option<Health> {
        self.workers[at.worker()].flows.health(at.slot())
    }

    /// Returns the id of a row.
    ///
    /// # Panics
    /// As [`Snapshot::row`].
    pub fn id(&self, at: RowRef) -> FlowId {
        let origin = self.workers[at.worker()].flows.origins.get(at.slot());
        FlowId::new(at.worker() as u8, at.slot(), origin.generation)
    }

    /// Returns where the row with this id stands, if it lives.
    pub fn find(&self, id: FlowId) -> Option<RowRef> {
        let view = self.workers.get(usize::from(id.worker()))?;
        if id.slot() as usize >= view.flows.hot.slots() {
            return None;
        }
        let hot = view.flows.hot.get(id.slot());
        let same = hot.is_live() && view.flows.origins.get(id.slot()).generation == id.generation();
        same.then(|| RowRef::new(usize::from(id.worker()), id.slot()))
    }

    /// Returns the bytes per second that a row shows, by sender.
    pub fn rate(&self, at: RowRef) -> [f32; 2] {
        self.workers[at.worker()].rates.shown.get(at.slot() as usize).copied().unwrap_or_default()
    }

    /// Returns what a row speaks, if that is known.
    pub fn app(&self, at: RowRef) -> Option<&Arc<App>> {
        let view = &self.workers[at.worker()];
        view.apps.get(at.slot(), view.flows.origins.get(at.slot()).generation)
    }

    /// Starts loading what a row speaks.
    pub fn approach_app(&self, at: RowRef) {
        self.workers[at.worker()].apps.approach_value(at.slot());
    }

    /// Returns who owns a row, if that is known.
    pub fn owner(&self, at: RowRef) -> Option<&Arc<Owner>> {
        let view = &self.workers[at.worker()];
        view.owners.get(at.slot(), view.flows.origins.get(at.slot()).generation)
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
