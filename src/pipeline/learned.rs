//! What workers learn of flows, on its way to the collector: a ring of bytes, one for each worker.
//!
//! ```text
//!  | id: 8 bytes | tag | length | value ... | id | ...
//! ```
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use crate::{
    base::ids::FlowId,
    dpi::{
        fact::{Fact, LONGEST_VALUE},
        notes::{Learn, Learned},
        service::Service,
    },
    pipeline::wake::Bell,
};

/// How long a worker waits before it looks for room again.
const PAUSE: std::time::Duration = std::time::Duration::from_micros(50);
/// The flow's number, a tag, the length of the value in two bytes.
const HEAD: usize = 11;
const LONGEST: usize = HEAD + LONGEST_VALUE;
const SERVICE: u8 = 255;
const RESOLVED: u8 = 254;

const _: () = assert!(Fact::ALL.len() < RESOLVED as usize);

/// Makes a ring of `bytes` bytes. Where frames cannot wait (`waits` is false), what finds no room is
/// lost and counted.
pub fn ring(bytes: usize, collector: Arc<Bell>, waits: bool) -> (LearnedSender, LearnedReceiver) {
    let (producer, consumer) = rtrb::RingBuffer::new(bytes.max(LONGEST));
    (LearnedSender { producer, collector, waits, lost: 0, sent: 0 }, LearnedReceiver { consumer, read: 0 })
}

/// A worker's end.
pub struct LearnedSender {
    producer: rtrb::Producer<u8>,
    collector: Arc<Bell>,
    waits: bool,
    /// What found no room since the start.
    pub lost: u64,
    /// Bytes sent since the start.
    pub sent: u64,
}

impl Learn for LearnedSender {
    fn learned(&mut self, id: FlowId, what: Learned<'_>) {
        let mut event = [0; LONGEST];
        event[..8].copy_from_slice(&id.number().to_le_bytes());
        let value = &mut event[HEAD..];
        let (tag, len) = match what {
            Learned::Service(service) => {
                value[0] = service as u8;
                (SERVICE, 1)
            }
            Learned::Fact(fact, bytes) => (fact as u8, put(value, bytes)),
            Learned::Resolved(name, address) => {
                let address = match address {
                    IpAddr::V4(a) => a.to_ipv6_mapped(),
                    IpAddr::V6(a) => a,
                };
                value[..16].copy_from_slice(&address.octets());
                (RESOLVED, 16 + put(&mut value[16..], name))
            }
        };
        event[8] = tag;
        event[9..HEAD].copy_from_slice(&(len as u16).to_le_bytes());
        self.send(&event[..HEAD + len]);
    }
}

fn put(to: &mut [u8], bytes: &[u8]) -> usize {
    let len = bytes.len().min(to.len());
    to[..len].copy_from_slice(&bytes[..len]);
    len
}

impl LearnedSender {
    fn send(&mut self, event: &[u8]) {
        loop {
            if let Ok(mut chunk) = self.producer.write_chunk(event.len()) {
                let (first, second) = chunk.as_mut_slices();
                let (a, b) = event.split_at(first.len());
                first.copy_from_slice(a);
                second.copy_from_slice(b);
                self.sent += event.len() as u64;
                return chunk.commit_all();
            }
            if !self.waits || self.producer.is_abandoned() {
                self.lost += 1;
                return;
            }
            self.collector.ring();
            std::thread::park_timeout(PAUSE);
        }
    }

    /// Wakes the collector if the ring is half full.
    pub fn nudge(&self) {
        if self.producer.slots() < self.producer.buffer().capacity() / 2 {
            self.collector.ring();
        }
    }
}

/// The collector's end.
pub struct LearnedReceiver {
    consumer: rtrb::Consumer<u8>,
    /// Bytes read since the start.
    read: u64,
}

impl LearnedReceiver {
    /// Returns how many bytes wait.
    pub fn waiting(&self) -> usize {
        self.consumer.slots()
    }

    /// Returns whether all that was sent up to `sent` bytes since the start is read.
    pub fn has_read(&self, sent: u64) -> bool {
        self.read >= sent
    }

