//! The rings of lines from every rx to every worker.
//!
//! One producer, one consumer, a release store per burst. One line of each ring is kept free for
//! the marker of a cut.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::sync::Arc;

use crate::{
    packet::{
        descriptor::{Cut, Descriptor},
        line::Line,
        payload::MOST_LINES,
    },
    pipeline::wake::Bell,
};

/// Makes a ring of at least `lines` lines to the worker with this bell.
#[allow(clippy::disallowed_macros, reason = "start-up")]
pub fn lines(lines: usize, worker: Arc<Bell>) -> (LineSender, LineReceiver) {
    let (producer, consumer) = rtrb::RingBuffer::new(lines.max(4));
    let joint = vec![Line::default(); MOST_LINES].into_boxed_slice();
    (LineSender { producer, worker }, LineReceiver { consumer, joint })
}

/// An rx's end.
pub struct LineSender {
    producer: rtrb::Producer<Line>,
    worker: Arc<Bell>,
}

impl LineSender {
    /// Returns how many lines of frames there is room for; the marker's line is not among them.
    #[inline]
    pub fn room(&mut self, wanted: usize) -> usize {
        // Asking for as much as is wanted spares a look at the consumer's index.
        if self.producer.write_chunk_uninit(wanted + 1).is_ok() {
            return wanted;
        }
        self.producer.slots().saturating_sub(1)
    }

    /// Hands over lines. There must be room.
    #[inline]
    pub fn send(&mut self, lines: &[Line]) {
        if lines.is_empty() {
            return;
        }
        let Ok(mut chunk) = self.producer.write_chunk(lines.len()) else {
            debug_assert!(false, "asked for room before");
            return;
        };
        let (first, second) = chunk.as_mut_slices();
        let (a, b) = lines.split_at(first.len());
        first.copy_from_slice(a);
        second.copy_from_slice(b);
        chunk.commit_all();
        self.worker.ring();
    }

    /// Hands over the marker of a cut. Waits for its line if the last one has not been read yet.
    pub fn send_marker(&mut self, cut: Cut) {
        let line = Line::of(Descriptor::marker(cut));
        while self.producer.push(line).is_err() && !self.producer.is_abandoned() {
            self.worker.ring();
            std::thread::yield_now();
        }
        self.worker.ring();
    }

    /// Returns whether the worker is gone.
    pub fn is_abandoned(&self) -> bool {
        self.producer.is_abandoned()
    }
}

/// A worker's end.
pub struct LineReceiver {
    consumer: rtrb::Consumer<Line>,
    /// Where the lines of a frame are put together that lies on both sides of the ring's end.
    joint: Box<[Line]>,
}

impl LineReceiver {
    /// Returns how many lines wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.consumer.slots()
    }

    /// Returns how many lines there is room for.
    pub fn capacity(&self) -> usize {
        self.consumer.buffer().capacity()
    }

    /// Returns whether none waits.
    pub fn is_empty(&self) -> bool {
        self.consumer.is_empty()
    }

    /// Gives up to `lines` lines to `process`, which says how many it took, and returns the cut if
    /// it stopped at a marker, which is taken too. At least `lines` lines must wait.
    #[inline]
    pub fn take(&mut self, lines: usize, mut process: impl FnMut(&[Line]) -> usize) -> Option<Cut> {
        let Ok(chunk) = self.consumer.read_chunk(lines) else {
            debug_assert!(false, "asked before how many wait");
            return None;
        };
        let (first, second) = chunk.as_slices();
        let mut done = process(first);
        let mut cut = None;
        if done < first.len() {
            let frame = first[done].frame();
            cut = frame.as_marker();
            let front = first.len() - done;
            let rest = (1 + frame.lines_after()).saturating_sub(front);
            if cut.is_none() && 0 < rest && rest <= second.len() {
                self.joint[..front].copy_from_slice(&first[done..]);
                self.joint[front..front + rest].copy_from_slice(&second[..rest]);
                done += process(&self.joint[..front + rest]);
                done += process(&second[rest..]);
            }
        } else if !second.is_empty() {
            done += process(second);
        }
        if cut.is_none() && done >= first.len() && done < first.len() + second.len() {
            cut = second[done - first.len()].frame().as_marker();
        }
        chunk.commit(done + usize::from(cut.is_some()));
        cut
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests are off the packet path")]
mod tests {
    use super::*;
    use crate::{
        base::ids::Epoch,
        packet::key::{FlowKey, WideKey, kind},
    };

    /// Takes frames like a table does, and notes their numbers.
    fn numbers(lines: &[Line], seen: &mut Vec<u32>) -> usize {
        let mut at = 0;
        while at < lines.len() {
            let frame = lines[at].frame();
            let next = at + 1 + usize::from(frame.key.is_wide());
            if frame.as_marker().is_some() || next > lines.len() {
                break;
            }
            seen.push(frame.hash);
            if frame.key.is_wide() {
                assert_eq!(lines[at + 1].wide().ends[0][0], frame.hash as u8);
            }
            at = next;
        }
        at
    }

    #[test]
    fn order_wide_keys_and_markers_survive_the_ring_s_end() {
        for size in [4, 5, 7, 8, 13, 64] {
            for take in [2, 3, 5, 64] {
                let (mut tx, mut rx) = lines(size, Arc::new(Bell::default()));
                let (mut sent, mut seen, mut cuts) = (0u32, Vec::new(), Vec::new());
                while sent < 2000 {
                    if sent % 17 == 16 {
                        tx.send_marker(Cut { epoch: Epoch(u64::from(sent)), ..Cut::default() });
                        sent += 1;
                    }
                    let is_wide = sent % 3 == 0;
                    let mut frame = Descriptor { hash: sent, ..Descriptor::default() };
                    frame.key = FlowKey {
                        kind: kind::LIVE | if is_wide { kind::V6 } else { 0 },
                        ..FlowKey::default()
                    };
                    let mut wide = WideKey::default();
                    wide.ends[0][0] = sent as u8;
                    let both = [Line::of(frame), Line::of_wide(wide)];
                    let pair = &both[..1 + usize::from(is_wide)];
                    let fits = tx.room(pair.len()) >= pair.len();
                    if fits {
                        tx.send(pair);
                        sent += 1;
                    }
                    while !rx.is_empty() && (!fits || rx.len() > size / 2 || sent >= 2000 || sent % 17 == 16)
                    {
                        let n = rx.len().min(take);
                        let cut = rx.take(n, |lines| numbers(lines, &mut seen));
                        cuts.extend(cut.map(|c| (c.epoch.0 as u32, seen.len())));
                    }
                }
                let want: Vec<u32> = (0..2000).filter(|n| n % 17 != 16).collect();
                assert_eq!(seen, want, "ring {size}, take {take}");
                for (epoch, before) in cuts {
                    assert_eq!(before as u32, epoch - epoch / 17, "the cut stands where it was made");
                }
            }
        }
    }
}
