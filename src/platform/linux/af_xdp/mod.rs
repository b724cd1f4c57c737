//! Capture with AF_XDP, for mirror, SPAN and tap ports: frames come straight from the driver, in the
//! driver's own memory where it can (zero-copy), and never reach the host.
//!
//! ```text
//!   interface ──XDP program──▶ queue 0 ──▶ socket: fill ring ─▶ chunks ─▶ rx ring ──┐
//!                            ─▶ queue 1 ──▶ socket                               ───┴─▶ source: one rx thread
//! ```
//!
//! | file | what |
//! |---|---|
//! | `rings` | the rings that a socket shares with the kernel, and their memory |
//! | `socket` | one queue's socket |
//! | `port` | an interface: its program and its queues |
//! | `source` | the source |
//!
//! Because what is taken no longer reaches the host, an interface that carries the host's own traffic is
//! refused unless the user says so (`--af-xdp-take-traffic`). One source reads all queues: a port's own
//! spreading over queues may part the directions of a flow.

mod port;
mod rings;
mod socket;
mod source;

pub use source::{AfXdpSource, open};
