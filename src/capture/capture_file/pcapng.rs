//! pcapng files (draft-ietf-opsawg-pcapng): blocks, each with its length at both ends.
//!
//! Read: section header, interface description, name resolution, enhanced and simple packet, and the packet block
//! that the enhanced one replaced; of options those of interfaces and the first comment of each block. All others are
//! passed over and counted, as names are, which hold no frame either. A block whose lengths make no sense ends the
//! reading: nothing behind it can be found again.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::sync::{Arc, atomic::AtomicBool};

use crate::{
    base::{ids::IfaceId, time::Stamp},
    capture::{
        capture_file::{
            Commented, Facts, MAX_BLOCK, MAX_FRAME, Stop,
            cut::Why,
            input::Input,
            map::{intact, prefetch},
            notes,
            scale::Scale,
        },
        source::InterfaceStatus,
    },
    packet::{link::LinkType, parse::FrameMeta},
};

/// The type of a section header block, which reads the same in both byte orders.
pub const SECTION: u32 = 0x0a0d_0d0a;
/// Bytes of a section header up to its version.
pub const SECTION_START: usize = 16;

const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const NAME_RESOLUTION: u32 = 4;
const ENHANCED_PACKET: u32 = 6;

/// The option that every block may have (section 3.5).
const COMMENT: u16 = 1;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Bytes of a block's type and length at its head, and of its length at its tail.
const HEAD: usize = 8;
const TAIL: usize = 4;

/// How far ahead of a block memory is asked for, in bytes.
const AHEAD: usize = 2048;

/// Bytes of an interface's name that are kept.
const MAX_NAME: usize = 128;
/// Interfaces of one section that are kept.
const MAX_INTERFACES: usize = 1 << 16;
/// Blocks of other kinds than the usual that one burst takes at most, so that it always ends soon.
const MAX_PASSED: usize = 1024;

/// What is known of a frame before one was read.
pub const NO_META: FrameMeta = FrameMeta {
    wall: Stamp(0),
    wire_len: 0,
    iface: IfaceId(0),
    link: LinkType::NULL,
    gso_size: 0,
    stripped_vlan: None,
    outgoing: false,
    loopback: false,
};

/// The section that is being read.
#[allow(clippy::disallowed_types, reason = "grows with interface descriptions, not with packets")]
#[derive(Debug, Default)]
pub struct PcapNg {
    order: Order,
    interfaces: Vec<Interface>,
}

/// One interface of the section.
#[derive(Clone, Copy, Debug)]
struct Interface {
    id: IfaceId,
    link: LinkType,
    /// Bytes kept of a frame; 0 for no limit.
    snap_len: u32,
    scale: Scale,
}

/// A frame and what the file says of it.
type Held<'a> = (&'a [u8], &'a [u8]);

impl Interface {
    #[inline]
    const fn meta(&self, wall: Stamp, wire_len: u32) -> FrameMeta {
        FrameMeta {
            wall,
            wire_len,
            iface: self.id,
            link: self.link,
            gso_size: 0,
            stripped_vlan: None,
            outgoing: false,
            loopback: false,
        }
    }
}

/// The byte order of a section, as against this machine's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Same,
    Swapped,
}

impl Order {
    /// Returns the order for the magic as it reads on this machine.
    const fn of(magic: u32) -> Option<Self> {
        match magic {
            BYTE_ORDER_MAGIC => Some(Self::Same),
            _ if magic == BYTE_ORDER_MAGIC.swap_bytes() => Some(Self::Swapped),
            _ => None,
        }
    }

    #[inline]
    fn half(self, bytes: &[u8], at: usize) -> u16 {
        let raw = u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        if self == Self::Same { raw } else { raw.swap_bytes() }
    }

    #[inline]
    fn word(self, bytes: &[u8], at: usize) -> u32 {
        let raw = u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if self == Self::Same { raw } else { raw.swap_bytes() }
    }

    fn long(self, bytes: &[u8], at: usize) -> u64 {
        let (first, second) = (u64::from(self.word(bytes, at)), u64::from(self.word(bytes, at + 4)));
        let little = (self == Self::Same) == cfg!(target_endian = "little");
        if little { second << 32 | first } else { first << 32 | second }
    }
}

/// A frame as its block describes it.
struct Packet<'a> {
    interface: u32,
    /// Ticks of its interface, if the block has a time.
    ticks: Option<u64>,
    wire_len: u32,
    bytes: &'a [u8],
    /// What stands behind the frame and its padding.
    options: &'a [u8],
}

