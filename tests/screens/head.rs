//! What the first lines say: what is watched, what was lost, what a file is, what a watch found.

use std::sync::atomic::{AtomicU64, Ordering};

use rustnet::{capture::source::NicCounters, names::reverse_dns::ResolverCounts, tui::app::Setup};

use crate::stage::*;

#[test]
fn before_the_first_epoch_the_screen_says_so() {
    insta::assert_snapshot!(Stage::new(80, 24).text());
}

#[test]
fn what_has_just_started_is_not_called_silent() {
    let mut snapshot = live(&[]);
    snapshot.totals = Default::default();
    snapshot.accounts = Default::default();
    snapshot.now = Nanos::from_millis(999);
    let text = Stage::new(100, 24).epoch(&snapshot).text();
    assert!(text.contains("Top  starting…") && text.contains(" Starting…"), "{text}");
    snapshot.now = Nanos::from_secs(1);
    let text = Stage::new(100, 24).epoch(&snapshot).text();
    assert!(text.contains("Top  nothing moves") && text.contains("Nothing heard yet"), "{text}");
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
    snapshot.sources[0].interfaces =
        names.map(|(name, state)| InterfaceStatus { name: name.into(), state, ..Default::default() }).into();
    insta::assert_snapshot!(Stage::new(100, 24).epoch(&snapshot).text());
}

#[test]
fn v12_silence_names_the_interfaces_that_frames_pass_on() {
    static PASSED: AtomicU64 = AtomicU64::new(1000);
    let setup = Setup {
        interfaces: Some(|| ["eth0", "eth1", "wg0"].map(|name| (name.into(), "up".into())).into()),
        nic_counters: Some(|name| {
            let passed = if name == "wg0" { 7 } else { PASSED.load(Ordering::Relaxed) };
            Some(NicCounters { passed, ..NicCounters::default() })
        }),
        ..Setup::default()
    };
    let mut snapshot = live(&[]);
    snapshot.now = Nanos::from_secs(12);
    snapshot.totals = Default::default();
    snapshot.accounts = Default::default();
    let mut stage = Stage::with(100, 24, setup);
    stage.epoch(&snapshot).app.look_elsewhere();
    assert!(!stage.text().contains("Frames passed"));
    PASSED.store(2204, Ordering::Relaxed);
    stage.app.look_elsewhere();
    let text = stage.text();
    assert!(text.contains("Frames passed meanwhile on eth1 (1,204); I watches another interface"), "{text}");
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
    assert_eq!(stage.buffer()[(1, 3)].fg, Color::LightRed);
    let mut narrow = Stage::new(80, 24);
    insta::assert_snapshot!(narrow.epoch(&snapshot).line("Lost"));
    let mut smallest = Stage::new(40, 10);
    let line = smallest.epoch(&snapshot).line("Lost 35");
    assert_eq!(smallest.buffer()[(1, 1)].fg, Color::LightRed, "{line}");
    let mut clean = Stage::new(80, 24);
    let line = clean.epoch(&live(&rows())).line("Lost 0 of 412,662,118 ✓");
    let at = line.chars().position(|c| c == '✓').unwrap();
    assert_eq!(clean.buffer()[(at as u16, 2)].fg, Color::Green);
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
fn c13_the_flag_is_named_while_most_frames_of_an_interface_are_for_others() {
    let at = |second: u64, heard: [[u64; 2]; 2]| {
        let mut snapshot = live(&rows());
        snapshot.now = Nanos(NOW.0 + second * 1_000_000_000);
        let of = |(name, [frames, other_host_frames]): (&str, [u64; 2])| InterfaceStatus {
            name: name.into(),
            frames,
            other_host_frames,
            ..Default::default()
        };
        snapshot.sources[0].interfaces = ["eth0", "eth1"].into_iter().zip(heard).map(of).collect();
        snapshot
    };
    let hint = |promiscuous: bool, epochs: &[&Snapshot]| {
        let mut stage = Stage::with(160, 24, Setup { promiscuous, ..Setup::default() });
        for epoch in epochs {
            stage.epoch(epoch);
        }
        stage.line("rustnet ").contains("! --promiscuous")
    };
    // Of all frames few are for others, of those of eth1 most.
    let start = at(0, [[1_000_000, 0], [0, 0]]);
    let others = at(10, [[2_000_000, 0], [1_500, 1_200]]);
    assert!(hint(false, &[&start, &others]));
    assert!(!hint(true, &[&start, &others]), "it was asked for");
    assert!(!hint(false, &[&start, &at(10, [[2_000_000, 0], [900, 900]])]), "too few to tell");
    // What was long ago does not count.
    let later = [at(50, [[2_000_000, 0], [1_500, 1_200]]), at(100, [[2_000_000, 0], [90_000, 1_300]])];
    assert!(!hint(false, &[&start, &others, &later[0], &later[1]]));
}

#[test]
fn c8_a_frame_of_the_time_0_is_one() {
    let mut snapshot = live(&rows());
    (snapshot.sources[0].method, snapshot.sources[0].read) = ("file", Some((90, Some(90))));
    (snapshot.ended, snapshot.wall) = (true, Stamp(0));
    let setup = Setup { file: Some("zero.pcap".into()), ..Setup::default() };
    assert!(!Stage::with(120, 24, setup).epoch(&snapshot).text().contains("no packets"));
}

#[test]
fn v12_a_table_whose_rows_are_hidden_says_how_many_and_which_key() {
    let of_this_host = |port: u16| {
        let mut sample =
            flow(6, &format!("127.0.0.1:{port} → 127.0.0.1:80"), FlowState::Established, [1e3, 1e3], 9, 0);
        sample.0.hot.roles = Roles::new(0, Evidence::Handshake, [true; 2]);
        sample
    };
    let snapshot = live(&[of_this_host(4000), of_this_host(4001)]);
    let mut stage = Stage::new(100, 24);
    stage.epoch(&snapshot).key(KeyCode::Char('L'));
    let text = stage.settle(&snapshot).text();
    assert!(
        text.contains("All 2 connections are hidden") && text.contains("L shows and hides such"),
        "{text}"
    );
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
        let line = stage.epoch(&file).line("1 Overview ");
        assert!(line.contains("toda") && line.contains("4 Hosts"), "{width}: {line}");
        assert!(line.starts_with(" rustnet "), "{width}: {line}");
        let mut stage = Stage::new(width, 24);
        let line = stage.epoch(&long).line("1 Overview ");
        assert!(line.contains("● enp") && line.contains('!'), "{width}: {line}");
        // V11: down since when, with the names of tabs where they have room.
        let mut stage = Stage::new(width, 24);
        let line = stage.epoch(&down).line("1 Overview ");
        assert!(line.contains("○ eth0 down 12 s"), "{width}: {line}");
        assert!(line.contains("4 Hosts"), "{width}: {line}");
    }
}

