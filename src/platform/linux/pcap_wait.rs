//! Waits for captures of libpcap: their packet sockets can be polled.
#![expect(unsafe_code, reason = "ppoll")]

use std::{os::fd::AsRawFd as _, sync::Arc};

use pcap::{Active, Capture};

use super::alarm::Alarm;
use crate::base::{call::Caller, time::Nanos};

/// The longest wait where not all captures are on the stack, or nobody can end it.
const SHORT: Nanos = Nanos::from_millis(100);

/// Waits for frames of several captures.
pub struct PcapWait(Option<Arc<Alarm>>);

impl PcapWait {
    /// Makes what ends a wait.
    pub fn start() -> Self {
        Self(Alarm::new().ok().map(Arc::new))
    }

    /// Returns what ends a wait from another thread; `None` if it is never long.
    pub fn caller(&self) -> Option<Caller> {
        self.0.as_ref().map(Alarm::caller)
    }

    /// Waits until one of them may have frames or an error, somebody calls, or `timeout` has passed.
    pub fn wait<'a>(&self, captures: impl Iterator<Item = &'a Capture<Active>>, timeout: Nanos) {
        const FIRST: usize = 1;
        const MOST: usize = 64;
        // (A negative descriptor is left out.)
        let mut fds = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; MOST];
        fds[0].fd = self.0.as_ref().map_or(-1, |alarm| alarm.as_raw_fd());
        let mut captures = captures;
        let slots = fds[FIRST..].iter_mut();
        slots.zip(&mut captures).for_each(|(slot, capture)| slot.fd = capture.as_raw_fd());
        let is_short = self.0.is_none() || captures.next().is_some();
        let timeout = if is_short { timeout.min(SHORT) } else { timeout };
        let time = libc::timespec {
            tv_sec: (timeout.0 / 1_000_000_000) as libc::time_t,
            tv_nsec: (timeout.0 % 1_000_000_000) as libc::c_long,
        };
        // SAFETY: the entries and the timespec are valid during the call.
        unsafe { libc::ppoll(fds.as_mut_ptr(), MOST as libc::nfds_t, &raw const time, std::ptr::null()) };
        if fds[0].revents != 0
            && let Some(alarm) = &self.0
        {
            alarm.silence();
        }
    }
}
