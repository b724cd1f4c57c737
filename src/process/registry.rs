//! Lives of sockets by their ends, and the answers made from them.
//!
//! ```text
//!   SocketId ──▶ life ◀── Tuple ──▶ life ──▶ older life of the same ends ──▶ ...
//!                 │ born, died, holders (processes), flows that were answered with it
//! ```
//!
//! A life counts for a flow only if it covers the flow's first packet, so that a port that is used again
//! never brings back its former owner. Lives that are over stay for [`KEEP`]: a cut comes at most
//! seconds after a short connection has ended. How flows are matched with them: `find`.

mod find;

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
};

use crate::{
    base::{ids::FlowId, keyed::Keyed, time::Nanos},
    packet::key::proto,
    process::{
        identity::{Process, ProcessId, Processes},
        nat::{Question, Translations},
        owner::{Owner, Quality},
        socket::{Netns, Pass, Seen, SocketId, Tuple},
    },
};

/// How long lives that are over are kept.
const KEEP: Nanos = Nanos::from_secs(15);
/// Lives that are over and kept, at most.
const MOST_DEAD: usize = 1 << 18;
/// Lives kept at most; above, new ones are counted as lost until a pass clears up.
const MOST_LIVES: usize = 1 << 22;
/// Flows of one life that are told when its owner changes.
const MOST_FLOWS: usize = 4096;
/// Flows that wait for the addresses of a namespace, at most.
const MOST_UNPLACED: usize = 4096;
/// Other network namespaces whose addresses are kept.
const MOST_PLACES: usize = 1024;
/// Processes remembered for one socket.
const MOST_HOLDERS: usize = 8;
const NONE: u32 = u32::MAX;

/// What is known of sockets and processes.
pub struct Registry {
    /// Processes that live.
    pub processes: Processes,
    own: Netns,
    lives: Vec<Life>,
    free: Vec<u32>,
    by_id: HashMap<SocketId, u32, Keyed>,
    by_tuple: HashMap<Tuple, u32, Keyed>,
    /// What a process holds, to know what its end means.
    held: HashMap<ProcessId, Vec<(SocketId, u32)>, Keyed>,
    dead: VecDeque<(Nanos, u32)>,
    changed: Vec<FlowId>,
    unknown_users: HashMap<u32, Arc<Owner>>,
    nobodies: HashMap<Quality, Arc<Owner>>,
    kernel_owners: HashMap<&'static str, Arc<Owner>>,
    translations: Translations,
    /// Addresses of other network namespaces, and a process in each.
    places: HashMap<Netns, Place>,
    /// Addresses of our network namespace; empty where they are not known.
    own_addresses: Vec<IpAddr>,
    /// Flows that might be those of a namespace whose addresses are not known yet.
    unplaced: Vec<FlowId>,
    pass: u32,
    last_pass: Nanos,
    /// Sockets that found no room.
    pub overflow: u64,
}

#[derive(Debug)]
struct Life {
    id: SocketId,
    tuple: Tuple,
    netns: Netns,
    uid: Option<u32>,
    is_listener: bool,
    is_kernel: bool,
    born: Nanos,
    died: Option<Nanos>,
    holders: Vec<Holder>,
    flows: Vec<FlowId>,
    /// The last pass that saw it.
    pass: u32,
    /// The next older life with these ends.
    older: u32,
}

/// What is known of another network namespace.
#[derive(Debug)]
struct Place {
    /// A process that lives in it.
    pid: u32,
    /// That process is gone: the next one to be seen there is asked, for it may be another namespace with
    /// the number of this one.
    is_left: bool,
    addresses: Option<Vec<IpAddr>>,
}

#[derive(Debug)]
struct Holder {
    process: Arc<Process>,
    /// When it used the socket last.
    acted: Option<Nanos>,
    /// When it was first seen to use it.
    first_acted: Option<Nanos>,
    /// When it was last met with the socket in a pass.
    met: Nanos,
    pass: u32,
}

