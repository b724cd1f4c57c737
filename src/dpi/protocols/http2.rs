//! HTTP/2 in the clear (RFC 9113): with prior knowledge, or after an upgrade of HTTP/1.1.
//!
//! What is learned is the first request, and the first final response.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Start, number, start},
    notes::{Notes, Phase},
    protocols::hpack::{Decoder, Name, Value},
    recogniser::Verdict,
    talk::Streams,
};

/// What a client sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length of a frame's header (section 4.1).
const FRAME_HEADER: usize = 9;
/// Bytes of a :path that are kept, as of a request target of HTTP/1.1.
const LONGEST_PATH: usize = 300;

/// Knows HTTP/2 by the client's preface; without the client's bytes by the server's SETTINGS.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let mut answer = Verdict::No;
    for client in [talk.client, 1 - talk.client] {
        match start(talk.bytes[client], PREFACE) {
            Start::Full => {
                let mut inner = *talk;
                inner.bytes[client] = &talk.bytes[client][PREFACE.len()..];
                return exchange(&inner, client, notes);
            }
            Start::Part if !talk.ended[client] => answer = Verdict::More,
            _ => {}
        }
        if talk.opened {
            return answer;
        }
        let server = 1 - client;
        if talk.bytes[client].is_empty() && begins_with_settings(talk.bytes[server]) {
            return exchange(talk, client, notes);
        }
    }
    match (answer, joined(talk)) {
        (Verdict::More, Verdict::No) => Verdict::More,
        (_, Verdict::Done) => {
            notes.phase(Phase::Web);
            notes.text(Fact::HttpVersion, b"HTTP/2");
            Verdict::Done
        }
        (_, joined) => joined,
    }
}

/// Judges a connection whose beginning was missed by the frames that a side goes on with. Fields of later requests may
/// be compressed with what was said before, so that none is read.
fn joined(talk: &Streams<'_>) -> Verdict {
    let sides = talk.bytes.map(frames);
    let waits = |side: usize| sides[side] == Start::Part && !talk.ended[side];
    match sides.contains(&Start::Full) {
        true => Verdict::Done,
        false if waits(0) || waits(1) => Verdict::More,
        false => Verdict::No,
    }
}

/// Compares a side's first bytes with SETTINGS, or with frames in a row of which one before the last is HEADERS: those of
/// fixed shapes have too many zeros to tell them from others' small numbers.
fn frames(bytes: &[u8]) -> Start {
    const MOST: usize = 8;
    if begins_with_settings(bytes) {
        return Start::Full;
    }
    let (mut rest, mut headers) = (bytes, false);
    for _ in 0..MOST {
        match header_shape(rest) {
            Start::Full if headers => return Start::Full,
            Start::Full => {}
            other => return other,
        }
        let Some(frame) = next_frame(&mut rest) else { return Start::Part };
        let zeros = frame.payload.iter().filter(|byte| **byte == 0).count();
        headers |= frame.kind == HEADERS
            && frame.flags & END_HEADERS != 0
            && frame.payload.len() >= 8
            && zeros * 4 < frame.payload.len();
    }
    Start::No
}

/// Judges a frame's header: length, flags and stream that go with its type (RFC 9113 section 6).
fn header_shape(bytes: &[u8]) -> Start {
    // No frame is longer than 2^14 bytes unless a side asked for that (section 4.2).
    if bytes.first().is_some_and(|high| *high != 0) || bytes.get(1).is_some_and(|middle| *middle > 0x40) {
        return Start::No;
    }
    let Some(header) = bytes.first_chunk::<FRAME_HEADER>() else {
        return if bytes.get(3).is_none_or(|kind| *kind <= 9) { Start::Part } else { Start::No };
    };
    let len = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
    let flags = header[4];
    // Streams are numbered one after the other: those beyond a million are left.
    let on_stream = (1..1 << 20).contains(&stream);
    let fits = match header[3] {
        0 => on_stream && flags & !0x09 == 0,
        HEADERS => on_stream && flags & !0x2d == 0 && len > 0,
        2 => on_stream && flags == 0 && len == 5,
        3 => on_stream && flags == 0 && len == 4,
        SETTINGS => {
            stream == 0 && (flags == 1 && len == 0 || flags == 0 && len.is_multiple_of(6) && len <= 96)
        }
        6 => stream == 0 && flags <= 1 && len == 8,
        7 => stream == 0 && flags == 0 && len >= 8,
        8 => (on_stream || stream == 0) && flags == 0 && len == 4,
        9 => on_stream && flags & !END_HEADERS == 0,
        _ => false,
    };
    if fits { Start::Full } else { Start::No }
}

