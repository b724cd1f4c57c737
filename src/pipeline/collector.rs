//! The collector: asks for cuts, merges what rx threads and workers report of an epoch, and hands
//! it to taps and readers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    base::{
        counters::Accounts,
        ids::{CoreId, Epoch, FlowId},
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
        time::{Nanos, Stamp},
    },
    capture::source::Clock,
    dpi::{inspector::InspectorCounts, notes::Learned},
    flow::{
        entry::FlowRecord,
        state::EndReason,
        table::{FrozenFlows, TableCounts},
    },
    names::reverse_dns::ReverseDns,
    packet::descriptor::Cut,
    pipeline::{
        handover::Handover,
        learned::{LearnedReceiver, Listen, Step, Told},
        naming::Naming,
        owners::Attribution,
        part::Part,
        rates::{DownUp, Rates},
        report::{Message, RxReport, Unreported, WorkerReport},
        rx::{self, Control},
        taps::Taps,
        tempo::Tempo,
        wake::Bell,
    },
    process::owner::Owner,
    snapshot::{
        app::App,
        publication::Publication,
        side::SideTable,
        tap::Ended,
        view::{RateList, Snapshot, StageStatus, Totals, WorkerView},
    },
};

/// The longest sleep between two cuts: whoever asks for a stop or another interval rings, as do queues that fill.
const IDLE: Duration = Duration::from_secs(2);
/// A reader may hold an epoch for so long before the next cut is put off.
const RECALL_PATIENCE: Duration = Duration::from_millis(20);
/// How long it sleeps before it looks again: on a core of both, who waits awake takes half of the reader's time.
const RECALL_PAUSE: Duration = Duration::from_micros(100);
/// An rx that has not answered for so long is left out of an epoch.
const ANSWER_PATIENCE: Nanos = Nanos::from_millis(20);
/// Where a cut is so late in ns, nobody ran: the program was stopped, or the machine slept.
const STOOD: u64 = 1_000_000_000;
/// For so long rates are not reckoned because an rx does not answer, once it is missed; then those of the others go on
/// without it.
const LONGEST_LACK: Nanos = Nanos::from_secs(3);
/// While a file is read, readers see an epoch at most so often.
const FILE_PUBLISH: Duration = Duration::from_millis(200);
/// What an epoch of a file stays published at least, so that a reader has a chance.
const FILE_HOLD: Duration = Duration::from_millis(20);
/// How often it looks whether the resolver has said more, once all is read.
const NAMES_PAUSE: Duration = Duration::from_millis(100);
/// Ended flows kept for one sorted batch; above, when the table evicts, they go out in parts.
const LARGEST_BATCH: usize = 1 << 17;
/// Flows handed to taps at once.
const TAP_BATCH: usize = 1024;
/// Open flows handed to taps at once where their order does not matter: few enough to be read from the core's own cache.
const OPEN_BATCH: usize = 64;

/// An rx thread, as the collector sees it.
pub struct RxLink {
    /// `rx/0`.
    pub name: String,
    /// The core it is pinned to.
    pub core: Option<CoreId>,
    /// Which epochs it is part of.
    pub part: Arc<Part>,
    /// Its reports.
    pub reports: rtrb::Consumer<Message>,
    /// Boxes go back here.
    pub back: rtrb::Producer<Box<RxReport>>,
}

/// A worker, as the collector sees it.
pub struct WorkerLink {
    /// `worker/0`, or the name of the rx that it is fused with.
    pub name: String,
    /// The core it is pinned to.
    pub core: Option<CoreId>,
    /// Its reports.
    pub reports: rtrb::Consumer<Message>,
    /// Its ended flows.
    pub ended: rtrb::Consumer<FlowRecord>,
    /// What its flows speak.
    pub learned: LearnedReceiver,
    /// Its table goes back here.
    pub tables: Arc<Handover<FrozenFlows>>,
    /// Its bell.
    pub bell: Arc<Bell>,
}

impl WorkerLink {
    /// Returns whether it has something to say that the collector is woken for.
    fn calls(&self) -> bool {
        let is_half_full = self.ended.slots() > self.ended.buffer().capacity() / 2;
        !self.reports.is_empty() || is_half_full || self.learned.is_half_full()
    }
}

