//! What `/proc` says of processes (proc(5)): identities, parents, and who has which sockets.
//!
//! Everything here may be gone between two reads, refused, or hostile text; then less is known.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::users::Users;
use crate::{
    base::time::Stamp,
    platform::linux::resources::started_at,
    process::{
        container::{container, group},
        identity::{LONGEST_COMMAND, LONGEST_PATH, ProcessFacts, ProcessId},
    },
};

/// A thread of the kernel, in field 9 of `stat` (include/linux/sched.h).
const PF_KTHREAD: u64 = 0x0020_0000;
/// What start times are counted in, in ns (USER_HZ, proc_pid_stat(5)).
const TICK: u64 = 10_000_000;
/// Parents told at most.
const GENERATIONS: usize = 6;
/// Bytes of the list of control groups: a dozen lines, of which the one that counts stands last.
const LONGEST_GROUPS: usize = 8192;
/// How long the parents of a process are believed.
const FRESH: Duration = Duration::from_secs(5);

/// Looks into `/proc`.
#[derive(Debug)]
pub struct Procfs {
    root: PathBuf,
    /// Names of users.
    pub users: Users,
    /// Wall time at which the system started.
    booted: Option<Stamp>,
    own_netns: Option<u32>,
    parents: HashMap<u32, (Instant, Box<[Parent]>)>,
}

type Parent = (u32, Box<str>);

/// What `stat` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Thread group and start.
    pub id: ProcessId,
    /// Parent.
    pub parent: u32,
    /// The kernel's name.
    pub comm: Box<str>,
    /// A thread of the kernel.
    pub is_kernel: bool,
}

impl Procfs {
    /// Returns the `/proc` of the host: `/host/proc` where a container has that mounted.
    pub fn new() -> Self {
        let host = Path::new("/host/proc");
        let root = if host.join("1/stat").exists() { host } else { Path::new("/proc") };
        Self::at(root)
    }

    fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            users: Users::default(),
            booted: started_at(),
            own_netns: netns_of(Path::new("/proc/self/ns/net")),
            parents: HashMap::new(),
        }
    }

    /// Returns all processes that show.
    pub fn pids(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
    }

    /// Returns what `stat` says of a process.
    pub fn stat(&self, pid: u32) -> Option<Stat> {
        parse_stat(&self.read(pid, "stat", 2048)?)
    }

    /// Returns who a process is.
    pub fn identity(&mut self, pid: u32) -> Option<(ProcessId, ProcessFacts)> {
        let stat = self.stat(pid)?;
        let arguments = self.read(pid, "cmdline", LONGEST_COMMAND).unwrap_or_default();
        let uid = self.read(pid, "status", 4096).and_then(|text| effective_user(&text));
        let groups = self.groups(pid);
        let facts = ProcessFacts {
            exe: self.exe(pid),
            command: command(&arguments),
            argument0: argument0(&arguments),
            comm: stat.comm,
            is_kernel: stat.is_kernel,
            uid,
            user: uid.and_then(|uid| self.users.name(uid)),
            parents: self.parents(stat.parent),
            container: container(&groups),
            cgroup: group(&groups),
            netns: self.other_netns(pid),
            started: self.started(stat.id),
        };
        Some((stat.id, facts))
    }

    /// Returns the path of a process's executable.
    pub fn exe(&self, pid: u32) -> Option<Box<str>> {
        let path = fs::read_link(self.path(pid, "exe")).ok()?;
        let path = path.to_string_lossy();
        let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
        path.get(..path.len().min(LONGEST_PATH)).filter(|p| !p.is_empty()).map(Into::into)
    }

    /// Returns the control groups that a process is in, one a line.
    pub fn groups(&self, pid: u32) -> String {
        let groups = self.read(pid, "cgroup", LONGEST_GROUPS).unwrap_or_default();
        String::from_utf8_lossy(&groups).into_owned()
    }

    /// Returns when a process started.
    pub fn started(&self, id: ProcessId) -> Option<Stamp> {
        let since = id.start.checked_mul(TICK)?;
        self.booted?.0.checked_add(since).map(Stamp)
    }

    /// Returns the arguments of a process as they stand in memory.
    pub fn arguments(&self, pid: u32) -> Vec<u8> {
        self.read(pid, "cmdline", LONGEST_COMMAND).unwrap_or_default()
    }

    /// Returns a process and its parents, nearest first.
    pub fn parents(&mut self, parent: u32) -> Box<[Parent]> {
        if let Some((at, known)) = self.parents.get(&parent)
            && at.elapsed() < FRESH
        {
            return known.clone();
        }
        let mut parents = Vec::new();
        let mut pid = parent;
        while pid != 0 && parents.len() < GENERATIONS {
            let Some(stat) = self.stat(pid) else { break };
            let arguments = self.read(pid, "cmdline", LONGEST_COMMAND).unwrap_or_default();
            let facts = ProcessFacts {
                exe: self.exe(pid),
                argument0: argument0(&arguments),
                comm: stat.comm,
                is_kernel: stat.is_kernel,
                ..ProcessFacts::default()
            };
            parents.push((pid, facts.name().0.into()));
            pid = stat.parent;
        }
        let parents: Box<[Parent]> = parents.into();
        if self.parents.len() > 4096 {
            self.parents.clear();
        }
        self.parents.insert(parent, (Instant::now(), parents.clone()));
        parents
    }

    /// Returns who has which of these sockets (by inode), and takes them out of `wanted`; `None` asks for all
    /// sockets. It ends when all were found. `pids` are looked at in their order.
    pub fn holders(&self, pids: &[u32], wanted: &mut Option<&mut HashSet<u64>>) -> Vec<(u64, u32)> {
        let mut found = Vec::new();
        for pid in pids {
            if wanted.as_ref().is_some_and(|wanted| wanted.is_empty()) {
                break;
            }
            let Ok(files) = fs::read_dir(self.path(*pid, "fd")) else { continue };
            for file in files.flatten() {
                let Ok(target) = fs::read_link(file.path()) else { continue };
                let Some(inode) = socket_inode(&target) else { continue };
                if wanted.as_mut().is_none_or(|wanted| wanted.remove(&inode)) {
                    found.push((inode, *pid));
                }
            }
        }
        found
    }

    /// Returns the network namespace that a process lives in.
    pub fn netns(&self, pid: u32) -> Option<u32> {
        netns_of(&self.path(pid, "ns/net"))
    }

    /// Returns the network namespace that a process lives in, if it is not ours.
    pub fn other_netns(&self, pid: u32) -> Option<u32> {
        self.netns(pid).filter(|netns| self.own_netns.is_some_and(|own| own != *netns))
    }

    /// Returns one of the tables below `net` as a process sees it.
    pub fn net(&self, pid: Option<u32>, table: &str) -> Vec<u8> {
        let path = match pid {
            Some(pid) => self.path(pid, &format!("net/{table}")),
            None => Path::new("/proc/self/net").join(table),
        };
        fs::read(path).unwrap_or_default()
    }

    /// Returns the beginning of one of these tables: whole lines, as many as can be read in that time.
    pub fn net_of(&self, pid: u32, table: &str, most: usize, patience: Duration) -> Vec<u8> {
        let (begun, mut bytes) = (Instant::now(), Vec::new());
        let Ok(mut file) = File::open(self.path(pid, &format!("net/{table}"))) else { return bytes };
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = file.read(&mut some) {
            bytes.extend_from_slice(&some[..n]);
            if bytes.len() >= most || begun.elapsed() >= patience {
                let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
                bytes.truncate(whole);
                break;
            }
        }
        bytes
    }

    /// Returns whether other users' processes are hidden from us (`hidepid`).
    pub fn is_hidden(&self) -> bool {
        !self.root.join("1/stat").exists()
    }

    fn path(&self, pid: u32, what: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(what)
    }

    fn read(&self, pid: u32, what: &str, most: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path(pid, what)).ok()?.take(most as u64).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// `net:[4026531840]`
fn netns_of(link: &Path) -> Option<u32> {
    fs::read_link(link).ok()?.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// `socket:[12345]`
fn socket_inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// `7 (comm) S 1 ...`: `comm` may hold blanks, parentheses and newlines.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let (open, close) = (text.iter().position(|b| *b == b'(')?, text.iter().rposition(|b| *b == b')')?);
    let pid = std::str::from_utf8(text.get(..open)?).ok()?.trim().parse().ok()?;
    let comm = String::from_utf8_lossy(text.get(open + 1..close)?).into();
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let field = |n: usize| rest.split_ascii_whitespace().nth(n - 3);
    Some(Stat {
        id: ProcessId { pid, start: field(22)?.parse().ok()? },
        parent: field(4)?.parse().ok()?,
        comm,
        is_kernel: field(9)?.parse::<u64>().ok()? & PF_KTHREAD != 0,
    })
}

