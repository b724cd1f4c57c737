//! Who a process is: kept by pid and start time, so that a pid that is used again is somebody else.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    base::{keyed::Keyed, time::Stamp},
    process::owner::{Owner, Quality},
};

/// Arguments kept, in bytes: a command line may have megabytes.
pub const LONGEST_COMMAND: usize = 512;
/// Bytes of an executable's path kept.
pub const LONGEST_PATH: usize = 4096;

/// Names a process for good: a pid is used again, but not with the same start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// Thread group id.
    pub pid: u32,
    /// When it started, in clock ticks since the start of the system (proc_pid_stat(5), field 22).
    pub start: u64,
}

/// What is known of a process, as the system gave it. All text is untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Path of the executable.
    pub exe: Option<Box<str>>,
    /// Arguments, blanks between them.
    pub command: Option<Box<str>>,
    /// First argument alone.
    pub argument0: Option<Box<str>>,
    /// The kernel's 15-character name.
    pub comm: Box<str>,
    /// A thread of the kernel.
    pub is_kernel: bool,
    /// Effective user.
    pub uid: Option<u32>,
    /// User name.
    pub user: Option<Box<str>>,
    /// Parents, nearest first: pid and name.
    pub parents: Box<[(u32, Box<str>)]>,
    /// Container.
    pub container: Option<Box<str>>,
    /// Path of its control group, if that is not the root.
    pub cgroup: Option<Box<str>>,
    /// Its network namespace, if that is not ours.
    pub netns: Option<u32>,
    /// Wall time of its start, in steps of 10 ms.
    pub started: Option<Stamp>,
}

impl ProcessFacts {
    /// Returns the name: file name of the executable, else that of argv[0], else `comm`; and whether it
    /// is only that.
    pub fn name(&self) -> (&str, bool) {
        let file_name = |path: &'_ str| path.rsplit('/').next().map(str::len);
        for path in [&self.exe, &self.argument0].into_iter().flatten() {
            let len = file_name(path).unwrap_or(0);
            if len > 0 {
                return (&path[path.len() - len..], false);
            }
        }
        (&self.comm, !self.is_kernel)
    }
}

/// A process, or what it was before it executed something else.
#[derive(Debug)]
pub struct Process {
    /// Which one.
    pub id: ProcessId,
    /// What is known of it.
    pub facts: ProcessFacts,
    ended: AtomicBool,
    /// The owners that it is, by quality, while it lives and after: one for all of its flows.
    owners: [OnceLock<Arc<Owner>>; 2 * QUALITIES],
}

const QUALITIES: usize = Quality::Exact as usize + 1;

impl Process {
    /// Returns a process that lives.
    pub fn new(id: ProcessId, facts: ProcessFacts) -> Self {
        Self { id, facts, ended: AtomicBool::new(false), owners: Default::default() }
    }

    /// Notes that it has ended.
    pub fn end(&self) {
        // Relaxed: told and asked under the registry's lock.
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Returns whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Returns it as the owner of a flow.
    pub fn owner(&self, quality: Quality) -> Arc<Owner> {
        let has_ended = self.has_ended();
        let slot = quality as usize + if has_ended { QUALITIES } else { 0 };
        let make = || {
            let (name, name_is_comm) = self.facts.name();
            Arc::new(Owner {
                pid: (!self.facts.is_kernel).then_some(self.id.pid),
                is_kernel: self.facts.is_kernel,
                name: name.into(),
                name_is_comm,
                exe: self.facts.exe.clone(),
                command: self.facts.command.clone(),
                uid: self.facts.uid,
                user: self.facts.user.clone(),
                parents: self.facts.parents.clone(),
                container: self.facts.container.clone(),
                cgroup: self.facts.cgroup.clone(),
                netns: self.facts.netns,
                started: self.facts.started,
                quality,
                has_ended,
            })
        };
        Arc::clone(self.owners[slot].get_or_init(make))
    }
}

/// All processes that are known to live.
#[derive(Debug, Default)]
pub struct Processes {
    living: HashMap<ProcessId, Arc<Process>, Keyed>,
}

impl Processes {
    /// Returns a process.
    pub fn get(&self, id: ProcessId) -> Option<&Arc<Process>> {
        self.living.get(&id)
    }

