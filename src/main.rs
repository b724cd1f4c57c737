//! Wiring only: flags to sources, sources to the pipeline, the pipeline to a screen or an export.

use std::{
    cell::{Cell, RefCell},
    collections::hash_map::RandomState,
    fmt::Display,
    fs::File,
    hash::BuildHasher as _,
    io::{self, IsTerminal as _, Write as _},
    net::IpAddr,
    path::Path,
    process::ExitCode,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use rustnet::{
    base::{
        shown::Shown,
        stop::{SIGNALS, stop_flag},
        time::{Nanos, Stamp},
    },
    capture::{source::Source, up_to::UpTo},
    config::{
        self,
        cli::{CaptureMethod, Cli, Input, KernelCounts, KeyFact, OutputFormat, OwnerLookup},
        engine,
        file::FileConfig,
        input,
        log::{self, Log},
        manual,
        plan::{Feed, Plan},
        terminal,
    },
    export::{
        self, Origin,
        counted::Counted,
        journal::Journal,
        json::Json,
        jsonl::Jsonl,
        links::LinkNotes,
        pcapng::{self, Wanted},
        reread,
        selection::Selection,
    },
    flow::{locals::Locals, services::service_name},
    packet::{
        hash::Seed,
        parse::{Layer, ParseConfig, Parser},
    },
    pipeline::launch::{Engine, EngineConfig, EngineError},
    platform::{
        self, AddressWatch, GLANCE, Lookout, OwnerMethod, ThreadTimes,
        check::{self, Check},
        filter::Filter,
        interface::{Interface, Table, default_interface, find},
        live::{Live, LiveConfig, Method, Tally, Watch},
        placement::Placement,
    },
    process::lookup::Owners,
    query::{self, filter::eval, signs::Signs, sort::Sort, window::Localhost},
    snapshot::{
        ended::{EndedFlows, EndedTap},
        row::Row,
        tap::Tap,
    },
    tui::{
        self, Record, Retrace, Running, ScreenOptions,
        app::{Again, SelfUsage, Setup},
        terms,
        theme::Theme,
        threads::Files,
    },
};

/// The longest wait for a signal, the end of an engine or of its reader, each of which ends it.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A reader that takes nothing for so long after a stop is not waited for. Whoever does not want to wait stops a second
/// time.
const READER_PATIENCE: Duration = Duration::from_secs(10);
/// Exit codes beside 0.
const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let started = Instant::now();
    platform::map_large_memory();
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and version go to standard output, wrong usage to standard error.
        Err(shown) if !shown.use_stderr() => shown.exit(),
        Err(wrong) => {
            let text = wrong.render().to_string();
            let lines: Vec<_> = text.lines().map(query::text::escape).collect();
            eprintln!("{}", lines.join("\n"));
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let log = match cli.log_level.map(log::open).transpose() {
        Ok(log) => log,
        Err(text) => return told(&Failure { code: FAILED, text }),
    };
    tracing::info!("start: rustnet {}, process {}", env!("CARGO_PKG_VERSION"), std::process::id());
    let code = match run(&cli, started) {
        Ok(code) => code,
        Err(failure) => told(&failure),
    };
    tracing::info!("stop after {:.1} s", started.elapsed().as_secs_f64());
    log.as_ref().map(Log::finish);
    code
}

fn told(failure: &Failure) -> ExitCode {
    tracing::error!("{}", failure.text);
    eprintln!("error: {}", failure.text);
    ExitCode::from(failure.code)
}

/// Why the program ends before its work is done.
struct Failure {
    code: u8,
    text: String,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { code: FAILED, text: format!("{error:#}") }
    }
}

fn wrong_usage(text: impl Display) -> Failure {
    Failure { code: WRONG_USAGE, text: text.to_string() }
}

