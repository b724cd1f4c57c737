//! MongoDB's wire protocol.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

const REPLY: u32 = 1;
const QUERY: u32 = 2004;
const COMPRESSED: u32 = 2012;
const MSG: u32 = 2013;
/// Bytes of a message at most, as servers allow.
const LONGEST: u32 = 48_000_000;

/// Judges a connection by a message's header and what its operation begins with.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |bytes| message(bytes).map(|_| ())).map(|_| {
        for side in [0, 1] {
            if let Ok(message) = message(Cursor::of(talk, side)) {
                notes.client(if message.answers { 1 - side } else { side });
                if let Some(name) = message.name.filter(|_| !message.answers) {
                    notes.text(Fact::Detail, name);
                }
            }
        }
        Verdict::Done
    }))
}

struct Message<'a> {
    answers: bool,
    /// The collection of a query, or the first command of a message.
    name: Option<&'a [u8]>,
}

fn message(mut bytes: Cursor<'_>) -> Read<Message<'_>> {
    let sent = bytes.sent();
    let length = bytes.le32()?;
    ensure((21..=LONGEST).contains(&length))?;
    bytes.take(4)?;
    let answers = bytes.le32()? != 0;
    let operation = bytes.le32()?;
    let name = match operation {
        REPLY => {
            // Flags, a cursor, where it stands, how many documents.
            ensure(answers && length >= 36 && bytes.le32()? <= 15)?;
            None
        }
        MSG => {
            ensure(bytes.le32()? & 0xfffe_fffc == 0)?;
            let kind = bytes.u8()?;
            ensure(kind <= 1)?;
            if kind == 0 { Some(first_key(&mut bytes, length)?) } else { None }
        }
        COMPRESSED => {
            ensure(matches!(bytes.le32()?, MSG | QUERY | REPLY))?;
            None
        }
        QUERY => {
            ensure(bytes.le32()? < 256)?;
            let name = bytes.text_shown(255)?;
            // Of a name that was not captured to its end the message's length has to be right.
            let is_cut = bytes.is_empty() && sent == length as usize;
            ensure(
                (name.contains(&b'.') || is_cut)
                    && name.iter().all(|byte| matches!(byte, b' '..=b'~' | 0x80..)),
            )?;
            Some(name)
        }
        // UPDATE, INSERT, GET_MORE, DELETE, and KILL_CURSORS: zeros, then a collection or a number.
        2001 | 2002 | 2005..=2007 => {
            ensure(!answers && bytes.le32()? < 4)?;
            None
        }
        _ => return Err(Verdict::No),
    };
    Ok(Message { answers, name })
}

/// Reads a document's first key (BSON): a length, a type, a name.
fn first_key<'a>(bytes: &mut Cursor<'a>, most: u32) -> Read<&'a [u8]> {
    ensure((5..most).contains(&bytes.le32()?) && (1..=19).contains(&bytes.u8()?))?;
    let key = bytes.text(64)?;
    ensure(key.iter().all(|byte| matches!(byte, b'!'..=b'~')))?;
    Ok(key)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::trial;

    fn message(answers: u32, operation: u32, body: &[u8]) -> Vec<u8> {
        let length = 16 + body.len() as u32;
        [length, 7, answers, operation]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .chain(body.iter().copied())
            .collect()
    }

    #[test]
    fn operations_old_and_new() {
        let hello = message(0, MSG, b"\0\0\0\0\0\x10\0\0\0\x10hello\0\x01\0\0\0\0");
        let answer = message(7, MSG, b"\0\0\0\0\0\x10\0\0\0\x08ok\0\x01\0");
        let heard = trial::of_streams(streams, &hello, &answer, 27_017);
        assert_eq!((heard.first(Fact::Detail), heard.client), ("hello", Some(0)));
        let query = message(0, QUERY, b"\0\0\0\0shop.$cmd\0\0\0\0\0\x01\0\0\0\x05\0\0\0\0");
        assert_eq!(trial::of_streams(streams, &query, b"", 9).first(Fact::Detail), "shop.$cmd");
    }

    #[test]
    fn a_query_that_was_cut() {
        let query = message(0, QUERY, b"\0\0\0\0shop.$cmd\0\0\0\0\0\x01\0\0\0\x05\0\0\0\0");
        let heard = |len: usize, sent| crate::dpi::testing::cut(streams, &query[..len], sent, 27_017).verdict;
        assert_eq!(heard(23, query.len()), Some(Verdict::Done));
        assert_eq!(heard(23, query.len() + 1), Some(Verdict::No));
    }
}
