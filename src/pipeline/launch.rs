//! Starts the stages and their threads, and stops them.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use crate::{
    base::{
        ids::CoreId,
        memory::Populate,
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
        time::{Nanos, Stamp},
    },
    capture::source::{Clock, Source},
    flow::{
        locals::Locals,
        slab::{Advise, OutOfMemory},
        table::{FlowTable, FrozenFlows, TableConfig},
    },
    names::reverse_dns::ReverseDns,
    packet::{
        hash::Seed,
        parse::{ParseConfig, Parser},
        payload::MOST_LINES,
        settled::Settled,
    },
    pipeline::{
        ahead::Ahead,
        clock::EngineClock,
        collector::{Collector, CollectorParts, RxLink, WorkerLink},
        handover::{Handover, Renewal},
        learned,
        owners::Attribution,
        part::Part,
        quiet::Quiet,
        report::EndedQueue,
        ring,
        rx::{Control, Rx, RxParts, Together},
        steer::{Fused, Outlet, Steered},
        taps::Taps,
        wake::Bell,
        worker::{Publish, Worker, WorkerParts, WorkerShares, WorkerThread},
    },
    process::lookup::Owners,
    snapshot::{
        publication::{LONGEST_EPOCH, Publication},
        tap::Tap,
    },
};

/// Reports of a thread that the collector may be behind.
const REPORTS: usize = 4;

/// Settled flows that a worker may be ahead of an rx whose source counts them.
const SETTLED: usize = 256;

/// Room for what a worker has learned and the collector has not yet read, while live.
const LEARNED_BYTES: usize = 1 << 20;
/// The same where the worker can wait: not more of it than a part of a core's own cache goes round in.
const LEARNED_BYTES_OF_FILE: usize = 1 << 18;

/// How the pipeline is built. Tests set every field; the command line fills it from flags.
#[derive(Clone)]
pub struct EngineConfig {
    /// Workers. With `fused`, the number of sources counts instead: one shard each.
    pub workers: usize,
    /// Whether rx and worker run in one loop, without a ring between them.
    pub fused: bool,
    /// Frames taken from a source at once.
    pub burst: usize,
    /// Descriptors in each ring from an rx to a worker.
    pub ring: usize,
    /// Ended flows in each queue from a worker to the collector.
    pub ended_queue: usize,
    /// Flows in all tables together.
    pub max_flows: usize,
    /// Secret of the hash; a run is repeatable with the same number.
    pub seed: u64,
    /// Time between cuts: of the clock while live, of the frames with files.
    pub cut_interval: Nanos,
    /// Which epochs of a file are handed out: all for a screen, the last one for exports.
    pub file_epochs: Publish,
    /// Whether rates are reckoned: an export of a whole file has no use for them.
    pub reckons_rates: bool,
    /// How frames are read.
    pub parse: ParseConfig,
    /// Which addresses are ours.
    pub locals: Locals,
    /// Whether payloads are looked at: what flows speak (deep packet inspection).
    pub inspects: bool,
    /// Who is asked for names of remote addresses; nobody unless the user wants that.
    pub resolver: Option<Arc<ReverseDns>>,
    /// Whether the last epoch of a file is published again as names come in: for who stays to see that.
    pub names_late: bool,
    /// Keeps idle stages spinning instead of waiting.
    pub busy_poll: bool,
    /// How threads are placed and named, and memory is advised: from the platform.
    pub host: Host,
}

/// What the pipeline needs of the operating system.
#[derive(Clone)]
pub struct Host {
    /// Called first in every thread of the pipeline with its name (`rx/0`) and core.
    pub enter_thread: fn(name: &str, core: Option<CoreId>),
    /// Cores for rx threads and then workers (fused: shards); empty: unpinned.
    pub cores: Vec<CoreId>,
    /// Asks for large pages.
    pub advise: Advise,
    /// Touches memory ahead of its use, if there is a way.
    pub populate: Option<Populate>,
    /// Monotonic clock, ns since some start.
    pub monotonic: fn() -> u64,
    /// Wall clock, ns since 1970.
    pub wall: fn() -> u64,
}

/// A running pipeline.
pub struct Engine {
    publication: Arc<Publication>,
    control: Arc<Control>,
    interval: Arc<AtomicU64>,
    bell: Arc<Bell>,
    locals: SharedLocals,
    stages: Vec<(String, JoinHandle<()>)>,
    collector: JoinHandle<std::io::Result<()>>,
}

