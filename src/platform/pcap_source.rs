//! Live capture through libpcap: other systems, and links that rustnet's own capture cannot read.
//!
//! Segments of super-frames cannot be told, nor (but on "cooked" links) who sent a frame, and
//! stamps are in microseconds. libpcap puts VLAN tags back and leaves out the second copy of
//! loopback frames by itself.
#![expect(unsafe_code, reason = "promises how long frames stay where they are")]

use std::{
    io,
    net::IpAddr,
    time::{Duration, Instant},
};

use pcap::{Active, Capture, Device};

use super::{
    interface::{Interface, InterfaceError},
    live::{Live, LiveConfig, OpenError, Watch},
    system,
};
use crate::{
    base::{
        call::Caller,
        ids::IfaceId,
        time::{Nanos, Stamp},
    },
    capture::source::{Clock, InterfaceState, InterfaceStatus, Progress, Sink, Source, SourceStatus},
    packet::{link::LinkType, parse::FrameMeta},
};

/// Opens the capture; there is always one source.
///
/// # Errors
/// See [`OpenError`].
pub fn open(config: &LiveConfig) -> Result<Live<PcapSource>, OpenError> {
    let mut names = match &config.watch {
        Watch::Any => vec!["any".to_owned()],
        Watch::Named(names) => names.clone(),
    };
    let mut seen = Vec::new();
    names.retain(|n| !seen.contains(n) && (seen.push(n.clone()), true).1);
    let ports = names
        .into_iter()
        .map(|name| {
            let capture = Port::capture(&name, config).map_err(|e| refused(&name, e))?;
            Ok(Port::new(name, capture))
        })
        .collect::<Result<_, OpenError>>()?;
    let source = PcapSource {
        ports,
        config: config.clone(),
        turn: 0,
        looked: Instant::now(),
        stopped: false,
        waits: system::PcapWait::start(),
        kept: Vec::with_capacity(BURST_BYTES),
    };
    Ok(Live { sources: vec![source], notes: Vec::new(), reason: None })
}

fn refused(name: &str, error: pcap::Error) -> OpenError {
    let text = error.to_string();
    let lower = text.to_lowercase();
    if lower.contains("permission") || lower.contains("not permitted") {
        let reason = system::check_capture().err();
        return OpenError::NotAllowed(reason.unwrap_or_else(|| format!("not allowed to capture: {text}")));
    }
    if lower.contains("no such device") || lower.contains("doesn't exist") {
        let known = interfaces().unwrap_or_default();
        return InterfaceError::Unknown { name: name.to_owned(), known }.into();
    }
    OpenError::Refused { attempt: format!("capture on {name}"), source: io::Error::other(error) }
}

/// Returns the interfaces that libpcap lists.
///
/// # Errors
/// When libpcap cannot list them.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let devices = Device::list().map_err(io::Error::other)?;
    Ok(devices
        .into_iter()
        .map(|d| Interface {
            // The library does not tell it.
            index: 0,
            up: d.flags.is_up(),
            running: d.flags.is_running(),
            loopback: d.flags.is_loopback(),
            addresses: d.addresses.iter().map(|a| (a.addr, a.netmask.map_or(host(a.addr), prefix))).collect(),
            link: "other",
            name: d.name,
            ..Interface::default()
        })
        .collect())
}

fn index_of(name: &str) -> u32 {
    let all = system::interfaces().unwrap_or_default();
    all.iter().find(|i| i.name == name).map_or(0, |i| i.index)
}

