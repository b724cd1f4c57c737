//! How recognisers are tested: bytes in, what was learned out.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]

use std::net::IpAddr;

use crate::{
    base::time::Stamp,
    dpi::{
        fact::Fact,
        notes::{Notes, Phase, Sink},
        recogniser::{OfDatagram, OfStreams, RECOGNISERS, Verdict},
        service::Service,
        talk::{Datagram, HEAD, MEMORY, Streams},
    },
};

/// What a recogniser said and noted.
#[derive(Debug, Default)]
pub struct Heard {
    pub verdict: Option<Verdict>,
    pub facts: Vec<(Fact, String)>,
    pub service: Option<Service>,
    pub phase: Option<Phase>,
    pub client: Option<usize>,
    pub resolved: Vec<(String, IpAddr)>,
}

impl Heard {
    /// Returns the values of a fact.
    pub fn values(&self, fact: Fact) -> Vec<&str> {
        self.facts.iter().filter(|(f, _)| *f == fact).map(|(_, v)| v.as_str()).collect()
    }

    /// Returns the first value of a fact, `""` without one.
    pub fn first(&self, fact: Fact) -> &str {
        self.values(fact).first().copied().unwrap_or_default()
    }
}

impl Sink for Heard {
    fn has(&self, fact: Fact) -> bool {
        self.facts.iter().any(|(f, _)| *f == fact)
    }

    fn fact(&mut self, fact: Fact, value: &[u8]) {
        let value = String::from_utf8_lossy(value).into_owned();
        if !self.facts.contains(&(fact, value.clone())) {
            self.facts.push((fact, value));
        }
    }

    fn service(&mut self, service: Service) {
        self.service = Some(service);
    }

    fn resolved(&mut self, _: Service, name: &[u8], address: IpAddr) {
        self.resolved.push((String::from_utf8_lossy(name).into_owned(), address));
    }
}

/// Asks about a connection whose client (side 0, port 50000) and server (side 1) have sent this.
pub fn streams(ask: OfStreams, client: &[u8], server: &[u8], server_port: u16) -> Heard {
    of(ask, &talk(client, server, server_port))
}

/// Asks about a connection whose beginning was missed, side 0 guessed to be the client.
pub fn late(ask: OfStreams, low: &[u8], high: &[u8], port: u16) -> Heard {
    of(ask, &Streams { opened: false, ..talk(low, high, port) })
}

/// Asks about a connection whose client has sent `sent` bytes, of which the first were captured.
pub fn cut(ask: OfStreams, captured: &[u8], sent: usize, server_port: u16) -> Heard {
    let talk = talk(captured, b"", server_port);
    of(ask, &Streams { ended: [true, false], total: [sent as u64, 0], ..talk })
}

fn talk<'a>(client: &'a [u8], server: &'a [u8], server_port: u16) -> Streams<'a> {
    Streams {
        bytes: [client, server],
        ended: [false; 2],
        total: [client.len() as u64, server.len() as u64],
        client: 0,
        opened: true,
        ports: [50_000, server_port],
    }
}

fn of(ask: OfStreams, talk: &Streams<'_>) -> Heard {
    let mut heard = Heard::default();
    let mut notes = Notes::new(&mut heard);
    let verdict = ask(talk, &mut notes);
    let (phase, client) = (notes.phase, notes.client);
    heard.verdict = Some(verdict);
    heard.phase = phase;
    heard.client = client;
    heard
}

/// Asks about a flow's first datagram, of which `wire_len` bytes were sent and the first were captured.
pub fn cut_datagram(ask: OfDatagram, bytes: &[u8], wire_len: usize, ports: [u16; 2]) -> Heard {
    let mut heard = Heard::default();
    let mut datagram = Datagram {
        bytes,
        wire_len,
        from: 0,
        client: 0,
        ports,
        wall: Stamp(1),
        nth: 0,
        before: [&[]; 2],
        memory: &mut [0; MEMORY],
        keeps: MEMORY,
    };
    let verdict = ask(&mut datagram, &mut Notes::new(&mut heard));
    Heard { verdict: Some(verdict), ..heard }
}

/// Asks about a flow's datagrams (sender, bytes) one after the other, until the verdict is final.
pub fn datagrams(ask: OfDatagram, sent: &[(usize, &[u8])], ports: [u16; 2]) -> Heard {
    let mut heard = Heard::default();
    let mut memory = [0; MEMORY];
    let mut before: [&[u8]; 2] = [&[]; 2];
    for (nth, (from, bytes)) in sent.iter().enumerate() {
        let mut datagram = Datagram {
            bytes,
            wire_len: bytes.len(),
            from: *from,
            client: 0,
            ports,
            wall: Stamp(1_700_000_000_000_000_000 + nth as u64 * 1_000_000),
            nth: nth as u32,
            before,
            memory: &mut memory,
            keeps: MEMORY,
        };
        let mut notes = Notes::new(&mut heard);
        let verdict = ask(&mut datagram, &mut notes);
        if let Some(first) = bytes.first().filter(|_| nth == 0 && verdict != Verdict::No) {
            let row = RECOGNISERS
                .iter()
                .find(|row| row.datagram.is_some_and(|known| std::ptr::fn_addr_eq(known, ask)));
            assert!(row.is_none_or(|row| (row.leads)(*first)), "{first:#x} is not asked about");
        }
        let (phase, client) = (notes.phase, notes.client);
        heard.verdict = Some(verdict);
        heard.phase = phase.or(heard.phase);
        heard.client = client.or(heard.client);
        before[*from] = &bytes[..bytes.len().min(HEAD)];
        match verdict {
            Verdict::No | Verdict::Done => break,
            Verdict::More | Verdict::Rest => memory = [0; MEMORY],
            Verdict::Is => {}
        }
    }
    heard
}
