//! Waiting for what changes a run from outside: a signal, a reader that is gone, other addresses of this host.
#![expect(unsafe_code, reason = "an action of a signal's handler")]

use std::{fs::File, os::fd::AsRawFd as _, sync::Arc, thread, time::Duration};

use super::{alarm::Alarm, link::LinkWatch};
use crate::{base::call::Caller, platform::GLANCE};

/// Who sets addresses often sets several; a change is told this much later, so that they are looked at once.
const MORE_TO_COME: Duration = Duration::from_millis(50);
/// Addresses are looked at so often even if nobody says that they have changed.
const ADDRESSES_FRESH: Duration = Duration::from_secs(30);

/// Where a thread waits for what ends a run.
pub struct Lookout {
    /// None: no descriptor or no signal was to be had, and one looks every while.
    alarm: Option<Arc<Alarm>>,
}

impl Lookout {
    /// Returns one that these signals end the wait at. What else is to happen with them was said before: actions are
    /// taken in order.
    pub fn new(signals: &[i32]) -> Self {
        Self { alarm: Alarm::new().ok().map(Arc::new).filter(|alarm| hear(alarm, signals)) }
    }

    /// Returns what ends the wait from another thread; `None` if it is never long.
    pub fn caller(&self) -> Option<Caller> {
        self.alarm.as_ref().map(Alarm::caller)
    }

    /// Waits until a signal comes, somebody calls, nobody can read any more what is written to `out`, or `longest`, of
    /// less than a day, has passed. May return early.
    pub fn wait(&self, out: Option<&File>, longest: Duration) {
        match &self.alarm {
            Some(alarm) => alarm.wait_for_hangup(out.map(File::as_raw_fd), longest),
            None => thread::sleep(longest.min(GLANCE)),
        }
    }
}

/// Has signals ring an alarm.
fn hear(alarm: &Arc<Alarm>, signals: &[i32]) -> bool {
    signals.iter().all(|signal| {
        let alarm = Arc::clone(alarm);
        let ring = move || {
            // SAFETY: the calling thread's own.
            let error = unsafe { *libc::__errno_location() };
            alarm.ring();
            // SAFETY: as above. Whoever was interrupted may be about to read it.
            unsafe { *libc::__errno_location() = error };
        };
        // SAFETY: it writes to a descriptor and nothing else, which signal-safety(7) allows.
        unsafe { signal_hook::low_level::register(*signal, ring) }.is_ok()
    })
}

/// Hears that addresses of this host may have changed.
pub struct AddressWatch {
    changes: Option<LinkWatch>,
    alarm: Option<Arc<Alarm>>,
}

impl AddressWatch {
    /// Begins to listen.
    pub fn start() -> Self {
        Self { changes: LinkWatch::of_addresses().ok(), alarm: Alarm::new().ok().map(Arc::new) }
    }

    /// Returns what ends the wait from another thread; `None` if it is never long.
    pub fn caller(&self) -> Option<Caller> {
        self.alarm.as_ref().map(Alarm::caller)
    }

    /// Waits until addresses may have changed, or somebody calls.
    pub fn wait(&self) {
        let (Some(changes), Some(alarm)) = (&self.changes, &self.alarm) else {
            return thread::sleep(Duration::from_secs(1));
        };
        alarm.wait(Some(changes.as_raw_fd()), ADDRESSES_FRESH);
        if changes.changed() {
            thread::sleep(MORE_TO_COME);
            changes.changed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io, os::fd::OwnedFd, time::Instant};

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_wait_is_ended_by_a_signal_a_call_and_a_reader_that_goes() {
        let begun = Instant::now();
        let lookout = Lookout::new(&[libc::SIGUSR2]);
        // SAFETY: it has a handler.
        unsafe { libc::raise(libc::SIGUSR2) };
        lookout.wait(None, LONG);
        lookout.caller().unwrap().call();
        lookout.wait(None, LONG);
        let before = Instant::now();
        let (reader, writer) = io::pipe().unwrap();
        let writer = File::from(OwnedFd::from(writer));
        lookout.wait(Some(&writer), Duration::from_millis(20));
        assert!(before.elapsed() >= Duration::from_millis(20), "nothing has happened");
        drop(reader);
        lookout.wait(Some(&writer), LONG);
        assert!(begun.elapsed() < LONG);
    }

    #[test]
    fn a_wait_for_addresses_is_ended_by_a_call() {
        let (begun, watch) = (Instant::now(), AddressWatch::start());
        watch.caller().unwrap().call();
        watch.wait();
        assert!(begun.elapsed() < ADDRESSES_FRESH);
    }
}
