//! What is kept of a QUIC flow between its datagrams, and the phase that follows from it.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    notes::Phase,
    pieces::BLOCK,
    protocols::quic::{
        crypto::CryptoStream,
        header::{Cid, LONGEST_CID},
        protect::{KEYS, Keys},
        version::Version,
    },
    talk::MEMORY,
};

/// Bytes of the client's handshake that are kept: a ClientHello with post-quantum key shares and tickets.
const CLIENT_BYTES: usize = 8192;
/// Bytes of the server's: a HelloRetryRequest and a ServerHello with the largest key share.
const SERVER_BYTES: usize = 2048;
/// Bytes for [`Connection`], at the front of the memory: what one block holds.
pub const STATE: usize = 248;
/// Bytes of an Initial packet at most. Longer ones are not opened: they would have to be sent with a path MTU
/// that cannot be known at that time.
pub const LONGEST_INITIAL: usize =
    MEMORY - STATE - CryptoStream::size_of(CLIENT_BYTES) - CryptoStream::size_of(SERVER_BYTES);

const _: () = assert!(LONGEST_INITIAL >= 4096 && STATE <= BLOCK);

/// A flow's memory, divided.
pub struct Parts<'a> {
    /// [`Connection`] is kept here.
    pub state: &'a mut [u8],
    /// The client's handshake bytes.
    pub client: CryptoStream<'a>,
    /// The server's.
    pub server: CryptoStream<'a>,
    /// Where a packet is opened; keeps nothing.
    pub scratch: &'a mut [u8],
}

impl<'a> Parts<'a> {
    /// Divides a flow's memory.
    pub fn of(memory: &'a mut [u8; MEMORY]) -> Self {
        let (state, rest) = memory.split_at_mut(STATE);
        let (client, rest) = rest.split_at_mut(CryptoStream::size_of(CLIENT_BYTES));
        let (server, scratch) = rest.split_at_mut(CryptoStream::size_of(SERVER_BYTES));
        Self { state, client: CryptoStream::new(client), server: CryptoStream::new(server), scratch }
    }
}

/// Returns a copy of that part of a flow's memory where [`Connection`] is kept.
pub fn copy_of(memory: &[u8]) -> [u8; STATE] {
    let mut copy = [0; STATE];
    let len = memory.len().min(STATE);
    copy[..len].copy_from_slice(&memory[..len]);
    copy
}

/// What is known of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The flow is known to be QUIC.
    pub begun: bool,
    /// The client's side: 0 or 1.
    pub client: usize,
    /// The version of the last long header.
    pub version: u32,
    /// The destination connection id that the keys follow from, once a packet was opened or a Retry set it.
    pub origin: Option<Cid>,
    /// The source connection id that the client chose, once an Initial of it was seen.
    pub client_id: Option<Cid>,
    /// The source connection id that the server chose: the destination of the client's short headers.
    pub server_id: Option<Cid>,
    /// What each side's Initial packets are protected with, and for which version; client first.
    pub keys: [Option<(u32, Keys)>; 2],
    /// Largest packet number opened of each side; client first.
    pub largest: [u64; 2],
    /// Datagrams seen.
    pub datagrams: u64,
    /// Packets that could not be opened.
    pub failures: u64,
    /// Datagrams of the client with a short header, while nothing of the server was seen that allows one.
    pub unanswered: u64,
    /// An Initial of each side was seen; client first.
    pub initial: [bool; 2],
    /// The server's keys are being used: a Handshake packet of either side.
    pub handshake: bool,
    /// A Retry or Version Negotiation packet was seen: the client's next Initial may be another.
    pub sent_back: bool,
    /// All that can be read of the client's and the server's hello was noted.
    pub read: [bool; 2],
    /// The client speaks HTTP/3.
    pub web: bool,
    /// The client has sent a short header.
    pub connected: bool,
    /// Each side's CONNECTION_CLOSE was read; client first.
    pub closed: [bool; 2],
    /// The first of them was of type 0x1d.
    pub closed_by_app: bool,
}

impl Connection {
    /// Returns what was kept, or a connection of which nothing is known.
    pub fn load(memory: &mut [u8]) -> Self {
        let mut connection = Self::default();
        if memory[0] == 0 {
            return connection;
        }
        connection.copy(&mut Copier::<false> { memory, at: 0 });
        connection
    }

    /// Keeps the connection.
    pub fn save(&mut self, memory: &mut [u8]) {
        self.copy(&mut Copier::<true> { memory, at: 0 });
    }

    /// Copies every field to memory or from it.
    fn copy<const SAVING: bool>(&mut self, to: &mut Copier<'_, SAVING>) {
        self.copy_flags(to);
        let mut version = self.version.into();
        to.number(&mut version);
        self.version = version as u32;
        for id in [&mut self.origin, &mut self.client_id, &mut self.server_id] {
            to.optional(id, |id, to| {
                to.byte(&mut id.len);
                id.len = id.len.min(LONGEST_CID as u8);
                to.bytes(&mut id.bytes);
            });
        }
        for side in &mut self.keys {
            let mut pair = side.take().map(|(version, keys)| Pair { version: version.into(), keys: keys.0 });
            to.optional(&mut pair, |pair, to| {
                to.number(&mut pair.version);
                to.bytes(&mut pair.keys);
            });
            *side = pair.map(|pair| (pair.version as u32, Keys(pair.keys)));
        }
        let [client, server] = &mut self.largest;
        for number in [client, server, &mut self.datagrams, &mut self.failures, &mut self.unanswered] {
            to.number(number);
        }
    }

