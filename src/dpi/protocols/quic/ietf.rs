//! Follows a flow of the IETF's QUIC, and of Google's versions that look like it.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    notes::Notes,
    protocols::{
        quic::{
            frames::{Dialect, Frame, Frames},
            gquic,
            header::{Cid, Kind, Long, SMALLEST_FIRST, is_short_for},
            protect::{Keys, Opened},
            state::{Connection, LONGEST_INITIAL, Parts},
            version::Version,
        },
        tls::{
            Transport,
            client_hello::{self, Reading},
            server_hello,
        },
    },
    recogniser::Verdict,
    service::Service,
    talk::Datagram,
};

/// Packets of a datagram that are looked at: those of all three kinds of keys, and some more.
const MOST_PACKETS: usize = 6;
/// Keys that are tried on the packets of one datagram. Each takes 2 to 5 us.
const MOST_KEYS: u32 = 4;
/// Packets of a flow that may fail to open before none is tried any more.
const MOST_FAILURES: u64 = 8;
/// Bytes of the destination connection id that a client makes up, at least (RFC 9000 section 7.2).
const SHORTEST_FIRST_ID: u8 = 8;

/// Returns whether a datagram may be the first one of such a connection; cheap.
pub fn may_begin(bytes: &[u8], wire_len: usize) -> bool {
    let [first, version @ ..] = bytes else { return false };
    let Some(version) = version.first_chunk() else { return false };
    let version = Version(u32::from_be_bytes(*version));
    let is_long = first & 0x80 != 0;
    is_long && (version == Version::NEGOTIATION || version.is_known() || wire_len >= SMALLEST_FIRST)
}

/// Judges a datagram, whether or not something is known of the flow already.
pub fn follow(datagram: &mut Datagram<'_>, connection: &mut Connection, notes: &mut Notes<'_>) -> Verdict {
    let (bytes, from) = (datagram.bytes, datagram.from);
    let coalesced = Coalesced::read(bytes, datagram.wire_len);
    let mut parts = Parts::of(datagram.memory);
    let mut keys_left = MOST_KEYS;
    let mut heard = [false; 2];
    let plausible = !connection.begun && coalesced.is_plausible(bytes, datagram.wire_len);
    for (at, long) in coalesced.longs() {
        let before = connection.origin;
        let opened = match long.kind {
            Kind::Initial => {
                let packet = &bytes[at..bytes.len().min(at + long.len)];
                let scratch = &mut *parts.scratch;
                // Until one was opened, whoever's opens with keys of its own is the client.
                let role = if before.is_some() { connection.role(from) } else { 0 };
                open(&mut Attempts { long, packet, scratch, left: &mut keys_left }, role, connection)
            }
            _ => None,
        };
        if !connection.begun {
            if opened.is_none() && !plausible {
                continue;
            }
            begin(long, opened.is_some(), from, datagram.client, connection, notes);
        } else if opened.is_some() && before.is_none() && connection.role(from) == 1 {
            connection.turn_round();
            notes.client(from);
            notes.hex(Fact::QuicDcid, long.dcid.as_bytes());
        } else if opened.is_some() && connection.role(from) == 0 {
            let is_renewed = before.is_some() && before != connection.origin;
            if is_renewed && is_another(long, connection) {
                *connection = Connection {
                    begun: true,
                    client: from,
                    origin: connection.origin,
                    keys: connection.keys,
                    ..Connection::default()
                };
            }
            if is_renewed || connection.sent_back {
                parts.client.erase();
                parts.server.erase();
                connection.sent_back = false;
            }
        }
        let role = connection.role(from);
        see(long, role, connection, notes);
        let Some(opened) = opened else { continue };
        connection.largest[role] = connection.largest[role].max(opened.number);
        let dialect = if long.version.has_google_frames() { Dialect::Google } else { Dialect::Ietf };
        for frame in Frames::new(&parts.scratch[opened.payload], dialect) {
            match frame {
                Frame::Crypto { offset, data } => {
                    let stream = if role == 0 { &mut parts.client } else { &mut parts.server };
                    stream.add(offset, data);
                    heard[role] = true;
                }
                Frame::Close { by_app, code, reason } => {
                    close(by_app, code, reason, role, connection, notes);
                }
            }
        }
    }
    if !connection.begun {
        // Who does not know the flow leaves its memory as it was.
        parts.scratch[..bytes.len().min(LONGEST_INITIAL)].fill(0);
        let may_come = coalesced.first().is_some_and(|long| long.version.is_known());
        return if may_come { Verdict::More } else { Verdict::No };
    }
    connection.datagrams += 1;
    for role in [0, 1] {
        if heard[role] && !connection.read[role] {
            let bytes = if role == 0 { parts.client.prefix() } else { parts.server.prefix() };
            read_hello(bytes, role, connection, notes);
        }
    }
    if let Some(short) = coalesced.short_at
        && connection.role(from) == 0
    {
        let may_be = connection.handshake || connection.initial == [true; 2];
        connection.connected |=
            may_be && connection.server_id.is_some_and(|id| is_short_for(&bytes[short..], &id));
        connection.unanswered += u64::from(!may_be);
    }
    if connection.version().gquic().is_some() {
        notes.service(Service::Gquic);
    }
    notes.phase(connection.phase());
    // A client that goes on without a server has one whose packets are not captured.
    // One that both sides have closed is followed on: another one may begin on the same ends.
    let is_over = connection.connected && connection.closed == [false; 2]
        || connection.unanswered >= super::MOST_UNANSWERED;
    if is_over || connection.datagrams >= super::MOST_DATAGRAMS { Verdict::Done } else { Verdict::Is }
}

