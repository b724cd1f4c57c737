//! The config file `~/.config/rustnet/config.toml`, and the filters that are remembered.
//!
//! A wrong entry is an error that names line and key; no file is no error, and none is written.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use toml::Spanned;

use crate::{
    base::{shown::Shown, time::Nanos},
    config::parse,
    flow::services::service_name,
    platform,
    query::{
        column::{COLUMNS, ColumnId},
        filter::eval::Filter,
        layout::Choice,
        sort::SortBy,
        watch::{Counted, Watch, built_in},
    },
    tui::theme::ThemeName,
};

/// What the config file says; what it leaves out is as usual.
#[derive(Clone, Debug)]
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
    /// What is watched for: the watches of the program and those of the file.
    pub watches: Vec<Watch>,
    /// Why there is a file that says nothing.
    pub unreadable: Option<String>,
}

impl Default for FileConfig {
    /// Returns what an empty file says.
    fn default() -> Self {
        Self {
            theme: None,
            sort: None,
            columns: Choice::default(),
            interfaces: Vec::new(),
            refresh: None,
            bits: None,
            ascii: None,
            mouse: None,
            watches: built_in(),
            unreadable: None,
        }
    }
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
    refresh: Option<Spanned<i64>>,
    bits: Option<bool>,
    ascii: Option<bool>,
    mouse: Option<bool>,
    widths: BTreeMap<Spanned<String>, Spanned<i64>>,
    watch: Vec<RawWatch>,
}

/// One `[[watch]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWatch {
    name: Spanned<String>,
    filter: Spanned<String>,
    /// Connections that are still usual.
    #[serde(default)]
    above: Option<Spanned<f64>>,
    /// Seconds.
    #[serde(default, rename = "for")]
    lasting: Option<Spanned<f64>>,
}

/// Reads the config file, if there is one.
///
/// # Errors
/// When it cannot be read or an entry is wrong: file, line, key, and what would be right. A file that is not ours
/// to read, as that of the home folder of somebody else, is no error: what is usual holds.
pub fn read() -> Result<FileConfig, String> {
    let Some(path) = folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("config.toml")) else {
        return Ok(FileConfig::default());
    };
    // A pipe would be waited for; /dev/null is as good as no file.
    let waits = |real: &Path| fs::metadata(real).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
    if fs::canonicalize(&path).is_ok_and(|real| real != Path::new("/dev/null") && waits(&real)) {
        return Err(format!("{}: is not a file", Shown(&path)));
    }
    match fs::read_to_string(&path) {
        Ok(text) => parse_text(&text).map_err(|why| format!("{}:{why}", Shown(&path))),
        Err(error) => unread(&path, &error),
    }
}

fn unread(path: &Path, error: &std::io::Error) -> Result<FileConfig, String> {
    let why = format!("{}: {error}", Shown(path));
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(FileConfig::default()),
        std::io::ErrorKind::PermissionDenied => {
            Ok(FileConfig { unreadable: Some(why), ..FileConfig::default() })
        }
        _ => Err(why),
    }
}

fn parse_text(text: &str) -> Result<FileConfig, String> {
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let at = error.span().unwrap_or(0..0);
        located(text, &at, &plainly(error.message().trim()))
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
    let hidden = raw.hide.first().map(Spanned::span);
    let chosen = Choice {
        on: columns("show", raw.show)?,
        off: columns("hide", raw.hide)?,
        wider: widths(text, raw.widths)?,
    };
    if let Some(at) = hidden.filter(|_| COLUMNS.iter().all(|c| !chosen.shows(c, u16::MAX, None))) {
        return Err(located(text, &at, "hide: all columns are hidden; at least one must stay"));
    }
    Ok(FileConfig {
        theme: value(text, "theme", raw.theme, parse::theme)?,
        sort: value(text, "sort", raw.sort, parse::sort)?,
        columns: chosen,
        interfaces: raw.interface,
        refresh: raw.refresh.and_then(|ms| u32::try_from(ms.into_inner()).ok()),
        bits: raw.bits,
        ascii: raw.ascii,
        mouse: raw.mouse,
        watches: watches(text, raw.watch)?,
        unreadable: None,
    })
}

/// A span that text from the file's user can make at most: a year.
const LONGEST: f64 = 366.0 * 86_400.0;

