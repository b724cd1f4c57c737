//! The compiled programs in `bpf/capture.bpf.c`: loaded with their rings, measured, attached.
#![expect(unsafe_code, reason = "libbpf-rs has no tcx links")]

use std::{io, os::fd::AsFd as _, ptr::NonNull, sync::Arc, time::Duration};

use libbpf_rs::{
    AsRawLibbpf as _, ErrorKind, Link, MapCore as _, Object, ObjectBuilder, ProgramInput, TC_EGRESS,
    TC_INGRESS, TcHook, TcHookBuilder, libbpf_sys,
};

use super::{
    doorbell::Doorbell,
    record::NONE,
    ring::{LONGEST, Rings, size_of_ring},
    tallies::TallyMaps,
};

/// The compiled programs.
static OBJECT: Aligned<[u8; include_bytes!("../../../../bpf/capture.bpf.o").len()]> =
    Aligned(*include_bytes!("../../../../bpf/capture.bpf.o"));

/// ELF is read in words.
#[repr(C, align(16))]
struct Aligned<T: ?Sized>(T);

/// Handle and priority of our clsact filters: `rn`. A filter that carries both is ours, and stale if
/// it is there at a start.
const HANDLE: u32 = 0x726e;
const PRIORITY: u32 = 0x726e;

/// What the programs are loaded with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of records in a ring, a power of two, at least 128 KB.
    pub ring_bytes: usize,
    /// Bytes of a frame that go up; 0: all, up to 64 KB.
    pub snap: u32,
    /// Sources, each with a ring for every CPU.
    pub threads: usize,
    /// Secret of the hash that deals frames out to them.
    pub seed: u32,
    /// Which settled flows are counted by the programs themselves.
    pub tallied: Tallied,
    /// Settled flows that each source has room for, a power of two, 2^15 at most.
    pub places: usize,
}

/// Which settled flows are counted by the programs themselves: bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied(pub u32);

impl Tallied {
    /// UDP.
    pub const UDP: u32 = 1;
    /// TCP.
    pub const TCP: u32 = 2;
    /// Those whose frames had a tag, too.
    pub const TAGGED: u32 = 4;

    /// Returns whether any is.
    pub const fn any(self) -> bool {
        self.0 & (Self::UDP | Self::TCP) != 0
    }
}

/// How programs hang on interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A BPF link on tcx: gone with the process (Linux 6.6).
    Tcx,
    /// A clsact filter.
    Clsact,
}

/// The programs in the kernel, and their rings.
pub struct Programs {
    object: Object,
    /// See [`Rings`]: by CPU, then by source.
    pub rings: Arc<Rings>,
    /// By source: where settled flows are counted; none if they are not.
    pub tallies: Box<[TallyMaps]>,
    /// CPUs that there can be.
    pub cpus: usize,
    hook: Hook,
}

