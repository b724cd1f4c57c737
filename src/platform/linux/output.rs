//! Standard output: whether somebody still reads it.
#![expect(unsafe_code, reason = "poll")]

use std::{fs::File, os::fd::AsRawFd as _};

/// Returns whether what is written can reach nobody any more: the other end of the pipe, socket
/// or terminal is closed. Does not wait. Files always have a reader.
pub fn reader_gone(out: &File) -> bool {
    // NB: `POLLERR` and `POLLHUP` are reported without being asked for (poll(2)).
    let mut ask = libc::pollfd { fd: out.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: `ask` is one valid entry, and its descriptor is open as long as `out` is borrowed.
    let answers = unsafe { libc::poll(&raw mut ask, 1, 0) };
    answers > 0 && ask.revents & (libc::POLLERR | libc::POLLHUP) != 0
}

/// Returns whether a write would not have to wait. A file always takes it.
pub fn reader_keeps_up(out: &File) -> bool {
    let mut ask = libc::pollfd { fd: out.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: as in `reader_gone`.
    let answers = unsafe { libc::poll(&raw mut ask, 1, 0) };
    answers != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io, os::fd::OwnedFd};

    #[test]
    fn a_full_pipe_has_a_reader_that_does_not_keep_up() {
        use std::io::Write as _;
        let (mut reader, mut writer) = io::pipe().unwrap();
        let out = File::from(OwnedFd::from(writer.try_clone().unwrap()));
        assert!(reader_keeps_up(&out) && reader_keeps_up(&File::open("/dev/null").unwrap()));
        // SAFETY: an open descriptor, and integers.
        unsafe { libc::fcntl(out.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        while writer.write(&[0; 4096]).is_ok() {}
        assert!(!reader_keeps_up(&out));
        io::Read::read_exact(&mut reader, &mut [0; 8192]).unwrap();
        assert!(reader_keeps_up(&out));
    }

    #[test]
    fn a_pipe_without_reader_is_told_from_one_with_a_reader() {
        let (reader, writer) = io::pipe().unwrap();
        let writer = File::from(OwnedFd::from(writer));
        assert!(!reader_gone(&writer));
        drop(reader);
        assert!(reader_gone(&writer));
        assert!(!reader_gone(&File::open("/dev/null").unwrap()));
    }
}