/// The lines above the table's title.
fn head(stage: &mut Stage) -> String {
    let text = stage.text();
    text.lines().take_while(|line| !line.contains("Active Connections")).collect::<Vec<_>>().join("\n")
}

#[test]
fn v1_v2_a_loss_is_red_and_takes_nothing_out_of_the_head() {
    let mut snapshot = known();
    snapshot.epoch = Epoch(2);
    for lost in [0, 7, 34_900, 1_234_567] {
        snapshot.sources[0].kernel_drops = lost;
        for width in 80..220 {
            let mut stage = Stage::new(width, 24);
            let head = head(stage.epoch(&snapshot));
            for what in ["4 Hosts", "5 Proc", "eth0", "af-packet", "bpf", "212", "p", "Lost", "57 conn"] {
                assert!(head.contains(what), "{what} at {width}, {lost} lost: {head}");
            }
            assert!(head.contains("0.11 core") || head.contains("0.11c"), "{width}: {head}");
            assert!(head.lines().next().unwrap().contains("7 Pipe"), "{width}: {head}");
            assert!(head.contains("pack") || head.contains("p/s"), "{width}: {head}");
            assert!(head.contains("0.3 s old") || head.contains("0.3s"), "{width}: {head}");
            assert!(head.starts_with(" rustnet"), "{width}: {head}");
            if lost > 0 {
                let line = stage.line("Lost ");
                assert!(line.contains("7 Pipeline") && line.contains("kernel ring full"), "{width}: {line}");
                let y = head.lines().position(|l| l.contains("Lost ")).unwrap() as u16;
                assert_eq!(stage.buffer()[(1, y)].fg, Color::LightRed);
            } else {
                assert!(head.contains("Top  nginx") && head.contains('✓'), "{width}: {head}");
            }
        }
    }
}

