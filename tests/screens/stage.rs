//! Rows to show, a screen without its threads to show them on, and the names that its tests use.

pub use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};

pub use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
pub use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    style::{Color, Modifier},
};
pub use rustnet::{
    base::{
        counters::DropReason,
        ids::{CoreId, Epoch},
        time::{Nanos, Stamp, Tick},
    },
    capture::source::{InterfaceState, InterfaceStatus, SourceStatus},
    dpi::{fact::Fact, service::Service},
    flow::{
        entry::{Evidence, FlowRecord, Roles},
        health::{Health, Window},
        state::FlowState,
    },
    process::owner::{Owner, Quality},
    query::{
        column::ColumnId,
        finder::Finder,
        layout::Choice,
        recording::{Follower, Tally},
        signs::Signs,
        sort::{Sort, SortBy},
        window::{Localhost, Request},
    },
    snapshot::{
        ended::EndedFlows,
        sample,
        view::{RingFill, Snapshot, StageStatus},
    },
    tui::{
        action::Tab,
        app::{Again, App, Effect, Form, Next, Recording, SelfUsage, Setup, Whose},
        held::Held,
        input,
        overlay::Overlay,
        theme::{Depth, Theme, ThemeName},
        view,
    },
};

/// 2026-11-22 14:03:22 UTC.
pub const WALL: Stamp = Stamp(1_795_356_202_000_000_000);

/// An hour after the start.
pub const NOW: Nanos = Nanos::from_secs(3600);

pub type Sample = (FlowRecord, [f32; 2]);

/// One connection: local end, sign, remote end; bytes per second down and up; seconds since its
/// first and since its last packet.
pub fn flow(proto: u8, ends: &str, state: FlowState, rates: [f32; 2], age: u64, silence: u64) -> Sample {
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

pub fn rows() -> Vec<Sample> {
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

pub fn live(rows: &[Sample]) -> Snapshot {
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
pub struct Stage {
    pub app: App,
    pub finder: Finder,
    pub request: Request,
    pub terminal: Terminal<TestBackend>,
}

impl Stage {
    pub fn new(width: u16, height: u16) -> Self {
        Self::with(width, height, Setup::default())
    }

    pub fn with(width: u16, height: u16, setup: Setup) -> Self {
        let mut app = App::new(setup);
        app.clock = Stamp(WALL.0 + 300_000_000);
        app.uptime = Nanos::from_millis(2_100);
        app.readings.usage = Some(SelfUsage {
            cores: 0.11,
            memory: 212_000_000,
            threads: vec![("rx/0".into(), 0.024), ("worker/0".into(), 0.015), ("collector".into(), 0.004)],
        });
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        Self { app, finder: Finder::default(), request: Request::default(), terminal }
    }

    /// A new epoch: answers the last question anew, as the query's thread does; drawn.
    pub fn epoch(&mut self, snapshot: &Snapshot) -> &mut Self {
        self.settle(snapshot);
        self.app.take(self.finder.find(snapshot, &self.request));
        self.request.exact = false;
        self.app.ask_again();
        self.settle(snapshot)
    }

    /// Answers what is asked for at once, until nothing is; draws.
    pub fn settle(&mut self, snapshot: &Snapshot) -> &mut Self {
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

    pub fn key(&mut self, code: KeyCode) -> Next {
        self.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    pub fn press(&mut self, key: KeyEvent) -> Next {
        input::take_key(&mut self.app, key)
    }

    pub fn draw(&mut self) {
        self.terminal.draw(|frame| view::draw(frame, &mut self.app)).unwrap();
    }

    pub fn buffer(&self) -> &Buffer {
        self.terminal.backend().buffer()
    }

    pub fn text(&mut self) -> String {
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

    pub fn line(&mut self, containing: &str) -> String {
        let text = self.text();
        let line = text.lines().find(|l| l.contains(containing));
        line.unwrap_or_else(|| panic!("no line with {containing:?} in\n{text}")).to_owned()
    }
}

/// `count` connections, oldest first.
pub fn numbered(count: u32) -> Vec<Sample> {
    (0..count)
        .map(|n| {
            let ends = format!("10.0.0.1:443 ← 172.16.{}.{}:1000", n / 250, n % 250);
            flow(6, &ends, FlowState::Established, [0.0; 2], u64::from(count - n), 0)
        })
        .collect()
}

pub fn selected_remote(stage: &mut Stage) -> String {
    stage.draw();
    stage.app.selected_row().map_or("none".into(), |r| r.addresses[r.remote()].to_string())
}

/// The rows with what some of them speak and who owns them.
pub fn known() -> Snapshot {
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

pub fn typed(stage: &mut Stage, text: &str) {
    for c in text.chars() {
        stage.key(KeyCode::Char(c));
    }
}
