//! Where the inspection of each flow of a table stands: one word a slot, and one bit that is asked of every frame.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::memory::{Array, OutOfMemory, no_advice, prefetch};

/// Bit of a word: the flow has no place; the number of tries stands below, or what an ARP flow's replies named.
pub const TRIES: u32 = 1 << 31;
/// Bits of a word with [`TRIES`]: how often a flow was tried.
pub const TRIED: u32 = 0xff;
/// Bit of a word with [`TRIES`]: the last segment was the high end's.
pub const FROM_HIGH: u32 = 1 << 8;
/// Bit of a word: the flow has no place, and only its phase is followed; the number of its recogniser stands below.
pub const FOLLOWED: u32 = 1 << 30;
/// The flow is settled; whoever asks again is told so.
pub const OVER: u32 = u32::MAX;

/// Where a flow's inspection stands.
pub enum Place {
    /// It has none.
    None,
    /// It is settled.
    Over,
    /// This recogniser follows its phase.
    Followed(usize),
    /// It has this place in the pool.
    At(usize),
}

/// By slot of the flow table: 0 before its first payload, its place plus 1, [`TRIES`] or [`FOLLOWED`] and more, or
/// [`OVER`].
pub struct Standing {
    words: Array<u32>,
    /// By slot, one bit: its word is [`OVER`]. The bits of many flows lie in the first cache. One bit more than there are
    /// slots is never set.
    over: Array<u32>,
}

impl Standing {
    /// Returns zeros for so many slots.
    ///
    /// # Errors
    /// When the system does not give the address space.
    pub fn new(slots: usize) -> Result<Self, OutOfMemory> {
        // No large pages: what most flows' frames ask are the bits.
        Ok(Self { words: Array::new(slots, no_advice)?, over: Array::new(slots / 32 + 1, no_advice)? })
    }

    /// Starts loading a slot's word.
    #[inline(always)]
    pub fn prefetch(&self, slot: u32) {
        prefetch(self.words.address(slot as usize));
    }

    /// Returns whether the flow in a slot may be looked at, or there is no such slot.
    #[inline(always)]
    pub fn may_look(&self, slot: u32) -> bool {
        // Of a slot that is none the last bit, which is never set.
        let word = (slot as usize / 32).min(self.over.len() - 1);
        self.over[word] >> (slot % 32) & 1 == 0
    }

    /// Returns a slot's word.
    #[inline(always)]
    pub fn get(&self, slot: u32) -> u32 {
        self.words[slot as usize]
    }

    /// Writes a slot's word.
    #[inline]
    pub fn set(&mut self, slot: u32, word: u32) {
        self.words[slot as usize] = word;
        let (bits, bit) = (&mut self.over[slot as usize / 32], slot % 32);
        *bits = *bits & !(1 << bit) | u32::from(word == OVER) << bit;
    }

    /// Gives a flow that is not settled a place, and returns what stood there.
    #[inline]
    pub fn enter(&mut self, slot: u32, place: usize) -> u32 {
        let before = std::mem::replace(&mut self.words[slot as usize], place as u32 + 1);
        debug_assert!(before != OVER, "its bit is left as it is");
        before
    }

    /// Returns what a slot's word says.
    #[inline]
    pub fn place(&self, slot: u32) -> Place {
        match self.get(slot) {
            0 => Place::None,
            OVER => Place::Over,
            tries if tries & TRIES != 0 => Place::None,
            followed if followed & FOLLOWED != 0 => Place::Followed((followed & !FOLLOWED) as usize),
            place => Place::At(place as usize - 1),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn settled_flows_and_no_others_are_not_looked_at() {
        let mut standing = Standing::new(64).unwrap();
        for slot in [0, 31, 32, 63] {
            for (word, may_look) in
                [(OVER, false), (0, true), (TRIES | 3, true), (FOLLOWED | 7, true), (5, true)]
            {
                standing.set(slot, word);
                assert_eq!((standing.get(slot), standing.may_look(slot)), (word, may_look), "{slot}");
            }
            standing.set(slot, OVER);
        }
        assert!(standing.may_look(1) && standing.may_look(62));
        assert!(standing.may_look(64) && standing.may_look(u32::MAX), "there are no such slots");
    }

    #[test]
    fn a_word_says_where_the_flow_is() {
        let mut standing = Standing::new(1).unwrap();
        assert!(matches!(standing.place(0), Place::None));
        assert_eq!(standing.enter(0, 41), 0);
        assert!(matches!(standing.place(0), Place::At(41)));
        standing.set(0, FOLLOWED | 9);
        assert!(matches!(standing.place(0), Place::Followed(9)));
        standing.set(0, TRIES | 2);
        assert!(matches!(standing.place(0), Place::None));
        standing.set(0, OVER);
        assert!(matches!(standing.place(0), Place::Over));
    }
}
