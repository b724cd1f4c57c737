//! QUIC: version 1 (RFC 9000, RFC 9001), version 2 (RFC 9369), the drafts from 22 on, Meta's mvfst, and Google's
//! versions before and between.
//!
//! Initial packets are protected with keys that everybody can derive, so they are opened: the ClientHello is put
//! together from CRYPTO frames in any order and any number of packets, the ServerHello likewise, and
//! CONNECTION_CLOSE is read on both sides. Handshake and later packets nobody else can read: there, headers
//! tell how far the handshake is, and the first short header of the client ends the inspection. A flow that is
//! first seen in the middle, with nothing but short headers, cannot be known for QUIC.
//!
//! Of a flow, its memory is all that is kept ([`state`]): 248 bytes, and 16 KiB while a hello is put together; at most [`MOST_DATAGRAMS`] are looked at.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

mod crypto;
mod frames;
mod gquic;
mod header;
mod ietf;
mod protect;
mod state;
#[cfg(test)]
mod tests;
mod version;

use crate::dpi::{
    notes::Notes,
    protocols::quic::{
        state::{Connection, LONGEST_INITIAL, Parts, STATE},
        version::Layout,
    },
    recogniser::Verdict,
    talk::{Datagram, MEMORY},
};

/// Datagrams of a flow that are looked at when its client never sends a short header: a handshake takes about
/// ten, one with lost packets and 0-RTT data some more.
const MOST_DATAGRAMS: u64 = 64;

/// Short headers of a client whose server was not heard, after which nothing more is expected.
const MOST_UNANSWERED: u64 = 3;

/// Returns whether the first datagram of a flow that [`datagram`] knows may begin with this byte.
pub fn leads(first: u8) -> bool {
    first & 0x80 != 0 || gquic::leads(first)
}

/// Judges a datagram.
pub fn datagram(datagram: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    // The first byte kept says whether the flow has begun.
    let begun = Parts::of(datagram.memory).state[0] != 0;
    if !begun {
        return match datagram.bytes {
            [] => Verdict::More,
            bytes if gquic::may_begin(bytes) => keep(datagram, notes, gquic::begin),
            bytes if ietf::may_begin(bytes, datagram.wire_len) => keep(datagram, notes, ietf::follow),
            _ => Verdict::No,
        };
    }
    keep(datagram, notes, |datagram, connection, notes| match connection.version().layout() {
        Layout::Google => gquic::follow(datagram, connection, notes),
        Layout::V1 | Layout::V2 => ietf::follow(datagram, connection, notes),
    })
}

/// Returns whether a datagram begins another connection than the one that the memory is of: a client's first Initial,
/// to a connection id of its own making.
pub fn renews(bytes: &[u8], wire_len: usize, memory: &[u8]) -> bool {
    let connection = Connection::load(&mut state::copy_of(memory));
    connection.begun && ietf::begins_another(bytes, wire_len, &connection)
}

/// Judges a datagram with what is kept of its connection, and keeps that again.
fn keep<'a>(
    datagram: &mut Datagram<'a>,
    notes: &mut Notes<'_>,
    judge: impl Fn(&mut Datagram<'a>, &mut Connection, &mut Notes<'_>) -> Verdict,
) -> Verdict {
    let mut connection = Connection::load(Parts::of(datagram.memory).state);
    let verdict = judge(datagram, &mut connection, notes);
    if verdict == Verdict::Is {
        connection.save(Parts::of(datagram.memory).state);
    }
    if matches!(verdict, Verdict::Is | Verdict::Done) {
        datagram.keeps = sweep(datagram.memory, datagram.bytes, &connection);
    }
    verdict
}

/// Returns how much of a flow's memory has to be kept. While nothing of a hello is waiting for the rest of it,
/// that is the state alone, and all else is zeros again: only packets with long headers are opened.
fn sweep(memory: &mut [u8; MEMORY], bytes: &[u8], connection: &Connection) -> usize {
    let mut parts = Parts::of(memory);
    let waits =
        !connection.read[0] && parts.client.has_begun() || !connection.read[1] && parts.server.has_begun();
    if waits {
        return MEMORY;
    }
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        parts.client.erase();
        parts.server.erase();
        parts.scratch[..bytes.len().min(LONGEST_INITIAL)].fill(0);
    }
    STATE
}
