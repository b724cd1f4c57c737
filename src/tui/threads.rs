//! The screen's helpers, so that a key never waits: one thread reads the terminal, one waits for
//! epochs, one answers questions about rows. All speak to the loop through one channel.
//!
//! ```text
//!   screen/input  ── keys, mouse, size ──────────────┐
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
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use crossterm::event as terminal_event;

use crate::{
    base::ids::Epoch,
    query::window::{Finder, Request, View},
    snapshot::{ended::EndedFlows, publication::Publication, tap::Ended, view::Snapshot},
};

/// What comes to the loop.
pub enum Event {
    /// A key, the mouse, another size.
    Terminal(terminal_event::Event),
    /// Rows.
    View(Box<View>),
    /// There will be no further epoch.
    Over,
    /// An export is written: what to say of it.
    Exported(Result<String, String>),
}

/// What goes to the thread that answers.
pub enum Ask {
    /// There is a new epoch.
    Epoch,
    /// What to show from now on, and whether the rows are needed before the next epoch.
    Rows(Box<Request>, bool),
    /// Write the rows of this request to this file.
    Export(Box<Request>, PathBuf),
}

/// What files are written with.
#[derive(Clone, Copy)]
pub struct Files {
    /// Appends a row's line of an export.
    pub row: fn(&mut Vec<u8>, &Ended),
    /// Makes a file that was not there, readable by its owner only.
    pub create: fn(&Path) -> io::Result<fs::File>,
}

/// How long the waiting thread sleeps at most, to find out that the screen is closed.
const WAIT: Duration = Duration::from_millis(500);

/// Starts the threads. They end by themselves after both channels were dropped; none holds a
/// snapshot while it waits.
///
/// # Errors
/// When a thread cannot be started.
pub fn start(
    publication: &Arc<Publication>,
    ended: &Arc<EndedFlows>,
    files: Files,
) -> io::Result<(Sender<Ask>, Receiver<Event>)> {
    let (events, incoming) = mpsc::channel();
    let (asks, asked) = mpsc::channel();
    let spawn = |name: &str| thread::Builder::new().name(name.into());
    spawn("screen/input").spawn({
        let events = events.clone();
        move || read_terminal(&events)
    })?;
    spawn("screen/query").spawn({
        let (events, publication) = (events.clone(), Arc::clone(publication));
        let finder = Finder::with_ended(Arc::clone(ended));
        move || answer(finder, &publication, &asked, &events, files)
    })?;
    spawn("screen/epochs").spawn({
        let (asks, publication) = (asks.clone(), Arc::clone(publication));
        move || wait_for_epochs(&publication, &asks, &events)
    })?;
    Ok((asks, incoming))
}

fn read_terminal(events: &Sender<Event>) {
    while let Ok(event) = terminal_event::read() {
        if events.send(Event::Terminal(event)).is_err() {
            return;
        }
    }
}

fn wait_for_epochs(publication: &Publication, asks: &Sender<Ask>, events: &Sender<Event>) {
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
                let _ = events.send(Event::Over);
                return;
            }
            None => {}
        }
    }
}

fn answer(
    mut finder: Finder,
    publication: &Publication,
    asked: &Receiver<Ask>,
    events: &Sender<Event>,
    files: Files,
) {
    let mut request = Box::new(Request::default());
    let mut due = false;
    while let Ok(first) = asked.recv() {
        let mut exports = Vec::new();
        for ask in std::iter::once(first).chain(asked.try_iter()) {
            match ask {
                Ask::Epoch => due = true,
                Ask::Rows(rows, urgent) => {
                    request = rows;
                    // Rows may keep their places for a moment, unless somebody asks.
                    request.exact = urgent;
                    due |= urgent;
                }
                Ask::Export(rows, path) => exports.push((rows, path)),
            }
        }
        for (rows, path) in exports {
            let done = match wait_for(publication) {
                Some(snapshot) => write_rows(&mut finder, &snapshot, &rows, &path, files)
                    .map(|count| format!("{count} rows written to {}", path.display()))
                    .map_err(|error| format!("cannot write {}: {error}", path.display())),
                None => Err("there are no rows yet".into()),
            };
            if events.send(Event::Exported(done)).is_err() {
                return;
            }
        }
        // Between two epochs there may be none: the next one says so.
        let Some(snapshot) = publication.latest().filter(|_| due) else { continue };
        due = false;
        let view = finder.find(&snapshot, &request);
        request.exact = false;
        drop(snapshot);
        if events.send(Event::View(Box::new(view))).is_err() {
            return;
        }
    }
}

fn wait_for(publication: &Publication) -> Option<Arc<Snapshot>> {
    publication.latest().or_else(|| publication.wait_after(Epoch(0), WAIT))
}

/// Writes rows into a file of their own, which only its owner can read.
fn write_rows(
    finder: &mut Finder,
    snapshot: &Snapshot,
    request: &Request,
    path: &Path,
    files: Files,
) -> io::Result<usize> {
    let mut lines = Vec::new();
    let count = finder.export::<io::Error>(snapshot, request, |flow| {
        (files.row)(&mut lines, flow);
        Ok(())
    })?;
    (files.create)(path)?.write_all(&lines)?;
    Ok(count)
}
