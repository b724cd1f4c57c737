//! Windows against the whole order, epoch by epoch.

use std::net::Ipv4Addr;

use super::*;
use crate::{
    base::time::Stamp,
    dpi::{fact::Fact, service::Service},
    flow::{
        entry::{Evidence, FlowRecord, Roles},
        state::{EndReason, FlowState},
    },
    process::owner::Owner,
    query::{
        column::{self, Look},
        filter::{eval::Filter, parse},
        group::{GroupBy, GroupName, GroupSort},
        kept::Kept,
        sort::{SORTS, Sort},
        window::Localhost,
    },
    snapshot::{app::App, sample},
};

/// `count` rows whose order of creation is a permutation of their slots; every eighth stamp
/// is shared by two.
fn records(count: u32) -> Vec<(FlowRecord, [f32; 2])> {
    (0..count)
        .map(|n| {
            let low = Ipv4Addr::from(0x0a00_0000 + n);
            let high = Ipv4Addr::from(0xc000_0200_u32);
            let mut r = sample::record([(low.into(), 1000), (high.into(), 443)], 6);
            let turn = (u64::from(n) * 7919) % u64::from(count);
            r.facts.first = Stamp((turn - u64::from(turn % 8 == 1)) * 1000);
            r.facts.generation = n;
            r.hot.state = FlowState::Established;
            (r, [0.0; 2])
        })
        .collect()
}

fn snapshot(records: &[(FlowRecord, [f32; 2])]) -> Snapshot {
    sample::of_rows(records, Nanos(0), Stamp(1_000_000_000))
}

fn in_order(records: &[(FlowRecord, [f32; 2])]) -> Vec<FlowId> {
    let mut all: Vec<_> = records
        .iter()
        .enumerate()
        .filter(|(_, r)| r.0.hot.is_live())
        .map(|(n, (r, _))| (r.facts.first, r.hot.key.ends, sample::id_of(n, &r.facts)))
        .collect();
    all.sort_unstable();
    all.into_iter().map(|(_, _, id)| id).collect()
}

fn ids(view: &View) -> Vec<FlowId> {
    view.rows.iter().map(|r| r.id).collect()
}

#[test]
fn a_window_is_a_piece_of_the_whole_order() {
    let records = records(1009);
    let snapshot = snapshot(&records);
    let all = in_order(&records);
    let mut finder = Finder::default();
    for (cursor, first, end, selected) in [
        (Cursor::First, 0, 21, 0),
        (Cursor::Last, 988, 1009, 1008),
        (Cursor::At(500), 480, 521, 500),
        (Cursor::At(5000), 988, 1009, 1008),
        (Cursor::On(all[77]), 57, 98, 77),
    ] {
        let view = finder.find(&snapshot, &Request { cursor, margin: 20, ..Request::default() });
        assert_eq!((view.first, view.selected), (first, Some(selected)), "{cursor:?}");
        assert_eq!(ids(&view), all[first..end], "{cursor:?}");
        assert_eq!(view.len, 1009);
    }
}

#[test]
fn a_selected_row_that_ends_keeps_its_place() {
    let mut records = records(101);
    let all = in_order(&records);
    let before = snapshot(&records);
    let cursor = Cursor::On(all[50]);
    let row = before.row(before.find(all[50]).unwrap());
    records[all[50].slot() as usize].0 = FlowRecord::default();
    let mut after = snapshot(&records);
    after.wall = Stamp(601_000_000_000);
    let keep = Some(Kept { row, ended: None });
    let mut request = Request { cursor, margin: 3, keep, ..Request::default() };
    let mut finder = Finder::default();
    let view = finder.find(&after, &request);
    assert_eq!((view.len, view.places(), view.selected), (100, 101, Some(50)));
    assert_eq!(ids(&view), all[47..54]);
    let gone = view.gone.unwrap();
    assert_eq!(gone.ended, Some((after.wall, Some(EndReason::Timeout))));

    // The time of the end is that of the first epoch without it.
    request.keep = Some(gone.clone());
    let mut later = snapshot(&records);
    later.wall = Stamp(700_000_000_000);
    assert_eq!(finder.find(&later, &request).gone.unwrap().ended, gone.ended);

    // Without a row to keep, a lost selection starts over.
    request.keep = None;
    assert_eq!(finder.find(&later, &request).selected, Some(0));
}

