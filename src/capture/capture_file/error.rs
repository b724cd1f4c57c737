//! Why a capture file could not be opened, with what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::base::shown::Shown;

/// Why a capture file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file.
    #[error("cannot read {}: no such file", Shown(.path))]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file may not be read.
    #[error("cannot read {}: permission denied", Shown(.path))]
    Permission {
        /// The file.
        path: PathBuf,
    },
    /// The path names a directory.
    #[error("cannot read {}: it is a directory, not a capture file", Shown(.path))]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The file, or standard input, has no bytes at all.
    #[error("cannot read {}: it is empty", Shown(.path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("{} is not a capture file (pcap or pcapng): {looks}", Shown(.path))]
    NotCapture {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        looks: Looks,
    },
    /// A pcap or pcapng of a version that nobody has defined.
    #[error("cannot read {}: {format} version {major}.{minor} is not supported", Shown(.path))]
    Version {
        /// The file.
        path: PathBuf,
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// Anything else.
    #[error("cannot read {}", Shown(.path))]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    /// Returns the error for `source`, met while opening or first reading `path`.
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::PermissionDenied => Self::Permission { path },
            io::ErrorKind::IsADirectory => Self::Directory { path },
            _ => Self::Io { path, source },
        }
    }
}

/// What a file that is not a capture file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Looks {
    /// Compressed; the command unpacks it.
    #[error("compressed: unpack it first, e.g. {0} FILE | rustnet --read -")]
    Compressed(&'static str),
    /// A capture of another format.
    #[error("it looks like {0}: convert it first, e.g. editcap FILE OUT.pcapng")]
    OtherCapture(&'static str),
    /// Something known that is no capture.
    #[error("it looks like {0}")]
    Known(&'static str),
    /// Nothing known.
    #[error("it begins with {0:#010x}")]
    Unknown(u32),
    /// Too short for any capture file.
    #[error("it has only {0} bytes")]
    Short(usize),
}

impl Looks {
    /// Returns what a file that begins with `head` looks like.
    pub fn of(head: &[u8]) -> Self {
        if let Some((_, looks)) = SIGNATURES.iter().find(|(magic, _)| head.starts_with(magic)) {
            return *looks;
        }
        let printable = |b: &u8| b.is_ascii_graphic() || b" \t\r\n".contains(b);
        if !head.is_empty() && head.iter().all(printable) {
            return Self::Known("text");
        }
        match head.first_chunk() {
            Some(&magic) => Self::Unknown(u32::from_be_bytes(magic)),
            None => Self::Short(head.len()),
        }
    }
}

/// First bytes of files that people take for captures, or give by mistake.
const SIGNATURES: &[(&[u8], Looks)] = &[
    (b"\x1f\x8b", Looks::Compressed("zcat")),
    (b"\x28\xb5\x2f\xfd", Looks::Compressed("zstdcat")),
    (b"\xfd7zXZ\0", Looks::Compressed("xzcat")),
    (b"BZh", Looks::Compressed("bzcat")),
    (b"\x04\x22\x4d\x18", Looks::Compressed("lz4cat")),
    (b"PK\x03\x04", Looks::Compressed("unzip -p")),
    (b"snoop\0\0\0", Looks::OtherCapture("a snoop capture")),
    (b"GMBU", Looks::OtherCapture("a Microsoft Network Monitor capture")),
    (b"RTSS", Looks::OtherCapture("a Microsoft Network Monitor capture")),
    (b"\xa1\xb2\x34\xcd", Looks::OtherCapture("Mesquita's variant of pcap")),
    (b"\xcd\x34\xb2\xa1", Looks::OtherCapture("Mesquita's variant of pcap")),
    (b"\xa1\x2b\x3c\x4d", Looks::OtherCapture("Navtel's variant of pcap")),
    (b"\x4d\x3c\x2b\xa1", Looks::OtherCapture("Navtel's variant of pcap")),
    (
        b"\x0a\x0d\x0d\x0a",
        Looks::Known("a pcapng section without a byte-order magic: was it copied as text?"),
    ),
    (b"\x7fELF", Looks::Known("a program")),
    (b"%PDF", Looks::Known("a PDF document")),
    (b"\x89PNG", Looks::Known("a picture")),
];

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests are off the packet path")]
mod tests {
    use super::*;

    #[test]
    fn foreign_files_are_named() {
        let cases: &[(&[u8], &str)] = &[
            (b"\x1f\x8b\x08\0", "compressed: unpack it first, e.g. zcat FILE | rustnet --read -"),
            (b"\x28\xb5\x2f\xfd\0", "compressed: unpack it first, e.g. zstdcat FILE | rustnet --read -"),
            (b"#!/bin/sh\n", "it looks like text"),
            (b"\x29\x72\xbb\x04", "it begins with 0x2972bb04"),
            (b"\x01\x02", "it has only 2 bytes"),
        ];
        for (head, text) in cases {
            assert_eq!(Looks::of(head).to_string(), *text);
        }
    }
}
