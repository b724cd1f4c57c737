//! One connection as readers see it, put together from the records of its worker.

use std::{net::IpAddr, sync::Arc};

use crate::{
    base::{
        ids::{FlowId, IfaceId},
        time::{Nanos, Stamp, Tick},
    },
    flow::{
        entry::{Facts, FlowRecord, Hot, Roles},
        health::Health,
        state::{EndReason, FlowState},
    },
    packet::{
        descriptor::encap,
        key::{FlowKey, WideKey, kind, proto},
    },
    process::owner::Owner,
    snapshot::{app::App, flow_view},
};

/// One connection. Index 0 of every pair is the key's low end (as sender), index 1 the high end.
#[derive(Clone, Debug)]
pub struct Row {
    /// Stays the same for the life of the row.
    pub id: FlowId,
    /// Protocol and kind.
    pub key: FlowKey,
    /// The rest of the key of IPv6 and tunnelled flows.
    pub wide: WideKey,
    /// Addresses.
    pub addresses: [IpAddr; 2],
    /// Ports, 0 without.
    pub ports: [u16; 2],
    /// Initiator and local ends.
    pub roles: Roles,
    /// The state without silence; see [`Row::state_text`].
    pub state: FlowState,
    /// Frames by sender.
    pub frames: [u64; 2],
    /// Packets by sender.
    pub packets: [u64; 2],
    /// Wire bytes by sender.
    pub bytes: [u64; 2],
    /// Smallest and largest stamp.
    pub first: Stamp,
    /// See `first`.
    pub last: Stamp,
    /// TCP segments with nothing new, by sender.
    pub retransmits: [u32; 2],
    /// TCP segments after a later one, by sender.
    pub out_of_order: [u32; 2],
    /// Round trip of the handshake.
    pub rtt_handshake: Option<Nanos>,
    /// Smoothed round trip of data.
    pub rtt_data: Option<Nanos>,
    /// TCP's windows and legs, where they are at hand.
    pub health: Option<Health>,
    /// Round trips are those of some of the packets: the others were only counted.
    pub is_sampled: bool,
    /// Bytes per second by sender; 0 for an ended row.
    pub rate: [f32; 2],
    /// Bytes per second by sender that came within the last second.
    pub seen: [f32; 2],
    /// Time since the last packet, or since a final state was entered.
    pub silence: Nanos,
    /// Home interface.
    pub iface: IfaceId,
    /// Outermost VLAN id of the first packet.
    pub vlan: Option<u16>,
    /// What else stood before the first packet: bits of [`encap`].
    pub encap: u16,
    /// See [`Facts::has_more_headers`].
    pub has_more_headers: bool,
    /// Why it ended.
    pub end: Option<EndReason>,
    /// What it speaks.
    pub app: Option<Arc<App>>,
    /// Who owns its local end.
    pub owner: Option<Arc<Owner>>,
}

impl Row {
    /// Puts a row together from its records, as of the cut at `now`.
    pub fn new(id: FlowId, hot: &Hot, facts: &Facts, wide: &WideKey, rate: [f32; 2], now: Tick) -> Self {
        let is_tcp = hot.key.proto == proto::TCP && hot.key.kind & kind::ARP == 0;
        let of_tcp = |counts: [u32; 2]| if is_tcp { counts } else { [0; 2] };
        let rtt = |us: u32| (us != 0).then_some(Nanos(u64::from(us) * 1000));
        Self {
            id,
            key: hot.key,
            wide: *wide,
            addresses: hot.key.addresses(wide),
            ports: hot.key.ports,
            roles: hot.roles,
            state: hot.state,
            frames: hot.frames,
            packets: [0, 1].map(|i| hot.frames[i] + facts.extra_packets[i]),
            bytes: hot.bytes,
            first: facts.first,
            last: hot.last,
            retransmits: of_tcp(facts.retransmits),
            out_of_order: of_tcp(facts.out_of_order),
            rtt_handshake: rtt(facts.rtt_handshake_us),
            rtt_data: rtt(facts.rtt_data_us),
            health: None,
            is_sampled: facts.is_sampled,
            rate,
            seen: rate,
            silence: hot.silence(now),
            iface: hot.iface,
            vlan: facts.vlan_id(),
            encap: facts.vlan & !encap::VLAN,
            has_more_headers: facts.has_more_headers,
            end: None,
            app: None,
            owner: None,
        }
    }

