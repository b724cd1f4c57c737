//! The screen's helpers, so that a key never waits: one thread reads the terminal, one waits for
//! epochs, one answers questions about rows. All speak to the loop through one channel.
//!
//! ```text
//!   screen/signals ─ a wish to end ──────────────────┐
//!   screen/input  ── keys, mouse, size ──────────────┤
//!   screen/epochs ── a new epoch ──▶ screen/query ───┼─▶ the loop
//!                                    ▲  views        │
//!                                    └── requests ───┘
//! ```
//!
//! [`input`] reads the terminal, [`pacing`] says when an epoch is shown, [`files`] writes exports.

mod files;
mod input;
mod pacing;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SendError, Sender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

pub use self::{
    files::{Files, WriteSum, make_new},
    input::{AskBackground, start_input, start_jobs, start_signals},
};

use crossterm::event as terminal_event;
use files::{free_name, told, write_new, write_rows, write_sums};
use pacing::Pacing;

use crate::{
    base::{
        ids::{Epoch, FlowId},
        time::{Nanos, Stamp},
    },
    process::listening::Listening,
    query::{
        finder::Finder,
        group::{GroupBy, GroupSort},
        recording::Tally,
        window::{Between, Cursor, Request, View},
    },
    snapshot::{ended::EndedFlows, history::History, publication::Publication, view::Snapshot},
};

/// Which of the sources that were looked at so far something comes from.
pub type Run = u32;

/// What comes to the loop.
pub enum Event {
    /// A key, the mouse, another size.
    Terminal(terminal_event::Event),
    /// The terminal's background is a light one.
    LightBackground,
    /// Rows.
    View(Run, Box<View>),
    /// What an epoch tells whose rows are not shown, as they are shown more seldom.
    Between(Run, Box<Between>),
    /// There will be no further epoch.
    Over(Run),
    /// A signal asks to end.
    Signal,
    /// A signal asks to stop until the shell says otherwise.
    Suspend,
    /// The process was stopped and goes on: the terminal may be another's.
    GoesOn,
    /// An export is written: what to say of it.
    Exported(Result<String, String>),
    /// Frames are written: how many, to which file, and why no more, if nobody asked for the end; or why not.
    Recorded(Result<(Arc<Tally>, PathBuf, Option<String>), String>),
    /// What a row of a file moved in the minute before a time.
    Traced(FlowId, Stamp, History),
}

/// Where questions go.
pub struct Asks {
    sender: Sender<Ask>,
    newest: Arc<AtomicU64>,
}

impl Asks {
    /// Asks.
    ///
    /// # Errors
    /// When the thread that answers has ended.
    pub fn send(&self, ask: Ask) -> Result<(), SendError<Ask>> {
        if let Ask::Rows(request, true) = &ask {
            // Relaxed: it only tells that something is on its way.
            self.newest.store(request.serial, Ordering::Relaxed);
        }
        self.sender.send(ask)
    }
}

/// What goes to the thread that answers.
pub enum Ask {
    /// There is a new epoch.
    Epoch,
    /// What to show from now on, and whether the rows are needed before the next epoch.
    Rows(Box<Request>, bool),
    /// Write the rows of this request, or its sums, to this file; its name says in which form.
    Export(Box<Request>, PathBuf),
    /// Shows new epochs no more often than this from now on.
    Refresh(Duration),
    /// Write this text to this file.
    Write(String, PathBuf),
}

/// What the thread that answers needs.
pub struct Answers {
    /// The engine's epochs.
    pub publication: Arc<Publication>,
    /// Flows that have ended.
    pub ended: Arc<EndedFlows>,
    /// What files are written with.
    pub files: Files,
    /// Names the sockets that wait for others; takes some milliseconds.
    pub listening: Option<fn() -> Vec<Listening>>,
    /// Lets other threads go before the one that calls it: who draws, and the terminal that shows it.
    pub give_way: fn(),
    /// New epochs are shown no more often; rows that somebody asks for come from the newest one at once.
    pub refresh: Duration,
}

