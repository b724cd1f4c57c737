//! What the environment says of the terminal: its colours, its signs, and what lies between it and the program.

use std::io::{self, IsTerminal as _};

use crate::{
    config::{cli::Cli, file::FileConfig},
    platform::check::Check,
    tui::{
        clipboard::Wrapper,
        theme::{Depth, ThemeName},
    },
};

/// Returns what can be said of the terminal.
pub fn checks() -> [Check; 2] {
    let term = std::env::var("TERM").unwrap_or_default();
    let shown = term.escape_debug().to_string();
    let is_there = io::stdout().is_terminal() || io::stdin().is_terminal() || io::stderr().is_terminal();
    let terminal = match term.as_str() {
        _ if !is_there => Check::degraded("terminal", "there is none", "--headless runs without one"),
        "" | "dumb" => Check::degraded("terminal", "TERM is unset or dumb", "export TERM=xterm-256color"),
        _ if !is_unicode() => {
            let reason = format!("{shown}; the locale is not UTF-8: signs are ASCII");
            Check::degraded("terminal", reason, "export LANG=C.UTF-8")
        }
        _ => Check::works("terminal", shown),
    };
    let clipboard = match (wrapper(), is_there && !matches!(term.as_str(), "" | "dumb")) {
        (_, false) => Check::degraded("clipboard", "no terminal takes OSC 52", "see terminal"),
        (Wrapper::None, true) => Check::works("clipboard", "OSC 52"),
        (Wrapper::Tmux, true) => Check::works(
            "clipboard",
            "OSC 52 through tmux (needs: set -g set-clipboard on, or allow-passthrough)",
        ),
        (Wrapper::Screen, true) => Check::works("clipboard", "OSC 52 through screen"),
    };
    [terminal, clipboard]
}

/// Returns whether the terminal is asked for its background: the theme follows it, unless one is named.
pub fn asks_for_background(cli: &Cli, file: &FileConfig) -> bool {
    let answers = std::env::var("TERM").is_ok_and(|term| !matches!(&*term, "dumb" | "linux"));
    cli.theme.is_none()
        && file.theme.is_none()
        && answers
        && io::stdin().is_terminal()
        && depth() != Depth::None
}

/// Returns what lies between the program and the terminal.
pub fn wrapper() -> Wrapper {
    match (std::env::var_os("TMUX"), std::env::var("TERM")) {
        (Some(tmux), _) if !tmux.is_empty() => Wrapper::Tmux,
        (_, Ok(term)) if term.starts_with("screen") => Wrapper::Screen,
        _ => Wrapper::None,
    }
}

/// Returns how many colours the terminal has.
pub fn depth() -> Depth {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("NO_COLOR") || !std::env::var("TERM").is_ok_and(|term| term != "dumb") {
        return Depth::None;
    }
    match std::env::var("COLORTERM") {
        Ok(depth) if depth == "truecolor" || depth == "24bit" => Depth::True,
        _ if std::env::var("TERM").is_ok_and(|term| term.contains("256color")) => Depth::Many,
        _ => Depth::Sixteen,
    }
}

/// Returns the theme for the background that the terminal tells of (`COLORFGBG`), if it does.
pub fn theme() -> ThemeName {
    let background = std::env::var("COLORFGBG").ok();
    match background.as_deref().and_then(|b| b.rsplit(';').next()) {
        Some("7" | "15") => ThemeName::Light,
        _ => ThemeName::Dark,
    }
}

/// Returns whether the locale has more than ASCII.
pub fn is_unicode() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
}
