//! A frozen view: all of it is of one epoch, and everything works on it.

use crate::stage::*;

/// Ten connections of a process each, by remote address.
fn before() -> Snapshot {
    owned(&numbered(10))
}

/// A second later: the first five are gone, the others are closing, new ones have come, and all moves.
fn after() -> Snapshot {
    let mut rows = numbered(10);
    rows[..5].fill((FlowRecord::default(), [0.0; 2]));
    for row in &mut rows[5..] {
        (row.0.hot.state, row.1) = (FlowState::CloseWait, [7e6, 8e6]);
    }
    for n in 0..20 {
        let ends = format!("10.0.0.1:443 ← 172.31.0.{n}:1000");
        rows.push(flow(6, &ends, FlowState::Established, [1e6, 1e6], 1, 0));
    }
    let mut snapshot = owned(&rows);
    (snapshot.epoch, snapshot.now) = (Epoch(2), Nanos(NOW.0 + 1_000_000_000));
    snapshot.wall = Stamp(WALL.0 + 1_000_000_000);
    snapshot.totals.packets_per_second = 4_321.0;
    snapshot.totals.opened = 10 + 20;
    snapshot
}

fn owned(rows: &[Sample]) -> Snapshot {
    let mut snapshot = live(rows);
    snapshot.owner_method.method = "bpf";
    for slot in 0..rows.len() {
        let owner =
            Owner { pid: Some(slot as u32 + 1), name: format!("job-{slot}").into(), ..Owner::default() };
        sample::set_owner(&mut snapshot, slot, owner);
    }
    snapshot
}

/// A screen that was frozen on the fourth row, and what has happened since.
fn frozen(width: u16) -> (Stage, Snapshot) {
    let snapshot = before();
    let mut stage = Stage::new(width, 40);
    stage.epoch(&snapshot);
    (0..3).for_each(|_| assert_eq!(stage.key(KeyCode::Down), Next::Draw));
    stage.settle(&snapshot).key(KeyCode::Char(' '));
    stage.settle(&snapshot);
    (stage, after())
}

/// What stands below the head and above the line that tells for how long.
fn body(stage: &mut Stage) -> String {
    let is_told = |line: &&str| !line.contains("FROZEN");
    stage.text().lines().skip(4).filter(is_told).collect::<Vec<_>>().join("\n")
}

#[test]
fn k14_tables_and_details_stand_still_and_the_head_goes_on() {
    for (tab, row) in
        [('1', "172.16.0.3:1000"), ('2', "172.16.0.3:1000"), ('4', "172.16.0.9"), ('5', "job-9")]
    {
        let (mut stage, later) = frozen(120);
        stage.key(KeyCode::Char(tab));
        let still = body(stage.settle(&before()));
        assert!(still.contains(row), "{tab}: {still}");
        let head = stage.text();
        stage.epoch(&later);
        assert_eq!(body(&mut stage), still, "{tab}");
        let text = stage.text();
        let totals = |text: &str| text.lines().nth(1).unwrap().to_owned();
        assert!(tab == '2' || totals(&text) != totals(&head), "the totals are the newest: {text}");
        assert!(text.contains("FROZEN"), "{text}");
    }
    let (mut stage, later) = frozen(120);
    assert!(stage.epoch(&later).line(" Down ").contains("4.32 k packets/s"), "{}", stage.text());
    assert!(stage.text().contains("20 new since freeze"));
}

#[test]
fn k14_selection_order_and_copies_work_on_what_is_frozen() {
    let (mut stage, later) = frozen(120);
    stage.epoch(&later);
    assert_eq!(selected_remote(&mut stage), "172.16.0.3", "it is where it was");
    stage.key(KeyCode::Up);
    stage.settle(&later);
    stage.key(KeyCode::Char('c'));
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Copy("172.16.0.2:1000".into())));
    // Nine times `s`: by process; the largest name is one that has gone meanwhile.
    (0..9).for_each(|_| assert_eq!(stage.key(KeyCode::Char('s')), Next::Draw));
    stage.key(KeyCode::Char('S'));
    let text = stage.settle(&later).text();
    assert!(text.contains("(Sort: Process ↓)") && text.contains("── 8/10 "), "{text}");
    let names: Vec<_> = text.lines().skip(6).filter_map(|line| line.split("job-").nth(1)).collect();
    let numbers: Vec<_> = names.iter().take(10).map(|name| &name[..1]).collect();
    assert_eq!(numbers, ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"], "{text}");
    assert!(!text.contains("CLOSE_WAIT") && !text.contains("172.31.0."), "{text}");
}

