//! How many connections there are of each state and protocol, and how their round trips are spread.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    base::time::Nanos,
    query::{column, rest::Rest},
    snapshot::view::Snapshot,
};

/// A count of all connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Census {
    /// States with their connections, most first.
    pub states: Vec<(&'static str, u64)>,
    /// Protocols, those that move most first.
    pub protocols: Vec<Protocol>,
    /// Round trips of TCP connections.
    pub round_trips: Spread,
}

/// What one protocol moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Protocol {
    /// Its name, as the column has it.
    pub name: Cow<'static, str>,
    /// Its connections.
    pub flows: u64,
    /// Bytes per second, both ways.
    pub rate: f64,
    /// Bytes since each began, both ways.
    pub bytes: u64,
}

/// Where the middle and the far end of many spans lie, to a hundredth of themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many spans there are.
    pub count: u64,
    /// Half of them are shorter.
    pub p50: Nanos,
    /// Nine of ten are shorter.
    pub p90: Nanos,
    /// 99 of 100 are shorter.
    pub p99: Nanos,
}

/// Classes of spans for each doubling of their microseconds: as many as tell a hundredth.
const STEPS: u64 = 64;
/// Shorter spans have a class for each microsecond.
const EXACT: u64 = 2 * STEPS;
/// Classes of spans up to 2^32 us.
const CLASSES: usize = (EXACT + (32 - EXACT.ilog2() as u64) * STEPS) as usize;

impl Census {
    /// Counts. Costs a look at every connection.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut states: HashMap<&'static str, u64> = HashMap::new();
        let mut protocols: HashMap<(u8, u8), Protocol> = HashMap::new();
        let mut classes = vec![0_u64; CLASSES];
        let mut rest = Rest::default();
        for worker in 0..snapshot.workers() {
            for chunk in 0..snapshot.chunks(worker) {
                rest.now_and_then();
                snapshot.look_at(worker, chunk, |_, flow| {
                    *states.entry(flow.state_text()).or_default() += 1;
                    let key = &flow.hot.key;
                    let of = protocols.entry((key.proto, key.kind)).or_insert_with(|| Protocol {
                        name: column::protocol_of(key),
                        ..Protocol::default()
                    });
                    let (down, up) = flow.seen_down_up();
                    of.flows += 1;
                    of.rate += down + up;
                    of.bytes = of.bytes.saturating_add(flow.bytes());
                    if let Some(rtt) = flow.rtt() {
                        classes[class(rtt)] += 1;
                    }
                });
            }
        }
        let mut states: Vec<_> = states.into_iter().collect();
        states.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        Self { states, protocols: by_name(protocols.into_values()), round_trips: spread(&classes) }
    }
}

/// Chunks that a sample looks at, at most.
const SAMPLED: usize = 1024;

impl Spread {
    /// Returns how round trips are spread, by a look at some 65,000 connections, evenly over the tables.
    pub fn sampled(snapshot: &Snapshot) -> Self {
        let all: usize = (0..snapshot.workers()).map(|worker| snapshot.chunks(worker)).sum();
        let step = all.div_ceil(SAMPLED).max(1);
        let mut classes = vec![0_u64; CLASSES];
        for worker in 0..snapshot.workers() {
            for chunk in (0..snapshot.chunks(worker)).step_by(step) {
                for rtt in snapshot.round_trips(worker, chunk) {
                    classes[class(rtt)] += 1;
                }
            }
        }
        spread(&classes)
    }
}

/// Kinds of keys of one protocol together.
fn by_name(all: impl Iterator<Item = Protocol>) -> Vec<Protocol> {
    let mut out: Vec<Protocol> = Vec::new();
    for one in all {
        match out.iter_mut().find(|p| p.name == one.name) {
            Some(sum) => {
                sum.flows += one.flows;
                sum.rate += one.rate;
                sum.bytes = sum.bytes.saturating_add(one.bytes);
            }
            None => out.push(one),
        }
    }
    out.sort_unstable_by(|a, b| {
        b.rate.total_cmp(&a.rate).then(b.bytes.cmp(&a.bytes)).then_with(|| a.name.cmp(&b.name))
    });
    out
}

fn class(span: Nanos) -> usize {
    let us = span.0 / 1000;
    let doublings = us.max(EXACT).ilog2() - EXACT.ilog2();
    // Below EXACT the number itself, else its first seven bits behind those of shorter spans.
    let class = (us >> doublings >> u32::from(us >= EXACT)) + u64::from(us >= EXACT) * STEPS;
    (class + u64::from(doublings) * STEPS).min(CLASSES as u64 - 1) as usize
}

