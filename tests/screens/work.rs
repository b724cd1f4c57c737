//! Keys with which one works on rows: marks, groups, copies, exports, files.

use crate::stage::*;

#[test]
fn k16_marks_columns_and_bits() {
    let snapshot = known();
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('m'));
    stage.settle(&snapshot);
    stage.key(KeyCode::Char('m'));
    stage.settle(&snapshot);
    stage.key(KeyCode::Char('M'));
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 2);
    assert!(stage.text().contains("2 marked"));
    stage.key(KeyCode::Char('M'));
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 57);
    assert!(stage.text().contains("MB/s"));
    stage.key(KeyCode::Char('b'));
    assert!(stage.text().contains("Mbit/s"));
    stage.key(KeyCode::Char('C'));
    insta::assert_snapshot!("columns", stage.text());
    for _ in 0..3 {
        stage.key(KeyCode::Down);
    }
    stage.key(KeyCode::Enter);
    stage.key(KeyCode::Esc);
    assert!(!stage.line(" Pro").contains("State"));
}

#[test]
fn k16_the_view_and_the_counts_can_be_reset_and_the_screen_redrawn() {
    let mut snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    let usual = stage.text();
    for key in "sLab".chars() {
        stage.key(KeyCode::Char(key));
    }
    stage.key(KeyCode::Char('/'));
    typed(&mut stage, "nginx");
    stage.key(KeyCode::Enter);
    assert_ne!(stage.settle(&snapshot).text(), usual);
    stage.key(KeyCode::Char('b'));
    stage.key(KeyCode::Char('L'));
    stage.key(KeyCode::Char('r'));
    assert_eq!(stage.settle(&snapshot).text(), usual, "filter, order, sums");
    // Losses are counted from the reset on: here, in the head, and by the watch.
    for (epoch, lost) in [(2, 700), (3, 900)] {
        snapshot.sources[0].kernel_drops = lost;
        (snapshot.epoch, snapshot.now) = (Epoch(epoch), Nanos(snapshot.now.0 + 1_000_000_000));
        stage.epoch(&snapshot);
    }
    stage.key(KeyCode::Char('7'));
    assert!(stage.line("kernel ring full  ").contains(" 900 "), "{}", stage.text());
    stage.key(KeyCode::Char('X'));
    assert!(stage.text().contains("X again resets"));
    stage.key(KeyCode::Char('X'));
    assert!(stage.text().contains("are reset"));
    let line = stage.line("kernel ring full  ");
    assert_eq!(line.split_whitespace().nth(3), Some("0"), "{line}");
    assert_eq!(line.split_whitespace().nth(4), Some("0"), "{line}");
    assert!(stage.line("Drops by reason").contains("since the reset"));
    assert!(
        stage.text().contains("Nothing lost. 0 frames seen, all accounted for, in 0 s."),
        "{}",
        stage.text()
    );
    assert!(!stage.text().contains("lost > 0"), "{}", stage.text());
    snapshot.accounts.taken.frames += 100;
    snapshot.accounts.flows.frames += 100;
    snapshot.totals.retransmits += 7;
    for (epoch, lost, told) in [(4, 900, "Lost 0 of 100 ✓  retrans 7 "), (5, 950, "Lost 50 of 150 (33%)")] {
        snapshot.sources[0].kernel_drops = lost;
        (snapshot.epoch, snapshot.now) = (Epoch(epoch), Nanos(snapshot.now.0 + 1_000_000_000));
        stage.epoch(&snapshot);
        let line = stage.line("kernel ring full  ");
        assert_eq!(line.split_whitespace().nth(4), Some((lost - 900).to_string().as_str()), "{line}");
        assert!(stage.line("taken from the source").contains(" 100"));
        assert_eq!(stage.text().contains("lost > 0"), lost > 900);
        stage.key(KeyCode::Char('1'));
        assert!(stage.line("Lost ").contains(told), "{}", stage.text());
        stage.key(KeyCode::Char('7'));
    }
    // Another engine counts from 0.
    snapshot.sources[0].kernel_drops = 0;
    (snapshot.epoch, snapshot.now) = (Epoch(6), Nanos(1_000_000_000));
    snapshot.accounts = Default::default();
    snapshot.accounts.taken.frames = 12;
    snapshot.accounts.flows.frames = 12;
    assert!(stage.epoch(&snapshot).text().contains("12 frames seen"), "{}", stage.text());
    let ctrl_l = KeyEvent::new(KeyCode::Char('l'), KeyModifiers::CONTROL);
    assert_eq!(stage.press(ctrl_l), Next::Redraw);
}

