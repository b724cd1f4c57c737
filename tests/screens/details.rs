//! The tab Details: what is known of a row is there, and what has no room is scrolled to.

use crate::stage::*;

/// The first row, with all that is known of its owner.
fn owned() -> Snapshot {
    let mut snapshot = known();
    let owner = Owner {
        pid: Some(1211),
        name: "nginx".into(),
        user: Some("www-data".into()),
        uid: Some(33),
        container: Some("docker 0123456789ab".into()),
        cgroup: Some("/system.slice/docker-0123456789ab.scope".into()),
        netns: Some(4_026_532_281),
        started: Some(Stamp(WALL.0 - 318_250_000_000)),
        ..Owner::default()
    };
    sample::set_owner(&mut snapshot, 0, owner);
    snapshot
}

/// The page of the row of `owned`.
fn page(width: u16, height: u16, snapshot: &Snapshot) -> Stage {
    let setup = Setup {
        neighbour: Some(|address| {
            (address.to_string() == "203.0.113.77").then(|| "00:1b:21:3c:9d:f8".to_owned())
        }),
        filter: "dst:203.0.113.77".into(),
        ..Setup::default()
    };
    let mut stage = Stage::with(width, height, setup);
    stage.epoch(snapshot).key(KeyCode::Char('2'));
    stage.settle(snapshot);
    // As the loop does, behind the frame.
    assert!(stage.app.look_up_neighbour() && !stage.app.look_up_neighbour());
    stage
}

#[test]
fn details_tell_what_is_known_of_owner_and_neighbour() {
    let snapshot = owned();
    for (width, height) in [(80, 100), (100, 60), (120, 40), (200, 50)] {
        let text = page(width, height, &snapshot).text();
        for (label, value) in [
            ("MAC", "00:1b:21:3c:9d:f8"),
            ("Started", "5 m 18 s ago"),
            ("Container", "docker 0123456789ab"),
            ("Cgroup", "/system.slice/docker-01"),
            ("Namespace", "net:[4026532281]"),
            ("RTT", "11.8 ms handshake"),
            ("13:58:04.000", "SYN from 203.0.113.77:51022"),
            ("13:58:03.750", "nginx started"),
        ] {
            let is_told = |line: &str| line.contains(&format!(" {label} ")) && line.contains(value);
            assert!(text.lines().any(is_told), "{label} at {width}:\n{text}");
        }
    }
    insta::assert_snapshot!("details_120x40", page(120, 40, &snapshot).text());
    insta::assert_snapshot!("details_200x50", page(200, 50, &snapshot).text());
}

#[test]
fn details_tell_what_happened_while_one_looks() {
    let row = |state| {
        let mut snapshot = live(&[flow(6, "10.0.3.14:443 ← 203.0.113.77:51022", state, [0.0; 2], 318, 1)]);
        snapshot.owner_method.method = "bpf";
        snapshot
    };
    let mut stage = page(120, 40, &row(FlowState::Established));
    let mut second = row(FlowState::CloseWait);
    (second.epoch, second.wall) = (Epoch(2), Stamp(WALL.0 + 1_000_000_000));
    sample::set_owner(&mut second, 0, Owner { pid: Some(7), name: "a\u{1b}[2J".into(), ..Owner::default() });
    stage.epoch(&second);
    let text = stage.text();
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.contains("What happened")).skip(1).collect();
    assert!(lines[0].contains("14:03:23.000   owner found: a\\u{1b}[2J (7)"), "{text}");
    // The state is the last packet's.
    assert!(lines[1].contains("14:03:21.000   CLOSE_WAIT after ESTABLISHED"), "{text}");
    assert!(lines[2].contains("13:58:04.000") && lines[2].contains("the handshake took 11.8 ms"), "{text}");
    // A line is copied with its time.
    stage.key(KeyCode::Char('G'));
    stage.settle(&second);
    stage.key(KeyCode::Char('y'));
    let Some(Effect::Copy(copied)) = stage.app.effects.drain(..).next() else { panic!("nothing copied") };
    assert!(copied.starts_with("13:58:04.000 SYN from 203.0.113.77:51022"), "{copied}");
}

#[test]
fn details_scroll_to_the_field_under_the_cursor() {
    let snapshot = owned();
    for (width, height) in [(40, 10), (80, 24), (100, 24), (120, 30), (120, 40), (160, 40), (200, 50)] {
        let mut stage = page(width, height, &snapshot);
        for key in [KeyCode::Char('j'); 70].into_iter().chain([KeyCode::Char('g')]) {
            stage.key(key);
            stage.draw();
            let buffer = stage.buffer();
            let is_band = |y| (0..width).any(|x| buffer[(x, y)].modifier.contains(Modifier::REVERSED));
            assert!((1..height - 1).any(is_band), "{width}x{height}");
        }
    }
}

