//! The screen: draws views of epochs, and takes keys.
//!
//! The loop waits for whatever comes first, a key, a view or a second's end, takes all that has
//! come, and draws once. It never waits for a query: see [`threads`].

pub mod action;
pub mod app;
pub mod clipboard;
pub mod field;
pub mod filter_bar;
pub mod history;
pub mod input;
pub mod keys;
pub mod overlay;
pub mod terminal;
pub mod terms;
pub mod theme;
pub mod threads;
pub mod view;
pub mod widget;

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    base::time::{Nanos, Stamp},
    query::format,
    snapshot::{ended::EndedFlows, publication::Publication},
    tui::{
        app::{App, Effect, Next, SelfUsage, Setup},
        clipboard::Wrapper,
        terminal::Screen,
        theme::Role,
        threads::{Ask, Event, Files},
    },
};

/// Keeps filters, oldest first.
pub type Remember = Box<dyn Fn(&[String])>;

/// What the screen needs from those who start it.
pub struct ScreenOptions {
    /// How it looks, and what it is told once.
    pub setup: Setup,
    /// Whether clicks select and the wheel scrolls.
    pub mouse: bool,
    /// Measures what the program itself takes; called about once a second.
    pub usage: Box<dyn FnMut() -> Option<SelfUsage>>,
    /// When the program began, to tell how long a file took.
    pub started: Instant,
    /// Ended flows.
    pub ended: Arc<EndedFlows>,
    /// What files are written with.
    pub files: Files,
    /// Sets the milliseconds between two refreshes.
    pub refresh: Box<dyn Fn(u32)>,
    /// Keeps the filters that were entered for the next run.
    pub remember: Remember,
    /// What lies between the program and the terminal.
    pub wrapper: Wrapper,
}

/// Why there is no screen.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// Standard output is a file or a pipe.
    #[error("standard output is not a terminal (use --headless to run without one)")]
    NoTerminal,
    /// The terminal refused raw mode or its size.
    #[error("cannot take over the terminal")]
    Terminal(#[source] io::Error),
    /// A thread or a signal handler could not be set up.
    #[error("cannot start the screen")]
    Start(#[source] io::Error),
    /// The thread that looks rows up ended by a panic; a bug.
    #[error("the screen's queries have ended")]
    Queries,
}

/// A frame is drawn at least this often, for ages and clocks.
const SECOND: Duration = Duration::from_secs(1);
/// How soon a signal is seen.
const GLANCE: Duration = Duration::from_millis(100);

/// Shows the epochs of `publication` until the user quits, a signal asks to end, the terminal
/// goes away, or a live engine ends.
///
/// # Errors
/// When there is no terminal, or it or the threads cannot be set up. A terminal that goes away
/// later is no error.
pub fn run(publication: &Arc<Publication>, options: ScreenOptions) -> Result<(), ScreenError> {
    if !io::stdout().is_terminal() {
        return Err(ScreenError::NoTerminal);
    }
    let stop = terminal::stop_flag().map_err(ScreenError::Start)?;
    let screen = Screen::open(options.mouse).map_err(ScreenError::Terminal)?;
    let (asks, events) =
        threads::start(publication, &options.ended, options.files).map_err(ScreenError::Start)?;
    let mut options = options;
    let app = App::new(std::mem::take(&mut options.setup));
    let stopped = move || stop.load(Ordering::SeqCst);
    Loop { app, screen, asks, events, options }.run(stopped)
}

struct Loop {
    app: App,
    screen: Screen,
    asks: Sender<Ask>,
    events: Receiver<Event>,
    options: ScreenOptions,
}

impl Loop {
    fn run(mut self, stopped: impl Fn() -> bool) -> Result<(), ScreenError> {
        let mut measured: Option<Instant> = None;
        loop {
            self.app.clock = wall();
            self.app.uptime = Nanos(self.options.started.elapsed().as_nanos() as u64);
            if measured.is_none_or(|at| at.elapsed() >= SECOND) {
                measured = Some(Instant::now());
                self.app.usage = (self.options.usage)();
            }
            if self.screen.draw(&mut self.app).is_err() {
                return Ok(());
            }
            if let Some((request, urgent)) = self.app.ask()
                && self.asks.send(Ask::Rows(Box::new(request), urgent)).is_err()
            {
                return Err(ScreenError::Queries);
            }
            let drawn = Instant::now();
            let first = loop {
                if stopped() {
                    return Ok(());
                }
                match self.events.recv_timeout(GLANCE) {
                    Ok(event) => break Some(event),
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    Err(RecvTimeoutError::Timeout) if drawn.elapsed() >= SECOND => break None,
                    Err(RecvTimeoutError::Timeout) => {}
                }
            };
            let mut next = first;
            while let Some(event) = next {
                if self.handle(event) == Next::Quit {
                    return Ok(());
                }
                next = self.events.try_recv().ok();
            }
        }
    }

    fn handle(&mut self, event: Event) -> Next {
        let next = match event {
            Event::View(view) => {
                self.app.uptime = Nanos(self.options.started.elapsed().as_nanos() as u64);
                self.app.take(*view);
                self.app.ask_again();
                Next::Draw
            }
            // A file's last epoch stays on screen; a live engine that ended has something to say.
            Event::Over if self.app.is_file() && self.app.view.is_some() => Next::Draw,
            Event::Over => Next::Quit,
            Event::Terminal(event) => input::take(&mut self.app, &event),
            Event::Exported(done) => {
                let role = if done.is_ok() { Role::Good } else { Role::Bad };
                self.app.say(done.unwrap_or_else(|why| why), role);
                Next::Draw
            }
        };
        let done = match next {
            Next::Redraw => self.screen.forget(),
            Next::Suspend => self.screen.suspend(),
            Next::Draw | Next::Quit => Ok(()),
        };
        if done.and_then(|()| self.affect()).is_err() {
            return Next::Quit;
        }
        next
    }

    /// Does what reaches beyond the screen.
    fn affect(&mut self) -> io::Result<()> {
        for effect in std::mem::take(&mut self.app.effects) {
            match effect {
                Effect::Copy(text) => match clipboard::osc52(&text, self.options.wrapper) {
                    Some(bytes) => self.screen.send(&bytes)?,
                    None => self.app.say("too long for the clipboard", Role::Bad),
                },
                Effect::Export => {
                    let name = export_name(self.app.clock, (self.app.setup.utc_offset)(self.app.clock));
                    let request = self.app.request();
                    // The thread that answers has ended only if the program is about to.
                    let _ = self.asks.send(Ask::Export(Box::new(request), name));
                }
                Effect::Refresh(ms) => (self.options.refresh)(ms),
                Effect::Remember(filters) => (self.options.remember)(&filters),
            }
        }
        Ok(())
    }
}

/// `rustnet_2026-11-22_13-58-04.jsonl`
fn export_name(now: Stamp, utc_offset: i32) -> PathBuf {
    let time = format::date_time(now, utc_offset).replace(' ', "_").replace(':', "-");
    PathBuf::from(format!("rustnet_{time}.jsonl"))
}

fn wall() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
