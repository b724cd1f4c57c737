//! The state of the screen: what is selected, what is on the table, what was said.
//!
//! Actions and views go in; requests for other rows and effects come out. Nothing here reads a
//! clock, a terminal or a snapshot.

use std::{collections::HashSet, sync::Arc};

use ratatui::{layout::Rect, style::Style};

use crate::{
    base::{
        ids::FlowId,
        time::{Nanos, Stamp},
    },
    query::{
        column::{ColumnId, Look, ServiceName},
        format::Digits,
        group::{Group, GroupBy, GroupName, GroupRequest, GroupSort},
        layout::{Choice, Wishes},
        signs::Signs,
        sort::{SORTS, Sort, SortBy},
        window::{Cursor, Kept, Localhost, Request, View},
    },
    snapshot::{row::Row, tap::Ended},
    tui::{
        action::{Action, Tab},
        filter_bar::FilterBar,
        history::History,
        overlay::Overlay,
        terms,
        theme::{Role, Theme},
    },
};

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
    /// Columns that are shown and not shown whatever the width.
    pub columns: Choice,
    /// Bits instead of bytes a second.
    pub bits: bool,
    /// Filters that were entered in earlier runs, oldest first.
    pub remembered: Vec<String>,
    /// Makes a row's line of the export.
    pub row_line: Option<fn(&Ended) -> String>,
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
            promiscuous: false,
            notes: Vec::new(),
            reason: None,
            filter: String::new(),
            sort: Sort::default(),
            columns: Choice::default(),
            bits: false,
            remembered: Vec::new(),
            row_line: None,
        }
    }
}

/// What the program itself takes of the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelfUsage {
    /// Cores kept busy over the last second.
    pub cores: f64,
    /// Resident memory in bytes.
    pub memory: u64,
}

/// What the loop has to do after an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Draw.
    Draw,
    /// Clear the terminal and draw.
    Redraw,
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
    /// The rows of the view, into a file.
    Export,
    /// Milliseconds between two refreshes.
    Refresh(u32),
    /// The filters that were entered, for the next run.
    Remember(Vec<String>),
}

/// A tab of sums.
#[derive(Clone, Debug, Default)]
struct Panel {
    place: usize,
    name: Option<GroupName>,
    sort: GroupSort,
    flipped: bool,
    top: usize,
}

/// Where things are on the screen that the mouse can hit.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// First and last cell of each tab's name on the first line.
    pub tabs: Vec<(u16, u16, Tab)>,
    /// First and last cell of each column's header.
    pub columns: Vec<(u16, u16, ColumnId)>,
    /// The line of the headers.
    pub header_y: u16,
}

/// Frames of each stage at a cut.
type StageFrames = (Nanos, Vec<u64>);

/// The state.
pub struct App {
    /// What it was told once.
    pub setup: Setup,
    /// What is on the table; `None` before the first epoch.
    pub view: Option<View>,
    /// The last hour.
    pub history: History,
    /// Own cost, as last measured.
    pub usage: Option<SelfUsage>,
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
    /// What the loop has to do.
    pub effects: Vec<Effect>,
    /// What the mouse can hit.
    pub hits: Hits,
    /// Cells of a line of the screen.
    pub screen_width: u16,
    /// Rates of the selected row since it was selected.
    pub trace: History,
    /// Frames a second of each stage.
    pub stage_rates: Vec<f64>,
    trace_of: Option<FlowId>,
    stage_frames: Option<StageFrames>,
    back: Tab,
    came_from_group: Option<(Tab, Option<GroupBy>, String)>,
    message: Option<(String, Role, Nanos)>,
    pending: Option<Action>,
    frozen_at: Option<Nanos>,
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
    around: usize,
    serial: u64,
    frozen: bool,
    group: Option<GroupRequest>,
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
            history: History::default(),
            usage: None,
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
            effects: Vec::new(),
            hits: Hits::default(),
            screen_width: 80,
            trace: History::default(),
            stage_rates: Vec::new(),
            trace_of: None,
            stage_frames: None,
            back: Tab::Overview,
            came_from_group: None,
            message: None,
            pending: None,
            frozen_at: None,
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

