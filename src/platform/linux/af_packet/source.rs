//! The source: opens channels, walks them in turn, and keeps them in step with the interfaces.
#![expect(unsafe_code, reason = "ppoll")]

use std::{
    collections::BTreeMap,
    io,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, PoisonError},
};

use libc::sock_filter;

use super::{
    channel::{Channel, Counts},
    face::Faces,
    fanout,
    probe::{self, VnetHeader},
    registry::Registry,
    ring::Ring,
    socket::PacketSocket,
};
use crate::{
    base::{call::Caller, ids::IfaceId, time::Nanos},
    capture::source::{Clock, Progress, Sink, Source, SourceStatus},
    platform::{
        interface::InterfaceError,
        linux::{alarm::Alarm, clock, interfaces, privileges},
        live::{Live, LiveConfig, OpenError, RingConfig, Watch},
    },
};

/// Opens the capture for `threads` rx threads. No frame is taken in before all of them are ready.
///
/// # Errors
/// See [`OpenError`].
pub fn open(config: &LiveConfig, threads: usize) -> Result<Live<AfPacketSource>, OpenError> {
    let watch = &config.watch;
    let mut names: Vec<String> = Vec::new();
    if let Watch::Named(all) = watch {
        // A name twice would count every frame twice.
        for name in all {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    let registry = Registry::new(&names).map_err(|(name, source)| match source.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => unknown_interface(&name),
        _ => OpenError::Refused { attempt: format!("look at {name}"), source },
    })?;
    let mut notes = Vec::new();
    let socket = PacketSocket::new().map_err(|e| refused("open a packet socket", e))?;
    let vnet = probe::vnet_header(&socket) == VnetHeader::Works;
    drop(socket);
    if !vnet {
        notes.push("this kernel does not tell the segments of super-frames: packets are frames".to_owned());
    }
    let ring = config.ring.unwrap_or_else(|| RingConfig::for_link(interfaces::fastest_link(&names)));
    let shared = Arc::new(Shared {
        registry: Arc::new(registry),
        config: config.clone(),
        ring,
        fanout: (threads > 1)
            .then(|| Fanout { program: fanout::program(config.seed), groups: Mutex::default() }),
        vnet,
    });
    let watches: Vec<Option<IfaceId>> = match watch {
        Watch::Any => {
            shared.number_all();
            vec![None]
        }
        Watch::Named(_) => (0..names.len()).map(|n| Some(IfaceId(n as u16))).collect(),
    };
    let mut sources = Vec::new();
    for _ in 0..threads.max(1) {
        let mut source = AfPacketSource::new(shared.clone(), watches.clone());
        for watches in &watches {
            if let Some(channel) = shared.connect(*watches).map_err(|e| refused("make a capture ring", e))? {
                source.channels.push(channel);
            }
        }
        sources.push(source);
    }
    let channels = || sources.iter().flat_map(|s| &s.channels);
    if let Some(fewest) = channels().map(Channel::blocks).min().filter(|n| *n < ring.blocks.max(2)) {
        let (got, asked) = (fewest * ring.block_size, ring.blocks * ring.block_size);
        notes.push(format!(
            "memory was refused: capture ring of {} KB instead of {} KB",
            got >> 10,
            asked >> 10
        ));
    }
    if config.promiscuous && *watch == Watch::Any {
        notes.push("promiscuous mode needs named interfaces: not set".to_owned());
    }
    for channel in channels() {
        channel
            .open(config.filter.as_ref(), config.snap)
            .map_err(|e| refused("set the capture filter", e))?;
    }
    Ok(Live { sources, notes, reason: None })
}

fn unknown_interface(name: &str) -> OpenError {
    let known = interfaces::interfaces().unwrap_or_default();
    InterfaceError::Unknown { name: name.to_owned(), known }.into()
}

fn refused(attempt: &str, source: io::Error) -> OpenError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => OpenError::NotAllowed(privileges::refusal()),
        _ => OpenError::Refused { attempt: attempt.to_owned(), source },
    }
}

/// What the sources of a capture have in common.
struct Shared {
    registry: Arc<Registry>,
    config: LiveConfig,
    ring: RingConfig,
    fanout: Option<Fanout>,
    vnet: bool,
}

/// The groups of sockets that share an interface.
struct Fanout {
    program: Vec<sock_filter>,
    /// Id of the group for each index of the system; 0 stands for all interfaces.
    groups: Mutex<BTreeMap<u32, u16>>,
}

impl Shared {
    /// Numbers the interfaces that there are, so that `any` shows them before their first frame.
    fn number_all(&self) {
        for index in interfaces::indices() {
            self.registry.resolve(index);
        }
    }

