//! What a worker tells its rx about time ahead in which nothing ends.
//!
//! A capture with days of silence needs no cut a second through them: rx asks, before it makes cuts
//! that no frame lies between, until when none of them would end a flow.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::{
    ids::Epoch,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Tick,
};

/// One worker's answer as of the epoch that it closed last.
#[derive(Debug)]
pub struct Quiet {
    closed: AtomicU64,
    until: AtomicU32,
}

impl Default for Quiet {
    fn default() -> Self {
        Self { closed: AtomicU64::new(0), until: AtomicU32::new(0) }
    }
}

impl Quiet {
    /// Called by the worker that has closed an epoch: no flow ends by itself before the tick.
    pub fn tell(&self, closed: Epoch, until: Tick) {
        self.until.store(until.0, Ordering::Relaxed);
        // Release: pairs with the Acquire in `since`.
        self.closed.store(closed.0, Ordering::Release);
    }

    /// Called by the rx: returns the tick, once the worker has closed the epoch. The rx makes no
    /// further cut before it has the answer.
    pub fn since(&self, epoch: Epoch) -> Option<Tick> {
        // Acquire: pairs with the Release in `tell`.
        (self.closed.load(Ordering::Acquire) >= epoch.0).then(|| Tick(self.until.load(Ordering::Relaxed)))
    }
}