#[test]
fn connections_with_itself_can_be_hidden() {
    let end = |s: &str| (s.parse().unwrap(), 80);
    let ours = Roles::new(0, Evidence::Handshake, [true, true]);
    let rows: Vec<_> = [
        (["127.0.0.1", "127.0.0.53"], Roles::default(), true),
        (["10.0.0.1", "10.0.0.1"], ours, true),
        (["10.0.0.1", "10.0.0.1"], Roles::default(), false),
        (["10.0.0.1", "10.0.0.2"], ours, false),
        (["127.0.0.1", "128.0.0.1"], ours, false),
        (["::1", "::1"], ours, true),
        (["2001:db8::1", "2001:db8::1"], ours, true),
        (["2001:db8::1", "2001:db8::2"], ours, false),
    ]
    .into_iter()
    .map(|(ends, roles, hidden)| {
        let mut r = sample::record(ends.map(end), 6);
        r.hot.roles = roles;
        r.facts.vlan = u16::from(hidden);
        (r, [0.0; 2])
    })
    .collect();
    let snapshot = snapshot(&rows);
    let request = Request { margin: 10, localhost: Localhost::Hide, ..Request::default() };
    let view = Finder::default().find(&snapshot, &request);
    assert_eq!((view.len, view.hidden), (4, 4));
    assert!(view.rows.iter().all(|r| r.vlan.is_none()));
    let shown = Finder::default().find(&snapshot, &Request { margin: 10, ..Request::default() });
    assert_eq!((shown.len, shown.hidden), (8, 0));
}

/// Rows with all kinds of states, ports, rates and owners, some addresses twice.
fn mixed(count: u32) -> Snapshot {
    let rows: Vec<_> = records(count)
        .into_iter()
        .enumerate()
        .map(|(n, (mut r, _))| {
            let n = n as u64;
            let mix = |salt: u64| (n + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            r.hot.state = FlowState::ALL[(mix(1) % 23) as usize];
            r.hot.key.proto = [6, 17, 1][(mix(2) % 3) as usize];
            r.hot.key.ports = [1000 + (mix(3) % 7) as u16, [443, 80, 22][(mix(4) % 3) as usize]];
            r.hot.bytes = [mix(5) % 50, mix(6)];
            r.facts.rtt_data_us = (mix(7) % 9) as u32;
            r.facts.retransmits = [(mix(8) % 4) as u32, 0];
            (r, [(mix(9) % 5) as f32, mix(10) as f32])
        })
        .collect();
    let mut snapshot = snapshot(&rows);
    snapshot.owner_method.method = "bpf";
    for n in 0..count as usize {
        if n % 3 == 0 {
            let mut app = App::of(Service::ALL[n % 50]);
            app.learn(Fact::Sni, format!("host{}.example", n % 17).as_bytes());
            sample::set_app(&mut snapshot, n, app);
        }
        if n % 4 == 0 {
            let name = ["nginx", "firefox", "Sshd"][n % 3].into();
            sample::set_owner(&mut snapshot, n, Owner { name, pid: Some(n as u32 % 9), ..Owner::default() });
        }
    }
    snapshot
}

fn name(_: u8, port: u16) -> Option<&'static str> {
    [(443, "https"), (22, "ssh")].into_iter().find(|(p, _)| *p == port).map(|(_, n)| n)
}

/// What a column shows, in a form that sorts as the column must.
fn shown(by: SortBy, row: &Row) -> (u64, String) {
    let look = Look {
        signs: crate::query::signs::Signs::UNICODE,
        digits: crate::query::format::Digits::Three,
        services: Some(name),
        no_owners: false,
        wall: Stamp(0),
        bits: false,
    };
    let text = |t: String| (u64::from(t.is_empty()), t.to_lowercase());
    let end = |end: usize| match row.addresses[end] {
        std::net::IpAddr::V4(a) => (u64::from(u32::from(a)) << 16 | u64::from(row.ports[end]), String::new()),
        std::net::IpAddr::V6(_) => (u64::MAX, String::new()),
    };
    match by {
        SortBy::Created => (row.first.0, String::new()),
        SortBy::Protocol => text(column::protocol(row).into_owned()),
        SortBy::Local => end(row.local()),
        SortBy::Remote => end(row.remote()),
        SortBy::State => text(row.state_text().into()),
        SortBy::Service => {
            let service = column::service(row, &look).into_owned();
            let rank = match service.parse::<u64>() {
                Ok(port) => 1000 + port,
                Err(_) if service.is_empty() => u64::MAX,
                Err(_) => 0,
            };
            (rank, service)
        }
        SortBy::Application => text(row.app.as_ref().map_or(String::new(), |a| {
            crate::query::application::application(a, row.ports, 1 - row.roles.initiator())
        })),
        SortBy::Process => match &row.owner {
            Some(o) => (0, format!("{} ({:>10})", o.name.to_lowercase(), o.pid.unwrap_or(0))),
            None => (1, String::new()),
        },
        SortBy::Down => (row.down_up().0 as u64, String::new()),
        SortBy::Up => (row.down_up().1 as u64, String::new()),
        SortBy::Rtt => (row.rtt_data.map_or(0, |r| r.0), String::new()),
        SortBy::Age => (u64::MAX - row.first.0, String::new()),
        SortBy::Total => (row.bytes[0] + row.bytes[1], String::new()),
        SortBy::Retransmits => (row.retransmits.iter().map(|n| u64::from(*n)).sum(), String::new()),
        SortBy::Left => (row.left().0 >> 20, String::new()),
    }
}

