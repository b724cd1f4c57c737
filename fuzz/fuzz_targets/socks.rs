//! Fuzzes the recogniser of SOCKS.
#![no_main]
rustnet_fuzz::target!(Socks);
