//! Who moves most, for the head of a screen.

use std::collections::HashMap;

use crate::{
    query::{
        group::{GroupName, process_of},
        rest::Rest,
        texts::Places,
    },
    snapshot::view::Snapshot,
};

/// A part of the traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Whose it is; escape it where it is shown.
    pub name: GroupName,
    /// Bytes per second, both ways.
    pub rate: f64,
}

/// Parts of the traffic that are told.
const MOST_SHARES: usize = 8;
/// Of more rows than these hosts are not summed up for the head.
const MOST_FOR_HOSTS: usize = 20_000;
/// Returns who moves most: by process where owners are known, else by host.
pub fn shares(snapshot: &Snapshot) -> Vec<Share> {
    let knows_owners = snapshot.looks_for_owners() && snapshot.knows_owners();
    if !knows_owners && snapshot.len() > MOST_FOR_HOSTS {
        return Vec::new();
    }
    let mut rates: HashMap<GroupName, f64> = HashMap::new();
    // Flows of one process mostly share what is known of it.
    let mut by_owner: HashMap<usize, (GroupName, f64), Places> = HashMap::default();
    let mut rest = Rest::default();
    for worker in 0..snapshot.workers() {
        for chunk in (0..snapshot.chunks(worker)).filter(|c| snapshot.moves(worker, *c)) {
            rest.now_and_then();
            snapshot.look_at(worker, chunk, |_, flow| {
                let (down, up) = flow.seen_down_up();
                let rate = down + up;
                match flow.owner.filter(|_| knows_owners) {
                    _ if rate <= 0.0 => {}
                    Some(owner) => {
                        let key = std::ptr::from_ref(owner).addr();
                        by_owner.entry(key).or_insert_with(|| (process_of(&flow, true), 0.0)).1 += rate;
                    }
                    None if knows_owners => *rates.entry(process_of(&flow, true)).or_default() += rate,
                    None => {
                        let name = GroupName::Host(flow.addresses()[flow.remote()]);
                        *rates.entry(name).or_default() += rate;
                    }
                }
            });
        }
    }
    for (name, rate) in by_owner.into_values() {
        *rates.entry(name).or_default() += rate;
    }
    let mut shares: Vec<Share> = rates.into_iter().map(|(name, rate)| Share { name, rate }).collect();
    shares.sort_unstable_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.name.cmp(&b.name)));
    shares.truncate(MOST_SHARES);
    shares
}
