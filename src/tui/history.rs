//! The last minute of the totals, one sample for each second of engine time.

use std::collections::VecDeque;

use crate::base::time::Nanos;

/// Seconds that are kept.
pub const SECONDS: u64 = 60;

/// Totals by second, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    second: u64,
    rates: [f64; 2],
}

impl History {
    /// Takes the rates (down, up) of the cut at `now`; the last one of a second counts.
    pub fn push(&mut self, now: Nanos, rates: [f64; 2]) {
        let sample = Sample { second: now.0 / 1_000_000_000, rates };
        match self.samples.back_mut() {
            Some(last) if last.second >= sample.second => last.rates = rates,
            _ => self.samples.push_back(sample),
        }
        let newest = self.samples.back().map_or(0, |s| s.second);
        while self.samples.front().is_some_and(|s| s.second + 2 * SECONDS < newest) {
            self.samples.pop_front();
        }
    }

    /// Returns the last minute of one rate (0 down, 1 up) in at most `cells` parts, oldest first:
    /// the largest sample of each, `None` where there is none.
    ///
    /// Parts are whole multiples of a second and begin at fixed times, so that a peak keeps its
    /// height while it wanders to the left.
    pub fn parts(&self, which: usize, cells: usize) -> Vec<Option<f64>> {
        let step = SECONDS.div_ceil(cells.max(1) as u64);
        let count = SECONDS.div_ceil(step);
        let newest = self.samples.back().map_or(0, |s| s.second) / step;
        let mut parts = vec![None; count as usize];
        for sample in &self.samples {
            let age = newest - sample.second / step;
            if age < count {
                let part = &mut parts[(count - 1 - age) as usize];
                *part = Some(sample.rates[which].max(part.unwrap_or(0.0)));
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_keeps_its_height_until_a_minute_has_passed() {
        let mut history = History::default();
        for second in 0..200_u64 {
            let rate = if second == 100 { 900.0 } else { 1.0 };
            history.push(Nanos::from_secs(second), [rate, 0.0]);
            let parts = history.parts(0, 15);
            assert_eq!(parts.len(), 15);
            let peaks = parts.iter().filter(|p| **p == Some(900.0)).count();
            assert_eq!(peaks, usize::from((100..160).contains(&second)), "second {second}");
        }
        assert_eq!(history.parts(1, 15), vec![Some(0.0); 15]);
        assert_eq!(history.parts(0, 60).len(), 60);
        assert_eq!(history.parts(0, 8).len(), 8);
    }

    #[test]
    fn seconds_without_a_cut_are_gaps() {
        let mut history = History::default();
        assert_eq!(history.parts(0, 15), vec![None; 15]);
        history.push(Nanos::from_secs(3), [5.0, 0.0]);
        history.push(Nanos::from_millis(3_500), [4.0, 0.0]);
        history.push(Nanos::from_secs(1000), [7.0, 0.0]);
        let parts = history.parts(0, 60);
        assert_eq!(parts[59], Some(7.0));
        assert_eq!(parts.iter().flatten().count(), 1);
    }
}
