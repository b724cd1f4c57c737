//! The terminal: taken over on opening, given back on every way out.
//!
//! Ways out: leaving, an error, a panic of any thread, SIGINT, SIGTERM, SIGHUP and SIGQUIT (see
//! [`crate::base::stop`]), and a terminal that goes away, which shows as an error of the next write: each
//! frame writes something. A frame leaves in one write, between the marks of a synchronized
//! update (DEC private mode 2026), which terminals without it ignore.

use std::{
    cell::RefCell,
    io::{self, Write},
    panic,
    rc::Rc,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crossterm::{cursor, event, execute, queue, terminal as term};
use ratatui::{Terminal, backend::CrosstermBackend, layout::Rect};
use signal_hook::{consts, low_level};

use crate::tui::{app::App, view};

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// What other threads said in a panic while the terminal was ours.
static LAST_WORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The terminal while it is ours.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Buffered>>,
    frame: Rc<RefCell<Vec<u8>>>,
    mouse: bool,
}

/// Takes the terminal over.
fn take(mouse: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    term::enable_raw_mode()?;
    execute!(io::stdout(), term::EnterAlternateScreen, cursor::Hide, event::EnableBracketedPaste)?;
    if mouse {
        execute!(io::stdout(), event::EnableMouseCapture)?;
    }
    Ok(())
}

/// Collects what the backend writes; [`Screen`] sends it on, a frame at a time. So nothing that
/// is left over can reach a terminal that was given back.
struct Buffered(Rc<RefCell<Vec<u8>>>);

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub fn open(mouse: bool) -> io::Result<Self> {
        restore_on_panic();
        let frame = Rc::new(RefCell::new(Vec::with_capacity(64 << 10)));
        let terminal = Terminal::new(CrosstermBackend::new(Buffered(Rc::clone(&frame))))?;
        let screen = Self { terminal, frame, mouse };
        take(mouse)?;
        Ok(screen)
    }

    /// Draws a frame: what differs from the last one; returns its size in bytes.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, app: &mut App) -> io::Result<usize> {
        self.frame.borrow_mut().clear();
        queue!(self.terminal.backend_mut(), term::BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| view::draw(frame, app))?;
        queue!(self.terminal.backend_mut(), term::EndSynchronizedUpdate)?;
        let mut out = io::stdout().lock();
        let frame = self.frame.borrow();
        out.write_all(&frame)?;
        out.flush()?;
        Ok(frame.len())
    }

    /// Sends bytes that are no part of a frame.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Gives the terminal back, stops the process as its shell asked, and takes the terminal over
    /// again when the process goes on.
    ///
    /// # Errors
    /// When the terminal is gone, or the process cannot be stopped.
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        low_level::emulate_default_handler(consts::SIGTSTP)?;
        take(self.mouse)?;
        self.forget()
    }

    /// Takes the terminal over after somebody else had it, who did not wait until it was given back.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn retake(&mut self) -> io::Result<()> {
        restore();
        take(self.mouse)?;
        self.forget()
    }

    /// Forgets what is on the terminal, so that the next frame is drawn in full.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn forget(&mut self) -> io::Result<()> {
        // NB: `Terminal::clear` asks for the cursor's place and would wait for an answer that
        // the thread which reads the keys gets.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))?;
        execute!(io::stdout(), term::Clear(term::ClearType::All))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
        let words = std::mem::take(&mut *LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner));
        for word in words {
            let _ = writeln!(io::stderr(), "{word}");
        }
    }
}

/// Gives the terminal back, once. Errors do not matter: it may be gone.
fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(
        out,
        term::EndSynchronizedUpdate,
        event::DisableMouseCapture,
        event::DisableBracketedPaste,
        term::LeaveAlternateScreen,
        cursor::Show
    );
    let _ = term::disable_raw_mode();
}

/// Makes a panic of this thread give the terminal back before it speaks; what other threads say
/// waits until the screen is closed.
fn restore_on_panic() {
    let screen_thread = thread::current().id();
    let speak = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if TAKEN.load(Ordering::SeqCst) && thread::current().id() != screen_thread {
            let name = thread::current().name().unwrap_or("unnamed").to_owned();
            let word = format!("thread {name}: {info}");
            return LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner).push(word);
        }
        restore();
        speak(info);
    }));
}
