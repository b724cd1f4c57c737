//! Numbers of texts that were met before, without making the text: one thread's memory of
//! [`Labels`](crate::query::labels::Labels).
//!
//! A million rows mostly say the same few thousand texts. A text comes in two parts (`HTTPS` and a name),
//! is hashed where it lies, and is compared with the one that is known; nothing is copied but new ones.
//! Open addressing, at most half full; the seed is drawn for each, so that nobody can choose names that
//! all land in one place.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Bytes of texts that are kept at most; beyond, all are forgotten.
const MOST_BYTES: usize = 16 << 20;
/// The odd constant of splitmix64.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Texts with their numbers.
pub struct Texts {
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    len: usize,
    seed: u64,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u64,
    /// Where its parts begin, and how long each is; a slot without a text has hash 0.
    at: u32,
    lens: [u16; 2],
    number: u64,
}

impl Default for Texts {
    fn default() -> Self {
        Self { slots: Vec::new(), bytes: Vec::new(), len: 0, seed: seed() }
    }
}

impl Texts {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.bytes.clear();
        self.len = 0;
    }

    /// Returns the number of a text in two parts; that of a new one is asked for.
    pub fn number(&mut self, parts: [&[u8]; 2], new: impl FnOnce() -> u64) -> u64 {
        let hash = hash(self.seed, parts);
        match self.find(hash, parts) {
            Some(number) => number,
            None => {
                let number = new();
                self.insert(hash, parts, number);
                number
            }
        }
    }

    #[inline]
    fn find(&self, hash: u64, parts: [&[u8]; 2]) -> Option<u64> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        while self.slots[at].hash != 0 {
            let slot = &self.slots[at];
            if slot.hash == hash && self.is(slot, parts) {
                return Some(slot.number);
            }
            at = (at + 1) & mask;
        }
        None
    }

    #[inline]
    fn is(&self, slot: &Slot, [first, second]: [&[u8]; 2]) -> bool {
        let [a, b] = slot.lens.map(usize::from);
        let at = slot.at as usize;
        a == first.len()
            && b == second.len()
            && &self.bytes[at..at + a] == first
            && &self.bytes[at + a..at + a + b] == second
    }

    #[cold]
    fn insert(&mut self, hash: u64, parts: [&[u8]; 2], number: u64) {
        let [Ok(a), Ok(b)] = parts.map(|part| u16::try_from(part.len())) else { return };
        if self.bytes.len() > MOST_BYTES {
            self.clear();
        }
        if self.len * 2 >= self.slots.len() {
            self.grow();
        }
        let slot = Slot { hash, at: self.bytes.len() as u32, lens: [a, b], number };
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        place(&mut self.slots, slot);
        self.len += 1;
    }

    fn grow(&mut self) {
        let mut slots = vec![Slot::default(); (self.slots.len() * 2).max(1024)];
        self.slots.iter().filter(|slot| slot.hash != 0).for_each(|slot| place(&mut slots, *slot));
        self.slots = slots;
    }
}

fn place(slots: &mut [Slot], slot: Slot) {
    let mask = slots.len() - 1;
    let mut at = slot.hash as usize & mask;
    while slots[at].hash != 0 {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

/// Returns a seed that nobody can guess.
pub fn seed() -> u64 {
    RandomState::new().hash_one(ODD)
}

/// Returns the hash of a text in two parts; never 0.
#[inline]
pub fn hash(seed: u64, parts: [&[u8]; 2]) -> u64 {
    let mut sum = seed;
    for part in parts {
        let (words, rest) = part.as_chunks::<8>();
        for word in words {
            sum = stir(sum, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        sum = stir(sum, u64::from_le_bytes(last) ^ (part.len() as u64) << 57);
    }
    sum | 1 << 63
}

/// Both halves of a product, folded (as wyhash does).
#[inline]
fn stir(sum: u64, word: u64) -> u64 {
    let product = u128::from(sum ^ word) * u128::from(ODD ^ sum.rotate_left(32));
    (product >> 64) as u64 ^ product as u64
}

/// Hashes what may be chosen by others, an address, by a seed of its own.
#[derive(Clone, Copy)]
pub struct SeededHasher(u64);

/// Makes them, all by one seed.
#[derive(Clone)]
pub struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(seed())
    }
}

impl BuildHasher for Seeded {
    type Hasher = SeededHasher;

    fn build_hasher(&self) -> SeededHasher {
        SeededHasher(self.0)
    }
}

impl Hasher for SeededHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(self.0, [bytes, b""]);
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = stir(self.0, number as u64);
    }
}

/// Hashes the places of things in memory.
#[derive(Clone, Copy, Default)]
pub struct PlaceHasher(u64);

/// Makes them.
pub type Places = BuildHasherDefault<PlaceHasher>;

impl Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, place: usize) {
        self.0 = stir(self.0 ^ ODD, place as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number_and_others_have_others() {
        let mut texts = Texts::default();
        let name = |n: usize| format!("host{n}.example.org{}", "x".repeat(n % 40));
        for round in 0..2 {
            for n in 0..20_000 {
                let (label, name) = (["HTTPS", "TLS", ""][n % 3], name(n));
                let number = texts.number([label.as_bytes(), name.as_bytes()], || {
                    assert_eq!(round, 0, "{name} was known");
                    n as u64
                });
                assert_eq!(number, n as u64);
            }
        }
        // Parts are parts.
        assert_eq!(texts.number([b"HTTP", b"S a"], || 7), 7);
        assert_eq!(texts.number([b"HTTPS", b" a"], || 8), 8);
        assert_eq!(texts.number([b"", b""], || 9), 9);
        assert_eq!(texts.number([b"", b""], || 10), 9);
        texts.clear();
        assert_eq!(texts.number([b"", b""], || 10), 10);
        // What is too long is asked for each time.
        let long = vec![b'x'; 70_000];
        assert_eq!([1, 2].map(|n| texts.number([b"", &long], || n)), [1, 2]);
    }
}
