//! `--output jsonl`: a header, one line per connection when it ends, a summary.
//!
//! ```text
//! {"type":"header","schema":1,...}
//! {"type":"flow","proto":"TCP","src":...}     in the order of `Tap::ended`
//! {"type":"update","proto":"TCP",...}         `--interval`: open flows that have changed
//! {"type":"event","event":"watch",...}        a watch begins or ceases to fire
//! {"type":"event","event":"interface",...}    an interface goes or comes back
//! {"type":"summary","packets":...}
//! ```

use std::{
    collections::HashMap,
    io::{self, Write},
};

use crate::{
    base::{ids::FlowId, time::Nanos},
    export::{
        alarms::Alarms,
        fields::{self, Origin},
        selection::Selection,
    },
    query::watch::Watch,
    snapshot::{
        tap::{Ended, Tap},
        view::Snapshot,
    },
};

/// Bytes gathered before they are written.
const BUFFER: usize = 256 << 10;
/// More than any flow's line needs (about 550 bytes).
const LINE: usize = 1 << 10;
/// Ended flows that wait to be selected and ordered, at most: of more in one cut, each part has its own order.
const MOST_HELD: usize = 65_536;

/// Writes the stream to `out`, always whole lines at once.
pub struct Jsonl<W> {
    out: W,
    buffer: Vec<u8>,
    flows: u64,
    prompt: bool,
    changes: Option<Changes>,
    selection: Selection,
    alarms: Alarms,
    /// Ended flows that wait for their cut to be complete, to be selected and brought into order.
    held: Vec<Ended>,
}

/// What `--interval` needs to know.
struct Changes {
    every: Nanos,
    due: Nanos,
    /// Frames of every open flow when it was last looked at.
    seen: HashMap<FlowId, u64>,
}

impl Changes {
    /// Returns the open flows that have changed since the last call, in the order of first packet,
    /// then key.
    fn since_last(&mut self, snapshot: &Snapshot) -> Vec<Ended> {
        let mut seen = HashMap::with_capacity(snapshot.len());
        let mut changed = Vec::new();
        snapshot.scan(|at, hot, _| {
            let (id, frames) = (snapshot.id(at), hot.frames[0] + hot.frames[1]);
            if self.seen.get(&id) != Some(&frames) {
                changed.push(Ended {
                    record: snapshot.record(at),
                    app: snapshot.app(at).cloned(),
                    owner: snapshot.owner(at).cloned(),
                    rate: Some(snapshot.rate(at)),
                });
            }
            seen.insert(id, frames);
        });
        self.seen = seen;
        changed.sort_unstable_by(|a, b| a.record.in_order(&b.record));
        changed
    }
}

