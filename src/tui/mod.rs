//! The screen: draws views of epochs, and takes keys.
//!
//! The loop waits for whatever comes first, a key, a view or a second's end, takes all that has
//! come, and draws once. It never waits for a query: see [`threads`].

pub mod action;
pub mod app;
pub mod clipboard;
pub mod completion;
pub mod field;
pub mod filter_bar;
pub mod held;
pub mod input;
pub mod keys;
pub mod overlay;
mod pace;
pub mod recorder;
pub mod terminal;
pub mod terms;
pub mod theme;
pub mod threads;
pub mod view;
pub mod widget;

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crossterm::event::Event as TerminalEvent;

use crate::{
    base::{
        stop,
        time::{Nanos, Stamp},
    },
    capture::source::{InterfaceState, InterfaceStatus},
    query::{format, layout::Choice},
    snapshot::{ended::EndedFlows, history::History, publication::Publication, row::Row},
    tui::{
        action::Tab,
        app::{Again, App, Effect, Form, Next, Recording, SelfUsage, Setup, Whose},
        clipboard::Wrapper,
        held::Held,
        pace::Pace,
        recorder::{Record, Subject},
        terminal::Screen,
        theme::Role,
        theme::ThemeName,
        threads::{Answers, Ask, AskBackground, Asks, Event, Files, Run},
    },
};

/// Waits until a signal that asks to end may have come.
pub type WaitForSignal = Box<dyn Fn() + Send>;

/// Keeps filters, oldest first.
pub type Remember = Box<dyn Fn(&[String])>;

/// An engine that runs.
pub struct Running {
    /// Its epochs.
    pub publication: Arc<Publication>,
    /// Flows that have ended.
    pub ended: Arc<EndedFlows>,
    /// What capture cannot do, in words.
    pub notes: Vec<String>,
    /// Why this way of capture was taken, or what it costs here, in words.
    pub reason: Option<String>,
}

/// Starts to look at something else: ends the engine that runs and returns the next one; where that is
/// not possible, the one that runs goes on, and the reason is told.
pub type StartAgain<'a> = Box<dyn FnMut(&Again) -> Result<Running, String> + 'a>;

/// Reads a file again and returns what a row moved in each second of the minute before a time; the first of both
/// times is that of the file's first frame. `None` if the flag was set before, or it cannot be read.
pub type Retrace = Arc<dyn Fn(&Row, [Stamp; 2], &AtomicBool) -> Option<History> + Send + Sync>;

/// Keeps a choice of columns for the next run, or says why not.
pub type KeepColumns = Box<dyn Fn(&Choice) -> Result<(), String>>;

/// What the screen needs from those who start it.
pub struct ScreenOptions<'a> {
    /// How it looks, and what it is told once.
    pub setup: Setup,
    /// Whether clicks select and the wheel scrolls.
    pub mouse: bool,
    /// Measures what the program itself takes; called about once a second.
    pub usage: Box<dyn FnMut() -> Option<SelfUsage>>,
    /// Begins to hear the signals that ask to end, once it is said what else they do, and returns what waits until one
    /// may have come.
    pub signals: Box<dyn FnOnce() -> WaitForSignal>,
    /// The same of the signals of job control.
    pub jobs: Box<dyn FnOnce() -> WaitForSignal>,
    /// When the program began, to tell how long a file took.
    pub started: Instant,
    /// Looks at something else from now on.
    pub again: StartAgain<'a>,
    /// Asks the terminal for its background, where the theme follows that.
    pub background: Option<AskBackground>,
    /// Keeps the columns that were chosen for the next run.
    pub keep_columns: KeepColumns,
    /// Lets other threads go before the one that calls it.
    pub give_way: fn(),
    /// Lets the one that calls it go before other threads: who draws, and who reads the keys.
    pub come_first: fn(),
    /// Writes the frames of rows.
    pub record: Record,
    /// Finds out what a row of a file moved.
    pub retrace: Option<Retrace>,
    /// Writes a line to the log.
    pub log: Box<dyn Fn(&str)>,
    /// What files are written with.
    pub files: Files,
    /// Sets the milliseconds between two refreshes.
    pub refresh: Box<dyn Fn(u32)>,
    /// Keeps the filters that were entered for the next run.
    pub remember: Remember,
    /// What lies between the program and the terminal.
    pub wrapper: Wrapper,
    /// Hands text to the desktop's clipboard; returns whether there may be one.
    pub copy: fn(&str) -> bool,
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
    /// Frames of rows could not be written to their end.
    #[error("{0}")]
    Frames(String),
    /// The thread that looks rows up ended by a panic; a bug.
    #[error("the screen's queries have ended")]
    Queries,
}

