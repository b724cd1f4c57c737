//! A capture file up to some time: what comes later is not there.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "promises what the source below it promises")]

use crate::{
    base::time::{Nanos, Stamp},
    capture::source::{Clock, Passing, Progress, Sink, Source, SourceStatus},
    packet::parse::FrameMeta,
};

/// A source that ends before its first frame after a time.
pub struct UpTo<S> {
    source: S,
    end: Option<Stamp>,
    /// The last frame's time, as far as is known.
    last: Option<Stamp>,
    over: bool,
    /// It had no frame behind the end: what is told of its end does not hold.
    ended: bool,
}

impl<S> UpTo<S> {
    /// Returns `source` up to `end`, that included; `None`: all of it.
    pub fn new(source: S, end: Option<Stamp>) -> Self {
        Self { source, end, last: None, over: false, ended: false }
    }

    /// Returns all of `source`, whose last frame is said to have come at `last`.
    pub fn whole(source: S, last: Option<Stamp>) -> Self {
        Self { last, ..Self::new(source, None) }
    }
}

// SAFETY: frames are those of the source below, which is not called between two calls.
unsafe impl<S: Source> Source for UpTo<S> {
    fn clock(&self) -> Clock {
        self.source.clock()
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        if self.over {
            return Progress::End;
        }
        let (end, mut some, mut over) = (self.end.unwrap_or(Stamp(u64::MAX)), false, false);
        let is_before = |meta: &FrameMeta| {
            over |= meta.wall > end;
            some |= !over;
            !over
        };
        let progress = self.source.burst_into(max, &mut Passing(sink, is_before));
        self.over = over;
        self.ended = !over && progress == Progress::End;
        match over {
            true if some => Progress::Frames,
            true => Progress::End,
            false => progress,
        }
    }

    fn wait(&mut self, timeout: Nanos) {
        self.source.wait(timeout);
    }

    fn first_stamp(&self) -> Option<Stamp> {
        self.source.first_stamp()
    }

    fn ends_at(&self) -> Option<Stamp> {
        self.end.or(self.last).filter(|_| !self.ended)
    }

    fn stop(&mut self) {
        self.source.stop();
    }

    fn status(&mut self, out: &mut SourceStatus) {
        self.source.status(out);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::capture::synthetic::{MemorySource, Mix, Traffic};

    #[test]
    fn frames_after_the_end_are_not_there() {
        let frames = Arc::new(Traffic::new(20, 500, 1).mix(Mix::ALL).frames());
        let stamps = |end: Option<Stamp>| {
            let mut source = UpTo::new(MemorySource::new(Arc::clone(&frames)), end);
            let mut stamps = Vec::new();
            for _ in 0..1000 {
                if source.burst(7, |_, meta| stamps.push(meta.wall)) == Progress::End {
                    return stamps;
                }
            }
            panic!("no end");
        };
        let all = stamps(None);
        assert_eq!(all.len(), 500);
        for n in [0, 1, 250, 499] {
            let upto = all.iter().take_while(|at| **at <= all[n]).count();
            assert_eq!(stamps(Some(all[n])), all[..upto], "up to frame {n}");
        }
        assert!(stamps(Some(Stamp(0))).is_empty());
    }
}
