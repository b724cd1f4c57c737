//! A filter as tests that cost little: what can be known beforehand is a table, what flows share is
//! asked once, and of several tests the cheap ones come first.
//!
//! ```text
//!   port:44  state:fin  proto:udp      a table of numbers, states, protocols
//!   src:93.184  443                    a table for each octet (see `address`)
//!   rate>1M                            one comparison
//!   process:fox                        once for each owner, who mostly has many flows
//!   sni:google                         a search through what the flow speaks
//! ```

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    dpi::service::Service,
    flow::entry::Hot,
    packet::key::{FlowKey, kind, proto},
    process::owner::Owner,
    query::{
        application,
        column::{self, ServiceName},
        filter::{
            Comparison, Expr, Field, Term, Test,
            address::AddressWord,
            eval::Surroundings,
            matching::{self, Needle},
            ports::NumberSet,
            texts::{any_owner_text, any_text, composed, in_network, interface, numbers, shown_of, unowned},
        },
        states::StateTable,
        whose::Unowned,
    },
    snapshot::{app::App, flow_view::FlowView, row::Direction},
};

/// A filter, ready to be asked.
#[derive(Debug)]
pub enum Node {
    /// All hold.
    All(Vec<Node>),
    /// Some hold.
    Any(Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// Either port, or that of one end, is in the set.
    Ports(Ends, NumberSet),
    /// The text of the State column.
    State(StateTable<bool>),
    /// The text of the Pro column.
    Protocol(ProtocolTable),
    /// The direction.
    Direction([bool; 3]),
    /// The service of the port that was called: of TCP, and of others.
    Service(Box<[NumberSet; 2]>),
    /// A number compares so.
    Number(Field, Comparison, f64),
    /// A number lies between these.
    Range(Field, u64, u64),
    /// An address lies in a network.
    Network(Field, IpAddr, u8),
    /// An address, or a name of it, contains a word.
    Address(Field, AddressWord, Needle, usize),
    /// A text of the owner.
    Owner(Field, Probe, usize),
    /// Any text of what it speaks.
    App(Field, Probe, usize),
    /// Any other text of a field.
    Text(Field, Probe),
    /// Any text of the flow contains a word.
    Word(Box<Word>),
}

/// Which ends of a flow are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Either.
    Both,
    /// That of the Local column.
    Local,
    /// That of the Remote column.
    Remote,
}

/// A test of texts.
#[derive(Debug)]
pub enum Probe {
    /// It contains this.
    Contains(Needle),
    /// It is this (lower case).
    Is(Box<str>),
    /// A part of it matches.
    Regex(Box<regex::bytes::Regex>),
    /// It has these letters in this order.
    Fuzzy(Box<str>),
    /// None does.
    Never,
}

/// What a word in all fields needs.
#[derive(Debug)]
pub struct Word {
    pub(super) needle: Needle,
    /// `None`, as below, where it is in no text of that kind.
    pub(super) protocols: Option<ProtocolTable>,
    pub(super) states: Option<StateTable<bool>>,
    pub(super) ports: Option<NumberSet>,
    pub(super) services: Option<[NumberSet; 2]>,
    pub(super) address: Option<AddressWord>,
    labels: Box<[bool]>,
    /// Whether it may be in the Application column beside facts and services: by itself, or over several parts.
    may_be_shown: bool,
    may_be_composed: bool,
    /// Whether it is in what stands for a process that is not known.
    pub(super) unowned: [bool; Unowned::ALL.len()],
    memo: usize,
}

/// An answer for each protocol, by number, and for ARP.
#[derive(Debug)]
pub struct ProtocolTable(Box<[bool; 257]>);

/// Answers so far and room for text; good for one look at one snapshot.
#[derive(Default)]
pub struct Scratch {
    /// Text in the making.
    pub text: String,
    memos: Vec<Memo>,
    /// The question that answers are for, and the generation of the catalog.
    of: (u64, u64),
}

/// Answers by what flows have in common.
#[derive(Default)]
struct Memo {
    /// By number in the catalog; 1 is no, 2 is yes.
    apps: Vec<u8>,
    /// The same by what else the text of the Application column depends on.
    shown: [Vec<u8>; 4],
    known_owners: Vec<u8>,
    /// Of owners without a number, by the place of what is known of them.
    owners: Vec<(usize, bool)>,
    interfaces: Vec<Option<bool>>,
}

/// Owners that a memo has room for.
const MEMO: usize = 1024;

