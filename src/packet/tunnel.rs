//! What carries IP inside IP: finds the next header inside a tunnel's header.
//!
//! A tunnel's id is part of an inner flow's key only where both directions have the same: VNI, GRE
//! key, ERSPAN session. TEIDs, call ids and L2TP sessions are the receiver's own numbers and would
//! split a connection into two rows.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    key::{Tunnel, proto},
    walk::{Next, Stop, Walk, be16, be32},
};

/// A tunnel's header that was read; the walk stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inside {
    pub kind: Tunnel,
    /// What tells tunnels between the same ends apart, 0 without such a number.
    pub id: u32,
    pub next: Next,
}

/// What an IP header says of what it carries, and the ports behind it if there are any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer {
    pub proto: u8,
    pub is_v6: bool,
    pub ports: [u16; 2],
}

/// Reads the tunnel header behind an IP header (protocols of their own) or a UDP header.
///
/// # Errors
/// If it is no tunnel, or none that carries frames or packets here.
pub(crate) fn enter(walk: &mut Walk, outer: Outer) -> Result<Inside, Stop> {
    let plain = |kind, next| Ok(Inside { kind, id: 0, next });
    match (outer.proto, outer.is_v6) {
        (proto::IPIP, false) => plain(Tunnel::IpIp, Next::Ipv4),
        (proto::IPIP, true) => plain(Tunnel::FourInSix, Next::Ipv4),
        (proto::IPV6, false) => plain(Tunnel::SixInFour, Next::Ipv6),
        (proto::IPV6, true) => plain(Tunnel::SixInSix, Next::Ipv6),
        (proto::GRE, _) => gre(walk),
        (proto::UDP, _) => over_udp(walk, outer.ports),
        _ => Err(Stop::NotFlow),
    }
}

// Registered ports (IANA); Linux used 8472 for VXLAN before there was one.
const L2TP: u16 = 1701;
const GTP_USER: u16 = 2152;
const TEREDO: u16 = 3544;
const VXLAN: u16 = 4789;
const VXLAN_LINUX: u16 = 8472;
const GENEVE: u16 = 6081;

/// Returns whether UDP between these ports, in either direction, may be a tunnel.
pub(crate) const fn may_carry(ports: [u16; 2]) -> bool {
    const fn is_one(port: u16) -> bool {
        matches!(port, L2TP | GTP_USER | TEREDO | VXLAN | VXLAN_LINUX | GENEVE)
    }
    is_one(ports[0]) || is_one(ports[1])
}

fn over_udp(walk: &mut Walk, ports: [u16; 2]) -> Result<Inside, Stop> {
    match ports {
        [_, VXLAN | VXLAN_LINUX] => vxlan(walk),
        [_, GENEVE] => geneve(walk),
        [GTP_USER, _] | [_, GTP_USER] => gtp(walk),
        [TEREDO, _] | [_, TEREDO] => teredo(walk),
        [L2TP, _] | [_, L2TP] => l2tp(walk),
        _ => Err(Stop::NotFlow),
    }
}

/// GRE (RFC 2784, keys and sequence numbers RFC 2890), PPTP's variant (RFC 2637 section 4.1).
fn gre(walk: &mut Walk) -> Result<Inside, Stop> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const VERSION: u16 = 7;
    let header = walk.take::<4>()?;
    let (flags, payload) = (be16(header, 0), be16(header, 2));
    if flags & VERSION == 1 {
        return pptp(walk, flags);
    }
    if flags & (VERSION | ROUTING) != 0 {
        return Err(Stop::NotFlow);
    }
    if flags & CHECKSUM != 0 {
        walk.take::<4>()?;
    }
    let key = if flags & KEY != 0 { be32(walk.take::<4>()?, 0) } else { 0 };
    if flags & SEQUENCE != 0 {
        walk.take::<4>()?;
    }
    let (id, next) = match payload {
        0x88be => erspan(walk, flags & SEQUENCE != 0)?,
        0x22eb => erspan_3(walk)?,
        number => (key, Next::EtherType(number)),
    };
    Ok(Inside { kind: Tunnel::Gre, id, next })
}

