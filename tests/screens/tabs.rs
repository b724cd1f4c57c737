//! What holds on every tab: ways out, places that are kept, the last line, the palette and Help.

use crate::stage::*;
use rustnet::tui::{keys::KEYS, overlay::entries};

fn ctrl_c() -> KeyEvent {
    KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)
}

#[test]
fn k2_ctrl_c_quits_wherever_one_is() {
    let snapshot = known();
    for keys in ["", "1", "2", "3", "4", "5", "6", "7", "/tcp", ":", "C", "Y", "!", "q", "x", " "] {
        let mut stage = Stage::new(80, 24);
        stage.epoch(&snapshot);
        typed(&mut stage, keys);
        stage.settle(&snapshot);
        assert_eq!(stage.press(ctrl_c()), Next::Quit, "behind {keys:?}");
    }
}

#[test]
fn k1_any_other_key_stays_wherever_one_is() {
    let snapshot = known();
    for tab in '1'..='7' {
        let mut stage = Stage::new(80, 24);
        stage.epoch(&snapshot).key(KeyCode::Char(tab));
        let before = stage.settle(&snapshot).text();
        for other in [KeyCode::Esc, KeyCode::Enter, KeyCode::Char('/'), KeyCode::Tab, KeyCode::Char('s')] {
            stage.key(KeyCode::Char('q'));
            assert!(stage.line("Quit?").contains("q again quits, any other key stays"));
            assert_eq!(stage.key(other), Next::Draw);
            assert_eq!(stage.settle(&snapshot).text(), before, "{tab}: {other:?} does nothing else");
        }
    }
}

#[test]
fn k3_tabs_of_text_keep_how_far_one_has_scrolled() {
    let snapshot = known();
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    let mut pages = Vec::new();
    for (tab, downs) in [('3', 7), ('6', 2), ('7', 3)] {
        stage.key(KeyCode::Char(tab));
        let top = stage.settle(&snapshot).text();
        (0..downs).for_each(|_| assert_eq!(stage.key(KeyCode::Down), Next::Draw));
        let page = stage.settle(&snapshot).text();
        let looks = stage.buffer().clone();
        assert!(page != top || tab == '7', "{tab} scrolls");
        pages.push((tab, page, looks));
    }
    for (tab, page, looks) in pages {
        stage.key(KeyCode::Char(tab));
        assert_eq!(stage.settle(&snapshot).text(), page, "{tab}");
        assert_eq!(*stage.buffer(), looks, "{tab}");
    }
}

#[test]
fn k17_the_last_line_always_tells_the_way_to_help_and_out() {
    let snapshot = known();
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        let mut stage = Stage::new(width, height);
        stage.epoch(&snapshot);
        for before in ["", " ", "a", "t"] {
            typed(&mut stage, before);
            for tab in '1'..='7' {
                stage.key(KeyCode::Char(tab));
                let text = stage.settle(&snapshot).text();
                let last = text.lines().last().unwrap();
                assert!(last.ends_with("  h help  q quit"), "{before:?} {tab} at {width}: {last}");
            }
            stage.key(KeyCode::Char('1'));
        }
    }
}

#[test]
fn k17_the_last_line_tells_only_keys_that_work_here() {
    let snapshot = known();
    let mut stage = Stage::new(200, 50);
    stage.epoch(&snapshot);
    for (tab, there, elsewhere) in [
        (
            '1',
            &["s sort", "Enter details", "c copy", "= only like this"][..],
            &["y copy field", ", back"][..],
        ),
        ('2', &["c copy", "y copy field"], &["s sort", "Enter", "= only", "Right open"]),
        ('3', &["/ filter"], &["s sort", "c copy", "Enter"]),
        ('4', &["s sort", "Enter connections", "Right open"], &["c copy", "= only", "l listening"]),
        ('5', &["s sort", "Enter connections", "Left close"], &["c copy", "= only"]),
        ('6', &["Space freeze"], &["s sort", "c copy", "Enter"]),
        ('7', &["Enter explain", "e export this page", "y copy diagnosis"], &["s sort", "c copy"]),
    ] {
        stage.key(KeyCode::Char(tab));
        let text = stage.settle(&snapshot).text();
        let last = format!("{}  ", text.lines().last().unwrap());
        assert!(there.iter().all(|key| last.contains(&format!(" {key}  "))), "{tab}: {last}");
        assert!(elsewhere.iter().all(|key| !last.contains(&format!(" {key}"))), "{tab}: {last}");
    }
    // Nor of rows where there are none.
    let mut stage = Stage::new(200, 50);
    let text = stage.epoch(&live(&[])).text();
    let last = text.lines().last().unwrap();
    assert!(!last.contains("c copy") && !last.contains("Enter") && last.contains("s sort"), "{last}");
}

