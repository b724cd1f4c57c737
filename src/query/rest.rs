//! Rests in long work: who computes for long leaves its core for a moment now and then.
//!
//! The terminal that shows our frames needs a turn, too. On hosts with few cores a query over a million
//! rows would keep it waiting: it runs in a session of its own, and the scheduler gives sessions their
//! parts over tens of milliseconds, but a core that is idle at once.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Work between two rests.
const WORK: Duration = Duration::from_millis(3);
/// How long a rest is: time enough to be handed a frame.
const PAUSE: Duration = Duration::from_micros(150);

/// Knows when the last rest was.
pub struct Rest {
    since: Instant,
}

impl Default for Rest {
    fn default() -> Self {
        Self { since: Instant::now() }
    }
}

impl Rest {
    /// Rests if it is time to. Costs a look at the clock.
    pub fn now_and_then(&mut self) {
        if self.since.elapsed() >= WORK {
            thread::sleep(PAUSE);
            self.since = Instant::now();
        }
    }
}
