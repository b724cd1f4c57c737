//! Asks the kernel about network links, and hears when they change.
//!
//! The questions are the old `SIOCGIF*` ioctls (netdevice(7)): they need no privileges and answer
//! for the network namespace of the socket they are asked on, unlike `/sys`, which shows that of
//! its mount.
#![expect(unsafe_code, reason = "system calls")]

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use libc::{c_int, c_ulong};

/// Returns the index of an interface.
///
/// # Errors
/// `ENODEV` when there is none of that name.
pub fn index_of(socket: BorrowedFd<'_>, name: &str) -> io::Result<u32> {
    let answer = ask(socket, libc::SIOCGIFINDEX, &mut request(name)?)?;
    // SAFETY: the call filled this member.
    Ok(unsafe { answer.ifr_ifru.ifru_ifindex } as u32)
}

/// Returns the name of the interface with this index.
///
/// # Errors
/// `ENODEV` when there is none.
pub fn name_of(socket: BorrowedFd<'_>, index: u32) -> io::Result<String> {
    let mut ifreq = request("")?;
    ifreq.ifr_ifru.ifru_ifindex = index as c_int;
    let answer = ask(socket, libc::SIOCGIFNAME, &mut ifreq)?;
    let bytes = answer.ifr_name.map(|c| c as u8);
    let name = CStr::from_bytes_until_nul(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(name.to_string_lossy().into_owned())
}

/// Returns the `IFF_*` flags.
///
/// # Errors
/// `ENODEV` when there is no such interface.
pub fn flags_of(socket: BorrowedFd<'_>, name: &str) -> io::Result<c_int> {
    let answer = ask(socket, libc::SIOCGIFFLAGS, &mut request(name)?)?;
    // SAFETY: the call filled this member. The flags are 16 bits.
    Ok(c_int::from(unsafe { answer.ifr_ifru.ifru_flags } as u16))
}

/// Returns the `ARPHRD_*` number: how frames begin.
///
/// # Errors
/// `ENODEV` when there is no such interface.
#[cfg_attr(not(feature = "bpf"), allow(dead_code, reason = "captures by BPF ask"))]
pub fn hatype_of(socket: BorrowedFd<'_>, name: &str) -> io::Result<u16> {
    let answer = ask(socket, libc::SIOCGIFHWADDR, &mut request(name)?)?;
    // SAFETY: the call filled this member; the family is the type.
    Ok(unsafe { answer.ifr_ifru.ifru_hwaddr }.sa_family)
}

/// Returns the largest packet in bytes.
///
/// # Errors
/// `ENODEV` when there is no such interface.
pub fn mtu_of(socket: BorrowedFd<'_>, name: &str) -> io::Result<u32> {
    let answer = ask(socket, libc::SIOCGIFMTU, &mut request(name)?)?;
    // SAFETY: the call filled this member.
    Ok(unsafe { answer.ifr_ifru.ifru_mtu } as u32)
}

/// Returns the speed in bits per second, `None` where the driver does not tell one.
pub fn speed_of(socket: BorrowedFd<'_>, name: &str) -> Option<u64> {
    const ETHTOOL_GSET: u32 = 1;
    // struct ethtool_cmd (linux/ethtool.h): cmd at 0, speed at 12, speed_hi at 28; 44 bytes.
    #[repr(C, align(4))]
    struct Command([u8; 44]);
    let mut command = Command([0; 44]);
    command.0[..4].copy_from_slice(&ETHTOOL_GSET.to_ne_bytes());
    let mut ifreq = request(name).ok()?;
    ifreq.ifr_ifru.ifru_data = command.0.as_mut_ptr().cast();
    ask(socket, libc::SIOCETHTOOL as c_ulong, &mut ifreq).ok()?;
    let half = |at| u32::from(u16::from_ne_bytes([command.0[at], command.0[at + 1]]));
    match half(28) << 16 | half(12) {
        0 | 0xffff | u32::MAX => None,
        mega => Some(u64::from(mega) * 1_000_000),
    }
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all members are numbers, or a pointer for which null is a value.
    let mut ifreq: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= libc::IFNAMSIZ || name.contains('\0') {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in ifreq.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(ifreq)
}

fn ask(socket: BorrowedFd<'_>, what: c_ulong, ifreq: &mut libc::ifreq) -> io::Result<libc::ifreq> {
    // SAFETY: the kernel reads and writes one `ifreq`, and what `ifru_data` points to if the
    // question uses it, which the caller keeps alive.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), what as _, &raw mut *ifreq) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(*ifreq) }
}

/// Returns the number of receive queues, `None` where the driver does not tell.
#[cfg_attr(not(feature = "bpf"), allow(dead_code, reason = "captures by BPF ask"))]
pub fn channels_of(socket: BorrowedFd<'_>, name: &str) -> Option<u32> {
    const ETHTOOL_GCHANNELS: u32 = 0x3c;
    // struct ethtool_channels (linux/ethtool.h): cmd, four maxima, rx_count, tx_count, other_count,
    // combined_count.
    let mut command = [0u32; 9];
    command[0] = ETHTOOL_GCHANNELS;
    let mut ifreq = request(name).ok()?;
    ifreq.ifr_ifru.ifru_data = command.as_mut_ptr().cast();
    ask(socket, libc::SIOCETHTOOL as c_ulong, &mut ifreq).ok()?;
    Some(command[5] + command[8]).filter(|count| *count > 0)
}

/// Hears that some link changed (rtnetlink(7), group LINK), or some address, not which one: whoever hears it looks.
pub struct LinkWatch(OwnedFd);

impl LinkWatch {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the kernel has no netlink.
    pub fn new() -> io::Result<Self> {
        Self::of(libc::RTMGRP_LINK)
    }

    /// The same for addresses of interfaces.
    ///
    /// # Errors
    /// As above.
    pub fn of_addresses() -> io::Result<Self> {
        Self::of(libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR)
    }

    fn of(groups: c_int) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all members are numbers.
        let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = groups as u32;
        // SAFETY: the address is valid for its length during the call.
        let done = unsafe {
            let len = size_of_val(&address) as libc::socklen_t;
            libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len)
        };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(fd)) }
    }

    /// Returns whether one changed since the last call. Never waits.
    pub fn changed(&self) -> bool {
        let mut changed = false;
        let mut buffer = [0u8; 4096];
        loop {
            // SAFETY: the buffer is valid for its length; longer messages are cut, which is fine.
            let n = unsafe { libc::recv(self.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let error = io::Error::last_os_error();
            match n {
                0.. => changed = true,
                // More changes than the socket's buffer holds: something changed, for sure.
                _ if error.raw_os_error() == Some(libc::ENOBUFS) => changed = true,
                _ if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return changed,
            }
        }
    }
}

impl AsRawFd for LinkWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