/// Returns the middle of a class.
fn middle(class: usize) -> Nanos {
    let class = class as u64;
    if class < EXACT {
        return Nanos(class * 1000);
    }
    let (doublings, step) = ((class - EXACT) / STEPS + 1, (class - EXACT) % STEPS);
    Nanos(((STEPS + step) << doublings) * 1000 + (500 << doublings))
}

fn spread(classes: &[u64]) -> Spread {
    let count: u64 = classes.iter().sum();
    let at = |part: f64| {
        let wanted = (count as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = classes.iter().position(|n| {
            seen += n;
            seen >= wanted
        });
        found.map_or(Nanos(0), middle)
    };
    Spread { count, p50: at(0.5), p90: at(0.9), p99: at(0.99) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::time::Stamp, flow::state::FlowState, snapshot::sample};

    #[test]
    fn v10_states_protocols_and_round_trips_are_counted() {
        let end = |n: u64| -> (std::net::IpAddr, u16) {
            (format!("10.0.{}.{}", n / 200, n % 200).parse().unwrap(), 9)
        };
        let rows: Vec<_> = (1..=100_u64)
            .map(|n| {
                let mut r = sample::record([end(0), end(n)], if n <= 10 { 17 } else { 6 });
                r.hot.state = if n <= 10 { FlowState::Udp } else { FlowState::Established };
                if n > 10 {
                    r.facts.rtt_data_us = n as u32 * 1000;
                }
                (r, [if n <= 10 { 5000.0 } else { 1.0 }, 0.0])
            })
            .collect();
        let census = Census::of(&sample::of_rows(&rows, Nanos(0), Stamp(1)));
        assert_eq!(census.states[0], ("ESTABLISHED", 90));
        assert_eq!(census.states.iter().map(|s| s.1).sum::<u64>(), 100);
        let named: Vec<_> = census.protocols.iter().map(|p| (&*p.name, p.flows, p.rate)).collect();
        assert_eq!(named, [("UDP", 10, 50_000.0), ("TCP", 90, 90.0)]);
        let near = |span: Nanos, ms: u64| {
            let apart = span.0 as f64 / (ms as f64 * 1e6);
            assert!((0.99..1.01).contains(&apart), "{span:?} is not near {ms} ms");
        };
        assert_eq!(census.round_trips.count, 90);
        near(census.round_trips.p50, 55);
        near(census.round_trips.p99, 100);
        // Classes follow one another without a gap, and each holds what lies within a hundredth of its middle.
        let mut before = 0;
        for us in (1..1_000_000_u64).chain([u64::from(u32::MAX), u64::from(u32::MAX) + 1, 1 << 40]) {
            let class = class(Nanos(us * 1000));
            assert!(class == before || class == before + 1 || us > 999_999, "{us}");
            before = class;
            if us <= u64::from(u32::MAX) {
                let apart = middle(class).0 as f64 / (us * 1000) as f64;
                assert!((0.99..1.01).contains(&apart), "{us} {apart}");
            }
        }
        assert_eq!(Spread::sampled(&sample::of_rows(&rows, Nanos(0), Stamp(1))), census.round_trips);
    }

    #[test]
    fn a_sample_of_many_round_trips_is_near_them_all() {
        let end = |n: u32| -> (std::net::IpAddr, u16) { (std::net::Ipv4Addr::from(n).into(), 9) };
        let rows: Vec<_> = (0..200_000_u32)
            .map(|n| {
                let mut r = sample::record([end(1), end(0x2000_0000 + n)], 6);
                r.facts.rtt_handshake_us = 1000 + n.wrapping_mul(2_654_435_761) % 99_000;
                (r, [0.0; 2])
            })
            .collect();
        let snapshot = sample::of_rows(&rows, Nanos(0), Stamp(1));
        let (all, some) = (Census::of(&snapshot).round_trips, Spread::sampled(&snapshot));
        assert!(some.count < all.count && some.count > 40_000, "{some:?}");
        for (some, all) in [(some.p50, all.p50), (some.p99, all.p99)] {
            let apart = some.0 as f64 / all.0 as f64;
            assert!((0.9..1.1).contains(&apart), "{some:?} {all:?}");
        }
    }
}
