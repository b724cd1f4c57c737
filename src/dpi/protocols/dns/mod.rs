//! DNS (RFC 1035) over UDP and TCP, and what shares its messages: mDNS (RFC 6762) and LLMNR (RFC 4795).
//!
//! The sign is the header: four counts that the message's length can hold, flags that belong together, and a
//! first question or record that is well formed. The port adds nothing to that; it only tells mDNS and LLMNR from DNS,
//! together with the flags in which they differ. Bodies of records other than addresses and canonical names are not read.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

mod message;
mod name;
mod waiting;

use std::net::IpAddr;

use crate::dpi::{
    fact::Fact,
    notes::{Notes, Phase},
    recogniser::Verdict,
    service::Service,
    talk::{Datagram, Streams},
};
use message::{HEADER_LEN, Header, Record, class, header, rtype};
use name::Name;
pub use waiting::KEEPS;
use waiting::Waiting;

/// Records of a message that are looked at.
const MOST_RECORDS: usize = 64;
/// Questions of a message that are noted.
const MOST_QUESTIONS: usize = 32;

/// Judges a datagram, and goes on for as long as the flow does: each query has its own answer.
pub fn datagram(talk: &mut Datagram<'_>, notes: &mut Notes<'_>) -> Verdict {
    let known = talk.nth > 0 && Waiting::is_kept(talk.memory);
    let Some(header) = message::sign(talk.bytes, talk.wire_len) else {
        return if known { Verdict::Is } else { Verdict::No };
    };
    let family = Family::of(talk.bytes, header, talk.ports);
    notes.service(family.service());
    note(talk.bytes, header, family, notes);
    if header.is_response() && !known {
        // No query was seen that this could answer: nothing needs to be kept.
        if family != Family::Mdns {
            notes.client(1 - talk.from);
        }
        notes.phase(Phase::DnsResponse);
        return Verdict::Rest;
    }
    let mut waiting = Waiting::of(talk.memory);
    if header.is_response() {
        if family != Family::Mdns {
            notes.client(1 - talk.from);
        }
        let answer = waiting.answer(header.id, talk.wall);
        talk.keeps = waiting.keeps();
        if let Some(time) = answer.time {
            notes.number(Fact::DnsTime, time.0 / 1000);
        }
        notes.phase(if answer.of_the_last { Phase::DnsResponse } else { Phase::DnsQuery });
        return if answer.leaves_none { Verdict::Rest } else { Verdict::Is };
    }
    notes.client(talk.from);
    notes.phase(Phase::DnsQuery);
    waiting.query(header.id, talk.wall);
    talk.keeps = waiting.keeps();
    Verdict::Is
}

/// Returns the phase that a message of a known flow makes: the QR bit tells (RFC 1035 section 4.1.1).
pub fn phase(message: &[u8]) -> Option<Phase> {
    let flags = message.get(2)?;
    Some(if flags & 0x80 != 0 { Phase::DnsResponse } else { Phase::DnsQuery })
}

/// Messages of each side of a connection that are read: more than 8 KB hold, unless they are made to be many.
const MOST_MESSAGES: usize = 200;

/// Judges a connection: messages with their lengths before them (RFC 1035 section 4.2.2), from either side.
pub fn streams(talk: &Streams<'_>, notes: &mut Notes<'_>) -> Verdict {
    let verdicts = [0, 1].map(|side| Framed { bytes: talk.bytes[side], ended: talk.ended[side] }.verdict());
    if !verdicts.contains(&Verdict::Is) {
        return if verdicts.contains(&Verdict::No) { Verdict::No } else { Verdict::More };
    }
    let (mut asked, mut answered) = (None, None);
    for side in [0, 1].into_iter().filter(|side| verdicts[*side] == Verdict::Is) {
        for (message, wire_len) in
            (Framed { bytes: talk.bytes[side], ended: talk.ended[side] }).take(MOST_MESSAGES)
        {
            let Some(header) = message::sign(message, wire_len) else { continue };
            let family = Family::of(message, header, talk.ports);
            notes.service(family.service());
            notes.client(if header.is_response() { 1 - side } else { side });
            let first = if header.is_response() { &mut answered } else { &mut asked };
            first.get_or_insert(header.id);
            note(message, header, family, notes);
        }
    }
    // Queries may be answered in another order (RFC 7766 section 6.2.1.1); the first one's time is known if it is first.
    match asked {
        Some(_) if answered.is_none() => notes.waits(),
        Some(id) if answered == Some(id) => {
            if let Some(time) = notes.waited() {
                notes.number(Fact::DnsTime, time.0 / 1000);
            }
        }
        _ => {}
    }
    if talk.ended == [true; 2] { Verdict::Done } else { Verdict::Is }
}

