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

use crate::{base::time::Stamp, flow::health::MOST_ZERO_WINDOWS};

/// The one running timer, the smoothed legs and what stands beside them: 16 bytes. Whose timer it is stand in the ends'
/// bits.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Timer {
    /// The acknowledgement number that stops it.
    pub until: u32,
    /// When it was started, in [`UNIT`]s; wraps after 36 min, which no flow is silent for.
    since: u32,
    /// Of the low and the high end, in the [`LEG`] bits: smoothed time from data of it to the acknowledgement, in us; 0
    /// unknown. Above them: how often it closed its window. That has no room elsewhere.
    legs: [u32; 2],
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
        (self.legs[from] & LEG == 0) | (units(now).wrapping_sub(self.since) >= PAUSE)
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
        let us = us.min(LEG);
        let us = match self.leg_us(from) {
            0 => us,
            // Of at most 25 bits each, so the sum stays below 2^28.
            old => ((7 * old + us + 4) / 8).max(1),
        };
        self.legs[from] = self.legs[from] & !LEG | us;
    }

    /// Returns the smoothed time from data of end `from` to its acknowledgement in us, at most 33.5 s; 0 unknown.
    #[inline]
    pub const fn leg_us(&self, from: usize) -> u32 {
        self.legs[from] & LEG
    }

    /// Counts that end `from` has closed its window.
    #[cold]
    pub const fn count_zero_window(&mut self, from: usize) {
        if self.zero_windows(from) < MOST_ZERO_WINDOWS {
            self.legs[from] += LEG + 1;
        }
    }

    /// Returns whether an end closed its window at some time.
    #[inline(always)]
    pub const fn has_zero_windows(&self) -> bool {
        (self.legs[0] | self.legs[1]) > LEG
    }

    /// Returns how often end `from` closed its window, at most [`MOST_ZERO_WINDOWS`].
    pub const fn zero_windows(&self, from: usize) -> u8 {
        (self.legs[from] >> LEG_BITS) as u8
    }

    /// Returns whether no sample of data of end `from` was ever taken.
    pub const fn is_untimed(&self, from: usize) -> bool {
        self.leg_us(from) == 0
    }

    /// Returns the round trip seen by `subject` in us, 0 if unknown: if the tap is on its host, the
    /// leg of its data (the other leg is only how long this host waits before it acknowledges);
    /// else both legs, or as a lower bound the one that is known.
    pub const fn round_trip_us(&self, subject: usize, subject_is_local: bool) -> u32 {
        if subject_is_local {
            return self.leg_us(subject);
        }
        self.leg_us(0) + self.leg_us(1)
    }
}

/// What the timer counts in, ns: of a stamp it is a shift, which comes with every segment.
const UNIT: u64 = 1 << UNIT_BITS;
const UNIT_BITS: u32 = 9;

/// The bits of a leg, which are its largest value, too: 33.5 s.
const LEG: u32 = (1 << LEG_BITS) - 1;
const LEG_BITS: u32 = 25;
const _: () = assert!(u32::MAX >> LEG_BITS == MOST_ZERO_WINDOWS as u32);

/// From one start to the next: 100 ms.
const PAUSE: u32 = (100_000_000 / UNIT) as u32;

#[inline]
const fn units(at: Stamp) -> u32 {
    (at.0 >> UNIT_BITS) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_and_the_count_beside_it_leave_each_other_alone() {
        let at = |us: u64| Stamp(1 << 40 | us * 1000);
        let mut timer = Timer::default();
        for _ in 0..3 {
            timer.count_zero_window(1);
        }
        assert!(timer.is_untimed(1) && timer.is_due(1, at(0)));
        timer.start(1, at(0));
        timer.sample(1, at(1000));
        let us = timer.leg_us(1);
        assert!((999..=1001).contains(&us), "{us}");
        assert_eq!((timer.leg_us(0), timer.zero_windows(0), timer.zero_windows(1)), (0, 0, 3));
        assert!(!timer.is_due(1, at(1)));
        // Both end at their largest values.
        for _ in 0..200 {
            timer.count_zero_window(0);
            timer.sample(0, at(600_000_000));
        }
        assert_eq!((timer.leg_us(0), timer.zero_windows(0)), (33_554_431, 127));
        assert_eq!(timer.round_trip_us(0, false), us + 33_554_431);
    }
}
