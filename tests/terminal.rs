//! The terminal is given back on every way out: the built program in a terminal of its own, made by
//! `script` (util-linux); without it these tests are skipped with a message.
#![allow(clippy::unwrap_used, reason = "tests")]
#![cfg(target_os = "linux")]

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use rustnet::tui::terminal::Screen;

/// What must stand at the end of what was written: no mouse, no bracketed paste, the first screen, the cursor.
const GIVEN_BACK: [&str; 4] = ["\u{1b}[?1006l", "\u{1b}[?2004l", "\u{1b}[?1049l", "\u{1b}[?25h"];

/// Runs a line of shell in a terminal; returns what the terminal got, with its settings behind.
fn in_terminal(line: &str) -> Option<String> {
    let line = format!("{line}; echo; echo code $?; stty -a");
    let run = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .output();
    match run {
        Ok(Output { stdout, .. }) => Some(String::from_utf8_lossy(&stdout).into_owned()),
        Err(error) => {
            eprintln!("skipped: script: {error}");
            None
        }
    }
}

#[track_caller]
fn is_given_back(got: &str) {
    assert!(got.contains("\u{1b}[?1049h"), "it was taken: {got:?}");
    let behind = got.rfind("\u{1b}[?1049h").unwrap();
    for sign in GIVEN_BACK {
        assert!(got[behind..].contains(sign), "{sign:?} is missing: {got:?}");
    }
    for setting in ["icanon", "echo", "isig", "icrnl"] {
        assert!(got.split_whitespace().any(|word| word == setting), "{setting}: {got:?}");
    }
}

/// A capture without packets (pcap, little endian, Ethernet).
fn capture() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("terminal.pcap");
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    bytes.extend([0; 8]);
    bytes.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn c11_signals_give_the_terminal_back() {
    let (program, file) = (env!("CARGO_BIN_EXE_rustnet"), capture());
    for signal in ["TERM", "HUP", "INT", "QUIT"] {
        let line = format!("timeout --foreground -s {signal} 1 {program} --read {}", file.display());
        let Some(got) = in_terminal(&line) else { return };
        is_given_back(&got);
    }
}

#[test]
fn c11_two_signals_at_once_are_one() {
    let (program, file) = (env!("CARGO_BIN_EXE_rustnet"), capture());
    // As timeout(1) without --foreground: one to the process, one to its group.
    let line = format!(
        "{program} --read {} & sleep 1; kill -TERM $!; kill -TERM $!; kill -INT $!; wait $!",
        file.display()
    );
    for _ in 0..3 {
        let Some(got) = in_terminal(&line) else { return };
        is_given_back(&got);
        assert!(got.contains("code 0"), "{got:?}");
    }
}

#[test]
fn c11_a_panic_gives_the_terminal_back_before_it_speaks() {
    for helper in ["panics_in_the_thread_of_the_screen", "panics_in_another_thread"] {
        let line = format!(
            "{} --ignored --exact {helper} --nocapture --test-threads 1",
            env::current_exe().unwrap().display()
        );
        let Some(got) = in_terminal(&line) else { return };
        is_given_back(&got);
        let words = got.find("as it was meant to").unwrap_or_else(|| panic!("{helper}: {got:?}"));
        assert!(words > got.rfind("\u{1b}[?1049l").unwrap(), "{helper}: on the first screen: {got:?}");
    }
}

#[test]
#[ignore = "panics: c11_a_panic_gives_the_terminal_back_before_it_speaks runs it"]
fn panics_in_the_thread_of_the_screen() {
    let _screen = Screen::open(true).unwrap();
    panic!("as it was meant to");
}

#[test]
#[ignore = "panics: c11_a_panic_gives_the_terminal_back_before_it_speaks runs it"]
fn panics_in_another_thread() {
    let screen = Screen::open(true).unwrap();
    let other = std::thread::spawn(|| panic!("as it was meant to"));
    assert!(other.join().is_err());
    drop(screen);
}
