//! A worker: takes lines from its rings, accounts them to its flows, and closes epochs.
//!
//! A worker that has met the marker of an epoch in one ring reads no further there until it has
//! met it in all of them (K. M. Chandy and L. Lamport, "Distributed Snapshots", 1985): what it then
//! publishes holds exactly the frames before the cut.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{sync::Arc, time::Duration};

use crate::{
    base::{
        counters::Volume,
        ids::Epoch,
        sync::atomic::{AtomicBool, Ordering},
        time::{Nanos, Tick},
    },
    flow::{
        locals::Locals,
        table::{FlowTable, FrozenFlows},
    },
    packet::{
        descriptor::Cut,
        line::Line,
        payload::{Behind, MOST_LINES, Payloads},
    },
    pipeline::{
        handover::{Handover, Renewal},
        part::Part,
        quiet::Quiet,
        report::{EndedQueue, Message, WorkerReport},
        ring::LineReceiver,
        rx::Control,
        wake::Bell,
    },
    snapshot::{view::RingFill, wish::Wish},
};

/// Chunks of 64 flows looked at between two bursts while a sweep is under way.
const SWEEP_STEP: usize = 8;
/// Flows that a live worker ends at a cut at most; a look at a chunk counts for 4.
const SWEEP_AT_CUT: u32 = 64;
/// The longest sleep of an idle worker: whoever has lines or a table for it rings, and so does who leaves an rx out.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Lines taken from a ring at once: a whole frame's at least.
const TAKE: usize = 4 * MOST_LINES;

/// When a worker hands out its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// At every cut for which the last one was given back.
    WhenReturned,
    /// At every cut, waiting until the last one was given back: files on a screen.
    Always,
    /// At the last cut only: nobody looks before.
    AtEnd,
}

/// Table, epochs and reports of a worker; what feeds it is a ring or the rx it is fused with.
pub struct Worker {
    table: FlowTable,
    ended: EndedQueue,
    to_collector: rtrb::Producer<Message>,
    tables: Arc<Handover<FrozenFlows>>,
    locals: Arc<Renewal<Locals>>,
    wish: Arc<Wish>,
    collector: Arc<Bell>,
    publish: Publish,
    /// Whether a sweep may be spread over bursts (live) or ends within the cut (files).
    spread_sweep: bool,
    sweeping: bool,
    /// How full its rings are, if it has any.
    ring: Option<RingFill>,
}

/// What a worker is made of.
pub struct WorkerParts {
    /// Its flows.
    pub table: FlowTable,
    /// Where ended flows go.
    pub ended: EndedQueue,
    /// Where reports go.
    pub to_collector: rtrb::Producer<Message>,
    /// Where tables come back from.
    pub tables: Arc<Handover<FrozenFlows>>,
    /// Where it learns which addresses are ours, when that changes.
    pub locals: Arc<Renewal<Locals>>,
    /// Which row readers want to know more of.
    pub wish: Arc<Wish>,
    /// The collector's bell.
    pub collector: Arc<Bell>,
    /// When tables are handed out.
    pub publish: Publish,
    /// Whether sweeps are spread over bursts.
    pub spread_sweep: bool,
}

impl Worker {
    /// Puts a worker together.
    pub fn new(parts: WorkerParts) -> Self {
        let WorkerParts {
            table,
            ended,
            to_collector,
            tables,
            locals,
            wish,
            collector,
            publish,
            spread_sweep,
        } = parts;
        Self {
            table,
            ended,
            to_collector,
            tables,
            locals,
            wish,
            collector,
            publish,
            spread_sweep,
            sweeping: false,
            ring: None,
        }
    }

    /// Accounts lines up to the first marker; returns how many.
    #[inline]
    pub fn process(&mut self, lines: &[Line], payloads: &impl Payloads) -> usize {
        let done = self.table.process(lines, payloads, &mut self.ended);
        if self.sweeping {
            self.sweep_step();
        }
        done
    }

    /// Accounts lines for whose hashes [`Worker::prefetch`] was called a moment ago.
    #[inline]
    pub fn process_prefetched(&mut self, lines: &[Line], payloads: &impl Payloads) -> usize {
        let done = self.table.process_prefetched(lines, payloads, &mut self.ended);
        if self.sweeping {
            self.sweep_step();
        }
        done
    }

    /// Starts loading what is needed first for a frame with this hash.
    #[inline(always)]
    pub fn prefetch(&self, hash: u32) {
        self.table.prefetch(hash);
    }

