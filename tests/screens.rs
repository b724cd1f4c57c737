//! Whole screens: rows in a snapshot, through the query, onto a test terminal, compared with
//! stored text; and what keys do to them.
#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is the answer")]

use std::{net::IpAddr, sync::Arc};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    style::{Color, Modifier},
};
use rustnet::{
    base::{
        counters::DropReason,
        ids::{CoreId, Epoch},
        time::{Nanos, Stamp, Tick},
    },
    capture::source::{InterfaceState, InterfaceStatus, SourceStatus},
    dpi::{fact::Fact, service::Service},
    flow::{
        entry::{Evidence, FlowRecord, Roles},
        state::FlowState,
    },
    process::owner::{Owner, Quality},
    query::{
        finder::Finder,
        signs::Signs,
        sort::{Sort, SortBy},
        window::{Localhost, Request},
    },
    snapshot::{
        sample,
        view::{RingFill, Snapshot, StageStatus},
    },
    tui::{
        action::Tab,
        app::{Again, App, Effect, Form, Next, SelfUsage, Setup},
        input,
        theme::{Depth, Theme, ThemeName},
        view,
    },
};

/// 2026-11-22 14:03:22 UTC.
const WALL: Stamp = Stamp(1_795_356_202_000_000_000);
/// An hour after the start.
const NOW: Nanos = Nanos::from_secs(3600);

type Sample = (FlowRecord, [f32; 2]);

/// One connection: local end, sign, remote end; bytes per second down and up; seconds since its
/// first and since its last packet.
fn flow(proto: u8, ends: &str, state: FlowState, rates: [f32; 2], age: u64, silence: u64) -> Sample {
    let parts: Vec<&str> = ends.split(' ').collect();
    let end = |text: &str| -> (IpAddr, u16) {
        match text.parse::<std::net::SocketAddr>() {
            Ok(socket) => (socket.ip(), socket.port()),
            Err(_) => (text.parse().unwrap(), 0),
        }
    };
    let (local, remote) = (end(parts[0]), end(parts[2]));
    let at = usize::from(local > remote);
    let ordered = if at == 0 { [local, remote] } else { [remote, local] };
    let mut record = sample::record(ordered, proto);
    let initiator = if parts[1] == "←" { 1 - at } else { at };
    let ours = parts[1] != "⇄";
    record.hot.roles = Roles::new(initiator, Evidence::Handshake, [ours && at == 0, ours && at == 1]);
    record.hot.state = state;
    record.hot.tick = Tick(NOW.tick().0 - Tick::span(Nanos::from_secs(silence)));
    record.hot.last = Stamp(WALL.0 - silence * 1_000_000_000);
    record.facts.first = Stamp(WALL.0 - age * 1_000_000_000);
    let (from_remote, from_local) = (1 - at, at);
    let mut by_sender = [0.0; 2];
    by_sender[from_remote] = rates[0];
    by_sender[from_local] = rates[1];
    for (sender, rate) in by_sender.iter().enumerate() {
        record.hot.bytes[sender] = (f64::from(*rate) * age as f64) as u64 + 84;
        record.hot.frames[sender] = record.hot.bytes[sender] / 1400 + 1;
    }
    if proto == 6 {
        record.facts.rtt_handshake_us = 11_800;
        record.facts.retransmits = [12, 0];
    }
    (record, by_sender)
}

fn rows() -> Vec<Sample> {
    use FlowState::*;
    let mut rows = vec![
        flow(6, "10.0.3.14:443 ← 203.0.113.77:51022", Established, [184.2e6, 1.2e6], 318, 0),
        flow(6, "10.0.3.14:443 ← 198.51.100.9:40211", Established, [61.7e6, 410e3], 300, 0),
        flow(6, "10.0.3.14:51882 → 10.0.7.2:5432", Established, [44e6, 2.1e6], 280, 0),
        flow(17, "10.0.3.14:38211 → 142.250.185.78:443", Udp, [12.1e6, 220e3], 270, 0),
        flow(6, "172.17.0.5:41890 ⇄ 10.0.9.1:9092", Established, [8.81e6, 8.02e6], 260, 0),
        flow(6, "10.0.3.14:443 ← 198.18.4.201:1029", SynRecv, [0.0, 0.0], 2, 1),
        flow(17, "10.0.3.14:53122 → 10.0.0.2:53", Udp, [0.0, 0.0], 31, 20),
        flow(6, "10.0.3.14:60120 → 93.184.216.34:80", TimeWait, [0.0, 0.0], 200, 10),
        flow(6, "10.0.3.14:47770 → 10.0.8.8:6379", Established, [0.0, 0.0], 900, 240),
        flow(17, "10.0.3.14:41641 → 10.0.0.3:514", Udp, [0.0, 0.0], 800, 57),
        flow(1, "10.0.3.14 → 1.1.1.1", EchoReply, [84.0, 84.0], 60, 0),
        flow(58, "fe80::1 → ff02::1:ff00:14", NdSolicit, [0.0, 72.0], 5, 1),
        flow(
            6,
            "[2001:db8::14]:51000 → [2a00:1450:4001:82b:9f1c::200e]:443",
            Established,
            [3.3e6, 5e4],
            250,
            0,
        ),
        flow(132, "10.0.3.14:38412 ← 10.0.6.6:38412", Sctp, [12e3, 11.8e3], 249, 0),
        flow(6, "10.0.3.14:33100 → 10.0.7.9:443", CloseWait, [0.0, 900.0], 120, 3),
        flow(89, "10.0.3.1 ⇄ 224.0.0.5", Active, [0.4, 0.0], 1000, 9),
    ];
    let mut arp = flow(0, "10.0.3.14 → 10.0.3.1", ArpReply, [0.0, 0.0], 40, 12);
    arp.0.hot.key.kind |= rustnet::packet::key::kind::ARP;
    rows.push(arp);
    for n in 0..40 {
        let ends = format!("10.0.3.14:443 ← 198.51.100.{}:{}", 20 + n, 41000 + 77 * n);
        rows.push(flow(6, &ends, Established, [(800 - 15 * n as i32) as f32 * 1e3, 10_200.0], 100 - n, 0));
    }
    rows
}

