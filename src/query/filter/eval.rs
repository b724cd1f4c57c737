//! Whether a flow is in a filter, and how long the answer holds.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use crate::{
    base::time::{Nanos, Stamp, Tick},
    query::{
        catalog::Catalog,
        column::ServiceName,
        filter::{
            Expr, Field, Test,
            matching::{self, Needle},
            plan::{Node, Scratch},
            texts::any_text,
        },
        states,
    },
    snapshot::{chunk_rows::ChunkRows, flow_view::FlowView},
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
    /// Nobody looks for owners.
    pub no_owners: bool,
    /// What the numbers of flows mean.
    pub catalog: Arc<Catalog>,
    /// Who is on which hardware address, where a filter needs it.
    pub neighbours: Arc<Neighbours>,
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
    /// What stands beside its hot record.
    pub facts: bool,
    /// The hardware addresses of this host's neighbours.
    pub neighbours: bool,
}

/// Hardware addresses of those that this host has spoken to on its links.
pub type Neighbours = HashMap<IpAddr, Box<str>>;

/// A filter that is ready to be asked.
pub struct Filter {
    plan: LazyLock<Node, Box<dyn FnOnce() -> Node + Send>>,
    fuzzy: Option<Box<str>>,
    needs: Needs,
    /// Ages, and times left, in seconds at which an answer may change.
    ages: Vec<f64>,
    lefts: Vec<f64>,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.plan.fmt(f)
    }
}

impl Filter {
    /// Makes a filter. The first who asks it makes its tables: that costs some milliseconds for words that may be ports
    /// or services, and of what is typed fast few filters are ever asked.
    pub fn new(expr: Expr, services: Option<ServiceName>) -> Self {
        let (mut ages, mut lefts, mut needs) = (Vec::new(), Vec::new(), Needs::default());
        expr.terms(&mut |term| {
            use Field::*;
            match term.field {
                Rate | Down | Up => needs.rates = true,
                Local | Remote | Host | Any if matches!(term.test, Test::Network(..)) => {}
                State | Any => {
                    needs.tenants = true;
                    needs.silence |= match &term.test {
                        Test::Contains(word) => states::changes(|text| Needle::new(word).is_in(text)),
                        Test::Is(word) => states::changes(|text| matching::is(text, word)),
                        _ => true,
                    };
                }
                Mac => (needs.tenants, needs.neighbours) = (true, true),
                Remote | Process | Sni | Ssh | Host | App | User | Pid | Container | Alpn | Dns | Http => {
                    needs.tenants = true;
                }
                Vlan | Packets | Retransmits | Rtt => needs.facts = true,
                Age => {
                    needs.facts = true;
                    if let Test::Compare(_, seconds) = term.test {
                        ages.push(seconds);
                    }
                }
                Left => {
                    if let Test::Compare(_, seconds) = term.test {
                        lefts.push(seconds);
                    }
                }
                _ => {}
            }
        });
        let fuzzy = expr.fuzzy().map(Into::into);
        let plan: Box<dyn FnOnce() -> Node + Send> = Box::new(move || Node::of(expr, services));
        Self { fuzzy, plan: LazyLock::new(plan), needs, ages, lefts }
    }

    /// Returns what answers depend on beside the records.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Returns the letters that are looked for in order, if there are such.
    pub fn fuzzy(&self) -> Option<&str> {
        self.fuzzy.as_deref()
    }

    /// Returns whether a flow is in the filter.
    #[inline]
    pub fn holds(&self, flow: &FlowView, around: &Surroundings, scratch: &mut Scratch) -> bool {
        self.plan.holds(flow, around, scratch)
    }

    /// Returns the rows of a chunk for which it may hold, one bit each: all others are not in the filter.
    #[inline]
    pub fn sieve(&self, rows: &ChunkRows, around: &Surroundings) -> u64 {
        self.plan.sieve(rows, around)
    }

    /// Returns whether answers for flows may change with time alone.
    pub fn ages(&self) -> bool {
        self.needs.silence || !self.ages.is_empty() || !self.lefts.is_empty()
    }

