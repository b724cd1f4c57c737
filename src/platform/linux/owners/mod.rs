//! Owners of sockets on Linux: BPF programs that tell who uses a socket the moment it happens, else
//! sock_diag and `/proc`.
//!
//! ```text
//!   programs ──ring──▶ drain ─┐
//!                             ├─▶ registry ◀── find (collector, at a cut)
//!   thread "owners": passes ──┤
//!             translations ───┘
//! ```
//!
//! The thread drains the ring, because who is asked about soon may be gone soon, and passes over all
//! sockets when the collector asks for it: some flow has no owner. How often follows from what a pass
//! costs. While nothing is told it sleeps, and has the programs wake it with the next event. Without BPF there are
//! no events, so new sockets are looked for all the time, in small steps.

#[cfg(feature = "bpf")]
mod bpf;
#[cfg(not(feature = "bpf"))]
#[path = "no_bpf.rs"]
mod bpf;
mod cgroups;
#[cfg(feature = "bpf")]
mod connects;
mod conntrack;
#[cfg_attr(not(feature = "bpf"), allow(dead_code, reason = "what BPF tells"))]
mod events;
pub mod listening;
mod netlink;
mod places;
pub(super) mod procfs;
pub(super) mod sock_diag;
mod survey;
mod tables;
mod users;
#[cfg_attr(not(feature = "bpf"), allow(dead_code, reason = "what BPF tells"))]
pub(super) mod why;

use std::{
    collections::HashMap,
    os::fd::RawFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use self::{
    bpf::{Bpf, PassReader},
    cgroups::Cgroups,
    conntrack::Conntrack,
    events::{Event, ProcessEvent, SocketEvent},
    procfs::Procfs,
    survey::{Holders, Survey},
    why::Facts,
};
use super::{alarm::Alarm, clock, interfaces};
use crate::{
    base::{ids::FlowId, time::Nanos},
    platform::OwnerMethod,
    process::{
        container::{container, group},
        identity::{Process, ProcessFacts, ProcessId},
        lookup::{Asked, OwnerStatus, Owners},
        owner::Owner,
        registry::Registry,
        socket::{Netns, Pass, Seen, SocketId},
    },
};

/// How often the ring is drained while something is told.
const DRAIN: Duration = Duration::from_millis(10);
/// Drains without an event after which the thread lets the programs wake it, and how long it sleeps then.
const QUIET_ROUNDS: u32 = 5;
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// How often the kernel is asked what was lost: a dozen calls.
const LOST: Duration = Duration::from_millis(100);
/// Pauses between passes are at least this, and so many times what the last one took: by the clock where
/// events tell the rest, in this thread's own work where passes are all there is.
const PASS_PAUSE: Duration = Duration::from_millis(100);
const PASS_SHARE: u32 = 20;
const LONE_PASS_PAUSE: Duration = Duration::from_millis(30);
const LONE_PASS_SHARE: u32 = 10;
/// A pass comes at least so often: what closes without a word is forgotten.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Sockets that may come before a pass clears up.
const GROWTH: usize = 16_384;
/// Sockets that wait for their process to be told.
const MOST_WAITING: usize = 65_536;
/// Questions about translated connections that are asked between two drains, and with a pass: a thousand take
/// 4 ms.
const MOST_QUESTIONS: usize = 64;
const MOST_QUESTIONS_OF_PASS: usize = 4096;
/// What is added to the parts of the method once it is used.
const CONNTRACK: &str = ", conntrack";
/// New network namespaces whose addresses are read at once.
const MOST_PLACES: usize = 8;
/// How long the addresses of namespaces are believed; after that a pass reads them again.
const PLACES_FRESH: Duration = Duration::from_secs(5);
/// How long a caller waits for a pass.
const PATIENCE: Duration = Duration::from_millis(300);
/// The first pid namespace (include/linux/proc_ns.h): only there our `/proc` has the numbers that
/// programs in the kernel see.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Starts to look for owners; sockets that are there already are known when it returns.
pub fn open(method: OwnerMethod) -> Box<dyn Owners> {
    let proc = Procfs::new();
    let own_netns = Netns(proc.netns(std::process::id()).unwrap_or(0));
    let facts = Facts::gather(proc.is_hidden());
    let (bpf, refusal) = match method {
        OwnerMethod::Proc => (None, None),
        OwnerMethod::Auto | OwnerMethod::Bpf => match Bpf::start() {
            Ok(bpf) => (Some(bpf), None),
            Err(error) => (None, Some(Bpf::refusal(&facts, &error))),
        },
    };
    let mut status = status(bpf.as_ref(), refusal, &facts);
    let alarm = Alarm::new().map_err(|error| {
        status.reason.get_or_insert_with(|| format!("nothing wakes who looks for owners: {error}"));
        status.remedy.get_or_insert_with(|| "ulimit -n 1024".to_owned());
    });
    let alarm = alarm.ok();
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            registry: Registry::new(own_netns),
            sees_pids: std::fs::read_link("/proc/self/ns/pid").is_ok_and(|l| l == *INITIAL_PID_NAMESPACE),
            cgroups: Cgroups::default(),
            early: HashMap::new(),
            bpf,
            proc,
            status,
            refused: None,
            pass_wanted: false,
            stopping: false,
            quiet_rounds: 0,
            asked: None,
            is_asleep: false,
            asked_lost: Instant::now(),
            offset: 0,
            tick: clock::tick(),
        }),
        changed: Condvar::new(),
        alarm,
    });
    let mut tools = Tools {
        survey: Survey::new(own_netns),
        conntrack: Conntrack::default(),
        proc: Procfs::new(),
        placed: None,
    };
    shared.pass(&mut tools, true);
    let thread = {
        let shared = Arc::clone(&shared);
        thread::Builder::new().name("owners".into()).spawn(move || shared.run(&mut tools)).ok()
    };
    Box::new(LinuxOwners { shared, thread })
}