/// Reads what follows `101 Switching Protocols` with `Upgrade: h2c`: the client still sends its preface.
pub fn after_upgrade(talk: &Streams<'_>, client: usize, notes: &mut Notes<'_>) -> Verdict {
    let mut inner = *talk;
    match start(talk.bytes[client], PREFACE) {
        Start::Full => inner.bytes[client] = &talk.bytes[client][PREFACE.len()..],
        Start::Part => inner.bytes[client] = &[],
        Start::No => return Verdict::Done,
    }
    exchange(&inner, client, notes)
}

/// Reads the frames of both sides.
fn exchange(talk: &Streams<'_>, client: usize, notes: &mut Notes<'_>) -> Verdict {
    let server = 1 - client;
    notes.client(client);
    notes.phase(Phase::Web);
    notes.text(Fact::HttpVersion, b"HTTP/2");
    let asked = note_headers(talk.bytes[client], Name::Method, notes);
    let answered = note_headers(talk.bytes[server], Name::Status, notes);
    match (asked || talk.ended[client]) && (answered || talk.ended[server]) {
        true => Verdict::Done,
        false => Verdict::Is,
    }
}

/// A frame of HTTP/2.
#[derive(Clone, Copy)]
struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const END_HEADERS: u8 = 0x04;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// Takes the first frame off `rest`; `None` when it is not whole.
fn next_frame<'a>(rest: &mut &'a [u8]) -> Option<Frame<'a>> {
    let (header, after) = rest.split_first_chunk::<FRAME_HEADER>()?;
    let len = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
    let payload = after.get(..len)?;
    *rest = &after[len..];
    let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) & 0x7FFF_FFFF;
    Some(Frame { kind: header[3], flags: header[4], stream, payload })
}

/// Returns whether a whole, valid SETTINGS frame is first (section 6.5): 72 bits of sign.
fn begins_with_settings(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let settings = |frame: Frame<'_>| {
        (frame.kind, frame.flags, frame.stream) == (SETTINGS, 0, 0)
            && frame.payload.len() <= 6 * 16
            && frame.payload.len().is_multiple_of(6)
            && frame.payload.chunks_exact(6).all(|setting| setting[0] == 0 && setting[1] <= 16)
    };
    next_frame(&mut rest).is_some_and(settings)
}

/// Returns the header block of HEADERS or PUSH_PROMISE without what stands around it.
fn header_block(frame: Frame<'_>) -> Option<&[u8]> {
    let mut block = frame.payload;
    if frame.flags & PADDED != 0 {
        let (padding, rest) = block.split_first()?;
        block = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
    }
    match frame.kind {
        HEADERS if frame.flags & PRIORITY != 0 => block.get(5..),
        PUSH_PROMISE => block.get(4..),
        _ => Some(block),
    }
}