impl Scratch {
    /// Forgets all answers: what is known of owners may have another place by now.
    pub fn forget(&mut self) {
        self.memos.clear();
    }

    /// Forgets what does not hold in another look at the catalog's flows, for a question of this number and a
    /// catalog of this generation.
    pub fn prepare(&mut self, of: (u64, u64)) {
        if self.of != of {
            self.of = of;
            return self.forget();
        }
        for memo in &mut self.memos {
            memo.owners.clear();
            memo.interfaces.clear();
        }
    }

    #[inline(always)]
    fn memo(&mut self, number: usize) -> (&mut Memo, &mut String) {
        if number >= self.memos.len() {
            self.memos.resize_with(number + 1, Memo::default);
        }
        (&mut self.memos[number], &mut self.text)
    }
}

/// Returns the answer for a number, which is asked for once.
#[inline]
fn once(answers: &mut Vec<u8>, number: u32, end: usize, ask: impl FnOnce() -> bool) -> bool {
    let number = number as usize;
    if number == 0 || number >= end {
        return ask();
    }
    if number >= answers.len() {
        answers.resize(end, 0);
    }
    if answers[number] == 0 {
        answers[number] = 1 + u8::from(ask());
    }
    answers[number] == 2
}

impl Memo {
    #[inline(always)]
    fn owner(&mut self, flow: &FlowView, around: &Surroundings, ask: impl FnOnce(&Owner) -> bool) -> bool {
        let Some(owner) = flow.owner else { return false };
        if flow.numbers.owner != 0 {
            let end = around.catalog.ends()[1];
            return once(&mut self.known_owners, flow.numbers.owner, end, || ask(owner));
        }
        let place = std::ptr::from_ref(owner).addr();
        self.owners.resize(MEMO, (0, false));
        let slot = &mut self.owners[(place >> 4 ^ place >> 14) % MEMO];
        if slot.0 != place {
            *slot = (place, ask(owner));
        }
        slot.1
    }

    fn app(&mut self, flow: &FlowView, around: &Surroundings, ask: impl FnOnce(&App) -> bool) -> bool {
        let Some(app) = flow.app else { return false };
        once(&mut self.apps, flow.numbers.app, around.catalog.ends()[0], || ask(app))
    }

    /// The same for what the Application column shows, which depends on the ports and on who was called.
    fn shown(&mut self, flow: &FlowView, around: &Surroundings, ask: impl FnOnce(&App) -> bool) -> bool {
        let Some(app) = flow.app else { return false };
        let variant = application::variant(flow.hot.key.ports, 1 - flow.hot.roles.initiator());
        once(&mut self.shown[variant], flow.numbers.app, around.catalog.ends()[0], || ask(app))
    }

    #[inline(always)]
    fn interface(&mut self, number: u16, ask: impl FnOnce() -> bool) -> bool {
        let number = usize::from(number);
        if number >= self.interfaces.len() {
            self.interfaces.resize(number + 1, None);
        }
        *self.interfaces[number].get_or_insert_with(ask)
    }
}

impl Node {
    /// Makes the tests of a filter.
    pub fn of(expr: Expr, services: Option<ServiceName>) -> Self {
        let mut memos = 0;
        Self::compile(expr, services, &mut memos)
    }

    fn compile(expr: Expr, services: Option<ServiceName>, memos: &mut usize) -> Self {
        let mut sorted = |parts: Vec<Expr>| {
            let mut nodes: Vec<Self> =
                parts.into_iter().map(|part| Self::compile(part, services, memos)).collect();
            nodes.sort_by_key(Self::cost);
            nodes
        };
        match expr {
            Expr::And(parts) => Self::All(sorted(parts)),
            Expr::Or(parts) => Self::Any(sorted(parts)),
            Expr::Not(inner) => Self::Not(Box::new(Self::compile(*inner, services, memos))),
            Expr::Term(term) => Self::term(term, services, memos),
        }
    }

