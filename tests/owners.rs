//! Owners of real connections: the program watches a veth pair, processes talk over it, and the export
//! must name the right one, or mark that it is not sure.
//!
//! `sudo -E cargo test --test owners -- --ignored --test-threads 1`
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs::File,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

const RUSTNET: &str = env!("CARGO_BIN_EXE_rustnet");
const OURS: &str = "10.97.8.1";
const NAMESPACE: &str = "owners-test";

/// A namespace with one end of a veth pair in it; gone with the value.
struct Link;

impl Link {
    fn new() -> Self {
        let _ = Command::new("ip").args(["netns", "del", NAMESPACE]).output();
        // A namespace takes a moment to go with all that is in it.
        let _ = Command::new("ip").args(["link", "del", "ownt0"]).output();
        for line in [
            "netns add owners-test",
            "link add ownt0 type veth peer name ownt1 netns owners-test",
            "addr add 10.97.8.1/24 dev ownt0",
            "link set ownt0 up",
            "-n owners-test addr add 10.97.8.2/24 dev ownt1",
            "-n owners-test link set ownt1 up",
        ] {
            let done = Command::new("ip").args(line.split(' ')).output().unwrap();
            assert!(done.status.success(), "ip {line}: {}", String::from_utf8_lossy(&done.stderr));
        }
        Self
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", NAMESPACE]).output();
    }
}

/// Runs Python here, or in the namespace; `HERE` and `THERE` are the two addresses. It says "ready".
fn python(there: bool, code: &str) -> Child {
    let code = format!(
        "import os, socket, sys, time, threading, ctypes\nHERE, THERE = '10.97.8.1', '10.97.8.2'\n{code}"
    );
    let mut command = match there {
        true => Command::new("ip"),
        false => Command::new("python3"),
    };
    if there {
        command.args(["netns", "exec", NAMESPACE, "python3"]);
    }
    command.args(["-c", &code]).stdout(Stdio::piped()).spawn().unwrap()
}

fn wait_ready(child: &mut Child) {
    use std::io::Read as _;
    let mut word = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ready");
}

/// Watches while `work` runs, and returns the lines of flows.
fn watch(method: &str, work: impl FnOnce()) -> Vec<Value> {
    let mut lines = watch_by(Command::new(RUSTNET).args(["-i", "ownt0", "--owners", method]), work);
    lines.retain(|v| v["type"] == "flow");
    lines
}

/// Watches by a program while `work` runs, and returns all lines.
fn watch_by(program: &mut Command, work: impl FnOnce()) -> Vec<Value> {
    watch_while(program, |_| work())
}

/// Watches by a program while `work` runs, which is given its pid, and returns all lines.
fn watch_while(program: &mut Command, work: impl FnOnce(&str)) -> Vec<Value> {
    let path = std::env::temp_dir().join(format!("rustnet-owners-{}.jsonl", std::process::id()));
    let mut program = program.arg("--headless").stdout(File::create(&path).unwrap()).spawn().unwrap();
    let start = Instant::now();
    while !std::fs::read_to_string(&path).unwrap().contains("header") && start.elapsed().as_secs() < 5 {
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_millis(1500));
    let pid = program.id().to_string();
    work(&pid);
    thread::sleep(Duration::from_millis(1500));
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    program.wait().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).collect()
}

/// The program as an ordinary user with some capabilities; needs a copy that this user may read.
fn as_nobody(program: &str, capabilities: &str) -> Command {
    let mut command = Command::new("setpriv");
    let given = ["inh", "ambient"].map(|set| format!("--{set}-caps=-all,{capabilities}"));
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).args(given);
    command.args(["env", "HOME=/nonexistent", program]);
    command
}

fn of_port(flows: &[Value], port: u16) -> &Value {
    let found = flows.iter().find(|f| f["sport"] == port || f["dport"] == port);
    found.unwrap_or_else(|| panic!("no flow of port {port}: {flows:?}"))
}

/// An echo server on the far side, TCP and UDP on port 7070.
const ECHO: &str = "
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((THERE, 7070))
def udp():
    while True:
        b, a = u.recvfrom(512); u.sendto(b, a)
threading.Thread(target=udp, daemon=True).start()
s = socket.socket(); s.setsockopt(1, 2, 1); s.bind((THERE, 7070)); s.listen(64)
print('ready', flush=True)
def serve(c):
    try:
        while True:
            b = c.recv(512)
            if not b: break
            c.send(b)
    except OSError: pass
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
";

