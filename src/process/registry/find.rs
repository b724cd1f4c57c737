//! Which socket a flow belongs to.
//!
//! Best first: the very ends; what the ends were before they were translated; a socket without a peer at
//! the address or at all of them. Sockets of other network namespaces count for flows that are not this
//! host's, and behind translation; without an address of their own only if the namespace has the flow's.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::{Life, MOST_FLOWS, MOST_UNPLACED, NONE, Registry};
use crate::{
    base::{ids::FlowId, time::Nanos},
    packet::key::proto,
    process::{
        kernel,
        lookup::Asked,
        nat::Question,
        owner::{Owner, Quality},
        socket::{Netns, Tuple},
    },
};

/// A socket is often seen only just after the packet that it sent: the system call returns later.
const SEEN_AFTER: Nanos = Nanos::from_millis(20);
/// One that was never seen before may have been there for so long without doing anything.
const SEEN_LATE: Nanos = Nanos::from_secs(2);
/// A packet's stamp may be so much later than the end of its socket.
const LATE_STAMP: Nanos = Nanos::from_millis(5);

/// The ends that a socket must have.
#[derive(Clone, Copy)]
struct Sought {
    flow: FlowId,
    tuple: Tuple,
    /// First packet, on the monotonic clock.
    first: Nanos,
    /// It may have come in by a listener.
    came_in: bool,
    where_to: Where,
}

/// Whose sockets count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Those of our network namespace.
    Here,
    /// Those of all.
    Anywhere,
    /// Those of all, for what was translated.
    Behind,
}

struct Best {
    index: u32,
    is_one_of_several: bool,
}

/// An answer, and whether another socket may turn out to be the right one.
struct Found {
    owner: Arc<Owner>,
    /// Nobody was seen to use it for this flow: it is bound to the port and that is all.
    by_port: bool,
}

impl Registry {
    /// Returns the owner of a flow whose first packet came at `first` on the monotonic clock.
    pub fn find(&mut self, asked: &Asked, first: Nanos) -> Option<Arc<Owner>> {
        if asked.is_arp && asked.has_local_end() {
            return Some(self.kernel(""));
        }
        if asked.is_arp {
            return Some(self.nobody(Quality::LinkLocal));
        }
        if asked.is_inner {
            return None;
        }
        let subject = asked.roles.subject();
        if asked.is_kernels() {
            return Some(self.kernel(""));
        }
        if asked.has_local_end() {
            return self.find_ours(asked, subject, first).or_else(|| self.kernels_own(asked, subject));
        }
        // Forwarded, or of a container: sockets of other namespaces may have these ends.
        let found = [subject, 1 - subject].into_iter().find_map(|end| {
            let sought = Sought::new(asked, end, first, Where::Anywhere);
            self.find_end(&sought).map(|found| found.owner)
        });
        found.or_else(|| asked.stays_on_link().then(|| self.nobody(Quality::LinkLocal)))
    }

    fn find_ours(&mut self, asked: &Asked, end: usize, first: Nanos) -> Option<Arc<Owner>> {
        let sought = Sought::new(asked, end, first, Where::Here);
        let found = self.find_end(&sought);
        if let Some(Found { owner, by_port: false }) = &found
            && owner.quality.is_certain()
        {
            return found.map(|f| f.owner);
        }
        if !proto::has_ports(asked.proto) || !sought.tuple.is_connected() || asked.is_loopback() {
            return found.map(|f| f.owner);
        }
        // Perhaps it was translated on its way.
        let translated = self.translations.of(asked.id);
        let behind = match translated {
            Some(tuple) => self.find_end(&Sought { tuple, where_to: Where::Behind, ..sought }),
            None => {
                self.translations.ask(Question { flow: asked.id, tuple: sought.tuple });
                None
            }
        };
        let better = match (behind, found) {
            (Some(behind), Some(found)) if behind.owner.quality == Quality::UserOnly => Some(found),
            (behind, found) => behind.or(found),
        };
        let is_passed_on = || translated.is_some_and(|tuple| self.is_elsewhere(tuple.local.0));
        match better {
            None if is_passed_on() => Some(self.nobody(Quality::Forwarded)),
            better => better.map(|f| f.owner),
        }
    }

