//! Which row readers want to know more of than every snapshot tells.
//!
//! What only a worker knows of a connection ([`crate::flow::health`]) would be another cache line to copy for each row that
//! moves. So readers name one row, and its worker adds it to what it hands out at a cut: one load a cut where nobody asks.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::base::{
    ids::FlowId,
    sync::atomic::{AtomicU64, Ordering},
};

/// The row that is asked for, told by a reader to all workers.
#[derive(Debug)]
pub struct Wish {
    /// The number of its id; 0 is none's, since generations begin at 1.
    number: AtomicU64,
}

impl Default for Wish {
    fn default() -> Self {
        Self { number: AtomicU64::new(0) }
    }
}

impl Wish {
    /// Asks for a row from the next cut on, or for none; returns whether it is another one than before.
    pub fn set(&self, id: Option<FlowId>) -> bool {
        let number = id.map_or(0, FlowId::number);
        // Relaxed: nothing else is told by it, here and below.
        self.number.swap(number, Ordering::Relaxed) != number
    }

    /// Returns the row that is asked for.
    pub fn get(&self) -> Option<FlowId> {
        let number = self.number.load(Ordering::Relaxed);
        (number != 0).then(|| FlowId::from_number(number))
    }
}
