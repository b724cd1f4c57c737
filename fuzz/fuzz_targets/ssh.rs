//! Fuzzes the recogniser of SSH.
#![no_main]
rustnet_fuzz::target!(Ssh);
