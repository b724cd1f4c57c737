//! The TLS that OpenVPN's control channel carries: its messages put in order.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::Cursor,
    notes::Notes,
    protocols::tls,
    recogniser::Verdict,
    talk::{MEMORY, Streams},
};

/// Bytes before what a control channel's kind adds: operation, session id.
pub const HEAD_LEN: usize = 9;
/// The operation of messages with TLS.
const CONTROL_V1: u8 = 4;
/// Acknowledgements of one message at most.
const MOST_ACKNOWLEDGED: u8 = 8;
/// Bytes of TLS that are kept of each side: hellos, and the certificate in most cases.
const ROOM: usize = 4096;

/// Bytes of the state: what its owner keeps (1), where acknowledgements stand (1; 0 for none), then for each side the
/// next message's id (1), what was put in order (2), and those bytes.
pub const KEEPS: usize = HEADER + 2 * ROOM;
const PLACE: usize = 1;
const NEXT: usize = 2;
const LENGTH: usize = 4;
const HEADER: usize = 8;

/// The kind of a control channel, as the reset that begins it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// What it carries can be read. Acknowledgements stand at this offset of each packet.
    Open {
        /// Bytes before them.
        acknowledgements: usize,
    },
    /// It is encrypted.
    Encrypted,
}

/// Puts the messages of both sides in order, in a state that is all zeros at first.
pub struct Control<'a> {
    state: &'a mut [u8],
}

/// The registered port.
const REGISTERED: u16 = 1194;

impl<'a> Control<'a> {
    /// Returns one on a state of its own.
    pub fn new(state: &'a mut [u8; KEEPS]) -> Self {
        Self { state }
    }

    /// Returns one on the first bytes of a flow's memory.
    pub fn of_memory(memory: &'a mut [u8; MEMORY]) -> Self {
        Self { state: &mut memory[..KEEPS] }
    }

    /// Says of which kind the channel is.
    pub fn begin(&mut self, channel: Channel) {
        self.state[PLACE] = match channel {
            Channel::Open { acknowledgements } => acknowledgements as u8,
            Channel::Encrypted => 0,
        };
    }

    /// Returns whether nothing can be read of it.
    pub fn is_closed(&self) -> bool {
        self.state[PLACE] == 0
    }

    /// Takes a whole packet of `side`. Returns whether there are more bytes of TLS than before.
    pub fn add(&mut self, side: usize, packet: &[u8]) -> bool {
        let place = usize::from(self.state[PLACE]);
        if place == 0 || packet.first().is_none_or(|first| *first != CONTROL_V1 << 3) {
            return false;
        }
        let Some((id, payload)) = packet.get(place..).and_then(message) else { return false };
        // The reset was message 0. What comes again, or too early, is left out.
        let next = &mut self.state[NEXT + side];
        if id != u32::from(*next) + 1 {
            return false;
        }
        *next = next.saturating_add(1);
        let length = self.length(side);
        let added = payload.len().min(ROOM - length);
        let at = HEADER + side * ROOM + length;
        self.state[at..at + added].copy_from_slice(&payload[..added]);
        self.state[LENGTH + 2 * side..][..2].copy_from_slice(&((length + added) as u16).to_be_bytes());
        added > 0
    }

    /// Reads the TLS of both sides. Returns whether nothing more is to be learned of it. Away from the
    /// registered port (IANA: 1194) an opcode alone is thin evidence of what lies behind it.
    pub fn read(&self, client: usize, ports: [u16; 2], notes: &mut Notes<'_>) -> bool {
        if !ports.contains(&REGISTERED) {
            return true;
        }
        let bytes = [0, 1].map(|side| &self.state[HEADER + side * ROOM..][..self.length(side)]);
        let view = Streams {
            bytes,
            ended: bytes.map(|bytes| bytes.len() == ROOM),
            total: bytes.map(|bytes| bytes.len() as u64),
            client,
            opened: true,
            ports,
        };
        matches!(tls::streams_at(&view, [0; 2], notes), Verdict::No | Verdict::Done)
    }

