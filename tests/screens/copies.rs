//! What is copied of a row, and what is said of it.

use crate::stage::*;

/// Copies the selected row in the form of this name.
fn form(stage: &mut Stage, name: &str) -> Option<String> {
    stage.key(KeyCode::Char('Y'));
    let Some(Overlay::List(list)) = &stage.app.overlay else { panic!("the forms are listed") };
    let place = list.lines.iter().position(|line| line.name == name);
    (0..place.unwrap_or(0)).for_each(|_| assert_eq!(stage.key(KeyCode::Down), Next::Draw));
    stage.key(KeyCode::Enter);
    match stage.app.effects.drain(..).next() {
        Some(Effect::Copy(text)) if place.is_some() => Some(text),
        _ => None,
    }
}

#[test]
fn k9_what_was_copied_is_told_for_three_seconds() {
    let snapshot = known();
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    let pressed = stage.app.uptime;
    stage.key(KeyCode::Char('c'));
    for (ms, is_told) in [(0, true), (2_900, true), (3_100, false)] {
        stage.app.uptime = Nanos(pressed.0 + ms * 1_000_000);
        assert_eq!(stage.text().contains("copied 224.0.0.5"), is_told, "{ms} ms later");
    }
    // Without a row nothing is copied, and that is told.
    let mut stage = Stage::new(80, 24);
    stage.epoch(&live(&[])).key(KeyCode::Char('c'));
    assert!(stage.app.effects.is_empty() && stage.text().contains("no row is selected"));
}

#[test]
fn k18_the_filter_of_a_row_finds_it_and_no_other() {
    let snapshot = known();
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    for place in 0..57 {
        let id = stage.app.selected_row().unwrap().id;
        let filter = form(&mut stage, "rustnet filter").unwrap();
        let mut other = Stage::with(120, 40, Setup { filter: filter.clone(), ..Setup::default() });
        let view = other.epoch(&snapshot).app.view.as_ref().unwrap();
        assert_eq!(view.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [id], "{place}: {filter}");
        stage.key(KeyCode::Down);
        stage.settle(&snapshot);
    }
}

#[test]
fn k18_forms_of_other_protocols_are_theirs() {
    let snapshot = known();
    for (remote, [tuple, capture, sockets]) in [
        (
            "2a00:1450:4001:82b:9f1c::200e",
            [
                "tcp [2001:db8::14]:51000 [2a00:1450:4001:82b:9f1c::200e]:443",
                "tcp and host 2001:db8::14 and host 2a00:1450:4001:82b:9f1c::200e and port 51000 and port 443",
                "src [2001:db8::14]:51000 and dst [2a00:1450:4001:82b:9f1c::200e]:443",
            ],
        ),
        (
            "10.0.0.2",
            [
                "udp 10.0.3.14:53122 10.0.0.2:53",
                "udp and host 10.0.3.14 and host 10.0.0.2 and port 53122 and port 53",
                "src 10.0.3.14:53122 and dst 10.0.0.2:53",
            ],
        ),
        ("1.1.1.1", ["icmp 10.0.3.14 1.1.1.1", "icmp and host 10.0.3.14 and host 1.1.1.1", ""]),
    ] {
        let filter = format!("dst:={remote}");
        let mut stage = Stage::with(120, 40, Setup { filter, ..Setup::default() });
        stage.epoch(&snapshot);
        assert_eq!(form(&mut stage, "remote address").as_deref(), Some(remote));
        assert_eq!(form(&mut stage, "5-tuple").as_deref(), Some(tuple));
        assert_eq!(form(&mut stage, "tcpdump filter").as_deref(), Some(capture));
        assert_eq!(form(&mut stage, "ss filter").unwrap_or_default(), sockets);
    }
}

