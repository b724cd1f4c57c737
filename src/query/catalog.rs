//! Numbers for what flows speak and for who owns them: what many flows have in common is looked at
//! once, whatever is asked of it, and what they said lies in one piece.
//!
//! ```text
//!  slot ──▶ (generation, number) ──▶ text 17: | service | facts ... | names of the ends ... |
//!                                    owner 3: Arc
//! ```
//!
//! It is brought up to date at each epoch, whether or not anybody asks: only slots whose tenants were
//! written to since are looked at. So a new question finds a number where a million rows would each
//! have two places in memory to visit.

use std::{collections::HashMap, sync::Arc};

use crate::{
    dpi::service::Service,
    names::known::KnownName,
    process::owner::Owner,
    query::{
        rest::Rest,
        texts::{self, Places},
    },
    snapshot::{
        app::App,
        flow_view::Numbers,
        side::Tenant,
        view::{ROWS_A_CHUNK, Snapshot},
    },
};

/// The number of what is known but has none of its own: there was no room.
const NAMELESS: u32 = u32::MAX;
/// Bytes of texts that are kept; what comes on top is looked at where it lies.
const MOST_BYTES: usize = 64 << 20;
/// So many that nobody uses are worth an effort.
const MANY: usize = 1 << 16;

/// The numbers of one table's flows and owners.
#[derive(Clone, Default)]
pub struct Catalog {
    workers: Vec<Columns>,
    apps: Apps,
    owners: Owners,
    generation: u64,
}

#[derive(Clone, Default)]
struct Columns {
    /// Versions of the tenants of each chunk when it was looked at.
    seen: Vec<u64>,
    apps: Vec<Entry>,
    owners: Vec<Entry>,
}

/// What is known of the tenant of a slot.
#[derive(Clone, Copy, Default)]
struct Entry {
    version: u32,
    generation: u32,
    number: u32,
}

/// The distinct things that flows say.
#[derive(Clone)]
struct Apps {
    /// Numbers by hash, open addressing, at most half full; 0 where there is none.
    slots: Vec<u32>,
    seed: u64,
    texts: Vec<Text>,
    bytes: Vec<u8>,
    /// Of these so many are used by no slot.
    idle: usize,
    room: Vec<u8>,
}

impl Default for Apps {
    fn default() -> Self {
        let (slots, texts, bytes, room) = (vec![0; 1024], Vec::new(), Vec::new(), Vec::new());
        Self { slots, seed: texts::seed(), texts, bytes, idle: 0, room }
    }
}

#[derive(Clone, Copy)]
struct Text {
    hash: u64,
    at: u32,
    len: u32,
    /// Slots that say it.
    uses: u32,
}

#[derive(Clone, Default)]
struct Owners {
    by_place: HashMap<usize, u32, Places>,
    /// With the number of slots. NB: as long as one is kept here, no other can have its place.
    list: Vec<Option<(Arc<Owner>, u32)>>,
    idle: usize,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("apps", &self.apps.texts.len()).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Brings the numbers up to a snapshot.
    pub fn update(&mut self, snapshot: &Snapshot) {
        self.tidy();
        let Self { workers, apps, owners, .. } = self;
        let mut rest = Rest::default();
        workers.resize_with(snapshot.workers().max(workers.len()), Columns::default);
        for (w, columns) in workers.iter_mut().enumerate().take(snapshot.workers()) {
            let chunks = snapshot.chunks(w);
            columns.seen.resize(chunks.max(columns.seen.len()), 0);
            for chunk in 0..chunks {
                let version = snapshot.tenants_version(w, chunk);
                let is_new = columns.seen[chunk] == 0;
                if std::mem::replace(&mut columns.seen[chunk], version) == version {
                    continue;
                }
                if is_new {
                    snapshot.prefetch_apps(w, chunk);
                }
                let first = chunk * ROWS_A_CHUNK;
                renew(&mut columns.apps, first, snapshot.app_tenants(w, chunk), |old, app| {
                    apps.release(old);
                    app.map_or(0, |app| apps.number(app))
                });
                renew(&mut columns.owners, first, snapshot.owner_tenants(w, chunk), |old, owner| {
                    owners.release(old);
                    owner.map_or(0, |owner| owners.number(owner))
                });
                rest.now_and_then();
            }
        }
    }

    /// Returns a number that changes when numbers given before mean something else.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns what is above all numbers of what flows speak, and of owners.
    #[inline]
    pub fn ends(&self) -> [usize; 2] {
        [self.apps.texts.len() + 1, self.owners.list.len() + 1]
    }

    /// Returns the numbers of a flow in a slot.
    #[inline]
    pub fn numbers(&self, worker: usize, slot: usize, generation: u32) -> Numbers {
        let of = |list: &[Entry]| match list.get(slot) {
            Some(entry) if entry.generation == generation => entry.number,
            _ => 0,
        };
        self.workers.get(worker).map_or_else(Numbers::default, |columns| Numbers {
            app: of(&columns.apps),
            owner: of(&columns.owners),
        })
    }

