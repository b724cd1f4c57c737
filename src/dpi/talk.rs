//! What recognisers get to see: the bytes of both sides.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::Stamp;

/// Bytes of each direction of a TCP connection that recognisers can see.
pub const STREAM_BUDGET: usize = 8192;
/// Bytes that a recogniser of datagrams may keep of a flow.
pub const MEMORY: usize = 2 * STREAM_BUDGET;
/// Bytes of each side's last datagram that can be looked at again: an RTP header, the only one that is.
pub const HEAD: usize = 15;

/// A TCP connection's bytes from its beginning, in order, as far as they have come. Index 0 of every
/// pair is the key's low end as sender, index 1 the high end.
///
/// A recogniser is called again with longer bytes as they come, and must then say the same of the
/// same bytes: it keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct Streams<'a> {
    /// The first bytes of each side, at most [`STREAM_BUDGET`].
    pub bytes: [&'a [u8]; 2],
    /// Nothing more of this side will be shown: the budget is used up, a gap was not filled, or
    /// it was closed.
    pub ended: [bool; 2],
    /// All payload bytes of each side so far, also those beyond the budget.
    pub total: [u64; 2],
    /// The side that opened the connection, as far as that is known.
    pub client: usize,
    /// The handshake was seen: `client` is certain and the bytes are those from the beginning.
    /// Otherwise they begin in the middle, at the start of a segment.
    pub opened: bool,
    /// Ports by side.
    pub ports: [u16; 2],
}

impl<'a> Streams<'a> {
    /// Returns what the side that opened the connection has sent.
    pub fn of_client(&self) -> &'a [u8] {
        self.bytes[self.client]
    }

    /// Returns what the other side has sent.
    pub fn of_server(&self) -> &'a [u8] {
        self.bytes[1 - self.client]
    }

    /// Returns whether one of the ports is `port`.
    pub fn has_port(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }
}

/// One UDP datagram.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Its payload, as far as it was captured.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub wire_len: usize,
    /// The sender: 0 the key's low end, 1 the high end.
    pub from: usize,
    /// The side that opened the flow, as far as that is known.
    pub client: usize,
    /// Ports by side.
    pub ports: [u16; 2],
    /// Its time.
    pub wall: Stamp,
    /// Datagrams with payload that this flow's recognisers saw before.
    pub nth: u32,
    /// The beginning, at most [`HEAD`] bytes, of the last datagram before this one, by its sender; empty
    /// if that side has sent none.
    pub before: [&'a [u8]; 2],
    /// What the recogniser keeps of the flow. Zeros at first. Only a recogniser that says
    /// [`crate::dpi::recogniser::Verdict::Is`] may write to it, and finds it again as it left it.
    pub memory: &'a mut [u8; MEMORY],
    /// How many bytes of the memory, from the front, may be other than zeros when the recogniser that
    /// knows the flow returns: what its row says. It may set less, and then takes less room.
    pub keeps: usize,
}

impl Datagram<'_> {
    /// Returns whether one of the ports is `port`.
    pub fn has_port(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }
}
