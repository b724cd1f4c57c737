//! What workers learn of flows, on its way to the collector: a ring of bytes, one for each worker.
//!
//! ```text
//!  | length | flow's id | facts | events | tag | length | value ... | tag | length | value ... | flow's id | ...
//! ```
//!
//! A worker gathers what it learns and hands it over once a burst, as one packet; what it learned of one flow in a
//! row goes under its number, how many bytes its facts take, and how many all that is told of it.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use crate::{
    base::{ids::FlowId, time::Stamp},
    dpi::{
        fact::{Fact, LONGEST_VALUE},
        notes::{Learn, Learned, Resolved},
        service::Service,
    },
    pipeline::wake::Bell,
};

/// How long a worker waits before it looks for room again.
const PAUSE: std::time::Duration = std::time::Duration::from_micros(50);
/// Bytes between two looks whether the ring is half full.
const NUDGE_EVERY: u64 = 64 << 10;
/// A tag, the length of the value in two bytes.
const HEAD: usize = 3;
/// What stands before the events of a flow: its id, and the bytes of its facts and of all events.
const FLOW: usize = 8 + 2 + 2;
/// What begins with a flow, and the longest event.
const LONGEST: usize = FLOW + HEAD + LONGEST_VALUE;
/// Bytes of a packet at most, its length in front.
const PACKET: usize = 4096;
/// The length in front of a packet.
const FRONT: usize = 2;
const SERVICE: u8 = 255;
const RESOLVED: u8 = 254;

const _: () = assert!(Fact::ALL.len() < RESOLVED as usize);
const _: () = assert!(FRONT + LONGEST <= PACKET);

/// Makes a ring of `bytes` bytes, or as many as it takes. Where frames cannot wait (`waits` is false), what finds no
/// room is lost and counted.
#[allow(clippy::disallowed_methods, reason = "start-up")]
pub fn ring(bytes: usize, collector: Arc<Bell>, waits: bool) -> (LearnedSender, LearnedReceiver) {
    let (producer, consumer) = rtrb::RingBuffer::new(bytes.max(PACKET));
    let gathered =
        Gathered { bytes: Box::new([0; PACKET]), len: FRONT, events: 0, of: None, at: 0, facts: 0 };
    (
        LearnedSender { producer, collector, waits, gathered, lost: 0, sent: 0 },
        LearnedReceiver { consumer, packet: Box::new([0; PACKET]), read: 0 },
    )
}

/// A worker's end.
pub struct LearnedSender {
    producer: rtrb::Producer<u8>,
    collector: Arc<Bell>,
    waits: bool,
    gathered: Gathered,
    /// What found no room since the start.
    pub lost: u64,
    /// Bytes sent since the start.
    pub sent: u64,
}

/// What was learned and is not yet in the ring.
struct Gathered {
    bytes: Box<[u8; PACKET]>,
    len: usize,
    events: u64,
    /// The flow that the last event is of.
    of: Option<FlowId>,
    /// Where what is told of it begins.
    at: usize,
    /// Bytes that its facts take.
    facts: u16,
}

impl Learn for LearnedSender {
    fn learned(&mut self, id: FlowId, what: Learned<'_>) {
        match what {
            Learned::Service(service) => self.gather(id, SERVICE, &[service as u8], &[]),
            Learned::Fact(fact, bytes) => self.gather(id, fact as u8, bytes, &[]),
            Learned::Resolved(Resolved { name, address, service, at }) => {
                let address = match address {
                    IpAddr::V4(a) => a.to_ipv6_mapped(),
                    IpAddr::V6(a) => a,
                };
                let mut front = [service as u8; 25];
                front[..16].copy_from_slice(&address.octets());
                front[16..24].copy_from_slice(&at.0.to_le_bytes());
                self.gather(id, RESOLVED, &front, name);
            }
        }
    }
}

