//! An rx: takes frames from its source, reads their headers, gives them to their workers, and
//! puts the markers of cuts between them.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::sync::Arc;

use crate::{
    base::{
        counters::{Accounts, DropReason},
        ids::Epoch,
        sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        time::{Nanos, Stamp, Tick},
    },
    capture::source::{Clock, Progress, Source, SourceStatus},
    packet::{
        descriptor::Cut,
        parse::{Parser, Verdict},
    },
    pipeline::{
        clock::EngineClock,
        part::Part,
        report::{Message, RxReport},
        steer::Outlet,
        wake::Bell,
    },
};

/// A file's cuts come at the latest after so many frames, so that what waits for a cut is bounded.
const FRAMES_PER_CUT: u64 = 1 << 20;
/// The longest wait for frames: how soon a stop is noticed.
pub const LONGEST_WAIT: Nanos = Nanos::from_millis(50);
/// How soon a cut is noticed that was planned for now but has not been asked for.
const SHORTEST_WAIT: Nanos = Nanos::from_millis(1);
/// Rounds without a frame before an rx waits instead of asking again.
const SPINS: u32 = 64;
/// After a stop, the kernel's ring is drained for so long at most.
const DRAIN: Nanos = Nanos::from_secs(2);
/// Silence after a stop that counts as the end.
const SILENCE: Nanos = Nanos::from_millis(100);

/// What the collector asks of all rx threads.
#[derive(Debug, Default)]
pub struct Control {
    /// The epoch that the newest live cut closes.
    epoch: AtomicU64,
    /// The collector's engine time and wall time when it asked for that cut, ns.
    now: AtomicU64,
    wall: AtomicU64,
    /// When the next cut is planned: monotonic ns.
    planned: AtomicU64,
    stop: AtomicBool,
}

impl Control {
    /// Tells when the next cut is going to be asked for, on the monotonic clock: an rx that waits
    /// for frames looks again then, and from then on every ms.
    pub fn plan(&self, due: u64) {
        self.planned.store(due, Ordering::Relaxed);
    }

    /// Asks for a cut now. Its times are for those who close the epoch without any rx.
    pub fn ask(&self, cut: Cut) {
        self.now.store(cut.now.0, Ordering::Relaxed);
        self.wall.store(cut.wall.0, Ordering::Relaxed);
        // Release: pairs with the Acquire in `asked`, which must see the times that belong to it.
        self.epoch.store(cut.epoch.0, Ordering::Release);
    }

    /// Returns the newest cut that was asked for; that of epoch 0 before the first.
    #[inline]
    pub fn asked(&self) -> Cut {
        // Acquire: pairs with the Release in `ask`.
        let epoch = Epoch(self.epoch.load(Ordering::Acquire));
        let now = Nanos(self.now.load(Ordering::Relaxed));
        Cut { epoch, now, wall: Stamp(self.wall.load(Ordering::Relaxed)), last: false }
    }

    /// Asks for a last cut.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Returns whether a last cut was asked for.
    #[inline]
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Returns how long an rx may wait for frames at a time of the monotonic clock.
    #[inline]
    fn wait_at(&self, clock: u64) -> Nanos {
        match self.planned.load(Ordering::Relaxed).checked_sub(clock) {
            Some(ahead) if ahead > 0 => LONGEST_WAIT.min(Nanos(ahead)),
            _ => SHORTEST_WAIT,
        }
    }
}

/// What rx threads of files know of each other: how far engine time has come.
#[derive(Debug)]
pub struct Together {
    /// The latest engine time of any, ns.
    latest: AtomicU64,
    /// How many have not ended.
    running: AtomicUsize,
}

impl Together {
    /// Returns what `threads` rx threads share.
    pub fn new(threads: usize) -> Self {
        Self { latest: AtomicU64::new(0), running: AtomicUsize::new(threads) }
    }
}

