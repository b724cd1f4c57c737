//! Orders, and how they are told.

use crate::stage::*;

#[test]
fn so1_to_so5_sorting_is_shown_in_header_and_title() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    let mut seen = Vec::new();
    for _ in 0..10 {
        stage.key(KeyCode::Char('s'));
        stage.settle(&snapshot);
        let text = stage.text();
        let header = text.lines().find(|l| l.starts_with(" Pro")).unwrap().to_owned();
        let title = text.lines().find(|l| l.contains("Active Connections")).unwrap();
        seen.push(format!(
            "{} | {header}",
            title.split(" ─").find(|t| t.contains("Active")).unwrap().trim_matches('─')
        ));
    }
    insta::assert_snapshot!(seen.join("\n"));
    for _ in 0..7 {
        stage.key(KeyCode::Char('s'));
    }
    stage.settle(&snapshot);
    stage.key(KeyCode::Char('g'));
    assert_eq!(selected_remote(stage.settle(&snapshot)), "203.0.113.77", "the largest is first");
    let text = stage.text();
    let y = text.lines().position(|l| l.starts_with(" Pro")).unwrap() as u16;
    let line = text.lines().nth(y.into()).unwrap();
    let x = line.chars().position(|c| c == '↓').unwrap() as u16;
    assert_eq!(stage.buffer()[(x, y)].fg, Color::Cyan);
    assert!(stage.buffer()[(x, y)].modifier.contains(Modifier::UNDERLINED));
    stage.key(KeyCode::Char('S'));
    assert!(stage.settle(&snapshot).text().contains("Down↑/Up"));
}

#[test]
fn so10_rates_keep_rows_in_their_places_unless_that_is_off() {
    let mut rows = numbered(3);
    for (n, row) in rows.iter_mut().enumerate() {
        row.1 = [0.0, 1000.0 - n as f32];
    }
    let order = |stage: &mut Stage| -> Vec<String> {
        let text = stage.text();
        let rows = text.lines().skip(5).filter_map(|l| l.split("172.16.0.").nth(1));
        rows.map(|l| l.chars().take(1).collect()).take(3).collect()
    };
    for (damping, second) in [(true, ["0", "1", "2"]), (false, ["2", "1", "0"])] {
        let setup = Setup { damping, sort: Sort::by(SortBy::Down), ..Setup::default() };
        let mut stage = Stage::with(80, 24, setup);
        stage.epoch(&live(&rows));
        assert_eq!(order(&mut stage), ["0", "1", "2"]);
        let mut turned = rows.clone();
        for (n, row) in turned.iter_mut().enumerate() {
            row.1 = [0.0, 1000.0 + n as f32];
        }
        stage.epoch(&live(&turned));
        assert_eq!(order(&mut stage), second, "damping: {damping}");
    }
}

#[test]
fn so8_the_order_outlives_filters() {
    let snapshot = known();
    let mut stage = Stage::with(120, 24, Setup { sort: Sort::by(SortBy::Up), ..Setup::default() });
    stage.epoch(&snapshot);
    let ups = |stage: &Stage| -> Vec<f32> {
        stage.app.view.as_ref().unwrap().rows.iter().map(|row| row.down_up().1).collect()
    };
    for filter in ["", "nginx", "443", "!nginx"] {
        stage.key(KeyCode::Char('/'));
        typed(&mut stage, filter);
        stage.key(KeyCode::Enter);
        let ups = ups(stage.settle(&snapshot));
        assert!(ups.len() >= 3 && ups.windows(2).all(|pair| pair[0] >= pair[1]), "{filter}: {ups:?}");
        assert!(stage.text().contains("(Sort: Up ↓)"), "{filter}");
        stage.key(KeyCode::Esc);
        stage.settle(&snapshot);
    }
}

#[test]
fn so11_ipv4_ends_are_whole_at_80_and_120() {
    let snapshot = known();
    for (width, ends) in [
        (80, &["← 203.0.113.77:51022", "→ 142.250.185.78:443", "← 198.51.100.20:41000"][..]),
        (120, &["10.0.3.14:443 ", "← 203.0.113.77:51022", "→ 142.250.185.78:443"]),
    ] {
        let mut stage = Stage::new(width, 40);
        let text = stage.epoch(&snapshot).text();
        for end in ends {
            assert!(text.contains(end), "{end} at {width}: {text}");
        }
        assert!(text.contains(":200e]:443"), "{width}: {text}");
        assert!(width < 120 || text.contains(" Application / Host "), "{text}");
    }
}

