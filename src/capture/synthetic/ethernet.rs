//! Writes the headers of synthetic frames: Ethernet, VLAN tag, IP, transport, with right lengths
//! and checksums.

use std::net::IpAddr;

use crate::packet::key::proto;

/// The shortest frame on the wire, without its check sequence (IEEE 802.3 section 4A.4.2).
const MIN_FRAME: usize = 60;

/// One frame being written.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    ip: usize,
}

/// The ends of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub sport: u16,
    pub dport: u16,
    /// VLAN tag control information, if the frame has a tag.
    pub vlan: Option<u16>,
}

impl Ends {
    /// Returns the same from the other side.
    pub const fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, vlan: self.vlan }
    }
}

/// The fields of a TCP header that vary.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub seq_number: u32,
    pub ack_number: u32,
    pub flags: u8,
}

/// A piece of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    pub id: u32,
    /// In units of 8 bytes.
    pub offset: u16,
    pub more: bool,
}

impl Writer {
    /// Returns a TCP segment with `payload`; a SYN has options (MSS, window scale).
    pub fn tcp(&mut self, ends: &Ends, segment: Segment, payload: &[u8]) -> &[u8] {
        const OPTIONS: [u8; 8] = [2, 4, 0x05, 0xb4, 1, 3, 3, 7];
        const SYN: u8 = 2;
        let options: &[u8] = if segment.flags & SYN != 0 { &OPTIONS } else { &[] };
        self.open(ends, proto::TCP, 20 + options.len() + payload.len(), None);
        let at = self.ports(ends);
        self.put(&segment.seq_number.to_be_bytes());
        self.put(&segment.ack_number.to_be_bytes());
        self.put(&[((20 + options.len()) << 2) as u8, segment.flags]);
        self.put(&[0xff, 0xff, 0, 0, 0, 0]);
        self.put(options);
        self.put(payload);
        self.close(ends, proto::TCP, at, at + 16)
    }

    /// Returns a UDP datagram with `payload`.
    pub fn udp(&mut self, ends: &Ends, payload: &[u8]) -> &[u8] {
        self.open(ends, proto::UDP, 8 + payload.len(), None);
        let at = self.udp_header(ends, payload.len());
        self.put(payload);
        self.close(ends, proto::UDP, at, at + 6)
    }

    /// Returns the first fragment of a UDP datagram of `whole` bytes of payload in all.
    ///
    /// Its checksum is 0, "none" (RFC 768), on IPv6 too (RFC 6935).
    pub fn first_fragment(&mut self, ends: &Ends, part: Fragment, whole: usize, payload: &[u8]) -> &[u8] {
        self.open(ends, proto::UDP, 8 + payload.len(), Some(part));
        self.udp_header(ends, whole);
        self.put(payload);
        self.pad()
    }

    /// Returns a later fragment of a UDP datagram.
    pub fn later_fragment(&mut self, ends: &Ends, part: Fragment, payload: &[u8]) -> &[u8] {
        self.open(ends, proto::UDP, payload.len(), Some(part));
        self.put(payload);
        self.pad()
    }

    /// Returns an ICMP or ICMPv6 echo request or reply (RFC 792, RFC 4443 section 4).
    pub fn echo(&mut self, ends: &Ends, reply: bool, id: u16, number: u16) -> &[u8] {
        let (protocol, kind) = match (ends.src, reply) {
            (IpAddr::V4(_), false) => (proto::ICMP, 8),
            (IpAddr::V4(_), true) => (proto::ICMP, 0),
            (IpAddr::V6(_), false) => (proto::ICMPV6, 128),
            (IpAddr::V6(_), true) => (proto::ICMPV6, 129),
        };
        self.open(ends, protocol, 8 + 32, None);
        let at = self.bytes.len();
        self.put(&[kind, 0, 0, 0]);
        self.put(&id.to_be_bytes());
        self.put(&number.to_be_bytes());
        self.put(&[0x61; 32]);
        self.close(ends, protocol, at, at + 2)
    }

