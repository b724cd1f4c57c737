//! Flows per second of recognisers, by what has come of the flow. A row of [`rows`] is one measurement.

use std::{hint::black_box, net::IpAddr, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rustnet::{
    base::time::Stamp,
    dpi::{
        fact::Fact,
        notes::{Notes, Sink},
        recogniser::{RECOGNISERS, Verdict},
        service::Service,
        talk::{Datagram, MEMORY, Streams},
    },
};

#[path = "../tests/common/quic.rs"]
mod quic;
use quic::{initial, initial_of, quic_hello, quic_short};

/// Bytes of a TCP connection, and what its recogniser must say of them.
struct Row {
    name: &'static str,
    service: Service,
    client: Vec<u8>,
    server: Vec<u8>,
    verdict: Verdict,
    facts: usize,
}

fn rows() -> Vec<Row> {
    let of = |service, name, client: &[u8], server: &[u8], verdict, facts| Row {
        name,
        service,
        client: client.to_vec(),
        server: server.to_vec(),
        verdict,
        facts,
    };
    let row = |name, client: &[u8], server: &[u8], verdict, facts| {
        of(Service::Tls, name, client, server, verdict, facts)
    };
    let (hello, long) = (client_hello(32), client_hello(1216));
    vec![
        row("tls/client hello of 300 bytes", &hello, &[], Verdict::Is, 5),
        row("tls/client hello of 1500 bytes", &long, &[], Verdict::Is, 5),
        // Its versions are in the other half.
        row("tls/its first half", &long[..800], &[], Verdict::Is, 3),
        row("tls/both hellos", &hello, &server_hello(), Verdict::Done, 8),
        row("tls/another protocol", b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", &[], Verdict::No, 0),
        of(Service::Http, "http/request", REQUEST, &[], Verdict::Is, 5),
        of(Service::Http, "http/request and response", REQUEST, RESPONSE, Verdict::Done, 9),
        of(Service::Http, "http/another protocol", &hello, &[], Verdict::No, 0),
        of(Service::Ssh, "ssh/identification", b"SSH-2.0-OpenSSH_9.7\r\n", &[], Verdict::Is, 1),
        of(Service::Ssh, "ssh/another protocol", &hello, &[], Verdict::No, 0),
    ]
}

/// Datagrams of a UDP flow; the last one is measured, with the memory that the others left.
struct DatagramRow {
    name: &'static str,
    service: Service,
    /// Sender and bytes.
    sent: Vec<(usize, Vec<u8>)>,
    verdict: Verdict,
    facts: usize,
}

fn datagram_rows() -> Vec<DatagramRow> {
    let row = |name, sent: &[(usize, &[u8])], verdict, facts| DatagramRow {
        name,
        service: Service::Quic,
        sent: sent.iter().map(|(from, bytes)| (*from, bytes.to_vec())).collect(),
        verdict,
        facts,
    };
    let first = &initial(0, 0, &quic_hello("h3"));
    let mut spoiled = first.clone();
    spoiled[1199] ^= 1;
    // Short packets that do not open, one behind the other: the worst that a datagram can ask for.
    let flood = &initial_of(66, 0, 0, &[1]).repeat(22);
    let short = &quic_short(0);
    vec![
        row("quic/first Initial", &[(0, first)], Verdict::Is, 7),
        row("quic/another Initial", &[(0, first), (0, first)], Verdict::Is, 0),
        row("quic/Initial that does not open", &[(0, &spoiled)], Verdict::Is, 3),
        row("quic/Initial of a server that does not open", &[(0, first), (1, first)], Verdict::Is, 0),
        row("quic/many Initials in a datagram", &[(0, first), (1, flood)], Verdict::Is, 0),
        row("quic/short header of the server", &[(0, first), (1, short)], Verdict::Is, 0),
        row("quic/another protocol", &[(0, short)], Verdict::No, 0),
    ]
}
const REQUEST: &[u8] = b"GET /index.html?lang=en HTTP/1.1\r\nHost: www.example.org\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.26.0\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
Content-Type: text/html\r\nContent-Length: 5\r\n\r\nhello";

/// Counts what is noted.
#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    fn has(&self, _: Fact) -> bool {
        false
    }

    fn fact(&mut self, _: Fact, value: &[u8]) {
        self.0 += usize::from(!value.is_empty());
    }

    fn service(&mut self, _: Service) {}

    fn resolved(&mut self, _: Service, _: &[u8], _: IpAddr) {}
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dpi");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(1));
    for row in rows() {
        let ask = RECOGNISERS.iter().filter(|r| r.service == row.service).find_map(|r| r.streams);
        let ask = ask.expect("every row names a recogniser of streams");
        let talk = Streams {
            bytes: [&row.client, &row.server],
            ended: [false; 2],
            total: [row.client.len() as u64, row.server.len() as u64],
            client: 0,
            opened: true,
            ports: [50_000, 443],
        };
        let run = || {
            let mut count = Count::default();
            let verdict = ask(black_box(&talk), &mut Notes::new(&mut count));
            (verdict, count.0)
        };
        assert_eq!(run(), (row.verdict, row.facts), "{}", row.name);
        group.bench_function(row.name, |b| b.iter(run));
    }
    for row in datagram_rows() {
        let ask = RECOGNISERS.iter().filter(|r| r.service == row.service).find_map(|r| r.datagram);
        let ask = ask.expect("every row names a recogniser of datagrams");
        let run = |(from, bytes): &(usize, Vec<u8>), memory: &mut [u8; MEMORY]| {
            let mut datagram = Datagram {
                bytes: black_box(bytes),
                wire_len: bytes.len(),
                from: *from,
                client: 0,
                ports: [50_000, 443],
                wall: Stamp(1_700_000_000_000_000_000),
                nth: 0,
                keeps: 0,
                before: [&[]; 2],
                memory,
            };
            let mut count = Count::default();
            let verdict = ask(&mut datagram, &mut Notes::new(&mut count));
            (verdict, count.0)
        };
        let (last, others) = row.sent.split_last().expect("every row has a datagram");
        let mut memory = Box::new([0; MEMORY]);
        others.iter().for_each(|sent| assert_eq!(run(sent, &mut memory).0, Verdict::Is));
        assert_eq!(run(last, &mut memory.clone()), (row.verdict, row.facts), "{}", row.name);
        group.bench_function(row.name, |b| {
            b.iter_batched_ref(|| memory.clone(), |memory| run(last, memory), BatchSize::SmallInput);
        });
    }
}