impl Gathered {
    /// Begins what is told of a flow; there is room for it.
    #[inline]
    fn open(&mut self, id: FlowId) {
        self.close();
        (self.of, self.at, self.facts) = (Some(id), self.len, 0);
        self.bytes[self.len..self.len + 8].copy_from_slice(&id.number().to_le_bytes());
        self.len += FLOW;
    }

    /// Ends what is told of a flow.
    #[inline]
    fn close(&mut self) {
        if self.of.take().is_some() {
            let events = (self.len - self.at - FLOW) as u16;
            self.bytes[self.at + 8..self.at + 10].copy_from_slice(&self.facts.to_le_bytes());
            self.bytes[self.at + 10..self.at + FLOW].copy_from_slice(&events.to_le_bytes());
        }
    }

    /// Adds an event whose value has two parts; there is room for it.
    #[inline]
    fn put(&mut self, tag: u8, value: &[u8], more: &[u8]) {
        let len = value.len() + more.len();
        let place = &mut self.bytes[self.len..self.len + HEAD + len];
        let [low, high] = (len as u16).to_le_bytes();
        place[..HEAD].copy_from_slice(&[tag, low, high]);
        copy(&mut place[HEAD..HEAD + value.len()], value);
        if !more.is_empty() {
            place[HEAD + value.len()..].copy_from_slice(more);
        }
        self.len += HEAD + len;
        self.facts += if tag == RESOLVED { 0 } else { (HEAD + len) as u16 };
    }
}

/// Copies a value: most have no more than 16 bytes, and a call takes longer than to copy them.
#[inline(always)]
fn copy(to: &mut [u8], value: &[u8]) {
    // Two pieces that may overlap.
    macro_rules! in_pieces_of {
        ($size:literal) => {
            if value.len() <= 2 * $size
                && let (Some(first), Some(last)) = (value.first_chunk::<$size>(), value.last_chunk::<$size>())
                && let Some(place) = to.first_chunk_mut::<$size>()
            {
                *place = *first;
                if let Some(place) = to.last_chunk_mut::<$size>() {
                    *place = *last;
                }
                return;
            }
        };
    }
    in_pieces_of!(8);
    in_pieces_of!(4);
    in_pieces_of!(16);
    to.copy_from_slice(value);
}

impl LearnedSender {
    /// Adds an event whose value has two parts, the second one as far as it fits.
    fn gather(&mut self, id: FlowId, tag: u8, value: &[u8], more: &[u8]) {
        let value = &value[..value.len().min(LONGEST_VALUE)];
        let more = &more[..more.len().min(LONGEST_VALUE - value.len())];
        if PACKET - self.gathered.len < LONGEST {
            self.flush();
        }
        if self.gathered.of != Some(id) {
            self.gathered.open(id);
        }
        self.gathered.put(tag, value, more);
        self.gathered.events += 1;
    }

    /// Puts what was gathered into the ring.
    #[inline]
    pub fn flush(&mut self) {
        if self.gathered.events > 0 {
            self.push();
        }
    }

    fn push(&mut self) {
        self.gathered.close();
        let Gathered { bytes, len, events, .. } = &mut self.gathered;
        let packet = &mut bytes[..std::mem::replace(len, FRONT)];
        let events = std::mem::take(events);
        let behind = (packet.len() - FRONT) as u16;
        packet[..FRONT].copy_from_slice(&behind.to_le_bytes());
        while self.producer.push_entire_slice(packet).is_err() {
            if !self.waits || self.producer.is_abandoned() {
                self.lost += events;
                return;
            }
            self.collector.ring();
            std::thread::park_timeout(PAUSE);
        }
        let before = self.sent;
        self.sent += packet.len() as u64;
        if before / NUDGE_EVERY != self.sent / NUDGE_EVERY {
            self.wake_if_half_full();
        }
    }

    /// Puts what was gathered into the ring, and wakes the collector if that is half full.
    pub fn nudge(&mut self) {
        self.flush();
        self.wake_if_half_full();
    }

