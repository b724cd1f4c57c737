//! The pipeline's config from flags, plan and host.

use std::sync::Arc;

use crate::{
    config::{
        cli::{Cli, Input},
        plan::Plan,
    },
    flow::locals::Locals,
    names::reverse_dns::ReverseDns,
    pipeline::{
        launch::{EngineConfig, Host},
        worker::Publish,
    },
    platform,
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
    let start_resolver = || Arc::new(ReverseDns::start(platform::name_of, host.enter_thread));
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
        resolver: cli.resolve_dns.then(start_resolver),
        names_late: !cli.headless,
        busy_poll: cli.busy_poll,
        host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::Feed;

    #[test]
    fn f12_nobody_is_asked_for_names_unless_the_user_wants_it() {
        for (args, asks) in [
            ("rustnet", false),
            ("rustnet --headless", false),
            ("rustnet --read a.pcap", false),
            ("rustnet --resolve-dns", true),
            ("rustnet --read a.pcap --headless --resolve-dns", true),
        ] {
            let cli = Cli::read(args.split(' ').map(Into::into)).unwrap();
            let plan = Plan::new(&[], Feed::Single);
            let host = platform::host(Vec::new());
            let config = config(&cli, &plan, host, Locals::new([]), None, 1, &[]);
            assert_eq!(config.resolver.is_some(), asks, "{args}");
        }
    }
}
