//! The registry against the cases that fool others.

use super::*;
use crate::{
    base::time::Stamp,
    flow::entry::{Evidence, Roles},
    process::{identity::ProcessFacts, lookup::Asked, owner::Quality},
};

const OWN: Netns = Netns(1);
const MS: u64 = 1_000_000;
const HERE: &str = "10.0.0.1";
const THERE: &str = "192.0.2.1";

struct Bench(Registry);

impl Bench {
    fn new() -> Self {
        Self(Registry::new(OWN))
    }

    fn process(&mut self, pid: u32, start: u64, name: &str) -> Arc<Process> {
        let facts = ProcessFacts { exe: Some(format!("/bin/{name}").into()), ..ProcessFacts::default() };
        self.0.processes.insert(Process::new(ProcessId { pid, start }, facts))
    }

    /// A process uses a socket.
    fn used(&mut self, id: u64, tuple: Tuple, by: &Arc<Process>, ms: u64) {
        self.0.see(Seen { holder: Some(Arc::clone(by)), acted: true, ..seen(id, tuple, ms) });
    }

    fn listens(&mut self, id: u64, tuple: Tuple, by: &Arc<Process>, ms: u64) {
        let seen = Seen { holder: Some(Arc::clone(by)), is_listener: true, ..seen(id, tuple, ms) };
        self.0.see(seen);
    }

    fn owner(&mut self, asked: &Asked, ms: u64) -> Option<(String, Quality)> {
        let owner = self.0.find(asked, Nanos(ms * MS))?;
        Some((owner.name.to_string(), owner.quality))
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn seen(id: u64, tuple: Tuple, ms: u64) -> Seen {
    Seen {
        id: SocketId(id),
        tuple,
        netns: OWN,
        uid: Some(1000),
        is_listener: false,
        is_kernel: false,
        holder: None,
        acted: false,
        at: Nanos(ms * MS),
        since: Nanos(ms * MS),
    }
}

fn tcp(local: u16, remote: u16) -> Tuple {
    Tuple::new(proto::TCP, (ip(HERE), local), (ip(THERE), remote))
}

fn udp_any(port: u16) -> Tuple {
    Tuple::bound(proto::UDP, ip("0.0.0.0"), port)
}

/// A flow between this host (low end) and another; `opened` is by which end for sure.
fn flow(number: u8, ports: [u16; 2], opened: usize) -> Asked {
    Asked {
        id: FlowId::new(0, u32::from(ports[0]) << 8 | u32::from(ports[1]) & 0xff, 1),
        proto: number,
        is_arp: false,
        addresses: [ip(HERE), ip(THERE)],
        ports,
        roles: Roles::new(opened, Evidence::Handshake, [true, false]),
        first: Stamp(0),
        is_discovery: false,
        is_echo: true,
        is_own_error: false,
        is_inner: false,
    }
}

fn some(name: &str, quality: Quality) -> Option<(String, Quality)> {
    Some((name.to_owned(), quality))
}

#[test]
fn a_port_that_is_used_again_does_not_bring_back_its_former_owner() {
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    bench.used(11, tcp(5000, 443), &a, 100);
    bench.0.close(SocketId(11), Nanos(200 * MS));
    bench.used(12, tcp(5000, 443), &b, 300);
    let asked = flow(proto::TCP, [5000, 443], 0);
    assert_eq!(bench.owner(&asked, 101), some("a", Quality::Exact));
    assert_eq!(bench.owner(&asked, 301), some("b", Quality::Exact));
    assert_eq!(bench.owner(&asked, 202), some("a", Quality::Exact), "a stamp may be late");
    // Between the two nobody had it that was seen; what comes up soon after is the nearest.
    assert_eq!(bench.owner(&asked, 250), some("b", Quality::Exact));
    bench.0.close(SocketId(12), Nanos(400 * MS));
    assert_eq!(bench.owner(&asked, 5000), None);
}

#[test]
fn a_handshake_may_take_longer_than_anybody_looks_ahead() {
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    // Of the former life nobody told the end; the answer to the new one came after nine seconds.
    bench.used(11, tcp(5000, 443), &a, 100);
    let seen = Seen { holder: Some(b), acted: true, ..seen(12, tcp(5000, 443), 10_000) };
    bench.0.see(Seen { since: Nanos(1000 * MS), ..seen });
    let asked = flow(proto::TCP, [5000, 443], 0);
    assert_eq!(bench.owner(&asked, 1001), some("b", Quality::Exact));
    assert_eq!(bench.owner(&asked, 101), some("a", Quality::Exact));
}

#[test]
fn a_short_life_is_kept_for_the_cut_and_not_for_ever() {
    let mut bench = Bench::new();
    let a = bench.process(1, 1, "a");
    bench.used(11, tcp(5000, 443), &a, 100);
    bench.0.close(SocketId(11), Nanos(101 * MS));
    bench.0.end_process(a.id, Nanos(101 * MS));
    bench.0.expire(Nanos(3000 * MS));
    let asked = flow(proto::TCP, [5000, 443], 0);
    let owner = bench.0.find(&asked, Nanos(100 * MS)).unwrap();
    assert!(owner.has_ended && &*owner.name == "a");
    bench.0.expire(Nanos(60_000 * MS));
    assert_eq!(bench.owner(&asked, 100), None);
    assert!(bench.0.is_empty() && bench.0.by_tuple.is_empty() && bench.0.held.is_empty());
}

#[test]
fn udp_ends_with_its_process_and_another_may_have_the_port() {
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    // The system call returns a moment after its packet.
    bench.used(11, udp_any(5000), &a, 102);
    let asked = flow(proto::UDP, [5000, 53], 0);
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Exact));
    bench.0.end_process(a.id, Nanos(150 * MS));
    bench.used(12, udp_any(5000), &b, 1001);
    assert_eq!(bench.owner(&asked, 1000), some("b", Quality::Exact));
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Exact));
}

