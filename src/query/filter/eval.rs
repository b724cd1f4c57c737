//! Whether a flow is in a filter, and how long the answer holds.
//!
//! Looks at flows where they lie. What can be known beforehand is reckoned once for each filter:
//! which ports and services a word is contained in, whether it can be part of an address at all.

use std::{fmt::Write as _, net::IpAddr};

use crate::{
    base::time::{Nanos, Stamp, Tick},
    dpi::{fact::Fact, service::Service},
    flow::state::FlowState,
    packet::key::{kind, proto},
    query::{
        column::{self, ServiceName},
        filter::{Expr, Field, Term, Test, matching},
    },
    snapshot::{flow_view::FlowView, row::Direction},
};

/// What answers depend on besides the flow.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Names of services.
    pub services: Option<ServiceName>,
    /// Names of interfaces, by their ids.
    pub interfaces: Vec<String>,
    /// Wall time of the epoch.
    pub wall: Stamp,
    /// Its engine time.
    pub now: Tick,
}

/// What of a flow, beside its records, an answer depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its rates.
    pub rates: bool,
    /// What it speaks, or who owns it.
    pub tenants: bool,
    /// How long it has been silent.
    pub silence: bool,
}

/// A filter that is ready to be asked.
pub struct Filter {
    expr: Expr,
    hints: Vec<Hint>,
    needs: Needs,
    /// Ages in seconds at which an answer may change.
    ages: Vec<f64>,
}

/// What is known of a term that looks for a word in all fields.
struct Hint {
    word: Box<str>,
    /// Ports whose number contains it; `None` if none does.
    ports: Option<PortSet>,
    /// Ports of TCP and of all others whose service contains it.
    services: [Option<PortSet>; 2],
    /// It has only characters that addresses have: IPv4, and any.
    in_v4: bool,
    in_v6: bool,
}

struct PortSet(Box<[u64]>);

impl PortSet {
    fn of(belongs: impl Fn(u16) -> bool) -> Option<Self> {
        let mut bits = vec![0_u64; 1024].into_boxed_slice();
        let mut some = false;
        for port in (0..=u16::MAX).filter(|port| belongs(*port)) {
            bits[usize::from(port) / 64] |= 1 << (port % 64);
            some = true;
        }
        some.then_some(Self(bits))
    }

    fn has(&self, port: u16) -> bool {
        self.0[usize::from(port) / 64] >> (port % 64) & 1 == 1
    }
}

/// Text in the making; kept between questions.
#[derive(Default)]
pub struct Scratch(String);

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.expr.fmt(f)
    }
}

impl Filter {
    /// Makes a filter ready.
    pub fn new(expr: Expr, services: Option<ServiceName>) -> Self {
        let (mut hints, mut ages, mut needs) = (Vec::new(), Vec::new(), Needs::default());
        expr.terms(&mut |term| {
            use Field::*;
            match term.field {
                Rate | Down | Up => needs.rates = true,
                State => (needs.silence, needs.tenants) = (true, true),
                Any if !matches!(term.test, Test::Network(..)) => {
                    (needs.silence, needs.tenants) = (true, true);
                }
                Local | Remote | Host | Any if matches!(term.test, Test::Network(..)) => {}
                Remote | Process | Sni | Ssh | Host | App | User | Pid | Container | Mac | Country | Asn
                | Alpn | Dns | Http => needs.tenants = true,
                Age => {
                    if let Test::Compare(_, seconds) = term.test {
                        ages.push(seconds);
                    }
                }
                _ => {}
            }
            if let (Any, Test::Contains(word)) = (term.field, &term.test) {
                hints.push(Hint::new(word, services));
            }
        });
        Self { expr, hints, needs, ages }
    }

    /// Returns what answers depend on beside the records.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Returns the letters that are looked for in order, if there are such.
    pub fn fuzzy(&self) -> Option<&str> {
        self.expr.fuzzy()
    }

    /// Returns whether a flow is in the filter.
    pub fn holds(&self, flow: &FlowView, around: &Surroundings, scratch: &mut Scratch) -> bool {
        self.ask(&self.expr, flow, around, scratch)
    }

