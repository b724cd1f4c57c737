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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io, os::fd::OwnedFd};

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
