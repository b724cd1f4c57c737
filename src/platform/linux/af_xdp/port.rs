//! An interface whose frames are taken: the program on it, and a socket for each of its queues.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use libbpf_rs::{Link, MapCore as _, MapFlags, Object, ObjectBuilder};

use super::socket::{HEADROOM, XdpSocket};
use crate::platform::{interface::Interface, linux::link};

/// The compiled program.
static OBJECT: Aligned<[u8; include_bytes!("../../../../bpf/xdp.bpf.o").len()]> =
    Aligned(*include_bytes!("../../../../bpf/xdp.bpf.o"));

/// ELF is read in words.
#[repr(C, align(16))]
struct Aligned<T: ?Sized>(T);

/// Queues of a port that are read at most.
const MOST_QUEUES: u32 = 256;

/// See the module. The fields drop in order: the program first, so that frames reach the host again.
pub struct Port {
    link: Option<Link>,
    object: Object,
    /// By queue.
    pub queues: Vec<XdpSocket>,
    /// The system's index of the interface.
    pub ifindex: u32,
    chunk: u32,
    busy_poll: bool,
}

impl Port {
    /// Begins to take what comes in on an interface.
    ///
    /// # Errors
    /// In words: what stands against it.
    pub fn open(name: &str, asker: BorrowedFd<'_>, busy_poll: bool) -> Result<Self, String> {
        let ifindex = link::index_of(asker, name).map_err(|e| e.to_string())?;
        let mtu = link::mtu_of(asker, name).map_err(|e| e.to_string())?;
        let chunk = chunk_for(mtu).ok_or_else(|| {
            format!("its MTU of {mtu} is above {}, what a frame's memory holds", longest_mtu(4096))
        })?;
        libbpf_rs::set_print(None);
        let load = || ObjectBuilder::default().open_memory(&OBJECT.0)?.load();
        let object = load().map_err(|e| format!("the kernel refuses the XDP program: {e:#}"))?;
        let mut port = Self { link: None, object, queues: Vec::new(), ifindex, chunk, busy_poll };
        port.follow_queues(name, asker)?;
        let attach = || {
            let mut programs = port.object.progs_mut();
            let program = programs.find(|p| p.name() == "take").ok_or("no program")?;
            program.attach_xdp(ifindex as i32).map_err(|e| match e.kind() {
                libbpf_rs::ErrorKind::AlreadyExists => occupied(),
                _ if format!("{e:#}").contains(BUSY) => occupied(),
                _ => format!("the XDP program cannot be attached: {e:#}"),
            })
        };
        port.link = Some(attach()?);
        Ok(port)
    }

    /// Binds sockets to queues that have none; returns how many there are.
    ///
    /// # Errors
    /// In words: why there is no socket for a queue.
    pub fn follow_queues(&mut self, name: &str, asker: BorrowedFd<'_>) -> Result<usize, String> {
        let count = link::channels_of(asker, name).unwrap_or(1).clamp(1, MOST_QUEUES);
        for queue in self.queues.len() as u32..count {
            let socket = XdpSocket::bind(self.ifindex, queue, self.chunk, self.busy_poll)
                .map_err(|e| refusal(queue, &e))?;
            let sockets = self.object.maps().find(|m| m.name() == "sockets").ok_or("no map")?;
            let fd = socket.as_raw_fd().to_ne_bytes();
            sockets
                .update(&queue.to_ne_bytes(), &fd, MapFlags::ANY)
                .map_err(|e| format!("queue {queue}: {e:#}"))?;
            self.queues.push(socket);
        }
        Ok(self.queues.len())
    }

    /// Lets frames reach the host again; those that were taken can still be had.
    pub fn detach(&mut self) {
        self.link = None;
    }

