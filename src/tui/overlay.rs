//! What lies over the page: the palette, the chooser of columns, and lists to choose from or to read.

use crate::{
    query::{
        column::COLUMNS, filter::matching, format, group::GroupBy, kept::of_row, sort::SORTS, watch::Counted,
    },
    tui::{
        action::Action,
        app::{Again, App, Effect, Form, Next},
        field::Field,
        keys::KEYS,
        terms,
        theme::{Role, ThemeName},
    },
};

/// An overlay.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// Every action by name.
    Palette {
        /// What is typed.
        field: Field,
        /// The selected entry.
        selected: usize,
    },
    /// Which columns are shown.
    Columns {
        /// The selected column.
        selected: usize,
    },
    /// Something to choose, or to read.
    List(List),
}

/// A list with a title.
#[derive(Clone, Debug)]
pub struct List {
    /// What it is.
    pub title: &'static str,
    /// What one can do.
    pub hint: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
    /// The selected one.
    pub selected: usize,
    /// The line that was chosen and is asked about, and what is asked: chosen again, it is done.
    pub asked: Option<(usize, String)>,
    /// What its lines are at each epoch, where they change with it.
    pub renew: Option<fn(&App) -> Vec<Line>>,
}

impl List {
    /// Returns what is asked about the selected line, if it was chosen.
    pub fn question(&self) -> Option<&str> {
        self.asked.as_ref().filter(|(line, _)| *line == self.selected).map(|(_, question)| &**question)
    }
}

/// A line of a list.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is about.
    pub name: String,
    /// What is said of it.
    pub text: String,
    /// What choosing it does.
    pub pick: Pick,
}

/// What choosing a line does.
#[derive(Clone, Debug)]
pub enum Pick {
    /// Nothing: it is to be read.
    Read,
    /// Copies this.
    Copy(String),
    /// Writes the rows of the view in this form.
    Export(Form),
    /// Watches this interface.
    Interface(String),
}

/// An entry of the palette.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key, if it has one.
    pub key: &'static str,
    /// What it does.
    pub text: String,
    /// Why it cannot be done now.
    pub refusal: Option<String>,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Act(Action),
    Sort(usize),
    Theme(ThemeName),
    Refresh(u32),
    Filter(String),
    Watch(usize),
    NewWatch(String),
}

impl Overlay {
    /// Returns the palette.
    pub fn palette() -> Self {
        Self::Palette { field: Field::default(), selected: 0 }
    }

    /// Returns the chooser of columns.
    pub fn columns() -> Self {
        Self::Columns { selected: 0 }
    }

    fn list(title: &'static str, hint: &'static str, lines: Vec<Line>) -> Self {
        Self::List(List { title, hint, lines, selected: 0, asked: None, renew: None })
    }

    /// Returns the forms in which the selected row can be copied.
    pub fn copy_as(app: &App) -> Self {
        let forms = app.selected_row().map(|row| {
            let line = app.setup.row_line.map(|line| line(&of_row(row)));
            terms::copies(row, line)
        });
        let line = |(name, text): (&str, String)| Line {
            name: name.into(),
            text: text.clone(),
            pick: if name == terms::NO_CAPTURE { Pick::Read } else { Pick::Copy(text) },
        };
        let lines = forms.into_iter().flatten().map(line).collect();
        Self::list("Copy", "Enter copies, Esc closes", lines)
    }

    /// Returns the forms in which the rows or the sums of the view can be written.
    pub fn export(app: &App) -> Self {
        let line = |form: Form, text: &str| Line {
            name: form.ending().into(),
            text: text.into(),
            pick: Pick::Export(form),
        };
        let (title, object, table) = match app.group_by() {
            None => (
                "Write the rows of this view",
                "one JSON object a line, every field, as --output jsonl",
                "a table for spreadsheets: names, then one line a row",
            ),
            Some(GroupBy::Host) => (
                "Write the sums by host",
                "one JSON object for each host, all columns, exact numbers",
                "a table for spreadsheets: names, then one line a host",
            ),
            Some(GroupBy::Process) => (
                "Write the sums by process",
                "one JSON object for each process, all columns, exact numbers",
                "a table for spreadsheets: names, then one line a process",
            ),
        };
        let lines = vec![line(Form::Jsonl, object), line(Form::Csv, table)];
        Self::list(title, "Enter writes a new file here, Esc closes", lines)
    }

