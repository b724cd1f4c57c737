//! What the process may use and what it uses: memory and time.
#![expect(
    unsafe_code,
    reason = "madvise, mallopt, getrusage, sysconf, setpriority, sched_setattr, clock_gettime"
)]

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    base::{memory::Populate, time::Stamp},
    platform::SelfUsage,
};

/// Returns the wall time at which the system started, by the clock that starts of processes are counted by
/// (clock_gettime(2), `CLOCK_BOOTTIME`; proc_pid_stat(5), field 22).
pub fn started_at() -> Option<Stamp> {
    let mut since = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `since` is valid for writing.
    if unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut since) } != 0 {
        return None;
    }
    let since = Duration::new(since.tv_sec.try_into().ok()?, since.tv_nsec.try_into().ok()?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Stamp(u64::try_from(now.checked_sub(since)?.as_nanos()).ok()?))
}

/// Asks for 2 MB pages. That the kernel may refuse changes only the speed.
pub fn advise_huge_pages(start: *mut u8, bytes: usize) {
    // SAFETY: no memory is read or written; a range that is not all ours is refused.
    unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE) };
}

/// Returns what touches memory ahead of its use, if this kernel has it (5.14).
pub fn populate() -> Option<Populate> {
    fn touch(start: *mut u8, bytes: usize) {
        // SAFETY: no memory is changed; a range that is not all ours is refused.
        unsafe { libc::madvise(start.cast(), bytes, libc::MADV_POPULATE_WRITE) };
    }
    // SAFETY: no memory at all: refused only if the advice is not known.
    let is_known = unsafe { libc::madvise(std::ptr::null_mut(), 0, libc::MADV_POPULATE_WRITE) } == 0;
    is_known.then_some(touch)
}

/// Gives every large piece of memory a mapping of its own, which grows without a copy and goes back to the
/// system when it is freed. glibc's allocator does so only until the first one is freed (mallopt(3),
/// `M_MMAP_THRESHOLD`); then what growing lists leave behind stays: 44 of 292 MB at 1 M flows.
///
/// Pieces that are freed are joined with their neighbours at once (`M_MXFAST`): that many of them lie apart shows when a
/// list grows, which then waits for the memory of them all.
///
/// Small pieces of all threads come from one arena, which grows by as much at once: one of a thread's own would ask
/// the system for every 4 KB (`M_ARENA_MAX`, `M_TOP_PAD`).
pub fn map_large_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no pointers; it takes the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_MEMORY);
        libc::mallopt(libc::M_MXFAST, 0);
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TOP_PAD, LARGE_MEMORY);
    }
}

/// Bytes from which memory is large.
#[cfg(target_env = "gnu")]
const LARGE_MEMORY: i32 = 1 << 20;

/// Returns the bytes of memory that this process may use: what is available on the host, and no
/// more than the limits of its control groups and of its address space (`ulimit -v`).
pub fn usable_memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let host = available(&meminfo).min(address_space());
    limit_files(&groups).iter().filter_map(|file| limit(&fs::read_to_string(file).ok()?)).fold(host, u64::min)
}

/// What is left of the address space that the process may have.
fn address_space() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writing.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
    if !known || limit.rlim_cur == libc::RLIM_INFINITY {
        return u64::MAX;
    }
    // `statm` begins with the size in pages (proc(5)).
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    limit.rlim_cur.saturating_sub(pages * page_size())
}

fn page_size() -> u64 {
    // SAFETY: no pointers.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

/// `MemAvailable`, which the kernel tells since 3.14, else `MemTotal`; without either no bound.
fn available(meminfo: &str) -> u64 {
    let field = |name| {
        let line = meminfo.lines().find(|l| l.starts_with(name))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    };
    field("MemAvailable:").or_else(|| field("MemTotal:")).map_or(u64::MAX, |kb| kb << 10)
}

/// Returns the files with the memory limits of the group and of every group around it. In a
/// container the path is that of the host or `/`, and the mount shows the container's own group
/// as its root: that is tried too.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        // hierarchy:controllers:path (cgroups(7)); version 2 is hierarchy 0 without controllers.
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (mount, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            c if c.split(',').any(|c| c == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            files.push(format!("{mount}{path}/{file}"));
            let Some((parent, _)) = path.rsplit_once('/') else { break };
            path = parent;
        }
    }
    files
}

/// Version 2 says `max` for none, version 1 a number beyond any memory, which does no harm.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Returns what the process has used: CPU time of all its threads, and memory now.
pub fn self_usage() -> SelfUsage {
    // SAFETY: all fields are numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for writing.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    let rss_bytes = pages * page_size();
    SelfUsage { cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime), rss_bytes }
}

/// Lets others go first: the calling thread, and those that it starts, get about a third of what an
/// ordinary one gets of a core that both want (sched(7): nice 5). For those who compute much and whom
/// nobody waits for by the millisecond.
pub fn give_way() {
    // SAFETY: numbers only; 0 is the calling thread on Linux.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) };
    set_slice(0);
}

/// Lets the calling thread go before others as soon as it has something to do: it gets as much of a core as
/// they, but in slices of 0.3 ms, and who asks for short slices is let in at once (Linux 6.12, EEVDF; earlier
/// ones take no notice). For those who do little and whom somebody waits for.
pub fn come_first() {
    set_slice(300_000);
}

