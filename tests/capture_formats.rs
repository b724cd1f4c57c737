//! Every detail of the capture formats, right and wrong, through both ways in: mapped and streamed.
#![allow(clippy::unwrap_used, reason = "tests panic when something is wrong")]

#[path = "common/capture_bytes.rs"]
mod capture_bytes;
#[path = "common/shared.rs"]
mod shared;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use capture_bytes::{Frame, Order, PcapNg, PcapShape, frames};
use proptest::prelude::*;
use rustnet::{
    base::time::Nanos,
    capture::{
        capture_file::{CaptureFile, Cut, MAX_BLOCK, MAX_FRAME, NoMaps, OpenError, Why},
        source::{Clock, Progress, Source, SourceStatus},
        synthetic::{Frames, Traffic},
    },
    platform,
};

// ---------------------------------------------------------------------------------- what is read

/// A frame as it was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    bytes: Vec<u8>,
    wall: u64,
    wire_len: u32,
    iface: u16,
    link: u16,
}

/// All that a file gave.
#[derive(Debug)]
struct Reading {
    seen: Vec<Seen>,
    cut: Option<Cut>,
    status: SourceStatus,
}

impl Reading {
    fn of(mut file: CaptureFile, burst: usize) -> Self {
        assert_eq!(file.clock(), Clock::Frames);
        let mut seen = Vec::new();
        let mut idle = 0;
        loop {
            let before = seen.len();
            let progress = file.burst(burst, |bytes, meta| {
                seen.push(Seen {
                    bytes: bytes.to_vec(),
                    wall: meta.wall.0,
                    wire_len: meta.wire_len,
                    iface: meta.iface.0,
                    link: meta.link.0,
                });
            });
            assert!(seen.len() - before <= burst);
            assert_eq!(seen.len() > before, progress == Progress::Frames);
            match progress {
                Progress::Frames => idle = 0,
                Progress::Idle => {
                    idle += 1;
                    assert!(idle < 100_000, "reading does not get on");
                    file.wait(Nanos::from_secs(10));
                }
                Progress::End => break,
            }
        }
        assert_eq!(file.burst(burst, |_, _| panic!("a frame after the end")), Progress::End);
        let mut status = SourceStatus::default();
        file.status(&mut status);
        assert_eq!(file.frames(), seen.len() as u64);
        assert_eq!(status.truncated.is_some(), file.cut().is_some());
        Self { seen, cut: file.cut(), status }
    }

    fn why(&self) -> Option<Why> {
        self.cut.map(|cut| cut.why)
    }
}

/// Gives at most so many bytes at a time, and is interrupted now and then.
struct Dribble {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
    reads: usize,
}

