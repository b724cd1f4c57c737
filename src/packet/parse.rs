//! One pass over a frame's headers, from the link layer to the transport's ports.
//!
//! Two ways lead to the same descriptor: the straight line for what nearly every frame is, and the
//! walk, header by header, for everything.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::{
    base::{
        counters::DropReason,
        ids::IfaceId,
        time::{Stamp, Tick},
    },
    packet::{
        arp,
        descriptor::{Descriptor, encap, flag},
        ethernet::vlan_key,
        fragment::{First, FragmentTable},
        hash::Seed,
        ip::Ends,
        ipv4, ipv6,
        key::{Extension, FlowKey, WideKey, kind, proto},
        link::{self, LinkType},
        order::{is_link_local, narrow, wide_ends},
        straight::Straight,
        transport::{self, Transport},
        tunnel::{self, Outer},
        walk::{Next, Stop, Walk, network},
    },
};

/// Which flow a frame with tunnels counts for, and what belongs to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Layer {
    /// The outermost IP header: a tunnel is one row.
    #[default]
    Outer,
    /// The innermost IP header: what a tunnel carries are rows.
    Inner,
}

/// How the parser reads frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParseConfig {
    /// Which layer is the row.
    pub layer: Layer,
    /// Whether VLAN ids tell flows apart (`--key vlan`).
    pub vlan_in_key: bool,
}

/// What the source knows of a frame beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct FrameMeta {
    /// The frame's own time.
    pub wall: Stamp,
    /// Length on the wire as the source tells it, without stripped tags; may be a lie.
    pub wire_len: u32,
    /// Where it was seen.
    pub iface: IfaceId,
    /// How the bytes begin.
    pub link: LinkType,
    /// GSO segment size in bytes of payload (virtio header), 0 for an ordinary frame.
    pub gso_size: u16,
    /// The VLAN tag that the kernel took off: TPID and TCI.
    pub stripped_vlan: Option<(u16, u16)>,
    /// This host sent the frame.
    pub outgoing: bool,
    /// The interface is a loopback, which delivers every frame twice: outgoing, then incoming.
    pub loopback: bool,
}

impl FrameMeta {
    /// Returns what a source tells of an Ethernet frame on interface 0 about which there is nothing else to tell.
    pub const fn of_ethernet(wall: Stamp, wire_len: u32) -> Self {
        Self {
            wall,
            wire_len,
            iface: IfaceId(0),
            link: LinkType::ETHERNET,
            gso_size: 0,
            stripped_vlan: None,
            outgoing: false,
            loopback: false,
        }
    }

    /// Returns the bytes on the wire of a frame that is no super-frame: with the tag that the kernel
    /// took off.
    #[inline]
    pub fn wire_bytes(&self) -> u64 {
        u64::from(self.wire_len) + if self.stripped_vlan.is_some() { TAG as u64 } else { 0 }
    }
}

/// Where a frame belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To the flow of the descriptor.
    Flow,
    /// To no flow: neither IP nor ARP.
    NotFlow,
    /// Nowhere, because of this.
    Drop(DropReason),
}

/// Reads headers; owns the table of datagrams whose fragments are under way.
pub struct Parser {
    config: ParseConfig,
    seed: Seed,
    straight: Straight,
    fragments: FragmentTable,
}

/// Tunnels that are followed, one in the other.
const MAX_TUNNELS: u8 = 8;
/// Bytes of one VLAN tag.
const TAG: usize = 4;

/// What one layer of a frame said: the row it would make.
#[derive(Clone, Copy, Debug)]
struct Row {
    ends: Ends,
    kind: u8,
    proto: u8,
    transport: Transport,
    /// Offset of the payload, which is the length of all headers before it.
    payload_at: usize,
    payload_len: usize,
}

impl Parser {
    /// Returns a parser. Allocates the fragment table, once.
    pub fn new(config: ParseConfig, seed: Seed) -> Self {
        Self { config, seed, straight: Straight::new(config, seed), fragments: FragmentTable::new(seed) }
    }

    /// Reads the headers of one frame into `out` (all fields but `tick`, which stays), and into `wide`
    /// if the key is wide. Both stay as they are unless the verdict is [`Verdict::Flow`]. Of what most frames are,
    /// [`Parser::plain`] does the same faster.
    #[inline]
    pub fn parse(
        &mut self,
        frame: &[u8],
        meta: &FrameMeta,
        out: &mut Descriptor,
        wide: &mut WideKey,
    ) -> Verdict {
        if self.straight.any(frame, meta, out, wide) {
            return Verdict::Flow;
        }
        self.walk(frame, meta, out, wide)
    }

