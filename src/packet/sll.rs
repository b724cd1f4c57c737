//! Linux "cooked" captures, versions 1 and 2 (tcpdump.org: `LINKTYPE_LINUX_SLL`, `..._SLL2`).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::walk::{Next, Stop, Walk, be16};

/// Reads packet type, ARPHRD type, address length, address, protocol: 16 bytes.
pub(crate) fn v1(walk: &mut Walk) -> Result<Next, Stop> {
    let header = walk.take::<16>()?;
    payload(be16(header, 14), be16(header, 2))
}

/// Reads protocol, reserved, interface, ARPHRD type, packet type, address length and address: 20 bytes.
pub(crate) fn v2(walk: &mut Walk) -> Result<Next, Stop> {
    let header = walk.take::<20>()?;
    payload(be16(header, 0), be16(header, 8))
}

fn payload(protocol: u16, arphrd: u16) -> Result<Next, Stop> {
    const ARPHRD_NETLINK: u16 = 824;
    const LLC: u16 = 0x0004;
    match (protocol, arphrd) {
        (_, ARPHRD_NETLINK) => Err(Stop::NotFlow),
        (LLC, _) => Ok(Next::Llc),
        (number, _) => Ok(Next::EtherType(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_is_found_in_both_versions() {
        // Unicast to us, Ethernet, 6-byte address and its padding, IPv4.
        let one = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x08, 0];
        let mut walk = Walk::new(&one, 16, 0);
        assert_eq!((v1(&mut walk), walk.at), (Ok(Next::EtherType(0x0800)), 16));
        // IPv6, reserved, interface 2, loopback, outgoing, address.
        let two = [0x86, 0xdd, 0, 0, 0, 0, 0, 2, 3, 4, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut walk = Walk::new(&two, 20, 0);
        assert_eq!((v2(&mut walk), walk.at), (Ok(Next::EtherType(0x86dd)), 20));
        assert_eq!(v2(&mut Walk::new(&two[..19], 20, 0)), Err(Stop::Cut));
    }

    #[test]
    fn llc_and_netlink_are_not_ethertypes() {
        assert_eq!(payload(4, 1), Ok(Next::Llc));
        assert_eq!(payload(0x0800, 824), Err(Stop::NotFlow));
    }
}
