//! All TCP and UDP sockets of our network namespace through netlink (sock_diag(7)): 48 bytes each, about
//! a microsecond, no privileges. A thin layer of its own: one request, one kind of answer.
#![expect(unsafe_code, reason = "socket, sendto, recv on a netlink socket")]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use super::tables::{TCP_ESTABLISHED, TCP_LISTEN};
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

const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
/// `struct nlmsghdr`, then `struct inet_diag_req_v2`.
const HEAD: usize = 16;
const REQUEST: usize = HEAD + 56;
/// `struct inet_diag_msg`
const MESSAGE: usize = 72;
/// Every state but TIME_WAIT and NEW_SYN_RECV, which have no owner.
const STATES: u32 = 0xfff & !(1 << 6) & !(1 << 12);

/// A netlink socket.
#[derive(Debug)]
pub struct SockDiag(OwnedFd);

impl SockDiag {
    /// Opens one.
    ///
    /// # Errors
    /// When the kernel has no sock_diag.
    pub fn open() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd =
            unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, NETLINK_SOCK_DIAG) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else has it.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        let timeout = libc::timeval { tv_sec: 1, tv_usec: 0 };
        // SAFETY: the pointer and its length are those of `timeout`.
        unsafe {
            let (level, name) = (libc::SOL_SOCKET, libc::SO_RCVTIMEO);
            libc::setsockopt(fd, level, name, (&raw const timeout).cast(), size_of_val(&timeout) as u32);
        }
        Ok(socket)
    }

    /// Returns all TCP and UDP sockets.
    ///
    /// # Errors
    /// When the kernel lacks a part (`tcp_diag`, `udp_diag`) or refuses.
    pub fn all(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for protocol in [proto::TCP, proto::UDP] {
            for family in [libc::AF_INET, libc::AF_INET6] {
                self.dump(family as u8, protocol, &mut found)?;
            }
        }
        Ok(found)
    }

    fn dump(&self, family: u8, protocol: u8, out: &mut Vec<Found>) -> io::Result<()> {
        let mut request = [0; REQUEST];
        request[..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
        request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
        request[HEAD] = family;
        request[HEAD + 1] = protocol;
        request[HEAD + 4..HEAD + 8].copy_from_slice(&STATES.to_ne_bytes());
        let fd = self.0.as_raw_fd();
        // SAFETY: the buffer is valid for its length.
        if unsafe { libc::send(fd, request.as_ptr().cast(), REQUEST, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut buffer = vec![0u8; 64 << 10];
        loop {
            // SAFETY: the buffer is valid for writing its length.
            let n = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let Ok(n) = usize::try_from(n) else {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            };
            if read_messages(&buffer[..n], protocol, out)? {
                return Ok(());
            }
        }
    }
}

/// Reads the messages of one datagram; returns whether the last one was the end.
fn read_messages(mut rest: &[u8], protocol: u8, out: &mut Vec<Found>) -> io::Result<bool> {
    while rest.len() >= HEAD {
        let word = |at: usize| [rest[at], rest[at + 1], rest[at + 2], rest[at + 3]];
        let len = u32::from_ne_bytes(word(0)) as usize;
        let kind = u16::from_ne_bytes([rest[4], rest[5]]);
        if len < HEAD || len > rest.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR if len >= HEAD + 4 => {
                return match i32::from_ne_bytes(word(HEAD)) {
                    0 => Ok(true),
                    error => Err(io::Error::from_raw_os_error(-error)),
                };
            }
            SOCK_DIAG_BY_FAMILY => out.extend(read_socket(&rest[HEAD..len], protocol)),
            _ => {}
        }
        rest = &rest[(len.next_multiple_of(4)).min(rest.len())..];
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
        done[4] = NLMSG_DONE as u8;
        assert!(read_messages(&done, 6, &mut out).unwrap());
    }
}
