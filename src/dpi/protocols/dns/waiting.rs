//! The queries of a flow that wait for their answers, kept in the flow's memory.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::time::{Nanos, Stamp},
    dpi::talk::MEMORY,
};

/// Queries that can wait at once; the oldest makes room.
const MOST: usize = 16;
/// Bytes of one: id, whether it waits, time.
const SLOT: usize = 12;
/// In front of them: the flow's mark, the next slot, the last id and whether there is one, how many slots were used.
const FRONT: usize = 6;
/// Bytes of the memory that are written to at most.
pub const KEEPS: usize = FRONT + MOST * SLOT;
/// The mark of a flow whose queries are kept.
const KEPT: u8 = 0xd5;

/// What an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The time since its query, if that was seen.
    pub time: Option<Nanos>,
    /// It answers the last query, or no query was seen.
    pub of_the_last: bool,
    /// No other query waits.
    pub leaves_none: bool,
}

/// A view of the memory.
pub struct Waiting<'a>(&'a mut [u8; MEMORY]);

impl<'a> Waiting<'a> {
    /// Returns whether the memory is that of a flow that was recognised before.
    pub fn is_kept(memory: &[u8; MEMORY]) -> bool {
        memory[0] == KEPT
    }

    /// Returns a view of the memory, which is all zeros at first.
    pub fn of(memory: &'a mut [u8; MEMORY]) -> Self {
        memory[0] = KEPT;
        Self(memory)
    }

    /// Returns how many bytes of the memory, from the front, may be other than zeros.
    pub fn keeps(&self) -> usize {
        FRONT + self.slots().len()
    }

    /// Returns the slots that were used.
    fn slots(&self) -> &[u8] {
        let used = usize::from(self.0[5]).min(MOST);
        &self.0[FRONT..FRONT + used * SLOT]
    }

    /// Keeps a query.
    pub fn query(&mut self, id: u16, at: Stamp) {
        let next = usize::from(self.0[1]) % MOST;
        self.0[1] = (next + 1) as u8;
        self.0[2..4].copy_from_slice(&id.to_ne_bytes());
        self.0[4] = 1;
        self.0[5] = self.0[5].max(next as u8 + 1);
        let slot = &mut self.0[FRONT + next * SLOT..][..SLOT];
        slot[..2].copy_from_slice(&id.to_ne_bytes());
        slot[2] = 1;
        slot[4..].copy_from_slice(&at.0.to_ne_bytes());
    }

    /// Takes the first query with this id.
    pub fn answer(&mut self, id: u16, at: Stamp) -> Answer {
        let of_the_last = self.0[4] == 0 || self.0[2..4] == id.to_ne_bytes();
        let mut earliest: Option<(Stamp, usize)> = None;
        for (nth, slot) in self.slots().chunks_exact(SLOT).enumerate() {
            if slot[2] == 1 && slot[..2] == id.to_ne_bytes() {
                let asked = Stamp(u64::from_ne_bytes(*slot.last_chunk().unwrap_or(&[0; 8])));
                if earliest.is_none_or(|(first, _)| asked < first) {
                    earliest = Some((asked, nth));
                }
            }
        }
        if let Some((_, nth)) = earliest {
            self.0[FRONT + nth * SLOT + 2] = 0;
        }
        let leaves_none = self.slots().chunks_exact(SLOT).all(|slot| slot[2] == 0);
        Answer { time: earliest.map(|(asked, _)| at.since(asked)), of_the_last, leaves_none }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_their_queries_by_id() {
        let mut memory = [0; MEMORY];
        assert!(!Waiting::is_kept(&memory));
        let mut waiting = Waiting::of(&mut memory);
        assert_eq!(waiting.answer(7, Stamp(1)), Answer { time: None, of_the_last: true, leaves_none: true });
        waiting.query(7, Stamp(100));
        waiting.query(8, Stamp(200));
        assert_eq!(
            waiting.answer(7, Stamp(150)),
            Answer { time: Some(Nanos(50)), of_the_last: false, leaves_none: false }
        );
        assert_eq!(
            waiting.answer(7, Stamp(160)),
            Answer { time: None, of_the_last: false, leaves_none: false }
        );
        assert_eq!(
            waiting.answer(8, Stamp(260)),
            Answer { time: Some(Nanos(60)), of_the_last: true, leaves_none: true }
        );
        assert!(Waiting::is_kept(&memory));
    }

    #[test]
    fn the_oldest_of_many_makes_room() {
        let mut memory = [0; MEMORY];
        let mut waiting = Waiting::of(&mut memory);
        for id in 0..=MOST as u16 {
            waiting.query(id, Stamp(u64::from(id)));
        }
        assert_eq!(waiting.answer(0, Stamp(100)).time, None);
        assert_eq!(waiting.answer(1, Stamp(101)).time, Some(Nanos(100)));
    }
}
