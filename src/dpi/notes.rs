//! Where recognisers write what they learn.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::net::IpAddr;

use crate::{
    base::{
        ids::FlowId,
        time::{Nanos, Stamp},
    },
    dpi::{fact::Fact, protocols::tls::ja4, service::Service},
};

/// What a flow is in the middle of; it decides state and lifetime of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// HTTP or HTTPS over TCP.
    Web,
    /// SSH: identification lines.
    SshBanner,
    /// SSH: keys are agreed on.
    SshKeyExchange,
    /// SSH: keys are in use, the user is not yet let in.
    SshAuthentication,
    /// SSH: the session runs.
    SshEstablished,
    /// DNS over UDP: a query waits.
    DnsQuery,
    /// DNS over UDP: the last query was answered.
    DnsResponse,
    /// QUIC: only the client's Initial was seen.
    QuicInitial,
    /// QUIC: both Initials or a Handshake packet.
    QuicHandshake,
    /// QUIC: the client's first short header after that.
    QuicConnected,
    /// The same of HTTP/3, or of HTTP over an earlier QUIC.
    QuicConnectedWeb,
    /// QUIC: CONNECTION_CLOSE of type 0x1c was read.
    QuicDraining,
    /// QUIC: CONNECTION_CLOSE of type 0x1d was read.
    QuicDrainingApp,
    /// QUIC: both sides closed.
    QuicClosed,
}

/// Something that was learned of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned<'a> {
    /// What it speaks; a later one replaces an earlier one.
    Service(Service),
    /// A value of a fact.
    Fact(Fact, &'a [u8]),
    /// An address that an answer gave for a name.
    Resolved(Resolved<'a>),
}

/// An address that an answer gave for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved<'a> {
    /// The name that was asked for, in lower case.
    pub name: &'a [u8],
    /// Its address.
    pub address: IpAddr,
    /// Whose answer it was: DNS, mDNS or LLMNR.
    pub service: Service,
    /// The answer's time.
    pub at: Stamp,
}

/// Takes what was learned, flow by flow.
pub trait Learn {
    /// Takes something that was learned of the flow `id`.
    fn learned(&mut self, id: FlowId, what: Learned<'_>);
}

/// Takes what recognisers learn of one flow.
pub trait Sink {
    /// Returns whether a value of a fact was taken before.
    fn has(&self, fact: Fact) -> bool;
    /// Takes a value of a fact.
    fn fact(&mut self, fact: Fact, value: &[u8]);
    /// Takes a label.
    fn service(&mut self, service: Service);
    /// Returns the hash of two lists that is part of a fingerprint. Who remembers hashes saves time.
    fn short_hash(&mut self, list: &[u16], more: &[u16]) -> [u8; 12] {
        ja4::hash_of(list, more)
    }
    /// Takes an address that a DNS answer gave for a name.
    fn resolved(&mut self, service: Service, name: &[u8], address: IpAddr);
}

/// What one call of a recogniser learned.
///
/// Values may be given again in later calls: what was said before is not passed on twice.
pub struct Notes<'a> {
    sink: &'a mut dyn Sink,
    /// The phase, if the recogniser named one.
    pub(crate) phase: Option<Phase>,
    /// The client's side, if the bytes tell it.
    pub(crate) client: Option<usize>,
    /// How long it is since a call on this connection first asked for the time.
    pub(crate) waited: Option<Nanos>,
    /// From now on it counts, unless it does already.
    pub(crate) waits: bool,
}

impl<'a> Notes<'a> {
    /// Returns notes that go to `sink`.
    pub fn new(sink: &'a mut dyn Sink) -> Self {
        Self { sink, phase: None, client: None, waited: None, waits: false }
    }

    /// Returns whether a value of a fact was noted, now or in an earlier call: what costs much to work out
    /// need not be worked out again.
    pub fn has(&self, fact: Fact) -> bool {
        self.sink.has(fact)
    }

    /// Notes a text. Bytes of any kind may be given: they are escaped where they are shown.
    pub fn text(&mut self, fact: Fact, value: &[u8]) {
        self.sink.fact(fact, &value[..value.len().min(crate::dpi::fact::LONGEST_VALUE)]);
    }

    /// Notes a number, as its decimal digits.
    pub fn number(&mut self, fact: Fact, value: u64) {
        self.sink.fact(fact, itoa::Buffer::new().format(value).as_bytes());
    }

    /// Notes an address.
    pub fn address(&mut self, fact: Fact, address: IpAddr) {
        let mut text = [0; 64];
        let mut left = &mut text[..];
        match address {
            // The common case, without what formatting in general takes.
            IpAddr::V4(v4) => {
                let mut len = 0;
                for (nth, octet) in v4.octets().into_iter().enumerate() {
                    let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
                    let zeros = usize::from(octet < 100) + usize::from(octet < 10);
                    for byte in
                        [b'.'].into_iter().skip(usize::from(nth == 0)).chain(digits.into_iter().skip(zeros))
                    {
                        left[len] = byte;
                        len += 1;
                    }
                }
                left = &mut left[len..];
            }
            IpAddr::V6(v6) => {
                let written = std::io::Write::write_fmt(&mut left, format_args!("{v6}"));
                written.expect("an address has 45 characters at most");
            }
        }
        let unused = left.len();
        self.sink.fact(fact, &text[..text.len() - unused]);
    }

    /// Notes bytes as hexadecimal digits, 64 bytes at most.
    pub fn hex(&mut self, fact: Fact, value: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 128];
        let value = &value[..value.len().min(64)];
        for (pair, byte) in text.chunks_exact_mut(2).zip(value) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        self.sink.fact(fact, &text[..2 * value.len()]);
    }

    /// Notes that something is so.
    pub fn flag(&mut self, fact: Fact) {
        self.sink.fact(fact, b"true");
    }

    /// Gives the flow another label than the recogniser's own, a later one replacing an earlier one.
    pub fn service(&mut self, service: Service) {
        self.sink.service(service);
    }

    /// Notes the flow's phase.
    pub fn phase(&mut self, phase: Phase) {
        self.phase = Some(phase);
    }

    /// Returns the hash of two lists that is part of a fingerprint.
    pub fn short_hash(&mut self, list: &[u16], more: &[u16]) -> [u8; 12] {
        self.sink.short_hash(list, more)
    }

    /// Notes which side is the client: 0 the key's low end, 1 the high end.
    pub fn client(&mut self, side: usize) {
        self.client = Some(side);
    }

    /// Notes that the time counts from the first call that says so: a recogniser of connections sees bytes, and no times
    /// of theirs. Only one that knows the connection may.
    pub fn waits(&mut self) {
        self.waits = true;
    }

    /// Returns how long ago an earlier call first said that it [waits](Notes::waits).
    pub fn waited(&self) -> Option<Nanos> {
        self.waited
    }

    /// Notes an address that an answer of `service` gave for a name.
    pub fn resolved(&mut self, service: Service, name: &[u8], address: IpAddr) {
        self.sink.resolved(service, name, address);
    }
}
