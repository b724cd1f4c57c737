//! Fuzzes the recogniser of SMTP.
#![no_main]
rustnet_fuzz::target!(Smtp);