    /// Returns the tick at which the answer for this flow may change without a packet, if that is
    /// before `until`.
    pub fn valid_until(&self, flow: &FlowView, around: &Surroundings, until: Tick) -> Tick {
        let mut until = until;
        if self.needs.silence {
            until = next_state(flow, around.now, until);
        }
        let age = around.wall.since(flow.facts.first).as_secs_f64();
        for seconds in self.ages.iter().filter(|seconds| **seconds >= age) {
            let left = Tick::span(Nanos(((seconds - age) * 1e9) as u64));
            until = earlier(until, Tick(around.now.0.wrapping_add(left)), around.now);
        }
        until
    }

    /// Returns how badly the texts of a flow fit the letters of the filter; 0 is best.
    pub fn misfit(&self, flow: &FlowView, around: &Surroundings, scratch: &mut Scratch) -> u32 {
        let Some(letters) = self.fuzzy() else { return 0 };
        let mut best = u32::MAX;
        any_text(Field::Any, flow, around, scratch, &mut |text| {
            best = best.min(matching::fuzzy(text, letters).unwrap_or(u32::MAX));
            false
        });
        best
    }

    fn ask(&self, expr: &Expr, flow: &FlowView, around: &Surroundings, scratch: &mut Scratch) -> bool {
        match expr {
            Expr::And(parts) => parts.iter().all(|part| self.ask(part, flow, around, scratch)),
            Expr::Or(parts) => parts.iter().any(|part| self.ask(part, flow, around, scratch)),
            Expr::Not(inner) => !self.ask(inner, flow, around, scratch),
            Expr::Term(term) => self.ask_term(term, flow, around, scratch),
        }
    }

    fn ask_term(&self, term: &Term, flow: &FlowView, around: &Surroundings, scratch: &mut Scratch) -> bool {
        let field = term.field;
        match &term.test {
            Test::Contains(word) if field == Field::Any => {
                match self.hints.iter().find(|hint| *hint.word == **word) {
                    Some(hint) => hint.holds(flow, around, scratch),
                    None => any_text(field, flow, around, scratch, &mut |t| matching::contains(t, word)),
                }
            }
            Test::Contains(word) if field == Field::State => {
                states(flow).iter().any(|state| matching::contains(state.as_bytes(), word))
            }
            Test::Contains(word) => {
                any_text(field, flow, around, scratch, &mut |t| matching::contains(t, word))
            }
            Test::Is(word) => match (whole_number(field, word), field) {
                (Some(number), _) => numbers(field, flow, around, &mut |n| n == number),
                (None, _) => any_text(field, flow, around, scratch, &mut |t| matching::is(t, word)),
            },
            Test::Regex(regex) => any_text(field, flow, around, scratch, &mut |t| regex.is_match(t)),
            Test::Fuzzy(letters) => {
                any_text(field, flow, around, scratch, &mut |t| matching::fuzzy(t, letters).is_some())
            }
            Test::Network(network, prefix) => in_network(field, flow, *network, *prefix),
            Test::Range(low, high) => {
                numbers(field, flow, around, &mut |n| n >= *low as f64 && n <= *high as f64)
            }
            Test::Compare(how, number) => numbers(field, flow, around, &mut |n| how.holds(n, *number)),
        }
    }
}

impl Hint {
    fn new(word: &str, services: Option<ServiceName>) -> Self {
        let is_digits = word.bytes().all(|c| c.is_ascii_digit());
        let ports = if is_digits { PortSet::of(|port| port.to_string().contains(word)) } else { None };
        // NB: numbers of services are no names.
        let service_set = |number: u8| {
            let name = services?;
            PortSet::of(|port| name(number, port).is_some_and(|n| matching::contains(n.as_bytes(), word)))
        };
        let only = |signs: &str| word.bytes().all(|c| c.is_ascii_digit() || signs.contains(char::from(c)));
        Self {
            word: word.into(),
            ports,
            services: [service_set(proto::TCP), service_set(proto::UDP)],
            in_v4: only(".:"),
            in_v6: only(".:[]abcdef"),
        }
    }

