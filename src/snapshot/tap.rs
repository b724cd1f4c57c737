//! What an export gets to see: every ended flow, exactly once, and every epoch.

use std::sync::Arc;

use crate::{
    flow::entry::FlowRecord,
    process::owner::Owner,
    snapshot::{app::App, view::Snapshot},
};

/// A flow that ended, and what was known of it.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Its records.
    pub record: FlowRecord,
    /// What it spoke.
    pub app: Option<Arc<App>>,
    /// Who owned it.
    pub owner: Option<Arc<Owner>>,
    /// Bytes per second by sender, if it is still open.
    pub rate: Option<[f32; 2]>,
}

impl From<FlowRecord> for Ended {
    fn from(record: FlowRecord) -> Self {
        Self { record, app: None, owner: None, rate: None }
    }
}

/// A reader that must miss nothing: called by the collector, in its thread.
pub trait Tap: Send {
    /// Returns whether the order of flows within a cut matters to it.
    fn wants_order(&self) -> bool {
        true
    }

    /// Gets the last epoch before the flows that are still open at it, whose age it tells.
    fn stopping(&mut self, _snapshot: &Snapshot) {}

    /// Gets the flows that ended up to this cut, in the order of first packet, then key.
    ///
    /// # Errors
    /// When what it writes to failed; the engine then stops.
    fn ended(&mut self, flows: &[Ended]) -> std::io::Result<()>;

    /// Gets every epoch once, after its ended flows. The last one has `snapshot.ended` set; the
    /// flows that are still open have then been given to `ended` with reason `eof`.
    ///
    /// # Errors
    /// As [`Tap::ended`].
    fn epoch(&mut self, snapshot: &Snapshot) -> std::io::Result<()>;
}
