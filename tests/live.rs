//! AF_PACKET capture on real links: veth pairs in network namespaces of the test's own threads,
//! which vanish with the thread, whatever happens. Nothing leaves them.
//!
//! `sudo -E cargo test --test live -- --ignored`
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "namespaces, raw sockets")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

#[path = "common/links.rs"]
mod links;

use links::{
    Kind, MS, Seen, Sender, config, ethernet, finish, flow, in_namespace, ip, named, numbered, open,
    open_one, status, take, two_hosts, veth,
};

use rustnet::{
    base::{ids::IfaceId, time::Nanos},
    capture::source::{InterfaceState, Progress, Source},
    packet::link::LinkType,
    platform::live::{self, Live, LiveConfig, LiveSource, Method, RingConfig, Watch},
};

/// Waits until the state of the first interface is as wanted, taking (and counting) frames meanwhile.
fn wait_state(source: &mut LiveSource, what: &str, wanted: fn(InterfaceState) -> bool) -> usize {
    let (start, mut frames) = (Instant::now(), 0);
    loop {
        while source.burst(32, |_, _| frames += 1) == Progress::Frames {}
        source.wait(Nanos(MS));
        let state = status(source).interfaces[0].state;
        if wanted(state) {
            return frames;
        }
        assert!(start.elapsed() < Duration::from_secs(3), "not {what}: {state:?}");
    }
}

fn is_up(s: InterfaceState) -> bool {
    s == InterfaceState::Up
}

fn is_down(s: InterfaceState) -> bool {
    matches!(s, InterfaceState::Down(_))
}

