//! Live capture, whichever way: the kernel's own where there is one, else libpcap.
#![expect(unsafe_code, reason = "promises how long frames stay where they are")]

use std::io;

#[cfg(feature = "pcap")]
use super::pcap_source::PcapSource;
use super::{filter::Filter, interface::InterfaceError, system};
use crate::{
    base::{call::Caller, time::Nanos},
    capture::source::{Clock, Progress, Sink, Source, SourceStatus},
    packet::settled::{Counted, Settled},
};

/// Which interfaces are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// All, those that appear later included.
    Any,
    /// These, by name, numbered in this order.
    Named(Vec<String>),
}

/// How frames are got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// The best that works here.
    #[default]
    Auto,
    /// Linux packet sockets.
    AfPacket,
    /// BPF programs on tcx (Linux).
    Bpf,
    /// AF_XDP sockets (Linux): frames are taken away from the host.
    AfXdp,
    /// The pcap library.
    Pcap,
}

/// Size and pace of the ring of each rx thread and interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// Bytes of one block: a power of two, a multiple of the page size, and more than the largest
    /// super-frame (64 KB).
    pub block_size: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// The kernel hands over a block that is not full after one to two times this, in ms.
    pub retire_ms: u32,
}

impl Default for RingConfig {
    /// 16 MB: 110,000 small frames, which is 75 ms at 1.5 Mpps a thread. A quiet link shows its
    /// frames after at most 8 ms.
    fn default() -> Self {
        Self { block_size: 256 << 10, blocks: 64, retire_ms: 4 }
    }
}

impl RingConfig {
    /// Returns the ring on a link of so many bits per second: 50 ms of it, at least the default and
    /// at most 64 MB. Each of several threads gets one, because a single flow goes to one of them.
    pub fn for_link(bits_per_second: u64) -> Self {
        const MOST: u64 = 64 << 20;
        let least = Self::default();
        let bytes = (bits_per_second / 8 / 20).min(MOST) as usize;
        // A power of two, so that it can be halved when memory is refused.
        let blocks = bytes.div_ceil(least.block_size).next_power_of_two();
        Self { blocks: blocks.max(least.blocks), ..least }
    }
}

/// What is watched, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveConfig {
    /// Which interfaces.
    pub watch: Watch,
    /// Which way.
    pub method: Method,
    /// Room for frames that rx has not taken yet; `None`: by the speed of the fastest interface.
    pub ring: Option<RingConfig>,
    /// Which frames are captured; `None`: all.
    pub filter: Option<Filter>,
    /// Bytes of a frame to keep; 0 keeps all.
    pub snap: u32,
    /// Asks named interfaces for the frames of other hosts too.
    pub promiscuous: bool,
    /// Lets AF_XDP take frames from interfaces that carry the host's own traffic.
    pub takes_traffic: bool,
    /// Asks the kernel to look into queues when we do, where a method has that (AF_XDP).
    pub busy_poll: bool,
    /// Secret of the hash that deals frames out to several threads.
    pub seed: u32,
    /// Which settled flows are counted where they pass instead of being captured (bpf).
    pub tally: Tally,
}

/// Which settled flows a capture may count by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// UDP.
    pub udp: bool,
    /// TCP.
    pub tcp: bool,
    /// Also frames whose VLAN tag the interface took off: not where tags tell flows apart.
    pub tagged: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Self { udp: true, tcp: true, tagged: true }
    }
}

impl LiveConfig {
    /// Returns the usual way to watch these interfaces.
    pub fn new(watch: Watch) -> Self {
        Self {
            watch,
            method: Method::Auto,
            ring: None,
            filter: None,
            snap: 0,
            promiscuous: false,
            takes_traffic: false,
            busy_poll: false,
            seed: 0,
            tally: Tally::default(),
        }
    }
}

/// An open capture: one source for each rx thread.
#[derive(Debug)]
pub struct Live<S = LiveSource> {
    /// Both directions of a flow go to the same source; all number the interfaces alike.
    pub sources: Vec<S>,
    /// What is not as it was asked for, in words for the screen.
    pub notes: Vec<String>,
    /// Why this way was taken, or what it costs here, in words.
    pub reason: Option<String>,
}

