//! The fields of the schema, one function for each object: header, flow, summary.
//!
//! Nothing here depends on the number of workers: flow ids, stages and epochs stay out, so that
//! the same frames give the same bytes.

use crate::{
    base::{
        counters::DropReason,
        time::{Nanos, Stamp},
    },
    capture::source::Counting,
    export::{app, owner, text},
    flow::entry::FlowRecord,
    packet::key::{Tunnel, export_name, kind, proto},
    snapshot::{tap::Ended, view::Snapshot},
};

/// The version of the schema; it changes when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// Where the frames come from, as the header tells it.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A capture file.
    File {
        /// Its path as it was given; `-` is standard input.
        path: String,
    },
    /// Network interfaces.
    Live {
        /// The interfaces that were asked for.
        interfaces: Vec<String>,
        /// Wall time of the start.
        start: Stamp,
    },
}

/// Appends `"name":`, with a comma before it.
macro_rules! field {
    ($out:expr, $name:literal) => {
        $out.extend_from_slice(concat!(",\"", $name, "\":").as_bytes())
    };
}
/// Appends an integer field.
macro_rules! int {
    ($out:expr, $name:literal, $value:expr) => {{
        field!($out, $name);
        text::number($out, $value);
    }};
}
/// Appends a string field whose text needs no escaping.
macro_rules! plain {
    ($out:expr, $name:literal, $value:expr) => {{
        $out.extend_from_slice(concat!(",\"", $name, "\":\"").as_bytes());
        $out.extend_from_slice($value.as_bytes());
        $out.push(b'"');
    }};
}
/// Appends a list of two integers.
macro_rules! two {
    ($out:expr, $name:literal, $values:expr) => {{
        let [forward, reverse] = $values;
        $out.extend_from_slice(concat!(",\"", $name, "\":[").as_bytes());
        text::number($out, forward);
        $out.push(b',');
        text::number($out, reverse);
        $out.push(b']');
    }};
}

/// Appends the fields of the header that follow `"type"`, each with a comma before it.
pub fn header(out: &mut Vec<u8>, origin: &Origin) {
    int!(out, "schema", SCHEMA);
    plain!(out, "program", "rustnet");
    plain!(out, "version", env!("CARGO_PKG_VERSION"));
    match origin {
        Origin::File { path } => {
            plain!(out, "source", "file");
            field!(out, "file");
            text::string(out, path);
        }
        Origin::Live { interfaces, start } => {
            plain!(out, "source", "live");
            field!(out, "interfaces");
            list(out, interfaces.iter().map(String::as_str));
            field!(out, "start");
            time(out, *start);
        }
    }
}

/// Appends that the system's resolver is asked for names, so that not all of them are the traffic's.
pub fn resolves(out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"resolve_dns\":true");
}

/// Appends a flow as an object of one line. `fwd_*` is what the initiator sent. One that lives is an
/// `update`, one that has ended a `flow`.
#[inline]
pub fn flow(out: &mut Vec<u8>, flow: &Ended) {
    let record = &flow.record;
    let FlowRecord { hot, facts, wide, .. } = record;
    let from = hot.roles.initiator();
    let sorted = |pair: [u64; 2]| [pair[from], pair[1 - from]];
    let addresses = hot.key.addresses(wide);
    let extra = sorted(facts.extra_packets);
    let frames = sorted(hot.frames);
    let bytes = sorted(hot.bytes);

    out.extend_from_slice(match record.end {
        Some(_) => &b"{\"type\":\"flow\""[..],
        None => b"{\"type\":\"update\"",
    });
    protocol(out, record);
    for (name, address) in [(&b",\"src\":\""[..], addresses[from]), (b",\"dst\":\"", addresses[1 - from])] {
        out.extend_from_slice(name);
        text::address(out, address);
        out.push(b'"');
    }
    if hot.key.kind & kind::ARP == 0 && proto::has_ports(hot.key.proto) {
        int!(out, "sport", hot.key.ports[from]);
        int!(out, "dport", hot.key.ports[1 - from]);
    }
    int!(out, "fwd_pkts", frames[0] + extra[0]);
    int!(out, "rev_pkts", frames[1] + extra[1]);
    if extra != [0, 0] {
        int!(out, "fwd_frames", frames[0]);
        int!(out, "rev_frames", frames[1]);
    }
    if hot.roles.segments_unknown() {
        out.extend_from_slice(b",\"pkts_are_frames\":true");
    }
    int!(out, "fwd_bytes", bytes[0]);
    int!(out, "rev_bytes", bytes[1]);
    field!(out, "first_ts");
    text::unix_seconds(out, facts.first);
    field!(out, "last_ts");
    text::unix_seconds(out, hot.last);
    field!(out, "first");
    time(out, facts.first);
    field!(out, "last");
    time(out, hot.last);
    // Without silence: the state is the last one on the wire.
    let transport = hot.state.of_transport();
    plain!(out, "state", transport.text(Nanos(0)));
    if transport.text(Nanos(0)) != hot.state.text(Nanos(0)) {
        plain!(out, "app_state", hot.state.text(Nanos(0)));
    }
    if let Some(end) = record.end {
        plain!(out, "end", end.key());
    }
    if hot.key.proto == proto::TCP && hot.key.kind & kind::ARP == 0 {
        tcp(out, record, from);
    }
    codes(out, record);
    if let Some(app) = &flow.app {
        app::fields(out, app, from);
    }
    if let Some(owner) = &flow.owner {
        owner::fields(out, owner);
    }
    details(out, record);
    out.push(b'}');
}

