//! The exports of a run, and what became of them.

use std::{io, sync::Arc};

use crate::{
    pipeline::rx::Control,
    snapshot::{
        tap::{Ended, Tap},
        view::Snapshot,
    },
};

/// All taps. When one fails, the pipeline is told to stop, and none is called any more.
pub struct Taps {
    all: Vec<Box<dyn Tap>>,
    control: Arc<Control>,
    error: Option<io::Error>,
}

impl Taps {
    /// Returns these taps; `control` stops the pipeline.
    pub fn new(all: Vec<Box<dyn Tap>>, control: Arc<Control>) -> Self {
        Self { all, control, error: None }
    }

    /// Returns whether there are none.
    pub fn are_none(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns whether the order of ended flows matters to one of them.
    pub fn want_order(&self) -> bool {
        self.all.iter().any(|tap| tap.wants_order())
    }

    /// Hands ended flows on.
    pub fn ended(&mut self, flows: &[Ended]) {
        if !flows.is_empty() {
            self.each(|tap| tap.ended(flows));
        }
    }

    /// Hands the last epoch on before the flows that are open at it.
    pub fn stopping(&mut self, snapshot: &Snapshot) {
        self.each(|tap| {
            tap.stopping(snapshot);
            Ok(())
        });
    }

    /// Hands an epoch on.
    pub fn epoch(&mut self, snapshot: &Snapshot) {
        self.each(|tap| tap.epoch(snapshot));
    }

    /// Returns the first error.
    ///
    /// # Errors
    /// When a tap failed.
    pub fn into_result(self) -> io::Result<()> {
        self.error.map_or(Ok(()), Err)
    }

    fn each(&mut self, mut call: impl FnMut(&mut dyn Tap) -> io::Result<()>) {
        if self.error.is_some() {
            return;
        }
        for tap in &mut self.all {
            if let Err(error) = call(tap.as_mut()) {
                self.error = Some(error);
                self.control.stop();
                return;
            }
        }
    }
}