#[test]
fn k14_v1_frozen_says_since_when_beside_the_brand_and_takes_nothing_out_of_the_head() {
    let mut snapshot = known();
    for (lost, epoch) in [(0, 2), (34_900, 3)] {
        snapshot.epoch = Epoch(epoch);
        snapshot.sources[0].kernel_drops = lost;
        for (width, height) in [(80, 24), (80, 12), (100, 24), (100, 12), (120, 40), (200, 50)] {
            let mut stage = Stage::new(width, height);
            stage.epoch(&snapshot);
            let before = head(&mut stage);
            stage.key(KeyCode::Char(' '));
            stage.app.uptime = Nanos::from_millis(16_100);
            let head = head(stage.settle(&snapshot));
            assert!(head.starts_with(" rustnet") && head.contains("FROZEN 14 s"), "{width}x{height}: {head}");
            assert!(!head.contains("0.3s") && !head.contains(" old"), "{width}x{height}: {head}");
            let of_methods = if height < 20 { &[][..] } else { &["af-packet", "bpf", "212"] };
            for what in ["eth0", "7 Pipe", "57 conn", "pack", "p/s", "+1.2K"].iter().chain(of_methods) {
                assert!(head.contains(what) || !before.contains(what), "{what} at {width}x{height}: {head}");
            }
            let (y, line) = head.lines().enumerate().find(|(_, line)| line.contains("FROZEN")).unwrap();
            let x = line[..line.find("FROZEN").unwrap()].chars().count();
            assert_eq!(stage.buffer()[(x as u16, y as u16)].fg, Color::Yellow);
        }
    }
}

#[test]
fn v11_an_interface_that_is_gone_is_listed_with_what_helps() {
    let mut snapshot = known();
    let link = |name: &str, state| InterfaceStatus { name: name.into(), state, ..Default::default() };
    let ago = |seconds: u64| Stamp(WALL.0 - seconds * 1_000_000_000);
    let mut stage = Stage::new(80, 24);
    stage.epoch(&snapshot).key(KeyCode::Char('!'));
    assert!(stage.text().contains("nothing is degraded"));
    snapshot.sources[0].interfaces.push(link("wg0", InterfaceState::Gone(ago(700))));
    snapshot.sources[0].interfaces.push(link("eth1", InterfaceState::Down(ago(12))));
    snapshot.epoch = Epoch(2);
    let text = stage.epoch(&snapshot).text();
    assert!(text.contains("wg0 is gone for 11 m 40 s: capture resumes by itself"), "{text}");
    assert!(text.contains("eth1 is down for 12 s: plug it in or set it up"), "{text}");
    assert!(!text.contains("nothing is degraded"));
}

#[test]
fn what_is_degraded_is_told_to_its_end_on_every_screen() {
    let mut snapshot = known();
    snapshot.owner_method.reason = Some("the kernel refuses BPF programs to this process".into());
    snapshot.owner_method.remedy = Some(
        "start it as root, or give it CAP_BPF and CAP_PERFMON: setcap cap_bpf,cap_perfmon+ep rustnet".into(),
    );
    for width in [40, 60, 80, 100, 120] {
        let mut stage = Stage::new(width, 24);
        stage.epoch(&snapshot).key(KeyCode::Char('!'));
        let text = stage.text();
        let told: Vec<&str> = text.lines().skip(2).take_while(|line| !line.starts_with('─')).collect();
        let told = told.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        let all = "the kernel refuses BPF programs to this process: start it as root, or give it CAP_BPF and \
                   CAP_PERFMON: setcap cap_bpf,cap_perfmon+ep rustnet";
        assert!(told.replace(' ', "").contains(&all.replace(' ', "")), "{width}: {text}");
        let last = text.lines().last().unwrap();
        assert!(last.contains("Esc close") && last.contains("h help  q quit"), "{width}: {last}");
    }
}

#[test]
fn interfaces_that_are_down_are_named_or_counted() {
    let mut snapshot = live(&rows());
    let mut port = snapshot.sources[0].interfaces[0].clone();
    port.speed = Some(10_000_000_000);
    let mut heads = Vec::new();
    for n in 0..4 {
        port.name = format!("swp{n}");
        port.state = InterfaceState::Down(Stamp(WALL.0 - (n + 1) * 10_000_000_000));
        snapshot.sources[0].interfaces.push(port.clone());
        heads.push(Stage::new(180, 24).epoch(&snapshot).line("rustnet "));
    }
    for (head, (told, folded)) in heads.iter().zip([
        ("○ swp0 down 10 s  ", &["swp1", "swp2", "swp3", "+"][..]),
        ("○ swp0 down 10 s  ○ swp1 down 20 s  ", &["swp2", "swp3", "+"]),
        ("○ swp0 down 10 s +2 down  ", &["swp1", "swp2", "swp3"]),
        ("○ swp0 down 10 s +3 down  ", &["swp1", "swp2", "swp3"]),
    ]) {
        assert!(head.contains(told) && folded.iter().all(|name| !head.contains(name)), "{head}");
    }
}

