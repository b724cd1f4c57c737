//! The state of the screen: what is selected, what is on the table, what was said.
//!
//! Actions and views go in; requests for other rows and effects come out. Nothing here reads a
//! clock, a terminal or a snapshot. Its rooms:
//!
//! | room | what |
//! |---|---|
//! | [`setup`] | what it is told once, what it asks of others |
//! | `act` | what actions do |
//! | `rows` | which rows are wanted, in which order |
//! | `groups` | tables of sums, and the tree below them |
//! | `moves` | where the selection goes, what lies under the mouse |
//! | `answers` | what is asked for, and what becomes of answers |
//! | `counts` | counts since they were reset |
//! | `story` | what changes of the selected row |
//! | `neighbour` | the hardware address of its other end |
//! | `values` | what the filter's words can become |
//! | `watches` | what is watched for, what is degraded |
//! | `losses` | what cards lost, and what was lost each second |
//! | `readings` | what is measured now and then, and what stands still of it |
//! | `playback` | the time up to which a file is read |

mod act;
mod answers;
mod counts;
mod groups;
mod losses;
mod moves;
mod neighbour;
mod playback;
mod readings;
mod rows;
pub mod setup;
mod story;
mod values;
mod watches;

use std::{collections::HashSet, sync::Arc};

use ratatui::style::Style;

use counts::Counts;
use neighbour::Neighbour;
use readings::Still;
pub use readings::{Engine, Readings};
pub use setup::{Again, Effect, Form, Next, Nic, Recording, ScreenPace, SelfUsage, Setup, Whose};
use story::Story;
pub use watches::PROMISCUOUS;

use crate::{
    base::{
        ids::FlowId,
        time::{Nanos, Stamp},
    },
    query::{
        column::{ColumnId, Look},
        format::Digits,
        group::{GroupBy, GroupName, GroupRequest, GroupSort, LineName},
        kept::Kept,
        layout::{Choice, Wishes},
        sort::{Sort, SortBy},
        watch::Watch,
        window::{Cursor, Localhost, View},
    },
    snapshot::{history::History, row::Row},
    tui::{
        action::{Action, Tab},
        filter_bar::FilterBar,
        overlay::Overlay,
        theme::Role,
    },
};

/// A tab of sums.
#[derive(Clone, Debug, Default)]
struct Panel {
    place: usize,
    name: Option<LineName>,
    sort: GroupSort,
    flipped: bool,
    top: usize,
    /// Groups whose rows are shown.
    open: Vec<GroupName>,
}

/// Where things are on the screen that the mouse can hit.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// First and last cell of each tab's name on the first line.
    pub tabs: Vec<(u16, u16, Tab)>,
    /// First and last cell of each column's header.
    pub columns: Vec<(u16, u16, ColumnId)>,
    /// The same of a table of sums, as far as it can be sorted by them.
    pub sums: Vec<(u16, u16, GroupSort)>,
    /// The line of the headers.
    pub header_y: u16,
    /// Lines of what lies over the page, each with its entry.
    pub entries: Vec<(u16, usize)>,
    /// The first line of it that is drawn.
    pub entries_top: usize,
}

/// Frames of each stage at a cut.
type StageFrames = (Nanos, Vec<u64>);

