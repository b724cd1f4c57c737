//! TLS that begins within another protocol: STARTTLS, STLS, AUTH TLS, `<starttls/>`.
//!
//! The words that ask for it differ, but what follows does not: the next thing that the client says is a TLS
//! record, where a text line or element would begin. No text begins with byte 0x16.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Dialog, find},
    notes::Notes,
    recogniser::Verdict,
    tls,
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