#[test]
fn k17_every_action_is_in_the_palette_with_its_key() {
    let snapshot = known();
    let mut stage = Stage::new(100, 30);
    stage.epoch(&snapshot);
    for key in KEYS.iter().filter(|key| key.name != ":") {
        let refusal = (key.works)(&stage.app).err();
        for typed in [key.text, key.name] {
            let found = entries(&stage.app, typed);
            // What cannot be done now comes behind what can.
            let first = found.iter().find(|entry| entry.refusal.is_some() == refusal.is_some()).unwrap();
            assert_eq!((first.key, &*first.text), (key.name, key.text), "found by {typed}");
            assert_eq!(first.refusal.as_deref(), refusal);
        }
    }
    // Letters in their order are enough, and Enter does it.
    typed(&mut stage, ":frzs tbl");
    assert!(stage.settle(&snapshot).text().lines().nth(2).unwrap().contains("Space "), "{}", stage.text());
    stage.key(KeyCode::Enter);
    assert!(stage.app.is_frozen() && stage.app.overlay.is_none());
}

#[test]
fn k17_what_cannot_be_done_now_is_dim_and_says_why() {
    let snapshot = known();
    let mut stage = Stage::new(100, 30);
    stage.epoch(&snapshot);
    typed(&mut stage, ":copies the field");
    let text = stage.settle(&snapshot).text();
    let y = text.lines().position(|line| line.contains("copies the field, on")).unwrap() as u16;
    assert!(text.lines().nth(y.into()).unwrap().contains("(only on Details and Pipeline)"), "{text}");
    assert!((14..60).all(|x| stage.buffer()[(x, y)].modifier.contains(Modifier::DIM)), "{text}");
    stage.key(KeyCode::Enter);
    assert!(stage.app.effects.is_empty() && stage.app.overlay.is_some());
    assert!(stage.text().lines().last().unwrap().contains("only on Details and Pipeline"));
    // The same where it can be done.
    stage.key(KeyCode::Esc);
    typed(&mut stage, "2:copies the field");
    let text = stage.settle(&snapshot).text();
    let y = text.lines().position(|line| line.contains("copies the field, on")).unwrap() as u16;
    assert!(!text.contains("(only on"), "{text}");
    assert!((14..60).all(|x| !stage.buffer()[(x, y)].modifier.contains(Modifier::DIM)), "{text}");
    stage.key(KeyCode::Enter);
    assert!(matches!(stage.app.effects[..], [Effect::Copy(_)]));
}

#[test]
fn k17_help_has_every_key_and_k12_scrolls_to_its_end() {
    let snapshot = known();
    let mut stage = Stage::new(200, 24);
    stage.epoch(&snapshot).key(KeyCode::Char('?'));
    let mut pages = String::new();
    let mut last = String::new();
    while last != stage.settle(&snapshot).text() {
        last = stage.text();
        pages += &last;
        stage.key(KeyCode::PageDown);
    }
    for key in KEYS {
        let line = format!("  {:<12} {}", key.name, key.text);
        assert!(pages.contains(&line), "{line}");
    }
    stage.key(KeyCode::Char('?'));
    assert_eq!(stage.app.tab, Tab::Overview);
}

#[test]
fn v10_charts_of_a_span_stand_side_by_side_and_none_alone() {
    let snapshot = known();
    for (width, height, sides) in [(200, 50, &[3, 2, 2][..]), (180, 50, &[3, 2, 2]), (140, 60, &[2, 1, 2, 2])]
    {
        let mut stage = Stage::new(width, height);
        stage.epoch(&snapshot).key(KeyCode::Char('6'));
        let text = stage.settle(&snapshot).text();
        let rules = text.lines().map(|line| line.matches("─ now ").count()).filter(|count| *count > 0);
        assert_eq!(rules.collect::<Vec<_>>(), sides, "{text}");
    }
}
