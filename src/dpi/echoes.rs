//! Echo requests that wait for their replies (RFC 792, RFC 4443 section 4): the last few of one flow.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::{Nanos, Stamp};

/// Requests that can wait at once; the next one takes the place of the first.
const WAITING: usize = 4;

/// An echo request or reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Identifier.
    pub id: u16,
    /// Sequence number.
    pub seq_number: u16,
    /// The sender: 0 the key's low end, 1 the high end.
    pub from: usize,
    /// It answers one.
    pub is_reply: bool,
}

/// The requests of a flow with one identifier.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Echoes {
    at: [Stamp; WAITING],
    seq_numbers: [u16; WAITING],
    from: [u8; WAITING],
    id: u16,
    next: u8,
    /// One bit for each that waits.
    waits: u8,
}

impl Echoes {
    /// Returns none, with an identifier.
    pub fn of(id: u16) -> Self {
        Self { id, ..Self::default() }
    }

    /// Keeps a request; a reply to one that waits gives the time between them.
    pub fn see(&mut self, echo: Echo, at: Stamp) -> Option<Nanos> {
        if echo.id != self.id {
            return None;
        }
        if !echo.is_reply {
            let n = usize::from(self.next) % WAITING;
            (self.at[n], self.seq_numbers[n], self.from[n]) = (at, echo.seq_number, echo.from as u8);
            self.waits |= 1 << n;
            self.next = (n + 1) as u8;
            return None;
        }
        let asked = |n: &usize| {
            let is_asked = self.seq_numbers[*n] == echo.seq_number && usize::from(self.from[*n]) != echo.from;
            self.waits >> n & 1 != 0 && is_asked
        };
        (0..WAITING).find(asked).map(|n| at.since(self.at[n]))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_timed_by_its_request() {
        let mut echoes = Echoes::of(5);
        let request = |seq_number| Echo { id: 5, seq_number, from: 1, is_reply: false };
        let reply = |seq_number| Echo { from: 0, is_reply: true, ..request(seq_number) };
        for seq_number in 0..WAITING as u16 + 1 {
            assert_eq!(echoes.see(request(seq_number), Stamp(1000 * u64::from(seq_number))), None);
        }
        assert_eq!(echoes.see(reply(0), Stamp(3000)), None, "too long ago");
        assert_eq!(echoes.see(Echo { from: 1, ..reply(1) }, Stamp(3000)), None, "by the one who asked");
        assert_eq!(echoes.see(Echo { id: 6, ..reply(1) }, Stamp(3000)), None, "another identifier");
        assert_eq!(echoes.see(reply(9), Stamp(3000)), None, "another number");
        assert_eq!(echoes.see(reply(1), Stamp(5500)), Some(Nanos(4500)));
        assert_eq!(echoes.see(reply(4), Stamp(5600)), Some(Nanos(1600)));
    }
}