#[test]
fn k16_groups_open_to_their_rows_and_close() {
    let snapshot = known();
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('a'));
    stage.settle(&snapshot);
    assert!(stage.line("▸ nginx").starts_with('▌'), "closed at first, the largest selected");
    stage.key(KeyCode::Right);
    stage.settle(&snapshot);
    insta::assert_snapshot!("tree", stage.text());
    let sums: f64 = stage.app.groups().unwrap().sum.0;
    assert!((sums - stage.app.view.as_ref().unwrap().totals.down).abs() < 1.0, "sums are those of the head");
    stage.key(KeyCode::Down);
    stage.settle(&snapshot);
    assert!(stage.text().lines().any(|l| l.starts_with('▌') && l.contains("203.0.113.77:51022")));
    // The selection stays on its row while groups move.
    stage.epoch(&snapshot);
    assert!(stage.text().lines().any(|l| l.starts_with('▌') && l.contains("203.0.113.77:51022")));
    stage.key(KeyCode::Enter);
    assert!(stage.settle(&snapshot).text().contains("Transport health"));
    assert_eq!(selected_remote(&mut stage), "203.0.113.77");
    stage.key(KeyCode::Esc);
    stage.settle(&snapshot);
    stage.key(KeyCode::Left);
    assert!(stage.settle(&snapshot).line("▸ nginx").starts_with('▌'));
    assert!(!stage.text().contains("203.0.113.77:51022"));
    stage.key(KeyCode::Char('a'));
    assert!(stage.settle(&snapshot).text().contains("Hosts (Sort"));
    stage.key(KeyCode::Char('a'));
    assert!(stage.settle(&snapshot).text().contains("Active Connections"));
}

#[test]
fn k18_seven_forms_can_be_copied() {
    let snapshot = known();
    let row_line = |_: &rustnet::snapshot::tap::Ended| "{\"type\":\"update\"}".to_owned();
    let mut stage = Stage::with(120, 40, Setup { row_line: Some(row_line), ..Setup::default() });
    stage.epoch(&snapshot);
    let id = sample::id_of(0, &Default::default());
    while stage.app.selected_row().is_none_or(|r| r.id != id) {
        stage.key(KeyCode::Down);
        stage.settle(&snapshot);
    }
    for (n, text) in [
        "203.0.113.77",
        "api.example.org",
        "tcp 10.0.3.14:443 203.0.113.77:51022",
        "tcp and host 10.0.3.14 and host 203.0.113.77 and port 443 and port 51022",
        "src 10.0.3.14:443 and dst 203.0.113.77:51022",
        "proto:=tcp src:=10.0.3.14 sport:=443 dst:=203.0.113.77 dport:=51022",
        "{\"type\":\"update\"}",
    ]
    .into_iter()
    .enumerate()
    {
        stage.key(KeyCode::Char('Y'));
        assert!(stage.text().contains("Copy  Enter copies"));
        for _ in 0..n {
            stage.key(KeyCode::Down);
        }
        stage.key(KeyCode::Enter);
        assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Copy(text.into())));
        assert!(stage.app.overlay.is_none());
    }
}

#[test]
fn k19_the_form_of_an_export_is_asked_for() {
    let snapshot = known();
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    for (downs, form) in [(0, Form::Jsonl), (1, Form::Csv)] {
        stage.key(KeyCode::Char('e'));
        assert!(stage.text().contains("jsonl") && stage.text().contains("csv"));
        for _ in 0..downs {
            stage.key(KeyCode::Down);
        }
        stage.key(KeyCode::Enter);
        assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Export(form)));
    }
    stage.key(KeyCode::Char('e'));
    stage.key(KeyCode::Esc);
    assert!(stage.app.effects.is_empty());
}

