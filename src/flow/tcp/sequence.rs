//! What one end of a connection has sent and acknowledged, in sequence numbers.
//!
//! Memory per end is constant: the highest byte seen, and the one gap below it that is most likely
//! to be filled by a segment that was merely overtaken.
//!
//! ```text
//!   first             hole[0]   hole[1]            next
//!     |  seen           |  unseen |       seen       |  not yet sent
//!  ───┴─────────────────┴─────────┴──────────────────┴──────────────▶ sequence numbers
//! ```
//!
//! All comparisons are modulo 2^32 (RFC 9293 section 3.4).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::flow::health::Window;

/// No window is larger (RFC 7323 section 2.3), so what is further away is no part of the stream.
const LARGEST_WINDOW: u32 = 1 << 30;
/// How far below the first byte seen segments may lie that were merely overtaken.
const REORDERED: u32 = 1 << 20;
/// The largest shift of the window scale option (RFC 7323 section 2.3).
const LARGEST_SHIFT: u8 = 14;

/// Bits of [`End::bits`]; the lowest four hold the window scale option.
pub(super) mod bit {
    /// `first` and `next` mean something.
    pub const KNOWN: u16 = 1 << 4;
    /// `acked` and `window` mean something.
    pub const ACKED: u16 = 1 << 5;
    /// Its SYN was seen, or follows from the other end's SYN-ACK: `first - 1` is its ISN.
    pub const SYN: u16 = 1 << 6;
    /// Its SYN was seen, so that its window scale is known.
    pub const OPTIONS: u16 = 1 << 7;
    /// It sent a SYN-ACK.
    pub const SYN_ACK: u16 = 1 << 8;
    /// It sent a FIN, which ends at `next`.
    pub const FIN: u16 = 1 << 9;
    /// Its FIN acknowledged the other end's FIN: it closed second.
    pub const PASSIVE: u16 = 1 << 10;
    /// One of its segments proved the connection to be established.
    pub const UP: u16 = 1 << 11;
    /// It reset the connection.
    pub const RESET: u16 = 1 << 12;
    /// The timer runs from its SYN.
    pub const TIMED_SYN: u16 = 1 << 13;
    /// The timer runs from a data segment of it.
    pub const TIMED_DATA: u16 = 1 << 14;
    /// It sent a SYN that does not belong to this connection; the timer holds its number.
    pub const PENDING: u16 = 1 << 15;
    /// The window scale option plus 1, 0 without one.
    pub const SCALE: u16 = 0xf;
}

/// One end of a connection: 24 bytes, zeros when nothing is known of it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct End {
    /// The number after the last byte that it sent, as far as seen; SYN and FIN count one.
    pub next: u32,
    /// The largest acknowledgement number that it sent.
    pub acked: u32,
    /// Its first byte: ISN + 1, or without a SYN the first number seen.
    pub first: u32,
    /// Bytes below `next` that were not seen, `[start, end)`; empty if both are equal.
    pub hole: [u32; 2],
    /// The window field of the segment with `acked`, in units of its scale.
    pub window: u16,
    /// Bits of [`bit`].
    pub bits: u16,
}

/// Where a segment's bytes lie in what was seen of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It carries bytes after all that were seen.
    New,
    /// It carries unseen bytes, but later ones were seen before.
    Late,
    /// All of its bytes were seen before.
    Again,
    /// A keep-alive or window probe: the last byte once more, to provoke an answer.
    Probe,
    /// It is no part of the stream: behind a FIN, or outside the window.
    Foreign,
}

/// Returns whether `a` is after `b`.
#[inline]
pub(super) const fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// Returns whether `ack_number` may acknowledge what an end has sent whose next byte is `next`, as far
/// as that was seen.
#[inline]
pub(super) const fn acknowledges(ack_number: u32, next: u32) -> bool {
    ack_number.wrapping_sub(next) as i32 <= LARGEST_WINDOW as i32
}

