//! `--output json`: one document at the stop, with totals and the largest connections.
//!
//! Costs a few additions for each ended connection and keeps at most [`TOP`] of them.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    io::{self, Write},
};

use crate::{
    base::time::Nanos,
    export::{
        alarms::Alarms,
        fields::{self, Origin},
        selection::Selection,
        text,
    },
    flow::{entry::FlowRecord, state::EndReason},
    packet::key::{kind, proto},
    query::watch::Watch,
    snapshot::{
        tap::{Ended, Tap},
        view::Snapshot,
    },
};

/// Connections listed: those with the most bytes; of equals, the ones that ended first.
pub const TOP: usize = 100;

/// Gathers totals, and writes the document to `out` with the last epoch.
pub struct Json<W> {
    out: W,
    header: Vec<u8>,
    flows: u64,
    /// By protocol number; ARP is the last.
    protocols: Box<[Protocol; 257]>,
    tcp_states: Tally,
    services: Tally,
    ends: Tally,
    top: BinaryHeap<Reverse<Ranked>>,
    selection: Selection,
    /// What ended before the first epoch, which tells the names of interfaces; then `None`.
    held: Option<Vec<Ended>>,
    alarms: Alarms,
    events: Vec<Vec<u8>>,
    /// Events beyond those that are listed.
    events_left_out: u64,
}

const ARP: usize = 256;

impl<W: Write + Send> Json<W> {
    /// Returns the gatherer.
    pub fn new(out: W, origin: &Origin) -> Self {
        let mut header = Vec::new();
        fields::header(&mut header, origin);
        Self {
            out,
            header,
            flows: 0,
            protocols: Box::new([Protocol::default(); 257]),
            tcp_states: Tally::default(),
            services: Tally::default(),
            ends: Tally::default(),
            top: BinaryHeap::with_capacity(TOP),
            selection: Selection::default(),
            held: Some(Vec::new()),
            alarms: Alarms::default(),
            events: Vec::new(),
            events_left_out: 0,
        }
    }

    /// Says that the system's resolver is asked for names.
    pub fn with_resolver(mut self) -> Self {
        fields::resolves(&mut self.header);
        self
    }

    /// Lists when these began and ceased to fire.
    pub fn with_watches(mut self, watches: Vec<Watch>) -> Self {
        self.alarms = Alarms::new(watches);
        self
    }