impl PcapNg {
    /// Reads the first section's byte order and version from the file's first bytes: `None` if
    /// this is no pcapng.
    pub fn version(head: &[u8]) -> Option<(u16, u16)> {
        if head.len() < SECTION_START || Order::Same.word(head, 0) != SECTION {
            return None;
        }
        let order = Order::of(Order::Same.word(head, 8))?;
        Some((order.half(head, 12), order.half(head, 14)))
    }

    /// Returns whether a version of pcapng can be read: 1.0, and 1.2 which some wrote for it.
    pub const fn supports(major: u16, minor: u16) -> bool {
        major == 1 && (minor == 0 || minor == 2)
    }

    /// Reads blocks from the front of `rest`, a part of the window of `input`, up to the first frame:
    /// returns their length, the frame and its comment, and writes what is known of it.
    ///
    /// # Errors
    /// Why there is no frame, behind how many bytes of other blocks.
    #[inline(never)]
    pub fn next<'a>(
        &mut self,
        input: &Input,
        rest: &'a [u8],
        facts: &mut Facts,
        meta: &mut FrameMeta,
    ) -> Result<Commented<'a>, (usize, Stop)> {
        let window = rest;
        let gone = input.gone();
        let mut used = 0;
        for _ in 0..MAX_PASSED {
            let rest = &window[used..];
            prefetch(rest, AHEAD);
            if let Some((len, packet, interface)) = self.usual(rest)
                && intact(&rest[..len], gone)
            {
                let (stamp, saturated) = interface.scale.stamp(packet.ticks.unwrap_or(0));
                facts.stamps_saturated += u64::from(saturated);
                facts.last = stamp;
                *meta = interface.meta(stamp, packet.wire_len);
                return Ok((used + len, packet.bytes, comment(self.order, packet.options)));
            }
            match self.unusual(rest, gone, facts, meta) {
                Ok((len, Some((bytes, comment)))) => return Ok((used + len, bytes, comment)),
                Ok((len, None)) => used += len,
                // Zeros where a page was cut look like any kind of nonsense.
                Err(Stop::Cut(_)) if input.shortened() => return Err((used, Stop::Cut(Why::Shortened))),
                Err(stop) => return Err((used, stop)),
            }
        }
        Err((used, Stop::Full))
    }

    /// Reads any block: returns its length and, if it holds one, the frame and its comment.
    #[inline(never)]
    fn unusual<'a>(
        &mut self,
        rest: &'a [u8],
        gone: &AtomicBool,
        facts: &mut Facts,
        meta: &mut FrameMeta,
    ) -> Result<(usize, Option<Held<'a>>), Stop> {
        let (kind, len) = self.head(rest)?;
        let whole = matches!(kind, SECTION | INTERFACE | PACKET | SIMPLE_PACKET | ENHANCED_PACKET);
        if len > MAX_BLOCK {
            if whole {
                return Err(Stop::Cut(Why::BlockTooLong(len)));
            }
            facts.blocks_skipped += 1;
            return Err(Stop::Skip(len));
        }
        let len = len as usize;
        let block = rest.get(..len).ok_or(Stop::Need(len))?;
        if !intact(block, gone) {
            return Err(Stop::Cut(Why::Shortened));
        }
        let tail = self.order.word(block, len - TAIL);
        if tail as usize != len {
            return Err(Stop::Cut(Why::BlockEnds(len as u32, tail)));
        }
        let body = &block[HEAD..len - TAIL];
        let packet = match kind {
            ENHANCED_PACKET => self.enhanced(body),
            SIMPLE_PACKET => self.simple(body),
            PACKET => self.obsolete(body),
            _ => {
                self.describe(kind, body, facts).map_err(Stop::Cut)?;
                return Ok((len, None));
            }
        };
        let packet = packet.map_err(Stop::Cut)?;
        let Some(interface) = self.interfaces.get(packet.interface as usize) else {
            let known = self.interfaces.len();
            return Err(Stop::Cut(Why::Interface { index: packet.interface, known }));
        };
        if let Some(ticks) = packet.ticks {
            let (stamp, saturated) = interface.scale.stamp(ticks);
            facts.stamps_saturated += u64::from(saturated);
            facts.last = stamp;
        }
        *meta = interface.meta(facts.last, packet.wire_len);
        Ok((len, Some((packet.bytes, comment(self.order, packet.options)))))
    }

    /// Reads what nearly every block is, an enhanced packet without fault: its length, the frame,
    /// its interface. Anything else is left to the long way, which names what is wrong.
    #[inline(always)]
    fn usual<'a>(&self, rest: &'a [u8]) -> Option<(usize, Packet<'a>, &Interface)> {
        const FIXED: usize = HEAD + 20;
        let (order, head) = (self.order, rest.first_chunk::<FIXED>()?);
        let (len, captured) = (order.word(head, 4) as usize, order.word(head, 20) as usize);
        let fits = captured <= MAX_FRAME as usize && FIXED + captured + TAIL <= len;
        if order.word(head, 0) != ENHANCED_PACKET
            || !fits
            || len > MAX_BLOCK as usize
            || !len.is_multiple_of(4)
        {
            return None;
        }
        let block = rest.get(..len)?;
        if order.word(block, len - TAIL) as usize != len {
            return None;
        }
        let ticks = u64::from(order.word(head, 12)) << 32 | u64::from(order.word(head, 16));
        let index = order.word(head, 8);
        let bytes = &block[FIXED..FIXED + captured];
        let wire_len = order.word(head, 24);
        let options = options_behind(FIXED + captured, &block[..len - TAIL]);
        let packet = Packet { interface: index, ticks: Some(ticks), wire_len, bytes, options };
        Some((len, packet, self.interfaces.get(index as usize)?))
    }

    /// Reads a block's type and length, and of a section's first block the byte order.
    fn head(&mut self, rest: &[u8]) -> Result<(u32, u32), Stop> {
        if rest.len() < HEAD + TAIL {
            return Err(Stop::Need(HEAD + TAIL));
        }
        let kind = self.order.word(rest, 0);
        if kind == SECTION {
            let magic = Order::Same.word(rest, 8);
            self.order = Order::of(magic).ok_or(Stop::Cut(Why::ByteOrder(magic)))?;
        }
        let len = self.order.word(rest, 4);
        if (len as usize) < HEAD + TAIL || !len.is_multiple_of(4) {
            return Err(Stop::Cut(Why::BlockLength(len)));
        }
        Ok((kind, len))
    }

    /// Enhanced packet block (section 4.3).
    fn enhanced<'a>(&self, body: &'a [u8]) -> Result<Packet<'a>, Why> {
        let order = self.order;
        let bytes = content(body, 20, |head| order.word(head, 12))?;
        let ticks = u64::from(order.word(body, 4)) << 32 | u64::from(order.word(body, 8));
        Ok(Packet {
            interface: order.word(body, 0),
            ticks: Some(ticks),
            wire_len: order.word(body, 16),
            bytes,
            options: options_behind(20 + bytes.len(), body),
        })
    }

    /// Packet block (appendix A): as the enhanced one, but for a short interface number.
    fn obsolete<'a>(&self, body: &'a [u8]) -> Result<Packet<'a>, Why> {
        let enhanced = self.enhanced(body)?;
        Ok(Packet { interface: u32::from(self.order.half(body, 0)), ..enhanced })
    }

    /// Simple packet block (section 4.4): interface 0, no time, cut at the snap length.
    fn simple<'a>(&self, body: &'a [u8]) -> Result<Packet<'a>, Why> {
        let snap_len = self.interfaces.first().map_or(0, |interface| interface.snap_len);
        let order = self.order;
        let bytes = content(body, 4, |head| {
            let wire_len = order.word(head, 0);
            if snap_len == 0 { wire_len } else { wire_len.min(snap_len) }
        })?;
        Ok(Packet { interface: 0, ticks: None, wire_len: order.word(body, 0), bytes, options: &[] })
    }

    /// Takes in a block that is no packet.
    fn describe(&mut self, kind: u32, body: &[u8], facts: &mut Facts) -> Result<(), Why> {
        match kind {
            SECTION => self.section(body, facts),
            INTERFACE => self.interface(body, facts),
            _ => {
                if kind == NAME_RESOLUTION {
                    let notes = Arc::make_mut(&mut facts.notes);
                    // Records are built as options are, and end as they do.
                    let records = Options { order: self.order, rest: body };
                    records.for_each(|(kind, value)| notes.record(kind, value));
                }
                facts.blocks_skipped += 1;
                Ok(())
            }
        }
    }

    /// Section header block (section 4.1): forgets the interfaces of the section before.
    fn section(&mut self, body: &[u8], facts: &mut Facts) -> Result<(), Why> {
        if body.len() < 16 {
            return Err(room(16, body));
        }
        let (major, minor) = (self.order.half(body, 4), self.order.half(body, 6));
        if !Self::supports(major, minor) {
            return Err(Why::Version(major, minor));
        }
        self.interfaces.clear();
        let comment = comment(self.order, &body[16..]);
        if !comment.is_empty() {
            Arc::make_mut(&mut facts.notes).comment("file", comment);
        }
        Ok(())
    }

    /// Interface description block (section 4.2).
    ///
    /// Interfaces are numbered through the file; from the 65,536th on they share the last number.
    fn interface(&mut self, body: &[u8], facts: &mut Facts) -> Result<(), Why> {
        let order = self.order;
        if body.len() < 8 {
            return Err(room(8, body));
        }
        if self.interfaces.len() == MAX_INTERFACES {
            facts.blocks_skipped += 1;
            return Ok(());
        }
        let (mut resolution, mut offset) = (6, 0);
        let mut status = InterfaceStatus::default();
        for (code, value) in (Options { order, rest: &body[8..] }) {
            match (code, value.len()) {
                (2, _) => status.name = name(value),
                (8, 8) => status.speed = Some(order.long(value, 0)).filter(|&speed| speed != 0),
                (9, 1) => resolution = value[0],
                (14, 8) => offset = order.long(value, 0) as i64,
                _ => {}
            }
        }
        let comment = comment(order, &body[8..]);
        if !comment.is_empty() {
            let whom = if status.name.is_empty() { "interface" } else { &status.name };
            Arc::make_mut(&mut facts.notes).comment(whom, comment);
        }
        let number = facts.interfaces.len().min(MAX_INTERFACES - 1);
        if facts.interfaces.len() < MAX_INTERFACES {
            facts.interfaces.push(status);
        }
        self.interfaces.push(Interface {
            id: IfaceId(number as u16),
            link: LinkType(order.half(body, 0)),
            snap_len: order.word(body, 4),
            scale: Scale::new(resolution, offset),
        });
        Ok(())
    }
}