#[test]
fn a_connection_that_came_in_is_the_listeners_until_somebody_uses_it() {
    let mut bench = Bench::new();
    let (master, worker) = (bench.process(1, 1, "master"), bench.process(2, 2, "worker"));
    bench.listens(11, Tuple::bound(proto::TCP, ip("::"), 80), &master, 1);
    let asked = flow(proto::TCP, [80, 40_000], 1);
    assert_eq!(bench.owner(&asked, 100), some("master", Quality::Listener), "dual stack");
    bench.used(12, tcp(80, 40_000), &worker, 105);
    assert_eq!(bench.owner(&asked, 100), some("worker", Quality::Exact));
    // What this host opened itself did not come in by a listener.
    assert_eq!(bench.owner(&flow(proto::TCP, [80, 40_001], 0), 100), None);
}

#[test]
fn of_several_listeners_none_is_certain() {
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    bench.listens(11, Tuple::bound(proto::TCP, ip("0.0.0.0"), 80), &a, 1);
    bench.listens(12, Tuple::bound(proto::TCP, ip("0.0.0.0"), 80), &b, 2);
    let quality = bench.owner(&flow(proto::TCP, [80, 40_000], 1), 100).unwrap().1;
    assert!(!quality.is_certain());
    bench.used(21, udp_any(53), &a, 1);
    bench.used(22, udp_any(53), &b, 2);
    assert_eq!(bench.owner(&flow(proto::UDP, [53, 40_000], 1), 100).unwrap().1, Quality::Wildcard);
}

#[test]
fn of_several_that_ping_the_same_host_none_is_certain() {
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    let tuple = Tuple::new(proto::ICMP, (ip(HERE), 0), (ip(THERE), 0));
    let asked = flow(proto::ICMP, [0, 0], 0);
    bench.used(11, tuple, &a, 100);
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Exact));
    // Another socket of the same process makes nothing doubtful.
    bench.used(12, tuple, &a, 105);
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Exact));
    bench.used(13, tuple, &b, 110);
    assert_eq!(bench.owner(&asked, 100).unwrap().1, Quality::Wildcard);
}