fn live(rows: &[Sample]) -> Snapshot {
    let mut snapshot = sample::of_rows(rows, NOW, WALL);
    snapshot.totals.packets_per_second = 812_000.0;
    snapshot.totals.opened_per_second = 1_204.0;
    snapshot.totals.closed_per_second = 1_100.0;
    snapshot.totals.retransmits = 1_204;
    snapshot.totals.half_open = 3;
    snapshot.accounts.taken.frames = 412_662_118;
    snapshot.accounts.flows.frames = 412_662_118;
    let eth0 = InterfaceStatus { name: "eth0".into(), speed: Some(10_000_000_000), ..Default::default() };
    snapshot.sources =
        vec![SourceStatus { method: "af-packet", interfaces: vec![eth0], ..Default::default() }];
    snapshot
}

/// A screen without its threads.
struct Stage {
    app: App,
    finder: Finder,
    request: Request,
    terminal: Terminal<TestBackend>,
}

impl Stage {
    fn new(width: u16, height: u16) -> Self {
        Self::with(width, height, Setup::default())
    }

    fn with(width: u16, height: u16, setup: Setup) -> Self {
        let mut app = App::new(setup);
        app.clock = Stamp(WALL.0 + 300_000_000);
        app.uptime = Nanos::from_millis(2_100);
        app.usage = Some(SelfUsage {
            cores: 0.11,
            memory: 212_000_000,
            threads: vec![("rx/0".into(), 0.024), ("worker/0".into(), 0.015), ("collector".into(), 0.004)],
        });
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        Self { app, finder: Finder::default(), request: Request::default(), terminal }
    }

    /// A new epoch: answers the last question anew, as the query's thread does; drawn.
    fn epoch(&mut self, snapshot: &Snapshot) -> &mut Self {
        self.settle(snapshot);
        self.app.take(self.finder.find(snapshot, &self.request));
        self.request.exact = false;
        self.app.ask_again();
        self.settle(snapshot)
    }

    /// Answers what is asked for at once, until nothing is; draws.
    fn settle(&mut self, snapshot: &Snapshot) -> &mut Self {
        self.draw();
        while let Some((request, urgent)) = self.app.ask() {
            self.request = Request { exact: urgent, ..request };
            if urgent {
                self.app.take(self.finder.find(snapshot, &self.request));
                self.request.exact = false;
            }
            self.draw();
        }
        self
    }