/// The lines of the page that tell windows.
fn windows_of(text: &str) -> Vec<String> {
    let labels = [" Window ", " Zero windows ", " Acked after "];
    let line = |label: &str| text.lines().find_map(|line| Some(line[line.find(label)?..].trim().to_owned()));
    labels.into_iter().filter_map(line).collect()
}

#[test]
fn windows_are_those_of_who_receives() {
    let row = |is_sampled| {
        let (mut row, rates) =
            flow(6, "10.0.3.14:443 ← 203.0.113.77:51022", FlowState::Established, [9e6, 1e3], 9, 0);
        row.facts.is_sampled = is_sampled;
        let mut snapshot = live(&[(row, rates)]);
        snapshot.owner_method.method = "bpf";
        snapshot
    };
    let known = |is_sampled, windows, zero_windows, legs_us| {
        let mut snapshot = row(is_sampled);
        sample::set_health(&mut snapshot, 0, Health { windows, zero_windows, legs_us });
        snapshot
    };
    // The low end is this host's.
    let windows = [Window::Bytes(1_050_000), Window::Bytes(64_200)];
    for (snapshot, want) in [
        (row(false), ["Window         -", "Zero windows   -", "Acked after    -"]),
        (
            known(false, windows, [2, 127], [11_600, 40_000]),
            [
                "Window         ↓          1.05 MB   ↑          64.2 kB",
                "Zero windows   ↓                2   ↑             127+",
                "Acked after    ↓          40.0 ms   ↑          11.6 ms",
            ],
        ),
        (
            known(true, windows, [0, 3], [11_600, 0]),
            [
                "Window         ↓  1.05 MB sampled   ↑  64.2 kB sampled",
                "Zero windows   ↓        0 sampled   ↑        3 sampled",
                "Acked after    ↓                -   ↑  11.6 ms sampled",
            ],
        ),
        (
            known(false, [Window::AtLeast(65_535), Window::AtLeast(502)], [0, 0], [0, 0]),
            [
                "Window         ↓ >= 65.5 kB  ↑ >= 502 B  (scale unknown)",
                "Zero windows   ↓                0   ↑                0",
                "Acked after    ↓                -   ↑                -",
            ],
        ),
    ] {
        for (width, height) in [(80, 60), (120, 40), (200, 50)] {
            assert_eq!(windows_of(&page(width, height, &snapshot).text()), want, "{width}x{height}");
        }
    }
    // Where the table stands still, only one row's were kept.
    let mut stage = page(120, 40, &row(false));
    stage.key(KeyCode::Char(' '));
    stage.settle(&row(false));
    let text = stage.text();
    assert!(text.contains("- (another row was selected when it froze)"), "{text}");
    // On Overview, only what is amiss is told.
    for (zero_windows, is_told) in [([0, 0], false), ([2, 1], true)] {
        let snapshot = known(false, windows, zero_windows, [0, 0]);
        let mut stage = page(120, 40, &snapshot);
        stage.key(KeyCode::Char('1'));
        let text = stage.settle(&snapshot).text();
        assert_eq!(text.contains("zero windows 3"), is_told, "{text}");
    }
}

#[test]
fn what_was_known_of_windows_stays_after_the_end_and_else_none_was_closed() {
    let (row, rates) =
        flow(6, "10.0.3.14:443 ← 203.0.113.77:51022", FlowState::Established, [9e6, 1e3], 9, 0);
    let windows = [Window::Bytes(1_050_000), Window::Bytes(64_200)];
    let health = Health { windows, zero_windows: [0, 0], legs_us: [11_600, 0] };
    let none_closed = "Zero windows   ↓                0   ↑                0";
    let known = "Window         ↓          1.05 MB   ↑          64.2 kB";
    for (is_known, with_ended, [told, zero_windows]) in [
        (true, true, [known, none_closed]),
        (true, false, [known, none_closed]),
        // Of ended rows only windows that were closed are kept: none was.
        (false, true, ["Window         - (kept of ended rows if one was closed)", none_closed]),
        (false, false, ["Window         - (nobody looked before it ended)", "Zero windows   -"]),
    ] {
        let mut snapshot = live(&[(row, rates)]);
        if is_known {
            sample::set_health(&mut snapshot, 0, health);
        }
        let list = Arc::new(EndedFlows::new(100));
        let mut stage = page(120, 40, &snapshot);
        stage.finder = Finder::with_ended(Arc::clone(&list));
        if with_ended {
            stage.key(KeyCode::Char('t'));
        }
        stage.epoch(&snapshot);
        snapshot.each_record(|record, _, _| {
            let end = Some(rustnet::flow::state::EndReason::Fin);
            list.push(FlowRecord { end, ..record }.into());
        });
        let mut after = live(&[]);
        after.epoch = Epoch(2);
        let text = stage.epoch(&after).text();
        assert!(text.contains(told) && text.contains(zero_windows), "{is_known} {with_ended}: {text}");
    }
}
