//! A worker: takes lines from its rings, accounts them to its flows, and closes epochs.
//!
//! A worker that has met the marker of an epoch in one ring reads no further there until it has
//! met it in all of them (K. M. Chandy and L. Lamport, "Distributed Snapshots", 1985): what it then
//! publishes holds exactly the frames before the cut.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{sync::Arc, time::Duration};

use crate::{
    base::{
        sync::atomic::{AtomicBool, Ordering},
        time::Tick,
    },
    flow::table::{FlowTable, FrozenFlows},
    packet::{
        descriptor::Cut,
        line::Line,
        payload::{Behind, MOST_LINES, Payloads},
    },
    pipeline::{
        report::{EndedQueue, Message, WorkerReport},
        ring::LineReceiver,
        wake::Bell,
    },
};

/// Chunks of 64 flows looked at between two bursts while a sweep is under way.
const SWEEP_STEP: usize = 8;
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
    from_collector: rtrb::Consumer<Box<FrozenFlows>>,
    collector: Arc<Bell>,
    publish: Publish,
    /// Whether a sweep may be spread over bursts (live) or ends within the cut (files).
    spread_sweep: bool,
    sweeping: bool,
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
    pub from_collector: rtrb::Consumer<Box<FrozenFlows>>,
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
        let WorkerParts { table, ended, to_collector, from_collector, collector, publish, spread_sweep } =
            parts;
        Self { table, ended, to_collector, from_collector, collector, publish, spread_sweep, sweeping: false }
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

    /// Closes an epoch: all frames before the cut were processed, none after it.
    pub fn close(&mut self, cut: Cut) {
        while self.sweeping {
            self.sweep_step();
        }
        self.table.set_cutoff(cut.now.tick());
        self.sweeping = true;
        while self.sweeping && (cut.last || !self.spread_sweep) {
            self.sweep_step();
        }
        let flows = self.freeze(cut.last);
        self.send(Message::Worker(WorkerReport {
            cut,
            counts: self.table.counts(),
            ended_sent: self.ended.sent,
            unreported: self.ended.unreported,
            inspections: self.table.inspections(),
            facts_lost: self.ended.learned.lost,
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
            if let Ok(flows) = self.from_collector.pop() {
                break flows;
            }
            if !waits || self.from_collector.is_abandoned() {
                return None;
            }
            self.collector.ring();
            std::thread::yield_now();
        };
        self.table.release();
        // Every chunk is given back now, so there is room.
        self.table.freeze(&mut flows).then_some(flows)
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
    bell: Arc<Bell>,
    busy_poll: bool,
    failed: Arc<AtomicBool>,
}

struct Inlet {
    ring: LineReceiver,
    /// The cut whose marker was met here.
    cut: Option<Cut>,
}

impl WorkerThread {
    /// Returns a worker that reads `rings`. `failed` ends it when another thread has died.
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new(
        worker: Worker,
        rings: impl IntoIterator<Item = LineReceiver>,
        bell: Arc<Bell>,
        busy_poll: bool,
        failed: Arc<AtomicBool>,
    ) -> Self {
        let rings = rings.into_iter().map(|ring| Inlet { ring, cut: None }).collect();
        Self { worker, rings, bell, busy_poll, failed }
    }

    /// Runs until the last cut.
    pub fn run(mut self) {
        self.bell.adopt();
        let mut idle_rounds = 0u32;
        loop {
            let mut any = false;
            for inlet in &mut self.rings {
                if inlet.cut.is_none() {
                    any |= inlet.take(&mut self.worker);
                }
            }
            if let Some(cut) = self.aligned() {
                self.worker.close(cut);
                if cut.last {
                    return;
                }
                any = true;
            }
            if any {
                idle_rounds = 0;
                continue;
            }
            if self.failed.load(Ordering::Relaxed) {
                return;
            }
            idle_rounds += 1;
            if self.worker.idle_step() || self.busy_poll || idle_rounds < 1000 {
                std::hint::spin_loop();
                continue;
            }
            let rings = &self.rings;
            self.bell.wait(Duration::from_millis(50), || {
                rings.iter().any(|i| i.cut.is_none() && !i.ring.is_empty())
            });
        }
    }

    /// Returns the cut once its marker was met in every ring. A ring whose rx has ended holds up
    /// no further cut.
    fn aligned(&mut self) -> Option<Cut> {
        let mut merged: Option<Cut> = None;
        for inlet in &self.rings {
            let cut = inlet.cut?;
            merged = Some(merged.map_or(cut, |so_far| so_far.merge(cut)));
        }
        for inlet in &mut self.rings {
            inlet.cut = inlet.cut.filter(|cut| cut.last);
        }
        merged
    }
}

impl Inlet {
    /// Takes what is there, up to a marker; returns whether there was anything.
    #[inline]
    fn take(&mut self, worker: &mut Worker) -> bool {
        let lines = self.ring.len().min(TAKE);
        if lines == 0 {
            return false;
        }
        self.cut = self.ring.take(lines, |lines| worker.process(lines, &Behind));
        true
    }
}