impl Registry {
    /// Returns an empty one for a program in this network namespace.
    pub fn new(own: Netns) -> Self {
        Self {
            processes: Processes::default(),
            own,
            lives: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::default(),
            by_tuple: HashMap::default(),
            held: HashMap::default(),
            dead: VecDeque::new(),
            changed: Vec::new(),
            unknown_users: HashMap::new(),
            nobodies: HashMap::new(),
            kernel_owners: HashMap::new(),
            translations: Translations::default(),
            places: HashMap::new(),
            own_addresses: Vec::new(),
            unplaced: Vec::new(),
            pass: 0,
            last_pass: Nanos(0),
            overflow: 0,
        }
    }

    /// Takes a socket in, or what is new about it.
    pub fn see(&mut self, seen: Seen) {
        let born = seen.since;
        self.take_in(seen, born, None);
    }

    /// Notes that a socket is closed.
    pub fn close(&mut self, id: SocketId, at: Nanos) {
        if let Some(life) = self.by_id.remove(&id) {
            self.end_life(life, at);
        }
    }

    /// Notes that a process has ended: what it alone had is closed.
    pub fn end_process(&mut self, id: ProcessId, at: Nanos) {
        let Some(process) = self.processes.remove(id) else { return };
        process.end();
        if let Some(place) = self.places.values_mut().find(|place| place.pid == id.pid) {
            place.is_left = true;
        }
        for (socket, index) in self.held.remove(&id).unwrap_or_default() {
            let life = &mut self.lives[index as usize];
            if life.id != socket {
                continue;
            }
            self.changed.append(&mut life.flows);
            if life.died.is_none() && life.holders.iter().all(|h| h.process.has_ended()) {
                // TCP tells itself when it is over, and may go on without a process.
                if life.tuple.proto != proto::TCP {
                    self.by_id.remove(&socket);
                    self.end_life(index, at);
                }
            }
        }
    }

    /// Takes in a pass over all sockets: those that it did not meet are closed.
    pub fn pass(&mut self, pass: Pass) {
        self.pass = self.pass.wrapping_add(1);
        let number = self.pass;
        let started = pass.started;
        let before = std::mem::replace(&mut self.last_pass, started);
        let more = pass.seen.len().saturating_sub(self.by_id.len()).min(MOST_LIVES);
        self.by_id.reserve(more);
        self.by_tuple.reserve(more);
        self.lives.reserve(more.saturating_sub(self.free.len()));
        for seen in pass.seen {
            // It came up at some time since the last pass; before the first pass, at any time.
            self.take_in(seen, before, Some(number));
        }
        for index in 0..self.lives.len() as u32 {
            let life = &mut self.lives[index as usize];
            if life.died.is_some() || life.is_free() {
                continue;
            }
            if life.pass == number {
                let before = life.holders.len();
                life.holders.retain(|h| h.pass == number || h.acted.is_some_and(|at| at >= started));
                if life.holders.len() != before {
                    self.changed.append(&mut life.flows);
                }
            } else if life.born < started
                && life.holders.iter().all(|h| h.acted.is_none_or(|at| at < started))
            {
                // A TCP socket that was closed lives on in the kernel for a while.
                let id = life.id;
                self.by_id.remove(&id);
                self.end_life(index, started);
            }
        }
    }

    /// Forgets what has been over for long.
    pub fn expire(&mut self, now: Nanos) {
        while let Some(&(at, index)) = self.dead.front() {
            if now.since(at) < KEEP && self.dead.len() <= MOST_DEAD {
                break;
            }
            self.dead.pop_front();
            self.unlink(index);
        }
    }

    /// Takes out questions about connections that may be translated; the answers go to
    /// [`translate`](Self::translate).
    pub fn questions(&mut self, most: usize) -> Vec<Question> {
        self.translations.questions(most)
    }

    /// Returns whether such a question waits.
    pub fn has_questions(&self) -> bool {
        self.translations.is_asked()
    }

    /// Takes in what a connection was before its addresses were translated.
    pub fn translate(&mut self, flow: FlowId, socket: Tuple) {
        if self.translations.learn(flow, socket) {
            self.changed.push(flow);
        }
    }

    /// Returns other network namespaces, each with a process in it: those whose addresses are not
    /// known, or `all`.
    pub fn namespaces(&self, all: bool) -> Vec<(Netns, u32)> {
        let asked = self.places.iter().filter(|(_, place)| all || place.addresses.is_none());
        asked.map(|(netns, place)| (*netns, place.pid)).collect()
    }

