//! Passes on what is learned of a flow, and remembers what was said of it before.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::net::IpAddr;

use crate::{
    base::{ids::FlowId, time::Stamp},
    dpi::{
        fact::{Fact, MOST_VALUES, Shape},
        notes::{Learn, Learned, Resolved, Sink},
        service::Service,
    },
};

/// Values of a flow's lists that are passed on, and remembered so that each is once: as many as readers keep.
const SAID: usize = MOST_VALUES;

/// What was said of a flow; nothing at first.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Said {
    /// One bit for each fact of which a value was passed on.
    facts: u128,
    /// Values of lists.
    digests: [u32; SAID],
    len: u32,
}

const _: () = assert!(Fact::ALL.len() <= 128);

impl Said {
    /// Nothing.
    pub const NOTHING: Self = Self { facts: 0, digests: [0; SAID], len: 0 };

    /// Forgets everything.
    #[inline]
    pub fn clear(&mut self) {
        (self.facts, self.len) = (0, 0);
    }

    /// Returns whether it was not said before and there is room for it, and remembers it.
    fn is_new(&mut self, digest: u32) -> bool {
        let len = self.len as usize;
        if len == SAID || self.digests[..len].contains(&digest) {
            return false;
        }
        self.digests[len] = digest;
        self.len += 1;
        true
    }
}

/// Passes on what was not said before of one flow.
pub struct Passer<'a, L> {
    id: FlowId,
    at: Stamp,
    /// What is said is said again with every further byte.
    pub is_stream: bool,
    learn: &'a mut L,
    said: &'a mut Said,
    /// The label that a recogniser gave.
    pub service: Option<Service>,
}

impl<'a, L: Learn> Passer<'a, L> {
    /// Returns one that passes on to `learn`.
    pub fn new((id, at): (FlowId, Stamp), learn: &'a mut L, said: &'a mut Said) -> Self {
        Self { id, at, is_stream: true, learn, said, service: None }
    }
}

impl<L: Learn> Sink for Passer<'_, L> {
    fn has(&self, fact: Fact) -> bool {
        self.said.facts & 1 << fact as u8 != 0
    }

    fn fact(&mut self, fact: Fact, value: &[u8]) {
        let is_new = match fact.shape() {
            Shape::List => self.said.is_new(digest(fact as u8, value)),
            // The first value stays.
            Shape::Text | Shape::Number | Shape::Flag => !self.has(fact),
        };
        if is_new {
            self.said.facts |= 1 << fact as u8;
            self.learn.learned(self.id, Learned::Fact(fact, value));
        }
    }

    fn service(&mut self, service: Service) {
        self.service = Some(service);
    }

    fn resolved(&mut self, service: Service, name: &[u8], address: IpAddr) {
        // A datagram's answer is news each time: the name has been seen again.
        let digest = || match address {
            IpAddr::V4(a) => digest(0xff, name) ^ digest(4, &a.octets()),
            IpAddr::V6(a) => digest(0xff, name) ^ digest(6, &a.octets()),
        };
        if !self.is_stream || self.said.is_new(digest()) {
            let answer = Resolved { name, address, service, at: self.at };
            self.learn.learned(self.id, Learned::Resolved(answer));
        }
    }
}

/// FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo): two values of one flow that collide are said once.
fn digest(kind: u8, value: &[u8]) -> u32 {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    value.iter().fold(step(0x811c_9dc5, &kind), step)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

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
        let (mut heard, mut said) = (Heard::default(), Said::NOTHING);
        for _ in 0..2 {
            let mut passer = Passer::new((FlowId::new(0, 1, 1), Stamp(1)), &mut heard, &mut said);
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
        Passer::new((FlowId::new(0, 1, 1), Stamp(1)), &mut heard, &mut said).fact(Fact::TlsCipher, b"third");
        assert_eq!(heard.0.len(), 4);
    }
}
