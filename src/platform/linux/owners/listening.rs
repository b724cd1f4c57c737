//! The sockets of our network namespace that wait for others, with their processes.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    ops::RangeInclusive,
};

use super::{procfs::Procfs, sock_diag::SockDiag, tables};
use crate::{flow::services::service_name, packet::key::proto, process::listening::Listening};

/// Returns them by port. Walks the open files of processes until all holders are found: some
/// milliseconds on a small host, so ask seldom.
pub fn listening() -> Vec<Listening> {
    let mut procfs = Procfs::new();
    let found = SockDiag::open().and_then(|diag| diag.all()).unwrap_or_else(|_| {
        let mut found = Vec::new();
        for (table, protocol) in tables::TABLES.into_iter().filter(|(_, protocol)| *protocol != 0) {
            tables::parse(&procfs.net(None, table), protocol, &mut found);
        }
        found
    });
    let ephemeral = ephemeral_ports();
    let waits =
        |protocol, is_listener, is_connected: bool| is_listener || protocol == proto::UDP && !is_connected;
    let found: Vec<_> = found
        .into_iter()
        .filter(|f| waits(f.tuple.proto, f.is_listener, f.tuple.is_connected()) && f.tuple.local.1 != 0)
        .filter(|f| f.tuple.proto != proto::UDP || !is_clients(f.tuple.local.1, ephemeral.as_ref()))
        .collect();
    let mut wanted: HashSet<u64> = found.iter().map(|f| f.inode).filter(|inode| *inode != 0).collect();
    // A server's children hold its sockets too, and so does whatever it starts, until that is another program: the
    // oldest holder is named.
    let mut pids = procfs.pids();
    pids.sort_by_cached_key(|pid| procfs.stat(*pid).map(|stat| (stat.id.start, *pid)));
    let holders: HashMap<u64, u32> = procfs.holders(&pids, &mut Some(&mut wanted)).into_iter().collect();
    let mut names: HashMap<u32, Box<str>> = HashMap::new();
    let mut all: Vec<Listening> = Vec::with_capacity(found.len());
    for socket in found {
        let pid = holders.get(&socket.inode).copied();
        let name = pid.map(|pid| {
            let mut name = || procfs.identity(pid).map(|(_, facts)| facts.name().0.into());
            names.entry(pid).or_insert_with(|| name().unwrap_or_default()).clone()
        });
        all.push(Listening {
            port: socket.tuple.local.1,
            protocol: if socket.tuple.proto == proto::TCP { "TCP" } else { "UDP" },
            address: socket.tuple.local.0,
            pid,
            name: name.unwrap_or_default(),
            uid: socket.uid,
        });
    }
    all.sort_unstable();
    all
}

/// Returns whether a port of UDP is one that the system chose for somebody who asks others: such a socket has no peer
/// either, but nobody knows its port. A registered one may be a server's all the same.
fn is_clients(port: u16, ephemeral: Option<&RangeInclusive<u16>>) -> bool {
    ephemeral.is_some_and(|range| range.contains(&port)) && service_name(proto::UDP, port).is_none()
}

/// Returns the ports of TCP on which our network namespace takes connections, in order.
///
/// # Errors
/// When the kernel does not tell.
pub fn listening_ports() -> io::Result<Vec<u16>> {
    let mut ports: Vec<u16> =
        SockDiag::open()?.listeners()?.iter().map(|found| found.tuple.local.1).collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// Returns the ports from which the system takes one for a connection that it opens, for IPv4 and IPv6 alike
/// (`ip_local_port_range`, ip(7)).
pub fn ephemeral_ports() -> Option<RangeInclusive<u16>> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().ok());
    Some(numbers.next()??..=numbers.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_the_system_are_those_where_connections_are_taken_and_come_from() {
        let Ok(tcp) = std::net::TcpListener::bind("127.0.0.1:0") else { return };
        let to = tcp.local_addr().unwrap();
        let Ok(ports) = listening_ports() else { return };
        assert!(ports.contains(&to.port()), "{ports:?}");
        assert!(ports.is_sorted());
        let from = std::net::TcpStream::connect(to).unwrap().local_addr().unwrap().port();
        assert!(!listening_ports().unwrap().contains(&from));
        assert!(ephemeral_ports().is_none_or(|range| range.contains(&from)));
    }

    #[test]
    fn v9_a_port_that_the_system_chose_is_no_server_s() {
        let range = 32_768..=60_999;
        for (port, expected) in
            [(32_767, false), (53, false), (40_123, true), (60_999, true), (61_000, false)]
        {
            assert_eq!(is_clients(port, Some(&range)), expected, "{port}");
        }
        let registered = (32_768..=60_999).find(|port| service_name(proto::UDP, *port).is_some());
        assert!(registered.is_none_or(|port| !is_clients(port, Some(&range))));
        assert!(!is_clients(40_123, None), "without the range nothing is left out");
        let Ok(client) = std::net::UdpSocket::bind("127.0.0.1:0") else { return };
        let port = client.local_addr().unwrap().port();
        let is_told = listening().iter().any(|l| (l.protocol, l.port) == ("UDP", port));
        assert_eq!(is_told, service_name(proto::UDP, port).is_some() || ephemeral_ports().is_none());
    }

    #[test]
    fn own_sockets_that_wait_are_found_with_their_process() {
        let Ok(tcp) = std::net::TcpListener::bind("127.0.0.1:0") else { return };
        // Below those that the system chooses: those are clients'.
        let below = ephemeral_ports().map_or(32_768, |range| *range.start());
        let mut bound =
            (1024..below).rev().filter_map(|port| std::net::UdpSocket::bind(("127.0.0.1", port)).ok());
        let Some(udp) = bound.next() else { return };
        let all = listening();
        for (protocol, port) in
            [("TCP", tcp.local_addr().unwrap().port()), ("UDP", udp.local_addr().unwrap().port())]
        {
            let own = all.iter().find(|l| (l.protocol, l.port) == (protocol, port)).unwrap();
            assert_eq!(own.pid, Some(std::process::id()), "{protocol}");
            assert!(!own.name.is_empty());
        }
    }
}