    /// Returns an ARP request or reply (RFC 826) between the IPv4 `ends`.
    pub fn arp(&mut self, ends: &Ends, reply: bool) -> &[u8] {
        self.link(ends, 0x0806);
        self.put(&[0, 1, 8, 0, 6, 4, 0, 1 + u8::from(reply)]);
        for (end, known) in [(ends.src, true), (ends.dst, reply)] {
            self.put(&if known { mac(end) } else { [0; 6] });
            self.address(end);
        }
        self.pad()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(a) => self.put(&a.octets()),
            IpAddr::V6(a) => self.put(&a.octets()),
        }
    }

    fn link(&mut self, ends: &Ends, ethertype: u16) {
        self.bytes.clear();
        self.put(&mac(ends.dst));
        self.put(&mac(ends.src));
        if let Some(tag) = ends.vlan {
            self.put(&[0x81, 0]);
            self.put(&tag.to_be_bytes());
        }
        self.put(&ethertype.to_be_bytes());
        self.ip = self.bytes.len();
    }

    /// Writes link and IP header for `len` bytes of transport.
    fn open(&mut self, ends: &Ends, protocol: u8, len: usize, part: Option<Fragment>) {
        let v4 = ends.src.is_ipv4();
        self.link(ends, if v4 { 0x0800 } else { 0x86dd });
        if v4 {
            self.put(&[0x45, 0]);
            self.put(&(20 + len as u16).to_be_bytes());
            self.put(&(part.map_or(0, |p| p.id) as u16).to_be_bytes());
            let word = part.map_or(0x4000, |p| p.offset | u16::from(p.more) << 13);
            self.put(&word.to_be_bytes());
            self.put(&[64, protocol, 0, 0]);
        } else {
            let extension = if part.is_some() { 8 } else { 0 };
            self.put(&[0x60, 0, 0, 0]);
            self.put(&((extension + len) as u16).to_be_bytes());
            self.put(&[if part.is_some() { proto::FRAGMENT } else { protocol }, 64]);
        }
        self.address(ends.src);
        self.address(ends.dst);
        if v4 {
            let sum = checksum(0, &self.bytes[self.ip..]);
            self.bytes[self.ip + 10..self.ip + 12].copy_from_slice(&sum.to_be_bytes());
        } else if let Some(part) = part {
            self.put(&[protocol, 0]);
            self.put(&(part.offset << 3 | u16::from(part.more)).to_be_bytes());
            self.put(&part.id.to_be_bytes());
        }
    }

    /// Writes the ports, and returns where the transport header begins.
    fn ports(&mut self, ends: &Ends) -> usize {
        let at = self.bytes.len();
        self.put(&ends.sport.to_be_bytes());
        self.put(&ends.dport.to_be_bytes());
        at
    }

    fn udp_header(&mut self, ends: &Ends, payload: usize) -> usize {
        let at = self.ports(ends);
        self.put(&(8 + payload as u16).to_be_bytes());
        self.put(&[0, 0]);
        at
    }

    /// Puts the checksum of the transport from `at` on into `field`, and pads the frame.
    fn close(&mut self, ends: &Ends, protocol: u8, at: usize, field: usize) -> &[u8] {
        let transport = &self.bytes[at..];
        let mut sum = 0;
        if protocol != proto::ICMP {
            sum = u32::from(protocol) + transport.len() as u32;
            for end in [ends.src, ends.dst] {
                sum += match end {
                    IpAddr::V4(a) => add(&a.octets()),
                    IpAddr::V6(a) => add(&a.octets()),
                };
            }
        }
        // A UDP checksum of 0 would mean "none".
        let sum = match checksum(sum, transport) {
            0 if protocol == proto::UDP => 0xffff,
            sum => sum,
        };
        self.bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        self.pad()
    }

    fn pad(&mut self) -> &[u8] {
        let len = self.bytes.len().max(MIN_FRAME);
        self.bytes.resize(len, 0);
        &self.bytes
    }
}

/// A locally administered MAC address for an IP address.
fn mac(address: IpAddr) -> [u8; 6] {
    let [.., a, b, c, d] = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    [2, 0, a, b, c, d]
}

/// Returns the Internet checksum (RFC 1071) of `bytes`, begun with `sum`.
fn checksum(sum: u32, bytes: &[u8]) -> u16 {
    let mut sum = sum + add(bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn add(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum()
}