/// How long the waiting thread sleeps at most, to find out that the screen is closed: the end of an engine wakes it.
const WAIT: Duration = Duration::from_secs(10);
/// How long an export waits for rows.
const WAIT_FOR_ROWS: Duration = Duration::from_millis(500);
/// A terminal on a busy host gets this long to show the frame that a key made before rows are looked
/// for.
const FRAME_FIRST: Duration = Duration::from_millis(2);
/// While questions follow each other faster than they are answered, one is answered this often.
const LONGEST_WITHOUT_ROWS: Duration = Duration::from_millis(100);
/// How long sockets that wait for others are believed to be the same.
const LISTENING_FRESH: Duration = Duration::from_secs(5);

/// Starts the threads that wait for epochs and answer. They end by themselves after both channels
/// were dropped; none holds a snapshot while it waits.
///
/// # Errors
/// When a thread cannot be started.
pub fn start(run: Run, answers: Answers, events: &Sender<Event>) -> io::Result<Asks> {
    let (sender, asked) = mpsc::channel();
    let newest = Arc::new(AtomicU64::new(0));
    let spawn = |name: &str| thread::Builder::new().name(name.into());
    let publication = Arc::clone(&answers.publication);
    spawn("screen/query").spawn({
        let (newest, events) = (Arc::clone(&newest), events.clone());
        move || answer(run, answers, &asked, &newest, &events)
    })?;
    spawn("screen/epochs").spawn({
        let (asks, events) = (sender.clone(), events.clone());
        move || wait_for_epochs(run, &publication, &asks, &events)
    })?;
    Ok(Asks { sender, newest })
}

fn wait_for_epochs(run: Run, publication: &Publication, asks: &Sender<Ask>, events: &Sender<Event>) {
    let mut seen = Epoch(0);
    loop {
        // The snapshot is dropped at once: only its number is wanted.
        let epoch = publication.wait_after(seen, WAIT).map(|snapshot| snapshot.epoch);
        match epoch {
            Some(epoch) => {
                seen = epoch;
                if asks.send(Ask::Epoch).is_err() {
                    return;
                }
            }
            None if publication.is_over() => {
                // The last epoch waits for no refresh. The screen may be closed already.
                let _ = asks.send(Ask::Refresh(Duration::ZERO));
                let _ = asks.send(Ask::Epoch);
                let _ = events.send(Event::Over(run));
                return;
            }
            None => {}
        }
    }
}

