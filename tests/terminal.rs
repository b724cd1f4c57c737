//! The terminal is given back on every way out: the built program in a terminal of its own, made by
//! `script` (util-linux); without it these tests are skipped with a message.
#![allow(clippy::unwrap_used, reason = "tests")]
#![cfg(target_os = "linux")]

use std::{
    env, fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustnet::{
    packet::build::{Body, Frame, Tcp},
    tui::terminal::Screen,
};

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
    fs::write(&path, header()).unwrap();
    path
}

fn header() -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    bytes.extend([0; 8]);
    bytes.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    bytes
}

/// As [`header`], with a segment and a datagram behind it.
fn two_packets() -> Vec<u8> {
    let tcp = Tcp { src_port: 40_000, dst_port: 443, flags: 2, window: 1000, ..Tcp::default() };
    let mut bytes = header();
    for body in [Body::Tcp(tcp), Body::Udp(40_000, 53)] {
        let mut frame = [0; 128];
        let len = Frame::new([10, 0, 0, 1].into(), [192, 0, 2, 1].into(), body).write(&mut frame).unwrap();
        for number in [1_700_000_000, 0, len as u32, len as u32] {
            bytes.extend(u32::to_le_bytes(number));
        }
        bytes.extend(&frame[..len]);
    }
    bytes
}

/// A new folder.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The built program in a terminal of its own that reads what is written to it.
fn typing(folder: &Path, flags: &str) -> Option<Child> {
    typing_behind("", folder, flags)
}

/// As [`typing`], behind what a shell does first.
fn typing_behind(before: &str, folder: &Path, flags: &str) -> Option<Child> {
    let program = env!("CARGO_BIN_EXE_rustnet");
    let line = format!("stty rows 24 cols 80; {before} exec {program} --read two.pcap {flags}");
    fs::write(folder.join("two.pcap"), two_packets()).unwrap();
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(folder).env("TERM", "xterm-256color");
    for name in ["COLORTERM", "COLORFGBG", "NO_COLOR", "TMUX", "DISPLAY", "WAYLAND_DISPLAY"] {
        command.env_remove(name);
    }
    command.env("XDG_STATE_HOME", folder.join("state")).env("XDG_CONFIG_HOME", folder.join("config"));
    match command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            eprintln!("skipped: script: {error}");
            None
        }
    }
}

fn press(child: &mut Child, keys: &[u8]) {
    child.stdin.as_mut().unwrap().write_all(keys).unwrap();
}

/// Files in a folder with this ending, by name, once there are so many.
#[track_caller]
fn files(folder: &Path, ending: &str, count: usize) -> Vec<PathBuf> {
    let start = Instant::now();
    loop {
        let all = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let is_wanted = |path: &PathBuf| path.to_string_lossy().ends_with(ending);
        let is_written = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() > 0);
        let mut all: Vec<_> = all.filter(is_wanted).filter(is_written).collect();
        if all.len() >= count {
            all.sort();
            return all;
        }
        assert!(start.elapsed().as_secs() < 30, "{count} of {ending} in {}: {all:?}", folder.display());
        thread::sleep(Duration::from_millis(20));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
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
fn c11_who_stops_the_program_from_outside_gets_the_terminal_back_meanwhile() {
    let (program, file) = (env!("CARGO_BIN_EXE_rustnet"), capture());
    // It is asked to stop; and it is stopped without being asked, after which only it can take the terminal again.
    for signal in ["TSTP", "STOP"] {
        let folder = folder(&format!("stopped-{signal}"));
        let [pid, shown] = ["pid", "shown"].map(|name| folder.join(name));
        let line = format!(
            "stty rows 24 cols 80; sh -c 'echo $$ > {}; exec {program} --read {}'; echo; echo code $?; stty -a",
            pid.display(),
            file.display()
        );
        let mut command = Command::new("script");
        command.args(["-qefc", &line]).arg(&shown).env("TERM", "xterm-256color");
        let Ok(mut child) = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn() else {
            return eprintln!("skipped: script");
        };
        let got = || String::from_utf8_lossy(&fs::read(&shown).unwrap_or_default()).into_owned();
        // Taken so many times, and drawn since.
        let is_drawn = |times: usize| {
            let got = got();
            got.matches(TAKEN).count() == times && got[got.rfind(TAKEN).unwrap()..].contains("Overview")
        };
        until(|| is_drawn(1), "it is drawn");
        let number = fs::read_to_string(&pid).unwrap().trim().to_owned();
        let kill =
            |signal| assert!(Command::new("kill").args(["-s", signal, &number]).status().unwrap().success());
        kill(signal);
        let state = || fs::read_to_string(format!("/proc/{number}/stat")).unwrap();
        until(|| state().rsplit(')').next().unwrap().starts_with(" T"), "it stands still");
        kill("CONT");
        until(|| is_drawn(2), "it is taken and drawn again");
        kill("TERM");
        child.wait().unwrap();
        let got = got();
        is_given_back(&got);
        let times: Vec<usize> = got.match_indices(TAKEN).map(|(at, _)| at).collect();
        assert_eq!(times.len(), 2, "{signal}: it is taken again: {got:?}");
        for sign in GIVEN_BACK {
            assert!(got[times[0]..times[1]].contains(sign), "{signal}: {sign:?} is missing: {got:?}");
        }
    }
}

/// What stands where the terminal is taken.
const TAKEN: &str = "\u{1b}[?1049h";

/// Waits until something is so.
#[track_caller]
fn until(is_so: impl Fn() -> bool, what: &str) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed().as_secs() < 60, "{what}");
        thread::sleep(Duration::from_millis(10));
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