#[test]
fn so1_every_sort_orders_by_what_its_column_shows() {
    let snapshot = mixed(3000);
    for (n, sort) in SORTS.iter().enumerate() {
        for descending in [false, true] {
            let request = Request {
                margin: 5000,
                sort: Sort { by: sort.by, descending },
                services: Some(name),
                exact: true,
                serial: 2 * n as u64 + u64::from(descending),
                ..Request::default()
            };
            let mut finder = Finder::default();
            let view = finder.find(&snapshot, &request);
            assert_eq!(view.rows.len(), 3000);
            for pair in view.rows.windows(2) {
                let [a, b] = [&pair[0], &pair[1]].map(|row| (shown(sort.by, row), row.first));
                let right = match descending {
                    false => a.0 <= b.0,
                    true => a.0 >= b.0,
                };
                assert!(right, "{} descending: {descending}: {a:?} before {b:?}", sort.name);
                assert!(a.0 != b.0 || a.1 <= b.1 || sort.by == SortBy::Created, "{}: {a:?} {b:?}", sort.name);
            }
            // Any window is a piece of it.
            for at in [0, 1, 17, 1500, 2990, 2999] {
                let request = Request { cursor: Cursor::At(at), margin: 20, ..request.clone() };
                let piece = finder.find(&snapshot, &request);
                let all = &view.rows[piece.first..piece.first + piece.rows.len()];
                assert!(piece.rows.iter().zip(all).all(|(a, b)| a.id == b.id), "{} at {at}", sort.name);
                let on = Request { cursor: Cursor::On(view.rows[at].id), ..request };
                assert_eq!(finder.find(&snapshot, &on).selected, Some(at), "{}", sort.name);
            }
        }
    }
}

#[test]
fn filters_keep_the_order_and_count_what_they_hide() {
    let snapshot = mixed(1000);
    let filtered = |text: &str, serial| {
        let filter = Filter::new(parse(text).unwrap().expr.unwrap(), Some(name));
        let request = Request { margin: 5000, filter: Some(Arc::new(filter)), serial, ..Request::default() };
        Finder::default().find(&snapshot, &request)
    };
    let all = Finder::default().find(&snapshot, &Request { margin: 5000, ..Request::default() });
    let nginx = filtered("process:nginx", 1);
    assert!(nginx.len > 0 && nginx.all == 1000);
    assert!(nginx.rows.iter().all(|r| r.owner.as_ref().is_some_and(|o| &*o.name == "nginx")));
    let rest = filtered("!process:nginx", 2);
    assert_eq!(nginx.len + rest.len, all.len);
    let left: Vec<_> =
        all.rows.iter().filter(|r| rest.rows.iter().any(|o| o.id == r.id)).map(|r| r.id).collect();
    assert_eq!(ids(&rest), left);
    assert_eq!(filtered("process:nothing", 3).selected, None);
}

#[test]
fn the_same_question_at_the_next_epoch_gives_what_a_new_one_would() {
    let mut rows = records(2000);
    let filter =
        || Some(Arc::new(Filter::new(parse("port:443 !10.0.0.7 up>=0").unwrap().expr.unwrap(), None)));
    let mut kept: [Finder; 4] = Default::default();
    let mut before = rows.clone();
    for round in 0..20_u32 {
        for n in (round..2000).step_by(97) {
            let row = &mut rows[n as usize];
            match (n + round) % 4 {
                0 => row.0 = FlowRecord::default(),
                1 => row.1 = [round as f32 * 10.0, n as f32],
                2 => row.0.hot.bytes[0] += 1000,
                _ => row.0.hot.state = FlowState::TimeWait,
            }
        }
        // Every other epoch only the last rows change.
        let changed = if round % 2 == 0 { 0 } else { 1900 };
        if changed > 0 {
            rows[..changed as usize].clone_from_slice(&before[..changed as usize]);
        }
        before.clone_from(&rows);
        let mut snapshot = sample::of_rows_changed(&rows, changed as usize, Nanos(0), Stamp(1_000_000_000));
        snapshot.now = Nanos::from_secs(u64::from(round));
        if changed == 0 {
            kept = Default::default();
        }
        let sorts = [SortBy::Created, SortBy::Up, SortBy::Total, SortBy::State];
        for (kept, sort) in kept.iter_mut().zip(sorts) {
            let request = Request {
                margin: 3000,
                filter: filter(),
                sort: Sort::by(sort),
                exact: true,
                ..Request::default()
            };
            let fresh = Finder::default().find(&snapshot, &request);
            assert_eq!(ids(&kept.find(&snapshot, &request)), ids(&fresh), "{round}");
        }
    }
}

