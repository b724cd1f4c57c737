//! Fuzzes every recogniser of the table with each input, and counts.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rustnet_fuzz::all(data));
