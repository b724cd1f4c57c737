//! Where an rx's frames go: over rings to the workers that own their flows, or straight into the
//! worker that is fused with the rx.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "frames are lent for a burst, and room for one is looked for before")]

use std::sync::Arc;

use crate::{
    base::{
        counters::{DropReason, Drops, Volume},
        ids::Epoch,
        time::Tick,
    },
    packet::{
        descriptor::{Cut, Descriptor},
        key::WideKey,
        line::Line,
        payload::{Beside, Lent, MOST_LINES, payload},
    },
    pipeline::{quiet::Quiet, ring::LineSender, worker::Worker},
};

/// How often a live rx looks again for room before it drops.
const LIVE_PATIENCE: u32 = 2000;

/// The way out of an rx.
pub trait Outlet: Send {
    /// Waits until there is room for `burst` frames, and returns how many frames to take. Where
    /// frames cannot wait (`waits` is false), gives up after a while and returns `burst`.
    fn wait_for_room(&mut self, burst: usize, waits: bool) -> usize;

    /// Returns where the next frame is to be written: the descriptor and, if that says so, the wide
    /// key. Frames are read where they were written; copying one right away would have to wait for
    /// its single fields to arrive (5 ns).
    fn place(&mut self) -> (&mut Descriptor, &mut WideKey);

    /// Adds what was written to the place to the burst, and the payload in `frame`, which stays where
    /// it is until the burst was flushed.
    fn put(&mut self, frame: &[u8]);

    /// The same for a frame whose key is not wide and has this hash.
    #[inline(always)]
    fn put_plain(&mut self, frame: &[u8], _hash: u32) {
        self.put(frame);
    }

    /// Adds what was written to the place, behind which there is no frame.
    fn put_bare(&mut self);

    /// Hands the burst over. What finds no room is dropped, or waited for if `waits`. The source has
    /// not been called since the frames were put.
    fn flush(&mut self, drops: &mut Drops, waits: bool);

    /// Puts the marker of a cut behind all that was flushed.
    fn cut(&mut self, cut: Cut);

    /// Uses the time while no frame comes; returns whether there is more to do.
    fn idle_step(&mut self) -> bool;

    /// Returns the tick before which no flow ends by itself, if that is known here. Waits for the
    /// workers to close the epoch of the last cut.
    fn quiet_until(&self) -> Option<Tick> {
        None
    }
}

/// Lines of one burst, in one piece.
struct Staged {
    lines: Box<[Line]>,
    /// Lines of a frame at most.
    most: usize,
    used: usize,
}

impl Staged {
    #[allow(clippy::disallowed_macros, reason = "start-up")]
    fn new(burst: usize, most: usize) -> Self {
        // One frame more: a place is asked for before it is known that nothing comes.
        let lines = vec![Line::default(); most * (burst + 1)].into_boxed_slice();
        Self { lines, most, used: 0 }
    }

    /// Returns the two lines behind the last one.
    #[inline(always)]
    fn pair(&mut self) -> &mut [Line; 2] {
        // SAFETY: there are two lines behind those that are used, which `add` sees to.
        unsafe { &mut *self.lines.as_mut_ptr().add(self.used).cast() }
    }

    /// Adds the frame in the next pair.
    #[inline]
    fn put(&mut self) {
        let lines = 1 + self.pair()[0].frame().lines_after();
        self.add(lines);
    }

    /// Adds a frame of so many lines.
    #[inline(always)]
    fn add(&mut self, lines: usize) {
        let used = self.used + lines;
        assert!(used + 2 <= self.lines.len(), "there are two lines for every frame of a burst");
        self.used = used;
    }

    /// Writes the payload of the frame in the next pair behind it.
    fn append_payload(&mut self, frame: &[u8]) {
        let at = self.used;
        let (descriptor, _) = Line::pair_mut(self.pair());
        let bytes = payload(descriptor, frame);
        descriptor.payload_lines = bytes.len().div_ceil(size_of::<Line>()) as u8;
        descriptor.payload_at = bytes.len() as u16;
        let behind = at + 1 + usize::from(descriptor.key.is_wide());
        Line::write(&mut self.lines[behind..at + self.most], bytes);
    }