/// A frame is drawn at least this often, for ages and clocks.
const SECOND: Duration = Duration::from_secs(1);
/// Exit status when the terminal blocks, and a second signal ends the program.
const FAILED: i32 = 1;
/// Behind a view the next one is waited for a little longer: it comes with the next epoch, mostly within a second, and
/// a frame just before it would be drawn for nothing.
const NEXT_VIEW: Duration = Duration::from_millis(1100);

/// What is waited for no longer than this was there before.
const AT_ONCE: Duration = Duration::from_micros(20);

/// Shows the epochs of an engine until the user quits, a signal asks to end, the terminal
/// goes away, or a live engine ends.
///
/// # Errors
/// When there is no terminal, or it or the threads cannot be set up. A terminal that goes away
/// later is no error.
pub fn run(running: Running, options: ScreenOptions<'_>) -> Result<(), ScreenError> {
    if !io::stdout().is_terminal() {
        return Err(ScreenError::NoTerminal);
    }
    let stop = stop::stop_flag(FAILED).map_err(ScreenError::Start)?;
    let screen = Screen::open(options.mouse).map_err(ScreenError::Terminal)?;
    let (sender, events) = mpsc::channel();
    let mut options = options;
    let app = App::new(std::mem::take(&mut options.setup));
    let (answers, running) = answers(running, &app, &options);
    let asks = threads::start(0, answers, &sender).map_err(ScreenError::Start)?;
    threads::start_input(&sender, options.background, options.come_first).map_err(ScreenError::Start)?;
    let hear = std::mem::replace(&mut options.signals, Box::new(|| Box::new(|| ())));
    threads::start_signals(&sender, &stop, hear()).map_err(ScreenError::Start)?;
    let hear = std::mem::replace(&mut options.jobs, Box::new(|| Box::new(|| ())));
    threads::start_jobs(&sender, hear).map_err(ScreenError::Start)?;
    // Behind the start of the others, which would be like it.
    (options.come_first)();
    let stopped = move || stop.load(Ordering::SeqCst);
    let (stop_recording, stop_tracing) = Default::default();
    Loop {
        app,
        screen,
        asks,
        sender,
        events,
        options,
        run: 0,
        running,
        held: Held::default(),
        taken: None,
        stop_recording,
        stop_tracing,
        pace: Pace::new(),
    }
    .run(stopped)
}

/// Returns what answers questions about an engine, and what is looked at there.
fn answers(
    running: Running,
    app: &App,
    options: &ScreenOptions<'_>,
) -> (Answers, (Arc<Publication>, Arc<EndedFlows>)) {
    let Running { publication, ended, .. } = running;
    let looked_at = (Arc::clone(&publication), Arc::clone(&ended));
    let listening = app.setup.listening;
    let refresh = Duration::from_millis(app.setup.refresh_ms.into());
    let (files, give_way) = (options.files, options.give_way);
    (Answers { publication, ended, files, listening, give_way, refresh }, looked_at)
}

struct Loop<'a> {
    app: App,
    screen: Screen,
    asks: Asks,
    /// For the threads of the next engine.
    sender: Sender<Event>,
    events: Receiver<Event>,
    options: ScreenOptions<'a>,
    run: Run,
    /// What is looked at: its epochs, and flows that have ended.
    running: (Arc<Publication>, Arc<EndedFlows>),
    held: Held,
    /// When the terminal was taken over again after a stop.
    taken: Option<Instant>,
    /// Ends the thread that writes frames.
    stop_recording: Arc<AtomicBool>,
    /// Ends the thread that finds out what a row moved.
    stop_tracing: Arc<AtomicBool>,
    pace: Pace,
}

