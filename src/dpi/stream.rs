//! The beginning of one direction of a TCP connection, put together from its segments.
//!
//! ```text
//!  base                 ready                              STREAM_BUDGET
//!   |<--- in order ------>|      |<- piece ->|  |<- piece ->|    |
//! ```
//!
//! Bytes that came twice keep their first value once they are in order, as at the receiver. A gap that nobody will fill
//! can be skipped: what is shown then begins behind it.
//!
//! ```text
//!  base                          skip       ready           STREAM_BUDGET
//!   |                             |<-------->|  |<- piece ->|    |
//! ```
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::ops::Range;

use crate::dpi::talk::STREAM_BUDGET;

/// Pieces ahead of a gap that are remembered; what makes more of them is not kept.
const PIECES: usize = 8;
/// Segments that may come behind a gap before it counts as lost.
const GAP_PATIENCE: u16 = 64;
/// As many of them, of either side, are waited for once the receiver acknowledged the gap's bytes: they were sent, and
/// only a capture that is out of order, mostly of two neighbours, still has them.
const ACKNOWLEDGED_PATIENCE: u16 = 1;

/// What is known of one direction; zeros before its first segment. The bytes lie beside it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Side {
    /// Bytes from the base on, also beyond the budget.
    pub total: u64,
    /// Sequence number of the first byte, once `has_base`.
    base: u32,
    /// Bytes in order from the base.
    pub ready: u16,
    /// Segments since a gap opened.
    behind: u16,
    /// Bytes up to the FIN, plus 1; 0 without one, or with one beyond the budget.
    fin: u16,
    /// Bytes up to the end of the last gap that was skipped: what is shown begins behind it.
    pub skip: u16,
    /// Pieces ahead of a gap.
    len: u8,
    has_base: bool,
    /// Nothing more of it will be in order: a gap stayed open, a segment was captured in part, the
    /// sender closed.
    stopped: bool,
}

/// The pieces of a direction ahead of a gap, from and to; as many of them as its [`Side`] says.
pub type Gaps = [(u16, u16); PIECES];

/// Which bytes of a segment belong where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Offset in the direction's bytes.
    pub at: usize,
    /// The first of the segment's bytes.
    pub skip: usize,
    /// How many.
    pub len: usize,
}

impl Side {
    /// Says where the direction begins, unless that is known.
    pub fn begin(&mut self, base: u32) {
        if !self.has_base {
            (self.base, self.has_base) = (base, true);
        }
    }

    /// Returns whether no more bytes will be shown.
    pub fn has_ended(&self) -> bool {
        self.stopped || usize::from(self.ready) == STREAM_BUDGET || self.fin == self.ready + 1
    }

    /// Returns whether it begins behind a gap that was skipped.
    pub const fn is_late(&self) -> bool {
        self.skip > 0
    }

    /// Returns where what is shown lies in the direction's bytes.
    pub fn shown(&self) -> Range<usize> {
        usize::from(self.skip)..usize::from(self.ready)
    }

    /// Returns how many bytes were sent from what is shown on, as far as that is known.
    pub const fn shown_total(&self) -> u64 {
        self.total.saturating_sub(self.skip as u64)
    }

    /// Notes, with a segment of either side, that the receiver has all bytes before `number`.
    pub fn acknowledge(&mut self, number: u32) {
        let at = number.wrapping_sub(self.base) as i32;
        if self.has_base && at > i32::from(self.ready) && !self.has_ended() {
            self.behind = (self.behind + 1).max(GAP_PATIENCE + 1 - ACKNOWLEDGED_PATIENCE);
            self.stopped = self.behind > GAP_PATIENCE;
        }
    }

    /// Returns whether it ends at a gap that stayed open.
    pub const fn has_lost(&self) -> bool {
        self.stopped && self.behind > GAP_PATIENCE
    }

    /// Skips a gap that stayed open, if there is one: the direction goes on with what came behind it, or with the byte
    /// at `acknowledged`.
    pub fn skip_gap(&mut self, gaps: &mut Gaps, acknowledged: Option<u32>) {
        if !self.has_lost() {
            return;
        }
        let pieces = &mut gaps[..usize::from(self.len)];
        if let Some(first) = (0..pieces.len()).min_by_key(|nth| pieces[*nth].0) {
            (self.skip, self.ready) = pieces[first];
            pieces[first] = pieces[pieces.len() - 1];
            self.len -= 1;
        } else if let (Some(number), 0) = (acknowledged, self.fin) {
            // One byte before it, which was sent too, stands for all that are missing.
            (self.base, self.total, self.skip, self.ready) = (number.wrapping_sub(1), 1, 1, 1);
        } else {
            self.behind = 0;
            return;
        }
        (self.behind, self.stopped) = (0, false);
    }