fn run(cli: &Cli, started: Instant) -> Result<ExitCode, Failure> {
    if cli.man {
        return print(manual::man().context("cannot make the man page")?);
    }
    if let Some(shell) = cli.completions {
        return print(String::from_utf8_lossy(&manual::completions(shell)));
    }
    let asked = cli.cores.as_ref().map(|list| list.0.clone()).unwrap_or_default();
    platform::check_cores(&asked).map_err(wrong_usage)?;
    let feed = match cli.input() {
        Input::Live(_) if !matches!(cli.capture, CaptureMethod::Pcap | CaptureMethod::AfXdp) => Feed::Dealt,
        _ => Feed::Single,
    };
    let plan = Plan::new(&asked, feed);
    if cli.realtime {
        platform::check_realtime().map_err(wrong_usage)?;
    }
    if cli.show_plan {
        exists(cli.input())?;
        return print(format_args!("{plan}{}", platform::placement_of(&plan.cores, &watched(cli))));
    }
    if cli.list_interfaces {
        return print(Table(&interfaces()?));
    }
    if cli.check {
        return checked();
    }
    // A wrong entry is told without a screen, too.
    let file = config::file::read().map_err(wrong_usage)?;
    if let Some(why) = &file.unreadable {
        tracing::warn!("{why}");
        eprintln!("warning: {why}: what is usual holds");
    }
    // What an export looks like depends on flags alone: without a screen only what is watched, and watched for, counts.
    let file = match cli.headless {
        true => FileConfig { interfaces: file.interfaces, watches: file.watches, ..FileConfig::default() },
        false => file,
    };
    if !cli.headless && !io::stdout().is_terminal() {
        return Err(wrong_usage("standard output is not a terminal (use --headless to run without one)"));
    }
    match cli.input() {
        Input::File(path) => watch_file(cli, &file, &plan, path, started),
        Input::Stdin => watch_file(cli, &file, &plan, Path::new("-"), started),
        Input::Live([]) => watch_live(cli, &file, &plan, &file.interfaces, started),
        Input::Live(names) => watch_live(cli, &file, &plan, names, started),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Says whether what is to be watched is there.
fn exists(input: Input) -> Result<(), Failure> {
    match input {
        Input::Stdin => {}
        Input::File(path) => {
            std::fs::metadata(path).with_context(|| format!("cannot read {}", Shown(path)))?;
        }
        Input::Live(names) => {
            let all = interfaces()?;
            for name in names.iter().filter(|name| *name != "any") {
                find(&all, name).map_err(anyhow::Error::from)?;
            }
        }
    }
    Ok(())
}

/// Prints what works here.
fn checked() -> Result<ExitCode, Failure> {
    let mut all = platform::checks();
    all.extend(terminal::checks());
    print(check::Table(&all))?;
    Ok(ExitCode::from(u8::from(all.iter().any(Check::is_degraded))))
}

/// Returns the interfaces that would be watched, as far as they have names.
fn watched(cli: &Cli) -> Vec<String> {
    match cli.input() {
        Input::Live([]) => {
            let all = platform::interfaces().unwrap_or_default();
            default_interface(&all).map(|i| i.name.clone()).into_iter().collect()
        }
        Input::Live(names) => names.iter().filter(|n| *n != "any").cloned().collect(),
        Input::File(_) | Input::Stdin => Vec::new(),
    }
}

fn watch_file(
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
                eprintln!("warning: {}: no capture came", Shown(Path::new(&name)));
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
        nic_counters: None,
        privileges: None,
        ..setup
    };
    // The time of a file is its packets'; only a stream may be silent for longer than one waits.
    let deadline = span.filter(|_| is_stream).map(|span| started + span);
    let (name, parser) = (path.to_owned(), cli.parse_config());
    let record: Record = Arc::new(move |row, _, to, stop| {
        let source = input::open(&name, span).map_err(|error| error.to_string())?;
        write_frames(source, parser, row, true, to, stop)
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
            Ok(Live { sources: vec![UpTo::new(source, *end)], notes: Vec::new(), reason: None })
        }
        Again::Interface(_) => Err("a file is read".to_owned()),
    };
    watch(run, plan, vec![UpTo::new(source, None)], locals, &origin, setup, reopen)
}

fn watch_live(
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
            eprintln!("note: {note}");
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
    let reopen = |again: &Again| match again {
        Again::Interface(name) => {
            let watch = if name == "any" { Watch::Any } else { Watch::Named(vec![name.clone()]) };
            let promiscuous = config.promiscuous && matches!(watch, Watch::Named(_));
            let config = LiveConfig { watch, promiscuous, ..config.clone() };
            let live = platform::live::open(&config, threads).map_err(|error| error.to_string())?;
            match live.sources.len() == threads {
                true => Ok(live),
                false => Err(format!("{name} cannot be watched by {threads} threads: start again with -i")),
            }
        }
        Again::Until(_) => Err("live traffic cannot be read again".to_owned()),
    };
    // From when frames are taken: a busy machine may need seconds until then.
    let deadline = cli.stop_after().map(|span| Instant::now() + span);
    let (stop, record) = (stop_flag_of(cli)?, live_record(cli));
    let run = Run { cli, file, started, deadline, stop, record, retrace: None, owners };
    watch(run, plan, live.sources, locals, &origin, setup, reopen)
}

/// Returns what writes the frames of rows of live traffic: a capture of its own, of that connection alone, so that
/// the engine's is not concerned.
fn live_record(cli: &Cli) -> Record {
    let (parser, method) = (cli.parse_config(), cli.capture);
    Arc::new(move |row, interface, to, stop| {
        let name = interface.ok_or("the interface is not known")?.to_owned();
        let text = terms::copies(row, None).into_iter().find(|(what, _)| *what == "tcpdump filter");
        // It only saves work, and needs libpcap: which frames are the row's is found out frame by frame.
        let filter = text.and_then(|(_, text)| Filter::new(&text).ok());
        let method = if method == CaptureMethod::Pcap { Method::Pcap } else { Method::AfPacket };
        // Frames in tunnels have other addresses outside.
        let filter = filter.filter(|_| parser.layer == Layer::Outer);
        let config = LiveConfig { method, filter, ..LiveConfig::new(Watch::Named(vec![name])) };
        let live = platform::live::open(&config, 1).map_err(|error| error.to_string())?;
        let source = live.sources.into_iter().next().ok_or("there is no capture")?;
        write_frames(source, parser, row, false, to, stop)
    })
}

/// Writes the frames of a row; returns what to say of it.
fn write_frames(
    source: impl Source,
    parser: ParseConfig,
    row: &Row,
    between: bool,
    to: &Path,
    stop: &AtomicBool,
) -> Result<String, String> {
    let wanted = Wanted { record: row.to_record(), between, comment: terms::described(row) };
    let told = |error: io::Error| format!("cannot write {}: {error}", to.display());
    let out = io::BufWriter::new(platform::private_file(to).map_err(told)?);
    let parser = Parser::new(parser, Seed::new(random()));
    let done = pcapng::copy(source, parser, &wanted, out, stop).map_err(told)?;
    let lost = if done.lost > 0 { format!(", {} lost", done.lost) } else { String::new() };
    let full = if done.full { ", which is as large as it may be" } else { "" };
    Ok(format!("{} frames written to {}{lost}{full}", done.frames, to.display()))
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
    let config = engine::config(cli, plan, host, locals, Some(memory), random());
    if let Some(status) = owners.as_ref().map(|owners| owners.status())
        && let Some(reason) = &status.reason
    {
        let remedy = status.remedy.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        tracing::warn!("owners by {}: {reason}{remedy}", status.method);
        if cli.headless {
            eprintln!("note: owners by {}: {reason}{remedy}", status.method);
        }
    }
    let Some(stop) = stop else {
        let parts = ScreenParts { cli, file, started, config, origin };
        return show(parts, sources, owners, setup, reopen, (record, retrace));
    };
    let journal = journal(cli);
    // What comes at its own pace is written at its own pace.
    let prompt = matches!(cli.input(), Input::Live(_) | Input::Stdin);
    let out = standard_output()?;
    let taken = Arc::new(AtomicU64::new(0));
    let reader = out.try_clone().context("cannot use standard output")?;
    let out = Counted::new(out, Arc::clone(&taken));
    let tap: Box<dyn Tap> = match cli.output {
        OutputFormat::Jsonl => {
            let lines = Jsonl::new(out, origin, prompt).with_selection(selection(cli)?);
            let lines = lines.with_watches(file.watches.clone());
            Box::new(match cli.interval_ns() {
                Some(every) => lines.with_changes(every),
                None => lines,
            })
        }
        OutputFormat::Json => {
            let document = Json::new(out, origin).with_selection(selection(cli)?);
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
            eprintln!("warning: {told}");
        }
    }
    // The process ends: the system takes a million rows back at once, not one by one.
    std::mem::forget(publication);
    Ok(())
}

/// Returns what writes connections into the log. Counted lines need every epoch, which files give then.
fn journal(cli: &Cli) -> Option<Box<dyn Tap>> {
    cli.log_level.map(|_| Box::new(Journal::default()) as Box<dyn Tap>)
}

/// What a screen's engines are made of.
struct ScreenParts<'a> {
    cli: &'a Cli,
    file: &'a FileConfig,
    started: Instant,
    config: EngineConfig,
    origin: &'a Origin,
}