    /// Gives the next `waiting` bytes, as [`LearnedReceiver::waiting`] returned them, to `each`, but
    /// nothing beyond `sent` bytes since the start; returns whether there was anything.
    pub fn drain(&mut self, waiting: usize, sent: u64, mut each: impl FnMut(FlowId, Learned<'_>)) -> bool {
        let waiting = waiting.min(usize::try_from(sent.saturating_sub(self.read)).unwrap_or(usize::MAX));
        self.read += waiting as u64;
        let Ok(chunk) = self.consumer.read_chunk(waiting) else { return false };
        let (first, second) = chunk.as_slices();
        let mut at = 0;
        let mut event = [0; LONGEST];
        while at < waiting {
            let head = copy(&mut event[..HEAD], first, second, at);
            let len = usize::from(u16::from_le_bytes([event[9], event[10]]));
            copy(&mut event[HEAD..HEAD + len], first, second, at + head);
            at += HEAD + len;
            let id = FlowId::from_number(u64::from_le_bytes(*event.first_chunk().expect("8 bytes")));
            if let Some(learned) = read(event[8], &event[HEAD..HEAD + len]) {
                each(id, learned);
            }
        }
        chunk.commit_all();
        waiting > 0
    }
}

fn copy(to: &mut [u8], first: &[u8], second: &[u8], at: usize) -> usize {
    let whole = to.len();
    let front = first.get(at..).unwrap_or_default();
    let front = &front[..front.len().min(whole)];
    to[..front.len()].copy_from_slice(front);
    let from = (at + front.len()).saturating_sub(first.len());
    to[front.len()..].copy_from_slice(&second[from..from + whole - front.len()]);
    whole
}

fn read(tag: u8, value: &[u8]) -> Option<Learned<'_>> {
    Some(match tag {
        SERVICE => Learned::Service(Service::from_number(*value.first()?)?),
        RESOLVED => {
            let (address, name) = value.split_first_chunk::<16>()?;
            Learned::Resolved(name, IpAddr::V6(Ipv6Addr::from(*address)).to_canonical())
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
        let (mut tx, mut rx) = ring(300, Arc::default(), false);
        let long = [b'x'; 255];
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        for round in 0..200u32 {
            let id = FlowId::new(3, round, round + 1);
            let sent = [
                Learned::Service(Service::Ssh),
                Learned::Fact(Fact::Sni, &long[..(round % 100) as usize]),
                Learned::Resolved(b"example.org", if round % 2 == 0 { address } else { v4 }),
                Learned::Fact(Fact::Ech, b""),
            ];
            for what in sent {
                tx.learned(id, what);
            }
            let mut seen = 0;
            assert!(rx.drain(rx.waiting(), u64::MAX, |from, what| {
                assert_eq!((from, what), (id, sent[seen]));
                seen += 1;
            }));
            assert_eq!(seen, sent.len());
        }
        assert_eq!(tx.lost, 0);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (mut tx, mut rx) = ring(LONGEST, Arc::default(), false);
        for _ in 0..3 {
            tx.learned(FlowId::default(), Learned::Fact(Fact::Sni, &[b'a'; LONGEST_VALUE]));
        }
        assert_eq!(tx.lost, 2);
        let mut seen = 0;
        rx.drain(rx.waiting(), u64::MAX, |_, _| seen += 1);
        assert_eq!(seen, 1);
    }

    #[test]
    fn nothing_is_read_beyond_a_cut() {
        let (mut tx, mut rx) = ring(1000, Arc::default(), false);
        tx.learned(FlowId::default(), Learned::Fact(Fact::Sni, b"before"));
        let cut = tx.sent;
        tx.learned(FlowId::default(), Learned::Fact(Fact::Sni, b"behind"));
        for (sent, expected) in [(cut, Some(&b"before"[..])), (cut, None), (u64::MAX, Some(b"behind"))] {
            let mut seen = None;
            rx.drain(rx.waiting(), sent, |_, what| {
                if let Learned::Fact(_, value) = what {
                    seen = Some(value.to_vec());
                }
            });
            assert_eq!(seen.as_deref(), expected);
        }
        assert!(rx.has_read(tx.sent));
    }
}
