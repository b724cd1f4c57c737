//! The table of recognisers: one row for each protocol.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{
    notes::Notes,
    service::Service,
    talk::{Datagram, Streams},
};

/// What a recogniser says of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not this protocol, whatever else may come.
    No,
    /// It may be; more bytes will tell. Nothing may have been noted.
    More,
    /// It is; more facts may come. Only this recogniser is asked from now on.
    Is,
    /// It is, and nothing needs to be kept until the flow's next datagram, which only this recogniser
    /// is asked about, with a memory of zeros. Of TCP it is as good as [`Verdict::Is`].
    Rest,
    /// It is, and nothing more is to be learned: the flow is not inspected again.
    Done,
}

/// Judges a TCP connection by its first bytes.
pub type OfStreams = fn(&Streams<'_>, &mut Notes<'_>) -> Verdict;
/// Judges a UDP flow by a datagram.
pub type OfDatagram = fn(&mut Datagram<'_>, &mut Notes<'_>) -> Verdict;

/// One row of the table.
pub struct Recogniser {
    /// The label that it gives.
    pub service: Service,
    /// How it knows the protocol over TCP.
    pub streams: Option<OfStreams>,
    /// How it knows the protocol over UDP.
    pub datagram: Option<OfDatagram>,
}

/// All recognisers. Of several that know a flow, the first one has it; so an unmistakable sign
/// stands before a weak one. At most 64.
pub const RECOGNISERS: &[Recogniser] = &[];

const _: () = assert!(RECOGNISERS.len() <= 64);
