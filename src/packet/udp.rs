//! UDP (RFC 768) and UDP-Lite (RFC 3828) headers.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    transport::{self, Transport},
    walk::Walk,
};

/// Source port, destination port, length (or coverage), checksum.
pub(crate) const HEADER: usize = 8;

/// Reads a header. Its length field is not used: the IP header says the same, and says it also for
/// super-frames.
#[inline]
pub(crate) fn read(walk: &mut Walk) -> Transport {
    transport::with_ports(walk, HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_rfc_says() {
        // Ports 53 and 40000, length 12, checksum.
        let mut walk = Walk::new(&[0, 53, 0x9c, 0x40, 0, 12, 0xab, 0xcd, 1, 2, 3, 4], 12, 0);
        let udp = read(&mut walk);
        assert_eq!((udp.ports, udp.flags, walk.at, walk.left()), ([53, 40000], 0, 8, 4));
    }
}