    /// What it costs, roughly, in ns.
    fn cost(&self) -> u32 {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(Self::cost).sum(),
            Self::Not(node) => node.cost(),
            Self::Ports(..) | Self::State(_) | Self::Protocol(_) | Self::Direction(_) => 1,
            Self::Number(..) | Self::Range(..) | Self::Network(..) | Self::Service(_) => 2,
            Self::Owner(..) => 10,
            Self::Address(..) => 20,
            Self::App(..) | Self::Word(_) => 30,
            Self::Text(..) => 100,
        }
    }

    fn term(Term { field, test }: Term, services: Option<ServiceName>, memos: &mut usize) -> Self {
        let mut new_memo = || {
            *memos += 1;
            *memos - 1
        };
        let ends = match field {
            Field::Port => Some(Ends::Both),
            Field::LocalPort => Some(Ends::Local),
            Field::RemotePort => Some(Ends::Remote),
            _ => None,
        };
        match (field, test) {
            (_, Test::Network(network, prefix)) => Self::Network(field, network, prefix),
            (_, Test::Range(low, high)) => match ends {
                Some(ends) => Self::Ports(ends, NumberSet::of(|n| (low..=high).contains(&n.into()))),
                None => Self::Range(field, low, high),
            },
            (_, Test::Compare(how, number)) => match ends {
                Some(ends) => Self::Ports(ends, NumberSet::of(|n| how.holds(n.into(), number))),
                None => Self::Number(field, how, number),
            },
            (Field::Pid | Field::Vlan | Field::Retransmits, Test::Is(word)) => match word.parse() {
                Ok(number) => Self::Number(field, Comparison::Equal, number),
                Err(_) => Self::Text(field, Probe::Never),
            },
            (Field::Port | Field::LocalPort | Field::RemotePort, Test::Is(word)) => {
                let wanted: Option<u16> = word.parse().ok();
                Self::Ports(ends.unwrap_or(Ends::Both), NumberSet::of(|n| Some(n) == wanted))
            }
            (Field::Any, Test::Contains(word)) => {
                Self::Word(Box::new(Word::new(&word, services, new_memo())))
            }
            (Field::Local | Field::Remote | Field::Host, Test::Contains(word)) => {
                Self::Address(field, AddressWord::new(&word, false), Needle::new(&word), new_memo())
            }
            (field, test) => {
                let probe = Probe::of(test);
                match (field, ends) {
                    (_, Some(ends)) => Self::Ports(ends, NumberSet::of_text(|digits| probe.holds(digits))),
                    (Field::State, _) => Self::State(StateTable::new(|text| probe.holds(text.as_bytes()))),
                    (Field::Protocol, _) => Self::Protocol(ProtocolTable::new(|text| probe.holds(text))),
                    (Field::Direction, _) => {
                        Self::Direction([&b"in"[..], b"out", b"fwd"].map(|text| probe.holds(text)))
                    }
                    (Field::Service, _) => match service_sets(services, |text| probe.holds(text)) {
                        Some(sets) => Self::Service(Box::new(sets)),
                        None => Self::Text(field, Probe::Never),
                    },
                    (Field::Process | Field::User | Field::Container | Field::Pid, _) => {
                        Self::Owner(field, probe, new_memo())
                    }
                    _ if field.is_of_payload() => Self::App(field, probe, new_memo()),
                    _ => Self::Text(field, probe),
                }
            }
        }
    }

    /// Returns whether it holds for a flow.
    pub fn holds(&self, flow: &FlowView, around: &Surroundings, scratch: &mut Scratch) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(flow, around, scratch)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(flow, around, scratch)),
            Self::Not(node) => !node.holds(flow, around, scratch),
            Self::Ports(ends, set) => {
                let has = |end: usize| flow.port(end).is_some_and(|port| set.has(port));
                match ends {
                    Ends::Both => has(0) || has(1),
                    Ends::Local => has(flow.local()),
                    Ends::Remote => has(flow.remote()),
                }
            }
            Self::State(table) => table.any(flow),
            Self::Protocol(table) => table.of(flow.hot),
            Self::Direction(answers) => match flow.direction() {
                Direction::In => answers[0],
                Direction::Out => answers[1],
                Direction::Forwarded => answers[2],
            },
            Self::Service(sets) => has_service(sets, flow),
            Self::Number(field, how, number) => numbers(*field, flow, around, &mut |n| how.holds(n, *number)),
            Self::Range(field, low, high) => {
                numbers(*field, flow, around, &mut |n| n >= *low as f64 && n <= *high as f64)
            }
            Self::Network(field, network, prefix) => in_network(*field, flow, *network, *prefix),
            Self::Address(field, word, needle, memo) => {
                let mut is_in = |end: usize| word.is_in(flow, end, &mut scratch.text);
                let found = match field {
                    Field::Local => is_in(flow.local()),
                    Field::Remote => is_in(flow.remote()),
                    _ => is_in(0) || is_in(1),
                };
                if found || *field == Field::Local {
                    return found;
                }
                // Names; the address was no text that contains the word.
                let (memo, text) = scratch.memo(*memo);
                memo.app(flow, around, |app| may_contain(app, needle, flow, around))
                    && any_text(*field, flow, around, text, &mut |t| needle.is_in(t))
            }
            Self::Owner(field, probe, _) if flow.owner.is_none() => {
                *field == Field::Process && probe.holds(unowned(flow, around).text().as_bytes())
            }
            Self::Owner(field, probe, memo) => {
                let (memo, text) = scratch.memo(*memo);
                memo.owner(flow, around, |_| any_text(*field, flow, around, text, &mut |t| probe.holds(t)))
            }
            Self::App(Field::App, Probe::Never, _) => false,
            Self::App(Field::App, probe, memo) => {
                let (memo, text) = scratch.memo(*memo);
                memo.shown(flow, around, |app| {
                    any_text(Field::App, flow, around, text, &mut |t| probe.holds(t))
                        || probe.may_be_composed() && probe.holds(composed(app, flow).as_bytes())
                })
            }
            Self::App(field, probe, memo) => {
                let (memo, text) = scratch.memo(*memo);
                memo.app(flow, around, |app| {
                    let is_hopeless = match probe {
                        Probe::Never => true,
                        // Names of errors are no values.
                        Probe::Contains(needle) => {
                            let mut errors = application::dns_errors(app).filter(|_| *field == Field::Dns);
                            !(may_contain(app, needle, flow, around)
                                || errors.any(|error| needle.is_in(error.as_bytes())))
                        }
                        _ => false,
                    };
                    !is_hopeless && any_text(*field, flow, around, text, &mut |t| probe.holds(t))
                })
            }
            Self::Text(_, Probe::Never) => false,
            Self::Text(field, probe) => {
                any_text(*field, flow, around, &mut scratch.text, &mut |t| probe.holds(t))
            }
            Self::Word(word) => word.holds(flow, around, scratch),
        }
    }
}

