//! The datagrams whose fragments are under way: which ports a later fragment belongs to.
//!
//! A table of fixed size, four places to a bucket. The first fragment of a datagram takes its own
//! place again, else a free one, else the oldest of its bucket. Nothing is reassembled.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::time::{Nanos, Stamp},
    packet::{
        hash::Seed,
        ip::{Ends, Fragment},
        key::{Extension, FlowKey, WideKey},
    },
};

/// How long a first fragment speaks for later ones: the upper end of what RFC 8200 section 4.5 and
/// common systems wait for a datagram's rest. Identifications come round again after that.
const MAX_AGE: Nanos = Nanos::from_secs(30);
const BUCKETS: usize = 512;
const PLACES: usize = 4;

/// What tells the fragments of one datagram from others (RFC 791 section 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Datagram {
    ends: [[u8; 16]; 2],
    id: u32,
    /// The header's protocol; 0 with IPv6.
    proto: u8,
}

/// What the first fragment said: ports of sender and receiver, and the protocol, which may stand
/// behind extension headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct First {
    pub ports: [u16; 2],
    pub proto: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    datagram: Datagram,
    first: First,
    /// Time of the first fragment plus 1; 0 marks a free place.
    seen: u64,
}

/// Datagrams under way, known by their first fragments.
pub(crate) struct FragmentTable {
    buckets: Box<[[Entry; PLACES]]>,
    seed: Seed,
}

impl FragmentTable {
    /// Returns an empty table of its full size.
    #[allow(clippy::disallowed_macros, reason = "start-up: the table's one allocation")]
    pub fn new(seed: Seed) -> Self {
        Self { buckets: vec![[Entry::default(); PLACES]; BUCKETS].into_boxed_slice(), seed }
    }

    /// Notes what the first fragment of a datagram said at `now`.
    #[cold]
    pub fn learn(&mut self, ends: &Ends, fragment: Fragment, first: First, now: Stamp) {
        let datagram = Datagram::new(ends, fragment);
        let bucket = &mut self.buckets[bucket_of(&datagram, &self.seed)];
        let same = bucket.iter().position(|e| e.seen != 0 && e.datagram == datagram);
        let place = same.unwrap_or_else(|| oldest(bucket));
        bucket[place] = Entry { datagram, first, seen: now.0.saturating_add(1) };
    }

    /// Returns what the first fragment of the datagram said, if it came within the last 30 s.
    #[cold]
    pub fn find(&self, ends: &Ends, fragment: Fragment, now: Stamp) -> Option<First> {
        let datagram = Datagram::new(ends, fragment);
        let bucket = &self.buckets[bucket_of(&datagram, &self.seed)];
        let entry = bucket.iter().find(|e| e.seen != 0 && e.datagram == datagram)?;
        (now.since(Stamp(entry.seen - 1)) <= MAX_AGE).then_some(entry.first)
    }
}

impl Datagram {
    fn new(ends: &Ends, fragment: Fragment) -> Self {
        let ends = match *ends {
            Ends::V4(ends) => ends.map(|end| u128::from(end).to_be_bytes()),
            Ends::V6(ends) => ends,
        };
        Self { ends, id: fragment.id, proto: fragment.proto }
    }
}

fn bucket_of(datagram: &Datagram, seed: &Seed) -> usize {
    let wide = WideKey { ends: datagram.ends, extension: Extension::default() };
    let ports = [datagram.id as u16, (datagram.id >> 16) as u16];
    let key = FlowKey { ends: seed.digest(&wide), ports, proto: datagram.proto, ..FlowKey::default() };
    seed.hash(&key) as usize % BUCKETS
}

/// Returns a free place, else the one longest without a first fragment.
fn oldest(bucket: &[Entry; PLACES]) -> usize {
    let mut oldest = 0;
    for (place, entry) in bucket.iter().enumerate() {
        if entry.seen < bucket[oldest].seen {
            oldest = place;
        }
    }
    oldest
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: Ends = Ends::V4([1, 2]);
    const FIRST: First = First { ports: [5000, 53], proto: 17 };

    fn fragment(id: u32) -> Fragment {
        Fragment { id, proto: 17, later: false }
    }

    fn table() -> FragmentTable {
        FragmentTable::new(Seed::new(1))
    }

    #[test]
    fn later_fragments_find_their_first() {
        let mut table = table();
        table.learn(&ENDS, fragment(7), FIRST, Stamp(0));
        assert_eq!(table.find(&ENDS, fragment(7), Stamp(5)), Some(FIRST));
        assert_eq!(table.find(&ENDS, fragment(8), Stamp(5)), None);
        assert_eq!(table.find(&Ends::V4([2, 1]), fragment(7), Stamp(5)), None);
        assert_eq!(table.find(&ENDS, Fragment { proto: 6, ..fragment(7) }, Stamp(5)), None);
        let mut mapped = [[0; 16]; 2];
        mapped[0][15] = 1;
        mapped[1][15] = 3;
        assert_eq!(table.find(&Ends::V6(mapped), fragment(7), Stamp(5)), None);
    }

    #[test]
    fn entries_age_and_are_refreshed() {
        let mut table = table();
        let late = Stamp(Nanos::from_secs(31).0);
        table.learn(&ENDS, fragment(7), FIRST, Stamp(0));
        assert_eq!(table.find(&ENDS, fragment(7), late), None);
        let second = First { ports: [6000, 53], ..FIRST };
        table.learn(&ENDS, fragment(7), second, late);
        assert_eq!(table.find(&ENDS, fragment(7), late), Some(second));
    }

    #[test]
    fn full_buckets_lose_their_oldest() {
        let mut table = table();
        let n = (BUCKETS * PLACES * 4) as u32;
        for id in 0..n {
            table.learn(&ENDS, fragment(id), FIRST, Stamp(u64::from(id)));
        }
        let found = |id| table.find(&ENDS, fragment(id), Stamp(u64::from(n))).is_some();
        assert!((n - 100..n).all(found), "the newest are there");
        assert!((0..100).all(|id| !found(id)), "the oldest are gone");
        assert!((0..n).filter(|&id| found(id)).count() <= BUCKETS * PLACES);
    }
}
