//! What the log tells of connections: opened, closed, changes of state; statistics once a minute.
//!
//! Compares each epoch with the one before, chunk by chunk, so that only what changed is looked at. In
//! a second at most [`MOST_LINES`] lines are about connections; one line tells how many more there were.

use std::io;

use crate::{
    base::{counters::DropReason, time::Nanos},
    capture::source::InterfaceState,
    export::links::Links,
    flow::state::{EndReason, FlowState},
    query::{application, column, text},
    snapshot::{
        flow_view::FlowView,
        tap::{Ended, Tap},
        view::{ROWS_A_CHUNK, Snapshot},
    },
};

/// Lines about connections in a second of engine time.
pub const MOST_LINES: u64 = 1000;
/// How often statistics are told.
const STATISTICS: Nanos = Nanos::from_secs(60);

/// One of the engine's taps; says what it finds by `tracing`.
#[derive(Default)]
pub struct Journal {
    workers: Vec<Vec<Chunk>>,
    /// Lines of this second, and what had no room among them.
    second: u64,
    lines: u64,
    left_out: u64,
    statistics_due: Nanos,
    links: Links,
    /// Why frames are taken the way they are.
    reason: Option<String>,
    lost: u64,
    owners: Option<String>,
}

/// What was known of the rows of a chunk.
#[derive(Clone, Copy)]
struct Chunk {
    versions: Option<[u64; 2]>,
    rows: [Seen; ROWS_A_CHUNK],
}

