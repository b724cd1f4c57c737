//! OpenVPN over UDP and TCP, with and without authentication or encryption of its control channel.
//!
//! The protocol is as OpenVPN's documentation of its network protocol and `ssl_pkt.h` have it. A session whose beginning
//! was missed is known by data packets that count on. Sessions with a static key have no sign and are not known.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    fact::Fact,
    notes::Notes,
    protocols::openvpn_control::{Channel, Control, HEAD_LEN},
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

pub use crate::dpi::protocols::openvpn_control::KEEPS;

/// Operations that begin a session: version 1 and 2 of both sides, version 3 of the client.
const RESETS: [u8; 5] = [1, 2, 7, 8, 10];
/// Datagrams, or frames of a side, whose operations are noted.
const MOST_NOTED: u32 = 32;
/// Bytes of a data packet at least: its head, a tag of 16 bytes, and something encrypted.
const SHORTEST_DATA: usize = 8 + 16 + 1;

/// Judges a datagram: the reset that begins a session.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let Some(first) = talk.bytes.first() else { return Verdict::No };
    if talk.memory[0] == 0 || talk.nth == 0 {
        let Some(channel) = reset(talk.bytes, talk.wire_len) else { return goes_on(talk, notes) };
        Control::of_memory(talk.memory).begin(channel);
        talk.memory[0] = 1;
        notes.client(if from_client(*first) { talk.from } else { 1 - talk.from });
    }
    note_operation(*first, notes);
    let mut control = Control::of_memory(talk.memory);
    if talk.bytes.len() == talk.wire_len && control.add(talk.from, talk.bytes) {
        control.read(talk.client, talk.ports, notes);
    }
    if talk.nth < MOST_NOTED { Verdict::Is } else { Verdict::Done }
}

/// Operation, session and number of a data packet of version 2 under an AEAD cipher.
type Data = [u8; 8];

/// Returns what a packet begins with if it is one of data, of a session whose number has at most two bytes.
fn data(bytes: &[u8]) -> Option<Data> {
    bytes.first_chunk().copied().filter(|head: &Data| head[0] >> 3 == 9 && head[1] == 0)
}

/// Returns whether a data packet comes soon after another one of the same session, as 54 bits say.
fn follows(head: Data, before: Data) -> bool {
    let number = |[.., a, b, c, d]: Data| u32::from_be_bytes([a, b, c, d]);
    head[..4] == before[..4] && (1..=64).contains(&number(head).wrapping_sub(number(before)))
}

/// Judges a datagram that is no reset beside the one that its sender sent before.
fn goes_on(talk: &Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let Some(head) = data(talk.bytes).filter(|_| talk.wire_len >= SHORTEST_DATA) else { return Verdict::No };
    match data(talk.before[talk.from]) {
        Some(before) if follows(head, before) => {
            note_operation(head[0], notes);
            Verdict::Done
        }
        None if talk.before[talk.from].is_empty() => Verdict::More,
        _ => Verdict::No,
    }
}

/// Judges the first frames of a side whose beginning was missed: data that follow one another.
fn data_frames(mut bytes: Cursor<'_>) -> Read<Data> {
    let mut next = || {
        let length = usize::from(bytes.u16()?);
        ensure((SHORTEST_DATA..=2000).contains(&length))?;
        ensure(bytes.rest().first().is_none_or(|first| first >> 3 == 9))?;
        let mut peek = bytes;
        let head = data(&peek.array::<8>()?).ok_or(Verdict::No)?;
        bytes.take_shown(length)?;
        Ok(head)
    };
    let (first, second) = (next()?, next()?);
    ensure(follows(second, first))?;
    Ok(first)
}

/// Judges a connection: frames with their lengths before them, a reset first.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let verdict = begins(talk, notes);
    if talk.opened || !matches!(verdict, Verdict::No | Verdict::More) {
        return verdict;
    }
    let sides = [0, 1].map(|side| data_frames(Cursor::of(talk, side)));
    if let Some(head) = sides.iter().find_map(|side| side.as_ref().ok()) {
        note_operation(head[0], notes);
        return Verdict::Done;
    }
    let waits = |side: usize| sides[side] == Err(Verdict::More) && !talk.bytes[side].is_empty();
    if waits(0) || waits(1) { Verdict::More } else { verdict }
}

