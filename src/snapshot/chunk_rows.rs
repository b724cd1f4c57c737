//! The rows of a chunk, all at once: what is told of many rows by bits, before any of them is looked at.

use crate::{
    flow::entry::{Hot, Origin},
    snapshot::{side::Tenant, view::ROWS_A_CHUNK},
};

/// The rows of a chunk; of sets, bit n is the slot in place n.
pub struct ChunkRows<'a> {
    /// Counters, times, state.
    pub hot: &'a [Hot; ROWS_A_CHUNK],
    /// When they began.
    pub origins: &'a [Origin; ROWS_A_CHUNK],
    /// Slots that have a row.
    pub live: u64,
    /// Those of which is, or was of a flow before, known what they speak.
    pub apps: u64,
    /// The same of owners.
    pub owners: u64,
    /// Bytes per second, by sender, as rows show them; of slots behind the last none are known.
    pub rates: &'a [[f32; 2]],
}

// A set is a word.
const _: () = assert!(ROWS_A_CHUNK == u64::BITS as usize);

impl ChunkRows<'_> {
    /// Returns the slots for whose record `holds` says so; also those without a row.
    #[inline(always)]
    pub fn pick(&self, holds: impl Fn(&Hot) -> bool) -> u64 {
        pick(self.hot, holds)
    }

    /// Returns the slots for whose record and rates `holds` says so; also those without a row.
    #[inline(always)]
    pub fn pick_by_rate(&self, holds: impl Fn(&Hot, [f32; 2]) -> bool) -> u64 {
        (0..ROWS_A_CHUNK).fold(0, |bits, i| {
            let rate = self.rates.get(i).copied().unwrap_or_default();
            bits | u64::from(holds(&self.hot[i], rate)) << i
        })
    }
}

/// Returns the places of items for which `holds` says so; at most 64 items.
#[inline(always)]
pub(super) fn pick<T>(items: &[T], holds: impl Fn(&T) -> bool) -> u64 {
    items.iter().rev().fold(0, |bits, item| bits << 1 | u64::from(holds(item)))
}

/// Returns the slots of which something is known.
pub(super) fn known<T>(tenants: &[Tenant<T>]) -> u64 {
    pick(tenants, |tenant| tenant.value.is_some())
}