/// The packets of a datagram (RFC 9000 section 12.2).
struct Coalesced {
    packets: [Option<(usize, Long)>; MOST_PACKETS],
    /// Where a packet with a short header begins, behind all others.
    short_at: Option<usize>,
    /// Where the packets with long headers end.
    end: usize,
}

impl Coalesced {
    fn read(bytes: &[u8], wire_len: usize) -> Self {
        let mut coalesced = Self { packets: [None; MOST_PACKETS], short_at: None, end: 0 };
        let mut at = 0;
        for slot in &mut coalesced.packets {
            let Some(long) = bytes.get(at..).and_then(|rest| Long::read(rest, wire_len - at)) else { break };
            *slot = Some((at, long));
            at += long.len;
        }
        if bytes.get(at).is_some_and(|first| first & 0x80 == 0) {
            coalesced.short_at = Some(at);
        }
        coalesced.end = at;
        coalesced
    }

    fn longs(&self) -> impl Iterator<Item = (usize, &Long)> {
        self.packets.iter().flatten().map(|(at, long)| (*at, long))
    }

    fn first(&self) -> Option<&Long> {
        self.longs().next().map(|(_, long)| long)
    }

    /// Returns whether the packets with long headers fill the datagram, or a packet with a short header for the same
    /// connection, or zeros, follow: some senders pad the datagram, not a packet.
    fn is_filled(&self, bytes: &[u8], wire_len: usize, dcid: &Cid) -> bool {
        let rest = bytes.get(self.end..).unwrap_or_default();
        let is_short = rest.first().is_some_and(|first| first & 0xc0 == 0x40);
        self.end == wire_len
            || is_short
            || !dcid.is_empty() && is_short_for(rest, dcid)
            || rest.iter().all(|byte| *byte == 0)
    }

    /// Returns whether a flow may be called QUIC for what the headers alone say. Random bytes pass with a
    /// probability of about 2^-30.
    fn is_plausible(&self, bytes: &[u8], wire_len: usize) -> bool {
        let Some(first) = self.first() else { return false };
        let is_known = first.version.is_known();
        let is_coherent =
            self.longs().all(|(_, long)| long.version == first.version && long.dcid == first.dcid);
        let is_marked = first.fixed_bit || first.kind == Kind::Negotiation;
        if !is_marked || !is_coherent || !self.is_filled(bytes, wire_len, &first.dcid) {
            return false;
        }
        match first.kind {
            // Of an unknown version, what matters is that its lengths are those of a client's first datagram.
            Kind::Initial if !is_known => {
                let is_first = first.dcid.len >= SHORTEST_FIRST_ID;
                wire_len >= SMALLEST_FIRST && is_first && first.len == wire_len
            }
            // A server's that acknowledges and says nothing more is not padded (RFC 9000 section 14.1).
            Kind::Initial => wire_len >= SMALLEST_FIRST || !first.has_token && !first.scid.is_empty(),
            Kind::ZeroRtt | Kind::Handshake => is_known,
            Kind::Retry => {
                /// Retry Integrity Tag (RFC 9001 section 5.8) behind a token.
                const SHORTEST: usize = 17;
                is_known && !first.scid.is_empty() && wire_len >= first.number_at + SHORTEST
            }
            Kind::Negotiation => {
                // It returns the connection id that a client made up.
                let list = bytes.get(first.number_at..).unwrap_or_default();
                first.scid.len >= SHORTEST_FIRST_ID
                    && (wire_len - first.number_at).is_multiple_of(4)
                    && list.as_chunks().0.iter().any(|v| Version(u32::from_be_bytes(*v)).is_known())
            }
        }
    }
}

