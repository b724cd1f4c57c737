//! The filters for tcpdump that rows are copied as, given to tcpdump: they find the frames of the row.
//!
//! `cargo test --test tcpdump -- --ignored`
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rustnet::{
    base::time::Tick,
    capture::{
        capture_file::CaptureFile,
        source::{Progress, Source},
    },
    flow::entry::FlowRecord,
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::{Descriptor, encap, flag},
        hash::Seed,
        key::WideKey,
        name::FlowName,
        parse::{ParseConfig, Parser, Verdict},
    },
    snapshot::row::Row,
    tui::terms,
};

#[path = "common/capture_bytes.rs"]
mod capture_bytes;
#[path = "common/shared.rs"]
mod shared;
use capture_bytes::PcapShape;

/// By name: a row, how many frames it has, and how many of them its filter should find.
type Rows = HashMap<FlowName, (FlowRecord, usize, usize)>;

/// All rows of a file, as the pipeline tells them apart.
fn rows(path: &Path, config: ParseConfig) -> Rows {
    let bytes = fs::File::open(path).unwrap();
    let mut source = CaptureFile::from_reader(Box::new(bytes)).unwrap();
    let mut parser = Parser::new(config, Seed::new(1));
    let mut all = Rows::new();
    loop {
        let progress = source.burst(64, |bytes, meta| {
            let (mut frame, mut wide) =
                (Descriptor { tick: Tick(0), ..Descriptor::default() }, WideKey::default());
            if parser.parse(bytes, meta, &mut frame, &mut wide) == Verdict::Flow {
                if !frame.key.is_wide() {
                    wide = WideKey::default();
                }
                let (record, frames, found) = all.entry(FlowName::of(&frame.key, &wide)).or_default();
                if *frames == 0 {
                    (record.hot.key, record.wide, record.facts.vlan) = (frame.key, wide, frame.vlan);
                    record.facts.has_more_headers = frame.flags & flag::MORE_HEADERS != 0;
                }
                // The filter is that of the first frame.
                let is_like_it = record.facts.has_more_headers || frame.flags & flag::MORE_HEADERS == 0;
                *found += usize::from(is_like_it);
                *frames += 1;
            }
        });
        if progress == Progress::End {
            return all;
        }
    }
}

/// The form of a row that is for tcpdump, with its name.
fn filter_of(record: &FlowRecord) -> (&'static str, String) {
    let forms = terms::copies(&Row::from_record(record), None);
    forms.into_iter().find(|(name, _)| name.contains("tcpdump")).unwrap()
}

