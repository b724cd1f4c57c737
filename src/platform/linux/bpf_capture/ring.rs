//! The rings that programs fill: one map of memory, and a reader for each ring.
//!
//! ```text
//!   ring ┌───────────────┬────────────────┬──────────────────────────────┬───────┐
//!        │ head, counts  │ tail           │ records                      │ slack │
//!        │ the program's │ the reader's   │ a power of two               │       │
//!        └───────────────┴────────────────┴──────────────────────────────┴───────┘
//! ```
//!
//! Layout: `struct ring` in `bpf/capture.h`. `head` and `tail` count bytes since the start.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    io,
    os::fd::BorrowedFd,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::record::{ALIGN, HEADER, Record};
use crate::platform::linux::mapped::Mapped;

/// Bytes of the two lines before the records, and where their words stand.
const LINES: usize = 256;
const HEAD: usize = 0;
const FRAMES: usize = 16;
const LOST: usize = 24;
const UNTOLD: usize = 32;
const SLEEPS: usize = 40;
const TAIL: usize = 128;
/// The most bytes of a frame that a record has.
pub const LONGEST: usize = 65536;
/// Bytes behind a ring, for the record that begins before its end.
const SLACK: usize = LONGEST + 4096;

/// Returns the bytes of a ring that holds `bytes` (a power of two) of records.
pub const fn size_of_ring(bytes: usize) -> usize {
    LINES + bytes + SLACK
}

/// All rings of a capture, mapped.
pub struct Rings {
    map: Mapped,
    count: usize,
    /// Bytes of records in each.
    bytes: usize,
}

impl Rings {
    /// Maps the array that holds `count` rings with `bytes` of records each.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn map(array: BorrowedFd<'_>, count: usize, bytes: usize) -> io::Result<Self> {
        Ok(Self { map: Mapped::new(array, count * size_of_ring(bytes))?, count, bytes })
    }
}

/// The one reader of one ring.
pub struct Reader {
    rings: Arc<Rings>,
    base: NonNull<u8>,
    /// Up to where records are there, as of the last look.
    head: u64,
    /// Where the next record begins.
    next: u64,
    /// What the program was told last.
    tail: u64,
    /// Frames and lost ones that had been counted before this reader.
    before: (u64, u64),
}

// SAFETY: the pointer is into the memory of `rings`, which is shared with the kernel anyway: each ring has one
// reader, and both sides are ordered by `head` and `tail`.
unsafe impl Send for Reader {}

impl Reader {
    /// Returns the reader of ring `index`, of which there must be one only.
    pub fn new(rings: &Arc<Rings>, index: usize) -> Self {
        assert!(index < rings.count, "there is no such ring");
        let size = size_of_ring(rings.bytes);
        let base = rings.map.at(index * size, size);
        let mut reader = Self { rings: Arc::clone(rings), base, head: 0, next: 0, tail: 0, before: (0, 0) };
        reader.discard();
        reader.before = reader.counts();
        reader
    }

    /// Skips what is there.
    pub fn discard(&mut self) {
        self.look();
        self.next = self.head;
        self.release();
    }

    /// Looks how far the program has come.
    #[inline]
    pub fn look(&mut self) {
        // Acquire: pairs with the program's `publish`, before which it wrote the records.
        self.head = self.word(HEAD).load(Ordering::Acquire);
    }