/// What a collector is made of.
pub struct CollectorParts {
    /// All rx threads.
    pub rx: Vec<RxLink>,
    /// All workers.
    pub workers: Vec<WorkerLink>,
    /// Exports.
    pub taps: Taps,
    /// Who owns sockets, where that is looked up.
    pub owners: Option<Attribution>,
    /// Who is asked for names, where the user wants that.
    pub resolver: Option<Arc<ReverseDns>>,
    /// Whether the last epoch of a file is published again as names come in.
    pub names_late: bool,
    /// Where epochs are published.
    pub publication: Arc<Publication>,
    /// What rx threads are asked.
    pub control: Arc<Control>,
    /// Time between live cuts, ns.
    pub interval: Arc<AtomicU64>,
    /// Whether cuts are asked for, or come with the frames.
    pub clock: Clock,
    /// Whether each worker runs in the loop of the rx of its number.
    pub fused: bool,
    /// Whether rates are reckoned.
    pub reckons_rates: bool,
    /// The collector's bell.
    pub bell: Arc<Bell>,
    /// Monotonic clock, ns.
    pub monotonic: fn() -> u64,
    /// Its value at engine time 0.
    pub monotonic_start: u64,
    /// Wall clock, ns since 1970.
    pub wall: fn() -> u64,
    /// A thread has died.
    pub failed: Arc<AtomicBool>,
}

impl CollectorParts {
    /// Returns what others ask for without a queue: that a thread has failed, a stop, the time between two cuts.
    fn orders(&self) -> (bool, bool, u64) {
        let interval = self.interval.load(Ordering::Relaxed);
        (self.failed.load(Ordering::Relaxed), self.control.is_stopping(), interval)
    }
}

/// Merges epochs.
pub struct Collector {
    parts: CollectorParts,
    /// Reports of the epoch that is being merged, as they come.
    rx_reports: Vec<Option<Box<RxReport>>>,
    worker_reports: Vec<Option<WorkerReport>>,
    /// What each thread reported last.
    last_rx: Vec<RxReport>,
    last_worker: Vec<WorkerReport>,
    /// Which rx threads are not part of the epoch that is being merged.
    left_out: Vec<bool>,
    missing: Missing,
    /// Ended flows read from each worker since the start.
    ended_read: Vec<u64>,
    batch: Vec<Ended>,
    /// Ended flows without a certain owner, which get another chance at the next cut.
    waiting: Vec<Ended>,
    /// What flows speak, by worker.
    apps: Vec<SideTable<App>>,
    /// Names of addresses.
    naming: Naming,
    rates: Vec<Rates>,
    /// Rates by worker and slot, while no snapshot holds them.
    rate_lists: Vec<RateList>,
    /// Bytes of flows that ended since the last reckoning.
    ended_sum: DownUp<u64>,
    tempo: Tempo,
    totals: Totals,
    epoch: Epoch,
    /// Live: when the next cut is due, and when rx threads were told to look for it.
    next_cut: u64,
    planned: u64,
    /// Live: until when rx threads may answer, once a cut was asked for.
    answers_until: Option<u64>,
    skipped: u64,
    published: Option<Instant>,
}

impl Collector {
    /// Puts a collector together.
    pub fn new(parts: CollectorParts) -> Self {
        let (rx, workers) = (parts.rx.len(), parts.workers.len());
        let next_cut = (parts.monotonic)() + first_cut(&parts).0;
        parts.control.plan(next_cut);
        let tempo = Tempo::new(parts.clock, Nanos(parts.interval.load(Ordering::Relaxed)));
        let naming = Naming::new(workers, parts.resolver.clone());
        Self {
            parts,
            rx_reports: (0..rx).map(|_| None).collect(),
            worker_reports: (0..workers).map(|_| None).collect(),
            last_rx: vec![RxReport::default(); rx],
            last_worker: (0..workers).map(|_| WorkerReport::default()).collect(),
            left_out: vec![false; rx],
            missing: Missing { since: vec![None; rx], last: Nanos(0) },
            ended_read: vec![0; workers],
            batch: Vec::new(),
            waiting: Vec::new(),
            apps: (0..workers).map(|_| SideTable::default()).collect(),
            naming,
            rates: (0..workers).map(|_| Rates::default()).collect(),
            rate_lists: vec![RateList::default(); workers],
            ended_sum: DownUp::default(),
            tempo,
            totals: Totals::default(),
            epoch: Epoch(1),
            next_cut,
            planned: next_cut,
            answers_until: None,
            skipped: 0,
            published: None,
        }
    }