/// Takes note that the flow is QUIC, by this packet.
fn begin(
    long: &Long,
    is_opened: bool,
    from: usize,
    guess: usize,
    connection: &mut Connection,
    notes: &mut Notes<'_>,
) {
    let told = match long.kind {
        Kind::Initial if is_opened || long.has_token => Some(from),
        Kind::ZeroRtt => Some(from),
        Kind::Retry | Kind::Negotiation => Some(1 - from),
        _ => None,
    };
    if let Some(side) = told {
        notes.client(side);
    }
    connection.begun = true;
    connection.client = told.unwrap_or(guess & 1);
    if told == Some(from) {
        notes.hex(Fact::QuicDcid, long.dcid.as_bytes());
    }
}

/// Returns whether a client's Initial with an origin of its own begins another connection on the same addresses,
/// and is not the same one after the server sent it back.
fn is_another(long: &Long, connection: &Connection) -> bool {
    let is_same_client = connection.client_id.is_some_and(|id| !id.is_empty() && id == long.scid);
    !connection.sent_back && !long.has_token && !is_same_client
}

/// Returns whether a datagram is the first of another connection than this one: an Initial for a server that has not
/// yet answered, with ids that neither side has used here (RFC 9000 section 7.2).
pub fn begins_another(bytes: &[u8], wire_len: usize, connection: &Connection) -> bool {
    let Some(long) = Long::read(bytes, wire_len) else { return false };
    let used = [connection.origin, connection.client_id, connection.server_id];
    long.kind == Kind::Initial
        && long.version.is_known()
        && wire_len >= SMALLEST_FIRST
        && long.dcid.len >= SHORTEST_FIRST_ID
        && !used.contains(&Some(long.dcid))
        && (long.scid.is_empty() || !used.contains(&Some(long.scid)))
}

/// Opens an Initial packet with the keys of the connection, or with those that a client's packet brings along
/// itself: `origin` of the connection is then its destination.
fn open(attempts: &mut Attempts<'_>, role: usize, connection: &mut Connection) -> Option<Opened> {
    let is_whole =
        attempts.packet.len() == attempts.long.len && attempts.packet.len() <= attempts.scratch.len();
    if !is_whole || connection.failures >= MOST_FAILURES {
        return None;
    }
    let version = attempts.long.version.0;
    if let Some(origin) = connection.origin {
        let largest = connection.largest[role];
        let found = match connection.keys[role] {
            Some((v, keys)) if v == version => attempts.with(&keys, largest).map(|opened| (keys, opened)),
            _ => attempts.with_keys_of(&origin, role, largest),
        };
        if let Some((keys, opened)) = found {
            connection.keys[role] = Some((version, keys));
            return Some(opened);
        }
    }
    let own = attempts.long.dcid;
    if role == 0
        && connection.origin != Some(own)
        && let Some((keys, opened)) = attempts.with_keys_of(&own, role, 0)
    {
        connection.keys = [Some((version, keys)), None];
        connection.origin = Some(own);
        return Some(opened);
    }
    connection.failures += 1;
    None
}

/// A packet, and the keys that may still be tried on its datagram.
struct Attempts<'a> {
    long: &'a Long,
    packet: &'a [u8],
    /// Where it is opened.
    scratch: &'a mut [u8],
    left: &'a mut u32,
}

