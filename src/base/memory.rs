//! Zeroed memory taken from the system page by page as it is touched, aligned for large pages.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "one allocation is cut up by its owner; see `Region`")]

use std::{
    alloc::Layout,
    marker::PhantomData,
    ops::{Index, IndexMut},
};

use crate::base::sync::atomic::{AtomicUsize, Ordering};

/// A type whose all-zero bytes are a value.
///
/// # Safety
/// A value made of zero bytes must be valid, and the type must hold no pointers.
pub unsafe trait Record: Copy + Send + Sync + 'static {}

// SAFETY: a u32 of zeros is 0.
unsafe impl Record for u32 {}

/// Tells the system that a piece of memory wants large pages; does nothing where there are none.
pub type Advise = fn(start: *mut u8, bytes: usize);

/// An [`Advise`] that does nothing.
pub fn no_advice(_start: *mut u8, _bytes: usize) {}

/// Has the system give the memory of a piece of address space, as if it had been written to, and changes nothing in it.
pub type Populate = fn(start: *mut u8, bytes: usize);

/// The system gave no address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system does not give {} MB of address space", bytes >> 20)]
pub struct OutOfMemory {
    /// How much was asked for.
    pub bytes: usize,
}

/// Large pages of x86-64 and arm64 (with 4 KB base pages).
const LARGE_PAGE: usize = 2 << 20;

/// One zeroed allocation. Address space is reserved at once; memory comes with the first touch.
///
/// Whoever touches a large page first waits for it: 0.15 ms, and 5 ms where a virtual machine has to get it from its
/// host. A region that is used from the front on can be touched ahead of that by another thread.
pub struct Region {
    base: *mut u8,
    layout: Layout,
    start: *mut u8,
    bytes: usize,
    /// Bytes in use, from the front, as far as told.
    used: AtomicUsize,
    /// Where the last page ends that was touched ahead.
    ahead: AtomicUsize,
}

// SAFETY: the region is plain memory. Who may write where is the business of its owner, which is
// the only one to hand out references into it.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves `bytes` bytes, starting at a large page's boundary.
    ///
    /// # Errors
    /// When the system does not give the address space.
    pub fn new(bytes: usize, advise: Advise) -> Result<Self, OutOfMemory> {
        // Alignment above the allocator's own would make it write the zeros itself.
        let layout = Layout::from_size_align(bytes.saturating_add(LARGE_PAGE), 16)
            .map_err(|_| OutOfMemory { bytes })?;
        // SAFETY: the layout's size is not zero.
        let base = unsafe { std::alloc::alloc_zeroed(layout) };
        if base.is_null() {
            return Err(OutOfMemory { bytes });
        }
        // SAFETY: `layout` has LARGE_PAGE bytes to spare, so the aligned start lies within it.
        let start = unsafe { base.add(base.align_offset(LARGE_PAGE)) };
        advise(start, bytes);
        Ok(Self { base, layout, start, bytes, used: AtomicUsize::new(0), ahead: AtomicUsize::new(0) })
    }

    /// Returns the first byte; `bytes` bytes from there belong to the region.
    #[inline]
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// Tells how much is in use, from the front on.
    pub fn set_used(&self, bytes: usize) {
        // Relaxed: it is only a number.
        self.used.store(bytes, Ordering::Relaxed);
    }

    /// Returns where the large page lies that is to be touched now, ahead of its use, and its size: the one behind that
    /// in use. A region of which little is in use is left as it is, since it may stay like that.
    fn next_page(&self) -> Option<(usize, usize)> {
        let used = self.used.load(Ordering::Relaxed);
        let from = used.next_multiple_of(LARGE_PAGE);
        let to = self.bytes.min(from + LARGE_PAGE);
        let is_wanted = used > LARGE_PAGE / 2 && from < to && self.ahead.load(Ordering::Relaxed) < to;
        is_wanted.then(|| (from, to - from))
    }

    /// Returns whether there is something to touch ahead.
    pub fn wants_more(&self) -> bool {
        self.next_page().is_some()
    }

    /// Touches what is used soon; to be called by one thread. Returns whether there was something.
    pub fn touch_ahead(&self, populate: Populate) -> bool {
        let Some((from, bytes)) = self.next_page() else { return false };
        populate(self.start.wrapping_add(from), bytes);
        self.ahead.store(from + bytes, Ordering::Relaxed);
        true
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `base` came from `alloc_zeroed` with this layout and is freed once.
        unsafe { std::alloc::dealloc(self.base, self.layout) };
    }
}