fn begins(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, sign).map(|known| {
        let mut complete = true;
        let mut state = [0; KEEPS];
        let mut control = Control::new(&mut state);
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            let mut bytes = Cursor::of(talk, side);
            let mut read = 0;
            while read < MOST_NOTED
                && let Ok(frame) = frame(&mut bytes)
            {
                if read < 4 {
                    note_operation(frame.first().copied().unwrap_or_default(), notes);
                }
                if read == 0
                    && let Some(channel) = reset(frame, frame.len())
                {
                    control.begin(channel);
                }
                control.add(side, frame);
                read += 1;
            }
            complete &= read == MOST_NOTED || read >= 4 && control.is_closed() || talk.ended[side];
            let first = talk.bytes[side].get(2).copied().unwrap_or_default();
            notes.client(if from_client(first) { side } else { 1 - side });
        }
        let settled = control.read(talk.client, talk.ports, notes);
        let complete = (complete || settled) && (known == [true; 2] || talk.ended == [true; 2]);
        if complete { Verdict::Done } else { Verdict::Is }
    }))
}

fn sign(mut bytes: Cursor<'_>) -> Read<()> {
    let mut head = bytes;
    let length = usize::from(head.u16()?);
    ensure((14..=2000).contains(&length))?;
    ensure(RESETS.contains(&(head.u8()? >> 3)))?;
    bytes.take(2)?;
    let frame = bytes.take_shown(length)?;
    ensure(reset(frame, length).is_some())
}

fn frame<'a>(bytes: &mut Cursor<'a>) -> Read<&'a [u8]> {
    let length = bytes.u16()?;
    ensure(length > 0)?;
    bytes.take(usize::from(length))
}

fn from_client(first: u8) -> bool {
    !matches!(first >> 3, 2 | 8)
}

/// Notes an operation as `0x07`.
fn note_operation(first: u8, notes: &mut Notes<'_>) {
    let operation = first >> 3;
    if (1..=11).contains(&operation) {
        let digit = if operation < 10 { b'0' + operation } else { b'a' + operation - 10 };
        notes.text(Fact::OpenVpnOpcode, &[b'0', b'x', b'0', digit]);
    }
}

