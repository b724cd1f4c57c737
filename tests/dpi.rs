//! What a flow is found to speak does not depend on how its bytes were cut into segments, nor on the
//! order in which neighbours came.
//!
//! Frames of captures are cut and swapped, and the export's label and facts compared.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/engine.rs"]
mod engine;
#[path = "common/shared.rs"]
mod shared;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    sync::Arc,
};

use rustnet::{
    base::time::Stamp,
    capture::{
        capture_file::CaptureFile,
        synthetic::{Frames, MemorySource},
    },
    dpi::talk::STREAM_BUDGET,
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::tcp_flag::{ACK, FIN, PSH, RST, SYN},
        link::LinkType,
        parse::FrameMeta,
    },
    pipeline::launch::EngineConfig,
};
use serde_json::Value;

/// Label and facts of every connection, by its ends; facts in a set, as their order is that of coming.
type Spoken = BTreeMap<String, BTreeSet<String>>;

/// Facts that tell times or counts, not contents.
const NOT_CONTENT: &[&str] = &["dns_time_us", "icmp_rtt_us"];
/// Fields of the export that are no facts.
const COUNTS: &[&str] = &[
    "type",
    "proto",
    "src",
    "dst",
    "sport",
    "dport",
    "fwd_pkts",
    "rev_pkts",
    "fwd_frames",
    "rev_frames",
    "pkts_are_frames",
    "fwd_bytes",
    "rev_bytes",
    "first_ts",
    "last_ts",
    "first",
    "last",
    "state",
    "app_state",
    "end",
    "retrans",
    "out_of_order",
    "rtt_handshake_us",
    "rtt_data_us",
    "vlan",
    "tunnel",
    "tunnel_id",
    "local",
    "iface",
    "icmp_type",
    "arp_op",
    "owner_quality",
];

fn spoken(frames: Frames) -> Spoken {
    let config = EngineConfig { fused: true, ..engine::config() };
    let run = engine::run(config, vec![MemorySource::new(Arc::new(frames))]);
    let mut spoken = Spoken::new();
    for line in String::from_utf8(run.jsonl).unwrap().lines() {
        let Value::Object(flow) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
        if flow["type"] != "flow" || flow["proto"] != "TCP" {
            continue;
        }
        let mut ends =
            [format!("{} {}", flow["src"], flow["sport"]), format!("{} {}", flow["dst"], flow["dport"])];
        ends.sort();
        let facts = spoken.entry(ends.join(" ")).or_default();
        for (name, value) in &flow {
            if !COUNTS.contains(&name.as_str()) && !NOT_CONTENT.contains(&name.as_str()) {
                facts.insert(format!("{name}={value}"));
            }
        }
    }
    spoken
}

/// A TCP segment with payload in a frame of Ethernet and IPv4 without fragments.
struct Segment<'a> {
    frame: &'a [u8],
    ip: usize,
    tcp: usize,
    payload: usize,
    end: usize,
}

impl<'a> Segment<'a> {
    fn of(frame: &'a [u8]) -> Option<Self> {
        let ip = 14;
        let header = frame.get(ip..ip + 20)?;
        let is_plain = frame[12..14] == [8, 0] && header[0] == 0x45 && header[9] == 6;
        let is_whole = u16::from_be_bytes([header[6], header[7]]) & 0x3fff == 0;
        let tcp = ip + 20;
        let len = usize::from(*frame.get(tcp + 12)? >> 4) * 4;
        let end = ip + usize::from(u16::from_be_bytes([header[2], header[3]]));
        let payload = tcp + len;
        let fits = len >= 20 && payload < end && end <= frame.len();
        // A SYN takes a number of its own: what it carries cannot be told apart by numbers alone.
        let has_syn = *frame.get(tcp + 13)? & SYN != 0;
        (is_plain && is_whole && fits && !has_syn).then_some(Self { frame, ip, tcp, payload, end })
    }

    fn len(&self) -> usize {
        self.end - self.payload
    }

