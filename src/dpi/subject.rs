//! What an inspector is asked about, and what it answers.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::ops::AddAssign;

use crate::{
    base::{ids::FlowId, time::Stamp},
    dpi::notes::Phase,
};

/// A flow whose number is put together when somebody wants it: most payloads tell nothing, and its generation lies
/// in a record that need not be loaded for them.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// The worker that has it.
    pub worker: u8,
    /// Its slot in the worker's table.
    pub slot: u32,
    /// Its generation there.
    pub generation: &'a u32,
}

impl Flow<'_> {
    /// Returns its number.
    #[inline]
    pub fn id(&self) -> FlowId {
        FlowId::new(self.worker, self.slot, *self.generation)
    }
}

/// Everything about a segment or a datagram with payload, or about the end of a direction.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The flow.
    pub flow: Flow<'a>,
    /// The sender: 0 the key's low end, 1 the high end.
    pub from: usize,
    /// The side that opened the flow, as far as that is known.
    pub client: usize,
    /// TCP: the handshake was seen.
    pub opened: bool,
    /// TCP: sequence number of each side's first byte, where its SYN was seen.
    pub starts: [Option<u32>; 2],
    /// TCP: up to which number each side's bytes were acknowledged, as far as that was seen.
    pub acknowledged: [Option<u32>; 2],
    /// TCP: sequence number of the first byte of the payload.
    pub seq_number: u32,
    /// TCP: the sender closes behind the payload.
    pub closes: bool,
    /// Ports by side.
    pub ports: [u16; 2],
    /// The frame's time.
    pub wall: Stamp,
    /// The payload as far as it was captured.
    pub payload: &'a [u8],
    /// Its length on the wire.
    pub wire_len: usize,
}

/// What an inspection came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The flow is not to be inspected again.
    pub settled: bool,
    /// What it is in the middle of.
    pub phase: Option<Phase>,
    /// The side that is the client.
    pub client: Option<usize>,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InspectorCounts {
    /// Payloads looked at.
    pub payloads: u64,
    /// Flows that got a label.
    pub labelled: u64,
    /// Flows given up because nobody knew them.
    pub given_up: u64,
    /// Flows given up because all places were taken.
    pub displaced: u64,
}

impl AddAssign for InspectorCounts {
    fn add_assign(&mut self, other: Self) {
        self.payloads += other.payloads;
        self.labelled += other.labelled;
        self.given_up += other.given_up;
        self.displaced += other.displaced;
    }
}
