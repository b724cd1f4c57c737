//! What is known of flows beside their records: by slot, shared with snapshots, copied on write.
//!
//! ```text
//!  slot ──▶ chunks[slot / 128] ──▶ Arc [ (generation, Arc value); 128 ]
//! ```
//!
//! The collector writes, snapshots hold what was there at their cut. A copy costs a chunk, once an
//! epoch, and only where something changed.

use std::{collections::HashMap, sync::Arc};

use crate::base::{ids::FlowId, memory::prefetch};

/// Slots of a chunk.
const CHUNK: usize = 128;

type Chunk<T> = [Tenant<T>; CHUNK];

/// What is known of the flow that has, or had, a slot.
#[derive(Debug)]
pub struct Tenant<T> {
    /// Which of the slot's flows it is.
    pub generation: u32,
    /// How often the slot was opened for writing: what has the same number here is the same.
    pub version: u32,
    /// What is known of it.
    pub value: Option<Arc<T>>,
}

impl<T> Tenant<T> {
    /// Returns what is known of the flow of this generation.
    #[inline]
    pub fn of(&self, generation: u32) -> Option<&T> {
        self.shared(generation).map(|value| &**value)
    }

    /// The same, to be kept.
    #[inline]
    pub fn shared(&self, generation: u32) -> Option<&Arc<T>> {
        self.value.as_ref().filter(|_| self.generation == generation)
    }
}

impl<T> Clone for Tenant<T> {
    fn clone(&self) -> Self {
        Self { generation: self.generation, version: self.version, value: self.value.clone() }
    }
}

/// Values by slot, as of one cut.
#[derive(Debug)]
pub struct SideView<T> {
    chunks: Vec<Option<Arc<Chunk<T>>>>,
    /// How often each chunk was opened for writing.
    versions: Vec<u32>,
    /// Where that is counted from.
    base: u32,
}

impl<T> Default for SideView<T> {
    fn default() -> Self {
        Self::counted_from(0)
    }
}

impl<T> Clone for SideView<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), versions: self.versions.clone(), base: self.base }
    }
}

impl<T> SideView<T> {
    /// Returns one without values whose versions begin at `base`: nothing in it counts as the same as what stands
    /// in a view with another base.
    pub fn counted_from(base: u32) -> Self {
        Self { chunks: Vec::new(), versions: Vec::new(), base }
    }

    /// Says what is known of the flow of a slot and generation.
    pub fn put(&mut self, slot: u32, generation: u32, value: Arc<T>) {
        let tenant = self.tenant(slot);
        (tenant.generation, tenant.value) = (generation, Some(value));
    }

    /// Returns whether anything is, or was, known of some flow.
    pub fn is_some(&self) -> bool {
        self.chunks.iter().any(Option::is_some)
    }

    /// Returns a number that changes when something else is known of the flows of a slot and those near it.
    pub fn version(&self, slot: usize) -> u32 {
        self.versions.get(slot / CHUNK).copied().unwrap_or(0)
    }

    /// Returns what is known of the flows of a chunk of slots, whose flows may have gone.
    pub fn near(&self, start: usize, slots: usize) -> &[Tenant<T>] {
        let chunk = self.chunks.get(start / CHUNK).and_then(Option::as_ref);
        let first = start % CHUNK;
        chunk.map_or(&[][..], |chunk| &chunk[first..(first + slots).min(CHUNK)])
    }

    /// Starts loading what is known of whichever flow has the slot.
    pub fn approach_value(&self, slot: u32) {
        let chunk = self.chunks.get(slot as usize / CHUNK).and_then(Option::as_ref);
        if let Some(value) = chunk.and_then(|chunk| chunk[slot as usize % CHUNK].value.as_ref()) {
            prefetch(Arc::as_ptr(value));
        }
    }

    /// Returns what is known of the flow of a slot and generation.
    #[inline]
    pub fn get(&self, slot: u32, generation: u32) -> Option<&Arc<T>> {
        let chunk = self.chunks.get(slot as usize / CHUNK)?.as_ref()?;
        chunk[slot as usize % CHUNK].shared(generation)
    }
}