    /// Runs until the last epoch is merged and published.
    ///
    /// # Errors
    /// When a tap failed. The pipeline is told to stop then, and runs to its end all the same.
    pub fn run(mut self) -> std::io::Result<()> {
        self.parts.bell.adopt();
        loop {
            let orders = self.parts.orders();
            let mut any = self.read_ended();
            let mut last = false;
            while !last && let Some(cut) = self.read_reports() {
                self.merge(cut);
                last = cut.last;
                any = true;
            }
            if last {
                break;
            }
            if self.parts.failed.load(Ordering::Relaxed) && self.threads_are_gone() {
                break;
            }
            let wait = match self.parts.clock {
                Clock::Live => self.prepare_cut(),
                Clock::Frames => self.give_back_early(),
            };
            if !any {
                // A report of a later epoch than the one that is being merged is no reason to wake, nor is what
                // comes behind a report.
                let links = &self.parts;
                let (rx, workers) = (&self.rx_reports, &self.worker_reports);
                links.bell.wait(wait, || {
                    links.orders() != orders
                        || rx.iter().zip(&links.rx).any(|(place, l)| place.is_none() && !l.reports.is_empty())
                        || workers.iter().zip(&links.workers).any(|(place, l)| place.is_none() && l.calls())
                });
            }
        }
        let has_failed = self.parts.failed.load(Ordering::Relaxed);
        if self.parts.clock == Clock::Frames && self.parts.names_late && !has_failed {
            self.name_late();
        }
        self.parts.publication.end();
        self.parts.taps.into_result()
    }

    /// Publishes the last epoch of a file again whenever the resolver has said more, until it has said all or a stop:
    /// a file is read long before that.
    fn name_late(&mut self) {
        let mut told = None;
        while self.naming.waits() && !self.parts.control.is_stopping() {
            let now = self.naming.resolver();
            if now == told && now.is_some_and(|counts| counts.waiting() > 0) {
                let control = &self.parts.control;
                self.parts.bell.wait(NAMES_PAUSE, || control.is_stopping());
                continue;
            }
            let mut snapshot = match self.take_back(RECALL_PATIENCE) {
                Ok(Some(snapshot)) => snapshot,
                // There is nothing to look at.
                Ok(None) => return,
                Err(StillHeld) => continue,
            };
            told = now;
            let Self { naming, apps, .. } = self;
            let tables: Vec<&FrozenFlows> = snapshot.workers.iter().map(|view| &*view.flows).collect();
            naming.join_late(&tables, apps);
            snapshot.workers.iter_mut().zip(apps).for_each(|(view, apps)| view.apps = apps.view());
            (snapshot.epoch, snapshot.resolver) = (snapshot.epoch.next(), now);
            self.parts.publication.publish(Arc::new(snapshot));
            // Who shows it has some time for that.
            let control = &self.parts.control;
            self.parts.bell.wait(NAMES_PAUSE, || control.is_stopping());
        }
    }

    /// Reads ended flows and what flows speak from every worker, but nothing beyond what it had sent
    /// at the cut that is being merged.
    fn read_ended(&mut self) -> bool {
        let mut any = false;
        for w in 0..self.parts.workers.len() {
            // NB: first how many wait, then whether a report does. What waited before the report
            // came belongs to its epoch; what came behind it does not. What a flow speaks comes ahead of
            // its end, so it is there for all that wait.
            let waiting = self.parts.workers[w].ended.slots() as u64;
            let waiting_facts = self.parts.workers[w].learned.waiting();
            self.read_worker_report(w);
            let report = self.worker_reports[w].as_ref();
            let (limit, facts_limit) =
                report.map_or((u64::MAX, u64::MAX), |r| (r.ended_sent, r.learned_sent));
            let read = waiting.min(limit.saturating_sub(self.ended_read[w]));
            let Self { parts, apps, naming, .. } = self;
            let (WorkerLink { ended, learned, .. }, apps) = (&mut parts.workers[w], &mut apps[w]);
            any |= learned.drain(waiting_facts, facts_limit, Known { apps, naming });
            let Ok(chunk) = ended.read_chunk(read as usize) else { continue };
            let (first, second) = chunk.as_slices();
            for part in [first, second] {
                if parts.reckons_rates {
                    part.iter().for_each(|record| self.ended_sum += self.rates[w].ended(record));
                }
                self.batch.extend(part.iter().map(|record| Ended {
                    record: *record,
                    app: apps.take(record.id),
                    owner: None,
                    rate: None,
                }));
            }
            chunk.commit_all();
            self.ended_read[w] += read;
            any |= read > 0;
            if !self.parts.taps.want_order() && self.parts.owners.is_none() {
                naming.name_ended(&mut self.batch);
                self.parts.taps.ended(&self.batch);
                self.batch.clear();
            }
        }
        // A table that evicts may end more flows between two cuts than are worth keeping.
        let flood = self.batch.last().is_some_and(|last| last.record.end == Some(EndReason::Evicted));
        if self.batch.len() >= LARGEST_BATCH && flood {
            self.add_owners(true);
            self.naming.name_ended(&mut self.batch);
            self.flush_batch();
        }
        any
    }

