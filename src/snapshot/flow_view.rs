//! One flow by reference, as filters and sort keys look at it: nothing is copied or counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    base::{
        ids::FlowId,
        time::{Nanos, Stamp, Tick},
    },
    flow::{
        entry::{Facts, FlowRecord, Hot},
        state::EndReason,
    },
    packet::key::{kind, proto},
    process::owner::Owner,
    snapshot::{app::App, row::Direction},
};

/// One flow where it lies. Index 0 of every pair is the key's low end, index 1 the high end.
#[derive(Clone, Copy)]
pub struct FlowView<'a> {
    /// Counters, times, state.
    pub hot: &'a Hot,
    /// First stamp, TCP facts.
    pub facts: Facts,
    /// The ends of IPv6 and extended keys; meaningless for others.
    pub ends: &'a [[u8; 16]; 2],
    /// Worker and slot.
    pub id: FlowId,
    /// Bytes per second by sender, as the row shows them: they fall slowly.
    pub rate: [f32; 2],
    /// Bytes per second by sender that came within the last second.
    pub seen: [f32; 2],
    /// What it speaks.
    pub app: Option<&'a App>,
    /// Who owns its local end.
    pub owner: Option<&'a Owner>,
    /// Time since the last packet, or since a final state was entered.
    pub silence: Nanos,
    /// Why it ended.
    pub end: Option<EndReason>,
    /// What the reader that looks calls the two things above.
    pub numbers: Numbers,
}

/// Numbers that a reader gives to what flows speak and to who owns them, so that it asks once for all
/// flows that have the same; 0 where it gave none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Of what it speaks.
    pub app: u32,
    /// Of who owns it.
    pub owner: u32,
}

/// Returns the age at `wall` of a flow with these first and last packets: no time passes any more for one that
/// has ended.
pub fn age(first: Stamp, last: Stamp, end: Option<EndReason>, wall: Stamp) -> Nanos {
    let until = if has_ended(end) { last } else { wall };
    until.since(first)
}

/// Wire bytes of an acknowledgement without data at most: IPv6 in a VLAN, with time stamps and a SACK block
/// (14 + 4 + 40 + 20 + 12 + 12, RFC 2018 section 3, RFC 7323 section 3).
const MOST_ACK: u64 = 102;

/// Returns the packets of TCP, by sender, that segments sent again are a share of: those of the directions that carry
/// data. What the other one sends are mostly acknowledgements, which are never sent again. A direction carries data if
/// something was sent again in it, or if its packets are larger than acknowledgements on the average.
pub fn data_packets(packets: [u64; 2], bytes: [u64; 2], again: [u32; 2]) -> u64 {
    let carries = |i: usize| again[i] > 0 || bytes[i] > packets[i].saturating_mul(MOST_ACK);
    [0, 1].into_iter().filter(|i| carries(*i)).fold(0, |sum, i| sum.saturating_add(packets[i]))
}

/// Returns whether a flow with this end is over; one that was open at the stop is not.
fn has_ended(end: Option<EndReason>) -> bool {
    end.is_some_and(|end| end != EndReason::Eof)
}

impl<'a> FlowView<'a> {
    /// Returns the view of a flow that has ended.
    pub fn of_record(record: &'a FlowRecord, app: Option<&'a App>, owner: Option<&'a Owner>) -> Self {
        Self {
            hot: &record.hot,
            facts: record.facts,
            ends: &record.wide.ends,
            id: record.id,
            rate: [0.0; 2],
            seen: [0.0; 2],
            app,
            owner,
            silence: Nanos(0),
            end: record.end,
            numbers: Numbers::default(),
        }
    }

    /// Returns the two IPv4 addresses, low end first; `None` for IPv6.
    #[inline]
    pub fn v4(&self) -> Option<[u32; 2]> {
        let key = &self.hot.key;
        if key.kind & kind::V6 != 0 {
            return None;
        }
        if key.kind & kind::WIDE == 0 {
            return Some([(key.ends >> 32) as u32, key.ends as u32]);
        }
        Some(self.ends.map(|a| u32::from_be_bytes([a[12], a[13], a[14], a[15]])))
    }

    /// Returns the addresses.
    pub fn addresses(&self) -> [IpAddr; 2] {
        match self.v4() {
            Some(ends) => ends.map(|a| IpAddr::V4(Ipv4Addr::from(a))),
            None => self.ends.map(|a| IpAddr::V6(Ipv6Addr::from(a))),
        }
    }

    /// Returns the port of one end, `None` where the protocol has none or none was seen.
    #[inline]
    pub fn port(&self, end: usize) -> Option<u16> {
        self.hot.key.port(end)
    }

    /// Returns the end of the Local column.
    pub fn local(&self) -> usize {
        self.hot.roles.subject()
    }

    /// Returns the end of the Remote column.
    pub fn remote(&self) -> usize {
        1 - self.local()
    }

    /// Returns who opened the connection, as far as this host is concerned.
    pub fn direction(&self) -> Direction {
        Direction::of(self.hot.roles)
    }

    /// Returns bytes per second towards Local and towards Remote, as the row shows them.
    pub fn down_up(&self) -> (f32, f32) {
        (self.rate[self.remote()], self.rate[self.local()])
    }

    /// Returns the bytes per second towards Local and towards Remote that came within the last second:
    /// what sums over rows are made of.
    pub fn seen_down_up(&self) -> (f64, f64) {
        (self.seen[self.remote()].into(), self.seen[self.local()].into())
    }

    /// Returns the text of the State column.
    pub fn state_text(&self) -> &'static str {
        self.hot.state.text(self.silence)
    }

    /// Returns TCP segments sent again, both ways; other protocols keep other facts there.
    pub fn retransmits(&self) -> u64 {
        match self.hot.key.proto {
            proto::TCP => self.facts.retransmits.iter().map(|n| u64::from(*n)).sum(),
            _ => 0,
        }
    }

    /// Returns the packets that [`FlowView::retransmits`] are a share of: see [`data_packets`].
    pub fn data_packets(&self) -> u64 {
        let packets = [0, 1].map(|i| self.hot.frames[i].saturating_add(self.facts.extra_packets[i]));
        match self.hot.key.proto {
            proto::TCP => data_packets(packets, self.hot.bytes, self.facts.retransmits),
            _ => 0,
        }
    }

    /// Returns all wire bytes.
    pub fn bytes(&self) -> u64 {
        self.hot.bytes[0].saturating_add(self.hot.bytes[1])
    }

    /// Returns the round trip: of data, else of the handshake.
    pub fn rtt(&self) -> Option<Nanos> {
        let us = self.facts.round_trip().best_us();
        (us != 0).then_some(Nanos(u64::from(us) * 1000))
    }

    /// Returns its age at `wall`; that of what has ended is the one it reached.
    pub fn age(&self, wall: Stamp) -> Nanos {
        age(self.facts.first, self.hot.last, self.end, wall)
    }

    /// Returns whether it is over, and not only where reading stopped.
    pub fn has_ended(&self) -> bool {
        has_ended(self.end)
    }

    /// Returns the time left before the row goes; `None` for what has ended.
    pub fn left(&self) -> Option<Nanos> {
        self.end.is_none().then(|| self.hot.state.expires_after().since(self.silence))
    }

    /// Returns the tick from which the row is left out if no packet comes.
    pub fn gone_at(&self) -> Tick {
        let life = Tick::span(self.hot.state.expires_after());
        Tick(self.hot.tick.0.wrapping_add(life))
    }
}
