//! What the collector asks of whoever knows owners.

use std::{net::IpAddr, sync::Arc};

use crate::{
    base::{ids::FlowId, time::Stamp},
    flow::{
        entry::{Evidence, Facts, FlowRecord, Hot, Roles},
        state::FlowState,
    },
    packet::key::{WideKey, kind, proto},
    process::owner::Owner,
};

/// Knows who owns sockets. Lives in the collector's thread.
pub trait Owners: Send {
    /// Takes in what happened up to now; cheap when nothing did.
    fn drain(&mut self);

    /// Returns the owner of a flow's end that is ours, as well as it is known now.
    fn find(&mut self, flow: &Asked) -> Option<Arc<Owner>>;

    /// Says that some flow has no certain owner: all sockets should be looked at again soon. Returns
    /// at once, or, to `wait`, when that was done (in 300 ms at most).
    fn look_again(&mut self, wait: bool);

    /// Moves flows for which a better answer than the last one may be known now into `into`.
    fn changed(&mut self, into: &mut Vec<FlowId>);

    /// Returns how owners are found.
    fn status(&self) -> OwnerStatus;
}

/// How owners are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerStatus {
    /// `bpf`, `proc`, or `off` where nothing is looked up.
    pub method: &'static str,
    /// What exactly runs, for the page that tells about it: `iter, set_state, send`.
    pub parts: String,
    /// Why it is not the best method, if it is not.
    pub reason: Option<String>,
    /// What helps.
    pub remedy: Option<String>,
    /// Open connections with a local end that were asked about several times without an answer.
    pub unknown: u64,
    /// Events that found their queue full; repaired by the next pass.
    pub events_lost: u64,
    /// Passes over all sockets.
    pub passes: u64,
    /// How long the last pass took, in ns.
    pub pass_ns: u64,
    /// How long the first one took, from the start of looking to all sockets known, in ns.
    pub first_pass_ns: u64,
}

impl OwnerStatus {
    /// Returns whether nothing is looked up.
    pub fn is_off(&self) -> bool {
        self.method == "off"
    }
}

impl Default for OwnerStatus {
    /// Nothing is looked up.
    fn default() -> Self {
        Self {
            method: "off",
            parts: String::new(),
            reason: None,
            remedy: None,
            unknown: 0,
            events_lost: 0,
            passes: 0,
            pass_ns: 0,
            first_pass_ns: 0,
        }
    }
}

/// A flow as a question: whose is it?
#[derive(Clone, Debug)]
pub struct Asked {
    /// The flow.
    pub id: FlowId,
    /// IP protocol.
    pub proto: u8,
    /// It is an ARP exchange.
    pub is_arp: bool,
    /// Addresses of the low and the high end, IPv4-mapped ones as IPv4.
    pub addresses: [IpAddr; 2],
    /// Ports; 0 without.
    pub ports: [u16; 2],
    /// Which ends are ours, and who began.
    pub roles: Roles,
    /// Wall time of the first packet.
    pub first: Stamp,
    /// Neighbours look for each other (RFC 4861), which no process has to do with.
    pub is_discovery: bool,
    /// An ICMP echo was asked for or answered.
    pub is_echo: bool,
    /// This host says that something could not be delivered, and has not sent an echo there: the kernel does that.
    pub is_own_error: bool,
    /// It was found inside of a tunnel: no socket of this host has these ends.
    pub is_inner: bool,
}

impl Asked {
    /// Returns the question about a flow.
    pub fn new(id: FlowId, hot: &Hot, facts: &Facts, wide: &WideKey) -> Self {
        let has_ports = hot.key.kind & kind::ARP == 0 && proto::has_ports(hot.key.proto);
        // Nothing but echoes tells more of ICMP than who sent first.
        let is_echo = hot.roles.evidence() >= Evidence::Application as u8;
        let is_error = matches!(hot.state, FlowState::DestUnreach | FlowState::TimeExceeded);
        let began = hot.roles.is_local(hot.roles.initiator());
        Self {
            id,
            proto: hot.key.proto,
            is_arp: hot.key.kind & kind::ARP != 0,
            addresses: hot.key.addresses(wide).map(|a| a.to_canonical()),
            ports: if has_ports { hot.key.ports } else { [0, 0] },
            roles: hot.roles,
            first: facts.first,
            is_discovery: is_discovery(hot, wide),
            is_echo,
            is_own_error: is_error && began && !is_echo,
            is_inner: hot.key.kind & kind::EXTENDED != 0 && wide.extension.tunnel != 0,
        }
    }

