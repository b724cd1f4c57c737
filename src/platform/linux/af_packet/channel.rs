//! One packet socket with its ring, and the place in the current block.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
};

use super::{
    block::{BlockHeader, Slot},
    face::Faces,
    fanout::drop_all,
    ring::Ring,
    socket::PacketSocket,
};
use crate::{
    base::{ids::IfaceId, memory::prefetch},
    capture::source::Sink,
    packet::line::Line,
    platform::filter::Filter,
};

/// How many frames ahead memory is asked for: at 10 to 50 ns a frame, longer than a line takes between cores.
const FRAMES_AHEAD: usize = 12;
/// The lines of a slot that are read: the kernel's header of 68 bytes, link, network and transport headers.
const LINES_AHEAD: usize = 3;

/// What the kernel and we counted on one socket, or on several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames handed out.
    pub taken: u64,
    /// Frames that the kernel counted for us, its drops included.
    pub kernel_frames: u64,
    /// Frames that the kernel had no room for.
    pub kernel_drops: u64,
}

impl Counts {
    /// Returns whether everything that the kernel kept was handed out.
    pub fn is_drained(&self) -> bool {
        self.taken + self.kernel_drops >= self.kernel_frames
    }

    /// Adds another socket's counts.
    pub fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.kernel_frames += other.kernel_frames;
        self.kernel_drops += other.kernel_drops;
    }
}

/// See the module. The fields drop in order: the map before the socket.
pub struct Channel {
    ring: Ring,
    socket: PacketSocket,
    /// The interface that it watches; `None`: all of them.
    pub watches: Option<IfaceId>,
    /// When it stopped to take frames in, by the monotonic clock; it is closed once drained.
    pub closing: Option<u64>,
    counts: Counts,
    vnet: bool,
    /// The current block is ours, and being walked.
    holding: bool,
    /// The current block was walked to its end, and is still ours.
    spent: bool,
    /// Slots of the block that are still to be read, and where the next one is.
    left: u32,
    offset: usize,
}

impl Channel {
    /// Returns a channel on a socket that is ready. `vnet`: its frames have virtio headers.
    pub fn new(socket: PacketSocket, ring: Ring, watches: Option<IfaceId>, vnet: bool) -> Self {
        Self {
            ring,
            socket,
            watches,
            closing: None,
            counts: Counts::default(),
            vnet,
            holding: false,
            spent: false,
            left: 0,
            offset: 0,
        }
    }

    /// Hands out at most `max` frames; returns how many.
    #[inline]
    pub fn burst(&mut self, max: usize, faces: &mut Faces, sink: &mut impl Sink) -> usize {
        self.release_spent();
        let mut handed = 0;
        while handed < max && !self.spent && (self.left > 0 || self.next_block()) {
            let block = self.ring.block();
            match Slot::read(block, self.offset, self.vnet) {
                Slot::Frame(frame) => {
                    prefetch_ahead(block, self.offset, frame.next as usize);
                    let (skip, meta) = faces.meta(&frame, self.watches);
                    sink.take(&frame.bytes[skip..], &meta);
                    self.offset += frame.next as usize;
                    self.left -= 1;
                    handed += 1;
                }
                Slot::Abandoned(next) => {
                    self.offset += next as usize;
                    self.left -= 1;
                }
                Slot::Broken => self.left = 0,
            }
            if self.left == 0 {
                // Its frames are lent until the next call.
                (self.spent, self.holding) = (true, false);
                if handed == 0 {
                    self.release_spent();
                }
            }
        }
        self.counts.taken += handed as u64;
        handed
    }

    /// Gives back the block whose frames were lent.
    #[inline]
    pub fn release_spent(&mut self) {
        if self.spent {
            self.ring.release();
            self.spent = false;
        }
    }

    /// Goes to the next block that has frames, if the kernel has finished one.
    fn next_block(&mut self) -> bool {
        while self.ring.is_ready() {
            let header = BlockHeader::read(self.ring.block());
            if header.frames > 0 {
                (self.left, self.offset, self.holding) = (header.frames, header.first as usize, true);
                return true;
            }
            self.ring.release();
        }
        false
    }

    /// Returns whether a frame can be had at once.
    pub fn is_ready(&self) -> bool {
        self.holding || !self.spent && self.ring.is_ready()
    }

    /// Lets no frame in any more, from `now` (monotonic) on; what is in the ring can still be had.
    ///
    /// # Errors
    /// When the kernel refuses the filter, which it has no reason to.
    pub fn close(&mut self, now: u64) -> io::Result<()> {
        if self.closing.is_none() {
            self.closing = Some(now);
            self.socket.attach_filter(&drop_all())?;
        }
        Ok(())
    }

    /// Returns the counts, the kernel's brought up to date.
    pub fn counts(&mut self) -> Counts {
        // The kernel starts again from 0 whenever it is asked.
        if let Ok(fresh) = self.socket.statistics() {
            self.counts.kernel_frames += u64::from(fresh.frames);
            self.counts.kernel_drops += u64::from(fresh.drops);
        }
        self.counts
    }

    /// Returns whether the channel is on the interface with this index of the system.
    pub fn is_on(&self, index: u32) -> bool {
        self.socket.bound_index() == index as i32
    }

    /// Takes a pending error off the socket: the interface went down, which the registry knows.
    pub fn clear_error(&self) {
        self.socket.take_error();
    }

    /// Returns the number of blocks of the ring.
    pub fn blocks(&self) -> usize {
        self.ring.blocks()
    }

    /// Lets frames in that an earlier filter kept out.
    ///
    /// # Errors
    /// When the kernel refuses the filter.
    pub fn open(&self, filter: Option<&Filter>, snap: u32) -> io::Result<()> {
        if let Some(filter) = filter {
            return self.socket.attach_filter(&super::fanout::assemble(filter.program(snap)));
        }
        if snap > 0 {
            return self.socket.attach_filter(&super::fanout::keep(snap));
        }
        self.socket.detach_filter();
        Ok(())
    }
}

/// Starts loading a frame that is read a few frames from now, if they are all as long: another core has
/// written it a moment ago, and has it in its cache.
#[inline(always)]
fn prefetch_ahead(block: &[u8], offset: usize, slot: usize) {
    let at = block.as_ptr().wrapping_add(offset.wrapping_add(FRAMES_AHEAD.wrapping_mul(slot)));
    for line in 0..LINES_AHEAD {
        prefetch(at.wrapping_add(line * size_of::<Line>()));
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
