//! MPLS label stacks (RFC 3032), and the Ethernet pseudowires (RFC 4448) that may lie beneath.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    descriptor::encap,
    ethernet::ethertype,
    walk::{Next, Stop, Walk, be16},
};

/// Labels read before the stack must have ended.
const MAX_LABELS: usize = 16;

/// Reads labels down to the bottom of the stack and guesses what lies beneath.
///
/// Nothing in the stack says it. The first nibble is 4 or 6 with IP; a pseudowire has a control
/// word that begins with 0 (RFC 4385 section 3), or none, and then a MAC address which may begin
/// with anything.
#[cold]
pub(crate) fn stack(walk: &mut Walk) -> Result<Next, Stop> {
    const BOTTOM: u8 = 1;
    walk.vlan |= encap::MPLS;
    for _ in 0..MAX_LABELS {
        let label = walk.take::<4>()?;
        if label[2] & BOTTOM != 0 {
            return beneath(walk);
        }
    }
    Err(Stop::TooDeep)
}

fn beneath(walk: &mut Walk) -> Result<Next, Stop> {
    const CONTROL_WORD: usize = 4;
    let first = walk.peek::<1>()?[0];
    let places: &[usize] = match first >> 4 {
        4 if first & 0xf >= 5 => return Ok(Next::Ipv4),
        6 => return Ok(Next::Ipv6),
        0 => &[CONTROL_WORD, 0],
        _ => &[0],
    };
    // A known type says more than a length, which zeros look like.
    for looks_right in [has_type, has_length] {
        for skip in places {
            let mut inner = *walk;
            inner.at += skip;
            if inner.peek::<15>().is_ok_and(|header| looks_right(&inner, header)) {
                walk.at += skip;
                return Ok(Next::Mac);
            }
        }
    }
    Err(Stop::NotFlow)
}

/// Whether a type that may stand behind two MAC addresses stands there, IP of the right version.
fn has_type(_: &Walk, header: &[u8; 15]) -> bool {
    match be16(header, 12) {
        ethertype::IPV4 => header[14] >> 4 == 4,
        ethertype::IPV6 => header[14] >> 4 == 6,
        ethertype::ARP
        | ethertype::VLAN
        | ethertype::SERVICE_VLAN
        | ethertype::MPLS
        | ethertype::PPPOE_SESSION => true,
        _ => false,
    }
}

/// Whether a length stands there that holds an LLC header and lies within the frame.
fn has_length(walk: &Walk, header: &[u8; 15]) -> bool {
    let length = be16(header, 12);
    (3..=ethertype::MAX_LENGTH).contains(&length) && usize::from(length) + 14 <= walk.left()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Result and offset for what lies beneath one label (16, bottom of stack, TTL 64).
    fn under_label(beneath: &[u8]) -> (Result<Next, Stop>, usize) {
        let mut bytes = [0; 64];
        bytes[..4].copy_from_slice(&[0, 1, 1, 64]);
        bytes[4..4 + beneath.len()].copy_from_slice(beneath);
        let mut walk = Walk::new(&bytes, 64, 0);
        (stack(&mut walk), walk.at)
    }

    #[test]
    fn first_nibble_tells_ip() {
        assert_eq!(under_label(&[0x45]), (Ok(Next::Ipv4), 4));
        assert_eq!(under_label(&[0x60]), (Ok(Next::Ipv6), 4));
        // Generic associated channel (RFC 5586).
        assert_eq!(under_label(&[0x10, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff]).0, Err(Stop::NotFlow));
    }

    #[test]
    fn pseudowires_with_and_without_control_word_are_looked_through() {
        // Control word, MAC addresses that begin with 00, IPv4.
        let with = [0, 0, 0, 1, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 6, 0x08, 0, 0x45];
        assert_eq!(under_label(&with), (Ok(Next::Mac), 8));
        assert_eq!(under_label(&with[4..]), (Ok(Next::Mac), 4));
        // A MAC address that begins with 40 is not IPv4: the header length would be 0.
        let forty = [0x40, 0xa6, 2, 3, 4, 5, 0, 1, 2, 3, 4, 6, 0x86, 0xdd, 0x60];
        assert_eq!(under_label(&forty), (Ok(Next::Mac), 4));
    }

    #[test]
    fn stack_without_bottom_is_too_deep() {
        assert_eq!(stack(&mut Walk::new(&[0; 256], 256, 0)), Err(Stop::TooDeep));
        assert_eq!(stack(&mut Walk::new(&[0; 6], 6, 0)), Err(Stop::Cut));
    }
}