    fn length(&self, side: usize) -> usize {
        let at = LENGTH + 2 * side;
        usize::from(u16::from_be_bytes([self.state[at], self.state[at + 1]])).min(ROOM)
    }
}

/// Reads acknowledgements and the message behind them: its id and what it carries.
fn message(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut bytes = Cursor::whole(bytes);
    let count = bytes.u8().ok().filter(|count| *count <= MOST_ACKNOWLEDGED)?;
    if count > 0 {
        // The session that they belong to follows.
        bytes.take(4 * usize::from(count) + 8).ok()?;
    }
    let id = bytes.u32().ok()?;
    Some((id, bytes.rest()))
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{
        fact::Fact,
        protocols::{
            openvpn::{datagram, streams},
            tls::testing::hellos,
        },
        trial,
    };

    const SESSION: &[u8] = &[0x9b, 1, 2, 3, 4, 5, 6, 7];

    /// A packet: operation, session, what the kind of the channel adds, acknowledgements, id, payload.
    fn packet(operation: u8, added: &[u8], acknowledged: u8, id: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [&[operation << 3], SESSION, added, &[acknowledged]].concat();
        if acknowledged > 0 {
            bytes.extend((0..acknowledged).flat_map(|id| [0, 0, 0, id]));
            bytes.extend([9; 8]);
        }
        bytes.extend([0, 0, 0, id]);
        bytes.extend(payload);
        bytes
    }

    /// Both sides' packets, TLS in pieces of 40 bytes.
    fn session(added: &[u8]) -> [Vec<Vec<u8>>; 2] {
        let [asks, answers] = hellos("vpn.example");
        let packets = |operation: u8, acknowledged: u8, tls: &[u8]| {
            let mut packets = vec![packet(operation, added, acknowledged, 0, &[])];
            for (nth, piece) in tls.chunks(40).enumerate() {
                packets.push(packet(CONTROL_V1, added, nth as u8 % 3, nth as u8 + 1, piece));
            }
            packets
        };
        [packets(7, 0, &asks), packets(8, 1, &answers)]
    }

    #[test]
    fn hellos_in_pieces_with_and_without_authentication() {
        let authenticated = [&[0xaa; 20][..], &[0, 0, 0, 1, 0x65, 1, 2, 3]].concat();
        for added in [&[][..], &authenticated] {
            let [client, server] = session(added);
            let mut sent: Vec<(usize, &[u8])> = client.iter().map(|bytes| (0, bytes.as_slice())).collect();
            // One comes again.
            sent.push((0, &client[1]));
            sent.extend(server.iter().map(|bytes| (1, bytes.as_slice())));
            let heard = trial::of_datagrams(datagram, &sent, [50_000, 1194]);
            assert_eq!((heard.first(Fact::TlsVersion), heard.first(Fact::Sni)), ("TLS1.2", "vpn.example"));

            let framed = |packets: &[Vec<u8>]| -> Vec<u8> {
                packets.iter().flat_map(|p| [&(p.len() as u16).to_be_bytes()[..], p].concat()).collect()
            };
            let heard = trial::of_streams(streams, &framed(&client), &framed(&server), 1194);
            assert_eq!((heard.first(Fact::TlsVersion), heard.first(Fact::Sni)), ("TLS1.2", "vpn.example"));
        }
    }

    #[test]
    fn a_message_out_of_order_is_left_out() {
        let [client, server] = session(&[]);
        let sent: Vec<(usize, &[u8])> =
            [(0, &client[0][..]), (0, &client[2]), (1, &server[0]), (1, &server[2]), (1, &server[1])].into();
        let heard = trial::of_datagrams(datagram, &sent, [50_000, 1194]);
        assert_eq!(heard.first(Fact::TlsVersion), "");
    }
}
