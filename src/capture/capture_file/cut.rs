//! Why the reading of a capture file ended before its end: facts where they are found, text
//! where they are shown.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{fmt, io};

use crate::capture::capture_file::{MAX_BLOCK, MAX_FRAME};

/// Where a file could not be read on, and why. What was read before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of the file before the record or block that could not be read.
    pub at: u64,
    /// Frames handed out before it.
    pub frames: u64,
    /// What is wrong there.
    pub why: Why,
}

/// What is wrong with a record or block. Lengths are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The file ends inside its own header.
    FileHeader {
        /// Bytes there are.
        have: usize,
        /// Bytes the header has at least.
        need: usize,
    },
    /// The file ends inside a record or block.
    Ends {
        /// Bytes of it there are.
        have: usize,
        /// Bytes it has, as far as is known.
        need: usize,
    },
    /// A frame is longer than any frame can be.
    FrameLength(u32),
    /// A block's length is below 12 or not a multiple of 4.
    BlockLength(u32),
    /// A block that has to be read in one piece is longer than [`MAX_BLOCK`].
    BlockTooLong(u32),
    /// The lengths at a block's two ends differ.
    BlockEnds(u32, u32),
    /// A block is too short for what it says it holds.
    BlockRoom {
        /// Bytes it says it holds.
        claims: u32,
        /// Bytes it has for them.
        room: u32,
    },
    /// A packet block names an interface that its section did not describe.
    Interface {
        /// The interface that is named.
        index: u32,
        /// How many there are.
        known: usize,
    },
    /// A section has neither byte order's magic number.
    ByteOrder(u32),
    /// A section has another major version than 1.
    Version(u16, u16),
    /// Somebody shortened the file while it was being read.
    Shortened,
    /// The input could not be read.
    Io(io::ErrorKind),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, frames, why } = self;
        let next = frames + 1;
        match why {
            Why::FileHeader { have, need } => {
                write!(f, "ends within the file header: {have} of {need} bytes")
            }
            Why::Ends { have, need } => {
                write!(f, "ends within record {next} at byte {at}: {have} of {need} bytes")
            }
            Why::FrameLength(claims) => {
                write!(f, "record {next} at byte {at} claims {claims} bytes, more than {MAX_FRAME}")
            }
            Why::BlockLength(claims) => {
                write!(
                    f,
                    "block at byte {at} after frame {frames} claims an impossible length of {claims} bytes"
                )
            }
            Why::BlockTooLong(claims) => {
                write!(
                    f,
                    "block at byte {at} after frame {frames} claims {claims} bytes, more than {MAX_BLOCK}"
                )
            }
            Why::BlockEnds(head, tail) => write!(
                f,
                "block at byte {at} after frame {frames} has {head} bytes by its head and {tail} by its tail"
            ),
            Why::BlockRoom { claims, room } => write!(
                f,
                "block at byte {at} after frame {frames} claims {claims} bytes of content in a room of {room}"
            ),
            Why::Interface { index, known } => {
                write!(f, "record {next} at byte {at} is from interface {index}, but {known} are described")
            }
            Why::ByteOrder(magic) => write!(f, "section at byte {at} has byte-order magic {magic:#010x}"),
            Why::Version(major, minor) => {
                write!(f, "section at byte {at} has version {major}.{minor}, which is not supported")
            }
            Why::Shortened => write!(f, "the file was shortened while it was read, near byte {at}"),
            Why::Io(kind) => write!(f, "reading failed at byte {at}: {kind}"),
        }
    }
}
