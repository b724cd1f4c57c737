//! What the Process column tells of a flow's owner: the one place of its texts, for columns and for filters.

use std::fmt;

use crate::process::owner::Owner;

/// What a flow without an owner shows in the Process column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unowned {
    /// Nobody looks for owners.
    NotLooked,
    /// None was found.
    Unknown,
    /// Neither end is ours.
    Forwarded,
}

impl Unowned {
    /// All of them, each at its number's place.
    pub const ALL: [Self; 3] = [Self::NotLooked, Self::Unknown, Self::Forwarded];

    /// Returns why a flow has no owner; `is_ours` if this host is one of its ends.
    pub const fn of(no_owners: bool, is_ours: bool) -> Self {
        match (no_owners, is_ours) {
            (true, _) => Self::NotLooked,
            (false, true) => Self::Unknown,
            (false, false) => Self::Forwarded,
        }
    }

    /// Returns what the column shows.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotLooked => "n/a",
            Self::Unknown => "?",
            Self::Forwarded => "forwarded",
        }
    }
}

/// What an owner shows in the Process column. Its text is as the system gave it: escape it where it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// No process of this host: what stands in its place.
    Nobody(&'static str),
    /// The kernel, with what it is for, if that is known.
    Kernel(&'a str),
    /// Nothing but the user's number is known.
    User(u32),
    /// A process; its name is empty where it could not be read.
    Process(&'a str, u32),
}

impl<'a> Whose<'a> {
    /// What the kernel is called, whatever it is for.
    pub const KERNEL: &'static str = "kernel";

    /// Returns what an owner shows.
    pub fn of(owner: &'a Owner) -> Self {
        match (owner.quality.nobody(), owner.is_kernel, owner.pid, owner.uid) {
            (Some(nobody), ..) => Self::Nobody(nobody),
            (_, true, ..) => Self::Kernel(&owner.name),
            (_, _, Some(pid), _) => Self::Process(&owner.name, pid),
            (_, _, None, Some(uid)) => Self::User(uid),
            (_, _, None, None) => Self::Nobody(Unowned::Unknown.text()),
        }
    }

    /// Returns whether it stands in place of a process' name.
    pub const fn is_stand_in(self) -> bool {
        !matches!(self, Self::Process(name, _) if !name.is_empty())
    }
}

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(text) => f.write_str(text),
            Self::Kernel("") => f.write_str(Self::KERNEL),
            Self::Kernel(what) => write!(f, "{} ({what})", Self::KERNEL),
            Self::User(uid) => write!(f, "? uid {uid}"),
            Self::Process("", pid) => write!(f, "({pid})"),
            Self::Process(name, pid) => write!(f, "{name} ({pid})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::owner::Quality;

    #[test]
    fn pr9_each_owner_has_its_text() {
        let owner = |pid, uid, name: &str| Owner { pid, uid, name: name.into(), ..Owner::default() };
        let kernel = |name: &str| Owner { is_kernel: true, ..owner(None, None, name) };
        for (owner, text) in [
            (owner(Some(1211), Some(33), "nginx"), "nginx (1211)"),
            (owner(Some(7741), None, ""), "(7741)"),
            (owner(None, Some(1001), ""), "? uid 1001"),
            (owner(None, None, ""), "?"),
            (kernel(""), "kernel"),
            (kernel("wg0"), "kernel (wg0)"),
            (Owner { quality: Quality::Forwarded, ..owner(None, None, "") }, "forwarded"),
            (Owner { quality: Quality::LinkLocal, ..owner(None, None, "") }, "link-local"),
        ] {
            assert_eq!(Whose::of(&owner).to_string(), text);
        }
        for (n, unowned) in Unowned::ALL.into_iter().enumerate() {
            assert_eq!(unowned as usize, n);
        }
    }
}