    /// Returns the interfaces of this host.
    pub fn interfaces(app: &App) -> Self {
        let all = app.setup.interfaces.map(|list| list()).unwrap_or_default();
        let watched: Vec<&str> = app
            .view
            .iter()
            .flat_map(|view| &view.sources)
            .flat_map(|s| &s.interfaces)
            .map(|i| &*i.name)
            .collect();
        let selected = all.iter().position(|(name, _)| watched.contains(&name.as_str())).unwrap_or(0);
        let line = |(name, text): (String, String)| {
            let now = if watched.contains(&name.as_str()) { "  (watched now)" } else { "" };
            Line { text: format!("{text}{now}"), pick: Pick::Interface(name.clone()), name }
        };
        let (title, hint) = ("Interfaces", "Enter watches it instead, Esc closes");
        let lines = all.into_iter().map(line).collect();
        Self::List(List { title, hint, lines, selected, asked: None, renew: None })
    }

    /// Returns the sockets that wait for others.
    pub fn listeners(app: &App) -> Self {
        let all = app.setup.listening.map(|list| list()).unwrap_or_default();
        let line = |l: crate::process::listening::Listening| {
            let at = crate::query::text::endpoint(l.address, Some(l.port));
            let owner = match (l.pid, l.name.is_empty()) {
                (Some(pid), false) => format!("{} ({pid})", crate::query::text::escape(&l.name)),
                (Some(pid), true) => format!("? ({pid})"),
                (None, _) => format!("? uid {}", l.uid),
            };
            let proto = if l.protocol == "TCP" { 6 } else { 17 };
            let service = app.setup.services.and_then(|name| name(proto, l.port)).unwrap_or("");
            let (name, text) = (
                format!("{} {}", l.protocol, l.port),
                format!("{} {service:<14} {at}", crate::query::text::padded(&owner, 30)),
            );
            Line { name, text, pick: Pick::Copy(at) }
        };
        let lines = all.into_iter().map(line).collect();
        Self::list("Sockets that wait for others", "Enter copies the address, Esc closes", lines)
    }

    /// Returns what does not work here as it should, and what helps.
    pub fn degraded(app: &App) -> Self {
        Self::List(List {
            title: "What is degraded, and what helps",
            hint: "Esc closes",
            lines: degraded_lines(app),
            selected: 0,
            asked: None,
            renew: Some(degraded_lines),
        })
    }

    /// Returns what the line under the cursor of the tab Pipeline means.
    pub fn explained(app: &App) -> Self {
        let all = crate::tui::view::pipeline::about(app);
        let line = |(name, text): (String, String)| Line { name, text, pick: Pick::Read };
        Self::list("What this line means", "Esc closes", all.into_iter().map(line).collect())
    }

    /// Returns the keys that work in it, with what they do.
    pub fn keys(&self) -> &'static [(&'static str, &'static str)] {
        let is_read = |line: &Line| matches!(line.pick, Pick::Read);
        match self {
            Self::List(list) if list.lines.iter().all(is_read) => &[("Up Down", "line"), ("Esc", "close")],
            Self::Columns { .. } => &[("Up Down", "line"), ("Enter", "show or hide"), ("Esc", "close")],
            Self::List(_) | Self::Palette { .. } => {
                &[("Up Down", "line"), ("Enter", "choose"), ("Esc", "close")]
            }
        }
    }

    /// Moves the selection.
    pub fn step(&mut self, by: i32, app_entries: usize) {
        let (selected, len) = match self {
            Self::Palette { selected, .. } => (selected, app_entries),
            Self::Columns { selected } => (selected, COLUMNS.len()),
            Self::List(list) => (&mut list.selected, list.lines.len()),
        };
        *selected = selected.saturating_add_signed(by as isize).min(len.saturating_sub(1));
    }

    /// Selects an entry; returns whether it was selected before.
    pub fn select(&mut self, entry: usize) -> bool {
        let (Self::Palette { selected, .. } | Self::Columns { selected } | Self::List(List { selected, .. })) =
            self;
        std::mem::replace(selected, entry) == entry
    }
}

