//! Keys that change the screen.

use crate::stage::*;

#[test]
fn localhost_is_hidden_counted_and_shown_by_its_key() {
    let rows = [
        flow(6, "127.0.0.1:5000 → 127.0.0.1:80", FlowState::Established, [1e3, 1e3], 9, 0),
        flow(6, "127.0.0.1:5001 → 127.0.0.1:80", FlowState::Established, [1e3, 1e3], 8, 0),
    ];
    let snapshot = live(&rows);
    let mut stage = Stage::with(80, 24, Setup { localhost: Localhost::Hide, ..Setup::default() });
    stage.epoch(&snapshot);
    insta::assert_snapshot!(stage.text());
    stage.key(KeyCode::Char('L'));
    assert!(stage.settle(&snapshot).text().contains("127.0.0.1:80"));
}

#[test]
fn quitting_takes_two_keys_and_any_other_stays() {
    let mut stage = Stage::new(80, 24);
    let snapshot = live(&numbered(5));
    stage.epoch(&snapshot);
    assert_eq!(stage.key(KeyCode::Char('q')), Next::Draw);
    assert!(stage.line("Quit?").contains("q again quits"));
    assert_eq!(stage.key(KeyCode::Down), Next::Draw);
    assert_eq!(selected_remote(&mut stage), "172.16.0.0", "the key that cancels does nothing else");
    stage.key(KeyCode::Char('q'));
    stage.key(KeyCode::F(5));
    assert!(!stage.text().contains("Quit?"));
    stage.key(KeyCode::Char('q'));
    assert_eq!(stage.key(KeyCode::Char('q')), Next::Quit);
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(Stage::new(80, 24).press(ctrl_c), Next::Quit);
}

#[test]
fn help_lists_every_key_and_scrolls() {
    let snapshot = live(&numbered(5));
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('h'));
    insta::assert_snapshot!("help", stage.text());
    stage.key(KeyCode::Char('G'));
    assert!(stage.text().contains("connections that began and ended"));
    stage.key(KeyCode::Char('k'));
    stage.key(KeyCode::Char('g'));
    assert!(stage.text().contains("the row above"));
    stage.key(KeyCode::Esc);
    assert!(stage.text().contains("Active Connections"));
    assert_eq!(selected_remote(&mut stage), "172.16.0.0");
}

#[test]
fn k14_a_frozen_table_stands_still_and_says_so() {
    let mut rows = numbered(30);
    let mut stage = Stage::new(120, 24);
    stage.epoch(&live(&rows));
    stage.key(KeyCode::Char(' '));
    stage.settle(&live(&rows));
    rows.truncate(10);
    let mut later = live(&rows);
    later.totals.opened = 30 + 1_204;
    stage.app.uptime = Nanos::from_secs(16);
    stage.epoch(&later);
    let text = stage.text();
    assert!(text.contains("FROZEN 13 s · 1,204 new since freeze"), "{text}");
    assert!(text.contains("1/30"));
    stage.key(KeyCode::Char('/'));
    typed(&mut stage, "172.16.0.2");
    assert!(stage.settle(&later).text().contains(" 11 of 30 "), "filters work on it");
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Char(' '));
    let text = stage.settle(&later).text();
    assert!(text.contains("1/10") && !text.contains("FROZEN"), "{text}");
}

#[test]
fn k8_esc_closes_the_first_that_applies_and_never_quits() {
    let snapshot = known();
    let mut stage = Stage::with(120, 24, Setup { filter: "tcp".into(), ..Setup::default() });
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char(' '));
    stage.key(KeyCode::Char('4'));
    stage.key(KeyCode::Char(':'));
    assert!(stage.app.overlay.is_some());
    stage.key(KeyCode::Esc);
    assert!(stage.app.overlay.is_none() && stage.app.tab == Tab::Hosts);
    stage.key(KeyCode::Esc);
    assert!(stage.app.tab == Tab::Overview && stage.app.filter.text() == "tcp");
    stage.key(KeyCode::Esc);
    assert!(stage.app.filter.text().is_empty() && stage.app.is_frozen());
    stage.key(KeyCode::Esc);
    assert!(!stage.app.is_frozen());
    assert_eq!(stage.key(KeyCode::Esc), Next::Draw);
}