/// Tells a running pipeline which addresses are ours.
#[derive(Debug, Default)]
pub struct SharedLocals(Vec<Arc<Renewal<Locals>>>);

impl SharedLocals {
    /// Sets the addresses that are ours for connections that begin after the next cut.
    pub fn set(&self, locals: &Locals) {
        for worker in &self.0 {
            worker.offer(Box::new(locals.clone()));
        }
    }
}

/// Why a pipeline stopped early.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A thread could not be started.
    #[error("cannot start thread {name}")]
    Spawn {
        /// Its name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// An export could not be written.
    #[error("cannot write the export")]
    Tap(#[source] std::io::Error),
    /// The tables do not fit into the address space that the process may use.
    #[error("no memory for a table of {flows} connections; try a smaller --max-flows")]
    Memory {
        /// Flows of one worker.
        flows: usize,
        /// Why.
        source: OutOfMemory,
    },
    /// A thread panicked; a bug.
    #[error("thread {0} ended by a panic")]
    Panicked(String),
}

impl Engine {
    /// Starts the pipeline: one rx thread (or fused shard) for each source, the workers, and the
    /// collector, which calls the taps.
    ///
    /// # Errors
    /// When there is no memory for the tables, or a thread cannot be started.
    ///
    /// # Panics
    /// When there is no source.
    pub fn launch<S: Source + 'static>(
        config: EngineConfig,
        sources: Vec<S>,
        taps: Vec<Box<dyn Tap>>,
    ) -> Result<Self, EngineError> {
        Self::launch_with_owners(config, sources, taps, None)
    }

    /// As [`Engine::launch`], with somebody who knows the owners of flows.
    ///
    /// # Errors
    /// As [`Engine::launch`].
    ///
    /// # Panics
    /// As [`Engine::launch`].
    pub fn launch_with_owners<S: Source + 'static>(
        config: EngineConfig,
        sources: Vec<S>,
        taps: Vec<Box<dyn Tap>>,
        owners: Option<Box<dyn Owners>>,
    ) -> Result<Self, EngineError> {
        Launch { owners, ..Launch::new(config, &sources, taps) }.start(sources)
    }

    /// Returns where epochs are published.
    pub fn publication(&self) -> &Arc<Publication> {
        &self.publication
    }

    /// Changes the time between live cuts; at least one a second is made.
    pub fn set_cut_interval(&self, interval: Nanos) {
        self.interval.store(interval.min(LONGEST_EPOCH).0, Ordering::Relaxed);
        self.bell.ring();
    }

    /// Returns what changes the time between live cuts, as [`Engine::set_cut_interval`] does, and
    /// does not borrow the engine.
    pub fn pacer(&self) -> impl Fn(Nanos) + use<> {
        let (interval, bell) = (Arc::clone(&self.interval), Arc::clone(&self.bell));
        move |wanted| {
            interval.store(wanted.min(LONGEST_EPOCH).0, Ordering::Relaxed);
            bell.ring();
        }
    }

    /// Returns what tells the pipeline which addresses are ours when that changes. To be taken once:
    /// then there is nobody to tell.
    pub fn take_locals(&mut self) -> SharedLocals {
        std::mem::take(&mut self.locals)
    }

    /// Asks every stage to end after a last cut; returns at once.
    pub fn stop(&self) {
        self.control.stop();
        self.bell.ring();
    }

    /// Returns whether the last epoch is published.
    pub fn is_over(&self) -> bool {
        self.collector.is_finished()
    }

    /// Waits until the source has ended or [`Engine::stop`] was called, and the last epoch is
    /// published and all taps have had everything.
    ///
    /// # Errors
    /// When a tap failed or a thread panicked.
    pub fn join(self) -> Result<(), EngineError> {
        let collected = self.collector.join();
        for (name, stage) in self.stages {
            stage.join().map_err(|_| EngineError::Panicked(name))?;
        }
        collected.map_err(|_| EngineError::Panicked("collector".into()))?.map_err(EngineError::Tap)
    }
}

