//! Builds frames for tests, benches and synthetic traffic, with right lengths and checksums.
//!
//! A [`Frame`] says what should be in it; [`Frame::write`] puts it into the caller's buffer. Not on
//! the packet path, and no way to build wrong frames: tests change bytes afterwards.

use std::net::IpAddr;

use crate::packet::{ethernet::ethertype, key::proto};

/// The length of an Ethernet header.
pub const ETHERNET: usize = 14;
/// The shortest Ethernet frame without frame check sequence; shorter ones are padded.
pub const MIN_FRAME: usize = 60;

/// An Ethernet frame with IP or ARP.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// VLAN ids, the outermost first; 802.1ad before 802.1Q.
    pub vlans: &'a [u16],
    /// Sender; its version decides between IPv4 and IPv6.
    pub src: IpAddr,
    /// Receiver, of the same version.
    pub dst: IpAddr,
    /// IPv4: identification of the datagram, and fragment field (flags, offset / 8).
    pub fragment: (u16, u16),
    /// What IP carries, or ARP.
    pub body: Body,
    /// What the transport carries.
    pub payload: &'a [u8],
}

/// What a frame carries behind its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A TCP segment.
    Tcp(Tcp),
    /// A UDP datagram: ports of sender and receiver.
    Udp(u16, u16),
    /// ICMP or ICMPv6: type, code, and the four bytes that follow the checksum.
    Icmp(u8, u8, u32),
    /// Another IP protocol: the payload follows IP at once.
    Other(u8),
    /// ARP for IPv4 with this operation; hardware addresses are made from the ends.
    Arp(u16),
}

/// The fields of a TCP header that matter to a monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// Port of the sender.
    pub src_port: u16,
    /// Port of the receiver.
    pub dst_port: u16,
    /// Sequence number.
    pub seq_number: u32,
    /// Acknowledgement number.
    pub ack_number: u32,
    /// Bits of [`crate::packet::descriptor::tcp_flag`].
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Shift of a window scale option, if there shall be one.
    pub window_scale: Option<u8>,
}

impl<'a> Frame<'a> {
    /// Returns a frame from `src` to `dst` without tags and payload.
    pub const fn new(src: IpAddr, dst: IpAddr, body: Body) -> Self {
        Self { vlans: &[], src, dst, fragment: (0, 0), body, payload: &[] }
    }

    /// Returns the same frame with a payload.
    pub const fn payload(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// Returns the same frame with VLAN tags.
    pub const fn vlans(mut self, ids: &'a [u16]) -> Self {
        self.vlans = ids;
        self
    }

    /// Writes the frame, padded to [`MIN_FRAME`], and returns its length. `None` if the buffer is too
    /// small, the versions of the ends differ, or a length does not fit its field.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut to = Writer { buffer, at: 0 };
        to.put(&hardware_address(self.dst))?;
        to.put(&hardware_address(self.src))?;
        for (n, id) in self.vlans.iter().enumerate() {
            let last = n + 1 == self.vlans.len();
            to.put16(if last { ethertype::VLAN } else { ethertype::SERVICE_VLAN })?;
            to.put16(id & 0xfff)?;
        }
        if let Body::Arp(operation) = self.body {
            to.put16(ethertype::ARP)?;
            self.arp(&mut to, operation)?;
        } else {
            to.put16(if self.src.is_ipv4() { ethertype::IPV4 } else { ethertype::IPV6 })?;
            self.ip(&mut to)?;
        }
        while to.at < MIN_FRAME {
            to.put(&[0])?;
        }
        Some(to.at)
    }

    /// Writes the IP packet alone, without Ethernet and padding, and returns its length. `None` as
    /// for [`Frame::write`].
    pub fn write_packet(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut to = Writer { buffer, at: 0 };
        self.ip(&mut to)?;
        Some(to.at)
    }

    fn arp(&self, to: &mut Writer, operation: u16) -> Option<()> {
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (self.src, self.dst) else { return None };
        to.put(&[0, 1, 8, 0, 6, 4])?;
        to.put16(operation)?;
        to.put(&hardware_address(self.src))?;
        to.put(&src.octets())?;
        to.put(&hardware_address(self.dst))?;
        to.put(&dst.octets())
    }

