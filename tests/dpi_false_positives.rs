//! Labels rest on bytes: random ones get none, whatever the ports, and a protocol keeps its own on foreign ports.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/engine.rs"]
mod engine;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use rustnet::{
    base::time::Stamp,
    capture::synthetic::{Frames, MemorySource},
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::tcp_flag::{ACK, PSH, SYN},
    },
};

/// Random flows of the whole test, and those of one run.
const FLOWS: u32 = 200_000;
const FLOWS_OF_A_RUN: u32 = 20_000;
/// Wrong labels that are accepted: 1 in 100,000 flows.
const MOST_WRONG: usize = 2;

/// A seeded source of numbers (xorshift64*, Vigna 2016).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    /// Returns bytes of one of several lengths: few, those of small messages, those of full frames.
    fn payload(&mut self) -> Vec<u8> {
        let length = match self.below(5) {
            0 => 1 + self.below(8),
            1 => 9 + self.below(56),
            2 => 48 + 4 * self.below(64),
            3 => 65 + self.below(400),
            _ => 1200 + self.below(200),
        };
        (0..length).map(|_| (self.next() >> 56) as u8).collect()
    }
}

/// What one flow looks like.
#[derive(Clone, Copy)]
enum Carrier {
    Udp,
    /// TCP with its handshake.
    Opened,
    /// TCP from somewhere in the middle.
    Late,
}

const CARRIERS: [Carrier; 3] = [Carrier::Udp, Carrier::Opened, Carrier::Late];

/// Puts flows into frames. Each has a client address of its own: its number.
struct Wire {
    frames: Frames,
    clock: u64,
    room: Vec<u8>,
}

impl Wire {
    fn new() -> Self {
        Self { frames: Frames::default(), clock: 1_700_000_000_000_000_000, room: vec![0; 2048] }
    }

    fn put(&mut self, frame: Frame<'_>) {
        let length = frame.write(&mut self.room).unwrap();
        self.clock += 1000;
        self.frames.push_ethernet(Stamp(self.clock), &self.room[..length]);
    }

    /// Adds a flow: who says what, the client being 0.
    fn flow(&mut self, number: u32, carrier: Carrier, ports: [u16; 2], says: &[(usize, &[u8])]) {
        let ends: [IpAddr; 2] =
            [Ipv4Addr::from(0x0a00_0000 | number).into(), Ipv4Addr::new(192, 0, 2, 1).into()];
        if let Carrier::Udp = carrier {
            for (from, bytes) in says {
                let body = Body::Udp(ports[*from], ports[1 - from]);
                self.put(Frame::new(ends[*from], ends[1 - from], body).payload(bytes));
            }
            return;
        }
        let mut next = [number.wrapping_mul(2_654_435_761), number.wrapping_mul(40_503)];
        let mut segment = |from: usize, flags: u8, bytes: &[u8], wire: &mut Self| {
            let tcp = Tcp {
                src_port: ports[from],
                dst_port: ports[1 - from],
                seq_number: next[from],
                ack_number: if flags & ACK == 0 { 0 } else { next[1 - from] },
                flags,
                window: 8192,
                window_scale: None,
            };
            wire.put(Frame::new(ends[from], ends[1 - from], Body::Tcp(tcp)).payload(bytes));
            next[from] = next[from].wrapping_add(bytes.len() as u32 + u32::from(flags & SYN != 0));
        };
        if let Carrier::Opened = carrier {
            segment(0, SYN, &[], self);
            segment(1, SYN | ACK, &[], self);
            segment(0, ACK, &[], self);
        }
        for (from, bytes) in says {
            for bytes in bytes.chunks(1400) {
                segment(*from, ACK | PSH, bytes, self);
            }
        }
    }

