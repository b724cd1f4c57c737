//! States of connections, and how long a row lives in each (one table).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::time::Nanos;

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

const SECOND: u64 = 1_000_000_000;
/// Silence from which an established TCP row is idle.
const TCP_IDLE: Nanos = Nanos(60 * SECOND);

impl FlowState {
    /// Returns the text in the State column after `silence` without a packet.
    pub const fn text(self, silence: Nanos) -> &'static str {
        match self {
            Self::Active | Self::Icmp | Self::Sctp => {
                if silence.0 <= 15 * SECOND {
                    "ACTIVE"
                } else {
                    "IDLE"
                }
            }
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Closing => "CLOSING",
            Self::Closed | Self::Reset => "CLOSED",
            Self::Udp => match silence.0 / SECOND {
                0..15 => "UDP_ACTIVE",
                15..45 => "UDP_IDLE",
                _ => "UDP_STALE",
            },
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

    /// Returns how long a row in this state lives, measured from its [`FlowState::counts_from`],
    /// when it has been silent for `silence`.
    pub const fn lifetime(self, silence: Nanos) -> Nanos {
        let secs = match self {
            Self::Established if silence.0 < TCP_IDLE.0 => 600,
            Self::Established | Self::Sctp => 300,
            Self::TimeWait | Self::Closing | Self::ArpRequest | Self::ArpReply => 30,
            Self::Closed | Self::Reset => 5,
            Self::EchoRequest
            | Self::EchoReply
            | Self::DestUnreach
            | Self::TimeExceeded
            | Self::NdSolicit
            | Self::NdAdvert
            | Self::Icmp => 10,
            Self::SynSent
            | Self::SynRecv
            | Self::FinWait1
            | Self::FinWait2
            | Self::CloseWait
            | Self::LastAck
            | Self::Udp
            | Self::Active => 60,
        };
        Nanos::from_secs(secs)
    }

    /// Returns the silence after which a row in this state is removed.
    pub const fn expires_after(self) -> Nanos {
        // The lifetime of an idle row counts: no row reaches an active one's in silence.
        self.lifetime(Nanos(u64::MAX))
    }

    /// Returns whether the lifetime runs from entering the state instead of from the last packet.
    pub const fn counts_from_entry(self) -> bool {
        matches!(self, Self::TimeWait | Self::Closed | Self::Reset)
    }

    /// Returns whether a new SYN on the tuple begins a new row.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::TimeWait | Self::Closed | Self::Reset)
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
