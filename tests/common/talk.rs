//! Conversations as frames: what two hosts say to each other, and when.
#![allow(dead_code, reason = "each user needs a part")]

use std::{net::IpAddr, sync::Arc};

use rustnet::{
    base::time::Stamp,
    capture::synthetic::{Frames, MemorySource},
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::tcp_flag::{ACK, PSH, SYN},
    },
};

#[path = "quic.rs"]
mod quic;
#[allow(unused_imports, reason = "each user needs a part")]
pub use quic::*;

/// When all conversations begin.
pub const START: Stamp = Stamp(1_700_000_000_000_000_000);

/// Frames in the making: in any order, sorted by time at the end.
#[derive(Default)]
pub struct Talk(Vec<(u64, Vec<u8>)>);

impl Talk {
    /// Adds a frame at `ms` after the start.
    pub fn frame(&mut self, ms: u64, [src, dst]: [IpAddr; 2], body: Body, payload: &[u8]) {
        let mut buffer = vec![0; 2048];
        let len = Frame::new(src, dst, body).payload(payload).write(&mut buffer).unwrap();
        buffer.truncate(len);
        self.0.push((ms, buffer));
    }

    /// Adds datagrams between two ends; `true` is the first end's.
    pub fn datagrams(&mut self, ends: [(&str, u16); 2], sent: &[(u64, bool, &[u8])]) {
        for &(ms, from_first, payload) in sent {
            let [src, dst] = if from_first { ends } else { [ends[1], ends[0]] };
            self.frame(ms, addresses([src, dst]), Body::Udp(src.1, dst.1), payload);
        }
    }

    /// Adds a TCP connection that the first end opens at `ms`, with what the ends say then; `true` is the first
    /// end's.
    pub fn connection(&mut self, ms: u64, ends: [(&str, u16); 2], sent: &[(u64, bool, &[u8])]) {
        let mut seq = [1000_u32, 9000];
        let mut segment = |ms: u64, from: usize, flags: u8, seq: [u32; 2], payload: &[u8]| {
            let [src, dst] = [ends[from], ends[1 - from]];
            let tcp = Tcp {
                src_port: src.1,
                dst_port: dst.1,
                seq_number: seq[from],
                ack_number: if flags & ACK != 0 { seq[1 - from] } else { 0 },
                flags,
                window: 60_000,
                window_scale: None,
            };
            self.frame(ms, addresses([src, dst]), Body::Tcp(tcp), payload);
        };
        segment(ms, 0, SYN, seq, &[]);
        seq[0] += 1;
        segment(ms, 1, SYN | ACK, seq, &[]);
        seq[1] += 1;
        segment(ms, 0, ACK, seq, &[]);
        for &(ms, from_first, payload) in sent {
            let from = usize::from(!from_first);
            segment(ms, from, ACK | PSH, seq, payload);
            seq[from] += payload.len() as u32;
        }
    }

    /// Adds segments of a TCP connection between two ends, numbered as if none was lost; `true` is the first end's.
    pub fn segments(&mut self, ends: [(&str, u16); 2], sent: &[(u64, bool, Said)]) {
        let mut seq = [1000_u32, 9000];
        for &(ms, from_first, Said { flags, window, window_scale, len }) in sent {
            let from = usize::from(!from_first);
            let [src, dst] = [ends[from], ends[1 - from]];
            let tcp = Tcp {
                src_port: src.1,
                dst_port: dst.1,
                seq_number: seq[from],
                ack_number: if flags & ACK != 0 { seq[1 - from] } else { 0 },
                flags,
                window,
                window_scale,
            };
            self.frame(ms, addresses([src, dst]), Body::Tcp(tcp), &vec![b'x'; len]);
            seq[from] += len as u32 + u32::from(flags & SYN != 0);
        }
    }

    /// Returns a source of the frames, in the order of their times.
    pub fn source(mut self) -> MemorySource {
        self.0.sort_by_key(|(ms, _)| *ms);
        let mut frames = Frames::default();
        for (ms, frame) in &self.0 {
            frames.push_ethernet(Stamp(START.0 + ms * 1_000_000), frame);
        }
        MemorySource::new(Arc::new(frames))
    }
}

