//! Fuzzes the recogniser of HTTP/2.
#![no_main]
rustnet_fuzz::target!(Http2);
