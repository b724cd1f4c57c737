//! Wiring only: flags to sources, sources to the pipeline, the pipeline to a screen or an export.
//!
//! | file | what |
//! |---|---|
//! | [`sources`] | files and interfaces, and the engine that watches them |
//! | [`host`] | addresses and owners |
//! | [`screen`], [`headless`] | what shows or exports what the engine counts |
//! | [`record`] | what writes frames |

#[path = "main/headless.rs"]
mod headless;
#[path = "main/host.rs"]
mod host;
#[path = "main/record.rs"]
mod record;
#[path = "main/screen.rs"]
mod screen;
#[path = "main/sources.rs"]
mod sources;

use std::{
    collections::hash_map::RandomState,
    fmt::Display,
    fs::File,
    hash::BuildHasher as _,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustnet::{
    base::shown::Shown,
    config::{
        self,
        cli::{CaptureMethod, Cli, Input},
        file::FileConfig,
        log::{self, Log},
        manual,
        plan::{Feed, Plan},
        terminal,
    },
    platform::{
        self,
        check::{self, Check},
        interface::{Interface, Table, default_interface, find},
    },
    query,
};
use sources::{watch_file, watch_live};

/// The longest wait for a signal, the end of an engine or of its reader, each of which ends it.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
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
            say(lines.join("\n"));
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
    say(format_args!("error: {}", failure.text));
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
        say(format_args!("warning: {why}: what is usual holds"));
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

fn interfaces() -> Result<Vec<Interface>, Failure> {
    Ok(platform::interfaces().context("cannot list the interfaces")?)
}

fn standard_output() -> anyhow::Result<File> {
    platform::standard_output().context("cannot use standard output")
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

/// Writes a line to standard error. That nobody reads it, or that it is full, changes nothing: the exit code tells how
/// it went.
fn say(what: impl Display) {
    let _ = io::stderr().write_all(format!("{what}\n").as_bytes());
}

/// Returns a number that nobody outside can foresee.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
