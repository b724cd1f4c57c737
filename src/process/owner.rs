//! The owner of a flow, as readers see it.

use crate::base::time::Stamp;

/// How sure an owner is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// Nobody here: another host's, whose addresses this one translates and forwards.
    Forwarded,
    /// Nobody here: between other hosts, and of a kind that no router passes on.
    LinkLocal,
    /// Nothing but the user is known.
    UserOnly,
    /// Several processes hold the socket, and none was seen to use it.
    Shared,
    /// One of several sockets of different processes that are bound to the port.
    Wildcard,
    /// The listener that the connection came in by.
    Listener,
    /// The socket that the connection had before its addresses were translated.
    Translated,
    /// A socket of another network namespace has this tuple.
    Namespace,
    /// The very socket.
    #[default]
    Exact,
}

impl Quality {
    /// Returns whether it is as good as certain: no `?` behind the name.
    pub const fn is_certain(self) -> bool {
        matches!(self, Self::Exact | Self::Namespace | Self::Translated)
    }

    /// Returns what stands for the name where nobody here owns it.
    pub const fn nobody(self) -> Option<&'static str> {
        match self {
            Self::Forwarded => Some("forwarded"),
            Self::LinkLocal => Some("link-local"),
            _ => None,
        }
    }

    /// Returns the name in exports.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::LinkLocal => "link-local",
            Self::UserOnly => "user",
            Self::Shared => "shared",
            Self::Wildcard => "wildcard",
            Self::Listener => "listener",
            Self::Translated => "nat",
            Self::Namespace => "namespace",
            Self::Exact => "exact",
        }
    }
}

/// Who owns a flow's local end. Text is as the system gave it: escape it where it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Process (thread group) id; `None` where only the user is known, or the kernel owns it.
    pub pid: Option<u32>,
    /// The kernel itself owns the socket.
    pub is_kernel: bool,
    /// Name: executable's file name or argv[0]; for the kernel what it is for (`wg0`, `nfs`).
    pub name: Box<str>,
    /// `name` is the kernel's 15-character `comm`, because nothing better could be read.
    pub name_is_comm: bool,
    /// Path of the executable.
    pub exe: Option<Box<str>>,
    /// Arguments, blanks between them.
    pub command: Option<Box<str>>,
    /// User id.
    pub uid: Option<u32>,
    /// User name.
    pub user: Option<Box<str>>,
    /// Parents, nearest first: pid and name.
    pub parents: Box<[(u32, Box<str>)]>,
    /// Container: runtime and short id, or the pod's.
    pub container: Option<Box<str>>,
    /// Path of the control group, if that is not the root.
    pub cgroup: Option<Box<str>>,
    /// The network namespace of the process, if that is not ours.
    pub netns: Option<u32>,
    /// Wall time at which the process started, in steps of 10 ms.
    pub started: Option<Stamp>,
    /// How sure it is.
    pub quality: Quality,
    /// The process has ended.
    pub has_ended: bool,
}
