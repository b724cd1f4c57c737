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
    capture::source::{Clock, Progress, Sink, Source, SourceStatus},
    packet::{
        descriptor::{Cut, flag},
        key::WideKey,
        parse::{FrameMeta, Parser, Verdict},
        settled::{Counted, Settled},
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
/// The longest wait for frames where nothing ends it: how soon a stop is noticed.
pub const LONGEST_WAIT: Nanos = Nanos::from_millis(100);
/// The same where a cut, a stop and the death of another thread end it: for what else there may be, such as news of
/// settled flows while no frame comes.
const LONGEST_SLEEP: Nanos = Nanos::from_secs(2);
/// How soon a cut is noticed that was planned for now but has not been asked for.
const SHORTEST_WAIT: Nanos = Nanos::from_millis(1);
/// Rounds without a frame before an rx waits instead of asking again.
const SPINS: u32 = 64;
/// A stream that stalls soon after it was cut is cut once more so much later: readers see an epoch of a file only every
/// 200 ms, and may not have seen the last one. In ns.
const CUT_AGAIN: u64 = 250_000_000;
/// After a stop, the kernel's ring is drained for so long at most.
const DRAIN: Nanos = Nanos::from_secs(2);
/// Silence after a stop that counts as the end.
const SILENCE: Nanos = Nanos::from_millis(100);

/// An rx that has not looked for frames for so long may find some that have waited for as long.
const STALL: u64 = 300_000_000;
/// For how long such an rx puts a cut off at most, to take what has waited. In ns.
pub const CATCH_UP: u64 = 200_000_000;

/// Settled flows of which the source is told between two bursts, from one worker.
const SETTLED_AT_ONCE: usize = 32;

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
    /// By rx: what wakes it, if its source can be called.
    bells: Box<[Bell]>,
}

impl Control {
    /// Returns what `threads` rx threads are asked.
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new(threads: usize) -> Self {
        Self { bells: (0..threads).map(|_| Bell::default()).collect(), ..Self::default() }
    }

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
        self.wake();
    }

    /// Wakes the rx threads that sleep, after something was made visible that they are to see at once.
    pub fn wake(&self) {
        self.bells.iter().for_each(Bell::ring);
    }

    /// Returns the newest cut that was asked for; that of epoch 0 before the first.
    #[inline]
    pub fn asked(&self) -> Cut {
        // Acquire: pairs with the Release in `ask`.
        let epoch = Epoch(self.epoch.load(Ordering::Acquire));
        let now = Nanos(self.now.load(Ordering::Relaxed));
        Cut { epoch, now, wall: Stamp(self.wall.load(Ordering::Relaxed)), ..Cut::default() }
    }

    /// Asks for a last cut.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake();
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
    /// Which one of all it is, from 0.
    pub number: usize,
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
    /// By worker: which flows are settled, if the source wants to know.
    pub settled: Box<[rtrb::Consumer<Settled>]>,
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
    number: usize,
    source: S,
    intake: Intake<O>,
    burst: usize,
    cut_by_frames: bool,
    cut_when_idle: bool,
    monotonic: fn() -> u64,
    monotonic_start: u64,
    wall: fn() -> u64,
    failed: Arc<AtomicBool>,
    control: Arc<Control>,
    part: Arc<Part>,
    busy_poll: bool,
    settled: Box<[rtrb::Consumer<Settled>]>,
    /// Frames that were taken before the last cut that did not come with their time.
    frames_before: u64,
    /// When a stalled stream is to be cut once more, on the monotonic clock.
    cut_again: Option<u64>,
}

/// What every frame passes through: all of an rx but its source, which lends the frames.
struct Intake<O> {
    outlet: O,
    parser: Parser,
    clock: EngineClock,
    /// Files: engine time of the next cut. Live cuts do not come with frames.
    next_cut: Nanos,
    /// Files of which the end is known: engine time of the cut with the last second behind it.
    last_second: Nanos,
    accounts: Accounts,
    /// The epoch that the next cut closes.
    epoch: Epoch,
    cut_interval: Nanos,
    to_collector: rtrb::Producer<Message>,
    from_collector: rtrb::Consumer<Box<RxReport>>,
    collector: Arc<Bell>,
    together: Arc<Together>,
    /// What the source last said of itself, and whether it is to be asked again.
    status: SourceStatus,
    is_status_old: bool,
}

