//! The selected row after its flow has ended: it keeps its place until one moves.

use crate::{
    base::{
        ids::FlowId,
        time::{Nanos, Stamp},
    },
    flow::state::{EndReason, FlowState},
    query::scan::Spot,
    snapshot::{
        ended::{EndedFlow, EndedList},
        row::Row,
    },
};

/// A row that stays in sight although it has ended.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its last state.
    pub row: Row,
    /// Since when it is gone, and why if that is known; `None` while it lives.
    pub ended: Option<(Stamp, Option<EndReason>)>,
}

impl Kept {
    /// Returns it as a row whose flow is not there any more at `wall`.
    /// `found` is it among the flows that have ended, if it is there.
    pub fn as_gone(&self, wall: Stamp, found: Option<&EndedFlow>) -> Self {
        // A row of those that have ended knows when: that they are hidden is no other end.
        let end_of = |row: &Row| Some((row.ended()?, row.end));
        let known = self.ended.or_else(|| end_of(&self.row)).or_else(|| end_of(&found?.row()));
        let ended = known.unwrap_or_else(|| match end_reason(&self.row, wall) {
            // The packet that closed it, not the moment its row went.
            reason @ Some(EndReason::Fin | EndReason::Rst) => (self.row.last, reason),
            reason => (wall, reason),
        });
        Self { row: Row { rate: [0.0; 2], ..self.row.clone() }, ended: Some(ended) }
    }

    /// Returns it as a flow that is over, whatever ended it.
    pub fn as_ended(&self) -> EndedFlow {
        let mut flow = of_row(&self.row);
        flow.record.end = flow.record.end.or(Some(EndReason::Timeout));
        flow
    }
}

/// Returns where an ended flow stands, the newest first: that is where one looks for it.
pub fn ended_spot(list: &EndedList, first: u64, id: FlowId) -> Option<(Spot, &EndedFlow)> {
    let found = (first..list.end()).rev().find(|n| list.get(*n).is_some_and(|f| f.record.id == id))?;
    Some((Spot::Ended((found - first) as u32), list.get(found)?))
}

/// Returns a row as a flow on its own.
pub fn of_row(row: &Row) -> EndedFlow {
    EndedFlow { record: row.to_record(), app: row.app.clone(), owner: row.owner.clone(), rate: None }
}

/// Returns why a row is gone at `wall`, if its last state says so; it may also have been evicted
/// or replaced.
fn end_reason(row: &Row, wall: Stamp) -> Option<EndReason> {
    let reason = row.state.end_reason();
    let slack = Nanos::from_secs(2);
    let expired = wall.since(row.last) + slack >= row.state.expires_after();
    (row.state.is_over() || expired || row.state == FlowState::Reset).then_some(reason)
}