    /// Notes that the sender closed behind `seq_number`.
    pub fn close(&mut self, seq_number: u32) {
        self.begin(seq_number);
        let at = seq_number.wrapping_sub(self.base) as i32;
        if at >= 0 {
            self.fin = if at as usize <= STREAM_BUDGET { at as u16 + 1 } else { 0 };
        }
    }

    /// Takes a segment of `wire_len` bytes, of which `captured` were captured. Returns which of them are
    /// to be written where, if any are new.
    pub fn take(
        &mut self,
        gaps: &mut Gaps,
        seq_number: u32,
        captured: usize,
        wire_len: usize,
    ) -> Option<Written> {
        self.begin(seq_number);
        let at = i64::from(seq_number.wrapping_sub(self.base) as i32);
        let end = at + wire_len as i64;
        self.total = self.total.max(end.max(0) as u64);
        let skipped = (i64::from(self.ready) - at).max(0);
        let (Ok(skip), Ok(from)) = (usize::try_from(skipped), usize::try_from(at + skipped)) else {
            self.notice_gap(false);
            return None;
        };
        let to = (at + captured as i64).clamp(0, STREAM_BUDGET as i64) as usize;
        if from >= to || self.stopped {
            self.notice_gap(false);
            return None;
        }
        let ready = self.ready;
        let added = self.add(gaps, from as u16, to as u16);
        if captured < wire_len && usize::from(self.ready) == to && to < STREAM_BUDGET {
            self.stopped = true;
        }
        self.notice_gap(self.ready > ready);
        added.then_some(Written { at: from, skip, len: to - from })
    }

    /// Shows no bytes from here on: there was no room for them.
    pub fn stop(&mut self, ready: u16) {
        (self.ready, self.len, self.stopped) = (ready, 0, true);
    }

    /// Adds the piece; `false` if there is no room to remember it.
    fn add(&mut self, gaps: &mut Gaps, mut from: u16, mut to: u16) -> bool {
        let mut kept = 0;
        // NB: without pieces, which is nearly always, their memory is not touched.
        for nth in 0..usize::from(self.len) {
            let (start, end) = gaps[nth];
            if start <= to && from <= end {
                (from, to) = (from.min(start), to.max(end));
            } else {
                gaps[kept] = (start, end);
                kept += 1;
            }
        }
        if from <= self.ready {
            self.ready = self.ready.max(to);
        } else if kept < PIECES {
            gaps[kept] = (from, to);
            kept += 1;
        } else {
            return false;
        }
        self.len = kept as u8;
        true
    }

