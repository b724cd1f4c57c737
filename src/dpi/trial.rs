//! Trials that every recogniser of a binary protocol must pass: cuts, foreign bytes, damaged bytes.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]

use crate::dpi::{
    recogniser::{OfDatagram, OfStreams, Verdict},
    testing::{Heard, datagrams, streams},
};

/// Flows of random bytes of a trial.
const FLOWS: u32 = 20_000;

/// A seeded source of numbers (xorshift64*, Vigna 2016).
pub struct Numbers(u64);

impl Numbers {
    pub fn seeded(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.next() % (most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Returns the bytes with a few of them changed, and perhaps cut or longer.
    pub fn damaged(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..1 + self.next() % 4 {
            if bytes.is_empty() {
                break;
            }
            let at = self.next() as usize % bytes.len();
            match self.next() % 5 {
                0 => bytes[at] ^= 1 << (self.next() % 8),
                1 => bytes[at] = self.next() as u8,
                2 => bytes[at] = [0, 0xff, 0x7f, 0x80][self.next() as usize % 4],
                3 => bytes.truncate(at),
                _ => bytes.insert(at, self.next() as u8),
            }
        }
        bytes
    }
}

fn is_known(heard: &Heard) -> bool {
    matches!(heard.verdict, Some(Verdict::Is | Verdict::Rest | Verdict::Done))
}

/// Checks that these bytes are known from either side as soon as all are there, that no beginning of them is
/// turned away, that what was noted of a beginning is noted of all, and that damage does no harm.
pub fn of_streams(ask: OfStreams, client: &[u8], server: &[u8], port: u16) -> Heard {
    let all = streams(ask, client, server, port);
    assert!(is_known(&all), "{:?} of {client:x?} {server:x?}", all.verdict);
    let mut last = Verdict::More;
    for end in 0..=client.len() + server.len() {
        let (sent, got) = (end.min(client.len()), end.saturating_sub(client.len()));
        let heard = streams(ask, &client[..sent], &server[..got], port);
        assert_ne!(heard.verdict, Some(Verdict::No), "cut at {end} of {client:x?} {server:x?}");
        if heard.verdict == Some(Verdict::More) {
            assert!(last == Verdict::More, "cut at {end}: more is asked for after it was known");
            assert!(heard.facts.is_empty() && heard.service.is_none(), "noted before it is known: {heard:?}");
        } else {
            assert!(
                heard.facts.iter().all(|fact| all.facts.contains(fact)),
                "cut at {end}: {:?}",
                heard.facts
            );
        }
        last = heard.verdict.unwrap();
        if last == Verdict::Done {
            assert_eq!(heard.facts, all.facts, "done at {end}, and then there is more");
            assert_eq!(heard.service, all.service);
        }
    }
    let mut numbers = Numbers::seeded(client.len() as u64 + 1);
    for _ in 0..2_000 {
        streams(ask, &numbers.damaged(client), &numbers.damaged(server), port);
    }
    foreign_streams(ask, port);
    all
}

/// Checks that these datagrams are known, and that damage does no harm.
pub fn of_datagrams(ask: OfDatagram, sent: &[(usize, &[u8])], ports: [u16; 2]) -> Heard {
    let all = datagrams(ask, sent, ports);
    assert!(is_known(&all), "{:?} of {sent:x?}", all.verdict);
    let mut numbers = Numbers::seeded(sent.len() as u64 + 1);
    for _ in 0..2_000 {
        let damaged: Vec<_> = sent.iter().map(|(from, bytes)| (*from, numbers.damaged(bytes))).collect();
        let damaged: Vec<_> = damaged.iter().map(|(from, bytes)| (*from, bytes.as_slice())).collect();
        datagrams(ask, &damaged, ports);
    }
    foreign_datagrams(ask, ports);
    all
}

/// Checks that random bytes are not known, on the protocol's own port.
pub fn foreign_datagrams(ask: OfDatagram, ports: [u16; 2]) {
    let mut numbers = Numbers::seeded(u64::from(ports[1]));
    for _ in 0..FLOWS {
        let sent: Vec<_> =
            (0..4).map(|nth| (nth & 1, numbers.bytes(if nth == 0 { 64 } else { 300 }))).collect();
        let sent: Vec<_> = sent.iter().map(|(from, bytes)| (*from, bytes.as_slice())).collect();
        let heard = datagrams(ask, &sent, ports);
        assert!(!is_known(&heard), "random bytes: {sent:x?}");
    }
}

/// Checks the same of connections.
pub fn foreign_streams(ask: OfStreams, port: u16) {
    let mut numbers = Numbers::seeded(u64::from(port));
    for _ in 0..FLOWS {
        let (client, server) = (numbers.bytes(64), numbers.bytes(300));
        let heard = streams(ask, &client, &server, port);
        assert!(!is_known(&heard), "random bytes: {client:x?} {server:x?}");
    }
}
