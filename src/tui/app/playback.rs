//! The time up to which a file is read: back, on, and along with the clock.
//!
//! The engine only goes forwards, so a step reads the file again, up to another time.

use super::*;

/// A step by a key.
const STEP: u64 = 1_000_000_000;

/// Where in a file one stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Playback {
    /// The times of its first and its last packet, once they are known.
    span: Option<(Stamp, Stamp)>,
    /// The time up to which it is read; `None`: all of it.
    at: Option<Stamp>,
    /// It is being read again; before, it was read up to there.
    reading: bool,
    before: Option<Stamp>,
    /// It plays: since when, and from which time on.
    playing: Option<(Nanos, Stamp)>,
}

impl App {
    /// Returns whether the file is read and can be read again.
    pub fn can_step(&self) -> bool {
        self.setup.rereads && self.playback.span.is_some()
    }

    /// Returns the time up to which what is shown of the file was read, if that is not its end.
    pub fn stands_at(&self) -> Option<Stamp> {
        // While it is read to its end, what was there before is shown.
        self.playback.at.or(self.playback.before.filter(|_| self.playback.reading))
    }

    /// Returns whether the file plays.
    pub fn plays(&self) -> bool {
        self.playback.playing.is_some()
    }

    /// Steps by so many seconds.
    pub(super) fn step_time(&mut self, seconds: i64) {
        let Some((first, last)) = self.playback.span else { return };
        self.playback.playing = None;
        let at = self.playback.at.unwrap_or(last).0;
        let by = STEP * seconds.unsigned_abs();
        let to = if seconds < 0 { at.saturating_sub(by).max(first.0) } else { at.saturating_add(by) };
        self.stand_at(Stamp(to));
    }

    /// Plays at the speed at which it was recorded, from the start if it stands at the end; stops.
    pub(super) fn play(&mut self) {
        let Some((first, _)) = self.playback.span else { return };
        if self.playback.playing.take().is_some() {
            return;
        }
        let from = self.playback.at.unwrap_or(first);
        self.playback.playing = Some((self.uptime, from));
        self.stand_at(from);
    }

    /// Goes on with the clock while the file plays; called whenever it is drawn, and when [`App::plays_on_in`] says.
    pub fn go_on_playing(&mut self) {
        let Some((since, from)) = self.playback.playing else { return };
        let to = Stamp(from.0.saturating_add(self.uptime.since(since).0));
        if !self.playback.reading && self.plays_on_in() == Some(Nanos(0)) {
            self.stand_at(to);
        }
    }

    /// Returns in how long a file that plays goes on, at the refresh interval; `None` unless it plays.
    pub fn plays_on_in(&self) -> Option<Nanos> {
        let (since, from) = self.playback.playing?;
        let played = self.playback.at?.0.saturating_sub(from.0);
        let next =
            since.0.saturating_add(played).saturating_add(u64::from(self.setup.refresh_ms) * 1_000_000);
        Some(Nanos(next.saturating_sub(self.uptime.0)))
    }

    fn stand_at(&mut self, to: Stamp) {
        let Some((_, last)) = self.playback.span else { return };
        let at = (to < last).then_some(to);
        if at.is_none() {
            self.playback.playing = None;
        }
        if at == self.playback.at && !self.playback.reading {
            return;
        }
        if !self.playback.reading {
            self.playback.before = self.playback.at;
        }
        self.playback.at = at;
        self.playback.reading = true;
        self.effects.push(Effect::Again(Again::Until(at)));
    }

    /// Takes note that the file cannot be read again now: what was read before still stands.
    pub fn reread_failed(&mut self) {
        if self.playback.reading {
            self.playback.at = self.playback.before;
            (self.playback.reading, self.playback.playing) = (false, None);
        }
    }

    /// Returns the selected row of a file and the times from which and up to which it is read, if Details show what
    /// it moved and that was not asked for yet.
    pub fn wanted_trace(&mut self) -> Option<(Row, [Stamp; 2])> {
        let (first, last) = self.playback.span.filter(|_| self.can_step() && self.tab == Tab::Details)?;
        let row = self.selected_row().filter(|_| !self.playback.reading)?.clone();
        let until = self.playback.at.unwrap_or(last);
        let wanted = Some((row.id, until));
        if std::mem::replace(&mut self.retraced, wanted) == wanted {
            return None;
        }
        Some((row, [first, until]))
    }

    /// Takes what a row moved, if it is still asked for.
    pub fn take_trace(&mut self, id: FlowId, until: Stamp, trace: History) {
        if self.retraced == Some((id, until)) && self.trace_of == Some(id) {
            self.trace = trace;
        }
    }

    /// Takes note of a view; returns whether it is to be shown. While the file is read again, what
    /// was there stays until it is.
    pub(super) fn is_settled(&mut self, view: &View) -> bool {
        if view.ended && self.playback.span.is_none() {
            self.playback.span = Some((Stamp(view.wall.0.saturating_sub(view.now.0)), view.wall));
        }
        let shown = view.ended || !self.playback.reading;
        self.playback.reading &= !view.ended;
        shown
    }

    /// Forgets what belongs to what was looked at before: another source comes, or the same again.
    pub fn begin_again(&mut self) {
        (self.history, self.charts, self.history_from) = Default::default();
        self.cleared = 0;
        (self.frozen_at, self.still) = (None, None);
        self.stage_frames = None;
        self.readings.drops.clear();
        self.readings.heard.clear();
        self.readings.stage_peaks.clear();
        // Ids begin anew with the engine.
        (self.story, self.neighbour) = Default::default();
        self.asked = None;
        self.changed();
    }

    /// Forgets all rows, too: another source comes.
    pub fn begin_anew(&mut self, notes: Vec<String>, reason: Option<String>) {
        self.begin_again();
        self.trace = History::default();
        (self.setup.notes, self.setup.reason) = (notes, reason);
        (self.setup.placement, self.setup.placement_warnings) = Default::default();
        self.view = None;
        self.marks = Arc::default();
        self.only_marked = false;
        self.cursor = Cursor::First;
        (self.selected, self.line, self.shown) = (0, 0, (0, 0));
    }
}
