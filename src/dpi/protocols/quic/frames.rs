//! Frames of Initial packets (RFC 9000 sections 12.4 and 19).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::protocols::quic::header::take_varint;

/// A frame that tells something. PADDING, PING and ACK are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A piece of the TLS handshake.
    Crypto {
        /// Where it stands in the stream of handshake bytes.
        offset: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// CONNECTION_CLOSE.
    Close {
        /// Of type 0x1d: the application's error.
        by_app: bool,
        /// The error code.
        code: u64,
        /// Why, in words; often empty.
        reason: &'a [u8],
    },
}

/// Whose frames they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 9000 and its drafts.
    Ietf,
    /// Google's Q050 and T050: types and numbers of Google's transport in Initial packets of the IETF's.
    Google,
}

/// The frames of a packet, in their order. Ends at one that is unknown or does not fit.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    payload: &'a [u8],
    at: usize,
    dialect: Dialect,
}

impl<'a> Frames<'a> {
    /// Returns the frames of an opened packet.
    pub const fn new(payload: &'a [u8], dialect: Dialect) -> Self {
        Self { payload, at: 0, dialect }
    }

    /// Returns the next bytes with a length before them.
    fn block(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(take_varint(self.payload, &mut self.at)?).ok()?;
        self.take(len)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let block = self.payload.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(block)
    }

    fn number(&mut self) -> Option<u64> {
        take_varint(self.payload, &mut self.at)
    }

    /// Passes an ACK frame (RFC 9000 section 19.3).
    fn pass_ack(&mut self, with_ecn: bool) -> Option<()> {
        let _largest = self.number()?;
        let _delay = self.number()?;
        let ranges = self.number()?;
        // First range, then gap and length of each; every number takes a byte, so the payload bounds this.
        for _ in 0..ranges.saturating_mul(2).saturating_add(1) {
            self.number()?;
        }
        for _ in 0..if with_ecn { 3 } else { 0 } {
            self.number()?;
        }
        Some(())
    }

    fn crypto(&mut self) -> Option<Frame<'a>> {
        let offset = self.number()?;
        Some(Frame::Crypto { offset, data: self.block()? })
    }

    fn close(&mut self, by_app: bool) -> Option<Frame<'a>> {
        let code = self.number()?;
        if !by_app {
            let _frame_type = self.number()?;
        }
        Some(Frame::Close { by_app, code, reason: self.block()? })
    }

    /// Reads Google's CONNECTION_CLOSE: error of 4 bytes, length of 2, reason.
    fn close_of_google(&mut self) -> Option<Frame<'a>> {
        let code = u32::from_be_bytes(*self.take(4)?.first_chunk()?);
        let len = u16::from_be_bytes(*self.take(2)?.first_chunk()?);
        Some(Frame::Close { by_app: false, code: code.into(), reason: self.take(len.into())? })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        loop {
            // PADDING, which may be most of the packet.
            self.at += zeros(self.payload.get(self.at..)?);
            let kind = *self.payload.get(self.at)?;
            self.at += 1;
            match (self.dialect, kind) {
                (Dialect::Ietf, 0x01) | (Dialect::Google, 0x07) => {}
                (Dialect::Ietf, 0x02 | 0x03) => self.pass_ack(kind == 0x03)?,
                (Dialect::Ietf, 0x06) | (Dialect::Google, 0x08) => return self.crypto(),
                (Dialect::Ietf, 0x1c | 0x1d) => return self.close(kind == 0x1d),
                (Dialect::Google, 0x02) => return self.close_of_google(),
                _ => return None,
            }
        }
    }
}

/// Returns how many bytes at the front are zero.
fn zeros(bytes: &[u8]) -> usize {
    let whole = bytes.chunks_exact(16).take_while(|c| **c == [0; 16]).count() * 16;
    whole + bytes[whole..].iter().take_while(|b| **b == 0).count()
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ietf(payload: &[u8]) -> Vec<Frame<'_>> {
        Frames::new(payload, Dialect::Ietf).collect()
    }

    #[test]
    fn frames_are_read_in_their_order() {
        let payload = [
            &[0; 40][..],                                         // PADDING
            &[0x01],                                              // PING
            &[0x06, 0x40, 0x05, 3, b'a', b'b', b'c'],             // CRYPTO at 5
            &[0x02, 9, 1, 1, 2, 0, 3],                            // ACK of two ranges
            &[0x03, 9, 1, 0, 2, 1, 1, 1],                         // ACK with ECN counts
            &[0x06, 0, 1, b'z'],                                  // CRYPTO at 0
            &[0x1c, 0x41, 0x28, 0x06, 4, b'o', b'o', b'p', b's'], // CONNECTION_CLOSE, transport
            &[0x1d, 0x2a, 0],                                     // CONNECTION_CLOSE, application
            &[0x00],
        ]
        .concat();
        let wanted = [
            Frame::Crypto { offset: 5, data: b"abc" },
            Frame::Crypto { offset: 0, data: b"z" },
            Frame::Close { by_app: false, code: 0x128, reason: b"oops" },
            Frame::Close { by_app: true, code: 42, reason: b"" },
        ];
        assert_eq!(ietf(&payload), wanted);
        for len in 0..payload.len() {
            let cut = ietf(&payload[..len]);
            assert_eq!(cut, wanted[..cut.len()], "{len}");
        }
    }

    #[test]
    fn what_does_not_fit_ends_the_frames() {
        for payload in [
            &[0x06, 0, 9, b'a'][..],
            &[0x06, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x02, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0],
            &[0x0f, 0x06, 0, 1, b'a'],
            &[0x1c, 0, 0, 0xff],
            &[],
        ] {
            assert_eq!(ietf(payload), [], "{payload:x?}");
        }
    }

    #[test]
    fn googles_frames_have_other_types() {
        let payload = [&[7, 0, 8, 0, 2, b'h', b'i'][..], &[2, 0, 0, 0, 25, 0, 1, b'x', 0x40]].concat();
        let frames: Vec<_> = Frames::new(&payload, Dialect::Google).collect();
        let wanted = [
            Frame::Crypto { offset: 0, data: b"hi" },
            Frame::Close { by_app: false, code: 25, reason: b"x" },
        ];
        assert_eq!(frames, wanted);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(payload in prop::collection::vec(any::<u8>(), 0..600), google: bool) {
            let dialect = if google { Dialect::Google } else { Dialect::Ietf };
            for frame in Frames::new(&payload, dialect) {
                if let Frame::Crypto { data, .. } = frame {
                    prop_assert!(data.len() < payload.len());
                }
            }
        }
    }
}