    /// Returns the tick at which the answer for this flow may change without a packet, if that is
    /// before `until`.
    pub fn valid_until(&self, flow: &FlowView, around: &Surroundings, until: Tick) -> Tick {
        let mut until = until;
        if self.needs.silence {
            until = next_state(flow, around.now, until);
        }
        let in_seconds = |seconds: f64| {
            let span = Tick::span(Nanos((seconds * 1e9) as u64));
            Tick(around.now.0.wrapping_add(span))
        };
        let left = flow.left().filter(|_| !self.lefts.is_empty()).map_or(0.0, |left| left.as_secs_f64());
        for seconds in self.lefts.iter().filter(|seconds| **seconds <= left) {
            until = earlier(until, in_seconds(left - seconds), around.now);
        }
        if self.ages.is_empty() {
            return until;
        }
        let age = flow.age(around.wall).as_secs_f64();
        for seconds in self.ages.iter().filter(|seconds| **seconds >= age) {
            until = earlier(until, in_seconds(seconds - age), around.now);
        }
        until
    }

    /// Returns how badly the texts of a flow fit the letters of the filter; 0 is best.
    pub fn misfit(&self, flow: &FlowView, around: &Surroundings, scratch: &mut Scratch) -> u32 {
        let Some(letters) = self.fuzzy() else { return 0 };
        let mut best = u32::MAX;
        any_text(Field::Any, flow, around, &mut scratch.text, &mut |text| {
            best = best.min(matching::fuzzy(text, letters).unwrap_or(u32::MAX));
            false
        });
        best
    }
}

/// Returns the earlier of two ticks, as seen from `now`.
pub fn earlier(a: Tick, b: Tick, now: Tick) -> Tick {
    if a.since(now) <= b.since(now) { a } else { b }
}

