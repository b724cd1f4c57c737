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
const PORTS: [u16; 3] = [0, 23, 514];
/// Zeros before the byte that tells, at most: lengths and numbers in front have as many.
const MOST_ZEROS: usize = 7;

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
/// first time, which takes a few microseconds.
pub struct Openings {
    of_client: Lead,
    of_server: Lead,
    of_unknown: Lead,
    /// By its first byte.
    of_datagram: [u128; 256],
    /// Of one that begins with 16 zeros, which say less than any other bytes.
    of_zeros: u128,
}

/// Recognisers by the first bytes of a connection: by the number of zeros in front, then by the byte behind them.
type Lead = [[u128; 256]; MOST_ZEROS + 1];

impl Openings {
    /// Returns those of [`RECOGNISERS`].
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new() -> Box<Self> {
        let nothing: Lead = [[0; 256]; MOST_ZEROS + 1];
        let (of_client, of_server, of_unknown) = (nothing, nothing, nothing);
        let mut openings =
            Box::new(Self { of_client, of_server, of_unknown, of_datagram: [0; 256], of_zeros: 0 });
        for (n, row) in RECOGNISERS.iter().enumerate().filter(|(_, row)| row.datagram.is_some()) {
            for (byte, mask) in (0..=u8::MAX).zip(&mut openings.of_datagram) {
                *mask |= u128::from((row.leads)(byte)) << n;
            }
            openings.of_zeros |= u128::from(row.zeros && (row.leads)(0)) << n;
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
        let Some(last) = payload.len().checked_sub(1) else { return u128::MAX };
        let zeros = payload.iter().take(MOST_ZEROS.min(last)).take_while(|byte| **byte == 0).count();
        let mask = lead[zeros][usize::from(payload[zeros])];
        if mask == 0 { work_out(lead, &payload[..=zeros], opener) } else { mask & !KNOWN }
    }

    /// Returns which recognisers may know a flow by this datagram alone.
    #[inline]
    pub fn of_datagram(&self, payload: &[u8]) -> u128 {
        match payload {
            [] => u128::MAX,
            payload if payload.first_chunk() == Some(&[0; 16]) => self.of_zeros,
            [first, ..] => self.of_datagram[usize::from(*first)],
        }
    }
}

/// Works out which recognisers do not deny a connection that begins so: zeros, and a byte behind them.
#[cold]
fn work_out(lead: &mut Lead, begin: &[u8], opener: Opener) -> u128 {
    let mut open = u128::MAX;
    for (zeros, byte) in begin.iter().enumerate() {
        // Who denies the zeros in front need not be asked again.
        let mask = &mut lead[zeros][usize::from(*byte)];
        if *mask == 0 {
            *mask = KNOWN | ask(open, &begin[..=zeros], opener);
        }
        open = *mask & !KNOWN;
    }
    open
}

/// Returns which of the recognisers do not deny a connection that begins so.
fn ask(among: u128, lead: &[u8], opener: Opener) -> u128 {
    let by_client = |recognise, opened| may_begin(recognise, [lead, &[]], opened);
    let by_server = |recognise, opened| may_begin(recognise, [&[], lead], opened);
    let rows = RECOGNISERS.iter().enumerate().filter_map(|(n, row)| Some((n, row.streams?)));
    rows.filter(|(n, _)| among >> n & 1 != 0).fold(0, |mask, (n, recognise)| {
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
    use crate::dpi::testing::datagrams;

    /// Ports that recognisers name, of all transports.
    const KNOWN_PORTS: &[u16] = &[
        22, 23, 25, 53, 67, 69, 80, 110, 123, 143, 443, 500, 514, 520, 546, 853, 1194, 1701, 1812, 2152,
        3544, 4500, 5353, 5355, 5683, 8443,
    ];

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

    /// Returns whether a datagram would be known, or waited for, by one that is not asked about it.
    fn known_by_others(payload: &[u8], ports: [u16; 2]) -> Option<&'static str> {
        let asked = Openings::new().of_datagram(payload);
        let mut rows = RECOGNISERS.iter().enumerate().filter(|(n, _)| asked >> n & 1 == 0);
        let knows = rows.find(|(_, row)| {
            row.datagram.is_some_and(|ask| {
                let verdict = datagrams(ask, &[(0, payload)], ports).verdict;
                verdict != Some(Verdict::No)
            })
        });
        knows.map(|(_, row)| row.service.text())
    }

    #[test]
    fn zeros_in_front_of_a_datagram_are_nobody_s_who_is_not_asked() {
        for len in [16, 17, 18, 20, 24, 28, 40, 48, 60, 64, 100, 512, 1200, 1472] {
            for port in KNOWN_PORTS.iter().chain(&[319, 320, 4000, 5351, 50_000]) {
                for ports in [[50_000, *port], [*port; 2]] {
                    assert_eq!(known_by_others(&vec![0; len], ports), None, "{len} zeros, port {port}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        #[test]
        fn who_is_not_asked_would_deny_a_datagram_behind_zeros(
            mut payload in prop::collection::vec(prop_oneof![Just(0u8), 0..4u8, any::<u8>()], 16..90),
            ports in prop::array::uniform2(prop_oneof![any::<u16>(), prop::sample::select(KNOWN_PORTS)]),
        ) {
            payload[..16].fill(0);
            prop_assert_eq!(known_by_others(&payload, ports), None);
        }
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
            ports in prop::array::uniform2(prop_oneof![any::<u16>(), prop::sample::select(KNOWN_PORTS)]),
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