/// Messages with their lengths before them: all that are complete, and what is there of the last one when
/// nothing more will come.
#[derive(Clone, Copy)]
struct Framed<'a> {
    bytes: &'a [u8],
    ended: bool,
}

impl Framed<'_> {
    /// Judges a side by its first message.
    fn verdict(mut self) -> Verdict {
        if self.bytes.is_empty() {
            return if self.ended { Verdict::No } else { Verdict::More };
        }
        if let Some((length, rest)) = self.bytes.split_first_chunk()
            && rest.len() >= HEADER_LEN
            && message::sign(rest, usize::from(u16::from_be_bytes(*length)).max(rest.len())).is_none()
        {
            return Verdict::No;
        }
        match self.next() {
            Some((message, wire_len)) if message::sign(message, wire_len).is_some() => Verdict::Is,
            None if !self.ended => Verdict::More,
            _ => Verdict::No,
        }
    }
}

impl<'a> Iterator for Framed<'a> {
    type Item = (&'a [u8], usize);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.bytes.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if rest.len() < length && !self.ended {
            return None;
        }
        let (message, rest) = rest.split_at(length.min(rest.len()));
        self.bytes = rest;
        Some((message, length))
    }
}

/// Which of the protocols that share the messages it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Dns,
    Mdns,
    Llmnr,
}

impl Family {
    fn service(self) -> Service {
        match self {
            Self::Dns => Service::Dns,
            Self::Mdns => Service::Mdns,
            Self::Llmnr => Service::Llmnr,
        }
    }

    /// mDNS never recurses and names its own domain (RFC 6762 sections 3 and 18), LLMNR never recurses and asks one
    /// question (RFC 4795 section 2.1.1); a DNS server on their ports is still asked to recurse by its clients.
    fn of(message: &[u8], header: Header, ports: [u16; 2]) -> Self {
        let [low, high] = ports;
        if (low == 5353 || high == 5353) && low != 53 && high != 53 {
            let multicast = low == high && (header.id == 0 || header.is_response());
            let recurses = header.flags & (header::RECURSION_DESIRED | header::RECURSION_AVAILABLE) != 0;
            if !recurses && (multicast || header.id == 0) || is_local(message) {
                return Self::Mdns;
            }
        } else if (low == 5355 || high == 5355)
            && header.flags & (header::RECURSION_AVAILABLE | header::RESERVED) == 0
            && header.counts[0] == 1
            && (header.is_response() || header.flags & header::RECURSION_DESIRED == 0)
        {
            return Self::Llmnr;
        }
        Self::Dns
    }
}

/// Returns whether the first name of a message belongs to mDNS: `local` and the addresses of links.
fn is_local(message: &[u8]) -> bool {
    let mut name = Name::new();
    name.read(message, HEADER_LEN).is_some()
        && [
            &b"local"[..],
            b"254.169.in-addr.arpa",
            b"8.e.f.ip6.arpa",
            b"9.e.f.ip6.arpa",
            b"a.e.f.ip6.arpa",
            b"b.e.f.ip6.arpa",
        ]
        .iter()
        .any(|domain| name.is_under(domain))
}

