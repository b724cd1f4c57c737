//! A reader of big-endian and BER fields that cannot leave its bytes.
//!
//! Where bytes are missing it says what that means: a datagram without them is something else
//! ([`Verdict::No`]), a stream may still send them ([`Verdict::More`]). So one parser serves both.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{recogniser::Verdict, talk::Streams};

/// What was read, or the verdict that its absence means.
pub type Read<T> = Result<T, Verdict>;

/// Returns the verdict of a reading, whether it came to its end or not.
pub fn said(reading: Read<Verdict>) -> Verdict {
    match reading {
        Ok(verdict) | Err(verdict) => verdict,
    }
}

/// Returns nothing when `so`, and otherwise [`Verdict::No`].
pub fn ensure(so: bool) -> Read<()> {
    if so { Ok(()) } else { Err(Verdict::No) }
}

/// Judges a connection by a sign that either side may show in its first bytes. Returns the sides that do.
///
/// # Errors
/// The verdict while no side does.
pub fn either_side(talk: &Streams<'_>, sign: impl Fn(Cursor<'_>) -> Read<()>) -> Read<[bool; 2]> {
    let signs = [0, 1].map(|side| match talk.bytes[side] {
        [] => Err(Verdict::More),
        _ => sign(Cursor::of(talk, side)),
    });
    if signs.iter().any(Result::is_ok) {
        Ok(signs.map(|sign| sign.is_ok()))
    } else {
        // Where the beginning was missed, one side may be in the middle of a message and the other at one's beginning.
        let silent = |side: usize| talk.bytes[side].is_empty() && !talk.ended[side];
        let waits = !talk.opened && (silent(0) || silent(1));
        let over = signs.contains(&Err(Verdict::No)) && !waits || talk.ended == [true; 2];
        Err(if over { Verdict::No } else { Verdict::More })
    }
}

/// Returns the verdict on a connection that is known, but whose later messages say more.
pub fn until_ended(talk: &Streams<'_>) -> Verdict {
    if talk.ended == [true; 2] { Verdict::Done } else { Verdict::Is }
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    short: Verdict,
    /// Bytes behind the rest that were sent and will not be shown.
    cut: usize,
}