#[test]
fn k19_rows_of_the_view_become_new_files_and_f1_filters_are_kept_for_their_owner_only() {
    let folder = folder("terminal-files");
    let Some(mut child) = typing(&folder, "") else { return };
    press(&mut child, b"/proto:udp\r");
    let filters = files(&folder.join("state/rustnet"), "filters", 1);
    assert_eq!(
        (fs::read_to_string(&filters[0]).unwrap().as_str(), mode(&filters[0])),
        ("proto:udp\n", 0o600)
    );
    // Also within one second no file is written over.
    press(&mut child, b"e\r");
    files(&folder, ".jsonl", 1);
    press(&mut child, b"e\r");
    let lines = files(&folder, ".jsonl", 2);
    press(&mut child, b"ej\r");
    let tables = files(&folder, ".csv", 1);
    press(&mut child, b"qq");
    assert!(child.wait_with_output().unwrap().status.success());
    for path in lines.iter().chain(&tables) {
        assert_eq!(mode(path), 0o600, "{}", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap();
        let shape: String = name.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert!(shape.starts_with("rustnet_0000-00-00_00-00-00"), "{name}");
    }
    for path in &lines {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.lines().count() == 1 && text.contains("\"proto\":\"UDP\""), "{text}");
    }
    let text = fs::read_to_string(&tables[0]).unwrap();
    assert!(text.lines().count() == 2 && text.lines().nth(1).unwrap().contains("UDP"), "{text}");
}

#[test]
fn v13_a_first_run_asks_and_writes_nothing() {
    let folder = folder("terminal-first");
    let Some(mut child) = typing(&folder, "") else { return };
    // Through the tabs and out again.
    press(&mut child, b"234567");
    thread::sleep(Duration::from_millis(300));
    press(&mut child, b"1qq");
    assert!(child.wait_with_output().unwrap().status.success());
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["two.pcap"]);
}

#[test]
fn v16_frames_are_synchronized_and_nothing_is_cleared_between_them() {
    let folder = folder("terminal-frames");
    let Some(mut child) = typing(&folder, "") else { return };
    let mut stdout = child.stdout.take().unwrap();
    let mut got = Vec::new();
    // Each key is answered before the next one is pressed, so that none shares a frame.
    for keys in [&b""[..], b"2", b"3", b"4", b"1"] {
        press(&mut child, keys);
        let mut frame = Vec::new();
        while !String::from_utf8_lossy(&frame).contains("\u{1b}[?2026l") {
            let mut some = [0; 4096];
            let len = stdout.read(&mut some).unwrap();
            assert!(len > 0, "it ended: {:?}", String::from_utf8_lossy(&frame));
            frame.extend(&some[..len]);
        }
        got.extend(frame);
    }
    press(&mut child, b"qq");
    stdout.read_to_end(&mut got).unwrap();
    assert!(child.wait().unwrap().success());
    let got = String::from_utf8_lossy(&got);
    let [begins, ends] = ["\u{1b}[?2026h", "\u{1b}[?2026l"].map(|sign| got.matches(sign).count());
    assert!(begins >= 5 && ends >= begins, "{begins} {ends}");
    // The first frame's alone.
    let first = got.find("\u{1b}[?2026l").unwrap();
    let last = got.rfind("\u{1b}[?1049l").unwrap();
    assert!(!got[first..last].contains("\u{1b}[2J"), "{got:?}");
}

