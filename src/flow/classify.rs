//! What a frame says of a flow that is not TCP: its state; and of any flow: who began it.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    flow::{entry::Evidence, services::is_registered, state::FlowState},
    packet::{
        descriptor::{Descriptor, flag, tcp_flag},
        key::{kind, proto},
    },
};

/// Returns the state of a flow other than TCP after a frame; `before` is its state until then, the
/// default for a new flow. A frame without its transport header changes nothing that was known.
///
/// TCP has its own machine; here a TCP flow is established, as one seen from the middle.
#[inline]
pub fn state_after(before: FlowState, desc: &Descriptor) -> FlowState {
    if desc.key.kind & kind::ARP != 0 {
        return arp_state(desc.seq_number);
    }
    match desc.key.proto {
        proto::UDP if before.is_udp() => before,
        proto::UDP => FlowState::Udp,
        proto::ICMP | proto::ICMPV6 if is_headless(desc) => match before {
            FlowState::Active => FlowState::Icmp,
            known => known,
        },
        proto::ICMP => icmp_state(desc.ack_number, false),
        proto::ICMPV6 => icmp_state(desc.ack_number, true),
        proto::IGMP => FlowState::Icmp,
        proto::SCTP => FlowState::Sctp,
        proto::TCP => FlowState::Established,
        _ => FlowState::Active,
    }
}

/// Returns the state that an ICMP message with `type << 8 | code` makes (RFC 792; for IPv6 RFC 4443,
/// and RFC 4861 section 4 for neighbour discovery, routers included).
pub const fn icmp_state(type_code: u32, v6: bool) -> FlowState {
    match (v6, type_code >> 8) {
        (false, 8) | (true, 128) => FlowState::EchoRequest,
        (false, 0) | (true, 129) => FlowState::EchoReply,
        (false, 3) | (true, 1) => FlowState::DestUnreach,
        (false, 11) | (true, 3) => FlowState::TimeExceeded,
        (true, 133 | 135) => FlowState::NdSolicit,
        (true, 134 | 136) => FlowState::NdAdvert,
        _ => FlowState::Icmp,
    }
}

/// Returns the state that an ARP operation makes; RARP and InARP are read alike (IANA "ARP
/// Parameters"; RFC 826, RFC 903, RFC 2390).
pub const fn arp_state(operation: u32) -> FlowState {
    match operation {
        2 | 4 | 9 => FlowState::ArpReply,
        _ => FlowState::ArpRequest,
    }
}

/// Returns which end began the flow, judged by its first frame alone, and why: the SYN's sender, a
/// SYN-ACK's receiver, who asks for an echo, the end whose port is not registered if exactly one is, else the sender.
#[inline]
pub fn initiator_of(desc: &Descriptor) -> (usize, Evidence) {
    let from = desc.from();
    if desc.key.proto == proto::TCP && !is_headless(desc) {
        match desc.tcp_flags & (tcp_flag::SYN | tcp_flag::ACK | tcp_flag::RST) {
            tcp_flag::SYN => return (from, Evidence::Handshake),
            SYN_ACK => return (from ^ 1, Evidence::Handshake),
            _ => {}
        }
    }
    if let Some(asks) = asks_for_echo(desc) {
        return (asks, Evidence::Application);
    }
    let ports = desc.key.ports;
    if proto::has_ports(desc.key.proto) && ports[0] != 0 && ports[1] != 0 {
        match (is_registered(ports[0]), is_registered(ports[1])) {
            (false, true) => return (0, Evidence::Port),
            (true, false) => return (1, Evidence::Port),
            _ => {}
        }
    }
    (from, Evidence::FirstPacket)
}

/// Returns which end asks, if the frame is an ICMP echo or its answer.
#[inline]
pub fn asks_for_echo(desc: &Descriptor) -> Option<usize> {
    let is_icmp = matches!(desc.key.proto, proto::ICMP | proto::ICMPV6) && desc.key.kind & kind::ARP == 0;
    if !is_icmp || is_headless(desc) {
        return None;
    }
    match icmp_state(desc.ack_number, desc.key.proto == proto::ICMPV6) {
        FlowState::EchoRequest => Some(desc.from()),
        FlowState::EchoReply => Some(desc.from() ^ 1),
        _ => None,
    }
}

const SYN_ACK: u8 = tcp_flag::SYN | tcp_flag::ACK;

