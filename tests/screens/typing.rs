//! Keys in the filter's line, and how what is typed looks.

use crate::stage::*;

/// A screen with the filter's line open and this in it.
fn typing(width: u16, snapshot: &Snapshot, filter: &str) -> Stage {
    let mut stage = Stage::new(width, 24);
    stage.epoch(snapshot);
    stage.key(KeyCode::Char('/'));
    typed(&mut stage, filter);
    stage.settle(snapshot);
    stage
}

fn line(stage: &Stage) -> String {
    stage.app.filter.editing.as_ref().map_or("closed".into(), |field| field.text().to_owned())
}

fn ctrl(stage: &mut Stage, c: char) {
    stage.press(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
}

#[test]
fn f1_every_printable_key_can_be_typed() {
    let snapshot = known();
    let printable: String = (' '..='~').chain(['ä', 'ß', '網']).collect();
    let mut stage = typing(200, &snapshot, &printable);
    assert_eq!(line(&stage), printable);
    assert!(stage.app.tab == Tab::Overview && stage.app.overlay.is_none() && stage.app.effects.is_empty());
    assert!(!stage.app.is_frozen() && stage.app.marks.is_empty());
    assert!(stage.text().lines().last().unwrap().starts_with(&format!(" /{printable}")));
}

#[test]
fn f1_keys_edit_the_line_where_its_cursor_is() {
    use KeyCode::{Backspace, Char, Delete, End, Home, Left, Right};
    const CTRL: KeyModifiers = KeyModifiers::CONTROL;
    const NONE: KeyModifiers = KeyModifiers::NONE;
    let snapshot = known();
    let mut stage = typing(80, &snapshot, "tcp port:44 x");
    for (n, (modifiers, key, text, cursor)) in [
        (NONE, Left, "tcp port:44 x", 12),
        (NONE, Char('3'), "tcp port:44 3x", 13),
        (NONE, Delete, "tcp port:44 3", 13),
        (NONE, Backspace, "tcp port:44 ", 12),
        (NONE, Left, "tcp port:44 ", 11),
        (NONE, Right, "tcp port:44 ", 12),
        (NONE, Right, "tcp port:44 ", 12),
        (NONE, Home, "tcp port:44 ", 0),
        (NONE, Left, "tcp port:44 ", 0),
        (NONE, Char('!'), "!tcp port:44 ", 1),
        (NONE, Delete, "!cp port:44 ", 1),
        (NONE, End, "!cp port:44 ", 12),
        (CTRL, Char('w'), "!cp ", 4),
        (NONE, Char('u'), "!cp u", 5),
        (NONE, Left, "!cp u", 4),
        (CTRL, Char('u'), "u", 0),
    ]
    .into_iter()
    .enumerate()
    {
        stage.press(KeyEvent::new(key, modifiers));
        assert_eq!(line(&stage), text, "{n}: {key:?}");
        stage.draw();
        let cell = &stage.buffer()[(2 + cursor, 23)];
        assert!(cell.modifier.contains(Modifier::REVERSED), "{n}: {key:?}: the cursor is at {cursor}");
    }
}

#[test]
fn f1_pasted_text_is_typed() {
    let snapshot = known();
    let paste = |stage: &mut Stage, text: &str| input::take(&mut stage.app, &Event::Paste(text.into()));
    let mut stage = typing(120, &snapshot, "tcp ");
    paste(&mut stage, "process:nginx\r\n");
    assert_eq!(line(&stage), "tcp process:nginx");
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 3, "the table follows");
    stage.key(KeyCode::Esc);
    // Outside the line its letters are no keys.
    paste(&mut stage, "qq4");
    assert_eq!((stage.app.tab, line(&stage)), (Tab::Overview, "closed".into()));
}

#[test]
fn f1_arrows_move_the_selection_while_one_types() {
    let snapshot = live(&numbered(100));
    let mut stage = typing(80, &snapshot, "172.16.0.1");
    for (key, selected) in [
        (KeyCode::Down, "172.16.0.10"),
        (KeyCode::Down, "172.16.0.11"),
        (KeyCode::Up, "172.16.0.10"),
        (KeyCode::Up, "172.16.0.1"),
        (KeyCode::Up, "172.16.0.1"),
        (KeyCode::Down, "172.16.0.10"),
    ] {
        stage.key(key);
        assert_eq!(selected_remote(stage.settle(&snapshot)), selected, "{key:?}");
        assert_eq!(line(&stage), "172.16.0.1");
    }
    // What is typed on leaves it on its row.
    typed(&mut stage, "0");
    assert_eq!(selected_remote(stage.settle(&snapshot)), "172.16.0.10");
}

#[test]
fn f1_esc_in_the_line_closes_it_and_clears_the_filter() {
    let snapshot = known();
    for tab in ['1', '4'] {
        let mut stage = Stage::with(120, 24, Setup { filter: "tcp".into(), ..Setup::default() });
        stage.epoch(&snapshot).key(KeyCode::Char(tab));
        stage.key(KeyCode::Char('/'));
        assert_eq!(line(&stage), "tcp", "it opens with the filter in force");
        typed(&mut stage, " nginx");
        let before = stage.settle(&snapshot).app.tab;
        assert_eq!(stage.app.view.as_ref().unwrap().len, 3);
        assert_eq!(stage.key(KeyCode::Esc), Next::Draw);
        assert_eq!((line(&stage), stage.app.filter.text(), stage.app.tab), ("closed".into(), "", before));
        assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 57, "all are there again");
    }
}

