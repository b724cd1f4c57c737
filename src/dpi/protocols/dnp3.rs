//! DNP3 (IEEE 1815) over TCP and UDP.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    cursor::{Cursor, Read, either_side, ensure, said},
    notes::Notes,
    recogniser::Verdict,
    talk::{Datagram, Streams},
};

/// Judges a datagram by the first frame's header.
pub fn datagram(talk: &mut Datagram<'_>, _: &mut Notes<'_>) -> Verdict {
    said(header(Cursor::whole(talk.bytes)).map(|()| Verdict::Done))
}

/// Judges a connection by either side's first frame.
pub fn streams(talk: &Streams<'_>, _: &mut Notes<'_>) -> Verdict {
    said(either_side(talk, header).map(|_| Verdict::Done))
}

/// Judges a header: start, length, and a checksum over all of it.
fn header(mut bytes: Cursor<'_>) -> Read<()> {
    bytes.expect(&[0x05, 0x64])?;
    let fields = bytes.array::<6>()?;
    ensure(fields[0] >= 5)?;
    let crc = [0x05, 0x64].iter().chain(&fields).fold(0, crc);
    ensure(bytes.le16()? == !crc)
}

/// Takes a byte into the checksum (polynomial 0x3d65, lowest bit first).
fn crc(crc: u16, byte: &u8) -> u16 {
    (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa6bc } else { crc >> 1 })
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::streams as ask, trial};

    #[test]
    fn the_checksum_is_the_sign() {
        // The check value of the catalogue of parametrised CRC algorithms.
        assert_eq!(!b"123456789".iter().fold(0, crc), 0xea82);
        let fields = [0x05, 0x64, 5, 0xc9, 1, 0, 0, 4];
        let sum = !fields.iter().fold(0, crc);
        let frame = [&fields[..], &sum.to_le_bytes()].concat();
        trial::of_streams(streams, &frame, b"", 20_000);
        trial::of_datagrams(datagram, &[(0, &frame)], [20_000, 20_000]);
        assert_eq!(ask(streams, &[&fields[..], &[0, 0]].concat(), b"", 20_000).verdict, Some(Verdict::No));
    }
}