    /// Returns whether something of the epoch that is being merged is still to be read.
    fn lags_behind_reports(&self) -> bool {
        let workers = self.worker_reports.iter().zip(&self.parts.workers).zip(&self.ended_read);
        workers.filter_map(|((report, link), read)| Some((report.as_ref()?, link, *read))).any(
            |(report, link, read)| read < report.ended_sent || !link.learned.has_read(report.learned_sent),
        )
    }

    /// Reads reports; returns the cut once all threads have reported it.
    fn read_reports(&mut self) -> Option<Cut> {
        for (link, place) in self.parts.rx.iter_mut().zip(&mut self.rx_reports) {
            if place.is_none()
                && let Ok(Message::Rx(report)) = link.reports.pop()
            {
                *place = Some(report);
            }
        }
        for w in 0..self.parts.workers.len() {
            self.read_worker_report(w);
        }
        let rx_done = self.rx_reports.iter().all(Option::is_some);
        if !rx_done || !self.worker_reports.iter().all(Option::is_some) {
            return None;
        }
        self.worker_reports.iter().flatten().map(|r| r.cut).reduce(Cut::merge)
    }

    /// Reads a worker's report of the epoch that is being merged, if it is there.
    fn read_worker_report(&mut self, w: usize) {
        if self.worker_reports[w].is_none()
            && let Ok(Message::Worker(report)) = self.parts.workers[w].reports.pop()
        {
            self.worker_reports[w] = Some(report);
        }
    }

    fn merge(&mut self, cut: Cut) {
        if let Some(owners) = &mut self.parts.owners {
            owners.drain();
        }
        // Before a worker's report lies what it learned and all records of flows that ended before
        // its cut.
        self.read_ended();
        while self.lags_behind_reports() {
            self.read_ended();
        }
        self.add_owners(cut.last);
        self.rx_reports.iter().flatten().for_each(|report| self.naming.read(&report.status.notes.names));
        self.naming.name_ended(&mut self.batch);
        self.flush_batch();
        if let Some(owners) = &mut self.parts.owners {
            owners.cut();
        }
        self.apps.iter_mut().for_each(SideTable::cut);
        let mut accounts = Accounts::default();
        let mut counts = TableCounts::default();
        let mut unreported = Unreported::default();
        for report in self.rx_reports.iter().flatten() {
            accounts += report.accounts;
        }
        for report in self.worker_reports.iter().flatten() {
            accounts.taken += report.ahead;
            accounts.flows += report.counts.volume;
            accounts.drops += report.counts.drops;
            counts.opened += report.counts.opened;
            counts.closed += report.counts.closed;
            counts.evicted += report.counts.evicted;
            counts.retransmits += report.counts.retransmits;
            counts.live += report.counts.live;
            counts.half_open += report.counts.half_open;
            unreported.flows += report.unreported.flows;
            unreported.volume += report.unreported.volume;
        }
        debug_assert!(accounts.conserved(), "{accounts:?}");
        let tables = self.worker_reports.iter().flatten().all(|r| r.flows.is_some());
        if tables {
            self.publish(cut, accounts, counts, unreported);
        }
        self.clear_reports();
        self.epoch = cut.epoch.next();
        self.answers_until = None;
        self.plan();
    }