fn status(bpf: Option<&Bpf>, refusal: Option<why::Why>, facts: &Facts) -> OwnerStatus {
    let mut status = OwnerStatus::default();
    match bpf {
        Some(bpf) => {
            status.method = "bpf";
            status.parts = bpf.parts();
            (status.reason, status.remedy) = bpf.missing().unzip();
        }
        None => {
            status.method = "proc";
            status.parts = "sock_diag, /proc".into();
            (status.reason, status.remedy) = refusal.or_else(|| facts.proc_limits()).unzip();
        }
    }
    status
}

/// What the collector holds.
struct LinuxOwners {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Owners for LinuxOwners {
    fn drain(&mut self) {
        let mut state = self.shared.lock();
        // NB: the event that was to wake the thread may be among these.
        if state.drain() {
            self.shared.wake(state);
        }
    }

    fn find(&mut self, flow: &Asked) -> Option<Arc<Owner>> {
        let mut state = self.shared.lock();
        let first = Nanos(flow.first.0.saturating_sub(state.offset));
        let owner = state.registry.find(flow, first);
        if state.registry.has_questions() {
            self.shared.wake(state);
        }
        owner
    }

    fn look_again(&mut self, wait: bool) {
        let mut state = self.shared.lock();
        state.pass_wanted = true;
        let passes = state.status.passes;
        self.shared.ring();
        if wait {
            let until = |s: &mut State| s.status.passes == passes;
            drop(self.shared.changed.wait_timeout_while(state, PATIENCE, until));
        }
    }

    fn changed(&mut self, into: &mut Vec<FlowId>) {
        self.shared.lock().registry.changed(into);
    }

    fn status(&self) -> OwnerStatus {
        let mut state = self.shared.lock();
        state.ask_lost();
        let mut status = state.status.clone();
        if let (None, Some((reason, remedy))) = (&status.reason, &state.refused) {
            (status.reason, status.remedy) = (Some(reason.clone()), Some(remedy.clone()));
        }
        status
    }
}

impl Drop for LinuxOwners {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Shared {
    state: Mutex<State>,
    /// A pass is over.
    changed: Condvar,
    /// Wakes the thread. None: no descriptor was left for it, and the thread comes with every drain's time.
    alarm: Option<Alarm>,
}

/// What the thread looks with.
struct Tools {
    survey: Survey,
    conntrack: Conntrack,
    proc: Procfs,
    /// When the addresses of all namespaces were read last.
    placed: Option<Instant>,
}

/// Everything that is known, under one lock that is held for short.
struct State {
    registry: Registry,
    /// Sockets whose process was told later than themselves, or not at all.
    early: HashMap<ProcessId, Vec<SocketEvent>>,
    bpf: Option<Bpf>,
    proc: Procfs,
    cgroups: Cgroups,
    /// Numbers of processes mean the same to the kernel's programs and in our `/proc`.
    sees_pids: bool,
    status: OwnerStatus,
    /// Why translated connections are not looked up.
    refused: Option<why::Why>,
    pass_wanted: bool,
    stopping: bool,
    /// Drains of the thread since the last event.
    quiet_rounds: u32,
    /// When the thread asked to be woken, if nothing was drained and it has asked in every round since.
    asked: Option<Instant>,
    /// The thread waits for more than a drain's time.
    is_asleep: bool,
    /// When it was last asked what was lost.
    asked_lost: Instant,
    /// Wall clock minus monotonic clock.
    offset: u64,
    /// The kernel's tick, in ns.
    tick: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the thread come by if it sleeps.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        if std::mem::take(&mut state.is_asleep) {
            drop(state);
            self.ring();
        }
    }

