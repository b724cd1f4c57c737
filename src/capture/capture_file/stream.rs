//! What cannot be mapped: standard input, pipes, anything that can only be read once.
//!
//! Two buffers go round between this side and a thread that does nothing but read: while one is
//! looked at, the other is filled. A record that begins in one buffer and ends in the next is
//! completed by copying its beginning into the room kept free before the next buffer's bytes.
//!
//! So nothing grows, whatever the input does, and rx never waits inside a read.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    thread,
    time::Duration,
};

use crate::capture::capture_file::{
    input::Refill,
    window::{self, CARRY, Window},
};

/// Bytes that are read at once.
const FILL: usize = 1 << 20;

/// The reading side of a stream.
pub struct Stream {
    full: Receiver<Delivery>,
    empty: SyncSender<Box<[u8]>>,
    /// What came while waiting, before it was asked for.
    next: Option<Delivery>,
    window: Window,
    ended: bool,
}

/// What the reading thread sends.
enum Delivery {
    /// A buffer, and how many bytes lie behind its carry room.
    Bytes(Box<[u8]>, usize),
    End,
    Failed(io::ErrorKind),
}

impl Stream {
    /// Starts to read.
    ///
    /// # Errors
    /// When the reading thread cannot be started.
    pub fn start(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let (full_in, full) = sync_channel(2);
        let (empty, empty_out) = sync_channel(2);
        for _ in 0..2 {
            empty.send(window::buffer(FILL)).expect("the channel has room for both buffers");
        }
        // NB: never joined. It may sit in a read that nobody can interrupt, and ends with it.
        thread::Builder::new().name("file".into()).spawn(move || pump(reader, &full_in, &empty_out))?;
        Ok(Self { full, empty, next: None, window: Window::default(), ended: false })
    }

    /// Gets more bytes behind those of the window, without waiting.
    pub fn refill(&mut self) -> Refill {
        if self.ended {
            return Refill::End;
        }
        let delivery = match self.next.take() {
            Some(delivery) => delivery,
            None => match self.full.try_recv() {
                Ok(delivery) => delivery,
                Err(TryRecvError::Empty) => return Refill::Later,
                Err(TryRecvError::Disconnected) => Delivery::End,
            },
        };
        match delivery {
            Delivery::Bytes(buffer, len) => self.adopt(buffer, len),
            Delivery::End => {
                self.ended = true;
                return Refill::End;
            }
            Delivery::Failed(kind) => {
                self.ended = true;
                return Refill::Failed(kind);
            }
        }
        Refill::More
    }

    /// Waits until [`Stream::refill`] has something to say, but at most `timeout`.
    pub fn wait(&mut self, timeout: Duration) {
        if self.ended || self.next.is_some() {
            return;
        }
        self.next = match self.full.recv_timeout(timeout) {
            Ok(delivery) => Some(delivery),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Delivery::End),
        };
    }

    /// Takes `len` bytes off the front of the window.
    #[inline]
    pub const fn consume(&mut self, len: usize) {
        self.window.consume(len);
    }

    /// Returns the bytes that were read and not consumed.
    #[inline]
    pub fn window(&self) -> &[u8] {
        self.window.bytes()
    }

    /// Returns how many bytes were consumed since the start.
    pub const fn offset(&self) -> u64 {
        self.window.offset()
    }

    fn adopt(&mut self, buffer: Box<[u8]>, len: usize) {
        let used = self.window.exchange(buffer, len);
        if !used.is_empty() {
            // A thread that has ended needs no buffer.
            let _ = self.empty.send(used);
        }
    }
}

/// Fills every empty buffer with what one read gives.
fn pump(mut reader: Box<dyn Read + Send>, full: &SyncSender<Delivery>, empty: &Receiver<Box<[u8]>>) {
    while let Ok(mut buffer) = empty.recv() {
        let read = loop {
            match reader.read(&mut buffer[CARRY..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let (delivery, last) = match read {
            Ok(0) => (Delivery::End, true),
            Ok(len) => (Delivery::Bytes(buffer, len), false),
            Err(e) => (Delivery::Failed(e.kind()), true),
        };
        if full.send(delivery).is_err() || last {
            return;
        }
    }
}