    /// Returns the question about a flow that has ended.
    pub fn about(record: &FlowRecord) -> Self {
        Self::new(record.id, &record.hot, &record.facts, &record.wide)
    }

    /// Returns whether what was seen of it so far is the kernel's, whoever has a socket of its protocol.
    pub fn is_kernels(&self) -> bool {
        self.has_local_end() && (self.is_discovery || self.is_own_error)
    }

    /// Returns whether one of its ends is ours.
    pub fn has_local_end(&self) -> bool {
        self.roles.is_local(0) || self.roles.is_local(1)
    }

    /// Returns whether both ends are on this host's loopback.
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(IpAddr::is_loopback)
    }

    /// Returns whether no router passes it on: ARP, broadcast, an address of one link, or a multicast group of one
    /// (224.0.0.0/24, RFC 5771 section 4; scopes 1 and 2, RFC 4291 section 2.7).
    pub fn stays_on_link(&self) -> bool {
        let stays = |address: &IpAddr| match address {
            IpAddr::V4(a) => {
                let is_of_link = matches!(a.octets(), [224, 0, 0, _]);
                is_of_link || a.is_broadcast() || a.is_unspecified() || a.is_link_local()
            }
            IpAddr::V6(a) => {
                let is_of_link = matches!(a.octets(), [0xff, scope, ..] if matches!(scope & 15, 1 | 2));
                is_of_link || a.is_unspecified() || a.is_unicast_link_local()
            }
        };
        self.is_arp || self.addresses.iter().any(stays)
    }

    /// Returns whether this end opened the connection for all that is known: it may not have come
    /// in by a listener.
    pub fn was_opened_by(&self, end: usize) -> bool {
        self.roles.initiator() == end && self.roles.evidence() >= Evidence::Handshake as u8
    }
}

/// Returns whether what came last of a flow is neighbour discovery (RFC 4861 sections 4.3 and 4.4). Advertisements to all
/// nodes and solicitations of all routers are not: a daemon may send those of routers.
fn is_discovery(hot: &Hot, wide: &WideKey) -> bool {
    let to_all = |address: IpAddr| matches!(address, IpAddr::V6(a) if matches!(a.segments(), [0xff02, 0, 0, 0, 0, 0, 0, 1 | 2]));
    matches!(hot.state, FlowState::NdSolicit | FlowState::NdAdvert)
        && !hot.key.addresses(wide).into_iter().any(to_all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::key::FlowKey;

    #[test]
    fn an_error_is_the_kernels_where_no_echo_was_seen() {
        let asked = |state, initiator, evidence| {
            let key = FlowKey { proto: proto::ICMP, kind: kind::LIVE, ..FlowKey::default() };
            let roles = Roles::new(initiator, evidence, [true, false]);
            let hot = Hot { key, state, roles, ..Hot::default() };
            Asked::new(FlowId::new(0, 1, 1), &hot, &Facts::default(), &WideKey::default())
        };
        use Evidence::{Application, FirstPacket};
        use FlowState::{DestUnreach, EchoReply, Icmp, TimeExceeded};
        for (state, initiator, evidence, expected) in [
            (DestUnreach, 0, FirstPacket, true),
            (TimeExceeded, 0, FirstPacket, true),
            // What came from elsewhere may be for whoever asked, as may be the answer to a ping.
            (TimeExceeded, 1, FirstPacket, false),
            (DestUnreach, 0, Application, false),
            (EchoReply, 0, Application, false),
            (Icmp, 0, FirstPacket, false),
        ] {
            let asked = asked(state, initiator, evidence);
            assert_eq!(asked.is_kernels(), expected, "{state:?} {initiator} {evidence:?}");
            assert_eq!(asked.is_echo, evidence == Application);
        }
    }

    #[test]
    fn what_neighbours_ask_is_discovery_and_what_routers_tell_all_is_not() {
        let end = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
        for (state, remote, expected) in [
            (FlowState::NdSolicit, "ff02::1:ff00:2", true),
            (FlowState::NdAdvert, "fe80::2", true),
            (FlowState::NdAdvert, "ff02::1", false),
            (FlowState::NdSolicit, "ff02::2", false),
            (FlowState::EchoRequest, "fe80::2", false),
            (FlowState::Icmp, "ff02::16", false),
        ] {
            let key = FlowKey { proto: proto::ICMPV6, kind: kind::LIVE | kind::V6, ..FlowKey::default() };
            let wide = WideKey { ends: [end("fe80::1"), end(remote)], ..WideKey::default() };
            let hot = Hot { key, state, ..Hot::default() };
            assert_eq!(is_discovery(&hot, &wide), expected, "{state:?} {remote}");
        }
    }
}
