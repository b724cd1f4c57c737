//! What is lost before this program sees it, and what was lost second by second.

use super::*;
use crate::base::counters::DropReason;

/// Interfaces whose counters are read.
const MOST_NICS: usize = 6;

impl App {
    /// Reads what the watched interfaces count.
    pub fn read_nics(&mut self) {
        let Some((read, view)) = self.setup.nic_counters.zip(self.view.as_ref()) else { return };
        let interfaces = view.sources.iter().flat_map(|source| &source.interfaces);
        let names: Vec<String> = interfaces.map(|interface| interface.name.clone()).take(MOST_NICS).collect();
        self.readings.nics.retain(|nic| names.contains(&nic.name));
        for name in names {
            let Some(now) = read(&name) else { continue };
            match self.readings.nics.iter_mut().find(|nic| nic.name == name) {
                Some(nic) => nic.now = now,
                None => self.readings.nics.push(Nic { name, first: now, now }),
            }
        }
    }
}

impl App {
    /// Looks where frames pass while none are heard; to be called now and then.
    pub fn look_elsewhere(&mut self) {
        if self.is_file() || self.has_heard() {
            return;
        }
        let passed = self.setup.passed();
        let Some(before) = &self.passed_before else {
            self.passed_before = Some(passed);
            return;
        };
        let watched =
            || self.view.iter().flat_map(|view| &view.sources).flat_map(|source| &source.interfaces);
        let since_then = |(name, now): (String, u64)| {
            let (_, before) = before.iter().find(|(known, _)| *known == name)?;
            let is_elsewhere = now > *before && watched().all(|interface| interface.name != name);
            is_elsewhere.then(|| (name, now - before))
        };
        let mut all: Vec<_> = passed.into_iter().filter_map(since_then).collect();
        all.sort_by_key(|(_, frames)| std::cmp::Reverse(*frames));
        self.passed_elsewhere = all;
    }
}

impl Readings {
    /// Returns the frames dropped within the last minute: by the kernel (0), by reason `n - 1`.
    pub fn dropped_lately(&self, n: usize) -> u64 {
        let count = |sample: Option<&(Nanos, Vec<u64>)>| sample.and_then(|(_, all)| all.get(n)).copied();
        // What was there at the first look came before.
        let before = count(self.drops.front()).unwrap_or(0);
        count(self.drops.back()).unwrap_or(0).saturating_sub(before)
    }

    /// Returns frames lost in each of the last sixty seconds, oldest first; `None` where nobody looked.
    pub fn lost_per_second(&self) -> Vec<Option<f64>> {
        let mut seconds = vec![None; 60];
        let lost = |all: &[u64]| {
            let own = all.iter().skip(1).zip(DropReason::ALL).filter(|(_, reason)| reason.loses());
            all.first().copied().unwrap_or(0) + own.map(|(count, _)| count).sum::<u64>()
        };
        let Some((newest, _)) = self.drops.back() else { return seconds };
        let age = |at: Nanos| (newest.since(at).as_secs_f64()).round() as usize;
        for ((from, before), (to, after)) in self.drops.iter().zip(self.drops.iter().skip(1)) {
            let span = to.since(*from).as_secs_f64().max(1e-3);
            let rate = lost(after).saturating_sub(lost(before)) as f64 / span;
            // Each pair counts for a second at least: two may fall into the same one.
            let (new, old) = (age(*to), age(*from).max(age(*to) + 1));
            for second in (new..old).filter(|second| *second < 60) {
                let cell: &mut Option<f64> = &mut seconds[59 - second];
                *cell = Some(cell.map_or(rate, |known| known.max(rate)));
            }
        }
        seconds
    }
}