    fn holds(&self, flow: &FlowView, around: &Surroundings, scratch: &mut Scratch) -> bool {
        let key = &flow.hot.key;
        let word = &*self.word;
        if matching::contains(column::protocol_of(key).as_bytes(), word)
            || states(flow).iter().any(|state| matching::contains(state.as_bytes(), word))
        {
            return true;
        }
        if let (Some(low), Some(high)) = (flow.port(0), flow.port(1)) {
            if self.ports.as_ref().is_some_and(|set| set.has(low) || set.has(high)) {
                return true;
            }
            let called = key.ports[1 - flow.hot.roles.initiator()];
            let set = &self.services[usize::from(key.proto != proto::TCP)];
            if set.as_ref().is_some_and(|set| set.has(called)) {
                return true;
            }
        }
        let may_be_address = match key.kind & kind::V6 != 0 {
            true => self.in_v6,
            false => self.in_v4,
        };
        if may_be_address {
            // With a colon it reaches over to the port, or is IPv6.
            let found = |end: usize, scratch: &mut Scratch| {
                let port = flow.port(end).filter(|_| word.contains(':'));
                write_end(scratch, flow, end, port);
                matching::contains(scratch.0.as_bytes(), word)
            };
            if found(0, scratch) || found(1, scratch) {
                return true;
            }
        }
        any_tenant_text(flow, scratch, &mut |text| matching::contains(text, word))
            || interface(flow, around).is_some_and(|name| matching::contains(name.as_bytes(), word))
    }
}

/// Returns the earlier of two ticks, as seen from `now`.
pub fn earlier(a: Tick, b: Tick, now: Tick) -> Tick {
    if a.since(now) <= b.since(now) { a } else { b }
}

/// Returns when the text of the State column changes by silence alone, if that is before `until`.
pub fn next_state(flow: &FlowView, now: Tick, until: Tick) -> Tick {
    let mut until = until;
    for seconds in [15, 45] {
        let step = Nanos::from_secs(seconds);
        if flow.silence <= step && flow.hot.state.text(Nanos(step.0 + 1)) != flow.state_text() {
            let at = Tick(flow.hot.tick.0.wrapping_add(Tick::span(step)));
            until = earlier(until, at, now);
        }
    }
    until
}

fn whole_number(field: Field, word: &str) -> Option<f64> {
    let is_number =
        matches!(field, Field::Port | Field::LocalPort | Field::RemotePort | Field::Pid | Field::Vlan);
    is_number.then(|| word.parse().ok()).flatten()
}

fn in_network(field: Field, flow: &FlowView, network: IpAddr, prefix: u8) -> bool {
    let lies_in = |end: usize| match (network, flow.v4()) {
        (IpAddr::V4(network), Some(ends)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            (ends[end] ^ u32::from(network)) & mask == 0
        }
        (IpAddr::V6(network), None) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            (u128::from_be_bytes(flow.ends[end]) ^ u128::from(network)) & mask == 0
        }
        _ => false,
    };
    match field {
        Field::Local => lies_in(flow.local()),
        Field::Remote => lies_in(flow.remote()),
        _ => lies_in(0) || lies_in(1),
    }
}

/// Calls `holds` with the numbers of a field until it returns `true`.
fn numbers(field: Field, flow: &FlowView, around: &Surroundings, holds: &mut dyn FnMut(f64) -> bool) -> bool {
    let (down, up) = flow.down_up();
    let mut port = |end: usize| flow.port(end).is_some_and(|port| holds(f64::from(port)));
    match field {
        Field::Port => port(0) || port(1),
        Field::LocalPort => port(flow.local()),
        Field::RemotePort => port(flow.remote()),
        Field::Pid => flow.owner.and_then(|o| o.pid).is_some_and(|pid| holds(f64::from(pid))),
        Field::Vlan => flow.facts.vlan.checked_sub(1).is_some_and(|vlan| holds(f64::from(vlan))),
        Field::Rate => holds(f64::from(down) + f64::from(up)),
        Field::Down => holds(f64::from(down)),
        Field::Up => holds(f64::from(up)),
        Field::Bytes => holds(flow.bytes() as f64),
        Field::Packets => {
            let packets = |end: usize| flow.hot.frames[end].saturating_add(flow.facts.extra_packets[end]);
            holds(packets(0).saturating_add(packets(1)) as f64)
        }
        Field::Retransmits => holds(flow.retransmits() as f64),
        Field::Rtt => flow.rtt().is_some_and(|rtt| holds(rtt.as_secs_f64())),
        Field::Age => holds(around.wall.since(flow.facts.first).as_secs_f64()),
        _ => false,
    }
}

