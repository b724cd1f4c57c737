//! Names of addresses, from where the traffic itself tells them.
//!
//! Nobody is asked: what is not heard is not known. What a flow says of itself (SNI, HTTP host) is no
//! business of this room.

pub mod known;
pub mod passive_dns;