impl Read for Dribble {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = self.piece.min(out.len()).min(self.bytes.len() - self.at);
        out[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

/// A file that is removed with its owner.
struct Temp(PathBuf);

impl Temp {
    fn new(bytes: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("capture-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn open(&self) -> Result<CaptureFile, OpenError> {
        CaptureFile::open(&self.0, platform::map_guard())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn streamed(bytes: &[u8], piece: usize) -> Result<CaptureFile, OpenError> {
    CaptureFile::from_reader(Box::new(Dribble { bytes: bytes.to_vec(), at: 0, piece, reads: 0 }))
}

/// Reads `bytes` mapped, as a file in pieces, and streamed: all must agree. `None` if it is none.
fn read(bytes: &[u8]) -> Option<Reading> {
    let file = Temp::new(bytes);
    let pieces = CaptureFile::open(&file.0, &NoMaps);
    let Ok(mapped) = file.open() else {
        assert!(pieces.is_err() && streamed(bytes, 7).is_err());
        return None;
    };
    let mapped = Reading::of(mapped, 64);
    let piece = (bytes.len() / 50).clamp(1, 65_536);
    for other in [Reading::of(pieces.unwrap(), 3), Reading::of(streamed(bytes, piece).unwrap(), 1000)] {
        assert_eq!(mapped.seen, other.seen);
        assert_eq!(mapped.cut, other.cut);
        let facts = |s: &SourceStatus| {
            let names: Vec<_> = s.interfaces.iter().map(|i| (i.name.clone(), i.speed)).collect();
            (names, s.stamps_saturated, s.blocks_skipped, s.read.unwrap().0, s.method)
        };
        assert_eq!(facts(&mapped.status), facts(&other.status));
    }
    Some(mapped)
}

fn expect(frames: &[Frame], nanos: u64, link: u16) -> Vec<Seen> {
    frames
        .iter()
        .map(|f| Seen {
            bytes: f.bytes.clone(),
            wall: u64::from(f.secs) * 1_000_000_000 + u64::from(f.fraction) * nanos,
            wire_len: f.wire_len,
            iface: 0,
            link,
        })
        .collect()
}

// ------------------------------------------------------------------------------------------ pcap

/// Every variant in one byte order, with nanoseconds a fraction.
fn variants(order: Order) -> [(PcapShape, u64); 8] {
    let usual = PcapShape { order, ..PcapShape::USUAL };
    let ixia = PcapShape { more_file_header: 4, ..usual };
    [
        (usual, 1000),
        (PcapShape { magic: 0xa1b2_3c4d, ..usual }, 1),
        (PcapShape { magic: 0xa1b2_cd34, more_record_header: 8, ..usual }, 1000),
        (PcapShape { magic: 0x1c00_01ac, ..ixia }, 1),
        (PcapShape { magic: 0x1c00_01ab, ..ixia }, 1000),
        (PcapShape { version: (2, 3), wire_len_first: true, ..usual }, 1000),
        (PcapShape { version: (2, 0), wire_len_first: true, ..usual }, 1000),
        (PcapShape { version: (543, 0), wire_len_first: true, ..usual }, 1000),
    ]
}

#[test]
fn every_variant_of_pcap_gives_the_same_frames() {
    let frames = frames(20);
    for order in [Order::Little, Order::Big] {
        for (shape, nanos) in variants(order) {
            let reading = read(&shape.write(&frames)).unwrap();
            assert_eq!(reading.seen, expect(&frames, nanos, 1), "{shape:?}");
            assert_eq!(reading.cut, None, "{shape:?}");
            assert_eq!(reading.status.interfaces.len(), 1);
        }
    }
}

#[test]
fn link_type_has_sixteen_bits() {
    for (field, link) in [(0x7000_0001, 1), (0x00f0_0071, 113), (12, 12), (14, 14), (276, 276)] {
        let bytes = PcapShape { link: field, ..PcapShape::USUAL }.write(&frames(1));
        assert_eq!(read(&bytes).unwrap().seen[0].link, link);
    }
}

#[test]
fn lying_lengths_and_times_of_pcap_are_handed_on() {
    let odd =
        |fraction, bytes: &[u8], wire_len| Frame { secs: 10, fraction, bytes: bytes.to_vec(), wire_len };
    let frames = [
        odd(0, &[], 0),
        odd(1, &[], 60),
        odd(2, &[1; 60], 40),
        odd(3, &[1; 60], u32::MAX),
        odd(1_000_000, &[2; 14], 14),
        odd(u32::MAX, &[3; 14], 14),
        Frame { secs: u32::MAX, fraction: u32::MAX, bytes: vec![4; 20], wire_len: 20 },
        Frame { secs: 0, fraction: 0, bytes: vec![], wire_len: 0 },
        odd(5, &vec![5; MAX_FRAME as usize], MAX_FRAME),
    ];
    let reading = read(&PcapShape::USUAL.write(&frames)).unwrap();
    assert_eq!(reading.seen, expect(&frames, 1000, 1));
    assert_eq!(reading.cut, None);
    // A microsecond count of a whole second carries over.
    assert_eq!(reading.seen[4].wall, 11_000_000_000);
}

#[test]
fn frame_longer_than_any_ends_the_reading() {
    for claims in [MAX_FRAME + 1, 0x7fff_ffff, u32::MAX] {
        let mut bytes = PcapShape::USUAL.write(&frames(3));
        let at = bytes.len() as u64;
        for field in [1, 2, claims, 60] {
            Order::Little.word(&mut bytes, field);
        }
        bytes.extend([0; 600_000]);
        let reading = read(&bytes).unwrap();
        assert_eq!(reading.seen.len(), 3);
        assert_eq!(reading.cut, Some(Cut { at, frames: 3, why: Why::FrameLength(claims) }));
        let text = reading.status.truncated.unwrap();
        assert_eq!(text, format!("record 4 at byte {at} claims {claims} bytes, more than 262144"));
    }
}

#[test]
fn pcap_cut_anywhere_gives_what_came_before() {
    for order in [Order::Little, Order::Big] {
        for (shape, _) in variants(order) {
            let frames = frames(4);
            let whole = shape.write(&frames);
            let header = 24 + shape.more_file_header;
            let ends: Vec<usize> = (0..=4).map(|n| shape.write(&frames[..n]).len()).collect();
            for len in 1..=whole.len() {
                let Some(reading) = read(&whole[..len]) else {
                    assert!(len < 4, "{shape:?} cut at {len} is not opened");
                    continue;
                };
                let complete = ends.iter().filter(|&&end| end <= len).count().max(1) - 1;
                assert_eq!(reading.seen.len(), complete, "{shape:?} cut at {len}");
                assert_eq!(reading.cut.is_none(), ends.contains(&len), "{shape:?} cut at {len}");
                if len < header {
                    assert_eq!(reading.why(), Some(Why::FileHeader { have: len, need: header }));
                }
            }
        }
    }
}

// ---------------------------------------------------------------------------------------- pcapng

#[test]
fn every_block_of_pcapng_is_read_or_passed_over() {
    for order in [Order::Little, Order::Big] {
        let mut file = PcapNg::new(order);
        let stamp = 1_700_000_000_000_001;
        file.interface(1, 0, &[(2, b"eth0"), (3, b"a description"), (13, &[4])])
            .interface(113, 96, &[(2, b"any\0"), (9, &[9])])
            .enhanced(0, stamp, &[1; 61], 61)
            .block(4, &[0; 20]) // name resolution
            .block(5, &[0; 20]) // interface statistics
            .block(10, b"TLSK....") // decryption secrets
            .block(0x0bad, &[0; 8]) // custom
            .block(0x8000_0001, &[0; 3]) // nobody's
            .block(0x4000_0bad, &vec![7; 3 << 20]) // longer than is read in one piece
            .enhanced(1, stamp * 1000, &[2; 60], 2000)
            .obsolete(0, stamp + 1, &[3; 33], 34)
            .simple(&[4; 30], 30)
            .enhanced(0, 0, &[], 0);
        let reading = read(&file.bytes).unwrap();
        let seen = |byte: u8, len, wall, wire_len, iface| Seen {
            bytes: vec![byte; len],
            wall,
            wire_len,
            iface,
            link: [1, 113][usize::from(iface)],
        };
        let wall = stamp * 1000;
        assert_eq!(
            reading.seen,
            [
                seen(1, 61, wall, 61, 0),
                seen(2, 60, wall, 2000, 1),
                seen(3, 33, wall + 1000, 34, 0),
                seen(4, 30, wall + 1000, 30, 0),
                seen(0, 0, 0, 0, 0),
            ]
        );
        assert_eq!(reading.cut, None);
        assert_eq!(reading.status.blocks_skipped, 6);
        let names: Vec<_> = reading.status.interfaces.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["eth0", "any"]);
    }
}

#[test]
fn simple_packets_are_cut_at_the_snap_length() {
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 5, &[]).simple(b"12345", 60).simple(b"123", 3);
    let reading = read(&file.bytes).unwrap();
    let seen: Vec<_> = reading.seen.iter().map(|s| (s.bytes.as_slice(), s.wire_len, s.wall)).collect();
    assert_eq!(seen, [(&b"12345"[..], 60, 0), (&b"123"[..], 3, 0)]);
}

#[test]
fn sections_have_their_own_order_and_interfaces() {
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 0, &[(2, b"a")]).enhanced(0, 1_000_000, b"one", 3);
    file.order = Order::Big;
    file.section((1, 0)).interface(101, 0, &[(2, b"b"), (9, &[0x80])]).enhanced(0, 2, b"two", 3);
    file.order = Order::Little;
    file.section((1, 2)).interface(228, 0, &[(8, &10_000_000_000_u64.to_le_bytes())]);
    file.enhanced(0, 3_000_000, b"three", 5);
    let reading = read(&file.bytes).unwrap();
    let seen: Vec<_> = reading.seen.iter().map(|s| (s.iface, s.link, s.wall / 1_000_000_000)).collect();
    assert_eq!(seen, [(0, 1, 1), (1, 101, 2), (2, 228, 3)]);
    assert_eq!(reading.status.interfaces[2].speed, Some(10_000_000_000));
    assert_eq!(reading.cut, None);
}

#[test]
fn times_that_do_not_fit_are_saturated_and_counted() {
    let mut file = PcapNg::new(Order::Big);
    let year = 31_557_600_u64;
    file.interface(1, 0, &[(14, &1_000_u64.to_be_bytes())])
        .interface(1, 0, &[(14, &(-1_000_i64).to_be_bytes())])
        .interface(1, 0, &[(9, &[0x80 | 30]), (14, &1_000_u64.to_be_bytes())])
        .enhanced(0, 1_500_000, b"", 0)
        .enhanced(1, 999_999_999, b"", 0)
        .enhanced(1, 1_000_000_001, b"", 0)
        .enhanced(0, 600 * year * 1_000_000, b"", 0)
        .enhanced(0, u64::MAX, b"", 0)
        .enhanced(2, 3 << 29, b"", 0);
    let reading = read(&file.bytes).unwrap();
    let walls: Vec<_> = reading.seen.iter().map(|s| s.wall).collect();
    assert_eq!(walls, [1_001_500_000_000, 0, 1000, u64::MAX, u64::MAX, 1_001_500_000_000]);
    assert_eq!(reading.status.stamps_saturated, 3);
}

#[test]
fn nonsense_in_pcapng_ends_the_reading_with_a_reason() {
    let epb = |captured: u32| {
        let mut body = Vec::new();
        for field in [0, 0, 0, captured, 60] {
            Order::Little.word(&mut body, field);
        }
        body.extend([9; 20]);
        body
    };
    type Break = Box<dyn Fn(&mut PcapNg)>;
    let cases: Vec<(Break, Why)> = vec![
        (Box::new(|f| _ = f.raw_block(5, 0, &[], 0)), Why::BlockLength(0)),
        (Box::new(|f| _ = f.raw_block(5, 8, &[], 8)), Why::BlockLength(8)),
        (Box::new(|f| _ = f.raw_block(5, 13, &[0; 4], 13)), Why::BlockLength(13)),
        (Box::new(|f| _ = f.raw_block(5, 0xffff_ffff, &[0; 4], 0)), Why::BlockLength(0xffff_ffff)),
        (Box::new(|f| _ = f.raw_block(5, 16, &[0; 4], 20)), Why::BlockEnds(16, 20)),
        (Box::new(|f| _ = f.raw_block(6, 16, &[0; 4], 16)), Why::BlockRoom { claims: 20, room: 4 }),
        (Box::new(|f| _ = f.raw_block(3, 12, &[], 12)), Why::BlockRoom { claims: 4, room: 0 }),
        (Box::new(|f| _ = f.raw_block(1, 12, &[], 12)), Why::BlockRoom { claims: 8, room: 0 }),
        (Box::new(|f| _ = f.raw_block(6, 1 << 20, &[0; 1 << 20], 1 << 20)), Why::BlockTooLong(1 << 20)),
        (Box::new(move |f| _ = f.block(6, &epb(21))), Why::BlockRoom { claims: 21, room: 20 }),
        (Box::new(move |f| _ = f.block(6, &epb(65_536))), Why::BlockRoom { claims: 65_536, room: 20 }),
        (Box::new(move |f| _ = f.block(6, &epb(u32::MAX))), Why::FrameLength(u32::MAX)),
        (Box::new(|f| _ = f.enhanced(7, 0, b"x", 1)), Why::Interface { index: 7, known: 1 }),
        (Box::new(|f| _ = f.obsolete(1, 0, b"x", 1)), Why::Interface { index: 1, known: 1 }),
        (Box::new(|f| _ = f.section((1, 0)).simple(b"x", 1)), Why::Interface { index: 0, known: 0 }),
        (Box::new(|f| _ = f.section((2, 0))), Why::Version(2, 0)),
        (Box::new(|f| _ = f.block(0x0a0d_0d0a, &[0; 16])), Why::ByteOrder(0)),
        (
            Box::new(|f| _ = f.raw_block(5, 0x7fff_fffc, &[0; 40], 0)),
            Why::Ends { have: 52 + 60, need: 0x7fff_fffc },
        ),
        (
            Box::new(|f| _ = f.raw_block(5, MAX_BLOCK, &[0; 40], 0)),
            Why::Ends { have: 52 + 60, need: MAX_BLOCK as usize },
        ),
    ];
    for (break_it, why) in cases {
        let mut file = PcapNg::new(Order::Little);
        file.interface(1, 0, &[]).enhanced(0, 1, b"good", 4);
        break_it(&mut file);
        file.enhanced(0, 2, &[0; 28], 28);
        let reading = read(&file.bytes).unwrap();
        assert_eq!(reading.why(), Some(why));
        assert_eq!(reading.seen.len(), 1, "{why:?}");
    }
}

/// Adds something to a file, and returns how many frames it holds.
type Step = fn(&mut PcapNg) -> usize;

#[test]
fn pcapng_cut_anywhere_gives_what_came_before() {
    let steps: [Step; 9] = [
        |f| f.interface(1, 0, &[(2, b"eth0"), (9, &[9])]).none(),
        |f| f.enhanced(0, 5, &[1; 33], 33).one(),
        |f| f.block(5, &[0; 12]).none(),
        |f| f.simple(&[2; 9], 9).one(),
        |f| f.obsolete(0, 6, &[3; 10], 10).one(),
        |f| f.block(0xbad, &[0; 100]).none(),
        |f| f.section((1, 0)).none(),
        |f| f.interface(101, 0, &[]).none(),
        |f| f.enhanced(0, 7, &[4; 4], 4).one(),
    ];
    for order in [Order::Little, Order::Big] {
        let mut file = PcapNg::new(order);
        // Where blocks end, and how many frames there are up to there.
        let mut ends = vec![(file.bytes.len(), 0)];
        for step in steps {
            let frames = ends[ends.len() - 1].1 + step(&mut file);
            ends.push((file.bytes.len(), frames));
        }
        for len in 1..=file.bytes.len() {
            let Some(reading) = read(&file.bytes[..len]) else {
                assert!(len < 4, "{order:?} cut at {len} is not opened");
                continue;
            };
            let complete = ends.iter().rev().find(|(end, _)| *end <= len).map_or(0, |(_, frames)| *frames);
            assert_eq!(reading.seen.len(), complete, "{order:?} cut at {len}");
            let whole = ends.iter().any(|(end, _)| *end == len);
            assert_eq!(reading.cut.is_none(), whole, "{order:?} cut at {len}");
        }
    }
}

trait Holds {
    fn none(&mut self) -> usize {
        0
    }
    fn one(&mut self) -> usize {
        1
    }
}

impl Holds for PcapNg {}

#[test]
fn more_interfaces_than_numbers_share_the_last() {
    let mut file = PcapNg::new(Order::Little);
    for section in 0..3 {
        for _ in 0..30_000 {
            file.interface(1, 0, &[]);
        }
        file.enhanced(29_999, 0, &[section], 1).section((1, 0));
    }
    let mut file = streamed(&file.bytes, 1 << 20).unwrap();
    let mut ids = Vec::new();
    loop {
        match file.burst(64, |_, meta| ids.push(meta.iface.0)) {
            Progress::Frames => {}
            Progress::Idle => file.wait(Nanos::from_secs(10)),
            Progress::End => break,
        }
    }
    assert_eq!(ids, [29_999, 59_999, 65_535]);
    let mut status = SourceStatus::default();
    file.status(&mut status);
    assert_eq!(status.interfaces.len(), 65_536);
}

#[test]
fn burst_without_frames_ends_soon() {
    let mut file = PcapNg::new(Order::Little);
    for _ in 0..10_000 {
        file.block(5, &[]);
    }
    let file = Temp::new(&file.bytes);
    let mut source = file.open().unwrap();
    assert_eq!(source.burst(64, |_, _| {}), Progress::Idle);
    assert_eq!(Reading::of(source, 64).status.blocks_skipped, 10_000);
}

// --------------------------------------------------------------------------------- opening, ending

#[test]
fn what_cannot_be_opened_says_why() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let text = |path: &Path| match CaptureFile::open(path, platform::map_guard()) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(e) => e.to_string().replace(&path.display().to_string(), "FILE"),
    };
    assert_eq!(text(&dir.join("no-such-file.pcap")), "cannot read FILE: no such file");
    assert_eq!(text(dir), "cannot read FILE: it is a directory, not a capture file");
    let mut section = PcapNg::new(Order::Big);
    section.bytes.clear();
    section.section((3, 1));
    let foreign = "FILE is not a capture file (pcap or pcapng): ";
    let cases: [(&[u8], String); 9] = [
        (b"", "cannot read FILE: it is empty".into()),
        (b"\xd4", format!("{foreign}it has only 1 bytes")),
        (b"\x29\x72\xbb\x04 and so on", format!("{foreign}it begins with 0x2972bb04")),
        (b"#!/usr/bin/env python3\n\nimport sys\n", format!("{foreign}it looks like text")),
        (
            b"\x1f\x8b\x08\0\0",
            format!("{foreign}compressed: unpack it first, e.g. zcat FILE | rustnet --read -"),
        ),
        (
            b"snoop\0\0\0\0\0\0\x02",
            format!("{foreign}it looks like a snoop capture: convert it first, e.g. editcap FILE OUT.pcapng"),
        ),
        (
            &PcapShape { version: (2, 5), ..PcapShape::USUAL }.write(&[]),
            "cannot read FILE: pcap version 2.5 is not supported".into(),
        ),
        (&section.bytes, "cannot read FILE: pcapng version 3.1 is not supported".into()),
        (
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x01\x02\x03\x04\0\x01\0\0",
            format!(
                "{foreign}it looks like a pcapng section without a byte-order magic: was it copied as text?"
            ),
        ),
    ];
    for (bytes, message) in cases {
        assert_eq!(text(&Temp::new(bytes).0), message);
        assert!(streamed(bytes, 3).is_err());
    }
}

