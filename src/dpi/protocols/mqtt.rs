//! MQTT 3.1, 3.1.1 and 5 (OASIS). Sessions whose beginning was missed are not known.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, until_ended},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
/// Packets of a side that are read.
const MOST_PACKETS: usize = 64;

/// Judges a connection by the client's CONNECT, from either side if its opening was missed.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let mut missing = Verdict::No;
    let sides = if talk.opened { [talk.client; 2] } else { [talk.client, 1 - talk.client] };
    for client in sides {
        if talk.bytes[client].is_empty() {
            missing = if talk.ended[client] { missing } else { Verdict::More };
            continue;
        }
        match connect(Cursor::of(talk, client)) {
            Ok(version) => {
                notes.client(client);
                note(Cursor::of(talk, client), version, notes);
                note(Cursor::of(talk, 1 - client), version, notes);
                return until_ended(talk);
            }
            Err(Verdict::More) => missing = Verdict::More,
            Err(_) => {}
        }
    }
    missing
}

/// Judges a CONNECT packet (MQTT 5 section 3.1) and returns the version's number.
fn connect(mut bytes: Cursor<'_>) -> Read<u8> {
    bytes.expect(&[CONNECT << 4])?;
    let length = variable(&mut bytes)?;
    ensure((10..=1 << 20).contains(&length))?;
    let version = match bytes.u16()? {
        4 => {
            bytes.expect(b"MQTT")?;
            bytes.u8()?
        }
        6 => {
            bytes.expect(b"MQIsdp")?;
            bytes.u8()?
        }
        _ => return Err(Verdict::No),
    };
    // A bridge sets the highest bit.
    ensure(matches!(version & 0x7f, 3..=5))?;
    Ok(version & 0x7f)
}

/// Reads a number of one to four bytes, seven bits each, the lowest first (MQTT 5 section 1.5.5).
fn variable(bytes: &mut Cursor<'_>) -> Read<usize> {
    let mut number = 0;
    for nth in 0..4 {
        let byte = bytes.u8()?;
        number |= usize::from(byte & 0x7f) << (7 * nth);
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Verdict::No)
}

/// Reads text with its length before it.
fn text<'a>(bytes: &mut Cursor<'a>) -> Read<&'a [u8]> {
    let length = bytes.u16()?;
    bytes.take(usize::from(length))
}

/// Notes what a side's packets say.
fn note(mut bytes: Cursor<'_>, version: u8, notes: &mut Notes<'_>) {
    for _ in 0..MOST_PACKETS {
        let Ok(first) = bytes.u8() else { return };
        let Ok(packet) = variable(&mut bytes).and_then(|length| bytes.take(length)) else { return };
        if !(1..=15).contains(&(first >> 4)) {
            return;
        }
        notes.number(Fact::MqttType, u64::from(first >> 4));
        let _ = match first >> 4 {
            CONNECT => client_id(Cursor::whole(packet), version).map(|id| notes.text(Fact::MqttClient, id)),
            PUBLISH => text(&mut Cursor::whole(packet)).map(|topic| notes.text(Fact::MqttTopic, topic)),
            SUBSCRIBE => {
                filter(Cursor::whole(packet), version).map(|topic| notes.text(Fact::MqttTopic, topic))
            }
            _ => Ok(()),
        };
    }
}

fn client_id(mut packet: Cursor<'_>, version: u8) -> Read<&[u8]> {
    text(&mut packet)?;
    packet.take(1 + 1 + 2)?;
    properties(&mut packet, version)?;
    text(&mut packet)
}

fn filter(mut packet: Cursor<'_>, version: u8) -> Read<&[u8]> {
    packet.take(2)?;
    properties(&mut packet, version)?;
    text(&mut packet)
}

fn properties(packet: &mut Cursor<'_>, version: u8) -> Read<()> {
    if version == 5 {
        let length = variable(packet)?;
        packet.take(length)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::streams as ask, trial};

    #[test]
    fn versions_clients_and_topics() {
        for connect in [
            &b"\x10\x10\0\x06MQIsdp\x03\x02\0\x3c\0\x02id"[..],
            b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02id",
            b"\x10\x12\0\x04MQTT\x05\x02\0\x3c\x03\x21\0\x0a\0\x02id",
        ] {
            let heard = trial::of_streams(streams, connect, b"\x20\x02\0\0\x30\x06\0\x03a/bx", 1883);
            assert_eq!(
                (heard.first(Fact::MqttClient), heard.first(Fact::MqttTopic)),
                ("id", "a/b"),
                "{connect:x?}"
            );
            assert_eq!(heard.values(Fact::MqttType), ["1", "2", "3"]);
        }
        let client = b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02id\x82\x08\0\x01\0\x03a/#\0";
        assert_eq!(trial::of_streams(streams, client, b"", 80).first(Fact::MqttTopic), "a/#");
        assert_eq!(ask(streams, b"\x10\x0e\0\x04MQXX\x04", b"", 1883).verdict, Some(Verdict::No));
    }
}
