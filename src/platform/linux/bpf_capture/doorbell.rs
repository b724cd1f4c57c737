//! How the programs wake readers that sleep for long: with the next record, if somebody has asked for it.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    os::fd::{AsFd as _, RawFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use libbpf_rs::{MapCore as _, Object, RingBuffer, RingBufferBuilder};

use crate::platform::linux::mapped::Mapped;

/// One for all readers: the first record wakes all that sleep.
pub struct Doorbell {
    word: Mapped,
    ring: Mutex<RingBuffer<'static>>,
    fd: RawFd,
}

impl Doorbell {
    /// Returns that of loaded programs; `None` if the kernel does not give it.
    pub fn of(object: &Object) -> Option<Self> {
        let map = |name| object.maps().find(move |map| map.name() == name);
        let word = Mapped::new(map(".data.reader")?.as_fd(), size_of::<u32>()).ok()?;
        let bell = map("bell")?;
        let mut builder = RingBufferBuilder::new();
        builder.add(&bell, |_| 0).ok()?;
        let ring = builder.build().ok()?;
        let fd = ring.epoll_fd();
        Some(Self { word, ring: Mutex::new(ring), fd })
    }

    /// Says that a reader is about to sleep. It has to look at its rings once more then.
    pub fn announce(&self) {
        let word = self.word.at(0, size_of::<u32>());
        // SAFETY: within the map, which begins with a page, and the programs access the whole word.
        let word = unsafe { AtomicU32::from_ptr(word.cast().as_ptr()) };
        word.store(1, Ordering::SeqCst);
    }

    /// Returns the descriptor that can be read from once it has rung, until [`Doorbell::hear`].
    pub fn as_raw_fd(&self) -> RawFd {
        self.fd
    }

    /// Makes it silent again.
    pub fn hear(&self) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails only if it was interrupted: then it is still heard, and once more is no harm.
        let _ = ring.consume();
    }
}
