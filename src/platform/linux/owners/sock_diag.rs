//! All TCP and UDP sockets of our network namespace through netlink (sock_diag(7)): 48 bytes each, about
//! a microsecond, no privileges.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    netlink::{self, HEAD, Message, Netlink},
    tables::{TCP_ESTABLISHED, TCP_LISTEN},
};
use crate::{packet::key::proto, process::socket::Tuple};

/// A socket that a table lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its ends.
    pub tuple: Tuple,
    /// Its user.
    pub uid: u32,
    /// Its inode; 0 if no file refers to it.
    pub inode: u64,
    /// It takes connections.
    pub is_listener: bool,
    /// Of TCP: neither closed by its process nor on the way up.
    pub is_open: bool,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `struct inet_diag_req_v2`
const REQUEST: usize = 56;
/// `struct inet_diag_msg`
const MESSAGE: usize = 72;
/// Every state but TIME_WAIT and NEW_SYN_RECV, which have no owner.
const STATES: u32 = 0xfff & !(1 << 6) & !(1 << 12);

/// Asks for sockets.
#[derive(Debug)]
pub struct SockDiag(Netlink);

impl SockDiag {
    /// Opens the way to ask.
    ///
    /// # Errors
    /// When the kernel has no sock_diag.
    pub fn open() -> io::Result<Self> {
        Netlink::open(netlink::SOCK_DIAG).map(Self)
    }

    /// Returns all TCP and UDP sockets.
    ///
    /// # Errors
    /// When the kernel lacks a part (`tcp_diag`, `udp_diag`) or refuses.
    pub fn all(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for protocol in [proto::TCP, proto::UDP] {
            for family in [libc::AF_INET, libc::AF_INET6] {
                self.dump(family as u8, protocol, STATES, &mut found)?;
            }
        }
        Ok(found)
    }

    /// Returns the sockets of TCP that take connections.
    ///
    /// # Errors
    /// As [`SockDiag::all`].
    pub fn listeners(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            self.dump(family as u8, proto::TCP, 1 << TCP_LISTEN, &mut found)?;
        }
        Ok(found)
    }

    fn dump(&self, family: u8, protocol: u8, states: u32, out: &mut Vec<Found>) -> io::Result<()> {
        let mut request = Vec::with_capacity(HEAD + REQUEST);
        netlink::head(&mut request, SOCK_DIAG_BY_FAMILY, netlink::DUMP, 0, REQUEST);
        request.extend_from_slice(&[family, protocol, 0, 0]);
        request.extend_from_slice(&states.to_ne_bytes());
        request.resize(HEAD + REQUEST, 0);
        self.0.send(&request)?;
        self.0.read(|datagram| read_messages(datagram, protocol, out))
    }
}

/// Reads the messages of one datagram; returns whether the last one was the end.
fn read_messages(mut rest: &[u8], protocol: u8, out: &mut Vec<Found>) -> io::Result<bool> {
    while let Some(message) = netlink::next(&mut rest)? {
        match message {
            Message::Done | Message::Error(_, 0) => return Ok(true),
            Message::Error(_, error) => return Err(io::Error::from_raw_os_error(error)),
            Message::Data(SOCK_DIAG_BY_FAMILY, _, body) => out.extend(read_socket(body, protocol)),
            Message::Data(..) => {}
        }
    }
    Ok(false)
}

/// `struct inet_diag_msg`: family, state, timer, retransmits; ports, addresses, interface, cookie; five
/// words, of which the last two are user and inode.
fn read_socket(message: &[u8], protocol: u8) -> Option<Found> {
    let message: &[u8; MESSAGE] = message.get(..MESSAGE)?.try_into().ok()?;
    let word =
        |at: usize| u32::from_ne_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]]);
    let port = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = message[at..at + 16].try_into().ok()?;
        Some(match i32::from(message[0]) {
            libc::AF_INET => IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])),
            _ => IpAddr::V6(Ipv6Addr::from(bytes)),
        })
    };
    Some(Found {
        tuple: Tuple::new(protocol, (address(8)?, port(4)), (address(24)?, port(6))),
        uid: word(64),
        inode: u64::from(word(68)),
        is_listener: protocol == proto::TCP && message[1] == TCP_LISTEN,
        is_open: matches!(message[1], TCP_ESTABLISHED | TCP_LISTEN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_sockets_are_listed() {
        let Ok(diag) = SockDiag::open() else { return eprintln!("skipped: no sock_diag here") };
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = std::net::TcpListener::bind("[::1]:0")
            .or_else(|_| std::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let all = match diag.all() {
            Ok(all) => all,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        for (proto, address) in
            [(proto::UDP, udp.local_addr().unwrap()), (proto::TCP, tcp.local_addr().unwrap())]
        {
            let tuple = Tuple::bound(proto, address.ip(), address.port());
            let found = all.iter().find(|f| f.tuple == tuple).unwrap();
            assert!(found.inode != 0);
            assert_eq!(found.is_listener, proto == proto::TCP);
        }
    }

    #[test]
    fn cut_and_odd_answers_are_errors() {
        let mut out = Vec::new();
        assert!(!read_messages(&[0; 8], 6, &mut out).unwrap());
        assert!(read_messages(&[0xff; 32], 6, &mut out).is_err());
        assert!(read_messages(&[0; 32], 6, &mut out).is_err());
        assert_eq!(read_socket(&[0; 71], 6), None);
        let mut done = [0; 16];
        done[0] = 16;
        done[4] = 3;
        assert!(read_messages(&done, 6, &mut out).unwrap());
    }
}
