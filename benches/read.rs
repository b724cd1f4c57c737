//! Frames a second out of capture files in the page cache, pcap and pcapng: short frames, which are mapped, and long
//! ones, which are read in pieces.
#![allow(clippy::unwrap_used, reason = "a bench may panic")]
#![allow(missing_docs, reason = "criterion's macros")]

#[path = "../tests/common/capture_bytes.rs"]
mod capture_bytes;

use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::Duration,
};

use capture_bytes::{Frame, Order, PcapNg, PcapShape};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustnet::{
    capture::{
        capture_file::CaptureFile,
        source::{Progress, Source},
    },
    platform,
};

/// Frames in each file: 76 MB of the shortest frames in a pcap.
const FRAMES: usize = 1_000_000;

fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("rustnet-bench-{}-{name}", std::process::id()));
    fs::write(&path, bytes).unwrap();
    path
}

/// Opens the file, reads all of it, and returns frames and wire bytes.
fn read_all(path: &Path) -> (u64, u64) {
    let mut file = CaptureFile::open(path, platform::map_guard()).unwrap();
    let (mut frames, mut bytes) = (0, 0);
    while file.burst(64, |frame, meta| {
        frames += 1;
        bytes += u64::from(meta.wire_len);
        black_box(frame.first());
    }) != Progress::End
    {}
    (frames, bytes)
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(FRAMES as u64)).sample_size(10);
    let frame = Frame { secs: 1, fraction: 1, bytes: vec![0x45; 60], wire_len: 60 };
    let frames = vec![frame; FRAMES];
    let long = Frame { secs: 1, fraction: 1, bytes: vec![0x45; 300], wire_len: 300 };

    let mut pcapng = PcapNg::new(Order::Little);
    pcapng.interface(1, 0, &[]);
    for frame in &frames {
        pcapng.enhanced(0, 1_000_001, &frame.bytes, frame.wire_len);
    }
    let files = [
        ("pcap", PcapShape::USUAL.write(&frames)),
        ("pcap-big-endian", PcapShape { order: Order::Big, ..PcapShape::USUAL }.write(&frames)),
        ("pcapng", pcapng.bytes),
        ("pcap-300", PcapShape::USUAL.write(&vec![long; FRAMES])),
    ];
    for (name, bytes) in files {
        let path = write(name, &bytes);
        drop(bytes);
        let len = if name == "pcap-300" { 300 } else { 60 };
        assert_eq!(read_all(&path), (FRAMES as u64, len * FRAMES as u64));
        group.bench_function(name, |b| b.iter(|| read_all(&path)));
        fs::remove_file(&path).unwrap();
    }
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