    /// Returns whether there are such whose addresses are not known.
    pub fn has_namespaces(&self) -> bool {
        self.places.values().any(|place| place.addresses.is_none())
    }

    /// Takes in the addresses of our network namespace.
    pub fn place_own(&mut self, addresses: Vec<IpAddr>) {
        self.own_addresses = addresses;
    }

    /// Takes in the addresses of another network namespace; without any it is forgotten, until a process is
    /// seen there again.
    pub fn place(&mut self, netns: Netns, addresses: Vec<IpAddr>) {
        if addresses.is_empty() {
            self.places.remove(&netns);
        } else if let Some(place) = self.places.get_mut(&netns) {
            place.addresses = Some(addresses);
            self.changed.append(&mut self.unplaced);
        }
    }

    /// Moves flows whose answer may be another now into `into`.
    pub fn changed(&mut self, into: &mut Vec<FlowId>) {
        into.append(&mut self.changed);
    }

    /// Returns the number of sockets that are not known to be closed.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Returns whether no open socket is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether a socket is known with a process that has it.
    pub fn has_holder(&self, id: SocketId) -> bool {
        self.by_id
            .get(&id)
            .is_some_and(|life| self.lives[*life as usize].holders.iter().any(|h| !h.process.has_ended()))
    }

    /// Returns whether some open socket has exactly these ends.
    pub fn knows(&self, tuple: &Tuple, netns: Netns) -> bool {
        let mut index = self.by_tuple.get(tuple).copied().unwrap_or(NONE);
        while index != NONE {
            let life = &self.lives[index as usize];
            if life.died.is_none() && life.netns == netns {
                return true;
            }
            index = life.older;
        }
        false
    }

    fn take_in(&mut self, seen: Seen, born: Nanos, pass: Option<u32>) {
        let mut index = self.by_id.get(&seen.id).copied().unwrap_or(NONE);
        if index != NONE && self.lives[index as usize].tuple != seen.tuple {
            if pass.is_some() && self.lives[index as usize].holders.iter().any(|h| h.acted > Some(seen.at)) {
                // The pass had read it before an event that came later told better.
                return;
            }
            // The same socket with other ends, or another one at the same place.
            self.by_id.remove(&seen.id);
            self.end_life(index, seen.at);
            index = NONE;
        }
        if index == NONE {
            if self.by_id.len() >= MOST_LIVES {
                self.overflow += 1;
                return;
            }
            index = self.begin_life(&seen, born);
        }
        let life = &mut self.lives[index as usize];
        life.is_listener |= seen.is_listener;
        life.uid = life.uid.or(seen.uid);
        if let Some(number) = pass {
            life.pass = number;
        }
        let Some(process) = seen.holder else { return };
        if seen.netns != self.own && seen.netns != Netns(0) {
            meet(&mut self.places, seen.netns, process.id.pid);
        }
        let acted = seen.acted.then_some(seen.at);
        let known = life.holders.iter_mut().find(|h| Arc::ptr_eq(&h.process, &process));
        if let Some(holder) = known {
            holder.acted = holder.acted.max(acted);
            holder.first_acted = holder.first_acted.or(acted);
            if let Some(number) = pass {
                (holder.met, holder.pass) = (seen.at, number);
            }
            if life.holders.len() > 1 {
                // Somebody else may be the one to name, or there may be doubt now.
                self.changed.append(&mut life.flows);
            }
            return;
        }
        // What it was before it executed something else has no files any more.
        life.holders.retain(|h| h.process.id != process.id);
        if life.holders.len() >= MOST_HOLDERS {
            life.holders.remove(0);
        }
        self.changed.append(&mut life.flows);
        self.held.entry(process.id).or_default().push((seen.id, index));
        let (met, pass) = pass.map_or((Nanos(0), 0), |number| (seen.at, number));
        life.holders.push(Holder { process, acted, first_acted: acted, met, pass });
        if !proto::has_ports(seen.tuple.proto) {
            self.unsettle(&seen.tuple);
        }
    }