    /// Adds a frame from elsewhere.
    #[inline]
    fn copy(&mut self, pair: &[Line; 2], frame: Option<&[u8]>) {
        *self.pair() = *pair;
        if let Some(frame) = frame {
            self.append_payload(frame);
        }
        self.put();
    }

    /// Returns how many lines from `from` on, in whole frames, are at most `room`, and how many frames
    /// these are.
    fn whole(&self, from: usize, room: usize) -> (usize, u64) {
        let (mut at, mut frames) = (from, 0);
        while at < self.used {
            let next = at + 1 + self.lines[at].frame().lines_after();
            if next - from > room {
                break;
            }
            (at, frames) = (next, frames + 1);
        }
        (at - from, frames)
    }

    fn clear(&mut self) {
        self.used = 0;
    }
}

/// Into the worker that runs in the same loop.
pub struct Fused {
    worker: Worker,
    staged: Staged,
    /// By staged line: where the frame lies.
    lent: Box<[Lent]>,
    is_alone: bool,
}

impl Fused {
    /// Returns the way into `worker` for bursts of at most `burst` frames; `is_alone` if there is no
    /// other worker.
    #[allow(clippy::disallowed_macros, reason = "start-up")]
    pub fn new(worker: Worker, burst: usize, is_alone: bool) -> Self {
        let staged = Staged::new(burst, 2);
        let lent = vec![Lent::NONE; staged.lines.len()].into_boxed_slice();
        Self { worker, staged, lent, is_alone }
    }
}

impl Outlet for Fused {
    #[inline]
    fn wait_for_room(&mut self, burst: usize, _waits: bool) -> usize {
        burst
    }

    #[inline]
    fn place(&mut self) -> (&mut Descriptor, &mut WideKey) {
        Line::pair_mut(self.staged.pair())
    }

    #[inline]
    fn put(&mut self, frame: &[u8]) {
        self.worker.prefetch(self.staged.pair()[0].frame().hash);
        self.lent[self.staged.used] = Lent::new(frame);
        self.staged.put();
    }

    #[inline(always)]
    fn put_plain(&mut self, frame: &[u8], hash: u32) {
        self.worker.prefetch(hash);
        let at = self.staged.used;
        self.staged.add(1);
        // SAFETY: there is one for every line, and `add` has seen to it that more lines follow.
        unsafe { *self.lent.get_unchecked_mut(at) = Lent::new(frame) };
    }

    fn put_bare(&mut self) {
        self.put(&[]);
    }

    #[inline]
    fn flush(&mut self, _drops: &mut Drops, _waits: bool) {
        let used = self.staged.used;
        // SAFETY: rx flushes before it calls the source again.
        let payloads = unsafe { Beside::new(&self.lent[..used]) };
        let done = self.worker.process_prefetched(&self.staged.lines[..used], &payloads);
        debug_assert_eq!(done, self.staged.used);
        self.staged.clear();
    }

    fn cut(&mut self, cut: Cut) {
        self.worker.close(cut, Volume::default());
    }

    fn idle_step(&mut self) -> bool {
        self.worker.idle_step()
    }

    fn quiet_until(&self) -> Option<Tick> {
        // With other shards, all have to make the same cuts.
        self.is_alone.then(|| self.worker.quiet_until())
    }
}

/// Over rings to several workers: `hash -> worker` by a table, as a NIC's RSS does it.
pub struct Steered {
    rings: Box<[(LineSender, Staged)]>,
    /// The redirection table.
    workers: [u8; 128],
    /// Where a frame is written while nobody knows whose it is; unused with a single worker.
    unknown: [Line; 2],
    /// Whether payloads go with their frames.
    inspects: bool,
    /// What each worker says of time ahead; none if there are other rx threads, or while live.
    quiet: Box<[Arc<Quiet>]>,
    /// The epoch of the last cut.
    epoch: Epoch,
}