#[test]
fn who_joins_in_pinging_later_makes_the_owner_uncertain() {
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    let tuple = Tuple::new(proto::ICMP, (ip(HERE), 0), (ip(THERE), 0));
    let asked = flow(proto::ICMP, [0, 0], 0);
    bench.used(11, tuple, &a, 100);
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Exact));
    let mut changed = Vec::new();
    bench.0.changed(&mut changed);
    changed.clear();
    bench.used(12, tuple, &b, 60_000);
    bench.0.changed(&mut changed);
    assert_eq!(changed, [asked.id], "it is asked about again");
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Wildcard));
    // With ports ends are one process's at a time.
    bench.used(21, tcp(5000, 443), &a, 100);
    bench.used(22, tcp(5000, 443), &b, 60_000);
    assert_eq!(bench.owner(&flow(proto::TCP, [5000, 443], 0), 100), some("a", Quality::Exact));
}

#[test]
fn neighbour_discovery_is_the_kernels_whoever_pings() {
    let mut bench = Bench::new();
    let a = bench.process(1, 1, "ping");
    bench.used(11, Tuple::bound(proto::ICMPV6, ip("::"), 0), &a, 100);
    let mut asked = flow(proto::ICMPV6, [0, 0], 0);
    asked.addresses = [ip("2001:db8::1"), ip("ff02::1:ff00:2")];
    assert_eq!(bench.owner(&asked, 200), some("ping", Quality::Exact));
    asked.is_discovery = true;
    assert!(
        bench.0.find(&asked, Nanos(200 * MS)).is_some_and(|owner| owner.is_kernel && owner.pid.is_none())
    );
}

#[test]
fn what_the_kernel_sends_by_itself_is_its_own_whoever_pings() {
    let mut bench = Bench::new();
    let is_kernels = |bench: &mut Bench, asked: &Asked| {
        bench.0.find(asked, Nanos(200 * MS)).is_some_and(|owner| owner.is_kernel && owner.pid.is_none())
    };
    let echo = flow(proto::ICMP, [0, 0], 0);
    let error = Asked { is_echo: false, is_own_error: true, ..echo.clone() };
    let other = Asked { is_echo: false, ..echo.clone() };
    assert!(is_kernels(&mut bench, &error) && is_kernels(&mut bench, &other));
    assert_eq!(bench.owner(&echo, 200), None, "somebody pings, who was not seen yet");
    let a = bench.process(1, 1, "ping");
    bench.used(11, Tuple::bound(proto::ICMP, ip("0.0.0.0"), 0), &a, 100);
    assert!(is_kernels(&mut bench, &error));
    assert_eq!(bench.owner(&echo, 200), some("ping", Quality::Exact));
}

#[test]
fn a_socket_that_is_passed_on_is_told_and_belongs_to_who_uses_it() {
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    bench.used(11, tcp(5000, 443), &a, 100);
    let asked = flow(proto::TCP, [5000, 443], 0);
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Exact));
    let mut changed = Vec::new();
    bench.0.changed(&mut changed);
    changed.clear();
    bench.used(11, tcp(5000, 443), &b, 500);
    bench.0.changed(&mut changed);
    assert_eq!(changed, [asked.id]);
    assert_eq!(bench.owner(&asked, 100), some("b", Quality::Exact));
}

#[test]
fn executing_something_else_keeps_what_was_answered_and_names_the_new_from_then_on() {
    let mut bench = Bench::new();
    let shell = bench.process(1, 1, "sh");
    bench.used(11, tcp(5000, 443), &shell, 100);
    let asked = flow(proto::TCP, [5000, 443], 0);
    let before = bench.0.find(&asked, Nanos(100 * MS)).unwrap();
    let after = bench.process(1, 1, "curl");
    bench.used(11, tcp(5000, 443), &after, 200);
    assert_eq!(bench.owner(&asked, 100), some("curl", Quality::Exact));
    assert_eq!(&*before.name, "sh");
}

