//! TLS that begins within another protocol: STARTTLS, STLS, AUTH TLS, `<starttls/>`, a database's request for it.
//!
//! The words that ask for it differ, but what follows does not: the next thing that the client says is a TLS
//! record, where a text line or element would begin. No text begins with byte 0x16.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::until_ended,
    fact::Fact,
    lines::{Dialog, find},
    notes::Notes,
    protocols::tls,
    recogniser::Verdict,
    talk::Streams,
};

/// Returns where TLS begins in `bytes`: a handshake record (RFC 8446 section 5.1) after `end`, the byte that ends
/// what was said before.
pub fn begin(bytes: &[u8], end: u8) -> Option<usize> {
    find(bytes, &[end, 22, 3]).map(|at| at + 1)
}

/// Reads the TLS that begins in the client's bytes at `at`. The verdict is about the flow: it stays what it is.
pub fn go_on(dialog: &Dialog<'_>, at: usize, end: u8, notes: &mut Notes<'_>) -> Verdict {
    notes.flag(Fact::StartTls);
    let server_at = begin(dialog.server, end).unwrap_or(dialog.server.len());
    match tls::streams_at(dialog.talk, dialog.by_side(at, server_at), notes) {
        Verdict::No | Verdict::Done => Verdict::Done,
        _ => dialog.done_when_ended(),
    }
}

/// Reads the TLS that may begin at these offsets of the two sides' bytes, after messages of a binary protocol.
/// The verdict is about the flow: [`Verdict::Done`] as well when something else is there.
pub fn within(talk: &Streams<'_>, offsets: [usize; 2], notes: &mut Notes<'_>) -> Verdict {
    let verdict = tls::streams_at(talk, offsets, notes);
    if matches!(verdict, Verdict::Is | Verdict::Done) {
        notes.flag(Fact::StartTls);
    }
    match verdict {
        Verdict::No | Verdict::Done => Verdict::Done,
        _ => until_ended(talk),
    }
}
