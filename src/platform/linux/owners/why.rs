//! Why owners are not found the best way, and what helps.

use std::{fs, path::Path};

/// Capability bits (capabilities(7)).
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;
/// Releases with task_file iterators and the ring buffer.
const OLDEST: (u32, u32) = (5, 8);

/// What the reasons are made of.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `CapEff` of `/proc/self/status`.
    pub capabilities: u64,
    /// Of `uname -r`.
    pub release: String,
    /// `/sys/kernel/btf/vmlinux` is there.
    pub has_btf: bool,
    /// `/sys/kernel/security/lockdown`
    pub lockdown: String,
    /// This binary.
    pub binary: String,
    /// Processes of other users are hidden.
    pub is_hidden: bool,
}

/// A reason and a remedy.
pub type Why = (String, String);

impl Facts {
    /// Reads them from the system.
    pub fn gather(is_hidden: bool) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let effective = status.lines().find_map(|l| l.strip_prefix("CapEff:")).map(str::trim);
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            capabilities: effective.and_then(|set| u64::from_str_radix(set, 16).ok()).unwrap_or(0),
            release: text("/proc/sys/kernel/osrelease"),
            has_btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            lockdown: text("/sys/kernel/security/lockdown"),
            binary: fs::read_link("/proc/self/exe")
                .map_or_else(|_| "rustnet".into(), |p| p.display().to_string()),
            is_hidden,
        }
    }

    /// Returns why the programs are refused, where the kernel said `error`.
    pub fn refusal(&self, error: &str) -> Why {
        let setcap = format!("sudo setcap cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon=eip {}", self.binary);
        if version(&self.release) < OLDEST {
            let (major, minor) = OLDEST;
            return (
                format!("kernel {} is older than {major}.{minor}", self.release),
                "a newer kernel".into(),
            );
        }
        if !self.has_btf {
            let remedy =
                "a kernel built with CONFIG_DEBUG_INFO_BTF, as those of Debian, Ubuntu and Fedora are";
            return ("the kernel has no type information (/sys/kernel/btf/vmlinux)".into(), remedy.into());
        }
        let missing = self.missing();
        if !missing.is_empty() {
            return (format!("{} missing", missing.join(" and ")), setcap);
        }
        if self.lockdown.contains("[confidentiality]") {
            let remedy = "boot without lockdown=confidentiality";
            return ("the kernel is locked down (confidentiality)".into(), remedy.into());
        }
        (format!("refused by the kernel: {error}"), "--log-level debug tells more".into())
    }

    /// Returns what keeps `/proc` from telling all owners, if something does.
    pub fn proc_limits(&self) -> Option<Why> {
        if self.is_hidden {
            let reason = "/proc is mounted with hidepid: processes of other users are hidden";
            return Some((reason.into(), "sudo mount -o remount,hidepid=0 /proc, or BPF".into()));
        }
        let may = self.has(SYS_PTRACE) || self.has(SYS_ADMIN);
        (!may).then(|| {
            let reason = "CAP_SYS_PTRACE missing: only sockets of this user's processes are found";
            (
                reason.into(),
                format!(
                    "sudo setcap cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon,cap_sys_ptrace=eip {}",
                    self.binary
                ),
            )
        })
    }

    fn missing(&self) -> Vec<&'static str> {
        if self.has(SYS_ADMIN) {
            return Vec::new();
        }
        [(BPF, "CAP_BPF"), (PERFMON, "CAP_PERFMON")]
            .into_iter()
            .filter(|(bit, _)| !self.has(*bit))
            .map(|(_, name)| name)
            .collect()
    }

    fn has(&self, bit: u32) -> bool {
        self.capabilities >> bit & 1 == 1
    }
}

/// Returns the version of a release: `6.1.0-18-amd64`.
pub fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            capabilities: 1 << BPF | 1 << PERFMON | 1 << SYS_PTRACE,
            release: "6.1.0-18-amd64".into(),
            has_btf: true,
            lockdown: "[none] integrity confidentiality".into(),
            binary: "/usr/bin/rustnet".into(),
            is_hidden: false,
        }
    }

    #[test]
    fn each_reason_is_named_with_its_remedy() {
        let why = |facts: Facts| facts.refusal("EPERM").0;
        assert_eq!(why(Facts { release: "5.4.0-1".into(), ..facts() }), "kernel 5.4.0-1 is older than 5.8");
        assert!(why(Facts { has_btf: false, ..facts() }).contains("/sys/kernel/btf/vmlinux"));
        assert_eq!(why(Facts { capabilities: 0, ..facts() }), "CAP_BPF and CAP_PERFMON missing");
        assert_eq!(why(Facts { capabilities: 1 << BPF, ..facts() }), "CAP_PERFMON missing");
        let locked = Facts { lockdown: "none integrity [confidentiality]".into(), ..facts() };
        assert!(why(locked).contains("locked down"));
        assert_eq!(why(facts()), "refused by the kernel: EPERM");
        let remedy = Facts { capabilities: 0, ..facts() }.refusal("").1;
        assert_eq!(remedy, "sudo setcap cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon=eip /usr/bin/rustnet");
    }

    #[test]
    fn what_keeps_proc_from_telling_is_named() {
        assert_eq!(facts().proc_limits(), None);
        let hidden = Facts { is_hidden: true, ..facts() }.proc_limits().unwrap();
        assert!(hidden.0.contains("hidepid"));
        let unable = Facts { capabilities: 0, ..facts() }.proc_limits().unwrap();
        assert!(unable.0.contains("CAP_SYS_PTRACE"));
    }
}