    fn find_end(&mut self, sought: &Sought) -> Option<Found> {
        if sought.tuple.is_connected()
            && let Some(best) = self.best(&sought.tuple, sought)
        {
            // Without ports, the sockets of several processes have the same ends.
            let is_one_of_several = best.is_one_of_several && !proto::has_ports(sought.tuple.proto);
            let lowered = is_one_of_several.then_some(Quality::Wildcard);
            let owner = self.answer(best.index, sought, lowered);
            let found = owner.map(|owner| Found { owner, by_port: false });
            if found.as_ref().is_some_and(|f| f.owner.quality > Quality::UserOnly) {
                return found;
            }
            // Perhaps still waiting to be accepted: then the listener tells more.
            return self.find_bound(sought).or(found);
        }
        self.find_bound(sought)
    }

    /// Finds a socket without a peer: a listener, or one that takes datagrams from anybody.
    fn find_bound(&mut self, sought: &Sought) -> Option<Found> {
        let (number, (address, port)) = (sought.tuple.proto, sought.tuple.local);
        if number == proto::TCP && !sought.came_in {
            return None;
        }
        // A socket of all addresses takes IPv4 in another map than IPv6.
        let any = |v4: bool| match v4 {
            true => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            false => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        for local in [Some(address), address.is_ipv4().then(|| any(true)), Some(any(false))] {
            let Some(local) = local else { continue };
            let tuple = Tuple::bound(number, local, port);
            let Some(best) = self.best(&tuple, sought) else { continue };
            if number == proto::TCP && !self.lives[best.index as usize].is_listener {
                continue;
            }
            let quality = match number {
                proto::TCP => Some(Quality::Listener),
                _ if best.is_one_of_several => Some(Quality::Wildcard),
                _ => None,
            };
            let by_port = self.lives[best.index as usize].holders.iter().all(|h| h.acted.is_none());
            return self.answer(best.index, sought, quality).map(|owner| Found { owner, by_port });
        }
        None
    }

    /// Chooses among the lives with these ends.
    fn best(&mut self, tuple: &Tuple, sought: &Sought) -> Option<Best> {
        let first = sought.first;
        let mut index = self.by_tuple.get(tuple).copied().unwrap_or(NONE);
        let (mut before, mut after): (Option<u32>, Option<u32>) = (None, None);
        let mut several = false;
        while index != NONE {
            let life = &self.lives[index as usize];
            let covers = life.died.is_none_or(|died| died + LATE_STAMP >= first);
            if covers && self.counts(life, sought) {
                if life.born <= first + SEEN_AFTER {
                    several |= before.is_some_and(|b| !life.has_holder_of(&self.lives[b as usize]));
                    // An answer that names somebody beats one that does not, then the younger.
                    let better = before.is_none_or(|b| life.rank() > self.lives[b as usize].rank());
                    before = if better { Some(index) } else { before };
                } else if life.born <= first + SEEN_LATE
                    && after.is_none_or(|a| life.born < self.lives[a as usize].born)
                {
                    after = Some(index);
                }
            }
            index = life.older;
        }
        let best = before.or(after).map(|index| {
            // Without ports who comes later has the same ends, too.
            let several = several || !proto::has_ports(tuple.proto) && self.is_joined(index, sought);
            Best { index, is_one_of_several: several }
        });
        if best.is_none() && sought.where_to != Where::Here {
            self.wait_for_places(tuple, sought.flow);
        }
        best
    }

    /// Returns whether another process has a socket with the ends of a life, at any time since the flow began.
    fn is_joined(&self, index: u32, sought: &Sought) -> bool {
        let of = &self.lives[index as usize];
        let mut index = self.by_tuple.get(&of.tuple).copied().unwrap_or(NONE);
        while index != NONE {
            let life = &self.lives[index as usize];
            let covers = life.died.is_none_or(|died| died + LATE_STAMP >= sought.first);
            if covers && !life.has_holder_of(of) && self.counts(life, sought) {
                return true;
            }
            index = life.older;
        }
        false
    }

    /// Returns whether a life's namespace is one that counts.
    fn counts(&self, life: &Life, sought: &Sought) -> bool {
        if life.netns == Netns(0) {
            return true;
        }
        if life.netns == self.own {
            // Who is bound to all addresses has ours and those of all or many here, and not those of whoever sends here.
            let address = sought.tuple.local.0;
            return sought.where_to == Where::Here
                || !life.tuple.local.0.is_unspecified()
                || self.own_addresses.is_empty()
                || self.own_addresses.contains(&address)
                || proto::has_ports(sought.tuple.proto)
                    && (address.is_multicast() || is_broadcast(address, &self.own_addresses));
        }
        if sought.where_to == Where::Here {
            return false;
        }
        // Who is bound to all addresses has those of its namespace, and no others.
        !life.tuple.local.0.is_unspecified()
            || self.places.get(&life.netns).is_some_and(|place| {
                place.addresses.as_ref().is_some_and(|all| all.contains(&sought.tuple.local.0))
            })
    }

    /// Notes a flow that might be of a namespace whose addresses are not known yet.
    fn wait_for_places(&mut self, tuple: &Tuple, flow: FlowId) {
        let mut index = self.by_tuple.get(tuple).copied().unwrap_or(NONE);
        while index != NONE && self.unplaced.len() < MOST_UNPLACED {
            let life = &self.lives[index as usize];
            if self.places.get(&life.netns).is_some_and(|place| place.addresses.is_none()) {
                self.unplaced.push(flow);
                return;
            }
            index = life.older;
        }
    }

    /// Makes the answer from a life; `lowered` is its quality where that is not what the life gives.
    fn answer(&mut self, index: u32, sought: &Sought, lowered: Option<Quality>) -> Option<Arc<Owner>> {
        let own = self.own;
        let life = &mut self.lives[index as usize];
        if life.flows.len() < MOST_FLOWS && life.flows.last() != Some(&sought.flow) {
            life.flows.push(sought.flow);
        }
        if let Some((process, sure)) = life.holder() {
            let quality = match lowered {
                Some(quality) => quality,
                None if !sure => Quality::Shared,
                None if sought.where_to == Where::Behind => Quality::Translated,
                None if life.netns != own && life.netns != Netns(0) => Quality::Namespace,
                None => Quality::Exact,
            };
            return Some(process.owner(quality));
        }
        if life.is_kernel {
            let (proto, ports) = (life.tuple.proto, [life.tuple.local.1, life.tuple.remote.1]);
            return Some(self.kernel(kernel::name(proto, ports)));
        }
        let uid = life.uid?;
        let owner = self.unknown_users.entry(uid).or_insert_with(|| {
            Arc::new(Owner { uid: Some(uid), quality: Quality::UserOnly, ..Owner::default() })
        });
        Some(Arc::clone(owner))
    }

    /// Answers for what the kernel does itself, without sockets.
    fn kernels_own(&mut self, asked: &Asked, end: usize) -> Option<Arc<Owner>> {
        match asked.proto {
            // Of what this host sends, only who asks for an echo over IPv4 is a process that was not found.
            proto::ICMP | proto::ICMPV6
                if asked.roles.initiator() != end || asked.proto == proto::ICMPV6 || !asked.is_echo =>
            {
                Some(self.kernel(""))
            }
            proto::IGMP => Some(self.kernel("")),
            _ => None,
        }
    }

    /// Returns whether it is another host's address for all that is known here.
    fn is_elsewhere(&self, address: IpAddr) -> bool {
        let mut places = self.places.values();
        !self.own_addresses.is_empty()
            && !address.is_loopback()
            && !self.own_addresses.contains(&address)
            && !places.any(|place| place.addresses.as_ref().is_none_or(|all| all.contains(&address)))
    }

    fn nobody(&mut self, quality: Quality) -> Arc<Owner> {
        let make = || Arc::new(Owner { quality, ..Owner::default() });
        Arc::clone(self.nobodies.entry(quality).or_insert_with(make))
    }

    fn kernel(&mut self, name: &'static str) -> Arc<Owner> {
        let make = || Arc::new(Owner { is_kernel: true, name: name.into(), ..Owner::default() });
        Arc::clone(self.kernel_owners.entry(name).or_insert_with(make))
    }
}

impl Sought {
    fn new(asked: &Asked, end: usize, first: Nanos, where_to: Where) -> Self {
        let at = |end: usize| (asked.addresses[end], asked.ports[end]);
        Self {
            flow: asked.id,
            tuple: Tuple::new(asked.proto, at(end), at(1 - end)),
            first,
            came_in: !asked.was_opened_by(end),
            where_to,
        }
    }
}

/// Returns whether an address is that of all hosts, or of all in a network of ours. How large those are is not known here:
/// of at least 256 addresses, the last of them.
fn is_broadcast(address: IpAddr, own: &[IpAddr]) -> bool {
    let IpAddr::V4(address) = address else { return false };
    let ones = address.to_bits().trailing_ones();
    let is_of = |own: &IpAddr| match own {
        IpAddr::V4(own) => ones >= 8 && (own.to_bits() ^ address.to_bits()).leading_zeros() >= 32 - ones,
        IpAddr::V6(_) => false,
    };
    address.is_broadcast() || own.iter().any(is_of)
}