fn degraded_lines(app: &App) -> Vec<Line> {
    let line = |(name, text): (&str, String)| Line { name: name.into(), text, pick: Pick::Read };
    let mut lines: Vec<Line> = app.degraded().into_iter().chain(app.troubled_links()).map(line).collect();
    // The chip of watches has no room for more than their number.
    lines.extend(app.firing().map(|(watch, firing)| {
        let remedy = if matches!(watch.counts, Counted::Lost) { "; 7 Pipeline tells by what" } else { "" };
        let value = match firing.value {
            n if n.fract() == 0.0 => format::grouped(n as u64),
            n => format!("{n:.1}"),
        };
        line(("watch", format!("{}: {value} now{remedy}", watch.name)))
    }));
    if lines.is_empty() {
        lines.push(line(("all", "nothing is degraded".into())));
    }
    lines
}

/// Returns the entries of the palette that fit what is typed, best first.
pub fn entries(app: &App, typed: &str) -> Vec<Entry> {
    let entry = |key, text: String, what| Entry { key, text, refusal: None, what };
    let typed = typed.trim();
    if let Some(one) = entry_of_words(typed) {
        return vec![one];
    }
    let mut all: Vec<Entry> = KEYS
        .iter()
        .filter(|k| k.action != Action::Palette)
        .map(|k| Entry {
            refusal: (k.works)(app).err().map(str::to_owned),
            ..entry(k.name, k.text.into(), What::Act(k.action))
        })
        .collect();
    for (n, row) in SORTS.iter().enumerate() {
        all.push(entry("", format!("sort by {}", row.name), What::Sort(n)));
    }
    for (theme, name) in ThemeName::ALL {
        all.push(entry("", format!("theme {name}"), What::Theme(theme)));
    }
    for ms in [100, 250, 500, 1000, 2000, 5000] {
        all.push(entry("", format!("refresh {ms}"), What::Refresh(ms)));
    }
    for (n, watch) in app.watches.iter().enumerate() {
        let state = if watch.on { "on" } else { "off" };
        let name = crate::query::text::escape(&watch.name).into_owned();
        all.push(entry("", format!("watch {name} (is {state})"), What::Watch(n)));
    }
    if typed.is_empty() {
        return all;
    }
    let letters = typed.to_lowercase().replace(' ', "");
    let score = |e: &Entry| {
        let key = e.key == typed;
        let text = matching::fuzzy(e.text.as_bytes(), &letters);
        if key { Some(0) } else { text.map(|s| s + 1) }
    };
    let mut fitting: Vec<(u32, Entry)> = all.into_iter().filter_map(|e| score(&e).map(|s| (s, e))).collect();
    fitting.sort_by_key(|(score, entry)| (entry.refusal.is_some(), *score));
    let mut fitting: Vec<Entry> = fitting.into_iter().map(|(_, entry)| entry).collect();
    if let Some(filter) = typed.strip_prefix("watch ") {
        let refusal = why_no_filter(filter);
        let text = format!("watch for connections with {filter}");
        fitting.push(Entry { refusal, ..entry("", text, What::NewWatch(filter.into())) });
    }
    fitting
}

