//! What is known as the names of a flow's ends.

use std::sync::Arc;

use crate::{base::time::Stamp, dpi::service::Service};

/// Names of one end that are kept with a flow.
pub const MOST_OF_AN_END: usize = 4;

/// A name of an address that a flow did not say itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownName {
    /// The name, in lower case. Bytes from the network: escape them where they are shown.
    pub name: Arc<[u8]>,
    /// Who said it.
    pub source: NameSource,
}

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameSource {
    /// The traffic: it was asked for, and this answer gave the address before the flow began.
    Answer {
        /// Whose answer it was: DNS, mDNS or LLMNR.
        service: Service,
        /// When it came: the last time before the flow's first packet.
        seen: Stamp,
    },
    /// The capture file, in a block of names.
    File,
    /// The system's resolver, which was asked for the address.
    Resolver,
}

impl NameSource {
    /// Returns what exports call it; answers, the usual source, are not named.
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::Answer { .. } => None,
            Self::File => Some("file"),
            Self::Resolver => Some("resolver"),
        }
    }
}

/// The names of a flow's two ends: those of answers, newest first, or else those of the file, or else the resolver's. Index 0 is the key's low end.
/// Most flows have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndNames(Option<Box<[Box<[KnownName]>; 2]>>);

impl EndNames {
    /// Returns the names of two ends.
    pub fn new(ends: [Vec<KnownName>; 2]) -> Self {
        let has_any = ends.iter().any(|names| !names.is_empty());
        Self(has_any.then(|| Box::new(ends.map(Vec::into_boxed_slice))))
    }

    /// Adds the resolver's name of an end, unless the traffic has given it one.
    pub fn add_resolved(&mut self, end: usize, name: Arc<[u8]>) {
        let ends = self.0.get_or_insert_default();
        if ends[end & 1].is_empty() {
            ends[end & 1] = Box::new([KnownName { name, source: NameSource::Resolver }]);
        }
    }

    /// Gives an end the names of the file, unless the traffic has given it one.
    pub fn add_from_file(&mut self, end: usize, names: Vec<KnownName>) {
        let known = self.of(end).first().map(|known| known.source);
        if !names.is_empty() && !matches!(known, Some(NameSource::Answer { .. })) {
            self.0.get_or_insert_default()[end & 1] = names.into_boxed_slice();
        }
    }

    /// Returns the names of an end, newest first.
    pub fn of(&self, end: usize) -> &[KnownName] {
        self.0.as_ref().map_or(&[], |ends| &ends[end & 1])
    }

    /// Returns the names of both ends.
    pub fn all(&self) -> impl Iterator<Item = &KnownName> {
        self.0.iter().flat_map(|ends| ends.iter()).flatten()
    }

    /// Returns where the names of an end come from, if it has one.
    pub fn source(&self, end: usize) -> Option<NameSource> {
        Some(self.of(end).first()?.source)
    }

    /// Returns whether neither end has one.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_traffic_wins_over_the_resolver_s() {
        let source = NameSource::Answer { service: Service::Dns, seen: Stamp(1) };
        let heard = KnownName { name: b"heard.example"[..].into(), source };
        let mut names = EndNames::new([vec![heard.clone()], Vec::new()]);
        for end in [0, 1] {
            names.add_resolved(end, b"asked.example"[..].into());
        }
        assert_eq!(names.of(0), [heard]);
        assert_eq!(&*names.of(1)[0].name, b"asked.example");
        assert_eq!([0, 1].map(|end| names.source(end).and_then(NameSource::key)), [None, Some("resolver")]);
        // The file's comes between them.
        let of_file = vec![KnownName { name: b"file.example"[..].into(), source: NameSource::File }];
        for end in [0, 1] {
            names.add_from_file(end, of_file.clone());
            names.add_resolved(end, b"asked.example"[..].into());
        }
        assert_eq!([0, 1].map(|end| names.source(end).and_then(NameSource::key)), [None, Some("file")]);
        assert_eq!(names.of(1), of_file);
        let mut none = EndNames::default();
        none.add_resolved(1, b"asked.example"[..].into());
        assert!(none.of(0).is_empty() && !none.is_empty());
    }
}
