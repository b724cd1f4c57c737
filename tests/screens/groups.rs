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
        stage.key(KeyCode::Char('s'));
        stage.settle(&snapshot);
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
