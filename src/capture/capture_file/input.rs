//! The bytes of a capture file, wherever they come from, as one window that moves forward.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{
    io::{self, Read},
    sync::atomic::AtomicBool,
    time::Duration,
};

use crate::capture::capture_file::{map::Map, pieces::Pieces, stream::Stream};

/// Where the bytes come from.
pub enum Input {
    /// A file that is read: the window is what was read and not consumed yet.
    Pieces(Pieces),
    /// A mapped file: the window is all of the rest.
    Map(Map),
    /// A stream: the window is what was read and not consumed yet.
    Stream(Stream),
}

/// What asking for more bytes came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// The window is longer now.
    More,
    /// Nothing is there yet.
    Later,
    /// There will be no more.
    End,
    /// The input could not be read.
    Failed(io::ErrorKind),
}

/// The flag of inputs whose pages cannot go away.
static NEVER_GONE: AtomicBool = AtomicBool::new(false);

impl Input {
    /// Starts to read a stream.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn stream(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        Stream::start(reader).map(Self::Stream)
    }

    /// Asks for more bytes behind the window, without waiting for those of a stream. So many `frames` came from
    /// what was consumed.
    pub fn refill(&mut self, frames: u64) -> Refill {
        match self {
            Self::Pieces(pieces) => match pieces.better_mapped(frames) {
                Some(map) => {
                    *self = Self::Map(map);
                    Refill::More
                }
                None => pieces.refill(),
            },
            Self::Map(_) => Refill::End,
            Self::Stream(stream) => stream.refill(),
        }
    }

    /// Waits until [`Input::refill`] has something to say, but at most `timeout`.
    pub fn wait(&mut self, timeout: Duration) {
        if let Self::Stream(stream) = self {
            stream.wait(timeout);
        }
    }

    /// Waits until the window holds `need` bytes or the input ends.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn fill_to(&mut self, need: usize) -> io::Result<()> {
        while self.window().len() < need {
            match self.refill(0) {
                Refill::More => {}
                Refill::Later => self.wait(Duration::from_secs(1)),
                Refill::End => return Ok(()),
                Refill::Failed(kind) => return Err(kind.into()),
            }
        }
        Ok(())
    }

    /// Takes `len` bytes off the front of the window.
    #[inline]
    pub fn consume(&mut self, len: usize) {
        match self {
            Self::Pieces(pieces) => pieces.consume(len),
            Self::Map(map) => map.consume(len),
            Self::Stream(stream) => stream.consume(len),
        }
    }

    /// Returns the bytes that are there and not consumed.
    #[inline]
    pub fn window(&self) -> &[u8] {
        match self {
            Self::Pieces(pieces) => pieces.window(),
            Self::Map(map) => map.window(),
            Self::Stream(stream) => stream.window(),
        }
    }

    /// Returns how many bytes were consumed.
    pub const fn offset(&self) -> u64 {
        match self {
            Self::Pieces(pieces) => pieces.offset(),
            Self::Map(map) => map.offset(),
            Self::Stream(stream) => stream.offset(),
        }
    }

    /// Returns the size of the whole, where it is known.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Pieces(pieces) => Some(pieces.size()),
            Self::Map(map) => Some(map.size()),
            Self::Stream(_) => None,
        }
    }

    /// Returns the flag that is set when a page of the window went away.
    pub const fn gone(&self) -> &'static AtomicBool {
        match self {
            Self::Map(map) => map.gone(),
            Self::Pieces(_) | Self::Stream(_) => &NEVER_GONE,
        }
    }

    /// Returns whether the file ended before the size that it had when it was opened, wherever in a record.
    pub const fn ended_early(&self) -> bool {
        matches!(self, Self::Pieces(pieces) if pieces.ended_early())
    }

    /// Asks the system whether the file is shorter now than when it was opened.
    #[cold]
    pub fn shortened(&self) -> bool {
        match self {
            Self::Pieces(pieces) => pieces.shortened(),
            Self::Map(map) => map.shortened(),
            Self::Stream(_) => false,
        }
    }
}
