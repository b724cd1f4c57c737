//! The longest that one packet keeps the inspector: what takes most work a byte, in segments of several sizes.
//!
//! Every flow is inspected many times by an inspector that has seen nothing before, and of each of its packets the
//! shortest time counts, so that what else the machine does has no part in it. Prints the slowest packets. `dpi_worst PATH...` looks at files too, whose first
//! half is what the client sends.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustnet::{
    base::{ids::FlowId, memory::no_advice, time::Stamp},
    dpi::{
        inspector::{Flow, Inspector, Subject},
        notes::{Learn, Learned},
        talk::STREAM_BUDGET,
    },
};

/// Times that each flow is inspected.
const ROUNDS: usize = 40;
/// Packets that are printed.
const MOST: usize = 12;
/// No packet should take longer.
const LONG: Duration = Duration::from_micros(50);
/// Bytes of a segment.
const SIZES: [usize; 4] = [64, 536, 1460, STREAM_BUDGET];
/// Bytes of a datagram at most.
const LONGEST_DATAGRAM: usize = 1472;

/// What a flow's two sides send.
struct Talk {
    name: String,
    sides: [Vec<u8>; 2],
}

struct Deaf;

impl Learn for Deaf {
    fn learned(&mut self, _: FlowId, _: Learned<'_>) {}
}

fn main() {
    let mut talks = made_to_be_slow();
    // Cargo itself passes flags.
    for path in std::env::args().skip(1).filter(|arg| !arg.starts_with('-')) {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let (client, server) = bytes.split_at(bytes.len() / 2);
        talks.push(Talk { name: path, sides: [client.to_vec(), server.to_vec()] });
    }
    let mut slowest = Vec::new();
    for talk in &talks {
        for size in SIZES {
            let took = shortest(|times| segments(&mut inspector(), talk, size, times));
            slowest.push((took, format!("{} in segments of {size}", talk.name)));
        }
        let took = shortest(|times| datagrams(&mut inspector(), talk, times));
        slowest.push((took, format!("{} in datagrams", talk.name)));
    }
    slowest.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
    let over = slowest.iter().filter(|(took, _)| *took > LONG).count();
    println!("dpi_worst: {} flows, {over} with a packet over {LONG:?}; the slowest packets:", slowest.len());
    for (took, name) in slowest.iter().take(MOST) {
        println!("{:8.1} us  {name}", took.as_secs_f64() * 1e6);
    }
}

fn inspector() -> Inspector {
    Inspector::new(64, no_advice).expect("memory for 64 flows")
}

/// Returns how long the slowest packet takes, of which each one's shortest time counts.
fn shortest(mut run: impl FnMut(&mut Vec<Duration>)) -> Duration {
    let mut least: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let mut times = Vec::with_capacity(least.len());
        run(&mut times);
        assert!(
            least.is_empty() || least.len() == times.len(),
            "the same bytes are settled at the same packet"
        );
        least.resize(times.len(), Duration::MAX);
        least.iter_mut().zip(&times).for_each(|(least, time)| *least = (*least).min(*time));
    }
    least.into_iter().max().unwrap_or_default()
}

/// The client's segments and the server's take turns.
fn segments(inspector: &mut Inspector, talk: &Talk, size: usize, times: &mut Vec<Duration>) {
    let mut sent = [0; 2];
    while sent.iter().zip(&talk.sides).any(|(sent, bytes)| *sent < bytes.len()) {
        for (from, (sent, bytes)) in sent.iter_mut().zip(&talk.sides).enumerate() {
            let payload = &bytes[*sent..bytes.len().min(*sent + size)];
            if payload.is_empty() {
                continue;
            }
            let subject = Subject { from, seq_number: 1 + *sent as u32, ..subject(payload) };
            *sent += payload.len();
            let start = Instant::now();
            let judgement = inspector.segment(&subject, &mut Deaf);
            times.push(start.elapsed());
            if judgement.settled {
                return;
            }
        }
    }
    inspector.forget(0);
}

fn datagrams(inspector: &mut Inspector, talk: &Talk, times: &mut Vec<Duration>) {
    for from in [0, 1] {
        for payload in talk.sides[from].chunks(LONGEST_DATAGRAM) {
            let start = Instant::now();
            let judgement = inspector.datagram(&Subject { from, ..subject(payload) }, &mut Deaf);
            times.push(start.elapsed());
            if judgement.settled {
                return;
            }
        }
    }
    inspector.forget(0);
}