    fn wake_if_half_full(&self) {
        if self.producer.slots() < self.producer.buffer().capacity() / 2 {
            self.collector.ring();
        }
    }
}

/// The collector's end.
pub struct LearnedReceiver {
    consumer: rtrb::Consumer<u8>,
    /// The packet that is read.
    packet: Box<[u8; PACKET]>,
    /// Bytes read since the start.
    read: u64,
}

impl LearnedReceiver {
    /// Returns how many bytes wait.
    pub fn waiting(&self) -> usize {
        self.consumer.slots()
    }

    /// Returns whether the ring is half full: then its sender wakes the collector.
    pub fn is_half_full(&self) -> bool {
        self.waiting() > self.consumer.buffer().capacity() / 2
    }

    /// Returns whether all that was sent up to `sent` bytes since the start is read.
    pub fn has_read(&self, sent: u64) -> bool {
        self.read >= sent
    }

    /// Gives the next `waiting` bytes, as [`LearnedReceiver::waiting`] returned them, to `each`, flow by flow, but
    /// nothing beyond `sent` bytes since the start; returns whether there was anything.
    pub fn drain(&mut self, waiting: usize, sent: u64, mut each: impl Listen) -> bool {
        // Packets are sent whole: no part of one waits.
        let end = sent.min(self.read + waiting as u64);
        let any = self.read < end;
        while self.read < end {
            let mut front = [0; FRONT];
            let Ok(()) = self.consumer.pop_entire_slice(&mut front) else { break };
            let packet = &mut self.packet[..usize::from(u16::from_le_bytes(front))];
            let Ok(()) = self.consumer.pop_entire_slice(packet) else { break };
            self.read += (FRONT + packet.len()) as u64;
            for step in [Step::First, Step::Second, Step::Third] {
                Flows { rest: packet }.for_each(|(id, _)| each.approach(id, step));
            }
            Flows { rest: packet }.for_each(|(id, told)| each.hear(id, told));
        }
        any
    }
}

/// Takes what was learned.
pub trait Listen {
    /// Is told, of all flows of a packet, that something of them comes: what is known of them lies anywhere, and is
    /// on its way when it is needed.
    fn approach(&self, _: FlowId, _: Step) {}

    /// Takes what was learned of a flow.
    fn hear(&mut self, id: FlowId, told: Told<'_>);
}

/// How near what is known of a flow should be: where it lies can be loaded, or where that says that it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Step {
    First,
    Second,
    Third,
}

impl<F: FnMut(FlowId, Told<'_>)> Listen for F {
    fn hear(&mut self, id: FlowId, told: Told<'_>) {
        self(id, told);
    }
}

/// The flows of a packet, each with what is told of it in a row.
struct Flows<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Flows<'a> {
    type Item = (FlowId, Told<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, rest) = self.rest.split_first_chunk()?;
        let ([f0, f1, e0, e1], rest) = rest.split_first_chunk()?;
        let (events, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*e0, *e1])))?;
        self.rest = rest;
        let told = Told { facts: u16::from_le_bytes([*f0, *f1]), rest: events };
        Some((FlowId::from_number(u64::from_le_bytes(*id)), told))
    }
}

/// What is told of one flow in a row.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    facts: u16,
    rest: &'a [u8],
}

impl<'a> Told<'a> {
    /// Returns how many bytes its label and its facts take here; what is no fact of the flow counts nothing.
    pub fn size(self) -> usize {
        self.facts.into()
    }
}

impl<'a> Iterator for Told<'a> {
    type Item = Learned<'a>;

    fn next(&mut self) -> Option<Learned<'a>> {
        loop {
            let (tag, value, behind) = event(self.rest)?;
            self.rest = behind;
            if let Some(learned) = read(tag, value) {
                return Some(learned);
            }
        }
    }
}

/// Splits the first event off: its tag, its value, and what is behind it.
#[inline]
fn event(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([tag, low, high], behind) = bytes.split_first_chunk::<HEAD>()?;
    let (value, behind) = behind.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
    Some((*tag, value, behind))
}

