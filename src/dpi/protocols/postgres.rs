//! PostgreSQL ("Frontend/Backend Protocol", version 3).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said, until_ended},
    fact::Fact,
    lines::begins,
    notes::Notes,
    protocols::starttls,
    recogniser::Verdict,
    talk::Streams,
};

const VERSION_3: u32 = 0x0003_0000;
const CANCEL: u32 = 0x04d2_162e;
const SSL: u32 = 0x04d2_162f;
const GSS_ENCRYPTION: u32 = 0x04d2_1630;
/// Messages of a side that are read.
const MOST_MESSAGES: usize = 64;

/// Judges a connection by the client's first message, or by the server's without it.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(read(talk, notes))
}

fn read(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Read<Verdict> {
    // Where the beginning was not seen, either side may be the client.
    let sides = if talk.opened { [talk.client; 2] } else { [talk.client, 1 - talk.client] };
    let mut missing = Verdict::No;
    for client in sides {
        let asks = Cursor::of(talk, client);
        let verdict = if talk.bytes[client].is_empty() { Err(Verdict::More) } else { first(asks) };
        match verdict {
            Ok(()) => {
                notes.client(client);
                note_client(asks, notes);
                let says = Cursor::of(talk, 1 - client);
                note_server(says, notes);
                if let Some([ask, say]) = encrypted(asks, says) {
                    let offsets = if client == 0 { [ask, say] } else { [say, ask] };
                    return Ok(starttls::within(talk, offsets, notes));
                }
                return Ok(until_ended(talk));
            }
            Err(Verdict::More) => missing = Verdict::More,
            Err(_) => {}
        }
        // A client whose beginning was lost goes on with other messages: what its server said counts.
        let says = Cursor::of(talk, 1 - client);
        if !says.is_empty() {
            match answers(says) {
                Ok(()) => {
                    notes.client(client);
                    note_server(says, notes);
                    return Ok(until_ended(talk));
                }
                Err(verdict) if talk.bytes[client].is_empty() => missing = verdict,
                Err(_) => {}
            }
        }
    }
    if talk.opened { Err(missing) } else { joined(talk, missing, notes) }
}

/// Judges a connection whose beginning was missed by whole messages: a server's up to the one that says that it is
/// ready, or a client's query.
fn joined(talk: &Streams<'_>, missing: Verdict, notes: &mut Notes<'_>) -> Read<Verdict> {
    let mut missing = missing;
    for client in [talk.client, 1 - talk.client] {
        let (asks, says) = (Cursor::of(talk, client), Cursor::of(talk, 1 - client));
        let read = [asked(asks), ready(says)];
        if read.contains(&Ok(())) {
            notes.client(client);
            note_messages(asks, notes);
            return Ok(Verdict::Done);
        }
        let waits = |verdict: &Read<()>| *verdict == Err(Verdict::More);
        if waits(&read[0]) && waits(&read[1]) {
            missing = Verdict::More;
        }
    }
    Err(missing)
}

/// Judges a client's messages: a query, or what ends with a wish to be answered now.
fn asked(mut bytes: Cursor<'_>) -> Read<()> {
    for nth in 0..MOST_MESSAGES {
        let kind = bytes.u8()?;
        ensure(b"QPBDECHFSdcfp".contains(&kind))?;
        bytes.expect(&[0])?;
        let length = bytes.u24()?;
        ensure(length >= 4)?;
        match kind {
            b'Q' => {
                let query = bytes.take_shown(length - 4)?;
                let words = query.strip_suffix(b"\0").unwrap_or(query);
                return ensure(is_sql(words));
            }
            b'S' => return ensure(length == 4 && nth > 0),
            _ => bytes.take(length - 4)?,
        };
    }
    Err(Verdict::No)
}

/// Judges a server's messages up to ReadyForQuery.
fn ready(mut bytes: Cursor<'_>) -> Read<()> {
    for _ in 0..MOST_MESSAGES {
        let kind = bytes.u8()?;
        ensure(b"TDCZ123nstNEAVKRSIGWHdc".contains(&kind))?;
        bytes.expect(&[0])?;
        let length = bytes.u24()?;
        ensure(length >= 4 && (kind != b'Z' || length == 5))?;
        let body = bytes.take(length - 4)?;
        if kind == b'Z' {
            return ensure(matches!(body, b"I" | b"T" | b"E"));
        }
    }
    Err(Verdict::No)
}

/// Returns whether text begins with a word that statements of SQL begin with, letters of any case.
pub(super) fn is_sql(text: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"SELECT ",
        b"INSERT ",
        b"UPDATE ",
        b"DELETE ",
        b"BEGIN",
        b"COMMIT",
        b"ROLLBACK",
        b"SET ",
        b"SHOW ",
        b"CREATE ",
        b"ALTER ",
        b"DROP ",
        b"START TRANSACTION",
        b"WITH ",
        b"CALL ",
        b"EXPLAIN ",
        b"REPLACE ",
        b"TRUNCATE ",
        b"LOCK ",
        b"UNLOCK ",
        b"DECLARE ",
        b"FETCH ",
        b"COPY ",
        b"EXECUTE ",
        b"PREPARE ",
    ];
    let text = text.trim_ascii_start();
    WORDS.iter().any(|word| begins(text, word))
        && text.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace())
}