fn subject(payload: &[u8]) -> Subject<'_> {
    Subject {
        flow: Flow { worker: 0, slot: 0, generation: &1 },
        from: 0,
        client: 0,
        opened: true,
        starts: [Some(1); 2],
        acknowledged: [None; 2],
        seq_number: 1,
        closes: false,
        ports: [50_000, 443],
        wall: Stamp(1 << 60),
        payload,
        wire_len: payload.len(),
    }
}

/// Streams as long as the budget, of what takes most work a byte: from the client alone, and from both sides.
fn made_to_be_slow() -> Vec<Talk> {
    let full = |head: &[u8], body: &[u8]| {
        let mut bytes = head.to_vec();
        while bytes.len() < STREAM_BUDGET {
            bytes.extend_from_slice(body);
        }
        bytes.truncate(STREAM_BUDGET);
        bytes
    };
    let http2 = |block: &[u8]| {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let len = (STREAM_BUDGET - preface.len() - 9) as u32;
        let head = [&preface[..], &len.to_be_bytes()[1..], &[1, 0, 0, 0, 0, 1]].concat();
        full(&head, block)
    };
    // A literal whose value is all that is left, Huffman coded (RFC 7541 section 5.2).
    let huffman = |code: u8| {
        let mut head = vec![0x41, 0x83, 0xff, 0xff, 0xff, 0xff, 0x9f, 0x3d];
        head.resize(STREAM_BUDGET, code);
        head
    };
    // A ClientHello whose list of ciphers is as long as it can be.
    let ciphers: Vec<u8> = (0..4000u16).flat_map(|n| n.wrapping_mul(40_503).to_be_bytes()).collect();
    let hello = [&[3, 3][..], &[7; 32], &[0], &8000u16.to_be_bytes(), &ciphers, &[1, 0, 0, 0]].concat();
    let message = [&[1][..], &(hello.len() as u32).to_be_bytes()[1..], &hello].concat();
    let record = [&[22, 3, 1][..], &(message.len() as u16).to_be_bytes(), &message].concat();
    let streams = [
        ("http2: fields of the static table", http2(&[0x82, 0x84, 0x86])),
        ("http2: a long value, short codes", http2(&huffman(0x00))),
        ("http2: a long value, long codes", http2(&huffman(0xff))),
        ("http2: many values, short codes", http2(&[&[0x41, 0xff, 0x00][..], &[0; 127]].concat())),
        ("http2: many small fields", http2(&[0x41, 0x81, 0x1f])),
        ("http2: names", http2(&[0x40, 0x85, 0x00, 0x10, 0x84, 0x21, 0x08, 0x81, 0x1f])),
        ("http: many fields", full(b"GET / HTTP/1.1\r\n", b"a:\r\n")),
        ("http: an endless field", full(b"GET / HTTP/1.1\r\nHost: ", b"a")),
        ("http: many requests", full(b"", b"GET / HTTP/1.1\r\n\r\n")),
        ("tls: many records", full(b"\x16\x03\x01\0\x01\x01", b"\x16\x03\x01\0\x01\0")),
        ("tls: 4,000 ciphers", record),
        ("ssh: lists", full(b"SSH-2.0-a\r\n\0\0\x1f\x00\x04\x14aaaaaaaaaaaaaaaa\0\0\x1e\0", b"a,b,")),
        ("dns: many messages", full(b"", b"\0\x11\0\x07\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01")),
        ("lines", full(b"220 a\r\n", b"a\r\n")),
        ("lines without an end", full(b"220 ", b"a")),
        ("sip", full(b"REGISTER sip:a SIP/2.0\r\n", b"a:\r\n")),
        ("capitals", full(b"", b"A")),
        ("small letters", full(b"", b"a")),
        ("spaces", full(b"", b" ")),
        ("zeros", full(b"", b"\0")),
    ];
    let both = streams.iter().map(|(name, bytes)| Talk {
        name: format!("{name}, both sides"),
        sides: [bytes.clone(), bytes.clone()],
    });
    let mut talks: Vec<Talk> = both.collect();
    talks.extend(
        streams.into_iter().map(|(name, bytes)| Talk { name: name.to_owned(), sides: [bytes, Vec::new()] }),
    );
    talks
}
