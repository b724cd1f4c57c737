//! Ids that could be mistaken for each other, as types of their own.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::fmt;

/// Names one row for its whole life: worker, slot in the worker's table, generation of the slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(u64);

impl FlowId {
    /// Returns the id of generation `generation` of slot `slot` (below 2^24) on `worker`.
    pub const fn new(worker: u8, slot: u32, generation: u32) -> Self {
        Self((worker as u64) << 56 | (slot as u64 & 0xff_ffff) << 32 | generation as u64)
    }

    /// Returns the id as a number that [`FlowId::from_number`] takes back.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns the id with this number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the worker that owns the flow.
    pub const fn worker(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// Returns the flow's slot in its worker's table.
    pub const fn slot(self) -> u32 {
        (self.0 >> 32) as u32 & 0xff_ffff
    }

    /// Returns the generation of the slot, which tells a flow from its slot's earlier tenants.
    pub const fn generation(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A network interface as the capture sources number them, from 0; not the system's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfaceId(pub u16);

/// A processor core by the system's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(pub u16);

/// The number of a cut through the stream; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Returns the epoch after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