/// Returns when the text of the State column may change by silence alone, if that is before `until`.
#[inline]
pub fn next_state(flow: &FlowView, now: Tick, until: Tick) -> Tick {
    if states::moving() & flow.hot.state.bit() == 0 {
        return until;
    }
    // A look too many does no harm: some texts change at the first step only.
    match [15, 45].map(Nanos::from_secs).into_iter().find(|step| flow.silence <= *step) {
        Some(step) => earlier(until, Tick(flow.hot.tick.0.wrapping_add(Tick::span(step))), now),
        None => until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dpi::{fact::Fact, service::Service},
        flow::{
            entry::{Evidence, FlowRecord, Roles},
            state::FlowState,
        },
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
            ..Surroundings::default()
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
            ("left>1s", true),
            ("left<1s", false),
            ("retrans<1", true),
            ("!proto:udp", true),
            ("not (github or gitlab)", false),
            ("gitlab or github", true),
            ("rate>1M not dport:443", false),
            ("ssh:openssh", false),
        ] {
            assert_eq!(holds(&flow, text), expected, "{text}");
        }
    }

    #[test]
    fn f2_plain_words_look_in_every_fact() {
        for fact in Fact::ALL {
            let mut flow = Flow { app: App::of(Service::Http), ..flow() };
            assert!(!holds(&flow, "needle"));
            flow.app.learn(*fact, b"a Needle b");
            assert!(holds(&flow, "needle") && holds(&flow, "\"a needle b\""), "{fact:?}");
            assert!(holds(&flow, "app:needle") && holds(&flow, "/NEEDLE b$/"), "{fact:?}");
        }
    }

    #[test]
    fn f16_aliases_look_where_their_names_say() {
        let mut flow = flow();
        flow.record.hot.roles = Roles::new(0, Evidence::Handshake, [false; 2]);
        for (fact, value) in [
            (Fact::DnsQuery, "query.example"),
            (Fact::DnsType, "AAAA"),
            (Fact::DnsAddress, "192.0.2.77"),
            (Fact::HttpHost, "host.example"),
            (Fact::HttpPath, "/path"),
            (Fact::HttpMethod, "PATCH"),
            (Fact::HttpStatus, "418"),
            (Fact::HttpUserAgent, "probe/1.0"),
            (Fact::SshServer, "SSH-2.0-OpenSSH_9.6"),
        ] {
            flow.app.learn(fact, value.as_bytes());
        }
        for (text, expected) in [
            ("dns:query.example", true),
            ("dns:aaaa", true),
            ("dns:192.0.2.77", true),
            ("dns:host.example", false),
            ("http:host.example", true),
            ("http:\"/path\"", true),
            ("http:patch", true),
            ("http:418", true),
            ("http:probe", true),
            ("http:query.example", false),
            ("host:host.example", true),
            ("host:query.example", true),
            ("ssh:openssh", true),
            ("ssh:=ssh-2.0-openssh_9.6", true),
            ("dir:fwd", true),
            ("dir:out", false),
            ("mac:02:00", false),
            ("STATE:ESTABLISHED", true),
        ] {
            assert_eq!(holds(&flow, text), expected, "{text}");
        }
    }

    #[test]
    fn f2_protocols_are_found_by_their_names_on_the_screen_and_in_exports() {
        for (proto, text, expected) in [
            (58, "proto:icmp6", true),
            (58, "proto:=icmpv6", true),
            (58, "icmpv6", true),
            (1, "proto:icmpv6", false),
            (89, "proto:ospf", true),
            (89, "ospf", true),
            (89, "proto:=89", true),
            (59, "proto:=ip-59", true),
            (59, "proto:=59", true),
            (6, "proto:=tcp", true),
        ] {
            let mut flow = flow();
            flow.record.hot.key.proto = proto;
            assert_eq!(holds(&flow, text), expected, "{proto} {text}");
        }
    }

    #[test]
    fn f2_what_the_application_column_shows_is_found() {
        use Fact::{Alpn, ArpMac, DnsQuery, DnsRcode, DnsTime, DnsType, HttpStatus, IcmpId, IcmpRtt};
        let asked = [(DnsType, "A"), (DnsQuery, "no.b"), (DnsRcode, "3"), (DnsTime, "1234")];
        let mac = "02:00:00:00:00:01";
        for (service, facts, found, not) in [
            (
                Some(Service::Dns),
                &asked[..],
                &[
                    "nxdomain",
                    "dns:nxdomain",
                    "dns:=NXDOMAIN",
                    "app:nxdom",
                    "app:/^nxd/",
                    "~nxd",
                    "\"a no.b\"",
                ][..],
                &["servfail", "dns:servfail", "noerror", "dns:https", "1.2"][..],
            ),
            (
                Some(Service::Dns),
                &[asked[0], asked[1], asked[3]],
                &["\"1.2 ms\"", "1.2", "ms", "app:\"DNS A no.b 1.2 ms\"", "app:ms"],
                &["nxdomain", "\"1.3 ms\""],
            ),
            (
                None,
                &[(IcmpId, "4211"), (IcmpRtt, "1250000")],
                &["\"id 4211\"", "app:\"id 42\"", "4211"],
                &["is-at"],
            ),
            (None, &[(ArpMac, mac)], &["is-at", "app:is-at", "\"is-at 02:\""], &["\"id 4211\""]),
            (Some(Service::Quic), &[(Alpn, "h3")], &["http/3", "app:http/3", "app:=http/3"], &["https"]),
            (Some(Service::Tls), &[(Alpn, "h2")], &["https", "app:https", "app:=HTTPS"], &["http/3"]),
            (Some(Service::Http), &[(HttpStatus, "404")], &["404", "http:404", "\"http 404\""], &["https"]),
        ] {
            let mut flow = flow();
            flow.record.hot.key.ports = [50_000, 9_993];
            flow.app = service.map_or_else(App::default, App::of);
            facts.iter().for_each(|(fact, value)| flow.app.learn(*fact, value.as_bytes()));
            for (texts, expected) in [(found, true), (not, false)] {
                for text in texts {
                    assert_eq!(holds(&flow, text), expected, "{text}: {facts:?}");
                }
            }
        }
    }

    #[test]
    fn f2_what_stands_for_a_process_is_found() {
        use crate::process::owner::Quality;
        let record = flow().record;
        let mut away = flow().record;
        away.hot.roles = Roles::new(0, Evidence::Handshake, [false; 2]);
        let named = flow().owner;
        let nobody = Owner { uid: Some(1001), quality: Quality::UserOnly, ..Owner::default() };
        let kernel = Owner { is_kernel: true, name: "wg0".into(), ..Owner::default() };
        let look = |record: &FlowRecord, owner: Option<&Owner>, no_owners, text: &str| {
            let around = Surroundings { no_owners, ..around() };
            let filter = Filter::new(parse(text).unwrap().expr.unwrap(), None);
            filter.holds(&FlowView::of_record(record, None, owner), &around, &mut Scratch::default())
        };
        // Of the filters for each cell, only those find it that name what it shows.
        let all =
            ["process:=?", "process:n/a", "process:=forwarded", "process:\"? uid 1001\"", "process:=kernel"];
        for (record, owner, no_owners, found) in [
            (&record, None, false, &[0][..]),
            (&record, None, true, &[1]),
            (&away, None, false, &[2]),
            (&record, Some(&nobody), false, &[3]),
            (&record, Some(&kernel), false, &[4]),
            (&record, Some(&named), false, &[]),
        ] {
            for (n, text) in all.iter().enumerate() {
                assert_eq!(look(record, owner, no_owners, text), found.contains(&n), "{text} {owner:?}");
            }
        }
        // Plain words, too, look in that column.
        assert!(look(&record, None, false, "?") && !look(&record, Some(&named), false, "?"));
        assert!(look(&record, None, true, "n/a") && look(&away, None, false, "forwarded"));
        assert!(look(&record, Some(&nobody), false, "\"? uid 1001\""));
        assert!(look(&record, Some(&named), false, "\"firefox (7741)\""));
        assert!(!look(&record, None, false, "~fwd") && look(&away, None, false, "~fwd"));
        // Nobody's process is no process of this name, and has no number or user.
        assert!(!look(&record, None, false, "process:firefox") && !look(&record, None, false, "user:?"));
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
    fn f7_names_that_a_caller_says_belong_to_the_end_that_is_called() {
        let mut flow = flow();
        assert!(holds(&flow, "dst:github"));
        flow.record.hot.roles = Roles::new(1, Evidence::Handshake, [true, false]);
        assert!(!holds(&flow, "dst:github"), "the remote end called us by this name");
        assert!(holds(&flow, "dst:93.184") && holds(&flow, "sni:github") && holds(&flow, "host:github"));
    }

    #[test]
    fn answers_name_what_they_depend_on() {
        let needs = |text: &str| Filter::new(parse(text).unwrap().expr.unwrap(), None).needs();
        assert_eq!(needs("port:443"), Needs::default());
        assert!(needs("rate>1").rates && !needs("rate>1").tenants);
        assert!(needs("google").tenants && !needs("google").silence && !needs("google").facts);
        assert!(needs("udp_idle").silence && needs("rtt>1ms").facts && needs("age<1s").facts);
        // All of UDP's states have it.
        assert!(!needs("state:udp").silence && needs("state:udp_a").silence && needs("state:udp").tenants);
        assert!(needs("dst:github").tenants && !needs("dst:10.0.0.0/8").tenants);
    }

    #[test]
    fn f16_mac_finds_the_neighbour_that_details_show() {
        let mut flow = flow();
        let holds_of = |flow: &Flow, filter: &str, neighbours: &[(&str, &str)]| {
            let entry = |(address, mac): &(&str, &str)| (address.parse().unwrap(), (*mac).into());
            let neighbours = Arc::new(neighbours.iter().map(entry).collect());
            let around = Surroundings { neighbours, ..around() };
            let filter = Filter::new(parse(filter).unwrap().expr.unwrap(), None);
            assert!(filter.needs().neighbours);
            let view = FlowView::of_record(&flow.record, Some(&flow.app), Some(&flow.owner));
            filter.holds(&view, &around, &mut Scratch::default())
        };
        let gateway = [("93.184.216.34", "00:1b:21:3c:9d:f8"), ("10.0.0.1", "02:00:00:00:00:07")];
        for (filter, found) in [
            ("mac:00:1b", true),
            ("mac:1B:21", true),
            ("mac:=00:1b:21:3c:9d:f8", true),
            // As IEEE 802, Cisco and databases write them.
            ("mac:00-1B-21", true),
            ("mac:=00-1b-21-3c-9d-f8", true),
            ("mac:001b.213c", true),
            ("mac:001b.213c.9", true),
            ("mac:b.213c.9df8", true),
            ("mac:=001B.213C.9DF8", true),
            ("mac:001b21", true),
            ("mac:=001b213c9df8", true),
            ("mac:00-1c", false),
            ("mac:1b.213d", false),
            ("!mac:00:1b", false),
            ("mac:02:00", false),
        ] {
            assert_eq!(holds_of(&flow, filter, &gateway), found, "{filter}");
        }
        assert!(!holds_of(&flow, "mac:00:1b", &[]));
        // Of what passes through, the table says nothing.
        flow.record.hot.roles = Roles::new(0, Evidence::Handshake, [false, false]);
        assert!(!holds_of(&flow, "mac:00:1b", &gateway));
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
        let left = flow.record.hot.state.expires_after().as_secs_f64() as u64;
        assert_eq!(until(&format!("left<{}s", left - 7)), 7);
        assert_eq!(until(&format!("left>{}s", left + 7)), 60);
        assert_eq!(until("age<4s"), 60);
    }
}