/// The side of the one who writes, for one worker's flows.
///
/// A slot may have its next flow before the end of the last one was read: what belongs to the
/// earlier one then waits apart. If its end never comes, it is forgotten some cuts later.
#[derive(Debug)]
pub struct SideTable<T> {
    view: SideView<T>,
    /// With the cut at which it came here.
    leaving: HashMap<FlowId, (Arc<T>, u32)>,
    cut: u32,
}

/// Cuts that a worker may be ahead of the collector's reading, and a few more.
const PATIENCE: u32 = 8;

impl<T> Default for SideTable<T> {
    fn default() -> Self {
        Self { view: SideView::default(), leaving: HashMap::new(), cut: 0 }
    }
}

impl<T: Clone + Default> SideTable<T> {
    /// Starts loading the place of a flow's value.
    pub fn approach(&self, id: FlowId) {
        if let Some(chunk) = self.view.chunk(id) {
            prefetch_counts(chunk);
            prefetch(&raw const chunk[id.slot() as usize % CHUNK]);
        }
    }

    /// Starts loading a flow's value, if there is one; its place should be on its way.
    pub fn approach_value(&self, id: FlowId) {
        if let Some(value) = self.view.place(id).and_then(|tenant| tenant.value.as_ref()) {
            prefetch_counts(value);
            prefetch(Arc::as_ptr(value).wrapping_byte_add(size_of::<T>() - 1));
        }
    }

    /// Returns the value that has a flow's place, if there is one; both should be on their way.
    pub fn peek(&self, id: FlowId) -> Option<&T> {
        self.view.place(id)?.value.as_deref()
    }

    /// Returns the value of a flow for writing; a new one if nothing is known of it.
    pub fn get_mut(&mut self, id: FlowId) -> &mut T {
        let Self { view, leaving, cut } = self;
        match enter(view, leaving, *cut, id) {
            Some(tenant) => Arc::make_mut(tenant.value.get_or_insert_default()),
            None => Arc::make_mut(&mut leaving.entry(id).or_insert_with(|| (Arc::default(), *cut)).0),
        }
    }

    /// Sets the value of a flow.
    pub fn set(&mut self, id: FlowId, value: Arc<T>) {
        let Self { view, leaving, cut } = self;
        match enter(view, leaving, *cut, id) {
            Some(tenant) => tenant.value = Some(value),
            None => drop(leaving.insert(id, (value, *cut))),
        }
    }

    /// Takes what is known of a flow that ended.
    pub fn take(&mut self, id: FlowId) -> Option<Arc<T>> {
        if self.view.get(id.slot(), id.generation()).is_some() {
            return self.view.tenant(id.slot()).value.take();
        }
        if self.leaving.is_empty() { None } else { self.leaving.remove(&id).map(|(value, _)| value) }
    }

    /// Returns what is known of a flow.
    pub fn get(&self, id: FlowId) -> Option<&Arc<T>> {
        self.view.get(id.slot(), id.generation()).or_else(|| self.leaving.get(&id).map(|(value, _)| value))
    }

    /// Notes that the ends up to a cut were read: flows whose slot has another one since long will not
    /// be asked for any more.
    pub fn cut(&mut self) {
        self.cut = self.cut.wrapping_add(1);
        let now = self.cut;
        self.leaving.retain(|_, (_, came)| now.wrapping_sub(*came) < PATIENCE);
    }

    /// Returns all that is known now; costs a reference for each 128 slots.
    pub fn view(&self) -> SideView<T> {
        self.view.clone()
    }
}

impl<T> SideView<T> {
    fn chunk(&self, id: FlowId) -> Option<&Arc<Chunk<T>>> {
        self.chunks.get(id.slot() as usize / CHUNK)?.as_ref()
    }

    fn place(&self, id: FlowId) -> Option<&Tenant<T>> {
        Some(&self.chunk(id)?[id.slot() as usize % CHUNK])
    }

