//! What actions do.

use super::*;
use crate::{query::group::GroupLine, tui::terms};

impl App {
    /// Does what was asked for.
    pub fn act(&mut self, action: Action) -> Next {
        let pending = self.pending.take();
        // What it asked is answered; and what stood for somebody to look at was seen.
        if pending.is_some() || self.message.as_ref().is_some_and(|message| message.until <= self.uptime) {
            self.message = None;
        }
        match action {
            Action::Quit => return Next::Quit,
            Action::AskQuit if self.asks_to_quit => return Next::Quit,
            _ if self.asks_to_quit => self.asks_to_quit = false,
            Action::AskQuit => self.asks_to_quit = true,
            Action::Redraw => return Next::Redraw,
            Action::Suspend => return Next::Suspend,
            Action::Help if self.tab == Tab::Help => self.go_back(),
            Action::Help => self.go_to(Tab::Help),
            Action::Go(tab) => self.go_to(tab),
            Action::Cycle(by) => {
                let count = Tab::ALL.len() as i32;
                let place = (self.tab.place() as i32 + by).rem_euclid(count);
                self.go_to(Tab::ALL[place as usize]);
            }
            Action::Close => self.close(),
            Action::Enter if self.tab == Tab::Pipeline => self.overlay = Some(Overlay::explained(self)),
            Action::Enter => self.enter(),
            Action::Filter => self.filter.open(),
            Action::Palette => self.overlay = Some(Overlay::palette()),
            Action::Columns => self.overlay = Some(Overlay::columns()),
            Action::CopyAs => self.overlay = Some(Overlay::copy_as(self)),
            Action::Copy => self.copy_remote(),
            Action::CopyField => self.copy_field(),
            Action::Export if self.tab == Tab::Pipeline => {
                let text = crate::tui::view::pipeline::diagnosis(self);
                self.effects.push(Effect::Write(text));
            }
            Action::Export => self.overlay = Some(Overlay::export(self)),
            // Details show one row.
            Action::Record if self.tab == Tab::Details => self.record(Whose::Row),
            Action::Record => self.record(Whose::Shown),
            Action::RecordRow => self.record(Whose::Row),
            Action::Interfaces => self.overlay = Some(Overlay::interfaces(self)),
            Action::Listening => self.overlay = Some(Overlay::listeners(self)),
            Action::Degraded => self.overlay = Some(Overlay::degraded(self)),
            Action::StepTime(seconds) => self.step_time(seconds),
            Action::Play => self.play(),
            Action::Unfold => self.unfold(),
            Action::Fold => self.fold(),
            Action::NextSort => self.sort_next(),
            Action::FlipSort => match self.panel() {
                Some(panel) => panel.flipped = !panel.flipped,
                None => self.set_sort(self.sort.flipped()),
            },
            Action::SortColumn(column) => self.sort_column(column),
            Action::SortSums(by) => self.sort_sums(by),
            Action::Widen(by) => self.widen(by),
            Action::Freeze => self.freeze(),
            Action::Ended => {
                self.shows_ended = !self.shows_ended;
                self.changed();
            }
            Action::Clear if pending == Some(Action::Clear) => {
                self.cleared = self.view.as_ref().map_or(0, |v| v.ended_end);
                // A selected row that has ended goes with them.
                if self.selected_row().is_some_and(|row| row.end.is_some()) {
                    self.cursor = Cursor::At(self.selected);
                }
                self.changed();
                self.say("ended rows are cleared", Role::Plain);
            }
            Action::Reset if pending == Some(Action::Reset) => {
                self.history_from = self.view.as_ref().map_or(Nanos(0), |view| view.now);
                (self.history, self.charts, self.trace) = Default::default();
                self.readings.stage_peaks.clear();
                self.readings.drops.clear();
                self.reset_counts();
                self.still = None;
                self.hold_engine();
                self.say("counters, history and peaks are reset", Role::Plain);
            }
            Action::Clear | Action::Reset => {
                self.pending = Some(action);
                let text = if action == Action::Clear {
                    "x again clears ended rows"
                } else {
                    "X again resets counters, history and peaks"
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
                self.reset_columns();
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

    pub(super) fn go_to(&mut self, tab: Tab) {
        if tab == self.tab {
            return;
        }
        // One comes back by each tab once, and Overview is where it ends.
        self.trail.retain(|by| *by != tab && *by != self.tab);
        self.trail.push(self.tab);
        if tab == Tab::Overview {
            self.trail.clear();
        }
        // Whoever looks at a row has chosen it, also where the selection was on the first or the last one.
        if tab == Tab::Details
            && !matches!(self.cursor, Cursor::On(_))
            && let Some(id) = self.selected_row().map(|row| row.id)
        {
            self.cursor = Cursor::On(id);
        }
        self.tab = tab;
    }

    /// Goes back to the tab that one came from.
    fn go_back(&mut self) {
        self.tab = self.trail.pop().unwrap_or_default();
    }

    fn close(&mut self) {
        if self.overlay.take().is_some() {
        } else if self.filter.editing.is_some() {
            self.filter_cleared();
        } else if self.tab != Tab::Overview {
            self.go_back();
        } else if let Some((tab, grouping, filter)) = self.came_from_group.take() {
            (self.tab, self.grouping) = (tab, grouping);
            self.set_filter(&filter);
        } else if !self.filter.text().is_empty() {
            self.filter_cleared();
        } else if self.is_frozen() {
            self.freeze();
        }
    }

    pub(super) fn enter(&mut self) {
        let name = match self.selected_line() {
            None if self.tab == Tab::Overview && self.grouping.is_none() => return self.go_to(Tab::Details),
            None => return,
            Some(GroupLine::Row { row, .. }) => {
                self.cursor = Cursor::On(row.id);
                return self.go_to(Tab::Details);
            }
            Some(GroupLine::Group { group, .. }) => group.name.clone(),
            Some(GroupLine::More { of, .. }) => of.clone(),
        };
        let Some(term) = terms::of_group(&name) else {
            return self.say("these have ended and have no rows; on Overview, t shows them", Role::Plain);
        };
        let filter = terms::joined(self.filter.text(), &term);
        self.came_from_group = Some((self.tab, self.grouping, self.filter.text().to_owned()));
        (self.tab, self.grouping) = (Tab::Overview, None);
        self.trail.clear();
        self.cursor = Cursor::First;
        self.set_filter(&filter);
    }

    pub(super) fn copy_remote(&mut self) {
        let Some(row) = self.selected_row() else { return };
        let text = terms::remote_end(row);
        self.copy(text);
    }

    /// Hands text to the clipboard and says so.
    pub fn copy(&mut self, text: String) {
        self.copy_called(&text.clone(), text);
    }

    /// Hands text to the clipboard and says so in other words.
    fn copy_called(&mut self, what: &str, text: String) {
        self.say(format!("copied {what}"), Role::Plain);
        self.effects.push(Effect::Copy(text));
    }

    /// Begins to write frames, or ends that.
    fn record(&mut self, whose: Whose) {
        match &mut self.recording {
            // What the keys before asked for has not begun.
            None if self.effects.iter().any(|effect| matches!(effect, Effect::Record(_))) => {
                self.effects.retain(|effect| !matches!(effect, Effect::Record(_)));
            }
            None => self.effects.push(Effect::Record(whose)),
            Some(recording) if !recording.ends => {
                recording.ends = true;
                self.effects.push(Effect::StopRecording);
            }
            // The file is being ended: once it is, the next one begins, unless this is taken back.
            Some(recording) => recording.next = if recording.next.is_none() { Some(whose) } else { None },
        }
    }

    pub(super) fn copy_field(&mut self) {
        if self.tab == Tab::Pipeline {
            let text = crate::tui::view::pipeline::diagnosis(self);
            self.copy_called("the diagnosis", text);
        } else if let Some(text) = crate::tui::view::details::field(self) {
            self.copy(text);
        }
    }

    pub(super) fn freeze(&mut self) {
        self.frozen_at = match self.frozen_at {
            None => Some(self.uptime),
            Some(_) => None,
        };
        self.hold_engine();
    }

    pub(super) fn mark(&mut self) {
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
}
