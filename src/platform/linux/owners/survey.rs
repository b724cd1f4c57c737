//! All sockets without BPF: sock_diag for what there is, `/proc/<pid>/fd` for who has it.
//!
//! The walk through `/proc` is what costs, so it is made only for sockets whose process is not known
//! yet, and only where they are likely to be: in processes that are new, and in those that had new sockets
//! before. A socket that is not found there is looked for once more in all processes, youngest first, and
//! one that nobody was found to have (of another user, and we may not look) is left to the whole walks,
//! which also find sockets that were passed on; they come as often as a twentieth of the time allows.
//! So do looks at the tables of other namespaces, and of raw sockets.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, Instant},
};

use super::{
    procfs::Procfs,
    sock_diag::{Found, SockDiag},
    tables::{self, TABLES},
};
use crate::{
    base::time::Nanos,
    packet::key::proto,
    platform::linux::clock,
    process::{
        identity::Processes,
        socket::{Netns, Seen, SocketId, Tuple},
    },
};

/// Whole walks are at least this far apart, and so many times what the last one took of this thread's own work:
/// on a busy host the clock tells more of others.
const WALK_PAUSE: Duration = Duration::from_secs(2);
const WALK_SHARE: u32 = 20;
/// Tables of other namespaces are read so far apart, and as many times what it last took.
const TABLES_PAUSE: Duration = Duration::from_millis(300);
/// Rounds in which a socket is looked for before it is left to the whole walks; in the first only where it
/// is likely.
const ROUNDS: u8 = 2;
/// A process is new for so long, unless a socket was found in it.
const NEW: Duration = Duration::from_secs(2);
/// Processes that are looked into in every round, since they had new sockets last.
const MOST_MAKERS: usize = 64;
/// Namespaces whose tables are read.
const MOST_NAMESPACES: usize = 64;
/// Marks ids of sockets without an inode, and those of sockets beside BPF's.
const NO_INODE: u64 = 1 << 63;

/// Looks at sockets, and remembers what it has looked for.
#[derive(Debug)]
pub struct Survey {
    proc: Procfs,
    diag: Option<SockDiag>,
    own: Netns,
    /// Sockets that nobody was found to have: in how many rounds.
    sought: HashMap<u64, u8>,
    next_walk: Option<Instant>,
    /// The process of every namespace whose tables are read.
    namespaces: Vec<(Netns, u32)>,
    /// What the tables said that are read less often.
    beside: Vec<FoundIn>,
    next_tables: Option<Instant>,
    /// Which processes the last round found for a socket; the pass before it is gone.
    known: HashMap<u64, Vec<u32>>,
    /// All processes, since when they are there.
    met: HashMap<u32, Instant>,
    /// Processes that had new sockets, the last one last.
    makers: Vec<u32>,
}

/// Who has sockets.
#[derive(Debug, Default)]
pub struct Holders {
    /// Inodes and processes.
    pub pairs: Vec<(u64, u32)>,
    /// Processes that were found to have a socket in this round, or have one in a whole walk.
    pub found: Vec<u32>,
    /// All processes, if they were listed.
    pub living: Option<HashSet<u32>>,
    /// It was a whole walk.
    pub is_whole: bool,
}

/// A socket, and the namespace in which it was found.
pub type FoundIn = (Netns, Found);

impl Survey {
    /// Returns one for a program in this network namespace.
    pub fn new(own: Netns) -> Self {
        Self {
            proc: Procfs::new(),
            diag: SockDiag::open().ok(),
            own,
            sought: HashMap::new(),
            next_walk: None,
            namespaces: Vec::new(),
            beside: Vec::new(),
            next_tables: None,
            known: HashMap::new(),
            met: HashMap::new(),
            makers: Vec::new(),
        }
    }

    /// Returns all sockets.
    pub fn sockets(&mut self) -> Vec<FoundIn> {
        let mut here = Vec::new();
        let answered = match self.diag.as_ref().map(SockDiag::all) {
            Some(Ok(found)) => {
                here = found;
                true
            }
            _ => false,
        };
        // sock_diag has told of TCP and UDP.
        let is_told = |protocol| answered && matches!(protocol, proto::TCP | proto::UDP);
        let (now, before) = (Instant::now(), clock::worked());
        if !answered || self.next_tables.is_none_or(|at| now >= at) {
            self.beside.clear();
            let own = [(self.own, None)].into_iter();
            let others = self.namespaces.iter().map(|(netns, pid)| (*netns, Some(*pid)));
            let mut there = Vec::new();
            for (netns, pid) in own.chain(others) {
                for (table, protocol) in TABLES.into_iter().filter(|(_, p)| pid.is_some() || !is_told(*p)) {
                    tables::parse(&self.proc.net(pid, table), protocol, &mut there);
                }
                self.beside.extend(there.drain(..).map(|f| (netns, f)));
            }
            self.next_tables = Some(Instant::now() + TABLES_PAUSE.max(worked_since(before) * WALK_SHARE));
        }
        let mut found: Vec<FoundIn> = here.into_iter().map(|f| (self.own, f)).collect();
        found.extend_from_slice(&self.beside);
        found
    }

