//! Fuzzes the recogniser of QUIC.
#![no_main]
rustnet_fuzz::target!(Quic);
