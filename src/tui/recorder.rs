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
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    base::{ids::Epoch, time::Stamp},
    query::{
        filter::eval::Neighbours,
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
        /// Finds out who is on which hardware address.
        neighbours: Option<fn() -> Neighbours>,
    },
    /// Those of a row, and where they come by.
    Row {
        /// The row.
        row: Box<Row>,
        /// The name of its interface.
        interface: Option<String>,
    },
}

/// Begins to write; what became of it comes as [`Event::Recorded`]. Of a file up to a time, else from interfaces of these
/// names. Returns how far it has come.
///
/// # Errors
/// When a thread cannot be started.
pub fn start(
    subject: Subject,
    (until, watched): (Option<Stamp>, Vec<String>),
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
    let order = Order { news: told, others, until, interface, watched, comment, tally: Arc::clone(&tally) };
    let spawn = |name: &str| thread::Builder::new().name(name.into());
    match subject {
        Subject::Row { row, .. } => {
            tally.flows.store(1, Ordering::Relaxed);
            // The other end is in `order`.
            let _ = news.send(News { joined: vec![alone(&row)], ..News::default() });
        }
        Subject::Shown { request, publication, ended, neighbours, .. } => {
            let (stop, tally) = (Arc::clone(stop), Arc::clone(&tally));
            let mut follower = Follower::new(*request, ended, tally);
            follower.is_patient = until.is_none() && others != Others::Left;
            follower.look_up = neighbours.filter(|_| until.is_none());
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

/// How long a file is given up at its end in which nothing is written any more.
const STUCK: Duration = Duration::from_secs(1);

/// Waits until a file has come to its end, or does not get on.
///
/// # Errors
/// Why it is not whole.
pub fn finish(events: &Receiver<Event>, tally: &Tally) -> Result<(), String> {
    let written = || tally.bytes.load(Ordering::Relaxed);
    let (mut before, mut until) = (written(), Instant::now() + STUCK);
    loop {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::Recorded(done)) => return done.map(|_| ()),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) if written() != before => {
                (before, until) = (written(), Instant::now() + STUCK);
            }
            Err(_) => return Err("the file of frames is not whole: it could not be written in time".into()),
        }
    }
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{
        base::time::Nanos,
        flow::entry::FlowRecord,
        snapshot::{sample, view::Snapshot},
    };

    fn flow(port: u16) -> FlowRecord {
        let end = |last: u8, port| (IpAddr::from([10, 0, 0, last]), port);
        sample::record([end(1, port), end(2, 443)], 6)
    }

    fn epoch(number: u64, ports: &[u16]) -> Arc<Snapshot> {
        let rows: Vec<_> = ports.iter().map(|port| (flow(*port), [0.0; 2])).collect();
        let mut snapshot = sample::of_rows(&rows, Nanos::from_secs(50), Stamp(0));
        snapshot.epoch = Epoch(number);
        Arc::new(snapshot)
    }

    fn follower() -> Follower {
        Follower::new(Request::default(), Arc::new(EndedFlows::new(0)), Arc::default())
    }

    #[test]
    fn k19_what_an_epoch_in_the_making_shows_is_told_after_the_stop() {
        let publication = Publication::default();
        publication.publish(epoch(1, &[1000]));
        let (news, told) = mpsc::channel();
        let stop = AtomicBool::new(false);
        let joined = |news: News| news.joined.len();
        thread::scope(|scope| {
            scope.spawn(|| follow(follower(), &publication, &news, &stop));
            assert_eq!(joined(told.recv().unwrap()), 1);
            // An epoch is recalled while the next one is made.
            publication.recall();
            stop.store(true, Ordering::Relaxed);
            publication.publish(epoch(2, &[1000, 1001]));
            assert_eq!(joined(told.recv_timeout(Duration::from_secs(30)).unwrap()), 1, "the new one");
        });
        assert!(told.try_recv().is_err(), "and nothing after it");
    }

    #[test]
    fn k19_whoever_tells_the_news_ends_when_nobody_listens_or_all_is_over() {
        let publication = Publication::default();
        publication.publish(epoch(1, &[1000]));
        let (news, told) = mpsc::channel();
        drop(told);
        follow(follower(), &publication, &news, &AtomicBool::new(false));
        let (news, told) = mpsc::channel();
        publication.end();
        follow(follower(), &publication, &news, &AtomicBool::new(false));
        assert_eq!(told.try_iter().count(), 1, "the last epoch");
    }

    #[test]
    fn k19_of_what_did_not_begin_no_file_is_left_and_of_what_broke_off_one_is() {
        use std::io::Write as _;
        for (bytes, is_left) in [(&b""[..], false), (b"frames", true)] {
            let folder = std::env::temp_dir();
            let path = folder.join(format!("rustnet-began-{}-{is_left}.pcapng", std::process::id()));
            let record: Record = Arc::new(move |_, (_, mut file), _| {
                file.write_all(bytes).unwrap();
                Err("there is no capture".into())
            });
            let row = Box::new(Row::from_record(&flow(1000)));
            let (events, ended) = mpsc::channel();
            let file = File::create(&path).unwrap();
            let subject = Subject::Row { row, interface: None };
            let stop = Arc::default();
            start(subject, (None, vec![]), (path.clone(), file), record, &stop, events, || ()).unwrap();
            let Event::Recorded(done) = ended.recv_timeout(Duration::from_secs(30)).unwrap() else {
                panic!()
            };
            assert_eq!(done.unwrap_err(), "there is no capture");
            assert!(stop.load(Ordering::Relaxed), "and the other thread ends");
            assert_eq!(path.exists(), is_left);
            let _ = fs::remove_file(&path);
        }
    }

    #[test]
    fn k19_the_end_of_a_file_is_waited_for_as_long_as_it_gets_on() {
        let (events, ended) = mpsc::channel();
        let tally = Arc::<Tally>::default();
        let begun = Instant::now();
        assert!(finish(&ended, &tally).unwrap_err().contains("not whole"));
        assert!(begun.elapsed() >= STUCK);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..15 {
                    thread::sleep(STUCK / 5);
                    tally.bytes.fetch_add(1000, Ordering::Relaxed);
                }
                events.send(Event::Recorded(Err("the disk is full".into()))).unwrap();
            });
            assert_eq!(finish(&ended, &tally).unwrap_err(), "the disk is full");
        });
    }
}
