//! Fuzzes the recogniser of HTTP/1.x.
#![no_main]
rustnet_fuzz::target!(Http);