    fn key(&mut self, code: KeyCode) -> Next {
        self.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn press(&mut self, key: KeyEvent) -> Next {
        input::take_key(&mut self.app, key)
    }

    fn draw(&mut self) {
        self.terminal.draw(|frame| view::draw(frame, &mut self.app)).unwrap();
    }

    fn buffer(&self) -> &Buffer {
        self.terminal.backend().buffer()
    }

    fn text(&mut self) -> String {
        self.draw();
        let buffer = self.buffer();
        let lines = (0..buffer.area.height).map(|y| {
            let mut line = String::new();
            let mut x = 0;
            while x < buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                line += symbol;
                x += unicode_width::UnicodeWidthStr::width(symbol).max(1) as u16;
            }
            line.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn line(&mut self, containing: &str) -> String {
        let text = self.text();
        let line = text.lines().find(|l| l.contains(containing));
        line.unwrap_or_else(|| panic!("no line with {containing:?} in\n{text}")).to_owned()
    }
}

#[test]
fn screens_of_every_size() {
    let mut snapshot = live(&rows());
    let history = Arc::make_mut(&mut snapshot.history);
    for second in 0..90 {
        let (down, up) = (2e8 + 2e8 * (second as f64 / 7.0).sin(), 4e7 + 3e7 * (second as f64 / 5.0).cos());
        history.push(Nanos(NOW.0 + (second + 1) * 1_000_000_000), Nanos::from_secs(1), [down, up, 8e5]);
    }
    for (width, height) in [(20, 5), (40, 10), (60, 15), (80, 24), (104, 19), (120, 40), (160, 30), (200, 50)]
    {
        let mut stage = Stage::new(width, height);
        let text = stage.epoch(&snapshot).text();
        insta::assert_snapshot!(format!("{width}x{height}"), text);
    }
}

#[test]
fn before_the_first_epoch_the_screen_says_so() {
    insta::assert_snapshot!(Stage::new(80, 24).text());
}

#[test]
fn silence_names_the_interfaces_and_their_state() {
    let mut snapshot = live(&[]);
    snapshot.now = Nanos::from_secs(12);
    snapshot.totals = Default::default();
    snapshot.accounts = Default::default();
    let names = [
        ("eth0", InterfaceState::Up),
        ("eth1", InterfaceState::Down(Stamp(WALL.0 - 12_000_000_000))),
        ("wg0", InterfaceState::Gone(Stamp(WALL.0 - 700_000_000_000))),
    ];
    snapshot.sources[0].interfaces = names
        .map(|(name, state)| InterfaceStatus { name: name.into(), state, speed: None, loopback: false })
        .into();
    insta::assert_snapshot!(Stage::new(100, 24).epoch(&snapshot).text());
}

#[test]
fn losses_are_red_with_their_reasons() {
    let mut snapshot = live(&rows());
    snapshot.sources[0].kernel_drops = 34_900;
    snapshot.accounts.drops[DropReason::RingFull] = 900;
    snapshot.accounts.drops[DropReason::SeenElsewhere] = 5_000_000;
    let mut stage = Stage::new(120, 24);
    let line = stage.epoch(&snapshot).line("Lost");
    insta::assert_snapshot!(line);
    assert_eq!(stage.buffer()[(1, 3)].fg, Color::Red);
    let mut narrow = Stage::new(80, 24);
    insta::assert_snapshot!(narrow.epoch(&snapshot).line("Lost"));
    let mut clean = Stage::new(80, 24);
    let line = clean.epoch(&live(&rows())).line("lost 0 ✓");
    let at = line.chars().position(|c| c == '✓').unwrap();
    assert_eq!(clean.buffer()[(at as u16, 2)].fg, Color::Green);
}

#[test]
fn hostile_names_and_huge_numbers_stay_in_their_places() {
    let mut rows = rows();
    let huge = &mut rows[0];
    huge.0.hot.bytes = [u64::MAX; 2];
    huge.0.hot.frames = [u64::MAX / 4; 2];
    huge.0.facts.first = Stamp(0);
    huge.0.facts.retransmits = [u32::MAX; 2];
    huge.1 = [f32::MAX, f32::INFINITY];
    let mut snapshot = live(&rows);
    snapshot.totals.down = f64::INFINITY;
    snapshot.totals.up = f64::NAN;
    snapshot.totals.packets_per_second = 1e30;
    snapshot.accounts.taken.frames = u64::MAX / 2;
    snapshot.sources[0].interfaces = ["網路介面卡\u{202e}evil", "e\u{301}\u{301}th\x1b[2J\x07"]
        .map(|name| InterfaceStatus { name: name.into(), ..Default::default() })
        .into();
    for (width, height) in [(80, 24), (200, 50)] {
        let mut stage = Stage::new(width, height);
        insta::assert_snapshot!(format!("hostile_{width}x{height}"), stage.epoch(&snapshot).text());
    }
}

#[test]
fn files_tell_progress_and_then_size_flows_and_time() {
    let mut snapshot = live(&rows());
    snapshot.sources[0].method = "file";
    snapshot.sources[0].read = Some((1_200_000_000, Some(2_800_000_000)));
    let setup = Setup { file: Some("big\x1b[31m.pcapng".into()), ..Setup::default() };
    let mut stage = Stage::with(120, 24, setup);
    insta::assert_snapshot!("file_reading", stage.epoch(&snapshot).text());
    snapshot.ended = true;
    snapshot.sources[0].read = Some((2_800_000_000, Some(2_800_000_000)));
    snapshot.sources[0].truncated = Some("the last record ends early".into());
    insta::assert_snapshot!("file_read", stage.epoch(&snapshot).text());
}

#[test]
fn how_capture_runs_is_told() {
    let snapshot = live(&rows());
    assert!(!Stage::new(120, 24).epoch(&snapshot).text().contains("promiscuous"));
    let notes = vec!["this kernel does not tell the segments".into()];
    let mut stage = Stage::with(160, 24, Setup { promiscuous: true, notes, ..Setup::default() });
    stage.epoch(&snapshot);
    assert!(stage.line("rustnet ").contains("promiscuous"));
    // One chip; its key tells all, with what helps.
    assert!(stage.line("rustnet ").contains("! capture degraded"));
    stage.key(KeyCode::Char('!'));
    assert!(stage.text().contains("does not tell the segments"));
    stage.key(KeyCode::Esc);
    let mut degraded = live(&rows());
    degraded.owner_method.reason = Some("no BTF".into());
    degraded.owner_method.remedy = Some("a kernel with CONFIG_DEBUG_INFO_BTF".into());
    stage.epoch(&degraded);
    assert!(stage.line("rustnet ").contains("! 2 degraded"));
    stage.key(KeyCode::Char('!'));
    assert!(stage.text().contains("no BTF: a kernel with"));
}

#[test]
fn the_first_line_names_what_is_watched_on_every_screen() {
    let mut file = live(&rows());
    file.sources[0].method = "file";
    file.sources[0].interfaces.clear();
    file.sources[0].read = Some((10, Some(10)));
    file.ended = true;
    let mut long = live(&rows());
    long.sources[0].interfaces[0].name = "enp130s0f1np1".into();
    long.owner_method.reason = Some("no BTF".into());
    let mut down = live(&rows());
    down.sources[0].interfaces[0].state = InterfaceState::Down(Stamp(WALL.0 - 12_000_000_000));
    for width in 80..140 {
        let name = Some("/var/tmp/captures/of/today.pcap".into());
        let mut stage = Stage::with(width, 24, Setup { file: name, ..Setup::default() });
        assert!(stage.epoch(&file).line("rustnet ").contains("toda"), "{width}");
        let mut stage = Stage::new(width, 24);
        let line = stage.epoch(&long).line("rustnet ");
        assert!(line.contains("● enp") && line.contains('!'), "{width}: {line}");
        assert!(Stage::new(width, 24).epoch(&down).line("rustnet ").contains("○ eth0"), "{width}");
    }
}

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
fn interfaces_that_are_down_are_named_or_counted() {
    let mut snapshot = live(&rows());
    let mut port = snapshot.sources[0].interfaces[0].clone();
    port.state = InterfaceState::Down(snapshot.wall);
    port.speed = Some(10_000_000_000);
    for n in 0..3 {
        port.name = format!("swp{n}");
        snapshot.sources[0].interfaces.push(port.clone());
        let head = Stage::new(180, 24).epoch(&snapshot).line("rustnet ");
        assert_eq!(head.contains("swp0 down"), n < 2, "{head}");
        assert_eq!(head.contains("3 down"), n == 2, "{head}");
    }
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
fn rows_turn_yellow_at_three_quarters_of_their_lifetime_and_red_over_nine_tenths() {
    let cases = [
        (FlowState::Udp, 44, Color::Reset, " "),
        (FlowState::Udp, 46, Color::Yellow, "!"),
        (FlowState::Udp, 53, Color::Yellow, "!"),
        (FlowState::Udp, 55, Color::Red, "‼"),
        (FlowState::Established, 59, Color::Reset, " "),
        (FlowState::Established, 224, Color::Reset, " "),
        (FlowState::Established, 226, Color::Yellow, "!"),
        (FlowState::Established, 271, Color::Red, "‼"),
    ];
    let first = flow(6, "10.0.0.1:1 → 10.0.0.2:2", FlowState::Established, [0.0; 2], 2000, 0);
    for (state, silence, color, sign) in cases {
        let row = flow(17, "10.0.0.3:3 → 10.0.0.4:4", state, [0.0; 2], 1000, silence);
        let mut stage = Stage::new(80, 24);
        stage.epoch(&live(&[first, row])).draw();
        let buffer = stage.buffer();
        assert_eq!(buffer[(0, 6)].symbol(), sign, "{state:?} silent for {silence} s");
        assert_eq!(buffer[(1, 6)].fg, color, "{state:?} silent for {silence} s");
        assert!(buffer[(5, 5)].modifier.contains(Modifier::REVERSED), "the band of the selected row");
    }
}

/// `count` connections, oldest first.
fn numbered(count: u32) -> Vec<Sample> {
    (0..count)
        .map(|n| {
            let ends = format!("10.0.0.1:443 ← 172.16.{}.{}:1000", n / 250, n % 250);
            flow(6, &ends, FlowState::Established, [0.0; 2], u64::from(count - n), 0)
        })
        .collect()
}

fn selected_remote(stage: &mut Stage) -> String {
    stage.draw();
    stage.app.selected_row().map_or("none".into(), |r| r.addresses[r.remote()].to_string())
}

#[test]
fn keys_move_the_selection() {
    let snapshot = live(&numbered(1000));
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    let ctrl = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
    let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
    // 15 rows are on the screen.
    for (key, place) in [
        (plain(KeyCode::Up), 0),
        (plain(KeyCode::Down), 1),
        (plain(KeyCode::Char('j')), 2),
        (plain(KeyCode::Char('k')), 1),
        (plain(KeyCode::PageDown), 11),
        (plain(KeyCode::PageUp), 1),
        (plain(KeyCode::PageUp), 0),
        (ctrl('f'), 15),
        (ctrl('d'), 22),
        (ctrl('u'), 15),
        (ctrl('b'), 0),
        (plain(KeyCode::Char('G')), 999),
        (plain(KeyCode::Down), 999),
        (plain(KeyCode::PageUp), 989),
        (plain(KeyCode::Char('g')), 0),
        (plain(KeyCode::End), 999),
        (plain(KeyCode::Home), 0),
    ] {
        stage.press(key);
        stage.settle(&snapshot);
        let expected = format!("172.16.{}.{}", place / 250, place % 250);
        assert_eq!(selected_remote(&mut stage), expected, "{key:?}");
        let number = if place == 999 { "1,000".to_owned() } else { (place + 1).to_string() };
        let shown = format!("── {number}/1,000 ");
        assert!(stage.text().contains(&shown), "{shown}");
        let row = stage.line(&format!("{expected}:1000 "));
        assert!(row.starts_with('▌'), "{row}");
    }
}

#[test]
fn scrolling_within_what_is_known_needs_no_query() {
    let snapshot = live(&numbered(1000));
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    for place in 1..=90 {
        stage.key(KeyCode::Down);
        stage.draw();
        let asked = stage.app.ask();
        assert!(asked.is_none_or(|(_, urgent)| !urgent), "at {place}");
        assert_eq!(selected_remote(&mut stage), format!("172.16.0.{place}"));
    }
    // Far away rows are asked for at once; until they come the old ones stay.
    stage.key(KeyCode::Char('G'));
    stage.draw();
    assert!(stage.app.ask().is_some_and(|(_, urgent)| urgent));
    assert!(stage.line("172.16.0.90:1000 ").starts_with('▌'));
    assert!(stage.text().contains("1,000/1,000"));
}

#[test]
fn the_selection_stays_on_its_connection() {
    let mut rows = numbered(100);
    let mut stage = Stage::new(80, 24);
    stage.epoch(&live(&rows));
    for _ in 0..20 {
        stage.key(KeyCode::Down);
    }
    stage.settle(&live(&rows));
    let line = |s: &mut Stage| s.text().lines().position(|l| l.starts_with('▌'));
    let before = line(&mut stage);
    for row in &mut rows[..5] {
        row.0 = FlowRecord::default();
    }
    stage.epoch(&live(&rows));
    assert_eq!(selected_remote(&mut stage), "172.16.0.20");
    assert_eq!(line(&mut stage), before, "it stays on its line");
    assert!(stage.text().contains("── 16/95 ──"));
}

#[test]
fn a_selected_row_that_ends_stays_until_one_moves() {
    let mut rows = numbered(30);
    let mut stage = Stage::new(80, 24);
    stage.epoch(&live(&rows));
    stage.key(KeyCode::Down);
    stage.settle(&live(&rows));
    rows[1].0 = FlowRecord::default();
    stage.epoch(&live(&rows));
    let mut later = live(&rows);
    later.wall = Stamp(WALL.0 + 5_000_000_000);
    stage.epoch(&later);
    let row = stage.line("ended 14:03:22");
    assert!(row.starts_with('▌') && row.contains("172.16.0.1:1000"));
    assert!(stage.text().contains("29 · Local, Service"), "it is no connection any more");
    stage.key(KeyCode::Down);
    stage.settle(&later);
    stage.epoch(&later);
    assert!(!stage.text().contains("ended"));
    assert_eq!(selected_remote(&mut stage), "172.16.0.2");
}

#[test]
fn the_first_row_is_selected_until_one_moves_and_the_newest_after_g() {
    let mut rows = numbered(30);
    let mut stage = Stage::new(80, 24);
    stage.epoch(&live(&rows));
    rows[0].0 = FlowRecord::default();
    stage.epoch(&live(&rows));
    assert_eq!(selected_remote(&mut stage), "172.16.0.1");
    stage.key(KeyCode::Char('G'));
    stage.epoch(&live(&rows));
    assert!(stage.text().contains("follows the newest"));
    rows.push(flow(6, "10.0.0.1:443 ← 172.17.0.1:1", FlowState::SynRecv, [0.0; 2], 0, 0));
    stage.epoch(&live(&rows));
    assert_eq!(selected_remote(&mut stage), "172.17.0.1");
    stage.key(KeyCode::Up);
    assert!(!stage.text().contains("follows the newest"));
}

#[test]
fn localhost_is_hidden_counted_and_shown_by_its_key() {
    let rows = [
        flow(6, "127.0.0.1:5000 → 127.0.0.1:80", FlowState::Established, [1e3, 1e3], 9, 0),
        flow(6, "127.0.0.1:5001 → 127.0.0.1:80", FlowState::Established, [1e3, 1e3], 8, 0),
    ];
    let snapshot = live(&rows);
    let mut stage = Stage::with(80, 24, Setup { localhost: Localhost::Hide, ..Setup::default() });
    stage.epoch(&snapshot);
    insta::assert_snapshot!(stage.text());
    stage.key(KeyCode::Char('L'));
    assert!(stage.settle(&snapshot).text().contains("127.0.0.1:80"));
}

#[test]
fn quitting_takes_two_keys_and_any_other_stays() {
    let mut stage = Stage::new(80, 24);
    let snapshot = live(&numbered(5));
    stage.epoch(&snapshot);
    assert_eq!(stage.key(KeyCode::Char('q')), Next::Draw);
    assert!(stage.line("Quit?").contains("q again quits"));
    assert_eq!(stage.key(KeyCode::Down), Next::Draw);
    assert_eq!(selected_remote(&mut stage), "172.16.0.0", "the key that cancels does nothing else");
    stage.key(KeyCode::Char('q'));
    stage.key(KeyCode::F(5));
    assert!(!stage.text().contains("Quit?"));
    stage.key(KeyCode::Char('q'));
    assert_eq!(stage.key(KeyCode::Char('q')), Next::Quit);
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(Stage::new(80, 24).press(ctrl_c), Next::Quit);
}

#[test]
fn help_lists_every_key_and_scrolls() {
    let snapshot = live(&numbered(5));
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('h'));
    insta::assert_snapshot!("help", stage.text());
    stage.key(KeyCode::Char('G'));
    assert!(stage.text().contains("connections that began and ended"));
    stage.key(KeyCode::Char('k'));
    stage.key(KeyCode::Char('g'));
    assert!(stage.text().contains("the row above"));
    stage.key(KeyCode::Esc);
    assert!(stage.text().contains("Active Connections"));
    assert_eq!(selected_remote(&mut stage), "172.16.0.0");
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

/// The rows with what some of them speak and who owns them.
fn known() -> Snapshot {
    let mut snapshot = live(&rows());
    snapshot.owner_method.method = "bpf";
    let app = |service, facts: &[(Fact, &str)]| {
        let mut app = rustnet::snapshot::app::App::of(service);
        facts.iter().for_each(|(fact, value)| app.learn(*fact, value.as_bytes()));
        app
    };
    let tls = [
        (Fact::Sni, "api.example.org"),
        (Fact::Alpn, "h2"),
        (Fact::AlpnSelected, "h2"),
        (Fact::TlsVersion, "TLS1.3"),
        (Fact::TlsCipher, "TLS_AES_128_GCM_SHA256"),
        (Fact::Ja4, "t13d1516h2_8daaf6152771_b186095e22b6"),
    ];
    sample::set_app(&mut snapshot, 0, app(Service::Tls, &tls));
    sample::set_app(&mut snapshot, 1, app(Service::Tls, &tls));
    sample::set_app(&mut snapshot, 2, app(Service::Postgres, &[(Fact::SqlDatabase, "orders")]));
    sample::set_app(
        &mut snapshot,
        3,
        app(Service::Quic, &[(Fact::Sni, "www.google.com"), (Fact::Alpn, "h3")]),
    );
    let dns = [(Fact::DnsType, "A"), (Fact::DnsQuery, "nope.invalid"), (Fact::DnsRcode, "3")];
    sample::set_app(&mut snapshot, 6, app(Service::Dns, &dns));
    let hostile = [(Fact::HttpHost, "ev\u{1b}[2Jil\u{202e}.example"), (Fact::HttpStatus, "200")];
    sample::set_app(&mut snapshot, 7, app(Service::Http, &hostile));
    let owner = |name: &str, pid: u32, user: &str| Owner {
        pid: Some(pid),
        name: name.into(),
        exe: Some(format!("/usr/bin/{name}").into()),
        command: Some(format!("{name} --serve").into()),
        uid: Some(33),
        user: Some(user.into()),
        parents: [(1190, "supervisor".into()), (1, "systemd".into())].into(),
        ..Owner::default()
    };
    for slot in [0, 1, 5] {
        let web = Owner { container: Some("web-7f9c".into()), ..owner("nginx", 1211, "www-data") };
        sample::set_owner(&mut snapshot, slot, web);
    }
    sample::set_owner(&mut snapshot, 2, owner("billing-api-with-a-long-name", 2207, "billing"));
    sample::set_owner(&mut snapshot, 3, owner("firefox", 7741, "anna"));
    let listener = Owner { quality: Quality::Listener, ..owner("sshd", 30112, "root") };
    sample::set_owner(&mut snapshot, 13, listener);
    let nobody = Owner { uid: Some(1001), quality: Quality::UserOnly, ..Owner::default() };
    sample::set_owner(&mut snapshot, 14, nobody);
    let kernel = Owner { is_kernel: true, name: "wg0".into(), ..Owner::default() };
    sample::set_owner(&mut snapshot, 10, kernel);
    snapshot.stages = vec![
        StageStatus {
            name: "rx/0".into(),
            core: Some(CoreId(2)),
            frames: 412_662_118,
            flows: 0,
            ring: None,
            stalled: false,
        },
        StageStatus {
            name: "worker/0".into(),
            core: Some(CoreId(3)),
            frames: 412_611_004,
            flows: 57,
            ring: Some(RingFill { now: 41, peak: 1270, size: 4096 }),
            stalled: false,
        },
    ];
    snapshot
}

fn typed(stage: &mut Stage, text: &str) {
    for c in text.chars() {
        stage.key(KeyCode::Char(c));
    }
}

#[test]
fn every_tab_at_every_size() {
    let mut snapshot = known();
    let history = Arc::make_mut(&mut snapshot.history);
    for second in 0..90 {
        let wave = f64::from(second) / 7.0;
        let rates = [2e8 + 2e8 * wave.sin(), 4e7 + 3e7 * wave.cos(), 8e5];
        history.push(Nanos(NOW.0 + (second as u64 + 1) * 1_000_000_000), Nanos::from_secs(1), rates);
    }
    for (width, height) in [(40, 10), (80, 24), (120, 40), (200, 50)] {
        for tab in 1..=7 {
            let mut stage = Stage::new(width, height);
            stage.epoch(&snapshot);
            stage.key(KeyCode::Char(char::from_digit(tab, 10).unwrap()));
            let text = stage.settle(&snapshot).text();
            insta::assert_snapshot!(format!("tab{tab}_{width}x{height}"), text);
        }
    }
}

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
fn so1_to_so5_sorting_is_shown_in_header_and_title() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    let mut seen = Vec::new();
    for _ in 0..10 {
        stage.key(KeyCode::Char('s'));
        stage.settle(&snapshot);
        let text = stage.text();
        let header = text.lines().find(|l| l.starts_with(" Pro")).unwrap().to_owned();
        let title = text.lines().find(|l| l.contains("Active Connections")).unwrap();
        seen.push(format!(
            "{} | {header}",
            title.split(" ─").find(|t| t.contains("Active")).unwrap().trim_matches('─')
        ));
    }
    insta::assert_snapshot!(seen.join("\n"));
    for _ in 0..7 {
        stage.key(KeyCode::Char('s'));
    }
    stage.settle(&snapshot);
    stage.key(KeyCode::Char('g'));
    assert_eq!(selected_remote(stage.settle(&snapshot)), "203.0.113.77", "the largest is first");
    let text = stage.text();
    let y = text.lines().position(|l| l.starts_with(" Pro")).unwrap() as u16;
    let line = text.lines().nth(y.into()).unwrap();
    let x = line.chars().position(|c| c == '↓').unwrap() as u16;
    assert_eq!(stage.buffer()[(x, y)].fg, Color::Cyan);
    assert!(stage.buffer()[(x, y)].modifier.contains(Modifier::UNDERLINED));
    stage.key(KeyCode::Char('S'));
    assert!(stage.settle(&snapshot).text().contains("Down↑/Up"));
}

#[test]
fn k14_a_frozen_table_stands_still_and_says_so() {
    let mut rows = numbered(30);
    let mut stage = Stage::new(120, 24);
    stage.epoch(&live(&rows));
    stage.key(KeyCode::Char(' '));
    stage.settle(&live(&rows));
    rows.truncate(10);
    let mut later = live(&rows);
    later.totals.opened = 30 + 1_204;
    stage.app.uptime = Nanos::from_secs(16);
    stage.epoch(&later);
    let text = stage.text();
    assert!(text.contains("FROZEN 13 s · 1,204 new since freeze"), "{text}");
    assert!(text.contains("1/30"));
    stage.key(KeyCode::Char('/'));
    typed(&mut stage, "172.16.0.2");
    assert!(stage.settle(&later).text().contains(" 11 of 30 "), "filters work on it");
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Char(' '));
    let text = stage.settle(&later).text();
    assert!(text.contains("1/10") && !text.contains("FROZEN"), "{text}");
}

#[test]
fn k8_esc_closes_the_first_that_applies_and_never_quits() {
    let snapshot = known();
    let mut stage = Stage::with(120, 24, Setup { filter: "tcp".into(), ..Setup::default() });
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char(' '));
    stage.key(KeyCode::Char('4'));
    stage.key(KeyCode::Char(':'));
    assert!(stage.app.overlay.is_some());
    stage.key(KeyCode::Esc);
    assert!(stage.app.overlay.is_none() && stage.app.tab == Tab::Hosts);
    stage.key(KeyCode::Esc);
    assert!(stage.app.tab == Tab::Overview && stage.app.filter.text() == "tcp");
    stage.key(KeyCode::Esc);
    assert!(stage.app.filter.text().is_empty() && stage.app.is_frozen());
    stage.key(KeyCode::Esc);
    assert!(!stage.app.is_frozen());
    assert_eq!(stage.key(KeyCode::Esc), Next::Draw);
}

#[test]
fn k9_the_remote_end_is_copied_in_full() {
    let snapshot = known();
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot);
    for (row, text) in
        [(0, "203.0.113.77:51022"), (10, "1.1.1.1"), (12, "[2a00:1450:4001:82b:9f1c::200e]:443")]
    {
        let id = sample::id_of(row, &Default::default());
        while stage.app.selected_row().is_none_or(|r| r.id != id) {
            stage.key(KeyCode::Down);
            stage.settle(&snapshot);
        }
        stage.key(KeyCode::Char('c'));
        assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Copy(text.into())));
        assert!(stage.text().contains(&format!("copied {text}")));
        stage.key(KeyCode::Char('g'));
        stage.settle(&snapshot);
    }
    stage.app.uptime = Nanos::from_secs(30);
    assert!(!stage.text().contains("copied"), "it goes after three seconds");
}

