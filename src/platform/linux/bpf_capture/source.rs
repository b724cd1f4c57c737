//! The source: merges the rings of all CPUs by time, and keeps the programs in step with the interfaces.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "ppoll, and a promise of how long frames stay")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "start-up, and changes of interfaces: off the packet path"
)]

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    counting::Books,
    doorbell::Doorbell,
    programs::{Attached, Programs, Settings, Tallied},
    ring::Reader,
    tallies::MOST_PLACES,
};
use crate::{
    base::{
        call::Caller,
        ids::IfaceId,
        time::{Nanos, Stamp},
    },
    capture::source::{Clock, InterfaceState, Progress, Sink, Source, SourceStatus},
    packet::settled::{Counted, Settled},
    platform::{
        interface::InterfaceError,
        linux::{
            af_packet::{face::Faces, registry::Registry, socket::PacketSocket},
            alarm::Alarm,
            clock, interfaces, link, privileges,
        },
        live::{Live, LiveConfig, Method, OpenError, RingConfig, Watch},
    },
};

/// A record is there this long after its stamp, ns: the program stamps first, then copies.
const LAG: u64 = 20_000;
/// After the programs are off, one that was running has ended after this time, ns.
const LAST_RUN: u64 = 5_000_000;
/// What has come is looked for so often at most, ns: a look takes a line away from the CPU that writes it,
/// and few frames at a time cost more each.
const REST: u64 = 200_000;
/// How long an idle reader sleeps, ns: twice as long each time. Nothing wakes it; the rings hold for longer. Behind the
/// longest nap it has the programs wake it; if they woke it for nothing it first takes half of that nap once more.
const SHORTEST_NAP: u64 = 1_000_000;
const LONGEST_NAP: u64 = 8_000_000;
/// Bytes of one CPU's ring.
const SMALLEST_RING: usize = 128 << 10;
const LARGEST_RING: usize = 16 << 20;
/// Settled flows of all sources together: 7 MB. One in 7 finds its set full when there are as many, one in 100 at
/// half of that; and no more than one source can have.
const PLACES: usize = MOST_PLACES;
/// A link's traffic comes in on so many CPUs at least, as far as memory for rings goes.
const BUSY_CPUS: usize = 4;

/// Opens the capture for `threads` rx threads.
///
/// # Errors
/// See [`OpenError`].
pub fn open(config: &LiveConfig, threads: usize) -> Result<Live<BpfSource>, OpenError> {
    if config.filter.is_some() {
        return Err(OpenError::NoMethod("bpf together with --bpf-filter (use --capture af-packet)"));
    }
    let names = match &config.watch {
        Watch::Any => Vec::new(),
        Watch::Named(all) => {
            let mut names: Vec<String> = Vec::new();
            // A name twice would count every frame twice.
            for name in all {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            names
        }
    };
    let registry = Registry::new(&names).map_err(|(name, source)| match source.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => {
            let known = interfaces::interfaces().unwrap_or_default();
            OpenError::from(InterfaceError::Unknown { name, known })
        }
        _ => OpenError::Refused { attempt: format!("look at {name}"), source },
    })?;
    let threads = threads.max(1);
    let mut notes = Vec::new();
    let mut programs = load(config, &names, threads, &mut notes)?;
    let reason = cost(&programs, config.method);
    if config.promiscuous && config.watch == Watch::Any {
        notes.push("promiscuous mode needs named interfaces: not set".to_owned());
    }
    let (rings, cpus) = (Arc::clone(&programs.rings), programs.cpus);
    let tallies = std::mem::take(&mut programs.tallies);
    let readers = |thread| (0..cpus).map(|cpu| Reader::new(&rings, cpu * threads + thread)).collect();
    let registry = Arc::new(registry);
    if config.watch == Watch::Any {
        interfaces::indices().into_iter().for_each(|index| {
            registry.resolve(index);
        });
    }
    let sources: Vec<Vec<Reader>> = (0..threads).map(readers).collect();
    let shared = Arc::new(Shared {
        registry: Arc::clone(&registry),
        watch: config.watch.clone(),
        promiscuous: config.promiscuous,
        hears_all: config.method == Method::Auto,
        doorbell: programs.doorbell(threads),
        hung: Mutex::new(Hung {
            on: Vec::new(),
            off: Vec::new(),
            promiscuous: Vec::new(),
            programs,
            is_over: false,
        }),
    });
    // All at once, when everything is there to take what comes.
    shared.follow(true).map_err(|e| refused("attach the capture programs", e))?;
    let mut books = tallies.into_iter().map(Books::new);
    let sources = sources.into_iter().enumerate();
    let sources =
        sources.map(|(thread, readers)| BpfSource::new(&shared, thread, readers, books.next())).collect();
    Ok(Live { sources, notes, reason })
}

