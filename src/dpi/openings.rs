//! Who may know a connection by the first byte that is sent: asking the others is a waste.
//!
//! Nothing is declared, all is asked once at the start. A recogniser that denies a connection of one byte
//! denies whatever may follow it ([`Verdict::No`]), so it need not be asked about any that begins so.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{net::IpAddr, sync::LazyLock};

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
}

/// Recognisers by the first byte of a connection whose handshake was seen, one bit each.
pub struct Openings {
    of_client: [u128; 256],
    of_server: [u128; 256],
}

impl Openings {
    /// Returns those of [`RECOGNISERS`], worked out at the first call.
    pub fn get() -> &'static Self {
        static OPENINGS: LazyLock<Openings> = LazyLock::new(Openings::ask);
        &OPENINGS
    }

    /// Returns which recognisers may know a connection whose first payload is this.
    #[inline]
    pub fn of(&self, payload: &[u8], opener: Opener) -> u128 {
        let Some(first) = payload.first().map(|first| usize::from(*first)) else { return u128::MAX };
        match opener {
            Opener::Client => self.of_client[first],
            Opener::Server => self.of_server[first],
        }
    }

    fn ask() -> Self {
        let mut openings = Self { of_client: [0; 256], of_server: [0; 256] };
        let rows = RECOGNISERS.iter().enumerate().filter_map(|(n, r)| Some((n, r.streams?)));
        for (n, recognise) in rows {
            for byte in 0..=u8::MAX {
                let at = usize::from(byte);
                openings.of_client[at] |= u128::from(may_begin(recognise, [&[byte], &[]])) << n;
                openings.of_server[at] |= u128::from(may_begin(recognise, [&[], &[byte]])) << n;
            }
        }
        openings
    }
}

/// Returns whether a connection whose client and server have sent this may be the recogniser's.
fn may_begin(recognise: OfStreams, bytes: [&[u8]; 2]) -> bool {
    PORTS.iter().any(|port| {
        let talk = Streams {
            bytes,
            ended: [false; 2],
            total: bytes.map(|b| b.len() as u64),
            client: 0,
            opened: true,
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
        let openings = Openings::get();
        let all = RECOGNISERS.iter().filter(|r| r.streams.is_some()).count() as u32;
        let mean = openings.of_client.iter().map(|mask| mask.count_ones()).sum::<u32>() / 256;
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
        let asked = Openings::get().of(&zeros, Opener::Client);
        let rows = RECOGNISERS.iter().enumerate().filter(|(n, _)| asked >> n & 1 != 0);
        let left = rows.filter(|(_, r)| r.streams.is_some_and(|r| may_begin(r, [&zeros, &[]])));
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
        ) {
            let opener = if by_client { Opener::Client } else { Opener::Server };
            let asked = Openings::get().of(&payload, opener);
            let bytes: [&[u8]; 2] = if by_client { [&payload, &[]] } else { [&[], &payload] };
            for (n, row) in RECOGNISERS.iter().enumerate().filter(|(n, _)| asked >> n & 1 == 0) {
                let Some(recognise) = row.streams else { continue };
                let talk = Streams {
                    bytes,
                    ended: [false; 2],
                    total: bytes.map(|b| b.len() as u64),
                    client: 0,
                    opened: true,
                    ports,
                };
                let verdict = recognise(&talk, &mut Notes::new(&mut Deaf));
                prop_assert_eq!(verdict, Verdict::No, "{}", RECOGNISERS[n].service.text());
            }
        }
    }
}
