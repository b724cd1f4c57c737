//! What works on this Linux: capture, owners of sockets, memory, cores. Each is tried, not guessed, where
//! trying changes nothing.
#![expect(unsafe_code, reason = "opens and closes sockets to see whether that is allowed")]

use std::{fs, io};

use crate::platform::{
    OwnerMethod,
    check::{Check, Verdict},
    filter::Filter,
    interface::default_interface,
    linux::{
        affinity, interfaces,
        owners::{self, procfs::Procfs, sock_diag::SockDiag, why},
        privileges,
    },
};

/// `AF_XDP` (linux/socket.h).
const AF_XDP: i32 = 44;
/// From this value on perf_event_open is refused to those without CAP_PERFMON, on Debian to all without
/// CAP_SYS_ADMIN.
const PARANOID: i32 = 3;

/// Returns all checks.
pub fn checks() -> Vec<Check> {
    let bpf = bpf();
    let paranoid = paranoid(!bpf.is_degraded());
    vec![
        capture(),
        capture_by_bpf(),
        interface(),
        filter(),
        bpf,
        paranoid,
        sock_diag(),
        proc_tasks(),
        xdp(),
        huge_pages(),
        cores(),
    ]
}

fn capture() -> Check {
    let name = "capture";
    if let Err(message) = privileges::check_capture() {
        return in_parts(name, &message);
    }
    match try_socket(libc::AF_PACKET) {
        Ok(()) => Check::works(name, "af-packet (CAP_NET_RAW)"),
        Err(_) => in_parts(name, &privileges::refusal()),
    }
}

/// Says whether `--capture auto` is bpf.
fn capture_by_bpf() -> Check {
    let name = "capture: bpf";
    #[cfg(not(feature = "bpf"))]
    let tried: Result<String, String> = Err(String::new());
    #[cfg(feature = "bpf")]
    let tried = super::native::try_bpf();
    if !cfg!(feature = "bpf") {
        let how = "this build captures by af-packet; the default features have BPF";
        return Check { name, verdict: Verdict::LeftOut(how.into()) };
    }
    if !cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
        let how = "auto is af-packet: bpf counts settled connections on x86 only";
        return Check { name, verdict: Verdict::LeftOut(how.into()) };
    }
    match tried {
        Ok(cost) => Check::works(name, cost),
        Err(message) => {
            let reason = message.lines().next().unwrap_or_default();
            let remedy = "sudo, or CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON, and Linux 5.12 or later; \
                          af-packet captures all the same";
            Check::degraded(name, reason, remedy)
        }
    }
}

/// The first line is the reason, the others what helps.
fn in_parts(name: &'static str, message: &str) -> Check {
    let (reason, remedy) = message.split_once('\n').unwrap_or((message, ""));
    Check::degraded(name, reason, remedy)
}

