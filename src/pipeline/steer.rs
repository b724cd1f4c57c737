//! Where an rx's frames go: over rings to the workers that own their flows, or straight into the
//! worker that is fused with the rx.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "room for a frame is looked for once, when the frame before it is added")]

use crate::{
    base::{
        counters::{DropReason, Drops},
        time::Tick,
    },
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

    /// Returns where the next frame is to be written: the descriptor and, if that says so, the wide
    /// key. Frames are read where they were written; copying one right away would have to wait for
    /// its single fields to arrive (5 ns).
    fn place(&mut self) -> (&mut Descriptor, &mut WideKey);

    /// Adds what was written to the place to the burst.
    fn put(&mut self);

    /// The same for a frame whose key is not wide.
    #[inline(always)]
    fn put_plain(&mut self) {
        self.put();
    }

    /// Hands the burst over. What finds no room is dropped, or waited for if `waits`.
    fn flush(&mut self, drops: &mut Drops, waits: bool);

    /// Puts the marker of a cut behind all that was flushed.
    fn cut(&mut self, cut: Cut);

    /// Uses the time while no frame comes; returns whether there is more to do.
    fn idle_step(&mut self) -> bool;

    /// Returns the tick before which no flow ends by itself, if that is known here.
    fn quiet_until(&self) -> Option<Tick> {
        None
    }
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
        // One pair more: a place is asked for before it is known that nothing comes.
        Self { lines: vec![Line::default(); 2 * burst + 2].into_boxed_slice(), used: 0, frames: 0 }
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
        let lines = 1 + usize::from(self.pair()[0].frame().key.is_wide());
        self.add(lines);
    }

    /// Adds a frame of so many lines.
    #[inline(always)]
    fn add(&mut self, lines: usize) {
        let used = self.used + lines;
        assert!(used + 2 <= self.lines.len(), "there are two lines for every frame of a burst");
        self.used = used;
        self.frames += 1;
    }

    /// Adds a frame from elsewhere.
    #[inline]
    fn copy(&mut self, pair: &[Line; 2]) {
        *self.pair() = *pair;
        self.put();
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
    is_alone: bool,
}

impl Fused {
    /// Returns the way into `worker` for bursts of at most `burst` frames; `is_alone` if there is no
    /// other worker.
    pub fn new(worker: Worker, burst: usize, is_alone: bool) -> Self {
        Self { worker, staged: Staged::new(burst), is_alone }
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

    #[inline(always)]
    fn put(&mut self) {
        self.worker.prefetch(self.staged.pair()[0].frame().hash);
        self.staged.put();
    }

    #[inline(always)]
    fn put_plain(&mut self) {
        self.worker.prefetch(self.staged.pair()[0].frame().hash);
        self.staged.add(1);
    }

    #[inline]
    fn flush(&mut self, _drops: &mut Drops, _waits: bool) {
        let done = self.worker.process_prefetched(&self.staged.lines[..self.staged.used]);
        debug_assert_eq!(done, self.staged.used);
        self.staged.clear();
    }

    fn cut(&mut self, cut: Cut) {
        self.worker.close(cut);
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
        Self { rings, workers, unknown: [Line::default(); 2] }
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
    fn put(&mut self) {
        if let [(_, staged)] = &mut *self.rings {
            return staged.put();
        }
        let worker = self.workers[self.unknown[0].frame().hash as usize >> 16 & 127];
        self.rings[usize::from(worker)].1.copy(&self.unknown);
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
