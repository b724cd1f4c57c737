//! Snapshots made from given records, for the tests, benches and demonstrations of readers.
//!
//! The rows pass through real slabs and a real freeze; only the worker that would have filled
//! them is missing. Counters that follow from the rows are set, all others start at zero.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::{
    base::{
        counters::{Accounts, Volume},
        ids::{Epoch, FlowId},
        time::{Nanos, Stamp},
    },
    flow::{
        entry::{Facts, FlowRecord, WideEnds},
        health::Health,
        slab::{CHUNK, Frozen, Record, Slab, no_advice},
        table::FrozenFlows,
    },
    packet::key::{Extension, kind},
    process::{lookup::OwnerStatus, owner::Owner},
    snapshot::{
        app::App,
        history::History,
        side::SideView,
        view::{RateList, Snapshot, Totals, WorkerView},
    },
};

/// Returns one epoch whose only worker holds `rows`, each with its bytes per second by sender.
///
/// Row n stands in slot n and has the generation that its facts say. Totals and accounts are
/// those of the rows; the caller may change them, as they are public.
pub fn of_rows(rows: &[(FlowRecord, [f32; 2])], now: Nanos, wall: Stamp) -> Snapshot {
    // Each epoch has versions of its own, as if all of it had changed.
    static EPOCHS: AtomicU32 = AtomicU32::new(2);
    build(rows, (0, EPOCHS.fetch_add(1, Ordering::Relaxed)), now, wall)
}

/// Returns the epoch after another one of this function, in which only rows from `changed` on
/// differ (those of the last epoch of this function with `changed` 0 count as before).
pub fn of_rows_changed(rows: &[(FlowRecord, [f32; 2])], changed: usize, now: Nanos, wall: Stamp) -> Snapshot {
    build(rows, (changed, u32::from(changed > 0)), now, wall)
}

/// Makes an epoch; chunks from the first number's row on have versions that are higher by
/// the second.
fn build(rows: &[(FlowRecord, [f32; 2])], versions: (usize, u32), now: Nanos, wall: Stamp) -> Snapshot {
    let len = rows.len();
    // Where rows stay the same, so does what is known of them.
    let tenants = if versions.0 == 0 { versions.1 } else { 0 };
    let live = rows.iter().filter(|(r, _)| r.hot.is_live());
    let mut flows = Volume::default();
    let mut totals = Totals { opened: len as u64, ..Totals::default() };
    for (record, rate) in live {
        let subject = record.hot.roles.subject();
        // Tests of readers try counters at their limits.
        let frames = sum(&record.hot.frames);
        flows.frames = flows.frames.saturating_add(frames);
        flows.packets = sum(&[flows.packets, frames, sum(&record.facts.extra_packets)]);
        flows.bytes = flows.bytes.saturating_add(sum(&record.hot.bytes));
        totals.flows += 1;
        totals.down += f64::from(rate[1 - subject]);
        totals.up += f64::from(rate[subject]);
    }
    let rates: Vec<_> = rows.iter().map(|(_, rate)| *rate).collect();
    let mut history = History::default();
    history.push(now, Nanos::from_secs(1), [totals.down, totals.up, 0.0]);
    let worker = WorkerView {
        flows: Box::new(FrozenFlows {
            hot: freeze(rows.iter().map(|(r, _)| r.hot), len, versions),
            origins: freeze(rows.iter().map(|(r, _)| r.facts.origin()), len, versions),
            round_trips: freeze(rows.iter().map(|(r, _)| r.facts.round_trip()), len, versions),
            tallies: freeze(rows.iter().map(|(r, _)| r.facts.tally()), len, versions),
            ends: freeze(rows.iter().map(|(r, _)| WideEnds(r.wide.ends)), len, versions),
            extensions: freeze(rows.iter().map(|(r, _)| r.wide.extension), len, versions),
            tracks: None,
        }),
        rates: RateList { shown: rates.clone(), seen: rates, versions: Vec::new() },
        apps: SideView::counted_from(tenants),
        owners: SideView::counted_from(tenants),
    };
    Snapshot {
        epoch: Epoch(1),
        now,
        wall,
        accounts: Accounts { taken: flows, flows, ..Accounts::default() },
        totals,
        history: Arc::new(history),
        sources: Vec::new(),
        stages: Vec::new(),
        owner_method: OwnerStatus::default(),
        resolver: None,
        epochs_skipped: 0,
        inspections: crate::dpi::inspector::InspectorCounts::default(),
        facts_lost: 0,
        ended: false,
        asked: None,
        workers: vec![worker],
    }
}