/// How many frames of a file tcpdump finds.
fn found(path: &Path, filter: &str) -> usize {
    let output = Command::new("tcpdump").arg("--count").arg("-r").arg(path).arg(filter).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if String::from_utf8_lossy(&output.stderr).contains("no VLAN support") {
        // Frames of this link type have no tags.
        return 0;
    }
    let number = text.split_whitespace().next().and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("{filter}: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

/// A frame with `around` in place of its Ethernet type.
fn with_headers(frame: &[u8], around: &[u8]) -> Vec<u8> {
    [&frame[..12], around, &frame[14..]].concat()
}

#[test]
#[ignore = "needs tcpdump: cargo test --test tcpdump -- --ignored"]
fn k18_tcpdump_finds_all_frames_of_a_row_and_no_others() {
    let address = |n: u8| format!("10.0.0.{n}").parse().unwrap();
    let segment = |from: u16, to: u16| {
        let tcp = Tcp { src_port: from, dst_port: to, flags: 16, ..Tcp::default() };
        let there = from < to;
        let (src, dst) = (address(if there { 1 } else { 2 }), address(if there { 2 } else { 1 }));
        let mut bytes = vec![0; 200];
        let len = Frame::new(src, dst, Body::Tcp(tcp)).payload(&[7; 40]).write(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    };
    let arp = |operation: u16| {
        let mut bytes = vec![0; 200];
        let len = Frame::new(address(1), address(2), Body::Arp(operation)).write(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    };
    // PPPoE: version and type, code, session, length; then IP over PPP.
    const PPPOE: &[u8] = &[0x88, 0x64, 0x11, 0, 0, 7, 0, 82, 0, 0x21];
    const IP: &[u8] = &[8, 0];
    let shapes: &[(&str, &[&[u8]])] = &[
        ("no tag", &[IP]),
        ("one tag", &[&[0x81, 0, 0, 10], IP]),
        ("two tags", &[&[0x88, 0xa8, 0, 10], &[0x81, 0, 0, 20], IP]),
        ("two of the same kind", &[&[0x81, 0, 0, 10], &[0x81, 0, 0, 20], IP]),
        ("three tags", &[&[0x88, 0xa8, 0, 10], &[0x81, 0, 0, 20], &[0x81, 0, 0, 30], IP]),
        ("PPPoE", &[PPPOE]),
        ("a tag and PPPoE", &[&[0x81, 0, 0, 10], PPPOE]),
        ("two tags and PPPoE", &[&[0x88, 0xa8, 0, 10], &[0x81, 0, 0, 20], PPPOE]),
        ("a label", &[&[0x88, 0x47, 0, 1, 0xd1, 64], IP]),
        ("two labels", &[&[0x88, 0x47, 0, 1, 0xd0, 64, 0, 2, 0xe1, 64], IP]),
        ("a tag and a label", &[&[0x81, 0, 0, 10], &[0x88, 0x47, 0, 1, 0xd1, 64], IP]),
    ];
    let path = std::env::temp_dir().join(format!("rustnet-tcpdump-{}.pcap", std::process::id()));
    let write = |frames: &[Vec<u8>]| {
        let of = |bytes: &Vec<u8>| capture_bytes::Frame {
            secs: 1_700_000_000,
            fraction: 0,
            bytes: bytes.clone(),
            wire_len: bytes.len() as u32,
        };
        fs::write(&path, PcapShape::USUAL.write(&frames.iter().map(of).collect::<Vec<_>>())).unwrap();
    };
    for (name, around) in shapes {
        let mut around = around.concat();
        if name.contains("label") {
            // Nothing behind the bottom of the stack says what lies beneath.
            around.truncate(around.len() - 2);
        }
        for key in [false, true] {
            let segments = [(40_000, 50_000), (50_000, 40_000), (40_000, 50_001), (40_001, 50_000)];
            let frames = segments.map(|(from, to)| with_headers(&segment(from, to), &around));
            write(&frames);
            let rows = rows(&path, ParseConfig { vlan_in_key: key, ..ParseConfig::default() });
            assert_eq!(rows.len(), 3, "{name}");
            for (record, _, count) in rows.values() {
                let (form, filter) = filter_of(record);
                assert_eq!((form, found(&path, &filter)), ("tcpdump filter", *count), "{name}: {filter}");
            }
        }
    }
    // RARP asks with other numbers under another type; a tag may stand before both.
    for around in [&[8, 6][..], &[0x80, 0x35], &[0x81, 0, 0, 10, 8, 6], &[0x81, 0, 0, 10, 0x80, 0x35]] {
        write(&[1, 2, 3, 4].map(|operation| with_headers(&arp(operation), around)));
        for (record, _, count) in rows(&path, ParseConfig::default()).values() {
            let (_, filter) = filter_of(record);
            assert_eq!(found(&path, &filter), *count, "{around:?}: {filter}");
        }
    }
    fs::remove_file(&path).unwrap();
}

#[test]
#[ignore = "needs tcpdump: cargo test --test tcpdump -- --ignored"]
fn k18_tcpdump_finds_the_frames_of_the_rows_of_captures() {
    let Some(captures) = shared::captures() else { return };
    let is_odd = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let kinds = [
            "vlan", "pppoe", "arp", "mpls", "tunnel", "icmp", "dns-udp", "ipv4", "ipv6", "ipsec", "igmp",
            "dns-frag",
        ];
        kinds.iter().any(|word| name.starts_with(word))
    };
    let paths = fs::read_dir(captures).unwrap().map(|entry| entry.unwrap().path());
    for path in paths.filter(|path| path.is_file()).filter(is_odd) {
        let rows = rows(&path, ParseConfig::default());
        let forms = |record: &FlowRecord| {
            let forms = terms::copies(&Row::from_record(record), None);
            forms.into_iter().filter(|(name, _)| name.contains("tcpdump")).collect::<Vec<_>>()
        };
        // Which port is whose is not said.
        let words = |filter: &str| {
            let mut words: Vec<_> =
                filter.split_whitespace().map(|word| word.trim_matches(['(', ')']).to_owned()).collect();
            words.sort_unstable();
            words
        };
        // Rows with the same filter cannot be told apart by it; frames of no other may be found.
        let mut most: HashMap<Vec<String>, usize> = HashMap::new();
        for (record, all, _) in rows.values() {
            let filters: HashSet<_> = forms(record).into_iter().map(|(_, filter)| filter).collect();
            filters.into_iter().for_each(|filter| *most.entry(words(&filter)).or_default() += all);
        }
        for (record, _, count) in rows.values() {
            let row = Row::from_record(record);
            // Why there is none is known of what stands behind LLC and SNAP, and of tunnels.
            let is_told = filter_of(record).0 != terms::NO_CAPTURE
                || row.encap & encap::BENEATH == encap::BENEATH
                || row.wide.extension.tunnel != 0;
            assert!(is_told, "{}: {}", path.display(), filter_of(record).1);
            // Where its first frame has no tag and others have, it is the one for any tags.
            let mut is_enough = false;
            for (name, filter) in forms(record) {
                if name == terms::NO_CAPTURE {
                    is_enough = true;
                    continue;
                }
                let (found, most) = (found(&path, &filter), most[&words(&filter)]);
                // Fragments behind the first one do not tell which connection of their hosts they are of.
                let is_of_fragments = ["0xfff8", "0x1fff"].iter().any(|mask| filter.contains(mask));
                assert!(found <= most || is_of_fragments, "{}: {found} of {most}: {filter}", path.display());
                is_enough |= found >= *count;
            }
            let (_, filter) = filter_of(record);
            assert!(is_enough, "{}: {filter}", path.display());
        }
    }
}
