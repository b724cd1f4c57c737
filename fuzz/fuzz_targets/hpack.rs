//! Fuzzes HPACK's decoder: header blocks with their lengths before them, of one connection.
#![no_main]

use rustnet::dpi::protocols::hpack::Decoder;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new();
    let mut rest = data;
    while let Some((&len, behind)) = rest.split_first() {
        let (block, next) = behind.split_at(usize::from(len).min(behind.len()));
        rest = next;
        let mut room = [0; 128];
        if decoder.block(block, |_, value| _ = value.text(&mut room)).is_none() {
            return;
        }
    }
});
