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
