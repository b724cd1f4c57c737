//! The places of flows under inspection: who gets one, and who has to give his up.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use super::{Flow, Inspector};
use crate::dpi::standing::{OVER, TRIED};

impl Inspector {
    /// Gives a flow a place; its candidates are to be set.
    pub(super) fn enter(&mut self, flow: Flow<'_>) -> usize {
        let place = self.take_place();
        let before = self.standing.enter(flow.slot, place);
        let talk = &mut self.pool[place];
        (talk.id, talk.seen, talk.tries) = (flow.id(), 0, (before & TRIED) as u8);
        (talk.chosen, talk.label, talk.is_connection) = (0, 0, false);
        talk.said.clear();
        place
    }

    /// As [`Inspector::enter`], for a connection of which nothing is kept yet.
    pub(super) fn enter_connection(&mut self, flow: Flow<'_>) -> usize {
        let place = self.enter(flow);
        let talk = &mut self.pool[place];
        (talk.sides.0, talk.is_connection) = (Default::default(), true);
        place
    }

    fn take_place(&mut self) -> usize {
        if !self.has_room() {
            self.displace();
        }
        if let Some(last) = self.free_len.checked_sub(1) {
            self.free_len = last;
            return self.free[last] as usize;
        }
        self.used += 1;
        self.used - 1
    }

    /// Returns whether a place is free.
    pub(super) fn has_room(&self) -> bool {
        self.free_len > 0 || self.used < self.pool.len()
    }

    /// Gives up a flow to make room: the next one around the pool that waits for nothing, else the
    /// next one.
    #[cold]
    fn displace(&mut self) {
        let victim = self.resting.next(self.hand).unwrap_or(self.hand);
        self.hand = (victim + 1) % self.pool.len() as u32;
        self.counts.displaced += 1;
        let slot = self.pool[victim as usize].id.slot();
        self.give_back(victim as usize);
        self.standing.set(slot, OVER);
    }

    pub(super) fn leave_if(&mut self, settled: bool, place: usize) {
        if settled {
            self.standing.set(self.pool[place].id.slot(), OVER);
            self.give_back(place);
        }
    }

    pub(super) fn give_back(&mut self, place: usize) {
        let talk = &mut self.pool[place];
        self.room.release(&mut talk.kept);
        self.room.forget_said(&mut talk.said);
        if talk.is_connection {
            let (_, chains) = &mut talk.sides.0;
            chains.iter_mut().for_each(|chain| self.room.blocks.release(chain));
        }
        self.resting.put(place as u32, false);
        self.free[self.free_len] = place as u32;
        self.free_len += 1;
    }
}
