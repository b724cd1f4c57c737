//! Fuzzes the recogniser of SIP.
#![no_main]
rustnet_fuzz::target!(Sip);