    /// Returns whether a record can be had, as of the last look.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.next != self.head
    }

    /// Returns the next record, and its length in the ring. `None`: there is none, as of the last look.
    #[inline]
    pub fn peek(&self) -> Option<(Record<'_>, usize)> {
        if self.next == self.head {
            return None;
        }
        let at = LINES + (self.next as usize & (self.rings.bytes - 1));
        // SAFETY: in the ring and aligned: records begin at multiples of `ALIGN`. The program wrote this
        // word before it published the head, and does not write here again before `release`.
        let size = unsafe { self.base.add(at).cast::<u32>().read() } as usize;
        if size > HEADER + LONGEST
            || !size.is_multiple_of(ALIGN)
            || size as u64 > self.head.wrapping_sub(self.next)
        {
            return None;
        }
        // SAFETY: the record lies in the ring and its slack, and belongs to the reader until `release`.
        let record = unsafe { std::slice::from_raw_parts(self.base.add(at).as_ptr(), size) };
        Record::read(record).map(|record| (record, size))
    }

    /// Goes on behind a record of `size` bytes. Its bytes stay until [`Reader::release`].
    #[inline]
    pub fn advance(&mut self, size: usize) {
        self.next += size as u64;
    }

    /// Fetches the record behind this one, of `size` bytes, into the cache.
    #[inline]
    pub fn prefetch(&self, size: usize) {
        let at = LINES + ((self.next as usize + size) & (self.rings.bytes - 1));
        #[cfg(target_arch = "x86_64")]
        // SAFETY: in the ring; a prefetch accesses nothing.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(self.base.add(at).as_ptr().cast());
        }
        let _ = at;
    }

    /// Gives back to the program all that was read.
    #[inline]
    pub fn release(&mut self) {
        if self.tail != self.next {
            self.tail = self.next;
            // Release: our reads of the records come before the program's next writes there.
            self.word(TAIL).store(self.tail, Ordering::Release);
        }
    }

    /// Returns the frames that the program saw since this reader is there, lost ones included, and those for which it found no room.
    pub fn counts(&self) -> (u64, u64) {
        // Lost first: a frame is counted before it is lost.
        let lost = self.word(LOST).load(Ordering::Acquire);
        let frames = self.word(FRAMES).load(Ordering::Acquire);
        (frames - self.before.0, lost - self.before.1)
    }

    /// Returns how many notes found no room.
    pub fn untold(&self) -> u64 {
        self.word(UNTOLD).load(Ordering::Acquire)
    }

    /// Asks the program to ring with the next record, or no longer. Who asks has to look once more then.
    pub fn ask_to_be_woken(&self, is_asked: bool) {
        self.word(SLEEPS).store(u64::from(is_asked), Ordering::SeqCst);
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at < LINES && at.is_multiple_of(8));
        // SAFETY: in the two lines of the ring, aligned, and only ever accessed atomically by us.
        unsafe { AtomicU64::from_ptr(self.base.add(at).cast().as_ptr()) }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};

    const BYTES: usize = 1 << 17;

    /// Writes as the program does; `Err` where that loses the frame.
    struct Program(NonNull<u8>);

    impl Program {
        fn word(&self, at: usize) -> &AtomicU64 {
            // SAFETY: as in `Reader::word`.
            unsafe { AtomicU64::from_ptr(self.0.add(at).cast().as_ptr()) }
        }

        fn write(&self, fill: u8, len: usize, at: u64) -> bool {
            let size = (HEADER + len).next_multiple_of(ALIGN);
            let head = self.word(HEAD).load(Ordering::Relaxed);
            self.word(FRAMES).fetch_add(1, Ordering::Relaxed);
            if head + size as u64 - self.word(TAIL).load(Ordering::Acquire) > BYTES as u64 {
                self.word(LOST).fetch_add(1, Ordering::Relaxed);
                return false;
            }
            let mut record = vec![fill; size];
            record[..4].copy_from_slice(&(size as u32).to_ne_bytes());
            record[4..8].copy_from_slice(&(len as u32).to_ne_bytes());
            record[8..16].copy_from_slice(&at.to_ne_bytes());
            // SAFETY: room was looked for; the ring has slack behind it.
            unsafe {
                let to = self.0.add(LINES + (head as usize & (BYTES - 1)));
                std::ptr::copy_nonoverlapping(record.as_ptr(), to.as_ptr(), size);
            }
            self.word(HEAD).store(head + size as u64, Ordering::Release);
            true
        }
    }

    fn ring() -> (Program, Reader) {
        // SAFETY: a C string.
        let fd = unsafe { libc::memfd_create(c"ring".as_ptr(), 0) };
        assert!(fd >= 0);
        // SAFETY: new, and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: no pointers.
        assert_eq!(unsafe { libc::ftruncate(fd.as_raw_fd(), size_of_ring(BYTES) as i64) }, 0);
        let rings = Arc::new(Rings::map(fd.as_fd(), 1, BYTES).unwrap());
        let reader = Reader::new(&rings, 0);
        (Program(reader.base), reader)
    }

    #[test]
    fn records_come_in_order_over_many_rounds_and_the_longest_ones_in_one_piece() {
        let (program, mut reader) = ring();
        let mut wrapped = 0;
        for n in 0..5000u64 {
            let len = [60, 1514, LONGEST, 0][n as usize % 4];
            assert!(program.write(n as u8, len, n), "{n}");
            reader.look();
            let (record, size) = reader.peek().unwrap();
            assert_eq!((record.at, record.frame(0).bytes), (n, &vec![n as u8; len][..]));
            wrapped += usize::from((reader.next as usize & (BYTES - 1)) + size > BYTES);
            reader.advance(size);
            assert!(!reader.is_ready());
            reader.release();
        }
        assert!(wrapped > 100, "{wrapped}");
        assert_eq!(reader.counts(), (5000, 0));
    }

    #[test]
    fn a_full_ring_loses_by_count_until_something_is_given_back() {
        let (program, mut reader) = ring();
        let written = (0..2000).filter(|n| program.write(7, 60, *n)).count();
        assert_eq!(written, BYTES / 96);
        assert_eq!(reader.counts(), (2000, 2000 - written as u64));
        reader.look();
        let (_, size) = reader.peek().unwrap();
        reader.advance(size);
        assert!(!program.write(7, 60, 0), "read, but not given back");
        reader.release();
        assert!(program.write(7, 60, 0));
    }

    #[test]
    fn sizes_that_cannot_be_are_no_record() {
        let (program, mut reader) = ring();
        assert!(program.write(7, 60, 0));
        for size in [0u32, 8, 95, 112, 1 << 20, u32::MAX] {
            // SAFETY: in the ring, aligned.
            unsafe { program.0.add(LINES).cast::<u32>().write(size) };
            reader.look();
            assert!(reader.peek().is_none(), "{size}");
        }
    }
}
