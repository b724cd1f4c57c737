//! Where who looks at a line finds the payload of its frame: beside the lines, where the frame lies
//! (rx and worker in one loop), or in the lines after it (over a ring).
//!
//! ```text
//!  fused   lines  | frame | frame | wide key | frame |      lent  | slice | slice | - | slice |
//!  ring    lines  | frame | wide key | payload | payload | frame | frame |
//! ```
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "frames are lent for the length of a burst; lines are bytes too")]

use crate::packet::{descriptor::Descriptor, line::Line};

/// Bytes of one frame's payload that are shown at most: lines behind a descriptor, in whole lines.
pub const LONGEST: usize = 126 * size_of::<Line>();
/// Lines of one frame at most: descriptor, wide key, payload.
pub const MOST_LINES: usize = 2 + LONGEST / size_of::<Line>();

/// Gives the payload of frames.
pub trait Payloads {
    /// Returns the payload of the frame in line `at`, as far as it is there.
    fn of<'a>(&'a self, lines: &'a [Line], at: usize) -> &'a [u8];
}

/// Payload stands in the lines after its frame's.
pub struct Behind;

impl Payloads for Behind {
    #[inline]
    fn of<'a>(&'a self, lines: &'a [Line], at: usize) -> &'a [u8] {
        let frame = lines[at].frame();
        let from = at + 1 + usize::from(frame.key.is_wide());
        let lines = &lines[from..from + usize::from(frame.payload_lines)];
        // SAFETY: a line is 64 bytes of plain integers without padding, so all of them are initialised.
        let bytes = unsafe { std::slice::from_raw_parts(lines.as_ptr().cast::<u8>(), size_of_val(lines)) };
        &bytes[..bytes.len().min(usize::from(frame.payload_at))]
    }
}

/// A frame's bytes, borrowed from a source until it is called again.
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    start: *const u8,
    len: u32,
}

// SAFETY: it is a promise of the source that the bytes can be read, by whichever thread runs it.
unsafe impl Send for Lent {}

impl Lent {
    /// No bytes.
    pub const NONE: Self = Self { start: std::ptr::NonNull::dangling().as_ptr(), len: 0 };

    /// Notes where a frame lies.
    #[inline]
    pub const fn new(frame: &[u8]) -> Self {
        Self { start: frame.as_ptr(), len: frame.len() as u32 }
    }
}

/// Frames that are lent, by line.
pub struct Beside<'a> {
    lent: &'a [Lent],
}

impl<'a> Beside<'a> {
    /// Returns the payloads of frames.
    ///
    /// # Safety
    /// The source that lent the frames must not have been called since.
    pub const unsafe fn new(lent: &'a [Lent]) -> Self {
        Self { lent }
    }
}

impl Payloads for Beside<'_> {
    #[inline]
    fn of<'a>(&'a self, lines: &'a [Line], at: usize) -> &'a [u8] {
        let lent = self.lent[at];
        // SAFETY: `Lent::new` was given this slice, and the source keeps it where it is (`new`).
        let frame = unsafe { std::slice::from_raw_parts(lent.start, lent.len as usize) };
        payload(lines[at].frame(), frame)
    }
}

/// Returns the payload in the bytes of a frame, as far as it was captured and is shown.
#[inline]
pub fn payload<'a>(descriptor: &Descriptor, frame: &'a [u8]) -> &'a [u8] {
    let bytes = frame.get(usize::from(descriptor.payload_at)..).unwrap_or_default();
    &bytes[..bytes.len().min(descriptor.payload_len as usize).min(LONGEST)]
}