/// Calls `holds` with the texts of a field until it returns `true`.
fn any_text(
    field: Field,
    flow: &FlowView,
    around: &Surroundings,
    scratch: &mut Scratch,
    holds: &mut dyn FnMut(&[u8]) -> bool,
) -> bool {
    let owner = flow.owner;
    let number = |n: u32, scratch: &mut Scratch, holds: &mut dyn FnMut(&[u8]) -> bool| {
        scratch.0.clear();
        let _ = write!(scratch.0, "{n}");
        holds(scratch.0.as_bytes())
    };
    let address = |end: usize, scratch: &mut Scratch, holds: &mut dyn FnMut(&[u8]) -> bool| {
        write_end(scratch, flow, end, None);
        holds(scratch.0.as_bytes())
    };
    match field {
        Field::Any => {
            for end in [0, 1] {
                write_end(scratch, flow, end, flow.port(end));
                if holds(scratch.0.as_bytes()) {
                    return true;
                }
            }
            holds(column::protocol_of(&flow.hot.key).as_bytes())
                || states(flow).iter().any(|state| holds(state.as_bytes()))
                || service(flow, around).is_some_and(|name| holds(name.as_bytes()))
                || any_tenant_text(flow, scratch, holds)
                || interface(flow, around).is_some_and(|name| holds(name.as_bytes()))
        }
        Field::Port => [0, 1].iter().any(|e| flow.port(*e).is_some_and(|p| number(p.into(), scratch, holds))),
        Field::LocalPort => flow.port(flow.local()).is_some_and(|p| number(p.into(), scratch, holds)),
        Field::RemotePort => flow.port(flow.remote()).is_some_and(|p| number(p.into(), scratch, holds)),
        Field::Local => address(flow.local(), scratch, holds),
        Field::Remote => {
            address(flow.remote(), scratch, holds)
                || facts(flow, &NAMES, holds)
                || names(flow, flow.remote(), holds)
        }
        Field::Host => {
            address(0, scratch, holds)
                || address(1, scratch, holds)
                || facts(flow, &NAMES, holds)
                || facts(flow, &[Fact::DnsQuery, Fact::DnsCname, Fact::CertName, Fact::SocksTarget], holds)
                || [0, 1].into_iter().any(|end| names(flow, end, holds))
        }
        Field::Process => owner.is_some_and(|o| holds(o.name.as_bytes()) || o.is_kernel && holds(b"kernel")),
        Field::User => owner.is_some_and(|o| {
            o.user.as_ref().is_some_and(|user| holds(user.as_bytes()))
                || o.uid.is_some_and(|uid| number(uid, scratch, holds))
        }),
        Field::Pid => owner.and_then(|o| o.pid).is_some_and(|pid| number(pid, scratch, holds)),
        Field::Container => owner.and_then(|o| o.container.as_ref()).is_some_and(|c| holds(c.as_bytes())),
        Field::Sni => facts(flow, &[Fact::Sni], holds),
        Field::Ssh => facts(flow, &[Fact::SshClient, Fact::SshServer], holds),
        Field::State => states(flow).iter().any(|state| holds(state.as_bytes())),
        Field::Protocol => holds(column::protocol_of(&flow.hot.key).as_bytes()),
        Field::App => flow.app.is_some_and(|app| {
            app.service.is_some_and(|s| holds(s.text().as_bytes()) || holds(s.key().as_bytes()))
                || app.facts().any(|(_, value)| holds(value))
        }),
        Field::Service => service(flow, around).is_some_and(|name| holds(name.as_bytes())),
        Field::Interface => interface(flow, around).is_some_and(|name| holds(name.as_bytes())),
        Field::Direction => holds(match flow.direction() {
            Direction::In => b"in",
            Direction::Out => b"out",
            Direction::Forwarded => b"fwd",
        }),
        Field::Vlan => flow.facts.vlan.checked_sub(1).is_some_and(|v| number(v.into(), scratch, holds)),
        Field::Mac => flow.hot.key.kind & kind::ARP != 0 && facts(flow, &[Fact::Detail], holds),
        Field::Alpn => facts(flow, &[Fact::Alpn, Fact::AlpnSelected], holds),
        Field::Dns => facts(flow, &[Fact::DnsQuery, Fact::DnsType, Fact::DnsCname, Fact::DnsAddress], holds),
        Field::Http => facts(
            flow,
            &[
                Fact::HttpHost,
                Fact::HttpPath,
                Fact::HttpMethod,
                Fact::HttpStatus,
                Fact::HttpUserAgent,
                Fact::HttpServer,
                Fact::HttpContentType,
            ],
            holds,
        ),
        Field::Country | Field::Asn => false,
        Field::Rate | Field::Down | Field::Up | Field::Bytes | Field::Packets | Field::Retransmits => false,
        Field::Rtt | Field::Age => false,
    }
}

