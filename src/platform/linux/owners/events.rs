//! What the programs in `bpf/` tell, as bytes: the layouts of `bpf/events.h`.

use std::net::IpAddr;

use crate::{
    base::time::Nanos,
    process::{
        identity::ProcessId,
        socket::{Netns, SocketId, Tuple},
    },
};

/// Start times are told in ns here, and in clock ticks of 10 ms by `/proc`.
const TICK_NS: u64 = 10_000_000;
const AF_INET: u8 = 2;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process that has a socket.
    Process(Box<ProcessEvent>),
    /// A socket and a process that has it.
    Socket(SocketEvent),
    /// A socket is closed.
    Closed {
        /// Which one.
        socket: SocketId,
        /// When.
        at: Nanos,
    },
    /// A process has ended.
    Exit {
        /// Which one.
        process: ProcessId,
        /// When.
        at: Nanos,
    },
}

impl Event {
    /// Returns when it happened.
    #[cfg(feature = "bpf")]
    pub fn at(&self) -> Nanos {
        match self {
            Self::Process(event) => event.at,
            Self::Socket(event) => event.at,
            Self::Closed { at, .. } | Self::Exit { at, .. } => *at,
        }
    }
}

/// `struct process_event`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEvent {
    /// Which one.
    pub id: ProcessId,
    /// When it was told.
    pub at: Nanos,
    /// Its parent.
    pub parent: u32,
    /// Effective user.
    pub uid: u32,
    /// A thread of the kernel.
    pub is_kernel: bool,
    /// The path has lost its first components.
    pub is_cut: bool,
    /// Id of its control group in the unified hierarchy; 0 unknown.
    pub cgroup: u64,
    /// The kernel's name.
    pub comm: Box<str>,
    /// Path of the executable.
    pub path: Option<Box<str>>,
    /// Arguments, each with its NUL; empty if they could not be read.
    pub command: Vec<u8>,
}

/// `struct socket_event`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketEvent {
    /// The process, if it is known.
    pub process: Option<ProcessId>,
    /// When.
    pub at: Nanos,
    /// So many ticks of the kernel before `at` it began to connect; 0: it did not, or just before.
    pub waited: u32,
    /// The socket.
    pub socket: SocketId,
    /// Its ends.
    pub tuple: Tuple,
    /// Where it lives.
    pub netns: Netns,
    /// Its user.
    pub uid: u32,
    /// No file refers to it.
    pub is_kernel: bool,
    /// It takes connections.
    pub is_listener: bool,
    /// The process has just used it.
    pub acted: bool,
}

/// Sizes of the three structures.
pub const PROCESS_BYTES: usize = 1600;
pub const SOCKET_BYTES: usize = 88;
/// With IPv4.
const SOCKET4_BYTES: usize = 64;
pub const SHORT_BYTES: usize = 32;
const FAMILY: usize = 45;
const ENDS: usize = 56;
const PATH: usize = 64;
const PATH_BYTES: usize = 1024;
const COMMAND: usize = PATH + PATH_BYTES;

/// Reads the event at the beginning of `bytes`, and says how long it is; `None` if there is none.
pub fn read(bytes: &[u8]) -> Option<(Event, usize)> {
    let kind = word(bytes, 0)?;
    Some(match kind {
        1 => (Event::Process(Box::new(process(bytes.get(..PROCESS_BYTES)?)?)), PROCESS_BYTES),
        2 => {
            let len = if *bytes.get(FAMILY)? == AF_INET { SOCKET4_BYTES } else { SOCKET_BYTES };
            (Event::Socket(socket(bytes.get(..len)?)?), len)
        }
        3 => {
            let socket = SocketId(long(bytes, 24)?);
            (Event::Closed { socket, at: Nanos(long(bytes, 16)?) }, SHORT_BYTES)
        }
        4 => (Event::Exit { process: id(bytes)?, at: Nanos(long(bytes, 16)?) }, SHORT_BYTES),
        _ => return None,
    })
}

/// Reads all events of a pass.
pub fn read_all(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::with_capacity(bytes.len() / SOCKET4_BYTES);
    while let Some((event, len)) = read(bytes) {
        events.push(event);
        bytes = bytes.get(len..).unwrap_or_default();
    }
    events
}

fn process(bytes: &[u8]) -> Option<ProcessEvent> {
    let flags = word(bytes, 40)?;
    let path_len = usize::from(half(bytes, 44)?).min(PATH_BYTES);
    let command_len = usize::from(half(bytes, 46)?).min(PROCESS_BYTES - COMMAND);
    let comm = bytes[48..PATH].split(|b| *b == 0).next()?;
    let is_cut = flags & 2 != 0;
    Some(ProcessEvent {
        id: id(bytes)?,
        at: Nanos(long(bytes, 16)?),
        parent: word(bytes, 32)?,
        uid: word(bytes, 36)?,
        is_kernel: flags & 1 != 0,
        is_cut,
        cgroup: long(bytes, 24)?,
        comm: String::from_utf8_lossy(comm).into(),
        path: path(&bytes[PATH..PATH + path_len], is_cut),
        command: bytes[COMMAND..COMMAND + command_len].to_vec(),
    })
}

