//! A set of numbers as bits in two levels, so that the next member is found in a few steps.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

/// A set of numbers below a fixed bound.
pub struct Bits {
    words: Box<[u64]>,
    /// One bit for each word that is not 0.
    summary: Box<[u64]>,
}

impl Bits {
    /// Returns the empty set of numbers below `len`.
    #[allow(clippy::disallowed_macros, reason = "start-up")]
    pub fn new(len: usize) -> Self {
        let words = len.div_ceil(64);
        Self {
            words: vec![0; words].into_boxed_slice(),
            summary: vec![0; words.div_ceil(64)].into_boxed_slice(),
        }
    }

    /// Adds or removes a number.
    #[inline]
    pub fn put(&mut self, number: u32, member: bool) {
        let (word, bit) = (number as usize / 64, number % 64);
        let bits = &mut self.words[word];
        *bits = *bits & !(1 << bit) | u64::from(member) << bit;
        let some = u64::from(*bits != 0);
        let summary = &mut self.summary[word / 64];
        *summary = *summary & !(1 << (word % 64)) | some << (word % 64);
    }

    /// Returns the first member from `start` on, going round at the end.
    pub fn next(&self, start: u32) -> Option<u32> {
        self.from(start).or_else(|| self.from(0))
    }

    fn from(&self, start: u32) -> Option<u32> {
        let (word, bit) = (start as usize / 64, start % 64);
        let rest = self.words.get(word)? & u64::MAX << bit;
        if rest != 0 {
            return Some((word * 64) as u32 + rest.trailing_zeros());
        }
        let mut at = word + 1;
        while at < self.words.len() {
            let rest = self.summary[at / 64] & u64::MAX << (at % 64);
            if rest != 0 {
                at = at / 64 * 64 + rest.trailing_zeros() as usize;
                return Some((at * 64) as u32 + self.words[at].trailing_zeros());
            }
            at = (at / 64 + 1) * 64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn finds_the_next_member_like_an_ordered_set() {
        const LEN: u32 = 10_000;
        let mut bits = Bits::new(LEN as usize);
        let mut model = BTreeSet::new();
        let mut random = 7u64;
        let mut next = || {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) as u32 % LEN
        };
        for round in 0..20_000 {
            let number = next();
            let member = round % 3 != 0 && round < 15_000;
            bits.put(number, member);
            if member {
                model.insert(number)
            } else {
                model.remove(&number)
            };
            let start = next();
            let want = model.range(start..).next().or_else(|| model.first()).copied();
            assert_eq!(bits.next(start), want);
        }
    }
}