/// What is shared by all threads while the pipeline is put together.
struct Launch {
    config: EngineConfig,
    publication: Arc<Publication>,
    control: Arc<Control>,
    interval: Arc<AtomicU64>,
    bell: Arc<Bell>,
    failed: Arc<AtomicBool>,
    together: Arc<Together>,
    /// Every rx's part in epochs.
    parts: Vec<Arc<Part>>,
    clock: Clock,
    start: Option<Stamp>,
    monotonic_start: u64,
    /// Whether sources want to know which flows are settled; by rx: from where they do.
    counts: bool,
    settled: Vec<Vec<rtrb::Consumer<Settled>>>,
    rx_links: Vec<RxLink>,
    worker_links: Vec<WorkerLink>,
    locals: SharedLocals,
    /// The tables' memory.
    ahead: Option<Ahead>,
    taps: Vec<Box<dyn Tap>>,
    owners: Option<Box<dyn Owners>>,
    stages: Vec<(String, JoinHandle<()>)>,
}

impl Launch {
    fn new<S: Source>(config: EngineConfig, sources: &[S], taps: Vec<Box<dyn Tap>>) -> Self {
        let clock = sources.first().expect("a pipeline has a source").clock();
        let start = match clock {
            Clock::Live => Some(Stamp((config.host.wall)())),
            Clock::Frames if sources.len() == 1 => None,
            Clock::Frames => sources.iter().filter_map(Source::first_stamp).min(),
        };
        Self {
            publication: Arc::default(),
            control: Arc::new(Control::new(sources.len())),
            interval: Arc::new(AtomicU64::new(config.cut_interval.min(LONGEST_EPOCH).0)),
            bell: Arc::default(),
            failed: Arc::default(),
            together: Arc::new(Together::new(sources.len())),
            parts: sources.iter().map(|_| Arc::default()).collect(),
            clock,
            start,
            monotonic_start: (config.host.monotonic)(),
            counts: sources.iter().all(Source::can_count),
            settled: sources.iter().map(|_| Vec::new()).collect(),
            rx_links: Vec::new(),
            worker_links: Vec::new(),
            locals: SharedLocals::default(),
            ahead: config.host.populate.map(Ahead::new),
            taps,
            owners: None,
            stages: Vec::new(),
            config,
        }
    }

