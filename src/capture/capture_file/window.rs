//! What was read of an input and not consumed yet, in a buffer with room for the beginning of a record before it.
//!
//! ```text
//!  |<----- CARRY ----->|<---------- bytes read ---------->|
//!  |        |beginning |                                  |
//!           ^ at                                      end ^
//! ```
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::capture::capture_file::MAX_BLOCK;

/// Room for the beginning of a record; no record or block that is read in one piece is longer.
pub const CARRY: usize = MAX_BLOCK as usize;

/// A buffer, and which of its bytes are to be looked at.
#[derive(Default)]
pub struct Window {
    buffer: Box<[u8]>,
    /// Bytes `at..end` of `buffer` were read and not consumed.
    at: usize,
    end: usize,
    /// Bytes consumed since the start.
    consumed: u64,
}

impl Window {
    /// Returns one without bytes that has room for `fill` at once.
    pub fn new(fill: usize) -> Self {
        Self { buffer: buffer(fill), at: CARRY, end: CARRY, consumed: 0 }
    }

    /// Takes `len` bytes off the front.
    #[inline]
    pub const fn consume(&mut self, len: usize) {
        self.at += len;
        self.consumed += len as u64;
    }

    /// Returns the bytes that were read and not consumed.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.at..self.end]
    }

    /// Returns how many bytes were consumed since the start.
    pub const fn offset(&self) -> u64 {
        self.consumed
    }

    /// Makes room behind what is left: returns it, `len` bytes long. How many were read there is said by
    /// [`Window::extend`].
    pub fn room(&mut self, len: usize) -> &mut [u8] {
        let rest = self.end - self.at;
        self.buffer.copy_within(self.at..self.end, CARRY - rest);
        (self.at, self.end) = (CARRY - rest, CARRY);
        &mut self.buffer[CARRY..CARRY + len]
    }

    /// Adds `len` bytes that were read into the room.
    pub const fn extend(&mut self, len: usize) {
        self.end += len;
    }

    /// Goes on in another buffer, into whose room `len` bytes were read; gives the old one back.
    pub fn exchange(&mut self, mut buffer: Box<[u8]>, len: usize) -> Box<[u8]> {
        let rest = self.bytes();
        let at = CARRY - rest.len();
        buffer[at..CARRY].copy_from_slice(rest);
        (self.at, self.end) = (at, CARRY + len);
        std::mem::replace(&mut self.buffer, buffer)
    }
}

/// Returns a buffer with room for `fill` bytes behind the carry.
#[allow(clippy::disallowed_macros, reason = "start-up")]
pub fn buffer(fill: usize) -> Box<[u8]> {
    vec![0; CARRY + fill].into_boxed_slice()
}