fn watches(text: &str, all: Vec<RawWatch>) -> Result<Vec<Watch>, String> {
    let mut watches = built_in();
    for raw in all {
        let at = raw.filter.span();
        let filter = parse::filter(raw.filter.get_ref())
            .map_err(|why| located(text, &at, &format!("filter: {why}")))?;
        let expr = crate::query::filter::parse(&filter).ok().and_then(|parsed| parsed.expr);
        let expr = expr.ok_or_else(|| located(text, &at, "filter: nothing is looked for"))?;
        let number = |key: &str, entry: Option<Spanned<f64>>, most: f64| match entry {
            None => Ok(0.0),
            Some(n) if (0.0..=most).contains(n.get_ref()) => Ok(n.into_inner()),
            Some(n) => Err(located(text, &n.span(), &format!("{key}: is a number from 0"))),
        };
        watches.push(Watch {
            name: raw.name.into_inner(),
            counts: Counted::Rows(Arc::new(Filter::new(expr, Some(service_name)))),
            above: number("above", raw.above, f64::MAX)?,
            lasting: Nanos::from_secs_f64(number("for", raw.lasting, LONGEST)?),
            on: true,
        });
    }
    Ok(watches)
}

fn widths(text: &str, all: BTreeMap<Spanned<String>, Spanned<i64>>) -> Result<Vec<(ColumnId, i16)>, String> {
    let named = |(name, cells): (Spanned<String>, Spanned<i64>)| {
        let column = column(name.get_ref()).map_err(|why| {
            located(text, &name.span(), &format!("widths: {:?} is not {why}", name.get_ref()))
        })?;
        let [least, most] = Choice::WIDER;
        let within = i16::try_from(*cells.get_ref()).ok().filter(|cells| (least..=most).contains(cells));
        let cells = within.ok_or_else(|| {
            let why = format!("widths: {} is {least} to {most} cells more than usual", name.get_ref());
            located(text, &cells.span(), &why)
        })?;
        Ok((column, cells))
    };
    all.into_iter().map(named).collect()
}

fn column(name: &str) -> Result<ColumnId, String> {
    let known =
        COLUMNS.iter().find(|c| c.header.eq_ignore_ascii_case(name) || c.short.eq_ignore_ascii_case(name));
    known
        .map(|c| c.id)
        .ok_or_else(|| format!("one of {}", COLUMNS.iter().map(|c| c.short).collect::<Vec<_>>().join(", ")))
}

/// Says what is wrong with an entry in the words of who writes it, not of what reads it.
fn plainly(message: &str) -> String {
    let message = message.replace(['\n', '`'], " ");
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(rest) =
        message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))
    {
        let (found, wanted) = rest.split_once(", expected ").unwrap_or((rest, ""));
        if found.contains(" as i128") || found.contains(" as u") {
            return TOO_LARGE.into();
        }
        let found = found.trim();
        let wanted = match wanted {
            "u32" | "u64" | "i64" | "i32" | "an integer" => "a whole number",
            "f64" | "f32" => "a number",
            "a boolean" => "true or false",
            "a string" | "string" => "a text in quotes",
            "a sequence" => "a list in brackets",
            _ => "a table",
        };
        let (kind, value) = found.split_once(' ').unwrap_or(("", found));
        let found = match kind {
            "integer" | "string" | "boolean" | "floating" => value.trim_start_matches("point "),
            _ if found == "map" => "a table",
            _ if found == "sequence" => "a list",
            _ => found,
        };
        return format!("{found} is not {wanted}");
    }
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let (name, known) = rest.split_once(',').unwrap_or((rest, ""));
        let known = known.trim().trim_start_matches("expected one of").trim_start_matches("expected");
        return format!("there is no key {}; there are {}", name.trim(), known.trim().replace(" ,", ","));
    }
    if let Some(name) = message.strip_prefix("missing field ") {
        return format!("{} is missing", name.trim());
    }
    if let Some(name) = message.strip_prefix("duplicate key") {
        return format!("a key stands twice{name}");
    }
    let is_too_large =
        ["too large", "too small", "overflow", "fit in target type", "out of range", "i64", "i128"];
    if is_too_large.iter().any(|words| message.contains(words)) {
        return TOO_LARGE.into();
    }
    if message.starts_with("invalid basic string") || message.starts_with("invalid literal string") {
        return "what stands in quotes has no end, or a backslash that means nothing".into();
    }
    message
}

const TOO_LARGE: &str = "this number is too large";

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

