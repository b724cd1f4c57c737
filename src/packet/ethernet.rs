//! Ethernet and what stands between it and IP: VLAN tags, PPPoE, LLC and SNAP.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::{
    descriptor::encap,
    walk::{Next, Stop, Walk, be16},
};

/// EtherTypes (IEEE registration authority) that lead to IP or ARP.
pub(crate) mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    /// Transparent Ethernet bridging: an Ethernet frame inside GRE, Geneve.
    pub const BRIDGED: u16 = 0x6558;
    pub const RARP: u16 = 0x8035;
    /// IEEE 802.1Q.
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const PPP: u16 = 0x880b;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const PPPOE_SESSION: u16 = 0x8864;
    /// IEEE 802.1ad.
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// IEEE 802.1ah: a service tag, then a whole Ethernet header.
    pub const BACKBONE: u16 = 0x88e7;
    /// Stacked tags from before 802.1ad.
    pub const OLD_QINQ: [u16; 3] = [0x9100, 0x9200, 0x9300];
    /// The largest number that is a length and not a type (IEEE 802.3 clause 3.2.6).
    pub const MAX_LENGTH: u16 = 1500;
}

/// Reads destination, source and type or length.
#[inline]
pub(crate) fn mac(walk: &mut Walk) -> Result<Next, Stop> {
    let header = walk.take::<14>()?;
    Ok(type_or_length(walk, be16(header, 12)))
}

#[inline]
const fn type_or_length(walk: &mut Walk, number: u16) -> Next {
    if number > ethertype::MAX_LENGTH {
        return Next::EtherType(number);
    }
    walk.vlan |= encap::BENEATH;
    Next::Llc
}

/// Tells what an EtherType stands for, and reads the headers that are no more than a tag.
#[inline]
pub(crate) fn ethertype(walk: &mut Walk, number: u16) -> Result<Next, Stop> {
    match number {
        ethertype::IPV4 => Ok(Next::Ipv4),
        ethertype::IPV6 => Ok(Next::Ipv6),
        ethertype::ARP | ethertype::RARP => Ok(Next::Arp),
        ethertype::VLAN | ethertype::SERVICE_VLAN => vlan(walk),
        ethertype::MPLS | ethertype::MPLS_MULTICAST => Ok(Next::Mpls),
        ethertype::PPPOE_SESSION => pppoe(walk),
        ethertype::PPP => Ok(Next::Ppp),
        ethertype::BRIDGED => Ok(Next::Mac),
        ethertype::BACKBONE => {
            walk.take::<4>()?;
            Ok(Next::Mac)
        }
        _ if ethertype::OLD_QINQ.contains(&number) => vlan(walk),
        _ => Err(Stop::NotFlow),
    }
}

/// Reads the rest of a tag: TCI and the next type (IEEE 802.1Q clause 9.6).
fn vlan(walk: &mut Walk) -> Result<Next, Stop> {
    let tag = walk.take::<4>()?;
    walk.vlan |= match walk.vlan & encap::VLAN {
        0 => vlan_key(be16(tag, 0)),
        _ => encap::TAGS,
    };
    Ok(type_or_length(walk, be16(tag, 2)))
}

/// Returns the VLAN id of a TCI plus 1.
#[inline]
pub(crate) const fn vlan_key(tci: u16) -> u16 {
    (tci & 0xfff) + 1
}

/// Reads a PPPoE session header (RFC 2516 section 4); its code is 0, else it is discovery.
fn pppoe(walk: &mut Walk) -> Result<Next, Stop> {
    let [version_type, code, _, _, length @ ..] = *walk.take::<6>()?;
    if (version_type, code) != (0x11, 0) {
        return Err(Stop::NotFlow);
    }
    // What follows is padding of the Ethernet frame, not payload.
    walk.limit(usize::from(u16::from_be_bytes(length)));
    walk.vlan |= encap::PPPOE;
    Ok(Next::Ppp)
}

/// Reads LLC (IEEE 802.2) and SNAP (IEEE 802, RFC 1042); other services than IP are no flow.
pub(crate) fn llc(walk: &mut Walk) -> Result<Next, Stop> {
    const SNAP: u8 = 0xaa;
    const IP: u8 = 0x06;
    const UNNUMBERED: u8 = 0x03;
    match *walk.take::<3>()? {
        [SNAP, SNAP, UNNUMBERED] => {
            let header = walk.take::<5>()?;
            match [header[0], header[1], header[2]] {
                // RFC 1042, and 802.1H for what bridges translate.
                [0, 0, 0] | [0, 0, 0xf8] => Ok(Next::EtherType(be16(header, 3))),
                _ => Err(Stop::NotFlow),
            }
        }
        [IP, IP, UNNUMBERED] => Ok(Next::Ip),
        _ => Err(Stop::NotFlow),
    }
}

