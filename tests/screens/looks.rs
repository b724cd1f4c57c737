//! Themes, signs and places: what a row looks like.

use crate::stage::*;

#[test]
fn pr9_the_processes_of_a_file_are_not_known_to_anybody() {
    let mut snapshot = known();
    snapshot.owner_method = Default::default();
    for slot in 0..57 {
        sample::set_owner(&mut snapshot, slot, Owner::default());
    }
    snapshot.sources[0].read = Some((10, Some(10)));
    snapshot.sources[0].method = "file";
    snapshot.sources[0].interfaces.clear();
    let mut stage = Stage::with(120, 40, Setup { file: Some("a.pcap".into()), ..Setup::default() });
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('5'));
    let text = stage.settle(&snapshot).text();
    assert!(text.contains("▸ n/a") && !text.contains("forwarded") && !text.contains("unknown"), "{text}");
    stage.key(KeyCode::Char('7'));
    stage.settle(&snapshot);
    stage.key(KeyCode::Char('G'));
    let text = stage.settle(&snapshot).text();
    assert!(text.contains("Method        file\n") && !text.contains("Interfaces"), "{text}");
    assert!(text.contains("File          a.pcap"), "{text}");
}

#[test]
fn without_unicode_and_colour_signs_tell_all() {
    let setup = Setup { signs: Signs::ASCII, theme: Theme::PLAIN, ..Setup::default() };
    let mut rows = rows();
    rows[0].0.hot.tick = Tick(rows[0].0.hot.tick.0 - Tick::span(Nanos::from_secs(4)));
    let mut stage = Stage::with(80, 24, setup);
    let text = stage.epoch(&live(&rows)).text();
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
    assert!(stage.buffer().content().iter().all(|c| c.fg == Color::Reset && c.bg == Color::Reset));
}

#[test]
fn without_unicode_names_are_ascii_and_keep_their_cells() {
    let mut snapshot = known();
    let mut app = rustnet::snapshot::app::App::of(Service::Http);
    app.learn(Fact::HttpHost, "網路.example".as_bytes());
    sample::set_app(&mut snapshot, 0, app);
    let named = Owner { pid: Some(1211), name: "網路é".into(), ..Owner::default() };
    sample::set_owner(&mut snapshot, 0, named);
    for tab in '1'..='7' {
        let [unicode, ascii] = [Signs::UNICODE, Signs::ASCII].map(|signs| {
            let mut stage = Stage::with(120, 40, Setup { signs, ..Setup::default() });
            stage.epoch(&snapshot).key(KeyCode::Char(tab));
            stage.settle(&snapshot).text()
        });
        assert!(ascii.is_ascii(), "{tab}: {ascii}");
        let line = |text: &str| text.lines().find(|l| l.contains("203.0.113.77:51022")).map(str::to_owned);
        if let (Some(unicode), Some(ascii)) = (line(&unicode), line(&ascii)) {
            assert_eq!(unicode_width::UnicodeWidthStr::width(&*unicode), ascii.len(), "{ascii}");
        }
    }
}

#[test]
fn rows_turn_yellow_at_three_quarters_of_their_lifetime_and_red_over_nine_tenths() {
    let cases = [
        (FlowState::Udp, 44, Color::Reset, " "),
        (FlowState::Udp, 46, Color::Yellow, "!"),
        (FlowState::Udp, 53, Color::Yellow, "!"),
        (FlowState::Udp, 55, Color::LightRed, "‼"),
        (FlowState::Established, 59, Color::Reset, " "),
        (FlowState::Established, 224, Color::Reset, " "),
        (FlowState::Established, 226, Color::Yellow, "!"),
        (FlowState::Established, 271, Color::LightRed, "‼"),
    ];
    let first = flow(6, "10.0.0.1:1 → 10.0.0.2:2", FlowState::Established, [0.0; 2], 2000, 0);
    for (state, silence, color, sign) in cases {
        let row = flow(17, "10.0.0.3:3 → 10.0.0.4:4", state, [0.0; 2], 1000, silence);
        let mut stage = Stage::new(80, 24);
        stage.epoch(&live(&[first, row])).draw();
        let buffer = stage.buffer();
        assert_eq!(buffer[(0, 6)].symbol(), sign, "{state:?} silent for {silence} s");
        assert!((1..79).all(|x| buffer[(x, 6)].fg == color), "{state:?} silent for {silence} s");
        assert!(buffer[(5, 5)].modifier.contains(Modifier::REVERSED), "the band of the selected row");
    }
}