/// Notes the fields of one side's first block that has `sign` and is not an interim response.
/// Returns whether there is nothing more to wait for.
fn note_headers(bytes: &[u8], sign: Name, notes: &mut Notes<'_>) -> bool {
    if bytes.len() < FRAME_HEADER {
        return false;
    }
    let mut decoder = Decoder::new();
    let mut rest = bytes;
    while let Some(frame) = next_frame(&mut rest) {
        if frame.kind != HEADERS && frame.kind != PUSH_PROMISE {
            continue;
        }
        let Some(block) = header_block(frame) else { return true };
        // The first value of each name counts, whatever an odd block repeats.
        let mut first: [Option<Value<'_>>; Name::Other as usize] = [None; Name::Other as usize];
        let read = decoder.block(block, |name, value| {
            if let Some(place) = first.get_mut(name as usize) {
                place.get_or_insert(value);
            }
        });
        // A block that goes on in CONTINUATION has its pseudo-fields in front.
        let broken = read.is_none() || frame.flags & END_HEADERS == 0;
        if frame.kind == HEADERS && first[sign as usize].is_some() {
            let status = note_fields(&first, sign, notes);
            if sign == Name::Method || status >= 200 {
                return true;
            }
        }
        if broken {
            return true;
        }
    }
    false
}

/// Notes the fields and returns the status code, 0 without one.
fn note_fields(first: &[Option<Value<'_>>; Name::Other as usize], sign: Name, notes: &mut Notes<'_>) -> u32 {
    let rows: &[(Name, Fact)] = match sign {
        Name::Status => &[(Name::Server, Fact::HttpServer), (Name::ContentType, Fact::HttpContentType)],
        _ => &[
            (Name::Method, Fact::HttpMethod),
            (Name::Path, Fact::HttpPath),
            (Name::Authority, Fact::HttpHost),
            (Name::UserAgent, Fact::HttpUserAgent),
        ],
    };
    let mut room = [0; crate::dpi::fact::LONGEST_VALUE];
    let status = first[Name::Status as usize].and_then(|value| number(value.text(&mut room))).unwrap_or(0);
    if sign == Name::Status && (100..1000).contains(&status) {
        notes.number(Fact::HttpStatus, u64::from(status));
    }
    if sign == Name::Status && status < 200 {
        return status;
    }
    for (name, fact) in rows {
        let Some(value) = first[*name as usize] else { continue };
        let text = value.text(&mut room);
        let longest = if *name == Name::Path { LONGEST_PATH } else { text.len() };
        if !text.is_empty() {
            notes.text(*fact, &text[..text.len().min(longest)]);
        }
    }
    status
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::testing;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes =
            vec![0, (payload.len() >> 8) as u8, payload.len() as u8, kind, flags, 0, 0, 0, stream];
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Preface, SETTINGS, and a request: GET, http, `/`, www.example.com in Huffman code, user-agent plain.
    fn client() -> Vec<u8> {
        let mut block = vec![0x82, 0x86, 0x84, 0x41, 0x8C];
        block.extend([0xF1, 0xE3, 0xC2, 0xE5, 0xF2, 0x3A, 0x6B, 0xA0, 0xAB, 0x90, 0xF4, 0xFF]);
        block.extend([0x7A, 4]);
        block.extend(b"ua/1");
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]));
        let mut padded = vec![2, 0, 0, 0, 0, 16];
        padded.extend(block);
        padded.extend([0, 0]);
        bytes.extend(frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 1, &padded));
        bytes
    }

    /// SETTINGS, 100 and 404 with `server: x`.
    fn server() -> Vec<u8> {
        let mut bytes = frame(SETTINGS, 0, 0, &[]);
        bytes.extend(frame(HEADERS, END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'0']));
        bytes.extend(frame(HEADERS, END_HEADERS, 1, &[0x8D, 0x0F, 54 - 15, 1, b'x']));
        bytes
    }

    #[test]
    fn exchange_is_read() {
        let heard = testing::streams(streams, &client(), &server(), 8080);
        assert_eq!(heard.verdict, Some(Verdict::Done));
        assert_eq!(heard.phase, Some(Phase::Web));
        assert_eq!(heard.values(Fact::HttpMethod), ["GET"]);
        assert_eq!(heard.values(Fact::HttpPath), ["/"]);
        assert_eq!(heard.values(Fact::HttpHost), ["www.example.com"]);
        assert_eq!(heard.values(Fact::HttpUserAgent), ["ua/1"]);
        assert_eq!(heard.values(Fact::HttpStatus), ["100", "404"]);
        assert_eq!(heard.first(Fact::HttpServer), "x");
        assert_eq!(heard.first(Fact::HttpVersion), "HTTP/2");
    }

    #[test]
    fn cuts_change_nothing() {
        crate::dpi::lines::proof::every_cut(streams, &client(), &server(), 8080);
    }

    #[test]
    fn others_are_not_it() {
        for bytes in [&b"PRI * HTTP/1.1\r\n\r\n"[..], b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PRX"] {
            assert_eq!(testing::streams(streams, bytes, b"", 80).verdict, Some(Verdict::No));
        }
    }

    #[test]
    fn server_alone_is_known_by_its_settings() {
        let talk = |bytes: &[u8], opened| {
            let mut heard = testing::Heard::default();
            let bytes = [&[][..], bytes];
            let talk = Streams { bytes, ended: [false; 2], total: [0; 2], client: 0, opened, ports: [1, 2] };
            let verdict = streams(&talk, &mut Notes::new(&mut heard));
            (verdict, heard.first(Fact::HttpStatus).to_owned())
        };
        assert_eq!(talk(&server(), false), (Verdict::Is, "100".to_owned()));
        assert_eq!(talk(&server(), true).0, Verdict::More);
        assert_ne!(talk(&frame(SETTINGS, 0, 0, &[1; 6]), false).0, Verdict::Is);
    }

    #[test]
    fn lying_lengths_end_quietly() {
        for payload in [&[255][..], &[1], &[], &[0xFF, 0xFF, 0xFF]] {
            let mut bytes = PREFACE.to_vec();
            bytes.extend(frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 1, payload));
            assert_eq!(testing::streams(streams, &bytes, b"", 80).verdict, Some(Verdict::Is));
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 24..80_usize, value: u8) {
            let mut whole = PREFACE.to_vec();
            whole.extend(&bytes);
            testing::streams(streams, &whole, &bytes, 80);
            let mut changed = client();
            if let Some(byte) = changed.get_mut(at) {
                *byte = value;
            }
            testing::streams(streams, &changed, &server(), 80);
        }
    }

    #[test]
    fn frames_of_a_connection_that_was_joined_late() {
        let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
            let length = (payload.len() as u32).to_be_bytes();
            [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
        };
        let (data, headers) =
            (frame(0, 1, 3, b"abc"), frame(HEADERS, 4, 5, b"\x82\x86\x84\x41\x8a\x08\x9d\x5c"));
        for (what, bytes, wanted) in [
            ("settings", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]), Verdict::Done),
            ("an acknowledgement of settings", frame(SETTINGS, 1, 0, b""), Verdict::More),
            ("a ping", frame(6, 0, 0, &[7; 8]), Verdict::More),
            (
                "small numbers",
                [frame(0, 0, 1, b""), frame(HEADERS, 4, 1, &[0; 8]), data.clone()].concat(),
                Verdict::More,
            ),
            ("two frames", [&headers[..], &data].concat(), Verdict::Done),
            ("one frame", data.clone(), Verdict::More),
            ("one frame, then something else", [&data[..], b"GET / HTTP"].concat(), Verdict::No),
            ("a ping on a stream", frame(6, 0, 1, &[7; 8]), Verdict::No),
        ] {
            for len in 1..bytes.len() {
                let verdict = testing::late(streams, &bytes[..len], b"", 80).verdict;
                assert!(verdict != Some(Verdict::No) || wanted == Verdict::No, "{what}, {len} bytes");
            }
            let heard = testing::late(streams, &bytes, &bytes, 80);
            assert_eq!((heard.verdict, heard.first(Fact::HttpPath)), (Some(wanted), ""), "{what}");
        }
    }
}
