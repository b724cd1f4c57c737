//! Fuzzes the recogniser of TLS.
#![no_main]
rustnet_fuzz::target!(Tls);
