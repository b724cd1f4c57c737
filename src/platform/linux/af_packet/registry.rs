//! The interfaces of one capture, shared by its sources so that all number them alike.
//!
//! Looked at when a link changes, at a cut, and at the first frame of an interface; never for an
//! ordinary frame.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    base::{ids::IfaceId, time::Stamp},
    capture::source::{InterfaceState, InterfaceStatus},
    platform::linux::{
        clock,
        link::{self, LinkWatch},
    },
};

/// Most interfaces that are told apart; the frames of any further one count to the last.
const MOST: usize = 4096;

/// See the module.
pub struct Registry {
    links: LinkWatch,
    entries: Mutex<Vec<Entry>>,
    generation: AtomicU32,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    /// Of the system, the last one that it had; and the one before, whose frames may still come.
    index: u32,
    former: Option<u32>,
    exists: bool,
    state: InterfaceState,
    loopback: bool,
    speed: Option<u64>,
}

impl Registry {
    /// Returns a registry of these interfaces, numbered in this order, or of none yet.
    ///
    /// # Errors
    /// `ENODEV` with the name that does not exist; whatever netlink fails with.
    pub fn new(names: &[String]) -> Result<Self, (String, io::Error)> {
        let links = LinkWatch::new().map_err(|e| ("netlink".to_owned(), e))?;
        let registry = Self { links, entries: Mutex::default(), generation: AtomicU32::new(0) };
        for name in names {
            let index = link::index_of(registry.links.as_fd(), name).map_err(|e| (name.clone(), e))?;
            let entry = registry.look_at(name.clone(), index);
            registry.lock().push(entry);
        }
        Ok(registry)
    }

    /// Looks at all interfaces again if the kernel says that a link changed.
    pub fn refresh(&self) {
        if self.links.changed() {
            self.look_again();
        }
    }

    /// Looks at all interfaces again.
    pub fn look_again(&self) {
        for entry in self.lock().iter_mut() {
            let socket = self.links.as_fd();
            let same = || entry.exists.then(|| Some((entry.index, link::name_of(socket, entry.index).ok()?)));
            let again = || Some((link::index_of(socket, &entry.name).ok()?, entry.name.clone()));
            let Some((index, name)) = same().flatten().or_else(again) else {
                entry.exists = false;
                if !matches!(entry.state, InterfaceState::Gone(_)) {
                    entry.state = InterfaceState::Gone(Stamp(clock::wall()));
                }
                continue;
            };
            let before = std::mem::replace(entry, self.look_at(name, index));
            entry.former = if before.index == index { before.former } else { Some(before.index) };
            // Still down: since the first moment.
            if let (InterfaceState::Down(since), InterfaceState::Down(_)) = (before.state, entry.state) {
                entry.state = InterfaceState::Down(since);
            }
        }
        // Release: pairs with the Acquire in `generation`; entries themselves are under the lock.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Returns a number that changes whenever the interfaces were looked at again.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Returns the system's index of an interface, `None` while it does not exist.
    pub fn index(&self, iface: IfaceId) -> Option<u32> {
        self.lock().get(usize::from(iface.0)).filter(|e| e.exists).map(|e| e.index)
    }

    /// Returns the interface with this index of the system, numbering it if it is new, and whether
    /// it is a loopback.
    pub fn resolve(&self, index: u32) -> (IfaceId, bool) {
        let mut entries = self.lock();
        let found = entries.iter().position(|e| e.index == index);
        let found = found.or_else(|| entries.iter().position(|e| e.former == Some(index)));
        let found = found.unwrap_or_else(|| {
            let name = link::name_of(self.links.as_fd(), index);
            // Gone before its frames were read: it has no name any more.
            let fresh = match name {
                Ok(name) => self.look_at(name, index),
                Err(_) => Entry {
                    name: format!("if{index}"),
                    index,
                    former: None,
                    exists: false,
                    state: InterfaceState::Gone(Stamp(clock::wall())),
                    loopback: false,
                    speed: None,
                },
            };
            // The same name again under a new index is the same interface to a reader.
            if let Some(at) = entries.iter().position(|e| e.name == fresh.name) {
                let before = std::mem::replace(&mut entries[at], fresh);
                entries[at].former = Some(before.index);
                return at;
            }
            if entries.len() < MOST {
                entries.push(fresh);
            }
            entries.len() - 1
        });
        (IfaceId(found as u16), entries[found].loopback)
    }

    /// Returns whether an interface is a loopback.
    pub fn is_loopback(&self, iface: IfaceId) -> bool {
        self.lock().get(usize::from(iface.0)).is_some_and(|e| e.loopback)
    }

    /// Writes what is known of the interfaces into `out`, in the order of their ids.
    pub fn report(&self, out: &mut Vec<InterfaceStatus>) {
        let entries = self.lock();
        // In the memory of the last report: nothing is allocated unless an interface is new.
        out.resize_with(entries.len(), InterfaceStatus::default);
        for (status, entry) in out.iter_mut().zip(&*entries) {
            status.name.clone_from(&entry.name);
            (status.state, status.speed, status.loopback) = (entry.state, entry.speed, entry.loopback);
        }
    }

    fn look_at(&self, name: String, index: u32) -> Entry {
        let socket = self.links.as_fd();
        let flags = link::flags_of(socket, &name).unwrap_or(0);
        let running = libc::IFF_UP | libc::IFF_RUNNING;
        Entry {
            index,
            former: None,
            exists: true,
            state: match flags & running == running {
                true => InterfaceState::Up,
                false => InterfaceState::Down(Stamp(clock::wall())),
            },
            loopback: flags & libc::IFF_LOOPBACK != 0,
            speed: link::speed_of(socket, &name),
            name,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Registry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.links.as_fd()
    }
}

impl AsRawFd for Registry {
    fn as_raw_fd(&self) -> RawFd {
        self.links.as_raw_fd()
    }
}