    fn ring(&self) {
        if let Some(alarm) = &self.alarm {
            alarm.ring();
        }
    }

    /// The thread.
    fn run(&self, tools: &mut Tools) {
        let mut next_pass = Instant::now() + PASS_PAUSE;
        let mut latest = Instant::now() + LONGEST_PAUSE;
        let mut size = self.lock().registry.len();
        loop {
            let (pause, events) = self.lock().pause(next_pass, latest);
            match &self.alarm {
                Some(alarm) => alarm.wait(events, pause),
                None => thread::sleep(pause.min(DRAIN)),
            }
            let mut state = self.lock();
            state.is_asleep = false;
            if state.stopping {
                return;
            }
            if !state.drain() {
                state.quiet_rounds = state.quiet_rounds.saturating_add(1);
            }
            let now = Instant::now();
            let has_events = state.bpf.as_ref().is_some_and(Bpf::has_events);
            let grown = state.registry.len() > 2 * size + GROWTH;
            let wanted = state.pass_wanted || grown || !has_events || now >= latest;
            drop(state);
            self.place(tools, false);
            self.translate(tools, MOST_QUESTIONS);
            if wanted && now >= next_pass {
                let before = clock::worked();
                self.pass(tools, false);
                let pause = match has_events {
                    true => PASS_PAUSE.max(now.elapsed() * PASS_SHARE),
                    false => {
                        let worked = Duration::from_nanos(clock::worked().saturating_sub(before));
                        LONE_PASS_PAUSE.max(worked * LONE_PASS_SHARE)
                    }
                };
                next_pass = Instant::now() + pause;
                latest = Instant::now() + LONGEST_PAUSE;
                size = self.lock().registry.len();
            }
        }
    }

