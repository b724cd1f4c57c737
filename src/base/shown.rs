//! Paths in messages: nothing in a file's name may steer a terminal or begin a line.

use std::{
    fmt::{self, Write as _},
    path::Path,
};

/// Shows a path with everything escaped (`\u{1b}`) that is not printed as it is: control characters,
/// line ends, changes of the direction of writing, characters that join others.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string_lossy().chars().try_for_each(|c| match c {
            // What `escape_debug` escapes for the sake of Rust's own texts.
            '"' | '\'' | '\\' => f.write_char(c),
            c => write!(f, "{}", c.escape_debug()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_cannot_steer_the_terminal() {
        for (path, text) in [
            ("/tmp/it's \"a\".pcap", "/tmp/it's \"a\".pcap"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\nerror: b", "a\\nerror: b"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{9b}1m", "a\\u{9b}1m"),
            ("網路", "網路"),
        ] {
            assert_eq!(Shown(Path::new(path)).to_string(), text);
        }
    }
}