/// Loads the programs, and takes them away again. Returns whether they count, notes, and what they cost.
///
/// # Errors
/// See [`OpenError`].
pub fn try_here() -> Result<(bool, Vec<String>, Option<String>), OpenError> {
    let ring = RingConfig { block_size: SMALLEST_RING, blocks: 1, ..RingConfig::default() };
    let config = LiveConfig { ring: Some(ring), ..LiveConfig::new(Watch::Any) };
    let mut notes = Vec::new();
    let programs = load(&config, &[], 1, &mut notes)?;
    Ok((!programs.tallies.is_empty(), notes, cost(&programs, config.method)))
}

/// Measures the program, and says in words what it costs.
fn cost(programs: &Programs, method: Method) -> Option<String> {
    let cost = programs.measure().ok()?.as_nanos();
    let settled = match programs.tallies.is_empty() {
        false => "settled flows are counted in the kernel, and ",
        true => "",
    };
    let why = match method {
        Method::Auto => "bpf: costs the host less than packet sockets",
        _ => "bpf was asked for",
    };
    Some(format!("{why}: {settled}its program takes {cost} ns for a small frame here"))
}

/// Loads the programs with as much room as the memory has.
fn load(
    config: &LiveConfig,
    names: &[String],
    threads: usize,
    notes: &mut Vec<String>,
) -> Result<Programs, OpenError> {
    let cpus = libbpf_rs::num_possible_cpus().unwrap_or(1);
    let mut ring_bytes = match config.ring {
        Some(ring) => ring.block_size.saturating_mul(ring.blocks),
        None => {
            let ring = RingConfig::for_link(interfaces::fastest_link(names));
            let bytes = ring.block_size * ring.blocks;
            bytes.min(BUSY_CPUS * bytes / (cpus * threads))
        }
    };
    ring_bytes = ring_bytes.clamp(SMALLEST_RING, LARGEST_RING).next_power_of_two();
    let mut tallied = tallied(config);
    loop {
        let settings = Settings {
            ring_bytes,
            snap: config.snap,
            threads,
            seed: config.seed,
            tallied,
            places: PLACES / threads.next_power_of_two(),
        };
        match Programs::load(&settings) {
            Ok(programs) => return Ok(programs),
            Err(e) if is_room(&e) && ring_bytes > SMALLEST_RING => ring_bytes /= 2,
            // Older kernels lack what it takes (a coarse clock, additions that tell what was there: 5.12), or do not see
            // that it is safe: then, too, the answer is EACCES.
            Err(e) if tallied.any() && privileges::check_capture().is_ok() => {
                notes.push(format!("settled flows are captured, not counted in the kernel: {e}"));
                tallied = Tallied::default();
            }
            Err(e) => return Err(refused("load the capture programs", e)),
        }
    }
}

/// Returns which settled flows the programs count: none where a reader's stores could overtake each other.
fn tallied(config: &LiveConfig) -> Tallied {
    let tally = config.tally;
    if cfg!(not(any(target_arch = "x86_64", target_arch = "x86"))) {
        return Tallied::default();
    }
    let bit = |is_on, bit| if is_on { bit } else { 0 };
    Tallied(bit(tally.udp, Tallied::UDP) | bit(tally.tcp, Tallied::TCP) | bit(tally.tagged, Tallied::TAGGED))
}

/// Whether less memory might be granted; kernels before 6.0 have no value above 4 MB.
fn is_room(error: &io::Error) -> bool {
    let text = error.to_string();
    matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::E2BIG))
        || text.contains("Argument list too long")
        || text.contains("Cannot allocate memory")
}

fn refused(attempt: &str, source: io::Error) -> OpenError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if privileges::check_capture().is_err() => {
            OpenError::NotAllowed(privileges::refusal())
        }
        Some(libc::EPERM | libc::EACCES) => OpenError::NotAllowed(format!(
            "cannot {attempt}: the kernel wants CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (sudo, or setcap \
             cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon=eip); --capture af-packet needs CAP_NET_RAW only"
        )),
        _ => OpenError::Refused { attempt: attempt.to_owned(), source },
    }
}

/// What the sources of a capture have in common.
struct Shared {
    registry: Arc<Registry>,
    watch: Watch,
    promiscuous: bool,
    /// An interface whose links the programs cannot read is an error at the start: another way would hear it.
    hears_all: bool,
    doorbell: Option<Doorbell>,
    hung: Mutex<Hung>,
}