    /// Puts the row of an ended flow together.
    pub fn from_record(record: &FlowRecord) -> Self {
        let mut row =
            Self::new(record.id, &record.hot, &record.facts, &record.wide, [0.0; 2], record.hot.tick);
        row.end = record.end;
        row.health = record.health;
        row
    }

    /// Returns the records of the row, as far as it holds them.
    pub fn to_record(&self) -> FlowRecord {
        let micros = |rtt: Option<Nanos>| rtt.map_or(0, |rtt| (rtt.0 / 1000) as u32);
        FlowRecord {
            hot: Hot {
                key: self.key,
                bytes: self.bytes,
                frames: self.frames,
                last: self.last,
                tick: Tick::default(),
                state: self.state,
                roles: self.roles,
                iface: self.iface,
            },
            wide: self.wide,
            facts: Facts {
                first: self.first,
                extra_packets: [0, 1].map(|i| self.packets[i].saturating_sub(self.frames[i])),
                retransmits: self.retransmits,
                out_of_order: self.out_of_order,
                rtt_handshake_us: micros(self.rtt_handshake),
                rtt_data_us: micros(self.rtt_data),
                generation: self.id.generation(),
                vlan: self.vlan.map_or(0, |vlan| vlan + 1) | self.encap,
                is_sampled: self.is_sampled,
                has_more_headers: self.has_more_headers,
            },
            id: self.id,
            end: self.end,
            health: self.health,
        }
    }

    /// Returns TCP segments sent again, both ways, and the packets that they are a share of: those of the directions
    /// that carry data.
    pub fn retransmits_of(&self) -> (u64, u64) {
        let again = self.retransmits.iter().map(|n| u64::from(*n)).sum();
        (again, flow_view::data_packets(self.packets, self.bytes, self.retransmits))
    }

    /// Returns the end of the Local column: ours, else the initiator.
    pub fn local(&self) -> usize {
        self.roles.subject()
    }

    /// Returns the end of the Remote column.
    pub fn remote(&self) -> usize {
        1 - self.local()
    }

    /// Returns who opened the connection, as far as this host is concerned.
    pub fn direction(&self) -> Direction {
        Direction::of(self.roles)
    }

    /// Returns bytes per second towards Local and towards Remote.
    pub fn down_up(&self) -> (f32, f32) {
        (self.rate[self.remote()], self.rate[self.local()])
    }

    /// Returns the bytes per second towards Local and towards Remote that came within the last second.
    pub fn seen_down_up(&self) -> (f32, f32) {
        (self.seen[self.remote()], self.seen[self.local()])
    }

