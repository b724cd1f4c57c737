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
    io,
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
    snapshot::publication::Publication,
};

/// What comes to the loop.
pub enum Event {
    /// A key, the mouse, another size.
    Terminal(terminal_event::Event),
    /// Rows.
    View(Box<View>),
    /// There will be no further epoch.
    Over,
}

/// What goes to the thread that answers.
pub enum Ask {
    /// There is a new epoch.
    Epoch,
    /// What to show from now on, and whether the rows are needed before the next epoch.
    Rows(Box<Request>, bool),
}

/// How long the waiting thread sleeps at most, to find out that the screen is closed.
const WAIT: Duration = Duration::from_millis(500);

/// Starts the threads. They end by themselves after both channels were dropped; none holds a
/// snapshot while it waits.
///
/// # Errors
/// When a thread cannot be started.
pub fn start(publication: &Arc<Publication>) -> io::Result<(Sender<Ask>, Receiver<Event>)> {
    let (events, incoming) = mpsc::channel();
    let (asks, asked) = mpsc::channel();
    let spawn = |name: &str| thread::Builder::new().name(name.into());
    spawn("screen/input").spawn({
        let events = events.clone();
        move || read_terminal(&events)
    })?;
    spawn("screen/query").spawn({
        let (events, publication) = (events.clone(), Arc::clone(publication));
        move || answer(&publication, &asked, &events)
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

fn answer(publication: &Publication, asked: &Receiver<Ask>, events: &Sender<Event>) {
    let mut finder = Finder::default();
    let mut request = Box::new(Request::default());
    let mut due = false;
    while let Ok(first) = asked.recv() {
        for ask in std::iter::once(first).chain(asked.try_iter()) {
            match ask {
                Ask::Epoch => due = true,
                Ask::Rows(rows, urgent) => {
                    request = rows;
                    due |= urgent;
                }
            }
        }
        // Between two epochs there may be none: the next one says so.
        let Some(snapshot) = publication.latest().filter(|_| due) else { continue };
        due = false;
        let view = finder.find(&snapshot, &request);
        drop(snapshot);
        if events.send(Event::View(Box::new(view))).is_err() {
            return;
        }
    }
}