impl ScreenParts<'_> {
    /// Starts an engine for a screen.
    fn launch<S: Source + 'static>(
        &self,
        sources: Vec<S>,
        owners: Option<Box<dyn Owners>>,
    ) -> Result<(Engine, Arc<EndedFlows>), EngineError> {
        // What streams may never end.
        let is_whole = matches!(self.cli.input(), Input::File(path) if path.is_file());
        let kept = if is_whole { usize::MAX } else { self.cli.history as usize };
        let ended = Arc::new(EndedFlows::new(kept));
        let tap: Box<dyn Tap> = Box::new(EndedTap(Arc::clone(&ended)));
        let taps = [Some(tap), journal(self.cli)].into_iter().flatten().collect();
        let mut engine = Engine::launch_with_owners(self.config.clone(), sources, taps, owners)?;
        follow_addresses(self.cli, &mut engine);
        Ok((engine, ended))
    }
}

/// Shows engines on a screen until the user quits: the first one, and those that look at other sources
/// when the user asks for it.
fn show<S: Source + 'static>(
    parts: ScreenParts<'_>,
    sources: Vec<S>,
    first_owners: Option<Box<dyn Owners>>,
    setup: Setup,
    mut reopen: impl FnMut(&Again) -> Result<Live<S>, String>,
    (record, retrace): (Record, Option<Retrace>),
) -> Result<(), Failure> {
    let (cli, file, started) = (parts.cli, parts.file, parts.started);
    let (engine, ended) = parts.launch(sources, first_owners).map_err(anyhow::Error::from)?;
    let pace = Rc::new(Cell::new(file.refresh.filter(|_| cli.refresh_interval.is_none())));
    let engine = Rc::new(RefCell::new(Some(engine)));
    let set_pace = {
        let (engine, pace) = (Rc::clone(&engine), Rc::clone(&pace));
        move || {
            if let (Some(engine), Some(ms)) = (&*engine.borrow(), pace.get()) {
                engine.set_cut_interval(Nanos::from_millis(u64::from(ms.min(1000))));
            }
        }
    };
    set_pace();
    let publication = engine.borrow().as_ref().map(|engine| Arc::clone(engine.publication()));
    let running =
        Running { publication: publication.unwrap_or_default(), ended, notes: Vec::new(), reason: None };
    let again = {
        let (engine, set_pace) = (Rc::clone(&engine), set_pace.clone());
        move |again: &Again| {
            let Live { sources, notes, reason } = reopen(again)?;
            let owners = match parts.origin {
                Origin::Live { .. } => owners(cli),
                Origin::File { .. } => None,
            };
            let (next, ended) = parts.launch(sources, owners).map_err(|error| error.to_string())?;
            let publication = Arc::clone(next.publication());
            if let Some(last) = engine.borrow_mut().replace(next) {
                last.stop();
                // Why it ends no longer matters to anybody.
                let _ = last.join();
            }
            set_pace();
            Ok(Running { publication, ended, notes, reason })
        }
    };
    let options = ScreenOptions {
        setup,
        mouse: !cli.no_mouse && file.mouse.unwrap_or(true),
        usage: Box::new(own_usage()),
        signals: Box::new(|| {
            let lookout = Lookout::new(&SIGNALS);
            Box::new(move || lookout.wait(None, LONGEST_WAIT))
        }),
        started,
        again: Box::new(again),
        background: terminal::asks_for_background(cli, file).then_some(platform::terminal_background),
        files: Files {
            json: export::line,
            csv: export::csv::line,
            sum_json: export::sums::json,
            sum_csv: export::sums::csv,
            create: platform::private_file,
        },
        refresh: Box::new(move |ms| {
            pace.set(Some(ms));
            set_pace();
        }),
        remember: Box::new(|filters: &[String]| config::file::remember(filters)),
        keep_columns: Box::new(config::file::keep_columns),
        log: Box::new(|line| tracing::warn!("{line}")),
        record,
        retrace,
        give_way: platform::give_way,
        come_first: platform::come_first,
        wrapper: terminal::wrapper(),
        copy: config::clipboard::copy,
    };
    let shown = tui::run(running, options).context("screen");
    let Some(engine) = engine.borrow_mut().take() else { return Ok(shown?) };
    engine.stop();
    let ended = engine.join().map_err(anyhow::Error::from);
    Ok(shown.and(ended)?)
}