fn host(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn prefix(mask: IpAddr) -> u8 {
    match mask {
        IpAddr::V4(m) => u32::from(m).leading_ones() as u8,
        IpAddr::V6(m) => u128::from(m).leading_ones() as u8,
    }
}

/// A live capture on one or more interfaces, for one rx thread.
pub struct PcapSource {
    ports: Vec<Port>,
    config: LiveConfig,
    turn: usize,
    /// When the links' states were looked at: listing them is not cheap.
    looked: Instant,
    stopped: bool,
    waits: system::PcapWait,
    /// The frames of the last burst: libpcap keeps one only until the next is asked for.
    kept: Vec<u8>,
}

/// One interface.
struct Port {
    name: String,
    /// The system's number of it, by which it is found again when it was renamed; 0 where that is not known.
    index: u32,
    /// `None` while the interface cannot be captured on.
    capture: Option<(Capture<Active>, LinkType)>,
    state: InterfaceState,
    /// When to try again.
    retry: Instant,
    /// What the library's counters, which wrap at 32 bits, have come to.
    counted: (u64, u64),
    last: (u32, u32),
}

/// The longest frame that libpcap is asked for, in bytes.
const LONGEST_FRAME: usize = 262_144;
/// Room for the frames of a burst: a burst ends where the longest frame would not fit any more.
const BURST_BYTES: usize = 4 * LONGEST_FRAME;
const RETRY: Duration = Duration::from_millis(500);

impl Port {
    fn new(name: String, capture: (Capture<Active>, LinkType)) -> Self {
        Self {
            index: index_of(&name),
            name,
            capture: Some(capture),
            state: InterfaceState::Up,
            retry: Instant::now(),
            counted: (0, 0),
            last: (0, 0),
        }
    }

    fn capture(name: &str, config: &LiveConfig) -> Result<(Capture<Active>, LinkType), pcap::Error> {
        let ring = config.ring.unwrap_or_default();
        let bytes = ring.block_size.saturating_mul(ring.blocks);
        let mut capture = Capture::from_device(name)?
            .promisc(config.promiscuous)
            .snaplen(if config.snap == 0 {
                LONGEST_FRAME as i32
            } else {
                config.snap.min(LONGEST_FRAME as u32) as i32
            })
            .buffer_size(i32::try_from(bytes).unwrap_or(i32::MAX))
            .timeout(ring.retire_ms as i32)
            .immediate_mode(false)
            .open()?
            .setnonblock()?;
        if let Some(filter) = &config.filter {
            capture.filter(&filter.expression, true)?;
        }
        let link = link_of(capture.get_datalink().0);
        Ok((capture, link))
    }

    fn burst(&mut self, iface: IfaceId, max: usize, kept: &mut Vec<u8>, sink: &mut impl Sink) -> usize {
        let Some((capture, link)) = &mut self.capture else { return 0 };
        for handed in 0..max {
            if kept.capacity() - kept.len() < LONGEST_FRAME {
                return handed;
            }
            match capture.next_packet() {
                #[allow(clippy::unnecessary_cast, reason = "a timeval's fields differ by system")]
                Ok(packet) => {
                    let meta = FrameMeta {
                        wall: stamp(packet.header.ts.tv_sec as i64, packet.header.ts.tv_usec as i64),
                        wire_len: packet.header.len,
                        iface,
                        link: *link,
                        gso_size: 0,
                        stripped_vlan: None,
                        outgoing: false,
                        loopback: false,
                    };
                    let (from, len) = (kept.len(), packet.data.len().min(LONGEST_FRAME));
                    kept.extend_from_slice(&packet.data[..len]);
                    sink.take(&kept[from..], &meta);
                }
                Err(pcap::Error::TimeoutExpired | pcap::Error::NoMorePackets) => return handed,
                Err(error) => {
                    self.lose(&error);
                    return handed;
                }
            }
        }
        max
    }

    fn lose(&mut self, error: &pcap::Error) {
        let since = Stamp(system::wall());
        let gone = error.to_string().contains("disappeared");
        self.state = if gone { InterfaceState::Gone(since) } else { InterfaceState::Down(since) };
        self.count();
        self.last = (0, 0);
        self.capture = None;
        self.retry = Instant::now() + RETRY;
    }

    /// Tries again to capture on an interface that was lost.
    fn revive(&mut self, config: &LiveConfig) {
        if self.capture.is_some() || Instant::now() < self.retry {
            return;
        }
        match Self::capture(&self.name, config) {
            Ok(capture) => {
                (self.capture, self.state) = (Some(capture), InterfaceState::Up);
                self.index = index_of(&self.name);
            }
            Err(_) => self.retry = Instant::now() + RETRY,
        }
    }

    /// libpcap keeps a capture whose link is down or has another name, and says nothing: the list of interfaces does.
    fn look(&mut self, all: &[Interface]) {
        // A capture stays with its interface, whose name another one may have by now.
        let same = all.iter().find(|i| i.index == self.index && self.index != 0);
        let Some(found) = same.or_else(|| all.iter().find(|i| i.name == self.name)) else { return };
        self.name.clone_from(&found.name);
        match self.state {
            _ if self.capture.is_none() => {}
            _ if found.up && found.running => self.state = InterfaceState::Up,
            InterfaceState::Up => self.state = InterfaceState::Down(Stamp(system::wall())),
            InterfaceState::Down(_) | InterfaceState::Gone(_) | InterfaceState::Unwatched(_) => {}
        }
    }

    fn count(&mut self) {
        let Some((capture, _)) = &mut self.capture else { return };
        let Ok(stat) = capture.stats() else { return };
        self.counted.0 += u64::from(stat.received.wrapping_sub(self.last.0));
        self.counted.1 += u64::from(stat.dropped.wrapping_sub(self.last.1));
        self.last = (stat.received, stat.dropped);
    }
}

// SAFETY: frames are copied to `kept`, which is written over by the next `burst` only, and never moves
// while it is lent: its capacity is that of a burst's longest frames, or the burst ends before.
unsafe impl Source for PcapSource {
    fn clock(&self) -> Clock {
        Clock::Live
    }

    fn stamps_arrivals(&self) -> bool {
        true
    }

    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        let mut handed = 0;
        self.kept.clear();
        for _ in 0..self.ports.len() {
            let iface = IfaceId(self.turn as u16);
            handed += self.ports[self.turn].burst(iface, max - handed, &mut self.kept, sink);
            if handed == max {
                break;
            }
            self.turn = (self.turn + 1) % self.ports.len();
        }
        match handed {
            0 if self.stopped => Progress::End,
            0 => Progress::Idle,
            _ => Progress::Frames,
        }
    }

    fn wait(&mut self, timeout: Nanos) {
        for port in &mut self.ports {
            port.revive(&self.config);
        }
        let is_lost = self.ports.iter().any(|port| port.capture.is_none());
        let longest = Nanos(RETRY.as_nanos() as u64);
        let captures = self.ports.iter().filter_map(|port| Some(&port.capture.as_ref()?.0));
        self.waits.wait(captures, if is_lost { timeout.min(longest) } else { timeout });
    }

    fn caller(&self) -> Option<Caller> {
        self.waits.caller()
    }

    fn stop(&mut self) {
        self.stopped = true;
    }

    fn status(&mut self, out: &mut SourceStatus) {
        let interfaces = std::mem::take(&mut out.interfaces);
        *out = SourceStatus { method: "pcap", interfaces, ..SourceStatus::default() };
        out.interfaces.clear();
        if self.looked.elapsed() > RETRY
            && let Ok(all) = system::interfaces()
        {
            self.looked = Instant::now();
            self.ports.iter_mut().for_each(|p| p.look(&all));
        }
        for port in &mut self.ports {
            port.count();
            out.kernel_frames += port.counted.0;
            out.kernel_drops += port.counted.1;
            out.interfaces.push(InterfaceStatus {
                name: port.name.clone(),
                state: port.state,
                speed: None,
                loopback: false,
                ..InterfaceStatus::default()
            });
        }
    }
}

