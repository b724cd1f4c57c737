//! The programs in `bpf/`: which of them this kernel takes, their events, and passes over all sockets.
//!
//! All that can be loaded at once is; where one is refused, each group is tried alone, variant by
//! variant, so that what is refused costs only itself.
#![expect(unsafe_code, reason = "libbpf-rs does not tell of runs that were left out")]

use std::{
    io::{self, Read as _},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, RawFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use libbpf_rs::{
    ErrorExt as _, ErrorKind, Iter, Link, MapCore as _, MapFlags, Object, ObjectBuilder, RingBuffer,
    RingBufferBuilder,
    libbpf_sys::{bpf_prog_get_info_by_fd, bpf_prog_info},
};

use super::{
    cgroups,
    connects::Connects,
    events::{self, Event},
    why::{self, Facts, Why},
};
use crate::{
    base::time::Nanos,
    platform::linux::{clock, mapped::Mapped},
};

/// The compiled programs.
static OBJECT: Aligned<[u8; include_bytes!("../../../../bpf/owners.bpf.o").len()]> =
    Aligned(*include_bytes!("../../../../bpf/owners.bpf.o"));

/// ELF is read in words.
#[repr(C, align(16))]
struct Aligned<T: ?Sized>(T);

/// What does one thing, in variants, best first.
struct Group {
    /// What is missing without it; empty if only something comes later.
    what: &'static str,
    variants: &'static [Variant],
}

#[derive(PartialEq, Eq)]
struct Variant {
    name: &'static str,
    programs: &'static [&'static str],
}

static GROUPS: [Group; 5] = [
    Group {
        what: "passes over all sockets",
        variants: &[Variant { name: "iter", programs: &["all_sockets"] }],
    },
    Group {
        what: "states of TCP sockets",
        variants: &[Variant { name: "set_state", programs: &["tcp_state"] }],
    },
    Group {
        what: "uses of sockets",
        variants: &[
            Variant { name: "send/recv", programs: &["send_length", "recv_length"] },
            Variant {
                name: "fentry",
                programs: &[
                    "fentry_tcp_connect",
                    "fentry_tcp_sendmsg",
                    "fentry_tcp_recvmsg",
                    "fentry_udp_sendmsg",
                    "fentry_udp_recvmsg",
                    "fentry_udpv6_sendmsg",
                    "fentry_udpv6_recvmsg",
                ],
            },
            Variant {
                name: "kprobe",
                programs: &[
                    "kprobe_tcp_connect",
                    "kprobe_tcp_sendmsg",
                    "kprobe_tcp_recvmsg",
                    "kprobe_udp_sendmsg",
                    "kprobe_udp_recvmsg",
                    "kprobe_udpv6_sendmsg",
                    "kprobe_udpv6_recvmsg",
                ],
            },
            Variant {
                name: "cgroup",
                programs: &[
                    "cgroup_connect4",
                    "cgroup_connect6",
                    "cgroup_sendmsg4",
                    "cgroup_sendmsg6",
                    "cgroup_post_bind4",
                    "cgroup_post_bind6",
                    "cgroup_sock_release",
                ],
            },
        ],
    },
    Group { what: "ends of processes", variants: &[Variant { name: "exit", programs: &["process_exit"] }] },
    Group {
        what: "",
        variants: &[
            Variant { name: "accept", programs: &["fexit_inet_csk_accept"] },
            Variant { name: "accept by kretprobe", programs: &["kretprobe_inet_csk_accept"] },
        ],
    },
];

/// Groups that must all run for the method to be whole.
const WHOLE: std::ops::Range<usize> = 0..4;
/// The group of uses of sockets.
const USES: usize = 2;
/// What most kernels take, tried before each group alone, since the verifier takes its time: the variant of uses,
/// and how many groups.
const PROBABLE: [(usize, usize); 4] = [(0, GROUPS.len()), (0, WHOLE.end), (1, GROUPS.len()), (1, WHOLE.end)];
/// Names variants (a comma between them) that are not tried, so that others can be tested here.
const WITHOUT: &str = "RUSTNET_BPF_WITHOUT";
/// Releases that leave out a run of a tracepoint's program that would nest: only there may one write without a
/// lock. And only this machine keeps stores in order.
const NEVER_NESTS: (u32, u32) = (6, 1);
/// The map with the word in which the reader says that it sleeps.
const SLEEPS: &str = ".data.reader";
/// Bytes of the ring, a power of two from 4096 on, so that losses and their repair can be tested.
const RING: &str = "RUSTNET_BPF_RING";