impl<S: Source, O: Outlet> Rx<S, O> {
    /// Puts an rx together.
    pub fn new(parts: RxParts<S, O>) -> Self {
        let intake = Intake {
            outlet: parts.outlet,
            parser: parts.parser,
            clock: parts.clock,
            next_cut: match parts.source.clock() {
                Clock::Frames => parts.cut_interval,
                Clock::Live => Nanos(u64::MAX),
            },
            last_second: Nanos(u64::MAX),
            accounts: Accounts::default(),
            epoch: Epoch(1),
            cut_interval: parts.cut_interval,
            to_collector: parts.to_collector,
            from_collector: parts.from_collector,
            collector: parts.collector,
            together: parts.together,
            status: SourceStatus::default(),
            is_status_old: false,
        };
        Self {
            number: parts.number,
            source: parts.source,
            intake,
            burst: parts.burst,
            cut_by_frames: parts.cut_by_frames,
            cut_when_idle: parts.cut_when_idle,
            monotonic: parts.monotonic,
            monotonic_start: parts.monotonic_start,
            wall: parts.wall,
            failed: parts.failed,
            control: parts.control,
            part: parts.part,
            busy_poll: parts.busy_poll,
            settled: parts.settled,
            frames_before: 0,
            cut_again: None,
        }
    }

    /// Runs until the source ends or a stop is asked for.
    pub fn run(mut self) {
        match self.source.clock() {
            Clock::Frames => self.run_file(),
            Clock::Live => self.run_live(),
        }
    }

    fn run_file(&mut self) {
        loop {
            if self.control.is_stopping() || self.has_failed() {
                break;
            }
            let mut max = self.intake.outlet.wait_for_room(self.burst, true);
            if self.cut_by_frames {
                // The cut lies behind the same frame whatever the size of bursts.
                max = max.min((FRAMES_PER_CUT - self.frames_since_cut()) as usize);
            }
            if let Some(end) = self.source.ends_at() {
                // Engine time begins with the first frame.
                match self.intake.accounts.taken.frames {
                    0 => max = max.min(1),
                    _ => self.intake.cut_a_second_before(end),
                }
            }
            let progress = self.burst(max);
            self.intake.outlet.flush(&mut self.intake.accounts.drops, true);
            if self.intake.is_status_old {
                // Cuts within a burst cannot ask the source, which is busy then.
                self.source.status(&mut self.intake.status);
                self.intake.is_status_old = false;
            }
            match progress {
                Progress::Frames => {}
                Progress::Idle => self.idle_file(),
                Progress::End => {
                    if let Some(end) = self.source.ends_at() {
                        self.intake.stand_at(end);
                    }
                    break;
                }
            }
            if self.cut_by_frames && self.frames_since_cut() >= FRAMES_PER_CUT {
                let now = self.intake.clock.now();
                self.cut(now, self.intake.clock.newest(), false);
            }
        }
        self.end_file();
    }

    /// Waits for a stream that has stalled; a screen is to show what came before.
    fn idle_file(&mut self) {
        self.source.wait(LONGEST_WAIT);
        if !self.cut_when_idle {
            return;
        }
        let now = (self.monotonic)();
        let is_due = self.cut_again.is_some_and(|at| now >= at);
        if is_due || self.frames_since_cut() > 0 {
            self.cut_again = (!is_due).then_some(now + CUT_AGAIN);
            self.cut(self.intake.clock.now(), self.intake.clock.newest(), false);
        }
    }

