//! RIP 1 and 2 (RFC 2453) and RIPng (RFC 2080).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{notes::Notes, recogniser::Verdict, service::Service, talk::Datagram};

const RIPNG_PORT: u16 = 521;
/// Bytes of an entry.
const ENTRY: usize = 20;

/// Judges a datagram: command, version, zeros, and entries that fill it.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let &[1 | 2, version @ 1..=2, 0, 0, ref entries @ ..] = talk.bytes else { return Verdict::No };
    let length = talk.wire_len.saturating_sub(4);
    if entries.is_empty() || length == 0 || !length.is_multiple_of(ENTRY) || length > 75 * ENTRY {
        return Verdict::No;
    }
    let all = |sound: fn(&[u8]) -> bool| entries.chunks_exact(ENTRY).all(sound) && entries.len() >= ENTRY;
    let service = if !talk.has_port(RIPNG_PORT) && length <= 25 * ENTRY && all(is_rip) {
        Service::Rip
    } else if version == 1 && all(is_ripng) {
        Service::RipNg
    } else {
        return Verdict::No;
    };
    notes.service(service);
    Verdict::Done
}

/// Judges family, prefix and metric of an entry, or its being an authentication.
fn is_rip(entry: &[u8]) -> bool {
    let metric = entry[16..19] == [0; 3] && entry[19] <= 16;
    match (entry[0], entry[1]) {
        (0, 0) => metric && entry[2..16].iter().all(|byte| *byte == 0),
        (0, 2) => metric && entry[19] != 0,
        (0xff, 0xff) => entry[2] == 0 && matches!(entry[3], 1..=3),
        _ => false,
    }
}

/// Judges prefix length and metric of an entry; a next hop has a metric of 255.
fn is_ripng(entry: &[u8]) -> bool {
    let hop = entry[19] == 255 && entry[16..19] == [0; 3];
    let bits = usize::from(entry[18]).min(128);
    let after = entry[..16].iter().skip(bits.div_ceil(8)).all(|byte| *byte == 0);
    hop || (entry[18] <= 128 && matches!(entry[19], 1..=16) && after && entry[..2] != [0xff, 0xff])
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::{testing::datagrams, trial};

    fn message(head: [u8; 4], entry: &[u8]) -> Vec<u8> {
        [&head, entry].concat()
    }

    #[test]
    fn routes_of_both_families() {
        let route = [0, 2, 0, 0, 10, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let heard = trial::of_datagrams(datagram, &[(0, &message([2, 2, 0, 0], &route))], [520, 520]);
        assert_eq!(heard.service, Some(Service::Rip));
        let route = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 1];
        let heard = trial::of_datagrams(datagram, &[(0, &message([2, 1, 0, 0], &route))], [521, 521]);
        assert_eq!(heard.service, Some(Service::RipNg));
        let all = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16];
        let asks = message([1, 1, 0, 0], &all);
        assert_eq!(datagrams(datagram, &[(0, &asks)], [520, 520]).service, Some(Service::Rip));
        assert_eq!(datagrams(datagram, &[(0, &asks)], [521, 521]).service, Some(Service::RipNg));
        assert_eq!(datagrams(datagram, &[(0, &asks[..23])], [520, 520]).verdict, Some(Verdict::No));
    }
}