    /// Looks at all sockets.
    fn pass(&self, tools: &mut Tools, is_first: bool) {
        let begun = Instant::now();
        let started = Nanos(clock::monotonic());
        let survey = &mut tools.survey;
        let (reader, wanted) = {
            let mut state = self.lock();
            let wanted = std::mem::take(&mut state.pass_wanted);
            (state.bpf.as_ref().and_then(Bpf::pass), wanted)
        };
        let is_bpf = reader.is_some();
        let (events, found) = thread::scope(|scope| {
            let events = scope.spawn(|| reader.map(PassReader::read).unwrap_or_default());
            // What has no process has a user at least; that can wait for the second pass.
            let found = if !is_bpf || wanted { survey.sockets() } else { Vec::new() };
            (events.join().unwrap_or_default(), found)
        });
        let holders = match is_bpf {
            true => Holders::default(),
            false => {
                let settled = {
                    let state = self.lock();
                    let inodes = found.iter().map(|(_, socket)| socket.inode);
                    inodes.filter(|inode| state.registry.has_holder(SocketId(*inode))).collect()
                };
                survey.holders(&found, &settled)
            }
        };
        let mut state = self.lock();
        state.drain();
        let mut pass = Pass { started, seen: Vec::new() };
        for event in events {
            state.take_in(event, Some(&mut pass.seen));
        }
        match is_bpf {
            true => pass.seen.extend(
                survey.without_process(&found, started, |tuple, netns| state.registry.knows(tuple, netns)),
            ),
            false => {
                state.learn_holders(&holders);
                let State { registry, .. } = &mut *state;
                pass.seen.extend(survey.seen(&found, &holders.pairs, started, &registry.processes));
            }
        }
        state.registry.pass(pass);
        match &holders.living {
            Some(living) if !holders.is_whole => state.bury(started, |_, id| living.contains(&id.pid)),
            // By its start too: a pid may have come again.
            Some(_) => state.bury(started, |proc, id| proc.stat(id.pid).is_some_and(|stat| stat.id == id)),
            None if is_bpf && !state.bpf.as_ref().is_some_and(Bpf::tells_exits) => {
                state.bury(started, |proc, id| proc.stat(id.pid).is_some_and(|stat| stat.id == id));
            }
            None => {}
        }
        drop(state);
        let is_stale = tools.placed.is_none_or(|at| at.elapsed() > PLACES_FRESH);
        self.place(tools, is_stale);
        self.translate(tools, MOST_QUESTIONS_OF_PASS);
        let mut state = self.lock();
        state.status.passes += 1;
        state.status.pass_ns = begun.elapsed().as_nanos() as u64;
        if is_first {
            state.status.first_pass_ns = state.status.pass_ns;
            state.pass_wanted = is_bpf;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Asks what connections without a certain owner were before they were translated.
    fn translate(&self, tools: &mut Tools, most: usize) {
        let questions = self.lock().registry.questions(most);
        if questions.is_empty() {
            return;
        }
        let mut drained = Instant::now();
        let answers = tools.conntrack.translate(&questions, || self.drain_if_due(&mut drained));
        let mut state = self.lock();
        state.refused = tools.conntrack.refused().cloned();
        if tools.conntrack.answers && !state.status.parts.ends_with(CONNTRACK) {
            state.status.parts.push_str(CONNTRACK);
        }
        for (flow, tuple) in answers {
            state.registry.translate(flow, tuple);
        }
    }

    /// Reads the addresses of other network namespaces: of new ones, or with a pass of all.
    fn place(&self, tools: &mut Tools, all: bool) {
        let mut asked = {
            let state = self.lock();
            if state.places_namespaces() { state.registry.namespaces(all) } else { Vec::new() }
        };
        match all {
            true => {
                tools.placed = Some(Instant::now());
                let own = interfaces::addresses();
                self.lock().registry.place_own(own);
            }
            false => asked.truncate(MOST_PLACES),
        }
        let mut drained = Instant::now();
        for (netns, pid) in asked {
            let is_there = tools.proc.netns(pid) == Some(netns.0);
            let addresses = if is_there { places::addresses(&tools.proc, pid) } else { Vec::new() };
            self.lock().registry.place(netns, addresses);
            self.drain_if_due(&mut drained);
        }
    }

    /// Drains if that was long ago: what looks at much calls it after every step.
    fn drain_if_due(&self, drained: &mut Instant) {
        if drained.elapsed() >= DRAIN {
            self.lock().drain();
            *drained = Instant::now();
        }
    }
}

impl State {
    /// Returns how long the thread may wait, and what it is to wait for beside its alarm. A pass may come at
    /// `next_pass`, and has to at `latest`.
    fn pause(&mut self, next_pass: Instant, latest: Instant) -> (Duration, Option<RawFd>) {
        let has_events = self.bpf.as_ref().is_some_and(Bpf::has_events);
        let pass = if self.pass_wanted || !has_events { next_pass } else { latest };
        let left = pass.saturating_duration_since(Instant::now());
        let asked = self.asked.take();
        if self.has_backlog() {
            return (left.min(DRAIN), None);
        }
        if self.bpf.is_none() {
            // Nothing to drain.
            self.is_asleep = true;
            return (left, None);
        }
        let mut events = None;
        if has_events && self.quiet_rounds >= QUIET_ROUNDS {
            let now = Instant::now();
            events = self.bpf.as_ref().and_then(Bpf::ask_to_be_woken);
            self.asked = events.map(|_| asked.unwrap_or(now));
            // From the first time on that they were asked, one more drain's time is waited: see there.
            if self.asked.is_some_and(|asked| now.duration_since(asked) >= DRAIN) {
                self.is_asleep = true;
                return (left.min(LONGEST_SLEEP), events);
            }
        }
        (left.min(DRAIN), events)
    }

    /// Returns whether something is to be asked that one round has no time for.
    fn has_backlog(&self) -> bool {
        self.registry.has_questions() || self.places_namespaces() && self.registry.has_namespaces()
    }

    /// Returns whether the addresses of other network namespaces can be read: numbers of processes mean the same to
    /// who told them.
    const fn places_namespaces(&self) -> bool {
        self.sees_pids || self.bpf.is_none()
    }

    /// Takes in what was told; returns whether anything was.
    fn drain(&mut self) -> bool {
        self.offset = clock::wall().saturating_sub(clock::monotonic());
        let Some(bpf) = &mut self.bpf else { return false };
        let events = bpf.drain();
        let any = !events.is_empty() || bpf.holds_some_back();
        if any {
            self.quiet_rounds = 0;
            self.asked = None;
        }
        if self.asked_lost.elapsed() >= LOST {
            self.ask_lost();
        }
        for event in events {
            self.take_in(event, None);
        }
        self.registry.expire(Nanos(clock::monotonic()));
        any
    }

    fn ask_lost(&mut self) {
        let Some(bpf) = &self.bpf else { return };
        self.asked_lost = Instant::now();
        let lost = bpf.lost();
        if lost > self.status.events_lost {
            self.status.events_lost = lost;
            self.pass_wanted = true;
        }
    }

    /// Takes in an event; sockets of a pass go to `pass`.
    fn take_in(&mut self, event: Event, pass: Option<&mut Vec<Seen>>) {
        match event {
            Event::Process(event) => {
                let id = event.id;
                self.learn(*event);
                for socket in self.early.remove(&id).unwrap_or_default() {
                    let seen = self.seen(&socket);
                    self.registry.see(seen);
                }
            }
            Event::Socket(event) => {
                let seen = self.seen(&event);
                match (pass, event.process) {
                    (Some(pass), _) => pass.push(seen),
                    (None, process) => {
                        let unknown =
                            process.filter(|_| seen.holder.is_none() && self.early.len() < MOST_WAITING);
                        if let Some(process) = unknown {
                            self.early.entry(process).or_default().push(event);
                        }
                        self.registry.see(seen);
                    }
                }
            }
            Event::Closed { socket, at } => {
                self.registry.close(socket, at);
            }
            Event::Exit { process, at } => {
                self.early.remove(&process);
                self.registry.end_process(process, at);
            }
        }
    }

    fn seen(&self, event: &SocketEvent) -> Seen {
        Seen {
            id: event.socket,
            tuple: event.tuple,
            netns: event.netns,
            uid: Some(event.uid),
            is_listener: event.is_listener,
            is_kernel: event.is_kernel,
            holder: event.process.and_then(|id| self.registry.processes.get(id)).cloned(),
            acted: event.acted,
            at: event.at,
            since: Nanos(event.at.0.saturating_sub(u64::from(event.waited) * self.tick)),
        }
    }

    /// Takes in a process that the kernel's programs told; what they cannot know comes from `/proc`, if
    /// it is still there.
    fn learn(&mut self, event: ProcessEvent) {
        let pid = event.id.pid;
        let known = self.registry.processes.get(event.id);
        if known.is_some_and(|p| event.command.is_empty() && !event.is_cut && p.facts.exe == event.path) {
            return;
        }
        let lives = self.sees_pids && self.proc.stat(pid).is_some_and(|stat| stat.id == event.id);
        let mut arguments = event.command;
        let mut exe = event.path;
        let mut cgroup = self.cgroups.path(event.cgroup);
        let mut box_of = cgroup.as_ref().and_then(|path| container(path));
        let (mut parents, mut netns) = (Box::default(), None);
        if lives {
            if arguments.is_empty() && !event.is_kernel {
                arguments = self.proc.arguments(pid);
            }
            if event.is_cut {
                exe = self.proc.exe(pid).or(exe);
            }
            if box_of.is_none() {
                let groups = self.proc.groups(pid);
                box_of = container(&groups);
                cgroup = cgroup.or_else(|| group(&groups));
            }
            netns = self.proc.other_netns(pid);
        }
        if self.sees_pids {
            parents = self.proc.parents(event.parent);
        }
        let facts = ProcessFacts {
            exe,
            command: procfs::command(&arguments),
            argument0: procfs::argument0(&arguments),
            comm: event.comm,
            is_kernel: event.is_kernel,
            uid: Some(event.uid),
            user: self.proc.users.name(event.uid),
            parents,
            container: box_of,
            cgroup,
            netns,
            started: self.proc.started(event.id),
        };
        self.registry.processes.insert(Process::new(event.id, facts));
    }

    /// Looks up who the processes are that were found in `/proc`.
    fn learn_holders(&mut self, holders: &Holders) {
        let mut pids = holders.found.clone();
        pids.sort_unstable();
        pids.dedup();
        for pid in pids {
            let known = self.proc.stat(pid).and_then(|stat| self.registry.processes.get(stat.id));
            if known.is_some_and(|process| process.facts.exe == self.proc.exe(pid)) {
                continue;
            }
            if let Some((id, facts)) = self.proc.identity(pid) {
                self.registry.processes.insert(Process::new(id, facts));
            }
        }
    }

    /// Ends processes that have gone without a word.
    fn bury(&mut self, at: Nanos, lives: impl Fn(&Procfs, ProcessId) -> bool) {
        let known: Vec<ProcessId> = self.registry.processes.ids().collect();
        for id in known {
            if !lives(&self.proc, id) {
                self.registry.end_process(id, at);
            }
        }
    }
}
