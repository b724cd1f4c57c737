//! What the transport header tells the worker, whichever protocol it is.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    descriptor::flag,
    icmp,
    key::proto,
    tcp, udp,
    walk::{Walk, be16},
};

/// The fields of a descriptor that come from the transport header; ports of sender and receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transport {
    pub ports: [u16; 2],
    pub seq_number: u32,
    pub ack_number: u32,
    pub window: u16,
    pub tcp_flags: u8,
    pub window_scale: u8,
    /// Bits of [`flag`].
    pub flags: u8,
}

/// Reads the header at the walk and goes behind it, where the payload begins.
///
/// `fragmented`: the packet is the first piece of a datagram.
#[inline]
pub(crate) fn read(walk: &mut Walk, number: u8, fragmented: bool) -> Transport {
    match number {
        proto::TCP => tcp::read(walk, fragmented),
        proto::UDP | proto::UDPLITE => udp::read(walk),
        proto::ICMP | proto::ICMPV6 => icmp::read(walk, number),
        proto::SCTP => with_ports(walk, 12),
        proto::DCCP => with_ports(walk, 12),
        _ => Transport::default(),
    }
}

/// Reads two ports at the start of a header of `len` bytes.
///
/// If the header is not there in full, the ports are still taken if they are, and the flag says so.
#[inline]
pub(crate) fn with_ports(walk: &mut Walk, len: usize) -> Transport {
    let Ok(header) = walk.peek::<4>() else { return cut() };
    let flags = if walk.rest().len() < len { flag::NO_TRANSPORT } else { 0 };
    let ports = [be16(header, 0), be16(header, 2)];
    walk.at += len;
    Transport { ports, flags, ..Transport::default() }
}

/// Returns what is known when the header is missing: nothing.
#[cold]
pub(crate) fn cut() -> Transport {
    Transport { flags: flag::NO_TRANSPORT, ..Transport::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_survive_a_cut_behind_them() {
        let bytes = [0x13, 0x88, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 0];
        for number in [proto::SCTP, proto::DCCP] {
            for (len, ports, flags) in
                [(12, [5000, 80], 0), (11, [5000, 80], flag::NO_TRANSPORT), (3, [0, 0], flag::NO_TRANSPORT)]
            {
                let mut walk = Walk::new(&bytes[..len], 60, 0);
                let transport = read(&mut walk, number, false);
                assert_eq!((transport.ports, transport.flags), (ports, flags), "{number} {len}");
            }
        }
    }

    #[test]
    fn protocols_without_ports_have_none() {
        for number in [proto::ESP, proto::GRE, proto::IGMP, 89, 253] {
            assert_eq!(read(&mut Walk::new(&[1; 40], 40, 0), number, false), Transport::default());
        }
    }
}
