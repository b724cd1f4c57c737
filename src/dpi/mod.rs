//! Deep packet inspection: what a flow speaks, told from its first bytes.
//!
//! Recognisers are one table ([`recogniser::RECOGNISERS`]). Each is a pure function over the bytes that both
//! sides have sent so far ([`talk`]), so that it cannot matter how they were cut into segments.
//! What it learns leaves through [`notes::Notes`] as facts; the worker keeps none of them.
//!
//! A label rests on the bytes, never on the port alone. A flow is inspected until it is classified
//! or given up, and then never again.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

pub mod fact;
pub mod ftp;
pub mod hpack;
pub mod http;
pub mod http2;
pub mod inspector;
pub mod irc;
pub mod lines;
pub mod mail;
pub mod memcached;
pub mod nntp;
pub mod notes;
pub mod recogniser;
pub mod redis;
pub mod rtsp;
pub mod service;
pub mod sip;
pub mod socks;
pub mod ssdp;
pub mod ssh;
pub mod starttls;
mod stream;
pub mod syslog;
pub mod talk;
pub mod telnet;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
pub mod transfer;
pub mod websocket;
pub mod xmpp;
