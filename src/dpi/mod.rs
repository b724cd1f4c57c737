//! Deep packet inspection: what a flow speaks, told from its first bytes.
//!
//! Recognisers are one table ([`recogniser::RECOGNISERS`]). Each is a pure function over the bytes that both
//! sides have sent so far ([`talk`]), so that it cannot matter how they were cut into segments.
//! What it learns leaves through [`notes::Notes`] as facts; the worker keeps none of them.
//!
//! A label rests on the bytes, never on the port alone. A flow is inspected until it is classified
//! or given up, and then never again.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

pub mod amqp;
pub mod bacnet;
pub mod bgp;
pub mod bittorrent;
pub mod coap;
pub mod cursor;
pub mod dcerpc;
pub mod dhcp;
pub mod dhcpv6;
pub mod diameter;
pub mod dnp3;
pub mod dns;
pub mod dtls;
pub mod fact;
pub mod ftp;
pub mod hpack;
pub mod http;
pub mod http2;
pub mod ike;
pub mod inspector;
pub mod irc;
pub mod kafka;
pub mod kerberos;
pub mod lan;
pub mod ldap;
pub mod lines;
pub mod mail;
pub mod memcached;
pub mod modbus;
pub mod mongodb;
pub mod mqtt;
pub mod mysql;
pub mod netbios;
pub mod netflow;
pub mod nntp;
pub mod notes;
pub mod ntp;
pub mod oncrpc;
mod openings;
pub mod openvpn;
mod openvpn_control;
mod pieces;
pub mod postgres;
pub mod pptp;
pub mod quic;
pub mod radius;
pub mod recogniser;
pub mod redis;
pub mod rip;
mod room;
pub mod rtmp;
pub mod rtp;
pub mod rtsp;
mod said;
pub mod service;
pub mod sip;
pub mod smb;
pub mod snmp;
pub mod socks;
pub mod ssdp;
pub mod ssh;
pub mod starttls;
mod stream;
pub mod stun;
pub mod syslog;
pub mod talk;
pub mod tds;
pub mod telnet;
#[cfg(test)]
pub(crate) mod testing;
pub mod tftp;
pub mod tls;
pub mod tpkt;
pub mod transfer;
#[cfg(test)]
pub(crate) mod trial;
pub mod tunnel;
pub mod vnc;
pub mod websocket;
pub mod wireguard;
pub mod x11;
pub mod xmpp;
