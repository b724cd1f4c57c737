//! Frames of connections as a pcapng file (draft-ietf-opsawg-pcapng), with owners and names as comments.
//!
//! Frames come from a source of their own, read in a thread of its own: the packet path is not concerned, and what
//! comes faster than it is written is lost to that source alone, which counts it.

use std::{
    fs,
    io::{self, Read as _, Seek as _, Write},
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
    query::{format, recording::Tally},
};

/// Bytes after which writing ends.
const MOST_BYTES: u64 = 4 << 30;
/// How often the source is asked what it lost, and what its interfaces are called.
const LOOK: Duration = Duration::from_secs(1);

/// Copies the chosen frames until the source ends, `stop` is set or the file is as large as it may be; returns whether
/// it is. Sets `stop` when no further frames are taken. `comment` is what is said of the file.
///
/// # Errors
/// When `out` cannot be written to; what is whole of it then stands beside the reason.
pub fn copy<S: Source>(
    mut source: S,
    mut chosen: Chosen,
    comment: &str,
    out: impl Write,
    tally: &Tally,
    stop: &AtomicBool,
) -> Result<bool, Broken> {
    let mut file = File::new(out);
    match fill(&mut file, &mut source, &mut chosen, comment, tally, stop) {
        Ok(()) => Ok(file.bytes >= MOST_BYTES),
        Err(error) => Err(Broken { error, whole: file.written }),
    }
}

/// Why a file ends early.
#[derive(Debug)]
pub struct Broken {
    /// What went wrong.
    pub error: io::Error,
    /// So many bytes were written before, in whole blocks.
    pub whole: u64,
}

fn fill<S: Source>(
    file: &mut File<impl Write>,
    source: &mut S,
    chosen: &mut Chosen,
    comment: &str,
    tally: &Tally,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut status = SourceStatus::default();
    // Relaxed here and below: figures for the eye, and a flag that stands alone.
    let look = |source: &mut S, file: &mut File<_>, status: &mut SourceStatus| {
        source.status(status);
        tally.lost.store(status.kernel_drops, Ordering::Relaxed);
        file.names = status.interfaces.iter().map(|interface| interface.name.clone()).collect();
    };
    look(source, file, &mut status);
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
            look(source, file, &mut status);
        }
        match progress {
            Progress::Frames => {}
            Progress::Idle => {
                // What is quiet is on disk, as far as anybody has seen it on screen.
                file.flush()?;
                source.wait(WAIT);
            }
            Progress::End => break,
        }
    }
    look(source, file, &mut status);
    done?;
    // Whoever tells the news goes on for as long as it is not set, also when the file is full or the source has ended.
    stop.store(true, Ordering::Relaxed);
    let (held, unsaid) = chosen.finish();
    for (meta, bytes, comment) in held {
        file.frame(&bytes, &meta, comment.as_deref())?;
        frames += 1;
        // Whoever waits for the end sees that it gets on.
        tally.bytes.store(file.bytes, Ordering::Relaxed);
    }
    file.comments(&unsaid)?;
    tally.frames.store(frames, Ordering::Relaxed);
    tally.bytes.store(file.bytes, Ordering::Relaxed);
    file.flush()
}

/// Cuts a file that could not be written to its end behind its last whole block, and says what is left of it; removes
/// it if there is no frame in it. `whole` is where a block begins, the last one of which that is known.
pub fn left_of(path: &Path, whole: u64) -> String {
    let end = fs::OpenOptions::new().read(true).write(true).open(path).and_then(|mut file| {
        let is_frame = |kind: u32| kind == FRAME;
        let (first, _) = last_end(&mut file, 0, is_frame)?;
        let (end, has_frames) = last_end(&mut file, whole.max(first), |_| false)?;
        file.set_len(end)?;
        Ok((end, has_frames || first < end))
    });
    match end {
        Ok((bytes, true)) => format!("{} bytes, all frames whole, are left", format::grouped(bytes)),
        Err(error) => format!("the last frame may be cut ({error})"),
        Ok((_, false)) => {
            let _ = fs::remove_file(path);
            "nothing is left".into()
        }
    }
}

/// Goes from block to block, the first of which begins at `from`; returns where the last whole one ends, or where one
/// begins that is the last to look at, and whether there is such.
fn last_end(file: &mut fs::File, from: u64, is_last: impl Fn(u32) -> bool) -> io::Result<(u64, bool)> {
    let all = file.metadata()?.len();
    let mut end = from.min(all);
    while end + 8 <= all {
        let mut head = [0; 8];
        file.seek(io::SeekFrom::Start(end))?;
        file.read_exact(&mut head)?;
        let [kind, length] =
            [&head[..4], &head[4..]].map(|word| u32::from_ne_bytes(word.try_into().unwrap_or_default()));
        if length < 12 || end + u64::from(length) > all {
            break;
        }
        if is_last(kind) {
            return Ok((end, true));
        }
        end += u64::from(length);
    }
    Ok((end, false))
}

/// The type of a block with a frame (4.3).
const FRAME: u32 = 6;

/// Bytes of whole blocks that are written at once.
const CHUNK: usize = 1 << 16;

