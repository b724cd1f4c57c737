//! Engine time from the frames' own time, and while live from the monotonic clock at cuts.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::{Nanos, Stamp};

/// The longest step that counts: nothing lives longer in silence.
const LONGEST_STEP: u64 = 31 * 60 * 1_000_000_000;

/// The engine clock of one rx.
#[derive(Clone, Debug, Default)]
pub struct EngineClock {
    /// Wall time at engine time 0; `None` before the first frame.
    base: Option<u64>,
    now: u64,
    newest: Stamp,
}

impl EngineClock {
    /// Returns a clock that stands at 0 at wall time `start`, or at the first frame without one.
    pub fn new(start: Option<Stamp>) -> Self {
        Self { base: start.map(|s| s.0), now: 0, newest: start.unwrap_or_default() }
    }

    /// Moves on to a frame's time, and returns engine time.
    ///
    /// A step back of under 31 min counts as none, a longer one re-bases; a step forward of more
    /// counts for 31 min.
    #[inline]
    pub fn frame(&mut self, wall: Stamp) -> Nanos {
        let base = *self.base.get_or_insert(wall.0);
        let step = wall.0.wrapping_sub(base).wrapping_sub(self.now);
        // No branch: on a queue of equal stamps it would be a coin's toss.
        self.newest = self.newest.max(wall);
        if step <= LONGEST_STEP {
            self.now += step;
        } else {
            self.jump(step, base);
        }
        Nanos(self.now)
    }

    /// Moves on to what the monotonic clock says has passed since the start.
    pub fn monotonic(&mut self, elapsed: Nanos) -> Nanos {
        self.now = self.now.max(elapsed.0);
        Nanos(self.now)
    }

    /// Returns engine time.
    #[inline]
    pub fn now(&self) -> Nanos {
        Nanos(self.now)
    }

    /// Returns the newest frame's wall time.
    pub fn newest(&self) -> Stamp {
        self.newest
    }

    #[cold]
    fn jump(&mut self, step: u64, base: u64) {
        let back = step.wrapping_neg();
        if step < 1 << 63 {
            self.now += LONGEST_STEP;
            self.base = Some(base.wrapping_add(step - LONGEST_STEP));
        } else if back > LONGEST_STEP {
            self.base = Some(base.wrapping_sub(back));
        }
    }
}

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
