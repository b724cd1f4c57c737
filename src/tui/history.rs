//! The totals of the last hour: by seconds for two minutes, by ten seconds for an hour.

use std::collections::VecDeque;

use crate::base::time::Nanos;

/// Seconds that the traces in the head show.
pub const SECONDS: u64 = 60;
/// How long each second is kept.
const FINE: u64 = 2 * SECONDS;
/// How long parts of ten seconds are kept.
const COARSE: u64 = 3600;
/// Their length.
const COARSE_STEP: u64 = 10;

/// Down, up and packets a second.
pub type Rates = [f64; 3];

/// Totals by second, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    samples: VecDeque<Sample>,
    coarse: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    second: u64,
    rates: Rates,
}

impl History {
    /// Takes the rates of the cut at `now`; the last one of a second counts.
    pub fn push(&mut self, now: Nanos, rates: Rates) {
        let sample = Sample { second: now.0 / 1_000_000_000, rates };
        match self.samples.back_mut() {
            Some(last) if last.second >= sample.second => last.rates = rates,
            _ => self.samples.push_back(sample),
        }
        let newest = self.samples.back().map_or(0, |s| s.second);
        while self.samples.front().is_some_and(|s| s.second + FINE < newest) {
            self.samples.pop_front();
        }
        let second = sample.second / COARSE_STEP * COARSE_STEP;
        match self.coarse.back_mut() {
            Some(last) if last.second >= second => {
                last.rates.iter_mut().zip(rates).for_each(|(a, b)| *a = a.max(b));
            }
            _ => self.coarse.push_back(Sample { second, rates }),
        }
        while self.coarse.front().is_some_and(|s| s.second + COARSE < second) {
            self.coarse.pop_front();
        }
    }

    /// Returns the last minute of one rate (0 down, 1 up, 2 packets) in at most `cells` parts.
    pub fn parts(&self, which: usize, cells: usize) -> Vec<Option<f64>> {
        self.over(which, SECONDS, cells)
    }

    /// Returns the last `seconds` (at most an hour) of one rate in at most `cells` parts, oldest
    /// first: the largest sample of each, `None` where there is none.
    ///
    /// Parts are whole multiples of a second and begin at fixed times, so that a peak keeps its
    /// height while it wanders to the left.
    pub fn over(&self, which: usize, seconds: u64, cells: usize) -> Vec<Option<f64>> {
        let (samples, least) = match seconds {
            0..=FINE => (&self.samples, 1),
            _ => (&self.coarse, COARSE_STEP),
        };
        let step = seconds.div_ceil(cells.max(1) as u64).next_multiple_of(least);
        let count = seconds.div_ceil(step);
        let newest = samples.back().map_or(0, |s| s.second) / step;
        let mut parts = vec![None; count as usize];
        for sample in samples {
            let age = newest - sample.second / step;
            if age < count {
                let part = &mut parts[(count - 1 - age) as usize];
                *part = Some(sample.rates[which].max(part.unwrap_or(0.0)));
            }
        }
        parts
    }

    /// Returns the mean and the largest of one rate over the last minute.
    pub fn mean_and_peak(&self, which: usize) -> (f64, f64) {
        let newest = self.samples.back().map_or(0, |s| s.second);
        let minute = self.samples.iter().filter(|s| s.second + SECONDS > newest).map(|s| s.rates[which]);
        let (count, sum, peak) =
            minute.fold((0_u32, 0.0, 0.0_f64), |(n, sum, peak), rate| (n + 1, sum + rate, peak.max(rate)));
        (sum / f64::from(count.max(1)), peak)
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
            history.push(Nanos::from_secs(second), [rate, 0.0, 0.0]);
            let parts = history.parts(0, 15);
            assert_eq!(parts.len(), 15);
            let peaks = parts.iter().filter(|p| **p == Some(900.0)).count();
            assert_eq!(peaks, usize::from((100..160).contains(&second)), "second {second}");
        }
        assert_eq!(history.parts(1, 15), vec![Some(0.0); 15]);
        assert_eq!(history.parts(0, 60).len(), 60);
        assert_eq!(history.parts(0, 8).len(), 8);
        // Over ten minutes the peak is still there.
        assert_eq!(history.over(0, 600, 60).iter().flatten().fold(0.0, |a: f64, b| a.max(*b)), 900.0);
        assert_eq!(history.mean_and_peak(0), (1.0, 1.0));
    }

    #[test]
    fn seconds_without_a_cut_are_gaps() {
        let mut history = History::default();
        assert_eq!(history.parts(0, 15), vec![None; 15]);
        history.push(Nanos::from_secs(3), [5.0, 0.0, 0.0]);
        history.push(Nanos::from_millis(3_500), [4.0, 0.0, 0.0]);
        history.push(Nanos::from_secs(1000), [7.0, 0.0, 0.0]);
        let parts = history.parts(0, 60);
        assert_eq!(parts[59], Some(7.0));
        assert_eq!(parts.iter().flatten().count(), 1);
        assert_eq!(history.over(0, 3600, 360).iter().flatten().count(), 2);
    }
}