    /// Makes room for the reports of the next epoch. What a thread that has ended reported last
    /// holds for every later one.
    fn clear_reports(&mut self) {
        for (i, place) in self.rx_reports.iter_mut().enumerate() {
            let Some(report) = place.take_if(|r| !r.cut.last) else { continue };
            // A stand-in is no box of the rx.
            if !std::mem::take(&mut self.left_out[i]) {
                self.last_rx[i].clone_from(&report);
                let _ = self.parts.rx[i].back.push(report);
            }
        }
        for (w, place) in self.worker_reports.iter_mut().enumerate() {
            let Some(mut report) = place.take_if(|r| !r.cut.last) else { continue };
            // A table that could not be merged because another is missing goes straight back.
            if let Some(flows) = report.flows.take() {
                self.parts.workers[w].tables.put(flows);
            }
            self.last_worker[w] = report;
        }
    }

    /// Closes the epoch without the rx threads that have not answered. What they took since their
    /// last answer counts as far as workers have got it. A shard's table cannot be had, so that its
    /// last one stands in.
    fn leave_out_stalled(&mut self) {
        let Some(until) = self.answers_until else { return };
        if (self.parts.monotonic)() < until {
            return;
        }
        for (i, link) in self.parts.rx.iter().enumerate() {
            if self.rx_reports[i].is_some() || !link.part.leave_out(self.epoch) {
                continue;
            }
            self.left_out[i] = true;
            self.rx_reports[i] = Some(Box::new(self.last_rx[i].clone()));
            if self.parts.fused {
                let flows = self.parts.workers[i].tables.take();
                let cut = self.parts.control.asked();
                self.worker_reports[i] = Some(WorkerReport { cut, flows, ..self.last_worker[i].facts() });
            }
        }
        for worker in &self.parts.workers {
            worker.bell.ring();
        }
    }

    /// Tells rx threads when to look for the next cut.
    fn plan(&mut self) {
        self.planned = self.next_cut;
        self.parts.control.plan(self.planned);
    }

    fn publish(&mut self, cut: Cut, accounts: Accounts, counts: TableCounts, unreported: Unreported) {
        // The end of a flow that was not reported is not known to rates: its slot may have another one.
        let unknown = unreported.flows != self.totals.ended_unreported;
        let (mut came, mut of_rows) = (DownUp::default(), DownUp::default());
        let reports = self.worker_reports.iter_mut();
        let tables: Vec<_> = reports
            .map(|report| report.as_mut().and_then(|r| r.flows.take()).expect("asked for before"))
            .collect();
        let earliest = || tables.iter().filter_map(|flows| flows.earliest()).min();
        let begins = self.parts.reckons_rates && self.tempo.begins_live();
        let since = if begins { earliest() } else { None };
        // What an rx took that is left out is not known yet: the next reckoning is over this time, too.
        let lacks = self.missing.lacks(cut.now, &self.left_out) && !unknown && !cut.last;
        let due = self.tempo.due(&cut, unknown, since);
        let due = due.filter(|span| self.parts.reckons_rates && !(lacks && span.passed < LONGEST_LACK));
        let borrowed: Vec<&FrozenFlows> = tables.iter().map(|flows| &**flows).collect();
        if let Some(owners) = &mut self.parts.owners {
            owners.join(&borrowed, cut.now, cut.last);
        }
        self.naming.join(&borrowed, &mut self.apps);
        let mut workers = Vec::with_capacity(tables.len());
        for (w, flows) in tables.into_iter().enumerate() {
            let mut rates = std::mem::take(&mut self.rate_lists[w]);
            let gone = self.rates[w].forget_ended(&mut rates);
            self.totals.gone[0] += gone.down;
            self.totals.gone[1] += gone.up;
            if let Some(span) = &due {
                let (bytes, rate) = self.rates[w].reckon(&flows, &cut, span, &mut rates);
                came += bytes;
                of_rows += rate;
            }
            let apps = self.apps[w].view();
            let owners = self.parts.owners.as_ref().map(|o| o.view(w)).unwrap_or_default();
            workers.push(WorkerView { flows, rates, apps, owners });
        }
        self.totals.flows = counts.live;
        self.totals.opened = counts.opened;
        self.totals.closed = counts.closed;
        self.totals.evicted = counts.evicted;
        self.totals.retransmits = counts.retransmits;
        self.totals.half_open = counts.half_open;
        self.totals.ended_unreported = unreported.flows;
        if let Some(span) = &due {
            // A flow that moved bytes and ended, by eviction or another one in its place, has no row.
            came += std::mem::take(&mut self.ended_sum);
            self.tempo.reckon(&cut, span, came, &accounts, &mut self.totals);
            self.totals.gone = [self.totals.down - of_rows.down, self.totals.up - of_rows.up];
        }
        let sources = self.rx_reports.iter().flatten().map(|r| r.status.clone()).collect();
        let mut inspections = InspectorCounts::default();
        let mut facts_lost = 0;
        for report in self.worker_reports.iter().flatten() {
            inspections += report.inspections;
            facts_lost += report.facts_lost;
        }
        let is_in_part = self.parts.reckons_rates && self.tempo.is_in_part(&cut);
        let snapshot = Snapshot {
            epoch: cut.epoch,
            now: cut.now,
            wall: cut.wall,
            accounts,
            totals: self.totals,
            history: Arc::clone(&self.tempo.history),
            sources,
            stages: self.stages(),
            owner_method: self.parts.owners.as_ref().map(Attribution::status).unwrap_or_default(),
            resolver: self.naming.resolver(),
            epochs_skipped: self.skipped,
            inspections,
            facts_lost,
            ended: cut.last,
            asked: self.worker_reports.iter().flatten().find_map(|report| report.asked),
            workers,
        };
        if is_in_part {
            return self.give_back(snapshot);
        }
        if cut.last {
            self.end_open_flows(&snapshot);
        }
        self.parts.taps.epoch(&snapshot);
        let recent = self.published.is_some_and(|at| at.elapsed() < FILE_PUBLISH);
        if self.parts.clock == Clock::Frames && recent && !cut.last {
            return self.give_back(snapshot);
        }
        self.parts.publication.publish(Arc::new(snapshot));
        self.published = Some(Instant::now());
    }

