//! The rows of a window out of all rows, without sorting more than those near it.
//!
//! A sorted sample of keys tells between which two keys the window must lie; one pass counts the
//! rows below the first and collects those between (Floyd and Rivest 1975). If the guess was too
//! narrow, it is widened.

use std::cmp::Ordering;

use crate::query::{
    scan::{Scan, Spot},
    sort::Key,
};

/// Keys in a sample.
const SAMPLE: usize = 2048;

/// A row in the making.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it sorts by.
    pub key: Key,
    /// Where it stands.
    pub spot: Spot,
}

/// What the window lies around.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// This place, from 0.
    Place(usize),
    /// This row.
    Row(Entry),
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The place of the target.
    pub place: usize,
    /// The place of the first of `rows`.
    pub first: usize,
    /// The rows of the window, in order.
    pub rows: Vec<Entry>,
}

/// Finds the rows within `margin` places of the target. `extra` is one more row beside those of
/// the scan; `len` counts it. `compare` tells rows apart whose keys are equal.
pub fn window(
    scan: &Scan,
    extra: Option<Entry>,
    len: usize,
    target: Target,
    margin: usize,
    compare: impl Fn(Spot, Spot) -> Ordering,
) -> Found {
    if len == 0 {
        return Found::default();
    }
    let sample = scan.sample(len, SAMPLE);
    let compare = |a: &Entry, b: &Entry| a.key.cmp(&b.key).then_with(|| compare(a.spot, b.spot));
    // Rows between two keys of the sample.
    let step = len / sample.len().max(1) + 1;
    let middle = match target {
        Target::Place(place) => place.min(len - 1) * sample.len() / len,
        Target::Row(entry) => sample.partition_point(|key| *key < entry.key),
    };
    // A sample of n is off by sqrt(n) / 2 places in the middle, by few at the ends.
    let off = match target {
        Target::Place(place) if place > margin && place + margin < len => SAMPLE.isqrt() * 2,
        _ => 4,
    };
    let mut slack = margin / step + 1 + off;
    loop {
        let low = middle.checked_sub(slack).and_then(|at| sample.get(at)).copied();
        let high = sample.get(middle + slack).copied();
        if let Some(found) = between(scan, extra, len, target, margin, [low, high], &compare) {
            return found;
        }
        slack = slack.saturating_mul(8);
    }
}

/// Looks for the window between two keys, both included; `None` if it reaches beyond them.
fn between(
    scan: &Scan,
    extra: Option<Entry>,
    len: usize,
    target: Target,
    margin: usize,
    [low, high]: [Option<Key>; 2],
    compare: &impl Fn(&Entry, &Entry) -> Ordering,
) -> Option<Found> {
    let (from, to) = (low.unwrap_or((0, 0)), high.unwrap_or((u64::MAX, u64::MAX)));
    let mut near = Vec::new();
    let mut below = scan.between([from, to], |key, spot| near.push(Entry { key: *key, spot }));
    if let Some(extra) = extra {
        below += usize::from(extra.key < from);
        near.extend(Some(extra).filter(|extra| (from..=to).contains(&extra.key)));
    }
    let place = match target {
        Target::Place(place) => place.min(len - 1),
        Target::Row(entry) => below + near.iter().filter(|e| compare(e, &entry) == Ordering::Less).count(),
    };
    let first = place.saturating_sub(margin);
    let end = place.saturating_add(margin + 1).min(len);
    if first < below || end > below + near.len() {
        return None;
    }
    let (first_near, end_near) = (first - below, end - below);
    if end_near < near.len() {
        near.select_nth_unstable_by(end_near, compare);
        near.truncate(end_near);
    }
    if first_near > 0 {
        near.select_nth_unstable_by(first_near, compare);
        near.drain(..first_near);
    }
    near.sort_unstable_by(compare);
    Some(Found { place, first, rows: near })
}
