//! A netlink socket (netlink(7)): requests out, messages in. Thin and of our own: two kinds of requests, and
//! answers that are read as bytes.
#![expect(unsafe_code, reason = "socket, send, recv on a netlink socket")]

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// `NETLINK_SOCK_DIAG`
pub const SOCK_DIAG: i32 = 4;
/// `NETLINK_NETFILTER`
pub const NETFILTER: i32 = 12;
/// A request with one answer.
pub const REQUEST: u16 = 0x001;
/// A request for all there are.
pub const DUMP: u16 = 0x301;
/// `struct nlmsghdr`
pub const HEAD: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// What is read at once.
const BUFFER: usize = 64 << 10;
/// An answer that has not come by then does not come: the kernel answers while the request is sent, or while what
/// it answered so far is read.
static PATIENCE: libc::timeval = libc::timeval { tv_sec: 0, tv_usec: 100_000 };

/// A netlink socket.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Opens one of a family ([`SOCK_DIAG`], [`NETFILTER`]).
    ///
    /// # Errors
    /// When the kernel lacks the family.
    pub fn open(family: i32) -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, family) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else has it.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        // SAFETY: the pointer and its length are those of the constant.
        unsafe {
            let (level, name) = (libc::SOL_SOCKET, libc::SO_RCVTIMEO);
            libc::setsockopt(fd, level, name, (&raw const PATIENCE).cast(), size_of_val(&PATIENCE) as u32);
        }
        Ok(socket)
    }

    /// Sends messages.
    ///
    /// # Errors
    /// When the kernel does not take them.
    pub fn send(&self, messages: &[u8]) -> io::Result<()> {
        // SAFETY: the buffer is valid for its length.
        let n = unsafe { libc::send(self.0.as_raw_fd(), messages.as_ptr().cast(), messages.len(), 0) };
        if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Reads datagrams of messages until `take` says that it has all.
    ///
    /// # Errors
    /// When nothing came in a tenth of a second, or what `take` returns.
    pub fn read(&self, mut take: impl FnMut(&[u8]) -> io::Result<bool>) -> io::Result<()> {
        let mut buffer = vec![0u8; BUFFER];
        loop {
            // SAFETY: the buffer is valid for writing its length.
            let n = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let Ok(n) = usize::try_from(n) else {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            };
            if take(&buffer[..n])? {
                return Ok(());
            }
        }
    }
}

/// Writes the head of a message: type, flags, and its length with `body` bytes after the head.
pub fn head(out: &mut Vec<u8>, kind: u16, flags: u16, number: u32, body: usize) {
    out.extend_from_slice(&((HEAD + body) as u32).to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&number.to_ne_bytes());
    out.extend_from_slice(&0u32.to_ne_bytes());
}

/// One message of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Its type, the number of its request, and what comes after the head.
    Data(u16, u32, &'a [u8]),
    /// The end of a dump.
    Done,
    /// The answer to the request of this number is an error; 0: it is done.
    Error(u32, i32),
}

/// Takes the first message off a datagram; `None` at its end.
///
/// # Errors
/// When a length does not fit.
pub fn next<'a>(rest: &mut &'a [u8]) -> io::Result<Option<Message<'a>>> {
    let bytes = *rest;
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
    let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (len, number) = (word(0) as usize, word(8));
    let Some(body) = bytes.get(HEAD..len) else { return Err(io::ErrorKind::InvalidData.into()) };
    *rest = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    Ok(Some(match u16::from_ne_bytes([head[4], head[5]]) {
        DONE => Message::Done,
        ERROR => match body.first_chunk::<4>() {
            Some(error) => Message::Error(number, i32::from_ne_bytes(*error).wrapping_neg()),
            None => return Err(io::ErrorKind::InvalidData.into()),
        },
        kind => Message::Data(kind, number, body),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_do_not_fit_are_errors() {
        assert_eq!(next(&mut &[0; 8][..]).unwrap(), None);
        assert!(next(&mut &[0xff; 32][..]).is_err());
        assert!(next(&mut &[0; 32][..]).is_err());
        // An error without its number.
        let mut message = Vec::new();
        head(&mut message, ERROR, 0, 7, 0);
        assert!(next(&mut &message[..]).is_err());
    }

    #[test]
    fn messages_come_one_after_the_other() {
        let mut bytes = Vec::new();
        head(&mut bytes, 20, REQUEST, 7, 5);
        bytes.extend_from_slice(b"abcde\0\0\0");
        head(&mut bytes, ERROR, 0, 8, 4);
        bytes.extend_from_slice(&(-2i32).to_ne_bytes());
        head(&mut bytes, DONE, 0, 9, 0);
        let mut rest = &bytes[..];
        assert_eq!(next(&mut rest).unwrap(), Some(Message::Data(20, 7, b"abcde")));
        assert_eq!(next(&mut rest).unwrap(), Some(Message::Error(8, 2)));
        assert_eq!(next(&mut rest).unwrap(), Some(Message::Done));
        assert_eq!(next(&mut rest).unwrap(), None);
    }
}