#[test]
fn another_question_about_the_same_rows_gives_what_a_new_finder_would() {
    let mut rows = records(3000);
    let filter = |text: &str| Some(Arc::new(Filter::new(parse(text).unwrap().expr.unwrap(), None)));
    let (narrow, moving) = (filter("port:443"), filter("up>20"));
    // With and without a filter, in other orders, with and without this host's own connections.
    let shows = [None, narrow.clone(), None, moving.clone(), narrow, moving, None];
    let sorts = [SortBy::Created, SortBy::Service, SortBy::Up, SortBy::Total, SortBy::Remote, SortBy::Up];
    let (mut kept, mut serial) = (Finder::default(), 0_u64);
    for round in 0..40_usize {
        // Samples know two versions: every other epoch is the first one.
        let changed = if round % 2 == 0 { 0 } else { rows.len() - 200 * (round % 5) };
        if changed == 0 {
            kept = Finder::default();
        }
        for (n, row) in rows.iter_mut().enumerate().skip(changed) {
            row.1 = [(n * round % 17) as f32, (n + round) as f32];
            row.0.hot.bytes[0] += (n % 5) as u64;
            if (n + round).is_multiple_of(7) {
                row.0 = FlowRecord::default();
            }
        }
        let snapshot = sample::of_rows_changed(&rows, changed, Nanos(0), Stamp(1_000_000_000));
        for turn in 0..4 {
            serial += 1;
            let request = Request {
                margin: 5000,
                filter: shows[(round + turn) % shows.len()].clone(),
                sort: Sort::by(sorts[(round / 3 + turn / 3) % sorts.len()]),
                localhost: if round % 5 == 4 { Localhost::Hide } else { Localhost::Show },
                services: if serial.is_multiple_of(3) { Some(name) } else { None },
                exact: true,
                serial,
                ..Request::default()
            };
            let (new, old) = (Finder::default().find(&snapshot, &request), kept.find(&snapshot, &request));
            assert_eq!(ids(&old), ids(&new), "{round} {turn}");
            let counts = |view: &View| (view.all, view.len, view.hidden, view.selected);
            assert_eq!(counts(&old), counts(&new), "{round} {turn}");
        }
    }
}

#[test]
fn ended_flows_are_rows_when_asked_for() {
    let records = records(100);
    let all = in_order(&records);
    let snapshot = snapshot(&records);
    let ended = Arc::new(EndedFlows::new(1 << 20));
    for n in 0..50_u32 {
        let mut record = records[n as usize].0;
        record.facts.first = Stamp(u64::from(n) * 2000 + 500);
        record.facts.generation = 1000 + n;
        record.id = FlowId::new(0, n, 1000 + n);
        record.end = Some(EndReason::Fin);
        ended.push(record.into());
    }
    let mut finder = Finder::with_ended(ended);
    let request = Request { margin: 500, ..Request::default() };
    assert_eq!(ids(&finder.find(&snapshot, &request)), all);
    let request = Request { ended: Some(0), serial: 1, ..request };
    let view = finder.find(&snapshot, &request);
    assert_eq!((view.len, view.rows.len(), view.ended_end), (150, 150, 50));
    assert!(view.rows.windows(2).all(|w| w[0].first <= w[1].first));
    let id = FlowId::new(0, 30, 1030);
    let on = finder.find(&snapshot, &Request { cursor: Cursor::On(id), ..request.clone() });
    assert_eq!(on.rows[on.selected.unwrap()].id, id);
    // They are part of the sums, and rows of an open group.
    let group = GroupRequest {
        by: GroupBy::Process,
        sort: GroupSort::Connections,
        flipped: false,
        open: vec![GroupName::NotLooked],
        name: None,
        place: 0,
        margin: 500,
        listening: Arc::default(),
    };
    let sums = finder.find(&snapshot, &Request { group: Some(group), ..request.clone() }).groups.unwrap();
    assert_eq!(heads(&sums).map(|g| g.flows).sum::<usize>(), 150);
    assert_eq!((sums.len, sums.lines.len()), (151, 151), "a group and its rows");
    let flows = sums.lines.iter().filter_map(|line| line.name().flow);
    assert_eq!(flows.filter(|flow| flow.generation() >= 1000).count(), 50);
    // Those that were cleared away are gone.
    let view = finder.find(&snapshot, &Request { ended: Some(40), serial: 2, ..request });
    assert_eq!(view.len, 110);
}

#[test]
fn a_frozen_view_stays_while_the_head_goes_on() {
    let mut records = records(100);
    let before = snapshot(&records);
    let mut finder = Finder::default();
    let request = Request { margin: 500, frozen: true, ..Request::default() };
    let first = finder.find(&before, &request);
    records.truncate(50);
    let mut after = snapshot(&records);
    after.totals.opened = 107;
    after.wall = Stamp(9_000_000_000);
    let second = finder.find(&after, &request);
    assert_eq!(ids(&second), ids(&first));
    assert_eq!(
        (second.wall, second.frozen.unwrap().wall, second.frozen.unwrap().new),
        (after.wall, before.wall, 7)
    );
    let live = finder.find(&after, &Request { frozen: false, ..request });
    assert_eq!((live.len, live.frozen.is_none()), (50, true));
}

fn heads(groups: &GroupView) -> impl Iterator<Item = &crate::query::group::Group> {
    groups.lines.iter().filter_map(|line| match line {
        crate::query::group::GroupLine::Group { group, .. } => Some(&**group),
        _ => None,
    })
}