impl Default for Chunk {
    fn default() -> Self {
        Self { versions: None, rows: [Seen::default(); ROWS_A_CHUNK] }
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Seen {
    is_live: bool,
    generation: u32,
    state: FlowState,
    labelled: bool,
    owned: bool,
}

impl Journal {
    /// Returns one that tells why frames are taken the way they are, where that was chosen.
    pub fn new(reason: Option<String>) -> Self {
        Self { reason, ..Self::default() }
    }

    /// Returns whether there is room for a line about a connection at `now`.
    fn has_room(&mut self, now: Nanos) -> bool {
        self.enter(now);
        let has_room = self.lines < MOST_LINES;
        match has_room {
            true => self.lines += 1,
            false => self.left_out += 1,
        }
        has_room
    }

    /// Begins the next second, if it is there.
    fn enter(&mut self, now: Nanos) {
        let second = now.0 / 1_000_000_000;
        if second == self.second {
            return;
        }
        if self.left_out > 0 {
            tracing::info!("{} more events of connections", self.left_out);
        }
        (self.second, self.lines, self.left_out) = (second, 0, 0);
    }

    fn look(&mut self, snapshot: &Snapshot) {
        let mut workers = std::mem::take(&mut self.workers);
        workers.resize_with(snapshot.workers(), Vec::new);
        for (w, chunks) in workers.iter_mut().enumerate() {
            chunks.resize(snapshot.chunks(w), Chunk::default());
            for (c, chunk) in chunks.iter_mut().enumerate() {
                let versions = Some([snapshot.records_version(w, c), snapshot.tenants_version(w, c)]);
                if chunk.versions == versions {
                    continue;
                }
                let mut rows = [Seen::default(); ROWS_A_CHUNK];
                snapshot.look_at(w, c, |bit, flow| {
                    let now = Seen {
                        is_live: true,
                        generation: flow.facts.generation,
                        state: flow.hot.state,
                        labelled: flow.app.is_some_and(|app| app.service.is_some()),
                        owned: flow.owner.is_some_and(|owner| owner.pid.is_some() || owner.is_kernel),
                    };
                    self.compare(snapshot.now, chunk.rows[bit as usize], now, &flow);
                    rows[bit as usize] = now;
                });
                *chunk = Chunk { versions, rows };
            }
        }
        self.workers = workers;
    }

    fn compare(&mut self, time: Nanos, before: Seen, now: Seen, flow: &FlowView) {
        let is_new = !before.is_live || before.generation != now.generation;
        let before = if is_new { Seen::default() } else { before };
        if is_new && self.has_room(time) {
            tracing::info!("opened {} {}", ends(flow), flow.state_text());
        } else if !is_new && before.state != now.state && self.has_room(time) {
            let old = before.state.text(Nanos(0));
            tracing::info!("state {} {old} -> {}", ends(flow), flow.state_text());
        }
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        if now.labelled && !before.labelled && self.has_room(time) {
            let application = flow
                .app
                .map(|app| application::application(app, flow.hot.key.ports, 1 - flow.hot.roles.initiator()));
            tracing::debug!("application {} {}", ends(flow), application.unwrap_or_default());
        }
        if now.owned && !before.owned && self.has_room(time) {
            tracing::debug!("owner {} {}", ends(flow), owner(flow));
        }
    }

    fn tell_changes(&mut self, snapshot: &Snapshot) {
        self.links.look(snapshot, |change| match change.state {
            InterfaceState::Up if change.is_new => {
                let name = text::escape(change.name);
                match &self.reason {
                    // Most reasons begin with the method.
                    Some(reason) if reason.starts_with(change.method) => {
                        tracing::info!("interface {name} by {reason}");
                    }
                    Some(reason) => tracing::info!("interface {name} by {}: {reason}", change.method),
                    None => tracing::info!("interface {name} by {}", change.method),
                }
            }
            InterfaceState::Up => tracing::info!("{}", change.sentence()),
            _ => tracing::warn!("{}", change.sentence()),
        });
        let owners = &snapshot.owner_method;
        let told = match &owners.reason {
            Some(reason) => format!("{}: {reason}", owners.method),
            None => owners.method.to_owned(),
        };
        if self.owners.as_ref() != Some(&told) {
            tracing::info!("owners by {told}");
            self.owners = Some(told);
        }
        let lost = snapshot.lost();
        if lost > self.lost {
            tracing::warn!("lost {} frames: {}", lost - self.lost, drops(snapshot));
            self.lost = lost;
        }
    }
}

impl Tap for Journal {
    fn wants_order(&self) -> bool {
        false
    }

    fn ended(&mut self, flows: &[Ended]) -> io::Result<()> {
        for flow in flows.iter().filter(|flow| flow.record.end.is_some_and(|end| end != EndReason::Eof)) {
            // Of the second of the last cut: this one's comes behind its ended flows.
            if !self.has_room(Nanos(self.second * 1_000_000_000)) {
                continue;
            }
            let (view, record) = (flow.view(), &flow.record);
            tracing::info!(
                "closed {} {} ({}) {} packets {} bytes",
                ends(&view),
                record.hot.state.text(Nanos(0)),
                record.end.map_or("open", |end| end.key()),
                record.hot.frames[0].saturating_add(record.hot.frames[1]),
                view.bytes(),
            );
        }
        Ok(())
    }

    fn epoch(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.enter(snapshot.now);
        self.tell_changes(snapshot);
        self.look(snapshot);
        tracing::trace!("epoch {} at {} ns, {} rows", snapshot.epoch.0, snapshot.now.0, snapshot.len());
        if snapshot.now >= self.statistics_due || snapshot.ended {
            self.statistics_due = snapshot.now + STATISTICS;
            tracing::info!("{}", statistics(snapshot));
        }
        if snapshot.ended && self.left_out > 0 {
            tracing::info!("{} more events of connections", self.left_out);
            self.left_out = 0;
        }
        Ok(())
    }
}

/// `TCP 10.0.0.1:50000 -> 192.0.2.1:443`, from who opened it.
fn ends(flow: &FlowView) -> String {
    let from = flow.hot.roles.initiator();
    let end = |end: usize| text::endpoint(flow.addresses()[end], flow.port(end));
    format!("{} {} -> {}", column::protocol_of(&flow.hot.key), end(from), end(1 - from))
}

fn owner(flow: &FlowView) -> String {
    let Some(owner) = flow.owner else { return String::new() };
    match owner.pid {
        Some(pid) => format!("{} ({pid})", text::escape(&owner.name)),
        None => "kernel".into(),
    }
}

fn statistics(snapshot: &Snapshot) -> String {
    let (taken, totals) = (snapshot.accounts.taken, &snapshot.totals);
    format!(
        "statistics: {} frames, {} packets, {} bytes; {} connections, {} opened, {} closed, {} evicted; {}",
        taken.frames,
        taken.packets,
        taken.bytes,
        totals.flows,
        totals.opened,
        totals.closed,
        totals.evicted,
        drops(snapshot),
    )
}

fn drops(snapshot: &Snapshot) -> String {
    let mut text = format!("kernel drops {}", snapshot.kernel_drops());
    for reason in DropReason::ALL {
        let count = snapshot.accounts.drops[*reason];
        if count > 0 {
            text.push_str(&format!(", {} {count}", reason.key()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{Event, Metadata, Subscriber, span};

    use super::*;
    use crate::{
        base::time::Stamp,
        capture::source::{InterfaceStatus, SourceStatus},
        flow::entry::FlowRecord,
        snapshot::sample,
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Lines {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= tracing::Level::INFO
        }
        fn event(&self, event: &Event<'_>) {
            struct Text(String);
            impl tracing::field::Visit for Text {
                fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                    self.0 = format!("{value:?}");
                }
            }
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    fn rows(count: u32, state: FlowState) -> Vec<(FlowRecord, [f32; 2])> {
        let row = |n: u32| {
            let end = |host: u32| (std::net::Ipv4Addr::from(0x0a00_0000 + host).into(), 1000);
            let mut record = sample::record([end(n), end(0xffff)], 6);
            record.hot.state = state;
            (record, [0.0; 2])
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn c9_the_method_is_told_with_its_reason() {
        let told = |reason: Option<&str>| {
            let lines = Lines::default();
            tracing::subscriber::with_default(lines.clone(), || {
                let mut snapshot = sample::of_rows(&rows(1, FlowState::Udp), Nanos::from_secs(1), Stamp(0));
                let eth0 = InterfaceStatus { name: "eth0".into(), ..Default::default() };
                snapshot.sources =
                    vec![SourceStatus { method: "bpf", interfaces: vec![eth0], ..Default::default() }];
                Journal::new(reason.map(str::to_owned)).epoch(&snapshot).unwrap();
            });
            let lines = lines.0.lock().unwrap();
            lines.iter().find(|line| line.starts_with("interface ")).cloned().unwrap_or_default()
        };
        assert_eq!(told(None), "interface eth0 by bpf");
        assert_eq!(told(Some("bpf: costs less")), "interface eth0 by bpf: costs less");
        assert_eq!(told(Some("the only one here")), "interface eth0 by bpf: the only one here");
    }

    #[test]
    fn lg5_opened_closed_and_states_up_to_a_thousand_lines_a_second() {
        let lines = Lines::default();
        let told = || std::mem::take(&mut *lines.0.lock().unwrap());
        tracing::subscriber::with_default(lines.clone(), || {
            let mut journal = Journal::default();
            let mut epoch = |count, state, secs| {
                journal
                    .epoch(&sample::of_rows(&rows(count, state), Nanos::from_secs(secs), Stamp(0)))
                    .unwrap();
                told()
            };
            let first = epoch(2, FlowState::SynSent, 1);
            assert!(
                first.contains(&"opened TCP 10.0.0.0:1000 -> 10.0.255.255:1000 SYN_SENT".to_owned()),
                "{first:?}"
            );
            assert_eq!(first.iter().filter(|l| l.starts_with("statistics")).count(), 1);
            let second = epoch(2, FlowState::Established, 2);
            assert_eq!(second.len(), 2, "{second:?}");
            assert_eq!(second[0], "state TCP 10.0.0.0:1000 -> 10.0.255.255:1000 SYN_SENT -> ESTABLISHED");
            assert!(epoch(2, FlowState::Established, 3).is_empty());
            assert_eq!(epoch(5002, FlowState::Established, 4).len(), 1000);
            assert_eq!(epoch(5002, FlowState::Established, 5), ["4000 more events of connections"]);
            let last = epoch(5002, FlowState::Established, 61);
            assert_eq!(last.len(), 1, "statistics once a minute: {last:?}");
            let closed = FlowRecord { end: Some(EndReason::Fin), ..rows(1, FlowState::TimeWait)[0].0 };
            journal.ended(&[closed.into()]).unwrap();
            assert!(told()[0].starts_with("closed TCP 10.0.0.0:1000 -> 10.0.255.255:1000 TIME_WAIT (fin)"));
        });
    }
}
