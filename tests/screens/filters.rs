//! The filter, as it is typed.

use crate::stage::*;

#[test]
fn f1_the_table_follows_each_key_of_the_filter() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('/'));
    typed(&mut stage, "nginx");
    assert!(stage.settle(&snapshot).text().contains(" 3 of 57 "));
    typed(&mut stage, " q sport:");
    // Keys are letters here, and a term that is being typed is no error.
    assert!(stage.settle(&snapshot).text().contains("/nginx q sport:"));
    stage.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
    typed(&mut stage, "nginx prot:");
    let text = stage.settle(&snapshot).text();
    assert!(text.contains("at 7: prot: is no keyword; proto: is near"), "{text}");
    insta::assert_snapshot!("filter_problem", text);
    stage.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
    typed(&mut stage, "nginx (");
    let text = stage.settle(&snapshot).text();
    assert!(
        text.contains("at 7: ) is missing") && text.contains(" 3 of 57 "),
        "the last good filter stays: {text}"
    );
    stage.key(KeyCode::Backspace);
    stage.key(KeyCode::Backspace);
    stage.key(KeyCode::Enter);
    assert!(stage.settle(&snapshot).text().contains("── Active Connections /nginx "));
    // Esc clears an active filter.
    stage.key(KeyCode::Esc);
    assert!(!stage.settle(&snapshot).text().contains("/nginx"));
    assert!(stage.text().contains(" 57 "));
}

#[test]
fn f13_examples_find_their_rows() {
    let snapshot = known();
    for (filter, count) in [
        ("sport:443 process:nginx", 3),
        ("dport:443 sni:google.com", 1),
        ("sport:443 state:syn_recv", 1),
        ("proto:tcp state:established", 46),
        ("state:time_wait", 1),
        ("state:udp", 3),
        ("sni:api", 2),
        ("dst:google.com", 1),
        ("process:firefox", 1),
        ("rate>1M not dport:443", 4),
        ("nowhere", 0),
    ] {
        let mut stage = Stage::with(120, 24, Setup { filter: filter.into(), ..Setup::default() });
        stage.epoch(&snapshot);
        assert_eq!(stage.app.view.as_ref().unwrap().len, count, "{filter}");
        if count == 0 {
            assert!(stage.text().contains("0 of 57 match the filter"));
        }
    }
}

#[test]
fn f14_what_is_no_filter_stays_in_its_line_with_the_reason() {
    let snapshot = known();
    for (wrong, reason) in [
        ("nginx prot:x", "is no keyword"),
        ("nginx rate>", "something is missing"),
        ("nginx sni:/ab", "/ is not closed"),
        ("nginx (", ") is missing"),
    ] {
        let mut stage = Stage::new(120, 24);
        stage.epoch(&snapshot);
        stage.key(KeyCode::Char('/'));
        typed(&mut stage, wrong);
        let good = stage.settle(&snapshot).app.view.as_ref().unwrap().len;
        stage.key(KeyCode::Enter);
        let text = stage.settle(&snapshot).text();
        assert!(text.contains(reason), "{wrong}: {text}");
        assert_eq!(stage.app.view.as_ref().unwrap().len, good, "{wrong}: the last good one stays in force");
        assert!(stage.app.filter.editing.is_some() && stage.app.effects.is_empty(), "{wrong}");
        // Mended, it is entered and remembered.
        for _ in 0..wrong.len() - "nginx".len() {
            stage.key(KeyCode::Backspace);
        }
        stage.key(KeyCode::Enter);
        let entered = Effect::Remember(vec!["nginx".into()]);
        assert_eq!(stage.app.effects.drain(..).next(), Some(entered), "{wrong}");
    }
}
