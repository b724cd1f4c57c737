//! What every source of frames offers to rx.
//!
//! A source is polled by exactly one rx thread. It hands out frames where they lie; their bytes
//! stay there until it is called again.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "a source promises how long frames stay where they are")]

use std::{net::IpAddr, sync::Arc};

use crate::{
    base::{
        call::Caller,
        time::{Nanos, Stamp},
    },
    packet::{
        parse::FrameMeta,
        settled::{Counted, Settled},
    },
};

/// What one call of [`Source::burst_into`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Frames were handed out; there may be more.
    Frames,
    /// No frame is there now.
    Idle,
    /// There will be no more frames.
    End,
}

/// What to do with time when frames do not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The frames' own time is the only clock: files, standard input, memory. Such a source can
    /// wait: nothing is lost while nobody polls it.
    Frames,
    /// Frames are stamped as they pass: live capture. Frames are lost when nobody polls.
    Live,
}

/// Takes frames from a source.
pub trait Sink {
    /// Takes one frame: the captured bytes, and what is known beside them.
    fn take(&mut self, bytes: &[u8], meta: &FrameMeta);

    /// Takes one frame of which the file says something, too. The text stays where it is as the frame does.
    fn take_commented(&mut self, bytes: &[u8], meta: &FrameMeta, _comment: &[u8]) {
        self.take(bytes, meta);
    }
}

/// A closure as a sink.
pub struct Each<F>(pub F);

impl<F: FnMut(&[u8], &FrameMeta)> Sink for Each<F> {
    #[inline(always)]
    fn take(&mut self, bytes: &[u8], meta: &FrameMeta) {
        (self.0)(bytes, meta);
    }
}

/// Lets the frames through to another sink that pass.
pub struct Passing<'a, S, F>(pub &'a mut S, pub F);

impl<S: Sink, F: FnMut(&FrameMeta) -> bool> Sink for Passing<'_, S, F> {
    #[inline(always)]
    fn take(&mut self, bytes: &[u8], meta: &FrameMeta) {
        if (self.1)(meta) {
            self.0.take(bytes, meta);
        }
    }

    fn take_commented(&mut self, bytes: &[u8], meta: &FrameMeta, comment: &[u8]) {
        if (self.1)(meta) {
            self.0.take_commented(bytes, meta, comment);
        }
    }
}

/// A place where frames come from.
///
/// # Safety
/// The bytes that [`Source::burst_into`] hands out must stay readable and unchanged until the next call of
/// any method that takes `&mut self`, or until the source is dropped: rx looks at payloads behind the
/// burst, where they lie.
pub unsafe trait Source: Send {
    /// Returns whether the source can wait (files) or loses frames (live).
    fn clock(&self) -> Clock;

    /// Hands at most `max` frames to `sink`, in order, without waiting. Links are those of pcap files.
    ///
    /// NB: a sink and not a closure, which is inlined only where it has a single caller: what takes frames on
    /// the packet path asks for it (`inline(always)`), so that no frame costs a call.
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress;

    /// The same with a closure.
    #[inline]
    fn burst<F: FnMut(&[u8], &FrameMeta)>(&mut self, max: usize, each: F) -> Progress {
        self.burst_into(max, &mut Each(each))
    }

    /// Waits until frames may be there, but at most `timeout`. Returns at once for files.
    fn wait(&mut self, timeout: Nanos);

    /// Returns what ends [`Source::wait`] from another thread. With it rx waits for as long as nothing happens; a
    /// source without it is looked at every while.
    fn caller(&self) -> Option<Caller> {
        None
    }

    /// Returns the stamp of the first frame if that is known before it is asked for: where engine
    /// time begins when several sources share it.
    fn first_stamp(&self) -> Option<Stamp> {
        None
    }

    /// Returns the time at which its frames end, if that is known before: a file that one looks at up to some time.
    /// Behind its last frame it is silent until then.
    fn ends_at(&self) -> Option<Stamp> {
        None
    }

    /// Returns whether frames have the time of their arrival, so that a frame tells whether it has waited; others may be
    /// stamped as they are taken.
    fn stamps_arrivals(&self) -> bool {
        false
    }

    /// Returns whether the source can count the frames of settled flows instead of handing them out.
    fn can_count(&self) -> bool {
        false
    }

    /// Takes note of a flow of which counts are enough from now on, or are not any more; it may have been told before.
    fn settle(&mut self, _flow: &Settled) {}

    /// Returns whether counts wait that come before the next frame.
    #[inline]
    fn has_counted(&self) -> bool {
        false
    }

    /// Hands out counts: those that come before the next frame or, with `all`, everything that was counted so
    /// far. Each frame of the source is in one count or was handed out, never both.
    fn counted<F: FnMut(&Counted)>(&mut self, _all: bool, _each: F) {}