/// Programs, and where they hang. In this order, so that they are taken off before they are unloaded.
struct Hung {
    on: Vec<(u32, [Attached; 2])>,
    /// Interfaces that are there and cannot be watched, and when that was seen first.
    off: Vec<(u32, IfaceId, Stamp)>,
    /// Sockets that keep interfaces promiscuous.
    promiscuous: Vec<(u32, PacketSocket)>,
    programs: Programs,
    is_over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Hung> {
        self.hung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hangs programs on interfaces that are there now, and forgets those that are gone. `strict`: an
    /// interface that cannot be watched is an error; else it is said to be unwatched, and tried again when a link
    /// changes.
    fn follow(&self, strict: bool) -> io::Result<()> {
        let mut hung = self.lock();
        if hung.is_over {
            return Ok(());
        }
        let wanted: Vec<u32> = match &self.watch {
            Watch::Any => interfaces::indices(),
            Watch::Named(names) => {
                names.iter().filter_map(|n| link::index_of(self.registry.as_fd(), n).ok()).collect()
            }
        };
        let there = interfaces::indices();
        // There is always one: none means that the kernel did not answer.
        if there.is_empty() {
            return Ok(());
        }
        // What was renamed stays watched, as a packet socket stays bound.
        hung.on.retain(|(index, _)| there.contains(index));
        hung.promiscuous.retain(|(index, _)| there.contains(index));
        hung.off.retain(|(index, ..)| there.contains(index));
        for index in wanted {
            if hung.on.iter().any(|(i, _)| *i == index) {
                continue;
            }
            match self.hang(&mut hung, index) {
                // An interface that has gone meanwhile.
                Err(e) if e.raw_os_error() == Some(libc::ENODEV) => {}
                // Of all interfaces, those whose links the programs cannot read are left out.
                Err(e) if strict && !self.may_leave_out(&e) => return Err(e),
                Err(_) if hung.off.iter().any(|(i, ..)| *i == index) => {}
                Err(_) => {
                    let (iface, _) = self.registry.resolve(index);
                    hung.off.push((index, iface, Stamp(clock::wall())));
                }
                Ok(()) => hung.off.retain(|(i, ..)| *i != index),
            }
        }
        Ok(())
    }

    fn may_leave_out(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::Unsupported && self.watch == Watch::Any && !self.hears_all
    }

    fn hang(&self, hung: &mut Hung, index: u32) -> io::Result<()> {
        let name = link::name_of(self.registry.as_fd(), index)?;
        let hatype = link::hatype_of(self.registry.as_fd(), &name)?;
        let attached = hung.programs.attach(index, hatype)?;
        hung.on.push((index, attached));
        if self.promiscuous && self.watch != Watch::Any {
            let socket = PacketSocket::new()?;
            socket.set_promiscuous(index)?;
            hung.promiscuous.push((index, socket));
        }
        Ok(())
    }

    /// Takes all programs off, for good.
    fn take_off(&self) {
        let mut hung = self.lock();
        hung.is_over = true;
        hung.on.clear();
        hung.promiscuous.clear();
    }
}

/// One rx thread's share of a live capture.
pub struct BpfSource {
    shared: Arc<Shared>,
    thread: usize,
    faces: Faces,
    /// One for each CPU.
    readers: Vec<Reader>,
    /// Settled flows, if the programs count them.
    books: Option<Books>,
    /// Wall time less monotonic time, ns.
    wall_offset: u64,
    nap: u64,
    /// When the rings were looked at, monotonic, and up to which stamp everything was there then.
    looked: u64,
    horizon: u64,
    /// Ends a wait; without a descriptor for it nobody is called.
    alarm: Option<Arc<Alarm>>,
    /// When the programs were taken off, monotonic.
    stopped: Option<u64>,
}

impl BpfSource {
    fn new(shared: &Arc<Shared>, thread: usize, readers: Vec<Reader>, books: Option<Books>) -> Self {
        Self {
            shared: Arc::clone(shared),
            thread,
            faces: Faces::new(Arc::clone(&shared.registry)),
            readers,
            books,
            wall_offset: wall_offset(),
            nap: SHORTEST_NAP,
            looked: 0,
            horizon: 0,
            alarm: Alarm::new().ok().map(Arc::new),
            stopped: None,
        }
    }