    /// Makes a channel that lets nothing in yet. `None` while the interface cannot be captured on:
    /// it is gone, or down where the kernel joins only running sockets to a group.
    fn connect(&self, watches: Option<IfaceId>) -> io::Result<Option<Channel>> {
        let index = match watches {
            None => 0,
            Some(iface) => match self.registry.index(iface) {
                Some(index) => index,
                None => return Ok(None),
            },
        };
        let socket = PacketSocket::new()?;
        if self.vnet {
            socket.enable_vnet_header()?;
        }
        let ring = Ring::map(&socket, &self.ring)?;
        // NB: bound before it is a member of its group, a socket gets every frame: keep them out.
        socket.attach_filter(&fanout::drop_all())?;
        let joined = socket.bind(index).and_then(|()| match &self.fanout {
            Some(fanout) => fanout.join(&socket, index),
            None => Ok(()),
        });
        match joined {
            Ok(()) => {}
            Err(e) if is_transient(&e) => return Ok(None),
            Err(e) => return Err(e),
        }
        if self.config.promiscuous && index != 0 {
            socket.set_promiscuous(index)?;
        }
        Ok(Some(Channel::new(socket, ring, watches, self.vnet)))
    }
}

/// Whether the interface is the reason, which may change.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO | libc::ENETDOWN | libc::EINVAL))
}

impl Fanout {
    fn join(&self, socket: &PacketSocket, index: u32) -> io::Result<()> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let known = groups.get(&index).copied();
        let id = match known.map(|id| socket.join_fanout(Some(id), &self.program)) {
            Some(Ok(id)) => id,
            // The group is of an interface that had this index before, or there is none yet.
            _ => socket.join_fanout(None, &self.program)?,
        };
        groups.insert(index, id);
        Ok(())
    }
}

/// One rx thread's share of a live capture.
pub struct AfPacketSource {
    shared: Arc<Shared>,
    faces: Faces,
    /// What is to be watched; each has at most one channel that is not closing.
    watches: Vec<Option<IfaceId>>,
    channels: Vec<Channel>,
    /// The channel to start the next burst with.
    turn: usize,
    /// Counts of channels that are no more.
    past: Counts,
    /// Ends a wait; without a descriptor for it, waits are short.
    alarm: Option<Arc<Alarm>>,
    stopped: bool,
    ended: bool,
}

/// The longest wait where something has no event.
const SHORT: Nanos = Nanos::from_millis(100);

/// A closing channel that the kernel does not give the rest of is dropped after this time.
const PATIENCE: u64 = 200_000_000;

impl AfPacketSource {
    fn new(shared: Arc<Shared>, watches: Vec<Option<IfaceId>>) -> Self {
        Self {
            faces: Faces::new(shared.registry.clone()),
            shared,
            watches,
            channels: Vec::new(),
            turn: 0,
            past: Counts::default(),
            alarm: Alarm::new().ok().map(Arc::new),
            stopped: false,
            ended: false,
        }
    }

    /// Looks after the channels: closes those whose interface is gone, opens those whose
    /// interface is back. Off the packet path.
    fn tend(&mut self) {
        self.shared.registry.refresh();
        let open = self.channels.iter().filter(|c| c.closing.is_none()).count();
        let changed = self.faces.refresh();
        if (changed || open < self.watches.len()) && !self.stopped {
            self.follow_interfaces();
        }
        if self.channels.iter().any(|c| c.closing.is_some()) {
            self.drop_drained();
        }
    }

    fn follow_interfaces(&mut self) {
        let now = clock::monotonic();
        for watches in self.watches.clone() {
            let index = match watches {
                None => Some(0),
                Some(iface) => self.shared.registry.index(iface),
            };
            let current = self.channels.iter_mut().find(|c| c.watches == watches && c.closing.is_none());
            if let Some(channel) = current {
                if index.is_some_and(|i| channel.is_on(i)) {
                    continue;
                }
                // Cannot fail to close in a way that matters: the interface is gone.
                let _ = channel.close(now);
            }
            // What fails now is tried again at the next cut.
            if let Ok(Some(channel)) = self.shared.connect(watches)
                && channel.open(self.shared.config.filter.as_ref(), self.shared.config.snap).is_ok()
            {
                self.channels.push(channel);
            }
        }
    }

