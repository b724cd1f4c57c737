//! By what rows can be sorted (one table), and the number that a row sorts by.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    base::time::{Nanos, Stamp, Tick},
    dpi::{fact::Fact, service::Service},
    flow::entry::Hot,
    packet::key::{FlowKey, kind, proto},
    process::owner::Owner,
    query::{
        application,
        column::{self, ColumnId, ServiceName},
        filter::eval::Surroundings,
        labels::{self, Labels},
        states::StateTable,
        texts::{Places, Texts},
    },
    snapshot::{app::App, flow_view::FlowView},
};

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the table below says what they are")]
pub enum SortBy {
    #[default]
    Created,
    Protocol,
    Local,
    Remote,
    State,
    Service,
    Application,
    Down,
    Up,
    Process,
    Rtt,
    Age,
    Total,
    Retransmits,
    Left,
}

/// One thing to sort by.
#[derive(Debug)]
pub struct SortRow {
    /// What it is.
    pub by: SortBy,
    /// Its name for `--sort`.
    pub name: &'static str,
    /// Its name in the title.
    pub title: &'static str,
    /// The column that shows it.
    pub column: Option<ColumnId>,
    /// Whether the largest come first at first.
    pub descending: bool,
    /// Whether the key `s` comes by it.
    pub in_turn: bool,
}

const fn row(
    by: SortBy,
    name: &'static str,
    title: &'static str,
    column: ColumnId,
    descending: bool,
    in_turn: bool,
) -> SortRow {
    SortRow { by, name, title, column: Some(column), descending, in_turn }
}

/// Everything to sort by, in the order of the key `s`.
pub const SORTS: &[SortRow] = &[
    SortRow {
        by: SortBy::Created,
        name: "created",
        title: "",
        column: None,
        descending: false,
        in_turn: true,
    },
    row(SortBy::Protocol, "protocol", "Protocol", ColumnId::Protocol, false, true),
    row(SortBy::Local, "local", "Local Addr", ColumnId::Local, false, true),
    row(SortBy::Remote, "remote", "Remote Addr", ColumnId::Remote, false, true),
    row(SortBy::State, "state", "State", ColumnId::State, false, true),
    row(SortBy::Service, "service", "Service", ColumnId::Service, false, true),
    row(SortBy::Application, "application", "Application", ColumnId::Application, false, true),
    row(SortBy::Down, "down", "Down", ColumnId::Bandwidth, true, true),
    row(SortBy::Up, "up", "Up", ColumnId::Bandwidth, true, true),
    row(SortBy::Process, "process", "Process", ColumnId::Process, false, true),
    row(SortBy::Rtt, "rtt", "RTT", ColumnId::Rtt, true, false),
    row(SortBy::Age, "age", "Age", ColumnId::Age, true, false),
    row(SortBy::Total, "total", "Total", ColumnId::Total, true, false),
    row(SortBy::Retransmits, "retransmits", "Retransmits", ColumnId::Retransmits, true, false),
    row(SortBy::Left, "left", "Left", ColumnId::Left, false, false),
];

/// What rows are sorted by, and which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// The largest come first.
    pub descending: bool,
}

impl SortBy {
    /// Returns the row of the table.
    pub fn row(self) -> &'static SortRow {
        SORTS.iter().find(|row| row.by == self).unwrap_or(&SORTS[0])
    }

    /// Returns whether [`Keyer::key`] costs next to nothing and depends on the flow alone: then rows that are not shown
    /// are given one too, and without the filter they are shown at once.
    pub fn has_plain_keys(self) -> bool {
        match self {
            Self::Created
            | Self::Protocol
            | Self::Down
            | Self::Up
            | Self::Rtt
            | Self::Age
            | Self::Total
            | Self::Retransmits => true,
            // Texts have numbers, services names or not; states and times left change with time.
            Self::Local
            | Self::Remote
            | Self::State
            | Self::Service
            | Self::Application
            | Self::Process
            | Self::Left => false,
        }
    }

    /// Returns whether [`Keyer::key_of_hot`] makes keys for it.
    pub fn has_hot_keys(self) -> bool {
        matches!(
            self,
            Self::Created
                | Self::Protocol
                | Self::Local
                | Self::Remote
                | Self::Service
                | Self::Age
                | Self::Total
        )
    }

    /// Returns whether a key depends on more than hot records and when flows began.
    pub fn needs_facts(self) -> bool {
        matches!(self, Self::Rtt | Self::Retransmits)
    }

    /// Returns whether it is a rate.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::Down | Self::Up)
    }
}

impl Sort {
    /// Returns the sort with its usual direction.
    pub fn by(by: SortBy) -> Self {
        Self { by, descending: by.row().descending }
    }