    fn tenant(&mut self, slot: u32) -> &mut Tenant<T> {
        let at = slot as usize / CHUNK;
        if at >= self.chunks.len() {
            self.chunks.resize(at + 1, None);
            self.versions.resize(at + 1, self.base);
        }
        self.versions[at] = self.versions[at].wrapping_add(1);
        let empty = |_| Tenant { generation: 0, version: self.base, value: None };
        let chunk = self.chunks[at].get_or_insert_with(|| Arc::new(std::array::from_fn(empty)));
        let tenant = &mut Arc::make_mut(chunk)[slot as usize % CHUNK];
        tenant.version = tenant.version.wrapping_add(1);
        tenant
    }
}

/// Starts loading the counts of references, which lie in front of what is shared: whoever is about to write looks at
/// them.
fn prefetch_counts<T>(shared: &Arc<T>) {
    prefetch(Arc::as_ptr(shared).wrapping_byte_sub(2 * size_of::<usize>()));
}

/// Returns the slot of a flow, its last tenant having left; `None` if a later flow has it.
fn enter<'a, T>(
    view: &'a mut SideView<T>,
    leaving: &mut HashMap<FlowId, (Arc<T>, u32)>,
    cut: u32,
    id: FlowId,
) -> Option<&'a mut Tenant<T>> {
    let tenant = view.tenant(id.slot());
    if tenant.value.is_some() && tenant.generation != id.generation() {
        let ahead = id.generation().wrapping_sub(tenant.generation) as i32;
        if ahead < 0 {
            return None;
        }
        let old = FlowId::new(id.worker(), id.slot(), tenant.generation);
        leaving.extend(tenant.value.take().map(|value| (old, (value, cut))));
    }
    tenant.generation = id.generation();
    Some(tenant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32, generation: u32) -> FlowId {
        FlowId::new(1, slot, generation)
    }

    #[test]
    fn a_view_does_not_see_later_writes() {
        let mut table = SideTable::<Vec<u32>>::default();
        table.get_mut(id(300, 1)).push(1);
        let view = table.view();
        table.get_mut(id(300, 1)).push(2);
        table.get_mut(id(301, 1)).push(3);
        assert_eq!(view.get(300, 1).map(|v| v.len()), Some(1));
        assert!(view.get(301, 1).is_none() && view.get(300, 2).is_none() && view.get(9999, 1).is_none());
        assert_eq!(table.view().get(300, 1).map(|v| v.len()), Some(2));
    }

    #[test]
    fn the_last_tenant_leaves_with_what_belongs_to_it() {
        let mut table = SideTable::<Vec<u32>>::default();
        table.get_mut(id(5, 1)).push(1);
        // The slot's next flow speaks before the end of the last one was read.
        table.get_mut(id(5, 2)).push(2);
        table.get_mut(id(5, 1)).push(10);
        assert_eq!(table.take(id(5, 1)).as_deref(), Some(&vec![1, 10]));
        assert_eq!(table.take(id(5, 1)), None);
        assert_eq!(table.take(id(5, 2)).as_deref(), Some(&vec![2]));
        assert_eq!(table.take(id(5, 2)), None);
    }

    #[test]
    fn what_never_leaves_is_forgotten() {
        let mut table = SideTable::<Vec<u32>>::default();
        for generation in 1..100 {
            table.get_mut(id(5, generation)).push(1);
        }
        assert_eq!(table.leaving.len(), 98);
        for cut in 1..PATIENCE {
            table.cut();
            assert_eq!(table.leaving.len(), 98, "{cut}");
        }
        table.cut();
        assert!(table.leaving.is_empty() && table.get(id(5, 99)).is_some());
    }

    #[test]
    fn a_value_can_be_set_whole() {
        let mut table = SideTable::<Vec<u32>>::default();
        table.set(id(5, 1), Arc::new(vec![7]));
        table.set(id(5, 2), Arc::new(vec![8]));
        table.set(id(5, 1), Arc::new(vec![9]));
        assert_eq!(table.get(id(5, 1)).map(|v| v[0]), Some(9));
        assert_eq!(table.get(id(5, 2)).map(|v| v[0]), Some(8));
    }
}
