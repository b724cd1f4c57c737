//! How the programs wake readers that sleep for long: with the next record, if its reader has asked for it.

use std::{
    os::fd::{AsRawFd as _, RawFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use libbpf_rs::{MapCore as _, Object, RingBuffer, RingBufferBuilder};

use crate::platform::linux::alarm::Alarm;

/// One for all rx threads, which wait at it together. It is silent once one of them has heard it, so that one wakes
/// the others: which of them it rang for is not to be seen.
pub struct Doorbell {
    ring: Mutex<RingBuffer<'static>>,
    fd: RawFd,
    sleepers: Box<[Sleeper]>,
}

/// What there is of each rx thread.
struct Sleeper {
    is_asleep: AtomicBool,
    alarm: Alarm,
}

impl Doorbell {
    /// Returns that of loaded programs; `None` if the kernel does not give it.
    pub fn of(object: &Object, threads: usize) -> Option<Self> {
        let bell = object.maps().find(|map| map.name() == "bell")?;
        let mut builder = RingBufferBuilder::new();
        builder.add(&bell, |_| 0).ok()?;
        let ring = builder.build().ok()?;
        let fd = ring.epoll_fd();
        let sleeper = |_| Some(Sleeper { is_asleep: AtomicBool::new(false), alarm: Alarm::new().ok()? });
        let sleepers = (0..threads).map(sleeper).collect::<Option<_>>()?;
        Some(Self { ring: Mutex::new(ring), fd, sleepers })
    }

    /// Says that a thread is about to sleep. It has to ask in all its rings, and to look at them once more, then.
    pub fn lie_down(&self, thread: usize) {
        self.sleepers[thread].is_asleep.store(true, Ordering::SeqCst);
    }

    /// Says that it is awake.
    pub fn get_up(&self, thread: usize) {
        self.sleepers[thread].is_asleep.store(false, Ordering::SeqCst);
    }

    /// Returns the descriptors that can be read from once it has rung: that of all, until [`Doorbell::hear`], and the
    /// thread's own, until [`Doorbell::heard`].
    pub fn as_raw_fds(&self, thread: usize) -> [RawFd; 2] {
        [self.fd, self.sleepers[thread].alarm.as_raw_fd()]
    }

    /// Makes it silent again, and wakes those that had lain down before it rang.
    pub fn hear(&self, thread: usize) {
        {
            let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            // Fails only if it was interrupted: then it is still heard, and once more is no harm.
            let _ = ring.consume();
        }
        for (n, sleeper) in self.sleepers.iter().enumerate() {
            if n != thread && sleeper.is_asleep.swap(false, Ordering::SeqCst) {
                sleeper.alarm.ring();
            }
        }
    }

    /// Makes a thread's own descriptor silent again.
    pub fn heard(&self, thread: usize) {
        self.sleepers[thread].alarm.silence();
    }
}