/// Sets the length of the calling thread's slices in ns; 0 is the usual one. Its weight stays.
fn set_slice(ns: u64) {
    /// `struct sched_attr` of sched_setattr(2), its first version.
    #[repr(C)]
    struct SchedAttr {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    // SAFETY: numbers only; 0 is the calling thread on Linux.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let policy = libc::SCHED_OTHER as u32;
    let size = size_of::<SchedAttr>() as u32;
    let attr = SchedAttr { size, policy, flags: 0, nice, priority: 0, runtime: ns, deadline: 0, period: 0 };
    // SAFETY: `attr` is valid for reading and says its own size.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}

/// What the threads of this process work.
#[derive(Default)]
pub struct ThreadTimes(Vec<KnownThread>);

struct KnownThread {
    id: libc::pid_t,
    name: String,
    /// How often its name was read.
    looks: u8,
}

impl ThreadTimes {
    /// A thread begins with the name of the one that started it.
    const LOOKS: u8 = 3;

    /// Returns the names of this process's threads and the CPU time of each in ns. Of names that appear twice the times
    /// are added.
    pub fn read(&mut self) -> Vec<(String, u64)> {
        let mut known = std::mem::take(&mut self.0);
        let mut all: Vec<(String, u64)> = Vec::new();
        for entry in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|id| id.parse().ok()) else { continue };
            let at = known.iter().position(|thread| thread.id == id);
            let mut thread = match at {
                Some(at) => known.swap_remove(at),
                None => KnownThread { id, name: String::new(), looks: 0 },
            };
            if thread.looks < Self::LOOKS {
                let Ok(name) = fs::read_to_string(entry.path().join("comm")) else { continue };
                name.trim_end().clone_into(&mut thread.name);
                thread.looks += 1;
            }
            let ns = worked(id);
            match all.iter_mut().find(|(name, _)| *name == thread.name) {
                Some((_, sum)) => *sum += ns,
                None => all.push((thread.name.clone(), ns)),
            }
            self.0.push(thread);
        }
        all
    }
}

/// Returns the CPU time of a thread of this process in ns; 0 if it has ended. Its clock has a number of its own
/// (`MAKE_THREAD_CPUCLOCK` of the kernel, for `CPUCLOCK_SCHED`): no file is opened for it, which would cost more than the
/// threads work while nothing happens.
fn worked(thread: libc::pid_t) -> u64 {
    const CPUCLOCK_SCHED_OF_THREAD: libc::clockid_t = 2 | 4;
    let clock = (!thread << 3) | CPUCLOCK_SCHED_OF_THREAD;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing; a number that is no clock is refused.
    let done = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if done < 0 { 0 } else { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_looked_for_in_every_group_up_to_the_root() {
        assert_eq!(
            limit_files("0::/system.slice/a.service\n"),
            [
                "/sys/fs/cgroup/system.slice/a.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(
            limit_files("7:cpu,cpuacct:/x\n4:memory:/docker/1\n0::/\n"),
            [
                "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(limit_files("garbage\n"), [""; 0]);
        assert_eq!((limit("max\n"), limit("536870912\n")), (None, Some(512 << 20)));
    }

    #[test]
    fn available_memory_comes_before_all_memory() {
        assert_eq!(available("MemTotal:  2000 kB\nMemFree: 1 kB\nMemAvailable:  1000 kB\n"), 1000 << 10);
        assert_eq!(available("MemTotal:  2000 kB\n"), 2000 << 10);
        assert_eq!(available(""), u64::MAX);
    }

    #[test]
    fn threads_are_told_by_name_with_what_they_worked() {
        use std::{sync::mpsc, thread, time::Instant};
        let (done, wait) = mpsc::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let work = move || {
            let begun = Instant::now();
            while begun.elapsed().as_millis() < 20 {}
            ready.send(()).unwrap();
            let _ = wait.recv();
        };
        let thread = thread::Builder::new().name("works/20".into()).spawn(work).unwrap();
        is_ready.recv().unwrap();
        let mut times = ThreadTimes::default();
        for _ in 0..2 {
            let all = times.read();
            let (_, ns) = all.iter().find(|(name, _)| name == "works/20").expect("it lives");
            assert!((1_000_000..10_000_000_000).contains(ns), "{ns}");
        }
        drop(done);
        thread.join().unwrap();
        assert_eq!(worked(1), 0, "no thread of this process");
    }

    #[test]
    fn memory_is_there_once_it_was_touched_ahead_and_unchanged() {
        let Some(touch) = populate() else { return };
        let bytes = 64 * page_size() as usize;
        let region = crate::base::memory::Region::new(bytes, |_, _| ()).unwrap();
        // SAFETY: the region's first byte, which nobody else uses.
        unsafe { region.start().write(7) };
        touch(region.start(), bytes);
        let mut there = vec![0_u8; 64];
        // SAFETY: the range is mapped, and `there` has a byte for each of its pages.
        let done = unsafe { libc::mincore(region.start().cast(), bytes, there.as_mut_ptr()) };
        // SAFETY: as above.
        assert_eq!(unsafe { region.start().read() }, 7);
        assert!(done == 0 && there.iter().all(|page| page & 1 == 1), "{there:?}");
    }

    #[test]
    fn this_process_uses_something() {
        assert!((1 << 20..u64::MAX).contains(&usable_memory()));
        let usage = self_usage();
        assert!(usage.rss_bytes > 1 << 20 && usage.cpu_seconds >= 0.0, "{usage:?}");
    }
}
