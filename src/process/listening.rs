//! Sockets that wait for others: what a host offers. They are no connections and no rows.

use std::net::IpAddr;

/// A socket that takes connections (TCP), or one that takes what comes from anybody (UDP).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listening {
    /// Its port.
    pub port: u16,
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// The address it waits at; unspecified: all.
    pub address: IpAddr,
    /// The process that has it, if that may be known.
    pub pid: Option<u32>,
    /// The process's name; escape it where it is shown.
    pub name: Box<str>,
    /// Its user.
    pub uid: u32,
}