/// Programs that run, and what they tell. Dropping it takes them out of the kernel.
pub struct Bpf {
    // Dropped in this order: the ring's map belongs to the object.
    ring: RingBuffer<'static>,
    queue: Arc<Mutex<Vec<Event>>>,
    /// Where connects are told, if they have rings of their own; else why they have not, though they could.
    connects: Option<Connects>,
    without_rings: Option<String>,
    /// Where the programs are asked to wake the reader.
    sleeps: Option<Mapped>,
    /// What happened after the last drain had begun.
    later: Vec<Event>,
    /// Our monotonic clock is another one than that of the programs.
    is_own_clock: bool,
    pass: Option<Link>,
    _links: Vec<Link>,
    object: Object,
    /// The programs that events come from.
    tracing: Vec<RawFd>,
    running: Vec<&'static Variant>,
    /// Variants that were refused, with the kernel's word for it.
    refused: Vec<(&'static Variant, String)>,
}

/// Why something was not loaded.
enum Refusal {
    Programs(String),
    /// There is no memory for rings.
    Rings(String),
}

impl Bpf {
    /// Loads and starts what this kernel takes.
    ///
    /// # Errors
    /// When nothing can be loaded: why.
    pub fn start() -> Result<Self, String> {
        libbpf_rs::set_print(None);
        let without = std::env::var(WITHOUT).unwrap_or_default();
        let is_tried = |variant: &&Variant| without.split(',').all(|name| name != variant.name);
        for (uses, groups) in PROBABLE {
            let variant = |(n, group): (usize, &'static Group)| {
                group.variants.get(if n == USES { uses } else { 0 }).filter(is_tried)
            };
            let all = GROUPS[..groups].iter().enumerate().map(variant).collect::<Option<Vec<_>>>();
            if let Some(Ok(bpf)) = all.map(|all| Self::load(all, Vec::new())) {
                return Ok(bpf);
            }
        }
        let mut chosen = Vec::new();
        let mut refused = Vec::new();
        for group in &GROUPS {
            for variant in group.variants.iter().filter(is_tried) {
                match Self::load(vec![variant], Vec::new()) {
                    Ok(_) => {
                        chosen.push(variant);
                        break;
                    }
                    Err(error) => refused.push((variant, error)),
                }
            }
        }
        // Ends alone are of no use.
        if !chosen.iter().any(|v| GROUPS[0].variants.contains(v) || GROUPS[USES].variants.contains(v)) {
            let first = refused.into_iter().next();
            return Err(
                first.map_or_else(String::new, |(variant, error)| format!("{}: {error}", variant.name))
            );
        }
        Self::load(chosen, refused)
    }