    /// Lets no new frames in. Those already taken in can still be had; after them `burst` returns
    /// [`Progress::End`], and what the kernel counted is what was handed out plus its drops.
    /// Nothing to do for files, which end by themselves.
    fn stop(&mut self) {}

    /// Writes what the source knows of itself into `out`. Called once a cut, off the packet path.
    fn status(&mut self, out: &mut SourceStatus);
}

/// What a network card or its driver counts, since the system has the interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NicCounters {
    /// Taken from the card and given up: no memory, or nobody who wants them.
    pub dropped: u64,
    /// Missed by the card itself: its ring was full.
    pub missed: u64,
    /// Frames that passed, in either direction.
    pub passed: u64,
}

/// What a source knows of itself, at one moment. Counts are since the start.
#[derive(Clone, Debug, Default)]
#[allow(clippy::disallowed_types, reason = "off the packet path: written once a cut")]
pub struct SourceStatus {
    /// How the frames are got: `af-packet`, `pcap`, `file`, ...
    pub method: &'static str,
    /// One entry for each [`crate::base::ids::IfaceId`], in that order.
    pub interfaces: Vec<InterfaceStatus>,
    /// Frames that the kernel dropped before the source could read them.
    pub kernel_drops: u64,
    /// Frames that the kernel counted, drops included; 0 where it does not count.
    pub kernel_frames: u64,
    /// Stamps that did not fit and were saturated.
    pub stamps_saturated: u64,
    /// Blocks or records of a file that were skipped because they hold no frame.
    pub blocks_skipped: u64,
    /// A file ended in the middle of a record, or was not readable to its end: why.
    pub truncated: Option<String>,
    /// What a file says beside its frames.
    pub notes: Arc<FileNotes>,
    /// Bytes of the file read so far, and its size if it has one.
    pub read: Option<(u64, Option<u64>)>,
    /// Frames for the MAC address of another host.
    pub other_host_frames: u64,
    /// Settled flows that the source counts by itself; `None` if it cannot, or is not asked to.
    pub counting: Option<Counting>,
}

/// What a file says beside its frames, bounded in number and length. Bytes from the file: escape them where they are
/// shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::disallowed_types, reason = "grows with blocks of names, not with packets")]
pub struct FileNotes {
    /// Names of addresses, in lower case and in the order of the file; it only grows.
    pub names: Vec<(IpAddr, Arc<[u8]>)>,
    /// What was written to sections and interfaces, these with their name in front.
    pub comments: Vec<String>,
}

/// What a source that counts settled flows has to say of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counting {
    /// Flows that it knows now.
    pub flows: u64,
    /// Frames that it counted.
    pub frames: u64,
    /// Times that a flow found no room, so that its frames went on being handed out.
    pub refused: u64,
}

/// One interface of a source.
#[derive(Clone, Debug, Default)]
#[allow(clippy::disallowed_types, reason = "off the packet path: written once a cut")]
pub struct InterfaceStatus {
    /// Its name, as the system or the file gives it.
    pub name: String,
    /// What became of it.
    pub state: InterfaceState,
    /// Bits per second, where known.
    pub speed: Option<u64>,
    /// Whether it delivers every frame twice: outgoing, then incoming.
    pub loopback: bool,
    /// Frames that this source took from it since the start, as far as it tells them apart, and those among them that
    /// are for the MAC address of another host.
    pub frames: u64,
    /// See `frames`.
    pub other_host_frames: u64,
}

/// Whether an interface delivers frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InterfaceState {
    /// It can deliver frames; so can every interface of a file.
    #[default]
    Up,
    /// Its link has been down since then.
    Down(Stamp),
    /// It has been gone since then.
    Gone(Stamp),
    /// It is there, and this way of capture cannot take its frames, since then.
    Unwatched(Stamp),
}

impl SourceStatus {
    /// Makes this a copy of `other`, in the memory that it has.
    pub fn copy_from(&mut self, other: &Self) {
        let Self { interfaces, truncated, .. } = self;
        interfaces.truncate(other.interfaces.len());
        for (mine, theirs) in interfaces.iter_mut().zip(&other.interfaces) {
            mine.name.clone_from(&theirs.name);
            (mine.state, mine.speed, mine.loopback) = (theirs.state, theirs.speed, theirs.loopback);
            (mine.frames, mine.other_host_frames) = (theirs.frames, theirs.other_host_frames);
        }
        interfaces.extend_from_slice(&other.interfaces[interfaces.len()..]);
        truncated.clone_from(&other.truncated);
        self.notes.clone_from(&other.notes);
        self.method = other.method;
        self.kernel_drops = other.kernel_drops;
        self.kernel_frames = other.kernel_frames;
        self.stamps_saturated = other.stamps_saturated;
        self.blocks_skipped = other.blocks_skipped;
        self.read = other.read;
        self.other_host_frames = other.other_host_frames;
        self.counting = other.counting;
    }
}