#[test]
fn a_pass_finds_what_no_event_told_and_forgets_what_is_gone() {
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    let held =
        |id, tuple, by: &Arc<Process>, ms| Seen { holder: Some(Arc::clone(by)), ..seen(id, tuple, ms) };
    let first = vec![held(11, tcp(5000, 443), &a, 1000), held(12, tcp(5001, 443), &a, 1000)];
    bench.0.pass(Pass { started: Nanos(1000 * MS), seen: first });
    // It was there before the first pass, nobody knows for how long.
    assert_eq!(bench.owner(&flow(proto::TCP, [5000, 443], 0), 1), some("a", Quality::Exact));
    // The second pass has one of them, in two processes, and a new one.
    let seen = vec![
        held(11, tcp(5000, 443), &a, 5000),
        held(11, tcp(5000, 443), &b, 5000),
        held(13, tcp(5002, 443), &b, 5000),
    ];
    bench.0.pass(Pass { started: Nanos(5000 * MS), seen });
    assert_eq!(bench.owner(&flow(proto::TCP, [5000, 443], 0), 1), some("b", Quality::Shared));
    assert_eq!(bench.owner(&flow(proto::TCP, [5001, 443], 0), 9000), None);
    assert_eq!(bench.owner(&flow(proto::TCP, [5002, 443], 0), 3000), some("b", Quality::Exact));
    assert_eq!(bench.0.len(), 2);
}

#[test]
fn mapped_addresses_are_those_of_ipv4() {
    let mut bench = Bench::new();
    let a = bench.process(1, 1, "a");
    let mapped = |text: &str| ip(&format!("::ffff:{text}"));
    let tuple = Tuple::new(proto::TCP, (mapped(HERE), 5000), (mapped(THERE), 443));
    bench.used(11, tuple, &a, 100);
    assert_eq!(bench.owner(&flow(proto::TCP, [5000, 443], 0), 100), some("a", Quality::Exact));
}

#[test]
fn sockets_of_other_namespaces_own_only_what_is_not_ours() {
    let mut bench = Bench::new();
    let a = bench.process(1, 1, "a");
    let seen = Seen { netns: Netns(2), holder: Some(a), acted: true, ..seen(11, tcp(5000, 443), 100) };
    bench.0.see(seen);
    let mut asked = flow(proto::TCP, [5000, 443], 0);
    assert_eq!(bench.owner(&asked, 100), None);
    asked.roles = Roles::new(0, Evidence::Handshake, [false, false]);
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Namespace));
}

#[test]
fn who_is_bound_to_all_addresses_of_a_namespace_has_only_those() {
    let mut bench = Bench::new();
    let a = bench.process(7, 1, "resolver");
    let there = Netns(2);
    let bound = Seen { netns: there, holder: Some(a), acted: true, ..seen(11, udp_any(53), 100) };
    bench.0.see(bound);
    // Forwarded: asked at THERE's port 53, which may be that of the namespace, or of anybody.
    let mut asked = flow(proto::UDP, [40_000, 53], 0);
    asked.roles = Roles::new(0, Evidence::Handshake, [false, false]);
    assert_eq!(bench.owner(&asked, 100), None, "nobody knows yet");
    assert_eq!(bench.0.namespaces(false), [(there, 7)]);
    bench.0.place(there, vec![ip("172.17.0.2")]);
    let mut changed = Vec::new();
    bench.0.changed(&mut changed);
    assert_eq!(changed, [asked.id]);
    assert_eq!(bench.owner(&asked, 100), None, "another host's");
    assert!(bench.0.namespaces(false).is_empty());
    bench.0.place(there, vec![ip("172.17.0.2"), ip(THERE)]);
    assert_eq!(bench.owner(&asked, 100), some("resolver", Quality::Namespace));
    // Its process is gone: the next one in that namespace is asked.
    let b = bench.process(8, 1, "other");
    let next = Seen { netns: there, holder: Some(b), ..seen(12, udp_any(54), 100) };
    bench.0.see(next.clone());
    assert!(bench.0.namespaces(false).is_empty());
    bench.0.end_process(ProcessId { pid: 7, start: 1 }, Nanos(100 * MS));
    bench.0.see(next.clone());
    assert_eq!(bench.0.namespaces(false), [(there, 8)]);
    // Nothing could be read.
    bench.0.place(there, Vec::new());
    assert!(bench.0.namespaces(true).is_empty());
    bench.0.see(next);
    assert_eq!(bench.0.namespaces(true), [(there, 8)]);
}