    /// Does what was asked for.
    pub fn act(&mut self, action: Action) -> Next {
        let pending = self.pending.take();
        match action {
            Action::Quit => return Next::Quit,
            Action::AskQuit if self.asks_to_quit => return Next::Quit,
            _ if self.asks_to_quit => self.asks_to_quit = false,
            Action::AskQuit => self.asks_to_quit = true,
            Action::Redraw => return Next::Redraw,
            Action::Suspend => return Next::Suspend,
            Action::Help if self.tab == Tab::Help => self.tab = self.back,
            Action::Help => self.go_to(Tab::Help),
            Action::Go(tab) => self.go_to(tab),
            Action::Cycle(by) => {
                let count = Tab::ALL.len() as i32;
                let place = (self.tab.place() as i32 + by).rem_euclid(count);
                self.go_to(Tab::ALL[place as usize]);
            }
            Action::Close => self.close(),
            Action::Enter => self.enter(),
            Action::Filter => self.filter.open(),
            Action::Palette => self.overlay = Some(Overlay::palette()),
            Action::Columns => self.overlay = Some(Overlay::columns()),
            Action::CopyAs => self.overlay = Some(Overlay::copy_as(self)),
            Action::Copy => self.copy_remote(),
            Action::CopyField => self.copy_field(),
            Action::Export => self.effects.push(Effect::Export),
            Action::NextSort => self.sort_next(),
            Action::FlipSort => match self.panel() {
                Some(panel) => panel.flipped = !panel.flipped,
                None => self.set_sort(self.sort.flipped()),
            },
            Action::SortColumn(column) => self.sort_column(column),
            Action::Widen(by) => {
                if let Some(column) = self.sort.by.row().column {
                    self.columns.widen(column, by);
                }
            }
            Action::Freeze => self.freeze(),
            Action::Ended => {
                self.shows_ended = !self.shows_ended;
                self.changed();
            }
            Action::Clear if pending == Some(Action::Clear) => {
                self.cleared = self.view.as_ref().map_or(0, |v| v.ended_end);
                self.changed();
                self.say("ended rows are cleared", Role::Plain);
            }
            Action::Reset if pending == Some(Action::Reset) => {
                (self.history, self.trace) = Default::default();
                self.say("history is reset", Role::Plain);
            }
            Action::Clear | Action::Reset => {
                self.pending = Some(action);
                let text = if action == Action::Clear {
                    "x again clears ended rows"
                } else {
                    "X again resets history"
                };
                self.say(text, Role::Warn);
            }
            Action::Mark => self.mark(),
            Action::OnlyMarked => {
                self.only_marked = !self.only_marked && !self.marks.is_empty();
                self.changed();
            }
            Action::Bits => self.bits = !self.bits,
            Action::Services => {
                self.names = !self.names;
                self.changed();
            }
            Action::Localhost => {
                self.localhost = match self.localhost {
                    Localhost::Show => Localhost::Hide,
                    Localhost::Hide => Localhost::Show,
                };
                self.changed();
            }
            Action::Include | Action::Exclude => self.like_this(action == Action::Exclude),
            Action::Group => {
                self.go_to(Tab::Overview);
                self.grouping = match self.grouping {
                    None => Some(GroupBy::Process),
                    Some(GroupBy::Process) => Some(GroupBy::Host),
                    Some(GroupBy::Host) => None,
                };
            }
            Action::ResetView => {
                self.filter.clear();
                self.filter.set(&self.setup.filter.clone(), self.setup.services);
                self.columns = self.setup.columns.clone();
                self.only_marked = false;
                self.grouping = None;
                self.set_sort(self.setup.sort);
                self.changed();
            }
            Action::Theme => {
                self.setup.theme.name = self.setup.theme.name.next();
                self.say(format!("theme {}", self.setup.theme.name.name()), Role::Plain);
            }
            _ => self.go(action),
        }
        Next::Draw
    }