    /// Runs the pipeline over the frames; returns the labels by flow number, and the number of flows.
    fn labels(self) -> (BTreeMap<u32, String>, usize) {
        let run = engine::run(engine::config(), vec![MemorySource::new(Arc::new(self.frames))]);
        let text = String::from_utf8(run.jsonl).unwrap();
        let between = |line: &str, from: &str| {
            let (_, rest) = line.split_once(from)?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let mut labels = BTreeMap::new();
        let mut flows = 0;
        for line in text.lines().filter(|line| line.contains("\"proto\":")) {
            flows += 1;
            if let Some(label) = between(line, "\"app\":\"") {
                let ends = ["\"src\":\"", "\"dst\":\""].map(|end| between(line, end).unwrap());
                let client = ends.iter().find(|end| end.starts_with("10.")).unwrap();
                let address: Ipv4Addr = client.parse().unwrap();
                labels.insert(u32::from(address) & 0x00ff_ffff, label);
            }
        }
        (labels, flows)
    }
}

/// Port, and what each side sent in turn.
type Session = (u16, Vec<(usize, Vec<u8>)>);

#[test]
fn random_bytes_have_no_label() {
    let mut numbers = Numbers(0x5eed_5eed);
    let mut wrong: Vec<String> = Vec::new();
    for first in (0..FLOWS).step_by(FLOWS_OF_A_RUN as usize) {
        let mut wire = Wire::new();
        let mut said: BTreeMap<u32, Session> = BTreeMap::new();
        for number in first..first + FLOWS_OF_A_RUN {
            // Every port is a server's in turn, and random ones too.
            let port = match number % 2 {
                0 => 1 + (number / 2 % 65_535) as u16,
                _ => 1 + numbers.below(65_535) as u16,
            };
            let carrier = CARRIERS[numbers.below(3) as usize];
            let client_port = 1 + numbers.below(65_535) as u16;
            let count = 1 + numbers.below(4);
            let says: Vec<_> = (0..count).map(|_| (numbers.below(2) as usize, numbers.payload())).collect();
            let parts: Vec<_> = says.iter().map(|(from, bytes)| (*from, bytes.as_slice())).collect();
            wire.flow(number, carrier, [client_port, port], &parts);
            said.insert(number, (port, says));
        }
        let (labels, flows) = wire.labels();
        assert_eq!(flows, FLOWS_OF_A_RUN as usize);
        for (number, label) in labels {
            let (port, says) = &said[&number];
            let heads: Vec<_> = says.iter().map(|(from, b)| (from, b.len(), &b[..b.len().min(24)])).collect();
            wrong.push(format!("{label}: flow {number}, port {port}: {heads:02x?}"));
        }
    }
    println!("{} of {FLOWS} random flows got a label", wrong.len());
    assert!(wrong.len() <= MOST_WRONG, "{} of {FLOWS} flows:\n{}", wrong.len(), wrong.join("\n"));
}

/// A label, how it is carried, and who says what.
type Sample = (&'static str, Carrier, Vec<(usize, Vec<u8>)>);

/// Returns the beginnings of sessions, each built from its protocol's specification.
fn samples() -> Vec<Sample> {
    use Carrier::{Opened, Udp};

    let name = b"www.example.org";
    let extension = |kind: u8, body: &[u8]| [&[0, kind, 0, body.len() as u8][..], body].concat();
    let host = [&[0, name.len() as u8 + 3, 0, 0, name.len() as u8][..], name].concat();
    let extensions = [extension(0, &host), extension(43, &[2, 3, 4]), extension(10, &[0, 2, 0, 29])].concat();
    let body = [
        &[3, 3][..],
        &[0x5a; 32],
        &[0],
        &[0, 4, 0x13, 1, 0x13, 2],
        &[1, 0],
        &(extensions.len() as u16).to_be_bytes(),
        &extensions,
    ]
    .concat();
    let hello = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    let tls = [&[22, 3, 1, 0, hello.len() as u8][..], &hello].concat();

    let question = b"\x03www\x07example\x03org\0\0\x01\0\x01";
    let query = [&[0x1b, 0x2c, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], question].concat();
    let answer = [
        &[0x1b, 0x2c, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..],
        question,
        b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07",
    ]
    .concat();
    let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    let ntp = [&[0x23, 2, 6, 0xec, 0, 0, 2, 0x10, 0, 0, 1, 5][..], &[0xc1; 36]].concat();
    let dtls_body = [&[0xfe, 0xfd][..], &[0x5a; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]].concat();
    let length = [0, 0, dtls_body.len() as u8];
    let dtls_hello = [&[1][..], &length, &[0, 0, 0, 0, 0], &length, &dtls_body].concat();
    let dtls =
        [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, dtls_hello.len() as u8][..], &dtls_hello].concat();
    let snmp = b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x01\x02\x01\0\x02\x01\0\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\0\x05\0";
    let dhcp = [
        &[1, 1, 6, 0, 0x11, 0x22, 0x33, 0x44][..],
        &[0; 20],
        &[2, 0, 0, 0, 0, 1],
        &[0; 10 + 64 + 128],
        &[0x63, 0x82, 0x53, 0x63, 53, 1, 1, 0xff],
    ]
    .concat();
    let wireguard = [&[1, 0, 0, 0][..], &[0xa7; 144]].concat();
    let startup = b"\0\0\0\x29\0\x03\0\0user\0jane\0database\0shop\0\0".to_vec();
    let mysql = [&[0x36, 0, 0, 0][..], b"\x0a8.0.36-ubuntu\0", &[7; 12], &[0], &[0xff; 27]].concat();
    let sip: &[u8] = b"OPTIONS sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7\r\nFrom: <sip:a@example.org>;tag=1\r\n\
        To: <sip:b@example.org>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let client = |bytes: &[u8]| vec![(0, bytes.to_vec())];
    let both = |asks: &[u8], says: &[u8]| vec![(0, asks.to_vec()), (1, says.to_vec())];
    vec![
        ("TLS", Opened, client(&tls)),
        ("HTTP", Opened, client(b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n\r\n")),
        ("SSH", Opened, both(b"SSH-2.0-OpenSSH_9.7\r\n", b"SSH-2.0-OpenSSH_9.2\r\n")),
        (
            "SMTP",
            Opened,
            vec![
                (1, b"220 mail.example.org ESMTP ready\r\n".to_vec()),
                (0, b"EHLO client.example.org\r\n".to_vec()),
                (1, b"250 mail.example.org\r\n".to_vec()),
            ],
        ),
        ("SIP", Opened, client(sip)),
        ("POSTGRES", Opened, client(&startup)),
        ("MYSQL", Opened, vec![(1, mysql)]),
        ("REDIS", Opened, both(b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n")),
        ("BITTORRENT", Opened, client(&[b"\x13BitTorrent protocol", &[0; 8][..], &[0x77; 40]].concat())),
        ("MQTT", Opened, client(b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03abc")),
        ("SIP", Udp, client(sip)),
        ("DNS", Udp, both(&query, &answer)),
        ("STUN", Udp, both(&stun, &stun)),
        ("NTP", Udp, client(&ntp)),
        ("DTLS", Udp, client(&dtls)),
        ("SNMP", Udp, client(snmp)),
        ("DHCP", Udp, client(&dhcp)),
        ("WIREGUARD", Udp, client(&wireguard)),
    ]
}

#[test]
fn foreign_ports_change_no_label() {
    const PORTS: &[u16] = &[
        7, 21, 22, 25, 53, 67, 69, 80, 123, 161, 443, 500, 514, 1194, 1433, 3306, 3478, 5060, 5432, 6379,
        6881, 51820, 8080, 9999,
    ];
    let samples = samples();
    let mut wire = Wire::new();
    let mut wanted = BTreeMap::new();
    let mut number = 0;
    for (label, carrier, says) in &samples {
        let parts: Vec<_> = says.iter().map(|(from, bytes)| (*from, bytes.as_slice())).collect();
        for port in PORTS {
            number += 1;
            wire.flow(number, *carrier, [50_123, *port], &parts);
            wanted.insert(number, (*label, *port));
        }
    }
    let (labels, _) = wire.labels();
    let wrong: Vec<_> = wanted
        .iter()
        .filter(|(number, (label, _))| labels.get(number).map(String::as_str) != Some(label))
        .map(|(number, (label, port))| format!("{label} on port {port}: {:?}", labels.get(number)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