#[test]
fn f1_filters_of_earlier_runs_come_back_by_their_key() {
    let folder = folder("terminal-history");
    fs::create_dir_all(folder.join("state/rustnet")).unwrap();
    fs::write(folder.join("state/rustnet/filters"), "proto:tcp\nproto:nosuch\n").unwrap();
    let Some(mut child) = typing(&folder, "--theme dark") else { return };
    press(&mut child, b"/\x10\x10\re\r");
    let lines = files(&folder, ".jsonl", 1);
    press(&mut child, b"qq");
    assert!(child.wait_with_output().unwrap().status.success());
    let text = fs::read_to_string(&lines[0]).unwrap();
    assert!(text.lines().count() == 1 && text.contains("\"proto\":\"TCP\""), "{text}");
}

#[test]
fn k20_the_mouse_is_asked_for_unless_it_is_left_to_the_terminal() {
    for (flags, is_asked) in [("", true), ("--no-mouse", false)] {
        let folder = folder("terminal-mouse");
        let Some(mut child) = typing(&folder, flags) else { return };
        press(&mut child, b"qq");
        let got = child.wait_with_output().unwrap().stdout;
        let got = String::from_utf8_lossy(&got);
        assert!(got.contains("\u{1b}[?1049h"), "{got:?}");
        assert_eq!(got.contains("\u{1b}[?1006h"), is_asked, "{flags}: {got:?}");
    }
}

#[test]
fn l17_a_light_background_picks_the_light_theme() {
    // The accents of the light theme and of the dark one, in 256 colours.
    let [light, dark] = ["\u{1b}[38;5;24;", "\u{1b}[38;5;6;"];
    for (flags, answer, is_light) in [
        ("", "rgb:ffff/ffff/ffff", true),
        ("", "rgb:0000/0000/0000", false),
        ("--theme dark", "", false),
        ("--theme light", "", true),
    ] {
        let folder = folder("terminal-theme");
        let Some(mut child) = typing(&folder, flags) else { return };
        if !answer.is_empty() {
            press(&mut child, format!("\u{1b}]11;{answer}\u{1b}\\\u{1b}[?62;c").as_bytes());
        }
        // By then there was a frame in the theme.
        press(&mut child, b"e\r");
        files(&folder, ".jsonl", 1);
        press(&mut child, b"2qq");
        let got = child.wait_with_output().unwrap().stdout;
        let got = String::from_utf8_lossy(&got);
        let last = [light, dark].map(|color| got.rfind(color));
        assert_eq!(last[0] > last[1], is_light, "{flags} {answer}: {last:?}");
    }
}

#[test]
fn k9_what_is_copied_goes_to_the_terminal_and_to_the_desktop_where_there_is_one() {
    for (desktop, program) in
        [("", ""), ("WAYLAND_DISPLAY=wayland-0", "wl-copy"), ("DISPLAY=:0", "xclip"), ("DISPLAY=:0", "xsel")]
    {
        let folder = folder("terminal-clipboard");
        if !program.is_empty() {
            let path = folder.join(program);
            fs::write(&path, "#!/bin/sh\ncat > part && mv part $(basename $0).text\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let before = format!("export PATH=$PWD:/usr/bin:/bin {desktop};");
        let Some(mut child) = typing_behind(&before, &folder, "--theme dark --filter proto:tcp") else {
            return;
        };
        // By then there are rows.
        press(&mut child, b"e\r");
        files(&folder, ".jsonl", 1);
        press(&mut child, b"c");
        if !program.is_empty() {
            let copied = files(&folder, &format!("{program}.text"), 1);
            assert_eq!(fs::read_to_string(&copied[0]).unwrap(), "192.0.2.1:443", "{program}");
        }
        press(&mut child, b"qq");
        let got = child.wait_with_output().unwrap().stdout;
        let got = String::from_utf8_lossy(&got);
        // MTkyLjAuMi4xOjQ0Mw== is the same in base64.
        assert!(got.contains("\u{1b}]52;c;MTkyLjAuMi4xOjQ0Mw==\u{7}"), "{got:?}");
    }
}
