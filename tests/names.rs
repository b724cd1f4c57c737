//! Names that DNS answers gave to addresses name the connections that begin later.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/engine.rs"]
mod engine;
#[path = "common/talk.rs"]
mod talk;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use engine::config;
use rustnet::{
    capture::capture_file::CaptureFile,
    names::{
        known::NameSource,
        reverse_dns::{ResolverCounts, ReverseDns},
    },
    pipeline::{launch::EngineConfig, worker::Publish},
    snapshot::view::Snapshot,
};
use serde_json::Value;
use talk::{Talk, dns_answer, dns_query};

const CLIENT: &str = "10.0.0.1";
const RESOLVER: (&str, u16) = ("10.0.0.2", 53);

/// Two answers for one address, one behind canonical names, and one of IPv6; connections before, between and after.
fn talk() -> Talk {
    let mut talk = Talk::default();
    for (ms, port, name, canonical, address) in [
        (1000, 40_001, "DL.example.org", &["cdn.example.net", "edge-7.example.net"][..], "192.0.2.80"),
        (3000, 40_002, "other.example", &[], "192.0.2.80"),
        (3000, 40_003, "six.example", &[], "2001:db8::80"),
    ] {
        let (query, answer) = (dns_query(7, name), dns_answer(7, name, canonical, address.parse().unwrap()));
        talk.datagrams([(CLIENT, port), RESOLVER], &[(ms, true, &query), (ms + 20, false, &answer)]);
    }
    for (ms, port) in [(500, 50_001), (2000, 50_002), (4000, 50_003)] {
        talk.connection(ms, [(CLIENT, port), ("192.0.2.80", 443)], &[]);
    }
    talk.connection(5000, [("2001:db8::1", 50_004), ("2001:db8::80", 443)], &[]);
    // One that is over long before the end.
    talk.datagrams([(CLIENT, 50_005), ("192.0.2.80", 9)], &[(2500, true, b"?")]);
    talk.datagrams([("198.51.100.1", 1), ("198.51.100.2", 2)], &[(200_000, true, b"tick")]);
    talk
}

#[test]
fn later_connections_have_the_names_of_earlier_answers_for_any_number_of_workers() {
    for (workers, fused) in [(1, true), (1, false), (2, false), (4, false)] {
        let config = EngineConfig { workers, fused, ..config() };
        let run = engine::run(config, vec![talk().source()]);
        let text = String::from_utf8(run.jsonl).unwrap();
        let flows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let names = |port: u16| {
            let flow = flows.iter().find(|flow| flow["sport"] == port).unwrap_or_else(|| panic!("{port}"));
            assert_eq!(flow.get("sni"), None);
            flow.get("names").map_or(String::new(), Value::to_string)
        };
        assert_eq!(names(50_001), "", "it began before the answer");
        assert_eq!(names(50_002), "[\"dl.example.org\"]");
        assert_eq!(names(50_003), "[\"other.example\",\"dl.example.org\"]", "newest first");
        assert_eq!(names(50_004), "[\"six.example\"]");
        assert_eq!(names(50_005), "[\"dl.example.org\"]", "it ended before the last cut");
    }
}

/// A block of a pcapng, little endian.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (body.len().next_multiple_of(4) + 12) as u32;
    let mut all = [&kind.to_le_bytes()[..], &len.to_le_bytes(), body].concat();
    all.resize(len as usize - 4, 0);
    all.extend(len.to_le_bytes());
    all
}

/// An option of a block, or a record of names.
fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let mut all = [&code.to_le_bytes()[..], &(value.len() as u16).to_le_bytes(), value].concat();
    all.resize(all.len().next_multiple_of(4), 0);
    all
}

#[test]
fn c8_names_and_comments_of_a_pcapng_are_told_with_its_connections_for_any_number_of_workers() {
    let frame = |port: u16| {
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        bytes.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 7]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0, 9, 0, 12, 0, 0, 1, 2, 3, 4]);
        bytes
    };
    let packet = |second: u64, port: u16, comment: &str| {
        let (us, bytes) = ((1_700_000_000 + second) * 1_000_000, frame(port));
        let len = bytes.len() as u32;
        let mut body: Vec<u8> = [0, (us >> 32) as u32, us as u32, len, len].map(u32::to_le_bytes).concat();
        body.extend(&bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        if !comment.is_empty() {
            body.extend([option(1, comment.as_bytes()), option(0, b"")].concat());
        }
        block(6, &body)
    };
    let names = |name: &[u8]| {
        block(4, &[option(1, &[&[192, 0, 2, 7], name, b"\0"].concat()), option(0, b"")].concat())
    };
    let section =
        [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8], &option(1, b"all of it")].concat();
    let head = [
        block(0x0a0d_0d0a, &section),
        block(1, &[&[1, 0, 0, 0, 0, 0, 4, 0][..], &option(1, b"by hand")].concat()),
    ];
    let early =
        [names(b"Early.example"), packet(0, 1000, "nginx (77)"), packet(1, 1000, "nginx (77)")].concat();
    let late = [packet(2, 1000, "once more"), packet(2, 2000, ""), names(b"late.example")].concat();
    let file = [head.concat(), early, late].concat();
    for (workers, fused, burst) in [(1, true, 1), (1, true, 32), (1, false, 32), (3, false, 2)] {
        let config = EngineConfig { workers, fused, burst, ..config() };
        let source = CaptureFile::from_reader(Box::new(std::io::Cursor::new(file.clone()))).unwrap();
        let run = engine::run(config, vec![source]);
        let text = String::from_utf8(run.jsonl).unwrap();
        let flows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let flow =
            |port: u16| flows.iter().find(|flow| flow["sport"] == port).unwrap_or_else(|| panic!("{text}"));
        for port in [1000, 2000] {
            assert_eq!(flow(port)["names"].to_string(), "[\"early.example\",\"late.example\"]");
            assert_eq!(flow(port)["names_source"], "file");
        }
        assert_eq!(flow(1000)["comment"].to_string(), "[\"nginx (77)\",\"once more\"]");
        assert_eq!((flow(2000).get("comment"), &flow(1000)["fwd_pkts"]), (None, &3.into()));
    }
}

