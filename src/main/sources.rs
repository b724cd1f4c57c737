//! What is watched, a file or interfaces, and the engine that watches it.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustnet::{
    base::{shown::Shown, stop::stop_flag, time::Stamp},
    capture::{source::Source, up_to::UpTo},
    config::{
        cli::{CaptureMethod, Cli, KernelCounts, KeyFact},
        engine,
        file::FileConfig,
        input,
        plan::{Feed, Plan},
    },
    export::{Origin, journal::Journal, reread},
    flow::locals::Locals,
    packet::{hash::Seed, parse::Parser},
    platform::{
        self,
        filter::Filter,
        interface::{default_interface, find},
        live::{Live, LiveConfig, Method, Tally, Watch},
        placement::Placement,
    },
    process::lookup::Owners,
    snapshot::tap::Tap,
    tui::{
        Retrace,
        app::{Again, Setup},
        recorder::Record,
    },
};

use crate::{
    FAILED, Failure, headless,
    host::{own_and_given, owners},
    interfaces, random,
    record::{live_record, write_frames},
    say,
    screen::{ScreenParts, setup, show},
    wrong_usage,
};

/// Reads a file, or a stream of one.
pub fn watch_file(
    cli: &Cli,
    file: &FileConfig,
    plan: &Plan,
    path: &Path,
    started: Instant,
) -> Result<(), Failure> {
    let is_stdin = path == Path::new("-");
    if is_stdin && io::stdin().is_terminal() {
        return Err(wrong_usage("standard input is a terminal (pipe a capture into --read -)"));
    }
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let span = cli.stop_after();
    let stop = stop_flag_of(cli)?;
    let is_stream = input::is_stream(path);
    let source = match &stop {
        Some(stop) if is_stream => {
            // A head that is there already is read even if the start took all the time.
            let deadline = span.map(|span| (started + span).max(Instant::now() + Duration::from_millis(500)));
            let (source, began) =
                input::open_stream(path, span, deadline, stop).map_err(anyhow::Error::from)?;
            if !began {
                say(format_args!("warning: {}: no capture came", Shown(Path::new(&name))));
            }
            source
        }
        _ => input::open(path, span).map_err(anyhow::Error::from)?,
    };
    tracing::info!("reads {}", Shown(Path::new(&name)));
    let origin = Origin::File { path: path.display().to_string() };
    let locals = Locals::new(cli.local.iter().copied());
    let setup = Setup { file: Some(name), rereads: !is_stdin && path.is_file(), ..setup(cli, file) };
    let setup = Setup {
        interfaces: None,
        listening: None,
        neighbour: None,
        neighbours: None,
        nic_counters: None,
        privileges: None,
        ..setup
    };
    // The time of a file is its packets'; only a stream may be silent for longer than one waits.
    let deadline = span.filter(|_| is_stream).map(|span| started + span);
    let (name, parser) = (path.to_owned(), cli.parse_config());
    let record: Record = Arc::new(move |order, to, stop| {
        let source = input::open(&name, span).map_err(|error| error.to_string())?;
        write_frames(source, parser, order, to, stop)
    });
    let (again, parser) = (path.to_owned(), cli.parse_config());
    let retrace: Retrace = Arc::new(move |row, span_of_file, stop| {
        let [_, until] = span_of_file;
        let source = UpTo::new(input::open(&again, span).ok()?, Some(until));
        reread::minute(source, Parser::new(parser, Seed::new(random())), row.to_record(), span_of_file, stop)
    });
    let run = Run { cli, file, started, deadline, stop, record, retrace: Some(retrace), owners: None };
    if cli.headless {
        let never = |_: &Again| Err("there is no screen".to_owned());
        return watch(run, plan, vec![source], locals, &origin, setup, never);
    }
    let reopen = |again: &Again| match again {
        Again::Until(end) => {
            let source = input::open(path, span).map_err(|error| error.to_string())?;
            let source = match end {
                Some(end) => UpTo::new(source, Some(*end)),
                None => UpTo::whole(source, input::last_stamp(path, span)),
            };
            Ok(Live { sources: vec![source], notes: Vec::new(), reason: None })
        }
        Again::Interface(_) => Err("a file is read".to_owned()),
    };
    let last = input::last_stamp(path, span);
    watch(run, plan, vec![UpTo::whole(source, last)], locals, &origin, setup, reopen)
}