    /// Returns the reader with the earliest record, and the stamp of the earliest in all others.
    #[inline]
    fn earliest(&self) -> Option<(usize, u64)> {
        let (mut first, mut at, mut second) = (None, u64::MAX, u64::MAX);
        for (n, reader) in self.readers.iter().enumerate() {
            let Some((record, _)) = reader.peek() else { continue };
            if record.at < at || first.is_none() {
                (first, second, at) = (Some(n), at, record.at);
            } else {
                second = second.min(record.at);
            }
        }
        first.map(|n| (n, second))
    }

    /// Looks what has come, unless that was just done. Returns whether it was.
    fn look(&mut self) -> bool {
        // The clock first: whatever was stamped before the horizon is seen by the look.
        let now = clock::monotonic();
        if self.stopped.is_none() && now < self.looked + REST {
            return false;
        }
        self.looked = now;
        self.horizon = if self.stopped.is_some() { u64::MAX } else { now.saturating_sub(LAG) };
        self.readers.iter_mut().for_each(Reader::look);
        if let Some(books) = &mut self.books {
            // A note that found no room came before all that this look sees.
            books.found_no_room(self.readers.iter().map(Reader::untold).sum());
        }
        true
    }

    /// Whether its next record is there for sure, as are all that come before it.
    fn can_hand_out(&self, reader: &Reader) -> bool {
        reader.peek().is_some_and(|(record, _)| record.at <= self.horizon)
    }

    /// Hands out at most `max` frames of those that the last look has seen, by time.
    #[inline]
    fn hand_out(&mut self, max: usize, sink: &mut impl Sink) -> usize {
        let mut handed = 0;
        while handed < max {
            let Some((first, second)) = self.earliest() else { break };
            let reader = &mut self.readers[first];
            let (limit, mut is_stuck) = (second.min(self.horizon), true);
            while handed < max {
                let Some((record, size)) = reader.peek() else { break };
                if record.at > limit {
                    break;
                }
                is_stuck = false;
                reader.prefetch(size);
                if let Some(note) = record.note() {
                    reader.advance(size);
                    let Some(books) = &mut self.books else { continue };
                    books.note(note);
                    if books.is_urgent() {
                        return handed;
                    }
                    continue;
                }
                let frame = record.frame(self.wall_offset);
                let (skip, meta) = self.faces.meta(&frame, None);
                sink.take(&frame.bytes[skip..], &meta);
                reader.advance(size);
                handed += 1;
            }
            if is_stuck {
                break;
            }
        }
        handed
    }

    fn tend(&mut self) {
        self.wall_offset = wall_offset();
        self.shared.registry.refresh();
        if self.faces.refresh() && self.stopped.is_none() {
            // What cannot be watched now is tried again when a link changes.
            let _ = self.shared.follow(false);
        }
    }

    /// Sleeps for so many ns, or until the bell rings or somebody calls.
    fn nap_for(&self, nanos: u64, bell: Option<&Doorbell>) -> Woken {
        const SECOND: u64 = 1_000_000_000;
        let time = libc::timespec {
            tv_sec: (nanos / SECOND) as libc::time_t,
            tv_nsec: (nanos % SECOND) as libc::c_long,
        };
        // (A negative descriptor is left out.)
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let [all, own] = bell.map_or([-1; 2], |bell| bell.as_raw_fds(self.thread));
        let called = self.alarm.as_ref().map_or(-1, |alarm| alarm.as_raw_fd());
        let mut fds = [entry(self.shared.registry.as_raw_fd()), entry(all), entry(own), entry(called)];
        // SAFETY: four entries and the timespec are valid during the call.
        unsafe { libc::ppoll(fds.as_mut_ptr(), 4, &raw const time, std::ptr::null()) };
        let [changed, rang, passed_on, is_called] = fds.map(|entry| entry.revents != 0);
        if let Some(alarm) = &self.alarm
            && is_called
        {
            alarm.silence();
        }
        if let Some(bell) = bell {
            bell.get_up(self.thread);
            if rang {
                bell.hear(self.thread);
            }
            if passed_on {
                bell.heard(self.thread);
            }
        }
        Woken { changed, rang: rang || passed_on, is_called }
    }

    fn is_drained(&self) -> bool {
        self.readers.iter().all(|r| !r.is_ready())
    }
}

/// What ended a nap.
struct Woken {
    /// A link has changed.
    changed: bool,
    /// The bell has rung, for this thread or another one.
    rang: bool,
    /// Somebody has called.
    is_called: bool,
}

fn wall_offset() -> u64 {
    clock::wall().wrapping_sub(clock::monotonic())
}

// SAFETY: records are given back to the programs by the next `burst` or `wait` only, and the rings' map
// lives as long as a reader.
unsafe impl Source for BpfSource {
    fn clock(&self) -> Clock {
        Clock::Live
    }

