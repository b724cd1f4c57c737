//! What any system has: for those that rustnet has no own code for. Capture goes through libpcap.
#![expect(unsafe_code, reason = "promises how long frames stay where they are")]

use std::{
    convert::Infallible,
    io,
    sync::OnceLock,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    CoreError, SelfUsage,
    interface::Interface,
    live::{LiveConfig, Native, OpenError},
    placement::Placement,
};
use crate::{
    base::{
        call::Caller,
        ids::CoreId,
        time::{Nanos, Stamp},
    },
    capture::source::{Clock, NicCounters, Progress, Sink, Source, SourceStatus},
};

/// There is no own way of capture here.
pub struct NativeSource(Infallible);

// SAFETY: there is none.
unsafe impl Source for NativeSource {
    fn clock(&self) -> Clock {
        match self.0 {}
    }

    fn burst_into(&mut self, _max: usize, _sink: &mut impl Sink) -> Progress {
        match self.0 {}
    }

    fn wait(&mut self, _timeout: Nanos) {
        match self.0 {}
    }

    fn status(&mut self, _out: &mut SourceStatus) {
        match self.0 {}
    }
}

/// Always fails.
pub fn open_native(_config: &LiveConfig, _threads: usize) -> Result<Native, OpenError> {
    Err(OpenError::NoMethod("af-packet"))
}

/// Returns the interfaces that libpcap lists.
#[cfg(feature = "pcap")]
pub fn interfaces() -> io::Result<Vec<Interface>> {
    super::pcap_source::interfaces()
}

/// Cannot know without libpcap.
#[cfg(not(feature = "pcap"))]
pub fn interfaces() -> io::Result<Vec<Interface>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this build has no capture: build with --features pcap"))
}

/// Returns the addresses of the interfaces that are known.
pub fn addresses() -> Vec<std::net::IpAddr> {
    let all = interfaces().unwrap_or_default();
    all.into_iter().flat_map(|interface| interface.addresses).map(|(address, _)| address).collect()
}

/// Knows no way to ask.
pub fn name_of(_address: std::net::IpAddr) -> Option<Vec<u8>> {
    None
}

/// Cannot know: libpcap says when it opens.
pub fn check_capture() -> Result<(), String> {
    Ok(())
}

/// Returns the cores that the standard library counts.
pub fn allowed_cores() -> io::Result<Vec<CoreId>> {
    Ok((0..std::thread::available_parallelism()?.get() as u16).map(CoreId).collect())
}

/// Cannot know where cores and cards are.
pub fn placement_of(_cores: &[CoreId], _interfaces: &[String]) -> Placement {
    Placement::default()
}

/// There is no way known here.
pub fn check_realtime() -> Result<(), String> {
    Err("real-time priority is not available on this system".to_owned())
}

/// As [`enter_thread`].
pub fn enter_thread_realtime(name: &str, core: Option<CoreId>) {
    enter_thread(name, core);
}

/// Refuses cores beyond those that there are.
pub fn check_cores(cores: &[CoreId]) -> Result<(), CoreError> {
    let all = allowed_cores().map_err(CoreError::Unknown)?;
    let last = all.last().copied().unwrap_or_default();
    match cores.iter().find(|c| **c > last) {
        Some(core) => Err(CoreError::OutOfRange { core: *core, last }),
        None => Ok(()),
    }
}

/// Threads have the name that they were started with, and run where the system puts them.
pub fn enter_thread(_name: &str, _core: Option<CoreId>) {}

/// Takes no advice.
pub fn advise(_start: *mut u8, _bytes: usize) {}

/// There is no way known.
pub fn populate() -> Option<crate::base::memory::Populate> {
    None
}

/// ns since the first call.
pub fn monotonic() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// ns since 1970.
pub fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// Nothing: the allocator is left as it is.
pub fn map_large_memory() {}

/// Assumes little: 2 GB.
pub fn usable_memory() -> u64 {
    2 << 30
}

/// Not known.
pub fn self_usage() -> SelfUsage {
    SelfUsage::default()
}

/// Threads are not told apart by their weight.
pub fn give_way() {}

/// Nor by their slices.
pub fn come_first() {}

/// Not known.
#[derive(Default)]
pub struct ThreadTimes(());

impl ThreadTimes {
    /// Nothing.
    pub fn read(&mut self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

/// Not known.
pub fn listening() -> Vec<crate::process::listening::Listening> {
    Vec::new()
}

/// Not known.
///
/// # Errors
/// Always.
pub fn listening_ports() -> io::Result<Vec<u16>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not known.
pub fn ephemeral_ports() -> Option<std::ops::RangeInclusive<u16>> {
    None
}

/// Not known.
pub fn terminal_background() -> (bool, Vec<u8>) {
    (false, Vec::new())
}

/// Times are shown in UTC.
pub fn utc_offset(_at: Stamp) -> i32 {
    0
}

/// Looks every while.
pub struct Lookout(());

impl Lookout {
    /// Signals are seen at the next look.
    pub fn new(_signals: &[i32]) -> Self {
        Self(())
    }

    /// Nobody has to call.
    pub fn caller(&self) -> Option<Caller> {
        None
    }

    /// Waits for a while.
    pub fn wait(&self, _out: Option<&std::fs::File>, longest: Duration) {
        thread::sleep(longest.min(super::GLANCE));
    }
}

/// Looks every second.
pub struct AddressWatch(());

impl AddressWatch {
    /// Nothing is begun.
    pub fn start() -> Self {
        Self(())
    }

    /// Nobody has to call.
    pub fn caller(&self) -> Option<Caller> {
        None
    }

    /// Waits for a second.
    pub fn wait(&self) {
        thread::sleep(Duration::from_secs(1));
    }
}

/// Cannot know before the next write.
pub fn reader_gone(_out: &std::fs::File) -> bool {
    false
}

/// Cannot know before the next write.
pub fn reader_keeps_up(_out: &std::fs::File) -> bool {
    true
}

/// No way is known.
pub fn owners(_method: super::OwnerMethod) -> Option<Box<dyn crate::process::lookup::Owners>> {
    None
}

/// Returns what works here: so far nothing of this system is looked at.
pub fn checks() -> Vec<super::check::Check> {
    let (reason, remedy) = ("live capture needs Linux in this build", "rustnet --read FILE");
    vec![super::check::Check::degraded("capture", reason, remedy)]
}

/// Nobody tells.
pub fn nic_counters(_name: &str) -> Option<NicCounters> {
    None
}

/// Nobody tells.
pub fn neighbour(_address: std::net::IpAddr) -> Option<String> {
    None
}

/// Returns the hardware addresses of all neighbours: none that is known how to be asked for.
pub fn neighbours() -> Vec<(std::net::IpAddr, String)> {
    Vec::new()
}

/// Nobody tells.
pub fn held_privileges() -> Option<String> {
    None
}

/// Waits for frames of captures of libpcap, whose descriptors not every system has.
#[cfg(feature = "pcap")]
pub struct PcapWait;

#[cfg(feature = "pcap")]
impl PcapWait {
    /// Nothing is begun.
    pub fn start() -> Self {
        Self
    }

    /// Nobody has to call.
    pub fn caller(&self) -> Option<Caller> {
        None
    }

    /// Waits for 1 ms at most.
    pub fn wait<'a>(&self, _captures: impl Iterator<Item = &'a pcap::Capture<pcap::Active>>, timeout: Nanos) {
        thread::sleep(Duration::from_nanos(timeout.0).min(Duration::from_millis(1)));
    }
}