#[test]
fn k9_the_remote_end_is_copied_in_full() {
    let snapshot = known();
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    for (row, text) in
        [(0, "203.0.113.77:51022"), (10, "1.1.1.1"), (12, "[2a00:1450:4001:82b:9f1c::200e]:443")]
    {
        let id = sample::id_of(row, &Default::default());
        while stage.app.selected_row().is_none_or(|r| r.id != id) {
            stage.key(KeyCode::Down);
            stage.settle(&snapshot);
        }
        stage.key(KeyCode::Char('c'));
        assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Copy(text.into())));
        assert!(stage.text().contains(&format!("copied {text}")));
        stage.key(KeyCode::Char('g'));
        stage.settle(&snapshot);
    }
    stage.app.uptime = Nanos::from_secs(30);
    assert!(!stage.text().contains("copied"), "it goes after three seconds");
}

#[test]
fn k15_like_this_and_groups_become_filters() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    let nginx = sample::id_of(0, &Default::default());
    while stage.app.selected_row().is_none_or(|r| r.id != nginx) {
        stage.key(KeyCode::Down);
        stage.settle(&snapshot);
    }
    stage.key(KeyCode::Char('='));
    assert_eq!(stage.app.filter.text(), "process:=nginx");
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 3);
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Char('-'));
    assert_eq!(stage.app.filter.text(), "!process:=nginx");
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 54);
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Char('5'));
    stage.settle(&snapshot);
    assert!(stage.line("▌▸ nginx").contains("1211"));
    stage.key(KeyCode::Enter);
    assert_eq!(stage.app.tab, Tab::Overview);
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 3);
    stage.key(KeyCode::Esc);
    assert!(stage.app.tab == Tab::Processes && stage.app.filter.text().is_empty());
}

#[test]
fn k15_a_process_without_a_name_is_found_by_its_number() {
    let mut snapshot = live(&numbered(3));
    snapshot.owner_method.method = "bpf";
    let owner = Owner { pid: Some(7741), ..Owner::default() };
    rustnet::snapshot::sample::set_owner(&mut snapshot, 0, owner);
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    assert!(stage.line("▌TCP").contains(" (7741)"), "{}", stage.text());
    stage.key(KeyCode::Char('='));
    for filter in [stage.app.filter.text(), "process:=\"(7741)\"", "process:\"(7741\""].map(str::to_owned) {
        stage.key(KeyCode::Esc);
        stage.settle(&snapshot);
        stage.key(KeyCode::Char('/'));
        typed(&mut stage, &filter);
        assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 1, "{filter}");
    }
}

#[test]
fn k15_rows_without_a_process_are_found_by_what_their_cell_shows() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..57 {
        stage.epoch(&snapshot);
        stage.key(KeyCode::Char('='));
        let filter = stage.app.filter.text().to_owned();
        let found = stage.settle(&snapshot).app.view.as_ref().unwrap().len;
        assert!(found > 0, "{filter}");
        seen.insert(filter, found);
        stage.key(KeyCode::Esc);
        stage.settle(&snapshot);
        stage.key(KeyCode::Down);
    }
    assert_eq!(seen["process:=?"], 47, "{seen:?}");
    assert_eq!(
        (seen["process:=forwarded"], seen["process:=\"? uid 1001\""], seen["process:=kernel"]),
        (2, 1, 1)
    );
    // The group of all that are not known has both kinds.
    stage.key(KeyCode::Char('5'));
    stage.settle(&snapshot);
    while !stage.text().contains("▌▸ (unknown)") {
        stage.key(KeyCode::Down);
        stage.settle(&snapshot);
    }
    stage.key(KeyCode::Enter);
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 48);
}

