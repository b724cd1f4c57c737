//! The memory of flows under inspection: small blocks for the beginnings of streams and for small
//! memories, a few large memories for those who need them.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::memory::{Advise, OutOfMemory},
    dpi::{
        pieces::{BLOCK, Blocks, Chain, Memories},
        said::{self, FAR_BYTES, Memo, Said},
        talk::MEMORY,
    },
};

const _: () = assert!(FAR_BYTES <= BLOCK);

/// Where a flow's memory is kept, and how much of it; nowhere by default.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Kept {
    /// The piece's number plus 1: a block's, or a large memory's if it is too long for a block.
    piece: u32,
    /// Bytes from the front; all others are zeros.
    len: u32,
}

impl Kept {
    const fn is_large(self) -> bool {
        self.len as usize > BLOCK
    }
}

/// The memory of one worker's flows.
pub struct Room {
    /// What streams are made of, and small memories.
    pub blocks: Blocks,
    memories: Memories,
    /// The memory of a datagram whose flow has none of its own; zeros between calls.
    blank: Box<[u8; MEMORY]>,
}

impl Room {
    /// Returns room for this many blocks and large memories. Address space is reserved; memory comes with use.
    ///
    /// # Errors
    /// When the system does not give the address space.
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new(blocks: usize, memories: usize, advise: Advise) -> Result<Self, OutOfMemory> {
        Ok(Self {
            blocks: Blocks::new(blocks, advise)?,
            memories: Memories::new(memories, advise)?,
            blank: Box::new([0; MEMORY]),
        })
    }

    /// Starts loading a flow's memory, from its front.
    #[inline]
    pub fn approach_memory(&self, kept: Kept) {
        if kept.is_large() {
            self.memories.approach(kept.piece, kept.len as usize);
        } else {
            self.blocks.approach(kept.piece, kept.len as usize);
        }
    }

    /// Starts loading the beginnings of a connection's streams.
    #[inline]
    pub fn approach_streams(&self, chains: &[Chain; 2]) {
        chains.iter().for_each(|chain| self.blocks.approach(chain.first(), BLOCK));
    }

    /// Starts loading what was said of a flow and lies apart.
    #[inline]
    pub fn approach_said(&self, said: &Said) {
        self.blocks.approach(said.far, said.far_bytes());
    }

    /// Returns a flow's memory as it was left. Then [`Room::close`] or [`Room::discard`] is to be called.
    #[inline]
    pub fn open(&mut self, kept: Kept) -> &mut [u8; MEMORY] {
        if kept.is_large() {
            return self.memories.bytes_mut(kept.piece);
        }
        if kept.piece != 0 {
            let len = kept.len as usize;
            self.blank[..len].copy_from_slice(&self.blocks.bytes(kept.piece)[..len]);
        }
        &mut self.blank
    }

    /// Returns what a flow keeps, without opening its memory.
    pub fn look(&self, kept: Kept) -> Option<&[u8]> {
        match kept.piece {
            _ if kept.is_large() => Some(&self.memories.bytes(kept.piece)[..]),
            0 => None,
            piece => Some(&self.blocks.bytes(piece)[..kept.len as usize]),
        }
    }

    /// Keeps the first `len` bytes of the memory that is open, in a piece that is large enough; the
    /// others are zeros. Returns `false` if there is no room: then nothing is kept.
    pub fn close(&mut self, kept: &mut Kept, len: usize) -> bool {
        let Self { blocks, memories, blank } = self;
        let before = std::mem::take(kept);
        let wants_large = len > BLOCK;
        if before.is_large() {
            if wants_large {
                *kept = Kept { len: len as u32, ..before };
                return true;
            }
            let bytes = &mut memories.bytes_mut(before.piece)[..len];
            blank[..len].copy_from_slice(bytes);
            bytes.fill(0);
            memories.give_back(before.piece);
        } else if before.piece != 0 {
            blocks.give_back(before.piece);
        }
        if len == 0 {
            return true;
        }
        let taken = if wants_large { memories.take() } else { blocks.take() };
        if let Some(piece) = taken {
            let bytes: &mut [u8] =
                if wants_large { memories.bytes_mut(piece) } else { blocks.bytes_mut(piece) };
            bytes[..len].copy_from_slice(&blank[..len]);
            *kept = Kept { piece, len: len as u32 };
        }
        blank[..len].fill(0);
        debug_assert!(blank.iter().all(|b| *b == 0), "who writes says how much");
        taken.is_some()
    }

    /// Keeps nothing of the memory that is open, of which the first `used` bytes may be other than zeros.
    #[inline]
    pub fn discard(&mut self, kept: &mut Kept, used: usize) {
        match kept.is_large() {
            true => kept.len = kept.len.max(used as u32),
            false => self.blank[..used].fill(0),
        }
        debug_assert!(self.blank.iter().all(|b| *b == 0), "who writes says how much");
        self.release(kept);
    }

