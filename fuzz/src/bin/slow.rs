//! Finds the inputs that a recogniser takes longest for: `slow DIRECTORY...` reads inputs as the targets do
//! (README.md), and adds some that are made to be slow. Prints the slowest calls, each the shortest of many, so that
//! what else the machine does has no part in it.

use std::{fs, hint::black_box, path::Path, time::Instant};

use rustnet::dpi::{
    notes::Notes,
    recogniser::RECOGNISERS,
    talk::{Datagram, MEMORY, STREAM_BUDGET, Streams},
};
use rustnet_fuzz::{Deaf, sides};

/// Calls of which the shortest counts, and those before it is known whether a call is among the slow ones.
const REPEATS: [usize; 2] = [3, 100];
/// Calls that are printed.
const MOST: usize = 25;

fn main() {
    let mut inputs: Vec<(String, [Vec<u8>; 2])> = made_to_be_slow();
    for directory in std::env::args().skip(1) {
        for entry in fs::read_dir(Path::new(&directory)).expect("a directory of inputs").flatten() {
            if let Ok(data) = fs::read(entry.path()) {
                inputs.push((entry.path().display().to_string(), sides(&data)));
            }
        }
    }
    let mut slowest: Vec<(u128, &str, String)> = Vec::new();
    for (name, bytes) in &inputs {
        for row in RECOGNISERS {
            let mut time = |repeats: usize| {
                let once = |run: &mut dyn FnMut()| {
                    let start = Instant::now();
                    run();
                    start.elapsed().as_nanos()
                };
                let mut least = u128::MAX;
                for _ in 0..repeats {
                    if let Some(ask) = row.streams {
                        least = least.min(once(&mut || {
                            black_box(ask(black_box(&streams(bytes)), &mut Notes::new(&mut Deaf)));
                        }));
                    }
                }
                for _ in 0..repeats {
                    let Some(ask) = row.datagram else { break };
                    let mut memory = [0; MEMORY];
                    let mut datagram = datagram(&bytes[0], &mut memory);
                    let took = once(&mut || {
                        black_box(ask(black_box(&mut datagram), &mut Notes::new(&mut Deaf)));
                    });
                    least = if row.streams.is_some() { least } else { least.min(took) };
                }
                least
            };
            if time(REPEATS[0]) > 5_000 {
                slowest.push((time(REPEATS[1]), row.service.text(), name.clone()));
            }
        }
        slowest.sort_by(|a, b| b.0.cmp(&a.0));
        slowest.truncate(MOST);
    }
    println!("{} inputs, {} recognisers each", inputs.len(), RECOGNISERS.len());
    for (ns, service, name) in slowest {
        println!("{:8.1} us  {service:14} {name}", ns as f64 / 1000.0);
    }
}

fn streams(bytes: &[Vec<u8>; 2]) -> Streams<'_> {
    Streams {
        bytes: [0, 1].map(|side| &bytes[side][..bytes[side].len().min(STREAM_BUDGET)]),
        ended: [false; 2],
        total: [0, 1].map(|side| bytes[side].len() as u64),
        client: 0,
        opened: true,
        ports: [50_000, 443],
    }
}

fn datagram<'a>(bytes: &'a [u8], memory: &'a mut [u8; MEMORY]) -> Datagram<'a> {
    Datagram {
        bytes,
        wire_len: bytes.len(),
        from: 0,
        client: 0,
        ports: [50_000, 443],
        wall: rustnet::base::time::Stamp(1 << 60),
        nth: 0,
        before: [&[]; 2],
        memory,
    }
}

/// Streams as long as the budget, of what takes most work a byte.
fn made_to_be_slow() -> Vec<(String, [Vec<u8>; 2])> {
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
    let huffman = |indexed: u8, code: u8| {
        // A literal whose value is all that is left, Huffman coded.
        let mut head = vec![indexed, 0x83, 0xff, 0xff, 0xff, 0xff, 0x9f, 0x3d];
        head.resize(STREAM_BUDGET, code);
        head
    };
    [
        ("http2: fields of the static table", http2(&[0x82, 0x84, 0x86])),
        ("http2: a long value, short codes", http2(&huffman(0x41, 0x00))),
        ("http2: a long value, long codes", http2(&huffman(0x41, 0xff))),
        ("http2: many values, short codes", http2(&[&[0x41, 0xff, 0x00][..], &[0; 127]].concat())),
        ("http2: many small fields", http2(&[0x41, 0x81, 0x1f])),
        ("http2: names", http2(&[0x40, 0x85, 0x00, 0x10, 0x84, 0x21, 0x08, 0x81, 0x1f])),
        ("http: many fields", full(b"GET / HTTP/1.1\r\n", b"a:\r\n")),
        ("http: an endless field", full(b"GET / HTTP/1.1\r\nHost: ", b"a")),
        ("http: many requests", full(b"", b"GET / HTTP/1.1\r\n\r\n")),
        ("tls: many records", full(b"\x16\x03\x01\0\x01\x01", b"\x16\x03\x01\0\x01\0")),
        ("ssh: lists", full(b"SSH-2.0-a\r\n\0\0\x1f\x00\x04\x14aaaaaaaaaaaaaaaa\0\0\x1e\0", b"a,b,")),
        ("dns: many messages", full(b"", b"\0\x11\0\x07\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01")),
        ("lines", full(b"220 a\r\n", b"a\r\n")),
        ("lines without an end", full(b"220 ", b"a")),
        ("sip", full(b"REGISTER sip:a SIP/2.0\r\n", b"a:\r\n")),
        ("zeros", full(b"", b"\0")),
    ]
    .into_iter()
    .flat_map(|(name, bytes)| {
        [
            (name.to_owned(), [bytes.clone(), Vec::new()]),
            (format!("{name}, both sides"), [bytes.clone(), bytes.clone()]),
        ]
    })
    .collect()
}