fn tcp(out: &mut Vec<u8>, record: &FlowRecord, from: usize) {
    let facts = &record.facts;
    two!(out, "retrans", [facts.retransmits[from], facts.retransmits[1 - from]]);
    two!(out, "out_of_order", [facts.out_of_order[from], facts.out_of_order[1 - from]]);
    if facts.rtt_handshake_us != 0 {
        int!(out, "rtt_handshake_us", facts.rtt_handshake_us);
    }
    if facts.rtt_data_us != 0 {
        int!(out, "rtt_data_us", facts.rtt_data_us);
        if facts.is_sampled {
            out.extend_from_slice(b",\"rtt_sampled\":true");
        }
    }
    let Some(health) = &record.health else { return };
    let zero_windows = [health.zero_windows[from], health.zero_windows[1 - from]];
    if zero_windows != [0, 0] {
        two!(out, "zero_windows", zero_windows);
    }
    if record.end.is_none() {
        for (before, end) in [(&b",\"windows\":["[..], from), (b",", 1 - from)] {
            out.extend_from_slice(before);
            match health.windows[end].bytes() {
                Some(bytes) => text::number(out, bytes),
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b']');
    }
}

/// Appends what an ICMP or ARP flow's messages were: `"icmp_type":["8/0","0/0"]`, `"arp_op":["1"]`.
fn codes(out: &mut Vec<u8>, record: &FlowRecord) {
    let is_arp = record.hot.key.kind & kind::ARP != 0;
    if !is_arp && !matches!(record.hot.key.proto, proto::ICMP | proto::ICMPV6) {
        return;
    }
    let mut codes = record.facts.codes().iter().peekable();
    if codes.peek().is_none() {
        return;
    }
    match is_arp {
        true => field!(out, "arp_op"),
        false => field!(out, "icmp_type"),
    }
    for (i, code) in codes.enumerate() {
        out.extend_from_slice(if i == 0 { b"[\"" } else { b",\"" });
        if is_arp {
            text::number(out, code);
        } else {
            text::number(out, code >> 8);
            out.push(b'/');
            text::number(out, code & 0xff);
        }
        out.push(b'"');
    }
    out.push(b']');
}

/// What few flows have.
fn details(out: &mut Vec<u8>, record: &FlowRecord) {
    let extension = &record.wide.extension;
    if let Some(vlan) = record.facts.vlan_id() {
        int!(out, "vlan", vlan);
    }
    if let Some(tunnel) = extension.tunnel.checked_sub(1) {
        plain!(out, "tunnel", Tunnel::ALL.get(usize::from(tunnel)).map_or("other", |t| t.name()));
        int!(out, "tunnel_id", extension.tunnel_id);
    }
    match [0, 1].map(|end| record.hot.roles.is_local(end)) {
        [false, false] => {}
        [true, true] => plain!(out, "local", "both"),
        local if local[record.hot.roles.initiator()] => plain!(out, "local", "src"),
        _ => plain!(out, "local", "dst"),
    }
    int!(out, "iface", record.hot.iface.0);
}

/// Appends `,"proto":` with the protocol's name, or `IP-<number>`.
pub fn protocol(out: &mut Vec<u8>, record: &FlowRecord) {
    out.extend_from_slice(b",\"proto\":\"");
    match export_name(&record.hot.key) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => {
            out.extend_from_slice(b"IP-");
            text::number(out, record.hot.key.proto);
        }
    }
    out.push(b'"');
}