/// What an rx is made of.
pub struct RxParts<S, O> {
    /// Where frames come from.
    pub source: S,
    /// Where they go.
    pub outlet: O,
    /// How headers are read.
    pub parser: Parser,
    /// Frames taken at once.
    pub burst: usize,
    /// What the collector asks for.
    pub control: Arc<Control>,
    /// Which epochs this rx is part of.
    pub part: Arc<Part>,
    /// Engine time.
    pub clock: EngineClock,
    /// Time between a file's cuts.
    pub cut_interval: Nanos,
    /// Whether a file's cuts also come after a number of frames; only a single rx may do that.
    pub cut_by_frames: bool,
    /// Whether a stalled stream is cut to be shown, wherever its time stands.
    pub cut_when_idle: bool,
    /// Monotonic clock, ns.
    pub monotonic: fn() -> u64,
    /// Its value at engine time 0.
    pub monotonic_start: u64,
    /// Wall clock, ns since 1970.
    pub wall: fn() -> u64,
    /// Where reports go, and come back from to be written again.
    pub to_collector: rtrb::Producer<Message>,
    /// See `to_collector`.
    pub from_collector: rtrb::Consumer<Box<RxReport>>,
    /// The collector's bell.
    pub collector: Arc<Bell>,
    /// What rx threads of files know of each other.
    pub together: Arc<Together>,
    /// Another thread has died.
    pub failed: Arc<AtomicBool>,
    /// Never waits.
    pub busy_poll: bool,
}

/// One rx and its source.
pub struct Rx<S, O> {
    parts: RxParts<S, O>,
    accounts: Accounts,
    /// The epoch that the next cut closes.
    epoch: Epoch,
    /// Files: engine time of the next cut.
    next_cut: Nanos,
    /// Frames since the last cut that did not come with their time.
    frames_since_status: u64,
    /// Frames were taken since the last cut.
    has_news: bool,
    /// What the source last said of itself, and whether it is to be asked again.
    status: SourceStatus,
    is_status_old: bool,
}

impl<S: Source, O: Outlet> Rx<S, O> {
    /// Puts an rx together.
    pub fn new(parts: RxParts<S, O>) -> Self {
        let next_cut = parts.cut_interval;
        Self {
            parts,
            accounts: Accounts::default(),
            epoch: Epoch(1),
            next_cut,
            frames_since_status: 0,
            has_news: false,
            status: SourceStatus::default(),
            is_status_old: false,
        }
    }

    /// Runs until the source ends or a stop is asked for.
    pub fn run(mut self) {
        match self.parts.source.clock() {
            Clock::Frames => self.run_file(),
            Clock::Live => self.run_live(),
        }
    }

    fn run_file(&mut self) {
        loop {
            if self.parts.control.is_stopping() || self.has_failed() {
                break;
            }
            let mut max = self.parts.outlet.wait_for_room(self.parts.burst, true);
            if self.parts.cut_by_frames {
                // The cut lies behind the same frame whatever the size of bursts.
                max = max.min((FRAMES_PER_CUT - self.frames_since_status) as usize);
            }
            let progress = self.burst(max, Some(self.next_cut));
            self.parts.outlet.flush(&mut self.accounts.drops, true);
            if self.is_status_old {
                // Cuts within a burst cannot ask the source, which is busy then.
                self.parts.source.status(&mut self.status);
                self.is_status_old = false;
            }
            match progress {
                Progress::Frames => {}
                Progress::Idle => self.idle_file(),
                Progress::End => break,
            }
            if self.parts.cut_by_frames && self.frames_since_status >= FRAMES_PER_CUT {
                let now = self.parts.clock.now();
                self.cut(now, self.parts.clock.newest(), false);
            }
        }
        self.end_file();
    }

    /// Waits for a stream that has stalled; a screen is to show what came before.
    fn idle_file(&mut self) {
        self.parts.source.wait(LONGEST_WAIT);
        if self.parts.cut_when_idle && self.has_news {
            self.cut(self.parts.clock.now(), self.parts.clock.newest(), false);
        }
    }