/// The state.
pub struct App {
    /// What it was told once.
    pub setup: Setup,
    /// What is on the table; `None` before the first epoch.
    pub view: Option<View>,
    /// The last hour, by the packets' seconds.
    pub history: Arc<History>,
    /// The same for Graph, which stands still with the rows.
    pub charts: Arc<History>,
    /// Engine time before which nothing of it is shown any more.
    history_from: Nanos,
    /// All that has been counted.
    counted: Counts,
    /// What is measured now and then.
    pub readings: Readings,
    /// What Pipeline shows while the rows stand still.
    still: Option<Box<Still>>,
    /// Wall time, as the loop last said.
    pub clock: Stamp,
    /// Time since the start, as the loop last said.
    pub uptime: Nanos,
    /// How long the file took to read, once it is.
    pub read_in: Option<Nanos>,
    /// The tab that is open.
    pub tab: Tab,
    /// The first line of each tab that is text.
    pub scroll: [usize; Tab::ALL.len()],
    /// `q` was pressed once.
    pub asks_to_quit: bool,
    /// Columns' widths.
    pub wishes: Wishes,
    /// Columns that are shown.
    pub columns: Choice,
    /// The filter.
    pub filter: FilterBar,
    /// The order.
    pub sort: Sort,
    /// What lies over the page.
    pub overlay: Option<Overlay>,
    /// Marked rows.
    pub marks: Arc<HashSet<FlowId>>,
    /// Only marked rows are shown.
    pub only_marked: bool,
    /// Ended rows are shown.
    pub shows_ended: bool,
    /// Bits instead of bytes a second.
    pub bits: bool,
    /// Sums instead of rows on Overview.
    pub grouping: Option<GroupBy>,
    /// What is watched for.
    pub watches: Arc<Vec<Watch>>,
    /// The file that frames are being written to.
    pub recording: Option<Recording>,
    /// What the loop has to do.
    pub effects: Vec<Effect>,
    /// What the mouse can hit.
    pub hits: Hits,
    /// Cells of a line of the screen.
    pub screen_width: u16,
    /// Rates of the selected row since it was selected.
    pub trace: History,
    trace_of: Option<FlowId>,
    story: Story,
    neighbour: Option<Neighbour>,
    neighbours: neighbour::Table,
    /// Of which row of a file, up to when, the trace was asked for.
    retraced: Option<(FlowId, Stamp)>,
    stage_frames: Option<StageFrames>,
    /// The tabs that one came by, the last one at the end.
    trail: Vec<Tab>,
    playback: playback::Playback,
    came_from_group: Option<(Tab, Option<GroupBy>, String)>,
    message: Option<Message>,
    pending: Option<Action>,
    frozen_at: Option<Nanos>,
    /// Frames that had passed on each interface at the first look, while nothing is heard.
    passed_before: Option<Vec<(String, u64)>>,
    /// Interfaces that nobody watches and on which frames have passed since, and how many: those with most first.
    pub passed_elsewhere: Vec<(String, u64)>,
    cleared: u64,
    serial: u64,
    panels: [Panel; 2],
    last_click: Option<(u16, Nanos)>,
    cursor: Cursor,
    localhost: Localhost,
    names: bool,
    /// Rows that the table has room for, and the screen's line of the first.
    height: usize,
    table_y: u16,
    /// Place of the selected row, and its line on the table.
    selected: usize,
    line: usize,
    /// What was last drawn: top and selected place. Stays until other rows are there.
    shown: (usize, usize),
    asked: Option<Asked>,
}

#[derive(Clone, Debug, PartialEq)]
struct Asked {
    cursor: Cursor,
    margin: usize,
    serial: u64,
    frozen: bool,
    group: Option<GroupRequest>,
    census: bool,
    watches: usize,
}

/// What was said.
#[derive(Clone, Debug)]
struct Message {
    text: String,
    role: Role,
    until: Nanos,
    /// It stands for longer, until a key is pressed.
    is_kept: bool,
}

/// How long a message stays.
const MESSAGE: Nanos = Nanos::from_secs(3);
/// Two clicks within this are a double click.
const DOUBLE_CLICK: Nanos = Nanos::from_millis(400);

impl App {
    /// Returns the state before the first epoch.
    pub fn new(setup: Setup) -> Self {
        let mut filter = FilterBar::with_history(setup.remembered.clone());
        filter.set(&setup.filter, setup.services);
        Self {
            view: None,
            history: Arc::default(),
            charts: Arc::default(),
            history_from: Nanos(0),
            counted: Counts::default(),
            readings: Readings::default(),
            still: None,
            clock: Stamp(0),
            uptime: Nanos(0),
            read_in: None,
            tab: Tab::Overview,
            scroll: [0; Tab::ALL.len()],
            asks_to_quit: false,
            wishes: Wishes::default(),
            columns: setup.columns.clone(),
            filter,
            sort: setup.sort,
            overlay: None,
            marks: Arc::default(),
            only_marked: false,
            shows_ended: setup.file.is_some(),
            bits: setup.bits,
            grouping: None,
            watches: Arc::new(setup.watches.clone()),
            recording: None,
            effects: Vec::new(),
            hits: Hits::default(),
            screen_width: 80,
            trace: History::default(),
            trace_of: None,
            story: Story::default(),
            neighbour: None,
            neighbours: neighbour::Table::default(),
            retraced: None,
            stage_frames: None,
            trail: Vec::new(),
            playback: playback::Playback::default(),
            came_from_group: None,
            message: None,
            pending: None,
            frozen_at: None,
            passed_before: None,
            passed_elsewhere: Vec::new(),
            cleared: 0,
            serial: 0,
            panels: Default::default(),
            last_click: None,
            cursor: Cursor::First,
            localhost: setup.localhost,
            names: setup.services.is_some(),
            height: 0,
            table_y: 0,
            selected: 0,
            line: 0,
            shown: (0, 0),
            asked: None,
            setup,
        }
    }

