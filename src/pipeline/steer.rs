//! Where an rx's frames go: over rings to the workers that own their flows, or straight into the
//! worker that is fused with the rx.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::counters::{DropReason, Drops},
    packet::{
        descriptor::{Cut, Descriptor},
        key::WideKey,
        line::Line,
    },
    pipeline::{ring::LineSender, worker::Worker},
};

/// How often a live rx looks again for room before it drops.
const LIVE_PATIENCE: u32 = 2000;

/// The way out of an rx.
pub trait Outlet: Send {
    /// Waits until there is room for `burst` frames, and returns how many frames to take. Where
    /// frames cannot wait (`waits` is false), gives up after a while and returns `burst`.
    fn wait_for_room(&mut self, burst: usize, waits: bool) -> usize;

    /// Returns where the next frame's descriptor and wide key are written.
    fn next(&mut self) -> (&mut Descriptor, &mut WideKey);

    /// Adds what was written there to the burst.
    fn commit(&mut self);

    /// Hands the burst over. What finds no room is dropped, or waited for if `waits`.
    fn flush(&mut self, drops: &mut Drops, waits: bool);

    /// Puts the marker of a cut behind all that was flushed.
    fn cut(&mut self, cut: Cut);

    /// Uses the time while no frame comes; returns whether there is more to do.
    fn idle_step(&mut self) -> bool;
}

/// Lines of one burst, in one piece.
struct Staged {
    lines: Box<[Line]>,
    used: usize,
    /// Frames in them.
    frames: u64,
}

impl Staged {
    #[allow(clippy::disallowed_macros, reason = "start-up")]
    fn new(burst: usize) -> Self {
        Self { lines: vec![Line::default(); 2 * burst].into_boxed_slice(), used: 0, frames: 0 }
    }

    #[inline]
    fn next(&mut self) -> &mut Descriptor {
        self.lines[self.used].frame_mut()
    }

    /// Adds the line that was written, and its wide key.
    #[inline]
    fn commit(&mut self, wide: &WideKey) {
        let is_wide = self.lines[self.used].frame().key.is_wide();
        self.used += 1;
        if is_wide {
            self.lines[self.used] = Line::of_wide(*wide);
            self.used += 1;
        }
        self.frames += 1;
    }

    fn clear(&mut self) {
        self.used = 0;
        self.frames = 0;
    }
}

/// Into the worker that runs in the same loop.
pub struct Fused {
    worker: Worker,
    staged: Staged,
    wide: WideKey,
}

impl Fused {
    /// Returns the way into `worker` for bursts of at most `burst` frames.
    pub fn new(worker: Worker, burst: usize) -> Self {
        Self { worker, staged: Staged::new(burst), wide: WideKey::default() }
    }
}

impl Outlet for Fused {
    #[inline]
    fn wait_for_room(&mut self, burst: usize, _waits: bool) -> usize {
        burst
    }

    #[inline]
    fn next(&mut self) -> (&mut Descriptor, &mut WideKey) {
        (self.staged.next(), &mut self.wide)
    }

    #[inline]
    fn commit(&mut self) {
        self.staged.commit(&self.wide);
    }

    #[inline]
    fn flush(&mut self, _drops: &mut Drops, _waits: bool) {
        let done = self.worker.process(&self.staged.lines[..self.staged.used]);
        debug_assert_eq!(done, self.staged.used);
        self.staged.clear();
    }

    fn cut(&mut self, cut: Cut) {
        self.worker.close(cut, 0);
    }

    fn idle_step(&mut self) -> bool {
        self.worker.idle_step()
    }
}

/// Over rings to several workers: `hash -> worker` by a table, as a NIC's RSS does it.
pub struct Steered {
    rings: Box<[(LineSender, Staged)]>,
    /// The redirection table.
    workers: [u8; 128],
    frame: Descriptor,
    wide: WideKey,
}

impl Steered {
    /// Returns the way over these rings, one for each worker, for bursts of `burst` frames.
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new(rings: impl IntoIterator<Item = LineSender>, burst: usize) -> Self {
        let rings: Box<[_]> = rings.into_iter().map(|ring| (ring, Staged::new(burst))).collect();
        let mut workers = [0; 128];
        for (i, worker) in workers.iter_mut().enumerate() {
            *worker = (i % rings.len()) as u8;
        }
        Self { rings, workers, frame: Descriptor::default(), wide: WideKey::default() }
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
    fn next(&mut self) -> (&mut Descriptor, &mut WideKey) {
        (&mut self.frame, &mut self.wide)
    }

    #[inline]
    fn commit(&mut self) {
        let worker = self.workers[self.frame.hash as usize >> 16 & 127];
        let staged = &mut self.rings[usize::from(worker)].1;
        *staged.next() = self.frame;
        staged.commit(&self.wide);
    }

    #[inline]
    fn flush(&mut self, drops: &mut Drops, waits: bool) {
        for (ring, staged) in &mut self.rings {
            if staged.used == 0 {
                continue;
            }
            while waits && ring.room(staged.used) < staged.used && !ring.is_abandoned() {
                std::thread::yield_now();
            }
            if ring.room(staged.used) >= staged.used {
                ring.send(&staged.lines[..staged.used]);
            } else {
                drops[DropReason::RingFull] += staged.frames;
            }
            staged.clear();
        }
    }

    fn cut(&mut self, cut: Cut) {
        for (ring, _) in &mut self.rings {
            ring.send_marker(cut);
        }
    }

    fn idle_step(&mut self) -> bool {
        false
    }
}