#[test]
fn k15_like_this_and_groups_become_filters() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    let nginx = sample::id_of(0, &Default::default());
    while stage.app.selected_row().is_none_or(|r| r.id != nginx) {
        stage.key(KeyCode::Down);
        stage.settle(&snapshot);
    }
    stage.key(KeyCode::Char('='));
    assert_eq!(stage.app.filter.text(), "process:=nginx");
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 3);
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Char('-'));
    assert_eq!(stage.app.filter.text(), "!process:=nginx");
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 54);
    stage.key(KeyCode::Esc);
    stage.key(KeyCode::Char('5'));
    stage.settle(&snapshot);
    assert!(stage.line("▌▸ nginx").contains("1211"));
    stage.key(KeyCode::Enter);
    assert_eq!(stage.app.tab, Tab::Overview);
    assert_eq!(stage.settle(&snapshot).app.view.as_ref().unwrap().len, 3);
    stage.key(KeyCode::Esc);
    assert!(stage.app.tab == Tab::Processes && stage.app.filter.text().is_empty());
}

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
fn k17_the_palette_finds_every_action() {
    let snapshot = known();
    let mut stage = Stage::new(100, 30);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char(':'));
    insta::assert_snapshot!("palette", stage.text());
    typed(&mut stage, "sort by down");
    stage.key(KeyCode::Enter);
    assert!(stage.settle(&snapshot).text().contains("(Sort: Down ↓)"));
    stage.key(KeyCode::Char(':'));
    typed(&mut stage, "refresh 250");
    stage.key(KeyCode::Enter);
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Refresh(250)));
    stage.key(KeyCode::Char(':'));
    typed(&mut stage, "refresh 5");
    stage.key(KeyCode::Enter);
    assert!(stage.app.effects.is_empty() && stage.text().contains("50 to 60000"));
}