impl Loop<'_> {
    fn run(mut self, stopped: impl Fn() -> bool) -> Result<(), ScreenError> {
        let done = self.go_on(stopped);
        self.stop_tracing.store(true, Ordering::Relaxed);
        let recorded = self.finish_recording();
        done.and(recorded)
    }

    /// Lets a file of frames that is being written come to its end.
    fn finish_recording(&mut self) -> Result<(), ScreenError> {
        self.stop_recording.store(true, Ordering::Relaxed);
        let Some(recording) = self.app.recording.take() else { return Ok(()) };
        recorder::finish(&self.events, &recording.tally).map_err(ScreenError::Frames)
    }

    fn go_on(&mut self, stopped: impl Fn() -> bool) -> Result<(), ScreenError> {
        let mut measured: Option<Instant> = None;
        let mut patience = SECOND;
        loop {
            self.app.clock = wall();
            self.app.uptime = Nanos(self.options.started.elapsed().as_nanos() as u64);
            self.app.go_on_playing();
            if self.affect().is_err() {
                return Ok(());
            }
            let begun = Instant::now();
            let Ok(bytes) = self.screen.draw(&mut self.app) else { return Ok(()) };
            self.pace.drawn(begun, bytes);
            if self.app.tab == Tab::Details && self.app.look_up_neighbour() {
                continue;
            }
            // Behind the frame, which a key may wait for.
            if measured.is_none_or(|at| at.elapsed() >= SECOND) {
                measured = Some(Instant::now());
                self.app.readings.usage = (self.options.usage)();
                self.app.readings.pace = Some(self.pace.take());
                self.app.read_nics();
                self.app.look_elsewhere();
            }
            if let Some((request, urgent)) = self.app.ask()
                && self.asks.send(Ask::Rows(Box::new(request), urgent)).is_err()
            {
                return Err(ScreenError::Queries);
            }
            self.retrace();
            if stopped() {
                return Ok(());
            }
            patience = self.held.left(Instant::now()).map_or(patience, |left| left.min(patience));
            // A step of a file that plays is due; while the file is read, its answer is waited for.
            if let Some(left) = self.app.plays_on_in().filter(|left| left.0 > 0) {
                patience = patience.min(Duration::from_nanos(left.0));
            }
            let waits = Instant::now();
            let mut next = match self.events.recv_timeout(patience) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => None,
            };
            patience = SECOND;
            // One that was there already may have come as soon as the last frame was begun.
            let came = if waits.elapsed() < AT_ONCE { begun } else { Instant::now() };
            while let Some(event) = next {
                if matches!(event, Event::View(..)) {
                    patience = NEXT_VIEW;
                }
                if self.handle(event, came) == Next::Quit {
                    return Ok(());
                }
                next = self.events.try_recv().ok();
            }
            while let Some((event, came)) = self.held.next(&self.app, Instant::now()) {
                let next = self.take(&event, came);
                if self.finish(next) == Next::Quit {
                    return Ok(());
                }
            }
        }
    }

    /// Takes an event of the terminal that came at this time.
    fn take(&mut self, event: &TerminalEvent, came: Instant) -> Next {
        if event.is_key_press() {
            self.pace.key(came);
        }
        input::take(&mut self.app, event)
    }

    fn handle(&mut self, event: Event, came: Instant) -> Next {
        let next = match event {
            // What is left of an engine that was looked at before.
            Event::View(run, _) | Event::Between(run, _) | Event::Over(run) if run != self.run => Next::Draw,
            Event::Between(_, told) => {
                self.app.take_between(*told);
                Next::Draw
            }
            Event::View(_, view) => {
                self.app.uptime = Nanos(self.options.started.elapsed().as_nanos() as u64);
                self.app.take(*view);
                self.app.ask_again();
                Next::Draw
            }
            // A file's last epoch stays on screen, or is on its way there; a live engine that ended has
            // something to say.
            Event::Over(_) if self.app.is_file() => Next::Draw,
            Event::Over(_) | Event::Signal => Next::Quit,
            Event::Suspend => Next::Suspend,
            // Behind a stop that was asked for the terminal has been taken already.
            Event::GoesOn if self.taken.is_some_and(|at| at.elapsed() < SECOND) => Next::Draw,
            Event::GoesOn => Next::Retake,
            Event::LightBackground => {
                self.app.setup.theme.name = ThemeName::Light;
                Next::Draw
            }
            Event::Terminal(event) => match self.held.pass(&self.app, event, came) {
                Some(event) => self.take(&event, came),
                None => Next::Draw,
            },
            Event::Exported(done) => {
                let role = if done.is_ok() { Role::Good } else { Role::Bad };
                self.app.say(done.unwrap_or_else(|why| why), role);
                Next::Draw
            }
            Event::Traced(id, until, trace) => {
                self.app.take_trace(id, until, trace);
                Next::Draw
            }
            Event::Recorded(done) => {
                let next = self.app.recording.take().and_then(|recording| recording.next);
                // Asked for while the file before it was being ended.
                self.app.effects.extend(next.map(Effect::Record));
                match done {
                    Ok((tally, path, why)) => {
                        let why = why.map_or(String::new(), |why| format!(": {why}"));
                        let told = tally.told(&self.app.setup.signs);
                        // The name first: it is what must not be cut.
                        self.app.say(format!("{}: {told} written{why}", path.display()), Role::Good);
                    }
                    Err(why) => self.app.warn(why),
                }
                Next::Draw
            }
        };
        self.finish(next)
    }

    /// Does what an event asked for.
    fn finish(&mut self, next: Next) -> Next {
        let done = match next {
            Next::Redraw => self.screen.forget(),
            Next::Retake => self.screen.retake(),
            Next::Suspend => self.screen.suspend().map(|()| self.taken = Some(Instant::now())),
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
                Effect::Copy(text) => {
                    let is_handed_on = (self.options.copy)(&text);
                    match clipboard::osc52(&text, self.options.wrapper) {
                        Some(bytes) => self.screen.send(&bytes)?,
                        None if is_handed_on => {}
                        None => self.app.say("too long for the clipboard", Role::Bad),
                    }
                }
                Effect::Export(form) => {
                    let name = self.export_name(form.ending());
                    let request = self.app.request();
                    // The thread that answers has ended only if the program is about to.
                    let _ = self.asks.send(Ask::Export(Box::new(request), name));
                }
                Effect::Write(text) => {
                    let name = self.export_name(Form::Text.ending());
                    let _ = self.asks.send(Ask::Write(text, name));
                }
                Effect::Refresh(ms) => {
                    self.app.setup.refresh_ms = ms;
                    (self.options.refresh)(ms);
                    let _ = self.asks.send(Ask::Refresh(Duration::from_millis(ms.into())));
                }
                Effect::Remember(filters) => (self.options.remember)(&filters),
                Effect::KeepColumns(columns) => {
                    if let Err(why) = (self.options.keep_columns)(&columns) {
                        self.app.say(format!("the columns are not kept: {why}"), Role::Warn);
                    }
                }
                Effect::Record(whose) => self.record(whose),
                Effect::StopRecording => self.stop_recording.store(true, Ordering::Relaxed),
                Effect::Log(line) => (self.options.log)(&line),
                Effect::Again(again) => self.look_at(&again)?,
            }
        }
        Ok(())
    }

    /// `rustnet_2026-11-22_13-58-04.jsonl`
    fn export_name(&self, ending: &str) -> PathBuf {
        let now = self.app.clock;
        let time =
            format::date_time(now, (self.app.setup.utc_offset)(now)).replace(' ', "_").replace(':', "-");
        PathBuf::from(format!("rustnet_{time}.{ending}"))
    }

    /// Writes frames in threads of their own.
    fn record(&mut self, whose: Whose) {
        let Some(subject) = self.subject(whose) else { return };
        let made = threads::make_new(&self.export_name("pcapng"), self.options.files);
        let (path, file) = match made {
            Ok(made) => made,
            Err(error) => return self.app.say(format!("cannot write frames: {error}"), Role::Bad),
        };
        let until = self.app.view.as_ref().filter(|_| self.app.is_file()).map(|view| view.wall);
        let is_there = |i: &&InterfaceStatus| !matches!(i.state, InterfaceState::Gone(_));
        let watched = self.interfaces().filter(is_there).map(|i| i.name.clone()).collect();
        self.stop_recording = Arc::default();
        let (record, events) = (Arc::clone(&self.options.record), self.sender.clone());
        let (stop, give_way) = (&self.stop_recording, self.options.give_way);
        let started =
            recorder::start(subject, (until, watched), (path.clone(), file), record, stop, events, give_way);
        match started {
            Ok(tally) => {
                let name = path.display().to_string();
                self.app.say(format!("frames go to {name}; P ends it"), Role::Plain);
                self.app.recording = Some(Recording { name, tally, ends: false, next: None });
            }
            Err(error) => {
                // Nothing was written to it.
                let _ = fs::remove_file(&path);
                self.app.say(format!("cannot write frames: {error}"), Role::Bad);
            }
        }
    }

    fn subject(&mut self, whose: Whose) -> Option<Subject> {
        if whose == Whose::Shown {
            let (publication, ended) = (Arc::clone(&self.running.0), Arc::clone(&self.running.1));
            let filter = self.app.filter.text().to_owned();
            let request = self.app.request_of_frames();
            let (request, neighbours) = (Box::new(request), self.app.setup.neighbours);
            return Some(Subject::Shown { request, publication, ended, filter, neighbours });
        }
        let row = Box::new(self.app.selected_row()?.clone());
        let interface = self.interfaces().nth(row.iface.0.into()).map(|i| i.name.clone());
        Some(Subject::Row { row, interface })
    }

    /// Returns the interfaces that are watched, as they were last seen.
    fn interfaces(&self) -> impl Iterator<Item = &InterfaceStatus> {
        self.app.view.iter().flat_map(|v| v.sources.first()).flat_map(|s| &s.interfaces)
    }

    /// Finds out in a thread of its own what the selected row of a file moved, if that is wanted.
    fn retrace(&mut self) {
        let Some(retrace) = self.options.retrace.clone() else { return };
        let Some((row, span)) = self.app.wanted_trace() else { return };
        self.stop_tracing.store(true, Ordering::Relaxed);
        self.stop_tracing = Arc::default();
        let (stop, events, give_way) =
            (Arc::clone(&self.stop_tracing), self.sender.clone(), self.options.give_way);
        let read = move || {
            give_way();
            if let Some(trace) = retrace(&row, span, &stop) {
                // The screen may be closed by then.
                let _ = events.send(Event::Traced(row.id, span[1], trace));
            }
        };
        // Without a thread the trace has no more than what was seen.
        let _ = thread::Builder::new().name("screen/trace".into()).spawn(read);
    }

    /// Looks at another source, or at the same one up to another time.
    fn look_at(&mut self, again: &Again) -> io::Result<()> {
        let running = match (self.options.again)(again) {
            Ok(running) => running,
            Err(why) => {
                self.app.say(why, Role::Bad);
                self.app.reread_failed();
                return Ok(());
            }
        };
        match again {
            Again::Interface(_) => self.app.begin_anew(running.notes.clone(), running.reason.clone()),
            Again::Until(_) => self.app.begin_again(),
        }
        self.run += 1;
        if matches!(again, Again::Interface(_)) {
            // What was shown is not any more.
            self.stop_recording.store(true, Ordering::Relaxed);
        }
        let (answers, running) = answers(running, &self.app, &self.options);
        self.running = running;
        // The threads of the last engine end when their channel is closed.
        self.asks = threads::start(self.run, answers, &self.sender)?;
        Ok(())
    }
}

fn wall() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
