//! One place for a box that two threads pass to and fro.
//!
//! A ring would do as well, but for one thing: what was put here and not yet taken can be taken
//! back by the one who put it.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "a box crosses as a pointer")]

use std::{marker::PhantomData, ptr};

use crate::base::sync::atomic::{AtomicPtr, Ordering};

/// Holds one box or none.
#[derive(Debug)]
pub struct Handover<T> {
    place: AtomicPtr<T>,
    owns: PhantomData<Box<T>>,
}

impl<T> Default for Handover<T> {
    fn default() -> Self {
        Self { place: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }
}

impl<T> Handover<T> {
    /// Puts a box here; one that was here before is given back.
    pub fn put(&self, value: Box<T>) -> Option<Box<T>> {
        self.exchange(Box::into_raw(value))
    }

    /// Takes the box that is here.
    pub fn take(&self) -> Option<Box<T>> {
        self.exchange(ptr::null_mut())
    }

    fn exchange(&self, new: *mut T) -> Option<Box<T>> {
        // Release makes what was done to the new value visible to who takes it; Acquire pairs with
        // that for the old one.
        let old = self.place.swap(new, Ordering::AcqRel);
        // SAFETY: every pointer but null comes from `Box::into_raw` in `put`, and the swap gives it
        // to one caller only.
        (!old.is_null()).then(|| unsafe { Box::from_raw(old) })
    }
}

/// Hands new values of something to one thread, which gives the old ones back: it makes and frees
/// nothing.
#[derive(Debug)]
pub struct Renewal<T> {
    new: Handover<T>,
    old: Handover<T>,
}

impl<T> Default for Renewal<T> {
    fn default() -> Self {
        Self { new: Handover::default(), old: Handover::default() }
    }
}

impl<T> Renewal<T> {
    /// Offers a value, in place of one that was offered and not fetched. For one thread.
    pub fn offer(&self, value: Box<T>) {
        // NB: first the old one, so that there is room for it when the new one is fetched.
        drop(self.old.take());
        drop(self.new.put(value));
    }

    /// Calls `swap` with the value on offer, if there is one, to be exchanged for the one in use.
    /// For the other thread.
    pub fn fetch(&self, swap: impl FnOnce(&mut T)) {
        if let Some(mut value) = self.new.take() {
            swap(&mut value);
            let before = self.old.put(value);
            debug_assert!(before.is_none(), "`offer` made room");
        }
    }
}

impl<T> Drop for Handover<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::disallowed_methods, reason = "tests are off the packet path")]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn the_newest_offer_is_fetched_once() {
        let renewal = Renewal::default();
        let mut used = 1;
        renewal.fetch(|_| unreachable!("nothing is on offer"));
        for round in [10, 20] {
            renewal.offer(Box::new(round));
            renewal.offer(Box::new(round + 1));
            renewal.fetch(|new| std::mem::swap(new, &mut used));
            assert_eq!(used, round + 1);
            renewal.fetch(|_| unreachable!("it was fetched"));
        }
    }

    #[test]
    fn a_box_has_one_owner_at_a_time() {
        let place = Arc::new(Handover::default());
        place.put(Box::new(0u64));
        let threads = [1u64, 1 << 32].map(|step| {
            let place = Arc::clone(&place);
            thread::spawn(move || {
                for _ in 0..20_000 {
                    let mut held = loop {
                        match place.take() {
                            Some(held) => break held,
                            None => thread::yield_now(),
                        }
                    };
                    *held += step;
                    assert!(place.put(held).is_none());
                }
            })
        });
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(place.take().as_deref(), Some(&(20_000 + (20_000 << 32))));
        assert_eq!(place.take(), None);
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::{sync::Arc, thread};

    use super::Handover;

    /// Of two that take, one gets the box, with all that was written to it before.
    #[test]
    fn a_box_is_taken_once() {
        loom::model(|| {
            let place = Arc::new(Handover::default());
            let other = {
                let place = Arc::clone(&place);
                thread::spawn(move || {
                    place.put(Box::new(7u64));
                    place.take().map(|held| *held)
                })
            };
            let mine = place.take().map(|held| *held);
            let theirs = other.join().unwrap();
            assert!(matches!((mine, theirs), (Some(7), None) | (None, Some(7))));
        });
    }
}
