//! Where every frame went: to a flow, to no flow, or to one named drop reason.
//!
//! One table, one row for each reason; the screen, the summary and the tests read it from here.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::ops::{AddAssign, Index, IndexMut, Sub};

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $key:literal, $title:literal, $remedy:literal;)+) => {
        /// Why a frame that rx took was accounted to no flow although it might have been.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason { $($(#[doc = $doc])+ $name,)+ }

        impl DropReason {
            /// Every reason, in the order in which they are shown.
            pub const ALL: &[DropReason] = &[$(DropReason::$name,)+];

            /// Returns the name used in exports: lower case, words joined by `_`.
            pub const fn key(self) -> &'static str {
                match self { $(DropReason::$name => $key,)+ }
            }

            /// Returns the words used on screen.
            pub const fn title(self) -> &'static str {
                match self { $(DropReason::$name => $title,)+ }
            }

            /// Returns what it is, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(DropReason::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// Returns what a user can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(DropReason::$name => $remedy,)+ }
            }
        }
    };
}

drop_reasons! {
    /// The ring from rx to its worker was full and the source could not wait.
    RingFull = "ring_full", "rx to worker ring full", "a worker's core is too slow or shared: more or other --cores";
    /// Fewer bytes were captured than the addresses need.
    Snapped = "snapped", "snapped before the addresses", "capture with a larger snap length";
    /// A header contradicts itself (version, header length) before the addresses.
    Malformed = "malformed", "unparsable headers", "look at the frames with a protocol analyser";
    /// The link layer of the interface is not one that rustnet decodes.
    UnknownLink = "unknown_link", "unknown link type", "report the link type";
    /// More headers nested before the addresses than the parser follows.
    TooDeep = "too_deep", "headers nested too deep", "look at the frames with a protocol analyser";
    /// The frame was seen before, on the flow's home interface.
    SeenElsewhere = "seen_elsewhere", "seen on another interface too", "watch fewer interfaces";
    /// The sender's copy of a loopback frame, which is delivered a second time.
    LoopbackCopy = "loopback_copy", "sender's copy on loopback", "nothing: every frame is counted once";
}

impl DropReason {
    /// Returns whether data is lost; a second copy of a frame is none.
    pub const fn loses(self) -> bool {
        !matches!(self, Self::SeenElsewhere | Self::LoopbackCopy)
    }
}

/// The number of drop reasons.
pub const REASONS: usize = DropReason::ALL.len();

/// Frames by drop reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; REASONS]);

impl Drops {
    /// Returns the sum over all reasons.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns the sum over the reasons that lose data, which leaves out what is a second copy.
    pub fn lost(&self) -> u64 {
        DropReason::ALL.iter().filter(|reason| reason.loses()).map(|reason| self[*reason]).sum()
    }
}

impl Index<DropReason> for Drops {
    type Output = u64;
    fn index(&self, reason: DropReason) -> &u64 {
        &self.0[reason as usize]
    }
}

impl IndexMut<DropReason> for Drops {
    fn index_mut(&mut self, reason: DropReason) -> &mut u64 {
        &mut self.0[reason as usize]
    }
}

impl AddAssign for Drops {
    fn add_assign(&mut self, rhs: Self) {
        for (a, b) in self.0.iter_mut().zip(rhs.0) {
            *a += b;
        }
    }
}

/// Frames and wire bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Frames as the source delivered them.
    pub frames: u64,
    /// Packets: segments of super-frames, else frames.
    pub packets: u64,
    /// Bytes on the wire: link header included, frame check sequence not.
    pub bytes: u64,
}

impl Volume {
    /// Adds one frame of `packets` packets and `bytes` bytes.
    pub const fn add_frame(&mut self, packets: u64, bytes: u64) {
        self.frames += 1;
        self.packets += packets;
        self.bytes += bytes;
    }
}

impl AddAssign for Volume {
    fn add_assign(&mut self, rhs: Self) {
        self.frames += rhs.frames;
        self.packets += rhs.packets;
        self.bytes += rhs.bytes;
    }
}

impl Sub for Volume {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self {
            frames: self.frames - rhs.frames,
            packets: self.packets - rhs.packets,
            bytes: self.bytes - rhs.bytes,
        }
    }
}

/// Where the frames that rx took went; rx and workers each own one, the collector adds them up.
///
/// Conservation: over all stages, at every epoch,
/// `taken.frames == flows.frames + not_flow.frames + drops.total()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// All frames that rx took from the source.
    pub taken: Volume,
    /// Frames accounted to flows.
    pub flows: Volume,
    /// Frames that carry neither IP nor ARP.
    pub not_flow: Volume,
    /// Frames accounted to nothing, by reason.
    pub drops: Drops,
    /// Stamps that did not fit into 64 bits of nanoseconds since 1970.
    pub stamps_saturated: u64,
}

impl Accounts {
    /// Returns whether every frame taken is accounted for exactly once.
    pub fn conserved(&self) -> bool {
        self.taken.frames == self.flows.frames + self.not_flow.frames + self.drops.total()
    }
}

impl Accounts {
    /// Returns how many packets came by, each once: not what was seen a second time, on another interface or on
    /// loopback.
    pub fn packets(&self) -> u64 {
        self.flows.packets + self.not_flow.packets + self.drops.lost()
    }

    /// Returns what was counted since an earlier moment.
    pub fn since(&self, earlier: &Self) -> Self {
        let volume = |now: Volume, before: Volume| Volume {
            frames: now.frames.saturating_sub(before.frames),
            packets: now.packets.saturating_sub(before.packets),
            bytes: now.bytes.saturating_sub(before.bytes),
        };
        Self {
            taken: volume(self.taken, earlier.taken),
            flows: volume(self.flows, earlier.flows),
            not_flow: volume(self.not_flow, earlier.not_flow),
            drops: Drops(std::array::from_fn(|n| self.drops.0[n].saturating_sub(earlier.drops.0[n]))),
            stamps_saturated: self.stamps_saturated.saturating_sub(earlier.stamps_saturated),
        }
    }
}

impl AddAssign for Accounts {
    fn add_assign(&mut self, rhs: Self) {
        self.taken += rhs.taken;
        self.flows += rhs.flows;
        self.not_flow += rhs.not_flow;
        self.drops += rhs.drops;
        self.stamps_saturated += rhs.stamps_saturated;
    }
}
