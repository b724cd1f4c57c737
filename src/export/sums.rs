//! Sums by host or by process, as a JSON object or a line of comma-separated values each: what the tabs
//! Hosts and Processes show, with exact numbers in bytes, packets and microseconds.
//!
//! One table of fields for both forms. Deliberately no shares: all sums are in the file.

use crate::{
    base::time::Nanos,
    export::{csv, text},
    process::listening::Listening,
    query::group::{
        Group,
        GroupBy::{self, Host, Process},
        GroupName,
    },
};

/// A value of a field; text is as it came.
enum Value {
    Nothing,
    Text(String),
    Number(u64),
    Numbers(Vec<u64>),
}

impl Value {
    fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.to_owned()))
    }
}

/// A field: its name, of which sums it is, and its value.
struct Field {
    name: &'static str,
    of: Option<GroupBy>,
    value: fn(&Group, &[Listening]) -> Value,
}

const fn field(name: &'static str, value: fn(&Group, &[Listening]) -> Value) -> Field {
    Field { name, of: None, value }
}

const fn of(by: GroupBy, name: &'static str, value: fn(&Group, &[Listening]) -> Value) -> Field {
    Field { name, of: Some(by), value }
}

/// All fields, in their order.
const FIELDS: &[Field] = &[
    of(Host, "address", |g, _| match g.name {
        GroupName::Host(address) => Value::Text(address.to_string()),
        _ => Value::Nothing,
    }),
    of(Host, "name", |g, _| Value::text(g.known_as.as_deref())),
    of(Process, "process", |g, _| match &g.name {
        GroupName::Process(name) => Value::Text(name.to_string()),
        _ => Value::Nothing,
    }),
    of(Process, "pids", |g, _| Value::Numbers(g.pids.iter().map(|pid| (*pid).into()).collect())),
    of(Process, "user", |g, _| Value::text(g.user.as_deref())),
    of(Process, "container", |g, _| Value::text(g.container.as_deref())),
    of(Process, "listening_ports", |g, all| {
        Value::Numbers(g.listening_ports(all).into_iter().map(u64::from).collect())
    }),
    field("connections", |g, _| Value::Number(g.flows as u64)),
    field("new_per_second", |g, _| Value::Number(g.new as u64)),
    field("down_bytes_per_second", |g, _| Value::Number(g.down.round() as u64)),
    field("up_bytes_per_second", |g, _| Value::Number(g.up.round() as u64)),
    field("bytes", |g, _| Value::Number(g.bytes)),
    field("packets", |g, _| Value::Number(g.packets)),
    field("retransmits", |g, _| Value::Number(g.retransmits)),
    field("rtt_median_us", |g, _| g.rtt().map_or(Value::Nothing, |Nanos(rtt)| Value::Number(rtt / 1000))),
    of(Host, "top_process", |g, _| Value::text(g.top.as_ref().map(|top| &*top.name))),
    of(Process, "top_remote", |g, _| Value::text(g.top.as_ref().map(|top| &*top.name))),
];

fn fields(by: GroupBy) -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(move |field| field.of.is_none_or(|of| of == by))
}

/// What a sum is of, where it is neither of one host nor of one process.
fn kind(name: &GroupName) -> &'static str {
    match name {
        GroupName::Host(_) => "host",
        GroupName::Process(_) => "process",
        GroupName::Kernel => "kernel",
        GroupName::Forwarded => "forwarded",
        GroupName::LinkLocal => "link-local",
        GroupName::Unknown => "unknown",
        GroupName::NotLooked => "not_looked_for",
        GroupName::Gone => "ended",
    }
}

/// Appends a sum as an object of one line; a field without a value is left out.
pub fn json(out: &mut Vec<u8>, by: GroupBy, group: &Group, listening: &[Listening]) {
    out.extend_from_slice(b"{\"type\":\"sum\",\"of\":");
    text::string(out, kind(&group.name));
    for field in fields(by) {
        let value = (field.value)(group, listening);
        if matches!(value, Value::Nothing) {
            continue;
        }
        out.push(b',');
        text::string(out, field.name);
        out.push(b':');
        match value {
            Value::Nothing => {}
            Value::Text(value) => text::string(out, &value),
            Value::Number(value) => text::number(out, value),
            Value::Numbers(values) => {
                out.push(b'[');
                for (n, value) in values.into_iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    text::number(out, value);
                }
                out.push(b']');
            }
        }
    }
    out.extend_from_slice(b"}\n");
}