    /// Goes on making cuts until all sources have ended, so that time ends for all flows at once.
    fn end_file(&mut self) {
        let together = Arc::clone(&self.intake.together);
        together.latest.fetch_max(self.intake.clock.now().0, Ordering::AcqRel);
        together.running.fetch_sub(1, Ordering::AcqRel);
        let newest = self.intake.clock.newest();
        loop {
            // Acquire: pairs with the AcqRel above and in `burst`, so that `latest` is final once
            // nobody runs.
            let all_ended = together.running.load(Ordering::Acquire) == 0 || self.has_failed();
            let latest = Nanos(together.latest.load(Ordering::Acquire));
            while self.intake.next_cut <= latest {
                let now = self.intake.next_cut;
                self.cut(now, newest, false);
                let outlet = &self.intake.outlet;
                let next = next_after(now, latest, || outlet.quiet_until(), self.intake.cut_interval);
                self.intake.next_cut = next;
            }
            if all_ended {
                return self.cut(latest, newest, true);
            }
            std::thread::yield_now();
        }
    }

    fn run_live(&mut self) {
        let caller = self.source.caller();
        let is_called = caller.is_some();
        if let Some(caller) = caller {
            self.control.bells[self.number].adopt_caller(caller);
        }
        let mut idle = 0;
        let mut drain_until = None;
        let mut behind = Behind::new(self.source.stamps_arrivals());
        loop {
            let clock = (self.monotonic)();
            behind.look(clock, self.intake.clock.newest(), self.wall);
            let asked = self.control.asked().epoch;
            if asked >= self.intake.epoch && !behind.is_behind() {
                self.cut_asked(asked, clock);
            }
            if self.has_failed() {
                return;
            }
            let max = self.intake.outlet.wait_for_room(self.burst, false);
            let progress = self.burst(max);
            self.intake.outlet.flush(&mut self.intake.accounts.drops, false);
            if self.source.has_counted() {
                self.take_counted(false);
            }
            self.settle();
            if self.control.is_stopping() {
                // Frames that the kernel already holds are taken: they were on the wire before.
                // The time begins here: the source may have kept its thread for long before it came back.
                let until = *drain_until.get_or_insert_with(|| {
                    self.source.stop();
                    (self.monotonic)() + DRAIN.0
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
                Progress::Idle if self.busy_poll => behind.caught_up(),
                Progress::Idle => {
                    idle += 1;
                    behind.caught_up();
                    if self.intake.outlet.idle_step() || idle < SPINS {
                        continue;
                    }
                    match is_called && drain_until.is_none() {
                        true => self.sleep(),
                        false => self.source.wait(self.control.wait_at(clock)),
                    }
                }
            }
        }
        // The last cut is part of an epoch that nobody has left this rx out of.
        while !self.part.join(self.intake.epoch) {
            self.intake.epoch = self.intake.epoch.next();
        }
        self.cut_live((self.monotonic)(), true);
    }

    /// Waits until something happens: a frame, or what the collector asks for.
    fn sleep(&mut self) {
        let Self { control, failed, intake, source, .. } = self;
        let is_asked = || control.asked().epoch >= intake.epoch || control.is_stopping();
        let ready = || is_asked() || failed.load(Ordering::Relaxed);
        control.bells[self.number].sleep(ready, || source.wait(LONGEST_SLEEP));
    }

    /// Makes the cut of an epoch, unless the collector has closed it without this rx. Epochs that
    /// were missed are over; what they lack is in this one.
    fn cut_asked(&mut self, epoch: Epoch, clock: u64) {
        self.intake.epoch = epoch;
        if self.part.join(epoch) {
            self.cut_live(clock, false);
        } else {
            self.intake.epoch = epoch.next();
        }
    }

    /// Takes at most `max` frames; a file's cuts are made between them as engine time passes.
    // Not inlined: one copy for files and live capture.
    #[inline(never)]
    fn burst(&mut self, max: usize) -> Progress {
        self.source.burst_into(max, &mut self.intake)
    }

    /// Tells the source which flows are settled.
    #[inline]
    fn settle(&mut self) {
        for worker in &mut self.settled {
            if let Ok(chunk) = worker.read_chunk(worker.slots().min(SETTLED_AT_ONCE)) {
                chunk.into_iter().for_each(|flow| self.source.settle(&flow));
            }
        }
    }

    /// Takes what the source counted: what comes before the next frame, or all there is.
    #[cold]
    fn take_counted(&mut self, all: bool) {
        let (intake, burst) = (&mut self.intake, self.burst);
        let mut staged = 0;
        self.source.counted(all, |counted| {
            intake.counted(counted);
            staged += 1;
            if staged == burst {
                // Many frames in one line: it is not dropped.
                intake.outlet.flush(&mut intake.accounts.drops, true);
                staged = 0;
            }
        });
        intake.outlet.flush(&mut intake.accounts.drops, true);
    }

    fn cut_live(&mut self, clock: u64, last: bool) {
        let now = self.intake.clock.monotonic(Nanos(clock.saturating_sub(self.monotonic_start)));
        if self.source.can_count() {
            self.take_counted(true);
        }
        self.cut(now, Stamp((self.wall)()), last);
    }

    /// Closes an epoch here, and sends its markers and the report.
    fn cut(&mut self, now: Nanos, wall: Stamp, last: bool) {
        let cut = Cut { epoch: self.intake.epoch, now, wall, last, last_second: false };
        let source = &mut self.source;
        self.intake.close(cut, |status, _| source.status(status));
        self.frames_before = self.intake.accounts.taken.frames;
    }

    /// Returns how many frames were taken since the last cut that did not come with their time.
    fn frames_since_cut(&self) -> u64 {
        self.intake.accounts.taken.frames - self.frames_before
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

impl<O: Outlet> Sink for Intake<O> {
    /// Takes a frame. It is written where the worker reads it.
    #[inline(always)]
    fn take(&mut self, bytes: &[u8], meta: &FrameMeta) {
        let now = self.clock.frame(meta.wall);
        if now >= self.next_cut {
            self.cut_before(now, meta.wall);
        }
        let tick = now.tick();
        let (frame, _) = self.outlet.place();
        if !meta.loopback && self.parser.plain(bytes, meta, tick, frame) {
            let hash = frame.hash;
            self.accounts.taken.add_frame(1, u64::from(meta.wire_len));
            return self.outlet.put_plain(bytes, hash);
        }
        // A copy: what is never lent can stay in registers.
        self.unusual(bytes, &{ *meta }, tick);
    }

    /// Takes a frame, and behind it a line of its own for what the file says of it.
    fn take_commented(&mut self, bytes: &[u8], meta: &FrameMeta, comment: &[u8]) {
        self.take(bytes, meta);
        self.comment(bytes, meta, comment);
    }
}

impl<O: Outlet> Intake<O> {
    /// Takes a frame of any kind.
    #[inline(never)]
    fn unusual(&mut self, bytes: &[u8], meta: &FrameMeta, tick: Tick) {
        if meta.loopback && meta.outgoing {
            return self.no_flow(Verdict::Drop(DropReason::LoopbackCopy), meta);
        }
        let (frame, wide) = self.outlet.place();
        frame.tick = tick;
        match self.parser.parse(bytes, meta, frame, wide) {
            Verdict::Flow => {
                self.accounts.taken.add_frame(u64::from(frame.segments), u64::from(frame.wire_len));
                self.outlet.put(bytes);
            }
            other => self.no_flow(other, meta),
        }
    }

    /// Tells the flow of the frame before what the file says of it.
    #[cold]
    fn comment(&mut self, bytes: &[u8], meta: &FrameMeta, comment: &[u8]) {
        // A burst has room for its frames alone.
        self.outlet.flush(&mut self.accounts.drops, true);
        let tick = self.clock.now().tick();
        let (line, wide) = self.outlet.place();
        line.tick = tick;
        if self.parser.parse(bytes, meta, line, wide) == Verdict::Flow {
            line.flags |= flag::COMMENT;
            (line.payload_at, line.payload_len) = (0, comment.len() as u32);
            self.outlet.put(comment);
            self.outlet.flush(&mut self.accounts.drops, true);
        }
    }

    /// Takes frames of a settled flow that were only counted.
    fn counted(&mut self, counted: &Counted) {
        let ago = self.clock.newest().since(counted.last);
        let tick = Nanos(self.clock.now().0.saturating_sub(ago.0)).tick();
        let (line, wide) = self.outlet.place();
        *line = counted.line(tick);
        if line.key.is_wide() {
            *wide = WideKey { ends: counted.flow.ends, ..WideKey::default() };
        }
        self.accounts.taken += counted.volume;
        self.outlet.put_bare();
    }

    /// Accounts a frame that is for no worker.
    fn no_flow(&mut self, verdict: Verdict, meta: &FrameMeta) {
        self.accounts.taken.add_frame(1, meta.wire_bytes());
        match verdict {
            Verdict::Drop(reason) => self.accounts.drops[reason] += 1,
            _ => self.accounts.not_flow.add_frame(1, meta.wire_bytes()),
        }
    }

    /// Plans a cut so that the second up to `end` lies behind it, with that moment and without the one where it begins.
    /// Called again and again: where stamps leap, time comes another way than it seemed.
    fn cut_a_second_before(&mut self, end: Stamp) {
        const SECOND: u64 = 1_000_000_000;
        let now = self.clock.now();
        let left = end.since(self.clock.newest());
        // Stamps reach to the end of what they can say.
        let begins = Nanos(now.0.saturating_add(left.0).saturating_add(1).saturating_sub(SECOND));
        if begins > now {
            self.last_second = begins;
            self.next_cut = self.next_cut.min(begins);
        }
    }

    /// Makes the cuts of a silence up to a time, as if a frame came then: what ends in it has ended.
    #[cold]
    fn stand_at(&mut self, wall: Stamp) {
        if wall <= self.clock.newest() {
            return;
        }
        let now = self.clock.frame(wall);
        if now >= self.next_cut {
            self.cut_before(now, wall);
        }
    }

    /// Makes the cuts that are due before a frame at `now`.
    #[cold]
    fn cut_before(&mut self, now: Nanos, wall: Stamp) {
        self.outlet.flush(&mut self.accounts.drops, true);
        self.together.latest.fetch_max(now.0, Ordering::AcqRel);
        while now >= self.next_cut {
            // Wall time of the cut, not of the frame behind it, which may be far ahead.
            let wall = Stamp(wall.0.saturating_sub((now - self.next_cut).0));
            let last_second = self.next_cut == self.last_second;
            let cut = Cut { epoch: self.epoch, now: self.next_cut, wall, last: false, last_second };
            self.close(cut, |report, status| report.copy_from(status));
            // Where the last second begins lies between two others.
            let last = Nanos(cut.now.0 / self.cut_interval.0 * self.cut_interval.0);
            let outlet = &self.outlet;
            self.next_cut = next_after(last, now, || outlet.quiet_until(), self.cut_interval);
            if cut.now < self.last_second {
                self.next_cut = self.next_cut.min(self.last_second);
            }
        }
        self.is_status_old = true;
    }

    /// Sends the report of a cut, in a box that the collector has read and given back, and then the
    /// markers. `status` writes what the source says of itself; it is given what it last said.
    fn close(&mut self, cut: Cut, status: impl FnOnce(&mut SourceStatus, &SourceStatus)) {
        self.report(cut, status);
        self.outlet.cut(cut);
        self.epoch = self.epoch.next();
    }

    fn report(&mut self, cut: Cut, status: impl FnOnce(&mut SourceStatus, &SourceStatus)) {
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
        status(&mut report.status, &self.status);
        self.accounts.stamps_saturated = report.status.stamps_saturated;
        report.cut = cut;
        report.accounts = self.accounts;
        // There are no more boxes than places in the ring. The collector is not woken for it: who gets the markers,
        // which come behind, reports too.
        let _ = self.to_collector.push(Message::Rx(report));
    }
}

/// Whether a live rx has been stopped, with its process or for want of a core: what came meanwhile waits in the ring, and
/// belongs before the next cut, whose epoch is as long as that was. Behind the cut it would be the rate of a moment.
#[derive(Debug, Default)]
struct Behind {
    /// When frames were looked for last, on the monotonic clock.
    looked: u64,
    /// A moment before, on that clock and in wall time.
    known: (u64, Stamp),
    since: Option<Since>,
    /// Stamps are arrival times: one tells of its frame whether it has waited.
    by_stamp: bool,
}

/// When an rx went on that had been stopped.
#[derive(Clone, Copy, Debug)]
struct Since {
    /// On the monotonic clock.
    clock: u64,
    /// A frame with a greater stamp did not wait.
    stamp: Stamp,
}

impl Behind {
    /// `by_stamp` is whether frames are stamped as they arrive, and not as they are taken.
    fn new(by_stamp: bool) -> Self {
        Self { by_stamp, ..Self::default() }
    }

    /// Called before each burst; `newest` is the newest frame's time.
    #[inline]
    fn look(&mut self, clock: u64, newest: Stamp, wall: fn() -> u64) {
        if clock.saturating_sub(self.looked) > STALL {
            self.pause(clock, newest, wall);
        } else if self.since.is_some_and(|since| {
            self.by_stamp && newest > since.stamp || clock.saturating_sub(since.clock) > CATCH_UP
        }) {
            self.since = None;
        } else if clock.saturating_sub(self.known.0) > STALL {
            self.known = (clock, Stamp(wall()));
        }
        self.looked = clock;
    }

    /// Takes note of a pause that has just ended, or of the first look.
    #[cold]
    fn pause(&mut self, clock: u64, newest: Stamp, wall: fn() -> u64) {
        let (at, before) = self.known;
        let wall = Stamp(wall());
        self.known = (clock, wall);
        if self.looked != 0 {
            // If the wall clock was set back, meanwhile or before, frames that wait may have stamps that lie ahead of it.
            let stamp = wall.max(Stamp(before.0.saturating_add(clock.saturating_sub(at)))).max(newest);
            self.since = Some(Since { clock, stamp });
        }
    }

    /// Called when no frame waits.
    #[inline]
    fn caught_up(&mut self) {
        self.since = None;
    }

    #[inline]
    const fn is_behind(&self) -> bool {
        self.since.is_some()
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

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn l18_what_waited_while_the_program_was_stopped_comes_before_the_next_cut() {
        let wall = || 1_000_000 * MS;
        let old = Stamp(999_000 * MS);
        let mut behind = Behind::new(true);
        let look = |behind: &mut Behind, ms: u64, newest: Stamp| {
            behind.look(ms * MS, newest, wall);
            behind.is_behind()
        };
        assert!(!look(&mut behind, 5_000, old), "the first look is no pause");
        assert!(!look(&mut behind, 5_100, old) && !look(&mut behind, 5_400, old));
        // Until nothing waits any more,
        assert!(look(&mut behind, 15_400, old) && look(&mut behind, 15_401, old));
        behind.caught_up();
        assert!(!look(&mut behind, 15_402, old));
        // a frame comes that did not wait,
        assert!(look(&mut behind, 25_000, old) && !look(&mut behind, 25_001, Stamp(wall() + 60_000 * MS)));
        // or it takes too long.
        assert!(look(&mut behind, 35_000, old) && look(&mut behind, 35_200, old));
        assert!(!look(&mut behind, 35_201, old));
    }

    #[test]
    fn stamps_that_are_no_arrival_times_or_of_a_clock_set_back_do_not_end_it() {
        // Stamped as they are taken.
        let mut behind = Behind::new(false);
        let wall = || 1_000_000 * MS;
        behind.look(5_000 * MS, Stamp(999_000 * MS), wall);
        behind.look(15_000 * MS, Stamp(999_000 * MS), wall);
        behind.look(15_001 * MS, Stamp(1_100_000 * MS), wall);
        assert!(behind.is_behind(), "until nothing waits");
        behind.look(15_201 * MS, Stamp(1_100_000 * MS), wall);
        assert!(!behind.is_behind(), "or it takes too long");
        // Set back by a minute while the program was stopped, after 5 s of 10.
        let mut behind = Behind::new(true);
        behind.look(5_000 * MS, Stamp(1_000_000 * MS), || 1_000_000 * MS);
        behind.look(15_000 * MS, Stamp(1_000_000 * MS), || 950_000 * MS);
        behind.look(15_001 * MS, Stamp(1_005_000 * MS), || 950_000 * MS);
        assert!(behind.is_behind(), "it waited");
        behind.caught_up();
        // Set back before: no stamp reaches the newest one.
        behind.look(25_000 * MS, Stamp(1_005_000 * MS), || 960_000 * MS);
        behind.look(25_001 * MS, Stamp(1_005_000 * MS), || 960_000 * MS);
        assert!(behind.is_behind());
    }
}
