//! From what the ring says of a frame to what rx wants to know: interface, link type, direction.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::sync::Arc;

use super::{block::Frame, registry::Registry};
use crate::{
    base::ids::IfaceId,
    capture::source::InterfaceStatus,
    packet::{link::LinkType, parse::FrameMeta},
};

/// Slots of the cache; one that two interfaces want costs a look into the registry each time.
const SLOTS: usize = 256;

/// Remembers the interfaces of the frames seen so far, for one thread.
pub struct Faces {
    registry: Arc<Registry>,
    cache: [Face; SLOTS],
    generation: u32,
    /// By interface, of which few are more than [`SLOTS`].
    heard: [Heard; SLOTS],
}

/// Frames of an interface.
#[derive(Clone, Copy, Default)]
struct Heard {
    all: u64,
    /// For another host's address.
    other_host: u64,
}

#[derive(Clone, Copy)]
struct Face {
    ifindex: u32,
    hatype: u16,
    iface: IfaceId,
    loopback: bool,
    link: Link,
}

/// How the frames of a kind of interface begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// With a link header of this type.
    Header(LinkType),
    /// With no header, or one that capture files have no number for: they are taken from the
    /// network header on.
    Network,
}

impl Faces {
    /// Returns an empty cache.
    pub fn new(registry: Arc<Registry>) -> Self {
        let generation = registry.generation();
        let nobody = Face { ifindex: 0, hatype: 0, iface: IfaceId(0), loopback: false, link: Link::Network };
        Self { registry, cache: [nobody; SLOTS], generation, heard: [Heard::default(); SLOTS] }
    }

    /// Returns the frames for another host's address so far.
    pub fn other_host_frames(&self) -> u64 {
        self.heard.iter().map(|heard| heard.other_host).sum()
    }

    /// Writes how many frames of each interface there were.
    pub fn report(&self, out: &mut [InterfaceStatus]) {
        for (status, heard) in out.iter_mut().zip(&self.heard) {
            (status.frames, status.other_host_frames) = (heard.all, heard.other_host);
        }
    }

    /// Adds frames that may be for another host's address.
    #[inline(always)]
    pub fn count(&mut self, iface: IfaceId, frames: u64, packet_type: u8) {
        let heard = &mut self.heard[usize::from(iface.0) % SLOTS];
        heard.all += frames;
        heard.other_host += if packet_type == libc::PACKET_OTHERHOST { frames } else { 0 };
    }

    /// Returns whether a link has changed since the last [`Faces::refresh`].
    pub fn is_old(&self) -> bool {
        self.registry.generation() != self.generation
    }

    /// Forgets everything if a link has changed; returns whether one has.
    pub fn refresh(&mut self) -> bool {
        let generation = self.registry.generation();
        let changed = self.is_old();
        if changed {
            self.generation = generation;
            self.cache.iter_mut().for_each(|f| f.ifindex = 0);
        }
        changed
    }

    /// Returns how many bytes to leave out at the start of the frame, and what rx gets beside it.
    /// `watched`: the interface of the frame's socket, if it has one only.
    #[inline]
    pub fn meta(&mut self, frame: &Frame<'_>, watched: Option<IfaceId>) -> (usize, FrameMeta) {
        let mut face = self.cache[frame.ifindex as usize % SLOTS];
        if face.ifindex != frame.ifindex || face.hatype != frame.hatype {
            face = self.resolve(frame, watched);
        }
        self.count(face.iface, 1, frame.pkttype);
        let (skip, link) = match face.link {
            Link::Header(link) => (0, link),
            Link::Network => (frame.link_len.min(frame.bytes.len()), LinkType::RAW),
        };
        let meta = FrameMeta {
            wall: frame.wall,
            wire_len: frame.wire_len.saturating_sub(skip as u32),
            iface: face.iface,
            link,
            gso_size: frame.gso_size,
            stripped_vlan: frame.stripped_vlan,
            outgoing: frame.pkttype == libc::PACKET_OUTGOING,
            loopback: face.loopback,
        };
        (skip, meta)
    }

    #[cold]
    fn resolve(&mut self, frame: &Frame<'_>, watched: Option<IfaceId>) -> Face {
        let (iface, loopback) = match watched {
            Some(iface) => (iface, self.registry.is_loopback(iface)),
            None => self.registry.resolve(frame.ifindex),
        };
        let (ifindex, hatype) = (frame.ifindex, frame.hatype);
        let face = Face { ifindex, hatype, iface, loopback, link: link_of(hatype) };
        self.cache[ifindex as usize % SLOTS] = face;
        face
    }
}

/// Returns how frames of an `ARPHRD_*` type begin.
fn link_of(hatype: u16) -> Link {
    const NETLINK: u16 = 824;
    const CAN: u16 = 280;
    const IEEE80211_PRISM: u16 = 802;
    const IEEE80211_RADIOTAP: u16 = 803;
    Link::Header(LinkType(match hatype {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => LinkType::ETHERNET.0,
        libc::ARPHRD_IEEE80211 => 105,
        IEEE80211_PRISM => 119,
        IEEE80211_RADIOTAP => 127,
        CAN => 227,
        NETLINK => 253,
        _ => return Link::Network,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_types_are_those_of_capture_files() {
        for (hatype, expected) in [
            (1, Link::Header(LinkType::ETHERNET)),
            (772, Link::Header(LinkType::ETHERNET)), // lo
            (803, Link::Header(LinkType(127))),      // monitor mode
            (0xfffe, Link::Network),                 // tun, wireguard
            (512, Link::Network),                    // ppp
            (768, Link::Network),                    // ipip
            (776, Link::Network),                    // sit
            (778, Link::Network),                    // gre
            (32, Link::Network),                     // infiniband
        ] {
            assert_eq!(link_of(hatype), expected, "{hatype}");
        }
    }
}
