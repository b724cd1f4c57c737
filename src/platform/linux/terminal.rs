//! What the terminal says of itself.
#![expect(unsafe_code, reason = "poll and read on standard input, which is in raw mode")]

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

/// Terminals answer within a round trip; those that do not are not waited for longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Asks for the background (OSC 11), and then for something that every terminal answers (DA1), so that
/// one knows when there will be no answer to the first (xterm, ctlseqs).
const QUESTION: &[u8] = b"\x1b]11;?\x07\x1b[c";
/// Answers are short; more is what somebody types.
const MOST: usize = 4096;

/// Asks the terminal for its background, which must be in raw mode. Returns whether it is a light one,
/// and bytes that came meanwhile and are no answer.
pub fn terminal_background() -> (bool, Vec<u8>) {
    let mut out = io::stdout().lock();
    if out.write_all(QUESTION).and_then(|()| out.flush()).is_err() {
        return (false, Vec::new());
    }
    drop(out);
    let (mut bytes, until) = (Vec::new(), Instant::now() + PATIENCE);
    while bytes.len() < MOST && !is_over(&bytes) && wait(until) {
        let mut part = [0_u8; 256];
        // SAFETY: the buffer is valid for writing its length.
        let n = unsafe { libc::read(libc::STDIN_FILENO, part.as_mut_ptr().cast(), part.len()) };
        match usize::try_from(n) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&part[..n]),
            _ => break,
        }
    }
    read_answers(&bytes)
}

/// Waits for bytes; returns whether there are any.
fn wait(until: Instant) -> bool {
    let left = until.saturating_duration_since(Instant::now());
    let mut poll = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid structure.
    let ready = unsafe { libc::poll(&raw mut poll, 1, left.as_millis() as i32) };
    ready > 0 && poll.revents & libc::POLLIN != 0
}

/// Whether the answer to the second question is there: `ESC [ ? ... c`.
fn is_over(bytes: &[u8]) -> bool {
    let start = bytes.windows(3).position(|part| part == b"\x1b[?");
    start.is_some_and(|start| bytes[start..].contains(&b'c'))
}

/// Takes the answers out of what was read.
fn read_answers(bytes: &[u8]) -> (bool, Vec<u8>) {
    let (mut is_light, mut typed) = (false, Vec::new());
    let mut rest = bytes;
    while let Some((&first, behind)) = rest.split_first() {
        let text = String::from_utf8_lossy(rest).into_owned();
        if let Some(answer) = text.strip_prefix("\x1b]11;") {
            let end = answer.find(['\x07', '\x1b']).unwrap_or(answer.len());
            is_light = luminance(&answer[..end]).is_some_and(|light| light > 0.5);
            let terminator = if answer[end..].starts_with("\x1b\\") { 2 } else { 1 };
            rest = rest.get(5 + end + terminator..).unwrap_or(&[]);
        } else if text.starts_with("\x1b[?") {
            let end = rest.iter().position(|b| *b == b'c').map_or(rest.len(), |at| at + 1);
            rest = &rest[end..];
        } else {
            typed.push(first);
            rest = behind;
        }
    }
    (is_light, typed)
}

/// Returns how light `rgb:ffff/ffff/ffff` is, 0 to 1 (ITU-R BT.601); parts have one to four digits.
fn luminance(answer: &str) -> Option<f64> {
    let colors = answer.strip_prefix("rgb:").or_else(|| answer.strip_prefix("rgba:"))?;
    let mut parts = colors.split('/').map(|part| {
        let value = u32::from_str_radix(part, 16).ok().filter(|_| part.len() <= 4)?;
        Some(f64::from(value) / f64::from((1_u32 << (4 * part.len())) - 1))
    });
    let [red, green, blue] = [parts.next()??, parts.next()??, parts.next()??];
    Some(0.299 * red + 0.587 * green + 0.114 * blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l17_backgrounds_are_told_and_what_is_typed_meanwhile_is_kept() {
        for (answer, is_light, typed) in [
            ("\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62;c", true, ""),
            ("\x1b]11;rgb:fd/f6/e3\x07\x1b[?1;2c", true, ""),
            ("\x1b]11;rgb:0000/2b2b/3636\x1b\\\x1b[?62;22c", false, ""),
            ("q\x1b]11;rgb:ffff/ffff/ffff\x1b\\j\x1b[?6cs", true, "qjs"),
            ("\x1b[?1;2c", false, ""),
            ("", false, ""),
            ("\x1b]11;rgb:zz//\x07x", false, "x"),
            ("\x1b]11;rgb:ffff/ff", false, ""),
            ("\x1b]11;", false, ""),
            ("abc", false, "abc"),
        ] {
            assert_eq!(read_answers(answer.as_bytes()), (is_light, typed.into()), "{answer:?}");
        }
        assert!(is_over(b"\x1b]11;rgb:0/0/0\x07\x1b[?6c") && !is_over(b"\x1b]11;rgb:cccc/cc"));
    }
}
