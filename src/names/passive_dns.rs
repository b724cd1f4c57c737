//! Which names DNS answers gave to which addresses: the names of later connections.
//!
//! Two generations of addresses. An answer puts its address into the young one; when that is full, it becomes
//! the old one, and what nobody has answered for since is forgotten with the one before:
//!
//! ```text
//!  answer ──▶ young ──full──▶ old ──full again──▶ forgotten
//!               ▲              │
//!               └── answered ──┘
//! ```
//!
//! So the addresses answered last are kept, without a list in the order of use. Names are whole: an address behind
//! a chain of canonical names is known by the name that was asked for. Answers' times to live are not heeded, as
//! clients keep connections and names longer than that; a name's age is told instead.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use crate::{
    base::{
        keyed::Keyed,
        time::{Nanos, Stamp},
    },
    dpi::service::Service,
    names::known::{KnownName, MOST_OF_AN_END, NameSource},
};

/// Addresses of a generation at most.
const MOST_ADDRESSES: usize = 32_768;
/// Bytes of a generation at most, as [`Answers::bytes`] counts them.
const MOST_BYTES: usize = 16 << 20;
/// Names of one address: many share those of large hosts.
const MOST_NAMES: usize = 8;
/// Times of answers kept for a name beside the first one.
const RECENT: usize = 3;
/// What an address takes beside its names: key, list, and what the map spends on its place.
const ADDRESS_BYTES: usize = 2 * size_of::<(Key, Vec<Answers>)>();
/// The memory that names take at most, beside flows' own copies.
pub const MEMORY_BYTES: usize = 2 * MOST_BYTES;
/// A connection that began longer after an answer does not get its name.
pub const LONGEST_AGE: Nanos = Nanos::from_secs(24 * 60 * 60);

/// All addresses that were named.
#[derive(Default)]
pub struct PassiveDns {
    young: Generation,
    old: Generation,
    forgotten: u64,
}

#[derive(Default)]
struct Generation {
    by_address: HashMap<Key, Vec<Answers>, Keyed>,
    bytes: usize,
}

/// An address as one number, IPv4 as IPv6 has it: it is hashed for every flow.
type Key = u128;