impl End {
    /// Returns whether any of the bits is set.
    #[inline]
    pub const fn has(&self, bits: u16) -> bool {
        self.bits & bits != 0
    }

    /// Notes a SYN, seen or implied, with `len` bytes of data.
    pub const fn begin(&mut self, seq_number: u32, len: u32) {
        self.first = seq_number.wrapping_add(1);
        self.next = self.first.wrapping_add(len);
        self.hole = [0; 2];
        self.bits = self.bits & !(bit::SCALE | bit::OPTIONS) | bit::KNOWN | bit::SYN;
    }

    /// Notes the options of a SYN that was seen: `scale` is the window scale option plus 1.
    pub fn read_options(&mut self, scale: u8) {
        let scale = u16::from(scale.min(LARGEST_SHIFT + 1));
        self.bits = self.bits & !bit::SCALE | bit::OPTIONS | scale;
    }

    /// Returns whether a SYN with this number is the one that began this end's stream.
    pub const fn began_with(&self, seq_number: u32) -> bool {
        self.has(bit::KNOWN) && self.first == seq_number.wrapping_add(1)
    }

    /// Returns whether all that this end sent, its FIN included, was acknowledged by `peer`.
    #[inline]
    pub const fn fin_acked(&self, peer: &Self) -> bool {
        self.has(bit::FIN) && peer.has(bit::ACKED) && !after(self.next, peer.acked)
    }

    /// Returns whether `ack_number`, from the other end, lies between this end's SYN and `slack`
    /// bytes after the last one seen of it.
    pub const fn covers(&self, ack_number: u32, slack: u32) -> bool {
        ack_number.wrapping_sub(self.first) <= self.next.wrapping_sub(self.first).saturating_add(slack)
    }

    /// Returns the shift of this end's window field, `None` as long as it is not known. The option
    /// counts only if both ends sent it (RFC 7323 section 2.2).
    pub const fn shift(&self, peer: &Self) -> Option<u8> {
        let scale = (self.bits & bit::SCALE) as u8;
        if !self.has(bit::OPTIONS) {
            return None;
        }
        match scale {
            0 => Some(0),
            // A SYN-ACK has the option only if the SYN had it.
            _ if self.has(bit::SYN_ACK) => Some(scale - 1),
            _ if !peer.has(bit::OPTIONS) => None,
            _ if peer.bits & bit::SCALE == 0 => Some(0),
            _ => Some(scale - 1),
        }
    }

    /// Returns the number after the last byte that this end is ready to take, `None` if unknown.
    pub const fn right_edge(&self, peer: &Self) -> Option<u32> {
        if !self.has(bit::ACKED) {
            return None;
        }
        match self.shift(peer) {
            Some(shift) => Some(self.acked.wrapping_add((self.window as u32) << shift)),
            None => None,
        }
    }

    /// Returns the window that this end offered last.
    pub const fn offered(&self, peer: &Self) -> Window {
        if !self.has(bit::ACKED) {
            return Window::Unknown;
        }
        match self.shift(peer) {
            Some(shift) => Window::Bytes((self.window as u32) << shift),
            // Nothing is nothing in any scale.
            None if self.window == 0 => Window::Bytes(0),
            None => Window::AtLeast(self.window as u32),
        }
    }

    /// Takes note of an acknowledgement that this end sent.
    #[inline]
    pub fn acknowledge(&mut self, ack_number: u32, window: u16, peer: &Self) {
        if self.believes(ack_number, peer) {
            self.acked = ack_number;
            self.window = window;
            self.bits |= bit::ACKED;
        }
    }

    /// Returns whether an acknowledgement with a window of 0, of which no note was taken yet, closes the window.
    #[cold]
    pub fn closes(&self, ack_number: u32, peer: &Self) -> bool {
        self.believes(ack_number, peer) && (self.window != 0 || !self.has(bit::ACKED))
    }