#[test]
fn services_have_names_only_where_they_are_known() {
    let snapshot = live(&rows());
    let name: rustnet::query::column::ServiceName = |_, port| (port == 443).then_some("https");
    let mut stage = Stage::with(120, 40, Setup { services: Some(name), ..Setup::default() });
    assert!(stage.epoch(&snapshot).line("203.0.113.77:51022 ").contains(" https "));
    stage.key(KeyCode::Char('p'));
    assert!(stage.line("203.0.113.77:51022 ").contains(" 443 "));
    let mut without = Stage::new(120, 40);
    let before = without.epoch(&snapshot).text();
    without.key(KeyCode::Char('p'));
    let rows = |text: &str| text.lines().take(39).collect::<Vec<_>>().join("\n");
    assert_eq!(rows(&without.text()), rows(&before), "there are no names");
    assert!(without.text().contains("there are no names of services"));
}

#[test]
fn every_theme_shows_the_same_text() {
    let snapshot = known();
    let themes = ThemeName::ALL.into_iter().flat_map(|(name, _)| {
        [Depth::None, Depth::Sixteen, Depth::Many, Depth::True].map(|depth| Theme { name, depth })
    });
    let screens = |theme| -> Vec<String> {
        let mut stage = Stage::with(120, 40, Setup { theme, ..Setup::default() });
        stage.epoch(&snapshot);
        let tab = |tab| {
            stage.key(KeyCode::Char(tab));
            // Without colour a mark stands for what fades.
            stage.settle(&snapshot).text().replace('\\', " ")
        };
        ('1'..='7').map(tab).collect()
    };
    let usual = screens(Theme::default());
    assert!(themes.map(screens).all(|texts| texts == usual));
}

#[test]
fn without_unicode_every_tab_is_ascii() {
    let mut snapshot = known();
    snapshot.owner_method.reason = Some("no BTF".into());
    snapshot.sources[0].kernel_drops = 7;
    for (width, height) in [(40, 10), (80, 24), (120, 40), (200, 50)] {
        let setup = Setup { signs: Signs::ASCII, theme: Theme::PLAIN, ..Setup::default() };
        let mut stage = Stage::with(width, height, setup);
        stage.epoch(&snapshot);
        for key in "1234567!Y".chars() {
            stage.key(KeyCode::Char(key));
            let text = stage.settle(&snapshot).text();
            assert!(text.is_ascii(), "{key}: {text}");
            let buffer = stage.buffer();
            assert!(buffer.content().iter().all(|c| c.fg == Color::Reset && c.bg == Color::Reset), "{key}");
            if "!Y".contains(key) {
                stage.key(KeyCode::Esc);
            }
        }
    }
}

#[test]
fn v14_how_fast_a_file_was_read_is_told_in_time_that_has_passed() {
    let mut snapshot = known();
    snapshot.sources[0].method = "file";
    snapshot.sources[0].read = Some((10, Some(10)));
    snapshot.ended = true;
    let mut stage = Stage::with(120, 40, Setup { file: Some("a.pcap".into()), ..Setup::default() });
    stage.app.uptime = Nanos::from_secs(2);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('7'));
    // 412,611,004 frames in 2 s; no thread is busy with them any more.
    let line = stage.settle(&snapshot).line("worker/0");
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(cells[..5], ["worker/0", "3", "206,305,502", "206,305,502", "-"], "{line}");
    assert!(stage.text().contains("frames/s over the whole reading"));
}

#[test]
fn details_leave_no_lines_empty_that_their_charts_can_use() {
    let snapshot = live(&rows());
    for height in 32..60 {
        let mut stage = Stage::new(100, height);
        stage.epoch(&snapshot);
        stage.key(KeyCode::Char('2'));
        let text = stage.settle(&snapshot).text();
        let scales = text.lines().filter(|line| line.contains("60 s─")).count();
        // Below each other, or beside each other on one line.
        assert_eq!(scales, if height < 37 { 1 } else { 2 }, "{height}: {text}");
    }
    let mut stage = Stage::new(100, 34);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('2'));
    let text = stage.settle(&snapshot).text();
    assert_eq!(text.lines().filter(|line| line.contains("now")).count(), 2, "{text}");
}