/// Notes what a message says.
fn note(bytes: &[u8], header: Header, family: Family, notes: &mut Notes<'_>) {
    if header.is_response() {
        notes.flag(Fact::DnsAnswered);
        // The others have codes, but who asks must not heed them: RFC 6762 section 18.11, RFC 4795 section 2.1.1.
        if family == Family::Dns {
            notes.number(Fact::DnsRcode, u64::from(header.rcode()));
        }
    }
    let [questions, answers, authorities, additional] = header.counts.map(usize::from);
    let mut asked = Name::new();
    let mut at = HEADER_LEN;
    for _ in 0..questions.min(MOST_QUESTIONS) {
        let Some(next) = asked.read(bytes, at) else { return };
        let Some(fields) = bytes.get(next..next + 4) else { return };
        notes.text(Fact::DnsQuery, asked.as_bytes());
        note_type(u16::from_be_bytes([fields[0], fields[1]]), notes);
        at = next + 4;
    }
    if !header.is_response() || questions > MOST_QUESTIONS {
        return;
    }
    asked.make_lower_case();
    let read = if family == Family::Mdns { answers + authorities + additional } else { answers };
    let mut aliased = false;
    let service = family.service();
    for _ in 0..read.min(MOST_RECORDS) {
        let Some(record) = Record::read(bytes, at) else { return };
        at = record.end;
        match (record.rtype, record.class & !class::FLUSH, record.data(bytes)) {
            (rtype::A, class::IN, data) if data.len() == 4 => {
                let address = data.first_chunk::<4>().copied().map(IpAddr::from);
                note_address(
                    bytes,
                    &record,
                    address,
                    (questions == 1).then_some((&asked, aliased)),
                    service,
                    notes,
                );
            }
            (rtype::AAAA, class::IN, data) if data.len() == 16 => {
                let address = data.first_chunk::<16>().copied().map(IpAddr::from);
                note_address(
                    bytes,
                    &record,
                    address,
                    (questions == 1).then_some((&asked, aliased)),
                    service,
                    notes,
                );
            }
            (rtype::CNAME, class::IN, _) => {
                let mut canonical = Name::new();
                if canonical.read(bytes, record.data).is_some() {
                    aliased = true;
                    notes.text(Fact::DnsCname, canonical.as_bytes());
                }
            }
            _ => {}
        }
    }
}

/// Notes an address of a record. It belongs to the name that was asked for when the record's owner is that
/// name, or a canonical name of it (`true` beside it), and otherwise to the owner.
fn note_address(
    bytes: &[u8],
    record: &Record,
    address: Option<IpAddr>,
    asked: Option<(&Name, bool)>,
    service: Service,
    notes: &mut Notes<'_>,
) {
    const TO_THE_QUESTION: [u8; 2] = [0xc0, HEADER_LEN as u8];
    let Some(address) = address else { return };
    notes.address(Fact::DnsAddress, address);
    if let Some((asked, aliased)) = asked
        && (aliased || bytes.get(record.owner..record.owner + 2) == Some(&TO_THE_QUESTION))
    {
        return notes.resolved(service, asked.as_bytes(), address);
    }
    let mut owner = Name::new();
    if owner.read(bytes, record.owner).is_some() {
        owner.make_lower_case();
        notes.resolved(service, owner.as_bytes(), address);
    }
}

/// Notes a type by its name in the registry of RFC 6895, or as `TYPEn` (RFC 3597 section 5) where nobody asks for it by name.
fn note_type(number: u16, notes: &mut Notes<'_>) {
    let name: &[u8] = match number {
        1 => b"A",
        2 => b"NS",
        5 => b"CNAME",
        6 => b"SOA",
        10 => b"NULL",
        12 => b"PTR",
        13 => b"HINFO",
        15 => b"MX",
        16 => b"TXT",
        28 => b"AAAA",
        33 => b"SRV",
        35 => b"NAPTR",
        43 => b"DS",
        46 => b"RRSIG",
        48 => b"DNSKEY",
        52 => b"TLSA",
        64 => b"SVCB",
        65 => b"HTTPS",
        251 => b"IXFR",
        252 => b"AXFR",
        255 => b"ANY",
        _ => {
            let mut text = *b"TYPE00000";
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(number).as_bytes();
            text[4..4 + digits.len()].copy_from_slice(digits);
            return notes.text(Fact::DnsType, &text[..4 + digits.len()]);
        }
    };
    notes.text(Fact::DnsType, name);
}

#[cfg(test)]
mod tests;