/// Judges a client's first message: a length, and a number that nothing else begins with.
fn first(mut bytes: Cursor<'_>) -> Read<()> {
    bytes.expect(&[0, 0])?;
    let length = usize::from(bytes.u16()?);
    ensure((8..=10_000).contains(&length))?;
    match (bytes.u32()?, length) {
        (SSL | GSS_ENCRYPTION, 8) | (CANCEL, 16) => Ok(()),
        (number, 9..=10_000) if number & 0xffff_0000 == VERSION_3 => {
            // Names and values in turn, and a zero at the end.
            let parameter = bytes.text(63)?;
            ensure(parameter.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.')))
        }
        _ => Err(Verdict::No),
    }
}

/// Judges a server's first messages: how the user is let in, and parameters, or an error.
fn answers(mut bytes: Cursor<'_>) -> Read<()> {
    let mut kind = bytes.u8()?;
    if kind == b'N' {
        // Encryption was asked for before, and refused.
        kind = bytes.u8()?;
    }
    match kind {
        b'R' => {
            let length = bytes.u32()?;
            let kind = bytes.u32()?;
            ensure(matches!((kind, length), (0 | 3 | 7 | 9, 8) | (5, 12) | (10, 16..=128)))?;
            if kind != 0 {
                return Ok(());
            }
            bytes.expect(b"S")?;
            bytes.expect(&[0, 0])
        }
        b'E' => {
            ensure((16..1024).contains(&bytes.u32()?))?;
            bytes.expect(b"SFATAL\0").or_else(|verdict| {
                if verdict == Verdict::More { Err(verdict) } else { bytes.expect(b"SERROR\0") }
            })
        }
        _ => Err(Verdict::No),
    }
}

/// Returns where TLS begins in what the client and the server sent: behind the request for it, and behind the
/// server's `S`. One for GSS encryption, which was refused, may come before.
fn encrypted(mut asks: Cursor<'_>, mut says: Cursor<'_>) -> Option<[usize; 2]> {
    let all = [asks.len(), says.len()];
    for _ in 0..2 {
        let request = (asks.u32(), asks.u32());
        let wanted = match request {
            (Ok(8), Ok(SSL)) => b'S',
            (Ok(8), Ok(GSS_ENCRYPTION)) => 0,
            _ => return None,
        };
        // An answer that was not captured shows in what the client goes on with.
        let answer = says.u8().unwrap_or(if asks.rest().starts_with(&[22, 3]) { b'S' } else { b'N' });
        if answer == wanted {
            return Some([all[0] - asks.len(), all[1] - says.len()]);
        }
    }
    None
}

/// Notes user, database and first queries of a client.
fn note_client(mut bytes: Cursor<'_>, notes: &mut Notes<'_>) {
    loop {
        let Ok(length) = bytes.u32() else { return };
        let Ok(message) = bytes.take((length as usize).saturating_sub(4)) else { return };
        let mut message = Cursor::whole(message);
        match message.u32() {
            // The startup follows when encryption is refused; when it is not, what follows is not read.
            Ok(SSL | GSS_ENCRYPTION) => {}
            Ok(_) => {
                while let (Ok(name @ [_, ..]), Ok(value)) = (message.text(63), message.text(255)) {
                    match name {
                        b"user" => notes.text(Fact::SqlUser, value),
                        b"database" => notes.text(Fact::SqlDatabase, value),
                        _ => {}
                    }
                }
                break;
            }
            Err(_) => return,
        }
    }
    note_messages(bytes, notes);
}

/// Notes a client's first queries.
fn note_messages(mut bytes: Cursor<'_>, notes: &mut Notes<'_>) {
    for _ in 0..MOST_MESSAGES {
        let (Ok(kind), Ok(length)) = (bytes.u8(), bytes.u32()) else { return };
        let Ok(message) = bytes.take((length as usize).saturating_sub(4)) else { return };
        match kind {
            b'Q' => notes.text(Fact::SqlQuery, message.strip_suffix(b"\0").unwrap_or(message)),
            b'P' => {
                let mut message = Cursor::whole(message);
                if let (Ok(_), Ok(query)) = (message.text(63), message.text(4096)) {
                    notes.text(Fact::SqlQuery, query);
                }
            }
            _ => {}
        }
    }
}

/// Notes the server's version.
fn note_server(mut bytes: Cursor<'_>, notes: &mut Notes<'_>) {
    if let Some((b'S' | b'N', rest)) = bytes.rest().split_first()
        && !rest.starts_with(&[0])
    {
        bytes = Cursor::whole(rest);
    }
    for _ in 0..MOST_MESSAGES {
        let (Ok(kind), Ok(length)) = (bytes.u8(), bytes.u32()) else { return };
        let Ok(message) = bytes.take((length as usize).saturating_sub(4)) else { return };
        if kind == b'S'
            && let Some(version) = message.strip_prefix(b"server_version\0")
        {
            notes.text(Fact::SqlVersion, version.strip_suffix(b"\0").unwrap_or(version));
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::streams as ask, trial};

    fn framed(head: &[u8], body: &[u8]) -> Vec<u8> {
        [head, &(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    #[test]
    fn sessions_with_user_database_and_queries() {
        let startup = framed(b"", b"\0\x03\0\0user\0jane\0database\0shop\0\0");
        let client = [
            startup,
            framed(b"p", b"secret\0"),
            framed(b"Q", b"select 1\0"),
            framed(b"P", b"s\0select 2\0\0\0"),
        ]
        .concat();
        let server = [framed(b"R", b"\0\0\0\0"), framed(b"S", b"server_version\x0015.4\0")].concat();
        let heard = trial::of_streams(streams, &client, &server, 5432);
        assert_eq!((heard.first(Fact::SqlUser), heard.first(Fact::SqlDatabase)), ("jane", "shop"));
        assert_eq!(heard.values(Fact::SqlQuery), ["select 1", "select 2"]);
        assert_eq!((heard.first(Fact::SqlVersion), heard.client), ("15.4", Some(0)));
        assert_eq!(ask(streams, b"", &server, 9).verdict, Some(Verdict::Is));
    }

    #[test]
    fn a_client_that_goes_on_does_not_take_back_what_its_server_said() {
        let server = framed(b"R", b"\0\0\0\x05salt");
        assert_eq!(ask(streams, b"", &server, 9).verdict, Some(Verdict::Is));
        let password = framed(b"p", b"md5cefc01cdcde72\0");
        assert_eq!(ask(streams, &password, &server, 9).verdict, Some(Verdict::Is));
        assert_eq!(ask(streams, &password, b"", 9).verdict, Some(Verdict::No));
    }

    #[test]
    fn encryption_is_asked_for_first() {
        let ssl = framed(b"", &SSL.to_be_bytes());
        trial::of_streams(streams, &ssl, b"S", 5432);
        let client = [ssl, framed(b"", b"\0\x03\0\0user\0jane\0\0")].concat();
        assert_eq!(trial::of_streams(streams, &client, b"N", 5432).first(Fact::SqlUser), "jane");
    }

    #[test]
    fn hellos_behind_the_answer_to_that() {
        let [asks, answers] = crate::dpi::protocols::tls::testing::hellos("db.example");
        let [ssl, gss] = [SSL, GSS_ENCRYPTION].map(|wanted| framed(b"", &wanted.to_be_bytes()));
        for (client, server) in [
            ([&ssl[..], &asks].concat(), [b"S", &answers[..]].concat()),
            ([&gss[..], &ssl, &asks].concat(), [b"NS", &answers[..]].concat()),
        ] {
            let heard = trial::of_streams(streams, &client, &server, 5432);
            assert_eq!((heard.first(Fact::Sni), heard.first(Fact::TlsVersion)), ("db.example", "TLS1.2"));
        }
        // The server was not captured.
        let heard = ask(streams, &[&ssl[..], &asks].concat(), b"", 5432);
        assert_eq!(heard.first(Fact::Sni), "db.example");
    }

    #[test]
    fn messages_of_a_session_that_was_joined_late() {
        use crate::dpi::testing::late;
        let query = framed(b"Q", b"select 1\0");
        let rows = [framed(b"T", &[0; 30]), framed(b"D", &[0; 9]), framed(b"C", b"SELECT 1\0")].concat();
        let ready = framed(b"Z", b"I");
        let heard = late(streams, &query, b"", 5432);
        assert_eq!((heard.verdict, heard.client), (Some(Verdict::Done), Some(0)));
        assert_eq!(heard.values(Fact::SqlQuery), ["select 1"]);
        let heard = late(streams, &[&rows[..], &ready].concat(), b"", 5432);
        assert_eq!((heard.verdict, heard.client), (Some(Verdict::Done), Some(1)));
        let bound = [framed(b"B", &[0; 12]), framed(b"E", &[0; 5]), framed(b"S", b"")].concat();
        assert_eq!(late(streams, &bound, b"", 5432).verdict, Some(Verdict::Done));
        assert_eq!(late(streams, b"", &rows, 5432).verdict, Some(Verdict::More));
        for other in [framed(b"Q", b"who knows\0"), [&rows[..], b"x"].concat(), framed(b"S", b"")] {
            assert_eq!(late(streams, &other, &other, 5432).verdict, Some(Verdict::No), "{other:x?}");
            assert_eq!(ask(streams, &query, b"", 5432).verdict, Some(Verdict::No));
        }
    }

    #[test]
    fn an_answer_behind_a_refusal_to_encrypt() {
        let server = [&b"N"[..], &framed(b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")].concat();
        assert_eq!(ask(streams, b"", &server, 5432).verdict, Some(Verdict::Is));
    }
}
