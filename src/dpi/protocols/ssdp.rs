//! Finding services on the local network over UDP: SSDP (UPnP Device Architecture 2.0 chapter 1, and what looks
//! like it on other ports), and WS-Discovery (OASIS WS-DD 1.1).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    fact::Fact,
    lines::{Lines, Start, find, header, header_value, start, start_of_any, trim},
    notes::Notes,
    recogniser::Verdict,
    talk::Datagram,
};

/// Bytes within which a message of WS-Discovery names its namespace.
const NAMESPACE_WITHIN: usize = 1500;

/// Knows SSDP by its first line; an answer, which looks like HTTP's, by the fields that only SSDP has.
pub fn datagram(datagram: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let bytes = datagram.bytes;
    const REQUESTS: &[&[u8]] = &[b"M-SEARCH * HTTP/1.", b"NOTIFY * HTTP/1."];
    const ANSWERS: &[&[u8]] = &[b"HTTP/1.1 200", b"HTTP/1.0 200"];
    if start_of_any(bytes, REQUESTS) == Start::Full {
        let method: &[u8] = if bytes[0] == b'M' { b"M-SEARCH" } else { b"NOTIFY" };
        notes.text(Fact::SsdpMethod, method);
    } else if start_of_any(bytes, ANSWERS) == Start::Full {
        let is_cut = bytes.len() < datagram.wire_len && datagram.has_port(1900);
        if header_value(bytes, b"USN").is_none() && header_value(bytes, b"ST").is_none() && !is_cut {
            return Verdict::No;
        }
    } else {
        return Verdict::No;
    }
    for line in Lines::new(bytes).take(40).take_while(|line| !line.is_empty()) {
        let Some((name, value)) = header(line) else { continue };
        let fact = match name.len() {
            2 if name.eq_ignore_ascii_case(b"ST") || name.eq_ignore_ascii_case(b"NT") => Fact::SsdpTarget,
            6 if name.eq_ignore_ascii_case(b"SERVER") => Fact::SsdpServer,
            _ => continue,
        };
        if !value.is_empty() {
            notes.text(fact, value);
        }
    }
    Verdict::Done
}

/// Knows WS-Discovery: an envelope of SOAP that names the discovery namespace.
pub fn ws_discovery(datagram: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let bytes = datagram.bytes;
    if bytes.first() != Some(&b'<')
        || start_of_any(bytes, &[b"<?xml", b"<soap", b"<SOAP", b"<s:Env", b"<s12:"]) != Start::Full
    {
        return Verdict::No;
    }
    let head = &bytes[..bytes.len().min(NAMESPACE_WITHIN)];
    let namespaces: [&[u8]; 2] = [b"/ws/2005/04/discovery", b"/ws-dd/ns/discovery/2009/01"];
    let Some(at) = namespaces.iter().find_map(|name| find(head, name).map(|at| at + name.len())) else {
        return Verdict::No;
    };
    if find(head, b"Envelope").is_none() {
        return Verdict::No;
    }
    // The action: `.../discovery/Probe`.
    let mut rest = &head[at..];
    loop {
        if start(rest, b"/") == Start::Full {
            let end = rest[1..].iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len() - 1);
            if end > 0 {
                notes.text(Fact::Detail, trim(&rest[1..=end]));
            }
            return Verdict::Done;
        }
        let Some(next) = namespaces.iter().find_map(|name| find(rest, name).map(|at| at + name.len())) else {
            return Verdict::Done;
        };
        rest = &rest[next..];
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dpi::testing;

    const SEARCH: &[u8] = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nST: ssdp:all\r\n\r\n";
    const PROBE: &[u8] = b"<?xml version=\"1.0\"?><soap:Envelope xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>";

    #[test]
    fn messages_are_read() {
        for (bytes, method, target, server) in [
            (SEARCH, "M-SEARCH", "ssdp:all", ""),
            (
                b"NOTIFY * HTTP/1.1\r\nNT: upnp:rootdevice\r\nServer: a UPnP/1.0 b\r\n\r\n",
                "NOTIFY",
                "upnp:rootdevice",
                "a UPnP/1.0 b",
            ),
            (b"HTTP/1.1 200 OK\r\nUSN: uuid:1\r\nst: x\r\n\r\n", "", "x", ""),
        ] {
            let heard = testing::datagrams(datagram, &[(0, bytes)], [1900, 32_412]);
            assert_eq!(heard.verdict, Some(Verdict::Done));
            assert_eq!(heard.first(Fact::SsdpMethod), method);
            assert_eq!(heard.first(Fact::SsdpTarget), target);
            assert_eq!(heard.first(Fact::SsdpServer), server);
        }
        let heard = testing::datagrams(ws_discovery, &[(0, PROBE)], [3702, 3702]);
        assert_eq!((heard.verdict, heard.first(Fact::Detail)), (Some(Verdict::Done), "Probe"));
    }

    #[test]
    fn others_are_not_it() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"[..],
            b"NOTIFY sip:a SIP/2.0\r\n",
            b"<?xml?><Envelope/>",
            b"M-SEARCH",
            b"",
        ] {
            for ask in [datagram, ws_discovery] {
                assert_eq!(testing::datagrams(ask, &[(0, bytes)], [1900, 3702]).verdict, Some(Verdict::No));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..60_usize, value: u8) {
            for original in [SEARCH, PROBE] {
                let mut changed = original.to_vec();
                changed[at] = value;
                for sent in [&bytes, &changed, &[original, &bytes].concat()] {
                    testing::datagrams(datagram, &[(0, sent)], [1, 2]);
                    testing::datagrams(ws_discovery, &[(0, sent)], [1, 2]);
                }
            }
        }
    }

    #[test]
    fn an_answer_that_was_cut_counts_on_the_port() {
        let bytes = b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nDATE";
        for (wire_len, port, wanted) in
            [(300, 1900, Verdict::Done), (300, 1901, Verdict::No), (bytes.len(), 1900, Verdict::No)]
        {
            let heard = testing::cut_datagram(datagram, bytes, wire_len, [port, 50_000]);
            assert_eq!(heard.verdict, Some(wanted));
        }
    }
}