/// Key (length and call id), then sequence and acknowledgement numbers if there; without a sequence
/// number there is no payload.
fn pptp(walk: &mut Walk, flags: u16) -> Result<Inside, Stop> {
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGEMENT: u16 = 0x0080;
    walk.take::<4>()?;
    if flags & SEQUENCE == 0 {
        return Err(Stop::NotFlow);
    }
    walk.take::<4>()?;
    if flags & ACKNOWLEDGEMENT != 0 {
        walk.take::<4>()?;
    }
    Ok(Inside { kind: Tunnel::L2tp, id: 0, next: Next::Ppp })
}

/// ERSPAN type I has no header, type II one of 8 bytes (draft-foschiano-erspan section 4).
fn erspan(walk: &mut Walk, type_2: bool) -> Result<(u32, Next), Stop> {
    if !type_2 {
        return Ok((0, Next::Mac));
    }
    let header = walk.take::<8>()?;
    Ok((session(header), Next::Mac))
}

/// ERSPAN type III: 12 bytes, and 8 more if the last bit says so.
fn erspan_3(walk: &mut Walk) -> Result<(u32, Next), Stop> {
    let header = walk.take::<12>()?;
    if header[11] & 1 != 0 {
        walk.take::<8>()?;
    }
    Ok((session(header), Next::Mac))
}

const fn session<const N: usize>(header: &[u8; N]) -> u32 {
    (be16(header, 2) & 0x3ff) as u32
}

/// VXLAN (RFC 7348 section 5): flags with the valid-VNI bit, reserved, VNI, reserved.
fn vxlan(walk: &mut Walk) -> Result<Inside, Stop> {
    const VALID_VNI: u8 = 0x08;
    let header = walk.take::<8>()?;
    if header[0] & VALID_VNI == 0 {
        return Err(Stop::NotFlow);
    }
    Ok(Inside { kind: Tunnel::Vxlan, id: be32(header, 4) >> 8, next: Next::Mac })
}

/// Geneve (RFC 8926 section 3.4): version and length of options, flags, type, VNI.
fn geneve(walk: &mut Walk) -> Result<Inside, Stop> {
    let header = walk.take::<8>()?;
    if header[0] >> 6 != 0 {
        return Err(Stop::NotFlow);
    }
    walk.at += usize::from(header[0] & 0x3f) * 4;
    Ok(Inside { kind: Tunnel::Geneve, id: be32(header, 4) >> 8, next: Next::EtherType(be16(header, 2)) })
}

/// GTP-U (3GPP TS 29.281 section 5): version 1, G-PDU, length, TEID, extension headers.
fn gtp(walk: &mut Walk) -> Result<Inside, Stop> {
    const VERSION_AND_TYPE: u8 = 0xf0;
    const EXTENSIONS: u8 = 4;
    const OPTIONAL: u8 = 7;
    const G_PDU: u8 = 255;
    const MAX_EXTENSIONS: usize = 8;
    let [flags, kind, ..] = *walk.take::<8>()?;
    if flags & VERSION_AND_TYPE != 0x30 || kind != G_PDU {
        return Err(Stop::NotFlow);
    }
    if flags & OPTIONAL != 0 {
        let [_, _, _, mut next] = *walk.take::<4>()?;
        if flags & EXTENSIONS != 0 {
            for _ in 0..MAX_EXTENSIONS {
                if next == 0 {
                    break;
                }
                let len = usize::from(walk.peek::<1>()?[0]) * 4;
                let Some(&last) = walk.rest().get(..len).and_then(|header| header.last()) else {
                    return Err(Stop::Malformed);
                };
                next = last;
                walk.at += len;
            }
        }
    }
    Ok(Inside { kind: Tunnel::Gtp, id: 0, next: Next::Ip })
}

