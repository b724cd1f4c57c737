//! The threads that read the terminal and wait for signals.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::Sender,
    },
    thread,
    time::{Duration, Instant},
};

use crossterm::event::{self as terminal_event, KeyCode, KeyEvent, KeyModifiers};
use signal_hook::{consts, flag};

use super::Event;
use crate::tui::WaitForSignal;

/// Asks the terminal for its background: whether it is a light one, and what was typed meanwhile.
pub type AskBackground = fn() -> (bool, Vec<u8>);

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

/// Starts the thread that waits with `wait` for the signals of job control: to stop (SIGTSTP, as from `kill`; the key is read
/// as a key), and to go on (SIGCONT), which comes alone where the process was stopped without being asked.
///
/// # Errors
/// When it cannot be started, or the signals cannot be caught.
pub fn start_jobs(events: &Sender<Event>, wait: impl FnOnce() -> WaitForSignal) -> io::Result<()> {
    const NONE: usize = 0;
    const STOP: usize = 1;
    const GO_ON: usize = 2;
    // The last one counts: each takes the other back.
    let last = Arc::new(AtomicUsize::new(NONE));
    // Before anybody waits: actions are taken in order.
    flag::register_usize(consts::SIGTSTP, Arc::clone(&last), STOP)?;
    flag::register_usize(consts::SIGCONT, Arc::clone(&last), GO_ON)?;
    let (events, wait) = (events.clone(), wait());
    let hear = move || {
        loop {
            wait();
            let event = match last.swap(NONE, Ordering::SeqCst) {
                STOP => Event::Suspend,
                GO_ON => Event::GoesOn,
                _ => continue,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("screen/jobs".into()).spawn(hear).map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;

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
