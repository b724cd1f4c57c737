//! JSON text: strings, integers, times and addresses, appended to a byte buffer.
//!
//! Deliberately no serializer: commas and braces are the caller's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::{shown::is_unseen, time::Stamp};

const SECOND: u64 = 1_000_000_000;
const SECONDS_A_DAY: u64 = 86_400;

/// Appends a JSON string. Control characters (C0, DEL, C1), those that change the direction of writing or are not to be
/// seen, and line separators are escaped, so that no terminal acts on what a file or a name holds and two names that
/// look alike are alike.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c.is_control() || is_unseen(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    for shift in [12, 8, 4, 0] {
                        out.push(HEX[usize::from(*unit >> shift & 15)]);
                    }
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Appends an integer.
#[inline]
pub fn number(out: &mut Vec<u8>, value: impl Into<u64>) {
    let mut rest = value.into();
    if rest < 10 {
        return out.push(b'0' + rest as u8);
    }
    let len = rest.ilog10() as usize + 1;
    let mut text = [0; 20];
    let mut at = len;
    while at >= 2 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&pair((rest % 100) as u32));
        rest /= 100;
    }
    if at == 1 {
        text[0] = b'0' + rest as u8;
    }
    append(out, &text, len);
}

/// Appends the first `len` bytes. Copies all `N`, because a copy of known length is two moves and
/// one of unknown length a call: 25 of them are a third of a line's time.
#[inline]
fn append<const N: usize>(out: &mut Vec<u8>, text: &[u8; N], len: usize) {
    let end = out.len() + len;
    out.extend_from_slice(text);
    out.truncate(end);
}

/// Appends seconds since 1970 with 9 decimals, exact.
#[inline]
pub fn unix_seconds(out: &mut Vec<u8>, stamp: Stamp) {
    number(out, stamp.0 / SECOND);
    out.push(b'.');
    decimals(out, (stamp.0 % SECOND) as u32);
}

/// Appends an RFC 3339 time in UTC with 9 decimals, without quotes.
pub fn rfc3339(out: &mut Vec<u8>, stamp: Stamp) {
    let secs = stamp.0 / SECOND;
    let (year, month, day) = date((secs / SECONDS_A_DAY) as u32);
    let time = (secs % SECONDS_A_DAY) as u32;
    let mut text = *b"0000-00-00T00:00:00.";
    for (at, value) in [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, time / 3600),
        (14, time / 60 % 60),
        (17, time % 60),
    ] {
        text[at..at + 2].copy_from_slice(&pair(value));
    }
    out.extend_from_slice(&text);
    decimals(out, (stamp.0 % SECOND) as u32);
    out.push(b'Z');
}

/// Appends an address as text, IPv6 in the form of RFC 5952; without quotes.
#[inline]
pub fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(a) => ipv4(out, a),
        IpAddr::V6(a) => ipv6(out, a),
    }
}

#[inline]
fn ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let (mut text, mut len) = ([0; 16], 0);
    for octet in address.octets() {
        let (digits, width) = OCTETS[usize::from(octet)];
        text[len..len + 4].copy_from_slice(&digits);
        len += usize::from(width);
    }
    append(out, &text, len - 1);
}

/// Every octet in decimal with a dot behind it, and the length of both.
static OCTETS: [([u8; 4], u8); 256] = {
    let mut table = [([b'.'; 4], 0); 256];
    let mut octet = 0;
    while octet < 256 {
        let n = octet as u8;
        let digits = [b'0' + n / 100, b'0' + n / 10 % 10, b'0' + n % 10];
        let (text, width) = &mut table[octet];
        let mut skipped = if n >= 100 { 0 } else { 1 + (n < 10) as usize };
        while skipped < 3 {
            text[*width as usize] = digits[skipped];
            *width += 1;
            skipped += 1;
        }
        *width += 1;
        octet += 1;
    }
    table
};

fn ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    if let Some(mapped) = address.to_ipv4_mapped() {
        out.extend_from_slice(b"::ffff:");
        return ipv4(out, mapped);
    }
    let groups = address.segments();
    let (start, zeros) = longest_zeros(&groups);
    let (mut text, mut len) = ([0; 48], 0);
    let mut i = 0;
    while i < groups.len() {
        if i == start && zeros > 1 {
            text[len..len + 2].copy_from_slice(b"::");
            len += 2;
            i += zeros;
            continue;
        }
        if len > 0 && text[len - 1] != b':' {
            text[len] = b':';
            len += 1;
        }
        let (digits, width) = hex(groups[i]);
        text[len..len + 4].copy_from_slice(&digits);
        len += width;
        i += 1;
    }
    append(out, &text, len);
}

/// Returns start and length of the first longest run of zero groups (RFC 5952 section 4.2.3).
fn longest_zeros(groups: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut run) = ((0, 0), (0, 0));
    for (i, &group) in groups.iter().enumerate() {
        run = if group == 0 { (run.0, run.1 + 1) } else { (i + 1, 0) };
        if run.1 > best.1 {
            best = run;
        }
    }
    best
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Returns the hexadecimal digits without leading zeros, and how many they are.
#[inline]
fn hex(group: u16) -> ([u8; 4], usize) {
    let digits = [12, 8, 4, 0].map(|shift| HEX[usize::from(group >> shift & 15)]);
    let zeros = (group | 1).leading_zeros() / 4;
    ((u32::from_le_bytes(digits) >> (8 * zeros)).to_le_bytes(), 4 - zeros as usize)
}

