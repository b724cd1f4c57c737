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
/// As many of them as nearly all flows have lie beside what else is known of the flow.
const NEAR: usize = 16;
/// The others lie apart.
const FAR: usize = SAID - NEAR;
/// Bytes of those that lie apart.
pub const FAR_BYTES: usize = 4 * FAR;

/// What was said of a flow; nothing at first.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Said {
    /// One bit for each fact of which a value was passed on.
    facts: [u64; 2],
    /// The number of the block in which the values that lie apart are kept, if there is one.
    pub far: u32,
    len: u32,
    /// Values of lists.
    near: [u32; NEAR],
}

/// The values of a flow's lists that lie apart, while recognisers are asked about it.
pub type Far = [u32; FAR];

const _: () = assert!(Fact::ALL.len() <= 128);

impl Said {
    /// Nothing.
    pub const NOTHING: Self = Self { facts: [0; 2], far: 0, len: 0, near: [0; NEAR] };

    /// Forgets everything.
    #[inline]
    pub fn clear(&mut self) {
        (self.facts, self.far, self.len) = ([0; 2], 0, 0);
    }

    /// Returns how many bytes of the values that lie apart are in use.
    #[inline]
    pub fn far_bytes(&self) -> usize {
        4 * (self.len as usize).saturating_sub(NEAR)
    }

    /// Forgets the values that lie apart: there is no room for them. They may be said again.
    pub fn forget_far(&mut self) {
        self.len = self.len.min(NEAR as u32);
    }

    /// Returns whether it was not said before and there is room for it, and remembers it.
    #[inline]
    fn is_new(&mut self, far: &mut Far, digest: u32) -> bool {
        let len = self.len as usize;
        // All are looked at: that is faster than to stop at the first.
        let is_among = |said: &[u32]| said.iter().fold(false, |known, said| known | (*said == digest));
        if is_among(&self.near[..len.min(NEAR)]) {
            return false;
        }
        match self.near.get_mut(len) {
            Some(place) => *place = digest,
            None => {
                let far_len = len - NEAR;
                if far_len == FAR || is_among(&far[..far_len]) {
                    return false;
                }
                far[far_len] = digest;
            }
        }
        self.len += 1;
        true
    }
}

/// Takes the values that lie apart from the bytes in which they were kept.
pub fn load(far: &mut Far, kept: &[u8]) {
    for (digest, bytes) in far.iter_mut().zip(kept.as_chunks().0) {
        *digest = u32::from_ne_bytes(*bytes);
    }
}

/// Keeps the values that lie apart.
pub fn save(far: &Far, kept: &mut [u8]) {
    for (digest, bytes) in far.iter().zip(kept.as_chunks_mut().0) {
        *bytes = digest.to_ne_bytes();
    }
}

/// What recognisers are asked with, of whichever flow.
pub struct Memo {
    /// Hashes that fingerprints are made of, as the last ones were.
    hashes: Box<Hashes>,
    /// The flow's values that lie apart.
    pub far: Far,
}

impl Memo {
    /// Returns one without any hash.
    pub fn new() -> Self {
        Self { hashes: Hashes::new(), far: [0; FAR] }
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
    memo: &'a mut Memo,
    /// The label that a recogniser gave.
    pub service: Option<Service>,
}

impl<'a, L: Learn> Passer<'a, L> {
    /// Returns one that passes on to `learn`.
    pub fn new(
        (flow, at): (Flow<'a>, Stamp),
        learn: &'a mut L,
        said: &'a mut Said,
        memo: &'a mut Memo,
    ) -> Self {
        Self { flow, at, is_stream: true, learn, said, memo, service: None }
    }
}

impl<L: Learn> Sink for Passer<'_, L> {
    fn has(&self, fact: Fact) -> bool {
        self.said.facts[fact as usize / 64] & 1 << (fact as u8 % 64) != 0
    }

    fn fact(&mut self, fact: Fact, value: &[u8]) {
        let is_new = match fact.shape() {
            Shape::List => self.said.is_new(&mut self.memo.far, digest(fact as u8, value)),
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
        self.memo.hashes.hash(list, more)
    }

    fn resolved(&mut self, service: Service, name: &[u8], address: IpAddr) {
        // A datagram's answer is news each time: the name has been seen again.
        let digest = || match address {
            IpAddr::V4(a) => digest(0xff, name) ^ digest(4, &a.octets()),
            IpAddr::V6(a) => digest(0xff, name) ^ digest(6, &a.octets()),
        };
        if !self.is_stream || self.said.is_new(&mut self.memo.far, digest()) {
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
    let begin = step(u64::from(kind) << 32 | value.len() as u64, 0x2d35_8dcc_aa6c_78a5);
    // The last word may overlap the one before it: the length is in it.
    let (words, last) = match value.last_chunk() {
        Some(last) => (value.as_chunks::<8>().0, u64::from_le_bytes(*last)),
        None => (&[][..], value.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))),
    };
    let hash = words.iter().fold(begin, |hash, word| step(hash, u64::from_le_bytes(*word)));
    let hash = step(hash, last);
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
        let (mut heard, mut said, mut memo) = (Heard::default(), Said::NOTHING, Memo::new());
        let flow = Flow { worker: 0, slot: 1, generation: &1 };
        for _ in 0..2 {
            let mut passer = Passer::new((flow, Stamp(1)), &mut heard, &mut said, &mut memo);
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
        Passer::new((flow, Stamp(1)), &mut heard, &mut said, &mut memo).fact(Fact::TlsCipher, b"third");
        assert_eq!(heard.0.len(), 4);
    }
}