#[test]
fn without_inspection_there_are_no_names() {
    let run = engine::run(EngineConfig { inspects: false, ..config() }, vec![talk().source()]);
    assert!(!String::from_utf8(run.jsonl).unwrap().contains("names"));
}

/// The resolver's name of the remote end of each row, by the port of the other one; `-` where the traffic gave one.
fn resolved(snapshot: &Snapshot) -> BTreeMap<u16, String> {
    let mut all = BTreeMap::new();
    snapshot.scan(|at, _, _| {
        let row = snapshot.row(at);
        let (remote, port) = (row.remote(), row.ports[row.local()]);
        let Some(names) = row.app.as_ref().map(|app| &app.names).filter(|names| !names.is_empty()) else {
            return;
        };
        let name = String::from_utf8_lossy(&names.of(remote)[0].name).into_owned();
        all.insert(
            port,
            if names.source(remote) == Some(NameSource::Resolver) { name } else { "-".to_owned() },
        );
    });
    all
}

#[test]
fn f12_the_resolver_names_what_the_traffic_does_not_and_is_asked_once_for_each() {
    for (workers, fused) in [(1, true), (2, false)] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let by = Arc::clone(&asked);
        let ask = move |address: IpAddr| {
            by.lock().unwrap().push(address.to_string());
            match address.to_string().as_str() {
                "10.0.0.2" => Some(b"NS.example.org.".to_vec()),
                "192.0.2.80" => Some(b"asked.example".to_vec()),
                _ => None,
            }
        };
        let resolver = Some(Arc::new(ReverseDns::start(ask, |_, _| {})));
        let config = EngineConfig {
            workers,
            fused,
            resolver,
            names_late: true,
            file_epochs: Publish::Always,
            ..config()
        };
        let mut last = (BTreeMap::new(), None);
        engine::run_with(config, vec![talk().source()], |engine| {
            while !engine.publication().is_over() {
                std::thread::yield_now();
            }
            let snapshot = engine.publication().latest().unwrap();
            last = (resolved(&snapshot), snapshot.resolver);
        });
        let (names, counts) = last;
        // The connection to an address without a name, and those that began before and after its answers.
        assert_eq!(names.get(&50_001).map(String::as_str), Some("asked.example"), "{names:?}");
        assert_eq!(names.get(&50_002).map(String::as_str), Some("-"), "the traffic's name wins");
        assert_eq!(names.get(&50_004).map(String::as_str), Some("-"));
        assert_eq!(names.get(&1), None, "it has none");
        let mut asked = asked.lock().unwrap().clone();
        asked.sort();
        assert_eq!(asked, ["10.0.0.2", "192.0.2.80", "198.51.100.2"]);
        assert_eq!(counts, Some(ResolverCounts { asked: 3, named: 2, nameless: 1 }));
    }
}

#[test]
fn a_resolver_that_hangs_holds_up_neither_the_pipeline_nor_its_end() {
    let (gate, closed) = mpsc::channel::<()>();
    let closed = Mutex::new(closed);
    let ask = move |_: IpAddr| {
        let _ = closed.lock().unwrap().recv();
        None
    };
    let resolver = Some(Arc::new(ReverseDns::start(ask, |_, _| {})));
    let config = EngineConfig { resolver, names_late: true, file_epochs: Publish::Always, ..config() };
    let run = engine::run_with(config, vec![talk().source()], |engine| {
        while !engine.publication().latest().is_some_and(|snapshot| snapshot.ended) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!engine.publication().is_over(), "names may still come");
        engine.stop();
    });
    assert!(run.last().last);
    drop(gate);
}

#[test]
fn f12_without_the_flag_nobody_is_asked() {
    assert!(config().resolver.is_none());
    engine::run_with(
        EngineConfig { file_epochs: Publish::Always, ..config() },
        vec![talk().source()],
        |engine| {
            while !engine.publication().is_over() {
                std::thread::yield_now();
            }
            let snapshot = engine.publication().latest().unwrap();
            assert_eq!(snapshot.resolver, None);
            assert!(resolved(&snapshot).values().all(|name| name == "-"));
        },
    );
}