    /// Takes note of a key without meaning.
    pub fn other_key(&mut self) {
        self.asks_to_quit = false;
        self.pending = None;
    }

    /// Says something for three seconds.
    pub fn say(&mut self, text: impl Into<String>, role: Role) {
        self.message = Some((text.into(), role, self.uptime + MESSAGE));
    }

    /// Returns what was said, while it stands.
    pub fn message(&self) -> Option<(&str, Role)> {
        self.message.as_ref().filter(|m| m.2 > self.uptime).map(|m| (m.0.as_str(), m.1))
    }

    /// Says that other rows, or another order, are wanted from now on.
    pub fn changed(&mut self) {
        self.serial += 1;
    }

    /// Sorts so.
    pub fn set_sort(&mut self, sort: Sort) {
        if self.sort != sort {
            self.sort = sort;
            self.changed();
        }
    }

    /// Puts a filter in force, as if it had been typed.
    pub fn set_filter(&mut self, text: &str) {
        if self.filter.set(text, self.setup.services) {
            self.changed();
        }
        if let Some(problem) = &self.filter.problem {
            let reason = problem.reason.clone();
            self.say(reason, Role::Bad);
        }
    }

    /// Takes note of what was typed into the filter's line.
    pub fn filter_typed(&mut self) {
        if self.filter.typed(self.setup.services) {
            self.changed();
        }
    }

    /// Closes the filter's line and keeps the filter.
    pub fn filter_kept(&mut self) {
        self.filter.keep();
        self.effects.push(Effect::Remember(self.filter.history.clone()));
    }

    /// Closes the filter's line and shows everything.
    pub fn filter_cleared(&mut self) {
        self.filter.clear();
        self.changed();
    }

    fn go_to(&mut self, tab: Tab) {
        if tab != self.tab {
            self.back = if self.tab == Tab::Help { self.back } else { self.tab };
            self.tab = tab;
        }
    }

    fn close(&mut self) {
        if self.overlay.take().is_some() {
        } else if self.filter.editing.is_some() {
            self.filter_cleared();
        } else if self.tab != Tab::Overview {
            (self.tab, self.back) =
                (if self.tab == Tab::Help { self.back } else { Tab::Overview }, Tab::Overview);
        } else if let Some((tab, grouping, filter)) = self.came_from_group.take() {
            (self.tab, self.grouping) = (tab, grouping);
            self.set_filter(&filter);
        } else if !self.filter.text().is_empty() {
            self.filter_cleared();
        } else if self.grouping.is_some() {
            self.grouping = None;
        } else if self.is_frozen() {
            self.freeze();
        }
    }

    fn enter(&mut self) {
        let Some(group) = self.selected_group() else {
            if self.tab == Tab::Overview {
                self.go_to(Tab::Details);
            }
            return;
        };
        let Some(term) = terms::of_group(&group.name) else {
            return self.say("what has no owner cannot be filtered", Role::Warn);
        };
        let filter = terms::joined(self.filter.text(), &term);
        self.came_from_group = Some((self.tab, self.grouping, self.filter.text().to_owned()));
        (self.tab, self.grouping) = (Tab::Overview, None);
        self.cursor = Cursor::First;
        self.set_filter(&filter);
    }

    fn like_this(&mut self, exclude: bool) {
        let Some(row) = self.selected_row() else { return };
        let term = terms::of_row(row, self.sort.by, &self.look(u16::MAX));
        let term = if exclude { format!("!{term}") } else { term };
        let filter = terms::joined(self.filter.text(), &term);
        self.set_filter(&filter);
        self.filter.keep();
    }

    fn copy_remote(&mut self) {
        let Some(row) = self.selected_row() else { return };
        let text = terms::remote_end(row);
        self.copy(text);
    }