#[test]
fn f1_earlier_filters_come_back_by_their_keys() {
    let snapshot = known();
    let setup = Setup { remembered: vec!["process:nginx".into()], ..Setup::default() };
    let mut stage = Stage::with(120, 24, setup);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('/'));
    typed(&mut stage, "proto:udp");
    stage.key(KeyCode::Enter);
    let entered = Effect::Remember(vec!["process:nginx".into(), "proto:udp".into()]);
    assert_eq!(stage.app.effects.drain(..).next(), Some(entered));
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Char('/'));
    for (key, text, len) in [
        ('p', "proto:udp", 3),
        ('p', "process:nginx", 3),
        ('p', "process:nginx", 3),
        ('n', "proto:udp", 3),
        ('n', "", 57),
    ] {
        ctrl(&mut stage, key);
        assert_eq!(line(&stage), text);
        assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, len, "the table follows: {text}");
    }
}

/// The colour and weight of each cell of the line from the filter's first sign on.
fn looks(stage: &Stage, cells: usize) -> Vec<(Color, bool)> {
    let cell = |x: usize| &stage.buffer()[(2 + x as u16, 23)];
    (0..cells).map(cell).map(|cell| (cell.fg, cell.modifier.contains(Modifier::DIM))).collect()
}

#[test]
fn f14_what_cannot_be_read_is_red_and_f16_what_is_not_complete_is_dim() {
    const PLAIN: (Color, bool) = (Color::Reset, false);
    const RED: (Color, bool) = (Color::LightRed, false);
    const DIM: (Color, bool) = (Color::Reset, true);
    let snapshot = known();
    for (filter, wrong, unfinished) in [
        ("tcp prot:x udp", 4..10, 0..0),
        ("tcp nosuch:", 4..11, 0..0),
        ("nginx (", 0..0, 6..7),
        ("tcp or (udp", 0..0, 7..11),
        ("rate>1M or (proto:", 0..0, 11..18),
        ("tcp rate>fast", 9..13, 0..0),
        ("tcp proto:", 0..0, 4..10),
        ("rate>", 0..0, 0..5),
        ("tcp or", 0..0, 4..6),
        ("tcp rate>1", 0..0, 0..0),
    ] {
        let mut stage = typing(120, &snapshot, filter);
        stage.draw();
        for (n, look) in looks(&stage, filter.len()).into_iter().enumerate() {
            let want = match n {
                n if wrong.contains(&n) => RED,
                n if unfinished.contains(&n) => DIM,
                _ => PLAIN,
            };
            assert_eq!(look, want, "{filter} at {n}");
        }
        // The reason stands on the right, in red, with its place; what is not complete has none.
        let last = stage.text().lines().last().unwrap().to_owned();
        let reason = format!(" at {}: ", wrong.start + 1);
        assert_eq!(last.contains(&reason), !wrong.is_empty(), "{last}");
        if !wrong.is_empty() {
            assert_eq!(stage.buffer()[(118, 23)].fg, Color::LightRed, "{last}");
        }
    }
}

/// Processes whose names have the letters f, f, x near to each other, far apart, and not at all.
fn fuzzily_named() -> Snapshot {
    let mut snapshot = live(&numbered(4));
    snapshot.owner_method.method = "bpf";
    for (slot, name) in ["f-o-f-o-x", "nginx", "ffx", "firefox"].into_iter().enumerate() {
        let owner = Owner { pid: Some(slot as u32 + 1), name: name.into(), ..Owner::default() };
        sample::set_owner(&mut snapshot, slot, owner);
    }
    snapshot
}