fn is_gone(s: InterfaceState) -> bool {
    matches!(s, InterfaceState::Gone(_))
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn every_frame_comes_once_in_order_with_its_bytes_direction_and_time() {
    in_namespace(|| {
        veth();
        let mut source = open_one("rnlb");
        let (a, b) = (Sender::on("rnla"), Sender::on("rnlb"));
        let len = |n: u32| 60 + n as usize * 37 % 1455;
        let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        for n in 0..3000 {
            if n % 3 == 2 { b.send(&numbered(n, len(n))) } else { a.send(&numbered(n, len(n))) }
        }
        let mut seen = take(&mut source, 3000);
        let (rest, status) = finish(&mut source);
        seen.extend(rest);
        assert_eq!(seen.len(), 3000);
        let mut last = before.as_nanos() as u64;
        for (n, s) in seen.iter().enumerate() {
            let n = n as u32;
            assert_eq!(s.bytes, numbered(n, len(n)), "frame {n}");
            assert_eq!(s.meta.wire_len as usize, len(n));
            assert_eq!(s.meta.outgoing, n % 3 == 2, "frame {n}");
            assert_eq!((s.meta.iface, s.meta.link), (IfaceId(0), LinkType::ETHERNET));
            assert_eq!((s.meta.gso_size, s.meta.stripped_vlan, s.meta.loopback), (0, None, false));
            assert!(s.meta.wall.0 >= last && s.meta.wall.0 < last + 5_000 * MS, "frame {n}");
            last = s.meta.wall.0;
        }
        assert!(seen.iter().any(|s| s.meta.wall.0 % 1000 != 0), "nanoseconds");
        assert_eq!((status.kernel_frames, status.kernel_drops), (3000, 0));
        assert_eq!(status.interfaces.len(), 1);
        let method = std::env::var("RUSTNET_CAPTURE").unwrap_or_else(|_| "af-packet".to_owned());
        assert_eq!((status.method, status.interfaces[0].name.as_str()), (method.as_str(), "rnlb"));
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn the_outer_tag_is_told_and_inner_tags_stay_in_the_frame() {
    in_namespace(|| {
        veth();
        let mut source = open_one("rnlb");
        let a = Sender::on("rnla");
        let rest = [7u8; 60];
        let (q, ad) = (0x8100, 0x88a8);
        a.send(&ethernet(&[(q, 0xa005)], 0x88b5, &rest));
        a.send(&ethernet(&[(ad, 100), (q, 200)], 0x88b5, &rest));
        a.send(&ethernet(&[(q, 0)], 0x88b5, &rest)); // a priority tag
        Sender::on("rnlb").send(&ethernet(&[(q, 9)], 0x88b5, &rest));
        let seen = take(&mut source, 4);
        // What the kernel took off plus what is left is what was sent.
        let put_back = |s: &Seen| {
            let mut bytes = s.bytes.clone();
            if let Some((tpid, tci)) = s.meta.stripped_vlan {
                bytes.splice(12..12, tpid.to_be_bytes().into_iter().chain(tci.to_be_bytes()));
            }
            bytes
        };
        assert_eq!(put_back(&seen[0]), ethernet(&[(q, 0xa005)], 0x88b5, &rest));
        assert_eq!(seen[0].meta.stripped_vlan, Some((q, 0xa005)));
        assert_eq!(seen[0].meta.wire_len, 74, "without the tag");
        assert_eq!(put_back(&seen[1]), ethernet(&[(ad, 100), (q, 200)], 0x88b5, &rest));
        assert_eq!(seen[1].meta.stripped_vlan, Some((ad, 100)));
        assert_eq!(put_back(&seen[2]), ethernet(&[(q, 0)], 0x88b5, &rest));
        assert_eq!(put_back(&seen[3]), ethernet(&[(q, 9)], 0x88b5, &rest));
        assert!(seen[3].meta.outgoing);
    });
}

/// Bytes of TCP payload of an IPv4 frame.
fn tcp_payload(s: &Seen) -> Option<u64> {
    let ip = s.bytes.get(14..)?;
    let is_tcp = s.bytes[12..14] == [8, 0] && ip[9] == 6;
    let header = 14 + usize::from(ip[0] & 15) * 4;
    let tcp = usize::from(s.bytes.get(header + 12)? >> 4) * 4;
    is_tcp.then(|| u64::from(s.meta.wire_len) - (header + tcp) as u64)
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn super_frames_come_with_their_segment_size() {
    const BYTES: u64 = 20 << 20;
    in_namespace(|| {
        let (listening, listens) = mpsc::channel();
        let other = two_hosts(move || {
            let listener = TcpListener::bind("10.9.0.2:7000").unwrap();
            listening.send(()).unwrap();
            let mut total = 0;
            let (mut stream, mut buffer) = (listener.accept().unwrap().0, vec![0; 1 << 16]);
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                total += n as u64;
            }
            assert_eq!(total, BYTES);
        });
        listens.recv().unwrap();
        let mut source = open_one("rnla");
        let sender = thread::spawn({
            // A thread made here lives in this namespace.
            move || {
                let mut stream = TcpStream::connect("10.9.0.2:7000").unwrap();
                for _ in 0..BYTES >> 16 {
                    stream.write_all(&[1; 1 << 16]).unwrap();
                }
            }
        });
        let mut seen = Vec::new();
        while !sender.is_finished() {
            source.burst(64, |b, m| seen.push(Seen { bytes: b[..b.len().min(128)].to_vec(), meta: *m }));
            source.wait(Nanos(MS / 10));
        }
        sender.join().unwrap();
        other.join().unwrap();
        let (rest, status) = finish(&mut source);
        seen.extend(rest);
        assert_eq!(status.kernel_frames, seen.len() as u64 + status.kernel_drops);
        assert_eq!(status.kernel_drops, 0);
        let data: Vec<_> = seen.iter().filter(|s| s.meta.outgoing && tcp_payload(s) > Some(0)).collect();
        let bytes: u64 = data.iter().filter_map(|s| tcp_payload(s)).sum();
        assert!((BYTES..BYTES + BYTES / 50).contains(&bytes), "{bytes} of {BYTES}");
        let supers: Vec<_> = data.iter().filter(|s| s.meta.wire_len > 1514).collect();
        assert!(!supers.is_empty());
        assert!(supers.iter().all(|s| (500..=1460).contains(&s.meta.gso_size)), "each tells its segments");
        assert!(data.iter().filter(|s| s.meta.wire_len <= 1514).all(|s| s.meta.gso_size == 0));
        let segments: u64 = data
            .iter()
            .map(|s| match s.meta.gso_size {
                0 => 1,
                size => tcp_payload(s).unwrap().div_ceil(u64::from(size)),
            })
            .sum();
        let least = bytes / 1448;
        assert!((least..least + least / 10).contains(&segments), "{segments} for {bytes} bytes");
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn udp_super_frames_are_not_lost() {
    in_namespace(|| {
        let other = two_hosts(|| thread::sleep(Duration::from_millis(300)));
        let mut source = open_one("rnla");
        let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
        let size = 1200i32;
        // SAFETY: the value is valid during the call.
        unsafe {
            let value = (&raw const size).cast();
            assert_eq!(libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, 4), 0);
        }
        thread::sleep(Duration::from_millis(50));
        for _ in 0..10 {
            let _ = socket.send_to(&[3; 12_100], "10.9.0.2:9");
        }
        other.join().unwrap();
        let (seen, status) = finish(&mut source);
        let supers: Vec<_> = seen.iter().filter(|s| s.meta.wire_len == 14 + 28 + 12_100).collect();
        assert_eq!(supers.len(), 10, "of {}", seen.len());
        assert!(supers.iter().all(|s| s.meta.gso_size == 1200 && s.meta.outgoing));
        assert_eq!((status.kernel_frames, status.kernel_drops), (seen.len() as u64, 0));
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn what_a_tiny_ring_loses_is_counted_to_the_frame() {
    in_namespace(|| {
        veth();
        let ring = RingConfig { block_size: 4 << 12, blocks: 4, retire_ms: 4 };
        let mut source = open(&LiveConfig { ring: Some(ring), ..named("rnlb") }, 1).remove(0);
        let a = Sender::on("rnla");
        let mut taken = 0;
        for round in 0..5u32 {
            for n in 0..4000 {
                a.send(&numbered(round * 4000 + n, 200));
            }
            taken += take(&mut source, 10).len() as u64;
            let s = status(&mut source);
            assert_eq!(s.kernel_frames, u64::from(round + 1) * 4000);
        }
        let (rest, status) = finish(&mut source);
        taken += rest.len() as u64;
        assert!(status.kernel_drops > 10_000, "{}", status.kernel_drops);
        assert_eq!(taken + status.kernel_drops, status.kernel_frames);
        assert_eq!(status.kernel_frames, 20_000);
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn nothing_is_counted_after_the_stop_while_traffic_goes_on() {
    in_namespace(|| {
        veth();
        let sources = open(&named("rnlb"), 2);
        let (stop, stopped) = mpsc::channel::<()>();
        let flood = thread::spawn(move || {
            let a = Sender::on("rnla");
            let mut n = 0u16;
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                a.send(&flow(Kind::V4, n, false));
                n = n.wrapping_add(1);
            }
        });
        for mut source in sources {
            let taken = take(&mut source, 5000).len();
            assert!(taken >= 5000);
            let (rest, status) = finish(&mut source);
            let taken = (taken + rest.len()) as u64;
            assert_eq!(taken + status.kernel_drops, status.kernel_frames);
            assert_eq!(self::status(&mut source).kernel_frames, status.kernel_frames);
        }
        stop.send(()).unwrap();
        flood.join().unwrap();
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn a_quiet_link_shows_its_frame_soon_and_waiting_does_not_spin() {
    in_namespace(|| {
        veth();
        let mut source = open_one("rnlb");
        let a = Sender::on("rnla");
        let mut delays = Vec::new();
        for n in 0..20 {
            thread::sleep(Duration::from_millis(3 + n as u64));
            let sent = Instant::now();
            a.send(&numbered(n, 60));
            let mut frames = 0;
            while frames == 0 {
                source.wait(Nanos(100 * MS));
                source.burst(32, |_, _| frames += 1);
                assert!(sent.elapsed() < Duration::from_secs(1));
            }
            delays.push(sent.elapsed());
        }
        // The median: other work on the machine may delay a few.
        delays.sort_unstable();
        assert!(delays[10] < Duration::from_millis(12), "{delays:?}");
        // Nothing there: waits as long as it is told.
        let start = Instant::now();
        source.wait(Nanos(50 * MS));
        assert!(start.elapsed() >= Duration::from_millis(45), "{:?}", start.elapsed());
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn a_call_ends_the_present_wait_or_else_the_next_one() {
    in_namespace(|| {
        veth();
        let mut source = open_one("rnlb");
        let caller = source.caller().unwrap();
        source.burst(32, |_, _| ());
        for n in 0..20 {
            let from = caller.clone();
            let later = thread::spawn(move || {
                thread::sleep(Duration::from_millis(3 * n));
                from.call();
            });
            let begun = Instant::now();
            source.wait(Nanos(10_000 * MS));
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
            later.join().unwrap();
            // What was called for once ends one wait.
            let begun = Instant::now();
            source.wait(Nanos(2 * MS));
            assert!(begun.elapsed() >= Duration::from_millis(2), "{:?}", begun.elapsed());
        }
    });
}

/// How often all threads of a process have gone to sleep.
fn sleeps(pid: u32) -> u64 {
    let status = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status")).unwrap();
    let count = |text: String| {
        let line = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:").map(str::to_owned));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| count(status(task.unwrap()))).sum()
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn an_idle_program_sleeps_and_a_signal_ends_it_at_once() {
    for method in ["af-packet", "bpf"] {
        in_namespace(move || {
            veth();
            let mut program = Command::new(env!("CARGO_BIN_EXE_rustnet"))
                .args(["-i", "rnlb", "--capture", method, "--headless", "--output", "json"])
                // What other programs do with their sockets wakes who knows owners.
                .args(["--owners", "off"])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            thread::sleep(Duration::from_secs(3));
            let before = sleeps(program.id());
            thread::sleep(Duration::from_secs(3));
            let woken = sleeps(program.id()) - before;
            // SAFETY: our own child.
            unsafe { libc::kill(program.id() as i32, libc::SIGINT) };
            let begun = Instant::now();
            assert!(program.wait().unwrap().success());
            assert!(begun.elapsed() < Duration::from_millis(500), "{method}: {:?}", begun.elapsed());
            assert!(woken < 3 * 10, "{method}: woken {woken} times in 3 s");
        });
    }
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn an_interface_that_goes_down_and_up_is_shown_and_heard_again() {
    in_namespace(|| {
        for threads in [1, 2] {
            veth();
            let mut sources = open(&named("rnlb"), threads);
            let source = &mut sources[0];
            let mut frames = wait_state(source, "up", is_up);
            // Its peer goes down: no link. It goes down itself: down.
            for side in ["rnla", "rnlb"] {
                ip(&format!("link set {side} down"));
                frames += wait_state(source, "down", is_down);
                let waiting = Instant::now();
                source.wait(Nanos(20 * MS));
                source.wait(Nanos(20 * MS));
                assert!(waiting.elapsed() > Duration::from_millis(15), "an error left on the socket spins");
                ip(&format!("link set {side} up"));
                frames += wait_state(source, "up", is_up);
                let a = Sender::on("rnla");
                (0..100).for_each(|n| a.send(&flow(Kind::V4, n, false)));
                let first = take(source, if threads == 1 { 100 } else { 20 }).len();
                assert!(first >= 20, "{side} {threads}");
                frames += first;
            }
            let (rest, status) = finish(source);
            assert_eq!(status.kernel_frames, (frames + rest.len()) as u64);
            ip("link del rnla");
        }
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn an_interface_that_is_deleted_and_made_again_is_taken_up_again() {
    in_namespace(|| {
        for threads in [1, 2] {
            veth();
            let mut sources = open(&named("rnlb"), threads);
            let mut taken = vec![0u64; threads];
            for round in 0..3 {
                let a = Sender::on("rnla");
                (0..200).for_each(|n| a.send(&flow(Kind::V4, n, false)));
                // The last frames before the end are in a block that the kernel has not closed.
                ip("link del rnla");
                if round == 1 {
                    veth(); // back before anybody looked
                } else {
                    for (source, taken) in sources.iter_mut().zip(&mut taken) {
                        *taken += wait_state(source, "gone", is_gone) as u64;
                    }
                    veth();
                }
                for (source, taken) in sources.iter_mut().zip(&mut taken) {
                    *taken += wait_state(source, "up", is_up) as u64;
                    // The old ring's rest may come a little later.
                    *taken += take_for(source, Duration::from_millis(30));
                }
                assert_eq!(taken.iter().sum::<u64>(), 200 * (round + 1), "{threads} threads, round {round}");
            }
            let a = Sender::on("rnla");
            (0..200).for_each(|n| a.send(&flow(Kind::V4, n, true)));
            for (source, taken) in sources.iter_mut().zip(&mut taken) {
                let (rest, status) = finish(source);
                *taken += rest.len() as u64;
                assert!(rest.iter().all(|s| s.meta.iface == IfaceId(0)));
                assert_eq!((status.kernel_frames, status.kernel_drops), (*taken, 0));
                assert_eq!(status.interfaces.len(), 1);
            }
            assert_eq!(taken.iter().sum::<u64>(), 800);
            ip("link del rnla");
        }
    });
}

fn take_for(source: &mut LiveSource, time: Duration) -> u64 {
    let (start, mut frames) = (Instant::now(), 0);
    while start.elapsed() < time {
        source.burst(32, |_, _| frames += 1);
        source.wait(Nanos(MS));
    }
    frames
}

/// What tells flows apart here: the addresses, ordered, without the tags.
fn ends_of(s: &Seen) -> (u16, BTreeSet<Vec<u8>>) {
    let mut at = 12;
    while [[0x81, 0], [0x88, 0xa8]].contains(&[s.bytes[at], s.bytes[at + 1]]) {
        at += 4;
    }
    let ethertype = u16::from_be_bytes([s.bytes[at], s.bytes[at + 1]]);
    let b = &s.bytes[at + 2..];
    let pair = match ethertype {
        0x0800 => [&b[12..16], &b[16..20]],
        0x86dd => [&b[8..24], &b[24..40]],
        _ => [&b[14..18], &b[24..28]],
    };
    (ethertype, pair.map(<[u8]>::to_vec).into())
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn fanout_sends_both_directions_of_a_flow_to_one_source_and_spreads_flows() {
    use Kind::{Arp, FragmentedUdp, Icmp, QinQ, V4, V6, Vlan};
    for watch in [Watch::Named(vec!["rnlb".into()]), Watch::Any] {
        for kind in [V4, V6, Vlan, QinQ, Icmp, Arp, FragmentedUdp] {
            let watch = watch.clone();
            in_namespace(move || {
                veth();
                let any = watch == Watch::Any;
                let mut sources = open(&LiveConfig { seed: 0x5eed, ..config(watch) }, 2);
                // Both directions in both ways of the link: in through rnlb, out of rnlb.
                let (a, b) = (Sender::on("rnla"), Sender::on("rnlb"));
                for n in 0..500 {
                    a.send(&flow(kind, n, false));
                    b.send(&flow(kind, n, true));
                    a.send(&flow(kind, n, true));
                }
                let mut owner = BTreeMap::new();
                let (mut shares, mut frames) = ([0; 2], 0);
                for (n, source) in sources.iter_mut().enumerate() {
                    for s in finish(source).0 {
                        frames += 1;
                        let ends = ends_of(&s);
                        let first = *owner.entry(ends).or_insert_with(|| {
                            shares[n] += 1;
                            n
                        });
                        assert_eq!(first, n, "{kind:?} any={any}: one flow on two sources: {s:?}");
                    }
                }
                assert_eq!(frames, if any { 3000 } else { 1500 }, "{kind:?}");
                assert!(shares.iter().all(|n| (150..350).contains(n)), "{kind:?} {shares:?}");
            });
        }
    }
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn any_hears_interfaces_that_appear_later_and_tells_loopback() {
    in_namespace(|| {
        let mut source = open(&config(Watch::Any), 1).remove(0);
        let before = status(&mut source).interfaces;
        assert!(before.iter().any(|i| i.name == "lo" && i.loopback));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"once", socket.local_addr().unwrap()).unwrap();
        let seen = take(&mut source, 2);
        assert_eq!(seen.iter().map(|s| s.meta.outgoing).collect::<Vec<_>>(), [true, false]);
        assert!(seen.iter().all(|s| s.meta.loopback && s.meta.link == LinkType::ETHERNET));
        veth();
        // A packet socket hears them at once; programs have to be hung on them first.
        source.wait(Nanos(MS));
        Sender::on("rnla").send(&numbered(1, 60));
        let seen = take(&mut source, 2);
        let status = status(&mut source);
        let name = |s: &Seen| status.interfaces[usize::from(s.meta.iface.0)].name.clone();
        assert_eq!((name(&seen[0]), seen[0].meta.outgoing), ("rnla".to_owned(), true));
        assert_eq!((name(&seen[1]), seen[1].meta.outgoing), ("rnlb".to_owned(), false));
        assert_eq!((status.kernel_frames, status.kernel_drops), (4, 0));
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn several_interfaces_are_numbered_as_named_and_a_name_twice_counts_once() {
    in_namespace(|| {
        veth();
        let names = ["rnlb", "rnla", "rnlb"].map(String::from).to_vec();
        let mut source = open(&config(Watch::Named(names)), 1).remove(0);
        let a = Sender::on("rnla");
        (0..50).for_each(|n| a.send(&numbered(n, 60)));
        let (seen, status) = finish(&mut source);
        assert_eq!(status.interfaces.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["rnlb", "rnla"]);
        let count = |iface, outgoing| {
            seen.iter().filter(|s| s.meta.iface == IfaceId(iface) && s.meta.outgoing == outgoing).count()
        };
        assert_eq!((seen.len(), count(0, false), count(1, true)), (100, 50, 50));
        assert_eq!((status.kernel_frames, status.kernel_drops), (100, 0));
        let gone = live::open(&named("nosuch0"), 1).err().unwrap().to_string();
        assert!(gone.starts_with("there is no interface \"nosuch0\"; there are:\n"), "{gone}");
        assert!(gone.contains("rnla"), "{gone}");
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn snap_keeps_the_first_bytes_and_the_length() {
    in_namespace(|| {
        veth();
        for threads in [1, 2] {
            let mut sources = open(&LiveConfig { snap: 96, ..named("rnlb") }, threads);
            let a = Sender::on("rnla");
            a.send(&numbered(1, 1514));
            a.send(&numbered(2, 60));
            let seen: Vec<_> = sources.iter_mut().flat_map(|s| finish(s).0).collect();
            let lengths: Vec<_> = seen.iter().map(|s| (s.bytes.len(), s.meta.wire_len)).collect();
            assert_eq!(lengths, [(96, 1514), (60, 60)]);
        }
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn a_tunnel_s_frames_begin_with_their_ip_header() {
    in_namespace(|| {
        let tun = std::fs::File::options().read(true).write(true).open("/dev/net/tun").unwrap();
        // SAFETY: all members are numbers; the request is valid during the call.
        unsafe {
            let mut ifreq: libc::ifreq = std::mem::zeroed();
            for (to, from) in ifreq.ifr_name.iter_mut().zip(b"rnltun") {
                *to = *from as libc::c_char;
            }
            ifreq.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
            assert_eq!(libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &raw mut ifreq), 0);
        }
        ip("addr add 10.8.0.1/24 dev rnltun");
        ip("link set rnltun up");
        let mut source = open_one("rnltun");
        let packet = &flow(Kind::V4, 1, false)[14..];
        (&tun).write_all(packet).unwrap();
        let out = UdpSocket::bind("10.8.0.1:0").unwrap();
        out.send_to(b"hello", "10.8.0.2:9").unwrap();
        let seen = take(&mut source, 2);
        assert_eq!((seen[0].meta.link, &seen[0].bytes[..]), (LinkType::RAW, packet));
        assert!(!seen[0].meta.outgoing && seen[1].meta.outgoing);
        assert_eq!((seen[1].bytes[0], seen[1].bytes.len(), seen[1].meta.wire_len), (0x45, 33, 33));
    });
}

#[cfg(feature = "pcap")]
#[test]
#[ignore = "needs root: cargo test --features pcap --test live -- --ignored"]
fn libpcap_gives_the_same_frames_and_takes_a_link_up_again() {
    in_namespace(|| {
        veth();
        let config = LiveConfig { method: live::Method::Pcap, ..named("rnlb") };
        let mut source = open(&config, 1).remove(0);
        let a = Sender::on("rnla");
        (0..100).for_each(|n| a.send(&numbered(n, 60 + n as usize)));
        let seen = take(&mut source, 100);
        assert_eq!(seen.len(), 100);
        assert!((0..100).all(|n| seen[n as usize].bytes == numbered(n, 60 + n as usize)));
        assert_eq!((status(&mut source).kernel_frames, seen[0].meta.link), (100, LinkType::ETHERNET));
        ip("link set rnlb down");
        wait_state(&mut source, "down", is_down);
        ip("link set rnlb up");
        wait_state(&mut source, "up", is_up);
        a.send(&numbered(7, 60));
        assert_eq!(take(&mut source, 1)[0].bytes, numbered(7, 60));
        let error =
            live::open(&LiveConfig { method: live::Method::Pcap, ..named("nosuch0") }, 1).err().unwrap();
        assert!(error.to_string().starts_with("there is no interface \"nosuch0\""), "{error}");
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn whoever_sleeps_is_woken_by_the_next_frame_for_it() {
    const FRAMES: u16 = 30;
    for threads in [1, 2] {
        in_namespace(move || {
            veth();
            let config = LiveConfig { method: Method::Bpf, ..named("rnlb") };
            let (came, frames) = mpsc::channel();
            let is_over = Arc::new(AtomicBool::new(false));
            let readers: Vec<_> = open(&config, threads)
                .into_iter()
                .enumerate()
                .map(|(n, mut source)| {
                    let (came, is_over) = (came.clone(), Arc::clone(&is_over));
                    thread::spawn(move || {
                        while !is_over.load(Ordering::Relaxed) {
                            let mut any = false;
                            source.burst(32, |_, _| any = true);
                            match any {
                                true => came.send((n, Instant::now())).unwrap(),
                                false => source.wait(Nanos(900 * MS)),
                            }
                        }
                    })
                })
                .collect();
            let sender = Sender::on("rnla");
            let (mut slowest, mut by) = (Duration::ZERO, BTreeSet::new());
            for n in 0..FRAMES {
                thread::sleep(Duration::from_millis(40));
                let sent = Instant::now();
                sender.send(&flow(Kind::V4, n, false));
                let (thread, at) = frames.recv_timeout(Duration::from_secs(2)).unwrap();
                slowest = slowest.max(at.duration_since(sent));
                by.insert(thread);
            }
            is_over.store(true, Ordering::Relaxed);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            assert_eq!(by.len(), threads, "frames came for each of them");
            assert!(slowest < Duration::from_millis(200), "{threads} threads: {slowest:?}");
        });
    }
}

/// Not a test of anything but speed: `cargo test --release --test live -- --ignored --nocapture cost`.
#[test]
#[ignore = "needs root: cargo test --release --test live -- --ignored --nocapture cost"]
fn cost_of_a_frame_in_user_space() {
    in_namespace(|| {
        veth();
        for (len, snap) in [(60, 0), (1514, 0), (1514, 96)] {
            let mut source = open(&LiveConfig { snap, ..named("rnlb") }, 1).remove(0);
            let a = Sender::on("rnla");
            let (mut frames, mut spent, mut sum) = (0u64, Duration::ZERO, 0u64);
            for _ in 0..40 {
                (0..5000).for_each(|n| a.send(&numbered(n, len)));
                thread::sleep(Duration::from_millis(12));
                let start = Instant::now();
                while source.burst(32, |b, m| {
                    frames += 1;
                    sum = sum.wrapping_add(u64::from(b[12]) + m.wall.0);
                }) == Progress::Frames
                {}
                spent += start.elapsed();
            }
            println!(
                "{len} bytes, snap {snap}: {:.1} ns a frame ({frames}, {sum})",
                spent.as_nanos() as f64 / frames as f64
            );
        }
    });
}

fn af_xdp(name: &str, takes_traffic: bool) -> LiveConfig {
    LiveConfig { method: Method::AfXdp, takes_traffic, ..named(name) }
}

/// What a packet socket hears on an interface: what reaches the host.
fn listener(name: &str) -> LiveSource {
    open(&LiveConfig { method: Method::AfPacket, ..named(name) }, 1).remove(0)
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn af_xdp_hands_out_every_frame_and_gives_the_port_back() {
    in_namespace(|| {
        veth();
        for queues in [1, 2] {
            if queues == 2 {
                ip("link del rnla");
                ip(
                    "link add rnla numrxqueues 2 numtxqueues 2 type veth peer name rnlb numrxqueues 2 numtxqueues 2",
                );
                ip("link set rnla up");
                ip("link set rnlb up");
            }
            let mut host = listener("rnlb");
            let Live { mut sources, notes, .. } = live::open(&af_xdp("rnlb", false), 3).unwrap();
            assert_eq!((sources.len(), notes.len()), (1, 1));
            assert!(
                notes[0].contains(&format!("{queues} queue")) && notes[0].contains("copied"),
                "{notes:?}"
            );
            let mut source = sources.remove(0);
            let a = Sender::on("rnla");
            let mut seen = Vec::new();
            // More than there are chunks, in pieces that the rings hold.
            for piece in 0..20 {
                (0..1000).for_each(|n| a.send(&numbered(piece * 1000 + n, 60 + n as usize % 1400)));
                seen.extend(take(&mut source, 1000));
            }
            let (rest, status) = finish(&mut source);
            seen.extend(rest);
            assert_eq!(seen.len(), 20_000);
            for (n, s) in seen.iter().enumerate() {
                assert!(s.bytes == numbered(n as u32, 60 + n % 1000 % 1400), "frame {n}");
                assert_eq!((s.meta.wire_len as usize, s.meta.outgoing), (s.bytes.len(), false));
            }
            assert_eq!((status.method, status.kernel_frames, status.kernel_drops), ("af-xdp", 20_000, 0));
            assert_eq!(take(&mut host, 1).len(), 0, "what was taken did not reach the host");
            // The program is off: frames reach the host again.
            a.send(&numbered(1, 60));
            assert_eq!(take(&mut host, 1).len(), 1);
        }
    });
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn af_xdp_takes_no_traffic_of_the_host_unless_it_is_told_to() {
    in_namespace(|| {
        veth();
        let refusal = |config: &LiveConfig| live::open(config, 1).err().map(|e| format!("{:#}", report(&e)));
        for (address, told) in
            [("10.9.8.1/24", "it has the address 10.9.8.1/24"), ("fd00::9/64", "fd00::9/64")]
        {
            let _ = std::fs::write("/proc/sys/net/ipv6/conf/rnlb/disable_ipv6", "0");
            ip(&format!("addr add {address} dev rnlb"));
            let why = refusal(&af_xdp("rnlb", false)).unwrap();
            assert!(why.contains(told) && why.contains("--af-xdp-take-traffic"), "{why}");
            // Nothing is left on it: frames reach the host.
            let mut host = listener("rnlb");
            Sender::on("rnla").send(&numbered(7, 60));
            assert!(take(&mut host, 1).iter().any(|s| s.bytes == numbered(7, 60)));
            ip(&format!("addr del {address} dev rnlb"));
        }
        let why = refusal(&af_xdp("lo", false)).unwrap();
        assert!(why.contains("loopback"), "{why}");
        let why = refusal(&LiveConfig { method: Method::AfXdp, ..config(Watch::Any) }).unwrap();
        assert!(why.contains("-i"), "{why}");

        ip("addr add 10.9.8.1/24 dev rnlb");
        let mut source = live::open(&af_xdp("rnlb", true), 1).unwrap().sources.remove(0);
        let mut host = listener("rnlb");
        Sender::on("rnla").send(&numbered(8, 60));
        assert!(take(&mut source, 1).iter().any(|s| s.bytes == numbered(8, 60)));
        assert!(!take(&mut host, 1).iter().any(|s| s.bytes == numbered(8, 60)), "taken, as it was told");
    });
}

fn report(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|e| format!(": {}", report(e))).unwrap_or_default();
    format!("{error}{cause}")
}

#[test]
#[ignore = "needs root: cargo test --test live -- --ignored"]
fn af_xdp_replaces_no_program_and_refuses_frames_that_it_has_no_room_for() {
    in_namespace(|| {
        veth();
        let object = concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/xdp.bpf.o");
        ip(&format!("link set dev rnlb xdp object {object} section xdp"));
        let program = |name: &str| {
            let shown = Command::new("ip").args(["link", "show", name]).output().unwrap();
            let text = String::from_utf8_lossy(&shown.stdout).into_owned();
            text.split("prog/xdp id ").nth(1).map(|rest| rest.split(' ').next().unwrap().to_owned())
        };
        let before = program("rnlb").unwrap();
        let why = report(&live::open(&af_xdp("rnlb", false), 1).err().unwrap());
        assert!(why.contains("another XDP program"), "{why}");
        assert_eq!(program("rnlb").unwrap(), before);
        ip("link set dev rnlb xdp off");

        ip("link set rnlb mtu 9000");
        let why = report(&live::open(&af_xdp("rnlb", false), 1).err().unwrap());
        assert!(why.contains("MTU of 9000"), "{why}");
        ip("link set rnlb mtu 1500");

        let mut source = live::open(&af_xdp("rnlb", false), 1).unwrap().sources.remove(0);
        assert!(program("rnlb").is_some());
        let why = report(&live::open(&af_xdp("rnlb", false), 1).err().unwrap());
        assert!(why.contains("another AF_XDP socket"), "{why}");
        // The interface goes and comes back.
        ip("link del rnla");
        wait_state(&mut source, "gone", is_gone);
        veth();
        wait_state(&mut source, "up", is_up);
        let a = Sender::on("rnla");
        (0..100).for_each(|n| a.send(&numbered(n, 60)));
        assert_eq!(take(&mut source, 100).len(), 100);
        drop(source);
        assert_eq!(program("rnlb"), None);
    });
}
