//! What the programs share of settled flows: an index of tags, and a tally for each direction. Only memory: no
//! system call.
//!
//! Layout and hash are those of `bpf/capture.h` and `bpf/tally.h`.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    io,
    os::fd::BorrowedFd,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering},
    },
};

use crate::packet::{key::kind, settled::Settled};
use crate::platform::linux::mapped::Mapped;

/// Ways of a set.
const WAYS: usize = 4;
/// A way is a tag above the number of a tally.
const TAG_SHIFT: u32 = 16;
/// Places for flows that a source has at most: a way numbers two tallies for each.
pub const MOST_PLACES: usize = 1 << (TAG_SHIFT - 1);
/// Bytes of a set, of a tally, and of what IPv6 adds to that.
pub const SET: usize = size_of::<[u32; WAYS]>();
pub const TALLY: usize = size_of::<Tally>();
pub const WIDE: usize = size_of::<[u32; 8]>();
/// Bytes in which each set has a bit: whether anything is in it.
pub const FILLED: usize = MOST_PLACES / 8;
/// Bits of [`Tally::count`] that are frames; the others are bytes.
pub const FRAME_BITS: u32 = 24;

/// States of a tally.
pub mod state {
    /// Its flow's frames go up.
    pub const OFF: u8 = 0;
    /// They go up until one tells where the stream stands.
    pub const BEGINS: u8 = 1;
    /// They are counted.
    pub const COUNTS: u8 = 2;
}

/// One direction of a flow: `struct tally`. The program writes counts and TCP's numbers; the reader all the rest.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Tally {
    /// Ports of sender and receiver as on the wire.
    ports: AtomicU32,
    proto: AtomicU8,
    pub state: AtomicU8,
    is_v6: AtomicU8,
    zero: AtomicU8,
    ends: AtomicU64,
    pub count: AtomicU64,
    pub extra: AtomicU64,
    pub last_ns: AtomicU64,
    pub next: AtomicU32,
    pub acked: AtomicU32,
    pub ifindex: AtomicU32,
    pub front: AtomicU32,
    pub window: AtomicU16,
    pub packet_type: AtomicU8,
}

const _: () = assert!(size_of::<Tally>() == 64);

/// What names one direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    ports: u32,
    proto: u8,
    ends: u64,
    /// IPv6 addresses of sender and receiver, as the program loads them.
    wide: Option<[u32; 8]>,
}