    /// Returns all that is said by what has this number, names of its ends included, with bytes of other
    /// meaning between: what is not found in it is in no value.
    #[inline]
    pub fn text(&self, app: u32) -> Option<&[u8]> {
        let text = self.apps.texts.get(app.checked_sub(1)? as usize)?;
        Some(&self.apps.bytes[text.at as usize..][..text.len as usize])
    }

    /// Returns what is spoken by what has this number; `None` if nothing has.
    #[inline]
    pub fn service(&self, app: u32) -> Option<Option<Service>> {
        let service = self.text(app)?.first()?.checked_sub(1);
        Some(service.and_then(|service| Service::ALL.get(usize::from(service)).copied()))
    }

    /// Forgets what is used no more, if that is much; others get new numbers.
    fn tidy(&mut self) {
        let Self { workers, apps, owners, generation } = self;
        let idle_texts = apps.idle > MANY * 16 && apps.idle * 2 > apps.bytes.len();
        let idle_owners = owners.idle > MANY && owners.idle * 2 > owners.list.len();
        if !idle_texts && !idle_owners {
            return;
        }
        *generation += 1;
        let [new_apps, new_owners] = [apps.tidy(), owners.tidy()];
        for columns in workers {
            for (list, new) in [(&mut columns.apps, &new_apps), (&mut columns.owners, &new_owners)] {
                for entry in list.iter_mut().filter(|entry| entry.number != 0 && entry.number != NAMELESS) {
                    entry.number = new[entry.number as usize - 1];
                }
            }
        }
    }
}

/// Gives numbers to the tenants of a chunk that were written to.
fn renew<T>(
    entries: &mut Vec<Entry>,
    first: usize,
    tenants: &[Tenant<T>],
    mut number: impl FnMut(u32, Option<&Arc<T>>) -> u32,
) {
    if entries.len() < first + tenants.len() {
        entries.resize(first + tenants.len(), Entry::default());
    }
    for (entry, tenant) in entries[first..].iter_mut().zip(tenants) {
        if entry.version != tenant.version {
            let number = number(entry.number, tenant.value.as_ref());
            *entry = Entry { version: tenant.version, generation: tenant.generation, number };
        }
    }
}

impl Apps {
    fn number(&mut self, app: &App) -> u32 {
        let mut room = std::mem::take(&mut self.room);
        write(app, &mut room);
        let number = self.number_of(&room);
        self.room = room;
        if let Some(text) = self.texts.get_mut(number as usize - 1) {
            if text.uses == 0 {
                self.idle -= text.len as usize;
            }
            text.uses += 1;
        }
        number
    }

    fn number_of(&mut self, said: &[u8]) -> u32 {
        let hash = texts::hash(self.seed, [said, b""]);
        let place = self.place(hash, said);
        let number = self.slots[place];
        if number != 0 {
            return number;
        }
        if self.bytes.len() + said.len() > MOST_BYTES {
            return NAMELESS;
        }
        self.texts.push(Text { hash, at: self.bytes.len() as u32, len: said.len() as u32, uses: 0 });
        self.bytes.extend_from_slice(said);
        self.idle += said.len();
        self.slots[place] = self.texts.len() as u32;
        if self.texts.len() * 2 > self.slots.len() {
            self.grow();
        }
        self.texts.len() as u32
    }

    /// Returns where the number of a text stands, or would.
    fn place(&self, hash: u64, said: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(n) = self.slots[at].checked_sub(1) {
            let text = &self.texts[n as usize];
            if text.hash == hash && &self.bytes[text.at as usize..][..text.len as usize] == said {
                break;
            }
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        self.slots = vec![0; mask + 1];
        for (n, text) in self.texts.iter().enumerate() {
            let mut at = text.hash as usize & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = n as u32 + 1;
        }
    }

    fn release(&mut self, number: u32) {
        if number == 0 || number == NAMELESS {
            return;
        }
        let text = &mut self.texts[number as usize - 1];
        text.uses -= 1;
        if text.uses == 0 {
            self.idle += text.len as usize;
        }
    }

    /// Returns the new number of each old one.
    fn tidy(&mut self) -> Vec<u32> {
        let old = std::mem::take(self);
        let keep = |text: &Text| {
            if text.uses == 0 {
                return 0;
            }
            let number = self.number_of(&old.bytes[text.at as usize..][..text.len as usize]);
            self.texts[number as usize - 1].uses = text.uses;
            number
        };
        let new = old.texts.iter().map(keep).collect();
        self.idle = 0;
        new
    }
}

impl Owners {
    fn number(&mut self, owner: &Arc<Owner>) -> u32 {
        let Self { by_place, list, .. } = self;
        let number = *by_place.entry(Arc::as_ptr(owner).addr()).or_insert_with(|| {
            list.push(Some((Arc::clone(owner), 0)));
            list.len() as u32
        });
        if let Some((_, uses)) = &mut list[number as usize - 1] {
            *uses += 1;
        }
        number
    }

    fn release(&mut self, number: u32) {
        let Some(place) = number.checked_sub(1).and_then(|n| self.list.get_mut(n as usize)) else { return };
        let Some((owner, uses)) = place else { return };
        *uses -= 1;
        if *uses == 0 {
            self.by_place.remove(&Arc::as_ptr(owner).addr());
            *place = None;
            self.idle += 1;
        }
    }

