//! Which addresses are ours: the host's own while capturing live, `--local` with files.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::net::IpAddr;

/// A set of address ranges; asked once for each new flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locals {
    /// Sorted, disjoint, inclusive ranges; IPv4 as IPv4-mapped IPv6.
    ranges: Box<[(u128, u128)]>,
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
        Self { ranges: merged.into_boxed_slice() }
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
}
