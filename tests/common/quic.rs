//! Packets of QUIC as endpoints make them, for tests and benches.
#![allow(dead_code, reason = "each user needs a part")]

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};

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
    initial_of(1200, side, number, frames)
}

/// As [`initial`], padded to so many bytes.
pub fn initial_of(bytes: usize, side: usize, number: u8, frames: &[u8]) -> Vec<u8> {
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
    let len = bytes - header.len() - 2;
    header.extend((0x4000 | len as u16).to_be_bytes());
    let at = header.len();
    header.extend([0, 0, 0, number]);
    let mut sealed = frames.to_vec();
    sealed.resize(len - 20, 0);
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key.to_be_bytes()).expect("16 bytes"));
    let nonce = (iv ^ u128::from(number)).to_be_bytes();
    let nonce = Nonce::assume_unique_for_key(nonce[4..].try_into().expect("12 bytes"));
    cipher.seal_in_place_append_tag(nonce, Aad::from(&header), &mut sealed).expect("it is short");
    let mut packet = [&header[..], &sealed].concat();
    let key = quic::HeaderProtectionKey::new(&quic::AES_128, &header_key.to_be_bytes()).expect("16 bytes");
    let mask = key.new_mask(&packet[at + 4..at + 20]).expect("16 bytes");
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
