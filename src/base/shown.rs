//! Names from outside: which of their characters nobody sees, and paths in messages, where nothing may steer a terminal
//! or begin a line.

use std::{
    fmt::{self, Write as _},
    path::Path,
};

/// Returns whether a character steers how others are written, or shows nothing of its own: Unicode 16, categories Cf, Zl
/// and Zp and what is ignorable by default, such as joiners, the selectors of variants and the fillers of Hangul.
pub const fn is_unseen(c: char) -> bool {
    c >= '\u{ad}'
        && matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}'
            | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Shows a path with everything escaped (`\u{1b}`) that is not printed as it is: control characters,
/// line ends, changes of the direction of writing, characters that join others.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string_lossy().chars().try_for_each(|c| match c {
            // What `escape_debug` escapes for the sake of Rust's own texts.
            '"' | '\'' | '\\' => f.write_char(c),
            c if is_unseen(c) => write!(f, "{}", c.escape_unicode()),
            c => write!(f, "{}", c.escape_debug()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_known_and_letters_are_not_among_it() {
        for c in "\u{ad}\u{34f}\u{605}\u{61c}\u{115f}\u{1160}\u{17b4}\u{180b}\u{180e}\u{200b}\u{202e}\u{2028}\u{2029}\u{2066}\
                  \u{3164}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{1d173}\u{e0001}\u{e0041}\u{e0100}\u{e01ef}"
            .chars()
        {
            assert!(is_unseen(c), "{}", c.escape_unicode());
        }
        for c in "a~\u{a0}é\u{ae}ا한ᄀ\u{1161}網、가ﾡ\u{fffc}\u{fffd}😀𝄞".chars() {
            assert!(!is_unseen(c), "{}", c.escape_unicode());
        }
    }

    #[test]
    fn names_of_files_cannot_steer_the_terminal() {
        for (path, text) in [
            ("/tmp/it's \"a\".pcap", "/tmp/it's \"a\".pcap"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\nerror: b", "a\\nerror: b"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{9b}1m", "a\\u{9b}1m"),
            ("a\u{3164}b\u{fe0f}", "a\\u{3164}b\\u{fe0f}"),
            ("網路", "網路"),
        ] {
            assert_eq!(Shown(Path::new(path)).to_string(), text);
        }
    }
}