/// Appends the fields of the summary that follow `"type"`, each with a comma before it; `flows`
/// is the number of flows that were exported.
pub fn summary(out: &mut Vec<u8>, snapshot: &Snapshot, flows: u64) {
    let Snapshot { accounts, totals, sources, .. } = snapshot;
    int!(out, "packets", accounts.taken.packets);
    int!(out, "frames", accounts.taken.frames);
    int!(out, "bytes", accounts.taken.bytes);
    int!(out, "flows", flows);
    int!(out, "flow_frames", accounts.flows.frames);
    int!(out, "not_flow_frames", accounts.not_flow.frames);
    field!(out, "drops");
    for (i, reason) in DropReason::ALL.iter().enumerate() {
        out.push(if i == 0 { b'{' } else { b',' });
        text::string(out, reason.key());
        out.push(b':');
        text::number(out, accounts.drops[*reason]);
    }
    out.push(b'}');
    int!(out, "kernel_drops", snapshot.kernel_drops());
    int!(out, "lost", snapshot.lost());
    int!(out, "evicted", totals.evicted);
    int!(out, "ended_unreported", totals.ended_unreported);
    inspections(out, snapshot);
    int!(out, "stamps_saturated", sources.iter().map(|s| s.stamps_saturated).sum::<u64>());
    int!(out, "blocks_skipped", sources.iter().map(|s| s.blocks_skipped).sum::<u64>());
    plain!(out, "capture", sources.first().map_or("none", |s| s.method));
    let counting = sources.iter().filter_map(|s| s.counting).reduce(|sum, each| Counting {
        flows: sum.flows + each.flows,
        frames: sum.frames + each.frames,
        refused: sum.refused + each.refused,
    });
    if let Some(counting) = counting {
        int!(out, "kernel_counted_frames", counting.frames);
        int!(out, "kernel_counted_flows", counting.flows);
        int!(out, "kernel_counted_refused", counting.refused);
    }
    field!(out, "interfaces");
    // Every rx thread of a live capture knows all interfaces.
    let longest = sources.iter().map(|s| &s.interfaces[..]).max_by_key(|i| i.len()).unwrap_or_default();
    list(out, longest.iter().map(|i| i.name.as_str()));
    let comments = || sources.iter().flat_map(|s| &s.notes.comments);
    if comments().next().is_some() {
        field!(out, "comments");
        list(out, comments().map(String::as_str));
    }
    plain!(out, "owners", snapshot.owner_method.method);
    if !snapshot.owner_method.parts.is_empty() {
        field!(out, "owner_hooks");
        text::string(out, &snapshot.owner_method.parts);
    }
    if let Some(reason) = &snapshot.owner_method.reason {
        field!(out, "owner_reason");
        text::string(out, reason);
    }
    if let Some(resolver) = &snapshot.resolver {
        resolves(out);
        int!(out, "resolver_asked", resolver.asked);
        int!(out, "resolver_named", resolver.named);
    }
    int!(out, "owner_events_lost", snapshot.owner_method.events_lost);
    int!(out, "owner_passes", snapshot.owner_method.passes);
    int!(out, "owner_first_pass_us", snapshot.owner_method.first_pass_ns / 1000);
    int!(out, "owner_pass_us", snapshot.owner_method.pass_ns / 1000);
    let cut_short = sources.iter().find_map(|s| s.truncated.as_deref());
    out.extend_from_slice(if cut_short.is_some() { b",\"truncated\":true" } else { b",\"truncated\":false" });
    if let Some(reason) = cut_short {
        field!(out, "truncated_reason");
        text::string(out, reason);
    }
    // A capture without packets has no time.
    if snapshot.wall != Stamp(0) {
        field!(out, "stop");
        time(out, snapshot.wall);
    }
}

fn inspections(out: &mut Vec<u8>, snapshot: &Snapshot) {
    let counts = &snapshot.inspections;
    let mut separator = b",\"dpi\":{".as_slice();
    for (name, count) in [
        ("payloads", counts.payloads),
        ("labelled", counts.labelled),
        ("given_up", counts.given_up),
        ("displaced", counts.displaced),
        ("facts_lost", snapshot.facts_lost),
    ] {
        out.extend_from_slice(separator);
        text::string(out, name);
        out.push(b':');
        text::number(out, count);
        separator = b",";
    }
    out.push(b'}');
}

