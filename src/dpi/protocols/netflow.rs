//! Exports of routers over UDP: NetFlow 1, 5, 7 and 9 (RFC 3954), IPFIX (RFC 7011), sFlow 5.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    service::Service,
    talk::Datagram,
};

/// Judges a datagram by version and count, and the length that both give, or sets that fill it.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let &[0, version, ..] = talk.bytes else { return Verdict::No };
    let judged = match version {
        0 => sflow(talk.bytes).map(|()| Service::Sflow),
        1 | 5 | 7 | 9 | 10 => netflow(talk, version).map(|()| Service::Netflow),
        _ => Err(Verdict::No),
    };
    said(judged.map(|service| {
        notes.service(service);
        notes.client(talk.from);
        notes.number(Fact::Detail, u64::from(if version == 0 { 5 } else { version }));
        Verdict::Done
    }))
}

fn netflow(talk: &Datagram<'_>, version: u8) -> Read<()> {
    let mut bytes = Cursor::whole(talk.bytes);
    bytes.u16()?;
    let count = usize::from(bytes.u16()?);
    let fixed = |most: usize, head: usize, record: usize| {
        ensure((1..=most).contains(&count) && head + count * record == talk.wire_len)
    };
    match version {
        1 => fixed(24, 16, 52),
        5 => fixed(30, 24, 48),
        7 => fixed(28, 24, 52),
        9 => {
            ensure((1..=1000).contains(&count))?;
            bytes.take(16)?;
            sets(bytes, |id| matches!(id, 0 | 1 | 256..))
        }
        _ => {
            ensure(count == talk.wire_len)?;
            bytes.take(12)?;
            sets(bytes, |id| matches!(id, 2 | 3 | 256..))
        }
    }
}

/// Judges sets, which have an id and a length, to the last byte.
fn sets(mut bytes: Cursor<'_>, known: fn(u16) -> bool) -> Read<()> {
    ensure(!bytes.is_empty())?;
    while !bytes.is_empty() {
        let (id, length) = (bytes.u16()?, usize::from(bytes.u16()?));
        ensure(known(id) && length >= 4)?;
        bytes.take(length - 4)?;
    }
    Ok(())
}

/// Judges version, the agent's kind of address, and the first sample (sFlow version 5, section 5).
fn sflow(bytes: &[u8]) -> Read<()> {
    let mut bytes = Cursor::whole(bytes);
    bytes.expect(&[0, 0, 0, 5])?;
    match bytes.u32()? {
        1 => bytes.take(4)?,
        2 => bytes.take(16)?,
        _ => return Err(Verdict::No),
    };
    bytes.take(4 + 4 + 4)?;
    ensure((1..=100).contains(&bytes.u32()?))?;
    ensure(bytes.u32()? & 0xfff <= 5)?;
    let length = bytes.u32()? as usize;
    bytes.take(length).map(|_| ())
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::trial;

    #[test]
    fn versions() {
        let five = [&[0, 5, 0, 1][..], &[9; 20 + 48]].concat();
        let nine = [&[0, 9, 0, 1][..], &[9; 16], &[1, 0, 0, 8, 1, 2, 3, 4]].concat();
        let ipfix = [&[0, 10, 0, 24][..], &[9; 12], &[0, 2, 0, 8, 1, 0, 0, 0]].concat();
        let sflow = [
            &[0, 0, 0, 5, 0, 0, 0, 1, 10, 0, 0, 1][..],
            &[0; 12],
            &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 1, 2, 3, 4],
        ]
        .concat();
        for (bytes, service, version) in [
            (five, Service::Netflow, "5"),
            (nine, Service::Netflow, "9"),
            (ipfix, Service::Netflow, "10"),
            (sflow, Service::Sflow, "5"),
        ] {
            let heard = trial::of_datagrams(datagram, &[(0, &bytes)], [50_000, 2055]);
            assert_eq!((heard.service, heard.first(Fact::Detail)), (Some(service), version));
        }
    }
}
