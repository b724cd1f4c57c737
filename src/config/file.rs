//! The config file `~/.config/rustnet/config.toml`, and the filters that are remembered.
//!
//! A wrong entry is an error that names line and key; no file is no error, and none is written.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

use crate::{
    base::shown::Shown,
    config::parse,
    platform,
    query::{
        column::{COLUMNS, ColumnId},
        layout::Choice,
        sort::SortBy,
    },
    tui::theme::ThemeName,
};

/// What the config file says; what it leaves out is as usual.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileConfig {
    /// The theme.
    pub theme: Option<ThemeName>,
    /// What rows are sorted by at first.
    pub sort: Option<SortBy>,
    /// Columns that are shown, or not, whatever the width.
    pub columns: Choice,
    /// Interfaces to watch when none is named.
    pub interfaces: Vec<String>,
    /// Milliseconds between two refreshes.
    pub refresh: Option<u32>,
    /// Bits instead of bytes a second.
    pub bits: Option<bool>,
    /// Signs of ASCII only.
    pub ascii: Option<bool>,
    /// Whether the mouse is taken.
    pub mouse: Option<bool>,
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    theme: Option<Spanned<String>>,
    sort: Option<Spanned<String>>,
    show: Vec<Spanned<String>>,
    hide: Vec<Spanned<String>>,
    interface: Vec<String>,
    refresh: Option<Spanned<u32>>,
    bits: Option<bool>,
    ascii: Option<bool>,
    mouse: Option<bool>,
}

/// Reads the config file, if there is one.
///
/// # Errors
/// When it cannot be read or an entry is wrong: file, line, key, and what would be right.
pub fn read() -> Result<FileConfig, String> {
    let Some(path) = folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("config.toml")) else {
        return Ok(FileConfig::default());
    };
    match fs::read_to_string(&path) {
        Ok(text) => parse_text(&text).map_err(|why| format!("{}:{why}", Shown(&path))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(FileConfig::default()),
        Err(error) => Err(format!("{}: {error}", Shown(&path))),
    }
}

fn parse_text(text: &str) -> Result<FileConfig, String> {
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let at = error.span().unwrap_or(0..0);
        located(text, &at, error.message().trim())
    })?;
    fn value<T>(
        text: &str,
        key: &str,
        entry: Option<Spanned<String>>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let Some(entry) = entry else { return Ok(None) };
        let told =
            |why: String| located(text, &entry.span(), &format!("{key}: {:?} is not {why}", entry.get_ref()));
        read(entry.get_ref()).map(Some).map_err(told)
    }
    let columns = |key: &str, names: Vec<Spanned<String>>| -> Result<Vec<ColumnId>, String> {
        let names = names.into_iter().map(|name| value(text, key, Some(name), column));
        names.filter_map(Result::transpose).collect()
    };
    if let Some(refresh) = raw.refresh.as_ref().filter(|ms| !(50..=60_000).contains(ms.get_ref())) {
        return Err(located(text, &refresh.span(), "refresh: is 50 to 60000 milliseconds"));
    }
    Ok(FileConfig {
        theme: value(text, "theme", raw.theme, parse::theme)?,
        sort: value(text, "sort", raw.sort, parse::sort)?,
        columns: Choice {
            on: columns("show", raw.show)?,
            off: columns("hide", raw.hide)?,
            wider: Vec::new(),
        },
        interfaces: raw.interface,
        refresh: raw.refresh.map(Spanned::into_inner),
        bits: raw.bits,
        ascii: raw.ascii,
        mouse: raw.mouse,
    })
}

fn column(name: &str) -> Result<ColumnId, String> {
    let known =
        COLUMNS.iter().find(|c| c.header.eq_ignore_ascii_case(name) || c.short.eq_ignore_ascii_case(name));
    known
        .map(|c| c.id)
        .ok_or_else(|| format!("one of {}", COLUMNS.iter().map(|c| c.short).collect::<Vec<_>>().join(", ")))
}

/// `3: theme: ...`, with the line's key where the message has none.
fn located(text: &str, at: &Range<usize>, message: &str) -> String {
    let before = &text[..at.start.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let key = text.lines().nth(line - 1).and_then(|l| l.split_once('=')).map_or("", |(key, _)| key.trim());
    match key.is_empty() || message.starts_with(key) {
        true => format!("{line}: {message}"),
        false => format!("{line}: {key}: {message}"),
    }
}

/// Returns the program's folder below an XDG base folder.
fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |value: std::ffi::OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    let base = std::env::var_os(variable).and_then(absolute);
    let base = base.or_else(|| Some(std::env::var_os("HOME").and_then(absolute)?.join(below_home)))?;
    Some(base.join("rustnet"))
}

fn history_file() -> Option<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state").map(|folder| folder.join("filters"))
}

/// Returns the filters of earlier runs, oldest first; none if they cannot be read.
pub fn remembered() -> Vec<String> {
    let text = history_file().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Keeps the filters for the next run, as well as it can.
pub fn remember(filters: &[String]) {
    if let Some(path) = history_file() {
        // What cannot be kept is missed by nobody but the next run.
        let _ = replace(&path, &(filters.join("\n") + "\n"));
    }
}

/// Writes a file anew, readable by its owner only, so that a reader sees the old one or the new.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension(format!("new{}", std::process::id()));
    platform::private_file(&new)?.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_it_names_and_leaves_the_rest() {
        let file = parse_text(
            "# colours\ntheme = \"light\"\nsort = 'down'\nshow = [\"RTT\"]\nhide = [\"State\"]\n\
             interface = [\"eth0\"]\nrefresh = 500\nbits = true\n",
        )
        .unwrap();
        assert_eq!(file.theme, Some(ThemeName::Light));
        assert_eq!(file.sort, Some(SortBy::Down));
        assert_eq!((file.columns.on, file.columns.off), (vec![ColumnId::Rtt], vec![ColumnId::State]));
        assert_eq!((file.refresh, file.bits, file.ascii), (Some(500), Some(true), None));
        assert_eq!(parse_text("").unwrap(), FileConfig::default());
    }

    #[test]
    fn wrong_entries_name_line_and_key() {
        for (text, parts) in [
            ("theme = \"dark\"\ncolour = 1\n", ["2: colour", "unknown field"]),
            ("\n\ntheme = \"pink\"\n", ["3: theme: \"pink\" is not one of", "high-contrast"]),
            ("refresh = 5", ["1: refresh", "50 to 60000"]),
            ("refresh = \"fast\"", ["1: refresh", "invalid type"]),
            ("show = [\"Nothing\"]", ["1: show: \"Nothing\" is not one of", "RTT"]),
            ("theme = ", ["1: theme", ""]),
            ("bits = 1", ["1: bits", "boolean"]),
        ] {
            let error = parse_text(text).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
        }
    }
}