#[test]
fn k20_the_mouse_reaches_tabs_headers_and_rows() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    let find = |stage: &mut Stage, text: &str| {
        let screen = stage.text();
        let y = screen.lines().position(|l| l.contains(text)).unwrap();
        let line: Vec<char> = screen.lines().nth(y).unwrap().chars().collect();
        let wanted: Vec<char> = text.chars().collect();
        let x = line.windows(wanted.len()).position(|w| w == wanted).unwrap();
        (x as u16, y as u16)
    };
    let click = |stage: &mut Stage, (column, row): (u16, u16)| {
        let kind = crossterm::event::MouseEventKind::Down(crossterm::event::MouseButton::Left);
        let mouse = crossterm::event::MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        input::take(&mut stage.app, &crossterm::event::Event::Mouse(mouse));
        stage.settle(&snapshot);
    };
    let at = find(&mut stage, "Remote Address");
    click(&mut stage, at);
    assert!(stage.text().contains("(Sort: Remote Addr ↑)"));
    click(&mut stage, at);
    assert!(stage.text().contains("(Sort: Remote Addr ↓)"));
    let at = find(&mut stage, "203.0.113.77");
    click(&mut stage, at);
    assert_eq!(selected_remote(&mut stage), "203.0.113.77");
    click(&mut stage, at);
    assert_eq!(stage.app.tab, Tab::Details, "a double click");
    let at = find(&mut stage, "7 Pipeline");
    click(&mut stage, at);
    assert_eq!(stage.app.tab, Tab::Pipeline);
}

