//! Names of addresses by the system's resolver, where the user asked for that.
//!
//! The only part of the program that makes traffic of its own. Nobody waits for it: a few threads ask, one address
//! at a time each, and put what they are told where it is found later:
//!
//! ```text
//!  collector ── name(address)? ──▶ known ◀── name, or that there is none ── resolver/0..3
//!       └────── not known yet ───▶ queue, of fixed length ─────────────────────▲
//! ```
//!
//! What finds the queue full is not asked for; whoever still wants it comes again. Threads are never joined: an answer
//! may take a resolver many seconds, and the program's end does not.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::base::{ids::CoreId, keyed::Keyed};

/// Threads that ask.
const THREADS: usize = 4;
/// Addresses that wait for them at most.
const MOST_WAITING: usize = 256;
/// Addresses of which something is known at most: the one that was asked for first goes first.
const MOST_ADDRESSES: usize = 16_384;
/// That an address has no name is believed for so long.
const NAMELESS_FOR: Duration = Duration::from_secs(5 * 60);
/// The longest name (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 255;

/// Asks the system for the name of an address; takes as long as it takes.
pub type Ask = dyn Fn(IpAddr) -> Option<Vec<u8>> + Send + Sync;

/// Asks for names of addresses, and keeps the answers. Shared by the collectors of a run.
pub struct ReverseDns {
    known: Arc<Mutex<Known>>,
    /// Dropped with the last collector: then the threads end.
    queue: SyncSender<IpAddr>,
}

impl std::fmt::Debug for ReverseDns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReverseDns").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// What is known of an address's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It has this one. Bytes from outside: escape them where they are shown.
    Name(Arc<[u8]>),
    /// It has none.
    Nameless,
    /// That is not known yet.
    Later,
}

/// How many were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResolverCounts {
    /// Questions to the resolver.
    pub asked: u64,
    /// Answers with a name.
    pub named: u64,
    /// Answers without.
    pub nameless: u64,
}

impl ResolverCounts {
    /// Returns how many questions are not answered yet.
    pub fn waiting(&self) -> u64 {
        self.asked - self.named - self.nameless
    }
}

impl ReverseDns {
    /// Starts the threads that ask by `ask`; each calls `enter` first, with its name and no core.
    pub fn start(
        ask: impl Fn(IpAddr) -> Option<Vec<u8>> + Send + Sync + 'static,
        enter: fn(&str, Option<CoreId>),
    ) -> Self {
        let (queue, questions) = mpsc::sync_channel(MOST_WAITING);
        let (known, ask) = (Arc::<Mutex<Known>>::default(), Arc::<Ask>::from(Box::new(ask) as Box<Ask>));
        let questions = Arc::new(Mutex::new(questions));
        for n in 0..THREADS {
            let (known, ask, questions) = (Arc::clone(&known), Arc::clone(&ask), Arc::clone(&questions));
            let name = format!("resolver/{n}");
            // With fewer of them answers come later; without any there are none.
            let _ = thread::Builder::new().name(name.clone()).spawn(move || {
                enter(&name, None);
                answer_all(&known, &*ask, &questions);
            });
        }
        Self { known, queue }
    }

    /// Returns what is known of an address's name at a moment, and has it asked for if that is nothing. Never waits
    /// for an answer.
    pub fn name(&self, address: IpAddr, now: Instant) -> Reply {
        if !has_name(address) {
            return Reply::Nameless;
        }
        let mut known = lock(&self.known);
        match known.by_address.get(&key(address)) {
            Some(State::Named(name)) => return Reply::Name(Arc::clone(name)),
            Some(State::Asked) => return Reply::Later,
            Some(State::Nameless(until)) if now < *until => return Reply::Nameless,
            _ => {}
        }
        match self.queue.try_send(address) {
            Ok(()) => known.ask(key(address)),
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return Reply::Nameless,
        }
        Reply::Later
    }

    /// Returns how many were asked for.
    pub fn counts(&self) -> ResolverCounts {
        lock(&self.known).counts
    }
}

/// All that was asked for.
#[derive(Default)]
struct Known {
    by_address: HashMap<u128, State, Keyed>,
    /// Its keys, in the order in which they came.
    order: VecDeque<u128>,
    counts: ResolverCounts,
}

enum State {
    Asked,
    Named(Arc<[u8]>),
    /// With when to ask again.
    Nameless(Instant),
}

impl Known {
    /// Notes that an address is asked for.
    fn ask(&mut self, address: u128) {
        self.counts.asked += 1;
        if self.by_address.insert(address, State::Asked).is_some() {
            return;
        }
        self.order.push_back(address);
        if self.order.len() > MOST_ADDRESSES
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_address.remove(&oldest);
        }
    }

    /// Notes an answer, unless the address has made room for others.
    fn answer(&mut self, address: u128, name: Option<Arc<[u8]>>, now: Instant) {
        match name {
            Some(_) => self.counts.named += 1,
            None => self.counts.nameless += 1,
        }
        if let Some(state) = self.by_address.get_mut(&address) {
            *state = name.map_or(State::Nameless(now + NAMELESS_FOR), State::Named);
        }
    }
}

