//! Sets of 16-bit numbers: ports, and groups of IPv6 addresses.

/// Some of the numbers from 0 to 65535.
#[derive(Clone, Debug)]
pub struct NumberSet(Box<[u64; 1024]>);

impl NumberSet {
    /// Returns the set of those for which `belongs` holds.
    pub fn of(mut belongs: impl FnMut(u16) -> bool) -> Self {
        let mut bits = Box::new([0; 1024]);
        for number in 0..=u16::MAX {
            bits[usize::from(number) / 64] |= u64::from(belongs(number)) << (number % 64);
        }
        Self(bits)
    }

    /// Returns the set of these.
    pub fn of_all(numbers: impl Iterator<Item = u16>) -> Self {
        let mut bits = Box::new([0; 1024]);
        numbers.for_each(|number| bits[usize::from(number) / 64] |= 1 << (number % 64));
        Self(bits)
    }

    /// Returns the set of those whose decimal digits are what is asked for.
    pub fn of_text(mut belongs: impl FnMut(&[u8]) -> bool) -> Self {
        let mut digits = itoa::Buffer::new();
        Self::of(|number| belongs(digits.format(number).as_bytes()))
    }

    /// Returns whether a number is in the set.
    #[inline]
    pub fn has(&self, number: u16) -> bool {
        self.0[usize::from(number) / 64] >> (number % 64) & 1 == 1
    }

    /// Returns whether no number is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_belongs() {
        let set = NumberSet::of_text(|digits| digits.windows(2).any(|w| w == b"44"));
        for (number, expected) in [(44, true), (443, true), (8443, true), (434, false), (65_535, false)] {
            assert_eq!(set.has(number), expected, "{number}");
        }
        assert!(!set.is_empty() && NumberSet::of(|_| false).is_empty());
        let few = NumberSet::of_all([0, 63, 64, 65_535].into_iter());
        assert!((0..=u16::MAX).all(|n| few.has(n) == [0, 63, 64, 65_535].contains(&n)));
    }
}
