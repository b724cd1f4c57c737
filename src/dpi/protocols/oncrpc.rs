//! ONC RPC (RFC 5531) over UDP and TCP, with the names of its oldest programs: NFS, mount, the port mapper.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

const CALL: u32 = 0;
const REPLY: u32 = 1;
/// The bit of a record's length that says it is the last one of a message.
const LAST: u32 = 0x8000_0000;

/// Where an answer with little but zeros is one of NTP, with a root delay of one unit.
const NTP: u16 = 123;

/// Judges a datagram: a call or a reply.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    if talk.has_port(NTP) {
        return Verdict::No;
    }
    said(message(Cursor::whole(talk.bytes)).map(|message| {
        note(&message, talk.from, notes);
        Verdict::Done
    }))
}

/// Judges a connection by either side's first record.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, |bytes| record(bytes).map(|_| ())).map(|known| {
        // The call names the program; a reply alone is enough to know the protocol.
        for side in [0, 1].into_iter().filter(|side| known[*side]) {
            if let Ok(message) = record(Cursor::of(talk, side)) {
                note(&message, side, notes);
            }
        }
        Verdict::Done
    }))
}

struct Message {
    calls: bool,
    program: Option<u32>,
}

fn record(mut bytes: Cursor<'_>) -> Read<Message> {
    let length = bytes.u32()?;
    ensure((24..1 << 22).contains(&(length & !LAST)))?;
    message(bytes)
}

fn message(mut bytes: Cursor<'_>) -> Read<Message> {
    bytes.u32()?;
    match bytes.u32()? {
        CALL => {
            ensure(bytes.u32()? == 2)?;
            let (program, version) = (bytes.u32()?, bytes.u32()?);
            let procedure = bytes.u32()?;
            ensure((100_000..0x8000_0000).contains(&program) && version < 64 && procedure < 1024)?;
            opaque(&mut bytes)?;
            Ok(Message { calls: true, program: Some(program) })
        }
        REPLY => {
            match bytes.u32()? {
                0 => {
                    opaque(&mut bytes)?;
                    ensure(bytes.u32()? <= 5)?;
                }
                1 => ensure(bytes.u32()? <= 1)?,
                _ => return Err(Verdict::No),
            }
            Ok(Message { calls: false, program: None })
        }
        _ => Err(Verdict::No),
    }
}

/// Reads credentials or a verifier (RFC 5531 section 8.2).
fn opaque(bytes: &mut Cursor<'_>) -> Read<()> {
    ensure(matches!(bytes.u32()?, 0..=7))?;
    let length = bytes.u32()?;
    ensure(length <= 400 && length % 4 == 0)?;
    bytes.take(length as usize).map(|_| ())
}

fn note(message: &Message, from: usize, notes: &mut Notes<'_>) {
    notes.client(if message.calls { from } else { 1 - from });
    match message.program {
        Some(100_000) => notes.text(Fact::Detail, b"portmap"),
        Some(100_003) => notes.text(Fact::Detail, b"nfs"),
        Some(100_005) => notes.text(Fact::Detail, b"mount"),
        Some(100_021) => notes.text(Fact::Detail, b"nlockmgr"),
        Some(program) => notes.number(Fact::Detail, u64::from(program)),
        None => {}
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::trial;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn calls_and_replies() {
        let call = words(&[7, CALL, 2, 100_003, 3, 1, 0, 0, 0, 0]);
        let heard = trial::of_datagrams(datagram, &[(0, &call)], [700, 2049]);
        assert_eq!((heard.first(Fact::Detail), heard.client), ("nfs", Some(0)));
        let reply = words(&[7, REPLY, 0, 0, 0, 0, 1]);
        assert_eq!(trial::of_datagrams(datagram, &[(0, &reply)], [2049, 700]).client, Some(1));
        let record = [words(&[LAST | 40]), call].concat();
        assert_eq!(trial::of_streams(streams, &record, b"", 2049).first(Fact::Detail), "nfs");
    }
}