#[test]
fn every_theme_shows_the_same_text() {
    let snapshot = known();
    let texts: Vec<_> = ThemeName::ALL
        .into_iter()
        .flat_map(|(name, _)| [Depth::None, Depth::Sixteen, Depth::True].map(|depth| Theme { name, depth }))
        .map(|theme| Stage::with(120, 40, Setup { theme, ..Setup::default() }).epoch(&snapshot).text())
        .collect();
    // Without colour a mark stands for what fades.
    assert!(texts.iter().all(|t| t.replace('~', " ") == texts[1].replace('~', " ")));
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
fn v7_sorted_narrow_screens_keep_rates_and_processes() {
    let snapshot = known();
    let mut stage = Stage::new(41, 11);
    stage.epoch(&snapshot);
    for n in 0..9 {
        stage.key(KeyCode::Char('s'));
        // Sorted by it, the last one has its arrow beside its name.
        let process = if n == 8 { "Process ↑" } else { "Process" };
        let text = stage.settle(&snapshot).text();
        let is_header =
            |line: &&str| ["Pro", "Remote", "Down", process].iter().all(|name| line.contains(name));
        assert!(text.lines().any(|line| is_header(&line)), "{text}");
    }
}

#[test]
fn a_column_that_cannot_be_narrower_keeps_nothing_of_the_attempt() {
    let snapshot = known();
    for sorts in 1..=8 {
        let mut stage = Stage::new(120, 40);
        stage.epoch(&snapshot);
        (0..sorts).for_each(|_| assert_eq!(stage.key(KeyCode::Char('s')), Next::Draw));
        let header = |stage: &mut Stage| stage.settle(&snapshot).app.hits.columns.clone();
        let mut last = header(&mut stage);
        let mut steps = 0;
        loop {
            let kept = format!("{:?}", stage.app.columns);
            stage.key(KeyCode::Char('<'));
            let now = header(&mut stage);
            if stage.text().contains("this column cannot be narrower") {
                assert_eq!((&now, format!("{:?}", stage.app.columns)), (&last, kept));
                break;
            }
            assert_ne!(now, last);
            last = now;
            steps += 1;
            assert!(steps < 60, "{last:?}");
        }
    }
}

#[test]
fn k8_esc_goes_back_by_the_tabs_that_one_came_by() {
    let snapshot = known();
    let mut stage = Stage::new(120, 40);
    stage.epoch(&snapshot);
    for key in ['4', '7', '5', 'h'] {
        stage.key(KeyCode::Char(key));
    }
    for tab in [Tab::Processes, Tab::Pipeline, Tab::Hosts, Tab::Overview, Tab::Overview] {
        assert_eq!(stage.key(KeyCode::Esc), Next::Draw);
        assert_eq!(stage.app.tab, tab);
    }
    // Help is closed by its own key, too.
    stage.key(KeyCode::Char('6'));
    stage.key(KeyCode::Char('?'));
    stage.key(KeyCode::Char('h'));
    assert_eq!(stage.app.tab, Tab::Graph);
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
    assert!(!stage.text().contains("203.0.113.77"));
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
        "src:=10.0.3.14 sport:=443 dst:=203.0.113.77 dport:=51022",
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
fn k19_the_frames_of_a_row_are_written_until_the_key_comes_again() {
    let snapshot = known();
    let mut stage = Stage::new(120, 24);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('P'));
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Record));
    stage.app.recording = Some("rustnet_2026-11-22_14-03-22.pcapng".into());
    assert!(stage.line("rustnet ").contains("P writes frames"));
    // Wherever one is, it ends it.
    stage.key(KeyCode::Char('7'));
    stage.key(KeyCode::Char('P'));
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::StopRecording));
    stage.app.recording = None;
    stage.key(KeyCode::Char('P'));
    assert!(stage.app.effects.is_empty() && stage.text().contains("only on Overview and Details"));
    // What has ended sends no more.
    let mut stage = Stage::new(120, 24);
    stage.epoch(&live(&[]));
    stage.key(KeyCode::Char('P'));
    assert!(stage.app.effects.is_empty());
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
            vec![Listening {
                port: 22,
                protocol: "TCP",
                address,
                pid: Some(7),
                name: "ss\u{1b}hd".into(),
                uid: 0,
            }]
        }),
        ..Setup::default()
    };
    let snapshot = known();
    let mut stage = Stage::with(100, 30, setup);
    stage.epoch(&snapshot);
    stage.key(KeyCode::Char('I'));
    assert!(stage.line("eth0  ").contains("up 10.0.0.1"));
    assert!(!stage.text().contains('\u{1b}'));
    stage.key(KeyCode::Enter);
    assert_eq!(stage.app.effects.drain(..).next(), Some(Effect::Again(Again::Interface("eth0".into()))));
    // Where it has no meaning, a key says why.
    stage.key(KeyCode::Char('l'));
    assert!(stage.text().contains("only on Processes"));
    stage.key(KeyCode::Char('5'));
    stage.key(KeyCode::Char('l'));
    let line = stage.settle(&snapshot).line("TCP 22");
    assert!(line.contains("hd (7)") && line.contains("0.0.0.0:22") && !line.contains('\u{1b}'), "{line}");
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
    stage.key(KeyCode::Char(';'));
    stage.app.uptime = Nanos(stage.app.uptime.0 + 9_000_000_000);
    stage.app.go_on_playing();
    assert!(stage.app.effects.is_empty(), "it has stopped");
}

