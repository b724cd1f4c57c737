//! Who may know a connection by the first bytes that are sent: asking the others is a waste.
//!
//! Of connections nothing is declared, all is asked once. A recogniser that denies one of one byte
//! denies whatever may follow it ([`Verdict::No`]), so it need not be asked about any that begins so. A datagram
//! comes whole: there the row says which first bytes it may have.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::net::IpAddr;

use crate::dpi::{
    fact::Fact,
    notes::{Notes, Sink},
    recogniser::{OfStreams, RECOGNISERS, Verdict},
    service::Service,
    talk::Streams,
};

/// Ports that make a recogniser of streams more willing, and one that does not.
const PORTS: [u16; 8] = [0, 23, 53, 443, 514, 5353, 5355, 8443];

/// Who sends the first payload of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// Its client.
    Client,
    /// Its server.
    Server,
    /// The handshake was not seen: it may be either side, in the middle of what it says.
    Unknown,
}

/// Bit of a mask that was worked out.
const KNOWN: u128 = 1 << 127;

const _: () = assert!(RECOGNISERS.len() < 127);

/// Recognisers by how a connection or a flow begins, one bit each. A mask is worked out when it is needed for the
/// first time, which takes some 10 us.
pub struct Openings {
    of_client: Lead,
    of_server: Lead,
    of_unknown: Lead,
    of_datagram: [u128; 256],
}

/// Recognisers by the first bytes of a connection.
struct Lead {
    /// By the first byte.
    first: [u128; 256],
    /// By the second one behind a zero, which is the high byte of many a length.
    behind_zero: [u128; 256],
}

impl Lead {
    const NONE: Self = Self { first: [0; 256], behind_zero: [0; 256] };
}

impl Openings {
    /// Returns those of [`RECOGNISERS`].
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new() -> Box<Self> {
        let (of_client, of_server, of_unknown) = (Lead::NONE, Lead::NONE, Lead::NONE);
        let mut openings = Box::new(Self { of_client, of_server, of_unknown, of_datagram: [0; 256] });
        for (n, row) in RECOGNISERS.iter().enumerate().filter(|(_, row)| row.datagram.is_some()) {
            for (byte, mask) in (0..=u8::MAX).zip(&mut openings.of_datagram) {
                *mask |= u128::from((row.leads)(byte)) << n;
            }
        }
        openings
    }

    /// Returns which recognisers may know a connection whose first payload is this.
    #[inline]
    pub fn of(&mut self, payload: &[u8], opener: Opener) -> u128 {
        let lead = match opener {
            Opener::Client => &mut self.of_client,
            Opener::Server => &mut self.of_server,
            Opener::Unknown => &mut self.of_unknown,
        };
        let (mask, len) = match *payload {
            [] => return u128::MAX,
            [0, second, ..] => (&mut lead.behind_zero[usize::from(second)], 2),
            [first, ..] => (&mut lead.first[usize::from(first)], 1),
        };
        if *mask == 0 {
            *mask = KNOWN | ask(&payload[..len], opener);
        }
        *mask & !KNOWN
    }

    /// Returns which recognisers may know a flow by this datagram alone.
    #[inline]
    pub fn of_datagram(&self, payload: &[u8]) -> u128 {
        payload.first().map_or(u128::MAX, |first| self.of_datagram[usize::from(*first)])
    }
}

/// Returns which recognisers do not deny a connection that begins so.
#[cold]
fn ask(lead: &[u8], opener: Opener) -> u128 {
    let by_client = |recognise, opened| may_begin(recognise, [lead, &[]], opened);
    let by_server = |recognise, opened| may_begin(recognise, [&[], lead], opened);
    let rows = RECOGNISERS.iter().enumerate().filter_map(|(n, row)| Some((n, row.streams?)));
    rows.fold(0, |mask, (n, recognise)| {
        let may = match opener {
            Opener::Client => by_client(recognise, true),
            Opener::Server => by_server(recognise, true),
            Opener::Unknown => by_client(recognise, false) || by_server(recognise, false),
        };
        mask | u128::from(may) << n
    })
}