    /// Goes on making cuts until all sources have ended, so that time ends for all flows at once.
    fn end_file(&mut self) {
        let together = Arc::clone(&self.parts.together);
        together.latest.fetch_max(self.parts.clock.now().0, Ordering::AcqRel);
        together.running.fetch_sub(1, Ordering::AcqRel);
        let newest = self.parts.clock.newest();
        loop {
            // Acquire: pairs with the AcqRel above and in `burst`, so that `latest` is final once
            // nobody runs.
            let all_ended = together.running.load(Ordering::Acquire) == 0 || self.has_failed();
            let latest = Nanos(together.latest.load(Ordering::Acquire));
            while self.next_cut <= latest {
                let now = self.next_cut;
                self.cut(now, newest, false);
                let quiet = || self.parts.outlet.quiet_until();
                self.next_cut = next_after(now, latest, quiet, self.parts.cut_interval);
            }
            if all_ended {
                return self.cut(latest, newest, true);
            }
            std::thread::yield_now();
        }
    }

    fn run_live(&mut self) {
        let mut idle = 0;
        let mut drain_until = None;
        loop {
            let clock = (self.parts.monotonic)();
            let asked = self.parts.control.asked().epoch;
            if asked >= self.epoch {
                self.cut_asked(asked, clock);
            }
            if self.has_failed() {
                return;
            }
            let max = self.parts.outlet.wait_for_room(self.parts.burst, false);
            let progress = self.burst(max, None);
            self.parts.outlet.flush(&mut self.accounts.drops, false);
            if self.parts.control.is_stopping() {
                // Frames that the kernel already holds are taken: they were on the wire before.
                let until = *drain_until.get_or_insert_with(|| {
                    self.parts.source.stop();
                    clock + DRAIN.0
                });
                // A source that cannot say that it has ended is given a while of silence.
                let silent = progress == Progress::Idle && clock + DRAIN.0 >= until + SILENCE.0;
                if clock >= until || silent {
                    break;
                }
            }
            match progress {
                Progress::Frames => idle = 0,
                Progress::End => break,
                Progress::Idle if self.parts.busy_poll => {}
                Progress::Idle => {
                    idle += 1;
                    if !self.parts.outlet.idle_step() && idle >= SPINS {
                        self.parts.source.wait(self.parts.control.wait_at(clock));
                    }
                }
            }
        }
        // The last cut is part of an epoch that nobody has left this rx out of.
        while !self.parts.part.join(self.epoch) {
            self.epoch = self.epoch.next();
        }
        self.cut_live((self.parts.monotonic)(), true);
    }

    /// Makes the cut of an epoch, unless the collector has closed it without this rx. Epochs that
    /// were missed are over; what they lack is in this one.
    fn cut_asked(&mut self, epoch: Epoch, clock: u64) {
        self.epoch = epoch;
        if self.parts.part.join(epoch) {
            self.cut_live(clock, false);
        } else {
            self.epoch = epoch.next();
        }
    }

