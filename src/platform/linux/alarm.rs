//! What wakes a thread that waits: somebody who rings, or what it waits for beside that, such as programs in the kernel.
#![expect(unsafe_code, reason = "eventfd, ppoll")]

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsRawFd, FromRawFd as _, RawFd},
    sync::Arc,
    time::Duration,
};

use crate::base::call::Caller;

/// One thread waits at it, any may ring.
pub struct Alarm(File);

impl AsRawFd for Alarm {
    /// Can be read from once it has rung.
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Alarm {
    /// Returns one that is silent.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: new, and nobody else's.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// Returns one that rings it.
    pub fn caller(self: &Arc<Self>) -> Caller {
        let alarm = Arc::clone(self);
        Caller::new(move || alarm.ring())
    }

    /// Ends the present wait, or else the next one. May be called while a signal is handled.
    pub fn ring(&self) {
        // Fails only where it has rung very often and nobody has waited.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Waits until somebody rings, there is something to read from `other`, or `timeout`, of less than a day, has passed.
    pub fn wait(&self, other: Option<RawFd>, timeout: Duration) {
        self.wait_beside(other, libc::POLLIN, timeout);
    }

    /// Waits until somebody rings, nobody can read any more what is written to `out`, or `timeout` has passed.
    pub fn wait_for_hangup(&self, out: Option<RawFd>, timeout: Duration) {
        // NB: `POLLERR` and `POLLHUP` are reported without being asked for (poll(2)).
        self.wait_beside(out, 0, timeout);
    }

    fn wait_beside(&self, other: Option<RawFd>, events: libc::c_short, timeout: Duration) {
        let time = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos() as libc::c_long,
        };
        // (A negative descriptor is left out.)
        let entry = |fd, events| libc::pollfd { fd, events, revents: 0 };
        let mut fds = [entry(self.0.as_raw_fd(), libc::POLLIN), entry(other.unwrap_or(-1), events)];
        // SAFETY: two entries and the timespec are valid during the call.
        unsafe { libc::ppoll(fds.as_mut_ptr(), 2, &raw const time, std::ptr::null()) };
        if fds[0].revents != 0 {
            self.silence();
        }
    }

    /// Forgets that it has rung: a wait that begins now is not ended by it.
    pub fn silence(&self) {
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn one_wait_is_ended_by_what_was_rung_before_or_by_what_can_be_read() {
        let begun = Instant::now();
        let [alarm, other] = [(); 2].map(|()| Alarm::new().unwrap());
        alarm.ring();
        alarm.ring();
        alarm.wait(None, LONG);
        let before = Instant::now();
        alarm.wait(Some(other.0.as_raw_fd()), Duration::from_millis(20));
        assert!(before.elapsed() >= Duration::from_millis(20), "it had rung before the last wait");
        other.ring();
        alarm.wait(Some(other.0.as_raw_fd()), LONG);
        assert!(begun.elapsed() < LONG);
    }
}
