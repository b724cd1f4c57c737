//! The tab Pipeline: remedies are whole, and each line says what it means.

use crate::stage::*;

/// A stage on the tab, with all of the page on it.
fn page(width: u16, snapshot: &Snapshot) -> Stage {
    let mut stage = Stage::new(width, 120);
    stage.epoch(snapshot).key(KeyCode::Char('7'));
    stage.settle(snapshot);
    stage
}

fn lossy() -> Snapshot {
    let mut snapshot = known();
    for (n, reason) in DropReason::ALL.iter().enumerate() {
        snapshot.accounts.drops[*reason] = n as u64 + 1;
    }
    snapshot.sources[0].kernel_drops = 34_900;
    snapshot.totals.evicted = 12;
    snapshot.totals.ended_unreported = 3;
    snapshot.owner_method.reason = Some("no BTF".into());
    snapshot.owner_method.remedy =
        Some("a kernel with CONFIG_DEBUG_INFO_BTF, from 5.8 on, or --owners proc".into());
    snapshot
}

#[test]
fn v14_what_to_do_can_be_read_to_its_end() {
    let snapshot = lossy();
    for width in [40, 50, 60, 79, 80, 99, 100, 110, 119, 120, 160, 200] {
        let text = page(width, &snapshot).text();
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("");
        let told = words(&text);
        let all = DropReason::ALL.iter().map(|reason| reason.remedy());
        let others = [
            "the capture cores are too slow or shared: more or other --cores, or --capture bpf",
            "the table was full: --max-flows; no frame is lost by it",
            "more ended at once than the queue holds",
            "no BTF: a kernel with CONFIG_DEBUG_INFO_BTF, from 5.8 on, or --owners proc",
        ];
        for remedy in all.chain(others) {
            assert!(told.contains(&words(remedy)), "{remedy} at {width}:\n{text}");
        }
        assert!(width < 60 || !text.contains('…'), "{width}: {text}");
    }
}

#[test]
fn k14_the_page_stands_still_with_the_rows() {
    let before = lossy();
    let mut after = lossy();
    after.sources[0].kernel_drops += 700;
    after.accounts.taken.frames += 1_000;
    after.accounts.flows.frames += 1_000;
    (after.epoch, after.now) = (Epoch(before.epoch.0 + 14), Nanos(before.now.0 + 14_000_000_000));
    for width in [40, 80, 120, 200] {
        let mut stage = page(width, &before);
        let body = |stage: &mut Stage| {
            let text = stage.text();
            let start = text.find("VERDICT").unwrap();
            // How old it is grows.
            let page = text[start..].rsplit_once("\n ").unwrap().0;
            let page: Vec<&str> = page.lines().filter(|line| !line.contains("s old")).collect();
            (text[..start].to_owned(), page.join("\n"))
        };
        stage.key(KeyCode::Char(' '));
        stage.settle(&before);
        let (_, page) = body(&mut stage);
        // The engine goes on, and so does what is measured.
        stage.app.uptime = Nanos(stage.app.uptime.0 + 14_000_000_000);
        if width >= 80 {
            // Where lines are short, the age is on two of them.
            stage.app.clock = Stamp(stage.app.clock.0 + 14_000_000_000);
        }
        stage.app.readings.usage = None;
        stage.epoch(&after);
        let (head, same) = body(&mut stage);
        assert_eq!(same, page, "{width}");
        assert!(head.contains("FROZEN"), "{head}");
        assert!(width < 80 || stage.text().contains("(14.3 s old)"), "{}", stage.text());
        stage.key(KeyCode::Char(' '));
        stage.settle(&after);
        let (head, other) = body(&mut stage);
        assert!(other != page && !head.contains("FROZEN"), "{width}: {head}");
        assert!(other.contains("35,600"), "{other}");
    }
}