    /// Reads the headers of one frame into `out`, `tick` too, if it is of the kind that most frames are:
    /// one packet with a narrow key. Returns whether it is; if not, nothing is written, and
    /// [`Parser::parse`] says what it is.
    #[inline(always)]
    pub fn plain(&self, frame: &[u8], meta: &FrameMeta, tick: Tick, out: &mut Descriptor) -> bool {
        self.straight.plain(frame, meta, tick, out)
    }

    /// Reads a frame of any kind, header by header.
    #[inline(never)]
    fn walk(&mut self, frame: &[u8], meta: &FrameMeta, out: &mut Descriptor, wide: &mut WideKey) -> Verdict {
        let vlan = meta.stripped_vlan.map_or(0, |(_, tci)| vlan_key(tci));
        let mut walk = Walk::new(frame, meta.wire_len, vlan);
        let row = link::first(&mut walk, meta.link).and_then(|next| self.layer(&mut walk, next, meta.wall));
        let mut row = match row {
            Ok(row) => row,
            Err(stop) => return stop.verdict(frame.len() < meta.wire_len as usize),
        };
        let mut span = Span::of(&row);
        let mut extension = Extension::default();
        if self.config.layer == Layer::Inner || meta.gso_size != 0 {
            let (inner, enclosing) = self.innermost(walk, row, meta.wall);
            span = Span::of(&inner);
            if self.config.layer == Layer::Inner {
                (row, extension) = (inner, enclosing);
            }
        }
        if self.config.vlan_in_key {
            extension.vlan = walk.vlan & encap::VLAN;
        }
        self.write_key(&row, extension, meta, out, wide);
        out.wall = meta.wall;
        out.payload_len = row.payload_len as u32;
        out.seq_number = row.transport.seq_number;
        out.ack_number = row.transport.ack_number;
        out.window = row.transport.window;
        out.iface = meta.iface;
        out.vlan = walk.vlan;
        out.tcp_flags = row.transport.tcp_flags;
        out.window_scale = row.transport.window_scale;
        out.payload_lines = 0;
        out.payload_at = u16::try_from(row.payload_at).unwrap_or(u16::MAX);
        out.zero = 0;
        span.count_segments(meta, out);
        Verdict::Flow
    }

    /// Reads on to the next IP or ARP header, and what it carries.
    fn layer(&mut self, walk: &mut Walk, next: Next, now: Stamp) -> Result<Row, Stop> {
        let ip = match network(walk, next)? {
            Next::Ipv6 => ipv6::read(walk)?,
            Next::Arp => return arp_row(walk),
            _ => ipv4::read(walk)?,
        };
        let mut row = Row {
            ends: ip.ends,
            kind: if matches!(ip.ends, Ends::V6(_)) { kind::V6 } else { 0 },
            proto: ip.proto,
            transport: Transport::default(),
            payload_at: walk.at,
            payload_len: 0,
        };
        match ip.fragment {
            Some(fragment) if fragment.later => {
                row.transport.flags = flag::FRAGMENT | flag::NO_TRANSPORT;
                if let Some(first) = self.fragments.find(&ip.ends, fragment, now) {
                    row.proto = first.proto;
                    row.transport.ports = first.ports;
                }
            }
            fragment => {
                row.transport = transport::read(walk, ip.proto, fragment.is_some());
                let ports = row.transport.ports;
                if let Some(fragment) = fragment.filter(|_| ports != [0, 0]) {
                    self.fragments.learn(&ip.ends, fragment, First { ports, proto: ip.proto }, now);
                }
            }
        }
        if ip.has_more_headers || ip.fragment.is_some() {
            row.transport.flags |= flag::MORE_HEADERS;
        }
        if ip.oversize {
            row.transport.flags |= flag::SEGMENTS_UNKNOWN;
        }
        row.payload_at = walk.at;
        row.payload_len = walk.left();
        Ok(row)
    }

    /// Follows tunnels inwards as long as they lead to IP; returns the last row found, and what lies
    /// around it.
    #[cold]
    fn innermost(&mut self, mut walk: Walk, mut row: Row, now: Stamp) -> (Row, Extension) {
        let mut enclosing = Extension::default();
        for depth in 1..=MAX_TUNNELS {
            if row.kind & kind::ARP != 0 || row.transport.flags & flag::NO_TRANSPORT != 0 {
                break;
            }
            let outer =
                Outer { proto: row.proto, is_v6: row.kind & kind::V6 != 0, ports: row.transport.ports };
            let found = tunnel::enter(&mut walk, outer)
                .and_then(|inside| Ok((inside, self.layer(&mut walk, inside.next, now)?)));
            let Ok((inside, inner)) = found else { break };
            if inner.kind & kind::ARP != 0 {
                break;
            }
            enclosing = Extension {
                outer: self.outer(&row.ends),
                tunnel_id: inside.id,
                tunnel: 1 + inside.kind as u8,
                depth,
                ..Extension::default()
            };
            row = inner;
        }
        (row, enclosing)
    }