    /// Hands text to the clipboard and says so.
    pub fn copy(&mut self, text: String) {
        self.say(format!("copied {text}"), Role::Plain);
        self.effects.push(Effect::Copy(text));
    }

    fn copy_field(&mut self) {
        let text = match self.tab {
            Tab::Details => crate::tui::view::details::field(self),
            _ => Some(crate::tui::view::pipeline::diagnosis(self)),
        };
        if let Some(text) = text {
            self.copy(text);
        }
    }

    fn sort_next(&mut self) {
        match self.panel() {
            Some(panel) => (panel.sort, panel.flipped) = (panel.sort.next(), false),
            None => self.set_sort(self.sort.next()),
        }
    }

    fn sort_column(&mut self, column: ColumnId) {
        let mut of_column = SORTS.iter().filter(|row| row.column == Some(column));
        let Some(first) = of_column.next() else { return };
        // The header of both rates goes through both.
        let next = match (self.sort.by == first.by, of_column.next()) {
            (true, Some(second)) if self.sort.descending != first.descending => Sort::by(second.by),
            (true, _) => self.sort.flipped(),
            (false, Some(second))
                if self.sort.by == second.by && self.sort.descending == second.descending =>
            {
                self.sort.flipped()
            }
            (false, _) => Sort::by(first.by),
        };
        self.set_sort(next);
    }

    fn freeze(&mut self) {
        self.frozen_at = match self.frozen_at {
            None => Some(self.uptime),
            Some(_) => None,
        };
    }

    /// Returns whether table and panels stand still.
    pub fn is_frozen(&self) -> bool {
        self.frozen_at.is_some()
    }

    /// Returns how long they have stood still.
    pub fn frozen_for(&self) -> Option<Nanos> {
        self.frozen_at.map(|at| self.uptime.since(at))
    }

    fn mark(&mut self) {
        let Some(id) = self.selected_row().map(|row| row.id) else { return };
        let marks = Arc::make_mut(&mut self.marks);
        if !marks.remove(&id) {
            marks.insert(id);
        }
        if self.only_marked {
            self.only_marked = !self.marks.is_empty();
            self.changed();
        }
        self.go(Action::Move(1));
    }

    /// Returns what is summed up by in place of rows.
    pub fn group_by(&self) -> Option<GroupBy> {
        match self.tab {
            Tab::Hosts => Some(GroupBy::Host),
            Tab::Processes => Some(GroupBy::Process),
            Tab::Overview => self.grouping,
            _ => None,
        }
    }

    fn panel(&mut self) -> Option<&mut Panel> {
        let by = self.group_by()?;
        Some(&mut self.panels[by as usize])
    }

    /// Returns what sums are sorted by, and whether the other way round.
    pub fn group_sort(&self) -> (GroupSort, bool) {
        let panel = self.group_by().map_or(&self.panels[0], |by| &self.panels[by as usize]);
        (panel.sort, panel.flipped)
    }

    /// Returns the first and the selected place of the table of sums.
    pub fn group_places(&self) -> (usize, usize) {
        let panel = self.group_by().map_or(&self.panels[0], |by| &self.panels[by as usize]);
        (panel.top, panel.place)
    }

    /// Returns the selected sum.
    pub fn selected_group(&self) -> Option<&Group> {
        let by = self.group_by()?;
        let groups = self.view.as_ref()?.groups.as_ref().filter(|g| g.by == by)?;
        groups.at(self.panels[by as usize].place)
    }