/// Keeps the columns that were chosen: their three entries of the config file are written anew, the rest
/// of it stays as it is.
///
/// # Errors
/// When the file cannot be read or written.
pub fn keep_columns(columns: &Choice) -> Result<(), String> {
    let path = folder("XDG_CONFIG_HOME", ".config").ok_or("there is no home folder")?.join("config.toml");
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let new = with_columns(&old, columns);
    // What somebody has made of the file meanwhile is not made worse.
    parse_text(&new).map_err(|why| format!("{}:{why}", path.display()))?;
    replace(&path, &new).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns the text of a config file with these columns.
fn with_columns(old: &str, columns: &Choice) -> String {
    let name = |id: &ColumnId| COLUMNS.iter().find(|c| c.id == *id).map_or("", |c| c.short);
    let list =
        |ids: &[ColumnId]| ids.iter().map(|id| format!("{:?}", name(id))).collect::<Vec<_>>().join(", ");
    let widths = columns.wider.iter().filter(|(_, cells)| *cells != 0);
    let widths: Vec<_> = widths.map(|(id, cells)| format!("{:?} = {cells}", name(id))).collect();
    let mut own = String::new();
    for (key, entry) in [
        ("show", (!columns.on.is_empty()).then(|| format!("[{}]", list(&columns.on)))),
        ("hide", (!columns.off.is_empty()).then(|| format!("[{}]", list(&columns.off)))),
        ("widths", (!widths.is_empty()).then(|| format!("{{ {} }}", widths.join(", ")))),
    ] {
        own += &entry.map_or(String::new(), |entry| format!("{key} = {entry}\n"));
    }
    // Entries end where their brackets do; tables come last.
    let (mut kept, mut tables, mut open) = (String::new(), String::new(), 0_i32);
    for line in old.lines() {
        let key = line.split('=').next().unwrap_or("").trim();
        if open > 0 {
            open += depth(line);
        } else if !tables.is_empty() || line.trim_start().starts_with('[') {
            tables += &format!("{line}\n");
        } else if matches!(key, "show" | "hide" | "widths") {
            open = depth(line);
        } else {
            kept += &format!("{line}\n");
        }
    }
    kept + &own + &tables
}

/// Returns how many more brackets a line opens than it closes; those in comments and texts are none.
fn depth(line: &str) -> i32 {
    let (mut depth, mut quote, mut escaped) = (0, None, false);
    for c in line.chars() {
        match (quote, c) {
            (None, '#') => break,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            // Only texts in double quotes have escapes (TOML 1.0, basic and literal strings).
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            _ => {}
        }
        escaped = false;
    }
    depth
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
        let empty = parse_text("").unwrap();
        assert!(empty.theme.is_none() && empty.columns == Choice::default() && empty.watches.len() == 3);
        assert_eq!(FileConfig::default().watches.len(), 3, "without a file as with an empty one");
    }

    #[test]
    fn pm4_a_file_that_is_not_ours_to_read_is_no_error() {
        let of = |kind| unread(Path::new("/root/config.toml"), &std::io::Error::from(kind));
        let file = of(std::io::ErrorKind::PermissionDenied).unwrap();
        assert!(file.unreadable.unwrap().starts_with("/root/config.toml: permission denied"));
        assert!(of(std::io::ErrorKind::NotFound).unwrap().unreadable.is_none());
        assert!(of(std::io::ErrorKind::IsADirectory).is_err());
    }

    #[test]
    fn v15_watches_come_from_the_file() {
        let text = "bits = true\n[[watch]]\nname = \"curl\"\nfilter = \"process:curl\"\nabove = 3\nfor = 1.5\n\
            [[watch]]\nname = \"dns\"\nfilter = \"app:dns\"\n";
        let watches = parse_text(text).unwrap().watches;
        assert_eq!(watches.len(), 5);
        let told = |w: &Watch| (w.name.clone(), w.above, w.lasting, w.on);
        assert_eq!(told(&watches[3]), ("curl".into(), 3.0, Nanos::from_millis(1500), true));
        assert_eq!(told(&watches[4]), ("dns".into(), 0.0, Nanos(0), true));
    }

    #[test]
    fn k16_columns_are_kept_and_the_rest_of_the_file_stays() {
        let old = "# mine\ntheme = \"light\"\nshow = [\n  \"RTT\", # round trips\n]\nbits = true\n\n[[watch]]\n\
            name = \"hide\"\nfilter = \"tcp\"\n";
        let mut columns = parse_text(old).unwrap().columns;
        assert_eq!(columns.on, [ColumnId::Rtt]);
        columns.off.push(ColumnId::State);
        columns.widen(ColumnId::Remote, 4);
        let new = with_columns(old, &columns);
        let read = parse_text(&new).unwrap_or_else(|why| panic!("{why} in {new}"));
        assert_eq!((read.columns, read.watches.len(), read.bits), (columns, 4, Some(true)));
        assert!(new.starts_with("# mine\ntheme = \"light\"\nbits = true\n"), "{new}");
        assert_eq!(with_columns(&new, &Choice::default()), with_columns(old, &Choice::default()));
        assert_eq!(with_columns("", &Choice::default()), "");
        // Brackets in comments and texts are no brackets.
        for (old, rest) in [
            ("show = [ # RTT [ and {\n  \"RTT\", # ]\n]\nbits = true\n", "bits = true\n"),
            (
                "# show [\ntheme = \"dark\" # {\nhide = [\"State\"] # [\nbits = true\n",
                "# show [\ntheme = \"dark\" # {\nbits = true\n",
            ),
            ("interface = [\"a]\\\"[\", 'b[\\']\nshow = [\"RTT\"]\n", "interface = [\"a]\\\"[\", 'b[\\']\n"),
        ] {
            assert_eq!(with_columns(old, &Choice::default()), rest);
        }
    }

    #[test]
    fn wrong_entries_name_line_and_key() {
        for (text, parts) in [
            (
                "theme = \"dark\"\ncolour = 1\n",
                ["2: colour", "there is no key colour; there are theme, sort,"],
            ),
            ("\n\ntheme = \"pink\"\n", ["3: theme: \"pink\" is not one of", "high-contrast"]),
            ("refresh = 5", ["1: refresh", "50 to 60000"]),
            ("refresh = \"fast\"", ["1: refresh", "\"fast\" is not a whole number"]),
            ("refresh = 5000000000", ["1: refresh", "50 to 60000"]),
            ("refresh = -5", ["1: refresh", "50 to 60000"]),
            ("bits = true\nrefresh = 99999999999999999999", ["2: refresh", "this number is too large"]),
            (
                "refresh = 99999999999999999999999999999999999999999999",
                ["1: refresh", "this number is too large"],
            ),
            ("widths = { Remote = 99999999999999999999 }", ["1: widths", "this number is too large"]),
            (
                "[[watch]]\nname = \"x\"\nfilter = \"tcp\"\nabove = 99999999999999999999",
                ["4: above", "too large"],
            ),
            ("refresh = 5.5", ["1: refresh", "5.5 is not a whole number"]),
            ("show = \"RTT\"", ["1: show", "\"RTT\" is not a list in brackets"]),
            ("theme = 1", ["1: theme", "1 is not a text in quotes"]),
            ("[[watch]]\nname = \"x\"\n", ["1: ", "filter is missing"]),
            ("show = [\"Nothing\"]", ["1: show: \"Nothing\" is not one of", "RTT"]),
            ("theme = ", ["1: theme", ""]),
            ("bits = 1", ["1: bits", "1 is not true or false"]),
            ("[[watch]]\nname = \"x\"\nfilter = \"rate>\"", ["3: filter", "not complete"]),
            ("[[watch]]\nname = \"x\"\nfilter = \"tcp\"\nfor = -1", ["4: for", "from 0"]),
            ("widths = { Nothing = 2 }", ["1: widths", "RTT"]),
            ("\nwidths = { Remote = 81 }", ["2: widths: Remote is", "-40 to 80"]),
            ("widths = { Remote = -41 }", ["1: widths: Remote is", "-40 to 80"]),
            ("widths = { Remote = 99999999 }", ["1: widths: Remote is", "-40 to 80"]),
        ] {
            let error = parse_text(text).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
        }
        let all: Vec<_> = COLUMNS.iter().map(|c| format!("{:?}", c.short)).collect();
        let error = parse_text(&format!("bits = true\nhide = [{}]\n", all.join(", "))).unwrap_err();
        assert!(error.starts_with("2: hide: all columns are hidden"), "{error}");
        assert!(parse_text(&format!("hide = [{}]\n", all[1..].join(", "))).is_ok());
    }
}
