//! Conversations from a seed: the same numbers give the same frames, byte for byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    base::time::{Nanos, Stamp},
    capture::synthetic::{
        Frames,
        ethernet::{Ends, Fragment, Segment, Writer},
    },
    packet::descriptor::tcp_flag::{ACK, FIN, PSH, RST, SYN},
};

/// What to make, and how much of it.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Conversations: each has its own client address, so each is one flow. At most 2^24.
    pub flows: usize,
    /// Frames in all; spread evenly over the flows.
    pub packets: usize,
    /// Everything that is random comes from it.
    pub seed: u64,
    /// What kinds of conversations.
    pub mix: Mix,
    /// Time of the first frame.
    pub start: Stamp,
    /// Mean time between two frames.
    pub gap: Nanos,
    /// Mean payload of data segments and datagrams in bytes, up to 700; the longest has twice that.
    pub payload: usize,
}

/// The kinds of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Weight of TCP connections among the conversations.
    pub tcp: u32,
    /// Weight of UDP exchanges.
    pub udp: u32,
    /// Weight of ICMP or ICMPv6 echo.
    pub icmp: u32,
    /// Weight of ARP; these are never IPv6.
    pub arp: u32,
    /// Percentage of conversations over IPv6.
    pub ipv6: u32,
    /// Percentage of conversations with a VLAN tag.
    pub vlan: u32,
    /// Percentage of TCP connections that end with RST; the others end with FIN.
    pub reset: u32,
    /// Percentage of TCP data segments that are sent again.
    pub retransmit: u32,
    /// Percentage of UDP datagrams in two fragments.
    pub fragment: u32,
}

impl Mix {
    /// Everything there is.
    pub const ALL: Self =
        Self { tcp: 60, udp: 30, icmp: 5, arp: 5, ipv6: 30, vlan: 10, reset: 20, retransmit: 2, fragment: 5 };

    /// UDP over IPv4 only.
    pub const UDP: Self =
        Self { tcp: 0, udp: 1, icmp: 0, arp: 0, ipv6: 0, vlan: 0, reset: 0, retransmit: 0, fragment: 0 };

    /// TCP over IPv4 only, every connection ended with FIN, nothing sent twice.
    pub const TCP: Self = Self { tcp: 1, udp: 0, ..Self::UDP };
}

impl Traffic {
    /// Returns a plan for `packets` frames of all kinds over `flows` conversations.
    pub const fn new(flows: usize, packets: usize, seed: u64) -> Self {
        Self {
            flows,
            packets,
            seed,
            mix: Mix::ALL,
            start: Stamp(1_700_000_000_000_000_000),
            gap: Nanos(10_000),
            payload: 200,
        }
    }

    /// Takes other kinds of conversations.
    pub const fn mix(mut self, mix: Mix) -> Self {
        self.mix = mix;
        self
    }

    /// Takes another mean payload; 0 makes frames of 60 bytes and more.
    pub const fn payload(mut self, bytes: usize) -> Self {
        self.payload = bytes;
        self
    }

    /// Makes the frames. Conversations are interleaved at random; each begins with its first
    /// packet and, if it has enough of them, ends as its kind does.
    pub fn frames(&self) -> Frames {
        let mut random = Random(self.seed);
        let flows = self.flows.min(self.packets).min(1 << 24);
        let mut open: Vec<Conversation> = (0..flows)
            .map(|n| {
                let budget = self.packets / flows + usize::from(n < self.packets % flows);
                Conversation::new(n as u32, budget, self, &mut random)
            })
            .collect();
        let mut frames = Frames::with_capacity(self.packets, self.packets * (64 + self.payload));
        let mut writer = Writer::default();
        let mut now = self.start;
        while !open.is_empty() {
            let n = random.below(open.len());
            frames.push_ethernet(now, open[n].next(self, &mut random, &mut writer));
            now.0 += random.below(2 * self.gap.0 as usize + 1) as u64;
            if open[n].left == 0 {
                open.swap_remove(n);
            }
        }
        frames
    }
}