    /// Returns what comes after it with the key `s`.
    pub fn next(self) -> Self {
        let turn = SORTS.iter().filter(|row| row.in_turn);
        let mut behind = turn.clone().skip_while(|row| row.by != self.by).skip(1);
        Self::by(behind.next().or(SORTS.first()).map_or(SortBy::Created, |row| row.by))
    }

    /// Returns it the other way round.
    pub fn flipped(self) -> Self {
        Self { descending: !self.descending, ..self }
    }
}

/// Where a row stands among all: compared part by part. Rows with the same key are told apart by
/// their addresses and ids.
///
/// NB: a tuple is returned in registers; an array, through memory, was waited for (5 ns a row).
pub type Key = (u64, u64);

/// Makes keys; threads share it, each with a [`Namer`] of its own.
#[derive(Default)]
pub struct Keyer {
    labels: Mutex<Labels>,
    /// Ranks of the services of TCP ports and of all others; without them the port counts.
    services: Option<Box<[Vec<u32>; 2]>>,
    by_name: bool,
    /// Numbers of the texts of the State column.
    states: Option<StateTable<u64>>,
    base: Tick,
    wall: Stamp,
    known: Known,
}

/// Numbers of texts of what the catalog has a number for, and 1 more; 0 where that was not asked for yet.
/// Threads write it at once, and all the same.
#[derive(Default)]
struct Known {
    /// By what a flow speaks, and by what else the text depends on.
    apps: Vec<[AtomicU64; 4]>,
    owners: Vec<AtomicU64>,
    /// Generations of texts and of the catalog.
    of: [u64; 2],
}

impl Known {
    fn prepare(&mut self, of: [u64; 2], [apps, owners]: [usize; 2]) {
        if self.of != of {
            *self = Self { of, ..Self::default() };
        }
        self.apps.resize_with(apps.max(self.apps.len()), Default::default);
        self.owners.resize_with(owners.max(self.owners.len()), Default::default);
    }
}

/// Returns what stands in `place`; what does not yet is asked for.
#[inline]
fn once(place: Option<&AtomicU64>, ask: impl FnOnce() -> u64) -> u64 {
    let Some(place) = place else { return ask() };
    // Relaxed: whoever asks gets the same number.
    match place.load(Ordering::Relaxed) {
        0 => {
            let number = ask();
            place.store(number + 1, Ordering::Relaxed);
            number
        }
        known => known - 1,
    }
}

/// What one thread knows of the numbers of texts.
#[derive(Default)]
pub struct Namer {
    texts: Texts,
    /// Numbers of owners, by the place of what is known of them, while one snapshot is looked at.
    owners: HashMap<usize, u64, Places>,
    text: String,
    generation: u64,
}

/// The key of what has no text: it comes last.
const UNKNOWN: u64 = 1 << labels::BITS;

impl Namer {
    /// Forgets what holds no longer: owners may have other places than at the last look.
    pub fn prepare(&mut self, keyer: &Keyer) {
        self.owners.clear();
        let generation = keyer.generation();
        if self.generation != generation {
            self.texts.clear();
            self.generation = generation;
        }
    }
}

impl Keyer {
    /// Returns a number that changes when keys made before are void.
    pub fn generation(&self) -> u64 {
        self.labels().generation()
    }

    fn labels(&self) -> MutexGuard<'_, Labels> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the time that times left are counted from.
    pub fn set_base(&mut self, now: Tick) {
        self.base = now;
    }

    /// Gives texts without a number of their own one; the generation tells whether there were such.
    pub fn settle(&self) {
        self.labels().settle();
    }

    /// Makes room for further texts; the generation tells whether others were forgotten.
    pub fn make_room(&self) {
        self.labels().make_room();
    }

    /// Makes what keys of one look need.
    pub fn prepare(&mut self, sort: Sort, around: &Surroundings) {
        self.wall = around.wall;
        let of = [self.generation(), around.catalog.generation()];
        match sort.by {
            SortBy::Application => self.known.prepare(of, [around.catalog.ends()[0], 0]),
            SortBy::Process => self.known.prepare(of, [0, around.catalog.ends()[1]]),
            _ => {}
        }
        if sort.by == SortBy::State {
            // All at once and anew: numbers of texts may have become void.
            let mut labels = self.labels();
            let states = StateTable::new(|text| labels.label(text.as_bytes()));
            drop(labels);
            self.states = Some(states);
        }
        if sort.by == SortBy::Service {
            self.by_name = around.services.is_some();
            if let Some(names) = around.services {
                self.services.get_or_insert_with(|| service_ranks(names));
            }
        }
    }

