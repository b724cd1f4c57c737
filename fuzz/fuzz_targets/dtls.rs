//! Fuzzes the recogniser of DTLS.
#![no_main]
rustnet_fuzz::target!(Dtls);
