//! NTP (RFC 5905), its control messages (RFC 9327) and the private ones of ntpd.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{fact::Fact, notes::Notes, recogniser::Verdict, talk::Datagram};

/// Judges a datagram by its first byte's mode, then by the fields that such a one has.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let Some(first) = talk.bytes.first() else { return Verdict::No };
    let (version, mode) = (first >> 3 & 7, first & 7);
    let sound = match mode {
        1..=5 => (1..=4).contains(&version) && is_time(talk.bytes, talk.wire_len),
        6 => first >> 6 == 0 && (1..=4).contains(&version) && is_control(talk.bytes, talk.wire_len),
        7 => (1..=4).contains(&version) && is_private(talk.bytes, talk.wire_len),
        // An empty one, as probes send it.
        _ => talk.has_port(123) && talk.wire_len == 48 && talk.bytes.iter().all(|byte| *byte == 0),
    };
    if !sound {
        return Verdict::No;
    }
    notes.number(Fact::NtpVersion, u64::from(version));
    notes.number(Fact::NtpMode, u64::from(mode));
    match mode {
        3 => notes.client(talk.from),
        4 => notes.client(1 - talk.from),
        _ => {}
    }
    talk.memory[0] |= 1 << talk.from;
    if talk.memory[0] == 3 { Verdict::Done } else { Verdict::Is }
}

/// Judges stratum, poll, precision, root delay and root dispersion (RFC 5905 section 7.3): about 27 bits.
fn is_time(bytes: &[u8], wire_len: usize) -> bool {
    let &[_, stratum, poll, precision, delay, _, _, _, dispersion, ..] = bytes else { return false };
    let precision_is_sound = precision == 0 || precision == 0x20 || precision >= 0xd8;
    wire_len >= 48
        && wire_len.is_multiple_of(4)
        && stratum <= 16
        && (poll <= 17 || poll >= 0xfa)
        && precision_is_sound
        && matches!(delay, 0 | 0xff)
        && dispersion == 0
}

/// Judges operation, offset and count (RFC 9327 section 2).
fn is_control(bytes: &[u8], wire_len: usize) -> bool {
    let &[_, operation, _, _, _, _, _, _, offset_high, offset_low, count_high, count_low, ..] = bytes else {
        return false;
    };
    let count = usize::from(u16::from_be_bytes([count_high, count_low]));
    let least = 12 + count.next_multiple_of(4);
    matches!(operation & 0x1f, 0..=12 | 31)
        && offset_high | offset_low == 0
        // There may be a key id and a digest behind the data.
        && (wire_len == 12 + count || matches!(wire_len.checked_sub(least), Some(0 | 20 | 24)))
}

/// Judges implementation, request, and items by their number and size (ntpd, `ntp_request.h`).
fn is_private(bytes: &[u8], wire_len: usize) -> bool {
    let &[_, _, implementation, request, items_high, items, size_high, size, ..] = bytes else {
        return false;
    };
    let items = usize::from(u16::from_be_bytes([items_high & 0x0f, items]));
    let size = usize::from(u16::from_be_bytes([size_high & 0x0f, size]));
    let least = 8 + items * size;
    let exact = wire_len == least || matches!(wire_len, 48 | 192 | 216) && least <= wire_len;
    matches!(implementation, 0 | 2 | 3) && request <= 45 && exact && items_high >> 4 == 0 && size_high == 0
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    /// First byte, stratum, poll, precision, root delay, root dispersion, then what else.
    fn message(first: u8, stratum: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first, stratum, 6, 0xec, 0, 0, 2, 0x10, 0, 0, 1, 5];
        bytes.extend((0..length - 12).map(|nth| nth as u8 ^ 0xe3));
        bytes
    }

    #[test]
    fn question_and_answer() {
        for port in [123, 4000] {
            let (ask, say) = (message(0x23, 0, 48), message(0x24, 2, 68));
            let heard = trial::of_datagrams(datagram, &[(0, &ask), (1, &say)], [50_000, port]);
            assert_eq!(heard.verdict, Some(Verdict::Done));
            assert_eq!((heard.first(Fact::NtpVersion), heard.values(Fact::NtpMode)), ("4", vec!["3", "4"]));
            assert_eq!(heard.client, Some(0));
        }
    }

    #[test]
    fn control_and_private_messages() {
        let control = [&[0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5][..], b"peers\0\0\0"].concat();
        let bare = [0x16, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let private = [0x17, 0, 3, 42, 0, 0, 0, 0];
        for (bytes, mode) in [(&control[..], "6"), (&bare, "6"), (&private, "7")] {
            let heard = trial::of_datagrams(datagram, &[(0, bytes)], [50_000, 123]);
            assert_eq!(heard.first(Fact::NtpMode), mode);
        }
    }

    #[test]
    fn what_is_not_time() {
        for bytes in [
            vec![0; 48],
            message(0x03, 0, 48),
            message(0x23, 17, 48),
            message(0x23, 0, 44),
            message(0x23, 0, 49),
        ] {
            assert_eq!(datagrams(datagram, &[(0, &bytes)], [1, 2]).verdict, Some(Verdict::No), "{bytes:x?}");
        }
    }
}
