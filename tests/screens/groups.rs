//! The tabs Hosts and Processes: everything of a group is on the screen, whatever its size.

use rustnet::process::listening::Listening;

use crate::stage::*;

/// What the process of `known` waits at.
fn listening(port: u16) -> Listening {
    Listening {
        protocol: "TCP",
        address: [0, 0, 0, 0].into(),
        port,
        pid: Some(1211),
        name: "nginx".into(),
        uid: 33,
    }
}

#[test]
fn v9_all_of_a_process_is_on_every_screen_from_80_by_24_on() {
    let snapshot = known();
    for (width, height) in
        [(80, 24), (90, 24), (100, 24), (104, 30), (119, 30), (120, 40), (160, 40), (200, 50)]
    {
        let mut stage = Stage::new(width, height);
        stage.epoch(&snapshot).key(KeyCode::Char('5'));
        stage.settle(&snapshot);
        stage.app.view.as_mut().unwrap().listening = Arc::new(vec![listening(80), listening(443)]);
        let text = stage.text();
        let table: Vec<&str> = text.lines().skip_while(|line| !line.contains("Processes (Sort")).collect();
        let all = table.join("\n");
        for what in
            ["nginx", "1211", "www-data", "web-7f9c", "80 443", "246M", "1.61M", "77.6 GB", "203.0.113.77"]
        {
            assert!(all.contains(what), "{what} at {width}x{height}: {text}");
        }
        if width >= 120 {
            for header in ["Pids", "User", "Container", "Conns", "Listens", "Share", "Top remote"] {
                assert!(table[1].contains(header), "{header} at {width}: {}", table[1]);
            }
            assert!(table[2].contains("web-7f9c"), "{}", table[2]);
        }
        // Addresses are cut in their middle.
        assert!(width != 120 || all.contains("2a00:14…c::200e"), "{text}");
    }
}

#[test]
fn v8_all_of_a_host_is_on_every_screen_from_80_by_24_on() {
    let snapshot = known();
    for (width, height) in [(80, 24), (100, 24), (120, 40), (200, 50)] {
        let mut stage = Stage::new(width, height);
        stage.epoch(&snapshot).key(KeyCode::Char('4'));
        let text = stage.settle(&snapshot).text();
        let table: Vec<&str> = text.lines().skip_while(|line| !line.contains("Hosts (Sort")).collect();
        let all = table.join("\n");
        for what in ["203.0.113.77", "184M", "1.20M", "59.0 GB", "11.8 ms", "<0.1%", "nginx"] {
            assert!(all.contains(what), "{what} at {width}x{height}: {text}");
        }
        for _ in 0..4 {
            stage.key(KeyCode::Down);
        }
        let text = stage.settle(&snapshot).text();
        assert!(text.contains("www.google.com") && text.contains("firefox"), "{width}: {text}");
        // The header of what rows are sorted by: both rates.
        let y = text.lines().position(|line| line.contains("Remote Address")).unwrap() as u16;
        let header = text.lines().nth(y.into()).unwrap();
        let x = |what| header[..header.find(what).unwrap()].chars().count() as u16;
        let is_sorted =
            |stage: &Stage, what| stage.buffer()[(x(what), y)].modifier.contains(Modifier::UNDERLINED);
        assert!(is_sorted(&stage, "Down") && is_sorted(&stage, "Up") && !is_sorted(&stage, "Total"));
        for _ in 0..12 {
            if !stage.text().contains("(Sort: Down") {
                stage.key(KeyCode::Char('s'));
                stage.settle(&snapshot);
            }
        }
        assert!(is_sorted(&stage, "Down") && !is_sorted(&stage, "Up"));
    }
}

#[test]
fn v9_rows_of_an_open_group_keep_their_ports_and_states() {
    let mut rows = rows();
    rows.truncate(0);
    rows.push(flow(
        6,
        "[2001:db8:1234:5678:9abc:def0:1234:5678]:51000 → [2a00:1450:4001:82b:9f1c:1111:2222:200e]:44322",
        FlowState::Established,
        [3.3e6, 5e4],
        250,
        0,
    ));
    let snapshot = live(&rows);
    for width in [40, 60, 80, 100, 120, 200] {
        let mut stage = Stage::new(width, 24);
        stage.epoch(&snapshot).key(KeyCode::Char('4'));
        stage.settle(&snapshot);
        stage.key(KeyCode::Right);
        let line = stage.settle(&snapshot).line("     TCP ");
        assert!(line.contains("]:44322"), "{width}: {line}");
        assert!(line.contains("ESTABLISHED") || width < 80, "{width}: {line}");
    }
}

#[test]
fn v9_no_pid_is_cut_and_a_column_with_nothing_in_it_leaves_its_room_to_names() {
    let mut snapshot = known();
    let owner = |name: &str, pid: u32| Owner { pid: Some(pid), name: name.into(), ..Owner::default() };
    // Six processes of one name, with numbers as long as there are, and none in a container.
    for (n, slot) in [0, 1, 2, 3, 5, 13].into_iter().enumerate() {
        let worker = owner("a-worker-with-a-long-name", 4_190_000 + n as u32);
        sample::set_owner(&mut snapshot, slot, worker);
    }
    for width in [80, 100, 120] {
        let mut stage = Stage::new(width, 40);
        stage.epoch(&snapshot).key(KeyCode::Char('5'));
        let text = stage.settle(&snapshot).text();
        let row = text.lines().find(|line| line.contains("▸ a-wo")).unwrap();
        let cells = [" 4190000 +5 ", " 4190000+5 ", " 6 pids "];
        assert!(cells.iter().any(|cell| row.contains(cell)), "{width}: {text}");
        assert!(width != 120 || row.contains("a-worker-with-a-lon"), "{width}: {text}");
    }
}