/// A browser's ClientHello of TLS 1.3 with a key share of `key_len` bytes, in a record.
fn client_hello(key_len: u16) -> Vec<u8> {
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, content: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend((content.len() as u16).to_be_bytes());
        extensions.extend(content);
    };
    let name = b"www.example.org";
    extension(0, &[&[0, name.len() as u8 + 3, 0, 0, name.len() as u8][..], name].concat());
    extension(23, &[]);
    extension(0xff01, &[0]);
    extension(10, &[0, 4, 0x11, 0xec, 0, 29]);
    extension(11, &[1, 0]);
    extension(35, &[]);
    extension(16, b"\x00\x0c\x02h2\x08http/1.1");
    extension(5, &[1, 0, 0, 0, 0]);
    extension(13, &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]);
    extension(18, &[]);
    let share =
        [&(key_len + 4).to_be_bytes()[..], &[0x11, 0xec], &key_len.to_be_bytes(), &vec![7; key_len.into()]];
    extension(51, &share.concat());
    extension(45, &[1, 1]);
    extension(43, &[4, 3, 4, 3, 3]);
    extension(27, &[2, 0, 2]);
    let ciphers: Vec<u8> = [
        0x1a1au16, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
        0x9c, 0x9d, 0x2f, 0x35,
    ]
    .iter()
    .flat_map(|c| c.to_be_bytes())
    .collect();
    let body = [
        &[3, 3][..],
        &[0xaa; 32],
        &[32],
        &[0xbb; 32],
        &(ciphers.len() as u16).to_be_bytes(),
        &ciphers,
        &[1, 0],
        &(extensions.len() as u16).to_be_bytes(),
        &extensions,
    ];
    record(1, &body.concat())
}

/// A ServerHello of TLS 1.3, in a record.
fn server_hello() -> Vec<u8> {
    let extensions = [&[0, 46, 0, 43, 0, 2, 3, 4, 0, 51, 0, 36, 0, 29, 0, 32][..], &[7; 32]].concat();
    record(2, &[&[3, 3][..], &[0xcc; 32], &[32], &[0xbb; 32], &[0x13, 1, 0], &extensions].concat())
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = body.len() as u16;
    let head = [&[22, 3, 1][..], &(len + 4).to_be_bytes(), &[kind, 0], &len.to_be_bytes()];
    [&head.concat()[..], body].concat()
}

criterion_group!(dpi, benches);
criterion_main!(dpi);
