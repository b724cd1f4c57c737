//! What a filter can say of many rows at once: a sieve.
//!
//! Whoever has typed a word waits for one look at all rows, and most rows are told apart by numbers in
//! their hot records alone. A sieve lets through every row that the filter may hold for, and some more;
//! only those are then asked one by one. So it costs a few instructions a row where a whole answer
//! costs fifty:
//!
//! | test | lets through |
//! |---|---|
//! | ports, protocol, service | rows for which it holds |
//! | a word in addresses | IPv4 rows in some octets of which it is, and all of IPv6 |
//! | what an application says | rows of which something is known |
//! | an owner | rows of which it is known, or all if the word is in what stands there otherwise |
//! | rates, bytes, the direction, and `not` of all that hot records tell | rows for which it holds |
//! | anything else | all |

use crate::{
    flow::entry::Hot,
    packet::key::proto,
    query::{
        filter::{
            Field,
            eval::Surroundings,
            plan::{Ends, Node, Word},
            ports::NumberSet,
        },
        whose::Unowned,
    },
    snapshot::{chunk_rows::ChunkRows, row::Direction},
};

/// All rows of a chunk.
const ALL: u64 = u64::MAX;

impl Node {
    /// Returns the rows for which it may hold, one bit each. Bits of slots without a row mean nothing.
    pub fn sieve(&self, rows: &ChunkRows, around: &Surroundings) -> u64 {
        match self {
            Self::All(nodes) => nodes
                .iter()
                .fold(ALL, |bits, node| if bits == 0 { 0 } else { bits & node.sieve(rows, around) }),
            Self::Any(nodes) => nodes.iter().fold(0, |bits, node| bits | node.sieve(rows, around)),
            Self::Ports(ends, set) => rows.pick(|hot| ends.any(hot, hot.key.ports.map(|port| set.has(port)))),
            // Names of an address are those that its application told.
            Self::Address(_, word, ..) => rows.apps | rows.pick(|hot| word.may_be_in(&hot.key)),
            Self::App(..) => rows.apps,
            Self::Owner(field, probe, _) => {
                let of_nobody = || Unowned::ALL.iter().any(|none| probe.holds(none.text().as_bytes()));
                if *field == Field::Process && of_nobody() { ALL } else { rows.owners }
            }
            Self::Word(word) => word.sieve(rows, around),
            Self::Not(_) | Self::Protocol(_) | Self::Service(_) | Self::Direction(_) | Self::Number(..) => {
                self.exactly(rows).unwrap_or(ALL)
            }
            Self::State(_) | Self::Range(..) | Self::Network(..) | Self::Text(..) => ALL,
        }
    }

    /// Returns the rows for which it holds, one bit each, if hot records and rates alone tell.
    fn exactly(&self, rows: &ChunkRows) -> Option<u64> {
        match self {
            Self::All(nodes) => nodes.iter().try_fold(ALL, |bits, node| Some(bits & node.exactly(rows)?)),
            Self::Any(nodes) => nodes.iter().try_fold(0, |bits, node| Some(bits | node.exactly(rows)?)),
            Self::Not(node) => node.exactly(rows).map(|bits| !bits),
            Self::Ports(ends, set) => Some(rows.pick(|hot| {
                let [low, high] = [0, 1].map(|end| hot.key.port(end).is_some_and(|port| set.has(port)));
                ends.any(hot, [low, high])
            })),
            Self::Protocol(table) => Some(rows.pick(|hot| table.of(hot))),
            Self::Service(sets) => Some(rows.pick(|hot| {
                let called = hot.key.port(1 - hot.roles.initiator());
                called.is_some() && is_called(sets, hot)
            })),
            Self::Direction(answers) => Some(rows.pick(|hot| match Direction::of(hot.roles) {
                Direction::In => answers[0],
                Direction::Out => answers[1],
                Direction::Forwarded => answers[2],
            })),
            Self::Number(field, how, number) => numbers_of(*field, rows, |n| how.holds(n, *number)),
            _ => None,
        }
    }
}

/// Returns the rows whose number of this field is one for which `holds` says so, if hot records and rates tell it.
fn numbers_of(field: Field, rows: &ChunkRows, holds: impl Fn(f64) -> bool) -> Option<u64> {
    let of_rates = |pick: fn([f64; 2]) -> f64| {
        rows.pick_by_rate(|hot, rate| {
            let local = hot.roles.subject();
            holds(pick([rate[1 - local].into(), rate[local].into()]))
        })
    };
    Some(match field {
        Field::Rate => of_rates(|[down, up]| down + up),
        Field::Down => of_rates(|[down, _]| down),
        Field::Up => of_rates(|[_, up]| up),
        Field::Bytes => rows.pick(|hot| holds(hot.bytes[0].saturating_add(hot.bytes[1]) as f64)),
        _ => return None,
    })
}

impl Word {
    fn sieve(&self, rows: &ChunkRows, around: &Surroundings) -> u64 {
        let is_in_all = self.states.is_some()
            || self.unowned.contains(&true)
            || around.interfaces.iter().any(|name| self.needle.is_in(name.as_bytes()));
        if is_in_all {
            return ALL;
        }
        let mut bits = rows.apps | rows.owners;
        if let Some(protocols) = &self.protocols {
            bits |= rows.pick(|hot| protocols.of(hot));
        }
        if let Some(ports) = &self.ports {
            bits |= rows.pick(|hot| ports.has(hot.key.ports[0]) | ports.has(hot.key.ports[1]));
        }
        if let Some(sets) = &self.services {
            bits |= rows.pick(|hot| is_called(sets, hot));
        }
        if let Some(address) = &self.address {
            bits |= rows.pick(|hot| address.may_be_in(&hot.key));
        }
        bits
    }
}

impl Ends {
    /// Returns whether one of these ends is among `found`, which are the low and the high one.
    #[inline(always)]
    fn any(self, hot: &Hot, [low, high]: [bool; 2]) -> bool {
        match self {
            Self::Both => low | high,
            Self::Local => [low, high][hot.roles.subject()],
            Self::Remote => [high, low][hot.roles.subject()],
        }
    }
}

/// Returns whether the port that was called is in the set of the flow's protocol.
#[inline]
fn is_called(sets: &[NumberSet; 2], hot: &Hot) -> bool {
    let called = hot.key.ports[1 - hot.roles.initiator()];
    sets[usize::from(hot.key.proto != proto::TCP)].has(called)
}
