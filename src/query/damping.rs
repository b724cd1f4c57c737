//! Rows sorted by a rate keep their places for a moment, so that a table can be read.
//!
//! Two neighbours change places when their rates differ by more than a tenth at two refreshes
//! running; after five seconds the order is exact again.

use std::collections::{HashMap, HashSet};

use crate::base::{ids::FlowId, time::Nanos};

/// The order is exact at least so often.
const EXACT_AFTER: Nanos = Nanos::from_secs(5);
/// How far two rates must be apart to change places.
const APART: f64 = 1.10;

/// What was shown last.
#[derive(Default)]
pub struct Damper {
    places: HashMap<FlowId, usize>,
    /// Pairs that would have changed places at the last refresh.
    pending: HashSet<(FlowId, FlowId)>,
    exact_at: Nanos,
}

impl Damper {
    /// Takes an order that was shown as it is.
    pub fn reset(&mut self, ids: impl Iterator<Item = FlowId>, now: Nanos) {
        self.places = ids.enumerate().map(|(place, id)| (id, place)).collect();
        self.pending.clear();
        self.exact_at = now;
    }

    /// Brings rows that come in their exact order, each with its id and rate, into the order in
    /// which they are shown; returns the places they come from. `descending` is how they are
    /// sorted.
    pub fn settle(&mut self, rows: &[(FlowId, f64)], descending: bool, now: Nanos) -> Vec<usize> {
        let exact: Vec<usize> = (0..rows.len()).collect();
        let known = rows.iter().filter(|(id, _)| self.places.contains_key(id)).count();
        if now.since(self.exact_at) >= EXACT_AFTER || known * 2 < rows.len() {
            self.reset(rows.iter().map(|r| r.0), now);
            return exact;
        }
        // Rows that were shown come in their old order, into the places that they have together.
        let mut order = exact;
        let slots: Vec<usize> = (0..rows.len()).filter(|n| self.places.contains_key(&rows[*n].0)).collect();
        let mut old = slots.clone();
        old.sort_by_key(|n| self.places[&rows[*n].0]);
        for (slot, row) in slots.iter().zip(old) {
            order[*slot] = row;
        }
        let mut pending = HashSet::new();
        let mut moved = true;
        // Insertion by neighbours: a pass for each place a row moves at most.
        let mut passes = 0;
        while moved && passes < rows.len() {
            moved = false;
            passes += 1;
            for at in 1..order.len() {
                let (above, below) = (rows[order[at - 1]], rows[order[at]]);
                let (small, large) = if descending { (above.1, below.1) } else { (below.1, above.1) };
                if large <= small * APART {
                    continue;
                }
                let pair = (above.0, below.0);
                pending.insert(pair);
                if self.pending.contains(&pair) {
                    order.swap(at - 1, at);
                    moved = true;
                }
            }
        }
        self.pending = pending;
        self.places = order.iter().enumerate().map(|(place, n)| (rows[*n].0, place)).collect();
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(damper: &mut Damper, rates: &[(u32, f64)], seconds: u64) -> Vec<u32> {
        let mut rows: Vec<_> = rates.iter().map(|(n, rate)| (FlowId::new(0, *n, 0), *rate)).collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        let order = damper.settle(&rows, true, Nanos::from_secs(seconds));
        order.into_iter().map(|n| rows[n].0.slot()).collect()
    }

    #[test]
    fn so10_a_row_keeps_its_place_until_it_is_a_tenth_larger_twice() {
        let mut damper = Damper::default();
        assert_eq!(settle(&mut damper, &[(1, 100.0), (2, 90.0), (3, 10.0)], 10), [1, 2, 3]);
        // A little more is no reason.
        assert_eq!(settle(&mut damper, &[(1, 100.0), (2, 109.0), (3, 10.0)], 11), [1, 2, 3]);
        // Much more is one, at the second time.
        assert_eq!(settle(&mut damper, &[(1, 100.0), (2, 120.0), (3, 10.0)], 12), [1, 2, 3]);
        assert_eq!(settle(&mut damper, &[(1, 100.0), (2, 120.0), (3, 10.0)], 13), [2, 1, 3]);
    }

    #[test]
    fn so10_after_five_seconds_the_order_is_exact() {
        let mut damper = Damper::default();
        settle(&mut damper, &[(1, 100.0), (2, 90.0)], 10);
        assert_eq!(settle(&mut damper, &[(1, 100.0), (2, 105.0)], 14), [1, 2]);
        assert_eq!(settle(&mut damper, &[(1, 100.0), (2, 105.0)], 15), [2, 1]);
    }

    #[test]
    fn new_rows_come_where_they_belong() {
        let mut damper = Damper::default();
        settle(&mut damper, &[(1, 100.0), (2, 90.0), (3, 10.0)], 10);
        assert_eq!(settle(&mut damper, &[(1, 90.0), (2, 95.0), (4, 50.0), (3, 10.0)], 11), [1, 2, 4, 3]);
    }
}