    /// Drops closing channels that have nothing left; keeps their counts.
    fn drop_drained(&mut self) {
        let now = clock::monotonic();
        let past = &mut self.past;
        self.channels.retain_mut(|channel| {
            let Some(since) = channel.closing else { return true };
            if channel.is_ready() {
                return true;
            }
            let mut counts = channel.counts();
            if !counts.is_drained() {
                if now < since + PATIENCE {
                    return true;
                }
                // The kernel keeps the rest: as lost as if there had been no room.
                counts.kernel_drops = counts.kernel_frames - counts.taken;
            }
            past.add(&counts);
            false
        });
    }

    fn counts(&mut self) -> Counts {
        let mut sum = self.past;
        self.channels.iter_mut().for_each(|c| sum.add(&c.counts()));
        sum
    }
}

// SAFETY: a block is given back to the kernel by the next `burst` or `wait`, and channels with their
// maps are dropped only by a call that hands out nothing.
unsafe impl Source for AfPacketSource {
    fn clock(&self) -> Clock {
        Clock::Live
    }

    fn stamps_arrivals(&self) -> bool {
        true
    }

    #[inline]
    fn burst_into(&mut self, max: usize, sink: &mut impl Sink) -> Progress {
        let mut handed = 0;
        for _ in 0..self.channels.len() {
            if self.turn >= self.channels.len() {
                self.turn = 0;
            }
            handed += self.channels[self.turn].burst(max - handed, &mut self.faces, sink);
            if handed == max {
                return Progress::Frames;
            }
            self.turn += 1;
        }
        if handed > 0 {
            return Progress::Frames;
        }
        if self.stopped {
            self.drop_drained();
            self.ended = self.channels.is_empty();
        }
        if self.ended { Progress::End } else { Progress::Idle }
    }

    /// Also keeps the channels in step with the interfaces.
    fn wait(&mut self, timeout: Nanos) {
        self.channels.iter_mut().for_each(Channel::release_spent);
        if self.ended || self.channels.iter().any(Channel::is_ready) {
            return;
        }
        if self.faces.is_old() {
            // Another thread was told of a link's change.
            return self.tend();
        }
        // On the stack: every interface of a few, or the first of very many, whose frames then
        // wait for the timeout. (A negative descriptor is left out.)
        const FIRST: usize = 2;
        const MOST: usize = 64;
        let mut fds = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; MOST];
        fds[0].fd = self.shared.registry.as_raw_fd();
        fds[1].fd = self.alarm.as_ref().map_or(-1, |alarm| alarm.as_raw_fd());
        for (slot, channel) in fds[FIRST..].iter_mut().zip(&self.channels) {
            slot.fd = channel.as_raw_fd();
        }
        // A closing channel has no event of its own: its rest comes by the kernel's timer.
        let closing = self.channels.iter().any(|c| c.closing.is_some());
        let is_short = closing || self.channels.len() > MOST - FIRST;
        let timeout = if is_short { timeout.min(SHORT) } else { timeout };
        let timeout = libc::timespec {
            tv_sec: (timeout.0 / 1_000_000_000) as libc::time_t,
            tv_nsec: (timeout.0 % 1_000_000_000) as libc::c_long,
        };
        let used = MOST.min(self.channels.len() + FIRST);
        // SAFETY: the first `used` entries of `fds` and the timespec are valid during the call.
        let n = unsafe {
            libc::ppoll(fds.as_mut_ptr(), used as libc::nfds_t, &raw const timeout, std::ptr::null())
        };
        if n > 0
            && fds[1].revents != 0
            && let Some(alarm) = &self.alarm
        {
            alarm.silence();
        }
        let trouble = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
        let failed = n > 0 && fds[FIRST..used].iter().any(|p| p.revents & trouble != 0);
        if failed {
            self.channels.iter().for_each(Channel::clear_error);
            self.shared.registry.look_again();
        }
        if failed || closing || n > 0 && fds[0].revents != 0 || self.faces.is_old() {
            self.tend();
        }
    }

    fn caller(&self) -> Option<Caller> {
        self.alarm.as_ref().map(Alarm::caller)
    }

    fn stop(&mut self) {
        self.stopped = true;
        let now = clock::monotonic();
        for channel in &mut self.channels {
            // The kernel takes a filter of one instruction; if not, the wait below is bounded.
            let _ = channel.close(now);
        }
    }

    fn status(&mut self, out: &mut SourceStatus) {
        if !self.stopped {
            self.tend();
        }
        let counts = self.counts();
        *out = SourceStatus {
            method: "af-packet",
            interfaces: std::mem::take(&mut out.interfaces),
            ..SourceStatus::default()
        };
        self.shared.registry.report(&mut out.interfaces);
        out.kernel_frames = counts.kernel_frames;
        out.kernel_drops = counts.kernel_drops;
        self.faces.report(&mut out.interfaces);
        out.other_host_frames = self.faces.other_host_frames();
    }
}