#[test]
fn failing_input_ends_the_reading_with_a_reason() {
    struct Failing(Vec<u8>);
    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let len = self.0.len();
            out[..len].copy_from_slice(&std::mem::take(&mut self.0));
            Ok(len)
        }
    }
    let file = CaptureFile::from_reader(Box::new(Failing(PcapShape::USUAL.write(&frames(5))))).unwrap();
    let reading = Reading::of(file, 64);
    assert_eq!(reading.seen.len(), 5);
    assert_eq!(reading.why(), Some(Why::Io(io::ErrorKind::ConnectionReset)));
}

#[test]
fn a_reader_that_waits_makes_the_source_idle() {
    struct Gate(std::sync::mpsc::Receiver<Vec<u8>>);
    impl Read for Gate {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.recv().unwrap_or_default();
            out[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }
    let (gate, opened) = std::sync::mpsc::channel();
    let whole = PcapShape::USUAL.write(&frames(2));
    let first = PcapShape::USUAL.write(&frames(1)).len();
    gate.send(whole[..first + 10].to_vec()).unwrap();
    let mut file = CaptureFile::from_reader(Box::new(Gate(opened))).unwrap();
    assert_eq!(file.burst(64, |_, _| {}), Progress::Frames);
    assert_eq!(file.burst(64, |_, _| panic!("half a frame")), Progress::Idle);
    gate.send(whole[first + 10..].to_vec()).unwrap();
    file.wait(Nanos::from_secs(60));
    assert_eq!(file.burst(64, |frame, _| assert_eq!(frame.len(), 7)), Progress::Frames);
    drop(gate);
    file.wait(Nanos::from_secs(60));
    assert_eq!(file.burst(64, |_, _| {}), Progress::End);
    assert_eq!(file.cut(), None);
}

/// A pcap or pcapng with `n` frames of `len` bytes that cannot be zeros, and the bytes of one record.
fn dense(pcapng: bool, n: usize, len: usize) -> (Vec<u8>, usize) {
    let frame = Frame { secs: 1, fraction: 1, bytes: vec![0xa5; len], wire_len: len as u32 };
    if !pcapng {
        return (PcapShape::USUAL.write(&vec![frame; n]), len + 16);
    }
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 0, &[]);
    for _ in 0..n {
        file.enhanced(0, 1, &frame.bytes, len as u32);
    }
    (file.bytes, len + 32)
}