    /// Returns who has sockets: those whose inodes are not among the `settled`, or in a whole walk all.
    pub fn holders(&mut self, found: &[FoundIn], settled: &HashSet<u64>) -> Holders {
        let now = Instant::now();
        if self.next_walk.is_none_or(|at| now >= at) {
            return self.walk(found, now);
        }
        let there: HashSet<u64> = found.iter().map(|(_, f)| f.inode).collect();
        self.sought.retain(|inode, _| there.contains(inode));
        self.known.retain(|inode, _| there.contains(inode));
        let mut wanted = HashSet::new();
        let mut is_first = true;
        for (_, socket) in found {
            let inode = socket.inode;
            let rounds = self.sought.get(&inode).copied().unwrap_or(0);
            if inode != 0 && rounds < ROUNDS && !settled.contains(&inode) {
                wanted.insert(inode);
                self.sought.insert(inode, rounds + 1);
                is_first &= rounds == 0;
            }
        }
        let mut holders = Holders::default();
        if !wanted.is_empty() {
            let pids = self.pids();
            self.meet(&pids, now);
            let (likely, others) = self.likely(&pids, now);
            let mut pairs = self.proc.holders(&likely, &mut Some(&mut wanted));
            if !is_first {
                // Those that were looked for before may be anywhere, and the new ones with them.
                pairs.extend(self.proc.holders(&others, &mut Some(&mut wanted)));
            }
            for (inode, pid) in pairs {
                self.sought.remove(&inode);
                self.known.insert(inode, vec![pid]);
                holders.found.push(pid);
            }
            self.note_makers(&holders.found);
            holders.living = Some(pids.into_iter().collect());
        }
        let known = self.known.iter().flat_map(|(inode, pids)| pids.iter().map(|pid| (*inode, *pid)));
        holders.pairs = known.collect();
        holders
    }

    /// Looks into all processes.
    fn walk(&mut self, found: &[FoundIn], now: Instant) -> Holders {
        let work = clock::worked();
        let pids = self.pids();
        self.meet(&pids, now);
        let pairs = self.proc.holders(&pids, &mut None);
        self.find_namespaces(&pids);
        self.next_walk = Some(Instant::now() + WALK_PAUSE.max(worked_since(work) * WALK_SHARE));
        self.sought.clear();
        let before = std::mem::take(&mut self.known);
        for (inode, pid) in &pairs {
            self.known.entry(*inode).or_default().push(*pid);
        }
        let new = pairs.iter().filter(|(inode, _)| !before.contains_key(inode)).map(|(_, pid)| *pid);
        let new: Vec<u32> = new.collect();
        self.note_makers(&new);
        let without = found.iter().map(|(_, f)| f.inode).filter(|i| *i != 0 && !self.known.contains_key(i));
        self.sought.extend(without.map(|inode| (inode, ROUNDS)));
        let found = pairs.iter().map(|(_, pid)| *pid).collect();
        Holders { pairs, found, living: Some(pids.into_iter().collect()), is_whole: true }
    }

    /// Returns what was found as the registry takes it, once for each holder.
    pub fn seen(
        &self,
        found: &[FoundIn],
        holders: &[(u64, u32)],
        at: Nanos,
        processes: &Processes,
    ) -> Vec<Seen> {
        let mut by_pid = HashMap::new();
        for id in processes.ids() {
            by_pid.insert(id.pid, id);
        }
        let mut by_inode: HashMap<u64, Vec<u32>> = HashMap::new();
        for (inode, pid) in holders {
            by_inode.entry(*inode).or_default().push(*pid);
        }
        let listeners = listeners(found);
        let mut all = Vec::with_capacity(found.len());
        for (netns, socket) in found {
            let seen = seen(*netns, socket, at, &listeners, 0);
            let pids = by_inode.get(&socket.inode).filter(|_| socket.inode != 0);
            let with = pids.into_iter().flatten().filter_map(|pid| processes.get(*by_pid.get(pid)?));
            let before = all.len();
            all.extend(with.map(|process| Seen { holder: Some(process.clone()), ..seen.clone() }));
            if all.len() == before {
                all.push(seen);
            }
        }
        all
    }

