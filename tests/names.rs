//! Names that DNS answers gave to addresses name the connections that begin later.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/engine.rs"]
mod engine;
#[path = "common/talk.rs"]
mod talk;

use engine::config;
use rustnet::pipeline::launch::EngineConfig;
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

#[test]
fn without_inspection_there_are_no_names() {
    let run = engine::run(EngineConfig { inspects: false, ..config() }, vec![talk().source()]);
    assert!(!String::from_utf8(run.jsonl).unwrap().contains("names"));
}
