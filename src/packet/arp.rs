//! ARP (RFC 826) and RARP (RFC 903) for IPv4.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    ethernet::ethertype,
    walk::{Stop, Walk, be16, be32},
};

/// A packet that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arp {
    /// Protocol addresses of sender and target.
    pub ends: [u32; 2],
    /// 1 request, 2 reply, 3 and 4 the same of RARP, ...
    pub operation: u16,
    /// The sender's hardware address where it has 6 bytes, else zeros.
    pub sender: [u8; 6],
}

/// Reads a packet with hardware addresses of any length and IPv4 addresses.
///
/// # Errors
/// For other protocols, which make no flow, and if the addresses are not there.
#[cold]
pub(crate) fn read(walk: &mut Walk) -> Result<Arp, Stop> {
    let header = walk.take::<8>()?;
    let hardware_len = usize::from(header[4]);
    if be16(header, 2) != ethertype::IPV4 || header[5] != 4 {
        return Err(Stop::NotFlow);
    }
    let at = walk.at;
    walk.at += hardware_len;
    let hardware = walk.bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    let hardware = hardware.filter(|_| hardware_len == 6).copied().unwrap_or_default();
    let sender = be32(walk.take::<4>()?, 0);
    walk.at += hardware_len;
    let target = be32(walk.take::<4>()?, 0);
    Ok(Arp { ends: [sender, target], operation: be16(header, 6), sender: hardware })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: [u8; 28] = [
        0x00, 0x01, 0x08, 0x00, // Ethernet, IPv4
        0x06, 0x04, 0x00, 0x02, // address lengths, reply
        2, 0, 0, 0, 0, 1, 192, 0, 2, 1, // sender
        2, 0, 0, 0, 0, 2, 192, 0, 2, 2, // target
    ];

    #[test]
    fn fields_are_where_the_rfc_says() {
        let arp = read(&mut Walk::new(&REPLY, 60, 0));
        assert_eq!(
            arp,
            Ok(Arp { ends: [0xc000_0201, 0xc000_0202], operation: 2, sender: [2, 0, 0, 0, 0, 1] })
        );
    }

    #[test]
    fn other_protocols_and_cut_packets_are_no_flow() {
        let mut appletalk = REPLY;
        appletalk[2..4].copy_from_slice(&[0x80, 0x9b]);
        assert_eq!(read(&mut Walk::new(&appletalk, 60, 0)), Err(Stop::NotFlow));
        for len in 0..REPLY.len() {
            assert_eq!(read(&mut Walk::new(&REPLY[..len], 60, 0)), Err(Stop::Cut), "{len}");
        }
        let mut lying = REPLY;
        lying[4] = 255;
        assert_eq!(read(&mut Walk::new(&lying, 60, 0)), Err(Stop::Cut));
    }
}
