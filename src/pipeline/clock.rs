//! Engine time from the frames' own time, and while live from the monotonic clock at cuts.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::{Nanos, Stamp};

/// The longest step that counts: nothing lives longer in silence.
const LONGEST_STEP: u64 = 31 * 60 * 1_000_000_000;

/// The engine clock of one rx.
#[derive(Clone, Debug, Default)]
pub struct EngineClock {
    /// Wall time at engine time 0.
    base: u64,
    /// Wall time at engine time now: of files, the newest frame's since the last jump.
    high: u64,
    /// How far from `high`, and on both sides together, a frame's time makes no jump; 0 until `base` is
    /// known.
    span: u64,
    /// The newest frame's wall time before the last jump.
    newest: u64,
}

impl EngineClock {
    /// Returns a clock that stands at 0 at wall time `start`, or at the first frame without one.
    pub fn new(start: Option<Stamp>) -> Self {
        let base = start.map_or(0, |s| s.0);
        let span = if start.is_some() { SPAN } else { 0 };
        Self { base, high: base, span, newest: base }
    }

    /// Moves on to a frame's time, and returns engine time.
    ///
    /// A step back of under 31 min counts as none, a longer one re-bases; a step forward of more
    /// counts for 31 min.
    #[inline(always)]
    pub fn frame(&mut self, wall: Stamp) -> Nanos {
        let step = wall.0.wrapping_sub(self.high);
        if step.wrapping_add(LONGEST_STEP) >= self.span {
            self.jump(wall.0);
        } else {
            // No branch: on a queue of equal stamps it would be a coin's toss.
            self.high = self.high.wrapping_add((step as i64).max(0) as u64);
        }
        self.now()
    }

    /// Moves on to what the monotonic clock says has passed since the start.
    pub fn monotonic(&mut self, elapsed: Nanos) -> Nanos {
        if elapsed > self.now() {
            self.newest = self.newest().0;
            self.high = self.base.wrapping_add(elapsed.0);
        }
        self.now()
    }

    /// Returns engine time.
    #[inline(always)]
    pub fn now(&self) -> Nanos {
        Nanos(self.high.wrapping_sub(self.base))
    }

    /// Returns the newest frame's wall time; the monotonic clock counts as one.
    pub fn newest(&self) -> Stamp {
        Stamp(if self.span == 0 { self.newest } else { self.newest.max(self.high) })
    }

    /// The first frame, and every one that is far from the last.
    #[cold]
    fn jump(&mut self, wall: u64) {
        let now = self.now();
        if self.span == 0 {
            self.span = SPAN;
            self.base = wall;
            self.high = wall.wrapping_add(now.0);
            return;
        }
        self.newest = self.newest().0;
        let step = wall.wrapping_sub(self.high);
        self.high = wall;
        // Forward, only so much counts; backward, nothing.
        let counts = if step < 1 << 63 { LONGEST_STEP } else { 0 };
        self.base = wall.wrapping_sub(now.0 + counts);
    }
}

/// Steps from -31 min to 31 min.
const SPAN: u64 = 2 * LONGEST_STEP + 1;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MINUTE: u64 = 60 * SECOND;

    #[test]
    fn follows_the_table_of_steps() {
        let start = 1_700_000_000 * SECOND;
        // Steps between frames, and how much engine time passes over all.
        let cases: &[(&str, &[i64], u64)] = &[
            ("steady", &[1, 1, 1], 3),
            ("small step back counts as none", &[10, -5, 5, 2], 12),
            ("31 min forward counts whole", &[31 * 60], 31 * 60),
            ("longer forward is capped", &[40 * 60, 1], 31 * 60 + 1),
            ("longer back re-bases", &[100, -40 * 60, 1, 1], 102),
            ("years forward and back", &[1_000_000_000, -1_000_000_000, 5], 31 * 60 + 5),
        ];
        for (name, steps, want) in cases {
            let mut clock = EngineClock::new(None);
            let mut wall = start;
            clock.frame(Stamp(wall));
            for step in *steps {
                wall = wall.wrapping_add_signed(step * SECOND as i64);
                clock.frame(Stamp(wall));
            }
            assert_eq!(clock.now(), Nanos::from_secs(*want), "{name}");
        }
    }

    #[test]
    fn any_stamps_never_turn_it_back() {
        let mut clock = EngineClock::new(None);
        let mut random = 3u64;
        let mut before = Nanos(0);
        for _ in 0..100_000 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let now = clock.frame(Stamp(random));
            assert!(now >= before && now.0 - before.0 <= LONGEST_STEP);
            before = now;
        }
        assert!(clock.now().0 > MINUTE);
    }
}
