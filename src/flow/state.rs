//! States of connections, and how long a row lives in each (one table).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{base::time::Nanos, dpi::notes::Phase};

/// The state of a flow as it follows from its frames; silence is added by [`FlowState::text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "RFC 9293 section 3.3.2 names, and those of the table below")]
pub enum FlowState {
    /// Traffic of a protocol without states.
    #[default]
    Active,
    SynSent,
    SynRecv,
    Established,
    FinWait1,
    FinWait2,
    TimeWait,
    CloseWait,
    LastAck,
    Closing,
    /// Closed by FIN on both sides.
    Closed,
    /// Closed by a RST; shown as CLOSED.
    Reset,
    Udp,
    EchoRequest,
    EchoReply,
    DestUnreach,
    TimeExceeded,
    NdSolicit,
    NdAdvert,
    /// ICMP, ICMPv6 or IGMP of another kind.
    Icmp,
    ArpRequest,
    ArpReply,
    Sctp,
    /// Established, known as HTTP or HTTPS.
    EstablishedWeb,
    SshBanner,
    SshKeyExchange,
    SshAuthentication,
    SshEstablished,
    DnsQuery,
    DnsResponse,
    QuicInitial,
    QuicHandshake,
    QuicConnected,
    /// Connected, known as HTTP.
    QuicConnectedWeb,
    /// A transport's CONNECTION_CLOSE was read.
    QuicDraining,
    /// An application's CONNECTION_CLOSE was read.
    QuicDrainingApp,
    QuicClosed,
    /// SSH in datagrams.
    UdpSsh,
}

/// Why a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndReason {
    /// Closed by FIN on both sides, then its lifetime passed.
    Fin,
    /// Closed by RST, then its lifetime passed.
    Rst,
    /// No packet came for the lifetime of its state.
    Timeout,
    /// The table was full.
    Evicted,
    /// A new connection began on the same tuple.
    Replaced,
    /// It was open when the program ended.
    Eof,
}

impl EndReason {
    /// Returns the name in exports.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Timeout => "timeout",
            Self::Evicted => "evicted",
            Self::Replaced => "replaced",
            Self::Eof => "eof",
        }
    }
}

/// How near a row is to its end (themes map these to colours and marks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Staleness {
    /// Below 75 % of the lifetime.
    Fresh,
    /// From 75 %.
    Stale,
    /// Over 90 %.
    Dying,
    /// At 100 %: the row goes.
    Gone,
}

const SECOND: u64 = 1_000_000_000;
/// Silence from which an established TCP row is idle.
const TCP_IDLE: Nanos = Nanos(60 * SECOND);

impl FlowState {
    /// Every state, in the order of the table.
    pub const ALL: [Self; 38] = [
        Self::Active,
        Self::SynSent,
        Self::SynRecv,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::CloseWait,
        Self::LastAck,
        Self::Closing,
        Self::Closed,
        Self::Reset,
        Self::Udp,
        Self::EchoRequest,
        Self::EchoReply,
        Self::DestUnreach,
        Self::TimeExceeded,
        Self::NdSolicit,
        Self::NdAdvert,
        Self::Icmp,
        Self::ArpRequest,
        Self::ArpReply,
        Self::Sctp,
        Self::EstablishedWeb,
        Self::SshBanner,
        Self::SshKeyExchange,
        Self::SshAuthentication,
        Self::SshEstablished,
        Self::DnsQuery,
        Self::DnsResponse,
        Self::QuicInitial,
        Self::QuicHandshake,
        Self::QuicConnected,
        Self::QuicConnectedWeb,
        Self::QuicDraining,
        Self::QuicDrainingApp,
        Self::QuicClosed,
        Self::UdpSsh,
    ];

    /// Returns the state as a bit, so that being one of several states is one test.
    #[inline(always)]
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// Returns the state that a phase makes of a flow in this one, if it makes any: phases of TCP
    /// services refine ESTABLISHED, those of UDP services replace UDP's.
    pub const fn in_phase(self, phase: Phase) -> Self {
        let refined = match phase {
            Phase::Web => Self::EstablishedWeb,
            Phase::SshBanner if self.is_udp() => Self::UdpSsh,
            Phase::SshBanner => Self::SshBanner,
            Phase::SshKeyExchange => Self::SshKeyExchange,
            Phase::SshAuthentication => Self::SshAuthentication,
            Phase::SshEstablished => Self::SshEstablished,
            Phase::DnsQuery => Self::DnsQuery,
            Phase::DnsResponse => Self::DnsResponse,
            Phase::QuicInitial => Self::QuicInitial,
            Phase::QuicHandshake => Self::QuicHandshake,
            Phase::QuicConnected => Self::QuicConnected,
            Phase::QuicConnectedWeb => Self::QuicConnectedWeb,
            Phase::QuicDraining => Self::QuicDraining,
            Phase::QuicDrainingApp => Self::QuicDrainingApp,
            Phase::QuicClosed => Self::QuicClosed,
        };
        let fits = self.is_established() && refined.is_established() || self.is_udp() && refined.is_udp();
        if fits { refined } else { self }
    }