#[test]
fn f15_the_best_match_is_first_unless_rows_are_sorted() {
    let snapshot = fuzzily_named();
    let names = |sort| {
        let mut stage = Stage::with(120, 24, Setup { filter: "~ffx".into(), sort, ..Setup::default() });
        stage.epoch(&snapshot);
        let title = if sort == Sort::default() { "best match first" } else { "(Sort: Process ↓)" };
        assert!(stage.text().contains(title), "{}", stage.text());
        let rows = &stage.app.view.as_ref().unwrap().rows;
        rows.iter().map(|row| row.owner.as_ref().unwrap().name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(Sort::default())[0], "ffx");
    assert_eq!(names(Sort::default()).len(), 3);
    assert_eq!(names(Sort::by(SortBy::Process).flipped()), ["firefox", "ffx", "f-o-f-o-x"]);
}

#[test]
fn f15_letters_that_match_are_underlined() {
    let snapshot = fuzzily_named();
    for (filter, letters) in [("~ffx", "ffx"), ("process:~ffx", "ffx"), ("firefox", "")] {
        let mut stage = Stage::with(120, 24, Setup { filter: filter.into(), ..Setup::default() });
        let text = stage.epoch(&snapshot).text();
        let y = text.lines().position(|line| line.contains("firefox (4)")).unwrap() as u16;
        let row = (0..120).map(|x| &stage.buffer()[(x, y)]);
        let underlined = row.filter(|cell| cell.modifier.contains(Modifier::UNDERLINED));
        let found: String = underlined.map(|cell| cell.symbol()).collect();
        assert_eq!(found, letters, "{filter}");
    }
}

/// A row for each thing that examples look for, by the last number of its remote address.
fn examples() -> Snapshot {
    use FlowState::*;
    let rows = [
        flow(6, "10.0.0.1:80 ← 203.0.113.1:50000", Established, [0.0; 2], 9, 0),
        flow(6, "10.0.0.1:50001 → 203.0.113.2:443", EstablishedWeb, [0.0; 2], 9, 0),
        flow(6, "10.0.0.1:443 ← 203.0.113.3:50002", SynRecv, [0.0; 2], 9, 0),
        flow(17, "10.0.0.1:50003 → 203.0.113.4:443", QuicConnected, [0.0; 2], 9, 0),
        flow(6, "10.0.0.1:50004 → 203.0.113.5:22", SshEstablished, [0.0; 2], 9, 0),
        flow(6, "10.0.0.1:50005 → 203.0.113.6:22", SshKeyExchange, [0.0; 2], 9, 0),
        flow(6, "10.0.0.1:50006 → 203.0.113.7:25", FinWait1, [0.0; 2], 9, 0),
        flow(6, "10.0.0.1:50007 → 203.0.113.8:25", FinWait2, [0.0; 2], 9, 0),
        flow(17, "10.0.0.1:50008 → 203.0.113.9:443", QuicHandshake, [0.0; 2], 9, 0),
        flow(17, "10.0.0.1:50009 → 203.0.113.10:53", DnsQuery, [0.0; 2], 9, 0),
        flow(17, "10.0.0.1:50010 → 203.0.113.11:9", Udp, [0.0; 2], 9, 0),
        flow(6, "10.0.0.1:50011 → 203.0.113.12:443", EstablishedWeb, [0.0; 2], 9, 0),
        flow(17, "10.0.0.1:50012 → 203.0.113.13:9", Udp, [0.0; 2], 90, 20),
    ];
    let mut snapshot = live(&rows);
    snapshot.owner_method.method = "bpf";
    for (slot, service, fact, value) in [
        (1, Service::Tls, Fact::Sni, "www.google.com"),
        (4, Service::Ssh, Fact::SshServer, "SSH-2.0-OpenSSH_9.6"),
        (5, Service::Ssh, Fact::SshClient, "SSH-2.0-OpenSSH_9.2"),
        (11, Service::Tls, Fact::Sni, "GitHub.com"),
    ] {
        let mut app = rustnet::snapshot::app::App::of(service);
        app.learn(fact, value.as_bytes());
        sample::set_app(&mut snapshot, slot, app);
    }
    for (slot, name) in [(0, "nginx"), (3, "firefox"), (11, "Firefox"), (2, "nginx")] {
        let owner = Owner { pid: Some(7), name: name.into(), ..Owner::default() };
        sample::set_owner(&mut snapshot, slot, owner);
    }
    snapshot
}

#[test]
fn f13_every_example_finds_its_rows_and_no_others() {
    let snapshot = examples();
    for (filter, rows) in [
        ("sport:80 process:nginx", &[1][..]),
        ("dport:443 sni:google.com", &[2]),
        ("sport:443 state:syn_recv", &[3]),
        ("proto:tcp state:established", &[1, 2, 5, 6, 12]),
        ("process:firefox state:quic_connected", &[4]),
        ("dport:22 ssh:openssh", &[5, 6]),
        ("state:established ssh:openssh", &[5, 6]),
        ("state:=keyexchange ssh:openssh", &[6]),
        ("state:fin_wait", &[7, 8]),
        ("state:quic_handshake", &[9]),
        ("state:dns_query", &[10]),
        ("state:udp_active", &[11]),
        ("state:UDP_Idle", &[13]),
        ("state:syn_recv", &[3]),
        ("sni:github.com", &[12]),
        ("dst:google.com", &[2]),
        ("src:google.com", &[]),
        ("process:firefox", &[4, 12]),
        ("port:=22 or state:=FIN_WAIT2", &[5, 6, 8]),
        ("dir:in", &[1, 3]),
        ("\"openssh\"", &[5, 6]),
        ("/openssh_9\\.[2-4]/", &[6]),
    ] {
        let mut stage = Stage::new(80, 40);
        stage.epoch(&snapshot);
        stage.key(KeyCode::Char('/'));
        typed(&mut stage, filter);
        stage.key(KeyCode::Enter);
        let text = stage.settle(&snapshot).text();
        let found: Vec<u16> = (1..=13).filter(|n| text.contains(&format!(" 203.0.113.{n}:"))).collect();
        assert_eq!(found, rows, "{filter}: {text}");
    }
}