/// Teredo (RFC 4380 section 5.1.1): an authentication header, an origin, then IPv6.
fn teredo(walk: &mut Walk) -> Result<Inside, Stop> {
    if let [0, 1, id_len, auth_len] = *walk.peek::<4>()? {
        // Nonce and confirmation byte behind both values.
        walk.at += 4 + usize::from(id_len) + usize::from(auth_len) + 9;
    }
    if *walk.peek::<2>()? == [0, 0] {
        walk.at += 8;
    }
    Ok(Inside { kind: Tunnel::Teredo, id: 0, next: Next::Ipv6 })
}

/// L2TP version 2 data messages (RFC 2661 section 3.1).
fn l2tp(walk: &mut Walk) -> Result<Inside, Stop> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    const VERSION: u16 = 0x000f;
    let flags = be16(walk.take::<2>()?, 0);
    if flags & CONTROL != 0 || flags & VERSION != 2 {
        return Err(Stop::NotFlow);
    }
    if flags & LENGTH != 0 {
        walk.take::<2>()?;
    }
    walk.take::<4>()?;
    if flags & SEQUENCE != 0 {
        walk.take::<4>()?;
    }
    if flags & OFFSET != 0 {
        walk.at += usize::from(be16(walk.take::<2>()?, 0));
    }
    Ok(Inside { kind: Tunnel::L2tp, id: 0, next: Next::Ppp })
}

#[cfg(test)]
#[allow(clippy::type_complexity, reason = "tests")]
mod tests {
    use super::*;

    const IPV4: Next = Next::EtherType(0x0800);
    const BRIDGED: Next = Next::EtherType(0x6558);

    /// Kind, identifier and what follows, and the offset at which it begins.
    type Entered = Result<(Tunnel, u32, Next, usize), Stop>;

    fn run(number: u8, ports: [u16; 2], bytes: &[u8]) -> Entered {
        let mut walk = Walk::new(bytes, 200, 0);
        let outer = Outer { proto: number, is_v6: false, ports };
        enter(&mut walk, outer).map(|inside| (inside.kind, inside.id, inside.next, walk.at))
    }

    #[test]
    fn ip_in_ip_has_no_header() {
        for (number, is_v6, kind, next) in [
            (proto::IPIP, false, Tunnel::IpIp, Next::Ipv4),
            (proto::IPV6, false, Tunnel::SixInFour, Next::Ipv6),
            (proto::IPIP, true, Tunnel::FourInSix, Next::Ipv4),
            (proto::IPV6, true, Tunnel::SixInSix, Next::Ipv6),
        ] {
            let mut walk = Walk::new(&[], 200, 0);
            let inside = enter(&mut walk, Outer { proto: number, is_v6, ports: [0, 0] });
            assert_eq!(inside, Ok(Inside { kind, id: 0, next }));
            assert_eq!(walk.at, 0);
        }
        assert_eq!(run(proto::TCP, [4789, 4789], &[8; 40]), Err(Stop::NotFlow));
    }