fn key(address: IpAddr) -> Key {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A name of an address, and when answers gave it.
struct Answers {
    name: Arc<[u8]>,
    /// Of the name: another one is another name.
    digest: u64,
    source: Service,
    first: Stamp,
    /// The last ones, oldest first; [`Answers::first`] where there were fewer.
    recent: [Stamp; RECENT],
}

impl PassiveDns {
    /// Notes that an answer gave `address` for `name`. Answers may come in any order of their times.
    pub fn learn(&mut self, name: &[u8], address: IpAddr, source: Service, at: Stamp) {
        if name.is_empty() || address.is_unspecified() || address.is_multicast() {
            return;
        }
        if self.young.is_full() {
            let before = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.forgotten += before.by_address.len() as u64;
        }
        let Self { young, old, .. } = self;
        young.learn(name, key(address), (source, at), || old.take(key(address)));
    }

    /// Returns the names that an address had when a flow began, newest first.
    pub fn names(&self, address: IpAddr, began: Stamp) -> Vec<KnownName> {
        let address = key(address);
        let Some(answers) = self.young.get(address).or_else(|| self.old.get(address)) else {
            return Vec::new();
        };
        let mut names: Vec<(Stamp, &Answers)> =
            answers.iter().filter_map(|answers| Some((answers.before(began)?, answers))).collect();
        names.sort_unstable_by(|(a, of_a), (b, of_b)| b.cmp(a).then_with(|| of_a.name.cmp(&of_b.name)));
        names.truncate(MOST_OF_AN_END);
        let known = |(seen, answers): (Stamp, &Answers)| KnownName {
            name: Arc::clone(&answers.name),
            source: NameSource::Answer { service: answers.source, seen },
        };
        names.into_iter().map(known).collect()
    }

    /// Returns whether nothing was learned yet.
    pub fn is_empty(&self) -> bool {
        self.young.by_address.is_empty() && self.old.by_address.is_empty()
    }

    /// Returns how many addresses were forgotten to make room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

impl Generation {
    fn is_full(&self) -> bool {
        self.by_address.len() >= MOST_ADDRESSES || self.bytes >= MOST_BYTES - largest()
    }

    fn get(&self, address: Key) -> Option<&[Answers]> {
        self.by_address.get(&address).map(Vec::as_slice)
    }

    fn take(&mut self, address: Key) -> Vec<Answers> {
        let Some(names) = self.by_address.remove(&address) else { return Vec::new() };
        self.bytes -= ADDRESS_BYTES + names.iter().map(Answers::bytes).sum::<usize>();
        names
    }

    /// Notes an answer; `known` gives the names of an address that is new here from elsewhere.
    fn learn(
        &mut self,
        name: &[u8],
        address: Key,
        (source, at): (Service, Stamp),
        known: impl FnOnce() -> Vec<Answers>,
    ) {
        let names = self.by_address.entry(address).or_insert_with(|| {
            let known = known();
            self.bytes += ADDRESS_BYTES + known.iter().map(Answers::bytes).sum::<usize>();
            known
        });
        let digest = digest(name);
        let mut known = names.iter_mut().filter(|answers| answers.digest == digest);
        if let Some(answers) = known.find(|answers| *answers.name == *name) {
            return answers.again(at);
        }
        if names.len() == MOST_NAMES
            && let Some(oldest) = (0..names.len()).min_by_key(|n| names[*n].last())
        {
            self.bytes -= names.swap_remove(oldest).bytes();
        }
        let answers = Answers { name: name.into(), digest, source, first: at, recent: [at; RECENT] };
        self.bytes += answers.bytes();
        names.push(answers);
    }
}

/// FNV-1a by words; equal digests are compared by name.
fn digest(name: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    let (words, rest) = name.as_chunks::<8>();
    let hash = words.iter().fold(name.len() as u64, |hash, word| step(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)))
}

/// What one answer can add at most.
const fn largest() -> usize {
    ADDRESS_BYTES + MOST_NAMES * (crate::dpi::fact::LONGEST_VALUE + 2 * size_of::<Answers>() + 16)
}

impl Answers {
    /// Returns the bytes that it takes: a list's spare places and the name's counts included.
    fn bytes(&self) -> usize {
        2 * size_of::<Self>() + 16 + self.name.len()
    }

    fn last(&self) -> Stamp {
        self.recent[RECENT - 1]
    }

    /// Notes another answer.
    fn again(&mut self, at: Stamp) {
        self.first = self.first.min(at);
        if at > self.recent[0] {
            self.recent[0] = at;
            self.recent.sort_unstable();
        }
    }

    /// Returns when it was given the last time before a flow began, if that is not too long ago.
    fn before(&self, began: Stamp) -> Option<Stamp> {
        let times = self.recent.iter().rev().chain([&self.first]);
        let seen = *times.into_iter().find(|time| **time <= began)?;
        (began.since(seen) <= LONGEST_AGE).then_some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp(seconds * 1_000_000_000)
    }

    fn address(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    fn names(dns: &PassiveDns, n: u32, began: u64) -> Vec<(String, u64)> {
        let text = |name: &KnownName| String::from_utf8_lossy(&name.name).into_owned();
        let seen = |name: &KnownName| match name.source {
            NameSource::Answer { seen, .. } => seen.0 / 1_000_000_000,
            other => unreachable!("{other:?}"),
        };
        dns.names(address(n), at(began)).iter().map(|name| (text(name), seen(name))).collect()
    }

    #[test]
    fn a_flow_has_the_names_that_were_answered_before_it_newest_first() {
        let mut dns = PassiveDns::default();
        assert!(dns.is_empty());
        for (name, seconds) in [("a.example", 10), ("b.example", 20), ("a.example", 30)] {
            dns.learn(name.as_bytes(), address(1), Service::Dns, at(seconds));
        }
        let of = |list: &[(&str, u64)]| list.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect::<Vec<_>>();
        assert_eq!(names(&dns, 1, 9), of(&[]));
        assert_eq!(names(&dns, 1, 10), of(&[("a.example", 10)]));
        assert_eq!(names(&dns, 1, 25), of(&[("b.example", 20), ("a.example", 10)]));
        assert_eq!(names(&dns, 1, 31), of(&[("a.example", 30), ("b.example", 20)]));
        assert_eq!(names(&dns, 2, 31), of(&[]));
        let day = LONGEST_AGE.0 / 1_000_000_000;
        assert_eq!(names(&dns, 1, 20 + day), of(&[("a.example", 30), ("b.example", 20)]));
        assert_eq!(names(&dns, 1, 30 + day), of(&[("a.example", 30)]));
        assert_eq!(names(&dns, 1, 31 + day), of(&[]));
    }

    #[test]
    fn the_order_in_which_answers_are_read_does_not_matter() {
        let answers = [("a", 10), ("b", 20), ("a", 30), ("a", 25), ("c", 22)];
        let mut turned = answers;
        turned.reverse();
        let dns = [answers, turned].map(|order| {
            let mut dns = PassiveDns::default();
            for (name, seconds) in order {
                dns.learn(name.as_bytes(), address(1), Service::Dns, at(seconds));
            }
            dns
        });
        for began in [9, 10, 15, 20, 21, 23, 26, 30, 99] {
            assert_eq!(names(&dns[0], 1, began), names(&dns[1], 1, began), "{began}");
        }
    }

    #[test]
    fn addresses_of_both_families_are_named_and_those_of_nobody_are_not() {
        let mut dns = PassiveDns::default();
        for (text, named) in [
            ("192.0.2.1", true),
            ("2001:db8::1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("ff02::fb", false),
        ] {
            let address: IpAddr = text.parse().unwrap();
            dns.learn(b"host.local", address, Service::Mdns, at(1));
            let names = dns.names(address, at(2));
            assert_eq!(!names.is_empty(), named, "{text}");
            let source = NameSource::Answer { service: Service::Mdns, seen: at(1) };
            assert!(names.iter().all(|name| name.source == source));
        }
    }

    #[test]
    fn an_address_keeps_the_newest_of_many_names() {
        let mut dns = PassiveDns::default();
        for n in 0..100_u64 {
            dns.learn(format!("host-{n}").as_bytes(), address(1), Service::Dns, at(n));
        }
        assert_eq!(dns.young.by_address[&key(address(1))].len(), MOST_NAMES);
        let kept: Vec<_> = names(&dns, 1, 1000).into_iter().map(|(_, seen)| seen).collect();
        assert_eq!(kept, [99, 98, 97, 96]);
    }

    #[test]
    fn memory_is_bounded_and_what_was_answered_last_stays() {
        let mut dns = PassiveDns::default();
        let mut longest = [b'x'; 255];
        for n in 0..200_000_u32 {
            longest[..4].copy_from_slice(&n.to_be_bytes());
            dns.learn(&longest, address(n), Service::Dns, at(u64::from(n)));
            // One is answered again and again.
            dns.learn(b"often.example", address(0), Service::Dns, at(u64::from(n)));
            assert!(dns.young.bytes <= MOST_BYTES && dns.old.bytes <= MOST_BYTES);
        }
        for generation in [&dns.young, &dns.old] {
            let names = generation.by_address.values().flatten();
            let sum = generation.by_address.len() * ADDRESS_BYTES + names.map(Answers::bytes).sum::<usize>();
            assert_eq!(generation.bytes, sum);
            assert!(generation.by_address.len() <= MOST_ADDRESSES);
        }
        assert!(dns.forgotten() > 100_000);
        assert_eq!(names(&dns, 199_999, 200_000).len(), 1);
        assert!(names(&dns, 5, 10).is_empty());
        assert_eq!(names(&dns, 0, 199_999)[0].0, "often.example");
    }
}
