//! Capture files as a source: pcap and pcapng, read in pieces, mapped into memory or read as a stream.
//!
//! ```text
//! a regular file  ─┬ pieces ─┐          ┌─ pcap   ─┐
//!   short frames   └ map    ─┼─ input ──┤          ├── frames where they lie, no copy
//! pipe, stdin, …  ── stream ─┘ (window) └─ pcapng ─┘
//! ```
//!
//! Both formats read from a window of bytes and say why they stopped; whatever the input is, the
//! same code reads it. Nothing is written, and nothing is held beyond the window: a frame has at
//! most [`MAX_FRAME`] bytes, a block that must be read in one piece at most [`MAX_BLOCK`], longer
//! ones are passed over piece by piece.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "promises how long frames stay where they are")]

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use crate::{
    base::time::{Nanos, Stamp},
    capture::source::{Clock, FileNotes, InterfaceStatus, Progress, Sink, Source, SourceStatus},
};

mod cut;
mod error;
mod input;
mod map;
mod notes;
mod pcap;
mod pcapng;
mod pieces;
mod scale;
mod stream;
mod window;

use input::{Input, Refill};
use pcap::{Opening, Pcap};
use pcapng::PcapNg;
use pieces::Pieces;

pub use cut::{Cut, Why};
pub use error::{Looks, OpenError};
pub use map::{MapGuard, NoMaps};

/// The longest frame, in bytes: what libpcap allows at most, and a quarter more than the largest
/// super-frame of today's kernels.
pub const MAX_FRAME: u32 = 256 * 1024;

/// The longest block of a pcapng that is read in one piece: a frame and as much again of options.
pub const MAX_BLOCK: u32 = 2 * MAX_FRAME;

/// A capture file that is being read.
pub struct CaptureFile {
    input: Input,
    format: Format,
    facts: Facts,
    /// A block that is passed over: its length, and how much of it is still to come.
    long_block: u64,
    skip: u64,
    ended: bool,
}

/// How the file is built.
enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

/// What is known of the file beside its frames.
#[allow(clippy::disallowed_types, reason = "grows with interface descriptions, not with packets")]
#[derive(Debug, Default)]
struct Facts {
    interfaces: Vec<InterfaceStatus>,
    frames: u64,
    /// The last frame's time, for frames that have none.
    last: Stamp,
    stamps_saturated: u64,
    blocks_skipped: u64,
    notes: Arc<FileNotes>,
    cut: Option<Cut>,
}

/// Bytes up to the end of a frame's record, and the frame.
type Record<'a> = (usize, &'a [u8]);

/// The same, and what was written to the frame: nothing, nearly always.
type Commented<'a> = (usize, &'a [u8], &'a [u8]);

/// Why a format stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// As many frames were handed out as were asked for, or enough else was done for one burst.
    Full,
    /// The window ends within a record that has at least so many bytes.
    Need(usize),
    /// So many bytes are to be passed over, more than a window may have.
    Skip(u32),
    /// The file cannot be read on.
    Cut(Why),
}

impl CaptureFile {
    /// Opens a file; `-` is standard input. A regular file of short frames is mapped if `guard` can watch it.
    ///
    /// Of a pipe, waits for the first bytes.
    ///
    /// # Errors
    /// When there is no such file, it may not be read, is empty, or is not a capture file.
    pub fn open(path: &Path, guard: &'static dyn MapGuard) -> Result<Self, OpenError> {
        let failed = |source| OpenError::from_io(path, source);
        if path == Path::new("-") {
            return Self::begin(Input::stream(start_up_box(io::stdin())).map_err(failed)?, path);
        }
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        // NB: some regular files of virtual file systems claim to be empty and are not.
        let input = match metadata.len() {
            len if metadata.is_file() && len > 0 => Input::Pieces(Pieces::new(file, len, guard)),
            _ => Input::stream(start_up_box(file)).map_err(failed)?,
        };
        Self::begin(input, path)
    }

    /// Reads a capture from any stream of bytes.
    ///
    /// Waits for the first bytes. The rest is read by a thread of its own, at most 2 MB ahead.
    ///
    /// # Errors
    /// As [`CaptureFile::open`].
    pub fn from_reader(reader: Box<dyn Read + Send>) -> Result<Self, OpenError> {
        let path = Path::new("-");
        Self::begin(Input::stream(reader).map_err(|e| OpenError::from_io(path, e))?, path)
    }

