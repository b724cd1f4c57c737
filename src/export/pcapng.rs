//! Frames of connections as a pcapng file (draft-ietf-opsawg-pcapng), with owners and names as comments.
//!
//! Frames come from a source of their own, read in a thread of its own: the packet path is not concerned, and what
//! comes faster than it is written is lost to that source alone, which counts it.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::{
    capture::source::{Progress, Source, SourceStatus},
    export::{
        chosen::{Choice, Chosen},
        reread::{BURST, WAIT},
    },
    packet::{link::LinkType, parse::FrameMeta},
    query::recording::Tally,
};

/// Bytes after which writing ends.
const MOST_BYTES: u64 = 4 << 30;
/// How often the source is asked what it lost, and what its interfaces are called.
const LOOK: Duration = Duration::from_secs(1);

/// Copies the chosen frames until the source ends, `stop` is set or the file is as large as it may be; returns whether
/// it is. `comment` is what is said of the file.
///
/// # Errors
/// When `out` cannot be written to.
pub fn copy<S: Source>(
    mut source: S,
    mut chosen: Chosen,
    comment: &str,
    out: impl Write,
    tally: &Tally,
    stop: &AtomicBool,
) -> io::Result<bool> {
    let mut file = File::new(out);
    let mut status = SourceStatus::default();
    // Relaxed here and below: figures for the eye, and a flag that stands alone.
    let mut look = |source: &mut S, file: &mut File<_>| {
        source.status(&mut status);
        tally.lost.store(status.kernel_drops, Ordering::Relaxed);
        file.names = status.interfaces.iter().map(|interface| interface.name.clone()).collect();
    };
    look(&mut source, &mut file);
    file.section(comment)?;
    chosen.begin();
    let (mut frames, mut asked, mut done) = (0, Instant::now(), Ok(()));
    while done.is_ok() && !stop.load(Ordering::Relaxed) && file.bytes < MOST_BYTES {
        for (meta, bytes, comment) in chosen.hear() {
            done = done.and_then(|()| file.frame(&bytes, &meta, comment.as_deref()));
            frames += u64::from(done.is_ok());
        }
        let progress = source.burst(BURST, |bytes, meta| {
            if done.is_ok()
                && let Choice::Written(comment) = chosen.choose(bytes, meta)
            {
                done = file.frame(bytes, meta, comment.as_deref());
                frames += u64::from(done.is_ok());
            }
        });
        tally.frames.store(frames, Ordering::Relaxed);
        tally.bytes.store(file.bytes, Ordering::Relaxed);
        if asked.elapsed() >= LOOK {
            asked = Instant::now();
            look(&mut source, &mut file);
        }
        match progress {
            Progress::Frames => {}
            Progress::Idle => {
                // What is quiet is on disk, as far as anybody has seen it on screen.
                file.out.flush()?;
                source.wait(WAIT);
            }
            Progress::End => break,
        }
    }
    look(&mut source, &mut file);
    done?;
    file.out.flush()?;
    Ok(file.bytes >= MOST_BYTES)
}

/// Says what is left of a file that could not be written to its end, and removes it if there is nothing in it: what was
/// recorded so far can mostly be read.
pub fn left_of(path: &Path, frames: u64) -> String {
    match fs::metadata(path).map(|file| file.len()) {
        Ok(bytes @ 1..) if frames > 0 => {
            format!("its first {bytes} bytes are left, the last frame may be cut")
        }
        _ => {
            let _ = fs::remove_file(path);
            "nothing of it is left".into()
        }
    }
}

/// A file in the making. Every block is 32-bit aligned and has its length at both ends.
struct File<W> {
    out: W,
    /// Link types by interface.
    links: Vec<(LinkType, u16)>,
    /// What the source's interfaces are called.
    names: Vec<String>,
    bytes: u64,
}

impl<W: Write> File<W> {
    fn new(out: W) -> Self {
        Self { out, links: Vec::new(), names: Vec::new(), bytes: 0 }
    }