/// Judges a reset. Behind the operation and the session's id stand, for each kind of control channel:
///
/// ```text
/// plain      acknowledged ids, message id 0
/// tls-auth   HMAC, packet id, time, acknowledged ids, message id 0
/// tls-crypt  packet id, time, tag of 32 bytes, encrypted: acknowledged ids, message id 0 (, wrapped key)
/// ```
fn reset(bytes: &[u8], wire_len: usize) -> Option<Channel> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>()?;
    // The session's key is its first one.
    if head[0] & 7 != 0 || !RESETS.contains(&(head[0] >> 3)) || head[1..] == [0; 8] {
        return None;
    }
    let acknowledges = |bytes: &[u8]| {
        let Some((count, rest)) = bytes.split_first() else { return false };
        let ids = 4 * usize::from(*count);
        // Acknowledged ids are followed by the session that they belong to.
        let before = if *count == 0 { 0 } else { ids + 8 };
        *count <= 4
            && rest.len() >= before + 4
            && rest[before..] == [0; 4]
            && rest[..ids].iter().take(3).all(|b| *b == 0)
    };
    let young = |at: usize| rest.get(at..at + 4).is_some_and(|id| id[..3] == [0; 3] && id[3] != 0);
    let hashed = || {
        let is_hash = |hash: &usize| young(*hash) && rest.get(hash + 8..).is_some_and(acknowledges);
        let hash = [16, 20, 28, 32, 48, 64].into_iter().find(is_hash)?;
        Some(Channel::Open { acknowledgements: HEAD_LEN + hash + 8 })
    };
    // Version 3 adds the client's wrapped key (its length last) to what is encrypted.
    let wrapped = || {
        let key = rest.last_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
        head[0] >> 3 == 10
            && bytes.len() == wire_len
            && (150..=1024).contains(&key)
            && 40 + 5 + key <= rest.len()
    };
    if acknowledges(rest) {
        return Some(Channel::Open { acknowledgements: HEAD_LEN });
    }
    let encrypted = || young(0) && (matches!(wire_len - HEAD_LEN, 45 | 57 | 61) || wrapped());
    hashed().or_else(|| encrypted().then_some(Channel::Encrypted))
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    fn reset(first: u8, rest: &[&[u8]]) -> Vec<u8> {
        [&[first][..], &[0x9b, 1, 2, 3, 4, 5, 6, 7], &rest.concat()].concat()
    }

    const NONE: &[u8] = &[0, 0, 0, 0, 0];
    const STAMP: &[u8] = &[0, 0, 0, 1, 0x65, 1, 2, 3];

    #[test]
    fn resets_of_each_kind() {
        let one = [&[1, 0, 0, 0, 0][..], &[7; 8], &[0; 4]].concat();
        for bytes in [
            reset(0x38, &[NONE]),
            reset(0x40, &[&one]),
            reset(0x38, &[&[0xaa; 20], STAMP, NONE]),
            reset(0x40, &[&[0xaa; 64], STAMP, &one]),
            reset(0x38, &[STAMP, &[0xaa; 32 + 5]]),
            reset(0x50, &[STAMP, &[0xaa; 32 + 5], &[0xbb; 254], &[1, 0]]),
        ] {
            let heard = trial::of_datagrams(datagram, &[(0, &bytes)], [50_000, 9000]);
            assert_eq!(heard.client, Some(usize::from(bytes[0] == 0x40)));
            let framed = [&(bytes.len() as u16).to_be_bytes(), &bytes[..]].concat();
            trial::of_streams(streams, &framed, &[], 443);
        }
    }

    #[test]
    fn operations_are_noted() {
        let heard =
            datagrams(datagram, &[(0, &reset(0x38, &[NONE])), (0, &[0x20; 30]), (1, &[0x48; 90])], [1, 1194]);
        assert_eq!(heard.values(Fact::OpenVpnOpcode), ["0x07", "0x04", "0x09"]);
    }

    #[test]
    fn what_is_no_reset() {
        for bytes in [
            reset(0x38, &[&[0, 0, 0, 0, 1]]),
            reset(0x39, &[NONE]),
            reset(0x20, &[NONE]),
            vec![0x38; 60],
            vec![0x38; 14],
        ] {
            assert_eq!(
                datagrams(datagram, &[(0, &bytes)], [1, 1194]).verdict,
                Some(Verdict::No),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn data_of_a_session_that_was_joined_late() {
        let data =
            |key: u8, number: u32| [&[0x48 | key, 0, 0, 7][..], &number.to_be_bytes(), &[0xa5; 60]].concat();
        let (one, two) = (data(2, 0xff), data(2, 0x101));
        let heard = datagrams(datagram, &[(0, &one), (1, &data(2, 900)), (0, &two)], [50_000, 1194]);
        assert_eq!((heard.verdict, heard.first(Fact::OpenVpnOpcode)), (Some(Verdict::Done), "0x09"));
        for other in [data(2, 0xff), data(2, 0x200), data(1, 0x101)] {
            let verdict = datagrams(datagram, &[(0, &one), (0, &other)], [50_000, 1194]).verdict;
            assert_eq!(verdict, Some(Verdict::No));
        }
        let framed = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        let stream = [framed(&one), framed(&two)].concat();
        let late = crate::dpi::testing::late;
        assert_eq!(late(streams, &stream, b"", 443).verdict, Some(Verdict::Done));
        assert_eq!(late(streams, &stream[..60], b"", 443).verdict, Some(Verdict::More));
        let odd = [framed(&one), framed(&one)].concat();
        assert_eq!(late(streams, &odd, &odd, 443).verdict, Some(Verdict::No));
        assert_eq!(crate::dpi::testing::streams(streams, &stream, b"", 443).verdict, Some(Verdict::No));
    }

    #[test]
    fn a_reset_that_was_cut() {
        // tls-crypt: its length tells, whatever was captured behind the packet id.
        let reset = [&[0x38][..], &[9; 8], &[0, 0, 0, 1, 0x66, 0, 0, 0], &[7; 20]].concat();
        let cut = |wire_len| crate::dpi::testing::cut_datagram(datagram, &reset, wire_len, [50_000, 1194]);
        assert_eq!(cut(54).verdict, Some(Verdict::Is));
        assert_eq!(cut(55).verdict, Some(Verdict::No));
    }
}