    /// Takes at most `max` frames; with `cut_at`, a file's cuts are made between them as engine
    /// time passes.
    #[inline]
    fn burst(&mut self, max: usize, cut_at: Option<Nanos>) -> Progress {
        let Self { parts, accounts, epoch, next_cut, frames_since_status, has_news, status, is_status_old } =
            self;
        let RxParts { source, outlet, parser, clock, cut_interval, together, .. } = parts;
        let mut reports = Reports {
            to_collector: &mut parts.to_collector,
            from_collector: &mut parts.from_collector,
            collector: &parts.collector,
        };
        source.burst(max, |bytes, meta| {
            let now = clock.frame(meta.wall);
            if cut_at.is_some() && now >= *next_cut {
                outlet.flush(&mut accounts.drops, true);
                together.latest.fetch_max(now.0, Ordering::AcqRel);
                while now >= *next_cut {
                    // Wall time of the cut, not of the frame behind it, which may be far ahead.
                    let wall = Stamp(meta.wall.0.saturating_sub((now - *next_cut).0));
                    let cut = Cut { epoch: *epoch, now: *next_cut, wall, last: false };
                    reports.send(cut, accounts, |report| report.copy_from(status));
                    outlet.cut(cut);
                    *epoch = epoch.next();
                    *next_cut = next_after(cut.now, now, || outlet.quiet_until(), *cut_interval);
                }
                *is_status_old = true;
            }
            *frames_since_status += 1;
            *has_news = true;
            if meta.loopback && meta.outgoing {
                accounts.taken.add_frame(1, meta.wire_bytes());
                accounts.drops[DropReason::LoopbackCopy] += 1;
                return;
            }
            let (frame, wide) = outlet.place();
            match parser.parse(bytes, meta, frame, wide) {
                Verdict::Flow => {
                    accounts.taken.add_frame(u64::from(frame.segments), u64::from(frame.wire_len));
                    frame.tick = now.tick();
                    outlet.put(bytes);
                }
                Verdict::NotFlow => {
                    accounts.taken.add_frame(1, meta.wire_bytes());
                    accounts.not_flow.add_frame(1, meta.wire_bytes());
                }
                Verdict::Drop(reason) => {
                    accounts.taken.add_frame(1, meta.wire_bytes());
                    accounts.drops[reason] += 1;
                }
            }
        })
    }

    fn cut_live(&mut self, clock: u64, last: bool) {
        let now = self.parts.clock.monotonic(Nanos(clock.saturating_sub(self.parts.monotonic_start)));
        self.cut(now, Stamp((self.parts.wall)()), last);
    }

    /// Closes an epoch here, and sends its markers and the report.
    fn cut(&mut self, now: Nanos, wall: Stamp, last: bool) {
        let cut = Cut { epoch: self.epoch, now, wall, last };
        let mut reports = Reports {
            to_collector: &mut self.parts.to_collector,
            from_collector: &mut self.parts.from_collector,
            collector: &self.parts.collector,
        };
        let source = &mut self.parts.source;
        reports.send(cut, &mut self.accounts, |status| source.status(status));
        self.parts.outlet.cut(cut);
        self.epoch = self.epoch.next();
        self.frames_since_status = 0;
        self.has_news = false;
    }

    fn has_failed(&self) -> bool {
        self.parts.failed.load(Ordering::Relaxed)
    }
}

/// Returns when the cut after that of `last` comes while no frame comes before `now`: at the next
/// multiple of the interval, or if it is known that no flow ends before a tick, at the first
/// multiple from there on, or behind `now`. A capture with days of silence needs no cut a second.
fn next_after(last: Nanos, now: Nanos, quiet_until: impl FnOnce() -> Option<Tick>, interval: Nanos) -> Nanos {
    let next = last + interval;
    if next >= now {
        return next;
    }
    let Some(until) = quiet_until() else { return next };
    let ticks = until.since(last.tick());
    let quiet = last.0.saturating_add(Tick::nanos(ticks.saturating_sub(1)).0).min(now.0);
    let skipped = quiet.saturating_sub(next.0).div_ceil(interval.0);
    Nanos(next.0 + skipped * interval.0)
}

struct Reports<'a> {
    to_collector: &'a mut rtrb::Producer<Message>,
    from_collector: &'a mut rtrb::Consumer<Box<RxReport>>,
    collector: &'a Bell,
}

impl Reports<'_> {
    /// Sends the report of a cut, in a box that the collector has read and given back.
    fn send(&mut self, cut: Cut, accounts: &mut Accounts, status: impl FnOnce(&mut SourceStatus)) {
        let mut report = loop {
            match self.from_collector.pop() {
                Ok(report) => break report,
                Err(_) if self.from_collector.is_abandoned() => return,
                Err(_) => {
                    self.collector.ring();
                    std::thread::yield_now();
                }
            }
        };
        status(&mut report.status);
        accounts.stamps_saturated = report.status.stamps_saturated;
        report.cut = cut;
        report.accounts = *accounts;
        // There are no more boxes than places in the ring.
        let _ = self.to_collector.push(Message::Rx(report));
        self.collector.ring();
    }
}