    /// Section header (4.1): byte order, version 1.0, length unknown.
    fn section(&mut self, comment: &str) -> io::Result<()> {
        let mut body = 0x1a2b_3c4d_u32.to_ne_bytes().to_vec();
        body.extend_from_slice(&1_u16.to_ne_bytes());
        body.extend_from_slice(&0_u16.to_ne_bytes());
        body.extend_from_slice(&u64::MAX.to_ne_bytes());
        option(&mut body, 1, comment.as_bytes());
        option(&mut body, 4, concat!("rustnet ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(&mut body, 0, b"");
        self.block(0x0a0d_0d0a, &body)
    }

    /// Returns the number of an interface; its description (4.2) comes with its first frame: its
    /// name, nanoseconds.
    fn interface(&mut self, meta: &FrameMeta) -> io::Result<u32> {
        let wanted = (meta.link, meta.iface.0);
        if let Some(n) = self.links.iter().position(|known| *known == wanted) {
            return Ok(n as u32);
        }
        let mut body = meta.link.0.to_ne_bytes().to_vec();
        body.extend_from_slice(&[0; 6]);
        if let Some(name) = self.names.get(usize::from(meta.iface.0)).filter(|name| !name.is_empty()) {
            option(&mut body, 2, name.as_bytes());
        }
        option(&mut body, 9, &[9]);
        option(&mut body, 0, b"");
        self.block(1, &body)?;
        self.links.push(wanted);
        Ok(self.links.len() as u32 - 1)
    }

    /// Enhanced packet (4.3). The tag that the kernel took off comes back.
    fn frame(&mut self, bytes: &[u8], meta: &FrameMeta, comment: Option<&str>) -> io::Result<()> {
        let interface = self.interface(meta)?;
        let tag = meta.stripped_vlan.filter(|_| meta.link == LinkType::ETHERNET && bytes.len() >= 12);
        let (head, rest) = bytes.split_at(if tag.is_some() { 12 } else { 0 });
        let tag: Vec<u8> =
            tag.map_or(Vec::new(), |(tpid, tci)| [tpid.to_be_bytes(), tci.to_be_bytes()].concat());
        let captured = (bytes.len() + tag.len()) as u32;
        let original = meta.wire_len.saturating_add(tag.len() as u32).max(captured);
        let mut body = Vec::with_capacity(bytes.len() + 64);
        for word in [interface, (meta.wall.0 >> 32) as u32, meta.wall.0 as u32, captured, original] {
            body.extend_from_slice(&word.to_ne_bytes());
        }
        [head, &tag, rest].iter().for_each(|part| body.extend_from_slice(part));
        body.resize(body.len().next_multiple_of(4), 0);
        if let Some(comment) = comment {
            option(&mut body, 1, comment.as_bytes());
            option(&mut body, 0, b"");
        }
        self.block(6, &body)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = body.len() as u32 + 12;
        let parts = [&kind.to_ne_bytes()[..], &length.to_ne_bytes(), body, &length.to_ne_bytes()];
        self.bytes += u64::from(length);
        parts.iter().try_for_each(|part| self.out.write_all(part))
    }
}

/// Bytes of an option at most.
const MOST_OF_AN_OPTION: usize = 1 << 12;

/// Adds an option: code, length, value, and what it lacks to a multiple of 4. What is too long is cut, text
/// between characters (RFC 3629 section 3: what follows a character's first byte begins with the bits 10).
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let is_inside = |at: usize| value.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (MOST_OF_AN_OPTION - 3..=MOST_OF_AN_OPTION).rev().find(|at| !is_inside(*at));
    let value = &value[..value.len().min(end.unwrap_or(MOST_OF_AN_OPTION))];
    body.extend_from_slice(&code.to_ne_bytes());
    body.extend_from_slice(&(value.len() as u16).to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        sync::{Arc, mpsc},
    };

    use super::*;
    use crate::{
        base::{
            ids::IfaceId,
            time::{Stamp, Tick},
        },
        capture::{
            capture_file::CaptureFile,
            synthetic::{Frames, MemorySource, Mix, Traffic},
        },
        flow::entry::FlowRecord,
        packet::{
            descriptor::Descriptor,
            hash::Seed,
            key::{FlowKey, WideKey},
            name::FlowName,
            parse::{ParseConfig, Parser, Verdict},
        },
        query::recording::{News, Others, Recorded},
    };

    #[test]
    fn what_is_left_of_a_file_is_told_and_an_empty_one_goes() {
        let path = std::env::temp_dir().join(format!("rustnet-left-{}.pcapng", std::process::id()));
        for (bytes, frames, is_left) in [(0, 0, false), (0, 7, false), (96, 0, false), (4096, 7, true)] {
            fs::write(&path, vec![0; bytes]).unwrap();
            let told = left_of(&path, frames);
            assert_eq!(told.contains("first 4096 bytes are left"), is_left, "{told}");
            assert_eq!(path.exists(), is_left, "{bytes} {frames}");
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn k19_a_long_comment_is_cut_between_characters() {
        for (ascii, kept) in [(0, 4095), (1, 4096), (2, 4094)] {
            let comment = "x".repeat(ascii) + &"網".repeat(2000);
            let mut body = Vec::new();
            option(&mut body, 1, comment.as_bytes());
            let len = usize::from(u16::from_ne_bytes([body[2], body[3]]));
            let text = std::str::from_utf8(&body[4..4 + len]).unwrap();
            assert_eq!(len, kept, "{ascii}");
            assert!(comment.starts_with(text) && body.len() % 4 == 0);
        }
        let mut body = Vec::new();
        option(&mut body, 1, b"short");
        assert_eq!(body[4..], *b"short\0\0\0");
    }
    type Key = (FlowKey, [u8; 32]);

    /// All frames of a source by the key that the parser gives them.
    fn by_key(mut source: impl Source) -> FramesByKey {
        let mut parser = Parser::new(ParseConfig::default(), Seed::new(1));
        let mut all: FramesByKey = HashMap::new();
        loop {
            let progress = source.burst(64, |bytes, meta| {
                let (mut frame, mut wide) =
                    (Descriptor { tick: Tick(0), ..Descriptor::default() }, WideKey::default());
                if parser.parse(bytes, meta, &mut frame, &mut wide) == Verdict::Flow {
                    let key = (frame.key, wide.ends.concat().try_into().unwrap());
                    let (record, frames) = all.entry(key).or_default();
                    (record.hot.key, record.wide) = (frame.key, wide);
                    if frames.is_empty() {
                        record.facts.first = meta.wall;
                    }
                    record.hot.last = meta.wall;
                    frames.push(bytes.to_vec());
                }
            });
            if progress == Progress::End {
                return all;
            }
        }
    }

    /// By key: a flow and its frames.
    type FramesByKey = HashMap<Key, (FlowRecord, Vec<Vec<u8>>)>;

    /// Writes what is chosen out of `frames`, and returns what is read of it.
    fn written(
        frames: &Arc<Frames>,
        news: News,
        others: Others,
        until: Option<Stamp>,
    ) -> (FramesByKey, Vec<u8>, Tally) {
        let (sender, receiver) = mpsc::channel();
        sender.send(news).unwrap();
        // Another secret than that of the engine.
        let parser = Parser::new(ParseConfig::default(), Seed::new(99));
        let chosen = Chosen::new(parser, receiver, others, until);
        let (mut out, tally) = (Vec::new(), Tally::default());
        let source = MemorySource::new(Arc::clone(frames));
        let full = copy(source, chosen, "all", &mut out, &tally, &AtomicBool::new(false)).unwrap();
        assert!(!full);
        let read = by_key(CaptureFile::from_reader(Box::new(io::Cursor::new(out.clone()))).unwrap());
        (read, out, tally)
    }

    fn has(bytes: &[u8], text: &str) -> usize {
        bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
    }

    #[test]
    fn k19_the_frames_of_named_flows_are_in_the_file_and_no_others() {
        let frames = Arc::new(Traffic::new(40, 2000, 3).mix(Mix::ALL).frames());
        let all = by_key(MemorySource::new(Arc::clone(&frames)));
        assert!(all.len() > 20);
        let last = all.values().map(|(record, _)| record.hot.last).max().unwrap();
        let named = |record: &FlowRecord, n: usize| Recorded {
            name: FlowName::of(&record.hot.key, &record.wide),
            span: [record.facts.first, record.hot.last],
            comment: format!("nginx ({n})."),
        };
        for until in [None, Some(last)] {
            for part in [1, 3, all.len()] {
                let meant: Vec<_> = all.values().take(part).collect();
                let joined = meant.iter().enumerate().map(|(n, (record, _))| named(record, n)).collect();
                let news = News { joined, ..News::default() };
                let (read, bytes, tally) = written(&frames, news, Others::Left, until);
                let mut read: Vec<_> = read.into_values().map(|(_, frames)| frames).collect();
                let mut expected: Vec<_> = meant.iter().map(|(_, frames)| frames.clone()).collect();
                read.sort();
                expected.sort();
                assert!(read == expected, "{part} {until:?}");
                let count: usize = expected.iter().map(Vec::len).sum();
                assert_eq!(tally.frames.load(Ordering::Relaxed), count as u64);
                assert_eq!(tally.bytes.load(Ordering::Relaxed), bytes.len() as u64);
                // Each has its comment, once.
                (0..part).for_each(|n| assert_eq!(has(&bytes, &format!("nginx ({n}).")), 1));
            }
            // Without a filter all are meant, also those that nobody has named.
            let count = |read: HashMap<Key, (_, Vec<_>)>| read.values().map(|(_, f)| f.len()).sum::<usize>();
            let (read, ..) = written(&frames, News::default(), Others::Written, until);
            assert_eq!(count(read), all.values().map(|(_, frames)| frames.len()).sum::<usize>());
        }
        // A file stands at some time: what comes later is not shown.
        let mut stamps: Vec<_> = all.values().map(|(record, _)| record.facts.first).collect();
        stamps.sort();
        let (read, ..) = written(&frames, News::default(), Others::Written, Some(stamps[10]));
        assert!(
            read.len() >= 11
                && read.len() < all.len()
                && read.values().all(|(r, _)| r.hot.last <= stamps[10])
        );
    }

    #[test]
    fn a_tag_that_the_kernel_took_off_comes_back() {
        let mut file = File::new(Vec::new());
        let meta = FrameMeta {
            wall: Stamp(1_700_000_000_123_456_789),
            wire_len: 14,
            iface: IfaceId(0),
            link: LinkType::ETHERNET,
            gso_size: 0,
            stripped_vlan: Some((0x8100, 5)),
            outgoing: false,
            loopback: false,
        };
        file.frame(&[7; 14], &meta, None).unwrap();
        let out = file.out;
        let packet = out.windows(18).any(|w| w == [&[7; 12][..], &[0x81, 0, 0, 5], &[7; 2]].concat());
        assert!(packet && out.len() % 4 == 0, "{out:x?}");
    }
}
