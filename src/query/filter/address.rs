//! Words as parts of addresses, looked up by octet instead of in text.
//!
//! `93.184` is in an IPv4 address where some octet ends in 93 and the next begins with 184; `4` where
//! some octet has a 4; `.34:44` where the last octet is 34 and the port begins with 44. Each piece
//! between the dots is a table of 256 answers. Words of IPv6 without a colon are parts of one group,
//! which is a table of 65,536; only others need the text.

use std::{fmt::Write as _, net::Ipv6Addr};

use crate::{
    packet::key::FlowKey,
    query::filter::{matching::Needle, ports::NumberSet},
    snapshot::flow_view::FlowView,
};

/// Which ends of flows contain a word in their address, or across address and port.
#[derive(Clone, Debug)]
pub struct AddressWord {
    v4: Option<V4>,
    v6: V6,
    word: Needle,
    has_colon: bool,
    with_port: bool,
}

#[derive(Clone, Debug)]
struct V4 {
    /// For each place of an octet and each octet, bit n says that it suits a word that begins in octet n.
    starts: Box<[[u8; 256]; 4]>,
    /// The last piece ends the address, and the port begins so.
    port: Option<NumberSet>,
}

#[derive(Clone, Debug)]
enum V6 {
    Never,
    /// Groups that contain it; of an address that is written with dots the text decides.
    Group(NumberSet),
    Text,
}

impl AddressWord {
    /// Returns what a word (lower case) is a part of; `with_port` says whether a colon in it may
    /// reach over to the port.
    pub fn new(word: &str, with_port: bool) -> Self {
        let has_colon = word.contains(':');
        let signs = |more: &str| word.bytes().all(|c| c.is_ascii_digit() || more.contains(char::from(c)));
        let v6 = match () {
            () if !signs(".:[]abcdef") => V6::Never,
            // A group of zeros may be left out of the text.
            () if word == "0" || word.contains(['.', ':', '[', ']']) || word.is_empty() => V6::Text,
            () => V6::Group(group_set(word)),
        };
        let v4 = if signs(".:") { V4::new(word, with_port) } else { None };
        Self { v4, v6, word: Needle::new(word), has_colon, with_port }
    }

    /// Returns whether it can be a part of any address.
    pub fn is_possible(&self) -> bool {
        self.v4.is_some() || !matches!(self.v6, V6::Never)
    }

    /// Returns whether it may be a part of some end, by the hot key alone: of IPv4 told by all octets but not by ports, of
    /// IPv6 not told.
    #[inline]
    pub fn may_be_in(&self, key: &FlowKey) -> bool {
        let is_in = |v4: &V4| v4.suits((key.ends >> 32) as u32) | v4.suits(key.ends as u32);
        key.is_wide() || self.v4.as_ref().is_some_and(is_in)
    }

    /// Returns whether it is a part of some end.
    #[inline]
    pub fn is_in_any(&self, flow: &FlowView, room: &mut String) -> bool {
        match (flow.v4(), &self.v4) {
            (Some(_), None) => false,
            (Some(ends), Some(v4)) => [0, 1].iter().any(|&end| v4.is_in(ends[end], || flow.port(end))),
            (None, _) => self.is_in(flow, 0, room) || self.is_in(flow, 1, room),
        }
    }

    /// Returns whether it is a part of this end.
    #[inline]
    pub fn is_in(&self, flow: &FlowView, end: usize, room: &mut String) -> bool {
        if let Some(ends) = flow.v4() {
            return self.v4.as_ref().is_some_and(|v4| v4.is_in(ends[end], || flow.port(end)));
        }
        match &self.v6 {
            V6::Never => false,
            V6::Group(set) if !is_mapped(&flow.ends[end]) => {
                flow.ends[end].chunks_exact(2).any(|group| set.has(u16::from_be_bytes([group[0], group[1]])))
            }
            V6::Group(_) | V6::Text => {
                let port = if self.has_colon && self.with_port { flow.port(end) } else { None };
                write_end(room, flow, end, port);
                self.word.is_in(room.as_bytes())
            }
        }
    }
}

impl V4 {
    fn new(word: &str, with_port: bool) -> Option<Self> {
        let (address, port) = match word.split_once(':') {
            Some(_) if !with_port => return None,
            Some((_, port)) if port.contains([':', '.']) => return None,
            Some((address, port)) => (address, Some(port)),
            None => (word, None),
        };
        let pieces: Vec<&str> = address.split('.').collect();
        let last = pieces.len() - 1;
        if last > 3 {
            return None;
        }
        let table = |(n, piece): (usize, &&str)| {
            let holds = |octet: &str| match (n == 0, n == last) {
                (true, true) if port.is_none() => octet.contains(piece),
                (true, _) => octet.ends_with(piece),
                (false, true) if port.is_none() => octet.starts_with(piece),
                _ => octet == *piece,
            };
            let mut digits = itoa::Buffer::new();
            std::array::from_fn(|octet| holds(digits.format(octet as u8)))
        };
        let pieces: Vec<[bool; 256]> = pieces.iter().enumerate().map(table).collect();
        let port = port.map(|port| NumberSet::of_text(|digits| digits.starts_with(port.as_bytes())));
        let first = if port.is_some() { 3 - last } else { 0 };
        let mut starts = Box::new([[0; 256]; 4]);
        for (place, octets) in starts.iter_mut().enumerate() {
            for (octet, bits) in octets.iter_mut().enumerate() {
                for start in first..=3 - last {
                    let piece = place.checked_sub(start).and_then(|n| pieces.get(n));
                    *bits |= u8::from(piece.is_none_or(|piece| piece[octet])) << start;
                }
            }
        }
        Some(Self { starts, port })
    }