    fn stages(&self) -> Vec<StageStatus> {
        let rx =
            self.parts.rx.iter().zip(self.rx_reports.iter().flatten()).map(|(link, report)| StageStatus {
                name: link.name.clone(),
                core: link.core,
                frames: report.accounts.taken.frames,
                flows: 0,
                ring: None,
                stalled: false,
            });
        let workers =
            self.parts.workers.iter().zip(self.worker_reports.iter().flatten()).map(|(link, report)| {
                StageStatus {
                    name: link.name.clone(),
                    core: link.core,
                    frames: report.counts.volume.frames,
                    flows: report.counts.live,
                    ring: report.ring,
                    stalled: false,
                }
            });
        let mut stages: Vec<_> = rx.chain(workers).collect();
        let shards = if self.parts.fused { 2 } else { 1 };
        for (stage, out) in stages.iter_mut().zip(self.left_out.repeat(shards)) {
            stage.stalled = out;
        }
        stages
    }

    /// Joins owners to the flows that ended up to a cut. Those without a certain one wait for the next, unless
    /// this is the last: a short connection's end may be known before its process.
    fn add_owners(&mut self, last: bool) {
        let Some(owners) = &mut self.parts.owners else { return };
        let waited = self.waiting.len();
        let mut all = std::mem::take(&mut self.waiting);
        all.append(&mut self.batch);
        let mut place = 0;
        all.retain_mut(|ended| {
            ended.owner = owners.take(&ended.record);
            place += 1;
            let is_certain = ended.owner.as_ref().is_some_and(|owner| owner.quality.is_certain());
            let is_settled = is_certain || !Attribution::may_learn(&ended.record);
            if is_settled || last || place <= waited || self.parts.taps.are_none() {
                return true;
            }
            self.waiting.push(std::mem::take(ended));
            false
        });
        self.batch = all;
        if !self.waiting.is_empty() {
            owners.look_again(false);
        }
    }

