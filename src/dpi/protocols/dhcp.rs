//! DHCP (RFC 2131) and BOOTP with its options.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{fact::Fact, notes::Notes, recogniser::Verdict, talk::Datagram};

/// Where the options' magic cookie stands (RFC 2131 section 3), behind the fixed fields.
const COOKIE_AT: usize = 236;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// Judges a datagram by operation, address length and cookie.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let &[operation @ 1..=2, _, 0..=16, hops, ..] = talk.bytes else { return Verdict::No };
    let Some((_, rest)) = talk.bytes.split_at_checked(COOKIE_AT) else { return Verdict::No };
    let Some(options) = rest.strip_prefix(&COOKIE) else { return Verdict::No };
    if hops > 16 {
        return Verdict::No;
    }
    notes.client(if operation == 1 { talk.from } else { 1 - talk.from });
    note_options(options, notes);
    Verdict::Is
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
    use crate::dpi::{testing::datagrams, trial};

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
}
