//! The handshake's bytes of one side, put together from CRYPTO frames that come in any order, in any pieces.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

/// A stream of handshake bytes in memory that the flow keeps. One bit says of each byte whether it has come:
/// Chrome cuts and shuffles its ClientHello into dozens of frames, and this has no number of pieces to exceed.
pub struct CryptoStream<'a> {
    bytes: &'a mut [u8],
    have: &'a mut [u8],
}

impl<'a> CryptoStream<'a> {
    /// Returns how much memory a stream of `len` bytes takes; `len` is a multiple of 8.
    pub const fn size_of(len: usize) -> usize {
        len + len / 8
    }

    /// Returns the stream in memory of [`Self::size_of`] its length, zeros at first.
    pub fn new(memory: &'a mut [u8]) -> Self {
        let (bytes, have) = memory.split_at_mut(memory.len() / 9 * 8);
        Self { bytes, have }
    }

    /// Adds what a frame brought. Bytes beyond the end are left out.
    pub fn add(&mut self, offset: u64, data: &[u8]) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let len = data.len().min(self.bytes.len() - start);
        self.bytes[start..start + len].copy_from_slice(&data[..len]);
        let mut at = start;
        while at < start + len {
            let bits = (8 - at % 8).min(start + len - at);
            self.have[at / 8] |= ((0xff >> (8 - bits)) << (at % 8)) as u8;
            at += bits;
        }
    }

    /// Returns what has come without a gap from the beginning.
    pub fn prefix(&self) -> &[u8] {
        let whole = self.have.iter().take_while(|b| **b == 0xff).count();
        let rest = self.have.get(whole).map_or(0, |b| b.trailing_ones() as usize);
        &self.bytes[..8 * whole + rest]
    }

    /// Returns whether anything has come.
    pub fn has_begun(&self) -> bool {
        is_any_set(self.have)
    }

    /// Forgets everything: all of its memory is zeros again. Costs no more than what has come.
    pub fn erase(&mut self) {
        const STEP: usize = 64;
        for (bytes, have) in self.bytes.chunks_mut(8 * STEP).zip(self.have.chunks_mut(STEP)) {
            if is_any_set(have) {
                bytes.fill(0);
                have.fill(0);
            }
        }
    }
}

/// Looks at all bytes: that is faster than to stop at the first.
fn is_any_set(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) != 0
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEN: usize = 64;

    #[test]
    fn pieces_come_together() {
        let mut memory = [0; CryptoStream::size_of(LEN)];
        let mut stream = CryptoStream::new(&mut memory);
        for (offset, data, wanted) in [
            (3, &b"defgh"[..], &b""[..]),
            (0, b"ab", b"ab"),
            (20, b"", b"ab"),
            (2, b"c", b"abcdefgh"),
            (1, b"bcd", b"abcdefgh"),
            (u64::MAX, b"zz", b"abcdefgh"),
            (8, b"ij", b"abcdefghij"),
        ] {
            stream.add(offset, data);
            assert_eq!(stream.prefix(), wanted);
        }
        stream.add(10, &[b'k'; 100]);
        assert!(stream.has_begun());
        assert_eq!(stream.prefix().len(), LEN, "what lies beyond the end is left out");
        stream.erase();
        assert_eq!(stream.prefix(), b"");
        assert!(!stream.has_begun());
        stream.add(3, b"defgh");
        stream.erase();
        assert_eq!(stream.prefix(), b"");
        assert!(!stream.has_begun());
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same(pieces in prop::collection::vec((0..LEN, 1..20_usize), 1..30)) {
            let whole: Vec<u8> = (0..LEN as u8).collect();
            let mut memory = [0; CryptoStream::size_of(LEN)];
            let mut stream = CryptoStream::new(&mut memory);
            let mut have = [false; LEN];
            for (start, len) in pieces {
                let end = (start + len).min(LEN);
                stream.add(start as u64, &whole[start..end]);
                have[start..end].fill(true);
                let gap = have.iter().position(|h| !h).unwrap_or(LEN);
                prop_assert_eq!(stream.prefix(), &whole[..gap]);
            }
        }
    }
}
