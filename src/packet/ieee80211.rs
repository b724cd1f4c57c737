//! IEEE 802.11 data frames, bare or behind a radiotap header (radiotap.org).
//!
//! Management, control and encrypted frames are no flow; of an aggregate (A-MSDU) the first frame
//! counts.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::walk::{Next, Stop, Walk};

/// Reads a radiotap header, then the 802.11 header.
pub(crate) fn radiotap(walk: &mut Walk) -> Result<Next, Stop> {
    let [version, _, low, high] = *walk.peek::<4>()?;
    let len = usize::from(u16::from_le_bytes([low, high]));
    if version != 0 || len < 8 {
        return Err(Stop::Malformed);
    }
    let padded = has_data_pad(walk.rest());
    walk.at += len;
    data(walk, padded)
}

/// Reads a bare 802.11 header.
pub(crate) fn plain(walk: &mut Walk) -> Result<Next, Stop> {
    data(walk, false)
}

/// Whether the radiotap flags say that the payload begins at a multiple of 4 bytes.
fn has_data_pad(header: &[u8]) -> bool {
    const TSFT: u8 = 1;
    const FLAGS: u8 = 2;
    const MORE_WORDS: u8 = 0x80;
    const DATA_PAD: u8 = 0x20;
    let word = |n: usize| header.get(4 + 4 * n..8 + 4 * n);
    let Some(&[present, _, _, mut top]) = word(0) else { return false };
    let mut words = 1;
    while top & MORE_WORDS != 0 {
        let Some(&[.., last]) = word(words) else { return false };
        top = last;
        words += 1;
    }
    let mut at = 4 + 4 * words;
    if present & TSFT != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    present & FLAGS != 0 && header.get(at).is_some_and(|flags| flags & DATA_PAD != 0)
}

/// Reads the MAC header of a data frame (IEEE 802.11 clause 9.3.2.1).
fn data(walk: &mut Walk, padded: bool) -> Result<Next, Stop> {
    const TYPE: u8 = 0x0c;
    const DATA: u8 = 0x08;
    const NO_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;
    const TO_AND_FROM_DS: u8 = 0x03;
    const PROTECTED: u8 = 0x40;
    const ORDER: u8 = 0x80;
    const AGGREGATE: u8 = 0x80;
    let start = walk.at;
    let [kind, flags] = *walk.take::<2>()?;
    if kind & TYPE != DATA || kind & NO_DATA != 0 || flags & PROTECTED != 0 {
        return Err(Stop::NotFlow);
    }
    walk.take::<22>()?;
    if flags & TO_AND_FROM_DS == TO_AND_FROM_DS {
        walk.take::<6>()?;
    }
    let mut aggregate = false;
    if kind & QOS != 0 {
        aggregate = walk.take::<2>()?[0] & AGGREGATE != 0;
        if flags & ORDER != 0 {
            walk.take::<4>()?;
        }
    }
    if padded {
        walk.at = start + (walk.at - start).next_multiple_of(4);
    }
    if aggregate {
        // Destination, source, length of the first frame of the aggregate.
        walk.take::<14>()?;
    }
    Ok(Next::Llc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_llc(read: fn(&mut Walk) -> Result<Next, Stop>, bytes: &[u8]) -> Result<usize, Stop> {
        let mut walk = Walk::new(bytes, bytes.len() as u32, 0);
        read(&mut walk).map(|next| {
            assert_eq!(next, Next::Llc);
            walk.at
        })
    }

    /// A frame of 60 bytes with this frame control.
    fn frame(kind: u8, flags: u8) -> [u8; 60] {
        let mut bytes = [0; 60];
        bytes[..2].copy_from_slice(&[kind, flags]);
        bytes
    }

    #[test]
    fn header_length_follows_frame_control() {
        for (name, kind, flags, want) in [
            ("data to the access point", 0x08, 0x01, Ok(24)),
            ("four addresses", 0x08, 0x03, Ok(30)),
            ("QoS", 0x88, 0x02, Ok(26)),
            ("QoS with HT control", 0x88, 0x82, Ok(30)),
            ("no data", 0x48, 0x01, Err(Stop::NotFlow)),
            ("encrypted", 0x08, 0x41, Err(Stop::NotFlow)),
            ("beacon", 0x80, 0x00, Err(Stop::NotFlow)),
            ("acknowledgement", 0xd4, 0x00, Err(Stop::NotFlow)),
        ] {
            assert_eq!(at_llc(plain, &frame(kind, flags)), want, "{name}");
        }
        let mut aggregate = frame(0x88, 0x02);
        aggregate[24] = 0x80;
        assert_eq!(at_llc(plain, &aggregate), Ok(26 + 14));
    }

    #[test]
    fn radiotap_is_skipped_and_its_padding_respected() {
        // Version, pad, length 17, present: TSFT and flags; TSFT; flags: data pad.
        let mut bytes = [0; 77];
        bytes[..17].copy_from_slice(&[0, 0, 17, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x20]);
        bytes[17..].copy_from_slice(&frame(0x88, 0x02));
        assert_eq!(at_llc(radiotap, &bytes), Ok(17 + 28));
        bytes[16] = 0;
        assert_eq!(at_llc(radiotap, &bytes), Ok(17 + 26));
        // The presence words go on to the end of the frame.
        assert_eq!(at_llc(radiotap, &[0, 0, 9, 0, 2, 0, 0, 0x80, 0xff]), Err(Stop::Cut));
        assert_eq!(at_llc(radiotap, &[1; 60]), Err(Stop::Malformed));
    }
}