    /// Loads what was said of a flow and lies apart: recognisers are about to be asked.
    #[inline]
    pub fn load_said(&self, said: &Said, memo: &mut Memo) {
        if said.far != 0 {
            said::load(&mut memo.far, &self.blocks.bytes(said.far)[..said.far_bytes()]);
        }
    }

    /// Keeps what was said of a flow and lies apart.
    #[inline]
    pub fn save_said(&mut self, said: &mut Said, memo: &Memo) {
        if said.far_bytes() == 0 {
            return;
        }
        if said.far == 0 {
            match self.blocks.take() {
                Some(block) => said.far = block,
                None => return said.forget_far(),
            }
        }
        said::save(&memo.far, &mut self.blocks.bytes_mut(said.far)[..said.far_bytes()]);
    }

    /// Gives back what [`Room::save_said`] took.
    #[inline]
    pub fn forget_said(&mut self, said: &mut Said) {
        if said.far != 0 {
            self.blocks.give_back(std::mem::take(&mut said.far));
        }
    }

    /// Keeps nothing of a flow's memory, which is not open.
    #[inline]
    pub fn release(&mut self, kept: &mut Kept) {
        let before = std::mem::take(kept);
        if before.is_large() {
            self.memories.bytes_mut(before.piece)[..before.len as usize].fill(0);
            self.memories.give_back(before.piece);
        } else if before.piece != 0 {
            self.blocks.give_back(before.piece);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::{
        base::{ids::FlowId, memory::no_advice, time::Stamp},
        dpi::{
            fact::Fact,
            notes::{Learn, Learned, Sink},
            said::Passer,
            subject::Flow,
        },
    };

    #[test]
    fn a_memory_is_found_again_as_it_was_left() {
        let mut room = Room::new(1, 1, no_advice).unwrap();
        let mut kept = Kept::default();
        let lens = [3, 300, BLOCK, BLOCK + 1, MEMORY, 5, 0, MEMORY, 7];
        for (round, pair) in lens.windows(2).enumerate() {
            let (before, len) = (pair[0], pair[1]);
            if round == 0 {
                room.open(kept)[..before].fill(1);
                assert!(room.close(&mut kept, before));
            }
            let memory = room.open(kept);
            assert_eq!(memory.iter().filter(|b| **b != 0).count(), before, "round {round}");
            assert!(memory[..before].iter().all(|b| *b == round as u8 + 1));
            memory.fill(0);
            memory[..len].fill(round as u8 + 2);
            assert!(room.close(&mut kept, len));
        }
        room.release(&mut kept);
        assert!(room.open(kept).iter().all(|b| *b == 0));
    }

    /// Counts what it is told.
    struct Counts(usize);

    impl Learn for Counts {
        fn learned(&mut self, _: FlowId, _: Learned<'_>) {
            self.0 += 1;
        }
    }

    /// Says values up to a number, of a flow with a slot of its own; returns how many were passed on.
    fn say(room: &mut Room, memo: &mut Memo, said: &mut Said, slot: u32, values: u32) -> usize {
        let mut told = Counts(0);
        room.load_said(said, memo);
        let flow = Flow { worker: 0, slot, generation: &1 };
        let mut passer = Passer::new((flow, Stamp(1)), &mut told, said, memo);
        (0..values).for_each(|n| passer.fact(Fact::DnsQuery, format!("{slot}-{n}.example").as_bytes()));
        room.save_said(said, memo);
        told.0
    }

    #[test]
    fn what_was_said_is_known_again_though_it_lies_apart() {
        let (mut room, mut memo) = (Room::new(2, 1, no_advice).unwrap(), Memo::new());
        let mut flows = [Said::NOTHING; 2];
        for (values, new) in [(10, 10), (30, 20), (30, 0), (64, 34), (200, 0)] {
            for (slot, said) in (0..).zip(&mut flows) {
                assert_eq!(say(&mut room, &mut memo, said, slot, values), new, "{values}");
            }
        }
        // Without a block what lies apart is said again, and no more than readers keep.
        let mut third = Said::NOTHING;
        assert_eq!(say(&mut room, &mut memo, &mut third, 2, 200), 64);
        assert_eq!(say(&mut room, &mut memo, &mut third, 2, 200), 64 - 16);
        flows.iter_mut().for_each(|said| room.forget_said(said));
        assert_eq!((0..3).filter(|_| room.blocks.take().is_some()).count(), 2);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let mut room = Room::new(1, 1, no_advice).unwrap();
        for len in [10, MEMORY] {
            let (mut first, mut second) = (Kept::default(), Kept::default());
            room.open(first)[..len].fill(7);
            assert!(room.close(&mut first, len));
            room.open(second)[..len].fill(9);
            assert!(!room.close(&mut second, len));
            assert!(room.open(second).iter().all(|b| *b == 0));
            room.open(first);
            room.discard(&mut first, len);
            room.open(second)[..len].fill(9);
            assert!(room.close(&mut second, len));
            room.release(&mut second);
        }
    }
}
