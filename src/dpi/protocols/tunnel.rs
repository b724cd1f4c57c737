//! Tunnels in UDP, as labels of the outer flow: VXLAN (RFC 7348), Geneve (RFC 8926), GTP (3GPP TS 29.060, 29.274,
//! 29.281), Teredo (RFC 4380), L2TP (RFC 2661).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said},
    notes::Notes,
    recogniser::Verdict,
    service::Service,
    talk::Datagram,
};

const TEREDO_PORT: u16 = 3544;
const GTP_PORTS: [u16; 3] = [2123, 2152, 3386];
const L2TP_PORT: u16 = 1701;
/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// Judges a datagram by the first of the tunnels' headers that fits.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let Some(first) = talk.bytes.first() else { return Verdict::No };
    let judged = match first {
        0x08 => vxlan(talk.bytes).map(|()| Service::Vxlan),
        0x20..=0x3f => gtp(talk).map(|()| Service::Gtp),
        0x40..=0x4f => gtp2(talk).map(|()| Service::Gtp),
        0x60..=0x6f => teredo(talk.bytes, talk).map(|()| Service::Teredo),
        0xc8 => l2tp_control(talk).map(|()| Service::L2tp),
        0x00..=0x1f => geneve(talk.bytes)
            .map(|()| Service::Geneve)
            .or_else(|_| indicated_teredo(talk).map(|()| Service::Teredo))
            .or_else(|_| l2tp_data(talk).map(|()| Service::L2tp)),
        _ => Err(Verdict::No),
    };
    said(judged.map(|service| {
        notes.service(service);
        Verdict::Done
    }))
}

/// Judges flags, zeros, and the type of the Ethernet frame inside.
fn vxlan(bytes: &[u8]) -> Read<()> {
    let mut bytes = Cursor::whole(bytes);
    bytes.expect(&[8, 0, 0, 0])?;
    bytes.take(3)?;
    bytes.expect(&[0])?;
    ethernet(bytes)
}

/// Judges an Ethernet header by its type, or by a length (IEEE 802.3).
fn ethernet(mut bytes: Cursor<'_>) -> Read<()> {
    bytes.take(ETHERNET - 2)?;
    ensure(matches!(
        bytes.u16()?,
        0..=1500 | 0x0800 | 0x0806 | 0x8100 | 0x86dd | 0x88a8 | 0x88cc | 0x8847 | 0x8848
    ))
}

/// Judges version 0, reserved zeros, options that fit, and the type of what is inside.
fn geneve(bytes: &[u8]) -> Read<()> {
    let mut bytes = Cursor::whole(bytes);
    let options = 4 * usize::from(bytes.u8()?);
    ensure(bytes.u8()? & 0x3f == 0)?;
    let kind = bytes.u16()?;
    bytes.take(3)?;
    bytes.expect(&[0])?;
    bytes.take(options)?;
    match kind {
        0x6558 => ethernet(bytes),
        0x0800 => ensure(bytes.u8()? >> 4 == 4),
        0x86dd => ensure(bytes.u8()? >> 4 == 6),
        _ => Err(Verdict::No),
    }
}

/// Judges version 1: exact length, and a packet inside or the protocol's port.
fn gtp(talk: &Datagram<'_>) -> Read<()> {
    let mut bytes = Cursor::whole(talk.bytes);
    let flags = bytes.u8()?;
    let kind = bytes.u8()?;
    ensure(usize::from(bytes.u16()?) + 8 == talk.wire_len && flags & 0x18 == 0x10)?;
    bytes.take(4)?;
    if flags & 7 != 0 {
        bytes.take(4)?;
    }
    let on_port = GTP_PORTS.iter().any(|port| talk.has_port(*port));
    match kind {
        // Extension headers may stand before the packet.
        255 => ensure(on_port || flags & 4 == 0 && matches!(bytes.u8()? >> 4, 4 | 6)),
        _ => ensure(on_port),
    }
}

/// Judges version 2 of the control plane, on its port.
fn gtp2(talk: &Datagram<'_>) -> Read<()> {
    let mut bytes = Cursor::whole(talk.bytes);
    ensure(talk.has_port(GTP_PORTS[0]) && bytes.u8()? & 7 == 0)?;
    bytes.u8()?;
    let length = usize::from(bytes.u16()?) + 4;
    // A second message may follow (3GPP TS 29.274 section 5.4).
    ensure(length == talk.wire_len || length < talk.wire_len && talk.bytes[0] & 0x10 != 0)
}