#[test]
fn v11_what_is_gone_comes_before_what_is_down_and_is_red() {
    let mut snapshot = live(&rows());
    let link = |name: &str, state| InterfaceStatus { name: name.into(), state, ..Default::default() };
    let ago = |seconds: u64| Stamp(WALL.0 - seconds * 1_000_000_000);
    let colour = |stage: &mut Stage, what: &str| {
        let text = stage.text();
        let (y, line) = text.lines().enumerate().find(|(_, line)| line.contains(what)).unwrap();
        let x = line[..line.find(what).unwrap()].chars().count();
        stage.buffer()[(x as u16, y as u16)].fg
    };
    snapshot.sources[0].interfaces.push(link("eth1", InterfaceState::Down(ago(12))));
    snapshot.sources[0].interfaces.push(link("wg0", InterfaceState::Gone(ago(700))));
    for width in 80..200 {
        let mut stage = Stage::new(width, 24);
        stage.epoch(&snapshot);
        let line = stage.line("1 Overview ");
        let told = match width {
            130.. => "○ wg0 gone 11 m 40 s  ○ eth1 down 12 s",
            100.. => "○ wg0 gone",
            _ => "gone",
        };
        assert!(line.contains(told), "{width}: {line}");
        assert!(line.contains("eth1 down") || line.contains("+1 down") || width < 100, "{width}: {line}");
        assert_eq!(colour(&mut stage, "○ "), Color::LightRed, "{width}: {line}");
    }
    // The worst is named, others are counted apart.
    snapshot.sources[0].interfaces.push(link("wg1", InterfaceState::Gone(ago(900))));
    snapshot.sources[0].interfaces.push(link("eth2", InterfaceState::Down(ago(3))));
    let mut stage = Stage::new(180, 24);
    let line = stage.epoch(&snapshot).line("rustnet ");
    assert!(line.contains("○ wg0 gone 11 m 40 s +1 gone +2 down"), "{line}");
    assert_eq!(["+1 gone", "+2 down"].map(|what| colour(&mut stage, what)), [Color::LightRed, Color::Yellow]);
    let mut narrow = Stage::new(80, 24);
    let line = narrow.epoch(&snapshot).line("1 Overview ");
    assert!(line.contains("○ 2 gone"), "{line}");
    assert_eq!(colour(&mut narrow, "○ "), Color::LightRed);
}

#[test]
fn many_interfaces_cost_a_draw_little() {
    let quickest = |interfaces: u64| {
        let mut snapshot = live(&rows());
        for n in 0..interfaces {
            let since = Stamp(WALL.0 - (n + 1) * 1_000_000_000);
            let state = match n % 3 {
                0 => InterfaceState::Up,
                1 => InterfaceState::Down(since),
                _ => InterfaceState::Gone(since),
            };
            let name = format!("veth7c2{n:03}");
            snapshot.sources[0].interfaces.push(InterfaceStatus { name, state, ..Default::default() });
        }
        let mut stage = Stage::new(100, 24);
        stage.epoch(&snapshot);
        let times = (0..20).map(|_| {
            let start = std::time::Instant::now();
            stage.draw();
            start.elapsed()
        });
        times.min().unwrap()
    };
    let [few, many] = [1, 200].map(quickest);
    assert!(many < std::time::Duration::from_millis(2), "{few:?} with one, {many:?} with 200");
}

#[test]
fn v11_however_many_interfaces_are_down_tabs_and_methods_stay() {
    let mut snapshot = known();
    let link = |name: &str, state| InterfaceStatus { name: name.into(), state, ..Default::default() };
    snapshot.sources[0].interfaces.push(link("lo", InterfaceState::Up));
    for n in 0..40_u64 {
        let since = Stamp(WALL.0 - (n + 1) * 100_000_000_000);
        let state = if n % 5 == 4 { InterfaceState::Gone(since) } else { InterfaceState::Down(since) };
        snapshot.sources[0].interfaces.push(link(&format!("veth7c2{n:02}"), state));
        let (word, told) = match n {
            0..4 => ("down", "veth7c200 down 1 m 40 s"),
            _ => ("gone", "veth7c204 gone 8 m 20 s"),
        };
        for width in 80..200 {
            let mut stage = Stage::new(width, 24);
            let head = head(stage.epoch(&snapshot));
            for what in ["4 Hosts", "7 Pipe", word, "af-packet", "bpf"] {
                assert!(head.contains(what), "{what} with {} at {width}: {head}", n + 1);
            }
            assert!(head.contains("● eth0") || width < 125 && head.contains("● 2 up"), "{width}: {head}");
            assert!(width < 140 || head.contains(told), "{width}: {head}");
        }
    }
}

