//! What stages tell the collector at a cut, and how it gets there.

use std::sync::Arc;

use crate::{
    base::{
        counters::{Accounts, Volume},
        ids::{Epoch, FlowId},
    },
    capture::source::SourceStatus,
    dpi::{
        inspector::InspectorCounts,
        notes::{Learn, Learned},
    },
    flow::{
        entry::FlowRecord,
        health::Health,
        table::{EndedFlows, FrozenFlows, TableCounts},
    },
    packet::{descriptor::Cut, settled::Settled},
    pipeline::{learned::LearnedSender, wake::Bell},
    snapshot::view::RingFill,
};

/// How long a worker waits before it looks for room again.
const PAUSE: std::time::Duration = std::time::Duration::from_micros(50);
/// Flows between two looks whether the queue is half full.
const NUDGE_EVERY: u64 = 1024;

/// An rx thread's report of a cut.
#[derive(Clone, Debug, Default)]
pub struct RxReport {
    /// The cut.
    pub cut: Cut,
    /// What it took, and what it accounted for itself: no flow, and drops before a worker.
    pub accounts: Accounts,
    /// Its source.
    pub status: SourceStatus,
}

/// A worker's report of a cut.
#[derive(Default)]
pub struct WorkerReport {
    /// The cut.
    pub cut: Cut,
    /// What its table counted.
    pub counts: TableCounts,
    /// Ended flows that it sent before, since the start.
    pub ended_sent: u64,
    /// Bytes of what it learned and sent before, since the start.
    pub learned_sent: u64,
    /// Totals of ended flows that found the queue full.
    pub unreported: Unreported,
    /// How full the rings to it are, if there are any.
    pub ring: Option<RingFill>,
    /// What became of the payloads.
    pub inspections: InspectorCounts,
    /// Facts that found their ring full.
    pub facts_lost: u64,
    /// Frames that it accounted for and that came from an rx which is not part of this epoch, since
    /// that one's last cut: in no rx's report yet.
    pub ahead: Volume,
    /// What it knows of the row that readers ask for, if that is one of its.
    pub asked: Option<(FlowId, Health)>,
    /// The table, if the collector had given the last one back.
    pub flows: Option<Box<FrozenFlows>>,
}

/// Ended flows that no reader saw, as one record: conservation holds without them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreported {
    /// How many.
    pub flows: u64,
    /// Their frames.
    pub volume: Volume,
}

impl WorkerReport {
    /// Returns the report without the table, nothing of which is ahead of any rx.
    pub fn facts(&self) -> Self {
        Self { ahead: Volume::default(), flows: None, ..*self }
    }
}

/// A worker's end of its queue of ended flows.
pub struct EndedQueue {
    to_collector: rtrb::Producer<FlowRecord>,
    collector: Arc<Bell>,
    /// Whether to wait for room instead of losing records.
    waits: bool,
    /// Records sent since the start.
    pub sent: u64,
    /// What found no room.
    pub unreported: Unreported,
    /// Where goes what flows speak: always ahead of their end.
    pub learned: LearnedSender,
    /// By rx: where goes which flows are settled, if the source wants to know.
    settled: Box<[rtrb::Producer<Settled>]>,
    /// The rx whose frames are being accounted.
    pub rx: usize,
}

impl EndedQueue {
    /// Returns the sending end of a queue.
    pub fn new(
        to_collector: rtrb::Producer<FlowRecord>,
        learned: LearnedSender,
        collector: Arc<Bell>,
        waits: bool,
    ) -> Self {
        Self {
            to_collector,
            collector,
            waits,
            sent: 0,
            unreported: Unreported::default(),
            learned,
            settled: Box::default(),
            rx: 0,
        }
    }

    /// Makes it tell these rx threads which flows are settled.
    pub fn tell_settled(&mut self, rx: Box<[rtrb::Producer<Settled>]>) {
        self.settled = rx;
    }

    /// Adds a record that no reader will see to the totals of such.
    #[cold]
    fn count_unreported(&mut self, record: &FlowRecord) {
        let frames = record.hot.frames[0] + record.hot.frames[1];
        let extra = record.facts.extra_packets[0] + record.facts.extra_packets[1];
        self.unreported.flows += 1;
        self.unreported.volume +=
            Volume { frames, packets: frames + extra, bytes: record.hot.bytes[0] + record.hot.bytes[1] };
    }

    /// Wakes the collector if the queue is half full.
    pub fn nudge(&mut self) {
        self.learned.nudge();
        self.wake_if_half_full();
    }

    fn wake_if_half_full(&self) {
        if self.to_collector.slots() < self.to_collector.buffer().capacity() / 2 {
            self.collector.ring();
        }
    }
}

impl Learn for EndedQueue {
    #[inline]
    fn learned(&mut self, id: FlowId, what: Learned<'_>) {
        self.learned.learned(id, what);
    }
}

impl EndedFlows for EndedQueue {
    #[inline]
    fn wants_settled(&self) -> bool {
        !self.settled.is_empty()
    }

    fn settled(&mut self, flow: &Settled) {
        if let Some(rx) = self.settled.get_mut(self.rx) {
            // Without room it is told again later.
            let _ = rx.push(*flow);
        }
    }

    fn ended(&mut self, record: &FlowRecord) {
        // What a flow speaks goes ahead of its end.
        self.learned.flush();
        loop {
            // Copied once, into its place.
            if let Ok(place) = self.to_collector.write_chunk_uninit(1) {
                place.fill_from_iter(std::iter::once(*record));
                self.sent += 1;
                // A flood between two cuts: the collector sleeps for longer than it takes to fill the queue.
                if self.sent.is_multiple_of(NUDGE_EVERY) {
                    self.wake_if_half_full();
                }
                return;
            }
            if !self.waits || self.to_collector.is_abandoned() {
                return self.count_unreported(record);
            }
            self.collector.ring();
            std::thread::park_timeout(PAUSE);
        }
    }
}

/// A report or the end of a thread.
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation on the packet path")]
pub enum Message {
    /// From an rx.
    Rx(Box<RxReport>),
    /// From a worker.
    Worker(WorkerReport),
}

impl Message {
    /// Returns the epoch that it closes.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Rx(r) => r.cut.epoch,
            Self::Worker(w) => w.cut.epoch,
        }
    }
}