#[test]
fn what_was_translated_is_found_behind_the_translation() {
    let mut bench = Bench::new();
    let (web, proxy) = (bench.process(1, 1, "web"), bench.process(2, 2, "proxy"));
    let inside = Tuple::new(proto::TCP, (ip("172.17.0.2"), 5000), (ip(THERE), 443));
    bench.0.see(Seen {
        netns: Netns(2),
        holder: Some(Arc::clone(&web)),
        acted: true,
        ..seen(11, inside, 100)
    });
    let asked = flow(proto::TCP, [61_000, 443], 0);
    assert_eq!(bench.owner(&asked, 100), None);
    let question = Question { flow: asked.id, tuple: tcp(61_000, 443) };
    assert_eq!(bench.0.questions(9), [question]);
    bench.0.translate(asked.id, inside);
    let mut changed = Vec::new();
    bench.0.changed(&mut changed);
    assert_eq!(changed, [asked.id]);
    assert_eq!(bench.owner(&asked, 100), some("web", Quality::Translated));
    assert!(bench.0.questions(9).is_empty(), "known by now");
    // The port of another is forwarded, where a listener of ours stands in for it: it is not that one's.
    bench.listens(12, Tuple::bound(proto::TCP, ip("0.0.0.0"), 80), &proxy, 1);
    let asked = flow(proto::TCP, [80, 40_000], 1);
    assert_eq!(bench.owner(&asked, 100), some("proxy", Quality::Listener));
    assert_eq!(bench.0.questions(9).len(), 1);
    let inside = Tuple::new(proto::TCP, (ip("172.17.0.2"), 8080), (ip(THERE), 40_000));
    bench.0.translate(asked.id, inside);
    assert_eq!(bench.owner(&asked, 100), some("proxy", Quality::Listener), "nothing better yet");
    bench.0.see(Seen { netns: Netns(2), holder: Some(web), acted: true, ..seen(13, inside, 101) });
    assert_eq!(bench.owner(&asked, 100), some("web", Quality::Translated));
    // Its own sockets need no question, and neither does a server that was seen to answer.
    bench.used(14, tcp(5001, 443), &proxy, 100);
    bench.used(15, udp_any(5353), &proxy, 100);
    assert_eq!(bench.owner(&flow(proto::TCP, [5001, 443], 0), 100), some("proxy", Quality::Exact));
    assert_eq!(bench.owner(&flow(proto::UDP, [5353, 99], 1), 100), some("proxy", Quality::Exact));
    assert!(bench.0.questions(9).is_empty());
}

#[test]
fn what_is_translated_for_another_host_is_forwarded() {
    let mut bench = Bench::new();
    let quality = |bench: &mut Bench, asked: &Asked| {
        bench.0.find(asked, Nanos(100 * MS)).map(|owner| (owner.quality, owner.pid))
    };
    let asked = flow(proto::TCP, [61_000, 443], 0);
    let behind = |address: &str| Tuple::new(proto::TCP, (ip(address), 5000), (ip(THERE), 443));
    assert_eq!(quality(&mut bench, &asked), None);
    bench.0.translate(asked.id, behind("192.168.1.7"));
    assert_eq!(quality(&mut bench, &asked), None, "our addresses are not known");
    bench.0.place_own(vec![ip(HERE), ip("10.9.9.9")]);
    assert_eq!(quality(&mut bench, &asked), Some((Quality::Forwarded, None)));
    // A second address of this host, whose socket is not known.
    bench.0.translate(asked.id, behind("10.9.9.9"));
    assert_eq!(quality(&mut bench, &asked), None);
    // A container's, whose socket is not known: not as long as its addresses are not, either.
    let a = bench.process(7, 1, "a");
    bench.0.see(Seen { netns: Netns(2), holder: Some(a), ..seen(11, udp_any(53), 100) });
    bench.0.translate(asked.id, behind("172.17.0.2"));
    assert_eq!(quality(&mut bench, &asked), None);
    bench.0.place(Netns(2), vec![ip("172.17.0.2")]);
    assert_eq!(quality(&mut bench, &asked), None);
    bench.0.place(Netns(2), vec![ip("172.17.0.3")]);
    assert_eq!(quality(&mut bench, &asked), Some((Quality::Forwarded, None)));
    assert!(!Quality::Forwarded.is_certain(), "its socket may still turn up");
}

