//! The table of recognisers: one row for each protocol.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    notes::{Notes, Phase},
    protocols::{
        amqp, bacnet, bgp, bittorrent, coap, dcerpc, dhcp, dhcpv6, diameter, dnp3, dns, dtls, ftp, http,
        http2, ike, irc, kafka, kerberos, lan, ldap, mail, memcached, modbus, mongodb, mqtt, mysql, netbios,
        netflow, nntp, ntp, oncrpc, openvpn, postgres, pptp, quic, radius, redis, rip, rtmp, rtp, rtsp, sip,
        smb, snmp, socks, ssdp, ssh, stun, syslog, tds, telnet, tftp, tls, tpkt, transfer, tunnel, vnc,
        websocket, wireguard, x11, xmpp,
    },
    service::Service,
    talk::{Datagram, MEMORY, Streams},
};

/// What a recogniser says of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not this protocol, whatever else may come.
    No,
    /// It may be; more bytes will tell. Nothing may have been noted.
    More,
    /// It is; more facts may come. Only this recogniser is asked from now on.
    Is,
    /// It is, and nothing needs to be kept until the flow's next datagram, which only this recogniser
    /// is asked about, with a memory of zeros. Of TCP it is as good as [`Verdict::Is`].
    Rest,
    /// It is, and nothing more is to be learned: the flow is not inspected again.
    Done,
}

/// Judges a TCP connection by its first bytes.
pub type OfStreams = fn(&Streams<'_>, &mut Notes<'_>) -> Verdict;
/// Judges a UDP flow by a datagram.
pub type OfDatagram = fn(&mut Datagram<'_>, &mut Notes<'_>) -> Verdict;

/// Tells the phase from a datagram alone.
pub type OfPhase = fn(&[u8]) -> Option<Phase>;

/// Tells from a datagram, its length on the wire and the flow's memory whether another connection begins with it.
pub type OfRenewal = fn(&[u8], usize, &[u8]) -> bool;

/// One row of the table.
pub struct Recogniser {
    /// The label that it gives.
    pub service: Service,
    /// How it knows the protocol over TCP.
    pub streams: Option<OfStreams>,
    /// How it knows the protocol over UDP.
    pub datagram: Option<OfDatagram>,
    /// Whether the first datagram of a flow that it knows may begin with this byte: it is asked about no other.
    pub leads: fn(u8) -> bool,
    /// Whether that datagram may begin with 16 zeros.
    pub zeros: bool,
    /// How many bytes of a flow's memory it writes to at most, from the front.
    pub keeps: usize,
    /// What a datagram says of the phase alone, for flows that have rested after many: their facts
    /// are known, only their state is followed.
    pub follow: Option<OfPhase>,
    /// Whether a datagram begins another connection on the ends of one that was closed.
    pub renews: Option<OfRenewal>,
}

impl Recogniser {
    /// Returns the row of one that writes to the first `bytes` bytes of a flow's memory.
    const fn keeping(self, bytes: usize) -> Self {
        assert!(bytes <= MEMORY);
        Self { keeps: bytes, ..self }
    }

    /// Returns the row of one whose flows begin with a datagram whose first byte is one of `leads`.
    const fn led_by(self, leads: fn(u8) -> bool) -> Self {
        Self { leads, ..self }
    }

    /// Returns the row of one whose flows may begin with a datagram that begins with 16 zeros.
    const fn led_by_zeros(self) -> Self {
        Self { zeros: true, ..self }
    }

    /// Returns the row of one whose phase can be told from a datagram alone.
    const fn following(self, follow: OfPhase) -> Self {
        Self { follow: Some(follow), ..self }
    }

    /// Returns the row of one whose connections may follow each other on the same ends.
    const fn renewing(self, renews: OfRenewal) -> Self {
        Self { renews: Some(renews), ..self }
    }
}

/// The row that all others are made from.
const NOBODY: Recogniser = Recogniser {
    service: Service::Tls,
    streams: None,
    datagram: None,
    leads: |_| true,
    zeros: false,
    keeps: 0,
    follow: None,
    renews: None,
};

const fn tcp(service: Service, streams: OfStreams) -> Recogniser {
    Recogniser { service, streams: Some(streams), ..NOBODY }
}

const fn udp(service: Service, datagram: OfDatagram) -> Recogniser {
    Recogniser { service, datagram: Some(datagram), ..NOBODY }
}

const fn both(service: Service, streams: OfStreams, datagram: OfDatagram) -> Recogniser {
    Recogniser { streams: Some(streams), ..udp(service, datagram) }
}