/// One conversation under way.
struct Conversation {
    kind: Kind,
    /// From the initiator.
    ends: Ends,
    /// Frames still to come.
    left: usize,
    sent: usize,
}

enum Kind {
    Tcp(Connection),
    /// The later fragment that the next frame has to be, with its payload's length and sender.
    Udp(Option<(Fragment, usize, bool)>),
    Echo(u16),
    Arp,
}

/// The two halves of a TCP connection: index 0 is the initiator.
struct Connection {
    next_seq: [u32; 2],
    reset: bool,
    /// The last data segment: sender, sequence number, length.
    last: Option<(usize, u32, usize)>,
    /// How many frames the ending has in all.
    ending: usize,
}

impl Conversation {
    fn new(number: u32, left: usize, traffic: &Traffic, random: &mut Random) -> Self {
        let mix = &traffic.mix;
        let pick = random.below((mix.tcp + mix.udp + mix.icmp + mix.arp).max(1) as usize) as u32;
        let kind = if pick < mix.tcp {
            let reset = random.percent(mix.reset);
            let ending = match (reset, left) {
                (true, 5..) => 1,
                (false, 8..) => 4,
                _ => 0,
            };
            let next_seq = [random.next() as u32, random.next() as u32];
            Kind::Tcp(Connection { next_seq, reset, last: None, ending })
        } else if pick < mix.tcp + mix.udp {
            Kind::Udp(None)
        } else if pick < mix.tcp + mix.udp + mix.icmp {
            Kind::Echo(random.next() as u16)
        } else {
            Kind::Arp
        };
        let v6 = random.percent(mix.ipv6) && !matches!(kind, Kind::Arp);
        let server = random.below(200) as u32;
        let (src, dst): (IpAddr, IpAddr) = if v6 {
            let net = 0x2001_0db8_u128 << 96;
            (
                Ipv6Addr::from(net | u128::from(number)).into(),
                Ipv6Addr::from(net | 1 << 64 | u128::from(server)).into(),
            )
        } else {
            (Ipv4Addr::from(0x0a00_0000 | number).into(), Ipv4Addr::from(0xc612_0000 | server).into())
        };
        let dport = [443, 80, 22, 5432, 8080, 53][random.below(6)];
        let sport = 32_768 + random.below(28_000) as u16;
        let vlan = random.percent(mix.vlan).then(|| 100 + random.below(8) as u16);
        Self { kind, ends: Ends { src, dst, sport, dport, vlan }, left, sent: 0 }
    }

    /// Writes the next frame.
    fn next<'w>(&mut self, traffic: &Traffic, random: &mut Random, writer: &'w mut Writer) -> &'w [u8] {
        let number = self.sent;
        let ending = self.left;
        self.sent += 1;
        self.left -= 1;
        // Every other frame is an answer, where nothing else decides.
        let answer = number % 2 == 1;
        let ends = if answer { self.ends.reversed() } else { self.ends };
        match &mut self.kind {
            Kind::Arp => writer.arp(&ends, answer),
            Kind::Echo(id) => writer.echo(&ends, answer, *id, (number / 2) as u16),
            Kind::Tcp(connection) => {
                let (sender, segment, len) = connection.next(number, ending, traffic, random);
                let ends = if sender == 1 { self.ends.reversed() } else { self.ends };
                writer.tcp(&ends, segment, &PAYLOAD[..len])
            }
            Kind::Udp(later @ Some(_)) => {
                let (part, len, answer) = later.take().expect("matched above");
                let ends = if answer { self.ends.reversed() } else { self.ends };
                writer.later_fragment(&ends, part, &PAYLOAD[..len])
            }
            Kind::Udp(later) => {
                let len = random.payload(traffic);
                if self.left == 0 || !random.percent(traffic.mix.fragment) {
                    return writer.udp(&ends, &PAYLOAD[..len]);
                }
                // 8 bytes of header and 64 of payload, then the rest.
                let first = Fragment { id: random.next() as u32, offset: 0, more: true };
                *later = Some((Fragment { offset: 72 / 8, more: false, ..first }, len, answer));
                writer.first_fragment(&ends, first, 64 + len, &PAYLOAD[..64])
            }
        }
    }
}

