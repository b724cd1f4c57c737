//! Fuzzes the recogniser of FTP.
#![no_main]
rustnet_fuzz::target!(Ftp);
