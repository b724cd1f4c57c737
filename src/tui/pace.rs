//! How fast the screen is: what a frame takes, how long a key waits for one, what goes to the terminal.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{base::time::Nanos, tui::app::ScreenPace};

/// Keys whose frames are remembered.
const KEYS: usize = 200;

/// What is measured from frame to frame.
pub struct Pace {
    since: Instant,
    bytes: u64,
    longest: Duration,
    /// How long keys waited, oldest first.
    waits: VecDeque<Duration>,
    /// When the oldest key came that no frame has answered yet.
    key: Option<Instant>,
}

impl Pace {
    /// Returns what has measured nothing yet.
    pub fn new() -> Self {
        let (bytes, longest, waits) = Default::default();
        Self { since: Instant::now(), bytes, longest, waits, key: None }
    }

    /// Takes note of a key that came at this time.
    pub fn key(&mut self, at: Instant) {
        self.key.get_or_insert(at);
    }

    /// Takes note of a frame that is on the terminal, and of its size in bytes.
    pub fn drawn(&mut self, begun: Instant, bytes: usize) {
        self.bytes += bytes as u64;
        self.longest = self.longest.max(begun.elapsed());
        if let Some(at) = self.key.take() {
            self.waits.push_back(at.elapsed());
            let extra = self.waits.len().saturating_sub(KEYS);
            self.waits.drain(..extra);
        }
    }

    /// Returns what was measured since the last call.
    pub fn take(&mut self) -> ScreenPace {
        let seconds = self.since.elapsed().as_secs_f64().max(1e-3);
        let nanos = |span: Duration| Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        let mut waits: Vec<Duration> = self.waits.iter().copied().collect();
        waits.sort_unstable();
        // The 99th percentile by the nearest rank.
        let rank = (waits.len() * 99).div_ceil(100);
        let pace = ScreenPace {
            draw: nanos(self.longest),
            key_to_paint: rank.checked_sub(1).and_then(|n| waits.get(n)).map(|wait| nanos(*wait)),
            bytes_per_second: self.bytes as f64 / seconds,
        };
        (self.since, self.bytes, self.longest) = (Instant::now(), 0, Duration::ZERO);
        pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v14_keys_are_timed_to_the_frame_that_follows_them() {
        let mut pace = Pace::new();
        let now = Instant::now();
        pace.drawn(now, 1000);
        assert_eq!(pace.take().key_to_paint, None, "no key came");
        let second = now.checked_sub(Duration::from_secs(1)).unwrap();
        for _ in 0..98 {
            pace.key(now);
            pace.drawn(now, 10);
        }
        for _ in 0..2 {
            pace.key(second);
            pace.key(now);
            pace.drawn(now, 10);
        }
        let told = pace.take();
        assert!(told.key_to_paint.unwrap() >= Nanos::from_secs(1), "the first key counts: {told:?}");
        assert!(told.bytes_per_second > 0.0 && told.draw > Nanos(0));
        assert_eq!(pace.take().bytes_per_second, 0.0);
        for _ in 0..KEYS {
            pace.key(Instant::now());
            pace.drawn(now, 10);
        }
        assert!(pace.take().key_to_paint.unwrap() < Nanos::from_secs(1), "old ones are forgotten");
    }
}
