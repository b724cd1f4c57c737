//! What stands on ISO transport over TCP (RFC 1006, X.224): RDP (MS-RDPBCGR) and S7comm; and RDP over UDP (MS-RDPEUDP).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, ensure, said, until_ended},
    fact::Fact,
    notes::Notes,
    recogniser::Verdict,
    service::Service,
    talk::{Datagram, Streams},
};

const CONNECT_REQUEST: u8 = 0xe0;
const CONNECT_CONFIRM: u8 = 0xd0;
const DATA: u8 = 0xf0;
/// The first byte of S7comm.
const S7: u8 = 0x32;
/// The first bytes of MCS Connect-Initial and Connect-Response (T.125), with which RDP goes on.
const MCS: [[u8; 2]; 2] = [[0x7f, 0x65], [0x7f, 0x66]];

/// Judges a connection: what is asked for when it is opened, or else the first data.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let signs = [0, 1].map(|side| match talk.bytes[side] {
        [] if talk.ended[side] => Err(Verdict::No),
        [] => Err(Verdict::More),
        _ => sign(Cursor::of(talk, side)),
    });
    let Some(sign) = signs.iter().find_map(|sign| sign.as_ref().ok()) else {
        let refused = |side: usize| {
            !talk.bytes[side].is_empty() && signs[side].as_ref().is_err_and(|v| *v == Verdict::No)
        };
        let over = talk.ended == [true; 2] || refused(0) || refused(1);
        return if over { Verdict::No } else { Verdict::More };
    };
    notes.service(sign.service);
    for side in [0, 1] {
        if let Ok(sign) = &signs[side] {
            notes.client(if sign.from_client { side } else { 1 - side });
            if let Some(user) = sign.user {
                notes.text(Fact::RdpCookie, user);
            }
        }
    }
    let tls_at = [0, 1].map(|side| match &signs[side] {
        Ok(sign) => sign.tls_at,
        Err(_) => Some(talk.bytes[side].len()),
    });
    match (tls_at, &signs) {
        ([Some(_), Some(_)], _) => {
            notes.flag(Fact::StartTls);
            Verdict::Done
        }
        (_, [Ok(_), Ok(_)]) => Verdict::Done,
        _ => until_ended(talk),
    }
}

struct Sign<'a> {
    service: Service,
    from_client: bool,
    user: Option<&'a [u8]>,
    /// Where TLS begins if both sides agree on it: behind the first packet.
    tls_at: Option<usize>,
}

fn sign(mut bytes: Cursor<'_>) -> Read<Sign<'_>> {
    let before = bytes.len();
    let (code, mut body) = packet(&mut bytes)?;
    let length = before - bytes.len();
    match code {
        CONNECT_REQUEST | CONNECT_CONFIRM => {
            let from_client = code == CONNECT_REQUEST;
            body.take(2 + 2)?;
            ensure(body.u8()? <= 0x40)?;
            let tls_at = Some(length);
            let rdp = |user| Ok(Sign { service: Service::Rdp, from_client, user, tls_at });
            let rest = body.rest();
            if let Some(line) = rest.strip_prefix(b"Cookie: ")
                && let Some(end) = line.windows(2).position(|pair| pair == b"\r\n")
            {
                return rdp(line[..end].strip_prefix(b"mstshash="));
            }
            // What was captured of it.
            if rest.starts_with(b"Cookie: mstshash=") {
                return rdp(None);
            }
            // RDP_NEG_REQ, RDP_NEG_RSP, RDP_NEG_FAILURE: type, flags, length 8.
            if matches!(rest, [1..=3, _, 8, 0, _, _, 0, 0, ..]) {
                return rdp(None);
            }
            // Others name what they want only with their first data.
            data(&mut bytes, from_client)
        }
        DATA => as_data(body, false),
        _ => Err(Verdict::No),
    }
}

fn data<'a>(bytes: &mut Cursor<'a>, from_client: bool) -> Read<Sign<'a>> {
    let (code, body) = packet(bytes)?;
    ensure(code == DATA)?;
    as_data(body, from_client)
}

