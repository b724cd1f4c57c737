//! Frames in memory, and the source that hands them out.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "promises how long frames stay where they are")]

use std::sync::Arc;

use crate::{
    base::time::{Nanos, Stamp},
    capture::source::{Clock, InterfaceStatus, Progress, Sink, Source, SourceStatus},
    packet::{
        descriptor::Descriptor,
        hash::Seed,
        key::WideKey,
        parse::{FrameMeta, ParseConfig, Parser, Verdict},
    },
};

/// Frames one behind the other, with what is known of each.
#[allow(clippy::disallowed_types, reason = "filled before the start")]
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

/// Where one frame lies.
#[derive(Clone, Copy, Debug)]
struct Record {
    meta: FrameMeta,
    start: usize,
    len: usize,
}

impl Frames {
    /// Returns no frames, with room for `frames` of `bytes` bytes in all.
    #[allow(clippy::disallowed_types, reason = "filled before the start")]
    pub fn with_capacity(frames: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), records: Vec::with_capacity(frames) }
    }

    /// Adds a frame.
    pub fn push(&mut self, bytes: &[u8], meta: FrameMeta) {
        self.records.push(Record { meta, start: self.bytes.len(), len: bytes.len() });
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds an Ethernet frame that was captured in full on interface 0.
    pub fn push_ethernet(&mut self, wall: Stamp, bytes: &[u8]) {
        self.push(bytes, FrameMeta::of_ethernet(wall, bytes.len() as u32));
    }

    /// Adds every frame that `source` has left, waiting where it has to.
    pub fn extend_from<S: Source>(&mut self, source: &mut S) {
        loop {
            match source.burst(1024, |bytes, meta| self.push(bytes, *meta)) {
                Progress::Frames => {}
                Progress::Idle => source.wait(Nanos::from_secs(1)),
                Progress::End => return,
            }
        }
    }

    /// Returns the number of frames.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns the sum of the lengths on the wire.
    pub fn wire_bytes(&self) -> u64 {
        self.records.iter().map(|record| u64::from(record.meta.wire_len)).sum()
    }

    /// Returns the frames in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &FrameMeta)> {
        self.records.iter().map(|record| (self.slice(record), &record.meta))
    }

    #[inline]
    fn slice(&self, record: &Record) -> &[u8] {
        &self.bytes[record.start..record.start + record.len]
    }
}

/// Hands out frames from memory, each once.
#[derive(Clone, Debug)]
pub struct MemorySource {
    frames: Arc<Frames>,
    /// Numbers of the frames that are this source's; all if absent.
    share: Option<Arc<[u32]>>,
    at: usize,
    clock: Clock,
    /// Frames after which it is idle once; 0 for never.
    pause_every: usize,
    until_pause: usize,
}

impl MemorySource {
    /// Returns a source of all frames. It can wait, as a file can.
    pub fn new(frames: Arc<Frames>) -> Self {
        Self { frames, share: None, at: 0, clock: Clock::Frames, pause_every: 0, until_pause: 0 }
    }

    /// Makes it a source that cannot wait, as a live capture: the pipeline drops what it has no
    /// room for. The frames' own times stay.
    pub fn live(mut self) -> Self {
        self.clock = Clock::Live;
        self
    }

    /// Makes it idle for one call after every `frames` frames.
    pub fn pause_every(mut self, frames: usize) -> Self {
        self.pause_every = frames;
        self.until_pause = frames;
        self
    }

    /// Deals the frames out over `n` sources by the hash of their flow under `seed`, so that each
    /// flow comes from one source, in order. Frames of no flow come from the first.
    ///
    /// # Panics
    /// When `n` is 0, or there are 2^32 frames or more.
    #[allow(clippy::disallowed_types, clippy::disallowed_macros, reason = "before the start")]
    #[allow(clippy::disallowed_methods, reason = "before the start")]
    pub fn deal(self, n: usize, seed: u64) -> Vec<Self> {
        assert!(n > 0, "frames are dealt out over at least one source");
        assert!(self.frames.len() <= u32::MAX as usize, "frames have 32-bit numbers");
        let mut shares = vec![Vec::new(); n];
        let mut parser = Parser::new(ParseConfig::default(), Seed::new(seed));
        let (mut descriptor, mut wide) = (Descriptor::default(), WideKey::default());
        for (number, (bytes, meta)) in self.frames.iter().enumerate() {
            let to = match parser.parse(bytes, meta, &mut descriptor, &mut wide) {
                // By the upper bits: workers are chosen by the lower ones.
                Verdict::Flow => ((u64::from(descriptor.hash) * n as u64) >> 32) as usize,
                Verdict::NotFlow | Verdict::Drop(_) => 0,
            };
            shares[to].push(number as u32);
        }
        shares.into_iter().map(|share| Self { share: Some(share.into()), ..self.clone() }).collect()
    }