fn try_socket(family: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    let socket = unsafe { libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened above, and nobody else knows it.
    unsafe { libc::close(socket) };
    Ok(())
}

fn interface() -> Check {
    let name = "interface";
    let all = match interfaces::interfaces() {
        Ok(all) => all,
        Err(error) => {
            return Check::degraded(
                name,
                format!("cannot list the interfaces: {error}"),
                "mount /sys and /proc",
            );
        }
    };
    match default_interface(&all) {
        Ok(found) => Check::works(name, found.name.escape_debug().to_string()),
        Err(error) => in_parts(name, &error.to_string()),
    }
}

fn filter() -> Check {
    match Filter::new("ip") {
        Ok(_) => Check::works("bpf-filter", "libpcap"),
        Err(why) => Check { name: "bpf-filter", verdict: Verdict::LeftOut(why) },
    }
}

fn bpf() -> Check {
    let name = "owners: bpf";
    if !cfg!(feature = "bpf") {
        let how = "this build finds owners by sock_diag and /proc; the default features have BPF";
        return Check { name, verdict: Verdict::LeftOut(how.into()) };
    }
    let status = owners::open(OwnerMethod::Bpf).status();
    match (status.method, status.reason) {
        ("bpf", None) => Check::works(name, status.parts),
        (_, reason) => {
            let reason = reason.unwrap_or_else(|| "refused by the kernel".into());
            Check::degraded(name, reason, status.remedy.unwrap_or_default())
        }
    }
}

/// Matters to kprobes only: programs that are bound by type information do without perf events.
fn paranoid(bpf_works: bool) -> Check {
    let (name, path) = ("perf events", "/proc/sys/kernel/perf_event_paranoid");
    let level = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok());
    match level {
        None => Check::works(name, "kernel.perf_event_paranoid is not there; only kprobes would need it"),
        Some(level) if bpf_works => {
            Check::works(name, format!("kernel.perf_event_paranoid={level}; BPF does without"))
        }
        Some(level) if level >= PARANOID => {
            let reason = format!("kernel.perf_event_paranoid={level} refuses kprobes");
            Check::degraded(name, reason, "sudo sysctl kernel.perf_event_paranoid=2")
        }
        Some(level) => Check::works(name, format!("kernel.perf_event_paranoid={level}")),
    }
}

fn sock_diag() -> Check {
    let name = "owners: sock_diag";
    match SockDiag::open().and_then(|diag| diag.all()) {
        Ok(sockets) => Check::works(name, format!("{} sockets", sockets.len())),
        Err(error) => Check::degraded(
            name,
            format!("the kernel does not list its sockets: {error}"),
            "sudo modprobe -a inet_diag tcp_diag udp_diag; in a container allow the system call socket(AF_NETLINK)",
        ),
    }
}

fn proc_tasks() -> Check {
    let name = "owners: /proc";
    match why::Facts::gather(Procfs::new().is_hidden()).proc_limits() {
        None => Check::works(name, "processes of all users"),
        Some((reason, remedy)) => Check::degraded(name, reason, remedy),
    }
}

fn xdp() -> Check {
    let name = "af-xdp";
    match try_socket(AF_XDP) {
        Ok(()) => Check::works(name, "sockets can be opened"),
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            let reason = "the kernel has no AF_XDP (CONFIG_XDP_SOCKETS)";
            Check::degraded(name, reason, "another kernel; af-packet captures all the same")
        }
        Err(error) => {
            let remedy = "sudo, or CAP_NET_RAW; af-packet captures all the same";
            Check::degraded(name, format!("a socket is refused: {error}"), remedy)
        }
    }
}

fn huge_pages() -> Check {
    let (name, path) = ("huge pages", "/sys/kernel/mm/transparent_hugepage/enabled");
    let text = fs::read_to_string(path).unwrap_or_default();
    let chosen = text.split('[').nth(1).and_then(|rest| rest.split(']').next());
    match chosen {
        Some(how @ ("always" | "madvise")) => Check::works(name, how),
        _ => Check::degraded(
            name,
            "transparent huge pages are off: a large table costs more for each packet",
            format!("echo madvise | sudo tee {path}"),
        ),
    }
}

fn cores() -> Check {
    let name = "cores";
    match affinity::allowed_cores() {
        Ok(cores) if cores.len() > 1 => Check::works(name, format!("{} may be used", cores.len())),
        Ok(_) => Check::degraded(
            name,
            "only one core may be used: capture, table and screen share it",
            "taskset, cpuset or a container's --cpus with more of them",
        ),
        Err(error) => Check::degraded(name, error.to_string(), "mount /sys"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_says_what_helps_where_it_fails() {
        let all = checks();
        for check in &all {
            if let Verdict::Degraded { reason, remedy } = &check.verdict {
                assert!(!reason.is_empty() && !remedy.is_empty(), "{}", check.name);
            }
        }
        assert!(all.iter().any(|check| check.name == "capture"));
    }
}