    /// Returns the sockets of our namespace that BPF has not told of: those of the kernel, and those of
    /// nobody.
    pub fn without_process(
        &self,
        found: &[FoundIn],
        at: Nanos,
        is_known: impl Fn(&Tuple, Netns) -> bool,
    ) -> Vec<Seen> {
        let listeners = listeners(found);
        let beside = |(netns, socket): &FoundIn| {
            let here = *netns == self.own && !is_known(&socket.tuple, *netns);
            here.then(|| seen(*netns, socket, at, &listeners, NO_INODE))
        };
        found.iter().filter_map(beside).collect()
    }

    /// Notes which processes are there.
    fn meet(&mut self, pids: &[u32], now: Instant) {
        let is_first = self.met.is_empty();
        let living: HashSet<u32> = pids.iter().copied().collect();
        self.met.retain(|pid, _| living.contains(pid));
        self.makers.retain(|pid| living.contains(pid));
        // Those that were there at the start are not new.
        let since = if is_first { now.checked_sub(NEW).unwrap_or(now) } else { now };
        for pid in pids {
            self.met.entry(*pid).or_insert(since);
        }
    }

    /// Divides processes into those that probably have a new socket, best first, and others.
    fn likely(&self, pids: &[u32], now: Instant) -> (Vec<u32>, Vec<u32>) {
        let makers: HashSet<u32> = self.makers.iter().copied().collect();
        let is_new = |pid: &u32| self.met.get(pid).is_some_and(|since| now.duration_since(*since) < NEW);
        let (mut likely, others): (Vec<u32>, Vec<u32>) =
            pids.iter().filter(|pid| !makers.contains(pid)).partition(|pid| is_new(pid));
        likely.extend(self.makers.iter().rev());
        (likely, others)
    }

    /// Notes processes in which new sockets were found: most will have no other soon, but servers will.
    fn note_makers(&mut self, found: &[u32]) {
        let found: HashSet<u32> = found.iter().copied().collect();
        self.makers.retain(|pid| !found.contains(pid));
        self.makers.extend(found);
        let excess = self.makers.len().saturating_sub(MOST_MAKERS);
        self.makers.drain(..excess);
    }

    /// Youngest first: a new socket is most often that of a new process.
    fn pids(&self) -> Vec<u32> {
        let mut pids = self.proc.pids();
        pids.sort_unstable_by(|a, b| b.cmp(a));
        pids
    }

    fn find_namespaces(&mut self, pids: &[u32]) {
        self.namespaces.clear();
        for pid in pids {
            let Some(netns) = self.proc.netns(*pid).map(Netns) else { continue };
            let is_new = netns != self.own && self.namespaces.iter().all(|(known, _)| *known != netns);
            if is_new && self.namespaces.len() < MOST_NAMESPACES {
                self.namespaces.push((netns, *pid));
            }
        }
    }
}

/// How long this thread has worked since then.
fn worked_since(before: u64) -> Duration {
    Duration::from_nanos(clock::worked().saturating_sub(before))
}

fn listeners(found: &[FoundIn]) -> HashSet<(Netns, u16)> {
    found.iter().filter(|(_, f)| f.is_listener).map(|(n, f)| (*n, f.tuple.local.1)).collect()
}

/// A socket without a file is the kernel's, but a TCP connection may also wait to be accepted, or have
/// been closed and not be over.
fn seen(netns: Netns, socket: &Found, at: Nanos, listeners: &HashSet<(Netns, u16)>, mark: u64) -> Seen {
    let is_tcp = socket.tuple.proto == proto::TCP;
    let waits = is_tcp && listeners.contains(&(netns, socket.tuple.local.1));
    let is_open = !is_tcp || socket.is_open;
    let id = match socket.inode {
        0 => {
            let mut hasher = DefaultHasher::new();
            (netns, socket.tuple).hash(&mut hasher);
            hasher.finish() | NO_INODE
        }
        inode => inode | mark,
    };
    Seen {
        id: SocketId(id),
        tuple: socket.tuple,
        netns,
        uid: Some(socket.uid),
        is_listener: socket.is_listener,
        is_kernel: socket.inode == 0 && is_open && !waits,
        holder: None,
        acted: false,
        at,
        since: at,
    }
}