/// Puts a path together from its components, which come last first, each with its NUL.
fn path(components: &[u8], is_cut: bool) -> Option<Box<str>> {
    let mut path = Vec::with_capacity(components.len() + 4);
    if is_cut {
        path.extend_from_slice("…".as_bytes());
    }
    let parts = components.strip_suffix(b"\0")?;
    for part in parts.rsplit(|b| *b == 0) {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    Some(String::from_utf8_lossy(&path).into())
}

fn socket(bytes: &[u8]) -> Option<SocketEvent> {
    let (proto, flags) = (*bytes.get(44)?, *bytes.get(46)?);
    let ends = bytes.get(ENDS..)?;
    let [local, remote] = match *bytes.get(FAMILY)? {
        AF_INET => [ends.get(..4)?, ends.get(4..8)?].map(v4),
        _ => [ends.get(..16)?, ends.get(16..32)?].map(v6),
    };
    Some(SocketEvent {
        process: id(bytes).filter(|id| id.pid != 0),
        at: Nanos(long(bytes, 16)?),
        waited: word(bytes, 48)?,
        socket: SocketId(long(bytes, 24)?),
        netns: Netns(word(bytes, 32)?),
        uid: word(bytes, 36)?,
        tuple: Tuple::new(proto, (local?, half(bytes, 40)?), (remote?, half(bytes, 42)?)),
        is_kernel: flags & 1 != 0,
        is_listener: flags & 2 != 0,
        acted: flags & 4 != 0,
    })
}

fn v4(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from)
}

fn v6(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn id(bytes: &[u8]) -> Option<ProcessId> {
    Some(ProcessId { pid: word(bytes, 4)?, start: long(bytes, 8)? / TICK_NS })
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_read() {
        let mut bytes = vec![0; SOCKET_BYTES];
        bytes[0] = 2;
        bytes[4..8].copy_from_slice(&77u32.to_ne_bytes());
        bytes[8..16].copy_from_slice(&(5 * TICK_NS + 3).to_ne_bytes());
        bytes[16..24].copy_from_slice(&9u64.to_ne_bytes());
        bytes[24..32].copy_from_slice(&0xffff_8881u64.to_ne_bytes());
        bytes[32..36].copy_from_slice(&4026u32.to_ne_bytes());
        bytes[36..40].copy_from_slice(&1000u32.to_ne_bytes());
        bytes[40..42].copy_from_slice(&50_000u16.to_ne_bytes());
        bytes[42..44].copy_from_slice(&443u16.to_ne_bytes());
        bytes[44..47].copy_from_slice(&[6, 10, 4]);
        bytes[48] = 3;
        // ::ffff:10.0.0.1 to ::ffff:192.0.2.1
        bytes[66..72].copy_from_slice(&[0xff, 0xff, 10, 0, 0, 1]);
        bytes[82..88].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        let (Event::Socket(event), SOCKET_BYTES) = read(&bytes).unwrap() else { panic!() };
        assert_eq!(event.process, Some(ProcessId { pid: 77, start: 5 }));
        assert_eq!(event.tuple.local, ("10.0.0.1".parse().unwrap(), 50_000));
        assert_eq!(event.tuple.remote, ("192.0.2.1".parse().unwrap(), 443));
        assert_eq!((event.at, event.waited), (Nanos(9), 3));
        assert!(event.acted && !event.is_kernel && !event.is_listener);
        for len in 0..SOCKET_BYTES {
            assert_eq!(read(&bytes[..len]), None, "{len}");
        }
        bytes[4..8].fill(0);
        let Some((Event::Socket(event), _)) = read(&bytes) else { panic!() };
        assert_eq!(event.process, None);
        // The same with IPv4 is shorter.
        bytes[45] = 2;
        bytes[ENDS..SOCKET4_BYTES].copy_from_slice(&[10, 0, 0, 2, 192, 0, 2, 2]);
        let (Event::Socket(event), SOCKET4_BYTES) = read(&bytes[..SOCKET4_BYTES]).unwrap() else { panic!() };
        assert_eq!(event.tuple.remote, ("192.0.2.2".parse().unwrap(), 443));
        assert_eq!(read(&bytes[..SOCKET4_BYTES - 1]), None);
    }

    #[test]
    fn paths_are_turned_round_and_hostile_bytes_are_text() {
        assert_eq!(path(b"nginx\0sbin\0usr\0", false).as_deref(), Some("/usr/sbin/nginx"));
        assert_eq!(path(b"nginx\0deep\0", true).as_deref(), Some("…/deep/nginx"));
        assert_eq!(path(b"", false), None);
        assert_eq!(path(b"a\xff\0", false).as_deref(), Some("/a\u{fffd}"));
        assert_eq!(path(b"\x1b[2J\0tmp\0", false).as_deref(), Some("/tmp/\u{1b}[2J"));
    }

    #[test]
    fn lengths_that_cannot_be_do_not_reach_beyond_the_event() {
        let mut bytes = vec![b'x'; PROCESS_BYTES];
        bytes[..4].copy_from_slice(&1u32.to_ne_bytes());
        bytes[44..48].fill(0xff);
        let (Event::Process(event), PROCESS_BYTES) = read(&bytes).unwrap() else { panic!() };
        assert_eq!(event.command.len(), 512);
        assert_eq!(event.comm.len(), 16);
        let mut two = bytes.clone();
        two.extend_from_slice(&bytes);
        two.extend_from_slice(&[1, 0, 0]);
        assert_eq!(read_all(&two).len(), 2);
        assert_eq!(read(&[9; 2000]), None);
    }
}