impl<W: Write + Send> Jsonl<W> {
    /// Returns the writer, with the header in its buffer. With `prompt` lines are written as they
    /// come, as a reader of live traffic wants it, else when many are there.
    pub fn new(out: W, origin: &Origin, prompt: bool) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER + LINE);
        buffer.extend_from_slice(b"{\"type\":\"header\"");
        fields::header(&mut buffer, origin);
        buffer.extend_from_slice(b"}\n");
        let selection = Selection::default();
        Self {
            out,
            buffer,
            flows: 0,
            prompt,
            changes: None,
            selection,
            alarms: Alarms::default(),
            held: Vec::new(),
        }
    }

    /// Says in the header that the system's resolver is asked for names.
    pub fn with_resolver(mut self) -> Self {
        let end = self.buffer.len() - b"}\n".len();
        self.buffer.truncate(end);
        fields::resolves(&mut self.buffer);
        self.buffer.extend_from_slice(b"}\n");
        self
    }

    /// Writes only lines of what is selected, and those of a cut in its order.
    pub fn with_selection(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// Adds a line when one of these begins and when it ceases to fire, beside those of interfaces.
    pub fn with_watches(mut self, watches: Vec<Watch>) -> Self {
        self.alarms = Alarms::new(watches);
        self
    }

    /// Adds a line for each open flow that has changed, `every` so often in engine time, at a cut.
    pub fn with_changes(mut self, every: Nanos) -> Self {
        self.changes = Some(Changes { every, due: every, seen: HashMap::new() });
        self
    }

    /// Writes the lines of those flows that are selected.
    fn selected(&mut self, mut flows: Vec<Ended>) -> io::Result<()> {
        self.selection.keep(&mut flows);
        self.selection.order(&mut flows);
        self.lines(&flows)
    }

    fn lines(&mut self, flows: &[Ended]) -> io::Result<()> {
        for flow in flows {
            if self.buffer.len() > BUFFER {
                self.write()?;
            }
            self.buffer.reserve(LINE);
            fields::flow(&mut self.buffer, flow);
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        written
    }
}

impl<W: Write + Send> Tap for Jsonl<W> {
    fn ended(&mut self, flows: &[Ended]) -> io::Result<()> {
        self.flows += flows.len() as u64;
        if !self.selection.is_all() {
            self.held.extend_from_slice(flows);
            if self.held.len() >= MOST_HELD {
                let held = std::mem::take(&mut self.held);
                self.selected(held)?;
            }
            return Ok(());
        }
        self.lines(flows)?;
        if self.prompt { self.write() } else { Ok(()) }
    }

    fn epoch(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.selection.enter(snapshot);
        let held = std::mem::take(&mut self.held);
        self.selected(held)?;
        let buffer = &mut self.buffer;
        self.alarms.look(snapshot, self.selection.around(), |event| {
            buffer.extend_from_slice(event);
            buffer.push(b'\n');
        });
        // At the stop, every open flow has its last line.
        let due = self.changes.as_mut().filter(|c| snapshot.now >= c.due && !snapshot.ended);
        if let Some(changes) = due {
            while changes.due <= snapshot.now {
                changes.due = changes.due + changes.every;
            }
            let changed = changes.since_last(snapshot);
            self.selected(changed)?;
        }
        if snapshot.ended {
            self.buffer.extend_from_slice(b"{\"type\":\"summary\"");
            fields::summary(&mut self.buffer, snapshot, self.flows);
            self.buffer.extend_from_slice(b"}\n");
        }
        if (snapshot.ended || self.prompt) && !self.buffer.is_empty() {
            self.write()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        base::{counters::DropReason, time::Stamp},
        export::fields::fixture,
        flow::entry::FlowRecord,
        names::reverse_dns::ResolverCounts,
        snapshot::sample,
    };

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn file() -> Origin {
        Origin::File { path: "a \"b\"\n.pcap".into() }
    }

    #[test]
    fn header_and_summary_tell_that_the_resolver_is_asked() {
        let lines = |resolver: Option<ResolverCounts>| {
            let out = Shared::default();
            let tap = Jsonl::new(out.clone(), &file(), false);
            let mut tap = if resolver.is_some() { tap.with_resolver() } else { tap };
            tap.epoch(&Snapshot { resolver, ..fixture::last_epoch() }).unwrap();
            out.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<Value>>()
        };
        for line in lines(Some(ResolverCounts { asked: 5, named: 2, nameless: 1 })) {
            assert_eq!(line["resolve_dns"], true, "{line}");
        }
        assert!(lines(None).iter().all(|line| line.get("resolve_dns").is_none()));
    }

    #[test]
    fn the_stream_is_header_flows_summary() {
        let out = Shared::default();
        let mut tap = Jsonl::new(out.clone(), &file(), false);
        tap.ended(&[fixture::tcp().into()]).unwrap();
        tap.ended(&[fixture::udp6().into()]).unwrap();
        tap.epoch(&fixture::last_epoch()).unwrap();
        let text = out.text();
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            lines[0],
            json!({"type": "header", "schema": 1, "program": "rustnet", "version": env!("CARGO_PKG_VERSION"),
                "source": "file", "file": "a \"b\"\n.pcap"})
        );
        assert_eq!(
            text.lines().nth(1).unwrap(),
            "{\"type\":\"flow\",\"proto\":\"TCP\",\"src\":\"198.51.100.9\",\"dst\":\"192.0.2.1\",\
             \"sport\":50000,\"dport\":443,\"fwd_pkts\":10,\"rev_pkts\":9,\"fwd_bytes\":1200,\
             \"rev_bytes\":8000,\"first_ts\":1700000000.000000001,\"last_ts\":1700000001.500000000,\
             \"first\":\"2023-11-14T22:13:20.000000001Z\",\"last\":\"2023-11-14T22:13:21.500000000Z\",\
             \"state\":\"ESTABLISHED\",\"end\":\"eof\",\"retrans\":[1,3],\"out_of_order\":[7,0],\
             \"rtt_handshake_us\":11800,\"vlan\":100,\"iface\":2}"
        );
        let udp = &lines[2];
        for (name, value) in [
            ("proto", json!("UDP")),
            ("src", json!("::1")),
            ("dst", json!("2001:db8::1")),
            ("sport", json!(40_000)),
            ("dport", json!(53)),
            ("fwd_pkts", json!(1)),
            ("rev_pkts", json!(60)),
            ("fwd_frames", json!(1)),
            ("rev_frames", json!(2)),
            ("state", json!("UDP_ACTIVE")),
            ("end", json!("timeout")),
            ("local", json!("src")),
            ("retrans", Value::Null),
            ("vlan", Value::Null),
        ] {
            assert_eq!(udp.get(name).unwrap_or(&Value::Null), &value, "{name}");
        }
        let drops: serde_json::Map<_, _> = DropReason::ALL
            .iter()
            .map(|&r| (r.key().to_owned(), if r == DropReason::Malformed { 2 } else { 0 }.into()))
            .collect();
        assert_eq!(
            lines[3],
            json!({"type": "summary", "packets": 83, "frames": 25, "bytes": 99_300, "flows": 2,
                "flow_frames": 22, "not_flow_frames": 1, "drops": drops,
                "kernel_drops": 0, "lost": 2, "evicted": 0, "ended_unreported": 0,
                "dpi": {"payloads": 0, "labelled": 0, "given_up": 0, "displaced": 0, "facts_lost": 0},
                "stamps_saturated": 0,
                "blocks_skipped": 4, "capture": "file", "interfaces": ["eth\u{1b}[0"],
                "owners": "off", "owner_events_lost": 0, "owner_passes": 0,
                "owner_first_pass_us": 0, "owner_pass_us": 0, "truncated": true,
                "truncated_reason": "a record needs 90 bytes, \"3\" are left",
                "stop": "2023-11-14T22:13:21.500000000Z"})
        );
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn open_flows_that_changed_have_a_line_every_interval() {
        let out = Shared::default();
        let mut tap = Jsonl::new(out.clone(), &file(), true).with_changes(Nanos::from_secs(2));
        let mut rows = [fixture::tcp(), fixture::udp6()];
        let mut lines_at = |seconds: u64, rows: &[FlowRecord]| {
            let before = out.text().len();
            let rows: Vec<_> = rows.iter().map(|r| (FlowRecord { end: None, ..*r }, [0.0; 2])).collect();
            tap.epoch(&sample::of_rows(&rows, Nanos::from_secs(seconds), Stamp(0))).unwrap();
            let text = out.text();
            let lines = text[before..].lines().filter(|l| !l.contains("header"));
            let protocol = |l: &str| -> (Value, Value) {
                let line: Value = serde_json::from_str(l).unwrap();
                assert!(line.get("end").is_none());
                (line["type"].clone(), line["proto"].clone())
            };
            lines.map(protocol).collect::<Vec<_>>()
        };
        assert!(lines_at(1, &rows).is_empty(), "not yet");
        assert_eq!(lines_at(2, &rows).len(), 2);
        rows[1].hot.frames[0] += 1;
        assert!(lines_at(3, &rows).is_empty(), "not yet");
        assert_eq!(lines_at(4, &rows), [(json!("update"), json!("UDP"))]);
        assert!(lines_at(6, &rows).is_empty(), "nothing has changed");
        assert_eq!(lines_at(8, &rows[..1]).len(), 0);
        assert_eq!(lines_at(10, &rows).len(), 1, "one that was gone");
    }

    #[test]
    fn c10_a_selection_concerns_lines_and_not_totals() {
        let out = Shared::default();
        let filter = crate::query::filter::parse("proto:tcp").unwrap().expr.unwrap();
        let filter = crate::query::filter::eval::Filter::new(filter, None);
        let selection = Selection::new(Some(filter), None, None);
        let mut tap = Jsonl::new(out.clone(), &file(), true).with_selection(selection);
        tap.ended(&[fixture::udp6().into(), fixture::tcp().into()]).unwrap();
        tap.epoch(&fixture::last_epoch()).unwrap();
        let lines: Vec<Value> = out.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let kinds: Vec<_> = lines.iter().map(|l| l["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["header", "flow", "summary"]);
        assert_eq!((&lines[1]["proto"], &lines[2]["flows"]), (&json!("TCP"), &json!(2)));
        assert_eq!(lines[2]["packets"], 83);
    }

    #[test]
    fn worker_and_slot_leave_no_trace() {
        let line = |id| {
            let mut out = Vec::new();
            fields::flow(&mut out, &crate::flow::entry::FlowRecord { id, ..fixture::tcp() }.into());
            out
        };
        assert_eq!(line(crate::base::ids::FlowId::new(0, 0, 0)), line(fixture::tcp().id));
    }

    #[test]
    fn types_of_messages_are_told_of_icmp_and_arp() {
        for (proto, kind, codes, name, told) in [
            (1, 0x80, &[0x0800, 0, 0x0800][..], "icmp_type", json!(["8/0", "0/0"])),
            (58, 0x81, &[0x8000], "icmp_type", json!(["128/0"])),
            (0, 0x82, &[1, 2], "arp_op", json!(["1", "2"])),
            (17, 0x80, &[1], "icmp_type", Value::Null),
        ] {
            let mut record = fixture::udp6();
            (record.hot.key.proto, record.hot.key.kind) = (proto, kind);
            let mut said = record.facts.codes();
            codes.iter().for_each(|&code| _ = said.add(code));
            let (mut round_trip, mut tally) = (record.facts.round_trip(), record.facts.tally());
            round_trip.set_codes(said);
            tally.set_codes(said);
            record.facts = crate::flow::entry::Facts::new(&record.facts.origin(), round_trip, &tally);
            let mut out = Vec::new();
            fields::flow(&mut out, &record.into());
            let flow: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(flow.get(name).unwrap_or(&Value::Null), &told, "{proto}");
        }
    }

    #[test]
    fn protocols_without_a_name_have_their_number_and_none_has_ports() {
        let mut record = fixture::tcp();
        for (proto, kind, name) in [
            (254, 0x80, "IP-254"),
            (58, 0x80, "ICMPV6"),
            (0, 0x82, "ARP"),
            (0, 0x80, "IP-0"),
            (50, 0x80, "ESP"),
        ] {
            (record.hot.key.proto, record.hot.key.kind) = (proto, kind);
            let mut out = Vec::new();
            fields::flow(&mut out, &record.into());
            let flow: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(flow["proto"], name);
            assert_eq!((flow.get("sport"), flow.get("retrans")), (None, None), "{name}");
        }
    }

    #[test]
    fn a_prompt_stream_does_not_keep_lines_back_and_the_other_does() {
        for prompt in [true, false] {
            let out = Shared::default();
            let origin =
                Origin::Live { interfaces: vec!["eth0".into()], start: Stamp(1_700_000_000_000_000_000) };
            let mut tap = Jsonl::new(out.clone(), &origin, prompt);
            let open = Snapshot { ended: false, ..fixture::last_epoch() };
            tap.epoch(&open).unwrap();
            assert_eq!(out.text().lines().count(), if prompt { 1 } else { 0 }, "the header");
            tap.ended(&[fixture::tcp().into()]).unwrap();
            assert_eq!(out.text().lines().count(), if prompt { 2 } else { 0 }, "a flow");
        }
    }

    #[test]
    fn a_full_buffer_is_written_in_whole_lines() {
        let out = Shared::default();
        let mut tap = Jsonl::new(out.clone(), &file(), false);
        tap.ended(&vec![fixture::tcp().into(); 1000]).unwrap();
        let early = out.text();
        assert!(early.len() > BUFFER / 2 && early.ends_with('\n'));
        assert!(tap.buffer.capacity() <= BUFFER + 2 * LINE, "the buffer does not grow");
        tap.epoch(&fixture::last_epoch()).unwrap();
        assert_eq!(out.text().lines().count(), 1002);
    }

    #[test]
    fn a_closed_pipe_is_an_error_for_the_engine() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut tap = Jsonl::new(Closed, &file(), true);
        let error = tap.epoch(&fixture::last_epoch()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