impl<'a> Cursor<'a> {
    /// Returns a reader of bytes that are all there: what is missing will never come.
    pub const fn whole(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, short: Verdict::No, cut: 0 }
    }

    /// Returns a reader of bytes that more may follow.
    pub const fn growing(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, short: Verdict::More, cut: 0 }
    }

    /// Returns a reader of what `side` has sent in a connection.
    pub fn of(talk: &Streams<'a>, side: usize) -> Self {
        let rest = talk.bytes[side];
        match talk.ended[side] {
            false => Self::growing(rest),
            true => Self { cut: (talk.total[side] as usize).saturating_sub(rest.len()), ..Self::whole(rest) },
        }
    }

    /// Returns what was not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns how many bytes were not read yet.
    pub const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Returns how many bytes were not read yet of all that were sent, as far as that is known.
    pub const fn sent(&self) -> usize {
        self.rest.len() + self.cut
    }

    /// Returns whether all was read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next `length` bytes.
    ///
    /// # Errors
    /// They are not all there; so with every other reader.
    #[inline]
    pub fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(self.short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads the next `length` bytes, or what is shown of them if the others were sent too.
    ///
    /// # Errors
    /// Fewer were sent so far.
    #[inline]
    pub fn take_shown(&mut self, length: usize) -> Read<&'a [u8]> {
        let hidden = length.saturating_sub(self.rest.len());
        self.cut = self.cut.checked_sub(hidden).ok_or(self.short)?;
        self.take(length - hidden)
    }

    /// Reads the next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(self.short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads a number of two bytes.
    pub fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a number of four bytes.
    pub fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a number of two bytes, the lowest first.
    pub fn le16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Reads a number of three bytes.
    pub fn u24(&mut self) -> Read<usize> {
        self.array().map(|[a, b, c]| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    /// Reads a number of eight bytes.
    pub fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads these bytes; others mean [`Verdict::No`], and so do the first of them when they differ.
    pub fn expect(&mut self, bytes: &[u8]) -> Read<()> {
        let common = bytes.len().min(self.rest.len());
        ensure(self.rest[..common] == bytes[..common])?;
        self.take(bytes.len()).map(|_| ())
    }

    /// Reads a number of four bytes, the lowest first.
    pub fn le32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads text up to a zero byte, which is read too. It has at most `most` bytes.
    pub fn text(&mut self, most: usize) -> Read<&'a [u8]> {
        match self.rest.iter().take(most + 1).position(|byte| *byte == 0) {
            Some(end) => {
                let text = &self.rest[..end];
                self.rest = &self.rest[end + 1..];
                Ok(text)
            }
            None if self.rest.len() > most => Err(Verdict::No),
            None => Err(self.short),
        }
    }

    /// Reads text as [`Self::text`], or what is shown of it if more was sent.
    pub fn text_shown(&mut self, most: usize) -> Read<&'a [u8]> {
        let shown = self.rest;
        self.text(most).or_else(|verdict| {
            let is_cut = self.cut > 0 && shown.len() <= most && !shown.is_empty();
            if is_cut { self.take(shown.len()) } else { Err(verdict) }
        })
    }

    /// Reads tag and length of a BER element (X.690 section 8.1; tags of one byte, definite lengths of at most
    /// four bytes), and leaves its contents.
    pub fn ber_head(&mut self) -> Read<(u8, usize)> {
        let tag = self.u8()?;
        ensure(tag & 0x1f != 0x1f)?;
        let length = match self.u8()? {
            short @ 0..=0x7f => usize::from(short),
            long @ 0x81..=0x84 => {
                let digits = self.take(usize::from(long & 0x7f))?;
                digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit))
            }
            0x80 | 0x85.. => return Err(Verdict::No),
        };
        Ok((tag, length))
    }

    /// Reads a BER element: its tag and its contents.
    pub fn ber(&mut self) -> Read<(u8, &'a [u8])> {
        let (tag, length) = self.ber_head()?;
        Ok((tag, self.take(length)?))
    }

    /// Reads a BER element with this tag, and returns a reader of its contents, which are all there.
    pub fn ber_of(&mut self, tag: u8) -> Read<Self> {
        let (found, length) = self.ber_head()?;
        ensure(found == tag)?;
        Ok(Self::whole(self.take(length)?))
    }

    /// Reads a BER INTEGER of one to five bytes.
    pub fn ber_number(&mut self) -> Read<u64> {
        let digits = self.ber_of(0x02)?.rest;
        ensure((1..=5).contains(&digits.len()))?;
        Ok(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_order_and_what_is_missing_is_said() {
        let mut cursor = Cursor::whole(&[1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0]);
        assert_eq!(cursor.u8(), Ok(1));
        assert_eq!(cursor.u16(), Ok(0x0203));
        assert_eq!(cursor.u32(), Ok(0x0405_0607));
        assert_eq!(cursor.le32(), Ok(8));
        assert!(cursor.is_empty());
        assert_eq!(cursor.u8(), Err(Verdict::No));
        assert_eq!(Cursor::growing(&[1]).u16(), Err(Verdict::More));
    }

    #[test]
    fn text_ends_at_its_zero_byte_and_has_a_bound() {
        let mut cursor = Cursor::growing(b"ab\0cd");
        assert_eq!(cursor.text(4), Ok(b"ab".as_slice()));
        assert_eq!(cursor.text(4), Err(Verdict::More));
        assert_eq!(cursor.text(1), Err(Verdict::No));
        assert_eq!(cursor.rest(), b"cd");
    }

    #[test]
    fn ber_lengths_of_one_to_five_bytes() {
        for (bytes, want) in [
            (&[0x30, 2, 1, 2][..], Ok((0x30, &[1, 2][..]))),
            (&[0x30, 0x81, 1, 9], Ok((0x30, &[9]))),
            (&[0x30, 0x84, 0, 0, 0, 1, 9], Ok((0x30, &[9]))),
            (&[0x30, 0x80, 0, 0], Err(Verdict::No)),
            (&[0x30, 0x85, 0, 0, 0, 0, 0], Err(Verdict::No)),
            (&[0x1f, 1, 0], Err(Verdict::No)),
            (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], Err(Verdict::More)),
        ] {
            assert_eq!(Cursor::growing(bytes).ber(), want, "{bytes:x?}");
        }
        assert_eq!(Cursor::whole(&[2, 2, 1, 0]).ber_number(), Ok(256));
        assert_eq!(Cursor::whole(&[2, 0]).ber_number(), Err(Verdict::No));
    }
}