    /// Says how its frames come, for the screen.
    pub fn describe(&self) -> String {
        let all = |what: fn(&XdpSocket) -> bool| self.queues.iter().all(what);
        let copy = if all(|q| q.is_zero_copy) { "zero-copy" } else { "copied by the kernel" };
        let pages = if all(|q| q.has_huge_pages) { "" } else { ", no huge pages" };
        let count = self.queues.len();
        format!("{count} queue{}, {copy}{pages}", if count == 1 { "" } else { "s" })
    }
}

/// EBUSY, which libbpf-rs has no name for, in words.
const BUSY: &str = "Device or resource busy";

fn occupied() -> String {
    "another XDP program is on it, which stays".to_owned()
}

fn refusal(queue: u32, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EBUSY) => format!("another AF_XDP socket is on its queue {queue}"),
        Some(libc::EAFNOSUPPORT) => "this kernel has no AF_XDP".to_owned(),
        Some(libc::ENOBUFS | libc::ENOMEM) => {
            format!("memory for its queue {queue} is refused (ulimit -l): {error}")
        }
        _ => format!("queue {queue}: {error}"),
    }
}

/// Bytes of the link header with two tags.
const LINK_HEADER: u32 = 22;

const fn longest_mtu(chunk: u32) -> u32 {
    chunk - HEADROOM - LINK_HEADER
}

/// Returns the size of chunks that hold the frames of an interface.
fn chunk_for(mtu: u32) -> Option<u32> {
    [2048, 4096].into_iter().find(|chunk| mtu <= longest_mtu(*chunk))
}

/// Returns why frames on an interface are the host's own, so that it would be cut off without them.
pub fn carries_own_traffic(interface: &Interface) -> Option<String> {
    let is_link_local = |a: &std::net::IpAddr| match a {
        std::net::IpAddr::V4(v4) => v4.is_link_local(),
        std::net::IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if interface.loopback {
        return Some("it is the loopback".to_owned());
    }
    if let Some((address, prefix)) = interface.addresses.iter().find(|(a, _)| !is_link_local(a)) {
        return Some(format!("it has the address {address}/{prefix}"));
    }
    if interface.default_route.is_some() {
        return Some("the default route goes through it".to_owned());
    }
    upper(interface).map(|upper| format!("{upper} is built on it"))
}

/// Returns the bridge, bond, VLAN or the like that an interface is part of.
fn upper(interface: &Interface) -> Option<String> {
    let directory = format!("/sys/class/net/{}", interface.name);
    // `/sys` may show another network namespace.
    let index = fs::read_to_string(format!("{directory}/ifindex")).ok()?;
    if index.trim().parse() != Ok(interface.index) {
        return None;
    }
    fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find_map(|name| name.strip_prefix("upper_").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_the_frames_of_the_mtu() {
        for (mtu, chunk) in [(0, Some(2048)), (1500, Some(2048)), (1770, Some(2048)), (1771, Some(4096))] {
            assert_eq!(chunk_for(mtu), chunk, "{mtu}");
        }
        assert_eq!((chunk_for(3818), chunk_for(3819), chunk_for(9000)), (Some(4096), None, None));
    }

    #[test]
    fn interfaces_that_the_host_lives_on_are_told_from_taps() {
        let interface = |name: &str, address: &str| Interface {
            name: name.into(),
            // Of no interface that there is.
            index: u32::MAX,
            loopback: name == "lo",
            addresses: (!address.is_empty()).then(|| (address.parse().unwrap(), 24)).into_iter().collect(),
            ..Interface::default()
        };
        for (name, address, own) in [
            ("tap0", "", false),
            ("tap0", "fe80::1", false),
            ("tap0", "169.254.1.1", false),
            ("eth0", "192.0.2.2", true),
            ("eth0", "2001:db8::1", true),
            ("lo", "", true),
        ] {
            assert_eq!(carries_own_traffic(&interface(name, address)).is_some(), own, "{name} {address}");
        }
        let routed = Interface { default_route: Some(1), ..interface("ppp0", "") };
        assert!(carries_own_traffic(&routed).is_some());
    }
}
