//! What filters show, against a look at every row.

use super::*;

/// What a filter holds for, by a look at every row.
fn row_by_row(snapshot: &Snapshot, filter: &Filter, around: &Surroundings) -> Vec<FlowId> {
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    for chunk in 0..snapshot.chunks(0) {
        snapshot.look_at(0, chunk, |_, flow| {
            if filter.holds(&flow, around, &mut scratch) {
                found.push(flow.id);
            }
        });
    }
    found
}

#[test]
fn answers_by_number_are_those_that_each_row_would_give() {
    let snapshot = mixed(2000);
    let mut finder = Finder::default();
    let around = Surroundings { services: Some(name), now: snapshot.now.tick(), ..Surroundings::default() };
    let mut serial = 0;
    let mut found = 0;
    for text in [
        "host3",
        "443",
        "0.0.1",
        "firefox",
        "sshd",
        "dns",
        "established",
        "dns_query",
        "sni:host1",
        "app:dns",
        "app:~ht",
        "dst:host5",
        "host:host16",
        "process:gin",
        "pid:3",
        "!host1 tcp",
        "sni:/9.ex/",
        "192.0.2",
        "10.0.1.200:1001",
        "example nginx",
    ] {
        let filter = Arc::new(Filter::new(parse(text).unwrap().expr.unwrap(), Some(name)));
        let expected = row_by_row(&snapshot, &filter, &around);
        // Twice: with what was found out the first time, and with another order. Who waits has few rows looked at.
        for (sort, exact) in [(SortBy::Created, false), (SortBy::Application, false), (SortBy::Created, true)]
        {
            serial += 1;
            let request = Request {
                margin: 5000,
                filter: Some(Arc::clone(&filter)),
                sort: Sort::by(sort),
                services: Some(name),
                exact,
                serial,
                ..Request::default()
            };
            let mut rows = ids(&finder.find(&snapshot, &request));
            rows.sort_unstable_by_key(|id| id.slot());
            assert_eq!(rows, expected, "{text}");
        }
        let urgent = Request {
            margin: 5000,
            filter: Some(Arc::clone(&filter)),
            services: Some(name),
            exact: true,
            serial: 1,
            ..Request::default()
        };
        let mut rows = ids(&Finder::default().find(&snapshot, &urgent));
        rows.sort_unstable_by_key(|id| id.slot());
        assert_eq!(rows, expected, "{text}, with nothing known before");
        found += expected.len();
    }
    assert!(found > 2000, "{found}");
}

