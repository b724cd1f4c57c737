//! Links of a test's own: veth pairs in network namespaces of its threads, which vanish with the thread, whatever
//! happens. Nothing leaves them.
#![allow(dead_code, reason = "each user needs a part")]

use std::{
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustnet::{
    base::time::Nanos,
    capture::source::{Progress, Source, SourceStatus},
    packet::parse::FrameMeta,
    platform::live::{self, Live, LiveConfig, LiveSource, Method, Watch},
};

pub const MS: u64 = 1_000_000;

/// Runs `test` in a network namespace of its own, without IPv6's own chatter, loopback up.
pub fn in_namespace<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let run = thread::spawn(move || {
        enter_namespace();
        test()
    });
    run.join().unwrap_or_else(|e| std::panic::resume_unwind(e))
}

pub fn enter_namespace() {
    // SAFETY: no pointers; the thread has no sockets yet.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "unshare: {}", std::io::Error::last_os_error());
    for scope in ["all", "default"] {
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
    ip("link set lo up");
}

pub fn ip(args: &str) {
    let done = Command::new("ip").args(args.split(' ')).output().unwrap();
    assert!(done.status.success(), "ip {args}: {}", String::from_utf8_lossy(&done.stderr));
}

/// rnla <-> rnlb, both up.
pub fn veth() {
    ip("link add rnla type veth peer name rnlb");
    ip("link set rnla up");
    ip("link set rnlb up");
}

/// A raw socket that only sends.
pub struct Sender(OwnedFd, libc::sockaddr_ll);

impl Sender {
    pub fn on(name: &str) -> Self {
        let index = std::ffi::CString::new(name).unwrap();
        // SAFETY: a C string; integers otherwise.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
            assert!(fd >= 0);
            let mut to: libc::sockaddr_ll = std::mem::zeroed();
            to.sll_family = libc::AF_PACKET as u16;
            to.sll_ifindex = libc::if_nametoindex(index.as_ptr()) as i32;
            assert!(to.sll_ifindex > 0, "{name}");
            Self(OwnedFd::from_raw_fd(fd), to)
        }
    }

    pub fn send(&self, frame: &[u8]) {
        // SAFETY: buffer and address are valid during the call.
        let n = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const self.1).cast(),
                size_of_val(&self.1) as u32,
            )
        };
        assert_eq!(n, frame.len() as isize, "{}", std::io::Error::last_os_error());
    }
}

/// A frame as it came out of a source.
#[derive(Clone, Debug)]
pub struct Seen {
    pub bytes: Vec<u8>,
    pub meta: FrameMeta,
}

pub fn open(config: &LiveConfig, threads: usize) -> Vec<LiveSource> {
    let Live { sources, notes, .. } = live::open(config, threads).map_err(|e| e.to_string()).unwrap();
    assert_eq!(notes, [""; 0]);
    sources
}

pub fn open_one(name: &str) -> LiveSource {
    open(&named(name), 1).remove(0)
}

pub fn named(name: &str) -> LiveConfig {
    config(Watch::Named(vec![name.into()]))
}

/// The way of capture that is tested: `RUSTNET_CAPTURE=bpf`, by default af-packet.
pub fn config(watch: Watch) -> LiveConfig {
    let method = match std::env::var("RUSTNET_CAPTURE").as_deref() {
        Ok("bpf") => Method::Bpf,
        _ => Method::AfPacket,
    };
    LiveConfig { method, ..LiveConfig::new(watch) }
}

/// Takes frames until `enough` have come, or 2 s have gone.
pub fn take(source: &mut LiveSource, enough: usize) -> Vec<Seen> {
    let (mut seen, start) = (Vec::new(), Instant::now());
    while seen.len() < enough && start.elapsed() < Duration::from_secs(2) {
        if source.burst(32, |b, m| seen.push(Seen { bytes: b.to_vec(), meta: *m })) == Progress::Idle {
            source.wait(Nanos(MS));
        }
    }
    seen
}

