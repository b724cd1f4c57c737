//! The names that a capture file gives to addresses in blocks of its own. They hold for all of it, whenever a connection
//! began: who wrote the file knew them.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use crate::{
    base::keyed::Keyed,
    names::known::{KnownName, MOST_OF_AN_END, NameSource},
};

/// All addresses that a file names. How many these can be is bounded where the file is read.
#[derive(Default)]
pub struct FileNames {
    by_address: HashMap<IpAddr, Vec<Arc<[u8]>>, Keyed>,
    /// Names taken from the file's list.
    read: usize,
}

impl FileNames {
    /// Takes what is new in the file's list of names, which only grows; returns whether there was anything.
    pub fn read(&mut self, names: &[(IpAddr, Arc<[u8]>)]) -> bool {
        let new = names.get(self.read..).unwrap_or_default();
        for (address, name) in new {
            let known = self.by_address.entry(*address).or_default();
            if known.len() < MOST_OF_AN_END && !known.contains(name) {
                known.push(Arc::clone(name));
            }
        }
        self.read += new.len();
        !new.is_empty()
    }

    /// Returns the names of an address, in the order of the file.
    pub fn names(&self, address: IpAddr) -> Vec<KnownName> {
        let names = self.by_address.get(&address).map_or(&[][..], Vec::as_slice);
        names.iter().map(|name| KnownName { name: Arc::clone(name), source: NameSource::File }).collect()
    }

    /// Returns whether the file has named none yet.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_first_names_of_the_file_each_once() {
        let [a, b] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let list: Vec<(IpAddr, Arc<[u8]>)> =
            [(a, "x"), (b, "y"), (a, "x"), (a, "z"), (a, "1"), (a, "2"), (a, "3")]
                .map(|(address, name)| (address, name.as_bytes().into()))
                .into();
        let mut names = FileNames::default();
        assert!(names.is_empty() && !names.read(&[]));
        assert!(names.read(&list[..2]) && names.read(&list) && !names.read(&list));
        let of = |address| names.names(address).iter().map(|n| n.name.to_vec()).collect::<Vec<_>>();
        assert_eq!(of(a), [b"x", b"z", b"1", b"2"]);
        assert_eq!(of(b), [b"y"]);
        assert!(names.names(IpAddr::from([192, 0, 2, 3])).is_empty());
    }
}