#[test]
fn file_shortened_while_read_ends_like_one_cut_short() {
    // Frames that are read in pieces, the first of 256 KB; short ones, which are mapped after the first piece. New
    // ends on a page's edge, within a page, within a record header, before and behind what is read, near the end, and
    // between two records of the pcaps.
    let between = [24 + 316 * 1200, 24 + 76 * 5000];
    let ends = [0, 100, 4096, 40_961, 262_144, 300_000, 360_448, 360_449, 400_020, 580_000];
    let ends = ends.into_iter().chain(between);
    for (pcapng, len) in [(false, 300), (true, 300), (false, 60), (true, 60)] {
        for new_len in ends.clone() {
            let (bytes, record) = dense(pcapng, 600_000 / (len + 16), len);
            let file = Temp::new(&bytes);
            let mut source = file.open().unwrap();
            let mut frames = 0;
            // Maps pages before they go away.
            let ahead = if len == 60 { 320_000 } else { 2000 };
            while frames * record < ahead {
                source.burst(5, |_, _| frames += 1);
            }
            let in_memory = frames.max(if len == 60 { 0 } else { 262_144 / record });
            fs::OpenOptions::new().write(true).open(&file.0).unwrap().set_len(new_len).unwrap();
            let mut spoiled = 0;
            while source.burst(32, |frame, _| {
                frames += 1;
                assert_eq!(frame.len(), len, "{pcapng} {new_len} after {frames}");
                spoiled += usize::from(frame.iter().any(|&b| b != 0xa5));
            }) != Progress::End
            {}
            let why = source.cut().map(|cut| cut.why);
            assert_eq!(why, Some(Why::Shortened), "pcapng {pcapng}, {len}, {new_len}");
            // What was read or lay before the new end came, and nothing else but one frame across it.
            let whole = (new_len as usize / record).saturating_sub(1).max(in_memory);
            assert!((whole..=whole + 3).contains(&frames), "{pcapng}, {len}, {new_len}: {frames} of {whole}");
            let may_be_spoiled = usize::from(!pcapng && len == 60);
            assert!(spoiled <= may_be_spoiled, "pcapng {pcapng}, {len}, {new_len}: {spoiled} spoiled");
        }
    }
}