#[test]
fn k19_sums_are_written_where_sums_are_shown_and_pipeline_as_text() {
    let snapshot = known();
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    for (keys, title) in [
        ("4e", "Write the sums by host"),
        ("5e", "Write the sums by process"),
        ("1e", "Write the rows of this view"),
        ("ae", "Write the sums by process"),
        ("ae", "Write the sums by host"),
    ] {
        typed(&mut stage, keys);
        stage.settle(&snapshot);
        assert!(stage.line("Write the").contains(title), "{}", stage.text());
        let is_sum = title.contains("sums");
        assert_eq!(stage.line(" jsonl ").contains("exact numbers"), is_sum);
        stage.key(KeyCode::Enter);
        assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Export(Form::Jsonl)));
        assert_eq!(stage.app.request().group.is_some(), is_sum);
    }
    typed(&mut stage, "7e");
    let Some(Effect::Write(text)) = stage.app.effects.drain(..).next() else { panic!("nothing is written") };
    assert!(text.contains("VERDICT  Nothing lost.") && text.contains("== Drops by reason"));
    for tab in ['2', '3', '6'] {
        stage.key(KeyCode::Char(tab));
        stage.key(KeyCode::Char('e'));
        assert!(stage.app.effects.is_empty() && stage.app.overlay.is_none());
        assert!(stage.line("only in tables").contains("only in tables and on Pipeline"));
    }
    assert_eq!(Form::Text, Form::of("rustnet_2026-11-22_14-03-22.txt".as_ref()));
}

#[test]
fn k18_messages_have_room_on_every_screen() {
    let snapshot = known();
    for width in [40, 80, 120] {
        let mut stage = Stage::new(width, 24);
        stage.epoch(&snapshot);
        typed(&mut stage, "7y");
        let Some(Effect::Copy(text)) = stage.app.effects.drain(..).next() else {
            panic!("nothing is copied")
        };
        assert!(text.lines().count() > 20);
        assert!(
            stage.text().lines().last().unwrap().starts_with(" copied the diagnosis"),
            "{}",
            stage.text()
        );
        // What is too long is cut.
        stage.app.copy("tcp and host 10.0.3.14 and host 203.0.113.77 and port 443 and port 51022".repeat(2));
        let text = stage.text();
        let last = text.lines().last().unwrap();
        assert!(last.starts_with(" copied tcp and host 10.0.3.14") && last.contains('…'), "{last}");
        assert_eq!(last.ends_with("h help  q quit"), width >= 80, "{last}");
    }
}

#[test]
fn k19_the_frames_of_all_shown_rows_are_written_until_the_key_comes_again() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('/'));
    typed(&mut stage, "process:nginx");
    stage.key(KeyCode::Enter);
    stage.settle(&snapshot);
    stage.app.effects.clear();
    stage.key(KeyCode::Char('P'));
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Record(Whose::Shown)));
    let tally = Arc::new(Tally::default());
    let mut follower =
        Follower::new(stage.app.request_of_frames(), Arc::new(EndedFlows::new(0)), Arc::clone(&tally));
    let joined: Vec<_> = follower.look(&snapshot).joined.into_iter().map(|flow| flow.comment).collect();
    assert_eq!(joined.len(), 3);
    assert!(joined.contains(
        &"nginx (1211) www-data, api.example.org, TCP 10.0.3.14:443 - 203.0.113.77:51022".to_owned()
    ));
    let name = "rustnet_2026-11-22_14-03-22.pcapng".to_owned();
    tally.frames.store(1204, Ordering::Relaxed);
    tally.bytes.store(1_200_000, Ordering::Relaxed);
    stage.app.recording = Some(Recording { name, tally, ends: false, next: None });
    assert!(stage.line("rustnet ").contains("P records"));
    let line = stage.line("recording ");
    assert!(line.contains("recording 3 flows · 1,204 frames · 1.20 MB"), "{line}");
    assert!(line.contains("to rustnet_2026-11-22_14-03-22.pcapng"), "{line}");
    // Wherever one is, it ends it.
    stage.key(KeyCode::Char('7'));
    stage.key(KeyCode::Char('P'));
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::StopRecording));
    stage.key(KeyCode::Char('1'));
    // Until it has ended, one more asks for the next one, and one more takes that back.
    for next in [Some(Whose::Shown), None, Some(Whose::Shown)] {
        stage.key(KeyCode::Char('P'));
        assert_eq!(stage.app.recording.as_ref().map(|recording| recording.next), Some(next));
        assert!(stage.app.effects.is_empty());
    }
    stage.app.recording = None;
    // Two before anything has begun ask for nothing.
    for effects in [vec![Effect::Record(Whose::Shown)], vec![]] {
        stage.key(KeyCode::Char('P'));
        assert_eq!(stage.app.effects, effects);
    }
    stage.key(KeyCode::Char('7'));
    stage.key(KeyCode::Char('P'));
    assert!(stage.app.effects.is_empty() && stage.text().contains("only in tables"));
}