/// Judges an IPv6 packet of exact length, one of whose addresses is a Teredo one, or on its port.
fn teredo(bytes: &[u8], talk: &Datagram<'_>) -> Read<()> {
    const PREFIX: &[u8] = &[0x20, 0x01, 0, 0];
    let before = talk.bytes.len() - bytes.len();
    let mut bytes = Cursor::whole(bytes);
    ensure(bytes.u8()? >> 4 == 6)?;
    bytes.take(3)?;
    ensure(usize::from(bytes.u16()?) + 40 + before == talk.wire_len)?;
    bytes.take(2)?;
    let (source, destination) = (bytes.take(16)?, bytes.take(16)?);
    ensure(source.starts_with(PREFIX) || destination.starts_with(PREFIX) || talk.has_port(TEREDO_PORT))
}

/// Judges the same behind an authentication or an origin (RFC 4380 section 5.1.1).
fn indicated_teredo(talk: &Datagram<'_>) -> Read<()> {
    let mut bytes = Cursor::whole(talk.bytes);
    bytes.expect(&[0])?;
    let mut kind = bytes.u8()?;
    if kind == 1 {
        let (client, secret) = (usize::from(bytes.u8()?), usize::from(bytes.u8()?));
        bytes.take(client + secret + 8 + 1)?;
        match bytes.rest() {
            [0, 0, ..] => {
                bytes.take(2)?;
                kind = 0;
            }
            _ => return teredo(bytes.rest(), talk),
        }
    }
    ensure(kind == 0)?;
    bytes.take(6)?;
    teredo(bytes.rest(), talk)
}

/// Judges a control message: exact length, and its type as the first value (RFC 2661 sections 3.1 and 4.1).
fn l2tp_control(talk: &Datagram<'_>) -> Read<()> {
    let mut bytes = Cursor::whole(talk.bytes);
    bytes.expect(&[0xc8])?;
    ensure(matches!(bytes.u8()?, 2 | 3) && usize::from(bytes.u16()?) == talk.wire_len)?;
    bytes.take(8)?;
    if talk.wire_len == 12 {
        return ensure(talk.has_port(L2TP_PORT));
    }
    bytes.expect(&[0x80, 8, 0, 0, 0, 0])?;
    ensure((1..=29).contains(&bytes.u16()?))
}

/// Judges data on the protocol's port: a version, and PPP behind the header.
fn l2tp_data(talk: &Datagram<'_>) -> Read<()> {
    let mut bytes = Cursor::whole(talk.bytes);
    ensure(talk.has_port(L2TP_PORT))?;
    let (flags, version) = (bytes.u8()?, bytes.u8()?);
    ensure(version == 2 && flags & 0xb4 == 0)?;
    bytes.take(4 + if flags & 8 != 0 { 4 } else { 0 })?;
    if flags & 2 != 0 {
        let offset = bytes.u16()?;
        bytes.take(usize::from(offset))?;
    }
    bytes.expect(&[0xff, 3])
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    #[test]
    fn each_tunnel_by_its_header() {
        let frame = [&[2; 12][..], &[8, 0], &[0x45; 20]].concat();
        let mut packet = vec![0; 40];
        packet[0] = 0x60;
        packet[8..12].copy_from_slice(&[0x20, 1, 0, 0]);
        let start = [0xc8, 2, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 1].to_vec();
        for (bytes, port, want) in [
            ([&[8, 0, 0, 0, 0, 0, 42, 0][..], &frame].concat(), 4789, Service::Vxlan),
            ([&[0, 0, 0x65, 0x58, 0, 0, 42, 0][..], &frame].concat(), 6081, Service::Geneve),
            ([&[1, 0x40, 0x65, 0x58, 0, 0, 42, 0, 1, 2, 3, 0][..], &frame].concat(), 9, Service::Geneve),
            ([&[0x30, 0xff, 0, 20, 0, 0, 0, 9][..], &[0x45; 20]].concat(), 2152, Service::Gtp),
            (packet.clone(), 3544, Service::Teredo),
            ([&[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0][..], &packet].concat(), 3544, Service::Teredo),
            ([&[0, 0, 1, 2, 3, 4, 5, 6][..], &packet].concat(), 9, Service::Teredo),
            (start, 1701, Service::L2tp),
            ([0x02, 2, 0, 1, 0, 1, 0, 0, 0xff, 3, 0xc0, 0x21].to_vec(), 1701, Service::L2tp),
            ([0x48, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 0].to_vec(), 2123, Service::Gtp),
        ] {
            assert_eq!(datagrams(datagram, &[(0, &bytes)], [50_000, port]).service, Some(want), "{bytes:x?}");
            let mut numbers = trial::Numbers::seeded(u64::from(port));
            for _ in 0..2_000 {
                datagrams(datagram, &[(0, &numbers.damaged(&bytes))], [50_000, port]);
            }
        }
        trial::foreign_datagrams(datagram, [50_000, 40_000]);
    }
}
