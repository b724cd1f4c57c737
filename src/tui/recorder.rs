//! What begins to write frames of rows into a file: one thread writes, another tells it which flows are meant.
//!
//! ```text
//!   screen/chosen ── an epoch's new rows of the view ──▶ screen/record ── frames ──▶ a file
//!                                                         ▲
//!                                        a capture of its own, or the file again
//! ```

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use crate::{
    base::{ids::Epoch, time::Stamp},
    query::{
        recording::{Follower, News, Order, Others, Tally, alone, described},
        window::{Localhost, Request},
    },
    snapshot::{ended::EndedFlows, publication::Publication, row::Row},
    tui::threads::Event,
};

/// Writes what is ordered to a new file, which has this name, until there are no more frames or the flag is set; returns why it
/// ended before either, or why not.
pub type Record =
    Arc<dyn Fn(Order, (&Path, File), &AtomicBool) -> Result<Option<String>, String> + Send + Sync>;

/// How long a look for epochs takes at most, to find out that it is over.
const WAIT: Duration = Duration::from_millis(200);
/// How long the last look waits for an epoch: one may be in the making.
const LAST_WAIT: Duration = Duration::from_millis(100);

/// Whose frames are written.
pub enum Subject {
    /// Those of the rows that a request shows, found in epochs and among flows that have ended; and what is said of them.
    Shown {
        /// Which rows.
        request: Box<Request>,
        /// Where epochs come from.
        publication: Arc<Publication>,
        /// Flows that have ended.
        ended: Arc<EndedFlows>,
        /// The filter, as it was typed.
        filter: String,
    },
    /// Those of a row, and where they come by.
    Row {
        /// The row.
        row: Box<Row>,
        /// The name of its interface.
        interface: Option<String>,
    },
}

/// Begins to write; what became of it comes as [`Event::Recorded`]. Returns how far it has come.
///
/// # Errors
/// When a thread cannot be started.
pub fn start(
    subject: Subject,
    until: Option<Stamp>,
    (to, file): (PathBuf, File),
    record: Record,
    stop: &Arc<AtomicBool>,
    events: Sender<Event>,
    give_way: fn(),
) -> io::Result<Arc<Tally>> {
    let (news, told) = mpsc::channel();
    let tally = Arc::new(Tally::default());
    let (others, interface, comment) = match &subject {
        Subject::Shown { request, filter, .. } => {
            let said = match (filter.is_empty(), &request.only, request.localhost) {
                (false, ..) => format!("filter: {filter}"),
                (true, Some(_), _) => "marked connections".into(),
                (true, None, Localhost::Hide) => "all connections but those of this host with itself".into(),
                (true, None, Localhost::Show) => "all connections".into(),
            };
            (others(request), None, said)
        }
        Subject::Row { row, interface } => (Others::Left, interface.clone(), described(row)),
    };
    let order = Order { news: told, others, until, interface, comment, tally: Arc::clone(&tally) };
    let spawn = |name: &str| thread::Builder::new().name(name.into());
    match subject {
        Subject::Row { row, .. } => {
            tally.flows.store(1, Ordering::Relaxed);
            // The other end is in `order`.
            let _ = news.send(News { joined: vec![alone(&row)], ..News::default() });
        }
        Subject::Shown { request, publication, ended, .. } => {
            let (stop, tally) = (Arc::clone(stop), Arc::clone(&tally));
            let mut follower = Follower::new(*request, ended, tally);
            follower.is_patient = until.is_none() && others != Others::Left;
            spawn("screen/chosen").spawn(move || {
                give_way();
                follow(follower, &publication, &news, &stop);
            })?;
        }
    }
    let stop = Arc::clone(stop);
    let tally_of_end = Arc::clone(&tally);
    spawn("screen/record").spawn(move || {
        // Neither the packet path nor a key waits for a file.
        give_way();
        let done = record(order, (&to, file), &stop);
        // Of what did not even begin nothing is left.
        if done.is_err() && fs::metadata(&to).is_ok_and(|file| file.len() == 0) {
            let _ = fs::remove_file(&to);
        }
        stop.store(true, Ordering::Relaxed);
        // The screen may be closed by then.
        let _ = events.send(Event::Recorded(done.map(|why| (tally_of_end, to, why))));
    })?;
    Ok(tally)
}

/// Tells what each epoch changes, until nobody listens or the last epoch was looked at; then what is known by now.
fn follow(mut follower: Follower, publication: &Publication, news: &Sender<News>, stop: &AtomicBool) {
    let mut seen = Epoch(0);
    loop {
        let is_over = publication.is_over() || stop.load(Ordering::Relaxed);
        let wait = if is_over { LAST_WAIT } else { WAIT };
        if let Some(snapshot) = publication.wait_after(seen, wait) {
            seen = snapshot.epoch;
            if news.send(follower.look(&snapshot)).is_err() {
                return;
            }
        }
        if is_over {
            return;
        }
    }
}

/// Returns whether flows that nobody names are meant too: where there is no choice, all are.
fn others(request: &Request) -> Others {
    match request.localhost {
        _ if request.filter.is_some() || request.only.is_some() => Others::Left,
        Localhost::Show => Others::Written,
        Localhost::Hide => Others::WrittenButLocalhost,
    }
}