#[test]
fn what_is_degraded_is_that_of_the_newest_epoch_while_it_is_read() {
    let mut snapshot = known();
    snapshot.owner_method.reason = Some("no BTF".into());
    let mut stage = Stage::new(100, 24);
    stage.epoch(&snapshot).key(KeyCode::Char('!'));
    assert!(stage.text().contains("no BTF"));
    for (epoch, evicted) in [(2, 12), (3, 1_345)] {
        snapshot.epoch = Epoch(epoch);
        snapshot.totals.evicted = evicted;
        let told = format!("{} connections were evicted", if evicted > 1000 { "1,345" } else { "12" });
        assert!(stage.epoch(&snapshot).text().contains(&told), "{}", stage.text());
    }
    snapshot.sources[0].kernel_drops = 4_321;
    snapshot.epoch = Epoch(4);
    let text = stage.epoch(&snapshot).text();
    assert!(text.contains("lost > 0: 4,321 now; 7 Pipeline tells by what"), "{text}");
    snapshot.owner_method.reason = None;
    snapshot.epoch = Epoch(5);
    assert!(!stage.epoch(&snapshot).text().contains("no BTF"));
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
fn pr9_many_unknown_owners_are_a_chip_that_names_the_remedy() {
    for (method, unknown, remedy) in [
        ("proc", 5, None),
        ("proc", 6, Some("--owners bpf finds short ones, too")),
        ("bpf", 6, Some("--pid=host")),
    ] {
        let mut snapshot = live(&numbered(100));
        (snapshot.owner_method.method, snapshot.owner_method.unknown) = (method, unknown);
        for width in [80, 120, 200] {
            let mut stage = Stage::new(width, 40);
            let text = stage.epoch(&snapshot).text();
            let told = remedy.is_some();
            let chip = text.lines().next().unwrap().contains(" !");
            assert_eq!(chip, told, "{text}");
            stage.key(KeyCode::Char('!'));
            let text = stage.settle(&snapshot).text().split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(text.contains("nothing is degraded"), !told, "{text}");
            assert!(remedy.is_none_or(|remedy| text.contains(remedy)), "{text}");
        }
    }
}

#[test]
fn f12_the_resolver_is_told_on_the_first_line_and_what_it_said_where_names_are() {
    let mut snapshot = live(&rows());
    let mut app = rustnet::snapshot::app::App::default();
    app.names.add_resolved(1, b"db.\x1bevil.net"[..].into());
    sample::set_app(&mut snapshot, 2, app);
    let asks = |stage: &mut Stage| stage.line(" 1 ").contains("dns");
    for width in [80, 100, 120, 160] {
        assert!(!asks(Stage::new(width, 24).epoch(&snapshot)), "off at {width}");
    }
    snapshot.resolver = Some(ResolverCounts { asked: 1_412, named: 900, nameless: 500 });
    for width in [80, 100, 120, 160] {
        let mut stage = Stage::new(width, 24);
        assert!(asks(stage.epoch(&snapshot)), "on at {width}: {}", stage.text());
    }
    let mut stage = Stage::new(120, 24);
    let text = stage.epoch(&snapshot).text();
    assert!(text.contains(" ~db.\\u{1b}evil.net "), "{text}");
    insta::assert_snapshot!("resolver", text);
    let mut stage = Stage::with(120, 40, Setup { filter: "dst:evil.net".into(), ..Setup::default() });
    stage.epoch(&snapshot);
    assert_eq!(stage.app.view.as_ref().unwrap().len, 1);
    stage.key(KeyCode::Enter);
    let text = stage.settle(&snapshot).text();
    let told = "~db.\\u{1b}evil.net   resolver";
    assert!(text.lines().any(|line| line.contains(" Names ") && line.contains(told)), "{text}");
    let mut stage = Stage::new(120, 60);
    stage.epoch(&snapshot).key(KeyCode::Char('4'));
    assert!(stage.settle(&snapshot).text().contains("db.\\u{1b}evil.net"), "{}", stage.text());
    let mut stage = Stage::new(120, 60);
    stage.epoch(&snapshot).key(KeyCode::Char('7'));
    let text = stage.settle(&snapshot).text();
    assert!(
        text.contains("resolve-dns: 1,412 asked, 900 named, 500 without a name, 12 not answered yet"),
        "{text}"
    );
}