#[test]
fn k17_the_palette_finds_every_action() {
    let snapshot = known();
    let mut stage = Stage::new(100, 30);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char(':'));
    insta::assert_snapshot!("palette", stage.text());
    typed(&mut stage, "sort by down");
    stage.key(KeyCode::Enter);
    assert!(stage.settle(&snapshot).text().contains("(Sort: Down ↓)"));
    stage.key(KeyCode::Char(':'));
    typed(&mut stage, "refresh 250");
    stage.key(KeyCode::Enter);
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Refresh(250)));
    stage.key(KeyCode::Char(':'));
    typed(&mut stage, "refresh 5");
    stage.key(KeyCode::Enter);
    assert!(stage.app.effects.is_empty() && stage.text().contains("50 to 60000"));
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Char(':'));
    typed(&mut stage, "refresh");
    stage.key(KeyCode::Enter);
    let text = stage.text();
    assert!(stage.app.effects.is_empty() && text.contains("milliseconds are missing"), "{text}");
}

#[test]
fn k20_the_mouse_reaches_tabs_headers_and_rows() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    let find = |stage: &mut Stage, text: &str| {
        let screen = stage.text();
        let y = screen.lines().position(|l| l.contains(text)).unwrap();
        let line: Vec<char> = screen.lines().nth(y).unwrap().chars().collect();
        let wanted: Vec<char> = text.chars().collect();
        let x = line.windows(wanted.len()).position(|w| w == wanted).unwrap();
        (x as u16, y as u16)
    };
    let mouse = |stage: &mut Stage, kind, (column, row): (u16, u16)| {
        let mouse = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        input::take(&mut stage.app, &Event::Mouse(mouse));
        stage.settle(&snapshot);
    };
    let click = |stage: &mut Stage, at| mouse(stage, MouseEventKind::Down(MouseButton::Left), at);
    let at = find(&mut stage, "Remote Address");
    click(&mut stage, at);
    assert!(stage.text().contains("(Sort: Remote Addr ↑)"));
    click(&mut stage, at);
    assert!(stage.text().contains("(Sort: Remote Addr ↓)"));
    let at = find(&mut stage, "203.0.113.77");
    click(&mut stage, at);
    assert_eq!(selected_remote(&mut stage), "203.0.113.77");
    click(&mut stage, at);
    assert_eq!(stage.app.tab, Tab::Details, "a double click");
    let at = find(&mut stage, "7 Pipeline");
    click(&mut stage, at);
    assert_eq!(stage.app.tab, Tab::Pipeline);
    stage.key(KeyCode::Char('4'));
    stage.settle(&snapshot);
    for (header, sort) in [
        ("Total ", "Total ↓"),
        ("Total ↓ ", "Total ↑"),
        ("Remote Addr", "Remote Addr ↑"),
        ("Up   Total", "Up ↓"),
        ("Name  ", "Name ↑"),
        ("New/s", "New/s ↓"),
        ("RTT   Retr", "RTT ↓"),
        ("Retr Top", "Retransmits ↓"),
        ("Top process", "Top process ↑"),
    ] {
        let at = find(&mut stage, header);
        click(&mut stage, at);
        assert!(stage.text().contains(&format!("Hosts (Sort: {sort})")), "{header}\n{}", stage.text());
    }
    stage.key(KeyCode::Char('1'));
    let row = selected_remote(&mut stage);
    stage.key(KeyCode::Char('C'));
    mouse(&mut stage, MouseEventKind::ScrollDown, (5, 10));
    let Some(Overlay::Columns { selected }) = &stage.app.overlay else { panic!("the chooser is open") };
    assert_eq!(*selected, 3, "the wheel moves in what lies on top");
    stage.key(KeyCode::Esc);
    assert_eq!(selected_remote(&mut stage), row);
}

#[test]
fn k8_esc_goes_back_by_the_tabs_that_one_came_by() {
    let snapshot = known();
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    for key in ['4', '7', '5', 'h'] {
        stage.key(KeyCode::Char(key));
    }
    for tab in [Tab::Processes, Tab::Pipeline, Tab::Hosts, Tab::Overview, Tab::Overview] {
        assert_eq!(stage.key(KeyCode::Esc), Next::Draw);
        assert_eq!(stage.app.tab, tab);
    }
    // Help is closed by its own key, too.
    stage.key(KeyCode::Char('6'));
    stage.key(KeyCode::Char('?'));
    stage.key(KeyCode::Char('h'));
    assert_eq!(stage.app.tab, Tab::Graph);
}

