//! The three times of the program: engine time, wall time and coarse ticks.
//!
//! Nothing here reads a clock. Packets bring their wall time, and rx derives engine time from it.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::ops::{Add, Sub};

/// Engine time, or a span of it, in nanoseconds; engine time starts at 0 and never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Returns a span of `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// Returns a span of `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// Returns a span of `secs` seconds, which are neither negative nor beyond 580 years.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self((secs * 1e9) as u64)
    }

    /// Returns the span from `earlier` to `self`, 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// Returns the span in seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Returns the coarse tick that this engine time falls in.
    pub const fn tick(self) -> Tick {
        Tick((self.0 >> Tick::SHIFT) as u32)
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl Sub for Nanos {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        self.since(rhs)
    }
}

/// Wall time in nanoseconds since 1970-01-01T00:00:00Z; reaches to the year 2554.
///
/// Stamps that do not fit (before 1970 or after 2554) are saturated by the capture source, which
/// counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

impl Stamp {
    /// Returns the span from `earlier` to `self`, 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Engine time in units of 2^20 ns (1.05 ms), wrapping after 52 days.
///
/// Four bytes instead of eight in every flow record. Only differences mean anything, and no flow
/// lives in silence for more than half an hour, so wrapping differences are exact enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tick(pub u32);

impl Tick {
    /// Binary logarithm of a tick's length in nanoseconds.
    pub const SHIFT: u32 = 20;

    /// Returns the ticks from `earlier` to `self`; 0 if `earlier` is later (by less than 26 days).
    pub const fn since(self, earlier: Self) -> u32 {
        let d = self.0.wrapping_sub(earlier.0);
        if d > u32::MAX / 2 { 0 } else { d }
    }

    /// Returns the earlier of two ticks that lie within 26 days.
    pub const fn earlier(self, other: Self) -> Self {
        if (other.0.wrapping_sub(self.0) as i32) < 0 { other } else { self }
    }

    /// Returns a span in whole ticks, rounded up, so that a lifetime is never cut short.
    pub const fn span(nanos: Nanos) -> u32 {
        ((nanos.0 + (1 << Self::SHIFT) - 1) >> Self::SHIFT) as u32
    }

    /// Returns the length of `ticks` ticks.
    pub const fn nanos(ticks: u32) -> Nanos {
        Nanos((ticks as u64) << Self::SHIFT)
    }
}