    /// Lists only connections that are selected, in the order of the selection. Totals stay those of
    /// all.
    pub fn with_selection(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    fn add(&mut self, flow: &Ended) {
        let record = &flow.record;
        let key = &record.hot.key;
        let is_arp = key.kind & kind::ARP != 0;
        let protocol = &mut self.protocols[if is_arp { ARP } else { usize::from(key.proto) }];
        protocol.add(record);
        if key.proto == proto::TCP && !is_arp {
            self.tcp_states.add(record.hot.state.of_transport().text(Nanos(0)));
        }
        if let Some(service) = flow.app.as_ref().and_then(|app| app.service) {
            self.services.add(service.key());
        }
        self.ends.add(record.end.map_or("open", EndReason::key));
        self.flows += 1;
    }

    fn rank(&mut self, flow: &Ended) {
        let record = &flow.record;
        let bytes = record.hot.bytes[0] + record.hot.bytes[1];
        if self.top.len() < TOP {
            return self.top.push(Reverse(Ranked { bytes, flow: flow.clone() }));
        }
        let Some(mut least) = self.top.peek_mut() else { return };
        if least.0.bytes < bytes || least.0.bytes == bytes && record.in_order(&least.0.flow.record).is_lt() {
            *least = Reverse(Ranked { bytes, flow: flow.clone() });
        }
    }

    /// Selects by this epoch from now on, what has waited for the first one to begin with.
    fn enter(&mut self, snapshot: &Snapshot) {
        self.selection.enter(snapshot);
        let held = self.held.take().unwrap_or_default();
        self.select(held);
    }

    fn select(&mut self, mut flows: Vec<Ended>) {
        self.selection.keep(&mut flows);
        flows.iter().for_each(|flow| self.rank(flow));
    }

    fn document(&mut self, snapshot: &Snapshot) -> Vec<u8> {
        let mut out = b"{\"type\":\"report\"".to_vec();
        out.extend_from_slice(&self.header);
        out.extend_from_slice(b",\n\"summary\":{\"type\":\"summary\"");
        fields::summary(&mut out, snapshot, self.flows);
        out.extend_from_slice(b"},\n\"protocols\":");
        let mut protocols: Vec<_> = self.protocols.iter().filter(|p| p.flows > 0).collect();
        protocols.sort_by_key(|p| Reverse(p.bytes));
        array(&mut out, protocols.into_iter(), Protocol::write);
        out.extend_from_slice(b",\n\"tcp_states\":");
        self.tcp_states.write(&mut out);
        out.extend_from_slice(b",\n\"services\":");
        self.services.write(&mut out);
        out.extend_from_slice(b",\n\"ends\":");
        self.ends.write(&mut out);
        out.extend_from_slice(b",\n\"top_flows\":");
        let mut top: Vec<_> = std::mem::take(&mut self.top).into_iter().map(|r| r.0).collect();
        top.sort_unstable_by(|a, b| b.cmp(a));
        let mut top: Vec<Ended> = top.into_iter().map(|ranked| ranked.flow).collect();
        for record in top.iter_mut().map(|flow| &mut flow.record) {
            // It is handed out apart of those that are still open.
            let open = if record.health.is_none() { snapshot.find(record.id) } else { None };
            record.health = record.health.or_else(|| snapshot.health(open?));
        }
        self.selection.order(&mut top);
        array(&mut out, top.iter(), |flow, out| fields::flow(out, flow));
        out.extend_from_slice(b",\n\"events\":");
        array(&mut out, self.events.iter(), |event, out| out.extend_from_slice(event));
        out.extend_from_slice(b",\n\"events_left_out\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.events_left_out).as_bytes());
        out.extend_from_slice(b"}\n");
        out
    }
}

/// Flows that wait for the first epoch, about.
const MOST_HELD: usize = 65_536;
/// Events listed at most.
const MOST_EVENTS: usize = 1000;

impl<W: Write + Send> Tap for Json<W> {
    /// Totals and the largest flows: any order gives the same.
    fn wants_order(&self) -> bool {
        false
    }

    fn stopping(&mut self, snapshot: &Snapshot) {
        self.enter(snapshot);
    }

    fn ended(&mut self, flows: &[Ended]) -> io::Result<()> {
        flows.iter().for_each(|flow| self.add(flow));
        if self.selection.is_all() {
            flows.iter().for_each(|flow| self.rank(flow));
            return Ok(());
        }
        match &mut self.held {
            Some(held) if held.len() < MOST_HELD => held.extend_from_slice(flows),
            _ => self.select(flows.to_vec()),
        }
        Ok(())
    }

    fn epoch(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.enter(snapshot);
        let (events, left_out) = (&mut self.events, &mut self.events_left_out);
        self.alarms.look(snapshot, self.selection.around(), |event| {
            if events.len() < MOST_EVENTS {
                events.push(event.to_vec());
            } else {
                *left_out += 1;
            }
        });
        if !snapshot.ended {
            return Ok(());
        }
        let document = self.document(snapshot);
        self.out.write_all(&document)?;
        self.out.flush()
    }
}

/// Totals of one protocol.
#[derive(Clone, Copy, Default)]
struct Protocol {
    flows: u64,
    packets: u64,
    bytes: u64,
    /// Names the protocol.
    sample: FlowRecord,
}

impl Protocol {
    #[inline]
    fn add(&mut self, record: &FlowRecord) {
        if self.flows == 0 {
            self.sample = *record;
        }
        let sum = |pair: [u64; 2]| pair[0] + pair[1];
        self.flows += 1;
        self.packets += sum(record.hot.frames) + sum(record.facts.extra_packets);
        self.bytes += sum(record.hot.bytes);
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"flows\":");
        text::number(out, self.flows);
        fields::protocol(out, &self.sample);
        out.extend_from_slice(b",\"packets\":");
        text::number(out, self.packets);
        out.extend_from_slice(b",\"bytes\":");
        text::number(out, self.bytes);
        out.push(b'}');
    }
}

/// Counts by name, in the order in which the names came up; for a handful of static names.
#[derive(Default)]
struct Tally(Vec<(&'static str, u64)>);

impl Tally {
    #[inline]
    fn add(&mut self, name: &'static str) {
        // Mostly the very same text, which needs no look at its letters.
        match self.0.iter_mut().find(|(n, _)| std::ptr::eq(*n, name) || *n == name) {
            Some((_, count)) => *count += 1,
            None => self.0.push((name, 1)),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (i, (name, count)) in self.0.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            text::string(out, name);
            out.push(b':');
            text::number(out, *count);
        }
        out.push(b'}');
    }
}

/// A connection in the list, ordered by bytes, of equals the earlier first.
struct Ranked {
    bytes: u64,
    flow: Ended,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes).then_with(|| other.flow.record.in_order(&self.flow.record))
    }
}

/// Appends a list with one item on each line.
fn array<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (i, item) in items.enumerate() {
        out.extend_from_slice(if i == 0 { b"\n " } else { b",\n " });
        write(item, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{base::time::Stamp, export::fields::fixture, flow::state::FlowState};

    fn document(flows: &[FlowRecord]) -> Value {
        let mut tap = Json::new(Vec::new(), &Origin::File { path: "-".into() });
        // In two cuts: what a document says does not depend on them.
        let (early, late) = flows.split_at(flows.len() / 2);
        for part in [early, late] {
            let part: Vec<Ended> = part.iter().map(|record| (*record).into()).collect();
            tap.ended(&part).unwrap();
            tap.epoch(&Snapshot { ended: false, ..fixture::last_epoch() }).unwrap();
            assert!(tap.out.is_empty(), "nothing is written before the stop");
        }
        tap.epoch(&fixture::last_epoch()).unwrap();
        serde_json::from_slice(&tap.out).unwrap()
    }

    #[test]
    fn totals_are_by_protocol_state_and_end() {
        let reset = {
            let mut record = fixture::tcp();
            record.hot.state = FlowState::Reset;
            record.end = Some(EndReason::Rst);
            record
        };
        let report = document(&[fixture::tcp(), fixture::udp6(), reset]);
        assert_eq!(report["schema"], 1);
        assert_eq!(report["summary"]["flows"], 3);
        assert_eq!(report["summary"]["packets"], 83);
        assert_eq!(
            report["protocols"],
            json!([
                {"flows": 1, "proto": "UDP", "packets": 61, "bytes": 90_100},
                {"flows": 2, "proto": "TCP", "packets": 38, "bytes": 18_400},
            ])
        );
        assert_eq!(report["tcp_states"], json!({"ESTABLISHED": 1, "CLOSED": 1}));
        assert_eq!(report["ends"], json!({"eof": 1, "timeout": 1, "rst": 1}));
        assert_eq!(report["top_flows"][0]["dst"], "2001:db8::1");
    }

    #[test]
    fn the_largest_are_listed_and_of_equals_the_first() {
        let record = |port: u16| {
            let mut record = fixture::tcp();
            record.hot.key.ports[1] = port;
            record.hot.bytes = [u64::from(port % 7), 0];
            record
        };
        let all: Vec<_> = (0..2000).map(record).collect();
        let report = document(&all);
        let top: Vec<u64> =
            report["top_flows"].as_array().unwrap().iter().map(|f| f["sport"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = (0..2000).filter(|p| p % 7 == 6).take(TOP).collect();
        assert_eq!(top, expected);
    }

    #[test]
    fn c10_interfaces_are_known_by_name_before_the_first_epoch_too() {
        use crate::query::filter::{eval::Filter, parse};
        let filter = |text: &str| parse(text).unwrap().expr.map(|expr| Filter::new(expr, None));
        for (text, count) in [("if:eth", 1), ("if:wg", 0)] {
            let selection = Selection::new(filter(text), None, None);
            let mut tap = Json::new(Vec::new(), &Origin::File { path: "-".into() }).with_selection(selection);
            let mut record = fixture::tcp();
            record.hot.iface = crate::base::ids::IfaceId(0);
            tap.ended(&[record.into()]).unwrap();
            tap.epoch(&fixture::last_epoch()).unwrap();
            let report: Value = serde_json::from_slice(&tap.out).unwrap();
            assert_eq!(report["top_flows"].as_array().unwrap().len(), count, "{text}");
        }
    }

    #[test]
    fn c10_however_many_are_open_at_the_stop_their_age_is_that_of_the_stop() {
        use crate::query::filter::{eval::Filter, parse};
        // They began 1.5 s before the stop, and 0.2 s before the epoch before it.
        for (text, count) in [("age>1s", TOP), ("age<1s", 0)] {
            let filter = parse(text).unwrap().expr.map(|expr| Filter::new(expr, None));
            let selection = Selection::new(filter, None, None);
            let mut tap = Json::new(Vec::new(), &Origin::File { path: "-".into() }).with_selection(selection);
            let last = fixture::last_epoch();
            let wall = Stamp(last.wall.0 - 1_300_000_000);
            tap.epoch(&Snapshot { ended: false, wall, ..fixture::last_epoch() }).unwrap();
            let open = FlowRecord { end: Some(EndReason::Eof), ..fixture::tcp() };
            tap.stopping(&last);
            (0..2).for_each(|_| tap.ended(&vec![open.into(); 40_000]).unwrap());
            tap.epoch(&last).unwrap();
            let report: Value = serde_json::from_slice(&tap.out).unwrap();
            assert_eq!(report["top_flows"].as_array().unwrap().len(), count, "{text}");
        }
    }

    #[test]
    fn no_flows_give_a_document_all_the_same() {
        let report = document(&[]);
        assert_eq!(report["top_flows"], json!([]));
        assert_eq!(report["summary"]["flows"], 0);
    }
}
