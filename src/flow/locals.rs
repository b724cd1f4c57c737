//! Which addresses are ours: the host's own while capturing live, `--local` with files. And what ports of ours tell of
//! who opened a connection whose beginning nobody saw.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{net::IpAddr, ops::RangeInclusive};

/// A set of address ranges; asked once for each new flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locals {
    /// Sorted, disjoint, inclusive ranges; IPv4 as IPv4-mapped IPv6.
    ranges: Box<[(u128, u128)]>,
    ports: Ports,
}

/// This host's ports of TCP; nothing where they are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ports {
    /// A bit for each port: whether a socket takes connections there.
    taken: Box<[u64]>,
    /// From which the system takes ports for connections that it opens.
    ephemeral: Option<RangeInclusive<u16>>,
}

impl Locals {
    /// Returns the set of these networks: address and prefix length (32 or 128: one address).
    #[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "start-up")]
    pub fn new(networks: impl IntoIterator<Item = (IpAddr, u8)>) -> Self {
        let mut ranges: Vec<(u128, u128)> = networks
            .into_iter()
            .map(|(address, prefix)| {
                let bits = match address {
                    IpAddr::V4(_) => 96 + u32::from(prefix.min(32)),
                    IpAddr::V6(_) => u32::from(prefix.min(128)),
                };
                let host = u128::MAX.checked_shr(bits).unwrap_or(0);
                let number = number(address);
                (number & !host, number | host)
            })
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::new();
        for (start, end) in ranges {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        Self { ranges: merged.into_boxed_slice(), ports: Ports::default() }
    }

    /// Adds what is known of our ports of TCP: those where connections are taken, and those from which the system takes
    /// one for a connection that it opens.
    #[allow(clippy::disallowed_macros, reason = "start-up")]
    pub fn with_ports(
        self,
        listening: impl IntoIterator<Item = u16>,
        ephemeral: Option<RangeInclusive<u16>>,
    ) -> Self {
        let mut taken = vec![0_u64; (usize::from(u16::MAX) + 1) / 64].into_boxed_slice();
        listening.into_iter().for_each(|port| taken[usize::from(port) / 64] |= 1 << (port % 64));
        Self { ports: Ports { taken, ephemeral }, ..self }
    }

    /// Returns which end opened a connection of TCP, as far as ports of the ends that are `local` tell: whoever
    /// connects to a port where we take connections; else we, if the port is one that the system chose.
    pub fn opener(&self, local: [bool; 2], ports: [u16; 2]) -> Option<usize> {
        let mut votes = [0; 2];
        for end in [0, 1].into_iter().filter(|&end| local[end]) {
            match self.ports.opens(ports[end]) {
                Some(false) => votes[1 - end] += 2,
                Some(true) => votes[end] += 1,
                None => {}
            }
        }
        let [low, high] = votes;
        (low != high).then(|| usize::from(high > low))
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns whether the address is ours.
    pub fn contains(&self, address: IpAddr) -> bool {
        let n = number(address);
        let after = self.ranges.partition_point(|r| r.0 <= n);
        after > 0 && n <= self.ranges[after - 1].1
    }
}

impl Ports {
    /// Returns whether a connection on one of our ports was opened by us, if the port tells.
    fn opens(&self, port: u16) -> Option<bool> {
        let taken = self.taken.get(usize::from(port) / 64)?;
        if taken >> (port % 64) & 1 != 0 {
            return Some(false);
        }
        self.ephemeral.as_ref()?.contains(&port).then_some(true)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)) | 0xffff_0000_0000,
        IpAddr::V6(a) => u128::from(a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses_are_found() {
        let at = |s: &str| s.parse::<IpAddr>().unwrap();
        let set = Locals::new([
            (at("10.0.0.0"), 8),
            (at("10.1.0.0"), 16),
            (at("192.0.2.7"), 32),
            (at("2001:db8::"), 32),
        ]);
        for (address, inside) in [
            ("10.255.0.1", true),
            ("11.0.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::9", true),
            ("2001:db9::", false),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(set.contains(at(address)), inside, "{address}");
        }
        assert!(!Locals::default().contains(at("0.0.0.0")));
        assert!(Locals::new([(at("0.0.0.0"), 0)]).contains(at("1.2.3.4")));
    }

    #[test]
    fn ports_tell_who_opened_a_connection() {
        let ours = Locals::default().with_ports([22, 40_000], Some(32_768..=60_999));
        let [low, high, both] = [[true, false], [false, true], [true, true]];
        for (local, ports, opener) in [
            (low, [22, 50_000], Some(1)),
            (high, [50_000, 22], Some(0)),
            (low, [50_000, 8124], Some(0)),
            (high, [8124, 50_000], Some(1)),
            // Where we take connections, whatever port it is; and one that was bound, whose listener may be gone.
            (low, [40_000, 443], Some(1)),
            (low, [8124, 50_000], None),
            (both, [22, 50_000], Some(1)),
            (both, [40_000, 50_000], Some(1)),
            (both, [50_000, 50_001], None),
            ([false; 2], [22, 50_000], None),
        ] {
            assert_eq!(ours.opener(local, ports), opener, "{local:?} {ports:?}");
            assert_eq!(Locals::default().opener(local, ports), None);
        }
    }
}