#[test]
fn k19_details_and_the_palette_write_the_frames_of_one_row() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('2'));
    stage.key(KeyCode::Char('P'));
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Record(Whose::Row)));
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Char(':'));
    typed(&mut stage, "records the sel");
    stage.key(KeyCode::Enter);
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Record(Whose::Row)));
    // Without a row there is none to write; of a table that is empty, what comes.
    let mut stage = Stage::new(120, 24);
    stage.epoch(&live(&[]));
    stage.key(KeyCode::Char('2'));
    stage.key(KeyCode::Char('P'));
    assert!(stage.app.effects.is_empty());
    stage.key(KeyCode::Char('1'));
    stage.key(KeyCode::Char('P'));
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Record(Whose::Shown)));
}

#[test]
fn so11_widths_are_reset_with_the_view_in_the_config_too() {
    let snapshot = known();
    // An earlier run has kept these.
    let columns =
        Choice { wider: vec![(ColumnId::Remote, 4)], on: vec![ColumnId::Total], ..Choice::default() };
    let mut stage = Stage::with(120, 24, Setup { columns, ..Setup::default() });
    let head = |stage: &mut Stage| stage.line("Remote").contains("Total");
    assert!(head(stage.epoch(&snapshot)));
    stage.key(KeyCode::Char('r'));
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::KeepColumns(Choice::default())));
    assert!(!head(stage.settle(&snapshot)));
    stage.key(KeyCode::Char('r'));
    assert!(stage.app.effects.is_empty(), "nothing is written that is there");
    // It does not go on beyond what the config takes.
    stage.key(KeyCode::Char('s'));
    stage.settle(&snapshot);
    for _ in 0..200 {
        stage.key(KeyCode::Char('>'));
    }
    let kept = stage.app.effects.iter().filter(|effect| matches!(effect, Effect::KeepColumns(_))).count();
    assert!(kept <= 80, "{kept}");
    assert!(stage.text().contains("cannot be wider here"));
}

#[test]
fn seconds_that_are_not_shown_count_for_watches_and_charts() {
    let mut snapshot = known();
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('2'));
    stage.epoch(&snapshot);
    stage.app.effects.clear();
    let id = stage.app.selected_row().map(|row| row.id);
    for second in 1..4 {
        (snapshot.epoch, snapshot.now) = (Epoch(100 + second), Nanos(snapshot.now.0 + 1_000_000_000));
        snapshot.sources[0].kernel_drops = 700;
        let told = stage.finder.look_between(&snapshot, &stage.request, id);
        assert_eq!(told.moved.map(|(of, _)| of), id);
        stage.app.take_between(told);
    }
    assert_eq!(stage.app.trace.parts(0, 60).iter().flatten().count(), 4);
    // The axis has the unit of the figures.
    let next = Nanos(snapshot.now.0 + 1_000_000_000);
    stage.app.trace.push(next, Nanos::from_secs(1), [184e6, 0.0, 0.0]);
    assert!(stage.text().contains(" 184M "), "{}", stage.text());
    stage.key(KeyCode::Char('b'));
    assert!(stage.text().contains(" 1.47G "), "{}", stage.text());
    assert!(stage.text().contains("lost > 0"), "{}", stage.text());
    let logged = stage.app.effects.iter().filter(|effect| matches!(effect, Effect::Log(_))).count();
    assert_eq!(logged, 1);
}