/// What a segment says: its flags, its window field, with SYN perhaps its scale, and bytes of payload.
#[derive(Clone, Copy)]
pub struct Said {
    pub flags: u8,
    pub window: u16,
    pub window_scale: Option<u8>,
    pub len: usize,
}

/// Returns an acknowledgement with this window field and so many bytes of payload.
pub fn ack(window: u16, len: usize) -> Said {
    Said { flags: ACK, window, window_scale: None, len }
}

/// Returns a SYN, or its answer, with this window scale.
pub fn syn(flags: u8, scale: u8) -> Said {
    Said { flags: flags | SYN, window: 64_000, window_scale: Some(scale), len: 0 }
}

/// Segments of a transfer to a reader that falls asleep twice and answers within 20 ms: ms, whether the first end sends,
/// what. Windows are of scale 7 and 4; the first end's is 1,500,032 bytes at last, the second end's is closed.
pub fn slow_reader() -> Vec<(u64, bool, Said)> {
    vec![
        (0, true, syn(0, 7)),
        (10, false, syn(ACK, 4)),
        (11, true, ack(11_719, 0)),
        (200, true, ack(11_719, 1400)),
        (220, false, ack(0, 0)),
        (420, false, ack(0, 0)),
        (500, false, ack(500, 0)),
        (600, true, ack(11_719, 1400)),
        (620, false, ack(0, 0)),
    ]
}

fn addresses(ends: [(&str, u16); 2]) -> [IpAddr; 2] {
    ends.map(|(address, _)| address.parse().unwrap())
}

/// Returns a name as labels with their lengths (RFC 1035 section 3.1).
pub fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.bytes());
    }
    out.push(0);
    out
}

/// Returns a DNS message that asks for the addresses of a name.
pub fn dns_query(id: u16, name: &str) -> Vec<u8> {
    let header = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    [header, labels(name), vec![0, 1, 0, 1]].concat()
}

/// Returns its answer: the address of the last name behind canonical names.
pub fn dns_answer(id: u16, name: &str, canonical: &[&str], address: IpAddr) -> Vec<u8> {
    let answers = canonical.len() as u8 + 1;
    let mut out = [&id.to_be_bytes()[..], &[0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0]].concat();
    out.extend([labels(name), vec![0, 1, 0, 1]].concat());
    let mut record = |owner: &str, kind: u16, data: &[u8]| {
        out.extend(labels(owner));
        out.extend(
            [&kind.to_be_bytes()[..], &[0, 1, 0, 0, 1, 0], &(data.len() as u16).to_be_bytes()].concat(),
        );
        out.extend(data);
    };
    let mut owner = name;
    for alias in canonical {
        record(owner, 5, &labels(alias));
        owner = alias;
    }
    match address {
        IpAddr::V4(a) => record(owner, 1, &a.octets()),
        IpAddr::V6(a) => record(owner, 28, &a.octets()),
    }
    out
}

/// Returns a binary packet of SSH in the clear (RFC 4253 section 6).
pub fn ssh_packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let padding = 8 + (8 - (4 + 1 + 1 + body.len()) % 8) % 8;
    let len = (1 + 1 + body.len() + padding) as u32;
    [&len.to_be_bytes()[..], &[padding as u8, kind], body, &vec![0; padding]].concat()
}

/// Returns KEXINIT with the same algorithms on both sides: lengths of later packets stay in the clear.
pub fn ssh_kexinit() -> Vec<u8> {
    let mut body = vec![7; 16];
    let lists = [
        "curve25519-sha256",
        "ssh-ed25519",
        "aes128-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ];
    for list in lists {
        body.extend((list.len() as u32).to_be_bytes());
        body.extend(list.bytes());
    }
    body.extend([0; 5]);
    ssh_packet(20, &body)
}

/// Returns a packet behind NEWKEYS of AES in GCM: a length in the clear, that many bytes and a tag.
pub fn ssh_sealed(len: u32) -> Vec<u8> {
    [&len.to_be_bytes()[..], &vec![0xaa; len as usize + 16]].concat()
}