/// Watches interfaces.
pub fn watch_live(
    cli: &Cli,
    file: &FileConfig,
    plan: &Plan,
    names: &[String],
    started: Instant,
) -> Result<(), Failure> {
    let filter = cli.bpf_filter.as_deref().map(Filter::new).transpose();
    let filter = filter.map_err(|why| wrong_usage(format_args!("--bpf-filter: {why}")))?;
    let all = interfaces()?;
    let watch_what = match names {
        [] => Watch::Named(vec![default_interface(&all).map_err(anyhow::Error::from)?.name.clone()]),
        [any] if any == "any" => Watch::Any,
        names => {
            for name in names {
                find(&all, name).map_err(anyhow::Error::from)?;
            }
            Watch::Named(names.to_vec())
        }
    };
    let interfaces = match &watch_what {
        Watch::Any => vec!["any".to_owned()],
        Watch::Named(names) => names.clone(),
    };
    let method = match cli.capture {
        CaptureMethod::Auto => Method::Auto,
        CaptureMethod::AfPacket => Method::AfPacket,
        CaptureMethod::Bpf => Method::Bpf,
        CaptureMethod::AfXdp => Method::AfXdp,
        CaptureMethod::Pcap => Method::Pcap,
    };
    // Whoever watches all interfaces is told that they were not asked.
    let promiscuous = cli.promiscuous && matches!(watch_what, Watch::Named(_));
    let config = LiveConfig {
        method,
        promiscuous: cli.promiscuous,
        takes_traffic: cli.af_xdp_take_traffic,
        busy_poll: cli.busy_poll,
        filter,
        seed: random() as u32,
        tally: Tally {
            udp: cli.counts_in_kernel(KernelCounts::Udp),
            tcp: cli.counts_in_kernel(KernelCounts::Tcp),
            tagged: !cli.key.contains(&KeyFact::Vlan),
        },
        ..LiveConfig::new(watch_what)
    };
    // Before the capture: it takes some 100 ms, and frames wait in a ring that holds 250 ms of a quiet link's.
    let owners = owners(cli);
    // Before the first frame can come, so that no connection begins earlier.
    let start = Stamp((platform::host(Vec::new()).wall)());
    let live = platform::live::open(&config, plan.rx).map_err(anyhow::Error::from)?;
    // libpcap and AF_XDP capture with one thread.
    let single = Plan::new(&plan.cores, Feed::Single);
    let threads = live.sources.len();
    let plan = if live.sources.len() < plan.rx { &single } else { plan };
    for note in &live.notes {
        tracing::warn!("{note}");
        if cli.headless {
            say(format_args!("note: {note}"));
        }
    }
    tracing::info!("watches {}", interfaces.join(", ").escape_debug());
    let locals = own_and_given(&cli.local);
    // Only the screen tells where things are.
    let placement = (!cli.headless).then(|| platform::placement_of(&plan.cores, &interfaces));
    let origin = Origin::Live { interfaces, start };
    let setup = Setup {
        promiscuous,
        notes: live.notes,
        reason: live.reason,
        placement: placement.as_ref().map(Placement::places).unwrap_or_default(),
        placement_warnings: placement.as_ref().map(Placement::warnings).unwrap_or_default(),
        ..setup(cli, file)
    };
    let watched = Arc::new(Mutex::new(config.watch.clone()));
    let record = live_record(cli, &config, &watched);
    let reopen = |again: &Again| match again {
        Again::Interface(name) => {
            let watch = if name == "any" { Watch::Any } else { Watch::Named(vec![name.clone()]) };
            let promiscuous = config.promiscuous && matches!(watch, Watch::Named(_));
            let config = LiveConfig { watch, promiscuous, ..config.clone() };
            let live = platform::live::open(&config, threads).map_err(|error| error.to_string())?;
            match live.sources.len() == threads {
                true => {
                    *watched.lock().unwrap_or_else(PoisonError::into_inner) = config.watch;
                    Ok(live)
                }
                false => Err(format!("{name} cannot be watched by {threads} threads: start again with -i")),
            }
        }
        Again::Until(_) => Err("live traffic cannot be read again".to_owned()),
    };
    // From when frames are taken: a busy machine may need seconds until then.
    let deadline = cli.stop_after().map(|span| Instant::now() + span);
    let stop = stop_flag_of(cli)?;
    let run = Run { cli, file, started, deadline, stop, record, retrace: None, owners };
    watch(run, plan, live.sources, locals, &origin, setup, reopen)
}

/// What holds for a whole run.
struct Run<'a> {
    cli: &'a Cli,
    file: &'a FileConfig,
    started: Instant,
    /// When it stops by itself.
    deadline: Option<Instant>,
    /// Set by signals, without a screen.
    stop: Option<Arc<AtomicBool>>,
    /// Writes the frames of rows of a screen.
    record: Record,
    /// Finds out what rows of a file moved.
    retrace: Option<Retrace>,
    /// Knows whose sockets are whose, of live traffic.
    owners: Option<Box<dyn Owners>>,
}

/// Runs the pipeline over `sources` until it ends, the user quits, or a signal asks to end.
fn watch<S: Source + 'static>(
    run: Run,
    plan: &Plan,
    sources: Vec<S>,
    locals: Locals,
    origin: &Origin,
    setup: Setup,
    reopen: impl FnMut(&Again) -> Result<Live<S>, String>,
) -> Result<(), Failure> {
    let Run { cli, file, started, deadline, stop, record, retrace, owners } = run;
    let mut host = platform::host(plan.cores.clone());
    if cli.realtime {
        platform::use_realtime(&mut host);
    }
    let memory = platform::usable_memory();
    let config = engine::config(cli, plan, host, locals, Some(memory), random(), &file.watches);
    if let Some(status) = owners.as_ref().map(|owners| owners.status())
        && let Some(reason) = &status.reason
    {
        let remedy = status.remedy.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        tracing::warn!("owners by {}: {reason}{remedy}", status.method);
        if cli.headless {
            say(format_args!("note: owners by {}: {reason}{remedy}", status.method));
        }
    }
    match stop {
        None => show(
            ScreenParts { cli, file, started, config, origin },
            sources,
            owners,
            setup,
            reopen,
            (record, retrace),
        ),
        Some(stop) => {
            let journal = journal(cli, setup.reason);
            headless::export(cli, file, (config, sources, owners, journal), origin, &stop, deadline)
        }
    }
}

/// Returns what writes connections into the log, and why frames are taken the way they are. Counted lines need every
/// epoch, which files give then.
pub fn journal(cli: &Cli, reason: Option<String>) -> Option<Box<dyn Tap>> {
    cli.log_level.map(|_| Box::new(Journal::new(reason)) as Box<dyn Tap>)
}

/// Returns what ends a run without a screen; the screen has keys, and asks the terminal for them.
fn stop_flag_of(cli: &Cli) -> Result<Option<Arc<AtomicBool>>, Failure> {
    let flag = cli.headless.then(|| stop_flag(FAILED.into())).transpose();
    Ok(flag.context("cannot catch signals")?)
}