#[test]
fn k15_a_value_of_any_sort_column_becomes_a_filter() {
    let snapshot = known();
    let https: rustnet::query::column::ServiceName = |_, port| (port == 443).then_some("https");
    let mut wrong = Vec::new();
    for (sort, term, found) in [
        (SortBy::Created, "process:=nginx", 3),
        (SortBy::Protocol, "proto:=TCP", 49),
        (SortBy::Local, "src:=10.0.3.14", 53),
        (SortBy::Remote, "dst:=203.0.113.77", 1),
        (SortBy::State, "state:=ESTABLISHED", 46),
        (SortBy::Service, "service:=https", 46),
        (SortBy::Application, "app:=TLS", 2),
        (SortBy::Down, "process:=nginx", 3),
        (SortBy::Process, "process:=nginx", 3),
    ] {
        for (key, filter, len) in [('=', term.to_owned(), found), ('-', format!("!{term}"), 57 - found)] {
            let filter_before = "dst:=203.0.113.77".to_owned();
            let setup = Setup {
                sort: Sort::by(sort),
                services: Some(https),
                filter: filter_before,
                ..Setup::default()
            };
            let mut stage = Stage::with(120, 40, setup);
            stage.epoch(&snapshot);
            stage.key(KeyCode::Down);
            stage.settle(&snapshot);
            stage.key(KeyCode::Esc);
            stage.settle(&snapshot);
            assert_eq!(selected_remote(&mut stage), "203.0.113.77", "{sort:?}");
            stage.key(KeyCode::Char(key));
            let found = stage.settle(&snapshot).app.view.as_ref().unwrap().len;
            if (stage.app.filter.text(), found) != (&*filter, len) {
                wrong.push((sort, stage.app.filter.text().to_owned(), found));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    // It is added to what is there.
    let mut stage = Stage::with(120, 40, Setup { filter: "nginx or firefox".into(), ..Setup::default() });
    stage.epoch(&snapshot).key(KeyCode::Char('='));
    assert_eq!(stage.app.filter.text(), "(nginx or firefox) process:=nginx");
}

#[test]
fn k15_a_process_of_any_name_is_found_by_it() {
    for name in [
        "a b\\",
        "x\"y\\",
        "(sd-pam)",
        "C:\\Program Files\\x.exe",
        "~x",
        "=x",
        "!x",
        "/x/",
        "or",
        "a:b",
        "é網",
    ] {
        let mut snapshot = live(&numbered(3));
        snapshot.owner_method.method = "bpf";
        let owner = Owner { pid: Some(7), name: name.into(), ..Owner::default() };
        sample::set_owner(&mut snapshot, 0, owner);
        let mut stage = Stage::new(120, 24);
        stage.epoch(&snapshot);
        for (key, found) in [('=', 1), ('-', 2)] {
            stage.key(KeyCode::Char(key));
            let len = stage.settle(&snapshot).app.view.as_ref().unwrap().len;
            assert_eq!(len, found, "{name}: {}", stage.app.filter.text());
            stage.key(KeyCode::Esc);
            stage.settle(&snapshot).key(KeyCode::Char('g'));
            stage.settle(&snapshot);
        }
    }
}

#[test]
fn k15_enter_on_a_host_shows_its_connections_and_esc_returns() {
    let snapshot = known();
    let mut stage = Stage::with(120, 24, Setup { filter: "tcp".into(), ..Setup::default() });
    stage.epoch(&snapshot).key(KeyCode::Char('4'));
    stage.settle(&snapshot).key(KeyCode::Down);
    assert!(stage.settle(&snapshot).line("▌").contains("198.51.100.9"), "{}", stage.text());
    stage.key(KeyCode::Enter);
    assert_eq!((stage.app.tab, stage.app.filter.text()), (Tab::Overview, "tcp dst:=198.51.100.9"));
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 1);
    stage.key(KeyCode::Esc);
    assert_eq!((stage.app.tab, stage.app.filter.text()), (Tab::Hosts, "tcp"));
    assert!(stage.settle(&snapshot).line("▌").contains("198.51.100.9"), "{}", stage.text());
}
