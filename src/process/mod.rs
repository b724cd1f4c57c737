//! Whose socket it is: what is known of sockets and processes, and how flows are joined to them.
//!
//! Portable and without system calls. The platform tells what it sees ([`socket::Seen`], passes over
//! all sockets, processes that end); [`registry::Registry`] keeps it by tuple with life times, and
//! answers the collector's questions ([`lookup::Asked`]).

pub mod container;
pub mod identity;
pub mod kernel;
pub mod listening;
pub mod lookup;
pub mod nat;
pub mod owner;
pub mod registry;
pub mod socket;
