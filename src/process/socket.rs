//! What the platform tells of sockets.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use crate::{base::time::Nanos, packet::key::proto, process::identity::Process};

/// Names a socket for its life: its address in the kernel, or its inode. One kind to a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// A network namespace by its inode number; 0 where it is not known, which is our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Netns(pub u32);

/// Protocol and both ends of a socket as it sees them. Without a peer the remote end is unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// IP protocol.
    pub proto: u8,
    /// Our end.
    pub local: (IpAddr, u16),
    /// The peer.
    pub remote: (IpAddr, u16),
}

impl Tuple {
    /// Returns a tuple in its one form: IPv4-mapped addresses as IPv4, no ports where the protocol has
    /// none, and of a socket without a peer only our end.
    pub fn new(proto_number: u8, local: (IpAddr, u16), remote: (IpAddr, u16)) -> Self {
        let ports = |(address, port): (IpAddr, u16)| match proto::has_ports(proto_number) {
            true => (address.to_canonical(), port),
            false => (address.to_canonical(), 0),
        };
        let (local, remote) = (ports(local), ports(remote));
        match remote.0.is_unspecified() {
            true => Self::bound(proto_number, local.0, local.1),
            false => Self { proto: proto_number, local, remote },
        }
    }

    /// Returns the tuple of a socket without a peer.
    pub fn bound(proto: u8, address: IpAddr, port: u16) -> Self {
        let nobody = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { proto, local: (address, port), remote: (nobody, 0) }
    }

    /// Returns whether there is a peer.
    pub fn is_connected(&self) -> bool {
        !self.remote.0.is_unspecified()
    }
}

/// A socket that was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which one.
    pub id: SocketId,
    /// Its ends now.
    pub tuple: Tuple,
    /// Where it lives.
    pub netns: Netns,
    /// Its user.
    pub uid: Option<u32>,
    /// It takes connections.
    pub is_listener: bool,
    /// No file refers to it: the kernel itself owns it.
    pub is_kernel: bool,
    /// A process that has it.
    pub holder: Option<Arc<Process>>,
    /// The holder has just used it, which beats merely having it.
    pub acted: bool,
    /// When, on the monotonic clock.
    pub at: Nanos,
    /// Since when it has these ends for all that is known; `at` or earlier.
    pub since: Nanos,
}

/// All sockets at one moment.
#[derive(Debug, Default)]
pub struct Pass {
    /// When it began, on the monotonic clock.
    pub started: Nanos,
    /// Every socket, once for each process that has it.
    pub seen: Vec<Seen>,
}