#[test]
fn details_stay_in_their_places() {
    let snapshot = known();
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('2'));
    let labels = |text: &str| -> Vec<String> {
        text.lines().skip(2).take(20).map(|l| l.chars().take(15).collect::<String>()).collect()
    };
    let first = labels(&stage.text());
    stage.key(KeyCode::Char('1'));
    stage.key(KeyCode::Char('G'));
    stage.settle(&snapshot);
    stage.key(KeyCode::Char('2'));
    assert_eq!(labels(&stage.text()), first);
    stage.key(KeyCode::Down);
    stage.key(KeyCode::Char('y'));
    assert!(matches!(stage.app.effects.first(), Some(Effect::Copy(text)) if text.contains("10.0.3.14")));
}

#[test]
fn details_tell_how_long_ago_at_every_width() {
    for age in [1, 8, 59, 3_599, 86_399, 86_400, 1_000_000, 99 * 86_400] {
        let rows = [flow(
            6,
            "10.0.3.14:443 ← 203.0.113.77:51022",
            FlowState::Established,
            [0.0; 2],
            age,
            age.min(59),
        )];
        for width in (80..130).chain([200]) {
            let mut stage = Stage::new(width, 40);
            stage.epoch(&live(&rows));
            stage.key(KeyCode::Char('2'));
            for field in [" Opened ", " Last packet "] {
                assert!(stage.line(field).contains(" ago"), "{age} s at {width}: {}", stage.line(field));
            }
        }
    }
}

#[test]
fn wide_and_combining_names_leave_columns_where_they_are() {
    let mut snapshot = known();
    let names =
        ["網路守護程式", "nai\u{308}ve", "👩\u{200d}👩\u{200d}👧", "ｆｕｌｌ", "한국어한국어한국어한국어"];
    for (slot, name) in names.into_iter().enumerate() {
        let owner = Owner { name: name.into(), pid: Some(slot as u32 + 1), ..Owner::default() };
        sample::set_owner(&mut snapshot, slot, owner);
        let mut app = rustnet::snapshot::app::App::of(Service::Tls);
        app.learn(Fact::Sni, format!("{name}.example").as_bytes());
        sample::set_app(&mut snapshot, slot, app);
    }
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        let mut stage = Stage::new(width, height);
        let text = stage.epoch(&snapshot).text();
        assert!(!text.contains(['\u{202e}', '\u{308}', '\u{200d}']), "{text}");
        let columns = stage.app.hits.columns.clone();
        let top = stage.app.hits.header_y + 1;
        let buffer = stage.buffer();
        for y in top..top + 15 {
            for (first, last, column) in &columns {
                // No sign reaches over the end of its column, and one cell is free before each.
                let end = (*first..*last).fold(*first, |end, x| {
                    end.max(x + unicode_width::UnicodeWidthStr::width(buffer[(x, y)].symbol()) as u16)
                });
                assert!(end <= *last, "{column:?} in line {y}: {text}");
                assert!(
                    *first == 1 || buffer[(first - 1, y)].symbol() == " ",
                    "{column:?} in line {y}: {text}"
                );
            }
        }
        let pids = (1..=names.len()).all(|pid| text.contains(&format!("({pid})")));
        assert!(pids, "a name is cut, never its number: {text}");
    }
}

#[test]
fn titles_are_no_part_of_their_rule() {
    let mut stage = Stage::new(80, 24);
    let text = stage.epoch(&known()).text();
    let y = text.lines().position(|l| l.contains("Active Connections")).unwrap() as u16;
    assert!(stage.buffer()[(0, y)].modifier.contains(Modifier::DIM), "the rule");
    assert!(!stage.buffer()[(3, y)].modifier.contains(Modifier::DIM), "the title");
}

#[test]
fn l17_http_is_white_to_seven_and_a_half_minutes_yellow_to_nine_and_red_to_ten() {
    for (silence, color) in [
        (0, Color::Reset),
        (300, Color::Reset),
        (449, Color::Reset),
        (451, Color::Yellow),
        (539, Color::Yellow),
        (541, Color::LightRed),
        (599, Color::LightRed),
    ] {
        let first = flow(6, "10.0.0.1:1 → 10.0.0.2:2", FlowState::Established, [0.0; 2], 2000, 0);
        let row = flow(6, "10.0.0.3:3 → 10.0.0.4:80", FlowState::EstablishedWeb, [0.0; 2], 1000, silence);
        let mut stage = Stage::new(80, 24);
        stage.epoch(&live(&[first, row])).draw();
        assert!((1..79).all(|x| stage.buffer()[(x, 6)].fg == color), "silent for {silence} s");
    }
}

