//! Settled flows that the programs count where they pass, against the same flows captured frame by frame.
//!
//! `sudo -E cargo test --test counted -- --ignored`
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "namespaces, cores of threads")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

#[path = "common/engine.rs"]
mod engine;
#[path = "common/links.rs"]
mod links;

use links::{Kind, MS, Sender, flow, in_namespace, named, two_hosts};
use rustnet::{
    base::{ids::Epoch, time::Nanos},
    pipeline::launch::EngineConfig,
    platform::live::{self, LiveConfig, Method, Tally},
};

/// Where the frames of a connection are sent and taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cores {
    /// On one core at a time: both ends go from core to core together, while nothing is on the way.
    OneByOne,
    /// Wherever the system has them, at once on several.
    Any,
}

/// Binds the calling thread to a core.
fn stay_on(core: usize) {
    // SAFETY: a set of bits, which is valid for the call; 0 is this thread.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

/// Returns the core that took in the last frame of a connection.
fn core_of(stream: &TcpStream) -> usize {
    let (mut core, mut size) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: a number and its size, both valid for the call.
    let done = unsafe {
        let (level, name) = (libc::SOL_SOCKET, libc::SO_INCOMING_CPU);
        libc::getsockopt(stream.as_raw_fd(), level, name, (&raw mut core).cast(), &raw mut size)
    };
    assert_eq!(done, 0);
    core as usize
}

/// Answers connections with what they say.
fn echo(listener: &TcpListener, cores: Cores) {
    for stream in listener.incoming() {
        thread::spawn(move || {
            let (mut stream, mut buffer) = (stream.unwrap(), vec![0; 1 << 16]);
            let mut core = None;
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                if cores == Cores::OneByOne && core != Some(core_of(&stream)) {
                    core = Some(core_of(&stream));
                    stay_on(core_of(&stream));
                }
                if stream.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
        });
    }
}

/// Connections of both kinds: some short, some that settle, some that end by a RST, one that goes quiet.
fn talk_to_the_other_host(cores: Cores) {
    let count = thread::available_parallelism().unwrap().get();
    let tcp = move |first: usize, rounds: usize, size: usize, resets: bool| {
        let stay = |round: usize| {
            if cores == Cores::OneByOne {
                stay_on((first + round / 50) % count);
            }
        };
        stay(0);
        let mut stream = TcpStream::connect("10.9.0.2:7000").unwrap();
        let (data, mut back) = (vec![7; size], vec![0; size]);
        for round in 0..rounds {
            // Of small ones nothing is on the way between two rounds.
            if size <= 100 && round % 50 == 0 {
                stay(round);
            }
            let mut sender = stream.try_clone().unwrap();
            thread::scope(|scope| {
                scope.spawn(|| sender.write_all(&data).unwrap());
                stream.read_exact(&mut back).unwrap();
            });
        }
        if resets {
            // Unread data makes it a RST.
            stream.write_all(&data).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
    };
    let udp = |datagrams: usize, size: usize| {
        let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        socket.connect("10.9.0.2:7001").unwrap();
        for _ in 0..datagrams {
            socket.send(&vec![7; size]).unwrap();
            let _ = socket.recv(&mut [0; 2048]);
        }
    };
    let mut talks: Vec<thread::JoinHandle<()>> = Vec::new();
    for n in 0..6 {
        talks.push(thread::spawn(move || {
            for (rounds, size) in [(5, 1), (3000, 100), (400, 30_000), (1, 2_000_000)] {
                tcp(n, rounds, size, n % 2 == 0);
            }
        }));
        talks.push(thread::spawn(move || {
            for (datagrams, size) in [(3, 20), (5000, 400), (900, 1400)] {
                udp(datagrams, size);
            }
        }));
    }
    talks.into_iter().for_each(|talk| talk.join().unwrap());
}

#[test]
#[ignore = "needs root: cargo test --test counted -- --ignored"]
fn settled_flows_are_counted_as_if_they_were_captured() {
    compare_counted_with_captured(Cores::OneByOne);
}

/// Where two cores take in frames of one connection at once, each of two observers sees them in an order of its own: its
/// program runs on one core before, on the other behind the other observer's. Two captures that copy everything differ
/// so in one run of five. So which segments came behind later ones is compared above alone.
#[test]
#[ignore = "needs root: cargo test --test counted -- --ignored"]
fn settled_flows_of_which_several_cores_take_in_frames_at_once_lose_none_of_them() {
    compare_counted_with_captured(Cores::Any);
}

fn compare_counted_with_captured(cores: Cores) {
    in_namespace(move || {
        let (listening, listens) = mpsc::channel();
        let other = two_hosts(move || {
            let listener = TcpListener::bind("10.9.0.2:7000").unwrap();
            let socket = UdpSocket::bind("10.9.0.2:7001").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            listening.send(()).unwrap();
            thread::spawn(move || echo(&listener, cores));
            let mut buffer = [0; 2048];
            while let Ok((n, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..n], from);
            }
        });
        listens.recv().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let watch = |tally: Tally| {
            let live = live::open(&LiveConfig { method: Method::Bpf, tally, ..named("rnla") }, 1).unwrap();
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let config = EngineConfig {
                    host: rustnet::platform::host(Vec::new()),
                    // Nothing is lost between rx and worker.
                    fused: true,
                    cut_interval: Nanos(150 * MS),
                    ..engine::config()
                };
                let mut counted = 0;
                let run = engine::run_with(config, live.sources, |engine| {
                    while !stop.load(Ordering::Relaxed) {
                        thread::sleep(Duration::from_millis(20));
                        let Some(snapshot) =
                            engine.publication().wait_after(Epoch(0), Duration::from_millis(200))
                        else {
                            continue;
                        };
                        assert!(snapshot.accounts.conserved());
                        counted = snapshot.sources[0].counting.unwrap_or_default().frames;
                    }
                    engine.stop();
                });
                (run, counted)
            })
        };
        let none = Tally { udp: false, tcp: false, tagged: true };
        let [captured, counted] = [watch(none), watch(Tally::default())];
        thread::sleep(Duration::from_millis(300));
        talk_to_the_other_host(cores);
        thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
        let [(captured, no_frames), (counted, frames)] = [captured, counted].map(|w| w.join().unwrap());
        other.join().unwrap();
        assert_eq!(no_frames, 0);
        for run in [&captured, &counted] {
            assert_eq!(run.last().accounts.drops.total(), 0);
        }
        let facts = |run: &engine::Run| {
            let mut flows: Vec<_> = run
                .flows_where(|r| r.hot.key.ports.iter().any(|p| matches!(p, 7000 | 7001)))
                .iter()
                .map(|r| {
                    let (hot, facts) = (r.hot, r.facts);
                    let has_order = cores == Cores::OneByOne;
                    let lost = (facts.retransmits, has_order.then_some(facts.out_of_order));
                    (
                        hot.key.word(),
                        hot.frames,
                        hot.bytes,
                        facts.extra_packets,
                        hot.state.text(Nanos(0)),
                        lost,
                    )
                })
                .collect();
            flows.sort();
            flows
        };
        let (captured, counted) = (facts(&captured), facts(&counted));
        assert_eq!(captured.len(), 42);
        assert_eq!(captured, counted);
        let all: u64 = counted.iter().map(|flow| flow.1.iter().sum::<u64>()).sum();
        assert!(frames > all / 2, "{frames} of {all} were counted");
    });
}