/// Whether the frame's transport fields mean nothing.
const fn is_headless(desc: &Descriptor) -> bool {
    desc.flags & (flag::FRAGMENT | flag::NO_TRANSPORT) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::key::FlowKey;

    fn desc(proto: u8, ports: [u16; 2], from: usize) -> Descriptor {
        let key = FlowKey { proto, ports, kind: kind::LIVE, ..FlowKey::default() };
        Descriptor { key, flags: from as u8, ..Descriptor::default() }
    }

    #[test]
    fn st6_to_st8_each_protocol_has_its_states() {
        use FlowState::*;
        let cases = [
            (proto::UDP, 0, Udp),
            (proto::UDPLITE, 0, Active),
            (proto::SCTP, 0, Sctp),
            (proto::IGMP, 0x1600, Icmp),
            (proto::GRE, 0, Active),
            (proto::ESP, 0, Active),
            (proto::TCP, 0, Established),
            (proto::ICMP, 0x0800, EchoRequest),
            (proto::ICMP, 0x0000, EchoReply),
            (proto::ICMP, 0x0301, DestUnreach),
            (proto::ICMP, 0x030d, DestUnreach),
            (proto::ICMP, 0x0b00, TimeExceeded),
            (proto::ICMP, 0x0500, Icmp),
            (proto::ICMP, 0x8000, Icmp),
            (proto::ICMPV6, 0x8000, EchoRequest),
            (proto::ICMPV6, 0x8100, EchoReply),
            (proto::ICMPV6, 0x0104, DestUnreach),
            (proto::ICMPV6, 0x0300, TimeExceeded),
            (proto::ICMPV6, 0x0800, Icmp),
            (proto::ICMPV6, 0x8500, NdSolicit),
            (proto::ICMPV6, 0x8600, NdAdvert),
            (proto::ICMPV6, 0x8700, NdSolicit),
            (proto::ICMPV6, 0x8800, NdAdvert),
            (proto::ICMPV6, 0x8f00, Icmp),
        ];
        for (proto, type_code, want) in cases {
            let desc = Descriptor { ack_number: type_code, ..desc(proto, [0; 2], 0) };
            assert_eq!(state_after(Active, &desc), want, "{proto} {type_code:#x}");
        }
    }

    #[test]
    fn an_answer_takes_the_place_of_the_question() {
        let ask = Descriptor { ack_number: 0x0800, ..desc(proto::ICMP, [0; 2], 0) };
        let answer = Descriptor { ack_number: 0, ..desc(proto::ICMP, [0; 2], 1) };
        let asked = state_after(FlowState::Active, &ask);
        assert_eq!(state_after(asked, &answer), FlowState::EchoReply);
    }

    #[test]
    fn who_asks_for_an_echo_is_the_initiator() {
        use Evidence::{Application, FirstPacket};
        for (proto, type_code, from, want) in [
            (proto::ICMP, 0x0800, 1, (1, Application)),
            (proto::ICMP, 0, 1, (0, Application)),
            (proto::ICMPV6, 0x8000, 0, (0, Application)),
            (proto::ICMPV6, 0x8100, 0, (1, Application)),
            (proto::ICMPV6, 0x8800, 1, (1, FirstPacket)),
            (proto::ICMP, 0x0301, 1, (1, FirstPacket)),
        ] {
            let desc = Descriptor { ack_number: type_code, ..desc(proto, [0; 2], from) };
            assert_eq!(initiator_of(&desc), want, "{proto} {type_code:#x} {from}");
        }
    }

    #[test]
    fn a_later_fragment_changes_no_icmp_state() {
        let mut piece = desc(proto::ICMP, [0; 2], 0);
        piece.flags |= flag::FRAGMENT;
        assert_eq!(state_after(FlowState::EchoRequest, &piece), FlowState::EchoRequest);
        assert_eq!(state_after(FlowState::Active, &piece), FlowState::Icmp);
    }

    #[test]
    fn arp_asks_and_answers() {
        use FlowState::{ArpReply, ArpRequest};
        let cases =
            [(1, ArpRequest), (2, ArpReply), (3, ArpRequest), (4, ArpReply), (8, ArpRequest), (9, ArpReply)];
        for (operation, want) in cases {
            let mut desc = desc(0, [0; 2], 0);
            desc.key.kind |= kind::ARP;
            desc.seq_number = operation;
            assert_eq!(state_after(FlowState::Active, &desc), want, "{operation}");
        }
    }

    #[test]
    fn the_initiator_is_judged_by_the_strongest_evidence() {
        use Evidence::{FirstPacket, Handshake, Port};
        use tcp_flag::{ACK, RST, SYN};
        let cases = [
            // Sender, flags, ports of the low and the high end, initiator and why.
            (0, SYN, [443, 50000], (0, Handshake)),
            (1, SYN, [443, 50000], (1, Handshake)),
            (0, SYN | ACK, [443, 50000], (1, Handshake)),
            (1, SYN | ACK, [443, 50000], (0, Handshake)),
            (0, ACK, [443, 50000], (1, Port)),
            (0, ACK, [50000, 443], (0, Port)),
            (1, ACK, [50000, 443], (0, Port)),
            (1, ACK, [50000, 50001], (1, FirstPacket)),
            (1, ACK, [22, 80], (1, FirstPacket)),
            (0, RST | ACK, [80, 40000], (1, Port)),
            (1, SYN | RST, [40000, 40001], (1, FirstPacket)),
        ];
        for (from, flags, ports, want) in cases {
            let desc = Descriptor { tcp_flags: flags, ..desc(proto::TCP, ports, from) };
            assert_eq!(initiator_of(&desc), want, "{from} {flags} {ports:?}");
        }
    }

    #[test]
    fn without_ports_the_first_sender_is_the_initiator() {
        for from in [0, 1] {
            assert_eq!(initiator_of(&desc(proto::GRE, [0; 2], from)), (from, Evidence::FirstPacket));
            assert_eq!(initiator_of(&desc(proto::UDP, [53, 0], from)), (from, Evidence::FirstPacket));
            assert_eq!(initiator_of(&desc(proto::UDP, [53, 40000], from)), (1, Evidence::Port));
        }
        // A TCP fragment's flags are not to be used.
        let mut piece = Descriptor { tcp_flags: tcp_flag::SYN, ..desc(proto::TCP, [0; 2], 1) };
        piece.flags |= flag::NO_TRANSPORT;
        assert_eq!(initiator_of(&piece), (1, Evidence::FirstPacket));
    }
}
