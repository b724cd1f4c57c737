//! A run with a screen.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use anyhow::Context as _;
use rustnet::{
    base::{
        stop::{JOBS, SIGNALS},
        time::Nanos,
    },
    capture::source::Source,
    config::{
        self,
        cli::{Cli, Input},
        file::FileConfig,
        terminal,
    },
    export::{self, Origin},
    flow::services::service_name,
    pipeline::launch::{Engine, EngineConfig, EngineError},
    platform::{self, Lookout, ThreadTimes, interface::Interface, live::Live},
    process::lookup::Owners,
    query::{signs::Signs, sort::Sort, window::Localhost},
    snapshot::{
        ended::{EndedFlows, EndedTap},
        tap::Tap,
    },
    tui::{
        self, Retrace, Running, ScreenOptions,
        app::{Again, SelfUsage, Setup, setup::REFRESH_MS},
        recorder::Record,
        theme::Theme,
        threads::Files,
    },
};

use crate::{
    Failure, LONGEST_WAIT,
    host::{follow_addresses, neighbours, owners},
    sources::journal,
};

/// What a screen's engines are made of.
pub struct ScreenParts<'a> {
    /// Flags.
    pub cli: &'a Cli,
    /// The config file.
    pub file: &'a FileConfig,
    /// When the program began.
    pub started: Instant,
    /// What engines are.
    pub config: EngineConfig,
    /// What is looked at.
    pub origin: &'a Origin,
}

impl ScreenParts<'_> {
    /// Starts an engine for a screen.
    fn launch<S: Source + 'static>(
        &self,
        sources: Vec<S>,
        owners: Option<Box<dyn Owners>>,
        reason: Option<String>,
    ) -> Result<(Engine, Arc<EndedFlows>), EngineError> {
        // What streams may never end.
        let is_whole = matches!(self.cli.input(), Input::File(path) if path.is_file());
        let kept = if is_whole { usize::MAX } else { self.cli.history as usize };
        let ended = Arc::new(EndedFlows::new(kept));
        let tap: Box<dyn Tap> = Box::new(EndedTap(Arc::clone(&ended)));
        let taps = [Some(tap), journal(self.cli, reason)].into_iter().flatten().collect();
        let mut engine = Engine::launch_with_owners(self.config.clone(), sources, taps, owners)?;
        follow_addresses(self.cli, &mut engine);
        Ok((engine, ended))
    }
}

/// Shows engines on a screen until the user quits: the first one, and those that look at other sources
/// when the user asks for it.
pub fn show<S: Source + 'static>(
    parts: ScreenParts<'_>,
    sources: Vec<S>,
    first_owners: Option<Box<dyn Owners>>,
    setup: Setup,
    mut reopen: impl FnMut(&Again) -> Result<Live<S>, String>,
    (record, retrace): (Record, Option<Retrace>),
) -> Result<(), Failure> {
    let (cli, file, started) = (parts.cli, parts.file, parts.started);
    let (engine, ended) =
        parts.launch(sources, first_owners, setup.reason.clone()).map_err(anyhow::Error::from)?;
    let pace = Rc::new(Cell::new(file.refresh.filter(|_| cli.refresh_interval.is_none())));
    let engine = Rc::new(RefCell::new(Some(engine)));
    let set_pace = {
        let (engine, pace) = (Rc::clone(&engine), Rc::clone(&pace));
        move || {
            if let (Some(engine), Some(ms)) = (&*engine.borrow(), pace.get()) {
                engine.set_cut_interval(Nanos::from_millis(ms.into()));
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
            let (next, ended) =
                parts.launch(sources, owners, reason.clone()).map_err(|error| error.to_string())?;
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
        jobs: Box::new(|| {
            let lookout = Lookout::new(&JOBS);
            Box::new(move || lookout.wait(None, LONGEST_WAIT))
        }),
        started,
        again: Box::new(again),
        background: terminal::asks_for_background(cli, file).then_some(platform::terminal_background),
        files: Files {
            json: export::line,
            csv: export::csv::line,
            csv_names: export::csv::names,
            sum_json: export::sums::json,
            sum_csv: export::sums::csv,
            sum_csv_names: export::sums::csv_names,
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
        copy: platform::clipboard::copy,
    };
    let shown = tui::run(running, options).context("screen");
    let Some(engine) = engine.borrow_mut().take() else { return Ok(shown?) };
    engine.stop();
    let ended = engine.join().map_err(anyhow::Error::from);
    Ok(shown.and(ended)?)
}

/// Returns what the screen is told once.
pub fn setup(cli: &Cli, file: &FileConfig) -> Setup {
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
        refresh_ms: cli.refresh_interval.or(file.refresh).unwrap_or(REFRESH_MS),
        watches: file.watches.clone(),
        interfaces: Some(named_interfaces),
        listening: Some(platform::listening),
        neighbour: Some(platform::neighbour),
        neighbours: Some(neighbours),
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