    /// Returns whether the octets allow it.
    #[inline]
    fn suits(&self, address: u32) -> bool {
        let [a, b, c, d] = address.to_be_bytes().map(usize::from);
        let [first, second, third, fourth] = &*self.starts;
        first[a] & second[b] & third[c] & fourth[d] != 0
    }

    #[inline]
    fn is_in(&self, address: u32, port: impl FnOnce() -> Option<u16>) -> bool {
        self.suits(address)
            && self.port.as_ref().is_none_or(|ports| port().is_some_and(|port| ports.has(port)))
    }
}

/// The groups whose hexadecimal digits contain a word.
fn group_set(word: &str) -> NumberSet {
    let (needle, mut room) = (Needle::new(word), [0; 4]);
    NumberSet::of(|group| needle.is_in(hexadecimal(group, &mut room)))
}

/// Writes a group without leading zeros (RFC 5952 section 4.1).
fn hexadecimal(group: u16, room: &mut [u8; 4]) -> &[u8] {
    let len = (u16::BITS - group.leading_zeros()).div_ceil(4).max(1) as usize;
    for (n, digit) in room[..len].iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[usize::from(group >> (4 * n) & 15)];
    }
    &room[..len]
}

/// Returns whether an address is written with dots (RFC 4291 section 2.5.5.2).
fn is_mapped(address: &[u8; 16]) -> bool {
    address[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
}

/// Writes an end as the table shows it.
pub fn write_end(out: &mut String, flow: &FlowView, end: usize, port: Option<u16>) {
    out.clear();
    match flow.v4() {
        Some(ends) => {
            let mut digits = itoa::Buffer::new();
            for (n, part) in ends[end].to_be_bytes().into_iter().enumerate() {
                if n > 0 {
                    out.push('.');
                }
                out.push_str(digits.format(part));
            }
            if let Some(port) = port {
                out.push(':');
                out.push_str(digits.format(port));
            }
        }
        None => {
            let address = Ipv6Addr::from(flow.ends[end]);
            let _ = match port {
                Some(port) => write!(out, "[{address}]:{port}"),
                None => write!(out, "{address}"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::sample;

    /// splitmix64.
    fn mix(n: u64) -> u64 {
        let z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ z >> 31
    }

    #[test]
    fn a_word_is_in_an_end_exactly_when_its_text_is() {
        let words = [
            "4",
            "0",
            "44",
            "443",
            "255",
            "256",
            "93.184",
            ".184.",
            ".",
            "..",
            "1.2.3.4",
            "1.2.3.4.",
            ".34",
            "4:44",
            ".34:443",
            ":443",
            ":",
            "1:",
            "::",
            "2.34:80",
            "a",
            "db8",
            "2001:",
            ":0",
            "[2001",
            "]:44",
            "ffff",
            "f:1.2",
            "::ffff:1",
            "0:",
            "10",
            "00",
            "2001:db8::1",
            "1.2.3.4.5",
            "",
            "b8:",
            "x",
            "3.4:443",
        ];
        let v4 = ["1.2.3.4", "93.184.216.34", "10.0.0.1", "255.255.255.255", "0.0.0.0"];
        let v6 = ["2001:db8::1", "::", "::1", "fe80::1:0:0:44", "::ffff:1.2.3.4", "2001:0:0:db8:0:1:2:3"];
        let patterns: Vec<_> = words
            .iter()
            .flat_map(|word| [false, true].map(|port| (*word, port, AddressWord::new(word, port))))
            .collect();
        let mut room = String::new();
        let mut found = 0;
        for n in 0..400 {
            let pick =
                |list: &[&str], salt: u64| list[(mix(n + salt) % list.len() as u64) as usize].to_owned();
            let list = if n % 2 == 0 { &v4[..] } else { &v6[..] };
            let ports = [80, 443, 44, 4, 0].map(|p: u16| p);
            let port = |salt| ports[(mix(n + salt) % 5) as usize];
            let ends = [1, 2].map(|salt| (pick(list, salt).parse().unwrap(), port(salt + 9)));
            let record = sample::record(ends, [6, 1][(mix(n + 77) % 2) as usize]);
            let view = FlowView::of_record(&record, None, None);
            for (word, with_port, pattern) in &patterns {
                let reach = *with_port && word.contains(':');
                for end in [0, 1] {
                    let mut text = String::new();
                    write_end(&mut text, &view, end, view.port(end).filter(|_| reach));
                    let expected = text.contains(word);
                    assert_eq!(pattern.is_in(&view, end, &mut room), expected, "{word} in {text}");
                    found += usize::from(expected);
                }
                let one_by_one = [0, 1].iter().any(|end| pattern.is_in(&view, *end, &mut room));
                assert_eq!(pattern.is_in_any(&view, &mut room), one_by_one, "{word}");
            }
        }
        assert!(found > 1000);
    }
}