#[test]
fn more_files_than_can_be_watched_are_read_all_the_same() {
    let (bytes, _) = dense(false, 10_000, 60);
    let file = Temp::new(&bytes);
    let open: Vec<_> = (0..100).map(|_| file.open().unwrap()).collect();
    for source in open {
        assert_eq!(Reading::of(source, 64).seen.len(), 10_000);
    }
}

/// Returns synthetic frames as records of a file with nanoseconds.
fn records(frames: &Frames) -> Vec<Frame> {
    frames
        .iter()
        .map(|(bytes, meta)| Frame {
            secs: (meta.wall.0 / 1_000_000_000) as u32,
            fraction: (meta.wall.0 % 1_000_000_000) as u32,
            bytes: bytes.to_vec(),
            wire_len: meta.wire_len,
        })
        .collect()
}

#[test]
fn a_long_file_is_the_same_mapped_and_streamed() {
    let made = Traffic::new(500, 40_000, 11).payload(400).frames();
    assert!(made.wire_bytes() > 8 << 20, "several buffers long");
    let frames = records(&made);
    let shape = PcapShape { magic: 0xa1b2_3c4d, ..PcapShape::USUAL };
    assert_eq!(read(&shape.write(&frames)).unwrap().seen, expect(&frames, 1, 1));

    let mut file = PcapNg::new(Order::Big);
    file.interface(1, 0, &[(9, &[9])]);
    for (bytes, meta) in made.iter() {
        file.enhanced(0, meta.wall.0, bytes, meta.wire_len);
    }
    let file = Temp::new(&file.bytes);
    let mut again = Frames::default();
    again.extend_from(&mut file.open().unwrap());
    assert!(made.iter().map(|(b, m)| (b, m.wall)).eq(again.iter().map(|(b, m)| (b, m.wall))));
}