#[test]
fn v15_watches_are_told_marked_and_switched() {
    let snapshot = known();
    let mut stage = Stage::new(120, 80);
    stage.epoch(&snapshot);
    assert!(!stage.text().contains('◆'));
    stage.key(KeyCode::Char(':'));
    typed(&mut stage, "watch process:nginx");
    stage.key(KeyCode::Enter);
    stage.epoch(&snapshot);
    assert!(stage.line("rustnet ").contains("◆ process:nginx"));
    assert_eq!(stage.text().lines().filter(|l| l.starts_with('◆')).count(), 3, "{}", stage.text());
    assert!(matches!(&stage.app.effects[..], [Effect::Log(line)] if line.contains("fires at 3")));
    stage.app.effects.clear();
    let mut lossy = known();
    lossy.sources[0].kernel_drops = 5;
    lossy.epoch = Epoch(2);
    stage.epoch(&lossy);
    assert!(stage.line("rustnet ").contains("◆ lost > 0 +1"));
    stage.key(KeyCode::Char(':'));
    typed(&mut stage, "watch lost");
    stage.key(KeyCode::Enter);
    stage.epoch(&lossy);
    assert!(stage.line("rustnet ").contains("◆ process:nginx") && !stage.line("rustnet ").contains("+1"));
    stage.key(KeyCode::Char(':'));
    typed(&mut stage, "watch rate>");
    stage.key(KeyCode::Enter);
    assert!(stage.text().contains("this is not complete"));
}

