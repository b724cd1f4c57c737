//! One queue's socket: its memory, its fill ring and its rx ring.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "system calls, frames in shared memory")]

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use libc::{c_int, c_void, socklen_t, xdp_desc};

use super::rings::{Map, Ring};

/// Chunks of a socket: 16 to 32 MB, and 14 ms of 64-byte frames at 1.2 Mpps a queue.
const CHUNKS: u32 = 8192;
/// Bytes that the kernel leaves free before a frame.
pub const HEADROOM: u32 = 256;

/// What the kernel counted on a socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Frames handed out.
    pub taken: u64,
    /// Frames without room.
    pub drops: u64,
}

/// See the module. The fields drop in order: rings and socket before the memory that they use.
pub struct XdpSocket {
    fill: Ring<u64>,
    rx: Ring<xdp_desc>,
    /// Unused, but the kernel wants it.
    _completion: Ring<u64>,
    fd: OwnedFd,
    memory: Map,
    chunk: u32,
    /// Frames that are lent: their chunks go back with the next call.
    lent: Box<[u64]>,
    lent_count: usize,
    taken: u64,
    /// Its memory is in huge pages.
    pub has_huge_pages: bool,
    /// Frames are written by the driver, not copied.
    pub is_zero_copy: bool,
}

impl XdpSocket {
    /// Binds a socket to a queue of an interface, with chunks of `chunk` bytes (2048 or 4096). `busy_poll`:
    /// the kernel looks into the queue when we ask, instead of interrupts.
    ///
    /// # Errors
    /// When the kernel refuses: no such queue, another socket on it, no memory, no AF_XDP.
    #[allow(clippy::disallowed_macros, reason = "start-up")]
    pub fn bind(ifindex: u32, queue: u32, chunk: u32, busy_poll: bool) -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
        // SAFETY: new, and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let (memory, has_huge_pages) = Map::memory(CHUNKS as usize * chunk as usize)?;
        let area = libc::xdp_umem_reg {
            addr: memory.at(0, memory.len()).as_ptr() as u64,
            len: u64::from(CHUNKS) * u64::from(chunk),
            chunk_size: chunk,
            headroom: 0,
            flags: 0,
            // SAFETY: the rest is numbers, whichever there are.
            ..unsafe { mem::zeroed() }
        };
        set(&fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &area)?;
        set(&fd, libc::SOL_XDP, libc::XDP_UMEM_FILL_RING, &CHUNKS)?;
        set(&fd, libc::SOL_XDP, libc::XDP_UMEM_COMPLETION_RING, &1u32)?;
        set(&fd, libc::SOL_XDP, libc::XDP_RX_RING, &CHUNKS)?;
        let offsets: libc::xdp_mmap_offsets = get(&fd, libc::XDP_MMAP_OFFSETS)?;
        let map = |offset: u64, at: &libc::xdp_ring_offset, bytes: usize| {
            Map::ring(fd.as_fd(), offset as i64, at.desc as usize + bytes)
        };
        let count = CHUNKS as usize;
        let fill = map(libc::XDP_UMEM_PGOFF_FILL_RING, &offsets.fr, count * size_of::<u64>())?;
        let rx = map(libc::XDP_PGOFF_RX_RING as u64, &offsets.rx, count * size_of::<xdp_desc>())?;
        let completion = map(libc::XDP_UMEM_PGOFF_COMPLETION_RING, &offsets.cr, size_of::<u64>())?;
        let mut fill = Ring::new(fill, &offsets.fr, CHUNKS);
        (0..u64::from(CHUNKS)).for_each(|n| fill.put(n * u64::from(chunk)));
        fill.publish();
        if busy_poll {
            const SO_PREFER_BUSY_POLL: c_int = 69;
            const SO_BUSY_POLL_BUDGET: c_int = 70;
            // Kernels before 5.11 and drivers without NAPI go on as they are.
            let _ = set(&fd, libc::SOL_SOCKET, SO_PREFER_BUSY_POLL, &1i32);
            let _ = set(&fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, &20i32);
            let _ = set(&fd, libc::SOL_SOCKET, SO_BUSY_POLL_BUDGET, &64i32);
        }
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            // Zero-copy if the driver can; else the kernel copies.
            sxdp_flags: libc::XDP_USE_NEED_WAKEUP,
            sxdp_ifindex: ifindex,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        // SAFETY: the address is valid for its length during the call.
        check(unsafe {
            let len = size_of_val(&address) as socklen_t;
            libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len)
        })?;
        let options: libc::xdp_options = get(&fd, libc::XDP_OPTIONS)?;
        Ok(Self {
            fill,
            rx: Ring::new(rx, &offsets.rx, CHUNKS),
            _completion: Ring::new(completion, &offsets.cr, 1),
            fd,
            memory,
            chunk,
            lent: vec![0; count].into_boxed_slice(),
            lent_count: 0,
            taken: 0,
            has_huge_pages,
            is_zero_copy: options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0,
        })
    }

    /// Hands out at most `max` frames; returns how many. They stay where they are until
    /// [`XdpSocket::give_back`].
    #[inline]
    pub fn burst(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> usize {
        let count = max.min(self.rx.ready() as usize).min(self.lent.len() - self.lent_count);
        for _ in 0..count {
            let frame = self.rx.take();
            self.lent[self.lent_count] = frame.addr;
            self.lent_count += 1;
            let bytes = self.memory.at(frame.addr as usize, frame.len as usize);
            // SAFETY: in the memory, as `at` checked, and ours until the chunk is in the fill ring again.
            each(unsafe { std::slice::from_raw_parts(bytes.as_ptr(), frame.len as usize) });
        }
        self.taken += count as u64;
        count
    }

    /// Gives the chunks of all frames that were lent back to the kernel.
    #[inline]
    pub fn give_back(&mut self) {
        if self.lent_count == 0 {
            return;
        }
        for address in &self.lent[..self.lent_count] {
            self.fill.put(address & !u64::from(self.chunk - 1));
        }
        self.lent_count = 0;
        self.rx.give_back();
        self.fill.publish();
    }

    /// Returns whether a frame can be had at once.
    pub fn is_ready(&self) -> bool {
        self.rx.ready() > 0
    }

    /// Wakes the kernel if it waits for that to fill the queue.
    pub fn wake(&self) {
        if self.fill.wants_wakeup() {
            // SAFETY: no buffer; the call only looks into the queue.
            unsafe {
                libc::recvfrom(
                    self.fd.as_raw_fd(),
                    std::ptr::null_mut(),
                    0,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                )
            };
        }
    }

    /// Returns the counts, the kernel's brought up to date.
    pub fn counts(&self) -> Counts {
        let stats: libc::xdp_statistics = match get(&self.fd, libc::XDP_STATISTICS) {
            Ok(stats) => stats,
            // SAFETY: all members are numbers.
            Err(_) => unsafe { mem::zeroed() },
        };
        Counts { taken: self.taken, drops: stats.rx_dropped + stats.rx_ring_full }
    }
}

impl AsFd for XdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for XdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn set<T>(fd: &OwnedFd, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    // SAFETY: the value is valid for its length during the call.
    check(unsafe {
        let len = size_of::<T>() as socklen_t;
        libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(value).cast::<c_void>(), len)
    })
    .map(drop)
}

fn get<T: Copy>(fd: &OwnedFd, option: c_int) -> io::Result<T> {
    // SAFETY: only called for structs of integers, for which zero is a value.
    let mut value: T = unsafe { mem::zeroed() };
    let mut len = size_of::<T>() as socklen_t;
    // SAFETY: `value` is valid for writing `len` bytes during the call.
    check(unsafe {
        let to = (&raw mut value).cast::<c_void>();
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, option, to, &raw mut len)
    })
    .map(|_| value)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