    /// Returns whether the other one is of the same side and begins where this one ends, and neither ends it.
    fn precedes(&self, next: &Self) -> bool {
        let seq = |s: &Self| u32::from_be_bytes(s.frame[s.tcp + 4..s.tcp + 8].try_into().unwrap());
        let ends = |s: &Self| [&s.frame[s.ip + 12..s.ip + 20], &s.frame[s.tcp..s.tcp + 4]].concat();
        let goes_on = |s: &Self| s.frame[s.tcp + 13] & (FIN | RST) == 0;
        ends(self) == ends(next)
            && seq(next) == seq(self).wrapping_add(self.len() as u32)
            && goes_on(self)
            && goes_on(next)
    }

    /// Returns the frame with only these bytes of the payload.
    fn part(&self, from: usize, to: usize) -> Vec<u8> {
        let mut out = self.frame[..self.payload].to_vec();
        out.extend_from_slice(&self.frame[self.payload + from..self.payload + to]);
        let len = (out.len() - self.ip) as u16;
        out[self.ip + 2..self.ip + 4].copy_from_slice(&len.to_be_bytes());
        let seq = u32::from_be_bytes(out[self.tcp + 4..self.tcp + 8].try_into().unwrap());
        out[self.tcp + 4..self.tcp + 8].copy_from_slice(&seq.wrapping_add(from as u32).to_be_bytes());
        if to < self.len() {
            // The end of the direction belongs to its last part.
            out[self.tcp + 13] &= !1;
        }
        out
    }
}

/// How segments are cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Into two at this share of the length, in 1/256.
    At(usize),
    /// As `At`, and the second part comes first.
    Swapped(usize),
    /// Into pieces of so many bytes.
    Pieces(usize),
    /// Not at all, but two in a row of one side change places.
    Neighbours,
}

/// Exchanges each segment with the one that goes on where it ends, if that is the next frame; times stay in order.
fn exchange(frames: &Frames) -> Frames {
    let mut out = Frames::default();
    let all: Vec<_> = frames.iter().collect();
    let mut at = 0;
    while at < all.len() {
        let (bytes, meta) = all[at];
        let whole = |nth: usize| {
            let (bytes, meta) = all.get(nth)?;
            let is_whole = meta.link == LinkType::ETHERNET && bytes.len() == meta.wire_len as usize;
            Segment::of(bytes).filter(|_| is_whole)
        };
        if let (Some(one), Some(two)) = (whole(at), whole(at + 1))
            && one.precedes(&two)
        {
            let (next, after) = all[at + 1];
            out.push(next, FrameMeta { wall: meta.wall, ..*after });
            out.push(bytes, FrameMeta { wall: after.wall, ..*meta });
            at += 2;
        } else {
            out.push(bytes, *meta);
            at += 1;
        }
    }
    out
}

fn cut(frames: &Frames, cut: Cut) -> Frames {
    if let Cut::Neighbours = cut {
        return exchange(frames);
    }
    let mut out = Frames::default();
    for (bytes, meta) in frames.iter() {
        let whole = meta.link == LinkType::ETHERNET && bytes.len() == meta.wire_len as usize;
        let Some(segment) = Segment::of(bytes).filter(|s| whole && s.len() > 1) else {
            out.push(bytes, *meta);
            continue;
        };
        let len = segment.len();
        let parts: Vec<_> = match cut {
            Cut::At(share) | Cut::Swapped(share) => {
                let at = (len * share / 256).clamp(1, len - 1);
                let mut parts = vec![segment.part(0, at), segment.part(at, len)];
                if matches!(cut, Cut::Swapped(_)) {
                    parts.reverse();
                }
                parts
            }
            Cut::Neighbours => vec![segment.part(0, len)],
            Cut::Pieces(size) => {
                (0..len).step_by(size).map(|at| segment.part(at, (at + size).min(len))).collect()
            }
        };
        for part in parts {
            let mut meta = *meta;
            meta.wire_len = part.len() as u32;
            out.push(&part, meta);
        }
    }
    out
}

