//! The ways of capture that Linux has, and which of them is taken.
#![expect(unsafe_code, reason = "promises how long frames stay where they are")]

use super::af_packet::{self, AfPacketSource};
#[cfg(feature = "bpf")]
use super::{
    af_xdp::{self, AfXdpSource},
    bpf_capture::{self, BpfSource},
};
use crate::{
    base::time::Nanos,
    capture::source::{Clock, Progress, Source, SourceStatus},
    packet::parse::FrameMeta,
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
        Method::Auto => match open_bpf(config, threads) {
            Ok(live) => Ok(live),
            // Wrong names and the like are wrong in any way.
            Err(OpenError::Interface(error)) => Err(error.into()),
            Err(why) => {
                let mut live = by_socket()?;
                live.reason = why_not(&why);
                Ok(live)
            }
        },
        Method::AfPacket | Method::Pcap => by_socket(),
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

/// Returns why the better way is not taken, in one line, if that is worth telling.
fn why_not(error: &OpenError) -> Option<String> {
    match error {
        OpenError::NoMethod(_) => None,
        OpenError::Refused { attempt, source } => Some(format!("cannot {attempt}: {source}")),
        other => other.to_string().lines().next().map(str::to_owned),
    }
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

    #[inline]
    fn burst<F: FnMut(&[u8], &FrameMeta)>(&mut self, max: usize, each: F) -> Progress {
        of_each!(self, s => s.burst(max, each))
    }

    fn wait(&mut self, timeout: Nanos) {
        of_each!(self, s => s.wait(timeout));
    }

    fn stop(&mut self) {
        of_each!(self, s => s.stop());
    }

    fn status(&mut self, out: &mut SourceStatus) {
        of_each!(self, s => s.status(out));
    }
}
