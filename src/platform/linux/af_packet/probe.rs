//! Finds out whether virtio headers can be had without losing super-frames.
//!
//! With `PACKET_VNET_HDR` the kernel drops a super-frame whose kind the header cannot tell. UDP
//! segmentation, which came with 4.18 and which QUIC servers send by, can be told since 6.2 only
//! (`virtio_net_hdr_from_skb` in `include/linux/virtio_net.h`), so the version decides. A kernel between the
//! two whose maker has brought that back is taken for one that has not: segments are not told then, and nothing
//! is lost. Trying it would take a UDP super-frame sent somewhere, and this program sends nothing.

use super::socket::PacketSocket;

/// What virtio headers come to on this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VnetHeader {
    /// They tell the segment size of TCP and UDP super-frames.
    Works,
    /// They would lose frames, or are not known: segments cannot be told.
    Absent,
}

/// Asks this kernel. The socket is good for nothing else afterwards.
pub fn vnet_header(socket: &PacketSocket) -> VnetHeader {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    match socket.enable_vnet_header() {
        Ok(()) => of_kernel(version(&release)),
        Err(_) => VnetHeader::Absent,
    }
}

fn of_kernel(version: (u32, u32)) -> VnetHeader {
    match version {
        // Without UDP segmentation there is none to lose.
        (1.., _) if version < (4, 18) => VnetHeader::Works,
        _ if version >= (6, 2) => VnetHeader::Works,
        _ => VnetHeader::Absent,
    }
}

/// Returns the first two numbers of `6.1.0-13-amd64`; 0 where there are none.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_version_decides() {
        for (release, expected) in [
            ("4.17.19\n", VnetHeader::Works),
            ("4.18.0-553.el8", VnetHeader::Absent),
            ("6.1.0-13-amd64", VnetHeader::Absent),
            ("6.2.0", VnetHeader::Works),
            ("6.18.44-fc", VnetHeader::Works),
            ("7.0-rc1", VnetHeader::Works),
            ("", VnetHeader::Absent),
            ("unknown", VnetHeader::Absent),
        ] {
            assert_eq!(of_kernel(version(release)), expected, "{release}");
        }
    }
}