#[test]
fn c2_the_title_of_sums_says_what_is_hidden_and_their_sum_is_the_heads() {
    let end = |port| ("127.0.0.1".parse().unwrap(), port);
    let mut record = sample::record([end(40_000), end(8080)], 6);
    record.hot.roles = Roles::new(0, Evidence::Handshake, [true, true]);
    let snapshot = live(&[(record, [2e6, 1e6])]);
    let mut stage = Stage::with(120, 24, Setup { localhost: Localhost::Hide, ..Setup::default() });
    stage.epoch(&snapshot);
    for tab in ['4', '5'] {
        stage.key(KeyCode::Char(tab));
        let text = stage.settle(&snapshot).text();
        let title = text.lines().find(|line| line.contains("(Sort: Rate")).unwrap();
        assert!(title.contains("1 localhost hidden (L), counted"), "{text}");
        assert!(
            title.contains("Down 2.00 MB/s Up 1.00 MB/s") || title.contains("Down 1.00 MB/s Up 2.00 MB/s"),
            "{text}"
        );
    }
}

#[test]
fn k11_s_goes_through_all_columns_of_sums_that_are_shown_in_their_order() {
    let snapshot = known();
    let turns = |tab, width| {
        let mut stage = Stage::new(width, 40);
        stage.epoch(&snapshot).key(KeyCode::Char(tab));
        let mut turn: Vec<String> = Vec::new();
        loop {
            let title = stage.settle(&snapshot).line("(Sort: ");
            let by = title.split("(Sort: ").nth(1).unwrap().split(')').next().unwrap();
            if turn.iter().any(|before| before == by) {
                assert_eq!(turn[0], by, "the turn begins anew");
                return turn.join(", ");
            }
            turn.push(by.to_owned());
            stage.key(KeyCode::Char('s'));
        }
    };
    let hosts = "Rate ↓, Remote Addr ↑, Name ↑, Connections ↓, New/s ↓, Down ↓, Up ↓, Total ↓, RTT ↓";
    assert_eq!(turns('4', 100), hosts);
    assert_eq!(turns('4', 120), format!("{hosts}, Retransmits ↓, Top process ↑"));
    // Share is what both rates are sorted by: they have their turn there.
    assert_eq!(turns('4', 160), format!("{hosts}, Retransmits ↓, Top process ↑"));
    let all = "Process ↑, Pids ↑, User ↑, Container ↑, Connections ↓, Listens ↑, Down ↓, Up ↓, Total ↓";
    assert_eq!(turns('5', 120), format!("Rate ↓, Top remote ↑, {all}"));
    assert_eq!(turns('5', 80), "Rate ↓, Process ↑, Pids ↑, Connections ↓, Down ↓, Up ↓, Total ↓");
}

#[test]
fn so4_the_header_that_is_sorted_by_keeps_its_sign_behind_a_blank() {
    let snapshot = known();
    for (tab, width) in [('4', 80), ('4', 120), ('4', 160), ('5', 80), ('5', 120), ('5', 160), ('5', 200)] {
        let mut stage = Stage::new(width, 30);
        stage.epoch(&snapshot).key(KeyCode::Char(tab));
        for _ in 0..14 {
            let text = stage.settle(&snapshot).text();
            let sort = text.split("(Sort: ").nth(1).unwrap().split(')').next().unwrap().to_owned();
            let header = text.lines().skip_while(|line| !line.contains("(Sort: ")).nth(1).unwrap();
            let sign = sort.chars().last().unwrap();
            assert!(header.contains(&format!(" {sign}")), "{tab} {width} {sort}: {header}");
            assert!(!header.contains('…'), "{tab} {width} {sort}: {header}");
            stage.key(KeyCode::Char('s'));
        }
    }
}

#[test]
fn names_of_wide_and_combining_letters_leave_columns_in_line() {
    let mut snapshot = live(&numbered(4));
    snapshot.owner_method.method = "bpf";
    let names = ["日本語のプロセス名前です長い名前", "e\u{301}le\u{300}ve-cafe\u{301}", "plain", "한국어"];
    for (slot, name) in names.into_iter().enumerate() {
        let container = Some(format!("容器{name}").into());
        let owner = Owner { pid: Some(7), name: name.into(), container, ..Owner::default() };
        sample::set_owner(&mut snapshot, slot, owner);
        let mut app = rustnet::snapshot::app::App::of(Service::Tls);
        app.learn(Fact::Sni, "例え.テスト".as_bytes());
        sample::set_app(&mut snapshot, slot, app);
    }
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        for tab in ['1', '4', '5'] {
            let mut stage = Stage::new(width, height);
            stage.epoch(&snapshot).key(KeyCode::Char(tab));
            let text = stage.settle(&snapshot).text();
            let first = text.lines().position(|line| line.starts_with('▌')).unwrap() as u16;
            let places: Vec<u16> = (first..first + 4)
                .map(|y| {
                    // The first cell of a rate in its column, which all rows have: `-`.
                    let buffer = stage.buffer();
                    let is_dash =
                        |x: &u16| buffer[(*x, y)].symbol() == "-" && buffer[(*x - 1, y)].symbol() == " ";
                    (20..width).find(is_dash).unwrap_or(0)
                })
                .collect();
            assert!(
                places.iter().all(|x| *x == places[0] && *x > 0),
                "{width} {tab} {places:?}\n{}",
                stage.text()
            );
        }
    }
}