#[test]
fn so2_without_a_choice_the_oldest_is_first() {
    let ages = [40, 10, 30, 50, 20];
    let rows: Vec<_> = (0..5_u8)
        .map(|n| {
            let ends = format!("10.0.0.1:443 ← 172.16.0.{n}:1000");
            flow(6, &ends, FlowState::Established, [f32::from(n), 0.0], ages[usize::from(n)], 0)
        })
        .collect();
    let mut stage = Stage::new(80, 24);
    let text = stage.epoch(&live(&rows)).text();
    assert_eq!(remotes(&text), ["3", "0", "2", "4", "1"], "{text}");
    assert!(text.contains("── Active Connections ──") && text.contains("oldest first"), "{text}");
    let header = stage.line(" Pro ");
    assert!(!header.contains(['↑', '↓']), "{header}");
}

/// The last number of each remote address of `numbered`, in the order of the table.
fn remotes(text: &str) -> Vec<String> {
    let table = text.lines().skip(5).take_while(|line| !line.starts_with("──"));
    let ends = table.filter_map(|line| line.split(" 172.16.0.").nth(1)?.split(':').next());
    ends.map(str::to_owned).collect()
}

#[test]
fn so3_each_column_comes_with_its_direction_and_keeps_the_other_one() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    for (title, header, [first, other]) in [
        ("Protocol", "Pro {}", ['↑', '↓']),
        ("Local Addr", "Local Address {}", ['↑', '↓']),
        ("Remote Addr", "Remote Address {}", ['↑', '↓']),
        ("State", "State {}", ['↑', '↓']),
        ("Service", "Service {}", ['↑', '↓']),
        ("Application", "Application / Host {}", ['↑', '↓']),
        ("Down", "Down{}/Up", ['↓', '↑']),
        ("Up", "Down/Up{}", ['↓', '↑']),
        ("Process", "Process {}", ['↑', '↓']),
    ] {
        stage.key(KeyCode::Char('s'));
        for (key, arrow) in [(None, first), (Some('S'), other), (Some('S'), first), (Some('S'), other)] {
            key.map(|key| stage.key(KeyCode::Char(key)));
            // It stays so when new rows come.
            for _ in 0..2 {
                stage.epoch(&snapshot);
            }
            let text = stage.text();
            assert!(text.contains(&format!("Active Connections (Sort: {title} {arrow}) ")), "{text}");
            let header = header.replace("{}", &arrow.to_string());
            let y = text.lines().position(|line| line.starts_with(" Pro")).unwrap();
            let line = text.lines().nth(y).unwrap();
            let at = line.find(&header).unwrap_or_else(|| panic!("{header} in {line}"));
            let from = line[..at].chars().count();
            // This header is cyan and underlined with its arrow, and no other one is.
            let sorted = from..from + header.chars().count();
            for x in 0..120 {
                let cell = &stage.buffer()[(x as u16, y as u16)];
                let is_marked = (cell.fg == Color::Cyan, cell.modifier.contains(Modifier::UNDERLINED));
                assert_eq!(is_marked, (sorted.contains(&x), sorted.contains(&x)), "{header} at {x}");
            }
        }
    }
    // Behind one that was turned round the next one has its own direction, and at last there is none.
    stage.key(KeyCode::Char('s'));
    let text = stage.settle(&snapshot).text();
    assert!(text.contains("── Active Connections ──") && text.contains("oldest first"), "{text}");
}

#[test]
fn so3_services_sort_by_what_is_shown_of_them() {
    let name: rustnet::query::column::ServiceName = |_, port| match port {
        22 => Some("ssh"),
        80 => Some("http"),
        443 => Some("https"),
        _ => None,
    };
    let ports = [443, 22, 9999, 80, 1];
    let rows: Vec<_> = (0..5_u8)
        .map(|n| {
            let ends = format!("10.0.0.1:{} ← 172.16.0.{n}:1000", ports[usize::from(n)]);
            flow(6, &ends, FlowState::Established, [0.0; 2], 9, 0)
        })
        .collect();
    let setup = Setup { services: Some(name), sort: Sort::by(SortBy::Service), ..Setup::default() };
    let mut stage = Stage::with(80, 24, setup);
    let text = stage.epoch(&live(&rows)).text();
    assert_eq!(remotes(&text), ["3", "0", "1", "4", "2"], "by name, and by number behind: {text}");
    stage.key(KeyCode::Char('p'));
    let text = stage.settle(&live(&rows)).text();
    assert_eq!(remotes(&text), ["4", "1", "3", "0", "2"], "by number: {text}");
}

