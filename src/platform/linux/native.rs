//! The ways of capture that Linux has, and which of them is taken.
#![expect(unsafe_code, reason = "promises how long frames stay where they are")]

use super::af_packet::{self, AfPacketSource};
#[cfg(feature = "bpf")]
use super::{
    af_xdp::{self, AfXdpSource},
    bpf_capture::{self, BpfSource},
};
use crate::{
    base::{call::Caller, time::Nanos},
    capture::source::{Clock, Progress, Sink, Source, SourceStatus},
    packet::settled::{Counted, Settled},
    platform::live::{Live, LiveConfig, Method, Native, OpenError},
};

/// One rx thread's share of a live capture.
#[allow(clippy::large_enum_variant, reason = "one for each thread, made at start")]
pub enum NativeSource {
    /// Packet sockets.
    AfPacket(AfPacketSource),
    /// BPF programs on tcx.
    #[cfg(feature = "bpf")]
    Bpf(BpfSource),
    /// AF_XDP sockets.
    #[cfg(feature = "bpf")]
    AfXdp(AfXdpSource),
}

/// Opens a capture for `threads` rx threads: the way that was asked for, or the best that works here.
///
/// # Errors
/// See [`OpenError`].
pub fn open(config: &LiveConfig, threads: usize) -> Result<Native, OpenError> {
    let by_socket = || Ok(wrap(af_packet::open(config, threads)?, NativeSource::AfPacket));
    match config.method {
        Method::Bpf => open_bpf(config, threads),
        Method::AfXdp => open_xdp(config),
        Method::Auto => {
            let why_not = match best(config, threads) {
                Ok(live) => return Ok(live),
                Err(why_not) => why_not,
            };
            let mut live = by_socket()?;
            live.reason = Some(format!("af-packet: {why_not}"));
            Ok(live)
        }
        Method::AfPacket | Method::Pcap => by_socket(),
    }
}

/// Opens what costs the host least, if it works here and gives all that packet sockets give; else says why not.
fn best(config: &LiveConfig, threads: usize) -> Result<Native, String> {
    if config.filter.is_some() {
        return Err("bpf does not go together with --bpf-filter".to_owned());
    }
    if !config.tally.udp && !config.tally.tcp {
        return Err("bpf is to count nothing".to_owned());
    }
    let live = open_bpf(config, threads).map_err(|error| {
        // Of several lines, the first one is the reason; they are told in full where bpf is asked for.
        let text = with_source(&error);
        format!("bpf does not work here: {}", text.lines().next().unwrap_or_default())
    })?;
    // Where every frame is copied, it is not certain to cost less.
    match live.sources.iter().all(Source::can_count) {
        true => Ok(live),
        false => Err(live.notes.into_iter().next().unwrap_or_else(|| "bpf counts nothing here".to_owned())),
    }
}

/// Tries whether bpf would be taken here, without a look at any interface. Says what it costs, or why not.
///
/// # Errors
/// Why not.
#[cfg(feature = "bpf")]
pub fn try_bpf() -> Result<String, String> {
    let (counts, notes, reason) = bpf_capture::try_here().map_err(|error| with_source(&error))?;
    match counts {
        true => Ok(reason.unwrap_or_else(|| "bpf".to_owned())),
        false => Err(notes.into_iter().next().unwrap_or_else(|| "bpf counts nothing here".to_owned())),
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(feature = "bpf")]
fn open_bpf(config: &LiveConfig, threads: usize) -> Result<Native, OpenError> {
    Ok(wrap(bpf_capture::open(config, threads)?, NativeSource::Bpf))
}

#[cfg(not(feature = "bpf"))]
fn open_bpf(_config: &LiveConfig, _threads: usize) -> Result<Native, OpenError> {
    Err(OpenError::NoMethod("bpf (build with --features bpf)"))
}

#[cfg(feature = "bpf")]
fn open_xdp(config: &LiveConfig) -> Result<Native, OpenError> {
    Ok(wrap(af_xdp::open(config)?, NativeSource::AfXdp))
}

#[cfg(not(feature = "bpf"))]
fn open_xdp(_config: &LiveConfig) -> Result<Native, OpenError> {
    Err(OpenError::NoMethod("af-xdp (build with --features bpf)"))
}

fn wrap<S>(live: Live<S>, source: fn(S) -> NativeSource) -> Native {
    Live { sources: live.sources.into_iter().map(source).collect(), notes: live.notes, reason: live.reason }
}

/// Calls a method of whichever source it is.
macro_rules! of_each {
    ($self:ident, $source:ident => $call:expr) => {
        match $self {
            Self::AfPacket($source) => $call,
            #[cfg(feature = "bpf")]
            Self::Bpf($source) => $call,
            #[cfg(feature = "bpf")]
            Self::AfXdp($source) => $call,
        }
    };
}

// SAFETY: each of them keeps the promise.
unsafe impl Source for NativeSource {
    fn clock(&self) -> Clock {
        Clock::Live
    }

    fn stamps_arrivals(&self) -> bool {
        of_each!(self, s => s.stamps_arrivals())
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        of_each!(self, s => s.burst_into(max, sink))
    }

    fn wait(&mut self, timeout: Nanos) {
        of_each!(self, s => s.wait(timeout));
    }

    fn caller(&self) -> Option<Caller> {
        of_each!(self, s => s.caller())
    }

    fn can_count(&self) -> bool {
        of_each!(self, s => s.can_count())
    }

    fn settle(&mut self, flow: &Settled) {
        of_each!(self, s => s.settle(flow));
    }

    #[inline]
    fn has_counted(&self) -> bool {
        of_each!(self, s => s.has_counted())
    }

    fn counted<F: FnMut(&Counted)>(&mut self, all: bool, each: F) {
        of_each!(self, s => s.counted(all, each));
    }

    fn stop(&mut self) {
        of_each!(self, s => s.stop());
    }

    fn status(&mut self, out: &mut SourceStatus) {
        of_each!(self, s => s.status(out));
    }
}