    /// Takes note of how full its rings are.
    #[inline]
    fn note_fill(&mut self, now: usize) {
        if let Some(ring) = &mut self.ring {
            ring.now = now as u32;
            ring.peak = ring.peak.max(ring.now);
        }
    }

    /// Returns all frames that were given to its table since the start.
    #[inline]
    fn taken(&self) -> Volume {
        self.table.taken()
    }

    /// Returns the tick before which no flow ends by itself.
    pub fn quiet_until(&self) -> Tick {
        self.table.quiet_until()
    }

    /// Does a piece of what is not urgent; returns whether there is more.
    pub fn idle_step(&mut self) -> bool {
        if self.sweeping {
            self.sweep_step();
        }
        self.sweeping
    }

    /// Closes an epoch: all frames before the cut were processed, none after it, but for those of
    /// rx threads that are not part of it, which are `ahead`.
    pub fn close(&mut self, cut: Cut, ahead: Volume) {
        while self.sweeping {
            self.sweep_step();
        }
        self.table.set_cutoff(cut.now.tick());
        self.sweeping = true;
        // What is over leaves before the cut is handed out: all of it, or while packets wait as
        // much as takes about 20 us. Were it more, the rest are rows for one epoch longer.
        let mut left = SWEEP_AT_CUT;
        while self.sweeping && (cut.last || !self.spread_sweep || left > 0) {
            let before = self.table.counts().closed;
            self.sweeping = !self.table.sweep(1, &mut self.ended);
            left = left.saturating_sub(4 + (self.table.counts().closed - before) as u32);
        }
        self.ended.nudge();
        self.locals.fetch(|fresh| self.table.set_locals(fresh));
        let asked = self.wish.get().and_then(|id| Some((id, self.table.health(id)?)));
        let flows = self.freeze(cut.last);
        self.send(Message::Worker(WorkerReport {
            cut,
            counts: self.table.counts(),
            ended_sent: self.ended.sent,
            learned_sent: self.ended.learned.sent,
            unreported: self.ended.unreported,
            ring: self.ring,
            inspections: self.table.inspections(),
            facts_lost: self.ended.learned.lost,
            ahead,
            asked,
            flows,
        }));
    }

    fn freeze(&mut self, last: bool) -> Option<Box<FrozenFlows>> {
        let wanted = last || self.publish != Publish::AtEnd;
        let waits = last || self.publish == Publish::Always;
        if !wanted {
            return None;
        }
        let mut flows = loop {
            if let Some(flows) = self.tables.take() {
                break flows;
            }
            // Alone with it, nobody else can put one there.
            if !waits || Arc::strong_count(&self.tables) == 1 {
                return None;
            }
            self.collector.ring();
            std::thread::yield_now();
        };
        self.table.release();
        // Every chunk is given back now, so there is room.
        let able = self.table.freeze(&mut flows);
        if able && last {
            self.table.part_with_tracks(&mut flows);
        }
        able.then_some(flows)
    }

    fn sweep_step(&mut self) {
        self.sweeping = !self.table.sweep(SWEEP_STEP, &mut self.ended);
        self.ended.nudge();
    }

    fn send(&mut self, mut message: Message) {
        while let Err(rtrb::PushError::Full(back)) = self.to_collector.push(message) {
            if self.to_collector.is_abandoned() {
                return;
            }
            message = back;
            self.collector.ring();
            std::thread::yield_now();
        }
        self.collector.ring();
    }
}

/// A worker's thread: reads the rings of all rx threads.
pub struct WorkerThread {
    worker: Worker,
    rings: Box<[Inlet]>,
    /// The epoch that is being collected, and the engine time of the one before.
    epoch: Epoch,
    closed: Nanos,
    shares: WorkerShares,
}

/// What a worker's thread shares with others.
pub struct WorkerShares {
    /// What the collector asks for.
    pub control: Arc<Control>,
    /// This worker's bell.
    pub bell: Arc<Bell>,
    /// Another thread has died.
    pub failed: Arc<AtomicBool>,
    /// Never waits.
    pub busy_poll: bool,
    /// Where it tells the only rx of a file how long nothing ends.
    pub quiet: Option<Arc<Quiet>>,
}