fn read(tag: u8, value: &[u8]) -> Option<Learned<'_>> {
    Some(match tag {
        SERVICE => Learned::Service(Service::from_number(*value.first()?)?),
        RESOLVED => {
            let (address, rest) = value.split_first_chunk::<16>()?;
            let (at, rest) = rest.split_first_chunk()?;
            let (service, name) = rest.split_first()?;
            let address = IpAddr::V6(Ipv6Addr::from(*address)).to_canonical();
            let service = Service::from_number(*service)?;
            Learned::Resolved(Resolved { name, address, service, at: Stamp(u64::from_le_bytes(*at)) })
        }
        fact => Learned::Fact(*Fact::ALL.get(usize::from(fact))?, value),
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_whole_and_in_order_around_the_ring_s_end() {
        let (mut tx, mut rx) = ring(0, Arc::default(), false);
        let long = [b'x'; 255];
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        for round in 0..200u32 {
            let id = FlowId::new(3, round, round + 1);
            let sent = [
                Learned::Service(Service::Ssh),
                Learned::Fact(Fact::Sni, &long[..(round % 100) as usize]),
                Learned::Resolved(Resolved {
                    name: b"example.org",
                    address: if round % 2 == 0 { address } else { v4 },
                    service: Service::Mdns,
                    at: Stamp(u64::from(round) << 40),
                }),
                Learned::Fact(Fact::Ech, b""),
            ];
            let other = FlowId::new(4, round, 1);
            for what in sent {
                tx.learned(id, what);
            }
            tx.learned(other, sent[0]);
            tx.learned(id, sent[1]);
            tx.flush();
            let mut seen = Vec::new();
            assert!(rx.drain(rx.waiting(), u64::MAX, |from, told: Told<'_>| seen.push((from, told.count()))));
            assert_eq!(seen, [(id, sent.len()), (other, 1), (id, 1)]);
            sent.iter().for_each(|what| tx.learned(id, *what));
            tx.nudge();
            rx.drain(rx.waiting(), u64::MAX, |_, told: Told<'_>| assert!(told.eq(sent)));
        }
        assert_eq!(tx.lost, 0);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (mut tx, mut rx) = ring(0, Arc::default(), false);
        for _ in 0..3 {
            tx.learned(FlowId::default(), Learned::Fact(Fact::Sni, &[b'a'; LONGEST_VALUE]));
            tx.learned(FlowId::default(), Learned::Fact(Fact::Alpn, &[b'a'; LONGEST_VALUE]));
            tx.learned(FlowId::default(), Learned::Fact(Fact::HttpPath, &[b'a'; LONGEST_VALUE]));
            tx.learned(FlowId::default(), Learned::Fact(Fact::HttpHost, &[b'a'; LONGEST_VALUE]));
            tx.flush();
        }
        assert_eq!(tx.lost, 8);
        let mut seen = 0;
        rx.drain(rx.waiting(), u64::MAX, |_, told: Told<'_>| seen += told.count());
        assert_eq!(seen, 4);
    }

    #[test]
    fn nothing_is_read_beyond_a_cut() {
        let (mut tx, mut rx) = ring(1000, Arc::default(), false);
        tx.learned(FlowId::default(), Learned::Fact(Fact::Sni, b"before"));
        tx.flush();
        let cut = tx.sent;
        tx.learned(FlowId::default(), Learned::Fact(Fact::Sni, b"behind"));
        tx.flush();
        for (sent, expected) in [(cut, Some(&b"before"[..])), (cut, None), (u64::MAX, Some(b"behind"))] {
            let mut seen = None;
            rx.drain(rx.waiting(), sent, |_, told: Told<'_>| {
                for what in told {
                    if let Learned::Fact(_, value) = what {
                        seen = Some(value.to_vec());
                    }
                }
            });
            assert_eq!(seen.as_deref(), expected);
        }
        assert!(rx.has_read(tx.sent));
    }
}