/// Returns the addresses of this host and those that the user says are ours.
fn own_and_given(given: &[(IpAddr, u8)]) -> Locals {
    let own = platform::addresses().into_iter().map(|address| (address, 128));
    Locals::new(own.chain(given.iter().copied()))
}

/// Tells the engine when the addresses of this host change. While live only.
fn follow_addresses(cli: &Cli, engine: &mut Engine) {
    if !matches!(cli.input(), Input::Live(_)) {
        return;
    }
    let (shared, publication, given) =
        (engine.take_locals(), Arc::clone(engine.publication()), cli.local.clone());
    let follow = move || {
        let watch = AddressWatch::start();
        if let Some(caller) = watch.caller() {
            publication.call_at_end(caller);
        }
        // Those of the start may have changed by now.
        let mut known = Locals::new([]);
        while !publication.is_over() {
            let now = own_and_given(&given);
            if now != known {
                shared.set(&now);
                known = now;
            }
            watch.wait();
        }
    };
    // Without this thread the addresses of the start stay.
    let _ = thread::Builder::new().name("addresses".into()).spawn(follow);
}

/// Starts what knows owners of connections, if it is wanted.
fn owners(cli: &Cli) -> Option<Box<dyn Owners>> {
    let method = match cli.owners {
        OwnerLookup::Auto => OwnerMethod::Auto,
        OwnerLookup::Bpf => OwnerMethod::Bpf,
        OwnerLookup::Proc => OwnerMethod::Proc,
        OwnerLookup::Off => return None,
    };
    platform::owners(method)
}

