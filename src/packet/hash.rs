//! The seeded hash that spreads flows over workers and buckets.
//!
//! A folded multiply (64 x 64 -> 128 bits, halves xored) of the key's two words with secret
//! numbers: 2 ns, and no set of tuples can be made to collide without knowing the seed. Direction
//! does not matter because the key's ends are already in order.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::key::{FlowKey, WideKey};

/// The secret of one run; the same on every thread of the run.
#[derive(Clone, Copy, Debug)]
pub struct Seed([u64; 4]);

impl Seed {
    /// Derives the seed's words from one number (splitmix64).
    pub const fn new(mut state: u64) -> Self {
        let mut words = [0; 4];
        let mut i = 0;
        while i < 4 {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            words[i] = (z ^ (z >> 31)) | 1;
            i += 1;
        }
        Self(words)
    }

    /// Returns the hash of a key; wide keys hash through their digest in `ends`.
    #[inline]
    pub const fn hash(&self, key: &FlowKey) -> u32 {
        let h = fold(key.ends ^ self.0[0], key.word() ^ self.0[1]);
        let h = fold(h ^ self.0[2], self.0[3]);
        (h ^ (h >> 32)) as u32
    }

    /// Returns the 64-bit digest of a wide key that stands in [`FlowKey::ends`].
    #[inline]
    pub fn digest(&self, wide: &WideKey) -> u64 {
        let word = |b: &[u8]| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        let [low, high] = &wide.ends;
        let a = fold(word(&low[..8]) ^ self.0[0], word(&low[8..]) ^ self.0[1]);
        let b = fold(word(&high[..8]) ^ self.0[2], word(&high[8..]) ^ self.0[3]);
        let h = fold(a ^ self.0[1], b ^ self.0[0]);
        let e = &wide.extension;
        if *e == Default::default() {
            return h;
        }
        let x = fold(e.outer[0] ^ self.0[3], e.outer[1] ^ self.0[2]);
        let rest = u64::from(e.tunnel_id) << 32
            | u64::from(e.tunnel) << 24
            | u64::from(e.depth) << 16
            | u64::from(e.vlan);
        fold(h ^ x, rest ^ u64::from(e.iface) << 48 ^ self.0[0])
    }
}

#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let p = a as u128 * b as u128;
    p as u64 ^ (p >> 64) as u64
}
