//! The tables of sockets below `/proc/net` (proc(5)): raw sockets, sockets of other namespaces, and all
//! where sock_diag is missing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::sock_diag::Found;
use crate::{packet::key::proto, process::socket::Tuple};

/// State of a TCP socket that listens (include/net/tcp_states.h).
pub const TCP_LISTEN: u8 = 10;
/// One that is up.
pub const TCP_ESTABLISHED: u8 = 1;
const TCP_TIME_WAIT: u8 = 6;

/// The tables and the protocols in them; in those of raw sockets the port is the protocol's number.
pub const TABLES: [(&str, u8); 8] = [
    ("tcp", proto::TCP),
    ("tcp6", proto::TCP),
    ("udp", proto::UDP),
    ("udp6", proto::UDP),
    ("raw", 0),
    ("raw6", 0),
    ("icmp", proto::ICMP),
    ("icmp6", proto::ICMPV6),
];

/// Appends the sockets of a table.
///
/// ```text
///   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ...
///    0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 ...
/// ```
pub fn parse(text: &[u8], protocol: u8, out: &mut Vec<Found>) {
    for line in String::from_utf8_lossy(text).lines().skip(1) {
        out.extend(parse_line(line, protocol));
    }
}

fn parse_line(line: &str, protocol: u8) -> Option<Found> {
    let mut fields = line.split_ascii_whitespace();
    let (local, remote) = (end(fields.nth(1)?)?, end(fields.next()?)?);
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    let protocol = if protocol == 0 { u8::try_from(local.1).ok()? } else { protocol };
    if protocol == proto::TCP && state == TCP_TIME_WAIT {
        return None;
    }
    Some(Found {
        tuple: Tuple::new(protocol, local, remote),
        uid,
        inode,
        is_listener: protocol == proto::TCP && state == TCP_LISTEN,
        is_open: matches!(state, TCP_ESTABLISHED | TCP_LISTEN),
    })
}

/// `0100007F:1F90`: words of the address as the host reads them, the port as a number.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |n: usize| {
        let word = u32::from_str_radix(address.get(8 * n..8 * n + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (n, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(n)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn lines_become_sockets() {
        let text = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0 100 0\n\
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 12346 1 0 20 4\n\
   2: 0100007F:1F90 0100007F:C351 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4\n\
  garbage\n\n   3: 01:1 02:2 zz\n";
        let mut found = Vec::new();
        parse(text, proto::TCP, &mut found);
        assert_eq!(found.len(), 2);
        let here = ("127.0.0.1".parse().unwrap(), 8080);
        assert_eq!((found[0].tuple.local, found[0].uid, found[0].inode), (here, 1000, 12345));
        assert!(found[0].is_listener && !found[0].tuple.is_connected());
        assert_eq!(found[1].tuple.remote, ("127.0.0.1".parse().unwrap(), 50_000));
        let mut found = Vec::new();
        let text = b"head\n 1: 0000000000000000FFFF00000100007F:0035 00000000000000000000000000000000:0000 07 0:0 0:0 0 7 0 9 x\n";
        parse(text, proto::UDP, &mut found);
        assert_eq!(found[0].tuple.local, ("127.0.0.1".parse().unwrap(), 53));
        let mut found = Vec::new();
        parse(b"head\n 1: 00000000:0001 00000000:0000 07 0:0 0:0 0 0 0 77 x\n", 0, &mut found);
        assert_eq!((found[0].tuple.proto, found[0].tuple.local.1), (proto::ICMP, 0));
    }
}
