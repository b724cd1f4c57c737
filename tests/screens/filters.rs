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
        !text.contains("is missing") && text.contains(" 3 of 57 "),
        "what is being typed is no error, and what stands before it holds: {text}"
    );
    stage.key(KeyCode::Enter);
    assert!(stage.settle(&snapshot).text().contains("at 7: ) is missing"), "it is not entered");
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
fn f1_tab_shows_candidates_whatever_is_still_open() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    for line in ["(process:", "(state:", "!(app:"] {
        stage.key(KeyCode::Char('/'));
        stage.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        typed(&mut stage, line);
        assert!(!stage.settle(&snapshot).text().contains("is missing"));
        stage.key(KeyCode::Tab);
        let first = stage.app.filter.candidates().unwrap().candidates[0].clone();
        let line = stage.settle(&snapshot).line(line);
        assert!(line.contains(&first) && !line.contains("is missing"), "{line}");
        // What is typed on is still no error; entered, it is.
        typed(&mut stage, "x");
        assert!(!stage.settle(&snapshot).text().contains("is missing"), "{line}");
        stage.key(KeyCode::Enter);
        assert!(stage.settle(&snapshot).text().contains("is missing"), "{line}");
        stage.key(KeyCode::Esc);
    }
}

#[test]
fn f1_what_rows_have_is_offered_first() {
    let snapshot = known();
    let mut stage = Stage::new(200, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('/'));
    typed(&mut stage, "state:");
    stage.key(KeyCode::Tab);
    let open = stage.app.filter.candidates().unwrap().candidates.clone();
    let rows = &stage.app.view.as_ref().unwrap().rows;
    let has = |state: &String| rows.iter().any(|row| row.state_text().eq_ignore_ascii_case(state));
    let here = open.iter().take_while(|state| has(state)).count();
    assert!(here > 5 && here < open.len() && !open[here..].iter().any(has), "{open:?}");
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

#[test]
fn f1_tab_completes_what_the_rows_hold_and_shows_the_candidates() {
    let snapshot = known();
    let open = |width: u16, filter: &str| {
        let mut stage = Stage::new(width, 24);
        stage.epoch(&snapshot);
        stage.key(KeyCode::Char('/'));
        typed(&mut stage, filter);
        stage.settle(&snapshot).key(KeyCode::Tab);
        stage
    };
    let last = |stage: &mut Stage| stage.text().lines().last().unwrap().to_owned();
    for (before, after) in [
        ("process:ng", " /process:nginx"),
        ("process:BILL", " /process:billing-api-with-a-long-name"),
        ("user:an", " /user:anna"),
        ("user:10", " /user:1001"),
        ("if:e", " /if:eth0"),
        ("container:w", " /container:web-7f9c"),
        ("sni:a", " /sni:api.example.org"),
        ("host:www", " /host:www.google.com"),
        ("dst:142", " /dst:142.250.185.78"),
        ("src:17", " /src:172.17.0.5"),
        ("tcp dir:o", " /tcp dir:out"),
    ] {
        let mut stage = open(80, before);
        assert_eq!(last(&mut stage).trim_end(), after);
        assert!(stage.app.filter.candidates().is_none(), "{before}");
    }
    // Where it cannot go on, what it can become stands on the right, and further Tabs write it.
    let mut stage = open(80, "user:");
    assert!(last(&mut stage).ends_with(" anna  billing  root  www-data"), "{}", last(&mut stage));
    for (key, line) in [
        (KeyCode::Tab, " /user:anna "),
        (KeyCode::Tab, " /user:billing "),
        (KeyCode::Tab, " /user:root "),
        (KeyCode::Tab, " /user:www-data "),
        (KeyCode::Tab, " /user:anna "),
        (KeyCode::BackTab, " /user:www-data "),
    ] {
        stage.key(key);
        stage.settle(&snapshot);
        assert!(last(&mut stage).starts_with(line), "{}", last(&mut stage));
        assert!(last(&mut stage).ends_with("www-data"), "{}", last(&mut stage));
    }
    assert_eq!(stage.app.view.as_ref().unwrap().len, 3, "the table follows");
    typed(&mut stage, "x");
    assert_eq!(last(&mut stage).trim_end(), " /user:www-datax");
    // As many as there is room for.
    for width in [40, 80, 120] {
        let mut stage = open(width, "dst:198.51.100.");
        let line = last(&mut stage);
        assert!(line.starts_with(" /dst:198.51.100. ") && line.contains("  +"), "{line}");
        for _ in 0..30 {
            stage.key(KeyCode::Tab);
            let chosen = stage.app.filter.candidates().unwrap();
            let chosen = chosen.candidates[chosen.chosen.unwrap()].clone();
            let line = last(&mut stage);
            assert!(line.starts_with(&format!(" /dst:{chosen} ")), "{line}");
            assert!(line.matches(&chosen).count() >= 2 || width == 40, "{chosen}: {line}");
        }
    }
}

#[test]
fn f16_mac_looks_at_the_table_of_neighbours_as_details_do() {
    let snapshot = known();
    let table = || [("203.0.113.77".parse().unwrap(), "00:1b:21:3c:9d:f8".into())].into();
    let setup = Setup { neighbours: Some(table), filter: "mac:00:1b".into(), ..Setup::default() };
    let mut stage = Stage::with(120, 24, setup);
    stage.epoch(&snapshot);
    assert_eq!(selected_remote(&mut stage), "203.0.113.77");
    assert_eq!(stage.app.view.as_ref().unwrap().len, 1);
    // What nothing tells is an error, not an empty table.
    stage.key(KeyCode::Char('/'));
    stage.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
    typed(&mut stage, "country:de");
    let text = stage.settle(&snapshot).text();
    assert!(text.contains("at 1: no country data") && text.contains("57"), "{text}");
}
