//! Owners of translated connections: a router of our own between two namespaces, with the rules that container
//! engines and service meshes write. The program runs in the router and must name who is behind it.
//!
//! `sudo -E cargo test --test owners_nat -- --ignored --test-threads 1`
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

const ROUTER: &str = "ownn-router";
const BOX: &str = "ownn-box";
/// Has the same wildcard sockets as the box, and no part in anything.
const STRANGER: &str = "ownn-stranger";
const OUTSIDE: &str = "ownn-outside";

const RULES: &str = "table ip nat {
  chain pre { type nat hook prerouting priority -100;
    iifname ownnup tcp dport 8080 dnat to 172.29.9.2:80
    iifname ownnup udp dport 5353 dnat to 172.29.9.2:53
  }
  chain out { type nat hook output priority -100;
    ip daddr 10.97.9.99 tcp dport 443 dnat to 10.97.9.2:7070
  }
  chain post { type nat hook postrouting priority 100;
    oifname ownnup ip saddr 172.29.9.0/24 meta l4proto tcp masquerade to :40000-40100
  }
}";

/// Namespaces with their links; gone with the value.
struct Net;

impl Net {
    /// `None` where `nft` is missing.
    fn new() -> Option<Self> {
        if Command::new("nft").arg("-v").output().is_err() {
            eprintln!("skipped: nft is not installed (Debian: nftables)");
            return None;
        }
        let net = Self;
        net.clear();
        for line in [
            "netns add ownn-router",
            "netns add ownn-box",
            "netns add ownn-stranger",
            "netns add ownn-outside",
            "-n ownn-router link add ownnup type veth peer name eth0 netns ownn-outside",
            "-n ownn-router link add ownnbox type veth peer name eth0 netns ownn-box",
            "-n ownn-router addr add 10.97.9.1/24 dev ownnup",
            "-n ownn-router addr add 172.29.9.1/24 dev ownnbox",
            "-n ownn-outside addr add 10.97.9.2/24 dev eth0",
            "-n ownn-box addr add 172.29.9.2/24 dev eth0",
            "-n ownn-router link set ownnup up",
            "-n ownn-router link set ownnbox up",
            "-n ownn-router link set lo up",
            "-n ownn-outside link set eth0 up",
            "-n ownn-box link set eth0 up",
            "-n ownn-box link set lo up",
            "-n ownn-stranger link set lo up",
            "-n ownn-box route add default via 172.29.9.1",
        ] {
            let done = Command::new("ip").args(line.split(' ')).output().unwrap();
            assert!(done.status.success(), "ip {line}: {}", String::from_utf8_lossy(&done.stderr));
        }
        let forward = inside(ROUTER, "sh").args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]).status();
        assert!(forward.unwrap().success());
        let mut nft = inside(ROUTER, "nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        nft.stdin.take().unwrap().write_all(RULES.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success());
        Some(net)
    }

    fn clear(&self) {
        for name in [ROUTER, BOX, STRANGER, OUTSIDE] {
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A command in a namespace, which keeps its own mounts.
fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}")).arg(program);
    command
}

struct Running(Child);

