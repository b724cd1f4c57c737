//! The screen: draws views of epochs, and takes keys.
//!
//! The loop waits for whatever comes first, a key, a view or a second's end, takes all that has
//! come, and draws once. It never waits for a query: see [`threads`].

pub mod action;
pub mod app;
pub mod history;
pub mod keys;
pub mod terminal;
pub mod theme;
pub mod threads;
pub mod view;
pub mod widget;

use std::{
    io::{self, IsTerminal as _},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crossterm::event::{self as terminal_event, KeyEventKind, MouseButton, MouseEventKind};

use crate::{
    base::time::{Nanos, Stamp},
    snapshot::publication::Publication,
    tui::{
        action::Action,
        app::{App, Next, SelfUsage, Setup},
        terminal::Screen,
        threads::{Ask, Event},
    },
};

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
}

impl Default for ScreenOptions {
    fn default() -> Self {
        Self { setup: Setup::default(), mouse: true, usage: Box::new(|| None), started: Instant::now() }
    }
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
    let (asks, events) = threads::start(publication).map_err(ScreenError::Start)?;
    let app = App::new(options.setup);
    let stopped = move || stop.load(Ordering::SeqCst);
    Loop { app, screen, asks, events, usage: options.usage, started: options.started }.run(stopped)
}

struct Loop {
    app: App,
    screen: Screen,
    asks: Sender<Ask>,
    events: Receiver<Event>,
    usage: Box<dyn FnMut() -> Option<SelfUsage>>,
    started: Instant,
}

impl Loop {
    fn run(mut self, stopped: impl Fn() -> bool) -> Result<(), ScreenError> {
        let mut measured: Option<Instant> = None;
        loop {
            self.app.clock = wall();
            self.app.uptime = Nanos(self.started.elapsed().as_nanos() as u64);
            if measured.is_none_or(|at| at.elapsed() >= SECOND) {
                measured = Some(Instant::now());
                self.app.usage = (self.usage)();
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
                self.app.uptime = Nanos(self.started.elapsed().as_nanos() as u64);
                self.app.take(*view);
                self.app.ask_again();
                Next::Draw
            }
            // A file's last epoch stays on screen; a live engine that ended has something to say.
            Event::Over if self.app.is_file() && self.app.view.is_some() => Next::Draw,
            Event::Over => Next::Quit,
            Event::Terminal(event) => {
                action_of(&event, &mut self.app).map_or(Next::Draw, |a| self.app.act(a))
            }
        };
        if next == Next::Redraw && self.screen.forget().is_err() {
            return Next::Quit;
        }
        next
    }
}

/// Returns what the terminal's event asks for.
fn action_of(event: &terminal_event::Event, app: &mut App) -> Option<Action> {
    match event {
        terminal_event::Event::Key(key) if key.kind != KeyEventKind::Release => {
            let action = keys::action_of(*key, app);
            if action.is_none() {
                app.other_key();
            }
            action
        }
        terminal_event::Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollUp => Some(Action::Move(-3)),
            MouseEventKind::ScrollDown => Some(Action::Move(3)),
            MouseEventKind::Down(MouseButton::Left) => app.line_at(mouse.row).map(Action::Line),
            _ => None,
        },
        _ => None,
    }
}

fn wall() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
