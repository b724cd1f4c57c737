//! Waiting without losing a wake-up, and without a system call when nobody waits.
//!
//! The sleeper announces that it sleeps, looks once more, and only then waits. The waker makes
//! what it has visible, and only then looks for the announcement. With a full fence between the
//! two steps on either side, at least one of them sees the other.
//!
//! `make loom` checks it over all interleavings with loom (C. Lerche; after "CDSChecker", B. Norris and
//! B. Demsky, 2013).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{
    sync::OnceLock,
    thread::{self, Thread},
    time::Duration,
};

use crate::base::{
    call::Caller,
    sync::atomic::{AtomicBool, Ordering, fence},
};

/// The bell of one thread.
#[derive(Debug, Default)]
pub struct Bell {
    sleeping: AtomicBool,
    sleeper: OnceLock<Sleeper>,
}

#[derive(Debug)]
enum Sleeper {
    /// It parks.
    Parked(Thread),
    /// It waits where it has its own reasons to, and can be called from there.
    Elsewhere(Caller),
}

impl Bell {
    /// Makes the calling thread the one that this bell wakes.
    pub fn adopt(&self) {
        let _ = self.sleeper.set(Sleeper::Parked(thread::current()));
    }

    /// Makes the thread that waits where `caller` reaches it the one that this bell wakes.
    pub fn adopt_caller(&self, caller: Caller) {
        let _ = self.sleeper.set(Sleeper::Elsewhere(caller));
    }

    /// Waits until the bell rings, `ready` holds, or `timeout` has passed.
    pub fn wait(&self, timeout: Duration, ready: impl FnOnce() -> bool) {
        self.sleep(ready, || thread::park_timeout(timeout));
    }

    /// Unless `ready` holds, waits as `wait` does, which the bell ends.
    pub fn sleep(&self, ready: impl FnOnce() -> bool, wait: impl FnOnce()) {
        self.announce();
        if !ready() {
            wait();
        }
        self.retract();
    }

    /// Wakes the thread if it sleeps. Call it after what it waits for was made visible.
    #[inline]
    pub fn ring(&self) {
        if self.is_awaited() {
            self.wake();
        }
    }

    /// Says that the thread is about to wait.
    fn announce(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        // Pairs with the fence in `is_awaited`.
        fence(Ordering::SeqCst);
    }

    fn retract(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Returns whether the thread waits or is about to.
    #[inline]
    fn is_awaited(&self) -> bool {
        // Pairs with the fence in `announce`: either this sees the announcement, or the sleeper's
        // last look sees what was made visible before.
        fence(Ordering::SeqCst);
        self.sleeping.load(Ordering::Relaxed)
    }

    #[cold]
    fn wake(&self) {
        match self.sleeper.get() {
            Some(Sleeper::Parked(thread)) => thread.unpark(),
            Some(Sleeper::Elsewhere(caller)) => caller.call(),
            None => {}
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::Bell;

    /// The sleeper may wait only if the waker is going to ring: checked over all interleavings.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let bell = Arc::new(Bell::default());
            let items = Arc::new(AtomicUsize::new(0));
            let waker = {
                let (bell, items) = (Arc::clone(&bell), Arc::clone(&items));
                thread::spawn(move || {
                    items.store(1, Ordering::Release);
                    bell.is_awaited()
                })
            };
            bell.announce();
            let sleeps = items.load(Ordering::Acquire) == 0;
            let rings = waker.join().unwrap();
            assert!(!sleeps || rings, "asleep, and nobody rings");
        });
    }
}
