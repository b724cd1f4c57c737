//! `--output jsonl`: a header, one line per connection when it ends, a summary.
//!
//! ```text
//! {"type":"header","schema":1,...}
//! {"type":"flow","proto":"TCP","src":...}     in the order of `Tap::ended`
//! {"type":"summary","packets":...}
//! ```

use std::io::{self, Write};

use crate::{
    export::fields::{self, Origin},
    snapshot::{
        tap::{Ended, Tap},
        view::Snapshot,
    },
};

/// Bytes gathered before they are written.
const BUFFER: usize = 256 << 10;
/// More than any flow's line needs (about 550 bytes).
const LINE: usize = 1 << 10;

/// Writes the stream to `out`, always whole lines at once.
pub struct Jsonl<W> {
    out: W,
    buffer: Vec<u8>,
    flows: u64,
    prompt: bool,
}

impl<W: Write + Send> Jsonl<W> {
    /// Returns the writer, with the header in its buffer. With `prompt` lines are written as they
    /// come, as a reader of live traffic wants it, else when many are there.
    pub fn new(out: W, origin: &Origin, prompt: bool) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER + LINE);
        buffer.extend_from_slice(b"{\"type\":\"header\"");
        fields::header(&mut buffer, origin);
        buffer.extend_from_slice(b"}\n");
        Self { out, buffer, flows: 0, prompt }
    }

    fn write(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
        self.buffer.clear();
        written
    }
}

impl<W: Write + Send> Tap for Jsonl<W> {
    fn ended(&mut self, flows: &[Ended]) -> io::Result<()> {
        for flow in flows {
            if self.buffer.len() > BUFFER {
                self.write()?;
            }
            self.buffer.reserve(LINE);
            fields::flow(&mut self.buffer, flow);
            self.buffer.push(b'\n');
        }
        self.flows += flows.len() as u64;
        if self.prompt { self.write() } else { Ok(()) }
    }

    fn epoch(&mut self, snapshot: &Snapshot) -> io::Result<()> {
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
                "kernel_drops": 0, "lost": 2, "evicted": 0, "ended_unreported": 0, "stamps_saturated": 0,
                "blocks_skipped": 4, "capture": "file", "interfaces": ["eth\u{1b}[0"], "owners": "off", "owner_events_lost": 0, "owner_pass_us": 0, "truncated": true,
                "truncated_reason": "a record needs 90 bytes, \"3\" are left",
                "stop": "2023-11-14T22:13:21.500000000Z"})
        );
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
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
