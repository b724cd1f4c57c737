//! Finds out whether virtio headers can be had without losing super-frames.
//!
//! With `PACKET_VNET_HDR` the kernel drops a super-frame whose kind the header cannot tell. UDP
//! segmentation can be told since kernel 6.2 only, and QUIC servers send little else, so a real
//! UDP super-frame is sent over loopback, from this process to itself, and looked for.
#![expect(unsafe_code, reason = "setsockopt UDP_SEGMENT")]

use std::{
    io,
    net::UdpSocket,
    os::fd::{AsFd, AsRawFd},
};

use super::socket::PacketSocket;
use crate::platform::linux::link;

/// What virtio headers come to on this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VnetHeader {
    /// They tell the segment size of TCP and UDP super-frames.
    Works,
    /// They would lose frames, or are not known: segments cannot be told.
    Absent,
}

/// Tests it. When loopback cannot be used (down in a fresh namespace), the kernel's version decides.
pub fn vnet_header() -> VnetHeader {
    let works = try_on_loopback().unwrap_or_else(|_| kernel_version() >= (6, 2));
    if works { VnetHeader::Works } else { VnetHeader::Absent }
}

const SEGMENT: u16 = 96;

fn try_on_loopback() -> io::Result<bool> {
    let socket = PacketSocket::new()?;
    if socket.enable_vnet_header().is_err() {
        return Ok(false);
    }
    let receiver = UdpSocket::bind("127.0.0.1:0")?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.connect(receiver.local_addr()?)?;
    let segment = i32::from(SEGMENT);
    // SAFETY: the value is valid for its length during the call.
    let refused = unsafe {
        let value = (&raw const segment).cast();
        libc::setsockopt(sender.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, 4)
    };
    if refused != 0 {
        return Ok(true); // A kernel without UDP segmentation (before 4.18) has none to lose.
    }
    socket.bind(link::index_of(sender.as_fd(), "lo")?)?;
    let ports = [sender.local_addr()?.port().to_be_bytes(), receiver.local_addr()?.port().to_be_bytes()];
    sender.send(&[0x5a; 3 * SEGMENT as usize])?;

    // The frame is queued before `send` returns; other traffic of the host may be around it.
    let mut buffer = [0u8; 2048];
    for _ in 0..1024 {
        match socket.receive(&mut buffer) {
            Ok(n) if is_super_frame(&buffer[..n.min(buffer.len())], &ports.concat()) => return Ok(true),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {} // A frame that cannot be told.
            Err(e) => return Err(e),
        }
    }
    Ok(false)
}

/// Whether this is our datagram, unsegmented: virtio header, Ethernet, IPv4, UDP.
fn is_super_frame(frame: &[u8], ports: &[u8]) -> bool {
    const UDP_L4: u8 = 5;
    let size = frame.get(4..6).map(|s| u16::from_ne_bytes([s[0], s[1]]));
    frame.get(1) == Some(&UDP_L4) && size == Some(SEGMENT) && frame.get(44..48) == Some(ports)
}

fn kernel_version() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