/// All recognisers. Of several that know a flow, the first one has it; so an unmistakable sign
/// stands before a weak one. At most 126, see [`crate::dpi::openings`].
pub const RECOGNISERS: &[Recogniser] = &[
    tcp(Service::Tls, tls::streams),
    udp(Service::Quic, quic::datagram).led_by(quic::leads).keeping(MEMORY).renewing(quic::renews),
    udp(Service::Dtls, dtls::datagram).led_by(dtls::leads).keeping(MEMORY),
    // Text.
    tcp(Service::Http, http::streams),
    tcp(Service::Http2, http2::streams),
    both(Service::Ssh, ssh::streams, ssh::datagram).led_by(|b| b == b'S'),
    tcp(Service::Smtp, mail::smtp),
    tcp(Service::Imap, mail::imap),
    tcp(Service::Pop3, mail::pop3),
    tcp(Service::Ftp, ftp::streams),
    tcp(Service::Nntp, nntp::streams),
    tcp(Service::Irc, irc::streams),
    tcp(Service::Xmpp, xmpp::streams),
    tcp(Service::Telnet, telnet::streams),
    both(Service::Sip, sip::streams, sip::datagram)
        .led_by(|b| b.is_ascii_uppercase() || matches!(b, 0 | b'\r' | b'\n')),
    tcp(Service::Rtsp, rtsp::streams),
    udp(Service::Ssdp, ssdp::datagram).led_by(|b| matches!(b, b'M' | b'N' | b'H')),
    udp(Service::Wsd, ssdp::ws_discovery).led_by(|b| b == b'<'),
    both(Service::Syslog, syslog::streams, syslog::datagram).led_by(|b| b == b'<'),
    tcp(Service::Rsync, transfer::rsync),
    tcp(Service::Git, transfer::git),
    tcp(Service::Socks, socks::streams),
    tcp(Service::Redis, redis::streams),
    both(Service::Memcached, memcached::streams, memcached::datagram),
    // Magic numbers and whole structures.
    both(Service::Stun, stun::streams, stun::datagram).led_by(|b| b < 0x40).keeping(1),
    both(Service::BitTorrent, bittorrent::streams, bittorrent::datagram)
        .led_by(|b| matches!(b, b'd' | b'B' | 0 | 0x41)),
    udp(Service::NetbiosNs, netbios::name_service),
    both(Service::Dns, dns::streams, dns::datagram).keeping(dns::KEEPS).following(dns::phase),
    udp(Service::NetbiosDgm, netbios::datagram_service).led_by(|b| matches!(b, 0x10..=0x16)),
    tcp(Service::Smb, smb::streams),
    udp(Service::Dhcp, dhcp::datagram).led_by(|b| matches!(b, 1 | 2)),
    udp(Service::Ike, ike::datagram),
    both(Service::Kerberos, kerberos::streams, kerberos::datagram).led_by(|b| b & 0xe0 == 0x60),
    both(Service::Snmp, snmp::streams, snmp::datagram).led_by(|b| b == 0x30),
    both(Service::Ldap, ldap::streams, ldap::datagram).led_by(|b| b == 0x30),
    udp(Service::WireGuard, wireguard::datagram).led_by(|b| matches!(b, 1..=4)),
    both(Service::OpenVpn, openvpn::streams, openvpn::datagram)
        .led_by(|b| b & 7 == 0 && b != 0 || b >> 3 == 9)
        .keeping(openvpn::KEEPS),
    tcp(Service::Bgp, bgp::streams),
    both(Service::Rdp, tpkt::streams, tpkt::datagram).led_by(|b| b == 0xff),
    tcp(Service::Vnc, vnc::streams),
    tcp(Service::X11, x11::streams),
    tcp(Service::Postgres, postgres::streams),
    tcp(Service::Mysql, mysql::streams),
    tcp(Service::MongoDb, mongodb::streams),
    tcp(Service::Tds, tds::streams),
    tcp(Service::Mqtt, mqtt::streams),
    tcp(Service::Amqp, amqp::streams),
    tcp(Service::Pptp, pptp::streams),
    both(Service::DceRpc, dcerpc::streams, dcerpc::datagram).led_by(|b| b == 4),
    both(Service::OncRpc, oncrpc::streams, oncrpc::datagram),
    tcp(Service::Diameter, diameter::streams),
    both(Service::Dnp3, dnp3::streams, dnp3::datagram).led_by(|b| b == 5),
    tcp(Service::Modbus, modbus::streams),
    udp(Service::Dropbox, lan::datagram).led_by_zeros(),
    udp(Service::Rip, rip::datagram).led_by(|b| matches!(b, 1 | 2)),
    udp(Service::Netflow, netflow::datagram).led_by(|b| b == 0),
    udp(Service::Radius, radius::datagram).led_by(|b| matches!(b, 1..=45)),
    udp(Service::Dhcpv6, dhcpv6::datagram).led_by(|b| matches!(b, 1..=36)),
    // Weak signs.
    udp(Service::Ntp, ntp::datagram).led_by_zeros().keeping(1),
    tcp(Service::WebSocket, websocket::streams),
    udp(Service::Bacnet, bacnet::datagram).led_by(|b| b == 0x81),
    udp(Service::Vxlan, tunnel::datagram).led_by(|b| b < 0x70 || b == 0xc8),
    udp(Service::Tftp, tftp::datagram).led_by(|b| b == 0),
    udp(Service::Coap, coap::datagram).led_by(|b| b >> 6 == 1),
    tcp(Service::Rtmp, rtmp::streams),
    tcp(Service::Kafka, kafka::streams),
    both(Service::Rtp, rtp::streams, rtp::datagram).led_by(|b| b >> 6 == 2).keeping(1),
];