/// Appends nanoseconds as exactly 9 digits.
#[inline]
fn decimals(out: &mut Vec<u8>, nanos: u32) {
    let mut text = [b'0' + (nanos / 100_000_000) as u8; 9];
    for (i, divisor) in [1_000_000, 10_000, 100, 1].into_iter().enumerate() {
        text[1 + 2 * i..3 + 2 * i].copy_from_slice(&pair(nanos / divisor % 100));
    }
    out.extend_from_slice(&text);
}

/// Returns the two digits of a number below 100.
#[inline]
fn pair(value: u32) -> [u8; 2] {
    PAIRS[value as usize]
}

static PAIRS: [[u8; 2]; 100] = {
    let mut table = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        table[n] = [b'0' + n as u8 / 10, b'0' + n as u8 % 10];
        n += 1;
    }
    table
};

/// Returns year, month and day of a day counted from 1970-01-01, by counting from 1 March of
/// year 0 in eras of 400 years (Howard Hinnant, "chrono-compatible low-level date algorithms").
const fn date(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + (month <= 2) as u32, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn stamps_keep_every_nanosecond() {
        for (stamp, unix, date) in [
            (0, "0.000000000", "1970-01-01T00:00:00.000000000Z"),
            (1, "0.000000001", "1970-01-01T00:00:00.000000001Z"),
            (951_782_399_999_999_999, "951782399.999999999", "2000-02-28T23:59:59.999999999Z"),
            (951_782_400_000_000_000, "951782400.000000000", "2000-02-29T00:00:00.000000000Z"),
            (1_700_000_000_123_456_789, "1700000000.123456789", "2023-11-14T22:13:20.123456789Z"),
            (4_107_542_400_000_000_000, "4107542400.000000000", "2100-03-01T00:00:00.000000000Z"),
            (u64::MAX, "18446744073.709551615", "2554-07-21T23:34:33.709551615Z"),
        ] {
            assert_eq!(text(|o| unix_seconds(o, Stamp(stamp))), unix);
            assert_eq!(text(|o| rfc3339(o, Stamp(stamp))), date);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let leap = |y: u32| y.is_multiple_of(4) && !y.is_multiple_of(100) || y.is_multiple_of(400);
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for n in 0..=213_503 {
            assert_eq!(date(n), (year, month, day), "day {n}");
            let length = match month {
                2 => 28 + u32::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day = day % length + 1;
            month = if day == 1 { month % 12 + 1 } else { month };
            year += u32::from(day == 1 && month == 1);
        }
    }

    #[test]
    fn ipv6_is_shortened_as_rfc_5952_says() {
        for address in [
            "::",
            "::1",
            "1::",
            "2001:db8::",
            "2001:db8:0:1:1:1:1:1",
            "2001:0:0:1::1",
            "2001:db8::1:0:0:1",
            "fe80::a00:27ff:fe4e:66a1",
            "::ffff:192.0.2.1",
            "::192.0.2.1",
            "1:2:3:4:5:6:7:8",
            "0:1::",
            "::1:0",
            "64:ff9b::c000:201",
        ] {
            let parsed: Ipv6Addr = address.parse().unwrap();
            assert_eq!(text(|o| super::address(o, parsed.into())), parsed.to_string(), "{address}");
        }
    }

    proptest! {
        #[test]
        fn addresses_are_written_as_the_standard_library_does(
            // Few bits set, so that runs of zeros of every length come up.
            groups in prop::array::uniform8(prop_oneof![2 => Just(0_u16), 1 => any::<u16>(), 1 => 0_u16..300]),
            v4 in any::<u32>(),
        ) {
            let (v6, v4) = (IpAddr::V6(groups.into()), IpAddr::V4(v4.into()));
            prop_assert_eq!(text(|o| address(o, v6)), v6.to_string());
            prop_assert_eq!(text(|o| address(o, v4)), v4.to_string());
        }

        #[test]
        fn strings_survive_a_json_reader_and_hold_no_control_character(s in any::<String>()) {
            let written = text(|o| string(o, &s));
            prop_assert!(!written.chars().any(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), s);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            text(|o| string(o, "\u{115f}\u{3164}\u{ffa0}h\u{34f}v\u{fe0f}\u{e0100}")),
            r#""\u115f\u3164\uffa0h\u034fv\ufe0f\udb40\udd00""#
        );
        assert_eq!(
            text(|o| string(o, "zw\u{200b}s\u{202e}rtl\u{ad}\u{e0041}.網e\u{301}")),
            r#""zw\u200bs\u202ertl\u00ad\udb40\udc41.網e\u0301""#.replace("\\u0301", "\u{301}")
        );
        assert_eq!(
            text(|o| string(o, "a\"\\\n\u{1b}[2J\u{7f}\u{9b}\u{2028}é")),
            r#""a\"\\\n\u001b[2J\u007f\u009b\u2028é""#
        );
    }
}
