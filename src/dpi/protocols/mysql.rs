//! MySQL and MariaDB ("MySQL Client/Server Protocol", version 10).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said, until_ended},
    fact::Fact,
    notes::Notes,
    protocols::{postgres::is_sql, starttls},
    recogniser::Verdict,
    talk::Streams,
};

const CLIENT_CONNECT_WITH_DB: u32 = 0x0008;
const CLIENT_PROTOCOL_41: u32 = 0x0200;
const CLIENT_SSL: u32 = 0x0800;
const CLIENT_SECURE_CONNECTION: u32 = 0x8000;
/// Bytes of a client's answer before the user's name, and of a bare request for encryption.
const LOGIN_HEAD: usize = 32;
const COM_QUERY: u8 = 3;
/// Packets of a client that are read.
const MOST_PACKETS: usize = 64;

/// Judges a connection by the server's greeting, or by the client's login without it.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(read(talk, notes))
}

fn read(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Read<Verdict> {
    let mut missing = Verdict::No;
    let sides = if talk.opened { [1 - talk.client; 2] } else { [1 - talk.client, talk.client] };
    for server in sides {
        let (says, asks) = (Cursor::of(talk, server), Cursor::of(talk, 1 - server));
        let greeted = if says.is_empty() { Err(Verdict::More) } else { greeting(says) };
        let known = match greeted {
            Ok(version) => {
                version.inspect(|version| notes.text(Fact::SqlVersion, version));
                true
            }
            Err(_) => false,
        };
        let logged_in = if asks.is_empty() { Err(Verdict::More) } else { login(asks) };
        if known || logged_in.is_ok() {
            notes.client(1 - server);
            if logged_in.is_ok() {
                note_client(asks, notes);
                if let Some(offsets) = encrypted(asks, says) {
                    let offsets = if server == 1 { offsets } else { [offsets[1], offsets[0]] };
                    return Ok(starttls::within(talk, offsets, notes));
                }
            }
            return Ok(until_ended(talk));
        }
        // The server speaks first: a client's bytes before it must be its login.
        let open = |verdict: &Read<()>| !matches!(verdict, Err(Verdict::No));
        if greeted.err() == Some(Verdict::More) && open(&logged_in) {
            missing = Verdict::More;
        }
        if !talk.opened {
            match query(asks) {
                Ok(query) => {
                    notes.client(1 - server);
                    notes.text(Fact::SqlQuery, query);
                    return Ok(Verdict::Done);
                }
                Err(Verdict::More) if !asks.is_empty() => missing = Verdict::More,
                Err(_) => {}
            }
        }
    }
    Err(missing)
}

/// Judges a command of a session whose beginning was missed: the first packet of a client is a query.
fn query(mut bytes: Cursor<'_>) -> Read<&[u8]> {
    let length = usize::from(bytes.le16()?);
    bytes.expect(&[0, 0, COM_QUERY])?;
    ensure(length > 8)?;
    let query = bytes.take_shown(length - 1)?;
    ensure(bytes.is_empty() && is_sql(query))?;
    Ok(query)
}

/// Judges a greeting (version 10) or an error in place of one. Returns the version.
fn greeting(mut bytes: Cursor<'_>) -> Read<Option<&[u8]>> {
    let length = usize::from(bytes.le16()?);
    bytes.expect(&[0, 0])?;
    match bytes.u8()? {
        10 => {
            ensure((30..512).contains(&length))?;
            let version = bytes.text(64)?;
            let sound = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+_~:() ".contains(byte);
            ensure(
                matches!(version, [b'0'..=b'9', ..]) && version.contains(&b'.') && version.iter().all(sound),
            )?;
            bytes.take(4 + 8)?;
            ensure(bytes.u8()? == 0)?;
            Ok(Some(version))
        }
        // The host is not let in: 1040 to 1130, with a text.
        0xff => {
            let code = bytes.le16()?;
            ensure((1040..=1130).contains(&code) && (10..512).contains(&length))?;
            let text = bytes.take(length - 3)?;
            ensure(text.iter().all(|byte| matches!(byte, b' '..=b'~' | 0x80..)))?;
            Ok(None)
        }
        _ => Err(Verdict::No),
    }
}

/// Judges a login: flags, a size, a character set, and 23 zeros (MariaDB uses the last four).
fn login(mut bytes: Cursor<'_>) -> Read<()> {
    let length = usize::from(bytes.le16()?);
    bytes.expect(&[0, 1])?;
    let flags = bytes.le32()?;
    if flags & CLIENT_PROTOCOL_41 != 0 {
        ensure(length >= LOGIN_HEAD)?;
        bytes.take(4 + 1)?;
        bytes.expect(&[0; 19])
    } else {
        Err(Verdict::No)
    }
}

/// Returns where TLS begins in what the client and the server sent, if the client asks for it: behind the head of
/// its login and behind the greeting.
fn encrypted(mut asks: Cursor<'_>, mut says: Cursor<'_>) -> Option<[usize; 2]> {
    let length = asks.le16().ok()?;
    asks.take(2).ok()?;
    let flags = asks.le32().ok()?;
    let greeting = match says.le16() {
        Ok(length) => 4 + usize::from(length),
        Err(_) => says.len(),
    };
    (flags & CLIENT_SSL != 0 && usize::from(length) == LOGIN_HEAD).then_some([4 + LOGIN_HEAD, greeting])
}

/// Notes user, database and first queries.
fn note_client(mut bytes: Cursor<'_>, notes: &mut Notes<'_>) {
    for nth in 0..MOST_PACKETS {
        let (Ok(length), Ok(high), Ok(_)) = (bytes.le16(), bytes.u8(), bytes.u8()) else { return };
        let length = usize::from(length) | usize::from(high) << 16;
        let whole = bytes.take(length);
        let Ok(packet) = whole else { return };
        let mut packet = Cursor::whole(packet);
        if nth == 0 {
            let Ok(flags) = packet.le32() else { return };
            if flags & CLIENT_SSL != 0 && length == LOGIN_HEAD {
                return;
            }
            note_login(packet, flags, notes);
        } else if packet.u8() == Ok(COM_QUERY) {
            notes.text(Fact::SqlQuery, packet.rest());
        }
    }
}

fn note_login(mut packet: Cursor<'_>, flags: u32, notes: &mut Notes<'_>) {
    let Ok(_) = packet.take(LOGIN_HEAD - 4) else { return };
    let Ok(user) = packet.text(255) else { return };
    notes.text(Fact::SqlUser, user);
    let secret = if flags & CLIENT_SECURE_CONNECTION != 0 {
        packet.u8().and_then(|length| packet.take(usize::from(length)))
    } else {
        packet.text(255)
    };
    if flags & CLIENT_CONNECT_WITH_DB != 0
        && secret.is_ok()
        && let Ok(database @ [_, ..]) = packet.text(255)
    {
        notes.text(Fact::SqlDatabase, database);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::streams as ask, trial};

    fn packet(number: u8, body: &[u8]) -> Vec<u8> {
        [&[body.len() as u8, 0, 0, number], body].concat()
    }

    fn greeting() -> Vec<u8> {
        packet(0, &[&b"\x0a8.0.36-ubuntu\0"[..], &[7; 12], &[0], &[0xff; 20]].concat())
    }

    fn login(flags: u32, rest: &[u8]) -> Vec<u8> {
        packet(1, &[&flags.to_le_bytes(), &[0, 0, 0, 1, 33][..], &[0; 23], rest].concat())
    }

    #[test]
    fn sessions_with_version_user_and_queries() {
        let client = [login(0x8208, b"jane\0\x02abshop\0"), packet(0, b"\x03select 1")].concat();

        let heard = trial::of_streams(streams, &client, &greeting(), 3306);
        assert_eq!((heard.first(Fact::SqlUser), heard.first(Fact::SqlDatabase)), ("jane", "shop"));
        assert_eq!(
            (heard.first(Fact::SqlVersion), heard.first(Fact::SqlQuery)),
            ("8.0.36-ubuntu", "select 1")
        );
        assert_eq!(heard.client, Some(0));
        assert_eq!(ask(streams, b"", &greeting(), 9).verdict, Some(Verdict::Is));
        assert_eq!(ask(streams, &client, b"", 9).first(Fact::SqlUser), "jane");
    }

    #[test]
    fn errors_and_encryption() {
        let refused = packet(0, b"\xff\x6a\x04Host is not allowed to connect");
        trial::of_streams(streams, b"", &refused, 3306);
        let heard = trial::of_streams(streams, &login(0x8a00, b""), &greeting(), 3306);
        assert_eq!(heard.first(Fact::SqlUser), "");
        assert_eq!(ask(streams, b"GET / HTTP/1.1\r\n", b"", 3306).verdict, Some(Verdict::No));
    }

    #[test]
    fn hellos_behind_the_request_for_encryption() {
        let [asks, answers] = crate::dpi::protocols::tls::testing::hellos("db.example");
        let (client, server) = ([login(0x8a00, b""), asks].concat(), [greeting(), answers].concat());
        let heard = trial::of_streams(streams, &client, &server, 3306);
        assert_eq!((heard.first(Fact::Sni), heard.first(Fact::TlsVersion)), ("db.example", "TLS1.2"));
        assert_eq!((heard.first(Fact::StartTls), heard.first(Fact::SqlVersion)), ("true", "8.0.36-ubuntu"));
    }

    #[test]
    fn a_query_of_a_session_that_was_joined_late() {
        use crate::dpi::testing::late;
        let query = packet(0, b"\x03select 1 from t");
        let heard = late(streams, b"", &query, 3306);
        assert_eq!((heard.verdict, heard.client), (Some(Verdict::Done), Some(1)));
        assert_eq!(heard.first(Fact::SqlQuery), "select 1 from t");
        for other in [packet(1, b"\x03select 1 from t"), packet(0, b"\x03who knows what")] {
            assert_eq!(late(streams, &other, &other, 3306).verdict, Some(Verdict::No));
        }
    }
}