impl Steered {
    /// Returns the way over these rings, one for each worker, for bursts of `burst` frames; with
    /// `inspects` their payloads go with them. `quiet` is where workers tell how long nothing ends, if
    /// this is their only rx, and that of a file.
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new(
        rings: impl IntoIterator<Item = LineSender>,
        burst: usize,
        inspects: bool,
        quiet: impl IntoIterator<Item = Arc<Quiet>>,
    ) -> Self {
        let most = if inspects { MOST_LINES } else { 2 };
        let rings: Box<[_]> = rings.into_iter().map(|ring| (ring, Staged::new(burst, most))).collect();
        let mut workers = [0; 128];
        for (i, worker) in workers.iter_mut().enumerate() {
            *worker = (i % rings.len()) as u8;
        }
        let quiet = quiet.into_iter().collect();
        Self { rings, workers, unknown: [Line::default(); 2], inspects, quiet, epoch: Epoch(0) }
    }
}

impl Outlet for Steered {
    fn wait_for_room(&mut self, burst: usize, waits: bool) -> usize {
        let mut looks = 0;
        loop {
            // Every frame may be wide, and all may go to one worker.
            let room = self.rings.iter_mut().map(|(ring, _)| ring.room(2 * burst)).min().unwrap_or(0);
            if room >= 2 {
                return burst.min(room / 2);
            }
            looks += 1;
            if self.rings.iter().any(|(ring, _)| ring.is_abandoned()) || !waits && looks > LIVE_PATIENCE {
                return burst;
            }
            if looks > 100 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }

    #[inline]
    fn place(&mut self) -> (&mut Descriptor, &mut WideKey) {
        Line::pair_mut(match &mut *self.rings {
            [(_, staged)] => staged.pair(),
            _ => &mut self.unknown,
        })
    }

    #[inline]
    fn put(&mut self, frame: &[u8]) {
        if let [(_, staged)] = &mut *self.rings {
            if self.inspects {
                staged.append_payload(frame);
            }
            return staged.put();
        }
        let worker = self.workers[self.unknown[0].frame().hash as usize >> 16 & 127];
        let frame = self.inspects.then_some(frame);
        self.rings[usize::from(worker)].1.copy(&self.unknown, frame);
    }

    fn put_bare(&mut self) {
        if let [(_, staged)] = &mut *self.rings {
            return staged.put();
        }
        let worker = self.workers[self.unknown[0].frame().hash as usize >> 16 & 127];
        self.rings[usize::from(worker)].1.copy(&self.unknown, None);
    }

    #[inline]
    fn flush(&mut self, drops: &mut Drops, waits: bool) {
        for (ring, staged) in &mut self.rings {
            if staged.used == 0 {
                continue;
            }
            let mut sent = 0;
            while sent < staged.used {
                let room = ring.room(staged.used - sent);
                let (lines, _) = staged.whole(sent, room);
                ring.send(&staged.lines[sent..sent + lines]);
                sent += lines;
                if sent < staged.used {
                    if !waits || ring.is_abandoned() {
                        drops[DropReason::RingFull] += staged.whole(sent, usize::MAX).1;
                        break;
                    }
                    std::thread::yield_now();
                }
            }
            staged.clear();
        }
    }

    fn cut(&mut self, cut: Cut) {
        for (ring, _) in &mut self.rings {
            ring.send_marker(cut);
        }
        self.epoch = cut.epoch;
    }

    fn quiet_until(&self) -> Option<Tick> {
        let now = self.epoch;
        let mut first: Option<Tick> = None;
        for (quiet, (ring, _)) in self.quiet.iter().zip(&self.rings) {
            let until = loop {
                match quiet.since(now) {
                    Some(until) => break until,
                    None if ring.is_abandoned() => return None,
                    None => std::thread::yield_now(),
                }
            };
            first = Some(first.map_or(until, |first| first.earlier(until)));
        }
        first
    }

    fn idle_step(&mut self) -> bool {
        false
    }
}
