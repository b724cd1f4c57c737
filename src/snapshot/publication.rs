//! The place where the collector puts the newest epoch and readers borrow it.
//!
//! A snapshot's memory is lent by the workers, which get it back before the next cut. So readers
//! borrow it for as long as a query or a frame takes, never longer: [`Publication::latest`] gives
//! an `Arc` that must be dropped soon. Between the recall of one epoch and the next there is none.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    base::{call::Caller, ids::Epoch, time::Nanos},
    snapshot::{view::Snapshot, wish::Wish},
};

/// Epochs come at least so often, however seldom anybody looks: rates are those of seconds.
pub const LONGEST_EPOCH: Nanos = Nanos::from_secs(1);

/// The newest epoch, shared by the collector and all readers.
#[derive(Default)]
pub struct Publication {
    slot: Mutex<Slot>,
    changed: Condvar,
    /// The row that readers want to know more of.
    pub wish: Arc<Wish>,
}

#[derive(Default)]
struct Slot {
    snapshot: Option<Arc<Snapshot>>,
    epoch: Epoch,
    over: bool,
    /// Who wants to be called when it is over.
    callers: Vec<Caller>,
}

impl Publication {
    /// Returns the newest epoch, `None` before the first and while the next is being made.
    /// Drop it as soon as the query or the frame is done.
    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        self.lock().snapshot.clone()
    }

    /// Returns the number of the newest epoch that was published.
    pub fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// Returns whether the engine has ended; the last epoch stays.
    pub fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Waits at most `timeout` for an epoch after `seen`, and returns it.
    pub fn wait_after(&self, seen: Epoch, timeout: Duration) -> Option<Arc<Snapshot>> {
        let waiting = |s: &mut Slot| !(s.over || s.epoch > seen && s.snapshot.is_some());
        let (slot, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        slot.snapshot.clone().filter(|s| s.epoch > seen)
    }

    /// Publishes an epoch.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let mut slot = self.lock();
        slot.epoch = snapshot.epoch;
        slot.snapshot = Some(snapshot);
        self.changed.notify_all();
    }

    /// Takes the epoch back; readers that still hold it delay the next cut.
    pub fn recall(&self) -> Option<Arc<Snapshot>> {
        self.lock().snapshot.take()
    }

    /// Says that no further epoch will come.
    pub fn end(&self) {
        let callers = {
            let mut slot = self.lock();
            slot.over = true;
            std::mem::take(&mut slot.callers)
        };
        self.changed.notify_all();
        callers.iter().for_each(Caller::call);
    }

    /// Has somebody called when the engine has ended; at once if it has.
    pub fn call_at_end(&self, caller: Caller) {
        let mut slot = self.lock();
        if slot.over {
            drop(slot);
            return caller.call();
        }
        slot.callers.push(caller);
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
