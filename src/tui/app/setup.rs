//! What the screen is told once, and what it asks of the loop and of those who started it.

use std::{net::IpAddr, path::Path, sync::Arc};

use crate::{
    base::time::{Nanos, Stamp},
    capture::source::NicCounters,
    process::listening::Listening,
    query::{
        column::ServiceName,
        filter::eval::Neighbours,
        layout::Choice,
        recording::Tally,
        signs::Signs,
        sort::Sort,
        watch::{Watch, built_in},
        window::Localhost,
    },
    snapshot::tap::Ended,
    tui::theme::Theme,
};

/// Milliseconds between two refreshes where nobody says otherwise.
pub const REFRESH_MS: u32 = 1000;

/// Returns the interfaces of this machine, each with its name and what it is.
pub type ListInterfaces = fn() -> Vec<(String, String)>;

/// What the screen is told once.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Signs that the terminal shows.
    pub signs: Signs,
    /// Colours.
    pub theme: Theme,
    /// Names of services; without it there are only numbers.
    pub services: Option<ServiceName>,
    /// Whether connections of this host with itself are shown at first.
    pub localhost: Localhost,
    /// Seconds that local time is east of Greenwich at a moment.
    pub utc_offset: fn(Stamp) -> i32,
    /// What is read, if it is a file: its name.
    pub file: Option<String>,
    /// Whether that can be read again, up to some time.
    pub rereads: bool,
    /// Whether interfaces were asked for frames to other hosts too.
    pub promiscuous: bool,
    /// What capture cannot do here, in words.
    pub notes: Vec<String>,
    /// Why this way of capture was taken, or what it costs here, in words.
    pub reason: Option<String>,
    /// The filter at first.
    pub filter: String,
    /// The order at first.
    pub sort: Sort,
    /// Rows keep their places for a moment where they are sorted by a rate.
    pub damping: bool,
    /// Columns that are shown and not shown whatever the width.
    pub columns: Choice,
    /// Bits instead of bytes a second.
    pub bits: bool,
    /// Filters that were entered in earlier runs, oldest first.
    pub remembered: Vec<String>,
    /// What is watched for.
    pub watches: Vec<Watch>,
    /// Makes a row's line of the export.
    pub row_line: Option<fn(&Ended) -> String>,
    /// Milliseconds between two refreshes.
    pub refresh_ms: u32,
    /// Names the interfaces that can be watched, each with what is known of it.
    pub interfaces: Option<ListInterfaces>,
    /// Names the sockets that wait for others.
    pub listening: Option<fn() -> Vec<Listening>>,
    /// Returns the hardware address of a neighbour.
    pub neighbour: Option<fn(IpAddr) -> Option<String>>,
    /// Returns the hardware addresses of all neighbours.
    pub neighbours: Option<fn() -> Neighbours>,
    /// Returns what an interface of this name counts.
    pub nic_counters: Option<fn(&str) -> Option<NicCounters>>,
    /// Where cores and interfaces stand to each other, in words.
    pub placement: Vec<String>,
    /// What of that costs speed.
    pub placement_warnings: Vec<String>,
    /// What this process may do, in words.
    pub privileges: Option<String>,
}

impl Setup {
    /// Returns the frames that have passed on each interface so far, as the system counts them.
    pub(super) fn passed(&self) -> Vec<(String, u64)> {
        let Some((list, read)) = self.interfaces.zip(self.nic_counters) else { return Vec::new() };
        list()
            .into_iter()
            .filter_map(|(name, _)| read(&name).map(|counters| (name, counters.passed)))
            .collect()
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            signs: Signs::UNICODE,
            theme: Theme::default(),
            services: None,
            localhost: Localhost::Show,
            utc_offset: |_| 0,
            file: None,
            rereads: false,
            promiscuous: false,
            notes: Vec::new(),
            reason: None,
            filter: String::new(),
            sort: Sort::default(),
            damping: true,
            columns: Choice::default(),
            bits: false,
            remembered: Vec::new(),
            watches: built_in(),
            row_line: None,
            refresh_ms: REFRESH_MS,
            interfaces: None,
            listening: None,
            neighbour: None,
            neighbours: None,
            nic_counters: None,
            placement: Vec::new(),
            placement_warnings: Vec::new(),
            privileges: None,
        }
    }
}

/// What the program itself takes of the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelfUsage {
    /// Cores kept busy over the last second.
    pub cores: f64,
    /// Resident memory in bytes.
    pub memory: u64,
    /// The part of a core that each thread took over the last second, by name.
    pub threads: Vec<(String, f64)>,
}

impl SelfUsage {
    /// Returns the part of a core that a thread took.
    pub fn of_thread(&self, name: &str) -> Option<f64> {
        self.threads.iter().find(|(known, _)| known == name).map(|(_, part)| *part)
    }
}

/// How fast the screen was over the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScreenPace {
    /// The longest that a frame took, until it was handed to the terminal.
    pub draw: Nanos,
    /// How long 99 of 100 keys waited for a frame, of the last 200; `None` before the first.
    pub key_to_paint: Option<Nanos>,
    /// Bytes that went to the terminal.
    pub bytes_per_second: f64,
}

/// What an interface counted at the first look and counts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name; escape it where it is shown.
    pub name: String,
    /// At the first look.
    pub first: NicCounters,
    /// Now.
    pub now: NicCounters,
}

/// What the loop has to do after an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Draw.
    Draw,
    /// Clear the terminal and draw.
    Redraw,
    /// Take the terminal over again, which somebody else had, and draw.
    Retake,
    /// Give the terminal back until the process goes on.
    Suspend,
    /// Leave.
    Quit,
}

/// What reaches beyond the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Text for the clipboard.
    Copy(String),
    /// The rows or the sums of the view, into a file.
    Export(Form),
    /// A text, into a file.
    Write(String),
    /// Milliseconds between two refreshes.
    Refresh(u32),
    /// The filters that were entered, for the next run.
    Remember(Vec<String>),
    /// The columns that were chosen, for the next run.
    KeepColumns(Choice),
    /// Another source, or the same file up to another time.
    Again(Again),
    /// A line for the log.
    Log(String),
    /// The frames of the rows of the view or of the selected one alone, into a file.
    Record(Whose),
    /// The end of that.
    StopRecording,
}

/// Whose frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of all rows that the view shows, and of those that come to be shown.
    Shown,
    /// Those of the selected row.
    Row,
}

/// Frames that are being written.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file's name.
    pub name: String,
    /// How far it has come.
    pub tally: Arc<Tally>,
    /// It was asked to end, and has not yet.
    pub ends: bool,
    /// What is written next, to a new file.
    pub next: Option<Whose>,
}

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values.
    Csv,
    /// Lines to read.
    Text,
}

impl Form {
    /// Returns the end of the names of such files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Text => "txt",
        }
    }

    /// Returns the form that a file's name asks for.
    pub fn of(path: &Path) -> Self {
        let is = |form: &Self| path.extension().is_some_and(|ending| ending == form.ending());
        [Self::Csv, Self::Text].into_iter().find(is).unwrap_or(Self::Jsonl)
    }
}

/// What is to be looked at from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// This interface.
    Interface(String),
    /// The same file, up to this time, or all of it.
    Until(Option<Stamp>),
}