    fn go(&mut self, action: Action) {
        let half = (self.height / 2).max(1) as i32;
        let by = match action {
            Action::Move(rows) => rows,
            Action::HalfScreens(2) => self.height.max(1) as i32,
            Action::HalfScreens(-2) => -(self.height.max(1) as i32),
            Action::HalfScreens(n) => n * half,
            _ => 0,
        };
        let to = |place: usize| match action {
            Action::First => 0,
            Action::Last => usize::MAX,
            _ => place.saturating_add_signed(by as isize),
        };
        if self.group_by().is_some() {
            let groups = self.view.as_ref().and_then(|v| v.groups.as_ref());
            let last = groups.map_or(0, |g| g.len.saturating_sub(1));
            let names: Vec<_> = groups.iter().flat_map(|g| g.rows.iter().map(|r| r.name.clone())).collect();
            let first = groups.map_or(0, |g| g.first);
            if let Some(panel) = self.panel() {
                panel.place = match action {
                    Action::Line(line) => panel.top + usize::from(line),
                    _ => to(panel.place),
                };
                panel.place = panel.place.min(last);
                panel.name = panel.place.checked_sub(first).and_then(|at| names.get(at)).cloned();
            }
            return;
        }
        if self.tab != Tab::Overview {
            if !matches!(action, Action::Line(_)) {
                let scroll = &mut self.scroll[self.tab.place()];
                *scroll = to(*scroll);
            }
            return;
        }
        match action {
            Action::First => self.select(0),
            Action::Last => {
                self.select(usize::MAX);
                if self.sort == Sort::default() {
                    self.cursor = Cursor::Last;
                }
            }
            Action::Line(line) => {
                let twice = self
                    .last_click
                    .is_some_and(|(at, when)| at == line && self.uptime.since(when) < DOUBLE_CLICK);
                self.last_click = Some((line, self.uptime));
                self.select(self.shown.0 + usize::from(line));
                if twice {
                    self.enter();
                }
            }
            _ => self.select(self.selected.saturating_add_signed(by as isize)),
        }
    }

    /// Moves the selection to a place; the table scrolls only if it must.
    fn select(&mut self, place: usize) {
        let Some(view) = &self.view else { return };
        let Some(last) = view.places().checked_sub(1) else { return };
        let place = place.min(last);
        self.cursor = match view.at(place) {
            Some(row) => Cursor::On(row.id),
            None => Cursor::At(place),
        };
        let top = self.selected.saturating_sub(self.line);
        self.line = place.saturating_sub(top).min(self.height.saturating_sub(1));
        self.selected = place;
    }

    /// Takes a new view. One that answers an older question while the selection is elsewhere by
    /// now gives its totals only.
    pub fn take(&mut self, view: View) {
        self.history.push(view.now, [view.totals.down, view.totals.up, view.totals.packets_per_second]);
        if view.ended && self.read_in.is_none() {
            self.read_in = Some(self.uptime);
        }
        self.measure_stages(&view);
        self.take_rows(view);
        self.trace_selected();
        self.follow_group();
    }

    fn take_rows(&mut self, view: View) {
        if view.serial != self.serial || view.frozen.is_some() != self.is_frozen() {
            return self.take_totals(view);
        }
        let place = match self.cursor {
            cursor if cursor == view.cursor => view.selected,
            Cursor::On(id) => view.place_of(id),
            _ if view.places() == 0 => None,
            _ => return self.take_totals(view),
        };
        let Some(place) = place else {
            if view.places() > 0 {
                return self.take_totals(view);
            }
            self.cursor = Cursor::First;
            (self.selected, self.line) = (0, 0);
            self.view = Some(view);
            return;
        };
        self.selected = place;
        self.line = self.line.min(place);
        if let (Cursor::At(_) | Cursor::On(_), Some(row)) = (self.cursor, view.at(place)) {
            self.cursor = Cursor::On(row.id);
        }
        match self.cursor {
            Cursor::First => self.line = 0,
            Cursor::Last => self.line = usize::MAX,
            _ => {}
        }
        self.view = Some(view);
    }

    fn take_totals(&mut self, view: View) {
        self.asked = None;
        self.view = Some(match self.view.take() {
            Some(old) => View {
                rows: old.rows,
                first: old.first,
                selected: old.selected,
                gone: old.gone,
                cursor: old.cursor,
                len: old.len,
                all: old.all,
                hidden: old.hidden,
                serial: old.serial,
                groups: old.groups,
                frozen: old.frozen,
                ..view
            },
            None => view,
        });
    }