/// Real, effective, saved and file system user, tabs between them.
fn effective_user(status: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(status);
    text.lines().find_map(|l| l.strip_prefix("Uid:"))?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Returns arguments that end in NUL as one text, blanks between them.
pub fn command(arguments: &[u8]) -> Option<Box<str>> {
    let end = arguments.iter().rposition(|b| *b != 0)? + 1;
    let arguments = &arguments[..end];
    let text: Vec<u8> = arguments.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
    Some(String::from_utf8_lossy(&text).into())
}

/// Returns the first of arguments that end in NUL.
pub fn argument0(arguments: &[u8]) -> Option<Box<str>> {
    let first = arguments.split(|b| *b == 0).next()?;
    (!first.is_empty()).then(|| String::from_utf8_lossy(first).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_do_not_confuse_stat() {
        let rest = "S 7 8 8 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        for (comm, want) in [("sh", "sh"), ("a) R 1 (b", "a) R 1 (b"), ("\x1b[2J\n)", "\x1b[2J\n)")] {
            let stat = parse_stat(format!("42 ({comm}) {rest}\n").as_bytes()).unwrap();
            assert_eq!(stat.id, ProcessId { pid: 42, start: 98765 });
            assert_eq!((&*stat.comm, stat.parent, stat.is_kernel), (want, 7, false));
        }
        for bad in [&b""[..], b"42", b"42 (", b"42 (a", b"42 (a)", b"42 (a) S", b"x (a) S 1", b")("] {
            assert_eq!(parse_stat(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn arguments_are_text_with_an_end() {
        assert_eq!(command(b"nc\0-l\x0080\0").as_deref(), Some("nc -l 80"));
        assert_eq!(command(b"nginx: worker process\0\0\0\0").as_deref(), Some("nginx: worker process"));
        assert_eq!(command(b"\0\0"), None);
        assert_eq!(command(b""), None);
        assert_eq!(command(b"a\xff\0").as_deref(), Some("a\u{fffd}"));
        assert_eq!(argument0(b"/bin/nc\0-l\0").as_deref(), Some("/bin/nc"));
        assert_eq!(argument0(b"\0x"), None);
    }

    #[test]
    fn of_a_long_table_whole_lines_are_read() {
        let root = std::env::temp_dir().join(format!("rustnet-net-{}", std::process::id()));
        fs::create_dir_all(root.join("7/net")).unwrap();
        let line = "fe8000000000000000aabbccddeeff00 02 40 20 80 eth0\n";
        fs::write(root.join("7/net/if_inet6"), line.repeat(1000)).unwrap();
        let proc = Procfs::at(&root);
        let minute = Duration::from_secs(60);
        let all = proc.net_of(7, "if_inet6", usize::MAX, minute);
        assert_eq!(all.len(), 1000 * line.len());
        for (most, patience) in [(10_000, minute), (usize::MAX, Duration::ZERO)] {
            let some = proc.net_of(7, "if_inet6", most, patience);
            assert!(!some.is_empty() && some.len() < all.len());
            assert_eq!(some, line.repeat(some.len() / line.len()).as_bytes());
        }
        assert!(proc.net_of(8, "if_inet6", usize::MAX, minute).is_empty());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn this_process_is_found_with_its_sockets() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut proc = Procfs::at(Path::new("/proc"));
        let own = std::process::id();
        let (id, facts) = proc.identity(own).unwrap();
        assert_eq!(id.pid, own);
        let exe = std::env::current_exe().unwrap();
        assert_eq!(facts.exe.as_deref(), exe.to_str());
        assert_eq!(facts.name().0, exe.file_name().unwrap().to_str().unwrap());
        assert!(!facts.parents.is_empty());
        assert_eq!(facts.netns, None, "it is ours");
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let started = facts.started.unwrap().0;
        assert!((now - 600_000_000_000..=now).contains(&started), "{started} is not just before {now}");
        assert!(!proc.holders(&[own], &mut None).is_empty());
        drop(socket);
        assert!(proc.identity(u32::MAX).is_none());
    }
}
