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