    /// Gives the ended flows of a cut to the taps, in the order of first packet, then key.
    fn flush_batch(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        // Records are large: their places are sorted instead.
        let mut order: Vec<_> = batch.iter().zip(0u32..).map(|(e, at)| (e.record.facts.first, at)).collect();
        let record = |at: u32| &batch[at as usize].record;
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| record(a.1).in_order(record(b.1))));
        let mut sorted = Vec::with_capacity(order.len().min(TAP_BATCH));
        for part in order.chunks(TAP_BATCH) {
            sorted.clear();
            sorted.extend(part.iter().map(|&(_, at)| std::mem::take(&mut batch[at as usize])));
            self.parts.taps.ended(&sorted);
        }
        batch.clear();
        self.batch = batch;
    }

    /// Gives the flows that are still open to the taps.
    fn end_open_flows(&mut self, snapshot: &Snapshot) {
        let taps = &mut self.parts.taps;
        if taps.are_none() {
            return;
        }
        taps.stopping(snapshot);
        if !taps.want_order() {
            let mut batch = Vec::with_capacity(OPEN_BATCH);
            snapshot.each_record(|record, app, owner| {
                batch.push(still_open(record, app, owner));
                if batch.len() == OPEN_BATCH {
                    taps.ended(&batch);
                    batch.clear();
                }
            });
            return taps.ended(&batch);
        }
        let mut open = Vec::with_capacity(snapshot.len());
        snapshot.scan(|at, _, facts| open.push((facts.first, at)));
        open.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| snapshot.record(a.1).in_order(&snapshot.record(b.1)))
        });
        let mut batch = Vec::with_capacity(TAP_BATCH);
        for flows in open.chunks(TAP_BATCH) {
            flows.iter().for_each(|&(_, at)| snapshot.approach_app(at));
            let all =
                flows.iter().map(|&(_, at)| (snapshot.record(at), snapshot.app(at), snapshot.owner(at)));
            batch.extend(all.map(|(record, app, owner)| still_open(record, app, owner)));
            taps.ended(&batch);
            batch.clear();
        }
    }

    /// Live: takes the last epoch back from readers and tells rx threads of the next cut. Returns
    /// how long nothing is to do.
    fn prepare_cut(&mut self) -> Duration {
        let interval = self.parts.interval.load(Ordering::Relaxed);
        let now = (self.parts.monotonic)();
        let ends = self.rx_reports.iter().all(|place| place.as_ref().is_some_and(|r| r.cut.last));
        if ends || self.parts.control.is_stopping() {
            // The last cut comes by itself; it needs the tables back.
            self.recall(RECALL_PATIENCE);
            self.leave_out_stalled();
            return Duration::from_millis(5);
        }
        if self.answers_until.is_some() {
            self.leave_out_stalled();
            return Duration::from_millis(5);
        }
        self.next_cut = self.next_cut.min(now + interval);
        if now < self.next_cut {
            if self.next_cut != self.planned {
                self.plan();
            }
            return Duration::from_nanos(self.next_cut - now).min(IDLE);
        }
        if !self.recall(RECALL_PATIENCE) {
            // A reader still holds the last epoch: the next one will cover both.
            self.skipped += 1;
            self.next_cut = now + interval;
            self.plan();
            return Duration::from_millis(5);
        }
        let asked = (self.parts.monotonic)();
        self.parts.control.ask(Cut {
            epoch: self.epoch,
            now: Nanos(asked.saturating_sub(self.parts.monotonic_start)),
            wall: Stamp((self.parts.wall)()),
            ..Cut::default()
        });
        // An rx that waits for frames may have been told of a later time.
        let noticed = self.planned.clamp(asked, asked + rx::LONGEST_WAIT.0);
        // Where the whole program was stopped, they take first what has waited.
        let late = asked.saturating_sub(self.next_cut);
        let is_late = late > rx::CATCH_UP;
        if late > STOOD {
            self.tempo.stood_still();
        }
        let patience = ANSWER_PATIENCE.0 + if is_late { rx::CATCH_UP } else { 0 };
        self.answers_until = Some(noticed + patience);
        self.next_cut = (self.next_cut + interval).max(now + interval / 2);
        Duration::from_millis(5)
    }

    /// Files: takes the last epoch back soon, because a worker may wait for its table.
    fn give_back_early(&mut self) -> Duration {
        if self.published.is_none_or(|at| at.elapsed() >= FILE_HOLD) || self.parts.control.is_stopping() {
            self.recall(RECALL_PATIENCE);
        }
        Duration::from_millis(2)
    }

    /// Takes the published epoch back and returns its tables to the workers; `false` if a reader
    /// holds on to it.
    fn recall(&mut self, patience: Duration) -> bool {
        match self.take_back(patience) {
            Ok(taken) => {
                taken.into_iter().for_each(|snapshot| self.give_back(snapshot));
                true
            }
            Err(StillHeld) => false,
        }
    }

    /// Takes the published epoch back, if there is one.
    fn take_back(&mut self, patience: Duration) -> Result<Option<Snapshot>, StillHeld> {
        let Some(mut held) = self.parts.publication.recall() else { return Ok(None) };
        let start = Instant::now();
        loop {
            match Arc::try_unwrap(held) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(still) if start.elapsed() < patience => {
                    held = still;
                    std::thread::sleep(RECALL_PAUSE);
                }
                Err(still) => {
                    self.parts.publication.publish(still);
                    return Err(StillHeld);
                }
            }
        }
    }

    fn give_back(&mut self, snapshot: Snapshot) {
        for (w, view) in snapshot.workers.into_iter().enumerate() {
            self.rate_lists[w] = view.rates;
            if let Some(report) = &mut self.worker_reports[w] {
                // The worker has ended; its last table stays here.
                report.flows.get_or_insert(view.flows);
                continue;
            }
            let link = &mut self.parts.workers[w];
            link.tables.put(view.flows);
            link.bell.ring();
        }
    }

    fn threads_are_gone(&self) -> bool {
        self.parts.rx.iter().any(|l| l.reports.is_abandoned())
            || self.parts.workers.iter().any(|l| l.reports.is_abandoned())
    }
}