/// Returns all states that a flow is in: that of the State column, TCP's under that of SSH, and DNS's over TCP. One
/// may be there twice.
fn states(flow: &FlowView) -> [&'static str; 3] {
    let state = flow.hot.state;
    let shown = flow.state_text();
    let transport = state.of_transport().text(flow.silence);
    let inside = match flow.app.filter(|_| state.is_established()) {
        Some(app) if app.service == Some(Service::Dns) => match app.first(Fact::DnsAnswered) {
            Some(_) => FlowState::DnsResponse.text(flow.silence),
            None => FlowState::DnsQuery.text(flow.silence),
        },
        _ => shown,
    };
    [shown, transport, inside]
}

/// Names of the remote end that stand in the traffic.
const NAMES: [Fact; 2] = [Fact::Sni, Fact::HttpHost];

fn facts(flow: &FlowView, wanted: &[Fact], holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    flow.app.is_some_and(|app| app.facts().any(|(fact, value)| wanted.contains(&fact) && holds(value)))
}

fn names(flow: &FlowView, end: usize, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    flow.app.is_some_and(|app| app.names.of(end).iter().any(|known| holds(&known.name)))
}

fn any_tenant_text(flow: &FlowView, scratch: &mut Scratch, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    if let Some(app) = flow.app
        && (app.service.is_some_and(|s| holds(s.text().as_bytes()) || holds(s.key().as_bytes()))
            || app.facts().any(|(_, value)| holds(value))
            || [0, 1].into_iter().any(|end| names(flow, end, holds)))
    {
        return true;
    }
    let Some(owner) = flow.owner else { return false };
    if let Some(pid) = owner.pid {
        scratch.0.clear();
        let _ = write!(scratch.0, "{pid}");
        if holds(scratch.0.as_bytes()) {
            return true;
        }
    }
    let texts = [&owner.exe, &owner.command, &owner.user, &owner.container];
    holds(owner.name.as_bytes()) || texts.into_iter().flatten().any(|text| holds(text.as_bytes()))
}

fn service(flow: &FlowView, around: &Surroundings) -> Option<&'static str> {
    let called = flow.port(1 - flow.hot.roles.initiator())?;
    around.services?(flow.hot.key.proto, called)
}

fn interface<'a>(flow: &FlowView, around: &'a Surroundings) -> Option<&'a str> {
    around.interfaces.get(usize::from(flow.hot.iface.0)).map(String::as_str)
}