impl Attempts<'_> {
    fn with(&mut self, keys: &Keys, largest: u64) -> Option<Opened> {
        *self.left = self.left.checked_sub(1)?;
        let copy = &mut self.scratch[..self.packet.len()];
        copy.copy_from_slice(self.packet);
        keys.open(copy, self.long.number_at, largest)
    }

    /// Tries every suite of the version, as long as keys may be tried.
    fn with_keys_of(&mut self, origin: &Cid, role: usize, largest: u64) -> Option<(Keys, Opened)> {
        for suite in self.long.version.suites() {
            if *self.left == 0 {
                break;
            }
            let keys = Keys::derive(suite, origin.as_bytes(), role == 0);
            if let Some(opened) = self.with(&keys, largest) {
                return Some((keys, opened));
            }
        }
        None
    }
}

/// Takes in what a long header says.
fn see(long: &Long, role: usize, connection: &mut Connection, notes: &mut Notes<'_>) {
    if long.kind == Kind::Negotiation {
        if role == 1 {
            notes.flag(Fact::QuicVersionNegotiation);
            connection.sent_back = true;
        }
        return;
    }
    if connection.version != long.version.0 {
        connection.version = long.version.0;
        long.version.note(notes);
    }
    match (long.kind, role) {
        (Kind::Initial, _) => connection.initial[role] = true,
        (Kind::Handshake, _) => connection.handshake = true,
        (Kind::ZeroRtt, 0) => notes.flag(Fact::QuicZeroRtt),
        (Kind::Retry, 1) => {
            // The client's next Initial goes to this id, and its keys follow from it (RFC 9001 section 5.2).
            notes.flag(Fact::QuicRetry);
            connection.sent_back = true;
            connection.origin = Some(long.scid);
            connection.keys = [None; 2];
        }
        _ => return,
    }
    let id = if role == 0 { &mut connection.client_id } else { &mut connection.server_id };
    if *id != Some(long.scid) {
        *id = Some(long.scid);
        if !long.scid.is_empty() {
            notes.hex(Fact::QuicScid, long.scid.as_bytes());
        }
    }
    if role == 0 && long.kind == Kind::Handshake {
        connection.server_id = Some(long.dcid);
    }
}

/// Takes in a CONNECTION_CLOSE.
fn close(
    by_app: bool,
    code: u64,
    reason: &[u8],
    role: usize,
    connection: &mut Connection,
    notes: &mut Notes<'_>,
) {
    let kind: &[u8] = if by_app { b"app:" } else { b"transport:" };
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(code).as_bytes();
    let mut text = [0; 32];
    let len = kind.len() + digits.len();
    text[..kind.len()].copy_from_slice(kind);
    text[kind.len()..len].copy_from_slice(digits);
    notes.text(Fact::QuicClose, &text[..len]);
    if !reason.is_empty() {
        notes.text(Fact::QuicCloseReason, reason);
    }
    if connection.closed == [false; 2] {
        connection.closed_by_app = by_app;
    }
    connection.closed[role] = true;
}

/// Reads the first message of a side's handshake: the ClientHello as far as it has come, the ServerHello when it is
/// whole. A HelloRetryRequest is a ServerHello too, and says the same.
fn read_hello(bytes: &[u8], role: usize, connection: &mut Connection, notes: &mut Notes<'_>) {
    const CLIENT_HELLO: u8 = 1;
    const SERVER_HELLO: u8 = 2;
    if connection.version().gquic().is_some() {
        connection.web = true;
        connection.read[role] = role == 0 && gquic::read_chlo(bytes, notes);
        return;
    }
    let [kind, a, b, c, body @ ..] = bytes else { return };
    let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    let is_whole = body.len() >= len;
    let body = &body[..len.min(body.len())];
    connection.read[role] = is_whole;
    match (role, *kind) {
        (0, CLIENT_HELLO) => match client_hello::read(body, is_whole, Transport::Quic, notes) {
            Reading::Hello(hello) => connection.web |= hello.alpn().any(|name| name.starts_with(b"h3")),
            Reading::Short => {}
            Reading::Bad => connection.read[role] = true,
        },
        (1, SERVER_HELLO) if is_whole => {
            let hello = server_hello::read(body, Transport::Quic, notes);
            if hello.is_some_and(|hello| hello.psk) {
                notes.flag(Fact::TlsResumed);
            }
        }
        _ => {}
    }
}