#[test]
fn l18_a_rate_that_fades_is_yellow_or_marked() {
    for (silence, rate, is_fading) in [(0, 4e3, false), (2, 4e3, true), (9, 2.0, true), (2, 0.4, false)] {
        let first = flow(6, "10.0.0.1:1 → 10.0.0.2:2", FlowState::Established, [0.0; 2], 2000, 0);
        let row = flow(6, "10.0.0.3:3 → 10.0.0.4:4", FlowState::Established, [rate, 0.0], 1000, silence);
        for theme in [Theme::default(), Theme::PLAIN] {
            let mut stage = Stage::with(80, 24, Setup { theme, ..Setup::default() });
            let text = stage.epoch(&live(&[first, row])).text();
            let line = text.lines().nth(6).unwrap();
            let up = line.find("/   -").unwrap_or_else(|| panic!("{line}"));
            let x = line[..up].chars().count() as u16;
            let color = if is_fading && theme.has_color() { Color::Yellow } else { Color::Reset };
            assert_eq!(stage.buffer()[(x, 6)].fg, color, "{silence} s: {line}");
            assert_eq!(stage.buffer()[(5, 6)].fg, Color::Reset, "the row is as before: {line}");
            assert_eq!(line.contains('\\'), is_fading && !theme.has_color(), "{line}");
            assert_eq!(line.contains(" -/   -"), rate < 1.0, "{line}");
        }
    }
}

#[test]
fn l18_a_blank_stands_before_the_mark_of_a_rate_that_fades() {
    let row = flow(17, "10.0.0.3:3 → 10.0.0.4:53", FlowState::Udp, [4e3, 0.0], 1000, 2);
    let mut snapshot = live(&[row]);
    let mut app = rustnet::snapshot::app::App::of(Service::Dns);
    app.learn(
        Fact::DnsQuery,
        "a.name.that.has.no.room.in.any.column.of.the.table.example".repeat(3).as_bytes(),
    );
    sample::set_app(&mut snapshot, 0, app);
    for width in [80, 120, 160] {
        let mut stage = Stage::with(width, 24, Setup { theme: Theme::PLAIN, ..Setup::default() });
        let text = stage.epoch(&snapshot).text();
        let line = text.lines().find(|line| line.contains("DNS a.name")).unwrap();
        assert!(line.contains("… \\"), "{width}: {line}");
    }
}

#[test]
fn st8_protocols_have_names_or_numbers_and_without_ports_nothing_stands_for_them() {
    let rows: Vec<_> =
        [(6, ":7"), (17, ":7"), (132, ":7"), (1, ""), (58, ""), (2, ""), (47, ""), (50, ""), (89, "")]
            .map(|(proto, port)| {
                let ends = format!("10.0.0.1{port} → 10.9.0.{proto}{port}");
                flow(proto, &ends, FlowState::Active, [0.0; 2], 9, 0)
            })
            .into();
    let name: rustnet::query::column::ServiceName = |_, _| Some("nobody");
    let mut stage = Stage::with(120, 24, Setup { services: Some(name), ..Setup::default() });
    stage.epoch(&live(&rows));
    for (proto, text) in [
        (6, "TCP"),
        (17, "UDP"),
        (132, "SCTP"),
        (1, "ICMP"),
        (58, "ICMP6"),
        (2, "IGMP"),
        (47, "GRE"),
        (50, "ESP"),
        (89, "89"),
    ] {
        let has_ports = matches!(proto, 6 | 17 | 132);
        let line = stage.line(&format!(" 10.9.0.{proto}{}", if has_ports { ":7 " } else { " " }));
        assert_eq!(line.trim_start_matches('▌').split_whitespace().next(), Some(text), "{line}");
        assert!(!line.contains(":0"), "{line}");
        assert_eq!(line.contains("nobody"), has_ports, "{line}");
    }
}

#[test]
fn pr4_details_tell_command_executable_user_and_parents() {
    for (width, height) in [(80, 40), (120, 40), (200, 50)] {
        let mut stage = Stage::with(width, height, Setup { filter: "firefox".into(), ..Setup::default() });
        stage.epoch(&known()).key(KeyCode::Char('2'));
        for (label, value) in [
            ("Process", "firefox (7741)"),
            ("Command", "firefox --serve"),
            ("Executable", "/usr/bin/firefox"),
            ("User", "anna (33)"),
            ("Parents", "systemd(1) > supervisor(1190)"),
        ] {
            let line = stage.line(&format!(" {label} "));
            assert!(line.contains(value), "{label} at {width}: {line}");
        }
    }
}