impl Connection {
    /// Returns sender, header and payload length of frame `number`, with `left` frames to come
    /// including this one.
    fn next(
        &mut self,
        number: usize,
        left: usize,
        traffic: &Traffic,
        random: &mut Random,
    ) -> (usize, Segment, usize) {
        let (sender, flags, len) = match (number, left) {
            (0, _) => (0, SYN, 0),
            (1, _) => (1, SYN | ACK, 0),
            (2, _) => (0, ACK, 0),
            (_, 1) if self.reset && self.ending == 1 => (0, RST | ACK, 0),
            (_, 4) if self.ending == 4 => (0, FIN | ACK, 0),
            (_, 3) if self.ending == 4 => (1, ACK, 0),
            (_, 2) if self.ending == 4 => (1, FIN | ACK, 0),
            (_, 1) if self.ending == 4 => (0, ACK, 0),
            _ => {
                if let Some((sender, seq_number, len)) = self.last
                    && random.percent(traffic.mix.retransmit)
                {
                    self.last = None;
                    let ack_number = self.next_seq[1 - sender];
                    return (sender, Segment { seq_number, ack_number, flags: PSH | ACK }, len);
                }
                (random.below(2), PSH | ACK, random.payload(traffic).max(1))
            }
        };
        let seq_number = self.next_seq[sender];
        let ack_number = if flags & ACK != 0 { self.next_seq[1 - sender] } else { 0 };
        let takes = len as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.next_seq[sender] = seq_number.wrapping_add(takes);
        if len > 0 {
            self.last = Some((sender, seq_number, len));
        }
        (sender, Segment { seq_number, ack_number, flags }, len)
    }
}

/// What every payload is a part of: bytes that no recogniser knows.
static PAYLOAD: [u8; 1400] = {
    let mut bytes = [0; 1400];
    let mut n = 0;
    while n < bytes.len() {
        bytes[n] = 0xa0 | (n % 31) as u8;
        n += 1;
    }
    bytes
};

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0..bound`.
    const fn below(&mut self, bound: usize) -> usize {
        ((self.next() as u128 * bound as u128) >> 64) as usize
    }

    const fn percent(&mut self, share: u32) -> bool {
        self.below(100) < share as usize
    }

    fn payload(&mut self, traffic: &Traffic) -> usize {
        self.below(2 * traffic.payload + 1).min(PAYLOAD.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_frames() {
        let bytes = |seed| -> Vec<Vec<u8>> {
            Traffic::new(20, 500, seed).frames().iter().map(|(frame, _)| frame.to_vec()).collect()
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn there_are_as_many_frames_as_asked_for() {
        for (flows, packets) in [(1, 1), (3, 10), (100, 50), (7, 0), (1000, 12_345)] {
            let frames = Traffic::new(flows, packets, 5).frames();
            assert_eq!(frames.len(), packets);
            assert!(
                frames.iter().all(|(frame, meta)| frame.len() >= 60 && frame.len() == meta.wire_len as usize)
            );
        }
    }

    #[test]
    fn connections_open_and_close() {
        let frames = Traffic::new(1, 20, 1).mix(Mix::TCP).frames();
        let flags: Vec<u8> = frames.iter().map(|(frame, _)| frame[14 + 20 + 13]).collect();
        assert_eq!(flags[..3], [SYN, SYN | ACK, ACK]);
        assert_eq!(flags[16..], [FIN | ACK, ACK, FIN | ACK, ACK]);
        assert!(flags[3..16].iter().all(|&f| f == PSH | ACK));
    }
}
