//! From a file's ticks to nanoseconds since 1970, in integers all the way.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::Stamp;

const NANOS_PER_SEC: i128 = 1_000_000_000;

/// What one tick of an interface is worth (pcapng options `if_tsresol` and `if_tsoffset`,
/// draft-ietf-opsawg-pcapng section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Nanoseconds a tick where that is a whole number and there is no offset; else 0.
    whole: u64,
    resolution: u8,
    offset_secs: i64,
}

impl Scale {
    /// Returns the scale of `if_tsresol` (negative power of 10, or of 2 with the top bit set) and
    /// `if_tsoffset` (seconds).
    pub const fn new(resolution: u8, offset_secs: i64) -> Self {
        let whole = match resolution {
            0..=9 if offset_secs == 0 => 10_u64.pow(9 - resolution as u32),
            _ => 0,
        };
        Self { whole, resolution, offset_secs }
    }

    /// Returns the time of `ticks`, and whether it had to be saturated.
    #[inline]
    pub fn stamp(&self, ticks: u64) -> (Stamp, bool) {
        match ticks.checked_mul(self.whole) {
            Some(nanos) if self.whole != 0 => (Stamp(nanos), false),
            _ => self.stamp_slow(ticks),
        }
    }

    #[cold]
    fn stamp_slow(&self, ticks: u64) -> (Stamp, bool) {
        let power = u32::from(self.resolution & 0x7f);
        let nanos = if self.resolution & 0x80 != 0 {
            // NB: 2^64 ticks * 10^9 is below 2^94.
            (u128::from(ticks) * NANOS_PER_SEC as u128).checked_shr(power).unwrap_or(0)
        } else if power <= 9 {
            u128::from(ticks) * 10_u128.pow(9 - power)
        } else {
            10_u128.checked_pow(power - 9).map_or(0, |divisor| u128::from(ticks) / divisor)
        };
        let exact = nanos as i128 + i128::from(self.offset_secs) * NANOS_PER_SEC;
        let fitting = exact.clamp(0, i128::from(u64::MAX));
        (Stamp(fitting as u64), fitting != exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resolution_gives_nanoseconds() {
        let cases = [
            // (resolution, offset, ticks, nanoseconds, saturated)
            (6, 0, 1_700_000_000_123_456, 1_700_000_000_123_456_000, false),
            (9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789, false),
            (0, 0, 1_700_000_000, 1_700_000_000_000_000_000, false),
            (3, 0, 1_700_000_000_123, 1_700_000_000_123_000_000, false),
            (12, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456, false),
            (28, 0, u64::MAX, 1, false),
            (29, 0, u64::MAX, 0, false),
            (127, 0, u64::MAX, 0, false),
            (0x80, 0, 5, 5_000_000_000, false),
            (0x80 | 10, 0, 1_536, 1_500_000_000, false),
            (0x80 | 32, 0, 3 << 31, 1_500_000_000, false),
            (0x80 | 64, 0, 1 << 63, 500_000_000, false),
            (0x80 | 127, 0, u64::MAX, 0, false),
            (6, 1_700_000_000, 7, 1_700_000_000_000_007_000, false),
            (6, -1, 1_500_000, 500_000_000, false),
            (6, -2, 1_500_000, 0, true),
            (6, i64::MIN, 0, 0, true),
            (6, i64::MAX, u64::MAX, u64::MAX, true),
            (6, 0, u64::MAX, u64::MAX, true),
            (9, 0, u64::MAX, u64::MAX, false),
        ];
        for (resolution, offset, ticks, nanos, saturated) in cases {
            let got = Scale::new(resolution, offset).stamp(ticks);
            assert_eq!(got, (Stamp(nanos), saturated), "resolution {resolution} offset {offset} {ticks}");
        }
    }
}
