//! The capture file or stream that `--read` names.

use std::{
    io,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    base::time::{Nanos, Stamp},
    capture::{
        capture_file::{CaptureFile, OpenError},
        source::{Progress, Source as _},
        until::Until,
    },
    platform,
};

/// How often a stream that has not begun looks whether it is still waited for.
const LOOK: Duration = Duration::from_millis(20);

/// Returns whether a path is read as it comes: standard input, a pipe, a device. Such a source may
/// be silent for any time.
pub fn is_stream(path: &Path) -> bool {
    let real = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    match std::fs::metadata(real) {
        Ok(metadata) => !(metadata.is_file() || metadata.is_dir()),
        // What cannot be looked at is no stream by name; standard input may be one.
        Err(_) => path == Path::new("-"),
    }
}

/// Opens a file or a stream, of which the first `span` of its own time is wanted.
///
/// # Errors
/// See [`OpenError`].
pub fn open(path: &Path, span: Option<Duration>) -> Result<Until<CaptureFile>, OpenError> {
    let span = span.map(|span| Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)));
    CaptureFile::open(path, platform::map_guard()).map(|file| Until::new(file, span))
}

/// Returns the time of the last frame of a file's first `span`, if it is a file that is read in a moment.
pub fn last_stamp(path: &Path, span: Option<Duration>) -> Option<Stamp> {
    /// In bytes.
    const LARGEST: u64 = 64 << 20;
    if !std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST) {
        return None;
    }
    let mut file = open(path, span).ok()?;
    let mut last = None;
    while file.burst(256, |_, meta| last = last.max(Some(meta.wall))) != Progress::End {}
    last
}

/// Opens a stream whose head may never come: until `stop` is set, or `deadline` has passed. Then it
/// is a source without frames, and the second value is `false`.
///
/// # Errors
/// See [`OpenError`].
pub fn open_stream(
    path: &Path,
    span: Option<Duration>,
    deadline: Option<Instant>,
    stop: &AtomicBool,
) -> Result<(Until<CaptureFile>, bool), OpenError> {
    let (done, opened) = mpsc::channel();
    let name = path.to_owned();
    // NB: never joined. It may sit in a read that nobody can interrupt, and ends with it.
    let opener = thread::Builder::new().name("open".into()).spawn(move || {
        // Whoever asked may have given up.
        let _ = done.send(open(&name, span));
    });
    opener.map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    loop {
        match opened.recv_timeout(LOOK) {
            Ok(source) => return source.map(|source| (source, true)),
            Err(RecvTimeoutError::Disconnected) => {
                let source = io::Error::other("the thread that opens it has died");
                return Err(OpenError::Io { path: path.to_owned(), source });
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if stop.load(Ordering::Relaxed) || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok((Until::nothing(), false));
        }
    }
}