/// Returns whether a search through single values and names is worth while.
fn may_contain(app: &App, needle: &Needle, flow: &FlowView, around: &Surroundings) -> bool {
    match around.catalog.text(flow.numbers.app) {
        Some(text) => needle.is_in(text),
        None => !app.names.is_empty() || needle.is_in(app.in_one_piece()),
    }
}

impl Probe {
    fn of(test: Test) -> Self {
        match test {
            Test::Contains(text) => Self::Contains(Needle::new(&text)),
            Test::Is(text) => Self::Is(text),
            Test::Regex(regex) => Self::Regex(regex),
            Test::Fuzzy(letters) => Self::Fuzzy(letters),
            Test::Network(..) | Test::Range(..) | Test::Compare(..) => Self::Never,
        }
    }

    /// Returns whether it may hold for the Application column as a whole, but for none of its parts.
    fn may_be_composed(&self) -> bool {
        match self {
            Self::Contains(needle) => application::may_be_composed(needle.text()),
            _ => true,
        }
    }

    /// Returns whether it holds for a text.
    pub fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::Contains(needle) => needle.is_in(text),
            Self::Is(other) => matching::is(text, other),
            Self::Regex(regex) => regex.is_match(text),
            Self::Fuzzy(letters) => matching::fuzzy(text, letters).is_some(),
            Self::Never => false,
        }
    }
}

impl Word {
    fn new(word: &str, services: Option<ServiceName>, memo: usize) -> Self {
        let needle = Needle::new(word);
        let is_digits = word.bytes().all(|c| c.is_ascii_digit());
        let address = Some(AddressWord::new(word, true)).filter(AddressWord::is_possible);
        let label = |s: &Service| needle.is_in(s.text().as_bytes()) || needle.is_in(s.key().as_bytes());
        Self {
            protocols: Some(ProtocolTable::new(|text| needle.is_in(text))).filter(ProtocolTable::has_any),
            states: Some(StateTable::new(|text| needle.is_in(text.as_bytes()))).filter(StateTable::has_any),
            ports: is_digits.then(|| NumberSet::of_text(|digits| needle.is_in(digits))),
            services: service_sets(services, |text| needle.is_in(text)),
            address,
            labels: Service::ALL.iter().map(label).collect(),
            may_be_shown: application::may_hold(|text| needle.is_in(text)),
            may_be_composed: application::may_be_composed(word),
            unowned: Unowned::ALL.map(|unowned| needle.is_in(unowned.text().as_bytes())),
            needle,
            memo,
        }
    }