/// A file in the making. Every block is 32-bit aligned and has its length at both ends.
struct File<W> {
    out: W,
    /// Link types by interface.
    links: Vec<(LinkType, u16)>,
    /// What the source's interfaces are called.
    names: Vec<String>,
    /// Whole blocks that are not written yet.
    chunk: Vec<u8>,
    /// Bytes that are, always whole blocks.
    written: u64,
    bytes: u64,
}

impl<W: Write> File<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            links: Vec::new(),
            names: Vec::new(),
            chunk: Vec::with_capacity(2 * CHUNK),
            written: 0,
            bytes: 0,
        }
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
        self.block(FRAME, &body)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = body.len() as u32 + 12;
        let parts = [&kind.to_ne_bytes()[..], &length.to_ne_bytes(), body, &length.to_ne_bytes()];
        self.bytes += u64::from(length);
        parts.iter().for_each(|part| self.chunk.extend_from_slice(part));
        if self.chunk.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    /// Writes what is not written yet.
    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.chunk)?;
        self.written += self.chunk.len() as u64;
        self.chunk.clear();
        self.out.flush()
    }

    /// Comments that no frame bears: name resolution blocks (4.5) without a name, which may have any number of them.
    fn comments(&mut self, comments: &[String]) -> io::Result<()> {
        const IN_A_BLOCK: usize = 1000;
        const END_OF_RECORDS: [u8; 4] = [0; 4];
        for some in comments.chunks(IN_A_BLOCK) {
            let mut body = END_OF_RECORDS.to_vec();
            some.iter().for_each(|comment| option(&mut body, 1, comment.as_bytes()));
            option(&mut body, 0, b"");
            self.block(4, &body)?;
        }
        Ok(())
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
            ids::{FlowId, IfaceId},
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
        query::recording::{News, Others, Recorded, Whose},
    };

    /// A disk that has room for so many bytes.
    struct Disk(fs::File, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = bytes.len().min(self.1);
            self.1 -= room;
            match self.0.write(&bytes[..room])? {
                0 if !bytes.is_empty() => Err(io::ErrorKind::StorageFull.into()),
                written => Ok(written),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn k19_a_file_on_a_full_disk_ends_with_a_whole_frame() {
        let path = std::env::temp_dir().join(format!("rustnet-left-{}.pcapng", std::process::id()));
        let frames = Arc::new(Traffic::new(40, 2000, 3).mix(Mix::ALL).frames());
        for room in [0, 7, 100, 5_000, 65_536, 65_540, 70_001, 150_000] {
            let (sender, receiver) = mpsc::channel::<News>();
            drop(sender);
            let parser = Parser::new(ParseConfig::default(), Seed::new(99));
            let chosen = Chosen::new(parser, receiver, Others::Written, None);
            let (out, tally) = (Disk(fs::File::create(&path).unwrap(), room), Tally::default());
            let source = MemorySource::new(Arc::clone(&frames));
            let broken = copy(source, chosen, "all", out, &tally, &AtomicBool::new(false)).unwrap_err();
            let told = left_of(&path, broken.whole);
            if room <= 100 {
                assert!(!path.exists() && told == "nothing is left", "{room}: {told}");
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            assert!(
                told == format!("{} bytes, all frames whole, are left", format::grouped(bytes.len() as u64)),
                "{told}"
            );
            // The next frame would have had no room.
            assert!(bytes.len() <= room && bytes.len() + 2000 > room, "{} of {room}", bytes.len());
            let mut source = CaptureFile::from_reader(Box::new(io::Cursor::new(bytes))).unwrap();
            while source.burst(64, |_, _| {}) != Progress::End {}
            let mut status = SourceStatus::default();
            source.status(&mut status);
            assert_eq!(status.truncated, None, "{room}");
        }
        let _ = fs::remove_file(&path);
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
        drop(sender);
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
            whose: Whose {
                name: FlowName::of(&record.hot.key, &record.wide),
                id: FlowId::new(0, n as u32, 1),
            },
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
    fn k19_comments_that_no_frame_bears_end_the_file_and_leave_it_readable() {
        let mut file = File::new(Vec::new());
        file.section("all").unwrap();
        let meta = FrameMeta::of_ethernet(Stamp(1_700_000_000_000_000_000), 60);
        file.frame(&[0; 60], &meta, None).unwrap();
        let comments: Vec<_> = (0..2001).map(|n| format!("curl ({n}).")).collect();
        file.comments(&comments).unwrap();
        file.flush().unwrap();
        assert_eq!(file.bytes, file.out.len() as u64);
        assert!(comments.iter().all(|comment| has(&file.out, comment) == 1));
        let mut source = CaptureFile::from_reader(Box::new(io::Cursor::new(file.out))).unwrap();
        let mut frames = 0;
        while source.burst(64, |_, _| frames += 1) != Progress::End {}
        let mut status = SourceStatus::default();
        source.status(&mut status);
        assert_eq!((frames, status.truncated), (1, None));
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
        file.flush().unwrap();
        let out = file.out;
        let packet = out.windows(18).any(|w| w == [&[7; 12][..], &[0x81, 0, 0, 5], &[7; 2]].concat());
        assert!(packet && out.len() % 4 == 0, "{out:x?}");
    }
}