#[test]
fn k14_what_is_written_of_a_frozen_view_are_its_rows() {
    let (mut stage, later) = frozen(120);
    stage.epoch(&later);
    let request = stage.app.request();
    let mut written = Vec::new();
    let count = stage.finder.export::<()>(&later, &request, |row| {
        written.push(row.addresses[row.remote()].to_string());
        Ok(())
    });
    assert_eq!(count, Ok(10));
    assert_eq!(written, (0..10).map(|n| format!("172.16.0.{n}")).collect::<Vec<_>>());
}

#[test]
fn k14_it_goes_live_with_the_selection_kept() {
    for (place, remote) in [(3, "172.16.0.3"), (7, "172.16.0.7")] {
        let (mut stage, later) = frozen(120);
        (3..place).for_each(|_| assert_eq!(stage.key(KeyCode::Down), Next::Draw));
        stage.settle(&before());
        stage.epoch(&later).key(KeyCode::Char(' '));
        let text = stage.epoch(&later).text();
        assert_eq!(selected_remote(&mut stage), remote);
        assert!(!text.contains("FROZEN") && text.contains("172.31.0.0:1000"), "{text}");
        // What ended meanwhile stays as the selected one.
        assert_eq!(stage.line("▌").contains("ended"), place == 3, "{text}");
    }
}

#[test]
fn k8_esc_goes_live_and_leaves_sums_which_a_and_r_close() {
    let snapshot = before();
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    typed(&mut stage, "a ");
    stage.settle(&snapshot).key(KeyCode::Esc);
    assert!(!stage.app.is_frozen() && stage.app.group_by().is_some());
    assert_eq!(stage.settle(&snapshot).key(KeyCode::Esc), Next::Draw);
    assert!(stage.app.group_by().is_some(), "the last Esc does nothing");
    // The bottom line tells the way out, on the narrowest screen too.
    for width in [80, 120] {
        stage.terminal = Terminal::new(TestBackend::new(width, 24)).unwrap();
        assert!(stage.settle(&snapshot).line("h help").contains("a by host"));
        stage.key(KeyCode::Char('a'));
        assert!(stage.settle(&snapshot).line("h help").contains("a rows"));
        stage.key(KeyCode::Char('a'));
        assert!(stage.app.group_by().is_none() && !stage.settle(&snapshot).line("h help").contains("a rows"));
        stage.key(KeyCode::Char('a'));
    }
    stage.key(KeyCode::Char('r'));
    assert!(stage.app.group_by().is_none());
}

#[test]
fn k14_rows_of_open_groups_keep_their_numbers() {
    let mut rows = numbered(10);
    rows.iter_mut().for_each(|row| row.1 = [2e6, 3e6]);
    let before = owned(&rows);
    for tab in ['4', '5', 'a'] {
        for open_first in [true, false] {
            let mut stage = Stage::new(120, 40);
            stage.epoch(&before).key(KeyCode::Char(tab));
            stage.settle(&before);
            let keys = if open_first {
                [KeyCode::Right, KeyCode::Char(' ')]
            } else {
                [KeyCode::Char(' '), KeyCode::Right]
            };
            for key in keys {
                stage.key(key);
                stage.settle(&before);
            }
            let still = body(&mut stage);
            let row = stage.line("    TCP ");
            assert!(row.contains("2.00M") && row.contains("3.00M"), "{still}");
            stage.epoch(&after());
            assert_eq!(body(&mut stage), still, "{tab}");
            // Opened later, it is what it was then.
            stage.key(KeyCode::Left);
            stage.settle(&after()).key(KeyCode::Right);
            stage.settle(&after());
            assert_eq!(stage.line("    TCP "), row, "{tab}");
        }
    }
}