/// Appends the names of the fields.
pub fn csv_names(out: &mut Vec<u8>, by: GroupBy) {
    out.extend_from_slice(b"of");
    for field in fields(by) {
        out.push(b',');
        out.extend_from_slice(field.name.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the line of a sum, and before the first one the names of the fields.
pub fn csv(out: &mut Vec<u8>, by: GroupBy, group: &Group, listening: &[Listening]) {
    if out.is_empty() {
        csv_names(out, by);
    }
    let mut line = String::new();
    csv::text_field(&mut line, kind(&group.name));
    for field in fields(by) {
        match (field.value)(group, listening) {
            Value::Nothing => csv::text_field(&mut line, ""),
            Value::Text(value) => csv::text_field(&mut line, &value),
            Value::Number(value) => csv::number(&mut line, value),
            Value::Numbers(values) => {
                let values: Vec<String> = values.iter().map(u64::to_string).collect();
                csv::text_field(&mut line, &values.join(" "));
            }
        }
    }
    line.pop();
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        process::owner::Owner,
        query::{finder::Finder, group::GroupRequest, window::Request},
        snapshot::{sample, view::Snapshot},
    };

    fn epoch() -> Snapshot {
        let mut rows = Vec::new();
        for n in 0..300_u32 {
            let remote: std::net::IpAddr = format!("172.16.{}.{}", n / 200, n % 200).parse().unwrap();
            let mut record = sample::record([("10.0.0.1".parse().unwrap(), 443), (remote, 1000)], 6);
            record.hot.bytes = [1_000_000, u64::from(n)];
            record.facts.rtt_handshake_us = 11_800;
            rows.push((record, [1234.4, 0.0]));
        }
        let mut snapshot =
            sample::of_rows(&rows, Nanos::from_secs(9), crate::base::time::Stamp(1_700_000_000_000_000_000));
        let hostile = Owner {
            pid: Some(7),
            name: "=cmd,\"\u{1b}[2J".into(),
            user: Some("anna".into()),
            ..Owner::default()
        };
        sample::set_owner(&mut snapshot, 0, hostile);
        snapshot
    }

    fn written(by: GroupBy, write: fn(&mut Vec<u8>, GroupBy, &Group, &[Listening])) -> String {
        let listening = Listening {
            port: 443,
            protocol: "TCP",
            address: [0, 0, 0, 0].into(),
            pid: Some(7),
            name: "a".into(),
            uid: 1,
        };
        let group = GroupRequest {
            by,
            sort: Default::default(),
            flipped: false,
            open: Vec::new(),
            name: None,
            place: 3,
            margin: 2,
            listening: Default::default(),
        };
        let request = Request { group: Some(group), ..Request::default() };
        let mut out = Vec::new();
        Finder::default().export_sums(&epoch(), &request, |group| {
            write(&mut out, by, group, std::slice::from_ref(&listening))
        });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn k19_every_host_is_a_line_whatever_the_window() {
        let text = written(Host, json);
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 300);
        let of = |address: &str| lines.iter().find(|l| l["address"] == address).unwrap();
        let line = of("172.16.0.7");
        assert_eq!(line["of"], "host");
        assert_eq!(line["connections"], 1);
        assert_eq!(line["bytes"], 1_000_007);
        assert_eq!(line["rtt_median_us"], 11_800);
        let rates = ["down_bytes_per_second", "up_bytes_per_second"].map(|rate| line[rate].as_u64().unwrap());
        assert_eq!(rates[0] + rates[1], 1234);
        assert!(line.get("top_process").is_none() && line.get("pids").is_none());
        assert!(of("172.16.0.0")["top_process"].is_string());

        let text = written(Host, csv);
        let lines: Vec<&str> = text.trim_end().split("\r\n").collect();
        assert_eq!(lines.len(), 301);
        assert!(lines[0].starts_with("of,address,name,connections,new_per_second,"));
        assert!(lines[0].ends_with(",retransmits,rtt_median_us,top_process"), "{}", lines[0]);
        let line = lines.iter().find(|line| line.contains("172.16.0.7,")).unwrap();
        assert_eq!(line.split(',').count(), lines[0].split(',').count());
    }

    #[test]
    fn k19_a_process_is_a_line_with_its_pids_and_ports() {
        let text = written(Process, json);
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        let line = lines.iter().find(|line| line["of"] == "process").unwrap();
        assert_eq!(line["process"], "=cmd,\"\u{1b}[2J");
        assert_eq!(line["pids"], serde_json::json!([7]));
        assert_eq!(line["listening_ports"], serde_json::json!([443]));
        assert_eq!((&line["user"], &line["connections"]), (&"anna".into(), &1.into()));
        assert_eq!(line["top_remote"], "172.16.0.0");
        let text = written(Process, csv);
        assert!(text.contains("process,\"'=cmd,\"\"\\u{1b}[2J\",7,anna,,443,1,"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
