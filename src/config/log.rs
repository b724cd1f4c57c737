//! The log file of a run: `logs/rustnet_YYYY-MM-DD_HH-MM-SS.log`, local time, only with `--log-level`.
//!
//! Lines are written by a thread of their own, so that no disk holds up whoever has something to
//! say; what it cannot keep up with is counted and told. Nothing on the packet path logs.

use std::{
    fmt::{self, Write as _},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{Level, Metadata, Subscriber, field::Field, span};

use crate::{
    base::{shown::Shown, time::Stamp},
    config::cli::LogLevel,
    platform,
    query::format,
};

/// The folder, in the working directory.
pub const FOLDER: &str = "logs";
/// Lines that wait to be written.
const WAITING: usize = 8192;
/// How long the end of the program waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// A log that is open; [`Log::finish`] waits for its last lines.
#[derive(Debug)]
pub struct Log {
    to_writer: SyncSender<Item>,
    /// Where it is.
    pub path: PathBuf,
}

#[derive(Debug)]
enum Item {
    Line(String),
    Flush(Sender<()>),
}

/// Makes the log file of this run and takes all events of `level` and above.
///
/// # Errors
/// When the folder or the file cannot be made, or the folder is a symbolic link.
pub fn open(level: LogLevel) -> Result<Log, String> {
    let now = Stamp((platform::host(Vec::new()).wall)());
    let (path, file) = create(Path::new(FOLDER), now, platform::utc_offset(now))?;
    let (to_writer, lines) = sync_channel(WAITING);
    let writer = thread::Builder::new().name("log".into()).spawn(move || write(file, &lines));
    writer.map_err(|error| format!("cannot start the thread of the log: {error}"))?;
    let subscriber = ToWriter { level: level.into(), to_writer: to_writer.clone(), lost: AtomicU64::new(0) };
    // Only one log is ever opened.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(Log { to_writer, path })
}

impl Log {
    /// Waits until what was said before is written.
    pub fn finish(&self) {
        let (done, written) = channel();
        let until = Instant::now() + PATIENCE;
        let mut item = Item::Flush(done);
        while let Err(TrySendError::Full(back)) = self.to_writer.try_send(item) {
            if Instant::now() >= until {
                return;
            }
            item = back;
            thread::sleep(Duration::from_millis(1));
        }
        let _ = written.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// Makes folder and file.
fn create(folder: &Path, now: Stamp, utc_offset: i32) -> Result<(PathBuf, fs::File), String> {
    let refused = |path: &Path, why: &dyn fmt::Display| format!("cannot keep a log: {}: {why}", Shown(path));
    match fs::symlink_metadata(folder) {
        Ok(found) if found.is_symlink() => return Err(refused(folder, &"it is a symbolic link")),
        Ok(found) if !found.is_dir() => return Err(refused(folder, &"it is no folder")),
        Ok(_) => {}
        Err(_) => platform::private_folder(folder).map_err(|error| refused(folder, &error))?,
    }
    let time = format::date_time(now, utc_offset).replace(' ', "_").replace(':', "-");
    // Two runs may begin within one second.
    let mut path = folder.join(format!("rustnet_{time}.log"));
    for turn in 2.. {
        match platform::private_file(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && turn < 100 => {
                path = folder.join(format!("rustnet_{time}_{turn}.log"));
            }
            Err(error) => return Err(refused(&path, &error)),
        }
    }
    Err(refused(&path, &"there are too many of them"))
}

fn write(mut file: fs::File, lines: &Receiver<Item>) {
    while let Ok(item) = lines.recv() {
        match item {
            // A full disk is no reason to end.
            Item::Line(line) => drop(file.write_all(line.as_bytes())),
            Item::Flush(done) => drop(done.send(())),
        }
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Makes lines of events.
struct ToWriter {
    level: Level,
    to_writer: SyncSender<Item>,
    lost: AtomicU64,
}

impl ToWriter {
    fn line(&self, level: Level, text: &str) -> String {
        let now = Stamp((platform::host(Vec::new()).wall)());
        let time = format::date_time(now, platform::utc_offset(now));
        let ms = now.0 / 1_000_000 % 1000;
        let mut line = format!("{time}.{ms:03} {level:<5} ");
        // A message of several lines is one entry: none of its lines looks like another.
        for c in text.chars() {
            match c {
                '\n' => line.push_str("\n    "),
                c if c.is_control() => drop(write!(line, "{}", c.escape_default())),
                c => line.push(c),
            }
        }
        line.push('\n');
        line
    }

    fn send(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.to_writer.try_send(Item::Line(line)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Subscriber for ToWriter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.level.into())
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.send(self.line(Level::WARN, &format!("{lost} lines of this log found no room")));
        }
        let mut text = Message::default();
        event.record(&mut text);
        self.send(self.line(*event.metadata().level(), &text.0));
    }

    // Spans are not used.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("rustnet-log-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn lg2_one_file_a_run_named_by_its_local_time() {
        let base = folder("names");
        let logs = base.join("logs");
        let now = Stamp(1_795_355_884_000_000_000);
        let (first, _) = create(&logs, now, 3600).unwrap();
        assert_eq!(first, logs.join("rustnet_2026-11-22_14-58-04.log"));
        let (second, _) = create(&logs, now, 3600).unwrap();
        assert_eq!(second, logs.join("rustnet_2026-11-22_14-58-04_2.log"));
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn lg5_a_folder_that_is_none_is_refused() {
        let base = folder("refused");
        fs::write(base.join("logs"), "").unwrap();
        let error = create(&base.join("logs"), Stamp(0), 0).unwrap_err();
        assert!(error.contains("it is no folder"), "{error}");
        let error = create(&base.join("absent/logs"), Stamp(0), 0).unwrap_err();
        assert!(error.contains("cannot keep a log"), "{error}");
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_line_cannot_begin_another() {
        let (to_writer, lines) = sync_channel(4);
        let subscriber = ToWriter { level: Level::INFO, to_writer, lost: AtomicU64::new(0) };
        let line = subscriber.line(Level::INFO, "a\n2026-01-01 ERROR b\x1b[2J");
        assert!(line.contains("INFO  a\n    2026") && line.ends_with("b\\u{1b}[2J\n"), "{line}");
        for _ in 0..5 {
            subscriber.send(line.clone());
        }
        assert_eq!((subscriber.lost.load(Ordering::Relaxed), lines.try_iter().count()), (1, 4));
    }
}