#[test]
fn open_groups_show_the_rows_that_move_most() {
    let snapshot = mixed(3000);
    let group = GroupRequest {
        by: GroupBy::Process,
        sort: GroupSort::Connections,
        flipped: false,
        open: vec![GroupName::Forwarded],
        name: None,
        place: 0,
        margin: 5000,
        listening: Arc::default(),
    };
    let view = Finder::default().find(&snapshot, &Request { group: Some(group), ..Request::default() });
    let groups = view.groups.unwrap();
    let rows: Vec<_> = groups.lines.iter().filter(|l| l.name().flow.is_some()).collect();
    assert_eq!(rows.len(), 200);
    let forwarded = heads(&groups).find(|g| g.name == GroupName::Forwarded).unwrap();
    let more = groups.lines.iter().find_map(|line| match line {
        crate::query::group::GroupLine::More { count, .. } => Some(*count),
        _ => None,
    });
    assert_eq!(more, Some(forwarded.flows - 200));
    assert_eq!(groups.len, groups.groups + 201);
}

#[test]
fn groups_sum_up_to_the_whole() {
    let snapshot = mixed(500);
    let group = GroupRequest {
        by: GroupBy::Process,
        sort: GroupSort::Rate,
        flipped: false,
        open: Vec::new(),
        name: None,
        place: 0,
        margin: 100,
        listening: Arc::default(),
    };
    for by in [GroupBy::Process, GroupBy::Host] {
        let group = Some(GroupRequest { by, ..group.clone() });
        let view = Finder::default().find(&snapshot, &Request { group, ..Request::default() });
        let groups = view.groups.unwrap();
        assert_eq!(heads(&groups).map(|g| g.flows).sum::<usize>(), 500);
        let all = snapshot.totals.down + snapshot.totals.up;
        assert!((groups.sum.0 + groups.sum.1 - all).abs() < 1e-6 * all);
        assert!(heads(&groups).collect::<Vec<_>>().windows(2).all(|w| w[0].rate() >= w[1].rate()));
        assert!(!view.top.is_empty() && view.top.windows(2).all(|w| w[0].rate >= w[1].rate));
    }
}

#[test]
fn rows_of_a_group_add_up_to_its_sum() {
    use crate::query::group::GroupLine;
    let mut snapshot = mixed(150);
    // Of these nothing came within the last second; what they show falls slowly.
    snapshot.workers[0].rates.seen.iter_mut().step_by(3).for_each(|seen| *seen = [0.0; 2]);
    let group = GroupRequest {
        by: GroupBy::Process,
        sort: GroupSort::Rate,
        flipped: false,
        open: Vec::new(),
        name: None,
        place: 0,
        margin: 1000,
        listening: Arc::default(),
    };
    let find = |open: Vec<GroupName>| {
        let group = Some(GroupRequest { open, ..group.clone() });
        Finder::default().find(&snapshot, &Request { group, ..Request::default() }).groups.unwrap()
    };
    let open = heads(&find(Vec::new())).map(|group| group.name.clone()).collect();
    let (mut left, mut rows, mut before) = ([0.0_f64; 2], 0, f64::MAX);
    for line in &find(open).lines {
        match line {
            GroupLine::Group { group, .. } => {
                assert!(left.iter().all(|left| left.abs() < 0.01), "{left:?}");
                (left, before) = ([group.down, group.up], f64::MAX);
            }
            GroupLine::Row { row, .. } => {
                let (down, up) = row.seen_down_up();
                let (down, up) = (f64::from(down), f64::from(up));
                assert!(down + up <= before, "what moves most comes first");
                (left, before, rows) = ([left[0] - down, left[1] - up], down + up, rows + 1);
            }
            GroupLine::More { .. } => panic!("there are few"),
        }
    }
    assert!(left.iter().all(|left| left.abs() < 0.01) && rows == 150, "{left:?} {rows}");
}

#[test]
fn v8_what_moved_in_flows_without_a_row_is_a_group_of_its_own() {
    let mut snapshot = mixed(500);
    (snapshot.totals.gone, snapshot.totals.down, snapshot.totals.up) =
        ([700.0, 300.0], snapshot.totals.down + 700.0, snapshot.totals.up + 300.0);
    let group = GroupRequest {
        by: GroupBy::Host,
        sort: GroupSort::Rate,
        flipped: false,
        open: Vec::new(),
        name: None,
        place: 0,
        margin: 1000,
        listening: Arc::default(),
    };
    let request = Request { group: Some(group), ..Request::default() };
    let groups = Finder::default().find(&snapshot, &request).groups.unwrap();
    let gone = heads(&groups).find(|g| g.name == GroupName::Gone).unwrap();
    assert_eq!((gone.down, gone.up, gone.flows), (700.0, 300.0, 0));
    let all = snapshot.totals.down + snapshot.totals.up;
    assert!((groups.sum.0 + groups.sum.1 - all).abs() < 1e-6 * all);
    // Nobody knows whether they would be in a filter.
    let filter = Filter::new(parse("tcp").unwrap().expr.unwrap(), None);
    let request = Request { filter: Some(Arc::new(filter)), serial: 1, ..request };
    let groups = Finder::default().find(&snapshot, &request).groups.unwrap();
    assert!(heads(&groups).all(|g| g.name != GroupName::Gone));
}

