//! All sockets without BPF: sock_diag for what there is, `/proc/<pid>/fd` for who has it.
//!
//! The walk through `/proc` is what costs, so it is made only for sockets whose process is not known
//! yet, youngest processes first, and ends when all were found. A socket that nobody was found to have
//! (of another user, and we may not look) is not looked for again in every round. A whole walk, which
//! also finds sockets that were passed on and those of other namespaces, comes as often as a twentieth
//! of the time allows.

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
    process::{
        identity::Processes,
        socket::{Netns, Seen, SocketId, Tuple},
    },
};

/// Whole walks are at least this far apart, and so many times what the last one took by the clock.
const WALK_PAUSE: Duration = Duration::from_secs(2);
const WALK_SHARE: u32 = 20;
/// Rounds in which a socket is looked for before it is left to the whole walks.
const ROUNDS: u8 = 3;
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
    /// Which processes the last round found for a socket; the pass before it is gone.
    known: HashMap<u64, Vec<u32>>,
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
            known: HashMap::new(),
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
        for (table, protocol) in TABLES {
            // sock_diag has told of TCP and UDP.
            if !answered || !matches!(protocol, proto::TCP | proto::UDP) {
                tables::parse(&self.proc.net(None, table), protocol, &mut here);
            }
        }
        let mut found: Vec<FoundIn> = here.into_iter().map(|f| (self.own, f)).collect();
        for (netns, pid) in &self.namespaces {
            for (table, protocol) in TABLES {
                let mut there = Vec::new();
                tables::parse(&self.proc.net(Some(*pid), table), protocol, &mut there);
                found.extend(there.into_iter().map(|f| (*netns, f)));
            }
        }
        found
    }

    /// Returns who has the sockets that have no process yet, by `is_known`; in a whole walk, all.
    pub fn holders(&mut self, found: &[FoundIn], is_known: impl Fn(SocketId) -> bool) -> Vec<(u64, u32)> {
        let now = Instant::now();
        if self.next_walk.is_none_or(|at| now >= at) {
            let pids = self.pids();
            let holders = self.proc.holders(&pids, None);
            self.find_namespaces(&pids);
            self.next_walk = Some(Instant::now() + WALK_PAUSE.max(now.elapsed() * WALK_SHARE));
            self.sought.clear();
            self.known.clear();
            for (inode, pid) in &holders {
                self.known.entry(*inode).or_default().push(*pid);
            }
            let with: HashSet<u64> = holders.iter().map(|(inode, _)| *inode).collect();
            let without = found.iter().map(|(_, f)| f.inode).filter(|i| *i != 0 && !with.contains(i));
            self.sought.extend(without.map(|inode| (inode, ROUNDS)));
            return holders;
        }
        let there: HashSet<u64> = found.iter().map(|(_, f)| f.inode).collect();
        self.sought.retain(|inode, _| there.contains(inode));
        self.known.retain(|inode, _| there.contains(inode));
        let mut wanted = HashSet::new();
        for (_, socket) in found {
            let inode = socket.inode;
            let rounds = self.sought.get(&inode).copied().unwrap_or(0);
            if inode != 0 && rounds < ROUNDS && !is_known(SocketId(inode)) {
                wanted.insert(inode);
                self.sought.insert(inode, rounds + 1);
            }
        }
        if !wanted.is_empty() {
            for (inode, pid) in self.proc.holders(&self.pids(), Some(wanted)) {
                self.sought.remove(&inode);
                self.known.insert(inode, vec![pid]);
            }
        }
        self.known.iter().flat_map(|(inode, pids)| pids.iter().map(|pid| (*inode, *pid))).collect()
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