    /// Returns whether TCP's state is ESTABLISHED.
    #[inline]
    pub const fn is_established(self) -> bool {
        matches!(
            self,
            Self::Established
                | Self::EstablishedWeb
                | Self::SshBanner
                | Self::SshKeyExchange
                | Self::SshAuthentication
                | Self::SshEstablished
        )
    }

    /// Returns whether it is a state of UDP flows.
    #[inline]
    pub const fn is_udp(self) -> bool {
        matches!(
            self,
            Self::Udp
                | Self::DnsQuery
                | Self::DnsResponse
                | Self::QuicInitial
                | Self::QuicHandshake
                | Self::QuicConnected
                | Self::QuicConnectedWeb
                | Self::QuicDraining
                | Self::QuicDrainingApp
                | Self::QuicClosed
                | Self::UdpSsh
        )
    }

    /// Returns the state of the transport alone: ESTABLISHED for all that refines it.
    pub const fn of_transport(self) -> Self {
        if self.is_established() { Self::Established } else { self }
    }

    /// Returns which of its texts a state has after `silence`: 0 for those that have one only.
    pub const fn stage(self, silence: Nanos) -> usize {
        match self {
            Self::Active | Self::Icmp | Self::Sctp => (silence.0 > 15 * SECOND) as usize,
            Self::Udp | Self::UdpSsh => {
                (silence.0 >= 15 * SECOND) as usize + (silence.0 >= 45 * SECOND) as usize
            }
            _ => 0,
        }
    }

    /// Returns the silence with which a [`FlowState::stage`] begins.
    pub const fn stage_begins(self, stage: usize) -> Nanos {
        match (self, stage) {
            (_, 0) => Nanos(0),
            (Self::Udp | Self::UdpSsh, 2) => Nanos(45 * SECOND),
            _ => Nanos(15 * SECOND),
        }
    }

