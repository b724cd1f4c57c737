//! The unit of the rings between rx and workers: a cache line that is a descriptor or, right
//! after the descriptor of a wide key, that key.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "a line is read as what the line before it says it is")]

use crate::packet::{descriptor::Descriptor, key::WideKey};

/// One line of a ring.
#[derive(Clone, Copy)]
#[repr(C)]
pub union Line {
    frame: Descriptor,
    wide: WideKey,
}

const _: () = assert!(size_of::<Line>() == 64);

impl Line {
    /// Returns a line that holds a descriptor.
    #[inline]
    pub const fn of(frame: Descriptor) -> Self {
        Self { frame }
    }

    /// Returns a line that holds a wide key.
    #[inline]
    pub const fn of_wide(wide: WideKey) -> Self {
        Self { wide }
    }

    /// Returns the line as a descriptor.
    #[inline]
    pub const fn frame(&self) -> &Descriptor {
        // SAFETY: both variants are 64 bytes of integers without padding, so any line's bytes are
        // a valid value of either.
        unsafe { &self.frame }
    }

    /// Returns the line as a descriptor, and the next one as a wide key, to be written.
    #[inline]
    pub const fn pair_mut(pair: &mut [Self; 2]) -> (&mut Descriptor, &mut WideKey) {
        let [frame, wide] = pair;
        // SAFETY: as in `frame`; any value of either variant is a valid line.
        unsafe { (&mut frame.frame, &mut wide.wide) }
    }

    /// Writes bytes over the first lines; what is left of the last one of them stays as it is.
    ///
    /// # Panics
    /// If there are more bytes than lines have.
    #[inline]
    pub fn write(lines: &mut [Self], bytes: &[u8]) {
        assert!(bytes.len() <= size_of_val(lines));
        // SAFETY: the lines have room for the bytes, and any bytes are a line.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), lines.as_mut_ptr().cast::<u8>(), bytes.len());
        }
    }

    /// Returns the line as a wide key.
    #[inline]
    pub const fn wide(&self) -> &WideKey {
        // SAFETY: as in `frame`.
        unsafe { &self.wide }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::of(Descriptor::default())
    }
}
