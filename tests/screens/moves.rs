//! Where the selection is and where it goes.

use crate::stage::*;

#[test]
fn keys_move_the_selection() {
    let snapshot = live(&numbered(1000));
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    let ctrl = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
    // 15 rows are on the screen.
    for (key, place) in [
        (plain(KeyCode::Up), 0),
        (plain(KeyCode::Down), 1),
        (plain(KeyCode::Char('j')), 2),
        (plain(KeyCode::Char('k')), 1),
        (plain(KeyCode::PageDown), 11),
        (plain(KeyCode::PageUp), 1),
        (plain(KeyCode::PageUp), 0),
        (ctrl('f'), 15),
        (ctrl('d'), 22),
        (ctrl('u'), 15),
        (ctrl('b'), 0),
        (plain(KeyCode::Char('G')), 999),
        (plain(KeyCode::Down), 999),
        (plain(KeyCode::PageUp), 989),
        (plain(KeyCode::Char('g')), 0),
        (plain(KeyCode::End), 999),
        (plain(KeyCode::Home), 0),
    ] {
        stage.press(key);
        stage.settle(&snapshot);
        let expected = format!("172.16.{}.{}", place / 250, place % 250);
        assert_eq!(selected_remote(&mut stage), expected, "{key:?}");
        let number = if place == 999 { "1,000".to_owned() } else { (place + 1).to_string() };
        let shown = format!("── {number}/1,000 ");
        assert!(stage.text().contains(&shown), "{shown}");
        let row = stage.line(&format!("{expected}:1000 "));
        assert!(row.starts_with('▌'), "{row}");
    }
}

#[test]
fn scrolling_within_what_is_known_needs_no_query() {
    let snapshot = live(&numbered(1000));
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    for place in 1..=90 {
        stage.key(KeyCode::Down);
        stage.draw();
        let asked = stage.app.ask();
        assert!(asked.is_none_or(|(_, urgent)| !urgent), "at {place}");
        assert_eq!(selected_remote(&mut stage), format!("172.16.0.{place}"));
    }
    // Far away rows are asked for at once; until they come the old ones stay.
    stage.key(KeyCode::Char('G'));
    stage.draw();
    assert!(stage.app.ask().is_some_and(|(_, urgent)| urgent));
    assert!(stage.line("172.16.0.90:1000 ").starts_with('▌'));
    assert!(stage.text().contains("1,000/1,000"));
}

#[test]
fn the_selection_stays_on_its_connection() {
    let mut rows = numbered(100);
    let mut stage = Stage::new(80, 24);
    stage.epoch(&live(&rows));
    for _ in 0..20 {
        stage.key(KeyCode::Down);
    }
    stage.settle(&live(&rows));
    let line = |s: &mut Stage| s.text().lines().position(|l| l.starts_with('▌'));
    let before = line(&mut stage);
    for row in &mut rows[..5] {
        row.0 = FlowRecord::default();
    }
    stage.epoch(&live(&rows));
    assert_eq!(selected_remote(&mut stage), "172.16.0.20");
    assert_eq!(line(&mut stage), before, "it stays on its line");
    assert!(stage.text().contains("── 16/95 ──"));
}

#[test]
fn a_selected_row_that_ends_stays_until_one_moves() {
    let mut rows = numbered(30);
    let mut stage = Stage::new(80, 24);
    stage.epoch(&live(&rows));
    stage.key(KeyCode::Down);
    stage.settle(&live(&rows));
    rows[1].0 = FlowRecord::default();
    stage.epoch(&live(&rows));
    let mut later = live(&rows);
    later.wall = Stamp(WALL.0 + 5_000_000_000);
    stage.epoch(&later);
    let row = stage.line("ended 14:03:22");
    assert!(row.starts_with('▌') && row.contains("172.16.0.1:1000"));
    // It is no connection any more, but has a place.
    assert!(stage.text().contains(" 29 + 1 ended · Local, Service"), "{}", stage.text());
    assert!(stage.text().contains("── 2/30 "));
    stage.key(KeyCode::Down);
    stage.settle(&later);
    stage.epoch(&later);
    assert!(!stage.text().contains("ended") && stage.text().contains("── 2/29 "));
    assert_eq!(selected_remote(&mut stage), "172.16.0.2");
}