#[test]
fn what_no_router_passes_on_is_not_forwarded() {
    let mut bench = Bench::new();
    for (from, to, stays) in [
        ("::", "ff02::16", true),
        ("fe80::1", "ff02::fb", true),
        ("fe80::1", "fe80::2", true),
        ("192.168.1.7", "224.0.0.251", true),
        ("192.168.1.7", "239.255.255.250", false),
        ("2001:db8::1", "ff0e::101", false),
        ("0.0.0.0", "255.255.255.255", true),
        ("169.254.0.9", "192.168.1.7", true),
        ("192.168.1.7", "192.0.2.1", false),
        ("fd00::7", "2001:db8::1", false),
    ] {
        let mut asked = flow(proto::UDP, [5000, 5353], 0);
        asked.roles = Roles::new(0, Evidence::Handshake, [false, false]);
        asked.addresses = [ip(from), ip(to)];
        let owner = bench.0.find(&asked, Nanos(100 * MS));
        let want = stays.then_some(Quality::LinkLocal);
        assert_eq!(owner.map(|owner| owner.quality), want, "{from} {to}");
    }
    // Who is bound to the port here takes it.
    let resolver = bench.process(1, 1, "mdns");
    bench.used(11, udp_any(5353), &resolver, 100);
    let mut asked = flow(proto::UDP, [5353, 5353], 0);
    asked.roles = Roles::new(0, Evidence::Handshake, [false, false]);
    asked.addresses = [ip("192.168.1.7"), ip("224.0.0.251")];
    assert!(bench.owner(&asked, 100).is_some_and(|(name, _)| name.contains("mdns")));
}

#[test]
fn users_and_the_kernel_are_named_where_no_process_is() {
    let mut bench = Bench::new();
    bench.0.see(seen(11, tcp(5000, 443), 100));
    let owner = bench.0.find(&flow(proto::TCP, [5000, 443], 0), Nanos(100 * MS)).unwrap();
    assert_eq!((owner.uid, owner.pid, owner.quality), (Some(1000), None, Quality::UserOnly));
    bench.0.see(Seen { is_kernel: true, ..seen(12, tcp(900, 2049), 100) });
    let owner = bench.0.find(&flow(proto::TCP, [900, 2049], 0), Nanos(100 * MS)).unwrap();
    assert!(owner.is_kernel && &*owner.name == "nfs");
    let answered = bench.0.find(&flow(proto::ICMP, [0, 0], 1), Nanos(0)).unwrap();
    assert!(answered.is_kernel, "the kernel answers pings");
    assert_eq!(bench.owner(&flow(proto::ICMP, [0, 0], 0), 0), None, "but somebody sends them");
}

#[test]
fn the_chain_of_one_tuple_stays_whole() {
    let mut bench = Bench::new();
    let a = bench.process(1, 1, "a");
    for n in 0..50 {
        bench.used(n, tcp(5000, 443), &a, n * 10);
        bench.0.close(SocketId(n), Nanos((n * 10 + 5) * MS));
    }
    bench.0.expire(Nanos(15_200 * MS));
    let asked = flow(proto::TCP, [5000, 443], 0);
    for n in 20..50 {
        assert_eq!(bench.owner(&asked, n * 10 + 1), some("a", Quality::Exact), "{n}");
    }
    assert_eq!(bench.0.free.len(), 20);
    bench.0.expire(Nanos(100_000 * MS));
    assert_eq!(bench.0.free.len(), bench.0.lives.len());
}

