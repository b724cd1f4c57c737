//! Addresses of a network namespace, by a process that lives in it (`/proc/<pid>/net`).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::procfs::Procfs;

/// Of a table of routes no more is read, and it is read for no longer.
const MOST: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_millis(10);

/// Returns the addresses of a process's namespace; none if it is gone, or may not be looked at.
pub fn addresses(proc: &Procfs, pid: u32) -> Vec<IpAddr> {
    let read = |table| String::from_utf8_lossy(&proc.net_of(pid, table, MOST, PATIENCE)).into_owned();
    let mut all = v4(&read("fib_trie"));
    all.extend(v6(&read("if_inet6")));
    all.sort_unstable();
    all.dedup();
    all
}

/// ```text
///   |-- 10.0.0.2
///      /32 host LOCAL
/// ```
fn v4(trie: &str) -> Vec<IpAddr> {
    let mut lines = trie.lines().map(str::trim).peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(address) = line.strip_prefix("|-- ") else { continue };
        // One address may have several kinds of routes.
        let mut is_local = false;
        while let Some(kind) = lines.next_if(|line| line.starts_with('/')) {
            is_local |= kind == "/32 host LOCAL";
        }
        if is_local {
            found.extend(address.parse::<Ipv4Addr>().ok().map(IpAddr::V4));
        }
    }
    found
}

/// `fe8000000000000000aabbccddeeff00 02 40 20 80 eth0`
fn v6(table: &str) -> Vec<IpAddr> {
    let address = |line: &str| u128::from_str_radix(line.split_ascii_whitespace().next()?, 16).ok();
    table.lines().filter_map(address).map(|bits| IpAddr::V6(Ipv6Addr::from(bits))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_told_from_routes() {
        let trie = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.0
           /24 link UNICAST
        |-- 10.0.0.2
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /31 link UNICAST
        /32 host LOCAL
Local:
        |-- 10.0.0.2
           /32 host LOCAL
        |-- bad
           /32 host LOCAL
        |-- 9.9.9.9";
        assert_eq!(v4(trie), ["10.0.0.2", "127.0.0.1", "10.0.0.2"].map(|a| a.parse::<IpAddr>().unwrap()));
        let table = "00000000000000000000000000000001 01 80 10 80 lo\nnothing\n\nfd000000000000000000000000000002 02 40 00 80 eth0\n";
        assert_eq!(v6(table), ["::1", "fd00::2"].map(|a| a.parse::<IpAddr>().unwrap()));
        assert!(v4("").is_empty());
    }

    #[test]
    fn this_process_has_its_loopback() {
        let all = addresses(&Procfs::new(), std::process::id());
        assert!(all.is_empty() || all.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "{all:?}");
        assert!(addresses(&Procfs::new(), u32::MAX).is_empty());
    }
}