/// Returns the number that capture files have for a `DLT_*`; most are the same.
fn link_of(dlt: i32) -> LinkType {
    match dlt {
        12 | 14 => LinkType::RAW,
        n => LinkType(u16::try_from(n).unwrap_or(u16::MAX)),
    }
}

/// Saturates what is before 1970.
fn stamp(seconds: i64, micros: i64) -> Stamp {
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(micros) * 1000;
    Stamp(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_was_renamed_is_told_by_its_new_name() {
        let seen = |index: u32, name: &str| Interface { index, name: name.into(), ..Interface::default() };
        let all = [seen(1, "lo"), seen(7, "wan0"), seen(0, "other")];
        for (index, name, told) in
            [(7, "eth0", "wan0"), (7, "lo", "wan0"), (8, "lo", "lo"), (8, "eth0", "eth0"), (0, "lo", "lo")]
        {
            let (state, retry) = (InterfaceState::Up, Instant::now());
            let mut port =
                Port { name: name.into(), index, capture: None, state, retry, counted: (0, 0), last: (0, 0) };
            port.look(&all);
            assert_eq!(port.name, told);
        }
    }

    #[test]
    fn stamps_and_link_types_are_those_of_the_engine() {
        assert_eq!(stamp(1, 500_000), Stamp(1_500_000_000));
        assert_eq!(stamp(-1, 0), Stamp(0));
        assert_eq!(
            (link_of(1), link_of(12), link_of(276)),
            (LinkType::ETHERNET, LinkType::RAW, LinkType::LINUX_SLL2)
        );
        assert_eq!(prefix("255.255.240.0".parse().unwrap()), 20);
        assert_eq!(host("::1".parse().unwrap()), 128);
    }
}
