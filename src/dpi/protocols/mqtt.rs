//! MQTT 3.1, 3.1.1 and 5 (OASIS). A session whose beginning was missed is known by what is published, asked for, or
//! kept alive.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, until_ended},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::Streams,
};

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const PINGREQ: u8 = 12;
const PINGRESP: u8 = 13;
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
    let server_speaks = talk.bytes[talk.client].is_empty();
    if talk.opened && !server_speaks { missing } else { joined(talk, missing, notes) }
}

/// Judges a connection whose CONNECT was missed: by whole packets of which some name a topic or answer the CONNECT, or by
/// requests to be kept alive and their answers.
fn joined(talk: &Streams<'_>, missing: Verdict, notes: &mut Notes<'_>) -> Verdict {
    let sides = [0, 1].map(|side| packets(Cursor::of(talk, side)));
    let says = |side: usize, kind| sides[side] == Ok(Packets::Of(kind));
    let alive = (0..2).find(|side| says(*side, PINGREQ) && says(1 - side, PINGRESP));
    if let Some(client) = alive {
        notes.client(client);
    }
    if alive.is_some() || sides.contains(&Ok(Packets::Sure)) {
        for side in [0, 1].into_iter().filter(|side| sides[*side].is_ok()) {
            note(Cursor::of(talk, side), 4, notes);
        }
        return Verdict::Done;
    }
    // Of two sides that have spoken, one that is something else denies it.
    let spoke = |side: usize| !talk.bytes[side].is_empty();
    let denied = |side: usize| spoke(side) && sides[side] == Err(Verdict::No);
    let waits = |side: usize| spoke(side) && (!talk.ended[0] || !talk.ended[1]);
    match (waits(0) || waits(1)) && !denied(0) && !denied(1) {
        true => Verdict::More,
        false => missing,
    }
}

/// What the packets of a side say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packets {
    /// They are of MQTT.
    Sure,
    /// All of them, which are short, have this type.
    Of(u8),
    /// They may be.
    Perhaps,
}

/// Reads what a side sent, packet by packet.
fn packets(mut bytes: Cursor<'_>) -> Read<Packets> {
    let (mut kinds, mut names) = (0_u16, false);
    for nth in 0..MOST_PACKETS {
        let first = bytes.u8()?;
        let (kind, flags) = (first >> 4, first & 0x0f);
        ensure(match kind {
            PUBLISH => flags & 0x06 != 0x06,
            6 | SUBSCRIBE | 10 => flags == 2,
            CONNACK => flags == 0 && nth == 0,
            4 | 5 | 7 | 9 | 11..=14 => flags == 0,
            _ => false,
        })?;
        let length = variable(&mut bytes)?;
        ensure(match kind {
            PINGREQ | PINGRESP => length == 0,
            PUBLISH | SUBSCRIBE => length >= 5,
            14 => length < 128,
            _ => (2..1 << 12).contains(&length),
        })?;
        let mut head = bytes;
        if kind == CONNACK {
            ensure(head.u8()? <= 1 && head.u8()? == 0)?;
        }
        if matches!(kind, PUBLISH | SUBSCRIBE) {
            let before = if kind == SUBSCRIBE { 2 } else { 0 };
            head.take(before)?;
            let levels = topic(&mut head, length - before)?;
            bytes.take_shown(length)?;
            // One of several levels is enough, if a packet ends where the bytes do, or the next one begins.
            let next = bytes.rest().first().is_none_or(|next| (3..=14).contains(&(next >> 4)));
            ensure(next)?;
            if levels {
                return Ok(Packets::Sure);
            }
            names = true;
        } else {
            bytes.take(length)?;
        }
        kinds |= 1 << kind;
        if bytes.is_empty() {
            let sure = nth > 0 && (names || kinds & 1 << CONNACK != 0);
            return Ok(match sure {
                true => Packets::Sure,
                false if kinds == 1 << kind && !names => Packets::Of(kind),
                false => Packets::Perhaps,
            });
        }
    }
    Ok(Packets::Perhaps)
}

/// Reads a topic within `most` bytes; returns whether it looks like one: text of several levels.
fn topic(bytes: &mut Cursor<'_>, most: usize) -> Read<bool> {
    let length = usize::from(bytes.u16()?);
    ensure((1..=most.saturating_sub(2)).contains(&length) && length <= 1024)?;
    let topic = bytes.take_shown(length)?;
    ensure(topic.iter().all(|byte| matches!(byte, b' '..=b'~' | 0x80..)))?;
    Ok(topic.len() >= 5 && topic.is_ascii() && topic.contains(&b'/'))
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

    #[test]
    fn packets_of_a_session_that_was_joined_late() {
        use crate::dpi::testing::late;
        let publish = b"\x30\x0a\0\x06home/a21";
        let (subscribe, subscribed) = (b"\x82\x0b\0\x01\0\x06plain1\0", b"\x90\x03\0\x01\0");
        for (client, server, wanted) in [
            (&publish[..], &b""[..], Verdict::Done),
            (b"\xc0\0", b"\xd0\0", Verdict::Done),
            (b"\xc0\0\xc0\0", b"\xd0\0", Verdict::Done),
            (&[subscribe, &b"\xc0\0"[..]].concat(), b"", Verdict::Done),
            (subscribe, b"", Verdict::More),
            (b"\xc0\0", b"", Verdict::More),
            (b"\xc0\0", b"GET / HTTP/1.1\r\n", Verdict::No),
            (b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0", b"x", Verdict::No),
            (b"\x30\x0a\0\x06home\0a21", b"x", Verdict::No),
        ] {
            let heard = late(streams, client, server, 1883);
            assert_eq!(heard.verdict, Some(wanted), "{client:x?} {server:x?}");
        }
        // The server of a client that was not captured.
        let server = [&b"\x20\x02\0\0"[..], subscribed].concat();
        assert_eq!(ask(streams, b"", &server, 1883).verdict, Some(Verdict::Done));
        assert_eq!(ask(streams, publish, b"", 1883).verdict, Some(Verdict::No));
    }
}