#[test]
fn keys_wait_for_the_rows_that_they_are_meant_for() {
    use std::time::{Duration, Instant};
    let snapshot = known();
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    let mut held = Held::default();
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let event = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    // Filter, Enter and `=` in one go: `=` means the row that the filter finds.
    for code in "/203.0.113.77".chars().map(KeyCode::Char).chain([KeyCode::Enter]) {
        let event = held.pass(&stage.app, event(code), at(0)).expect("what is typed does not wait");
        input::take(&mut stage.app, &event);
    }
    let equals = event(KeyCode::Char('='));
    assert_eq!(held.pass(&stage.app, equals.clone(), at(1)), None);
    // What comes behind keeps its place, but for Ctrl+C.
    let ctrl_c = Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(held.pass(&stage.app, event(KeyCode::Char('h')), at(2)), None);
    assert_eq!(held.pass(&stage.app, ctrl_c.clone(), at(2)), Some(ctrl_c));
    assert_eq!(held.next(&stage.app, at(3)), None);
    stage.settle(&snapshot);
    assert_eq!(held.next(&stage.app, at(4)), Some((equals.clone(), at(1))));
    assert_eq!(held.next(&stage.app, at(4)), Some((event(KeyCode::Char('h')), at(2))));
    assert_eq!((held.next(&stage.app, at(4)), held.left(at(4))), (None, None));
    // Rows that never come are not waited for for ever.
    stage.key(KeyCode::Char('5'));
    let right = event(KeyCode::Right);
    assert_eq!(held.pass(&stage.app, right.clone(), at(10)), None);
    assert_eq!(held.left(at(110)), Some(Duration::from_millis(200)));
    assert_eq!(held.pass(&stage.app, right.clone(), at(40)), None);
    let next = |held: &mut Held, ms| held.next(&stage.app, at(ms)).map(|(event, _)| event);
    assert_eq!((next(&mut held, 309), next(&mut held, 310)), (None, Some(right.clone())));
    // Each waits since it came, not since the one before it went.
    assert_eq!((next(&mut held, 339), next(&mut held, 340)), (None, Some(right)));
}

#[test]
fn enter_that_came_before_the_terminal_was_ours_is_enter() {
    let snapshot = known();
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    for c in "/tcp".chars() {
        stage.key(KeyCode::Char(c));
    }
    stage.press(KeyEvent::new(KeyCode::Char('j'), KeyModifiers::CONTROL));
    assert!(stage.app.filter.editing.is_none());
    assert_eq!(stage.app.filter.text(), "tcp");
}

#[test]
fn k14_a_frozen_view_is_named_on_every_page_and_its_charts_stand_still() {
    let mut stage = Stage::new(120, 40);
    stage.epoch(&live(&numbered(5)));
    stage.key(KeyCode::Char(' '));
    stage.settle(&live(&numbered(5)));
    for tab in ['1', '2', '3', '4', '5', '6', '7'] {
        stage.key(KeyCode::Char(tab));
        stage.settle(&live(&numbered(5)));
        assert!(stage.line("FROZEN").contains("FROZEN"), "{tab}");
    }
    stage.key(KeyCode::Char('6'));
    let charts =
        |stage: &mut Stage| stage.text().lines().filter(|l| l.contains("now")).collect::<Vec<_>>().join("\n");
    let before = charts(&mut stage);
    stage.app.uptime = Nanos(stage.app.uptime.0 + 3_000_000_000);
    stage.epoch(&live(&numbered(50)));
    assert_eq!(charts(&mut stage), before);
}