/// Returns the frame behind the `fixed` first bytes of a packet block's body; `captured` reads its
/// length from them.
fn content(body: &[u8], fixed: usize, captured: impl FnOnce(&[u8]) -> u32) -> Result<&[u8], Why> {
    let Some((head, data)) = body.split_at_checked(fixed) else { return Err(room(fixed as u32, body)) };
    let captured = captured(head);
    if captured > MAX_FRAME {
        return Err(Why::FrameLength(captured));
    }
    data.get(..captured as usize).ok_or_else(|| room(captured, data))
}

/// Returns what stands in a block behind a frame that ends at `end`, and its padding.
#[inline(always)]
fn options_behind(end: usize, block: &[u8]) -> &[u8] {
    block.get(end.next_multiple_of(4)..).unwrap_or_default()
}

/// Returns the first comment among options; nothing where there is none.
#[inline(always)]
fn comment(order: Order, options: &[u8]) -> &[u8] {
    if options.is_empty() { &[] } else { comment_among(order, options) }
}

#[inline(never)]
fn comment_among(order: Order, rest: &[u8]) -> &[u8] {
    let first = (Options { order, rest }).find(|(code, _)| *code == COMMENT);
    first.map_or(&[], |(_, value)| notes::comment(value))
}

#[cold]
const fn room(claims: u32, bytes: &[u8]) -> Why {
    Why::BlockRoom { claims, room: bytes.len() as u32 }
}

/// Returns the text of a name, cut to a sensible length.
#[allow(clippy::disallowed_types, reason = "once an interface")]
fn name(value: &[u8]) -> String {
    let value = &value[..value.len().min(MAX_NAME)];
    // Some writers count a closing zero in.
    String::from_utf8_lossy(value).trim_end_matches('\0').into()
}

/// The options of a block (section 3.5): code, length, value padded to 4 bytes. Ends where they do
/// not make sense.
struct Options<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_at_checked(4)?;
        let (code, len) = (self.order.half(head, 0), usize::from(self.order.half(head, 2)));
        if code == 0 {
            return None;
        }
        let value = rest.get(..len)?;
        self.rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}