/// A datagram that says what it is each time (RFC 5424 section 6.5).
const SYSLOG: &[u8] = b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed";

#[test]
#[ignore = "needs root: cargo test --test counted -- --ignored"]
fn a_counted_flow_that_was_evicted_gets_its_label_again() {
    in_namespace(|| {
        let (listening, listens) = mpsc::channel();
        let other = two_hosts(move || {
            let socket = UdpSocket::bind("10.9.0.2:7001").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
            listening.send(()).unwrap();
            let mut buffer = [0; 2048];
            while let Ok((n, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..n], from);
            }
        });
        listens.recv().unwrap();
        let live = live::open(&LiveConfig { method: Method::Bpf, ..named("rnla") }, 1).unwrap();
        let config = EngineConfig {
            host: rustnet::platform::host(Vec::new()),
            fused: true,
            cut_interval: Nanos(100 * MS),
            max_flows: 64,
            ..engine::config()
        };
        let mut counted = [0; 2];
        let run = engine::run_with(config, live.sources, |engine| {
            let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            socket.connect("10.9.0.2:7001").unwrap();
            let talk = || {
                for _ in 0..150 {
                    socket.send(SYSLOG).unwrap();
                    let _ = socket.recv(&mut [0; 2048]);
                    thread::sleep(Duration::from_millis(4));
                }
            };
            let counts = || {
                let newest = engine.publication().wait_after(Epoch(0), Duration::from_millis(500)).unwrap();
                newest.sources[0].counting.unwrap_or_default().frames
            };
            talk();
            counted[0] = counts();
            thread::sleep(Duration::from_millis(1200));
            // Flows with two packets each, so that the one that is silent for longest has to go.
            let flood = Sender::on("rnla");
            for n in 0..200 {
                (0..2).for_each(|_| flood.send(&flow(Kind::Vlan, n, false)));
            }
            thread::sleep(Duration::from_millis(200));
            talk();
            counted[1] = counts();
            engine.stop();
        });
        other.join().unwrap();
        assert!(counted[0] > 50 && counted[1] > counted[0] + 50, "{counted:?} were counted");
        assert_eq!(run.last().accounts.drops.total(), 0);
        let text = String::from_utf8(run.jsonl).unwrap();
        let ours: Vec<&str> = text.lines().filter(|line| line.contains(":7001,")).collect();
        assert_eq!(ours.len(), 2, "{ours:#?}");
        for (line, end) in ours.iter().zip(["evicted", "eof"]) {
            let has = |part: &str| line.contains(part);
            assert!(has(&format!("\"end\":\"{end}\"")) && has("\"app\":\"SYSLOG\""), "{line}");
        }
    });
}