#[test]
fn pr9_of_workers_that_share_a_socket_none_is_certain() {
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    let shared = Tuple::new(proto::UDP, (ip(HERE), 53), (ip(THERE), 40_000));
    let asked = flow(proto::UDP, [53, 40_000], 1);
    let met = |by: &Arc<Process>, ms| Seen { holder: Some(Arc::clone(by)), ..seen(11, shared, ms) };
    // They take turns.
    bench.used(11, shared, &a, 100);
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Exact));
    bench.used(11, shared, &b, 200);
    bench.used(11, shared, &a, 300);
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Shared));
    let mut changed = Vec::new();
    bench.0.changed(&mut changed);
    assert_eq!(changed, [asked.id], "who was certain before is asked about again");
    // One of them ends: the other one alone uses it.
    b.end();
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Exact));

    // Each was seen to use it once, and a pass meets both with it.
    let mut bench = Bench::new();
    bench.used(11, shared, &a, 100);
    let c = bench.process(3, 3, "c");
    bench.used(11, shared, &c, 200);
    bench.0.pass(Pass { started: Nanos(1000 * MS), seen: vec![met(&a, 1000), met(&c, 1000)] });
    assert_eq!(bench.owner(&asked, 100), some("c", Quality::Shared));

    // Two have it and one of them uses it.
    let mut bench = Bench::new();
    let (a, b) = (bench.process(1, 1, "a"), bench.process(2, 2, "b"));
    bench.0.pass(Pass { started: Nanos(1000 * MS), seen: vec![met(&a, 1000), met(&b, 1000)] });
    assert_eq!(bench.owner(&asked, 100), some("b", Quality::Shared));
    bench.used(11, shared, &a, 2000);
    assert_eq!(bench.owner(&asked, 100), some("a", Quality::Exact));
}

#[test]
fn pr9_who_takes_a_connection_over_is_certain() {
    let mut bench = Bench::new();
    let (master, child) = (bench.process(1, 1, "master"), bench.process(2, 2, "child"));
    let ends = Tuple::new(proto::TCP, (ip(HERE), 22), (ip(THERE), 40_000));
    let asked = flow(proto::TCP, [22, 40_000], 1);
    bench.used(11, ends, &master, 100);
    bench.used(11, ends, &child, 101);
    assert_eq!(bench.owner(&asked, 100), some("child", Quality::Exact));
    // The master has closed it by the next pass.
    let met = Seen { holder: Some(child), ..seen(11, ends, 1000) };
    bench.0.pass(Pass { started: Nanos(1000 * MS), seen: vec![met] });
    assert_eq!(bench.owner(&asked, 100), some("child", Quality::Exact));
}

#[test]
fn who_is_bound_to_all_addresses_has_none_of_other_hosts() {
    let mut bench = Bench::new();
    let ping = bench.process(1, 1, "ping");
    bench.used(11, Tuple::bound(proto::ICMP, ip("0.0.0.0"), 0), &ping, 1);
    bench.used(12, udp_any(5353), &ping, 1);
    let elsewhere = |number, to: &str, ports| Asked {
        addresses: [ip("203.0.113.9"), ip(to)],
        roles: Roles::new(0, Evidence::FirstPacket, [false, false]),
        ..flow(number, ports, 0)
    };
    for asked in
        [elsewhere(proto::ICMP, "224.0.0.2", [0; 2]), elsewhere(proto::UDP, "198.51.100.7", [5353, 5353])]
    {
        bench.0.place_own(vec![ip(HERE)]);
        let owner = bench.0.find(&asked, Nanos(100 * MS));
        assert!(owner.is_none_or(|owner| owner.pid.is_none()), "{}", asked.proto);
        // It has those of what is ours.
        assert_eq!(bench.owner(&flow(asked.proto, asked.ports, 0), 100).unwrap().0, "ping");
    }
    for to in ["224.0.0.251", "255.255.255.255"] {
        let all = elsewhere(proto::UDP, to, [5353, 5353]);
        assert_eq!(bench.owner(&all, 100).unwrap().0, "ping", "{to}");
    }
    // HERE's network, as far as can be told.
    let IpAddr::V4(here) = ip(HERE) else { panic!("HERE is IPv4") };
    let [a, b, c, _] = here.octets();
    for (to, is_ours) in [([a, b, c, 255], true), ([a, b, 255, 255], true), ([a, b, c ^ 2, 255], false)] {
        let mut asked = elsewhere(proto::UDP, "0.0.0.0", [5353, 5353]);
        asked.addresses[1] = IpAddr::from(to);
        let owner = bench.0.find(&asked, Nanos(100 * MS));
        assert_eq!(owner.is_some_and(|owner| owner.pid.is_some()), is_ours, "{to:?}");
    }
}