    fn holds(&self, flow: &FlowView, around: &Surroundings, scratch: &mut Scratch) -> bool {
        if self.protocols.as_ref().is_some_and(|protocols| protocols.of(flow.hot))
            || self.states.as_ref().is_some_and(|states| states.any(flow))
        {
            return true;
        }
        if let Some(ports) = &self.ports
            && [0, 1].iter().any(|end| flow.port(*end).is_some_and(|port| ports.has(port)))
        {
            return true;
        }
        if self.services.as_ref().is_some_and(|sets| has_service(sets, flow)) {
            return true;
        }
        if self.address.as_ref().is_some_and(|address| address.is_in_any(flow, &mut scratch.text)) {
            return true;
        }
        if flow.owner.is_none() && self.unowned[unowned(flow, around) as usize] {
            return true;
        }
        let (memo, text) = scratch.memo(self.memo);
        memo.app(flow, around, |app| self.is_in_app(app, flow, around))
            || (self.may_be_shown || self.may_be_composed)
                && memo.shown(flow, around, |app| self.is_in_column(app, flow))
            || memo.owner(flow, around, |owner| any_owner_text(owner, text, &mut |t| self.needle.is_in(t)))
            || memo.interface(flow.hot.iface.0, || {
                interface(flow, around).is_some_and(|name| self.needle.is_in(name.as_bytes()))
            })
    }

    fn is_in_column(&self, app: &App, flow: &FlowView) -> bool {
        self.may_be_shown && shown_of(app, flow, &mut |text| self.needle.is_in(text))
            || self.may_be_composed && self.needle.is_in(composed(app, flow).as_bytes())
    }

    fn is_in_app(&self, app: &App, flow: &FlowView, around: &Surroundings) -> bool {
        // Mostly what lies in the catalog answers.
        let service = match around.catalog.service(flow.numbers.app) {
            Some(known) => known,
            None => app.service,
        };
        service.is_some_and(|service| self.labels[service as usize])
            || may_contain(app, &self.needle, flow, around)
                && (app.facts().any(|(_, value)| self.needle.is_in(value))
                    || app.names.all().any(|known| self.needle.is_in(&known.name)))
    }
}

impl ProtocolTable {
    fn new(mut holds: impl FnMut(&[u8]) -> bool) -> Self {
        Self(Box::new(std::array::from_fn(|n| {
            let is_arp = n == 256;
            let kind = if is_arp { kind::ARP } else { 0 };
            let key = FlowKey { proto: if is_arp { 0 } else { n as u8 }, kind, ..FlowKey::default() };
            column::holds_of_protocol(&key, &mut holds)
        })))
    }

    fn has_any(&self) -> bool {
        self.0.contains(&true)
    }

    /// Returns the answer for a flow.
    #[inline]
    pub(super) fn of(&self, hot: &Hot) -> bool {
        let is_arp = hot.key.kind & kind::ARP != 0;
        self.0[if is_arp { 256 } else { usize::from(hot.key.proto) }]
    }
}

/// Returns the ports whose service's name is what is asked for, if there is one: of TCP, and of all
/// other protocols.
///
/// NB: numbers of services are no names.
fn service_sets(
    services: Option<ServiceName>,
    mut holds: impl FnMut(&[u8]) -> bool,
) -> Option<[NumberSet; 2]> {
    let known = known_services(services?);
    let sets = known.each_ref().map(|ports| {
        let found = ports.iter().filter(|(_, name)| holds(name.as_bytes()));
        NumberSet::of_all(found.map(|(port, _)| *port))
    });
    sets.iter().any(|set| !set.is_empty()).then_some(sets)
}

/// Ports with their names: of TCP, and of all other protocols.
type KnownServices = [Vec<(u16, &'static str)>; 2];

/// Returns all ports that have names. They are looked up once: a filter is made at every key that is typed.
fn known_services(name: ServiceName) -> Arc<KnownServices> {
    static KNOWN: Mutex<Option<(ServiceName, Arc<KnownServices>)>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*known {
        Some((of, ports)) if std::ptr::fn_addr_eq(*of, name) => Arc::clone(ports),
        _ => {
            let named = |number| {
                let all = (0..=u16::MAX).filter_map(|port| Some((port, name(number, port)?)));
                all.collect::<Vec<_>>()
            };
            let ports = Arc::new([named(proto::TCP), named(proto::UDP)]);
            *known = Some((name, Arc::clone(&ports)));
            ports
        }
    }
}

#[inline]
fn has_service(sets: &[NumberSet; 2], flow: &FlowView) -> bool {
    let called = flow.port(1 - flow.hot.roles.initiator());
    called.is_some_and(|port| sets[usize::from(flow.hot.key.proto != proto::TCP)].has(port))
}