    /// Has flows with these ends asked about again: somebody else has a socket with the same.
    fn unsettle(&mut self, tuple: &Tuple) {
        let mut index = self.by_tuple.get(tuple).copied().unwrap_or(NONE);
        while index != NONE {
            let life = &mut self.lives[index as usize];
            self.changed.append(&mut life.flows);
            index = life.older;
        }
    }

    fn begin_life(&mut self, seen: &Seen, born: Nanos) -> u32 {
        let older = self.by_tuple.get(&seen.tuple).copied().unwrap_or(NONE);
        let life = Life {
            id: seen.id,
            tuple: seen.tuple,
            netns: seen.netns,
            uid: seen.uid,
            is_listener: seen.is_listener,
            is_kernel: seen.is_kernel,
            born,
            died: None,
            holders: Vec::new(),
            flows: Vec::new(),
            pass: 0,
            older,
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.lives[index as usize] = life;
                index
            }
            None => {
                self.lives.push(life);
                self.lives.len() as u32 - 1
            }
        };
        self.by_tuple.insert(seen.tuple, index);
        self.by_id.insert(seen.id, index);
        index
    }

    fn end_life(&mut self, index: u32, at: Nanos) {
        let life = &mut self.lives[index as usize];
        life.died = Some(at);
        self.dead.push_back((at, index));
    }

    /// Takes a life that is over out of the chain of its ends.
    fn unlink(&mut self, index: u32) {
        let (tuple, older) = (self.lives[index as usize].tuple, self.lives[index as usize].older);
        let mut at = self.by_tuple.get(&tuple).copied().unwrap_or(NONE);
        if at == index {
            match older {
                NONE => self.by_tuple.remove(&tuple),
                older => self.by_tuple.insert(tuple, older),
            };
        } else {
            while at != NONE && self.lives[at as usize].older != index {
                at = self.lives[at as usize].older;
            }
            if at != NONE {
                self.lives[at as usize].older = older;
            }
        }
        let id = self.lives[index as usize].id;
        for holder in &self.lives[index as usize].holders {
            let process = holder.process.id;
            if let Some(held) = self.held.get_mut(&process) {
                held.retain(|(socket, life)| (*socket, *life) != (id, index));
                if held.is_empty() {
                    self.held.remove(&process);
                }
            }
        }
        self.lives[index as usize].vacate();
        self.free.push(index);
    }
}

/// Notes a process of another network namespace.
fn meet(places: &mut HashMap<Netns, Place>, netns: Netns, pid: u32) {
    let is_settled = places.get(&netns).map_or(places.len() >= MOST_PLACES, |place| !place.is_left);
    if !is_settled {
        places.insert(netns, Place { pid, is_left: false, addresses: None });
    }
}

impl Life {
    /// Returns the process to name, and whether there is no doubt: the one that used the socket last, if no other one
    /// uses it too; else the only one that has it, else the youngest. Who accepts a connection and hands it on to a
    /// child uses it no longer; workers that share a socket take turns, or are met with it still.
    fn holder(&self) -> Option<(&Arc<Process>, bool)> {
        let last = self.holders.iter().filter(|h| h.acted.is_some()).max_by_key(|h| h.acted);
        if let Some(holder) = last {
            let is_too = |other: &&Holder| {
                !Arc::ptr_eq(&other.process, &holder.process)
                    && !other.process.has_ended()
                    && other.acted.is_some()
                    && (other.acted >= holder.first_acted || Some(other.met) >= holder.first_acted)
            };
            return Some((&holder.process, !self.holders.iter().any(|other| is_too(&other))));
        }
        let youngest = self.holders.iter().max_by_key(|h| (h.process.id.start, h.process.id.pid))?;
        Some((&youngest.process, self.holders.len() == 1))
    }

    fn rank(&self) -> (bool, Nanos) {
        (!self.holders.is_empty() || self.is_kernel, self.born)
    }

    fn has_holder_of(&self, other: &Self) -> bool {
        self.holders.iter().any(|h| other.holders.iter().any(|o| o.process.id == h.process.id))
            || self.holders.is_empty()
            || other.holders.is_empty()
    }

    fn is_free(&self) -> bool {
        self.tuple.proto == u8::MAX
    }

    fn vacate(&mut self) {
        self.tuple.proto = u8::MAX;
        self.holders = Vec::new();
        self.flows = Vec::new();
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