    fn ip(&self, to: &mut Writer) -> Option<()> {
        let number = match self.body {
            Body::Tcp(_) => proto::TCP,
            Body::Udp(..) => proto::UDP,
            Body::Icmp(..) if self.src.is_ipv4() => proto::ICMP,
            Body::Icmp(..) => proto::ICMPV6,
            Body::Other(number) => number,
            Body::Arp(_) => return None,
        };
        let len = self.transport_len() + self.payload.len();
        let mut pseudo = Checksum::default();
        pseudo.add(&[0, number]);
        pseudo.add(&u32::try_from(len).ok()?.to_be_bytes());
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let start = to.at;
                to.put16(0x4500)?;
                to.put16(u16::try_from(20 + len).ok()?)?;
                to.put16(self.fragment.0)?;
                to.put16(self.fragment.1)?;
                to.put(&[64, number, 0, 0])?;
                to.put(&src.octets())?;
                to.put(&dst.octets())?;
                pseudo.add(&src.octets());
                pseudo.add(&dst.octets());
                let mut header = Checksum::default();
                header.add(&to.buffer[start..to.at]);
                to.patch16(start + 10, header.finish());
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                to.put(&[0x60, 0, 0, 0])?;
                to.put16(u16::try_from(len).ok()?)?;
                to.put(&[number, 64])?;
                to.put(&src.octets())?;
                to.put(&dst.octets())?;
                pseudo.add(&src.octets());
                pseudo.add(&dst.octets());
            }
            _ => return None,
        }
        self.transport(to, pseudo)
    }

    fn transport_len(&self) -> usize {
        match self.body {
            Body::Tcp(tcp) => 20 + if tcp.window_scale.is_some() { 4 } else { 0 },
            Body::Udp(..) | Body::Icmp(..) => 8,
            Body::Other(_) | Body::Arp(_) => 0,
        }
    }

    fn transport(&self, to: &mut Writer, pseudo: Checksum) -> Option<()> {
        let start = to.at;
        let mut sum = pseudo;
        let checksum_at = match self.body {
            Body::Tcp(tcp) => {
                tcp.write(to)?;
                Some(start + 16)
            }
            Body::Udp(src_port, dst_port) => {
                to.put16(src_port)?;
                to.put16(dst_port)?;
                to.put16(u16::try_from(8 + self.payload.len()).ok()?)?;
                to.put16(0)?;
                Some(start + 6)
            }
            Body::Icmp(kind, code, rest) => {
                to.put(&[kind, code, 0, 0])?;
                to.put(&rest.to_be_bytes())?;
                if self.src.is_ipv4() {
                    // Only ICMPv6 counts the addresses.
                    sum = Checksum::default();
                }
                Some(start + 2)
            }
            Body::Other(_) | Body::Arp(_) => None,
        };
        to.put(self.payload)?;
        if let Some(at) = checksum_at {
            sum.add(&to.buffer[start..to.at]);
            let sum = sum.finish();
            // A UDP checksum of 0 would mean that there is none (RFC 768).
            to.patch16(at, if sum == 0 && matches!(self.body, Body::Udp(..)) { 0xffff } else { sum });
        }
        Some(())
    }
}

impl Tcp {
    fn write(&self, to: &mut Writer) -> Option<()> {
        to.put16(self.src_port)?;
        to.put16(self.dst_port)?;
        to.put(&self.seq_number.to_be_bytes())?;
        to.put(&self.ack_number.to_be_bytes())?;
        to.put(&[if self.window_scale.is_some() { 0x60 } else { 0x50 }, self.flags])?;
        to.put16(self.window)?;
        to.put(&[0; 4])?;
        match self.window_scale {
            Some(shift) => to.put(&[1, 3, 3, shift]),
            None => Some(()),
        }
    }
}