    /// Finds out what the input is.
    fn begin(mut input: Input, path: &Path) -> Result<Self, OpenError> {
        let fill = |input: &mut Input, need| input.fill_to(need).map_err(|e| OpenError::from_io(path, e));
        fill(&mut input, pcap::FILE_HEADER)?;
        if let Opening::Short(need) = Pcap::open(input.window()) {
            fill(&mut input, need)?;
        }
        let path = path.to_path_buf();
        let head = input.window();
        let have = head.len();
        if have == 0 {
            return Err(OpenError::Empty { path });
        }
        let mut facts = Facts::default();
        let format = match Pcap::open(head) {
            Opening::Pcap(pcap) => {
                input.consume(pcap.file_header);
                facts.interfaces.push(InterfaceStatus::default());
                Format::Pcap(pcap)
            }
            Opening::Version(major, minor) => {
                return Err(OpenError::Version { path, format: "pcap", major, minor });
            }
            Opening::Short(need) => {
                facts.cut = Some(Cut { at: 0, frames: 0, why: Why::FileHeader { have, need } });
                Format::PcapNg(PcapNg::default())
            }
            Opening::Other => match PcapNg::version(head) {
                Some((major, minor)) if !PcapNg::supports(major, minor) => {
                    return Err(OpenError::Version { path, format: "pcapng", major, minor });
                }
                Some(_) => Format::PcapNg(PcapNg::default()),
                None if have < pcapng::SECTION_START && head.starts_with(&pcapng::SECTION.to_be_bytes()) => {
                    let need = pcapng::SECTION_START;
                    facts.cut = Some(Cut { at: 0, frames: 0, why: Why::FileHeader { have, need } });
                    Format::PcapNg(PcapNg::default())
                }
                None => {
                    let looks = Looks::of(&head[..have.min(pcap::FILE_HEADER)]);
                    return Err(OpenError::NotCapture { path, looks });
                }
            },
        };
        let ended = facts.cut.is_some();
        Ok(Self { input, format, facts, long_block: 0, skip: 0, ended })
    }

    /// Returns why the file could not be read to its end, once that is known.
    pub const fn cut(&self) -> Option<Cut> {
        self.facts.cut
    }

    /// Returns the frames handed out so far.
    pub const fn frames(&self) -> u64 {
        self.facts.frames
    }

    #[cold]
    fn cut_short(&mut self, why: Why) {
        let at = self.input.offset() - self.passed();
        self.facts.cut = Some(Cut { at, frames: self.facts.frames, why });
        self.ended = true;
    }

    /// Returns how much of a block that is passed over lies behind.
    const fn passed(&self) -> u64 {
        if self.skip == 0 { 0 } else { self.long_block - self.skip }
    }

    /// Gets more bytes. Returns whether reading can go on now; if there will be no more, the file
    /// has ended, before its time if something of `need` bytes had begun.
    fn refill(&mut self, need: usize) -> bool {
        match self.input.refill(self.facts.frames) {
            Refill::More => return true,
            Refill::Later => {}
            Refill::Failed(kind) => self.cut_short(Why::Io(kind)),
            Refill::End => {
                let have = self.input.window().len() + self.passed() as usize;
                if self.input.ended_early() || have != 0 && self.input.shortened() {
                    self.cut_short(Why::Shortened);
                } else if have != 0 {
                    self.cut_short(Why::Ends { have, need });
                } else {
                    self.ended = true;
                }
            }
        }
        false
    }

    /// Hands out at most `max` frames from the window; returns how many, and why no more.
    #[inline(always)]
    fn read(&mut self, max: usize, sink: &mut impl Sink) -> (usize, Stop) {
        let (used, frames, stop) = match &self.format {
            Format::Pcap(pcap) if pcap.is_usual() => self.read_usual(pcap, max, sink),
            _ => self.read_rare(max, sink),
        };
        self.input.consume(used);
        self.facts.frames += frames as u64;
        (frames, stop)
    }

    /// The frames of a file that is what nearly every file is. Returns the bytes that they took, too.
    ///
    /// NB: `sink` becomes part of the loop, and what is known of all frames alike is known in it.
    #[inline(always)]
    fn read_usual(&self, pcap: &Pcap, max: usize, sink: &mut impl Sink) -> (usize, usize, Stop) {
        let (pcap, mut meta) = (*pcap, pcap.meta());
        let window = self.input.window();
        let gone = self.input.gone();
        let (mut rest, mut frames) = (window, 0);
        let stop = loop {
            if frames == max {
                break Stop::Full;
            }
            match pcap.next(&self.input, gone, rest, &mut meta) {
                Ok((len, bytes)) => {
                    rest = &rest[len..];
                    frames += 1;
                    sink.take(bytes, &meta);
                }
                Err(stop) => break stop,
            }
        };
        (window.len() - rest.len(), frames, stop)
    }

