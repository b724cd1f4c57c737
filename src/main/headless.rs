//! A run without a screen: what is exported, until its end.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use rustnet::{
    base::{shown::Shown, stop::SIGNALS},
    capture::source::Source,
    config::{
        cli::{Cli, Input, OutputFormat},
        file::FileConfig,
    },
    export::{Origin, counted::Counted, json::Json, jsonl::Jsonl, links::LinkNotes, selection::Selection},
    flow::services::service_name,
    pipeline::launch::{Engine, EngineConfig, EngineError},
    platform::{self, GLANCE, Lookout},
    process::lookup::Owners,
    query::{self, filter::eval, sort::Sort},
    snapshot::tap::Tap,
};

use crate::{
    Failure, LONGEST_WAIT,
    host::{follow_addresses, neighbours},
    say, standard_output, wrong_usage,
};

/// A reader that takes nothing for so long after a stop is not waited for. Whoever does not want to wait stops a second
/// time.
const READER_PATIENCE: Duration = Duration::from_secs(10);

/// What an engine is started with, and what writes the log.
type Parts<S> = (EngineConfig, Vec<S>, Option<Box<dyn Owners>>, Option<Box<dyn Tap>>);

/// Writes the export that was asked for until the source ends, `stop` is set, the time is over or nobody reads it.
pub fn export<S: Source + 'static>(
    cli: &Cli,
    file: &FileConfig,
    (config, sources, owners, journal): Parts<S>,
    origin: &Origin,
    stop: &AtomicBool,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    // What comes at its own pace is written at its own pace.
    let prompt = matches!(cli.input(), Input::Live(_) | Input::Stdin);
    let out = standard_output()?;
    let taken = Arc::new(AtomicU64::new(0));
    let reader = out.try_clone().context("cannot use standard output")?;
    let out = Counted::new(out, Arc::clone(&taken));
    let tap: Box<dyn Tap> = match cli.output {
        OutputFormat::Jsonl => {
            let lines = Jsonl::new(out, origin, prompt).with_selection(selection(cli)?);
            let lines = if cli.resolve_dns { lines.with_resolver() } else { lines };
            let lines = lines.with_watches(file.watches.clone());
            Box::new(match cli.interval_ns() {
                Some(every) => lines.with_changes(every),
                None => lines,
            })
        }
        OutputFormat::Json => {
            let document = Json::new(out, origin).with_selection(selection(cli)?);
            let document = if cli.resolve_dns { document.with_resolver() } else { document };
            Box::new(document.with_watches(file.watches.clone()))
        }
    };
    let is_live = matches!(cli.input(), Input::Live(_));
    let notes = is_live.then(|| Box::new(LinkNotes::new(io::stderr())) as Box<dyn Tap>);
    let taps = [Some(tap), notes, journal].into_iter().flatten().collect();
    let engine = Engine::launch_with_owners(config, sources, taps, owners);
    let mut engine = engine.map_err(anyhow::Error::from)?;
    follow_addresses(cli, &mut engine);
    let publication = Arc::clone(engine.publication());
    // Behind the flag, which is to be set when the wait ends.
    let lookout = Lookout::new(&SIGNALS);
    let is_told = lookout.caller().map(|caller| publication.call_at_end(caller)).is_some();
    let (mut stalled_since, mut taken_before): (Option<Instant>, u64) = (None, 0);
    // The last epoch is out before its thread has ended; `join` waits for that.
    while !publication.is_over() {
        let left = deadline.map_or(LONGEST_WAIT, |d| d.saturating_duration_since(Instant::now()));
        let mut wait = (Some(&reader), if is_told { left.min(LONGEST_WAIT) } else { GLANCE });
        if left.is_zero() || stop.load(Ordering::Relaxed) || platform::reader_gone(&reader) {
            engine.stop();
            // Its end is near, and a reader that is gone would end every wait.
            wait = (None, GLANCE);
            // Nobody waits for a reader that takes nothing any more.
            let taken = taken.load(Ordering::Relaxed);
            let goes_on = std::mem::replace(&mut taken_before, taken) != taken;
            stalled_since = match goes_on || platform::reader_keeps_up(&reader) {
                true => None,
                false => stalled_since.or_else(|| Some(Instant::now())),
            };
            if stalled_since.is_some_and(|since| since.elapsed() >= READER_PATIENCE) {
                return Err(anyhow!("standard output is not read: the export ends before its summary").into());
            }
        }
        lookout.wait(wait.0, wait.1);
    }
    match engine.join() {
        // Whoever read the export has had enough.
        Err(EngineError::Tap(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        other => other.map_err(anyhow::Error::from)?,
    }
    if let Some(last) = publication.latest() {
        for why in last.sources.iter().filter_map(|s| s.truncated.as_ref()) {
            let told = match origin {
                Origin::File { path } => format!("{}: {why}", Shown(Path::new(path))),
                Origin::Live { .. } => why.clone(),
            };
            tracing::warn!("{told}");
            say(format_args!("warning: {told}"));
        }
    }
    // The process ends: the system takes a million rows back at once, not one by one.
    std::mem::forget(publication);
    Ok(())
}

/// Returns which connections an export lists, and in which order.
fn selection(cli: &Cli) -> Result<Selection, Failure> {
    let parsed = cli.filter.as_deref().map(query::filter::parse).transpose().map_err(wrong_usage)?;
    let expr = parsed.and_then(|parsed| parsed.expr);
    let filter = expr.map(|expr| eval::Filter::new(expr, Some(service_name)));
    let selection = Selection::new(filter, cli.sort.map(Sort::by), Some(service_name));
    // Those of this host say nothing of a file.
    Ok(if cli.read.is_some() { selection } else { selection.with_neighbours(neighbours) })
}