#[test]
fn so10_rates_keep_rows_in_their_places_unless_that_is_off() {
    let mut rows = numbered(3);
    for (n, row) in rows.iter_mut().enumerate() {
        row.1 = [0.0, 1000.0 - n as f32];
    }
    let order = |stage: &mut Stage| -> Vec<String> {
        let text = stage.text();
        let rows = text.lines().skip(5).filter_map(|l| l.split("172.16.0.").nth(1));
        rows.map(|l| l.chars().take(1).collect()).take(3).collect()
    };
    for (damping, second) in [(true, ["0", "1", "2"]), (false, ["2", "1", "0"])] {
        let setup = Setup { damping, sort: Sort::by(SortBy::Down), ..Setup::default() };
        let mut stage = Stage::with(80, 24, setup);
        stage.epoch(&live(&rows));
        assert_eq!(order(&mut stage), ["0", "1", "2"]);
        let mut turned = rows.clone();
        for (n, row) in turned.iter_mut().enumerate() {
            row.1 = [0.0, 1000.0 + n as f32];
        }
        stage.epoch(&live(&turned));
        assert_eq!(order(&mut stage), second, "damping: {damping}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_size_and_no_name_breaks_the_screen(
        width in 1_u16..=300,
        height in 1_u16..=100,
        count in 0_u32..400,
        name in ".{0,40}",
        keys in proptest::collection::vec(0_usize..12, 0..12),
        seed in any::<u64>(),
    ) {
        let mut rows = numbered(count);
        for (n, row) in rows.iter_mut().enumerate() {
            let bits = seed.rotate_left(n as u32);
            row.0.hot.bytes = [bits, bits >> 20];
            row.1 = [f32::from_bits(bits as u32), (bits >> 40) as f32];
            row.0.hot.key.proto = bits as u8;
        }
        let mut snapshot = live(&rows);
        snapshot.sources[0].interfaces[0].name = name.clone();
        snapshot.totals.down = f64::from_bits(seed);
        let file = (seed % 3 == 0).then_some(name);
        let mut stage = Stage::with(width, height, Setup { file, ..Setup::default() });
        stage.epoch(&snapshot);
        let codes = [
            KeyCode::Down, KeyCode::Up, KeyCode::Char('G'), KeyCode::Char('g'), KeyCode::PageDown,
            KeyCode::PageUp, KeyCode::Char('h'), KeyCode::Char('L'), KeyCode::Esc, KeyCode::End,
            KeyCode::Char('q'), KeyCode::Char('j'),
        ];
        for key in keys {
            if stage.key(codes[key]) == Next::Quit {
                break;
            }
            stage.settle(&snapshot);
        }
        stage.terminal.backend_mut().resize(width / 2 + 1, height.div_ceil(3));
        stage.epoch(&snapshot);
        for line in stage.text().lines() {
            let cells = unicode_width::UnicodeWidthStr::width(line);
            prop_assert!(cells <= usize::from(width / 2 + 1), "{cells}: {line}");
        }
        if width / 2 + 1 >= 40 && height.div_ceil(3) >= 14 && !stage.app.asks_to_quit {
            prop_assert!(stage.text().contains("quit"), "the way out is always shown");
        }
    }
}
