//! Who moves most, for the head of a screen.

use std::collections::HashMap;

use crate::{
    query::{
        group::{GroupName, process_of},
        rest::Rest,
        texts::Places,
    },
    snapshot::view::{Beside, Snapshot, Wanted},
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
    // Where there are too many hosts, that nobody is known is told, too.
    let too_many_hosts = snapshot.len() > MOST_FOR_HOSTS;
    let knows_owners = snapshot.looks_for_owners() && (snapshot.knows_owners() || too_many_hosts);
    if !knows_owners && too_many_hosts {
        return Vec::new();
    }
    let mut rates: HashMap<GroupName, f64> = HashMap::new();
    // Flows of one process mostly share what is known of it.
    let mut by_owner: HashMap<usize, (GroupName, f64), Places> = HashMap::default();
    // Nor do flows without an owner have many names.
    let mut last: Option<(GroupName, f64)> = None;
    let wanted = Wanted { tenants: knows_owners, rates: true, beside: Beside::Nothing, slots: u64::MAX };
    let mut rest = Rest::default();
    for worker in 0..snapshot.workers() {
        for chunk in (0..snapshot.chunks(worker)).filter(|c| snapshot.moves(worker, *c)) {
            rest.now_and_then();
            snapshot.look_at_some(worker, chunk, wanted, |_, flow| {
                let (down, up) = flow.seen_down_up();
                let rate = down + up;
                match flow.owner.filter(|_| knows_owners) {
                    _ if rate <= 0.0 => {}
                    Some(owner) => {
                        let key = std::ptr::from_ref(owner).addr();
                        by_owner.entry(key).or_insert_with(|| (process_of(&flow, true), 0.0)).1 += rate;
                    }
                    None if knows_owners => {
                        let name = process_of(&flow, true);
                        match &mut last {
                            Some((same, sum)) if *same == name => *sum += rate,
                            _ => {
                                if let Some((name, sum)) = last.replace((name, rate)) {
                                    *rates.entry(name).or_default() += sum;
                                }
                            }
                        }
                    }
                    None => {
                        let name = GroupName::Host(flow.addresses()[flow.remote()]);
                        *rates.entry(name).or_default() += rate;
                    }
                }
            });
        }
    }
    for (name, rate) in by_owner.into_values().chain(last) {
        *rates.entry(name).or_default() += rate;
    }
    let mut shares: Vec<Share> = rates.into_iter().map(|(name, rate)| Share { name, rate }).collect();
    shares.sort_unstable_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.name.cmp(&b.name)));
    shares.truncate(MOST_SHARES);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::time::{Nanos, Stamp},
        flow::entry::{Evidence, Roles},
        snapshot::sample,
    };

    #[test]
    fn v3_where_no_owner_is_known_and_hosts_are_many_that_is_told() {
        for (rows, expected) in [(10, 8), (MOST_FOR_HOSTS + 1, 1)] {
            let rows: Vec<_> = (0..rows as u32)
                .map(|n| {
                    let end = |n: u32| (std::net::IpAddr::V4(n.into()), 1000);
                    let mut record = sample::record([end(0x0a00_0001), end(0x0b00_0000 + n)], 6);
                    record.hot.roles = Roles::new(0, Evidence::Handshake, [true, false]);
                    (record, [1.0, 2.0])
                })
                .collect();
            let mut snapshot = sample::of_rows(&rows, Nanos::from_secs(1), Stamp(0));
            snapshot.owner_method.method = "proc";
            let shares = shares(&snapshot);
            assert_eq!(shares.len(), expected);
            if expected == 1 {
                let all = Share { name: GroupName::Unknown, rate: 3.0 * rows.len() as f64 };
                assert_eq!(shares, [all]);
            }
        }
    }
}