impl Running {
    /// Runs Python until it says "ready".
    fn python(namespace: &str, code: &str) -> Self {
        let code = format!("import os, socket, sys, time, threading\n{code}");
        let mut child =
            inside(namespace, "python3").args(["-c", &code]).stdout(Stdio::piped()).spawn().unwrap();
        let mut word = [0; 5];
        child.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
        assert_eq!(&word, b"ready");
        Self(child)
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An echo server of TCP and UDP at the ports.
fn echo(tcp: u16, udp: u16) -> String {
    format!(
        "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('', {udp}))
def datagrams():
    while True:
        b, a = u.recvfrom(512); u.sendto(b, a)
threading.Thread(target=datagrams, daemon=True).start()
s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('', {tcp})); s.listen(64)
print('ready', flush=True)
def serve(c):
    while True:
        b = c.recv(512)
        if not b: break
        c.send(b)
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()"
    )
}

/// Talks over TCP from a port, and goes on.
fn talk(port: u16, to: &str) -> String {
    format!(
        "s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('', {port})); s.connect({to}); s.send(b'x'); s.recv(1)
print('ready', flush=True)
while True: s.send(b'x'); s.recv(1); time.sleep(0.2)"
    )
}

/// Watches the router's outer link while `work` runs, and returns all lines.
fn watch(wrap: &[&str], method: &str, work: impl FnOnce()) -> Vec<Value> {
    let path = std::env::temp_dir().join(format!("rustnet-nat-{}.jsonl", std::process::id()));
    let (first, rest) = wrap.split_first().unwrap_or((&env!("CARGO_BIN_EXE_rustnet"), &[]));
    let mut command = inside(ROUTER, first);
    command.args(rest);
    if !wrap.is_empty() {
        command.arg(env!("CARGO_BIN_EXE_rustnet"));
    }
    command.args(["-i", "ownnup", "--headless", "--owners", method]).stdout(File::create(&path).unwrap());
    let mut program = Running(command.spawn().unwrap());
    let start = Instant::now();
    while !std::fs::read_to_string(&path).unwrap().contains("header") && start.elapsed().as_secs() < 5 {
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_millis(1500));
    work();
    Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap();
    program.0.wait().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).collect()
}

/// The flow between two ports; without the first, of any port.
fn flow<'a>(lines: &'a [Value], proto: &str, sport: Option<u16>, dport: u16) -> &'a Value {
    let is_it = |f: &&Value| {
        f["type"] == "flow"
            && f["proto"] == proto
            && f["dport"] == dport
            && sport.is_none_or(|port| f["sport"] == port)
    };
    lines.iter().find(is_it).unwrap_or_else(|| panic!("no {proto} {sport:?} -> {dport}: {lines:?}"))
}

#[test]
#[ignore = "needs root, python3, nft: sudo -E cargo test --test owners_nat -- --ignored --test-threads 1"]
fn translated_connections_are_those_of_the_processes_behind() {
    let Some(_net) = Net::new() else { return };
    let _far = Running::python(OUTSIDE, &echo(7070, 7070));
    let server = Running::python(BOX, &echo(80, 53));
    let _stranger = Running::python(STRANGER, &echo(80, 53));
    // As engines have it: somebody in the router is bound to a published port and never sees a packet of it.
    let _proxy = Running::python(
        ROUTER,
        "s = socket.socket(); s.bind(('', 8080)); s.listen(5)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('', 5353))
print('ready', flush=True)
time.sleep(600)",
    );
    for method in ["bpf", "proc"] {
        let mut pids = [0; 2];
        let lines = watch(&[], method, || {
            let out = Running::python(BOX, &talk(23_000, "('10.97.9.2', 7070)"));
            let own = Running::python(ROUTER, &talk(23_100, "('10.97.9.99', 443)"));
            let _in = Running::python(OUTSIDE, &talk(23_200, "('10.97.9.1', 8080)"));
            let _datagrams = Running::python(
                OUTSIDE,
                "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('', 23300))
u.sendto(b'x', ('10.97.9.1', 5353)); u.recv(1)
print('ready', flush=True)
while True: u.sendto(b'x', ('10.97.9.1', 5353)); u.recv(1); time.sleep(0.2)",
            );
            pids = [out.id(), own.id()];
            thread::sleep(Duration::from_secs(5));
        });
        for (found, pid) in [
            (
                lines.iter().find(|f| f["sport"].as_u64().is_some_and(|p| (40_000..=40_100).contains(&p))),
                pids[0],
            ),
            (Some(flow(&lines, "TCP", Some(23_100), 7070)), pids[1]),
            (Some(flow(&lines, "TCP", Some(23_200), 8080)), server.id()),
            (Some(flow(&lines, "UDP", Some(23_300), 5353)), server.id()),
        ] {
            let found = found.unwrap_or_else(|| panic!("{method}: not masqueraded: {lines:?}"));
            let seen = (&found["pid"], &found["owner_quality"]);
            assert_eq!(seen, (&pid.into(), &"nat".into()), "{method}: {found}");
        }
    }
}

