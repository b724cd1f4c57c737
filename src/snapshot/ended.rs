//! The newest ended flows, kept for review.
//!
//! The collector adds them in its thread; a reader takes references to whole parts, so that
//! neither waits for the other.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    flow::state::EndReason,
    snapshot::{
        flow_view::FlowView,
        row::Row,
        tap::{Ended, Tap},
        view::Snapshot,
    },
};

/// Flows in a part.
const PART: usize = 1024;

/// A flow that has ended.
pub type EndedFlow = Ended;

impl Ended {
    /// Returns it as filters and sort keys look at it.
    pub fn view(&self) -> FlowView<'_> {
        FlowView::of_record(&self.record, self.app.as_deref(), self.owner.as_deref())
    }

    /// Returns its row.
    pub fn row(&self) -> Row {
        let mut row = Row::from_record(&self.record);
        row.app.clone_from(&self.app);
        row.owner.clone_from(&self.owner);
        row
    }
}

/// The newest ended flows of a run, numbered from 0 in the order in which they ended.
pub struct EndedFlows {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Number of the first flow of the first part.
    first: u64,
    full: VecDeque<Arc<Vec<EndedFlow>>>,
    filling: Vec<EndedFlow>,
}

/// What a reader holds: the ended flows at one moment.
#[derive(Clone, Default)]
pub struct EndedList {
    /// Number of the first flow that is kept; those before it in its part are over the limit.
    first: u64,
    /// Number of the first flow of the first part.
    begins: u64,
    parts: Vec<Arc<Vec<EndedFlow>>>,
}

impl EndedFlows {
    /// Returns an empty list that keeps `limit` flows.
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::default() }
    }

    /// Returns what there is now. Costs a copy of the last part.
    pub fn list(&self) -> EndedList {
        let kept = self.lock();
        let mut parts: Vec<_> = kept.full.iter().cloned().collect();
        if !kept.filling.is_empty() {
            parts.push(Arc::new(kept.filling.clone()));
        }
        let list = EndedList { first: kept.first, begins: kept.first, parts };
        EndedList { first: kept.first.max(list.end().saturating_sub(self.limit as u64)), ..list }
    }

    /// Adds a flow.
    pub fn push(&self, flow: EndedFlow) {
        self.lock().push(flow, self.limit);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, flow: EndedFlow, limit: usize) {
        self.filling.push(flow);
        if self.filling.len() == PART {
            self.full.push_back(Arc::new(std::mem::take(&mut self.filling)));
            // Parts go as a whole; of the oldest one a list may leave out some.
            if (self.full.len() - 1).saturating_mul(PART) >= limit {
                self.full.pop_front();
                self.first += PART as u64;
            }
        }
    }
}

impl EndedList {
    /// Returns the number of the first flow.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Returns the number after the last flow.
    pub fn end(&self) -> u64 {
        let last = self.parts.last().map_or(0, |part| part.len());
        self.begins + (self.parts.len().saturating_sub(1) * PART + last) as u64
    }

    /// Returns a flow by its number, if it is still kept.
    pub fn get(&self, number: u64) -> Option<&EndedFlow> {
        if number < self.first {
            return None;
        }
        let place = usize::try_from(number - self.begins).ok()?;
        self.parts.get(place / PART)?.get(place % PART)
    }
}

/// Fills the list; one of the engine's taps.
pub struct EndedTap(pub Arc<EndedFlows>);

impl Tap for EndedTap {
    fn wants_order(&self) -> bool {
        false
    }

    fn ended(&mut self, flows: &[Ended]) -> std::io::Result<()> {
        let mut kept = self.0.lock();
        // What is open at the end stays a row of the last epoch.
        for flow in flows.iter().filter(|flow| flow.record.end != Some(EndReason::Eof)) {
            kept.push(flow.clone(), self.0.limit);
        }
        Ok(())
    }

    fn epoch(&mut self, _: &Snapshot) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::entry::FlowRecord;

    #[test]
    fn the_newest_are_kept_under_their_numbers() {
        let ended = Arc::new(EndedFlows::new(2 * PART));
        let mut tap = EndedTap(Arc::clone(&ended));
        let mut before = None;
        for n in 0..5 * PART as u64 {
            let mut record = FlowRecord::default();
            record.hot.bytes[0] = n;
            tap.ended(&[record.into()]).unwrap();
            if n == 1500 {
                before = Some(ended.list());
            }
        }
        let list = ended.list();
        assert_eq!((list.first(), list.end()), (3 * PART as u64, 5 * PART as u64));
        assert_eq!(list.get(4000).map(|f| f.record.hot.bytes[0]), Some(4000));
        assert!(list.get(3 * PART as u64 - 1).is_none() && list.get(list.end()).is_none());
        // A list does not change while it is read.
        let before = before.unwrap();
        assert_eq!((before.first(), before.end()), (0, 1501));
        assert_eq!(before.get(1500).map(|f| f.record.hot.bytes[0]), Some(1500));
    }

    #[test]
    fn k16_no_more_are_kept_than_were_asked_for() {
        for limit in [0, 1, 100, PART - 1, PART, PART + 1, 3 * PART, usize::MAX] {
            let ended = Arc::new(EndedFlows::new(limit));
            let mut tap = EndedTap(Arc::clone(&ended));
            for n in 0..4 * PART as u64 + 7 {
                let list = ended.list();
                assert_eq!((list.end() - list.first(), list.end()), (n.min(limit as u64), n), "{limit}");
                let kept = |number| list.get(number).map(|flow| flow.record.hot.bytes[0]);
                let expected = |number: Option<u64>| number.filter(|n| *n >= list.first() && *n < list.end());
                for number in [list.first().checked_sub(1), Some(list.first()), n.checked_sub(1)] {
                    assert_eq!(number.and_then(kept), expected(number), "{limit} {n}");
                }
                let mut record = FlowRecord::default();
                record.hot.bytes[0] = n;
                tap.ended(&[record.into()]).unwrap();
            }
        }
    }

    #[test]
    fn what_is_open_at_the_end_is_no_ended_flow() {
        let ended = Arc::new(EndedFlows::new(PART));
        let open = FlowRecord { end: Some(EndReason::Eof), ..FlowRecord::default() };
        let closed = FlowRecord { end: Some(EndReason::Fin), ..FlowRecord::default() };
        EndedTap(Arc::clone(&ended)).ended(&[open.into(), closed.into()]).unwrap();
        assert_eq!(ended.list().end(), 1);
    }
}