/// Judges data behind their head: end of unit and number.
fn as_data(mut body: Cursor<'_>, from_client: bool) -> Read<Sign<'_>> {
    ensure(body.u8()? & 0x7f == 0)?;
    match body.rest() {
        // Job, acknowledgement, data, user data; then two bytes of zeros.
        [S7, kind @ (1..=3 | 7), 0, 0, ..] => Ok(Sign {
            service: Service::S7Comm,
            from_client: from_client || matches!(kind, 1),
            user: None,
            tls_at: None,
        }),
        [a, b, ..] if MCS.contains(&[*a, *b]) => {
            Ok(Sign { service: Service::Rdp, from_client: *b == MCS[0][1], user: None, tls_at: None })
        }
        _ => Err(Verdict::No),
    }
}

/// Reads a packet, and returns its code and what stands behind that.
fn packet<'a>(bytes: &mut Cursor<'a>) -> Read<(u8, Cursor<'a>)> {
    bytes.expect(&[3, 0])?;
    let length = usize::from(bytes.u16()?);
    ensure(length >= 7)?;
    let mut peek = *bytes;
    let (indicator, code) = (usize::from(peek.u8()?), peek.u8()?);
    let sound = match code & 0xf0 {
        CONNECT_REQUEST | CONNECT_CONFIRM => code & 0x0f == 0 && indicator == length - 5,
        DATA => code == DATA && indicator == 2,
        _ => false,
    };
    ensure(sound)?;
    let mut body = Cursor::whole(bytes.take_shown(length - 4)?);
    body.take(2)?;
    Ok((code, body))
}

/// Judges a datagram: the SYN of RDP over UDP (MS-RDPEUDP section 2.2.2).
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    said(syn(talk, notes))
}

fn syn(talk: &Datagram<'_>, notes: &mut Notes<'_>) -> Read<Verdict> {
    let mut bytes = Cursor::whole(talk.bytes);
    bytes.expect(&[0xff; 4])?;
    bytes.u16()?;
    let flags = bytes.u16()?;
    bytes.u32()?;
    let (up, down) = (bytes.u16()?, bytes.u16()?);
    // SYN, without ACK as the first; both sizes as they may be, and the datagram filled up to them.
    ensure(flags & 0x0005 == 0x0001 && (1132..=1232).contains(&up) && (1132..=1232).contains(&down))?;
    ensure(talk.wire_len >= 1132)?;
    notes.client(talk.from);
    Ok(Verdict::Done)
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::streams as ask, trial};

    fn packet(tpdu: &[u8]) -> Vec<u8> {
        [&[3, 0][..], &(tpdu.len() as u16 + 4).to_be_bytes(), tpdu].concat()
    }

    fn connect(code: u8, rest: &[u8]) -> Vec<u8> {
        packet(&[&[6 + rest.len() as u8, code, 0, 0, 0, 0, 0], rest].concat())
    }

    #[test]
    fn remote_desktops_by_cookie_and_negotiation() {
        let client = connect(0xe0, b"Cookie: mstshash=jane\r\n\x01\0\x08\0\x03\0\0\0");
        let server = connect(0xd0, b"\x02\x1f\x08\0\x02\0\0\0");
        let heard = trial::of_streams(streams, &client, &server, 3389);
        assert_eq!((heard.service, heard.first(Fact::RdpCookie)), (Some(Service::Rdp), "jane"));
        assert_eq!((heard.verdict, heard.client), (Some(Verdict::Done), Some(0)));
        assert_eq!(heard.first(Fact::StartTls), "true");
        assert_eq!(ask(streams, b"", &server, 443).client, Some(0));
        let old = [connect(0xe0, b""), packet(&[2, 0xf0, 0x80, 0x7f, 0x65, 0x82])].concat();
        assert_eq!(trial::of_streams(streams, &old, &[], 3389).service, Some(Service::Rdp));
    }

    #[test]
    fn controllers_by_their_first_data() {
        let client =
            [connect(0xe0, b"\xc0\x01\x0a\xc1\x02\x01\0"), packet(&[2, 0xf0, 0x80, 0x32, 1, 0, 0, 4, 0])]
                .concat();
        assert_eq!(trial::of_streams(streams, &client, &[], 102).service, Some(Service::S7Comm));
    }

    #[test]
    fn a_first_datagram_over_udp() {
        let mut bytes =
            [&[0xff, 0xff, 0xff, 0xff, 0, 64, 0x10, 1, 1, 2, 3, 4, 4, 0xd0, 4, 0xd0][..], &[0; 1216]]
                .concat();
        trial::of_datagrams(datagram, &[(0, &bytes)], [50_000, 3389]);
        bytes.truncate(100);
        assert_eq!(
            crate::dpi::testing::datagrams(datagram, &[(0, &bytes)], [1, 3389]).verdict,
            Some(Verdict::No)
        );
    }

    #[test]
    fn a_cookie_that_was_cut() {
        let request = connect(0xe0, b"Cookie: mstshash=jane\r\n\x01\0\x08\0\x03\0\0\0");
        let heard = crate::dpi::testing::cut(streams, &request[..30], request.len(), 3389);
        assert_eq!((heard.service, heard.first(Fact::RdpCookie)), (Some(Service::Rdp), ""));
    }
}