/// Writes an end as the table shows it.
fn write_end(scratch: &mut Scratch, flow: &FlowView, end: usize, port: Option<u16>) {
    let out = &mut scratch.0;
    out.clear();
    match flow.v4() {
        Some(ends) => {
            let mut digits = itoa::Buffer::new();
            for (n, part) in ends[end].to_be_bytes().into_iter().enumerate() {
                if n > 0 {
                    out.push('.');
                }
                out.push_str(digits.format(part));
            }
            if let Some(port) = port {
                out.push(':');
                out.push_str(digits.format(port));
            }
        }
        None => {
            let address = flow.addresses()[end];
            let _ = match port {
                Some(port) => write!(out, "[{address}]:{port}"),
                None => write!(out, "{address}"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dpi::service::Service,
        flow::{
            entry::{Evidence, FlowRecord, Roles},
            state::FlowState,
        },
        names::known::{EndNames, KnownName},
        process::owner::Owner,
        query::filter::parse,
        snapshot::{app::App, sample},
    };

    struct Flow {
        record: FlowRecord,
        app: App,
        owner: Owner,
        rate: [f32; 2],
        silence: Nanos,
    }

    /// 10.0.0.1:50000 (ours) to 93.184.216.34:443, TLS, firefox.
    fn flow() -> Flow {
        let end = |s: &str, port| (s.parse().unwrap(), port);
        let mut record = sample::record([end("10.0.0.1", 50000), end("93.184.216.34", 443)], 6);
        record.hot.roles = Roles::new(0, Evidence::Handshake, [true, false]);
        record.hot.state = FlowState::Established;
        record.hot.bytes = [1000, 20_000_000];
        record.facts.rtt_data_us = 250_000;
        record.facts.first = Stamp(95_000_000_000);
        record.facts.vlan = 121;
        let mut app = App::of(Service::Tls);
        app.learn(Fact::Sni, b"www.GitHub.com");
        app.learn(Fact::Alpn, b"h2");
        let owner = Owner {
            pid: Some(7741),
            name: "firefox".into(),
            uid: Some(1000),
            user: Some("anna".into()),
            container: Some("web-7f9c".into()),
            ..Owner::default()
        };
        Flow { record, app, owner, rate: [100.0, 2e6], silence: Nanos(0) }
    }

    fn around() -> Surroundings {
        Surroundings {
            services: Some(|_, port| (port == 443).then_some("https")),
            interfaces: vec!["eth0".into()],
            wall: Stamp(100_000_000_000),
            now: Tick(1000),
        }
    }

    fn holds(flow: &Flow, text: &str) -> bool {
        let parsed = parse(text).unwrap_or_else(|p| panic!("{text}: {p}"));
        let around = around();
        let filter = Filter::new(parsed.expr.unwrap(), around.services);
        let view = FlowView {
            rate: flow.rate,
            silence: flow.silence,
            ..FlowView::of_record(&flow.record, Some(&flow.app), Some(&flow.owner))
        };
        filter.holds(&view, &around, &mut Scratch::default())
    }

    #[test]
    fn f2_to_f16_terms_hold_for_what_they_name() {
        let flow = flow();
        for (text, expected) in [
            ("github", true),
            ("gitlab", false),
            ("firefox", true),
            ("FIREFOX tls", true),
            ("93.184", true),
            ("93.184.216.34:443", true),
            ("93.184.216.34:44", true),
            ("93.184.216.34:80", false),
            ("https", true),
            ("eth0", true),
            ("7741", true),
            ("established", true),
            ("tcp", true),
            ("port:44", true),
            ("port:5000", true),
            ("port:=44", false),
            ("port:=443", true),
            ("port:400-500", true),
            ("port:444-500", false),
            ("sport:443", false),
            ("dport:443", true),
            ("sport:50", true),
            ("src:10.0", true),
            ("src:93", false),
            ("src:10.0.0.0/8", true),
            ("dst:10.0.0.0/8", false),
            ("10.0.0.0/8", true),
            ("11.0.0.0/8", false),
            ("0.0.0.0/0", true),
            ("::/0", false),
            ("dst:github.com", true),
            ("src:github.com", false),
            ("host:github", true),
            ("process:fox", true),
            ("process:=fox", false),
            ("process:=Firefox", true),
            ("process:~ffx", true),
            ("~ffx", true),
            ("~xff", false),
            ("sni:github", true),
            ("sni:/^www\\..*com$/", true),
            ("sni:/^com/", false),
            ("state:established", true),
            ("state:estab", true),
            ("proto:tcp", true),
            ("proto:udp", false),
            ("app:tls", true),
            ("app:h2", true),
            ("alpn:h2", true),
            ("service:https", true),
            ("user:anna", true),
            ("user:1000", true),
            ("pid:=7741", true),
            ("pid:7", true),
            ("container:web", true),
            ("if:eth", true),
            ("dir:out", true),
            ("dir:in", false),
            ("vlan:=120", true),
            ("vlan:=12", false),
            ("rate>1M", true),
            ("rate>20M", false),
            ("rate>8Mbit", true),
            ("down>1M", true),
            ("up>1M", false),
            ("up=100", true),
            ("bytes>10M", true),
            ("rtt>200ms", true),
            ("rtt<200ms", false),
            ("age<10s", true),
            ("age>10s", false),
            ("!proto:udp", true),
            ("not (github or gitlab)", false),
            ("gitlab or github", true),
            ("rate>1M not dport:443", false),
            ("ssh:openssh", false),
            ("country:es", false),
        ] {
            assert_eq!(holds(&flow, text), expected, "{text}");
        }
    }

    #[test]
    fn st4_and_st5_a_state_inside_a_connection_matches_beside_tcp_s() {
        let mut flow = flow();
        flow.record.hot.state = FlowState::SshAuthentication;
        for (text, expected) in
            [("state:authentication", true), ("state:established", true), ("state:banner", false)]
        {
            assert_eq!(holds(&flow, text), expected, "{text}");
        }
        flow.record.hot.state = FlowState::Established;
        flow.app = App::of(Service::Dns);
        assert!(holds(&flow, "state:dns_query state:established") && !holds(&flow, "state:dns_response"));
        flow.app.learn(Fact::DnsAnswered, b"true");
        assert!(holds(&flow, "state:dns_response") && !holds(&flow, "state:dns_query"));
    }

    #[test]
    fn f7_names_from_elsewhere_are_names_of_their_end() {
        let mut flow = flow();
        let known = |name: &[u8]| KnownName { name: name.into(), source: Service::Dns, seen: Stamp(1) };
        flow.app.names = EndNames::new([vec![known(b"me.example")], vec![known(b"lb-3.cdn.example")]]);
        for (text, expected) in [
            ("dst:cdn.example", true),
            ("dst:CDN", true),
            ("dst:me.example", false),
            ("src:cdn.example", false),
            ("host:me.example", true),
            ("lb-3", true),
            ("sni:cdn", false),
            ("app:cdn", false),
        ] {
            assert_eq!(holds(&flow, text), expected, "{text}");
        }
    }

    #[test]
    fn ipv6_addresses_are_found_by_text_and_network() {
        let mut flow = flow();
        let end = |s: &str, port| (s.parse().unwrap(), port);
        let record = sample::record([end("2001:db8::1", 22), end("2a00:1450::200e", 40000)], 6);
        flow.record.hot.key = record.hot.key;
        flow.record.wide = record.wide;
        for (text, expected) in [
            ("2001:db8::1", true),
            ("[2001:db8::1]:22", true),
            ("[2001:db8::1]", true),
            ("2a00:", true),
            ("src:2001:db8::/32", true),
            ("src:2a00::/16", false),
            ("10.0.0.0/8", false),
        ] {
            assert_eq!(holds(&flow, text), expected, "{text}");
        }
    }

    #[test]
    fn answers_name_what_they_depend_on() {
        let needs = |text: &str| Filter::new(parse(text).unwrap().expr.unwrap(), None).needs();
        assert_eq!(needs("port:443"), Needs::default());
        assert!(needs("rate>1").rates && !needs("rate>1").tenants);
        assert!(needs("google").tenants && needs("google").silence);
        assert!(needs("state:udp").silence && needs("state:udp").tenants);
        assert!(needs("dst:github").tenants && !needs("dst:10.0.0.0/8").tenants);
    }

    #[test]
    fn an_answer_that_time_changes_says_when() {
        let mut flow = flow();
        flow.record.hot.state = FlowState::Udp;
        flow.record.hot.tick = Tick(1000);
        let around = around();
        let view = FlowView::of_record(&flow.record, None, None);
        let far = Tick(1000 + Tick::span(Nanos::from_secs(60)));
        let until = |text: &str| {
            let filter = Filter::new(parse(text).unwrap().expr.unwrap(), None);
            Tick::nanos(filter.valid_until(&view, &around, far).since(Tick(1000))).0 / 1_000_000_000
        };
        assert_eq!(until("port:1"), 60);
        assert_eq!(until("state:udp_active"), 15);
        assert_eq!(until("age<10s"), 5);
        assert_eq!(until("age<4s"), 60);
    }
}
