//! From the bytes of a frame to a descriptor of one cache line, in one pass; offsets, not copies.
//!
//! ```text
//!   link ──▶ ethernet, mpls, ppp, sll, ... ──▶ ipv4 | ipv6 | arp ──▶ tcp | udp | icmp
//!            (`walk::network`: header by header)       ▲                  │ Layer::Inner
//!                                                      └──── tunnel ◀─────┘
//! ```
//!
//! [`parse::Parser`] holds it together; what is common (Ethernet, IPv4, TCP or UDP) it reads in one
//! straight line and leaves the walk to the rest.

pub mod build;
pub mod descriptor;
pub mod hash;
pub mod key;
pub mod line;
pub mod link;
pub mod name;
pub mod parse;
pub mod payload;
pub mod settled;

mod arp;
mod envelope;
mod ethernet;
mod fragment;
mod icmp;
mod ieee80211;
mod ip;
mod ipv4;
mod ipv6;
mod mpls;
mod order;
mod ppp;
mod sll;
mod straight;
mod tcp;
mod transport;
mod tunnel;
mod udp;
mod walk;