#[test]
fn whoever_waits_is_told_what_a_look_at_every_row_tells() {
    let addresses = ["10.1.0.7", "10.100.15.77", "127.0.0.1", "127.0.0.9", "2001:db8::7", "::1", "fe80::1"];
    let ports = [443, 8443, 53, 1077];
    let mut rows = Vec::new();
    for n in 0..6000_usize {
        let at = |salt: usize, of: usize| ((n + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % of;
        let mut pair = [at(1, 7), at(2, 7)].map(|n| addresses[n].parse::<std::net::IpAddr>().unwrap());
        if pair[0].is_ipv4() != pair[1].is_ipv4() {
            pair[1] = pair[0];
        }
        let ends = [(pair[0], ports[at(3, 4)]), (pair[1], ports[at(4, 4)])];
        let mut r = sample::record(ends, [6, 17, 1, 132][at(5, 4)]);
        let local = [at(6, 2) == 1, at(7, 2) == 1];
        r.hot.roles = Roles::new(at(8, 2), Evidence::Handshake, local);
        (r.facts.first, r.facts.generation) = (Stamp(n as u64), n as u32);
        r.hot.bytes = [at(9, 700) as u64, at(10, 700) as u64];
        rows.push((r, [at(11, 900) as f32, at(12, 900) as f32]));
    }
    let snapshot = snapshot(&rows);
    let around = Surroundings {
        services: Some(name),
        wall: snapshot.wall,
        now: snapshot.now.tick(),
        no_owners: !snapshot.looks_for_owners(),
        ..Surroundings::default()
    };
    let mut serial = 0;
    for text in [
        "10.100.15.77",
        "15.77:44",
        "77",
        "db8",
        "443",
        "port:44",
        "sport:443",
        "dport:=53",
        "443 tcp",
        "udp or 10.1",
        "!443",
        "!(udp 443)",
        "src:10.1",
        "dst:127",
        "https",
        "sctp 1077",
        "nowhere",
        "process:nginx",
        "process:n/a",
        "sni:example",
        "dir:fwd 53",
        "not dport:443",
        "not service:http",
        "!(service:https or service:domain)",
        "not (dport:443 or udp)",
        "!port:443 !dir:out",
        "!(443 tcp) dir:in",
        "rate>500 not dport:443",
        "not rate>500 icmp",
        "down>700 or up<100",
        "bytes>500",
        "not bytes>500 sport:53",
    ] {
        let filter = Arc::new(Filter::new(parse(text).unwrap().expr.unwrap(), Some(name)));
        for localhost in [Localhost::Hide, Localhost::Show] {
            let told = [true, false].map(|exact| {
                serial += 1;
                let request = Request {
                    margin: 10_000,
                    filter: Some(Arc::clone(&filter)),
                    services: Some(name),
                    localhost,
                    exact,
                    serial,
                    ..Request::default()
                };
                let view = Finder::default().find(&snapshot, &request);
                (ids(&view), view.len, view.all, view.hidden)
            });
            let [urgent, calm] = &told;
            assert_eq!(urgent, calm, "{text} {localhost:?}");
        }
        let each = row_by_row(&snapshot, &filter, &around);
        let request = Request {
            margin: 10_000,
            filter: Some(Arc::clone(&filter)),
            services: Some(name),
            exact: true,
            serial: 0,
            ..Request::default()
        };
        assert!(ids(&Finder::default().find(&snapshot, &request)) == each, "{text}, row by row");
    }
}

#[test]
fn c2_what_is_counted_as_hidden_is_what_showing_it_brings() {
    let end = |text: &str, port| (text.parse().unwrap(), port);
    let local = |port| {
        let mut record = sample::record([end("127.0.0.1", port), end("127.0.0.1", 443)], 6);
        record.hot.roles = Roles::new(0, Evidence::Handshake, [true, true]);
        record
    };
    let open = [(local(1000), [0.0; 2]), (local(1001), [0.0; 2]), moving("192.0.2.1", 1002, 0.0)];
    let snapshot = snapshot(&open);
    let ended = Arc::new(EndedFlows::new(1 << 20));
    for n in 0..5_u32 {
        let mut record = if n == 4 { moving("192.0.2.2", 1000, 0.0).0 } else { local(1000 + n as u16) };
        (record.id, record.end) = (FlowId::new(0, 50 + n, 1), Some(EndReason::Fin));
        ended.push(record.into());
    }
    let mut finder = Finder::with_ended(ended);
    let only: HashSet<FlowId> = [sample::id_of(0, &local(1000).facts)].into();
    let mut serial = 0;
    let mut view = |filter: &str, localhost, ended, marked: bool| {
        serial += 1;
        let filter = parse(filter).unwrap().expr.map(|expr| Arc::new(Filter::new(expr, None)));
        let only = marked.then(|| Arc::new(only.clone()));
        let group = GroupRequest {
            by: GroupBy::Host,
            sort: GroupSort::Rate,
            flipped: false,
            open: Vec::new(),
            name: None,
            place: 0,
            margin: 100,
            listening: Arc::default(),
        };
        let group = Some(group);
        let request =
            Request { margin: 50, filter, localhost, ended, only, group, serial, ..Request::default() };
        finder.find(&snapshot, &request)
    };
    for (filter, ended, marked, hidden, all) in [
        ("", None, false, 2, 3),
        ("", Some(0), false, 6, 8),
        ("", Some(2), false, 4, 6),
        ("port:1000", Some(0), false, 2, 8),
        ("port:1000", None, false, 1, 3),
        ("port:1003", None, false, 0, 3),
        ("", Some(0), true, 1, 8),
    ] {
        let hides = view(filter, Localhost::Hide, ended, marked);
        let shows = view(filter, Localhost::Show, ended, marked);
        assert_eq!(hides.hidden_matched, hidden, "{filter} {ended:?}");
        assert_eq!(shows.len - hides.len, hidden, "{filter} {ended:?}");
        assert_eq!((hides.all + hides.hidden, shows.all), (all, all), "{filter} {ended:?}");
        // Sums count what is hidden: it is no other sum once it is shown.
        let flows = |view: &View| heads(view.groups.as_ref().unwrap()).map(|g| g.flows).sum::<usize>();
        assert_eq!(flows(&hides), flows(&shows), "{filter} {ended:?}");
    }
}
