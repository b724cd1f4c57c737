//! Fuzzes all recognisers.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| rustnet_fuzz::any(data));