fn with_echo(work: impl FnOnce()) {
    let link = Link::new();
    let mut echo = python(true, ECHO);
    wait_ready(&mut echo);
    work();
    echo.kill().unwrap();
    echo.wait().unwrap();
    drop(link);
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn short_connections_have_their_process() {
    with_echo(|| {
        let mut pids = Vec::new();
        let flows = watch("bpf", || {
            for n in 0..40u16 {
                let kind = if n % 2 == 0 { "STREAM" } else { "DGRAM" };
                let mut child = python(
                    false,
                    &format!(
                        "s = socket.socket(socket.AF_INET, socket.SOCK_{kind}); s.bind((HERE, {}))
s.connect((THERE, 7070)); s.send(b'x'); s.recv(1); s.close()",
                        21_000 + n
                    ),
                );
                pids.push(child.id());
                child.wait().unwrap();
            }
        });
        for (n, pid) in (0u16..).zip(&pids) {
            let flow = of_port(&flows, 21_000 + n);
            assert_eq!((&flow["pid"], &flow["owner_quality"]), (&(*pid).into(), &"exact".into()), "{flow}");
            assert!(flow["process"].as_str().unwrap().starts_with("python3"), "{flow}");
        }
    });
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn what_was_open_before_is_attributed_by_both_methods() {
    with_echo(|| {
        let mut client = python(
            false,
            "s = socket.socket(); s.bind((HERE, 21100)); s.connect((THERE, 7070)); print('ready', flush=True)
while True: s.send(b'x'); s.recv(1); time.sleep(0.3)",
        );
        wait_ready(&mut client);
        for method in ["bpf", "proc"] {
            let flows = watch(method, || {});
            let flow = of_port(&flows, 21_100);
            assert_eq!(flow["pid"], client.id(), "{method}: {flow}");
            assert_eq!(flow["owner_quality"], "exact", "{method}: {flow}");
        }
        client.kill().unwrap();
        client.wait().unwrap();
    });
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn a_socket_passed_to_another_process_is_whose_it_is_now() {
    with_echo(|| {
        let path = std::env::temp_dir().join(format!("rustnet-passed-{}", std::process::id()));
        let code = format!(
            "a, b = socket.socketpair(socket.AF_UNIX)
child = os.fork()
if child == 0:
    _, fds, _, _ = socket.recv_fds(b, 10, 1)
    s = socket.socket(fileno=fds[0]); s.send(b'y'); s.recv(1); time.sleep(2); os._exit(0)
open({path:?}, 'w').write(str(child))
s = socket.socket(); s.bind((HERE, 21200)); s.connect((THERE, 7070)); s.send(b'x'); s.recv(1)
socket.send_fds(a, [b'f'], [s.fileno()]); s.close(); os.wait()"
        );
        let flows = watch("bpf", || {
            python(false, &code).wait().unwrap();
        });
        let child: u32 = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        std::fs::remove_file(&path).unwrap();
        let flow = of_port(&flows, 21_200);
        assert_eq!(flow["pid"], child, "{flow}");
    });
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn listeners_that_share_a_port_each_own_what_they_accept() {
    let link = Link::new();
    // IPv4 over an IPv6 socket: mapped addresses, both families.
    let server = "
s = socket.socket(socket.AF_INET6); s.setsockopt(1, 15, 1); s.setsockopt(41, 26, 0); s.bind(('::', 21300)); s.listen(64)
print('ready', flush=True)
while True:
    c = s.accept()[0]; c.recv(1); c.send(str(os.getpid()).encode()); c.close()
";
    let mut servers = [python(false, server), python(false, server)];
    servers.iter_mut().for_each(wait_ready);
    let mut answers = String::new();
    let flows = watch("bpf", || {
        let out = python(
            true,
            "for n in range(20):
    s = socket.socket(); s.bind((THERE, 21310 + n)); s.connect((HERE, 21300)); s.send(b'x')
    print(21310 + n, s.recv(20).decode(), flush=True); s.close()",
        )
        .wait_with_output()
        .unwrap();
        answers = String::from_utf8(out.stdout).unwrap();
    });
    assert_eq!(answers.lines().count(), 20);
    for line in answers.lines() {
        let (port, pid) = line.split_once(' ').unwrap();
        let flow = of_port(&flows, port.parse().unwrap());
        assert_eq!(flow["dst"], OURS);
        assert_eq!(flow["pid"], pid.parse::<u32>().unwrap(), "{flow}");
    }
    for mut server in servers {
        server.kill().unwrap();
        server.wait().unwrap();
    }
    drop(link);
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn renaming_itself_changes_nothing_and_hostile_arguments_are_harmless() {
    with_echo(|| {
        let mut pid = 0;
        let flows = watch("bpf", || {
            let mut child = python(
                false,
                "ctypes.CDLL(None).prctl(15, b'\\x1b[2J evil', 0, 0, 0)
def talk():
    ctypes.CDLL(None).prctl(15, b'Socket Thread', 0, 0, 0)
    s = socket.socket(); s.bind((HERE, 21400)); s.connect((THERE, 7070)); s.send(b'x'); s.recv(1)
t = threading.Thread(target=talk); t.start(); t.join()",
            );
            pid = child.id();
            child.wait().unwrap();
            // 4 MB of arguments, which want a larger stack, and what a terminal would act on.
            let code = "import resource
resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
talk = 's = __import__(\"socket\").socket(); s.bind((\"10.97.8.1\", 21401)); '
talk += 's.connect((\"10.97.8.2\", 7070)); s.send(b\"x\"); s.recv(1)'
os.execv(sys.executable, ['python3', '-c', talk, '\\x1b[2J\\x9b31m\\n'] + ['x' * 100000] * 42)";
            assert!(python(false, code).wait().unwrap().success());
        });
        let flow = of_port(&flows, 21_400);
        assert_eq!(flow["pid"], pid, "{flow}");
        assert!(flow["process"].as_str().unwrap().starts_with("python3"), "{flow}");
        assert_eq!(flow["process_is_comm"], Value::Null);
        let flow = of_port(&flows, 21_401);
        assert!(flow["process"].as_str().unwrap().starts_with("python3"), "{flow}");
        assert!(flow["command"].as_str().unwrap().len() <= 1024);
    });
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn through_fork_and_exec_the_one_that_talks_is_named() {
    with_echo(|| {
        let mut output = Vec::new();
        let flows = watch("bpf", || {
            // A shell forks, the child executes bash, which talks.
            let done = Command::new("sh")
                .args([
                    "-c",
                    "sh -c 'exec bash -c \"echo \\$\\$; exec 3<>/dev/udp/10.97.8.2/7070; echo hello >&3; read -t 2 -u 3 x\"'; true",
                ])
                .output()
                .unwrap();
            output = done.stdout;
        });
        let pid: u32 = String::from_utf8(output).unwrap().trim().parse().unwrap();
        let flow = flows.iter().find(|f| f["proto"] == "UDP" && f["dport"] == 7070).unwrap();
        assert_eq!((&flow["pid"], &flow["process"]), (&pid.into(), &"bash".into()), "{flow}");
    });
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn threads_of_browsers_are_never_named() {
    const NAMES: [&str; 5] =
        ["Socket Thread", "Web Content", "MainThread", "ThreadPoolForeg", "Chrome_IOThread"];
    with_echo(|| {
        for (method, first) in [("bpf", 21_500), ("proc", 21_520)] {
            let mut pid = 0;
            let code = format!(
                "def talk(name, port):
    ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)
    s = socket.socket(); s.bind((HERE, port)); s.connect((THERE, 7070)); s.send(b'x'); s.recv(1); time.sleep(2)
names = 'Socket Thread,Web Content,MainThread,ThreadPoolForeg,Chrome_IOThread'.split(',')
for n in range(5): threading.Thread(target=talk, args=(names[n], {first} + n)).start()"
            );
            let flows = watch(method, || {
                let mut child = python(false, &code);
                pid = child.id();
                child.wait().unwrap();
            });
            for n in 0..5 {
                let flow = of_port(&flows, first + n);
                assert_eq!(flow["pid"], pid, "{method}: {flow}");
                assert!(flow["process"].as_str().unwrap().starts_with("python3"), "{method}: {flow}");
                let text = flow.to_string();
                assert!(NAMES.iter().all(|name| !text.contains(&format!("\"process\":\"{name}"))), "{text}");
            }
        }
    });
}

/// Starts programs until one has this pid.
fn with_pid(pid: u32, mut start: impl FnMut() -> Child) -> Option<Child> {
    for _ in 0..200 {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).ok()?;
        let mut child = start();
        if child.id() == pid {
            return Some(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    None
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn a_pid_that_is_used_again_is_another_process() {
    with_echo(|| {
        let mut pid = 0;
        let flows = watch("bpf", || {
            let mut first = python(
                false,
                "s = socket.socket(); s.bind((HERE, 21600)); s.connect((THERE, 7070)); s.send(b'x'); s.recv(1)",
            );
            pid = first.id();
            first.wait().unwrap();
            let second = with_pid(pid, || {
                Command::new("bash")
                    .args(["-c", "exec 3<>/dev/udp/10.97.8.2/7070; echo hello >&3; read -t 2 -u 3 x"])
                    .spawn()
                    .unwrap()
            });
            second.expect("the pid comes again").wait().unwrap();
        });
        let flow = of_port(&flows, 21_600);
        assert_eq!(flow["pid"], pid, "{flow}");
        assert!(flow["process"].as_str().unwrap().starts_with("python3"), "{flow}");
        let flow = flows.iter().find(|f| f["proto"] == "UDP" && f["dport"] == 7070).unwrap();
        assert_eq!((&flow["pid"], &flow["process"]), (&pid.into(), &"bash".into()), "{flow}");
    });
}

#[test]
#[ignore = "needs root, python3, setpriv: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn an_ordinary_user_finds_what_capabilities_allow_and_is_told_what_is_missing() {
    let copy = std::env::temp_dir().join(format!("rustnet-of-nobody-{}", std::process::id()));
    std::fs::copy(RUSTNET, &copy).unwrap();
    let program = copy.to_str().unwrap();
    with_echo(|| {
        let talk = |port: u16| {
            format!(
                "s = socket.socket(); s.setsockopt(1, 2, 1); s.bind((HERE, {port})); s.connect((THERE, 7070)); s.send(b'x'); s.recv(1)"
            )
        };
        let mut of_root = 0;
        let lines = watch_by(as_nobody(program, "+net_raw,+bpf,+perfmon").args(["-i", "ownt0"]), || {
            let mut child = python(false, &talk(21_700));
            of_root = child.id();
            child.wait().unwrap();
        });
        let summary = lines.iter().find(|l| l["type"] == "summary").unwrap();
        assert_eq!((&summary["owners"], &summary["owner_reason"]), (&"bpf".into(), &Value::Null));
        let flow = of_port(&lines, 21_700);
        assert_eq!((&flow["pid"], &flow["owner_quality"]), (&of_root.into(), &"exact".into()), "{flow}");
        assert!(flow["exe"].as_str().unwrap().contains("/python3"), "{flow}");

        let mut of_nobody = 0;
        let lines = watch_by(as_nobody(program, "+net_raw").args(["-i", "ownt0"]), || {
            let mut root = python(false, &format!("{}; time.sleep(3)", talk(21_701)));
            let mut nobody = Command::new("setpriv")
                .args(["--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-c"])
                .arg("exec 3<>/dev/tcp/10.97.8.2/7070; echo hello >&3; read -u 3 x; read -t 3 -u 3 y; true")
                .spawn()
                .unwrap();
            of_nobody = nobody.id();
            root.wait().unwrap();
            nobody.wait().unwrap();
        });
        let summary = lines.iter().find(|l| l["type"] == "summary").unwrap();
        assert_eq!(summary["owners"], "proc");
        assert_eq!(summary["owner_reason"], "CAP_BPF and CAP_PERFMON missing");
        let flow = of_port(&lines, 21_701);
        assert_eq!((&flow["pid"], &flow["owner_quality"]), (&Value::Null, &"user".into()), "{flow}");
        let flow = lines.iter().find(|f| f["dport"] == 7070 && f["sport"] != 21_701).unwrap();
        assert_eq!((&flow["pid"], &flow["owner_quality"]), (&of_nobody.into(), &"exact".into()), "{flow}");
    });
    std::fs::remove_file(&copy).unwrap();
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn events_that_find_the_ring_full_are_counted_and_a_pass_repairs_them() {
    let link = Link::new();
    let mut pid = 0;
    // The ring holds about sixty sockets; three hundred come at once, and only once.
    let code = "all = []
for n in range(300): s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((HERE, 22000 + n)); all.append(s)
for s in all: s.sendto(b'x', (THERE, 9))
time.sleep(4)";
    let mut program = Command::new(RUSTNET);
    program.args(["-i", "ownt0", "--owners", "bpf"]).env("RUSTNET_BPF_RING", "4096");
    let lines = watch_by(&mut program, || {
        let mut child = python(false, code);
        pid = child.id();
        thread::sleep(Duration::from_millis(3500));
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let summary = lines.iter().find(|l| l["type"] == "summary").unwrap();
    assert_eq!(summary["owners"], "bpf");
    let lost = summary["owner_events_lost"].as_u64().unwrap();
    assert!(lost > 100, "{summary}");
    let flows: Vec<Value> = lines.into_iter().filter(|l| l["type"] == "flow").collect();
    for n in 0..300 {
        let flow = of_port(&flows, 22_000 + n);
        assert_eq!((&flow["pid"], &flow["owner_quality"]), (&pid.into(), &"exact".into()), "{flow}");
    }
    drop(link);
}

/// More connects than the rings of their CPUs hold, while nobody reads: the others are told in the ring that
/// all share, and all come in order. Of every pair of connections from one port the first is over before.
#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn connects_that_find_their_ring_full_are_told_all_the_same() {
    let link = Link::new();
    for line in ["addr add fd97::1/64 dev ownt0 nodad", "-n owners-test addr add fd97::2/64 dev ownt1 nodad"]
    {
        assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success());
    }
    let mut server = python(
        true,
        "s = socket.create_server(('::', 7071), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
print('ready', flush=True)
while True: s.accept()[0].close()",
    );
    wait_ready(&mut server);
    let code = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
def one(family, here, there, port):
    s = socket.socket(family); s.setsockopt(1, 2, 1); s.setsockopt(1, 13, b'\\x01\\0\\0\\0\\0\\0\\0\\0')
    s.bind((here, port)); s.connect((there, 7071)); return s
def both(port):
    return one(socket.AF_INET, HERE, THERE, port), one(socket.AF_INET6, 'fd97::1', 'fd97::2', port)
os.sched_setaffinity(0, {0})
os.kill(int(os.environ['WATCHER']), 19)
held = []
for port in range(24000, 24700):
    for s in both(port): s.close()
    held.append(both(port))
os.kill(int(os.environ['WATCHER']), 18)
time.sleep(2)";
    let mut talks = 0;
    let lines = watch_while(Command::new(RUSTNET).args(["-i", "ownt0", "--owners", "bpf"]), |watcher| {
        let code = format!("os.environ['WATCHER'] = '{watcher}'\n{code}");
        let mut child = python(false, &code);
        talks = child.id();
        assert!(child.wait().unwrap().success());
    });
    server.kill().unwrap();
    server.wait().unwrap();
    let summary = lines.iter().find(|l| l["type"] == "summary").unwrap();
    assert_eq!((&summary["owners"], &summary["owner_events_lost"]), (&"bpf".into(), &0.into()), "{summary}");
    let flows: Vec<_> = lines.iter().filter(|l| l["dport"] == 7071).collect();
    let wrong = flows.iter().filter(|f| f["pid"] != talks || f["owner_quality"] != "exact");
    assert_eq!((flows.len(), wrong.count()), (4 * 700, 0));
    drop(link);
}

#[test]
#[ignore = "needs root and python3: sudo -E cargo test --test owners -- --ignored --test-threads 1"]
fn what_the_kernel_answers_is_the_kernels() {
    let link = Link::new();
    let flows = watch("bpf", || {
        // An echo request (RFC 792) from the other side.
        let code = "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.sendto(bytes([8, 0, 0xf7, 0xfe, 0, 1, 0, 0]), (HERE, 0)); s.settimeout(2); s.recv(100)";
        assert!(python(true, code).wait().unwrap().success());
    });
    let flow = flows.iter().find(|f| f["proto"] == "ICMP").unwrap();
    assert_eq!((&flow["kernel"], &flow["pid"]), (&true.into(), &Value::Null), "{flow}");
    let flow = flows.iter().find(|f| f["proto"] == "ARP").unwrap();
    assert_eq!(flow["kernel"], true, "{flow}");
    drop(link);
}