#[test]
fn so9_a_row_that_was_closed_tells_by_what() {
    for (width, behind) in [(80, " (FIN) "), (100, " (FIN) "), (120, " (FIN) "), (200, " (FIN) ")] {
        let mut rows = numbered(3);
        rows[1] = flow(6, "10.0.0.1:443 ← 172.16.0.1:1000", FlowState::TimeWait, [0.0; 2], 2, 1);
        let mut stage = Stage::new(width, 24);
        stage.epoch(&live(&rows));
        stage.key(KeyCode::Down);
        stage.settle(&live(&rows));
        let header = stage.line(" Pro ");
        let selected = selected_remote(&mut stage);
        let at = rows.iter().position(|row| row.0.hot.state == FlowState::TimeWait).unwrap();
        rows[at].0 = FlowRecord::default();
        assert_eq!(selected, "172.16.0.1");
        stage.epoch(&live(&rows));
        let row = stage.line("▌TCP");
        assert!(row.contains(&format!("ended 14:03:21{behind}")), "{width}: {row}");
        // What it leaves of the next column is too little for anything, a sign of a cut included.
        assert!(!row.contains('…'), "{width}: {row}");
        // The columns stay where they are.
        let state = header.chars().take_while(|c| *c != 'S').count();
        assert_eq!(row.chars().skip(state).take(5).collect::<String>(), "ended", "{header}\n{row}");
        stage.key(KeyCode::Char('2'));
        assert!(stage.line("Lifetime").contains("14:03:21 (FIN)"), "{}", stage.text());
    }
}

#[test]
fn so9_the_end_of_a_row_has_the_room_that_its_text_needs() {
    for width in [80, 100, 120, 140, 160, 200] {
        let mut rows = numbered(3);
        rows[1] = flow(17, "10.0.0.1:5353 → 172.16.0.1:53", FlowState::Udp, [0.0; 2], 2, 1);
        let mut stage = Stage::new(width, 24);
        stage.epoch(&live(&rows));
        stage.key(KeyCode::Down);
        stage.settle(&live(&rows));
        let at = rows.iter().position(|row| row.0.hot.key.proto == 17).unwrap();
        rows[at].0 = FlowRecord::default();
        let mut later = live(&rows);
        later.wall = Stamp(WALL.0 + 70_000_000_000);
        stage.epoch(&later);
        let row = stage.line("▌UDP");
        assert!(row.contains(" (timeout) "), "{width}: {row}");
    }
}

#[test]
fn the_first_row_is_selected_until_one_moves_and_the_newest_after_g() {
    let mut rows = numbered(30);
    let mut stage = Stage::new(80, 24);
    stage.epoch(&live(&rows));
    rows[0].0 = FlowRecord::default();
    stage.epoch(&live(&rows));
    assert_eq!(selected_remote(&mut stage), "172.16.0.1");
    stage.key(KeyCode::Char('G'));
    stage.epoch(&live(&rows));
    assert!(stage.text().contains("follows the newest"));
    rows.push(flow(6, "10.0.0.1:443 ← 172.17.0.1:1", FlowState::SynRecv, [0.0; 2], 0, 0));
    stage.epoch(&live(&rows));
    assert_eq!(selected_remote(&mut stage), "172.17.0.1");
    stage.key(KeyCode::Up);
    assert!(!stage.text().contains("follows the newest"));
}

#[test]
fn k3_tabs_go_round_and_keep_their_places() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Down);
    let second = selected_remote(stage.settle(&snapshot));
    let forwards = [KeyCode::Tab, KeyCode::Char(']')];
    let backwards = [KeyCode::BackTab, KeyCode::Char('[')];
    for n in 1..=7_usize {
        stage.key(forwards[n % 2]);
        stage.settle(&snapshot);
        assert_eq!(stage.app.tab, Tab::ALL[n % 7]);
    }
    for n in (0..7_usize).rev() {
        stage.key(backwards[n % 2]);
        stage.settle(&snapshot);
        assert_eq!(stage.app.tab, Tab::ALL[n % 7]);
    }
    for n in (0..7_usize).rev() {
        stage.key(KeyCode::Char(char::from(b'1' + n as u8)));
        stage.settle(&snapshot);
        assert_eq!(stage.app.tab, Tab::ALL[n]);
    }
    assert_eq!(selected_remote(&mut stage), second);
    // Each has its own place.
    stage.key(KeyCode::Char('4'));
    stage.settle(&snapshot);
    stage.key(KeyCode::Down);
    stage.key(KeyCode::Down);
    stage.settle(&snapshot);
    stage.key(KeyCode::Char('5'));
    stage.settle(&snapshot);
    assert_eq!(stage.app.group_places().1, 0);
    stage.key(KeyCode::Char('4'));
    stage.settle(&snapshot);
    assert_eq!(stage.app.group_places().1, 2);
    stage.key(KeyCode::Char('1'));
    stage.settle(&snapshot);
    stage.key(KeyCode::Enter);
    assert_eq!(stage.app.tab, Tab::Details, "K7");
    assert_eq!(selected_remote(&mut stage), second);
}
