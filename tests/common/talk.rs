//! Conversations as frames: what two hosts say to each other, and when.
#![allow(dead_code, reason = "each user needs a part")]

use std::{net::IpAddr, sync::Arc};

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use rustnet::{
    base::time::Stamp,
    capture::synthetic::{Frames, MemorySource},
    packet::{
        build::{Body, Frame, Tcp},
        descriptor::tcp_flag::{ACK, PSH, SYN},
    },
};

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

/// The client's first destination connection id in [`initial`], that of RFC 9001 appendix A.
pub const ORIGIN: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";
/// The connection ids that client and server choose.
pub const IDS: [&[u8]; 2] = [b"\xc0\xc1\xc2\xc3", b"\x50\x51\x52\x53\x54"];
/// Frames: acknowledges packet 0; closes the transport, or the application's connection.
pub const QUIC_ACK: &[u8] = &[2, 0, 0, 0, 0];
/// See [`QUIC_ACK`].
pub const QUIC_CLOSE: &[u8] = &[0x1c, 0x0a, 0, 0];
/// See [`QUIC_ACK`].
pub const QUIC_CLOSE_APP: &[u8] = &[0x1d, 0x41, 0, 0];

/// Returns an Initial packet of QUIC version 1 in a datagram of 1200 bytes, by the client (0) or the server (1), with
/// the keys of RFC 9001 appendix A.1.
pub fn initial(side: usize, number: u8, frames: &[u8]) -> Vec<u8> {
    const KEYS: [(u128, u128, u128); 2] = [
        (
            0x1f36_9613_dd76_d546_7730_efcb_e3b1_a22d,
            0xfa04_4b2f_42a3_fd3b_46fb_255c,
            0x9f50_449e_04a0_e810_283a_1e99_33ad_edd2,
        ),
        (
            0xcf3a_5331_653c_364c_88f0_f379_b606_7e37,
            0x0ac1_493c_a190_5853_b0bb_a03e,
            0xc206_b8d9_b9f0_f376_4443_0b49_0eea_a314,
        ),
    ];
    let (key, iv, header_key) = KEYS[side];
    let ids = if side == 0 { [ORIGIN, IDS[0]] } else { IDS };
    let mut header = vec![0xc3, 0, 0, 0, 1];
    for id in ids {
        header.push(id.len() as u8);
        header.extend(id);
    }
    header.push(0);
    let len = 1200 - header.len() - 2;
    header.extend((0x4000 | len as u16).to_be_bytes());
    let at = header.len();
    header.extend([0, 0, 0, number]);
    let mut sealed = frames.to_vec();
    sealed.resize(len - 20, 0);
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key.to_be_bytes()).unwrap());
    let nonce = (iv ^ u128::from(number)).to_be_bytes();
    let nonce = Nonce::assume_unique_for_key(nonce[4..].try_into().unwrap());
    cipher.seal_in_place_append_tag(nonce, Aad::from(&header), &mut sealed).unwrap();
    let mut packet = [&header[..], &sealed].concat();
    let key = quic::HeaderProtectionKey::new(&quic::AES_128, &header_key.to_be_bytes()).unwrap();
    let mask = key.new_mask(&packet[at + 4..at + 20]).unwrap();
    packet[0] ^= mask[0] & 0x0f;
    packet[at..at + 4].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
    packet
}

/// Returns a ClientHello that offers a protocol, in a CRYPTO frame.
pub fn quic_hello(protocol: &str) -> Vec<u8> {
    let mut extensions = b"\x00\x00\x00\x10\x00\x0e\x00\x00\x0bexample.org".to_vec();
    let len = protocol.len() as u8;
    extensions.extend([0, 16, 0, len + 3, 0, len + 1, len]);
    extensions.extend(protocol.bytes());
    extensions.extend([0, 43, 0, 3, 2, 3, 4, 0, 13, 0, 6, 0, 4, 4, 3, 8, 4, 0, 57, 0, 4, 1, 2, 0x67, 0x10]);
    let body = [
        &[3, 3][..],
        &[0xaa; 32],
        &[0, 0, 4, 0x13, 1, 0x13, 2, 1, 0],
        &(extensions.len() as u16).to_be_bytes(),
        &extensions,
    ];
    let body = body.concat();
    let len = body.len() as u8;
    [&[6, 0, 0x40, len + 4, 1, 0, 0, len][..], &body].concat()
}

/// Returns a packet with a short header for the side that chose the connection id.
pub fn quic_short(to: usize) -> Vec<u8> {
    [&[0x41][..], IDS[to], &[0x99; 60]].concat()
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