    #[test]
    fn gre_header_length_follows_its_flags() {
        let cases: &[(&str, &[u8], Entered)] = &[
            ("plain", &[0, 0, 0x08, 0], Ok((Tunnel::Gre, 0, IPV4, 4))),
            ("key", &[0x20, 0, 0x65, 0x58, 0, 0, 1, 2], Ok((Tunnel::Gre, 258, BRIDGED, 8))),
            (
                "checksum, key, sequence",
                &[0xb0, 0, 0x08, 0, 1, 2, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1],
                Ok((Tunnel::Gre, 9, IPV4, 16)),
            ),
            ("routing", &[0x40, 0, 0x08, 0, 0, 0, 0, 0], Err(Stop::NotFlow)),
            (
                "PPTP, sequence and acknowledgement",
                &[0x30, 0x81, 0x88, 0x0b, 0, 20, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2],
                Ok((Tunnel::L2tp, 0, Next::Ppp, 16)),
            ),
            ("PPTP, no payload", &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 7, 0, 0, 0, 2], Err(Stop::NotFlow)),
            ("ERSPAN I", &[0, 0, 0x88, 0xbe], Ok((Tunnel::Gre, 0, Next::Mac, 4))),
            (
                "ERSPAN II, session 5",
                &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0xf8, 5, 0, 0, 0, 0],
                Ok((Tunnel::Gre, 5, Next::Mac, 16)),
            ),
            (
                "ERSPAN III, session 6",
                &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0],
                Ok((Tunnel::Gre, 6, Next::Mac, 20)),
            ),
            ("cut", &[0x20, 0, 0x08, 0, 0, 0], Err(Stop::Cut)),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(run(proto::GRE, [0, 0], bytes), *want, "{name}");
        }
    }

    #[test]
    fn tunnels_over_udp_are_known_by_port_and_header() {
        let cases: &[(&str, [u16; 2], &[u8], Entered)] = &[
            ("VXLAN", [5, 4789], &[8, 0, 0, 0, 0, 1, 0, 0], Ok((Tunnel::Vxlan, 256, Next::Mac, 8))),
            ("VXLAN, 8472", [5, 8472], &[8, 0, 0, 0, 0, 0, 1, 0], Ok((Tunnel::Vxlan, 1, Next::Mac, 8))),
            ("VXLAN as source port", [4789, 5], &[8, 0, 0, 0, 0, 1, 0, 0], Err(Stop::NotFlow)),
            ("VXLAN without VNI", [5, 4789], &[0, 0, 0, 0, 0, 1, 0, 0], Err(Stop::NotFlow)),
            (
                "Geneve, 4 bytes of options",
                [5, 6081],
                &[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4],
                Ok((Tunnel::Geneve, 7, BRIDGED, 12)),
            ),
            ("GTP-U", [2152, 2152], &[0x30, 255, 0, 20, 0, 0, 0, 1, 0x45], Ok((Tunnel::Gtp, 0, Next::Ip, 8))),
            (
                "GTP-U, sequence number and PDU session container",
                [9, 2152],
                &[0x36, 255, 0, 28, 0, 0, 0, 1, 0, 1, 0, 0x85, 1, 0, 9, 0, 0x45],
                Ok((Tunnel::Gtp, 0, Next::Ip, 16)),
            ),
            (
                "GTP-U, extension of length 0",
                [9, 2152],
                &[0x34, 255, 0, 28, 0, 0, 0, 1, 0, 1, 0, 0x85, 0, 0, 9, 0],
                Err(Stop::Malformed),
            ),
            ("GTP-U echo", [9, 2152], &[0x32, 1, 0, 4, 0, 0, 0, 0], Err(Stop::NotFlow)),
            ("Teredo", [3544, 9], &[0x60, 0, 0, 0], Ok((Tunnel::Teredo, 0, Next::Ipv6, 0))),
            (
                "Teredo, authentication and origin",
                [9, 3544],
                &[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0x60],
                Ok((Tunnel::Teredo, 0, Next::Ipv6, 21)),
            ),
            (
                "L2TP, length, sequence, offset 2",
                [1701, 1701],
                &[0x4a, 2, 0, 20, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0, 0xff, 3],
                Ok((Tunnel::L2tp, 0, Next::Ppp, 16)),
            ),
            ("L2TP control", [1701, 1701], &[0xc8, 2, 0, 12, 0, 1, 0, 2], Err(Stop::NotFlow)),
            ("any other", [53, 53], &[8; 40], Err(Stop::NotFlow)),
        ];
        for (name, ports, bytes, want) in cases {
            assert_eq!(run(proto::UDP, *ports, bytes), *want, "{name}");
        }
    }
}
