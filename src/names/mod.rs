//! Names of addresses: those that the traffic itself tells, those that a capture file gives, and, only where the user
//! asked for it, those that the system's resolver gives.
//!
//! What a flow says of itself (SNI, HTTP host) is no business of this room.

pub mod file_names;
pub mod known;
pub mod passive_dns;
pub mod reverse_dns;
