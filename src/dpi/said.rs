//! Passes on what is learned of a flow, and remembers what was said of it before.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::net::IpAddr;

use crate::{
    base::time::Stamp,
    dpi::{
        fact::{Fact, MOST_VALUES, Shape},
        notes::{Learn, Learned, Resolved, Sink},
        protocols::tls::ja4::Hashes,
        service::Service,
        subject::Flow,
    },
};

/// Values of a flow's lists that are passed on, and remembered so that each is once: as many as readers keep.
const SAID: usize = MOST_VALUES;

/// What was said of a flow; nothing at first.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Said {
    /// One bit for each fact of which a value was passed on.
    facts: [u64; 2],
    len: u32,
    /// Values of lists.
    digests: [u32; SAID],
}

const _: () = assert!(Fact::ALL.len() <= 128);

impl Said {
    /// Nothing.
    pub const NOTHING: Self = Self { facts: [0; 2], len: 0, digests: [0; SAID] };

    /// Forgets everything.
    #[inline]
    pub fn clear(&mut self) {
        (self.facts, self.len) = ([0; 2], 0);
    }

    /// Remembers what another one does, and nothing else.
    pub fn copy_from(&mut self, other: &Self) {
        let len = other.len as usize;
        (self.facts, self.len) = (other.facts, other.len);
        self.digests[..len].copy_from_slice(&other.digests[..len]);
    }

    /// Returns whether it was not said before and there is room for it, and remembers it.
    fn is_new(&mut self, digest: u32) -> bool {
        let len = self.len as usize;
        // All are looked at: that is faster than to stop at the first.
        let known = self.digests[..len].iter().fold(false, |known, said| known | (*said == digest));
        if len == SAID || known {
            return false;
        }
        self.digests[len] = digest;
        self.len += 1;
        true
    }
}

/// Passes on what was not said before of one flow.
pub struct Passer<'a, L> {
    flow: Flow<'a>,
    at: Stamp,
    /// What is said is said again with every further byte.
    pub is_stream: bool,
    learn: &'a mut L,
    said: &'a mut Said,
    hashes: &'a mut Hashes,
    /// The label that a recogniser gave.
    pub service: Option<Service>,
}

impl<'a, L: Learn> Passer<'a, L> {
    /// Returns one that passes on to `learn`.
    pub fn new(
        (flow, at): (Flow<'a>, Stamp),
        learn: &'a mut L,
        said: &'a mut Said,
        hashes: &'a mut Hashes,
    ) -> Self {
        Self { flow, at, is_stream: true, learn, said, hashes, service: None }
    }
}

impl<L: Learn> Sink for Passer<'_, L> {
    fn has(&self, fact: Fact) -> bool {
        self.said.facts[fact as usize / 64] & 1 << (fact as u8 % 64) != 0
    }

    fn fact(&mut self, fact: Fact, value: &[u8]) {
        let is_new = match fact.shape() {
            Shape::List => self.said.is_new(digest(fact as u8, value)),
            // The first value stays.
            Shape::Text | Shape::Number | Shape::Flag => !self.has(fact),
        };
        if is_new {
            self.said.facts[fact as usize / 64] |= 1 << (fact as u8 % 64);
            self.learn.learned(self.flow.id(), Learned::Fact(fact, value));
        }
    }

    fn service(&mut self, service: Service) {
        self.service = Some(service);
    }

    fn short_hash(&mut self, list: &[u16], more: &[u16]) -> [u8; 12] {
        self.hashes.hash(list, more)
    }

    fn resolved(&mut self, service: Service, name: &[u8], address: IpAddr) {
        // A datagram's answer is news each time: the name has been seen again.
        let digest = || match address {
            IpAddr::V4(a) => digest(0xff, name) ^ digest(4, &a.octets()),
            IpAddr::V6(a) => digest(0xff, name) ^ digest(6, &a.octets()),
        };
        if !self.is_stream || self.said.is_new(digest()) {
            let answer = Resolved { name, address, service, at: self.at };
            self.learn.learned(self.flow.id(), Learned::Resolved(answer));
        }
    }
}

/// Multiplies and folds word by word, as wyhash does (Wang Yi): two values of one flow that collide are said once.
fn digest(kind: u8, value: &[u8]) -> u32 {
    let step = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        product as u64 ^ (product >> 64) as u64
    };
    let (words, rest) = value.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let begin = step(u64::from(kind) << 32 | value.len() as u64, 0x2d35_8dcc_aa6c_78a5);
    let hash = words.iter().chain([&last]).fold(begin, |hash, word| step(hash, u64::from_le_bytes(*word)));
    (hash ^ hash >> 32) as u32
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::base::ids::FlowId;

    #[derive(Default)]
    struct Heard(Vec<(Fact, Vec<u8>)>);

    impl Learn for Heard {
        fn learned(&mut self, _: FlowId, what: Learned<'_>) {
            if let Learned::Fact(fact, value) = what {
                self.0.push((fact, value.to_vec()));
            }
        }
    }

    #[test]
    fn what_was_said_is_not_said_again() {
        let (mut heard, mut said, mut hashes) = (Heard::default(), Said::NOTHING, Hashes::new());
        let flow = Flow { worker: 0, slot: 1, generation: &1 };
        for _ in 0..2 {
            let mut passer = Passer::new((flow, Stamp(1)), &mut heard, &mut said, &mut hashes);
            for (fact, value) in [
                (Fact::TlsCipher, "first"),
                (Fact::TlsCipher, "second"),
                (Fact::DnsQuery, "a.example"),
                (Fact::DnsQuery, "b.example"),
                (Fact::DnsQuery, "a.example"),
            ] {
                passer.fact(fact, value.as_bytes());
                assert!(passer.has(fact));
            }
            assert!(!passer.has(Fact::Ja4));
        }
        let values: Vec<_> = heard.0.iter().map(|(_, v)| String::from_utf8_lossy(v).into_owned()).collect();
        assert_eq!(values, ["first", "a.example", "b.example"]);
        said.clear();
        Passer::new((flow, Stamp(1)), &mut heard, &mut said, &mut hashes).fact(Fact::TlsCipher, b"third");
        assert_eq!(heard.0.len(), 4);
    }
}
