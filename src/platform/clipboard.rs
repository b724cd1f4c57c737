//! The clipboard of the desktop that the program runs on, through the programs that reach it. The terminal's is reached
//! by an escape sequence (`tui/clipboard.rs`), which not every terminal takes.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// A program that takes text for the clipboard on its standard input.
struct Copier {
    /// It works where this is set, and not empty; without a name wherever the program is.
    variable: Option<&'static str>,
    program: &'static str,
    arguments: &'static [&'static str],
}

const fn desktop(
    variable: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
) -> Copier {
    Copier { variable: Some(variable), program, arguments }
}

const fn of_system(program: &'static str) -> Copier {
    Copier { variable: None, program, arguments: &[] }
}

/// Which there are; of several, the first that works has the text.
const COPIERS: &[Copier] = &[
    desktop("WAYLAND_DISPLAY", "wl-copy", &[]),
    desktop("DISPLAY", "xclip", &["-selection", "clipboard"]),
    desktop("DISPLAY", "xsel", &["--input", "--clipboard"]),
    of_system("pbcopy"),
    of_system("clip.exe"),
];

/// A copier has a text and has not come back.
static BUSY: AtomicBool = AtomicBool::new(false);

impl Copier {
    fn may_work(&self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = || std::env::split_paths(&path).any(|folder| folder.join(self.program).is_file());
        self.variable.is_none_or(is_set) && is_there()
    }

    /// Hands it the text and waits until it has it.
    fn copy(&self, text: &str) -> io::Result<bool> {
        let mut command = Command::new(self.program);
        command.args(self.arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        // It reads until its input is closed.
        let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(text.as_bytes()));
        Ok(child.wait()?.success() && written.is_ok())
    }
}

/// Hands text to the desktop's clipboard in a thread of its own; returns whether something took it on. One that hangs is
/// not given another text.
pub fn copy(text: &str) -> bool {
    let all: Vec<&Copier> = COPIERS.iter().filter(|copier| copier.may_work()).collect();
    if all.is_empty() || BUSY.swap(true, Ordering::AcqRel) {
        return false;
    }
    let text = text.to_owned();
    let pass = move || {
        all.iter().any(|copier| copier.copy(&text).unwrap_or(false));
        BUSY.store(false, Ordering::Release);
    };
    let begun = thread::Builder::new().name("screen/clipboard".into()).spawn(pass).is_ok();
    if !begun {
        BUSY.store(false, Ordering::Release);
    }
    begun
}
