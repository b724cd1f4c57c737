//! What the process may do, and words for what it may not: told before the screen opens.
#![expect(unsafe_code, reason = "statvfs, getxattr, geteuid")]

use std::{
    ffi::CString,
    fmt::Write as _,
    fs, io, mem,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Bit of CAP_NET_RAW in a set of capabilities (capabilities(7)).
const NET_RAW: u32 = 13;

/// Says whether packet sockets may be opened, by the effective capabilities.
///
/// # Errors
/// With the message for the user: what is missing, why, and numbered ways to mend it.
pub fn check_capture() -> Result<(), String> {
    let facts = Facts::gather();
    if facts.has_net_raw() { Ok(()) } else { Err(facts.message()) }
}

/// Returns the message of [`check_capture`] also when the sets look sufficient: the kernel has
/// refused for another reason (a user namespace, a security module).
pub fn refusal() -> String {
    Facts::gather().message()
}

/// What the message is made of.
#[derive(Clone, Debug)]
struct Facts {
    status: Status,
    /// This binary, symbolic links resolved.
    binary: PathBuf,
    /// How it was called, if that is a symbolic link.
    link: Option<PathBuf>,
    file_capabilities: FileCapabilities,
    nosuid: bool,
    container: Option<&'static str>,
    root: bool,
}

/// From `/proc/self/status` (proc(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Status {
    effective: u64,
    bounding: u64,
    no_new_privs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileCapabilities {
    /// The binary has this set of permitted ones.
    Some(u64),
    None,
    /// The file system has no extended attributes.
    Unsupported,
}

/// Capabilities that capture and the search for owners use, by their bits (capabilities(7)), in the order in which
/// they are told.
const USED: [(u32, &str); 9] = [
    (NET_RAW, "net_raw"),
    (12, "net_admin"),
    (39, "bpf"),
    (38, "perfmon"),
    (21, "sys_admin"),
    (19, "sys_ptrace"),
    (2, "dac_read_search"),
    (24, "sys_resource"),
    (14, "ipc_lock"),
];

/// Returns what this process may do beyond others, in words.
pub fn held_privileges() -> Option<String> {
    let status = Status::parse(&fs::read_to_string("/proc/self/status").ok()?);
    // SAFETY: no pointers; cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    Some(status.told(root))
}

impl Facts {
    fn gather() -> Self {
        let binary = fs::read_link("/proc/self/exe").unwrap_or_else(|_| "rustnet".into());
        let called = std::env::args_os().next().map(PathBuf::from);
        let link = called.filter(|p| p.is_symlink());
        Self {
            status: Status::parse(&fs::read_to_string("/proc/self/status").unwrap_or_default()),
            file_capabilities: FileCapabilities::of(&binary),
            nosuid: is_nosuid(&binary),
            container: container(),
            // SAFETY: no pointers; cannot fail.
            root: unsafe { libc::geteuid() } == 0,
            binary,
            link,
        }
    }

    fn has_net_raw(&self) -> bool {
        self.status.effective >> NET_RAW & 1 == 1
    }

    fn message(&self) -> String {
        let mut text = "not allowed to capture: the capability CAP_NET_RAW is missing\n".to_owned();
        if self.has_net_raw() {
            text = "not allowed to capture: the kernel refuses a packet socket although CAP_NET_RAW is \
                    there (a user namespace, seccomp or a security module)\n"
                .to_owned();
        }
        if let Some(reason) = self.why_not_in_force() {
            let _ = writeln!(text, "{reason}");
        }
        let binary = self.binary.display();
        let mut ways = Vec::new();
        if let Some(engine) = self.container {
            ways.push(format!(
                "in this container: start it with   {engine} run --cap-add=NET_RAW --cap-add=NET_ADMIN --net=host ..."
            ));
        }
        if !self.root {
            ways.push("as root:                        sudo rustnet".to_owned());
            ways.push(format!(
                "for this binary, once:          sudo setcap cap_net_raw,cap_net_admin=eip {binary}"
            ));
        } else if self.container.is_none() {
            ways.push("root without capabilities: start it outside of the sandbox or service that drops them (systemd: CapabilityBoundingSet=, AmbientCapabilities=CAP_NET_RAW)".to_owned());
        }
        ways.push("without privileges:             rustnet --read FILE".to_owned());
        let _ = writeln!(text, "ways to mend it:");
        for (n, way) in ways.iter().enumerate() {
            let _ = writeln!(text, "  {}. {way}", n + 1);
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Why capabilities on the file have no effect, if it has some or cannot have any.
    fn why_not_in_force(&self) -> Option<String> {
        let binary = self.binary.display();
        let raw = 1u64 << NET_RAW;
        match self.file_capabilities {
            FileCapabilities::Unsupported => Some(format!(
                "the file system of {binary} has no extended attributes: setcap cannot work there, copy the binary to /usr/local/bin"
            )),
            FileCapabilities::None => {
                let link = self.link.as_ref()?.display();
                Some(format!("{link} is a symbolic link: setcap is needed on the file itself, {binary}"))
            }
            FileCapabilities::Some(set) if set & raw == 0 => {
                Some(format!("{binary} has file capabilities, but CAP_NET_RAW is not among them"))
            }
            FileCapabilities::Some(_) if self.nosuid => Some(format!(
                "{binary} has the capability, but its file system is mounted nosuid, which switches it off: copy the binary to /usr/local/bin and run setcap there"
            )),
            FileCapabilities::Some(_) if self.status.no_new_privs => Some(format!(
                "{binary} has the capability, but no_new_privs is set for this process, which switches it off (a sandbox, a systemd service with NoNewPrivileges=yes, docker --security-opt=no-new-privileges)"
            )),
            FileCapabilities::Some(_) if self.status.bounding & raw == 0 => Some(format!(
                "{binary} has the capability, but it is outside of this process's bounding set (a container or a service took it away)"
            )),
            FileCapabilities::Some(_) => Some(format!(
                "{binary} has the capability, but it is not in force; `=eip` is needed, not only `=p`"
            )),
        }
    }
}

impl Status {
    fn told(&self, root: bool) -> String {
        let used: Vec<_> =
            USED.iter().filter(|(bit, _)| self.effective >> bit & 1 == 1).map(|(_, name)| *name).collect();
        let user = if root { "root: " } else { "" };
        let what = match used.len() {
            0 => "none".to_owned(),
            n if n == USED.len() => "all that are used".to_owned(),
            _ => used.join(", "),
        };
        let others = if self.no_new_privs { "; no new ones (no_new_privs)" } else { "" };
        format!("{user}{what}{others}")
    }

    fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        Self {
            effective: field("CapEff:").unwrap_or(0),
            bounding: field("CapBnd:").unwrap_or(u64::MAX),
            no_new_privs: field("NoNewPrivs:") == Some(1),
        }
    }
}

impl FileCapabilities {
    fn of(path: &Path) -> Self {
        let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return Self::None };
        let mut value = [0u8; 64];
        // SAFETY: both strings are C strings, the buffer is valid for writing its length.
        let n = unsafe {
            let name = c"security.capability";
            libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
        };
        match usize::try_from(n) {
            Ok(n) => Self::parse(&value[..n.min(value.len())]),
            Err(_) if io::Error::last_os_error().raw_os_error() == Some(libc::EOPNOTSUPP) => {
                Self::Unsupported
            }
            Err(_) => Self::None,
        }
    }

    /// `struct vfs_cap_data` (linux/capability.h): magic, then permitted and inheritable for the
    /// low and the high 32 capabilities; little endian.
    fn parse(value: &[u8]) -> Self {
        let word = |at: usize| {
            let bytes = value.get(at..at + 4)?;
            Some(u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
        };
        match (word(4), word(12)) {
            (Some(low), high) => Self::Some(low | high.unwrap_or(0) << 32),
            _ => Self::None,
        }
    }
}

fn is_nosuid(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: all fields are numbers.
    let mut answer: libc::statvfs = unsafe { mem::zeroed() };
    // SAFETY: a C string, and a struct valid for writing.
    let done = unsafe { libc::statvfs(path.as_ptr(), &raw mut answer) };
    done == 0 && answer.f_flag & libc::ST_NOSUID != 0
}

/// The command of the container engine that this process runs under, if it shows.
fn container() -> Option<&'static str> {
    if Path::new("/run/.containerenv").exists() {
        return Some("podman");
    }
    let groups = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    let named = ["docker", "kubepods", "containerd", "/lxc"].iter().any(|n| groups.contains(n));
    (named || Path::new("/.dockerenv").exists() || std::env::var_os("container").is_some())
        .then_some("docker")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_privileges_are_told_by_name() {
        for (text, root, want) in [
            ("CapEff:\t0000000000000000\n", false, "none"),
            ("CapEff:\t000000c000003000\n", false, "net_raw, net_admin, bpf, perfmon"),
            (
                "CapEff:\t0000000000002000\nNoNewPrivs:\t1\n",
                true,
                "root: net_raw; no new ones (no_new_privs)",
            ),
            ("CapEff:\t000001ffffffffff\n", true, "root: all that are used"),
        ] {
            assert_eq!(Status::parse(text).told(root), want);
        }
    }

    fn facts() -> Facts {
        Facts {
            status: Status { effective: 0, bounding: u64::MAX, no_new_privs: false },
            binary: "/opt/rustnet".into(),
            link: None,
            file_capabilities: FileCapabilities::None,
            nosuid: false,
            container: None,
            root: false,
        }
    }

    #[test]
    fn a_user_is_told_what_is_missing_and_numbered_ways() {
        assert_eq!(
            facts().message(),
            "not allowed to capture: the capability CAP_NET_RAW is missing\n\
             ways to mend it:\n\
             \x20 1. as root:                        sudo rustnet\n\
             \x20 2. for this binary, once:          sudo setcap cap_net_raw,cap_net_admin=eip /opt/rustnet\n\
             \x20 3. without privileges:             rustnet --read FILE"
        );
    }

    #[test]
    fn in_a_container_the_engine_s_flags_come_first() {
        let text = Facts { container: Some("docker"), root: true, ..facts() }.message();
        let first = text.lines().find(|l| l.starts_with("  1. ")).unwrap();
        assert!(first.contains("docker run --cap-add=NET_RAW --cap-add=NET_ADMIN --net=host"), "{text}");
        assert!(!text.contains("sudo"), "{text}");
    }

    #[test]
    fn file_capabilities_without_effect_have_a_reason() {
        let set = FileCapabilities::Some(1 << NET_RAW | 1 << 12);
        let status = facts().status;
        let with = |facts: Facts| facts.why_not_in_force().unwrap();
        let base = Facts { file_capabilities: set, ..facts() };
        assert!(with(Facts { nosuid: true, ..base.clone() }).contains("nosuid"));
        let no_new_privs = Status { no_new_privs: true, ..status };
        assert!(with(Facts { status: no_new_privs, ..base.clone() }).contains("no_new_privs"));
        assert!(
            with(Facts { status: Status { bounding: 0, ..status }, ..base.clone() }).contains("bounding set")
        );
        assert!(with(base.clone()).contains("=eip"));
        let unsupported = Facts { file_capabilities: FileCapabilities::Unsupported, ..facts() };
        assert!(with(unsupported).contains("extended attributes"));
        let linked = Facts { link: Some("/usr/bin/rn".into()), ..facts() };
        assert!(with(linked).starts_with("/usr/bin/rn is a symbolic link"));
        let other = Facts { file_capabilities: FileCapabilities::Some(1 << 12), ..facts() };
        assert!(with(other).contains("not among them"));
        assert_eq!(facts().why_not_in_force(), None);
    }

    #[test]
    fn status_and_attribute_are_read() {
        let text = "Name:\tx\nNoNewPrivs:\t1\nCapEff:\t0000000000002000\nCapBnd:\t000001ffffffffff\n";
        let status = Status { effective: 0x2000, bounding: 0x1ff_ffff_ffff, no_new_privs: true };
        assert_eq!(Status::parse(text), status);
        // setcap cap_net_raw,cap_net_admin=eip: magic 2 with the effective bit, 0x3000 twice
        let value = [1, 0, 0, 2, 0, 0x30, 0, 0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(FileCapabilities::parse(&value), FileCapabilities::Some(0x3000));
        assert_eq!(FileCapabilities::parse(&[1, 0]), FileCapabilities::None);
    }
}