    fn load(
        running: Vec<&'static Variant>,
        refused: Vec<(&'static Variant, String)>,
    ) -> Result<Self, String> {
        let rings = if never_nests() { cpus() } else { 0 };
        Self::load_with(running, refused, rings, Connects::map)
    }

    /// Loads with so many rings for connects, or without if there is no memory for them.
    fn load_with(
        running: Vec<&'static Variant>,
        refused: Vec<(&'static Variant, String)>,
        rings: usize,
        map_rings: fn(BorrowedFd<'_>, usize) -> io::Result<Connects>,
    ) -> Result<Self, String> {
        match Self::try_load(&running, rings, map_rings) {
            Ok(bpf) => Ok(Self { running, refused, ..bpf }),
            Err(Refusal::Programs(error)) => Err(error),
            Err(Refusal::Rings(error)) => match Self::try_load(&running, 0, map_rings) {
                Ok(bpf) => Ok(Self { running, refused, without_rings: Some(error), ..bpf }),
                Err(Refusal::Programs(error) | Refusal::Rings(error)) => Err(error),
            },
        }
    }

    fn try_load(
        running: &[&'static Variant],
        rings: usize,
        map_rings: fn(BorrowedFd<'_>, usize) -> io::Result<Connects>,
    ) -> Result<Self, Refusal> {
        let text = |error: libbpf_rs::Error| Refusal::Programs(format!("{error:#}"));
        let wanted: Vec<&str> = running.iter().flat_map(|v| v.programs).copied().collect();
        let mut open = ObjectBuilder::default().open_memory(&OBJECT.0).map_err(text)?;
        for mut program in open.progs_mut() {
            let name = program.name().to_str().unwrap_or_default().to_owned();
            program.set_autoload(wanted.contains(&name.as_str()));
        }
        let ring_bytes = std::env::var(RING).ok().and_then(|bytes| bytes.parse().ok());
        if let (Some(bytes), Some(mut events)) = (ring_bytes, open.maps_mut().find(|m| m.name() == "events"))
        {
            events.set_max_entries(bytes).map_err(text)?;
        }
        for mut map in open.maps_mut().filter(|_| rings > 0) {
            if map.name() == "connects" {
                map.set_max_entries(rings as u32).map_err(text)?;
            } else if map.name().to_string_lossy().ends_with(".rodata") {
                map.set_initial_value(&1u32.to_ne_bytes()).map_err(text)?;
            }
        }
        let object = open.load().map_err(|error| match error.kind() {
            ErrorKind::OutOfMemory if rings > 0 => Refusal::Rings(format!("{error:#}")),
            _ => text(error),
        })?;
        let queue = Arc::new(Mutex::new(Vec::new()));
        let ring = {
            let events = object.maps().find(|m| m.name() == "events");
            let events = events.ok_or_else(|| Refusal::Programs("no ring".into()))?;
            let queue = Arc::clone(&queue);
            let mut builder = RingBufferBuilder::new();
            let take = move |bytes: &[u8]| {
                if let Some((event, _)) = events::read(bytes) {
                    queue.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                }
                0
            };
            builder.add(&events, take).map_err(text)?;
            builder.build().map_err(text)?
        };
        let connects = match object.maps().find(|m| m.name() == "connects") {
            Some(map) if rings > 0 => {
                Some(map_rings(map.as_fd(), rings).map_err(|error| Refusal::Rings(error.to_string()))?)
            }
            _ => None,
        };
        // Without it the reader comes by often.
        let sleeps = object.maps().find(|m| m.name() == SLEEPS);
        let sleeps = sleeps.and_then(|map| Mapped::new(map.as_fd(), size_of::<u32>()).ok());
        let (mut links, mut tracing, mut pass) = (Vec::new(), Vec::new(), None);
        for program in object.progs_mut().filter(|p| p.autoload()) {
            let name = program.name().to_string_lossy().into_owned();
            let link = match name.starts_with("cgroup_") {
                true => {
                    let root = cgroups::root();
                    let root = root.map_err(|e| Refusal::Programs(format!("control groups: {e}")))?;
                    program.attach_cgroup(root.as_raw_fd())
                }
                false => program.attach(),
            };
            let link = link.context(name.clone()).map_err(text)?;
            match name == "all_sockets" {
                true => pass = Some(link),
                false => {
                    links.push(link);
                    tracing.push(program.as_fd().as_raw_fd());
                }
            }
        }
        let later = Vec::new();
        let offsets = std::fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
        let is_own_clock = is_own_clock(&offsets);
        Ok(Self {
            ring,
            queue,
            connects,
            sleeps,
            later,
            is_own_clock,
            pass,
            _links: links,
            object,
            tracing,
            running: Vec::new(),
            refused: Vec::new(),
            without_rings: None,
        })
    }

    /// Says why nothing could be loaded.
    pub fn refusal(facts: &Facts, error: &str) -> Why {
        facts.refusal(error)
    }

    /// Returns the names of what runs.
    pub fn parts(&self) -> String {
        self.running.iter().map(|v| v.name).collect::<Vec<_>>().join(", ")
    }

    /// Returns what does not run in any variant, and why; or what runs at a higher cost.
    pub fn missing(&self) -> Option<Why> {
        let without = self.without_rings.as_ref().map(|error| {
            let reason =
                format!("BPF tells connects in the ring that all CPUs share, at a higher cost: {error}");
            (reason, "more memory: each CPU's ring for connects is 64 KB".into())
        });
        self.missing_group().or(without)
    }

    fn missing_group(&self) -> Option<Why> {
        let runs = |group: &&Group| group.variants.iter().any(|v| self.running.contains(&v));
        let group = GROUPS[WHOLE].iter().find(|group| !runs(group))?;
        let why =
            self.refused.iter().find(|(v, _)| group.variants.contains(v)).map(|(_, error)| error.as_str());
        let reason = format!("BPF without {}: {}", group.what, why.unwrap_or("refused"));
        Some((reason, "a newer kernel; regular passes over all sockets fill the gap".into()))
    }

    /// Returns whether sockets are told the moment they are used.
    pub fn has_events(&self) -> bool {
        self.running.iter().any(|v| GROUPS[USES].variants.contains(v))
    }

    /// Returns whether ends of processes are told.
    pub fn tells_exits(&self) -> bool {
        self.running.iter().any(|v| GROUPS[3].variants.contains(v))
    }

    /// Returns the events since the last call, in the order in which they happened.
    pub fn drain(&mut self) -> Vec<Event> {
        let now = Nanos(clock::monotonic());
        let mut told = std::mem::take(&mut self.later);
        if let Some(connects) = &mut self.connects {
            connects.drain(&mut told);
        }
        // Fails only if reading was interrupted; the rest comes next time.
        let _ = self.ring.consume();
        told.append(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        if self.connects.is_some() {
            // By another clock than that of the programs, nothing can be told to be later.
            let now = if self.is_own_clock { NEVER } else { now };
            self.later = in_order(&mut told, now);
        }
        told
    }

    /// Returns whether some event that was read comes with the next drain only.
    pub fn holds_some_back(&self) -> bool {
        !self.later.is_empty()
    }

    /// Has the programs wake whoever polls the descriptor that it returns for reading, once, with the next event. What
    /// is told by a program that had looked just before may wait unread; a drain some ms from now finds it. `None`:
    /// they cannot.
    pub fn ask_to_be_woken(&self) -> Option<RawFd> {
        let word = self.sleeps.as_ref()?.at(0, size_of::<u32>());
        // SAFETY: within the map, which begins with a page, and the programs access the whole word.
        let word = unsafe { AtomicU32::from_ptr(word.cast().as_ptr()) };
        word.store(1, Ordering::SeqCst);
        Some(self.ring.epoll_fd())
    }

    /// Returns a pass over all sockets that is about to begin, if the kernel has the iterator.
    pub fn pass(&self) -> Option<PassReader> {
        self.pass.as_ref().and_then(|link| Iter::new(link).ok()).map(PassReader)
    }

    /// Returns the number of events that found the ring full, or their program at work on that CPU.
    pub fn lost(&self) -> u64 {
        let map = self.object.maps().find(|m| m.name() == "lost");
        let value = map.and_then(|m| m.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok().flatten());
        let full = value.and_then(|v| v.try_into().ok()).map_or(0, u64::from_ne_bytes);
        full + self.tracing.iter().map(|program| left_out(*program)).sum::<u64>()
    }
}

/// Later than any event.
const NEVER: Nanos = Nanos(u64::MAX);

/// Returns whether offsets as in `/proc/self/timens_offsets` (time_namespaces(7)) move the monotonic clock.
fn is_own_clock(offsets: &str) -> bool {
    let mut monotonic = offsets.lines().filter_map(|line| line.strip_prefix("monotonic"));
    monotonic.any(|line| line.split_ascii_whitespace().any(|number| number != "0"))
}

/// Puts events of several rings in order, and takes out those after `now`, when reading began: of what came
/// before them, some may stand unread in a ring that was read first. What came before anything up to `now` is
/// there, for whoever tells something has told what led to it.
fn in_order(told: &mut Vec<Event>, now: Nanos) -> Vec<Event> {
    told.sort_by_key(Event::at);
    told.split_off(told.partition_point(|event| event.at() <= now))
}

/// Returns how many CPUs there are now; one that comes later tells in the ring that all share.
fn cpus() -> usize {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    last_cpu(&online).map_or(0, |last| last + 1)
}

/// Returns the highest number of a list of CPUs: `0-3,8-11`.
fn last_cpu(list: &str) -> Option<usize> {
    list.trim().rsplit([',', '-']).next()?.parse().ok()
}

/// Returns how many runs of a program the kernel has left out, since they would have nested (5.12).
fn left_out(program: RawFd) -> u64 {
    let mut info = bpf_prog_info::default();
    let mut bytes = size_of_val(&info) as u32;
    // SAFETY: `info` has so many bytes, and may hold anything.
    let failed = unsafe { bpf_prog_get_info_by_fd(program, &raw mut info, &raw mut bytes) };
    if failed == 0 { info.recursion_misses } else { 0 }
}

fn never_nests() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    cfg!(target_arch = "x86_64") && why::version(&release) >= NEVER_NESTS
}

/// Reads a pass; the kernel walks while it is read.
pub struct PassReader(Iter);

impl PassReader {
    /// Returns what the pass saw.
    pub fn read(mut self) -> Vec<Event> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => bytes.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        events::read_all(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        platform::linux::{bpf_exits::exit_without, owners::connects::RING_BYTES},
        process::socket::SocketId,
    };
    use libbpf_rs::{
        HasSize as _,
        btf::{Btf, types},
    };

    /// Offsets and sizes in the object are what `events` reads.
    #[test]
    fn layouts_are_those_of_the_object() {
        let dir = std::env::temp_dir().join(format!("rustnet-btf-{}", std::process::id()));
        std::fs::write(&dir, OBJECT.0).unwrap();
        let btf = Btf::from_path(&dir).unwrap();
        std::fs::remove_file(&dir).unwrap();
        for (name, size, fields) in [
            (
                "socket_event",
                events::SOCKET_BYTES,
                &[
                    ("kind", 0),
                    ("pid", 4),
                    ("start_ns", 8),
                    ("at_ns", 16),
                    ("socket", 24),
                    ("netns", 32),
                    ("uid", 36),
                    ("local_port", 40),
                    ("remote_port", 42),
                    ("proto", 44),
                    ("family", 45),
                    ("flags", 46),
                    ("waited", 48),
                    ("ends", 56),
                ][..],
            ),
            (
                "process_event",
                events::PROCESS_BYTES,
                &[
                    ("pid", 4),
                    ("start_ns", 8),
                    ("cgroup", 24),
                    ("parent", 32),
                    ("uid", 36),
                    ("flags", 40),
                    ("path_bytes", 44),
                    ("command_bytes", 46),
                    ("comm", 48),
                    ("path", 64),
                    ("command", 1088),
                ],
            ),
            ("connect_ring", RING_BYTES, &[("head", 0), ("seen_tail", 8), ("tail", 64), ("slots", 128)]),
            ("connect_slot", 128, &[("event", 0)]),
            (
                "short_event",
                events::SHORT_BYTES,
                &[("pid", 4), ("start_ns", 8), ("at_ns", 16), ("socket", 24)],
            ),
        ] {
            let found: types::Struct<'_> = btf.type_by_name(name).unwrap();
            assert_eq!(found.size(), size, "{name}");
            for (field, offset) in fields {
                let member = found.iter().find(|m| m.name.is_some_and(|n| n == *field)).unwrap();
                let types::MemberAttr::Normal { offset: bits } = member.attr else {
                    panic!("{name}.{field}")
                };
                assert_eq!(bits, offset * 8, "{name}.{field}");
            }
        }
    }

    /// The hooks of control groups answer "pass" on every path: each exit comes right after `r0 = 1`, and
    /// no jump leads past that.
    #[test]
    fn hooks_that_could_refuse_let_all_pass() {
        let open = ObjectBuilder::default().open_memory(&OBJECT.0).unwrap();
        let mut looked_at = 0;
        for program in open.progs() {
            if !program.section().to_str().unwrap().starts_with("cgroup/") {
                continue;
            }
            looked_at += 1;
            assert_eq!(exit_without(program.insns(), 1), None, "{:?}", program.name());
            assert_ne!(exit_without(program.insns(), 0), None, "{:?}", program.name());
        }
        assert_eq!(looked_at, 7);
    }

    /// What is set before loading is the one constant there is.
    #[test]
    fn settings_are_one_word() {
        let mut open = ObjectBuilder::default().open_memory(&OBJECT.0).unwrap();
        let settings = open.maps_mut().find(|m| m.name().to_string_lossy().ends_with(".rodata")).unwrap();
        assert_eq!(settings.initial_value().unwrap(), [0; 4]);
    }

    #[test]
    fn the_last_of_the_cpus_is_found() {
        for (list, last) in
            [("0\n", Some(0)), ("0-3\n", Some(3)), ("0-3,8-11\n", Some(11)), ("0,5", Some(5)), ("", None)]
        {
            assert_eq!(last_cpu(list), last, "{list}");
        }
        assert!(cpus() > 0);
    }

    fn closed(at: u64, socket: u64) -> Event {
        Event::Closed { socket: SocketId(socket), at: Nanos(at) }
    }

    #[test]
    fn events_of_several_rings_are_put_in_order_up_to_when_reading_began() {
        let mut told = vec![closed(5, 1), closed(9, 2), closed(3, 3), closed(5, 4), closed(6, 5)];
        let later = in_order(&mut told, Nanos(5));
        assert_eq!(told, [closed(3, 3), closed(5, 1), closed(5, 4)]);
        assert_eq!(later, [closed(6, 5), closed(9, 2)]);
        // By a clock of one's own nothing is held back.
        let mut told = vec![closed(6, 1)];
        assert_eq!((in_order(&mut told, NEVER), told.len()), (Vec::new(), 1));
        for (offsets, own) in [
            ("monotonic           0         0\nboottime            0         0\n", false),
            ("monotonic          -5         0\nboottime            0         0\n", true),
            ("monotonic           0         1\n", true),
            ("boottime            9         0\n", false),
            ("", false),
        ] {
            assert_eq!(is_own_clock(offsets), own, "{offsets}");
        }
    }

    #[test]
    #[ignore = "needs root: cargo test --lib owners::bpf -- --ignored"]
    fn without_memory_for_rings_connects_are_told_in_the_ring_that_all_share() {
        // What runs here at all.
        let all = || Bpf::start().unwrap().running;
        let no_memory = |_: BorrowedFd<'_>, _| Err(io::Error::from_raw_os_error(libc::ENOMEM));
        let mut bpf = Bpf::load_with(all(), Vec::new(), cpus(), no_memory).unwrap();
        assert!(bpf.connects.is_none());
        let (reason, remedy) = bpf.missing().unwrap();
        assert!(reason.contains("Cannot allocate memory") && remedy.contains("memory"), "{reason}; {remedy}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let stream = std::net::TcpStream::connect(to).unwrap();
        let from = stream.local_addr().unwrap().port();
        let is_ours = |event: &Event| match event {
            Event::Socket(socket) => socket.tuple.local.1 == from && socket.process.is_some(),
            _ => false,
        };
        assert!(bpf.drain().iter().any(is_ours));
        // With rings, nothing is missing.
        let bpf = Bpf::load_with(all(), Vec::new(), cpus(), Connects::map).unwrap();
        assert_eq!((bpf.connects.is_some(), bpf.missing()), (never_nests(), None));
    }

    /// Who sleeps is woken by the next event, and by none if it did not ask.
    #[test]
    #[ignore = "needs root: cargo test --lib owners::bpf -- --ignored"]
    fn the_programs_wake_a_reader_that_asked_for_it() {
        let mut bpf = Bpf::start().unwrap();
        let wait = |fd, ms| {
            let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
            // SAFETY: one entry, valid during the call.
            unsafe { libc::poll(&raw mut entry, 1, ms) }
        };
        let fd = bpf.ask_to_be_woken().unwrap();
        let sleeper = std::thread::spawn(move || wait(fd, 10_000));
        std::thread::sleep(std::time::Duration::from_millis(50));
        let begun = std::time::Instant::now();
        let _ = std::net::TcpStream::connect(
            std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
        );
        assert_eq!(sleeper.join().unwrap(), 1);
        assert!(begun.elapsed().as_secs() < 5);
        assert_ne!(bpf.drain(), []);
    }

    #[test]
    fn every_program_belongs_to_one_variant() {
        let open = ObjectBuilder::default().open_memory(&OBJECT.0).unwrap();
        let mut there: Vec<_> = open.progs().map(|p| p.name().to_str().unwrap().to_owned()).collect();
        let mut listed: Vec<_> = GROUPS
            .iter()
            .flat_map(|g| g.variants)
            .flat_map(|v| v.programs)
            .map(|p| (*p).to_owned())
            .collect();
        there.sort();
        listed.sort();
        assert_eq!(there, listed);
    }
}