#[test]
fn k16_interfaces_and_sockets_that_wait_are_listed() {
    use rustnet::process::listening::Listening;
    let setup = Setup {
        interfaces: Some(|| {
            vec![("eth0".into(), "up 10.0.0.1".into()), ("wg\u{1b}[2J".into(), "down".into())]
        }),
        listening: Some(|| {
            let address = "0.0.0.0".parse().unwrap();
            let named = |port, name: &str| Listening {
                port,
                protocol: "TCP",
                address,
                pid: Some(7),
                name: name.into(),
                uid: 0,
            };
            vec![named(22, "ss\u{1b}hd"), named(8080, "日本語のサーバ")]
        }),
        ..Setup::default()
    };
    let snapshot = known();
    let mut stage = Stage::with(100, 30, setup);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('I'));
    assert!(stage.line("up 10.0.0.1").contains("eth0"));
    assert!(!stage.text().contains('\u{1b}'));
    (0..2).for_each(|_| assert_eq!(stage.key(KeyCode::Enter), Next::Draw));
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Again(Again::Interface("eth0".into()))));
    // Where it has no meaning, a key says why.
    stage.key(KeyCode::Char('l'));
    assert!(stage.text().contains("only on Processes"));
    stage.key(KeyCode::Char('5'));
    stage.key(KeyCode::Char('l'));
    let line = stage.settle(&snapshot).line("TCP 22");
    assert!(line.contains("hd (7)") && line.contains("0.0.0.0:22") && !line.contains('\u{1b}'), "{line}");
    // Letters that are two cells wide leave what is behind them in its column.
    let wide = stage.line("TCP 8080");
    let before = |line: &str| unicode_width::UnicodeWidthStr::width(line.split("0.0.0.0:").next().unwrap());
    assert_eq!(before(&line), before(&wide), "{wide}");
}

#[test]
fn c8_files_are_stepped_through_and_played() {
    let mut snapshot = live(&rows());
    snapshot.ended = true;
    snapshot.sources[0].read = Some((1000, Some(1000)));
    let setup = Setup { file: Some("a.pcap".into()), rereads: true, ..Setup::default() };
    let mut stage = Stage::with(120, 30, setup);
    stage.epoch(&snapshot);
    let until = |stage: &mut Stage| match stage.app.effects.drain(..).next() {
        Some(Effect::Again(Again::Until(at))) => at.map(|at| at.0),
        other => panic!("{other:?}"),
    };
    let reread = |stage: &mut Stage, back: u64| {
        let mut earlier = live(&rows());
        (earlier.ended, earlier.sources) = (true, snapshot.sources.clone());
        earlier.wall = Stamp(WALL.0 - back);
        stage.app.begin_again();
        stage.epoch(&earlier);
    };
    stage.key(KeyCode::Char(','));
    assert_eq!(until(&mut stage), Some(WALL.0 - 1_000_000_000));
    reread(&mut stage, 1_000_000_000);
    assert!(stage.text().contains("14:03:21"), "{}", stage.text());
    stage.key(KeyCode::Char(','));
    assert_eq!(until(&mut stage), Some(WALL.0 - 2_000_000_000));
    reread(&mut stage, 2_000_000_000);
    stage.key(KeyCode::Char('.'));
    assert_eq!(until(&mut stage), Some(WALL.0 - 1_000_000_000));
    reread(&mut stage, 1_000_000_000);
    stage.key(KeyCode::Char('.'));
    assert_eq!(until(&mut stage), None, "the end");
    reread(&mut stage, 0);
    // A file that is gone leaves the screen as it was, and the keys work on.
    stage.key(KeyCode::Char(','));
    assert_eq!(until(&mut stage), Some(WALL.0 - 1_000_000_000));
    stage.app.reread_failed();
    stage.epoch(&snapshot);
    assert!(stage.text().contains("at the last packet"), "{}", stage.text());
    // From the end it plays from the start, an hour ago, along with the clock.
    stage.key(KeyCode::Char(';'));
    assert_eq!(until(&mut stage), Some(WALL.0 - NOW.0));
    reread(&mut stage, NOW.0);
    stage.app.go_on_playing();
    assert!(stage.app.effects.is_empty());
    stage.app.uptime = Nanos(stage.app.uptime.0 + 1_200_000_000);
    stage.app.go_on_playing();
    assert_eq!(until(&mut stage), Some(WALL.0 - NOW.0 + 1_200_000_000));
    // It is drawn at the refresh interval, and not before the last step was read.
    stage.app.setup.refresh_ms = 250;
    stage.app.uptime = Nanos(stage.app.uptime.0 + 250_000_000);
    stage.app.go_on_playing();
    assert!(stage.app.effects.is_empty(), "it is being read");
    reread(&mut stage, NOW.0 - 1_200_000_000);
    stage.app.go_on_playing();
    assert_eq!(until(&mut stage), Some(WALL.0 - NOW.0 + 1_450_000_000));
    reread(&mut stage, NOW.0 - 1_450_000_000);
    assert_eq!(stage.app.plays_on_in(), Some(Nanos(250_000_000)));
    stage.app.uptime = Nanos(stage.app.uptime.0 + 240_000_000);
    stage.app.go_on_playing();
    assert!(stage.app.effects.is_empty());
    stage.app.uptime = Nanos(stage.app.uptime.0 + 20_000_000);
    stage.app.go_on_playing();
    assert_eq!(until(&mut stage), Some(WALL.0 - NOW.0 + 1_710_000_000));
    reread(&mut stage, NOW.0 - 1_710_000_000);
    stage.key(KeyCode::Char(';'));
    stage.app.uptime = Nanos(stage.app.uptime.0 + 9_000_000_000);
    stage.app.go_on_playing();
    assert!(stage.app.effects.is_empty(), "it has stopped");
}