fn answer(run: Run, answers: Answers, asked: &Receiver<Ask>, newest: &AtomicU64, events: &Sender<Event>) {
    let Answers { publication, ended, files, listening, give_way, refresh } = answers;
    give_way();
    let mut finder = Finder::with_ended(ended);
    let mut request = Box::new(Request::default());
    let mut due = false;
    // Since when somebody waits for rows.
    let mut waiting: Option<Instant> = None;
    let mut sockets = Sockets { list: listening, at: None, found: Arc::default() };
    let mut is_behind = false;
    let mut pacing = Pacing::new(refresh, Instant::now());
    // The epoch in which another row was selected. What only its worker knows comes with the next one, which is shown
    // whenever the next refresh is.
    let mut wished_at: Option<Epoch> = None;
    // The last epoch that told something without its rows, and the row that was selected last.
    let (mut between, mut selected) = (Epoch(0), None);
    loop {
        let first = match asked.try_recv() {
            Ok(first) => first,
            // As if the epoch were new: the head of what was shown is not.
            Err(TryRecvError::Empty) if is_behind => Ask::Epoch,
            Err(TryRecvError::Empty) => match next_ask(asked, pacing.later) {
                Some(first) => first,
                None => return,
            },
            Err(TryRecvError::Disconnected) => return,
        };
        due |= std::mem::take(&mut is_behind);
        if matches!(first, Ask::Rows(_, true)) {
            thread::sleep(FRAME_FIRST);
        }
        let (mut exports, mut texts) = (Vec::new(), Vec::new());
        for ask in std::iter::once(first).chain(asked.try_iter()) {
            match ask {
                Ask::Epoch => {
                    let is_told = wished_at.take_if(|asked| publication.epoch() > *asked).is_some();
                    due |= pacing.is_due(Instant::now()) || is_told;
                }
                Ask::Refresh(span) => pacing.refresh = span,
                Ask::Rows(rows, urgent) => {
                    if let Cursor::On(id) = rows.cursor
                        && publication.wish.set(Some(id))
                    {
                        wished_at = Some(publication.epoch());
                    }
                    request = rows;
                    // Rows may keep their places for a moment, unless somebody asks.
                    request.exact = urgent;
                    due |= urgent;
                    if urgent {
                        waiting.get_or_insert_with(Instant::now);
                    }
                }
                Ask::Export(rows, path) => exports.push((rows, path)),
                Ask::Write(text, path) => texts.push((text, path)),
            }
        }
        if pacing.is_put_off()
            && let Some(snapshot) = publication.latest().filter(|_| !due)
            && std::mem::replace(&mut between, snapshot.epoch) < snapshot.epoch
        {
            let told = Box::new(finder.look_between(&snapshot, &request, selected));
            if events.send(Event::Between(run, told)).is_err() {
                return;
            }
        }
        let mut done = Vec::new();
        for (mut rows, path) in exports {
            let path = free_name(path);
            let Some(snapshot) = wait_for(&publication) else {
                done.push(Err("there are no rows yet".into()));
                continue;
            };
            if let Some(group) = rows.group.as_mut().filter(|group| group.by == GroupBy::Process) {
                group.listening = sockets.now();
            }
            let written = match &rows.group {
                Some(group) => {
                    let listening = Arc::clone(&group.listening);
                    write_sums(&mut finder, &snapshot, (&rows, group.by), &listening, &path, files)
                }
                None => write_rows(&mut finder, &snapshot, &rows, &path, files),
            };
            done.push(told(written, &path));
        }
        for (text, path) in texts {
            let path = free_name(path);
            let lines = text.lines().count();
            let written = write_new(&path, format!("{text}\n").as_bytes(), files);
            done.push(told(written.map(|()| format!("{lines} lines")), &path));
        }
        for done in done {
            if events.send(Event::Exported(done)).is_err() {
                return;
            }
        }
        // Between two epochs there may be none: the next one says so.
        let Some(snapshot) = publication.latest().filter(|_| due) else { continue };
        due = false;
        // Who types on does not wait for the rows of what was typed before, but sees some now and then.
        let serial = request.serial;
        let over = || {
            newest.load(Ordering::Relaxed) > serial
                && waiting.is_none_or(|since| since.elapsed() < LONGEST_WITHOUT_ROWS)
        };
        if let Some(group) = request.group.as_mut().filter(|group| group.sort == GroupSort::Listens) {
            group.listening = sockets.now();
        }
        let begun = Instant::now();
        let Some(mut view) = finder.find_unless(&snapshot, &request, &over) else { continue };
        view.took = Nanos(begun.elapsed().as_nanos() as u64);
        if !matches!(request.cursor, Cursor::On(_)) {
            let selected = view.selected.and_then(|place| view.at(place));
            publication.wish.set(selected.map(|row| row.id));
        }
        waiting = None;
        pacing.show(Instant::now());
        selected = view.selected.and_then(|place| view.at(place)).map(|row| row.id);
        request.exact = false;
        is_behind = finder.is_behind(&snapshot);
        drop(snapshot);
        if request.group.as_ref().is_some_and(|group| group.by == GroupBy::Process) {
            view.listening = sockets.now();
        }
        if events.send(Event::View(run, Box::new(view))).is_err() {
            return;
        }
    }
}

/// Waits for what is asked next, or for the time at which a held back epoch is shown; `None` when nobody asks any more.
fn next_ask(asked: &Receiver<Ask>, later: Option<Instant>) -> Option<Ask> {
    let Some(at) = later else { return asked.recv().ok() };
    match asked.recv_timeout(at.saturating_duration_since(Instant::now())) {
        Ok(ask) => Some(ask),
        Err(RecvTimeoutError::Timeout) => Some(Ask::Epoch),
        Err(RecvTimeoutError::Disconnected) => None,
    }
}

/// The sockets that wait for others, asked for seldom.
struct Sockets {
    list: Option<fn() -> Vec<Listening>>,
    at: Option<Instant>,
    found: Arc<Vec<Listening>>,
}

impl Sockets {
    fn now(&mut self) -> Arc<Vec<Listening>> {
        if let Some(list) = self.list
            && self.at.is_none_or(|at| at.elapsed() >= LISTENING_FRESH)
        {
            self.found = Arc::new(list());
            self.at = Some(Instant::now());
        }
        Arc::clone(&self.found)
    }
}

fn wait_for(publication: &Publication) -> Option<Arc<Snapshot>> {
    publication.latest().or_else(|| publication.wait_after(Epoch(0), WAIT_FOR_ROWS))
}
