//! Every tab at every size, and whatever else has to fit.

use crate::stage::*;

#[test]
fn screens_of_every_size() {
    let mut snapshot = live(&rows());
    let history = Arc::make_mut(&mut snapshot.history);
    for second in 0..90 {
        let (down, up) = (2e8 + 2e8 * (second as f64 / 7.0).sin(), 4e7 + 3e7 * (second as f64 / 5.0).cos());
        history.push(Nanos(NOW.0 + (second + 1) * 1_000_000_000), Nanos::from_secs(1), [down, up, 8e5]);
    }
    for (width, height) in [(20, 5), (40, 10), (60, 15), (80, 24), (104, 19), (120, 40), (160, 30), (200, 50)]
    {
        let mut stage = Stage::new(width, height);
        let text = stage.epoch(&snapshot).text();
        insta::assert_snapshot!(format!("{width}x{height}"), text);
    }
}

#[test]
fn hostile_names_and_huge_numbers_stay_in_their_places() {
    let mut rows = rows();
    let huge = &mut rows[0];
    huge.0.hot.bytes = [u64::MAX; 2];
    huge.0.hot.frames = [u64::MAX / 4; 2];
    huge.0.facts.first = Stamp(0);
    huge.0.facts.retransmits = [u32::MAX; 2];
    huge.1 = [f32::MAX, f32::INFINITY];
    let mut snapshot = live(&rows);
    snapshot.totals.down = f64::INFINITY;
    snapshot.totals.up = f64::NAN;
    snapshot.totals.packets_per_second = 1e30;
    snapshot.accounts.taken.frames = u64::MAX / 2;
    snapshot.sources[0].interfaces = ["網路介面卡\u{202e}evil", "e\u{301}\u{301}th\x1b[2J\x07"]
        .map(|name| InterfaceStatus { name: name.into(), ..Default::default() })
        .into();
    for (width, height) in [(80, 24), (200, 50)] {
        let mut stage = Stage::new(width, height);
        insta::assert_snapshot!(format!("hostile_{width}x{height}"), stage.epoch(&snapshot).text());
    }
}

#[test]
fn every_tab_at_every_size() {
    let mut snapshot = known();
    let history = Arc::make_mut(&mut snapshot.history);
    for second in 0..90 {
        let wave = f64::from(second) / 7.0;
        let rates = [2e8 + 2e8 * wave.sin(), 4e7 + 3e7 * wave.cos(), 8e5];
        history.push(Nanos(NOW.0 + (second as u64 + 1) * 1_000_000_000), Nanos::from_secs(1), rates);
    }
    for (width, height) in [(40, 10), (80, 24), (120, 40), (200, 50)] {
        for tab in 1..=7 {
            let mut stage = Stage::new(width, height);
            stage.epoch(&snapshot);
            stage.key(KeyCode::Char(char::from_digit(tab, 10).unwrap()));
            let text = stage.settle(&snapshot).text();
            insta::assert_snapshot!(format!("tab{tab}_{width}x{height}"), text);
        }
    }
}

#[test]
fn v7_sorted_narrow_screens_keep_rates_and_processes() {
    let snapshot = known();
    let mut stage = Stage::new(41, 11);
    stage.epoch(&snapshot);
    for n in 0..9 {
        stage.key(KeyCode::Char('s'));
        // Sorted by it, the last one has its arrow beside its name.
        let process = if n == 8 { "Process ↑" } else { "Process" };
        let text = stage.settle(&snapshot).text();
        let is_header =
            |line: &&str| ["Pro", "Remote", "Down", process].iter().all(|name| line.contains(name));
        assert!(text.lines().any(|line| is_header(&line)), "{text}");
    }
}

#[test]
fn a_column_that_cannot_be_narrower_keeps_nothing_of_the_attempt() {
    let snapshot = known();
    for sorts in 1..=8 {
        let mut stage = Stage::new(120, 40);
        stage.epoch(&snapshot);
        (0..sorts).for_each(|_| assert_eq!(stage.key(KeyCode::Char('s')), Next::Draw));
        let header = |stage: &mut Stage| stage.settle(&snapshot).app.hits.columns.clone();
        let mut last = header(&mut stage);
        let mut steps = 0;
        loop {
            let kept = format!("{:?}", stage.app.columns);
            stage.key(KeyCode::Char('<'));
            let now = header(&mut stage);
            if stage.text().contains("this column cannot be narrower") {
                assert_eq!((&now, format!("{:?}", stage.app.columns)), (&last, kept));
                break;
            }
            assert_ne!(now, last);
            last = now;
            steps += 1;
            assert!(steps < 60, "{last:?}");
        }
    }
}

#[test]
fn v10_every_chart_can_be_scrolled_to_and_shares_stand_on_every_screen() {
    let snapshot = known();
    for (width, height) in [(80, 24), (120, 40), (200, 30), (40, 10)] {
        let mut stage = Stage::new(width, height);
        stage.epoch(&snapshot);
        stage.key(KeyCode::Char('6'));
        let charts = |text: &str| -> Vec<String> {
            let is_chart = |line: &&str| line.contains("peak") || line.contains("Packets");
            let titles = text.lines().filter(is_chart).flat_map(|line| line.split("now "));
            titles.map(str::to_owned).collect()
        };
        let mut seen = stage.settle(&snapshot).text();
        let first = charts(&seen);
        for _ in 0..8 {
            stage.key(KeyCode::Down);
            seen += &stage.settle(&snapshot).text();
        }
        for span in ["· 60 s", "· 10 min", "· 1 h", "Packets"] {
            assert!(seen.contains(span) || width == 40, "{span} at {width}x{height}:\n{seen}");
        }
        stage.key(KeyCode::Char('g'));
        assert_eq!(charts(&stage.settle(&snapshot).text()), first, "and back");
        if height >= 24 {
            let line = stage.line(" TCP ");
            assert!(line.contains('%'), "{line}");
        }
    }
}

#[test]
fn what_both_sides_sent_is_never_cut_in_details() {
    let mut rows = rows();
    (rows[0].0.hot.bytes, rows[0].0.hot.frames) = ([48_102_331_904, 31_048_211_700], [33_204_118, 4_120_775]);
    let snapshot = live(&rows);
    for width in 100..130 {
        let mut stage = Stage::new(width, 40);
        stage.epoch(&snapshot);
        (0..3).for_each(|_| assert_eq!(stage.key(KeyCode::Down), Next::Draw));
        stage.settle(&snapshot);
        stage.key(KeyCode::Char('2'));
        let text = stage.settle(&snapshot).text();
        for number in ["48,102,331,904", "31,048,211,700", "33,204,118", "4,120,775"] {
            assert!(text.contains(number), "{number} at {width}:\n{text}");
        }
    }
}
