//! An AF_PACKET socket and the options that the capture needs of it (packet(7)).
#![expect(unsafe_code, reason = "system calls")]

use std::{
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use libc::{c_int, c_uint, c_void, sock_filter, socklen_t};

/// Frames that a socket's ring took and refused since the last time it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// All frames for the socket, the refused ones included.
    pub frames: u32,
    /// Frames for which there was no room.
    pub drops: u32,
}

/// A raw packet socket; closed when dropped.
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens a socket that receives nothing before [`PacketSocket::bind`].
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW.
    pub fn new() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: `fd` is new and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Puts a virtio header before each frame.
    ///
    /// # Errors
    /// On kernels that do not know it, and after the ring was made.
    pub fn enable_vnet_header(&self) -> io::Result<()> {
        self.set(libc::PACKET_VNET_HDR, &1i32)
    }

    /// Gives the socket a TPACKET_V3 receive ring.
    ///
    /// # Errors
    /// `ENOMEM` without that much memory, `EINVAL` for impossible sizes.
    pub fn allocate_ring(&self, block_size: usize, blocks: usize, retire_ms: u32) -> io::Result<()> {
        const FRAME: usize = 2048; // only has to divide the block; V3 packs frames of any length
        self.set(libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as c_int))?;
        let too_big = |_| io::Error::from(io::ErrorKind::InvalidInput);
        self.set(
            libc::PACKET_RX_RING,
            &libc::tpacket_req3 {
                tp_block_size: c_uint::try_from(block_size).map_err(too_big)?,
                tp_block_nr: c_uint::try_from(blocks).map_err(too_big)?,
                tp_frame_size: FRAME as c_uint,
                tp_frame_nr: c_uint::try_from(block_size / FRAME * blocks).map_err(too_big)?,
                tp_retire_blk_tov: retire_ms,
                tp_sizeof_priv: 0,
                tp_feature_req_word: 0,
            },
        )
    }

    /// Takes the ring away again; it must not be mapped.
    ///
    /// # Errors
    /// `EBUSY` while it is mapped.
    pub fn free_ring(&self) -> io::Result<()> {
        // SAFETY: all fields are numbers; zero blocks means: free.
        self.set(libc::PACKET_RX_RING, &unsafe { mem::zeroed::<libc::tpacket_req3>() })
    }

    /// Lets frames in: those of the interface with this index, of all with 0; both directions.
    ///
    /// # Errors
    /// `ENODEV` when there is no such interface. One that is down is no error: frames come when
    /// it is up.
    pub fn bind(&self, ifindex: u32) -> io::Result<()> {
        // SAFETY: all fields are numbers.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = ifindex as c_int;
        // SAFETY: the address is valid for its length during the call.
        check(unsafe {
            libc::bind(self.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as socklen_t)
        })?;
        Ok(())
    }

    /// Returns the index of the interface that the socket is bound to: 0 for all, negative when
    /// that interface has been deleted.
    pub fn bound_index(&self) -> i32 {
        // SAFETY: all fields are numbers.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        let mut len = size_of_val(&address) as socklen_t;
        // SAFETY: both pointers are valid for writing during the call.
        let done = unsafe { libc::getsockname(self.as_raw_fd(), (&raw mut address).cast(), &raw mut len) };
        if done < 0 { -1 } else { address.sll_ifindex }
    }

    /// Asks the interface for every frame it hears, until the socket is closed.
    ///
    /// # Errors
    /// When the interface does not exist.
    pub fn set_promiscuous(&self, ifindex: u32) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: ifindex as c_int,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set(libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Runs this classic BPF program on each frame: it returns how many bytes to keep, 0 to leave
    /// the frame uncounted. Replaces an earlier one.
    ///
    /// # Errors
    /// When the kernel finds the program invalid.
    pub fn attach_filter(&self, program: &[sock_filter]) -> io::Result<()> {
        self.set_at(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &as_fprog(program))
    }

    /// Takes the filter away, if there is one.
    pub fn detach_filter(&self) {
        let _ = self.set_at(libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0i32);
    }

    /// Makes the bound socket a member of a fanout group that splits by `program`. Without `id`
    /// a new group is made. Returns the group's id.
    ///
    /// # Errors
    /// `EINVAL` when the group is for another interface, or (older kernels) the interface is down.
    pub fn join_fanout(&self, id: Option<u16>, program: &[sock_filter]) -> io::Result<u16> {
        let mut kind = libc::PACKET_FANOUT_CBPF;
        if id.is_none() {
            kind |= libc::PACKET_FANOUT_FLAG_UNIQUEID;
        }
        self.set(libc::PACKET_FANOUT, &(u32::from(id.unwrap_or(0)) | kind << 16))?;
        self.set(libc::PACKET_FANOUT_DATA, &as_fprog(program))?;
        Ok(self.get::<u32>(libc::SOL_PACKET, libc::PACKET_FANOUT)? as u16)
    }

    /// Returns the counts since the last call.
    ///
    /// # Errors
    /// None that are known.
    pub fn statistics(&self) -> io::Result<Statistics> {
        let s: libc::tpacket_stats_v3 = self.get(libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        Ok(Statistics { frames: s.tp_packets, drops: s.tp_drops })
    }

    /// Takes the socket's pending error (`ENETDOWN`), which would otherwise keep `poll` awake.
    pub fn take_error(&self) {
        let _ = self.get::<c_int>(libc::SOL_SOCKET, libc::SO_ERROR);
    }

    fn set<T>(&self, option: c_int, value: &T) -> io::Result<()> {
        self.set_at(libc::SOL_PACKET, option, value)
    }

    fn set_at<T>(&self, level: c_int, option: c_int, value: &T) -> io::Result<()> {
        let len = size_of::<T>() as socklen_t;
        // SAFETY: `value` is valid for `len` bytes during the call.
        let done = unsafe {
            libc::setsockopt(self.as_raw_fd(), level, option, std::ptr::from_ref(value).cast::<c_void>(), len)
        };
        check(done).map(drop)
    }

    fn get<T: Copy>(&self, level: c_int, option: c_int) -> io::Result<T> {
        // SAFETY: only called for integers and structs of integers, for which zero is a value.
        let mut value: T = unsafe { mem::zeroed() };
        let mut len = size_of::<T>() as socklen_t;
        // SAFETY: `value` is valid for writing `len` bytes during the call.
        let done = unsafe {
            libc::getsockopt(self.as_raw_fd(), level, option, (&raw mut value).cast::<c_void>(), &raw mut len)
        };
        check(done).map(|_| value)
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Returns a `sock_fprog` that borrows `program`; the kernel only reads it.
fn as_fprog(program: &[sock_filter]) -> libc::sock_fprog {
    libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
