//! A cursor over bytes whose lengths may lie: everything that does not fit is `None`.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

/// Reads big-endian integers and TLS vectors (RFC 8446 section 3.4) from the front of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Returns a reader at the beginning of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the next `len` bytes, and passes them.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// Returns the next byte.
    pub fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Returns the next 2 bytes as a number.
    pub fn u16(&mut self) -> Option<u16> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*head))
    }

    /// Returns the next 3 bytes as a number.
    pub fn u24(&mut self) -> Option<u32> {
        let (&[a, b, c], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes([0, a, b, c]))
    }

    /// Returns the content of a vector with a length of 1 byte.
    pub fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    /// Returns the content of a vector with a length of 2 bytes.
    pub fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// Returns the content of a vector with a length of 3 bytes.
    pub fn vector24(&mut self) -> Option<&'a [u8]> {
        let len = self.u24()?;
        self.take(len as usize)
    }

    /// Returns what has not been read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns whether everything was read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Returns the 16-bit numbers of a list, without GREASE values. An odd last byte is left out.
pub fn numbers(list: &[u8]) -> impl Iterator<Item = u16> + '_ {
    list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).filter(|n| !is_grease(*n))
}

/// Returns whether a number is one of those that mean nothing (RFC 8701 section 2).
pub const fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_lying_length_is_none() {
        for (bytes, wanted) in [
            (&[3, 1, 2, 3, 9][..], Some(&[1, 2, 3][..])),
            (&[0], Some(&[])),
            (&[3, 1, 2], None),
            (&[255], None),
            (&[], None),
        ] {
            assert_eq!(Reader::new(bytes).vector8(), wanted, "{bytes:?}");
        }
        assert_eq!(Reader::new(&[0, 3, 1, 2]).vector16(), None);
        assert_eq!(Reader::new(&[0, 0, 1, 7]).vector24(), Some(&[7][..]));
        assert_eq!(Reader::new(&[1, 0, 0, 7]).vector24(), None);
    }

    #[test]
    fn sixteen_numbers_are_grease() {
        assert_eq!((0..=u16::MAX).filter(|n| is_grease(*n)).count(), 16);
        assert_eq!(numbers(&[0x1a, 0x1a, 0x13, 0x01, 0x1a, 0x2a, 9]).collect::<Vec<_>>(), [0x1301, 0x1a2a]);
    }
}
