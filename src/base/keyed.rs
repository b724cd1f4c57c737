//! Hashing for the maps of sockets and addresses, which are looked up by the hundred thousand.
//!
//! Words are folded by multiplication, from a random start: remote ends are chosen by others, who cannot
//! know which of them meet.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

/// Multiplier: 2^64 / golden ratio, odd.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Makes hashers with the same random start.
#[derive(Clone, Debug)]
pub struct Keyed(u64);

impl Default for Keyed {
    fn default() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded { state: self.0, key: self.0 | 1 }
    }
}

/// Folds words into a state.
#[derive(Debug)]
pub struct Folded {
    state: u64,
    key: u64,
}

impl Folded {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word ^ MULTIPLIER) * u128::from(self.key);
        self.state = (product as u64 ^ (product >> 64) as u64).wrapping_mul(MULTIPLIER);
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.fold(value.into());
    }

    fn write_u16(&mut self, value: u16) {
        self.fold(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.fold(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.fold(value);
    }

    fn write_u128(&mut self, value: u128) {
        self.fold(value as u64);
        self.fold((value >> 64) as u64);
    }

    fn write_usize(&mut self, value: usize) {
        self.fold(value as u64);
    }

    fn finish(&self) -> u64 {
        self.state ^ self.state >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn near_keys_lie_far_apart() {
        for _ in 0..8 {
            let keyed = Keyed::default();
            // What a table of 2^16 places looks at: its lower bits, and the upper seven.
            let places: HashSet<u64> =
                (0..65_536u64).map(|n| keyed.hash_one(0xffff_8880_0000_0000 + 64 * n) & 0xffff).collect();
            // Of random places 63 % are taken.
            assert!(places.len() > 36_000, "{}", places.len());
            let tops: HashSet<u64> = (0..512u64).map(|n| keyed.hash_one((1u8, n as u16)) >> 57).collect();
            assert!(tops.len() > 100, "{}", tops.len());
        }
    }

    #[test]
    fn the_same_is_the_same() {
        let keyed = Keyed::default();
        assert_eq!(keyed.hash_one("a longer text"), keyed.hash_one("a longer text"));
        assert_ne!(keyed.hash_one((1u16, 2u16)), keyed.hash_one((2u16, 1u16)));
    }
}
