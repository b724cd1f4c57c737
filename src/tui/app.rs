//! The state of the screen: what is selected, what is on the table, what was said.
//!
//! Actions and views go in; requests for other rows come out. Nothing here reads a clock, a
//! terminal or a snapshot.

use ratatui::{layout::Rect, style::Style};

use crate::{
    base::time::{Nanos, Stamp},
    query::{
        column::{Look, ServiceName},
        format::Digits,
        layout::Wishes,
        signs::Signs,
        window::{Cursor, Kept, Localhost, Request, View},
    },
    snapshot::row::Row,
    tui::{
        action::Action,
        history::History,
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
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            signs: Signs::UNICODE,
            theme: Theme { color: true },
            services: None,
            localhost: Localhost::Show,
            utc_offset: |_| 0,
            file: None,
            promiscuous: false,
            notes: Vec::new(),
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
    /// Leave.
    Quit,
}

/// The state.
pub struct App {
    /// What it was told once.
    pub setup: Setup,
    /// What is on the table; `None` before the first epoch.
    pub view: Option<View>,
    /// The last minute.
    pub history: History,
    /// Own cost, as last measured.
    pub usage: Option<SelfUsage>,
    /// Wall time, as the loop last said.
    pub clock: Stamp,
    /// Time since the start, as the loop last said.
    pub uptime: Nanos,
    /// How long the file took to read, once it is.
    pub read_in: Option<Nanos>,
    /// The first line of Help on screen, while Help is open.
    pub help: Option<usize>,
    /// `q` was pressed once.
    pub asks_to_quit: bool,
    /// Columns' widths.
    pub wishes: Wishes,
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
    asked: Option<(Cursor, Localhost, usize)>,
}

impl App {
    /// Returns the state before the first epoch.
    pub fn new(setup: Setup) -> Self {
        Self {
            view: None,
            history: History::default(),
            usage: None,
            clock: Stamp(0),
            uptime: Nanos(0),
            read_in: None,
            help: None,
            asks_to_quit: false,
            wishes: Wishes::default(),
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
        match action {
            Action::Quit => return Next::Quit,
            Action::AskQuit if self.asks_to_quit => return Next::Quit,
            _ if self.asks_to_quit => self.asks_to_quit = false,
            Action::AskQuit => self.asks_to_quit = true,
            Action::Redraw => return Next::Redraw,
            Action::Help => self.help = if self.help.is_none() { Some(0) } else { None },
            Action::Close => self.help = None,
            Action::Services => self.names = !self.names,
            Action::Localhost => {
                self.localhost = match self.localhost {
                    Localhost::Show => Localhost::Hide,
                    Localhost::Hide => Localhost::Show,
                };
            }
            _ => self.go(action),
        }
        Next::Draw
    }

    /// Takes note of a key without meaning.
    pub fn other_key(&mut self) {
        self.asks_to_quit = false;
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
        if let Some(scroll) = &mut self.help {
            *scroll = match action {
                Action::First => 0,
                Action::Last => usize::MAX,
                Action::Line(_) => *scroll,
                _ => scroll.saturating_add_signed(by as isize),
            };
            return;
        }
        match action {
            Action::First => self.select(0),
            Action::Last => {
                self.select(usize::MAX);
                self.cursor = Cursor::Last;
            }
            Action::Line(line) => self.select(self.shown.0 + usize::from(line)),
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
        self.history.push(view.now, [view.totals.down, view.totals.up]);
        if view.ended && self.read_in.is_none() {
            self.read_in = Some(self.uptime);
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
                ..view
            },
            None => view,
        });
    }

    /// Settles what the table shows in this part of a screen.
    pub fn settle(&mut self, table: Rect) {
        let (width, height) = (table.width, usize::from(table.height));
        (self.height, self.table_y) = (height, table.y);
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
        let now = (self.cursor, self.localhost, around);
        if self.asked == Some(now) {
            return None;
        }
        let urgent =
            self.asked.is_none_or(|(_, localhost, _)| localhost != self.localhost) || !self.is_covered();
        self.asked = Some(now);
        let keep = match (self.cursor, self.selected_row()) {
            (Cursor::On(id), Some(row)) if row.id == id => match self.gone() {
                Some(gone) if gone.row.id == id => Some(gone.clone()),
                _ => Some(Kept { row: row.clone(), ended: None }),
            },
            _ => None,
        };
        Some((Request { cursor: self.cursor, around, localhost: self.localhost, keep }, urgent))
    }

    /// Says that the next question must be asked even if it is the same: the rows are newer.
    pub fn ask_again(&mut self) {
        if let Some(view) = &self.view
            && let (Cursor::On(_), Some(asked)) = (self.cursor, &mut self.asked)
            && view.cursor == self.cursor
        {
            // Another value than any that is asked for, and the same localhost: not urgent.
            asked.2 = usize::MAX;
        }
    }

    /// Returns whether the rows of a screen on either side of the selection are there.
    fn is_covered(&self) -> bool {
        let Some(view) = &self.view else { return false };
        let first = self.selected.saturating_sub(self.height);
        let last = (self.selected + self.height).min(view.places().saturating_sub(1));
        view.places() == 0 || view.at(first).is_some() && view.at(last).is_some()
    }

    /// Returns the line of the table that a line of the screen is, if there is a row on it.
    pub fn line_at(&self, y: u16) -> Option<u16> {
        let line = y.checked_sub(self.table_y).filter(|line| usize::from(*line) < self.height)?;
        self.view.as_ref()?.at(self.shown.0 + usize::from(line)).map(|_| line)
    }

    /// Returns what cells depend on, on a screen of this width.
    pub fn look(&self, width: u16) -> Look {
        Look {
            signs: self.setup.signs,
            digits: if width < 100 { Digits::Two } else { Digits::Three },
            services: self.setup.services.filter(|_| self.names),
            no_owners: self.is_file() || self.view.as_ref().is_some_and(|v| v.owner_method.method == "off"),
            wall: self.view.as_ref().map_or(self.clock, |v| v.wall),
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

    /// Returns a run of text in the look of a role.
    pub fn run(&self, role: Role, text: impl Into<String>) -> (String, Style) {
        (text.into(), self.setup.theme.style(role))
    }
}
