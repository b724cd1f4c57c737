//! One TCP connection as a bystander sees it: states checked against sequence numbers,
//! retransmissions, order, round trips.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
