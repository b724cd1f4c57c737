//! Whether an rx is part of an epoch: it is by answering, and is not once the collector has waited
//! for too long. Whoever is first decides, once, so that all threads agree.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::{
    ids::Epoch,
    sync::atomic::{AtomicU64, Ordering},
};

/// One rx's part in the newest epoch that was decided for it.
#[derive(Debug)]
pub struct Part {
    /// Twice the epoch, plus 1 if the rx was left out.
    decided: AtomicU64,
}

impl Default for Part {
    fn default() -> Self {
        Self { decided: AtomicU64::new(0) }
    }
}

impl Part {
    /// Called by the rx when it is about to make the cut of an epoch; `false` if it was left out.
    #[must_use]
    pub fn join(&self, epoch: Epoch) -> bool {
        self.decide(epoch, 0)
    }

    /// Called by the collector, which waits no longer; `false` if the rx was about to answer.
    #[must_use]
    pub fn leave_out(&self, epoch: Epoch) -> bool {
        self.decide(epoch, 1)
    }

    /// Returns whether the rx was left out of an epoch, which is the newest that was asked for.
    #[inline]
    pub fn is_left_out(&self, epoch: Epoch) -> bool {
        // Acquire: pairs with the AcqRel in `decide`.
        self.decided.load(Ordering::Acquire) == 2 * epoch.0 + 1
    }

    fn decide(&self, epoch: Epoch, left_out: u64) -> bool {
        let open = |decided: u64| (decided / 2 < epoch.0).then_some(2 * epoch.0 + left_out);
        self.decided.fetch_update(Ordering::AcqRel, Ordering::Acquire, open).is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_decided_once() {
        let part = Part::default();
        assert!(part.join(Epoch(1)) && !part.leave_out(Epoch(1)) && !part.is_left_out(Epoch(1)));
        assert!(part.leave_out(Epoch(2)) && !part.join(Epoch(2)) && part.is_left_out(Epoch(2)));
        // It comes back at a later one, whichever that is.
        assert!(part.join(Epoch(5)) && !part.is_left_out(Epoch(2)));
        assert!(!part.join(Epoch(4)));
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::{sync::Arc, thread};

    use super::Part;
    use crate::base::ids::Epoch;

    #[test]
    fn one_of_the_two_decides() {
        loom::model(|| {
            let part = Arc::new(Part::default());
            let rx = {
                let part = Arc::clone(&part);
                thread::spawn(move || part.join(Epoch(1)))
            };
            let left_out = part.leave_out(Epoch(1));
            assert!(left_out != rx.join().unwrap());
            assert_eq!(part.is_left_out(Epoch(1)), left_out);
        });
    }
}
