//! A capture file that ends early: after a span of the frames' own time, or before anything came.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "passes on how long frames stay where they are")]

use crate::{
    base::time::{Nanos, Stamp},
    capture::source::{Clock, Passing, Progress, Sink, Source, SourceStatus},
    packet::parse::FrameMeta,
};

/// A source of which only the beginning is wanted.
pub struct Until<S> {
    inner: Option<S>,
    span: Option<Nanos>,
    /// The stamp from which frames are left out, known with the first one.
    end: Option<Stamp>,
    over: bool,
}

impl<S: Source> Until<S> {
    /// Returns a source that hands out what comes within `span` of the first frame; without a span
    /// all.
    pub fn new(inner: S, span: Option<Nanos>) -> Self {
        Self { inner: Some(inner), span, end: None, over: false }
    }

    /// Returns a source without any frame: its stream never began.
    pub fn nothing() -> Self {
        Self { inner: None, span: None, end: None, over: true }
    }
}

// SAFETY: frames are those of the inner source, which is called only when this one is.
unsafe impl<S: Source> Source for Until<S> {
    fn clock(&self) -> Clock {
        Clock::Frames
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        let Self { inner, span, end, over } = self;
        let Some(inner) = inner.as_mut().filter(|_| !*over) else { return Progress::End };
        let Some(span) = *span else { return inner.burst_into(max, sink) };
        let is_before = |meta: &FrameMeta| {
            let end = *end.get_or_insert(Stamp(meta.wall.0.saturating_add(span.0)));
            *over |= meta.wall >= end;
            !*over
        };
        let progress = inner.burst_into(max, &mut Passing(sink, is_before));
        // The frames before the end, if there were some, go first.
        if *over { Progress::Frames } else { progress }
    }

    fn wait(&mut self, timeout: Nanos) {
        if let Some(inner) = &mut self.inner {
            inner.wait(timeout);
        }
    }

    fn first_stamp(&self) -> Option<Stamp> {
        self.inner.as_ref().and_then(S::first_stamp)
    }

    fn stop(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.stop();
        }
    }

    fn status(&mut self, out: &mut SourceStatus) {
        match &mut self.inner {
            Some(inner) => inner.status(out),
            None => out.method = "file",
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::capture::synthetic::{Frames, MemorySource};
    use std::sync::Arc;

    fn stamps(span: Option<Nanos>, burst: usize) -> Vec<u64> {
        let mut frames = Frames::with_capacity(8, 1024);
        for stamp in [10, 11, 14, 15, 13, 20] {
            frames.push_ethernet(Stamp(stamp), &[0; 60]);
        }
        let mut source = Until::new(MemorySource::new(Arc::new(frames)), span);
        let mut seen = Vec::new();
        while source.burst(burst, |_, meta| seen.push(meta.wall.0)) != Progress::End {}
        seen
    }

    #[test]
    fn l19_a_file_ends_after_a_span_of_its_own_time() {
        for burst in [1, 2, 32] {
            assert_eq!(stamps(None, burst), [10, 11, 14, 15, 13, 20]);
            assert_eq!(stamps(Some(Nanos(5)), burst), [10, 11, 14]);
            assert_eq!(stamps(Some(Nanos(6)), burst), [10, 11, 14, 15, 13]);
            assert_eq!(stamps(Some(Nanos(1)), burst), [10]);
        }
    }

    #[test]
    fn what_never_began_ends_at_once() {
        let mut source = Until::<MemorySource>::nothing();
        assert_eq!(source.burst(32, |_, _| ()), Progress::End);
    }
}