/// Three connections that ended at 14:03:19, as the tap keeps them.
fn ended_flows() -> Arc<rustnet::snapshot::ended::EndedFlows> {
    use rustnet::{base::ids::FlowId, flow::state::EndReason, snapshot::ended::EndedFlows};
    let ended = Arc::new(EndedFlows::new(100_000));
    for n in 0..3_u32 {
        let (mut record, _) =
            flow(6, &format!("10.0.0.1:443 ← 172.20.0.{n}:1"), FlowState::Closed, [0.0; 2], 9, 3);
        record.id = FlowId::new(0, n, 1000 + n);
        record.end = Some(EndReason::Fin);
        ended.push(record.into());
    }
    ended
}

#[test]
fn k16_groups_open_to_ended_rows_too_where_those_are_shown() {
    let snapshot = live(&numbered(5));
    let mut stage = Stage::new(120, 24);
    stage.finder = Finder::with_ended(ended_flows());
    stage.epoch(&snapshot);
    for (keys, conns) in [("a", 5), ("t", 8), ("t", 5), ("t", 8)] {
        keys.chars().for_each(|key| assert_eq!(stage.key(KeyCode::Char(key)), Next::Draw));
        let line = stage.settle(&snapshot).line(" n/a ");
        assert!(line.split_whitespace().any(|word| word == conns.to_string()), "{line}");
    }
    stage.key(KeyCode::Right);
    let text = stage.settle(&snapshot).text();
    // As many rows as are counted, and each is one that can be gone to.
    assert_eq!(text.lines().filter(|line| line.contains(" ← 172.")).count(), 8, "{text}");
    assert!(!text.contains("more; Enter") && text.contains("── 1/9 "), "{text}");
    assert!(stage.line("172.20.0.1:1").contains("CLOSED  ended 14:03:19"));
    let y = text.lines().position(|line| line.contains("172.20.0.1:1")).unwrap() as u16;
    assert!(stage.buffer()[(1, y)].modifier.contains(Modifier::DIM));
    stage.key(KeyCode::Char('G'));
    stage.settle(&snapshot);
    let last = stage.app.selected_line().map(|line| line.name());
    assert!(last.is_some_and(|name| name.flow.is_some()));
    stage.key(KeyCode::Enter);
    assert!(stage.settle(&snapshot).text().contains("Transport health"));
    assert!(selected_remote(&mut stage).starts_with("172.20.0."));
}