#[test]
fn enter_explains_the_line_under_the_cursor_to_its_end() {
    let snapshot = lossy();
    for width in [40, 80, 120] {
        let mut stage = page(width, &snapshot);
        let mut told = Vec::new();
        loop {
            let item = stage.app.scroll[Tab::Pipeline.place()];
            stage.key(KeyCode::Enter);
            let text = stage.text();
            assert!(text.contains("What this line means"), "{width}: {text}");
            let meaning: Vec<&str> = text.lines().skip(2).take_while(|line| !line.starts_with('─')).collect();
            let meaning = meaning.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(meaning.contains(' ') && !meaning.contains('…'), "{width}: {meaning}");
            told.push(meaning);
            stage.key(KeyCode::Esc);
            stage.key(KeyCode::Down);
            stage.draw();
            if stage.app.scroll[Tab::Pipeline.place()] == item {
                break;
            }
        }
        assert!(told.len() > 30, "{told:?}");
        // Below, names are on several lines, too.
        for reason in DropReason::ALL.iter().filter(|_| width >= 100) {
            let all = format!("{}{}", reason.meaning(), reason.remedy()).replace(' ', "");
            let is_told = |told: &String| told.replace("whattodo", "").contains(&all);
            let mut told = told.iter().map(|told| told.replace(' ', ""));
            assert!(told.any(|told| is_told(&told)), "{}", reason.title());
        }
    }
    let mut stage = page(80, &snapshot);
    assert!(stage.line("Enter explain").contains("y copy diagnosis"));
}

#[test]
fn the_line_under_the_cursor_stays_in_sight() {
    let snapshot = lossy();
    for (width, height) in [(40, 10), (80, 24), (120, 40)] {
        let mut stage = Stage::new(width, height);
        stage.epoch(&snapshot).key(KeyCode::Char('7'));
        for key in [KeyCode::Char('j'); 60].into_iter().chain([KeyCode::Char('g'), KeyCode::Char('G')]) {
            stage.key(key);
            stage.draw();
            let buffer = stage.buffer();
            let is_band = |y| buffer[(0, y)].modifier.contains(Modifier::REVERSED);
            assert!((0..height).any(is_band), "{width}x{height} after {key:?}");
        }
    }
}

#[test]
fn v14_what_cards_lost_where_cores_are_and_how_fast_the_screen_is() {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustnet::{capture::source::NicCounters, tui::app::ScreenPace};
    static COUNTED: AtomicU64 = AtomicU64::new(7);
    let mut snapshot = known();
    let setup = Setup {
        nic_counters: Some(|name| {
            let missed = COUNTED.fetch_add(3, Ordering::Relaxed);
            (name == "eth0").then_some(NicCounters { dropped: 12, missed, passed: 0 })
        }),
        placement: vec!["eth0: NUMA node 0, interrupts on core 2".into(), "core 2-3: NUMA node 0".into()],
        placement_warnings: vec!["interrupts of eth0 go to core 2 of this plan".into()],
        privileges: Some("net_raw, bpf, perfmon".into()),
        ..Setup::default()
    };
    for width in [40, 80, 120, 200] {
        let mut stage = Stage::with(width, 150, setup.clone());
        stage.epoch(&snapshot);
        stage.app.read_nics();
        stage.app.read_nics();
        stage.app.readings.pace = Some(ScreenPace {
            draw: Nanos(1_900_000),
            key_to_paint: Some(Nanos::from_millis(6)),
            bytes_per_second: 9_200.0,
        });
        stage.app.view.as_mut().unwrap().took = Nanos(600_000);
        stage.key(KeyCode::Char('7'));
        // Losses of the last minute, second by second.
        for (epoch, lost) in [(2, 0), (3, 700), (4, 700)] {
            snapshot.sources[0].kernel_drops = lost;
            (snapshot.epoch, snapshot.now) = (Epoch(epoch), Nanos(NOW.0 + epoch * 1_000_000_000));
            stage.epoch(&snapshot);
            stage.app.view.as_mut().unwrap().took = Nanos(600_000);
        }
        let text = stage.text();
        let told = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for what in [
            "rx_dropped 0 rx_missed 3",
            "NUMA node 0",
            "interrupts of eth0 go to core 2 of this plan",
            "net_raw, bpf, perfmon",
            "draw 1.9 ms, query 0.60 ms, key to paint p99 6.0 ms, 9.20 kB/s to the terminal",
            "60 s, at most 700",
        ] {
            assert!(told.contains(what), "{what} at {width}:\n{text}");
        }
        let chart = text.lines().skip_while(|line| !line.contains("Lost per second")).nth(1).unwrap();
        // On the narrowest screens a cell stands for two seconds.
        assert!(chart.ends_with(if width == 40 { "▁█" } else { "▁█▁" }), "{chart}");
        (snapshot.epoch, snapshot.now) = (Epoch(1), NOW);
    }
}