    /// Takes a process in; what it was before it executed something else stays with the flows of that
    /// time.
    pub fn insert(&mut self, process: Process) -> Arc<Process> {
        let id = process.id;
        match self.living.get(&id) {
            Some(known) if known.facts == process.facts => Arc::clone(known),
            _ => {
                let process = Arc::new(process);
                self.living.insert(id, Arc::clone(&process));
                process
            }
        }
    }

    /// Takes out a process that has ended.
    pub fn remove(&mut self, id: ProcessId) -> Option<Arc<Process>> {
        self.living.remove(&id)
    }

    /// Takes out all for which `lives` says no, and returns them.
    pub fn sweep(&mut self, mut lives: impl FnMut(ProcessId) -> bool) -> Vec<Arc<Process>> {
        let mut gone = Vec::new();
        self.living.retain(|id, process| {
            let stays = lives(*id);
            if !stays {
                gone.push(Arc::clone(process));
            }
            stays
        });
        gone
    }

    /// Returns how many are known.
    pub fn len(&self) -> usize {
        self.living.len()
    }

    /// Returns whether none is known.
    pub fn is_empty(&self) -> bool {
        self.living.is_empty()
    }

    /// Returns the ids of all.
    pub fn ids(&self) -> impl Iterator<Item = ProcessId> {
        self.living.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(exe: Option<&str>, argument0: Option<&str>, comm: &str) -> ProcessFacts {
        ProcessFacts {
            exe: exe.map(Into::into),
            argument0: argument0.map(Into::into),
            comm: comm.into(),
            ..ProcessFacts::default()
        }
    }

    #[test]
    fn the_name_is_the_executables_and_comm_only_at_last() {
        for (facts, want) in [
            (
                facts(Some("/usr/lib/firefox-esr/firefox-esr"), Some("firefox"), "Socket Thread"),
                ("firefox-esr", false),
            ),
            (
                facts(None, Some("/opt/a/a-name-of-more-than-15"), "a-name-of-more-"),
                ("a-name-of-more-than-15", false),
            ),
            (facts(None, Some("nginx: worker process"), "nginx"), ("nginx: worker process", false)),
            (facts(None, None, "Web Content"), ("Web Content", true)),
            (facts(Some("/"), Some(""), "odd"), ("odd", true)),
        ] {
            assert_eq!(facts.name(), want);
        }
    }

    #[test]
    fn a_pid_that_is_used_again_is_somebody_else() {
        let mut all = Processes::default();
        let id = ProcessId { pid: 7, start: 100 };
        let first = all.insert(Process::new(id, facts(Some("/bin/a"), None, "a")));
        let again =
            all.insert(Process::new(ProcessId { pid: 7, start: 200 }, facts(Some("/bin/b"), None, "b")));
        assert_eq!(&*first.owner(Quality::Exact).name, "a");
        assert_eq!(&*again.owner(Quality::Exact).name, "b");
        // It executes something else: its flows from before keep what it was.
        let other = all.insert(Process::new(id, facts(Some("/bin/c"), None, "c")));
        assert_eq!(&*other.owner(Quality::Exact).name, "c");
        assert_eq!(&*first.owner(Quality::Exact).name, "a");
        assert!(Arc::ptr_eq(&other, all.get(id).unwrap()));
    }

    #[test]
    fn an_owner_is_made_once_and_once_more_when_it_has_ended() {
        let process = Process::new(ProcessId { pid: 7, start: 1 }, facts(Some("/bin/a"), None, "a"));
        let owner = process.owner(Quality::Exact);
        assert!(Arc::ptr_eq(&owner, &process.owner(Quality::Exact)));
        assert!(!owner.has_ended);
        process.end();
        assert!(process.owner(Quality::Exact).has_ended);
        assert_eq!(process.owner(Quality::Listener).quality, Quality::Listener);
    }
}