/// Returns whether a connection whose client and server have sent this may be the recogniser's.
fn may_begin(recognise: OfStreams, bytes: [&[u8]; 2], opened: bool) -> bool {
    PORTS.iter().any(|port| {
        let talk = Streams {
            bytes,
            ended: [false; 2],
            total: bytes.map(|b| b.len() as u64),
            client: 0,
            opened,
            ports: [*port; 2],
        };
        recognise(&talk, &mut Notes::new(&mut Deaf)) != Verdict::No
    })
}

/// Takes what is noted and forgets it.
struct Deaf;

impl Sink for Deaf {
    fn has(&self, _: Fact) -> bool {
        false
    }

    fn fact(&mut self, _: Fact, _: &[u8]) {}

    fn service(&mut self, _: Service) {}

    fn resolved(&mut self, _: Service, _: &[u8], _: IpAddr) {}
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(mask: u128) -> Vec<&'static str> {
        let rows = RECOGNISERS.iter().enumerate().filter(|(n, _)| mask >> n & 1 != 0);
        rows.map(|(_, r)| r.service.text()).collect()
    }

    #[test]
    fn most_are_not_asked_about_most_bytes() {
        let mut openings = Openings::new();
        let all = RECOGNISERS.iter().filter(|r| r.streams.is_some()).count() as u32;
        let asked = (1..=u8::MAX).map(|byte| openings.of(&[byte], Opener::Client).count_ones());
        let mean = asked.sum::<u32>() / 255;
        assert!(mean * 3 < all, "{mean} of {all}");
        for (payload, wanted) in
            [(&b"GET / HTTP/1.1\r\n"[..], "HTTP"), (&[22, 3, 1], "TLS"), (b"SSH-2.0", "SSH")]
        {
            assert!(names(openings.of(payload, Opener::Client)).contains(&wanted));
        }
    }

    #[test]
    fn zeros_of_a_client_are_given_up_at_once() {
        let zeros = [0; 6];
        let asked = Openings::new().of(&zeros, Opener::Client);
        let rows = RECOGNISERS.iter().enumerate().filter(|(n, _)| asked >> n & 1 != 0);
        let left = rows.filter(|(_, r)| r.streams.is_some_and(|r| may_begin(r, [&zeros, &[]], true)));
        let left: Vec<_> = left.map(|(_, r)| r.service).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn who_is_not_asked_would_deny(
            payload in prop_oneof![
                prop::collection::vec(any::<u8>(), 1..200),
                "[ -~]{1,80}\r\n".prop_map(String::into_bytes),
                prop::collection::vec(prop_oneof![Just(0u8), 0..4u8, any::<u8>()], 1..60),
            ],
            ports in any::<[u16; 2]>(),
            by_client in any::<bool>(),
            opened in any::<bool>(),
        ) {
            let opener = match (opened, by_client) {
                (false, _) => Opener::Unknown,
                (true, true) => Opener::Client,
                (true, false) => Opener::Server,
            };
            let asked = Openings::new().of(&payload, opener);
            let bytes: [&[u8]; 2] = if by_client { [&payload, &[]] } else { [&[], &payload] };
            for (n, row) in RECOGNISERS.iter().enumerate().filter(|(n, _)| asked >> n & 1 == 0) {
                let Some(recognise) = row.streams else { continue };
                let talk = Streams {
                    bytes,
                    ended: [false; 2],
                    total: bytes.map(|b| b.len() as u64),
                    client: 0,
                    opened,
                    ports,
                };
                let verdict = recognise(&talk, &mut Notes::new(&mut Deaf));
                prop_assert_eq!(verdict, Verdict::No, "{}", RECOGNISERS[n].service.text());
            }
        }
    }
}