    fn measure_stages(&mut self, view: &View) {
        let frames: Vec<u64> = view.stages.iter().map(|s| s.frames).collect();
        match &self.stage_frames {
            Some((at, before)) if before.len() == frames.len() => {
                let seconds = view.now.since(*at).as_secs_f64();
                if seconds < 0.5 {
                    return;
                }
                let rate = |(now, before): (&u64, &u64)| now.saturating_sub(*before) as f64 / seconds;
                self.stage_rates = frames.iter().zip(before).map(rate).collect();
            }
            _ => self.stage_rates = vec![0.0; frames.len()],
        }
        self.stage_frames = Some((view.now, frames));
    }

    fn trace_selected(&mut self) {
        let Some(row) = self.selected_row() else { return };
        let (id, (down, up)) = (row.id, row.down_up());
        if self.trace_of != Some(id) {
            self.trace = History::default();
            self.trace_of = Some(id);
        }
        let now = self.view.as_ref().map_or(Nanos(0), |v| v.now);
        self.trace.push(now, [f64::from(down), f64::from(up), 0.0]);
    }

    fn follow_group(&mut self) {
        let Some(groups) = self.view.as_ref().and_then(|v| v.groups.as_ref()) else { return };
        let (by, selected) = (groups.by, groups.selected);
        let name = groups.at(selected).map(|g| g.name.clone());
        let panel = &mut self.panels[by as usize];
        if panel.name.is_some() || panel.place == 0 {
            panel.place = selected;
        }
        if panel.place > 0 {
            panel.name = panel.name.take().or(name);
        }
    }

    /// Settles what the table shows in this part of a screen.
    pub fn settle(&mut self, table: Rect) {
        let (width, height) = (table.width, usize::from(table.height));
        (self.height, self.table_y) = (height, table.y);
        if let Some(panel) = self.panel() {
            panel.top = panel.top.clamp(panel.place.saturating_sub(height.saturating_sub(1)), panel.place);
        }
        let look = self.look(width);
        let Some(view) = &self.view else { return };
        let places = view.places();
        self.line = self.line.min(height.saturating_sub(1));
        let top = self.selected.saturating_sub(self.line).min(places.saturating_sub(height));
        self.line = self.selected.saturating_sub(top);
        let end = (top + height).min(places);
        let there = |place| view.at(place).is_some();
        if end > top && there(top) && there(end - 1) || places == 0 {
            self.shown = (top, self.selected);
        }
        let rows = (self.shown.0..self.shown.0 + height).filter_map(|place| view.at(place));
        self.wishes.learn(rows, &look, self.uptime);
    }

    /// Returns what to ask for, and whether it is needed at once, if anything has changed.
    pub fn ask(&mut self) -> Option<(Request, bool)> {
        let around = 100 + 2 * self.height;
        let group = self.group_by().map(|by| {
            let panel = &self.panels[by as usize];
            GroupRequest {
                by,
                sort: panel.sort,
                flipped: panel.flipped,
                name: panel.name.clone(),
                place: panel.place,
                around: around.max(300),
            }
        });
        let now = Asked { cursor: self.cursor, around, serial: self.serial, frozen: self.is_frozen(), group };
        if self.asked.as_ref() == Some(&now) {
            return None;
        }
        let urgent = self.asked.as_ref().is_none_or(|asked| {
            let order = |g: &Option<GroupRequest>| g.as_ref().map(|g| (g.by, g.sort, g.flipped));
            asked.serial != now.serial
                || asked.frozen != now.frozen
                || order(&asked.group) != order(&now.group)
        }) || !self.is_covered();
        let keep = match (self.cursor, self.selected_row()) {
            (Cursor::On(id), Some(row)) if row.id == id => match self.gone() {
                Some(gone) if gone.row.id == id => Some(gone.clone()),
                _ => Some(Kept { row: row.clone(), ended: None }),
            },
            _ => None,
        };
        let request = Request {
            cursor: self.cursor,
            around,
            localhost: self.localhost,
            keep,
            filter: self.filter.in_force().cloned(),
            sort: self.sort,
            only: self.only_marked.then(|| Arc::clone(&self.marks)),
            ended: self.shows_ended.then_some(self.cleared),
            frozen: now.frozen,
            exact: true,
            services: self.setup.services.filter(|_| self.names),
            group: now.group.clone(),
            serial: self.serial,
        };
        self.asked = Some(now);
        Some((request, urgent))
    }

