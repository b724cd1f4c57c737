//! The table of recognisers: one row for each protocol.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    bittorrent, dhcp, dhcpv6, dns, dtls, http, http2, ike, kerberos, ldap, netbios,
    notes::Notes,
    ntp, openvpn, quic, radius,
    service::Service,
    smb, snmp, ssh, stun,
    talk::{Datagram, Streams},
    tftp, tls, wireguard,
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

/// One row of the table.
pub struct Recogniser {
    /// The label that it gives.
    pub service: Service,
    /// How it knows the protocol over TCP.
    pub streams: Option<OfStreams>,
    /// How it knows the protocol over UDP.
    pub datagram: Option<OfDatagram>,
}

const fn tcp(service: Service, streams: OfStreams) -> Recogniser {
    Recogniser { service, streams: Some(streams), datagram: None }
}

const fn udp(service: Service, datagram: OfDatagram) -> Recogniser {
    Recogniser { service, streams: None, datagram: Some(datagram) }
}

const fn both(service: Service, streams: OfStreams, datagram: OfDatagram) -> Recogniser {
    Recogniser { service, streams: Some(streams), datagram: Some(datagram) }
}

/// All recognisers. Of several that know a flow, the first one has it; so an unmistakable sign
/// stands before a weak one. At most 128.
pub const RECOGNISERS: &[Recogniser] = &[
    tcp(Service::Tls, tls::streams),
    udp(Service::Dtls, dtls::datagram),
    udp(Service::Quic, quic::datagram),
    // Text.
    tcp(Service::Http, http::streams),
    tcp(Service::Http2, http2::streams),
    tcp(Service::Ssh, ssh::streams),
    // Magic numbers and whole structures.
    both(Service::Stun, stun::streams, stun::datagram),
    both(Service::BitTorrent, bittorrent::streams, bittorrent::datagram),
    both(Service::Dns, dns::streams, dns::datagram),
    udp(Service::NetbiosNs, netbios::name_service),
    udp(Service::NetbiosDgm, netbios::datagram_service),
    tcp(Service::Smb, smb::streams),
    udp(Service::Dhcp, dhcp::datagram),
    udp(Service::Dhcpv6, dhcpv6::datagram),
    udp(Service::Ike, ike::datagram),
    both(Service::Kerberos, kerberos::streams, kerberos::datagram),
    both(Service::Ldap, ldap::streams, ldap::datagram),
    both(Service::Snmp, snmp::streams, snmp::datagram),
    udp(Service::Radius, radius::datagram),
    udp(Service::WireGuard, wireguard::datagram),
    both(Service::OpenVpn, openvpn::streams, openvpn::datagram),
    // Weak signs.
    udp(Service::Ntp, ntp::datagram),
    udp(Service::Tftp, tftp::datagram),
];

const _: () = assert!(RECOGNISERS.len() <= 128);