/// A program on one direction of an interface; taken off when dropped.
pub enum Attached {
    /// See [`Hook::Tcx`].
    Link(#[expect(dead_code, reason = "held")] Link),
    /// See [`Hook::Clsact`].
    Filter(#[expect(dead_code, reason = "held")] Filter),
}

/// A filter that goes when this does, unless another capture's took its place.
pub struct Filter {
    hook: TcHook,
    /// The program's number in the kernel.
    program: u32,
}

// SAFETY: plain numbers that name a filter; the file descriptor in it is the program's, which outlives it.
unsafe impl Send for Filter {}

impl Drop for Filter {
    fn drop(&mut self) {
        // It fails when the interface is gone, and the filter with it.
        if self.hook.query().is_ok_and(|program| program == self.program) {
            let _ = self.hook.detach();
        }
    }
}

impl Programs {
    /// Loads the programs.
    ///
    /// # Errors
    /// When the kernel refuses them or their memory: its word for it.
    pub fn load(settings: &Settings) -> io::Result<Self> {
        libbpf_rs::set_print(None);
        let cpus = libbpf_rs::num_possible_cpus().map_err(system)?;
        let mut open = ObjectBuilder::default().open_memory(&OBJECT.0).map_err(system)?;
        let count = cpus * settings.threads;
        for mut map in open.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            if name == "rings" {
                map.set_max_entries(count as u32).map_err(system)?;
                map.set_value_size(size_of_ring(settings.ring_bytes) as u32).map_err(system)?;
            } else if let Some(tallies) = Settings::tallies_of(&name) {
                let places = if settings.tallied.any() { settings.places * settings.threads } else { 1 };
                map.set_max_entries((places * tallies) as u32).map_err(system)?;
            } else if name.ends_with(".rodata") {
                map.set_initial_value(&settings.bytes()).map_err(system)?;
            }
        }
        let object = open.load().map_err(system)?;
        let rings = {
            let array = object.maps().find(|m| m.name() == "rings").ok_or(io::ErrorKind::NotFound)?;
            Arc::new(Rings::map(array.as_fd(), count, settings.ring_bytes)?)
        };
        let mut tallies = Box::default();
        if settings.tallied.any() {
            let map = |name| object.maps().find(|m| m.name() == name).ok_or(io::ErrorKind::NotFound);
            let all = [map("sets")?, map("tallies")?, map("wides")?, map(".data.filled")?];
            let maps = all.each_ref().map(|map| map.as_fd());
            tallies = TallyMaps::new(maps, settings.places, settings.threads, settings.secret())?;
        }
        Ok(Self { object, rings, tallies, cpus, hook: Hook::Tcx })
    }

    /// Returns what wakes readers, if this kernel gives that.
    pub fn doorbell(&self, threads: usize) -> Option<Doorbell> {
        Doorbell::of(&self.object, threads)
    }

    /// Makes it hang programs on clsact filters.
    #[cfg(test)]
    pub fn use_clsact(&mut self) {
        self.hook = Hook::Clsact;
    }

    /// Returns what the program costs for a small frame on this machine, rings in the cache.
    ///
    /// # Errors
    /// When the kernel does not run it for a test.
    pub fn measure(&self) -> io::Result<Duration> {
        // All rounds together fit the smallest ring: a full one would be measured as cheap.
        const REPEAT: u32 = 250;
        let mut frame = [0u8; 64];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[23] = 17;
        let run = || {
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let input = ProgramInput { data_in: Some(&frame), repeat: REPEAT, ..ProgramInput::default() };
                let program = self.object.progs_mut().find(|p| p.name() == "ethernet_in");
                let program = program.ok_or(io::ErrorKind::NotFound)?;
                best = best.min(program.test_run(input).map_err(system)?.duration);
            }
            Ok(best)
        };
        run()
    }

    /// Hangs the programs on both directions of an interface with frames of an `ARPHRD_*` type.
    ///
    /// # Errors
    /// `Unsupported` for types that the programs do not know; else what the kernel says.
    pub fn attach(&mut self, ifindex: u32, hatype: u16) -> io::Result<[Attached; 2]> {
        let names = match hatype {
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => ["ethernet_in", "ethernet_out"],
            NONE
            | libc::ARPHRD_PPP
            | libc::ARPHRD_TUNNEL
            | libc::ARPHRD_TUNNEL6
            | libc::ARPHRD_SIT
            | libc::ARPHRD_IPGRE => ["network_in", "network_out"],
            _ => return Err(io::Error::new(io::ErrorKind::Unsupported, format!("link type {hatype}"))),
        };
        let [first, second] = names;
        if self.hook == Hook::Tcx {
            match self.link(first, ifindex) {
                Ok(link) => return Ok([link, self.link(second, ifindex)?].map(Attached::Link)),
                // No tcx in this kernel.
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => self.hook = Hook::Clsact,
                Err(e) => return Err(e),
            }
        }
        Ok([self.filter(first, ifindex)?, self.filter(second, ifindex)?].map(Attached::Filter))
    }

    fn link(&self, name: &str, ifindex: u32) -> io::Result<Link> {
        let program = self.object.progs_mut().find(|p| p.name() == name).ok_or(io::ErrorKind::NotFound)?;
        // Before what drops frames that came in, behind what drops frames that go out.
        const BEFORE: u32 = 1 << 3;
        const AFTER: u32 = 1 << 4;
        let options = libbpf_sys::bpf_tcx_opts {
            sz: size_of::<libbpf_sys::bpf_tcx_opts>() as libbpf_sys::size_t,
            flags: if name.ends_with("_in") { BEFORE } else { AFTER },
            ..libbpf_sys::bpf_tcx_opts::default()
        };
        // SAFETY: the program is loaded and lives in `self.object`; the options are valid for the call.
        let link = unsafe {
            let program = program.as_libbpf_object().as_ptr();
            libbpf_sys::bpf_program__attach_tcx(program, ifindex as i32, &raw const options)
        };
        match NonNull::new(link) {
            // SAFETY: a new link, and nobody else's.
            Some(link) => Ok(unsafe { Link::from_ptr(link) }),
            None => Err(io::Error::last_os_error()),
        }
    }