#[test]
fn so9_details_hold_a_row_that_nobody_moved_to() {
    use rustnet::query::window::Cursor;
    let snapshot = live(&numbered(5));
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    assert_eq!(stage.app.request().cursor, Cursor::First);
    stage.key(KeyCode::Enter);
    let id = stage.app.selected_row().unwrap().id;
    assert_eq!(stage.app.request().cursor, Cursor::On(id), "it stays when it ends and others come first");
}

#[test]
fn k20_the_wheel_moves_by_three_rows() {
    let snapshot = live(&numbered(100));
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    let wheel = |stage: &mut Stage, kind| {
        let mouse = MouseEvent { kind, column: 5, row: 10, modifiers: KeyModifiers::NONE };
        input::take(&mut stage.app, &Event::Mouse(mouse));
        selected_remote(stage.settle(&snapshot))
    };
    for remote in ["172.16.0.3", "172.16.0.6"] {
        assert_eq!(wheel(&mut stage, MouseEventKind::ScrollDown), remote);
    }
    for remote in ["172.16.0.3", "172.16.0.0", "172.16.0.0"] {
        assert_eq!(wheel(&mut stage, MouseEventKind::ScrollUp), remote);
    }
    // In Help it is three lines.
    stage.key(KeyCode::Char('h'));
    let fourth = stage.text().lines().nth(5).unwrap().to_owned();
    wheel(&mut stage, MouseEventKind::ScrollDown);
    assert_eq!(stage.text().lines().nth(2), Some(&*fourth));
}

#[test]
fn c2_the_count_of_hidden_rows_is_what_l_brings() {
    let rows = [
        flow(6, "127.0.0.1:5000 → 127.0.0.1:80", FlowState::Established, [1e3, 1e3], 9, 0),
        flow(6, "127.0.0.1:5001 → 127.0.0.1:81", FlowState::Established, [1e3, 1e3], 8, 0),
        flow(6, "10.0.0.1:5001 → 10.0.0.2:80", FlowState::Established, [1e3, 1e3], 8, 0),
    ];
    let snapshot = live(&rows);
    let with = |filter: &str| {
        let setup = Setup { localhost: Localhost::Hide, filter: filter.into(), ..Setup::default() };
        let mut stage = Stage::with(120, 24, setup);
        stage.epoch(&snapshot);
        stage
    };
    assert!(with("").line("Active Conn").contains("1 of 3 · 2 localhost hidden (L)"), "{}", with("").text());
    assert!(with("dport:=80").line("Active Conn").contains("1 of 3 · 1 localhost hidden (L)"));
    assert!(!with("10.0.0.2").text().contains("localhost hidden"));
    let text = with("dport:=81").text();
    assert!(text.contains("What matches the filter is hidden: 1 of 3 connections"), "{text}");
}

#[test]
fn another_interface_is_asked_about_before_what_is_there_goes() {
    let snapshot = live(&numbered(5));
    let list = || ["eth0", "eth1", "eth2"].map(|name| (name.to_owned(), "up".to_owned())).to_vec();
    let setup = Setup { interfaces: Some(list), ..Setup::default() };
    let mut stage = Stage::with(120, 24, setup);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char(' '));
    stage.settle(&snapshot).key(KeyCode::Char('I'));
    stage.key(KeyCode::Down);
    stage.key(KeyCode::Enter);
    let asks = "Enter again gives up rows, the frozen view, history and marks for eth1";
    assert!(stage.app.effects.is_empty() && stage.text().contains(asks), "{}", stage.text());
    // Another line is another question.
    stage.key(KeyCode::Down);
    assert!(!stage.text().contains("again gives up"), "{}", stage.text());
    stage.key(KeyCode::Enter);
    assert!(stage.app.effects.is_empty() && stage.text().contains("marks for eth2"));
    stage.key(KeyCode::Enter);
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Again(Again::Interface("eth2".into()))));
    assert!(stage.app.overlay.is_none());
    // Away from the list nothing is asked any more.
    stage.key(KeyCode::Char('I'));
    stage.key(KeyCode::Enter);
    stage.key(KeyCode::Esc);
    assert!(stage.app.overlay.is_none() && stage.app.effects.is_empty());
}