#[test]
fn no_rows_give_an_empty_window() {
    let snapshot = snapshot(&[]);
    for cursor in [Cursor::First, Cursor::Last, Cursor::At(3), Cursor::On(FlowId::new(3, 9, 1))] {
        let view = Finder::default().find(&snapshot, &Request { cursor, ..Request::default() });
        assert_eq!((view.selected, view.places()), (None, 0));
    }
}

#[test]
fn a_question_that_is_given_up_leaves_nothing_wrong_behind() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    let rows: Vec<_> = (0..200_000_u32)
        .map(|n| {
            let end = |address: u32, port| (std::net::Ipv4Addr::from(address).into(), port);
            (sample::record([end(0x0a00_0001, 1000), end(0x0b00_0000 + n, (n % 7) as u16 + 1)], 6), [0.0; 2])
        })
        .collect();
    let snapshot = sample::of_rows(&rows, Nanos::from_secs(1), Stamp(0));
    let request = |sort, serial| Request { sort: Sort::by(sort), serial, margin: 50, ..Request::default() };
    let ids = |view: &View| view.rows.iter().map(|row| row.id).collect::<Vec<_>>();
    let mut finder = Finder::default();
    for (serial, steps) in [(1, 0), (2, 1), (3, 3), (4, 5), (5, usize::MAX)] {
        let looks = AtomicUsize::new(0);
        let over = || looks.fetch_add(1, Relaxed) >= steps;
        let found = finder.find_unless(&snapshot, &request(SortBy::Remote, serial), &over);
        assert_eq!(found.is_some(), steps == usize::MAX, "after {steps}");
        // The same question again is answered in full, and so is another one.
        let again = finder.find(&snapshot, &request(SortBy::Remote, serial));
        let fresh = Finder::default().find(&snapshot, &request(SortBy::Remote, 1));
        assert_eq!((again.len, ids(&again)), (rows.len(), ids(&fresh)));
        if let Some(found) = found {
            assert_eq!(ids(&found), ids(&fresh));
        }
    }
}

#[test]
fn ended_flows_keep_the_age_that_they_reached() {
    let second = |n: u64| Stamp(n * 1_000_000_000);
    let flow = |n: u8, first, last| {
        let mut record = sample::record([([10, 0, 0, n].into(), 1), ([10, 0, 1, n].into(), 2)], 6);
        (record.facts.first, record.hot.last) = (second(first), second(last));
        record
    };
    let live = [flow(1, 10, 45), flow(2, 40, 45)];
    let mut snapshot =
        sample::of_rows(&live.map(|record| (record, [0.0; 2])), Nanos::from_secs(50), second(50));
    let mut over = flow(3, 0, 30);
    (over.end, over.id) = (Some(EndReason::Fin), FlowId::new(0, 9, 9));
    let ended = Arc::new(EndedFlows::new(1 << 20));
    ended.push(over.into());
    let mut finder = Finder::with_ended(ended);
    let ages = |view: &View| view.rows.iter().map(|r| r.age(view.wall).0 / 1_000_000_000).collect::<Vec<_>>();
    let all = Request { ended: Some(0), sort: Sort::by(SortBy::Age), margin: 9, ..Request::default() };
    let expr = crate::query::filter::parse("age>25s age<35s").unwrap().expr.unwrap();
    let filter = Some(Arc::new(Filter::new(expr, None)));
    let some = Request { filter, serial: 1, ..all.clone() };
    for (wall, expected) in [(50, [40, 30, 10]), (90, [80, 50, 30])] {
        snapshot.wall = second(wall);
        assert_eq!(ages(&finder.find(&snapshot, &all)), expected, "at {wall} s");
        assert_eq!(ages(&finder.find(&snapshot, &some)), [30], "at {wall} s");
    }
    // The same look, in which only time has passed.
    snapshot.wall = second(50);
    assert_eq!(ages(&finder.find(&snapshot, &all)), [40, 30, 10]);
    snapshot.wall = second(90);
    assert_eq!(ages(&finder.find(&snapshot, &all)), [80, 50, 30]);
}

#[test]
fn so9_a_row_that_is_gone_ended_when_and_as_its_flow_did() {
    let second = |n: u64| Stamp(n * 1_000_000_000);
    let live = sample::record([([10, 0, 0, 1].into(), 1), ([10, 0, 1, 1].into(), 2)], 6);
    let mut snapshot = sample::of_rows(&[(live, [0.0; 2])], Nanos::from_secs(900), second(900));
    snapshot.wall = second(900);
    let mut over = sample::record([([10, 0, 0, 3].into(), 1), ([10, 0, 1, 3].into(), 2)], 17);
    (over.facts.first, over.hot.last, over.id) = (second(10), second(30), FlowId::new(0, 9, 9));
    for end in [EndReason::Evicted, EndReason::Replaced, EndReason::Timeout] {
        over.end = Some(end);
        let ended = Arc::new(EndedFlows::new(100));
        ended.push(over.into());
        let row = ended.list().get(0).unwrap().row();
        let at = row.ended().unwrap();
        assert!(at < second(900));
        let mut finder = Finder::with_ended(ended);
        // It was a row of those that have ended, which are hidden now; or it was open when it was seen last.
        for row in [row.clone(), Row { end: None, ..row }] {
            let keep = Some(Kept { row, ended: None });
            let request = Request { cursor: Cursor::On(over.id), keep, ..Request::default() };
            let gone = finder.find(&snapshot, &request).gone.unwrap();
            assert_eq!(gone.ended, Some((at, Some(end))));
        }
    }
}

