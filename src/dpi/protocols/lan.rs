//! Small protocols of local networks over UDP, each with a sign of a few bytes: Dropbox's discovery, NAT-PMP and PCP
//! (RFC 6886, RFC 6887), PTP (IEEE 1588), Wake-on-LAN, Megaco (RFC 3525).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{notes::Notes, recogniser::Verdict, service::Service, talk::Datagram};

const PTP_PORTS: [u16; 2] = [319, 320];
const NAT_PMP_PORTS: [u16; 2] = [5350, 5351];

/// Judges a datagram.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let Some(first) = talk.bytes.first() else { return Verdict::No };
    let on = |ports: [u16; 2]| ports.iter().any(|port| talk.has_port(*port));
    let service = match first {
        b'{' if is_dropbox(talk.bytes) => Service::Dropbox,
        0xff if is_magic_packet(talk.bytes) => Service::WakeOnLan,
        b'M' | b'!' if is_megaco(talk.bytes) => Service::Megaco,
        0 | 2 if on(NAT_PMP_PORTS) && is_port_mapping(talk.bytes) => Service::NatPmp,
        _ if is_ptp(talk.bytes, talk.wire_len, on(PTP_PORTS)) => Service::Ptp,
        _ => return Verdict::No,
    };
    notes.service(service);
    Verdict::Done
}

fn is_dropbox(bytes: &[u8]) -> bool {
    bytes.starts_with(b"{\"host_int\":")
        || bytes.starts_with(b"{\"displayname\":")
        || bytes.starts_with(b"{\"version\": [")
}

/// Six bytes of ones, then an address sixteen times; a password of four or six bytes may follow.
fn is_magic_packet(bytes: &[u8]) -> bool {
    let Some(addresses) = bytes.strip_prefix(&[0xff; 6]) else { return false };
    matches!(addresses.len(), 96 | 100 | 102)
        && addresses.chunks_exact(6).take(16).all(|address| *address == addresses[..6])
        && addresses[..6] != [0xff; 6]
}

fn is_megaco(bytes: &[u8]) -> bool {
    [&b"MEGACO/1 "[..], b"MEGACO/2 ", b"MEGACO/3 ", b"!/1 ", b"!/2 ", b"!/3 "].iter().any(|start| {
        bytes.starts_with(start)
            && bytes[start.len()..]
                .iter()
                .take(1)
                .all(|byte| matches!(byte, b'[' | b'<' | b'a'..=b'z' | b'A'..=b'Z'))
    })
}

/// Version, operation, zeros, and the length that the operation has.
fn is_port_mapping(bytes: &[u8]) -> bool {
    match bytes {
        [0, 0] => true,
        [0, 1 | 2, 0, 0, ..] => bytes.len() == 12,
        [0, 128, 0, 0..=5, ..] => matches!(bytes.len(), 8 | 12),
        [0, 129 | 130, 0, 0..=5, ..] => bytes.len() == 16,
        // PCP: a request has two bytes of zeros there, an answer one.
        [2, 0..=2, 0, 0, ..] | [2, 128..=130, 0, ..] => {
            bytes.len() >= 24 && bytes.len().is_multiple_of(4) && bytes.len() <= 1100
        }
        _ => false,
    }
}

/// Type, version 2, exact length, a domain, and no sequence of zeros where a clock's identity stands.
fn is_ptp(bytes: &[u8], wire_len: usize, on_port: bool) -> bool {
    let Some(header) = bytes.first_chunk::<34>() else { return false };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let least = match header[0] & 15 {
        0 | 1 | 8 => 44,
        2 | 3 | 9 | 10 => 54,
        11 => 64,
        12 => 48,
        13 => 44,
        _ => return false,
    };
    let reserved = header[16..20] == [0; 4];
    matches!(header[1], 0x02 | 0x12)
        && length >= least
        && (length == wire_len || on_port && length <= wire_len)
        && (on_port || reserved && header[5] == 0)
        && header[20..28] != [0; 8]
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    #[test]
    fn each_by_its_sign() {
        let wake = [vec![0xff; 6], [2, 0, 0, 0, 0, 1].repeat(16)].concat();
        let mut sync = vec![0; 44];
        (sync[1], sync[3], sync[20]) = (2, 44, 9);
        for (bytes, port, want) in [
            (b"{\"host_int\": 123, \"version\": [2, 0]}".to_vec(), 17_500, Service::Dropbox),
            (wake.clone(), 9, Service::WakeOnLan),
            (b"MEGACO/1 [10.0.0.1]:2944\n".to_vec(), 2944, Service::Megaco),
            (vec![0, 0], 5351, Service::NatPmp),
            (sync, 319, Service::Ptp),
        ] {
            assert_eq!(datagrams(datagram, &[(0, &bytes)], [50_000, port]).service, Some(want), "{bytes:x?}");
            let mut numbers = trial::Numbers::seeded(u64::from(port));
            for _ in 0..2_000 {
                datagrams(datagram, &[(0, &numbers.damaged(&bytes))], [50_000, port]);
            }
        }
        for (bytes, port) in
            [(&wake[..101], 9), (&[0xff; 102], 9), (&[0, 0], 5000), (b"{\"host\": 1}", 17_500)]
        {
            assert_eq!(datagrams(datagram, &[(0, bytes)], [50_000, port]).verdict, Some(Verdict::No));
        }
        trial::foreign_datagrams(datagram, [50_000, 319]);
    }
}