    /// Copies all that is true or false as bits of one number. The first one makes the first byte of a connection that
    /// has begun other than zero.
    fn copy_flags<const SAVING: bool>(&mut self, to: &mut Copier<'_, SAVING>) {
        let mut client = self.client & 1 != 0;
        let ([i0, i1], [r0, r1], [c0, c1]) = (&mut self.initial, &mut self.read, &mut self.closed);
        let flags = [
            &mut self.begun,
            &mut client,
            i0,
            i1,
            r0,
            r1,
            c0,
            c1,
            &mut self.handshake,
            &mut self.sent_back,
            &mut self.web,
            &mut self.connected,
            &mut self.closed_by_app,
        ];
        let mut bits = flags.iter().enumerate().fold(0, |bits, (n, flag)| bits | u64::from(**flag) << n);
        to.number(&mut bits);
        flags.into_iter().enumerate().for_each(|(n, flag)| *flag = bits >> n & 1 != 0);
        self.client = usize::from(client);
    }

    /// Takes the other side for the client, whose keys and origin are there already.
    pub fn turn_round(&mut self) {
        self.client = 1 - self.client;
        self.initial.swap(0, 1);
        std::mem::swap(&mut self.client_id, &mut self.server_id);
    }

    /// Returns the version of the last long header.
    pub const fn version(&self) -> Version {
        Version(self.version)
    }

    /// Returns 0 for packets of the client, 1 for those of the server.
    pub const fn role(&self, from: usize) -> usize {
        from ^ self.client
    }

    /// Returns the phase.
    pub const fn phase(&self) -> Phase {
        match self {
            Self { closed: [true, true], .. } => Phase::QuicClosed,
            Self { closed: [true, _] | [_, true], closed_by_app: true, .. } => Phase::QuicDrainingApp,
            Self { closed: [true, _] | [_, true], .. } => Phase::QuicDraining,
            Self { connected: true, web: true, .. } => Phase::QuicConnectedWeb,
            Self { connected: true, .. } => Phase::QuicConnected,
            Self { handshake: true, .. } | Self { initial: [true, true], .. } => Phase::QuicHandshake,
            _ => Phase::QuicInitial,
        }
    }
}

struct Pair {
    version: u64,
    keys: [u8; KEYS],
}

impl Default for Pair {
    fn default() -> Self {
        Self { version: 0, keys: [0; KEYS] }
    }
}

/// Copies fields one behind the other to memory (saving) or from it. Memory is bytes; no field needs more than
/// that, and zeros are every field's default.
struct Copier<'a, const SAVING: bool> {
    memory: &'a mut [u8],
    at: usize,
}

impl<const SAVING: bool> Copier<'_, SAVING> {
    #[inline(always)]
    fn bytes<const N: usize>(&mut self, field: &mut [u8; N]) {
        // The place of a field of known length is copied without a call.
        let Some(place) = self.memory[self.at..].first_chunk_mut::<N>() else { return };
        self.at += N;
        match SAVING {
            true => *place = *field,
            false => *field = *place,
        }
    }

    #[inline]
    fn byte(&mut self, field: &mut u8) {
        let mut byte = [*field];
        self.bytes(&mut byte);
        [*field] = byte;
    }

    #[inline]
    fn number(&mut self, field: &mut u64) {
        let mut bytes = field.to_le_bytes();
        self.bytes(&mut bytes);
        *field = u64::from_le_bytes(bytes);
    }

    /// Copies a field that may be absent; its place is there all the same.
    fn optional<T: Default>(&mut self, field: &mut Option<T>, copy: impl Fn(&mut T, &mut Self)) {
        let mut present = u8::from(field.is_some());
        self.byte(&mut present);
        let mut value = field.take().unwrap_or_default();
        copy(&mut value, self);
        *field = (present != 0).then_some(value);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let mut memory = [0; MEMORY];
        assert_eq!(Connection::load(Parts::of(&mut memory).state), Connection::default());
        let mut connection = Connection {
            unanswered: 2,
            begun: true,
            client: 1,
            version: 0x6b33_43cf,
            origin: Cid::new(&[1; 20]),
            client_id: Cid::new(&[]),
            server_id: None,
            keys: [Some((1, Keys([7; KEYS]))), None],
            largest: [3, 1 << 40],
            datagrams: 9,
            failures: 2,
            initial: [true, false],
            handshake: false,
            sent_back: true,
            read: [false, true],
            web: true,
            connected: false,
            closed: [true, false],
            closed_by_app: true,
        };
        let kept = connection.clone();
        connection.save(Parts::of(&mut memory).state);
        assert_eq!(connection, kept);
        assert_eq!(Connection::load(Parts::of(&mut memory).state), kept);
    }

    #[test]
    fn phases_follow_from_what_was_seen() {
        let none = Connection { begun: true, ..Connection::default() };
        let initial = Connection { initial: [true, false], ..none.clone() };
        let both = Connection { initial: [true, true], ..none.clone() };
        let handshake = Connection { handshake: true, ..none.clone() };
        let connected = Connection { connected: true, ..both.clone() };
        let web = Connection { web: true, ..connected.clone() };
        let draining = Connection { closed: [false, true], ..both.clone() };
        let app = Connection { closed: [true, false], closed_by_app: true, ..both.clone() };
        let closed = Connection { closed: [true, true], ..app.clone() };
        for (connection, phase) in [
            (none, Phase::QuicInitial),
            (initial, Phase::QuicInitial),
            (both, Phase::QuicHandshake),
            (handshake, Phase::QuicHandshake),
            (connected, Phase::QuicConnected),
            (web, Phase::QuicConnectedWeb),
            (draining, Phase::QuicDraining),
            (app, Phase::QuicDrainingApp),
            (closed, Phase::QuicClosed),
        ] {
            assert_eq!(connection.phase(), phase);
        }
    }
}