    /// Returns the text in the State column after `silence` without a packet.
    pub const fn text(self, silence: Nanos) -> &'static str {
        match self {
            Self::Active | Self::Icmp | Self::Sctp => ["ACTIVE", "IDLE"][self.stage(silence)],
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::Established | Self::EstablishedWeb | Self::SshEstablished => "ESTABLISHED",
            Self::SshBanner => "BANNER",
            Self::SshKeyExchange => "KEYEXCHANGE",
            Self::SshAuthentication => "AUTHENTICATION",
            Self::DnsQuery => "DNS_QUERY",
            Self::DnsResponse => "DNS_RESPONSE",
            Self::QuicInitial => "QUIC_INITIAL",
            Self::QuicHandshake => "QUIC_HANDSHAKE",
            Self::QuicConnected | Self::QuicConnectedWeb => "QUIC_CONNECTED",
            Self::QuicDraining | Self::QuicDrainingApp => "QUIC_DRAINING",
            Self::QuicClosed => "QUIC_CLOSED",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Closing => "CLOSING",
            Self::Closed | Self::Reset => "CLOSED",
            Self::Udp | Self::UdpSsh => ["UDP_ACTIVE", "UDP_IDLE", "UDP_STALE"][self.stage(silence)],
            Self::EchoRequest => "ECHO_REQUEST",
            Self::EchoReply => "ECHO_REPLY",
            Self::DestUnreach => "DEST_UNREACH",
            Self::TimeExceeded => "TIME_EXCEEDED",
            Self::NdSolicit => "ND_SOLICIT",
            Self::NdAdvert => "ND_ADVERT",
            Self::ArpRequest => "ARP_REQUEST",
            Self::ArpReply => "ARP_REPLY",
        }
    }

    /// Returns how long a row in this state lives, measured as [`FlowState::counts_from_entry`] says,
    /// when it has been silent for `silence`.
    pub const fn lifetime(self, silence: Nanos) -> Nanos {
        let secs = match self {
            Self::SshBanner
            | Self::SshKeyExchange
            | Self::SshAuthentication
            | Self::SshEstablished
            | Self::UdpSsh => 1800,
            Self::EstablishedWeb | Self::QuicConnectedWeb => 600,
            Self::Established | Self::QuicConnected if silence.0 < TCP_IDLE.0 => 600,
            Self::Established | Self::QuicConnected | Self::Sctp => 300,
            Self::TimeWait
            | Self::Closing
            | Self::ArpRequest
            | Self::ArpReply
            | Self::DnsQuery
            | Self::DnsResponse => 30,
            Self::QuicDrainingApp | Self::QuicClosed => 1,
            Self::Closed | Self::Reset => 5,
            Self::EchoRequest
            | Self::EchoReply
            | Self::DestUnreach
            | Self::TimeExceeded
            | Self::NdSolicit
            | Self::NdAdvert
            | Self::QuicDraining
            | Self::Icmp => 10,
            Self::SynSent
            | Self::SynRecv
            | Self::FinWait1
            | Self::FinWait2
            | Self::CloseWait
            | Self::LastAck
            | Self::Udp
            | Self::QuicInitial
            | Self::QuicHandshake
            | Self::Active => 60,
        };
        Nanos::from_secs(secs)
    }

    /// Returns the silence after which a row in this state is removed.
    pub const fn expires_after(self) -> Nanos {
        // The lifetime of an idle row counts: no row reaches an active one's in silence.
        self.lifetime(Nanos(u64::MAX))
    }

    /// Returns how near the row is to its end after `silence`, measured as
    /// [`FlowState::counts_from_entry`] says.
    pub const fn staleness(self, silence: Nanos) -> Staleness {
        // Lifetimes are whole seconds, so the divisions are exact.
        let life = self.lifetime(silence).0;
        if silence.0 >= life {
            Staleness::Gone
        } else if silence.0 > life / 10 * 9 {
            Staleness::Dying
        } else if silence.0 >= life / 4 * 3 {
            Staleness::Stale
        } else {
            Staleness::Fresh
        }
    }

    /// Returns whether the lifetime runs from entering the state instead of from the last packet.
    pub const fn counts_from_entry(self) -> bool {
        matches!(
            self,
            Self::TimeWait
                | Self::Closed
                | Self::Reset
                | Self::QuicDraining
                | Self::QuicDrainingApp
                | Self::QuicClosed
        )
    }

    /// Returns whether a new SYN on the tuple begins a new row.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::TimeWait | Self::Closed | Self::Reset)
    }

    /// Returns whether QUIC's CONNECTION_CLOSE was read: another connection on the same ends begins a new row.
    #[inline]
    pub const fn is_quic_over(self) -> bool {
        matches!(self, Self::QuicDraining | Self::QuicDrainingApp | Self::QuicClosed)
    }

    /// Returns why a row in this state ends when its lifetime has passed.
    pub const fn end_reason(self) -> EndReason {
        match self {
            Self::TimeWait | Self::Closed => EndReason::Fin,
            Self::Reset => EndReason::Rst,
            _ => EndReason::Timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FlowState::*;

    fn secs(s: f64) -> Nanos {
        Nanos((s * 1e9) as u64)
    }

    #[test]
    fn st1_tcp_states_have_their_names_however_silent() {
        let cases = [
            (SynSent, "SYN_SENT"),
            (SynRecv, "SYN_RECV"),
            (Established, "ESTABLISHED"),
            (FinWait1, "FIN_WAIT1"),
            (FinWait2, "FIN_WAIT2"),
            (TimeWait, "TIME_WAIT"),
            (CloseWait, "CLOSE_WAIT"),
            (LastAck, "LAST_ACK"),
            (Closing, "CLOSING"),
            (Closed, "CLOSED"),
            (Reset, "CLOSED"),
        ];
        for (state, want) in cases {
            for silence in [0.0, 61.0, 600.0] {
                assert_eq!(state.text(secs(silence)), want);
            }
        }
        // A socket that waits is no connection.
        assert!(FlowState::ALL.iter().all(|state| !state.text(secs(0.0)).contains("LISTEN")));
    }

    #[test]
    fn st6_udp_is_named_by_its_silence() {
        let cases = [
            (0.0, "UDP_ACTIVE"),
            (14.999, "UDP_ACTIVE"),
            (15.0, "UDP_IDLE"),
            (44.999, "UDP_IDLE"),
            (45.0, "UDP_STALE"),
            (59.999, "UDP_STALE"),
        ];
        for (silence, want) in cases {
            assert_eq!(Udp.text(secs(silence)), want, "{silence}");
        }
        // It turns yellow where it becomes stale.
        assert_eq!(Udp.staleness(secs(44.999)), Staleness::Fresh);
        assert_eq!(Udp.staleness(secs(45.0)), Staleness::Stale);
    }

    #[test]
    fn st7_and_st8_messages_have_names_and_the_rest_is_active_up_to_15_s() {
        let cases = [
            (EchoRequest, "ECHO_REQUEST"),
            (EchoReply, "ECHO_REPLY"),
            (DestUnreach, "DEST_UNREACH"),
            (TimeExceeded, "TIME_EXCEEDED"),
            (ArpRequest, "ARP_REQUEST"),
            (ArpReply, "ARP_REPLY"),
            (NdSolicit, "ND_SOLICIT"),
            (NdAdvert, "ND_ADVERT"),
        ];
        for (state, want) in cases {
            assert_eq!(state.text(secs(0.0)), want);
            assert_eq!(state.text(secs(29.0)), want);
        }
        for state in [Active, Icmp, Sctp] {
            assert_eq!(state.text(secs(15.0)), "ACTIVE");
            assert_eq!(state.text(secs(15.001)), "IDLE");
        }
    }

    /// State, seconds without a packet (or since the state was entered) when the row goes.
    const LIVES: [(&str, FlowState, u64); 38] = [
        ("L4", Established, 300),
        ("L5", TimeWait, 30),
        ("L6", Closed, 5),
        ("L6", Reset, 5),
        ("L7", SynSent, 60),
        ("L7", SynRecv, 60),
        ("L7", FinWait1, 60),
        ("L7", FinWait2, 60),
        ("L7", CloseWait, 60),
        ("L7", LastAck, 60),
        ("L7", Closing, 30),
        ("L9", Udp, 60),
        ("L15", EchoRequest, 10),
        ("L15", EchoReply, 10),
        ("L15", DestUnreach, 10),
        ("L15", TimeExceeded, 10),
        ("L15", NdSolicit, 10),
        ("L15", NdAdvert, 10),
        ("L15", Icmp, 10),
        ("L16", ArpRequest, 30),
        ("L16", ArpReply, 30),
        ("L16", Sctp, 300),
        ("L16", Active, 60),
        ("L1", EstablishedWeb, 600),
        ("L2", SshBanner, 1800),
        ("L2", SshKeyExchange, 1800),
        ("L2", SshAuthentication, 1800),
        ("L2", SshEstablished, 1800),
        ("L8", DnsQuery, 30),
        ("L8", DnsResponse, 30),
        ("L13", QuicInitial, 60),
        ("L13", QuicHandshake, 60),
        ("L11", QuicConnected, 300),
        ("L10", QuicConnectedWeb, 600),
        ("L12", QuicDraining, 10),
        ("L12", QuicDrainingApp, 1),
        ("L14", QuicClosed, 1),
        ("L10", UdpSsh, 1800),
    ];

    #[test]
    fn l10_ssh_in_datagrams_is_a_state_of_udp_with_its_texts() {
        assert_eq!([Udp, Established].map(|state| state.in_phase(Phase::SshBanner)), [UdpSsh, SshBanner]);
        for silence in [0.0, 20.0, 50.0, 1000.0] {
            assert_eq!(UdpSsh.text(secs(silence)), Udp.text(secs(silence)));
        }
    }

    #[test]
    fn each_state_lives_its_time() {
        for (row, state, life) in LIVES {
            assert_eq!(state.expires_after(), Nanos::from_secs(life), "{row} {state:?}");
            let last = secs(life as f64 - 0.001);
            assert_eq!(state.staleness(last), Staleness::Dying, "{row} {state:?}");
            assert_eq!(state.staleness(secs(life as f64)), Staleness::Gone, "{row} {state:?}");
        }
        for state in FlowState::ALL {
            assert!(LIVES.iter().any(|row| row.1 == state), "{state:?}");
        }
    }

    #[test]
    fn l3_an_established_row_lives_10_min_while_active_and_5_when_idle() {
        assert_eq!(Established.lifetime(secs(0.0)), Nanos::from_secs(600));
        assert_eq!(Established.lifetime(secs(59.999)), Nanos::from_secs(600));
        assert_eq!(Established.lifetime(secs(60.001)), Nanos::from_secs(300));
        assert_eq!(Established.staleness(secs(59.0)), Staleness::Fresh);
        assert_eq!(Established.staleness(secs(224.999)), Staleness::Fresh);
        assert_eq!(Established.staleness(secs(225.0)), Staleness::Stale);
    }

    #[test]
    fn l16_only_final_states_count_from_their_beginning() {
        for state in FlowState::ALL {
            let is_closed = matches!(state, TimeWait | Closed | Reset);
            let is_final = is_closed || matches!(state, QuicDraining | QuicDrainingApp | QuicClosed);
            assert_eq!(state.counts_from_entry(), is_final, "{state:?}");
            // A new SYN begins a new row; QUIC has none.
            assert_eq!(state.is_over(), is_closed, "{state:?}");
        }
    }

    #[test]
    fn l11_a_quic_row_lives_10_min_while_active_and_5_when_idle() {
        assert_eq!(QuicConnected.lifetime(secs(59.999)), Nanos::from_secs(600));
        assert_eq!(QuicConnected.lifetime(secs(60.001)), Nanos::from_secs(300));
        assert_eq!(QuicConnectedWeb.lifetime(secs(60.001)), Nanos::from_secs(600));
    }

    #[test]
    fn phases_refine_the_states_of_their_transport_only() {
        let cases = [
            (Established, Phase::Web, EstablishedWeb),
            (SshBanner, Phase::SshKeyExchange, SshKeyExchange),
            (FinWait1, Phase::Web, FinWait1),
            (SynRecv, Phase::SshBanner, SynRecv),
            (Udp, Phase::DnsQuery, DnsQuery),
            (DnsResponse, Phase::DnsQuery, DnsQuery),
            (QuicInitial, Phase::QuicConnectedWeb, QuicConnectedWeb),
            (Established, Phase::DnsQuery, Established),
            (Udp, Phase::Web, Udp),
            (Icmp, Phase::QuicInitial, Icmp),
        ];
        for (before, phase, after) in cases {
            assert_eq!(before.in_phase(phase), after, "{before:?} {phase:?}");
        }
        for state in FlowState::ALL {
            let base = state.of_transport();
            assert_eq!(base == Established, state.is_established(), "{state:?}");
            assert!(base == state || base == Established, "{state:?}");
        }
    }

    #[test]
    fn st3_to_st5_services_have_their_states() {
        let cases = [
            (EstablishedWeb, "ESTABLISHED"),
            (SshBanner, "BANNER"),
            (SshKeyExchange, "KEYEXCHANGE"),
            (SshAuthentication, "AUTHENTICATION"),
            (SshEstablished, "ESTABLISHED"),
            (DnsQuery, "DNS_QUERY"),
            (DnsResponse, "DNS_RESPONSE"),
            (QuicInitial, "QUIC_INITIAL"),
            (QuicHandshake, "QUIC_HANDSHAKE"),
            (QuicConnected, "QUIC_CONNECTED"),
            (QuicConnectedWeb, "QUIC_CONNECTED"),
            (QuicDraining, "QUIC_DRAINING"),
            (QuicDrainingApp, "QUIC_DRAINING"),
            (QuicClosed, "QUIC_CLOSED"),
        ];
        for (state, want) in cases {
            assert_eq!(state.text(secs(0.0)), want);
        }
    }

    #[test]
    fn l17_staleness_has_its_steps_at_75_90_and_100_percent() {
        for (_, state, life) in LIVES {
            let at = |share: f64| state.staleness(secs(life as f64 * share));
            let steps = [
                (0.5, Staleness::Fresh),
                (0.7499, Staleness::Fresh),
                (0.7501, Staleness::Stale),
                (0.8999, Staleness::Stale),
                (0.9001, Staleness::Dying),
                (1.0, Staleness::Gone),
                (9.0, Staleness::Gone),
            ];
            for (share, want) in steps {
                assert_eq!(at(share), want, "{state:?} {share}");
            }
        }
        assert_eq!(Udp.staleness(Nanos(u64::MAX)), Staleness::Gone);
    }

    #[test]
    fn a_row_ends_for_the_reason_that_its_state_gives() {
        for state in FlowState::ALL {
            let want = match state {
                TimeWait | Closed => "fin",
                Reset => "rst",
                _ => "timeout",
            };
            assert_eq!(state.end_reason().key(), want, "{state:?}");
        }
    }

    #[test]
    fn zeros_are_the_default_state() {
        assert_eq!(FlowState::default() as u8, 0);
    }
}