    fn start<S: Source + 'static>(mut self, sources: Vec<S>) -> Result<Engine, EngineError> {
        let rings = sources.len();
        let shared = sources.len() > 1;
        if self.config.fused {
            for (i, source) in sources.into_iter().enumerate() {
                let name = format!("shard/{i}");
                let worker = self.worker(i, rings, &name, self.core(i))?;
                let outlet = Fused::new(worker, self.config.burst, !shared);
                let rx = self.rx(&name, self.core(i), source, outlet, shared);
                self.spawn(name, self.core(i), move || rx.run())?;
            }
        } else {
            // With several rx threads, all have to make the same cuts.
            let asks = self.clock == Clock::Frames && !shared;
            let quiet: Vec<Arc<Quiet>> =
                (0..if asks { self.config.workers } else { 0 }).map(|_| Arc::default()).collect();
            let mut senders: Vec<Vec<_>> = (0..rings).map(|_| Vec::new()).collect();
            let mut receivers = Vec::new();
            for w in 0..self.config.workers {
                let name = format!("worker/{w}");
                let core = self.core(rings + w);
                let worker = self.worker(w, self.config.workers, &name, core)?;
                let bell = Arc::clone(&self.worker_links[w].bell);
                let mut inlets = Vec::new();
                // A frame's lines must fit beside the marker's.
                let least = if self.config.inspects { MOST_LINES + 1 } else { 0 };
                for (sender, part) in senders.iter_mut().zip(&self.parts) {
                    let (tx, rx) = ring::lines(self.config.ring.max(least), Arc::clone(&bell));
                    sender.push(tx);
                    inlets.push((rx, Arc::clone(part)));
                }
                receivers.push((name, core, worker, inlets, bell, quiet.get(w).cloned()));
            }
            for (name, core, worker, inlets, bell, quiet) in receivers {
                let (control, failed) = (Arc::clone(&self.control), Arc::clone(&self.failed));
                let busy_poll = self.config.busy_poll;
                let shares = WorkerShares { control, bell, failed, busy_poll, quiet };
                let thread = WorkerThread::new(worker, inlets, shares);
                self.spawn(name, core, move || thread.run())?;
            }
            for (i, (source, senders)) in sources.into_iter().zip(senders).enumerate() {
                let name = format!("rx/{i}");
                let outlet =
                    Steered::new(senders, self.config.burst, self.config.inspects, quiet.iter().cloned());
                let rx = self.rx(&name, self.core(i), source, outlet, shared);
                self.spawn(name, self.core(i), move || rx.run())?;
            }
        }
        self.collector()
    }

    fn core(&self, thread: usize) -> Option<CoreId> {
        self.config.host.cores.get(thread).copied()
    }

    fn worker(
        &mut self,
        number: usize,
        of: usize,
        name: &str,
        core: Option<CoreId>,
    ) -> Result<Worker, EngineError> {
        let (to_collector, reports) = rtrb::RingBuffer::new(REPORTS);
        let tables = Arc::<Handover<_>>::default();
        let (ended_tx, ended_rx) = rtrb::RingBuffer::new(self.config.ended_queue.max(1));
        // Every worker owns its share of the flows, rounded up.
        let capacity = self.config.max_flows.div_ceil(of).max(1);
        // A worker with one table to hand out has no second one: it circulates.
        tables.put(Box::new(FrozenFlows::with_capacity(capacity)));
        let live = self.clock == Clock::Live;
        let seed = Seed::new(self.config.seed);
        let mut table = FlowTable::new(TableConfig {
            capacity,
            seed,
            locals: self.config.locals.clone(),
            home_interfaces: live,
            advise: self.config.host.advise,
            worker: number as u8,
            inspects: self.config.inspects,
        })
        .map_err(|source| {
            // Other shards may run already.
            self.fail();
            EngineError::Memory { flows: capacity, source }
        })?;
        if let Some(ahead) = &mut self.ahead {
            ahead.add(table.call(&ahead.caller()));
        }
        let bytes = match (self.config.inspects, live) {
            (false, _) => 0,
            (true, true) => LEARNED_BYTES,
            (true, false) => LEARNED_BYTES_OF_FILE,
        };
        let (learned_tx, learned) = learned::ring(bytes, Arc::clone(&self.bell), !live);
        self.worker_links.push(WorkerLink {
            name: name.into(),
            core,
            reports,
            ended: ended_rx,
            learned,
            tables: Arc::clone(&tables),
            bell: Arc::default(),
        });
        let mut ended = EndedQueue::new(ended_tx, learned_tx, Arc::clone(&self.bell), !live);
        if self.counts {
            ended.tell_settled(self.settled_from(number));
        }
        let locals = Arc::<Renewal<_>>::default();
        self.locals.0.push(Arc::clone(&locals));
        Ok(Worker::new(WorkerParts {
            table,
            locals,
            wish: Arc::clone(&self.publication.wish),
            ended,
            to_collector,
            tables,
            collector: Arc::clone(&self.bell),
            publish: if live { Publish::WhenReturned } else { self.config.file_epochs },
            spread_sweep: live,
        }))
    }

    /// Returns the ways on which a worker tells every rx that it gets frames from which flows are settled.
    fn settled_from(&mut self, worker: usize) -> Box<[rtrb::Producer<Settled>]> {
        let fused = self.config.fused;
        let of = self.settled.iter_mut().enumerate().filter(|(rx, _)| !fused || *rx == worker);
        of.map(|(_, rx)| {
            let (tell, hear) = rtrb::RingBuffer::new(SETTLED);
            rx.push(hear);
            tell
        })
        .collect()
    }

    fn rx<S: Source, O: Outlet>(
        &mut self,
        name: &str,
        core: Option<CoreId>,
        source: S,
        outlet: O,
        shared: bool,
    ) -> Rx<S, O> {
        let (to_collector, reports) = rtrb::RingBuffer::new(REPORTS);
        let (mut back, from_collector) = rtrb::RingBuffer::new(REPORTS);
        for _ in 0..REPORTS {
            let _ = back.push(Box::default());
        }
        let part = Arc::clone(&self.parts[self.rx_links.len()]);
        let settled = std::mem::take(&mut self.settled[self.rx_links.len()]).into_boxed_slice();
        self.rx_links.push(RxLink { name: name.into(), core, part: Arc::clone(&part), reports, back });
        Rx::new(RxParts {
            number: self.rx_links.len() - 1,
            source,
            outlet,
            parser: Parser::new(self.config.parse, Seed::new(self.config.seed)),
            burst: self.config.burst.max(1),
            control: Arc::clone(&self.control),
            part,
            clock: EngineClock::new(self.start),
            cut_interval: self.config.cut_interval.min(LONGEST_EPOCH),
            cut_by_frames: !shared,
            cut_when_idle: !shared && self.config.file_epochs == Publish::Always,
            monotonic: self.config.host.monotonic,
            monotonic_start: self.monotonic_start,
            wall: self.config.host.wall,
            to_collector,
            from_collector,
            collector: Arc::clone(&self.bell),
            together: Arc::clone(&self.together),
            failed: Arc::clone(&self.failed),
            busy_poll: self.config.busy_poll,
            settled,
        })
    }

    fn spawn(
        &mut self,
        name: String,
        core: Option<CoreId>,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), EngineError> {
        let enter = self.config.host.enter_thread;
        let (failed, bell) = (Arc::clone(&self.failed), Arc::clone(&self.bell));
        let control = Arc::clone(&self.control);
        let thread_name = name.clone();
        let body = move || {
            enter(&thread_name, core);
            // The others must not wait for one that is gone.
            let guard = FailGuard { failed, bell, control };
            run();
            std::mem::forget(guard);
        };
        let handle = thread::Builder::new()
            .name(name.clone())
            .spawn(body)
            .map_err(|source| EngineError::Spawn { name: name.clone(), source });
        match handle {
            Ok(handle) => {
                self.stages.push((name, handle));
                Ok(())
            }
            Err(error) => {
                self.fail();
                Err(error)
            }
        }
    }

    /// Ends the threads that run already.
    fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.control.wake();
    }

    /// Starts the thread that touches memory ahead; without it workers wait for theirs.
    fn touch_ahead(&mut self) {
        let Some(ahead) = self.ahead.take() else { return };
        let (enter, publication) = (self.config.host.enter_thread, Arc::clone(&self.publication));
        self.publication.call_at_end(ahead.caller());
        let run = move || {
            enter("memory", None);
            ahead.run(&publication);
        };
        if let Ok(handle) = thread::Builder::new().name("memory".into()).spawn(run) {
            self.stages.push(("memory".into(), handle));
        }
    }

    fn collector(mut self) -> Result<Engine, EngineError> {
        self.touch_ahead();
        let Self { config, publication, control, interval, bell, failed, clock, .. } = self;
        let workers = self.worker_links.len();
        let collector = Collector::new(CollectorParts {
            owners: self.owners.map(|owners| Attribution::new(owners, workers)),
            resolver: config.resolver,
            names_late: config.names_late,
            rx: self.rx_links,
            workers: self.worker_links,
            taps: Taps::new(self.taps, Arc::clone(&control)),
            publication: Arc::clone(&publication),
            control: Arc::clone(&control),
            interval: Arc::clone(&interval),
            clock,
            fused: config.fused,
            reckons_rates: config.reckons_rates,
            bell: Arc::clone(&bell),
            monotonic: config.host.monotonic,
            monotonic_start: self.monotonic_start,
            wall: config.host.wall,
            failed: Arc::clone(&failed),
        });
        let enter = config.host.enter_thread;
        let over = Arc::clone(&publication);
        let collector = thread::Builder::new()
            .name("collector".into())
            .spawn(move || {
                enter("collector", None);
                // Readers must not wait for a collector that is gone.
                let _over = OverGuard(over);
                collector.run()
            })
            .map_err(|source| {
                failed.store(true, Ordering::Relaxed);
                control.wake();
                publication.end();
                EngineError::Spawn { name: "collector".into(), source }
            })?;
        let (locals, stages) = (self.locals, self.stages);
        Ok(Engine { publication, control, interval, bell, locals, stages, collector })
    }
}

/// Tells everybody when its thread ends by a panic.
struct FailGuard {
    failed: Arc<AtomicBool>,
    bell: Arc<Bell>,
    control: Arc<Control>,
}

impl Drop for FailGuard {
    fn drop(&mut self) {
        self.failed.store(true, Ordering::Relaxed);
        self.bell.ring();
        self.control.wake();
    }
}

struct OverGuard(Arc<Publication>);

impl Drop for OverGuard {
    fn drop(&mut self) {
        self.0.end();
    }
}
