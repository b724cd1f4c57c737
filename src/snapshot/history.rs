//! The totals of the last hour: by seconds for two minutes, by ten seconds for an hour.
//!
//! The time is the packets': a file that is read in a moment has the history that it had live.

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

/// Less than this is a part of a second, which is put together with its other parts.
const PART: f64 = 0.95;
/// More than this is about more than one second.
const LONG: f64 = 1.05;

/// A second, or ten.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Its first second.
    second: u64,
    /// The largest rates of its seconds.
    peak: Rates,
    /// What came, and in how many seconds.
    came: Rates,
    over: f64,
}

impl Sample {
    fn new(second: u64, came: Rates, over: f64) -> Self {
        Self { second, peak: came.map(|n| n / over), came, over }
    }

    /// Adds what came, without its peak.
    fn add(&mut self, came: Rates, over: f64) {
        self.came.iter_mut().zip(came).for_each(|(sum, n)| *sum += n);
        self.over += over;
    }

    fn raise(&mut self, to: Rates) {
        self.peak.iter_mut().zip(to).for_each(|(peak, rate)| *peak = peak.max(rate));
    }
}

impl History {
    /// Takes what came in the time `over` that ended at `now`. Parts of one second are added up; of two times within
    /// one second that are longer the larger rates count. Longer times fill all their seconds.
    pub fn push(&mut self, now: Nanos, over: Nanos, came: Rates) {
        let over = over.as_secs_f64();
        if over <= 0.0 {
            return;
        }
        let second = now.0.saturating_sub(1) / 1_000_000_000;
        let rates = match self.samples.back_mut() {
            Some(last) if last.second >= second && over < PART => {
                last.add(came, over);
                last.peak = last.came.map(|n| n / last.over);
                last.peak
            }
            Some(last) if last.second >= second => {
                last.raise(came.map(|n| n / over));
                (last.came, last.over) = (last.peak, 1.0);
                last.peak
            }
            last => {
                // The second that it ended in; of a longer time all seconds that it covers most of.
                let start = now.0.saturating_sub((over * 1e9) as u64);
                let first = if over > LONG { (start + 500_000_000) / 1_000_000_000 } else { second };
                let first = first.max((second + 1).saturating_sub(FINE));
                let first = last.map_or(second, |last| first.max(last.second + 1)).min(second);
                let parts = (second - first + 1) as f64;
                let sample = |second| Sample::new(second, came.map(|n| n / parts), over / parts);
                self.samples.extend((first..=second).map(sample));
                came.map(|n| n / over)
            }
        };
        let newest = self.samples.back().map_or(0, |s| s.second);
        while self.samples.front().is_some_and(|s| s.second + FINE < newest) {
            self.samples.pop_front();
        }
        let second = second / COARSE_STEP * COARSE_STEP;
        match self.coarse.back_mut() {
            Some(last) if last.second >= second => {
                last.add(came, over);
                last.raise(rates);
            }
            _ => self.coarse.push_back(Sample { peak: rates, ..Sample::new(second, came, over) }),
        }
        while self.coarse.front().is_some_and(|s| s.second + COARSE < second) {
            self.coarse.pop_front();
        }
    }

    /// Says that nothing came in the whole seconds between two times.
    pub fn push_silence(&mut self, from: Nanos, to: Nanos) {
        const SECOND: u64 = 1_000_000_000;
        let first = from.0.div_ceil(SECOND).max((to.0 / SECOND).saturating_sub(COARSE));
        (first + 1..=to.0 / SECOND)
            .for_each(|second| self.push(Nanos::from_secs(second), Nanos::from_secs(1), Rates::default()));
    }

    /// Returns the part behind a time.
    pub fn after(&self, time: Nanos) -> Self {
        let part = |all: &VecDeque<Sample>| {
            all.iter().filter(|s| s.second * 1_000_000_000 >= time.0).copied().collect()
        };
        Self { samples: part(&self.samples), coarse: part(&self.coarse) }
    }

    /// Returns the end of the last second that was told, if one was.
    pub fn newest(&self) -> Option<Nanos> {
        self.samples.back().map(|s| Nanos::from_secs(s.second + 1))
    }

    /// Returns one rate (0 down, 1 up, 2 packets) of the last second.
    pub fn now(&self, which: usize) -> f64 {
        self.samples.back().map_or(0.0, |s| s.peak[which])
    }

    /// Returns the last minute of one rate in at most `cells` parts.
    pub fn parts(&self, which: usize, cells: usize) -> Vec<Option<f64>> {
        self.over(which, SECONDS, cells)
    }

    /// Returns the last `seconds` (at most an hour) of one rate in at most `cells` parts, oldest
    /// first: the largest sample of each, `None` where there is none.
    ///
    /// Parts are whole multiples of a second and begin at fixed times, so that a peak keeps its
    /// height while it wanders to the left.
    pub fn over(&self, which: usize, seconds: u64, cells: usize) -> Vec<Option<f64>> {
        let (samples, least) = self.samples_of(seconds);
        let step = seconds.div_ceil(cells.max(1) as u64).next_multiple_of(least);
        let count = seconds.div_ceil(step);
        let newest = samples.back().map_or(0, |s| s.second) / step;
        let mut parts = vec![None; count as usize];
        for sample in samples {
            let age = newest - sample.second / step;
            if age < count {
                let part = &mut parts[(count - 1 - age) as usize];
                *part = Some(sample.peak[which].max(part.unwrap_or(0.0)));
            }
        }
        parts
    }

