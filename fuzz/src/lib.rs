//! Runs recognisers on what a fuzzer makes up: see `README.md`.

use std::{
    net::IpAddr,
    sync::{
        Once,
        atomic::{AtomicU64, Ordering},
    },
};

use rustnet::{
    base::time::Stamp,
    dpi::{
        fact::Fact,
        notes::{Notes, Sink},
        recogniser::{OfDatagram, OfStreams, RECOGNISERS, Verdict},
        service::Service,
        talk::{Datagram, HEAD, MEMORY, STREAM_BUDGET, Streams},
    },
};

/// Makes a fuzz target of the recogniser of a service.
#[macro_export]
macro_rules! target {
    ($service:ident) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            $crate::service(rustnet::dpi::service::Service::$service, data);
        });
    };
}

/// Takes what is noted and forgets it.
pub struct Deaf;

impl Sink for Deaf {
    fn has(&self, _: Fact) -> bool {
        false
    }

    fn fact(&mut self, _: Fact, _: &[u8]) {}
    fn service(&mut self, _: Service) {}
    fn resolved(&mut self, _: Service, _: &[u8], _: IpAddr) {}
}

/// Runs the rows of the table for `service`.
pub fn service(service: Service, data: &[u8]) {
    for row in RECOGNISERS.iter().filter(|row| row.service == service) {
        if let Some(ask) = row.streams {
            streams(ask, data);
        }
        if let Some(ask) = row.datagram {
            datagrams(ask, row.keeps, data);
        }
    }
}

/// Runs the row of the table that the first byte names.
pub fn any(data: &[u8]) {
    let Some((number, data)) = data.split_first() else { return };
    let row = &RECOGNISERS[usize::from(*number) % RECOGNISERS.len()];
    service(row.service, data);
}

/// Runs every row of the table, one after the other, and counts: when the process ends, standard error has a line
/// with the executions of each.
pub fn all(data: &[u8]) {
    COUNT_AT_EXIT.call_once(|| {
        // SAFETY: the function takes no argument and does not unwind.
        unsafe { atexit(tell) };
    });
    for (row, runs) in RECOGNISERS.iter().zip(&RUNS) {
        if let Some(ask) = row.streams {
            streams(ask, data);
        }
        if let Some(ask) = row.datagram {
            datagrams(ask, row.keeps, data);
        }
        runs.fetch_add(1, Ordering::Relaxed);
    }
}

/// Executions by row of the table.
static RUNS: [AtomicU64; RECOGNISERS.len()] = [const { AtomicU64::new(0) }; RECOGNISERS.len()];
static COUNT_AT_EXIT: Once = Once::new();

unsafe extern "C" {
    fn atexit(call: extern "C" fn()) -> i32;
}

extern "C" fn tell() {
    for (row, runs) in RECOGNISERS.iter().zip(&RUNS) {
        eprintln!("executions of {}: {}", row.service.text(), runs.load(Ordering::Relaxed));
    }
}

/// The head of an input, and its pieces.
struct Input<'a> {
    flags: u8,
    ports: [u16; 2],
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        const PORTS: [u16; 16] =
            [443, 80, 53, 22, 25, 8443, 5353, 123, 514, 1194, 3306, 6881, 500, 4500, 161, 40_000];
        let (&[flags, port], rest) = data.split_first_chunk()?;
        let mut ports = [50_000, PORTS[usize::from(port) % PORTS.len()]];
        if flags & 4 != 0 {
            ports.reverse();
        }
        Some(Self { flags, ports, rest })
    }

    fn client(&self) -> usize {
        usize::from(self.flags & 4 != 0)
    }
}

impl<'a> Iterator for Input<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<(usize, &'a [u8])> {
        let (head, rest) = self.rest.split_first_chunk()?;
        let head = u16::from_be_bytes(*head);
        let (piece, rest) = rest.split_at(usize::from(head & 0x7fff).min(rest.len()));
        self.rest = rest;
        Some((usize::from(head >> 15), piece))
    }
}

/// Asks about a connection, after each piece.
///
/// # Panics
///
/// When the recogniser does, or takes back what it recognised from the beginning of a connection.
pub fn streams(ask: OfStreams, data: &[u8]) {
    let Some(mut input) = Input::new(data) else { return };
    let mut bytes = [Vec::new(), Vec::new()];
    let mut known = false;
    let mut over = false;
    while !over {
        match input.next() {
            Some((side, piece)) => bytes[side].extend_from_slice(piece),
            None => over = true,
        }
        let shown = [0, 1].map(|side| &bytes[side][..bytes[side].len().min(STREAM_BUDGET)]);
        let talk = Streams {
            bytes: shown,
            ended: [0, 1].map(|side| bytes[side].len() > STREAM_BUDGET || over && input.flags & 2 != 0),
            total: [0, 1].map(|side| bytes[side].len() as u64),
            client: input.client(),
            opened: input.flags & 1 != 0,
            ports: input.ports,
        };
        let verdict = ask(&talk, &mut Notes::new(&mut Deaf));
        let is = matches!(verdict, Verdict::Is | Verdict::Rest | Verdict::Done);
        assert!(is || !known || !talk.opened, "it was recognised, and now it is {verdict:?}");
        known |= is;
        // Nobody asks again who has said the last word.
        if matches!(verdict, Verdict::No | Verdict::Done) {
            break;
        }
    }
}

static ZEROS: [u8; MEMORY] = [0; MEMORY];

/// Gives each piece as a datagram.
///
/// # Panics
///
/// When the recogniser does, writes to the memory of a flow that it has not recognised, or beyond the bytes that
/// it says to keep, of which its row allows `keeps`.
pub fn datagrams(ask: OfDatagram, keeps: usize, data: &[u8]) {
    const BEGIN: u64 = 1_700_000_000_000_000_000;
    let Some(input) = Input::new(data) else { return };
    let (client, ports, cut) = (input.client(), input.ports, input.flags & 2 != 0);
    let mut memory = ZEROS;
    let mut known = false;
    let mut before: [&[u8]; 2] = [&[]; 2];
    for (nth, (from, bytes)) in input.enumerate().take(64) {
        let mut datagram = Datagram {
            bytes,
            wire_len: bytes.len() + usize::from(cut),
            from,
            client,
            ports,
            wall: Stamp(BEGIN + nth as u64 * 1_000_000),
            nth: nth as u32,
            before,
            memory: &mut memory,
            keeps,
        };
        let verdict = ask(&mut datagram, &mut Notes::new(&mut Deaf));
        let kept = datagram.keeps;
        // Of a flow that is known what it wrote is forgotten, whatever it says.
        known |= matches!(verdict, Verdict::Is | Verdict::Rest | Verdict::Done);
        let allowed = if known { kept } else { 0 };
        assert!(allowed <= MEMORY && memory[allowed..] == ZEROS[allowed..], "{verdict:?} wrote beyond {allowed}");
        match verdict {
            Verdict::No | Verdict::Done => break,
            Verdict::Rest => memory.fill(0),
            Verdict::More | Verdict::Is => {}
        }
        before[from] = &bytes[..bytes.len().min(HEAD)];
    }
}
