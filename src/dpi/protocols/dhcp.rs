//! DHCP (RFC 2131) and BOOTP with its options.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{fact::Fact, notes::Notes, recogniser::Verdict, talk::Datagram};

/// Where the options' magic cookie stands (RFC 2131 section 3), behind the fixed fields.
const COOKIE_AT: usize = 236;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// Judges a datagram by operation, address length and cookie.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let &[operation @ 1..=2, _, 0..=16, hops, ..] = talk.bytes else { return Verdict::No };
    let options = match talk.bytes.get(COOKIE_AT..).and_then(|rest| rest.strip_prefix(&COOKIE)) {
        Some(options) => options,
        None if is_cut(talk) => &[],
        None => return Verdict::No,
    };
    if hops > 16 {
        return Verdict::No;
    }
    notes.client(if operation == 1 { talk.from } else { 1 - talk.from });
    note_options(options, notes);
    Verdict::Is
}

/// Judges what was captured of a message up to its cookie: on its ports, of Ethernet, flags but for the highest one and
/// what fills up the hardware address zeros.
fn is_cut(talk: &Datagram<'_>) -> bool {
    let Some((fixed, _)) = talk.bytes.split_first_chunk::<44>() else { return false };
    let is_on_ports = talk.ports.iter().all(|port| matches!(port, 67 | 68));
    is_on_ports
        && talk.bytes.len() < talk.wire_len
        && talk.bytes.len() < COOKIE_AT + COOKIE.len()
        && talk.wire_len > COOKIE_AT + COOKIE.len()
        && fixed[1..3] == [1, 6]
        && fixed[10] & 0x7f == 0
        && fixed[11] == 0
        && fixed[34..] == [0; 10]
}

/// Notes message type and host name (RFC 2132 sections 9.6 and 3.14).
fn note_options(mut options: &[u8], notes: &mut Notes<'_>) {
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [255, ..] | [_] | [] => return,
            [code, length, rest @ ..] => {
                let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else { return };
                match (code, value) {
                    (53, [kind]) => notes.number(Fact::DhcpType, u64::from(*kind)),
                    (12, name) => notes.text(Fact::DhcpHostname, name.strip_suffix(b"\0").unwrap_or(name)),
                    _ => {}
                }
                options = rest;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{
        testing::{cut_datagram, datagrams},
        trial,
    };

    fn message(operation: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; COOKIE_AT];
        bytes[..4].copy_from_slice(&[operation, 1, 6, 0]);
        [&bytes, &COOKIE[..], options].concat()
    }

    #[test]
    fn types_and_host_name() {
        let discover = message(1, b"\x35\x01\x01\0\0\x0c\x04host\xff\0\0");
        let offer = message(2, b"\x35\x01\x02\xff");
        let heard = trial::of_datagrams(datagram, &[(0, &discover), (1, &offer)], [68, 67]);
        assert_eq!(heard.values(Fact::DhcpType), ["1", "2"]);
        assert_eq!((heard.first(Fact::DhcpHostname), heard.client), ("host", Some(0)));
        assert_eq!(datagrams(datagram, &[(0, &offer)], [67, 68]).client, Some(1));
    }

    #[test]
    fn options_that_lie_are_left() {
        let heard = datagrams(datagram, &[(0, &message(1, b"\x35\x01\x03\x0c\xf0host"))], [68, 67]);
        assert_eq!((heard.verdict, heard.first(Fact::DhcpHostname)), (Some(Verdict::Is), ""));
    }

    #[test]
    fn what_was_captured_before_the_cookie_is_enough_on_its_ports() {
        let mut request = message(1, b"\x35\x01\x01\xff");
        for (len, ports, wanted) in [
            (54, [68, 67], Verdict::Is),
            (214, [67, 67], Verdict::Is),
            (54, [68, 50_000], Verdict::No),
            (40, [68, 67], Verdict::No),
        ] {
            let heard = cut_datagram(datagram, &request[..len], 300, ports);
            assert_eq!(heard.verdict, Some(wanted), "{len} bytes, {ports:?}");
        }
        request[40] = 1;
        assert_eq!(cut_datagram(datagram, &request[..54], 300, [68, 67]).verdict, Some(Verdict::No));
    }
}