#[test]
fn k16_ended_rows_come_with_their_key_and_are_cleared_by_two() {
    let snapshot = live(&numbered(5));
    let mut stage = Stage::new(120, 24);
    stage.finder = Finder::with_ended(ended_flows());
    stage.epoch(&snapshot);
    assert!(!stage.text().contains("172.20.0."));
    stage.key(KeyCode::Char('t'));
    let text = stage.settle(&snapshot).text();
    let y = text.lines().position(|l| l.contains("172.20.0.1:1")).unwrap();
    assert!(text.lines().nth(y).unwrap().contains("14:03:19"), "{text}");
    assert!(stage.buffer()[(1, y as u16)].modifier.contains(Modifier::DIM));
    // One key alone clears nothing.
    stage.key(KeyCode::Char('x'));
    stage.key(KeyCode::Down);
    assert!(stage.settle(&snapshot).text().contains("172.20.0.1:1"));
    stage.key(KeyCode::Char('x'));
    stage.key(KeyCode::Char('x'));
    let text = stage.settle(&snapshot).text();
    assert!(!text.contains("172.20.0.") && text.contains("172.16.0.4"), "{text}");
}

#[test]
fn k15_groups_of_what_has_ended_have_no_rows_to_filter() {
    let mut snapshot = known();
    snapshot.totals.gone = [9e9, 1e9];
    snapshot.totals.down += 9e9;
    snapshot.totals.up += 1e9;
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('5'));
    let text = stage.settle(&snapshot).text();
    assert!(stage.line("(ended)").starts_with('▌'), "{text}");
    let sum = stage.app.groups().unwrap().sum;
    assert!((sum.0 - snapshot.totals.down).abs() < 1.0, "the sum of all rows is that of the head");
    stage.key(KeyCode::Enter);
    assert_eq!(stage.app.tab, Tab::Processes);
    assert!(stage.text().contains("these have ended"));
}

#[test]
fn details_of_a_file_draw_what_the_row_moved_by_the_packets_time() {
    use rustnet::snapshot::history::History;
    let mut snapshot = live(&rows());
    snapshot.ended = true;
    snapshot.sources[0].read = Some((1000, Some(1000)));
    let setup = Setup { file: Some("a.pcap".into()), rereads: true, ..Setup::default() };
    let mut stage = Stage::with(120, 50, setup);
    stage.epoch(&snapshot);
    assert!(stage.app.wanted_trace().is_none(), "only Details draw it");
    stage.key(KeyCode::Enter);
    stage.settle(&snapshot);
    let (row, span) = stage.app.wanted_trace().unwrap();
    assert_eq!(span, [Stamp(WALL.0 - NOW.0), WALL]);
    assert!(stage.app.wanted_trace().is_none(), "it is asked for once");
    let mut trace = History::default();
    for second in 3540..3600_u64 {
        let rates = if second == 3570 { [5e6, 0.0, 0.0] } else { [1e6, 2e3, 0.0] };
        trace.push(Nanos::from_secs(second + 1), Nanos::from_secs(1), rates);
    }
    // What belongs to another row, or to another time, is not drawn.
    stage.app.take_trace(row.id, Stamp(0), trace.clone());
    assert!(!stage.text().contains("peak 5.00 MB/s"));
    stage.app.take_trace(row.id, WALL, trace);
    let line = stage.line("peak 5.00 MB/s");
    assert!(
        line.contains("now 1.00 MB/s") && line.contains("mean 1.07 MB/s") && line.contains("· 60 s"),
        "{line}"
    );
    // Other answers for the same row leave it alone; another row, or another time, is asked for anew.
    stage.epoch(&snapshot);
    assert!(stage.text().contains("peak 5.00 MB/s") && stage.app.wanted_trace().is_none());
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Down);
    stage.settle(&snapshot);
    stage.key(KeyCode::Enter);
    stage.epoch(&snapshot);
    assert_ne!(stage.app.wanted_trace().unwrap().0.id, row.id);
    assert!(!stage.text().contains("peak 5.00 MB/s"));
}
