//! The source: reads the queues of its ports in turn, and keeps them in step with the interfaces.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]
#![expect(unsafe_code, reason = "ppoll, and a promise of how long frames stay")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "start-up, and changes of interfaces: off the packet path"
)]

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    sync::Arc,
};

use super::{
    port::{Port, carries_own_traffic},
    socket::{Counts, XdpSocket},
};
use crate::{
    base::{
        call::Caller,
        ids::IfaceId,
        time::{Nanos, Stamp},
    },
    capture::source::{Clock, Progress, Sink, Source, SourceStatus},
    packet::{link::LinkType, parse::FrameMeta},
    platform::{
        interface::find,
        linux::{
            af_packet::{registry::Registry, socket::PacketSocket},
            alarm::Alarm,
            clock, interfaces, privileges,
        },
        live::{Live, LiveConfig, OpenError, Watch},
    },
};

/// The longest wait where something has no event.
const SHORT: Nanos = Nanos::from_millis(100);

/// After the programs are off, a frame that was under way has arrived after this time, ns.
const LAST_FRAME: u64 = 5_000_000;

/// Opens the capture; there is always one source.
///
/// # Errors
/// See [`OpenError`].
pub fn open(config: &LiveConfig) -> Result<Live<AfXdpSource>, OpenError> {
    if config.filter.is_some() {
        return Err(OpenError::NoMethod("af-xdp together with --bpf-filter (use --capture af-packet)"));
    }
    let Watch::Named(given) = &config.watch else {
        return Err(OpenError::NoMethod("af-xdp on all interfaces (name mirror ports with -i)"));
    };
    let mut names: Vec<String> = Vec::new();
    for name in given {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let refused = |name: &str, why: String| OpenError::Refused {
        attempt: format!("capture on {name} by af-xdp"),
        source: io::Error::other(why),
    };
    let all = interfaces::interfaces()
        .map_err(|source| OpenError::Refused { attempt: "list the interfaces".to_owned(), source })?;
    for name in &names {
        let interface = find(&all, name)?;
        let own = carries_own_traffic(interface).filter(|_| !config.takes_traffic);
        if let Some(why) = own {
            return Err(refused(
                name,
                format!(
                    "{why}, and a frame that is taken by af-xdp no longer reaches this host \
                     (--af-xdp-take-traffic takes them all the same; --capture bpf or af-packet takes nothing)"
                ),
            ));
        }
    }
    privileges::check_capture().map_err(OpenError::NotAllowed)?;
    let registry = Registry::new(&names)
        .map_err(|(name, source)| OpenError::Refused { attempt: format!("look at {name}"), source })?;
    let (mut ports, mut notes, mut sockets) = (Vec::new(), Vec::new(), Vec::new());
    for name in &names {
        let port = Port::open(name, registry.as_fd(), config.busy_poll).map_err(|why| refused(name, why))?;
        notes.push(format!(
            "{name} by af-xdp ({}): what comes in is taken, and does not reach this host",
            port.describe()
        ));
        if config.promiscuous {
            let set = || {
                let socket = PacketSocket::new()?;
                socket.set_promiscuous(port.ifindex)?;
                Ok::<_, io::Error>(socket)
            };
            sockets.push(set().map_err(|e| refused(name, e.to_string()))?);
        }
        ports.push(Some(port));
    }
    let source = AfXdpSource {
        ports,
        names,
        registry,
        generation: 0,
        snap: if config.snap == 0 { usize::MAX } else { config.snap as usize },
        busy_poll: config.busy_poll,
        turn: 0,
        past: Counts::default(),
        stopped: None,
        alarm: Alarm::new().ok().map(Arc::new),
        _promiscuous: sockets,
    };
    Ok(Live { sources: vec![source], notes, reason: None })
}

/// The one source of a capture.
pub struct AfXdpSource {
    /// By interface; `None` while it cannot be captured on.
    ports: Vec<Option<Port>>,
    names: Vec<String>,
    registry: Registry,
    generation: u32,
    /// Bytes of a frame to keep.
    snap: usize,
    busy_poll: bool,
    /// Which queue the next burst begins with.
    turn: usize,
    /// Counts of sockets that are no more.
    past: Counts,
    /// When the programs were taken off, monotonic.
    stopped: Option<u64>,
    /// Ends a wait; without a descriptor for it, waits are short.
    alarm: Option<Arc<Alarm>>,
    _promiscuous: Vec<PacketSocket>,
}

impl AfXdpSource {
    fn sockets(&self) -> impl Iterator<Item = &XdpSocket> {
        self.ports.iter().flatten().flat_map(|p| &p.queues)
    }

    fn give_back(&mut self) {
        let sockets = self.ports.iter_mut().flatten().flat_map(|p| &mut p.queues);
        sockets.for_each(XdpSocket::give_back);
    }

    /// Drops ports whose interface is gone, opens those whose interface is back, and follows changes in the
    /// number of queues.
    fn tend(&mut self) {
        self.registry.refresh();
        let generation = self.registry.generation();
        let changed = std::mem::replace(&mut self.generation, generation) != generation;
        for (n, port) in self.ports.iter_mut().enumerate() {
            let index = self.registry.index(IfaceId(n as u16));
            if let Some(gone) = port.take_if(|p| Some(p.ifindex) != index) {
                for counts in gone.queues.iter().map(XdpSocket::counts) {
                    self.past.taken += counts.taken;
                    self.past.drops += counts.drops;
                }
            }
            // What fails now is tried again when a link changes.
            match port {
                Some(port) if changed => {
                    let _ = port.follow_queues(&self.names[n], self.registry.as_fd());
                }
                None if changed && index.is_some() => {
                    *port = Port::open(&self.names[n], self.registry.as_fd(), self.busy_poll).ok();
                }
                Some(_) | None => {}
            }
        }
    }

    fn counts(&self) -> Counts {
        let mut sum = self.past;
        for counts in self.sockets().map(XdpSocket::counts) {
            sum.taken += counts.taken;
            sum.drops += counts.drops;
        }
        sum
    }
}

// SAFETY: chunks go back to the kernel with the next `burst` or `wait` only; ports, with their memory, are
// dropped by calls that hand out nothing.
unsafe impl Source for AfXdpSource {
    fn clock(&self) -> Clock {
        Clock::Live
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        self.give_back();
        let (mut handed, snap) = (0, self.snap);
        // The kernel does not stamp these frames.
        let wall = Stamp(clock::wall());
        let count = self.sockets().count().max(1);
        let turn = self.turn % count;
        for pass in [turn..count, 0..turn] {
            let mut at = 0;
            for (n, port) in self.ports.iter_mut().enumerate() {
                let Some(port) = port else { continue };
                let meta = FrameMeta {
                    wall,
                    wire_len: 0,
                    iface: IfaceId(n as u16),
                    link: LinkType::ETHERNET,
                    gso_size: 0,
                    stripped_vlan: None,
                    outgoing: false,
                    loopback: false,
                };
                for socket in &mut port.queues {
                    if pass.contains(&at) && handed < max {
                        handed += socket.burst(max - handed, |frame| {
                            let meta = FrameMeta { wire_len: frame.len() as u32, ..meta };
                            sink.take(&frame[..frame.len().min(snap)], &meta);
                        });
                    }
                    at += 1;
                }
            }
        }
        self.turn = turn + 1;
        if handed > 0 {
            return Progress::Frames;
        }
        self.sockets().for_each(XdpSocket::wake);
        match self.stopped {
            Some(at) if clock::monotonic() > at + LAST_FRAME => Progress::End,
            _ => Progress::Idle,
        }
    }

    fn wait(&mut self, timeout: Nanos) {
        self.give_back();
        if self.sockets().any(XdpSocket::is_ready) {
            return;
        }
        // On the stack; queues beyond that wait for the timeout, which is short then.
        const FIRST: usize = 2;
        const MOST: usize = 64;
        let mut fds = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; MOST];
        fds[0].fd = self.registry.as_raw_fd();
        fds[1].fd = self.alarm.as_ref().map_or(-1, |alarm| alarm.as_raw_fd());
        for (slot, socket) in fds[FIRST..].iter_mut().zip(self.sockets()) {
            slot.fd = socket.as_raw_fd();
        }
        let is_full = self.sockets().nth(MOST - FIRST).is_some();
        let timeout = match self.stopped {
            // The last frames may be no more than under way.
            Some(_) => timeout.min(Nanos(LAST_FRAME)),
            None if is_full => timeout.min(SHORT),
            None => timeout,
        };
        let time = libc::timespec {
            tv_sec: (timeout.0 / 1_000_000_000) as libc::time_t,
            tv_nsec: (timeout.0 % 1_000_000_000) as libc::c_long,
        };
        // SAFETY: the entries and the timespec are valid during the call; those with fd -1 are skipped.
        let n =
            unsafe { libc::ppoll(fds.as_mut_ptr(), MOST as libc::nfds_t, &raw const time, std::ptr::null()) };
        if n > 0
            && fds[1].revents != 0
            && let Some(alarm) = &self.alarm
        {
            alarm.silence();
        }
        let trouble = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
        let failed = n > 0 && fds[FIRST..].iter().any(|p| p.revents & trouble != 0);
        if failed {
            // The interface went down, or is gone: the socket would wake us for ever.
            let pause = libc::timespec { tv_sec: 0, tv_nsec: timeout.0.min(10_000_000) as libc::c_long };
            // SAFETY: the timespec is valid during the call.
            unsafe { libc::nanosleep(&raw const pause, std::ptr::null_mut()) };
            self.registry.look_again();
        }
        if failed || n > 0 && fds[0].revents != 0 {
            self.tend();
        }
    }

    fn caller(&self) -> Option<Caller> {
        self.alarm.as_ref().map(Alarm::caller)
    }

    fn stop(&mut self) {
        self.ports.iter_mut().flatten().for_each(Port::detach);
        self.stopped.get_or_insert_with(clock::monotonic);
    }

    fn status(&mut self, out: &mut SourceStatus) {
        if self.stopped.is_none() {
            self.tend();
        }
        let counts = self.counts();
        *out = SourceStatus {
            method: "af-xdp",
            interfaces: std::mem::take(&mut out.interfaces),
            ..SourceStatus::default()
        };
        self.registry.report(&mut out.interfaces);
        out.kernel_frames = counts.taken + counts.drops;
        out.kernel_drops = counts.drops;
    }
}