#[cfg(test)]
#[allow(clippy::type_complexity, reason = "tests")]
mod tests {
    use super::*;
    use crate::packet::walk::network;

    const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

    /// Name, bytes, and what [`walked`] makes of them.
    type Case = (&'static str, &'static [u8], Result<Next, Stop>, usize, u16);

    /// Result, offset and VLAN after an Ethernet header that ends in these bytes.
    fn walked(tail: &[u8]) -> (Result<Next, Stop>, usize, u16) {
        let mut bytes = [0; 64];
        bytes[..12].copy_from_slice(&ADDRESSES);
        bytes[12..12 + tail.len()].copy_from_slice(tail);
        let mut walk = Walk::new(&bytes[..12 + tail.len()], 64, 0);
        let next = network(&mut walk, Next::Mac);
        (next, walk.at, walk.vlan)
    }

    #[test]
    fn links_lead_to_the_network_header() {
        use encap::{BENEATH, MPLS, PPPOE, TAGS};
        let cases: &[Case] = &[
            ("IPv4", &[0x08, 0x00], Ok(Next::Ipv4), 14, 0),
            ("IPv6", &[0x86, 0xdd], Ok(Next::Ipv6), 14, 0),
            ("ARP", &[0x08, 0x06], Ok(Next::Arp), 14, 0),
            ("RARP", &[0x80, 0x35], Ok(Next::Arp), 14, 0),
            ("priority tag", &[0x81, 0, 0xe0, 0, 0x08, 0], Ok(Next::Ipv4), 18, 1),
            ("802.1Q, priority 5", &[0x81, 0, 0xa0, 7, 0x86, 0xdd], Ok(Next::Ipv6), 18, 8),
            ("802.1ad", &[0x88, 0xa8, 0, 2, 0x81, 0, 0, 3, 0x08, 0], Ok(Next::Ipv4), 22, 3 | TAGS),
            ("9100", &[0x91, 0, 0x0f, 0xff, 0x81, 0, 0, 3, 0x08, 6], Ok(Next::Arp), 22, 4096 | TAGS),
            ("MPLS, two labels", &[0x88, 0x47, 0, 1, 0, 9, 0, 2, 1, 9, 0x45], Ok(Next::Ipv4), 22, MPLS),
            ("PPPoE", &[0x88, 0x64, 0x11, 0, 0, 1, 0, 9, 0, 0x21], Ok(Next::Ipv4), 22, PPPOE),
            ("PPPoE LCP", &[0x88, 0x64, 0x11, 0, 0, 1, 0, 9, 0xc0, 0x21], Err(Stop::NotFlow), 22, PPPOE),
            ("PPPoE discovery", &[0x88, 0x63, 0x11, 9, 0, 0, 0, 0], Err(Stop::NotFlow), 14, 0),
            ("SNAP", &[0, 40, 0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0], Ok(Next::Ipv4), 22, BENEATH),
            ("SNAP, Cisco", &[0, 40, 0xaa, 0xaa, 3, 0, 0, 12, 0x20, 0], Err(Stop::NotFlow), 22, BENEATH),
            ("802.2 IP", &[0, 40, 6, 6, 3, 0x45], Ok(Next::Ipv4), 17, BENEATH),
            ("spanning tree", &[0, 38, 0x42, 0x42, 3], Err(Stop::NotFlow), 17, BENEATH),
            ("tag, then LLC", &[0x81, 0, 0, 1, 0, 38, 0x42, 0x42, 3], Err(Stop::NotFlow), 21, 2 | BENEATH),
            ("LLDP", &[0x88, 0xcc], Err(Stop::NotFlow), 14, 0),
            ("cut in the tag", &[0x81, 0, 0], Err(Stop::Cut), 14, 0),
            ("cut in the type", &[0x81], Err(Stop::Cut), 0, 0),
        ];
        for (name, tail, next, at, vlan) in cases {
            assert_eq!(walked(tail), (*next, *at, *vlan), "{name}");
        }
    }

    #[test]
    fn backbone_bridging_is_looked_through() {
        let mut tail = [0; 2 + 4 + 14];
        tail[..2].copy_from_slice(&[0x88, 0xe7]);
        tail[18..].copy_from_slice(&[0x86, 0xdd]);
        assert_eq!(walked(&tail), (Ok(Next::Ipv6), 32, 0));
    }

    #[test]
    fn endless_tags_are_too_deep() {
        let tags = [0, 0, 0x81, 0].repeat(100);
        let mut walk = Walk::new(&tags, 400, 0);
        assert_eq!(network(&mut walk, Next::EtherType(0x8100)), Err(Stop::TooDeep));
    }
}