    /// Returns a tunnel's ends in the form of [`Extension::outer`].
    fn outer(&self, ends: &Ends) -> [u64; 2] {
        match *ends {
            Ends::V4([a, b]) => [a.min(b), a.max(b)].map(u64::from),
            Ends::V6([a, b]) => [[a.min(b), a.max(b)], [a.max(b), a.min(b)]]
                .map(|ends| self.seed.digest(&WideKey { ends, extension: Extension::default() })),
        }
    }

    /// Writes key, hash and flags, and the wide key if there is one.
    #[inline]
    fn write_key(
        &self,
        row: &Row,
        mut extension: Extension,
        meta: &FrameMeta,
        out: &mut Descriptor,
        wide: &mut WideKey,
    ) {
        let (mut key, from_high) = match row.ends {
            Ends::V4(ends) => {
                let (key, from_high) = narrow(ends, row.transport.ports);
                if extension != Extension::default() {
                    let [low, high] = [(key.ends >> 32) as u32, key.ends as u32];
                    wide.ends = [low, high].map(|end| u128::from(end).to_be_bytes());
                }
                (key, from_high)
            }
            Ends::V6(ends) => {
                if extension.depth == 0 && ends.iter().any(is_link_local) {
                    extension.iface = meta.iface.0.saturating_add(1);
                }
                let (ordered, ports, from_high) = wide_ends(ends, row.transport.ports);
                wide.ends = ordered;
                (FlowKey { ports, ..FlowKey::default() }, from_high)
            }
        };
        key.proto = row.proto;
        key.kind = kind::LIVE | row.kind;
        if extension != Extension::default() {
            key.kind |= kind::EXTENDED;
        }
        if key.is_wide() {
            wide.extension = extension;
            key.ends = self.seed.digest(wide);
        }
        out.key = key;
        out.hash = self.seed.hash(&key);
        let outgoing = if meta.outgoing { flag::OUTGOING } else { 0 };
        out.flags = row.transport.flags | from_high | outgoing;
    }
}

#[cold]
fn arp_row(walk: &mut Walk) -> Result<Row, Stop> {
    let arp = arp::read(walk)?;
    let [a, b, c, d, e, f] = arp.sender;
    Ok(Row {
        ends: Ends::V4(arp.ends),
        kind: kind::ARP,
        proto: 0,
        transport: Transport {
            seq_number: u32::from(arp.operation),
            ack_number: u32::from_be_bytes([a, b, c, d]),
            window: u16::from_be_bytes([e, f]),
            ..Transport::default()
        },
        payload_at: walk.at,
        payload_len: 0,
    })
}

/// Headers and payload of the innermost row, whose payload a super-frame splits.
#[derive(Clone, Copy, Debug)]
struct Span {
    headers: usize,
    payload: usize,
    /// The headers were read to their end.
    whole: bool,
}

impl Span {
    #[inline]
    const fn of(row: &Row) -> Self {
        let whole = row.transport.flags & flag::NO_TRANSPORT == 0;
        Self { headers: row.payload_at, payload: row.payload_len, whole }
    }

    /// Writes segments and wire length. Each segment has all headers, and the tag that the kernel
    /// took off.
    #[inline]
    fn count_segments(&self, meta: &FrameMeta, out: &mut Descriptor) {
        let tag = if meta.stripped_vlan.is_some() { TAG } else { 0 };
        let mut segments = 1;
        if meta.gso_size != 0 {
            if self.whole {
                let all = self.payload.div_ceil(usize::from(meta.gso_size));
                segments = all.clamp(1, usize::from(u16::MAX));
                if out.key.proto == proto::UDP {
                    out.window = meta.gso_size;
                }
                out.flags &= !flag::SEGMENTS_UNKNOWN;
            } else {
                out.flags |= flag::SEGMENTS_UNKNOWN;
            }
        }
        let more = (segments - 1) * (self.headers + tag) + tag;
        out.segments = segments as u16;
        out.wire_len = meta.wire_len.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_macros, reason = "tests are off the packet path")]
#[path = "parse_tests.rs"]
mod tests;
