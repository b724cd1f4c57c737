//! Round trips: of the handshake, and of data.
//!
//! The handshake is timed from the SYN to the ACK that ends it. Wherever on the path the tap is,
//! that is one round trip. Data is timed by leg, from a segment to the first acknowledgement of all
//! of it; the two legs together are one round trip:
//!
//! ```text
//!   low end ──────────── tap ───────────── high end
//!      ◀── leg of the high end's data ──▶◀── leg of the low end's data ──▶
//! ```
//!
//! One segment is timed at a time, and not more than ten a second: what a flow costs must not depend on
//! how often it is answered. What was sent again, or answered out of order, gives no sample
//! (Karn's rule, RFC 6298 section 3).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::Stamp;

/// The one running timer, and the smoothed legs: 16 bytes. Whose timer it is stand in the ends' bits.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Timer {
    /// The acknowledgement number that stops it.
    pub until: u32,
    /// When it was started, in [`UNIT`]s; wraps after 36 min, which no flow is silent for.
    since: u32,
    /// Smoothed time from data of the low and the high end to its acknowledgement, in us; 0 unknown.
    leg_us: [u32; 2],
}

impl Timer {
    /// Starts the timer, to be stopped by `until`.
    #[inline]
    pub fn start(&mut self, until: u32, now: Stamp) {
        self.until = until;
        self.since = units(now);
    }

    /// Returns whether data of end `from` is to be timed again.
    #[inline]
    pub fn is_due(&self, from: usize, now: Stamp) -> bool {
        (self.leg_us[from] == 0) | (units(now).wrapping_sub(self.since) >= PAUSE)
    }

    /// Returns the time since the start in us, within 1 of the truth and at least 1; `None` if `now` is before the
    /// start.
    pub fn elapsed_us(&self, now: Stamp) -> Option<u32> {
        let units = units(now).wrapping_sub(self.since);
        let us = (u64::from(units) * UNIT + 500) / 1000;
        (units <= i32::MAX as u32).then_some(us.max(1) as u32)
    }

    /// Adds a sample for the data of end `from`: 7/8 old, 1/8 new (RFC 6298 section 2).
    pub fn sample(&mut self, from: usize, now: Stamp) {
        let Some(us) = self.elapsed_us(now) else { return };
        let leg = &mut self.leg_us[from];
        *leg = match *leg {
            0 => us,
            // us <= 2^31, so the sum stays below 2^35.
            old => ((7 * u64::from(old) + u64::from(us) + 4) / 8).max(1) as u32,
        };
    }

    /// Returns whether no sample of data of end `from` was ever taken.
    pub const fn is_untimed(&self, from: usize) -> bool {
        self.leg_us[from] == 0
    }

    /// Returns the round trip seen by `subject` in us, 0 if unknown: if the tap is on its host, the
    /// leg of its data (the other leg is only how long this host waits before it acknowledges);
    /// else both legs, or as a lower bound the one that is known.
    pub const fn round_trip_us(&self, subject: usize, subject_is_local: bool) -> u32 {
        if subject_is_local {
            return self.leg_us[subject];
        }
        self.leg_us[0].saturating_add(self.leg_us[1])
    }
}

/// What the timer counts in, ns: of a stamp it is a shift, which comes with every segment.
const UNIT: u64 = 1 << UNIT_BITS;
const UNIT_BITS: u32 = 9;

/// From one start to the next: 100 ms.
const PAUSE: u32 = (100_000_000 / UNIT) as u32;

#[inline]
const fn units(at: Stamp) -> u32 {
    (at.0 >> UNIT_BITS) as u32
}