    fn stamps_arrivals(&self) -> bool {
        true
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        self.readers.iter_mut().for_each(Reader::release);
        let (mut handed, mut is_new) = (0, true);
        while handed == 0 && is_new && !self.has_counted() {
            // NB: in one place, so that `each`, which is large, becomes part of the loop.
            handed = self.hand_out(max, sink);
            is_new = handed == 0 && self.look() && self.readers.iter().any(|r| self.can_hand_out(r));
        }
        if handed > 0 || self.has_counted() {
            self.nap = SHORTEST_NAP;
            return Progress::Frames;
        }
        match self.stopped {
            Some(at) if self.is_drained() && clock::monotonic() > at + LAST_RUN => Progress::End,
            _ => Progress::Idle,
        }
    }

    /// Naps until a look finds something, or until it is woken.
    fn wait(&mut self, timeout: Nanos) {
        self.readers.iter_mut().for_each(Reader::release);
        if self.faces.is_old() {
            // Another thread was told of a link's change.
            return self.tend();
        }
        let end = clock::monotonic() + timeout.0;
        loop {
            let left = end.saturating_sub(clock::monotonic());
            if left == 0 {
                return;
            }
            let bell = self.shared.doorbell.as_ref().filter(|_| self.nap >= LONGEST_NAP);
            let mut nap = left.min(self.nap);
            self.nap = (self.nap * 2).min(LONGEST_NAP);
            if let Some(bell) = bell {
                bell.lie_down(self.thread);
                self.readers.iter().for_each(|reader| reader.ask_to_be_woken(true));
                self.readers.iter_mut().for_each(Reader::look);
                nap = if self.is_drained() { left } else { 0 };
            }
            let woken = self.nap_for(nap, bell);
            if bell.is_some() {
                self.readers.iter().for_each(|reader| reader.ask_to_be_woken(false));
            }
            if woken.changed || self.faces.is_old() {
                return self.tend();
            }
            if woken.is_called {
                return;
            }
            self.look();
            if !self.is_drained() {
                return;
            }
            if woken.rang {
                // For another thread, or before this one had asked.
                self.nap = LONGEST_NAP / 2;
            }
        }
    }

    fn caller(&self) -> Option<Caller> {
        self.alarm.as_ref().map(Alarm::caller)
    }

    fn can_count(&self) -> bool {
        self.books.is_some()
    }

    fn settle(&mut self, flow: &Settled) {
        let Some(books) = &mut self.books else { return };
        // (Of a loopback's frames, half are left out elsewhere.)
        if let Some(index) = self.shared.registry.index(flow.iface)
            && !self.shared.registry.is_loopback(flow.iface)
        {
            books.settle(flow, index, self.looked);
        }
    }

    #[inline]
    fn has_counted(&self) -> bool {
        self.books.as_ref().is_some_and(Books::is_urgent)
    }

    fn counted<F: FnMut(&Counted)>(&mut self, all: bool, mut each: F) {
        let Self { books: Some(books), faces, .. } = self else { return };
        let mut each = |counted: &Counted, packet_type: u8| {
            faces.count(counted.flow.iface, counted.volume.frames, packet_type);
            each(counted);
        };
        if all {
            let untold = self.readers.iter().map(Reader::untold).sum();
            let last = self.stopped.is_some();
            books.hand_out_all(self.wall_offset, clock::monotonic(), untold, last, &mut each);
        } else {
            books.hand_out_urgent(self.wall_offset, &mut each);
        }
    }

    fn stop(&mut self) {
        self.shared.take_off();
        self.stopped.get_or_insert_with(clock::monotonic);
    }

    fn status(&mut self, out: &mut SourceStatus) {
        if self.stopped.is_none() {
            self.tend();
        }
        *out = SourceStatus {
            method: "bpf",
            interfaces: std::mem::take(&mut out.interfaces),
            ..SourceStatus::default()
        };
        self.shared.registry.report(&mut out.interfaces);
        for (_, iface, since) in &self.shared.lock().off {
            if let Some(interface) = out.interfaces.get_mut(usize::from(iface.0))
                && !matches!(interface.state, InterfaceState::Gone(_))
            {
                interface.state = InterfaceState::Unwatched(*since);
            }
        }
        for reader in &self.readers {
            let (frames, lost) = reader.counts();
            out.kernel_frames += frames;
            out.kernel_drops += lost;
        }
        self.faces.report(&mut out.interfaces);
        out.other_host_frames = self.faces.other_host_frames();
        out.counting = self.books.as_ref().map(Books::counting);
    }
}