    fn notice_gap(&mut self, progress: bool) {
        let gap = self.total > u64::from(self.ready) && usize::from(self.ready) < STREAM_BUDGET;
        if progress || !gap {
            self.behind = 0;
        } else {
            self.behind = self.behind.saturating_add(1);
            self.stopped |= self.behind > GAP_PATIENCE;
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    /// A direction with its gaps.
    #[derive(Default)]
    struct Apart {
        side: Side,
        gaps: Gaps,
    }

    impl std::ops::Deref for Apart {
        type Target = Side;

        fn deref(&self) -> &Side {
            &self.side
        }
    }

    impl std::ops::DerefMut for Apart {
        fn deref_mut(&mut self) -> &mut Side {
            &mut self.side
        }
    }

    fn take(whole: &mut Apart, seq_number: u32, bytes: &[u8], wire_len: usize, buffer: &mut [u8]) -> bool {
        let Apart { side, gaps } = whole;
        let before = side.ready;
        if let Some(Written { at, skip, len }) = side.take(gaps, seq_number, bytes.len(), wire_len) {
            buffer[at..at + len].copy_from_slice(&bytes[skip..skip + len]);
        }
        side.ready > before
    }

    fn text(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
    }

    #[test]
    fn segments_in_any_order_give_the_same_bytes() {
        let all = text(3000);
        for base in [0u32, 5, u32::MAX - 100] {
            for size in [1usize, 7, 400, 1460] {
                let pieces: Vec<usize> = (0..all.len()).step_by(size).collect();
                let orders: [Vec<usize>; 3] = [
                    pieces.clone(),
                    pieces.chunks(2).flat_map(|c| c.iter().rev().copied()).collect(),
                    pieces.iter().flat_map(|&p| [p, p]).collect(),
                ];
                for order in orders {
                    let (mut side, mut buffer) = (Apart::default(), vec![0; STREAM_BUDGET]);
                    side.begin(base);
                    for at in order {
                        let end = (at + size).min(all.len());
                        let seq = base.wrapping_add(at as u32);
                        take(&mut side, seq, &all[at..end], end - at, &mut buffer);
                    }
                    assert_eq!(usize::from(side.ready), all.len(), "base {base}, size {size}");
                    assert_eq!(&buffer[..all.len()], all);
                    assert_eq!(side.total, all.len() as u64);
                }
            }
        }
    }

    #[test]
    fn overlaps_keep_what_was_in_order_first() {
        let (mut side, mut buffer) = (Apart::default(), vec![0; STREAM_BUDGET]);
        take(&mut side, 100, b"abcd", 4, &mut buffer);
        take(&mut side, 102, b"XXef", 4, &mut buffer);
        take(&mut side, 90, b"0123456789ZZZZZZgh", 18, &mut buffer);
        assert_eq!(&buffer[..usize::from(side.ready)], b"abcdefgh");
    }

    #[test]
    fn the_budget_is_the_end() {
        let (mut side, mut buffer) = (Apart::default(), vec![0; STREAM_BUDGET]);
        let all = text(STREAM_BUDGET + 500);
        take(&mut side, 7, &all, all.len(), &mut buffer);
        assert_eq!((usize::from(side.ready), side.total), (STREAM_BUDGET, all.len() as u64));
        assert!(side.has_ended());
        assert!(!take(&mut side, 7 + all.len() as u32, b"more", 4, &mut buffer));
        assert_eq!(side.total, all.len() as u64 + 4);
    }

    #[test]
    fn what_was_cut_at_capture_ends_the_direction() {
        let (mut side, mut buffer) = (Apart::default(), vec![0; STREAM_BUDGET]);
        take(&mut side, 0, b"abc", 10, &mut buffer);
        assert!(side.has_ended());
        take(&mut side, 10, b"def", 3, &mut buffer);
        assert_eq!(side.ready, 3);
    }

    #[test]
    fn a_gap_that_stays_open_ends_the_direction() {
        let (mut side, mut buffer) = (Apart::default(), vec![0; STREAM_BUDGET]);
        side.begin(0);
        for n in 0..=u32::from(GAP_PATIENCE) {
            assert!(!side.has_ended());
            take(&mut side, 10 + n, b"x", 1, &mut buffer);
        }
        assert!(side.has_ended());
    }

    #[test]
    fn a_gap_that_was_acknowledged_is_skipped() {
        let (mut whole, mut buffer) = (Apart::default(), vec![0; STREAM_BUDGET]);
        whole.begin(100);
        for (nth, byte) in [b'x', b'y'].into_iter().enumerate() {
            assert!(!whole.side.has_lost());
            take(&mut whole, 110 + nth as u32, &[byte], 1, &mut buffer);
            whole.acknowledge(110);
        }
        assert!(whole.side.has_lost());
        let Apart { side, gaps } = &mut whole;
        side.skip_gap(gaps, Some(110));
        assert_eq!((side.shown(), side.shown_total(), side.is_late()), (10..12, 2, true));
        assert!(!side.has_ended() && !side.has_lost());
        assert!(take(&mut whole, 112, b"z", 1, &mut buffer));
        assert_eq!(&buffer[whole.shown()], b"xyz");
    }

    #[test]
    fn a_gap_with_nothing_behind_it_is_skipped_to_what_was_acknowledged() {
        let (mut whole, mut buffer) = (Apart::default(), vec![0; STREAM_BUDGET]);
        whole.begin(u32::MAX - 5);
        let far = 3 * STREAM_BUDGET as u32;
        (0..2).for_each(|_| whole.acknowledge(far));
        let Apart { side, gaps } = &mut whole;
        side.skip_gap(gaps, Some(far));
        assert_eq!((side.shown(), side.shown_total(), side.is_late()), (1..1, 0, true));
        assert!(!take(&mut whole, 7, b"old", 3, &mut buffer));
        assert!(take(&mut whole, far, b"new", 3, &mut buffer));
        assert_eq!((&buffer[whole.shown()], whole.shown_total()), (&b"new"[..], 3));
    }

    #[test]
    fn a_close_behind_the_last_byte_ends_the_direction() {
        let (mut side, mut buffer) = (Apart::default(), vec![0; STREAM_BUDGET]);
        take(&mut side, 10, b"ab", 2, &mut buffer);
        side.close(14);
        assert!(!side.has_ended());
        take(&mut side, 12, b"cd", 2, &mut buffer);
        assert!(side.has_ended());
    }

    #[test]
    fn no_sequence_number_panics() {
        for base in [0u32, 1 << 31, u32::MAX] {
            for seq in [0u32, 1, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, u32::MAX] {
                let (mut side, mut buffer) = (Apart::default(), vec![0; STREAM_BUDGET]);
                side.begin(base);
                take(&mut side, seq, &[1; 9000], 70_000, &mut buffer);
                side.close(seq);
                take(&mut side, base, &[1; 3], 3, &mut buffer);
                side.has_ended();
            }
        }
    }
}