impl Way {
    /// Returns the direction of a flow that `from` sends (0 the low end).
    fn new(flow: &Settled, from: usize, secret: u32) -> Self {
        let to = from ^ 1;
        let [sender, receiver] = [from, to].map(|end| flow.key.ports[end].to_be_bytes());
        let ports = u32::from_le_bytes([sender[0], sender[1], receiver[0], receiver[1]]);
        let is_v6 = flow.key.kind & kind::V6 != 0;
        let wide = is_v6.then(|| {
            let word = |end: usize, at: usize| {
                let a = &flow.ends[end];
                u32::from_le_bytes([a[at], a[at + 1], a[at + 2], a[at + 3]])
            };
            std::array::from_fn(|i| word(if i < 4 { from } else { to }, i % 4 * 4))
        });
        let ends = match &wide {
            Some(words) => words.iter().fold(u64::from(secret), |m, w| {
                fold((m ^ u64::from(*w)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            }),
            None => {
                let [low, high] = [(flow.key.ends >> 32) as u32, flow.key.ends as u32].map(u32::swap_bytes);
                let [sender, receiver] = if from == 0 { [low, high] } else { [high, low] };
                u64::from(sender) | u64::from(receiver) << 32
            }
        };
        Self { ports, proto: flow.key.proto, ends, wide }
    }

    /// Returns set (before the mask) and tag.
    fn place(&self, secret: u32) -> (u32, u16) {
        let word = u64::from(self.ports) | u64::from(self.proto) << 32 | u64::from(self.wide.is_some()) << 48;
        let hash = fold((self.ends ^ u64::from(secret)).wrapping_mul(0xff51_afd7_ed55_8ccd)) ^ word;
        let hash = fold(hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((hash >> 32) as u32, hash as u16 | 1)
    }
}

const fn fold(value: u64) -> u64 {
    value ^ value >> 32
}

/// The maps of one source. Its tallies are numbered from 0 on: two for each place, from the low end and from the
/// high end.
pub struct TallyMaps {
    sets: Arc<Mapped>,
    tallies: Arc<Mapped>,
    wides: Arc<Mapped>,
    filled: Arc<Mapped>,
    thread: usize,
    places: usize,
    secret: u32,
}

/// Where a way of a set lies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spot(u32);

impl TallyMaps {
    /// Maps the arrays `sets`, `tallies`, `wides` and the bits of filled sets, with `places` places for each of `threads`
    /// sources.
    ///
    /// # Errors
    /// When the kernel refuses.
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new(
        maps: [BorrowedFd<'_>; 4],
        places: usize,
        threads: usize,
        secret: u32,
    ) -> io::Result<Box<[Self]>> {
        let [sets, tallies, wides, filled] = maps;
        let all = places * threads;
        assert!(all <= MOST_PLACES, "there is a bit for each set");
        let sets = Arc::new(Mapped::new(sets, all * SET)?);
        let tallies = Arc::new(Mapped::new(tallies, all * 2 * TALLY)?);
        let wides = Arc::new(Mapped::new(wides, all * 2 * WIDE)?);
        let filled = Arc::new(Mapped::new(filled, FILLED)?);
        let of = |thread| {
            let [sets, tallies, wides, filled] = [&sets, &tallies, &wides, &filled].map(Arc::clone);
            Self { sets, tallies, wides, filled, thread, places, secret }
        };
        Ok((0..threads).map(of).collect())
    }

    /// Returns the maps of one source, in memory of so many bytes that no program knows.
    #[cfg(test)]
    #[allow(clippy::disallowed_methods, reason = "tests")]
    pub fn in_memory(bytes: [usize; 3], places: usize) -> Self {
        Self::all_in_memory(bytes, places, 1).into_vec().remove(0)
    }

    /// Returns the maps of so many sources, likewise.
    #[cfg(test)]
    #[allow(clippy::disallowed_methods, reason = "tests")]
    fn all_in_memory(bytes: [usize; 3], places: usize, threads: usize) -> Box<[Self]> {
        use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
        let [sets, tallies, wides] = bytes;
        let fds = [sets, tallies, wides, FILLED].map(|bytes| {
            // SAFETY: a C string.
            let fd = unsafe { libc::memfd_create(c"map".as_ptr(), 0) };
            assert!(fd >= 0);
            // SAFETY: new, and nobody else's.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            // SAFETY: no pointers.
            assert_eq!(unsafe { libc::ftruncate(fd.as_raw_fd(), bytes as i64) }, 0);
            fd
        });
        Self::new(fds.each_ref().map(|fd| fd.as_fd()), places, threads, 7).unwrap()
    }

    /// Returns whether some set is said to have anything in it.
    #[cfg(test)]
    pub fn has_any(&self) -> bool {
        (0..(self.places * WAYS) as u32).any(|spot| {
            let (word, bit) = self.filled(Spot(spot));
            word.load(Ordering::Relaxed) & bit != 0
        })
    }

    /// Returns how many places there are.
    pub const fn places(&self) -> usize {
        self.places
    }

    /// Returns a source's number for a tally that the program numbers; `None` if it is another source's.
    pub fn local(&self, number: u32) -> Option<u32> {
        let local = number.checked_sub((self.thread * 2 * self.places) as u32)?;
        (local < 2 * self.places as u32).then_some(local)
    }

    /// Returns a tally.
    #[inline]
    pub fn tally(&self, number: u32) -> &Tally {
        let at = self.tallies.at((self.thread * 2 * self.places + number as usize) * TALLY, TALLY);
        // SAFETY: in the map and aligned: the map begins with a page. All its fields are atomics.
        unsafe { at.cast().as_ref() }
    }

    fn wide(&self, number: u32) -> &[AtomicU32; 8] {
        let at = self.wides.at((self.thread * 2 * self.places + number as usize) * WIDE, WIDE);
        // SAFETY: as above.
        unsafe { at.cast().as_ref() }
    }

    fn way(&self, spot: Spot) -> &AtomicU32 {
        let at = self.sets.at(spot.0 as usize * size_of::<u32>(), size_of::<u32>());
        // SAFETY: as above.
        unsafe { at.cast().as_ref() }
    }

    fn spots(&self, way: &Way) -> (impl Iterator<Item = Spot> + use<>, u32) {
        let (set, tag) = way.place(self.secret);
        let set = (set as usize & (self.places - 1)) + self.thread * self.places;
        let first = (set * WAYS) as u32;
        ((first..first + WAYS as u32).map(Spot), u32::from(tag) << TAG_SHIFT)
    }

    /// Returns the number of the tally that has a direction's tag; whether it is that direction's is for the
    /// caller to know.
    pub fn find(&self, way: &Way) -> Option<u32> {
        let (spots, tag) = self.spots(way);
        let mut ways = spots.map(|spot| self.way(spot).load(Ordering::Relaxed));
        ways.find(|way| way >> TAG_SHIFT << TAG_SHIFT == tag).map(|way| way & ((1 << TAG_SHIFT) - 1))
    }

    /// Writes a direction into a tally that is off, and where it is found. `None`: its set is full, or has an equal
    /// tag.
    pub fn write(&self, number: u32, way: &Way, ifindex: u32, front: u32) -> Option<Spot> {
        let (spots, tag) = self.spots(way);
        let mut free = None;
        for spot in spots {
            match self.way(spot).load(Ordering::Relaxed) {
                0 => free = free.or(Some(spot)),
                other if other >> TAG_SHIFT << TAG_SHIFT == tag => return None,
                _ => {}
            }
        }
        let spot = free?;
        let tally = self.tally(number);
        if let Some(words) = &way.wide {
            for (to, word) in self.wide(number).iter().zip(words) {
                to.store(*word, Ordering::Relaxed);
            }
        }
        tally.ends.store(way.ends, Ordering::Relaxed);
        tally.ports.store(way.ports, Ordering::Relaxed);
        tally.proto.store(way.proto, Ordering::Relaxed);
        tally.is_v6.store(u8::from(way.wide.is_some()), Ordering::Relaxed);
        tally.ifindex.store(ifindex, Ordering::Relaxed);
        tally.front.store(front, Ordering::Relaxed);
        tally.next.store(front, Ordering::Relaxed);
        // What its last tenant left may not go on counting.
        tally.state.store(state::OFF, Ordering::Relaxed);
        for word in [&tally.count, &tally.extra] {
            word.store(0, Ordering::Relaxed);
        }
        // Release: pairs with the program's load of the way, behind which it looks at the tally. (Only where stores
        // are ordered by themselves is there any counting.)
        self.way(spot).store(tag | number, Ordering::Release);
        let (word, bit) = self.filled(spot);
        word.fetch_or(bit, Ordering::Release);
        Some(spot)
    }

    /// Returns the bit that says whether anything is in a spot's set.
    fn filled(&self, spot: Spot) -> (&AtomicU64, u64) {
        let set = spot.0 as usize / WAYS;
        let at = self.filled.at(set / 64 * size_of::<u64>(), size_of::<u64>());
        // SAFETY: as above.
        (unsafe { at.cast().as_ref() }, 1 << (set % 64))
    }

    /// Lets a direction's frames go up.
    pub fn stop_counting(&self, number: u32) {
        let tally = self.tally(number);
        if tally.state.swap(state::OFF, Ordering::AcqRel) == state::COUNTS {
            tally.front.store(tally.next.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Takes a direction away. Its tally must have been off for long enough that no program counts there.
    pub fn clear(&self, spot: Spot) {
        self.way(spot).store(0, Ordering::Release);
        let first = spot.0 / WAYS as u32 * WAYS as u32;
        let mut set = (first..first + WAYS as u32).map(Spot);
        if set.all(|spot| self.way(spot).load(Ordering::Relaxed) == 0) {
            let (word, bit) = self.filled(spot);
            word.fetch_and(!bit, Ordering::Release);
        }
    }

    /// Returns a direction of a flow, as the programs name it.
    pub fn way_of(&self, flow: &Settled, from: usize) -> Way {
        Way::new(flow, from, self.secret)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use crate::packet::key::FlowKey;

    /// The program looks for set `s` of thread `t`, with `p` places each, in word `(t * p + s) / 64`, bit
    /// `(t * p + s) % 64`.
    #[test]
    fn a_second_threads_sets_have_their_bits_behind_those_of_the_first() {
        for places in [16, 64, 128] {
            let bytes = [2 * places * SET, 4 * places * TALLY, 4 * places * WIDE];
            let maps = TallyMaps::all_in_memory(bytes, places, 2);
            for (thread, maps) in maps.iter().enumerate() {
                let key =
                    FlowKey { ends: 1 << 32 | 2, ports: [9, 443], proto: 17, kind: kind::LIVE, zero: 0 };
                let way = maps.way_of(&Settled { key, ..Settled::default() }, 0);
                let set = thread * places + (way.place(7).0 as usize & (places - 1));
                let spot = maps.write(0, &way, 1, 0).unwrap();
                assert_eq!(spot.0 as usize / WAYS, set);
                for word in 0..FILLED / 8 {
                    let at = maps.filled.at(word * 8, 8).cast::<AtomicU64>();
                    // SAFETY: in the map, aligned, and an atomic.
                    let is = unsafe { at.as_ref() }.load(Ordering::Relaxed);
                    let wanted = if word == set / 64 { 1 << (set % 64) } else { 0 };
                    assert_eq!(is, wanted, "{places} {thread} {word}");
                }
                maps.clear(spot);
                assert_eq!(maps.filled(spot).0.load(Ordering::Relaxed), 0);
            }
        }
    }
}