    /// Returns the text of the State column.
    pub fn state_text(&self) -> &'static str {
        self.state.text(self.silence)
    }

    /// Returns its age at `wall`; that of what has ended is the one it reached.
    pub fn age(&self, wall: Stamp) -> Nanos {
        flow_view::age(self.first, self.last, self.end, wall)
    }

    /// Returns when it ended, if it is the row of an ended flow.
    pub fn ended(&self) -> Option<Stamp> {
        self.end.map(|end| match end {
            EndReason::Timeout => Stamp(self.last.0.saturating_add(self.state.expires_after().0)),
            _ => self.last,
        })
    }

    /// Returns the lifetime that applies now.
    pub fn lifetime(&self) -> Nanos {
        self.state.lifetime(self.silence)
    }

    /// Returns the time left before the row goes.
    pub fn left(&self) -> Nanos {
        self.state.expires_after().since(self.silence)
    }

    /// Returns when the row came into what [`Row::state_text`] says, as near as it is known at `now`: what is over before
    /// its silence, what silence alone says within it, anything else with the last packet at the latest.
    pub fn in_state_since(&self, now: Stamp) -> Stamp {
        if self.state.counts_from_entry() && self.end.is_none() {
            return Stamp(now.0.saturating_sub(self.silence.0)).min(self.last);
        }
        let stage = self.state.stage(self.silence);
        Stamp(self.last.0.saturating_add(self.state.stage_begins(stage).0))
    }

    /// Returns silence as a share of the lifetime, 0 to 1.
    pub fn staleness(&self) -> f64 {
        (self.silence.0 as f64 / self.lifetime().0 as f64).min(1.0)
    }
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// This host.
    Out,
    /// The other side.
    In,
    /// Neither end is this host: forwarded, mirrored or read from a file.
    Forwarded,
}

impl Direction {
    /// Returns the direction of a connection with these roles.
    pub fn of(roles: Roles) -> Self {
        let local = roles.subject();
        match [roles.is_local(0), roles.is_local(1)] {
            [false, false] => Self::Forwarded,
            [true, true] => Self::Out,
            _ if roles.initiator() == local => Self::Out,
            _ => Self::In,
        }
    }

    /// Returns its word in filters and exports: `out`, `in` or `fwd`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
            Self::Forwarded => "fwd",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v8_segments_sent_again_are_a_share_of_the_packets_that_carry_data() {
        for (packets, bytes, again, of) in [
            // A download: what is acknowledged is no data.
            ([1000, 500], [1_514_000, 33_000], [10, 0], (10, 1000)),
            ([1000, 500], [1_514_000, 33_000], [0, 0], (0, 1000)),
            // Data both ways.
            ([1000, 500], [1_514_000, 400_000], [10, 0], (10, 1500)),
            // Small packets that were sent again are data.
            ([4, 0], [296, 0], [3, 0], (3, 4)),
            ([5, 5], [330, 330], [0, 0], (0, 0)),
        ] {
            let mut record = FlowRecord::default();
            record.hot.key.proto = proto::TCP;
            (record.hot.frames, record.hot.bytes, record.facts.retransmits) = (packets, bytes, again);
            assert_eq!(Row::from_record(&record).retransmits_of(), of, "{packets:?} {bytes:?}");
            let flow = flow_view::FlowView::of_record(&record, None, None);
            assert_eq!((flow.retransmits(), flow.data_packets()), of);
        }
    }

    #[test]
    fn a_row_is_in_its_state_since_a_packet_or_since_it_was_silent_for_long_enough() {
        let seconds = |s: u64| s * 1_000_000_000;
        let now = Stamp(seconds(1000));
        for (state, silence, since) in [
            (FlowState::Established, 20, 980),
            (FlowState::Udp, 10, 990),
            (FlowState::Udp, 20, 995),
            (FlowState::Udp, 50, 995),
            (FlowState::Active, 40, 975),
            (FlowState::TimeWait, 5, 995),
        ] {
            let mut record = FlowRecord::default();
            (record.hot.state, record.hot.last) = (state, Stamp(now.0 - seconds(silence)));
            let mut row = Row::from_record(&record);
            row.silence = Nanos(seconds(silence));
            assert_eq!(row.in_state_since(now), Stamp(seconds(since)), "{state:?} {silence}");
        }
        // Packets that came later changed nothing of it.
        let mut record = FlowRecord::default();
        (record.hot.state, record.hot.last) = (FlowState::TimeWait, Stamp(now.0 - seconds(1)));
        let mut row = Row::from_record(&record);
        row.silence = Nanos(seconds(5));
        assert_eq!(row.in_state_since(now), Stamp(seconds(995)));
        row.end = Some(EndReason::Fin);
        assert_eq!(row.in_state_since(now), Stamp(seconds(999)));
    }
}