struct Inlet {
    ring: LineReceiver,
    /// Which epochs the ring's rx is part of.
    part: Arc<Part>,
    /// The cut whose marker was met here.
    cut: Option<Cut>,
    /// What came behind the rx's last cut that was closed.
    ahead: Volume,
}

impl WorkerThread {
    /// Returns a worker that reads `rings`, each with its rx's part in epochs.
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new(
        worker: Worker,
        rings: impl IntoIterator<Item = (LineReceiver, Arc<Part>)>,
        shares: WorkerShares,
    ) -> Self {
        let inlet = |(ring, part)| Inlet { ring, part, cut: None, ahead: Volume::default() };
        let rings: Box<[Inlet]> = rings.into_iter().map(inlet).collect();
        let size = rings.iter().map(|inlet| inlet.ring.capacity() as u32).sum();
        let worker = Worker { ring: Some(RingFill { size, ..RingFill::default() }), ..worker };
        Self { worker, rings, epoch: Epoch(1), closed: Nanos(0), shares }
    }

    /// Runs until the last cut.
    pub fn run(mut self) {
        self.shares.bell.adopt();
        let mut idle_rounds = 0u32;
        loop {
            let (mut any, mut waiting) = (false, 0);
            for (rx, inlet) in self.rings.iter_mut().enumerate() {
                if inlet.cut.is_none() {
                    self.worker.ended.rx = rx;
                    let lines = inlet.take(&mut self.worker);
                    waiting += lines;
                    any |= lines > 0;
                } else {
                    // Behind its marker frames wait for the other rings' markers.
                    waiting += inlet.ring.len();
                }
            }
            self.worker.note_fill(waiting);
            if let Some((cut, ahead)) = self.aligned() {
                self.worker.close(cut, ahead);
                if let Some(quiet) = &self.shares.quiet {
                    quiet.tell(cut.epoch, self.worker.quiet_until());
                }
                if cut.last {
                    return;
                }
                any = true;
            }
            if any {
                idle_rounds = 0;
                continue;
            }
            if self.shares.failed.load(Ordering::Relaxed) {
                return;
            }
            idle_rounds += 1;
            if self.worker.idle_step() || self.shares.busy_poll || idle_rounds < 1000 {
                std::hint::spin_loop();
                continue;
            }
            let (rings, epoch, failed) = (&self.rings, self.epoch, &self.shares.failed);
            self.shares.bell.wait(LONGEST_SLEEP, || {
                let has_news = |i: &Inlet| !i.ring.is_empty() || i.part.is_left_out(epoch);
                failed.load(Ordering::Relaxed) || rings.iter().any(|i| i.cut.is_none() && has_news(i))
            });
        }
    }

    /// Returns the cut once its marker was met in every ring, and what is ahead of it. A ring whose
    /// rx has ended holds up no further cut, and one whose rx was left out not this one: what came
    /// from there is ahead, until its next marker is met.
    fn aligned(&mut self) -> Option<(Cut, Volume)> {
        let mut merged: Option<Cut> = None;
        let mut ahead = Volume::default();
        for inlet in &self.rings {
            match inlet.cut {
                Some(cut) if cut.epoch <= self.epoch => {
                    merged = Some(merged.map_or(cut, |so_far| so_far.merge(cut)));
                }
                None if !inlet.part.is_left_out(self.epoch) => return None,
                _ => ahead += inlet.ahead,
            }
        }
        let mut cut = merged.unwrap_or_else(|| self.shares.control.asked());
        cut.epoch = self.epoch;
        for inlet in &mut self.rings {
            match inlet.cut {
                Some(met) if met.epoch <= self.epoch => {
                    inlet.cut = Some(met).filter(|met| met.last);
                    inlet.ahead = Volume::default();
                }
                _ => cut.last = false,
            }
        }
        // Engine time never goes back, also when the rx that was furthest is missing.
        cut.now = cut.now.max(self.closed);
        self.closed = cut.now;
        self.epoch = self.epoch.next();
        Some((cut, ahead))
    }
}

impl Inlet {
    /// Takes what is there, a burst at most and up to a marker; returns how many lines waited.
    #[inline]
    fn take(&mut self, worker: &mut Worker) -> usize {
        let waiting = self.ring.len();
        let lines = waiting.min(TAKE);
        if lines == 0 {
            return 0;
        }
        let before = worker.taken();
        self.cut = self.ring.take(lines, |lines| worker.process(lines, &Behind));
        self.ahead += worker.taken() - before;
        waiting
    }
}
