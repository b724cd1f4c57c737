//! Capture with AF_PACKET: TPACKET_V3 rings, read where they lie. Needs CAP_NET_RAW only.
//!
//! ```text
//!   interface a ──fanout──▶ socket + ring ──▶ source 0          a source: one rx thread
//!               └─────────▶ socket + ring ──▶ source 1          `any`: one socket for all interfaces
//!   interface b ──fanout──▶ socket + ring ──▶ source 0 ...
//! ```
//!
//! | file | what |
//! |---|---|
//! | `block` | the frames of one block: bytes to facts |
//! | `ring` | the map: blocks taken and given back |
//! | `socket` | the socket and its options |
//! | `channel` | a socket, its ring, and its counts |
//! | `face` | interface and link type of a frame |
//! | `registry` | the capture's interfaces: names, states, numbers |
//! | `fanout` | one flow, one thread |
//! | `probe` | whether segment sizes of super-frames can be had |
//!
//! An interface that goes down keeps its socket; the kernel takes it up again. One that is deleted
//! and comes back under its name gets a new socket; the old one is read to its end first.

pub(super) mod block;
mod channel;
pub(super) mod face;
mod fanout;
mod probe;
pub(super) mod registry;
mod ring;
pub(super) mod socket;
mod source;

pub use source::{AfPacketSource, open};