/// Returns the one entry of a command with a value behind it.
fn entry_of_words(typed: &str) -> Option<Entry> {
    let entry = |text: String, what, refusal| Some(Entry { key: "", text, refusal, what });
    if let Some(word) = typed.strip_prefix("refresh ").map(str::trim) {
        let ms = word.parse::<u32>().ok().filter(|ms| (50..=60_000).contains(ms));
        let refusal = ms.is_none().then(|| "50 to 60000 milliseconds".to_owned());
        return entry(format!("refresh {word}"), What::Refresh(ms.unwrap_or(0)), refusal);
    }
    if typed == "refresh" {
        let missing = "milliseconds are missing, from 50 to 60000: refresh 500".to_owned();
        return entry("refresh ...".into(), What::Refresh(0), Some(missing));
    }
    let filter = typed.strip_prefix("filter ")?;
    entry(format!("filter {filter}"), What::Filter(filter.into()), why_no_filter(filter))
}

/// Returns why a text is no filter, if it is none.
fn why_no_filter(text: &str) -> Option<String> {
    match crate::query::filter::parse(text) {
        Err(problem) => Some(problem.reason),
        Ok(parsed) if parsed.incomplete.is_some() => Some("this is not complete".into()),
        Ok(parsed) if parsed.expr.is_none() => Some("nothing is looked for".into()),
        Ok(_) => None,
    }
}

impl App {
    /// Brings a list that is open up to this epoch.
    pub(super) fn renew_overlay(&mut self) {
        let Some(Overlay::List(List { renew: Some(renew), .. })) = self.overlay else { return };
        let new = renew(self);
        if let Some(Overlay::List(list)) = &mut self.overlay {
            list.selected = list.selected.min(new.len().saturating_sub(1));
            list.lines = new;
        }
    }

    /// Does what is selected in the overlay.
    pub fn choose(&mut self) -> Next {
        match self.overlay.clone() {
            Some(Overlay::Palette { field, selected }) => {
                if let Some(entry) = entries(self, field.text()).get(selected).cloned() {
                    return self.choose_entry(entry);
                }
            }
            Some(Overlay::Columns { selected }) => {
                let width = self.screen_width;
                self.columns.switch(&COLUMNS[selected.min(COLUMNS.len() - 1)], width);
                self.effects.push(Effect::KeepColumns(self.columns.clone()));
            }
            Some(Overlay::List(list)) => {
                if self.asks_before(&list) {
                    return Next::Draw;
                }
                self.overlay = None;
                match list.lines.into_iter().nth(list.selected).map(|line| line.pick) {
                    Some(Pick::Copy(text)) => self.copy(text),
                    Some(Pick::Export(form)) => self.effects.push(Effect::Export(form)),
                    Some(Pick::Interface(name)) => self.effects.push(Effect::Again(Again::Interface(name))),
                    Some(Pick::Read) | None => {}
                }
            }
            None => {}
        }
        Next::Draw
    }

    /// Asks before what is shown is given up for another interface; returns whether it does, as it has not done so.
    fn asks_before(&mut self, list: &List) -> bool {
        let name = match list.lines.get(list.selected).map(|line| &line.pick) {
            Some(Pick::Interface(name)) if list.question().is_none() => name,
            _ => return false,
        };
        let frozen = if self.is_frozen() { "the frozen view, " } else { "" };
        let name = crate::query::text::escape(name);
        let question =
            format!("Enter again gives up rows, {frozen}history and marks for {name}, Esc does not");
        if let Some(Overlay::List(shown)) = &mut self.overlay {
            shown.asked = Some((shown.selected, question));
        }
        true
    }

    fn choose_entry(&mut self, entry: Entry) -> Next {
        if let Some(refusal) = entry.refusal {
            self.say(refusal, Role::Warn);
            return Next::Draw;
        }
        self.overlay = None;
        match entry.what {
            What::Act(action) => return self.act(action),
            What::Sort(n) => self.set_sort(crate::query::sort::Sort::by(SORTS[n].by)),
            What::Theme(theme) => self.setup.theme.name = theme,
            What::Filter(filter) => self.set_filter(&filter),
            What::Watch(n) => self.switch_watch(n),
            What::NewWatch(filter) => self.add_watch(&filter),
            What::Refresh(ms) => {
                self.say(format!("refreshed every {ms} ms"), Role::Plain);
                self.effects.push(Effect::Refresh(ms));
            }
        }
        Next::Draw
    }
}