/// A capture of the system's own kind.
pub type Native = Live<system::NativeSource>;

/// Why capture could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no interface of a name; the text lists those there are.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// A privilege is missing; the text says which, and how to get it.
    #[error("{0}")]
    NotAllowed(String),
    /// This build or system has no such method.
    #[error("capture method {0} is not available here")]
    NoMethod(&'static str),
    /// The system refused something else.
    #[error("cannot {attempt}")]
    Refused {
        /// What was attempted.
        attempt: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// Opens a live capture for `threads` rx threads (libpcap: always one). No frame is taken in before
/// all of them are ready.
///
/// # Errors
/// See [`OpenError`].
pub fn open(config: &LiveConfig, threads: usize) -> Result<Live, OpenError> {
    let native = match config.method {
        Method::Pcap => return open_pcap(config),
        Method::AfPacket | Method::Bpf | Method::AfXdp | Method::Auto => system::open_native(config, threads),
    };
    match native {
        Err(OpenError::NoMethod(_)) if config.method == Method::Auto => open_pcap(config),
        Err(error) => Err(error),
        Ok(live) => Ok(Live {
            sources: live.sources.into_iter().map(LiveSource::Native).collect(),
            notes: live.notes,
            reason: live.reason,
        }),
    }
}

#[cfg(feature = "pcap")]
fn open_pcap(config: &LiveConfig) -> Result<Live, OpenError> {
    let live = super::pcap_source::open(config)?;
    Ok(Live {
        sources: live.sources.into_iter().map(LiveSource::Pcap).collect(),
        notes: live.notes,
        reason: live.reason,
    })
}

#[cfg(not(feature = "pcap"))]
fn open_pcap(_config: &LiveConfig) -> Result<Live, OpenError> {
    Err(OpenError::NoMethod("pcap (build with --features pcap)"))
}

/// One rx thread's share of a live capture.
#[allow(clippy::large_enum_variant, reason = "one for each thread, made at start")]
pub enum LiveSource {
    /// The system's own way.
    Native(system::NativeSource),
    /// Through libpcap.
    #[cfg(feature = "pcap")]
    Pcap(PcapSource),
}

// SAFETY: each of them keeps the promise.
unsafe impl Source for LiveSource {
    fn clock(&self) -> Clock {
        Clock::Live
    }

    fn stamps_arrivals(&self) -> bool {
        match self {
            Self::Native(s) => s.stamps_arrivals(),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.stamps_arrivals(),
        }
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        match self {
            Self::Native(s) => s.burst_into(max, sink),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.burst_into(max, sink),
        }
    }

    fn wait(&mut self, timeout: Nanos) {
        match self {
            Self::Native(s) => s.wait(timeout),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.wait(timeout),
        }
    }

    fn caller(&self) -> Option<Caller> {
        match self {
            Self::Native(s) => s.caller(),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.caller(),
        }
    }

    fn can_count(&self) -> bool {
        match self {
            Self::Native(s) => s.can_count(),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.can_count(),
        }
    }

    fn settle(&mut self, flow: &Settled) {
        match self {
            Self::Native(s) => s.settle(flow),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.settle(flow),
        }
    }

    #[inline]
    fn has_counted(&self) -> bool {
        match self {
            Self::Native(s) => s.has_counted(),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.has_counted(),
        }
    }

    fn counted<F: FnMut(&Counted)>(&mut self, all: bool, each: F) {
        match self {
            Self::Native(s) => s.counted(all, each),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.counted(all, each),
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Native(s) => s.stop(),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.stop(),
        }
    }

    fn status(&mut self, out: &mut SourceStatus) {
        match self {
            Self::Native(s) => s.status(out),
            #[cfg(feature = "pcap")]
            Self::Pcap(s) => s.status(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_holds_50_ms_of_its_link() {
        let megabytes = |bits: u64| {
            let ring = RingConfig::for_link(bits);
            (ring.block_size * ring.blocks) >> 20
        };
        let gigabit = 1_000_000_000;
        for (speed, size) in
            [(0, 16), (gigabit, 16), (5 * gigabit, 32), (10 * gigabit, 64), (400 * gigabit, 64)]
        {
            assert_eq!(megabytes(speed), size, "{speed}");
        }
    }
}