    /// Takes note of a key without meaning.
    pub fn other_key(&mut self) {
        self.asks_to_quit = false;
        self.pending = None;
    }

    /// Says something for three seconds.
    pub fn say(&mut self, text: impl Into<String>, role: Role) {
        let until = self.uptime + MESSAGE;
        self.message = Some(Message { text: text.into(), role, until, is_kept: false });
    }

    /// Says that something went wrong meanwhile, until a key is pressed after three seconds: nobody may be looking now.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.say(text, Role::Bad);
        self.message.iter_mut().for_each(|message| message.is_kept = true);
    }

    /// Returns what was said, while it stands.
    pub fn message(&self) -> Option<(&str, Role)> {
        let stands = |m: &&Message| m.is_kept || m.until > self.uptime;
        self.message.as_ref().filter(stands).map(|m| (m.text.as_str(), m.role))
    }

    /// Says that other rows, or another order, are wanted from now on.
    pub fn changed(&mut self) {
        self.serial += 1;
    }

    /// Returns whether table and panels stand still.
    pub fn is_frozen(&self) -> bool {
        self.frozen_at.is_some()
    }

    /// Returns how long they have stood still.
    pub fn frozen_for(&self) -> Option<Nanos> {
        self.frozen_at.map(|at| self.uptime.since(at))
    }

    /// Returns what cells depend on, on a screen of this width.
    pub fn look(&self, width: u16) -> Look {
        let wall = self.view.as_ref().map_or(self.clock, |v| v.frozen.map_or(v.wall, |f| f.wall));
        Look {
            signs: self.setup.signs,
            digits: Digits::on(width),
            services: self.setup.services.filter(|_| self.names),
            no_owners: self.is_file() || self.view.as_ref().is_some_and(|v| v.owner_method.is_off()),
            wall,
            bits: self.bits,
        }
    }

    /// Returns whether a file is read.
    pub fn is_file(&self) -> bool {
        self.setup.file.is_some() || self.view.as_ref().is_some_and(View::is_file)
    }

    /// Returns whether services have names.
    pub fn knows_services(&self) -> bool {
        self.setup.services.is_some()
    }

    /// Returns whether the selection stays with the newest row.
    pub fn follows(&self) -> bool {
        self.cursor == Cursor::Last
    }

    /// Returns the place of the selected row, counted from 0: where it is going to be.
    pub fn place(&self) -> usize {
        self.selected
    }

    /// Returns the places of the first row on the table and of the selected one.
    pub fn shown(&self) -> (usize, usize) {
        self.shown
    }

    /// Returns the selected row, as far as it is known.
    pub fn selected_row(&self) -> Option<&Row> {
        self.view.as_ref()?.at(self.selected)
    }

    /// Returns the selected row if it has ended.
    pub fn gone(&self) -> Option<&Kept> {
        self.view.as_ref()?.gone.as_ref()
    }

    /// Returns the letters that a fuzzy search looks for.
    pub fn fuzzy(&self) -> Option<&str> {
        self.filter.in_force().and_then(|filter| filter.fuzzy())
    }

    /// Returns a rate with its unit.
    pub fn rate(&self, bytes: f64) -> String {
        match self.bits {
            true => crate::query::format::bit_rate(bytes * 8.0),
            false => crate::query::format::rate(bytes),
        }
    }

    /// Returns whether rows are sorted by a column.
    pub fn is_sorted(&self) -> bool {
        self.sort.by != SortBy::Created
    }

    /// Returns a run of text in the look of a role.
    pub fn run(&self, role: Role, text: impl Into<String>) -> (String, Style) {
        (text.into(), self.setup.theme.style(role))
    }
}