/// Stops the source and takes the rest.
pub fn finish(source: &mut LiveSource) -> (Vec<Seen>, SourceStatus) {
    source.stop();
    let (mut seen, start) = (Vec::new(), Instant::now());
    loop {
        match source.burst(32, |b, m| seen.push(Seen { bytes: b.to_vec(), meta: *m })) {
            Progress::Frames => {}
            Progress::Idle => source.wait(Nanos(MS)),
            Progress::End => break,
        }
        assert!(start.elapsed() < Duration::from_secs(5), "no end");
    }
    let status = status(source);
    (seen, status)
}

pub fn status(source: &mut LiveSource) -> SourceStatus {
    let mut status = SourceStatus::default();
    source.status(&mut status);
    status
}

/// Two namespaces, rnla 10.9.0.1 here and rnlb 10.9.0.2 in a thread that runs `there`.
pub fn two_hosts(there: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    let (tid_out, tid) = mpsc::channel();
    let (go, ready) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        enter_namespace();
        // SAFETY: no arguments.
        tid_out.send(unsafe { libc::gettid() }).unwrap();
        ready.recv().unwrap();
        ip("addr add 10.9.0.2/24 dev rnlb");
        ip("link set rnlb up");
        there();
    });
    ip("link add rnla type veth peer name rnlb");
    ip(&format!("link set rnlb netns {}", tid.recv().unwrap()));
    ip("addr add 10.9.0.1/24 dev rnla");
    ip("link set rnla up");
    go.send(()).unwrap();
    other
}

/// Ethernet frame with tags (TPID, TCI) and what follows them.
pub fn ethernet(tags: &[(u16, u16)], ethertype: u16, rest: &[u8]) -> Vec<u8> {
    let mut f = vec![0xff; 6];
    f.extend_from_slice(&[2, 0, 0, 0, 0, 1]);
    for (tpid, tci) in tags {
        f.extend_from_slice(&tpid.to_be_bytes());
        f.extend_from_slice(&tci.to_be_bytes());
    }
    f.extend_from_slice(&ethertype.to_be_bytes());
    f.extend_from_slice(rest);
    f
}

/// Numbered frame of an experimental ethertype that no stack answers.
pub fn numbered(n: u32, len: usize) -> Vec<u8> {
    let mut rest = n.to_be_bytes().to_vec();
    rest.resize(len - 14, n as u8);
    ethernet(&[], 0x88b5, &rest)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    V4,
    V6,
    Vlan,
    QinQ,
    Icmp,
    Arp,
    FragmentedUdp,
}

/// A frame of flow `n`, there or back.
pub fn flow(kind: Kind, n: u16, back: bool) -> Vec<u8> {
    let [hi, lo] = n.to_be_bytes();
    let mut ends = [([10, 1, hi, lo], 40_000 + n % 1000), ([10, 2, 0, 1], 443u16)];
    if back {
        ends.reverse();
    }
    let [(source, sport), (destination, dport)] = ends;
    let ports = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    let v4 = |protocol: u8, fragment: [u8; 2]| {
        let mut p = vec![0x45, 0, 0, 60, 0, 1, fragment[0], fragment[1], 64, protocol, 0, 0];
        p.extend_from_slice(&source);
        p.extend_from_slice(&destination);
        p.extend_from_slice(&ports);
        p.resize(60, 0);
        p
    };
    match kind {
        Kind::V4 => ethernet(&[], 0x0800, &v4(6, [0x40, 0])),
        Kind::Vlan => ethernet(&[(0x8100, 5)], 0x0800, &v4(17, [0, 0])),
        Kind::QinQ => ethernet(&[(0x88a8, 5), (0x8100, 6)], 0x0800, &v4(6, [0, 0])),
        Kind::Icmp => ethernet(&[], 0x0800, &v4(1, [0, 0])),
        Kind::FragmentedUdp => ethernet(&[], 0x0800, &v4(17, [0, if back { 0x20 } else { 0x10 }])),
        Kind::Arp => {
            let mut p = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1];
            p.extend_from_slice(&source);
            p.extend_from_slice(&[0; 6]);
            p.extend_from_slice(&destination);
            p.resize(46, 0);
            ethernet(&[], 0x0806, &p)
        }
        Kind::V6 => {
            let mut p = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
            for host in [source, destination] {
                p.extend_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
                p.extend_from_slice(&host);
            }
            p.extend_from_slice(&ports);
            p.resize(60, 0);
            ethernet(&[], 0x86dd, &p)
        }
    }
}
