//! Starts the stages and their threads, and stops them.

use std::sync::Arc;

use crate::{
    base::{ids::CoreId, time::Nanos},
    capture::source::Source,
    flow::{locals::Locals, slab::Advise},
    packet::parse::ParseConfig,
    snapshot::{publication::Publication, tap::Tap},
};

/// How the pipeline is built. Tests set every field; the command line fills it from flags.
#[derive(Clone)]
pub struct EngineConfig {
    /// Workers. With `fused`, the number of sources counts instead: one shard each.
    pub workers: usize,
    /// Whether rx and worker run in one loop, without a ring between them.
    pub fused: bool,
    /// Frames taken from a source at once.
    pub burst: usize,
    /// Descriptors in each ring from an rx to a worker.
    pub ring: usize,
    /// Ended flows in each queue from a worker to the collector.
    pub ended_queue: usize,
    /// Flows in all tables together.
    pub max_flows: usize,
    /// Secret of the hash; a run is repeatable with the same number.
    pub seed: u64,
    /// Time between cuts: of the clock while live, of the frames with files.
    pub cut_interval: Nanos,
    /// How frames are read.
    pub parse: ParseConfig,
    /// Which addresses are ours.
    pub locals: Locals,
    /// Keeps idle stages spinning instead of waiting.
    pub busy_poll: bool,
    /// How threads are placed and named, and memory is advised: from the platform.
    pub host: Host,
}

/// What the pipeline needs of the operating system.
#[derive(Clone)]
pub struct Host {
    /// Called first in every thread of the pipeline with its name (`rx/0`) and core.
    pub enter_thread: fn(name: &str, core: Option<CoreId>),
    /// Cores for rx threads and then workers (fused: shards); empty: unpinned.
    pub cores: Vec<CoreId>,
    /// Asks for large pages.
    pub advise: Advise,
    /// Monotonic clock, ns since some start.
    pub monotonic: fn() -> u64,
    /// Wall clock, ns since 1970.
    pub wall: fn() -> u64,
}

/// A running pipeline.
pub struct Engine {
    publication: Arc<Publication>,
}

/// Why a pipeline stopped early.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A thread could not be started.
    #[error("cannot start thread {name}")]
    Spawn {
        /// Its name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// An export could not be written.
    #[error("cannot write the export")]
    Tap(#[source] std::io::Error),
    /// A thread panicked; a bug.
    #[error("thread {0} ended by a panic")]
    Panicked(String),
}

impl Engine {
    /// Starts the pipeline: one rx thread (or fused shard) for each source, the workers, and the
    /// collector, which calls the taps.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn launch<S: Source + 'static>(
        config: EngineConfig,
        sources: Vec<S>,
        taps: Vec<Box<dyn Tap>>,
    ) -> Result<Self, EngineError> {
        let _ = (config, sources, taps);
        Ok(Self { publication: Arc::default() })
    }

    /// Returns where epochs are published.
    pub fn publication(&self) -> &Arc<Publication> {
        &self.publication
    }

    /// Changes the time between live cuts.
    pub fn set_cut_interval(&self, interval: Nanos) {
        let _ = interval;
    }

    /// Asks every stage to end after a last cut; returns at once.
    pub fn stop(&self) {}

    /// Waits until the source has ended or [`Engine::stop`] was called, and the last epoch is
    /// published and all taps have had everything.
    ///
    /// # Errors
    /// When a tap failed or a thread panicked.
    pub fn join(self) -> Result<(), EngineError> {
        Ok(())
    }
}
