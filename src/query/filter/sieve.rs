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
//! | anything else, `not` | all |

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
    snapshot::chunk_rows::ChunkRows,
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
            Self::Ports(ends, set) => rows.pick(|hot| {
                let [low, high] = hot.key.ports.map(|port| set.has(port));
                match ends {
                    Ends::Both => low | high,
                    Ends::Local => [low, high][hot.roles.subject()],
                    Ends::Remote => [high, low][hot.roles.subject()],
                }
            }),
            Self::Protocol(table) => rows.pick(|hot| table.of(hot)),
            Self::Service(sets) => rows.pick(|hot| is_called(sets, hot)),
            // Names of an address are those that its application told.
            Self::Address(_, word, ..) => rows.apps | rows.pick(|hot| word.may_be_in(&hot.key)),
            Self::App(..) => rows.apps,
            Self::Owner(field, probe, _) => {
                let of_nobody = || Unowned::ALL.iter().any(|none| probe.holds(none.text().as_bytes()));
                if *field == Field::Process && of_nobody() { ALL } else { rows.owners }
            }
            Self::Word(word) => word.sieve(rows, around),
            Self::Not(_)
            | Self::State(_)
            | Self::Direction(_)
            | Self::Number(..)
            | Self::Range(..)
            | Self::Network(..)
            | Self::Text(..) => ALL,
        }
    }
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

/// Returns whether the port that was called is in the set of the flow's protocol.
#[inline]
fn is_called(sets: &[NumberSet; 2], hot: &Hot) -> bool {
    let called = hot.key.ports[1 - hot.roles.initiator()];
    sets[usize::from(hot.key.proto != proto::TCP)].has(called)
}