/// The sums of all rows by host or process.
fn sums(snapshot: &Snapshot, by: GroupBy, sort: GroupSort, request: &Request) -> GroupView {
    let group = GroupRequest {
        by,
        sort,
        flipped: false,
        open: Vec::new(),
        name: None,
        place: 0,
        margin: 1000,
        listening: Arc::default(),
    };
    let request = Request { group: Some(group), ..request.clone() };
    Finder::default().find(snapshot, &request).groups.unwrap()
}

/// A row of TCP from 10.0.0.1 (ours) to an address, with its rate towards Remote.
fn moving(to: &str, port: u16, rate: f32) -> (FlowRecord, [f32; 2]) {
    let mut r = sample::record([("10.0.0.1".parse().unwrap(), port), (to.parse().unwrap(), 443)], 6);
    let low_is_ours = r.hot.key.addresses(&r.wide)[0] == "10.0.0.1".parse::<std::net::IpAddr>().unwrap();
    let ours = usize::from(!low_is_ours);
    r.hot.roles = Roles::new(ours, Evidence::Handshake, [ours == 0, ours == 1]);
    let mut rates = [0.0; 2];
    rates[ours] = rate;
    (r, rates)
}

#[test]
fn v8_what_is_hidden_counts_in_sums() {
    let end = |text: &str| (text.parse().unwrap(), 443);
    let mut local = sample::record([end("127.0.0.1"), end("127.0.0.1")], 6);
    local.hot.roles = Roles::new(0, Evidence::Handshake, [true, true]);
    let snapshot = snapshot(&[(local, [700.0, 50.0]), moving("192.0.2.1", 1000, 250.0)]);
    let hide = Request { localhost: Localhost::Hide, ..Request::default() };
    for by in [GroupBy::Host, GroupBy::Process] {
        let groups = sums(&snapshot, by, GroupSort::Rate, &hide);
        assert_eq!(groups.sum.0 + groups.sum.1, 1000.0);
        assert_eq!(groups.sum.0 + groups.sum.1, snapshot.totals.down + snapshot.totals.up);
        assert_eq!(heads(&groups).map(|g| g.flows).sum::<usize>(), 2);
    }
    // Rows they are not, also of an open group.
    let here = GroupName::Host("127.0.0.1".parse().unwrap());
    let group = GroupRequest {
        by: GroupBy::Host,
        sort: GroupSort::Rate,
        flipped: false,
        open: vec![here],
        name: None,
        place: 0,
        margin: 100,
        listening: Arc::default(),
    };
    let open = Finder::default().find(&snapshot, &Request { group: Some(group), ..hide.clone() });
    let lines = open.groups.unwrap().lines;
    assert!(lines.iter().all(|line| line.name().flow.is_none()), "{lines:?}");
    assert!(lines.iter().any(|line| matches!(line, crate::query::group::GroupLine::More { count: 1, .. })));
    // A filter holds for them as for rows.
    for (text, sum) in [("192.0.2.1", 250.0), ("127.0.0.1", 750.0)] {
        let filter = Some(Arc::new(Filter::new(parse(text).unwrap().expr.unwrap(), None)));
        let groups =
            sums(&snapshot, GroupBy::Host, GroupSort::Rate, &Request { filter, serial: 1, ..hide.clone() });
        assert_eq!(groups.sum.0 + groups.sum.1, sum, "{text}");
    }
}

