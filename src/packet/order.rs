//! The canonical order of a key's ends, and the direction that it leaves for the descriptor.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{descriptor::flag, key::FlowKey};

/// Orders two IPv4 ends: the narrow key without protocol and kind, and [`flag::FROM_HIGH`] or 0.
#[inline(always)]
pub(crate) fn narrow([from, to]: [u32; 2], ports: [u16; 2]) -> (FlowKey, u8) {
    let from = u64::from(from) << 16 | u64::from(ports[0]);
    let to = u64::from(to) << 16 | u64::from(ports[1]);
    let (low, high) = (from.min(to), from.max(to));
    let ends = (low >> 16) << 32 | high >> 16;
    (FlowKey { ends, ports: [low as u16, high as u16], ..FlowKey::default() }, from_high(from > to))
}

/// Orders two IPv6 ends and their ports; then [`flag::FROM_HIGH`] or 0.
#[inline]
pub(crate) fn wide_ends(ends: [[u8; 16]; 2], ports: [u16; 2]) -> ([[u8; 16]; 2], [u16; 2], u8) {
    let [from, to] = ends.map(u128::from_be_bytes);
    if (from, ports[0]) > (to, ports[1]) {
        ([ends[1], ends[0]], [ports[1], ports[0]], flag::FROM_HIGH)
    } else {
        (ends, ports, 0)
    }
}

/// Whether an address is in fe80::/10 (RFC 4291 section 2.5.6).
#[inline]
pub(crate) fn is_link_local(address: &[u8; 16]) -> bool {
    address[0] == 0xfe && address[1] & 0xc0 == 0x80
}

#[inline(always)]
fn from_high(high: bool) -> u8 {
    u8::from(high) * flag::FROM_HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_address_is_low_then_smaller_port() {
        for (from, to, ports, low_port, high) in [
            (1, 2, [9, 5], 9, 0),
            (2, 1, [9, 5], 5, flag::FROM_HIGH),
            (7, 7, [5, 9], 5, 0),
            (7, 7, [9, 5], 5, flag::FROM_HIGH),
            (7, 7, [5, 5], 5, 0),
            (u32::MAX, 0x7fff_ffff, [0, 0], 0, flag::FROM_HIGH),
        ] {
            let (key, from_high) = narrow([from, to], ports);
            assert_eq!(key.ends, u64::from(from.min(to)) << 32 | u64::from(from.max(to)));
            assert_eq!((key.ports[0], from_high), (low_port, high), "{from} {to} {ports:?}");
            let wide = [from, to].map(|end| u128::from(end).to_be_bytes());
            let (ordered, wide_ports, wide_high) = wide_ends(wide, ports);
            assert_eq!((ordered[0] <= ordered[1], wide_ports, wide_high), (true, key.ports, from_high));
        }
    }

    #[test]
    fn link_local_is_a_prefix_of_ten_bits() {
        for (first, second, want) in
            [(0xfe, 0x80, true), (0xfe, 0xbf, true), (0xfe, 0xc0, false), (0xfd, 0x80, false)]
        {
            let mut address = [0; 16];
            address[..2].copy_from_slice(&[first, second]);
            assert_eq!(is_link_local(&address), want);
        }
    }
}