#[test]
#[ignore = "needs tshark: cargo test --test capture_formats -- --ignored"]
fn synthetic_traffic_is_flawless_to_tshark() {
    let frames = records(&Traffic::new(200, 5000, 3).frames());
    let file = Temp::new(&PcapShape { magic: 0xa1b2_3c4d, ..PcapShape::USUAL }.write(&frames));
    let protocols = ["ip", "tcp", "udp", "icmp", "icmpv6"];
    let bad: Vec<String> = protocols.iter().map(|p| format!("{p}.checksum.status == 0")).collect();
    let shown = |filter: &str| {
        let mut tshark = std::process::Command::new("tshark");
        for protocol in ["ip", "tcp", "udp"] {
            tshark.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
        }
        // The payloads are of no protocol, whatever the ports say.
        for protocol in ["dns", "ssh", "tls", "http", "pgsql"] {
            tshark.args(["--disable-protocol", protocol]);
        }
        let output = tshark.arg("-r").arg(&file.0).args(["-Y", filter]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().take(5).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(shown(&format!("_ws.malformed or {}", bad.join(" or "))), "");
    for protocol in
        ["tcp", "udp", "icmp", "icmpv6", "arp", "ipv6", "vlan", "ip.flags.mf == 1", "tcp.flags.reset == 1"]
    {
        assert_ne!(shown(protocol), "", "no {protocol}");
    }
    assert_ne!(shown("tcp.analysis.retransmission"), "");
    assert_eq!(shown("tcp.analysis.lost_segment or tcp.analysis.ack_lost_segment"), "");
}

// --------------------------------------------------------------------------------------- garbage

/// A file with everything in it.
fn rich(pcapng: bool) -> Vec<u8> {
    if !pcapng {
        return PcapShape::USUAL.write(&frames(12));
    }
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 0, &[(2, b"eth0")]).interface(113, 64, &[(9, &[9]), (14, &[1; 8])]);
    for frame in frames(6) {
        file.enhanced(1, 77, &frame.bytes, frame.wire_len).block(5, &[0; 12]);
        file.obsolete(0, 78, &frame.bytes, 20).simple(&frame.bytes, frame.bytes.len() as u32);
    }
    file.bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_behind_frames_costs_none_of_them(
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
        pcapng: bool,
    ) {
        let mut bytes = rich(pcapng);
        let before = read(&bytes).unwrap();
        bytes.extend(garbage);
        let after = read(&bytes).unwrap();
        prop_assert!(after.seen.starts_with(&before.seen));
    }

    #[test]
    fn changed_bytes_are_read_to_some_end(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        pcapng: bool,
    ) {
        let mut bytes = rich(pcapng);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // Agreement of all ways in is asserted inside.
        read(&bytes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_magic_are_read_to_some_end(
        garbage in proptest::collection::vec(any::<u8>(), 0..400),
        kind in 0..4_usize,
    ) {
        let (pcap, pcapng) = (rich(false), rich(true));
        let head = [&pcap[..24], &pcapng[..28], &pcapng[..48], &[]][kind];
        let bytes: Vec<u8> = head.iter().copied().chain(garbage).collect();
        read(&bytes);
    }
}

// -------------------------------------------------------------------------------- shared captures

#[test]
fn shared_captures_have_the_frames_and_bytes_of_the_truth() {
    let Some(captures) = shared::captures() else { return };
    let mut compared = 0;
    for entry in fs::read_dir(captures.join("expected")).unwrap() {
        let truth = entry.unwrap().path();
        let name = truth.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&truth).unwrap();
        let summary: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let bytes = fs::read(captures.join(&name)).unwrap();
        let reading = read(&bytes);
        let got = reading
            .as_ref()
            .map_or((0, 0), |r| (r.seen.len() as u64, r.seen.iter().map(|s| u64::from(s.wire_len)).sum()));
        let want = (summary["packets"].as_u64().unwrap(), summary["bytes"].as_u64().unwrap());
        if name.starts_with("mal-") {
            if got != want {
                let why = reading.and_then(|r| r.status.truncated);
                eprintln!("{name}: {got:?} instead of tshark's {want:?}: {why:?}");
            }
            continue;
        }
        let reading = reading.unwrap_or_else(|| panic!("{name} is not opened"));
        // tshark shows a pcapng's custom blocks as records too: three of 24, 60 and 32 bytes.
        let custom = if name == "format-pcapng-complex.pcapng" { (3, 24 + 60 + 32) } else { (0, 0) };
        assert_eq!((got.0 + custom.0, got.1 + custom.1), want, "{name}: {:?}", reading.cut);
        assert_eq!(reading.cut, None, "{name}");
        compared += 1;
    }
    assert!(compared > 200, "only {compared} captures compared");
}
