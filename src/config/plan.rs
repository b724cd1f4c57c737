//! Which core does what.
//!
//! ```text
//!   no --cores   shard/0                       unpinned: a file, or an interface of usual traffic
//!   1 core       shard/0                       rx and worker in one loop, no ring between them
//!   n, live      n/3 rx (at least one), the rest workers
//!   n, file      1 rx (one reader keeps the order of a file), n - 1 workers
//! ```
//!
//! With two cores or more the stages are apart although a shard on each would save the ring:
//! fragments have no ports, so the kernel deals them out by address alone, to one rx. That rx
//! knows their datagram and sends them on to the flow's worker; a shard could not. One rx feeds
//! about two workers: reading a frame's headers costs about half of what its flow does.

use std::fmt;

use crate::base::ids::CoreId;

/// Where the threads of the pipeline run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Threads that take frames: rx threads, or shards when fused.
    pub rx: usize,
    /// Workers; with `fused` each shard is its own.
    pub workers: usize,
    /// Whether rx and worker are one loop.
    pub fused: bool,
    /// The cores of the rx threads, then of the workers; empty: unpinned.
    pub cores: Vec<CoreId>,
}

/// How many threads can take frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// One: files and standard input.
    Single,
    /// Any number: the kernel deals frames out by flow.
    Dealt,
}

impl Plan {
    /// Returns the plan for the cores that were asked for; none: no preference.
    pub fn new(asked: &[CoreId], feed: Feed) -> Self {
        let cores = asked.to_vec();
        if cores.len() < 2 {
            return Self { rx: 1, workers: 1, fused: true, cores };
        }
        let rx = match feed {
            Feed::Single => 1,
            Feed::Dealt => (cores.len() / 3).max(1),
        };
        // Workers are numbered by a byte; more than 255 serve no link.
        let workers = (cores.len() - rx).min(255);
        Self { rx, workers, fused: false, cores }
    }

    /// Returns the names of the pinned threads, in the order of `cores`.
    pub fn threads(&self) -> Vec<String> {
        if self.fused {
            return (0..self.rx).map(|n| format!("shard/{n}")).collect();
        }
        let rx = (0..self.rx).map(|n| format!("rx/{n}"));
        rx.chain((0..self.workers).map(|n| format!("worker/{n}"))).collect()
    }
}

/// The table of `--show-plan`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<6} {:<11} what it does", "core", "thread")?;
        for (i, thread) in self.threads().iter().enumerate() {
            let core = self.cores.get(i).map_or_else(|| "any".to_owned(), |c| c.0.to_string());
            let duty = match thread.split('/').next() {
                Some("rx") => "takes frames, reads headers, deals them out by flow",
                Some("worker") => "counts the frames of its flows, follows their states",
                _ => "takes frames, reads headers, counts, follows states",
            };
            writeln!(f, "{core:<6} {thread:<11} {duty}")?;
        }
        writeln!(f, "{:<6} {:<11} merges epochs, writes exports", "other", "collector")?;
        writeln!(f, "{:<6} {:<11} screen, keys, signals", "other", "main")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(numbers: impl IntoIterator<Item = u16>) -> Vec<CoreId> {
        numbers.into_iter().map(CoreId).collect()
    }

    #[test]
    fn stages_are_fused_on_one_core_and_apart_on_more() {
        for (n, feed, rx, workers, fused) in [
            (0, Feed::Dealt, 1, 1, true),
            (1, Feed::Dealt, 1, 1, true),
            (2, Feed::Dealt, 1, 1, false),
            (3, Feed::Dealt, 1, 2, false),
            (6, Feed::Dealt, 2, 4, false),
            (6, Feed::Single, 1, 5, false),
            (0, Feed::Single, 1, 1, true),
        ] {
            let plan = Plan::new(&cores(0..n), feed);
            assert_eq!((plan.rx, plan.workers, plan.fused), (rx, workers, fused), "{n} cores, {feed:?}");
            assert!(n == 0 || plan.threads().len() == plan.cores.len(), "a core for each thread");
        }
    }

    #[test]
    fn the_plan_can_be_read() {
        let plan = Plan::new(&cores([2, 3, 4]), Feed::Dealt);
        let text = plan.to_string();
        let threads: Vec<_> =
            text.lines().map(|l| l.split_whitespace().take(2).collect::<Vec<_>>()).collect();
        assert_eq!(
            threads,
            [
                ["core", "thread"],
                ["2", "rx/0"],
                ["3", "worker/0"],
                ["4", "worker/1"],
                ["other", "collector"],
                ["other", "main"]
            ]
        );
        let unpinned = Plan::new(&[], Feed::Single);
        assert!(unpinned.to_string().contains("any    shard/0"));
    }
}