    /// Returns the key of a live flow that its hot record and the time of its first packet tell, which is most of what
    /// many keys at once cost; `None` of other sorts, and where addresses are sorted by and are not in the hot record.
    #[inline(always)]
    pub fn key_of_hot(&self, sort: Sort, hot: &Hot, first: Stamp) -> Option<Key> {
        let end = |end: usize| {
            let address = if end == 0 { hot.key.ends >> 32 } else { hot.key.ends & u64::from(u32::MAX) };
            (!hot.key.is_wide()).then(|| address << 16 | u64::from(hot.key.ports[end]))
        };
        let value = match sort.by {
            SortBy::Created => return Some(if sort.descending { (!first.0, 0) } else { (first.0, 0) }),
            SortBy::Protocol => packed(&hot.key),
            SortBy::Local => end(hot.roles.subject())?,
            SortBy::Remote => end(hot.roles.subject() ^ 1)?,
            SortBy::Service => self.service(hot),
            SortBy::Age => !first.0,
            SortBy::Total => hot.bytes[0].saturating_add(hot.bytes[1]),
            _ => return None,
        };
        Some(ordered(sort, value, first))
    }

    /// Returns the key of a flow.
    #[inline]
    pub fn key(&self, sort: Sort, flow: &FlowView, namer: &mut Namer) -> Key {
        let first = flow.facts.first;
        // The age of what has ended stands.
        let grows = sort.by == SortBy::Age && flow.has_ended();
        match if grows { None } else { self.key_of_hot(sort, flow.hot, first) } {
            Some(key) => key,
            None => ordered(sort, self.value(sort.by, flow, namer), first),
        }
    }

    /// Returns what a key is made of where hot records do not tell it.
    fn value(&self, by: SortBy, flow: &FlowView, namer: &mut Namer) -> u64 {
        match by {
            SortBy::Created | SortBy::Protocol | SortBy::Service | SortBy::Total => 0,
            SortBy::Local => self.end(flow, flow.local(), namer),
            SortBy::Remote => self.end(flow, flow.remote(), namer),
            SortBy::State => self.states.as_ref().map_or(0, |states| states.of(flow)),
            SortBy::Application => self.application(flow, namer),
            SortBy::Process => self.process(flow, namer),
            // Floats above 0 sort as their bits do.
            SortBy::Down => u64::from(flow.down_up().0.max(0.0).to_bits()),
            SortBy::Up => u64::from(flow.down_up().1.max(0.0).to_bits()),
            SortBy::Rtt => flow.rtt().map_or(0, |rtt| rtt.0),
            // As if it had begun so much earlier than now: the others grow older meanwhile.
            SortBy::Age => !self.wall.0.saturating_sub(flow.age(self.wall).0),
            SortBy::Retransmits => flow.retransmits(),
            SortBy::Left => {
                let margin = Tick::span(Nanos::from_secs(86_400));
                u64::from(flow.gone_at().0.wrapping_sub(self.base.0).wrapping_add(margin))
            }
        }
    }

    /// IPv6 behind IPv4 and mapped addresses.
    fn end(&self, flow: &FlowView, end: usize, namer: &mut Namer) -> u64 {
        if let Some(value) = v4_end(flow, end) {
            return value;
        }
        let port = u64::from(flow.hot.key.ports[end]);
        // NB: case must not be folded here; hexadecimal digits have none.
        let digits = hexadecimal(&flow.ends[end]);
        let number = namer.texts.number([&digits, b""], || self.labels().label(&digits));
        1 << (labels::BITS + 16) | number << 16 | port
    }

    /// Names in their order, then what has only a number, then what has no ports.
    #[inline]
    fn service(&self, hot: &Hot) -> u64 {
        let Some(called) = hot.key.port(1 - hot.roles.initiator()) else { return u32::MAX.into() };
        match self.services.as_ref().filter(|_| self.by_name) {
            Some(ranks) => ranks[usize::from(hot.key.proto != proto::TCP)][usize::from(called)].into(),
            None => called.into(),
        }
    }

    /// Label and fact; what is unknown comes last.
    fn application(&self, flow: &FlowView, namer: &mut Namer) -> u64 {
        let Some(app) = flow.app else { return UNKNOWN };
        let called = 1 - flow.hot.roles.initiator();
        let variant = application::variant(flow.hot.key.ports, called);
        let known = self.known.apps.get(flow.numbers.app as usize).filter(|_| flow.numbers.app != 0);
        once(known.map(|variants| &variants[variant]), || self.application_of(app, flow, called, namer))
    }