/// Says what the row in `slot` of [`of_rows`] speaks.
pub fn set_app(snapshot: &mut Snapshot, slot: usize, app: App) {
    let view = &mut snapshot.workers[0];
    let generation = view.flows.origins.get(slot as u32).generation;
    view.apps.put(slot as u32, generation, Arc::new(app));
}

/// Says who owns the row in `slot` of [`of_rows`].
pub fn set_owner(snapshot: &mut Snapshot, slot: usize, owner: impl Into<Arc<Owner>>) {
    let view = &mut snapshot.workers[0];
    let generation = view.flows.origins.get(slot as u32).generation;
    view.owners.put(slot as u32, generation, owner.into());
}

/// Says what its worker knows of the row in `slot` of [`of_rows`], as if it had been asked for.
pub fn set_health(snapshot: &mut Snapshot, slot: usize, health: Health) {
    let generation = snapshot.workers[0].flows.origins.get(slot as u32).generation;
    snapshot.asked = Some((FlowId::new(0, slot as u32, generation), health));
}

/// Returns the id that row `slot` of [`of_rows`] has with these facts.
pub fn id_of(slot: usize, facts: &Facts) -> FlowId {
    FlowId::new(0, slot as u32, facts.generation)
}

/// Returns a record of an IPv4 or IPv6 flow between two ends in canonical order.
pub fn record(ends: [(std::net::IpAddr, u16); 2], proto: u8) -> FlowRecord {
    let mut record = FlowRecord::default();
    let key = &mut record.hot.key;
    key.proto = proto;
    key.ports = ends.map(|(_, port)| port);
    key.kind = kind::LIVE;
    match ends.map(|(address, _)| address) {
        [std::net::IpAddr::V4(low), std::net::IpAddr::V4(high)] => {
            key.ends = u64::from(u32::from(low)) << 32 | u64::from(u32::from(high));
        }
        [low, high] => {
            key.kind |= kind::V6;
            record.wide.ends = [low, high].map(|a| match a {
                std::net::IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
                std::net::IpAddr::V6(a) => a.octets(),
            });
            record.wide.extension = Extension::default();
        }
    }
    record
}

fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |sum, n| sum.saturating_add(*n))
}

fn freeze<T: Record>(records: impl Iterator<Item = T>, len: usize, (from, ahead): (usize, u32)) -> Frozen<T> {
    let mut slab = Slab::<T>::new(len, no_advice).expect("a sample is small");
    let mut frozen = Frozen::with_capacity(len);
    for (slot, record) in records.enumerate() {
        if slot == from / CHUNK * CHUNK {
            // A version is the number of freezes before the chunk was written to.
            for _ in 0..ahead {
                slab.release();
                slab.freeze(&mut frozen);
            }
        }
        slab.extend_to(slot + 1);
        *slab.get_mut(slot as u32) = record;
    }
    // Nobody reads what was frozen on the way.
    slab.release();
    slab.freeze(&mut frozen);
    frozen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::key::proto;

    #[test]
    fn rows_come_back_as_they_were_given() {
        let end = |s: &str, port| (s.parse().unwrap(), port);
        let rows = [
            (record([end("10.0.0.1", 443), end("10.0.0.2", 5000)], proto::TCP), [1.0, 2.0]),
            (record([end("2001:db8::1", 1), end("2001:db8::2", 2)], proto::UDP), [3.0, 4.0]),
        ];
        let snapshot = of_rows(&rows, Nanos::from_secs(1), Stamp(0));
        let mut seen = Vec::new();
        snapshot.scan(|at, _, _| seen.push(snapshot.row(at)));
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].addresses[1].to_string(), "10.0.0.2");
        assert_eq!(seen[1].addresses[1].to_string(), "2001:db8::2");
        assert_eq!(seen[1].rate, [3.0, 4.0]);
        assert_eq!(snapshot.find(seen[1].id).map(|at| snapshot.row(at).ports), Some([1, 2]));
        assert!(snapshot.accounts.conserved());
    }
}