    /// Returns whether an acknowledgement is not older than the last one, and one of something that was sent.
    #[inline(always)]
    fn believes(&self, ack_number: u32, peer: &Self) -> bool {
        let fresh = !self.has(bit::ACKED) || !after(self.acked, ack_number);
        let possible = !peer.has(bit::KNOWN) || acknowledges(ack_number, peer.next);
        fresh && possible
    }

    /// Takes note of a segment with the bytes `[start, start + len)`; `peer` takes them. Without
    /// bytes it is new, and tells only where the stream stands if nothing was known of it.
    pub fn send(&mut self, start: u32, len: u32, peer: &Self) -> Place {
        let end = start.wrapping_add(len);
        if !self.has(bit::KNOWN) {
            self.bits |= bit::KNOWN;
            self.first = start;
            return self.resume(start, end);
        }
        if len == 0 {
            return Place::New;
        }
        if after(end, self.next) {
            return self.send_new(start, end, peer);
        }
        if self.next.wrapping_sub(start) > LARGEST_WINDOW {
            return if self.has(bit::FIN) { Place::Foreign } else { self.resume(start, end) };
        }
        if self.fill(start, end) {
            return Place::Late;
        }
        let is_probe = len == 1 && end == self.next && !self.has(bit::FIN);
        if is_probe { Place::Probe } else { Place::Again }
    }

    /// Takes note of a FIN after the byte before `last`.
    pub fn send_fin(&mut self, last: u32, peer: &Self) -> Place {
        let end = last.wrapping_add(1);
        if self.has(bit::FIN) {
            return if end == self.next { Place::Again } else { Place::Foreign };
        }
        let gap = last.wrapping_sub(self.next) as i32;
        let is_outside = peer.right_edge(self).is_some_and(|edge| after(last, edge));
        // NB: -1: what looked like a byte in the FIN's place, for example a window probe.
        if gap < -1 || gap > LARGEST_WINDOW as i32 || gap > 0 && is_outside {
            return Place::Foreign;
        }
        if gap > 0 {
            self.hole = [self.next, last];
        }
        self.next = end;
        self.bits |= bit::FIN;
        Place::New
    }

    /// Bytes of which some come after all that were seen.
    fn send_new(&mut self, start: u32, end: u32, peer: &Self) -> Place {
        if self.has(bit::FIN) || peer.right_edge(self).is_some_and(|edge| after(start, edge)) {
            return Place::Foreign;
        }
        let is_one = end.wrapping_sub(start) == 1;
        if is_one && peer.window == 0 && peer.has(bit::ACKED) && start == peer.acked {
            // One byte into a closed window: it will be sent again.
            return Place::Probe;
        }
        let gap = start.wrapping_sub(self.next) as i32;
        if gap > LARGEST_WINDOW as i32 {
            return self.resume(start, end);
        }
        if gap > 0 {
            // NB: of two gaps the newer is kept. One that stays open while another one opens was most
            // likely lost on the way, and what fills it later is indeed sent again.
            self.hole = [self.next, start];
        } else if gap < 0 {
            self.fill(start, self.next);
        }
        self.next = end;
        Place::New
    }

    /// Begins in the middle of the stream. What comes from shortly before was not seen.
    const fn resume(&mut self, start: u32, end: u32) -> Place {
        self.hole = [start.wrapping_sub(REORDERED), start];
        self.next = end;
        Place::New
    }

    /// Takes `[start, end)` out of the hole; returns whether any of it was there.
    const fn fill(&mut self, start: u32, end: u32) -> bool {
        let [low, high] = self.hole;
        if low == high || !after(high, start) || !after(end, low) {
            return false;
        }
        self.hole = match (after(start, low), after(high, end)) {
            (false, false) => [0; 2],
            (true, false) => [low, start],
            // In the middle: the newer part is kept.
            (_, true) => [end, high],
        };
        true
    }
}
