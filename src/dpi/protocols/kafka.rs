//! Kafka ("Kafka protocol guide"): requests, confirmed by their answers.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

/// Kinds of requests and their versions, as of Kafka 4 with room to grow.
const MOST_KIND: u16 = 95;
const MOST_VERSION: u16 = 20;
const LONGEST: u32 = 100 << 20;

/// Judges a connection by the client's first request and the answer to it.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(read(talk, notes))
}

fn read(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Read<Verdict> {
    let (client, server) = (talk.client, 1 - talk.client);
    if talk.bytes[client].is_empty() {
        return Err(if talk.ended[client] || !talk.bytes[server].is_empty() {
            Verdict::No
        } else {
            Verdict::More
        });
    }
    let mut request = Cursor::of(talk, client);
    let length = request.u32()?;
    ensure((10..LONGEST).contains(&length))?;
    ensure(request.u16()? <= MOST_KIND && request.u16()? <= MOST_VERSION)?;
    let correlation = request.u32()?;
    let name_len = request.u16()?;
    ensure(name_len <= 255 && u32::from(name_len) + 10 <= length)?;
    let name = request.take(usize::from(name_len))?;
    ensure(!name.is_empty() && name.iter().all(|byte| matches!(byte, b'!'..=b'~')))?;
    // The answer repeats the request's number.
    let mut answer = Cursor::of(talk, server);
    ensure(answer.u32()? < LONGEST)?;
    ensure(answer.u32()? == correlation)?;
    notes.text(Fact::Detail, name);
    Ok(Verdict::Done)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::streams as ask, trial};

    const REQUEST: &[u8] = b"\0\0\0\x1a\0\x12\0\x03\0\0\0\x07\0\x05shop1\0\x05abcd\x05abcd";

    #[test]
    fn a_request_and_its_answer() {
        let heard = trial::of_streams(streams, REQUEST, b"\0\0\0\x10\0\0\0\x07\0\0", 9092);
        assert_eq!(heard.first(Fact::Detail), "shop1");
        assert_eq!(ask(streams, REQUEST, b"", 9092).verdict, Some(Verdict::More));
        assert_eq!(ask(streams, REQUEST, b"\0\0\0\x10\0\0\0\x08\0\0", 9092).verdict, Some(Verdict::No));
    }
}
