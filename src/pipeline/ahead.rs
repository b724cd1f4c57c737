//! Touches the memory of tables ahead of its use, off the packet path: a worker that begins many flows, or copies many
//! chunks behind a cut, would wait for every large page.
//!
//! ```text
//!   table │ in use │ touched │ address space ...        a page of 2 MB is always ahead of the one in use
//!            worker ─▶ calls       ◀─ memory
//! ```
//!
//! Nothing is lost where this thread is late: then the worker waits, as it would without it.

use std::{sync::Arc, time::Duration};

use crate::{
    base::{
        call::Caller,
        memory::{Populate, Region},
        sync,
    },
    pipeline::wake::Bell,
    snapshot::publication::Publication,
};

/// The end of the engine ends the wait, and so does every call.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The memory of all tables.
pub struct Ahead {
    bell: Arc<Bell>,
    populate: Populate,
    regions: Vec<sync::Arc<Region>>,
}

impl Ahead {
    /// Returns one that has no memory yet.
    pub fn new(populate: Populate) -> Self {
        Self { bell: Arc::default(), populate, regions: Vec::new() }
    }

    /// Returns what a table calls.
    pub fn caller(&self) -> Caller {
        let bell = Arc::clone(&self.bell);
        Caller::new(move || bell.ring())
    }

    /// Adds memory.
    pub fn add(&mut self, regions: impl IntoIterator<Item = sync::Arc<Region>>) {
        self.regions.extend(regions);
    }

    /// Runs until the engine has ended.
    pub fn run(self, publication: &Publication) {
        let Self { bell, populate, regions } = self;
        bell.adopt();
        while !publication.is_over() {
            // All of them before the next page of one: each has a page ahead.
            let touched = regions.iter().filter(|region| region.touch_ahead(populate)).count();
            if touched == 0 {
                let is_ready = || publication.is_over() || regions.iter().any(|region| region.wants_more());
                bell.wait(LONGEST_WAIT, is_ready);
            }
        }
    }
}