/// Answers one question after the other, until nobody can ask any more.
fn answer_all(known: &Mutex<Known>, ask: &Ask, questions: &Mutex<Receiver<IpAddr>>) {
    loop {
        // The one that waits for the next question holds the others back, which have none to wait for either.
        let next = lock(questions).recv();
        let Ok(address) = next else { return };
        let name = ask(address).and_then(|name| tidy(&name));
        lock(known).answer(key(address), name, Instant::now());
    }
}

/// Returns a name as names of answers are written; `None` if it is not one: whoever owns an address can call it by
/// another address.
fn tidy(name: &[u8]) -> Option<Arc<[u8]>> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let is_address = std::str::from_utf8(name).is_ok_and(|text| text.parse::<IpAddr>().is_ok());
    let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && !is_address;
    is_name.then(|| name.to_ascii_lowercase().into())
}

/// Returns whether an address is one host's, which others know too.
fn has_name(address: IpAddr) -> bool {
    let is_of_link = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(is_of_link || address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

/// An address as one number, IPv4 as IPv6 has it.
fn key(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    fn start(ask: impl Fn(IpAddr) -> Option<Vec<u8>> + Send + Sync + 'static) -> ReverseDns {
        ReverseDns::start(ask, |_, _| {})
    }

    /// Asks until the answer is there.
    fn answer(names: &ReverseDns, address: IpAddr, now: Instant) -> Reply {
        loop {
            match names.name(address, now) {
                Reply::Later => thread::yield_now(),
                reply => return reply,
            }
        }
    }

    #[test]
    fn each_address_is_asked_for_once_and_one_without_a_name_again_after_some_minutes() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let names = start(move |address| {
            count.fetch_add(1, Ordering::Relaxed);
            (address == self::address(1)).then(|| b"Host-1.Example.".to_vec())
        });
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(answer(&names, address(1), now), Reply::Name(b"host-1.example"[..].into()));
            assert_eq!(answer(&names, address(2), now), Reply::Nameless);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        let later = Instant::now() + NAMELESS_FOR + Duration::from_secs(1);
        assert_eq!(names.name(address(2), later), Reply::Later);
        assert_eq!(answer(&names, address(1), later), Reply::Name(b"host-1.example"[..].into()));
        while names.counts().waiting() > 0 {
            thread::yield_now();
        }
        assert_eq!(names.counts(), ResolverCounts { asked: 3, named: 1, nameless: 2 });
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn nobody_waits_for_a_resolver_that_hangs_and_what_finds_no_room_is_asked_later() {
        let gate = Arc::new(Mutex::new(()));
        let closed = lock(&gate);
        let behind = Arc::clone(&gate);
        let names = start(move |_| {
            drop(lock(&behind));
            Some(b"a.b".to_vec())
        });
        let now = Instant::now();
        let many = 10 * MOST_WAITING as u32;
        for _ in 0..3 {
            assert!((0..many).all(|n| names.name(address(n), now) == Reply::Later));
        }
        assert!(names.counts().asked <= (MOST_WAITING + THREADS) as u64, "the queue is bounded");
        assert_eq!(names.counts().waiting(), names.counts().asked);
        drop(closed);
        assert!((0..many).all(|n| answer(&names, address(n), now) == Reply::Name(b"a.b"[..].into())));
        assert_eq!(names.counts().asked, u64::from(many));
    }

    #[test]
    fn an_end_does_not_wait_for_an_answer() {
        let gate = Arc::new(Mutex::new(()));
        let _closed = lock(&gate);
        let behind = Arc::clone(&gate);
        let names = start(move |_| {
            drop(lock(&behind));
            None
        });
        names.name(address(1), Instant::now());
        drop(names);
    }

    #[test]
    fn the_address_that_was_asked_for_first_makes_room() {
        let mut known = Known::default();
        let now = Instant::now();
        for n in 0..MOST_ADDRESSES as u128 + 5 {
            known.ask(n);
            known.answer(n, (n % 2 == 0).then(|| b"x"[..].into()), now);
        }
        assert_eq!((known.by_address.len(), known.order.len()), (MOST_ADDRESSES, MOST_ADDRESSES));
        assert!(!known.by_address.contains_key(&4) && known.by_address.contains_key(&5));
        // To ask again takes no second place; an answer for one that is forgotten takes none either.
        known.ask(5);
        known.answer(4, None, now);
        assert_eq!((known.by_address.len(), known.order.len()), (MOST_ADDRESSES, MOST_ADDRESSES));
    }

    #[test]
    fn only_addresses_that_others_know_are_asked_for() {
        let names = start(|_| Some(b"a.b".to_vec()));
        for text in
            ["0.0.0.0", "::", "127.0.0.53", "::1", "224.0.0.251", "ff02::fb", "255.255.255.255", "fe80::1"]
        {
            assert_eq!(names.name(text.parse().unwrap(), Instant::now()), Reply::Nameless, "{text}");
        }
        assert_eq!(names.counts(), ResolverCounts::default());
    }

    #[test]
    fn what_is_no_name_is_none() {
        let long = vec![b'x'; LONGEST_NAME + 1];
        for (told, name) in [
            (&b"A.Example."[..], Some(&b"a.example"[..])),
            (b"evil\x1b[2J", Some(b"evil\x1b[2j")),
            (b"", None),
            (b".", None),
            (b"192.0.2.1", None),
            (b"2001:db8::1", None),
            (&long, None),
        ] {
            assert_eq!(tidy(told).as_deref(), name);
        }
    }
}
