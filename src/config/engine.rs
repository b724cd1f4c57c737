//! The pipeline's config from flags, plan and host.

use crate::{
    config::{
        cli::{Cli, Input},
        plan::Plan,
    },
    flow::locals::Locals,
    pipeline::{
        launch::{EngineConfig, Host},
        worker::Publish,
    },
    query::watch::Watch,
};

/// Frames taken at once: enough to hide the latency of a table that is not in the cache.
const BURST: usize = 32;
/// Descriptors in a ring: 4 ms of 64-byte frames at 1 Mpps a worker, 256 KB.
const RING: usize = 4096;
/// Ended flows that wait for the collector: a second of 16,000 that end.
const ENDED_QUEUE: usize = 16_384;

/// Returns the pipeline's config; `watches` are those that an export tells of.
pub fn config(
    cli: &Cli,
    plan: &Plan,
    host: Host,
    locals: Locals,
    memory: Option<u64>,
    seed: u64,
    watches: &[Watch],
) -> EngineConfig {
    // Who writes what changed wants every epoch, as a screen does; so do those who select, and watch rows.
    let every_epoch = !cli.headless || cli.wants_epochs() || watches.iter().any(Watch::wants_epochs);
    EngineConfig {
        workers: plan.workers,
        fused: plan.fused,
        burst: BURST,
        ring: RING,
        ended_queue: ENDED_QUEUE,
        max_flows: cli.flows(memory),
        seed,
        cut_interval: cli.cut_interval(),
        file_epochs: if every_epoch { Publish::Always } else { Publish::AtEnd },
        reckons_rates: every_epoch || matches!(cli.input(), Input::Live(_)),
        parse: cli.parse_config(),
        locals,
        inspects: !cli.no_dpi,
        busy_poll: cli.busy_poll,
        host,
    }
}
