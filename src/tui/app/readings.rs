//! What the page Pipeline tells: an epoch, and what is measured now and then. While the rows stand still, the page
//! does, too, and is drawn from a copy of both.

use std::collections::VecDeque;

use super::*;

/// What is measured about once a second.
#[derive(Clone, Default)]
pub struct Readings {
    /// Own cost.
    pub usage: Option<SelfUsage>,
    /// How fast the screen is.
    pub pace: Option<ScreenPace>,
    /// What the watched interfaces count.
    pub nics: Vec<Nic>,
    /// Frames a second of each stage.
    pub stage_rates: Vec<f64>,
    /// The highest rate of each stage.
    pub stage_peaks: Vec<f64>,
    /// What had been counted when the counts were reset.
    pub counted_before: Counts,
    /// Frames of each interface, by name, and those for other hosts among them: for a minute.
    pub(super) heard: VecDeque<(Nanos, Vec<Heard>)>,
    /// Frames dropped by the kernel and by each reason, for a minute.
    pub(super) drops: VecDeque<(Nanos, Vec<u64>)>,
}

/// An interface, its frames, and those for other hosts among them.
pub(super) type Heard = (String, [u64; 2]);

/// The engine as the page Pipeline shows it.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    /// The epoch; its rows are not looked at.
    pub view: &'a View,
    /// What was measured by then.
    pub readings: &'a Readings,
}

/// A copy of all that an [`Engine`] is.
pub(super) struct Still {
    view: View,
    readings: Readings,
}

impl App {
    /// Returns the engine as it is, or was when the rows were frozen; `None` before the first epoch.
    pub fn engine(&self) -> Option<Engine<'_>> {
        match &self.still {
            Some(still) => Some(Engine { view: &still.view, readings: &still.readings }),
            None => self.view.as_ref().map(|view| Engine { view, readings: &self.readings }),
        }
    }

    /// Keeps the engine as it is at the first view whose rows stand still, and forgets it when they go on.
    pub(super) fn hold_engine(&mut self) {
        let is_still = self.is_frozen() && self.view.as_ref().is_some_and(|view| view.frozen.is_some());
        match &self.view {
            Some(view) if is_still => {
                let Self { still, readings, .. } = self;
                still.get_or_insert_with(|| {
                    let view = View { rows: Vec::new(), groups: None, ..view.clone() };
                    Box::new(Still { view, readings: readings.clone() })
                });
            }
            _ => self.still = None,
        }
    }
}

impl Readings {
    /// Returns whether counts are those since a reset.
    pub fn has_reset_counts(&self) -> bool {
        self.counted_before.at > Nanos(0)
    }
}
