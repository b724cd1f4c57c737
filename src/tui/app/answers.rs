//! What is asked for, and what becomes of answers.

use super::*;
use crate::{
    base::counters::DropReason,
    query::window::{Between, Request},
};

impl App {
    /// Takes a new view. One that answers an older question while the selection is elsewhere by
    /// now gives its totals only.
    pub fn take(&mut self, mut view: View) {
        if !self.is_settled(&view) {
            return;
        }
        let firing = self.view.as_ref().map_or_else(Vec::new, |view| view.firing.clone());
        self.history = match self.history_from {
            Nanos(0) => Arc::clone(&view.history),
            from => Arc::new(view.history.after(from)),
        };
        if view.frozen.is_none() {
            self.charts = Arc::clone(&self.history);
        }
        if view.ended && self.read_in.is_none() {
            self.read_in = Some(self.uptime);
        }
        self.measure_stages(&view);
        self.recount(&mut view);
        self.note_drops(&view);
        self.note_heard(&view);
        self.take_rows(view);
        self.hold_engine();
        self.trace_selected();
        self.note_changes();
        self.follow_group();
        self.log_watches(&firing);
        self.renew_overlay();
    }

    /// Takes what an epoch tells whose rows are not shown.
    pub fn take_between(&mut self, told: Between) {
        let Some(view) = &mut self.view else { return };
        let before = std::mem::replace(&mut view.firing, told.firing);
        let is_traced = |(id, _): &(FlowId, [f64; 2])| self.trace_of == Some(*id) && view.frozen.is_none();
        if let Some((_, [down, up])) = told.moved.filter(is_traced) {
            self.trace.push(told.now, Nanos::from_secs(1), [down, up, 0.0]);
        }
        self.log_watches(&before);
    }

    /// What was known of the selected row's windows is told after its end too.
    fn keep_health(&self, view: &mut View, place: usize) {
        let Some((id, health)) = self.selected_row().and_then(|row| Some((row.id, row.health?))) else {
            return;
        };
        let row = place.checked_sub(view.first).and_then(|n| view.rows.get_mut(n));
        let gone = view.gone.as_mut().map(|gone| &mut gone.row);
        for row in row.into_iter().chain(gone).filter(|row| row.id == id && row.end.is_some()) {
            row.health = row.health.or(Some(health));
        }
    }

    /// While all stands still, so does who waits at which port.
    fn keep_listening(&self, view: &mut View) {
        if let Some(old) = self.view.as_ref().filter(|old| old.frozen.is_some() && self.is_frozen()) {
            view.listening = Arc::clone(&old.listening);
        }
    }