    /// The frames of any other file.
    #[inline(never)]
    fn read_rare(&mut self, max: usize, sink: &mut impl Sink) -> (usize, usize, Stop) {
        let mut meta = match &self.format {
            Format::Pcap(pcap) => pcap.meta(),
            Format::PcapNg(_) => pcapng::NO_META,
        };
        let window = self.input.window();
        let gone = self.input.gone();
        let (mut used, mut frames) = (0, 0);
        let stop = loop {
            if frames == max {
                break Stop::Full;
            }
            let rest = &window[used..];
            let record = match &mut self.format {
                Format::Pcap(pcap) => pcap
                    .next_rare(&self.input, gone, rest, &mut meta)
                    .map(|(len, bytes)| (len, bytes, &[][..])),
                Format::PcapNg(section) => {
                    let found = section.next(&self.input, rest, &mut self.facts, &mut meta);
                    found.map_err(|(passed, stop)| {
                        used += passed;
                        stop
                    })
                }
            };
            match record {
                Ok((len, bytes, comment)) => {
                    used += len;
                    frames += 1;
                    match comment {
                        [] => sink.take(bytes, &meta),
                        _ => sink.take_commented(bytes, &meta, comment),
                    }
                }
                Err(stop) => break stop,
            }
        };
        (used, frames, stop)
    }

    /// Passes over what is left of a long block. Returns whether reading can go on.
    #[cold]
    fn pass_over(&mut self) -> bool {
        loop {
            let have = self.input.window().len();
            let len = usize::try_from(self.skip).map_or(have, |skip| skip.min(have));
            self.input.consume(len);
            self.skip -= len as u64;
            if self.skip == 0 {
                return true;
            }
            if !self.refill(self.long_block as usize) {
                return false;
            }
        }
    }
}

// SAFETY: a map stays until the file is dropped, and its bytes are not written to; the buffer of pieces or of a stream
// is filled or exchanged by `refill` only, which is not called once a burst has handed out frames.
unsafe impl Source for CaptureFile {
    fn clock(&self) -> Clock {
        Clock::Frames
    }

    /// A stream whose writer is slow is idle at times; [`Source::wait`] then waits for it. So is
    /// a long stretch of a pcapng without frames; then there is nothing to wait for.
    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        let mut left = max;
        loop {
            // NB: more bytes may take the place of those that were handed out.
            let has_frames = left < max;
            if self.ended || (self.skip != 0 && (has_frames || !self.pass_over())) {
                break;
            }
            let (frames, stop) = self.read(left, sink);
            left -= frames;
            match stop {
                Stop::Full => break,
                Stop::Skip(len) => {
                    self.long_block = u64::from(len);
                    self.skip = self.long_block;
                }
                Stop::Cut(why) => self.cut_short(why),
                Stop::Need(need) => {
                    if left < max || !self.refill(need) {
                        break;
                    }
                }
            }
        }
        if left < max {
            Progress::Frames
        } else if self.ended {
            Progress::End
        } else {
            Progress::Idle
        }
    }

    /// Returns at once for a regular file; waits for a stream's next bytes.
    fn wait(&mut self, timeout: Nanos) {
        self.input.wait(Duration::from_nanos(timeout.0));
    }

    #[allow(clippy::disallowed_methods, reason = "off the packet path: once a cut")]
    fn status(&mut self, out: &mut SourceStatus) {
        out.method = "file";
        if out.interfaces.len() != self.facts.interfaces.len() {
            out.interfaces.clone_from(&self.facts.interfaces);
        }
        out.notes.clone_from(&self.facts.notes);
        out.stamps_saturated = self.facts.stamps_saturated;
        out.blocks_skipped = self.facts.blocks_skipped;
        if out.truncated.is_none() {
            out.truncated = self.facts.cut.map(|cut| cut.to_string());
        }
        out.read = Some((self.input.offset(), self.input.size()));
    }
}

#[allow(clippy::disallowed_methods, reason = "start-up: once a file")]
fn start_up_box(reader: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(reader)
}