    /// Returns the new number of each old one.
    fn tidy(&mut self) -> Vec<u32> {
        let old = std::mem::take(self);
        let keep = |entry: Option<(Arc<Owner>, u32)>| match entry {
            Some(entry) => {
                let place = Arc::as_ptr(&entry.0).addr();
                self.list.push(Some(entry));
                self.by_place.insert(place, self.list.len() as u32);
                self.list.len() as u32
            }
            None => 0,
        };
        old.list.into_iter().map(keep).collect()
    }
}

/// Writes all that answers about what a flow speaks depend on.
fn write(app: &App, out: &mut Vec<u8>) {
    out.clear();
    out.push(app.service.map_or(0, |service| service as u8 + 1));
    out.extend_from_slice(app.in_one_piece());
    for end in [0, 1] {
        for KnownName { name, .. } in app.names.of(end) {
            out.push(end as u8);
            out.extend_from_slice(name);
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::time::{Nanos, Stamp},
        dpi::fact::Fact,
        snapshot::sample,
    };

    fn snapshot(rows: usize) -> Snapshot {
        let end = |n: usize| (std::net::IpAddr::from([10, 0, 0, n as u8]), 1000);
        let rows: Vec<_> = (0..rows).map(|_| (sample::record([end(1), end(2)], 6), [0.0; 2])).collect();
        sample::of_rows(&rows, Nanos::from_secs(1), Stamp(0))
    }

    fn app(name: &str) -> App {
        let mut app = App::of(Service::Tls);
        app.learn(Fact::Sni, name.as_bytes());
        app
    }

    #[test]
    fn what_says_the_same_has_one_number_and_what_changed_another() {
        let mut snapshot = snapshot(300);
        let owner = Arc::new(Owner { name: "nginx".into(), ..Owner::default() });
        for slot in 0..200 {
            sample::set_app(&mut snapshot, slot, app(["a.b", "c.d"][slot % 2]));
            sample::set_owner(&mut snapshot, slot, Arc::clone(&owner));
        }
        let mut catalog = Catalog::default();
        catalog.update(&snapshot);
        let of = |catalog: &Catalog, slot| catalog.numbers(0, slot, 0);
        assert_eq!(of(&catalog, 0), of(&catalog, 198));
        assert_ne!(of(&catalog, 0).app, of(&catalog, 1).app);
        assert_eq!(of(&catalog, 0).owner, of(&catalog, 1).owner);
        assert_eq!(of(&catalog, 250), Numbers::default());
        assert_eq!(catalog.numbers(0, 0, 1), Numbers::default(), "another flow has the slot");
        assert_eq!(catalog.ends(), [3, 2]);
        let text = catalog.text(of(&catalog, 1).app).unwrap();
        assert!(text.windows(3).any(|part| part == b"c.d"));
        sample::set_app(&mut snapshot, 0, app("e.f"));
        catalog.update(&snapshot);
        assert_eq!(of(&catalog, 0).app, 3);
        assert_eq!((of(&catalog, 2).app, catalog.generation()), (1, 0));
        assert!(catalog.text(0).is_none() && catalog.text(NAMELESS).is_none());
    }

    #[test]
    fn what_nobody_says_any_more_is_forgotten_and_the_others_keep_their_texts() {
        let mut snapshot = snapshot(130);
        let mut catalog = Catalog::default();
        let long = "x".repeat(3000);
        sample::set_app(&mut snapshot, 7, app("stays"));
        let owner = Arc::new(Owner::default());
        sample::set_owner(&mut snapshot, 7, Arc::clone(&owner));
        for round in 0..1000 {
            sample::set_app(&mut snapshot, 100, app(&format!("{long}{round}")));
            sample::set_owner(&mut snapshot, 100, Owner::default());
            catalog.update(&snapshot);
        }
        assert!(catalog.generation() > 0);
        assert!(catalog.apps.bytes.len() < MANY * 16 * 2, "{}", catalog.apps.bytes.len());
        let text = |slot| catalog.text(catalog.numbers(0, slot, 0).app).unwrap();
        assert!(text(7).ends_with(b"stays") && text(100).ends_with(b"x999"));
        assert_eq!(Arc::strong_count(&owner), 3, "the test's, the snapshot's and the catalog's");
    }

    #[test]
    fn without_room_what_is_said_has_no_number_of_its_own() {
        let mut snapshot = snapshot(1200);
        for slot in 0..1200 {
            sample::set_app(&mut snapshot, slot, app(&format!("{slot}{}", "y".repeat(60_000))));
        }
        let mut catalog = Catalog::default();
        catalog.update(&snapshot);
        assert_eq!(catalog.numbers(0, 0, 0).app, 1);
        assert_eq!(catalog.numbers(0, 1199, 0).app, NAMELESS);
        assert!(catalog.apps.bytes.len() <= MOST_BYTES);
        sample::set_app(&mut snapshot, 1199, app("small"));
        catalog.update(&snapshot);
        assert_ne!(catalog.numbers(0, 1199, 0).app, 0);
    }
}