    /// Returns the mean and the largest of one rate over the last `seconds`.
    pub fn mean_and_peak(&self, which: usize, seconds: u64) -> (f64, f64) {
        let (samples, _) = self.samples_of(seconds);
        let newest = samples.back().map_or(0, |s| s.second);
        let (mut over, mut sum, mut peak) = (0.0, 0.0, 0.0_f64);
        for sample in samples.iter().filter(|s| s.second + seconds > newest) {
            over += sample.over;
            sum += sample.came[which];
            peak = peak.max(sample.peak[which]);
        }
        (if over > 0.0 { sum / over } else { 0.0 }, peak)
    }

    /// Returns the samples that reach so far back, and how many seconds each is about.
    fn samples_of(&self, seconds: u64) -> (&VecDeque<Sample>, u64) {
        match seconds {
            0..=FINE => (&self.samples, 1),
            _ => (&self.coarse, COARSE_STEP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos::from_secs(1);

    #[test]
    fn parts_of_a_second_add_up_and_longer_times_leave_no_gap() {
        let mut history = History::default();
        // A quarter of a second at a time: each brings a quarter of the bytes.
        for quarter in 1..=20_u64 {
            history.push(Nanos::from_millis(250 * quarter), Nanos::from_millis(250), [250.0, 0.0, 0.0]);
            assert_eq!((history.now(0), history.mean_and_peak(0, 60)), (1000.0, (1000.0, 1000.0)));
            assert_eq!(history.mean_and_peak(0, 600), (1000.0, 1000.0));
        }
        assert_eq!(history.parts(0, 60).iter().flatten().count(), 5);
        // 1.4 s at a time, as cuts every 700 ms give.
        for n in 1..=20_u64 {
            let (now, over) = (Nanos::from_millis(5000 + 1400 * n), Nanos::from_millis(1400));
            history.push(now, over, [1400.0, 0.0, 0.0]);
        }
        let parts = history.parts(0, 60);
        assert!(
            parts[60 - 33..].iter().all(|part| part.is_some_and(|rate| (rate - 1000.0).abs() < 1e-9)),
            "{parts:?}"
        );
        let (mean, peak) = history.mean_and_peak(0, 600);
        assert!((mean - 1000.0).abs() < 1e-9 && (peak - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn a_peak_keeps_its_height_until_a_minute_has_passed() {
        let mut history = History::default();
        for second in 0..200_u64 {
            let rate = if second == 100 { 900.0 } else { 1.0 };
            history.push(Nanos::from_secs(second + 1), SECOND, [rate, 0.0, 0.0]);
            let parts = history.parts(0, 15);
            assert_eq!(parts.len(), 15);
            let peaks = parts.iter().filter(|p| **p == Some(900.0)).count();
            assert_eq!(peaks, usize::from((100..160).contains(&second)), "second {second}");
        }
        assert_eq!(history.parts(1, 15), vec![Some(0.0); 15]);
        assert_eq!(history.parts(0, 60).len(), 60);
        assert_eq!(history.parts(0, 8).len(), 8);
        // Over ten minutes the peak is still there, and the mean is that of all seconds.
        assert_eq!(history.over(0, 600, 60).iter().flatten().fold(0.0, |a: f64, b| a.max(*b)), 900.0);
        assert_eq!(history.mean_and_peak(0, 60), (1.0, 1.0));
        assert_eq!(history.mean_and_peak(0, 600), ((199.0 + 900.0) / 200.0, 900.0));
        assert_eq!(history.now(0), 1.0);
        let after = history.after(Nanos::from_secs(190));
        assert_eq!(after.parts(0, 60).iter().flatten().count(), 10);
    }

    #[test]
    fn seconds_that_nobody_told_of_are_gaps_and_silence_is_none() {
        let mut history = History::default();
        assert_eq!(history.parts(0, 15), vec![None; 15]);
        history.push(Nanos::from_millis(3_200), SECOND, [5.0, 0.0, 0.0]);
        history.push(Nanos::from_millis(3_500), SECOND, [4.0, 0.0, 0.0]);
        history.push(Nanos::from_millis(1_000_200), SECOND, [7.0, 0.0, 0.0]);
        let parts = history.parts(0, 60);
        assert_eq!(parts[59], Some(7.0));
        assert_eq!(parts.iter().flatten().count(), 1);
        assert_eq!(history.over(0, 3600, 360).iter().flatten().count(), 2);
        history.push_silence(Nanos::from_millis(1_000_200), Nanos::from_millis(1_030_700));
        let parts = history.parts(0, 60);
        assert_eq!((parts.iter().flatten().count(), parts[59], parts[30]), (30, Some(0.0), Some(7.0)));
        history.push_silence(Nanos::from_secs(1031), Nanos::from_secs(1_000_000));
        assert_eq!(history.parts(0, 60), vec![Some(0.0); 60]);
    }
}