    pub(super) fn take_rows(&mut self, mut view: View) {
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
        self.keep_health(&mut view, place);
        self.keep_listening(&mut view);
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

    pub(super) fn take_totals(&mut self, mut view: View) {
        self.asked = None;
        self.keep_listening(&mut view);
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
                hidden_matched: old.hidden_matched,
                serial: old.serial,
                groups: old.groups,
                watched: old.watched,
                frozen: old.frozen,
                ..view
            },
            None => view,
        });
    }

    pub(super) fn measure_stages(&mut self, view: &View) {
        let frames: Vec<u64> = view.stages.iter().map(|s| s.frames).collect();
        // How fast a file is read has nothing to do with its own time.
        let now = if self.is_file() { self.uptime } else { view.now };
        match &self.stage_frames {
            Some((at, before)) if before.len() == frames.len() => {
                let seconds = now.since(*at).as_secs_f64();
                if seconds < 0.5 {
                    return;
                }
                let rate = |(now, before): (&u64, &u64)| now.saturating_sub(*before) as f64 / seconds;
                self.readings.stage_rates = frames.iter().zip(before).map(rate).collect();
            }
            _ => self.readings.stage_rates = vec![0.0; frames.len()],
        }
        self.readings.stage_peaks.resize(frames.len(), 0.0);
        let Readings { stage_peaks, stage_rates, .. } = &mut self.readings;
        stage_peaks.iter_mut().zip(stage_rates).for_each(|(peak, rate)| *peak = peak.max(*rate));
        self.stage_frames = Some((now, frames));
    }

    /// Keeps the counts of what was dropped for a minute.
    pub(super) fn note_drops(&mut self, view: &View) {
        if self.readings.drops.back().is_some_and(|(at, _)| view.now.since(*at) < Nanos::from_millis(900)) {
            return;
        }
        let own = DropReason::ALL.iter().map(|reason| view.accounts.drops[*reason]);
        self.readings.drops.push_back((view.now, std::iter::once(view.kernel_drops).chain(own).collect()));
        while self.readings.drops.front().is_some_and(|(at, _)| view.now.since(*at) > Nanos::from_secs(60)) {
            self.readings.drops.pop_front();
        }
    }

    /// Keeps for a minute how many frames each interface had, and how many of them were for other hosts.
    pub(super) fn note_heard(&mut self, view: &View) {
        let heard = &mut self.readings.heard;
        if heard.back().is_some_and(|(at, _)| view.now.since(*at) < Nanos::from_millis(900)) {
            return;
        }
        let mut now: Vec<(String, [u64; 2])> = Vec::new();
        for interface in view.sources.iter().flat_map(|source| &source.interfaces) {
            let more = [interface.frames, interface.other_host_frames];
            match now.iter_mut().find(|(name, _)| *name == interface.name) {
                Some((_, sum)) => *sum = [sum[0] + more[0], sum[1] + more[1]],
                None => now.push((interface.name.clone(), more)),
            }
        }
        heard.push_back((view.now, now));
        while heard.front().is_some_and(|(at, _)| view.now.since(*at) > Nanos::from_secs(60)) {
            heard.pop_front();
        }
    }

    /// Adds what the selected row moved in the last second. Of a file, only where it stands: how often it was drawn on the
    /// way there says nothing.
    pub(super) fn trace_selected(&mut self) {
        let Some(row) = self.selected_row() else { return };
        let (id, (down, up)) = (row.id, row.seen_down_up());
        let Some(view) = &self.view else { return };
        let (now, is_on_its_way) = (view.now, is_on_its_way(view));
        // Read anew, it is complete, up to the end of its last second.
        let is_complete = self.retraced.is_some_and(|(of, _)| of == id);
        let is_back =
            !is_complete && self.trace.newest().is_some_and(|newest| newest.0 >= now.0 + 1_000_000_000);
        let is_frozen = view.frozen.is_some();
        if self.trace_of != Some(id) || is_back {
            self.trace = History::default();
            self.trace_of = Some(id);
        }
        if is_on_its_way || is_complete || is_frozen {
            return;
        }
        self.trace.push(now, Nanos::from_secs(1), [f64::from(down), f64::from(up), 0.0]);
    }

    /// Returns what to ask for, and whether it is needed at once, if anything has changed.
    pub fn ask(&mut self) -> Option<(Request, bool)> {
        self.look_up_neighbours();
        let margin = 100 + 2 * self.height;
        let group = self.group_by().map(|by| {
            let panel = &self.panels[by as usize];
            GroupRequest {
                by,
                sort: panel.sort,
                flipped: panel.flipped,
                open: panel.open.clone(),
                name: panel.name.clone(),
                place: panel.place,
                margin: margin.max(300),
                listening: Arc::default(),
            }
        });
        let now = Asked {
            cursor: self.cursor,
            margin,
            serial: self.serial,
            frozen: self.is_frozen(),
            group,
            census: self.tab == Tab::Graph,
            watches: self.watches.len(),
        };
        if self.asked.as_ref() == Some(&now) {
            return None;
        }
        let urgent = self.asked.as_ref().is_none_or(|asked| {
            let order =
                |g: &Option<GroupRequest>| g.as_ref().map(|g| (g.by, g.sort, g.flipped, g.open.clone()));
            asked.census != now.census && now.census
                || asked.serial != now.serial
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
            margin,
            localhost: self.localhost,
            keep,
            filter: self.filter.in_force().cloned(),
            sort: self.sort,
            only: self.only_marked.then(|| Arc::clone(&self.marks)),
            ended: self.shows_ended.then_some(self.cleared),
            frozen: now.frozen,
            exact: true,
            undamped: !self.setup.damping,
            services: self.setup.services.filter(|_| self.names),
            neighbours: Arc::clone(&self.neighbours.all),
            group: now.group.clone(),
            census: now.census,
            watches: Arc::clone(&self.watches),
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

    /// Returns the request for the rows of the view whose frames are written: live ones go on while what is on the table
    /// may stand still.
    pub fn request_of_frames(&mut self) -> Request {
        let is_file = self.is_file();
        let request = self.request();
        Request {
            keep: None,
            frozen: request.frozen && is_file,
            ended: request.ended.filter(|_| is_file),
            group: None,
            census: false,
            watches: Arc::default(),
            sort: Sort::default(),
            ..request
        }
    }

    /// Says that the next question must be asked even if it is the same: the rows are newer.
    pub fn ask_again(&mut self) {
        if let Some(view) = &self.view
            && let (Cursor::On(_), Some(asked)) = (self.cursor, &mut self.asked)
            && view.cursor == self.cursor
        {
            // Another value than any that is asked for, and the rest the same: not urgent.
            asked.margin = usize::MAX;
        }
    }

    /// Returns whether other rows were asked for than those that are here, on a page that has rows.
    pub fn awaits_rows(&self) -> bool {
        if !matches!(self.tab, Tab::Overview | Tab::Details | Tab::Hosts | Tab::Processes) {
            return false;
        }
        self.view.as_ref().is_none_or(|view| {
            view.serial != self.serial
                || view.frozen.is_some() != self.is_frozen()
                || self.group_by() != view.groups.as_ref().map(|groups| groups.by)
        })
    }

    /// Returns whether the selection is on a row that is not here yet.
    pub fn awaits_selection(&self) -> bool {
        self.group_by().is_none()
            && self.view.as_ref().is_some_and(|view| view.places() > 0 && view.at(self.selected).is_none())
    }

    /// Returns whether the rows of a screen on either side of the selection are there.
    pub(super) fn is_covered(&self) -> bool {
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
}

/// Returns whether a file is being read. What comes through a pipe comes at its own pace.
pub(super) fn is_on_its_way(view: &View) -> bool {
    !view.ended && view.sources.iter().any(|source| source.read.is_some_and(|(_, size)| size.is_some()))
}