/// A SYN of a host that is not this one, which the router masquerades.
const STRANGE_SYN: &str = "import struct
def sums(b):
    n = sum(struct.unpack(f'!{len(b) // 2}H', b))
    while n >> 16: n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
a, b = socket.inet_aton('172.29.9.77'), socket.inet_aton('10.97.9.2')
def tcp(check): return struct.pack('!HHIIBBHHH', 24000, 7070, 1, 0, 0x50, 2, 8192, check, 0)
check = sums(a + b + struct.pack('!HH', 6, 20) + tcp(0))
ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 40, 1, 0, 64, 6, 0, a, b)
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
print('ready', flush=True)
while True: s.sendto(ip + tcp(check), ('10.97.9.2', 0)); time.sleep(0.5)";

#[test]
#[ignore = "needs root, python3, nft: sudo -E cargo test --test owners_nat -- --ignored --test-threads 1"]
fn what_is_translated_for_another_host_is_forwarded() {
    let Some(_net) = Net::new() else { return };
    let _far = Running::python(OUTSIDE, &echo(7070, 7070));
    for method in ["bpf", "proc"] {
        let lines = watch(&[], method, || {
            let _lan = Running::python(BOX, STRANGE_SYN);
            thread::sleep(Duration::from_secs(4));
        });
        let flow = flow(&lines, "TCP", None, 7070);
        let seen = (&flow["src"], &flow["owner_quality"], &flow["pid"]);
        assert_eq!(seen, (&"10.97.9.1".into(), &"forwarded".into(), &Value::Null), "{method}: {flow}");
    }
}

#[test]
#[ignore = "needs root, python3, nft: sudo -E cargo test --test owners_nat -- --ignored --test-threads 1"]
fn a_short_translated_connection_has_its_process_too() {
    let Some(_net) = Net::new() else { return };
    let _far = Running::python(OUTSIDE, &echo(7070, 7070));
    let mut pids = Vec::new();
    let lines = watch(&[], "bpf", || {
        for _ in 0..20 {
            let mut child = inside(BOX, "python3")
                .args(["-c", "import socket; s = socket.create_connection(('10.97.9.2', 7070)); s.send(b'x'); s.recv(1)"])
                .spawn()
                .unwrap();
            pids.push(child.id());
            child.wait().unwrap();
        }
        thread::sleep(Duration::from_millis(2500));
    });
    let mut found: Vec<u64> = lines
        .iter()
        .filter(|f| f["type"] == "flow" && f["dport"] == 7070)
        .map(|f| {
            assert_eq!(f["owner_quality"], "nat", "{f}");
            f["pid"].as_u64().unwrap()
        })
        .collect();
    found.sort_unstable();
    let mut pids: Vec<u64> = pids.into_iter().map(u64::from).collect();
    pids.sort_unstable();
    assert_eq!(found, pids);
}

#[test]
#[ignore = "needs root, python3, nft, setpriv: sudo -E cargo test --test owners_nat -- --ignored --test-threads 1"]
fn who_may_not_ask_is_told_what_is_missing() {
    let Some(_net) = Net::new() else { return };
    let _far = Running::python(OUTSIDE, &echo(7070, 7070));
    let capabilities = "+net_raw,+bpf,+perfmon";
    let inherited = format!("--inh-caps=-all,{capabilities}");
    let ambient = format!("--ambient-caps={capabilities}");
    let wrap = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        &inherited,
        &ambient,
        "env",
        "HOME=/nonexistent",
    ];
    let lines = watch(&wrap, "bpf", || {
        let _out = Running::python(BOX, &talk(23_000, "('10.97.9.2', 7070)"));
        thread::sleep(Duration::from_secs(4));
    });
    let found = lines.iter().find(|f| f["type"] == "flow" && f["dport"] == 7070).unwrap();
    assert_eq!(found["pid"], Value::Null, "{found}");
    let summary = lines.iter().find(|l| l["type"] == "summary").unwrap();
    let reason = summary["owner_reason"].as_str().unwrap_or_default();
    assert!(reason.contains("CAP_NET_ADMIN"), "{summary}");
}