fn compare(name: &str, frames: &Frames, cuts: &[Cut]) {
    let differences = differences(name, frames, cuts);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Returns which connections say something else when they are cut so, and what.
fn differences(name: &str, frames: &Frames, cuts: &[Cut]) -> Vec<String> {
    let mut differences = Vec::new();
    let want = spoken(cut(frames, Cut::Pieces(usize::MAX >> 1)));
    let opened = opened(frames);
    for &how in cuts {
        let got = spoken(cut(frames, how));
        for (ends, facts) in &want {
            // Of a connection whose beginning was not captured, nobody knows what came first, and
            // messages are looked for where segments begin.
            if !matches!(how, Cut::At(_)) && !opened.contains(ends) {
                continue;
            }
            let nothing = BTreeSet::new();
            let got = got.get(ends).unwrap_or(&nothing);
            if got != facts {
                let (less, more): (Vec<_>, Vec<_>) =
                    (facts.difference(got).collect(), got.difference(facts).collect());
                differences.push(format!("{name}: {ends}: {how:?}: less {less:?}, more {more:?}"));
            }
        }
    }
    differences
}

/// Returns the ends of connections both of whose SYNs are there.
fn opened(frames: &Frames) -> BTreeSet<String> {
    let mut syns: BTreeMap<String, u8> = BTreeMap::new();
    for (bytes, meta) in frames.iter() {
        let is_tcp = bytes.len() >= 54 && bytes[12..15] == [8, 0, 0x45] && bytes[23] == 6;
        if meta.link != LinkType::ETHERNET || !is_tcp || bytes[47] & SYN == 0 {
            continue;
        }
        let end = |ip: usize, port: usize| {
            let address = std::net::Ipv4Addr::from(<[u8; 4]>::try_from(&bytes[ip..ip + 4]).unwrap());
            format!("\"{address}\" {}", u16::from_be_bytes([bytes[port], bytes[port + 1]]))
        };
        let mut ends = [end(26, 34), end(30, 36)];
        let from_low = u8::from(ends[0] > ends[1]) + 1;
        ends.sort();
        *syns.entry(ends.join(" ")).or_default() |= from_low;
    }
    syns.into_iter().filter(|(_, sides)| *sides == 3).map(|(ends, _)| ends).collect()
}

/// A connection: handshake, then what the sides say in turn.
fn conversation(port: u16, turns: &[(bool, &[u8])]) -> Frames {
    let mut frames = Frames::default();
    let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let mut seq = [1000u32, 9000];
    let mut wall = Stamp(1_700_000_000_000_000_000);
    let mut push = |from: usize, flags: u8, seq: [u32; 2], payload: &[u8]| {
        let ends = if from == 0 { [client, server] } else { [server, client] };
        let ports = if from == 0 { [50_000, port] } else { [port, 50_000] };
        let tcp = Tcp {
            src_port: ports[0],
            dst_port: ports[1],
            seq_number: seq[from],
            ack_number: if flags & ACK != 0 { seq[1 - from] } else { 0 },
            flags,
            window: 60_000,
            window_scale: None,
        };
        let frame = Frame::new(ends[0].into(), ends[1].into(), Body::Tcp(tcp)).payload(payload);
        let mut buffer = vec![0; 4096];
        let len = frame.write(&mut buffer).unwrap();
        wall = Stamp(wall.0 + 1_000_000);
        frames.push_ethernet(wall, &buffer[..len]);
    };
    push(0, SYN, seq, &[]);
    seq[0] += 1;
    push(1, SYN | ACK, seq, &[]);
    seq[1] += 1;
    push(0, ACK, seq, &[]);
    for &(from_server, bytes) in turns {
        let from = usize::from(from_server);
        push(from, ACK | PSH, seq, bytes);
        seq[from] += bytes.len() as u32;
    }
    frames
}

const REQUEST: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: probe/1.0\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 404 Not Found\r\nServer: tiny\r\nContent-Length: 0\r\n\r\n";

#[test]
fn every_cut_of_a_request_and_its_answer_says_the_same() {
    let frames = conversation(8081, &[(false, REQUEST), (true, RESPONSE)]);
    let whole = spoken(cut(&frames, Cut::Pieces(usize::MAX >> 1)));
    let facts = whole.values().next().unwrap();
    for fact in ["app=\"HTTP\"", "http_host=[\"www.example.org\"]", "http_status=[\"404\"]"] {
        assert!(facts.contains(fact), "{fact} is not in {facts:?}");
    }
    let cuts: Vec<Cut> = (1..256)
        .step_by(3)
        .flat_map(|share| [Cut::At(share), Cut::Swapped(share)])
        .chain([Cut::Pieces(1), Cut::Pieces(7)])
        .collect();
    compare("http", &frames, &cuts);
}

#[test]
fn what_a_flow_speaks_is_known_on_any_port_and_never_by_it() {
    for port in [22, 53, 443, 3306, 8081] {
        let spoken = spoken(conversation(port, &[(false, REQUEST), (true, RESPONSE)]));
        assert!(spoken.values().next().unwrap().contains("app=\"HTTP\""), "{port}: {spoken:?}");
    }
    for port in [22, 25, 53, 80, 443, 3306, 5432] {
        let noise: Vec<u8> = (0..400u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let spoken = spoken(conversation(port, &[(false, &noise), (true, &noise[7..])]));
        assert_eq!(spoken.values().next().unwrap().len(), 0, "{port}: {spoken:?}");
    }
}

/// Returns the captures that are at most so long and not made to be bad, by name.
fn captures(longest: u64) -> Vec<(String, Frames)> {
    let Some(folder) = shared::captures() else { return Vec::new() };
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_capture = [".pcap", ".pcapng", ".cap"].iter().any(|end| name.ends_with(end));
        let small = std::fs::metadata(path).unwrap().len() < longest;
        if !is_capture || !small || name.starts_with("mal-") {
            return None;
        }
        let mut file = CaptureFile::from_reader(Box::new(File::open(path).unwrap())).ok()?;
        let mut frames = Frames::default();
        frames.extend_from(&mut file);
        Some((name, frames))
    };
    names.iter().filter_map(read).collect()
}

/// Returns the frames but for UDP's, of which nothing is compared.
fn without_datagrams(frames: &Frames) -> Frames {
    let mut out = Frames::default();
    for (bytes, meta) in frames.iter() {
        let is_datagram = bytes.len() > 34 && bytes[12..15] == [8, 0, 0x45] && bytes[23] == 17;
        if meta.link != LinkType::ETHERNET || !is_datagram {
            out.push(bytes, *meta);
        }
    }
    out
}

#[test]
fn cutting_and_swapping_the_segments_of_captures_changes_nothing() {
    // A sample: the files are many, and each is run several times.
    for (n, (name, frames)) in captures(300_000).iter().enumerate() {
        let share = 1 + n * 37 % 255;
        // What is known by the budget of bytes is known within that of segments.
        let pieces = STREAM_BUDGET / 64 + n % 13 * 9;
        let cuts = [Cut::At(share), Cut::Swapped(share), Cut::Pieces(pieces), Cut::Neighbours];
        compare(name, frames, &cuts);
    }
}

#[test]
#[ignore = "takes minutes: cargo test --test dpi -- --ignored"]
fn every_cut_of_all_captures_says_the_same() {
    let mut all = Vec::new();
    for (name, frames) in captures(u64::MAX) {
        let frames = without_datagrams(&frames);
        if frames.iter().all(|(bytes, _)| Segment::of(bytes).is_none()) {
            continue;
        }
        let shares = (0..256).step_by(16).map(|share| share + 1);
        let mut cuts: Vec<Cut> = shares.flat_map(|share| [Cut::At(share), Cut::Swapped(share)]).collect();
        cuts.extend([Cut::Neighbours, Cut::Pieces(STREAM_BUDGET / 64), Cut::Pieces(500)]);
        let differences = differences(&name, &frames, &cuts);
        differences.iter().for_each(|difference| println!("{difference}"));
        all.extend(differences);
    }
    assert!(all.is_empty(), "{} differences", all.len());
}
