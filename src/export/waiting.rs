//! Frames that wait until it is known what becomes of them, in the order of their time.

use std::collections::{HashMap, VecDeque};

use crate::{
    base::{keyed::Keyed, time::Stamp},
    packet::{name::FlowName, parse::FrameMeta},
};

/// A frame and the flow that it is of.
pub type HeldFrame = (FlowName, FrameMeta, Box<[u8]>);

/// Frames by time. What comes in order costs nothing more; what comes out of it a search, and a move of those on the
/// shorter side of its place.
#[derive(Default)]
pub struct Waiting {
    frames: VecDeque<HeldFrame>,
    bytes: usize,
    /// How many frames wait by flow.
    counts: HashMap<FlowName, u32, Keyed>,
}

impl Waiting {
    /// Copies a frame.
    pub fn hold(&mut self, name: FlowName, meta: &FrameMeta, bytes: &[u8]) {
        self.put((name, *meta, bytes.into()));
    }

    /// Puts a frame to its place, behind those of the same time.
    pub fn put(&mut self, frame: HeldFrame) {
        self.bytes += room(&frame.2);
        *self.counts.entry(frame.0).or_default() += 1;
        match self.frames.back() {
            Some((_, last, _)) if last.wall > frame.1.wall => {
                let at = self.frames.partition_point(|(_, meta, _)| meta.wall <= frame.1.wall);
                self.frames.insert(at, frame);
            }
            _ => self.frames.push_back(frame),
        }
    }

    /// Takes the oldest.
    pub fn take(&mut self) -> Option<HeldFrame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= room(&frame.2);
        if let Some(count) = self.counts.get_mut(&frame.0) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&frame.0);
            }
        }
        Some(frame)
    }

    /// Returns the time of the oldest.
    pub fn first(&self) -> Option<Stamp> {
        self.frames.front().map(|(_, meta, _)| meta.wall)
    }

    /// Returns whether frames of a flow wait.
    pub fn has(&self, name: &FlowName) -> bool {
        self.counts.contains_key(name)
    }

    /// Returns how much memory they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Returns how much memory a frame takes: its place and its flow's in tables that may be half empty, and what the
/// allocator keeps beside its bytes.
fn room(bytes: &[u8]) -> usize {
    bytes.len() + 2 * (size_of::<HeldFrame>() + size_of::<(FlowName, u32)>()) + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_by_time_and_those_of_the_same_time_as_they_came() {
        let mut waiting = Waiting::default();
        let name = FlowName::default();
        for (n, at) in [5, 7, 6, 7, 1, 9, 5].into_iter().enumerate() {
            waiting.hold(name, &FrameMeta::of_ethernet(Stamp(at), 60), &[n as u8; 60]);
        }
        assert!(waiting.has(&name) && waiting.bytes() == 7 * room(&[0; 60]));
        let taken: Vec<_> =
            std::iter::from_fn(|| waiting.take()).map(|(_, meta, bytes)| (meta.wall.0, bytes[0])).collect();
        assert_eq!(taken, [(1, 4), (5, 0), (5, 6), (6, 2), (7, 1), (7, 3), (9, 5)]);
        assert!(!waiting.has(&name) && waiting.bytes() == 0 && waiting.first().is_none());
    }
}