fn interfaces() -> Result<Vec<Interface>, Failure> {
    Ok(platform::interfaces().context("cannot list the interfaces")?)
}

fn standard_output() -> anyhow::Result<File> {
    platform::standard_output().context("cannot use standard output")
}

/// Returns which connections an export lists, and in which order.
fn selection(cli: &Cli) -> Result<Selection, Failure> {
    let parsed = cli.filter.as_deref().map(query::filter::parse).transpose().map_err(wrong_usage)?;
    let expr = parsed.and_then(|parsed| parsed.expr);
    let filter = expr.map(|expr| eval::Filter::new(expr, Some(service_name)));
    Ok(Selection::new(filter, cli.sort.map(Sort::by), Some(service_name)))
}

/// Writes to standard output; that nobody reads it is no failure.
fn print(what: impl Display) -> Result<ExitCode, Failure> {
    match standard_output()?.write_all(what.to_string().as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::from(error).context("cannot write to standard output").into())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Returns what ends a run without a screen; the screen has keys, and asks the terminal for them.
fn stop_flag_of(cli: &Cli) -> Result<Option<Arc<AtomicBool>>, Failure> {
    let flag = cli.headless.then(|| stop_flag(FAILED.into())).transpose();
    Ok(flag.context("cannot catch signals")?)
}

fn setup(cli: &Cli, file: &FileConfig) -> Setup {
    Setup {
        signs: if file.ascii.map_or(terminal::is_unicode(), |ascii| !ascii) {
            Signs::UNICODE
        } else {
            Signs::ASCII
        },
        theme: Theme {
            name: cli.theme.or(file.theme).unwrap_or_else(terminal::theme),
            depth: terminal::depth(),
        },
        services: Some(service_name),
        localhost: if cli.shows_localhost() { Localhost::Show } else { Localhost::Hide },
        utc_offset: platform::utc_offset,
        file: None,
        promiscuous: false,
        notes: Vec::new(),
        reason: None,
        filter: cli.filter.clone().unwrap_or_default(),
        sort: Sort::by(cli.sort.or(file.sort).unwrap_or_default()),
        columns: file.columns.clone(),
        bits: file.bits.unwrap_or(false),
        remembered: config::file::remembered(),
        rereads: false,
        damping: !cli.no_damping,
        refresh_ms: cli.refresh_interval.or(file.refresh).unwrap_or(1000),
        watches: file.watches.clone(),
        interfaces: Some(named_interfaces),
        listening: Some(platform::listening),
        neighbour: Some(platform::neighbour),
        nic_counters: Some(platform::nic_counters),
        placement: Vec::new(),
        placement_warnings: Vec::new(),
        privileges: platform::held_privileges(),
        row_line: Some(|record| {
            let mut line = Vec::new();
            export::line(&mut line, record);
            String::from_utf8_lossy(&line).trim_end().to_owned()
        }),
    }
}

/// Returns the interfaces that can be watched, each with its state and addresses.
fn named_interfaces() -> Vec<(String, String)> {
    let all = platform::interfaces().unwrap_or_default();
    let text = |i: &Interface| {
        let addresses: Vec<_> = i.addresses.iter().map(|(address, _)| address.to_string()).collect();
        format!("{:<8} {}", i.state(), addresses.join(" "))
    };
    let any = ("any".to_owned(), "all of them".to_owned());
    all.iter().map(|i| (i.name.clone(), text(i))).chain([any]).collect()
}

/// Returns what measures the cores and the memory that this process and its threads take.
fn own_usage() -> impl FnMut() -> Option<SelfUsage> {
    let mut times = ThreadTimes::default();
    let mut last = (Instant::now(), platform::self_usage().cpu_seconds, times.read());
    move || {
        let (usage, threads) = (platform::self_usage(), times.read());
        let (now, seconds) = (Instant::now(), last.0.elapsed().as_secs_f64().max(1e-3));
        let cores = (usage.cpu_seconds - last.1) / seconds;
        let before = |name: &str| last.2.iter().find(|(known, _)| known == name).map_or(0, |(_, ns)| *ns);
        let part = |ns: u64, name: &str| ns.saturating_sub(before(name)) as f64 / 1e9 / seconds;
        let parts = threads.iter().map(|(name, ns)| (name.clone(), part(*ns, name))).collect();
        last = (now, usage.cpu_seconds, threads);
        Some(SelfUsage { cores, memory: usage.rss_bytes, threads: parts })
    }
}

/// Returns a number that nobody outside can foresee.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