#[test]
fn so9_the_selection_stays_on_its_connection_when_the_order_turns() {
    let rates = |turned: bool| {
        let mut rows = numbered(9);
        for (n, row) in rows.iter_mut().enumerate() {
            row.1 = [0.0, if turned { 1e3 * n as f32 } else { 1e3 * (9 - n) as f32 } + 1e3];
        }
        live(&rows)
    };
    let setup = Setup { damping: false, sort: Sort::by(SortBy::Down), ..Setup::default() };
    let mut stage = Stage::with(80, 24, setup);
    stage.epoch(&rates(false));
    (0..2).for_each(|_| assert_eq!(stage.key(KeyCode::Down), Next::Draw));
    stage.settle(&rates(false));
    assert!(stage.line("▌").contains("172.16.0.2:"));
    let text = stage.epoch(&rates(true)).text();
    assert_eq!(remotes(&text)[0], "8");
    assert!(stage.line("▌").contains("172.16.0.2:") && text.contains("── 7/9 "), "{text}");
}

#[test]
fn so9_a_selected_row_that_has_ended_is_dim() {
    let mut rows = numbered(5);
    let mut stage = Stage::new(80, 24);
    stage.epoch(&live(&rows)).key(KeyCode::Down);
    stage.settle(&live(&rows));
    rows[1].0 = FlowRecord::default();
    let text = stage.epoch(&live(&rows)).text();
    let y = text.lines().position(|line| line.contains("ended 14:03:22")).unwrap() as u16;
    assert!((1..70).all(|x| stage.buffer()[(x, y)].modifier.contains(Modifier::DIM)), "{text}");
    assert!((1..70).all(|x| !stage.buffer()[(x, y + 1)].modifier.contains(Modifier::DIM)), "{text}");
}

/// Three rows whose rates have turned round a little since they were shown first, at two seconds.
fn turned(second: u64, down: [f32; 3]) -> Snapshot {
    let mut rows = numbered(3);
    for (row, down) in rows.iter_mut().zip(down) {
        row.1 = [0.0, down];
    }
    let mut snapshot = live(&rows);
    (snapshot.epoch, snapshot.now) = (Epoch(second), Nanos(NOW.0 + second * 1_000_000_000));
    snapshot
}

#[test]
fn so10_the_order_is_exact_when_a_key_asks_for_it_frozen_and_in_files() {
    let [first, later] = [turned(1, [1003.0, 1002.0, 1001.0]), turned(2, [1001.0, 1002.0, 1003.0])];
    let begin = || {
        let mut stage = Stage::with(80, 24, Setup { sort: Sort::by(SortBy::Down), ..Setup::default() });
        stage.epoch(&first);
        let text = stage.epoch(&later).text();
        assert_eq!(remotes(&text), ["0", "1", "2"], "they keep their places while nobody asks");
        stage
    };
    for keys in ["SS", "/tcp", " "] {
        let mut stage = begin();
        typed(&mut stage, keys);
        let text = stage.settle(&later).text();
        assert_eq!(remotes(&text), ["2", "1", "0"], "behind {keys:?}: {text}");
    }
    let mut stage = begin();
    let request = stage.app.request();
    let mut written = Vec::new();
    let each = |row: &rustnet::snapshot::row::Row| {
        written.push(row.addresses[row.remote()].to_string());
        Ok::<(), ()>(())
    };
    assert_eq!(stage.finder.export(&later, &request, each), Ok(3));
    assert_eq!(written, ["172.16.0.2", "172.16.0.1", "172.16.0.0"]);
}

#[test]
fn so10_rows_change_places_after_two_refreshes_or_five_seconds() {
    let much = [1000.0, 2000.0, 500.0];
    let little = [1000.0, 1050.0, 500.0];
    for (rates, seconds, order) in [
        (much, 2..=2, ["0", "1", "2"]),
        (much, 2..=3, ["1", "0", "2"]),
        (little, 2..=5, ["0", "1", "2"]),
        (little, 2..=6, ["1", "0", "2"]),
    ] {
        let mut stage = Stage::with(80, 24, Setup { sort: Sort::by(SortBy::Down), ..Setup::default() });
        stage.epoch(&turned(1, [1000.0, 900.0, 500.0]));
        for second in seconds.clone() {
            stage.epoch(&turned(second, rates));
        }
        assert_eq!(remotes(&stage.text()), order, "{rates:?} for {seconds:?}");
    }
}

#[test]
fn k5_in_another_order_the_last_row_is_not_followed() {
    let mut rows = numbered(30);
    let mut stage = Stage::with(80, 24, Setup { sort: Sort::by(SortBy::Remote), ..Setup::default() });
    stage.epoch(&live(&rows)).key(KeyCode::Char('G'));
    assert_eq!(selected_remote(stage.settle(&live(&rows))), "172.16.0.29");
    rows.push(flow(6, "10.0.0.1:443 ← 172.31.0.1:1000", FlowState::Established, [0.0; 2], 0, 0));
    let text = stage.epoch(&live(&rows)).text();
    assert_eq!(selected_remote(&mut stage), "172.16.0.29");
    assert!(!text.contains("follows the newest") && text.contains("── 30/31 "), "{text}");
}
