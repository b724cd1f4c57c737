//! Fuzzes the readers of TLS's messages.
#![no_main]

use rustnet::dpi::{notes::Notes, protocols::tls::{Transport, certificate, client_hello, record::Messages, server_hello, ssl2}};
use rustnet_fuzz::Deaf;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((flags, body)) = data.split_first() else { return };
    let over = [Transport::Tls, Transport::Quic, Transport::Dtls][usize::from(flags >> 1) % 3];
    let mut sink = Deaf;
    let mut notes = Notes::new(&mut sink);
    client_hello::read(body, flags & 1 != 0, over, &mut notes);
    server_hello::read(body, over, &mut notes);
    certificate::read(body, &mut notes);
    ssl2::judge(body);
    let mut messages = Messages::new(body);
    while messages.next_message().is_some() {}
});
