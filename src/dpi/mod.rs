//! Deep packet inspection: what a flow speaks, told from its first bytes.
//!
//! Recognisers are one table ([`recogniser::RECOGNISERS`]). Each is a pure function over the bytes that both
//! sides have sent so far ([`talk`]), so that it cannot matter how they were cut into segments.
//! What it learns leaves through [`notes::Notes`] as facts; the worker keeps none of them.
//!
//! A label rests on the bytes, never on the port alone. A flow is inspected until it is classified
//! or given up, and then never again.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

pub mod bittorrent;
pub mod cursor;
pub mod dhcp;
pub mod dhcpv6;
pub mod dns;
pub mod dtls;
pub mod fact;
pub mod hpack;
pub mod http;
pub mod http2;
pub mod ike;
pub mod inspector;
pub mod kerberos;
pub mod ldap;
pub mod lines;
pub mod netbios;
pub mod notes;
pub mod ntp;
pub mod openvpn;
pub mod quic;
pub mod radius;
pub mod recogniser;
pub mod service;
pub mod smb;
pub mod snmp;
pub mod ssh;
mod stream;
pub mod stun;
pub mod talk;
#[cfg(test)]
pub(crate) mod testing;
pub mod tftp;
pub mod tls;
#[cfg(test)]
pub(crate) mod trial;
pub mod wireguard;
