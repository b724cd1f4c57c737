//! What is known as the names of a flow's ends.

use std::sync::Arc;

use crate::{base::time::Stamp, dpi::service::Service};

/// Names of one end that are kept with a flow.
pub const MOST_OF_AN_END: usize = 4;

/// A name that answers gave for an address before a flow began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownName {
    /// The name that was asked for, in lower case. Bytes from the network: escape them where they are shown.
    pub name: Arc<[u8]>,
    /// Whose answer it was: DNS, mDNS or LLMNR.
    pub source: Service,
    /// When it came: the last time before the flow's first packet.
    pub seen: Stamp,
}

/// The names of a flow's two ends, newest first; index 0 is the key's low end. Most flows have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndNames(Option<Box<[Box<[KnownName]>; 2]>>);

impl EndNames {
    /// Returns the names of two ends.
    pub fn new(ends: [Vec<KnownName>; 2]) -> Self {
        let has_any = ends.iter().any(|names| !names.is_empty());
        Self(has_any.then(|| Box::new(ends.map(Vec::into_boxed_slice))))
    }

    /// Returns the names of an end, newest first.
    pub fn of(&self, end: usize) -> &[KnownName] {
        self.0.as_ref().map_or(&[], |ends| &ends[end & 1])
    }

    /// Returns the names of both ends.
    pub fn all(&self) -> impl Iterator<Item = &KnownName> {
        self.0.iter().flat_map(|ends| ends.iter()).flatten()
    }

    /// Returns whether neither end has one.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