    fn filter(&self, name: &str, ifindex: u32) -> io::Result<Filter> {
        let program = self.object.progs_mut().find(|p| p.name() == name).ok_or(io::ErrorKind::NotFound)?;
        let point = if name.ends_with("_in") { TC_INGRESS } else { TC_EGRESS };
        let mut hook = TcHookBuilder::new(program.as_fd())
            .ifindex(ifindex as i32)
            .handle(HANDLE)
            .priority(PRIORITY)
            // A stale one of ours, after a kill.
            .replace(true)
            .hook(point);
        hook.create().map_err(system)?;
        let mut hook = hook.attach().map_err(system)?;
        let program = hook.query().map_err(system)?;
        Ok(Filter { hook, program })
    }
}

impl Settings {
    /// `struct settings` in `bpf/capture.h`.
    fn bytes(&self) -> [u8; 32] {
        let snap = if self.snap == 0 { LONGEST as u32 } else { self.snap.min(LONGEST as u32) };
        let ordered = cfg!(any(target_arch = "x86_64", target_arch = "x86"));
        let words = [
            self.ring_bytes as u32 - 1,
            snap,
            self.threads as u32,
            self.seed,
            u32::from(!ordered),
            self.tallied.0,
            self.places as u32,
            self.secret(),
        ];
        let mut bytes = [0; 32];
        for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// Returns the secret of the hash that finds tallies.
    const fn secret(&self) -> u32 {
        self.seed.rotate_left(16) ^ 0x5bd1_e995
    }

    /// Returns how many values a map has for each place, if it is one of the tallies'.
    fn tallies_of(map: &str) -> Option<usize> {
        match map {
            "sets" => Some(1),
            "tallies" | "wides" => Some(2),
            _ => None,
        }
    }
}

/// Keeps the system's number where there is one.
fn system(error: libbpf_rs::Error) -> io::Error {
    let number = match error.kind() {
        ErrorKind::PermissionDenied => Some(libc::EPERM),
        ErrorKind::OutOfMemory => Some(libc::ENOMEM),
        _ => None,
    };
    match number {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::linux::{
        bpf_capture::{
            record::HEADER,
            ring::Reader,
            tallies::{FILLED, Tally},
        },
        bpf_exits::exit_without,
        interfaces,
    };
    use libbpf_rs::{
        HasSize as _,
        btf::{Btf, types},
    };
    use std::{process::Command, thread};

    const SETTINGS: Settings = Settings {
        ring_bytes: 1 << 18,
        snap: 0,
        threads: 1,
        seed: 7,
        tallied: Tallied(Tallied::UDP | Tallied::TCP | Tallied::TAGGED),
        places: 64,
    };

    #[test]
    fn every_exit_of_every_program_lets_the_packet_pass() {
        let open = ObjectBuilder::default().open_memory(&OBJECT.0).unwrap();
        assert_eq!(open.progs().count(), 4);
        for program in open.progs() {
            // TCX_NEXT and TC_ACT_UNSPEC are -1 both.
            assert_eq!(exit_without(program.insns(), -1), None, "{:?}", program.name());
            assert_ne!(exit_without(program.insns(), 0), None, "{:?}", program.name());
        }
    }

    #[test]
    fn layouts_are_those_of_the_object() {
        let path = std::env::temp_dir().join(format!("rustnet-capture-btf-{}", std::process::id()));
        std::fs::write(&path, OBJECT.0).unwrap();
        let btf = Btf::from_path(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for (name, size, fields) in [
            (
                "record",
                HEADER,
                &[
                    ("size", 0),
                    ("captured", 4),
                    ("at_ns", 8),
                    ("length", 16),
                    ("ifindex", 20),
                    ("gso_size", 24),
                    ("tag_type", 26),
                    ("tag", 28),
                    ("packet_type", 30),
                    ("link_bytes", 31),
                ][..],
            ),
            (
                "settings",
                SETTINGS.bytes().len(),
                &[
                    ("ring_mask", 0),
                    ("snap", 4),
                    ("threads", 8),
                    ("seed", 12),
                    ("weak_memory", 16),
                    ("tallied", 20),
                    ("places", 24),
                    ("secret", 28),
                ],
            ),
            (
                "tally",
                size_of::<Tally>(),
                &[
                    ("word", 0),
                    ("ends", 8),
                    ("count", 16),
                    ("extra", 24),
                    ("last_ns", 32),
                    ("next", 40),
                    ("acked", 44),
                    ("ifindex", 48),
                    ("front", 52),
                    ("window", 56),
                    ("packet_type", 58),
                ],
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

    #[test]
    fn there_is_a_bit_for_each_set() {
        let open = ObjectBuilder::default().open_memory(&OBJECT.0).unwrap();
        let filled = open.maps().find(|map| map.name().to_string_lossy().ends_with(".filled")).unwrap();
        assert_eq!(filled.value_size() as usize, FILLED);
    }

    /// Frames of many kinds, whole and cut.
    fn frames() -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for ethertype in [0x0800u16, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x0042] {
            for first in [0x45u8, 0x4f, 0x60, 0xff] {
                for len in [14usize, 15, 18, 34, 54, 64, 1514, 3000] {
                    let mut frame = vec![0; len];
                    frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
                    frame[14..].iter_mut().for_each(|b| *b = 6);
                    if let Some(byte) = frame.get_mut(14) {
                        *byte = first;
                    }
                    all.push(frame);
                }
            }
        }
        all
    }

    #[test]
    #[ignore = "needs root: cargo test --lib bpf_capture -- --ignored"]
    fn the_kernel_runs_them_and_they_let_everything_pass_even_when_the_ring_is_full() {
        for threads in [1, 3] {
            let programs = Programs::load(&Settings { threads, ring_bytes: 1 << 17, ..SETTINGS }).unwrap();
            let count = programs.cpus * threads;
            let mut readers: Vec<_> = (0..count).map(|n| Reader::new(&programs.rings, n)).collect();
            let (mut run, mut seen) = (0, 0);
            for frame in frames() {
                for program in programs.object.progs_mut() {
                    let input = ProgramInput { data_in: Some(&frame), ..ProgramInput::default() };
                    // The kernel has no test for frames without anything behind the link header.
                    let Ok(output) = program.test_run(input) else { continue };
                    assert_eq!(output.return_value as i32, -1);
                    run += 1;
                }
                for reader in &mut readers {
                    reader.look();
                    while let Some((record, size)) = reader.peek() {
                        // (The kernel takes the link header off for some tests.)
                        let bytes = record.frame(0).bytes;
                        assert!(frame.ends_with(bytes) || frame == bytes, "{frame:x?} {bytes:x?}");
                        reader.advance(size);
                        seen += 1;
                    }
                    // Not given back: full at last.
                }
            }
            let lost: u64 = readers.iter().map(|r| r.counts().1).sum();
            let counted: u64 = readers.iter().map(|r| r.counts().0).sum();
            assert!(run > 500 && lost > 0, "{run} {lost}");
            assert_eq!((counted, seen + lost), (run, run));
        }
    }

    fn run(command: &str) -> String {
        let mut words = command.split(' ');
        let done = Command::new(words.next().unwrap()).args(words).output().unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    #[test]
    #[ignore = "needs root: cargo test --lib bpf_capture -- --ignored"]
    fn clsact_filters_are_taken_off_and_stale_ones_replaced() {
        thread::spawn(|| {
            // SAFETY: no pointers; the thread has no sockets yet.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            run("ip link add rnla type veth peer name rnlb");
            let index = interfaces::interfaces().unwrap().iter().find(|i| i.name == "rnla").unwrap().index;
            let mut programs = Programs::load(&SETTINGS).unwrap();
            programs.use_clsact();
            let filters = || {
                ["ingress", "egress"].map(|d| {
                    run(&format!("tc filter show dev rnla {d}"))
                        .lines()
                        .filter(|l| l.contains("handle"))
                        .count()
                })
            };
            let attached = programs.attach(index, libc::ARPHRD_ETHER).unwrap();
            assert_eq!(filters(), [1, 1]);
            // As after a kill: they are still there.
            attached.into_iter().for_each(std::mem::forget);
            let attached = programs.attach(index, libc::ARPHRD_ETHER).unwrap();
            assert_eq!(filters(), [1, 1]);
            // Another capture takes its place, and keeps it when the first one ends.
            let mut others = Programs::load(&SETTINGS).unwrap();
            others.use_clsact();
            let later = others.attach(index, libc::ARPHRD_ETHER).unwrap();
            drop(attached);
            assert_eq!(filters(), [1, 1]);
            drop(later);
            assert_eq!(filters(), [0, 0]);
        })
        .join()
        .unwrap();
    }
}
