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

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, SendError, Sender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use crossterm::event::{self as terminal_event, KeyCode, KeyEvent, KeyModifiers};

use crate::{
    base::{
        ids::{Epoch, FlowId},
        time::{Nanos, Stamp},
    },
    process::listening::Listening,
    query::{
        finder::Finder,
        group::{Group, GroupBy},
        kept::of_row,
        window::{Cursor, Request, View},
    },
    snapshot::{
        ended::EndedFlows, history::History, publication::Publication, row::Row, tap::Ended, view::Snapshot,
    },
    tui::app::Form,
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
    /// There will be no further epoch.
    Over(Run),
    /// A signal asks to end.
    Signal,
    /// An export is written: what to say of it.
    Exported(Result<String, String>),
    /// The frames of a row are written: what to say of it.
    Recorded(Result<String, String>),
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

/// Appends the line of a sum by host or process.
pub type WriteSum = fn(&mut Vec<u8>, GroupBy, &Group, &[Listening]);

/// What files are written with.
#[derive(Clone, Copy)]
pub struct Files {
    /// Appends a row's line of JSON.
    pub json: fn(&mut Vec<u8>, &Ended),
    /// Appends a row's comma-separated values.
    pub csv: fn(&mut Vec<u8>, &Row),
    /// Appends a sum's line of JSON.
    pub sum_json: WriteSum,
    /// Appends a sum's comma-separated values.
    pub sum_csv: WriteSum,
    /// Makes a file that was not there, readable by its owner only.
    pub create: fn(&Path) -> io::Result<fs::File>,
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

/// Asks the terminal for its background: whether it is a light one, and what was typed meanwhile.
pub type AskBackground = fn() -> (bool, Vec<u8>);

/// How long the waiting thread sleeps at most, to find out that the screen is closed: the end of an engine wakes it.
const WAIT: Duration = Duration::from_secs(10);
/// Epochs come at least so often.
const LONGEST_CUT: Duration = Duration::from_secs(1);
/// What a screen begins with comes as it is known.
const BEGINNING: Duration = Duration::from_secs(2);
/// By so much an epoch may come before its time and still be shown.
const SLACK: Duration = Duration::from_millis(100);
/// How long an export waits for rows.
const WAIT_FOR_ROWS: Duration = Duration::from_millis(500);
/// A terminal on a busy host gets this long to show the frame that a key made before rows are looked
/// for.
const FRAME_FIRST: Duration = Duration::from_millis(2);
/// While questions follow each other faster than they are answered, one is answered this often.
const LONGEST_WITHOUT_ROWS: Duration = Duration::from_millis(100);
/// How long sockets that wait for others are believed to be the same.
const LISTENING_FRESH: Duration = Duration::from_secs(5);

/// Starts the thread that reads the terminal.
///
/// # Errors
/// When it cannot be started.
pub fn start_input(
    events: &Sender<Event>,
    background: Option<AskBackground>,
    come_first: fn(),
) -> io::Result<()> {
    let events = events.clone();
    let read = move || {
        come_first();
        // Before the first key is read: the answer looks like keys.
        if let Some(ask) = background {
            let (is_light, typed) = ask();
            if is_light {
                let _ = events.send(Event::LightBackground);
            }
            for key in typed.into_iter().filter_map(key_of) {
                let _ = events.send(Event::Terminal(terminal_event::Event::Key(key)));
            }
        }
        let mut late = LateAnswer::default();
        while let Ok(event) = terminal_event::read() {
            if background.is_some() && late.has(&event, Instant::now()) {
                continue;
            }
            if events.send(Event::Terminal(event)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("screen/input".into()).spawn(read).map(drop)
}

/// Starts the thread that waits for signals with `wait`; each of them sets `stop`.
///
/// # Errors
/// When it cannot be started.
pub fn start_signals(
    events: &Sender<Event>,
    stop: &Arc<AtomicBool>,
    wait: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let (events, stop) = (events.clone(), Arc::clone(stop));
    let hear = move || {
        while !stop.load(Ordering::SeqCst) {
            wait();
        }
        // The screen may be closed by then.
        let _ = events.send(Event::Signal);
    };
    thread::Builder::new().name("screen/signals".into()).spawn(hear).map(drop)
}

/// The terminal's answer about its background when it comes later than anybody waits for: read as keys
/// it would do what they do. The theme stays as it is, it would jump under the reader's eyes.
#[derive(Default)]
struct LateAnswer {
    since: Option<Instant>,
    came: String,
}

impl LateAnswer {
    /// How such an answer begins behind its `ESC ]`, which reads as Alt+].
    const START: &str = "11;rgb";
    /// How soon all of it is there.
    const SOON: Duration = Duration::from_secs(1);
    /// Signs of the longest one.
    const MOST: usize = 32;

    /// Returns whether an event is a part of it.
    fn has(&mut self, event: &terminal_event::Event, now: Instant) -> bool {
        let terminal_event::Event::Key(KeyEvent { code: KeyCode::Char(c), modifiers, .. }) = event else {
            self.since = None;
            return false;
        };
        let (alt, ctrl) = (*modifiers == KeyModifiers::ALT, *modifiers == KeyModifiers::CONTROL);
        if self.since.is_none_or(|since| now.duration_since(since) > Self::SOON) {
            let begins = alt && *c == ']';
            self.since = begins.then_some(now);
            self.came.clear();
            return begins;
        }
        // Its end is BEL, which reads as Ctrl+G, or `ESC \`.
        let ends = alt && *c == '\\' || ctrl && *c == 'g';
        self.came.push(*c);
        let is_one = Self::START.starts_with(&self.came) || self.came.starts_with(Self::START);
        if ends || !is_one || self.came.len() > Self::MOST {
            self.since = None;
        }
        ends || is_one
    }
}

/// Returns the key that a byte stands for.
fn key_of(byte: u8) -> Option<KeyEvent> {
    let code = match byte {
        b'\r' | b'\n' => KeyCode::Enter,
        b'\t' => KeyCode::Tab,
        0x20..=0x7e => KeyCode::Char(byte.into()),
        0x03 => return Some(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)),
        _ => return None,
    };
    Some(KeyEvent::new(code, KeyModifiers::NONE))
}

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
        let mut done = Vec::new();
        for (rows, path) in exports {
            let path = free_name(path);
            let Some(snapshot) = wait_for(&publication) else {
                done.push(Err("there are no rows yet".into()));
                continue;
            };
            let written = match &rows.group {
                Some(group) => {
                    let listening = if group.by == GroupBy::Process { sockets.now() } else { Arc::default() };
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
        let begun = Instant::now();
        let Some(mut view) = finder.find_unless(&snapshot, &request, &over) else { continue };
        view.took = Nanos(begun.elapsed().as_nanos() as u64);
        if !matches!(request.cursor, Cursor::On(_)) {
            let selected = view.selected.and_then(|place| view.at(place));
            publication.wish.set(selected.map(|row| row.id));
        }
        waiting = None;
        pacing.show(Instant::now());
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

/// When new epochs are shown. Cuts follow the refresh up to once a second; what is slower is kept here.
struct Pacing {
    refresh: Duration,
    /// Until then every epoch is shown, so that there is something to see.
    begin: Instant,
    /// When rows were found last.
    shown: Option<Instant>,
    /// When an epoch is shown that came too early.
    later: Option<Instant>,
}

impl Pacing {
    fn new(refresh: Duration, now: Instant) -> Self {
        Self { refresh, begin: now + BEGINNING, shown: None, later: None }
    }

    /// Returns whether an epoch, or one that was put off, is to be shown at `now`.
    fn is_due(&mut self, now: Instant) -> bool {
        let next = self.shown.filter(|_| self.refresh > LONGEST_CUT).map(|at| at + self.refresh);
        self.later = next.filter(|at| now + SLACK < *at);
        self.later.is_none()
    }

    /// Takes note that rows were found.
    fn show(&mut self, now: Instant) {
        (self.shown, self.later) = (Some(now).filter(|now| *now > self.begin), None);
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

/// Writes rows into a file of their own, which only its owner can read.
fn write_rows(
    finder: &mut Finder,
    snapshot: &Snapshot,
    request: &Request,
    path: &Path,
    files: Files,
) -> io::Result<String> {
    let mut lines = Vec::new();
    let form = Form::of(path);
    let count = finder.export::<io::Error>(snapshot, request, |row| {
        match form {
            Form::Jsonl | Form::Text => (files.json)(&mut lines, &of_row(row)),
            Form::Csv => (files.csv)(&mut lines, row),
        }
        Ok(())
    })?;
    write_new(path, &lines, files)?;
    Ok(format!("{count} rows"))
}

/// Writes sums into a file of their own.
fn write_sums(
    finder: &mut Finder,
    snapshot: &Snapshot,
    (request, by): (&Request, GroupBy),
    listening: &[Listening],
    path: &Path,
    files: Files,
) -> io::Result<String> {
    let mut lines = Vec::new();
    let write = match Form::of(path) {
        Form::Csv => files.sum_csv,
        Form::Jsonl | Form::Text => files.sum_json,
    };
    let count = finder.export_sums(snapshot, request, |group| write(&mut lines, by, group, listening));
    write_new(path, &lines, files)?;
    Ok(format!("{count} {}", if by == GroupBy::Host { "hosts" } else { "processes" }))
}

/// Returns a name that no file has: names tell the second, in which there may be several.
pub fn free_name(path: PathBuf) -> PathBuf {
    let (stem, ending) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    let numbered = |n: u32| {
        let mut name = stem.to_owned();
        name.push(format!("_{n}."));
        name.push(ending);
        path.with_file_name(name)
    };
    match path.exists() {
        true => (2..100).map(numbered).find(|name| !name.exists()).unwrap_or(path),
        false => path,
    }
}

/// Writes a file that was not there, which only its owner can read.
fn write_new(path: &Path, bytes: &[u8], files: Files) -> io::Result<()> {
    (files.create)(path)?.write_all(bytes)
}

/// Says what became of a file.
fn told(written: io::Result<String>, path: &Path) -> Result<String, String> {
    let name = path.display();
    written
        .map(|what| format!("{what} written to {name}"))
        .map_err(|error| format!("cannot write {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_shown_no_more_often_than_asked_for_and_none_is_forgotten() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pacing = Pacing::new(Duration::from_secs(5), start);
        let mut shown = Vec::new();
        let mut seen = |pacing: &mut Pacing, ms| {
            if pacing.is_due(at(ms)) {
                pacing.show(at(ms));
                shown.push(ms);
            }
        };
        (1..=15).for_each(|second| seen(&mut pacing, second * 1000));
        // Nothing follows: what was put off is shown when its time has come.
        assert_eq!(pacing.later, Some(at(18_000)));
        seen(&mut pacing, 17_950);
        assert_eq!(pacing.later, None);
        pacing.refresh = Duration::from_millis(500);
        seen(&mut pacing, 18_000);
        assert_eq!(shown, [1000, 2000, 3000, 8000, 13_000, 17_950, 18_000]);
    }

    #[test]
    fn a_file_gets_a_name_that_no_other_has() {
        let folder = std::env::temp_dir().join(format!("rustnet-names-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for ending in ["jsonl", "pcapng"] {
            let name = folder.join(format!("rustnet_2026-11-22_13-58-04.{ending}"));
            for n in 1..4 {
                let path = free_name(name.clone());
                let number = if n > 1 { format!("_{n}") } else { String::new() };
                assert_eq!(path, folder.join(format!("rustnet_2026-11-22_13-58-04{number}.{ending}")));
                fs::write(path, "").unwrap();
            }
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn l17_a_late_answer_of_the_terminal_is_no_keys() {
        let start = Instant::now();
        let key = |c, modifiers| terminal_event::Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers));
        let kept = |keys: &[(char, KeyModifiers)], ms: u64| -> String {
            let mut late = LateAnswer::default();
            let at = |n: usize| start + Duration::from_millis(ms * n as u64);
            let own = keys.iter().enumerate().filter(|(n, (c, m))| !late.has(&key(*c, *m), at(*n)));
            own.map(|(_, (c, _))| *c).collect()
        };
        let plain = |text: &str| text.chars().map(|c| (c, KeyModifiers::NONE)).collect::<Vec<_>>();
        let begin = vec![(']', KeyModifiers::ALT)];
        let answer = [begin.clone(), plain("11;rgb:ffff/ffff/ffff")].concat();
        for end in [('\\', KeyModifiers::ALT), ('g', KeyModifiers::CONTROL)] {
            let keys = [plain("j"), answer.clone(), vec![end], plain("11q")].concat();
            assert_eq!(kept(&keys, 1), "j11q");
        }
        // What somebody types behind Alt+] is theirs, and so is what comes much later.
        assert_eq!(kept(&[begin.clone(), plain("rgb")].concat(), 1), "rgb");
        assert_eq!(kept(&[begin, plain("11;")].concat(), 1_500), "11;");
        assert_eq!(kept(&[answer, plain(&"f".repeat(40))].concat(), 1).len(), 40 - 12);
    }
}