    /// Returns the request for the rows of the view, as a file is written of.
    pub fn request(&mut self) -> Request {
        self.asked = None;
        let request = self.ask().map(|(request, _)| request).unwrap_or_default();
        // What the loop has not asked yet, it must still ask.
        self.asked = None;
        request
    }

    /// Says that the next question must be asked even if it is the same: the rows are newer.
    pub fn ask_again(&mut self) {
        if let Some(view) = &self.view
            && let (Cursor::On(_), Some(asked)) = (self.cursor, &mut self.asked)
            && view.cursor == self.cursor
        {
            // Another value than any that is asked for, and the rest the same: not urgent.
            asked.around = usize::MAX;
        }
    }

    /// Returns whether the rows of a screen on either side of the selection are there.
    fn is_covered(&self) -> bool {
        let Some(view) = &self.view else { return false };
        if let Some(by) = self.group_by() {
            let Some(groups) = view.groups.as_ref().filter(|g| g.by == by) else { return false };
            let place = self.panels[by as usize].place;
            let last = (place + self.height).min(groups.len.saturating_sub(1));
            return groups.len == 0
                || groups.at(place.saturating_sub(self.height)).is_some() && groups.at(last).is_some();
        }
        let first = self.selected.saturating_sub(self.height);
        let last = (self.selected + self.height).min(view.places().saturating_sub(1));
        view.places() == 0 || view.at(first).is_some() && view.at(last).is_some()
    }

    /// Returns what a click on a cell of the screen asks for.
    pub fn clicked(&self, x: u16, y: u16) -> Option<Action> {
        if y == 0 {
            return self
                .hits
                .tabs
                .iter()
                .find(|(from, to, _)| (*from..=*to).contains(&x))
                .map(|t| Action::Go(t.2));
        }
        if self.overlay.is_some() || !matches!(self.tab, Tab::Overview | Tab::Hosts | Tab::Processes) {
            return None;
        }
        if y == self.hits.header_y && self.group_by().is_none() {
            let hit = self.hits.columns.iter().find(|(from, to, _)| (*from..=*to).contains(&x));
            return hit.map(|hit| Action::SortColumn(hit.2));
        }
        let line = y.checked_sub(self.table_y).filter(|line| usize::from(*line) < self.height)?;
        let is_there = match self.group_by() {
            Some(_) => {
                let groups = self.view.as_ref().and_then(|v| v.groups.as_ref());
                groups.is_some_and(|g| g.at(self.group_places().0 + usize::from(line)).is_some())
            }
            None => self.view.as_ref()?.at(self.shown.0 + usize::from(line)).is_some(),
        };
        is_there.then_some(Action::Line(line))
    }

    /// Returns what cells depend on, on a screen of this width.
    pub fn look(&self, width: u16) -> Look {
        let wall = self.view.as_ref().map_or(self.clock, |v| v.frozen.map_or(v.wall, |f| f.wall));
        Look {
            signs: self.setup.signs,
            digits: if width < 100 { Digits::Two } else { Digits::Three },
            services: self.setup.services.filter(|_| self.names),
            no_owners: self.is_file() || self.view.as_ref().is_some_and(|v| v.owner_method.method == "off"),
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
