//! Who may know a connection by the first bytes that are sent: asking the others is a waste.
//!
//! Of connections nothing is declared, all was asked once. A recogniser that denies one of one byte
//! denies whatever may follow it ([`Verdict::No`](crate::dpi::recogniser::Verdict::No)), so it need not be asked about
//! any that begins so. A datagram comes whole: there the row says which first bytes it may have.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::recogniser::RECOGNISERS;

/// Zeros before the byte that tells, at most: lengths and numbers in front have as many.
const MOST_ZEROS: usize = 7;

/// Who sends the first payload of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Opener {
    /// Its client.
    Client,
    /// Its server.
    Server,
    /// The handshake was not seen: it may be either side, in the middle of what it says.
    Unknown,
}

/// Who may know a connection by its first bytes, worked out beforehand (`the_table_is_what_recognisers_say` says how):
/// by who opens it, the number of zeros in front and the byte behind them the number of a mask; then the masks,
/// 16 bytes each.
static TABLE: &[u8] = include_bytes!("openings.bin");
/// Bytes of numbers in front of the masks.
const NUMBERS: usize = 3 * (MOST_ZEROS + 1) * 256;

const _: () = assert!(RECOGNISERS.len() < 127);

/// Recognisers by how a connection or a flow begins, one bit each.
pub struct Openings {
    /// Of a flow of datagrams, by its first byte.
    of_datagram: [u128; 256],
    /// Of one that begins with 16 zeros, which say less than any other bytes.
    of_zeros: u128,
}

impl Openings {
    /// Returns those of [`RECOGNISERS`].
    #[allow(clippy::disallowed_methods, reason = "start-up")]
    pub fn new() -> Box<Self> {
        let mut openings = Box::new(Self { of_datagram: [0; 256], of_zeros: 0 });
        for (n, row) in RECOGNISERS.iter().enumerate().filter(|(_, row)| row.datagram.is_some()) {
            for (byte, mask) in (0..=u8::MAX).zip(&mut openings.of_datagram) {
                *mask |= u128::from((row.leads)(byte)) << n;
            }
            openings.of_zeros |= u128::from(row.zeros && (row.leads)(0)) << n;
        }
        openings
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

/// Returns which recognisers may know a connection whose first payload is this.
#[inline]
pub fn of_connection(payload: &[u8], opener: Opener) -> u128 {
    let Some(last) = payload.len().checked_sub(1) else { return u128::MAX };
    let zeros = payload.iter().take(MOST_ZEROS.min(last)).take_while(|byte| **byte == 0).count();
    let number = TABLE[place(opener, zeros, payload[zeros])];
    let at = NUMBERS + size_of::<u128>() * usize::from(number);
    TABLE[at..].first_chunk().map_or(u128::MAX, |mask| u128::from_le_bytes(*mask))
}

const fn place(opener: Opener, zeros: usize, byte: u8) -> usize {
    (opener as usize * (MOST_ZEROS + 1) + zeros) * 256 + byte as usize
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod worked_out {
    use super::*;
    use crate::dpi::{
        notes::Notes,
        recogniser::{OfStreams, Verdict},
        talk::Streams,
        testing::Heard,
    };

    /// Ports that make a recogniser of streams more willing, and one that does not.
    const PORTS: [u16; 3] = [0, 23, 514];

    /// Works the table out.
    pub fn table() -> Vec<u8> {
        let mut masks: Vec<u128> = Vec::new();
        let mut table = vec![0; NUMBERS];
        for opener in [Opener::Client, Opener::Server, Opener::Unknown] {
            let mut zeros = Vec::new();
            // Who denies the zeros in front need not be asked again.
            let mut among = u128::MAX;
            for count in 0..=MOST_ZEROS {
                for byte in 0..=u8::MAX {
                    zeros.push(byte);
                    let mask = ask(among, &zeros, opener);
                    zeros.pop();
                    let known = masks.iter().position(|known| *known == mask);
                    let number = known.unwrap_or_else(|| {
                        masks.push(mask);
                        masks.len() - 1
                    });
                    table[place(opener, count, byte)] = number.try_into().expect("256 masks at most");
                }
                zeros.push(0);
                among &= ask(among, &zeros, opener);
            }
        }
        table.extend(masks.iter().flat_map(|mask| mask.to_le_bytes()));
        table
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

    /// [`may_begin`] with these ports.
    pub fn may_begin_between(recognise: OfStreams, bytes: [&[u8]; 2], opened: bool, ports: [u16; 2]) -> bool {
        let total = bytes.map(|b| b.len() as u64);
        let talk = Streams { bytes, ended: [false; 2], total, client: 0, opened, ports };
        recognise(&talk, &mut Notes::new(&mut Heard::default())) != Verdict::No
    }

    /// Returns whether a connection whose client and server have sent this may be the recogniser's.
    pub fn may_begin(recognise: OfStreams, bytes: [&[u8]; 2], opened: bool) -> bool {
        PORTS.iter().any(|port| may_begin_between(recognise, bytes, opened, [*port; 2]))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::{
        worked_out::{may_begin, may_begin_between},
        *,
    };
    use crate::dpi::{recogniser::Verdict, testing::datagrams};

    /// Ports that recognisers name, of all transports.
    const KNOWN_PORTS: &[u16] = &[
        22, 23, 25, 53, 67, 69, 80, 110, 123, 143, 443, 500, 514, 520, 546, 853, 1194, 1701, 1812, 2152,
        3544, 4500, 5353, 5355, 5683, 8443,
    ];

    fn names(mask: u128) -> Vec<&'static str> {
        let rows = RECOGNISERS.iter().enumerate().filter(|(n, _)| mask >> n & 1 != 0);
        rows.map(|(_, r)| r.service.text()).collect()
    }

    /// `RUSTNET_WRITE_OPENINGS=1 cargo test --lib openings` writes the table anew, after a change of recognisers.
    #[test]
    fn the_table_is_what_recognisers_say() {
        let table = worked_out::table();
        if std::env::var_os("RUSTNET_WRITE_OPENINGS").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/dpi/openings.bin"), &table).unwrap();
        } else {
            assert!(TABLE == table, "RUSTNET_WRITE_OPENINGS=1 cargo test --lib openings");
        }
    }

    #[test]
    fn most_are_not_asked_about_most_bytes() {
        let all = RECOGNISERS.iter().filter(|r| r.streams.is_some()).count() as u32;
        let asked = (1..=u8::MAX).map(|byte| of_connection(&[byte], Opener::Client).count_ones());
        let mean = asked.sum::<u32>() / 255;
        assert!(mean * 3 < all, "{mean} of {all}");
        for (payload, wanted) in
            [(&b"GET / HTTP/1.1\r\n"[..], "HTTP"), (&[22, 3, 1], "TLS"), (b"SSH-2.0", "SSH")]
        {
            assert!(names(of_connection(payload, Opener::Client)).contains(&wanted));
        }
    }

    #[test]
    fn zeros_of_a_client_are_given_up_at_once() {
        let zeros = [0; 6];
        let asked = of_connection(&zeros, Opener::Client);
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
            let asked = of_connection(&payload, opener);
            let bytes: [&[u8]; 2] = if by_client { [&payload, &[]] } else { [&[], &payload] };
            for (n, row) in RECOGNISERS.iter().enumerate().filter(|(n, _)| asked >> n & 1 == 0) {
                let Some(recognise) = row.streams else { continue };
                let may = may_begin_between(recognise, bytes, opened, ports);
                prop_assert!(!may, "{}", RECOGNISERS[n].service.text());
            }
        }
    }
}