    #[cold]
    fn application_of(&self, app: &App, flow: &FlowView, called: usize, namer: &mut Namer) -> u64 {
        let Namer { texts, text, .. } = namer;
        // The usual case without making the column's text.
        if matches!(app.service, Some(Service::Tls | Service::Quic))
            && let (Some(label), Some(name)) =
                (application::label(app, flow.hot.key.ports), app.first(Fact::Sni))
        {
            return texts.number([label.as_bytes(), name], || {
                text.clear();
                let _ = write!(text, "{label} {}", String::from_utf8_lossy(name));
                self.labels().label(text.as_bytes())
            });
        }
        *text = application::application(app, flow.hot.key.ports, called);
        match text.is_empty() {
            true => UNKNOWN,
            false => texts.number([b"", text.as_bytes()], || self.labels().label(text.as_bytes())),
        }
    }

    /// Name, then number; what is unknown comes last.
    fn process(&self, flow: &FlowView, namer: &mut Namer) -> u64 {
        let Some(owner) = flow.owner else { return UNKNOWN };
        let known = self.known.owners.get(flow.numbers.owner as usize).filter(|_| flow.numbers.owner != 0);
        once(known, || self.process_of(owner, namer))
    }

    #[cold]
    fn process_of(&self, owner: &Owner, namer: &mut Namer) -> u64 {
        let place = std::ptr::from_ref(owner).addr();
        let Namer { owners, text, .. } = namer;
        *owners.entry(place).or_insert_with(|| {
            let name = if owner.is_kernel { "kernel" } else { &owner.name };
            if name.is_empty() {
                return UNKNOWN - 1;
            }
            text.clear();
            let _ = write!(text, "{name} ({:>10})", owner.pid.unwrap_or(0));
            self.labels().label(text.as_bytes())
        })
    }
}

fn ordered(sort: Sort, value: u64, first: Stamp) -> Key {
    (if sort.descending { !value } else { value }, first.0)
}

/// An IPv4 or mapped address, then the port; `None` for IPv6, which comes behind.
fn v4_end(flow: &FlowView, end: usize) -> Option<u64> {
    let port = u64::from(flow.hot.key.ports[end]);
    let v4 = match flow.v4() {
        Some(ends) => ends[end],
        None => match flow.ends[end] {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => return None,
        },
    };
    Some(u64::from(v4) << 16 | port)
}

/// All digits of an address, which sort as it does.
fn hexadecimal(address: &[u8; 16]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|n| DIGITS[usize::from(address[n / 2] >> (4 * (1 - n % 2)) & 15)])
}

/// The place of each port's name among all names, for TCP and for all others; ports without a name
/// come behind.
fn service_ranks(names: ServiceName) -> Box<[Vec<u32>; 2]> {
    Box::new([proto::TCP, proto::UDP].map(|number| {
        let name = |port| names(number, port);
        let mut all: Vec<_> = (0..=u16::MAX).filter_map(name).collect();
        all.sort_unstable();
        all.dedup();
        let rank = |port| match name(port).map(|n| all.binary_search(&n)) {
            Some(Ok(rank)) => rank as u32,
            _ => 0x10_0000 + u32::from(port),
        };
        (0..=u16::MAX).map(rank).collect()
    }))
}

/// The first eight bytes of the Pro column's text, which sort as it does.
fn packed(key: &FlowKey) -> u64 {
    const fn bytes(text: &[u8]) -> u64 {
        let (mut sum, mut n) = (0, 0);
        while n < 8 {
            sum = sum << 8 | if n < text.len() { text[n] as u64 } else { 0 };
            n += 1;
        }
        sum
    }
    const { assert!(bytes(b"TCP") == 0x5443_5000_0000_0000) };
    match (key.kind & kind::ARP, key.proto) {
        (0, proto::TCP) => const { bytes(b"TCP") },
        (0, proto::UDP) => const { bytes(b"UDP") },
        _ => bytes(column::protocol_of(key).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so1_the_key_s_goes_round() {
        let mut sort = Sort::default();
        let mut names = Vec::new();
        for _ in 0..10 {
            sort = sort.next();
            names.push((sort.by.row().title, sort.descending));
        }
        assert_eq!(
            names,
            [
                ("Protocol", false),
                ("Local Addr", false),
                ("Remote Addr", false),
                ("State", false),
                ("Service", false),
                ("Application", false),
                ("Down", true),
                ("Up", true),
                ("Process", false),
                ("", false),
            ]
        );
        assert_eq!(Sort::by(SortBy::Rtt).next(), Sort::default());
    }

    #[test]
    fn every_sort_stands_once_in_the_table() {
        for (n, row) in SORTS.iter().enumerate() {
            assert_eq!(row.by.row().name, row.name);
            assert!(SORTS[..n].iter().all(|other| other.name != row.name && other.by != row.by));
        }
    }
}