/// A fixed array of records, all zeros at first.
pub struct Array<T: Record> {
    region: Region,
    len: usize,
    record: PhantomData<T>,
}

impl<T: Record> Array<T> {
    /// Returns `len` records of zeros.
    ///
    /// # Errors
    /// When the system does not give the address space.
    pub fn new(len: usize, advise: Advise) -> Result<Self, OutOfMemory> {
        Ok(Self { region: Region::new(len * size_of::<T>(), advise)?, len, record: PhantomData })
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns where a record lies, to prefetch it; any index will do.
    #[inline(always)]
    pub fn address(&self, index: usize) -> *const T {
        self.region.start.cast::<T>().wrapping_add(index)
    }

    /// Returns a record without looking whether there is one.
    ///
    /// # Safety
    /// The index must be below [`Array::len`].
    #[inline(always)]
    pub unsafe fn get_unchecked(&self, index: usize) -> &T {
        debug_assert!(index < self.len);
        // SAFETY: the caller says that the index is in range; see `index` for the rest.
        unsafe { &*self.region.start.cast::<T>().add(index) }
    }

    /// Returns a record for writing without looking whether there is one.
    ///
    /// # Safety
    /// The index must be below [`Array::len`].
    #[inline(always)]
    pub unsafe fn get_unchecked_mut(&mut self, index: usize) -> &mut T {
        debug_assert!(index < self.len);
        // SAFETY: as above; `&mut self` makes the reference the only one.
        unsafe { &mut *self.region.start.cast::<T>().add(index) }
    }
}

impl<T: Record> Index<usize> for Array<T> {
    type Output = T;
    #[inline]
    fn index(&self, index: usize) -> &T {
        assert!(index < self.len);
        // SAFETY: the index is in range, the start is aligned to a page, zeros are a value, and
        // the array owns its region.
        unsafe { &*self.region.start.cast::<T>().add(index) }
    }
}

impl<T: Record> IndexMut<usize> for Array<T> {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut T {
        assert!(index < self.len);
        // SAFETY: as in `index`; `&mut self` makes the reference the only one.
        unsafe { &mut *self.region.start.cast::<T>().add(index) }
    }
}

/// Asks the processor to load a cache line that will be written soon.
#[inline(always)]
pub fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe { std::arch::asm!("prfm pstl1keep, [{0}]", in(reg) at, options(nostack, preserves_flags)) };
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_page_behind_the_one_in_use_is_touched_once() {
        const MB: usize = 1 << 20;
        static TOUCHED: AtomicUsize = AtomicUsize::new(0);
        fn note(_: *mut u8, bytes: usize) {
            TOUCHED.fetch_add(bytes, Ordering::Relaxed);
        }
        let region = Region::new(7 * MB, no_advice).unwrap();
        let mut last = 0;
        // Used so far, and touched then.
        for (used, touched) in
            [(0, 0), (MB, 0), (MB + 1, 2), (2 * MB, 2), (3 * MB, 4), (5 * MB, 5), (7 * MB, 5)]
        {
            region.set_used(used);
            let wants = region.wants_more();
            assert_eq!((wants, region.touch_ahead(note)), (touched > last, touched > last), "{used}");
            assert!(!region.wants_more() && !region.touch_ahead(note));
            assert_eq!(TOUCHED.load(Ordering::Relaxed), touched * MB, "{used}");
            last = touched;
        }
    }
}
