//! The clipboard of the desktop that the program runs on, through the programs that reach it. The terminal's is reached
//! by an escape sequence (`tui/clipboard.rs`), which not every terminal takes.

use std::{
    env::consts::OS,
    io::{self, Write as _},
    process::{Command, Stdio},
    thread,
};

/// A program that takes text for the clipboard on its standard input.
struct Copier {
    /// It works where this is set, and not empty.
    variable: Option<&'static str>,
    /// It comes with this system; otherwise with any.
    system: Option<&'static str>,
    program: &'static str,
    arguments: &'static [&'static str],
}

const fn desktop(
    variable: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
) -> Copier {
    Copier { variable: Some(variable), system: None, program, arguments }
}

const fn of_system(system: &'static str, program: &'static str) -> Copier {
    Copier { variable: None, system: Some(system), program, arguments: &[] }
}

/// Which there are; of several, the first that works has the text.
const COPIERS: &[Copier] = &[
    desktop("WAYLAND_DISPLAY", "wl-copy", &[]),
    desktop("DISPLAY", "xclip", &["-selection", "clipboard"]),
    desktop("DISPLAY", "xsel", &["--input", "--clipboard"]),
    of_system("macos", "pbcopy"),
    of_system("windows", "clip.exe"),
];

impl Copier {
    fn may_work(&self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        self.variable.is_none_or(is_set) && self.system.is_none_or(|system| system == OS)
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

/// Hands text to the desktop's clipboard in a thread of its own, if there may be one; returns whether it did.
pub fn copy(text: &str) -> bool {
    let all: Vec<&Copier> = COPIERS.iter().filter(|copier| copier.may_work()).collect();
    if all.is_empty() {
        return false;
    }
    let text = text.to_owned();
    let pass = move || {
        all.iter().any(|copier| copier.copy(&text).unwrap_or(false));
    };
    thread::Builder::new().name("screen/clipboard".into()).spawn(pass).is_ok()
}