    /// Starts again with the first frame.
    pub const fn rewind(&mut self) {
        self.at = 0;
    }

    /// Returns the number of frames from first to last.
    pub fn len(&self) -> usize {
        self.share.as_ref().map_or(self.frames.len(), |share| share.len())
    }

    /// Returns whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// SAFETY: the frames are shared, never changed, and held by the source.
unsafe impl Source for MemorySource {
    fn clock(&self) -> Clock {
        self.clock
    }

    fn first_stamp(&self) -> Option<Stamp> {
        let first = self.share.as_ref().map_or(Some(0), |share| share.first().copied());
        first.and_then(|n| self.frames.records.get(n as usize)).map(|record| record.meta.wall)
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        let left = self.len() - self.at;
        if left == 0 {
            return Progress::End;
        }
        let mut take = max.min(left);
        if self.pause_every != 0 {
            if self.until_pause == 0 {
                self.until_pause = self.pause_every;
                return Progress::Idle;
            }
            take = take.min(self.until_pause);
            self.until_pause -= take;
        }
        let range = self.at..self.at + take;
        self.at = range.end;
        let frames = &*self.frames;
        let share = self.share.as_deref();
        // NB: `each`, which is large, is called in one place, so that it becomes part of the loop.
        for at in range {
            let record = &frames.records[share.map_or(at, |share| share[at] as usize)];
            sink.take(frames.slice(record), &record.meta);
        }
        Progress::Frames
    }

    /// Returns at once.
    fn wait(&mut self, _: Nanos) {}

    #[allow(clippy::disallowed_macros, reason = "off the packet path: once")]
    #[allow(clippy::disallowed_methods, reason = "off the packet path: once")]
    fn status(&mut self, out: &mut SourceStatus) {
        out.method = "memory";
        if out.interfaces.is_empty() {
            let interfaces = self.frames.records.iter().map(|record| record.meta.iface.0).max();
            out.interfaces = vec![InterfaceStatus::default(); interfaces.map_or(0, usize::from) + 1];
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests are off the packet path")]
mod tests {
    use super::*;
    use crate::capture::synthetic::Traffic;

    fn stamps(source: &mut MemorySource) -> Vec<u64> {
        let mut seen = Vec::new();
        while source.burst(7, |_, meta| seen.push(meta.wall.0)) != Progress::End {}
        seen
    }

    #[test]
    fn every_frame_comes_once_and_in_order() {
        let frames = Arc::new(Traffic::new(10, 1000, 1).frames());
        let all: Vec<u64> = frames.iter().map(|(_, meta)| meta.wall.0).collect();
        let mut source = MemorySource::new(frames);
        assert_eq!(stamps(&mut source), all);
        source.rewind();
        assert_eq!(stamps(&mut source.clone().pause_every(3)), all);
        assert_eq!(source.live().clock(), Clock::Live);
    }

    #[test]
    fn dealt_frames_are_all_frames() {
        let frames = Arc::new(Traffic::new(50, 2000, 2).frames());
        let mut all: Vec<u64> = frames.iter().map(|(_, meta)| meta.wall.0).collect();
        let mut dealt: Vec<Vec<u64>> = MemorySource::new(frames).deal(3, 7).iter_mut().map(stamps).collect();
        assert!(dealt.iter().all(|share| share.is_sorted()));
        let mut together = dealt.drain(..).flatten().collect::<Vec<_>>();
        together.sort_unstable();
        all.sort_unstable();
        assert_eq!(together, all);
    }

    #[test]
    fn a_pause_is_one_idle_call() {
        let frames = Arc::new(Traffic::new(1, 4, 3).frames());
        let mut source = MemorySource::new(frames).pause_every(2);
        let progress: Vec<_> = (0..5).map(|_| source.burst(8, |_, _| {})).collect();
        let [frames, idle, end] = [Progress::Frames, Progress::Idle, Progress::End];
        assert_eq!(progress, [frames, idle, frames, end, end]);
    }
}
