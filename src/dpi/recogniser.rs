//! The table of recognisers: one row for each protocol.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    ftp, http, http2, irc, mail, memcached, nntp,
    notes::Notes,
    redis, rtsp,
    service::Service,
    sip, socks, ssdp, ssh, syslog,
    talk::{Datagram, Streams},
    telnet, tls, transfer, websocket, xmpp,
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

/// All recognisers. Of several that know a flow, the first one has it; so an unmistakable sign
/// stands before a weak one. At most 64.
pub const RECOGNISERS: &[Recogniser] = &[
    Recogniser { service: Service::Tls, streams: Some(tls::streams), datagram: None },
    // Text.
    Recogniser { service: Service::Http, streams: Some(http::streams), datagram: None },
    Recogniser { service: Service::Http2, streams: Some(http2::streams), datagram: None },
    Recogniser { service: Service::Ssh, streams: Some(ssh::streams), datagram: None },
    Recogniser { service: Service::Smtp, streams: Some(mail::smtp), datagram: None },
    Recogniser { service: Service::Imap, streams: Some(mail::imap), datagram: None },
    Recogniser { service: Service::Pop3, streams: Some(mail::pop3), datagram: None },
    Recogniser { service: Service::Ftp, streams: Some(ftp::streams), datagram: None },
    Recogniser { service: Service::Nntp, streams: Some(nntp::streams), datagram: None },
    Recogniser { service: Service::Irc, streams: Some(irc::streams), datagram: None },
    Recogniser { service: Service::Xmpp, streams: Some(xmpp::streams), datagram: None },
    Recogniser { service: Service::Telnet, streams: Some(telnet::streams), datagram: None },
    Recogniser { service: Service::Sip, streams: Some(sip::streams), datagram: Some(sip::datagram) },
    Recogniser { service: Service::Rtsp, streams: Some(rtsp::streams), datagram: None },
    Recogniser { service: Service::Ssdp, streams: None, datagram: Some(ssdp::datagram) },
    Recogniser { service: Service::Wsd, streams: None, datagram: Some(ssdp::ws_discovery) },
    Recogniser { service: Service::Syslog, streams: Some(syslog::streams), datagram: Some(syslog::datagram) },
    Recogniser { service: Service::Rsync, streams: Some(transfer::rsync), datagram: None },
    Recogniser { service: Service::Git, streams: Some(transfer::git), datagram: None },
    Recogniser { service: Service::Socks, streams: Some(socks::streams), datagram: None },
    Recogniser { service: Service::Redis, streams: Some(redis::streams), datagram: None },
    Recogniser {
        service: Service::Memcached,
        streams: Some(memcached::streams),
        datagram: Some(memcached::datagram),
    },
    Recogniser { service: Service::WebSocket, streams: Some(websocket::streams), datagram: None },
];

const _: () = assert!(RECOGNISERS.len() <= 64);
