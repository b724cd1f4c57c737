//! Queries over a million rows: every order, a filter by numbers, plain words. At first (budget
//! 50 ms), and the same again at the next epoch when few rows changed (budget 5 ms). Half of the rows
//! speak TLS with one of 20,000 names, all have one of 500 owners.

use std::{hint::black_box, net::Ipv4Addr, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rustnet::{
    base::time::{Nanos, Stamp},
    dpi::{fact::Fact, service::Service},
    flow::{
        entry::{Evidence, FlowRecord, Roles},
        services::service_name,
        state::FlowState,
    },
    process::owner::Owner,
    query::{
        filter::{eval::Filter, parse},
        finder::Finder,
        sort::{SORTS, Sort, SortBy},
        window::{Cursor, Request},
    },
    snapshot::{app::App, sample, view::Snapshot},
};

const ROWS: u64 = 1_000_000;

/// splitmix64: repeatable numbers.
fn mix(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ z >> 31
}

fn rows() -> Vec<(FlowRecord, [f32; 2])> {
    (0..ROWS)
        .map(|n| {
            let low = Ipv4Addr::from(0x0a00_0001_u32);
            let high = Ipv4Addr::from(0x2000_0000 + mix(n) as u32 % 0x9000_0000);
            let port = 1024 + (mix(n + 7) % 60_000) as u16;
            let mut r = sample::record([(low.into(), port), (high.into(), [443, 80, 53][n as usize % 3])], 6);
            r.hot.state = FlowState::ALL[(mix(n + 1) % 12) as usize];
            r.hot.roles = Roles::new(0, Evidence::Handshake, [true, false]);
            r.hot.bytes = [mix(n + 2) % 1_000_000, mix(n + 3) % 1_000_000_000];
            r.facts.first = Stamp(1_000_000_000 + mix(n + 4) % 1_000_000_000);
            r.facts.rtt_data_us = (mix(n + 5) % 100_000) as u32;
            (r, [(mix(n + 6) % 3_000_000) as f32, 0.0])
        })
        .collect()
}

fn request(sort: SortBy, filter: Option<&str>) -> Request {
    let filter = filter.map(|text| {
        let parsed = parse(text).expect("the bench's filters can be read");
        Arc::new(Filter::new(parsed.expr.expect("and have terms"), Some(service_name)))
    });
    Request {
        cursor: Cursor::First,
        margin: 150,
        sort: Sort::by(sort),
        filter,
        services: Some(service_name),
        exact: true,
        serial: 1,
        ..Request::default()
    }
}

/// Says what the rows speak and who owns them.
fn tenants(mut snapshot: Snapshot) -> Snapshot {
    let owner = |n: u32| {
        let name = format!("process-{}", n % 50).into();
        let exe = Some(format!("/usr/lib/programs/process-{}", n % 50).into());
        Arc::new(Owner { name, exe, pid: Some(1000 + n), uid: Some(n % 5), ..Owner::default() })
    };
    let owners: Vec<_> = (0..500).map(owner).collect();
    for n in 0..ROWS as usize {
        sample::set_owner(&mut snapshot, n, Arc::clone(&owners[(mix(n as u64 + 8) % 500) as usize]));
        if n % 2 == 0 {
            let mut app = App::of(Service::Tls);
            app.learn(Fact::Sni, format!("host{}.cdn.example.com", mix(n as u64 + 9) % 20_000).as_bytes());
            app.learn(Fact::Alpn, b"h2");
            app.learn(Fact::TlsVersion, b"1.3");
            sample::set_app(&mut snapshot, n, app);
        }
    }
    snapshot
}

/// The same rows, but for one in a thousand, all in a few chunks as new flows are.
fn next_epoch(rows: &[(FlowRecord, [f32; 2])]) -> Snapshot {
    let mut rows = rows.to_vec();
    for (record, _) in rows.iter_mut().rev().take(1000) {
        record.hot.bytes[0] += 1500;
    }
    tenants(sample::of_rows_changed(&rows, rows.len() - 1000, Nanos::from_secs(1), Stamp(3_000_000_000)))
}

fn query(c: &mut Criterion) {
    let rows = rows();
    let first = tenants(sample::of_rows_changed(&rows, 0, Nanos::from_secs(1), Stamp(3_000_000_000)));
    let second = next_epoch(&rows);
    let mut group = c.benchmark_group("query");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.sample_size(10);
    let sorts = SORTS.iter().map(|row| (format!("sort/{}", row.name), request(row.by, None)));
    let filters = ["rate>1M not dport:443", "443", "google", "10.0.0", "sni:host77", "process:-7"]
        .map(|text| (format!("filter/{text}"), request(SortBy::Created, Some(text))));
    for (name, request) in sorts.chain(filters) {
        group.bench_function(format!("first/{name}"), |b| {
            // Memory and ranks of ports are there from the queries before.
            let mut finder = Finder::default();
            let mut serial = 1;
            finder.find(&first, &request);
            b.iter(|| {
                serial += 1;
                let view = finder.find(black_box(&first), &Request { serial, ..request.clone() });
                assert!(view.all == ROWS as usize);
                view
            });
        });
        group.bench_function(format!("again/{name}"), |b| {
            let mut finder = Finder::default();
            let mut turn = false;
            finder.find(&first, &request);
            b.iter_batched(
                || {
                    turn = !turn;
                    turn
                },
                |turn| finder.find(black_box(if turn { &second } else { &first }), &request),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, query);
criterion_main!(benches);
