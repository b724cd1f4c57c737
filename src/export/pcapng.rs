//! The frames of one connection as a pcapng file (draft-ietf-opsawg-pcapng), with owner and name as comments.
//!
//! Frames come from a source of their own ([`reread`](crate::export::reread)), read in a thread of its own.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    capture::source::{Progress, Source, SourceStatus},
    export::reread::{BURST, Reread, WAIT},
    flow::entry::FlowRecord,
    packet::{
        link::LinkType,
        parse::{FrameMeta, Parser},
    },
};

/// Bytes after which writing ends.
const MOST_BYTES: u64 = 4 << 30;

/// Which frames are written, and what is said of them.
pub struct Wanted {
    /// The connection.
    pub record: FlowRecord,
    /// Only frames between its first and its last, as a file has them; live all from now on.
    pub between: bool,
    /// The comment of the file and of its first frame.
    pub comment: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Frames in the file.
    pub frames: u64,
    /// Frames of any connection that the source lost meanwhile.
    pub lost: u64,
    /// The file has become so large that writing ended.
    pub full: bool,
}

/// Copies frames until the source ends or `stop` is set.
///
/// # Errors
/// When `out` cannot be written to.
pub fn copy<S: Source>(
    mut source: S,
    parser: Parser,
    wanted: &Wanted,
    out: impl Write,
    stop: &AtomicBool,
) -> io::Result<Written> {
    let mut file = File { out, links: Vec::new(), bytes: 0 };
    file.section(&wanted.comment)?;
    let mut connection = Reread::new(parser, wanted.record, wanted.between);
    let mut done = Written::default();
    let mut failed = None;
    while failed.is_none() && !stop.load(Ordering::Relaxed) && !done.full {
        let progress = source.burst(BURST, |bytes, meta| {
            if failed.is_none() && connection.find(bytes, meta).is_some() {
                let comment = (done.frames == 0).then_some(&*wanted.comment);
                failed = file.frame(bytes, meta, comment).err();
                done.frames += u64::from(failed.is_none());
            }
        });
        match progress {
            Progress::Frames => {}
            Progress::Idle => source.wait(WAIT),
            Progress::End => break,
        }
        done.full = file.bytes >= MOST_BYTES;
    }
    let mut status = SourceStatus::default();
    source.status(&mut status);
    done.lost = status.kernel_drops;
    file.out.flush()?;
    failed.map_or(Ok(done), Err)
}

/// A file in the making. Every block is 32-bit aligned and has its length at both ends.
struct File<W> {
    out: W,
    /// Link types by interface.
    links: Vec<(LinkType, u16)>,
    bytes: u64,
}

impl<W: Write> File<W> {
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

    /// Returns the number of an interface; its description (4.2) comes with its first frame: nanoseconds.
    fn interface(&mut self, meta: &FrameMeta) -> io::Result<u32> {
        let wanted = (meta.link, meta.iface.0);
        if let Some(n) = self.links.iter().position(|known| *known == wanted) {
            return Ok(n as u32);
        }
        let mut body = meta.link.0.to_ne_bytes().to_vec();
        body.extend_from_slice(&[0; 6]);
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
    use std::{collections::HashMap, sync::Arc};

    use super::*;
    use crate::packet::{descriptor::Descriptor, key::WideKey, parse::Verdict};

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
    use crate::{
        base::{
            ids::IfaceId,
            time::{Stamp, Tick},
        },
        capture::{
            capture_file::CaptureFile,
            synthetic::{MemorySource, Mix, Traffic},
        },
        packet::{hash::Seed, key::FlowKey, parse::ParseConfig},
    };

    type Key = (FlowKey, [u8; 32]);

    /// All frames of a source by the key that the parser gives them.
    fn by_key(mut source: impl Source) -> HashMap<Key, (FlowRecord, Vec<Vec<u8>>)> {
        let mut parser = Parser::new(ParseConfig::default(), Seed::new(1));
        let mut all: HashMap<Key, (FlowRecord, Vec<Vec<u8>>)> = HashMap::new();
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

    #[test]
    fn k19_a_connection_s_frames_are_in_its_file_and_no_others() {
        let frames = Arc::new(Traffic::new(40, 2000, 3).mix(Mix::ALL).frames());
        let all = by_key(MemorySource::new(Arc::clone(&frames)));
        assert!(all.len() > 20);
        for (record, expected) in all.values() {
            let mut out = Vec::new();
            let wanted = Wanted { record: *record, between: true, comment: "nginx (1211)".into() };
            // Another secret than that of the engine.
            let parser = Parser::new(ParseConfig::default(), Seed::new(99));
            let source = MemorySource::new(Arc::clone(&frames));
            let done = copy(source, parser, &wanted, &mut out, &AtomicBool::new(false)).unwrap();
            assert_eq!(done, Written { frames: expected.len() as u64, lost: 0, full: false });
            let read = by_key(CaptureFile::from_reader(Box::new(io::Cursor::new(out))).unwrap());
            let read: Vec<_> = read.into_values().collect();
            assert_eq!(read.len(), 1);
            assert_eq!(&read[0].1, expected);
            assert_eq!((read[0].0.facts.first, read[0].0.hot.last), (record.facts.first, record.hot.last));
        }
    }

    #[test]
    fn a_tag_that_the_kernel_took_off_comes_back() {
        let mut file = File { out: Vec::new(), links: Vec::new(), bytes: 0 };
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