#[test]
fn v8_the_top_of_a_group_is_that_of_all_its_rows_together() {
    use crate::{process::owner::Quality, query::group::Top};
    let rows = [
        moving("192.0.2.1", 1000, 105.0),
        moving("192.0.2.1", 1001, 60.0),
        moving("192.0.2.1", 1002, 50.0),
        moving("192.0.2.2", 1003, 20.0),
        moving("192.0.2.3", 1004, 30.0),
        moving("192.0.2.2", 1005, 20.0),
    ];
    let mut snapshot = snapshot(&rows);
    snapshot.owner_method.method = "bpf";
    let owner = |name: &str, pid: u32, quality| Owner {
        name: name.into(),
        pid: Some(pid),
        quality,
        ..Owner::default()
    };
    sample::set_owner(&mut snapshot, 0, owner("steady", 1, Quality::Exact));
    // Of several processes with one name, each with a quality of its own.
    sample::set_owner(&mut snapshot, 1, owner("blast", 2, Quality::Wildcard));
    sample::set_owner(&mut snapshot, 2, owner("blast", 3, Quality::Shared));
    for n in [3, 4, 5] {
        sample::set_owner(&mut snapshot, n, owner("steady", 1, Quality::Exact));
    }
    let top = |name: &str, is_doubtful| Some(Top { name: name.into(), is_doubtful });
    let hosts = sums(&snapshot, GroupBy::Host, GroupSort::Rate, &Request::default());
    let tops: Vec<_> = heads(&hosts).map(|g| g.top.clone()).collect();
    assert_eq!(tops, [top("blast", true), top("steady", false), top("steady", false)]);
    let processes = sums(&snapshot, GroupBy::Process, GroupSort::Name, &Request::default());
    let tops: Vec<_> = heads(&processes).map(|g| g.top.clone()).collect();
    assert_eq!(tops, [top("192.0.2.1", false), top("192.0.2.1", false)]);
    // What moves nothing any more is as large as what it has moved.
    snapshot.workers[0].rates.seen.iter_mut().for_each(|seen| *seen = [0.0; 2]);
    let hosts = sums(&snapshot, GroupBy::Host, GroupSort::Rate, &Request::default());
    assert!(heads(&hosts).all(|g| g.top.is_some()));
}

#[test]
fn v8_sums_are_sorted_by_every_column() {
    let mut rows =
        [moving("192.0.2.1", 1000, 10.0), moving("192.0.2.2", 1001, 30.0), moving("192.0.2.3", 1002, 20.0)];
    for (n, (r, _)) in rows.iter_mut().enumerate() {
        r.facts.rtt_data_us = [20, 0, 10][n];
        r.facts.retransmits = [[0, 0], [1, 1], [2, 2]][n];
        (r.hot.frames, r.hot.bytes) = ([10, 10], [10_000, 10_000]);
        r.facts.first = Stamp([0, 900_000_000, 0][n]);
    }
    let mut snapshot = snapshot(&rows);
    snapshot.owner_method.method = "bpf";
    for (n, (name, pid, user, container)) in
        [("b", 30, "ann", None), ("c", 20, "cay", Some("web")), ("a", 10, "bob", Some("db"))]
            .into_iter()
            .enumerate()
    {
        let owner = Owner {
            name: name.into(),
            pid: Some(pid),
            user: Some(user.into()),
            container: container.map(Into::into),
            ..Owner::default()
        };
        sample::set_owner(&mut snapshot, n, owner);
        if n > 0 {
            let mut app = App::of(Service::Tls);
            app.learn(Fact::Sni, [&b""[..], b"z.example", b"y.example"][n]);
            sample::set_app(&mut snapshot, n, app);
        }
    }
    let listening = |port, pid| crate::process::listening::Listening {
        port,
        protocol: "TCP",
        address: [0, 0, 0, 0].into(),
        pid: Some(pid),
        name: "".into(),
        uid: 0,
    };
    let all = Arc::new(vec![listening(80, 20), listening(443, 30)]);
    use GroupBy::{Host, Process};
    use GroupSort::*;
    for (by, sort, order) in [
        (Host, Rate, [2, 3, 1]),
        (Host, Name, [1, 2, 3]),
        (Host, KnownAs, [3, 2, 1]),
        (Host, New, [2, 1, 3]),
        (Host, Rtt, [1, 3, 2]),
        (Host, Retransmits, [3, 2, 1]),
        (Host, Top, [3, 1, 2]),
        (Process, Name, [3, 1, 2]),
        (Process, Pids, [3, 2, 1]),
        (Process, User, [1, 3, 2]),
        (Process, Container, [3, 2, 1]),
        (Process, Listens, [2, 1, 3]),
        (Process, Top, [1, 2, 3]),
    ] {
        let find = |flipped| {
            let group = GroupRequest {
                by,
                sort,
                flipped,
                open: Vec::new(),
                name: None,
                place: 0,
                margin: 100,
                listening: Arc::clone(&all),
            };
            let view =
                Finder::default().find(&snapshot, &Request { group: Some(group), ..Request::default() });
            let groups = view.groups.unwrap();
            let number = |g: &crate::query::group::Group| match &g.name {
                GroupName::Host(address) => {
                    address.to_string().bytes().last().map_or(0, |digit| digit - b'0')
                }
                GroupName::Process(name) => 1 + "bca".find(&**name).map_or(0, |at| at as u8),
                _ => 0,
            };
            heads(&groups).map(number).collect::<Vec<_>>()
        };
        assert_eq!(find(false), order, "{by:?} {sort:?}");
        let mut flipped = find(true);
        // What has no text stays last.
        if matches!(sort, KnownAs | Container) {
            flipped = [&flipped[..2].iter().rev().copied().collect::<Vec<_>>()[..], &flipped[2..]].concat();
            assert_eq!(flipped, order, "{by:?} {sort:?} the other way round");
        } else if !matches!(sort, New) {
            flipped.reverse();
            assert_eq!(flipped, order, "{by:?} {sort:?} the other way round");
        }
    }
}

#[path = "finder_filter_tests.rs"]
mod filters;