/// A reader holds on to the epoch.
struct StillHeld;

/// Which rx threads are missing.
struct Missing {
    /// By rx: when the epoch ended that it was last part of, if it has been missing since.
    since: Vec<Option<Nanos>>,
    /// When the last epoch ended.
    last: Nanos,
}

impl Missing {
    /// Returns whether the rates of the epoch that ends at `now` are to wait: an rx is `out` of it that has not been
    /// missing for long, and may come back with what belongs to this time.
    fn lacks(&mut self, now: Nanos, out: &[bool]) -> bool {
        let last = std::mem::replace(&mut self.last, now);
        let mut lacks = false;
        for (since, out) in self.since.iter_mut().zip(out) {
            *since = out.then(|| since.unwrap_or(last));
            lacks |= since.is_some_and(|since| now.since(since) < LONGEST_LACK);
        }
        lacks
    }
}

/// Where what a worker learned is kept.
struct Known<'a> {
    apps: &'a mut SideTable<App>,
    naming: &'a mut Naming,
}

impl Listen for Known<'_> {
    fn approach(&self, id: FlowId, step: Step) {
        match step {
            Step::First => self.apps.approach(id),
            Step::Second => self.apps.approach_value(id),
            Step::Third => self.apps.peek(id).into_iter().for_each(App::approach_values),
        }
    }

    fn hear(&mut self, id: FlowId, told: Told<'_>) {
        let size = told.size();
        let mut app = (size > 0).then(|| self.apps.get_mut(id).expecting(size));
        for what in told {
            match (what, &mut app) {
                (Learned::Resolved(answer), _) => self.naming.learn(answer),
                (Learned::Service(service), Some(app)) => app.service = Some(service),
                (Learned::Fact(fact, value), Some(app)) => app.learn(fact, value),
                _ => {}
            }
        }
    }
}

/// Returns what taps get of a flow that is open at the end.
#[inline]
fn still_open(record: FlowRecord, app: Option<&Arc<App>>, owner: Option<&Arc<Owner>>) -> Ended {
    let record = FlowRecord { end: Some(EndReason::Eof), ..record };
    Ended { record, app: app.cloned(), owner: owner.cloned(), rate: None }
}

/// The first epoch comes sooner, so that there is something to see.
fn first_cut(parts: &CollectorParts) -> Nanos {
    Nanos(parts.interval.load(Ordering::Relaxed)).min(Nanos::from_millis(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l18_rates_wait_only_at_first_for_an_rx_that_is_missing() {
        let mut missing = Missing { since: vec![None; 3], last: Nanos(0) };
        let mut lacks = |second, out: [bool; 3]| missing.lacks(Nanos::from_secs(second), &out);
        assert!(!lacks(1, [false; 3]));
        for second in 2..=3 {
            assert!(lacks(second, [false, true, false]), "{second}");
        }
        // Out for good.
        for second in 4..30 {
            assert!(!lacks(second, [false, true, false]), "{second}");
        }
        // Another one, and the first once more.
        assert!(lacks(30, [true, true, false]) && !lacks(31, [false, true, false]));
        assert!(!lacks(32, [false; 3]) && lacks(33, [false, true, false]));
    }
}
