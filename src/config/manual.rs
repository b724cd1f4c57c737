//! Man page and shell completions, from the one definition of flags and the tables of keys, columns
//! and filter words.

use std::{fmt::Write as _, io};

use clap::CommandFactory as _;

use crate::{
    config::cli::Cli,
    query::{column::COLUMNS, filter::field::KEYWORDS},
    tui::keys::KEYS,
};

/// Returns the man page, in roff.
///
/// # Errors
/// None that memory does not have.
pub fn man() -> io::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).date("").source("rustnet").render(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    let keys = KEYS.iter().map(|key| (key.name.to_owned(), key.text));
    entries(&mut page, "KEYS", keys);
    let columns = COLUMNS.iter().map(|column| {
        (column.header.to_owned(), format!("shown from a width of {} cells", column.shown_from))
    });
    entries(&mut page, "COLUMNS", columns);
    page.push_str(".SH FILTERS\n");
    page.push_str(&escaped(
        "Words are looked for in every field, without regard to case; all must be there. A keyword looks at \
         one field. `!` or `not` excludes, `or` joins, ( ) groups, /.../ is a regular expression, ~letters \
         finds letters in this order.",
    ));
    page.push('\n');
    for keyword in KEYWORDS {
        entry(&mut page, &format!("{}:", keyword.name), keyword.text);
    }
    let files = [
        ("~/.config/rustnet/config.toml", "theme, order, columns, interfaces; nothing is written there"),
        ("~/.local/state/rustnet/filters", "filters that were entered"),
        ("logs/rustnet_DATE_TIME.log", "in the working directory, with --log-level"),
    ];
    entries(&mut page, "FILES", files.map(|(name, text)| (name.to_owned(), text)).into_iter());
    Ok(page)
}

/// Returns the completions of a shell.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rustnet", &mut out);
    out
}

fn entries(page: &mut String, heading: &str, all: impl Iterator<Item = (String, impl AsRef<str>)>) {
    let _ = writeln!(page, ".SH {heading}");
    all.for_each(|(name, text)| entry(page, &name, text.as_ref()));
}

fn entry(page: &mut String, name: &str, text: &str) {
    let _ = writeln!(page, ".TP\n\\fB{}\\fR\n{}", escaped(name), escaped(text));
}

/// What roff would take for requests or escapes is text (groff(7)).
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pk4_the_man_page_has_every_flag_key_column_and_word() {
        let page = man().unwrap();
        for arg in Cli::command().get_arguments().filter(|arg| !arg.is_hide_set()) {
            if let Some(long) = arg.get_long() {
                let flag = format!("\\-\\-{}", long.replace('-', "\\-"));
                assert!(page.contains(&flag), "--{long}");
            }
        }
        for name in KEYS.iter().map(|key| key.name).chain(COLUMNS.iter().map(|column| column.header)) {
            assert!(page.contains(&escaped(name)), "{name}");
        }
        assert!(KEYWORDS.iter().all(|keyword| page.contains(&format!("{}:", keyword.name))));
        assert!(page.lines().all(|line| !line.starts_with('\'')));
    }

    #[test]
    fn pk4_completions_have_the_flags() {
        use clap_complete::Shell;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = String::from_utf8(completions(shell)).unwrap();
            assert!(text.contains("refresh-interval") && text.contains("headless"), "{shell}");
        }
    }
}