/// Puts an IPv6 fragment header (RFC 8200 section 4.5) before the payload of the IPv6 frame in
/// `buffer[..len]`; returns the new length, `None` if it is no such frame or there is no room.
pub fn insert_fragment_header(
    buffer: &mut [u8],
    len: usize,
    id: u32,
    offset: u16,
    more: bool,
) -> Option<usize> {
    const FRAGMENT_HEADER: usize = 8;
    if buffer.get(12..ETHERNET)? != ethertype::IPV6.to_be_bytes() || len > buffer.len() {
        return None;
    }
    let behind = ETHERNET + 40;
    let header = buffer.get(ETHERNET..behind)?;
    let payload_len = u16::from_be_bytes([header[4], header[5]]).checked_add(FRAGMENT_HEADER as u16)?;
    let next = header[6];
    if len < behind || buffer.len() - len < FRAGMENT_HEADER {
        return None;
    }
    buffer.copy_within(behind..len, behind + FRAGMENT_HEADER);
    buffer[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&payload_len.to_be_bytes());
    buffer[ETHERNET + 6] = proto::FRAGMENT;
    let mut to = Writer { buffer, at: behind };
    to.put(&[next, 0])?;
    to.put16(offset & !7 | u16::from(more))?;
    to.put(&id.to_be_bytes())?;
    Some(len + FRAGMENT_HEADER)
}

/// Returns a locally administered address made from the last bytes of an IP address.
fn hardware_address(address: IpAddr) -> [u8; 6] {
    let [.., a, b, c, d] = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    [2, 0, a, b, c, d]
}

struct Writer<'b> {
    buffer: &'b mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.buffer.get_mut(self.at..self.at + bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }

    fn put16(&mut self, number: u16) -> Option<()> {
        self.put(&number.to_be_bytes())
    }

    fn patch16(&mut self, at: usize, number: u16) {
        self.buffer[at..at + 2].copy_from_slice(&number.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071).
#[derive(Clone, Copy, Debug, Default)]
struct Checksum(u64);

impl Checksum {
    /// Adds bytes; all but the last call have an even number of them.
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks(2) {
            self.0 += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
        }
    }

    fn finish(mut self) -> u16 {
        while self.0 > 0xffff {
            self.0 = (self.0 >> 16) + (self.0 & 0xffff);
        }
        !(self.0 as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn checksums_are_right() {
        // The sum over a packet with its checksum is 0.
        let mut buffer = [0; 200];
        let frame = Frame::new(v4(1), v4(2), Body::Udp(1, 2)).payload(b"odd");
        let len = frame.write_packet(&mut buffer).unwrap();
        let mut header = Checksum::default();
        header.add(&buffer[..20]);
        assert_eq!(header.finish(), 0);
        let mut datagram = Checksum::default();
        datagram.add(&buffer[12..20]);
        datagram.add(&[0, 17, 0, 11]);
        datagram.add(&buffer[20..len]);
        assert_eq!((len, datagram.finish()), (31, 0));
    }

    #[test]
    fn frames_are_padded_and_tagged() {
        let mut buffer = [0; 200];
        let tcp = Body::Tcp(Tcp { src_port: 1, dst_port: 2, window_scale: Some(7), ..Tcp::default() });
        assert_eq!(Frame::new(v4(1), v4(2), Body::Udp(1, 2)).write(&mut buffer), Some(60));
        let tagged = Frame::new(v4(1), v4(2), tcp).vlans(&[5, 6]).payload(&[9; 8]);
        assert_eq!(tagged.write(&mut buffer), Some(14 + 8 + 20 + 24 + 8));
        assert_eq!(buffer[12..22], [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]);
        assert_eq!(buffer[62..66], [1, 3, 3, 7]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let frame = Frame::new(v4(1), v4(2), Body::Udp(1, 2));
        for len in 0..60 {
            assert_eq!(frame.write(&mut [0; 60][..len]), None, "{len}");
        }
        let mixed = Frame::new(v4(1), IpAddr::from([0_u16; 8]), Body::Arp(1));
        assert_eq!(mixed.write(&mut [0; 100]), None);
        assert_eq!(Frame { body: Body::Udp(1, 2), ..mixed }.write(&mut [0; 100]), None);
        let long = [0; 65_536];
        assert_eq!(frame.payload(&long).write(&mut [0; 70_000]), None);
    }
}