fn list<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a str>) {
    out.push(b'[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        text::string(out, item);
    }
    out.push(b']');
}

fn time(out: &mut Vec<u8>, stamp: Stamp) {
    out.push(b'"');
    text::rfc3339(out, stamp);
    out.push(b'"');
}

/// Flows and snapshots for the tests of both formats.
#[cfg(test)]
pub(super) mod fixture {
    use super::*;
    use crate::{
        base::{
            counters::{Accounts, Volume},
            ids::{Epoch, FlowId, IfaceId},
        },
        capture::source::{InterfaceStatus, SourceStatus},
        flow::{
            entry::{Evidence, Facts, Hot, Roles},
            state::{EndReason, FlowState},
        },
        packet::key::{FlowKey, WideKey},
        process::lookup::OwnerStatus,
        snapshot::view::Totals,
    };

    /// A TCP connection from the high end, 198.51.100.9:50000, to the low end, 192.0.2.1:443.
    pub fn tcp() -> FlowRecord {
        FlowRecord {
            hot: Hot {
                key: FlowKey {
                    ends: 0xc000_0201_c633_6409,
                    ports: [443, 50_000],
                    proto: proto::TCP,
                    kind: kind::LIVE,
                    zero: 0,
                },
                bytes: [8000, 1200],
                frames: [9, 10],
                last: Stamp(1_700_000_001_500_000_000),
                state: FlowState::Established,
                roles: Roles::new(1, Evidence::Handshake, [false, false]),
                iface: IfaceId(2),
                ..Hot::default()
            },
            facts: Facts {
                first: Stamp(1_700_000_000_000_000_001),
                retransmits: [3, 1],
                out_of_order: [0, 7],
                rtt_handshake_us: 11_800,
                vlan: 101,
                ..Facts::default()
            },
            id: FlowId::new(3, 77, 5),
            end: Some(EndReason::Eof),
            ..FlowRecord::default()
        }
    }

    /// A DNS query over UDP from ::1 to 2001:db8::1, answered by super-frames.
    pub fn udp6() -> FlowRecord {
        let mut record = tcp();
        record.hot.key.kind |= kind::V6;
        record.hot.key.proto = proto::UDP;
        record.hot.key.ports = [40_000, 53];
        record.wide = WideKey {
            ends: ["::1", "2001:db8::1"].map(|a| a.parse::<std::net::Ipv6Addr>().unwrap().octets()),
            ..WideKey::default()
        };
        record.hot.roles = Roles::new(0, Evidence::Port, [true, false]);
        record.hot.state = FlowState::Udp;
        record.hot.bytes = [100, 90_000];
        record.hot.frames = [1, 2];
        record.facts = Facts { first: Stamp(5), extra_packets: [0, 58], ..Facts::default() };
        record.end = Some(EndReason::Timeout);
        record
    }

    /// The last epoch of a file that was cut short.
    pub fn last_epoch() -> Snapshot {
        let mut accounts = Accounts {
            taken: Volume { frames: 25, packets: 83, bytes: 99_300 },
            flows: Volume { frames: 22, packets: 80, bytes: 99_300 },
            not_flow: Volume { frames: 1, packets: 1, bytes: 0 },
            ..Accounts::default()
        };
        accounts.drops[DropReason::Malformed] = 2;
        Snapshot {
            epoch: Epoch(9),
            now: Nanos::from_secs(2),
            wall: Stamp(1_700_000_001_500_000_000),
            accounts,
            history: Default::default(),
            totals: Totals { closed: 2, ..Totals::default() },
            sources: vec![SourceStatus {
                method: "file",
                interfaces: vec![InterfaceStatus { name: "eth\u{1b}[0".into(), ..Default::default() }],
                truncated: Some("a record needs 90 bytes, \"3\" are left".into()),
                blocks_skipped: 4,
                ..SourceStatus::default()
            }],
            stages: Vec::new(),
            owner_method: OwnerStatus::default(),
            resolver: None,
            epochs_skipped: 1,
            inspections: crate::dpi::inspector::InspectorCounts::default(),
            facts_lost: 0,
            ended: true,
            asked: None,
            workers: Vec::new(),
        }
    }
}
